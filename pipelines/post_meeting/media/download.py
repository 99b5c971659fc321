"""A recording over HTTP: streamed, counted, each hop checked before it is asked."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.media.private_addresses import AllowedHosts

REDIRECTS: Final = 5
"""Most redirects that are followed."""
PIECE: Final = 1 << 18
"""Bytes that are read at once."""

_SILENCE: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_PASSING: Final = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_GONE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


class _PrivateAddressError(OSError):
    """A name leads to an address that may not be asked."""


class _CheckingResolver(AbstractResolver):
    """Refuses private addresses where they are found, so that no later look-up finds others."""

    def __init__(self, allowed: AllowedHosts) -> None:
        self._allowed = allowed
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; see aiohttp."""
        found = await self._resolver.resolve(host, port, family)
        if not self._allowed.name(host) and not all(
            self._allowed.address(one["host"]) for one in found
        ):
            raise _PrivateAddressError
        return found

    async def close(self) -> None:
        """Close the resolver; see aiohttp."""
        await self._resolver.close()


async def download(url: str, *, allowed: AllowedHosts, most: int) -> AsyncGenerator[bytes, None]:
    """Iterate over the bytes of what is at ``url``.

    Args:
        url: ``http://`` or ``https://``; it may be a secret, and no error quotes it.
        allowed: Where it may lead.
        most: Bytes that it may announce; the caller counts those that come.

    Raises:
        StepError: It may not be fetched, or is not there: ``media_refused``, ``media_too_large``,
            ``media_not_found``.
        RetryableError: The server is away or in trouble; code ``media_unavailable``.
    """
    connector = aiohttp.TCPConnector(resolver=_CheckingResolver(allowed), use_dns_cache=False)
    try:
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=_SILENCE,
            auto_decompress=False,  # A recording is compressed already; what else is, is a bomb.
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            async for piece in _follow(session, _url(url), allowed, most):
                yield piece
    except _PrivateAddressError:
        raise _private() from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, _PrivateAddressError):
            raise _private() from None
        raise _unavailable(f"no connection ({type(error.os_error).__name__})") from None
    except (aiohttp.InvalidURL, ValueError):
        raise StepError("media_refused", "the recording's URL can't be read") from None
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        # Only its kind: the message may quote the URL.
        raise _unavailable(f"the connection broke ({type(error).__name__})") from None


async def _follow(
    session: aiohttp.ClientSession, url: URL, allowed: AllowedHosts, most: int
) -> AsyncGenerator[bytes, None]:
    for _ in range(REDIRECTS + 1):
        _check(url, allowed)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status in (301, 302, 303, 307, 308):
                url = url.join(_url(answer.headers.get("Location", "")))
                continue
            _require_media(answer, most)
            async for piece in answer.content.iter_chunked(PIECE):
                yield piece
            return
    raise StepError("media_refused", f"the recording's URL redirects more than {REDIRECTS} times")


def _url(text: str) -> URL:
    """Read a URL; one that is encoded stays as it is, for its signature covers how."""
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def _check(url: URL, allowed: AllowedHosts) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise StepError("media_refused", "the recording's URL redirects to what is not HTTP")
    # What is a name is seen to by the resolver, which aiohttp does not ask for an address.
    if not allowed.host(url.raw_host or url.host):
        raise _private()


def _require_media(answer: aiohttp.ClientResponse, most: int) -> None:
    status = answer.status
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _unavailable(f"the server answered {status}")
    if status in _GONE:
        raise StepError("media_not_found", f"the recording is not there ({status})")
    if status != HTTPStatus.OK:
        raise StepError(
            "media_refused",
            f"the recording's server answered {status}: its URL may have expired",
        )
    if answer.content_length is not None and answer.content_length > most:
        raise too_large(most)


def too_large(most: int) -> StepError:
    """Return the error for a recording of more than ``most`` bytes."""
    return StepError(
        "media_too_large",
        f"the recording has more than {most:,} bytes; raise GREFFIER_MEDIA_MAX_BYTES",
    )


def _private() -> StepError:
    return StepError(
        "media_refused",
        "the recording's URL leads to a private address; name its host or network in "
        "GREFFIER_MEDIA_ALLOW if it is yours",
    )


def _unavailable(what: str) -> RetryableError:
    return RetryableError("media_unavailable", f"the recording could not be fetched: {what}")
