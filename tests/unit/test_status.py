"""``worker.py status``: what is read from journals and checkpoints, alive or dead."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from agents.room_state import RoomState, room_key
from agents.status import print_status, read_status, read_waiting, status_json
from pipelines.errors import JournalError
from pipelines.settings import Settings
from pipelines.testing.memory_leases import MemoryLeases
from pipelines.transcript.flusher import write_checkpoint
from pipelines.transcript.journal import Journal
from pipelines.transcript.line import Line
from pipelines.transcript.stores.address import parse_addresses
from worker import app

SECRET = "hunter2"
SAID = "what was said"
NOW = 2000.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    stores = parse_addresses(f"redis://:{SECRET}@127.0.0.1:6379/0")
    return Settings(data_dir=tmp_path, stores=stores)


def journal(settings: Settings, meeting: str, epoch: int, lines: int) -> Journal:
    """Write a journal, whose writer is this process until it is closed."""
    written = Journal(settings.journal_dir / meeting / f"{epoch}.jsonl")
    for sequence in range(1, lines + 1):
        said = {"name": "Ada", "text": SAID}
        written.append(Line("m", epoch, sequence, "note", NOW - 100 + sequence, said))
    return written


def shown(settings: Settings) -> str:
    out = io.StringIO()
    print_status(settings, read_status(settings, now=NOW), (), Console(file=out, width=200))
    return out.getvalue()


def test_each_journal_has_its_lines_age_writer_and_what_each_store_lacks(
    settings: Settings,
) -> None:
    living = journal(settings, "standup-0a1b", 7, lines=25)
    dead = journal(settings, "standup-0a1b", 5, lines=3)
    dead.close()
    write_checkpoint(living.path, "files", 25)
    write_checkpoint(living.path, "redis", 10)
    write_checkpoint(dead.path, "files", 2)
    first, second = read_status(settings, now=NOW)
    assert (first.meeting, first.epoch, first.alive, first.lines) == ("standup-0a1b", 5, False, 3)
    assert first.lag == {"files": 1, "redis": 3}
    assert (second.epoch, second.alive, second.lines) == (7, True, 25)
    assert second.lag == {"files": 0, "redis": 15}
    assert second.last_line_age == 75.0
    assert second.bytes == living.path.stat().st_size
    living.close()


def test_the_totals_are_sums_and_json_says_the_same(settings: Settings) -> None:
    journal(settings, "a", 1, lines=2).close()
    journal(settings, "b", 1, lines=3).close()
    status = json.loads(status_json(read_status(settings, now=NOW), ()))
    assert status["totals"] == {
        "journals": 2,
        "alive": 0,
        "lines": 5,
        "bytes": sum(one["bytes"] for one in status["journals"]),
        "lag": {"files": 5, "redis": 5},
    }
    assert [one["meeting"] for one in status["journals"]] == ["a", "b"]


def test_people_see_the_same_without_speech_names_or_secrets(settings: Settings) -> None:
    journal(settings, "standup-0a1b", 7, lines=4).close()
    table = shown(settings)
    row = next(line for line in table.splitlines() if line.startswith("standup-0a1b"))
    assert row.split()[:4] == ["standup-0a1b", "7", "dead", "4"]
    assert "redis lacks" in table
    assert "96 s ago" in table
    assert [word for word in (SAID, "Ada", SECRET) if word in table] == []


def test_no_journals_is_a_plain_sentence(settings: Settings) -> None:
    assert shown(settings).startswith("No journals in ")
    settings.journal_dir.mkdir()
    assert shown(settings).startswith("No journals in ")


def test_a_journal_that_died_in_its_first_line_lacks_nothing(settings: Settings) -> None:
    path = settings.journal_dir / "m" / "9.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"meeting": "m", "epo')
    (only,) = read_status(settings, now=NOW)
    assert (only.lines, only.bytes, only.last_line_age) == (0, 21, None)
    assert only.lag == {"files": 0, "redis": 0}


@pytest.mark.parametrize("unreadable", ["journal", "journal/m/1.jsonl"])
def test_what_cant_be_read_is_one_error_with_the_path_and_the_fix(
    settings: Settings, unreadable: str
) -> None:
    path = settings.data_dir / unreadable
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix:
        path.mkdir()  # Also root can't read a directory as a file, or the other way round.
    else:
        path.write_text("")
    with pytest.raises(JournalError, match=rf"{path} can't be read .*GREFFIER_DATA_DIR"):
        read_status(settings)


def test_a_directory_that_may_not_be_read_is_no_empty_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal(settings, "m", 1, lines=1).close()

    def refusing(look: Callable[[Path], Any], path: Path) -> Any:
        if Path(path).name == "m":  # Root may read everything, so a mode of 0 is no test.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", partial(refusing, os.scandir))
    monkeypatch.setattr(os, "listdir", partial(refusing, os.listdir))
    with pytest.raises(JournalError, match="Permission denied"):
        read_status(settings)


def test_the_command_exits_with_0_and_an_error_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_DATA_DIR", str(tmp_path))
    good = CliRunner().invoke(app, ["status", "--json"])
    assert good.exit_code == 0
    status = json.loads(good.output)
    assert (status["totals"]["journals"], status["waiting"]) == (0, [])
    (tmp_path / "journal").write_text("")
    bad = CliRunner().invoke(app, ["status"])
    assert bad.exit_code == 2
    assert "Traceback" not in bad.output


async def rooms() -> MemoryLeases:
    """Return the leases of rooms of all kinds, most of which do not wait."""
    leases = MemoryLeases(lambda: 100.0)
    looping = RoomState(restarts=tuple(range(6)))
    kinds = {
        "asked for": ("greffier", RoomState(restarts=(90.0,), asked=2), 4.0),
        "looping": ("greffier", looping, 300.0),
        "of another agent": ("other", looping, 300.0),
        "handed over": ("greffier", RoomState(handover="AJ_1", asked=1), 4.0),
    }
    for room, (agent_name, state, ttl) in kinds.items():
        key = room_key(room, agent_name, "")
        await leases.take(key, epoch=1, floor=0, ttl=ttl, state=state.as_dict())
    served = room_key("served", "greffier", "")
    await leases.claim(served, holder="AJ_2", epoch=1, ttl=3.0, state=looping.as_dict())
    return leases


async def test_rooms_that_wait_for_their_agent_are_shown_with_the_next_try(
    settings: Settings,
) -> None:
    waiting = await read_waiting(await rooms(), "greffier")
    out = io.StringIO()
    print_status(settings, (), waiting, Console(file=out, width=200))
    assert out.getvalue().splitlines()[1:] == [
        "asked for: waits for its agent, 1 died lately; asked for 2 times, again in 4 s",
        "looping: waits for its agent, 6 died lately; the next one is asked for in 300 s",
    ]
    told = json.loads(status_json((), waiting))["waiting"]
    assert told[1] == {"room": "looping", "deaths": 6, "asked": 0, "next_try": 300.0}


def test_leases_that_are_away_do_not_keep_the_journals_from_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREFFIER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("worker.open_leases", lambda _: MemoryLeases(lambda: 0.0, away=True))
    shown = CliRunner().invoke(app, ["status", "--json"])
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["waiting"] is None
    assert "not known which rooms wait" in shown.stderr
