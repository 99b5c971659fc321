"""A progress bar a step, while the process that shows it does the work."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from pipelines.post_meeting.work import Step
from pipelines.transcript.paths import Sealed


class ProgressBars:
    """Shows how far each step is; a context manager. What is not a terminal gets nothing.

    Args:
        console: Where.
    """

    def __init__(self, console: Console) -> None:
        self._bars: dict[tuple[Sealed, Step], TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def show(self, sealed: Sealed, step: Step, fraction: float) -> None:
        """Move a step's bar to ``fraction``, from 0 to 1."""
        bar = self._bars.get((sealed, step))
        if bar is None:
            bar = self._progress.add_task(f"{sealed.key} {step.name}", total=1.0)
            self._bars[sealed, step] = bar
        self._progress.update(bar, completed=fraction)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
