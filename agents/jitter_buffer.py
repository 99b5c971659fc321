"""What WebRTC's receiver tells of a track: how long its audio waited, and when none came.

30 ms on a quiet network, more than 100 ms where packets come unevenly, for minutes on end: too
long a time to be in a time stamp, and too even for a look at arrivals alone to find.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from livekit import rtc

from pipelines.speech.concealment import Concealment

log = logging.getLogger(__name__)

USUAL: Final = 0.030
"""Seconds, until it is known."""

FIRST: Final = 0.3
"""Seconds until it is asked for first, and from then on between two times; it costs 1 ms."""

INTERVAL: Final = 2.0


class JitterBuffer:
    """Follows one track while :meth:`run` runs; ``delay`` is in seconds.

    Args:
        track: The track.
        missed: Told from when to when no audio came, Unix seconds.
    """

    def __init__(
        self, track: rtc.Track, missed: Callable[[float, float], None] = lambda _from, _to: None
    ) -> None:
        self._track = track
        self._missed = missed
        self._concealment = Concealment()
        self._total = 0.0
        self._samples = 0
        self.delay = USUAL

    async def run(self) -> None:
        """Ask again and again; whoever owns the track's stream cancels it."""
        pause = FIRST
        try:
            while True:
                await asyncio.sleep(pause)
                pause = INTERVAL
                await self._look()
        finally:
            self._tell(self._concealment.end())

    @property
    def missing_since(self) -> float | None:
        """Since when no audio comes, Unix seconds; None while it does."""
        return self._concealment.since

    def begin_anew(self) -> None:
        """Tell a lack of audio that is not over, and count from now on: it was muted or unmuted."""
        self._tell(self._concealment.end())
        self._concealment = Concealment()

    async def _look(self) -> None:
        try:
            stats = await self._track.get_stats()
        except Exception as error:
            # rtc raises bare exceptions for whatever its native part says.
            log.debug("jitter buffer not measured", extra={"cause": type(error).__name__})
            return
        for one in stats:
            if one.HasField("inbound_rtp"):
                inbound = one.inbound_rtp.inbound
                self.measured(inbound.jitter_buffer_delay, inbound.jitter_buffer_emitted_count)
                concealed, events = inbound.concealed_samples, inbound.concealment_events
                self._tell(
                    self._concealment.look(
                        time.time(),
                        concealed=concealed,
                        events=events,
                        packet_at=inbound.last_packet_received_timestamp / 1000,
                    )
                )

    def _tell(self, missed: tuple[float, float] | None) -> None:
        if missed:
            self._missed(*missed)

    def measured(self, total: float, samples: int) -> None:
        """Take WebRTC's two counters: seconds that samples have waited so far, and how many."""
        if samples > self._samples:
            self.delay = (total - self._total) / (samples - self._samples)
            self._total, self._samples = total, samples
