"""The page that the author of a tool reads: what a tool is, and what it is given.

A tool is a typed async function; a package offers it, or a list of them, through an entry point::

    # pyproject.toml
    [project.entry-points."greffier.tools"]
    weather = "my_package:weather"

    # my_package.py
    @tool(effects="none")
    async def weather(context: ToolContext, *, city: Annotated[str, Field(max_length=80)]) -> str:
        "Tell the weather of a city."

A tool without effects runs when it is called. One with effects runs after a person has approved it,
and says what may happen to it when a process dies in the middle: an ``idempotent`` one is run again
with the same ``context.key``, so whatever it does must be once for that key; an ``at_most_once``
one is never run again, and a person is asked what became of it.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from agents.plugin import MeetingInfo
from agents.tools.effects import Effects
from agents.tools.schema import arguments_problem, require_schema, schema_of
from pipelines.errors import InvalidArgumentsError
from pipelines.events import CaptionFinal, ChatReceived

Isolation = Literal["thread", "inline"]

MAX_SIZE: Final = 32 * 1024
"""Bytes of a tool's arguments, and of its result, as JSON."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_SECTION: Final = re.compile(r"\n\s*(Args|Returns|Raises|Yields):\n")


class ToolContext(Protocol):
    """What a tool is given. Every method may be called until the tool returns."""

    @property
    def info(self) -> MeetingInfo:
        """Identity and start of the meeting, and what its metadata says."""

    @property
    def asked_by(self) -> str:
        """Identity of the participant, or ``agent:`` and the name of the agent, that asked."""

    @property
    def key(self) -> str:
        """The same for every try of one approved call: letters, digits and ``-``, at most 64."""

    def participants(self) -> Mapping[str, str]:
        """Return identity -> display name of the people in the room now."""

    async def said(self, *, since: float = 0.0) -> Sequence[CaptionFinal]:
        """Return the meeting's finals that began at or after ``since`` (Unix seconds)."""

    def chat(self) -> AsyncIterator[ChatReceived]:
        """Iterate over the chat messages that come from now on; end it by leaving the loop."""

    async def post_chat(self, text: str, *, key: str = "") -> None:
        """Write ``text`` in the chat, in the agent's name.

        Args:
            text: At most 30,000 characters.
            key: Tells the messages of one call apart; a message of the same call and key is shown
                once by clients that go by a message's id, as LiveKit's do.

        Raises:
            ToolError: It was not sent.
        """

    async def note(self, kind: str, data: Mapping[str, Any], *, key: str = "") -> bool:
        """Keep a note of the agent ``tools`` with the meeting, once for this call and ``key``.

        Returns:
            Whether it is kept by this very try.
        """


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that may be done, by a name that is unique in the process.

    Args:
        name: Letters, digits, ``_``, ``-``; ``server.tool`` where it is an MCP server's.
        description: What it does, for people and for a model.
        arguments: A pydantic model, or a JSON schema of an object.
        effects: ``none`` runs at once; others after an approval (see the module).
        run: Does it, with validated arguments: an instance of the model, or the JSON object.
            Returns what ``json.dumps`` takes. Raises ``ToolError`` where nothing was done, and
            ``UnknownOutcomeError`` where something may have been; the sentence is shown to people.
        title: What people read above the approval.
        timeout: Seconds it may take; 0 is ``GREFFIER_TOOL_TIMEOUT``.
        isolation: ``thread`` runs it on a thread and loop of its own, so that blocking it blocks
            nobody; ``inline`` runs it in the job's loop, for code that never blocks.
    """

    name: str
    description: str
    arguments: type[BaseModel] | Mapping[str, Any]
    effects: Effects
    run: Callable[[ToolContext, Any], Awaitable[Any]]
    title: str = ""
    timeout: float = 0.0
    isolation: Isolation = "thread"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a tool: 1 to 128 letters, digits, _.-")
        if isinstance(self.arguments, Mapping):
            require_schema(self.name, self.arguments)

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON schema of the arguments."""
        if isinstance(self.arguments, Mapping):
            return self.arguments
        return schema_of(self.arguments)

    def validate(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as they are kept, shown and given back to :meth:`call`.

        Raises:
            InvalidArgumentsError: They do not follow the schema, or are too long; the message names
                the field and quotes no value.
        """
        found = self._read(arguments)
        if isinstance(found, BaseModel):
            found = found.model_dump(mode="json", by_alias=True)
        return dict(found)

    async def call(self, context: ToolContext, arguments: Mapping[str, Any]) -> Any:
        """Run the tool once, with arguments that :meth:`validate` returned."""
        return await self.run(context, self._read(arguments))

    def _read(self, arguments: Mapping[str, Any]) -> BaseModel | Mapping[str, Any]:
        size = _size(arguments)
        if size > MAX_SIZE:
            raise InvalidArgumentsError(f"the arguments are {size} bytes, at most {MAX_SIZE}")
        if isinstance(self.arguments, Mapping):
            if wrong := arguments_problem(self.arguments, arguments):
                raise InvalidArgumentsError(wrong)
            return arguments
        try:
            # As JSON: a date is text there, and a whole number no text.
            return self.arguments.model_validate_json(json.dumps(arguments), strict=True)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            field = ".".join(map(str, problem["loc"])) or "arguments"
            raise InvalidArgumentsError(f"{field}: {problem['msg']}") from None


def tool(
    *,
    effects: Effects,
    name: str = "",
    title: str = "",
    timeout: float = 0.0,
    isolation: Isolation = "thread",
) -> Callable[[Callable[..., Awaitable[Any]]], Tool]:
    """Make a tool of an async function; its schema comes from the signature.

    The first parameter takes the :class:`ToolContext`; every other one is an argument, with a type,
    and may be ``Annotated`` with a pydantic ``Field``. The docstring, up to its first section, is
    the description.

    Args:
        effects: See :class:`Tool`.
        name: The function's, where it is empty.
        title: See :class:`Tool`.
        timeout: See :class:`Tool`.
        isolation: See :class:`Tool`.

    Raises:
        TypeError: The function is not async, or a parameter has no type.
    """

    def make(function: Callable[..., Awaitable[Any]]) -> Tool:
        called = name or getattr(function, "__name__", "")
        model = _model_of(called, function)

        async def run(context: ToolContext, arguments: BaseModel) -> Any:
            given = {field: getattr(arguments, field) for field in model.model_fields}
            return await function(context, **given)

        description = _SECTION.split(inspect.getdoc(function) or "", maxsplit=1)[0].strip()
        return Tool(called, description, model, effects, run, title, timeout, isolation)

    return make


def _model_of(name: str, function: Callable[..., Awaitable[Any]]) -> type[BaseModel]:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"tool {name!r} must be an async function")
    types = get_type_hints(function, include_extras=True)
    _, *parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            raise TypeError(f"tool {name!r}: {parameter} can't be an argument: give it a name")
        if parameter.name not in types:
            raise TypeError(f"tool {name!r}: {parameter.name!r} needs a type")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (types[parameter.name], default)
    config = ConfigDict(extra="forbid", frozen=True, validate_default=False)
    return create_model(name, __config__=config, **fields)


def _size(arguments: Mapping[str, Any]) -> int:
    try:
        return len(json.dumps(arguments, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgumentsError("arguments: they are no JSON object") from None
