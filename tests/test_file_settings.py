"""The settings of files: what they mean, what is refused, and what the hub and the page get of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.config import ChatixConfig
from flask_chatix_comments.errors import ConfigError
from flask_chatix_comments.hub.config import UploadConfig
from tests.flask_support import SECRET, Site


def read(settings: dict[str, Any]) -> ChatixConfig:
    return ChatixConfig.from_mapping({"SECRET_KEY": SECRET} | settings, instance_path="/srv/blog/instance")


@pytest.mark.parametrize(
    ("key", "value", "expected", "attribute"),
    [
        ("CHATIX_MAX_FILES", "0", 0, "files.max_files"),
        ("CHATIX_MAX_FILE_BYTES", "104857600", 104_857_600, "files.max_bytes"),
        ("CHATIX_MAX_IMAGE_PIXELS", 200_000_000, 200_000_000, "files.max_image_pixels"),
        ("CHATIX_FILE_TYPES", "image/png, Application/PDF", ("image/png", "application/pdf"), "files.types"),
        ("CHATIX_FILE_TYPES", '["image/svg+xml"]', ("image/svg+xml",), "files.types"),
        ("CHATIX_FILE_TYPES", ("image/png",), ("image/png",), "files.types"),
        ("CHATIX_FILES_PER_HOUR", "1", 1, "files.per_hour"),
        ("CHATIX_BYTES_PER_HOUR", "1000000000000", 10**12, "files.bytes_per_hour"),
        ("CHATIX_HUB_FILES", "attached", Path("/srv/blog/instance/attached"), "files.folder"),
        ("CHATIX_HUB_FILES", "/var/files", Path("/var/files"), "files.folder"),
        ("CHATIX_HUB_FILES", Path("/var/files"), Path("/var/files"), "files.folder"),
        ("CHATIX_HUB_DATABASE_URL", "sqlite:////data/talk.db", Path("/data/talk.db.files"), "files.folder"),
        ("CHATIX_HUB_DATABASE_URL", "postgresql:///b", Path("/srv/blog/instance/chatix_hub.files"), "files.folder"),
        ("CHATIX_HUB_RESTORE_DAYS", "0", 0, "hub_restore_days"),
    ],
)
def test_settings_are_understood(key: str, value: Any, expected: Any, attribute: str) -> None:
    assert operator.attrgetter(attribute)(read({key: value})) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CHATIX_MAX_FILES", 101),
        ("CHATIX_MAX_FILES", -1),
        ("CHATIX_MAX_FILE_BYTES", 0),
        ("CHATIX_MAX_FILE_BYTES", "20M"),
        ("CHATIX_MAX_IMAGE_PIXELS", 0),
        ("CHATIX_FILE_TYPES", "pdf"),
        ("CHATIX_FILE_TYPES", "image/*"),
        ("CHATIX_FILE_TYPES", []),
        ("CHATIX_FILE_TYPES", [1]),
        ("CHATIX_FILES_PER_HOUR", 0),
        ("CHATIX_BYTES_PER_HOUR", 20 * 1024 * 1024 - 1),
        ("CHATIX_HUB_FILES", 5),
        ("CHATIX_HUB_FILES", "a\0b"),
        ("CHATIX_HUB_RESTORE_DAYS", -1),
    ],
)
def test_a_refusal_names_the_setting(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        read({key: value})
    assert caught.value.key == key


def test_the_hub_of_the_site_has_its_limits(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site(
        CHATIX_HUB_FILES=str(tmp_path / "files"),
        CHATIX_MAX_FILE_BYTES=1000,
        CHATIX_MAX_IMAGE_PIXELS=2000,
        CHATIX_FILE_TYPES="text/plain",
        CHATIX_FILES_PER_HOUR=3,
        CHATIX_BYTES_PER_HOUR=4000,
        CHATIX_HUB_RESTORE_DAYS=2,
    )
    config = site.state.hub_config()
    assert config.uploads == UploadConfig(
        folder=tmp_path / "files",
        max_file_bytes=1000,
        max_image_pixels=2000,
        file_types=("text/plain",),
        files_per_hour=3,
        bytes_per_hour=4000,
    )
    assert (config.restore_s, config.public_url) == (2 * 86_400, None)


def test_what_is_switched_off_is_closed_and_what_never_ends_has_no_end(make_site: Callable[..., Site]) -> None:
    config = make_site(
        CHATIX_MAX_FILES=0, CHATIX_HUB_RESTORE_DAYS=0, CHATIX_HUB_URL="https://blog.example/chat"
    ).state.hub_config()
    assert config.uploads is not None
    assert not config.uploads.is_open
    assert config.restore_s is None
    assert config.public_url == "https://blog.example/chat/v1"
