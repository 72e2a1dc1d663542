"""Who wrote what, on a service whose messages do not say: asked for once in a while, and kept in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import ApiError, ApiStatusError
from .models import Message, SenderFlag

if TYPE_CHECKING:
    from .api import ChatixApi

#: Names that are kept, and for how long.
MAX_KEPT = 10_000
MAX_AGE_S = 600.0
#: How many are asked for while a page may wait; the others come with the next fetch.
AT_ONCE = 10


class SenderNames:
    """Adds names to messages without one. Managers have none: what they are called only the widget knows.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # No lock: what is done to it is one step of the interpreter each.
        self._kept: dict[str, tuple[float, str | None]] = {}

    def add_to(self, messages: Iterable[Message], api: ChatixApi) -> tuple[Message, ...]:
        """Return the messages, with names where they are known or the service tells them."""
        messages = tuple(messages)
        nameless = {
            message.sender_id: None
            for message in messages
            if message.sender_name is None and message.sender_flag is SenderFlag.VISITOR
        }
        self._ask([sender_id for sender_id in nameless if self._is_due(sender_id)][:AT_ONCE], api)
        return tuple(self._named(message) if message.sender_id in nameless else message for message in messages)

    def _is_due(self, sender_id: str) -> bool:
        known = self._kept.get(sender_id)
        return known is None or self._clock() - known[0] > MAX_AGE_S

    def _ask(self, sender_ids: Iterable[str], api: ChatixApi) -> None:
        for sender_id in sender_ids:
            try:
                name = api.get_visitor(sender_id).name
            except ApiStatusError:
                name = None
            except ApiError:
                # Comments without names are better than none.
                return
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[sender_id] = (self._clock(), name)

    def _named(self, message: Message) -> Message:
        known = self._kept.get(message.sender_id)
        return replace(message, sender_name=known[1]) if known is not None and message.sender_name is None else message
