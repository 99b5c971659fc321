"""How a caption looks to a client: LiveKit's text streams, legacy packets, MeetAI's packets.

Text streams replace what a segment said before. In the other two nothing that was shown can be
taken back, so they carry finals with text only; the transcript has what was withdrawn.
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections.abc import Callable
from typing import Final, Protocol, TypeGuard

from livekit import rtc

from agents.livekit_compat import send_text_as
from pipelines.events import CaptionFinal, CaptionInterim, iso
from pipelines.settings import CaptionFormatName

log = logging.getLogger(__name__)

TRANSCRIPTION: Final = "lk.transcription"

CORRECTED_BY: Final = "greffier.corrected_by"
CORRECTED_AT: Final = "greffier.corrected_at"
"""Attributes of a text that a person corrected: that person's identity, and when, ISO 8601."""

NOTHING: Final = " "
"""Text of a withdrawn segment: ``useTranscriptions`` does not see a stream that has none, and would
show the segment's last interim for ever."""

LARGEST_PACKET: Final = 14 * 1024
"""Bytes of a packet's content: LiveKit asks for at most 15 KiB with what is around it."""


class CaptionFormat(Protocol):
    """One way to send a caption; knows of no retry and no order."""

    def carries(self, caption: CaptionInterim | CaptionFinal) -> bool:
        """Tell whether this format shows the caption at all."""

    async def send(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Send it once; ``rtc`` raises bare exceptions for whatever its native part says."""


class TextStreams:
    """LiveKit's own: a complete text stream for each update, in the speaker's name.

    ``useTranscriptions`` of ``@livekit/components-react`` 2.9 shows them as they are.

    Args:
        room: A connected room.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    def carries(self, caption: CaptionInterim | CaptionFinal) -> bool:  # noqa: ARG002 - all of them
        """Tell that it carries everything."""
        return True

    async def send(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Send the segment's text as it is now."""
        final = isinstance(caption, CaptionFinal)
        await send_text_as(
            self._room.local_participant,
            caption.identity,
            caption.text or NOTHING,
            topic=TRANSCRIPTION,
            attributes={
                "lk.segment_id": caption.segment,
                "lk.transcription_final": "true" if final else "false",
                "lk.transcribed_track_id": caption.track,
                **_correction(caption),
            },
        )


class LegacyPackets:
    """Transcription packets, the only captions that La Suite Meet's page shows.

    That page drops a packet with more than one segment, and the second packet of a segment id:
    hence one segment a packet, and none twice. A correction would be dropped, or stand there as a
    second sentence, so it is not sent. Nor is a caption without a track: a packet names one. Times
    are milliseconds from the start of the meeting: LiveKit's old client helpers compare them with
    media time, where Unix time would be in the far future.

    Args:
        room: A connected room.
        meeting_start: Unix seconds.
    """

    def __init__(self, room: rtc.Room, *, meeting_start: float) -> None:
        self._room = room
        self._meeting_start = meeting_start
        self._told = False

    def carries(self, caption: CaptionInterim | CaptionFinal) -> bool:
        """Tell whether it is a first final whose track is known."""
        if not _has_settled_text(caption) or caption.revision > 0 or caption.correction:
            return False
        if not caption.track and not self._told:
            self._told = True
            log.info("captions without a track are not shown as legacy packets")
        return bool(caption.track)

    async def send(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Send a final."""
        assert isinstance(caption, CaptionFinal)
        segment = rtc.TranscriptionSegment(
            id=caption.segment,
            text=_cut(caption.text, lambda text: len(text.encode())),
            start_time=self._media_time(caption.at),
            end_time=self._media_time(caption.end),
            language=caption.language,
            final=True,
        )
        await self._room.local_participant.publish_transcription(
            rtc.Transcription(caption.identity, caption.track, [segment])
        )

    def _media_time(self, at: float) -> int:
        return max(0, round((at - self._meeting_start) * 1000))


class MeetaiPackets:
    """Reliable data packets without a topic, as MeetAI's page reads them.

    JSON ``{"type": "transcript_update", "role", "speaker", "text", "timestamp", "index"}``:
    ``timestamp`` is the start of speech in Unix milliseconds, ``index`` that of the stored line. A
    correction is a line of its own there, with an index of its own, and so it is here.

    Args:
        room: A connected room.
    """

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    def carries(self, caption: CaptionInterim | CaptionFinal) -> bool:
        """Tell whether it is a final with text."""
        return _has_settled_text(caption)

    async def send(self, caption: CaptionInterim | CaptionFinal) -> None:
        """Send a final."""
        assert isinstance(caption, CaptionFinal)
        participant = self._room.local_participant
        fields = {
            "type": "transcript_update",
            "role": "assistant" if caption.identity == participant.identity else "human",
            "speaker": caption.name or caption.identity,
            "text": caption.text,
            "timestamp": round(caption.at * 1000),
            "index": caption.index,
        }

        def packet(text: str) -> bytes:
            return json.dumps({**fields, "text": text}, ensure_ascii=False).encode()

        text = _cut(caption.text, lambda text: len(packet(text)))
        await participant.publish_data(packet(text), reliable=True)


def make_format(name: CaptionFormatName, room: rtc.Room, *, meeting_start: float) -> CaptionFormat:
    """Make the format that the setting ``caption_formats`` calls ``name``.

    Args:
        name: Of the format.
        room: A connected room.
        meeting_start: Unix seconds.
    """
    match name:
        case "text-stream":
            return TextStreams(room)
        case "legacy":
            return LegacyPackets(room, meeting_start=meeting_start)
        case "meetai":
            return MeetaiPackets(room)


def _correction(caption: CaptionInterim | CaptionFinal) -> dict[str, str]:
    if not isinstance(caption, CaptionFinal) or not caption.correction:
        return {}
    return {CORRECTED_BY: caption.correction.by, CORRECTED_AT: iso(caption.correction.at)}


def _has_settled_text(caption: CaptionInterim | CaptionFinal) -> TypeGuard[CaptionFinal]:
    return isinstance(caption, CaptionFinal) and bool(caption.text.strip())


def _cut(text: str, size: Callable[[str], int]) -> str:
    """Return ``text``, or as much of it as a packet holds and an ellipsis."""
    if size(text) <= LARGEST_PACKET:
        return text
    too_long = bisect_right(range(len(text)), LARGEST_PACKET, key=lambda n: size(f"{text[:n]}…"))
    return f"{text[: too_long - 1]}…"
