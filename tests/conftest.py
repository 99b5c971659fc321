"""For every test: no settings of the caller's, and skips that ``.ci/run`` does not forgive."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

_CALLERS_SETTINGS = (
    *("GREFFIER_", "DEEPGRAM_", "OPENAI_", "LIVEKIT_", "AWS_"),
    *("METADATA_COLLECTOR_", "TRANSCRIBER_", "STT_", "ENABLE_SILERO_"),
)
_NO_SKIP = bool(os.environ.get("GREFFIER_NO_SKIP"))

_Report = TypeVar("_Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(autouse=True)
def _no_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_CALLERS_SETTINGS):
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _no_skip((yield))


def _no_skip(report: _Report) -> _Report:
    """Make a skip a failure where ``GREFFIER_NO_SKIP`` is set; an expected failure is no skip."""
    if _NO_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(GREFFIER_NO_SKIP is set: nothing may be skipped)"
    return report
