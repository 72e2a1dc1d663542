"""The hub beside the development server: when it starts, where it listens, what its failures do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

import pytest

from flask_chatix_comments.dev_hub import RETRY_AFTER_S, DevHub, hub_api_url
from flask_chatix_comments.errors import ConfigError, HubLockedError, HubPortError, HubStartError
from flask_chatix_comments.hub.server import HubThread
from tests.flask_support import Clock

DEV_SERVER = {"SERVER_SOFTWARE": "Werkzeug/3.1.9", "SERVER_NAME": "127.0.0.1", "wsgi.multiprocess": False}


class FakeThread:
    """A hub that starts, or does not, on order."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.port = 5001
        self.error: HubStartError | None = None
        self.is_ready = True
        self.starts = 0
        self.stops = 0

    def start(self) -> None:
        self.starts += 1

    def wait_ready(self, timeout_s: float) -> bool:
        return self.is_ready and self.error is None

    def stop(self, timeout_s: float = 5) -> None:
        self.stops += 1


class Threads(list[FakeThread]):
    """All hubs that were made; the next one can be told how it will fare."""

    error: HubStartError | None = None
    setup_error: Exception | None = None
    is_ready = True

    def make(self, host: str) -> HubThread:
        if self.setup_error is not None:
            raise self.setup_error
        thread = FakeThread(host)
        thread.error, thread.is_ready = self.error, self.is_ready
        self.append(thread)
        return cast(HubThread, thread)


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def make_hub(threads: Threads, clock: Clock) -> Callable[..., DevHub]:
    return lambda host=None: DevHub(threads.make, host=host, monotonic=clock)


@pytest.fixture
def hub(make_hub: Callable[..., DevHub]) -> DevHub:
    return make_hub()


def test_the_first_request_starts_it_and_no_other(hub: DevHub, threads: Threads) -> None:
    for _ in range(3):
        hub.on_request(DEV_SERVER)
    assert [(thread.host, thread.starts) for thread in threads] == [("127.0.0.1", 1)]
    assert hub.address == ("127.0.0.1", 5001)
    hub.wait(1)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SERVER_SOFTWARE": "gunicorn/23"},
        {"SERVER_SOFTWARE": "Werkzeug/3.1.9", "wsgi.multiprocess": True},
    ],
)
def test_other_servers_start_none(hub: DevHub, threads: Threads, environ: dict[str, Any]) -> None:
    hub.on_request(environ)
    hub.wait(1)
    assert threads == []
    assert (hub.address, hub.error) == (None, None)


@pytest.mark.parametrize(
    ("setting", "server_name", "host"),
    [
        (None, "192.168.1.5", "192.168.1.5"),
        (None, "0.0.0.0", "0.0.0.0"),
        (None, "", "127.0.0.1"),
        ("::1", "0.0.0.0", "::1"),
    ],
)
def test_it_listens_where_the_site_does(
    make_hub: Callable[..., DevHub], threads: Threads, setting: str | None, server_name: str, host: str
) -> None:
    make_hub(setting).on_request(DEV_SERVER | {"SERVER_NAME": server_name})
    assert [thread.host for thread in threads] == [host]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5001/v1"),
        ("0.0.0.0", "http://127.0.0.1:5001/v1"),
        ("::", "http://[::1]:5001/v1"),
        ("2001:db8::5", "http://[2001:db8::5]:5001/v1"),
        ("blog.local", "http://blog.local:5001/v1"),
    ],
)
def test_the_site_reaches_it_at_an_address_that_exists(host: str, url: str) -> None:
    assert hub_api_url(host, 5001) == url


def test_a_failure_is_told_to_who_waits_and_logged_once(
    hub: DevHub, threads: Threads, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    threads.error = HubPortError("Port 5001 is taken.", port=5001)
    for _ in range(3):
        hub.on_request(DEV_SERVER)
        with pytest.raises(HubPortError, match="taken"):
            hub.wait(1)
        clock.advance(RETRY_AFTER_S)
    assert hub.error is threads[-1].error
    assert hub.address is None
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "Port 5001 is taken. The setting is CHATIX_HUB_PORT.")
    ]


def test_it_is_tried_again_once_per_second(hub: DevHub, threads: Threads, clock: Clock) -> None:
    threads.error = HubPortError("Port 5001 is taken.", port=5001)
    for _ in range(5):
        hub.on_request(DEV_SERVER)
    assert len(threads) == 1
    threads.error = None
    clock.advance(RETRY_AFTER_S)
    for _ in range(5):
        hub.on_request(DEV_SERVER)
    assert len(threads) == 2
    assert hub.address == ("127.0.0.1", 5001)
    hub.wait(1)


def test_another_process_may_have_it_until_that_ends(
    hub: DevHub, threads: Threads, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    threads.error = HubLockedError("another process runs it")
    hub.on_request(DEV_SERVER)
    hub.wait(1)  # Nothing to complain of: readers use the other one.
    assert hub.address is None
    assert [record.levelname for record in caplog.records] == ["INFO"]
    threads.error = None
    clock.advance(RETRY_AFTER_S)
    hub.on_request(DEV_SERVER)
    assert hub.address == ("127.0.0.1", 5001)


def test_a_hub_that_hangs_is_told_as_such(hub: DevHub, threads: Threads) -> None:
    threads.is_ready = False
    hub.on_request(DEV_SERVER)
    with pytest.raises(HubStartError, match="did not start within 0.5 s"):
        hub.wait(0.5)


def test_settings_that_a_hub_refuses_do_not_break_the_page(
    hub: DevHub, threads: Threads, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    threads.setup_error = ConfigError("website_id", "cannot be used")
    for _ in range(2):
        hub.on_request(DEV_SERVER)
        with pytest.raises(HubStartError, match="website_id: cannot be used"):
            hub.wait(1)
        clock.advance(RETRY_AFTER_S)
    assert len(caplog.records) == 1


def test_it_can_be_stopped(hub: DevHub, threads: Threads) -> None:
    hub.stop()
    hub.on_request(DEV_SERVER)
    hub.stop()
    hub.stop()
    assert [thread.stops for thread in threads] == [1]
    assert hub.address is None
