"""A span of speech on its way through engines, until each word is settled or told as lost.

What no engine has settled is kept here and said again: to the same engine after a failure, then to
the fallback, then to whichever comes back first. The speaker, and all others, never wait for it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from typing import Final, Protocol

from pipelines.errors import EngineFailedError
from pipelines.speech.attempts import Attempts
from pipelines.speech.backlog import Backlog
from pipelines.speech.breaker import Breaker, State
from pipelines.speech.engine_failure import Trouble, TroubleKind
from pipelines.speech.heard import RATE, Heard, Interrupted, Item, Lost, Samples, Source
from pipelines.speech.kept import KeptSpeech

PATIENCE: Final = 120.0
"""Seconds after the end of a span at which what no engine has settled is told as lost."""


class Engine(Protocol):
    """What is asked: an engine with its circuit breaker."""

    name: str
    breaker: Breaker

    def open(self) -> Source:
        """Begin to say something to it."""

    def trouble(self, error: Exception) -> Trouble:
        """Say what an error of its plugin means."""


class FailoverRecognition:
    """A :class:`~pipelines.speech.heard.Recognition` through one engine, or several in turn.

    Args:
        engines: The one asked for, then the fallback.
        backlog: Counts what all spans hold.
        clock: Monotonic seconds, the event loop's.
    """

    def __init__(
        self, engines: Sequence[Engine], backlog: Backlog, clock: Callable[[], float]
    ) -> None:
        self._engines = engines
        self._attempts = Attempts([engine.breaker for engine in engines])
        self._backlog = backlog
        self._clock = clock
        self._kept = KeptSpeech()
        self._part = 0
        self._interim: Heard | None = None
        self._reason = ""
        self._ended = self._hurried = self._leave = self._over = False
        self._changed = asyncio.Event()
        self._deadline = math.inf
        self._timeout: asyncio.Timeout | None = None
        self._source: Source | None = None
        self._offset = 0.0
        self._said_again = -1
        self._probe: Breaker | None = None

    def push(self, samples: Samples, *, speech: float = 1.0) -> None:
        """See :class:`Recognition`."""
        self._kept.push(samples, speech)
        self._backlog.hold(self, len(self._kept))
        if self._source:
            self._source.push(samples, speech=speech)

    def end(self) -> None:
        """See :class:`Recognition`."""
        self._ended = True
        if self._source:
            self._source.end()
        self._deadline = min(self._deadline, self._clock() + PATIENCE)
        self._wake()

    def hurry(self, seconds: float) -> None:
        """See :class:`Recognition`."""
        self._hurried = True
        self._deadline = min(self._deadline, self._clock() + seconds)
        self._wake()

    def give_way(self) -> None:
        """Go on to the fallback, or give up; see :class:`~pipelines.speech.backlog.Holder`."""
        self._leave = True
        self._wake()

    def give_up(self) -> None:
        """Give up what is held; see :class:`~pipelines.speech.backlog.Holder`."""
        self._reason = "too much speech waits for the speech engine"
        self._kept.fall_out(self._kept.end)
        self._backlog.hold(self, 0)
        self.give_way()

    @property
    def unsettled(self) -> tuple[float, float] | None:
        """See :class:`Recognition`."""
        return None if self._over else self._kept.missing

    async def __aiter__(self) -> AsyncIterator[Item]:
        """See :class:`Recognition`."""
        while not self._over:
            number, wait = self._attempts.choose(self._clock())
            items = self._without_engine(wait) if number is None else self._through(number)
            async with aclosing(items):
                async for item in items:
                    yield item

    async def aclose(self) -> None:
        """See :class:`Recognition`."""
        self._backlog.release(self)
        self._abandon_probe()
        await self._close()

    async def _without_engine(self, wait: float) -> AsyncGenerator[Item, None]:
        """Wait until an engine may be asked; give up what is kept where none ever may."""
        if wait == math.inf or self._clock() >= self._deadline or self._leave:
            self._leave = False
            for item in self._given_up(self._kept.end):
                yield item
            self._attempts.renew()
            self._over = self._ended or self._clock() >= self._deadline
        await self._sleep(wait)

    async def _through(self, number: int) -> AsyncGenerator[Item, None]:
        """Say what is kept, and what comes, to one engine until it fails or all is settled."""
        failed: Exception | None = None
        stuck: float | None = None
        part = self._part
        try:
            async for heard in self._results(self._open(number)):
                self._engines[number].breaker.answered()
                for item in chain(self._fallen_out(), self._read(heard, number)):
                    yield item
                if heard.final and self._attempts.better_than(number, self._clock()):
                    break
            else:
                for word in chain(self._fallen_out(), self._close_of(number)):
                    yield word
        except Exception as error:  # Whatever a plugin raises, the words are kept.
            failed = error
            stuck = self._source.stuck_until if self._source else None
        await self._close()
        if self._part > part:
            self._attempts.progressed(number)
        if failed is not None:
            for item in self._go_on(number, failed, stuck):
                yield item
        self._abandon_probe()

    def _wake(self) -> None:
        self._changed.set()
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._until())

    def _until(self) -> float:
        return self._clock() if self._leave else self._deadline

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not past the deadline, nor past a change."""
        self._changed.clear()
        if self._over:
            return
        wait = min(seconds, self._deadline - self._clock())
        try:
            async with asyncio.timeout(None if wait == math.inf else max(wait, 0.0)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _results(self, source: Source) -> AsyncIterator[Heard]:
        """Iterate over what an engine says, as long as our own patience lasts."""
        results = aiter(source)
        while True:
            until = self._until()
            limit = asyncio.timeout_at(None if until == math.inf else until)
            try:
                async with limit:
                    self._timeout = limit
                    heard = await anext(results)
            except StopAsyncIteration:
                return
            finally:
                self._timeout = None
            yield heard

    def _open(self, number: int) -> Source:
        engine = self._engines[number]
        self._probe = engine.breaker if engine.breaker.state is State.HALF_OPEN else None
        self._source = source = engine.open()
        self._offset = self._kept.begin / RATE
        for samples, speech in self._kept:
            source.push(samples, speech=speech)
        if self._ended:
            source.end()
        return source

    async def _close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            await source.aclose()

    def _abandon_probe(self) -> None:
        """Let others probe; means nothing once the probe was answered or failed."""
        if self._probe is not None:
            self._probe.abandoned(self._clock())
            self._probe = None

    def _close_of(self, number: int) -> Iterator[Item]:
        """Take the end of the results for what it is."""
        if not self._ended:
            raise EngineFailedError("closed the connection in the middle of speech")
        self._engines[number].breaker.answered()
        if self._source and not self._source.certain and self._kept.holds_speech():
            heard_part = self._interim is not None or self._offset * RATE < self._kept.begin
            if heard_part and self._said_again != self._kept.begin:
                self._said_again = self._kept.begin  # Once; then there are no words in it.
                return
        yield from self._last_words()
        self._over = True

    def _go_on(self, number: int, error: Exception, stuck: float | None) -> Iterator[Item]:
        """Draw the consequences of a failure."""
        engine, at = self._engines[number], self._clock()
        if self._ended and not self._kept.holds_speech():  # All words are settled.
            yield from self._fallen_out()
            yield from self._last_words()
            self._over = True
            return
        if self._leave or at >= self._deadline:  # Not the engine's failure but our patience's end.
            self._leave = False
            if at < self._deadline and self._attempts.others_than(number):
                self._attempts.exclude(number)
            else:
                yield from self._given_up(self._kept.end)
                self._over = self._ended or at >= self._deadline
            return
        trouble = engine.trouble(error)
        first = self._attempts.first_failure(number)
        match trouble.kind:
            case TroubleKind.REFUSED:
                engine.breaker.refused(trouble.reason)
            case TroubleKind.REJECTED:
                self._attempts.exclude(number)
            case TroubleKind.LEFT_ALONE:
                pass  # The circuit opened while this waited for its turn.
            case TroubleKind.FAILED | TroubleKind.SLOW:
                engine.breaker.failed(at, trouble.reason, trouble.retry_after)
                self._attempts.failed(number, at, slow=trouble.kind is TroubleKind.SLOW)
        self._reason = trouble.reason
        if not first or trouble.kind is not TroubleKind.FAILED:
            yield Interrupted(trouble.reason)
        if trouble.kind is TroubleKind.REJECTED and not self._attempts.others_than(number):
            until = self._kept.end if stuck is None else round((self._offset + stuck) * RATE)
            yield from self._given_up(until)
            self._attempts.renew()
            self._over = self._ended and not self._kept

    def _given_up(self, until: int) -> Iterator[Item]:
        """Give up all audio up to the sample ``until``; the words of an interim count."""
        yield from self._fallen_out()
        yield from self._last_words()
        lost = self._kept.give_up(until)
        self._backlog.hold(self, len(self._kept))
        if lost:
            yield Lost(*lost, self._why())

    def _fallen_out(self) -> Iterator[Item]:
        if lost := self._kept.fallen_out():
            yield Lost(*lost, self._why())

    def _why(self) -> str:
        """Say why speech is lost; this span may not have asked an engine itself."""
        known = (engine.breaker.reason for engine in self._engines)
        return self._reason or next(filter(None, known), "no speech engine answered in time")

    def _last_words(self) -> Iterator[Item]:
        """Keep what was last shown, where no final came."""
        if self._interim is not None:
            yield self._as_final(self._interim)

    def _read(self, heard: Heard, number: int) -> Iterator[Item]:
        """Put a result of an engine into the span's times, and keep the books."""
        text = heard.text.strip()
        if not text and not (heard.final and self._interim is not None):
            if heard.final and heard.end > 0.0:  # Heard, and there were no words in it.
                self._settle(self._times(heard)[1])
            return
        start, end = self._times(heard)
        heard = replace(
            heard,
            text=text,
            start=start,
            end=end,
            part=self._part,
            engine=self._engines[number].name,
        )
        if heard.final:
            yield self._as_final(heard)
        else:
            self._interim = heard
            yield heard

    def _as_final(self, heard: Heard) -> Heard:
        self._interim = None
        self._part += 1
        self._settle(heard.end)
        if self._ended and not self._hurried:  # It works through what waits: be patient.
            self._deadline = self._clock() + PATIENCE
        return replace(heard, final=True)

    def _settle(self, until: float) -> None:
        self._kept.settle(until)
        self._backlog.hold(self, len(self._kept))

    def _times(self, heard: Heard) -> tuple[float, float]:
        pushed = self._kept.end / RATE
        if heard.end <= 0.0:
            return self._kept.settled_until, pushed
        start = min(max(heard.start + self._offset, 0.0), pushed)
        end = min(max(heard.end + self._offset, start), pushed)
        return start, end
