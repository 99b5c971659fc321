"""Minutes without names, where the room's metadata asks for it (``summary.redact``).

Everybody who was there becomes ``Speaker 1``, ``Speaker 2``, ... in the order of their first words,
also where others say their name, and any word of it. A name's word that is an ordinary word too
(Rose) goes as well: better one word too many. Somebody who is only talked about is nobody we know
the name of, and stays; so do the room's name and the meeting's id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from pipelines.post_meeting.summary import Action, Section, Statement, Summary
from pipelines.transcript.document import Person, TranscriptDocument

_LEAST: Final = 3
"""Letters of a name's word that is taken for the name where it stands alone: not "de", not "M"."""

_Stated = TypeVar("_Stated", bound=Statement)


def redacted(document: TranscriptDocument, summary: Summary) -> tuple[TranscriptDocument, Summary]:
    """Return both without the names and identities of those who were there.

    Notes and the audit trail of tools and approvals are left out.
    """
    missed = (person for hole in document.holes for person in hole.speakers)
    corrections = [one.correction for one in document.segments if one.correction]
    correctors = (one.by for one in corrections)
    people = dict.fromkeys([*document.speakers, *document.participants, *missed, *correctors])
    identities = dict.fromkeys(person.identity for person in people)
    shown = {identity: f"Speaker {number}" for number, identity in enumerate(identities, start=1)}
    hide = _hiding(people, shown)

    def person(known: Person) -> Person:
        return Person(identity=_identity(shown[known.identity]), name=shown[known.identity])

    return (
        document.model_copy(
            update={
                "participants": tuple(map(person, document.participants)),
                "speakers": tuple(map(person, document.speakers)),
                "segments": tuple(
                    segment.model_copy(
                        update={
                            # Empty where nobody knows who spoke; a voice's label stays.
                            "speaker": _identity(shown.get(segment.speaker, "")),
                            "name": hide(segment.name),
                            "text": hide(segment.text),
                            "correction": segment.correction
                            and segment.correction.model_copy(
                                update={
                                    "by": person(segment.correction.by),
                                    "original": hide(segment.correction.original),
                                }
                            ),
                        }
                    )
                    for segment in document.segments
                ),
                "holes": tuple(
                    hole.model_copy(
                        update={
                            "speakers": tuple(map(person, hole.speakers)),
                            "reason": hide(hole.reason),
                        }
                    )
                    for hole in document.holes
                ),
                "notes": (),
                "actions": (),
            }
        ),
        summary.model_copy(
            update={
                "overview": tuple(_stated(one, hide) for one in summary.overview),
                "sections": tuple(_section(one, hide) for one in summary.sections),
                "decisions": tuple(_stated(one, hide) for one in summary.decisions),
                "actions": tuple(_stated(one, hide) for one in summary.actions),
                "questions": tuple(_stated(one, hide) for one in summary.questions),
                "dropped": (),
            }
        ),
    )


def _identity(shown: str) -> str:
    return shown.lower().replace(" ", "-")


def _section(section: Section, hide: Callable[[str], str]) -> Section:
    statements = tuple(_stated(one, hide) for one in section.statements)
    return section.model_copy(update={"title": hide(section.title), "statements": statements})


def _stated(statement: _Stated, hide: Callable[[str], str]) -> _Stated:
    update: dict[str, object] = {"text": hide(statement.text)}
    if isinstance(statement, Action):
        update |= {
            "owner": hide(statement.owner) if statement.owner else statement.owner,
            "due": hide(statement.due) if statement.due else statement.due,
        }
    return statement.model_copy(update=update)


def _hiding(people: Mapping[Person, None], shown: Mapping[str, str]) -> Callable[[str], str]:
    """Return what takes the names out of a text."""
    names: dict[str, str] = {}
    for person in people:
        words = [word for word in re.split(r"\W+", person.name) if _stands_alone(word)]
        for name in (person.name.strip(), person.identity, *words):
            if name:
                names.setdefault(name.lower(), shown[person.identity])
    if not names:
        return lambda text: text
    # The longest first: "Ada Lovelace" is one person, not two.
    pattern = re.compile(
        "|".join(_bounded(name) for name in sorted(names, key=len, reverse=True)), re.IGNORECASE
    )
    return lambda text: pattern.sub(lambda found: names.get(found[0].lower(), "?"), text)


def _stands_alone(word: str) -> bool:
    return len(word) >= _LEAST or (len(word) > 1 and not _has_case(word))


def _bounded(name: str) -> str:
    # Scripts without case are mostly those without spaces: no boundary can be asked for there.
    return rf"(?<!\w){re.escape(name)}(?!\w)" if _has_case(name) else re.escape(name)


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()
