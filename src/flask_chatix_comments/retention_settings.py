"""The settings of what goes by itself when it is old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import setting_values as values

#: Looks a setting up, parses it, and names it when it cannot be used: key, parser, default.
Read = Callable[[str, Callable[[Any], Any], Any], Any]

MAX_DAYS = 36_500


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """After how many days the hub deletes what is old; 0: never.

    Attributes:
        comment_days, file_days: Since it was sent; a file is a comment of its own.
        room_days: Since somebody wrote in it.
        visitor_days: Since the visitor came.
    """

    comment_days: int
    file_days: int
    room_days: int
    visitor_days: int

    @classmethod
    def of(cls, read: Read) -> RetentionSettings:
        """Read the settings."""
        days = values.int_between(0, MAX_DAYS)
        return cls(
            comment_days=read("CHATIX_HUB_COMMENT_DAYS", days, 0),
            file_days=read("CHATIX_HUB_FILE_DAYS", days, 0),
            room_days=read("CHATIX_HUB_ROOM_DAYS", days, 0),
            visitor_days=read("CHATIX_HUB_VISITOR_DAYS", days, 0),
        )
