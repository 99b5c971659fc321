"""What the unit tests of several files begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

import pytest
import stamina
from livekit import rtc

from agents import ear
from agents.room import MeetingRoom
from pipelines.events import Event
from pipelines.leases.files import FileLeases
from pipelines.transcript.stores.files import FilesStore
from tests.unit.fake_room import FakeRoom, SilentStream
from tests.unit.file_leases import Clock


@pytest.fixture
def retry_at_once() -> None:
    """Have what is tried again, three times, not wait in between."""
    stamina.set_testing(True, attempts=3)


@pytest.fixture
def journal_dir(tmp_path: Path) -> Path:
    """Where the journals of all meetings are to be."""
    return tmp_path / "journal"


@pytest.fixture
def store(tmp_path: Path) -> FilesStore:
    """A store of files without a meeting."""
    return FilesStore(tmp_path / "transcripts")


@pytest.fixture
def clock() -> Clock:
    """The clock of ``leases``."""
    return Clock()


@pytest.fixture
def leases(tmp_path: Path, clock: Clock) -> FileLeases:
    """Leases in files, nobody's yet."""
    return FileLeases(tmp_path / "leases", clock=clock)


@pytest.fixture
def silent_streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have every track be silent; in the end none is read any more."""
    monkeypatch.setattr(rtc, "AudioStream", SilentStream)
    monkeypatch.setattr(ear, "LAST_WORD", 0.0)
    SilentStream.open_now = 0
    yield
    assert SilentStream.open_now == 0


@pytest.fixture
def room() -> FakeRoom:
    """A room without people."""
    return FakeRoom()


@pytest.fixture
def events() -> list[Event]:
    """What is told of ``meeting``."""
    return []


@pytest.fixture
async def meeting(room: FakeRoom, events: list[Event]) -> AsyncIterator[MeetingRoom]:
    """The people of ``room``, heard."""
    async with MeetingRoom(cast("rtc.Room", room), events.append) as meeting:
        meeting.hear(True)
        yield meeting
