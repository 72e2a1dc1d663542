"""Jobs behind the scenes: each once, by few threads, and never in the way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from flask_chatix_comments import background as module
from flask_chatix_comments.background import AT_ONCE, Background, Job

DEADLINE_S = 10


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def background(gate: threading.Event) -> Iterator[Background]:
    background = Background()
    yield background
    gate.set()
    background.stop()


def test_a_job_is_done_once_however_often_it_is_asked_for(background: Background, gate: threading.Event) -> None:
    done: list[int] = []

    def work() -> None:
        gate.wait(DEADLINE_S)
        done.append(1)

    asked = [background.ask("x", work) for _ in range(3)]
    assert [isinstance(job, Job) for job in asked] == [True, False, False]
    gate.set()
    background.join()
    assert done == [1]
    assert background.ask("x", lambda: done.append(2)) is not None
    background.join()
    assert done == [1, 2]


def test_few_threads_do_all(background: Background, gate: threading.Event) -> None:
    names: set[str] = set()
    lock = threading.Lock()

    def work() -> None:
        with lock:
            names.add(f"{threading.get_ident()}")
        gate.wait(DEADLINE_S)

    jobs = [background.ask(number, work) for number in range(10 * AT_ONCE)]
    gate.set()
    assert all(job is not None and job.wait(DEADLINE_S) for job in jobs)
    assert len(names) <= AT_ONCE


def test_too_many_are_refused(background: Background, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_SIZE", 5)
    jobs = [background.ask(number, lambda: gate.wait(DEADLINE_S)) for number in range(10)]
    assert [job is not None for job in jobs] == [True] * 5 + [False] * 5


def test_a_failure_ends_nothing_but_itself(background: Background, caplog: pytest.LogCaptureFixture) -> None:
    failed = background.ask("bad", lambda: 1 / 0)
    assert failed is not None
    assert failed.wait(DEADLINE_S)
    done = background.ask("good", lambda: None)
    assert done is not None
    assert done.wait(DEADLINE_S)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_the_end_drops_what_waits_and_lets_those_go_on_who_wait_for_it(
    background: Background, gate: threading.Event
) -> None:
    done: list[int] = []
    for number in range(AT_ONCE):
        background.ask(number, lambda: gate.wait(DEADLINE_S))
    waiting = background.ask("waits", lambda: done.append(1))
    assert waiting is not None
    stopping = threading.Thread(target=background.stop)
    stopping.start()
    assert waiting.wait(DEADLINE_S)
    gate.set()
    stopping.join(DEADLINE_S)
    assert done == []


def test_a_system_without_threads_is_no_ones_error(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert background.ask("x", lambda: None) is None
    done = background.ask("x", lambda: None)
    assert done is not None
    assert done.wait(DEADLINE_S)
