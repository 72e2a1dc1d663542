"""Who has come too often: counts what visitors and addresses do, and says when there will be room again."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..errors import RequestRefusedError, TooOftenError
from .metrics import LIMITED, NO_METRICS, Metrics
from .rate_config import Action, RateConfig, Rates
from .rates import Buckets

TOO_OFTEN = {
    Action.CONNECTING: "There were too many connections from here.",
    Action.POSTING: "There were too many comments in a short time.",
    Action.EDITING: "There were too many changes in a short time.",
    Action.UPLOADING: "There were too many files in a short time.",
    Action.TYPING: "There were too many signs of typing in a short time.",
    Action.READING: "There were too many questions in a short time.",
}


def too_often(action: Action, wait_s: int) -> str:
    """Return the sentence of a refusal. Pages of ours read the number at its end."""
    return f"{TOO_OFTEN[action]} Please try again in {wait_s} {'second' if wait_s == 1 else 'seconds'}."


class _Counts:
    """The buckets of one action."""

    def __init__(self, rates: Rates) -> None:
        self.visitors = Buckets(rates.visitor)
        self.addresses = Buckets(rates.address)

    def take(self, visitor_id: str | None, address: str | None, now: float) -> float:
        pairs = [(self.visitors, visitor_id), (self.addresses, address)]
        asked = [(buckets, key) for buckets, key in pairs if key is not None]
        wait_s = max((buckets.wait_s(key, now) for buckets, key in asked), default=0.0)
        # Who is refused has not had it: waiting is all that helps, and asking meanwhile does no harm.
        if not wait_s:
            for buckets, key in asked:
                buckets.take(key, now)
        return wait_s

    def forget_full(self, now: float) -> None:
        self.visitors.forget_full(now)
        self.addresses.forget_full(now)


class Limiter:
    """Counts, for one hub.

    Args:
        clock: Seconds that go on steadily.
        metrics: Told of whatever comes too early.
    """

    def __init__(self, config: RateConfig, *, clock: Callable[[], float], metrics: Metrics = NO_METRICS) -> None:
        self._counts = {action: _Counts(getattr(config, action)) for action in Action}
        self._clock = clock
        self._metrics = metrics

    def tick(self) -> None:
        """Forget those who have not been here for so long that it makes no difference any more."""
        now = self._clock()
        for counts in self._counts.values():
            counts.forget_full(now)

    def wait_s(self, action: Action, *, visitor_id: str | None, address: str | None) -> int:
        """Count one, and return 0; or return how many seconds it is too early, and count nothing.

        Args:
            visitor_id: ``None``: nobody knows who it is.
            address: ``None``: it says nothing (see client_address.py).
        """
        wait_s = math.ceil(self._counts[action].take(visitor_id, address, self._clock()))
        if wait_s:
            self._metrics.count(LIMITED, action)
        return wait_s

    def check_request(self, action: Action, *, visitor_id: str | None, address: str | None) -> None:
        """Count an HTTP request, or a WebSocket's.

        Raises:
            RequestRefusedError: It comes too early.
        """
        wait_s = self.wait_s(action, visitor_id=visitor_id, address=address)
        if wait_s:
            raise RequestRefusedError(429, too_often(action, wait_s), retry_after_s=wait_s)

    def check_call(self, action: Action, *, visitor_id: str, address: str | None) -> None:
        """Count a call of a hub method.

        Raises:
            TooOftenError: It comes too early.
        """
        wait_s = self.wait_s(action, visitor_id=visitor_id, address=address)
        if wait_s:
            raise TooOftenError(too_often(action, wait_s), retry_after_s=wait_s)
