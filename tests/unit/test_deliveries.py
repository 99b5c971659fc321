"""One attempt to deliver: what is noted, what is tried again, and the key that stays the same."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from pydantic import SecretStr

from bench.summarised_meeting import summary_of, weekly
from pipelines.errors import RetryableError, StepError, StoreError
from pipelines.post_meeting.artefacts import FilesArtefacts, FilesArtefactStore
from pipelines.post_meeting.deliver.copies import CopySender
from pipelines.post_meeting.deliver.deliver import attempt, deliver
from pipelines.post_meeting.deliver.destination import Destination, Mailbox, parse_destinations
from pipelines.post_meeting.deliver.history import Delivery, read_delivery
from pipelines.post_meeting.deliver.mail import MailSender, build_message
from pipelines.post_meeting.deliver.parcel import Parcel, pack
from pipelines.post_meeting.deliver.sender import PartlySentError, Sent
from pipelines.post_meeting.deliver.webhook import payload
from pipelines.settings import Settings
from pipelines.transcript.stores.s3_access import S3Access

CRM = Destination("crm", "webhook", "https://crm.example.org/hook")
NO_S3 = S3Access(endpoint="", secure=True, region="", access_key="", secret_key=SecretStr(""))


@cache
def parcel(meeting: str = "m-1", seal: int = 1) -> Parcel:
    document = weekly(meeting, seal=seal)
    return pack(document, summary_of(document))


@dataclass
class ScriptedSender:
    """Does what the script says, one entry an attempt, and writes down what it was given."""

    script: list[Sent | Exception]
    keys: list[str] = field(default_factory=list)
    reached: list[tuple[str, ...]] = field(default_factory=list)

    async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:
        self.keys.append(key)
        self.reached.append(tuple(reached))
        done = self.script.pop(0)
        if isinstance(done, Exception):
            raise done
        return done

    async def aclose(self) -> None:
        pass


@pytest.fixture
def artefacts(tmp_path: Path) -> FilesArtefacts:
    return FilesArtefacts(tmp_path)


async def try_once(sender: ScriptedSender, artefacts: FilesArtefacts) -> Delivery:
    """Make one attempt and return what is known then; a failure is in the history."""
    clock = iter(range(1000, 2000))
    with suppress(StepError, StoreError):
        await attempt(
            parcel(), CRM, sender, artefacts=artefacts, timeout=5, now=lambda: float(next(clock))
        )
    known = await read_delivery(artefacts, CRM.name)
    assert known
    return known


async def test_what_is_delivered_is_noted_once_and_not_sent_again(
    artefacts: FilesArtefacts,
) -> None:
    sender = ScriptedSender([Sent("answered 200")])
    known = await try_once(sender, artefacts)
    assert known.delivered_at == "1970-01-01T00:16:41.000Z"
    assert await try_once(sender, artefacts) == known
    assert len(sender.keys) == 1
    assert await artefacts.names() == {"deliveries/crm.json"}


async def test_every_attempt_has_the_same_key_and_stands_in_the_history(
    artefacts: FilesArtefacts,
) -> None:
    away = RetryableError("destination_unreachable", "crm can't be reached")
    sender = ScriptedSender([away, StoreError("s3: slow down"), Sent("answered 204")])
    assert not (await try_once(sender, artefacts)).delivered_at
    await try_once(sender, artefacts)
    known = await try_once(sender, artefacts)
    assert [(one.outcome, one.told) for one in known.attempts] == [
        ("failed", "destination_unreachable: crm can't be reached"),
        ("failed", "s3: slow down"),
        ("delivered", "answered 204"),
    ]
    assert set(sender.keys) == {known.key}


async def test_an_attempt_whose_process_died_is_in_the_history(artefacts: FilesArtefacts) -> None:
    class Died(BaseException):
        pass

    class Dying(ScriptedSender):
        async def send(self, parcel: Parcel, *, key: str, reached: Collection[str]) -> Sent:
            raise Died

    with pytest.raises(Died):
        await try_once(Dying([]), artefacts)
    known = await try_once(ScriptedSender([Sent("answered 200")]), artefacts)
    assert [one.outcome for one in known.attempts] == [None, "delivered"]


async def test_a_delivery_that_could_not_be_noted_is_made_again_with_the_same_key(
    artefacts: FilesArtefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_name: str, _data: bytes) -> bool:
        raise StoreError("artefacts: disk full")

    sender = ScriptedSender([Sent("answered 200"), Sent("answered 200")])
    with monkeypatch.context() as patch:
        patch.setattr(artefacts, "put", full)
        assert not (await try_once(sender, artefacts)).delivered_at
    assert (await try_once(sender, artefacts)).delivered_at
    assert len(sender.keys) == 2
    assert len(set(sender.keys)) == 1


async def test_who_has_it_is_left_out_of_the_next_attempt(artefacts: FilesArtefacts) -> None:
    partly = PartlySentError("mail does not take it yet for 1 of 2", ("ada@example.org",))
    sender = ScriptedSender([partly, Sent("accepted for 1", ("alan@example.org",))])
    await try_once(sender, artefacts)
    known = await try_once(sender, artefacts)
    assert sender.reached == [(), ("ada@example.org",)]
    assert known.reached == ("ada@example.org", "alan@example.org")


async def test_a_mail_that_everybody_has_whom_settings_still_name_is_delivered() -> None:
    (team,) = parse_destinations(
        "team=smtp://127.0.0.1:1?from=minutes@example.org&to=ada@example.org"
    )
    sender = MailSender(team, SecretStr(""), timeout=1)  # Where no server is.
    sent = await sender.send(parcel(), key="k", reached=("ada@example.org", "alan@example.org"))
    assert sent == Sent("accepted before")


async def test_a_destination_that_settings_do_not_know_is_refused(
    artefacts: FilesArtefacts,
) -> None:
    with pytest.raises(StepError, match="unknown_destination: GREFFIER_DESTINATIONS has no 'crm'"):
        await deliver(parcel(), "crm", settings=Settings(), s3=NO_S3, artefacts=artefacts)


async def test_files_get_every_format_once(tmp_path: Path) -> None:
    settings = Settings(destinations=parse_destinations(f"archive=file://{tmp_path}/out%20put"))
    sent = parcel()
    for number in (1, 2):
        done = FilesArtefacts(tmp_path / f"seal-{number}")
        await deliver(sent, "archive", settings=settings, s3=NO_S3, artefacts=done)
    directory = tmp_path / "out put" / sent.directory
    assert {one.name: one.read_bytes() for one in directory.iterdir()} == sent.files
    assert set(sent.files) == {
        *("summary.json", "summary.md", "minutes.md", "minutes.html", "minutes.docx")
    }


async def test_a_copy_leads_nowhere_else_whatever_the_meeting_is_called(tmp_path: Path) -> None:
    sender = CopySender(FilesArtefactStore(tmp_path / "out"))
    await sender.send(parcel("../../etc/passwd"), key="", reached=())
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_the_key_tells_seals_meetings_and_destinations_apart_and_fits_a_header() -> None:
    parcels = (parcel(), parcel(seal=2), parcel("réunion\r\nx: y"))
    keys = {one.key(name) for one in parcels for name in ("crm", "mail")}
    assert len(keys) == 6
    assert all(key.isascii() and key.replace("-", "").replace("_", "").isalnum() for key in keys)


def test_a_webhook_says_the_same_each_time_and_nothing_that_the_check_dropped() -> None:
    assert payload(parcel()) == payload(parcel())
    message = json.loads(payload(parcel()))
    assert message["type"] == "meeting.minutes"
    assert message["timestamp"] == "2026-11-21T10:00:00.000Z"
    assert message["data"]["summary"]["overview"][0]["cites"] == ["s1", "s2"]
    assert message["data"]["summary_markdown"].startswith("### Overview")
    assert message["data"]["transcript"].startswith("[00:00] Ada Lovelace: ")
    assert "Margaret" not in payload(parcel())
    assert b"Margaret" not in b"".join(parcel().files.values())


def test_a_mail_has_the_minutes_and_no_header_from_the_rooms_name() -> None:
    document = weekly().model_copy(update={"room": "weekly\r\nBcc: eve@example.org"})
    box = Mailbox("h", 587, tls=False, user="", sender="minutes@example.org", to=("a@b.c",))
    sent = pack(document, summary_of(document))
    message = build_message(sent, box, key=sent.key("mail"))
    assert message["Bcc"] is None
    assert message["Subject"] == "Minutes: weekly Bcc: eve@example.org (2026-11-21)"
    assert message["Message-ID"] == f"<{sent.key('mail')}@example.org>"
    names = [part.get_filename() for part in message.iter_attachments()]
    assert names == ["minutes.docx", "minutes.html", "minutes.md"]
    body = message.get_body(("plain",))
    assert body
    assert "### Overview" in body.get_content()


def test_redacted_minutes_are_delivered_without_names() -> None:
    document = weekly()
    made = {"minutes.md": b"made before, with Ada's name"}
    sent = pack(document, summary_of(document), made, redact=True)
    everything = payload(sent).encode() + b"".join(
        data for name, data in sent.files.items() if name != "minutes.docx"
    )
    for name in (b"Ada", b"Hopper", b"Turing"):
        assert name not in everything
