"""What a file is, whatever it is said to be."""

from __future__ import annotations

import pytest

from flask_chatix_comments.hub.file_types import HEAD_BYTES, UNKNOWN_TYPE, is_accepted, served_type, sniff

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
    "program": b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00",
    "binary": b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
}
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


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


@pytest.mark.parametrize("media_type", HEADS)
@pytest.mark.parametrize("declared", ["text/plain", "text/csv", "audio/mpeg"])
def test_what_is_not_listed_does_not_come_in_under_another_name(declared: str, media_type: str) -> None:
    assert not is_accepted(declared, HEADS[media_type], (declared,))
    # What is listed itself may be called what it likes.
    assert is_accepted(declared, HEADS[media_type], (declared, media_type))


@pytest.mark.parametrize("name", ["program", "binary"])
def test_text_is_no_program(name: str) -> None:
    accepted = ("text/plain", "application/x-tool")
    assert not is_accepted("text/plain", OTHERS[name], accepted)
    # A type without a mark is what the browser says it is.
    assert is_accepted("application/x-tool", OTHERS[name], accepted)


WIDE = ["Hi".encode("utf-16"), "Hi".encode("utf-32"), b"\xfe\xff\x00H\x00i"]


@pytest.mark.parametrize("head", [*WIDE, "Größe".encode()])
def test_text_of_every_encoding_is_text(head: bytes) -> None:
    assert is_accepted("text/plain", head, ("text/plain",))


def test_documents_that_are_archives_are_taken_and_served_as_bytes() -> None:
    archive = HEADS["application/zip"]
    assert is_accepted(WORD, archive, (WORD,))
    assert served_type(archive, (WORD,)) == UNKNOWN_TYPE
    assert served_type(archive, (WORD, "application/zip")) == served_type(archive, None) == "application/zip"
    assert not is_accepted(WORD, HEADS["application/pdf"], (WORD,))


def test_images_that_nobody_has_looked_at_are_served_as_bytes() -> None:
    for accepted in (None, ("image/png", "image/jpeg")):
        assert served_type(HEADS["image/png"], accepted) == UNKNOWN_TYPE
        assert served_type(HEADS["image/jpeg"], accepted) == UNKNOWN_TYPE
