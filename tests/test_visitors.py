"""Who is reading: the order of what is believed, names, and what outlives what."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments.errors import ConfigError, TokenExpiredError
from flask_chatix_comments.models import Visitor
from flask_chatix_comments.tokens import GuestClaim, GuestCookies, VisitorTicket, VisitorTickets
from flask_chatix_comments.visitors import (
    COOKIE_LIFETIME_S,
    LEAVING_GRACE_S,
    TICKET_LIFETIME_S,
    Identity,
    NameRefusedError,
    Visitors,
    clean_guest_name,
    shorten_user_name,
    user_key,
)
from tests.flask_support import Clock

KEYS = (b"a key of the tests",)
TICKETS = VisitorTickets(KEYS, website_id="blog")
COOKIES = GuestCookies(KEYS, website_id="blog")
USER = Visitor(key=7, name="Jonas Petri", email="jonas@blog.example")


@pytest.fixture
def visitors(clock: Clock) -> Visitors:
    return Visitors(tickets=TICKETS, cookies=COOKIES, visitor_id_for=lambda key: f"user{key}", clock=clock)


@pytest.fixture
def with_widget(clock: Clock) -> Visitors:
    return Visitors(tickets=TICKETS, cookies=COOKIES, visitor_id_for=None, clock=clock)


def cookie_of(clock: Clock, visitor_id: str = "g-cookie", name: str = "Ida") -> str:
    return COOKIES.sign(GuestClaim(visitor_id, name, issued_at=clock(), expires_at=clock() + 100))


def ticket_of(clock: Clock, visitor_id: str = "g-ticket", **fields: Any) -> str:
    return TICKETS.sign(VisitorTicket(visitor_id, issued_at=clock(), expires_at=clock() + 100, **fields))


class TestIdentify:
    def test_a_user_comes_before_cookie_and_ticket(self, visitors: Visitors, clock: Clock) -> None:
        identity = visitors.identify(USER, cookie=cookie_of(clock), ticket=ticket_of(clock))
        assert identity == Identity("user7", "Jonas Petri", is_signed_in=True, is_persistent=True)

    def test_a_manager_is_one(self, visitors: Visitors) -> None:
        assert visitors.identify(replace(USER, is_manager=True), cookie=None, ticket=None).is_manager

    def test_a_cookie_comes_before_a_ticket(self, visitors: Visitors, clock: Clock) -> None:
        identity = visitors.identify(None, cookie=cookie_of(clock), ticket=ticket_of(clock))
        assert identity == Identity("g-cookie", "Ida", is_persistent=True)

    def test_a_ticket_keeps_its_id(self, visitors: Visitors, clock: Clock) -> None:
        assert visitors.identify(None, cookie=None, ticket=ticket_of(clock)) == Identity("g-ticket")

    def test_a_guest_who_took_part_without_cookies_stays_the_same(self, visitors: Visitors, clock: Clock) -> None:
        ticket = ticket_of(clock, name="Ida", is_persistent=True)
        assert visitors.identify(None, cookie=None, ticket=ticket) == Identity("g-ticket", "Ida", is_persistent=True)

    def test_nobody_known_gets_a_fresh_id_each_time(self, visitors: Visitors) -> None:
        first, second = (visitors.identify(None, cookie=None, ticket=None) for _ in range(2))
        assert first == Identity(first.visitor_id)
        assert first.visitor_id != second.visitor_id
        assert str(first.visitor_id).startswith("g-")

    def test_a_signed_out_users_ticket_is_nobodys(self, visitors: Visitors, clock: Clock) -> None:
        signed_in = visitors.identify(replace(USER, is_manager=True), cookie=None, ticket=None)
        later = visitors.identify(None, cookie=None, ticket=visitors.issue_ticket(signed_in))
        assert later.visitor_id != signed_in.visitor_id
        assert later == Identity(later.visitor_id)

    def test_a_guests_ticket_never_carries_a_managers_rights(self, visitors: Visitors, clock: Clock) -> None:
        assert not visitors.identify(None, cookie=None, ticket=ticket_of(clock, is_manager=True)).is_manager

    def test_a_ticket_of_the_hubs_own_kind_is_not_ours_to_renew(self, visitors: Visitors, clock: Clock) -> None:
        ticket = ticket_of(clock, kind="get-id")
        assert visitors.identify(None, cookie=None, ticket=ticket).visitor_id != "g-ticket"

    @pytest.mark.parametrize("text", ["", "nonsense", "\ud800", "x" * 10_000])
    def test_what_is_no_token_is_ignored(self, visitors: Visitors, text: str) -> None:
        assert not visitors.identify(None, cookie=text, ticket=text).is_persistent

    def test_a_ticket_is_no_cookie(self, visitors: Visitors, clock: Clock) -> None:
        identity = visitors.identify(None, cookie=ticket_of(clock), ticket=cookie_of(clock))
        assert identity.visitor_id not in ("g-ticket", "g-cookie")

    def test_both_end(self, visitors: Visitors, clock: Clock) -> None:
        cookie, ticket = cookie_of(clock), ticket_of(clock)
        clock.advance(100)
        identity = visitors.identify(None, cookie=cookie, ticket=ticket)
        assert identity.visitor_id not in ("g-ticket", "g-cookie")


class TestUsers:
    @pytest.mark.parametrize(("key", "spelling"), [(7, "7"), ("7", "7"), (UUID(int=7), str(UUID(int=7)))])
    def test_a_key_has_one_spelling(self, key: Any, spelling: str) -> None:
        assert user_key(Visitor(key=key, name="x")) == spelling

    @pytest.mark.parametrize("key", [None, "", True, 7.0, "a\0", "x" * 256])
    def test_a_key_that_cannot_be_used_blames_the_loader(self, key: Any) -> None:
        with pytest.raises(ConfigError, match="returned a Visitor whose key is not") as caught:
            user_key(Visitor(key=key, name="x"))
        assert caught.value.key == "visitor_loader"

    @pytest.mark.parametrize("user", [{"key": 7}, "7", 7, True])
    def test_something_else_than_a_visitor_blames_the_loader(self, visitors: Visitors, user: Any) -> None:
        with pytest.raises(ConfigError, match=f"returned {type(user).__name__}; return flask_chatix_comments.Visitor"):
            visitors.identify(user, cookie=None, ticket=None)

    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("  Marit \n Lund ", "Marit Lund"),
            ("a\u202eb\0c", "abc"),
            ("e\u0301", "é"),
            ("x" * 100, "x" * 80),
            ("x" * 79 + " y", "x" * 79),
            ("\u202e", None),
            ("\u3164 \u200d", None),
            ("Z" + "\u0335" * 40 + "oe", "Z" + "\u0335" * 4 + "oe"),
            ("", None),
            ("<b>", "<b>"),
        ],
    )
    def test_a_users_name_is_made_to_fit(self, visitors: Visitors, name: str, shown: str | None) -> None:
        assert visitors.identify(replace(USER, name=name), cookie=None, ticket=None).name == shown


GOOD_NAMES = [
    ("Ida", "Ida"),
    ("  Ida   Lund  ", "Ida Lund"),
    ("Ida\u00a0Lund", "Ida Lund"),
    ("e\u0301", "é"),
    ("<script>", "<script>"),
    ("👩\u200d🚀", "👩\u200d🚀"),
    ("می\u200cخواهم", "می\u200cخواهم"),
    ("山田", "山田"),
    ("7", "7"),
    ("x" * 80, "x" * 80),
    (" " * 200 + "x", "x"),
    ("e\u0301" * 80, "é" * 80),
]
BAD_NAMES = [
    ("", "Please give a name."),
    ("   ", "Please give a name."),
    ("\u200d", "Please give a name."),
    ("\u3164\u2800", "Please give a name."),
    ("\u0301", "Please give a name."),
    ("x" * 81, "A name has at most 80 characters."),
    ("a\u202eb", "This name holds characters that cannot be shown."),
    ("a\u2066b", "This name holds characters that cannot be shown."),
    ("a\u200bb", "This name holds characters that cannot be shown."),
    ("a\nb", "This name holds characters that cannot be shown."),
    ("a\0b", "This name holds characters that cannot be shown."),
    ("a\u2028b", "This name holds characters that cannot be shown."),
    ("a\ud800", "This name holds characters that cannot be shown."),
    ("a\ue000", "This name holds characters that cannot be shown."),
    ("\u034f", "Please give a name."),
    ("\ufe0f", "Please give a name."),
    ("Z" + "\u0335" * 5, "This name holds characters that cannot be shown."),
    ("Z" + "\u0335\u0335\u200d" * 3, "This name holds characters that cannot be shown."),
]


@pytest.mark.parametrize(("text", "name"), GOOD_NAMES)
def test_a_guests_name_is_tidied(text: str, name: str) -> None:
    assert clean_guest_name(text) == name


@pytest.mark.parametrize(("text", "message"), BAD_NAMES)
def test_a_guests_name_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(NameRefusedError) as caught:
        clean_guest_name(text)
    assert str(caught.value) == message


@given(st.text(alphabet=st.characters()))
def test_a_name_is_refused_or_stays_as_it_is_shown(text: str) -> None:
    try:
        name = clean_guest_name(text)
    except NameRefusedError:
        return
    assert 1 <= len(name) <= 80
    assert clean_guest_name(name) == name
    assert shorten_user_name(name) == name


MARKS = ("\u0316\u0301" * 65_000, "Z" + "\u0316\u0301" * 65_000, "\u302e\U0001d165" * 65_000)


@pytest.mark.parametrize("text", MARKS, ids=["marks", "a letter under marks", "marks that take room"])
def test_a_long_row_of_marks_is_never_composed(text: str, composed: list[int]) -> None:
    """The time for that grows with its square, and nothing else runs meanwhile."""
    with pytest.raises(NameRefusedError):
        clean_guest_name(text)
    shorten_user_name(text)
    assert max(composed, default=0) <= 4 * 80


def test_marks_do_not_hide_the_rest_of_a_users_name() -> None:
    assert shorten_user_name("Z" + "\u0335" * 5_000 + "oe") == "Z" + "\u0335" * 4 + "oe"


class TestTakePart:
    def test_it_keeps_the_pages_id(self, visitors: Visitors, clock: Clock) -> None:
        identity = visitors.take_part(" Ida ", cookie=None, ticket=ticket_of(clock))
        assert identity == Identity("g-ticket", "Ida", is_persistent=True, is_new=True)

    @pytest.mark.parametrize("has_ticket", [True, False])
    def test_a_browser_that_has_taken_part_stays_the_same_guest(
        self, visitors: Visitors, clock: Clock, has_ticket: bool
    ) -> None:
        ticket = ticket_of(clock) if has_ticket else None
        assert visitors.take_part("Eva", cookie=cookie_of(clock), ticket=ticket).visitor_id == "g-cookie"

    def test_without_either_a_new_guest_begins(self, visitors: Visitors) -> None:
        identity = visitors.take_part("Eva", cookie=None, ticket="nonsense")
        assert (identity.name, identity.is_persistent, identity.is_signed_in) == ("Eva", True, False)

    def test_a_signed_out_users_id_is_not_taken_over(self, visitors: Visitors) -> None:
        user = visitors.identify(USER, cookie=None, ticket=None)
        identity = visitors.take_part("Eva", cookie=None, ticket=visitors.issue_ticket(user))
        assert identity.visitor_id != user.visitor_id

    def test_a_bad_name_is_refused(self, visitors: Visitors) -> None:
        with pytest.raises(NameRefusedError):
            visitors.take_part("\u202e", cookie=None, ticket=None)


class TestIdentifyLeaver:
    def test_the_ticket_counts_first(self, visitors: Visitors, clock: Clock) -> None:
        # A page of a reader who has signed in elsewhere meanwhile still leaves as who it was.
        assert visitors.identify_leaver(USER, cookie=cookie_of(clock), ticket=ticket_of(clock)) == "g-ticket"

    def test_a_users_ticket_counts_after_signing_out(self, visitors: Visitors) -> None:
        ticket = visitors.issue_ticket(visitors.identify(USER, cookie=None, ticket=None))
        assert visitors.identify_leaver(None, cookie=None, ticket=ticket) == "user7"

    def test_then_the_user_then_the_cookie_then_nobody(self, visitors: Visitors, clock: Clock) -> None:
        assert visitors.identify_leaver(USER, cookie=cookie_of(clock), ticket=None) == "user7"
        assert visitors.identify_leaver(None, cookie=cookie_of(clock), ticket="x") == "g-cookie"
        assert visitors.identify_leaver(None, cookie=None, ticket=None) is None

    def test_an_expired_ticket_may_say_goodbye_for_some_days(self, visitors: Visitors, clock: Clock) -> None:
        ticket = ticket_of(clock)
        clock.advance(100 + LEAVING_GRACE_S - 1)
        assert visitors.identify_leaver(None, cookie=None, ticket=ticket) == "g-ticket"
        clock.advance(1)
        assert visitors.identify_leaver(None, cookie=None, ticket=ticket) is None


class TestIssue:
    def test_a_ticket_says_who_reads_and_for_how_long(self, visitors: Visitors, clock: Clock) -> None:
        for is_manager, is_persistent in itertools.product([False, True], repeat=2):
            identity = Identity("g-1", "Ida", is_manager, is_persistent=is_persistent)
            ticket = TICKETS.check(str(visitors.issue_ticket(identity)), now=clock())
            expires_at = clock() + TICKET_LIFETIME_S
            assert ticket == VisitorTicket("g-1", clock(), expires_at, "Ida", is_manager, is_persistent, "site")

    def test_a_cookie_lasts_a_year(self, visitors: Visitors, clock: Clock) -> None:
        value = str(visitors.issue_cookie(Identity("g-1", "Ida", is_persistent=True)))
        assert COOKIES.check(value, now=clock() + COOKIE_LIFETIME_S - 1).visitor_id == "g-1"
        with pytest.raises(TokenExpiredError):
            COOKIES.check(value, now=clock() + COOKIE_LIFETIME_S)


class TestWithAWidget:
    """The visitor is the widget's: there is nothing to sign."""

    def test_nobody_has_an_id_or_a_ticket(self, with_widget: Visitors, clock: Clock) -> None:
        stranger = with_widget.identify(None, cookie=cookie_of(clock), ticket=ticket_of(clock))
        assert stranger == Identity(None)
        assert (with_widget.issue_ticket(stranger), with_widget.issue_cookie(stranger)) == (None, None)

    def test_a_user_has_a_name(self, with_widget: Visitors) -> None:
        identity = with_widget.identify(USER, cookie=None, ticket=None)
        assert identity == Identity(None, "Jonas Petri", is_signed_in=True, is_persistent=True)

    def test_a_guests_name_is_checked_all_the_same(self, with_widget: Visitors) -> None:
        identity = with_widget.take_part("Ida", cookie=None, ticket=None)
        assert identity == Identity(None, "Ida", is_persistent=True, is_new=True)
        with pytest.raises(NameRefusedError):
            with_widget.take_part("", cookie=None, ticket=None)

    def test_nobody_leaves_through_the_site(self, with_widget: Visitors, clock: Clock) -> None:
        assert with_widget.identify_leaver(USER, cookie=cookie_of(clock), ticket=ticket_of(clock)) is None
