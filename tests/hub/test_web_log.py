"""What the server may say, and how often: neither tickets nor what people write, and nothing a thousand times."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterator
from typing import Any

import h11
import pytest
from uvicorn.logging import AccessFormatter

from flask_chatix_comments.hub import web_log
from flask_chatix_comments.hub.web_log import QUIET_S, Seldom, handle_loop_errors
from tests.hub.support import Clock

pytestmark = pytest.mark.anyio

PATH = "/chatix-comments/hub"
LOGGERS = (*web_log.CONNECTION_LOGGERS, web_log.ACCESS_LOGGER)


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Loggers as no other test has left them, and as they were after that."""
    before = {name: logging.getLogger(name).filters for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).filters = []
    yield
    for name, filters in before.items():
        logging.getLogger(name).filters = filters


def record(name: str, level: int, message: str, *args: Any) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def access(url: str) -> str:
    """Return the line that uvicorn's own formatter makes of a request; it takes the arguments apart."""
    one = record(web_log.ACCESS_LOGGER, logging.INFO, '%s - "%s %s HTTP/%s" %d', "client:1", "GET", url, "1.1", 200)
    assert logging.getLogger(web_log.ACCESS_LOGGER).filter(one)
    return AccessFormatter("%(request_line)s", use_colors=False).format(one)


@pytest.mark.parametrize("root", ["", "/blog"])
def test_requests_to_the_hub_lose_their_query(root: str) -> None:
    web_log.install_for_mounted(PATH)
    url = f"{root}{PATH}/v1/chat/negotiate"
    assert access(f"{url}?visitorId=secret&websiteId=local") == f"GET {url}?... HTTP/1.1"
    assert access(url) == f"GET {url} HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [
        PATH,
        f"/{PATH}/v1/chat",
        "/chatix-comments//hub/v1/chat",
        "/CHATIX-comments/HUB/v1/chat",
        f"{PATH}%00/v1/chat",
        "/chatix-comments%2Fhub/v1/chat",
        "/chatix-comments/h%75b/v1/chat",
        f"{PATH};x/v1/chat",
        f"{PATH}./v1/chat",
    ],
)
def test_requests_that_miss_the_hub_lose_it_as_well(path: str) -> None:
    web_log.install_for_mounted(PATH)
    assert access(f"{path}?id=secret") == f"GET {path}?... HTTP/1.1"


def test_a_ticket_is_cut_wherever_it_was_sent() -> None:
    web_log.install_for_mounted(PATH)
    assert access("/v1/chat/negotiate?websiteId=local&visitorId=secret") == "GET /v1/chat/negotiate?... HTTP/1.1"


def test_requests_to_the_site_are_its_own_business() -> None:
    web_log.install_for_mounted(PATH)
    assert access("/search?q=swifts") == "GET /search?q=swifts HTTP/1.1"
    assert access(f"{PATH}board?q=swifts") == f"GET {PATH}board?q=swifts HTTP/1.1"


@pytest.mark.parametrize("name", web_log.CONNECTION_LOGGERS)
def test_lines_about_connections_lose_every_query(name: str) -> None:
    web_log.install()
    one = record(name, logging.INFO, '%s - "WebSocket %s" [accepted]', "client:1", "/v1/chat?id=secret")
    assert logging.getLogger(name).filter(one)
    assert one.getMessage() == 'client:1 - "WebSocket /v1/chat?..." [accepted]'


@pytest.mark.parametrize("level", [logging.DEBUG, 5])
def test_frames_and_scopes_are_not_written_at_all(level: int) -> None:
    web_log.install()
    assert not logging.getLogger("uvicorn.error").filter(record("uvicorn.error", level, "< TEXT 'hello'"))


def test_a_line_of_another_shape_passes() -> None:
    web_log.install_for_mounted(PATH)
    one = record(web_log.ACCESS_LOGGER, logging.INFO, "no arguments")
    assert logging.getLogger(web_log.ACCESS_LOGGER).filter(one)


def test_to_install_twice_is_to_install_once_and_two_sites_have_one_each() -> None:
    for path in (PATH, PATH, "/other/hub"):
        web_log.install_for_mounted(path)
    assert [len(logging.getLogger(name).filters) for name in LOGGERS] == [1, 1, 2]


# Seldom


async def test_a_loop_says_seldom_that_it_cannot_accept(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop, handle = asyncio.get_running_loop(), handle_loop_errors(Seldom(clock))
    context = {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "no files")}
    for seconds in (0, 1, QUIET_S, 1):
        clock.advance(seconds)
        for _ in range(100):
            handle(loop, context)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["The hub cannot take another connection now: no files. Raise `ulimit -n`."] * 2


async def test_a_loop_says_what_is_a_fault_of_ours(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    loop, handle = asyncio.get_running_loop(), handle_loop_errors(Seldom(clock))
    handle(loop, {"message": "a client's", "exception": h11.LocalProtocolError("it was answered")})
    assert caplog.records == []
    for exc in (ValueError("a bug"), OSError(errno.EIO, "a disk")):
        handle(loop, {"message": "ours", "exception": exc})
    handle(loop, {"message": "without an exception"})
    assert [(record.name, record.levelno) for record in caplog.records] == [("asyncio", logging.ERROR)] * 3
