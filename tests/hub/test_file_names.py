"""Names of files: nothing in them reaches a path, a header or the text around them."""

from __future__ import annotations

import re
import unicodedata
from email.message import Message
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.hub.file_names import IMAGE_EXTENSIONS, MAX_CHARS, clean_file_name, content_disposition
from flask_chatix_comments.models import is_visible


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("notes.txt", "notes.txt"),
        ("Über uns – Teil 1.pdf", "Über uns – Teil 1.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\notes.txt", "notes.txt"),
        ("a/b\\c.txt", "c.txt"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        (" \t ", "file"),
        (".htaccess", "htaccess"),
        ("trailing. . ", "trailing"),
        ("CR\r\nSet-Cookie: x=1.txt", "CR Set-Cookie_ x=1.txt"),
        ("tab\there\x00.txt", "tab here.txt"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u2066a\u2069.txt", "a.txt"),
        ("zero\u200bwidth.txt", "zerowidth.txt"),
        ('say %22hi%22 "now".txt', "say _hi_ _now_.txt"),
        ("a<b>c|d?e*f.txt", "a_b_c_d_e_f.txt"),
        ("cafe\u0301.txt", "caf\u00e9.txt"),
        ("👩\u200d🚀.txt", "👩\u200d🚀.txt"),
        ("z" + "\u0301" * 40 + ".txt", "ź" + "\u0301" * 4 + ".txt"),
        ("\u3164", "file"),
        ("\ud800.txt", "txt"),
    ],
)
def test_names_are_made_harmless(given_name: str, name: str) -> None:
    assert clean_file_name(given_name, image_type=None) == name


@pytest.mark.parametrize(
    ("given_name", "image_type", "name"),
    [
        ("photo.JPG", "image/jpeg", "photo.JPG"),
        ("photo.jfif", "image/jpeg", "photo.jfif"),
        ("photo.png", "image/jpeg", "photo.png.jpg"),
        ("page.html", "image/png", "page.html.png"),
        ("", "image/png", "image.png"),
        ("", "image/jpeg", "image.jpg"),
        ("image.png", "image/png", "image.png"),
    ],
)
def test_an_image_is_called_what_it_is(given_name: str, image_type: str, name: str) -> None:
    assert clean_file_name(given_name, image_type=image_type) == name


def test_long_names_keep_their_end() -> None:
    assert clean_file_name("x" * 300 + ".pdf", image_type=None) == "x" * 95 + "….pdf"
    assert clean_file_name("x" * 300 + "." + "y" * 40, image_type=None) == "x" * 99 + "…"
    assert clean_file_name("x" * 300, image_type="image/png") == "x" * 95 + "….png"


@given(st.text(max_size=300), st.sampled_from([None, *IMAGE_EXTENSIONS]))
def test_whatever_comes_a_name_is_a_name(text: str, image_type: str | None) -> None:
    name = clean_file_name(text, image_type=image_type)
    assert is_visible(name)
    assert len(name) <= MAX_CHARS
    assert PurePosixPath(name).name == PureWindowsPath(name).name == name
    assert name not in (".", "..")
    # Joiners belong to emoji, and to the spelling of some languages.
    assert {unicodedata.category(c) for c in name if c not in "\u200c\u200d"}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
    if image_type is not None:
        assert name.casefold().endswith(IMAGE_EXTENSIONS[image_type])


@given(st.text(max_size=120), st.booleans())
def test_a_header_says_the_name_and_nothing_else(text: str, is_attachment: bool) -> None:
    name = clean_file_name(text, image_type=None)
    header = content_disposition(name, is_attachment=is_attachment)
    match = re.fullmatch(
        r"(attachment|inline); filename=\"([ !#$&-)+-.0-9;=@A-\[\]-{}~]+)\"; filename\*=UTF-8''([!-~]+)", header
    )
    assert match is not None, header
    assert (match[1] == "attachment") is is_attachment
    assert not match[2].startswith(".")
    assert unquote(match[3], errors="strict") == name


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a\uff0f..\uff0fetc\uff0fpasswd", "a_.._etc_passwd"),
        ("\u2105x.txt", "c_ox.txt"),
        ("a\uff1ab.txt", "a_b.txt"),
        ("\uff0ehtaccess", "htaccess"),
        ("\uff0e\uff0e", "file"),
        ("\uff3cb\uff5cc\uff1cd\uff02", "_b_c_d_"),
    ],
)
def test_what_becomes_ascii_is_as_harmless(name: str, plain: str) -> None:
    header = content_disposition(clean_file_name(name, image_type=None), is_attachment=True)
    assert header.startswith(f'attachment; filename="{plain}"; ')


def test_clients_read_the_name() -> None:
    message = Message()
    message["Content-Disposition"] = content_disposition("Über „uns“ 100%.pdf", is_attachment=True)
    assert message.get_content_disposition() == "attachment"
    assert message["Content-Disposition"].startswith('attachment; filename="Uber _uns_ 100_.pdf"; ')
    assert message.get_filename() is not None
