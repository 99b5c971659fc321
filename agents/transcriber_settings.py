"""What a room may ask of the transcriber."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from agents.plugin import AgentSettings

KeyTerm = Annotated[str, StringConstraints(min_length=1, max_length=100)]
OPTION_FIELDS: Final = {"numerals", "profanity_filter", "filler_words"}
LANGUAGE_TAG: Final = r"^([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4})?$"


class TranscriberSettings(AgentSettings):
    """What the room's metadata may say under ``agents.transcriber``."""

    engine: str = Field(
        default="",
        max_length=100,
        pattern=r"^[A-Za-z0-9._-]*(/[A-Za-z0-9._/-]+)?$",
        description="Speech engine, `provider/model`, of those the operator allows.",
    )
    language: str = Field(
        default="",
        pattern=LANGUAGE_TAG,
        description="Language of speech (BCP 47); else the room's `language`.",
    )
    key_terms: tuple[KeyTerm, ...] = Field(
        default=(),
        alias="keyTerms",
        max_length=1000,
        description="Words the engine should know, beside the room's `keyTerms`.",
    )
    numerals: bool | None = Field(
        default=None, description="Numbers as digits, where the engine has the option."
    )
    profanity_filter: bool | None = Field(
        default=None,
        alias="profanityFilter",
        description="Swear words masked, where the engine has the option.",
    )
    filler_words: bool | None = Field(
        default=None,
        alias="fillerWords",
        description="Hesitations like `uh` written, where the engine has the option.",
    )

    @property
    def options(self) -> dict[str, bool]:
        """Those of the last three that are set, under their names in the metadata."""
        asked = self.model_dump(by_alias=True, include=OPTION_FIELDS, exclude_none=True)
        return dict(sorted(asked.items()))
