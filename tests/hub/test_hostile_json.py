"""JSON that is made to be trouble, in every place where the hub reads some: refused in words, or kept as harmless."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_chatix_comments.errors import ProtocolError
from flask_chatix_comments.hub.dispatcher import HUB_FAILED, STORE_FAILED
from flask_chatix_comments.hub.signalr.json_protocol import parse_message, serialize_message
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.wire import HubMethod
from tests.hub.support import API_KEY, Hub, Visit, World

pytestmark = pytest.mark.anyio

#: Values, as they stand in a text. What is no JSON at all is among them.
HOSTILE: dict[str, str] = {
    "very deep arrays": "[" * 100_000 + "]" * 100_000,
    "very deep objects": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "deep, but readable": '{"a":' * 200 + "1" + "}" * 200,
    "an endless array": "[" * 1000,
    "an infinite number": "1e999",
    "a negative one": "-1e999",
    "a number of many digits": "9" * 4000,
    "a number too large for 64 bits": str(2**64),
    "a fraction of many digits": "0." + "1" * 4000,
    "the smallest number": "5e-324",
    "a negative zero": "-0.0",
    "not a number": "NaN",
    "infinity": "Infinity",
    "a zero before a number": "007",
    "a lone surrogate": '"\\ud800"',
    "surrogates the wrong way round": '"\\udc00\\ud800"',
    "a NUL": '"a\\u0000b"',
    "a bare control character": '"a\x01b"',
    "a separator as an escape": '"a\\u001eb"',
    "half an escape": '"\\u12"',
    "a large text": json.dumps("x" * 200_000),
    "a text of marks": json.dumps("a" + "\u0301" * 5000),
    "text that turns": json.dumps("\u202e\u2066abc"),
    "no character of Unicode": '"\\uffff\\ufffe"',
    "a key twice": '{"type":0,"content":"one","content":"two","type":7}',
    "very many keys": json.dumps({str(number): number for number in range(10_000)}),
    "an empty key": '{"":1}',
    "a key of a prototype": '{"__proto__":{"is_manager":true},"constructor":{"prototype":1}}',
    "a key with a surrogate": '{"\\ud800":1}',
    "a comment": "/* */ 1",
    "a comma too many": "[1,]",
    "two values": "1 2",
    "nothing": "",
    "a list of lists": json.dumps([[]] * 10_000),
    "true": "true",
    "null": "null",
    "an object": "{}",
}


def places(value: str, room: str) -> list[tuple[str, str]]:
    """Return calls, each with the value somewhere in its arguments: method and the text of the arguments."""
    message = f'{{"type":0,"content":{value}}}', f'{{"type":{value},"content":"x"}}', f'{{"type":5,"file_url":{value}}}'
    typed = [("SaveChatroomMessage", f'{draft},"{room}"') for draft in (*message, f'{{"type":0,"uuid":{value}}}')]
    profile = [f'{{"{key}":{value}}}' for key in ("name", "email", "fields")] + [f'{{"fields":{{"a":{value}}}}}']
    return [
        *typed,
        *(("SaveVisitorInfo", one) for one in profile),
        ("GetChatroomHistory", f'"{room}",{value},10'),
        ("GetChatroomHistory", f'"{room}",null,{value}'),
        ("GetChatroomChanges", f'"{room}",{value},10'),
        # As every argument of every method.
        *((str(method), ",".join([value] * 4)) for method in HubMethod),
        *((str(method), value) for method in HubMethod),
    ]


async def call(visit: Visit, target: str, arguments: str) -> Any:
    """Return what becomes of a call as a client sends it; ``None``: the connection ends for it."""
    record = f'{{"type":1,"invocationId":"1","target":"{target}","arguments":[{arguments}]}}'
    try:
        invocation = parse_message(record)
    except ProtocolError as exc:
        assert str(exc)
        return None
    assert isinstance(invocation, Invocation)
    completion = await visit.world.dispatcher.invoke(visit.caller, invocation)
    assert completion is not None
    return strict_json(serialize_message(completion).rstrip("\x1e"))


def strict_json(text: str) -> Any:
    """Parse as browsers do: no NaN, no infinity, no half characters."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text.encode("utf-8")
    return json.loads(text, parse_constant=refuse)


async def test_in_calls_of_hub_methods(world: World) -> None:
    room = await world.room()
    visit, reader = await world.connect_stranger(), await world.connect("reader")
    for one in (visit, reader):
        await one.join(room)
    for name, value in HOSTILE.items():
        for target, arguments in places(value, room):
            answer = await call(visit, target, arguments)
            assert answer is None or answer.get("error") not in (HUB_FAILED, STORE_FAILED), (name, target)
        # Whatever was kept of it, everybody can read.
        for one in (visit, reader):
            assert "error" not in await call(one, "GetChatroomHistory", f'"{room}",null,100'), name
        reader.heard()
        reader.forget_events()
    # The visitor is still who it was.
    assert not (await world.service.visitors.get(visit.visitor_id)).is_manager


BODIES: dict[str, tuple[str, ...]] = {
    "/chatroom/create": ("title", "external_id", "is_private"),
    "/chatroom/update": ("title", "is_private"),
    "/chatroom/counts": ("chatroom_ids",),
    "/chatroom/send-message": ("content", "type", "uuid", "sender_id", "sender_name", "sender_flag", "file_url"),
    "/visitor/update": ("name", "email", "fields", "is_manager"),
}


async def test_in_bodies_of_the_rest_api(hub: Hub) -> None:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    query = {"websiteId": "local", "chatroomId": room, "visitorId": "ada"}
    for name, value in HOSTILE.items():
        for path, keys in BODIES.items():
            good = '"title":"x","content":"x","sender_id":"ada"'
            for body in (value, *(f'{{{good},"{key}":{value}}}' for key in keys)):
                data = body.encode("utf-8", "surrogatepass")
                response = await hub.client.post(path, params=query, headers={"X-Api-Key": API_KEY}, content=data)
                assert response.status_code in (200, 400, 413), (name, path, response.text)
                strict_json(response.text)
        for path in ("/chatroom/list", "/chatroom/messages", "/visitor/get"):
            strict_json((await hub.get(path, chatroomId=room, visitorId="ada")).text)


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"title":"\xff"}', b'{"title":"\xed\xa0\x80"}'])
async def test_bodies_that_are_no_utf_8(hub: Hub, body: bytes) -> None:
    response = await hub.client.post("/chatroom/create?websiteId=local", headers={"X-Api-Key": API_KEY}, content=body)
    assert (response.status_code, response.json()) == (400, {"error": "The body is not JSON."})


async def test_of_a_key_that_is_there_twice_the_last_counts_everywhere(world: World) -> None:
    """So that nothing is checked in one of its values, and used in the other."""
    room = await world.room()
    visit = await world.connect("ada")
    await visit.join(room)
    twice = '{"type":7,"content":"","type":0,"content":"the last"}'
    answer = await call(visit, "SaveChatroomMessage", f'{twice},"{room}"')
    assert answer["result"]["content"] == "the last"
    both = '{"type":1,"target":"GetManagers","target":"GetChatroom","arguments":[]}'
    message = parse_message(both)
    assert isinstance(message, Invocation)
    assert message.target == "GetChatroom"
