"""What the settings hold for each provider: keys, addresses, and the connections made with them."""

from __future__ import annotations

import importlib
from collections.abc import Container
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from pipelines.settings import Settings

_NO_KEY: Final = "none"


class ProviderAccess:
    """Gives engines their keys, addresses and connections; owns the connections.

    Args:
        settings: Settings of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None
        self._openai: Any = None
        self._undo = AsyncExitStack()

    def missing(self, provider: str) -> str:
        """Return which setting a provider lacks, as advice; empty where it lacks none."""
        settings = self._settings
        if provider == "deepgram" and not settings.deepgram_api_key.get_secret_value():
            return f"set {settings.variable('deepgram_api_key')}"
        if provider == "openai" and not (
            settings.openai_api_key.get_secret_value() or settings.openai_base_url
        ):
            return (
                f"set {settings.variable('openai_api_key')} or "
                f"{settings.variable('openai_base_url')}"
            )
        return ""

    def advice(self, provider: str) -> str:
        """Return what to do when the provider refuses the key; empty where we hold none."""
        field = f"{provider}_api_key"
        return f"check {Settings.variable(field)}" if field in Settings.model_fields else ""

    def arguments(self, provider: str, accepted: Container[str]) -> dict[str, Any]:
        """Return the arguments that a plugin's constructor gets; call it in the event loop.

        Args:
            provider: First part of the engine's name.
            accepted: Names of the constructor's parameters.
        """
        arguments: dict[str, Any] = {}
        if "http_session" in accepted:
            arguments["http_session"] = self._http_session()
        if provider == "deepgram":
            arguments["api_key"] = self._settings.deepgram_api_key.get_secret_value()
            if address := self._settings.deepgram_base_url:
                arguments["base_url"] = _listen(address)
        elif provider == "openai":
            arguments["client"] = self._openai_client()
        return arguments

    async def aclose(self) -> None:
        """Close the connections; safe to call twice."""
        self._session = self._openai = None
        await self._undo.aclose()

    def _http_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
            self._undo.push_async_callback(self._session.close)
        return self._session

    def _openai_client(self) -> Any:
        """One client for all languages; the plugin would make its own and never close it."""
        if self._openai is None:
            self._openai = importlib.import_module("openai").AsyncClient(
                # A server of one's own may need no key; the library refuses to be without.
                api_key=self._settings.openai_api_key.get_secret_value() or _NO_KEY,
                base_url=self._settings.openai_base_url or None,
                max_retries=0,
            )
            self._undo.push_async_callback(self._openai.close)
        return self._openai


def _listen(address: str) -> str:
    """Complete the address of a Deepgram server with the path that its plugin leaves out."""
    if urlsplit(address).path in ("", "/"):
        return f"{address.rstrip('/')}/v1/listen"
    return address
