"""Tokens: what one site signs for one purpose is noise to everything else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from flask_chatix_comments import tokens
from flask_chatix_comments.errors import TokenExpiredError, TokenInvalidError
from flask_chatix_comments.tokens import (
    BrowserCookies,
    ConnectionTokens,
    FilePasses,
    GuestClaim,
    GuestCookies,
    PostClaim,
    PostTokens,
    VisitorTicket,
    VisitorTickets,
    derive_key,
    derive_text_key,
)

NOW = 1_800_000_000
KEYS = (b"the key of this year", b"the key of last year")
CLAIM = PostClaim("p-7", "Über <b>&\u2028", is_private=True)
TICKET = VisitorTicket("g-abc", issued_at=NOW, expires_at=NOW + 100, name="Jo", is_manager=True, is_persistent=True)
GUEST = GuestClaim("g-abc", "Jo", issued_at=NOW, expires_at=NOW + 100)

Check = Callable[[str], object]
Sign = Callable[[], str]


def post_token(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    tokens = PostTokens(keys, website_id=website_id)
    return lambda: tokens.sign(CLAIM), tokens.check


def ticket(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    tickets = VisitorTickets(keys, website_id=website_id)
    return lambda: tickets.sign(TICKET), lambda text: tickets.check(text, now=NOW)


def cookie(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    cookies = GuestCookies(keys, website_id=website_id)
    return lambda: cookies.sign(GUEST), lambda text: cookies.check(text, now=NOW)


def browser_cookie(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    browsers = BrowserCookies(keys, website_id=website_id)
    return lambda: browsers.sign("browser-1"), browsers.check


def file_pass(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    passes = FilePasses(keys, website_id=website_id)
    return lambda: passes.sign("room", "g-abc", expires_at=NOW + 100), lambda text: passes.check(text, "room", now=NOW)


def connection_token(keys: tuple[bytes, ...] = KEYS, website_id: str = "blog") -> tuple[Sign, Check]:
    connections = ConnectionTokens(keys, website_id=website_id)
    return lambda: connections.sign("secret", "ticket", until=NOW), lambda text: connections.check(text, "ticket")


KINDS = [
    (post_token, CLAIM),
    (ticket, TICKET),
    (cookie, GUEST),
    (browser_cookie, "browser-1"),
    (file_pass, "g-abc"),
    (connection_token, NOW),
]
KIND_NAMES = ["post", "ticket", "cookie", "browser", "file", "connection"]
every_kind = pytest.mark.parametrize(("kind", "content"), KINDS, ids=KIND_NAMES)


# Keys: RFC 5869, appendix A (SHA-256)

EXPANSIONS = [
    (  # A.1
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        bytes(range(0xF0, 0xFA)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (  # A.2
        "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
        bytes(range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (  # A.3
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        b"",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]


@pytest.mark.parametrize(("pseudo_random_key", "info", "output"), EXPANSIONS, ids=["A.1", "A.2", "A.3"])
def test_expansion_gives_the_rfcs_vectors(pseudo_random_key: str, info: bytes, output: str) -> None:
    expected = bytes.fromhex(output)
    assert tokens._expand(bytes.fromhex(pseudo_random_key), info, len(expected)) == expected


def test_extraction_gives_the_rfcs_vector() -> None:
    # A.3 has no salt, as we have none; what we derive is that key's expansion with our label as info.
    extracted = bytes.fromhex(EXPANSIONS[2][0])
    expected = tokens._expand(extracted, b"flask-chatix-comments a label", 42)
    assert derive_key(b"\x0b" * 22, "a label", length=42) == expected


def test_a_key_belongs_to_one_secret_and_one_label() -> None:
    keys = {derive_key(secret, label) for secret in ("one", "other") for label in ("post", "ticket")}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {32}
    assert derive_key("één", "x") == derive_key("één".encode(), "x")


def test_hkdf_has_an_end() -> None:
    assert len(derive_key("secret", "x", length=255 * 32)) == 8160
    with pytest.raises(ValueError, match="256"):
        derive_key("secret", "x", length=255 * 32 + 1)


def test_a_text_key_stands_in_a_header() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", derive_text_key("secret", "hub api"))


# All three kinds of token


@every_kind
def test_what_was_signed_comes_back(kind: Any, content: object) -> None:
    sign, check = kind()
    assert check(sign()) == content


@every_kind
def test_tokens_stand_in_urls_and_attributes_as_they_are(kind: Any, content: object) -> None:
    sign, _ = kind()
    assert re.fullmatch(r"[A-Za-z0-9._-]+", sign())


@every_kind
def test_signing_twice_gives_the_same_text(kind: Any, content: object) -> None:
    # Pages differ otherwise between workers, and page caches keep more than they need.
    assert kind()[0]() == kind()[0]()


@every_kind
def test_any_changed_character_breaks_it(kind: Any, content: object) -> None:
    sign, check = kind()
    text = sign()
    # The last character of a part carries bits that base64 does not use.
    ends = {len(text) - 1, text.rindex(".") - 1}
    for position in set(range(len(text))) - ends:
        other = "A" if text[position] != "A" else "B"
        with pytest.raises(TokenInvalidError):
            check(text[:position] + other + text[position + 1 :])


@every_kind
@pytest.mark.parametrize(
    "text", ["", ".", "..", "abc", "W10.abc", "é", "\ud800", "\0", "A" * 100_000, "WzFd" + "." * 50]
)
def test_what_is_no_token_is_refused(kind: Any, content: object, text: str) -> None:
    with pytest.raises(TokenInvalidError):
        kind()[1](text)


@every_kind
def test_another_sites_token_is_refused(kind: Any, content: object) -> None:
    sign, _ = kind(website_id="other")
    with pytest.raises(TokenInvalidError):
        kind()[1](sign())


@every_kind
def test_another_purposes_token_is_refused(kind: Any, content: object) -> None:
    # Even with one and the same key, the salt keeps purposes apart.
    for other, _ in KINDS:
        if other is not kind:
            with pytest.raises(TokenInvalidError):
                kind()[1](other()[0]())


@every_kind
def test_another_keys_token_is_refused(kind: Any, content: object) -> None:
    sign, _ = kind((b"the key of somebody else",))
    with pytest.raises(TokenInvalidError):
        kind()[1](sign())


@every_kind
def test_the_newest_key_signs_and_older_ones_are_accepted(kind: Any, content: object) -> None:
    new, old = (b"new",), (b"old",)
    sign_old, check_old = kind(old)
    sign_both, check_both = kind(new + old)
    _, check_new = kind(new)
    assert check_both(sign_old()) == check_new(sign_both()) == content
    for check, sign in ((check_old, sign_both), (check_new, sign_old)):
        with pytest.raises(TokenInvalidError):
            check(sign())


@pytest.mark.parametrize("make", [PostTokens, VisitorTickets, GuestCookies, BrowserCookies, ConnectionTokens])
def test_without_a_key_there_are_no_tokens(make: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="at least one key"):
        make((), website_id="blog")


def signed_with_our_key(purpose: str, content: Any) -> str:
    serializer = URLSafeSerializer(
        KEYS[0],
        salt=f"flask-chatix-comments.{purpose}.blog",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    return str(serializer.dumps(content))


GOOD: dict[str, list[Any]] = {
    "post": ["p", "t", 0],
    "ticket": ["v", None, 0, "site", NOW, NOW + 1, None],
    "guest": ["v", "n", NOW, NOW + 1],
}
CHECKS = {"post": post_token, "ticket": ticket, "guest": cookie}


@pytest.mark.parametrize("purpose", GOOD)
def test_our_own_signature_over_other_content_is_refused(purpose: str) -> None:
    _, check = CHECKS[purpose]()
    good = GOOD[purpose]
    assert check(signed_with_our_key(purpose, good))
    shapes: list[Any] = [good[:-1], [*good, 1], dict(enumerate(good)), "text", 1, None, []]
    wrong_types = [[*good[:i], {"x": 1}, *good[i + 1 :]] for i in range(len(good))]
    for content in shapes + wrong_types:
        with pytest.raises(TokenInvalidError, match="of this version"):
            check(signed_with_our_key(purpose, content))


def test_a_ticket_of_an_unknown_kind_is_refused() -> None:
    _, check = ticket()
    with pytest.raises(TokenInvalidError, match="of this version"):
        check(signed_with_our_key("ticket", ["v", None, 0, "root", NOW, NOW + 1]))


# Time


@pytest.mark.parametrize(("age_s", "is_good"), [(0, True), (99, True), (99.9, True), (100, False), (1e9, False)])
def test_tickets_and_cookies_expire(age_s: float, is_good: bool) -> None:
    tickets, cookies = VisitorTickets(KEYS, website_id="blog"), GuestCookies(KEYS, website_id="blog")
    for check in (
        lambda: tickets.check(tickets.sign(TICKET), now=NOW + age_s),
        lambda: cookies.check(cookies.sign(GUEST), now=NOW + age_s),
    ):
        if is_good:
            assert check()
        else:
            with pytest.raises(TokenExpiredError) as caught:
                check()
            assert caught.value.issued_at == NOW


def test_a_pass_is_for_one_chatroom_and_a_time_and_may_be_the_sites() -> None:
    passes = FilePasses(KEYS, website_id="blog")
    text = passes.sign("room", None, expires_at=NOW + 100)
    assert passes.check(text, "room", now=NOW + 99.9) is None
    with pytest.raises(TokenExpiredError):
        passes.check(text, "room", now=NOW + 100)
    with pytest.raises(TokenInvalidError):
        passes.check(text, "another", now=NOW)


def test_a_connection_is_one_tickets_and_no_other() -> None:
    connections = ConnectionTokens(KEYS, website_id="blog")
    text = connections.sign("secret", "ticket", until=NOW + 14.5)
    # Rounded up: nobody is too late because of that.
    assert connections.check(text, "ticket") == NOW + 15
    for other in ("", "another", "ticke", "ticket.", "ticket\0", "\ud800"):
        with pytest.raises(TokenInvalidError):
            connections.check(text, other)
    assert connections.sign("another secret", "ticket", until=NOW + 14.5) != text


def test_a_forged_ticket_is_invalid_before_it_is_expired() -> None:
    sign, _ = ticket((b"the key of somebody else",))
    with pytest.raises(TokenInvalidError):
        VisitorTickets(KEYS, website_id="blog").check(sign(), now=NOW + 1e9)


@pytest.mark.parametrize("is_manager", [False, True])
@pytest.mark.parametrize("is_persistent", [False, True])
@pytest.mark.parametrize("kind", ["site", "get-id"])
@pytest.mark.parametrize("name", [None, "", "Jo"])
@pytest.mark.parametrize("hub_url", [None, "/blog/hub/v1"])
def test_every_combination_of_a_ticket_survives(
    is_manager: bool, is_persistent: bool, kind: Any, name: Any, hub_url: str | None
) -> None:
    tickets = VisitorTickets(KEYS, website_id="blog")
    signed = VisitorTicket("v", NOW, NOW + 1, name, is_manager, is_persistent, kind, hub_url)
    assert tickets.check(tickets.sign(signed), now=NOW) == signed


@given(post_id=st.text(min_size=1), title=st.text(), is_private=st.booleans())
def test_any_text_survives_a_post_token(post_id: str, title: str, is_private: bool) -> None:
    signer = PostTokens(KEYS, website_id="blog")
    claim = PostClaim(post_id, title, is_private)
    assert signer.check(signer.sign(claim)) == claim


@given(text=st.text())
def test_no_text_makes_checking_fail_in_another_way(text: str) -> None:
    for _, check in (kind() for kind, _ in KINDS):
        with pytest.raises(TokenInvalidError):
            check(text)
