"""Sizes and shapes of what visitors may send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import InvalidArgumentError
from flask_chatix_comments.hub import limits


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("Hello", "Hello"),
        (" two\r\nlines\t<b>&amp; ", " two\r\nlines\t<b>&amp; "),
        ("nul\0 bell\a esc\x1b c1\x85 del\x7f", "nul bell esc c1 del"),
        ("x" * 10, "x" * 10),
        ("שלום \u202eevil\u2066", "שלום \u202eevil\u2066"),
    ],
)
def test_content(content: str, kept: str) -> None:
    assert limits.check_content(content, max_chars=100) == kept


@pytest.mark.parametrize(
    "content",
    [
        *(None, 7, "", " \n\t ", "\0\0", "x" * 101, ["x"], "\ud800"),
        # Nothing to see.
        *("\u3164", "\u200b\u200b", "\u2800 \u3164", "\u034f", "\ufe0f", "\u00ad", "\u202e\u2066"),
    ],
)
def test_refused_content(content: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        limits.check_content(content, max_chars=100)


def test_the_refusal_of_a_long_message_says_how_long() -> None:
    with pytest.raises(InvalidArgumentError, match="at most 5 characters, this one has 6"):
        limits.check_content("sixsix", max_chars=5)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        (" Zoe\t Łąka ", "Zoe Łąka"),
        ("Zoe\u0308", "Zoë"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("<script>", "<script>"),
        ("ปี่นี้", "ปี่นี้"),
    ],
)
def test_names(name: str | None, kept: str | None) -> None:
    assert limits.check_name(name, max_chars=80) == kept


@pytest.mark.parametrize(
    "name",
    [
        *(7, "x" * 81, "a\u200bb", "a\0b", "\ud800", "\ue000"),
        # What turns the direction of the text around it.
        *(f"a{chr(code)}b" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
        # Nothing to see.
        *("\u3164", "\u2800", "\u034f", "\ufe0f", "\u200d", "\u115f \u1160"),
        # Marks that cover the lines above and below.
        *("Z" + "\u0335" * 5, "Z" + "\u0335\u0335\u200d" * 3, "Z" + "\u20dd" * 5),
    ],
)
def test_refused_names(name: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        limits.check_name(name, max_chars=80)


def test_a_name_that_is_too_long_is_never_composed(composed: list[int]) -> None:
    """The time for that grows with the square of the marks in a row, and nothing else runs meanwhile."""
    for name in ("\u0316\u0301" * 65_000, "Zoe " * 200):
        with pytest.raises(InvalidArgumentError, match="at most 80 characters"):
            limits.check_name(name, max_chars=80)
    assert max(composed, default=0) <= 4 * 80


@pytest.mark.parametrize(("email", "kept"), [(None, None), ("", None), ("a@b.example", "a@b.example")])
def test_email(email: str | None, kept: str | None) -> None:
    assert limits.check_email(email) == kept


@pytest.mark.parametrize("email", [7, "x" * 255, "a\nb@c", "\ud800@x"])
def test_refused_email(email: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        limits.check_email(email)


def test_fields_keep_what_the_sdk_can_read() -> None:
    """visitor.js:setFields throws at null and nested values: the visitor could never start again."""
    given_fields = {
        "text": "x",
        "number": 1.5,
        "whole": 2**53 - 1,
        "flag": False,
        "null": None,
        "list": [1],
        "object": {},
        "huge": 2**53,
        "infinite": float("inf"),
        7: "no text key",
    }
    assert limits.check_fields(given_fields) == {"text": "x", "number": 1.5, "whole": 2**53 - 1, "flag": False}


@pytest.mark.parametrize(
    "fields",
    [
        None,
        [],
        {"k" * 81: 1},
        {"k": "v" * 1001},
        {"k": "\ud800"},
        {"\0": 1},
        {str(number): number for number in range(51)},
    ],
)
def test_refused_fields(fields: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        limits.check_fields(fields)


@pytest.mark.parametrize("url", [None, "https://files.example/a b", "http://[::1]:8000/x?y#z"])
def test_urls(url: str | None) -> None:
    assert limits.check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            7,
            "",
            "javascript:alert(1)",
            "/file",
            "//host/file",
            "data:text/html,x",
            "https://",
            "http://[",
            "https:///x",
            "https://user@x/y",
            "https://user:secret@x/y",
            "https://@x/y",
        ),
        *("https://x/\n", "https://x/\ud800", "https://x/" + "x" * 2000),
    ],
)
def test_refused_urls(url: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        limits.check_url(url)


@pytest.mark.parametrize("value", [None, "", 7, "x" * 101, "\0", "\ud800"])
def test_refused_ids(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="The thing is not an id"):
        limits.check_id(value, name="The thing")


@pytest.mark.parametrize("value", [None, 0, -1, 101, 1.5, "7", True])
def test_refused_numbers(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="count is a number from 1 to 100"):
        limits.check_number(value, name="count", largest=100)


def test_numbers_and_ids() -> None:
    assert limits.check_number(1, name="count", largest=100) == 1
    assert limits.check_number(100, name="count", largest=100) == 100
    assert limits.check_id("x" * 100, name="id") == "x" * 100


def test_objects() -> None:
    assert limits.dict_of({"a": 1}, name="It") == {"a": 1}
    with pytest.raises(InvalidArgumentError, match="It is an object"):
        limits.dict_of([], name="It")


@given(st.text(max_size=200))
def test_checked_content_is_a_fixed_point(text: str) -> None:
    try:
        kept = limits.check_content(text, max_chars=150)
    except InvalidArgumentError:
        return
    assert limits.check_content(kept, max_chars=150) == kept
    assert "\0" not in kept
