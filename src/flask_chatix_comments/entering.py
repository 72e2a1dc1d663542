"""Who comes to a post's comments: find the chatroom, and whether the reader may enter it.

The registry says whether a chatroom is private. What the page says counts only for one that is yet to be made.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass

from .models import Post, Visitor
from .registry import RegistryEntry, RoomState
from .registry_upkeep import follow_moves
from .state import AppState
from .tokens import PostClaim
from .visitors import Identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entrance:
    """A post's chatroom for one reader.

    Attributes:
        entry: ``None`` when there is none, and none is made for who may not read it.
        is_admitted: Whether the reader may enter it, should it be there and not deleted.
    """

    entry: RegistryEntry | None
    is_admitted: bool


def find_room(state: AppState, claim: PostClaim, user: Visitor | None) -> Entrance:
    """Find a post's chatroom, or make it for a reader who may enter it."""
    # A page may be older than the post's ID.
    post_id, known = follow_moves(functools.partial(_known_room, state, claim), claim.post_id)
    may_read = functools.cache(lambda: state.access.may_read(user, post_id))
    post = Post(post_id, claim.title, claim.is_private)
    if _is_private(known, claim) and not may_read():
        return Entrance(known, is_admitted=False)
    entry = known
    if entry is None or entry.chatroom_id is None:
        entry = state.room_for(post)
    else:
        state.rooms.warn_if_public(post, entry)
    # An older page may say that it is public, and so may the service that had it already.
    return Entrance(entry, is_admitted=not entry.is_private or may_read())


def _known_room(state: AppState, claim: PostClaim, post_id: str) -> RegistryEntry | None:
    """Return what the registry says of the post; from memory only where nothing private can be at stake."""
    known = state.room_lookup.find(post_id)
    may_be_private = claim.is_private or state.access.is_open_to_some or (known is not None and known.is_private)
    # Readers of a deleted one come back after a while, so that a restored one must not be missed.
    is_deleted = known is not None and known.state is RoomState.DELETED
    return state.rooms.find(post_id) if may_be_private or is_deleted else known


def _is_private(known: RegistryEntry | None, claim: PostClaim) -> bool:
    """Whether the post's chatroom is private, or is going to be."""
    if known is None or known.chatroom_id is None:
        return claim.is_private or (known is not None and known.is_private)
    return known.is_private


def notice_changes(state: AppState, entry: RegistryEntry, *, was_refused: bool) -> RegistryEntry:
    """Return the entry, brought up to date if somebody may have deleted or restored the chatroom at the service.

    Of a private one it is looked up whether it is private there as well.

    Args:
        was_refused: Whether the page says that the service did not let it in.
    """
    is_to_be_looked_at = entry.state is RoomState.DELETED or entry.is_private or was_refused
    return state.room_watch.look(entry) if is_to_be_looked_at else entry


def admit(state: AppState, entry: RegistryEntry, identity: Identity) -> bool:
    """Have the service let a reader into a private chatroom; return whether it can.

    Raises:
        ApiError: The service fails.
    """
    # Our hub lets managers into every chatroom. What a manager is to another service nobody told us.
    if identity.is_manager and not state.config.is_hosted:
        return True
    visitor_id = identity.visitor_id or identity.service_id
    if visitor_id is None:
        logger.error(
            "The comments of the post %r are private, and nobody can be let in: with CHATIX_SDK=widget the site does"
            " not know who its visitors are at the service.",
            entry.post_id,
        )
        return False
    state.private_rooms.admit(str(entry.chatroom_id), visitor_id)
    return True
