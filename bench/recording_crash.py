"""Kill a collector at a named place, and look at the file of its recording.

While people speak, its worker brings another one; at the end the worker itself completes the file.
The truth is what the publisher logged: every sentence that was over before the crash, or begun
after the next job was there, must be in the file, once::

    python -m bench.recording_crash --trials 3
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Any, Final

from bench.client_processes import PublisherProcess
from bench.la_suite import (
    BUCKET,
    COLLECTOR,
    MeetAgentProcess,
    MeetBackend,
    Recording,
    bucket_env,
)
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms
from bench.script import SCRIPTED_MEETING
from bench.speech_spans import Span, compare, spoken_spans
from bench.versitygw import VersityGateway
from bench.voice_activity import found_spans

PASSES: Final[Mapping[str, tuple[int, int]]] = {
    "journal_write": (4, 9),
    "mid_line": (4, 9),
    "fsync": (2, 10),
    "mid_flush": (1, 2),
    "after_commit": (1, 2),
    "checkpoint": (1, 2),
    "recording_file": (1, 2),
    "seal": (1, 1),
    "replay": (1, 1),
}
"""Failpoint -> the passes one of which is the fatal one; those of the engine have none here."""

AT_THE_END: Final = frozenset({"recording_file", "seal", "replay"})

SETTLED: Final = 1.0
"""Seconds by which a sentence must be clear of the crash, or of the next job's arrival, to count:
an end is found half a second after it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one recording.

    Args:
        failpoint: ``name:n``.
        died: Whether the job died there.
        spoken: Sentences that count.
        missed: Those of them that are not in the file.
        false: Spans in the file in which nobody spoke.
        journals: Journals that are left in the end.
    """

    failpoint: str
    died: bool
    spoken: int
    missed: int
    false: int
    journals: int

    @property
    def kept(self) -> bool:
        """Whether the crash happened and cost nothing but its own moment."""
        return self.died and self.spoken > 0 and not (self.missed or self.false or self.journals)


class RecordingCrash:
    """Recordings that are cut by one crash each.

    Args:
        livekit: A running server.
        s3: A running server with La Suite's bucket.
        directory: Takes logs and data.
    """

    def __init__(self, livekit: LiveKitServer, s3: VersityGateway, directory: Path) -> None:
        self._livekit = livekit
        self._s3 = s3
        self._directory = directory

    async def trial(self, failpoint: str, *, number: int = 0) -> Trial:
        """Make one recording whose first job dies at ``failpoint``."""
        directory = self._directory / f"{number}-{failpoint.replace(':', '-')}"
        directory.mkdir()
        name = f"collector-{number}"
        env = {
            **self._livekit.env(),
            **bucket_env(self._s3),
            "METADATA_COLLECTOR_AGENT_NAME": name,
            "GREFFIER_DATA_DIR": str(directory / "data"),
            "GREFFIER_RECOVER_INTERVAL": "1",
        }
        armed = directory / "failpoint"
        armed.write_text(failpoint)
        env["GREFFIER_FAILPOINT"] = f"@{armed}"
        at_the_end = failpoint.partition(":")[0] in AT_THE_END
        livekit, room = self._livekit, str(uuid.uuid4())
        async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
            backend = MeetBackend(rooms, self._s3, collector=name)
            people = _speaker(livekit.env(), room, directory)
            with MeetAgentProcess(COLLECTOR, env, log=directory / "worker.log") as worker:
                worker.wait_until_registered()
                recording = await backend.start_recording(room)
                with suppress(TimeoutError):  # It may have died on its way.
                    await backend.wait_for_agent(recording)
                with people:
                    if at_the_end:
                        await _until(lambda: len(people.truth("speech_ended")) >= 2, 60)
                        await asyncio.sleep(SETTLED)
                        await backend.stop_recording(recording)
                    await _until(lambda: not armed.exists(), 60)
                    cut_at = time.time()
                    second_part = (inf, inf)
                    if not at_the_end:
                        second_part = await self._go_on(people, backend, recording)
                    await _until(lambda: self._is_done(backend, recording, directory), 60)
        spans = spoken_spans(people.truth())
        counted = [one for one in spans if _counts(one, cut_at, *second_part)]
        found = found_spans(backend.read(recording))
        return Trial(
            failpoint=failpoint,
            died=not armed.exists(),
            spoken=len(counted),
            missed=compare(counted, found).missed,
            false=compare(spans, found).false,
            journals=len(list((directory / "data/journal").glob("*/*.jsonl"))),
        )

    @staticmethod
    async def _go_on(
        people: PublisherProcess, backend: MeetBackend, recording: Recording
    ) -> tuple[float, float]:
        """Let the next job do its part; return from when to when it listened, Unix seconds."""
        ghosts = {one.sid for one in await backend.agents(recording.room)}

        async def is_back() -> bool:
            return bool({one.sid for one in await backend.agents(recording.room)} - ghosts)

        async with asyncio.timeout(60):
            while not await is_back():  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLED)
        back_at = time.time()
        enough = len(people.truth("speech_ended")) + 2
        await _until(lambda: len(people.truth("speech_ended")) >= enough, 60)
        await asyncio.sleep(SETTLED)
        stopped_at = time.time()
        await backend.stop_recording(recording)
        return back_at, stopped_at

    @staticmethod
    def _is_done(backend: MeetBackend, recording: Recording, directory: Path) -> bool:
        journals = list((directory / "data/journal").glob("*/*.jsonl"))
        return backend.path(recording).exists() and not journals


def _speaker(env: Mapping[str, str], room: str, directory: Path) -> PublisherProcess:
    """Make one who says a sentence again and again until they are stopped."""
    clip = str(SCRIPTED_MEETING.parent / "05-james.ogg")
    line = {"at": 1.0, "identity": "james", "file": clip, "text": ""}
    script: dict[str, Any] = {
        "speakers": [{"identity": "james", "name": "James Clerk Maxwell"}],
        "utterances": [line],
    }
    path = directory / "script.json"
    path.write_text(json.dumps(script))
    options = ("--script", str(path), "--rounds", "50", "--queue-ms", "20")
    return PublisherProcess(env, room, *options, directory=directory)


def _counts(span: Span, cut_at: float, back_at: float, stopped_at: float) -> bool:
    return span.end + SETTLED < cut_at or back_at < span.start < span.end + SETTLED < stopped_at


async def _until(true: Callable[[], bool], seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - files and processes give no event
                await asyncio.sleep(0.1)


def schedule(trials: int, seed: int) -> list[str]:
    """Choose the fatal pass of each failpoint in each of ``trials`` rounds."""
    chance = random.Random(seed)
    return [f"{name}:{chance.randint(*PASSES[name])}" for _ in range(trials) for name in PASSES]


def run(
    failpoints: Sequence[str], directory: Path, livekit: LiveKitServer, s3: VersityGateway
) -> Iterator[Trial]:
    """Make a recording for each failpoint and yield what became of each."""
    crashes = RecordingCrash(livekit, s3, directory)
    for number, failpoint in enumerate(failpoints):
        yield asyncio.run(crashes.trial(failpoint, number=number))


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.recording_crash", description=__doc__)
    parser.add_argument("--trials", type=int, default=1, help="of each failpoint")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    kept = True
    with (
        tempfile.TemporaryDirectory(prefix="greffier-recording-") as directory,
        LiveKitServer() as livekit,
        VersityGateway() as s3,
    ):
        s3.create_bucket(BUCKET)
        for trial in run(schedule(options.trials, options.seed), Path(directory), livekit, s3):
            print(json.dumps({**asdict(trial), "kept": trial.kept}), flush=True)
            kept &= trial.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
