"""The backplane of a hub in one process: those who listen are called at once."""

from __future__ import annotations

import logging

from .base import Event, Listener

logger = logging.getLogger(__name__)


class LocalBackplane:
    """A ``Backplane`` without a wire."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call *listener* with every event from now on."""
        self._listeners.append(listener)

    async def publish(self, event: Event) -> None:
        """Call those who listen; one that fails does not keep the others from hearing."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                logger.exception("An event of the kind %s could not be delivered.", type(event).__name__)
