"""Doubles for tests of the platform and of plugins; shipped, and used by our own tests.

``EchoSTT`` is an engine that needs no model: allow it with
``GREFFIER_ENGINE_PLUGINS=echo=pipelines.testing:EchoSTT``. ``SpeechServer`` speaks the protocols
of Deepgram and OpenAI on this machine, counts what it is given, and fails on command
(:mod:`pipelines.testing.faults`). :mod:`pipelines.testing.coded_speech` makes words that it
recognises. ``python -m pipelines.testing.store_server`` is a back-end that keeps lines.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipelines.testing.echo_stt import EchoSTT
    from pipelines.testing.openai_protocol import Reply
    from pipelines.testing.server import SpeechServer

__all__ = ["EchoSTT", "Reply", "SpeechServer"]

_MODULES: Final = {"EchoSTT": "echo_stt", "Reply": "openai_protocol", "SpeechServer": "server"}


def __getattr__(name: str) -> Any:
    """Import on first use: LiveKit's SDK takes seconds, and a store's double needs none of it."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
