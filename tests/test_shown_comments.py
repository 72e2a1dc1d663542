"""What templates get of comments. That the script makes the same of them is told by thread-view.test.ts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from flask_chatix_comments.models import Message, MessageType, SenderFlag
from flask_chatix_comments.plain_words import WORDS, byte_count, full_date
from flask_chatix_comments.shown_comments import initial_of, is_tall, show, show_thread, tone_of
from flask_chatix_comments.thread_cache import Thread
from flask_chatix_comments.wire import message_from_wire

RENDERED = json.loads((Path(__file__).parent / "rendered_comments.json").read_text("utf-8"))
IMAGE = Message(
    *("m1", "room", MessageType.IMAGE, SenderFlag.VISITOR, "somebody", datetime(2026, 1, 1, tzinfo=UTC)),
    original_url="http://hub/v1/file/a/cat.png",
    thumb_300_url="http://hub/v1/file/a/thumb/300",
)


def rendered(app: Flask, *messages: Message) -> str:
    template = app.jinja_env.get_template("chatix_comments/thread.html")
    thread = show_thread(Thread("room", messages, has_older=False), lambda url: None)
    html = template.render(thread=thread, words=WORDS, post_token="token", endpoint="/chatix-comments")
    return html[html.index("<article") : html.rindex("</article>") + len("</article>")]


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: str(case["name"]))
def test_a_page_has_what_the_script_makes(app: Flask, case: dict[str, Any]) -> None:
    assert rendered(app, message_from_wire(case["wire"], chatroom_id="room")) == case["html"]


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: str(case["name"]))
def test_nothing_runs_and_nothing_leads_anywhere_else(app: Flask, case: dict[str, Any]) -> None:
    soup = BeautifulSoup(rendered(app, message_from_wire(case["wire"], chatroom_id="room")), "html.parser")
    assert {tag.name for tag in soup.find_all()} <= {
        *("article", "span", "p", "bdi", "a", "time", "div", "img"),
    }
    for tag in soup.find_all():
        assert not [name for name in tag.attrs if name.startswith("on") or name == "style"]
        assert str(tag.get("href", "#")).startswith(("#", "http://", "https://"))


def test_a_lone_surrogate_does_not_break_the_page(app: Flask) -> None:
    wire = RENDERED[0]["wire"] | {"content": "a\ud800b", "sender_name": "\udfff", "sender_id": "\ud800"}
    assert "a?b" in rendered(app, message_from_wire(wire, chatroom_id="room")).encode().decode()


def test_files_are_where_the_reader_has_the_hub() -> None:
    def locate(url: str) -> str | None:
        return url.replace("http://hub/v1", "/blog/hub/v1") if url.startswith("http://hub/v1/file/") else None

    soup = BeautifulSoup(show(IMAGE, locate).body, "html.parser")
    (image,), (link,) = soup.find_all("img"), soup.find_all("a")
    assert (link["href"], image["src"]) == ("/blog/hub/v1/file/a/cat.png", "/blog/hub/v1/file/a/thumb/300")


@pytest.mark.parametrize("url", ["javascript:owned()//.png", "data:image/svg+xml,x", "//unknown.invalid/x", "\ud800"])
def test_an_address_that_cannot_be_followed_is_named_only(url: str) -> None:
    body = show(replace(IMAGE, original_url=url, thumb_300_url=url)).body
    assert [tag.name for tag in BeautifulSoup(body, "html.parser").find_all()] == ["bdi"]
    thumbless = BeautifulSoup(show(replace(IMAGE, thumb_300_url=url)).body, "html.parser")
    assert [image["src"] for image in thumbless.find_all("img")] == ["http://hub/v1/file/a/cat.png"]


@pytest.mark.parametrize(
    ("name", "initial"),
    [
        ("Robin", "R"),
        ("émilie", "É"),
        ("  «anna»", "A"),
        ("👩\u200d👩\u200d👧 family", "👩\u200d👩\u200d👧"),
        ("👍🏽 yes", "👍🏽"),
        ("🇩🇪🇫🇷", "🇩🇪"),
        ("7 dwarfs", "7"),
        ("…", "?"),
        ("", "?"),
    ],
)
def test_initials(name: str, initial: str) -> None:
    assert initial_of(name) == initial


def test_one_person_has_one_tone_and_tones_are_few() -> None:
    assert {tone_of(f"visitor {number}") for number in range(200)} == set(range(8))


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (1023, "1,023 B"), (1024, "1 kB"), (1_572_864, "1.5 MB"), (3 * 2**30, "3 GB"), (2**45, "32,768 GB")],
)
def test_sizes(count: int, words: str) -> None:
    assert byte_count(count) == words


@pytest.mark.parametrize(("hour", "words"), [(0, "12:05 AM"), (9, "9:05 AM"), (12, "12:05 PM"), (23, "11:05 PM")])
def test_moments(hour: int, words: str) -> None:
    moment = datetime(2026, 11, 26, hour, 5, tzinfo=UTC)
    assert full_date(moment) == f"Thursday, November 26, 2026 at {words} UTC"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short", False),
        ("a line\n" * 29, False),
        ("a line\n" * 31, True),
        ("x" * 70 * 30, False),
        ("x" * (70 * 30 + 1), True),
        ("🧵" * 35 * 30, False),
        ("🧵" * (35 * 30 + 1), True),
        ("\n" * 40, True),
    ],
)
def test_what_the_script_folds_is_said_to_be_tall(text: str, expected: bool) -> None:
    message = replace(IMAGE, type=MessageType.TEXT, original_url=None, thumb_300_url=None, content=text)
    assert is_tall(text) is expected
    assert show(message).is_tall is expected
    assert not show(replace(message, file_url="http://hub/v1/file/a/x.txt")).is_tall
