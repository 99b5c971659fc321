"""What becomes of an approval, who is meant by a name, what is shown next: tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agents.approvals.addressees import Nobody, Person, addressee
from agents.approvals.approval import NEXT, Approval, State, replay
from agents.approvals.decision import Decision, step_of
from agents.approvals.queue import next_dialog, same_in_flight
from agents.rpc.errors import Code, RpcProblem
from pipelines.transcript.line import Line

PEOPLE = {"ada": "Ada Lovelace", "ada2": "ada byron", "grace": "Grace", "gh": "grace", "x": "Ada"}

WAYS: Mapping[State, tuple[State, ...]] = {
    State.REQUESTED: (),
    State.SHOWN: (State.SHOWN,),
    State.APPROVED: (State.SHOWN, State.APPROVED),
    State.MODIFIED: (State.MODIFIED,),
    State.REJECTED: (State.SHOWN, State.REJECTED),
    State.EXPIRED: (State.EXPIRED,),
    State.WITHDRAWN: (State.WITHDRAWN,),
    State.STARTED: (State.APPROVED, State.STARTED),
    State.DONE: (State.APPROVED, State.STARTED, State.DONE),
    State.FAILED: (State.APPROVED, State.FAILED),
    State.UNKNOWN: (State.APPROVED, State.STARTED, State.UNKNOWN),
    State.SETTLED: (State.APPROVED, State.STARTED, State.UNKNOWN, State.SETTLED),
}
"""By which steps each state is reached."""

_DATA: Mapping[State, dict[str, Any]] = {
    State.MODIFIED: {"arguments": {"text": "other"}},
    State.SETTLED: {"happened": True},
}


def line(event: str, number: int, *, epoch: int = 1, at: float = 1000.0, **data: Any) -> Line:
    return Line("m", epoch, number, "action", at, {"event": event, "id": "a", **data})


def asked(**fields: Any) -> Line:
    data: dict[str, Any] = {
        "tool": "post",
        "arguments": {"text": "hello"},
        "effects": "idempotent",
        "to": "ada",
        "name": "Ada",
        "asked_by": "bob",
        **fields,
    }
    return line("requested", 1, **data)


def lines(*states: State) -> list[Line]:
    steps = enumerate(states, start=2)
    return [asked(), *(line(state, n, **_DATA.get(state, {})) for n, state in steps)]


def approval(state: State = State.REQUESTED, **fields: Any) -> Approval:
    steps = [asked(**fields), *lines(*WAYS[state])[1:]]
    return replay(steps)[fields.get("id", "a")]


@pytest.mark.parametrize("state", State)
def test_a_state_is_left_by_the_steps_of_the_table_only(state: State) -> None:
    before = lines(*WAYS[state])
    for step in State:
        after = replay([*before, line(step, 9, **_DATA.get(step, {}))])["a"].state
        assert after is (step if step in NEXT[state] else state)


def test_of_two_jobs_decisions_the_first_counts_once_their_lines_are_together() -> None:
    first = [*lines(State.APPROVED, State.STARTED, State.DONE)]
    other = [line("rejected", 1, epoch=2), line("unknown", 2, epoch=2)]
    assert replay([*first, *other])["a"].state is State.DONE


def test_what_was_modified_is_what_is_done() -> None:
    assert approval(State.MODIFIED).arguments == {"text": "other"}


def test_lines_of_other_actions_and_of_later_versions_are_passed_over() -> None:
    odd = [line("ran", 2), line("nodded", 3), Line("m", 1, 4, "action", 1.0, {"event": "shown"})]
    assert replay([*lines(), *odd])["a"].state is State.REQUESTED


def test_time_to_decide_counts_from_the_first_showing_by_this_job() -> None:
    shown = replay([asked(), line("shown", 2, at=1030.0), line("shown", 1, epoch=2, at=1500.0)])
    assert shown["a"].expires_at(2, timeout=120, patience=600) == 1620.0
    assert shown["a"].expires_at(3, timeout=120, patience=600) == 2100.0
    assert approval().expires_at(1, timeout=120, patience=600) == 1600.0
    assert approval(State.APPROVED).expires_at(1, timeout=120, patience=600) is None


@pytest.mark.parametrize(
    ("wanted", "who"),
    [
        ("ada", "ada"),  # the identity goes before everything
        ("Grace", "grace"),  # then the exact name
        ("Ada", "x"),
        ("ADA BYRON", "ada2"),  # then the name in another case
        ("lovelace", "ada"),  # then a part of one name
        ("GRACE", None),  # two have it in another case
        ("a", None),
        ("", None),
        ("Linus", None),
    ],
)
def test_a_name_that_may_mean_two_means_nobody(wanted: str, who: str | None) -> None:
    found = addressee(wanted, PEOPLE)
    if who:
        assert found == Person(who, PEOPLE[who])
    else:
        assert isinstance(found, Nobody)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("decision", ["approve", "reject", "modify", "happened", "did_not_happen"])
def test_an_answer_counts_while_it_is_asked_for(state: State, decision: Decision) -> None:
    settles = decision in {"happened", "did_not_happen"}
    takes = {State.UNKNOWN} if settles else {State.REQUESTED, State.SHOWN}
    if state in takes:
        assert step_of(approval(state), "ada", decision) in NEXT[state]
        return
    with pytest.raises(RpcProblem) as refused:
        step_of(approval(state), "ada", decision)
    late = Code.EXPIRED if state in {State.EXPIRED, State.WITHDRAWN} else Code.ALREADY_DECIDED
    assert refused.value.code is (Code.CONFLICT if settles else late)


def test_nobody_but_the_addressee_decides_and_there_must_be_something_to_decide() -> None:
    for one, who, code in (
        (approval(), "bob", Code.NOT_ADDRESSED),
        (approval(), "Ada", Code.NOT_ADDRESSED),
        (None, "ada", Code.NOT_FOUND),
    ):
        with pytest.raises(RpcProblem) as refused:
            step_of(one, who, "approve")
        assert refused.value.code is code


def test_what_is_to_be_decided_is_shown_before_what_is_to_be_settled() -> None:
    unknown, done = approval(State.UNKNOWN), approval(State.DONE)
    first, second = approval(id="b"), approval(id="c")
    other = approval(id="d", to="grace")
    everything = [done, unknown, other, first, second]
    assert next_dialog(everything, "ada", asked=(), failed={}) is first
    assert next_dialog(everything, "ada", asked=(), failed={"b": 1}) is second
    assert next_dialog([done, unknown], "ada", asked=(), failed={}) is unknown
    assert next_dialog([done, unknown], "ada", asked=("a",), failed={}) is None


def test_the_same_is_the_same_tool_arguments_and_person_while_it_may_still_happen() -> None:
    there = [approval()]
    assert same_in_flight(there, "post", {"text": "hello"}, "ada") is there[0]
    assert same_in_flight(there, "post", {"text": "hello"}, "grace") is None
    assert same_in_flight(there, "post", {"text": "hello."}, "ada") is None
    assert same_in_flight(there, "mail", {"text": "hello"}, "ada") is None
    assert same_in_flight([approval(State.DONE)], "post", {"text": "hello"}, "ada") is None
