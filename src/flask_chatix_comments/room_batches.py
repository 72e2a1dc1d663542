"""Chatrooms for many posts: claimed and recorded in batches, created by some threads, in flat memory.

To claim and to record each post by itself costs the database more time than the API takes. So one thread, the
caller's, does that for many posts at once, while the others do nothing but call the API.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import (
    ApiConnectionError,
    ApiError,
    ApiPausedError,
    ApiPayloadError,
    ApiStatusError,
    RegistryError,
    RoomNotReadyError,
)
from .models import Chatroom, Post
from .registry import RegistryEntry
from .rooms import HeldClaim, RoomService

if TYPE_CHECKING:
    from .api import ChatixApi

#: For how long an API may fail, or want to be left alone, before the rest is left for another time.
PATIENCE_S = 120.0
FIRST_PAUSE_S = 1.0
#: Posts that are claimed for each thread, those in its hands included.
AHEAD = 2
#: How long the first one done waits for others, to be recorded together with them.
GATHER_S = 0.01
# Of a lease: who begins later than that would have to hurry, and may as well claim anew.
LEAST_TIME_S = 8.0


@dataclass(slots=True)
class Made:
    """What became of a post.

    Attributes:
        error: Why it has no chatroom; ``None`` where it has.
        is_new: Whether the chatroom has been made for it just now.
    """

    post: Post
    is_new: bool = False
    error: Exception | None = None


@dataclass(slots=True)
class _Job:
    """A post in a thread's hands: under a claim, or, without one, to be looked after in every way there is."""

    post: Post
    held: HeldClaim | None
    room: Chatroom | None = None
    entry: RegistryEntry | None = None
    is_new: bool = False
    error: BaseException | None = None


def make_rooms(
    rooms: RoomService,
    posts: Iterable[Post | Made],
    *,
    concurrency: int,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] | None = None,
) -> Generator[Made, None, None]:
    """Make the chatrooms that are missing; yield what became of each post as it is done.

    When *posts* raises, or the API tries our patience, what was begun is finished and yielded first. Closing the
    iterator finishes what is begun, records it and starts nothing more.

    Args:
        posts: Their IDs are normalised; what is a result already is passed on. Read as it goes, in this thread.
        concurrency: How many API calls at once.
        pause: Waits, in seconds, before an API that fails is asked again; by default until the time is over or the
            iterator is closed.

    Raises:
        ApiError: It has failed for *patience_s*, and not all posts were tried.
    """
    run = _Run(rooms, concurrency, patience_s, clock, pause)
    try:
        yield from run.results(iter(posts))
    finally:
        run.stop()
    if run.failure is not None:
        raise run.failure


class _Run:
    def __init__(
        self,
        rooms: RoomService,
        concurrency: int,
        patience_s: float,
        clock: Callable[[], float],
        pause: Callable[[float], object] | None,
    ) -> None:
        self.failure: Exception | None = None
        self._rooms = rooms
        self._concurrency = concurrency
        self._patience_s = patience_s
        self._clock = clock
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._running = 0
        self._is_open = True
        # Posts that are in hand, and those that come again meanwhile.
        self._in_hand: set[str] = set()
        self._again: dict[str, list[Post]] = {}
        self._last_answer = clock()
        self._api: ChatixApi | None = None
        self._api_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._labour, name=f"chatix-backfill-{number}", daemon=True)
            for number in range(concurrency)
        ]

    def results(self, source: Iterator[Post | Made]) -> Iterator[Made]:
        for thread in self._threads:
            thread.start()
        while self._is_open or self._running:
            # Whole batches, as long as no thread has to wait for one.
            while self._is_open and self._running <= (AHEAD - 1) * self._concurrency:
                batch, results = self._read(source)
                yield from results
                yield from self._begin(batch)
            if self._running:
                yield from self._finish(self._gather())

    def stop(self) -> None:
        """Wait for what is under way and record it; give up what is not."""
        self._stopping.set()
        left: list[_Job] = []
        while True:
            try:
                job = self._work.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                left.append(job)
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        if self._api is not None:
            self._api.end_bulk()
        for job in left:
            if job.held is not None:
                self._rooms.give_up(job.held, None)
        done = []
        while not self._done.empty():
            done.append(self._done.get())
        self._is_open = False
        for _ in self._finish(done):
            pass

    def _read(self, source: Iterator[Post | Made]) -> tuple[list[Post], list[Made]]:
        """Return the next posts, none twice at the same time, and results that came instead."""
        batch: list[Post] = []
        results: list[Made] = []
        while self._is_open and len(batch) + len(results) < self._concurrency:
            try:
                post = next(source)
            except StopIteration:
                self._is_open = False
            except Exception as exc:
                self._is_open, self.failure = False, exc
            else:
                if isinstance(post, Made):
                    results.append(post)
                elif str(post.id) in self._in_hand:
                    self._again.setdefault(str(post.id), []).append(post)
                else:
                    self._in_hand.add(str(post.id))
                    batch.append(post)
        return batch, results

    def _begin(self, batch: list[Post]) -> Iterator[Made]:
        """Put to work what has no chatroom; yield the others."""
        try:
            known = self._rooms.find_many([str(post.id) for post in batch])
            missing = [post for post in batch if not _has_room(known.get(str(post.id)))]
            fresh = [post for post in missing if str(post.id) not in known]
            held = {one.claim.post_id: one for one in self._rooms.claim_many(fresh)} if fresh else {}
        except RegistryError:
            # One by one each of them finds out what is the matter.
            known, missing, held = {}, batch, {}
        waiting = set(map(id, missing))
        for post in missing:
            self._submit(_Job(post, held.get(str(post.id))))
        for post in batch:
            if id(post) not in waiting:
                yield from self._close(Made(post))

    def _submit(self, job: _Job) -> None:
        self._running += 1
        self._work.put(job)

    def _gather(self) -> list[_Job]:
        """Wait for a thread to be done; return that with what others have done by then, or soon will have."""
        done = [self._done.get()]
        deadline = time.monotonic() + GATHER_S
        while len(done) < self._running:
            try:
                done.append(self._done.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return done

    def _finish(self, done: list[_Job]) -> Iterator[Made]:
        self._running -= len(done)
        self._record([job for job in done if job.held is not None and job.room is not None])
        for job in done:
            if job.held is not None and job.error is not None:
                self._rooms.give_up(job.held, job.error)
            if job.held is None and job.error is None and not _has_room(job.entry):
                job.error = RoomNotReadyError(
                    "Someone else is still creating its chatroom; run it again.",
                    post_id=str(job.post.id),
                    retry_after_s=self._rooms.lease_s,
                )
            if job.held is not None and job.entry is None and not job.is_new and self._is_worth_another_try(job):
                self._submit(_Job(job.post, None))
            else:
                yield from self._close(Made(job.post, job.is_new, _as_error(job.error)))

    def _record(self, made: list[_Job]) -> None:
        """Record what was made; what cannot be is looked after one by one."""
        if not made:
            return
        try:
            are_ours = self._rooms.record_many([(job.held, job.room) for job in made if job.held and job.room])
        except RegistryError as exc:
            for job in made:
                job.error = exc
            return
        for job, is_ours in zip(made, are_ours, strict=True):
            job.is_new = is_ours

    def _is_worth_another_try(self, job: _Job) -> bool:
        """Whether to look after a post without a claim: unless the API has refused it, or all is over."""
        if self._stopping.is_set():
            return False
        return job.error is None or isinstance(job.error, RegistryError) or is_passing(job.error)

    def _close(self, made: Made) -> Iterator[Made]:
        """Yield the result, and what became of the post where it came again meanwhile."""
        if isinstance(made.error, ApiError) and is_passing(made.error) and self._is_out_of_patience:
            self._is_open, self.failure = False, self.failure or made.error
        yield made
        key = str(made.post.id)
        self._in_hand.discard(key)
        for post in self._again.pop(key, ()):
            if made.error is None:
                yield Made(post)
            elif key in self._in_hand:
                self._again.setdefault(key, []).append(post)
            else:
                self._in_hand.add(key)
                self._submit(_Job(post, None))

    # In the other threads

    def _labour(self) -> None:
        while (job := self._work.get()) is not None:
            try:
                self._make(job)
            except BaseException as exc:
                job.error = exc
            self._done.put(job)

    def _make(self, job: _Job) -> None:
        if job.held is None:
            self._look_after(job)
        elif self._rooms.time_left_s(job.held) >= LEAST_TIME_S:
            job.room = self._rooms.make(job.held, self._bulk_api())
            self._last_answer = self._clock()
        else:
            job.error = ApiPausedError("The claim is too old.", operation="create_chatroom", retry_after_s=0)

    def _look_after(self, job: _Job) -> None:
        """Take over, adopt, wait for others, and wait for an API that fails."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                # Long enough to take over from one that died with the claim in its hands.
                job.entry, job.is_new = self._rooms.obtain(job.post, wait_s=self._rooms.lease_s + 5)
                self._last_answer = self._clock()
                return
            except ApiError as exc:
                if not is_passing(exc):
                    self._last_answer = self._clock()
                    raise
                if self._is_out_of_patience or self._stopping.is_set():
                    raise
                asked_s = exc.retry_after_s if isinstance(exc, (ApiPausedError, ApiStatusError)) else None
            self._pause(max(pause_s, asked_s or 0.0))
            pause_s = min(2 * pause_s, 30.0)

    @property
    def _is_out_of_patience(self) -> bool:
        return self._clock() - self._last_answer > self._patience_s

    def _bulk_api(self) -> ChatixApi:
        if self._api is None:
            with self._api_lock:
                self._api = self._api or self._rooms.client_in_bulk()
        return self._api


def is_passing(error: BaseException) -> bool:
    """Whether the API may do later what it has not done now."""
    if isinstance(error, ApiStatusError):
        return error.status_code in (408, 425, 429) or error.status_code >= 500 and error.status_code != 501
    return isinstance(error, (ApiConnectionError, ApiPayloadError))


def _has_room(entry: RegistryEntry | None) -> bool:
    return entry is not None and entry.chatroom_id is not None


def _as_error(error: BaseException | None) -> Exception | None:
    if error is None or isinstance(error, Exception):
        return error
    raise error
