"""Makes a sealed meeting of any audio or video file: no room, no live lines, only a recording."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from pipelines.events import iso
from pipelines.post_meeting.artefacts import FilesArtefactStore
from pipelines.post_meeting.pending import Pending
from pipelines.post_meeting.source import Source
from pipelines.post_meeting.wanted import Wanted
from pipelines.post_meeting.work import DOCUMENT, SOURCE, WANTED
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.paths import Sealed, meeting_key
from pipelines.transcript.stores.files import FilesStore


async def seal_file(file: Path, out: Path, *, source: Source, wanted: Wanted) -> Sealed:
    """Seal ``file`` as a meeting of its own below ``out``; the same file is the same meeting.

    Args:
        file: The recording; named in the minutes by its name without ending.
        out: Directory of the artefacts.
        source: How it is read.
        wanted: The summary that is wanted, where the file was not sealed before.

    Raises:
        OSError: There is no such file.
        StoreError: The seal can't be written.
    """
    state = await asyncio.to_thread(file.stat)
    meeting = _meeting_of(file, state)
    sealed = Sealed(meeting_key(meeting), 1)
    store = FilesArtefactStore(out)
    if await store.at(sealed.directory).read(DOCUMENT) is None:
        document = TranscriptDocument(
            meeting=meeting,
            room=file.stem,
            seal=1,
            epochs=(),
            # Nobody says when it was; the file's own time is near it.
            started_at=source.started_at or iso(state.st_mtime),
            ended_at=None,
            participants=(),
            speakers=(),
            segments=(),
            notes=(),
        )
        files = {DOCUMENT: document, SOURCE: source, WANTED: wanted}
        await FilesStore(out).put_seal(
            meeting,
            1,
            covers={},
            files={name: model.model_dump_json(indent=1) + "\n" for name, model in files.items()},
        )
    await Pending(store).add(sealed)
    return sealed


def _meeting_of(file: Path, state: os.stat_result) -> str:
    identity = f"{file.resolve()} {state.st_size} {state.st_mtime_ns}"
    return f"{file.stem} {hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:8]}"
