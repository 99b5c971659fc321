"""How long captions took: the publisher's ground truth against what the subscriber received."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.client_processes import is_final


@dataclass(frozen=True, slots=True)
class CaptionDelay:
    """One utterance and its captions, as another client of the room saw them.

    Args:
        identity: The speaker's.
        file: What was played.
        first: Seconds from the first sample of speech to the first caption; None if none came.
        final: Seconds from the last sample of speech to the next final; None if none came.
    """

    identity: str
    file: str
    first: float | None
    final: float | None


def caption_delays(
    truth: Iterable[Mapping[str, Any]], received: Iterable[Mapping[str, Any]]
) -> list[CaptionDelay]:
    """Match each utterance with the captions that came before its speaker spoke again.

    Args:
        truth: The publisher's log.
        received: The subscriber's log.
    """
    spans: dict[str, list[tuple[float, float, str]]] = {}
    started: dict[str, float] = {}
    for line in truth:
        if line["event"] == "speech_started":
            started[line["identity"]] = line["at"]
        elif line["event"] == "speech_ended":
            begin = started.pop(line["identity"])
            spans.setdefault(line["identity"], []).append((begin, line["at"], line["file"]))
    captions = [line for line in received if line["event"] == "caption" and line["text"].strip()]
    delays = []
    for identity, said in spans.items():
        own = [line for line in captions if line["sender"] == identity]
        until = [begin for begin, _, _ in said[1:]] + [math.inf]
        for (begin, end, file), over in zip(said, until, strict=True):
            after = [line for line in own if begin <= line["at"] < over]
            first = min((line["at"] for line in after), default=None)
            final = min(
                (line["at"] for line in after if is_final(line) and line["at"] >= end), default=None
            )
            delays.append(
                CaptionDelay(
                    identity,
                    file,
                    None if first is None else first - begin,
                    None if final is None else final - end,
                )
            )
    return delays


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` % of ``values`` do not exceed.

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values")
    in_order = sorted(values)
    return in_order[max(0, math.ceil(percent / 100 * len(in_order)) - 1)]
