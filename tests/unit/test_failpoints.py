"""A failpoint in a file kills one process, and whoever takes over lives."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

PASSES = "from pipelines.failpoints import failpoint\nfor _ in range(3):\n    failpoint({!r})\n"


def passing(name: str, file: Path) -> int:
    """Return the exit status of a process that passes a failpoint three times."""
    program = [sys.executable, "-c", PASSES.format(name)]
    environment = {"GREFFIER_FAILPOINT": f"@{file}"}
    return subprocess.run(program, env=environment, check=False).returncode


@pytest.mark.parametrize("says", ["publish", "publish:3"])
def test_who_passes_the_place_that_the_file_names_dies_and_takes_it_away(
    tmp_path: Path, says: str
) -> None:
    file = tmp_path / "failpoint"
    file.write_text(says)
    assert passing("publish", file) == -signal.SIGKILL
    assert not file.exists()
    assert passing("publish", file) == 0


@pytest.mark.parametrize("says", ["fsync", "publish:4", ""])
def test_who_passes_another_place_or_too_seldom_lives_and_leaves_the_file(
    tmp_path: Path, says: str
) -> None:
    file = tmp_path / "failpoint"
    file.write_text(says)
    assert passing("publish", file) == 0
    assert file.read_text() == says
