"""How long summaries of long meetings take, and what the citation check lets pass.

A scripted server of OpenAI's protocol stands in for the model: it needs two seconds for an answer
and refuses more than 8,000 tokens, the answer's included, by a count of its own. It makes thirty
wrong statements among the right ones: ten without a line, ten that cite a line of another section,
ten with a number, name or date that the line does not have::

    python -m bench.summaries
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Final

import typer

from bench.note_taker import NoteTaker
from bench.talked_meeting import TalkedMeeting, talk
from pipelines.post_meeting.llm import open_llm
from pipelines.post_meeting.llm_settings import LLMSettings
from pipelines.post_meeting.summarise import summarise
from pipelines.post_meeting.summary import DropReason, Summary
from pipelines.testing.faults import HANG, UNAVAILABLE, Fault, busy
from pipelines.testing.openai_protocol import Reply
from pipelines.testing.scripted_llm import Asked, ScriptedLLM, depth

LATENCY: Final = 2.0
CONTEXT: Final = 8000
SLOTS: Final = 8
DEPTH: Final = 3
WALL: Final = 4
"""Latencies that a summary may take, beside the queue at the server."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one summary.

    Args:
        name: What it was.
        lines: Of the meeting.
        requests: That the model answered.
        refused: That were too long for it.
        largest: Tokens of the longest request, by the server's count.
        wall: Seconds.
        planted: Wrong statements that were dropped, by what is wrong.
        planted_kept: Wrong statements that are in the summary.
        good: Right statements that the model made.
        good_dropped: Right statements that are not in the summary.
        unread: Lines that no request showed to the model.
        extractive: Sections that are lines of the transcript.
        depth: Most requests that waited for each other; None where there was a queue.
        queueing: Seconds of ``wall`` that the server's slots cost at least.
    """

    name: str
    lines: int
    requests: int
    refused: int
    largest: int
    wall: float
    planted: dict[str, int]
    planted_kept: int
    good: int
    good_dropped: int
    unread: int
    extractive: int
    depth: int | None = None
    queueing: float = 0.0

    @property
    def ratio(self) -> float:
        """Latencies that it took beside the queue."""
        return (self.wall - self.queueing) / LATENCY

    @property
    def holds(self) -> bool:
        """Whether it is what was promised."""
        planted = sum(self.planted.values()) + self.planted_kept
        return (
            (self.depth or 0) <= DEPTH
            and self.ratio <= WALL
            and not self.refused
            and not self.unread
            and sum(self.planted.values()) >= 0.9 * planted
            and self.good_dropped <= 2
        )


async def run(
    name: str,
    meeting: TalkedMeeting,
    *,
    slots: int | None = None,
    latency: float = LATENCY,
    faults: tuple[Fault, ...] = (),
    spoil: Callable[[int, Reply], Reply] = lambda _, reply: reply,
    **settings: Any,
) -> tuple[Outcome, Summary]:
    """Have one meeting summarised.

    Args:
        name: What it is.
        meeting: The meeting.
        slots: Requests that the server answers at the same time; None is any number.
        latency: Seconds that it takes for one.
        faults: Trouble of its first requests.
        spoil: See :class:`~bench.note_taker.NoteTaker`.
        settings: More settings of the model.
    """
    taker = NoteTaker(meeting, spoil)
    given = {"llm_concurrency": slots or 256, "llm_context_tokens": CONTEXT, **settings}
    async with ScriptedLLM(taker, latency=latency, context=CONTEXT, slots=slots) as model:
        for fault in faults:
            model.faults.add(1, fault)
        asked = LLMSettings(llm_model="scripted", llm_base_url=model.url, **given)
        async with open_llm(asked) as llm:
            began = time.monotonic()
            summary = await summarise(meeting.document, template="", language="", llm=llm)
            wall = time.monotonic() - began
    outcome = _outcome(name, meeting, taker, model.asked, summary=summary, wall=wall)
    return replace(outcome, **_waiting(model.asked, slots, latency)), summary


def _outcome(
    name: str,
    meeting: TalkedMeeting,
    taker: NoteTaker,
    asked: list[Asked],
    *,
    summary: Summary,
    wall: float,
) -> Outcome:
    kept = Counter(one.text for one in summary.statements())
    wrong = {one.text: one.wrong for one in meeting.told if one.wrong}
    told = Counter(one.text for one in meeting.told if not one.wrong)
    noted = kept - Counter(one.text for one in summary.overview)
    dropped = {one.text for one in summary.dropped}
    return Outcome(
        name=name,
        lines=len(meeting.document.segments),
        requests=sum(not one.refused for one in asked),
        refused=sum(one.refused for one in asked),
        largest=max(one.prompt for one in asked),
        wall=round(wall, 2),
        planted=dict(Counter(_kind(wrong[it]) for it in wrong if it in dropped and not kept[it])),
        planted_kept=sum(kept[text] > 0 for text in wrong),
        good=told.total(),
        good_dropped=(told - noted).total(),
        unread=sum(not taker.read[at + 1] for at in range(len(meeting.document.segments))),
        extractive=sum(section.extractive for section in summary.sections),
    )


def _waiting(asked: list[Asked], slots: int | None, latency: float) -> dict[str, Any]:
    """Return how deep requests went, or how long rounds larger than the slots wait, at best."""
    if not slots:
        return {"depth": depth(asked)}
    rounds = Counter(one.shape for one in asked)
    rounds["overview"] -= 1  # the last is a round of its own
    waits = [max(0, -(-count // slots) - 1) for count in rounds.values()]
    return {"queueing": sum(waits) * latency}


def _kind(reason: DropReason | None) -> str:
    if reason in (DropReason.NO_CITATION, DropReason.OUTSIDE_SECTION):
        return str(reason)
    return "not said"


async def _troubles(meeting: TalkedMeeting) -> list[Outcome]:
    """Have the model fail in each way once: the third part's first answer, or a first request."""

    def third(bad: Reply, *numbers: int) -> Callable[[int, Reply], Reply]:
        return lambda number, reply: bad if number in numbers else reply

    half = Reply('{"sections": [{"title": "so")', finish="length")
    troubles: dict[str, dict[str, Any]] = {
        "no JSON once": {"spoil": third(Reply("I would say: {not JSON"), 2)},
        "cut off once": {"spoil": third(half, 2)},
        "another shape once": {"spoil": third(Reply('{"sections": 7}'), 2)},
        "refuses all": {"spoil": lambda _, __: Reply(refusal="I can't help with that.")},
        "hangs once": {"faults": (HANG,)},
        "HTTP 429 twice": {"faults": (busy(retry_after=1), busy())},
        "HTTP 503 once": {"faults": (UNAVAILABLE,)},
    }
    return [
        (await run(name, meeting, latency=0.2, llm_timeout=2.0, **how))[0]
        for name, how in troubles.items()
    ]


async def measure(hours: tuple[float, ...]) -> list[Outcome]:
    """Have meetings summarised, by a server with room for all and by one with few slots."""
    outcomes = []
    for length in hours:
        meeting = talk(length, wrong=10)
        outcomes.append((await run(f"{length:g} h", meeting))[0])
        few = f"{length:g} h, {SLOTS} slots"
        outcomes.append((await run(few, meeting, slots=SLOTS))[0])
    return outcomes


def main(
    hours: Annotated[list[float], typer.Option(help="Length of a meeting.")] = [3.0, 8.0],  # noqa: B006 - typer reads it
) -> None:
    """Print one JSON object per summary; fail where one is not what was promised."""
    print(json.dumps({"load": os.getloadavg()[0], "latency": LATENCY, "context": CONTEXT}))
    outcomes = asyncio.run(measure(tuple(hours)))
    for one in outcomes:
        print(json.dumps({**asdict(one), "ratio": round(one.ratio, 2), "holds": one.holds}))
    for one in asyncio.run(_troubles(talk(min(hours)))):
        told = asdict(one)
        shown = ("name", "requests", "wall", "good", "good_dropped", "unread", "extractive")
        print(json.dumps({key: told[key] for key in shown}))
    if not all(one.holds for one in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
