"""The REST table (docs/hosted-service.md) and what the hub adds to it, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.operations import OPERATIONS
from tests.hub.support import API_KEY, START, Hub

pytestmark = pytest.mark.anyio

ROUTES = [
    ("POST", "/chatroom/create"),
    ("GET", "/chatroom/get"),
    ("GET", "/chatroom/list"),
    ("POST", "/chatroom/update"),
    ("POST", "/chatroom/delete"),
    ("POST", "/chatroom/restore"),
    ("POST", "/chatroom/connect-visitor"),
    ("POST", "/chatroom/disconnect-visitor"),
    ("GET", "/chatroom/visitors"),
    ("GET", "/chatroom/messages"),
    ("GET", "/chatroom/changes"),
    ("GET", "/chatroom/find-message"),
    ("POST", "/chatroom/counts"),
    ("POST", "/chatroom/send-message"),
    ("POST", "/chatroom/update-message"),
    ("POST", "/chatroom/delete-message"),
    ("POST", "/chatroom/send-whisper"),
    ("GET", "/visitor/get"),
    ("POST", "/visitor/update"),
]


async def create(hub: Hub, **body: Any) -> dict[str, Any]:
    response = await hub.post("/chatroom/create", {"title": "A post", **body})
    assert response.status_code == 200, response.text
    room: dict[str, Any] = response.json()
    return room


def error_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()["error"]


async def test_the_hub_serves_every_operation_of_the_client(hub: Hub) -> None:
    for operation in OPERATIONS.values():
        response = await hub.client.request(
            operation.method, operation.path, params={"websiteId": "local"}, headers={"X-Api-Key": API_KEY}
        )
        assert response.status_code not in (405, 500), operation
        assert error_or_ok(response) != "There is nothing at this address.", operation


def error_or_ok(response: httpx.Response) -> str | None:
    body = response.json()
    return body.get("error") if isinstance(body, dict) else None


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_key_website_and_method(hub: Hub, method: str, path: str) -> None:
    async def ask(method: str, key: str | None, website_id: str | None) -> httpx.Response:
        params = {} if website_id is None else {"websiteId": website_id}
        headers = {} if key is None else {b"X-Api-Key": key.encode()}
        return await hub.client.request(method, path, params=params, headers=headers)

    for key in (None, "", "wrong", API_KEY[:-1], f"{API_KEY}x", "clé"):
        assert error_of(await ask(method, key, "local")) == (401, "The API key is missing or wrong.")
    for website_id in (None, "", "other"):
        assert error_of(await ask(method, API_KEY, website_id)) == (404, "The hub does not serve this website.")
    other_method = "POST" if method == "GET" else "GET"
    refusal = await ask(other_method, API_KEY, "local")
    assert refusal.headers["cache-control"] == "no-store"
    assert error_of(refusal) == (405, "This address does not take this method.")
    assert method in refusal.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "body", [b'{"title": "\xff"}', b'{"\xff": 1}', b'{"title": "\xed\xa0\x80"}', b"\xff\xfe{}", b'{"title": "\\ud800"}']
)
async def test_bodies_that_are_no_text(hub: Hub, body: bytes) -> None:
    response = await hub.client.post(
        "/chatroom/create", params={"websiteId": "local"}, headers={"X-Api-Key": API_KEY}, content=body
    )
    assert error_of(response) == (400, "The body is not JSON.")


async def test_chatrooms(hub: Hub) -> None:
    room = await create(hub, is_private=True, external_id="post-1")
    assert room == {
        "id": room["id"],
        "title": "A post",
        "is_private": True,
        "is_deleted": False,
        "is_closed": False,
        "number_of_visitors": 0,
        "managers": [],
        "web_chat_id": "local",
        "external_id": "post-1",
    }
    assert await create(hub, external_id="post-1", title="Other") == room
    other = await create(hub, is_private=None)
    assert (await hub.get("/chatroom/get", chatroomId=room["id"])).json() == room
    changed = (await hub.post("/chatroom/update", {"title": "New", "is_closed": True}, chatroomId=room["id"])).json()
    assert changed == room | {"title": "New", "is_closed": True}
    assert (await hub.post("/chatroom/delete", chatroomId=room["id"])).json() == {"is_success": True}
    assert (await hub.post("/chatroom/delete", chatroomId=room["id"])).json() == {"is_success": True}
    deleted = (await hub.get("/chatroom/get", chatroomId=room["id"])).json()
    assert deleted == changed | {"is_deleted": True}

    listed = (await hub.get("/chatroom/list")).json()
    assert listed == {"items": [other], "page": 1, "items_per_page": 100, "total": 1}
    listed = (await hub.get("/chatroom/list", includeDeleted="true", page=2, itemsPerPage=1)).json()
    assert listed == {"items": [other], "page": 2, "items_per_page": 1, "total": 2}
    by_name = (await hub.get("/chatroom/list", externalId="post-1", includeDeleted="true")).json()
    assert (by_name["items"], by_name["total"]) == ([deleted], 1)
    assert (await hub.get("/chatroom/list", externalId="post-1")).json()["items"] == []
    assert (await hub.get("/chatroom/list", externalId="post-1", includeDeleted="1", page=2)).json()["items"] == []
    assert (await hub.get("/chatroom/list", externalId="post-2", includeDeleted="true")).json()["items"] == []

    assert (await hub.post("/chatroom/restore", chatroomId=room["id"])).json() == changed
    named = (await hub.post("/chatroom/update", {"external_id": "post-1"}, chatroomId=other["id"])).json()
    assert named == other | {"external_id": "post-1"}
    assert (await hub.get("/chatroom/get", chatroomId=room["id"])).json() == changed | {"external_id": None}
    assert (await hub.post("/chatroom/update", {"external_id": ""}, chatroomId=other["id"])).json() == other


async def test_members(hub: Hub) -> None:
    room = (await create(hub))["id"]
    ticket = (await hub.get("/visitor/get-id")).json()
    for visitor_id in (ticket, "ada"):
        response = await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId=visitor_id)
        assert response.json() == {"is_success": True}
    await hub.post("/visitor/update", {"name": "Ada", "email": "a@x.example", "fields": {"n": 1}}, visitorId="ada")
    visitors = (await hub.get("/chatroom/visitors", chatroomId=room)).json()
    assert visitors["page"] == 1
    assert {item["name"] for item in visitors["items"]} == {"Ada", None}
    # A ticket names the visitor whom others know by a public id.
    assert ticket not in [item["uuid"] for item in visitors["items"]]
    assert len((await hub.get("/chatroom/visitors", chatroomId=room, page=2, itemsPerPage=1)).json()["items"]) == 1
    assert (await hub.get("/chatroom/get", chatroomId=room)).json()["number_of_visitors"] == 2
    for query in ({"visitorId": ticket}, {"visitorId": "ada", "connectionId": "c"}, {"visitorId": "ada"}):
        response = await hub.post("/chatroom/disconnect-visitor", chatroomId=room, **query)
        assert response.json() == {"is_success": True}
    assert (await hub.get("/chatroom/visitors", chatroomId=room)).json()["items"] == []
    query = {"chatroomId": room, "visitorId": "ada", "onlyOffline": "true"}
    assert (await hub.post("/chatroom/disconnect-visitor", **query)).json() == {"is_success": True, "is_member": False}


async def test_messages(hub: Hub) -> None:
    room = (await create(hub))["id"]
    body = {"content": "Hello", "sender_flag": 0, "sender_id": "ada", "sender_name": "Ada", "uuid": "key"}
    sent = (await hub.post("/chatroom/send-message", body, chatroomId=room)).json()
    assert sent == {
        "uuid": sent["uuid"],
        "type": 0,
        "content": "Hello",
        "thumb_100_url": None,
        "thumb_300_url": None,
        "original_url": None,
        "file_url": None,
        "sender_flag": 0,
        "sender_id": "ada",
        "sent_at": START,
        "sender_name": "Ada",
        "edited_at": None,
        "seq": 1,
        "file_name": None,
        "file_size": None,
        "width": None,
        "height": None,
    }
    assert (await hub.post("/chatroom/send-message", body, chatroomId=room)).json() == sent
    whisper = await hub.post("/chatroom/send-whisper", {"content": "Psst", "sender_id": "boss"}, chatroomId=room)
    assert whisper.json()["sender_flag"] == 1
    file = {"type": 5, "file_url": "https://x/y", "sender_id": "ada"}
    second = (await hub.post("/chatroom/send-message", file, chatroomId=room)).json()
    assert second["file_url"] == "https://x/y"

    for message in (sent, whisper.json()):
        found = (await hub.get("/chatroom/find-message", messageId=message["uuid"])).json()
        assert found == {"chatroom_id": room, "message": message}

    listed = (await hub.get("/chatroom/messages", chatroomId=room)).json()
    assert listed == {"items": [sent, second], "cursor": "2", "has_more": False, "is_closed": False, "total": 2}
    earlier = (await hub.get("/chatroom/messages", chatroomId=room, lastMessageId=second["uuid"], count=1)).json()
    assert earlier["items"] == [sent]
    edited = (
        await hub.post("/chatroom/update-message", {"content": "Bye"}, chatroomId=room, messageId=sent["uuid"])
    ).json()
    assert edited == sent | {"content": "Bye", "edited_at": START}
    for _ in range(2):
        response = await hub.post("/chatroom/delete-message", chatroomId=room, messageId=second["uuid"])
        assert response.json() == {"is_success": True}
    assert error_of(await hub.get("/chatroom/find-message", messageId=second["uuid"]))[0] == 404
    changes = (await hub.get("/chatroom/changes", chatroomId=room, cursor=listed["cursor"])).json()
    assert changes == {
        "items": [edited, {"uuid": second["uuid"], "is_deleted": True}],
        "cursor": "4",
        "has_more": False,
        "is_closed": False,
        "total": 1,
    }
    assert len((await hub.get("/chatroom/changes", chatroomId=room, count=1)).json()["items"]) == 1
    counts = await hub.post("/chatroom/counts", {"chatroom_ids": [room, "nowhere"]})
    assert counts.json() == {"counts": {room: 1}}


async def test_visitors(hub: Hub) -> None:
    body = {"name": "Ada", "fields": {"n": 1, "no": None}, "is_persistent": True, "is_manager": True, "other": 1}
    updated = (await hub.post("/visitor/update", body, visitorId="ada")).json()
    assert updated == {
        "uuid": "ada",
        "name": "Ada",
        "email": None,
        "fields": {"n": 1},
        "is_online": False,
        "is_manager": True,
        "is_persistent": True,
    }
    assert (await hub.get("/visitor/get", visitorId="ada")).json() == updated
    assert (await hub.post("/visitor/update", {"email": "x"}, visitorId="ada")).json() == updated | {"email": "x"}
    assert error_of(await hub.get("/visitor/get", visitorId="nobody")) == (404, "There is no such visitor.")


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "status"),
    [
        ("GET", "/chatroom/get", {}, None, 400),
        ("GET", "/chatroom/get", {"chatroomId": ""}, None, 400),
        ("GET", "/chatroom/get", {"chatroomId": "x" * 101}, None, 400),
        ("GET", "/chatroom/get", {"chatroomId": "nowhere"}, None, 404),
        ("GET", "/chatroom/list", {"page": "0"}, None, 400),
        ("GET", "/chatroom/list", {"page": "x"}, None, 400),
        ("GET", "/chatroom/list", {"itemsPerPage": "501"}, None, 400),
        ("GET", "/chatroom/list", {"itemsPerPage": "9" * 30}, None, 400),
        ("GET", "/chatroom/list", {"includeDeleted": "perhaps"}, None, 400),
        ("GET", "/chatroom/list", {"externalId": ""}, None, 400),
        ("GET", "/chatroom/find-message", {}, None, 400),
        ("GET", "/chatroom/find-message", {"messageId": "nothing"}, None, 404),
        ("GET", "/chatroom/messages", {"chatroomId": "{room}", "count": "101"}, None, 400),
        ("GET", "/chatroom/messages", {"chatroomId": "{room}", "lastMessageId": "nothing"}, None, 404),
        ("GET", "/chatroom/changes", {"chatroomId": "{room}", "cursor": "x"}, None, 400),
        ("GET", "/visitor/get", {}, None, 400),
        ("POST", "/chatroom/create", {}, {}, 400),
        ("POST", "/chatroom/create", {}, {"title": None}, 400),
        ("POST", "/chatroom/create", {}, {"title": "x", "is_private": "no"}, 400),
        ("POST", "/chatroom/create", {}, {"title": "x", "is_private": 0}, 400),
        ("POST", "/chatroom/connect-visitor", {"chatroomId": "{room}"}, None, 400),
        ("POST", "/chatroom/connect-visitor", {"chatroomId": "nowhere", "visitorId": "x"}, None, 404),
        ("POST", "/chatroom/disconnect-visitor", {"chatroomId": "nowhere", "visitorId": "x"}, None, 404),
        # An empty id is none; it never stands for all connections.
        (
            "POST",
            "/chatroom/disconnect-visitor",
            {"chatroomId": "{room}", "visitorId": "x", "connectionId": ""},
            {},
            400,
        ),
        (
            *("POST", "/chatroom/disconnect-visitor"),
            {"chatroomId": "{room}", "visitorId": "x", "connectionId": "c", "onlyOffline": "true"},
            *({}, 400),
        ),
        ("GET", "/chatroom/messages", {"chatroomId": "{room}", "lastMessageId": ""}, None, 400),
        ("POST", "/chatroom/update", {"chatroomId": "{room}"}, {"external_id": 7}, 400),
        ("POST", "/chatroom/send-message", {"chatroomId": "{room}"}, {"content": "x"}, 400),
        ("POST", "/chatroom/send-message", {"chatroomId": "{room}"}, {"content": "", "sender_id": "x"}, 400),
        ("POST", "/chatroom/send-message", {"chatroomId": "{closed}"}, {"content": "x", "sender_id": "x"}, 403),
        ("POST", "/chatroom/update-message", {"chatroomId": "{room}", "messageId": "x"}, {"content": "x"}, 404),
        ("POST", "/chatroom/delete-message", {"chatroomId": "{room}", "messageId": "x"}, None, 404),
        ("POST", "/chatroom/counts", {}, {"chatroom_ids": "x"}, 400),
        ("POST", "/visitor/update", {"visitorId": "x"}, {"is_manager": 1}, 400),
    ],
)
async def test_refusals(
    hub: Hub, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None, status: int
) -> None:
    names = {"{room}": (await create(hub))["id"], "{closed}": (await create(hub))["id"]}
    await hub.post("/chatroom/update", {"is_closed": True}, chatroomId=names["{closed}"])
    query = {name: names.get(value, value) for name, value in query.items()}
    response = await (hub.get(path, **query) if method == "GET" else hub.post(path, body, **query))
    assert error_of(response)[0] == status
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 10_000, b'{"title":"\\ud800"}', b'{"title":"x","is_private":NaN}'],
    ids=["cut", "list", "text", "no UTF-8", "deep", "surrogate", "NaN"],
)
async def test_bodies_that_are_none(hub: Hub, body: bytes) -> None:
    response = await hub.client.post(
        "/chatroom/create", params={"websiteId": "local"}, content=body, headers={"X-Api-Key": API_KEY}
    )
    assert error_of(response)[0] == 400


async def test_bodies_that_are_too_large(hub: Hub) -> None:
    response = await hub.post("/chatroom/create", {"title": "x" * 300_000})
    assert error_of(response) == (413, "The body is larger than the 262144 bytes allowed.")


async def test_a_database_that_fails_is_503(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full of secrets")

    monkeypatch.setattr(SqlStore, "find_chatroom", fail)
    response = await hub.get("/chatroom/get", chatroomId="x")
    assert error_of(response) == (503, "The hub's database cannot be used right now.")
    assert response.headers["retry-after"] == "1"


async def test_what_goes_wrong_inside_is_500_and_tells_nothing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(SqlStore, "find_chatroom", fail)
    response = await hub.get("/chatroom/get", chatroomId="x")
    assert error_of(response) == (500, "The hub failed. Please try again.")


async def test_addresses_that_are_not_there(hub: Hub) -> None:
    for path in ("/nothing", "/file", "/", "/chatroom"):
        assert error_of(await hub.get(path)) == (404, "There is nothing at this address.")
    response = await hub.client.get("http://hub.example/elsewhere")
    assert error_of(response)[0] == 404
