"""How often is too often: token buckets, one for each key. No clock, no I/O, and never more memory than is allowed."""

from __future__ import annotations

from dataclasses import dataclass

#: So many keys are kept for each rate: some megabytes in all.
MAX_KEYS = 20_000
#: What is looked at whenever a new key comes. More than one, so that what is over goes faster than new ones come.
SWEPT_AT_ONCE = 2
ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds: at once, if there was nothing before, and from then on one after the other."""

    count: int
    per_s: float

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.per_s < float("inf"):
            raise ValueError("a rate is a number above zero in a time above zero")


class Buckets:
    """A bucket of tokens for each key.

    Of each is kept only when it will be full again; one that is full is forgotten. When there are too many,
    the one that has not been asked for the longest time gives way, and is full when it comes back.
    """

    __slots__ = ("_full_at", "_max_keys", "_step_s", "_window_s")

    def __init__(self, rate: Rate, *, max_keys: int = MAX_KEYS) -> None:
        self._window_s = rate.per_s
        self._step_s = rate.per_s / rate.count
        self._max_keys = max_keys
        # In the order of their last use.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_s(self, key: str, now: float) -> float:
        """Return how long *key* has to wait for a token; 0: there is one.

        Args:
            now: Seconds on a clock that goes on steadily.
        """
        wait_s = self._after(key, now) - now - self._window_s
        # Steps do not add up to the window exactly.
        return wait_s if wait_s > self._step_s * ROUNDING else 0.0

    def take(self, key: str, now: float) -> None:
        """Take a token, which there must be."""
        after = self._after(key, now)
        if self._full_at.pop(key, None) is None:
            self._make_room(now)
        self._full_at[key] = after

    def forget_full(self, now: float) -> None:
        """Forget whoever has long not been here: after the rate's time at the latest nothing is left of a visit."""
        while (oldest := next(iter(self._full_at), None)) is not None and self._full_at[oldest] <= now:
            del self._full_at[oldest]

    def _after(self, key: str, now: float) -> float:
        """Return when the bucket will be full again once a token more has been taken."""
        return max(self._full_at.get(key, now), now) + self._step_s

    def _make_room(self, now: float) -> None:
        for _ in range(SWEPT_AT_ONCE):
            oldest = next(iter(self._full_at), None)
            if oldest is None or (self._full_at[oldest] > now and len(self._full_at) < self._max_keys):
                return
            del self._full_at[oldest]
