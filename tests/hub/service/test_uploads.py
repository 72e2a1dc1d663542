"""The rules of files: who may upload, what a message may name, and when files go."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from flask_chatix_comments.errors import (
    ChatroomNotFoundError,
    InvalidArgumentError,
    InvocationError,
    NotAllowedError,
    NotFoundError,
    RequestRefusedError,
)
from flask_chatix_comments.hub import broadcast
from flask_chatix_comments.hub.service.drafts import Draft
from flask_chatix_comments.hub.service.uploads import (
    BUSY,
    MAX_UNDER_WAY,
    MAX_UNDER_WAY_PER_ADDRESS,
    MAX_UNDER_WAY_PER_VISITOR,
    NOT_YOURS,
    TAKEN,
    megabytes,
)
from flask_chatix_comments.hub.signalr.json_protocol import serialize_message
from flask_chatix_comments.hub.signalr.messages import Message
from tests.hub.support import BASE_URL, START, Visit, World

pytestmark = pytest.mark.anyio

HOUR_S = 3600
DAY_S = 24 * HOUR_S
OTHER_BASE = "https://blog.example/chat/v1"


async def joined(world: World, visitor_id: str, room: str, **more: Any) -> Visit:
    visit = await world.connect(visitor_id, **more)
    await visit.join(room)
    return visit


def file_draft(path: str, base_url: str = BASE_URL, **more: Any) -> dict[str, Any]:
    """Return what chatix-core sends of a file (message.js:buildFile)."""
    nothing = {"uuid": None, "thumb_300_url": None, "thumb_100_url": None, "sender_flag": None, "sender_id": None}
    return {**nothing, "type": 5, "content": "", "file_url": base_url + path, "sent_at": None, **more}


def image_draft(path: str, base_url: str = BASE_URL) -> dict[str, Any]:
    """Return what chatix-core sends of an image (message.js:buildImg)."""
    thumbs = {"thumb_300_url": "https://evil.example/x", "thumb_100_url": "javascript:alert(1)"}
    return {"uuid": None, "type": 4, "content": "", "original_url": base_url + path, "file_url": None, **thumbs}


async def refused(world: World, visitor_id: str, room: str, **more: Any) -> tuple[type[Exception], str]:
    with pytest.raises((InvocationError, RequestRefusedError)) as caught:
        await world.upload(visitor_id, room, **more)
    return caught.type, str(caught.value)


# Posting


async def test_a_file_is_posted_and_told(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room, name="Ada"), await joined(world, "bob", room)
    path = await world.upload("ada", room, file_name="Über uns.pdf", file_bytes=1234)
    sent = await ada.call("SaveChatroomMessage", file_draft(path), room)
    url = f"{BASE_URL}/file/upload-1/%C3%9Cber%20uns.pdf"
    assert sent == {
        "uuid": sent["uuid"],
        "type": 5,
        "content": "",
        "thumb_100_url": None,
        "thumb_300_url": None,
        "original_url": None,
        "file_url": url,
        "sender_flag": 0,
        "sender_id": "ada",
        "sent_at": START,
        "sender_name": "Ada",
        "edited_at": None,
        "seq": 1,
        "file_name": "Über uns.pdf",
        "file_size": 1234,
        "width": None,
        "height": None,
        # The idempotency key of a file is its URL.
        "client_key": url,
    }
    told = {name: value for name, value in sent.items() if name != "client_key"}
    assert bob.heard("ApplyChatroomMessage") == [["ApplyChatroomMessage", told, room]]
    assert (await bob.call("GetChatroomHistory", room, None, 10))["items"] == [told]


async def test_of_an_image_the_hub_says_where_the_small_ones_are(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    path = await world.upload("ada", room, is_image=True, file_name="a.png", width_px=40, height_px=30)
    sent = await ada.call("SaveChatroomMessage", image_draft(path), room)
    assert (sent["original_url"], sent["thumb_100_url"], sent["thumb_300_url"]) == (
        f"{BASE_URL}/file/upload-1/a.png",
        f"{BASE_URL}/file/upload-1/thumb/100",
        f"{BASE_URL}/file/upload-1/thumb/300",
    )
    assert (sent["type"], sent["file_url"], sent["width"], sent["height"]) == (4, None, 40, 30)


async def test_a_file_finds_its_room(world: World) -> None:
    """Q1: chatix-core forgets the room when it posts what it has uploaded."""
    room, other = await world.room(), await world.room()
    ada = await joined(world, "ada", room)
    await ada.join(other)
    for chatroom_id in (other, room):
        path = await world.upload("ada", chatroom_id)
        sent = await ada.call("SaveChatroomMessage", file_draft(path), None)
        assert (await ada.call("GetChatroomHistory", chatroom_id, None, 10))["items"] == [sent]
    assert await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, None) == (
        "The chatroom's id is not an id."
    )


async def test_a_file_that_is_sent_again_is_one_comment(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    path = await world.upload("ada", room)
    first = await ada.call("SaveChatroomMessage", file_draft(path), room)
    await world.pass_time(60 * DAY_S)
    again = await ada.call("SaveChatroomMessage", file_draft(path, OTHER_BASE, uuid="key"), None)
    assert again == first
    assert len(bob.heard("ApplyChatroomMessage")) == 1


async def test_a_key_of_the_senders_own_is_kept(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    path = await world.upload("ada", room)
    sent = await ada.call("SaveChatroomMessage", file_draft(path, uuid="my-key"), room)
    assert sent["client_key"] == "my-key"
    assert await ada.call("SaveChatroomMessage", file_draft(path), room) == sent


async def test_a_file_is_posted_by_who_uploaded_it_where_it_was_uploaded(world: World) -> None:
    room, other = await world.room(), await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    await ada.join(other)
    path = await world.upload("ada", room)
    assert await bob.refusal("SaveChatroomMessage", file_draft(path), room) == NOT_YOURS
    assert await bob.refusal("SaveChatroomMessage", file_draft(path), None) == NOT_YOURS
    assert await ada.refusal("SaveChatroomMessage", file_draft(path), other) == NOT_YOURS
    await ada.call("SaveChatroomMessage", file_draft(path), room)
    assert await bob.refusal("SaveChatroomMessage", file_draft(path), room) == NOT_YOURS


@pytest.mark.parametrize(
    "url", [f"{BASE_URL}/file/upload-9/a.pdf", "https://elsewhere.example/a.pdf", f"{BASE_URL}/file/upload-1/thumb/100"]
)
async def test_other_urls_are_not_a_visitors_to_post(world: World, url: str) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    await world.upload("ada", room)
    assert await ada.refusal("SaveChatroomMessage", {"type": 5, "file_url": url}, room) == NOT_YOURS


async def test_an_image_is_no_file_and_a_file_no_image(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    file, image = await world.upload("ada", room), await world.upload("ada", room, is_image=True)
    says = "An uploaded image is posted as type 4, every other file as type 5."
    assert await ada.refusal("SaveChatroomMessage", image_draft(file), room) == says
    assert await ada.refusal("SaveChatroomMessage", file_draft(image), room) == says


async def test_who_has_left_posts_no_file(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    path = await world.upload("ada", room)
    await ada.leave(room)
    assert await ada.refusal("SaveChatroomMessage", file_draft(path), None) == "Join the chatroom first."


async def test_a_closed_room_takes_no_file(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    path, posted = await world.upload("ada", room), await world.upload("ada", room)
    sent = await ada.call("SaveChatroomMessage", file_draft(posted), room)
    await world.service.chatrooms.update(room, {"is_closed": True})
    says = "This chatroom is closed: it can be read, but not written."
    assert await ada.refusal("SaveChatroomMessage", file_draft(path), room) == says
    assert await refused(world, "ada", room) == (NotAllowedError, says)
    # What had been stored is told again.
    assert await ada.call("SaveChatroomMessage", file_draft(posted), room) == sent


async def test_files_are_not_edited(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    sent = await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room)
    assert await ada.refusal("UpdateChatroomMessage", sent["uuid"], "x", room) == "Only text can be edited."


# The API


async def test_the_site_may_post_an_upload_and_any_link(world: World) -> None:
    room, other = await world.room(), await world.room()
    await joined(world, "ada", room)
    path = await world.upload("ada", room)

    async def post(url: str, *, sender_id: str = "ada", chatroom_id: str = room) -> Any:
        return await world.service.messages.post_by_api(
            chatroom_id, Draft(type=5, file_url=url), sender_id=sender_id, sender_flag=0
        )

    posted = await post(BASE_URL + path)
    assert (posted.file_url, posted.file_name, posted.file_bytes) == (path, "a.pdf", 1000)
    assert await post(OTHER_BASE + path) == posted
    with pytest.raises(NotAllowedError, match=TAKEN):
        await post(BASE_URL + path, sender_id="bob")
    with pytest.raises(InvalidArgumentError, match="uploaded to another chatroom"):
        await post(BASE_URL + path, chatroom_id=other)
    for url in ("https://elsewhere.example/a.pdf", "https://elsewhere.example/file/upload-9/a.pdf"):
        linked = [await post(url) for _ in range(2)]
        assert [one.file_url for one in linked] == [url] * 2
        # Without a key of its own, a link may be posted as often as the site likes.
        assert linked[0].message_id != linked[1].message_id


# Where each reader finds it


async def test_each_reader_is_told_where_it_came_and_an_event_is_written_once_for_all_of_a_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    here = [await joined(world, f"here-{number}", room) for number in range(5)]
    there = [await joined(world, f"there-{number}", room, base_url=OTHER_BASE) for number in range(5)]
    tab = await world.connect("ada", base_url=OTHER_BASE)
    path = await world.upload("ada", room)
    written: list[Message] = []

    def serialize(message: Message) -> str:
        written.append(message)
        return serialize_message(message)

    monkeypatch.setattr(broadcast, "serialize_message", serialize)
    sent = await ada.call("SaveChatroomMessage", file_draft(path), room)
    # One for each place, and one for the sender's other tab, which knows itself by another name.
    assert len(written) == 3
    for visits, base_url in ((here, BASE_URL), (there, OTHER_BASE), ([tab], OTHER_BASE)):
        for visit in visits:
            (event,) = visit.heard("ApplyChatroomMessage")
            assert event[1]["file_url"] == base_url + path
            listed = await visit.call("GetChatroomHistory", room, None, 10)
            assert [item["file_url"] for item in listed["items"]] == [base_url + path]
            changes = await visit.call("GetChatroomChanges", room, None, 10)
            assert [item["file_url"] for item in changes["items"]] == [base_url + path]
    assert sent["file_url"] == sent["client_key"] == BASE_URL + path
    (event,) = tab.heard("ApplyChatroomMessage")
    assert event[1]["client_key"] == OTHER_BASE + path
    written.clear()
    await ada.post(room, "Text is the same everywhere")
    assert len(written) == 2


# Who may upload, and how much


async def test_uploads_need_membership(world: World) -> None:
    room, private = await world.room(), await world.room(is_private=True)
    await world.connect("ada")
    assert await refused(world, "ada", room) == (NotAllowedError, "Join the chatroom first.")
    for hidden in (private, "no-such-room"):
        assert await refused(world, "ada", hidden) == (ChatroomNotFoundError, "There is no such chatroom.")
    await world.service.attendance.admit("ada", private)
    await world.upload("ada", private)
    await world.service.chatrooms.delete(private)
    assert await refused(world, "ada", private) == (ChatroomNotFoundError, "There is no such chatroom.")


async def test_a_connection_is_not_needed(world: World) -> None:
    room = await world.room()
    stranger = await world.connect_stranger()
    await stranger.join(room)
    stranger.drop()
    await world.pass_time(HOUR_S)
    assert not world.membership.is_present(stranger.visitor_id)
    await world.upload(stranger.visitor_id, room)


@pytest.mark.parametrize("uploads", [{"is_open": False}, None])
async def test_files_can_be_switched_off(make_world: Callable[..., World], uploads: dict[str, Any] | None) -> None:
    world = make_world(uploads=uploads)
    room = await world.room()
    await joined(world, "ada", room)
    assert await refused(world, "ada", room) == (NotAllowedError, "Files cannot be attached here.")
    link = Draft(type=5, file_url="https://elsewhere.example/a.pdf")
    message = await world.service.messages.post_by_api(room, link, sender_id="ada", sender_flag=0)
    await world.service.messages.delete_by_api(room, message.message_id)
    await world.pass_time(2 * DAY_S)


async def test_so_many_files_in_an_hour(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"files_per_hour": 2})
    room = await world.room()
    ada = await joined(world, "ada", room)
    await joined(world, "bob", room)
    first = await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room)
    await world.pass_time(600)
    await world.upload("ada", room)
    # What is deleted has been uploaded all the same.
    await ada.call("DeleteChatroomMessage", first["uuid"], room)
    says = "You can attach 2 files in an hour. Please try again in 50 minutes."
    assert await refused(world, "ada", room) == (RequestRefusedError, says)
    await world.upload("bob", room)
    await world.pass_time(3000)
    await world.upload("ada", room)
    assert (await refused(world, "ada", room))[1].endswith("in 10 minutes.")


async def test_so_much_in_an_hour(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"bytes_per_hour": 3 * 1024 * 1024, "max_file_bytes": 2 * 1024 * 1024})
    room = await world.room()
    await joined(world, "ada", room)
    await world.upload("ada", room, file_bytes=2 * 1024 * 1024)
    says = "You can attach 3 MB in an hour. Please try again in 60 minutes."
    assert await refused(world, "ada", room, file_bytes=1024 * 1024 + 1) == (RequestRefusedError, says)
    await world.upload("ada", room, file_bytes=1024 * 1024)
    with pytest.raises(RequestRefusedError) as caught:
        await world.upload("ada", room, file_bytes=1)
    assert (caught.value.status_code, caught.value.retry_after_s) == (429, HOUR_S)


async def test_what_is_on_its_way_counts(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"files_per_hour": 3, "bytes_per_hour": 1000, "max_file_bytes": 600})
    room = await world.room()
    await joined(world, "ada", room)
    uploads = world.service.uploads
    async with uploads.slot("ada", room, file_bytes=600):
        assert uploads.bytes_under_way == 600
        assert (await refused(world, "ada", room, file_bytes=401))[1].startswith(
            "You can attach 1000 bytes in an hour."
        )
        async with uploads.slot("ada", room, file_bytes=1), uploads.slot("ada", room, file_bytes=1):
            assert (await refused(world, "ada", room, file_bytes=1))[1].startswith("You can attach 3 files")
    assert uploads.bytes_under_way == 0
    await world.upload("ada", room, file_bytes=600)


async def test_what_grew_counts_as_what_it_is(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"bytes_per_hour": 1000, "max_file_bytes": 1000})
    room = await world.room()
    await joined(world, "ada", room)
    await world.upload("ada", room, file_bytes=100, stored_bytes=500)
    assert (await refused(world, "ada", room, file_bytes=501))[1].startswith("You can attach 1000 bytes in an hour.")
    # It had room as it came, and has none as it became.
    with pytest.raises(RequestRefusedError, match="You can attach 1000 bytes in an hour"):
        await world.upload("ada", room, file_bytes=100, stored_bytes=501)
    assert await world.store.find_upload("upload-2") is None
    await world.upload("ada", room, file_bytes=100, stored_bytes=500)


async def test_what_grows_at_the_same_time_does_not_outgrow_the_hour(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"bytes_per_hour": 1000, "max_file_bytes": 1000})
    room = await world.room()
    await joined(world, "ada", room)
    uploads = [world.upload("ada", room, file_bytes=10, stored_bytes=400) for _ in range(5)]
    results = await asyncio.gather(*uploads, return_exceptions=True)
    assert [type(result) for result in results].count(str) == 2
    assert {type(result) for result in results} == {str, RequestRefusedError}


async def test_so_many_at_the_same_time(world: World) -> None:
    room = await world.room()
    release = asyncio.Event()

    async def hold(visitor_id: str) -> None:
        async with world.service.uploads.slot(visitor_id, room, file_bytes=1):
            await release.wait()

    held = []
    for number in range(MAX_UNDER_WAY // MAX_UNDER_WAY_PER_VISITOR):
        await joined(world, f"v{number}", room)
        held += [asyncio.create_task(hold(f"v{number}")) for _ in range(MAX_UNDER_WAY_PER_VISITOR)]
        while world.service.uploads.bytes_under_way < len(held):
            await asyncio.sleep(0.001)
        assert await refused(world, f"v{number}", room) == (RequestRefusedError, BUSY)
    await joined(world, "late", room)
    assert await refused(world, "late", room) == (RequestRefusedError, BUSY)
    release.set()
    await asyncio.gather(*held)
    await world.upload("late", room)


async def test_one_address_leaves_places_to_others(world: World) -> None:
    room, slots = await world.room(), world.service.uploads.slot
    async with AsyncExitStack() as stack:
        for number in range(MAX_UNDER_WAY_PER_ADDRESS):
            await joined(world, f"v{number}", room)
            await stack.enter_async_context(slots(f"v{number}", room, file_bytes=1, address="192.0.2.1"))
        await joined(world, "late", room)
        with pytest.raises(RequestRefusedError, match=BUSY):
            await stack.enter_async_context(slots("late", room, file_bytes=1, address="192.0.2.1"))
        for address in ("192.0.2.2", None, None):
            await stack.enter_async_context(slots("late", room, file_bytes=1, address=address))
    async with slots("late", room, file_bytes=1, address="192.0.2.1"):
        pass


async def test_an_upload_that_fails_frees_its_place(make_world: Callable[..., World]) -> None:
    world = make_world(uploads={"files_per_hour": 1})
    room = await world.room()
    await joined(world, "ada", room)
    with pytest.raises(ZeroDivisionError):
        async with world.service.uploads.slot("ada", room, file_bytes=1):
            raise ZeroDivisionError
    await world.upload("ada", room)


# The end of files


async def test_a_file_that_is_never_posted_expires(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    posted, forgotten = await world.upload("ada", room), await world.upload("ada", room)
    await ada.call("SaveChatroomMessage", file_draft(posted), room)
    await world.pass_time(DAY_S - 1)
    assert world.removed_files == []
    assert (await world.service.uploads.get("upload-2", ""))[0].file_name == "a.pdf"
    await world.pass_time(HOUR_S)
    assert world.removed_files == ["upload-2"]
    assert await ada.refusal("SaveChatroomMessage", file_draft(forgotten), room) == NOT_YOURS
    with pytest.raises(NotFoundError, match="There is no such file"):
        await world.service.uploads.get("upload-2", "")
    await world.service.uploads.get("upload-1", "")


async def test_files_go_with_their_message_at_once(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    sent = [await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room) for _ in range(3)]
    await ada.call("DeleteChatroomMessage", sent[0]["uuid"], room)
    assert world.removed_files == ["upload-1"]
    await world.service.messages.delete_by_api(room, sent[1]["uuid"])
    await world.service.messages.delete_by_api(room, sent[1]["uuid"])
    assert world.removed_files == ["upload-1", "upload-2"]
    changes = (await ada.call("GetChatroomChanges", room, None, 10))["items"]
    assert {"uuid": sent[0]["uuid"], "is_deleted": True} in changes
    # Sent again by a tab that has not heard of it, it does not come back.
    path = sent[0]["file_url"].removeprefix(BASE_URL)
    assert await ada.refusal("SaveChatroomMessage", file_draft(path), room) == NOT_YOURS


async def test_what_cannot_be_removed_is_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    sent = [await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room) for _ in range(2)]
    broken = OSError(errno.EACCES, "Permission denied")
    world.removal_errors["upload-1"] = broken
    await ada.call("DeleteChatroomMessage", sent[0]["uuid"], room)
    assert "The uploaded file upload-1 could not be removed: Permission denied" in caplog.text
    # It keeps no other from going.
    await ada.call("DeleteChatroomMessage", sent[1]["uuid"], room)
    assert world.removed_files == ["upload-2"]
    world.removal_errors.clear()
    await world.pass_time(HOUR_S)
    assert world.removed_files == ["upload-2", "upload-1"]


async def test_a_restored_chatroom_has_its_files(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    sent = await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room)
    await world.service.chatrooms.delete(room)
    with pytest.raises(NotFoundError):
        await world.service.uploads.get("upload-1", "")
    await world.pass_time(29 * DAY_S)
    await world.service.chatrooms.restore(room)
    assert (await world.service.uploads.get("upload-1", ""))[0].file_name == "a.pdf"
    assert world.removed_files == []
    listed = await world.service.messages.history_for_api(room, before_id=None, limit=10)
    assert [one.message_id for one in listed.messages] == [sent["uuid"]]


async def test_what_cannot_be_restored_any_more_is_gone(world: World) -> None:
    room = await world.room(external_id="post")
    ada = await joined(world, "ada", room)
    await ada.call("SaveChatroomMessage", file_draft(await world.upload("ada", room)), room)
    await world.service.chatrooms.delete(room)
    await world.pass_time(29 * DAY_S)
    # Deleted again, it does not stay longer.
    await world.service.chatrooms.delete(room)
    await world.pass_time(DAY_S + 1)
    assert world.removed_files == ["upload-1"]
    with pytest.raises(ChatroomNotFoundError):
        await world.service.chatrooms.restore(room)
    with pytest.raises(ChatroomNotFoundError):
        await world.service.messages.history_for_api(room, before_id=None, limit=10)
    assert await world.room(external_id="post") != room
    # Whoever was there goes on.
    await ada.leave(room)
    assert await ada.call("GetMyChatrooms", 10, 1, False) == {"items": [], "page": 1, "items_per_page": 10}


async def test_a_site_may_keep_what_is_deleted(make_world: Callable[..., World]) -> None:
    world = make_world(restore_s=None)
    room = await world.room()
    await world.service.chatrooms.delete(room)
    await world.pass_time(4000 * DAY_S)
    assert not (await world.service.chatrooms.restore(room)).is_deleted


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5 bytes"),
        (2048, "2 KB"),
        (1024 * 1024, "1 MB"),
        (20 * 1024 * 1024, "20 MB"),
        (3 * 512 * 1024, "1.5 MB"),
        (2048 * 1024 * 1024, "2048 MB"),
    ],
)
def test_sizes_for_people(number: int, text: str) -> None:
    assert megabytes(number) == text
