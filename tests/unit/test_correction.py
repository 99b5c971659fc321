"""A person's correction of a caption: who may, what is kept and shown, and what stays as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.correction import Corrections
from agents.meeting import Desk
from agents.roles import Role
from agents.rpc.callers import Caller
from agents.rpc.errors import Code, RpcProblem
from agents.rpc.messages import CorrectRequest
from pipelines.events import CaptionCorrected, CaptionFinal
from pipelines.transcript.ledger import Ledger

ADA = Caller("ada", "Ada", Role.ATTENDEE)
GRACE = Caller("grace", "Grace", Role.ATTENDEE)
SAID = CaptionFinal(1001.0, 1002.0, "s", "ada", "Ada", "helo word")


class Room:
    """A meeting where Ada has said something, and what it shows and tells."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.shown: list[str] = []
        self.told: list[Any] = []
        part = cast("Any", SimpleNamespace(offer=self._offer, people={}))
        self.desk = Desk(part, part, part, part, ledger, part, part, spread=self.told.append)
        self.desk.publish(SAID)
        self.corrections = Corrections(self.desk, now=lambda: 1060.0)

    def _offer(self, caption: CaptionFinal) -> None:
        kept = [line.data["text"] for line in self.ledger._memory.said]
        assert caption.text in kept, "shown before it is kept"
        self.shown.append(caption.text)

    async def correct(self, who: Caller, text: str, segment: str = "s") -> str:
        reply = await self.corrections.correct(who, CorrectRequest(segment=segment, text=text))
        return f"{reply.by}: {reply.text}"

    async def refused(self, who: Caller, text: str, segment: str = "s") -> Code:
        with pytest.raises(RpcProblem) as caught:
            await self.correct(who, text, segment)
        return caught.value.code


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    ledger = await Ledger.open("m", 7, started_at=1000.0, journal_dir=tmp_path, stores=())
    return Room(ledger)


async def test_a_correction_is_kept_then_shown_to_all_then_told_to_the_agents(room: Room) -> None:
    assert await room.correct(ADA, "  hello\n world ") == "ada: hello world"
    assert room.shown == ["helo word", "hello world"]
    event = room.told[-1]
    assert isinstance(event, CaptionCorrected)
    assert (event.at, event.caption.identity, event.caption.text) == (1060.0, "ada", "hello world")
    assert [caption.text for caption in await room.ledger.said()] == ["hello world"]


@pytest.mark.parametrize("role", [Role.MODERATOR, Role.OWNER])
async def test_a_moderator_and_an_owner_correct_everybodys_words(room: Room, role: Role) -> None:
    chair = Caller("grace", "Grace", role)
    assert await room.correct(chair, "hello world") == "grace: hello world"


@pytest.mark.parametrize("role", [Role.STRANGER, Role.ATTENDEE, Role.AGENT])
async def test_nobody_else_corrects_anothers_words(room: Room, role: Role) -> None:
    assert await room.refused(Caller("grace", "Grace", role), "mine now") is Code.FORBIDDEN
    assert room.shown == ["helo word"]


async def test_what_is_no_caption_or_no_text_is_refused(room: Room) -> None:
    assert await room.refused(ADA, "hello", segment="other") is Code.NOT_FOUND
    assert await room.refused(ADA, " \n ") is Code.BAD_REQUEST


async def test_a_correction_that_is_sent_again_is_kept_and_shown_once(room: Room) -> None:
    for _ in range(2):
        assert await room.correct(ADA, "hello world") == "ada: hello world"
    chair = Caller("grace", "Grace", Role.OWNER)
    assert await room.correct(chair, "hello world") == "ada: hello world"
    assert room.shown == ["helo word", "hello world"]


async def test_a_person_who_confirms_the_machines_words_is_their_author(room: Room) -> None:
    assert await room.correct(ADA, "helo word") == "ada: helo word"
    assert room.ledger.is_corrected("s")


async def test_a_machines_revision_of_a_corrected_segment_is_kept_and_not_shown(
    room: Room,
) -> None:
    await room.correct(ADA, "hello world")
    told = len(room.told)
    room.desk.publish(CaptionFinal(1001.0, 1002.0, "s", "ada", "Ada", "yellow", revision=1))
    assert (room.shown[-1], len(room.told)) == ("hello world", told)
    (caption,) = await room.ledger.said()
    assert caption.correction
    assert (caption.text, caption.correction.original) == ("hello world", "yellow")


async def test_an_agent_cannot_pass_its_words_off_as_a_persons(room: Room) -> None:
    await room.correct(ADA, "hello world")
    corrected = await room.ledger.caption("s")
    assert corrected
    forged = CaptionFinal(1003.0, 1004.0, "t", "ada", "Ada", "x", correction=corrected.correction)
    room.desk.publish(forged)
    assert room.told[-1].correction is None
