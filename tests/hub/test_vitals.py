"""Alive and ready: what a supervisor and a load balancer are told, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from flask_chatix_comments.hub import readiness as readiness_module
from flask_chatix_comments.hub import vitals
from flask_chatix_comments.hub.app import create_hub
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.readiness import MIN_FREE_BYTES, Obstacle, Readiness
from flask_chatix_comments.hub.store.base import Batch, Disk
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import DEADLINE_S, Clock, Hub, lifespan, until

pytestmark = pytest.mark.anyio


class Store(SqlStore):
    """A store whose disk breaks and fills on demand.

    Attributes:
        is_broken: Whether every commit fails.
        free_bytes: ``None``: what there is.
        batches: What was written.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.is_broken = False
        self.free_bytes: int | None = None
        self.batches: list[Batch] = []
        self.watch(self.batches.append)
        sa.event.listen(self._writing, "commit", self._refuse)

    def _refuse(self, _: sa.Connection) -> None:
        if self.is_broken:
            raise sa.exc.OperationalError("COMMIT", {}, OSError("disk I/O error"))

    def disk(self) -> Disk | None:
        disk = super().disk()
        assert disk is not None
        return disk if self.free_bytes is None else Disk(disk.used_bytes, self.free_bytes)


@pytest.fixture
def store(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(vitals, "LOOK_S", 0.01)
    monkeypatch.setattr(readiness_module, "CALM_S", 0.02)
    return Store(database_url)


@pytest.fixture
async def hub(config: HubConfig, clock: Clock, store: Store) -> AsyncIterator[Hub]:
    async with Hub.running(config, clock, store=store) as hub:
        yield hub


class Poller:
    """Asks whether a hub is ready."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def until(self, expected: Obstacle | None) -> httpx.Response:
        async with asyncio.timeout(DEADLINE_S):
            while (answer := await self.ask()).json().get("error") != expected:
                await asyncio.sleep(0.005)
        return answer

    async def ask(self) -> httpx.Response:
        answer = await self.hub.client.get("/ready")
        assert answer.headers["cache-control"] == "no-store"
        return answer


async def make_room(hub: Hub) -> int:
    return (await hub.post("/chatroom/create", {"title": "A post"})).status_code


async def test_health_wants_nothing(hub: Hub) -> None:
    response = await hub.client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "website_id": "local"})


async def test_it_is_ready_between_start_and_end(config: HubConfig, clock: Clock) -> None:
    app = create_hub(config, clock=clock)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hub.example/v1") as client:
        starting = await client.get("/ready")
        async with lifespan(app):
            ready = await client.get("/ready")
        stopping = await client.get("/ready")
        assert (await client.get("/health")).status_code == 200
    assert (starting.status_code, starting.json()) == (503, {"error": "The hub is starting."})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "website_id": "local"})
    assert (stopping.status_code, stopping.json()) == (503, {"error": "The hub is shutting down."})
    assert int(stopping.headers["retry-after"]) >= 1


async def test_a_database_that_cannot_be_written_is_told_until_it_can(
    hub: Hub, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    poller = Poller(hub)
    store.is_broken = True
    assert (await poller.ask()).status_code == 200
    assert await make_room(hub) == 503
    answer = await poller.until(Obstacle.CANNOT_WRITE)
    assert (answer.status_code, int(answer.headers["retry-after"]) >= 0) == (503, True)
    # What is there can be read, and whoever can read is alive.
    assert (await hub.get("/chatroom/list")).status_code == 200
    assert (await hub.client.get("/health")).status_code == 200
    tried = len(store.batches)
    await until(lambda: len(store.batches) > tried + 2, "it to be tried again")
    assert (await poller.ask()).status_code == 503
    store.is_broken = False
    await poller.until(None)
    assert await make_room(hub) == 200
    # Each change is said once, however often it was tried.
    said = [record.message for record in caplog.records if "readiness" in record.name]
    assert [line.partition(":")[0] for line in said] == [
        "The hub's database cannot be written",
        "The hub's database can be written again.",
    ]


async def test_what_visitors_do_wrong_is_no_obstacle(hub: Hub, store: Store) -> None:
    assert (await hub.post("/chatroom/create", {"title": 7})).status_code == 400

    def fail(connection: sa.Connection) -> Any:
        connection.exec_driver_sql("INSERT INTO chatrooms (id) VALUES (NULL)")

    with pytest.raises(Exception, match="NOT NULL"):
        await store._write(fail)
    assert (await Poller(hub).ask()).status_code == 200


async def test_a_full_disk_is_told_before_anything_fails(hub: Hub, store: Store) -> None:
    poller = Poller(hub)
    store.free_bytes = MIN_FREE_BYTES - 1
    await poller.until(Obstacle.DISK_FULL)
    assert await make_room(hub) == 200
    store.free_bytes = MIN_FREE_BYTES
    await poller.until(None)


async def test_asking_writes_nothing(hub: Hub, store: Store) -> None:
    written = len(store.batches)
    for _ in range(50):
        assert (await hub.client.get("/ready")).status_code == 200
    assert store.batches[written:] == []


async def test_a_look_that_fails_is_not_the_last(
    hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(store, "disk", lambda: 1 / 0)
        await until(lambda: "ZeroDivisionError" in caplog.text, "the failure")
    store.free_bytes = 0
    await Poller(hub).until(Obstacle.DISK_FULL)


async def test_the_store_tells_of_its_disk(database_url: str, tmp_path: Path) -> None:
    store = SqlStore(database_url)
    store.open()
    await store.try_to_write()
    files = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    disk = store.disk()
    assert disk is not None
    assert disk.used_bytes == sum(files[f"hub.sqlite3{suffix}"] for suffix in ("", "-wal", "-shm")) > 0
    assert disk.free_bytes > 0
    await store.close()


async def test_trying_to_write_reaches_the_file(database_url: str, tmp_path: Path) -> None:
    store = SqlStore(database_url)
    store.open()
    log = tmp_path / "hub.sqlite3-wal"
    before = (log.stat().st_size, log.read_bytes())
    await store.try_to_write()
    assert (log.stat().st_size, log.read_bytes()) != before
    await store.close()


def test_who_stops_is_not_ready_whatever_else() -> None:
    readiness, told = Readiness(), []
    steps: list[Callable[[], object]] = [
        lambda: None,
        readiness.started,
        lambda: readiness.note_batch(Batch(1, 0.1, cannot_write=True)),
        # A success that may have written nothing says nothing.
        lambda: readiness.note_batch(Batch(1, 0.1, cannot_write=False)),
        readiness.stopping,
    ]
    for step in steps:
        step()
        told.append(readiness.obstacle)
    failing = Obstacle.CANNOT_WRITE
    assert told == [Obstacle.STARTING, None, failing, failing, Obstacle.STOPPING]


def test_who_has_failed_has_to_be_calm_for_a_while() -> None:
    clock, told = Clock(), []
    readiness = Readiness(clock=clock)
    for after_s in (0.0, readiness_module.CALM_S - 1, 1.0):
        readiness.note_batch(Batch(1, 0.1, cannot_write=True))
        clock.advance(after_s)
        # It can be written, but a moment ago it could not.
        readiness.note_written()
        told.append(readiness.is_failing)
    clock.advance(readiness_module.CALM_S - 1)
    readiness.note_written()
    assert [*told, readiness.is_failing] == [True, True, True, False]
