"""A meeting of any length that nobody held, and what a model says of it: right, and wrong.

Lines are as an engine writes them, numbers in words and few capitals; statements as a model does,
numbers in digits. Ten people talk; most of what they say is of no account.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from pipelines.events import iso
from pipelines.post_meeting.summary import DropReason
from pipelines.transcript.document import Person, Segment, TranscriptDocument

Where = Literal["sections", "decisions", "actions", "questions"]

_PEOPLE: Final = (
    *("Ada Byron", "Bashir Haddad", "Chloé Martin", "Dmitri Orlov", "Esther Okafor"),
    *("Farid Nouri", "Greta Lindqvist", "Hiro Tanaka", "Inés Castillo", "Jonas Weber"),
)
_NUMBERS: Final = (
    *(("forty thousand", "40,000"), ("twenty five", "25"), ("one hundred and twenty", "120")),
    *(("two point five million", "2.5 million"), ("three hundred", "300"), ("seventeen", "17")),
    *(("six thousand five hundred", "6,500"), ("ninety", "90"), ("eleven", "eleven")),
    *(("twelve hundred", "1,200"), ("eighty four", "84"), ("one million", "one million")),
)
_DATES: Final = (
    *(("the third of march", "3 March"), ("friday", "Friday"), ("november", "November")),
    *(("the twenty first of june", "21 June"), ("next tuesday", "next Tuesday")),
    *(("the end of september", "the end of September"), ("april second", "April 2")),
    *(("december twenty twenty six", "December 2026"), ("monday at nine thirty", "Monday at 9:30")),
)
_CLIENTS: Final = (
    *("Siemens", "Orange", "Maersk", "Telenor", "Nokia", "Airbus", "Philips", "Novartis"),
)
_TOPICS: Final = (
    *("budget", "hiring", "launch", "support", "security", "pricing", "training", "hosting"),
    *("accessibility", "translation", "contracts", "roadmap"),
)
_TALK: Final = (
    *("i think we have seen that before and it was not a problem for anybody in the team",),
    *("let me share my screen one moment can everybody see the page with the table on it",),
    *("yes that is what i meant it depends on who is asking and on how they got there",),
    *("we could also leave it as it is and look at it again when there is more to look at",),
    *("sorry i was on mute what i wanted to say is that it works but it feels slow to me",),
    *("right and the people who use it every day don't notice because they know the way around",),
    *("okay good point i had not thought of that before maybe we should ask around first",),
)
_LINE_MS: Final = 9_000
_TOPIC_LINES: Final = 45
_TOLD_EVERY: Final = 9  # lines
_START: Final = 1_795_253_400.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the model says of one line.

    Args:
        line: The line's number: the model says it when it reads this line.
        where: In which list of its answer.
        text: What it says.
        cites: Lines that it cites.
        owner: Of an action.
        due: Of an action.
        wrong: Why it should be dropped; None where it is right.
    """

    line: int
    where: Where
    text: str
    cites: tuple[int, ...]
    owner: str | None = None
    due: str | None = None
    wrong: DropReason | None = None

    def answer(self) -> dict[str, Any]:
        """Return it as the model's JSON has it."""
        said: dict[str, Any] = {"text": self.text, "lines": list(self.cites)}
        return said | ({"owner": self.owner, "due": self.due} if self.where == "actions" else {})


@dataclass(frozen=True, slots=True)
class TalkedMeeting:
    """A meeting and what there is to say of it.

    Args:
        document: The transcript.
        topics: Number of the line a topic begins with -> the topic.
        told: What a model says of it, in order.
    """

    document: TranscriptDocument
    topics: Mapping[int, str]
    told: Sequence[Told]


def talk(hours: float, *, wrong: int = 0, seed: int = 1) -> TalkedMeeting:
    """Make a meeting.

    Args:
        hours: How long it is.
        wrong: How many wrong statements of each kind the model makes: without a citation, citing
            outside the section, and with a number, name or date that was not said.
        seed: Of its chances.
    """
    chance = random.Random(seed)
    count = round(hours * 3_600_000 / _LINE_MS)
    segments: list[Segment] = []
    told: list[Told] = []
    topics: dict[int, str] = {}
    for number in range(1, count + 1):
        if number % _TOPIC_LINES == 1:
            topics[number] = chance.choice(_TOPICS)
        speaker = chance.choice(_PEOPLE)
        if number % _TOLD_EVERY == 0:
            text, one = _worth_noting(number, speaker, chance)
            told.append(one)
        else:
            text = " ".join(chance.sample(_TALK, 1)) + f" for the {chance.choice(_TOPICS)}"
        segments.append(_segment(number, speaker, text))
    planted = _planted(told, count, wrong, chance) if wrong else []
    everyone = tuple(Person(identity=_identity(name), name=name) for name in _PEOPLE)
    document = TranscriptDocument(
        meeting="talk",
        room="talk",
        seal=1,
        epochs=(1,),
        started_at=iso(_START),
        ended_at=iso(_START + hours * 3600),
        participants=everyone,
        speakers=everyone,
        segments=tuple(segments),
        notes=(),
    )
    return TalkedMeeting(document, topics, [*told, *planted])


def _worth_noting(number: int, speaker: str, chance: random.Random) -> tuple[str, Told]:
    """Return a line, and what is said of it."""
    heard, written = chance.choice(_NUMBERS)
    when, date = chance.choice(_DATES)
    client, topic = chance.choice(_CLIENTS), chance.choice(_TOPICS)
    other = chance.choice([name for name in _PEOPLE if name != speaker]).split()[0]
    here = speaker.split(maxsplit=1)[0]
    cites = (number,)
    match chance.randrange(7):
        case 0:
            line = f"so we agree we raise the {topic} money for {client} to {heard} euros"
            text = f"The {topic} money for {client} is raised to {written} euros."
            told = Told(number, "decisions", text, cites)
        case 1:
            line = f"{other} could you send the {topic} papers to {client} until {when}"
            text = f"{other} sends the {topic} papers to {client}."
            told = Told(number, "actions", text, cites, other, f"until {date}")
        case 2:
            line = f"i will call {client.lower()} about the {topic} before {when} i promise"
            text = f"{here} calls {client} about the {topic} before {date}."
            told = Told(number, "actions", text, cites, speaker, f"before {date}")
        case 3:
            line = f"does anybody know whether {client} signs the {topic} thing before {when}"
            text = f"Does {client} sign before {date}?"
            told = Told(number, "questions", text, cites)
        case 4:
            line = f"last month we lost {heard} users of {client} and nobody knows why"
            text = f"According to {here}, {written} users of {client} were lost last month."
            told = Told(number, "sections", text, cites)
        case 5:
            line = f"we moved the {topic} work for {client} to {when} because of the holidays"
            text = f"Because of the holidays, the {topic} work for {client} moved to {date}."
            told = Told(number, "sections", text, cites)
        case _:
            line = f"{other} told me that {client} wants {heard} seats on {when}"
            text = f"{client} wants {written} seats ({date}), {other} told {here}."
            told = Told(number, "sections", text, cites)
    return line, told


def _planted(told: Sequence[Told], lines: int, each: int, chance: random.Random) -> list[Told]:
    """Return wrong statements beside right ones."""
    numbered = [one for one in told if any(written in one.text for _, written in _NUMBERS)]
    dated = [one for one in told if any(date in one.text for _, date in _DATES)]
    planted: list[Told] = []
    for place, one in enumerate(_spread(told, each)):
        cites = () if place % 2 else (lines + 1 + place,)
        wrong = replace(one, text=f"In short: {one.text}", cites=cites)
        planted.append(replace(wrong, wrong=DropReason.NO_CITATION))
    for place, one in enumerate(_spread(told, each)):
        # Two topics away, or at the other end of the meeting: both are right about that line.
        far = (one.line + (2 * _TOPIC_LINES if place % 2 else lines // 2)) % lines
        other = min(told, key=lambda it: abs(it.line - far))
        text = f"It was said again: {other.text}"
        wrong = replace(one, where="sections", text=text, cites=other.cites)
        planted.append(replace(wrong, wrong=DropReason.OUTSIDE_SECTION))
    kinds = [DropReason.NUMBER_NOT_SAID, DropReason.NAME_NOT_SAID, DropReason.DATE_NOT_SAID]
    sources = [_spread(numbered, each), _spread(told, each), _spread(dated, each)]
    for place in range(each):
        kind = kinds[place % len(kinds)]
        one = sources[place % len(kinds)][place]
        text = f"To be exact: {_changed(one.text, kind, chance)}"
        planted.append(replace(one, text=text, wrong=kind))
    return planted


def _changed(text: str, kind: DropReason, chance: random.Random) -> str:
    """Change a number, a name or a date for another of its kind."""
    pool: Sequence[str]
    match kind:
        case DropReason.NUMBER_NOT_SAID:
            pool = [written for _, written in _NUMBERS]
        case DropReason.DATE_NOT_SAID:
            pool = [date for _, date in _DATES]
        case _:
            pool = [*_CLIENTS, *(name.split()[0] for name in _PEOPLE)]
    there = max((one for one in pool if one in text), key=len)
    return text.replace(there, chance.choice([one for one in pool if one not in text]), 1)


def _spread(told: Sequence[Told], count: int) -> list[Told]:
    """Return some, evenly over the meeting, none of them at its edges."""
    return [told[round((at + 0.5) * len(told) / count)] for at in range(count)]


def _segment(number: int, speaker: str, text: str) -> Segment:
    start_ms = (number - 1) * _LINE_MS
    return Segment(
        id=f"1-{number}",
        speaker=_identity(speaker),
        name=speaker,
        text=text,
        start_ms=start_ms,
        end_ms=start_ms + _LINE_MS - 500,
        start=iso(_START + start_ms / 1000),
        language="en",
        engine="fake/fake",
        revision=0,
    )


def _identity(name: str) -> str:
    return name.split(maxsplit=1)[0].lower()
