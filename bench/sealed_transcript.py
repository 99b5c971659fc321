"""The sealed transcript of a meeting, as the files store leaves it."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMATS = ("json", "vtt", "srt", "txt", "md")

MINUTES = ("summary.json", "summary.md", "minutes.md", "minutes.html", "minutes.docx")
"""What is made of a sealed transcript, beside it."""


@dataclass(frozen=True, slots=True)
class SealedTranscript:
    """One seal; ``directory`` holds ``transcript.json`` and the same in four more formats."""

    directory: Path

    @property
    def files(self) -> list[Path]:
        """The five files, there or not."""
        return [self.directory / f"transcript.{ending}" for ending in FORMATS]

    @property
    def minutes(self) -> list[Path]:
        """The files made of it, there or not."""
        return [self.directory / name for name in MINUTES]

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
        """Copy the files and what was made of them into ``directory``, over an earlier run's."""
        directory.mkdir(parents=True, exist_ok=True)
        for file in (*self.files, *self.minutes):
            shutil.copyfile(file, directory / file.name)
        return SealedTranscript(directory)

    def wait_for_minutes(self, *, timeout: float = 60.0) -> SealedTranscript:
        """Return it once everything is made of it.

        Raises:
            TimeoutError: Something is not there after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while lacking := [file.name for file in self.minutes if not file.exists()]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {', '.join(lacking)} in {timeout:g} s ({self.directory})")
            time.sleep(0.1)
        return self


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
