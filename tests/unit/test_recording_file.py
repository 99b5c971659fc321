"""Writing a recording's metadata file: whole, read back, never shorter, also after a crash."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import stamina

from bench.recording_lines import MEETING, RECORDING, START, RecordingLines
from pipelines.errors import StoreError, StoreRefusedError
from pipelines.settings import Settings
from pipelines.transcript.epochs import journals_of
from pipelines.transcript.journal import Journal
from pipelines.transcript.line import Line
from pipelines.transcript.paths import meeting_key
from pipelines.transcript.recording_file import RecordingFile, open_recording_file
from pipelines.transcript.recovery import recover
from pipelines.transcript.seal import close_meeting
from pipelines.transcript.stores.files import FilesStore

KEY = f"{RECORDING}-metadata.json"


class Bucket:
    """A bucket in memory that fails as it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.puts = 0
        self.failures = 0
        self.may_read = True
        self.loses = False

    async def get(self, key: str) -> bytes | None:
        self._is_there()
        if not self.may_read:
            raise StoreRefusedError("the key may not do this")
        return self.objects.get(key)

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        self._is_there()
        self.puts += 1
        self.types[key] = content_type
        self.objects[key] = body[:-1] if self.loses else body

    async def aclose(self) -> None:
        pass

    def _is_there(self) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("S3 is away")


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def file(bucket: Bucket) -> RecordingFile:
    return RecordingFile(bucket, timeout=1.0)  # type: ignore[arg-type] # a double


def a_meeting(spans: int = 1, *, ended: bool = True) -> list[Line]:
    meeting = RecordingLines()
    meeting.join("ada", 1.0, "Ada")
    for number in range(spans):
        meeting.say("ada", 10.0 * number + 2, 10.0 * number + 4)
    if ended:
        meeting.finish(1000.0)
    return meeting.lines


async def test_the_file_is_json_at_la_suites_key(file: RecordingFile, bucket: Bucket) -> None:
    await file.finish(a_meeting())
    assert len(json.loads(bucket.objects[KEY])["events"]) == 3
    assert bucket.types == {KEY: "application/json"}


async def test_what_is_no_recording_has_no_file(file: RecordingFile, bucket: Bucket) -> None:
    await file.finish([Line("m", 1, 1, "opened", START, {"room": "r"})])
    assert bucket.puts == 0


async def test_a_longer_file_replaces_a_shorter_one_and_never_the_other_way_round(
    file: RecordingFile, bucket: Bucket
) -> None:
    await file.finish(a_meeting(2))
    await file.finish(a_meeting(3))
    longest = bucket.objects[KEY]
    await file.finish(a_meeting(1))
    assert bucket.objects[KEY] == longest
    assert len(json.loads(longest)["events"]) == 7


async def test_a_file_that_can_not_be_read_is_replaced(file: RecordingFile, bucket: Bucket) -> None:
    bucket.objects[KEY] = b'{"events": [1, 2, 3, 4, 5, 6,'
    await file.finish(a_meeting())
    assert len(json.loads(bucket.objects[KEY])["events"]) == 3


async def test_a_file_that_is_there_is_not_written_again(
    file: RecordingFile, bucket: Bucket
) -> None:
    await file.finish(a_meeting())
    await file.finish(a_meeting())
    assert bucket.puts == 1


async def test_a_file_that_does_not_come_back_is_an_error(
    file: RecordingFile, bucket: Bucket
) -> None:
    bucket.loses = True
    with pytest.raises(StoreError, match="another file"):
        await file.finish(a_meeting())


async def test_a_key_that_may_only_write_is_enough(file: RecordingFile, bucket: Bucket) -> None:
    bucket.may_read = False
    await file.finish(a_meeting())
    assert len(json.loads(bucket.objects[KEY])["events"]) == 3


async def test_a_stop_while_the_server_is_away_tries_until_it_is_back(
    file: RecordingFile, bucket: Bucket
) -> None:
    bucket.failures = 3
    stamina.set_testing(True, attempts=10, cap=False)
    try:
        await file.finish_in_time(a_meeting(), seconds=5.0)
    finally:
        stamina.set_testing(False)
    assert KEY in bucket.objects


def journalled(lines: list[Line], journal_dir: Path) -> None:
    """Leave what a job that was killed leaves."""
    journal = Journal(journal_dir / meeting_key(MEETING) / f"{lines[0].epoch}.jsonl")
    for line in lines:
        journal.append(line)
    journal.close()


async def never_open(_room: str, _sid: str, _dispatch: str) -> bool:
    return False


async def test_the_journal_stays_until_the_file_is_there(
    file: RecordingFile, bucket: Bucket, tmp_path: Path
) -> None:
    journal_dir, store = tmp_path / "journal", FilesStore(tmp_path / "transcripts")
    journalled(a_meeting(), journal_dir)
    bucket.failures = 1
    with pytest.raises(StoreError, match="away"):
        await close_meeting(MEETING, 7, journal_dir, [store], finish=file.finish)
    assert len(journals_of(journal_dir, MEETING)) == 1
    await recover(journal_dir, [store], is_open=never_open, finish=file.finish)
    assert KEY in bucket.objects
    assert journals_of(journal_dir, MEETING) == []


async def test_the_file_of_a_killed_collector_is_completed_from_its_journal(
    file: RecordingFile, bucket: Bucket, tmp_path: Path
) -> None:
    journalled(a_meeting(3, ended=False)[:-1], tmp_path / "journal")
    store = FilesStore(tmp_path / "transcripts")
    await recover(tmp_path / "journal", [store], is_open=never_open, finish=file.finish)
    kinds = [event["type"] for event in json.loads(bucket.objects[KEY])["events"]]
    assert kinds == ["participant_connected", *["speech_start", "speech_end"] * 3]


async def test_two_epochs_are_one_whole_file(
    file: RecordingFile, bucket: Bucket, tmp_path: Path
) -> None:
    journalled(a_meeting(2, ended=False), tmp_path / "journal")
    second = RecordingLines(epoch=8, at=500.0)
    second.join("james", 501.0, "James")
    second.say("james", 502.0, 503.0)
    second.finish(600.0)
    journalled(second.lines, tmp_path / "journal")
    store = FilesStore(tmp_path / "transcripts")
    await recover(tmp_path / "journal", [store], is_open=never_open, finish=file.finish)
    metadata = json.loads(bucket.objects[KEY])
    assert len(metadata["events"]) == 8
    assert [one["name"] for one in metadata["participants"]] == ["Ada", "James"]


async def test_a_recording_whose_dispatch_is_gone_is_over_though_its_room_is_open(
    file: RecordingFile, bucket: Bucket, tmp_path: Path
) -> None:
    lines = a_meeting(ended=False)
    lines[0].data["dispatch"] = "AD_1"
    journalled(lines, tmp_path / "journal")
    store = FilesStore(tmp_path / "transcripts")
    dispatches = {"AD_1"}

    async def is_open(_room: str, _sid: str, dispatch: str) -> bool:
        return dispatch in dispatches

    await recover(tmp_path / "journal", [store], is_open=is_open, finish=file.finish)
    assert bucket.objects == {}
    dispatches.clear()
    await recover(tmp_path / "journal", [store], is_open=is_open, finish=file.finish)
    assert KEY in bucket.objects


def test_without_a_bucket_there_is_no_step() -> None:
    assert open_recording_file(Settings()) is None
