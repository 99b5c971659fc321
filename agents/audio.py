"""One participant's microphones -> 16 kHz chunks with wall time, and the speech in them.

Several open microphones are mixed, as people hear them; so is what a shared screen plays, where
the room asks for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from livekit import rtc

from agents.ear import FRAME_MS, QUEUE_MS, Ear, Samples
from agents.mailbox import Mailbox
from agents.plugin import AudioChunk
from agents.turn import Began, Ceased, Share, Turn
from pipelines.events import AudioMissed, Event, SpeechEnded, SpeechStarted
from pipelines.speech.clock import MediaClock
from pipelines.speech.segmenter import Ended, Started
from pipelines.speech.spans import Piece, SpanDetector
from pipelines.speech.vad import SAMPLE_RATE, NativeVad, VoiceActivity

MIX_AHEAD: Final = 10
"""Frames of a second microphone that wait for the first one's; an older one is given up."""

Speech = SpeechStarted | AudioChunk | SpeechEnded


@dataclass(slots=True)
class _Voice:
    """A stretch of audio without a pause; ``lead`` is the beat that other ears are mixed into."""

    lead: Ear
    detector: SpanDetector
    clock: MediaClock = field(default_factory=MediaClock)
    media: float = 0.0  # seconds

    @property
    def track(self) -> str:
        return self.lead.track.sid


class Listener:
    """Owns the audio of one participant from join to leave; :meth:`run` owns its tasks.

    ``heard`` is set with the first audio, which ``heard_from`` tells in Unix seconds, or when the
    participant leaves without any.

    Args:
        identity: The participant.
        emit: Takes the events ``SpeechStarted``, ``SpeechEnded`` and ``AudioMissed``.
        vad: Makes the detector of a stretch of audio.
        bridge: Seconds of a muted track that are kept; see :class:`agents.ear.Ear`.
        turn: Which speech is this job's; None is all.
    """

    def __init__(
        self,
        identity: str,
        emit: Callable[[Event], None],
        *,
        vad: Callable[[], VoiceActivity] = NativeVad,
        bridge: float = 0.0,
        turn: Turn | None = None,
    ) -> None:
        self.identity = identity
        self._emit = emit
        self._vad = vad
        self._bridge = bridge
        self._ears: dict[str, Ear] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._left = asyncio.Event()
        self._turn = turn or Turn()
        self._share: Share[AudioChunk] = Share(self._turn)
        self._kept_back: deque[tuple[Started | Piece | Ended, _Voice]] = deque()
        self._voice: _Voice | None = None
        self._waiting: dict[Ear, deque[tuple[Samples, float]]] = {}
        self._started_at = 0.0
        self._heard_until = 0.0
        self.heard_from: float | None = None
        self.heard = asyncio.Event()
        self._audio: list[Mailbox[AudioChunk]] = []
        self._speech: dict[Mailbox[Speech], float] = {}  # -> start of its open span, 0.0 if none

    def add_track(self, track: rtc.Track, *, muted: bool) -> None:
        """A microphone track is subscribed."""
        if before := self._ears.get(track.sid):
            before.close(at_once=True)
        ear = Ear(
            track,
            muted=muted,
            bridge=self._bridge,
            hear=self._hear,
            pause=self._pause,
            missed=self._missed,
        )
        self._ears[track.sid] = ear
        if self._left.is_set():
            ear.close(at_once=True)
        elif self._tasks:
            self._tasks.create_task(ear.run())

    def remove_track(self, sid: str) -> None:
        """A track is no longer subscribed."""
        if ear := self._ears.pop(sid, None):
            ear.close()

    def track(self, sid: str) -> rtc.Track | None:
        """Return a track that is read, or None."""
        ear = self._ears.get(sid)
        return ear.track if ear else None

    def set_muted(self, sid: str, muted: bool) -> None:
        """A track was muted or unmuted."""
        if ear := self._ears.get(sid):
            ear.set_muted(muted)

    def leave(self) -> None:
        """Let :meth:`run` finish: the participant left, or the meeting ends."""
        self._left.set()
        self.heard.set()

    def hand_over(self) -> None:
        """Begin no further span of speech: the watershed to a successor has come."""
        self._share.hand_over(self._heard_until)

    @property
    def cut(self) -> float | None:
        """Where a successor's share of the speech begins, Unix seconds; None: not known yet."""
        return self._share.cut

    def release(self) -> None:
        """Go on with what was kept back, as soon as the turn tells where this job's share begins.

        Only now is it put into wall time: the longer a stream was heard, the better that is known.
        """
        begins = self._turn.begins(self.identity)
        while self._kept_back and begins is not None:
            self._take_share(*self._kept_back.popleft(), begins)

    @property
    def missing_since(self) -> float | None:
        """Since when no audio comes of a microphone that is open, Unix seconds; else None."""
        since = (ear.missing_since for ear in self._ears.values() if ear.open)
        return min((at for at in since if at is not None), default=None)

    @property
    def listening(self) -> bool:
        """Whether a track is there that is not muted."""
        return not self._left.is_set() and any(ear.open for ear in self._ears.values())

    def open_audio(self) -> Mailbox[AudioChunk]:
        """Return a mailbox that gets every chunk until the participant leaves."""
        box: Mailbox[AudioChunk] = Mailbox(QUEUE_MS // FRAME_MS)
        if self._left.is_set():
            box.close()
        else:
            self._audio.append(box)
        return box

    def open_speech(self) -> Mailbox[Speech]:
        """Return a mailbox that gets the spans of speech until the participant leaves."""
        box: Mailbox[Speech] = Mailbox(
            QUEUE_MS // FRAME_MS, expendable=lambda item: isinstance(item, AudioChunk)
        )
        if self._left.is_set():
            box.close()
        else:
            self._speech[box] = 0.0
        return box

    def close_audio(self, box: Mailbox[AudioChunk]) -> None:
        """End what :meth:`open_audio` returned, while the participant stays."""
        if box in self._audio:
            self._audio.remove(box)
        box.close()

    def close_speech(self, box: Mailbox[Speech]) -> None:
        """End what :meth:`open_speech` returned, and its open span, while the participant stays."""
        if started_at := self._speech.pop(box, 0.0):
            box.put(SpeechEnded(self._heard_until, self.identity, started_at))
        box.close()

    async def run(self) -> None:
        """Listen until the participant leaves and what was said before has arrived."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for ear in self._ears.values():
                    self._tasks.create_task(ear.run())
                await self._left.wait()
                for ear in self._ears.values():
                    ear.close()
            while (  # noqa: ASYNC110 - a pure turn tells nobody
                self._kept_back and self._turn.begins(self.identity) is None
            ):
                await asyncio.sleep(FRAME_MS / 1000)  # The predecessor tells soon.
            self.release()
        finally:
            self._left.set()
            for audio in self._audio:
                audio.close()
            for speech in self._speech:
                speech.close()
            # Whoever still reads one holds it; nothing else does.
            self._audio.clear()
            self._speech.clear()

    def _hear(self, ear: Ear, samples: Samples, arrival: float) -> None:
        if self.heard_from is None:
            self.heard_from = arrival - len(samples) / SAMPLE_RATE
            self.heard.set()
        if self._voice is None:
            self._voice = _Voice(ear, SpanDetector(self._vad()))
            for waited in self._waiting.pop(ear, ()):
                self._take(self._voice, *waited)
        if ear is self._voice.lead:
            self._take(self._voice, samples, arrival)
        else:
            self._waiting.setdefault(ear, deque(maxlen=MIX_AHEAD)).append((samples, arrival))

    def _missed(self, begin: float, end: float) -> None:
        self._emit(AudioMissed(begin, self.identity, end))

    def _pause(self, ear: Ear) -> None:
        if self._voice and ear is self._voice.lead:
            voice, self._voice = self._voice, None
            self._tell(voice.detector.finish(), voice)

    def _take(self, voice: _Voice, samples: Samples, arrival: float) -> None:
        samples = _mixed([samples, *(waiting.popleft()[0] for waiting in self._waiting.values())])
        self._waiting = {ear: waiting for ear, waiting in self._waiting.items() if waiting}
        gap = not voice.media
        voice.media += len(samples) / SAMPLE_RATE
        voice.clock.observe(voice.media, arrival)
        piece, spans = voice.detector.feed(samples)
        chunk = _chunk(piece, voice, gap=gap)
        self._heard_until = voice.clock.wall(voice.media)
        for box in self._audio:
            box.put(chunk)
        self._tell(spans, voice)

    def _tell(self, spans: list[Started | Piece | Ended], voice: _Voice) -> None:
        self._kept_back.extend((span, voice) for span in spans)
        self.release()

    def _take_share(self, span: Started | Piece | Ended, voice: _Voice, begins: float) -> None:
        share, wall = self._share, voice.clock.wall
        match span:
            case Started(at):
                taken: Iterable[Began | AudioChunk | Ceased] = share.began(wall(at), begins=begins)
            case Piece():
                taken = share.sounds(_chunk(span, voice), begins=begins)
            case Ended(at):
                taken = share.ceased(wall(at), heard=wall(voice.media))
        for one in taken:
            match one:
                case Began(at):
                    self._begin(at)
                case AudioChunk():
                    self._go_on(one)
                case Ceased(at):
                    self._finish(at)

    def _begin(self, at: float) -> None:
        self._started_at = at
        self._start(at, self._speech)
        self._emit(SpeechStarted(at, self.identity))

    def _go_on(self, chunk: AudioChunk) -> None:
        # Who came in the middle of a span begins there.
        self._start(chunk.at, [box for box, at in self._speech.items() if not at])
        for box in self._speech:
            box.put(chunk)

    def _finish(self, at: float) -> None:
        self._end(at)
        self._emit(SpeechEnded(at, self.identity, self._started_at))

    def _start(self, at: float, boxes: Iterable[Mailbox[Speech]]) -> None:
        for box in list(boxes):
            self._speech[box] = at
            box.put(SpeechStarted(at, self.identity))

    def _end(self, at: float) -> None:
        for box, started_at in self._speech.items():
            if started_at:
                self._speech[box] = 0.0
                box.put(SpeechEnded(at, self.identity, started_at))


def _chunk(piece: Piece, voice: _Voice, *, gap: bool = False) -> AudioChunk:
    return AudioChunk(piece.samples, voice.clock.wall(piece.at), voice.track, gap, piece.speech)


def _mixed(voices: list[Samples]) -> Samples:
    """Return the sum of frames of one length, cut off where it is too loud for 16 bits."""
    if len(voices) == 1:
        return voices[0]
    loudest = np.iinfo(np.int16)
    total = np.sum(voices, axis=0, dtype=np.int32)
    return np.clip(total, loudest.min, loudest.max).astype(np.int16)
