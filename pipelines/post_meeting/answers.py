"""The answers that a model is asked for: what it may say, and nothing that it may not.

Every key is required and no other is allowed, which is what servers ask of a strict JSON Schema.
A key too many is forgiven where a server does not hold the model to the schema.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

T = TypeVar("T", bound=BaseModel)

_MOST_TOLD: Final = 5  # problems of one answer

_SHAPE: Final = ConfigDict(
    frozen=True, extra="ignore", json_schema_extra={"additionalProperties": False}
)


class Said(BaseModel):
    """A statement, and the numbers of the lines that are to say it."""

    model_config = _SHAPE

    text: str
    lines: tuple[int, ...]


class Task(Said):
    """Something that somebody will do."""

    owner: str | None
    due: str | None


class Topic(BaseModel):
    """A section: from its first line to the next section's."""

    model_config = _SHAPE

    title: str
    first_line: int
    statements: tuple[Said, ...]


class Notes(BaseModel):
    """What is asked of each window."""

    model_config = _SHAPE

    sections: tuple[Topic, ...]
    decisions: tuple[Said, ...]
    actions: tuple[Task, ...]
    questions: tuple[Said, ...]


class Overview(BaseModel):
    """What is asked of the notes of several windows."""

    model_config = _SHAPE

    overview: tuple[Said, ...]
    same_topic: tuple[int, ...]
    drop: tuple[int, ...]


def response_format(answer: type[BaseModel]) -> dict[str, Any]:
    """Return OpenAI's ``response_format`` that holds a model to an answer."""
    shape = {"name": answer.__name__.lower(), "strict": True, "schema": answer.model_json_schema()}
    return {"type": "json_schema", "json_schema": shape}


def parse(text: str, answer: type[T]) -> T:
    """Read an answer, also out of a fence or with words around it.

    Raises:
        ValueError: It is none; the message says what is wrong, and repeats nothing of it.
    """
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("it holds no JSON object")
    try:
        found = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        raise ValueError("it is no valid JSON") from None
    try:
        return answer.model_validate(found)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in wrong[:_MOST_TOLD]]
        raise ValueError("; ".join(told)) from None
