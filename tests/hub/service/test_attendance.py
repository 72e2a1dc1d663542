"""Joining, leaving, dropping and coming back; who is told of whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import ChatroomNotFoundError, StoreError
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.service import attendance
from flask_chatix_comments.hub.service.drafts import Draft
from flask_chatix_comments.hub.store.base import Hold
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import Clock, World

pytestmark = pytest.mark.anyio


async def test_join_and_leave_are_idempotent(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.leave(room)
    await ada.join(room)
    await ada.join(room)
    assert await world.members(room) == ["ada"]
    await ada.leave(room)
    await ada.leave(room)
    assert await world.members(room) == []


async def test_two_tabs_on_one_post(world: World) -> None:
    room = await world.room()
    one, two = await world.connect("ada"), await world.connect("ada")
    await one.join(room)
    await two.join(room)
    await one.leave(room)
    assert await world.members(room) == ["ada"]
    assert (await two.post(room))["seq"] == 1
    await two.leave(room)
    assert await world.members(room) == []


async def test_who_drops_is_a_member_for_the_grace_time(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    await world.pass_time(59)
    assert await world.members(room) == ["ada"]
    await world.pass_time(1)
    assert await world.members(room) == []
    assert not world.membership.is_present("ada")


async def test_two_looks_at_the_time_at_once_end_a_membership_once(make_world: Callable[..., World]) -> None:
    world = make_world(presence="members")
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await ada.join(room)
    await bob.join(room)
    ada.drop()
    world.clock.advance(60)
    await asyncio.gather(world.service.tick(), world.service.tick())
    assert len(bob.heard("OnDisconnectVisitorFromChatroom")) == 1
    assert await world.members(room) == ["bob"]


async def test_who_comes_back_in_time_stays(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    await world.pass_time(30)
    again = await world.connect("ada")
    await again.join(room)
    await world.pass_time(1000)
    assert await world.members(room) == ["ada"]


async def test_an_sdk_that_comes_back_does_not_join_again(world: World) -> None:
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await ada.join(room)
    await bob.join(room)
    ada.drop()
    again = await world.connect("ada")
    await world.pass_time(1000)
    await bob.post(room)
    assert len(again.heard("ApplyChatroomMessage")) == 1
    await again.leave(room)
    assert await world.members(room) == ["bob"]


async def test_a_visitor_by_get_id_is_a_member_for_good(world: World) -> None:
    room = await world.room()
    stranger = await world.connect_stranger()
    await stranger.join(room)
    ticket = stranger.caller.ticket_text
    stranger.drop()
    await world.pass_time(1e6)
    assert await world.members(room) == [stranger.visitor_id]
    assert not world.membership.is_present(stranger.visitor_id)
    again = await world.connect_with(ticket)
    listed = await again.call("GetMyChatrooms", 100, 1, False)
    assert [item["id"] for item in listed["items"]] == [room]
    await world.post_by_api(room)
    assert len(again.heard("ApplyChatroomMessage")) == 1
    await again.leave(room)
    assert await world.members(room) == []


async def test_after_a_restart_those_who_were_here_have_the_grace_time(
    store: SqlStore, clock: Clock, config: HubConfig
) -> None:
    before = World(config, store, clock)
    room, private = await before.room(), await before.room(is_private=True)
    for name in ("ada", "bob"):
        visit = await before.connect(name, name=name.title(), is_persistent=name == "bob")
        await visit.join(room)
    stranger = await before.connect_stranger()
    await stranger.join(room)
    await before.service.attendance.admit("carol", private)

    after = World(config, store, clock)
    await after.service.start()
    clock.advance(30)
    ada = await after.connect("ada")
    await ada.join(room)
    await after.pass_time(30)
    assert await after.members(room) == sorted(["ada", stranger.visitor_id])
    assert await after.members(private) == ["carol"]


async def test_who_connects_before_the_hub_has_taken_up_is_not_entered_twice(
    store: SqlStore, clock: Clock, config: HubConfig
) -> None:
    before = World(config, store, clock)
    room = await before.room()
    visit = await before.connect("ada")
    await visit.join(room)
    after = World(config, store, clock)
    ada = await after.connect("ada")
    await ada.join(room)
    await after.service.start()
    await after.pass_time(1000)
    assert await after.members(room) == ["ada"]


# What a page's beacon says, and the API


async def test_a_beacon_withdraws_its_own_connection_only(world: World) -> None:
    room = await world.room()
    one, two = await world.connect("ada"), await world.connect("ada")
    await one.join(room)
    await two.join(room)
    one.drop()
    await world.service.attendance.withdraw("ada", room, one.caller.connection_id)
    assert await world.members(room) == ["ada"]
    await world.service.attendance.withdraw("ada", room, "unknown")
    assert await world.members(room) == ["ada"]
    await world.service.attendance.withdraw("ada", room, two.caller.connection_id)
    assert await world.members(room) == []
    await world.service.attendance.withdraw("ada", room, two.caller.connection_id)


async def test_a_beacon_for_a_page_that_is_gone_ends_the_membership_at_once(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    await world.service.attendance.withdraw("ada", room, ada.caller.connection_id)
    assert await world.members(room) == []


async def test_a_late_beacon_never_takes_out_who_came_back(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    again = await world.connect("ada")
    await again.join(room)
    await world.service.attendance.withdraw("ada", room, ada.caller.connection_id)
    assert await world.members(room) == ["ada"]
    assert (await again.post(room))["seq"] == 1


async def test_a_late_beacon_does_not_take_a_permission_for_the_next_page(world: World) -> None:
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    await world.service.attendance.admit("ada", room)
    await world.service.attendance.withdraw("ada", room, ada.caller.connection_id)
    assert await world.members(room) == ["ada"]
    again = await world.connect("ada")
    await again.join(room)


async def test_a_beacon_for_a_visitor_who_is_not_here(world: World) -> None:
    room = await world.room()
    stranger = await world.connect_stranger()
    await stranger.join(room)
    stranger.drop()
    await world.service.attendance.admit("carol", room)
    await world.service.attendance.withdraw(stranger.visitor_id, room, "old")
    await world.service.attendance.withdraw("carol", room, "old")
    await world.service.attendance.withdraw("nobody", room, "old")
    assert await world.members(room) == ["carol"]


async def test_whoever_is_offline_can_be_taken_out_and_nobody_else(world: World) -> None:
    room = await world.room()
    stranger, ada, kim = await world.connect_stranger(), await world.connect("ada"), await world.connect("kim")
    for visit in (stranger, ada, kim):
        await visit.join(room)
        await visit.post(room)
    expel = world.service.attendance.expel_offline
    assert await expel(stranger.visitor_id, room) is True
    # One is not waited for any more, the other for a while yet.
    stranger.drop()
    ada.drop()
    assert [await expel(one, room) for one in (stranger.visitor_id, "ada", "kim", "nobody")] == [
        False,
        False,
        True,
        False,
    ]
    assert await world.members(room) == ["kim"]
    assert len(kim.heard("OnDisconnectVisitorFromChatroom")) == 2
    with pytest.raises(ChatroomNotFoundError):
        await expel("kim", "nowhere")


async def test_who_came_back_without_joining_again_stays(world: World) -> None:
    """chatix-core connects again by itself, and never joins again."""
    room = await world.room()
    stranger = await world.connect_stranger()
    await stranger.join(room)
    stranger.drop()
    again = await world.connect_with(stranger.caller.ticket_text)
    assert await world.service.attendance.expel_offline(stranger.visitor_id, room) is True
    assert (await again.post(room))["seq"] == 1


async def test_a_permission_that_has_not_been_used_is_not_taken_from_who_is_offline(world: World) -> None:
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    assert await world.service.attendance.expel_offline("ada", room) is True
    # Here for a moment, for another chatroom, and gone again.
    ada = await world.connect("ada")
    await ada.join(await world.room())
    ada.drop()
    assert await world.service.attendance.expel_offline("ada", room) is True
    ada = await world.connect("ada")
    await ada.join(room)
    ada.drop()
    assert await world.service.attendance.expel_offline("ada", room) is False
    assert await world.members(room) == []


async def test_private_chatrooms_are_joined_by_the_api_only(world: World) -> None:
    room = await world.room(is_private=True)
    ada = await world.connect("ada")
    refused = {"is_success": False, "description": "There is no such chatroom."}
    assert await ada.call("ConnectToChatroom", room) == refused
    await world.service.attendance.admit("ada", room)
    await world.service.attendance.admit("ada", room)
    assert (await ada.post(room))["seq"] == 1
    await ada.join(room)
    await ada.leave(room)
    assert await ada.call("ConnectToChatroom", room) == refused
    with pytest.raises(ChatroomNotFoundError):
        await world.service.attendance.admit("ada", "nowhere")
    await world.service.chatrooms.delete(room)
    with pytest.raises(ChatroomNotFoundError):
        await world.service.attendance.admit("ada", room)


async def test_a_permission_outlives_a_restart_until_it_is_used(
    store: SqlStore, clock: Clock, config: HubConfig
) -> None:
    before = World(config, store, clock)
    room = await before.room(is_private=True)
    await before.service.attendance.admit("ada", room)
    after = World(config, store, clock)
    await after.service.start()
    await after.pass_time(1000)
    ada = await after.connect("ada")
    assert await store.memberships("ada") == {room: Hold.API}
    await ada.join(room)
    assert await store.memberships("ada") == {room: Hold.GRACE}
    ada.drop()
    await after.pass_time(60)
    assert await after.members(room) == []


async def test_the_api_takes_a_visitor_out_whatever_holds_it(world: World) -> None:
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    one, two = await world.connect("ada"), await world.connect("ada")
    await one.join(room)
    await world.service.attendance.expel("ada", room)
    assert await world.members(room) == []
    # Its pages are told, since they did not do it themselves.
    for visit in (one, two):
        events = visit.heard("OnDisconnectVisitorFromChatroom")
        assert events == [["OnDisconnectVisitorFromChatroom", {"uuid": "ada", "name": None, "is_online": True}, room]]
    assert await one.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room) == "There is no such chatroom."
    await world.service.attendance.expel("ada", room)
    await world.service.attendance.admit("offline", room)
    await world.service.attendance.expel("offline", room)
    assert await world.members(room) == []
    for call in (
        world.service.attendance.expel("ada", "nowhere"),
        world.service.attendance.withdraw("ada", "nowhere", "x"),
        world.service.attendance.list_members("nowhere", page=1, items_per_page=1),
    ):
        with pytest.raises(ChatroomNotFoundError):
            await call


async def test_many_at_once_end_as_the_last_word_says(world: World) -> None:
    room = await world.room()
    visits = [await world.connect("ada") for _ in range(10)]
    await asyncio.gather(*(visit.join(room) for visit in visits))
    await asyncio.gather(*(visit.leave(room) for visit in visits[1:]), visits[0].join(room))
    assert await world.members(room) == ["ada"]
    assert list(await world.store.memberships("ada")) == [room]
    await asyncio.gather(visits[0].leave(room), world.service.attendance.expel("ada", room))
    assert await world.members(room) == []


async def test_a_join_that_cannot_be_stored_is_no_join(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.room()
    ada = await world.connect("ada")

    async def fail(*_: Any, **__: Any) -> None:
        raise StoreError("no")

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "put_member", fail)
        assert "could not store" in await ada.refusal("ConnectToChatroom", room)
    assert await ada.refusal("GetChatroomHistory", room, None, 1) == "Join the chatroom first."
    await ada.join(room)


# Who is told of whom


async def test_readers_are_counted_together_not_named(world: World) -> None:
    room = await world.room()
    visits = [await world.connect(f"reader-{number}") for number in range(5)]
    for visit in visits:
        await visit.join(room)
    await world.service.tick()
    for visit in visits:
        assert visit.heard() == [["OnChatroomPresence", room, 5]]
    await visits[0].leave(room)
    await visits[1].leave(room)
    await world.service.tick()
    await world.service.tick()
    assert visits[4].heard()[1:] == [["OnChatroomPresence", room, 3]]
    assert len(visits[0].heard()) == 1
    members = await visits[4].call("GetChatroomVisitors", room, 50, 1)
    assert members == {"items": [], "page": 1, "items_per_page": 50}


async def test_only_those_who_have_posted_are_named(world: World) -> None:
    room = await world.room()
    ada, bob = await world.connect("ada", name="Ada"), await world.connect("bob", name="Bob")
    await bob.join(room)
    await ada.join(room)
    await ada.post(room)
    await ada.leave(room)
    await ada.join(room)
    member = {"uuid": "ada", "name": "Ada", "is_online": True}
    assert bob.heard("OnConnectVisitorToChatroom", "OnDisconnectVisitorFromChatroom") == [
        ["OnDisconnectVisitorFromChatroom", member, room],
        ["OnConnectVisitorToChatroom", member, room],
    ]
    assert ada.heard("OnConnectVisitorToChatroom", "OnDisconnectVisitorFromChatroom") == []
    assert (await bob.call("GetChatroomVisitors", room, 50, 1))["items"] == [member]
    ada.drop()
    await world.pass_time(60)
    assert bob.heard("OnDisconnectVisitorFromChatroom")[1:] == [
        ["OnDisconnectVisitorFromChatroom", {**member, "is_online": False}, room]
    ]


async def test_members_mode_names_everybody(make_world: Callable[..., World]) -> None:
    world = make_world(presence="members")
    room = await world.room()
    bob = await world.connect("bob")
    await bob.join(room)
    ada, boss = await world.connect("ada", name="Ada"), await world.connect("boss", name="Boss", is_manager=True)
    await ada.join(room)
    await boss.join(room)
    await boss.leave(room)
    names = [[event[0], event[1]["uuid"]] for event in bob.heard()]
    assert names == [
        ["OnConnectVisitorToChatroom", "ada"],
        ["OnConnectManagerToChatroom", "boss"],
        ["OnDisconnectManagerFromChatroom", "boss"],
    ]
    listed = await bob.call("GetChatroomVisitors", room, 50, 1)
    assert [item["uuid"] for item in listed["items"]] == ["ada", "bob"]
    # Wire order is items per page, then page (Q3 in docs/sdk-quirks.md).
    second = await bob.call("GetChatroomVisitors", room, 1, 2)
    assert [item["uuid"] for item in second["items"]] == ["bob"]


async def test_where_presence_is_off_nobody_is_told_anything(make_world: Callable[..., World]) -> None:
    world = make_world(presence="off")
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await bob.join(room)
    await ada.join(room)
    await ada.post(room)
    await ada.leave(room)
    await world.service.tick()
    assert [event[0] for event in bob.heard()] == ["ApplyChatroomMessage"]
    assert (await bob.call("GetChatroomVisitors", room, 50, 1))["items"] == []
    assert (await bob.call("GetVisitorByVisitor", "ada"))["is_online"] is False


async def test_strangers_do_not_stay_in_a_room_that_becomes_private(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendance, "MEMBERS_PER_PAGE", 2)
    room = await world.room()
    ada, boss = await world.connect("ada"), await world.connect("boss", is_manager=True, is_persistent=True)
    stranger, gone = await world.connect_stranger(), await world.connect_stranger()
    for visit in (ada, boss, stranger, gone):
        await visit.join(room)
    gone.drop()
    await world.service.attendance.admit("guest", room)
    guest = await world.connect("guest")
    assert len(await world.members(room)) == 5
    for visit in (ada, boss, stranger, guest):
        visit.forget_events()
    await world.service.chatrooms.update(room, {"is_private": True, "title": "Secret"})
    assert sorted(await world.members(room)) == ["boss", "guest"]
    for visit in (ada, stranger):
        # They hear that they are out, and nothing else.
        ((target, who, where),) = visit.heard()
        assert (target, who["uuid"], where) == ("OnDisconnectVisitorFromChatroom", visit.caller.own_id, room)
    assert "OnUpdateChatroom" in [event[0] for event in guest.heard()]
    await boss.post(room, "among us")
    assert len(ada.heard()) == len(stranger.heard()) == 1
    for visit in (ada, stranger):
        assert await visit.refusal("GetChatroomHistory", room, None, 10) == "There is no such chatroom."
        assert (await visit.call("ConnectToChatroom", room))["is_success"] is False
    assert [item["content"] for item in (await guest.call("GetChatroomHistory", room, None, 10))["items"]]
    # It was private before: nobody goes.
    await guest.join(room)
    await world.service.chatrooms.update(room, {"title": "Still secret", "is_private": True})
    assert sorted(await world.members(room)) == ["boss", "guest"]


async def test_who_joins_while_a_room_becomes_private_is_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    put_member = world.store.put_member

    async def put_late(*args: Any, **more: Any) -> None:
        # Between the look at the room and the writing.
        await world.service.chatrooms.update(room, {"is_private": True})
        await put_member(*args, **more)

    monkeypatch.setattr(world.store, "put_member", put_late)
    assert (await ada.call("ConnectToChatroom", room))["is_success"] is False
    assert await world.members(room) == []
    assert ada.heard() == []
    await world.service.messages.post_by_api(room, Draft(content="x"), sender_id="y", sender_flag=0)
    assert ada.heard() == []
