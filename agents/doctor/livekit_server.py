"""Is LiveKit there, does it take our key, and does its clock agree with ours."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from livekit import api

from agents.doctor.check import Check, error, ok, warning
from pipelines.settings import Settings

NAME: Final = "LiveKit"
CLOCK: Final = "clock"
MOST_CLOCK_DIFFERENCE: Final = 2.0  # seconds
LEAST_SECRET: Final = 32  # characters; livekit-server asks for as many

_METHOD: Final = "/twirp/livekit.RoomService/ListRooms"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10, connect=5)
_HTTP: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str
    date: str
    asked_at: float
    answered_at: float


async def check_livekit(settings: Settings) -> list[Check]:
    """Ask the server for a room list with the settings' key; compare its clock with ours."""
    if missing := _missing(settings):
        return [error(NAME, f"{' and '.join(missing)} not set", "set what is missing")]
    address = urlsplit(settings.livekit_url)
    shown = f"{address.scheme}://{address.hostname}{f':{address.port}' if address.port else ''}"
    try:
        answer = await _list_rooms(settings)
    except (aiohttp.ClientError, TimeoutError, ValueError) as failure:
        return [_unreachable(shown, failure)]
    short = len(settings.livekit_api_secret.get_secret_value()) < LEAST_SECRET
    return [_judge(shown, answer, short_secret=short), *_clock(answer)]


def _missing(settings: Settings) -> list[str]:
    needed = {
        "livekit_url": settings.livekit_url,
        "livekit_api_key": settings.livekit_api_key,
        "livekit_api_secret": settings.livekit_api_secret.get_secret_value(),
    }
    return [Settings.variable(name) for name, value in needed.items() if not value]


async def _list_rooms(settings: Settings) -> _Answer:
    # Not through LiveKitAPI: it hides the text of a 401, which says what is wrong, and the date.
    address = urlsplit(settings.livekit_url)
    base = urlunsplit((_HTTP[address.scheme], address.netloc, address.path.rstrip("/"), "", ""))
    key, secret = settings.livekit_api_key, settings.livekit_api_secret.get_secret_value()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a short secret a check of its own says so
        grants = api.VideoGrants(room_list=True)
        token = api.AccessToken(key, secret).with_grants(grants).to_jwt()
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        asked_at = time.time()
        async with session.post(
            base + _METHOD,
            json={"names": ["greffier-doctor"]},
            headers={"Authorization": f"Bearer {token}"},
            allow_redirects=False,
        ) as reply:
            answered_at = time.time()
            text = (await reply.content.read(4096)).decode("utf-8", "replace")
            date = reply.headers.get("Date", "")
            return _Answer(reply.status, text, date, asked_at, answered_at)


def _unreachable(shown: str, failure: Exception) -> Check:
    match failure:
        case aiohttp.ClientConnectorDNSError():
            return error(NAME, f"{shown}: no such host", "correct the host in LIVEKIT_URL")
        case aiohttp.ClientConnectorCertificateError():
            return error(
                NAME,
                f"{shown}: its certificate is not trusted",
                "install the certificate's authority on this machine, or correct LIVEKIT_URL",
            )
        case aiohttp.ClientSSLError():
            return error(
                NAME,
                f"{shown}: no TLS is spoken there",
                "use ws:// in LIVEKIT_URL, or the port of the TLS proxy",
            )
        case aiohttp.ClientConnectorError() if isinstance(failure.os_error, ConnectionRefusedError):
            return error(
                NAME,
                f"{shown}: connection refused",
                "start livekit-server, or correct the port in LIVEKIT_URL",
            )
        case TimeoutError():
            return error(
                NAME, f"{shown}: no answer in time", "open the firewall, or correct LIVEKIT_URL"
            )
        case _:
            return error(
                NAME, f"{shown}: {type(failure).__name__}", "correct LIVEKIT_URL: no HTTP there"
            )


def _judge(shown: str, answer: _Answer, *, short_secret: bool) -> Check:
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return _refused(shown, answer.text)
    if answer.status == HTTPStatus.BAD_REQUEST and "HTTPS" in answer.text:
        return error(NAME, f"{shown}: TLS is spoken there", "use wss:// in LIVEKIT_URL")
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        return error(
            NAME, f"{shown}: it redirects elsewhere", "use wss:// and the final host in LIVEKIT_URL"
        )
    if answer.status != HTTPStatus.OK or not answer.text.startswith("{"):
        return error(
            NAME,
            f"{shown}: answered {answer.status}, not as a LiveKit server",
            "correct LIVEKIT_URL: scheme, host and port of livekit-server, without a path",
        )
    return _accepted(shown, short_secret=short_secret)


def _accepted(shown: str, *, short_secret: bool) -> Check:
    found = f"{shown}: reachable, key right"
    if not shown.startswith("ws"):
        return warning(NAME, found, "write ws:// or wss:// in LIVEKIT_URL")
    if short_secret:
        return warning(
            NAME,
            f"{found}, but the secret has fewer than {LEAST_SECRET} characters",
            "use a longer one, here and in the server's `keys`",
        )
    return ok(NAME, found)


def _refused(shown: str, text: str) -> Check:
    # The server's text holds our token: never show it.
    if "invalid API key" in text:
        return error(
            NAME,
            f"{shown}: the server does not know LIVEKIT_API_KEY",
            "use a key from the server's `keys`",
        )
    if "signature" in text:
        return error(
            NAME,
            f"{shown}: LIVEKIT_API_SECRET does not belong to LIVEKIT_API_KEY",
            "use the secret beside the key in the server's `keys`",
        )
    if "expired" in text or "not valid yet" in text:
        return error(NAME, f"{shown}: our tokens are outside their time", "set the clock (NTP)")
    return error(NAME, f"{shown}: the key is refused", "check LIVEKIT_API_KEY and its secret")


def _clock(answer: _Answer) -> list[Check]:
    try:
        theirs = parsedate_to_datetime(answer.date).timestamp() + 0.5  # it has whole seconds
    except ValueError:
        return [warning(CLOCK, "the server's answer has no date", "check the clock yourself")]
    difference = (answer.asked_at + answer.answered_at) / 2 - theirs
    if abs(difference) <= MOST_CLOCK_DIFFERENCE:
        return [ok(CLOCK, f"within {MOST_CLOCK_DIFFERENCE:.0f} s of LiveKit's")]
    side = "ahead of" if difference > 0 else "behind"
    return [
        warning(
            CLOCK,
            f"{abs(difference):.0f} s {side} LiveKit's: times in transcripts are wrong",
            "run NTP on both machines",
        )
    ]
