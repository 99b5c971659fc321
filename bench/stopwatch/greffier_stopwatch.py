"""When an agent is given its first audio, as one line of JSON in a file; and an agent that dies."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Final

from agents.plugin import AgentSettings, AgentSpec, Meeting, ParticipantJoined

LOG: Final = "STOPWATCH_LOG"
"""The environment variable that names the file."""


def write(room: str, identity: str) -> None:
    """Append that ``room``'s agent has audio now."""
    line = {"event": "audio", "at": time.time(), "room": room, "pid": os.getpid(), "who": identity}
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


class Stopwatch:
    """Takes the time of the first audio of whoever speaks first."""

    def __init__(self, settings: AgentSettings) -> None:
        pass

    async def run(self, meeting: Meeting) -> None:
        """Wait for somebody, then for their first audio."""
        async for event in meeting.events():
            if isinstance(event, ParticipantJoined):
                async for _ in meeting.audio(event.identity):
                    write(meeting.info.room, event.identity)
                    return


class Dies:
    """Kills its process at the start, as a plugin does whose native part crashes."""

    def __init__(self, settings: AgentSettings) -> None:
        pass

    async def run(self, _meeting: Meeting) -> None:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)


STOPWATCH: Final = AgentSpec("stopwatch", Stopwatch, isolation="inline", hears=True)
DIES: Final = AgentSpec("dies", Dies)
