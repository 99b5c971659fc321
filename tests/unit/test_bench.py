"""The bench measures what it says: its arithmetic, without any process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.audio_file import read_clip, speech_bounds
from bench.caption_delay import CaptionDelay, caption_delays, percentile
from bench.content_words import content_words, recall
from bench.json_lines import JsonLines, LineReader, read_json_lines
from bench.script import ScriptError, load_script, script_of_directory


def test_content_words_have_no_stop_words_no_case_and_no_punctuation() -> None:
    assert content_words("The budget isn\u2019t OURS: 24 open-ended!") == [
        "budget",
        "isn't",
        "24",
        "open",
        "ended",
    ]


def test_a_word_counts_for_who_said_it_and_as_often_as_it_was_said() -> None:
    said = [("ada", "bridge and bridge"), ("alan", "station")]
    found = recall(said, [("ada", "the bridge"), ("ada", "station")])
    assert (found.said, found.found) == (3, 1)
    assert sorted(found.missing) == ["bridge", "station"]


def test_the_scripted_meeting_has_three_speakers_and_an_overlap() -> None:
    script = load_script()
    assert len(script.speakers) == 3
    ends = [line.at + read_clip(line.file, 16_000).seconds for line in script.utterances]
    starts = [line.at for line in script.utterances]
    assert any(start < end for end, start in zip(ends, starts[1:], strict=False))
    assert 40 <= max(ends) <= 60


def test_a_directory_of_audio_is_a_meeting_of_its_files_names(tmp_path: Path) -> None:
    for name in ("Grace_Hopper.wav", "Емма.ogg", "notes.txt"):
        (tmp_path / name).touch()
    script = script_of_directory(tmp_path)
    assert [speaker.name for speaker in script.speakers] == ["Grace Hopper", "Емма"]
    assert [speaker.identity for speaker in script.speakers] == ["grace-hopper-1", "speaker-2"]


def test_a_directory_without_audio_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="no audio file in"):
        script_of_directory(tmp_path)


def test_speech_is_bounded_to_ten_milliseconds() -> None:
    samples = np.zeros(16_000, np.int16)
    samples[4_005:8_000] = 5_000
    samples[12_000:] = 20  # noise, 48 dB below
    assert speech_bounds(samples, 16_000) == (4_000, 8_000)
    assert speech_bounds(np.zeros(100, np.int16), 16_000) == (0, 0)


def test_the_parts_of_a_clip_are_the_whole_file() -> None:
    first = load_script().utterances[0]
    clip = read_clip(first.file, 48_000)
    assert len(clip.before) > 0
    assert 5.0 < clip.seconds < 6.0


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    reader = LineReader(path)
    assert list(reader.new()) == []
    with JsonLines(path) as log:
        log.write("came", identity="ada")
    with path.open("a") as file:
        file.write('{"event": "we')
    assert [line["event"] for line in reader.new()] == ["came"]
    with path.open("a") as file:
        file.write('nt"}\n')
    assert [line["event"] for line in reader.new()] == ["went"]
    assert [line["identity"] for line in read_json_lines(path, "came")] == ["ada"]


def spoke(identity: str, start: float, end: float) -> list[dict[str, Any]]:
    common = {"identity": identity, "file": f"{start:g}.ogg"}
    return [
        {"event": "speech_started", "at": start, **common},
        {"event": "speech_ended", "at": end, **common},
    ]


def caption(sender: str, at: float, *, final: bool, text: str = "words") -> dict[str, Any]:
    attributes = {"lk.transcription_final": json.dumps(final)}
    return {"event": "caption", "at": at, "sender": sender, "attributes": attributes, "text": text}


def test_delays_count_from_the_first_and_the_last_sample_of_each_utterance() -> None:
    truth = [*spoke("ada", 10, 14), *spoke("alan", 11, 13), *spoke("ada", 20, 22)]
    received = [
        caption("ada", 11, final=False),
        caption("ada", 12, final=True),  # the engine cut the sentence in two
        caption("ada", 14.5, final=True),
        caption("alan", 13.25, final=True),
        caption("ada", 21, final=True, text=""),  # withdrawn
    ]
    assert caption_delays(truth, received) == [
        CaptionDelay("ada", "10.ogg", first=1.0, final=0.5),
        CaptionDelay("ada", "20.ogg", first=None, final=None),
        CaptionDelay("alan", "11.ogg", first=2.25, final=0.25),
    ]


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 2), (75, 3), (95, 4), (100, 4)])
def test_a_percentile_is_one_of_the_values(percent: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], percent) == value
