"""The settings of the built-in hub's limits: how often visitors may do what, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import setting_values as values

#: Looks a setting up, parses it, and names it when it cannot be used: key, parser, default.
Read = Callable[[str, Callable[[Any], Any], Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """What the hub's own defaults are replaced by.

    Attributes:
        rates: By the name of what is done, then ``visitor`` or ``address``: how many in how many seconds.
        trusted_proxies: Whose ``X-Forwarded-For`` is believed.
    """

    rates: Mapping[str, Mapping[str, tuple[int, float]]]
    connections_per_visitor: int
    connections_per_address: int
    chatrooms_per_visitor: int
    trusted_proxies: tuple[str, ...]

    @classmethod
    def of(cls, read: Read) -> LimitSettings:
        """Read the settings."""
        return cls(
            rates=read("CHATIX_HUB_LIMITS", values.rates, {}),
            connections_per_visitor=read("CHATIX_HUB_CONNECTIONS_PER_VISITOR", values.int_between(1, 10_000), 100),
            connections_per_address=read("CHATIX_HUB_CONNECTIONS_PER_ADDRESS", values.int_between(1, 1_000_000), 2000),
            chatrooms_per_visitor=read("CHATIX_HUB_CHATROOMS_PER_VISITOR", values.int_between(1, 1_000_000), 1000),
            trusted_proxies=read("CHATIX_HUB_TRUSTED_PROXIES", values.networks, ()),
        )
