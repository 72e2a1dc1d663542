"""What is refused, row by row: each is done here, and answers in the words of docs/hub-refusals.md."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import httpx
import pytest


class Stage(Protocol):
    """Where rows are done."""

    monkeypatch: pytest.MonkeyPatch


T = TypeVar("T", bound=Stage)
#: Does what a row says, and returns the answer.
Row = Callable[[T], Awaitable[str]]


class Rows(dict[str, Row[T]]):
    """The rows of a table, by what is asked."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.heading = heading

    def row(self, what: str) -> Callable[[Row[T]], Row[T]]:
        """Add a row."""

        def add(row: Row[T]) -> Row[T]:
            assert what not in self, what
            self[what] = row
            return row

        return add

    def add(self, what: str, row: Row[T]) -> None:
        self.row(what)(row)

    async def answers(self, stage: T) -> dict[str, str]:
        """Do what each row says, one after the other; return the answers."""
        answers = {}
        for what, row in self.items():
            with pytest.MonkeyPatch.context() as stage.monkeypatch:
                answers[what] = await row(stage)
        return answers


def spelled(text: str) -> str:
    """Return an answer as the table has it: without what differs each time."""
    return re.sub(r"\bin [0-9]+ (second|minute)s?", r"in N \1s", text)


def of_response(response: httpx.Response) -> str:
    """Return what the table says of an HTTP answer: the status and the sentence, and whether it says when to come."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    when = ", `Retry-After`" if "retry-after" in response.headers else ""
    return spelled(f"{response.status_code}{when}: {body['error']}")


def of_records(records: list[dict[str, Any]]) -> str:
    """Return what the table says of the records before the end of a connection."""
    (last,) = [record for record in records if record.get("type") == 7 or "type" not in record and record][-1:] or [{}]
    if last.get("type") == 7:
        again = ", come again" if last.get("allowReconnect") else ""
        return f"close{again}: {last['error']}"
    return f"handshake: {last['error']}" if last else "nothing"
