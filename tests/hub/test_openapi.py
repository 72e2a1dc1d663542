"""docs/hub-openapi.json against the running hub, in both directions: routes, parameters, bodies, answers, refusals.

Every operation is called in each way that it can be answered. What the hub reads, answers and refuses must
be described; what is described must have been read, answered and refused.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it has no annotations

from flask_chatix_comments.errors import StoreError, StoreFullError
from flask_chatix_comments.hub import rest
from flask_chatix_comments.hub.limiter import Limiter
from flask_chatix_comments.hub.readiness import Obstacle, Readiness
from flask_chatix_comments.hub.rest_call import Call
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.operations import OPERATIONS
from tests.hub.support import API_KEY, Hub

pytestmark = pytest.mark.anyio

Json = dict[str, Any]

DOCUMENT: Json = json.loads((Path(__file__).parents[2] / "docs/hub-openapi.json").read_text())
OTHER_THAN_CLIENTS = {"health", "ready"}

# What each operation is called with, and the status of the answer. Names in braces stand for what was made before.
IN_ROOM = {"chatroomId": "{room}"}
IN_MESSAGE = {"chatroomId": "{room}", "messageId": "{message}"}
SENDER = {"sender_id": "ada"}
CASES: dict[str, list[tuple[Json, Json | None, int]]] = {
    "health": [({}, None, 200)],
    "ready": [({}, None, 200)],
    "create_chatroom": [
        ({}, {"title": "A post"}, 200),
        ({}, {"title": "A post", "is_private": True, "external_id": "post-9"}, 200),
        ({}, {"title": "A post", "is_private": None, "external_id": None}, 200),
        ({}, {"title": 7}, 400),
    ],
    "get_chatroom": [(IN_ROOM, None, 200), ({}, None, 400), ({"chatroomId": "nowhere"}, None, 404)],
    "list_chatrooms": [
        ({}, None, 200),
        ({"page": 2, "itemsPerPage": 1, "includeDeleted": "true"}, None, 200),
        ({"externalId": "post-1"}, None, 200),
        ({"includeDeleted": "maybe"}, None, 400),
    ],
    "update_chatroom": [
        (IN_ROOM, {"title": "New", "is_private": False, "is_closed": False, "external_id": "post-1"}, 200),
        (IN_ROOM, {"title": None, "is_private": None, "is_closed": None, "external_id": None}, 200),
        (IN_ROOM, None, 200),
        (IN_ROOM, {"is_closed": "yes"}, 400),
        ({"chatroomId": "nowhere"}, {}, 404),
    ],
    "delete_chatroom": [({"chatroomId": "{other}"}, None, 200), ({}, None, 400), ({"chatroomId": "x"}, None, 404)],
    "restore_chatroom": [({"chatroomId": "{other}"}, None, 200), ({}, None, 400), ({"chatroomId": "x"}, None, 404)],
    "counts": [({}, {"chatroom_ids": ["{room}", "nowhere"]}, 200), ({}, {}, 400)],
    "connect_visitor": [
        (IN_ROOM | {"visitorId": "ada"}, None, 200),
        (IN_ROOM, None, 400),
        ({"chatroomId": "nowhere", "visitorId": "ada"}, None, 404),
    ],
    "disconnect_visitor": [
        (IN_ROOM | {"visitorId": "kim", "onlyOffline": "true"}, None, 200),
        (IN_ROOM | {"visitorId": "kim", "connectionId": "c"}, None, 200),
        (IN_ROOM | {"visitorId": "kim"}, None, 200),
        (IN_ROOM | {"visitorId": "kim", "onlyOffline": "true", "connectionId": "c"}, None, 400),
        ({"chatroomId": "nowhere", "visitorId": "ada"}, None, 404),
    ],
    "list_visitors": [
        (IN_ROOM | {"page": 1, "itemsPerPage": 1}, None, 200),
        (IN_ROOM | {"page": 0}, None, 400),
        ({"chatroomId": "nowhere"}, None, 404),
    ],
    "list_messages": [
        (IN_ROOM, None, 200),
        (IN_MESSAGE | {"lastMessageId": "{message}", "count": 1}, None, 200),
        (IN_ROOM | {"count": 0}, None, 400),
        (IN_ROOM | {"lastMessageId": "nothing"}, None, 404),
    ],
    "list_changes": [
        (IN_ROOM, None, 200),
        (IN_ROOM | {"cursor": "0", "count": 1}, None, 200),
        (IN_ROOM | {"cursor": "x"}, None, 400),
        ({"chatroomId": "nowhere"}, None, 404),
    ],
    "find_message": [
        ({"messageId": "{message}"}, None, 200),
        ({"messageId": "{whisper}"}, None, 200),
        ({}, None, 400),
        ({"messageId": "nothing"}, None, 404),
    ],
    "send_message": [
        (IN_ROOM, SENDER | {"content": "Hello"}, 200),
        (IN_ROOM, SENDER | {"type": 0, "content": "Hi", "sender_flag": 1, "sender_name": "Ada", "uuid": "k"}, 200),
        (IN_ROOM, SENDER | {"type": 4, "original_url": "https://u.test/o", "thumb_100_url": None}, 200),
        (IN_ROOM, SENDER | {"type": 4, "original_url": "https://u.test/o", "thumb_300_url": "https://u.test/3"}, 200),
        (IN_ROOM, SENDER | {"type": 5, "file_url": "https://u.test/f", "uuid": None, "sender_name": None}, 200),
        (IN_ROOM, {"content": "Nobody's"}, 400),
        ({"chatroomId": "{closed}"}, SENDER | {"content": "Too late"}, 403),
        ({"chatroomId": "nowhere"}, SENDER | {"content": "Hello"}, 404),
    ],
    "update_message": [
        (IN_MESSAGE, {"content": "Better"}, 200),
        (IN_MESSAGE, {"content": ""}, 400),
        (IN_ROOM | {"messageId": "nothing"}, {"content": "x"}, 404),
    ],
    "delete_message": [
        ({"chatroomId": "{room}", "messageId": "{deleted}"}, None, 200),
        (IN_ROOM, None, 400),
        (IN_ROOM | {"messageId": "nothing"}, None, 404),
    ],
    "send_whisper": [
        (IN_ROOM, {"content": "Psst", "sender_id": "boss"}, 200),
        (IN_ROOM, {"content": "Psst"}, 400),
        ({"chatroomId": "{closed}"}, {"content": "Psst", "sender_id": "boss"}, 403),
        ({"chatroomId": "nowhere"}, {"content": "Psst", "sender_id": "boss"}, 404),
    ],
    "new_visitor_id": [({}, None, 200), ({f"parameter-{n}": n for n in range(60)}, None, 400)],
    "get_visitor": [({"visitorId": "boss"}, None, 200), ({}, None, 400), ({"visitorId": "nobody"}, None, 404)],
    "update_visitor": [
        ({"visitorId": "ada"}, {"name": "Ada", "email": "a@x.example", "fields": {"n": 1, "t": "x"}}, 200),
        ({"visitorId": "boss"}, {"name": "Boss", "is_persistent": True, "is_manager": True}, 200),
        ({"visitorId": "kim"}, {"name": None, "email": None, "fields": None}, 200),
        ({"visitorId": "ada"}, {"is_manager": 1}, 400),
        ({"visitorId": "g-1"}, {"name": "BOSS"}, 409),
    ],
    "forget_visitor": [({"visitorId": "eve"}, None, 200), ({}, None, 400)],
    "get_crowd": [({}, None, 200)],
}  # fmt: skip


def operations() -> Iterator[tuple[str, str, Json]]:
    """Yield method, path and description of each operation of the document."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


OPERATION_IDS = [operation["operationId"] for _, _, operation in operations()]


def described(operation_id: str) -> tuple[str, str, Json]:
    (found,) = [one for one in operations() if one[2]["operationId"] == operation_id]
    return found


def resolve(node: Json) -> Json:
    """Return what a reference leads to, or the node itself."""
    if "$ref" not in node:
        return node
    *_, kind, name = node["$ref"].split("/")
    target: Json = DOCUMENT["components"][kind][name]
    return target


def parameters(operation: Json) -> dict[str, Json]:
    return {one["name"]: one for one in map(resolve, operation.get("parameters", []))}


def body_schema(operation: Json) -> Json:
    content: Json = operation.get("requestBody", {}).get("content", {})
    return content["application/json"]["schema"] if content else {}


def answer_schema(operation: Json, status: int) -> Json:
    schema: Json = resolve(operation["responses"][str(status)])["content"]["application/json"]["schema"]
    return schema


def validator(schema: Json) -> Draft202012Validator:
    # References lead into the document: it goes along.
    return Draft202012Validator(schema | {"components": DOCUMENT["components"]})


def is_keyed(operation: Json) -> bool:
    return bool(operation.get("security", DOCUMENT["security"]))


class Read(Mapping[str, Any]):
    """Notes what is asked for by name, and refuses to be looked through: what an operation takes, it names."""

    def __init__(self, data: Mapping[str, Any], names: set[str]) -> None:
        self._data = data
        self._names = names

    def __getitem__(self, name: str) -> Any:
        self._names.add(name)
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("an operation takes whatever comes")

    def __len__(self) -> int:
        return len(self._data)


class Witness:
    """Calls the hub, and notes what it reads and answers.

    Attributes:
        queries, bodies: By operation, the names that were read.
        statuses: By operation, those of the answers.
        properties: The described properties that were seen in an answer, by the schema that describes them.
    """

    def __init__(self, hub: Hub, names: dict[str, str]) -> None:
        self.hub = hub
        self.names = names
        self.queries: defaultdict[str, set[str]] = defaultdict(set)
        self.bodies: defaultdict[str, set[str]] = defaultdict(set)
        self.statuses: defaultdict[str, set[int]] = defaultdict(set)
        self.properties: set[tuple[int, str]] = set()
        self.current = ""

    def read(self, query: Mapping[str, str], body: Mapping[str, Any], base_url: str) -> Call:
        return Call(Read(query, self.queries[self.current]), Read(body, self.bodies[self.current]), base_url)

    async def call(self, operation_id: str, query: Json, body: Any = None, **options: Any) -> httpx.Response:
        self.current = operation_id
        method, path, operation = described(operation_id)
        needs_website = "websiteId" in parameters(operation)
        query = ({"websiteId": "local"} if needs_website else {}) | self._named(query)
        key = {"X-Api-Key": API_KEY} if is_keyed(operation) else {}
        options = {"json": self._named(body)} | options if body is not None else options
        options = {"params": query, "headers": key} | options
        response = await self.hub.client.request(method, path, **options)
        self.check(operation, response)
        self.statuses[operation_id].add(response.status_code)
        return response

    def _named(self, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: self._named(value) for key, value in data.items()}
        if isinstance(data, list):
            return [self._named(value) for value in data]
        return self.names.get(data.strip("{}"), data) if isinstance(data, str) and data.startswith("{") else data

    def check(self, operation: Json, response: httpx.Response) -> None:
        """Hold an answer against its description."""
        assert (response.headers["content-type"], response.headers["cache-control"]) == ("application/json", "no-store")
        assert str(response.status_code) in operation["responses"], (operation["operationId"], response.text)
        schema = answer_schema(operation, response.status_code)
        validator(schema).validate(response.json())
        self._note(schema, response.json())
        for header in resolve(operation["responses"][str(response.status_code)]).get("headers", {}):
            assert header in response.headers

    def _note(self, schema: Json, data: Any) -> None:
        schema = resolve(schema)
        if "oneOf" in schema:
            (schema,) = [resolve(one) for one in schema["oneOf"] if validator(one).is_valid(data)]
        if isinstance(data, list):
            for item in data:
                self._note(schema["items"], item)
        elif isinstance(data, dict):
            for name in schema.get("properties", {}).keys() & data.keys():
                self.properties.add((id(schema), name))
                self._note(schema["properties"][name], data[name])


@pytest.fixture
async def witness(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Witness:
    """A hub with something of everything in it."""
    names: dict[str, str] = {}
    witness = Witness(hub, names)
    for name in ("room", "other", "closed"):
        body: Json = {"title": name, "external_id": "post-1" if name == "room" else None}
        names[name] = (await witness.call("create_chatroom", {}, body)).json()["id"]
    for name in ("message", "deleted"):
        body = SENDER | {"content": name}
        names[name] = (await witness.call("send_message", IN_ROOM, body)).json()["uuid"]
    whisper = {"content": "Psst", "sender_id": "boss"}
    names["whisper"] = (await witness.call("send_whisper", IN_ROOM, whisper)).json()["uuid"]
    await witness.call("update_chatroom", {"chatroomId": names["closed"]}, {"is_closed": True})
    await witness.call("update_visitor", {"visitorId": "boss"}, {"name": "Boss", "is_manager": True})
    for visitor in ("ada", "boss", "kim"):
        await witness.call("connect_visitor", IN_ROOM | {"visitorId": visitor})
    monkeypatch.setattr(rest, "Call", witness.read)
    witness.statuses.clear()
    return witness


async def call_all(witness: Witness) -> None:
    """Call every operation in each way that it can be answered."""
    # Changes come last: then there is something deleted among them.
    for operation_id, cases in sorted(CASES.items(), key=lambda item: item[0] == "list_changes"):
        for query, body, status in cases:
            response = await witness.call(operation_id, query, body)
            assert response.status_code == status, (operation_id, query, body, response.text)
    for operation_id in OPERATION_IDS:
        await call_as_nobody_may(witness, operation_id)


async def call_as_nobody_may(witness: Witness, operation_id: str) -> None:
    method, _, operation = described(operation_id)
    good = CASES[operation_id][0]
    if is_keyed(operation):
        await witness.call(*(operation_id, *good[:2]), headers={})
    if "websiteId" in parameters(operation):
        response = await witness.call(*(operation_id, good[0] | {"websiteId": "other"}, good[1]))
        assert response.status_code == 404
    if method == "POST":
        response = await witness.call(operation_id, good[0], content=b"x" * 300_000)
        assert response.status_code == 413
        response = await witness.call(operation_id, good[0], content=b"{")
        assert response.status_code == 400


#: What all that the store does goes through; chatrooms are answered from memory where they can be.
STORE_METHODS = ("_read", "_write", "find_chatroom")


async def call_when_broken(
    witness: Witness, monkeypatch: pytest.MonkeyPatch, error: Exception, methods: Sequence[str] = STORE_METHODS
) -> None:
    async def fail(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        for name in methods:
            patch.setattr(SqlStore, name, fail)
        for operation_id, cases in CASES.items():
            if is_keyed(described(operation_id)[2]):
                await witness.call(operation_id, *cases[0][:2])
        patch.setattr(Readiness, "obstacle", Obstacle.CANNOT_WRITE)
        await witness.call("ready", {})


async def call_too_often(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Limiter, "wait_s", lambda *_, **__: 7)
        for operation_id, cases in CASES.items():
            if "websiteId" in parameters(described(operation_id)[2]):
                response = await witness.call(operation_id, *cases[0][:2], headers={})
                assert response.headers["retry-after"] == "7"


# The document itself


def test_the_document_is_whole() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert len(OPERATION_IDS) == len(set(OPERATION_IDS))
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {tag for _, _, one in operations() for tag in one["tags"]}
    for reference in references(DOCUMENT):
        assert reference.startswith("#/components/")
        assert resolve({"$ref": reference})
    used = {reference.removeprefix("#/components/") for reference in references(DOCUMENT)}
    kinds = {kind: DOCUMENT["components"][kind] for kind in ("parameters", "responses", "schemas")}
    assert used == {f"{kind}/{name}" for kind, components in kinds.items() for name in components}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def schemas() -> Iterator[Json]:
    yield from DOCUMENT["components"]["schemas"].values()
    for _, _, operation in operations():
        yield from (one["schema"] for one in parameters(operation).values())
        yield body_schema(operation)
        yield from (answer_schema(operation, int(status)) for status in operation["responses"])


def test_every_schema_is_one() -> None:
    for schema in schemas():
        Draft202012Validator.check_schema(schema)


def test_every_operation_is_called_here() -> None:
    assert list(CASES) == OPERATION_IDS


# Routes


async def test_the_routes_are_those_of_the_hub(hub: Hub) -> None:
    nothing: Any = None  # Nothing is called.
    api = rest.RestApi(
        nothing,
        website_id="",
        api_keys=(),
        max_body_bytes=0,
        check_website=lambda _: None,
        count=lambda *_: None,
        public_url=None,
    )
    served = {(method, route.path) for route in api.routes() for method in route.methods or () if method != "HEAD"}
    without_key = {("GET", "/health"), ("GET", "/ready"), ("GET", "/visitor/get-id")}
    assert {(method, path) for method, path, _ in operations()} == served | without_key
    for method, path in without_key:
        assert (await hub.client.request(method, path, params={"websiteId": "local"})).status_code == 200


def test_the_table_of_the_client_is_that_of_the_hub() -> None:
    assert set(OPERATIONS) == set(OPERATION_IDS) - OTHER_THAN_CLIENTS
    for row in OPERATIONS.values():
        method, path, operation = described(row.name)
        assert (row.method, row.path) == (method, path)
        assert set(row.query.values()) == set(parameters(operation))
        assert set(row.body.values()) <= set(body_schema(operation).get("properties", {}))


# What is read


async def test_the_hub_reads_what_is_described_and_nothing_else(witness: Witness) -> None:
    await call_all(witness)
    for _, _, operation in operations():
        operation_id = operation["operationId"]
        if is_keyed(operation):
            named = set(parameters(operation))
            assert witness.queries[operation_id] | {"websiteId"} == named, operation_id
        assert witness.bodies[operation_id] == set(body_schema(operation).get("properties", {})), operation_id


def test_what_the_hub_takes_is_allowed_by_its_description() -> None:
    for operation_id, cases in CASES.items():
        schema = body_schema(described(operation_id)[2])
        for _, body, status in cases:
            if status == 200 and body is not None:
                validator(schema).validate(body)


WRONG_VALUES = {"string": 7, "boolean": 1, "object": "x", "array": "x", "enum": "x"}


def wrong_values(schema: Json) -> Iterator[Any]:
    """Yield what a property's description forbids."""
    kinds = schema.get("type", "enum" if "enum" in schema else "object")
    yield WRONG_VALUES[kinds if isinstance(kinds, str) else kinds[0]]
    if "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
    if "maxItems" in schema:
        yield ["x"] * (schema["maxItems"] + 1)


@pytest.mark.parametrize("operation_id", [one for one in OPERATION_IDS if "requestBody" in described(one)[2]])
async def test_the_hub_refuses_bodies_that_the_description_forbids(witness: Witness, operation_id: str) -> None:
    schema = body_schema(described(operation_id)[2])
    for name, property_schema in schema["properties"].items():
        # A property counts where it is used: that of an image in an image.
        query, body = next((query, body) for query, body, status in CASES[operation_id] if body and name in body)
        for value in wrong_values(property_schema):
            wrong = body | {name: value}
            assert not validator(schema).is_valid(wrong), (name, value)
            response = await witness.call(operation_id, query, wrong)
            assert response.status_code == 400, (name, value, response.text)
    for name in schema.get("required", ()):
        query, some, _ = CASES[operation_id][0]
        response = await witness.call(
            operation_id, query, {key: (some or {})[key] for key in some or {} if key != name}
        )
        assert response.status_code == 400, name


@pytest.mark.parametrize("operation_id", [one for one in OPERATION_IDS if is_keyed(described(one)[2])])
async def test_limits_of_parameters_are_those_of_the_hub(witness: Witness, operation_id: str) -> None:
    optional = {name for name, one in parameters(described(operation_id)[2]).items() if not one["required"]}
    query, body, _ = CASES[operation_id][0]
    query = {name: value for name, value in query.items() if name not in optional}

    async def status_with(name: str, value: Any) -> int:
        # Each by itself: some exclude each other.
        return (await witness.call(operation_id, query | {name: value}, body)).status_code

    for name, parameter in parameters(described(operation_id)[2]).items():
        schema = resolve(parameter["schema"])
        if parameter["required"] and name != "websiteId":
            kept = {key: value for key, value in query.items() if key != name}
            assert (await witness.call(operation_id, kept, body)).status_code == 400, name
        if schema.get("type") == "integer":
            for value in (schema["minimum"] - 1, schema["maximum"] + 1, "x", ""):
                assert await status_with(name, value) == 400, (name, value)
            for value in (schema["minimum"], schema["maximum"]):
                assert await status_with(name, value) == 200, (name, value)
        for value in ["x" * (schema["maxLength"] + 1)] if "maxLength" in schema else []:
            assert await status_with(name, value) == 400, name
        for value in [""] if schema.get("minLength") else []:
            assert await status_with(name, value) == 400, name
        for value in schema.get("enum", ()):
            assert await status_with(name, value) == 200, (name, value)
        for value in ["x", ""] if "enum" in schema or "pattern" in schema else []:
            assert await status_with(name, value) == 400, (name, value)


# What is answered


async def test_every_answer_is_described_and_every_description_answered(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call_all(witness)
    await call_when_broken(witness, monkeypatch, StoreError("the disk is full"))
    await call_when_broken(witness, monkeypatch, StoreFullError("the disk is full"), methods=["_write"])
    await call_when_broken(witness, monkeypatch, RuntimeError("a bug"))
    await call_too_often(witness, monkeypatch)
    for _, _, operation in operations():
        statuses = {int(status) for status in operation["responses"]}
        # What changes nothing this time finds room on a full disk.
        seen = witness.statuses[operation["operationId"]]
        assert seen | (statuses & {507}) == statuses and statuses - {507} <= seen, operation["operationId"]
    assert len([one for one, seen in witness.statuses.items() if 507 in seen]) > 5
    unseen = {
        (operation["operationId"], name)
        for _, _, operation in operations()
        for status in operation["responses"]
        for owner, name in described_properties(answer_schema(operation, int(status)))
        if (owner, name) not in witness.properties
    }
    assert unseen == set()


def described_properties(schema: Json) -> Iterator[tuple[int, str]]:
    """Yield the properties that an answer may have, each with the schema that describes it."""
    schema = resolve(schema)
    for name, inner in schema.get("properties", {}).items():
        yield id(schema), name
        yield from described_properties(inner)
    for inner in [*schema.get("oneOf", ()), *([schema["items"]] if "items" in schema else [])]:
        yield from described_properties(inner)
