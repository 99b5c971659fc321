"""When what was heard of a recording is a transcription, and when it is tried again."""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipelines.errors import RetryableError
from pipelines.post_meeting.batch_engine import Answers
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.fetch import Fetching
from pipelines.post_meeting.transcribe import transcribe
from pipelines.post_meeting.transcription import HeardSegment, Transcription, Unheard
from pipelines.speech.heard import RATE, Samples

PIECES = 100
LENGTH = 2  # seconds of each


class Engine:
    """Hears all but the last ``deaf`` pieces of a recording."""

    name = "fake/fake"
    parallel = 1

    def __init__(self, deaf: int) -> None:
        self._deaf = deaf

    def pieces(self, chunks: Iterable[Samples]) -> Iterator[int]:
        for _ in chunks:
            pass
        yield from range(PIECES)

    def end(self, piece: int) -> float:
        return (piece + 1.0) * LENGTH

    async def hear(self, piece: int) -> Answers:
        start, end = self.end(piece - 1), self.end(piece)
        if piece >= PIECES - self._deaf:
            return [Unheard(start=start, end=end, reason="it went away")]
        return [HeardSegment(text="word", start=start, end=end)]


async def heard_by(engine: Engine, directory: Path, *, last: bool = False) -> Transcription:
    path = directory / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE))
    address = MediaAddress.parse(str(path), files=True)
    return await transcribe(address, engine=engine, fetching=Fetching(), most=60, last=last)


async def test_what_an_engine_that_went_away_did_not_hear_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="engine_unavailable: 97% of the speech was heard"):
        await heard_by(Engine(deaf=3), tmp_path)


async def test_on_the_last_attempt_what_was_heard_is_taken_with_its_holes(tmp_path: Path) -> None:
    heard = await heard_by(Engine(deaf=60), tmp_path, last=True)
    assert (len(heard.segments), len(heard.unheard)) == (40, 60)


async def test_a_small_hole_is_worth_no_other_attempt(tmp_path: Path) -> None:
    assert len((await heard_by(Engine(deaf=2), tmp_path)).unheard) == 2


async def test_of_which_nothing_was_heard_is_never_done(tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="engine_unavailable: nothing was heard"):
        await heard_by(Engine(deaf=PIECES), tmp_path, last=True)
