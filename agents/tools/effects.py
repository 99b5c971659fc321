"""What may become of a tool's run when a process dies in the middle. Pure."""

from __future__ import annotations

from typing import Literal

Effects = Literal["none", "idempotent", "at_most_once"]
"""A tool without effects runs when it is called. The others run after an approval: an
``idempotent`` one again after a crash, with the same key; an ``at_most_once`` one never again."""
