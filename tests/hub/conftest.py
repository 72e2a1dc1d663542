"""Fixtures of the hub's tests: time that is moved by hand, a fresh database, a hub without a socket."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.server import HubThread
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.processes import HubProcess
from tests.hub.support import API_KEY, TICKET_KEY, Clock, Hub, World
from tests.ports import free_port


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.sqlite3'}"


@pytest.fixture
def files_folder(tmp_path: Path) -> Path:
    return tmp_path / "hub.files"


@pytest.fixture
def make_config(database_url: str, files_folder: Path) -> Callable[..., HubConfig]:
    """Make configurations; keyword arguments are what differs, those of *uploads* in a dict."""

    def make(**changes: Any) -> HubConfig:
        uploads = changes.pop("uploads", {})
        settings: dict[str, Any] = {
            "website_id": "local",
            "database_url": database_url,
            "ticket_keys": (TICKET_KEY,),
            "api_keys": (API_KEY,),
            "uploads": None if uploads is None else UploadConfig(folder=files_folder, **uploads),
        }
        return HubConfig(**(settings | changes))

    return make


@pytest.fixture
def config(make_config: Callable[..., HubConfig]) -> HubConfig:
    return make_config()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(database_url)
    store.open()
    yield store
    await store.close()


@pytest.fixture
def make_world(store: SqlStore, clock: Clock, make_config: Callable[..., HubConfig]) -> Callable[..., World]:
    """Make services on the one store; keyword arguments are what differs in the configuration."""

    def make(**changes: Any) -> World:
        return World(make_config(**changes), store, clock)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
async def hub(config: HubConfig, clock: Clock) -> AsyncIterator[Hub]:
    """The whole application, driven without a socket."""
    async with Hub.running(config, clock) as hub:
        yield hub


@pytest.fixture
def make_hub_thread(tmp_path: Path, config: HubConfig) -> Iterator[Callable[..., HubThread]]:
    """Make hubs on real sockets; they are stopped in the end."""
    threads: list[HubThread] = []

    def make(
        *, config: HubConfig = config, host: str = "127.0.0.1", port: int = 0, lock_path: Path = tmp_path / "hub.lock"
    ) -> HubThread:
        threads.append(HubThread(config, host=host, port=port, lock_path=lock_path))
        return threads[-1]

    yield make
    for thread in threads:
        thread.stop()


@pytest.fixture
def hub_thread(make_hub_thread: Callable[..., HubThread]) -> HubThread:
    thread = make_hub_thread()
    thread.start()
    assert thread.wait_ready(20), thread.error
    return thread


@pytest.fixture
def run_process(tmp_path: Path) -> Iterator[Callable[..., HubProcess]]:
    """Run hubs in processes of their own, one after the other, on one port and one database."""
    port = free_port()
    started: list[HubProcess] = []

    def run(prelude: str = "") -> HubProcess:
        started.append(HubProcess(tmp_path, port, prelude))
        return started[-1]

    yield run
    for hub in started:
        if hub.process.poll() is None:
            hub.end(signal.SIGKILL)
        if hub.process.stderr is not None:
            hub.process.stderr.close()
