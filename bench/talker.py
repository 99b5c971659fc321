"""Somebody who speaks: one participant with one microphone, who keeps to the script's times."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from livekit import rtc

from bench.audio_file import Clip
from bench.json_lines import JsonLines
from bench.microphone import Microphone
from bench.rooms import Rooms
from bench.script import Speaker, Utterance


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a script is played.

    Args:
        mute_between: Mute each microphone while its speaker says nothing.
        wait_subscribed: Seconds to wait until somebody listens to every track; 0 does not wait.
        linger: Seconds that all stay, silent, after the last utterance.
        rounds: How often the script is played, one round after the other.
        queue_ms: Length of WebRTC's audio queue.
        unmute_before: Seconds from unmute to the utterance.
        key: Key of end-to-end encryption; empty is none.
    """

    mute_between: bool = False
    wait_subscribed: float = 0.0
    linger: float = 3.0
    rounds: int = 1
    queue_ms: int = 60
    unmute_before: float = 0.3
    key: str = ""


class Talker:
    """One speaker, in the room, with a published microphone."""

    def __init__(
        self,
        speaker: Speaker,
        microphone: Microphone,
        publication: rtc.LocalTrackPublication,
        log: JsonLines,
        delivery: Delivery,
    ) -> None:
        self._speaker = speaker
        self._microphone = microphone
        self._publication = publication
        self._log = log
        self._delivery = delivery

    async def wait_subscribed(self) -> None:
        """Return when somebody has subscribed to the microphone."""
        await self._publication.wait_for_subscription()

    async def say(self, utterance: Utterance, clip: Clip, start: float) -> None:
        """Say one utterance; second 0 of the script is the Unix time ``start``."""
        microphone = self._microphone
        due = start + utterance.at
        await self.be_silent(due - self._delivery.unmute_before)
        if self._delivery.mute_between:
            microphone.unmute()
        await microphone.play_silence(due)
        await microphone.play(clip.before)
        said = {
            "identity": self._speaker.identity,
            "name": self._speaker.name,
            "file": utterance.file.name,
            "text": utterance.text,
        }
        self._log.write("speech_started", at=microphone.next_sample_at, **said)
        await microphone.play(clip.speech)
        self._log.write("speech_ended", at=microphone.next_sample_at, **said)
        await microphone.play(clip.after)
        if self._delivery.mute_between:
            await asyncio.sleep(microphone.next_sample_at - time.time())
            microphone.mute()

    async def be_silent(self, until: float) -> None:
        """Be silent, or muted, until the Unix time ``until``."""
        if self._delivery.mute_between:
            await asyncio.sleep(max(0.0, until - time.time()))
        else:
            await self._microphone.play_silence(until)


def shared_key(key: str) -> rtc.E2EEOptions | None:
    """Return the encryption of a client that shares ``key``, as browsers do; none if empty."""
    if not key:
        return None
    provider = rtc.KeyProviderOptions(shared_key=key.encode(), ratchet_window_size=0)
    return rtc.E2EEOptions(key_provider_options=provider)


@asynccontextmanager
async def talker(
    rooms: Rooms, room_name: str, speaker: Speaker, log: JsonLines, delivery: Delivery
) -> AsyncIterator[Talker]:
    """Join ``room_name`` as ``speaker`` and publish a microphone; leave on exit."""
    room = rtc.Room()
    microphone = Microphone(queue_ms=delivery.queue_ms)
    token = rooms.token(room_name, speaker.identity, name=speaker.name)
    options = rtc.RoomOptions(auto_subscribe=False, encryption=shared_key(delivery.key))
    await room.connect(rooms.url, token, options)
    try:
        publication = await microphone.publish(room)
        if delivery.mute_between:
            microphone.mute()
        log.write("joined", identity=speaker.identity, name=speaker.name, track=publication.sid)
        yield Talker(speaker, microphone, publication, log, delivery)
    finally:
        await room.disconnect()
        await microphone.close()
        log.write("left", identity=speaker.identity)
