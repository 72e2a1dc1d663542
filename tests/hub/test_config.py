"""The hub's settings are checked at once, and errors name the setting."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import ConfigError
from flask_chatix_comments.hub.config import MEBIBYTE, HubConfig
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("website_id", ""),
        ("website_id", "a b"),
        ("website_id", "site&ticket=x"),
        ("website_id", "x" * 65),
        ("ticket_keys", ()),
        ("ticket_keys", (b"k", b"")),
        ("api_keys", ()),
        ("api_keys", ("",)),
        ("api_keys", ("clé",)),
        ("api_keys", ("a\nb",)),
        ("presence", "everybody"),
        ("allowed_origins", ("*",)),
        ("allowed_origins", ("https://blog.example/",)),
        ("allowed_origins", ("blog.example",)),
        ("allowed_origins", ("https://",)),
        ("grace_s", -1),
        ("max_message_chars", -1),
        ("max_connections_per_visitor", 0),
        ("max_connections_per_address", 0),
        ("max_chatrooms_per_visitor", 0),
        ("trusted_proxies", ("proxy.example",)),
        ("ping_interval_s", 0),
        ("ping_timeout_s", -1),
        ("restore_s", 0),
    ],
)
def test_bad_settings(make_config: Callable[..., HubConfig], key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(**{key: value})
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_file_bytes", 0),
        ("max_image_pixels", 0),
        ("files_per_hour", 0),
        ("bytes_per_hour", 20 * MEBIBYTE - 1),
        ("lifetime_s", 0),
        ("idle_s", -1),
    ],
)
def test_bad_settings_of_uploads(make_config: Callable[..., HubConfig], key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        make_config(uploads={key: value})
    assert caught.value.key == f"uploads.{key}"


def test_good_settings_are_frozen(make_config: Callable[..., HubConfig]) -> None:
    config = make_config(allowed_origins=("https://blog.example", "http://127.0.0.1:5000", "http://[::1]:5000"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.website_id = "other"  # type: ignore[misc]  # that is what is tested


def test_secrets_are_in_no_repr(make_config: Callable[..., HubConfig]) -> None:
    config = make_config(ticket_keys=(b"ticket-secret",), api_keys=("api-secret",), database_url="x://u:db-secret@h/d")
    assert "-secret" not in repr(config)


def test_the_longest_message_fits_into_a_record(make_config: Callable[..., HubConfig]) -> None:
    assert make_config().max_record_bytes == 262_144
    assert make_config().max_values_per_text == ConnectionLimits().max_values_per_text == 16_384
    assert make_config(max_message_chars=100_000).max_values_per_text > 100_000
    # Escaped as a surrogate pair, one character takes 12 bytes.
    assert make_config(max_message_chars=100_000).max_record_bytes > 12 * 100_000
