"""The record that journals and stores keep: what is no whole line is told apart when it is read."""

from __future__ import annotations

import pytest

from pipelines.events import CaptionFinal
from pipelines.transcript.correction import correction_data
from pipelines.transcript.line import Line, TornLineError

SAID = CaptionFinal(1001.0, 1002.0, "s", "ada", "Ada", "helo")
CORRECTION = correction_data(SAID, "hello", by="gr", name="Grace", index=2, meeting_start=1000.0)


def correction(*, without: str = "", final_without: str = "") -> Line:
    final = {key: value for key, value in CORRECTION["final"].items() if key != final_without}
    data = {key: value for key, value in {**CORRECTION, "final": final}.items() if key != without}
    return Line("m", 7, 2, "correction", 1060.0, data)


def test_a_correction_is_read_back_as_it_was_written() -> None:
    assert Line.decode(correction().encode()) == correction()


@pytest.mark.parametrize(
    "torn",
    [
        *(correction(without=name) for name in ("segment", "text", "by", "said_at", "final")),
        *(correction(final_without=name) for name in ("speaker", "start_ms", "language")),
    ],
)
def test_a_correction_without_its_copy_of_the_final_is_no_line_and_breaks_no_reader(
    torn: Line,
) -> None:
    with pytest.raises(TornLineError):
        Line.decode(torn.encode())
