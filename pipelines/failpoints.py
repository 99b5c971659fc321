"""Die at a named place, for the tests that prove nothing is lost.

``GREFFIER_FAILPOINT=name[:n]`` makes the process send itself SIGKILL the n-th time (1 by default)
it passes ``failpoint("name")``. With ``@file``, the file says ``name[:n]`` for as long as it is
there, and who dies takes it away: whoever takes over lives. Unset, a failpoint is one comparison.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Final, Literal, get_args

FailpointName = Literal[
    "engine_final",  # the engine gave a final; nothing is written yet
    "journal_write",  # the line is in the page cache; nobody has seen it
    "mid_line",  # half of the line's bytes are written
    "publish",  # people have seen it
    "fsync",  # before the group's fsync
    "mid_flush",  # a store has taken half of a batch
    "after_commit",  # a store has taken the batch; no checkpoint yet
    "checkpoint",  # the checkpoint is written under its temporary name
    "seal",  # the artefacts are written; no seal yet
    "recording_file",  # La Suite's file of a recording is put; it is not read back yet
    "transcribe",  # a recording's transcription is put; no other step is nudged yet
    "align",  # likewise the aligned transcript
    "summarise",  # likewise the summary
    "minutes",  # one of the minutes' files is put
    "deliver",  # the minutes are sent; it is not noted yet
    "approval_shown",  # somebody has the dialog; nobody has decided yet
    "approval_decided",  # the decision is kept; its effect has not begun
    "effect_claimed",  # an effect is this job's alone; it is not written down that it begins
    "effect",  # a tool has had its effect; it is not kept yet
    "replay",  # recovery has read a journal; nothing of it is flushed yet
]

FAILPOINTS: Final = get_args(FailpointName)


class _Armed:
    def __init__(self, setting: str) -> None:
        self.by = setting
        self._file = Path(setting[1:]) if setting.startswith("@") else None
        self._passes: Counter[str] = Counter()

    def name(self) -> str:
        return self._now().partition(":")[0]

    def passed(self) -> None:
        now = self._now()
        self._passes[now] += 1
        times = now.partition(":")[2]
        if self._passes[now] == (int(times) if times.isdecimal() else 1) and self._is_first():
            os.kill(os.getpid(), signal.SIGKILL)

    def _now(self) -> str:
        if self._file is None:
            return self.by
        try:
            return self._file.read_text()
        except FileNotFoundError:
            return ""

    def _is_first(self) -> bool:
        try:
            if self._file:
                self._file.unlink()
        except FileNotFoundError:
            return False
        return True


# The one read of the environment outside the settings: a failpoint must be armed before anything
# else runs, also in a process that has not got its settings yet.
_armed = _Armed(os.environ.get("GREFFIER_FAILPOINT", ""))


def failpoint(name: FailpointName) -> None:
    """Die here if ``GREFFIER_FAILPOINT`` says so."""
    if armed(name):
        _armed.passed()


def armed(name: FailpointName) -> bool:
    """Tell whether ``name`` is the failpoint that is set: for code that must prepare to die."""
    return bool(_armed.by) and _armed.name() == name
