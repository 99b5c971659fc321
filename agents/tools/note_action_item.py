"""The tool that keeps what somebody is to do."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from agents.tools.tool import ToolContext, tool


@tool(effects="idempotent", title="Note an action item", isolation="inline")
async def note_action_item(
    context: ToolContext,
    *,
    what: Annotated[str, Field(min_length=1, max_length=1000, description="What is to be done.")],
    who: Annotated[str, Field(max_length=200, description="Name of who does it.")] = "",
    due: Annotated[date | None, Field(description="By when.")] = None,
) -> dict[str, str]:
    """Keep an action item with the meeting: what is to be done, who does it, by when."""
    item = {"what": what, "who": who, "due": due.isoformat() if due else ""}
    await context.note("action_item", item)
    return item
