"""Make chatrooms behind the scenes: for readers who come first, and for sites that want them at the first rendering.

A request never calls the API for a chatroom. It leaves its wish here; a few threads of this process fulfil what is
wished for, each post once. So a burst of first views is no burst for the API, and an API that does not answer holds
up these threads and no worker of the site.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from .errors import ChatixCommentsError, HubMissingError, RoomNotReadyError
from .models import Post
from .registry import RegistryEntry, RoomState

#: Chatrooms that a process makes at once.
AT_ONCE = 4
#: Posts that wait for it.
QUEUE_SIZE = 1_000
MAX_REMEMBERED = 50_000
#: After a failure nobody asks for the sake of a page that was merely rendered.
PAUSE_S = 30.0
MAX_RETRY_S = 15.0
_WISHES_PER_S = 50

logger = logging.getLogger(__name__)


class RoomMaker:
    """Makes the chatrooms that are wished for. Safe for threads; after a fork each process has its own threads.

    Args:
        ensure: Makes the chatroom of a post unless there is one; returns its entry, in state ``CREATING`` while
            somebody else makes it.
        require: Raises if there is no sense in trying now.
        wait_s: How long a reader's request waits, as long as others got their chatrooms in this time.
        monotonic: Seconds, for the pause after a failure.
        jitter: Returns a number between its arguments: readers who came together do not come back together.
    """

    def __init__(
        self,
        ensure: Callable[[Post], RegistryEntry],
        *,
        require: Callable[[], object] = lambda: None,
        wait_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.wait_s = wait_s
        self._ensure = ensure
        self._require = require
        self._monotonic = monotonic
        self._jitter = jitter
        self._known: set[str] = set()
        self._paused_until = float("-inf")
        # False from when a reader waited in vain until a chatroom has been made: workers are not held up in turn.
        self._is_quick = True
        self._crews: dict[int, _Crew] = {}

    def want(self, post: Post) -> None:
        """Note that *post*, whose ID is normalised, should have a chatroom; return at once."""
        post_id = str(post.id)
        if post_id in self._known or self._monotonic() < self._paused_until:
            return
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known.add(post_id)
        if self._crew.add(post, is_urgent=False) is None:
            self._known.discard(post_id)

    def obtain(self, post: Post) -> RegistryEntry:
        """Return the entry of *post*, whose ID is normalised, with its chatroom; wait for it only a moment.

        Raises:
            RoomNotReadyError: It is not there yet; it is being made meanwhile, unless too many others are.
            ApiError: The API failed, or is left alone since it does.
            ChatixCommentsError: Something else failed.
        """
        self._require()
        wish = self._crew.add(post, is_urgent=True)
        if wish is None or not wish.wait(self.wait_s if self._is_quick else 0.0):
            self._is_quick = False
            raise self._not_ready(post)
        if wish.error is not None:
            raise wish.error
        if wish.entry is None or wish.entry.state is RoomState.CREATING:
            raise self._not_ready(post)
        return wish.entry

    def join(self) -> None:
        """Wait until all wishes are fulfilled, for tests."""
        self._crew.join()

    @property
    def _crew(self) -> _Crew:
        # No lock: a fork might copy it locked, and threads do not survive one.
        crew = self._crews.get(os.getpid())
        return crew or self._crews.setdefault(os.getpid(), _Crew(self._fulfil))

    def _not_ready(self, post: Post) -> RoomNotReadyError:
        after_s = min(MAX_RETRY_S, 1 + self._crew.length / _WISHES_PER_S)
        return RoomNotReadyError(
            f"The chatroom of the post {post.id!r} is being made.",
            post_id=str(post.id),
            retry_after_s=self._jitter(after_s, 1.5 * after_s),
        )

    def _fulfil(self, wish: _Wish) -> None:
        if not wish.is_urgent and self._monotonic() < self._paused_until:
            self._known.discard(str(wish.post.id))
            return
        try:
            wish.entry = self._ensure(wish.post)
            self._is_quick = wish.entry.state is not RoomState.CREATING
        except ChatixCommentsError as exc:
            self._fail(wish, exc)
            # The reader who waits is told, and the log with them; that there is no hub it has been told before.
            if not wish.is_awaited and not isinstance(exc, HubMissingError):
                logger.warning("No chatroom could be made for the post %r: %s", wish.post.id, exc)
        except Exception as exc:
            self._fail(wish, exc)
            logger.exception("No chatroom could be made for the post %r.", wish.post.id)

    def _fail(self, wish: _Wish, error: Exception) -> None:
        """Let pages that are merely rendered leave the service alone for a while; after that they ask again."""
        wish.error = error
        self._paused_until = self._monotonic() + PAUSE_S
        self._known.discard(str(wish.post.id))


class _Wish:
    """A post that should have a chatroom, and what has come of it."""

    def __init__(self, post: Post, *, is_urgent: bool) -> None:
        self.post = post
        self.is_urgent = is_urgent
        self.is_awaited = False
        self.entry: RegistryEntry | None = None
        self.error: Exception | None = None
        self._is_done = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is fulfilled, or cannot be; tell whether that came in time."""
        self.is_awaited = True
        is_done = self._is_done.wait(timeout_s)
        self.is_awaited = is_done
        return is_done

    def finish(self) -> None:
        """Let those who wait go on."""
        self._is_done.set()


class _Crew:
    """The threads of one process, and the wishes that wait for them: those of readers before the others."""

    def __init__(self, fulfil: Callable[[_Wish], None]) -> None:
        self._fulfil = fulfil
        self._condition = threading.Condition()
        self._urgent: deque[_Wish] = deque()
        self._others: deque[_Wish] = deque()
        self._open: dict[str, _Wish] = {}
        self._idle = 0
        self._threads = 0

    @property
    def length(self) -> int:
        """How many wishes are open."""
        return len(self._open)

    def add(self, post: Post, *, is_urgent: bool) -> _Wish | None:
        """Return the wish for this post, which there may be already; ``None`` when there are too many."""
        key = str(post.id)
        with self._condition:
            wish = self._open.get(key)
            if wish is None:
                if len(self._open) >= QUEUE_SIZE:
                    return None
                wish = self._open[key] = _Wish(post, is_urgent=is_urgent)
                (self._urgent if is_urgent else self._others).append(wish)
                self._call_one()
            elif is_urgent and not wish.is_urgent:
                wish.is_urgent = True
                if wish in self._others:
                    self._others.remove(wish)
                    self._urgent.append(wish)
            return wish

    def join(self) -> None:
        """Wait until no wish is open."""
        with self._condition:
            self._condition.wait_for(lambda: not self._open)

    def _call_one(self) -> None:
        if self._idle < len(self._urgent) + len(self._others) and self._threads < AT_ONCE:
            self._threads += 1
            threading.Thread(target=self._run, name="chatix-room-maker", daemon=True).start()
        else:
            self._condition.notify_all()

    def _run(self) -> None:
        try:
            while True:
                self._work_on(self._next())
        finally:
            # Only what ends a thread from outside, as a greenlet is killed, comes here: another may take its place.
            with self._condition:
                self._threads -= 1

    def _work_on(self, wish: _Wish) -> None:
        try:
            self._fulfil(wish)
        finally:
            with self._condition:
                del self._open[str(wish.post.id)]
                self._condition.notify_all()
            wish.finish()

    def _next(self) -> _Wish:
        with self._condition:
            self._idle += 1
            self._condition.wait_for(lambda: self._urgent or self._others)
            self._idle -= 1
            return (self._urgent or self._others).popleft()
