"""Which dispatch is served, and under which identity."""

from __future__ import annotations

from livekit.protocol.models import ParticipantInfo

from agents.dispatch import JOB_KEY, Accept, Claim, Refuse, answer, ghosts

CLAIM = Claim("RM_1", "greffier", "")


def decide(**facts: object) -> Accept | Refuse:
    given = {"serving": set(), "present": set(), "epochs": [], "now": 5.0, **facts}
    return answer(CLAIM, room="standup", **given)  # type: ignore[arg-type] # a table of facts


def test_a_first_epoch_has_the_plain_identity() -> None:
    assert decide() == Accept("greffier-standup", 5001)


def test_an_empty_agent_name_reads_greffier() -> None:
    decided = answer(
        Claim("RM_1", "", ""), room="standup", serving=[], present=[], epochs=[], now=5.0
    )
    assert decided == Accept("greffier-standup", 5001)


def test_a_later_epoch_carries_its_number() -> None:
    assert decide(epochs=[7000]) == Accept("greffier-standup-e7001", 7001)


def test_an_identity_that_is_in_the_room_already_is_never_taken_again() -> None:
    assert decide(present={"greffier-standup"}) == Accept("greffier-standup-e5001", 5001)


def test_a_second_dispatch_of_what_is_served_is_refused() -> None:
    assert isinstance(decide(serving={CLAIM}), Refuse)


def test_another_recording_in_the_same_room_is_another_job() -> None:
    assert isinstance(decide(serving={Claim("RM_1", "greffier", "recording-1")}), Accept)


def person(identity: str, *, agent: bool = True, key: str = "") -> ParticipantInfo:
    kind = ParticipantInfo.Kind.AGENT if agent else ParticipantInfo.Kind.STANDARD
    return ParticipantInfo(identity=identity, kind=kind, attributes={JOB_KEY: key})


def test_only_what_earlier_epochs_of_this_job_left_is_a_ghost() -> None:
    listed = [
        person("greffier-standup"),
        person("greffier-standup-e12"),
        person("greffier-standup-e99"),
        person("greffier-standup-echo"),
        person("greffier-standup-e13", key="recording-1"),
        person("greffier-standup-e14", agent=False),
        person("other-standup"),
    ]
    found = ghosts(
        listed, agent_name="greffier", room="standup", job_key="", me="greffier-standup-e99"
    )
    assert found == ["greffier-standup", "greffier-standup-e12"]
