r"""What minutes are delivered to: a webhook receiver and a mail server, in a process to be killed.

::

    python -m bench.delivery_server --webhook-port 8091 --mail-port 8025 --dir kept \
        --secret whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= [--die received|kept]

``came.jsonl``
    Every message that was signed or mailed, as often as it came: ``{"kind", "key"}``.
``kept.jsonl``
    Each key once, as a receiver that keeps to the idempotency key has it: ``{"kind", "key"}``.

With ``--die`` the process kills itself at the first message: before it keeps it, or after that but
before it answers. What it has answered is on the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from email import message_from_bytes
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope
from standardwebhooks import Webhook, WebhookVerificationError

Death = Literal["", "received", "kept"]

READY = "delivery server is ready"


class DeliveryServer:
    """Keeps what is delivered.

    Args:
        directory: Takes what came and what is kept; an earlier process may have written to it.
        secret: ``whsec_...`` of the webhook.
        die: When to die.
    """

    def __init__(self, directory: Path, *, secret: str, die: Death = "") -> None:
        self._directory = directory
        self._webhook = Webhook(secret)
        self._die = die
        directory.mkdir(parents=True, exist_ok=True)

    async def post(self, request: web.Request) -> web.Response:
        """Take a webhook."""
        body = await request.read()
        try:
            self._webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        self._take("webhook", request.headers["webhook-id"])
        return web.Response()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Refuse ``later-...`` for now and ``never-...`` for ever."""
        if address.startswith("later-"):
            return "450 busy"
        if address.startswith("never-"):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Any, envelope: Envelope
    ) -> str:
        """Take a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        self._take("mail", message_from_bytes(content)["Message-ID"])
        return "250 kept"

    def _take(self, kind: str, key: str) -> None:
        entry = {"kind": kind, "key": key}
        self._append("came.jsonl", entry)
        self._perhaps_die("received")
        if entry not in read_entries(self._directory / "kept.jsonl"):
            self._append("kept.jsonl", entry)
        self._perhaps_die("kept")

    def _append(self, name: str, entry: dict[str, str]) -> None:
        with (self._directory / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _perhaps_die(self, here: Death) -> None:
        if self._die == here:
            os.kill(os.getpid(), signal.SIGKILL)


def read_entries(path: Path) -> list[dict[str, str]]:
    """Return the entries of one of its files, in order; none where it is not there."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


async def serve(server: DeliveryServer, *, webhook_port: int, mail_port: int) -> None:
    """Serve on 127.0.0.1 until it is cancelled."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/hook", server.post)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", webhook_port).start()
        mail = await asyncio.get_running_loop().create_server(
            lambda: SMTP(server, hostname="localhost"), "127.0.0.1", mail_port
        )
        async with mail:
            print(READY, flush=True)
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Run the command above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--webhook-port", type=int, required=True)
    parser.add_argument("--mail-port", type=int, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--die", choices=("received", "kept"), default="")
    args = parser.parse_args()
    server = DeliveryServer(args.dir, secret=args.secret, die=args.die)
    asyncio.run(serve(server, webhook_port=args.webhook_port, mail_port=args.mail_port))


if __name__ == "__main__":
    main()
