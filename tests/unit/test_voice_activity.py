"""The parts of a time stamp of speech that are not the microphone's: measured, and taken out."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from livekit import rtc

from agents.jitter_buffer import USUAL, JitterBuffer
from bench.audio_file import read_samples, speech_bounds
from bench.script import load_script
from bench.speech_spans import Span, compare, joined
from pipelines.settings import VadName
from pipelines.speech.segmenter import Ended, Started
from pipelines.speech.spans import SpanDetector
from pipelines.speech.vad import SAMPLE_RATE, make_vad

SILENCE = np.zeros(SAMPLE_RATE, dtype=np.int16)
FRAME = SAMPLE_RATE // 20


@pytest.mark.parametrize("name", ["native", "silero"])
def test_a_sentence_is_found_where_it_is(name: VadName) -> None:
    onsets, ends = [], []
    for utterance in load_script().utterances:
        samples = read_samples(utterance.file, SAMPLE_RATE)
        first, last = speech_bounds(samples, SAMPLE_RATE)
        detector = SpanDetector(make_vad(name))
        audio = np.concatenate((SILENCE, samples, SILENCE))
        found = [
            change
            for at in range(0, len(audio), FRAME)
            for change in detector.feed(audio[at : at + FRAME])[1]
        ]
        (start,) = (one.at for one in found if isinstance(one, Started))
        (end,) = (one.at for one in found if isinstance(one, Ended))
        onsets.append(start - 1 - first / SAMPLE_RATE)
        ends.append(end - 1 - last / SAMPLE_RATE)
    assert abs(float(np.median(onsets))) < 0.02
    assert abs(float(np.median(ends))) < 0.02
    assert float(np.max(np.abs(ends))) < 0.1


def test_the_delay_is_that_of_the_samples_since_the_last_look() -> None:
    buffer = JitterBuffer(cast("rtc.Track", None))
    assert buffer.delay == USUAL
    buffer.measured(0.0, 0)
    assert buffer.delay == USUAL
    buffer.measured(4800.0, 48_000)
    assert buffer.delay == pytest.approx(0.1)
    buffer.measured(4800.0 + 1920.0, 96_000)
    assert buffer.delay == pytest.approx(0.04)


def test_found_spans_are_held_against_spoken_ones_person_by_person() -> None:
    spoken = [Span("ada", 1, 2), Span("ada", 4, 6), Span("james", 1, 3), Span("james", 9, 10)]
    found = [Span("ada", 1.1, 2.2), Span("james", 0.9, 1.5), Span("james", 2, 2.9)]
    errors = compare(spoken, [*found, Span("ada", 20, 21)])
    assert errors.onsets == pytest.approx([0.1, -0.1])
    assert errors.ends == pytest.approx([0.2, -0.1])
    assert (errors.missed, errors.false, errors.split) == (2, 1, 1)


def test_what_was_said_in_one_breath_is_one_span() -> None:
    spoken = [Span("ada", 1, 2), Span("james", 2, 3), Span("ada", 2.3, 3), Span("ada", 4, 5)]
    assert joined(spoken, pause=0.6) == [
        Span("ada", 1, 3),
        Span("ada", 4, 5),
        Span("james", 2, 3),
    ]
