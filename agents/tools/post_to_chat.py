"""The tool that writes in the chat."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from agents.tools.tool import ToolContext, tool


@tool(effects="at_most_once", title="Post to the chat", isolation="inline")
async def post_to_chat(
    context: ToolContext,
    *,
    text: Annotated[str, Field(min_length=1, max_length=4000, description="The message.")],
) -> None:
    """Post a message to the meeting's chat, where everybody in the meeting reads it."""
    await context.post_chat(text)
