"""Whose requests are counted together: what the server says counts, and of headers only what the site trusts."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.hub.client_address import ClientAddresses, parse_address
from flask_chatix_comments.hub.web_log import Seldom

PROXY = "10.0.0.1"


def key(peer: str | None, *forwarded: str, trusted: tuple[str, ...] = ()) -> str | None:
    scope = {
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"host", b"hub.example"), *((b"x-forwarded-for", value.encode("latin-1")) for value in forwarded)],
    }
    return ClientAddresses(trusted, Seldom()).key_of(scope)


def test_what_the_server_says() -> None:
    assert key("203.0.113.5") == "203.0.113.5"
    assert key("::ffff:203.0.113.5") == "203.0.113.5"


def test_who_has_a_network_of_ipv6_is_one_client() -> None:
    assert key("2001:db8:1:2::5") == key("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert key("2001:db8:1:3::5") == "2001:db8:1:3::/64"
    assert key("fe80::1%eth0") == "fe80::/64"


@pytest.mark.parametrize("peer", [None, "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "testclient"])
def test_this_machine_says_nothing(peer: str | None) -> None:
    assert key(peer) is None


@pytest.mark.parametrize("forged", ["198.51.100.7", "127.0.0.1", "::1", "nonsense", "", "198.51.100.7, 203.0.113.5"])
def test_a_forged_header_changes_nothing(forged: str) -> None:
    assert key("203.0.113.5", forged) == "203.0.113.5"
    assert key("203.0.113.5", forged, trusted=(PROXY,)) == "203.0.113.5"
    assert key("127.0.0.1", forged) is None


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        # Whatever the client sends stands before what the proxy adds.
        (["192.0.2.9, 198.51.100.7"], "198.51.100.7"),
        (["127.0.0.1, 198.51.100.7"], "198.51.100.7"),
        (["192.0.2.9", "198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["[2001:db8::1]:4711"], "2001:db8::/64"),
        (["2001:db8::1"], "2001:db8::/64"),
        ([f"{'192.0.2.9, ' * 5000}198.51.100.7"], "198.51.100.7"),
        # A proxy of ours has nothing of the kind before it: these are no reader's.
        ([], None),
        ([""], None),
        (["unknown"], None),
        (["198.51.100.7, unknown"], None),
        (["10.0.0.2, 10.0.0.3"], None),
        ([", ".join(["10.0.0.2"] * 5000)], None),
    ],
)
def test_behind_a_proxy_that_is_trusted(forwarded: list[str], expected: str | None) -> None:
    assert key(PROXY, *forwarded, trusted=("10.0.0.0/8",)) == expected
    assert key(PROXY, *forwarded) == PROXY


@pytest.mark.parametrize(("peer", "expected"), [("127.0.0.1", None), ("172.17.0.2", "172.17.0.2")])
def test_a_proxy_near_by_that_nobody_has_named_is_told_of(
    peer: str, expected: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    addresses = ClientAddresses(())
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", b"198.51.100.7")]}
    for _ in range(3):
        assert addresses.key_of(scope) == expected
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "CHATIX_HUB_TRUSTED_PROXIES" in record.getMessage()
    assert "198.51.100.7" not in record.getMessage()


@given(st.text(max_size=60) | st.from_regex(r"[0-9a-f:.\[\]%, ]{0,60}"))
def test_any_text(text: str) -> None:
    parse_address(text)
    key(PROXY, text.encode("ascii", "ignore").decode(), trusted=(PROXY,))


def test_strangers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    addresses = ClientAddresses(())
    for number in range(3):
        addresses.key_of({"client": (f"8.8.8.{number}", 1), "headers": [(b"x-forwarded-for", b"198.51.100.7")]})
    assert caplog.records == []
