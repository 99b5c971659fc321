"""What somebody wants done, and what they are told at once: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

MOST_ASKED: Final = 20
"""People whom one call asks; one that names more is refused."""

_AGENT: Final = "agent:"
_PARTICIPANT: Final = "participant:"


def by_agent(name: str) -> str:
    """Return what one of our agents is called as who asks: ``agent:`` and its name."""
    return f"{_AGENT}{name}"


def is_agent(asker: str) -> bool:
    """Tell whether who asks is one of our agents."""
    return asker.startswith(_AGENT)


def by_participant(identity: str) -> str:
    """Return what a participant is called as who asks: the identity, as far as no agent has it.

    An identity is any string: one that reads like an agent's is put behind ``participant:``.
    """
    if identity.startswith((_AGENT, _PARTICIPANT)):
        return f"{_PARTICIPANT}{identity}"
    return identity


@dataclass(frozen=True, slots=True)
class Target:
    """One of several people who are asked, each for something of their own.

    Args:
        to: Identity or name.
        arguments: What the tool would run with if they say yes.
    """

    to: str
    arguments: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool.

    Args:
        tool: Its name.
        arguments: That it would run with.
        asked_by: Who wants it, of :func:`by_participant` or :func:`by_agent`.
        to: Identities or names of those who are asked, each for these arguments: what each of them
            approves happens.
        targets: More of them, each with arguments of their own.
        reason: Why, in words for people; shown with the dialog.
    """

    tool: str
    arguments: Mapping[str, Any] = field(repr=False)
    asked_by: str
    to: tuple[str, ...] = ()
    targets: tuple[Target, ...] = field(default=(), repr=False)
    reason: str = field(default="", repr=False)

    @property
    def all_targets(self) -> tuple[Target, ...]:
        """Everybody who is asked, with what for."""
        return (*(Target(who, self.arguments) for who in self.to), *self.targets)


@dataclass(frozen=True, slots=True)
class Ran:
    """The tool has no effects, and has run."""

    result: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """People are asked; what comes of it is told later.

    Args:
        ids: The approvals, one for each of them.
        reason: In words for people, with those who could not be asked.
    """

    ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing happens; ``reason`` is in words for people."""

    reason: str


Asked: TypeAlias = Ran | Pending | Refused
