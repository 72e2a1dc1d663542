"""Calls to an application of this process, on an event loop in another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import httpx
import pytest

from flask_chatix_comments.in_process import InProcessTransport

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Echo:
    """Answers each request with its own path, query, key and body; some paths do worse."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.may_answer = asyncio.Event()
        self.served: list[str] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        if scope["path"] == "/v1/slow":
            await self.may_answer.wait()
        if scope["path"] == "/v1/broken":
            raise ValueError("a bug of ours")
        key = dict(scope["headers"]).get(b"x-api-key", b"")
        answer = b" ".join([scope["method"].encode(), scope["path"].encode(), scope["query_string"], key, body])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-echo", b"yes")]})
        await send({"type": "http.response.body", "body": answer})
        self.served.append(scope["path"])


@pytest.fixture
def echo() -> Iterator[Echo]:
    """The application, running on a loop of its own."""
    app = Echo()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app.loop = loop
    yield app
    loop.call_soon_threadsafe(app.may_answer.set)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def client(echo: Echo) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcessTransport(echo), base_url="http://mounted-hub/v1", timeout=10) as client:
        yield client


def test_a_call_and_its_answer(client: httpx.Client) -> None:
    answer = client.post("/chatroom/create?websiteId=local", content=b"{}", headers={"X-Api-Key": "key"})
    assert (answer.status_code, answer.headers["X-Echo"]) == (200, "yes")
    assert answer.text == "POST /v1/chatroom/create websiteId=local key {}"


def test_many_threads_at_once(client: httpx.Client) -> None:
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(client.get("/x").text)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert texts == ["GET /v1/x   "] * 20


def test_an_application_that_is_slow_is_not_broken_off(client: httpx.Client, echo: Echo) -> None:
    with pytest.raises(httpx.ReadTimeout):
        client.get("/slow", timeout=0.05)
    assert echo.loop is not None
    echo.loop.call_soon_threadsafe(echo.may_answer.set)
    assert client.get("/slow").status_code == 200
    assert echo.served == ["/v1/slow", "/v1/slow"]


def test_a_failure_is_a_status_and_in_the_log(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/broken").status_code == 500
    assert "a bug of ours" in caplog.text


def test_an_application_that_does_not_run(client: httpx.Client, echo: Echo) -> None:
    loop, echo.loop = echo.loop, None
    with pytest.raises(httpx.ConnectError, match="does not run"):
        client.get("/x")
    echo.loop = loop


def test_a_call_from_the_loop_itself_would_wait_for_ever(client: httpx.Client, echo: Echo) -> None:
    async def call() -> None:
        with pytest.raises(httpx.ConnectError, match="call it in a thread"):
            client.get("/x")

    assert echo.loop is not None
    asyncio.run_coroutine_threadsafe(call(), echo.loop).result(10)


def test_a_call_from_another_loop_is_as_good_as_one_from_a_thread(client: httpx.Client) -> None:
    async def call() -> int:
        return client.get("/x").status_code

    assert asyncio.run(call()) == 200


def test_an_application_that_stops_meanwhile(client: httpx.Client, echo: Echo) -> None:
    def stop() -> None:
        for task in asyncio.all_tasks(echo.loop):
            task.cancel()

    errors: list[Exception] = []

    def call() -> None:
        try:
            client.get("/slow")
        except httpx.HTTPError as exc:
            errors.append(exc)

    thread = threading.Thread(target=call)
    thread.start()
    assert echo.loop is not None
    while not asyncio.run_coroutine_threadsafe(_count_tasks(), echo.loop).result(10):
        pass
    echo.loop.call_soon_threadsafe(stop)
    thread.join(10)
    assert [type(error) for error in errors] == [httpx.ReadError]


async def _count_tasks() -> int:
    return len(asyncio.all_tasks()) - 1
