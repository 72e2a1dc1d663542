"""Rooms behind the scenes: asked for once, never in the way, quiet while the API is away."""

from __future__ import annotations

import logging
import threading

import pytest

from flask_chatix_comments import room_maker
from flask_chatix_comments.errors import ApiConnectionError
from flask_chatix_comments.models import Post
from flask_chatix_comments.room_maker import PAUSE_S, RoomMaker
from tests.flask_support import Clock

DEADLINE_S = 10


class Service:
    """Notes what is asked for; fails, or waits, on order."""

    def __init__(self) -> None:
        self.asked: list[Post] = []
        self.failure: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def ensure(self, post: Post) -> None:
        self.entered.set()
        assert self.gate.wait(DEADLINE_S)
        self.asked.append(post)
        if self.failure is not None:
            raise self.failure


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def maker(service: Service, clock: Clock) -> RoomMaker:
    return RoomMaker(service.ensure, monotonic=clock)


def test_a_post_is_asked_for_once(maker: RoomMaker, service: Service) -> None:
    posts = [Post("1", "One"), Post("2", "Two", is_private=True)]
    for post in posts * 3:
        maker.want(post)
    maker.join()
    assert service.asked == posts


def test_to_want_a_room_does_not_wait(maker: RoomMaker, service: Service) -> None:
    service.gate.clear()
    maker.want(Post("1"))
    maker.want(Post("2"))
    assert service.asked == []
    service.gate.set()
    maker.join()
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("failure", "level"),
    [
        (ApiConnectionError("no answer", operation="create_chatroom"), logging.WARNING),
        (ZeroDivisionError("a bug"), logging.ERROR),
    ],
)
def test_after_a_failure_there_is_a_pause(
    maker: RoomMaker,
    service: Service,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    level: int,
) -> None:
    service.failure = failure
    service.gate.clear()
    maker.want(Post("1"))
    assert service.entered.wait(DEADLINE_S)
    maker.want(Post("2"))  # Waits behind the one that fails: it is dropped, not tried in vain.
    service.gate.set()
    maker.join()
    maker.want(Post("3"))
    assert [post.id for post in service.asked] == ["1"]
    assert [record.levelno for record in caplog.records] == [level]
    service.failure = None
    clock.advance(PAUSE_S)
    for post_id in ("1", "2", "3"):
        maker.want(Post(post_id))
    maker.join()
    assert [post.id for post in service.asked] == ["1", "1", "2", "3"]


def test_a_full_queue_forgets(service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_maker, "QUEUE_SIZE", 1)
    maker = RoomMaker(service.ensure, monotonic=clock)
    service.gate.clear()
    maker.want(Post("1"))
    assert service.entered.wait(DEADLINE_S)
    maker.want(Post("2"))
    maker.want(Post("3"))
    service.gate.set()
    maker.join()
    assert [post.id for post in service.asked] == ["1", "2"]
    maker.want(Post("3"))
    maker.join()
    assert [post.id for post in service.asked] == ["1", "2", "3"]


def test_memory_is_bounded(service: Service, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_maker, "MAX_REMEMBERED", 3)
    maker = RoomMaker(service.ensure, monotonic=clock)
    for number in range(10):
        maker.want(Post(str(number)))
        maker.join()
    assert len(maker._known) <= 3
    assert len(service.asked) == 10
