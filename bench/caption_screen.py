"""Captions in a terminal: a colour for each speaker, interims that change in place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from bench.client_processes import is_final
from bench.json_lines import LineReader

_COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
_POLL = 0.05  # seconds


class CaptionScreen:
    """Shows what a subscriber receives: finals scroll up, interims stay below them.

    Where the output is no terminal, only finals are printed. A context manager.

    Args:
        console: Where to print.
        received: The subscriber's log.
    """

    def __init__(self, console: Console, received: LineReader) -> None:
        self._console = console
        self._received = received
        self._names: dict[str, str] = {}
        self._colours: dict[str, str] = {}
        self._interims: dict[str, Text] = {}
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._last_caption = time.monotonic()

    @property
    def quiet(self) -> float:
        """Seconds since the last caption."""
        return time.monotonic() - self._last_caption

    def follow(self, until: Callable[[], bool]) -> None:
        """Show what comes until ``until`` returns true, and what had come by then."""
        done = False
        while not done:
            done = until()
            for line in self._received.new():
                self._show(line)
            if not done:
                time.sleep(_POLL)

    def say(self, line: str) -> None:
        """Print a line that is no caption."""
        self._console.print(Text(line, style="dim"), soft_wrap=True)

    def _show(self, line: Mapping[str, Any]) -> None:
        if line["event"] == "came":
            self._names[line["identity"]] = line["name"] or line["identity"]
        if line["event"] == "status":
            self.say(_notice(line["text"]))
        if line["event"] != "caption":
            return
        self._last_caption = time.monotonic()
        segment = line["attributes"].get("lk.segment_id", "")
        self._interims.pop(segment, None)
        final = is_final(line)
        if not final:
            self._interims[segment] = self._caption(line, dim=True)
        if self._console.is_terminal:
            self._live.update(Group(*self._interims.values()), refresh=True)
        if final and line["text"].strip():
            self._console.print(self._caption(line), soft_wrap=not self._console.is_terminal)

    def _caption(self, line: Mapping[str, Any], *, dim: bool = False) -> Text:
        sender = line["sender"]
        colour = self._colours.setdefault(sender, _COLOURS[len(self._colours) % len(_COLOURS)])
        name = self._names.get(sender, sender)
        return Text.assemble((f"{name}: ", f"bold {colour}"), (line["text"], "dim" if dim else ""))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()


def _notice(text: str) -> str:
    """Render a message of topic ``greffier.status``, a JSON object, as ``[type] value, value``."""
    fields = {"type": "notice", **json.loads(text)}
    return f"[{fields.pop('type')}] {', '.join(str(value) for value in fields.values())}"
