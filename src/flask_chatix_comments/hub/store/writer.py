"""Threads that do the database's work beside the event loop: one that writes, a few that read.

Writes that wait are done in one transaction: one commit, and one flush of the disk, for all of them.
The threads are daemons: an interpreter that ends does not wait for a database.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import StoreError, StoreFullError
from .base import Batch

logger = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[Connection], T]


@dataclass(slots=True)
class _Job(Generic[T]):
    """A piece of work, and the future that somebody on an event loop awaits."""

    work: Work[T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    outcome: T | BaseException | None = field(default=None)

    def settle(self) -> None:
        if self.future.done():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)  # type: ignore[arg-type]  # None is a T where T is None


Jobs = Sequence[_Job[Any]]


class DatabaseThreads:
    """Do jobs from a queue in order; one thread gives them one order of commits.

    Args:
        count: How many threads.
        max_batch: How many waiting jobs share a transaction.
        watch: Told of each batch, in the thread that has done it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        name: str,
        count: int,
        max_batch: int,
        watch: Callable[[Batch], None] = lambda _: None,
    ) -> None:
        self._engine = engine
        self._max_batch = max_batch
        self._watch = watch
        self._queue: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(count)]
        self._is_closed = False
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work[T]) -> asyncio.Future[T]:
        """Queue *work*; called on an event loop, which gets the result after the commit.

        The future raises ``StoreError`` when the database refused.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        if self._is_closed:
            job.future.set_exception(StoreError("The hub is shutting down."))
        elif self._max_batch == 1:
            self._queue.put([job])
        else:
            self._gather(job)
        return job.future

    def _gather(self, job: _Job[Any]) -> None:
        """Hand over together what one turn of the loop submits: the thread is woken once for all of it."""
        gathered = self._gathered.setdefault(job.loop, [])
        gathered.append(job)
        if len(gathered) == 1:
            job.loop.call_soon(self._hand_over, job.loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = self._gathered.pop(loop, None)
        if jobs:
            self._queue.put(jobs)

    async def close(self) -> None:
        """Do what has been queued, then end the threads."""
        if self._is_closed:
            return
        self._is_closed = True
        for loop in list(self._gathered):
            self._hand_over(loop)
        for _ in self._threads:
            self._queue.put(None)
        while any(thread.is_alive() for thread in self._threads):
            await asyncio.sleep(0.005)

    def _run(self) -> None:
        while (jobs := self._queue.get()) is not None:
            waiting = [*jobs, *self._waiting_jobs(len(jobs))]
            for start in range(0, len(waiting), self._max_batch):
                batch = waiting[start : start + self._max_batch]
                started = time.perf_counter()
                self._do(batch)
                self._report(batch, time.perf_counter() - started)
                _settle(batch)

    def _report(self, jobs: Jobs, duration_s: float) -> None:
        try:
            self._watch(Batch(len(jobs), duration_s, any(cannot_write(job.outcome) for job in jobs)))
        except Exception:
            # Whoever watches must not end the writing.
            logger.exception("What was written could not be reported.")

    def _waiting_jobs(self, count: int) -> list[_Job[Any]]:
        """Return what waits behind the *count* jobs that have been taken, up to a whole batch or a little more."""
        waiting: list[_Job[Any]] = []
        while count + len(waiting) < self._max_batch:
            try:
                jobs = self._queue.get_nowait()
            except queue.Empty:
                break
            if jobs is None:
                # The end is for whoever asks next.
                self._queue.put(None)
                break
            waiting += jobs
        return waiting

    def _do(self, jobs: Jobs) -> None:
        """Do the jobs in one transaction; when one of them fails, that is undone, and each is done for itself."""
        is_done = self._transact(jobs, _run_all)
        if not is_done and len(jobs) > 1:
            self._transact(jobs, _run_each)

    def _transact(self, jobs: Jobs, run: Callable[[Connection, Jobs], None]) -> bool:
        """Run the jobs and commit; return whether all of them came to their end, whatever the commit said."""
        is_run = False
        try:
            with self._engine.begin() as connection:
                run(connection, jobs)
                is_run = True
        except BaseException as exc:
            # Nothing of this batch has been committed.
            error = store_error(exc)
            for job in jobs:
                job.outcome = error
        return is_run


def _run_all(connection: Connection, jobs: Jobs) -> None:
    """Do jobs that are all expected to succeed, as nearly all batches are: savepoints cost more than the work."""
    for job in jobs:
        job.outcome = job.work(connection)


def _run_each(connection: Connection, jobs: Jobs) -> None:
    """Do jobs of which one fails, so that its failure undoes only itself."""
    for job in jobs:
        job.outcome = _attempt(connection, job.work)


def _attempt(connection: Connection, work: Work[T]) -> T | BaseException:
    """Do one job of a batch; its failure is returned.

    Raises:
        Exception: It has undone all of the batch.
    """
    failure: Exception | None = None
    try:
        with connection.begin_nested():
            try:
                return work(connection)
            except Exception as exc:
                failure = exc
                raise
    except Exception as exc:
        # What it failed at, not that there was no savepoint left to go back to.
        reason = failure or exc
    if not _is_in_transaction(connection):
        # SQLite rolls all back where it has no room, or cannot read or write: nothing may be added to that.
        raise reason
    return store_error(reason)


def _is_in_transaction(connection: Connection) -> bool:
    """Whether what was begun still is; drivers that do not say it are those of servers, which do not end it."""
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", True))


def store_error(exc: BaseException) -> BaseException:
    """Return what the service may see of *exc*: the database's own exceptions end here."""
    if not isinstance(exc, SQLAlchemyError):
        return exc
    logger.error("The hub's database failed: %s", database_reason(exc))
    kind = StoreFullError if _is_full(exc) else StoreError
    error = kind(f"The hub's database failed: {database_reason(exc)}")
    error.__cause__ = exc
    return error


def _is_full(exc: SQLAlchemyError) -> bool:
    return isinstance(exc, DBAPIError) and getattr(exc.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def cannot_write(outcome: object) -> bool:
    """Whether a job has failed because of the database, rather than because of what it did there (PEP 249)."""
    if not isinstance(outcome, StoreError) or not isinstance(outcome.__cause__, DBAPIError):
        return False
    kinds = {kind.__name__ for kind in type(outcome.__cause__.orig).__mro__}
    return not kinds & {"IntegrityError", "DataError", "ProgrammingError", "NotSupportedError"}


def database_reason(exc: Exception) -> str:
    """Return what the driver says is wrong, without statement and parameters."""
    if isinstance(exc, DBAPIError):
        return str(exc.orig)
    return type(exc).__name__ if isinstance(exc, SQLAlchemyError) else str(exc)


def _settle(jobs: Jobs) -> None:
    """Wake those who wait, in order, each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, theirs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_here, theirs)
        except RuntimeError:
            logger.debug("An event loop ended before its database work did.")


def _settle_here(jobs: Jobs) -> None:
    for job in jobs:
        job.settle()
