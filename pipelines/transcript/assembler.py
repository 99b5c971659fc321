"""From what an engine says of a span to captions with ids: pure, no clock.

One span of speech may become several segments (an engine settles long speech part by part). A
segment has one id from its first interim to its final; an interim that says nothing new is no
caption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.events import CaptionFinal, CaptionInterim
from pipelines.speech.stt import Heard


@dataclass(slots=True)
class Assembler:
    """Assembles the captions of one span of one speaker.

    Args:
        began: Wall time of the first sample given to the engine, Unix seconds.
        identity: The speaker.
        track: SID of the transcribed track.
        engine: The engine's name, where what it says does not carry it.
        new_segment: Gives an unused segment id.
    """

    began: float
    identity: str
    track: str
    engine: str
    new_segment: Callable[[], str]
    _segments: dict[int, str] = field(default_factory=dict)
    _shown: dict[int, str] = field(default_factory=dict)

    def receive(self, heard: Heard) -> CaptionInterim | CaptionFinal | None:
        """Turn one result into a caption, or None where there is nothing to show.

        The caption has no ``name``: whoever shows it knows the speaker's name of the moment.
        """
        text = heard.text.strip()
        shown = self._shown.get(heard.part, "")
        if not heard.final and text == shown:
            return None
        if not text and not shown:
            return None  # A final of nothing, and nobody has seen an interim.
        self._shown[heard.part] = text
        segment = self._segments.get(heard.part) or self.new_segment()
        self._segments[heard.part] = segment
        if heard.final:  # Long speech has any number of parts.
            del self._segments[heard.part], self._shown[heard.part]
        at = self.began + heard.start
        if not heard.final:
            return CaptionInterim(
                at=at,
                segment=segment,
                identity=self.identity,
                name="",
                text=text,
                track=self.track,
            )
        return CaptionFinal(
            at=at,
            end=self.began + max(heard.start, heard.end),
            segment=segment,
            identity=self.identity,
            name="",
            text=text,
            track=self.track,
            language=heard.language,
            engine=heard.engine or self.engine,
        )
