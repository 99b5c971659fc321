"""What a plugin publishes is checked before it is kept: a bad field is its error, nobody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.caption_check import checked
from pipelines.events import CaptionFinal

GOOD = CaptionFinal(
    at=1000.0, end=1001.0, segment="s", identity="ada", name="Ada", text="secret words"
)


def test_a_good_caption_passes_unchanged() -> None:
    assert checked(GOOD) == GOOD


@pytest.mark.parametrize(
    "wrong",
    [{"text": None}, {"language": None}, {"track": 7}, {"at": "now"}, {"at": 1e15}, {"end": 1e15}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_field_is_refused_by_name_without_quoting_speech(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(?!.*secret words)"):
        checked(replace(GOOD, **wrong))


def test_a_lone_surrogate_is_replaced_since_no_protocol_carries_it() -> None:
    assert checked(replace(GOOD, text="a\ud83db")).text == "a?b"
