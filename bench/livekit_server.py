"""A real livekit-server for tests, bench and demo, that nothing outside this machine can reach."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.child_process import ChildError, ChildProcess
from bench.livekit_binary import LIVEKIT_SERVER

_READY_TIMEOUT = 15.0  # seconds; it takes 0.3 on an idle machine
_ATTEMPTS = 3  # another process may take a free port before the server binds it


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class LiveKitServer:
    """One livekit-server; a context manager, plain or async. Its ports stay the same for life.

    Args:
        directory: Takes config and log; a temporary one by default.
        binary: The program; by default the one on PATH or in the cache.
        node_ip: Address of media; default ``GREFFIER_BENCH_NODE_IP``, else 127.0.0.1. Clients take
            part from an address that is not loopback: where there is none, as in an empty network
            namespace, WebRTC does not connect (see ``bench/without_network``).
        config: Top-level keys of the server's config that are added or replaced.
        webhooks: Addresses that it posts its webhooks to.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        binary: Path | None = None,
        node_ip: str = "",
        config: dict[str, Any] | None = None,
        webhooks: Sequence[str] = (),
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="livekit-") if not directory else None
        self.directory = (
            directory or Path(self._temporary.name if self._temporary else "")
        ).resolve()
        self.api_key = f"key{secrets.token_hex(4)}"
        self.api_secret = secrets.token_hex(24)
        self._binary = binary
        self._node_ip = node_ip or os.environ.get("GREFFIER_BENCH_NODE_IP", "") or "127.0.0.1"
        self._more = dict(config or {})
        if webhooks:
            self._more["webhook"] = {"api_key": self.api_key, "urls": list(webhooks)}
        self._port = 0
        self._process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """Address for clients, ``ws://127.0.0.1:port``."""
        return f"ws://127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """File with everything the server printed."""
        return self.directory / "livekit-server.log"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._require().pid

    def env(self) -> dict[str, str]:
        """Return the three variables by which LiveKit's programs and our worker find it."""
        return {
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
        }

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ProgramMissingError: There is no program and it could not be built.
            ChildError: It does not become ready.
        """
        binary = self._binary or LIVEKIT_SERVER.ensure()
        for attempt in range(1, _ATTEMPTS + 1):
            self._port = free_port()
            config = self.directory / "livekit.json"  # JSON is YAML
            self.directory.mkdir(parents=True, exist_ok=True)
            config.write_text(json.dumps(self._config(), indent=2), encoding="utf-8")
            config.chmod(0o600)
            command = [str(binary), "--config", str(config)]
            self._process = ChildProcess("livekit-server", command, log=self.log)
            try:
                self._begin()
            except ChildError:
                if attempt == _ATTEMPTS or "address already in use" not in self._process.output():
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it in good order, then remove the temporary directory."""
        if self._process is not None:
            self._process.stop(timeout=5)
        if self._temporary is not None:
            self._temporary.cleanup()

    def kill(self) -> None:
        """End it with SIGKILL; :meth:`restart` brings it back."""
        self._require().kill()

    def restart(self) -> None:
        """Start it again on the same ports with the same keys, killing it first if it runs."""
        self.kill()
        self._begin()

    def _begin(self) -> None:
        process = self._require().start()
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self._answers():
            if not process.running or time.monotonic() > deadline:
                process.kill()
                raise process.error("did not become ready")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _require(self) -> ChildProcess:
        if self._process is None:
            raise ChildError("livekit-server is not started")
        return self._process

    def _config(self) -> dict[str, Any]:
        address = self._node_ip
        return {
            "port": self._port,
            "bind_addresses": ["127.0.0.1"],
            "rtc": {
                "node_ip": address,
                "udp_port": free_port(socket.SOCK_DGRAM),
                "tcp_port": 0,  # without it, the server listens for ICE/TCP on every interface
                "enable_loopback_candidate": True,
                "use_external_ip": False,
                "ips": {"includes": [f"{address}/32"]},
                # Without it, clients are sent to public STUN servers. Nobody answers here.
                "stun_servers": ["127.0.0.1:3999"],
                **({"interfaces": {"includes": ["lo", "lo0"]}} if address == "127.0.0.1" else {}),
            },
            "keys": {self.api_key: self.api_secret},
            **self._more,
        }

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)
