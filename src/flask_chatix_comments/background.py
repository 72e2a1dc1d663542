"""A few threads that fetch what pages show, so that no request calls the API for it.

They are made on demand, in the process that needs them: a fork takes none along. What is asked for twice at once is
done once.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable

#: Jobs that a process does at once.
AT_ONCE = 3
#: Jobs that wait for it.
QUEUE_SIZE = 500
#: How long the end of an application waits for what is under way.
STOP_S = 10.0

logger = logging.getLogger(__name__)


class Job:
    """Something that is to be done."""

    def __init__(self, key: Hashable, work: Callable[[], object]) -> None:
        self.key = key
        self.work = work
        self._is_done = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is done, or has failed; tell whether that came in time."""
        return self._is_done.wait(timeout_s)

    def finish(self) -> None:
        """Let those who wait go on."""
        self._is_done.set()


class Background:
    """Does jobs behind the scenes. Safe for threads; after a fork each process has its own threads."""

    def __init__(self) -> None:
        self._crews: dict[int, _Crew] = {}

    def ask(self, key: Hashable, work: Callable[[], object]) -> Job | None:
        """Have *work* done; return the job, which is ours alone to wait for.

        Returns:
            ``None`` when a job of this *key* is under way already, or too many others are.
        """
        return self._crew.add(key, work)

    def join(self) -> None:
        """Wait until nothing is under way, for tests."""
        self._crew.join(None)

    def stop(self) -> None:
        """Drop what waits, and wait for what is under way."""
        crew = self._crews.get(os.getpid())
        if crew is not None:
            crew.drop()
            crew.join(STOP_S)

    @property
    def _crew(self) -> _Crew:
        # No lock: a fork might copy it locked, and threads do not survive one.
        crew = self._crews.get(os.getpid())
        return crew or self._crews.setdefault(os.getpid(), _Crew())


class _Crew:
    """The threads of one process, and the jobs that wait for them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._open: set[Hashable] = set()
        self._idle = 0
        self._threads = 0

    def add(self, key: Hashable, work: Callable[[], object]) -> Job | None:
        with self._condition:
            if key in self._open or len(self._open) >= QUEUE_SIZE:
                return None
            if self._idle <= len(self._waiting) and self._threads < AT_ONCE and not self._call_one():
                return None
            job = Job(key, work)
            self._open.add(key)
            self._waiting.append(job)
            self._condition.notify_all()
            return job

    def _call_one(self) -> bool:
        """Start another thread; tell whether there is one at all."""
        try:
            threading.Thread(target=self._run, name="chatix-background", daemon=True).start()
        except RuntimeError:
            # The system gives no more threads. A page does without.
            return self._threads > 0
        self._threads += 1
        return True

    def drop(self) -> None:
        with self._condition:
            dropped = list(self._waiting)
            self._waiting.clear()
            self._open.difference_update(job.key for job in dropped)
            self._condition.notify_all()
        for job in dropped:
            job.finish()

    def join(self, timeout_s: float | None) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._open, timeout_s)

    def _run(self) -> None:
        try:
            while True:
                self._do(self._next())
        finally:
            # Only what ends a thread from outside, as a greenlet is killed, comes here: another may take its place.
            with self._condition:
                self._threads -= 1

    def _do(self, job: Job) -> None:
        try:
            job.work()
        except Exception:
            logger.exception("What a page shows of comments could not be fetched.")
        finally:
            with self._condition:
                self._open.discard(job.key)
                self._condition.notify_all()
            job.finish()

    def _next(self) -> Job:
        with self._condition:
            self._idle += 1
            self._condition.wait_for(lambda: self._waiting)
            self._idle -= 1
            return self._waiting.popleft()
