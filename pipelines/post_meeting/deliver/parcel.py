"""What is delivered: the minutes' files and what they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.post_meeting.minutes.formats import MINUTES
from pipelines.post_meeting.minutes.redact import redacted
from pipelines.post_meeting.summary import Summary
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.paths import meeting_key


@dataclass(frozen=True, slots=True)
class Parcel:
    """The minutes of one seal; the same for every destination and every attempt.

    Args:
        document: The transcript.
        summary: What was made of it, without the statements that the check dropped.
        files: Name -> bytes: ``summary.json``, ``summary.md``, ``minutes.*``.
    """

    document: TranscriptDocument = field(repr=False)
    summary: Summary = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)

    def key(self, destination: str) -> str:
        """Return the idempotency key: of ASCII letters, digits, ``_`` and ``-``, always the same.

        Args:
            destination: The destination's name: each gets a key of its own.
        """
        return f"{meeting_key(self.document.meeting)}_seal-{self.document.seal}_{destination}"

    @property
    def directory(self) -> str:
        """Where copies of it are put, below the destination: ``<meeting key>/seal-<n>``."""
        return f"{meeting_key(self.document.meeting)}/seal-{self.document.seal}"


def pack(
    document: TranscriptDocument,
    summary: Summary,
    minutes: Mapping[str, bytes] | None = None,
    *,
    redact: bool = False,
) -> Parcel:
    """Put a parcel together.

    Args:
        document: The transcript that the summary was made from.
        summary: Its dropped statements are left out: they are for the operator, not a reader.
        minutes: File name -> bytes of what was already made; the others are made now.
        redact: Leave names out; then every file is made anew.
    """
    there = minutes or {}
    if redact:
        (document, summary), there = redacted(document, summary), {}
    summary = summary.model_copy(update={"dropped": ()})
    files = {
        name: there[name] if name in there else make(document, summary)
        for name, make in MINUTES.items()
    }
    return Parcel(
        document, summary, {"summary.json": summary.model_dump_json(indent=2).encode(), **files}
    )
