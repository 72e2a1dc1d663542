"""The log of a hub that is a process of its own: one event a line, and nothing that is nobody's business."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub import web_log
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.log_setup import JsonFormatter, set_up_log
from flask_chatix_comments.hub.service.messages import Messages
from flask_chatix_comments.hub.service.visitors import Visitors
from tests.hub.support import API_KEY, TICKET_KEY, Clock, Hub, sign_ticket

pytestmark = pytest.mark.anyio

HUB = "flask_chatix_comments.hub"
METRICS_KEY = "sentinel-key-of-metrics"
Line = dict[str, Any]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Where the log is written to; loggers are as they were, afterwards."""
    loggers = [logging.getLogger(name) for name in ("", "flask_chatix_comments", "httpx")]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    # That is the client of these tests.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield io.StringIO()
    logging.captureWarnings(False)
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers = handlers


def lines_of(log: io.StringIO) -> list[Line]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.fixture
async def hub(make_config: Callable[..., HubConfig], clock: Clock, log: io.StringIO) -> AsyncIterator[Hub]:
    set_up_log("json", "info", log)
    # As much as there is: what others say, too.
    logging.getLogger().setLevel(logging.INFO)
    async with Hub.running(make_config(logs_requests=True, metrics_keys=(METRICS_KEY,)), clock) as hub:
        yield hub


def format_one(logger: str = HUB, message: str = "A line.", *args: Any, **more: Any) -> Line:
    record = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, args, more.pop("exc_info", None))
    for name, value in more.items():
        setattr(record, name, value)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    line: Line = json.loads(text)
    return line


def failure(exc: Exception) -> Any:
    try:
        raise exc
    except Exception:
        return sys.exc_info()


# Requests


async def test_each_request_has_a_line(hub: Hub, log: io.StringIO) -> None:
    answer = await hub.post("/chatroom/create", {"title": "A post"})
    await hub.get("/chatroom/get", chatroomId="nowhere")
    await hub.get("/nowhere/at/all")
    lines = [line for line in lines_of(log) if line["logger"] == f"{HUB}.watched"]
    told = [(line["method"], line["operation"], line["status"]) for line in lines]
    assert told == [
        ("POST", "/chatroom/create", "200"),
        ("GET", "/chatroom/get", "404"),
        ("GET", "other", "404"),
    ]
    for line in lines:
        assert set(line) == {
            *("time", "level", "logger", "message", "request_id"),
            *("method", "operation", "status", "duration_s"),
        }
        assert line["level"] == "info"
        assert line["time"].endswith("+00:00")
        assert 0 < line["duration_s"] < 60
    assert len({line["request_id"] for line in lines}) == 3
    assert answer.status_code == 200


async def test_what_happens_on_behalf_of_a_request_has_its_id(
    hub: Hub, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Visitors, "get", fail)
    given = "0123456789abcdef0123456789abcdef"
    headers = {"X-Api-Key": API_KEY, "X-Request-ID": given}
    query = {"websiteId": "local", "visitorId": "ada"}
    assert (await hub.client.get("/visitor/get", params=query, headers=headers)).status_code == 500
    (line,) = [line for line in lines_of(log) if line["logger"] == f"{HUB}.watched"]
    assert (line["request_id"], line["status"]) == (given, "500")


@pytest.mark.parametrize("given", ["short", "x" * 32, "a" * 65, "0123 4567 89ab", "eyJhbGciOiJIUzI1NiJ9.sentinel"])
async def test_an_id_that_is_none_is_not_taken_over(hub: Hub, log: io.StringIO, given: str) -> None:
    await hub.client.get("/health", headers={"X-Request-ID": given})
    (line,) = lines_of(log)
    assert line["request_id"] != given
    assert given not in log.getvalue()


async def test_without_the_setting_no_request_is_logged(config: HubConfig, clock: Clock, log: io.StringIO) -> None:
    set_up_log("json", "info", log)
    async with Hub.running(config, clock) as hub:
        assert (await hub.client.get("/health")).status_code == 200
    assert log.getvalue() == ""


async def test_a_socket_has_a_line_at_its_end(hub: Hub, log: io.StringIO, clock: Clock) -> None:
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    events.put_nowait({"type": "websocket.connect"})
    ticket = sign_ticket(clock, "sentinel-visitor")
    scope = {
        "type": "websocket", "path": "/v1/chat", "raw_path": b"/v1/chat", "root_path": "", "headers": [],
        "query_string": f"websiteId=local&visitorId={ticket}&id=sentinel".encode(), "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    await hub.app(scope, events.get, events.put)
    (line,) = lines_of(log)
    assert (line["method"], line["operation"], line["status"]) == ("WebSocket", "/chat", "ended")


# What is never told


async def test_nothing_that_people_write_and_no_secret_is_logged(
    hub: Hub, log: io.StringIO, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day in the life of a hub, with bugs: whatever is said of it, by whatever logger."""
    web_log.install()
    ticket = sign_ticket(clock, "sentinel-visitor", name="Sentinel Name")
    created = (await hub.post("/chatroom/create", {"title": "sentinel-title", "external_id": "sentinel-post"})).json()
    room = created["id"]
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId="sentinel-visitor")
    profile = {"name": "Sentinel Name", "email": "sentinel@mail.example", "fields": {"sentinel-field": "x"}}
    await hub.post("/visitor/update", profile, visitorId="sentinel-visitor")
    body = {"content": "sentinel-text", "sender_id": "sentinel-visitor", "sender_name": "Sentinel Name"}
    message = (await hub.post("/chatroom/send-message", body, chatroomId=room)).json()
    await hub.post("/chatroom/send-whisper", body, chatroomId=room)
    await hub.post("/chatroom/send-message", {"content": "sentinel-text" * 5000}, chatroomId=room)
    await hub.get("/visitor/get", visitorId="sentinel-nobody", key="sentinel-wrong-key")
    await hub.client.get("/metrics", headers={"Authorization": "Bearer sentinel-wrong-key"})
    query = {"websiteId": "local", "visitorId": ticket, "chatroomId": room}
    await hub.client.post("/chat/negotiate", params=query, headers={"Origin": "https://evil.example"})
    await hub.client.post("/file/save", params=query, files={"formFile": ("sentinel.png", b"sentinel", "image/png")})
    await hub.client.get("/file/sentinel-id/sentinel-name", params={"pass": "sentinel-pass"})
    await hub.client.get(f"/sentinel-path/{ticket}", params=query)
    await hub.client.request("SENTINEL", "/health")

    async def fail(*_: Any, **arguments: Any) -> None:
        try:
            raise KeyError("sentinel-key")
        except KeyError as exc:
            raise ValueError(f"sentinel-value {arguments}") from exc

    monkeypatch.setattr(Messages, "post_by_api", fail)
    assert (await hub.post("/chatroom/send-message", body, chatroomId=room)).status_code == 500
    # What uvicorn and asyncio say of what they meet, and what a library might.
    for name in ("uvicorn.error", "asyncio", "a.library"):
        logging.getLogger(name).error(
            "Exception in ASGI application\nsentinel in a traceback", exc_info=failure(ValueError("sentinel"))
        )
    logging.getLogger("a.client").info("HTTP Request: GET https://hub.example/v1/chat?visitorId=%s", ticket)
    logging.getLogger(f"{HUB}.dispatcher").error("A hub method failed.", exc_info=failure(KeyError("sentinel")))
    text = log.getvalue()
    assert len(lines_of(log)) > 15
    secrets = ("sentinel", "Sentinel", ticket, room, message["uuid"], API_KEY, METRICS_KEY, TICKET_KEY.decode())
    assert [secret for secret in secrets if secret in text] == []


# Lines


def test_a_line_is_one_line_whatever_it_says() -> None:
    line = format_one(HUB, "Two\nlines, %s and \N{RIGHT-TO-LEFT OVERRIDE}.", "an argument")
    assert line["message"] == "Two\nlines, an argument and \N{RIGHT-TO-LEFT OVERRIDE}."
    assert set(line) == {"time", "level", "logger", "message"}


def test_what_others_say_is_cut_where_it_may_tell_too_much() -> None:
    assert format_one("uvicorn.error", "The first line.\nsentinel")["message"] == "The first line."
    line = format_one("uvicorn.error", "%s asked for /v1/chat?visitorId=sentinel&id=1 now", "Somebody")
    assert line["message"] == "Somebody asked for /v1/chat?... now"
    # A name that only begins as ours does is not ours.
    assert format_one("flask_chatix_comments_too", "One.\nTwo.")["message"] == "One."


def test_an_exception_is_told_by_its_kind_and_place() -> None:
    (told,) = format_one(exc_info=failure(ValueError("sentinel")))["exception"]
    assert told["type"] == "ValueError"
    assert "message" not in told
    assert [frame.rpartition(" ")[2] for frame in told["stack"]] == ["failure"]


def test_our_own_exceptions_and_those_of_the_system_say_what_is_wrong() -> None:
    def both() -> Any:
        try:
            try:
                raise OSError(28, "No space left on device", "/sentinel/path")
            except OSError as exc:
                raise StoreError("The hub's database failed.") from exc
        except StoreError:
            return sys.exc_info()

    ours, theirs = format_one(exc_info=both())["exception"]
    assert (ours["type"], ours["message"]) == ("StoreError", "The hub's database failed.")
    assert (theirs["type"], theirs["message"]) == ("OSError", "No space left on device")


def test_exceptions_that_lead_back_to_each_other_end() -> None:
    one, two = ValueError("one"), TypeError("two")
    one.__cause__, two.__cause__ = two, one
    assert [told["type"] for told in format_one(exc_info=failure(one))["exception"]] == ["ValueError", "TypeError"]


def test_text_has_time_level_and_logger(log: io.StringIO) -> None:
    set_up_log("text", "info", log)
    logging.getLogger(f"{HUB}.app").info("A line.")
    assert log.getvalue().endswith(f" INFO {HUB}.app: A line.\n")


@pytest.mark.parametrize(("level", "said"), [("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_is_that_of_the_hub(log: io.StringIO, level: Any, said: int) -> None:
    set_up_log("json", level, log)
    for method in ("info", "warning", "error"):
        getattr(logging.getLogger(HUB), method)("ours")
        getattr(logging.getLogger("a.library"), method)("theirs")
    messages = [line["message"] for line in lines_of(log)]
    assert (messages.count("ours"), messages.count("theirs")) == (said, 2)


def test_warnings_of_python_are_lines_as_well(log: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up_log("json", "info", log)
        warnings.warn("This is old.", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(False)
    (line,) = lines_of(log)
    assert line["logger"] == "py.warnings"
    assert line["message"].endswith("DeprecationWarning: This is old.")


def test_what_the_site_has_set_up_beside_stderr_stays(log: io.StringIO) -> None:
    class Elsewhere(logging.StreamHandler[io.StringIO]):
        pass

    elsewhere, there = Elsewhere(io.StringIO()), logging.StreamHandler(io.StringIO())
    logging.getLogger().handlers = [elsewhere, there]
    set_up_log("json", "info", log)
    set_up_log("json", "info", log)
    logging.getLogger(HUB).warning("A line.")
    assert elsewhere.stream.getvalue() == "A line.\n"
    assert there.stream.getvalue() == ""
    assert len(lines_of(log)) == 1
