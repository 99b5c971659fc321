"""Doubles for tests of the platform and of plugins; shipped, and used by our own tests.

``EchoSTT`` is an engine that needs no model: allow it with
``GREFFIER_ENGINE_PLUGINS=echo=pipelines.testing:EchoSTT``. ``SpeechServer`` speaks the protocols
of Deepgram and OpenAI on this machine, counts what it is given, and fails on command
(:mod:`pipelines.testing.faults`). :mod:`pipelines.testing.coded_speech` makes words that it
recognises.
"""

from pipelines.testing.echo_stt import EchoSTT
from pipelines.testing.openai_protocol import Reply
from pipelines.testing.server import SpeechServer

__all__ = ["EchoSTT", "Reply", "SpeechServer"]
