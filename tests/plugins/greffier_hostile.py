"""Agents that do what no agent should do: raise, block their thread, keep it busy for ever."""

from __future__ import annotations

import time

from agents.plugin import AgentSettings, AgentSpec, CaptionFinal, Meeting

SLEEP = 30.0


class _Hostile:
    def __init__(self, settings: AgentSettings) -> None:
        pass


class Raises(_Hostile):
    async def run(self, _meeting: Meeting) -> None:
        raise RuntimeError("an agent that raises")


class Sleeps(_Hostile):
    async def run(self, _meeting: Meeting) -> None:
        time.sleep(SLEEP)  # noqa: ASYNC251 - what it is for


class Spins(_Hostile):
    async def run(self, _meeting: Meeting) -> None:
        while True:
            pass


class SpinsLate(_Hostile):
    """Behaves until the first caption."""

    async def run(self, meeting: Meeting) -> None:
        async for event in meeting.events():
            while isinstance(event, CaptionFinal):
                pass


RAISES = AgentSpec("raises", Raises)
SLEEPS = AgentSpec("sleeps", Sleeps)
SPINS = AgentSpec("spins", Spins)
SPINS_LATE = AgentSpec("spins-late", SpinsLate)
