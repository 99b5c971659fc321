"""pocketsphinx: small, offline, English; streams, with interims."""

from __future__ import annotations

from typing import ClassVar, Final

from pipelines.errors import EngineError
from pipelines.speech.local.child_stt import ChildSTT

MODEL: Final = "en-us"


class PocketsphinxSTT(ChildSTT):
    """The model of pocketsphinx's wheel: good on clean close speech, poor on conversation.

    Raises:
        EngineError: The language is not English, or the model is not ``en-us``.
    """

    library: ClassVar[str] = "pocketsphinx"
    package: ClassVar[str] = "pocketsphinx"
    default_model: ClassVar[str] = MODEL
    offline: ClassVar[bool] = True
    streaming: ClassVar[bool] = True

    def __init__(
        self,
        *,
        model: str = MODEL,
        language: str = "en",
        workers: int = 0,
    ) -> None:
        super().__init__(model=model, language=language, workers=workers)
        if self.language.language != "en":
            raise EngineError(
                f"pocketsphinx understands English only, not {language!r}: set `language` to `en`, "
                "or name another engine (`engine` in the room's metadata, or GREFFIER_ENGINE)"
            )
        if self.model != MODEL:
            raise EngineError(f"pocketsphinx has one model, pocketsphinx/{MODEL}")
