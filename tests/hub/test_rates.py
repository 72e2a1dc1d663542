"""Token buckets: how many, how soon again, and how much is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.hub.rates import Buckets, Rate


def take(buckets: Buckets, key: str, now: float) -> float:
    """Take a token if there is one; return how long to wait if not."""
    wait_s = buckets.wait_s(key, now)
    if not wait_s:
        buckets.take(key, now)
    return wait_s


def test_so_many_at_once_and_then_one_after_the_other() -> None:
    buckets = Buckets(Rate(3, 30))
    assert [take(buckets, "ada", 100) for _ in range(4)] == [0, 0, 0, pytest.approx(10)]
    assert take(buckets, "ada", 105) == pytest.approx(5)
    assert take(buckets, "ada", 110) == 0
    assert take(buckets, "ada", 110) == pytest.approx(10)
    assert [take(buckets, "ada", 1000) for _ in range(4)] == [0, 0, 0, pytest.approx(10)]


def test_keys_do_not_share() -> None:
    buckets = Buckets(Rate(1, 60))
    assert take(buckets, "ada", 0) == 0
    assert take(buckets, "bob", 0) == 0
    assert take(buckets, "ada", 0) == pytest.approx(60)


def test_who_asks_in_vain_waits_no_longer_for_it() -> None:
    buckets = Buckets(Rate(1, 10))
    take(buckets, "ada", 0)
    for now in range(1, 10):
        assert take(buckets, "ada", now) == pytest.approx(10 - now)
    assert take(buckets, "ada", 10) == 0


def test_full_buckets_are_forgotten_as_others_come() -> None:
    buckets = Buckets(Rate(2, 10))
    for number in range(100):
        take(buckets, f"old {number}", 0)
    for number in range(60):
        take(buckets, f"new {number}", 100)
    assert len(buckets) == 60


def test_full_buckets_are_forgotten_though_nobody_comes() -> None:
    buckets = Buckets(Rate(2, 10))
    for _ in range(2):
        take(buckets, "often", 0)
    take(buckets, "once", 1)
    buckets.forget_full(6)
    # In the order of their last use: who is behind one that is not full waits with it, no longer than ten seconds.
    assert len(buckets) == 2
    assert take(buckets, "often", 6) == 0
    buckets.forget_full(6)
    assert len(buckets) == 1
    buckets.forget_full(15)
    assert len(buckets) == 0
    buckets.forget_full(16)


def test_when_there_is_no_room_who_was_away_the_longest_gives_way() -> None:
    buckets = Buckets(Rate(1, 1000), max_keys=3)
    for key in ("ada", "bob", "cy"):
        take(buckets, key, 0)
    for number in range(1000):
        take(buckets, f"key {number}", 1)
        assert len(buckets) == 3
    assert take(buckets, "key 999", 2) > 0
    assert take(buckets, "ada", 2) == 0


@pytest.mark.parametrize(("count", "per_s"), [(0, 1), (-1, 1), (1, 0), (1, -1), (1, float("inf")), (1, float("nan"))])
def test_rates_that_make_no_sense(count: int, per_s: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Rate(count, per_s)


@given(
    count=st.integers(1, 50),
    per_s=st.floats(0.1, 1000),
    steps=st.lists(st.floats(0, 100), max_size=200),
    start=st.floats(0, 1e6),
)
def test_never_more_than_the_rate_says(count: int, per_s: float, steps: list[float], start: float) -> None:
    """In no stretch of time are there more than the bucket holds and what has run into it meanwhile."""
    buckets = Buckets(Rate(count, per_s))
    now, taken = start, []
    for step in steps:
        now += step
        wait_s = take(buckets, "ada", now)
        assert 0 <= wait_s <= per_s
        if not wait_s:
            taken.append(now)
    for first in range(len(taken)):
        allowed = count + (taken[-1] - taken[first]) * count / per_s
        assert len(taken) - first <= allowed + 0.01


@given(count=st.integers(1, 1000), per_s=st.floats(0.1, 1000), start=st.floats(0, 1e6))
def test_never_less_either(count: int, per_s: float, start: float) -> None:
    buckets = Buckets(Rate(count, per_s))
    assert [take(buckets, "ada", start) for _ in range(count)] == [0] * count
