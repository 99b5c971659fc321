"""The errors of our RPC methods: stable codes, and a sentence for people."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Any

from pydantic import JsonValue


class Code(IntEnum):
    """What went wrong; a code never changes its meaning. LiveKit's own are 1400 to 1999."""

    BAD_REQUEST = 4000
    UNSUPPORTED_VERSION = 4001
    FORBIDDEN = 4030
    NOT_ADDRESSED = 4031
    NOT_FOUND = 4040
    ALREADY_DECIDED = 4090
    CONFLICT = 4091
    EXPIRED = 4100
    TOO_LARGE = 4130
    RATE_LIMITED = 4290
    INTERNAL = 5000
    UNAVAILABLE = 5030


MEANING = {
    Code.BAD_REQUEST: "The payload is not what the method takes.",
    Code.UNSUPPORTED_VERSION: "The agent does not speak this version of the method.",
    Code.FORBIDDEN: "The caller's role may not call the method, or not with this payload.",
    Code.NOT_ADDRESSED: "The approval is put to somebody else.",
    Code.NOT_FOUND: "There is no such segment, approval, tool or agent.",
    Code.ALREADY_DECIDED: "Somebody has decided the approval already.",
    Code.CONFLICT: "Things are not such that it can be done: an agent needs settings, an "
    "approval has not the state that the decision is for.",
    Code.EXPIRED: "The approval waited too long.",
    Code.TOO_LARGE: "The payload is too long.",
    Code.RATE_LIMITED: "Too many calls; `retry_after` has the seconds to wait.",
    Code.INTERNAL: "The agent failed; its log has the cause.",
    Code.UNAVAILABLE: "Not now: the agent starts, ends, or lacks something it needs.",
}


class RpcProblem(Exception):  # noqa: N818 - what a caller is told, not a failure of ours
    """What a caller is told instead of a reply.

    Args:
        code: One of ours.
        sentence: For people, without anything that was said or any secret.
        data: More fields for programs, beside ``code``.
    """

    def __init__(self, code: Code, sentence: str, **data: JsonValue) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.data: dict[str, Any] = {"code": code.name.lower(), **data}

    def encode(self) -> str:
        """Return the error's data as JSON."""
        return json.dumps(self.data, ensure_ascii=False)
