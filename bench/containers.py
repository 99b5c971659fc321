"""Recordings in every container, over HTTP: what is heard, or which error; memory; leftovers.

The transcription service is a double that recognises coded speech
(``pipelines/testing/openai_protocol.py``); fetching, decoding and cutting are the platform's own::

    python -m bench.containers
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.long_speech import Server
from bench.media_files import FILES, HOUR, SECOND, MediaFile, write_sound
from bench.media_server import MediaServer, refused_addresses
from pipelines.errors import StepError
from pipelines.post_meeting.media.address import MediaAddress
from pipelines.post_meeting.media.fetch import Fetching
from pipelines.post_meeting.media.private_addresses import AllowedHosts
from pipelines.post_meeting.transcribe import transcribe
from pipelines.post_meeting.transcribe_settings import TranscribeSettings
from pipelines.post_meeting.transcription import Transcription
from pipelines.post_meeting.whisperx_http import HttpEngine

MOST: Final = 100 * 2**20
"""Bytes of a recording that may be fetched here."""
NEAR: Final = 1.0
"""Seconds by which a codec's delay may move the second utterance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a recording.

    Args:
        transcription: What was heard, or None.
        error: Code and message of the error, or empty.
        seconds: It took.
        peak: Most bytes that were resident meanwhile.
        left: Names of files that are left.
    """

    transcription: Transcription | None
    error: str
    seconds: float
    peak: int
    left: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """What was heard."""
        said = self.transcription.segments if self.transcription else ()
        return [word for one in said for word in one.text.split()]

    def fault(self, file: MediaFile) -> str:
        """Return what is not as it is to be; empty where all is."""
        if self.left:
            return f"left {', '.join(self.left)}"
        if file.words is None or self.transcription is None:
            return "" if self.error.startswith(f"{file.error}:") and file.error else "wrong outcome"
        if self.words != list(file.words):
            return f"heard {len(self.words)} words of {len(file.words)}"
        if self.transcription.damaged != file.damaged:
            return "damage is not told" if file.damaged else "damage is told and there is none"
        return self._misplaced(file)

    def _misplaced(self, file: MediaFile) -> str:
        words = (
            [word for one in self.transcription.segments for word in one.words]
            if (self.transcription)
            else []
        )
        at = next((word.start for word in words if word.text == SECOND[0]), None)
        if at is not None and abs(at - file.second_at) > NEAR:
            return f"the second utterance is at {at:.1f} s, not {file.second_at:.1f}"
        return ""


class Bench:
    """Transcribes recordings with the double, in a directory of its own.

    Args:
        directory: Takes the copies while they are read.
        service: Address of the double.
    """

    def __init__(self, directory: Path, service: str) -> None:
        self._directory = directory
        directory.mkdir(exist_ok=True)
        settings = TranscribeSettings(
            transcribe_url=service,
            transcribe_format="diarized_json",
            transcribe_part_minutes=5,
        )
        self._engine = HttpEngine(settings, language="", vad="native")

    async def transcribe(
        self, url: str, *, within: float = 60.0, allowed: tuple[str, ...] = ("127.0.0.1",)
    ) -> Outcome:
        """Transcribe what is at ``url``."""
        fetching = Fetching(
            max_bytes=MOST,
            timeout=within,
            allowed=AllowedHosts(allowed),
            directory=self._directory,
        )
        transcription, error = None, ""
        began = time.perf_counter()
        _forget_peak()
        try:
            transcription = await transcribe(
                MediaAddress.parse(url), engine=self._engine, fetching=fetching, most=3600
            )
        except StepError as failure:
            error = str(failure)
        return Outcome(
            transcription,
            error,
            time.perf_counter() - began,
            _peak(),
            tuple(path.name for path in self._directory.iterdir()),
        )


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak resident set size


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def run(*, hour: bool) -> int:
    """Print a line for each recording; return how many are not as they are to be."""
    faults = 0
    with tempfile.TemporaryDirectory(prefix="greffier-containers-") as name:
        files = Path(name) / "files"
        files.mkdir()
        sound = files / "sound.wav"
        write_sound(sound)
        # The double in a process of its own, so that its memory is not taken for ours.
        with Server(Path(name) / "service.log") as service:
            async with MediaServer(files).running() as server:
                bench = Bench(Path(name) / "copies", service.urls["openai"])
                await bench.transcribe(f"{server.url}/sound.wav")  # Loads what is loaded once.
                for file in (*FILES, *((HOUR,) if hour else ())):
                    await asyncio.to_thread(file.make, files / file.name, sound)
                    outcome = await bench.transcribe(f"{server.url}/{file.name}")
                    faults += _told(file.name, outcome, outcome.fault(file))
                for what, url, code in refused_addresses(server.url):
                    outcome = await bench.transcribe(url, within=1.0)
                    fault = "" if outcome.error.startswith(f"{code}:") else f"not {code}"
                    faults += _told(what, outcome, fault)
    return faults


def _told(name: str, outcome: Outcome, fault: str) -> bool:
    said = outcome.error.partition(":")[0] or f"{len(outcome.words)} words"
    print(
        f"{name:32} {said:24} {outcome.seconds:5.2f} s  peak {outcome.peak / 2**20:4.0f} MiB  "
        f"{fault or 'ok'}"
    )
    return bool(fault)


def main() -> int:
    """Print every outcome."""
    parser = argparse.ArgumentParser(prog="python -m bench.containers", description=__doc__)
    parser.add_argument("--hour", action="store_true", help="transcribe an hour too")
    return 1 if asyncio.run(run(hour=parser.parse_args().hour)) else 0


if __name__ == "__main__":
    sys.exit(main())
