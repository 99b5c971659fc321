"""What is no sound JSON object is refused, whatever it would say."""

from __future__ import annotations

import json

import pytest

from agents.strict_json import MAX_BYTES
from tests.unit.metadata_samples import CANARY, error_of


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"agents":', "not valid JSON at line 1 column 11"),
        (f'{{"key": "{CANARY}', "not valid JSON at line 1 column 9"),
        ("hello", "not valid JSON at line 1 column 1"),
        ("[]", "an array, not a JSON object"),
        ("7", "a number, not a JSON object"),
        ("true", "a boolean, not a JSON object"),
        ('"text"', "a string, not a JSON object"),
        ('{"agents": {"x": NaN}}', "agents.x: NaN and Infinity"),
        ('{"a": [0, -Infinity]}', "a.1: NaN and Infinity"),
        ('{"a": 1e999}', "a: not a finite number"),
        ('{"a": ' + "9" * 5000 + "}", "holds a number that is too long"),
        ('{"agents": {"x": {}, "x": {}}}', "agents.x: given twice"),
        ('{"agents": {}, "agents": {}}', "agents: given twice"),
        (r'{"a": "\ud83d"}', "a: not valid Unicode"),
        (r'{"\ud83d": 1}', r'"\ud83d": the key is not valid Unicode'),
        ('{"a":' * 40 + "1" + "}" * 40, "a.a.a: nested deeper than 32 levels"),
        ('{"a":' + "[" * 100_000, "nested deeper than 32 levels"),
        (json.dumps({"a": "x" * MAX_BYTES}), "longer than 524,288 bytes"),
        (
            json.dumps({"a": "é" * (MAX_BYTES // 2)}, ensure_ascii=False),
            "longer than 524,288 bytes",
        ),
    ],
)
@pytest.mark.parametrize("source", ["room metadata", "job metadata"])
def test_what_is_no_sound_json_object_is_refused_by_name(
    text: str, problem: str, source: str
) -> None:
    message = error_of(text) if source == "room metadata" else error_of("", text)
    assert message.startswith(f"{source}: {problem}")
    assert CANARY not in message
    assert "\n" not in message


def test_a_key_with_a_line_break_is_shown_on_one_line() -> None:
    assert r'agents."a\nb": no such agent' in error_of({"agents": {"a\nb": {}}})
