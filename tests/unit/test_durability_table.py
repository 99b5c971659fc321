"""The table of what can be lost: each cell is shown by a test that exists, or is by design."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TEXT = (TESTS.parent / "docs" / "durability.md").read_text(encoding="utf-8")


def test_every_cell_names_tests_or_says_by_design() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")][2:]
    numbered = set(re.findall(r"^(\d+)\. ", TEXT, re.MULTILINE))
    assert len(rows) > 10
    named: set[str] = set()
    for row in rows:
        for cell in filter(None, (cell.strip() for cell in row.strip("| ").split("|")[1:])):
            numbers = {n for group in re.findall(r"\(([\d, ]+)\)", cell) for n in group.split(", ")}
            assert numbers or "*by design*" in cell, f"{cell!r} in {row!r}"
            named |= numbers
    assert named <= numbered
    assert numbered - named <= set(re.findall(r"\((\d+)\)", TEXT))


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    defined = {
        name
        for path in TESTS.glob("*/test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert named - defined == set()
