"""How often somebody may post by the form. The hub counts the calls of browsers, and not those of the site."""

from __future__ import annotations

from collections.abc import Mapping


class PlainRates:
    """How often somebody may post by the form, in this process: a bucket of tokens for each visitor and address.

    Args:
        rates: By ``visitor`` and ``address``: how many in how many seconds.
    """

    MAX_KEYS = 10_000

    def __init__(self, rates: Mapping[str, tuple[int, float]]) -> None:
        self._rates = {"visitor": (30, 60.0), "address": (300, 60.0)} | dict(rates)
        # When each bucket will be full again, in the order of last use.
        self._full_at: dict[tuple[str, str], float] = {}

    def take(self, keys: Mapping[str, str], now: float) -> float:
        """Take a token of each; return how long to wait where there is none, and take none then."""
        after = {item: self._after(item, now) for item in keys.items()}
        wait_s = max(full_at - now - self._rates[kind][1] for (kind, _), full_at in after.items())
        if wait_s > 1e-6:
            return wait_s
        for item, full_at in after.items():
            self._full_at.pop(item, None)
            self._full_at[item] = full_at
        while len(self._full_at) > self.MAX_KEYS:
            self._full_at.pop(next(iter(self._full_at)), None)
        return 0.0

    def _after(self, item: tuple[str, str], now: float) -> float:
        count, per_s = self._rates[item[0]]
        return max(self._full_at.get(item, now), now) + per_s / count
