"""Who is reading, on the hosted service: visitors whose ids the service has made, and the site keeps.

Such an id is all that somebody needs to be that visitor. So it is asked for by the site, kept in the
registry or in the guest's own signed cookie, and told to that one browser. An id that a browser names is
never taken up; that the service refuses one is taken for a reason to ask for another.

Who neither is signed in nor has taken part is nobody here: the SDK gets an id of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from .errors import TokenError
from .models import Visitor
from .registry import RoomRegistry
from .tokens import BrowserCookies, GuestCookies, VisitorTickets
from .visitors import TICKET_LIFETIME_S, Identity, Visitors, clean_guest_name, user_key


class HostedVisitors(Visitors):
    """Decide who is reading and hand out the service's ids: one for each user and browser, one for each guest.

    A leave on the service takes a visitor out for good, whatever other connections it has. So two
    browsers of one user are two visitors.

    Args:
        new_id: Asks the service for an id; raises ``ApiError``.
    """

    def __init__(
        self,
        *,
        tickets: VisitorTickets,
        cookies: GuestCookies,
        browsers: BrowserCookies,
        registry: RoomRegistry,
        new_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(tickets=tickets, cookies=cookies, visitor_id_for=None, clock=clock)
        self._browsers = browsers
        self._registry = registry
        self._new_id = new_id

    def identify(
        self,
        user: Visitor | None,
        *,
        cookie: str | None,
        ticket: str | None,
        browser: str | None = None,
        is_refused: bool = False,
        needs_id: bool = False,
    ) -> Identity:
        """Return who is reading; somebody unknown has no id, unless one is needed.

        Raises:
            ApiError: The service gives no id.
        """
        refused_id = ticket if is_refused else None
        if user is not None:
            return self._user(user, browser, refused_id)
        guest = self._guest(cookie)
        if guest is None:
            return self._nameless() if needs_id else Identity(visitor_id=None)
        is_accepted = guest.service_id != refused_id
        return guest if is_accepted else replace(guest, service_id=self._new_id(), is_new=True)

    def identify_leaver(
        self, user: Visitor | None, *, cookie: str | None, ticket: str | None, browser: str | None = None
    ) -> str | None:
        """Return the service's id of who leaves; the page's ticket says nothing that the cookies do not."""
        if user is not None:
            browser_id = self._read_browser(browser)
            return self._registry.find_service_id(user_key(user), browser_id) if browser_id else None
        guest = self._guest(cookie)
        return guest.service_id if guest else None

    def take_part(self, name: str, *, cookie: str | None, ticket: str | None) -> Identity:
        """Return the guest under *name*: that of the cookie, or somebody new.

        Raises:
            NameRefusedError: The name cannot be shown.
            ApiError: The service gives no id.
        """
        clean_name = clean_guest_name(name)
        guest = self._guest(cookie) or Identity(visitor_id=None, is_persistent=True, service_id=self._new_id())
        return replace(guest, name=clean_name, is_new=True)

    def issue_ticket(
        self, identity: Identity, *, hub_url: str | None = None, lifetime_s: int = TICKET_LIFETIME_S
    ) -> str | None:
        """Return what the SDK connects with: an ID of the service, which says nothing else and has no end."""
        return identity.service_id

    def issue_cookie(self, identity: Identity) -> str | None:
        """Return the browser cookie of a user, or the guest cookie; ``None`` for who is nobody here."""
        if identity.browser_id is not None:
            return self._browsers.sign(identity.browser_id)
        return self._sign_cookie(identity.service_id, identity.name)

    def _user(self, user: Visitor, browser: str | None, refused_id: str | None) -> Identity:
        key, known_browser = user_key(user), self._read_browser(browser)
        browser_id = known_browser or secrets.token_urlsafe(15)
        service_id = self._registry.find_service_id(key, browser_id)
        if service_id in (None, refused_id):
            service_id = self._registry.keep_service_id(key, browser_id, self._new_id(), instead_of=service_id)
        is_new = known_browser is None
        return replace(self._signed_in(user), service_id=service_id, browser_id=browser_id, is_new=is_new)

    def _guest(self, cookie: str | None) -> Identity | None:
        claim = self._read_cookie(cookie)
        if claim is None:
            return None
        return Identity(None, claim.name or None, is_persistent=True, service_id=claim.visitor_id)

    def _nameless(self) -> Identity:
        """Return a guest who has not taken part, under an id that the cookie brings back."""
        return Identity(visitor_id=None, is_persistent=True, service_id=self._new_id(), is_new=True)

    def _read_browser(self, browser: str | None) -> str | None:
        try:
            return self._browsers.check(browser or "")
        except TokenError:
            return None
