"""Frames: made once for all who get the same text, taken no faster than the hub works, and never without end."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any

import pytest

from flask_chatix_comments.hub.transports.server_extensions import SHUTDOWN_EXTENSION
from flask_chatix_comments.hub.web_frames import (
    BYTES_AT_ONCE,
    FAREWELL_S,
    IDLE_FRAMES,
    IDLE_FRAMES_PER_S,
    MAX_FRAGMENTS,
    MESSAGE_S,
)
from tests.hub.web_doubles import UPGRADE, Loop
from tests.hub.web_line import BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Line, frame

pytestmark = pytest.mark.anyio

#: "Policy violation" and "service restart" (RFC 6455, 7.4.1, and the registry of close codes).
REFUSED, RESTART = 1008, 1012


@pytest.fixture
async def line() -> Any:
    line = await Line(Loop()).open()
    yield line
    await line.end()
    assert line.loop.timers == []


# Before it is open

WITH_BODY = UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")
CHUNKED = UPGRADE.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
MANY_HEADERS = UPGRADE.replace(b"\r\n\r\n", b"\r\nX: y" * 300 + b"\r\n\r\n")
LONG_HEADER = UPGRADE.replace(b"\r\n\r\n", b"\r\nX: " + b"y" * 20_000 + b"\r\n\r\n")
LONG_URL = UPGRADE.replace(b"/v1/chat", b"/v1/chat?id=" + b"x" * 20_000)


@pytest.mark.parametrize(
    ("request_", "status"),
    [(WITH_BODY, 400), (CHUNKED, 400), (MANY_HEADERS, 431), (LONG_HEADER, 431), (LONG_URL, 414)],
)
async def test_a_request_that_can_be_no_websocket_is_answered_and_ends(request_: bytes, status: int) -> None:
    line = Line(Loop())
    line.protocol.connection_made(line.transport)
    line.come(request_)
    assert line.transport.written.startswith(b"HTTP/1.1 %d " % status)
    assert line.transport.written.count(b"HTTP/1.1 ") == 1
    assert line.transport.how_it_ended() == "closed"
    # It may still be there when the server ends.
    line.protocol.shutdown()
    line.come(b"and more")
    assert line.transport.written.count(b"HTTP/1.1 ") == 1
    await line.end()
    assert line.loop.timers == []


async def test_a_refused_client_is_no_error_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"No."})

    line = Line(Loop(), refuse)
    line.protocol.connection_made(line.transport)
    line.come(UPGRADE)
    await asyncio.gather(*line.protocol.tasks)
    assert line.transport.written.startswith(b"HTTP/1.1 404 ")
    assert [record.getMessage() for record in caplog.records if record.levelno > logging.INFO] == []
    await line.end()


# Out


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("Hi", b"\x81\x02"),
        ("x" * 125, b"\x81\x7d"),
        ("ю" * 63, b"\x81\x7e\x00\x7e"),
        ("x" * 70_000, b"\x81\x7f" + struct.pack("!Q", 70_000)),
    ],
)
async def test_a_text_is_a_frame(line: Line, text: str, head: bytes) -> None:
    expected = head + text.encode()
    assert [await line.say(text), await line.say("other"), await line.say(text)] == [
        expected,
        b"\x81\x05other",
        expected,
    ]


async def test_a_text_is_encoded_once_for_all_who_get_it(line: Line) -> None:
    text = "A comment of some length. " * 100
    lines = [line, *[await Line(Loop()).open() for _ in range(3)]]
    for one in lines:
        await one.send({"type": "websocket.send", "text": text})
    frames = [one.transport.pieces[-1] for one in lines]
    assert len({id(frame) for frame in frames}) == 1
    assert frames[0].endswith(text.encode())
    for one in lines[1:]:
        await one.end()


async def test_nothing_is_sent_past_a_client_that_is_slow_or_gone(line: Line) -> None:
    line.protocol.pause_writing()
    sending = asyncio.create_task(line.say("late"))
    await asyncio.sleep(0)
    assert line.transport.written == b""
    line.come(frame(CLOSE, struct.pack("!H", 1001)))
    line.protocol.resume_writing()
    with pytest.raises(OSError):
        await sending
    assert b"late" not in line.transport.written


# In

FLOODS = {
    "pings": frame(PING),
    "long pings": frame(PING, b"x" * 100),
    "pongs": frame(PONG),
    "texts of nothing": frame(TEXT),
    "bytes of nothing": frame(BINARY),
    "continuations of nothing": frame(CONTINUATION, is_last=False),
    "pieces": frame(CONTINUATION, b"x", is_last=False),
    "pings between pieces": frame(PING) + frame(CONTINUATION, b"x", is_last=False),
}


@pytest.mark.parametrize("kind", FLOODS)
@pytest.mark.parametrize("is_in_one_go", [True, False])
async def test_floods_of_frames_end_the_connection(line: Line, kind: str, is_in_one_go: bool) -> None:
    flood = FLOODS[kind]
    if "pieces" in kind or "continuations" in kind:
        line.come(frame(TEXT, b"x", is_last=False))
    if is_in_one_go:
        line.come(flood * 50_000)
        while line.close_code() is None:
            assert (await line.take())["type"] == "websocket.receive"
    else:
        for _ in range(MAX_FRAGMENTS + 1):
            line.come(flood)
    assert line.close_code() == REFUSED
    assert len(line.protocol.frames) <= MAX_FRAGMENTS
    assert line.protocol.queue.qsize() <= BYTES_AT_ONCE
    # Pongs, if any, and the close frame: nothing for what came behind.
    assert len(line.transport.written) <= IDLE_FRAMES * len(flood) + BYTES_AT_ONCE + 100


@pytest.mark.parametrize("drip", [frame(PONG), frame(CONTINUATION, b"x", is_last=False)], ids=["pongs", "pieces"])
async def test_a_message_that_does_not_come_to_its_end(line: Line, drip: bytes) -> None:
    line.come(frame(TEXT, b"x", is_last=False))
    for _ in range(int(MESSAGE_S)):
        line.come(drip)
        assert line.close_code() is None
        line.loop.advance(1)
    line.loop.advance(0.1)
    line.come(drip)
    assert line.close_code() == REFUSED


async def test_each_message_has_its_own_time(line: Line) -> None:
    def pass_time() -> None:
        line.loop.advance(MESSAGE_S * 0.6)
        payload = line.protocol.pending_ping_payload
        line.come(frame(PONG, payload or b""))

    for _ in range(3):
        line.come(frame(TEXT, b"<", is_last=False))
        pass_time()
        line.come(frame(CONTINUATION, b">"))
        assert (await line.take())["text"] == "<>"
        pass_time()
        line.come(frame(TEXT, b"whole"))
        assert (await line.take())["text"] == "whole"
    assert line.close_code() is None


async def test_who_pings_each_second_may_do_so_for_ever(line: Line) -> None:
    for _ in range(1000):
        line.come(frame(PING) * int(IDLE_FRAMES_PER_S))
        line.loop.advance(1)
        # And who answers ours.
        payload = line.protocol.pending_ping_payload
        if payload is not None:
            line.come(frame(PONG, payload))
    assert line.close_code() is None


async def test_pings_of_a_client_that_takes_nothing(line: Line) -> None:
    line.come(frame(PING, b"x" * 100))
    pong = bytes([FIN | PONG, 100]) + b"x" * 100
    assert line.transport.written == pong
    line.protocol.pause_writing()
    line.come(frame(PING, b"x" * 100) * (IDLE_FRAMES // 2))
    assert line.transport.written == pong
    line.protocol.resume_writing()
    line.come(frame(PING, b"x" * 100))
    assert line.transport.written == 2 * pong


async def test_a_message_in_as_many_pieces_as_it_may_have(line: Line) -> None:
    line.come(frame(TEXT, b"<", is_last=False))
    line.come(frame(CONTINUATION, b"x", is_last=False) * (MAX_FRAGMENTS - 2))
    line.come(frame(CONTINUATION, b">"))
    assert (await line.take())["text"] == f"<{'x' * (MAX_FRAGMENTS - 2)}>"
    # The next one begins anew.
    line.come(frame(TEXT, b"<", is_last=False) + frame(CONTINUATION, b">"))
    assert (await line.take())["text"] == "<>"


async def test_no_more_is_looked_at_than_the_application_follows(line: Line) -> None:
    count = 40_000
    line.come(b"".join(frame(TEXT, b"%d" % number) for number in range(count)))
    assert line.protocol.queue.qsize() <= BYTES_AT_ONCE // len(frame(TEXT, b"0")) + 1
    most = 0
    for number in range(count):
        assert (await line.take())["text"] == str(number)
        most = max(most, line.protocol.queue.qsize())
    assert most <= BYTES_AT_ONCE // len(frame(TEXT, b"0")) + 1


@pytest.mark.parametrize("error", [None, ConnectionResetError()])
async def test_what_a_client_said_before_it_went_is_heard(line: Line, error: Exception | None) -> None:
    texts = [str(number) for number in range(500)]
    line.come(b"".join(frame(TEXT, text.encode()) for text in texts))
    line.protocol.connection_lost(error)
    heard = []
    while (message := await line.take())["type"] == "websocket.receive":
        heard.append(message["text"])
    assert heard == texts
    line.protocol.connections.add(line.protocol)


async def test_the_client_s_goodbye_is_seen_behind_what_was_not_read(line: Line) -> None:
    line.come(frame(TEXT, b"x") * 2000 + frame(CLOSE, struct.pack("!H", RESTART)))
    await line.send({"type": "websocket.close", "code": RESTART})
    assert line.close_code() == RESTART


# The end of the server


async def test_a_server_that_ends_lets_the_application_say_goodbye(line: Line) -> None:
    told = []
    line.scope["extensions"][SHUTDOWN_EXTENSION]["call"](lambda: told.append("now"))
    line.protocol.shutdown()
    assert (told, line.transport.how_it_ended()) == (["now"], None)
    assert await line.say("Bye") == b"\x81\x03Bye"
    await line.send({"type": "websocket.close", "code": RESTART})
    line.come(frame(CLOSE, struct.pack("!H", RESTART)))
    assert line.close_code() == RESTART
    # Told twice, a server does not wait.
    line.protocol.shutdown()
    assert told == ["now"]


async def test_an_application_that_says_no_goodbye_is_not_waited_for(line: Line) -> None:
    line.scope["extensions"][SHUTDOWN_EXTENSION]["call"](lambda: None)
    line.protocol.shutdown()
    line.loop.advance(FAREWELL_S)
    assert line.close_code() == RESTART
    assert (await line.take())["type"] == "websocket.disconnect"


async def test_an_application_that_asked_for_nothing_is_ended_at_once(line: Line) -> None:
    line.protocol.shutdown()
    assert line.close_code() == RESTART
