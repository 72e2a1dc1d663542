"""URLs for each reader, and what they name when they come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from flask_chatix_comments.hub.addresses import base_url_of, file_path, has_paths, located, thumb_path, upload_id_in
from flask_chatix_comments.models import Message, MessageType, SenderFlag

FILE = Message(
    message_id="m",
    chatroom_id="r",
    type=MessageType.FILE,
    sender_flag=SenderFlag.VISITOR,
    sender_id="ada",
    sent_at=datetime(2026, 1, 1, tzinfo=UTC),
    file_url="/file/id/a.pdf",
)


def scope(host: str | None = "blog.example:5001", **changes: Any) -> dict[str, Any]:
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    return {"scheme": "http", "headers": headers, "server": ("10.0.0.1", 5001), "root_path": "/v1"} | changes


def asked_by(origin: str, host: str = "blog.example", **changes: Any) -> dict[str, Any]:
    return scope(headers=[(b"host", host.encode()), (b"origin", origin.encode())], **changes)


@pytest.mark.parametrize(
    ("request_scope", "url"),
    [
        (scope(), "http://blog.example:5001/v1"),
        (scope(scheme="ws"), "http://blog.example:5001/v1"),
        (scope("blog.example", scheme="wss"), "https://blog.example/v1"),
        (scope("[2001:db8::1]:8443", scheme="https"), "https://[2001:db8::1]:8443/v1"),
        (scope(root_path="/chat/v1"), "http://blog.example:5001/chat/v1"),
        (scope(root_path="/my chat/v1"), "http://blog.example:5001/my%20chat/v1"),
        # A page on the very same host has come by the scheme that works.
        (asked_by("https://blog.example"), "https://blog.example/v1"),
        (asked_by("http://blog.example", scheme="wss"), "http://blog.example/v1"),
        (asked_by("https://blog.example:5001"), "http://blog.example/v1"),
        *[
            (asked_by(origin), "http://blog.example/v1")
            for origin in ("null", "ftp://blog.example", "https://other.example", "https://blog.example/", "")
        ],
        (scope(headers=[(b"host", b"blog.example"), (b"x-forwarded-prefix", b"/blog")]), "http://blog.example/v1"),
        (scope(None), "http://10.0.0.1:5001/v1"),
        (scope(None, server=("::1", 5001)), "http://[::1]:5001/v1"),
        (scope(None, server=("/run/hub.sock", None)), "http://localhost/v1"),
        (scope(None, server=None), "http://localhost/v1"),
        # Nothing that could end a host, or be one within markup.
        *[(scope(host), "http://10.0.0.1:5001/v1") for host in ("", "a b", "a/b", "a@b", 'a"b', "a:b", "é", "a" * 254)],
        (scope(headers=[(b"host", b"a"), (b"host", b"b")]), "http://10.0.0.1:5001/v1"),
    ],
)
def test_the_base_is_where_the_reader_came(request_scope: dict[str, Any], url: str) -> None:
    assert base_url_of(request_scope, None) == url
    assert base_url_of(request_scope, "https://hub.example/v1") == "https://hub.example/v1"


@pytest.mark.parametrize("public_url", [None, "https://hub.example/v1"])
def test_the_base_is_where_the_site_has_sent_the_reader(public_url: str | None) -> None:
    path = "/caf%C3%A9/chatix-comments/hub/v1"
    for request_scope, url in (
        (scope(), f"http://blog.example:5001{path}"),
        (scope("blog.example", scheme="wss"), f"https://blog.example{path}"),
        (asked_by("https://blog.example"), f"https://blog.example{path}"),
    ):
        assert base_url_of(request_scope, public_url, told=path) == url
    assert base_url_of(scope(), public_url, told="https://chat.example/x/v1") == "https://chat.example/x/v1"


def test_a_path_comes_back_from_any_host() -> None:
    path = file_path("0f" * 16, "Straße 100%.pdf")
    assert path == "/file/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f/Stra%C3%9Fe%20100%25.pdf"
    for base in ("http://a.example/v1", "https://b.example:8443/some/file/where/v1"):
        assert upload_id_in(base + path) == "0f" * 16
        assert upload_id_in(f"{base}{path}?x=1#y") == "0f" * 16


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://a.example/",
        "https://a.example/v1/file/",
        "https://a.example/v1/file/id",
        "https://a.example/v1/file/id/",
        "https://a.example/v1/file/id/thumb/100",
        "https://a.example/v1/file/../x",
        "https://a.example/v1/file/a%2Fb/x",
        "https://a.example/v1/profile/id/x",
        "https://a.example/?x=/file/id/x",
        "https://[/file/id/x",
    ],
)
def test_other_urls_name_no_upload(url: str | None) -> None:
    assert upload_id_in(url) is None


def test_paths_become_urls_and_urls_stay() -> None:
    image = replace(
        FILE,
        type=MessageType.IMAGE,
        file_url=None,
        original_url="/file/id/a.png",
        thumb_100_url=thumb_path("id", 100),
        thumb_300_url="https://elsewhere.example/t.png",
    )
    assert has_paths(image)
    told = located(image, "https://a.example/v1")
    assert (told.original_url, told.thumb_100_url, told.thumb_300_url) == (
        "https://a.example/v1/file/id/a.png",
        "https://a.example/v1/file/id/thumb/100",
        "https://elsewhere.example/t.png",
    )
    assert told.client_key == told.original_url
    assert not has_paths(told)


def test_the_key_of_a_file_is_its_url_unless_it_has_another() -> None:
    assert located(FILE, "https://a.example/v1").client_key == "https://a.example/v1/file/id/a.pdf"
    assert located(replace(FILE, client_key="mine"), "https://a.example/v1").client_key == "mine"
    linked = replace(FILE, file_url="https://elsewhere.example/file/id/a.pdf")
    assert located(linked, "https://a.example/v1") == linked
    assert not has_paths(linked)
