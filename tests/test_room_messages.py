"""Whole threads and the deletion of single comments, with a service that fails on order."""

from __future__ import annotations

import itertools
import json
import tempfile
import tracemalloc
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest

from flask_chatix_comments import room_messages
from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiPayloadError,
    ApiStatusError,
    PostNotRegisteredError,
    RoomError,
    RoomMissingError,
)
from flask_chatix_comments.models import Message, MessageType, SenderFlag
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_messages import PAGE_SIZE, DeletedMessage, delete_message, thread, thread_of

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)


@pytest.fixture
def room(registry: RoomRegistry, service: FakeService) -> str:
    """The chatroom of the post 7."""
    chatroom_id: str = service.add("Seven")["id"]
    registry.link("7", chatroom_id, title="Seven", is_private=False, state=RoomState.OPEN)
    return chatroom_id


class LongThread:
    """Answers pages of a thread that is nowhere as a whole."""

    def __init__(self, total: int, *, chars: int) -> None:
        self.total = total
        self.chars = chars

    def list_messages(self, chatroom_id: str, *, before_id: str | None, limit: int) -> list[Message]:
        end = self.total if before_id is None else int(before_id)
        return [self.message(number) for number in range(max(0, end - limit), end)]

    def message(self, number: int) -> Message:
        content = f"{number} ".ljust(self.chars, "w")
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        return Message(str(number), "room-1", MessageType.TEXT, SenderFlag.VISITOR, "ada", moment, content)


class TestThread:
    @pytest.mark.parametrize("total", [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE + 7])
    def test_is_told_from_its_beginning(self, api: ChatixApi, service: FakeService, room: str, total: int) -> None:
        service.talk(room, total)
        assert [message.content for message in thread(api, room)] == [f"number {n}" for n in range(total)]

    @pytest.mark.parametrize("limit", [0, 1, PAGE_SIZE, PAGE_SIZE + 3, 1000])
    def test_can_be_limited_to_the_newest(
        self, api: ChatixApi, service: FakeService, room: str, faults: Faults, limit: int
    ) -> None:
        total = 2 * PAGE_SIZE
        service.talk(room, total)
        numbers = [int(message.content.split()[1]) for message in thread(api, room, limit=limit)]
        assert numbers == list(range(total))[max(0, total - limit) :]
        assert sum(int(request.url.params["count"]) for request in faults.requests) <= limit

    def test_keeps_all_that_the_service_told(self, api: ChatixApi, service: FakeService, room: str) -> None:
        service.talk(room, 1)
        file = {"type": 5, "content": None, "file_url": "https://u.example/f", "edited_at": 1_800_000_001.25}
        service.messages[room][0].update(file, sender_name="\u202eÅsa 😀", sender_flag=1)
        (message,) = thread(api, room)
        assert message == api.list_messages(room)[0]
        assert (message.file_url, message.sender_name) == ("https://u.example/f", "\u202eÅsa 😀")
        assert message.edited_at == datetime(2027, 1, 15, 8, 0, 1, 250_000, tzinfo=UTC)

    def test_yields_nothing_when_the_service_fails_on_the_way(
        self, api: ChatixApi, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, 2 * PAGE_SIZE)
        down = [httpx.ConnectError("refused")] * 3
        faults.order(lambda request: None, *down)
        with pytest.raises(ApiConnectionError):
            next(thread(api, room))

    def test_of_a_post_whose_chatroom_is_gone_or_refused(
        self, api: ChatixApi, registry: RoomRegistry, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, 1)
        assert len(list(thread_of(registry, api, "7", limit=None, is_hosted=False))) == 1
        with pytest.raises(PostNotRegisteredError):
            thread_of(registry, api, "8", limit=None, is_hosted=False)
        faults.order(httpx.Response(403))
        with pytest.raises(ApiStatusError):
            list(thread_of(registry, api, "7", limit=None, is_hosted=False))
        service.rooms.clear()
        with pytest.raises(RoomMissingError, match="does not know the chatroom room-1 of the post '7'"):
            list(thread_of(registry, api, "7", limit=None, is_hosted=False))

    def test_what_is_posted_meanwhile_is_left_out(
        self, api: ChatixApi, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, PAGE_SIZE + 1)
        faults.order(lambda request: None, lambda request: service.talk(room, 1))
        assert len(list(thread(api, room))) == PAGE_SIZE + 1

    def test_a_service_that_counts_the_anchor_in(
        self, api: ChatixApi, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, 3)
        items = service.messages[room]
        faults.order(*(httpx.Response(200, json={"items": part}) for part in (items[1:], items[:2], items[:1])))
        assert [message.content for message in thread(api, room)] == ["number 0", "number 1", "number 2"]

    def test_a_service_that_cannot_page_is_an_error_and_no_loop(
        self, api: ChatixApi, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, 2)
        same = httpx.Response(200, json={"items": service.messages[room]})
        faults.order(*itertools.repeat(same, 5))
        with pytest.raises(ApiPayloadError, match="had given before. Check this row"):
            list(thread(api, room))
        assert len(faults.requests) == 2

    def test_takes_flat_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The comments themselves are 16 MB."""
        opened: list[Any] = []
        real = tempfile.SpooledTemporaryFile

        def remember(*arguments: Any) -> Any:
            opened.append(real(*arguments))
            return opened[-1]

        monkeypatch.setattr(tempfile, "SpooledTemporaryFile", remember)
        tracemalloc.start()
        try:
            count = sum(1 for _ in thread(cast("ChatixApi", LongThread(2_000, chars=8_000)), "room-1"))
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count == 2_000
        assert peak_bytes < room_messages.MAX_BYTES_IN_MEMORY + 6 * PAGE_SIZE * 8_000
        # It went to the disk, and is gone from there.
        assert [(file._rolled, file.closed) for file in opened] == [(True, True)]


class TestDeleteMessage:
    def test_under_a_post_that_is_named(
        self, api: ChatixApi, registry: RoomRegistry, service: FakeService, room: str, faults: Faults
    ) -> None:
        service.talk(room, 2)
        gone = delete_message(registry, api, "m-1", post_id="7", is_hosted=True)
        assert gone == DeletedMessage("m-1", "7", room)
        assert [message["uuid"] for message in service.messages[room]] == ["m-2"]
        assert faults.paths == ["/chatroom/delete-message"]

    def test_wherever_it_is_if_our_hub_can_tell(
        self, api: ChatixApi, registry: RoomRegistry, service: FakeService, room: str
    ) -> None:
        service.talk(room, 2)
        assert delete_message(registry, api, "m-2", post_id=None, is_hosted=False) == DeletedMessage("m-2", "7", room)
        assert [message["uuid"] for message in service.messages[room]] == ["m-1"]

    def test_the_hosted_service_cannot_tell(self, api: ChatixApi, registry: RoomRegistry, faults: Faults) -> None:
        with pytest.raises(RoomError, match="say which post it is under"):
            delete_message(registry, api, "m-2", post_id=None, is_hosted=True)
        assert faults.requests == []

    def test_that_is_not_there(self, api: ChatixApi, registry: RoomRegistry, room: str) -> None:
        with pytest.raises(RoomError, match="There is no comment 'm-9' under the post '7'"):
            delete_message(registry, api, "m-9", post_id="7", is_hosted=False)
        with pytest.raises(RoomError, match="There is no comment 'm-9' at the hub"):
            delete_message(registry, api, "m-9", post_id=None, is_hosted=False)
        with pytest.raises(PostNotRegisteredError):
            delete_message(registry, api, "m-9", post_id="8", is_hosted=False)

    def test_in_a_chatroom_of_no_post(self, api: ChatixApi, registry: RoomRegistry, service: FakeService) -> None:
        other = service.add("Support")["id"]
        service.talk(other, 1)
        with pytest.raises(RoomError, match=f"is in the chatroom {other}, which belongs to no post"):
            delete_message(registry, api, "m-1", post_id=None, is_hosted=False)
        assert len(service.messages[other]) == 1

    def test_that_the_service_refuses(self, api: ChatixApi, registry: RoomRegistry, room: str, faults: Faults) -> None:
        faults.order(httpx.Response(403, content=json.dumps({"error": "no"})))
        with pytest.raises(ApiStatusError):
            delete_message(registry, api, "m-1", post_id="7", is_hosted=False)
