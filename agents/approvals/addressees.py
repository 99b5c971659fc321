"""Who is meant by a name: pure. A name that may mean two people means nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 64
"""Characters of what was wanted in a sentence about it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may be asked."""

    identity: str
    name: str


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nobody is meant; ``reason`` is a sentence for people, and names nobody but ``wanted``."""

    reason: str


def addressee(wanted: str, people: Mapping[str, str]) -> Person | Nobody:
    """Return who is meant by ``wanted``: the first of these that anybody fits.

    Their identity; their name; their name in whatever case; a part of it. Where several people fit
    it is nobody.

    Args:
        wanted: An identity or a name, or a part of a name.
        people: Identity -> display name of those who may be asked; agents and strangers are not.
    """
    if wanted in people:
        return Person(wanted, people[wanted])
    folded = wanted.strip().casefold()
    if not folded:
        return Nobody("It does not say whom to ask.")
    told = wanted[:_LONGEST]
    fits: tuple[Callable[[str], bool], ...] = (
        lambda name: name == wanted,
        lambda name: name.casefold() == folded,
        lambda name: folded in name.casefold(),
    )
    for fit in fits:
        found = [Person(who, name) for who, name in people.items() if fit(name)]
        if len(found) == 1:
            return found[0]
        if found:
            return Nobody(f"{told!r} may mean {len(found)} people here: nobody is asked.")
    return Nobody(f"{told!r} is nobody in this room who may be asked.")
