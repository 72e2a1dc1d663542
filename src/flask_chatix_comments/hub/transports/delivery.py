"""Delivery: what happened in one turn of the event loop is told each client in one go.

A message for a thousand members makes no thousand tasks: it is queued for each of them, and behind all that is ready
in the same turn the channels are told, one after the other, that they have something to send. So messages that are
stored together leave together.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Protocol

logger = logging.getLogger(__name__)

#: So many are told in one go; then others have their turn.
TOLD_AT_ONCE = 200


class Hearer(Protocol):
    """Somebody who has something to send; a ``Channel``."""

    def tell(self) -> None:
        """Send what can be sent without waiting."""

    def lost(self) -> None:
        """Note that nothing can be sent any more."""


class Delivery:
    """The channels of this process that have something to send."""

    def __init__(self) -> None:
        self._due: deque[Hearer] = deque()
        self._records: list[str] = []
        self._text = ""

    def add(self, hearer: Hearer) -> None:
        """Tell *hearer* at the end of this turn of the event loop, which is the one that runs."""
        self._due.append(hearer)
        if len(self._due) == 1:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        count = min(len(self._due), TOLD_AT_ONCE)
        for _ in range(count):
            hearer = self._due[0]
            try:
                hearer.tell()
            except Exception:
                logger.exception("A connection failed.")
                hearer.lost()
            # Not before: it is the sign that this is going on.
            self._due.popleft()
        if self._due:
            asyncio.get_running_loop().call_soon(self._tell)

    def join(self, records: list[str]) -> str:
        """Return the records as one text: as one and the same to all who get the same ones, one after the other."""
        if records != self._records:
            self._records, self._text = records, "".join(records)
        return self._text
