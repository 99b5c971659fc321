"""Doubles for tests of the platform and of plugins; shipped, and used by our own tests.

``EchoSTT`` is an engine that needs no model: allow it with
``GREFFIER_ENGINE_PLUGINS=echo=pipelines.testing:EchoSTT``. ``SpeechServer`` speaks the protocols
of Deepgram and OpenAI on this machine. ``python -m pipelines.testing.store_server`` is a back-end
that keeps lines.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipelines.testing.echo_stt import EchoSTT
    from pipelines.testing.speech_server import SpeechServer

__all__ = ["EchoSTT", "SpeechServer"]

_MODULES: Final = {"EchoSTT": "echo_stt", "SpeechServer": "speech_server"}


def __getattr__(name: str) -> Any:
    """Import on first use: LiveKit's SDK takes seconds, and a store's double needs none of it."""
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
