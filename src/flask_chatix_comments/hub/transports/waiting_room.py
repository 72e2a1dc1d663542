"""Who has negotiated and not connected yet: plain bookkeeping, by visitor."""

from __future__ import annotations


class WaitingRoom:
    """The connection tokens that wait for their client; those of each visitor, oldest first."""

    def __init__(self) -> None:
        # Both dicts are ordered sets of a kind: the oldest is found first, and any goes without a search.
        self._tokens: dict[str, dict[str, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def count_of(self, visitor_id: str) -> int:
        """Return how many tokens of the visitor wait."""
        return len(self._tokens.get(visitor_id, ()))

    def add(self, visitor_id: str, token: str) -> None:
        """Let a new token wait."""
        self._tokens.setdefault(visitor_id, {})[token] = None
        self._count += 1

    def remove(self, visitor_id: str, token: str) -> None:
        """Forget a token that waits."""
        tokens = self._tokens[visitor_id]
        del tokens[token]
        if not tokens:
            del self._tokens[visitor_id]
        self._count -= 1

    def least_deserving(self) -> tuple[str, str]:
        """Return whose token, and which, gives way to a newcomer: the oldest of the visitor who has most.

        It looks at every visitor, so ask only when the room is full.
        """
        visitor_id = max(self._tokens, key=self.count_of)
        return visitor_id, next(iter(self._tokens[visitor_id]))
