"""The errors of the platform, as one small tree.

::

    GreffierError
    |- SettingsError          an environment variable is missing or wrong
    |- RoomSettingsError      a room's metadata is wrong; names the field
    |- EngineError            a speech engine can't be used
       |- EngineNotAllowedError   the operator does not allow it
       |- EngineFailedError       it was asked and did not answer
    |- StoreError             a store did not take or give lines
       |- StoreLacksLinesError    the meeting is sealed, but not all of it is everywhere yet
       |- StoreRefusedError       asking again at once can't help (wrong key, not found)
    |- JournalError           journals can't be read
    |- MeetingEndedError      something was to be kept after the end
    |- LeaseError             leases can't be read or written
    |- HeldError              somebody else holds the lease
    |- FencedError            a newer epoch serves the meeting
    |- PluginError            a plugin's spec is wrong or two share a name
    |- StepError              a step after the meeting failed; says so by a code
       |- RetryableError          the same step may succeed later
    |- ToolError              a tool did nothing; the sentence is for people
       |- UnknownToolError        there is no such tool
       |- InvalidArgumentsError   what it is asked to do does not follow its schema
    |- UnknownOutcomeError    a tool may have done it, or not

Only ``worker.py`` ends a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.lease import Lease


class GreffierError(Exception):
    """Something the platform can name went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class SettingsError(GreffierError):
    """An environment variable is missing or wrong."""


class RoomSettingsError(GreffierError):
    """A room's metadata is wrong; the message names the field and the fix."""


class EngineError(GreffierError):
    """A speech engine can't be used."""


class EngineNotAllowedError(EngineError):
    """The operator does not allow this speech engine."""


class EngineFailedError(EngineError):
    """A speech engine was asked and did not answer."""


class StoreError(GreffierError):
    """A store did not take or give lines."""


class StoreRefusedError(StoreError):
    """A store refused; asking again at once can't help."""


class JournalError(GreffierError):
    """Journals can't be read."""


class StoreLacksLinesError(StoreError):
    """The meeting is sealed, but a store, or a recording's file, does not have all of it yet."""


class MeetingEndedError(GreffierError):
    """The meeting has ended; nothing more is kept of it."""


class LeaseError(GreffierError):
    """Leases can't be read or written: whoever keeps them is not there, or refuses."""


class HeldError(GreffierError):
    """Somebody else holds the lease."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self.lease = lease


class FencedError(GreffierError):
    """A newer epoch serves the meeting."""

    def __init__(self, lease: Lease | None = None) -> None:
        super().__init__()
        self.lease = lease
        """The one that fences, where a lease does."""


class PluginError(GreffierError):
    """A plugin's spec is wrong, or two plugins share a name."""


class StepError(GreffierError):
    """A step after the meeting failed, and doing it again with the same input can't help.

    Args:
        code: Stable and short, for machines and tests: ``no_audio_in_file``.
        message: What is wrong and what to do; kept, and shown to the operator. No address that is
            a secret (presigned), nothing that was said, nobody's name.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class RetryableError(StepError):
    """A step after the meeting failed, and may succeed when it is done again.

    Args:
        code: As in :class:`StepError`: ``engine_unavailable``.
        message: Likewise.
        after: Least seconds until it is worth a try, where the other side said so (Retry-After).
    """

    def __init__(self, code: str, message: str, *, after: float = 0.0) -> None:
        super().__init__(code, message)
        self.after = after


class ToolError(GreffierError):
    """The tool did nothing; the message is shown to people."""


class UnknownToolError(ToolError):
    """There is no tool of that name."""


class InvalidArgumentsError(ToolError):
    """The arguments do not follow the tool's schema; names the field and quotes no value."""


class UnknownOutcomeError(GreffierError):
    """The tool may have done it, or not; the message is shown to people."""
