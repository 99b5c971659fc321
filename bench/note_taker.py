"""The script of a model that takes notes of a talked meeting: it says what it is to say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.talked_meeting import TalkedMeeting, Told
from pipelines.testing.openai_protocol import Reply

_MOST: Final = 5  # statements of an overview that it writes


class NoteTaker:
    """Answers requests of the summary; a :data:`~pipelines.testing.openai_protocol.Chat`.

    Args:
        meeting: What it reads, and what it says of it.
        spoil: Takes the number of a request for notes, from 0, and its reply; returns what is
            answered instead.

    ``read`` counts how often each line was shown to it.
    """

    def __init__(
        self, meeting: TalkedMeeting, spoil: Callable[[int, Reply], Reply] = lambda _, reply: reply
    ) -> None:
        self._topics = meeting.topics
        self._spoil = spoil
        self._told: dict[int, list[Told]] = {}
        for one in meeting.told:
            self._told.setdefault(one.line, []).append(one)
        self._requests = 0
        self.read: Counter[int] = Counter()

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        """Answer one request."""
        rows = [row.split("|", 3) for row in body["messages"][-1]["content"].splitlines()]
        if body["response_format"]["json_schema"]["name"] == "overview":
            return Reply(json.dumps(self._overview(rows)))
        numbers = [int(row[0]) for row in rows]
        reply = self._spoil(self._requests, Reply(json.dumps(self._notes(numbers))))
        self._requests += 1
        return reply

    def _notes(self, numbers: list[int]) -> dict[str, Any]:
        self.read.update(numbers)
        answer: dict[str, list[Any]] = {
            "sections": [],
            "decisions": [],
            "actions": [],
            "questions": [],
        }
        topic = self._topics[max(first for first in self._topics if first <= numbers[0])]
        here: list[Any] = []
        for number in numbers:
            if number in self._topics or not answer["sections"]:
                topic, here = self._topics.get(number, topic), []
                section = {"title": topic, "first_line": number, "statements": here}
                answer["sections"].append(section)
            for one in self._told.get(number, ()):
                place = here if one.where == "sections" else answer[one.where]
                place.append(one.answer())
        return answer

    @staticmethod
    def _overview(rows: list[list[str]]) -> dict[str, Any]:
        notes = [row for row in rows if row[1] in ("statement", "overview")]
        chosen = notes[:: max(1, len(notes) // _MOST)][:_MOST]
        overview = [
            {"text": text, "lines": [int(line) for line in lines.split()]}
            for _, _, lines, text in chosen
        ]
        return {"overview": overview, "same_topic": [], "drop": []}
