"""Guests do not pass for those whom the site has named: managers and its users."""

from __future__ import annotations

from typing import Any

import pytest

from flask_chatix_comments.errors import NameTakenError
from flask_chatix_comments.hub.service.visitors import NAME_TAKEN, ProfileUpdate
from tests.hub.support import Hub, Visit, World

pytestmark = pytest.mark.anyio

LOOKALIKE = "M\u0430rit Lund"


async def name_by_site(world: World, visitor_id: str, name: str | None, **more: Any) -> None:
    await world.service.visitors.update(visitor_id, ProfileUpdate(name=name, is_persistent=True, **more))


async def is_free(world: World, name: str, visitor_id: str = "g-1") -> bool:
    """Whether a guest gets the name at both doors."""
    stranger = await world.connect_stranger()
    try:
        await name_by_site(world, visitor_id, name)
    except NameTakenError:
        assert await stranger.refusal("SaveVisitorInfo", {"name": name}) == NAME_TAKEN
        return False
    await stranger.call("SaveVisitorInfo", {"name": name})
    return True


@pytest.mark.parametrize("is_manager", [True, False])
async def test_names_of_the_sites_users_are_theirs(world: World, is_manager: bool) -> None:
    assert await is_free(world, "Marit Lund", "g-before")
    await name_by_site(world, "marit", "Marit Lund", is_manager=is_manager)
    for name in ("Marit Lund", "MARIT LUND", "Marit  Lund ✓", LOOKALIKE):
        assert not await is_free(world, name)
    for name in ("Marit", "Marit Lundgren", "Jonas"):
        assert await is_free(world, name)


async def test_a_refused_name_leaves_everything_as_it_was(world: World) -> None:
    await name_by_site(world, "marit", "Marit Lund")
    await name_by_site(world, "g-1", "Robin")
    with pytest.raises(NameTakenError):
        await world.service.visitors.update("g-1", ProfileUpdate(name="Marit Lund", is_persistent=True))
    assert (await world.service.visitors.get("g-1")).name == "Robin"
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Kim"})
    await stranger.refusal("SaveVisitorInfo", {"name": LOOKALIKE, "email": "x@y.example"})
    assert (await stranger.call("GetVisitorInfo"))["name"] == "Kim"
    assert (await stranger.call("GetVisitorInfo"))["email"] is None


async def test_a_ticket_of_the_site_is_its_word_too(world: World) -> None:
    await world.connect("marit", name="Marit Lund", is_persistent=True)
    assert not await is_free(world, "Marit Lund")
    # One that will not come back keeps no name.
    await world.connect("passing", name="Jonas", is_persistent=False)
    assert await is_free(world, "Jonas")


async def test_guests_do_not_keep_names_from_each_other(world: World) -> None:
    await name_by_site(world, "g-1", "Robin")
    await world.connect("g-2", name="Kim", is_persistent=True)
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Toni"})
    for name in ("Robin", "Kim", "Toni"):
        assert await is_free(world, name, "g-3")


async def test_users_are_called_what_the_site_says(world: World) -> None:
    await name_by_site(world, "marit", "Marit Lund", is_manager=True)
    await name_by_site(world, "other", "Marit Lund")
    await name_by_site(world, "marit", "Marit Lund", is_manager=True)
    assert (await world.service.visitors.get("other")).name == "Marit Lund"


async def test_a_name_goes_with_its_user(world: World) -> None:
    await name_by_site(world, "marit", "Marit Lund")
    await name_by_site(world, "marit", "Marit Berg")
    assert not await is_free(world, "Marit Berg")
    assert await is_free(world, "Marit Lund")
    await world.service.visitors.update("marit", ProfileUpdate(email="m@x.example"))
    assert not await is_free(world, "Marit Berg")
    await name_by_site(world, "marit", None)
    assert await is_free(world, "Marit Berg")


async def test_who_bears_a_name_that_two_have_is_no_matter(world: World) -> None:
    for visitor_id in ("one", "two"):
        await name_by_site(world, visitor_id, "Marit Lund")
    await name_by_site(world, "one", "Marit Berg")
    assert not await is_free(world, "Marit Lund")


async def test_a_manager_of_the_api_may_say_its_own_name(world: World) -> None:
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Marit Lund"})
    assert await is_free(world, "Marit Lund")
    await world.service.visitors.update(stranger.visitor_id, ProfileUpdate(is_manager=True))
    assert not await is_free(world, "Marit Lund")
    assert (await stranger.call("SaveVisitorInfo", {"name": "MARIT LUND"}))["name"] == "MARIT LUND"
    await stranger.call("SaveVisitorInfo", {"name": "Marit Berg"})
    assert not await is_free(world, "Marit Berg")
    assert await is_free(world, "Marit Lund")


async def test_what_a_stranger_is_called_is_not_protected_by_other_words_of_the_site(world: World) -> None:
    stranger = await world.connect_stranger()
    await stranger.call("SaveVisitorInfo", {"name": "Robin"})
    await world.service.visitors.update(stranger.visitor_id, ProfileUpdate(fields={"plan": "free"}))
    assert await is_free(world, "Robin")
    await world.service.visitors.update(stranger.visitor_id, ProfileUpdate(name="Robin"))
    assert not await is_free(world, "Robin")
    await stranger.call("SaveVisitorInfo", {"name": "Kim"})
    assert await is_free(world, "Robin")
    assert await is_free(world, "Kim")


async def test_a_guest_who_was_first_keeps_what_was_said_and_is_refused_the_next_time(world: World) -> None:
    room = await world.room()
    guest: Visit = await world.connect("g-1", name="Marit Lund", is_persistent=True)
    await guest.join(room)
    await guest.post(room)
    await name_by_site(world, "marit", "Marit Lund")
    assert (await guest.call("GetChatroomHistory", room, None, 1))["items"][0]["sender_name"] == "Marit Lund"
    with pytest.raises(NameTakenError):
        await name_by_site(world, "g-1", "Marit Lund")


async def test_names_that_are_none_are_said_to_be_so_first(world: World) -> None:
    stranger = await world.connect_stranger()
    assert await stranger.refusal("SaveVisitorInfo", {"name": 7}) == "A name is text."
    assert (await stranger.call("SaveVisitorInfo", {"name": "  "}))["name"] is None


async def test_the_site_is_answered_with_a_conflict(hub: Hub) -> None:
    marit = {"name": "Marit Lund", "is_persistent": True}
    assert (await hub.post("/visitor/update", marit, visitorId="marit")).status_code == 200
    answer = await hub.post("/visitor/update", marit, visitorId="g-1")
    assert (answer.status_code, answer.json()) == (409, {"error": NAME_TAKEN})
    assert (await hub.get("/visitor/get", visitorId="g-1")).status_code == 404
