"""When an engine is asked and when it is left alone: a circuit breaker, as a state table.

Pure: seconds come in with every call. One breaker serves one engine for a whole job, so that what
one speaker's span finds out spares the others the time-outs of a dead engine.

==========  =====================  ==============  ==============================  ===============
state       asked                  it answered     it failed                       it refused us
==========  =====================  ==============  ==============================  ===============
CLOSED      yes                    CLOSED          CLOSED; OPEN at the third in a  OPEN for good
                                                   row, or where it says how long
OPEN        no; after the pause    CLOSED          OPEN                            OPEN for good
            HALF_OPEN, and yes
HALF_OPEN   no: one probe at a     CLOSED          OPEN, the pause twice as long   OPEN for good
            time
==========  =====================  ==============  ==============================  ===============

"For good" lasts until :meth:`Breaker.reset`: something changed. A key that was refused is not tried
in a loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

THRESHOLD: Final = 3
"""Failures in a row that open the circuit."""
FIRST_PAUSE: Final = 2.0
"""Seconds until the first probe."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between two probes at most."""
LONGEST_PROBE: Final = 60.0
"""Seconds after which a probe that nobody reported on is taken for lost."""
WHILE_PROBED: Final = 0.5
"""Seconds after which to look again while somebody else's probe is under way."""


class State(StrEnum):
    """Where an engine is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(slots=True)
class Breaker:
    """The circuit of one engine; ``reason`` says what opened it, in words for people."""

    state: State = State.CLOSED
    reason: str = ""
    _failures: int = 0
    _pause: float = FIRST_PAUSE
    _until: float = 0.0

    def wait(self, at: float) -> float:
        """Return the seconds until asking makes sense: 0.0 now, infinity not before a reset."""
        if self.state is State.CLOSED:
            return 0.0
        left = max(0.0, self._until - at)
        return min(left, WHILE_PROBED) if self.state is State.HALF_OPEN else left

    def ask(self, at: float) -> bool:
        """Return True if the engine may be asked at ``at``; what became of it must be told."""
        if self.state is State.CLOSED:
            return True
        if at < self._until:
            return False
        self.state, self._until = State.HALF_OPEN, at + LONGEST_PROBE
        return True

    def answered(self) -> None:
        """Note that the engine works."""
        self.reset()

    def failed(self, at: float, reason: str = "", retry_after: float | None = None) -> None:
        """Note a failure; ``retry_after`` is how many seconds the engine asked us to wait."""
        self.reason = reason
        self._failures += 1
        told = retry_after is not None
        match self.state:
            case State.HALF_OPEN:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
                self._until = 0.0
            case State.CLOSED if not told and self._failures < THRESHOLD:
                return
            case State.OPEN if not told:
                return  # Asked before the circuit opened: nothing new.
        until = at + (self._pause if retry_after is None else retry_after)
        self.state, self._until = State.OPEN, max(self._until, until)

    def refused(self, reason: str = "") -> None:
        """Note that the engine does not want us, and will not as long as nothing changes."""
        self.reason = reason
        self.state, self._until = State.OPEN, math.inf

    def abandoned(self, at: float) -> None:
        """Note that a probe was given up before there was an answer."""
        if self.state is State.HALF_OPEN:
            self.state, self._until = State.OPEN, at

    def reset(self) -> None:
        """Forget: something changed."""
        self.state, self._failures = State.CLOSED, 0
        self._pause, self._until = FIRST_PAUSE, 0.0
