"""Where a meeting's recording is; kept as ``source.json`` beside the seal."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Source(BaseModel, frozen=True):
    """One recording of the whole meeting, or of a part of it.

    Only an operator, or a server that an operator trusts, writes it: never what a room says.
    """

    address: str = Field(
        repr=False, description="A path, `s3://bucket/key` or a URL, which may be presigned."
    )
    started_at: str | None = Field(
        default=None,
        description="When it began, UTC, ISO 8601, by the recorder's clock; null where nobody "
        "knows.",
    )
    language: str = Field(
        default="",
        description="BCP 47 tag of what is said; empty is the live lines' or the engine's to tell.",
    )
