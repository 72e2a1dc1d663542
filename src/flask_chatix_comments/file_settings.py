"""The settings of files: what may be attached, how much of it, and where the hub keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import setting_values as values
from .errors import ConfigError

#: Looks a setting up, parses it, and names it when it cannot be used: key, parser, default.
Read = Callable[[str, Callable[[Any], Any], Any], Any]

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """What readers may attach to a comment.

    Attributes:
        max_files: With one comment; 0: none at all.
        types: The MIME types that are taken; ``None``: any.
        per_hour, bytes_per_hour: From each visitor.
        folder: Where the built-in hub keeps them.
    """

    max_files: int
    max_bytes: int
    max_image_pixels: int
    types: tuple[str, ...] | None
    per_hour: int
    bytes_per_hour: int
    folder: Path

    @classmethod
    def of(cls, read: Read, *, instance_path: str | Path, hub_lock_path: Path) -> FileSettings:
        """Read the settings.

        Args:
            instance_path: A relative folder counts from here.
            hub_lock_path: Beside it is the folder by default: there is the hub's database.
        """
        folder = read("CHATIX_HUB_FILES", values.path, None)
        settings = cls(
            max_files=read("CHATIX_MAX_FILES", values.int_between(0, 100), 10),
            max_bytes=read("CHATIX_MAX_FILE_BYTES", values.int_between(1, 2048 * MEBIBYTE), 20 * MEBIBYTE),
            max_image_pixels=read("CHATIX_MAX_IMAGE_PIXELS", values.int_between(1, 200_000_000), 40_000_000),
            types=read("CHATIX_FILE_TYPES", values.media_types, None),
            per_hour=read("CHATIX_FILES_PER_HOUR", values.int_between(1, 100_000), 60),
            bytes_per_hour=read("CHATIX_BYTES_PER_HOUR", values.int_between(1, 10**12), 200 * MEBIBYTE),
            folder=Path(instance_path).resolve() / folder if folder else hub_lock_path.with_suffix(".files"),
        )
        if settings.bytes_per_hour < settings.max_bytes:
            raise ConfigError(
                "CHATIX_BYTES_PER_HOUR",
                f"is less than CHATIX_MAX_FILE_BYTES, {settings.max_bytes}: no file of that size could be attached.",
            )
        return settings
