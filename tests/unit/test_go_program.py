"""A server's program is found, or built once, or it is said how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.go_program import GoProgram, ProgramMissingError

PROGRAM = GoProgram("thing", "1.2.3", "example.org/thing/cmd/server", "1", "Another way: ask.")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one directory of PATH beside the system's; the cache is a new one."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory


def put_script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def put_go(directory: Path, install: str) -> None:
    """Put a `go` of a good version that notes what it was asked and runs ``install``."""
    put_script(
        directory / "go",
        f'[ "$1" = env ] && echo go1.26.8 && exit\necho "$@" >>"{directory}/asked"\n{install}',
    )


def test_a_program_on_path_is_taken_as_it_is(path: Path) -> None:
    put_script(path / "thing", "")
    assert PROGRAM.ensure(print) == path / "thing"


def test_it_is_built_once_at_its_version_into_the_cache(path: Path) -> None:
    put_go(path, 'mkdir -p "$GOBIN"; echo built >"$GOBIN/server"; chmod +x "$GOBIN/server"')
    said: list[str] = []
    for _ in range(2):
        assert PROGRAM.ensure(said.append) == PROGRAM.cached
    assert PROGRAM.cached.read_text() == "built\n"
    assert [file.name for file in PROGRAM.cached.parent.iterdir()] == ["thing"]
    asked = (path / "asked").read_text().splitlines()
    assert asked == ["install -trimpath example.org/thing/cmd/server@v1.2.3"]
    assert said[0] == "thing 1.2.3: not found; building it with Go (once, 1 minutes)"


def test_a_build_that_fails_says_why_and_how_else(path: Path) -> None:
    put_go(path, "echo no network; exit 1")
    with pytest.raises(ProgramMissingError, match=r"(?s)thing: could not build.*no network.*ask"):
        PROGRAM.ensure(lambda _: None)
    assert PROGRAM.find() is None
