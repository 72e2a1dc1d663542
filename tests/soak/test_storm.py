"""A small storm, and whether its judge would notice. ``make soak`` runs a large one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.soak.client import Comment, Thread
from tests.soak.storm import Plan, Storm, wrong_order, wrong_texts


def message(number: int, content: str, **more: Any) -> dict[str, Any]:
    return {"uuid": f"m{number}", "seq": number, "content": content, "sent_at": 100 + number, "edited_at": None} | more


KEPT = Comment("k1", "one", "one", "m1", is_done=True)
EDITED = Comment("k2", "two", "two, edited", "m2", is_done=True)
DELETED = Comment("k3", "three", None, "m3", is_done=True)
STORED = [message(1, "one"), message(2, "two, edited")]


def test_what_is_acknowledged_outlives_kills_and_cuts(tmp_path: Path) -> None:
    plan = Plan(comments=150, writers=8, readers=3, kills=2, timeout_s=100, seed=1)
    outcome = asyncio.run(Storm(plan, tmp_path).run())
    assert outcome.wrong == []
    assert outcome.cuts > 0
    assert outcome.reconnects >= 10
    assert 0.8 * plan.comments < outcome.stored < outcome.sends


@pytest.mark.parametrize(
    ("stored", "wrong"),
    [
        (STORED, []),
        (STORED[:1], ["1 comments are lost, such as 'two, edited'", "the ids that were"]),
        ([*STORED, message(3, "three")], ["1 are there too often, such as 'three'", "the ids that were"]),
        ([*STORED, message(4, "one")], ["1 are there too often, such as 'one'", "the ids that were"]),
        ([STORED[0], message(2, "two")], ["1 comments are lost", "1 are there too often, such as 'two'"]),
    ],
)
def test_the_judge_knows_lost_doubled_and_wrong_texts(stored: list[dict[str, Any]], wrong: list[str]) -> None:
    found = wrong_texts([KEPT, EDITED, DELETED], stored)
    assert len(found) == len(wrong)
    assert all(sentence.startswith(start) for sentence, start in zip(found, wrong, strict=True))


def test_the_judge_knows_a_wrong_order() -> None:
    assert wrong_order(STORED) == []
    assert wrong_order(STORED[::-1]) == [
        "the history is not in the order of its numbers",
        "a later number has an earlier time",
    ]
    assert wrong_order([STORED[0], STORED[0]]) == ["the history is not in the order of its numbers"]


def test_a_thread_keeps_what_is_newest_however_it_comes() -> None:
    thread = Thread()
    thread.put(message(2, "new", edited_at=200.5))
    thread.put(message(2, "old"))
    thread.put(message(1, "one"))
    assert thread.read() == [(1, "m1", "one"), (2, "m2", "new")]
    thread.put({"uuid": "m2", "is_deleted": True})
    thread.put(message(2, "new", edited_at=200.5))
    assert thread.read() == [(1, "m1", "one")]
