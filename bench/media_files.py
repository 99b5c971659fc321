"""Recordings as browsers and Egress make them, and as they come when something went wrong.

Everything is made by ffmpeg from one sound: two utterances of coded speech
(``pipelines/testing/coded_speech.py``), so that it can be told which words came through.
"""

from __future__ import annotations

import struct
import subprocess
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.audio_file import Samples
from bench.voice import voice
from pipelines.testing import coded_speech

RATE: Final = 16_000
WORDS: Final = 15
"""Words of each utterance."""
SECOND_AT: Final = 9.0
"""Seconds at which the second utterance begins."""
SECONDS: Final = 14.0
MUTED: Final = 20.0
"""Seconds that a muted track has no packets for."""

FIRST: Final = tuple(coded_speech.words(WORDS))
SECOND: Final = tuple(coded_speech.words(WORDS, first=45))
"""These survive Opus, and Opus made of it again."""

_AUDIO: Final = ("-ar", "48000")
_OPUS: Final = ("-c:a", "libopus", "-b:a", "48k", *_AUDIO)
_AAC: Final = ("-c:a", "aac", "-b:a", "128k", *_AUDIO, "-ac", "2")
_VP8: Final = ("-c:v", "libvpx", "-b:v", "60k", "-deadline", "realtime")
_H264: Final = (
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-pix_fmt",
    "yuv420p",
    "-bf",
    "2",
    "-g",
    "5",
)
_FRAGMENTS: Final = "frag_keyframe+empty_moov+default_base_moof"
_CLAIMED: Final = 5 * 10**9  # bytes


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A recording, and what is to come of it.

    Args:
        name: Of the file.
        make: Writes it; takes its path and that of the sound.
        words: Words that are in it; None where it can't be transcribed.
        second_at: Seconds at which the second utterance is heard, where it is.
        error: Code of the error, where it can't be transcribed.
        damaged: Whether a part is missing.
    """

    name: str
    make: Callable[[Path, Path], None]
    words: Sequence[str] | None = FIRST + SECOND
    second_at: float = SECOND_AT
    error: str = ""
    damaged: bool = False


def write_sound(path: Path) -> None:
    """Write the sound: silence, 15 words, silence, 15 words, silence."""
    sound = np.zeros(round(SECONDS * RATE))
    # The detector of speech takes some seconds to get used to this voice: it hums before it speaks.
    speech = voice().astype(np.float64)
    for words, at in ((FIRST, 2.0), (SECOND, SECOND_AT)):
        tones = coded_speech.say(words).astype(np.float64)
        begin, count = round(at * RATE), len(tones)
        # The voice is quiet between two words, as in CodedVoice.
        envelope = np.ones(count // len(words))
        envelope[-round(coded_speech.GAP * RATE) :] = 0.15
        hum = np.ones(RATE // 2)
        loudness = np.concatenate([hum, np.tile(envelope, len(words))])
        sound[begin - len(hum) : begin + count] += np.resize(speech, len(loudness)) * loudness
        sound[begin : begin + count] += tones
    _write_wav(path, sound.clip(-32768, 32767).astype(np.int16))


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg.

    Raises:
        RuntimeError: It failed; the message is its own.
    """
    command = ["ffmpeg", "-v", "error", "-y", "-nostdin", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])


def _write_wav(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def _sound(*codec: str) -> Callable[[Path, Path], None]:
    return lambda path, sound: ffmpeg("-i", sound, *codec, path)


def _film(*codec: str) -> Callable[[Path, Path], None]:
    picture = ("-f", "lavfi", "-i", f"testsrc=size=160x90:rate=5:duration={SECONDS}")
    return lambda path, sound: ffmpeg("-i", sound, *picture, *codec, path)


def _piped(make: Sequence[str], form: str, *, film: bool) -> Callable[[Path, Path], None]:
    """Write to a pipe, where no header can be completed later: as a browser's recorder does."""
    picture = ("-f", "lavfi", "-i", f"testsrc=size=160x90:rate=5:duration={SECONDS}")

    def write(path: Path, sound: Path) -> None:
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", str(sound)]
        command += [*(picture if film else ()), *make, "-f", form, "pipe:1"]
        path.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)

    return write


def _cut(make: Callable[[Path, Path], None], share: float) -> Callable[[Path, Path], None]:
    def write(path: Path, sound: Path) -> None:
        make(path, sound)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return write


def _bytes(data: bytes) -> Callable[[Path, Path], None]:
    return lambda path, _: (path.write_bytes(data), None)[1]


def _claiming_wav(path: Path, sound: Path) -> None:
    """Write a WAV of 14 s whose header says that 5 GB of samples follow (RF64, EBU Tech 3306)."""
    with wave.open(str(sound)) as file:
        samples = file.readframes(file.getnframes())
    ds64 = struct.pack("<QQQI", _CLAIMED + 72, _CLAIMED, _CLAIMED // 2, 0)
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    path.write_bytes(
        b"RF64\xff\xff\xff\xffWAVE"
        + (b"ds64" + struct.pack("<I", len(ds64)) + ds64)
        + (b"fmt " + struct.pack("<I", len(form)) + form)
        + (b"data\xff\xff\xff\xff" + samples)
    )


def _claiming_mp4(path: Path, sound: Path) -> None:
    """Write an MP4 of which the box of the media claims 5 GB."""
    _MP4_AT_END(path, sound)
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") - 4
    size = struct.unpack_from(">I", data, at)[0]
    data[at : at + 8] = struct.pack(">I4sQ", 1, b"mdat", _CLAIMED)
    path.write_bytes(bytes(data))
    assert size


def _stamped(milliseconds: str) -> Callable[[Path, Path], None]:
    """Write Matroska with other timestamps; the muxer lets none be before the last one."""
    return _sound(*_OPUS, "-bsf:a", f"setts=ts='{milliseconds}'")


_MP4_AT_END: Final = _film(*_H264, *_AAC)
_MP4_AT_START: Final = _film(*_H264, *_AAC, "-movflags", "+faststart")
_WEBM: Final = _piped((*_OPUS, "-live", "1"), "webm", film=False)
_FRAGMENTED: Final = _piped((*_H264, *_AAC, "-movflags", _FRAGMENTS), "mp4", film=True)
_PAGE: Final = b"<!DOCTYPE html><html><head><title>403</title></head><body>Expired</body></html>"
_PLAYLIST: Final = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"

HOUR: Final = MediaFile(
    "hour.webm",
    lambda path, sound: ffmpeg("-stream_loop", "256", "-i", sound, *_OPUS, path),
    words=(FIRST + SECOND) * 257,
)
"""For memory: an hour of it."""

FILES: Final = (
    MediaFile("browser.webm", _WEBM),
    MediaFile("browser-film.webm", _piped((*_VP8, *_OPUS, "-live", "1"), "webm", film=True)),
    MediaFile("browser-fragmented.mp4", _FRAGMENTED),
    MediaFile("moov-at-the-end.mp4", _MP4_AT_END),
    MediaFile("moov-at-the-start.mp4", _MP4_AT_START),
    MediaFile("egress.ogg", _sound(*_OPUS, "-ac", "2")),
    MediaFile("upload.mp3", _sound("-c:a", "libmp3lame", "-b:a", "128k", *_AUDIO)),
    MediaFile("upload.flac", _sound("-c:a", "flac")),
    MediaFile("upload.mkv", _film(*_H264, *_AAC)),
    MediaFile("upload.m4a", _sound(*_AAC)),
    MediaFile("late-timestamps.mp4", _film(*_H264, *_AAC, "-output_ts_offset", "7200", "-copyts")),
    MediaFile("jumping-timestamps.webm", _stamped("if(eq(mod(N,7),3),TS+900,TS)")),
    MediaFile(  # Its header says how long it were, did its timestamps tell the truth.
        "jumping-far.webm", _stamped("if(eq(mod(N,7),3),TS+43200,TS)"), damaged=True
    ),
    MediaFile("timestamps-go-back.mkv", _stamped("if(gt(TS,6000),TS-5000,TS)")),
    MediaFile("timestamps-are-zero.mkv", _stamped("0")),
    MediaFile(
        "muted-for-20-s.webm",
        _stamped(f"if(gt(TS,7000),TS+{MUTED * 1000:.0f},TS)"),
        second_at=SECOND_AT + MUTED,
    ),
    # A browser's WebM says no length, so nothing tells that it breaks off.
    MediaFile("truncated.webm", _cut(_WEBM, 0.55), words=FIRST),
    MediaFile("truncated-fragmented.mp4", _cut(_FRAGMENTED, 0.55), words=FIRST),
    MediaFile("truncated.mp4", _cut(_MP4_AT_END, 0.55), words=None, error="corrupted_audio_file"),
    MediaFile(  # Between the utterances.
        "broken-packets.mkv",
        _sound("-c:a", "flac", "-bsf:a", "noise=amount='if(between(n,21,24),-20,0)'"),
        damaged=True,
    ),
    MediaFile("claims-5-gb.wav", _claiming_wav, damaged=True),
    MediaFile("claims-5-gb.mp4", _claiming_mp4, words=None, error="corrupted_audio_file"),
    MediaFile("empty.webm", _bytes(b""), words=None, error="corrupted_audio_file"),
    MediaFile("page.mp4", _bytes(_PAGE), words=None, error="corrupted_audio_file"),
    MediaFile("playlist.webm", _bytes(_PLAYLIST), words=None, error="corrupted_audio_file"),
    MediaFile(
        "noise.ogg", _bytes(bytes(range(256)) * 400), words=None, error="corrupted_audio_file"
    ),
    MediaFile("no-audio.mp4", _film(*_H264, "-map", "1:v"), words=None, error="no_audio_in_file"),
    MediaFile("silence.ogg", _sound("-af", "volume=0", *_OPUS), words=()),
)
"""Every file, and what is to come of it."""

_KINDS: Final = frozenset(
    {"browser.webm", "browser-fragmented.mp4", "egress.ogg", "jumping-far.webm"}
    | {"muted-for-20-s.webm", "truncated-fragmented.mp4", "truncated.mp4", "broken-packets.mkv"}
    | {"claims-5-gb.mp4", "empty.webm", "page.mp4", "playlist.webm", "noise.ogg", "no-audio.mp4"}
    | {"silence.ogg"}
)
OF_EACH_KIND: Final = tuple(file for file in FILES if file.name in _KINDS)
"""What the tests have time for; ``python -m bench.containers`` reads every file."""
