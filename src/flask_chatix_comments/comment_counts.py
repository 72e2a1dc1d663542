"""How many comments posts have, as lists of posts show it: in memory, and asked for in one call for all of a list.

As with the comments themselves: no page calls the API, and what is not known or not recent is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from .background import Background
from .errors import ApiError, HubMissingError, HubStartError
from .models import PostIdLike, normalize_post_id
from .plain_words import count_of_comments
from .registry import RegistryEntry
from .room_lookup import RoomLookup, spelling
from .thread_cache import FRESH_S, LATE_S, MAX_AGE_S, MAX_OUTAGE_S, is_for_all

if TYPE_CHECKING:
    from .api import ChatixApi

#: Posts that are kept; some megabytes.
MAX_KEPT = 20_000
#: As many as our hub counts at once.
ROOMS_PER_CALL = 500
NOTHING = Markup("")


class _Count(NamedTuple):
    """What is shown of a post, and until when: first, since that is what a warm page looks at."""

    fresh_until: float
    html: Markup
    asked_at: float
    counted_at: float


class CommentCounts:
    """Keeps the counts of posts for rendering. Safe for threads and forks.

    Args:
        api: Returns the client to ask; ``None``: there is no such operation, and only what is known of whole
            threads counts.
        known_count: Returns the count of a post whose whole thread is in memory.
        is_up: Whether it makes sense to wait for the API.
        wait_s: How long a page waits for what is not known.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        lookup: RoomLookup,
        *,
        api: Callable[[], ChatixApi] | None,
        known_count: Callable[[str], int | None],
        background: Background,
        is_up: Callable[[], bool],
        wait_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lookup = lookup
        self._api = api
        self._known_count = known_count
        self._background = background
        self._is_up = is_up
        self._wait_s = wait_s
        self._clock = clock
        # No lock: what is done to it is one step of the interpreter each.
        self._kept: dict[str, _Count] = {}
        self._last_change = object()

    def reader(self) -> Callable[[PostIdLike], Markup]:
        """Return the function that a list of posts calls for each of them."""
        kept, clock, late = self._kept.get, self._clock, self._find

        def comment_count(post_id: PostIdLike) -> Markup:
            """Render how many comments a post has; nothing where that is not known."""
            count = kept(post_id if type(post_id) is str else spelling(post_id))
            return count[1] if count is not None and count[0] >= clock() else late(post_id)

        return comment_count

    def prefetch(self, post_ids: Iterable[PostIdLike]) -> None:
        """Look up all posts of a list: in one query, and one call of the API, and none while they are known.

        Raises:
            PostError: There can be no such post.
        """
        keys = [post_id if type(post_id) is str else spelling(post_id) for post_id in post_ids]
        found, now, kept = self._lookup.look_up(keys), self._clock(), self._kept.get
        due = {key: None for key in keys if (count := kept(key)) is None or count[0] < now}
        if due:
            self._ask(list(due), found, now)

    def forget(self, post_id: str) -> None:
        """Take what is known of a post, whose ID is normalised, for outdated."""
        self._last_change = object()
        self._kept.pop(post_id, None)

    def _find(self, post_id: PostIdLike) -> Markup:
        """Return what is known of a post that is due; have it asked for, without waiting."""
        key = normalize_post_id(post_id)
        count, now = self._kept.get(key), self._clock()
        if count is None or count.fresh_until < now:
            known = self._lookup.recall(key)
            self._ask([key], {} if known is None else {key: known}, now, may_wait=False)
            count = self._kept.get(key)
        return count.html if count is not None and now - count.asked_at <= MAX_AGE_S else NOTHING

    def _ask(
        self, keys: Sequence[str], found: Mapping[str, RegistryEntry | None], now: float, *, may_wait: bool = True
    ) -> None:
        entries = {key: found.get(key) or self._lookup.recall(key) for key in keys}
        rooms = {
            key: str(entry.chatroom_id) for key, entry in entries.items() if entry is not None and is_for_all(entry)
        }
        self._keep({key: _Count(now + FRESH_S, NOTHING, now, now) for key in keys if key not in rooms})
        if self._api is None:
            self._keep({key: _counted(self._known_count(key), now) for key in rooms})
            return
        if not rooms:
            return
        job = self._background.ask(("counts", frozenset(rooms)), lambda: self._refresh(rooms))
        if job is not None and may_wait and self._wait_s > 0 and self._lacks_any(rooms, now) and self._is_up():
            job.wait(self._wait_s)

    def _lacks_any(self, keys: Iterable[str], now: float) -> bool:
        counts = map(self._kept.get, keys)
        return any(count is None or now - count.asked_at >= LATE_S for count in counts)

    def _refresh(self, rooms: Mapping[str, str]) -> None:
        assert self._api is not None
        began_at, last_change = self._clock(), self._last_change
        try:
            counts = self._count(self._api(), rooms.values())
        except (ApiError, HubMissingError, HubStartError):
            # What threads are fetched for tells the log.
            self._keep({key: self._outdated(key, began_at) for key in rooms})
            return
        if last_change is self._last_change:
            self._keep({key: _counted(counts.get(room), began_at) for key, room in rooms.items()})

    def _count(self, api: ChatixApi, rooms: Collection[str]) -> dict[str, int]:
        unique = list(dict.fromkeys(rooms))
        counts: dict[str, int] = {}
        for first in range(0, len(unique), ROOMS_PER_CALL):
            counts |= api.counts(unique[first : first + ROOMS_PER_CALL])
        return counts

    def _outdated(self, key: str, now: float) -> _Count:
        """Return what is shown while the API does not answer: what was known, for a while."""
        known = self._kept.get(key)
        if known is None or now - known.counted_at > MAX_OUTAGE_S:
            return _Count(now + FRESH_S, NOTHING, now, now)
        return known._replace(fresh_until=now + FRESH_S, asked_at=now)

    def _keep(self, counts: Mapping[str, _Count]) -> None:
        if len(self._kept) + len(counts) > MAX_KEPT:
            self._kept.clear()
        self._kept.update(counts)


def _counted(count: int | None, now: float) -> _Count:
    return _Count(now + FRESH_S, NOTHING if count is None else count_of_comments(count), now, now)
