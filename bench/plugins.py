"""What a hostile plugin costs the others: end of speech -> final caption, with and without it.

Three speakers who take turns are transcribed by pocketsphinx; ten who speak at the same time by an
engine that answers at once, since a real one would saturate a small machine by itself. "With" is
the same meeting with three more agents: one raises, one sleeps, one spins (``tests/plugins``)::

    python -m bench.plugins
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from bench.caption_delay import caption_delays, percentile
from bench.child_process import ROOT
from bench.client_processes import PublisherProcess, SubscriberProcess
from bench.installed_worker import InstalledWorker, make_environment
from bench.livekit_server import LiveKitServer
from bench.rooms import Rooms, dispatch_to
from bench.script import SCRIPTED_MEETING

HOSTILE_PACKAGE: Final = ROOT / "tests" / "plugins"
HOSTILE: Final = ("raises", "sleeps", "spins")
ENGINES: Final = {
    "GREFFIER_ENGINE": "pocketsphinx",
    "GREFFIER_ENGINE_PLUGINS": "echo=pipelines.testing:EchoSTT",
}
"""The worker's settings: both engines may be named by a room."""

_CLIPS = ("05-james.ogg", "13-ada.ogg", "04-alan.ogg")  # 2 to 3 s of speech without a pause
_LISTEN_TIMEOUT = 30  # seconds


@dataclass(frozen=True, slots=True)
class Turns:
    """Who speaks when: each speaker says a clip of two to three seconds, once a round.

    Args:
        speakers: How many.
        step: Seconds from one speaker's start to the next one's.
        period: Seconds from a speaker's start to the same one's next start.
        rounds: How often everybody speaks.
    """

    speakers: int
    step: float
    period: float
    rounds: int

    @property
    def utterances(self) -> int:
        """How many there are in all."""
        return self.speakers * self.rounds

    def write(self, path: Path) -> Path:
        """Write it as a script for the publisher; returns ``path``."""
        who = [f"speaker-{number}" for number in range(1, self.speakers + 1)]
        script = {
            "speakers": [{"identity": one, "name": one.title()} for one in who],
            "utterances": [
                {
                    "at": turn * self.period + index * self.step,
                    "identity": one,
                    "file": str(SCRIPTED_MEETING.parent / _CLIPS[index % len(_CLIPS)]),
                    "text": "",
                }
                for turn in range(self.rounds)
                for index, one in enumerate(who)
            ],
        }
        path.write_text(json.dumps(script), encoding="utf-8")
        return path


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from the end of each utterance to its final caption at another client.

    Args:
        seconds: Of those that had one before the same speaker spoke again.
        missing: How many had none.
    """

    seconds: tuple[float, ...]
    missing: int

    @classmethod
    def of(
        cls, truth: Iterable[Mapping[str, Any]], received: Iterable[Mapping[str, Any]]
    ) -> Delays:
        """Compare the publisher's log with the subscriber's."""
        finals = [delay.final for delay in caption_delays(truth, received)]
        known = tuple(final for final in finals if final is not None)
        return cls(known, len(finals) - len(known))

    def __add__(self, other: Delays) -> Delays:
        return Delays(self.seconds + other.seconds, self.missing + other.missing)

    def percentile(self, percent: float) -> float:
        """Return the delay that ``percent`` % do not exceed; a missing one is infinitely late."""
        return percentile([*self.seconds, *[float("inf")] * self.missing], percent)

    def __str__(self) -> str:
        p50, p95 = (self.percentile(percent) * 1000 for percent in (50, 95))
        lost = f", {self.missing} missing" if self.missing else ""
        return f"n={len(self.seconds) + self.missing} p50 {p50:.0f} ms, p95 {p95:.0f} ms{lost}"


class PluginMeetings:
    """Meetings of an installed worker that has plugins; a context manager.

    Args:
        server: Where the rooms are.
        directory: Takes environment, data and logs.
        packages: Directories of the plugins' packages.
    """

    AGENT: Final = "with-plugins"

    def __init__(self, server: LiveKitServer, directory: Path, *packages: Path) -> None:
        self._server = server
        self._directory = directory
        self.data = directory / "data"
        environment = make_environment(directory / "environment", *packages)
        settings = {
            **server.env(),
            **ENGINES,
            "GREFFIER_AGENT_NAME": self.AGENT,
            "GREFFIER_DATA_DIR": str(self.data),
            "GREFFIER_DEPARTURE_TIMEOUT": "1",
        }
        self.worker = InstalledWorker(environment, settings, log=directory / "worker.log")

    def __enter__(self) -> Self:
        self.worker.start().wait_until_registered()
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.stop()

    @contextmanager
    def hold(
        self, room: str, turns: Turns, engine: str, plugins: Sequence[str] = ()
    ) -> Iterator[tuple[SubscriberProcess, PublisherProcess]]:
        """Open a meeting with ``plugins`` beside the built-in agents; people begin to speak."""
        directory = Path(tempfile.mkdtemp(prefix=f"{room}-", dir=self._directory))
        agents = {"transcriber": {"engine": engine}, "metadata": True}
        asyncio.run(self._open(room, {"agents": agents | dict.fromkeys(plugins, True)}))
        script = turns.write(directory / "script.json")
        wait = ("--wait-subscribed", str(_LISTEN_TIMEOUT), "--script", str(script))
        env = self._server.env()
        with (
            SubscriberProcess(env, room, directory=directory) as reader,
            PublisherProcess(env, room, *wait, directory=directory) as people,
        ):
            yield reader.wait_until_joined(), people

    def delays(self, room: str, turns: Turns, engine: str, plugins: Sequence[str] = ()) -> Delays:
        """Hold a meeting to its end and return how late the captions were."""
        with self.hold(room, turns, engine, plugins) as (reader, people):
            status = people.wait(timeout=turns.rounds * turns.period + 2 * _LISTEN_TIMEOUT)
            # Not the status: livekit 1.1.21 aborts now and then when Python is finalised.
            if not people.truth("meeting_ended"):
                raise people.error(f"ended with status {status} in the middle")
            return Delays.of(people.truth(), reader.received())

    async def _open(self, room: str, metadata: Mapping[str, Any]) -> None:
        server = self._server
        async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
            await rooms.create(room, metadata=metadata, agents=[dispatch_to(self.AGENT)])


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.plugins", description=__doc__)
    parser.add_argument("--blocks", type=int, default=4, help="meetings of each kind")
    options = parser.parse_args()
    held = {
        "pocketsphinx": Turns(speakers=3, step=2.5, period=7.5, rounds=5),
        "echo": Turns(speakers=10, step=0.1, period=6.0, rounds=3),
    }
    with (
        tempfile.TemporaryDirectory(prefix="greffier-plugins-") as directory,
        LiveKitServer(Path(directory)) as server,
        PluginMeetings(server, Path(directory), HOSTILE_PACKAGE) as meetings,
    ):
        for engine, turns in held.items():
            print(f"{turns.speakers} speakers, {engine}:", flush=True)
            _compare(meetings, turns, engine, options.blocks)
    return 0


def _compare(meetings: PluginMeetings, turns: Turns, engine: str, blocks: int) -> None:
    """Hold short meetings in turn, so that what else the machine does weighs on both kinds."""
    kinds: Mapping[str, Sequence[str]] = {"without": (), f"with {', '.join(HOSTILE)}": HOSTILE}
    totals = dict.fromkeys(kinds, Delays((), 0))
    for block in range(blocks):
        for kind, plugins in kinds.items():
            delays = meetings.delays(f"{engine}-{block}-{len(plugins)}", turns, engine, plugins)
            totals[kind] += delays
            print(f"    {kind}: {delays}; load {os.getloadavg()[0]:.1f}", flush=True)
    for kind, delays in totals.items():
        print(f"  {kind}: {delays}")
    without, hostile = (delays.percentile(95) for delays in totals.values())
    print(f"  p95 with / without: {hostile / without:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
