"""Are the stores behind HTTP there, and do they take our secret. Nothing is written."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

from pydantic import SecretStr

from agents.doctor.check import Check, error, ok, warning
from pipelines.errors import SettingsError
from pipelines.transcript.stores.address import StoreAddress
from pipelines.transcript.stores.http import HttpStore
from pipelines.transcript.stores.http_session import HttpSession, HttpStoreError
from pipelines.transcript.stores.meetai import FIXES, endpoint, is_success

TIMEOUT: Final = 10.0  # seconds


async def check_http_store(address: StoreAddress, secret: SecretStr) -> Check:
    """Read a meeting that does not exist, with the secret and with a wrong one."""
    name = f"store {address.name}"
    try:
        await _read_nothing(address, secret)
    except SettingsError as failure:
        return error(name, f"{address.shown}: the secret is no key", str(failure))
    except HttpStoreError as failure:
        return error(name, f"{address.shown}: {failure.what}", failure.fix)
    except TimeoutError:
        return _silent(name, address)
    wrong = SecretStr(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")
    try:
        await _read_nothing(address, wrong)
    except (HttpStoreError, TimeoutError):
        return ok(
            name,
            f"{address.shown}: can be read, secret right; not tried: whether it keeps lines",
        )
    return warning(
        name,
        f"{address.shown}: takes a wrong signature: whoever reaches it can read and write there",
        "let the server check signatures as docs/store.openapi.yaml says",
    )


async def check_meetai(address: StoreAddress, secret: SecretStr) -> Check:
    """Post no lines to a meeting that does not exist: a backend answers, and has nothing to keep.

    Which of secret, body and meeting a backend looks at first is not in its contract, so only a
    401 is proof, and only of a wrong secret.
    """
    name = f"store {address.name}"
    fields = {
        "meetingId": _no_meeting(),
        "INTERNAL_HANDSHAKE_SECRET": secret.get_secret_value(),
        "lines": [],
    }
    try:
        async with asyncio.timeout(TIMEOUT), _session(address) as session:
            answer = await session.ask(
                "POST",
                endpoint(address),
                headers={"content-type": "application/json"},
                body=json.dumps(fields).encode(),
            )
    except HttpStoreError as failure:
        json_answer = failure.content_type == "application/json"
        if json_answer and failure.status == HTTPStatus.BAD_REQUEST:
            return ok(name, f"{address.shown}: reachable; not tried: the secret, a line")
        if not json_answer or failure.status != HTTPStatus.NOT_FOUND:
            return error(name, f"{address.shown}: {failure.what}", failure.fix)
    except TimeoutError:
        return _silent(name, address)
    else:
        if not is_success(answer.body):
            return error(
                name,
                f"{address.shown}: answered {answer.status}, but not as a MeetAI backend",
                "correct the address in GREFFIER_STORES",
            )
    return ok(name, f"{address.shown}: reachable, secret not refused; not tried: a line")


async def _read_nothing(address: StoreAddress, secret: SecretStr) -> None:
    store = HttpStore(address, secret)
    try:
        async with asyncio.timeout(TIMEOUT):
            await store.read(_no_meeting())
    finally:
        await store.aclose()


@asynccontextmanager
async def _session(address: StoreAddress) -> AsyncIterator[HttpSession]:
    session = HttpSession(address, FIXES)
    try:
        yield session
    finally:
        await session.aclose()


def _no_meeting() -> str:
    return f"greffier-doctor-{secrets.token_hex(8)}"


def _silent(name: str, address: StoreAddress) -> Check:
    return error(
        name,
        f"{address.shown}: no answer in {TIMEOUT:.0f} s",
        "look at the server's load and the firewall, or correct the address in GREFFIER_STORES",
    )
