"""Metrics: what is counted, who may read it, and that it tells of nobody."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flask_chatix_comments.errors import NotAllowedError, TooOftenError
from flask_chatix_comments.hub import meters
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.membership import Membership
from flask_chatix_comments.hub.metrics import METRICS, NO_METRICS, PREFIX, outcome_of
from flask_chatix_comments.hub.prometheus import PrometheusMetrics
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.store.base import Batch
from flask_chatix_comments.hub.transports.channels import Channels
from flask_chatix_comments.tokens import ConnectionTokens, VisitorTicket
from tests.hub.support import API_KEY, DEADLINE_S, TICKET_KEY, Clock, Hub, records_of, sign_ticket
from tests.hub.transports.support import Client, EventsClient, PollingClient, negotiated, query_of

pytestmark = pytest.mark.anyio

KEYS = ("a-key-of-the-metrics", "the-key-that-was-before")


@pytest.fixture
async def hub(make_config: Callable[..., HubConfig], clock: Clock) -> AsyncIterator[Hub]:
    async with Hub.running(make_config(metrics_keys=KEYS), clock) as hub:
        yield hub


async def scrape(hub: Hub, key: str | None = KEYS[0], **headers: str) -> httpx.Response:
    given = {} if key is None else {"Authorization": f"Bearer {key}"}
    return await hub.client.get("/metrics", headers=given | headers)


def channels_of(limits: ConnectionLimits, clock: Clock, wall_clock: Clock, **more: Any) -> Channels:
    secrets = map(str, itertools.count())
    return Channels(
        limits=limits,
        max_per_visitor=5,
        clock=clock,
        wall_clock=wall_clock,
        new_secret=lambda: next(secrets),
        tokens=ConnectionTokens((TICKET_KEY,), website_id="local"),
        **more,
    )


class Reading:
    """What was read at a time."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def __call__(self, name: str, **labels: str) -> float:
        """Return the sum of all samples that have these labels."""
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == PREFIX + name and labels.items() <= sample.labels.items()
        )


async def read(hub: Hub) -> Reading:
    return Reading((await scrape(hub)).text)


class Line:
    """A WebSocket, by hand."""

    def __init__(self) -> None:
        self.to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def say(self, record: dict[str, Any]) -> None:
        self.to_app.put_nowait({"type": "websocket.receive", "text": json.dumps(record) + "\x1e"})

    async def heard(self, **expected: Any) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                message = await self.from_app.get()
                for record in records_of(message.get("text", "")):
                    if expected.items() <= record.items():
                        return record

    async def call(self, target: str, *arguments: Any) -> dict[str, Any]:
        self.say({"type": 1, "invocationId": "1", "target": target, "arguments": arguments})
        return await self.heard(type=3)


@asynccontextmanager
async def connected(hub: Hub, visitor_id: str) -> AsyncIterator[Line]:
    ticket, line = sign_ticket(hub.clock, visitor_id), Line()
    query = {"websiteId": "local", "visitorId": ticket, "negotiateVersion": "1"}
    token = (await hub.client.post("/chat/negotiate", params=query)).json()["connectionToken"]
    task = asyncio.create_task(hub.app(scope_of(ticket, token), line.to_app.get, line.from_app.put))
    line.to_app.put_nowait({"type": "websocket.connect"})
    line.say({"protocol": "json", "version": 1})
    yield line
    line.to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})
    await asyncio.wait_for(task, DEADLINE_S)


def scope_of(ticket: str, token: str) -> dict[str, Any]:
    query = f"websiteId=local&visitorId={ticket}&id={token}"
    return {
        "type": "websocket", "path": "/v1/chat", "raw_path": b"/v1/chat", "root_path": "", "headers": [],
        "query_string": query.encode(), "subprotocols": [], "extensions": {"websocket.http.response": {}},
    }  # fmt: skip


# Who may read them


async def test_they_are_not_there_unless_somebody_wants_them(config: HubConfig, clock: Clock) -> None:
    async with Hub.running(config, clock) as hub:
        assert (await scrape(hub)).status_code == 404
        assert (await scrape(hub, API_KEY)).status_code == 404


@pytest.mark.parametrize("key", [None, "", "wrong", API_KEY, KEYS[0][:-1], KEYS[0] + "x", "\xe9" * 20])
async def test_they_are_not_for_everybody(hub: Hub, key: str | None) -> None:
    given = [] if key is None else [(b"authorization", b"Bearer " + key.encode("latin-1"))]
    answer = await hub.client.get("/metrics", headers=given)
    assert (answer.status_code, answer.json()) == (401, {"error": "The key of the metrics is missing or wrong."})
    assert (await hub.client.get("/metrics", params={"key": KEYS[0]})).status_code == 401


@pytest.mark.parametrize("key", KEYS)
async def test_each_of_the_keys_opens_them(hub: Hub, key: str) -> None:
    answer = await scrape(hub, key)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    # The key of the metrics opens nothing else.
    assert (await hub.get("/chatroom/list", key=key)).status_code == 401


async def test_keys_cannot_be_tried_for_long(make_config: Callable[..., HubConfig], clock: Clock) -> None:
    config = make_config(metrics_keys=KEYS, rates=RateConfig.same(2))
    async with Hub.running(config, clock) as hub:
        transport = httpx.ASGITransport(app=hub.app, client=("192.0.2.7", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example/v1") as stranger:
            statuses = [(await stranger.get("/metrics")).status_code for _ in range(4)]
        # Whoever has a key is never kept waiting.
        assert {(await scrape(hub)).status_code for _ in range(4)} == {200}
    assert statuses == [401, 401, 429, 429]


async def test_they_come_as_openmetrics_too(hub: Hub) -> None:
    answer = await scrape(hub, accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


# What is counted


async def test_each_of_them_is_there_from_the_start(hub: Hub) -> None:
    text = (await scrape(hub)).text
    named = set(re.findall(rf"^# TYPE {PREFIX}(\w+) ", text, re.MULTILINE))
    assert named == {metric.name + ("_total" if metric.kind == "counter" else "") for metric in METRICS} | {
        # When each of them began, as the library says it.
        *re.findall(rf"^# TYPE {PREFIX}(\w+_created) ", text, re.MULTILINE)
    }
    assert Reading(text)("ready") == 1
    assert Reading(text)("database_bytes") > 0
    assert Reading(text)("database_free_bytes") > 0
    assert Reading(text)("files_free_bytes") > 0


@pytest.mark.parametrize(("kind", "transport"), [(EventsClient, "sse"), (PollingClient, "long_polling")])
async def test_the_other_transports_are_counted_by_name(hub: Hub, kind: type[Client], transport: str) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    ada = kind(hub, query_of(ticket, await negotiated(hub, ticket)))
    await ada.open()
    during = await read(hub)
    assert await EventsClient(hub, ada.query).connect() == 409
    await ada.vanish()
    after = await read(hub)
    assert (during("connections", transport=transport), after("connections")) == (1, 0)
    assert after("connections_closed_total", transport=transport, reason="client") == 1
    assert after("connections_refused_total", status="409") == 1
    # How long these take says nothing of how fast the hub is.
    assert after("request_seconds_count", operation="/chat") == 0


async def test_messages_calls_requests_and_commits_are_counted(hub: Hub) -> None:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    async with connected(hub, "ada") as ada, connected(hub, "bob"):
        await ada.call("connectToChatroom", room)
        message = (await ada.call("SaveChatroomMessage", {"type": 0, "content": "Hello"}, room))["result"]
        assert "error" in await ada.call("SaveChatroomMessage", {"type": 0, "content": ""}, room)
        await ada.call("UpdateChatroomMessage", message["uuid"], "Hello!", room)
        await ada.call("DeleteChatroomMessage", message["uuid"], room)
        assert "error" in await ada.call("NoSuchMethod")
        during = await read(hub)
    after = await read(hub)
    for action in ("posted", "edited", "deleted"):
        assert during("messages_total", action=action) == 1
    assert during("calls_total", method="SaveChatroomMessage", outcome="done") == 1
    assert during("calls_total", method="SaveChatroomMessage", outcome="invalid_argument") == 1
    assert during("calls_total", method="ConnectToChatroom", outcome="done") == 1
    assert during("calls_total", method="other", outcome="unknown_method") == 1
    assert (during("connections", transport="websocket"), after("connections")) == (2, 0)
    assert (during("chatrooms_with_readers"), after("chatrooms_with_readers")) == (1, 0)
    assert (during("connections_closed_total"), after("connections_closed_total", reason="client")) == (0, 2)
    assert during("requests_total", operation="/chat/negotiate", status="200") == 2
    assert during("request_seconds_count", operation="/chatroom/create") == 1
    assert during("commit_seconds_count") == during("commit_writes_count") >= 4
    assert during("commit_seconds_sum") > 0
    assert during("waiting_records") == during("waiting_records_longest") == 0


async def test_what_is_refused_is_counted(hub: Hub, clock: Clock) -> None:
    assert (await hub.get("/chatroom/list", key="wrong")).status_code == 401
    assert (await hub.get("/chatroom/get", chatroomId="nowhere")).status_code == 404
    line = Line()
    line.to_app.put_nowait({"type": "websocket.connect"})
    await hub.app(scope_of(sign_ticket(clock, "ada"), "never-negotiated"), line.to_app.get, line.from_app.put)
    reading = await read(hub)
    assert reading("requests_total", operation="/chatroom/list", status="401") == 1
    assert reading("requests_total", operation="/chatroom/get", status="404") == 1
    assert reading("connections_refused_total", status="404") == 1


async def test_what_comes_too_often_is_counted(make_config: Callable[..., HubConfig], clock: Clock) -> None:
    config = make_config(metrics_keys=KEYS, rates=RateConfig.same(1))
    async with Hub.running(config, clock) as hub:
        for status in (200, 429, 429):
            answer = await hub.client.post(
                "/chat/negotiate", params={"websiteId": "local", "visitorId": sign_ticket(clock, "ada")}
            )
            assert answer.status_code == status
        reading = await read(hub)
    assert reading("limited_total", action="connecting") == 2
    assert reading("requests_total", operation="/chat/negotiate", status="429") == 2


async def test_files_are_counted_in_bytes(hub: Hub, clock: Clock) -> None:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId="ada")
    query = {"websiteId": "local", "visitorId": sign_ticket(clock, "ada"), "chatroomId": room}
    files = {"formFile": ("notes.txt", b"x" * 1234, "text/plain")}
    answer = await hub.client.post("/file/save", params=query, files=files)
    assert (await hub.client.get(answer.json()["fileUrl"])).status_code == 200
    reading = await read(hub)
    assert reading("uploaded_bytes_total") == 1234
    assert reading("requests_total", operation="/file/save", status="200") == 1
    # Whichever file that was.
    assert reading("requests_total", operation="/file/", status="200") == 1


async def test_an_answer_that_nobody_gave_is_counted(hub: Hub) -> None:
    async def hang_up() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def fail(_: Any) -> None:
        raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/v1/health", "root_path": "", "query_string": b"", "headers": []}
    with pytest.raises(OSError, match="gone"):
        await hub.app(scope, hang_up, fail)
    assert (await read(hub))("requests_total", operation="/health") == 1


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ("silent", "silent"),
        ("ticket", "ticket"),
        ("protocol", "protocol"),
        ("slow", "slow"),
        ("hub", "hub"),
        ("client", "client"),
    ],
)
async def test_the_end_of_a_connection_has_a_reason(clock: Clock, ends: str, reason: str) -> None:
    metrics, wall_clock = PrometheusMetrics(), Clock()
    limits = ConnectionLimits(client_timeout_s=60, max_waiting_bytes=100, max_waiting_records=10)
    channels = channels_of(limits, clock, wall_clock, metrics=metrics)
    ticket = VisitorTicket(visitor_id="ada", issued_at=wall_clock(), expires_at=wall_clock() + 100)
    channel = channels.attach(channels.negotiate(1, ticket, "ticket").connection_token, "ticket")
    channel.receive_text('{"protocol":"json","version":1}\x1e')
    match ends:
        case "silent":
            clock.advance(61)
            channels.tick()
        case "ticket":
            wall_clock.advance(101)
            channels.tick()
        case "protocol":
            channel.receive_text("no JSON\x1e")
        case "slow":
            for _ in range(12):
                channel.send_record("x" * 20)
        case "hub":
            channel.close(error="The hub could not do this.", allow_reconnect=True)
    channels.remove(channel)
    reading = Reading(metrics.exposition("")[0].decode())
    assert reading("connections_closed_total", reason=reason, transport="websocket") == 1


async def test_what_waits_for_slow_clients_is_told(clock: Clock) -> None:
    metrics = PrometheusMetrics()
    channels = channels_of(ConnectionLimits(), clock, clock)
    meters.read_connections(metrics, channels, Membership())
    ticket = VisitorTicket(visitor_id="ada", issued_at=clock(), expires_at=clock() + 100)
    for records in (1, 5):
        token = channels.negotiate(0, ticket, "ticket").connection_token
        channel = channels.attach(token, "ticket")
        channel.receive_text('{"protocol":"json","version":1}\x1e')
        for _ in range(records):
            channel.send_record("record\x1e")
    reading = Reading(metrics.exposition("")[0].decode())
    # Each was answered its handshake as well.
    assert (reading("waiting_records"), reading("waiting_records_longest")) == (8, 6)


def test_a_database_that_refuses_is_counted() -> None:
    metrics = PrometheusMetrics()
    note = meters.meter_of_batches(metrics)
    note(Batch(3, 0.2, cannot_write=True))
    note(Batch(4, 0.2, cannot_write=False))
    reading = Reading(metrics.exposition("")[0].decode())
    assert (reading("commits_failed_total"), reading("commit_writes_sum")) == (1, 7)


async def test_a_busy_event_loop_is_seen(
    make_config: Callable[..., HubConfig], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "SAMPLE_S", 0.001)
    async with Hub.running(make_config(metrics_keys=KEYS), clock) as hub:
        async with asyncio.timeout(DEADLINE_S):
            while not (await read(hub))("event_loop_lag_seconds_count"):
                await asyncio.sleep(0.001)
        before = (await read(hub))("event_loop_lag_seconds_sum")
        deadline = asyncio.get_running_loop().time() + 0.1
        while asyncio.get_running_loop().time() < deadline:
            pass
        async with asyncio.timeout(DEADLINE_S):
            while (await read(hub))("event_loop_lag_seconds_sum") < before + 0.09:
                await asyncio.sleep(0.001)


async def test_hubs_in_one_process_count_for_themselves(
    make_config: Callable[..., HubConfig], clock: Clock, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        urls = [f"sqlite:///{tmp_path / name}.sqlite3" for name in ("one", "two")]
        one, two = [
            await stack.enter_async_context(
                Hub.running(make_config(metrics_keys=KEYS, database_url=url, uploads=None), clock)
            )
            for url in urls
        ]
        await one.post("/chatroom/create", {"title": "A post"})
        assert (await read(one))("requests_total", operation="/chatroom/create") == 1
        assert (await read(two))("requests_total", operation="/chatroom/create") == 0
        # Without files there is no disk of them.
        assert f"\n{PREFIX}files_free_bytes " not in (await scrape(two)).text


# What is not told


async def test_labels_tell_of_nobody(hub: Hub) -> None:
    """Whatever is sent, in whatever place, and whatever the hub calls things by: nothing of it is a label."""
    room = (await hub.post("/chatroom/create", {"title": "sentinel-title", "external_id": "sentinel-post"})).json()[
        "id"
    ]
    await hub.get("/chatroom/sentinel-path", chatroomId="sentinel-room")
    await hub.get("/chatroom/get/sentinel-below")
    await hub.client.request("SENTINEL", "/health")
    await hub.client.get("/file/sentinel-file/sentinel-name", headers={"X-Forwarded-For": "192.0.2.7"})
    async with connected(hub, "sentinel-visitor") as line:
        await line.call("ConnectToChatroom", room)
        message = (await line.call("SaveChatroomMessage", {"type": 0, "content": "sentinel-text"}, room))["result"]
        await line.call("Sentinel-Method", "sentinel-argument")
        text = (await scrape(hub)).text
    for secret in ("sentinel", "192.0.2.7", room, message["uuid"], API_KEY, *KEYS):
        assert secret.lower() not in text.lower()
    values = {value for sample in Reading(text).samples for value in sample.labels.values()}
    assert all(re.fullmatch(r"[A-Za-z_/-]+|[0-9.+e-]+|\+Inf", value) for value in values)


async def test_what_is_unknown_makes_no_new_series(hub: Hub) -> None:
    await hub.get("/chatroom/unknown-0")
    before = len((await read(hub)).samples)
    for number in range(20):
        await hub.get(f"/chatroom/unknown-{number}")
        await hub.get(f"/file/{number}/{number}")
    assert len((await read(hub)).samples) <= before + 40


# The interface


def test_nobody_need_listen() -> None:
    NO_METRICS.count(METRICS[1], "label", by=2)
    NO_METRICS.observe(METRICS[1], 1.5, "label")
    NO_METRICS.read(METRICS[0], lambda: {(): 1 / 0})


@pytest.mark.parametrize(
    ("exc", "outcome"),
    [
        (NotAllowedError("no"), "not_allowed"),
        (TooOftenError("later", retry_after_s=1), "too_often"),
        (ValueError("sentinel"), "failed"),
    ],
)
def test_failures_are_named_by_their_kind(exc: Exception, outcome: str) -> None:
    assert outcome_of(exc) == outcome


def test_every_metric_is_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs/operating-the-hub.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:3] == "| `"]
    described = {cells[0]: cells[1] for cells in rows if cells[0].startswith(f"`{PREFIX}")}
    expected = {
        f"`{PREFIX}{metric.name}{'_total' if metric.kind == 'counter' else ''}`": ", ".join(
            f"`{label}`" for label in metric.labels
        )
        for metric in METRICS
    }
    assert described == expected
    used = set(re.findall(rf"\b({PREFIX}\w+)", page))
    known = {name.strip("`") for name in expected}
    suffixes = {f"{name}{suffix}" for name in known for suffix in ("_bucket", "_sum", "_count")}
    assert used <= known | suffixes
