"""How much of what was said is in a transcript: the share of content words, speaker by speaker."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_NO_CONTENT = """
    a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each few for from further had has
    have having he her here hers him his how i if in into is it its itself just me more most much my
    myself no nor not now of off on once only or other our ours out over own s same she should so
    some still such t than that the their them then there these they this those through to too
    under until up very was we were what when where which while who whom why will with would you
    your yours
"""
_STOP_WORDS = frozenset(_NO_CONTENT.split())


@dataclass(frozen=True, slots=True)
class Recall:
    """Content words that were said, and those of them that were found."""

    said: int
    found: int
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """Found of said, 0 to 1; 1 where nothing was said."""
        return self.found / self.said if self.said else 1.0


def content_words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case without stop words and punctuation."""
    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("\u2019", "'"))
    return [word for word in words if word not in _STOP_WORDS]


def recall(said: Iterable[tuple[str, str]], found: Iterable[tuple[str, str]]) -> Recall:
    """Compare two sequences of (speaker, text); a word counts only for who said it.

    A word said twice must be found twice. The order is not looked at.
    """
    wanted: Counter[tuple[str, str]] = Counter()
    there: Counter[tuple[str, str]] = Counter()
    for counter, lines in ((wanted, said), (there, found)):
        for speaker, text in lines:
            counter.update((speaker, word) for word in content_words(text))
    missing = wanted - there
    total = wanted.total()
    return Recall(total, total - missing.total(), tuple(word for _, word in missing.elements()))
