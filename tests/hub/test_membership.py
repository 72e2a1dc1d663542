"""Holds: what makes a visitor a member, and when that ends."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from flask_chatix_comments.hub.membership import BY_API, EARLIER, Membership
from flask_chatix_comments.models import Profile


@pytest.fixture
def membership() -> Membership:
    membership = Membership()
    membership.enter(Profile("ada"), {})
    membership.connect("ada", "tab-1")
    return membership


def leave(membership: Membership, connection_id: str, *, spare_api: bool = False) -> bool:
    ends = membership.would_end("ada", "room", connection_id=connection_id, spare_api=spare_api)
    membership.leave("ada", "room", connection_id=connection_id, spare_api=spare_api)
    assert membership.is_member("ada", "room") is not ends
    return ends


def test_join_and_leave(membership: Membership) -> None:
    assert not membership.is_member("ada", "room")
    membership.join("tab-1", "room")
    assert membership.is_member("ada", "room")
    assert list(membership.connections_in("room")) == ["tab-1"]
    assert leave(membership, "tab-1")
    assert list(membership.connections_in("room")) == []
    assert membership.is_present("ada")


def test_all_connections_of_a_member_hear(membership: Membership) -> None:
    membership.connect("ada", "tab-2")
    membership.join("tab-1", "room")
    assert sorted(membership.connections_in("room")) == ["tab-1", "tab-2"]


def test_two_tabs(membership: Membership) -> None:
    membership.connect("ada", "tab-2")
    membership.join("tab-1", "room")
    membership.join("tab-2", "room")
    assert not leave(membership, "tab-1")
    assert leave(membership, "tab-2")


def test_a_leave_withdraws_the_closed_ones_too(membership: Membership) -> None:
    membership.join("tab-1", "room")
    membership.disconnect("tab-1", until=60)
    membership.connect("ada", "tab-2")
    membership.join("tab-2", "room")
    assert leave(membership, "tab-2")


def test_a_late_goodbye_of_a_closed_tab_leaves_the_open_one_in(membership: Membership) -> None:
    membership.join("tab-1", "room")
    membership.disconnect("tab-1", until=60)
    membership.connect("ada", "tab-2")
    membership.join("tab-2", "room")
    assert not leave(membership, "tab-1", spare_api=True)


def test_a_dropped_connection_holds_for_a_while(membership: Membership) -> None:
    membership.join("tab-1", "room")
    membership.disconnect("tab-1", until=60)
    assert membership.is_present("ada")
    assert not membership.is_online("ada")
    assert membership.expired(59.9) == []
    assert membership.expired(60) == [("ada", "room")]
    membership.expel("ada", "room")
    assert not membership.is_present("ada")
    assert membership.expired(1e9) == []


def test_a_connection_that_has_joined_nothing_keeps_up_the_dropped_ones(membership: Membership) -> None:
    """chatix-core reconnects by itself, and never joins again."""
    membership.join("tab-1", "room")
    membership.disconnect("tab-1", until=60)
    membership.connect("ada", "tab-1-again")
    assert membership.expired(1e9) == []
    membership.join("tab-1-again", "other")
    assert membership.expired(1e9) == [("ada", "room")]


def test_one_that_lasts_is_left_to_the_store_when_nobody_is_here(membership: Membership) -> None:
    membership.join("tab-1", "room")
    membership.disconnect("tab-1", until=math.inf)
    assert not membership.is_present("ada")
    assert list(membership.connections_in("room")) == []
    membership.enter(Profile("ada"), {"room": (EARLIER, math.inf)})
    membership.connect("ada", "tab-2")
    assert membership.is_member("ada", "room")
    assert leave(membership, "tab-2")


def test_the_api_lets_in_until_the_visitor_joins(membership: Membership) -> None:
    membership.admit("ada", "room")
    assert membership.is_held_by_api("ada", "room")
    assert not leave(membership, "another-page", spare_api=True)
    membership.join("tab-1", "room")
    assert not membership.is_held_by_api("ada", "room")
    assert leave(membership, "tab-1", spare_api=True)


def test_a_leave_gives_up_what_the_api_gave(membership: Membership) -> None:
    membership.admit("ada", "room")
    assert leave(membership, "tab-1")
    assert not membership.is_held_by_api("ada", "room")


def test_who_is_not_here_is_not_changed() -> None:
    membership = Membership()
    membership.admit("nobody", "room")
    membership.expel("nobody", "room")
    membership.set_profile(Profile("nobody"))
    membership.disconnect("no-connection", until=1)
    assert membership.would_end("nobody", "room", connection_id="x", spare_api=False)
    assert not membership.has_expired("nobody", "room", 1e9)
    assert not membership.is_present("nobody")
    assert not membership.is_held_by_api("nobody", "room")
    assert membership.profile("nobody") is None
    assert membership.connections_of("nobody") == ()
    assert membership.chatrooms_of("nobody") == ()


def test_profiles(membership: Membership) -> None:
    membership.set_profile(Profile("ada", name="Ada"))
    assert membership.profile("ada") == Profile("ada", name="Ada")
    assert membership.connections_of("ada") == ("tab-1",)
    membership.join("tab-1", "room")
    assert membership.chatrooms_of("ada") == ("room",)


ROOMS = st.sampled_from(["r1", "r2"])
TABS = st.sampled_from(["t1", "t2", "t3"])


class OneVisitor(RuleBasedStateMachine):
    """One visitor's tabs against the rule as it is written: a member is who has a hold."""

    def __init__(self) -> None:
        super().__init__()
        self.membership = Membership()
        self.now = 0.0
        self.open: set[str] = set()
        self.holds: dict[str, dict[str, float]] = {"r1": {}, "r2": {}}
        self.serial = itertools.count(1)
        self.connection_of = {"t1": "never-1", "t2": "never-2", "t3": "never-3"}

    @rule(tab=TABS)
    def connect(self, tab: str) -> None:
        if self.connection_of[tab] in self.open:
            return
        # A tab's next connection has another id: what the old one held is a closed connection's.
        connection_id = self.connection_of[tab] = f"{tab}-{next(self.serial)}"
        if not self.membership.is_present("ada"):
            self.membership.enter(Profile("ada"), {})
        self.membership.connect("ada", connection_id)
        self.open.add(connection_id)

    @rule(tab=TABS, room=ROOMS)
    def join(self, tab: str, room: str) -> None:
        connection_id = self.connection_of[tab]
        if connection_id in self.open:
            self.membership.join(connection_id, room)
            self.holds[room].pop(BY_API, None)
            self.holds[room][connection_id] = math.inf

    @rule(tab=TABS, room=ROOMS, spare_api=st.booleans())
    def leave(self, tab: str, room: str, spare_api: bool) -> None:
        connection_id = self.connection_of[tab]
        if self.membership.is_member("ada", room):
            self.membership.leave("ada", room, connection_id=connection_id, spare_api=spare_api)
            self.holds[room] = {
                held_by: until
                for held_by, until in self.holds[room].items()
                if (held_by in self.open and held_by != connection_id) or (spare_api and held_by == BY_API)
            }
            self.leave_what_lasts_to_the_store()

    @rule(room=ROOMS)
    def admit(self, room: str) -> None:
        if self.membership.is_present("ada"):
            self.membership.admit("ada", room)
            self.holds[room][BY_API] = math.inf

    @rule(tab=TABS)
    def drop(self, tab: str) -> None:
        connection_id = self.connection_of[tab]
        if connection_id in self.open:
            self.open.discard(connection_id)
            for held in self.holds.values():
                if connection_id in held:
                    held[connection_id] = self.now + 60
            self.membership.disconnect(connection_id, until=self.now + 60)
            self.leave_what_lasts_to_the_store()

    def leave_what_lasts_to_the_store(self) -> None:
        if not self.membership.is_present("ada"):
            assert not self.open
            assert all(until == math.inf for held in self.holds.values() for until in held.values())
            self.holds = {"r1": {}, "r2": {}}

    @rule(seconds=st.sampled_from([1.0, 59.0, 60.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for _, room in self.membership.expired(self.now):
            self.membership.expel("ada", room)
        joined = {held_by for held in self.holds.values() for held_by in held}
        if self.open <= joined:
            for room, held in self.holds.items():
                if held and all(until <= self.now for until in held.values()):
                    self.holds[room] = {}
        self.leave_what_lasts_to_the_store()

    @invariant()
    def members_are_who_has_a_hold(self) -> None:
        for room, held in self.holds.items():
            assert self.membership.is_member("ada", room) is bool(held)
            assert set(self.membership.connections_in(room)) == (self.open if held else set())

    @invariant()
    def nothing_is_kept_of_who_is_gone(self) -> None:
        if not self.open and not any(self.holds.values()):
            assert not self.membership.connections_of("ada")


TestOneVisitor = OneVisitor.TestCase
TestOneVisitor.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
