"""The last comments of posts, as pages show them: in memory, and fetched again behind the scenes.

A page never calls the API. What is known is shown at once, as long as it is recent; who comes to what is not known
waits for it a moment, one request for each post. What no page shows is not fetched.

What changes reaches all pages of all processes after ``MAX_AGE_S`` at the latest, whatever ``CHATIX_LOOKUP_AGE`` is;
counts in lists of posts after that and ``room_lookup.LISTS_AGE_S``: 20 seconds.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .background import Background
from .errors import ApiError, ApiPausedError, ApiStatusError, HubMissingError, HubStartError, RegistryError
from .models import Message
from .registry import RegistryEntry, RoomState
from .sender_names import SenderNames

if TYPE_CHECKING:
    from .api import ChatixApi

#: From this age on it is fetched again while pages go on to show it,
FRESH_S = 7.0
#: from this one on a page waits for it,
LATE_S = 11.0
#: and from this one on no page shows it.
MAX_AGE_S = 15.0
#: So old may comments be while the API fails, as long as the registry says that they are for everybody.
MAX_OUTAGE_S = 3600.0
#: Threads that are kept, and the characters in all of them; some tens of megabytes.
MAX_KEPT = 1_000
MAX_CHARS = 8_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Thread:
    """The newest comments of a chatroom.

    Attributes:
        messages: Oldest first.
        has_older: Whether there are others before.
        is_closed: Whether it is read-only.
        cursor: From where the API tells of changes; ``None`` where it does not.
        kept: What pages have made of it; goes when it changes.
    """

    chatroom_id: str
    messages: tuple[Message, ...]
    has_older: bool
    is_closed: bool = False
    cursor: str | None = None
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def count(self) -> int | None:
        """How many comments there are, where all of them are here."""
        return None if self.has_older else len(self.messages)


@dataclass(slots=True)
class _Slot:
    """What is known of a post: its comments, or that there are none to be shown.

    Attributes:
        looked_up_at: When the registry was asked.
        fetched_at: When the comments were as they are here.
    """

    thread: Thread | None
    looked_up_at: float
    fetched_at: float
    read_at: float
    chars: int


class ThreadCache:
    """Keeps the newest comments of posts for rendering. Safe for threads and forks.

    Args:
        find_entry: Returns what the registry says of a post.
        api: Returns the client to fetch with.
        is_up: Whether it makes sense to wait for the API.
        wait_s: How long a page waits for what is not known.
        page_size: How many comments a page shows.
        names: Knows the authors of messages that do not say it themselves.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        *,
        find_entry: Callable[[str], RegistryEntry | None],
        api: Callable[[], ChatixApi],
        background: Background,
        is_up: Callable[[], bool],
        wait_s: float,
        page_size: int,
        names: SenderNames | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find_entry = find_entry
        self._api = api
        self._background = background
        self._is_up = is_up
        self._wait_s = wait_s
        self._page_size = page_size
        self._names = names
        self.clock = clock
        # No lock: what is done to it is one step of the interpreter each.
        self._slots: dict[str, _Slot] = {}
        self._counter = itertools.count(1)
        self._last_change = 0

    def read(self, post_id: str) -> Thread | None:
        """Return the comments of a post, whose ID is normalised; ``None`` when there are none to be shown now."""
        slot, now = self._slots.get(post_id), self.clock()
        age_s = now - slot.looked_up_at if slot is not None else float("inf")
        if age_s >= FRESH_S:
            job = self._background.ask(("thread", post_id), lambda: self._refresh(post_id))
            if job is not None and age_s >= LATE_S and self._wait_s > 0 and self._is_up():
                job.wait(self._wait_s)
                slot, now = self._slots.get(post_id), self.clock()
        if slot is None or now - slot.looked_up_at > MAX_AGE_S:
            return None
        slot.read_at = now
        return slot.thread

    def peek(self, post_id: str) -> Thread | None:
        """Return the comments of a post if they are known and recent; nothing is fetched."""
        slot = self._slots.get(post_id)
        return slot.thread if slot is not None and self.clock() - slot.looked_up_at <= MAX_AGE_S else None

    def outdate(self, post_id: str) -> None:
        """Have the next page of a post wait for its comments; those that do not wait show what is known."""
        self._last_change = next(self._counter)
        slot = self._slots.get(post_id)
        if slot is not None:
            slot.looked_up_at = min(slot.looked_up_at, self.clock() - LATE_S)

    def forget(self, post_id: str) -> None:
        """Take what is known of a post, whose ID is normalised, for outdated."""
        self._last_change = next(self._counter)
        self._slots.pop(post_id, None)

    def _refresh(self, post_id: str) -> None:
        # Before anything is asked: what changes while an answer is on its way is not in it.
        began_at, last_change = self.clock(), self._last_change
        try:
            entry = self._find_entry(post_id)
        except RegistryError as exc:
            logger.warning("Comments could not be looked up for a page: %s", exc)
            return
        known = self._slots.get(post_id)
        slot = self._fetched(entry, known, began_at) if is_for_all(entry) else _nothing(began_at)
        if last_change == self._last_change:
            self._keep(post_id, slot)

    def _fetched(self, entry: RegistryEntry | None, known: _Slot | None, now: float) -> _Slot:
        """Return what pages show from now on; what was known before if the API fails."""
        assert entry is not None and entry.chatroom_id is not None
        thread = known.thread if known is not None else None
        if thread is not None and thread.chatroom_id != entry.chatroom_id:
            thread = None
        is_closed = entry.state is RoomState.CLOSED
        try:
            found = replace(self._fetch(entry.chatroom_id, thread), is_closed=is_closed)
        except (ApiError, HubMissingError, HubStartError) as exc:
            _log(exc)
            fetched_at = known.fetched_at if known is not None and thread is not None else now
            is_of_use = _may_pass(exc) and now - fetched_at <= MAX_OUTAGE_S
            return _slot(thread if is_of_use else None, now, fetched_at)
        return _slot(thread if found == thread else found, now, now)

    def _fetch(self, chatroom_id: str, known: Thread | None) -> Thread:
        api = self._api()
        if known is not None and known.cursor is not None:
            changes = api.list_changes(chatroom_id, cursor=known.cursor, limit=1)
            if not changes.messages and not changes.deleted_ids:
                return known
        page = api.history(chatroom_id, limit=min(self._page_size, 99) + 1)
        messages = tuple(message for message in page.messages if not message.is_whisper)
        has_older = page.has_more or len(messages) > self._page_size
        messages = messages[-self._page_size :]
        if self._names is not None:
            messages = self._names.add_to(messages, api)
        # The hosted service has no list of changes.
        cursor = page.cursor if self._names is None else None
        return Thread(chatroom_id, messages, has_older, cursor=cursor)

    def _keep(self, post_id: str, slot: _Slot) -> None:
        self._slots.pop(post_id, None)
        chars = slot.chars + sum(other.chars for other in list(self._slots.values()))
        if len(self._slots) >= MAX_KEPT or chars > MAX_CHARS:
            self._make_room(chars)
        self._slots[post_id] = slot

    def _make_room(self, chars: int) -> None:
        """Let those go that have not been shown for the longest time: a quarter at least."""
        slots = sorted(list(self._slots.items()), key=lambda item: item[1].read_at)
        for number, (post_id, slot) in enumerate(slots):
            if number >= MAX_KEPT // 4 and chars <= MAX_CHARS * 3 // 4:
                return
            self._slots.pop(post_id, None)
            chars -= slot.chars


def is_for_all(entry: RegistryEntry | None) -> bool:
    """Whether a post has comments that everybody may read."""
    if entry is None or entry.chatroom_id is None or entry.is_private:
        return False
    return entry.state in (RoomState.OPEN, RoomState.CLOSED)


def _slot(thread: Thread | None, now: float, fetched_at: float) -> _Slot:
    messages = thread.messages if thread is not None else ()
    # Beside its text each has some other, and pages make some of that.
    chars = sum(len(message.content) + 500 for message in messages)
    return _Slot(thread, looked_up_at=now, fetched_at=fetched_at, read_at=now, chars=chars)


def _nothing(now: float) -> _Slot:
    return _slot(None, now, now)


def _may_pass(exc: Exception) -> bool:
    """Whether the comments are there, though the API does not say so now."""
    return not isinstance(exc, ApiStatusError) or exc.status_code >= 500 or exc.status_code in (408, 425, 429)


def _log(exc: Exception) -> None:
    # That the API is left alone, or that there is no hub, has been said once, when that began.
    is_known = isinstance(exc, (ApiPausedError, HubMissingError))
    logger.log(logging.DEBUG if is_known else logging.WARNING, "Comments could not be fetched for a page: %s", exc)
