"""Which speech engines this process may use, and the one door to them.

An engine is named by one string. ``deepgram/nova-3`` is ``livekit.plugins.deepgram.STT`` with
``model="nova-3"``; ``pocketsphinx/en-us`` is the local engine behind the entry point
``pocketsphinx`` of group ``greffier.engines``; without a model the engine's default counts. Names
may come from a room's metadata; import paths, addresses and keys come from the settings only.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from pipelines.errors import EngineError, EngineNotAllowedError, SettingsError
from pipelines.settings import Settings
from pipelines.speech.key_terms import key_terms_for
from pipelines.speech.stt import Recognizer

GROUP: Final = "greffier.engines"
"""Entry-point group of the engines that run on this machine."""
AUTO: Final = "auto"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/[\w.\-]+)*", re.ASCII)
_NO_KEY: Final = "none"


class Engines:
    """The engines that the operator allows; makes each recognizer once.

    Args:
        settings: Settings of the process.

    Raises:
        SettingsError: An entry of ``engine_plugins`` is not ``name=module:Class``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plugins = _parse_plugins(settings.engine_plugins)
        self._recognizers: dict[tuple[str, str, tuple[str, ...]], Recognizer] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._session: aiohttp.ClientSession | None = None

    @property
    def workers(self) -> int:
        """How many pieces of speech a batch or local engine works on at once."""
        return self._settings.engine_workers or max(2, os.cpu_count() or 0)

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every name that may be asked for."""
        own = (self._settings.engine,) if self._settings.engine != AUTO else ()
        return tuple(dict.fromkeys((*self._settings.allowed_engines, *self._plugins, *own)))

    def resolve(self, name: str = "") -> str:
        """Return the engine that ``name`` stands for.

        Args:
            name: ``provider/model``, ``provider``, ``auto``, or empty for the one in the settings.

        Raises:
            EngineNotAllowedError: The operator does not allow it.
            EngineError: It needs a key or a package that is not there; the message has the fix.
        """
        name = name or self._settings.engine
        if name == AUTO:
            return self._automatic()
        if not _NAME.fullmatch(name) or not self._is_allowed(name):
            raise EngineNotAllowedError(
                f"engine {name!r} is not allowed here; allowed are {', '.join(self.allowed)} "
                f"({Settings.variable('allowed_engines')})"
            )
        missing = self._missing(name)
        if missing:
            raise EngineError(f"engine {name!r} can't be used: {missing}")
        return name

    def recognizer(
        self, name: str = "", *, language: str = "", key_terms: Sequence[str] = ()
    ) -> Recognizer:
        """Return the recognizer of an engine; the same one for the same arguments.

        To be called in the event loop that uses it.

        Args:
            name: As for :meth:`resolve`.
            language: BCP 47 tag, ``multi`` where the engine is to tell, or empty for the settings'.
            key_terms: Words that the engine should know, where it can be told.

        Raises:
            EngineNotAllowedError: The operator does not allow it.
            EngineError: It can't be used with these arguments; the message has the fix.
        """
        name = self.resolve(name)
        language = language or self._settings.language
        key = (name, language, tuple(key_terms))
        if key not in self._recognizers:
            self._recognizers[key] = self._make(*key)
        return self._recognizers[key]

    async def aclose(self) -> None:
        """Close every engine; safe to call twice."""
        recognizers = list(self._recognizers.values())
        self._recognizers.clear()
        results = await asyncio.gather(*(r.aclose() for r in recognizers), return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _automatic(self) -> str:
        for provider in ("deepgram", "openai", *self._offline()):
            if self._is_allowed(provider) and not self._missing(provider):
                return provider
            for name in self.allowed:
                if name.startswith(f"{provider}/") and not self._missing(name):
                    return name
        raise EngineError(
            f"no speech engine can be used: set {Settings.variable('deepgram_api_key')} or "
            f"{Settings.variable('openai_api_key')}, or install one that runs on this machine: "
            "pip install 'greffier[pocketsphinx]'"
        )

    def _is_allowed(self, name: str) -> bool:
        return name in self.allowed or name.partition("/")[0] in self.allowed

    def _offline(self) -> list[str]:
        """Local engines whose model comes with the package."""
        return [n for n, entry in _local().items() if getattr(entry.load(), "offline", False)]

    def _missing(self, name: str) -> str:
        """Return what the engine lacks, as advice; empty where it can be used."""
        provider = name.partition("/")[0]
        if provider in self._plugins:
            return ""
        if provider in _local():
            package = getattr(_local()[provider].load(), "package", "")
            if package and importlib.util.find_spec(package) is None:
                return f"pip install 'greffier[{provider}]'"
            return ""
        if provider == "deepgram" and not self._settings.deepgram_api_key.get_secret_value():
            return f"set {Settings.variable('deepgram_api_key')}"
        if provider == "openai" and not (
            self._settings.openai_api_key.get_secret_value() or self._settings.openai_base_url
        ):
            return (
                f"set {Settings.variable('openai_api_key')} or "
                f"{Settings.variable('openai_base_url')}"
            )
        if importlib.util.find_spec(f"livekit.plugins.{_module(provider)}") is None:
            return f"pip install livekit-plugins-{provider}"
        return ""

    def _make(self, name: str, language: str, key_terms: tuple[str, ...]) -> Recognizer:
        provider, _, model = name.partition("/")
        make = self._class(provider)
        accepted = inspect.signature(make).parameters
        if not model:
            default = accepted["model"].default if "model" in accepted else ""
            model = default if isinstance(default, str) else ""
        offered = {
            "language": language,
            "workers": self._settings.engine_workers,
            **({"model": model} if model else {}),
            **self._addressed(provider),
            **(key_terms_for(provider, model, key_terms, accepted) if key_terms else {}),
        }
        if language == "multi" and "detect_language" in accepted and provider != "deepgram":
            del offered["language"]
            offered["detect_language"] = True
        if "http_session" in accepted:
            offered["http_session"] = self._http_session()
        try:
            engine = make(**{key: value for key, value in offered.items() if key in accepted})
        except EngineError:
            raise
        except Exception as error:
            # The message may hold an argument, and an argument may be a key.
            raise EngineError(
                f"engine {name!r} refuses its settings ({type(error).__name__}); "
                "check its model, language and key"
            ) from None
        slots = self._slots.setdefault(provider, asyncio.Semaphore(self.workers))
        return Recognizer(
            f"{provider}/{model}" if model else provider,
            engine,
            slots=slots,
            language="" if language == "multi" else language,
            advice=self._advice(provider),
        )

    def _class(self, provider: str) -> Any:
        if path := self._plugins.get(provider):
            module, _, attribute = path.partition(":")
            try:
                return getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise EngineError(f"engine {provider!r}: can't import {path}: {error}") from None
        if entry := _local().get(provider):
            return entry.load()
        return importlib.import_module(f"livekit.plugins.{_module(provider)}").STT

    def _addressed(self, provider: str) -> Mapping[str, str]:
        """Keys and addresses that the settings have for a provider."""
        settings = self._settings
        if provider in self._plugins:
            return {}
        if provider == "deepgram":
            address = {"base_url": _listen(settings.deepgram_base_url)}
            key = settings.deepgram_api_key.get_secret_value()
        elif provider == "openai":
            address = {"base_url": settings.openai_base_url}
            # A server of one's own may need no key; the plugin refuses to be without.
            key = settings.openai_api_key.get_secret_value() or _NO_KEY
        else:
            return {}
        return {"api_key": key, **(address if address["base_url"] else {})}

    def _advice(self, provider: str) -> str:
        field = f"{provider}_api_key"
        return f"check {Settings.variable(field)}" if field in Settings.model_fields else ""

    def _http_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        return self._session


def _local() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _module(provider: str) -> str:
    return provider.replace("-", "_")


def _listen(address: str) -> str:
    """Complete the address of a Deepgram server with the path that its plugin leaves out."""
    if address and urlsplit(address).path in ("", "/"):
        return f"{address.rstrip('/')}/v1/listen"
    return address


def _parse_plugins(entries: Sequence[str]) -> dict[str, str]:
    plugins = {}
    for entry in entries:
        name, _, path = entry.partition("=")
        module, _, attribute = path.partition(":")
        if not (re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) and module and attribute.isidentifier()):
            raise SettingsError(
                f"{Settings.variable('engine_plugins')}: {entry!r} is not name=module:Class"
            )
        plugins[name] = path
    return plugins
