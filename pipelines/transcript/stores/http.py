"""A store behind our own HTTP contract, ``docs/store.openapi.yaml``.

Lines are posted in batches that the receiver may get twice and keeps once, line by line; they are
read back in pages. Both are signed as Standard Webhooks 1.0.0 says
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from pydantic import SecretStr
from yarl import URL

from pipelines.transcript.line import Line, TornLineError, distinct
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.http_session import HttpSession, HttpStoreError
from pipelines.webhook_key import open_webhook, signed

LONGEST_BODY: Final = 1_000_000
"""Bytes of a batch: less than nginx and aiohttp take by default. A longer line goes alone."""

PAGE: Final = 500
"""Lines asked for at once."""

LONGEST_PAGE: Final = 16 * 1024 * 1024
"""Bytes of a page; the receiver ends one before that, however few lines it has."""

_FIXES: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "let the server take what docs/store.openapi.yaml says",
    HTTPStatus.UNAUTHORIZED: "set GREFFIER_STORE_SECRET to the server's, and both clocks by NTP",
    HTTPStatus.FORBIDDEN: "set GREFFIER_STORE_SECRET to one that may write and read there",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"let the server take bodies of {LONGEST_BODY:,} bytes",
}


class HttpStore:
    """Posts lines to ``address`` and reads them back from there.

    Args:
        address: Where; its query, if any, is sent with every request.
        secret: ``whsec_`` and a base64 key of 24 to 64 bytes, as the receiver has it.

    Raises:
        SettingsError: The secret is not one.
    """

    reads_back = True

    def __init__(self, address: StoreAddress, secret: SecretStr) -> None:
        self.name = address.name
        self._address = address
        self._url = URL(address.url).with_fragment(None)
        self._webhook = open_webhook(secret, setting="GREFFIER_STORE_SECRET")
        self._session = HttpSession(address, _FIXES)

    async def append(self, meeting: str, lines: Sequence[Line]) -> None:
        """Post the lines; each request is there whole or not at all, and may be repeated."""
        for first, last, body in _batches(meeting, lines):
            # The same whenever these lines are sent, so that a receiver can tell a repetition.
            # Without full stops, which part what is signed: the meeting's id is not ours.
            message = f"{meeting_key(meeting)}_{lines[0].epoch}_{first}-{last}"
            headers = {
                **signed(self._webhook, message, body.decode()),
                "content-type": "application/json",
            }
            await self._session.ask("POST", self._url, headers=headers, body=body)

    async def read(self, meeting: str) -> list[Line]:
        """Return every line of the meeting once, in order of (epoch, sequence)."""
        lines: list[Line] = []
        after: tuple[int, int] | None = (0, 0)
        while after is not None:
            page, after = await self._page(meeting, after)
            lines += page
        return distinct(lines)

    async def sealed(self, meeting: str, lines: int) -> None:
        """Nothing there serves only the recovery."""

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.aclose()

    async def _page(
        self, meeting: str, after: tuple[int, int]
    ) -> tuple[list[Line], tuple[int, int] | None]:
        asked = f"meeting={quote(meeting, safe='', errors='replace')}"
        asked += f"&after={after[0]}.{after[1]}&limit={PAGE}"
        query = "&".join(filter(None, (self._url.raw_query_string, asked)))
        url = URL(f"{self._url.with_query(None)}?{query}", encoded=True)
        # A JSON string, because the libraries for receivers parse what they verify; and no batch
        # is one, so that neither signature serves for the other.
        headers = signed(self._webhook, f"read_{secrets.token_hex(16)}", f'"{query}"')
        answer = await self._session.ask("GET", url, headers=headers, longest=LONGEST_PAGE)
        if not answer.whole:
            raise self._broken(f"a page is longer than {LONGEST_PAGE:,} bytes")
        try:
            page = json.loads(answer.body)
            lines = [_line(fields, meeting) for fields in page["lines"]]
            following = _key(page["next"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._broken("a page is not what docs/store.openapi.yaml says") from error
        if following is not None and following <= after:
            raise self._broken("a page does not lead on")
        return lines, following

    def _broken(self, what: str) -> HttpStoreError:
        return HttpStoreError(self._address, what, "correct the server, or the address")


def _batches(meeting: str, lines: Sequence[Line]) -> Iterator[tuple[int, int, bytes]]:
    """Yield first sequence, last sequence and body of each request that ``lines`` become.

    A request holds sequences without holes, so first and last say which lines are in it.
    """
    name = json.dumps(meeting, ensure_ascii=False).encode("utf-8", "replace")
    head = b'{"meeting":%b,"epoch":%d,"lines":[' % (name, lines[0].epoch)
    encoded: list[bytes] = []
    size = first = last = 0
    for line in lines:
        fields = line.encode().rstrip(b"\n")
        size += len(fields) + 1
        if encoded and (line.sequence != last + 1 or len(head) + size + 1 > LONGEST_BODY):
            yield first, last, head + b",".join(encoded) + b"]}"
            encoded, size = [], len(fields) + 1
        if not encoded:
            first = line.sequence
        encoded.append(fields)
        last = line.sequence
    yield first, last, head + b",".join(encoded) + b"]}"


def _line(fields: Any, meeting: str) -> Line:
    line = Line.decode(json.dumps(fields).encode())
    whole = (
        line.meeting == meeting.encode("utf-8", "replace").decode()
        and isinstance(line.epoch, int)
        and isinstance(line.sequence, int)
        and isinstance(line.kind, str)
        and isinstance(line.at, int | float)
        and isinstance(line.data, dict)
    )
    if not whole:  # Above all another meeting's, which would be read by the wrong people.
        raise TornLineError("not a line of this meeting")
    return line


def _key(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    epoch, _, sequence = cursor.partition(".")
    return int(epoch), int(sequence)
