"""What the room is told about the captions: a state table, without a clock.

============  ===============  ==============  =================  ================  ============
state         engine is ready  trouble         words, and nobody  speech was lost   stopped
                                               waits any more
============  ===============  ==============  =================  ================  ============
STOPPED       STARTED          STOPPED         STOPPED            FAILED            STOPPED
STARTED       STARTED          INTERRUPTED     STARTED            FAILED            STOPPED
INTERRUPTED   INTERRUPTED      INTERRUPTED     RESUMED            FAILED            STOPPED
RESUMED       RESUMED          INTERRUPTED     RESUMED            FAILED            STOPPED
FAILED        STARTED          FAILED          RESUMED            FAILED            STOPPED
============  ===============  ==============  =================  ================  ============

The room is told a change of state, and nothing else: the same twice is no news.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.events import CaptionState as State
from pipelines.events import Hole, iso

Notice = dict[str, str]


@dataclass(slots=True)
class CaptionStatus:
    """The state of a room's captions; each method returns what to tell, or None."""

    state: State = State.STOPPED
    _waiting: set[object] = field(default_factory=set)

    def ready(self, engine: str) -> Notice | None:
        """Take that ``engine`` will be asked."""
        if self.state in (State.STOPPED, State.FAILED):
            return self._enter(State.STARTED, engine=engine)
        return None

    def trouble(self, span: object, reason: str) -> Notice | None:
        """Take that the words of a span of speech will be late."""
        self._waiting.add(span)
        if self.state in (State.STARTED, State.RESUMED):
            return self._enter(State.INTERRUPTED, reason=reason)
        return None

    def words(self, span: object, engine: str) -> Notice | None:
        """Take that the words of a span come, or all have come."""
        self._waiting.discard(span)
        if self.state in (State.INTERRUPTED, State.FAILED) and not self._waiting:
            return self._enter(State.RESUMED, engine=engine)
        return None

    def failed(self, reason: str, span: object = None) -> Notice | None:
        """Take that speech was lost, or that there is no engine."""
        self._waiting.discard(span)
        return None if self.state is State.FAILED else self._enter(State.FAILED, reason=reason)

    def stopped(self) -> Notice | None:
        """Take that there are no more captions."""
        return None if self.state is State.STOPPED else self._enter(State.STOPPED)

    def _enter(self, state: State, **more: str) -> Notice:
        self.state = state
        return {"state": state, **more}


def hole_notice(hole: Hole) -> Mapping[str, Any]:
    """Return what the room is told about a hole; ``speakers`` is empty where it is everybody's."""
    return {
        "from": iso(hole.at),
        "to": iso(hole.end),
        "cause": hole.cause,
        "speakers": list(hole.speakers),
        "reason": hole.reason,
    }
