"""The hub's side of a connection, driven by literal wire strings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import HandshakeError, MessageTooLargeError, ProtocolError
from flask_chatix_comments.hub.signalr.connection import Connection, ConnectionLimits, ConnectionState
from flask_chatix_comments.hub.signalr.messages import Completion, Invocation, Ping

# HubProtocol.md, "Handshake"
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
INVOKE = '{"type":1,"invocationId":"0","target":"Do","arguments":[1]}\x1e'
NOTIFY = '{"type":1,"target":"Tell","arguments":[]}\x1e'
PING = '{"type":6}\x1e'
LIMITS = ConnectionLimits(max_record_bytes=200, max_waiting_bytes=300)


def new_connection(limits: ConnectionLimits = LIMITS) -> Connection:
    return Connection(now=100.0, limits=limits)


def open_connection(limits: ConnectionLimits = LIMITS) -> Connection:
    connection = new_connection(limits)
    assert connection.receive_text(HANDSHAKE, now=100.0) == []
    assert text_of(connection, now=100.0) == "{}\x1e"
    return connection


def text_of(connection: Connection, *, now: float) -> str:
    """Return what the connection sends now."""
    return "".join(connection.records_to_send(now=now))


def assert_state(connection: Connection, state: ConnectionState) -> None:
    assert connection.state is state


def test_handshake_and_invocations() -> None:
    connection = new_connection()
    assert_state(connection, ConnectionState.HANDSHAKE)
    assert connection.receive_text(HANDSHAKE, now=101.0) == []
    assert_state(connection, ConnectionState.OPEN)
    assert text_of(connection, now=101.0) == "{}\x1e"
    assert connection.receive_text(INVOKE + NOTIFY, now=102.0) == [
        Invocation(target="Do", arguments=[1], invocation_id="0"),
        Invocation(target="Tell", arguments=[]),
    ]
    connection.send(Completion(invocation_id="0", result=None))
    connection.send(Ping())
    assert text_of(connection, now=103.0) == '{"type":3,"invocationId":"0","result":null}\x1e{"type":6}\x1e'
    assert text_of(connection, now=103.0) == ""


WHOLE = HANDSHAKE + INVOKE + PING + NOTIFY


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_what_comes_may_be_cut_anywhere(cut: int) -> None:
    connection = new_connection()
    invocations = connection.receive_text(WHOLE[:cut], now=101.0) + connection.receive_text(WHOLE[cut:], now=102.0)
    assert [invocation.target for invocation in invocations] == ["Do", "Tell"]
    assert text_of(connection, now=102.0) == "{}\x1e"
    assert connection.failure is None


def test_nothing_is_sent_before_the_handshake() -> None:
    connection = new_connection()
    connection.send(Ping())
    assert text_of(connection, now=101.0) == ""


@pytest.mark.parametrize("text", ['{"protocol":"messagepack","version":1}\x1e', "what?\x1e", INVOKE])
def test_a_refused_handshake_is_answered_and_the_end(text: str) -> None:
    connection = new_connection()
    assert connection.receive_text(text + INVOKE, now=101.0) == []
    assert_state(connection, ConnectionState.CLOSING)
    assert isinstance(connection.failure, HandshakeError)
    assert (
        text_of(connection, now=101.0) == json.dumps({"error": str(connection.failure)}, separators=(",", ":")) + "\x1e"
    )


def test_a_late_handshake() -> None:
    connection = new_connection()
    connection.tick(100.0 + LIMITS.handshake_timeout_s - 0.1)
    assert_state(connection, ConnectionState.HANDSHAKE)
    connection.tick(100.0 + LIMITS.handshake_timeout_s)
    assert_state(connection, ConnectionState.CLOSING)
    assert text_of(connection, now=115.0) == '{"error":"The handshake did not come in time."}\x1e'


def test_a_message_that_does_not_come_to_its_end() -> None:
    connection = open_connection()
    late = 101.0 + LIMITS.record_timeout_s
    connection.receive_text(INVOKE[:5], now=101.0)
    # More of it does not make it younger.
    connection.receive_text(INVOKE[5:-1], now=late - 1)
    connection.tick(late - 0.1)
    assert_state(connection, ConnectionState.OPEN)
    connection.tick(late)
    assert_state(connection, ConnectionState.CLOSING)
    assert '"error":"The message did not come to its end in time."' in text_of(connection, now=late)


def test_each_message_has_its_own_time() -> None:
    connection = open_connection()
    now = 101.0
    for _ in range(5):
        connection.receive_text(INVOKE[:5], now=now)
        now += LIMITS.record_timeout_s - 1
        # One ends and another begins.
        assert len(connection.receive_text(INVOKE[5:] + INVOKE[:5], now=now)) == 1
        now += LIMITS.record_timeout_s - 1
        assert len(connection.receive_text(INVOKE[5:], now=now)) == 1
        now += LIMITS.record_timeout_s + 1
        connection.tick(now)
    assert_state(connection, ConnectionState.OPEN)


def test_a_broken_message_ends_the_connection_with_its_reason() -> None:
    connection = open_connection()
    assert connection.receive_text(INVOKE + "{nonsense\x1e" + INVOKE, now=101.0) == [
        Invocation(target="Do", arguments=[1], invocation_id="0")
    ]
    assert_state(connection, ConnectionState.CLOSING)
    assert isinstance(connection.failure, ProtocolError)
    assert text_of(connection, now=101.0) == '{"type":7,"error":"The message is not valid JSON."}\x1e'
    assert connection.receive_text(INVOKE, now=102.0) == []


def test_a_message_that_is_too_large_ends_the_connection() -> None:
    connection = open_connection()
    assert connection.receive_text("x" * 201, now=101.0) == []
    assert isinstance(connection.failure, MessageTooLargeError)
    assert text_of(connection, now=101.0) == (
        '{"type":7,"error":"The message is larger than the 200 bytes allowed."}\x1e'
    )


def test_what_a_hub_need_not_answer() -> None:
    connection = open_connection()
    messages = [
        *('{"type":2,"invocationId":"1","item":1}', '{"type":3,"invocationId":"1"}', '{"type":5,"invocationId":"1"}'),
        *('{"type":6}', '{"type":9,"sequenceId":1}'),
    ]
    assert connection.receive_text("".join(f"{text}\x1e" for text in messages), now=101.0) == []
    assert_state(connection, ConnectionState.OPEN)
    assert text_of(connection, now=101.0) == ""


def test_streams_are_refused_by_a_completion() -> None:
    connection = open_connection()
    connection.receive_text('{"type":4,"invocationId":"9","target":"Count","arguments":[]}\x1e', now=101.0)
    assert json.loads(text_of(connection, now=101.0)[:-1]) == {
        "type": 3,
        "invocationId": "9",
        "error": "The hub has no methods that return a stream.",
    }
    assert_state(connection, ConnectionState.OPEN)


def test_a_client_that_says_goodbye_is_not_heard_any_more() -> None:
    connection = open_connection()
    assert connection.receive_text('{"type":7}\x1e' + INVOKE, now=101.0) == []
    assert_state(connection, ConnectionState.CLOSING)
    assert connection.failure is None
    assert text_of(connection, now=101.0) == ""


def test_pings_keep_a_silent_connection_alive() -> None:
    connection = open_connection()
    connection.tick(114.9)
    assert text_of(connection, now=114.9) == ""
    connection.tick(115.0)
    connection.tick(116.0)
    assert text_of(connection, now=116.0) == PING
    connection.tick(130.9)
    assert text_of(connection, now=130.9) == ""
    connection.send_record(PING)
    connection.tick(140.0)
    assert text_of(connection, now=140.0) == PING


def test_a_client_may_be_silent_for_ever_where_that_is_wanted() -> None:
    connection = open_connection(replace(LIMITS, client_timeout_s=None))
    connection.tick(100_000.0)
    assert_state(connection, ConnectionState.OPEN)


def test_by_default_a_hidden_tab_may_be_silent_for_two_minutes() -> None:
    timeout_s = ConnectionLimits().client_timeout_s
    assert timeout_s is not None
    assert 120 < timeout_s <= 180


def test_silent_clients_are_sent_away() -> None:
    connection = open_connection(replace(LIMITS, client_timeout_s=150.0))
    connection.receive_text(PING, now=120.0)
    connection.tick(269.9)
    assert_state(connection, ConnectionState.OPEN)
    connection.tick(270.0)
    assert_state(connection, ConnectionState.CLOSING)
    assert text_of(connection, now=270.0).endswith(
        '{"type":7,"error":"The client was silent for too long.","allowReconnect":true}\x1e'
    )


def test_a_client_that_reads_too_slowly_loses_what_waits_and_is_told_to_come_again() -> None:
    connection = open_connection()
    record = "x" * 99 + "\x1e"
    for _ in range(4):
        connection.send_record(record)
    assert_state(connection, ConnectionState.OPEN)
    connection.send_record(record)
    assert_state(connection, ConnectionState.CLOSING)
    assert text_of(connection, now=101.0) == (
        '{"type":7,"error":"The client reads too slowly.","allowReconnect":true}\x1e'
    )
    connection.send_record(record)
    assert text_of(connection, now=101.0) == ""


def test_one_record_may_be_larger_than_what_may_wait() -> None:
    connection = open_connection()
    for _ in range(2):
        record = "x" * 1000 + "\x1e"
        connection.send_record(record)
        assert_state(connection, ConnectionState.OPEN)
        assert text_of(connection, now=101.0) == record


def test_too_many_records_at_once_end_the_connection() -> None:
    connection = open_connection(replace(LIMITS, max_records_per_text=3))
    assert len(connection.receive_text(NOTIFY * 3, now=101.0)) == 3
    assert_state(connection, ConnectionState.OPEN)
    assert len(connection.receive_text(NOTIFY * 4, now=101.0)) == 3
    assert_state(connection, ConnectionState.CLOSING)
    assert text_of(connection, now=101.0) == '{"type":7,"error":"There are too many messages at once."}\x1e'


@pytest.mark.parametrize("pieces", [1, 3])
def test_too_many_values_end_the_connection_before_they_take_memory(pieces: int) -> None:
    """In one record, in several at once, or in one that comes in pieces."""
    limits = ConnectionLimits(max_values_per_text=40)

    def received(text: str) -> ConnectionState:
        connection = open_connection(limits)
        step = -(-len(text) // pieces)
        for start in range(0, len(text), step):
            connection.receive_text(text[start : start + step], now=101.0)
        return connection.state

    def call(values: int) -> str:
        return '{"type":1,"target":"x","arguments":[' + ",".join(["{}"] * values) + "]}\x1e"

    # Each value has a comma or bracket of its own and the one that parts it from the next.
    assert received(call(18)) is ConnectionState.OPEN
    assert received(call(19)) is ConnectionState.CLOSING
    # What people write is not parsed, but counted, too.
    assert received('{"type":1,"target":"x","arguments":["' + "," * 36 + '"]}\x1e') is ConnectionState.OPEN
    several = received(call(9) * 3)
    assert several is (ConnectionState.CLOSING if pieces == 1 else ConnectionState.OPEN)


def test_there_is_news_when_the_transport_has_something_to_do() -> None:
    connection = new_connection()
    seen = [connection.has_news]
    connection.receive_text(HANDSHAKE, now=100.0)
    seen.append(connection.has_news)
    text_of(connection, now=100.0)
    seen.append(connection.has_news)
    connection.receive_text('{"type":7}\x1e', now=100.0)
    assert [*seen, connection.has_news] == [False, True, False, True]


def test_close_is_said_once() -> None:
    connection = open_connection()
    connection.close()
    connection.close(error="again")
    assert text_of(connection, now=101.0) == '{"type":7}\x1e'
    connection.tick(1000.0)
    assert_state(connection, ConnectionState.CLOSING)


def test_close_before_the_handshake_says_nothing() -> None:
    connection = new_connection()
    connection.close()
    assert_state(connection, ConnectionState.CLOSING)
    assert text_of(connection, now=101.0) == ""


def test_a_lost_connection_has_nothing_to_send() -> None:
    connection = open_connection()
    connection.send(Ping())
    connection.connection_lost()
    assert_state(connection, ConnectionState.CLOSED)
    assert text_of(connection, now=101.0) == ""
    connection.close(error="late")
    connection.tick(1000.0)
    assert connection.receive_text(INVOKE, now=101.0) == []
    assert_state(connection, ConnectionState.CLOSED)


@given(st.lists(st.text(max_size=300) | st.sampled_from([HANDSHAKE, INVOKE, PING, '{"type":7}\x1e'])))
def test_whatever_comes_the_connection_answers_whole_records_or_ends(texts: list[str]) -> None:
    connection = new_connection()
    for text in texts:
        connection.receive_text(text, now=101.0)
        answer = text_of(connection, now=101.0)
        assert not answer or answer.endswith("\x1e")
        if connection.failure is not None:
            assert_state(connection, ConnectionState.CLOSING)
