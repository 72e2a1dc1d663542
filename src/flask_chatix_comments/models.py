"""What posts, chatrooms, messages and people are, independent of wire and storage.

Times are aware UTC datetimes. Everything is frozen: a change makes a new object.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from .errors import PostError

MAX_POST_ID_CHARS = 255
MAX_TITLE_CHARS = 255
#: Public ids of guests begin so; those of the site's users, and those that the hub gives, never do.
GUEST_PREFIX = "g-"

# Vietnamese, Hebrew and Tibetan stack fewer; more of them cover the lines above and below.
MAX_MARKS_IN_A_ROW = 4

# How much longer than it may be in the end a name may come: composing it makes it shorter.
_RAW_NAME_FACTOR = 4

# Letters, symbols and reserved code points that are drawn as nothing.
_BLANKS = frozenset("\u115f\u1160\u2065\u2800\u3164\uffa0\U0001d159") | {chr(code) for code in range(0xFFF0, 0xFFF9)}
# Joiners belong to emoji and to the spelling of Persian and of Indian languages.
_JOINERS = frozenset("\u200c\u200d")
_REFUSED_IN_NAMES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Mn", "Me", "Zl", "Zp", "Zs"})

# Unicode's property Bidi_Control: they turn the text around them, beyond the end of a title too.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_NO_TEXT = re.compile("[\0\ud800-\udfff]")

FieldValue = str | int | float | bool
PostIdLike = str | int | UUID


def normalize_post_id(post_id: PostIdLike) -> str:
    """Return the one spelling of *post_id* that the registry stores.

    ``7`` and ``"7"`` are one post; apart from that, IDs are compared character by character, with no
    folding of case or Unicode forms.

    Raises:
        PostError: It is of another type, empty, longer than 255 characters, or holds NUL or a lone
            surrogate, which databases cannot keep.
    """
    if isinstance(post_id, bool) or not isinstance(post_id, (str, int, UUID)):
        raise PostError(f"A post ID is an int, a UUID or a str, not {type(post_id).__name__}.")
    try:
        text = str(post_id)
    except ValueError as exc:
        # Python writes out no int of more than some thousand digits.
        raise PostError(f"A post ID has at most {MAX_POST_ID_CHARS} characters, this one has far more.") from exc
    if not text:
        raise PostError("A post ID must not be empty. Has the post been saved (flushed) yet?")
    if len(text) > MAX_POST_ID_CHARS:
        raise PostError(f"A post ID has at most {MAX_POST_ID_CHARS} characters, this one has {len(text)}.")
    if not is_text(text):
        raise PostError("A post ID must not contain NUL or lone surrogates.")
    return text


def normalize_title(title: str | None, *, fallback: str = "") -> str:
    """Return *title* as one line that every store accepts, shortened to 255 characters with an ellipsis."""
    text = "".join(" " if character.isspace() else character for character in str(title or fallback))
    text = "".join(character for character in text if _may_be_in_title(character))
    text = " ".join(text.split())
    if len(text) > MAX_TITLE_CHARS:
        text = text[: MAX_TITLE_CHARS - 1].rstrip() + "…"
    return text


def _may_be_in_title(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cs"} and character not in _BIDI_CONTROLS


def is_text(value: str) -> bool:
    """Whether every store and every client can keep *value*: no NUL, no lone surrogate."""
    return _NO_TEXT.search(value) is None


def is_guest_id(visitor_id: str) -> bool:
    """Whether the site gave this public id to a guest."""
    return visitor_id.startswith(GUEST_PREFIX)


def may_be_in_name(character: str) -> bool:
    """Whether *character* can be shown in a name: no control, no mark that turns the text around it."""
    return unicodedata.category(character) not in _REFUSED_IN_NAMES or character in _JOINERS


def is_visible(text: str) -> bool:
    """Whether there is anything to see in *text*: more than blanks, joiners, marks and fillers."""
    return any(_is_drawn(character) for character in text)


def _is_drawn(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":
        # The emoji of next year are unknown here, and seen there; from this point on are tags and fillers.
        return character < "\U000e0000" and character not in _BLANKS
    return category not in _INVISIBLE_CATEGORIES and character not in _BLANKS


def drop_stacked_marks(text: str) -> str:
    """Return *text* with at most 4 combining marks in a row; joiners between them do not count as an end."""
    kept, row = [], 0
    for character in text:
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            row += 1
        elif category != "Cf":
            row = 0
        if row <= MAX_MARKS_IN_A_ROW:
            kept.append(character)
    return "".join(kept)


def compose_name(text: str, *, max_chars: int) -> str | None:
    """Return *text* in NFC; ``None`` when it is so long that no name of *max_chars* can come of it.

    Its length is looked at first: composing takes a time that grows with the square of the marks in a row, and
    holds up all threads meanwhile.
    """
    return unicodedata.normalize("NFC", text) if len(text) <= _RAW_NAME_FACTOR * max_chars else None


def compose_start(text: str, *, max_chars: int) -> str:
    """Return the start of *text* in NFC: as much as a name of *max_chars* can come of."""
    return unicodedata.normalize("NFC", text[: _RAW_NAME_FACTOR * max_chars])


@dataclass(frozen=True, slots=True)
class Post:
    """A blog post that wants a chatroom; yielded by the site's ``posts_loader``.

    Attributes:
        id: The site's stable name for the post, not its URL.
        title: Shown to managers as the chatroom's title.
        is_private: Whether visitors see the room only when the API has joined them.
    """

    id: PostIdLike
    title: str | None = None
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Visitor:
    """The site's signed-in user, as its ``visitor_loader`` tells us.

    Attributes:
        key: The user's stable key on the site; it never leaves the site.
        name: What other readers see.
        email: For managers only; other readers never get it.
        fields: More facts for managers, flat.
        is_manager: Whether this user moderates.
    """

    key: str | int | UUID
    name: str
    email: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    is_manager: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """What others may see of a visitor.

    Attributes:
        visitor_id: The public id; it is never a credential.
    """

    visitor_id: str
    name: str | None
    is_online: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What the chat service knows of one visitor.

    Attributes:
        visitor_id: The public id.
        is_persistent: Whether the visitor has taken part or signed in: it is stored, and its id keeps a
            name. Memberships do not last longer for that: see ``HubConfig.grace_s``.
    """

    visitor_id: str
    name: str | None = None
    email: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    is_online: bool = False
    is_manager: bool = False
    is_persistent: bool = False


@dataclass(frozen=True, slots=True)
class Manager:
    """Staff who answer and moderate, as everybody may see them."""

    manager_id: str
    name: str | None
    email: str | None = None
    is_online: bool = False
    avatar_url: str | None = None


@dataclass(frozen=True, slots=True)
class Chatroom:
    """The place where a post's messages are.

    Attributes:
        external_id: Our post ID, on services that keep one.
        is_closed: Whether the thread is read-only.
    """

    chatroom_id: str
    title: str
    is_private: bool = False
    is_deleted: bool = False
    is_closed: bool = False
    number_of_visitors: int = 0
    managers: tuple[Manager, ...] = ()
    external_id: str | None = None


class MessageType(enum.IntEnum):
    """The kinds of message that chatix-core shows (message.js)."""

    TEXT = 0
    IMAGE = 4
    FILE = 5


class SenderFlag(enum.IntEnum):
    """Who wrote a message (message.js)."""

    VISITOR = 0
    MANAGER = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a thread.

    Attributes:
        sender_id: Public id of the visitor or manager.
        sender_name: The name at the time of writing: authors leave, their comments stay.
        seq: The number in its chatroom, from 1, in the order of commits.
        change: The chatroom's change number when this message was last written, edited or deleted.
        client_key: The sender's idempotency key; shown to the sender only.
        is_whisper: For managers only.
        file_bytes: The size of the file; ``None`` where it is not known, or there is none.
        width_px, height_px: Of an image as it is shown; ``None`` likewise.
    """

    message_id: str
    chatroom_id: str
    type: MessageType
    sender_flag: SenderFlag
    sender_id: str
    sent_at: datetime
    content: str = ""
    sender_name: str | None = None
    thumb_100_url: str | None = None
    thumb_300_url: str | None = None
    original_url: str | None = None
    file_url: str | None = None
    edited_at: datetime | None = None
    seq: int = 0
    change: int = 0
    client_key: str | None = None
    is_whisper: bool = False
    is_deleted: bool = False
    file_name: str | None = None
    file_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What there was of a visitor who has been forgotten.

    Attributes:
        messages: Whispers, too.
        files: Files and images, posted or not.
        was_known: Whether there was anything else: a name, an e-mail address, a membership.
    """

    messages: int
    files: int
    was_known: bool


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who is at the hub now.

    Attributes:
        connections: Open ones; a page has one.
        visitors: Those who have one.
    """

    connections: int
    visitors: int
