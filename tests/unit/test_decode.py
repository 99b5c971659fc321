"""What a recording's sound becomes, and which sound is refused before it takes memory."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from pipelines.errors import StepError
from pipelines.post_meeting.media.decode import decode


def matroska(rate: int, samples: int) -> io.BytesIO:
    """Return a recording of one frame."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.int16), "s16", "mono")
        frame.rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    file.seek(0)
    return file


def test_sound_of_a_low_rate_keeps_its_length() -> None:
    chunks = list(decode(matroska(8000, 16_000), most=60))
    assert sum(map(len, chunks)) == pytest.approx(2 * 16_000, abs=20)


@pytest.mark.parametrize(
    ("rate", "samples"), [(1, 60), (3999, 100), (4000, 60 * 4000 + 1), (48_000, 61 * 48_000)]
)
def test_a_frame_that_claims_a_minute_or_a_rate_that_nobody_records_is_refused(
    rate: int, samples: int
) -> None:
    with pytest.raises(StepError, match="corrupted_audio_file: the recording has a frame"):
        list(decode(matroska(rate, samples), most=3600))
