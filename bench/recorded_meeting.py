"""A meeting that nobody held: who spoke when, and what a batch engine made of its recording.

Every word is one of a kind (``w123``), so it is known who said it wherever it ends up. Everything
that goes wrong in life goes wrong here, by numbers: labels of voices, times, the recorder's clock.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipelines.events import iso
from pipelines.post_meeting.transcription import HeardSegment, HeardWord, Transcription
from pipelines.post_meeting.voice_activity import Activity, Span, merged
from pipelines.transcript.document import Person, TranscriptDocument

START: Final = 1_790_000_000.0
"""Start of the meeting, Unix seconds."""

_LONGEST_SENTENCE: Final = 14  # words
_HANGS_TOGETHER: Final = 0.5  # seconds of silence that a detector bridges


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong.

    Args:
        confused: Share of segments that carry another voice's label.
        confused_words: Share of words, likewise.
        likely_confused: Whether the other voice is the one that spoke last; else it is any.
        jitter: Seconds by which any time may be wrong, either way.
        offset: Seconds by which the recorder's word for its start is wrong.
        drift: Seconds that its clock is slow, per second.
        words: Whether the engine tells words; else only segments.
        voices: Whether it tells voices apart.
        shared: How many people share the first microphone.
    """

    confused: float = 0.10
    confused_words: float = 0.0
    likely_confused: bool = False
    jitter: float = 0.2
    offset: float = 3.0
    drift: float = 50e-6
    words: bool = True
    voices: bool = True
    shared: int = 1


@dataclass(slots=True)
class RecordedMeeting:
    """Truth and what was made of it.

    Args:
        activity: Microphone -> its speech, as the meeting's detector found it.
        heard: What the batch engine heard.
        said_by: Word -> microphone.
        overlapping: Share of words during which somebody else spoke.
    """

    activity: Activity
    heard: Transcription
    said_by: dict[str, str]
    overlapping: float

    def metadata(self) -> dict[str, Any]:
        """Return the file that La Suite's collector would have written."""
        events = [
            {"participant_id": who, "type": kind, "timestamp": iso(START + at), "data": None}
            for who, spans in self.activity.items()
            for span in spans
            for kind, at in zip(("speech_start", "speech_end"), span, strict=True)
        ]
        names = [{"participantId": who, "name": who.title()} for who in self.activity]
        return {
            "events": sorted(events, key=lambda one: str(one["timestamp"])),
            "participants": names,
        }


@dataclass(slots=True)
class _Turn:
    speaker: int
    words: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def end(self) -> float:
        return self.words[-1][2]


def recorded_meeting(
    trouble: Trouble, *, people: int = 10, seconds: float = 3600.0, seed: int = 1
) -> RecordedMeeting:
    """Hold a meeting and record it."""
    chance = random.Random(seed)
    turns = list(_turns(chance, people, seconds))
    microphone = [f"person-{0 if number < trouble.shared else number}" for number in range(people)]
    spans: dict[str, list[Span]] = {one: [] for one in dict.fromkeys(microphone)}
    for turn in turns:
        spans[microphone[turn.speaker]] += [(start, end) for _, start, end in turn.words]
    activity = {
        who: merged(
            (max(0.0, start - _off(chance, trouble)), end + _off(chance, trouble))
            for start, end in merged(its, gap=_HANGS_TOGETHER)
        )
        for who, its in spans.items()
    }
    segments = [
        segment
        for before, turn in zip([None, *turns], turns, strict=False)
        for segment in _heard(turn, before, chance, trouble, people)
    ]
    segments.sort(key=lambda one: one.start)
    heard = Transcription(
        engine="bench",
        language="en",
        started_at=iso(START),
        seconds=seconds,
        segments=tuple(segments),
    )
    said_by = {word: microphone[turn.speaker] for turn in turns for word, _, _ in turn.words}
    return RecordedMeeting(activity, heard, said_by, _overlapping(turns))


def bare_document(
    *,
    meeting: str,
    started_at: float,
    seconds: float = 0.0,
    participants: Sequence[Person] = (),
) -> TranscriptDocument:
    """Make the document of a meeting of which there is a recording and not one line.

    Args:
        meeting: Its id.
        started_at: When it began, Unix seconds.
        seconds: Its length.
        participants: Who is known to have been there.
    """
    return TranscriptDocument(
        meeting=meeting,
        room="",
        seal=1,
        epochs=(),
        started_at=iso(started_at),
        ended_at=iso(started_at + seconds),
        participants=tuple(participants),
        speakers=(),
        segments=(),
        notes=(),
    )


def _turns(chance: random.Random, people: int, seconds: float) -> Iterator[_Turn]:
    """Hold the meeting: turns of very different lengths, of people who talk very differently much.

    One turn in six begins before the last has ended, and listeners say a word or two meanwhile.
    """
    talkative = [1.0 / (1 + number) ** 0.6 for number in range(people)]
    at, number, speaker = 1.0, 0, 0
    while at < seconds - 10:
        others = [one for one in range(people) if one != speaker]
        speaker = chance.choices(others, [talkative[one] for one in others])[0]
        turn = _Turn(speaker)
        for _ in range(min(150, max(2, round(chance.lognormvariate(2.8, 0.8))))):
            length = chance.uniform(0.15, 0.5)
            turn.words.append((f"w{number}", at, at + length))
            number += 1
            at += length + (chance.uniform(0.3, 0.9) if chance.random() < 0.05 else 0.05)
        yield turn
        if turn.end - turn.words[0][1] > 5 and chance.random() < 0.3:
            listener = _Turn(chance.choice([one for one in range(people) if one != speaker]))
            when = chance.uniform(turn.words[0][1] + 1, turn.end - 1)
            for _ in range(chance.randint(1, 3)):
                listener.words.append((f"w{number}", when, when + 0.3))
                number += 1
                when += 0.35
            yield listener
        overlaps = chance.random() < 1 / 6
        at = turn.end + (-chance.uniform(0.2, 1.5) if overlaps else chance.uniform(0.1, 1.5))
        at = max(at, turn.words[0][1] + 0.1)


def _heard(
    turn: _Turn, before: _Turn | None, chance: random.Random, trouble: Trouble, people: int
) -> Iterator[HeardSegment]:
    """Make what a batch engine hears of a turn: sentences."""
    others = [one for one in range(people) if one != turn.speaker]
    if trouble.likely_confused and before is not None:
        others = [before.speaker]

    def voice(confused: float, otherwise: int) -> int:
        return chance.choice(others) if chance.random() < confused else otherwise

    def label(number: int) -> str | None:
        return f"SPEAKER_{number:02}" if trouble.voices else None

    at = 0
    while at < len(turn.words):
        sentence = turn.words[at : at + chance.randint(4, _LONGEST_SENTENCE)]
        at += len(sentence)
        its = voice(trouble.confused, turn.speaker)
        words = tuple(
            HeardWord(
                text=text,
                start=_recorded(start, chance, trouble),
                end=_recorded(end, chance, trouble),
                voice=label(voice(trouble.confused_words, its)),
            )
            for text, start, end in sentence
        )
        start = _recorded(sentence[0][1], chance, trouble)
        yield HeardSegment(
            text=" ".join(text for text, _, _ in sentence),
            start=start,
            end=max(start, _recorded(sentence[-1][2], chance, trouble)),
            voice=label(its),
            words=words if trouble.words else (),
        )


def _recorded(at: float, chance: random.Random, trouble: Trouble) -> float:
    """Return the recorder's time of what happened ``at`` seconds into the meeting."""
    jittered = at - trouble.offset + _off(chance, trouble)
    return max(0.0, jittered / (1 + trouble.drift))


def _off(chance: random.Random, trouble: Trouble) -> float:
    return chance.uniform(-trouble.jitter, trouble.jitter)


def _overlapping(turns: list[_Turn]) -> float:
    words = sorted((start, end, turn.speaker) for turn in turns for _, start, end in turn.words)
    both = 0
    for number, (_, end, speaker) in enumerate(words):
        for start, _, other in words[number + 1 : number + 8]:
            if start < end and other != speaker:
                both += 2
    return min(1.0, both / len(words))
