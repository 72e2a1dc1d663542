"""What is too long, too large or no text at all: the sizes of everything that visitors may send.

Each check returns the value that may be stored and raises ``InvalidArgumentError`` with a sentence for
the person who typed it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import InvalidArgumentError
from ..models import compose_name, drop_stacked_marks, is_text, is_visible, may_be_in_name

MAX_ID_CHARS = 100
MAX_PAGE_ITEMS = 100
MAX_PAGE = 1_000_000
MAX_URL_CHARS = 2000
MAX_EMAIL_CHARS = 254
MAX_FIELDS = 50
MAX_FIELD_KEY_CHARS = 80
MAX_FIELD_VALUE_CHARS = 1000
FieldValue = str | int | float | bool

# Larger integers are not exact in JavaScript.
MAX_SAFE_INTEGER = 2**53 - 1

# Other control characters show nothing, and some databases cannot keep NUL.
_KEPT_CONTROLS = "\t\n\r"
_DROPPED = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _KEPT_CONTROLS}


def check_content(content: object, *, max_chars: int) -> str:
    """Return the text of a message."""
    if not isinstance(content, str):
        raise InvalidArgumentError("The text of a message is missing.")
    text = content.translate(_DROPPED)
    if len(text) > max_chars:
        raise InvalidArgumentError(f"A message has at most {max_chars} characters, this one has {len(text)}.")
    if not is_visible(text) or not is_text(text):
        raise InvalidArgumentError("A message needs some text.")
    return text


def check_name(name: object, *, max_chars: int) -> str | None:
    """Return a display name: NFC, one space at a time; ``None`` when there is none."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise InvalidArgumentError("A name is text.")
    text = compose_name(" ".join(name.split()), max_chars=max_chars)
    if text is None or len(text) > max_chars:
        raise InvalidArgumentError(f"A name has at most {max_chars} characters.")
    if not all(map(may_be_in_name, text)):
        raise InvalidArgumentError("This name holds characters that cannot be shown.")
    if text and (not is_visible(text) or text != drop_stacked_marks(text)):
        raise InvalidArgumentError("This name cannot be read.")
    return text or None


def check_email(email: object) -> str | None:
    """Return an e-mail address; only its size is looked at."""
    if email is None or email == "":
        return None
    if not isinstance(email, str) or len(email) > MAX_EMAIL_CHARS or not is_text(email) or not email.isprintable():
        raise InvalidArgumentError("This is not an e-mail address.")
    return email


def check_fields(fields: object) -> dict[str, FieldValue]:
    """Return a visitor's own fields without null and nested values, at which chatix-core throws."""
    if not isinstance(fields, Mapping):
        raise InvalidArgumentError("The fields of a visitor are an object.")
    kept = {key: value for key, value in fields.items() if _is_field(key, value)}
    if len(kept) > MAX_FIELDS:
        raise InvalidArgumentError(f"A visitor has at most {MAX_FIELDS} fields.")
    return kept


def _is_field(key: object, value: object) -> bool:
    if not isinstance(key, str):
        return False
    if len(key) > MAX_FIELD_KEY_CHARS or not is_text(key):
        raise InvalidArgumentError(f"The key of a field has at most {MAX_FIELD_KEY_CHARS} characters.")
    match value:
        case str():
            if len(value) > MAX_FIELD_VALUE_CHARS or not is_text(value):
                raise InvalidArgumentError(f"The value of a field has at most {MAX_FIELD_VALUE_CHARS} characters.")
            return True
        case bool():
            return True
        case int():
            return abs(value) <= MAX_SAFE_INTEGER
        case float():
            return math.isfinite(value)
    return False


def check_url(url: object) -> str | None:
    """Return an absolute http(s) URL; ``None`` when there is none."""
    if url is None:
        return None
    if not isinstance(url, str) or len(url) > MAX_URL_CHARS or not url.isprintable() or not is_text(url):
        raise InvalidArgumentError("This is not a URL.")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidArgumentError("This is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgumentError("A file is named by an http or https URL.")
    if "@" in parts.netloc:
        raise InvalidArgumentError("The URL of a file holds no user name.")
    return url


def check_id(value: object, *, name: str) -> str:
    """Return something that looks like an id; *name* is what the caller knows it as."""
    if not isinstance(value, str) or not value or len(value) > MAX_ID_CHARS or not is_text(value):
        raise InvalidArgumentError(f"{name} is not an id.")
    return value


def check_number(value: object, *, name: str, largest: int) -> int:
    """Return a whole number from 1 to *largest*."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise InvalidArgumentError(f"{name} is a number from 1 to {largest}.")
    return value


def dict_of(value: Any, *, name: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, Mapping):
        raise InvalidArgumentError(f"{name} is an object.")
    return value
