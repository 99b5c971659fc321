"""Which dispatch is served, and under which identity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.agent import Job
from livekit.protocol.models import ParticipantInfo, Room

from agents.answer import FULL, Accept, Claim, Refuse, answer, reported_load
from agents.identity import EPOCH, JOB_KEY, others
from agents.meeting_id import meeting_of
from agents.room_settings import RoomSettings

CLAIM = Claim("RM_1", "greffier", "")


def decide(**facts: object) -> Accept | Refuse:
    known = {"held": False, "serving": (), "present": (), "epochs": (), "now": 5.0, "most": 2}
    return answer(CLAIM, room="standup", **{**known, **facts})  # type: ignore[arg-type] # a table of facts


def test_a_first_epoch_has_the_plain_identity() -> None:
    assert decide() == Accept("greffier-standup", 5001)


def test_an_empty_agent_name_reads_greffier() -> None:
    decided = answer(
        Claim("RM_1", "", ""),
        room="standup",
        held=False,
        serving=[],
        present=[],
        epochs=[],
        now=5.0,
        most=2,
    )
    assert decided == Accept("greffier-standup", 5001)


def test_a_later_epoch_carries_its_number() -> None:
    assert decide(epochs=[7000]) == Accept("greffier-standup-e7001", 7001)


def test_an_identity_that_is_in_the_room_already_is_never_taken_again() -> None:
    assert decide(present={"greffier-standup"}) == Accept("greffier-standup-e5001", 5001)


def test_a_second_dispatch_of_what_is_served_is_refused() -> None:
    assert isinstance(decide(held=True), Refuse)


def test_where_nobody_tells_who_holds_the_lease_a_worker_knows_its_own_jobs() -> None:
    assert isinstance(decide(held=None, serving={CLAIM}), Refuse)
    assert isinstance(decide(held=None), Accept)


def test_of_two_dispatches_at_one_moment_the_earlier_one_is_served() -> None:
    assert isinstance(decide(ahead={CLAIM}), Refuse)
    assert isinstance(decide(ahead={Claim("RM_2", "greffier", "")}), Accept)


def test_a_job_that_no_longer_holds_its_lease_keeps_no_other_out() -> None:
    assert isinstance(decide(held=False, serving={CLAIM}, most=1), Accept)


def test_another_recording_in_the_same_room_is_another_job() -> None:
    assert isinstance(decide(serving={Claim("RM_1", "greffier", "recording-1")}), Accept)


def test_a_recordings_collector_serves_recordings_only() -> None:
    assert decide(recordings_only=True) == Refuse(
        "its metadata must be a recording id, a bare UUID", mistaken=True
    )
    claim = Claim("RM_1", "metadata-collector", "7f3c2f0e-6b1d-4d58-9a53-0c5b1f6b7a11")
    decided = answer(
        claim,
        room="standup",
        held=False,
        serving=[],
        present=[],
        epochs=[],
        now=5.0,
        most=1,
        recordings_only=True,
    )
    assert decided == Accept("metadata-collector-standup", 5001)


def test_a_recording_is_a_meeting_of_its_own_whatever_the_rooms_metadata_says() -> None:
    job = Job(room=Room(name="standup", sid="RM_1"))
    recorded = RoomSettings(agents={}, meeting_id="m1", recording_id="7f3c")
    assert meeting_of(job, recorded) == "recording-7f3c"
    assert meeting_of(job, RoomSettings(agents={}, meeting_id="m1")) == "m1"
    assert meeting_of(job, RoomSettings(agents={})) == "standup/RM_1"


def test_a_worker_that_is_full_leaves_a_dispatch_to_another_one() -> None:
    others = {Claim("RM_2", "greffier", ""), Claim("RM_3", "greffier", "")}
    decided = decide(serving=others)
    assert isinstance(decided, Refuse)
    assert decided.elsewhere
    assert decide(serving=others, held=True) != decided  # Nobody else serves what is served.


@given(st.integers(0, 5000), st.integers(1, 1000))
def test_the_load_grows_with_the_meetings_and_never_makes_livekit_drop_a_dispatch(
    meetings: int, most: int
) -> None:
    load = reported_load(meetings, most=most)
    assert load < FULL
    assert load <= reported_load(meetings + 1, most=most)


def test_when_nobody_can_be_asked_the_identity_is_one_that_no_ghost_has() -> None:
    assert decide(present=None) == Accept("greffier-standup-e5001", 5001)


def person(identity: str, *, epoch: int = 0, agent: bool = True, key: str = "") -> ParticipantInfo:
    kind = ParticipantInfo.Kind.AGENT if agent else ParticipantInfo.Kind.STANDARD
    attributes = {JOB_KEY: key, EPOCH: str(epoch)}
    return ParticipantInfo(identity=identity, kind=kind, attributes=attributes)


def test_only_other_epochs_of_this_job_are_its_ghosts_or_its_successors() -> None:
    listed = [
        person("greffier-standup", epoch=3),
        person("greffier-standup-e12", epoch=12),
        person("greffier-standup-e99", epoch=99),
        person("greffier-standup-echo"),
        person("greffier-standup-e13", key="recording-1"),
        person("greffier-standup-e14", agent=False),
        person("other-standup"),
    ]
    found = others(
        listed, agent_name="greffier", room="standup", job_key="", me="greffier-standup-e99"
    )
    assert found == {"greffier-standup": 3, "greffier-standup-e12": 12}
