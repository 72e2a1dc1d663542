"""Whether the hub can do its work now, and if it cannot, why: what a load balancer or a supervisor asks.

Nothing is tried when somebody asks. The store's writer says when the database has refused; from then on something is
written from time to time, until that succeeds.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable

from .store.base import Batch, Disk

logger = logging.getLogger(__name__)

#: With less than this the next comment may be the one that does not fit.
MIN_FREE_BYTES = 16 * 1024 * 1024
#: So long must nothing have failed: the little that is written to try finds room where a comment may find none.
CALM_S = 30.0


class Obstacle(enum.StrEnum):
    """Why the hub is not ready, as a sentence that anybody may read."""

    STARTING = "The hub is starting."
    STOPPING = "The hub is shutting down."
    DISK_FULL = "The disk of the hub's database is full."
    CANNOT_WRITE = "The hub's database cannot be written."


class Readiness:
    """What stands in the way; changed from the event loop and from the thread that writes.

    Args:
        clock: Seconds that go on steadily.

    Attributes:
        is_failing: Whether the database has refused, and it is not sure that it would not do so again.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase: Obstacle | None = Obstacle.STARTING
        self._is_full = False
        self._failed_at = float("-inf")
        self.is_failing = False

    @property
    def obstacle(self) -> Obstacle | None:
        """What stands in the way most; ``None``: nothing, the hub is ready."""
        if self._phase is not None:
            return self._phase
        if self._is_full:
            return Obstacle.DISK_FULL
        return Obstacle.CANNOT_WRITE if self.is_failing else None

    def started(self) -> None:
        """Note that requests are served."""
        self._phase = None

    def stopping(self) -> None:
        """Note that no more requests should come."""
        self._phase = Obstacle.STOPPING

    def note_batch(self, batch: Batch) -> None:
        """Note what came of writing. A success says little: it may have written nothing, or found a little room."""
        if not batch.cannot_write:
            return
        self._failed_at = self._clock()
        if not self.is_failing:
            self.is_failing = True
            logger.error("The hub's database cannot be written: posts are refused, what is there can be read.")

    def note_written(self) -> None:
        """Note that something was written to try the database."""
        if self.is_failing and self._clock() - self._failed_at >= CALM_S:
            self.is_failing = False
            logger.warning("The hub's database can be written again.")

    def note_disk(self, disk: Disk | None) -> None:
        """Note how much room there is."""
        is_full = disk is not None and disk.free_bytes < MIN_FREE_BYTES
        if is_full and not self._is_full:
            logger.error("The disk of the hub's database is full but for %d bytes.", disk.free_bytes if disk else 0)
        self._is_full = is_full
