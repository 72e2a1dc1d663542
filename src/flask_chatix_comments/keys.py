"""The keys of one application: one for each purpose, so that what one signs is noise to the others."""

from __future__ import annotations

from dataclasses import dataclass

from .config import ChatixConfig
from .tokens import derive_key, derive_text_key


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of each purpose, newest first: as set, or derived from the app's secrets."""

    post: tuple[bytes, ...]
    ticket: tuple[bytes, ...]
    guest: tuple[bytes, ...]
    plain: tuple[bytes, ...]
    hub_api: tuple[str, ...]

    @classmethod
    def of(cls, config: ChatixConfig) -> Keys:
        """Derive what is not set."""

        def keys(given: tuple[str, ...], label: str) -> tuple[bytes, ...]:
            return tuple(key.encode() for key in given) or tuple(derive_key(key, label) for key in config.secrets)

        return cls(
            post=keys(config.post_keys, "post token"),
            ticket=keys(config.ticket_keys, "visitor ticket"),
            guest=keys((), "guest cookie"),
            plain=keys((), "plain form"),
            hub_api=config.hub_api_keys or tuple(derive_text_key(key, "hub api") for key in config.secrets),
        )
