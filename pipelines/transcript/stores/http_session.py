"""One HTTP request to a store; what goes wrong becomes an error that says what to fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from pipelines.errors import StoreError, StoreRefusedError
from pipelines.transcript.stores.address import StoreAddress

_SILENCE: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
"""When a server counts as gone. How long a call may take in all is its caller's to say."""

_PASSING: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Of the statuses below 500, those that the next try may not see."""


class HttpStoreError(StoreError):
    """A store at an HTTP address did not take or give lines.

    Neither the request nor the reply is quoted: both may hold secrets and what people said.

    Args:
        address: The store.
        what: What happened.
        fix: What to do about it.
        status: The HTTP status, or 0 where the answer is not wrong for its status.
        content_type: Of the answer with that status.
    """

    def __init__(
        self,
        address: StoreAddress,
        what: str,
        fix: str,
        *,
        status: int = 0,
        content_type: str = "",
    ) -> None:
        super().__init__(f"store {address.name} ({address.shown}): {what}; {fix}")
        self.what = what
        self.fix = fix
        self.status = status
        self.content_type = content_type


class HttpStoreRefusedError(HttpStoreError, StoreRefusedError):
    """A store at an HTTP address refused; asking again at once can't help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store answered.

    Args:
        status: HTTP status, 200 to 299.
        body: The reply, or its first bytes where it is longer than was asked for.
        whole: Whether ``body`` is all of it.
    """

    status: int
    body: bytes = field(repr=False)
    whole: bool


class HttpSession:
    """The connections to one store; made with the first request, in the loop that asks.

    Args:
        address: For the messages of errors.
        fixes: What to do about an HTTP status that this store gives a meaning.
    """

    def __init__(self, address: StoreAddress, fixes: Mapping[int, str]) -> None:
        self._address = address
        self._fixes = fixes
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        longest: int = 65_536,
    ) -> Answer:
        """Send one request, following no redirect, and return an answer of 200 to 299.

        Args:
            method: ``GET`` or ``POST``.
            url: Where.
            headers: What the request carries beside aiohttp's own.
            body: What is posted.
            longest: Bytes of the reply to read.

        Raises:
            HttpStoreError: No answer, or one that a later try may not see.
            HttpStoreRefusedError: Any other answer.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_SILENCE)
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as reply:
                self._require_success(reply)
                read = bytearray()
                async for chunk in reply.content.iter_any():
                    read += chunk
                    if len(read) > longest:
                        break
                return Answer(reply.status, bytes(read[:longest]), whole=len(read) <= longest)
        except (aiohttp.ClientError, OSError, TimeoutError) as failure:
            raise HttpStoreError(self._address, *_explained(failure)) from failure

    def refusal(self, what: str, fix: str) -> HttpStoreRefusedError:
        """Build the error for an answer that says less than its status."""
        return HttpStoreRefusedError(self._address, what, fix)

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _require_success(self, reply: aiohttp.ClientResponse) -> None:
        status = reply.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return
        kind: type[HttpStoreError] = HttpStoreRefusedError
        what = f"answered {status}"
        fix = self._fixes.get(status, "correct the address in GREFFIER_STORES")
        if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            kind, fix = HttpStoreError, "look at the server's log"
        elif status < HTTPStatus.BAD_REQUEST:
            what = f"redirects ({status})"
            fix = "write the address that it redirects to in GREFFIER_STORES"
        raise kind(self._address, what, fix, status=status, content_type=reply.content_type)


def _explained(failure: Exception) -> tuple[str, str]:
    """Return what happened and what to do about it."""
    correct = "correct the address in GREFFIER_STORES"
    match failure:
        case aiohttp.ClientConnectorDNSError():
            return "no such host", correct
        case aiohttp.ClientConnectorCertificateError():
            return (
                "its certificate is not trusted",
                f"install the certificate's authority on this machine, or {correct}",
            )
        case aiohttp.ClientSSLError():
            return "no TLS is spoken there", f"{correct}: http:// or the port of the TLS proxy"
        case aiohttp.ClientConnectorError() if isinstance(failure.os_error, ConnectionRefusedError):
            return "connection refused", f"start the server, or {correct}"
        case TimeoutError():
            return "no answer in time", f"look at the server's load and the firewall, or {correct}"
        case _:
            # Only its kind: the message may quote an address with its password.
            return f"connection broken ({type(failure).__name__})", "look at the server's log"
