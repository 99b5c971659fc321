"""What became of every number that was said: the verdict on one meeting. Pure.

The truth is what people said (their own log), and what an independent reader saw. A number that
somebody saw must be in the sealed transcript, once, and in every store. A number that was said and
is not in the transcript must lie in a hole that the transcript marks.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from bench.soak.counting import numbers_in

UNMARKED_LEAST: Final = 1.2
"""Seconds of speech from which on a gap must be marked."""
EDGE: Final = 0.4
"""Seconds by which a hole's marks may miss its true edges."""
UNSETTLED: Final = 2.0
"""Seconds for which what was said before a strike may not be settled when it strikes."""
BACK: Final = 3.0
"""Seconds after a speaker's own return to the room in which not to be heard is no loss."""


@dataclass(frozen=True, slots=True)
class Said:
    """One number that somebody said; Unix seconds."""

    identity: str
    number: int
    at: float
    end: float


@dataclass(frozen=True, slots=True)
class Caption:
    """One settled caption, as seen, sealed or stored."""

    segment: str
    revision: int
    identity: str
    text: str


@dataclass(frozen=True, slots=True)
class MarkedHole:
    """A hole of the transcript, Unix seconds; ``speakers`` empty is everybody."""

    start: float
    end: float
    speakers: tuple[str, ...] = ()

    def excuses(self, one: Said) -> bool:
        """Tell whether ``one`` was said in the hole, at least in part."""
        return self._concerns(one) and one.at < self.end + EDGE and one.end > self.start - EDGE

    def covers(self, one: Said) -> bool:
        """Tell whether ``one`` was said well within the hole."""
        return self._concerns(one) and one.at > self.start + EDGE and one.end < self.end - EDGE

    def _concerns(self, one: Said) -> bool:
        return not self.speakers or one.identity in self.speakers


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one meeting.

    Args:
        said: By the people's own log, without what they said while they were out of the room.
        heard: Numbers that the engine settled.
        journalled: What the journals had.
        seen: What an independent reader was shown.
        sealed: What the last sealed transcript has.
        stores: Store -> what it has.
        holes: Those of the last sealed transcript.
    """

    said: Sequence[Said]
    heard: Collection[int]
    journalled: Sequence[Caption]
    seen: Sequence[Caption]
    sealed: Sequence[Caption]
    stores: Mapping[str, Sequence[Caption]]
    holes: Sequence[MarkedHole]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of it.

    Args:
        said: Numbers that were said in the room.
        heard: Of them, by the engine.
        journalled: Of them, in a journal.
        published: Numbers that the reader saw.
        sealed: Numbers in the sealed transcript.
        finals: Captions that the reader saw.
        lost_finals: Segments seen and not sealed, or with another text.
        lost_numbers: Numbers seen and not sealed.
        doubled_finals: Segments sealed more than once.
        doubled_numbers: Numbers sealed, or shown, more than once.
        not_stored: Store -> segments seen that it lacks.
        doubled_in_store: Store -> segments that it has more than once.
        foreign: Numbers sealed under another name than their speaker's.
        holes: How many holes are marked.
        heard_in_holes: Numbers that are sealed and lie wholly in a marked hole: it is too wide.
        in_holes: Numbers that were not heard and lie in a marked hole.
        short: Numbers that were not heard in a gap too short to be marked.
        unmarked: Numbers that were not heard and lie in no hole.
    """

    said: int = 0
    heard: int = 0
    journalled: int = 0
    published: int = 0
    sealed: int = 0
    finals: int = 0
    lost_finals: tuple[str, ...] = ()
    lost_numbers: tuple[int, ...] = ()
    doubled_finals: tuple[str, ...] = ()
    doubled_numbers: tuple[int, ...] = ()
    not_stored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    doubled_in_store: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    foreign: tuple[int, ...] = ()
    holes: int = 0
    heard_in_holes: int = 0
    in_holes: int = 0
    short: int = 0
    unmarked: tuple[int, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether nothing that was seen is lost or doubled, and every gap is marked."""
        return bool(self.finals) and not any(
            (
                *(self.lost_finals, self.lost_numbers, self.doubled_finals, self.doubled_numbers),
                *(self.foreign, self.unmarked),
                *self.not_stored.values(),
                *self.doubled_in_store.values(),
            )
        )


@dataclass(frozen=True, slots=True)
class Unheard:
    """What of the speech around one strike is not in the transcript, seconds.

    Args:
        until: From the strike to the end of the last of it; 0 where all was heard.
        gap: The longest of it, of one speaker.
    """

    until: float = 0.0
    gap: float = 0.0


def judge(evidence: Evidence) -> Verdict:
    """Hold what was said and seen against what is kept."""
    seen, sealed = _last_revisions(evidence.seen), _last_revisions(evidence.sealed)
    seen_numbers, sealed_numbers = _numbers(seen.values()), _numbers(sealed.values())
    said = {one.number: one for one in evidence.said}
    in_stores = {name: _last_revisions(finals) for name, finals in evidence.stores.items()}
    missing = [one for one in evidence.said if one.number not in sealed_numbers]
    excused = [one for one in missing if any(hole.excuses(one) for hole in evidence.holes)]
    short, unmarked = _gaps(evidence.said, set(missing) - set(excused))
    twice = [
        number
        for counts in (seen_numbers, sealed_numbers)
        for number, times in counts.items()
        if times > 1
    ]
    return Verdict(
        said=len(said),
        heard=len(said.keys() & set(evidence.heard)),
        journalled=len(said.keys() & _numbers(evidence.journalled).keys()),
        published=len(seen_numbers),
        sealed=len(sealed_numbers),
        finals=len(seen),
        lost_finals=_lacking(seen, sealed),
        lost_numbers=tuple(sorted(seen_numbers.keys() - sealed_numbers.keys())),
        doubled_finals=_doubled(evidence.sealed),
        doubled_numbers=tuple(sorted(set(twice))),
        not_stored={name: _lacking(seen, kept) for name, kept in in_stores.items()},
        doubled_in_store={name: _doubled(finals) for name, finals in evidence.stores.items()},
        foreign=tuple(
            number
            for final in sealed.values()
            for number in numbers_in(final.text)
            if number in said and said[number].identity != final.identity
        ),
        holes=len(evidence.holes),
        heard_in_holes=sum(
            one.number in sealed_numbers and any(hole.covers(one) for hole in evidence.holes)
            for one in evidence.said
        ),
        in_holes=len(excused),
        short=len(short),
        unmarked=tuple(one.number for one in unmarked),
    )


def unheard_after(evidence: Evidence, start: float, end: float) -> Unheard:
    """Tell what a strike cost: which speech nobody heard.

    A single number is not it: the engine may have taken it for something else.

    Args:
        evidence: Of the meeting.
        start: When it struck, Unix seconds.
        end: When the next one did.
    """
    sealed = _numbers(evidence.sealed)
    missing = {one for one in evidence.said if one.number not in sealed}
    gaps = [gap for gap in _runs(evidence.said, missing) if len(gap) > 1]
    own = [gap for gap in gaps if start - UNSETTLED < gap[-1].end <= end - UNSETTLED]
    return Unheard(
        until=round(max([0.0, *(gap[-1].end - start for gap in own)]), 2),
        gap=round(max([0.0, *(gap[-1].end - gap[0].at for gap in own)]), 2),
    )


def in_the_room(
    said: Iterable[Said], comings: Iterable[tuple[float, str, bool]], *, back: float = BACK
) -> list[Said]:
    """Return what was said by people who were in the room, and had been for ``back`` seconds.

    Args:
        said: Everything.
        comings: (when, who, whether they came), in order of time.
        back: Seconds in which a track that is new again is subscribed to.
    """
    away: dict[str, list[tuple[float, float]]] = defaultdict(list)
    left: dict[str, float] = {}
    for at, identity, came in comings:
        if not came:
            left.setdefault(identity, at)
        else:
            away[identity].append((left.pop(identity, 0.0), at + back))
    for identity, at in left.items():
        away[identity].append((at, float("inf")))
    return [
        one
        for one in said
        if not any(one.at < end and one.end > start for start, end in away[one.identity])
    ]


def _last_revisions(finals: Iterable[Caption]) -> dict[str, Caption]:
    return {final.segment: final for final in sorted(finals, key=lambda one: one.revision)}


def _numbers(finals: Iterable[Caption]) -> Counter[int]:
    return Counter(number for final in finals for number in numbers_in(final.text))


def _lacking(seen: Mapping[str, Caption], kept: Mapping[str, Caption]) -> tuple[str, ...]:
    return tuple(
        sorted(
            segment
            for segment, final in seen.items()
            if segment not in kept or kept[segment].text != final.text
        )
    )


def _doubled(finals: Iterable[Caption]) -> tuple[str, ...]:
    times = Counter((final.segment, final.revision) for final in finals)
    return tuple(sorted({segment for (segment, _), count in times.items() if count > 1}))


def _gaps(said: Sequence[Said], missing: Collection[Said]) -> tuple[list[Said], list[Said]]:
    """Split what is missing into runs too short to be marked, and others."""
    short: list[Said] = []
    long: list[Said] = []
    for gap in _runs(said, missing):
        (long if gap[-1].end - gap[0].at >= UNMARKED_LEAST else short).extend(gap)
    return short, long


def _runs(said: Sequence[Said], missing: Collection[Said]) -> Iterator[list[Said]]:
    """Iterate over what is missing, by runs of one speaker's numbers."""
    by_speaker = sorted(said, key=lambda one: (one.identity, one.at))
    for _, own in groupby(by_speaker, lambda one: one.identity):
        for is_missing, run in groupby(own, lambda one: one in missing):
            if is_missing:
                yield list(run)
