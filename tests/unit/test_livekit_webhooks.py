"""LiveKit's webhooks: what is taken, what is refused, and that a repetition changes nothing."""

from __future__ import annotations

import base64
import time
from datetime import timedelta
from pathlib import Path

import pytest
from livekit import api
from starlette.testclient import TestClient

from bench.livekit_webhook import authorization, event_body
from pipelines.errors import LeaseError, SettingsError
from pipelines.lease import NudgeKind
from pipelines.settings import Settings
from pipelines.webhooks.receiver import LONGEST, build_app, create_app
from pipelines.webhooks.taken import CLEAR_INTERVAL, REMEMBERED, FileTaken

KEY, SECRET = "key", "secret-of-32-characters-or-more-x"
URL = "/livekit/webhook"


class ListedNudges:
    """Rooms that somebody is to look at, in a list; away while ``away`` is set."""

    def __init__(self) -> None:
        self.rooms: list[str] = []
        self.kinds: list[NudgeKind] = []
        self.away = False

    async def nudge(self, room: str, kind: NudgeKind) -> None:
        if self.away:
            raise LeaseError("leases: no answer in time")
        self.kinds.append(kind)
        self.rooms.append(room)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def nudges() -> ListedNudges:
    return ListedNudges()


def receiver(nudges: ListedNudges, directory: Path) -> TestClient:
    taken = FileTaken(directory / "webhooks")
    return TestClient(build_app(KEY, SECRET, nudges=nudges, taken=taken))


def post(client: TestClient, body: bytes, token: str | None = None) -> int:
    signed = authorization(body, KEY, SECRET) if token is None else token
    headers = {"authorization": signed, "content-type": "application/webhook+json"}
    return client.post(URL, content=body, headers=headers).status_code


def unsigned(body: bytes) -> str:
    """Return a token of the algorithm `none`, which anybody can make."""
    _, claims, _ = authorization(body, KEY, SECRET).split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    return f"{head}.{claims}."


def test_a_room_that_opens_or_ends_or_that_somebody_comes_into_is_nudged(
    nudges: ListedNudges, tmp_path: Path
) -> None:
    client = receiver(nudges, tmp_path)
    kinds = ["room_started", "participant_joined", "room_finished"]
    for kind in kinds:
        assert post(client, event_body(kind, room="weekly", event_id=f"EV_{kind}")) == 200
    assert nudges.rooms == ["weekly"] * 3
    assert nudges.kinds == kinds


def test_an_event_that_means_nothing_here_is_taken_and_left_alone(
    nudges: ListedNudges, tmp_path: Path
) -> None:
    client = receiver(nudges, tmp_path)
    agent = {"identity": "greffier", "kind": "AGENT"}
    assert post(client, event_body("participant_joined", participant=agent)) == 200
    assert post(client, event_body("participant_left", event_id="EV_4")) == 200
    assert post(client, event_body("egress_ended", room="", event_id="EV_2")) == 200
    assert post(client, event_body("of_next_year", event_id="EV_3", brandNew={"x": 1})) == 200
    assert nudges.rooms == []
    assert not (tmp_path / "webhooks").exists(), "nothing of it is noted"


BODY = event_body()
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "token"),
    [
        pytest.param(BODY, "", id="no signature"),
        pytest.param(BODY, "Bearer nonsense", id="no token"),
        pytest.param(
            BODY, authorization(BODY, KEY, "another-secret-of-32-characters-x"), id="secret"
        ),
        pytest.param(BODY, authorization(BODY, "other", SECRET), id="api key"),
        pytest.param(BODY, authorization(b"{}", KEY, SECRET), id="another body's"),
        pytest.param(BODY, authorization(BODY, KEY, SECRET, valid=-HOUR), id="expired"),
        pytest.param(BODY, unsigned(BODY), id="algorithm none"),
        pytest.param(BODY, api.AccessToken(KEY, SECRET).to_jwt(), id="a participant's token"),
    ],
)
def test_what_livekit_did_not_sign_is_refused(
    nudges: ListedNudges, tmp_path: Path, body: bytes, token: str
) -> None:
    assert post(receiver(nudges, tmp_path), body, token) == 401
    assert nudges.rooms == []


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(event_body(created_at=time.time() - 7200), id="two hours old"),
        pytest.param(event_body(created_at=time.time() + 7200), id="of the future"),
        pytest.param(event_body(event_id=""), id="without an id"),
    ],
)
def test_a_signed_event_that_is_not_of_now_is_refused(
    nudges: ListedNudges, tmp_path: Path, body: bytes
) -> None:
    assert post(receiver(nudges, tmp_path), body) == 401
    assert nudges.rooms == []


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"\xff", b'{"id": 7, "event": []}'])
def test_a_signed_body_that_is_no_webhook_is_refused(
    nudges: ListedNudges, tmp_path: Path, body: bytes
) -> None:
    assert post(receiver(nudges, tmp_path), body) in {400, 401}
    assert nudges.rooms == []


def test_a_body_that_is_too_long_is_not_read_to_its_end(
    nudges: ListedNudges, tmp_path: Path
) -> None:
    body = event_body(padding="x" * LONGEST)
    assert post(receiver(nudges, tmp_path), body) == 413
    assert nudges.rooms == []


def test_a_repetition_changes_nothing_also_after_a_restart(
    nudges: ListedNudges, tmp_path: Path
) -> None:
    body = event_body()
    token = authorization(body, KEY, SECRET)
    answers = [post(receiver(nudges, tmp_path), body, token) for _ in range(3)]
    assert answers == [200, 200, 200]
    assert nudges.rooms == ["weekly"]


def test_a_webhook_that_can_not_be_kept_is_asked_for_again(
    nudges: ListedNudges, tmp_path: Path
) -> None:
    client = receiver(nudges, tmp_path)
    nudges.away = True
    assert post(client, BODY) == 503
    nudges.away = False
    assert post(client, BODY) == 200
    assert nudges.rooms == ["weekly"]


async def test_ids_are_forgotten_when_their_webhooks_are_refused_for_their_age(
    tmp_path: Path,
) -> None:
    late = 0.0
    taken = FileTaken(tmp_path / "webhooks", now=lambda: time.time() + late)
    await taken.add("EV_1")
    late = REMEMBERED + 1
    await taken.add("../EV_2")
    assert not await taken.has("EV_1")


async def test_what_is_noted_is_not_looked_through_with_every_webhook(tmp_path: Path) -> None:
    now = time.time() + REMEMBERED + 1
    taken = FileTaken(tmp_path / "webhooks", now=lambda: now)
    await taken.add("EV_1")  # Too old for this clock, and so gone with the next look at all.
    await taken.add("EV_2")
    assert not await taken.has("EV_1")
    assert await taken.has("EV_2")
    now += CLEAR_INTERVAL
    await taken.add("EV_3")
    assert not await taken.has("EV_2")


def test_no_receiver_without_a_key_to_check_signatures_with(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="LIVEKIT_API_KEY and LIVEKIT_API_SECRET"):
        create_app(Settings(data_dir=tmp_path))
