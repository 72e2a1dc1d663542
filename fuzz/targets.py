"""What is fuzzed: each target takes any bytes, and fails if they bring about what they must not.

It may raise nothing but what the code says it raises, and it checks what must hold in any case.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flask_chatix_comments.errors import (
    InvalidArgumentError,
    InvocationError,
    MessageTooLargeError,
    ProtocolError,
    RequestRefusedError,
    TokenError,
)
from flask_chatix_comments.hub import limits
from flask_chatix_comments.hub.addresses import upload_id_in
from flask_chatix_comments.hub.client_address import ClientAddresses
from flask_chatix_comments.hub.entrance import parameters_of
from flask_chatix_comments.hub.file_names import clean_file_name, content_disposition
from flask_chatix_comments.hub.file_types import sniff
from flask_chatix_comments.hub.multipart import FilePart
from flask_chatix_comments.hub.names import name_keys
from flask_chatix_comments.hub.service.drafts import draft_from, links_of, type_of
from flask_chatix_comments.hub.service.messages import format_cursor, parse_cursor
from flask_chatix_comments.hub.signalr.connection import Connection, ConnectionLimits, ConnectionState
from flask_chatix_comments.hub.signalr.framing import RecordReader
from flask_chatix_comments.hub.signalr.json_protocol import parse_handshake, parse_message, serialize_message
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.hub.signalr.negotiate import agree, answer, parse_version
from flask_chatix_comments.tokens import (
    BrowserCookies,
    ConnectionTokens,
    FilePasses,
    GuestClaim,
    GuestCookies,
    PostClaim,
    PostTokens,
    VisitorTicket,
    VisitorTickets,
)

NOW = 1_760_000_000.0
KEYS = (b"new key", b"old key")
SMALL = ConnectionLimits(
    max_record_bytes=300, max_records_per_text=20, max_waiting_bytes=2000, max_waiting_records=50, client_timeout_s=120
)
#: A record of ours may be longer than what may wait: those that wait already are counted.
LONGEST_ANSWER_BYTES = 1000


@dataclass(frozen=True)
class Target:
    """Something that takes bytes.

    Attributes:
        seeds: Good input, from which bad input is made.
    """

    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]


TARGETS: dict[str, Target] = {}


def target(*seeds: bytes | str) -> Callable[[Callable[[bytes], None]], Callable[[bytes], None]]:
    """Add a target, under the name of the function."""

    def add(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
        data = tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)
        TARGETS[run.__name__] = Target(run, data)
        return run

    return add


def text_of(data: bytes) -> str:
    """Return text with everything in it, halves of characters too."""
    return data.decode("utf-8", "surrogatepass" if data.isascii() else "surrogateescape")


def json_of(data: bytes) -> Any:
    """Return what a client could have sent; ``None`` where that is no JSON."""
    try:
        message = parse_message(f'{{"type":1,"target":"x","arguments":[{text_of(data)}]}}')
    except ProtocolError:
        return None
    return message.arguments[0] if isinstance(message, Invocation) and message.arguments else None


HANDSHAKE = '{"protocol":"json","version":1}\x1e'
INVOKE = '{"type":1,"invocationId":"0","target":"GetChatroom","arguments":["room",1.5,null,{"a":[true]}]}\x1e'
COMPLETION = '{"type":3,"invocationId":"0","result":{"a":"\\ud83d\\ude00\\ud83d"}}\x1e'


@target(HANDSHAKE, INVOKE, INVOKE + COMPLETION, "\x1e\x1e", "ä€😀\x1e")
def framing(data: bytes) -> None:
    """Records are the same however they are cut, and never more is kept than allowed."""
    text, step = text_of(data), 1 + len(data) % 7
    assert _records(text, len(text) or 1) == _records(text, step)


def _records(text: str, step: int) -> tuple[list[str], bool]:
    reader, records = RecordReader(limit_bytes=100), []
    try:
        for start in range(0, len(text), step):
            for record in reader.feed(text[start : start + step]):
                records.append(record)
                assert len(record.encode("utf-8", "surrogatepass")) <= 100
    except MessageTooLargeError:
        return records, True
    return records, False


@target(*(text.rstrip("\x1e") for text in (HANDSHAKE, INVOKE, COMPLETION, '{"type":6}', '{"type":7,"error":"x"}')))
def json_protocol(data: bytes) -> None:
    """A record is a message, of an unknown type, or none; and so is what we make of it."""
    text = text_of(data)
    with suppress(ProtocolError):
        parse_handshake(text)
    try:
        message = parse_message(text)
    except ProtocolError:
        return
    # Numbers of more than 64 bits can be read, and are never sent.
    with suppress(OverflowError):
        if message is not None:
            again = serialize_message(message)
            assert again.endswith("\x1e")
            assert again.count("\x1e") == 1
            assert parse_message(again[:-1]) == message


@target(HANDSHAKE + INVOKE, HANDSHAKE + '{"type":7}\x1e', HANDSHAKE + COMPLETION + INVOKE, HANDSHAKE + "{\x1e")
def connection(data: bytes) -> None:
    """Whatever comes, in pieces of any size, with time that passes: no exception, and an end to what waits."""
    line = Connection(now=0, limits=SMALL)
    step, now = 1 + len(data) % 50, 0.0
    for start in range(0, len(data), step):
        now += data[start] / 16
        for invocation in line.receive_text(text_of(data[start : start + step]), now=now):
            assert line.state in ConnectionState
            line.send(invocation)
        line.tick(now)
        if data[start] % 3 == 0:
            _check_sent(line.records_to_send(now=now))
    line.close(error="over")
    _check_sent(line.records_to_send(now=now))
    assert line.state in (ConnectionState.CLOSING, ConnectionState.CLOSED)


def _check_sent(records: list[str]) -> None:
    assert len(records) <= SMALL.max_waiting_records + 2
    assert sum(map(len, records)) <= SMALL.max_waiting_bytes + LONGEST_ANSWER_BYTES
    for text in "".join(records).split("\x1e")[:-1]:
        assert isinstance(json.loads(text), dict)


@target("negotiateVersion=1&websiteId=local&visitorId=x&id=y", "a=%00&b=%ff&c", "negotiateVersion=99999999999")
def negotiate(data: bytes) -> None:
    """A query is read or refused, and an answer can be sent."""
    try:
        given = parameters_of({"query_string": data})
        version = parse_version(given.get("negotiateVersion"))
    except (RequestRefusedError, InvalidArgumentError):
        return
    assert version in (0, 1)
    json.dumps(answer(agree(version, connection_id="c", connection_token="t"), ("WebSockets", "LongPolling")))


TICKET = VisitorTicket(visitor_id="ada", issued_at=NOW, expires_at=NOW + 60, name="Ada ä", hub_url="/chat/v1")
POST = PostClaim(post_id="post", title="A title", is_private=True)
GUEST = GuestClaim(visitor_id="g-1", name="Ada", issued_at=NOW, expires_at=NOW + 60)
_tickets = VisitorTickets(KEYS, website_id="local")
_posts = PostTokens(KEYS, website_id="local")
_guests = GuestCookies(KEYS, website_id="local")
_browsers = BrowserCookies(KEYS, website_id="local")
_passes = FilePasses(KEYS, website_id="local")
_connections = ConnectionTokens(KEYS, website_id="local")
#: How each kind is checked, and the only thing that it can say: nothing else was ever signed.
CHECKS: tuple[tuple[Callable[[str], Any], Any], ...] = (
    (lambda text: _tickets.check(text, now=NOW), TICKET),
    (_posts.check, POST),
    (lambda text: _guests.check(text, now=NOW), GUEST),
    (_browsers.check, "browser"),
    (lambda text: _passes.check(text, "room", now=NOW), "ada"),
    (lambda text: _connections.check(text, "ticket"), NOW),
)


@target(
    _tickets.sign(TICKET),
    _posts.sign(POST),
    _guests.sign(GUEST),
    _browsers.sign("browser"),
    _passes.sign("room", "ada", expires_at=NOW + 60),
    _connections.sign("secret", "ticket", until=NOW),
)
def tokens(data: bytes) -> None:
    """What was not signed says nothing, for any purpose."""
    for check, signed in CHECKS:
        with suppress(TokenError):
            assert check(text_of(data)) == signed


FORM = (
    "multipart/form-data; boundary=b\n"
    '--b\r\nContent-Disposition: form-data; name="formFile"; filename="a.txt"\r\n'
    "Content-Type: text/plain\r\n\r\nx\r\n--b--"
)


@target(FORM, FORM.replace("formFile", "other"), FORM.replace("--b--", "--b"))
def multipart(data: bytes) -> None:
    """A form gives its file or is refused, in pieces of any size."""
    head, _, body = data.partition(b"\n")
    step = 1 + len(data) % 40
    with suppress(RequestRefusedError):
        part = FilePart(head.decode("latin-1"))
        size = 0
        for start in range(0, len(body), step):
            size += sum(map(len, part.receive(body[start : start + step])))
        part.finish()
        assert size <= len(body)
        clean_file_name(part.file_name, image_type=None, only_type=None)


@target(
    '"Hello"', '"\\u0000\\ud800"', "1e400", '{"name":"x","fields":{"a":1}}', '{"type":4,"original_url":"http://a/b"}'
)
def values(data: bytes) -> None:
    """Values of any kind in every place: what is kept can be stored and sent."""
    value = json_of(data)
    checks: tuple[Callable[[Any], Any], ...] = (
        lambda one: limits.check_content(one, max_chars=100),
        lambda one: limits.check_name(one, max_chars=80),
        *(limits.check_email, limits.check_fields, limits.check_url),
        lambda one: limits.check_id(one, name="x"),
        lambda one: limits.check_number(one, name="x", largest=100),
        lambda one: format_cursor(parse_cursor(one)),
    )
    for check in checks:
        with suppress(InvocationError):
            json.dumps(check(value), allow_nan=False).encode()
    if isinstance(value, dict):
        with suppress(InvocationError):
            draft = draft_from(value)
            type_of(draft)
            links_of(draft)


@target("a name.txt", "../../etc/passwd", "CON", "x" * 300 + ".png", "\u202egnp.exe", "http://h/v1/file/abc/a.txt")
def names(data: bytes) -> None:
    """Names of files, of people and of uploads."""
    text = text_of(data)
    name = clean_file_name(text, image_type="image/png" if len(data) % 2 else None, only_type=None)
    assert name
    assert not set(name) & set("/\\\0\r\n")
    content_disposition(name, is_attachment=True).encode("latin-1")
    sniff(data)
    found = upload_id_in(text)
    assert found is None or (found.isascii() and "/" not in found)
    name_keys(text)


@target("10.0.0.1\n198.51.100.1, 10.0.0.2", "::1\n[2001:db8::1]:80", "10.0.0.1\n")
def client_address(data: bytes) -> None:
    """Whoever says whatever: an address is counted that the server or a trusted proxy has seen."""
    peer, _, header = data.partition(b"\n")
    scope = {"client": (peer.decode("latin-1"), 1), "headers": [(b"x-forwarded-for", header)]}
    key = ClientAddresses(()).key_of(scope)
    assert key == ClientAddresses(()).key_of(scope | {"headers": []})
    ClientAddresses(("10.0.0.0/8", "::/0")).key_of(scope)
