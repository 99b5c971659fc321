"""What a job says of its room with each heartbeat, and what its successor begins with."""

from __future__ import annotations

import json

from agents.room_state import RoomState, succeed

BEFORE = RoomState(
    sid="RM_1",
    meeting="weekly/RM_1",
    first="AD_1",
    dispatch="AD_2",
    metadata="m",
    identity="greffier-weekly",
    heard_until=90.0,
    agents=("metadata",),
    restarts=(80.0,),
    asked=3,
    silent=4.0,
    takeover_at=70.0,
)


def begin(before: RoomState | None, **facts: str) -> RoomState:
    own = {"sid": "RM_1", "meeting": "weekly/RM_1", "first": "AD_3", "dispatch": "AD_3"}
    return succeed(before, identity="greffier-weekly-e7", **{"metadata": "", **own, **facts})


def test_it_comes_back_from_json_as_it_was_also_from_another_version() -> None:
    kept = json.loads(json.dumps(BEFORE.as_dict()))
    assert RoomState.of(kept) == BEFORE
    assert RoomState.of({"sid": "RM_1", "of_a_later_version": 1}) == RoomState(sid="RM_1")


def test_the_dispatch_that_asked_first_is_remembered_through_every_successor() -> None:
    assert begin(None).first == "AD_3"
    assert begin(BEFORE).first == "AD_1"
    assert begin(begin(BEFORE), first="", dispatch="AD_4").first == "AD_1"


def test_a_room_that_was_made_anew_has_other_dispatches() -> None:
    assert begin(BEFORE, sid="RM_2").first == "AD_3"


def test_a_dispatch_of_our_own_is_never_the_first() -> None:
    anew = begin(BEFORE, sid="RM_2", first="", dispatch="AD_4")
    assert anew.first == ""
    assert begin(anew, sid="RM_2", first="", dispatch="AD_5").first == ""
    assert begin(anew, sid="RM_2", first="AD_6", dispatch="AD_6").first == "AD_6"


def test_a_successor_goes_on_where_the_one_before_had_heard_if_it_is_the_same_meeting() -> None:
    assert begin(BEFORE, sid="RM_2").heard_until == 90.0
    assert begin(BEFORE, meeting="weekly/RM_2").heard_until == 0.0


def test_deaths_count_on_and_what_was_asked_and_said_before_does_not() -> None:
    state = begin(BEFORE)
    assert state.restarts == (80.0,)
    assert (state.asked, state.silent, state.takeover_at) == (0, 0.0, 0.0)


def test_the_key_of_an_encrypted_room_is_not_where_leases_are_kept() -> None:
    for secret in ('{"e2eeKey": "k"}', '{"e2eeKey": "k"', "oops e2eeKey"):
        state = begin(None, metadata=secret)
        assert state.metadata is None
        assert secret not in json.dumps(state.as_dict())
    assert begin(None, metadata='{"language": "fr"}').metadata == '{"language": "fr"}'
