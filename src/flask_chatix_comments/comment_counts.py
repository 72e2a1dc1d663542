"""How many comments posts have, as lists of posts show it: in memory, and asked for in one call for all of a list.

As with the comments themselves: no page calls the API, and what is not known or not recent is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

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
#: Lists of posts of which it is remembered that nothing is due.
MAX_LISTS = 200
#: Text, and no markup: templates escape text more quickly than they find out that they need not.
NOTHING = ""


class _Count(NamedTuple):
    """What is shown of a post, and until when without asking again."""

    fresh_until: float
    html: str
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
        self.clock = clock
        # No lock: what is done to it is one step of the interpreter each.
        self._kept: dict[str, _Count] = {}
        # The same for warm pages: until when, and what. The interpreter is quicker with bare tuples.
        self._shown: dict[str, tuple[float, str]] = {}
        self._warm_until: dict[tuple[str, ...], tuple[float, int]] = {}
        self._last_change = object()

    def reader(self) -> Callable[[PostIdLike], str]:
        """Return the function that a list of posts calls for each of them."""
        shown, late = self._shown.get, self._find

        def comment_count(post_id: PostIdLike) -> str:
            """Render how many comments a post has; nothing where that is not known."""
            count = shown(post_id if type(post_id) is str else spelling(post_id))
            return count[1] if count is not None and count[0] >= self.clock() else late(post_id)

        return comment_count

    def prefetch(self, post_ids: Iterable[PostIdLike]) -> None:
        """Look up all posts of a list: in one query, and one call of the API, and none while they are known.

        Raises:
            PostError: There can be no such post.
        """
        keys = tuple([post_id if type(post_id) is str else spelling(post_id) for post_id in post_ids])
        now = self.clock()
        warm_until, clearings = self._warm_until.get(keys, (0.0, 0))
        if warm_until >= now and clearings == self._lookup.clearings:
            return
        found, kept = self._lookup.look_up(keys), self._kept.get
        due = {key: None for key in keys if (count := kept(key)) is None or count[0] < now}
        if due:
            self._ask(list(due), found, now)
        else:
            self._note_warm(keys)

    def _note_warm(self, keys: tuple[str, ...]) -> None:
        """Note until when nothing of a list is due: it need not be gone through again."""
        if len(self._warm_until) >= MAX_LISTS:
            self._warm_until.clear()
        fresh_until = min((count.fresh_until for count in map(self._kept.get, keys) if count), default=0.0)
        self._warm_until[keys] = (min(fresh_until, self._lookup.known_until(keys)), self._lookup.clearings)

    def forget(self, post_id: str) -> None:
        """Take what is known of a post, whose ID is normalised, for outdated."""
        self._warm_until.clear()
        self._last_change = object()
        self._kept.pop(post_id, None)
        self._shown.pop(post_id, None)

    def _find(self, post_id: PostIdLike) -> str:
        """Return what is known of a post that is due; have it asked for, without waiting."""
        key = normalize_post_id(post_id)
        count, now = self._kept.get(key), self.clock()
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
        began_at, last_change = self.clock(), self._last_change
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
            self._shown.clear()
        self._kept.update(counts)
        self._shown.update((key, (count.fresh_until, count.html)) for key, count in counts.items())


def _counted(count: int | None, now: float) -> _Count:
    return _Count(now + FRESH_S, NOTHING if count is None else count_of_comments(count), now, now)
