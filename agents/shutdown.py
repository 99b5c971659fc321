"""How long each stage of a job's end may take, and what that means for whoever stops the worker."""

from __future__ import annotations

from typing import Final

DRAIN_AGENTS: Final = 12.0
"""Seconds for the agents: the engines settle what was said, plugins write their last lines."""

FINISH_EFFECTS: Final = 10.0
"""Seconds, of those for the agents, for what people had approved by then; what is cut off is told
as unknown."""

SEND_CAPTIONS: Final = 2.0
"""Seconds for the last captions; when a dispatch is deleted the server keeps the room 3 s."""

CLOSE_TOOLS: Final = 8.0
"""Seconds to take leave of the MCP servers: MCP's library gives a command 6.5 s to end before it
gives it up."""

FLUSH_STORES: Final = 5.0
"""Seconds for the stores to take what they lack before the seal; the rest they take after it."""

RECORDING_FILE: Final = 30.0
"""Seconds for La Suite's file of a recording, from the flush of the stores on; then the seal tries
again, and then recovery."""

READ_STORES: Final = 5.0
"""Seconds, of those for the seal, in which a store may tell what it has."""

SEAL: Final = 100.0
"""Seconds for document, artefacts, what stores still lack and the end of the journals; else the
worker's next look does it."""

CLOSE: Final = 4.0
"""Seconds for the engines and the stores, at the same time, to close their connections."""

SESSION_END: Final = 160.0
"""Seconds that LiveKit gives ``on_session_end``: more than the stages together."""

SHUTDOWN_PROCESS: Final = 10.0
"""Seconds between the end of the session and SIGKILL."""


def grace_period(drain_timeout: int) -> float:
    """Return the seconds a supervisor must wait between SIGTERM and SIGKILL."""
    return drain_timeout + SESSION_END + SHUTDOWN_PROCESS
