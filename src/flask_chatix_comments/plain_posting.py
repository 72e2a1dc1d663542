"""A comment that comes by a form: who writes, what is wrong with it, and how it is sent once.

The same visitor, post and text within ten minutes is one comment: our hub knows it by a key that is derived from
these, the hosted service is looked through first. A guest without a cookie is nobody yet; then browser and address
stand in for the visitor, for this and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .entering import find_room
from .errors import ApiStatusError
from .models import Message, SenderFlag, Visitor, is_text
from .plain_words import WORDS, too_long
from .registry import RegistryEntry, RoomState
from .state import AppState
from .tokens import PostClaim
from .visitors import Identity, NameRefusedError

if TYPE_CHECKING:
    from .api import ChatixApi

#: Within this time the same text is the same comment.
SAME_WITHIN_S = 600
#: Where the hosted service is looked through for it.
LOOKED_THROUGH = 50
_NAME_REFUSALS = frozenset({400, 409, 422})

logger = logging.getLogger(__name__)


class NotPostedError(Exception):
    """A comment is not posted; the message is for its author, who gets the text back.

    Attributes:
        status: Of the answer.
        field: Which box is to be looked at: ``text`` or ``name``; or none.
        retry_after_s: When it may be tried again, where that is known.
    """

    def __init__(self, status: int, message: str, *, field: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form said, and who sent it.

    Attributes:
        cookie, browser: What the browser keeps of a guest, and of a signed-in user on the hosted service.
        sender: What tells browsers apart of which nothing is known.
    """

    text: str
    name: str
    cookie: str | None
    browser: str | None
    sender: str


@dataclass(frozen=True, slots=True)
class Posted:
    """A comment that is stored.

    Attributes:
        is_own: Whether it is of this very visitor, and not of the one who had no cookie yet a moment ago.
    """

    message: Message
    identity: Identity
    is_own: bool


def post(state: AppState, claim: PostClaim, user: Visitor | None, draft: Draft, *, now: float) -> Posted:
    """Send a comment; make the post's chatroom if there is none.

    Args:
        now: Seconds since 1970.

    Raises:
        NotPostedError: It cannot be posted, or not now.
        RoomNotReadyError, ApiError, RegistryError, HubStartError: The comments cannot be reached; to try again is safe.
    """
    text = _checked(draft.text, state.config.max_message_chars)
    state.wait_for_hub()
    entrance = find_room(state, claim, user)
    entry = entrance.entry
    if entry is None or not entrance.is_admitted or entry.state is RoomState.DELETED:
        raise NotPostedError(404, WORDS["gone"])
    if entry.state is RoomState.CLOSED:
        raise NotPostedError(409, WORDS["closed"])
    identity = _identify(state, user, draft)
    _count(state, identity, draft)
    message = _send(state, entry, identity, text, _key(state, entry, identity, draft, text, now), now)
    state.threads.outdate(entry.post_id)
    state.comment_counts.forget(entry.post_id)
    return Posted(message, identity, is_own=message.sender_id == _sender_id(identity))


def _checked(text: str, most: int) -> str:
    """Return what is sent of what was typed; browsers end lines in forms as the network does."""
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise NotPostedError(422, WORDS["empty_text"], field="text")
    if len(text) > most:
        raise NotPostedError(422, too_long(most, len(text)), field="text")
    if not is_text(text):
        raise NotPostedError(422, WORDS["bad_text"], field="text")
    return text


def _identify(state: AppState, user: Visitor | None, draft: Draft) -> Identity:
    if user is not None:
        identity = state.visitors.identify(user, cookie=draft.cookie, ticket=None, browser=draft.browser)
        if identity.visitor_id is not None:
            state.try_to_announce(identity, user)
            return identity
    else:
        try:
            identity = state.visitors.take_part(draft.name, cookie=draft.cookie, ticket=None)
        except NameRefusedError as exc:
            raise NotPostedError(422, str(exc), field="name") from exc
    if _sender_id(identity) is None:
        # Whose visitors are the widget's.
        raise NotPostedError(501, WORDS["needs_script"])
    _announce(state, identity)
    return identity


def _announce(state: AppState, identity: Identity) -> None:
    """Let the others know who writes."""
    is_ours = identity.visitor_id is not None
    try:
        state.reader_api().update_visitor(
            str(_sender_id(identity)), name=identity.name, is_persistent=True if is_ours else None
        )
    except ApiStatusError as exc:
        if is_ours and exc.status_code in _NAME_REFUSALS:
            raise NotPostedError(422, WORDS["bad_name"], field="name") from exc
        if is_ours:
            raise
        # The hosted service may know no such operation; the comment counts.
        logger.debug("The service was not told a visitor's name: %s", exc)


def _sender_id(identity: Identity) -> str | None:
    return identity.visitor_id or identity.service_id


def _count(state: AppState, identity: Identity, draft: Draft) -> None:
    """Refuse who posts too often; the site is not counted by the hub."""
    if identity.is_manager:
        return
    keys = {"visitor": str(_sender_id(identity)), "address": draft.sender.partition("\0")[0]}
    wait_s = state.plain_rates.take(keys, state.monotonic())
    if wait_s > 0:
        raise NotPostedError(429, WORDS["too_often"], retry_after_s=math.ceil(wait_s))


def _key(state: AppState, entry: RegistryEntry, identity: Identity, draft: Draft, text: str, now: float) -> str:
    is_unknown = draft.cookie is None and not identity.is_signed_in
    who = f"{draft.sender}\0{draft.name}" if is_unknown else str(_sender_id(identity))
    parts = (who, entry.post_id, text, str(int(now // SAME_WITHIN_S)))
    digests = (hashlib.sha256(part.encode(errors="replace")).digest() for part in parts)
    return hmac.digest(state.keys.plain[0], b"".join(digests), "sha256").hex()


def _send(state: AppState, entry: RegistryEntry, identity: Identity, text: str, key: str, now: float) -> Message:
    api, room, sender_id = state.reader_api(), str(entry.chatroom_id), str(_sender_id(identity))
    flag = SenderFlag.MANAGER if identity.is_manager and not state.config.is_hosted else SenderFlag.VISITOR
    try:
        known = _find(api, room, sender_id, text, now)
        return known or api.send_message(room, sender_id=sender_id, sender_flag=flag, content=text, client_key=key)
    except ApiStatusError as exc:
        refusal = _REFUSALS.get(exc.status_code)
        if refusal is None:
            raise
        raise NotPostedError(*refusal) from exc


#: What the service says of what is sent, as its author is told.
_REFUSALS: Mapping[int, tuple[int, str]] = {
    400: (422, WORDS["not_taken"]),
    403: (409, WORDS["not_taken"]),
    404: (404, WORDS["gone"]),
    410: (404, WORDS["gone"]),
    413: (422, WORDS["not_taken"]),
    422: (422, WORDS["not_taken"]),
}


def _find(api: ChatixApi, room: str, sender_id: str, text: str, now: float) -> Message | None:
    """Return the comment if it is there: of somebody who has a key of an earlier time, or where there are no keys."""
    for message in reversed(api.history(room, limit=LOOKED_THROUGH).messages):
        is_same = message.sender_id == sender_id and message.content == text and not message.is_whisper
        if is_same and now - message.sent_at.timestamp() < SAME_WITHIN_S:
            return message
    return None
