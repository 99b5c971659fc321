"""What a room costs: the seconds that each engine was given and kept busy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(slots=True)
class EngineSeconds:
    """What one engine was used for.

    Args:
        audio: Seconds of audio given to it, what was said again included.
        connected: Seconds that streams to it were open; 0.0 for an engine without streams.
    """

    audio: float = 0.0
    connected: float = 0.0


class Usage:
    """Counts the use of every engine of a job, which is that of one room."""

    def __init__(self) -> None:
        self.engines: dict[str, EngineSeconds] = {}

    def add(self, engine: str, *, audio: float = 0.0, connected: float = 0.0) -> None:
        """Count seconds of an engine."""
        sums = self.engines.setdefault(engine, EngineSeconds())
        sums.audio += audio
        sums.connected += connected

    def as_dict(self) -> Mapping[str, Mapping[str, float]]:
        """Return engine -> its seconds, rounded to milliseconds."""
        return {
            name: {key: round(value, 3) for key, value in asdict(sums).items()}
            for name, sums in self.engines.items()
        }
