"""moonshine: small models for several languages; takes whole pieces."""

from __future__ import annotations

from typing import ClassVar

from pipelines.speech.local.child_stt import ChildSTT


class MoonshineSTT(ChildSTT):
    """``moonshine-voice``; the model is named ``tiny``, ``base``, ... as the library names them."""

    library: ClassVar[str] = "moonshine"
    package: ClassVar[str] = "moonshine_voice"
    default_model: ClassVar[str] = "base"

    def __init__(self, *, model: str = "base", language: str = "en", workers: int = 0) -> None:
        super().__init__(model=model, language=language, workers=workers)
