"""Any container that a browser or Egress makes, to 16 kHz mono, piece by piece.

Tolerant: a packet that can't be decoded is left out, a file that breaks off ends where it does, and
timestamps count only where they can be believed (:mod:`pipelines.post_meeting.media.timeline`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, BinaryIO, Final

import av
import numpy as np
from av.stream import Discard

from pipelines.errors import StepError
from pipelines.post_meeting.media.timeline import Timeline
from pipelines.speech.heard import RATE, Samples

CHUNK: Final = RATE // 10
"""Samples of a chunk: 100 ms, which the detector and the engines take at once."""

_FORMATS: Final = (
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,ogg,wav,w64,flac,mp3,aac,aiff,caf,amr,avi,mpegts"
)
# A playlist (HLS, concat) makes FFmpeg open other files and addresses: no format that does so is
# tried, and no protocol may be opened beside the file that we hold.
_OPTIONS: Final = {"format_whitelist": _FORMATS, "protocol_whitelist": "none"}
_MARKUP: Final = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<error", b"{")
_CORRUPTED: Final = "corrupted_audio_file"
# Some 40 KB of samples at 1 Hz are 20 minutes at our rate, made in one go.
_LOWEST_RATE: Final = 4000  # Hz
_LONGEST_FRAME: Final = 60.0  # seconds


@dataclass(slots=True)
class Recording:
    """An opened recording.

    Args:
        seconds: Its length as its header has it; None where that says nothing.
        decoded: Seconds of chunks given so far.
        broken: Packets that could not be decoded.
        cut: Whether it breaks off.
    """

    seconds: float | None
    decoded: float = 0.0
    broken: int = 0
    cut: bool = False


def decode(file: BinaryIO, *, most: float, told: Recording | None = None) -> Iterator[Samples]:
    """Iterate over a recording's first sound track in chunks of 100 ms; the last may be shorter.

    Blocks; for a thread.

    Args:
        file: Seekable, at its start.
        most: Most seconds that are decoded.
        told: Takes what becomes known while it is decoded.

    Raises:
        StepError: ``corrupted_audio_file``, ``no_audio_in_file``, ``media_duration_too_long``.
    """
    told = told or Recording(None)
    _require_media(file)
    try:
        with av.open(file, mode="r", options=_OPTIONS, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise StepError("no_audio_in_file", "the recording has no sound track")
            stream = container.streams.audio[0]
            for other in container.streams:
                if other is not stream:
                    other.discard = Discard.all
            told.seconds = _duration(container, stream)
            yield from _chunks(_samples(container, stream, told), most, told)
    except av.FFmpegError as error:
        raise StepError(
            _CORRUPTED, f"the recording can't be decoded ({type(error).__name__})"
        ) from None
    if not told.decoded:
        raise StepError(
            _CORRUPTED if told.broken or told.cut else "no_audio_in_file",
            "nothing of the recording's sound track can be decoded",
        )


def _require_media(file: BinaryIO) -> None:
    head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    file.seek(0)
    if not head:
        raise StepError(_CORRUPTED, "the recording is empty")
    if head.startswith(_MARKUP):
        raise StepError(
            _CORRUPTED,
            "what was fetched is a page or a message and no recording: has its URL expired?",
        )


def _duration(container: Any, stream: Any) -> float | None:
    if container.duration is not None and container.duration > 0:
        return float(container.duration / av.time_base)
    if stream.duration is not None and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    return None


def _frames(container: Any, stream: Any, told: Recording) -> Iterator[Any]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            told.cut = True  # Here the file breaks off; what came before it counts.
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            told.broken += 1


def _samples(container: Any, stream: Any, told: Recording) -> Iterator[Samples]:
    """Iterate over samples at our rate, silence where the timestamps leave room for it."""
    timeline = Timeline()
    shape, resampler = None, None
    for frame, following in pairwise(chain(_frames(container, stream, told), (None,))):
        _require_believable(frame)
        if (seen := (frame.sample_rate, frame.format.name, frame.layout.name)) != shape:
            # A browser may go from mono to stereo in the middle of a recording.
            if resampler:
                yield from _resampled(resampler, None)
            shape, resampler = seen, av.AudioResampler(format="s16", layout="mono", rate=RATE)
        assert resampler is not None
        gap = timeline.place(
            frame.time, frame.samples / frame.sample_rate, following.time if following else None
        )
        if gap:
            yield from _resampled(resampler, None)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
            yield from _silence(gap)
        frame.pts = None  # The resampler would fill or cut by the timestamps that we do not trust.
        yield from _resampled(resampler, frame)
    if resampler:
        yield from _resampled(resampler, None)


def _require_believable(frame: Any) -> None:
    rate = frame.sample_rate
    if rate < _LOWEST_RATE or frame.samples > _LONGEST_FRAME * rate:
        raise StepError(
            _CORRUPTED, f"the recording has a frame of {frame.samples} samples at {rate} Hz"
        )


def _resampled(resampler: Any, frame: Any) -> Iterator[Samples]:
    for out in resampler.resample(frame):
        yield out.to_ndarray()[0].astype(np.int16, copy=False)


def _silence(seconds: float) -> Iterator[Samples]:
    left = round(seconds * RATE)
    while left > 0:
        yield np.zeros(min(left, RATE), np.int16)
        left -= RATE


def _chunks(samples: Iterator[Samples], most: float, told: Recording) -> Iterator[Samples]:
    held: list[Samples] = []
    count = 0
    for piece in samples:
        held.append(piece)
        count += len(piece)
        if count < CHUNK:
            continue
        whole = np.concatenate(held)
        end = count // CHUNK * CHUNK
        for at in range(0, end, CHUNK):
            told.decoded += CHUNK / RATE
            if told.decoded > most:
                raise StepError(
                    "media_duration_too_long",
                    f"the recording is longer than {most / 3600:g} h; raise "
                    "GREFFIER_MEDIA_MAX_SECONDS",
                )
            yield whole[at : at + CHUNK]
        held, count = [whole[end:]], count - end
    if count:
        told.decoded += count / RATE
        yield np.concatenate(held)
