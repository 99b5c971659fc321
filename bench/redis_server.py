"""A real redis-server for tests and bench, that nothing outside this machine can reach."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from bench.child_process import ChildError, ChildProcess
from bench.local_server import LocalServer


class RedisServer(LocalServer):
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
        super().__init__(directory)
        self._password = password
        self._more = dict(config or {})

    @property
    def url(self) -> str:
        """Address for clients, ``redis://[:password@]127.0.0.1:port/0``."""
        return self.url_with(self._password)

    def url_with(self, password: str) -> str:
        """Return the address with another password."""
        user = f":{password}@" if password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        """End it in good order; :meth:`start` brings it back with its data."""
        if self._process is not None and self._process.running:
            self.resume()
            super().stop()

    def pause(self) -> None:
        """Have it hang: it keeps its connections and answers nobody until :meth:`resume`."""
        os.kill(self._running().pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused one go on."""
        os.kill(self._running().pid, signal.SIGCONT)

    def _new_process(self) -> ChildProcess:
        binary = shutil.which("redis-server")
        if binary is None:
            raise ChildError("no redis-server on PATH; Debian's package is redis-server")
        command = [binary, str(self._write_config())]
        return ChildProcess("redis-server", command, log=self.directory / "redis-server.log")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                # Without a password -NOAUTH is as good; -LOADING is not.
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _write_config(self) -> Path:
        directives = {
            "bind": "127.0.0.1",
            "port": str(self.port),
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
