"""The built-in agent that answers in chat when it is addressed by its name, and calls tools.

It knows the meeting by what is said and written in it, asks the operator's language model, and has
people asked before anything with effects happens; what they decide it tells the room later. Where
the operator has named no model it says so, once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from pydantic import Field

from agents.acting import Acting
from agents.approvals.calls import by_agent
from agents.assistant.addressing import Persona, is_addressed, persona_of
from agents.assistant.answers import TOLD, Answers, say
from agents.assistant.model import open_model
from agents.assistant.news import untold
from agents.assistant.session import Conversation
from agents.assistant.tool_calls import ToolCalls
from agents.plugin import (
    AgentSettings,
    AgentSpec,
    ChatReceived,
    Event,
    Meeting,
    MetadataChanged,
    SettingsChanged,
)
from prompts import Prompts

log = logging.getLogger(__name__)

NAME: Final = "assistant"

LAST_ANSWERS: Final = 2.0
"""Seconds for what waits when the events end: the host gives an agent that hears nothing 3 s."""

PREDECESSOR: Final = 30.0
"""Seconds in which a job that hands the meeting over has told its last news."""

NEWS: Final = 600.0
"""Seconds after which what an earlier job did not tell is no news any more."""

NO_MODEL: Final = (
    "I can't answer: no language model is set up here (GREFFIER_LLM_MODEL). Tools and approvals "
    "work without me."
)


class AssistantSettings(AgentSettings):
    """What the room's metadata may say under ``agents.assistant``."""

    tools: tuple[str, ...] | None = Field(
        default=None, description="Names of the tools that it may use; default all."
    )


class Assistant:
    """Answers in one meeting."""

    def __init__(self, settings: AssistantSettings) -> None:
        self._settings = settings

    async def run(self, meeting: Meeting) -> None:
        """Serve the meeting until it ends."""
        acting = meeting.acting
        if acting is None:  # It may say nothing here.
            return
        model = open_model(acting.llm)
        await meeting.notify(NAME, state="ready" if model else "no model")
        if model is None:
            await _say_why_not(meeting)
            return
        prompts = Prompts(acting.llm.prompts_dir)
        persona = persona_of(meeting.info.metadata)
        calls = ToolCalls(acting.toolbox, acting.approvals, by_agent(NAME))
        calls.only = self._settings.tools
        told = _instructions(prompts, persona)
        async with Conversation(model, calls, instructions=told, settings=acting.llm) as talk:

            async def take(event: Event) -> None:
                match event:
                    case MetadataChanged(metadata=metadata):
                        persona = persona_of(metadata)
                        answers.name = persona.name
                        await talk.instruct(_instructions(prompts, persona))
                    case SettingsChanged(settings=AssistantSettings() as settings):
                        calls.only = settings.tools
                    case _:
                        await answers.receive(event)

            answers = Answers(meeting, acting.callers, talk, calls, name=persona.name)
            unwatch = acting.approvals.watch(by_agent(NAME), answers.hear_of)
            try:
                async with asyncio.TaskGroup() as tasks:
                    answering = tasks.create_task(answers.run(), name="answers")
                    catching_up = tasks.create_task(_catch_up(meeting, acting, answers))
                    async for event in meeting.events():
                        try:
                            await take(event)
                        except Exception as error:
                            # It ends nothing else; its words may quote what was said.
                            cause = {"cause": type(error).__name__}
                            log.error("assistant passes over an event", extra=cause)
                    catching_up.cancel()
                    await _finish(answers, answering)
            finally:
                unwatch()


async def _finish(answers: Answers, answering: asyncio.Task[None]) -> None:
    """Answer what waits, as far as there is time, and tell the others that it is not."""
    answers.close()
    await asyncio.wait({answering}, timeout=LAST_ANSWERS)
    if not answering.done():
        answering.cancel()
        await asyncio.wait({answering})
    await answers.leave()


async def _catch_up(meeting: Meeting, acting: Acting, answers: Answers) -> None:
    """Tell what an earlier job did not: it died, or had to leave, before it could."""
    await acting.approvals.ready()
    await asyncio.sleep(PREDECESSOR)
    try:
        stored = await meeting.stored()
    except Exception as error:
        # What can't be read is not told; a store's error may quote what it holds.
        log.warning("earlier news not read", extra={"cause": type(error).__name__})
        return
    told = {(one.data["id"], one.data["state"]) for one in stored if one.kind == TOLD}
    since = time.time() - NEWS
    for approval in untold(acting.approvals.all(), by_agent(NAME), told, since=since):
        answers.hear_of(approval)


async def _say_why_not(meeting: Meeting) -> None:
    """Follow the meeting, and tell whoever addresses the assistant first that it can't answer."""
    persona, told = persona_of(meeting.info.metadata), False
    async for event in meeting.events():
        match event:
            case MetadataChanged(metadata=metadata):
                persona = persona_of(metadata)
            case ChatReceived(identity=identity, text=text):
                is_asked = identity in meeting.participants() and is_addressed(text, persona.name)
                if is_asked and not told:
                    told = True
                    await say(meeting, NO_MODEL)


def _instructions(prompts: Prompts, persona: Persona) -> str:
    told = persona.instructions.strip() or "(nothing)"
    return prompts.render(NAME, called=persona.name, instructions=told)


SPEC: Final = AgentSpec(
    name=NAME,
    create=Assistant,
    settings=AssistantSettings,
    isolation="inline",
    description="Answers in chat when addressed by its name, and asks people before it acts.",
)
