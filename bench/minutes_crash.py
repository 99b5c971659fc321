"""Show 2: workers are killed in each step after meetings, Redis is restarted; nothing is missing.

::

    python -m bench.minutes_crash --meetings 50

Real Redis, two Celery workers, real recordings through a local engine, a real webhook receiver. In
each round meetings are sealed, one worker loses the process that does a step in the middle of it
and is then killed whole (SIGKILL), or Redis is killed and comes back, with its data or without.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Self

import typer

from bench.child_process import ROOT, ChildError, ChildProcess
from bench.delivery_server import READY, read_entries
from bench.livekit_server import free_port
from bench.post_meeting_worker import PostMeetingWorker
from bench.redis_server import RedisServer
from pipelines.failpoints import FailpointName
from pipelines.post_meeting.source import Source
from pipelines.post_meeting.wanted import Wanted
from pipelines.post_meeting.work import SOURCE, WANTED, plan
from pipelines.transcript.build_document import build_document
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.line import Line
from pipelines.transcript.paths import Sealed, meeting_key
from pipelines.transcript.stores.files import FilesStore

KILLS: Final[tuple[FailpointName, ...]] = (
    "transcribe",
    "align",
    "summarise",
    "minutes",
    "deliver",
)
REDIS: Final = ("redis restarted", "redis emptied")
PROMISE: Final = 90.0
"""Seconds from a kill until everything that was pending is done."""

_RECORDING: Final = ROOT / "bench" / "speech" / "01-alan.ogg"
_SAID: Final = (
    ("ada", "Ada Lovelace", "we decided to move the release to the third of march"),
    ("alan", "Alan Turing", "i will write the letter to the city council"),
    ("ada", "Ada Lovelace", "who will pay for the new railway station?"),
)
_START: Final = 1_790_000_000.0
_DESTINATION: Final = "backend"


@dataclass(frozen=True, slots=True)
class Round:
    """How one round ended.

    Args:
        what: The step in which a worker was killed, or what happened to Redis.
        meetings: How many were pending then, at most.
        seconds: From the kill until all of them were done.
    """

    what: str
    meetings: int
    seconds: float


@dataclass(slots=True)
class Findings:
    """What is wrong, once all is done; empty is what was promised.

    Args:
        missing: Artefacts that are not there.
        changed: Artefacts that were made twice.
        left: Failures, dead letters and markers that are still there.
        deliveries: What is wrong with the webhooks.
    """

    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed or self.left or self.deliveries)


class MinutesCrash:
    """Redis, a receiver, two workers and the files that they share; a context manager.

    Args:
        directory: Takes everything.
        settings: More settings of the workers.
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.store = directory / "transcripts"
        self.sealed: dict[Sealed, bool] = {}
        self._seen: dict[Path, tuple[int, int]] = {}
        self._findings = Findings()
        self._undo = ExitStack()
        self._more = dict(settings or {})
        self._workers = 0

    def __enter__(self) -> Self:
        secret = f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"
        self.redis = self._undo.enter_context(RedisServer(self.directory / "redis"))
        port = free_port()
        receiver = ChildProcess(
            "receiver",
            [
                *(sys.executable, "-m", "bench.delivery_server", "--secret", secret),
                *("--webhook-port", str(port), "--mail-port", str(free_port())),
                *("--dir", str(self.directory / "receiver")),
            ],
            log=self.directory / "receiver.log",
        )
        self._undo.enter_context(receiver).wait_for_output(READY)
        self._env = {
            "GREFFIER_AFTER": "celery",
            "GREFFIER_STORES": self.redis.url,
            "GREFFIER_DATA_DIR": str(self.directory / "data"),
            "GREFFIER_TRANSCRIPTS_DIR": str(self.store),
            "GREFFIER_ENGINE": "pocketsphinx/en-us",
            "GREFFIER_DESTINATIONS": f"{_DESTINATION}=http://127.0.0.1:{port}/hook",
            "GREFFIER_DESTINATION_SECRETS": f"{_DESTINATION}={secret}",
            **self._more,
        }
        self.other = self.start_worker()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def start_worker(self, failpoint: FailpointName | None = None) -> PostMeetingWorker:
        """Start a worker and wait until it takes messages; its processes may be armed to die."""
        self._workers += 1
        name = f"worker-{self._workers}"
        env = {**self._env, **({"GREFFIER_FAILPOINT": failpoint} if failpoint else {})}
        worker = PostMeetingWorker(env, log=self.directory / f"{name}.log", name=name)
        return self._undo.enter_context(worker).wait_until_ready()

    async def seal(self, count: int) -> None:
        """Seal ``count`` more meetings, every second with a recording."""
        files = FilesStore(self.store, leaves_work=True)
        for _ in range(count):
            number = len(self.sealed)
            meeting = f"meeting-{number}"
            recorded = number % 2 == 0
            document = small_meeting(meeting)
            made = {f"transcript.{ending}": export(document) for ending, export in EXPORTS.items()}
            made[WANTED] = Wanted(deliver=(_DESTINATION,)).model_dump_json()
            if recorded:
                made[SOURCE] = Source(address=str(_RECORDING), language="en").model_dump_json()
            await files.put_seal(meeting, 1, covers={1: 4}, files=made)
            self.sealed[Sealed(meeting_key(meeting), 1)] = recorded

    def kill_in(self, step: FailpointName, *, meetings: int) -> Round:
        """Have a worker die in ``step``, first one of its processes, then all; wait for the rest.

        Raises:
            ChildError: It did not die, or not everything was done in time.
        """
        worker = self.start_worker(step)
        # The other one is frozen, or it might be the one that comes to the step.
        os.killpg(self.other.pid, signal.SIGSTOP)
        try:
            asyncio.run(self.seal(meetings))
            worker.wait_for_output("signal 9 (SIGKILL)", timeout=PROMISE)
            worker.kill()
        finally:
            os.killpg(self.other.pid, signal.SIGCONT)
        return self._until_done(step, meetings)

    def restart_redis(self, *, emptied: bool, meetings: int, away: float = 3.0) -> Round:
        """Kill Redis under two workers, bring it back after ``away`` seconds; wait for the rest."""
        second = self.start_worker()
        asyncio.run(self.seal(meetings))
        self._wait(lambda: self._done() > len(self.sealed) - meetings, timeout=PROMISE)
        self.redis.kill()
        if emptied:
            for path in (self.redis.directory / "appendonlydir").iterdir():
                path.unlink()
        time.sleep(away)
        self.redis.start()
        found = self._until_done(REDIS[emptied], meetings)
        second.stop()
        return found

    def findings(self) -> Findings:
        """Look at everything that is there."""
        found = self._findings
        for sealed, recorded in self.sealed.items():
            steps = plan(recorded=recorded, heard_live=True, deliver=[_DESTINATION])
            directory = self.store / sealed.directory
            for name in (made for step in steps for made in step.makes):
                if not (directory / name).is_file():
                    found.missing.append(f"{sealed.marker}/{name}")
            found.left += [str(path) for path in directory.glob("failures/**/*.json")]
            found.left += [str(path) for path in directory.rglob(".unfinished-*")]
        for index in (".pending", ".dead"):
            found.left += [str(path) for path in (self.store / index).glob("*")]
        came = [one["key"] for one in read_entries(self.directory / "receiver" / "came.jsonl")]
        kept = [one["key"] for one in read_entries(self.directory / "receiver" / "kept.jsonl")]
        if len(kept) != len(self.sealed) or set(came) != set(kept):
            found.deliveries.append(f"{len(self.sealed)} meetings, {len(set(came))} keys came")
        return found

    @property
    def deliveries(self) -> int:
        """Webhooks that came, doubled ones included."""
        return len(read_entries(self.directory / "receiver" / "came.jsonl"))

    def _until_done(self, what: str, meetings: int) -> Round:
        began = time.monotonic()
        self._wait(lambda: self._done() == len(self.sealed), timeout=PROMISE * 2)
        return Round(what, meetings, time.monotonic() - began)

    def _wait(self, done: Callable[[], bool], *, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not done():
            self._watch()
            if time.monotonic() > deadline:
                left = sorted(path.name for path in (self.store / ".pending").iterdir())
                raise self.other.error(f"and not done in {timeout:g} s: {', '.join(left)}")
            time.sleep(0.2)
        self._watch()

    def _done(self) -> int:
        return len(self.sealed) - len(list((self.store / ".pending").iterdir()))

    def _watch(self) -> None:
        """See to it that no artefact is made twice: its file stays the one that it was."""
        for sealed in self.sealed:
            directory = self.store / sealed.directory
            for path in (*directory.glob("*.*"), *directory.glob("deliveries/*.json")):
                if path.name.startswith(".") or path.name.endswith(".history.json"):
                    continue
                try:
                    state = path.stat()
                except FileNotFoundError:
                    continue
                now = (state.st_ino, state.st_mtime_ns)
                if self._seen.setdefault(path, now) != now:
                    self._findings.changed.append(f"{sealed.marker}/{path.name}")


def small_meeting(meeting: str) -> TranscriptDocument:
    """Return the sealed transcript of three lines that two people said."""
    opened = {"room": meeting, "room_sid": "RM", "started_at": _START}
    lines = [Line(meeting, 1, 1, "opened", _START, opened)]
    for number, (identity, name, text) in enumerate(_SAID):
        data = {
            "segment": f"s{number}",
            "revision": 0,
            "speaker": identity,
            "name": name,
            "text": text,
            "start_ms": 4000 * number,
            "end_ms": 4000 * number + 3000,
            "track": "",
            "language": "en",
            "engine": "scripted",
            "index": number + 1,
        }
        lines.append(Line(meeting, 1, number + 2, "final", _START + 4 * number, data))
    return build_document(lines, seal=1)


def main(
    meetings: Annotated[int, typer.Option(help="How many in all.")] = 50,
    out: Annotated[Path | None, typer.Option(help="Directory that keeps everything.")] = None,
) -> None:
    """Run every round and print how long each took."""
    rounds = len(KILLS) + len(REDIS)
    each = -(-meetings // rounds)
    with ExitStack() as stack:
        directory = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="minutes-")))
        try:
            bench = stack.enter_context(MinutesCrash(directory))
            found = []
            for step in KILLS:
                found.append(bench.kill_in(step, meetings=each))
                _print(found[-1])
            for emptied in (False, True):
                found.append(bench.restart_redis(emptied=emptied, meetings=each))
                _print(found[-1])
        except ChildError as error:
            print(f"minutes_crash: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
        wrong = bench.findings()
        count = len(bench.sealed)
        print(f"{count} meetings, {bench.deliveries} webhooks came for {count} keys")
        print(f"wrong: {wrong or 'nothing'}")
        if wrong or max(one.seconds for one in found) > PROMISE:
            raise typer.Exit(1)


def _print(one: Round) -> None:
    print(
        f"{one.what:18} {one.meetings:3} meetings  all done {one.seconds:5.1f} s later", flush=True
    )


if __name__ == "__main__":
    typer.run(main)
