"""The Celery app: whom it trusts as a broker, and a command line that Celery takes."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from celery.bin.base import CLIContext  # type: ignore[import-untyped]  # Celery has no types
from celery.bin.worker import worker  # type: ignore[import-untyped]  # likewise
from kombu.exceptions import OperationalError
from pydantic import SecretStr

from pipelines.post_meeting import celery_app
from pipelines.post_meeting.celery_app import create_app, serve
from pipelines.settings import Settings

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for localhost that nobody has signed, with its key."""
    made = tmp_path / "broker.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {made} -out {made}.crt"
    subprocess.run(command.split(), check=True, capture_output=True)
    made.write_text(made.read_text() + Path(f"{made}.crt").read_text())
    return made


@dataclass
class TlsServer:
    """Answers one connection with the certificate, and says whether the client liked it."""

    port: int
    handshake: Future[bool]


@pytest.fixture
def server(certificate: Path) -> Iterator[TlsServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = create_server(("127.0.0.1", 0))

    def answer() -> bool:
        with closing(listener):  # The client's second try is refused at once.
            connection, _ = listener.accept()
        connection.settimeout(10)
        try:
            with closing(context.wrap_socket(connection, server_side=True)) as secure:
                return bool(secure.recv(1))  # With TLS 1.3 a refusal comes after the handshake.
        except ssl.SSLError:
            return False

    listener.settimeout(10)
    port = listener.getsockname()[1]
    with ThreadPoolExecutor(1) as thread:
        yield TlsServer(port, thread.submit(answer))


def connect(url: str) -> None:
    settings = Settings(after="celery", celery_broker=SecretStr(url))
    with create_app(settings).connection_for_write() as connection, pytest.raises(OperationalError):
        connection.ensure_connection(max_retries=1, interval_start=0)


@pytest.mark.parametrize(
    ("host", "options", "trusted"),
    [
        ("localhost", "", False),
        ("localhost", "?ssl_ca_certs={certificate}", True),
        ("127.0.0.1", "?ssl_ca_certs={certificate}", False),
        ("localhost", "?ssl_cert_reqs=none", True),
    ],
)
def test_a_broker_gets_the_password_only_with_a_certificate_that_the_settings_trust(
    host: str, options: str, trusted: bool, server: TlsServer, certificate: Path
) -> None:
    options = options.format(certificate=certificate)
    connect(f"rediss://:sesame@{host}:{server.port}/0{options}")
    assert server.handshake.result(timeout=10) is trusted


@dataclass
class StartedApp:
    """Takes the command line of a worker."""

    argv: list[str] = field(default_factory=list)

    def worker_main(self, argv: list[str]) -> None:
        self.argv = argv


@pytest.mark.parametrize("level", LEVELS)
def test_celery_takes_the_worker_s_command_line_at_every_log_level(
    level: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(log_level=level)
    obj = CLIContext(app=create_app(settings), no_color=True, workdir=None)
    started = StartedApp()
    monkeypatch.setattr(celery_app, "create_app", lambda _: started)
    serve(settings, queues=(), concurrency=2)
    name, *arguments = started.argv
    parsed = worker.make_context(name, arguments, obj=obj)
    assert parsed.params["concurrency"] == 2
