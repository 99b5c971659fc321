"""What the room is told of the captions, and whose language counts."""

from __future__ import annotations

import pytest
from livekit import rtc

from agents.caption_status import CaptionStatus, hole_notice
from agents.plugin import RpcCall
from agents.spoken_language import ATTRIBUTE, SWITCH_WITHIN, LanguageSwitch, SpokenLanguages
from pipelines.events import Hole, HoleCause


def started() -> CaptionStatus:
    status = CaptionStatus()
    assert status.ready("a/b") == {"state": "started", "engine": "a/b"}
    return status


def test_trouble_is_told_once_and_its_end_when_nobody_waits_any_more() -> None:
    status = started()
    assert status.trouble("ada", "a/b is away") == {
        "state": "interrupted",
        "reason": "a/b is away",
    }
    assert status.trouble("alan", "a/b is away") is None
    assert status.words("ada", "a/b") is None
    assert status.words("alan", "c/d") == {"state": "resumed", "engine": "c/d"}
    assert status.words("alan", "c/d") is None


def test_lost_speech_is_told_and_words_after_it() -> None:
    status = started()
    assert status.failed("a/b is away", "ada") == {"state": "failed", "reason": "a/b is away"}
    assert status.failed("a/b is away", "ada") is None
    assert status.trouble("ada", "a/b is away") is None
    assert status.words("ada", "a/b") == {"state": "resumed", "engine": "a/b"}


def test_another_engine_after_a_failure_starts_captions_anew() -> None:
    status = started()
    status.failed("no such engine")
    assert status.ready("c/d") == {"state": "started", "engine": "c/d"}
    assert status.ready("c/d") is None


def test_the_end_is_told_once() -> None:
    status = started()
    assert status.stopped() == {"state": "stopped"}
    assert status.stopped() is None


async def test_the_latest_word_of_a_participant_counts_attribute_or_rpc() -> None:
    languages = SpokenLanguages()
    languages.joined("ada", {ATTRIBUTE: "fr"})
    assert languages.of("ada") == "fr"
    assert await languages.called(RpcCall("ada", "de-CH", 10.0)) == '{"language": "de-CH"}'
    assert languages.of("ada") == "de-CH"
    languages.changed("ada", {"other": "x"})
    assert languages.of("ada") == "de-CH"
    languages.changed("ada", {ATTRIBUTE: ""})
    assert languages.of("ada") == ""


async def test_a_participant_speaks_for_nobody_else_and_a_rejoin_begins_anew() -> None:
    languages = SpokenLanguages()
    await languages.called(RpcCall("ada", "fr", 10.0))
    assert languages.of("alan") == ""
    languages.joined("ada", {})
    assert languages.of("ada") == ""


async def test_what_is_no_tag_is_refused_with_the_fix() -> None:
    languages = SpokenLanguages()
    with pytest.raises(ValueError, match=r"attribute greffier\.language must be a BCP 47 tag"):
        languages.changed("ada", {ATTRIBUTE: "../etc"})
    with pytest.raises(rtc.RpcError, match="must be a BCP 47 tag"):
        await languages.called(RpcCall("ada", "French please", 10.0))
    assert languages.of("ada") == ""


def test_another_language_begins_in_the_next_quiet_moment() -> None:
    switch = LanguageSwitch("en")
    assert not switch.due("en", 0.05, 0.0)
    assert not switch.due("fr", 0.05, 0.9)
    assert switch.due("fr", 0.05, 0.1)


def test_another_language_does_not_wait_for_a_pause_for_long() -> None:
    switch = LanguageSwitch("en")
    late = 0.0
    while not switch.due("fr", 0.05, 0.9):
        late += 0.05
    assert late == pytest.approx(SWITCH_WITHIN, abs=0.06)


def test_the_room_is_told_where_a_hole_is_and_whose_speech_is_missing() -> None:
    assert hole_notice(Hole(1.0, 3.5, HoleCause.ENGINE, ("ada",), "no answer in 15 s")) == {
        "from": "1970-01-01T00:00:01.000Z",
        "to": "1970-01-01T00:00:03.500Z",
        "cause": "engine",
        "speakers": ["ada"],
        "reason": "no answer in 15 s",
    }
