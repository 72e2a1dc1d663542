"""Chatrooms follow their posts, and the registry follows the service.

A post that is renamed renames its chatroom; a chatroom that somebody deleted, restored, closed or reopened at the
service, without us, is known as that afterwards. A chatroom that has vanished is only named here: a new one is made
by ``check`` alone, when it is told to repair.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ApiStatusError, ChatixCommentsError
from .in_flight import in_flight
from .models import MAX_POST_ID_CHARS, Chatroom, Post, normalize_post_id, normalize_title
from .registry import RegistryEntry, RoomRegistry, RoomState
from .room_list import RoomList
from .room_troubles import GONE_STATUSES, missing
from .rooms import state_of

if TYPE_CHECKING:
    from .api import ChatixApi

logger = logging.getLogger(__name__)

CONCURRENCY = 8


class SyncOutcome(enum.StrEnum):
    """What became of one post's chatroom."""

    UNCHANGED = "unchanged"
    RETITLED = "retitled"
    """The chatroom has the post's title now."""
    UPDATED = "updated"
    """The registry knows now that it is deleted, restored, closed or open."""
    NO_CHATROOM = "no_chatroom"
    """It has none yet, and gets none by this."""
    VANISHED = "vanished"
    """The service does not have it any more."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What became of one post's chatroom.

    Attributes:
        post_id: Normalised; as given, shortened, when it cannot be used.
        error: What is wrong, for people, of a chatroom that vanished or could not be brought up to date.
    """

    post_id: str
    outcome: SyncOutcome
    error: str | None = None


class Synchronizer:
    """Compares posts with their chatrooms, and changes what differs.

    Args:
        is_hosted: Whether the service is another than our hub.
        rooms: What the service has, where all of it was fetched before. It saves a call for each post that is as it
            should be.
    """

    def __init__(
        self, registry: RoomRegistry, api: ChatixApi, *, is_hosted: bool, rooms: RoomList | None = None
    ) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted
        self._rooms = rooms

    def run(self, posts: Iterable[Post], *, concurrency: int = CONCURRENCY) -> Generator[SyncResult, None, None]:
        """Yield a result for each post as it is done; one post's failure does not stop the others."""
        return in_flight(self._sync, posts, concurrency=concurrency)

    def _sync(self, post: Post) -> SyncResult:
        post_id = str(getattr(post, "id", post))[:MAX_POST_ID_CHARS].encode(errors="backslashreplace").decode()
        try:
            post_id = normalize_post_id(post.id)
            return self._follow(post_id, normalize_title(post.title))
        except ChatixCommentsError as exc:
            return SyncResult(post_id, SyncOutcome.FAILED, str(exc))
        except Exception as exc:
            logger.exception("The chatroom of the post %r could not be compared.", post_id)
            return SyncResult(post_id, SyncOutcome.FAILED, f"Unexpected {type(exc).__name__}; the log has more.")

    def _follow(self, post_id: str, title: str) -> SyncResult:
        entry = self._registry.find(post_id)
        if entry is None or entry.chatroom_id is None:
            return SyncResult(post_id, SyncOutcome.NO_CHATROOM)
        chatroom = self._rooms and self._rooms.find(entry.chatroom_id)
        if chatroom and self._is_aligned(entry, chatroom, title or entry.title):
            return SyncResult(post_id, SyncOutcome.UNCHANGED)
        # What was fetched some time ago is no reason to change anything.
        chatroom = find_chatroom(self._api, entry.chatroom_id)
        if chatroom is None and entry.state is RoomState.DELETED:
            # Our hub deletes for good after some time, and other services may not show what they have deleted.
            return SyncResult(post_id, SyncOutcome.UNCHANGED)
        if chatroom is None:
            error = missing(post_id, entry.chatroom_id, self._api.base_url, is_hosted=self._is_hosted)
            return SyncResult(post_id, SyncOutcome.VANISHED, str(error))
        return SyncResult(
            post_id, align(self._registry, self._api, entry, chatroom, title or entry.title, is_hosted=self._is_hosted)
        )

    def _is_aligned(self, entry: RegistryEntry, chatroom: Chatroom, title: str) -> bool:
        is_titled = entry.title == title and (chatroom.title == title or chatroom.is_deleted)
        return is_titled and entry.state is state_now(chatroom, entry, is_hosted=self._is_hosted)


def find_chatroom(api: ChatixApi, chatroom_id: str) -> Chatroom | None:
    """Return a chatroom of the service, a deleted one too where it shows them, or ``None``."""
    try:
        return api.get_chatroom(chatroom_id)
    except ApiStatusError as exc:
        if exc.status_code not in GONE_STATUSES:
            raise
        return None


def state_now(chatroom: Chatroom, entry: RegistryEntry, *, is_hosted: bool) -> RoomState:
    """Return the state of a post's chatroom; at a service that knows nothing of closing, the registry does."""
    state = state_of(chatroom)
    is_closed_here = is_hosted and entry.state is RoomState.CLOSED
    return RoomState.CLOSED if state is RoomState.OPEN and is_closed_here else state


def align(
    registry: RoomRegistry, api: ChatixApi, entry: RegistryEntry, chatroom: Chatroom, title: str, *, is_hosted: bool
) -> SyncOutcome:
    """Give a chatroom its title, tell the registry that and the state, and say what was to do.

    Raises:
        ApiError, RegistryError: It failed, or somebody changed it at the same moment.
    """
    is_renamed = chatroom.title != title and not chatroom.is_deleted
    if is_renamed:
        chatroom = api.update_chatroom(chatroom.chatroom_id, title=title)
    state = state_now(chatroom, entry, is_hosted=is_hosted)
    if (entry.title, entry.state) != (title, state):
        registry.update(entry.post_id, title=title, state=state, expected=entry)
    if is_renamed or entry.title != title:
        return SyncOutcome.RETITLED
    return SyncOutcome.UPDATED if entry.state is not state else SyncOutcome.UNCHANGED


def sync_all(
    registry: RoomRegistry,
    api: ChatixApi,
    posts: Iterable[Post],
    *,
    is_hosted: bool,
    concurrency: int = CONCURRENCY,
    progress: Callable[[int, int | None], None] = lambda count, total: None,
) -> Generator[SyncResult, None, None]:
    """Do so for the posts of a whole site: the service is asked for all of its chatrooms first.

    Args:
        progress: Is told how many have come, and of how many, as they do.
    """
    with RoomList() as rooms:
        rooms.fetch(api, progress=progress)
        yield from Synchronizer(registry, api, is_hosted=is_hosted, rooms=rooms).run(posts, concurrency=concurrency)
