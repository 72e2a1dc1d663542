"""@aspnet/signalr 1.1.4 and @microsoft/signalr, as published, against the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread

pytestmark = [pytest.mark.interop, pytest.mark.browser]
OpenClient = Callable[..., Page]

CONNECT = """
async ([hubUrl, visitorId, transport]) => {
  const { HubConnectionBuilder, HttpTransportType, LogLevel } = signalR;
  window.events = [];
  window.closed = null;
  window.connection = new HubConnectionBuilder()
    .withUrl(`${hubUrl}/chat?visitorId=${visitorId}&websiteId=local`, HttpTransportType[transport])
    .configureLogging(LogLevel.None)
    .build();
  for (const name of ["ApplyChatroomMessage", "OnUpdateChatroomMessage", "OnDeleteChatroomMessage"]) {
    connection.on(name, (...args) => { events.push([name, ...args]); });
  }
  connection.onclose((error) => { window.closed = String(error ?? "clean"); });
  await connection.start();
}
"""


def connect(page: Page, hub: HubThread, visitor_id: str, transport: str = "WebSockets") -> None:
    page.evaluate(CONNECT, [hub.url, visitor_id, transport])


def invoke(page: Page, method: str, *arguments: Any) -> Any:
    return page.evaluate("([method, args]) => connection.invoke(method, ...args)", [method, list(arguments)])


def refusal(page: Page, method: str, *arguments: Any) -> str:
    answer = page.evaluate(
        "([method, args]) => connection.invoke(method, ...args).then(() => null, (error) => error.message)",
        [method, list(arguments)],
    )
    assert isinstance(answer, str)
    return answer


def wait_for_events(page: Page, count: int) -> list[list[Any]]:
    page.wait_for_function("(count) => events.length >= count", arg=count)
    events: list[list[Any]] = page.evaluate("events")
    return events


@pytest.fixture(params=["old", "new"])
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["WebSockets", "ServerSentEvents", "LongPolling"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_talk(client: str, transport: str, hub: HubThread, api: ChatixApi, open_client: OpenClient) -> None:
    room = api.create_chatroom(f"A talk with {client}").chatroom_id
    one, two = open_client(client), open_client(client)
    connect(one, hub, api.new_visitor_id(), transport)
    connect(two, hub, api.new_visitor_id(), transport)
    for page in (one, two):
        assert invoke(page, "ConnectToChatroom", room) == {"is_success": True}
    draft = {"uuid": None, "type": 0, "content": "Hello", "sender_id": "forged", "sent_at": 1}
    stored = invoke(one, "SaveChatroomMessage", draft, room)
    assert stored["content"] == "Hello"
    assert stored["sender_id"] != "forged"
    (event,) = wait_for_events(two, 1)
    (public,) = api.list_messages(room)
    assert event == ["ApplyChatroomMessage", stored | {"sender_id": public.sender_id}, room]

    api.update_message(room, stored["uuid"], content="Hello again")
    api.delete_message(room, stored["uuid"])
    events = wait_for_events(two, 3)
    assert [event[0] for event in events[1:]] == ["OnUpdateChatroomMessage", "OnDeleteChatroomMessage"]
    assert events[1][1]["content"] == "Hello again"
    assert events[2][1:] == [stored["uuid"], room]
    assert [event[0] for event in wait_for_events(one, 2)] == ["OnUpdateChatroomMessage", "OnDeleteChatroomMessage"]
    assert invoke(one, "DisconnectFromChatroom", room) == {"is_success": True}
    assert api.get_chatroom(room).number_of_visitors == 1


def test_calls_are_answered_in_order_and_paged(
    client: str, transport: str, hub: HubThread, api: ChatixApi, open_client: OpenClient
) -> None:
    room = api.create_chatroom(f"History with {client}").chatroom_id
    page = open_client(client)
    connect(page, hub, api.new_visitor_id(), transport)
    invoke(page, "ConnectToChatroom", room)
    stored = page.evaluate(
        """async (room) => {
          const drafts = Array.from({ length: 79 }, (_, n) => ({ type: 0, content: `number ${n}` }));
          const all = await Promise.all(drafts.map((draft) => connection.invoke("SaveChatroomMessage", draft, room)));
          return all.map((message) => message.content);
        }""",
        room,
    )
    assert stored == [f"number {n}" for n in range(79)]
    seen: list[str] = []
    last, sizes = None, []
    while True:
        items = invoke(page, "GetChatroomHistory", room, last, 30)["items"]
        sizes.append(len(items))
        if not items:
            break
        seen = [item["content"] for item in items] + seen
        last = items[0]["uuid"]
    assert sizes == [30, 30, 19, 0]
    if client == "old" and transport != "WebSockets":
        # It begins a request for each call, all at the same time, on several connections.
        assert sorted(seen) == sorted(stored)
    else:
        assert seen == stored


def test_refusals_reach_the_caller(client: str, hub: HubThread, api: ChatixApi, open_client: OpenClient) -> None:
    private = api.create_chatroom("Private", is_private=True).chatroom_id
    page = open_client(client)
    connect(page, hub, api.new_visitor_id())
    assert refusal(page, "GetChatroomHistory", private, None, 10) == refusal(
        page, "GetChatroomHistory", "no-such-room", None, 10
    )
    assert invoke(page, "ConnectToChatroom", private)["is_success"] is False
    assert refusal(page, "NoSuchMethod")
    assert refusal(page, "GetChatroomHistory", private)
    assert invoke(page, "GetManagers") == []


def test_a_foreign_ticket_is_refused_at_negotiate(client: str, hub: HubThread, open_client: OpenClient) -> None:
    page = open_client(client)
    message = page.evaluate(
        f"(parameters) => ({CONNECT})(parameters).then(() => null, (error) => String(error))",
        [hub.url, "someone-elses-public-id", "WebSockets"],
    )
    assert message


def test_a_connection_can_be_stopped_and_started_again(
    client: str, transport: str, hub: HubThread, api: ChatixApi, open_client: OpenClient
) -> None:
    room = api.create_chatroom(f"Stop and start with {client}").chatroom_id
    page = open_client(client)
    connect(page, hub, api.new_visitor_id(), transport)
    invoke(page, "ConnectToChatroom", room)
    page.evaluate("connection.stop()")
    page.wait_for_function("closed !== null")
    page.evaluate("connection.start()")
    # Membership belongs to the visitor, not to the connection.
    assert invoke(page, "SaveChatroomMessage", {"type": 0, "content": "Still a member"}, room)["seq"] == 1
