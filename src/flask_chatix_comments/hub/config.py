"""What a hub needs to know: read once, checked at once, frozen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ..errors import ConfigError
from .client_address import ClientAddresses
from .rate_config import RateConfig

Presence = Literal["count", "members", "off"]

DAY_S = 86_400.0
MEBIBYTE = 1024 * 1024
# chatix-core puts the id into query strings as it is.
_WEBSITE_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadConfig:
    """What visitors may upload, and where it is kept.

    Attributes:
        folder: For the files, and for nothing else; one hub has it for itself.
        is_open: Whether new files are taken; those that are there are served in any case.
        max_image_pixels: While an image is looked at, each takes 8 bytes of memory, and up to 16 where it is turned
            and transparent.
        file_types: The MIME types that are taken; ``None``: any.
        files_per_hour, bytes_per_hour: For each visitor.
        lifetime_s: How long an upload waits for its message.
        idle_s: How long the hub waits for more of a file that is on its way.
        min_free_bytes: So much of the disk is left to others, the database first of all.
    """

    folder: Path
    is_open: bool = True
    max_file_bytes: int = 20 * MEBIBYTE
    max_image_pixels: int = 40_000_000
    file_types: tuple[str, ...] | None = None
    files_per_hour: int = 60
    bytes_per_hour: int = 200 * MEBIBYTE
    lifetime_s: float = DAY_S
    idle_s: float = 30.0
    min_free_bytes: int = 100 * MEBIBYTE

    def __post_init__(self) -> None:
        for name in ("max_file_bytes", "max_image_pixels", "files_per_hour", "bytes_per_hour", "lifetime_s", "idle_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"uploads.{name}", "give a number above zero.")
        if self.bytes_per_hour < self.max_file_bytes:
            raise ConfigError("uploads.bytes_per_hour", "not even one file of max_file_bytes would fit.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """When what is old goes by itself; ``None``: never.

    Attributes:
        messages_s: Messages that were sent longer ago are deleted.
        files_s: The same, for messages with a file or an image.
        chatrooms_s: Chatrooms in which nobody has written for so long are deleted; they can be restored for a while.
        visitors_s: What is known of visitors who have not come for so long, who are in no chatroom and of whom there
            is no message; managers aside.
    """

    messages_s: float | None = None
    files_s: float | None = None
    chatrooms_s: float | None = None
    visitors_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("messages_s", "files_s", "chatrooms_s", "visitors_s"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ConfigError(f"retention.{name}", "give a time above zero, or None.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """The settings of one hub, which serves one website.

    Attributes:
        website_id: What clients call the website; public.
        database_url: An SQLAlchemy URL; a file of SQLite in practice.
        ticket_keys: Keys of visitor tickets, newest first: all are accepted, the first one signs.
        api_keys: Keys of the REST API, newest first: all are accepted.
        metrics_keys: Keys of the metrics, newest first: all are accepted. Without one there are no metrics.
        allowed_origins: Pages on these may use the hub, besides those on a host of the hub's own name:
            ``https://blog.example``.
        presence: ``count``: readers see how many are there, and names only of those who have posted.
            ``members``: all joins are told by name. ``off``: nobody is told anything.
        grace_s: How long a visitor with a site ticket stays a member after its last connection dropped.
        ticket_lifetime_s: How long a get-id ticket is good; it is renewed past half of that.
        edit_window_s: How long visitors may edit and delete their own messages; 0: not at all.
        presence_interval_s: Joins are told together, once in this time for each chatroom.
        max_connections_per_visitor: One browser tab is one connection.
        max_connections_per_address: Behind one address there may be an office.
        max_chatrooms_per_visitor: How many chatrooms one visitor may be in by its own doing.
        rates: How often visitors may do what.
        trusted_proxies: Addresses and networks of proxies whose ``X-Forwarded-For`` is believed.
        ping_interval_s: How often each WebSocket is asked for a sign of life.
        ping_timeout_s: How long the client may take to give one; then it is dropped within seconds.
        public_url: Where all readers reach the hub, up to ``/v1``; ``None``: where each of them came in.
        uploads: ``None``: there are no files.
        logs_requests: Whether each request has a line in the log.
        restore_s: How long a deleted chatroom can be restored before it is gone for good; ``None``: always.
        retention: What goes by itself when it is old.
    """

    website_id: str
    # It may hold a password.
    database_url: str = field(repr=False)
    ticket_keys: tuple[bytes, ...] = field(repr=False)
    api_keys: tuple[str, ...] = field(repr=False)
    metrics_keys: tuple[str, ...] = field(default=(), repr=False)
    allowed_origins: tuple[str, ...] = ()
    presence: Presence = "count"
    max_message_chars: int = 10_000
    max_name_chars: int = 80
    grace_s: float = 60.0
    ticket_lifetime_s: float = 180 * DAY_S
    edit_window_s: float = 900.0
    presence_interval_s: float = 1.0
    max_connections_per_visitor: int = 100
    max_connections_per_address: int = 2000
    max_chatrooms_per_visitor: int = 1000
    rates: RateConfig = RateConfig()
    trusted_proxies: tuple[str, ...] = ()
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    public_url: str | None = None
    uploads: UploadConfig | None = None
    logs_requests: bool = False
    restore_s: float | None = 30 * DAY_S
    retention: RetentionConfig = RetentionConfig()

    def __post_init__(self) -> None:
        if not _WEBSITE_ID.fullmatch(self.website_id):
            raise ConfigError("website_id", "use 1 to 64 of the characters A-Z a-z 0-9 . _ ~ - only.")
        if not self.ticket_keys or not all(self.ticket_keys):
            raise ConfigError("ticket_keys", "give at least one key, none of them empty.")
        if not self.api_keys:
            raise ConfigError("api_keys", "give at least one key.")
        for name in ("api_keys", "metrics_keys"):
            if not all(key.isascii() and key.isprintable() and key.strip() for key in getattr(self, name)):
                raise ConfigError(name, "use printable ASCII characters only.")
        if self.presence not in ("count", "members", "off"):
            raise ConfigError("presence", "choose 'count', 'members' or 'off'.")
        for origin in self.allowed_origins:
            _check_origin(origin)
        for name in ("max_message_chars", "max_name_chars", "grace_s", "ticket_lifetime_s", "edit_window_s"):
            if getattr(self, name) < 0:
                raise ConfigError(name, "a negative number makes no sense here.")
        for name in ("ping_interval_s", "ping_timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(name, "give a time above zero.")
        for name in ("max_connections_per_visitor", "max_connections_per_address", "max_chatrooms_per_visitor"):
            if getattr(self, name) < 1:
                raise ConfigError(name, "give a number above zero.")
        try:
            ClientAddresses(self.trusted_proxies)
        except ValueError as exc:
            raise ConfigError("trusted_proxies", "give addresses or networks, like 10.0.0.0/8.") from exc
        if self.restore_s is not None and self.restore_s <= 0:
            raise ConfigError("restore_s", "give a time above zero, or None.")

    @property
    def max_values_per_text(self) -> int:
        """How many values a client may send at once: the longest message fits, be it of commas."""
        return max(16_384, self.max_message_chars + 4096)

    @property
    def max_record_bytes(self) -> int:
        """The largest record that a client may send: the longest message fits however it is escaped."""
        return max(262_144, self.max_message_chars * 12 + 4096)


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}" or not parts.hostname:
        raise ConfigError("allowed_origins", f"{origin!r} is not an origin like 'https://blog.example'.")
