"""What is counted and measured in a hub, and the small interface by which the other modules say so.

Nobody need listen: ``NO_METRICS`` takes everything and keeps nothing. Labels are words of ours, of which there are a
few: never an id, an address, or anything that somebody has sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

from ..errors import ChatixCommentsError

#: What stands before each name.
PREFIX = "chatix_hub_"
#: The label of whatever has no name of ours.
OTHER = "other"

#: Values now, by the labels that they have.
Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table.

    Attributes:
        name: Without the prefix; that of a counter gets ``_total`` at its end.
        labels: The names of its labels.
        buckets: Upper ends, of a histogram.
    """

    kind: Literal["counter", "histogram", "gauge"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

READY = Metric("gauge", "ready", "Whether the hub can do its work: 1 or 0.")
CONNECTIONS = Metric("gauge", "connections", "Connections that are open.", ("transport",))
CLOSED = Metric("counter", "connections_closed", "Connections that have ended.", ("transport", "reason"))
REFUSED = Metric("counter", "connections_refused", "Connections that were negotiated and refused.", ("status",))
ROOMS = Metric("gauge", "chatrooms_with_readers", "Chatrooms in which somebody is who has a connection.")
WAITING = Metric("gauge", "waiting_records", "Records that wait for all clients to take them.")
LONGEST = Metric("gauge", "waiting_records_longest", "Records that wait for the slowest client.")
MESSAGES = Metric("counter", "messages", "Messages that were posted, edited and deleted.", ("action",))
CALLS = Metric("counter", "calls", "Calls of hub methods.", ("method", "outcome"))
REQUESTS = Metric("counter", "requests", "HTTP requests and WebSockets, at their end.", ("operation", "status"))
REQUEST_TIME = Metric(
    "histogram", "request_seconds", "Time that HTTP requests took; without connections.", ("operation",), _DURATIONS_S
)
LIMITED = Metric("counter", "limited", "What visitors and addresses wanted to do too often.", ("action",))
UPLOADED = Metric("counter", "uploaded_bytes", "Bytes of files that were taken, as they are stored.")
COMMIT_TIME = Metric("histogram", "commit_seconds", "Time that a transaction of writes took.", (), _DURATIONS_S)
COMMIT_SIZE = Metric(
    "histogram", "commit_writes", "Writes that shared a transaction.", (), (1, 2, 5, 10, 20, 50, 100, 200)
)
COMMITS_FAILED = Metric("counter", "commits_failed", "Transactions that the database has refused as a whole.")
DATABASE_BYTES = Metric("gauge", "database_bytes", "Size of the database's files.")
DATABASE_FREE = Metric("gauge", "database_free_bytes", "What is free on the disk of the database.")
FILES_FREE = Metric("gauge", "files_free_bytes", "What is free on the disk of the readers' files.")
LOOP_LAG = Metric(
    "histogram", "event_loop_lag_seconds", "How late the event loop comes to what is due.", (), _DURATIONS_S
)

METRICS: tuple[Metric, ...] = (
    *(READY, CONNECTIONS, CLOSED, REFUSED, ROOMS, WAITING, LONGEST, MESSAGES, CALLS, REQUESTS, REQUEST_TIME),
    *(LIMITED, UPLOADED, COMMIT_TIME, COMMIT_SIZE, COMMITS_FAILED, DATABASE_BYTES, DATABASE_FREE, FILES_FREE, LOOP_LAG),
)


class Metrics(Protocol):
    """Takes what is counted and measured; from any thread, and never waits."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """Add to a counter."""

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """Add a value to a histogram."""

    def read(self, metric: Metric, source: Callable[[], Values]) -> None:
        """Ask *source* for the values of a gauge whenever somebody wants to know them."""


class NoMetrics:
    """``Metrics`` for nobody."""

    def count(self, metric: Metric, *labels: str, by: float = 1) -> None:
        """See ``Metrics``."""

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """See ``Metrics``."""

    def read(self, metric: Metric, source: Callable[[], Values]) -> None:
        """See ``Metrics``."""


NO_METRICS: Metrics = NoMetrics()


def outcome_of(exc: BaseException) -> str:
    """Return the label of a failure: ``not_allowed`` of ``NotAllowedError``, ``failed`` of what is not ours."""
    return _label_of(type(exc).__name__) if isinstance(exc, ChatixCommentsError) else "failed"


@lru_cache
def _label_of(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Error")).lower()
