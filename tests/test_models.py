"""Post IDs and titles: what one post is."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import PostError
from flask_chatix_comments.models import (
    MAX_POST_ID_CHARS,
    MAX_TITLE_CHARS,
    Post,
    Visitor,
    drop_stacked_marks,
    is_visible,
    normalize_post_id,
    normalize_title,
)

UUID_TEXT = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("post_id", "normalized"),
    [
        (7, "7"),
        ("7", "7"),
        (0, "0"),
        (-1, "-1"),
        (10**60, str(10**60)),
        (UUID(UUID_TEXT), UUID_TEXT),
        ("x" * MAX_POST_ID_CHARS, "x" * MAX_POST_ID_CHARS),
        ("🧵" * MAX_POST_ID_CHARS, "🧵" * MAX_POST_ID_CHARS),
        (" a ", " a "),
        ("a/b?c#d", "a/b?c#d"),
        ("\n", "\n"),
    ],
)
def test_an_id_has_one_spelling(post_id: Any, normalized: str) -> None:
    assert normalize_post_id(post_id) == normalized


@pytest.mark.parametrize(
    "pair", [("Post", "post"), ("é", "e\u0301"), ("a", "a "), ("ß", "ss"), ("07", "7"), ("ﬁ", "fi")]
)
def test_nothing_is_folded(pair: tuple[str, str]) -> None:
    assert len({normalize_post_id(post_id) for post_id in pair}) == 2


@pytest.mark.parametrize(
    ("post_id", "reason"),
    [
        (True, "not bool"),
        (False, "not bool"),
        (None, "not NoneType"),
        (7.0, "not float"),
        (b"7", "not bytes"),
        (["7"], "not list"),
        ("", "must not be empty"),
        ("x" * (MAX_POST_ID_CHARS + 1), "at most 255 characters, this one has 256"),
        (10**255, "at most 255 characters, this one has 256"),
        ("a\0b", "NUL"),
        ("a\ud800b", "lone surrogates"),
        ("\udfff", "lone surrogates"),
    ],
)
def test_what_is_no_id_is_refused_with_the_reason(post_id: Any, reason: str) -> None:
    with pytest.raises(PostError, match=reason) as caught:
        normalize_post_id(post_id)
    assert isinstance(caught.value, ValueError)


def test_an_int_that_python_does_not_write_out_is_no_id() -> None:
    for post_id in (10**5000, -(10**5000)):
        with pytest.raises(PostError, match="at most 255 characters"):
            normalize_post_id(post_id)


@given(st.text(min_size=1, max_size=MAX_POST_ID_CHARS, alphabet=st.characters(codec="utf-8", exclude_characters="\0")))
def test_every_other_text_is_its_own_id(text: str) -> None:
    assert normalize_post_id(text) == text


@pytest.mark.parametrize(
    ("title", "normalized"),
    [
        (None, "the fallback"),
        ("", "the fallback"),
        ("  a \t b\r\nc\u2028d\u00a0e  ", "a b c d e"),
        ("<script>alert(1)</script> & “quotes”", "<script>alert(1)</script> & “quotes”"),
        ("a\0b\x1bc\ud800d", "abcd"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧 family"),
        ("invoice \u202egnp.exe\u2069 \u200f\u061c!", "invoice gnp.exe !"),
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 254 + "…"),
        ("ab " * 5000, ("ab " * 84 + "ab")[:254].rstrip() + "…"),
    ],
)
def test_a_title_is_one_line_of_bounded_length(title: str | None, normalized: str) -> None:
    assert normalize_title(title, fallback="the fallback") == normalized


@given(st.text(alphabet=st.characters()))
def test_every_title_can_be_stored_and_is_stable(text: str) -> None:
    title = normalize_title(text)
    assert len(title) <= MAX_TITLE_CHARS
    assert title == normalize_title(title)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") for character in title)
    title.encode()


@pytest.mark.parametrize(
    "text",
    # The last ones: an emoji that Unicode 16 brought, a letter for private use, a mark that takes room.
    [
        "a",
        " . ",
        "\u0301a",
        "한",
        "👩\u200d🔬",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e007f",
        "\U0001fae9",
        "\ue000",
        "\u0903",
    ],
)
def test_there_is_something_to_see(text: str) -> None:
    assert is_visible(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " \t\n\u00a0\u2003\u3000\u2028", "\0\x1b", "\u200b\u200c\u200d\u2060\ufeff\u00ad", "\u202e\u2066\u061c"),
        *("\u034f\ufe0f\u180b\U000e0100", "\u0301\u20dd", "\u115f\u1160\u3164\uffa0", "\u2800", "\U0001d159", "\ud800"),
        *("\u2065\ufff0\ufff8", "\U000e0001\U000e0020\U000e0080\U000e0fff"),
    ],
)
def test_there_is_nothing_to_see(text: str) -> None:
    assert not is_visible(text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("Zoe\u0308", "Zoe\u0308"),
        ("שָׁ֖לֽוֹם", "שָׁ֖לֽוֹם"),
        ("a" + "\u0301" * 4 + "b" + "\u0301" * 4, "a" + "\u0301" * 4 + "b" + "\u0301" * 4),
        ("a" + "\u0301" * 40 + "b", "a" + "\u0301" * 4 + "b"),
        ("a" + "\u0301\u20dd\ufe0f" * 3, "a\u0301\u20dd\ufe0f\u0301"),
        ("a" + "\u0301\u0301\u200d" * 4 + "b", "a\u0301\u0301\u200d\u0301\u0301\u200db"),
    ],
)
def test_marks_are_stacked_so_high_only(text: str, kept: str) -> None:
    assert drop_stacked_marks(text) == kept
    assert drop_stacked_marks(kept) == kept


def test_posts_and_visitors_are_frozen_and_need_little() -> None:
    post, visitor = Post(7), Visitor(key=1, name="Jo")
    assert (post.title, post.is_private) == (None, False)
    assert (visitor.email, visitor.fields, visitor.is_manager) == (None, {}, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        post.id = 8  # type: ignore[misc]  # That it cannot be set is the test.
