"""A small meeting with its summary, for what comes after: minutes and deliveries."""

from __future__ import annotations

from pipelines.post_meeting.summary import Action, Dropped, DropReason, Section, Statement, Summary
from pipelines.transcript.document import Person, Segment, TranscriptDocument

_START = "2026-11-21T09:30:00.000Z"


def meeting_of(
    *said: tuple[str, str, str], meeting: str = "m-1", seal: int = 1, room: str = "weekly"
) -> TranscriptDocument:
    """Build a transcript: each line is (identity, name, text), 5 s after the one before it."""
    people = tuple(
        {identity: Person(identity=identity, name=name) for identity, name, _ in said}.values()
    )
    return TranscriptDocument(
        meeting=meeting,
        room=room,
        seal=seal,
        epochs=(1,),
        started_at=_START,
        ended_at="2026-11-21T10:00:00.000Z",
        participants=people,
        speakers=people,
        segments=tuple(
            Segment(
                id=f"s{number}",
                speaker=identity,
                name=name,
                text=text,
                start_ms=number * 5_000,
                end_ms=number * 5_000 + 4_000,
                start=_START,
                language="en",
                engine="scripted/en",
                revision=0,
            )
            for number, (identity, name, text) in enumerate(said)
        ),
        notes=(),
    )


def weekly(meeting: str = "m-1", *, seal: int = 1) -> TranscriptDocument:
    """Return a meeting of three people."""
    return meeting_of(
        ("u-1", "Ada Lovelace", "Good morning, shall we begin?"),
        ("u-2", "Grace Hopper", "Yes. The compiler passes its tests."),
        ("u-2", "Grace Hopper", "We ship it on Friday."),
        ("u-3", "Alan Turing", "Who writes the notes? Ada, can you?"),
        ("u-1", "Ada Lovelace", "I will, by Thursday."),
        meeting=meeting,
        seal=seal,
    )


def summary_of(document: TranscriptDocument, *, language: str = "en") -> Summary:
    """Build a summary with one of everything, which cites the lines of :func:`weekly`."""
    return Summary(
        meeting=document.meeting,
        seal=document.seal,
        language=language,
        template="general",
        made_by="llm:scripted-1",
        overview=(Statement(text="The compiler ships on Friday.", cites=("s1", "s2")),),
        sections=(
            Section(
                title="Release",
                start_ms=0,
                end_ms=14_000,
                statements=(Statement(text="Its tests pass.", cites=("s1",)),),
            ),
            Section(
                title="Notes",
                start_ms=15_000,
                end_ms=24_000,
                statements=(Statement(text="Alan asks Ada to write them.", cites=("s3",)),),
            ),
        ),
        decisions=(Statement(text="Ship on Friday.", cites=("s2",)),),
        actions=(Action(text="Write the notes.", cites=("s3", "s4"), owner="Ada", due="Thursday"),),
        questions=(Statement(text="Shall the meeting begin?", cites=("s0",)),),
        dropped=(Dropped(text="Margaret resigned.", reason=DropReason.NAME_NOT_SAID),),
    )
