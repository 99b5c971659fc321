"""A sealed meeting in files with all that works on it, for the tests of what happens after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pipelines.leases.files import FileLeases
from pipelines.post_meeting.artefacts import FilesArtefactStore
from pipelines.post_meeting.attempt import StepFunction, Task
from pipelines.post_meeting.open_work import Work
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.runner import Runner
from pipelines.post_meeting.work import Failure
from pipelines.transcript.paths import Sealed

SEALED = Sealed("weekly", 1)
KINDS = ("transcribe", "align", "summarise", "minutes", "deliver")


async def make(task: Task) -> None:
    for name in task.step.makes:
        await task.artefacts.put(name, b"{}")


class Desk:
    """A sealed meeting in files, and what a process needs to work on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FilesArtefactStore(root / "transcripts")
        self.pending = Pending(self.store)
        self.leases = FileLeases(root / "leases")
        self.artefacts = self.store.at(SEALED.directory)
        self.now = 1000.0

    async def seal(self, sealed: Sealed = SEALED, *, deliver: tuple[str, ...] = ()) -> None:
        await self.pending.add(sealed)
        artefacts = self.store.at(sealed.directory)
        await artefacts.put("wanted.json", json.dumps({"deliver": deliver}).encode())
        await artefacts.put("transcript.json", b"{}")

    def runner(
        self, function: StepFunction = make, *, timeout: float = 10, ttl: float = 5
    ) -> Runner:
        return Runner(
            self.store,
            self.leases,
            dict.fromkeys(KINDS, function),
            timeout=timeout,
            ttl=ttl,
            clock=lambda: self.now,
            chance=lambda: 0.5,
        )

    @property
    def work(self) -> Work:
        return Work(self.store, self.pending, self.leases, self.runner())

    async def give_up(self, step: str, sealed: Sealed = SEALED) -> None:
        failure = Failure(1, "no_audio_in_file", "none", at=self.now, due=None)
        await self.store.at(sealed.directory).put(f"failures/{step}.json", failure.encode())

    async def failure(self, step: str) -> Failure | None:
        raw = await self.artefacts.read(f"failures/{step}.json")
        return Failure.decode(raw) if raw else None


def raising(error: Callable[[], Exception]) -> StepFunction:
    async def step(_: Task) -> None:
        raise error()

    return step
