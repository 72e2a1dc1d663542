"""The rule for chatrooms: find the post's, else claim it, create it, record it.

However many threads and processes want the same post's chatroom, and wherever one of them dies, there
is one chatroom in the end: only the holder of the claim calls the API, and whoever takes a claim over
looks first for what the one before may have left.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import ApiConnectionError, ApiError, ApiPayloadError, ApiStatusError, RegistryError
from .models import Chatroom, Post, PostIdLike, normalize_post_id, normalize_title
from .registry import Claim, RegistryEntry, RoomRegistry, RoomState
from .registry_upkeep import follow_moves
from .room_marks import find_left_behind, is_marked, with_mark
from .shell_words import quoted

if TYPE_CHECKING:
    from .api import ChatixApi  # With it comes an HTTP client, which no rendered page needs.

FIRST_PAUSE_S = 0.02
MAX_PAUSE_S = 0.5
#: Nobody waits longer than this for one who has died.
MAX_LEASE_S = 30.0
#: What part of a lease is left, after the API's last call, to record its answer.
RECORDING_PART = 1 / 6
MAX_WARNED = 10_000

logger = logging.getLogger(__name__)


class RoomService:
    """Finds and makes chatrooms. Safe for threads.

    Args:
        api: Returns the client; called only when a chatroom is made.
        marks_titles: Whether the service keeps nothing by which to know a chatroom that somebody else made for
            a post, so that its title must tell until the registry names it.
        lease_s: After how many seconds, 30 at most, another may take over from one that says nothing more. The
            API's calls of one creation take five sixths of that together, or they fail: however slow the API is,
            and however long CHATIX_API_TIMEOUT would wait for it, nobody else has begun meanwhile.
        sleep: Waits, in seconds.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        api: Callable[[], ChatixApi],
        *,
        marks_titles: bool = False,
        lease_s: float = MAX_LEASE_S,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 < lease_s <= MAX_LEASE_S:
            raise ValueError(f"a lease is of {MAX_LEASE_S:.0f} seconds at most")
        self.lease_s = lease_s
        self._marks_titles = marks_titles
        self._registry = registry
        self._api = api
        self._sleep = sleep
        self._clock = clock
        self._warned: set[str] = set()

    def client_in_bulk(self) -> ChatixApi:
        """Return the API's client for thousands of calls in a row."""
        return self._api().in_bulk()

    def find(self, post_id: PostIdLike) -> RegistryEntry | None:
        """Return the post's entry, which has no chatroom yet in state ``CREATING``, or ``None``."""
        return self._registry.find(normalize_post_id(post_id))

    def find_many(self, post_ids: Sequence[str]) -> dict[str, RegistryEntry]:
        """Return the entries of those posts, whose IDs are normalised, that have one; some hundreds at once."""
        return self._registry.find_many(post_ids)

    def claim_many(self, posts: Iterable[Post]) -> list[HeldClaim]:
        """Claim those posts, whose IDs are normalised and differ, that the registry knows nothing of.

        For each claim there is to follow ``make`` and ``record_many``, or ``give_up``.
        """
        # By the database's clock the lease begins later than this.
        ends_at = self._clock() + self.lease_s * (1 - RECORDING_PART)
        wanted = [(str(post.id), _title_of(post, str(post.id)), post.is_private) for post in posts]
        claims = self._registry.claim_many(wanted, owner=_owner(), lease_s=self.lease_s)
        return [HeldClaim(claim, ends_at) for claim in claims]

    def make(self, held: HeldClaim, api: ChatixApi) -> Chatroom:
        """Create the chatroom of a first claim, within its lease.

        Raises:
            ApiError: It could not be created; then ``give_up`` the claim.
        """
        api = api.sharing(held.ends_at - self._clock())
        return _align(api, held.claim, self._new_room(api, held.claim), is_adopted=False)

    def time_left_s(self, held: HeldClaim) -> float:
        """Return for how long ``make`` may take."""
        return held.ends_at - self._clock()

    def record_many(self, made: Sequence[tuple[HeldClaim, Chatroom]]) -> list[bool]:
        """Register what ``make`` has made; tell for each whether it is the post's, or another one was faster.

        Raises:
            RegistryError: None of them could be registered.
        """
        records = [
            (held.claim, room.chatroom_id, state_of(room), held.claim.is_private or room.is_private)
            for held, room in made
        ]
        entries = self._registry.record_many(records)
        for (_, room), entry in zip(made, entries, strict=True):
            if entry is not None and entry.chatroom_id != room.chatroom_id:
                self._take_back(room.chatroom_id, entry)
            elif entry is not None and is_marked(room.title):
                _take_mark_away(self._api(), room, entry)
        return [
            entry is not None and entry.chatroom_id == room.chatroom_id
            for entry, (_, room) in zip(entries, made, strict=True)
        ]

    def give_up(self, held: HeldClaim, exc: BaseException | None) -> None:
        """Let others claim the post.

        Args:
            exc: What ``make`` has raised; ``None``: it was not called.
        """
        self._release(held.claim, room_may_exist=exc is not None and _may_have_created(exc))

    def ensure(self, post: Post, *, wait_s: float = 5.0) -> RegistryEntry:
        """Return the post's entry; create the chatroom if there is none.

        Args:
            wait_s: How long to wait for someone else who is creating it.

        Returns:
            The entry, which is that of another ID if the post has been moved; in state ``CREATING`` when the other
            has not finished in time.

        Raises:
            PostError: The post's ID cannot be used.
            ApiError: The API failed; the claim is given up.
            RegistryError: The database failed.
        """
        return self.obtain(post, wait_s=wait_s)[0]

    def obtain(self, post: Post, *, wait_s: float = 5.0) -> tuple[RegistryEntry, bool]:
        """Do as ``ensure``, and tell whether this call made the chatroom."""
        late: list[str] = []
        try:
            entry, is_ours = self._obtain(post, wait_s, late)
        except BaseException:
            for chatroom_id in late:
                logger.warning("The chatroom %s of the post %r came too late.", chatroom_id, post.id)
            raise
        for chatroom_id in late:
            self._take_back(chatroom_id, entry)
        self.warn_if_public(post, entry)
        return entry, is_ours

    def _obtain(self, post: Post, wait_s: float, late: list[str]) -> tuple[RegistryEntry, bool]:
        """Do as ``obtain``; note in *late* each chatroom that was made after the lease had been lost."""
        post_id = normalize_post_id(post.id)
        title = _title_of(post, post_id)
        deadline = self._clock() + wait_s
        pause_s = FIRST_PAUSE_S
        while True:
            # By the database's clock the lease begins later than this.
            ends_at = self._clock() + self.lease_s * (1 - RECORDING_PART)
            taken = self._registry.claim(
                post_id, title=title, is_private=post.is_private, owner=_owner(), lease_s=self.lease_s
            )
            if isinstance(taken, Claim):
                entry, is_ours = self._create(taken, ends_at, late)
                if entry.state is not RoomState.CREATING:
                    return entry, is_ours
                # Not before somebody has a chatroom does it show which one to take back.
                deadline = max(deadline, self._clock() + self.lease_s)
            elif taken.moved_to is not None:
                post_id, _ = follow_moves(self._registry.find, post_id)
                continue
            elif taken.state is not RoomState.CREATING or self._clock() >= deadline:
                return taken, taken.chatroom_id in late
            self._sleep(max(0.0, min(pause_s, deadline - self._clock())))
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

    def warn_if_public(self, post: Post, entry: RegistryEntry) -> None:
        """Say once for each post that it has a public chatroom though its page asks for a private one."""
        if not post.is_private or entry.is_private or entry.chatroom_id is None or entry.post_id in self._warned:
            return
        if len(self._warned) >= MAX_WARNED:
            self._warned.clear()
        self._warned.add(entry.post_id)
        logger.warning(
            "The chatroom of the post %r is public and stays so, though a page asks for a private one: that counts only"
            " when a chatroom is made. To make it private: flask chatix make-private %s",
            entry.post_id,
            quoted(entry.post_id),
        )

    def _create(self, claim: Claim, ends_at: float, late: list[str]) -> tuple[RegistryEntry, bool]:
        """Make or adopt the chatroom and record it; on failure, and when it is *ends_at*, give the claim up."""
        try:
            # To get the client may take its time: it starts our hub where there is none yet.
            api = self._api()
            api = api.sharing(ends_at - self._clock())
            left_behind = self._find_left_behind(api, claim) if claim.number > 1 else None
            chatroom = left_behind or self._new_room(api, claim)
            chatroom = _align(api, claim, chatroom, is_adopted=left_behind is not None)
            entry = self._registry.record(
                claim,
                chatroom.chatroom_id,
                state=state_of(chatroom),
                is_private=claim.is_private or chatroom.is_private,
            )
        except BaseException as exc:
            self._release(claim, room_may_exist=_may_have_created(exc))
            raise
        is_ours = entry.chatroom_id == chatroom.chatroom_id
        if not is_ours and left_behind is None:
            late.append(chatroom.chatroom_id)
        elif is_ours and is_marked(chatroom.title):
            _take_mark_away(api, chatroom, entry)
        return entry, is_ours

    def _new_room(self, api: ChatixApi, claim: Claim) -> Chatroom:
        title = with_mark(claim.title, claim.post_id) if self._marks_titles else claim.title
        return api.create_chatroom(title, is_private=claim.is_private, external_id=claim.post_id)

    def _find_left_behind(self, api: ChatixApi, claim: Claim) -> Chatroom | None:
        """Return the chatroom that an earlier holder of the claim has made and could not record."""
        if not self._marks_titles:
            return api.find_chatroom_by_external_id(claim.post_id)
        return find_left_behind(
            api, claim.post_id, is_free=lambda room: self._registry.find_chatroom(room.chatroom_id) is None
        )

    def _take_back(self, chatroom_id: str, entry: RegistryEntry) -> None:
        """Delete the chatroom that was made too late, once another is registered in its place."""
        if chatroom_id == entry.chatroom_id:
            return  # Whoever took over has adopted this very one.
        if entry.chatroom_id is None:
            # Whoever holds the claim now may be adopting it.
            logger.warning("The chatroom %s of the post %r came too late.", chatroom_id, entry.post_id)
            return
        try:
            if self._registry.find_chatroom(chatroom_id) is None:  # Else somebody has given it to a post.
                self._api().delete_chatroom(chatroom_id)
        except (ApiError, RegistryError) as exc:
            logger.warning("The post %r has a second chatroom, %s: %s", entry.post_id, chatroom_id, exc)

    def _release(self, claim: Claim, *, room_may_exist: bool) -> None:
        try:
            self._registry.release(claim, room_may_exist=room_may_exist)
        except RegistryError as exc:
            logger.warning("The claim on the post %r stays until its lease ends: %s", claim.post_id, exc)


@dataclass(frozen=True, slots=True)
class HeldClaim:
    """A claim, and when its API calls have to be over, by the clock of the ``RoomService``."""

    claim: Claim
    ends_at: float


def _title_of(post: Post, post_id: str) -> str:
    return normalize_title(post.title) or normalize_title(post_id) or repr(post_id)


def _owner() -> str:
    """Return who claims, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


def state_of(chatroom: Chatroom) -> RoomState:
    """Return the state that the registry keeps of a chatroom."""
    if chatroom.is_deleted:
        return RoomState.DELETED
    return RoomState.CLOSED if chatroom.is_closed else RoomState.OPEN


def _align(api: ChatixApi, claim: Claim, chatroom: Chatroom, *, is_adopted: bool) -> Chatroom:
    """Give the chatroom the claim's title and, where it must be private, make it so before anyone sees it.

    A private chatroom is never made public here: the claim may come from a page that is out of date.
    """
    if chatroom.external_id not in (None, claim.post_id):
        raise ApiPayloadError(
            f"The API answered for the post {claim.post_id!r} with the chatroom of another.",
            operation="create_chatroom",
        )
    is_retitled = is_adopted and chatroom.title != claim.title and not is_marked(chatroom.title)
    title = claim.title if is_retitled else None
    is_private = True if claim.is_private and not chatroom.is_private else None
    if chatroom.is_deleted or (title is None and is_private is None):
        return chatroom
    chatroom = api.update_chatroom(chatroom.chatroom_id, title=title, is_private=is_private)
    if claim.is_private and not chatroom.is_private:
        raise ApiPayloadError(
            f"The API did not make the chatroom of the post {claim.post_id!r} private.", operation="update_chatroom"
        )
    return chatroom


def _may_have_created(exc: BaseException) -> bool:
    """Whether a chatroom may be there in spite of *exc*: unless creating it was refused or never sent."""
    if not isinstance(exc, ApiError) or exc.operation != "create_chatroom":
        return True
    if isinstance(exc, ApiStatusError):
        return exc.status_code >= 500 or exc.status_code == 408
    return not isinstance(exc, ApiConnectionError) or exc.may_have_arrived


def _take_mark_away(api: ChatixApi, chatroom: Chatroom, entry: RegistryEntry) -> None:
    """Give a chatroom that is recorded its own title; where that fails it keeps the mark, which harms nobody."""
    try:
        api.update_chatroom(chatroom.chatroom_id, title=entry.title)
    except ApiError as exc:
        logger.warning("The chatroom of the post %r is called %r still: %s", entry.post_id, chatroom.title, exc)
