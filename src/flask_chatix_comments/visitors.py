"""Who is reading: the site's signed-in user, a guest who has taken part, or nobody yet.

An identity is decided anew at each request, from what the site says, then the guest cookie, then
the ticket that the page holds. Public ids of guests start with ``g-``, those of the site's users
never do: a ticket that outlived its user's session is thereby never taken up by whoever comes next.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .errors import ConfigError, PostError, TokenError
from .models import (
    GUEST_PREFIX,
    Visitor,
    compose_name,
    compose_start,
    drop_stacked_marks,
    is_guest_id,
    is_visible,
    may_be_in_name,
    normalize_post_id,
)
from .tokens import GuestClaim, GuestCookies, VisitorTicket, VisitorTickets

TICKET_LIFETIME_S = 12 * 3600
# For private chatrooms: so long a page may go on without the site being asked.
PRIVATE_TICKET_LIFETIME_S = 3600
COOKIE_LIFETIME_S = 365 * 24 * 3600
# A tab that has been open for days holds an old ticket; it may still say goodbye with it.
LEAVING_GRACE_S = 7 * 24 * 3600
MAX_NAME_CHARS = 80
TOO_LONG = f"A name has at most {MAX_NAME_CHARS} characters."


class NameRefusedError(ValueError):
    """A guest's name cannot be shown; the message is for the guest."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A visitor as the page and the hub get to know it.

    Attributes:
        visitor_id: The public id; ``None`` where the chat service gives ids itself.
        is_persistent: Whether the id will come back: it is in a guest cookie, or belongs to a user.
        service_id: By which the hosted service knows the visitor: a secret of theirs.
        browser_id: Tells the browsers of a signed-in user apart, on the hosted service.
        is_new: Whether the browser has to be given a cookie for this to come back.
    """

    visitor_id: str | None
    name: str | None = None
    is_manager: bool = False
    is_signed_in: bool = False
    is_persistent: bool = False
    service_id: str | None = field(default=None, repr=False)
    browser_id: str | None = None
    is_new: bool = False


def clean_guest_name(text: str) -> str:
    """Return *text* as a name that can be shown: NFC, trimmed, one space at a time.

    Raises:
        NameRefusedError: Nothing to see is left, it is longer than 80 characters, or it holds control
            characters, marks that turn the direction of the text around it, or stacks of marks.
    """
    composed = compose_name(text.strip(), max_chars=MAX_NAME_CHARS)
    if composed is None:
        raise NameRefusedError(TOO_LONG)
    if not all(map(may_be_in_name, composed)) or composed != drop_stacked_marks(composed):
        raise NameRefusedError("This name holds characters that cannot be shown.")
    name = " ".join(composed.split())
    if not is_visible(name):
        raise NameRefusedError("Please give a name.")
    if len(name) > MAX_NAME_CHARS:
        raise NameRefusedError(TOO_LONG)
    return name


def shorten_user_name(text: str) -> str:
    """Return the name of a site's user in the same form, with what cannot be shown left out."""
    composed = compose_start(drop_stacked_marks(text.strip()), max_chars=MAX_NAME_CHARS)
    shown = "".join(" " if character.isspace() else character for character in composed)
    shown = "".join(filter(may_be_in_name, shown))
    name = " ".join(drop_stacked_marks(shown).split())[:MAX_NAME_CHARS].rstrip()
    return name if is_visible(name) else ""


def user_key(user: object) -> str:
    """Return the one spelling of the key of what ``visitor_loader`` returned: 7 and "7" are one user.

    Raises:
        ConfigError: The loader returned something else than a ``Visitor`` with a usable key.
    """
    if not isinstance(user, Visitor):
        message = f"returned {type(user).__name__}; return flask_chatix_comments.Visitor, or None for a guest."
        raise ConfigError("visitor_loader", message)
    try:
        return normalize_post_id(user.key)
    except PostError as exc:
        message = "returned a Visitor whose key is not an int, a UUID or text of 1 to 255 characters."
        raise ConfigError("visitor_loader", message) from exc


class Visitors:
    """Decide who is reading and hand out tickets and guest cookies.

    Args:
        visitor_id_for: From the key of a site's user to its lasting public id; ``None`` where the chat
            service gives all ids itself: then identities have none, and there are no tickets.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        *,
        tickets: VisitorTickets,
        cookies: GuestCookies,
        visitor_id_for: Callable[[str], str] | None,
        clock: Callable[[], float],
    ) -> None:
        self._tickets = tickets
        self._cookies = cookies
        self._visitor_id_for = visitor_id_for
        self._clock = clock

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
        """Return who is reading; somebody unknown gets a fresh id that nothing remembers.

        Args:
            needs_id: Whether the API is to let the visitor in, so that the site has to know the id.
            user: What the site's ``visitor_loader`` returned.
            ticket: The one that the page holds; it keeps its id while no better is known.
            browser: The browser cookie, which only the hosted service needs.
            is_refused: Whether the page says that the hosted service did not accept *ticket*.
        """
        if user is not None:
            return self._signed_in(user)
        return self._guest(cookie) or self._ticket_holder(ticket) or self._stranger()

    def identify_leaver(
        self, user: Visitor | None, *, cookie: str | None, ticket: str | None, browser: str | None = None
    ) -> str | None:
        """Return the public id that leaves: that of the page's ticket, even one that expired some days ago."""
        held = self._read_ticket(ticket, grace_s=LEAVING_GRACE_S)
        if held is not None:
            return held.visitor_id
        if user is not None:
            return self._signed_in(user).visitor_id
        guest = self._guest(cookie)
        return guest.visitor_id if guest else None

    def take_part(self, name: str, *, cookie: str | None, ticket: str | None) -> Identity:
        """Return the guest under *name*.

        The id is that of the guest cookie, as in ``identify``: a tab that was opened before another one
        took part becomes the same guest. Else it is the one that the page already uses.

        Raises:
            NameRefusedError: The name cannot be shown.
        """
        clean_name = clean_guest_name(name)
        guest = self._guest(cookie) or self._ticket_holder(ticket) or self._stranger()
        return replace(guest, name=clean_name, is_persistent=True, is_new=True)

    def issue_ticket(
        self, identity: Identity, *, hub_url: str | None = None, lifetime_s: int = TICKET_LIFETIME_S
    ) -> str | None:
        """Return a ticket for the hub, good for 12 hours or *lifetime_s*; ``None`` for who has no id.

        Args:
            hub_url: See ``VisitorTicket``.
        """
        if identity.visitor_id is None:
            return None
        now = self._clock()
        return self._tickets.sign(
            VisitorTicket(
                visitor_id=identity.visitor_id,
                name=identity.name,
                is_manager=identity.is_manager,
                is_persistent=identity.is_persistent,
                issued_at=now,
                expires_at=now + lifetime_s,
                hub_url=hub_url,
            )
        )

    def issue_cookie(self, identity: Identity) -> str | None:
        """Return the value of the guest cookie, good for a year; ``None`` for who has no id."""
        return self._sign_cookie(identity.visitor_id, identity.name)

    def _sign_cookie(self, visitor_id: str | None, name: str | None) -> str | None:
        if visitor_id is None:
            return None
        now = self._clock()
        claim = GuestClaim(visitor_id, name or "", issued_at=now, expires_at=now + COOKIE_LIFETIME_S)
        return self._cookies.sign(claim)

    def _signed_in(self, user: Visitor) -> Identity:
        key = user_key(user)
        return Identity(
            visitor_id=self._visitor_id_for(key) if self._visitor_id_for else None,
            name=shorten_user_name(str(user.name)) or None,
            is_manager=bool(user.is_manager),
            is_signed_in=True,
            is_persistent=True,
        )

    def _guest(self, cookie: str | None) -> Identity | None:
        claim = self._read_cookie(cookie) if self._visitor_id_for else None
        return Identity(visitor_id=claim.visitor_id, name=claim.name, is_persistent=True) if claim else None

    def _read_cookie(self, cookie: str | None) -> GuestClaim | None:
        try:
            return self._cookies.check(cookie or "", now=self._clock())
        except TokenError:
            return None

    def _ticket_holder(self, text: str | None) -> Identity | None:
        ticket = self._read_ticket(text)
        if ticket is None or not is_guest_id(ticket.visitor_id):
            return None
        return Identity(visitor_id=ticket.visitor_id, name=ticket.name, is_persistent=ticket.is_persistent)

    def _read_ticket(self, text: str | None, *, grace_s: float = 0) -> VisitorTicket | None:
        if not text or self._visitor_id_for is None:
            return None
        try:
            ticket = self._tickets.check(text, now=self._clock() - grace_s)
        except TokenError:
            return None
        return ticket if ticket.kind == "site" else None

    def _stranger(self) -> Identity:
        return Identity(visitor_id=GUEST_PREFIX + secrets.token_urlsafe(15) if self._visitor_id_for else None)
