"""The journal: whole lines, in order, through a full disk and a torn end."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipelines.transcript.journal import MARK_EVERY, RECENT, Journal, is_alive, read_journal
from pipelines.transcript.line import Line


def line(sequence: int) -> Line:
    return Line("meeting", 7, sequence, "note", 1000.0 + sequence, {"text": f"número {sequence}"})


def test_a_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "m" / "7.jsonl")
    journal.append(line(1))
    assert read_journal(journal.path).lines == [line(1)]
    assert journal.durable


def test_a_torn_end_costs_that_line_only(tmp_path: Path) -> None:
    path = tmp_path / "7.jsonl"
    path.write_bytes(line(1).encode() + line(2).encode()[:20])
    read = read_journal(path)
    assert (read.lines, read.torn) == ([line(1)], 1)


def test_when_the_disk_is_full_lines_wait_and_are_written_in_order_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    journal.append(line(1))
    room = [5]  # bytes that the disk still takes
    write = os.write

    def full(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as disk:
        disk.setattr(os, "write", full)
        journal.append(line(2))
        journal.append(line(3))
        assert not journal.durable
        assert journal.recent_after(0, limit=9) == [line(1), line(2), line(3)]
    journal.append(line(4))
    assert journal.durable
    read = read_journal(journal.path)
    assert (read.lines, read.torn) == ([line(1), line(2), line(3), line(4)], 1)


def test_a_directory_that_can_not_be_made_costs_durability_not_lines(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file where the directory should be")
    journal = Journal(tmp_path / "m" / "7.jsonl")
    journal.append(line(1))
    assert not journal.durable
    assert journal.recent_after(0, limit=9) == [line(1)]


def test_a_store_that_is_far_behind_reads_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    for n in range(1, RECENT + 101):
        journal.append(line(n))
    assert journal.recent_after(3, limit=4) is None
    assert [kept.sequence for kept in journal.older_after(3, limit=4)] == [4, 5, 6, 7]
    assert journal.recent_after(RECENT + 99, limit=4) == [line(RECENT + 100)]


def test_a_journal_is_alive_until_its_writer_lets_go(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    journal.append(line(1))
    assert is_alive(journal.path)
    journal.close()
    assert not is_alive(journal.path)


def test_two_writers_can_not_have_the_same_epoch(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "7.jsonl"), Journal(tmp_path / "7.jsonl")
    first.append(line(1))
    second.append(line(1))
    assert not second.durable
    assert read_journal(first.path).lines == [line(1)]


def test_a_line_that_can_not_be_encoded_is_refused_and_blocks_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    with pytest.raises(ValueError, match="year"):
        journal.append(Line("meeting", 7, 1, "note", 1e12, {}))
    journal.append(line(1))
    assert read_journal(journal.path).lines == [line(1)]


def test_a_failed_sync_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    journal.append(line(1))
    synced: list[int] = []

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", fails)
        journal.sync()
        assert not journal.durable
    monkeypatch.setattr(os, "fsync", synced.append)
    journal.sync()
    assert len(synced) == 1
    assert journal.durable


def test_a_reader_that_is_far_behind_begins_near_its_place(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "7.jsonl")
    for n in range(1, 3 * MARK_EVERY):
        journal.append(line(n))
    for after in (0, 1, MARK_EVERY - 1, MARK_EVERY, MARK_EVERY + 1, 3 * MARK_EVERY - 2):
        found = journal.older_after(after, limit=3)
        assert [one.sequence for one in found] == list(range(after + 1, 3 * MARK_EVERY))[:3]
    assert len(journal._marks) == 3
    journal.close()
