"""Toxiproxy: TCP connections that are cut, hang or are slow, on command."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from bench.child_process import ChildProcess
from bench.local_server import LocalServer
from bench.toxiproxy_binary import TOXIPROXY


class Toxiproxy(LocalServer):
    """One toxiproxy with any number of proxies; a context manager."""

    def forward(self, name: str, *, upstream: str, host: str = "127.0.0.1") -> Proxy:
        """Return a new proxy for ``upstream`` (``host:port``) on a free port of ``host``."""
        fields = {"name": name, "listen": _address(host, 0), "upstream": upstream}
        made = self.ask("POST", "/proxies", fields)
        return Proxy(self, name, int(made["listen"].rpartition(":")[2]))

    def ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        """Send a request to its API; returns what it answered.

        Raises:
            OSError: It refused, or can't be reached.
        """
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=None if fields is None else json.dumps(fields).encode(),
            method=method,
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def _new_process(self) -> ChildProcess:
        command = [str(TOXIPROXY.ensure()), "-host", "127.0.0.1", "-port", str(self.port)]
        return ChildProcess("toxiproxy", command, log=self.directory / "toxiproxy.log")

    def _answers(self) -> bool:
        try:
            self.ask("GET", "/proxies")
        except (OSError, urllib.error.URLError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; it stands on ``port`` for life."""

    server: Toxiproxy
    name: str
    port: int

    def cut(self) -> None:
        """Close every connection and refuse new ones until :meth:`mend`."""
        self.server.ask("POST", f"/proxies/{self.name}", {"enabled": False})

    def hang(self) -> None:
        """Carry nothing more, either way, and close nothing."""
        for stream in ("upstream", "downstream"):
            self._poison("timeout", stream, timeout=0)

    def delay(self, seconds: float, *, jitter: float = 0.0) -> None:
        """Hold back what the server says."""
        self._poison(
            "latency", "downstream", latency=round(seconds * 1000), jitter=round(jitter * 1000)
        )

    def mend(self) -> None:
        """Let it be as new."""
        for toxic in self.server.ask("GET", f"/proxies/{self.name}/toxics"):
            self.server.ask("DELETE", f"/proxies/{self.name}/toxics/{toxic['name']}")
        self.server.ask("POST", f"/proxies/{self.name}", {"enabled": True})

    def _poison(self, kind: str, stream: str, **attributes: int) -> None:
        fields = {"name": f"{kind}-{stream}", "type": kind, "stream": stream}
        self.server.ask(
            "POST", f"/proxies/{self.name}/toxics", {**fields, "attributes": attributes}
        )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
