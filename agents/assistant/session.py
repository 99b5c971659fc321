"""One conversation with the language model: a LiveKit ``AgentSession`` of text alone."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from http import HTTPStatus
from typing import Any, Final, Self

from livekit.agents import (
    NOT_GIVEN,
    Agent,
    AgentSession,
    APIConnectOptions,
    APIError,
    APIStatusError,
    APITimeoutError,
    ModelSettings,
    llm,
)
from livekit.agents.voice.agent_session import SessionConnectOptions

from agents.assistant.tool_calls import REFUSED, ToolCalls
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.post_meeting.windows import tokens

log = logging.getLogger(__name__)

MOST_STEPS: Final = 5
"""Rounds of tool calls that one answer may take."""

ANSWER_WITHIN: Final = 90.0
"""Seconds that one answer may take, tools and tries included: people wait for it."""

INTERRUPTED: Final = 2.0
"""Seconds that an answer that is given up may take to end."""

WENT_WRONG: Final = "Something went wrong on my side; the operator can see more in the log."

LONGEST_SILENCE: Final = 30.0
"""Seconds without a word from the model's server, however patient the settings are."""

MOST_ITEMS: Final = 80
"""Messages, calls and results that are remembered."""

_FRAME: Final = 8  # tokens around each item


class NoAnswerError(Exception):
    """There is no answer; the message says why, for people."""


class Conversation:
    """What is said between the assistant and the model; an async context manager.

    Args:
        model: Is asked; closed at the end.
        calls: Takes its tool calls.
        instructions: What it is told first.
        settings: How much it reads and writes at once, and how long it may be silent.
    """

    def __init__(
        self,
        model: llm.LLM[Any],
        calls: ToolCalls,
        *,
        instructions: str,
        settings: LLMSettings,
    ) -> None:
        self._model = model
        self._room = settings.llm_context_tokens - settings.llm_answer_tokens
        self._agent = _Agent(calls, instructions, self._room)
        self._calls = calls
        self._undo = AsyncExitStack()
        silence = min(settings.llm_timeout, LONGEST_SILENCE)
        # It asks once, and it never gives up the conversation: the client of the model has tried
        # again already, and the next question may find the server well.
        self._session: AgentSession[None] = AgentSession(
            llm=model,
            vad=None,
            turn_handling={"turn_detection": None},
            user_away_timeout=None,
            max_tool_steps=MOST_STEPS,
            conn_options=SessionConnectOptions(
                llm_conn_options=APIConnectOptions(max_retry=0, timeout=silence),
                max_unrecoverable_errors=10**9,
            ),
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._model.aclose)
            undo.push_async_callback(self._session.aclose)
            # Nothing of it leaves this process but to the model: no recording, no remote session.
            await self._session.start(self._agent, record=False, session_host=False)
            self._undo = undo.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._undo.aclose()

    async def instruct(self, instructions: str) -> None:
        """Replace what the model is told first."""
        await self._agent.update_instructions(instructions)

    async def answer(self, question: str) -> str:
        """Return the model's answer to a message, once its tool calls have had theirs.

        Raises:
            NoAnswerError: There is none.
        """
        # The other half is for the instructions and for what is said.
        await self._agent.update_tools(self._calls.offer(self._room // 2))
        try:
            return await self._reply(user_input=question)
        finally:
            self._calls.end()

    async def tell(self, news: str) -> str:
        """Return how the model tells people news; it calls no tools for it.

        Raises:
            NoAnswerError: It doesn't.
        """
        return await self._reply(instructions=news, tool_choice="none")

    async def _reply(self, **how: Any) -> str:
        self._agent.problem = ""
        try:
            handle = self._session.generate_reply(**how)
        except RuntimeError:  # LiveKit ends the session before the job ends.
            raise NoAnswerError("I am about to leave.") from None
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                await handle
        except TimeoutError:
            handle.interrupt(force=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERRUPTED):
                    await handle
            raise NoAnswerError("My language model takes too long to answer.") from None
        said = [
            item.text_content or ""
            for item in handle.chat_items
            if isinstance(item, llm.ChatMessage) and item.role == "assistant"
        ]
        await self._agent.forget()
        problem, text = self._agent.problem, "\n".join(filter(None, map(str.strip, said)))
        if not text:
            raise NoAnswerError(problem or "I have no answer to that.")
        return f"{text} …\n{problem}" if problem else text


class _Agent(Agent):
    """Stands between LiveKit and the model: fits the context, reads calls, words problems."""

    def __init__(self, calls: ToolCalls, instructions: str, room: int) -> None:
        super().__init__(instructions=instructions)
        self._calls = calls
        self._room = room
        self.problem = ""

    async def llm_node(
        self,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        model_settings: ModelSettings,
    ) -> AsyncGenerator[llm.ChatChunk, None]:
        """Ask the model; whatever goes wrong is a sentence for people in ``problem``."""
        may_call = model_settings.tool_choice != "none"
        offered = [tool for tool in tools if tool.id != REFUSED] if may_call else []
        if not offered:
            model_settings = ModelSettings(tool_choice=NOT_GIVEN)
        shown = fitted(chat_ctx, self._room - _size_of(offered))
        number = 0
        try:
            async for chunk in Agent.default.llm_node(self, shown, offered, model_settings):
                if not isinstance(chunk, llm.ChatChunk):
                    continue
                if chunk.delta and chunk.delta.tool_calls:
                    read = []
                    for call in chunk.delta.tool_calls if may_call else ():
                        read.append(self._calls.readable(call, number))
                        number += 1
                    chunk.delta.tool_calls = read
                yield chunk
        except Exception as error:
            # Whatever a model's client raises: its words may quote what was said.
            log.warning("language model gave no answer", extra={"cause": _cause(error)})
            self.problem = _worded(error)

    async def forget(self) -> None:
        """Let go of what is too long ago."""
        if len(self.chat_ctx.items) > MOST_ITEMS:
            await self.update_chat_ctx(self.chat_ctx.copy().truncate(max_items=MOST_ITEMS // 2))


def fitted(context: llm.ChatContext, room: int) -> llm.ChatContext:
    """Return the newest of a conversation, and its instructions, in ``room`` tokens by estimate.

    The last message stays, however long it is.
    """
    context = context.copy()
    while len(context.items) > 2 and sum(map(_tokens, context.items)) > room:  # noqa: PLR2004 - instructions and the last message
        before = len(context.items)
        context.truncate(max_items=before - 2)
        if len(context.items) >= before:
            break
    return context


def _tokens(item: llm.ChatItem) -> int:
    match item:
        case llm.ChatMessage():
            text = item.text_content or ""
        case llm.FunctionCall():
            text = item.name + item.arguments
        case llm.FunctionCallOutput():
            text = item.output
        case _:
            return 0
    return tokens(text) + _FRAME


def _size_of(tools: list[llm.Tool]) -> int:
    schemas = (tool.info.raw_schema for tool in tools if isinstance(tool, llm.RawFunctionTool))
    return sum(tokens(json.dumps(schema)) for schema in schemas)


def _cause(error: Exception) -> str:
    if isinstance(error, APIStatusError):
        return f"HTTP {error.status_code}"
    return type(error).__name__


def _worded(error: Exception) -> str:
    match error:
        case APIStatusError(status_code=HTTPStatus.TOO_MANY_REQUESTS):
            return "My language model is too busy at the moment; ask me again in a minute."
        case APIStatusError(status_code=status) if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return "My language model refuses my question; the operator can see more in the log."
        case APITimeoutError():
            return "My language model does not answer at the moment; ask me again in a minute."
        case APIError():
            return "My language model can't be reached at the moment; ask me again in a minute."
    return WENT_WRONG
