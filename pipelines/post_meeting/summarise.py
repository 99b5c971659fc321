"""Summarises a meeting of any length in at most three rounds of requests.

::

    windows of the transcript   ->  notes         in parallel
    notes of several windows    ->  overviews     in parallel; skipped where all notes fit one
    overviews                   ->  the overview

Each answer is checked line by line before the next round reads it. The later rounds write an
overview and leave out what is said twice: no decision, action or question is written anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from pipelines.errors import RetryableError, StepError
from pipelines.post_meeting.answers import Notes, Overview
from pipelines.post_meeting.extractive import extractive_summary
from pipelines.post_meeting.findings import (
    Finding,
    Found,
    Kind,
    actions_of,
    cost,
    evenly,
    readable,
    said_of,
)
from pipelines.post_meeting.llm import LLM, AnswerError
from pipelines.post_meeting.summary import Summary
from pipelines.post_meeting.templates import (
    FOLDER,
    choose_language,
    choose_template,
    language_name,
)
from pipelines.post_meeting.windows import Window, split, windows
from pipelines.transcript.document import TranscriptDocument
from prompts import PromptError, Prompts

logger = logging.getLogger(__name__)

OVERVIEW: Final = 8
"""Statements of the overview at most."""

_PART: Final = 5
"""Statements of a part's overview at most."""

_LARGEST_WINDOW: Final = 12_000
"""Tokens; over an hour at once, models leave things out, however much they can read."""


async def summarise(
    document: TranscriptDocument,
    *,
    template: str,
    language: str,
    llm: LLM | None,
    progress: Callable[[float], None] = lambda _: None,
) -> Summary:
    """Summarise a meeting.

    Args:
        document: The meeting.
        template: Name of a template; empty or unknown is the setting's.
        language: BCP 47 tag of the summary; empty or unknown is the meeting's own.
        llm: The model to ask; without one the summary is extractive.
        progress: Is told how far it is, 0 to 1.

    Raises:
        RetryableError: The model's server is not there, hangs, fails or puts us off.
        StepError: It refuses our key, the model or the request; a prompt of the operator's is
            wrong.
    """
    chosen = choose_language(language, document.segments)
    if llm is None or not document.segments:
        name = choose_template(Prompts(), template)
        spoken = choose_language("", document.segments)
        return extractive_summary(document, language=spoken, template=name)
    name = choose_template(llm.prompts, template, llm.template)
    return await _Summarising(document, llm, name, chosen, progress).summary()


class _Summarising:
    def __init__(
        self,
        document: TranscriptDocument,
        llm: LLM,
        template: str,
        language: str,
        progress: Callable[[float], None],
    ) -> None:
        self._document = document
        self._llm = llm
        self._template = template
        self._language = language
        self._progress = progress
        people = (*document.participants, *document.speakers)
        self._found = Found(document.segments, [one.name for one in people], language)
        self._done = 0
        self._asked = 1

    async def summary(self) -> Summary:
        notes = self._prompt("notes")
        room = min(self._llm.room(notes, Notes), _LARGEST_WINDOW)
        if room <= 0:
            raise StepError("llm_context", "the prompt fills GREFFIER_LLM_CONTEXT_TOKENS")
        parts = windows(self._document.segments, room)
        self._asked = len(parts) + 1
        noted = await _all([self._notes(notes, window) for window in parts])
        findings, overview = await self._overview(noted)
        self._progress(1.0)
        return Summary(
            meeting=self._document.meeting,
            seal=self._document.seal,
            language=self._language,
            template=self._template,
            made_by=f"llm:{self._llm.model}",
            overview=said_of(overview, Kind.OVERVIEW),
            sections=self._found.sections(findings),
            decisions=said_of(findings, Kind.DECISION),
            actions=actions_of(findings),
            questions=said_of(findings, Kind.QUESTION),
            dropped=tuple(self._found.dropped),
        )

    async def _notes(self, prompt: str, window: Window) -> list[Finding]:
        try:
            answer = await self._llm.ask(prompt, window.text, Notes)
        except AnswerError as error:
            logger.warning("no notes of a part: its lines stand in", extra={"cause": str(error)})
            return self._found.extracted(window)
        finally:
            self._step()
        return self._found.noted(answer, window)

    async def _overview(
        self, noted: Sequence[list[Finding]]
    ) -> tuple[list[Finding], list[Finding]]:
        """Return the findings that are left, and the overview of all."""
        costs = [sum(cost(finding) for finding in part) for part in noted]
        room = self._llm.room(self._prompt("overview", statements=str(OVERVIEW)), Overview)
        groups = split(costs, room)
        everything = [finding for part in noted for finding in part]
        if len(groups) > 1:
            self._asked += len(groups)
            parts = [[finding for at in group for finding in noted[at]] for group in groups]
            rounds = await _all([self._part(part, room) for part in parts])
            everything = [finding for part in rounds for finding in part]
        left, overview = await self._condensed(everything, room, OVERVIEW)
        return [one for one in left if one.kind is not Kind.OVERVIEW], overview

    async def _part(self, findings: Sequence[Finding], room: int) -> list[Finding]:
        left, overview = await self._condensed(findings, room, _PART)
        return [*overview, *left]

    async def _condensed(
        self, findings: Sequence[Finding], room: int, most: int
    ) -> tuple[list[Finding], list[Finding]]:
        """Have notes read: return those that are left of them, and an overview."""
        shown = readable(findings, room)
        material = "\n".join(findings[at].note(number) for number, at in enumerate(shown, start=1))
        prompt = self._prompt("overview", statements=str(most))
        try:
            answer = await self._llm.ask(prompt, material, Overview)
        except AnswerError as error:
            logger.warning("no overview of a part", extra={"cause": str(error)})
            return list(findings), evenly(findings, most)
        finally:
            self._step()
        gone = {shown[it - 1] for it in (*answer.same_topic, *answer.drop) if 0 < it <= len(shown)}
        overview = self._found.overview(answer.overview, [findings[at] for at in shown], most)
        return self._found.without(findings, gone), overview or evenly(findings, most)

    def _prompt(self, name: str, **values: str) -> str:
        prompts = self._llm.prompts
        language = language_name(self._language)
        try:
            return prompts.render(
                f"summary/{name}",
                template=prompts.render(f"{FOLDER}/{self._template}").strip(),
                language=f"{language} ({self._language})" if language else "their language",
                **values,
            )
        except PromptError as error:
            raise StepError("prompt", str(error)) from None

    def _step(self) -> None:
        self._done += 1
        self._progress(min(0.99, self._done / self._asked))


async def _all(rounds: Sequence[Coroutine[Any, Any, list[Finding]]]) -> list[list[Finding]]:
    """Run them together; the first that fails ends them all.

    Raises:
        StepError: One failed; one that can't heal goes before one that may.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in rounds]
    except* StepError as failed:
        errors = [error for error in failed.exceptions if isinstance(error, StepError)]
    else:
        return [task.result() for task in tasks]
    # Python 3.11.3 and older wrap in a group what is raised up there.
    raise min(errors, key=lambda error: isinstance(error, RetryableError))
