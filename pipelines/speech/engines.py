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
import logging
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipelines.errors import EngineError, EngineNotAllowedError, SettingsError
from pipelines.settings import Settings
from pipelines.speech.backlog import Backlog
from pipelines.speech.breaker import Breaker
from pipelines.speech.engine_options import PARAMETERS
from pipelines.speech.key_terms import key_terms_for
from pipelines.speech.local.installed import installed, is_offline, load, missing
from pipelines.speech.provider_access import ProviderAccess
from pipelines.speech.stt import Recognizer
from pipelines.speech.usage import Usage

log = logging.getLogger(__name__)

AUTO: Final = "auto"

_Key = tuple[str, str, tuple[str, ...], tuple[tuple[str, bool], ...], bool]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(/\w[\w.\-]*)*", re.ASCII)


class Engines:
    """The engines that the operator allows; makes each recognizer once.

    Args:
        settings: Settings of the process.

    ``usage`` counts what the engines are used for. A job process has one meeting, so it, the
    circuit breakers and the backlog are the meeting's: every speaker and language shares them.

    Raises:
        SettingsError: An entry of ``engine_plugins`` is not ``name=module:Class``, or
            ``fallback_engine`` names none that can be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._plugins = _parse_plugins(settings.engine_plugins)
        self._recognizers: dict[_Key, Recognizer] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._breakers: dict[str, Breaker] = {}
        self._backlog = Backlog()
        self.usage = Usage()
        self._access = ProviderAccess(settings)
        self._fallback = self._resolve_fallback(settings.fallback_engine)

    @property
    def workers(self) -> int:
        """How many pieces of speech a batch or local engine works on at once."""
        return self._settings.engine_workers or max(2, os.cpu_count() or 0)

    @property
    def waiting(self) -> float:
        """Seconds of audio that wait for engines, in this job."""
        return self._backlog.seconds

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
        if advice := self._missing(name):
            raise EngineError(f"engine {name!r} can't be used: {advice}")
        return name

    def recognizer(
        self,
        name: str = "",
        *,
        language: str = "",
        key_terms: Sequence[str] = (),
        options: Mapping[str, bool] | None = None,
    ) -> Recognizer:
        """Return the recognizer of an engine; the same one for the same arguments.

        To be called in the event loop that uses it.

        Args:
            name: As for :meth:`resolve`.
            language: BCP 47 tag, ``multi`` where the engine is to tell, or empty for the settings'.
            key_terms: Words that the engine should know, where it can be told.
            options: of :data:`~pipelines.speech.engine_options.PARAMETERS`; the recognizer's
                ``ignored`` names those that the engine does not have.

        Raises:
            EngineNotAllowedError: The operator does not allow it.
            EngineError: It can't be used with these arguments; the message has the fix.
        """
        name = self.resolve(name)
        language = language or self._settings.language
        told = options or {}
        fallback: Recognizer | None = None
        if self._fallback not in ("", name):
            try:
                fallback = self._recognizer(self._fallback, language, key_terms, told, None)
            except EngineError as error:  # The room's engine may understand more languages.
                log.warning("no fallback engine", extra={"cause": str(error)})
        return self._recognizer(name, language, key_terms, told, fallback)

    def forgive(self) -> None:
        """Ask engines again that refused us or failed: something changed."""
        for breaker in self._breakers.values():
            breaker.reset()

    async def aclose(self) -> None:
        """Close every engine; safe to call twice."""
        recognizers = list(self._recognizers.values())
        self._recognizers.clear()
        results = await asyncio.gather(*(r.aclose() for r in recognizers), return_exceptions=True)
        await self._access.aclose()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _automatic(self) -> str:
        offline = [name for name in installed() if is_offline(name)]
        for provider in ("deepgram", "openai", *offline):
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

    def _missing(self, name: str) -> str:
        """Return what the engine lacks, as advice; empty where it can be used."""
        provider = name.partition("/")[0]
        if provider in self._plugins:
            return ""
        if provider in installed():
            return missing(provider)
        if importlib.util.find_spec(f"livekit.plugins.{_module(provider)}") is None:
            return f"pip install livekit-plugins-{provider}"
        return self._access.missing(provider)

    def _resolve_fallback(self, name: str) -> str:
        try:
            return self.resolve(name) if name else ""
        except EngineError as error:
            raise SettingsError(f"{Settings.variable('fallback_engine')}: {error}") from None

    def _recognizer(
        self,
        name: str,
        language: str,
        key_terms: Sequence[str],
        options: Mapping[str, bool],
        fallback: Recognizer | None,
    ) -> Recognizer:
        terms = self._terms(name, key_terms)
        accepted = inspect.signature(self._class(name.partition("/")[0])).parameters
        told = {key: value for key, value in options.items() if PARAMETERS[key] in accepted}
        key = (
            name,
            language,
            tuple(key_terms) if terms else (),
            tuple(sorted(options.items())),
            fallback is not None,
        )
        if key not in self._recognizers:
            more = {**terms, **{PARAMETERS[key]: value for key, value in told.items()}}
            ignored = tuple(sorted(options.keys() - told.keys()))
            self._recognizers[key] = self._make(name, language, more, ignored, fallback)
        return self._recognizers[key]

    def _make(
        self,
        name: str,
        language: str,
        more: Mapping[str, Any],
        ignored: tuple[str, ...],
        fallback: Recognizer | None,
    ) -> Recognizer:
        provider, _, model = name.partition("/")
        make = self._class(provider)
        accepted = inspect.signature(make).parameters
        offered = {
            "language": language,
            "workers": self._settings.engine_workers,
            **({"model": model} if model else {}),
            **({} if provider in self._plugins else self._access.arguments(provider, accepted)),
            **more,
        }
        if language == "multi" and "detect_language" in accepted and provider != "deepgram":
            del offered["language"]
            offered["detect_language"] = True
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
        full_name = f"{provider}/{model or engine.model}" if "model" in accepted else provider
        return Recognizer(
            full_name,
            engine,
            slots=slots,
            breaker=self._breakers.setdefault(full_name, Breaker()),
            usage=self.usage,
            backlog=self._backlog,
            language="" if language == "multi" else language,
            advice=self._access.advice(provider),
            local=provider in installed(),
            counts_answers=provider == "deepgram",
            fallback=fallback,
            ignored=ignored,
        )

    def _terms(self, name: str, key_terms: Sequence[str]) -> Mapping[str, Any]:
        """Return the arguments by which the engine is told key terms; empty if it takes none."""
        if not key_terms:
            return {}
        provider, _, model = name.partition("/")
        accepted = inspect.signature(self._class(provider)).parameters
        if not model and "model" in accepted:
            model = str(accepted["model"].default)
        return key_terms_for(provider, model, key_terms, accepted)

    def _class(self, provider: str) -> Any:
        if path := self._plugins.get(provider):
            module, _, attribute = path.partition(":")
            try:
                return getattr(importlib.import_module(module), attribute)
            except (ImportError, AttributeError) as error:
                raise EngineError(f"engine {provider!r}: can't import {path}: {error}") from None
        if provider in installed():
            return load(provider)
        return importlib.import_module(f"livekit.plugins.{_module(provider)}").STT


def _module(provider: str) -> str:
    return provider.replace("-", "_")


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
