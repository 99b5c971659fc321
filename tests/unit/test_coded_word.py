"""The measure of the first-word figures sees what is missing, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bench.audio_file import Samples
from bench.coded_word import coded_word, find_word

RATE = 16_000


def recording(word: Samples, *, before: float = 0.5) -> Samples:
    noise = np.random.default_rng(1).normal(0, 30, len(word) + round((before + 0.3) * RATE))
    at = round(before * RATE)
    noise[at : at + len(word)] += word
    return noise.astype(np.int16)


def test_a_whole_word_is_whole_wherever_it_is() -> None:
    for before in (0.0, 0.3, 1.0):
        match = find_word(recording(coded_word(RATE), before=before), RATE)
        assert match
        assert (match.begins_whole, match.ends_whole, match.lost) == (True, True, 0.0)
        assert match.start == pytest.approx(before, abs=0.002)


@pytest.mark.parametrize("missing", [0.02, 0.04, 0.1, 0.2, 0.3])
def test_what_is_missing_at_the_beginning_is_measured(missing: float) -> None:
    word = coded_word(RATE)[round(missing * RATE) :]
    match = find_word(recording(word, before=0.0), RATE)
    assert match
    assert not match.begins_whole
    assert match.ends_whole
    assert match.lost == pytest.approx(missing, abs=0.021)


def test_what_is_missing_at_the_end_is_seen() -> None:
    match = find_word(recording(coded_word(RATE)[: -RATE // 20]), RATE)
    assert match
    assert match.begins_whole
    assert match.last == (True, True, True, True, False, False)


def test_noise_is_no_word() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 2 * RATE).astype(np.int16)
    assert find_word(noise, RATE) is None
