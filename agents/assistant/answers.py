"""Who is answered when: one message at a time, in the order in which they came."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from agents.approvals.approval import Approval
from agents.assistant.addressing import is_addressed, on_one_line
from agents.assistant.conversation import Background, question, spoken
from agents.assistant.news import instruction, reason, sentence
from agents.assistant.session import WENT_WRONG, Conversation, NoAnswerError
from agents.assistant.tool_calls import ToolCalls
from agents.plugin import CaptionCorrected, CaptionFinal, ChatReceived, Event, Meeting
from agents.roles import Role
from agents.rpc.callers import Callers
from pipelines.errors import MeetingEndedError

log = logging.getLogger(__name__)

MOST_WAITING: Final = 20
MOST_WAITING_OF_ONE: Final = 4
"""Questions that wait for their answer, in all and of one person; the next is told to come back."""

BUSY: Final = "I am still busy with other questions; ask me again in a moment."
LEAVING: Final = "I have to leave before I can answer {names}: please ask again."

TOLD: Final = "told"
"""Kind of the note that news were told: ``id`` of the approval and its ``state``."""


@dataclass(frozen=True, slots=True)
class _Question:
    identity: str
    text: str


class Answers:
    """Takes questions and news of one meeting, and answers in its chat.

    Args:
        meeting: The meeting.
        callers: Tell who may ask: attendees and up.
        conversation: Gives the answers.
        calls: Are told whom an answer is for.
        name: What the assistant is called; may be set anew.
    """

    def __init__(
        self,
        meeting: Meeting,
        callers: Callers,
        conversation: Conversation,
        calls: ToolCalls,
        *,
        name: str,
    ) -> None:
        self.name = name
        self._meeting = meeting
        self._callers = callers
        self._conversation = conversation
        self._calls = calls
        self._background = Background()
        self._waiting: asyncio.Queue[_Question | Approval | None] = asyncio.Queue()
        self._under_way: _Question | Approval | None = None
        self._heard_of: set[tuple[str, str]] = set()
        self._questions: Counter[str] = Counter()
        self._put_off: set[str] = set()

    async def receive(self, event: Event) -> None:
        """Follow what is said and written."""
        match event:
            case (CaptionFinal() as said) | CaptionCorrected(caption=said):
                self._background.caption(said.segment, said.name, said.identity, said.text)
            case ChatReceived(identity=identity, text=text):
                if identity in self._meeting.participants():  # Agents don't talk to each other.
                    await self._hear(identity, text)

    def hear_of(self, approval: Approval) -> None:
        """Take what became of an approval that the assistant asked for; once is enough."""
        news = (approval.id, approval.state.value)
        if sentence(approval) and news not in self._heard_of:
            self._heard_of.add(news)
            self._waiting.put_nowait(approval)

    async def run(self) -> None:
        """Answer until :meth:`close`, and then what waits."""
        while (item := await self._waiting.get()) is not None:
            self._under_way = item
            try:
                match item:
                    case _Question():
                        await self._answer(item)
                    case Approval():
                        await self._tell(item)
            except Exception as error:
                # It ends no other answer; its words may quote what was said.
                log.error("assistant has no answer", extra={"cause": type(error).__name__})
                await say(self._meeting, WENT_WRONG)
            self._under_way = None

    def close(self) -> None:
        """Have :meth:`run` return once nothing waits."""
        self._waiting.put_nowait(None)

    async def leave(self) -> None:
        """Tell what :meth:`run` did not get to: news in plain words, and who is to ask again."""
        waiting = [self._under_way]
        while not self._waiting.empty():
            waiting.append(self._waiting.get_nowait())
        for approval in waiting:
            if isinstance(approval, Approval):
                await self._say_news(approval, sentence(approval))
        names = self._meeting.participants()
        asked = dict.fromkeys(one.identity for one in waiting if isinstance(one, _Question))
        if asked:
            told = ", ".join(on_one_line(names.get(who) or who) for who in asked)
            await say(self._meeting, LEAVING.format(names=told))

    async def _hear(self, identity: str, text: str) -> None:
        if not await self._may_ask(identity):
            return
        if not is_addressed(text, self.name):
            self._background.add(self._spoken(identity, text))
        elif (
            self._questions[identity] >= MOST_WAITING_OF_ONE
            or self._questions.total() >= MOST_WAITING
        ):
            if identity not in self._put_off:  # Once: who writes much is not to make it write much.
                self._put_off.add(identity)
                await say(self._meeting, BUSY)
        else:
            self._questions[identity] += 1
            self._waiting.put_nowait(_Question(identity, text))

    async def _may_ask(self, identity: str) -> bool:
        return (await self._callers.seen(identity)).role.reaches(Role.ATTENDEE)

    async def _answer(self, asked: _Question) -> None:
        self._questions -= Counter([asked.identity])
        self._put_off.discard(asked.identity)
        if not await self._may_ask(asked.identity):  # No longer.
            return
        name = self._meeting.participants().get(asked.identity, "")
        self._calls.asker = asked.identity
        self._calls.reason = reason(name, asked.identity)
        before = self._background.take()
        told = question(before, time.time(), spoken(name, asked.identity, asked.text))
        try:
            answer = await self._conversation.answer(told)
        except NoAnswerError as problem:
            answer = str(problem)
        finally:
            self._calls.asker = ""
        await say(self._meeting, answer)

    async def _tell(self, approval: Approval) -> None:
        """Tell what became of an approval; in plain words where the model has none."""
        try:
            told = await self._conversation.tell(instruction(approval))
        except NoAnswerError:
            told = sentence(approval)
        await self._say_news(approval, told)

    async def _say_news(self, approval: Approval, told: str) -> None:
        """Tell it, and keep that it was told: after a crash another job tells the rest."""
        if await say(self._meeting, told):
            with suppress(MeetingEndedError):
                await self._meeting.store(TOLD, {"id": approval.id, "state": approval.state.value})

    def _spoken(self, identity: str, text: str) -> str:
        return spoken(self._meeting.participants().get(identity, ""), identity, text)


async def say(meeting: Meeting, text: str) -> bool:
    """Write in the chat; a message that can't be sent ends nothing. Return whether it was."""
    try:
        if meeting.acting is None:
            return False
        await meeting.acting.post_chat(text)
    except Exception as error:
        # rtc raises whatever it has while it reconnects; the message would quote the text.
        log.warning("chat message not sent", extra={"cause": type(error).__name__})
        return False
    return True
