"""What the registry says of posts, kept in memory for a short while.

What this process changes counts at once. What others change counts when that while is over: until then a post may be
taken for what it was. So who acts upon what is found here must bear that; what must not is asked of the registry.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from .errors import RegistryError
from .models import PostIdLike, normalize_post_id
from .registry import RegistryEntry, RoomRegistry

#: Posts that are kept; some megabytes.
MAX_KEPT = 20_000
#: Posts in one query; SQLite takes no more than 999 values in builds of some age.
POSTS_PER_QUERY = 500
#: What lists of posts show goes by nothing older: that, too, has its age (``thread_cache.MAX_AGE_S``).
LISTS_AGE_S = 5.0

logger = logging.getLogger(__name__)


class RoomLookup:
    """Finds posts in the registry, by a look at a dictionary if that is recent enough. Safe for threads and forks.

    Args:
        max_age_s: For how long what was read is good; 0: the registry is asked each time.
        clock: Seconds that never go back.
    """

    def __init__(
        self, registry: RoomRegistry, *, max_age_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._registry = registry
        self._max_age_s = max_age_s
        # So much earlier than for others is it no good any more for a list of posts.
        self._early_s = max(0.0, max_age_s - LISTS_AGE_S)
        self._clock = clock
        # No lock: what is done to it is one step of the interpreter each.
        self._kept: dict[str, tuple[float, RegistryEntry | None]] = {}
        #: How often all that was in memory has been dropped.
        self.clearings = 0
        self._counter = itertools.count()
        self._last_change = next(self._counter)
        registry.on_change = self.forget

    def find(self, post_id: PostIdLike) -> RegistryEntry | None:
        """Return what the registry says of a post, as it was at most ``max_age_s`` ago; ``None``: it knows no such.

        Raises:
            PostError: There can be no such post.
            RegistryError: It is not in memory, and the registry cannot be read.
        """
        # As it comes: this is what a warm page does for each of its posts.
        kept = self._kept.get(post_id if type(post_id) is str else spelling(post_id))
        if kept is not None and kept[0] >= self._clock():
            return kept[1]
        key = normalize_post_id(post_id)
        return self._read([key])[key]

    def prefetch(self, post_ids: Iterable[PostIdLike]) -> None:
        """Read what is not in memory of all these posts, in one query for each 500.

        A registry that cannot be read is told to the log: whoever renders a list goes on without.

        Raises:
            PostError: There can be no such post.
        """
        self.look_up([post_id if type(post_id) is str else spelling(post_id) for post_id in post_ids])

    def look_up(self, keys: Sequence[str]) -> dict[str, RegistryEntry | None]:
        """Do as ``prefetch`` does with posts as they are spelt here; return what was not in memory and is found."""
        due, kept = self._clock() + self._early_s, self._kept.get
        unknown = {key: None for key in keys if (known := kept(key)) is None or known[0] < due}
        missing = list(map(normalize_post_id, unknown))
        found: dict[str, RegistryEntry | None] = {}
        try:
            for first in range(0, len(missing), POSTS_PER_QUERY):
                found |= self._read(missing[first : first + POSTS_PER_QUERY])
        except RegistryError as exc:
            logger.warning("Chatrooms could not be looked up: %s", exc)
        return found

    def known_until(self, keys: Iterable[str]) -> float:
        """Return until when all of these posts are in memory; a time that has passed if one is not."""
        return min((known[0] if known else 0.0 for known in map(self._kept.get, keys)), default=0.0) - self._early_s

    def recall(self, key: str) -> RegistryEntry | None:
        """Return what is in memory of a post and recent enough; the registry is not asked."""
        kept = self._kept.get(key)
        return kept[1] if kept is not None and kept[0] - self._early_s >= self._clock() else None

    def forget(self, post_id: str) -> None:
        """Take what is known of a post, whose ID is normalised, for outdated."""
        self._last_change = next(self._counter)
        self._kept.pop(post_id, None)

    def clear(self) -> None:
        """Drop all that is in memory."""
        self.clearings += 1
        self._kept.clear()

    def _read(self, keys: Sequence[str]) -> dict[str, RegistryEntry | None]:
        # Both before the query: what changes while it is on its way is not in its answer.
        good_until, last_change = self._clock() + self._max_age_s, self._last_change
        entries = self._registry.find_many(keys)
        found = {key: entries.get(key) for key in keys}
        if self._max_age_s > 0 and last_change == self._last_change:
            if len(self._kept) + len(found) > MAX_KEPT:
                self.clear()
            self._kept.update((key, (good_until, entry)) for key, entry in found.items())
        return found


def spelling(post_id: PostIdLike) -> str:
    """Return the spelling by which a post is kept that is no text; text is its own, and looked at when it is new."""
    kind = type(post_id)
    try:
        return str(post_id) if kind is int or kind is UUID else normalize_post_id(post_id)
    except ValueError:
        return normalize_post_id(post_id)
