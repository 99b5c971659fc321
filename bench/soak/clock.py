"""The clock of some processes, set forward or back while they run, by libfaketime.

Only the time of day: what measures durations goes on, as it does when a machine's clock is set.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_LIBRARIES: Final = (
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
    *Path("/usr/lib/faketime").glob("libfaketimeMT.so.1"),
)
_LOOKS_EVERY: Final = 1  # seconds


class FakeClock:
    """The clock of the processes that are started with :meth:`env`.

    Args:
        file: By which they are told how far off they are; made here.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._set(0.0)

    @staticmethod
    def there() -> bool:
        """Tell whether there is a libfaketime; Debian's package has that name."""
        return bool(_LIBRARIES)

    def env(self) -> dict[str, str]:
        """Return the variables of a process that is to follow this clock, and of its children."""
        return {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(_LOOKS_EVERY),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Else whoever waits for a condition by the monotonic clock does not wait: it spins.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_DONT_RESET": "1",  # children have the same clock
        }

    def jump(self, seconds: float) -> None:
        """Be ``seconds`` ahead of the time, or behind; returns when everybody has seen it."""
        self._set(seconds)
        time.sleep(_LOOKS_EVERY + 0.1)

    def _set(self, seconds: float) -> None:
        # One write: a reader never sees half of it.
        self._file.write_text(f"{seconds:+.3f}\n")
