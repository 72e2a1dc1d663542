"""What a file is, whatever it is said to be."""

from __future__ import annotations

import pytest

from flask_chatix_comments.hub.file_types import HEAD_BYTES, UNKNOWN_TYPE, is_accepted, sniff

HEADS = {
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/gif": b"GIF89a\x01\x00",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "application/pdf": b"%PDF-1.7\n",
    "application/zip": b"PK\x03\x04\x14\x00",
}
OTHERS = {
    "page": b"<!doctype html><script>",
    "svg": b"<svg xmlns='http:",
    "xml": b"<?xml version='1.",
    "script": b"alert(document.d",
    "nothing": b"",
    "wave": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "text": b"GIF is a format",
    "late": b" %PDF-1.7",
}


@pytest.mark.parametrize(("media_type", "head"), HEADS.items())
def test_a_type_is_known_by_its_mark(media_type: str, head: bytes) -> None:
    assert sniff(head[:HEAD_BYTES]) == media_type
    assert sniff(head[:2]) == UNKNOWN_TYPE


@pytest.mark.parametrize("head", OTHERS.values(), ids=list(OTHERS))
def test_everything_else_is_bytes(head: bytes) -> None:
    assert sniff(head) == UNKNOWN_TYPE


def test_without_a_list_everything_is_accepted() -> None:
    assert is_accepted("text/html", OTHERS["page"], None)
    assert is_accepted("", b"", None)


def test_a_list_is_held_and_marks_are_looked_for() -> None:
    accepted = ("application/pdf", "text/plain")
    assert is_accepted("application/pdf", HEADS["application/pdf"], accepted)
    assert is_accepted("text/plain", b"hello", accepted)
    assert not is_accepted("application/pdf", OTHERS["page"], accepted)
    assert not is_accepted("image/png", HEADS["image/png"], accepted)
    assert not is_accepted("", HEADS["application/pdf"], accepted)
