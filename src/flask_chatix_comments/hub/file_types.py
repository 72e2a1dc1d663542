"""What a file is: by how it begins, never by what its sender says."""

from __future__ import annotations

from collections.abc import Collection

#: What the SDK calls an image (chat.js:_uploadChatroomFile); everything else is a file.
IMAGE_TYPES = frozenset({"image/jpeg", "image/png"})
UNKNOWN_TYPE = "application/octet-stream"
#: So much of a file is enough to know it.
HEAD_BYTES = 16

# Where each type's mark stands, and the mark. None of these types runs anything in a browser: what is not here
# is served as bytes.
_MARKS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "image/jpeg": ((0, b"\xff\xd8\xff"),),
    "image/png": ((0, b"\x89PNG\r\n\x1a\n"),),
    "image/gif": ((0, b"GIF8"),),
    "image/webp": ((0, b"RIFF"), (8, b"WEBP")),
    "application/pdf": ((0, b"%PDF-"),),
    "application/zip": ((0, b"PK\x03\x04"),),
}

# Documents of office programs, books and more are archives, under types of their own.
_CONTAINERS = frozenset({"application/zip"})
# By which text begins that holds zeros: UTF-16 and UTF-32.
_WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


def sniff(head: bytes) -> str:
    """Return the type of a file that begins with *head*."""
    for media_type, marks in _MARKS.items():
        if all(head.startswith(mark, offset) for offset, mark in marks):
            return media_type
    return UNKNOWN_TYPE


def is_accepted(declared: str, head: bytes, accepted: Collection[str] | None) -> bool:
    """Whether a file of a declared type may come in.

    A type of which we know the mark must bear it: nobody gets a page through as a document. And who bears the
    mark of a type must be let in as that: nobody gets an archive through as a text.
    """
    if accepted is None:
        return True
    actual = sniff(head)
    if declared not in accepted:
        return False
    if declared in _MARKS:
        return actual == declared
    if actual != UNKNOWN_TYPE:
        return actual in accepted or (actual in _CONTAINERS and declared.startswith("application/"))
    return not declared.startswith("text/") or _may_be_text(head)


def _may_be_text(head: bytes) -> bool:
    return b"\0" not in head or head.startswith(_WIDE_TEXT)


def served_type(head: bytes, accepted: Collection[str] | None) -> str:
    """Return as what a file is served that is no image of ours.

    An image that does not say so has not been looked at. What came in as something else is not served as what
    the site has not listed.
    """
    actual = sniff(head)
    is_listed = accepted is None or actual in accepted
    return actual if is_listed and actual not in IMAGE_TYPES else UNKNOWN_TYPE
