"""The REST client: each row of the table on the wire, and each way in which a call can fail."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import itertools
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import flask_chatix_comments
from flask_chatix_comments.api import ChatixApi, ChatroomPage, merge_operations
from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiError,
    ApiPayloadError,
    ApiStatusError,
    ApiTimeoutError,
    ConfigError,
)
from flask_chatix_comments.models import Chatroom, Crowd, Forgotten, Message, MessageType, Profile, SenderFlag
from flask_chatix_comments.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.rooms_fixtures import FakeService, Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)

KEY = "key-that-must-not-leak"
BASE_URL = "http://api.test/v1"
ROOM = {"id": "r1", "title": "Hello", "is_private": False, "number_of_visitors": 2, "managers": [], "external_id": "7"}
VISITOR = {"uuid": "v1", "name": "Eve", "email": None, "fields": {"plan": "free"}, "is_online": True}
MESSAGE = {"uuid": "m1", "type": 0, "content": "Hi", "sender_flag": 0, "sender_id": "v1", "sent_at": 1700000000.5}
A_CHATROOM = Chatroom("r1", "Hello", number_of_visitors=2, external_id="7")
A_PROFILE = Profile("v1", name="Eve", fields={"plan": "free"}, is_online=True)
A_MESSAGE = Message(
    "m1", "r1", MessageType.TEXT, SenderFlag.VISITOR, "v1", datetime(2023, 11, 14, 22, 13, 20, 500000, UTC), "Hi"
)

Call = Callable[[ChatixApi], Any]


def answer(data: Any, status_code: int = 200, **headers: str) -> httpx.Response:
    """Return JSON."""
    return httpx.Response(status_code, json=data, headers=headers)


# What is called, the request that the table of docs/hosted-service.md names, the answer, the result.
CALLS: dict[str, tuple[Call, str, str, dict[str, str], Any, Any, Any]] = {
    "create_chatroom": (
        lambda api: api.create_chatroom("Hello", external_id="7"),
        *("POST", "/chatroom/create", {}),
        {"title": "Hello", "is_private": False, "external_id": "7"},
        *(ROOM, A_CHATROOM),
    ),
    "create_chatroom, private": (
        lambda api: api.create_chatroom("Hello", is_private=True),
        *("POST", "/chatroom/create", {}),
        {"title": "Hello", "is_private": True},
        *(ROOM, A_CHATROOM),
    ),
    "get_chatroom": (
        lambda api: api.get_chatroom("r1"),
        *("GET", "/chatroom/get", {"chatroomId": "r1"}),
        *(None, ROOM, A_CHATROOM),
    ),
    "list_chatrooms": (
        lambda api: api.list_chatrooms(page=2, items_per_page=10, include_deleted=True),
        *("GET", "/chatroom/list", {"page": "2", "itemsPerPage": "10", "includeDeleted": "true"}),
        *(None, {"items": [ROOM], "page": 2, "items_per_page": 10, "total": 11}, ChatroomPage((A_CHATROOM,), 11)),
    ),
    "list_chatrooms, bare": (
        lambda api: api.list_chatrooms(),
        *("GET", "/chatroom/list", {"page": "1", "itemsPerPage": "100", "includeDeleted": "false"}),
        *(None, [ROOM], ChatroomPage((A_CHATROOM,), None)),
    ),
    "find_chatroom_by_external_id": (
        lambda api: api.find_chatroom_by_external_id("7 &ü"),
        "GET",
        "/chatroom/list",
        {"page": "1", "itemsPerPage": "100", "includeDeleted": "true", "externalId": "7 &ü"},
        *(None, {"items": []}, None),
    ),
    "update_chatroom": (
        lambda api: api.update_chatroom("r1", title="New"),
        *("POST", "/chatroom/update", {"chatroomId": "r1"}, {"title": "New"}),
        *(ROOM, A_CHATROOM),
    ),
    "update_chatroom, flags": (
        lambda api: api.update_chatroom("r1", is_private=False, is_closed=True),
        *("POST", "/chatroom/update", {"chatroomId": "r1"}, {"is_private": False, "is_closed": True}),
        *(ROOM, A_CHATROOM),
    ),
    "update_chatroom, external id": (
        lambda api: api.update_chatroom("r1", external_id=""),
        *("POST", "/chatroom/update", {"chatroomId": "r1"}, {"external_id": ""}),
        *(ROOM, A_CHATROOM),
    ),
    "delete_chatroom": (
        lambda api: api.delete_chatroom("r1"),
        *("POST", "/chatroom/delete", {"chatroomId": "r1"}, None),
        *({"is_success": True}, None),
    ),
    "restore_chatroom": (
        lambda api: api.restore_chatroom("r1"),
        *("POST", "/chatroom/restore", {"chatroomId": "r1"}, None),
        *(ROOM, A_CHATROOM),
    ),
    "connect_visitor": (
        lambda api: api.connect_visitor("r1", "v1"),
        *("POST", "/chatroom/connect-visitor", {"chatroomId": "r1", "visitorId": "v1"}, None),
        *({"is_success": True}, None),
    ),
    "disconnect_visitor": (
        lambda api: api.disconnect_visitor("r1", "v1"),
        *("POST", "/chatroom/disconnect-visitor", {"chatroomId": "r1", "visitorId": "v1"}, None),
        *({"is_success": True}, None),
    ),
    "disconnect_visitor, one connection": (
        lambda api: api.disconnect_visitor("r1", "v1", connection_id="c1"),
        "POST",
        "/chatroom/disconnect-visitor",
        {"chatroomId": "r1", "visitorId": "v1", "connectionId": "c1"},
        *(None, {"is_success": True}, None),
    ),
    "disconnect_visitor, unless it is online": (
        lambda api: api.disconnect_offline_visitor("r1", "v1"),
        "POST",
        "/chatroom/disconnect-visitor",
        {"chatroomId": "r1", "visitorId": "v1", "onlyOffline": "true"},
        *(None, {"is_success": True, "is_member": True}, True),
    ),
    "list_visitors": (
        lambda api: api.list_visitors("r1"),
        *("GET", "/chatroom/visitors", {"chatroomId": "r1", "page": "1", "itemsPerPage": "100"}),
        *(None, {"items": [VISITOR]}, [A_PROFILE]),
    ),
    "list_visitors, who is online": (
        lambda api: api.list_presence("r1", page=2, items_per_page=10),
        *("GET", "/chatroom/visitors", {"chatroomId": "r1", "page": "2", "itemsPerPage": "10"}),
        *(None, {"items": [VISITOR, VISITOR | {"uuid": "v2", "is_online": False}]}, {"v1": True, "v2": False}),
    ),
    "list_messages": (
        lambda api: api.list_messages("r1", before_id="m9", limit=30),
        *("GET", "/chatroom/messages", {"chatroomId": "r1", "lastMessageId": "m9", "count": "30"}),
        *(None, {"items": [MESSAGE]}, [A_MESSAGE]),
    ),
    "find_message": (
        lambda api: api.find_message("m1"),
        *("GET", "/chatroom/find-message", {"messageId": "m1"}),
        *(None, {"chatroom_id": "r1", "message": MESSAGE}, A_MESSAGE),
    ),
    "send_message": (
        lambda api: api.send_message("r1", sender_id="v1", content="Hi"),
        *("POST", "/chatroom/send-message", {"chatroomId": "r1"}),
        {"type": 0, "content": "Hi", "sender_flag": 0, "sender_id": "v1"},
        *(MESSAGE, A_MESSAGE),
    ),
    "send_message, file of a manager": (
        lambda api: api.send_message(
            "r1", sender_id="v1", sender_flag=SenderFlag.MANAGER, type=MessageType.FILE, file_url="https://h/f"
        ),
        *("POST", "/chatroom/send-message", {"chatroomId": "r1"}),
        {"type": 5, "file_url": "https://h/f", "sender_flag": 1, "sender_id": "v1"},
        *(MESSAGE, A_MESSAGE),
    ),
    "update_message": (
        lambda api: api.update_message("r1", "m1", content="Hi"),
        *("POST", "/chatroom/update-message", {"chatroomId": "r1", "messageId": "m1"}, {"content": "Hi"}),
        *(MESSAGE, A_MESSAGE),
    ),
    "delete_message": (
        lambda api: api.delete_message("r1", "m1"),
        *("POST", "/chatroom/delete-message", {"chatroomId": "r1", "messageId": "m1"}, None),
        *({"is_success": True}, None),
    ),
    "send_whisper": (
        lambda api: api.send_whisper("r1", sender_id="v1", content="Hi"),
        *("POST", "/chatroom/send-whisper", {"chatroomId": "r1"}, {"content": "Hi", "sender_id": "v1"}),
        *(MESSAGE, A_MESSAGE),
    ),
    "counts": (
        lambda api: api.counts(("r1", "r2")),
        *("POST", "/chatroom/counts", {}, {"chatroom_ids": ["r1", "r2"]}),
        *({"counts": {"r1": 3}}, {"r1": 3}),
    ),
    "new_visitor_id": (lambda api: api.new_visitor_id(), "GET", "/visitor/get-id", {}, None, "v1", "v1"),
    "get_visitor": (
        lambda api: api.get_visitor("v1"),
        *("GET", "/visitor/get", {"visitorId": "v1"}),
        *(None, VISITOR, A_PROFILE),
    ),
    "get_visitor, whether it is online": (
        lambda api: api.is_online("v1"),
        *("GET", "/visitor/get", {"visitorId": "v1"}),
        *(None, VISITOR, True),
    ),
    "update_visitor": (
        lambda api: api.update_visitor("v1", name="Eve", is_persistent=True),
        *("POST", "/visitor/update", {"visitorId": "v1"}, {"name": "Eve", "is_persistent": True}),
        *(VISITOR, A_PROFILE),
    ),
    "update_visitor, all": (
        lambda api: api.update_visitor("v1", email="e@x.test", fields={"a": 1, "b": None}, is_manager=False),  # type: ignore[dict-item]
        *("POST", "/visitor/update", {"visitorId": "v1"}),
        {"email": "e@x.test", "fields": {"a": 1}, "is_manager": False},
        *(VISITOR, A_PROFILE),
    ),
    "forget_visitor": (
        lambda api: api.forget_visitor("v1"),
        *("POST", "/visitor/forget", {"visitorId": "v1"}, None),
        *({"messages": 2, "files": 1, "was_known": True}, Forgotten(2, 1, was_known=True)),
    ),
    "get_crowd": (
        lambda api: api.get_crowd(),
        *("GET", "/visitor/crowd", {}, None),
        *({"connections": 3, "visitors": 2}, Crowd(3, 2)),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_operation_on_the_wire(api: ChatixApi, faults: Faults, name: str) -> None:
    call, method, path, query, body, reply, result = CALLS[name]
    faults.order(answer(reply))
    assert call(api) == result
    (request,) = faults.requests
    assert (request.method, request.url.path) == (method, f"/v1{path}")
    assert dict(request.url.params) == {"websiteId": "site 1"} | query
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["X-Api-Key"] == KEY


def test_every_row_has_been_called() -> None:
    assert {name.split(",")[0] for name in CALLS} - {"find_chatroom_by_external_id"} | {"list_changes"} == set(
        OPERATIONS
    )


def test_changes_tell_what_is_gone(api: ChatixApi, faults: Faults) -> None:
    items = [MESSAGE, {"uuid": "m0", "is_deleted": True}]
    faults.order(answer({"items": items, "cursor": 12, "has_more": True}))
    changes = api.list_changes("r1", cursor="5")
    assert (changes.messages, changes.deleted_ids, changes.cursor, changes.has_more) == (
        (A_MESSAGE,),
        ("m0",),
        "12",
        True,
    )
    query = {"websiteId": "site 1", "chatroomId": "r1", "cursor": "5", "count": "100"}
    assert dict(faults.requests[0].url.params) == query


@pytest.mark.parametrize("is_online", [None, 0, "false", ...])
def test_nobody_is_offline_who_is_not_said_to_be(api: ChatixApi, faults: Faults, is_online: Any) -> None:
    visitor = {key: value for key, value in VISITOR.items() if key != "is_online"}
    visitor |= {} if is_online is ... else {"is_online": is_online}
    faults.order(answer({"items": [visitor]}), answer(visitor))
    with pytest.raises(ApiPayloadError):
        api.list_presence("r1")
    with pytest.raises(ApiPayloadError):
        api.is_online("v1")


def test_a_message_that_is_nowhere(api: ChatixApi, faults: Faults) -> None:
    faults.order(answer({"error": "There is no such message."}, 404))
    assert api.find_message("m1") is None
    faults.order(answer({"error": "no"}, 403))
    with pytest.raises(ApiStatusError):
        api.find_message("m1")


@pytest.mark.parametrize(("text", "visitor_id"), [("abc-1\n", "abc-1"), ('"abc-1"', "abc-1"), ("123", "123")])
def test_a_visitor_id_comes_as_text_or_json(api: ChatixApi, faults: Faults, text: str, visitor_id: str) -> None:
    faults.order(httpx.Response(200, text=text))
    assert api.new_visitor_id() == visitor_id


@pytest.mark.parametrize("text", ["", "<html>", "a b", "a&b", "a#b", "true", "{}", "null", '"a\\nb"', "x" * 2001, "ü"])
def test_a_visitor_id_that_cannot_be_one(api: ChatixApi, faults: Faults, text: str) -> None:
    faults.order(httpx.Response(200, text=text))
    with pytest.raises(ApiPayloadError):
        api.new_visitor_id()


class TestFindByExternalId:
    def test_believes_the_rooms_and_not_the_filter(self, api: ChatixApi, service: FakeService) -> None:
        service.keeps_external_ids = False
        service.add("other")
        assert api.find_chatroom_by_external_id("7") is None

    def test_prefers_a_living_one(self, api: ChatixApi, service: FakeService) -> None:
        service.add("dead", external_id="7", is_deleted=True)
        service.add("alive", external_id="7")
        service.add("younger", external_id="7")
        found = api.find_chatroom_by_external_id("7")
        assert found and found.title == "alive"


class TestRefusals:
    def test_by_status(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer({"error": "No such\nchatroom."}, 404))
        with pytest.raises(ApiStatusError) as raised:
            api.get_chatroom("r1")
        assert str(raised.value) == (
            "The API at http://api.test/v1 refused get_chatroom with status 404: No such chatroom. "
            "If it should exist: check CHATIX_API_URL and CHATIX_API_OPERATIONS."
        )
        assert (raised.value.operation, raised.value.status_code, raised.value.retry_after_s) == (
            "get_chatroom",
            404,
            None,
        )

    def test_inside_a_success(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer({"is_success": False, "description": "It is private."}))
        with pytest.raises(ApiStatusError, match=r"refused connect_visitor: It is private\.$") as raised:
            api.connect_visitor("r1", "v1")
        assert raised.value.status_code == 200

    def test_of_the_key_name_the_setting(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer({"error": f"The key {KEY} is unknown"}, 401))
        with pytest.raises(ApiStatusError, match="If CHATIX_API_KEY is set: check it") as raised:
            api.create_chatroom("Hello")
        assert KEY not in str(raised.value)
        for setting in ("CHATIX_API_AUTH_HEADER", "CHATIX_HUB_PORT", "SECRET_KEY", "CHATIX_HUB_API_KEY"):
            assert setting in str(raised.value)

    def test_by_redirect_are_not_followed(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(httpx.Response(302, headers={"Location": "http://elsewhere.test/"}))
        with pytest.raises(ApiStatusError, match="status 302. It redirects: check CHATIX_API_URL"):
            api.get_chatroom("r1")
        assert len(faults.requests) == 1

    @pytest.mark.parametrize("content", [b"<html>Bad gateway</html>", b"[1]", b'{"error": 5}', b"[" * 100_000, b"\xff"])
    def test_without_a_sentence(self, api: ChatixApi, faults: Faults, content: bytes) -> None:
        faults.order(httpx.Response(400, content=content))
        with pytest.raises(ApiStatusError, match=r"with status 400\.$"):
            api.get_chatroom("r1")


class TestNonsense:
    @pytest.mark.parametrize(
        "content",
        [
            b"<html>Please log in</html>",
            b'{"id": "r1"',
            b"[" * 100_000,
            b"\xff\xfe",
            b"",
            b"null",
            b"[]",
            b'"r1"',
            b"{}",
        ],
    )
    def test_instead_of_a_chatroom(self, api: ChatixApi, faults: Faults, content: bytes) -> None:
        faults.order(httpx.Response(200, content=content))
        with pytest.raises(ApiPayloadError, match="CHATIX_API_URL") as raised:
            api.get_chatroom("r1")
        assert raised.value.operation == "get_chatroom"
        assert len(faults.requests) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": None},
            {"id": ""},
            {"id": "x" * 256},
            {"id": "a&b=c"},
            {"id": "a\nb"},
            {"number_of_visitors": "many"},
            {"number_of_visitors": float("inf")},
            {"managers": 5},
            {"managers": [5]},
        ],
    )
    def test_inside_a_chatroom(self, api: ChatixApi, faults: Faults, changes: dict[str, Any]) -> None:
        faults.order(httpx.Response(200, content=json.dumps(ROOM | changes)))
        with pytest.raises(ApiPayloadError):
            api.get_chatroom("r1")

    @pytest.mark.parametrize("data", [{"items": None}, {"items": {}}, {}, "x", {"items": [None]}])
    def test_instead_of_a_list(self, api: ChatixApi, faults: Faults, data: Any) -> None:
        faults.order(answer(data), answer(data), answer(data))
        for call in (api.list_chatrooms, lambda: api.list_visitors("r1"), lambda: api.list_messages("r1")):
            with pytest.raises(ApiPayloadError):
                call()

    def test_instead_of_a_deed_done(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(httpx.Response(200, text="<html>Please log in</html>"), httpx.Response(204))
        with pytest.raises(ApiPayloadError):
            api.delete_chatroom("r1")
        api.delete_chatroom("r1")

    def test_in_a_compressed_body(self, api: ChatixApi, faults: Faults) -> None:
        def broken(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

        faults.order(broken)
        with pytest.raises(ApiPayloadError, match="decompressed"):
            api.get_chatroom("r1")

    def test_without_end(self, api: ChatixApi, faults: Faults) -> None:
        bomb = gzip.compress(b" " * 9 * 1024 * 1024)
        faults.order(
            httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(bomb)),
        )
        with pytest.raises(ApiPayloadError, match="more than 8388608 bytes"):
            api.get_chatroom("r1")


class TestTries:
    def test_repeat_what_is_repeatable(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(httpx.ReadTimeout(""), answer({"error": "busy"}, 503))
        faults.order(answer(ROOM))
        assert api.get_chatroom("r1") == A_CHATROOM
        first, second = ticking.sleeps
        assert 0.1 <= first <= 0.2 and 0.2 <= second <= 0.4

    def test_repeat_rows_that_are_idempotent(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(httpx.ConnectError("refused"), answer(ROOM))
        assert api.update_chatroom("r1", title="New") == A_CHATROOM

    @pytest.mark.parametrize(
        "call",
        [
            lambda api: api.create_chatroom("Hello"),
            lambda api: api.send_message("r1", sender_id="v1", content="Hi"),
            lambda api: api.send_whisper("r1", sender_id="v1", content="Hi"),
        ],
    )
    @pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.Response(503)])
    def test_never_repeat_others(self, api: ChatixApi, faults: Faults, call: Call, fault: Any) -> None:
        faults.order(fault)
        with pytest.raises(ApiError):
            call(api)
        assert len(faults.requests) == 1

    def test_end(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(*[httpx.ConnectError("refused")] * 9)
        with pytest.raises(
            ApiConnectionError, match="No answer from the API at http://api.test/v1 to get_chatroom: refus"
        ):
            api.get_chatroom("r1")
        assert len(faults.requests) == 3

    def test_end_with_the_time(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        def slow(request: httpx.Request) -> httpx.Response:
            ticking.advance(19.95)
            return httpx.Response(503)

        faults.order(slow, slow)
        with pytest.raises(ApiStatusError):
            api.get_chatroom("r1")
        assert len(faults.requests) == 1

    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_repeat_after_passing_troubles(self, api: ChatixApi, faults: Faults, status: int) -> None:
        faults.order(httpx.Response(status), answer(ROOM))
        assert api.get_chatroom("r1") == A_CHATROOM

    @pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 409, 422, 501])
    def test_do_not_repeat_refusals(self, api: ChatixApi, faults: Faults, status: int) -> None:
        faults.order(httpx.Response(status))
        with pytest.raises(ApiStatusError):
            api.get_chatroom("r1")
        assert len(faults.requests) == 1

    def test_wait_as_asked(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(answer({}, 429, **{"Retry-After": "4"}), answer(ROOM))
        api.get_chatroom("r1")
        assert ticking.sleeps == [4.0]

    def test_leave_long_waits_to_the_caller(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer({}, 429, **{"Retry-After": "60"}))
        with pytest.raises(ApiStatusError) as raised:
            api.get_chatroom("r1")
        assert raised.value.retry_after_s == 60
        assert len(faults.requests) == 1

    @pytest.mark.parametrize(
        ("value", "retry_after_s"),
        [
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
            ("soon", None),
            ("-1", None),
            ("9" * 400, None),
            ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ],
    )
    def test_read_dates_and_doubt_the_rest(
        self, api: ChatixApi, faults: Faults, value: str, retry_after_s: float | None
    ) -> None:
        faults.order(answer({}, 400, **{"Retry-After": value}))
        with pytest.raises(ApiStatusError) as raised:
            api.get_chatroom("r1")
        assert raised.value.retry_after_s == retry_after_s

    def test_are_one_when_somebody_waits(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(httpx.ReadTimeout(""))
        with pytest.raises(ApiTimeoutError) as raised:
            api.within(0.5).get_chatroom("r1")
        assert raised.value.timeout_s == 0.5
        assert faults.requests[0].extensions["timeout"]["read"] == 0.5
        assert len(faults.requests) == 1


class TestSilence:
    @pytest.mark.parametrize(
        ("fault", "error", "may_have_arrived"),
        [
            (httpx.ConnectError("refused"), ApiConnectionError, False),
            (httpx.ConnectTimeout(""), ApiTimeoutError, False),
            (httpx.PoolTimeout(""), ApiTimeoutError, False),
            (httpx.ReadTimeout(""), ApiTimeoutError, True),
            (httpx.WriteTimeout(""), ApiTimeoutError, True),
            (httpx.ReadError(""), ApiConnectionError, True),
            (httpx.RemoteProtocolError("peer closed"), ApiConnectionError, True),
        ],
    )
    def test_tells_whether_the_call_was_sent(
        self, api: ChatixApi, faults: Faults, fault: Exception, error: type[ApiConnectionError], may_have_arrived: bool
    ) -> None:
        faults.order(fault)
        with pytest.raises(ApiConnectionError) as raised:
            api.create_chatroom("Hello")
        assert type(raised.value) is error
        assert raised.value.may_have_arrived is may_have_arrived

    def test_drop_by_drop_is_silence(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        class Dripping(httpx.SyncByteStream):
            def __iter__(self) -> Iterator[bytes]:
                while True:
                    ticking.advance(4)
                    yield b" "

        faults.order(httpx.Response(200, stream=Dripping()))
        with pytest.raises(ApiTimeoutError, match="did not answer create_chatroom within 10 s"):
            api.create_chatroom("Hello")


class TestOnLoopback:
    """The real httpx transport against sockets."""

    @pytest.fixture
    def listener(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener

    def api_at(self, listener: socket.socket) -> ChatixApi:
        return ChatixApi(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", website_id="local", api_key=KEY)

    def serve(self, listener: socket.socket, *replies: bytes) -> threading.Thread:
        def run() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def test_nobody_listens(self, listener: socket.socket) -> None:
        api = self.api_at(listener)
        listener.close()
        with pytest.raises(ApiConnectionError, match="refused") as raised:
            api.create_chatroom("Hello")
        assert raised.value.may_have_arrived is False
        assert api.ping() is False
        api.close()

    def test_the_connection_is_dropped(self, listener: socket.socket) -> None:
        api = self.api_at(listener)
        thread = self.serve(listener, b"")
        with pytest.raises(ApiConnectionError) as raised:
            api.create_chatroom("Hello")
        assert raised.value.may_have_arrived is True
        thread.join()
        api.close()

    def test_no_proxy_of_the_environment(self, listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:9")
        api = self.api_at(listener)
        body = b'{"status":"ok","website_id":"local"}'
        thread = self.serve(listener, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 36\r\n\r\n" + body)
        assert api.ping() is True
        thread.join()
        api.close()


class TestHealth:
    GOOD = {"status": "ok", "website_id": "site 1"}

    def test_is_asked_without_the_key(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer(self.GOOD))
        assert api.ping() is True
        assert faults.paths == ["/health"]
        assert KEY not in str(faults.requests[0].headers.raw)

    @pytest.mark.parametrize(
        "reply",
        [
            answer({"status": "ok", "website_id": "other"}),
            answer({"status": "starting", "website_id": "site 1"}),
            answer(["ok"]),
            answer(GOOD, 500),
            httpx.Response(200, text="<html>"),
            httpx.ReadTimeout(""),
        ],
    )
    def test_of_something_else_is_none(self, api: ChatixApi, faults: Faults, reply: Any) -> None:
        faults.order(reply)
        assert api.ping() is False
        assert len(faults.requests) == 1

    def test_is_waited_for(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(httpx.ConnectError("refused"), httpx.ConnectError("refused"), answer(self.GOOD))
        assert api.wait_until_up(10) is True
        assert ticking.sleeps == [0.05, 0.05]

    def test_is_not_waited_for_for_ever(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(*[httpx.ConnectError("refused")] * 300)
        assert api.wait_until_up(10) is False
        assert 10 <= ticking.now - 1000 < 10.1


class TestSettings:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "api.test",
            "ftp://api.test",
            "http://",
            "http://u:p@api.test",
            "http://a.test/?x=1",
            "http://a.test:port/",
        ],
    )
    def test_of_the_url(self, url: str) -> None:
        with pytest.raises(ConfigError) as raised:
            ChatixApi(url, website_id="w", api_key=KEY)
        assert raised.value.key == "CHATIX_API_URL"

    @pytest.mark.parametrize("key", ["", "a\nb-secret", " secret", "sécret"])
    def test_of_the_key(self, key: str) -> None:
        with pytest.raises(ConfigError) as raised:
            ChatixApi(BASE_URL, website_id="w", api_key=key)
        assert raised.value.key == "CHATIX_API_KEY"
        assert not key or key not in str(raised.value)

    @pytest.mark.parametrize("header", ["", "X Api Key", "X-Api\nKey", ": Bearer", "Authorization: Beärer"])
    def test_of_the_header(self, header: str) -> None:
        with pytest.raises(ConfigError) as raised:
            ChatixApi(BASE_URL, website_id="w", api_key=KEY, auth_header=header)
        assert raised.value.key == "CHATIX_API_AUTH_HEADER"

    @pytest.mark.parametrize(
        ("header", "name", "value"),
        [("X-Token", "X-Token", KEY), ("Authorization: Bearer", "Authorization", f"Bearer {KEY}")],
    )
    def test_carry_the_key(self, faults: Faults, header: str, name: str, value: str) -> None:
        api = ChatixApi("https://api.test/v1/", website_id="w", api_key=KEY, auth_header=header, transport=faults)
        faults.order(answer(ROOM))
        api.get_chatroom("r1")
        assert faults.requests[0].headers[name] == value
        assert str(faults.requests[0].url) == "https://api.test/v1/chatroom/get?websiteId=w&chatroomId=r1"
        api.close()

    def test_are_not_shown(self, api: ChatixApi) -> None:
        assert repr(api) == "<ChatixApi http://api.test/v1 website 'site 1'>"
        assert repr(api.within(1)) == repr(api)

    def test_allow_calls_after_close(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(answer(ROOM), answer(ROOM))
        api.get_chatroom("r1")
        api.close()
        api.close()
        assert api.get_chatroom("r1") == A_CHATROOM


class TestOperations:
    def call(self, faults: Faults, overrides: dict[str, dict[str, Any]], call: Call, reply: Any) -> httpx.Request:
        api = ChatixApi(BASE_URL, website_id="w", api_key=KEY, transport=faults, operations=merge_operations(overrides))
        faults.order(answer(reply))
        call(api)
        api.close()
        return faults.requests[-1]

    def test_can_be_moved_to_another_place(self, faults: Faults) -> None:
        row = {
            "method": "put",
            "path": "/sites/{website_id}/rooms/{chatroom_id}",
            "query": {"chatroom_id": None, "website_id": None},
            "body": {"title": "name", "is_private": None},
            "result": "data.room",
        }
        overrides = {"update_chatroom": row}
        reply = {"data": {"room": ROOM | {"id": "a/b"}}}
        request = self.call(
            faults, overrides, lambda api: api.update_chatroom("a/b", title="New", is_private=True), reply
        )
        assert (request.method, request.url.raw_path) == ("PUT", b"/v1/sites/w/rooms/a%2Fb")
        assert json.loads(request.content) == {"name": "New"}

    def test_can_move_an_argument_to_the_body(self, faults: Faults) -> None:
        overrides = {"delete_chatroom": {"query": {"chatroom_id": None}, "body": {"chatroom_id": "roomId"}}}
        request = self.call(faults, overrides, lambda api: api.delete_chatroom("r1"), None)
        assert dict(request.url.params) == {"websiteId": "w"}
        assert json.loads(request.content) == {"roomId": "r1"}

    @pytest.mark.parametrize("reply", [{"data": {}}, {"data": []}, {"data": None}, []])
    def test_miss_the_key_of_the_result(self, faults: Faults, reply: Any) -> None:
        with pytest.raises(ApiPayloadError, match=r"no 'data\.room' in it"):
            self.call(faults, {"get_chatroom": {"result": "data.room"}}, lambda api: api.get_chatroom("r1"), reply)

    def test_can_be_declared_idempotent(self, faults: Faults) -> None:
        faults.order(httpx.Response(503))
        overrides: dict[str, dict[str, Any]] = {
            "create_chatroom": {"is_idempotent": True},
            "get_chatroom": {"result": None},
        }
        api = ChatixApi(
            BASE_URL,
            website_id="w",
            api_key=KEY,
            transport=faults,
            operations=merge_operations(overrides),
            sleep=lambda s: None,
        )
        assert api.create_chatroom("Hello").title == "Hello"
        api.close()

    def test_without_overrides_are_the_defaults(self) -> None:
        assert merge_operations({}) == OPERATIONS

    def test_another_service_is_asked_by_external_ids_only_if_a_row_says_so(self) -> None:
        row = merge_operations({}, is_hosted=True)["list_chatrooms"]
        assert row == dataclasses.replace(
            OPERATIONS["list_chatrooms"],
            query={
                "website_id": "websiteId",
                "page": "page",
                "items_per_page": "itemsPerPage",
                "include_deleted": "includeDeleted",
            },
        )
        others = {"list_chatrooms": {"query": {"page": "p"}}}
        assert "external_id" not in merge_operations(others, is_hosted=True)["list_chatrooms"].query
        named = {"list_chatrooms": {"query": {"external_id": "key"}}}
        assert merge_operations(named, is_hosted=True)["list_chatrooms"].query["external_id"] == "key"

    @pytest.mark.parametrize(
        ("overrides", "says"),
        [
            ([], "It is a table"),
            ({"make_room": {}}, "no operation 'make_room'. There are: connect_visitor"),
            ({"create_chatrom": {}}, "Did you mean 'create_chatroom'"),
            ({"get_chatroom": "/x"}, "get_chatroom: what differs is a table"),
            ({"get_chatroom": {"verb": "GET"}}, "has no 'verb'"),
            ({"get_chatroom": {"metod": "GET"}}, "Did you mean 'method'"),
            ({"get_chatroom": {"method": "FETCH"}}, "'method' is one of"),
            ({"get_chatroom": {"method": 1}}, "'method' is one of"),
            ({"create_chatroom": {"method": "GET"}}, "GET has no body"),
            *(
                ({"get_chatroom": {"path": path}}, "'path' starts with /")
                for path in (
                    1,
                    "",
                    "x",
                    "/x?y",
                    "/x#y",
                    "/ x",
                    "/{message_id}",
                    "/{",
                    "/{}",
                    "/{chatroom_id.x}",
                    "/{0}",
                )
            ),
            ({"create_chatroom": {"path": "/{chatroom_id}"}}, "in braces it can have {website_id}."),
            ({"get_chatroom": {"query": []}}, "'query' is a table"),
            ({"get_chatroom": {"query": {"room": "x"}}}, "'query' cannot send 'room'"),
            ({"get_chatroom": {"query": {"chatroom": "x"}}}, "Did you mean 'chatroom_id'"),
            ({"get_chatroom": {"query": {"chatroom_id": ""}}}, "needs a name or null for 'chatroom_id'"),
            ({"create_chatroom": {"body": {"title": 1}}}, "'body' needs a name or null"),
            ({"get_chatroom": {"result": 1}}, "'result' is a key"),
            ({"get_chatroom": {"result": ""}}, "'result' is a key"),
            ({"get_chatroom": {"result": "a..b"}}, "'result' is a key"),
            ({"get_chatroom": {"is_idempotent": "yes"}}, "'is_idempotent' is true or false"),
        ],
    )
    def test_are_checked(self, overrides: Any, says: str) -> None:
        with pytest.raises(ConfigError) as raised:
            merge_operations(overrides)
        assert raised.value.key == "CHATIX_API_OPERATIONS"
        assert says in str(raised.value)


FORK = """
import os
import httpx
from flask_chatix_comments.api import ChatixApi
room = {"id": "r1", "title": "", "managers": []}
transport = httpx.MockTransport(lambda request: httpx.Response(200, json=room))
api = ChatixApi("http://api.test/v1", website_id="w", api_key="k", transport=transport)
inherited = api._caller._client.get()
child = os.fork()
api.get_chatroom("r1")
is_same = api._caller._client.get() is inherited
if not child:
    os._exit(0 if not is_same else 1)
assert is_same
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_process_connects_anew() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(flask_chatix_comments.__file__).parents[1])}
    subprocess.run([sys.executable, "-W", "error", "-c", FORK], check=True, timeout=60, env=environment)


def test_what_httpx_logs_of_our_calls_ends_at_the_base(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="httpx")
    transport = httpx.MockTransport(lambda request: answer({"is_success": True}))
    ChatixApi(BASE_URL, website_id="w", api_key=KEY, transport=transport).disconnect_visitor("r1", "secret-id")
    httpx.Client(transport=transport).get("http://elsewhere.test/v1/x?visitorId=theirs")
    ours, theirs = (record.getMessage() for record in caplog.records)
    assert ours.startswith(f"HTTP Request: POST {BASE_URL}/… ")
    assert "http://elsewhere.test/v1/x?visitorId=theirs" in theirs


def test_time_that_runs_out_while_a_request_is_prepared_makes_no_time_limit_that_no_socket_takes() -> None:
    now = itertools.count(1000)
    timeouts: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(200, json={"id": "room-1", "title": "Hello"})

    api = ChatixApi(
        "http://api.test/v1",
        website_id="w",
        api_key="k",
        transport=httpx.MockTransport(answer),
        clock=lambda: next(now) * 0.3,
    )
    # Enough when it is looked at, and gone when the request is sent, a few looks at the clock later.
    for total_s in (0.7, 1.0, 1.3, 1.6):
        with contextlib.suppress(ApiTimeoutError):
            api.sharing(total_s).get_chatroom("room-1")
    api.close()
    assert timeouts and all(seconds > 0 for timeout in timeouts for seconds in timeout.values())


@pytest.mark.parametrize("call", [lambda api: api.get_chatroom("r2"), lambda api: api.update_chatroom("r2", title="x")])
def test_another_chatroom_than_was_asked_for_is_no_answer(api: ChatixApi, faults: Faults, call: Call) -> None:
    faults.order(answer(ROOM))
    with pytest.raises(ApiPayloadError):
        call(api)


def test_ids_may_come_back_in_another_case(api: ChatixApi, faults: Faults) -> None:
    faults.order(answer(ROOM))
    assert api.get_chatroom("R1") == A_CHATROOM
