"""How long a server asks us to wait."""

from __future__ import annotations

import time

import pytest

from pipelines.retry_after import LONGEST, seconds_to_wait

NOW = 1_795_257_000.0  # Sat, 21 Nov 2026 10:30:00 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("1e9", LONGEST),
        ("Sat, 21 Nov 2026 10:30:20 GMT", 20.0),
        ("Sat, 21 Nov 2026 10:29:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_seconds_and_dates_are_read_and_nothing_else(header: str, seconds: float | None) -> None:
    assert seconds_to_wait(header, now=NOW) == seconds


def test_a_date_that_names_no_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert seconds_to_wait("Sat, 21 Nov 2026 10:30:20 -0000", now=NOW) == 20.0
    finally:
        monkeypatch.undo()
        time.tzset()


def test_who_asks_may_be_given_longer() -> None:
    assert seconds_to_wait("9000", now=NOW, most=7200.0) == 7200.0
