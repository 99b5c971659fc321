"""The sealed transcript of a meeting, as the files store leaves it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMATS = ("json", "vtt", "srt", "txt", "md")


@dataclass(frozen=True, slots=True)
class SealedTranscript:
    """One seal; ``directory`` holds ``transcript.json`` and the same in four more formats."""

    directory: Path

    @property
    def files(self) -> list[Path]:
        """The five files, there or not."""
        return [self.directory / f"transcript.{ending}" for ending in FORMATS]

    def document(self) -> dict[str, Any]:
        """Read the transcript document."""
        text = (self.directory / "transcript.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        return document

    def speakers(self) -> list[str]:
        """Return the display names of those who spoke, in the order of their first words."""
        return [person["name"] for person in self.document()["speakers"]]

    def said(self) -> list[tuple[str, str]]:
        """Return (display name, text) of every segment in order of time."""
        return [(one["name"], one["text"]) for one in self.document()["segments"]]

    def copy_to(self, directory: Path) -> SealedTranscript:
        """Copy the five files into ``directory``, over those of an earlier run."""
        directory.mkdir(parents=True, exist_ok=True)
        for file in self.files:
            shutil.copyfile(file, directory / file.name)
        return SealedTranscript(directory)


def find_seals(store: Path) -> list[SealedTranscript]:
    """Return every seal in a files store, oldest first within a meeting."""
    paths = store.glob("*/seal-*/seal.json")
    in_order = sorted(paths, key=lambda path: (path.parts[-3], int(path.parts[-2].split("-")[1])))
    return [SealedTranscript(path.parent) for path in in_order]


def wait_for_seal(store: Path, *, count: int = 1, timeout: float = 60.0) -> SealedTranscript:
    """Return the newest seal of the only meeting in ``store``, once there are ``count``.

    Raises:
        TimeoutError: There are fewer after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while len(seals := find_seals(store)) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the meeting was not sealed in {timeout:g} s ({store})")
        time.sleep(0.1)
    return seals[-1]
