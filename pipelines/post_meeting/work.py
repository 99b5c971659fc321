"""What is to be done with a sealed meeting, in which order, and when a failed step is tried again.

Pure: who looks gives what is there, what failed and the time; the answer is an :class:`Agenda`. A
step is done when the artefacts that it makes are there, whoever made them; nothing else is noted
anywhere, so a process may die between any two instructions.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal, Self, TypeAlias

QueueName: TypeAlias = Literal["transcribe-queue", "summarize-queue", "deliver-queue"]

DOCUMENT: Final = "transcript.json"
"""The sealed transcript of the live lines; there before any step."""
SOURCE: Final = "source.json"
"""Where the meeting's recording is; there before any step, or never."""
WANTED: Final = "wanted.json"
"""What the room's metadata asks for after the meeting; there before any step."""
RECORDING: Final = "recording.json"
ALIGNED: Final = "aligned.json"
SUMMARY: Final = "summary.json"
SUMMARY_MARKDOWN: Final = "summary.md"
MINUTES: Final = ("minutes.md", "minutes.html", "minutes.docx")

LOST: Final = "worker_lost"
"""Code of an attempt that never told how it ended: its process died."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the way from a sealed transcript to what people are given.

    Args:
        name: ``transcribe``, ``align``, ``summarise``, ``minutes`` or ``deliver/<destination>``.
        queue: The Celery queue that carries it.
        needs: Artefacts without which it can't begin.
        makes: Artefacts that make it done when all of them are there.
        better_with: Artefacts that it waits for until the step that makes them is given up.
    """

    name: str
    queue: QueueName
    needs: tuple[str, ...]
    makes: tuple[str, ...]
    better_with: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The name without the destination."""
        return self.name.partition("/")[0]

    @property
    def destination(self) -> str:
        """Where a ``deliver`` step delivers to; empty for the others."""
        return self.name.partition("/")[2]

    def is_last(self, attempt: int) -> bool:
        """Tell whether there is no attempt after this one, counted from 1."""
        return attempt >= RETRIES[self.queue].attempts


@dataclass(frozen=True, slots=True)
class Failure:
    """How the last attempt of a step ended; kept as ``failures/<step>.json``.

    Args:
        attempts: How many there were.
        code: Stable; ``worker_lost`` until an attempt that is under way says how it ended.
        message: What is wrong and what to do.
        at: When, Unix seconds.
        due: When the next attempt may begin, Unix seconds; None: it is given up (a dead letter).
    """

    attempts: int
    code: str
    message: str
    at: float
    due: float | None

    def encode(self) -> bytes:
        """Serialise as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read back what :meth:`encode` wrote.

        Raises:
            ValueError: It is something else.
        """
        try:
            return cls(**json.loads(raw))
        except TypeError as error:
            raise ValueError("not a failure") from error


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is to be done with one sealed meeting now.

    Args:
        steps: All of them, in order. Those that are in no other field wait for another step.
        failures: Step name -> its last failure, also of one that is under way.
        done: Steps whose artefacts are there.
        ready: Steps that may begin at once.
        later: Steps that failed -> when they may be tried again, Unix seconds.
        given_up: Steps that are tried no more until somebody asks for it.
    """

    steps: tuple[Step, ...]
    failures: Mapping[str, Failure]
    done: tuple[Step, ...]
    ready: tuple[Step, ...]
    later: Mapping[Step, float]
    given_up: tuple[Step, ...]

    @property
    def rests(self) -> bool:
        """Whether there is nothing to do, now or later."""
        return not self.ready and not self.later


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast a failing step is tried again.

    Args:
        first: Seconds until the second attempt.
        factor: By which each next wait is longer.
        most: Longest wait, seconds.
        attempts: Of all; the last one that fails makes a dead letter.
    """

    first: float
    factor: float
    most: float
    attempts: int

    def wait(self, attempts: int, *, jitter: float) -> float | None:
        """Return seconds until the next attempt after ``attempts`` failed, None for never.

        Args:
            attempts: 1 or more.
            jitter: From 0 to 1, by chance: a quarter less to a quarter more.
        """
        if attempts >= self.attempts:
            return None
        return min(self.most, self.first * self.factor ** (attempts - 1)) * (0.75 + jitter / 2)


RETRIES: Final[Mapping[QueueName, Retries]] = {
    "transcribe-queue": Retries(first=15, factor=2, most=900, attempts=7),
    "summarize-queue": Retries(first=10, factor=2, most=600, attempts=8),
    # Somebody else's server may be away for a night: the last attempt is 16 hours after the first.
    "deliver-queue": Retries(first=5, factor=3, most=14_400, attempts=11),
}


def plan(*, recorded: bool, heard_live: bool, deliver: Sequence[str]) -> tuple[Step, ...]:
    """Return the steps of a meeting, in order.

    Args:
        recorded: There is a recording to be transcribed.
        heard_live: There are live lines, which do where the recording can't be used.
        deliver: Names of destinations, each once.
    """
    steps = []
    if recorded:
        steps.append(Step("transcribe", "transcribe-queue", (DOCUMENT, SOURCE), (RECORDING,)))
    wants = (RECORDING,) if recorded else ()
    if heard_live:
        align = Step("align", "transcribe-queue", (DOCUMENT,), (ALIGNED,), better_with=wants)
    else:
        align = Step("align", "transcribe-queue", (DOCUMENT, *wants), (ALIGNED,))
    steps += [
        align,
        Step("summarise", "summarize-queue", (ALIGNED,), (SUMMARY,)),
        Step("minutes", "summarize-queue", (ALIGNED, SUMMARY), (SUMMARY_MARKDOWN, *MINUTES)),
    ]
    ready = (ALIGNED, SUMMARY, SUMMARY_MARKDOWN, *MINUTES)
    steps += [
        Step(f"deliver/{name}", "deliver-queue", ready, (f"deliveries/{name}.json",))
        for name in dict.fromkeys(deliver)
    ]
    return tuple(steps)


def failure_name(step: str) -> str:
    """Return the name under which the failure of a step is kept."""
    return f"failures/{step}.json"


def agenda(
    steps: Sequence[Step],
    *,
    present: Collection[str],
    failures: Mapping[str, Failure],
    now: float,
) -> Agenda:
    """Tell what is to be done.

    Args:
        steps: All of the meeting, see :func:`plan`.
        present: Names of the artefacts that are there.
        failures: Step name -> its last failure.
        now: Unix seconds.
    """
    there = frozenset(present)
    done = tuple(step for step in steps if there.issuperset(step.makes))
    given_up: list[Step] = []
    never: set[str] = set()  # artefacts that nobody will make
    ready: list[Step] = []
    later: dict[Step, float] = {}
    for step in steps:
        if step in done:
            continue
        failure = failures.get(step.name)
        if failure and failure.due is None:
            given_up.append(step)
            never.update(step.makes)
        elif never.intersection(step.needs):
            never.update(step.makes)
        elif there.issuperset(step.needs) and (there | never).issuperset(step.better_with):
            if failure and failure.due is not None and failure.due > now:
                later[step] = failure.due
            else:
                ready.append(step)
    return Agenda(tuple(steps), failures, done, tuple(ready), later, tuple(given_up))


def comes_too_late(step: Step, found: Agenda) -> bool:
    """Tell whether nobody would use what ``step`` makes, for who waited for it went on without."""
    return any(set(step.makes) & set(one.better_with) for one in found.done)


def after_failure(
    step: Step,
    attempts: int,
    *,
    code: str,
    message: str,
    now: float,
    jitter: float,
    heals: bool,
    after: float = 0.0,
) -> Failure:
    """Return what is kept of an attempt that failed.

    Args:
        step: The step that failed.
        attempts: How many there were, this one included.
        code: Of the error.
        message: Of the error.
        now: Unix seconds.
        jitter: See :meth:`Retries.wait`.
        heals: Whether another attempt can help.
        after: Least seconds until it.
    """
    wait = RETRIES[step.queue].wait(attempts, jitter=jitter) if heals else None
    due = None if wait is None else now + max(wait, after)
    return Failure(attempts, code, message, at=now, due=due)


def under_way(step: Step, before: Failure | None, *, now: float) -> Failure:
    """Return what is kept while an attempt runs, to be found if its process dies.

    Its lease holds others off, so the next attempt is due at once when that expires. A step that
    kills every process that does it (out of memory) must end as a dead letter like any other: then
    the answer has no ``due``, and the attempt must not begin.
    """
    attempts = before.attempts if before else 0
    if attempts >= RETRIES[step.queue].attempts:
        message = f"each of {attempts} processes that did it died: out of memory, or killed"
        return Failure(attempts, LOST, message, at=now, due=None)
    message = "the process that did it died: out of memory, killed, or its host is gone"
    return Failure(attempts + 1, LOST, message, at=now, due=now)
