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

if TYPE_CHECKING:
    from .api import ChatixApi  # With it comes an HTTP client, which no rendered page needs.

FIRST_PAUSE_S = 0.02
MAX_PAUSE_S = 0.5
#: What is left of a lease, after the API's last call, to record its answer.
RECORDING_S = 5.0
MAX_WARNED = 10_000

logger = logging.getLogger(__name__)


class RoomService:
    """Finds and makes chatrooms. Safe for threads.

    Args:
        api: Returns the client; called only when a chatroom is made.
        lease_s: After how many seconds another may take over from one that says nothing more. The API's
            calls of one creation take five seconds less together, or they fail: however slow the API is, and
            however long CHATIX_API_TIMEOUT would wait for it, nobody else has begun meanwhile.
        sleep: Waits, in seconds.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        api: Callable[[], ChatixApi],
        *,
        lease_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lease_s = lease_s
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
        ends_at = self._clock() + self.lease_s - RECORDING_S
        wanted = [(str(post.id), _title_of(post, str(post.id)), post.is_private) for post in posts]
        claims = self._registry.claim_many(wanted, owner=_owner(), lease_s=self.lease_s)
        return [HeldClaim(claim, ends_at) for claim in claims]

    def make(self, held: HeldClaim, api: ChatixApi) -> Chatroom:
        """Create the chatroom of a first claim, within its lease.

        Raises:
            ApiError: It could not be created; then ``give_up`` the claim.
        """
        api = api.sharing(held.ends_at - self._clock())
        return _align(api, held.claim, _new_room(api, held.claim), is_adopted=False)

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
                _take_back(self._api(), room, entry)
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
            The entry; in state ``CREATING`` when the other has not finished in time.

        Raises:
            PostError: The post's ID cannot be used.
            ApiError: The API failed; the claim is given up.
            RegistryError: The database failed.
        """
        return self.obtain(post, wait_s=wait_s)[0]

    def obtain(self, post: Post, *, wait_s: float = 5.0) -> tuple[RegistryEntry, bool]:
        """Do as ``ensure``, and tell whether this call made the chatroom."""
        post_id = normalize_post_id(post.id)
        title = _title_of(post, post_id)
        deadline = self._clock() + wait_s
        pause_s = FIRST_PAUSE_S
        while True:
            # By the database's clock the lease begins later than this.
            ends_at = self._clock() + self.lease_s - RECORDING_S
            taken = self._registry.claim(
                post_id, title=title, is_private=post.is_private, owner=_owner(), lease_s=self.lease_s
            )
            if isinstance(taken, Claim):
                entry, is_ours = self._create(taken, ends_at)
                if entry.state is not RoomState.CREATING:
                    return entry, is_ours
            elif taken.state is not RoomState.CREATING or self._clock() >= deadline:
                self.warn_if_public(post, taken)
                return taken, False
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
            " when a chatroom is made. To make it private: flask chatix make-private POST_ID",
            entry.post_id,
        )

    def _create(self, claim: Claim, ends_at: float) -> tuple[RegistryEntry, bool]:
        """Make or adopt the chatroom and record it; on failure, and when it is *ends_at*, give the claim up."""
        try:
            # To get the client may take its time: it starts our hub where there is none yet.
            api = self._api()
            api = api.sharing(ends_at - self._clock())
            left_behind = api.find_chatroom_by_external_id(claim.post_id) if claim.number > 1 else None
            chatroom = left_behind or _new_room(api, claim)
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
            _take_back(self._api(), chatroom, entry)
        return entry, is_ours

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


def _new_room(api: ChatixApi, claim: Claim) -> Chatroom:
    return api.create_chatroom(claim.title, is_private=claim.is_private, external_id=claim.post_id)


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
    title = claim.title if is_adopted and chatroom.title != claim.title else None
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


def _take_back(api: ChatixApi, chatroom: Chatroom, entry: RegistryEntry) -> None:
    """Delete the chatroom that was made too late, once another is registered in its place."""
    if entry.chatroom_id is None:
        # Whoever holds the claim now may be adopting this very chatroom.
        logger.warning("The chatroom %s of the post %r came too late.", chatroom.chatroom_id, entry.post_id)
        return
    try:
        api.delete_chatroom(chatroom.chatroom_id)
    except ApiError as exc:
        logger.warning("The post %r has a second chatroom, %s: %s", entry.post_id, chatroom.chatroom_id, exc)
