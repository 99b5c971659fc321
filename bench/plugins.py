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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
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

_AGENT = "greffier"
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

    def percentile(self, percent: float) -> float:
        """Return the delay that ``percent`` % do not exceed; a missing one is infinitely late."""
        return percentile([*self.seconds, *[float("inf")] * self.missing], percent)

    def __str__(self) -> str:
        p50, p95 = (self.percentile(percent) * 1000 for percent in (50, 95))
        lost = f", {self.missing} missing" if self.missing else ""
        return f"n={len(self.seconds) + self.missing} p50 {p50:.0f} ms, p95 {p95:.0f} ms{lost}"


class PluginMeetings:
    """A server and an installed worker that has the hostile plugins; a context manager.

    Args:
        directory: Takes environment, data and logs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        environment = make_environment(self._directory / "environment", HOSTILE_PACKAGE)
        self._server = self._stack.enter_context(LiveKitServer(self._directory))
        settings = {
            **self._server.env(),
            **ENGINES,
            "GREFFIER_AGENT_NAME": _AGENT,
            "GREFFIER_DATA_DIR": str(self._directory / "data"),
            "GREFFIER_DEPARTURE_TIMEOUT": "2",
        }
        worker = InstalledWorker(environment, settings, log=self._directory / "worker.log")
        self._stack.enter_context(worker).wait_until_registered()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hold(self, turns: Turns, engine: str, plugins: Sequence[str] = ()) -> Delays:
        """Hold a meeting with ``plugins`` beside the built-in agents."""
        server = self._server
        room = f"{engine}-{turns.speakers}-{'with' if plugins else 'without'}"
        directory = self._directory / room
        directory.mkdir()
        agents = {"transcriber": {"engine": engine}, "metadata": True}
        metadata = {"agents": agents | dict.fromkeys(plugins, True)}
        asyncio.run(_open(server, room, metadata))
        script = turns.write(directory / "script.json")
        wait = ("--wait-subscribed", str(_LISTEN_TIMEOUT), "--script", str(script))
        with (
            SubscriberProcess(server.env(), room, directory=directory) as reader,
            PublisherProcess(server.env(), room, *wait, directory=directory) as people,
        ):
            reader.wait_until_joined()
            if status := people.wait(timeout=turns.rounds * turns.period + 2 * _LISTEN_TIMEOUT):
                raise people.error(f"ended with status {status}")
            return Delays.of(people.truth(), reader.received())


async def _open(server: LiveKitServer, room: str, metadata: Mapping[str, Any]) -> None:
    async with Rooms(server.url, server.api_key, server.api_secret) as rooms:
        await rooms.create(room, metadata=metadata, agents=[dispatch_to(_AGENT)])


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.plugins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="of the meeting of three")
    options = parser.parse_args()
    meetings = {
        "pocketsphinx": Turns(speakers=3, step=2.5, period=7.5, rounds=options.rounds),
        "echo": Turns(speakers=10, step=0.1, period=6.0, rounds=max(1, options.rounds // 2)),
    }
    with (
        tempfile.TemporaryDirectory(prefix="greffier-plugins-") as directory,
        PluginMeetings(Path(directory)) as bench,
    ):
        for engine, turns in meetings.items():
            print(f"{turns.speakers} speakers, {engine}; load {os.getloadavg()[0]:.2f}", flush=True)
            without = bench.hold(turns, engine)
            print(f"  without: {without}", flush=True)
            hostile = bench.hold(turns, engine, HOSTILE)
            print(f"  with {', '.join(HOSTILE)}: {hostile}")
            ratio = hostile.percentile(95) / without.percentile(95)
            print(f"  p95 with / without: {ratio:.2f}; load {os.getloadavg()[0]:.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
