"""How right the collector's times are: people speak, and every start and end is held against it.

The truth is the wall time at which the publisher's first and last sample of speech left WebRTC's
queue, which is 20 ms short; what is found is what the recording's metadata file says in the end::

    python -m bench.voice_activity --onsets 200 --people 1,3,10
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.audio_file import read_clip
from bench.client_processes import PublisherProcess
from bench.la_suite import BUCKET, COLLECTOR, MeetAgentProcess, MeetBackend, bucket_env
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms
from bench.script import SCRIPTED_MEETING, load_script
from bench.speech_spans import Span, SpanErrors, compare, joined, spoken_spans
from bench.versitygw import VersityGateway

QUEUE_MS: Final = 20
FIRST: Final = 4.0  # seconds until the first words: the collector hears everybody by then
PAUSE: Final = (1.0, 1.6)  # seconds between two utterances of one person; shorter is a breath
BREATH: Final = 0.6  # seconds; the segmenter bridges half a second
HOLE: Final = 0.06  # seconds; the queue and a frame
FILE_WITHIN: Final = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording of one sentence: how long it is, and the speech in it, in seconds."""

    file: Path
    seconds: float
    speech: float


def script(people: int, onsets: int, *, seed: int) -> dict[str, Any]:
    """Make a meeting in which each of ``people`` goes on speaking whatever the others do."""
    chance = random.Random(seed)
    clips = _clips()
    utterances = []
    for number in range(people):
        at = FIRST + chance.uniform(0, PAUSE[1])
        for _ in range(-(-onsets // people)):
            clip = chance.choice(clips)
            line = {"at": round(at, 3), "identity": f"p{number}", "file": str(clip.file)}
            utterances.append({**line, "text": ""})
            at += clip.seconds + chance.uniform(*PAUSE)
    speakers = [{"identity": f"p{number}", "name": f"Person {number}"} for number in range(people)]
    return {"speakers": speakers, "utterances": utterances}


def _clips() -> list[Clip]:
    files = sorted({line.file for line in load_script(SCRIPTED_MEETING).utterances})
    clips = [(file, read_clip(file, 16_000)) for file in files]
    return [Clip(file, one.seconds, len(one.speech) / one.rate) for file, one in clips]


def found_spans(metadata: Mapping[str, Any]) -> list[Span]:
    """Read the spans of speech in a recording's metadata, as La Suite does."""
    starts: dict[str, float] = {}
    spans = []
    for event in metadata["events"]:
        identity, at = event["participant_id"], datetime.fromisoformat(event["timestamp"])
        if event["type"] == "speech_start":
            starts[identity] = at.timestamp()
        elif event["type"] == "speech_end" and identity in starts:
            spans.append(Span(identity, starts.pop(identity), at.timestamp()))
    return spans


async def measure(
    livekit: LiveKitServer,
    backend: MeetBackend,
    meeting: Mapping[str, Any],
    directory: Path,
) -> SpanErrors:
    """Record one meeting and compare; a collector is running."""
    path = directory / "script.json"
    path.write_text(json.dumps(meeting))
    recording = await backend.start_recording(str(uuid.uuid4()))
    await backend.wait_for_agent(recording)
    options = ("--script", str(path), "--queue-ms", str(QUEUE_MS), "--linger", "1.5")
    people = PublisherProcess(livekit.env(), recording.room, *options, directory=directory)
    with people:
        while people.running and not people.truth("meeting_ended"):  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.2)
        await backend.stop_recording(recording)
        await backend.wait_for_file(recording, seconds=FILE_WITHIN)
    truth, found = people.truth(), found_spans(backend.read(recording))
    spoken = joined(spoken_spans(truth), pause=BREATH)
    stalled = _stalled(truth)
    errors = compare([one for one in spoken if not _within(one, stalled)], found)
    errors.false = compare(spoken, found).false
    errors.stalled = len(spoken) - len(errors.onsets) - errors.missed
    return errors


def _stalled(truth: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Return what took longer to say than it lasts: the publisher was held up, and left a hole."""
    lengths = {clip.file.name: clip.speech for clip in _clips()}
    files = [line["file"] for line in truth if line["event"] == "speech_ended"]
    said = zip(spoken_spans(truth), files, strict=True)
    return [span for span, file in said if span.end - span.start > lengths[file] + HOLE]


def _within(span: Span, others: Sequence[Span]) -> bool:
    return any(
        one.identity == span.identity and span.start <= one.start < span.end for one in others
    )


async def run(people: Sequence[int], onsets: int, *, vad: str, out: Path, seed: int) -> None:
    """Measure with each number of people and print a line for each."""
    with (
        tempfile.TemporaryDirectory(prefix="greffier-va-") as temporary,
        LiveKitServer() as livekit,
        VersityGateway() as s3,
        out.open("a") as log,
    ):
        directory = Path(temporary)
        s3.create_bucket(BUCKET)
        env = {**livekit.env(), **bucket_env(s3), "GREFFIER_DATA_DIR": str(directory / "data")}
        worker = MeetAgentProcess(
            COLLECTOR, {**env, "GREFFIER_VAD": vad}, log=directory / "worker.log"
        )
        with worker:
            worker.wait_until_registered()
            async with Rooms(livekit.url, livekit.api_key, livekit.api_secret) as rooms:
                backend = MeetBackend(rooms, s3)
                for count in people:
                    own = directory / str(count)
                    own.mkdir()
                    meeting = script(count, onsets, seed=seed)
                    errors = await measure(livekit, backend, meeting, own)
                    load = round(os.getloadavg()[0], 1)
                    line = json.dumps({"people": count, "vad": vad, **errors.row(), "load": load})
                    print(line, flush=True)
                    log.write(f"{line}\n")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.voice_activity", description=__doc__)
    parser.add_argument("--onsets", type=int, default=200, help="with each number of people")
    parser.add_argument("--people", default="1,3,10")
    parser.add_argument("--vad", default="native", choices=["native", "silero"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/voice_activity.jsonl"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    people = [int(number) for number in options.people.split(",")]
    asyncio.run(run(people, options.onsets, vad=options.vad, out=options.out, seed=options.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
