"""Tickets and profiles: who somebody is, and who says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import InvalidArgumentError, NotFoundError, TokenExpiredError, TokenInvalidError
from flask_chatix_comments.hub.config import DAY_S
from flask_chatix_comments.hub.service.visitors import ProfileUpdate
from flask_chatix_comments.models import Profile
from tests.hub.support import World, sign_ticket

pytestmark = pytest.mark.anyio


async def test_a_public_id_is_no_credential(world: World) -> None:
    ada = await world.connect("ada")
    for text in ("ada", "", "a.b", sign_ticket(world.clock, "ada", key=b"another key")):
        with pytest.raises(TokenInvalidError):
            world.service.visitors.check_ticket(text)
    ticket = sign_ticket(world.clock, "ada", lifetime_s=60)
    world.clock.advance(60)
    with pytest.raises(TokenExpiredError):
        world.service.visitors.check_ticket(ticket)
    assert ada.visitor_id == "ada"


async def test_the_sdk_is_told_its_ticket_and_others_its_public_id(world: World) -> None:
    room = await world.room()
    stranger, tab, other = await world.connect_stranger(), None, await world.connect("other")
    tab = await world.connect_with(stranger.caller.ticket_text)
    for visit in (stranger, tab, other):
        await visit.join(room)
    me = await stranger.call("GetVisitorInfo", None)
    assert me == {
        "uuid": stranger.caller.ticket_text,
        "name": None,
        "email": None,
        "fields": {},
        "is_online": True,
    }
    message = await stranger.post(room)
    # The vendor's app marks its own messages by comparing with what GetVisitorInfo said.
    assert message["sender_id"] == me["uuid"]
    assert tab.heard("ApplyChatroomMessage")[0][1]["sender_id"] == me["uuid"]
    assert (await tab.call("GetChatroomHistory", room, None, 1))["items"][0]["sender_id"] == me["uuid"]
    assert (await tab.call("GetChatroomChanges", room, None, 1))["items"][0]["sender_id"] == me["uuid"]
    assert (await tab.call("GetChatroomVisitors", room, 50, 1))["items"][0]["uuid"] == me["uuid"]
    assert (await tab.call("GetVisitorByVisitor", me["uuid"]))["uuid"] == me["uuid"]
    public_id = other.heard("ApplyChatroomMessage")[0][1]["sender_id"]
    assert public_id == stranger.visitor_id != me["uuid"]
    assert me["uuid"] not in str(other.heard())
    assert (await other.call("GetVisitorByVisitor", public_id))["uuid"] == public_id


async def test_a_site_visitor_knows_itself_by_its_public_id(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    assert (await ada.call("GetVisitorInfo", None))["uuid"] == ada.caller.ticket_text
    assert (await ada.post(room))["sender_id"] == "ada"


async def test_a_get_id_ticket_slides(world: World) -> None:
    stranger = await world.connect_stranger()
    first = stranger.caller.ticket_text
    world.clock.advance(90 * DAY_S - 1)
    assert (await stranger.call("GetVisitorInfo", None))["uuid"] == first
    world.clock.advance(1)
    renewed = (await stranger.call("GetVisitorInfo", None))["uuid"]
    assert renewed != first
    assert world.service.visitors.check_ticket(renewed).visitor_id == stranger.visitor_id
    assert (await stranger.call("GetVisitorInfo", None))["uuid"] == renewed
    world.clock.advance(91 * DAY_S)
    with pytest.raises(TokenExpiredError):
        world.service.visitors.check_ticket(first)
    again = await world.connect_with(renewed)
    assert again.visitor_id == stranger.visitor_id


async def test_a_site_ticket_does_not_slide(world: World) -> None:
    ada = await world.connect("ada", lifetime_s=100)
    world.clock.advance(99)
    assert (await ada.call("GetVisitorInfo", None))["uuid"] == ada.caller.ticket_text


async def test_a_stranger_says_who_it_is(world: World) -> None:
    room = await world.room()
    stranger, bob = await world.connect_stranger(), await world.connect("bob")
    await stranger.join(room)
    await bob.join(room)
    saved = await stranger.call("SaveVisitorInfo", {"name": " Robin "})
    assert saved["name"] == "Robin"
    full = {
        "uuid": "x",
        "name": "Robin",
        "email": "r@x.example",
        "fields": {"size": 42, "no": None},
        "is_online": False,
    }
    saved = await stranger.call("SaveVisitorInfo", full)
    assert saved == {
        "uuid": stranger.caller.ticket_text,
        "name": "Robin",
        "email": "r@x.example",
        "fields": {"size": 42},
        "is_online": True,
    }
    message = await stranger.post(room)
    assert message["sender_name"] == "Robin"
    stranger.drop()
    again = await world.connect_with(stranger.caller.ticket_text)
    assert await again.call("GetVisitorInfo", None) == saved
    # What others see has neither e-mail nor fields.
    member = await bob.call("GetVisitorByVisitor", stranger.visitor_id)
    assert member == {"uuid": stranger.visitor_id, "name": "Robin", "is_online": True}


async def test_a_stranger_may_take_its_name_and_fields_back(world: World) -> None:
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Robin", "email": "x", "fields": {"a": 1}})
    saved = await stranger.call("SaveVisitorInfo", {"name": None, "email": "", "fields": None})
    assert (saved["name"], saved["email"], saved["fields"]) == (None, None, {})


async def test_a_stranger_is_no_manager_by_saying_so(world: World) -> None:
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Robin", "is_manager": True, "is_persistent": False})
    profile = await world.service.visitors.get(stranger.visitor_id)
    assert (profile.is_manager, profile.is_persistent) == (False, True)


@pytest.mark.parametrize("data", [None, [], "x", {"name": 7}, {"name": "x" * 81}, {"email": 7}, {"fields": "x"}])
async def test_what_is_no_profile(world: World, data: Any) -> None:
    stranger = await world.connect_stranger()
    assert await stranger.refusal("SaveVisitorInfo", data)
    assert await world.store.find_visitor(stranger.visitor_id) is None


async def test_with_a_site_ticket_all_comes_from_the_site(world: World) -> None:
    ada = await world.connect("ada", name="Ada")
    await world.service.visitors.update("ada", ProfileUpdate(email="ada@x.example", fields={"plan": "free"}))
    stored = await world.store.find_visitor("ada")
    news = {"name": "Boss", "email": "boss@x.example", "fields": {"plan": "gold"}, "is_manager": True}
    assert await ada.call("SaveVisitorInfo", news) == {
        "uuid": ada.caller.ticket_text,
        "name": "Ada",
        "email": "ada@x.example",
        "fields": {"plan": "free"},
        "is_online": True,
    }
    assert await world.store.find_visitor("ada") == stored
    assert await world.service.visitors.get("ada") == Profile(
        "ada", name="Ada", email="ada@x.example", fields={"plan": "free"}, is_online=True
    )


async def test_the_site_names_a_guest_who_takes_part(world: World) -> None:
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await ada.join(room)
    await bob.join(room)
    update = ProfileUpdate(name="Ada", is_persistent=True)
    profile = await world.service.visitors.update("ada", update)
    assert profile == Profile("ada", name="Ada", is_online=True, is_persistent=True)
    # The open connection goes on under the name; nobody else hears of a reader who has not written.
    assert ada.heard("ApplyVisitorInfo") == [["ApplyVisitorInfo", {"uuid": "ada", "name": "Ada", "is_online": True}]]
    assert bob.heard("ApplyVisitorInfo") == []
    assert (await ada.post(room))["sender_name"] == "Ada"
    await world.service.visitors.update("ada", ProfileUpdate(name="Ada L."))
    assert bob.heard("ApplyVisitorInfo") == [["ApplyVisitorInfo", {"uuid": "ada", "name": "Ada L.", "is_online": True}]]
    assert (await bob.call("GetChatroomHistory", room, None, 1))["items"][0]["sender_name"] == "Ada"


async def test_a_new_name_of_somebody_who_is_away_is_told_too(world: World) -> None:
    room = await world.room()
    stranger, bob = await world.connect_stranger(), await world.connect("bob")
    await stranger.join(room)
    await bob.join(room)
    await stranger.post(room)
    stranger.drop()
    await world.service.visitors.update(stranger.visitor_id, ProfileUpdate(name="Robin"))
    assert [event[1]["name"] for event in bob.heard("ApplyVisitorInfo")] == ["Robin"]


async def test_where_members_are_named_a_new_name_is_told_at_once(make_world: Callable[..., World]) -> None:
    world = make_world(presence="members")
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await ada.join(room)
    await bob.join(room)
    await world.service.visitors.update("ada", ProfileUpdate(name="Ada"))
    for visit in (ada, bob):
        assert visit.heard("ApplyVisitorInfo") == [
            ["ApplyVisitorInfo", {"uuid": "ada", "name": "Ada", "is_online": True}]
        ]


async def test_the_newer_word_of_the_site_counts(world: World) -> None:
    old = sign_ticket(world.clock, "ada", name="Old", is_manager=True, is_persistent=True)
    world.clock.advance(10)
    await world.service.visitors.update("ada", ProfileUpdate(name="New", is_manager=False, is_persistent=True))
    ada = await world.connect_with(old)
    assert (await ada.call("GetVisitorInfo", None))["name"] == "New"
    assert not world.service.visitors.is_manager("ada")
    world.clock.advance(10)
    newest = await world.connect("ada", name="Newest", is_manager=True, is_persistent=True)
    assert (await newest.call("GetVisitorInfo", None))["name"] == "Newest"
    assert world.service.visitors.is_manager("ada")
    found = await world.store.find_visitor("ada")
    assert found is not None
    assert (found[0].name, found[0].is_manager) == ("Newest", True)


async def test_of_two_tickets_the_one_issued_later_counts(world: World) -> None:
    first = sign_ticket(world.clock, "ada", name="First", is_persistent=True)
    world.clock.advance(10)
    second = sign_ticket(world.clock, "ada", name="Second", is_persistent=True)
    world.clock.advance(10)
    for ticket, name in ((first, "First"), (second, "Second"), (first, "Second")):
        visit = await world.connect_with(ticket)
        assert (await visit.call("GetVisitorInfo", None))["name"] == name
        # What the visitor says by itself is no word of the site.
        await visit.call("SaveVisitorInfo", {"fields": {"seen": name}})


async def test_in_the_same_second_what_was_said_apart_from_a_ticket_counts(world: World) -> None:
    world.clock.advance(0.6)
    ticket = sign_ticket(world.clock, "boss", is_manager=True, is_persistent=True)
    world.clock.advance(0.2)
    await world.service.visitors.update("boss", ProfileUpdate(is_manager=False))
    await world.connect_with(ticket)
    assert not world.service.visitors.is_manager("boss")


async def test_the_same_word_again_makes_older_tickets_older(world: World) -> None:
    await world.service.visitors.update("ada", ProfileUpdate(name="Ada", is_persistent=True))
    world.clock.advance(10)
    between = sign_ticket(world.clock, "ada", name="Wrong", is_persistent=True)
    world.clock.advance(10)
    await world.service.visitors.update("ada", ProfileUpdate(name="Ada"))
    ada = await world.connect_with(between)
    assert (await ada.call("GetVisitorInfo", None))["name"] == "Ada"


async def test_who_only_reads_leaves_no_row(world: World) -> None:
    room = await world.room()
    ada, stranger = await world.connect("ada", name="Ada"), await world.connect_stranger()
    for visit in (ada, stranger):
        await visit.join(room)
        await visit.call("GetVisitorInfo", None)
        assert await world.store.find_visitor(visit.visitor_id) is None
        await visit.post(room)
        await visit.post(room)
        found = await world.store.find_visitor(visit.visitor_id)
        assert found is not None and found[0].is_persistent


async def test_updates_are_checked(world: World) -> None:
    update = world.service.visitors.update
    for bad in (
        ProfileUpdate(is_manager="yes"),
        ProfileUpdate(is_persistent=None),
        ProfileUpdate(name="a\nb\0"),
        ProfileUpdate(fields=[]),
    ):
        with pytest.raises(InvalidArgumentError):
            await update("ada", bad)
    cleared = await update("ada", ProfileUpdate(fields=None))
    assert cleared.fields == {}


async def test_visitors_who_are_not_there(world: World) -> None:
    ada = await world.connect("ada")
    with pytest.raises(NotFoundError):
        await world.service.visitors.get("nobody")
    assert await ada.refusal("GetVisitorByVisitor", "nobody") == "There is no such visitor."
    assert await ada.refusal("GetVisitorByVisitor", None) == "The visitor's id is missing."
    assert await ada.refusal("GetManagerInfo", "ada") == "There is no such manager."
    assert await ada.refusal("GetManagerInfo", "nobody") == "There is no such manager."


async def test_public_ids_and_tickets_name_the_same_visitor(world: World) -> None:
    stranger = await world.connect_stranger()
    assert world.service.visitors.public_id(stranger.caller.ticket_text) == stranger.visitor_id
    assert world.service.visitors.public_id(stranger.visitor_id) == stranger.visitor_id
    for bad in (None, "", 7, "x" * 101):
        with pytest.raises(InvalidArgumentError):
            world.service.visitors.public_id(bad)


async def test_managers(world: World) -> None:
    ada = await world.connect("ada")
    assert await ada.call("GetManagers") == []
    assert await ada.call("GetWebChatManagers") == []
    await world.service.visitors.update("boss", ProfileUpdate(name="Boss", email="b@x.example", is_manager=True))
    (boss,) = await ada.call("GetWebChatManagers")
    assert (boss["uuid"], boss["name"], boss["email"], boss["is_online"]) == ("boss", "Boss", None, False)
    assert await ada.call("GetManagerInfo", "boss") == boss
    assert await ada.call("GetManagers") == []


async def test_remembering_twice_at_once_is_one(world: World) -> None:
    ada, room = await world.connect("ada"), await world.room()
    await world.service.visitors.remember("ada", room)
    assert await world.store.find_visitor("ada") is None
    await ada.join(room)
    ada.forget_events()
    await world.service.visitors.remember("ada", room)
    await world.service.visitors.remember("ada", room)
    await world.service.visitors.remember("nobody", room)
    assert await world.store.find_visitor("nobody") is None
    assert ada.heard() == []
