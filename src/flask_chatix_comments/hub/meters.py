"""Meters: what reads the hub's parts for ``metrics`` from outside, so that they need not know of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any

from ..errors import RequestRefusedError
from .backplane.base import Backplane, Event, Listener, MessageDeleted, MessageEdited, MessagePosted
from .membership import Membership
from .metrics import (
    COMMIT_SIZE,
    COMMIT_TIME,
    COMMITS_FAILED,
    CONNECTIONS,
    LONGEST,
    LOOP_LAG,
    MESSAGES,
    REFUSED,
    ROOMS,
    WAITING,
    Metrics,
    Values,
)
from .store.base import Batch
from .transports.channel import Channel
from .transports.channels import Channels

SAMPLE_S = 0.5
_ACTIONS: dict[type, str] = {MessagePosted: "posted", MessageEdited: "edited", MessageDeleted: "deleted"}

Scope = MutableMapping[str, Any]


class CountedBackplane:
    """A ``Backplane`` that counts what this process has done to messages; others count their own."""

    def __init__(self, backplane: Backplane, metrics: Metrics) -> None:
        self._backplane = backplane
        self._metrics = metrics
        self.listen: Callable[[Listener], None] = backplane.listen

    async def publish(self, event: Event) -> None:
        """Count an event, and hand it over."""
        if (action := _ACTIONS.get(type(event))) is not None:
            self._metrics.count(MESSAGES, action)
        await self._backplane.publish(event)


def count_refusals(admit: Callable[..., Channel], metrics: Metrics) -> Callable[..., Channel]:
    """Return *admit*, which lets a connection in or raises, with the refusals counted."""

    def counted(scope: Scope, **options: Any) -> Channel:
        try:
            return admit(scope, **options)
        except RequestRefusedError as exc:
            metrics.count(REFUSED, str(exc.status_code))
            raise

    return counted


def read_connections(metrics: Metrics, channels: Channels, membership: Membership) -> None:
    """Let *metrics* ask who is connected, and what waits for them."""
    metrics.read(CONNECTIONS, lambda: _by_transport(channels))
    metrics.read(ROOMS, lambda: {(): membership.count_visited()})
    metrics.read(WAITING, lambda: {(): sum(one.waiting_records for one in channels.attached())})
    metrics.read(LONGEST, lambda: {(): max((one.waiting_records for one in channels.attached()), default=0)})


def _by_transport(channels: Channels) -> Values:
    counts = Counter(one.transport for one in channels.attached())
    return {(transport,): count for transport, count in counts.items()}


def meter_of_batches(metrics: Metrics) -> Callable[[Batch], None]:
    """Return what is to be told of each batch of writes."""

    def note(batch: Batch) -> None:
        metrics.observe(COMMIT_TIME, batch.duration_s)
        metrics.observe(COMMIT_SIZE, batch.writes)
        if batch.cannot_write:
            metrics.count(COMMITS_FAILED)

    return note


async def measure_loop(metrics: Metrics) -> None:
    """Measure, until it is cancelled, how late this event loop is."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + SAMPLE_S
        await asyncio.sleep(SAMPLE_S)
        metrics.observe(LOOP_LAG, max(0.0, clock() - due))
