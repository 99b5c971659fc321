"""The tool that asks everybody a question in the chat, and counts the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field

from agents.tools.tool import ToolContext, tool

_LONGEST: Final = 600
"""Seconds that a poll may be open."""

Option = Annotated[str, Field(min_length=1, max_length=200)]


@tool(effects="at_most_once", title="Run a poll", timeout=_LONGEST + 30.0, isolation="inline")
async def run_poll(
    context: ToolContext,
    *,
    question: Annotated[str, Field(min_length=1, max_length=500)],
    options: Annotated[list[Option], Field(min_length=2, max_length=10)],
    seconds: Annotated[int, Field(ge=10, le=_LONGEST, description="How long it is open.")] = 60,
) -> dict[str, Any]:
    """Ask everybody in the meeting a question in the chat and count their answers.

    People answer with the number or the words of an option; of several answers the last counts.
    """
    answers = context.chat()
    listed = "\n".join(f"{number}. {option}" for number, option in enumerate(options, start=1))
    ask = f"Answer with a number within {seconds} seconds."
    await context.post_chat(f"{question}\n{listed}\n{ask}", key="question")
    votes: dict[str, int] = {}
    try:
        async with asyncio.timeout(seconds):
            async for message in answers:
                choice = choice_of(message.text, options)
                if choice is not None and message.identity in context.participants():
                    votes[message.identity] = choice
    except TimeoutError:
        pass  # The poll is closed.
    counted = Counter(votes.values())
    result = {
        "question": question,
        "votes": [
            {"option": option, "votes": counted[index]} for index, option in enumerate(options)
        ],
    }
    await context.note("poll", result)
    lines = "\n".join(f"{option}: {counted[index]}" for index, option in enumerate(options))
    await context.post_chat(f"{question}\n{lines}", key="result")
    return result


def choice_of(answer: str, options: Sequence[str]) -> int | None:
    """Return the index of the option that an answer names by number or by its words, or None."""
    text = answer.strip().rstrip(".)").casefold()
    # An option may be a number itself: its words go first.
    for index, option in enumerate(options):
        if option.strip().casefold() == answer.strip().casefold():
            return index
    if text.isdecimal() and 1 <= int(text[:3]) <= len(options):
        return int(text[:3]) - 1
    return None
