"""faster-whisper: OpenAI's Whisper models on CTranslate2; takes whole pieces."""

from __future__ import annotations

from typing import ClassVar

from pipelines.speech.local.child_stt import ChildSTT


class FasterWhisperSTT(ChildSTT):
    """``faster-whisper``; the model is a size (``small``) or a name on the Hugging Face hub."""

    library: ClassVar[str] = "faster-whisper"
    package: ClassVar[str] = "faster_whisper"
    default_model: ClassVar[str] = "small"
