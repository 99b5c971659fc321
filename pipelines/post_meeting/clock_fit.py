"""How a recorder's clock lies to the meeting's: pure.

The recorder may have been started some seconds beside the time that it says, and its clock may run
fast or slow. Both are estimated from what both have heard: first the shift at which voices and
microphones agree best, then, from where each turn begins and ends, the rest of it and the drift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.post_meeting.voice_activity import Activity, Span, merged

WITHIN: Final = 10.0
"""Seconds by which a recorder's word for its start may be wrong."""
MAX_DRIFT: Final = 500e-6
"""Clocks of computers run no worse; what is more is no drift but a mistake."""

_BIN: Final = 0.1  # seconds
_TURN: Final = 0.5  # seconds of silence that end a turn, as the detector has it
_NEAR: Final = (1.0, 0.6)  # seconds between the same edge, in the first and the second round
_EDGES: Final = 30  # fewest edges that say something
_WINDOWS: Final = 12
_FOR_DRIFT: Final = 600.0  # seconds of a recording that drift is seen in
_NEAREST: Final = 0.001  # share that a second of shift must gain, so that ties go to what was said

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClockFit:
    """From seconds of the recording to seconds of the meeting: ``offset + (1 + drift) * t``."""

    offset: float = 0.0
    drift: float = 0.0

    def __call__(self, at: float) -> float:
        """Return when in the meeting ``at`` seconds of the recording were."""
        return self.offset + (1.0 + self.drift) * at


def fit_clock(
    activity: Activity, voices: Mapping[str, Sequence[Span]], *, expected: float | None
) -> ClockFit:
    """Estimate offset and drift.

    Args:
        activity: Who spoke when, by the meeting's clock.
        voices: Voice -> when it was heard, by the recorder's; the empty name is what is not told
            apart.
        expected: Where the recording begins in the meeting, seconds, as somebody said; None where
            nobody did.
    """
    turns = {voice: merged(spans, gap=_TURN) for voice, spans in voices.items()}
    turns = {voice: spans for voice, spans in turns.items() if spans}
    spoken = {who: merged(spans, gap=_TURN) for who, spans in activity.items() if spans}
    if not turns or not spoken:
        return ClockFit(expected or 0.0)
    everybody = merged((span for spans in spoken.values() for span in spans), gap=_TURN)
    fit = ClockFit(_coarse(spoken, everybody, turns, expected))
    for near in _NEAR:
        fit = _refined(fit, spoken, everybody, turns, near)
    return fit


def _coarse(
    spoken: Activity,
    everybody: Sequence[Span],
    turns: Mapping[str, Sequence[Span]],
    expected: float | None,
) -> float:
    """Return the shift at which most of what was heard was spoken by one person a voice."""
    heard = _bins_of(max(spans[-1][1] for spans in turns.values()))
    said = _bins_of(everybody[-1][1])
    size = 1 << (heard + said).bit_length()
    people = [np.fft.rfft(_binned(spans, said), size) for spans in spoken.values()]
    anybody = np.fft.rfft(_binned(everybody, said), size)
    total = np.zeros(size)
    for voice, spans in turns.items():
        its = np.conj(np.fft.rfft(_binned(spans, heard), size))
        best = np.zeros(size)
        for one in people if voice else (anybody,):
            np.maximum(best, np.fft.irfft(one * its, size), out=best)
        total += best
    shifts = np.arange(size)
    shifts[shifts > said] -= size
    offsets = shifts * _BIN
    allowed = offsets >= -heard * _BIN
    near = 0.0
    if expected is not None:
        allowed &= np.abs(offsets - expected) <= WITHIN
        near = expected
    if not allowed.any():
        return near
    score = np.where(allowed, total, -np.inf) - _NEAREST * total[allowed].max() * np.abs(
        offsets - near
    ) * (expected is not None)
    return float(offsets[int(np.argmax(score))])


def _refined(
    fit: ClockFit,
    spoken: Activity,
    everybody: Sequence[Span],
    turns: Mapping[str, Sequence[Span]],
    near: float,
) -> ClockFit:
    """Correct a fit by where turns begin and end."""
    begins: list[tuple[float, float]] = []
    ends: list[tuple[float, float]] = []
    for voice, spans in turns.items():
        there = _speaker(fit, spans, spoken) if voice else everybody
        if there is None:
            continue
        for number, found in ((0, begins), (1, ends)):
            edges = np.array([span[number] for span in there])
            for span in spans:
                at = fit(span[number])
                off = edges[_nearest(edges, at)] - at
                if abs(off) <= near:
                    found.append((span[number], float(off)))
    if min(len(begins), len(ends)) < _EDGES:
        return fit
    # A detector begins a little early and ends a little late: the middle is right.
    first, last = np.array(begins), np.array(ends)
    offset = float(np.median(first[:, 1]) + np.median(last[:, 1])) / 2
    middle = float(np.median(np.concatenate((first[:, 0], last[:, 0]))))
    slope = (_slope(first) + _slope(last)) / 2
    drift = fit.drift + slope
    if abs(drift) > MAX_DRIFT:
        return ClockFit(fit.offset + offset, fit.drift)
    return ClockFit(fit.offset + offset - slope * middle, drift)


def _slope(edges: Floats) -> float:
    """Return seconds per second: the median of the slopes between the medians of some windows."""
    ordered = edges[np.argsort(edges[:, 0])]
    if ordered[-1, 0] - ordered[0, 0] < _FOR_DRIFT:
        return 0.0
    windows = [part for part in np.array_split(ordered, _WINDOWS) if len(part)]
    points = np.array([np.median(part, axis=0) for part in windows])
    here, there = np.triu_indices(len(points), k=len(points) // 3)
    apart = points[there, 0] - points[here, 0]
    rise = points[there, 1] - points[here, 1]
    return float(np.median(rise[apart > 0] / apart[apart > 0])) if (apart > 0).any() else 0.0


def _speaker(fit: ClockFit, spans: Sequence[Span], spoken: Activity) -> Sequence[Span] | None:
    """Return the speech of whoever was speaking for most of what a voice said."""
    begins = np.array([fit(start) for start, _ in spans])
    ends = np.array([fit(end) for _, end in spans])
    whole = float((ends - begins).sum())
    best = max(spoken.values(), key=lambda its: spoken_within(its, begins, ends).sum())
    return best if spoken_within(best, begins, ends).sum() >= whole / 2 else None


def spoken_within(spans: Sequence[Span], begins: Floats, ends: Floats) -> Floats:
    """Return how many seconds of each interval lie in ``spans``, which are in order and apart."""
    edges = np.array(spans).ravel()
    lengths = np.diff(edges)
    lengths[1::2] = 0.0
    so_far = np.concatenate(([0.0], np.cumsum(lengths)))
    within: Floats = np.interp(ends, edges, so_far) - np.interp(begins, edges, so_far)
    return within


def _nearest(edges: Floats, at: float) -> int:
    right = int(np.searchsorted(edges, at))
    if right == 0:
        return 0
    if right == len(edges) or at - edges[right - 1] <= edges[right] - at:
        return right - 1
    return right


def _bins_of(seconds: float) -> int:
    return max(1, int(np.ceil(seconds / _BIN)))


def _binned(spans: Sequence[Span], count: int) -> Floats:
    """Return the share of each bin that lies in ``spans``."""
    begins: Floats = np.arange(count, dtype=np.float64) * _BIN
    return spoken_within(spans, begins, np.add(begins, _BIN)) / _BIN
