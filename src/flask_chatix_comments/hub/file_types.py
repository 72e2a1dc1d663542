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


def sniff(head: bytes) -> str:
    """Return the type of a file that begins with *head*."""
    for media_type, marks in _MARKS.items():
        if all(head.startswith(mark, offset) for offset, mark in marks):
            return media_type
    return UNKNOWN_TYPE


def is_accepted(declared: str, head: bytes, accepted: Collection[str] | None) -> bool:
    """Whether a file of a declared type may come in.

    A type of which we know the mark must bear it: nobody gets a page through as a document.
    """
    if accepted is None:
        return True
    return declared in accepted and (declared not in _MARKS or sniff(head) == declared)
