"""What can be found not to fit between registry, service and site, in sentences that say what to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from .models import Chatroom
from .registry import RegistryEntry
from .registry_upkeep import OpenClaim
from .shell_words import quoted

DUPLICATE_BY_HAND = (
    "Two threads are never made one, and none is deleted. To read it, link it to an ID of its own; to have it instead"
    " of the other one, unlink the post and link it to this one."
)


class TroubleKind(enum.StrEnum):
    """What does not fit."""

    VANISHED = "vanished"
    """The service does not have the post's chatroom any more."""
    DUPLICATE = "duplicate"
    """A second chatroom of a post."""
    ORPHAN = "orphan"
    """A chatroom that no row of the registry names."""
    STUCK = "stuck"
    """A claim that nobody holds any more: a chatroom was wanted, and did not come about."""
    DELETED = "deleted"
    """The chatroom was deleted at the service, and the registry does not know."""
    RESTORED = "restored"
    """Likewise: it is back."""
    CLOSED = "closed"
    """Likewise: it is read-only."""
    REOPENED = "reopened"
    """Likewise: it can be written in again."""
    EXPOSED = "exposed"
    """It is private in the registry, and public at the service."""
    HIDDEN = "hidden"
    """It is public in the registry, and private at the service: nobody gets in."""
    UNGUARDED = "unguarded"
    """It is public, and the site says that the post is private."""
    RETITLED = "retitled"
    """The post has another title than its chatroom."""
    MISNAMED = "misnamed"
    """The service knows the chatroom by another post's ID, or by none."""
    UNCLEAR = "unclear"
    """It could not be looked into."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not fit.

    Attributes:
        post_id: ``None``: of a chatroom of which nobody knows whose it is.
        chatroom_id: ``None``: there is none.
        detail: What is the matter, for people.
        remedy: What to do about it, for people; of one that is repaired, what was done.
        is_repaired: Whether it is no more.
        error: Why it could not be looked into, or repaired.
    """

    kind: TroubleKind
    post_id: str | None
    chatroom_id: str | None
    detail: str
    remedy: str
    is_repaired: bool = False
    error: str | None = None


_SYNC = "flask chatix sync or check --repair takes that over."
#: What is said of a post's chatroom; in braces: the registry's entry, the title of the site, the chatroom.
_SENTENCES: dict[TroubleKind, tuple[str, str]] = {
    TroubleKind.VANISHED: (
        "The service does not have it.",
        "Look first whether this is the right service and, for our hub, its right database. If the chatroom is gone for"
        " good, check --repair makes a new one.",
    ),
    TroubleKind.DELETED: ("It was deleted at the service, and is {entry.state} in the registry.", _SYNC),
    TroubleKind.RESTORED: ("It lives at the service, and is deleted in the registry.", _SYNC),
    TroubleKind.CLOSED: ("It is read-only at the service, and {entry.state} in the registry.", _SYNC),
    TroubleKind.REOPENED: ("It is open at the service, and {entry.state} in the registry.", _SYNC),
    TroubleKind.EXPOSED: (
        "It is private in the registry, and public at the service: everybody can read it.",
        "check --repair makes it private.",
    ),
    TroubleKind.HIDDEN: (
        "It is public in the registry, and private at the service: readers are not let in.",
        "Say which of the two it is to be: flask chatix make-public {post}, or make-private.",
    ),
    TroubleKind.UNGUARDED: (
        "The site says that the post is private, and everybody can read its comments.",
        "Say which of the two it is to be: flask chatix make-private, or let the site say that it is public.",
    ),
    TroubleKind.RETITLED: (
        "The post's title is {title!r}, the registry has {entry.title!r} and the service {chatroom.title!r}.",
        "flask chatix sync or check --repair gives all of them the first one.",
    ),
    TroubleKind.MISNAMED: (
        "The service knows it by the post ID {chatroom.external_id!r}.",
        "check --repair corrects that.",
    ),
}


def trouble_of_post(kind: TroubleKind, entry: RegistryEntry, chatroom: Chatroom | None, title: str) -> Trouble:
    detail, remedy = _SENTENCES[kind]
    text = detail.format(entry=entry, chatroom=chatroom, title=title)
    return Trouble(kind, entry.post_id, entry.chatroom_id, text, remedy.format(post=quoted(entry.post_id)))


def trouble_of_claim(claim: OpenClaim) -> Trouble:
    """Return the trouble of a claim that nobody holds any more."""
    since = claim.updated_at.isoformat(timespec="seconds")
    what = f"{claim.owner} began to make a chatroom" if claim.owner else "The making of a chatroom failed"
    return Trouble(
        TroubleKind.STUCK,
        claim.post_id,
        None,
        f"{what} ({since}), and nobody has come for it since.",
        "The post's next reader makes it, or takes up what was made; so do backfill and check --repair.",
    )


def trouble_of_orphan(chatroom: Chatroom, post_id: str | None, *, is_used: bool) -> Trouble:
    """Return the trouble of a chatroom that no row of the registry names, of a post that has none or of nobody."""
    if post_id is None:
        detail = f"No post has the chatroom {chatroom.title!r}."
        remedy = (
            f"If it is a post's: flask chatix link POST_ID {chatroom.chatroom_id}. If it is of no use, delete it at the"
            " service. If something else uses it, leave it."
        )
    else:
        detail = "The service has it for this post, to which the registry gives none."
        remedy = f"flask chatix link {quoted(post_id)} {chatroom.chatroom_id}, or check --repair."
    return Trouble(TroubleKind.ORPHAN, post_id, chatroom.chatroom_id, f"{detail} {_contents(is_used)}", remedy)


def trouble_of_duplicate(chatroom: Chatroom, post_id: str, owned_id: str, *, is_used: bool) -> Trouble:
    """Return the trouble of a chatroom for a post that has another one."""
    return Trouble(
        TroubleKind.DUPLICATE,
        post_id,
        chatroom.chatroom_id,
        f"The post has the chatroom {owned_id}, and the service has this one for it, too. {_contents(is_used)}",
        DUPLICATE_BY_HAND if is_used else "check --repair deletes it.",
    )


def trouble_of_failure(post_id: str | None, chatroom_id: str | None, error: str) -> Trouble:
    """Return the trouble of what could not be looked into."""
    return Trouble(
        TroubleKind.UNCLEAR, post_id, chatroom_id, "It could not be looked into.", "Check again.", error=error
    )


def _contents(is_used: bool) -> str:
    return "There are comments in it." if is_used else "Nobody has written in it."
