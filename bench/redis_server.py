"""A real redis-server for tests and bench, that nothing outside this machine can reach."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.child_process import ChildError, ChildProcess
from bench.livekit_server import free_port

_READY_TIMEOUT = 15.0  # seconds; it takes 0.05 on an idle machine
_ATTEMPTS = 3  # another process may take a free port before the server binds it


class RedisServer:
    """One redis-server that keeps what it is given; a context manager.

    Args:
        directory: Takes config, log and data; a temporary one by default.
        password: Of the default user; none by default.
        config: Directives that are added or replaced, such as ``{"maxmemory": "3mb"}``.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        password: str = "",
        config: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="redis-") if not directory else None
        self.directory = (
            directory or Path(self._temporary.name if self._temporary else "")
        ).resolve()
        self._password = password
        self._more = dict(config or {})
        self._port = 0
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Address for clients, ``redis://[:password@]127.0.0.1:port/0``."""
        return self.url_with(self._password)

    def url_with(self, password: str) -> str:
        """Return the address with another password."""
        user = f":{password}@" if password else ""
        return f"redis://{user}127.0.0.1:{self._port}/0"

    def start(self) -> Self:
        """Start it and wait until it answers; after the first time, on the same port and data.

        Raises:
            ChildError: It does not become ready.
        """
        if self._process is not None:
            self._begin(self._process)
            return self
        binary = shutil.which("redis-server")
        if binary is None:
            raise ChildError("no redis-server on PATH; Debian's package is redis-server")
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = free_port()
            command = [binary, str(self._write_config())]
            self._process = ChildProcess(
                "redis-server", command, log=self.directory / "redis-server.log"
            )
            try:
                self._begin(self._process)
            except ChildError:
                if attempt == _ATTEMPTS or "Address already in use" not in self._process.output():
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it in good order; :meth:`start` brings it back with its data."""
        if self._process is not None and self._process.running:
            self.resume()
            self._process.stop(timeout=5)

    def kill(self) -> None:
        """End it with SIGKILL; :meth:`start` brings it back with what it had written."""
        self._require().kill()

    def pause(self) -> None:
        """Have it hang: it keeps its connections and answers nobody until :meth:`resume`."""
        os.kill(self._require().pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self._require().pid, signal.SIGCONT)

    def _begin(self, process: ChildProcess) -> None:
        process.start()
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if not process.running or time.monotonic() > deadline:
                process.kill()
                raise process.error("did not become ready")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                # Without a password -NOAUTH is as good; -LOADING is not.
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _require(self) -> ChildProcess:
        if self._process is None:
            raise ChildError("redis-server is not started")
        return self._process

    def _write_config(self) -> Path:
        directives = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "dir": f'"{self.directory}"',
            "daemonize": "no",
            "save": '""',
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "requirepass": self._password or '""',
            **self._more,
        }
        config = self.directory / "redis.conf"
        self.directory.mkdir(parents=True, exist_ok=True)
        config.touch(mode=0o600)
        config.write_text("".join(f"{name} {value}\n" for name, value in directives.items()))
        return config

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._remove()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        self.stop()
        if self._temporary is not None:
            self._temporary.cleanup()
