"""An agent that does nothing but read audio: what LiveKit's own recipe costs to be dispatched.

A worker, told by LiveKit's three environment variables where to go::

    STOPWATCH_LOG=first.jsonl python -m bench.bare_agent start
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Final

from livekit import rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext, cli

NAME: Final = "bare"

server = AgentServer(num_idle_processes=1, load_fnc=lambda _: 0.0, host="127.0.0.1", port=0)


@server.rtc_session(agent_name=NAME)
async def read_audio(ctx: JobContext) -> None:
    """Join, wait for a microphone, tell when its first audio comes."""
    track: asyncio.Future[rtc.Track] = asyncio.get_running_loop().create_future()

    def subscribed(one: rtc.Track, *_: object) -> None:
        if not track.done():
            track.set_result(one)

    ctx.room.on("track_subscribed", subscribed)
    await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    stream = rtc.AudioStream(await track, sample_rate=16000, num_channels=1)
    async for _ in stream:
        line = {"event": "audio", "at": time.time(), "room": ctx.room.name, "pid": os.getpid()}
        with Path(os.environ["STOPWATCH_LOG"]).open("a", encoding="utf-8") as file:  # noqa: ASYNC230 - one line
            file.write(json.dumps(line) + "\n")
        break
    await stream.aclose()


if __name__ == "__main__":
    cli.run_app(server)
