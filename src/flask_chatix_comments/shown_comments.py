"""Comments as a page shows them: what templates get of each, just as ``browser/thread-view.ts`` makes it.

All of it is text to the template, which escapes it, but for ``body``: that is made here, and escaped here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from markupsafe import Markup

from .models import Message, SenderFlag
from .plain_words import WORDS, byte_count, comment_by, full_date, short_date
from .prose import REL, safe_url, to_markup
from .thread_cache import Thread
from .wire import from_unix, to_unix

TONES = 8
THUMB_PX = 300
# As in fold.ts: a text of more lines than these is folded where there is a script.
_CHARS_IN_A_LINE = 70
_MOST_LINES = 30
# What turns the direction of text: in "photo\u202egpj.exe" it hides what the file is. As in shared-file.ts.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# As encodeURIComponent has it.
_UNQUOTED = "!'()*-._~"
_JOINER = "\u200d"
_MODIFIERS = range(0x1F3FB, 0x1F400)
_REGIONAL = range(0x1F1E6, 0x1F200)

#: What the template of the form gets where nothing has been typed yet. A site may have undefined names be errors.
BLANK_FORM = dict.fromkeys(("name", "text", "back", "confirmation", "notice", "field", "user_name"), "")

#: From an address that the API told to the one by which the reader has it; ``None`` if it is not the hub's.
Locate = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class ShownComment:
    """A comment for a template.

    Attributes:
        id: Of the element.
        href: Of the permalink.
        tone: Which of a few colours stands for the author.
        sent_at, edited_at: As ``datetime`` has it.
        date, full_date, edited_full_date: In words.
        body: The text with its links, or the file.
        is_tall: Whether the script will show its beginning first.
    """

    id: str
    href: str
    author: str
    label: str
    initial: str
    tone: int
    is_from_manager: bool
    sent_at: str
    date: str
    full_date: str
    edited_full_date: str | None
    body: Markup
    is_tall: bool = False


def show(message: Message, locate: Locate = lambda url: None) -> ShownComment:
    """Return what a template gets of *message*."""
    author = _encodable(message.sender_name or "").strip() or WORDS["anonymous"]
    message_id = _encodable(message.message_id)
    seconds, thousandths = divmod(round(to_unix(message.sent_at) * 1000), 1000)
    moment = from_unix(seconds)
    return ShownComment(
        id=f"comment-{message_id}",
        href="#comment-" + quote(message_id, safe=_UNQUOTED),
        author=author,
        label=comment_by(author),
        initial=initial_of(author),
        tone=tone_of(_encodable(message.sender_id)),
        is_from_manager=message.sender_flag is SenderFlag.MANAGER,
        sent_at=f"{moment:%Y-%m-%dT%H:%M:%S}.{thousandths:03}Z",
        date=short_date(moment),
        full_date=full_date(moment),
        edited_full_date=full_date(message.edited_at) if message.edited_at is not None else None,
        body=_body(message, locate),
        is_tall=_url_of(message) is None and is_tall(message.content),
    )


def is_tall(text: str) -> bool:
    """Whether a text is so long that few want to scroll past it; estimated, not measured."""
    # The script counts as browsers do, in units of UTF-16.
    lengths = (len(line.encode("utf-16-le", "surrogatepass")) // 2 for line in text.split("\n"))
    return sum(max(1, -(-length // _CHARS_IN_A_LINE)) for length in lengths) > _MOST_LINES


def initial_of(name: str) -> str:
    """Return the first letter, digit or emoji of a name, as the reader sees it: accents are kept whole."""
    for start, character in enumerate(name):
        if _is_initial(character):
            return name[start : _end_of(name, start)].upper()
    return "?"


def _is_initial(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" or character in "#*©®" or (category == "So" and character > "\u2100")


def _end_of(text: str, start: int) -> int:
    """Return where the character that readers see ends (roughly UAX 29, section 3)."""
    end = start + 1
    if ord(text[start]) in _REGIONAL:
        return end + (text[end : end + 1] != "" and ord(text[end]) in _REGIONAL)
    while end < len(text):
        is_joined = text[end - 1] == _JOINER and unicodedata.category(text[end]) == "So"
        if not (_extends(text[end]) or is_joined):
            break
        end += 1
    return end


def _extends(character: str) -> bool:
    return unicodedata.category(character)[0] == "M" or character == _JOINER or ord(character) in _MODIFIERS


def tone_of(sender_id: str) -> int:
    """Return one of a few colours, always the same for the same person."""
    number = 0
    for character in sender_id:
        number = (number * 31 + ord(character)) % 65_521
    return number % TONES


def _body(message: Message, locate: Locate) -> Markup:
    url = _url_of(message)
    if url is None:
        return to_markup(_encodable(message.content))
    return _file(message, _encodable(url), locate)


def _url_of(message: Message) -> str | None:
    return message.original_url or message.file_url


def _file(message: Message, url: str, locate: Locate) -> Markup:
    href = _followed(url, locate)
    name = _file_name(message, href)
    if href is None:
        return Markup("<bdi>{}</bdi>").format(name)
    if message.original_url is not None:
        return _image(message, href, name, locate)
    link = Markup('<a href="{}" dir="auto" rel="{}">{}</a>').format(href, REL, name)
    size = Markup("") if message.file_bytes is None else _size(message.file_bytes)
    return Markup('<span class="chatix-file">{}{}</span>').format(link, size)


def _image(message: Message, href: str, name: str, locate: Locate) -> Markup:
    source = _followed(_encodable(message.thumb_300_url or ""), locate) or href
    image = Markup('<img {} loading="lazy" decoding="async" referrerpolicy="no-referrer" alt="{}" src="{}">').format(
        _room(message), name, source
    )
    return Markup('<a href="{}" dir="auto" rel="{}" class="chatix-image">{}</a>').format(href, REL, image)


def _room(message: Message) -> Markup:
    """Return how large the thumbnail will be: its room is kept free, so that nothing moves when it comes."""
    width, height = message.width_px, message.height_px
    if not width or not height:
        return Markup('class="chatix-thumb chatix-unsized" width="{}"').format(THUMB_PX)
    scale = min(1.0, THUMB_PX / max(width, height))
    sides = (max(1, int(side * scale + 0.5)) for side in (width, height))
    return Markup('class="chatix-thumb" width="{}" height="{}"').format(*sides)


def _size(count: int) -> Markup:
    return Markup('<span class="chatix-size">{}</span>').format(byte_count(count))


def _followed(url: str, locate: Locate) -> str | None:
    """Return an address that can be followed: on the hub, or anywhere else if there is no doubt about it."""
    return locate(url) or safe_url(url)


def _file_name(message: Message, href: str | None) -> str:
    last = unquote(urlsplit(href or "").path.rpartition("/")[2], errors="replace")
    name = _INVISIBLE.sub("", _encodable(message.file_name if message.file_name is not None else last)).strip()
    return name or WORDS["image" if message.original_url is not None else "attachment"]


def _encodable(text: str) -> str:
    """Return *text* without lone surrogates, which no page can carry."""
    return text.encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class ShownThread:
    """The comments of a post for a template, oldest first.

    Attributes:
        first_id: Of the oldest one: what is earlier comes before it.
    """

    comments: tuple[ShownComment, ...]
    has_older: bool
    is_closed: bool
    first_id: str | None


def show_thread(thread: Thread, locate: Locate) -> ShownThread:
    """Return what a template gets of a thread."""
    comments = tuple(show(message, locate) for message in thread.messages)
    first_id = thread.messages[0].message_id if thread.messages else None
    return ShownThread(comments, thread.has_older, thread.is_closed, first_id)
