"""Many writes, one commit; one that fails takes no other with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub.store.base import Batch
from flask_chatix_comments.hub.store.database import _create_engine
from flask_chatix_comments.hub.store.writer import DatabaseThreads

pytestmark = pytest.mark.anyio


class Writing:
    """A writer on a table of numbers, which counts commits."""

    def __init__(self, path: Path) -> None:
        self.engine = _create_engine(sa.make_url(f"sqlite:///{path}"), begin="BEGIN IMMEDIATE")
        self.commits = 0
        self.held: asyncio.Future[None] | None = None
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
        sa.event.listen(self.engine, "commit", self._count)
        self.batches: list[Batch] = []
        self.threads = DatabaseThreads(
            self.engine, name="test-writer", count=1, max_batch=10, watch=self.batches.append
        )

    def _count(self, _: sa.Connection) -> None:
        self.commits += 1

    def insert(self, number: int) -> asyncio.Future[int]:
        def work(connection: sa.Connection) -> int:
            connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (number,))
            return number

        return self.threads.submit(work)

    async def hold(self) -> threading.Event:
        """Keep the thread busy until the event is set."""
        entered, release = threading.Event(), threading.Event()

        def work(_: sa.Connection) -> None:
            entered.set()
            release.wait(10)

        self.held = self.threads.submit(work)
        assert await asyncio.to_thread(entered.wait, 10)
        return release

    def numbers(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.scalars(sa.text("SELECT n FROM numbers ORDER BY n")))


@pytest.fixture
async def writing(tmp_path: Path) -> AsyncIterator[Writing]:
    writing = Writing(tmp_path / "numbers.sqlite3")
    yield writing
    await writing.threads.close()
    writing.engine.dispose()


async def test_what_waits_is_committed_together_in_order(writing: Writing) -> None:
    release = await writing.hold()
    order: list[int] = []
    futures = [writing.insert(number) for number in range(25)]
    for future in futures:
        future.add_done_callback(lambda done: order.append(done.result()))
    before = writing.commits
    release.set()
    assert await asyncio.gather(*futures) == list(range(25))
    assert order == list(range(25))
    # The one that held the thread, then 10, 10 and 5.
    assert writing.commits - before == 4
    assert [batch.writes for batch in writing.batches] == [1, 10, 10, 5]
    assert all(batch.duration_s > 0 and not batch.cannot_write for batch in writing.batches)
    assert writing.numbers() == list(range(25))


async def test_a_failure_undoes_only_itself(writing: Writing) -> None:
    release = await writing.hold()
    futures = [writing.insert(1), writing.insert(1), writing.insert(2)]
    release.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], StoreError)
    assert outcomes[2] == 2
    assert writing.numbers() == [1, 2]
    # It was what it wrote, and not the database.
    assert [batch.cannot_write for batch in writing.batches] == [False, False]


async def test_all_is_done_once_though_a_failure_has_it_done_again(writing: Writing) -> None:
    """What came before the one that fails was undone with it, and is done anew."""
    release = await writing.hold()
    futures: list[asyncio.Future[Any]] = [writing.insert(1), writing.insert(1), writing.insert(1), writing.insert(4)]
    before = writing.commits
    release.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [isinstance(outcome, StoreError) for outcome in outcomes] == [False, True, True, False]
    # The one that held the thread, then all the others together.
    assert writing.commits - before == 2
    assert writing.numbers() == [1, 4]


async def test_a_failure_alone(writing: Writing) -> None:
    await writing.insert(1)
    with pytest.raises(StoreError, match="UNIQUE"):
        await writing.insert(1)
    assert await writing.insert(2) == 2


async def test_other_exceptions_reach_the_caller_as_they_are(writing: Writing) -> None:
    def work(_: sa.Connection) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await writing.threads.submit(work)
    release = await writing.hold()
    futures: list[asyncio.Future[Any]] = [writing.threads.submit(work), writing.insert(1)]
    release.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(outcomes[0], LookupError)
    assert outcomes[1] == 1


async def test_a_commit_that_fails_fails_all_of_it(writing: Writing) -> None:
    def refuse(_: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    release = await writing.hold()
    futures = [writing.insert(1), writing.insert(2)]
    sa.event.listen(writing.engine, "commit", refuse)
    release.set()
    assert writing.held is not None
    # The job that held the thread is committed after the refusal began, so that it fails as well.
    outcomes = await asyncio.gather(writing.held, *futures, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["The hub's database failed: disk I/O error"] * 3
    assert {batch.cannot_write for batch in writing.batches} == {True}
    sa.event.remove(writing.engine, "commit", refuse)
    assert await writing.insert(3) == 3
    assert not writing.batches[-1].cannot_write
    assert writing.numbers() == [3]


async def test_a_full_disk_in_the_middle_fails_all_of_it(writing: Writing) -> None:
    """SQLite rolls the transaction back by itself then: what came after would have been committed alone."""

    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO texts VALUES (hex(randomblob(500000)))")

    def limit(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE texts (t TEXT)")
        connection.exec_driver_sql("PRAGMA max_page_count = 30")

    await writing.threads.submit(limit)
    release = await writing.hold()
    futures: list[asyncio.Future[Any]] = [writing.insert(1), writing.threads.submit(fill), writing.insert(2)]
    release.set()
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["The hub's database failed: database or disk is full"] * 3
    assert all(isinstance(outcome, StoreError) for outcome in outcomes)
    assert writing.numbers() == []
    # It goes on when there is room.
    assert await writing.insert(3) == 3
    assert writing.numbers() == [3]


async def test_who_watches_cannot_end_the_writing(
    writing: Writing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writing.threads, "_watch", lambda _: 1 / 0)
    assert await writing.insert(1) == 1
    assert await writing.insert(2) == 2
    assert "ZeroDivisionError" in caplog.text


async def test_somebody_who_no_longer_waits_is_no_trouble(writing: Writing) -> None:
    release = await writing.hold()
    future = writing.insert(1)
    future.cancel()
    release.set()
    assert await writing.insert(2) == 2
    assert writing.numbers() == [1, 2]


async def test_closing_does_first_what_was_asked(writing: Writing) -> None:
    release = await writing.hold()
    future = writing.insert(1)
    closing = asyncio.create_task(writing.threads.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreError, match="shutting down"):
        await writing.insert(2)
    release.set()
    await closing
    assert await future == 1
    assert writing.numbers() == [1]


async def test_closing_at_once_does_first_what_was_asked(writing: Writing) -> None:
    """What has been submitted in this turn of the loop is not with the thread yet."""
    future = writing.insert(1)
    await writing.threads.close()
    assert await future == 1
    assert writing.numbers() == [1]


async def test_what_one_turn_of_the_loop_submits_is_one_commit(writing: Writing) -> None:
    before = writing.commits
    await asyncio.gather(*map(writing.insert, range(10)))
    assert writing.commits - before == 1


async def test_a_loop_that_ended_is_no_trouble(writing: Writing) -> None:
    release = threading.Event()

    def ask_and_go() -> None:
        async def ask() -> None:
            writing.threads.submit(lambda _: release.wait(10))

        asyncio.run(ask())

    thread = threading.Thread(target=ask_and_go)
    thread.start()
    await asyncio.to_thread(thread.join)
    release.set()
    assert await writing.insert(1) == 1
