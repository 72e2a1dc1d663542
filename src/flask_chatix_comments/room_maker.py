"""Make chatrooms behind the scenes, for sites that want them at the first rendering of a post.

A page never waits: it only leaves a note here, and one daemon thread does what the notes say.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from .errors import ChatixCommentsError
from .models import Post

QUEUE_SIZE = 1_000
MAX_REMEMBERED = 50_000
PAUSE_S = 30.0

logger = logging.getLogger(__name__)


class RoomMaker:
    """Ask for each post's chatroom once.

    Args:
        ensure: Makes the chatroom of a post unless there is one.
        monotonic: Seconds, for the pause after a failure.
    """

    def __init__(self, ensure: Callable[[Post], object], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ensure = ensure
        self._monotonic = monotonic
        self._queue: queue.Queue[Post] = queue.Queue(QUEUE_SIZE)
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._paused_until = float("-inf")

    def want(self, post: Post) -> None:
        """Note that *post*, whose ID is normalised, should have a chatroom; return at once."""
        post_id = str(post.id)
        if post_id in self._known or self._monotonic() < self._paused_until:
            return
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known.add(post_id)
        try:
            self._queue.put_nowait(post)
        except queue.Full:
            self._known.discard(post_id)
            return
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="chatix-room-maker", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            post = self._queue.get()
            try:
                if self._monotonic() < self._paused_until:
                    self._known.discard(str(post.id))
                    continue
                self._ensure(post)
            except ChatixCommentsError as exc:
                self._pause(post)
                logger.warning("No chatroom could be made for the post %r: %s", post.id, exc)
            except Exception:
                self._pause(post)
                logger.exception("No chatroom could be made for the post %r.", post.id)
            finally:
                self._queue.task_done()

    def _pause(self, post: Post) -> None:
        """Leave the service alone for a while; pages rendered after that ask again."""
        self._paused_until = self._monotonic() + PAUSE_S
        self._known.discard(str(post.id))

    def join(self) -> None:
        """Wait until all notes are done, for tests."""
        self._queue.join()
