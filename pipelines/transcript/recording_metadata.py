"""La Suite Meet's metadata of a recording, made of a meeting's lines.

Its summary service names the speakers of a transcript by it, and reads it so: of each participant
it takes a start of speech and the end that follows; a second start replaces an open one; what is
never ended lasts to the end of the recording; an empty name is shown as an empty name. So here a
start is always followed by its end, at the latest when the participant leaves, and nobody's name
is empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import inf
from typing import Any, Final

from pipelines.events import HoleCause
from pipelines.transcript.line import Line, distinct

AGENT: Final = "metadata"
"""The agent whose notes these are."""

CONNECTED: Final = "participant_connected"
DISCONNECTED: Final = "participant_disconnected"
SPEECH_START: Final = "speech_start"
SPEECH_END: Final = "speech_end"
CHAT: Final = "chat_received"
STILL_SPEAKING: Final = "still_speaking"
"""Not La Suite's: written every few seconds of long speech, so that a crash costs no more of it."""


@dataclass(slots=True)
class _Span:
    identity: str
    start: float
    end: float = inf


@dataclass(frozen=True, slots=True)
class _Event:
    at: float
    identity: str
    kind: str
    data: str | None = None

    def serialised(self) -> dict[str, str | None]:
        return {
            "participant_id": self.identity,
            "type": self.kind,
            "timestamp": datetime.fromtimestamp(round(self.at, 3), UTC).isoformat(),
            "data": self.data,
        }


def recording_of(lines: Iterable[Line]) -> str:
    """Return the id of the recording that the lines are of, or an empty string."""
    opened = (line.data for line in lines if line.kind == "opened")
    return next((data["recording"] for data in opened if data.get("recording")), "")


def recording_metadata(lines: Iterable[Line]) -> dict[str, Any]:
    """Make the content of the file.

    More lines of a meeting never give fewer events.

    Args:
        lines: All that is known, in any order, also twice, of any number of epochs.

    Returns:
        ``events`` in order of time, and ``participants`` in the order in which they were first
        seen, with the name they had last.
    """
    facts = distinct(lines)
    epochs = [list(group) for _, group in groupby(facts, key=lambda line: line.epoch)]
    holes = [_hole_after(epochs[number:]) for number in range(1, len(epochs) + 1)]
    spans = [span for one in zip(epochs, holes, strict=True) for span in _spans(*one)]
    notes = [line.data for line in facts if _is_note(line)]
    chats = (note for note in notes if note["kind"] == CHAT)
    events = [
        *_presence(notes, CONNECTED),
        *_speech(spans),
        *(_Event(_at(one), _who(one), CHAT, one["data"]["text"]) for one in chats),
        *_presence(notes, DISCONNECTED),
    ]
    names = _names(facts)
    return {
        # Stable: of what happened in the same millisecond, the order above.
        "events": [event.serialised() for event in sorted(events, key=lambda event: event.at)],
        "participants": [{"participantId": who, "name": name} for who, name in names.items()],
    }


def encoded(metadata: Mapping[str, Any]) -> bytes:
    """Return the content of the file as the bytes that La Suite's own collector would write."""
    return json.dumps(metadata, indent=2).encode()


def _hole_after(later: Sequence[Sequence[Line]]) -> float:
    """Return where the hole begins, Unix seconds, that follows an epoch; 0 if none is marked.

    A job that died before it heard anything marked none: the one after it marks theirs. A hole that
    begins when the next job was there is that one's, which has listened up to there.
    """
    for epoch in later:
        began = (float(line.data["started_at"]) for line in epoch if line.kind == "opened")
        for line in epoch:
            if line.kind == "hole" and line.data["cause"] == HoleCause.RESTART:
                hole = next(began, 0.0) + float(line.data["start_ms"]) / 1000
                return hole if epoch is later[0] or hole <= later[0][0].at else 0.0
    return 0.0


def _spans(epoch: Sequence[Line], hole: float) -> Iterator[_Span]:
    """Iterate over what was said in one epoch.

    An open span ends at the hole that follows: up to there the job that died has listened. Where
    no hole is marked it ends with the epoch's last line: nobody knows who spoke after it, and a
    guess could take words from somebody else.

    Args:
        epoch: The lines of one epoch.
        hole: Where the hole after it begins, Unix seconds; 0 if none is marked.
    """
    spans: dict[tuple[str, float], _Span] = {}
    open_: dict[str, _Span] = {}
    for note in (line.data for line in epoch if _is_note(line)):
        kind, identity = note["kind"], note["data"].get("identity", "")
        match kind:
            case "speech_start":
                span = _Span(identity, _at(note))
                _end(open_.get(identity), span.start)
                spans[identity, span.start] = open_[identity] = span
            case "speech_end":
                started = _time(note["data"].get("started_at", ""))
                _end(spans.get((identity, started)) or open_.get(identity), _at(note))
            case "participant_disconnected":
                # Its audio ends when it has arrived: the end may be written after this one.
                _end(open_.pop(identity, None), _at(note))
    last = max([hole, *(line.at for line in epoch)])
    for span in spans.values():
        _end(span, last if span.end == inf else span.end)
        yield span


def _end(span: _Span | None, at: float) -> None:
    if span:
        span.end = max(span.start, min(span.end, at))


def _speech(spans: Iterable[_Span]) -> Iterator[_Event]:
    """Make starts and ends that follow each other, of each participant."""
    said_until: dict[str, float] = {}
    for span in sorted(spans, key=lambda span: span.start):
        # Two epochs may have heard the same words.
        start = max(span.start, said_until.get(span.identity, 0.0))
        end = said_until[span.identity] = max(start, span.end)
        yield _Event(start, span.identity, SPEECH_START)
        yield _Event(end, span.identity, SPEECH_END)


def _presence(notes: Iterable[Mapping[str, Any]], kind: str) -> Iterator[_Event]:
    """Make the events of one kind; the next epoch's word that somebody is still there is none."""
    present: set[str] = set()
    for note in notes:
        if note["kind"] not in (CONNECTED, DISCONNECTED):
            continue
        who = _who(note)
        here = note["kind"] == CONNECTED
        if here and who in present:
            continue
        (present.add if here else present.discard)(who)
        if note["kind"] == kind:
            yield _Event(_at(note), who, kind)


def _names(facts: Sequence[Line]) -> dict[str, str]:
    """Return identity -> last known name, of everyone who came; the identity where it has none."""
    names: dict[str, str] = {}
    for line in facts:
        if line.kind == "person":
            who, name = line.data["identity"], line.data["name"].strip()
            names[who] = name or names.get(who, who)
    return names


def _is_note(line: Line) -> bool:
    return line.kind == "note" and line.data["agent"] == AGENT


def _who(note: Mapping[str, Any]) -> str:
    return str(note["data"]["identity"])


def _at(note: Mapping[str, Any]) -> float:
    return _time(note["data"]["at"])


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
