"""Keys: where they come from, what is told of those that don't fit, and what is not kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from pydantic import SecretStr

from agents.captions import Captions
from agents.encryption import CAPTIONS, Decryption, EncryptionWatch, encryption_options
from agents.room_settings import RoomSettings, fallback_settings, read_room_settings
from pipelines.errors import RoomSettingsError
from pipelines.events import CaptionFinal, CaptionState
from pipelines.settings import Settings
from pipelines.transcript.ledger import Ledger
from pipelines.transcript.stores.files import FilesStore

KEY = "the-passphrase-of-the-room"
OK, FAILED = rtc.EncryptionState.OK, rtc.EncryptionState.DECRYPTION_FAILED


class Said:
    """Notices, attributes and keys, as they are given to LiveKit."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        self.attributes: dict[str, str] = {}
        self.keys: list[bytes] = []
        self.room = cast(
            "rtc.Room",
            SimpleNamespace(
                local_participant=SimpleNamespace(set_attributes=self.set_attributes),
                e2ee_manager=SimpleNamespace(
                    key_provider=SimpleNamespace(
                        set_shared_key=lambda key, _index: self.keys.append(key)
                    )
                ),
            ),
        )

    def notify(self, _kind: str, fields: dict[str, Any], *, about: str) -> None:
        assert about == "encryption"
        self.notices.append(fields)

    async def set_attributes(self, attributes: dict[str, str]) -> None:
        self.attributes |= attributes


@pytest.fixture
def said() -> Said:
    return Said()


def watch(said: Said, decryption: Decryption, key: str = KEY) -> EncryptionWatch:
    return EncryptionWatch(said.room, decryption, cast("Captions", said), SecretStr(key))


async def test_a_change_is_told_once_and_so_is_its_end(said: Said) -> None:
    decryption = Decryption(has_key=False)
    looking = watch(said, decryption, "")
    await looking.look(0.0)
    decryption.published("eve", "TR_1", rtc.EncryptionType.GCM)
    for now in (1.0, 2.0, 20.0):
        await looking.look(now)
    text = "unavailable: end-to-end encrypted: the agent has no key"
    assert said.attributes == {CAPTIONS: text}
    decryption.left("eve")
    await looking.look(30.0)
    about = {"about": "encryption"}
    assert said.notices == [
        {**about, "state": CaptionState.ENCRYPTED, "reason": "the agent has no key"},
        {**about, "state": CaptionState.AVAILABLE},
    ]
    assert said.attributes == {CAPTIONS: ""}
    assert not said.keys


async def test_a_key_that_does_not_fit_is_tried_again_and_they_are_named(said: Said) -> None:
    decryption = Decryption(has_key=True)
    looking = watch(said, decryption)
    decryption.told("eve", FAILED)
    for now in (0.0, 1.0, 4.9, 5.0, 6.0, 10.0):
        await looking.look(now)
    assert said.keys == [KEY.encode()] * 2
    decryption.told("eve", OK)
    await looking.look(30.0)
    assert len(said.keys) == 2
    first, _ = said.notices
    assert (first["reason"], first["participants"]) == ("the agent's key is not theirs", ("eve",))
    assert KEY not in repr(said.notices)


def test_without_a_key_the_room_is_joined_without_encryption() -> None:
    assert encryption_options(SecretStr("")) is None
    options = encryption_options(SecretStr(KEY))
    assert options
    assert options.key_provider_options.shared_key == KEY.encode()
    assert options.key_provider_options.ratchet_window_size == 0  # Else a core for a wrong key.


def read(room: str, job: str) -> RoomSettings:
    return read_room_settings(room, job, specs={}, defaults=(), allowed=())


def test_the_job_s_key_is_taken_and_no_agent_is_given_it() -> None:
    settings = read('{"title": "Weekly"}', json.dumps({"e2eeKey": KEY}))
    assert settings.e2ee_key.get_secret_value() == KEY
    assert settings.metadata == {"title": "Weekly"}
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("room", "job", "message"),
    [
        ({"e2eeKey": KEY}, {}, "room metadata: e2eeKey: everybody in the room can read it here"),
        ({}, {"e2eeKey": 7}, "job metadata: e2eeKey: must be a string, not a number"),
    ],
)
def test_a_key_in_the_wrong_place_or_form_is_refused_unshown(
    room: dict[str, Any], job: dict[str, Any], message: str
) -> None:
    with pytest.raises(RoomSettingsError) as caught:
        read(json.dumps(room), json.dumps(job))
    assert message in str(caught.value)
    assert KEY not in str(caught.value)


def test_broken_metadata_loses_no_key_of_the_job_and_takes_none_of_the_room() -> None:
    room, job = json.dumps({"e2eeKey": "theirs", "language": 7}), json.dumps({"e2eeKey": KEY})
    settings = fallback_settings(room, job, specs={}, defaults=())
    assert settings.e2ee_key.get_secret_value() == KEY
    assert "e2eeKey" not in settings.metadata


def test_the_process_s_key_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREFFIER_E2EE_KEY", KEY)
    settings = Settings.from_environment()
    assert settings.e2ee_key.get_secret_value() == KEY
    assert KEY not in repr(settings)
    assert not settings.store_encrypted_rooms


async def test_what_must_not_be_kept_is_known_while_the_meeting_lasts_and_on_no_disk(
    tmp_path: Path,
) -> None:
    ledger = await Ledger.open(
        "standup",
        1,
        started_at=100.0,
        journal_dir=tmp_path / "journal",
        stores=[FilesStore(tmp_path / "transcripts")],
        keep=False,
    )
    said = CaptionFinal(101.0, 102.0, "1-1", "ada", "Ada", "Nobody may keep this.")
    ledger.append_final(said)
    ledger.append("state", {"key": "a/b", "value": 1}, at=103.0)
    assert ledger.durable
    assert [caption.text for caption in await ledger.said()] == [said.text]
    assert ledger.state("a/b") == 1
    ledger.close()
    await ledger.run()
    ledger.release()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
