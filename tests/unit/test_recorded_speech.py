"""A recording is cut in silence: every sample of speech is in one piece, and silence is in none."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import pairwise

import av
import numpy as np
import pytest

from pipelines.post_meeting.media.decode import CHUNK
from pipelines.post_meeting.media.parts import AudioPart, audio_parts
from pipelines.post_meeting.media.speech import Speech, speech_pieces
from pipelines.speech.cutter import HARD_LIMIT
from pipelines.speech.heard import RATE, Samples

Sound = list[tuple[float, bool]]
"""Seconds, and whether somebody speaks."""


class Loud:
    """A detector that takes what is loud for speech."""

    def predict(self, window: Samples) -> float:
        return 1.0 if np.abs(window).max() > 1000 else 0.0


def chunks(sound: Sound) -> Iterator[Samples]:
    noise = np.random.default_rng(1)
    samples = np.concatenate(
        [noise.normal(0, 8000 if speech else 1, round(s * RATE)) for s, speech in sound]
    )
    whole: Samples = samples.clip(-32768, 32767).astype(np.int16)
    for at in range(0, len(whole), CHUNK):
        yield whole[at : at + CHUNK]


def pieces(sound: Sound) -> list[Speech]:
    return list(speech_pieces(chunks(sound), Loud()))


def parts(sound: Sound, *, length: float) -> list[AudioPart]:
    return list(audio_parts(chunks(sound), Loud(), length=length))


def seconds(piece: Speech) -> float:
    return sum(len(samples) for samples, _ in piece.chunks) / RATE


def test_silence_is_in_no_piece() -> None:
    assert pieces([(20.0, False)]) == []
    found = pieces([(5.0, False), (3.0, True), (60.0, False), (2.0, True)])
    assert [round(one.start) for one in found] == [5, 68]
    assert all(seconds(one) < 4.5 for one in found)


def test_times_are_those_of_speech_and_the_audio_begins_a_little_earlier() -> None:
    (piece,) = pieces([(5.0, False), (3.0, True), (2.0, False)])
    assert piece.start == pytest.approx(5.0, abs=0.05)
    assert piece.end == pytest.approx(8.0, abs=0.1)
    assert 4.3 <= piece.audio_start <= 4.6


def test_a_short_pause_parts_two_pieces_and_no_speech_is_in_both() -> None:
    first, second = pieces([(1.0, False), (3.0, True), (0.4, False), (3.0, True)])
    assert first.end <= second.audio_start + 0.1
    assert second.start == pytest.approx(4.4, abs=0.05)


def test_long_speech_is_cut_and_all_of_it_is_there_once() -> None:
    found = pieces([(1.0, False), (100.0, True), (1.0, False)])
    assert len(found) >= 4
    assert all(seconds(one) <= HARD_LIMIT + 0.1 for one in found)
    for one, after in pairwise(found):
        assert after.audio_start == pytest.approx(one.audio_start + seconds(one), abs=1e-3)
    assert sum(map(seconds, found)) == pytest.approx(101.0, abs=0.7)


def test_a_recording_goes_to_a_service_in_parts_that_end_in_silence() -> None:
    found = parts([(8.0, True), (1.0, False)] * 4, length=15)
    assert [round(one.end) for one in found] == [18, 36]
    assert [one.number for one in found] == [0, 1]
    assert [len(one.spans) for one in found] == [2, 2]


def test_a_part_without_speech_is_not_sent_and_the_times_go_on() -> None:
    found = parts([(3.0, True), (40.0, False), (3.0, True)], length=10)
    assert [round(one.spans[0][0]) for one in found] == [0, 43]
    assert found[1].start <= 43


def test_where_nobody_is_silent_a_part_is_cut_all_the_same() -> None:
    found = parts([(40.0, True)], length=10)
    assert [round(one.end) for one in found] == [12, 24, 36, 40]
    for one in found:
        assert one.spans == [pytest.approx((one.start, one.end), abs=0.1)]


def test_a_part_is_a_file_as_long_as_it_says() -> None:
    (part,) = parts([(3.0, True), (1.0, False)], length=60)
    with av.open(io.BytesIO(part.audio), mode="r") as container:
        stream = container.streams.audio[0]
        samples = sum(frame.samples for frame in container.decode(stream))
        assert samples / stream.rate == pytest.approx(part.end - part.start, abs=0.05)
