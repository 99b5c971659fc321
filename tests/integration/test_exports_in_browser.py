"""What foreign readers make of our WebVTT: W3C's parser, and a browser's ``<track>``."""

from __future__ import annotations

import html
import http.server
import json
import re
import subprocess
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines.transcript.build_document import build_document
from pipelines.transcript.document import TranscriptDocument
from pipelines.transcript.exports import EXPORTS
from pipelines.transcript.line import Line

NODE = Path(__file__).parents[1] / "node"
PAGE = '<!doctype html><meta charset="utf-8"><video><track src="transcript.vtt"></video>'


@dataclass(frozen=True)
class Said:
    """A segment, and how readers are to show its name and text where that differs."""

    name: str
    text: str
    start_ms: int = 0
    end_ms: int = 1000
    shown_name: str = ""
    shown_text: str = ""


HOSTILE = [
    Said("Ada Lovelace", "Plain speech.", 0, 1500),
    Said("Overlap", "Said meanwhile.", 500, 1200),
    Said("Same start", "And at once.", 500, 2500),
    Said("No time at all", "Zero milliseconds.", 3000, 3000),
    Said("x --> y", "00:00:01.000 --> 00:00:02.000", 4000, 5000),
    Said("cut off--", "and then--", 4500, 5000),
    Said("<b>Bold</b>", "<b>bold</b> <v Eve>not Eve</v> <00:00:04.500>", 5000, 6000),
    Said("a > b & c", "a &lt; b &amp; c &; &#60; & > <", 6000, 7000),
    Said(
        "Line\nbreak",
        "one\ntwo\r\n\r\nthree\u2028four",
        7000,
        8000,
        "Line break",
        "one two three four",
    ),
    Said("נועה \u200f", "שלום \u202bעולם\u202c, ok?", 8000, 9000),  # noqa: RUF001 - it is Hebrew
    Said("👩🏽‍🚀", "🎉 family 👨‍👩‍👧‍👦 flag 🇫🇷", 9000, 10_000),
    Said("nul\0", "a\0b\x1b[31m", 10_000, 11_000, "nul\ufffd", "a\ufffdb\ufffd[31m"),
    Said("\ud800", "lone \udfff surrogate", 11_000, 12_000, "\ufffd", "lone \ufffd surrogate"),
    Said("  ", "nameless", 12_000, 13_000, "nobody"),
    Said("NOTE", "NOTE x\n\nSTYLE\n::cue{}", 13_000, 14_000, "NOTE", "NOTE x STYLE ::cue{}"),
    Said("WEBVTT", "after a hundred hours", 360_000_001, 360_000_999),
]


def every_character() -> list[Said]:
    """All of the Basic Multilingual Plane and a sample of the rest, in names and in speech."""
    points = [*range(0xD800), *range(0xE000, 0x10000), *range(0x10000, 0x110000, 63)]
    chunks = [points[start : start + 256] for start in range(0, len(points), 256)]
    texts = [f"a{''.join(map(chr, chunk))}z" for chunk in chunks]
    return [Said(text, text, 0, 1000, one_line(text), one_line(text)) for text in texts]


def one_line(text: str) -> str:
    line = re.sub(r"[\t ]+", " ", " ".join(text.splitlines()))
    return "".join("\ufffd" if is_unreadable(it) else it for it in line)


def is_unreadable(character: str) -> bool:
    return unicodedata.category(character) == "Cc" or character in "\ufffe\uffff"


def transcript(said: list[Said]) -> TranscriptDocument:
    data: list[dict[str, Any]] = [
        {
            "segment": f"SG_{number}",
            "revision": 0,
            "speaker": f"person-{number}" if it.name.strip() else "nobody",
            "name": it.name,
            "text": it.text,
            "start_ms": it.start_ms,
            "end_ms": it.end_ms,
            "track": "",
            "language": "",
            "engine": "fake/fake",
        }
        for number, it in enumerate(said)
    ]
    lines = [Line("standup", 1, number, "final", 0.0, it) for number, it in enumerate(data, 1)]
    return build_document(lines, seal=1)


@pytest.fixture(scope="module", params=["hostile", "every character", "empty"])
def said(request: pytest.FixtureRequest) -> list[Said]:
    return {"hostile": HOSTILE, "every character": every_character(), "empty": []}[request.param]


@pytest.fixture(scope="module")
def webvtt(said: list[Said], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "transcript.vtt"
    path.write_text(EXPORTS["vtt"](transcript(said)), encoding="utf-8", newline="")
    path.with_name("index.html").write_text(PAGE, encoding="utf-8")
    return path


@contextmanager
def served(directory: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/index.html"
        finally:
            server.shutdown()
            thread.join()


def run(*command: str) -> Any:
    done = subprocess.run(
        command, cwd=NODE, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def as_shown(said: list[Said]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"SG_{number}",
            "startMs": it.start_ms,
            "endMs": max(it.end_ms, it.start_ms + 1),
            "voice": it.shown_name or it.name,
            "text": it.shown_text or it.text,
        }
        for number, it in enumerate(said)
    ]


def by_number(cue: dict[str, Any]) -> int:
    return int(cue["id"].removeprefix("SG_"))


def test_w3c_parser_reads_every_cue_without_an_error(
    node: str, webvtt: Path, said: list[Said]
) -> None:
    read = run(node, "read_webvtt.mjs", str(webvtt))
    assert read["errors"] == []
    # This parser leaves character references in an annotation as they are written.
    cues = [cue | {"voice": html.unescape(cue["voice"])} for cue in read["cues"]]
    assert sorted(cues, key=by_number) == as_shown(said)


def test_browser_track_holds_the_same_cues_times_names_and_texts(
    node: str, browser: str, webvtt: Path, said: list[Said]
) -> None:
    with served(webvtt.parent) as address:
        cues = run(node, "read_track.mjs", browser, address)
    assert {tuple(cue.pop("tags")) for cue in cues} <= {("span",)}  # The voice, nothing of speech.
    assert sorted(cues, key=by_number) == as_shown(said)
