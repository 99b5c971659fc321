"""The numbers, dates and names in a text: what a statement and the lines it cites are compared by.

Pure. Number words are read in the seven languages of text2num, names of months and days in all of
CLDR's (Babel). Where a text may be read in more ways than one, every way counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Final

from babel import Locale, UnknownLocaleError
from text_to_num import alpha2digit  # type: ignore[import-untyped] # it has no stubs

NUMBER_LANGUAGES: Final = frozenset({"de", "en", "es", "fr", "it", "nl", "pt"})
"""Languages whose number words are read."""

NOUNS_HAVE_CAPITALS: Final = frozenset({"de", "lb"})
"""Languages in which a capital letter tells nothing of a name."""

_WORD: Final = re.compile(r"[^\W\d_]+")
_DAY_NAME: Final = re.compile(r"[^\W\d_][\w-]*")  # "segunda-feira"
_GROUPED: Final = r"\d{1,3}(?:[ \u00a0\u2009\u202f,.'\u2019]\d{3})+(?!\d)"
_NUMBER: Final = re.compile(
    rf"({_GROUPED}(?:[.,]\d+)?|\d+(?:[.,]\d+)?)(?:\s?(k|m|bn)\b)?", re.IGNORECASE
)
_DATE: Final = re.compile(r"\b(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})\b")
_TIME: Final = re.compile(r"\b([01]?\d|2[0-4])[:h]([0-5]\d)\b")
_SEPARATOR: Final = re.compile("[ \u00a0\u2009\u202f,.'\u2019]")
_BLANK: Final = re.compile("[ \u00a0\u2009\u202f'\u2019]")
_SCALES: Final = {"k": 1e3, "m": 1e6, "bn": 1e9}
_ROUND: Final = frozenset(_SCALES.values())
_HUNDRED: Final = 100
_WHOLE: Final = 4  # quarters
_HALF: Final = frozenset({"half", "demi", "demie", "halb", "halben", "medio", "media", "mezzo"})
_QUARTER: Final = frozenset(
    {"quarter", "quarters", "quart", "quarts", "viertel", "cuarto", "cuartos", "cuarta", "quarto"}
    | {"quartos", "quarti", "kwart"}
)
_DOZEN: Final = frozenset(
    {"dozen", "dozens", "douzaine", "douzaines", "dutzend", "docena", "docenas", "dozzina"}
    | {"dozzine", "dozijn", "duzia", "duzias"}
)
# text2num reads "two point one point three" as "2.1 point 3".
_VERSION: Final = re.compile(r"(\d+)[.,](\d+)(?=\s+(?:point|dot|punkt|punto|ponto|punt)\s+\d)")
_LONGEST_UNIT: Final = 3  # letters: AM, EUR, GB
_SENTENCE_ENDS: Final = frozenset('.!?:;…"“«(')

Readings = frozenset[float]
"""What a written number may mean: ``1,200`` is 1200, or 1.2."""


def primary(language: str) -> str:
    """Return the language of a BCP 47 tag without script and region, lower case."""
    return re.split("[-_]", language, maxsplit=1)[0].lower()


@lru_cache(maxsize=50_000)
def fold(word: str) -> str:
    """Return a word without case and accents."""
    plain = unicodedata.normalize("NFKD", word).casefold()
    return "".join(char for char in plain if not unicodedata.combining(char))


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text, folded; an apostrophe or a hyphen ends one."""
    return tuple(folded for word in _WORD.findall(text) if (folded := fold(word)))


def without_capital(texts: Iterable[str]) -> frozenset[str]:
    """Return the words, folded, that stand somewhere in the texts in lower case."""
    return frozenset(fold(it) for text in texts for it in _WORD.findall(text) if it.islower())


def numbers(text: str, language: str, *, small: bool) -> list[Readings]:
    """Return the numbers of a text, digits and words; "2.5 million" is one.

    Args:
        text: The text.
        language: Its language, BCP 47.
        small: Take "one" and "two" for numbers where they stand alone.
    """
    found: list[Readings] = []
    end = 0
    digits = _with_digits(text, language, small=small)
    for match in _NUMBER.finditer(digits):
        readings = _readings(match[1], match[2])
        scale = next((one for one in readings if one in _SCALES.values()), None)
        if found and scale and digits[end : match.start()].isspace():
            # text2num leaves the million apart from the number before it.
            found[-1] = frozenset(round(one * scale, 6) for one in found[-1])
        else:
            found.append(readings)
        end = match.end()
    return found


def values(text: str, language: str) -> Readings:
    """Return every number that a text may be heard to say, months' too.

    What is said in parts is one number too: "twenty twenty six" for a year, "three eleven" for a
    version or a price, "two and a half million". A dozen is twelve, a quarter and a half are shares
    in percent.
    """
    digits = _with_digits(text, language, small=True)
    alone = [_readings(match[1], match[2]) for match in _NUMBER.finditer(digits)]
    found = {one for readings in (*alone, *numbers(text, language, small=True)) for one in readings}
    for highs, lows in pairwise(alone):
        pairs = [(high, low) for high in highs for low in lows if max(high, low) < _HUNDRED]
        found |= {_HUNDRED * high + low for high, low in pairs}
        found |= {float(f"{high:.0f}.{low:.0f}") for high, low in pairs}
    found |= {float(part) for match in _VERSION.finditer(digits) for part in match.groups()}
    said = frozenset(words(text))
    half = bool(_HALF & said)
    counts = {1.0, *(one for one in found if one < _HUNDRED)}
    if _DOZEN & said:
        found |= {12 * one for one in (counts | {0.5} if half else counts)}
    if _QUARTER & said:
        found |= {25 * one for one in counts if one < _WHOLE}
    if half:
        halves = {one + 0.5 for one in found if one < _HUNDRED}
        found |= {one * scale for one in halves for scale in (1.0, *(found & _ROUND))} | {50.0}
    found |= {float(-day) for day in days_heard(text, language) if day < 0}
    return frozenset(found)


def times(text: str) -> dict[str, tuple[Readings, float]]:
    """Return the times of day in a text: as written -> the hour (of 12 and of 24), the minute."""
    found: dict[str, tuple[Readings, float]] = {}
    for match in _TIME.finditer(text):
        hour = int(match[1])
        found[match[0]] = (frozenset({float(hour), float((hour - 12) % 24)}), float(match[2]))
    return found


def days(text: str, language: str) -> frozenset[int]:
    """Return the days of the week that a text names, 1 for Monday, and its months, -1 for January.

    A name is one where it is written as its language writes it: "may" is no month in English.
    """
    names = _day_names(primary(language))
    return frozenset(names[word] for word in _DAY_NAME.findall(text) if word in names)


def days_heard(text: str, language: str) -> frozenset[int]:
    """Return the days and months that a text may be heard to name, whatever the case."""
    names = _day_names_heard(primary(language))
    heard = (word.casefold() for word in _DAY_NAME.findall(text))
    return frozenset(names[word] for word in heard if word in names)


def capitalised(text: str) -> Iterator[tuple[str, bool]]:
    """Iterate over words with a capital letter, and whether one opens a sentence; no units."""
    for match in _WORD.finditer(text):
        word, before = match[0], text[: match.start()].rstrip()
        unit = before[-1:].isdigit() and word.isupper() and len(word) <= _LONGEST_UNIT
        if len(word) > 1 and word[0].isupper() and not unit:
            yield word, not before or before[-1] in _SENTENCE_ENDS


def _with_digits(text: str, language: str, *, small: bool) -> str:
    spoken = primary(language)
    parts = _DATE.sub(r"\1 / \2 / \3", text)
    if spoken not in NUMBER_LANGUAGES:
        return parts
    return str(alpha2digit(parts, spoken, 0.0 if small else 3.0))


def _readings(digits: str, scale: str | None) -> Readings:
    plain = _BLANK.sub("", digits)
    found = {float(_SEPARATOR.sub("", plain))} if re.fullmatch(_GROUPED, digits) else set()
    mark = max(plain.rfind(","), plain.rfind("."))
    if mark >= 0:
        found.add(float(f"{_SEPARATOR.sub('', plain[:mark])}.{plain[mark + 1 :]}"))
    elif not found:
        found.add(float(plain))
    factor = _SCALES.get((scale or "").lower())
    return frozenset({*found, *(round(one * factor, 6) for one in found)} if factor else found)


@cache
def _day_names(language: str) -> dict[str, int]:
    try:
        locale = Locale.parse(language)
    except (UnknownLocaleError, ValueError, TypeError):
        return {}
    found: dict[str, int] = {}
    for form in ("format", "stand-alone"):
        numbered = {
            **{name: -number for number, name in locale.months[form]["wide"].items()},
            **{name: number + 1 for number, name in locale.days[form]["wide"].items()},
        }
        for name, number in numbered.items():
            found |= {name: number, name.capitalize(): number}
    return found


@cache
def _day_names_heard(language: str) -> dict[str, int]:
    return {name.casefold(): day for name, day in _day_names(language).items()}
