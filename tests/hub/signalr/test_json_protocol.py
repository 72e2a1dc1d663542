"""The JSON encoding of messages and of the handshake. Examples are HubProtocol.md's, "JSON Encoding"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import HandshakeError, ProtocolError
from flask_chatix_comments.hub.signalr.json_protocol import (
    parse_handshake,
    parse_message,
    serialize_handshake,
    serialize_message,
)
from flask_chatix_comments.hub.signalr.messages import (
    CancelInvocation,
    Close,
    Completion,
    HandshakeRequest,
    HandshakeResponse,
    Invocation,
    Message,
    Ping,
    StreamInvocation,
    StreamItem,
)

MESSAGES: dict[str, tuple[str, Message]] = {
    # "Invocation Message Encoding"
    "blocking invocation": (
        '{"type":1,"invocationId":"123","target":"Send","arguments":[42,"Test Message"]}',
        Invocation(invocation_id="123", target="Send", arguments=[42, "Test Message"]),
    ),
    "non-blocking invocation": (
        '{"type":1,"target":"Send","arguments":[42,null,{"a":[true]}]}',
        Invocation(target="Send", arguments=[42, None, {"a": [True]}]),
    ),
    # "StreamItem Message Encoding"
    "stream item": ('{"type":2,"invocationId":"123","item":42}', StreamItem(invocation_id="123", item=42)),
    # "Completion Message Encoding"
    "void completion": ('{"type":3,"invocationId":"123"}', Completion(invocation_id="123")),
    "completion": ('{"type":3,"invocationId":"123","result":42}', Completion(invocation_id="123", result=42)),
    "null completion": ('{"type":3,"invocationId":"123","result":null}', Completion(invocation_id="123", result=None)),
    "failed completion": (
        '{"type":3,"invocationId":"123","error":"It didn\'t work!"}',
        Completion(invocation_id="123", error="It didn't work!"),
    ),
    # "StreamInvocation Message Encoding"
    "stream invocation": (
        '{"type":4,"invocationId":"123","target":"Send","arguments":[42]}',
        StreamInvocation(invocation_id="123", target="Send", arguments=[42]),
    ),
    # "CancelInvocation Message Encoding"
    "cancel invocation": ('{"type":5,"invocationId":"123"}', CancelInvocation(invocation_id="123")),
    # "Ping Message Encoding"
    "ping": ('{"type":6}', Ping()),
    # "Close Message Encoding"
    "close": ('{"type":7}', Close()),
    "close with an error": (
        '{"type":7,"error":"Connection closed because of an error!"}',
        Close(error="Connection closed because of an error!"),
    ),
    "close with reconnect": ('{"type":7,"error":"x","allowReconnect":true}', Close(error="x", allow_reconnect=True)),
}
FIELDS = [
    (name, key) for name, (text, _) in MESSAGES.items() for key in json.loads(text) if key not in ("result", "error")
]


@pytest.mark.parametrize(("text", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_round_trip(text: str, message: Message) -> None:
    assert parse_message(text) == message
    assert json.loads(serialize_message(message).removesuffix("\x1e")) == json.loads(text)
    assert serialize_message(message).endswith("\x1e")


@pytest.mark.parametrize(("text", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_order_of_keys_and_unknown_keys_do_not_matter(text: str, message: Message) -> None:
    data = {"headers": {"x": "y"}, **dict(reversed(json.loads(text).items()))}
    assert parse_message(json.dumps(data, indent=1)) == message


@pytest.mark.parametrize(("name", "key"), FIELDS)
def test_missing_field(name: str, key: str) -> None:
    text, _ = MESSAGES[name]
    data = json.loads(text)
    del data[key]
    optional = key == "allowReconnect" or (key == "invocationId" and name == "blocking invocation")
    if optional:
        assert parse_message(json.dumps(data)) is not None
        return
    with pytest.raises(ProtocolError, match="malformed"):
        parse_message(json.dumps(data))


WRONG_VALUES = [{"x": 1}, 7.5, [[]]]
WRONG_FIELDS = [
    (name, key, value)
    for name, key in FIELDS
    for value in WRONG_VALUES
    # An item may be anything, and arguments any list.
    if key != "item" and not (key == "arguments" and isinstance(value, list))
]


@pytest.mark.parametrize(("name", "key", "value"), WRONG_FIELDS)
def test_wrong_type(name: str, key: str, value: Any) -> None:
    data = json.loads(MESSAGES[name][0]) | {key: value}
    with pytest.raises(ProtocolError, match="malformed"):
        parse_message(json.dumps(data))


@pytest.mark.parametrize("text", ['{"type":8,"sequenceId":1}', '{"type":9,"sequenceId":1}', '{"target":"x","type":99}'])
def test_unknown_types_are_skipped(text: str) -> None:
    assert parse_message(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"type":"1"}',
        '{"type":null}',
        '{"type":true}',
        "NaN",
        '{"type":6}{}',
        "\x00",
    ],
)
def test_what_is_no_message(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"type":1,"target":"x","arguments":' + "[" * 5000 + "]" * 5000 + "}",
        '{"type":99,"x":' + '{"x":' * 5000 + "1" + "}" * 5000 + "}",
        "[" * 5000,
    ],
    ids=["arguments", "unknown type", "no end"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_message(text)


def test_numbers_that_are_too_large_are_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_message('{"type":1,"target":"x","arguments":[1e999]}')


@pytest.mark.parametrize(
    ("escaped", "read"),
    [
        (r"half \ud83d", "half \ufffd"),
        (r"\ude00 half", "\ufffd half"),
        (r"\ud83dx", "\ufffdx"),
        (r"\ud83d\ud83d\ude00", "\ufffd😀"),
        (r"\uD83D\n\\ud83d", "\ufffd\n\\ud83d"),
        (r"\ud83d\u0041 \ud83d\ude00", "\ufffdA 😀"),
    ],
)
def test_half_a_character_is_replaced(escaped: str, read: str) -> None:
    """JSON.stringify writes a lone surrogate as an escape: the connection must live through it."""
    message = parse_message('{"type":1,"target":"x","arguments":["' + escaped + '"]}')
    assert message == Invocation(target="x", arguments=[read])


def test_a_text_that_is_wrong_beside_half_a_character() -> None:
    with pytest.raises(ProtocolError, match="not valid JSON"):
        parse_message(r'{"type":1,"target":"\ud83d","arguments":[}')


def test_a_lone_surrogate_itself_is_no_text() -> None:
    with pytest.raises(ProtocolError):
        parse_message('{"type":1,"target":"\ud800","arguments":[]}')


def test_the_separator_never_stands_in_a_record() -> None:
    record = serialize_message(Invocation(target="x", arguments=["a\x1eb"]))
    assert record.index("\x1e") == len(record) - 1
    assert parse_message(record[:-1]) == Invocation(target="x", arguments=["a\x1eb"])


def test_events_have_no_invocation_id() -> None:
    """@aspnet/signalr 1.1.4 drops the connection otherwise."""
    assert serialize_message(Invocation(target="X", arguments=[])) == '{"type":1,"target":"X","arguments":[]}\x1e'


# "Handshake" of HubProtocol.md


@pytest.mark.parametrize("text", ['{"protocol":"json","version":1}', '{"version":1,"protocol":"json","more":[]}'])
def test_handshake(text: str) -> None:
    assert parse_handshake(text) == HandshakeRequest(protocol="json", version=1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", '{"protocol":"json"}', '{"version":1}', '{"protocol":"json","version":"1"}', "\ud800"),
        *('{"protocol":"messagepack","version":1}', '{"protocol":"json","version":2}', '{"x":' + "[" * 5000),
    ],
)
def test_refused_handshakes(text: str) -> None:
    with pytest.raises(HandshakeError):
        parse_handshake(text)


def test_handshake_responses() -> None:
    assert serialize_handshake(HandshakeResponse()) == "{}\x1e"
    assert serialize_handshake(HandshakeResponse(error="No.")) == '{"error":"No."}\x1e'


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text(), st.lists(json_values, max_size=4), st.none() | st.text())
def test_any_invocation_survives(target: str, arguments: list[Any], invocation_id: str | None) -> None:
    message = Invocation(target=target, arguments=arguments, invocation_id=invocation_id)
    assert parse_message(serialize_message(message)[:-1]) == message


@given(
    st.text()
    | st.dictionaries(st.sampled_from(["type", "target", "arguments", "invocationId"]), json_values).map(json.dumps)
)
def test_whatever_comes_is_a_message_or_a_protocol_error(text: str) -> None:
    try:
        message = parse_message(text)
    except ProtocolError as exc:
        assert str(exc)
    else:
        assert message is None or serialize_message(message)
