"""Files of private chatrooms: each reader opens them in its own name, for as long as it is in there."""

from __future__ import annotations

from typing import Any

import pytest

from flask_chatix_comments.errors import NotFoundError
from flask_chatix_comments.hub.addresses import upload_id_in
from tests.hub.support import BASE_URL, Hub, World, sign_ticket
from tests.hub.test_uploads import PDF, Uploader, error_of, image

pytestmark = pytest.mark.anyio

DAY_S = 24 * 3600
NO_SUCH_FILE = (404, "There is no such file.")


class Room:
    """A private chatroom in which Ada has posted a file and an image; there is no connection."""

    def __init__(self, hub: Hub, room: str) -> None:
        self.hub = hub
        self.id = room

    async def admit(self, visitor_id: str) -> None:
        await self.hub.post("/chatroom/connect-visitor", chatroomId=self.id, visitorId=visitor_id)

    async def expel(self, visitor_id: str) -> None:
        await self.hub.post("/chatroom/disconnect-visitor", chatroomId=self.id, visitorId=visitor_id)

    async def urls(self) -> list[str]:
        """Return all addresses of files, as the site is told them."""
        items = (await self.hub.get("/chatroom/messages", chatroomId=self.id)).json()["items"]
        found = [item[name] for item in items for name in item if name.endswith("_url") and item[name]]
        assert len(found) == 4
        return found

    async def set_private(self, is_private: bool) -> None:
        await self.hub.post("/chatroom/update", {"is_private": is_private}, chatroomId=self.id)

    async def read(self, url: str, **headers: str) -> Any:
        return await self.hub.client.get(url, headers=headers)


@pytest.fixture
async def room(hub: Hub) -> Room:
    created = await hub.post("/chatroom/create", {"title": "Inner", "is_private": True})
    room = Room(hub, created.json()["id"])
    await room.admit("ada")
    ada = Uploader(hub, room.id, sign_ticket(hub.clock, "ada"))
    file, picture = await ada.save(PDF, "a.pdf", "application/pdf"), await ada.save(image(), "a.png", "image/png")
    picture_urls = {f"thumb_{side}_url": picture[f"thumb{side}Url"] for side in (100, 300)}
    for draft in (
        {"type": 5, "file_url": file["fileUrl"]},
        {"type": 4, "original_url": picture["fileUrl"], **picture_urls},
    ):
        sent = await hub.post("/chatroom/send-message", {**draft, "sender_id": "ada"}, chatroomId=room.id)
        assert sent.status_code == 200, sent.text
    return room


def without_pass(url: str) -> str:
    plain, separator, file_pass = url.partition("?pass=")
    assert separator and file_pass
    return plain


async def test_the_address_alone_opens_nothing(room: Room) -> None:
    for url in await room.urls():
        assert (await room.read(url)).status_code == 200
        for other in (without_pass(url), without_pass(url) + "?pass=", url[:-1], url + "x"):
            assert error_of(await room.read(other)) == NO_SUCH_FILE
        # A browser's copy is not asked about either.
        assert (await room.read(without_pass(url), **{"If-None-Match": "*"})).status_code == 404


async def test_a_pass_is_for_one_chatroom(room: Room, hub: Hub) -> None:
    other = (await hub.post("/chatroom/create", {"title": "Other", "is_private": True})).json()["id"]
    await hub.post("/chatroom/connect-visitor", chatroomId=other, visitorId="ada")
    ada = Uploader(hub, other, sign_ticket(hub.clock, "ada"))
    url = (await ada.save(PDF, "b.pdf", "application/pdf"))["fileUrl"]
    file_pass = (await room.urls())[0].partition("?pass=")[2]
    assert error_of(await room.read(f"{url}?pass={file_pass}")) == NO_SUCH_FILE
    assert room.id not in file_pass


async def test_the_sites_pass_ends_after_some_hours(room: Room, hub: Hub) -> None:
    (url, *_) = await room.urls()
    hub.clock.advance(3600 - 1)
    assert (await room.read(url)).status_code == 200
    hub.clock.advance(3600 + 1)
    assert error_of(await room.read(url)) == NO_SUCH_FILE
    assert (await room.read((await room.urls())[0])).status_code == 200


async def test_public_and_back(room: Room) -> None:
    (url, *_) = await room.urls()
    await room.set_private(False)
    for readable in (url, without_pass(url)):
        answer = await room.read(readable)
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    items = (await room.hub.get("/chatroom/messages", chatroomId=room.id)).json()["items"]
    assert items[0]["file_url"] == without_pass(url)
    await room.set_private(True)
    assert error_of(await room.read(without_pass(url))) == NO_SUCH_FILE
    assert (await room.read(url)).status_code == 200


async def test_no_cache_goes_on_serving_it(room: Room) -> None:
    (url, *_) = await room.urls()
    answer = await room.read(url)
    assert answer.headers["cache-control"] == "private, no-cache"
    assert (await room.read(url, **{"If-None-Match": answer.headers["etag"]})).status_code == 304


async def test_a_deleted_chatroom_has_none(room: Room, hub: Hub) -> None:
    (url, *_) = await room.urls()
    await hub.post("/chatroom/delete", chatroomId=room.id)
    assert error_of(await room.read(url)) == NO_SUCH_FILE


# What readers are told, and for how long it is good


async def test_each_reader_gets_a_pass_of_its_own(world: World) -> None:
    room = await world.room(is_private=True)
    for visitor_id in ("ada", "ben"):
        await world.service.attendance.admit(visitor_id, room)
    ada, other_tab, ben = await world.connect("ada"), await world.connect("ada"), await world.connect("ben")
    boss = await world.connect("boss", is_manager=True)
    for visit in (ada, other_tab, ben, boss):
        await visit.join(room)
        visit.forget_events()
    path = await world.upload("ada", room)
    plain = BASE_URL + path
    posted = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": plain}, None)
    # The address that was told when it was uploaded, which is its key to who has sent it.
    assert (without_pass(posted["file_url"]), posted["client_key"]) == (plain, plain)
    again = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": posted["file_url"]}, None)
    assert again["uuid"] == posted["uuid"]
    told = {"ada": posted["file_url"]}
    for visitor_id, visit in {"ben": ben, "boss": boss}.items():
        ((_, message, where),) = visit.heard("ApplyChatroomMessage")
        assert (where, message.get("client_key")) == (room, None)
        told[visitor_id] = message["file_url"]
    ((_, message, _),) = other_tab.heard("ApplyChatroomMessage")
    assert (message["file_url"], message["client_key"]) == (posted["file_url"], plain)
    assert len(set(told.values())) == 3
    for visitor_id, visit in {"ada": ada, "ben": ben, "boss": boss}.items():
        for target, parameters in (("GetChatroomHistory", [room, None, 50]), ("GetChatroomChanges", [room, None, 50])):
            (item,) = (await visit.call(target, *parameters))["items"]
            assert item["file_url"] == told[visitor_id]
        assert await opens(world, told[visitor_id])
    await world.service.attendance.expel("ben", room)
    assert not await opens(world, told["ben"])
    assert await opens(world, told["ada"]) and await opens(world, told["boss"])
    # Back in, it is good again; and it ends by itself.
    await world.service.attendance.admit("ben", room)
    assert await opens(world, told["ben"])
    world.clock.advance(2 * DAY_S)
    assert not await opens(world, told["ben"])


async def test_a_pass_goes_with_who_leaves(world: World) -> None:
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    ada = await world.connect("ada")
    await ada.join(room)
    url = (
        await ada.call("SaveChatroomMessage", {"type": 5, "file_url": BASE_URL + await world.upload("ada", room)}, None)
    )["file_url"]
    assert await opens(world, url)
    await ada.leave(room)
    assert not await opens(world, url)


async def test_a_pass_outlives_a_restart_of_the_hub(world: World) -> None:
    """The members are in the database."""
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    path = await world.upload("ada", room)
    url = f"{path}?pass={world.service.uploads.private_pass(room, 'ada')}"
    after = World(world.config, world.store, world.clock)
    assert await opens(after, url)
    assert not await opens(after, f"{path}?pass={world.service.uploads.private_pass(room, 'ben')}")


async def test_public_files_are_told_to_all_alike(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    path = await world.upload("ada", room)
    posted = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": BASE_URL + path}, None)
    assert posted["file_url"] == BASE_URL + path
    assert await opens(world, path)


async def opens(world: World, url: str) -> bool:
    try:
        await world.service.uploads.get(str(upload_id_in(url)), url.partition("?pass=")[2])
    except NotFoundError:
        return False
    return True
