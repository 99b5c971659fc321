"""Doubles for tests of the platform and of plugins; shipped, and used by our own tests.

``EchoSTT`` is an engine that needs no model: allow it with
``GREFFIER_ENGINE_PLUGINS=echo=pipelines.testing:EchoSTT``. ``SpeechServer`` speaks the protocols
of Deepgram and OpenAI on this machine.
"""

from pipelines.testing.echo_stt import EchoSTT
from pipelines.testing.speech_server import SpeechServer

__all__ = ["EchoSTT", "SpeechServer"]
