"""Which transports do not get through to whom.

The clients fall back by themselves where a transport is refused. Where a proxy accepts it and passes nothing on, they
wait, give up, and try the same again: then the hub no longer offers it to them, for a while.
"""

from __future__ import annotations

from collections.abc import Callable

#: What there is, the preferred one first, and how negotiate names it.
TRANSPORTS = {"websocket": "WebSockets", "sse": "ServerSentEvents", "long_polling": "LongPolling"}
#: What needs nothing but requests with answers, which have got through if there is a connection at all.
LAST_RESORT = "long_polling"
#: Somebody who travels is soon behind another proxy.
REMEMBERED_S = 600.0
MAX_REMEMBERED = 10_000


class Obstacles:
    """What was seen, by visitor and transport; the oldest is forgotten first.

    Args:
        clock: Seconds that go on steadily.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen_at: dict[tuple[str, str], float] = {}

    def note(self, visitor_id: str, transport: str) -> None:
        """Note that a client that was connected by *transport* could not make itself heard."""
        if transport == LAST_RESORT:
            return
        self._seen_at.pop((visitor_id, transport), None)
        self._seen_at[visitor_id, transport] = self._clock()
        if len(self._seen_at) > MAX_REMEMBERED:
            del self._seen_at[next(iter(self._seen_at))]

    def transports_for(self, visitor_id: str) -> tuple[str, ...]:
        """Return what to offer a visitor, as negotiate names it, the preferred one first."""
        return tuple(name for key, name in TRANSPORTS.items() if not self._is_in_the_way(visitor_id, key))

    def _is_in_the_way(self, visitor_id: str, transport: str) -> bool:
        seen_at = self._seen_at.get((visitor_id, transport))
        return seen_at is not None and self._clock() - seen_at < REMEMBERED_S
