"""Rooms behind the scenes: asked for once, never in the way, quiet while the API is away."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from flask_chatix_comments import room_maker
from flask_chatix_comments.errors import ApiConnectionError, ApiPausedError, HubMissingError, RoomNotReadyError
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import RegistryEntry, RoomState
from flask_chatix_comments.room_maker import AT_ONCE, PAUSE_S, RoomMaker
from tests.flask_support import Clock

DEADLINE_S = 10
NO_ANSWER = ApiConnectionError("no answer", operation="create_chatroom")


def entry_of(post: Post, state: RoomState = RoomState.OPEN) -> RegistryEntry:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    room = None if state is RoomState.CREATING else f"room of {post.id}"
    return RegistryEntry(str(post.id), room, post.title or "", post.is_private, state, now, now)


class Service:
    """Notes what is asked for; fails, or waits, on order."""

    def __init__(self) -> None:
        self.asked: list[Post] = []
        self.at_once = self.most_at_once = 0
        self.failure: Exception | None = None
        self.state = RoomState.OPEN
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self._lock = threading.Lock()

    def ensure(self, post: Post) -> RegistryEntry:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            failure = self.failure
        self.entered.release()
        assert self.gate.wait(DEADLINE_S)
        with self._lock:
            self.at_once -= 1
            self.asked.append(post)
        if failure is not None:
            raise failure
        return entry_of(post, self.state)

    def wait_until_busy(self, threads: int = 1) -> None:
        for _ in range(threads):
            assert self.entered.acquire(timeout=DEADLINE_S)

    @property
    def asked_ids(self) -> list[str]:
        return sorted(str(post.id) for post in self.asked)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.gate.set()


@pytest.fixture
def maker(service: Service, clock: Clock) -> RoomMaker:
    return RoomMaker(service.ensure, wait_s=DEADLINE_S, monotonic=clock, jitter=lambda least, most: least)


class TestWant:
    """Pages that are rendered leave a note."""

    def test_a_post_is_asked_for_once(self, maker: RoomMaker, service: Service) -> None:
        posts = [Post("1", "One"), Post("2", "Two", is_private=True)]
        for post in posts * 3:
            maker.want(post)
        maker.join()
        assert sorted(service.asked, key=lambda post: str(post.id)) == posts

    def test_does_not_wait(self, maker: RoomMaker, service: Service) -> None:
        service.gate.clear()
        maker.want(Post("1"))
        maker.want(Post("2"))
        assert service.asked == []
        service.gate.set()
        maker.join()
        assert len(service.asked) == 2

    @pytest.mark.parametrize(
        ("failure", "level"), [(NO_ANSWER, logging.WARNING), (ZeroDivisionError("a bug"), logging.ERROR)]
    )
    def test_after_a_failure_there_is_a_pause(
        self,
        maker: RoomMaker,
        service: Service,
        clock: Clock,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
        failure: Exception,
        level: int,
    ) -> None:
        monkeypatch.setattr(room_maker, "AT_ONCE", 1)
        service.failure = failure
        service.gate.clear()
        maker.want(Post("1"))
        service.wait_until_busy()
        maker.want(Post("2"))  # Waits behind the one that fails: it is dropped, not tried in vain.
        service.gate.set()
        maker.join()
        maker.want(Post("3"))
        assert service.asked_ids == ["1"]
        assert [record.levelno for record in caplog.records] == [level]
        service.failure = None
        clock.advance(PAUSE_S)
        for post_id in ("1", "2", "3"):
            maker.want(Post(post_id))
        maker.join()
        assert service.asked_ids == ["1", "1", "2", "3"]

    def test_that_there_is_no_hub_has_been_told_before(
        self, maker: RoomMaker, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.failure = HubMissingError("There is none.")
        maker.want(Post("1"))
        maker.join()
        assert caplog.records == []

    def test_a_full_queue_forgets(self, maker: RoomMaker, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room_maker, "QUEUE_SIZE", 2)
        service.gate.clear()
        for post_id in ("1", "2", "3"):
            maker.want(Post(post_id))
        service.gate.set()
        maker.join()
        assert service.asked_ids == ["1", "2"]
        maker.want(Post("3"))
        maker.join()
        assert service.asked_ids == ["1", "2", "3"]

    def test_memory_is_bounded(self, maker: RoomMaker, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(room_maker, "MAX_REMEMBERED", 3)
        for number in range(10):
            maker.want(Post(str(number)))
            maker.join()
        assert len(maker._known) <= 3
        assert len(service.asked) == 10


class TestObtain:
    """Readers who come first want one now."""

    def test_one_that_is_made_quickly(self, maker: RoomMaker) -> None:
        post = Post("1", "One")
        assert maker.obtain(post) == entry_of(post)

    def test_a_burst_of_one_post_is_one_call(self, maker: RoomMaker, service: Service) -> None:
        service.gate.clear()
        with ThreadPoolExecutor(16) as readers:
            answers = [readers.submit(maker.obtain, Post("1")) for _ in range(16)]
            service.wait_until_busy()
            service.gate.set()
            assert {answer.result().chatroom_id for answer in answers} == {"room of 1"}
        # Who came when it was just done made another one, which finds the chatroom there.
        assert 1 <= len(service.asked) <= 16
        assert service.most_at_once == 1

    def test_a_burst_of_many_posts_is_no_burst(self, maker: RoomMaker, service: Service) -> None:
        service.gate.clear()
        with ThreadPoolExecutor(40) as readers:
            answers = [readers.submit(maker.obtain, Post(str(number))) for number in range(40)]
            service.wait_until_busy(AT_ONCE)
            service.gate.set()
            assert {answer.result().post_id for answer in answers} == {str(number) for number in range(40)}
        assert service.most_at_once == AT_ONCE

    def test_one_that_takes_its_time_holds_nobody_up(self, maker: RoomMaker, service: Service) -> None:
        maker.wait_s = 0
        service.gate.clear()
        with pytest.raises(RoomNotReadyError) as caught:
            maker.obtain(Post("1"))
        assert caught.value.post_id == "1"
        assert caught.value.retry_after_s == pytest.approx(1.02)
        # It is slow at the moment: the next ones do not even wait what they may.
        maker.wait_s = 1_000_000
        for post_id in ("1", "2"):
            with pytest.raises(RoomNotReadyError):
                maker.obtain(Post(post_id))
        service.gate.set()
        maker.join()
        assert maker.obtain(Post("3")).chatroom_id == "room of 3"
        assert service.asked_ids == ["1", "2", "3"]

    def test_one_that_somebody_else_makes(self, maker: RoomMaker, service: Service) -> None:
        service.state = RoomState.CREATING
        with pytest.raises(RoomNotReadyError):
            maker.obtain(Post("1"))
        service.state = RoomState.OPEN
        with pytest.raises(RoomNotReadyError):
            maker.obtain(Post("1"))
        maker.join()
        assert maker.obtain(Post("1")).chatroom_id == "room of 1"

    def test_a_failure_is_told_to_who_waits(
        self, maker: RoomMaker, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.failure = NO_ANSWER
        with pytest.raises(ApiConnectionError, match="no answer"):
            maker.obtain(Post("1"))
        assert caplog.records == []

    def test_a_failure_that_nobody_waits_for_is_told_to_the_log(
        self, maker: RoomMaker, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.gate.clear()
        service.failure = NO_ANSWER
        maker.wait_s = 0
        with pytest.raises(RoomNotReadyError):
            maker.obtain(Post("1"))
        service.gate.set()
        maker.join()
        assert [record.message for record in caplog.records] == [
            "No chatroom could be made for the post '1': no answer"
        ]

    def test_an_api_that_is_left_alone_is_not_wished_for(self, service: Service, clock: Clock) -> None:
        def refuse() -> None:
            raise ApiPausedError("left alone", operation="create_chatroom", retry_after_s=9)

        maker = RoomMaker(service.ensure, require=refuse, monotonic=clock)
        with pytest.raises(ApiPausedError):
            maker.obtain(Post("1"))
        maker.join()
        assert service.asked == []

    def test_readers_go_before_rendered_pages(
        self, maker: RoomMaker, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(room_maker, "AT_ONCE", 1)
        maker.wait_s = 0
        service.gate.clear()
        for number in range(4):
            maker.want(Post(str(number)))
        service.wait_until_busy()
        for post_id in ("9", "3"):
            with pytest.raises(RoomNotReadyError):
                maker.obtain(Post(post_id))
        service.gate.set()
        maker.join()
        assert [post.id for post in service.asked] == ["0", "9", "3", "1", "2"]

    def test_too_many_are_told_to_come_later(
        self, maker: RoomMaker, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(room_maker, "QUEUE_SIZE", 100)
        service.gate.clear()
        maker.wait_s = 0
        for number in range(150):
            with pytest.raises(RoomNotReadyError) as caught:
                maker.obtain(Post(str(number)))
        assert caught.value.retry_after_s == 3
        service.wait_until_busy(AT_ONCE)
        service.gate.set()
        maker.join()
        assert len(service.asked) == 100
        assert service.most_at_once == AT_ONCE

    def test_a_child_process_has_its_own_threads(self, maker: RoomMaker) -> None:
        maker.obtain(Post("1"))
        pid = os.fork()
        if pid == 0:
            os._exit(0 if maker.obtain(Post("2")).chatroom_id == "room of 2" else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_a_thread_that_is_killed_is_replaced(service: Service, clock: Clock) -> None:
    class KilledError(BaseException):
        """As a greenlet is."""

    def ensure(post: Post) -> RegistryEntry:
        if post.id == "deadly":
            raise KilledError
        return service.ensure(post)

    maker = RoomMaker(ensure, wait_s=DEADLINE_S, monotonic=clock)
    hook, threading.excepthook = threading.excepthook, lambda args: None
    try:
        for _ in range(AT_ONCE):
            with pytest.raises(RoomNotReadyError):
                maker.obtain(Post("deadly"))
    finally:
        threading.excepthook = hook
    assert maker.obtain(Post("1")).chatroom_id == "room of 1"
