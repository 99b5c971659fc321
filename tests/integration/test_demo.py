"""Show 1: one command shows a meeting's captions and keeps them, from real speech."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from bench.child_process import ROOT
from bench.content_words import recall
from bench.livekit_binary import LIVEKIT_SERVER
from bench.script import load_script
from bench.sealed_transcript import FORMATS, SealedTranscript
from pipelines.post_meeting.summary import Summary

# What is said in these files, by whom, is written here and in no script.
OTHER_SPEECH = ROOT / "tests" / "data" / "speech"
SAID_THERE = [
    ("Grace Hopper", "The weather was terrible, and the bridge is still closed."),
    ("Emmy Noether", "Please send me the letter before Wednesday."),
]


@pytest.fixture(autouse=True)
def _livekit_server() -> None:
    if LIVEKIT_SERVER.find() is None:
        pytest.skip("no livekit-server; `python -m bench.livekit_binary` gets one")


def command(out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "bench.demo", "--once", "--out", str(out), *options]


def run(argv: list[str]) -> str:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def without_network(argv: list[str]) -> list[str]:
    """Run it where there is no network; that needs root, util-linux and iproute2."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("ip")):
        return argv
    return [str(ROOT / "bench" / "without_network"), *argv]


def unresolved_citations(sealed: SealedTranscript) -> list[str]:
    """Return what in the minutes leads nowhere: each statement is to link to its lines."""
    summary = Summary.model_validate_json((sealed.directory / "summary.json").read_bytes())
    lines = {segment["id"] for segment in sealed.document()["segments"]}
    cites = [cite for statement in summary.statements() for cite in statement.cites]
    wrong = [cite for cite in cites if cite not in lines]

    page = (sealed.directory / "minutes.html").read_text(encoding="utf-8")
    links = re.findall(r'href="#([^"]+)"', page)
    wrong += [link for link in links if f'id="{link}"' not in page]

    with zipfile.ZipFile(sealed.directory / "minutes.docx") as word:
        text = word.read("word/document.xml").decode()
    anchors = re.findall(r'w:anchor="([^"]+)"', text)
    wrong += [one for one in anchors if not re.search(f'<w:bookmarkStart[^>]*w:name="{one}"', text)]
    assert cites
    assert len(links) >= len(cites)
    assert len(anchors) >= len(cites)
    return wrong


def test_the_demo_ends_with_transcript_and_minutes_in_every_format(
    tmp_path: Path,
) -> None:
    printed = run(without_network(command(tmp_path)))

    sealed = SealedTranscript(tmp_path)
    assert [file.name for file in sealed.files if file.stat().st_size] == [
        f"transcript.{ending}" for ending in FORMATS
    ]
    assert all(file.stat().st_size for file in sealed.minutes)
    assert unresolved_citations(sealed) == []
    script = load_script()
    names = {one.identity: one.name for one in script.speakers}
    assert sorted(sealed.speakers()) == sorted(names.values())
    said = [(names[line.identity], line.text) for line in script.utterances]
    assert recall(said, sealed.said()).share >= 0.8
    shown = [line.partition(": ") for line in printed.splitlines()]
    assert recall(said, [(name, text) for name, _, text in shown]).share >= 0.8


def test_with_other_audio_the_transcript_follows_the_audio(tmp_path: Path) -> None:
    run(command(tmp_path, "--audio", str(OTHER_SPEECH)))

    sealed = SealedTranscript(tmp_path)
    assert sorted(sealed.speakers()) == ["Emmy Noether", "Grace Hopper"]
    found = recall(SAID_THERE, sealed.said())
    assert found.share >= 0.8, found.missing


def test_ctrl_c_leaves_no_process_behind(tmp_path: Path) -> None:
    with subprocess.Popen(command(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert any("join the room" in line for line in demo.stdout)
        children = psutil.Process(demo.pid).children(recursive=True)
        assert {"people.jsonl", "reader.jsonl"} <= {
            Path(argument).name for child in children for argument in child.cmdline()
        }
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=60) == 130
    _, left = psutil.wait_procs(children, timeout=5)
    assert left == []


def test_what_cannot_be_played_is_said_before_anything_starts(tmp_path: Path) -> None:
    argv = command(tmp_path / "out", "--audio", str(tmp_path))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "no audio file in" in done.stderr
    assert not (tmp_path / "out").exists()
