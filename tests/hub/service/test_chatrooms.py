"""Chatrooms: made, changed, deleted and restored by the API; who may know of them; who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_chatix_comments.errors import ChatroomNotFoundError, InvalidArgumentError
from flask_chatix_comments.hub.backplane.base import ChatroomChanged, ChatroomStep
from flask_chatix_comments.models import Chatroom
from tests.hub.support import World

pytestmark = pytest.mark.anyio

MUCH_LATER = datetime(2100, 1, 1, tzinfo=UTC)


async def test_the_same_external_id_gives_the_same_chatroom(world: World) -> None:
    room = await world.room("A post", external_id="post-7")
    stranger = await world.connect_stranger()
    again = await world.service.chatrooms.create("Another title", is_private=True, external_id="post-7")
    assert again.chatroom_id == room
    assert (again.title, again.is_private, again.external_id) == ("A post", False, "post-7")
    assert stranger.heard() == []
    await world.service.chatrooms.delete(room)
    assert (await world.service.chatrooms.create("x", is_private=False, external_id="post-7")).is_deleted


@pytest.mark.parametrize(
    ("title", "is_private", "external_id"),
    [
        (None, False, None),
        (7, False, None),
        ("x", "no", None),
        ("x", False, ""),
        ("x", False, 7),
        ("x", False, "y" * 256),
    ],
)
async def test_chatrooms_that_cannot_be_made(world: World, title: Any, is_private: Any, external_id: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        await world.service.chatrooms.create(title, is_private=is_private, external_id=external_id)


async def test_titles_are_one_line_of_a_size_that_can_be_kept(world: World) -> None:
    room = await world.room(" <b>Line\none</b>\0 " + "x" * 10_000)
    title = (await world.get_room(room)).title
    assert title.startswith("<b>Line one</b> xxx")
    assert len(title) == 255


async def test_update_changes_what_is_named(world: World) -> None:
    room = await world.room("Old")
    changed = await world.service.chatrooms.update(room, {"title": "New", "is_private": None, "unknown": 1})
    assert (changed.title, changed.is_private, changed.is_closed) == ("New", False, False)
    changed = await world.service.chatrooms.update(room, {"is_private": True, "is_closed": True})
    assert (changed.title, changed.is_private, changed.is_closed) == ("New", True, True)
    for changes in ({"title": 7}, {"is_private": "yes"}, {"is_closed": 1}):
        with pytest.raises(InvalidArgumentError):
            await world.service.chatrooms.update(room, changes)


async def test_an_external_id_can_be_given_moved_and_taken_and_no_visitor_hears_of_it(world: World) -> None:
    rooms = world.service.chatrooms
    one, two = await world.room("One", external_id="post-1"), await world.room("Two")
    boss = await world.connect("boss", is_manager=True)
    assert (await rooms.update(two, {"external_id": "post-1"})).external_id == "post-1"
    assert (await rooms.get(one)).external_id is None
    assert [room.chatroom_id for room in await rooms.list_by_external_id("post-1", include_deleted=False)] == [two]
    assert (await rooms.update(two, {"external_id": "post-1", "title": "Two"})).external_id == "post-1"
    assert boss.heard() == []
    renamed = await rooms.update(two, {"external_id": "", "title": "Zwei"})
    assert (renamed.external_id, renamed.title) == (None, "Zwei")
    assert (await rooms.create("x", is_private=False, external_id="post-1")).chatroom_id not in (one, two)
    assert [event[0] for event in boss.heard()] == ["OnUpdateChatroom", "OnCreateChatroom"]
    for external_id in (7, "y" * 256, "a\0b"):
        with pytest.raises(InvalidArgumentError):
            await rooms.update(one, {"external_id": external_id})
    with pytest.raises(InvalidArgumentError):
        await rooms.list_by_external_id("", include_deleted=True)


async def test_chatrooms_that_are_not_there(world: World) -> None:
    rooms = world.service.chatrooms
    for call in (rooms.get("x"), rooms.update("x", {}), rooms.delete("x"), rooms.restore("x")):
        with pytest.raises(ChatroomNotFoundError):
            await call


async def test_who_follows_the_list_hears_of_every_step(world: World) -> None:
    stranger = await world.connect_stranger()
    reader, boss = await world.connect("reader"), await world.connect("boss", is_manager=True)
    room = await world.room("A post")
    await reader.join(room)
    await world.service.chatrooms.update(room, {"title": "Renamed"})
    await world.service.chatrooms.update(room, {"title": "Renamed"})
    await world.service.chatrooms.delete(room)
    await world.service.chatrooms.delete(room)
    await world.service.chatrooms.update(room, {"title": "Unseen"})
    await world.service.chatrooms.restore(room)
    await world.service.chatrooms.restore(room)
    steps = [
        ["OnCreateChatroom", "A post"],
        ["OnUpdateChatroom", "Renamed"],
        ["OnDeleteChatroom", room],
        ["OnRestoreChatroom", "Unseen"],
    ]
    for visit in (stranger, boss):
        heard = [[name, data if isinstance(data, str) else data["title"]] for name, data in visit.heard()]
        assert heard == steps
    # A page with a site ticket shows one chatroom: it hears of that one only.
    assert [event[0] for event in reader.heard()] == [name for name, _ in steps[1:]]
    restored = reader.heard("OnRestoreChatroom")[0][1]
    assert restored == {
        "id": room,
        "title": "Unseen",
        "is_private": False,
        "is_deleted": False,
        "is_closed": False,
        "number_of_visitors": 1,
        "managers": [],
        "web_chat_id": "local",
    }


async def test_private_chatrooms_are_known_to_members_and_managers_only(world: World) -> None:
    stranger, boss = await world.connect_stranger(), await world.connect("boss", is_manager=True)
    member = await world.connect("member")
    room = await world.room("Private", is_private=True)
    await world.service.attendance.admit("member", room)
    await world.service.chatrooms.update(room, {"title": "Still private"})
    assert stranger.heard() == []
    assert [event[0] for event in boss.heard("OnCreateChatroom", "OnUpdateChatroom")] == [
        "OnCreateChatroom",
        "OnUpdateChatroom",
    ]
    assert [event[0] for event in member.heard()] == ["OnUpdateChatroom"]
    assert (await member.call("GetChatroom", room))["title"] == "Still private"
    assert (await boss.call("GetChatroom", room))["title"] == "Still private"
    assert await stranger.refusal("GetChatroom", room) == "There is no such chatroom."
    for visit, titles in ((stranger, []), (member, ["Still private"]), (boss, ["Still private"])):
        listed = await visit.call("GetAllChatrooms", 100, 1, False)
        assert [item["title"] for item in listed["items"]] == titles
    await boss.join(room)


async def test_lists_are_paged_by_title_and_end_with_an_empty_page(world: World) -> None:
    """chatix-core asks for page after page until one is empty: a hub that ignored the page would hold it for ever."""
    ada = await world.connect("ada")
    for title in ("C", "A", "B"):
        await ada.join(await world.room(title))
    await world.room("D")
    for target, pages in (
        ("GetMyChatrooms", [["A", "B"], ["C"], []]),
        ("GetAllChatrooms", [["A", "B"], ["C", "D"], []]),
    ):
        for number, titles in enumerate(pages, start=1):
            page = await ada.call(target, 2, number, False)
            assert [item["title"] for item in page["items"]] == titles
            assert (page["page"], page["items_per_page"]) == (number, 2)
    for arguments in ((0, 1), (101, 1), (10, 0), ("10", 1), (10, None)):
        assert "is a number from 1" in await ada.refusal("GetMyChatrooms", *arguments, False)


async def test_numbers_of_visitors_leave_managers_out(make_world: Callable[..., World]) -> None:
    world = make_world(presence="members")
    room = await world.room()
    ada, boss = (
        await world.connect("ada"),
        await world.connect("boss", name="Boss", is_manager=True, is_persistent=True),
    )
    await ada.join(room)
    await boss.join(room)
    seen = await ada.call("GetChatroom", room)
    assert seen["number_of_visitors"] == 1
    assert seen["managers"] == [
        {
            "uuid": "boss",
            "name": "Boss",
            "email": None,
            "is_online": True,
            "avatar_url": None,
            "avatar_thumb100_url": None,
            "avatar_thumb300_url": None,
        }
    ]


async def test_where_presence_is_off_visitors_see_no_numbers(make_world: Callable[..., World]) -> None:
    world = make_world(presence="off")
    room = await world.room()
    ada, boss = await world.connect("ada"), await world.connect("boss", is_manager=True)
    await ada.join(room)
    await boss.join(room)
    seen = await ada.call("GetChatroom", room)
    assert (seen["number_of_visitors"], seen["managers"]) == (0, [])
    described = await world.get_room(room)
    assert (described.number_of_visitors, len(described.managers)) == (1, 1)


async def test_counts_of_messages(world: World) -> None:
    one, two, deleted = await world.room(), await world.room(), await world.room()
    for room in (one, one, deleted):
        await world.post_by_api(room)
    await world.service.chatrooms.delete(deleted)
    counts = await world.service.chatrooms.count_messages([one, two, deleted, "nowhere"])
    assert counts == {one: 2, two: 0}
    for bad in (None, "x", [1], ["x"] * 501):
        with pytest.raises(InvalidArgumentError):
            await world.service.chatrooms.count_messages(bad)


async def test_a_chatroom_that_went_for_good_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.room()
    await world.service.chatrooms.delete(room)
    find = world.store.find_chatroom

    async def purge_after(chatroom_id: str) -> Any:
        found = await find(chatroom_id)
        await world.store.purge_chatrooms(deleted_before=MUCH_LATER, now=MUCH_LATER)
        return found

    monkeypatch.setattr(world.store, "find_chatroom", purge_after)
    with pytest.raises(ChatroomNotFoundError):
        await world.service.chatrooms.restore(room)
    assert world.events[-1] == ChatroomChanged(ChatroomStep.DELETED, Chatroom(room, "A post", is_deleted=True))
