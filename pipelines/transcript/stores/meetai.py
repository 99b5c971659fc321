"""A MeetAI-style backend: final captions posted to ``/api/agent-transcript``.

The backend appends what it gets and can't be read, so a line whose reply was lost is there twice:
at least once, and ``index`` tells the two apart. What it did acknowledge is not sent again by this
process, also when the rest of the same call failed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import SecretStr
from yarl import URL

from pipelines.errors import StoreError
from pipelines.transcript.line import Line
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.http_session import HttpSession

log = logging.getLogger(__name__)

POST: Final = 10
"""Most lines in a request: what such a backend is sent by its own agent."""

REMEMBERED: Final = 5_000
"""Acknowledged lines that are remembered: hours of speech, in about 1 MB."""

FIXES: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "let the backend take lines of role, speaker, text, timestamp, index",
    HTTPStatus.UNAUTHORIZED: "set GREFFIER_MEETAI_SECRET to its INTERNAL_HANDSHAKE_SECRET",
    HTTPStatus.NOT_FOUND: "put the backend's meeting id in the room's metadata "
    "(`meetingData.id`), and its base address in GREFFIER_STORES",
}


def endpoint(address: StoreAddress) -> URL:
    """Return where the backend takes lines."""
    return URL(address.url.removeprefix("meetai+")) / "api" / "agent-transcript"


def is_success(reply: bytes) -> bool:
    """Tell whether the body of a reply is a backend's word that it took what was posted."""
    try:
        fields = json.loads(reply)
    except ValueError:
        return False
    return isinstance(fields, dict) and fields.get("success") is True


class MeetaiStore:
    """Posts the finals and corrections among the lines; the other kinds have no place there.

    A final without text, which withdraws a segment, has none either. A revision of a segment and a
    person's correction of it go as lines of their own with an index of their own, in the speaker's
    name and at the time of speech: what is there can't be changed.

    Args:
        address: ``meetai+https://host[/base]``.
        secret: The backend's ``INTERNAL_HANDSHAKE_SECRET``; it goes in every request's body.
    """

    reads_back = False

    def __init__(self, address: StoreAddress, secret: SecretStr) -> None:
        self.name = address.name
        self._url = endpoint(address)
        self._secret = secret
        self._session = HttpSession(address, FIXES)
        # Oldest first; a retry repeats at most one batch, a lost checkpoint more.
        self._acknowledged: dict[tuple[str, int, int], None] = {}

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Post the finals and corrections that were not acknowledged yet, up to ten a request."""
        new = [
            line
            for line in lines
            if line.kind in ("final", "correction")
            and line.data["text"].strip()
            and (meeting, *line.key) not in self._acknowledged
        ]
        for start in range(0, len(new), POST):
            part = new[start : start + POST]
            await self._post(meeting, part)
            self._acknowledged.update(dict.fromkeys((meeting, *line.key) for line in part))
            while len(self._acknowledged) > REMEMBERED:
                del self._acknowledged[next(iter(self._acknowledged))]

    async def read(self, meeting: str) -> list[Line]:  # noqa: ARG002 - as every store has it
        """Such a backend shows its lines to nobody but its own pages."""
        raise StoreError(f"store {self.name}: a MeetAI backend can't be read back")

    async def sealed(self, meeting: str, lines: int) -> None:
        """Nothing there serves only the recovery."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.aclose()

    async def _post(self, meeting: str, lines: Sequence[Line]) -> None:
        fields = {
            "meetingId": meeting,
            "INTERNAL_HANDSHAKE_SECRET": self._secret.get_secret_value(),
            "lines": [_entry(line) for line in lines],
        }
        answer = await self._session.ask(
            "POST",
            self._url,
            headers={"content-type": "application/json"},
            body=json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace"),
        )
        # It can't be read back, so its word is all there is: a login page is not its word.
        if not is_success(answer.body):
            raise self._session.refusal(
                f"answered {answer.status}, but not as a MeetAI backend",
                "correct the address in GREFFIER_STORES",
            )
        stored = json.loads(answer.body).get("stored")
        if isinstance(stored, int) and stored != len(lines):
            # Sending them again would double those that it has.
            log.warning(
                "store took another number of lines than it was sent",
                extra={"store": self.name, "sent": len(lines), "stored": stored},
            )


def _entry(line: Line) -> dict[str, Any]:
    data = line.data
    spoken, said_at = data, line.at
    if line.kind == "correction":
        spoken, said_at = data["final"], data["said_at"]
    entry = {
        "role": spoken.get("role", "human"),
        "speaker": spoken["speaker"],
        "text": data["text"],
        "timestamp": round(said_at * 1000),
    }
    if index := data.get("index"):  # Lines of 0.1.0 have none.
        entry["index"] = index
    return entry
