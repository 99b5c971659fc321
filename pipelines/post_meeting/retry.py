"""Has what was given up tried again, because somebody asks for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from pipelines.errors import GreffierError
from pipelines.post_meeting.open_work import Work
from pipelines.post_meeting.work import comes_too_late, failure_name
from pipelines.transcript.paths import Sealed


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of it.

    Args:
        again: Meetings with a step that is tried again.
        refused: What is not tried again, and why; for people.
    """

    again: list[Sealed] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def retry(work: Work, keys: Collection[str] | None) -> Retried:
    """Forget how the steps that were given up have failed, and have them done.

    Args:
        work: Has the meetings.
        keys: Of the meetings; None for all.

    Raises:
        StoreError: The index can't be read.
    """
    done = Retried()
    given_up = await work.pending.given_up()
    # A step may be given up while another one of its meeting waits for its next attempt.
    for sealed in sorted({*given_up, *await work.pending.sealed()}):
        if keys is not None and sealed.key not in keys:
            continue
        try:
            await _retry(work, sealed, done, dead=sealed in given_up)
        except Exception as error:
            # The others are tried. A library's message may quote what was said.
            cause = str(error) if isinstance(error, GreffierError) else type(error).__name__
            done.refused.append(f"{sealed.marker}: {cause}")
    return done


async def _retry(work: Work, sealed: Sealed, done: Retried, *, dead: bool) -> None:
    found = await work.runner.look(sealed)
    if found is None:
        return
    late = [step for step in found.given_up if comes_too_late(step, found)]
    done.refused.extend(
        f"{sealed.marker}: {step.name} comes too late, the minutes are made without it"
        for step in late
    )
    again = [step for step in found.given_up if step not in late]
    for step in again:
        await work.store.at(sealed.directory).remove(failure_name(step.name))
    # One that was given up and has nothing to show for it: who asked before was interrupted.
    if again or (dead and not found.given_up):
        await work.pending.add(sealed)
        done.again.append(sealed)
