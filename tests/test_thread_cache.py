"""Comments for pages: shown at once, fetched behind the scenes, and never for longer than they are true."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_chatix_comments import thread_cache
from flask_chatix_comments.api_answers import Changes, HistoryPage
from flask_chatix_comments.background import Background
from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiPausedError,
    ApiStatusError,
    HubMissingError,
    RegistryError,
)
from flask_chatix_comments.models import Message, MessageType, SenderFlag
from flask_chatix_comments.registry import RegistryEntry, RoomState
from flask_chatix_comments.thread_cache import FRESH_S, LATE_S, MAX_AGE_S, MAX_OUTAGE_S, Thread, ThreadCache
from tests.flask_support import Clock

DEADLINE_S = 10
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTRY = RegistryEntry("7", "room", "", False, RoomState.OPEN, NOW, NOW)


def message(number: int, **changes: Any) -> Message:
    made = Message(
        f"m{number}", "room", MessageType.TEXT, SenderFlag.VISITOR, "somebody", NOW, content=f"text {number}"
    )
    return replace(made, **changes)


class Service:
    """Registry and API in one: notes what is asked, fails or waits on order."""

    def __init__(self) -> None:
        self.entry: RegistryEntry | None = ENTRY
        self.messages: list[Message] = []
        self.version = 0
        self.has_changes = True
        self.asked: list[str] = []
        self.registry_failure: Exception | None = None
        self.failure: Exception | None = None
        self.is_up = True
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)

    def find_entry(self, post_id: str) -> RegistryEntry | None:
        if self.registry_failure is not None:
            raise self.registry_failure
        return self.entry

    def put(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.version += 1

    def history(self, chatroom_id: str, *, limit: int) -> HistoryPage:
        self._meet("history")
        cursor = str(self.version) if self.has_changes else None
        return HistoryPage(tuple(self.messages[-limit:]), cursor, has_more=False)

    def list_changes(self, chatroom_id: str, *, cursor: str, limit: int) -> Changes:
        self._meet("changes")
        gone = () if cursor == str(self.version) else ("m0",)
        return Changes((), gone, str(self.version), has_more=False)

    def _meet(self, what: str) -> None:
        self.asked.append(what)
        self.entered.release()
        assert self.gate.wait(DEADLINE_S)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def background(service: Service) -> Iterator[Background]:
    background = Background()
    yield background
    service.gate.set()
    background.stop()


@pytest.fixture
def make_cache(service: Service, background: Background, clock: Clock) -> Callable[..., ThreadCache]:
    def make(**options: Any) -> ThreadCache:
        settings: dict[str, Any] = {"wait_s": DEADLINE_S, "page_size": 3} | options
        return ThreadCache(
            find_entry=service.find_entry,
            api=lambda: service,  # type: ignore[arg-type,return-value]  # A double of what is used of it.
            background=background,
            is_up=lambda: service.is_up,
            clock=clock,
            **settings,
        )

    return make


@pytest.fixture
def cache(make_cache: Callable[..., ThreadCache]) -> ThreadCache:
    return make_cache()


def ids(thread: Thread | None) -> list[str] | None:
    return None if thread is None else [one.message_id for one in thread.messages]


class TestAPage:
    def test_that_comes_first_waits_and_the_next_ones_ask_for_nothing(
        self, cache: ThreadCache, service: Service, clock: Clock
    ) -> None:
        service.put(message(1), message(2))
        assert ids(cache.read("7")) == ["m1", "m2"]
        clock.advance(FRESH_S / 2)
        assert ids(cache.read("7")) == ["m1", "m2"]
        assert service.asked == ["history"]

    def test_shows_what_is_known_while_it_is_fetched_again(
        self, cache: ThreadCache, service: Service, background: Background, clock: Clock
    ) -> None:
        service.put(message(1))
        cache.read("7")
        clock.advance(FRESH_S)
        service.put(message(1), message(2))
        service.gate.clear()
        assert ids(cache.read("7")) == ["m1"]
        service.gate.set()
        background.join()
        assert ids(cache.read("7")) == ["m1", "m2"]

    @pytest.mark.parametrize("age_s", [LATE_S, MAX_AGE_S + 1, 1_000_000.0])
    def test_waits_when_what_is_known_is_old(
        self, cache: ThreadCache, service: Service, clock: Clock, age_s: float
    ) -> None:
        service.put(message(1))
        cache.read("7")
        clock.advance(age_s)
        service.put(message(1, content="edited"))
        thread = cache.read("7")
        assert thread is not None
        assert [one.content for one in thread.messages] == ["edited"]

    def test_one_page_waits_for_a_post_and_the_others_go_on_without(self, cache: ThreadCache, service: Service) -> None:
        service.put(message(1))
        service.gate.clear()
        found: list[Thread | None] = []
        waiter = threading.Thread(target=lambda: found.append(cache.read("7")))
        waiter.start()
        assert service.entered.acquire(timeout=DEADLINE_S)
        assert [cache.read("7") for _ in range(3)] == [None, None, None]
        service.gate.set()
        waiter.join(DEADLINE_S)
        assert ids(found[0]) == ["m1"]
        assert service.asked == ["history"]

    def test_gives_up_waiting(self, make_cache: Callable[..., ThreadCache], service: Service, clock: Clock) -> None:
        cache = make_cache(wait_s=0.001)
        service.put(message(1))
        service.gate.clear()
        assert cache.read("7") is None
        clock.advance(MAX_AGE_S)
        assert cache.read("7") is None

    @pytest.mark.parametrize(("is_up", "wait_s"), [(False, DEADLINE_S), (True, 0.0)])
    def test_does_not_wait_for_an_api_that_is_down_or_when_told_so(
        self, make_cache: Callable[..., ThreadCache], service: Service, is_up: bool, wait_s: float
    ) -> None:
        cache = make_cache(wait_s=wait_s)
        service.is_up = is_up
        service.gate.clear()
        # It would be here as soon as the gate opens, and that is never: so it was not waited for.
        assert cache.read("7") is None

    def test_of_a_post_that_nobody_reads_fetches_nothing(
        self, cache: ThreadCache, service: Service, background: Background, clock: Clock
    ) -> None:
        cache.read("7")
        clock.advance(100 * MAX_AGE_S)
        background.join()
        assert service.asked == ["history"]
        assert cache.peek("7") is None


class TestWhatIsShown:
    def test_the_newest_ones_and_whether_there_are_others(self, cache: ThreadCache, service: Service) -> None:
        service.put(*map(message, range(1, 6)))
        thread = cache.read("7")
        assert (ids(thread), thread and thread.has_older, thread and thread.count) == (["m3", "m4", "m5"], True, None)

    def test_all_of_them_are_counted(self, cache: ThreadCache, service: Service) -> None:
        service.put(*map(message, range(1, 4)))
        thread = cache.read("7")
        assert (thread and thread.has_older, thread and thread.count) == (False, 3)

    def test_whispers_never(self, cache: ThreadCache, service: Service) -> None:
        service.put(message(1), message(2, is_whisper=True))
        assert ids(cache.read("7")) == ["m1"]

    @pytest.mark.parametrize(
        "entry",
        [
            None,
            replace(ENTRY, is_private=True),
            replace(ENTRY, state=RoomState.DELETED),
            replace(ENTRY, state=RoomState.CREATING, chatroom_id=None),
        ],
    )
    def test_nothing_of_what_is_not_for_all(
        self, cache: ThreadCache, service: Service, clock: Clock, entry: RegistryEntry | None
    ) -> None:
        service.put(message(1))
        assert ids(cache.read("7")) == ["m1"]
        service.entry = entry
        clock.advance(LATE_S)
        assert cache.read("7") is None
        assert cache.peek("7") is None
        assert service.asked == ["history"]

    def test_a_closed_thread_says_so(self, cache: ThreadCache, service: Service) -> None:
        service.entry = replace(ENTRY, state=RoomState.CLOSED)
        thread = cache.read("7")
        assert thread is not None
        assert thread.is_closed

    @pytest.mark.parametrize(("has_changes", "asked"), [(True, ["changes"]), (False, ["history"])])
    def test_what_pages_have_made_of_it_stays_while_nothing_changes(
        self, cache: ThreadCache, service: Service, clock: Clock, has_changes: bool, asked: list[str]
    ) -> None:
        service.has_changes = has_changes
        service.put(message(1))
        first = cache.read("7")
        service.asked.clear()
        clock.advance(LATE_S)
        assert cache.read("7") is first
        assert service.asked == asked
        service.put(message(1, content="edited"))
        clock.advance(LATE_S)
        assert cache.read("7") is not first

    def test_another_chatroom_is_another_thread(self, cache: ThreadCache, service: Service, clock: Clock) -> None:
        service.put(message(1))
        cache.read("7")
        service.entry = replace(ENTRY, chatroom_id="other")
        clock.advance(LATE_S)
        thread = cache.read("7")
        assert thread is not None
        assert (thread.chatroom_id, service.asked) == ("other", ["history", "history"])


class TestAnOutage:
    NO_ANSWER = ApiConnectionError("no answer", operation="list_messages")

    @pytest.mark.parametrize("failure", [NO_ANSWER, ApiStatusError("", operation="", status_code=503)])
    def test_what_was_known_is_shown_for_a_while(
        self, cache: ThreadCache, service: Service, clock: Clock, failure: Exception
    ) -> None:
        service.put(message(1))
        cache.read("7")
        service.failure = failure
        for _ in range(int(MAX_OUTAGE_S / LATE_S)):
            clock.advance(LATE_S)
            assert ids(cache.read("7")) == ["m1"]
        clock.advance(LATE_S)
        assert cache.read("7") is None
        service.failure = None
        clock.advance(LATE_S)
        assert ids(cache.read("7")) == ["m1"]

    def test_not_if_the_service_says_that_it_has_none(self, cache: ThreadCache, service: Service, clock: Clock) -> None:
        service.put(message(1))
        cache.read("7")
        service.failure = ApiStatusError("", operation="", status_code=404)
        clock.advance(LATE_S)
        assert cache.read("7") is None

    def test_not_if_the_post_has_become_private_meanwhile(
        self, cache: ThreadCache, service: Service, clock: Clock
    ) -> None:
        service.put(message(1))
        cache.read("7")
        service.failure, service.entry = self.NO_ANSWER, replace(ENTRY, is_private=True)
        clock.advance(LATE_S)
        assert cache.read("7") is None

    def test_not_if_nobody_can_say_whether_it_has(
        self, cache: ThreadCache, service: Service, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.put(message(1))
        cache.read("7")
        service.registry_failure = RegistryError("no database", post_id="7")
        clock.advance(LATE_S)
        assert ids(cache.read("7")) == ["m1"]
        clock.advance(MAX_AGE_S)
        assert cache.read("7") is None
        assert "no database" in caplog.text

    @pytest.mark.parametrize(
        ("failure", "levels"),
        [
            (NO_ANSWER, [logging.WARNING]),
            (ApiPausedError("", operation="", retry_after_s=1), []),
            (HubMissingError("no hub"), []),
            (ZeroDivisionError("a bug"), [logging.ERROR]),
        ],
    )
    def test_the_log_is_told_what_it_does_not_know(
        self,
        cache: ThreadCache,
        service: Service,
        caplog: pytest.LogCaptureFixture,
        failure: Exception,
        levels: list[int],
    ) -> None:
        service.failure = failure
        service.put(message(1, content="a secret"))
        assert cache.read("7") is None
        assert [record.levelno for record in caplog.records] == levels
        assert "a secret" not in caplog.text


class TestChangesOfThisProcess:
    def test_count_at_once(self, cache: ThreadCache, service: Service) -> None:
        service.put(message(1))
        cache.read("7")
        service.put(message(1), message(2))
        cache.forget("7")
        assert ids(cache.read("7")) == ["m1", "m2"]

    def test_are_waited_for_by_one_page_while_others_show_what_is_known(
        self, cache: ThreadCache, service: Service
    ) -> None:
        service.put(message(1))
        cache.read("7")
        service.put(message(1), message(2))
        cache.outdate("7")
        service.gate.clear()
        found: list[Thread | None] = []
        waiter = threading.Thread(target=lambda: found.append(cache.read("7")))
        waiter.start()
        for _ in range(2):
            assert service.entered.acquire(timeout=DEADLINE_S)
        assert ids(cache.read("7")) == ["m1"]
        service.gate.set()
        waiter.join(DEADLINE_S)
        assert ids(found[0]) == ["m1", "m2"]

    def test_are_not_undone_by_an_answer_from_before(self, cache: ThreadCache, service: Service) -> None:
        service.put(message(1))
        service.gate.clear()
        reading = threading.Thread(target=cache.read, args=["7"])
        reading.start()
        assert service.entered.acquire(timeout=DEADLINE_S)
        service.put()
        cache.forget("7")
        service.gate.set()
        reading.join(DEADLINE_S)
        assert ids(cache.read("7")) == []


def test_memory_is_bounded(cache: ThreadCache, service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_cache, "MAX_KEPT", 8)
    for number in range(20):
        clock.advance(0.1)
        cache.read(str(number))
        cache.read("0")
    assert len(cache._slots) <= 8
    # What pages show most goes last.
    assert cache.peek("0") is not None
    monkeypatch.setattr(thread_cache, "MAX_CHARS", 30_000)
    service.put(message(1, content="x" * 10_000))
    for number in range(20):
        cache.read(f"long {number}")
    assert sum(slot.chars for slot in cache._slots.values()) <= 30_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_fetches_with_threads_of_its_own(cache: ThreadCache, service: Service, clock: Clock) -> None:
    service.put(message(1))
    cache.read("7")
    clock.advance(LATE_S)
    child = os.fork()
    if child == 0:
        service.put(message(2))
        os._exit(0 if ids(cache.read("7")) == ["m2"] else 1)
    assert os.waitpid(child, 0)[1] == 0
