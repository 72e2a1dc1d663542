"""chatix-core 1.3.3, its own SignalR and axios included, untouched but for its base URL, against the hub."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from flask_chatix_comments.api import ChatixApi
from tests.interop.support import START, call, start, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.browser]
OpenClient = Callable[..., Page]


@pytest.mark.parametrize(
    ("without", "transport"),
    [
        ((), "WebSocketTransport"),
        (("WebSocket",), "ServerSentEventsTransport"),
        (("WebSocket", "EventSource"), "LongPollingTransport"),
    ],
)
def test_a_whole_talk(api: ChatixApi, open_client: OpenClient, without: tuple[str, ...], transport: str) -> None:
    room = api.create_chatroom("A post").chatroom_id
    one, two = open_client("core", without=without), open_client("core")
    start(one)
    start(two)
    wait_for(one, "onConnected")
    used = one.evaluate("core.chat.connection.hubConnection.connection.transport.constructor.name")
    # The bundler numbers equal names.
    assert used.rstrip("0123456789") == transport
    for page in (one, two):
        assert call(page, "connectToChatroom", room) is True
    sent = call(one, "sendChatroomTextMessage", "Hello from the SDK", room)
    assert sent["content"] == "Hello from the SDK"
    told_room, told_message = wait_for(two, "onChatroomMessageReceived")
    assert told_room == room
    # The sender is named to itself by what its getVisitor() says, so that "(you)" can be told by comparing;
    # to everybody else by its public id.
    assert sent["sender_id"] == call(one, "getVisitor")["uuid"]
    (public,) = api.list_messages(room)
    assert told_message == sent | {"sender_id": public.sender_id}
    # The sender's own connection does not hear its own message: the vendor's app would show it twice.
    assert call(one, "getChatroomMessages", room) == [sent]
    assert not [entry for entry in one.evaluate("told") if entry[0] == "onChatroomMessageReceived"]

    members = call(two, "getChatroomMembers", room, 1, 50)
    assert public.sender_id in [member["uuid"] for member in members]
    assert sent["sender_id"] not in [member["uuid"] for member in members]
    api.update_message(room, sent["uuid"], content="Edited")
    assert wait_for(two, "onChatroomMessageUpdated")[0]["content"] == "Edited"
    api.delete_message(room, sent["uuid"])
    assert wait_for(two, "onChatroomMessageDeleted")[0] == sent["uuid"]
    assert call(two, "getChatroomMessages", room) == []
    assert call(one, "disconnectFromChatroom", room) is True
    assert api.get_chatroom(room).number_of_visitors == 1


def test_a_return_visit_is_the_same_visitor(api: ChatixApi, open_client: OpenClient) -> None:
    room = api.create_chatroom("A post to come back to").chatroom_id
    page = open_client("core")
    start(page)
    call(page, "connectToChatroom", room)
    call(page, "setName", "Robin")
    first = call(page, "sendChatroomTextMessage", "The first visit", room)
    stored = page.evaluate("localStorage.getItem('chatix__visitorId_v1')")
    again = open_client("core", beside=page)
    page.close()
    start(again)
    # It is still in the room: membership belongs to the visitor, and the SDK never joins by itself.
    assert [entry["id"] for entry in call(again, "getMyChatrooms")] == [room]
    second = call(again, "sendChatroomTextMessage", "The second visit", room)
    assert second["sender_id"] == first["sender_id"] == stored
    assert call(again, "getVisitor")["name"] == "Robin"
    before, after = api.list_messages(room)
    assert before.sender_id == after.sender_id
    assert call(again, "getMember", before.sender_id)["name"] == "Robin"
    # What the browser keeps is a ticket; the public id, which others see, would open nothing.
    assert stored != before.sender_id
    assert again.evaluate("localStorage.getItem('chatix__visitorId_v1')") == stored


def test_a_public_id_is_no_credential(api: ChatixApi, open_client: OpenClient) -> None:
    room = api.create_chatroom("A post with a thief").chatroom_id
    victim, thief = open_client("core"), open_client("core")
    start(victim)
    call(victim, "connectToChatroom", room)
    call(victim, "sendChatroomTextMessage", "Hello", room)
    start(thief)
    call(thief, "connectToChatroom", room)
    (seen,) = call(thief, "getChatroomMessages", room)
    thief.evaluate("(id) => localStorage.setItem('chatix__visitorId_v1', id)", seen["sender_id"])
    again = open_client("core", beside=thief)
    assert again.evaluate(START) is False
    assert seen["sender_id"] == api.list_messages(room)[0].sender_id
    assert victim.evaluate("localStorage.getItem('chatix__visitorId_v1')") != seen["sender_id"]


def test_rooms_come_change_go_and_return(api: ChatixApi, open_client: OpenClient) -> None:
    page = open_client("core")
    start(page)
    room = api.create_chatroom("A post under way").chatroom_id
    assert wait_for(page, "onChatroomCreated")[0]["id"] == room
    call(page, "connectToChatroom", room)
    api.update_chatroom(room, title="A post renamed")
    assert wait_for(page, "onChatroomUpdated")[0]["title"] == "A post renamed"
    listed = call(page, "getAllChatrooms", 1, 100)
    assert room in [entry["id"] for entry in listed["items"]]
    api.delete_chatroom(room)
    assert wait_for(page, "onChatroomDeleted")[0] == room
    assert room not in [entry["id"] for entry in call(page, "getAllChatrooms", 1, 100)["items"]]
    api.restore_chatroom(room)
    assert wait_for(page, "onChatroomRestored")[0]["id"] == room
    assert call(page, "getChatroom", room)["title"] == "A post renamed"


def test_private_rooms_are_joined_by_the_api_only(api: ChatixApi, open_client: OpenClient) -> None:
    room = api.create_chatroom("For the few", is_private=True).chatroom_id
    page = open_client("core")
    start(page)
    assert page.evaluate("(room) => core.connectToChatroom(room).then(() => true, () => false)", room) is False
    assert room not in [entry["id"] for entry in call(page, "getAllChatrooms", 1, 100)["items"]]
    public = api.create_chatroom("For all").chatroom_id
    call(page, "connectToChatroom", public)
    call(page, "sendChatroomTextMessage", "Who am I?", public)
    api.connect_visitor(room, api.list_messages(public)[0].sender_id)
    assert call(page, "sendChatroomTextMessage", "Inside", room)["content"] == "Inside"
    assert call(page, "disconnectFromChatroom", room) is True
    assert page.evaluate("(room) => core.connectToChatroom(room).then(() => true, () => false)", room) is False


def test_the_whole_visitor_api(api: ChatixApi, open_client: OpenClient) -> None:
    page = open_client("core")
    start(page)
    call(page, "setName", "Robin")
    call(page, "setEmail", "robin@example.org")
    call(page, "setField", "shoe size", 42)
    visitor = call(page, "getVisitor")
    assert visitor["name"] == "Robin"
    assert visitor["email"] == "robin@example.org"
    assert visitor["fields"] == {"shoe size": 42}
    assert call(page, "getAllManagers") == []
    assert call(page, "getConversationMessages") == []
    page.evaluate("core.visitorType('typing')")
    expect(page).to_have_title("Blog")
