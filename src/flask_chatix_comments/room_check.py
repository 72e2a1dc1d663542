"""Hold registry, service and site against each other, and name what does not fit.

What is fetched in advance only tells where to look: before anything is named, the registry and the service are asked
again, so that what changes meanwhile is no trouble. A chatroom that somebody is making at this moment is none either.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from .errors import ChatixCommentsError, PostError
from .in_flight import in_flight
from .models import Chatroom, Post, normalize_post_id, normalize_title
from .registry import RegistryEntry, RoomRegistry, RoomState
from .registry_upkeep import OpenClaim, follow_moves
from .room_contents import has_messages
from .room_findings import (
    Trouble,
    TroubleKind,
    trouble_of_claim,
    trouble_of_duplicate,
    trouble_of_failure,
    trouble_of_orphan,
    trouble_of_post,
)
from .room_list import RoomList
from .room_marks import is_marked, without_mark
from .room_sync import find_chatroom, state_now

if TYPE_CHECKING:
    from .api import ChatixApi

logger = logging.getLogger(__name__)

CONCURRENCY = 8
#: How long after the end of a lease, in seconds, its holder may still be about to register a chatroom or take it back.
MARGIN_S = 60.0
_TITLES_AT_ONCE = 1_000

Progress = Callable[[int, int | None], None]
Suspect = RegistryEntry | OpenClaim | Chatroom


def _no_progress(count: int, total: int | None) -> None: ...


def unchanged(trouble: Trouble) -> Trouble:
    """Repair nothing."""
    return trouble


class Inspector:
    """Finds what does not fit, once; ``close`` gives the disk back.

    Attributes:
        posts: How many the registry has, once ``run`` has begun.
        named: How many of them have a chatroom that is not deleted.
        missing: How many of these chatrooms the service has not listed.
        chatrooms: How many it has listed.
        ignored: How many of these were left out.

    Args:
        is_hosted: Whether the service is another than our hub.
        ignores_unmarked: Whether chatrooms are left out that no row names and nothing shows to be ours.
        margin_s: How long after its lease a claim still counts as under way.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        api: ChatixApi,
        *,
        is_hosted: bool,
        ignores_unmarked: bool = False,
        margin_s: float = MARGIN_S,
    ) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted
        self._ignores_unmarked = ignores_unmarked
        self._margin_s = margin_s
        self._list = RoomList()
        self.posts = self.named = self.missing = self.chatrooms = self.ignored = 0

    def close(self) -> None:
        """Forget what was fetched."""
        self._list.close()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, posts: Iterable[Post] | None = None, *, progress: Progress = _no_progress) -> None:
        """Fetch all chatrooms of the service, and what the site calls its posts.

        Args:
            posts: The site's. Without them a title is what the registry has, and so is privacy.
            progress: Is told how many chatrooms have come, and of how many.

        Raises:
            ApiError: The service does not list them.
        """
        for titles in _batches(_titles(posts or ())):
            self._list.add_titles(titles)
        self.chatrooms = self._list.fetch(self._api, progress=progress)

    def run(
        self,
        *,
        repair: Callable[[Trouble], Trouble] = unchanged,
        concurrency: int = CONCURRENCY,
        progress: Progress = _no_progress,
    ) -> Iterator[Trouble]:
        """Yield what does not fit, after ``fetch``.

        Args:
            repair: Is given each trouble at once, in another thread; what it returns is yielded.
            concurrency: How many API calls at once.
            progress: Is told how many posts have been looked at, and of how many.

        Raises:
            RegistryError: The registry cannot be read.
        """

        def look(suspect: Suspect) -> list[Trouble]:
            return [trouble if trouble.error else repair(trouble) for trouble in self._look_into(suspect)]

        self._note_known()
        # One after the other: what is repaired of posts and claims may be what would be an orphan.
        for suspects in (self._suspect_posts(progress), self._suspect_claims(), self._suspect_chatrooms()):
            for found in in_flight(look, suspects, concurrency=concurrency):
                yield from found

    def title_of(self, post_id: str) -> str | None:
        """Return what the site calls a post, if it has said so."""
        return self._list.title_of(post_id)

    @property
    def are_most_missing(self) -> bool:
        """Whether more than half of all chatrooms are missing, and more than one."""
        return self.missing > 1 and 2 * self.missing > self.named

    def _note_known(self) -> None:
        """Note which chatrooms the registry names, and how many of those are not there, as far as that is known."""
        self.posts = self.named = self.missing = 0
        for entries in self._pages():
            # Of deleted ones nobody expects that they are there.
            living = [entry for entry in entries if entry.state is not RoomState.DELETED]
            named = [entry.chatroom_id for entry in living if entry.chatroom_id is not None]
            self._list.add_posts(entry.post_id for entry in entries)
            self.posts += sum(entry.moved_to is None for entry in entries)
            self.named += len(named)
            self.missing += len(named) - self._list.count_of(named)

    # Where to look

    def _suspect_posts(self, progress: Progress) -> Iterator[Suspect]:
        total, done = self.posts, 0
        for entries in self._pages():
            yield from (entry for entry in entries if self._troubles_of(entry, self._listed(entry)))
            done += len(entries)
            progress(done, max(total, done))

    def _suspect_claims(self) -> Iterator[Suspect]:
        after: str | None = None
        while claims := self._registry.claims(margin_s=self._margin_s, after=after):
            yield from (claim for claim in claims if not claim.is_under_way)
            after = claims[-1].post_id

    def _suspect_chatrooms(self) -> Iterator[Suspect]:
        for chatroom in self._list.unknown():
            if self._ignores_unmarked and chatroom.external_id is None and not is_marked(chatroom.title):
                self.ignored += 1
            else:
                yield chatroom

    def _pages(self) -> Iterator[list[RegistryEntry]]:
        after: str | None = None
        while entries := list(self._registry.entries(after=after)):
            yield entries
            after = entries[-1].post_id

    def _listed(self, entry: RegistryEntry) -> Chatroom | None:
        return None if entry.chatroom_id is None else self._list.find(entry.chatroom_id)

    # To look

    def _look_into(self, suspect: Suspect) -> list[Trouble]:
        """Ask again, and return what is the matter; whatever goes wrong is a trouble of its own."""
        try:
            return list(self._confirmed(suspect))
        except ChatixCommentsError as exc:
            return [_failure(suspect, str(exc))]
        except Exception as exc:
            logger.exception("A chatroom could not be checked: %r", suspect)
            return [_failure(suspect, f"Unexpected {type(exc).__name__}; the log has more.")]

    def _confirmed(self, suspect: Suspect) -> Iterator[Trouble]:
        match suspect:
            case RegistryEntry():
                return self._confirmed_post(suspect.post_id)
            case OpenClaim():
                return self._confirmed_claim(suspect.post_id)
            case Chatroom():
                return self._confirmed_orphan(suspect.chatroom_id)

    def _confirmed_post(self, post_id: str) -> Iterator[Trouble]:
        entry = self._registry.find(post_id)
        if entry is None or entry.chatroom_id is None:
            return
        chatroom = find_chatroom(self._api, entry.chatroom_id)
        for kind in self._troubles_of(entry, chatroom):
            yield trouble_of_post(kind, entry, chatroom, self._title_of(entry))

    def _troubles_of(self, entry: RegistryEntry, chatroom: Chatroom | None) -> list[TroubleKind]:
        if entry.chatroom_id is None:
            return []
        if chatroom is None:
            # Our hub deletes for good after some time, and other services may not show what they have deleted.
            return [] if entry.state is RoomState.DELETED else [TroubleKind.VANISHED]
        found = [
            _trouble_of_state(entry, state_now(chatroom, entry, is_hosted=self._is_hosted)),
            _trouble_of_privacy(entry, chatroom),
            self._trouble_of_promise(entry, chatroom),
            self._trouble_of_title(entry, chatroom),
            self._trouble_of_name(entry, chatroom),
        ]
        return [kind for kind in found if kind is not None]

    def _trouble_of_promise(self, entry: RegistryEntry, chatroom: Chatroom) -> TroubleKind | None:
        is_open = not entry.is_private and not chatroom.is_private
        return TroubleKind.UNGUARDED if is_open and self._list.is_private(entry.post_id) else None

    def _title_of(self, entry: RegistryEntry) -> str:
        return self._list.title_of(entry.post_id) or entry.title

    def _trouble_of_title(self, entry: RegistryEntry, chatroom: Chatroom) -> TroubleKind | None:
        title = self._title_of(entry)
        is_titled = entry.title == title and (chatroom.title == title or chatroom.is_deleted)
        return None if is_titled else TroubleKind.RETITLED

    def _trouble_of_name(self, entry: RegistryEntry, chatroom: Chatroom) -> TroubleKind | None:
        has_no_names = self._is_hosted and chatroom.external_id is None
        is_named = chatroom.external_id == entry.post_id or has_no_names or chatroom.is_deleted
        return None if is_named else TroubleKind.MISNAMED

    def _confirmed_claim(self, post_id: str) -> Iterator[Trouble]:
        claim = self._registry.find_claim(post_id, margin_s=self._margin_s)
        if claim is None or claim.is_under_way:
            return
        yield trouble_of_claim(claim)

    def _confirmed_orphan(self, chatroom_id: str) -> Iterator[Trouble]:
        chatroom = find_chatroom(self._api, chatroom_id)
        if chatroom is None or chatroom.is_deleted:
            return
        owner_id = owner_of(chatroom) or self._list.marked_post(chatroom.title)
        # In this order: a claim that is not under way any more has registered its chatroom, or never will.
        if self._may_be_taken_up(chatroom, owner_id) or self._registry.find_chatroom(chatroom_id) is not None:
            return
        is_used = has_messages(self._api, chatroom_id)
        owner_id, entry = (None, None) if owner_id is None else follow_moves(self._registry.find, owner_id)
        if owner_id is None or entry is None or entry.chatroom_id is None:
            yield trouble_of_orphan(chatroom, owner_id, is_used=is_used)
        elif entry.chatroom_id != chatroom_id:
            yield trouble_of_duplicate(chatroom, owner_id, entry.chatroom_id, is_used=is_used)

    def _may_be_taken_up(self, chatroom: Chatroom, owner_id: str | None) -> bool:
        """Whether somebody is about to register it: the one who made it, or who came after that one."""
        if owner_id is None:
            return self._registry.is_being_made(without_mark(chatroom.title), margin_s=self._margin_s)
        claim = self._registry.find_claim(owner_id, margin_s=self._margin_s)
        return claim is not None and claim.is_under_way


def owner_of(chatroom: Chatroom) -> str | None:
    """Return the post ID under which the service knows a chatroom, if it can be one."""
    try:
        return None if chatroom.external_id is None else normalize_post_id(chatroom.external_id)
    except PostError:
        return None


def _titles(posts: Iterable[Post]) -> Iterator[tuple[str, str, bool]]:
    for post in posts:
        try:
            post_id, title = normalize_post_id(post.id), normalize_title(post.title)
        except PostError:
            continue  # It can have no chatroom.
        yield post_id, title, bool(post.is_private)


def _batches(titles: Iterator[tuple[str, str, bool]]) -> Iterator[list[tuple[str, str, bool]]]:
    batch: list[tuple[str, str, bool]] = []
    for title in titles:
        batch.append(title)
        if len(batch) == _TITLES_AT_ONCE:
            yield batch
            batch = []
    yield batch


def _trouble_of_state(entry: RegistryEntry, state: RoomState) -> TroubleKind | None:
    if entry.state is state:
        return None
    if entry.state is RoomState.DELETED:
        return TroubleKind.RESTORED
    return {
        RoomState.DELETED: TroubleKind.DELETED,
        RoomState.CLOSED: TroubleKind.CLOSED,
    }.get(state, TroubleKind.REOPENED)


def _trouble_of_privacy(entry: RegistryEntry, chatroom: Chatroom) -> TroubleKind | None:
    if entry.is_private is chatroom.is_private or chatroom.is_deleted:
        return None
    return TroubleKind.EXPOSED if entry.is_private else TroubleKind.HIDDEN


def _failure(suspect: Suspect, error: str) -> Trouble:
    if isinstance(suspect, Chatroom):
        return trouble_of_failure(owner_of(suspect), suspect.chatroom_id, error)
    chatroom_id = suspect.chatroom_id if isinstance(suspect, RegistryEntry) else None
    return trouble_of_failure(suspect.post_id, chatroom_id, error)
