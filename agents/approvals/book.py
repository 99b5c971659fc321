"""The approvals of a meeting as its ledger has them; whatever changes here was written first."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from agents.approvals.approval import (
    Approval,
    State,
    follow,
    is_of_an_approval,
    replay,
    requested,
)
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.line import Line, distinct

log = logging.getLogger(__name__)

Told = Callable[[Approval], None]


class Book:
    """Approvals by id, oldest first.

    Args:
        ledger: Keeps every step.
        now: Returns Unix seconds.
    """

    def __init__(self, ledger: Ledger, *, now: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._now = now
        self._lines: list[Line] = []
        self._approvals: dict[str, Approval] = {}
        self._known = 0
        self._told: list[Told] = []
        self.refresh()

    @property
    def epoch(self) -> int:
        """Of the job that writes here."""
        return self._ledger.epoch

    def all(self) -> list[Approval]:
        """Return every approval, oldest first."""
        return list(self._approvals.values())

    def get(self, approval: str) -> Approval | None:
        """Return the approval of this id."""
        return self._approvals.get(approval)

    def now(self) -> float:
        """Return Unix seconds."""
        return self._now()

    def watch(self, told: Told) -> Callable[[], None]:
        """Have ``told`` called with each approval that has changed; returns what ends that."""
        self._told.append(told)
        return lambda: self._told.remove(told)

    def begin(self, approval: Approval) -> None:
        """Write down a new one."""
        self._write(requested(approval))

    def step(self, approval: str, state: State, **data: Any) -> Approval | None:
        """Write down a step; returns the approval after it, None where there is no such step."""
        before = self._approvals.get(approval)
        if before is None or not before.may_become(state):
            return None
        return self._write({"event": state.value, "id": approval, **data})

    def note(self, event: str, **data: Any) -> None:
        """Write down what is no step: a call that ran or was refused, one that shares another."""
        self._write({"event": event, **data})

    async def kept(self) -> None:
        """Return when what was written is also where another host finds it, if it can be."""
        await self._ledger.copied()

    def refresh(self) -> None:
        """Take in lines of earlier jobs that have come to light."""
        actions = self._ledger.actions
        if len(actions) != self._known:
            self._known = len(actions)
            self._take_in(actions)

    async def read_again(self) -> None:
        """Read what a predecessor has written since this job's ledger was opened."""
        await self._ledger.read_again()
        self.refresh()

    def _write(self, data: dict[str, Any]) -> Approval | None:
        line = self._ledger.append("action", data, at=self._now())
        self._known += 1
        if is_of_an_approval(line):
            self._lines.append(line)
        after = follow(self._approvals, line)
        if after:
            for told in list(self._told):
                try:
                    told(after)
                except Exception as error:  # Who watches may be a plugin's agent.
                    log.warning("approval not told", extra={"cause": type(error).__name__})
        return after

    def _take_in(self, lines: Iterable[Line]) -> None:
        self._lines = distinct([*self._lines, *filter(is_of_an_approval, lines)])
        self._approvals = replay(self._lines)
