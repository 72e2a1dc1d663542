"""The way out of a connection: at once where nothing has to wait, in order and within bounds where something has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.messages import Ping
from flask_chatix_comments.hub.signalr.negotiate import agree
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.delivery import TOLD_AT_ONCE, Delivery
from flask_chatix_comments.hub.transports.outlet import Outlet
from flask_chatix_comments.tokens import VisitorTicket
from tests.hub.support import Clock, until

pytestmark = pytest.mark.anyio

TICKET = VisitorTicket(visitor_id="ada", issued_at=0, expires_at=1)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
LIMITS = ConnectionLimits(max_waiting_bytes=300, max_waiting_records=10)
TOO_SLOW = '{"type":7,"error":"The client reads too slowly.","allowReconnect":true}\x1e'


class Server:
    """A server's ``send``, and what has come of it.

    Attributes:
        may_send: While it is not set, the client takes nothing.
        steps: How often a frame has to wait, even when the client takes it.
    """

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.failure: BaseException | None = None
        self.steps = 0
        self.finished = 0
        self._is_busy = False

    async def send(self, message: Any) -> None:
        assert not self._is_busy, "two sends at once"
        self._is_busy = True
        try:
            await self.may_send.wait()
            for _ in range(self.steps):
                await asyncio.sleep(0)
            if self.failure is not None:
                raise self.failure
            self.sent.append(message["text"])
        finally:
            self._is_busy = False

    def send_now(self, text: str) -> bool:
        assert not self._is_busy, "two sends at once"
        if self.may_send.is_set():
            self.sent.append(text)
        return self.may_send.is_set()

    async def finish(self) -> None:
        self.finished += 1


class Line:
    """A channel, its outlet and the server that takes what it sends."""

    def __init__(self, delivery: Delivery, limits: ConnectionLimits = LIMITS, *, can_send_now: bool = False) -> None:
        negotiation = agree(1, connection_id="id", connection_token="token")
        self.clock = Clock()
        self.channel = Channel(negotiation, TICKET, "ticket", limits=limits, clock=self.clock, delivery=delivery)
        self.server = Server()
        self.outlet = Outlet(
            self.channel,
            self.server.send,
            wrap=lambda text: {"text": text},
            finish=self.server.finish,
            send_now=self.server.send_now if can_send_now else None,
        )
        self.channel.attach()
        self.outlet.open()
        self.channel.receive_text(HANDSHAKE)

    @property
    def sent(self) -> list[str]:
        return self.server.sent[1:]


@pytest.fixture
async def delivery() -> Delivery:
    return Delivery()


@pytest.fixture
async def line(delivery: Delivery) -> Line:
    return await opened(delivery)


async def opened(delivery: Delivery, limits: ConnectionLimits = LIMITS) -> Line:
    line = Line(delivery, limits)
    await turn()
    assert line.server.sent == ["{}\x1e"]
    return line


async def turn() -> None:
    """Let the event loop go round once."""
    await asyncio.sleep(0)


async def test_what_happens_in_a_turn_leaves_in_one_frame_and_without_a_task(line: Line) -> None:
    tasks = len(asyncio.all_tasks())
    for record in ("1\x1e", "2\x1e", "3\x1e"):
        line.channel.send_record(record)
    assert line.sent == []
    await turn()
    assert line.sent == ["1\x1e2\x1e3\x1e"]
    line.channel.send_record("4\x1e")
    await turn()
    assert line.sent == ["1\x1e2\x1e3\x1e", "4\x1e"]
    assert len(asyncio.all_tasks()) == tasks


async def test_all_who_get_the_same_get_the_very_same_text(delivery: Delivery) -> None:
    """So the server may encode it once."""
    lines = [await opened(delivery) for _ in range(3)]
    for record in ("first\x1e", "second\x1e"):
        for line in lines:
            line.channel.send_record(record)
    lines[1].channel.send_record("mine\x1e")
    await turn()
    assert [line.sent for line in lines] == [
        ["first\x1esecond\x1e"],
        ["first\x1esecond\x1emine\x1e"],
        ["first\x1esecond\x1e"],
    ]
    for line in lines:
        line.channel.send_record("third\x1e")
    await turn()
    assert len({id(line.sent[-1]) for line in lines}) == 1


async def test_a_server_of_ours_sends_at_once_while_nothing_waits(delivery: Delivery) -> None:
    line = Line(delivery, can_send_now=True)
    await turn()
    line.channel.send_record("1\x1e")
    assert line.sent == ["1\x1e"]
    # Not past what waits.
    line.channel.send(Ping())
    line.channel.send_record("2\x1e")
    assert line.sent == ["1\x1e"]
    await turn()
    assert line.sent == ["1\x1e", '{"type":6}\x1e2\x1e']
    line.server.may_send.clear()
    line.channel.send_record("3\x1e")
    await turn()
    line.channel.send_record("4\x1e")
    line.server.may_send.set()
    line.channel.send_record("5\x1e")
    await until(lambda: len(line.sent) == 4, "what has waited")
    assert line.sent[2:] == ["3\x1e", "4\x1e5\x1e"]
    line.channel.send_record("6\x1e")
    assert line.sent[4:] == ["6\x1e"]
    line.channel.close()
    line.channel.send_record("7\x1e")
    await until(lambda: line.server.finished, "the end")
    assert line.sent[5:] == ['{"type":7}\x1e']


async def test_what_was_sent_at_once_counts_as_a_sign_of_life(delivery: Delivery) -> None:
    line = Line(delivery, can_send_now=True)
    await turn()
    line.clock.advance(10)
    line.channel.send_record("1\x1e")
    line.clock.advance(10)
    line.channel.tick()
    await turn()
    assert line.sent == ["1\x1e"]
    line.clock.advance(5)
    line.channel.tick()
    await turn()
    assert line.sent == ["1\x1e", '{"type":6}\x1e']


async def test_a_slow_reader_delays_nobody(delivery: Delivery) -> None:
    slow, quick = await opened(delivery), await opened(delivery)
    tasks = len(asyncio.all_tasks())
    slow.server.may_send.clear()
    for number in range(5):
        for line in (slow, quick):
            line.channel.send_record(f"{number}\x1e")
        await turn()
        assert quick.sent[-1] == f"{number}\x1e"
    assert slow.sent == []
    assert len(asyncio.all_tasks()) == tasks + 1
    slow.server.may_send.set()
    await until(lambda: len(slow.sent) == 2, "what has waited")
    # The one that was on its way, and behind it all others in one frame.
    assert slow.sent == ["0\x1e", "1\x1e2\x1e3\x1e4\x1e"]
    await until(lambda: len(asyncio.all_tasks()) == tasks, "the end of its task")
    slow.channel.send_record("5\x1e")
    await turn()
    assert slow.sent[-1] == "5\x1e"


@pytest.mark.parametrize("steps", [1, 3])
async def test_a_frame_that_waits_several_times_is_sent_to_its_end(line: Line, steps: int) -> None:
    line.server.steps = steps
    for number in range(20):
        line.channel.send_record(f"{number}\x1e")
        await turn()
    await until(lambda: line.sent[-1:] and line.sent[-1].endswith("19\x1e"), "the last one")
    assert "".join(line.sent) == "".join(f"{number}\x1e" for number in range(20))


@pytest.mark.parametrize(("record", "fits"), [("x" * 99 + "\x1e", 4), ("ю" * 49 + "x\x1e", 4), ("x\x1e", 10)])
async def test_who_lets_too_much_wait_is_sent_away_to_come_again(line: Line, record: str, fits: int) -> None:
    """Bytes count, and records."""
    line.server.may_send.clear()
    line.channel.send_record("0\x1e")
    await turn()
    for _ in range(fits):
        line.channel.send_record(record)
    is_open = [line.channel.is_open]
    line.channel.send_record(record)
    assert [*is_open, line.channel.is_open] == [True, False]
    line.server.may_send.set()
    await until(lambda: line.server.finished, "the end")
    assert line.sent == ["0\x1e", TOO_SLOW]


@pytest.mark.parametrize("error", [ConnectionResetError, RuntimeError, ValueError, asyncio.CancelledError])
@pytest.mark.parametrize("is_late", [False, True])
async def test_a_send_that_fails_ends_this_connection_only(
    delivery: Delivery, caplog: pytest.LogCaptureFixture, error: type[BaseException], is_late: bool
) -> None:
    lines = [await opened(delivery) for _ in range(3)]
    lines[1].server.failure = error()
    if is_late:
        lines[1].server.may_send.clear()
    for record in ("1\x1e", "2\x1e"):
        for line in lines:
            line.channel.send_record(record)
        await turn()
    lines[1].server.may_send.set()
    await until(lambda: lines[1].server.finished, "the end")
    assert not lines[1].channel.is_open
    assert [line.sent for line in lines] == [["1\x1e", "2\x1e"], [], ["1\x1e", "2\x1e"]]
    assert [line.server.finished for line in (lines[0], lines[2])] == [0, 0]
    assert bool(caplog.records) is (error in (ValueError, asyncio.CancelledError))


async def test_a_transport_that_fails_at_being_told_ends_this_connection_only(
    delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [await opened(delivery) for _ in range(3)]

    def fail() -> None:
        raise ValueError("a bug of ours")

    lines[0].channel.on_news = fail
    for line in lines:
        line.channel.send_record("1\x1e")
    await turn()
    assert [line.sent for line in lines] == [[], ["1\x1e"], ["1\x1e"]]
    assert not lines[0].channel.is_open
    assert "A connection failed." in caplog.text


async def test_others_have_their_turn_while_very_many_are_told(delivery: Delivery) -> None:
    lines = [await opened(delivery) for _ in range(2 * TOLD_AT_ONCE + 1)]
    for line in lines:
        line.channel.send_record("1\x1e")
    counts = []
    for _ in range(4):
        await turn()
        counts.append(sum(bool(line.sent) for line in lines))
    assert counts == [TOLD_AT_ONCE, 2 * TOLD_AT_ONCE, 2 * TOLD_AT_ONCE + 1, 2 * TOLD_AT_ONCE + 1]


async def test_the_last_words_are_sent_before_the_end(line: Line) -> None:
    line.channel.send_record("1\x1e")
    line.channel.close(error="Bye.")
    await until(lambda: line.server.finished, "the end")
    assert line.sent == ['1\x1e{"type":7,"error":"Bye."}\x1e']
    line.channel.tick()
    await turn()
    assert line.server.finished == 1


@pytest.mark.parametrize("is_slow", [False, True])
async def test_an_outlet_that_is_closed_sends_nothing_more(line: Line, is_slow: bool) -> None:
    if is_slow:
        line.server.may_send.clear()
    line.channel.send_record("1\x1e")
    await turn()
    await line.outlet.close()
    line.server.may_send.set()
    line.channel.send_record("2\x1e")
    await turn()
    assert line.sent == ([] if is_slow else ["1\x1e"])
