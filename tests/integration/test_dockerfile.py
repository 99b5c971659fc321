"""The Dockerfile's steps, run one by one in a clean directory: the image itself is not built here.

What is left out: the base image, the user, and the file system's root; each stage has a directory
of its own in its place. Runs with this interpreter and takes wheels from pip's cache.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "Dockerfile"


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Split a Dockerfile into (instruction, arguments)."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def tracked_files() -> list[Path]:
    """What a clean clone has: tracked files, and new ones that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return sorted(Path(name) for name in listed.stdout.split("\0") if (ROOT / name).is_file())


def is_ignored(path: Path, patterns: list[str]) -> bool:
    """Apply ``.dockerignore``: the last pattern that matches the path or a parent decides."""
    names = [str(path), *map(str, path.parents)]
    ignored = False
    for pattern in patterns:
        glob = pattern.removeprefix("!")
        parts = path.parts if glob.startswith("**/") else names
        if any(fnmatch(name, glob.removeprefix("**/")) for name in parts):
            ignored = not pattern.startswith("!")
    return ignored


def ignore_patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@dataclass
class Stage:
    """One stage: a directory in the place of the image's root."""

    root: Path
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def place(self, path: str) -> Path:
        return self.root / path[1:] if path.startswith("/") else self.cwd / path

    def run(self, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.cwd,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


class Build:
    """Carries out a Dockerfile below ``directory``."""

    def __init__(self, directory: Path, context: Path) -> None:
        self._directory = directory
        self._context = context
        self.stages: dict[str, Stage] = {}
        self.last = Stage(directory, directory)

    def follow(self, steps: list[tuple[str, str]]) -> Stage:
        for name, arguments in steps:
            getattr(self, f"_{name.lower()}")(arguments)
        return self.last

    def _from(self, arguments: str) -> None:
        image, _, name = arguments.partition(" AS ")
        root = self._directory / (name or "final")
        if image in self.stages:
            self.last = self._copy_of(self.stages[image], root)
        else:
            assert re.fullmatch(r"python:3\.1[1-9]-slim", image)
            self.last = self._empty(root)
        if name:
            self.stages[name] = self.last

    @staticmethod
    def _copy_of(stage: Stage, root: Path) -> Stage:
        # Hard links: a stage is as large as the image, and no step changes a file.
        shutil.copytree(stage.root, root, symlinks=True, copy_function=os.link)

        def moved(value: str) -> str:
            return value.replace(str(stage.root), str(root))

        env = {name: moved(value) for name, value in stage.env.items()}
        return Stage(root, Path(moved(str(stage.cwd))), env, dict(stage.settings))

    @staticmethod
    def _empty(root: Path) -> Stage:
        interpreter = root / "usr/local/bin/python"
        interpreter.parent.mkdir(parents=True)
        interpreter.symlink_to(Path(sys.executable).resolve())
        return Stage(root, root, {"PATH": f"{interpreter.parent}:/usr/bin:/bin"})

    def _workdir(self, path: str) -> None:
        self.last.cwd = self.last.place(path)
        self.last.cwd.mkdir(parents=True, exist_ok=True)

    def _env(self, arguments: str) -> None:
        for pair in arguments.split():
            name, _, value = pair.partition("=")
            value = value.replace("$PATH", self.last.env["PATH"])
            inside = re.sub(r"(^|:)(?=/(app|data)\b)", rf"\g<1>{self.last.root}", value)
            self.last.env[name] = inside

    def _copy(self, arguments: str) -> None:
        flags = re.findall(r"--(\w+)=(\S+)", arguments)
        *sources, target = re.sub(r"--\w+=\S+", "", arguments).split()
        stage = self.stages.get(dict(flags).get("from", ""))
        into = self.last.place(target)
        for source in sources:
            what = stage.place(source) if stage else self._context / source
            to = into / what.name if target.endswith("/") else into
            to.parent.mkdir(parents=True, exist_ok=True)
            if what.is_dir():
                shutil.copytree(what, to, symlinks=True)
            else:
                shutil.copy(what, to)

    def _run(self, arguments: str) -> None:
        command = re.sub(r"^--mount=\S+\s+", "", arguments)
        home = {"HOME": os.environ["HOME"]}  # stands for the cache mount
        done = self.last.run(["sh", "-ec", command], **home)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

    def _healthcheck(self, arguments: str) -> None:
        self.last.settings["healthcheck"] = arguments.partition("CMD ")[2]

    def _user(self, arguments: str) -> None:
        self.last.settings["user"] = arguments

    def _volume(self, arguments: str) -> None:
        assert self.last.place(arguments).is_dir()

    def _entrypoint(self, arguments: str) -> None:
        self.last.settings["entrypoint"] = arguments

    def _cmd(self, arguments: str) -> None:
        self.last.settings["cmd"] = arguments


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Build]:
    """Follow the Dockerfile's steps with what a clean clone sends to Docker."""
    directory = tmp_path_factory.mktemp("image")
    context = directory / "context"
    patterns = ignore_patterns()
    for path in tracked_files():
        if not is_ignored(path, patterns):
            (context / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, context / path)
    build = Build(directory, context)
    build.follow(instructions(DOCKERFILE.read_text()))
    yield build
    shutil.rmtree(directory)  # more than a gigabyte, and pytest keeps three runs


@pytest.fixture(scope="module")
def image(build: Build) -> Stage:
    """What `docker build` makes: the last stage."""
    return build.last


@pytest.fixture(scope="module")
def meet_image(build: Build) -> Stage:
    """What `docker build --target la-suite-meet` makes."""
    return build.stages["la-suite-meet"]


@pytest.mark.timeout(900)
def test_the_worker_of_the_image_prints_its_settings(image: Stage) -> None:
    done = image.run([*json.loads(image.settings["entrypoint"]), "settings"])
    assert done.returncode == 0, done.stderr
    assert "GREFFIER_DATA_DIR" in done.stdout


def test_the_image_has_the_built_in_agents_through_their_entry_points(image: Stage) -> None:
    code = "from agents.registry import load_specs; import agents; print(*load_specs(), agents)"
    done = image.run(["python", "-c", code])
    assert done.stdout.split()[:3] == ["assistant", "metadata", "transcriber"]
    assert f"{image.root}/app/.venv" in done.stdout


def test_the_image_has_no_build_tool_and_no_sources_beside_the_worker(image: Stage) -> None:
    assert sorted(path.name for path in image.cwd.iterdir()) == [".venv", "LICENSE", "worker.py"]
    assert image.run(["python", "-c", "import hatchling"]).returncode != 0


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("metadata_collector.py", "metadata-collector"),
        ("multi_user_transcriber.py", "multi-user-transcriber"),
    ],
)
def test_la_suites_commands_start_the_worker_under_la_suites_names(
    meet_image: Stage, script: str, name: str
) -> None:
    done = meet_image.run(
        ["python", script, "settings"], AWS_STORAGE_BUCKET_NAME="b", COLUMNS="200"
    )
    assert done.returncode == 0, done.stderr
    found = re.search(r"GREFFIER_AGENT_NAME\W+([a-z-]+)", done.stdout)
    assert found is not None
    assert found[1] == name


def test_without_a_command_la_suites_image_writes_captions_as_its_own_does(
    meet_image: Stage,
) -> None:
    assert "entrypoint" not in meet_image.settings
    assert json.loads(meet_image.settings["cmd"]) == [
        "python",
        "multi_user_transcriber.py",
        "start",
    ]


def test_the_image_runs_as_an_ordinary_user_who_can_read_all_of_it(image: Stage) -> None:
    assert image.settings["user"] == "10001:10001"
    private = [
        path
        for path in image.cwd.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o004 == 0
    ]
    assert private == []


def test_the_image_starts_the_worker_without_a_shell_so_that_it_gets_the_signal(
    image: Stage,
) -> None:
    command = json.loads(image.settings["entrypoint"]) + json.loads(image.settings["cmd"])
    assert command == ["python", "worker.py", "start"]


@pytest.fixture
def health() -> Iterator[HTTPServer]:
    """A health endpoint that answers with the server's ``status``."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(HTTPStatus(getattr(self.server, "status")))  # noqa: B009
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_health_check_follows_the_workers_health_port(image: Stage, health: HTTPServer) -> None:
    command = json.loads(image.settings["healthcheck"])
    port = str(health.server_port)
    results = []
    for status in (200, 503):
        setattr(health, "status", status)  # noqa: B010
        results.append(image.run(command, GREFFIER_HEALTH_PORT=port).returncode)
    nobody = image.run(command, GREFFIER_HEALTH_PORT="9").returncode
    assert (results, nobody) == ([0, 1], 1)


@pytest.mark.parametrize(
    "path",
    ["deploy/.env", ".env", "key.pem", "tests/unit/test_doctor.py", "agents/__pycache__/a.pyc"],
)
def test_what_is_not_part_of_the_image_is_not_sent_to_docker(path: str) -> None:
    assert is_ignored(Path(path), ignore_patterns())
