"""How likely each person said each word of a recording: pure.

Two witnesses are heard. The microphones: whoever speaks is active then, though times jitter and
people talk at once. The diariser: which words are one voice's, though some of its labels are wrong.
What a label means is learned from the meeting itself; a hidden Markov model over the words of each
segment weighs both, since a speaker rarely changes from one word to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from pipelines.post_meeting.clock_fit import spoken_within
from pipelines.post_meeting.voice_activity import Activity

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WIDER: Final = 0.3
"""Seconds on each side of a word that are looked at too: the times of words jitter."""
MISSED: Final = 0.01
"""How likely somebody speaks whose microphone heard nothing."""
NOBODY: Final = 0.05
"""What that must be weighed against: a voice that no microphone is known for."""
CHANGES: Final = 0.03
"""How likely the speaker changes between two words of a segment."""
CHANGES_WITH_VOICE: Final = 0.3
"""The same where the diariser hears another voice."""
ROUNDS: Final = 3
"""How often what labels mean is learned anew."""
_UNSEEN: Final = 1.0  # words of each voice that everybody is taken to have said


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a recording, in the order of their segments; shapes ``(words,)``.

    Args:
        begins: Seconds from the start of the meeting.
        ends: Seconds, after ``begins``.
        segments: Number of the segment, from 0, never falling.
        voices: Number of the voice, from 0; -1 where it is not told apart.
    """

    begins: Floats
    ends: Floats
    segments: Ints
    voices: Ints


def posteriors(words: Words, activity: Activity) -> Floats:
    """Return how likely each person said each word: shape ``(words, people + 1)``.

    The columns are in the order of ``activity``; the last is somebody else.
    """
    active = _active(words, activity)
    runs = _run_lengths(words)
    count = int(words.voices.max(initial=-1)) + 1
    told = words.voices >= 0
    result: Floats = active / active.sum(axis=1, keepdims=True)
    for _ in range(ROUNDS):
        evidence = np.log(active)
        if count > 1:
            meaning = _meaning(result, words.voices, count)
            # However many words a wrong label has, it is one mistake.
            evidence[told] += np.log(meaning[words.voices[told]]) / runs[told, None]
        result = _smoothed(evidence, words)
        if count <= 1:
            break
    return result


def _active(words: Words, activity: Activity) -> Floats:
    """Return how well each word fits each microphone, and nobody's."""
    columns = []
    for spans in activity.values():
        exactly = spoken_within(spans, words.begins, words.ends) / (words.ends - words.begins)
        begins, ends = words.begins - WIDER, words.ends + WIDER
        around = spoken_within(spans, begins, ends) / (ends - begins)
        columns.append(MISSED + (1 - MISSED) * (exactly + around) / 2)
    columns.append(np.full(len(words.begins), NOBODY))
    return np.stack(columns, axis=1)


def _meaning(result: Floats, voices: Ints, count: int) -> Floats:
    """Return how likely each person is given each label: shape ``(voices, people + 1)``."""
    said = np.full((count, result.shape[1]), _UNSEEN / count)
    told = voices >= 0
    np.add.at(said, voices[told], result[told])
    said[:, -1] = said[:, :-1].sum(axis=1).mean() / count  # Nobody in particular.
    likely: Floats = said / said.sum(axis=0, keepdims=True)
    return likely


def _run_lengths(words: Words) -> Floats:
    """Return for each word how many words in a row of its segment have its voice."""
    keys = zip(words.segments.tolist(), words.voices.tolist(), strict=True)
    lengths: list[float] = []
    for _, run in groupby(keys):
        length = len(list(run))
        lengths += [float(length)] * length
    return np.array(lengths)


def _smoothed(evidence: Floats, words: Words) -> Floats:
    """Run the forward-backward algorithm over each segment."""
    states = evidence.shape[1]
    likelihood = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    result: Floats = np.empty_like(likelihood)
    bounds = np.flatnonzero(np.diff(words.segments, prepend=-1))
    for begin, end in zip(bounds, [*bounds[1:], len(words.segments)], strict=True):
        changes = np.where(
            np.diff(words.voices[begin:end]) != 0, CHANGES_WITH_VOICE, CHANGES
        ).tolist()
        result[begin:end] = _forward_backward(likelihood[begin:end], changes, states)
    return result


def _forward_backward(likelihood: Floats, changes: Sequence[float], states: int) -> Floats:
    count = len(likelihood)
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    forward[0] = likelihood[0] / likelihood[0].sum()
    for at in range(1, count):
        change = changes[at - 1]
        step = ((1 - change) * forward[at - 1] + change / states) * likelihood[at]
        forward[at] = step / step.sum()
    for at in range(count - 2, -1, -1):
        change = changes[at]
        later = likelihood[at + 1] * backward[at + 1]
        step = (1 - change) * later + change / states * later.sum()
        backward[at] = step / step.sum()
    both: Floats = forward * backward
    result: Floats = both / both.sum(axis=1, keepdims=True)
    return result
