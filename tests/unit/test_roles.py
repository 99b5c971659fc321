"""Who may do what: roles count only where somebody trusted gave them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agents.roles import ROLE_ATTRIBUTE, Role, role_of
from agents.rpc.methods import METHODS, RESOLVE

NOBODY: Mapping[str, str] = {}


def role(
    roles: Mapping[str, str] = NOBODY,
    attribute: str = "",
    *,
    may_update: bool = False,
    is_person: bool = True,
) -> Role:
    return role_of(
        "ada",
        roles=roles,
        attributes={ROLE_ATTRIBUTE: attribute} if attribute else {},
        may_update_attributes=may_update,
        is_person=is_person,
    )


def test_whom_nobody_names_is_an_attendee() -> None:
    assert role() is Role.ATTENDEE
    assert role({"bob": "owner"}) is Role.ATTENDEE


def test_metadata_that_names_an_attendee_names_everybody() -> None:
    assert role({"bob": "attendee"}) is Role.STRANGER
    assert role({"bob": "attendee"}, "owner") is Role.STRANGER
    assert role({"bob": "attendee", "ada": "moderator"}) is Role.MODERATOR


@pytest.mark.parametrize(
    ("attribute", "means"),
    [
        ("owner", Role.OWNER),
        ("administrator", Role.MODERATOR),
        ("member", Role.ATTENDEE),
        ("emperor", Role.ATTENDEE),
        ("agent", Role.ATTENDEE),
    ],
)
def test_an_attribute_counts_of_those_who_can_not_change_their_own(
    attribute: str, means: Role
) -> None:
    assert role({}, attribute) is means
    assert role({}, attribute, may_update=True) is Role.ATTENDEE


def test_whom_people_do_not_see_is_a_stranger_unless_metadata_names_it() -> None:
    def hidden(roles: Mapping[str, str]) -> Role:
        return role_of(
            "ada",
            roles=roles,
            attributes={ROLE_ATTRIBUTE: "owner"},
            may_update_attributes=False,
            is_person=True,
            is_seen=False,
        )

    assert hidden({}) is Role.STRANGER
    assert hidden({"ada": "moderator"}) is Role.MODERATOR


def test_metadata_wins_over_an_attribute() -> None:
    assert role({"ada": "attendee"}, "owner") is Role.ATTENDEE


def test_an_agent_is_no_person_whatever_names_it() -> None:
    assert role({"ada": "owner"}, "owner", is_person=False) is Role.AGENT
    assert not any(Role.AGENT.reaches(least) for least in Role)


TABLE = """
method              stranger attendee moderator owner agent
agent.status        no       yes      yes       yes   yes
agents.start        no       no       yes       yes   no
agents.stop         no       no       yes       yes   no
approval.list       no       yes      yes       yes   no
approval.resolve    no       yes      yes       yes   no
tools.call          no       yes      yes       yes   no
tools.list          no       yes      yes       yes   yes
transcript.correct  no       yes      yes       yes   no
transcript.history  no       yes      yes       yes   yes
"""


def test_each_method_admits_the_roles_of_the_table() -> None:
    names = ["method", *Role]
    rows = [
        [one.name, *("yes" if one.admits(role, None) else "no" for role in Role)]
        for one in sorted(METHODS, key=lambda one: one.name)
    ]
    assert [names, *rows] == [line.split() for line in TABLE.strip().splitlines()]


def test_a_room_raises_and_lowers_the_least_role() -> None:
    for method in METHODS:
        assert not method.admits(Role.MODERATOR, Role.OWNER)
        assert method.admits(Role.OWNER, Role.OWNER)
        assert method.admits(Role.AGENT, Role.OWNER) == method.agents
        assert method.admits(Role.ATTENDEE, Role.STRANGER)
        assert method.admits(Role.STRANGER, Role.STRANGER) == (method is not RESOLVE)
