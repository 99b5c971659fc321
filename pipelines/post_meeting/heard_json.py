"""What transcription services answer, in any of their shapes: pure.

WhisperX: ``{"segments": [{"start", "end", "text", "speaker", "words": [{"word", "start", "end",
"speaker"}]}]}`` (https://github.com/m-bain/whisperX). OpenAI, ``verbose_json``: segments without
words, ``words`` beside them; ``diarized_json``: segments with ``speaker``; ``json``: ``{"text"}``
(https://platform.openai.com/docs/api-reference/audio/json-object). ``words`` may be null, a word
may have no times (WhisperX gives numbers none), and so may a segment.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipelines.post_meeting.transcription import HeardSegment, HeardWord

NEAR: Final = 0.2
"""Seconds by which a word may lie beside the speech that it is of."""

_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]+)*")

Spans = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    start: float | None
    end: float | None
    voice: str | None
    words: tuple[HeardWord, ...]


def read_answer(
    body: Any, *, offset: float, seconds: float, part: int, language: str = ""
) -> list[HeardSegment]:
    """Read the JSON of an answer.

    Args:
        body: Parsed JSON.
        offset: Where the audio that was sent begins in the recording, seconds.
        seconds: Its length.
        part: Its number.
        language: BCP 47 tag, where the answer does not tell.

    Raises:
        ValueError: It is no answer of such a service.
    """
    if not isinstance(body, Mapping):
        raise ValueError("not an object")  # noqa: TRY004 - of the value, not of our caller
    listed = body.get("segments")
    if listed is None:
        listed = [{"text": body["text"]}] if isinstance(body.get("text"), str) else None
    if not isinstance(listed, list):
        raise ValueError("neither segments nor text")  # noqa: TRY004 - likewise
    found = [_segment(one, seconds) for one in listed if isinstance(one, Mapping)]
    if not any(one.words for one in found):
        found = _with_words(found, _words(body.get("words"), seconds))
    told = str(body.get("language") or "")
    # OpenAI says "english", which is no tag.
    spoken = language or (told if _TAG.fullmatch(told) else "")
    return [
        _placed(one, offset, part, spoken) for one in _bounded(found, seconds) if one.text.strip()
    ]


def only_spoken(segments: Sequence[HeardSegment], spans: Spans) -> list[HeardSegment]:
    """Leave out what was heard where nobody spoke: what a model makes up of silence.

    Args:
        segments: Times in seconds.
        spans: Begin and end of all speech, in order, seconds.
    """
    starts = [start for start, _ in spans]

    def is_spoken(start: float, end: float) -> bool:
        last = bisect_right(starts, end + NEAR) - 1
        return last >= 0 and max(one for _, one in spans[max(0, last - 1) : last + 1]) > (
            start - NEAR
        )

    result = []
    for segment in segments:
        if not is_spoken(segment.start, segment.end):
            continue
        words = [
            word
            for word in segment.words
            if word.start is None or word.end is None or is_spoken(word.start, word.end)
        ]
        if len(words) == len(segment.words):
            result.append(segment)
        elif any(word.start is not None for word in words):
            result.append(_of_words(segment, words))
    return result


def joined_text(texts: Sequence[str], *, like: str) -> str:
    """Join words as ``like`` has them: with spaces, or without as in Chinese."""
    return (" " if " " in like.strip() else "").join(text.strip() for text in texts)


def _of_words(segment: HeardSegment, words: Sequence[HeardWord]) -> HeardSegment:
    starts = [word.start for word in words if word.start is not None]
    ends = [word.end for word in words if word.end is not None]
    return segment.model_copy(
        update={
            "text": joined_text([word.text for word in words], like=segment.text),
            "words": tuple(words),
            "start": min(starts),
            "end": max(ends, default=segment.end),
        }
    )


def _number(value: Any, seconds: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(float(value), 0.0), seconds)


def _times(one: Mapping[str, Any], seconds: float) -> tuple[float | None, float | None]:
    start, end = _number(one.get("start"), seconds), _number(one.get("end"), seconds)
    return (start, end) if start is None or end is None or end >= start else (start, None)


def _voice(one: Mapping[str, Any]) -> str | None:
    voice = one.get("speaker")
    return str(voice) if voice not in (None, "") else None


def _words(listed: Any, seconds: float) -> tuple[HeardWord, ...]:
    if not isinstance(listed, list):
        return ()
    words = []
    for one in listed:
        text = one.get("word", one.get("text")) if isinstance(one, Mapping) else None
        if isinstance(text, str) and text.strip():
            start, end = _times(one, seconds)
            words.append(HeardWord(text=text.strip(), start=start, end=end, voice=_voice(one)))
    return tuple(words)


def _segment(one: Mapping[str, Any], seconds: float) -> _Found:
    words = _words(one.get("words"), seconds)
    start, end = _times(one, seconds)
    text = one.get("text")
    if not isinstance(text, str):
        text = " ".join(word.text for word in words)
    starts = [word.start for word in words if word.start is not None]
    ends = [word.end for word in words if word.end is not None]
    return _Found(
        text,
        min(starts, default=None) if start is None else start,
        max(ends, default=None) if end is None else end,
        _voice(one),
        words,
    )


def _bounded(found: Sequence[_Found], seconds: float) -> list[_Found]:
    """Give every segment times: where it has none, all there is between its neighbours'."""
    result: list[_Found] = []
    for number, one in enumerate(found):
        before = result[-1].end if result and result[-1].end is not None else 0.0
        later = (next_.start for next_ in found[number + 1 :] if next_.start is not None)
        start = before if one.start is None else one.start
        end = next(later, seconds) if one.end is None else one.end
        result.append(replace(one, start=start, end=max(start, end)))
    return result


def _with_words(found: Sequence[_Found], words: Sequence[HeardWord]) -> list[_Found]:
    """Give each segment those of the words beside them that begin in it."""
    if not words:
        return list(found)
    starts = [one.start if one.start is not None else 0.0 for one in found]
    taken: list[list[HeardWord]] = [[] for _ in found]
    last = 0
    for word in words:
        if word.start is not None:
            last = max(0, bisect_right(starts, word.start + 1e-3) - 1)
        if taken:
            taken[last].append(word)
    return [replace(one, words=tuple(mine)) for one, mine in zip(found, taken, strict=True)]


def _placed(one: _Found, offset: float, part: int, language: str) -> HeardSegment:
    assert one.start is not None
    assert one.end is not None

    def later(at: float | None) -> float | None:
        return None if at is None else round(at + offset, 3)

    return HeardSegment(
        text=one.text.strip(),
        start=round(one.start + offset, 3),
        end=round(one.end + offset, 3),
        voice=one.voice,
        words=tuple(
            word.model_copy(update={"start": later(word.start), "end": later(word.end)})
            for word in one.words
        ),
        language=language,
        part=part,
    )
