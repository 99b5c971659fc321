"""Our worker as a user has it: installed by pip, with plugins, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from bench.child_process import ROOT
from bench.worker_process import WorkerProcess


def make_environment(directory: Path, *plugins: Path) -> Path:
    """Make a virtual environment and have pip install Greffier and ``plugins`` into it.

    It asks no network: the packages that Greffier depends on, and what builds it, are those of the
    environment that runs this.

    Args:
        directory: Of the new environment.
        plugins: Directories of packages, each with a ``pyproject.toml``.

    Returns:
        ``directory``.

    Raises:
        RuntimeError: It can't be made; the message holds what was printed.
    """
    _run(sys.executable, "-m", "venv", "--without-pip", str(directory))
    paths = sysconfig.get_paths(vars={"base": str(directory), "platbase": str(directory)})
    outer = {sysconfig.get_paths()[name] for name in ("purelib", "platlib")}
    Path(paths["purelib"], "outer.pth").write_text("\n".join(sorted(outer)) + "\n", "utf-8")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    packages = [str(path) for path in (ROOT, *plugins)]
    _run(*pip, str(directory / "bin" / "python"), "install", *offline, *packages)
    return directory


class InstalledWorker(WorkerProcess):
    """``greffier start`` of an environment: nothing is imported from the repository.

    Args:
        environment: Made by :func:`make_environment`.
        env: LiveKit's three variables and the worker's settings.
        log: File that takes its output.
        name: What messages call it.
    """

    def __init__(
        self, environment: Path, env: Mapping[str, str], *, log: Path, name: str = "worker"
    ) -> None:
        own_path = {"PYTHONPATH": "", "PYTHONSAFEPATH": "1"}
        super().__init__({**env, **own_path}, log=log, name=name)
        self.command = [str(environment / "bin" / "greffier"), "start"]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
