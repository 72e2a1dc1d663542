"""The registry against a model: whatever is done in whatever order, both say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from flask_chatix_comments.database import chatrooms, metadata
from flask_chatix_comments.errors import ChatroomTakenError, PostNotRegisteredError, RegistryError
from flask_chatix_comments.registry import Claim, RegistryEntry, RoomRegistry, RoomState, create_registry_engine
from flask_chatix_comments.registry_upkeep import follow_moves
from tests.databases import KINDS

if TYPE_CHECKING:
    from tests.databases import DatabaseServers

# Few, so that they meet; those of one letter differ only for who compares exactly.
POSTS = st.sampled_from(["a", "A", "a ", "á", "😀"])
ROOMS = st.sampled_from(["room-1", "room-2", "ROOM-1"])
TITLES = st.sampled_from(["One", "Two"])
STATES = st.sampled_from([RoomState.OPEN, RoomState.CLOSED, RoomState.DELETED])
LONG_S = 30.0


@dataclass(frozen=True)
class Row:
    """What the model knows of a post.

    Attributes:
        token: Of the claim that is held.
        has_lease: Whether the lease of that claim lasts.
    """

    chatroom_id: str | None
    title: str
    is_private: bool
    state: RoomState
    number: int
    token: str | None = None
    has_lease: bool = False

    @property
    def is_taken(self) -> bool:
        """Whether there is a chatroom, or somebody makes one."""
        return self.chatroom_id is not None or self.has_lease


def seen(entry: RegistryEntry) -> tuple[object, ...]:
    return (entry.chatroom_id, entry.title, entry.is_private, entry.state)


class Model(RuleBasedStateMachine):
    """Claims, records, links and the rest, on a registry and on a dictionary."""

    registry: RoomRegistry
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        with self.registry.database.engine.begin() as connection:
            connection.execute(sa.delete(chatrooms))
        self.rows: dict[str, Row] = {}

    def known(self, post_id: str) -> tuple[object, ...] | None:
        row = self.rows.get(post_id)
        return None if row is None else (row.chatroom_id, row.title, row.is_private, row.state)

    def owner_of(self, chatroom_id: str) -> str | None:
        return next((post_id for post_id, row in self.rows.items() if row.chatroom_id == chatroom_id), None)

    @rule(target=claims, post_id=POSTS, title=TITLES, is_private=st.booleans(), has_lease=st.booleans())
    def claim(self, post_id: str, title: str, is_private: bool, has_lease: bool) -> Claim | MultipleResults[Claim]:
        before = self.rows.get(post_id)
        lease_s = LONG_S if has_lease else 0
        taken = self.registry.claim(post_id, title=title, is_private=is_private, owner="me", lease_s=lease_s)
        if before is not None and (before.is_taken or before.state is RoomState.MOVED):
            assert isinstance(taken, RegistryEntry) and seen(taken) == self.known(post_id)
            return multiple()
        assert isinstance(taken, Claim)
        is_private = is_private or (before is not None and before.is_private)
        number = 1 if before is None else before.number + 1
        assert (taken.post_id, taken.title, taken.is_private, taken.number) == (post_id, title, is_private, number)
        self.rows[post_id] = Row(None, title, is_private, RoomState.CREATING, number, taken.token, has_lease)
        return taken

    @rule(post_id=POSTS)
    def end_lease(self, post_id: str) -> None:
        """Time passes, for one post."""
        with self.registry.database.engine.begin() as connection:
            has_lease = (chatrooms.c.post_id == post_id, chatrooms.c.claim_expires_at.is_not(None))
            connection.execute(sa.update(chatrooms).where(*has_lease).values(claim_expires_at=sa.text("0")))
        if post_id in self.rows:
            self.rows[post_id] = replace(self.rows[post_id], has_lease=False)

    @rule(claim=claims, chatroom_id=ROOMS, state=STATES, is_private=st.sampled_from([None, True]))
    def record(self, claim: Claim, chatroom_id: str, state: RoomState, is_private: bool | None) -> None:
        row = self.rows.get(claim.post_id)
        is_held = row is not None and row.token == claim.token
        owner = self.owner_of(chatroom_id)
        try:
            entry = self.registry.record(claim, chatroom_id, state=state, is_private=is_private)
        except ChatroomTakenError as exc:
            assert is_held and exc.owner == owner != claim.post_id
        except PostNotRegisteredError:
            assert row is None
        else:
            assert row is not None and not (is_held and owner)
            if is_held:
                private = row.is_private if is_private is None else is_private
                self.rows[claim.post_id] = Row(chatroom_id, row.title, private, state, row.number)
            assert seen(entry) == self.known(claim.post_id)

    @rule(claim=claims, room_may_exist=st.booleans())
    def release(self, claim: Claim, room_may_exist: bool) -> None:
        self.registry.release(claim, room_may_exist=room_may_exist)
        row = self.rows.get(claim.post_id)
        if row is None or row.token != claim.token:
            return
        if room_may_exist or claim.number > 1:
            self.rows[claim.post_id] = replace(row, token=None, has_lease=False)
        else:
            del self.rows[claim.post_id]

    @rule(post_id=POSTS, chatroom_id=ROOMS, title=TITLES, is_private=st.booleans(), state=STATES)
    def link(self, post_id: str, chatroom_id: str, title: str, is_private: bool, state: RoomState) -> None:
        row = self.rows.get(post_id)
        is_free = row is None or not row.is_taken
        owner = self.owner_of(chatroom_id)
        try:
            entry = self.registry.link(post_id, chatroom_id, title=title, is_private=is_private, state=state)
        except ChatroomTakenError as exc:
            assert exc.owner == owner != post_id
        else:
            assert owner in (None, post_id)
            if is_free:
                self.rows[post_id] = Row(chatroom_id, title, is_private, state, 1 if row is None else row.number)
            assert seen(entry) == self.known(post_id)

    @rule(post_id=POSTS, is_stale=st.booleans())
    def unlink(self, post_id: str, is_stale: bool) -> None:
        entry = self.registry.find(post_id)
        if entry is None:
            return
        if is_stale:
            entry = replace(entry, chatroom_id="room-of-before")
        is_met = not is_stale and entry.chatroom_id is not None
        assert self.registry.unlink(entry) is is_met
        if is_met:
            del self.rows[post_id]

    @rule(post_id=POSTS, is_stale=st.booleans())
    def vacate(self, post_id: str, is_stale: bool) -> None:
        entry = self.registry.find(post_id)
        if entry is None:
            return
        if is_stale:
            entry = replace(entry, chatroom_id="room-of-before")
        is_met = not is_stale and entry.chatroom_id is not None
        assert self.registry.vacate(entry) is is_met
        if is_met:
            self.rows[post_id] = replace(self.rows[post_id], chatroom_id=None, state=RoomState.CREATING)

    @rule(post_id=POSTS, new_id=POSTS, makes_way=st.booleans())
    def rename(self, post_id: str, new_id: str, makes_way: bool) -> None:
        entry, there = self.registry.find(post_id), self.registry.find(new_id)
        if entry is None or post_id == new_id:
            return
        instead_of = there if makes_way and there is not None and there.chatroom_id is not None else None
        row, in_the_way = self.rows[post_id], self.rows.get(new_id)
        is_free = instead_of is not None or in_the_way is None or not in_the_way.is_taken
        is_met = row.chatroom_id is not None and is_free
        assert self.registry.rename(entry, new_id, instead_of=instead_of) is is_met
        if is_met:
            self.rows[new_id] = row
            self.rows[post_id] = Row(None, new_id, row.is_private, RoomState.MOVED, 1)

    @rule(post_id=POSTS)
    def forget_move(self, post_id: str) -> None:
        entry = self.registry.find(post_id)
        if entry is None:
            return
        is_moved = self.rows[post_id].state is RoomState.MOVED
        assert self.registry.forget_move(entry) is is_moved
        if is_moved:
            del self.rows[post_id]

    @rule(
        post_id=POSTS,
        title=st.none() | TITLES,
        is_private=st.none() | st.booleans(),
        state=st.none() | STATES,
        is_stale=st.sampled_from([None, False, True]),
    )
    def update(
        self,
        post_id: str,
        title: str | None,
        is_private: bool | None,
        state: RoomState | None,
        is_stale: bool | None,
    ) -> None:
        row = self.rows.get(post_id)
        expected = None if is_stale is None else self.registry.find(post_id)
        if expected is not None and is_stale:
            expected = replace(expected, chatroom_id="room-of-before")
        try:
            entry = self.registry.update(post_id, title=title, is_private=is_private, state=state, expected=expected)
        except PostNotRegisteredError:
            assert row is None or row.chatroom_id is None
        except RegistryError:
            assert row is not None and is_stale
        else:
            assert row is not None and not is_stale
            given: dict[str, Any] = {"title": title, "is_private": is_private, "state": state}
            self.rows[post_id] = replace(row, **{name: value for name, value in given.items() if value is not None})
            assert seen(entry) == self.known(post_id)

    @rule(post_id=POSTS, chatroom_id=ROOMS)
    def look(self, post_id: str, chatroom_id: str) -> None:
        entry = self.registry.find(post_id)
        assert (None if entry is None else seen(entry)) == self.known(post_id)
        found = self.registry.find_chatroom(chatroom_id)
        assert (None if found is None else found.post_id) == self.owner_of(chatroom_id)

    @invariant()
    def all_is_as_it_should_be(self) -> None:
        entries = self.registry.entries()
        assert [(entry.post_id, *seen(entry)) for entry in entries] == [
            (post_id, *(self.known(post_id) or ())) for post_id in sorted(self.rows)
        ]
        rooms = [entry.chatroom_id for entry in entries if entry.chatroom_id is not None]
        assert len(rooms) == len(set(rooms)), "two posts share a thread"
        without = (RoomState.CREATING, RoomState.MOVED)
        assert all((entry.chatroom_id is None) == (entry.state in without) for entry in entries)
        # Whoever was moved is found, never in a circle.
        for entry in entries:
            _, now = follow_moves(self.registry.find, entry.post_id)
            assert now is None or now.state is not RoomState.MOVED


@pytest.fixture(params=KINDS)
def model(
    request: pytest.FixtureRequest, database_servers: DatabaseServers, tmp_path: Path
) -> Iterator[type[RuleBasedStateMachine]]:
    """The model beside a registry in each kind of database."""
    is_sqlite = request.param == "sqlite"
    url = "sqlite://" if is_sqlite else database_servers.fresh_url(request.param, tmp_path)
    registry = RoomRegistry(create_registry_engine(url))
    registry.entries()
    yield type("ModelAndRegistry", (Model,), {"registry": registry})
    if not is_sqlite:
        metadata.drop_all(registry.database.engine)
    registry.close()


def test_the_registry_does_what_the_model_does(
    model: type[RuleBasedStateMachine], request: pytest.FixtureRequest
) -> None:
    examples = 25 if "sqlite" in request.node.name else 5
    run_state_machine_as_test(
        model,
        settings=hypothesis.settings(
            max_examples=examples, stateful_step_count=25, deadline=None, database=None, derandomize=False
        ),
    )
