"""Collects what is known of one meeting: from logs, journals, stores and the sealed transcript."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.json_lines import read_json_lines
from bench.soak.counting import numbers_in
from bench.soak.oracle import Caption, Evidence, MarkedHole, Said, in_the_room
from bench.soak.stack import Stack
from pipelines.transcript.journal import read_journal
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest sealed transcripts of the meetings in one room; there should be one."""

    documents: Sequence[Mapping[str, Any]]

    @property
    def captions(self) -> list[Caption]:
        """What was said, as sealed."""
        return [
            Caption(one["id"], one["revision"], one["speaker"], one["text"])
            for document in self.documents
            for one in document["segments"]
        ]

    @property
    def holes(self) -> list[MarkedHole]:
        """The holes that they mark."""
        return [hole for document in self.documents for hole in _holes(document)]


def journals(stack: Stack, meetings: Iterable[str]) -> list[Path]:
    """Return the journals of ``meetings`` on every host."""
    keys = [meeting_key(meeting) for meeting in meetings]
    return [
        path
        for host in stack.hosts
        for key in keys
        for path in (host.data / "journal" / key).glob("*.jsonl")
    ]


def meetings_of(stack: Stack, room: str) -> list[str]:
    """Return the ids of the meetings held in ``room``, from journals and sealed transcripts."""
    found: dict[str, None] = {}
    for host in stack.hosts:
        for path in sorted(host.data.glob("journal/*/*.jsonl")):
            for line in read_journal(path, most=1).lines:
                if line.data.get("room") == room:
                    found[line.meeting] = None
        for path in sorted(host.data.glob("transcripts/*/seal-*/transcript.json")):
            document = json.loads(path.read_text())
            if document["room"] == room:
                found[document["meeting"]] = None
    return list(found)


def sealed(stack: Stack, meetings: Iterable[str]) -> Sealed:
    """Return the newest seal of each meeting; that of a host that came back late is newer."""
    documents = []
    for meeting in meetings:
        pattern = f"transcripts/{meeting_key(meeting)}/seal-*/transcript.json"
        found = [path for host in stack.hosts for path in host.data.glob(pattern)]
        if found:
            newest = max(found, key=lambda path: path.stat().st_mtime)
            documents.append(json.loads(newest.read_text()))
    return Sealed(documents)


def collect(
    stack: Stack,
    meetings: Sequence[str],
    *,
    people: Path,
    seen: Iterable[Mapping[str, Any]],
    journalled: Sequence[Line],
    heard_before: int,
) -> Evidence:
    """Collect it, once everything has come to rest.

    Args:
        stack: Every server, running.
        meetings: Ids.
        people: Their log.
        seen: The reader's finals.
        journalled: The lines that the journals had before the end.
        heard_before: Words that the engine had settled before the meeting.
    """
    final = sealed(stack, meetings)
    stores = [stack.stored(meeting) for meeting in meetings]
    return Evidence(
        said=in_the_room(_said(people), _comings(people)),
        heard=frozenset(numbers_in(" ".join(stack.heard_words()[heard_before:]))),
        journalled=list(_captions(journalled)),
        seen=[
            Caption(line["attributes"]["lk.segment_id"], place, line["sender"], line["text"])
            for place, line in enumerate(seen)
        ],
        sealed=final.captions,
        stores={
            name: list(_captions(line for store in stores for line in store[name]))
            for name in (stores[0] if stores else ())
        },
        holes=final.holes,
    )


def _captions(lines: Iterable[Line]) -> Iterator[Caption]:
    for line in lines:
        if line.kind == "final":
            data = line.data
            yield Caption(data["segment"], data["revision"], data["speaker"], data["text"])


def _said(people: Path) -> list[Said]:
    return [
        Said(line["identity"], line["number"], line["at"], line["end"])
        for line in read_json_lines(people, "said")
        if line["whole"]
    ]


def _comings(people: Path) -> list[tuple[float, str, bool]]:
    return [
        (line["at"], line["identity"], line["event"] == "here")
        for line in read_json_lines(people)
        if line["event"] in ("here", "away")
    ]


def _holes(document: Mapping[str, Any]) -> Iterator[MarkedHole]:
    if not document.get("holes"):
        return
    start = datetime.fromisoformat(document["started_at"]).timestamp()
    for hole in document["holes"]:
        speakers = tuple(one["identity"] for one in hole["speakers"])
        yield MarkedHole(start + hole["start_ms"] / 1000, start + hole["end_ms"] / 1000, speakers)
