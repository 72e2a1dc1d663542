"""An API that fails is left alone, and asked again by one call at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments import api_guard
from flask_chatix_comments.api_guard import FAILURES, MAX_ASKED_PAUSE_S, MAX_PAUSE_S, READERS_AT_ONCE, ApiGuard
from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiError,
    ApiPausedError,
    ApiPayloadError,
    ApiStatusError,
    ApiTimeoutError,
)

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from tests.rooms_fixtures import Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)

DEAD = ApiConnectionError("No answer.", operation="get_chatroom")


def status(code: int, retry_after_s: float | None = None) -> ApiStatusError:
    return ApiStatusError(f"Refused: {code}.", operation="x", status_code=code, retry_after_s=retry_after_s)


@pytest.fixture
def guard(ticking: ManualClock) -> ApiGuard:
    return ApiGuard("http://api.test/v1", clock=ticking, jitter=lambda least, most: 1.0)


def call(guard: ApiGuard, outcome: BaseException | None = None, *, is_for_reader: bool = False) -> None:
    """Make a call of which *outcome* becomes."""
    try:
        with guard.call("x", is_for_reader=is_for_reader):
            if outcome is not None:
                raise outcome
    except BaseException as exc:
        if exc is not outcome:
            raise


def pause_of(guard: ApiGuard) -> float:
    """Return for how long the API is left alone; 0: it may be called."""
    try:
        guard.require_open_door("x")
    except ApiPausedError as exc:
        return exc.retry_after_s
    return 0.0


def open_it(guard: ApiGuard) -> None:
    for _ in range(FAILURES):
        call(guard, DEAD)


@pytest.mark.parametrize(
    "failure",
    [
        DEAD,
        ApiTimeoutError("Too slow.", operation="x", timeout_s=10),
        ApiPayloadError("HTML.", operation="x"),
        *(status(code) for code in (401, 408, 425, 429, 500, 502, 503, 504)),
    ],
    ids=repr,
)
def test_failures_in_a_row_pause_it(guard: ApiGuard, failure: ApiError, ticking: ManualClock) -> None:
    for _ in range(FAILURES - 1):
        call(guard, failure)
        assert pause_of(guard) == 0
    call(guard, failure)
    assert pause_of(guard) == 1
    with pytest.raises(ApiPausedError, match="left alone for another 1 s. The last failure: ") as caught:
        call(guard)
    assert (caught.value.operation, caught.value.may_have_arrived) == ("x", False)
    ticking.advance(1)
    assert pause_of(guard) == 0


@pytest.mark.parametrize("code", [200, 400, 403, 404, 409, 410, 422, 501])
def test_a_refusal_is_an_answer(guard: ApiGuard, code: int) -> None:
    for _ in range(2 * FAILURES):
        call(guard, DEAD)
        call(guard, status(code))
    assert pause_of(guard) == 0


def test_an_answer_between_failures_starts_the_count_anew(guard: ApiGuard) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            call(guard, DEAD)
        call(guard)
    assert pause_of(guard) == 0


@pytest.mark.parametrize(
    "outcome", [ApiTimeoutError("Hurried.", operation="x", timeout_s=0.1), KeyboardInterrupt(), ZeroDivisionError()]
)
def test_who_learned_nothing_says_nothing(guard: ApiGuard, outcome: BaseException) -> None:
    for _ in range(FAILURES - 1):
        call(guard, DEAD)
    call(guard, outcome)
    assert pause_of(guard) == 0
    call(guard, DEAD)
    assert pause_of(guard) > 0


def test_one_call_probes_and_the_others_wait_for_what_it_finds(guard: ApiGuard, ticking: ManualClock) -> None:
    open_it(guard)
    ticking.advance(1)
    with guard.call("x", is_for_reader=False):
        assert pause_of(guard) == api_guard.PROBE_WAIT_S
        with pytest.raises(ApiPausedError):
            call(guard)
    assert pause_of(guard) == 0
    call(guard, DEAD)
    assert pause_of(guard) == 0, "one failure is none"


def test_pauses_grow_while_probes_fail(guard: ApiGuard, ticking: ManualClock) -> None:
    open_it(guard)
    pauses = []
    for _ in range(1_100):
        pauses.append(pause_of(guard))
        ticking.advance(pauses[-1])
        call(guard, DEAD)
    assert pauses[:7] == [1, 2, 4, 8, 16, 30, 30]
    assert pauses[-1] == MAX_PAUSE_S


def test_a_probe_that_learned_nothing_lets_the_next_one_try(guard: ApiGuard, ticking: ManualClock) -> None:
    open_it(guard)
    ticking.advance(1)
    call(guard, KeyboardInterrupt())
    assert pause_of(guard) == 0


def test_a_probe_that_died_with_its_thread_is_given_up(guard: ApiGuard, ticking: ManualClock) -> None:
    open_it(guard)
    ticking.advance(1)
    lost = guard.call("x", is_for_reader=False)
    lost.__enter__()
    ticking.advance(api_guard.PROBE_LEASE_S - 1)
    assert pause_of(guard) > 0
    ticking.advance(1)
    call(guard)
    assert pause_of(guard) == 0


@pytest.mark.parametrize(("asked_s", "pause_s"), [(7.0, 7.0), (0.0, 0.0), (86_400.0, MAX_ASKED_PAUSE_S)])
def test_what_the_api_asks_for_is_respected_at_once(guard: ApiGuard, asked_s: float, pause_s: float) -> None:
    call(guard, status(429, asked_s))
    assert pause_of(guard) == pause_s


def test_the_longest_of_what_it_asks_for_counts(guard: ApiGuard, ticking: ManualClock) -> None:
    with contextlib.suppress(ApiStatusError), guard.call("x", is_for_reader=False):
        call(guard, status(503, 20))
        raise status(503, 5)
    assert pause_of(guard) == 20
    ticking.advance(20)
    call(guard)
    assert pause_of(guard) == 0


def test_an_answer_from_before_does_not_cut_the_pause_short(guard: ApiGuard) -> None:
    with guard.call("x", is_for_reader=False):
        call(guard, status(429, 9))
    assert pause_of(guard) == 9


def test_failures_of_calls_from_before_do_not_lengthen_it(guard: ApiGuard, ticking: ManualClock) -> None:
    with contextlib.suppress(ApiConnectionError), guard.call("x", is_for_reader=False):
        open_it(guard)
        raise DEAD
    ticking.advance(1)
    call(guard, DEAD)
    assert pause_of(guard) == 2


def test_processes_do_not_probe_at_the_same_moment(ticking: ManualClock) -> None:
    pauses = set()
    for _ in range(5):
        guard = ApiGuard("http://api.test/v1", clock=ticking)
        open_it(guard)
        pauses.add(pause_of(guard))
    assert len(pauses) > 1
    assert all(0.75 <= pause <= 1.25 for pause in pauses)


def test_only_so_many_readers_wait_for_it_at_once(guard: ApiGuard) -> None:
    with contextlib.ExitStack() as waiting:
        for _ in range(READERS_AT_ONCE):
            waiting.enter_context(guard.call("x", is_for_reader=True))
        with pytest.raises(ApiPausedError, match=f"{READERS_AT_ONCE} readers wait for it already"):
            call(guard, is_for_reader=True)
        call(guard)  # Commands and the makers of rooms go their own ways.
    call(guard, is_for_reader=True)


def test_the_log_is_told_at_the_start_and_at_the_end(
    guard: ApiGuard, ticking: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    open_it(guard)
    for _ in range(4):
        ticking.advance(pause_of(guard))
        call(guard, DEAD)
    ticking.advance(pause_of(guard))
    call(guard)
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (
            logging.ERROR,
            "The API at http://api.test/v1 is left alone for 1 s, and then asked by one call at a time until it"
            " answers. The last failure: No answer.",
        ),
        (logging.WARNING, "The API at http://api.test/v1 answers again, after 31 s."),
    ]


def test_a_child_process_learns_anew(guard: ApiGuard) -> None:
    open_it(guard)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if pause_of(guard) == 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert pause_of(guard) > 0


def test_of_many_threads_one_probes(guard: ApiGuard, ticking: ManualClock) -> None:
    open_it(guard)
    ticking.advance(1)
    together, are_done = threading.Barrier(8), threading.Barrier(8)
    let_through: list[int] = []

    def try_it(number: int) -> None:
        together.wait(10)
        with contextlib.suppress(ApiPausedError), guard.call("x", is_for_reader=False):
            let_through.append(number)
            are_done.wait(10)
            return
        are_done.wait(10)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let_through) == 1


class TestClient:
    """The client of the REST API goes by it."""

    def fail(self, api: ChatixApi, ask: Callable[[], object]) -> None:
        with pytest.raises(ApiError):
            ask()

    def test_is_silent_while_the_api_is_left_alone(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(*[httpx.ConnectError("refused")] * FAILURES)
        for _ in range(FAILURES):
            self.fail(api, lambda: api.create_chatroom("x"))
        asked = len(faults.requests)
        with pytest.raises(ApiPausedError):
            api.create_chatroom("x")
        with pytest.raises(ApiPausedError):
            api.within(1).is_online("x")
        assert len(faults.requests) == asked
        ticking.advance(2)
        api.create_chatroom("x")
        api.create_chatroom("x")

    def test_takes_nonsense_for_a_failure(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(*[httpx.Response(200, json={"unexpected": 1})] * FAILURES)
        for _ in range(FAILURES):
            with pytest.raises(ApiPayloadError):
                api.create_chatroom("x")
        with pytest.raises(ApiPausedError):
            api.require_open_door("create_chatroom")

    def test_respects_retry_after(self, api: ChatixApi, faults: Faults, ticking: ManualClock) -> None:
        faults.order(httpx.Response(429, headers={"Retry-After": "40"}))
        self.fail(api, lambda: api.create_chatroom("x"))
        ticking.advance(39)
        with pytest.raises(ApiPausedError):
            api.create_chatroom("x")
        ticking.advance(6)
        api.create_chatroom("x")

    def test_tells_whether_a_hub_is_up_all_the_same(self, api: ChatixApi, faults: Faults) -> None:
        faults.order(*[httpx.ConnectError("refused")] * FAILURES)
        for _ in range(FAILURES):
            self.fail(api, lambda: api.create_chatroom("x"))
        faults.order(httpx.Response(200, json={"status": "ok", "website_id": "site 1"}))
        assert api.ping()
