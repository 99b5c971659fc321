"""A reader of captions: an independent client that logs every update it receives.

"Published" in every test is what this process logged. The server's address and key come from
LiveKit's three environment variables::

    python -m bench.subscriber --room standup --log captions.jsonl
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from livekit import rtc

from bench.json_lines import JsonLines
from bench.rooms import Rooms
from bench.talker import shared_key
from bench.until_stopped import run_until_stopped

TOPICS = {"lk.transcription": "caption", "greffier.status": "status"}
"""Text stream topic -> the event under which its messages are logged."""


_REJOIN = 0.3  # seconds


class Subscriber:
    """Logs captions, status messages, and who comes and goes.

    A line of event ``caption`` or ``status`` has ``at``, the Unix seconds at which its text was
    complete; ``opened``, when its stream began; ``sender``; ``attributes``; ``text``. A stream that
    its sender did not finish is logged as ``torn``.

    Args:
        room: Not yet connected, so that nothing is missed.
        log: Takes the lines.
        tasks: Owns the readers, one for each stream.
    """

    def __init__(self, room: rtc.Room, log: JsonLines, tasks: asyncio.TaskGroup) -> None:
        self._log = log
        self._tasks = tasks
        self.disconnected = asyncio.Event()
        for topic, event in TOPICS.items():
            room.register_text_stream_handler(topic, self._handler(event))
        room.on("participant_connected", self._came)
        room.on("participant_disconnected", self._went)
        room.on("disconnected", self._ended)

    def log_present(self, room: rtc.Room) -> None:
        """Log who was in the room before."""
        for participant in room.remote_participants.values():
            self._came(participant)

    def _handler(self, event: str) -> Callable[[rtc.TextStreamReader, str], None]:
        def handle(reader: rtc.TextStreamReader, sender: str) -> None:
            self._tasks.create_task(self._read(event, reader, sender, time.time()))

        return handle

    async def _read(
        self, event: str, reader: rtc.TextStreamReader, sender: str, opened: float
    ) -> None:
        try:
            text = await reader.read_all()
        except rtc.StreamError as error:
            self._log.write("torn", sender=sender, topic=reader.info.topic, cause=str(error))
            return
        attributes = reader.info.attributes or {}
        self._log.write(
            event, at=time.time(), opened=opened, sender=sender, attributes=attributes, text=text
        )

    def _came(self, one: rtc.RemoteParticipant) -> None:
        kind = rtc.ParticipantKind.Name(one.kind)
        self._log.write("came", at=time.time(), identity=one.identity, name=one.name, kind=kind)

    def _went(self, one: rtc.RemoteParticipant) -> None:
        self._log.write("went", at=time.time(), identity=one.identity)

    def _ended(self, reason: object) -> None:
        self._log.write("disconnected", at=time.time(), reason=str(reason))
        self.disconnected.set()


async def stay(rooms: Rooms, room_name: str, identity: str, log: JsonLines, key: str = "") -> None:
    """Subscribe, and again whenever the room is gone or can't be joined, until cancelled."""
    while True:
        try:
            await subscribe(rooms, room_name, identity, log, key)
        except* rtc.ConnectError as error:
            log.write("not_connected", at=time.time(), cause=str(error.exceptions[0]))
        await asyncio.sleep(_REJOIN)


async def subscribe(
    rooms: Rooms, room_name: str, identity: str, log: JsonLines, key: str = ""
) -> None:
    """Join ``room_name``, receiving no audio, and log until the room ends or this is cancelled."""
    room = rtc.Room()
    token = rooms.token(room_name, identity, name=identity)
    async with asyncio.TaskGroup() as tasks:
        subscriber = Subscriber(room, log, tasks)
        await room.connect(
            rooms.url, token, rtc.RoomOptions(auto_subscribe=False, encryption=shared_key(key))
        )
        try:
            log.write("connected", at=time.time(), identity=identity)
            subscriber.log_present(room)
            await subscriber.disconnected.wait()
        finally:
            await room.disconnect()


def main() -> int:
    """Run the subscriber from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.subscriber", description=__doc__)
    parser.add_argument("--room", required=True)
    parser.add_argument("--log", type=Path, required=True, help="JSON Lines with what it received")
    parser.add_argument("--identity", default="reader")
    parser.add_argument("--key", default="", help="of end-to-end encryption")
    parser.add_argument("--stay", action="store_true", help="join again when the room is gone")
    options = parser.parse_args()
    rooms = Rooms.from_environment()
    take_part = stay if options.stay else subscribe
    with JsonLines(options.log) as log:
        run_until_stopped(take_part(rooms, options.room, options.identity, log, options.key))
    return 0


if __name__ == "__main__":
    sys.exit(main())
