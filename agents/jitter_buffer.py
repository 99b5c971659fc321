"""How long a track's audio lies in WebRTC's jitter buffer before we are given it.

30 ms on a quiet network, more than 100 ms where packets come unevenly, for minutes on end: too
long a time to be in a time stamp, and too even for a look at arrivals alone to find.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from livekit import rtc

log = logging.getLogger(__name__)

USUAL: Final = 0.030
"""Seconds, until it is known."""

FIRST: Final = 0.3
"""Seconds until it is asked for first, and from then on between two times; it costs 1 ms."""

INTERVAL: Final = 2.0


class JitterBuffer:
    """Follows the delay of one track while :meth:`run` runs; ``delay`` is in seconds."""

    def __init__(self, track: rtc.Track) -> None:
        self._track = track
        self._total = 0.0
        self._samples = 0
        self.delay = USUAL

    async def run(self) -> None:
        """Ask again and again; whoever owns the track's stream cancels it."""
        pause = FIRST
        while True:
            await asyncio.sleep(pause)
            pause = INTERVAL
            try:
                stats = await self._track.get_stats()
            except Exception as error:
                # rtc raises bare exceptions for whatever its native part says.
                log.debug("jitter buffer not measured", extra={"cause": type(error).__name__})
                continue
            for one in stats:
                if one.HasField("inbound_rtp"):
                    inbound = one.inbound_rtp.inbound
                    self.measured(inbound.jitter_buffer_delay, inbound.jitter_buffer_emitted_count)

    def measured(self, total: float, samples: int) -> None:
        """Take WebRTC's two counters: seconds that samples have waited so far, and how many."""
        if samples > self._samples:
            self.delay = (total - self._total) / (samples - self._samples)
            self._total, self._samples = total, samples
