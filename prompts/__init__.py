"""The prompts, as Markdown files, and the one place that fills them in.

A file holds ``$name`` or ``${name}`` where a value goes, and ``$$`` for a dollar sign. A directory
of the operator's goes before this one, file by file: ``summary/notes.md`` there takes the place of
``summary/notes.md`` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}(/[a-z0-9_-]{1,64}){0,3}")
_ENDING: Final = ".md"


class PromptError(ValueError):
    """A prompt is missing, or does not take exactly the values it is given."""


class Prompts:
    """The prompts of this package, and an operator's in front of them.

    Args:
        directory: The operator's; None is none.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._places: list[Traversable] = [files(__name__)]
        if directory is not None:
            self._places.insert(0, directory)

    def render(self, name: str, **values: str) -> str:
        """Return the prompt ``name``, a path without ``.md``, with its values in place.

        Raises:
            PromptError: There is no such prompt, or it can't be read; it names a value that it is
                not given; it leaves out one that it is given, which would be lost without a word.
        """
        template = Template(self._read(name))
        if not template.is_valid():
            raise PromptError(f"{name}.md has a $ that is no value: write $$ for a dollar sign")
        wanted = set(template.get_identifiers())
        if missing := wanted - values.keys():
            raise PromptError(f"{name}.md names ${min(missing)}, which it is not given")
        if unused := values.keys() - wanted:
            raise PromptError(f"{name}.md must name ${min(unused)}: it would be left out")
        return template.substitute(values).strip() + "\n"

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names of the prompts in a folder, sorted, without the folder's own."""
        return tuple(sorted({name for place in self._places for name in _names(place, folder)}))

    def _read(self, name: str) -> str:
        if not _NAME.fullmatch(name):  # It may come from a room's metadata.
            raise PromptError(f"{name[:80]!r} is no name of a prompt")
        for place in self._places:
            file = place.joinpath(f"{name}{_ENDING}")
            try:
                return file.read_text(encoding="utf-8")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except (OSError, UnicodeError) as error:
                raise PromptError(f"{name}.md can't be read: {type(error).__name__}") from error
        raise PromptError(f"there is no prompt {name}.md")


def _names(place: Traversable, folder: str) -> Iterator[str]:
    inside = place.joinpath(folder)
    if inside.is_dir():
        for file in inside.iterdir():
            name = file.name.removesuffix(_ENDING)
            if file.name.endswith(_ENDING) and _NAME.fullmatch(name):
                yield name
