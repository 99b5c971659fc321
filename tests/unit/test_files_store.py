"""The files store: each line once, seals whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pipelines.errors import StoreError
from pipelines.transcript.line import Line
from pipelines.transcript.stores.files import FilesStore


def lines(first: int, last: int, *, epoch: int = 7) -> list[Line]:
    return [Line("m", epoch, n, "note", 1000.0 + n, {"n": n}) for n in range(first, last + 1)]


async def test_lines_given_again_are_kept_once(tmp_path: Path) -> None:
    store = FilesStore(tmp_path)
    await store.append("m", lines(1, 5))
    await store.append("m", lines(3, 8))
    await store.append("m", lines(1, 2, epoch=9))
    assert await store.read("m") == lines(1, 8) + lines(1, 2, epoch=9)


async def test_a_line_torn_by_a_crash_is_mended_by_the_next_append(tmp_path: Path) -> None:
    store = FilesStore(tmp_path)
    await store.append("m", lines(1, 3))
    path = store.directory("m") / "lines" / "7.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    await store.append("m", lines(3, 4))
    assert await store.read("m") == lines(1, 4)


async def test_writers_at_the_same_time_do_not_double_or_mix_lines(tmp_path: Path) -> None:
    stores = [FilesStore(tmp_path) for _ in range(4)]
    await asyncio.gather(*(store.append("m", lines(1, 200)) for store in stores))
    assert await stores[0].read("m") == lines(1, 200)


async def test_a_seal_has_its_files_and_what_it_covers(tmp_path: Path) -> None:
    store = FilesStore(tmp_path)
    path = await store.put_seal("m", 1, covers={7: 3}, files={"transcript.txt": "hello"})
    assert (path / "transcript.txt").read_text() == "hello"
    assert await store.seals("m") == {1: {7: 3}}


async def test_a_seal_is_never_replaced(tmp_path: Path) -> None:
    store = FilesStore(tmp_path)
    path = await store.put_seal("m", 1, covers={7: 3}, files={"transcript.txt": "first"})
    with pytest.raises(StoreError):
        await store.put_seal("m", 1, covers={7: 4}, files={"transcript.txt": "second"})
    assert (path / "transcript.txt").read_text() == "first"


async def test_a_disk_that_does_not_take_lines_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file")
    with pytest.raises(StoreError):
        await FilesStore(tmp_path / "root").append("m", lines(1, 1))


async def test_a_meeting_id_can_not_leave_the_directory(tmp_path: Path) -> None:
    store = FilesStore(tmp_path / "root")
    for meeting in ("../../etc", "/etc/passwd", "..", "", "a/b", "é" * 400):
        assert store.directory(meeting).parent == tmp_path / "root"
