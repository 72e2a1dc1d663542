"""Whom the site lets into private chatrooms: only a clear yes is one."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_chatix_comments import ConfigError, Visitor
from flask_chatix_comments.access import AccessGate, AccessLoader

USER = Visitor(key=7, name="Ada", email="ada@blog.example", fields={"plan": "paid"})
MANAGER = Visitor(key="m", name="Marit", is_manager=True)


class Asked:
    """A site's loader that says what it was told to say, and keeps what it was asked."""

    def __init__(self, answer: Any = True) -> None:
        self.answer = answer
        self.questions: list[tuple[Visitor | None, str]] = []

    def __call__(self, visitor: Visitor | None, post_id: str) -> bool:
        self.questions.append((visitor, post_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return] # what a site returns may be anything


def gate(loader: AccessLoader | None) -> AccessGate:
    return AccessGate(lambda: loader)


@pytest.mark.parametrize("answer", [True, False])
def test_the_site_decides(answer: bool, caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked(answer)
    assert gate(asked).may_read(USER, "7") is answer
    assert gate(asked).may_read(None, "inner") is answer
    # The key is text, as in a sweep, where nothing else is known of it.
    known = Visitor(key="7", name="Ada", email="ada@blog.example", fields={"plan": "paid"})
    assert asked.questions == [(known, "7"), (None, "inner")]
    assert caplog.messages == []


@pytest.mark.parametrize("answer", [None, 0, "", []])
def test_nothing_is_no(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    assert gate(Asked(answer)).may_read(USER, "7") is False
    assert caplog.messages == []


@pytest.mark.parametrize("answer", ["no", 1, [False], USER])
def test_what_is_no_clear_yes_is_no(answer: object, caplog: pytest.LogCaptureFixture) -> None:
    assert gate(Asked(answer)).may_read(USER, "7") is False
    (message,) = caplog.messages
    assert f"returned {type(answer).__name__} for the post '7'" in message


def test_a_coroutine_is_no_yes(caplog: pytest.LogCaptureFixture) -> None:
    async def loader(visitor: Visitor | None, post_id: str) -> bool:
        raise AssertionError("nobody awaits it")

    assert gate(loader).may_read(USER, "7") is False  # type: ignore[arg-type] # the mistake that is tested
    assert "returned coroutine" in caplog.text


def test_a_loader_that_raises_is_no(caplog: pytest.LogCaptureFixture) -> None:
    assert gate(Asked(RuntimeError("the database is away"))).may_read(USER, "7") is False
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (
        logging.ERROR,
        "The access_loader failed for the post '7': nobody is let in.",
    )
    assert "the database is away" in caplog.text
    assert "ada@blog.example" not in caplog.text


def test_managers_are_not_asked_about() -> None:
    asked = Asked(False)
    assert gate(asked).may_read(MANAGER, "7")
    assert gate(None).may_read(MANAGER, "7")
    assert asked.questions == []


def test_without_a_loader_nobody_is_let_in_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    closed = gate(None)
    assert not closed.is_open_to_some
    for post_id in ("7", "7", "8"):
        assert not closed.may_read(USER, post_id)
        assert not closed.may_read(None, post_id)
    assert [message.split(" are private")[0] for message in caplog.messages] == [
        "The comments of the post '7'",
        "The comments of the post '8'",
    ]
    assert "@comments.access_loader" in caplog.messages[0]


def test_who_is_no_visitor_is_a_mistake_of_the_site() -> None:
    with pytest.raises(ConfigError, match="visitor_loader"):
        gate(Asked(True)).may_read({"key": 7}, "7")  # type: ignore[arg-type] # the mistake that is tested
