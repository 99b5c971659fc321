"""Artefacts in files: put once, whole, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path

import pytest

from bench.summarised_meeting import weekly
from pipelines.errors import StoreError
from pipelines.post_meeting.artefacts import Artefacts, FilesArtefactStore
from pipelines.post_meeting.hand_over import hand_over, nudge_new
from pipelines.post_meeting.pending import DEAD, Pending
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.paths import PENDING, Sealed
from pipelines.transcript.stores.files import FilesStore


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    return FilesArtefactStore(tmp_path).at("m/seal-1")


async def test_who_puts_first_has_made_it(artefacts: Artefacts) -> None:
    put = await asyncio.gather(*(artefacts.put("a.json", bytes([n])) for n in range(8)))
    assert put.count(True) == 1
    assert await artefacts.read("a.json") == bytes([put.index(True)])


async def test_what_was_not_finished_is_no_artefact_and_goes(
    artefacts: Artefacts, tmp_path: Path
) -> None:
    directory = tmp_path / "m" / "seal-1"
    directory.mkdir(parents=True)
    (directory / ".unfinished-a.json-0123").write_bytes(b"half")
    assert await artefacts.names() == frozenset()
    assert await artefacts.put("a.json", b"whole")
    assert [file.name for file in directory.iterdir()] == ["a.json"]


async def test_what_may_change_is_replaced_and_removed(artefacts: Artefacts) -> None:
    await artefacts.replace("failures/deliver/mail.json", b"1")
    await artefacts.replace("failures/deliver/mail.json", b"2")
    assert await artefacts.names() == {"failures/deliver/mail.json"}
    assert await artefacts.read("failures/deliver/mail.json") == b"2"
    await artefacts.remove("failures/deliver/mail.json")
    await artefacts.remove("failures/deliver/mail.json")
    assert await artefacts.read("failures/deliver/mail.json") is None


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b", ""])
async def test_a_name_does_not_lead_elsewhere(artefacts: Artefacts, name: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        await artefacts.read(name)


async def test_a_directory_that_can_not_be_read_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "m").symlink_to("m")  # Nobody, root neither, can read a loop.
    with pytest.raises(StoreError):
        await FilesArtefactStore(tmp_path).at("m").names()


async def test_a_disk_that_does_not_take_it_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"not a directory")
    with pytest.raises(StoreError):
        await FilesArtefactStore(tmp_path).at("m/seal-1").put("a.json", b"")


async def test_a_new_seal_is_work_to_do(tmp_path: Path) -> None:
    store = FilesStore(tmp_path, leaves_work=True)
    directory = await store.put_seal("weekly", 1, covers={}, files={"transcript.json": "{}"})
    pending = Pending(FilesArtefactStore(tmp_path))
    assert await pending.sealed() == [Sealed(directory.parent.name, 1)]


async def test_a_meeting_is_pending_or_given_up_or_neither(tmp_path: Path) -> None:
    pending = Pending(FilesArtefactStore(tmp_path))
    one, other = Sealed("a", 1), Sealed("b", 2)
    await pending.add(one)
    await pending.add(other)
    await pending.give_up(one)
    assert (await pending.sealed(), await pending.given_up()) == ([other], [one])
    await pending.add(one)
    assert (await pending.sealed(), await pending.given_up()) == ([one, other], [])
    await pending.finish(one)
    await pending.finish(other)
    assert (await pending.sealed(), await pending.given_up()) == ([], [])


async def test_who_gives_up_and_who_asks_again_at_once_leave_a_marker(tmp_path: Path) -> None:
    store = FilesArtefactStore(tmp_path)
    pending, sealed = Pending(store), Sealed("a", 1)
    await store.at(DEAD).put(sealed.marker, b"")  # The first half of giving up,
    await pending.add(sealed)
    await store.at(PENDING).remove(sealed.marker)  # and the second.
    assert (await pending.sealed(), await pending.given_up()) == ([], [sealed])


async def test_a_seal_is_handed_over_with_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    here, there = FilesArtefactStore(tmp_path / "here"), FilesArtefactStore(tmp_path / "there")
    files = {"transcript.json": "{}", "transcript.vtt": "", "wanted.json": "{}", "other": "x"}
    await FilesStore(tmp_path / "here", leaves_work=True).put_seal(
        "weekly", 1, covers={}, files=files
    )
    (sealed,) = await Pending(here).sealed()

    assert await hand_over(here, there) == ([sealed], [])

    assert await there.at(sealed.directory).names() == {*files, "seal.json"} - {"other"}
    assert await Pending(there).sealed() == [sealed]
    assert await Pending(here).sealed() == []


async def test_what_is_marked_and_not_sealed_yet_stays_here(tmp_path: Path) -> None:
    here, there = FilesArtefactStore(tmp_path / "here"), FilesArtefactStore(tmp_path / "there")
    await Pending(here).add(Sealed("weekly", 1))
    assert await hand_over(here, there) == ([], [])
    assert await Pending(here).sealed() == [Sealed("weekly", 1)]


async def test_a_second_host_s_first_seal_gets_the_next_number(tmp_path: Path) -> None:
    there = FilesArtefactStore(tmp_path / "there")
    given: list[Sealed] = []
    for epoch in (1, 2):
        host = tmp_path / f"host-{epoch}"
        document = weekly().model_copy(update={"epochs": (epoch,)})
        files = {f"transcript.{ending}": export(document) for ending, export in EXPORTS.items()}
        covers = {epoch: 5}
        await FilesStore(host, leaves_work=True).put_seal("m-1", 1, covers=covers, files=files)
        here = FilesArtefactStore(host)
        (local,) = await Pending(here).sealed()
        for _ in ("first", "again, after it died"):
            await Pending(here).add(local)
            given += (await hand_over(here, there)).given

    first, second = local, Sealed(local.key, 2)
    assert given == [first, first, second, second]
    assert await Pending(there).sealed() == [first, second]
    for epoch, sealed in enumerate((first, second), start=1):
        artefacts = there.at(sealed.directory)
        document = TranscriptDocument.model_validate_json(
            await artefacts.read("transcript.json") or b""
        )
        assert (document.seal, document.epochs) == (sealed.seal, (epoch,))
        covers = json.loads(await artefacts.read("seal.json") or b"")
        assert covers == {"seal": sealed.seal, "covers": {str(epoch): 5}}
        assert f"seal {sealed.seal}".encode() in (await artefacts.read("transcript.vtt") or b"")


async def test_a_seal_that_can_not_be_handed_over_holds_up_no_other(tmp_path: Path) -> None:
    here, there = FilesArtefactStore(tmp_path / "here"), FilesArtefactStore(tmp_path / "there")
    store = FilesStore(tmp_path / "here", leaves_work=True)
    for meeting in ("a", "b"):
        await store.put_seal(meeting, 1, covers={}, files={"transcript.json": "{}"})
    broken, whole = await Pending(here).sealed()
    (tmp_path / "here" / broken.directory / "seal.json").unlink()

    assert await hand_over(here, there) == ([whole], [broken])

    assert await Pending(here).sealed() == [broken]
    assert await there.at(broken.directory).names() == frozenset()
    with pytest.raises(StoreError, match="1 seals"):
        await nudge_new(here, there, nothing, until_idle=True)


async def nothing(_: Collection[Sealed]) -> None:
    pass
