"""Which connections wait for their client to ask for something: plain bookkeeping, for each server."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

ServerT = TypeVar("ServerT")
ConnectionT = TypeVar("ConnectionT")


class Idlers(Generic[ServerT, ConnectionT]):
    """The connections of each server on which nothing is asked for, the one that has been so longest first."""

    def __init__(self) -> None:
        self._by_server: WeakKeyDictionary[ServerT, dict[ConnectionT, None]] = WeakKeyDictionary()

    def add(self, server: ServerT, connection: ConnectionT) -> None:
        """Note that a connection waits from now on."""
        idlers = self._by_server.setdefault(server, {})
        idlers.pop(connection, None)
        idlers[connection] = None

    def remove(self, server: ServerT, connection: ConnectionT) -> None:
        """Note that a connection waits no more; whether it did makes no difference."""
        self._by_server.get(server, {}).pop(connection, None)

    def take_oldest(self, server: ServerT) -> ConnectionT | None:
        """Return the one that has waited longest, which is forgotten, if there is any."""
        idlers = self._by_server.get(server)
        if not idlers:
            return None
        oldest = next(iter(idlers))
        del idlers[oldest]
        return oldest
