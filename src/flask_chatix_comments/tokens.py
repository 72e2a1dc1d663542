"""Sign and check what travels through hands that we do not trust.

Each purpose has a key of its own, derived from the app's secret, and a salt of its own, so that a
token of one purpose or website is noise to every other. All tokens are URL-safe: the SDK puts them
into query strings unescaped.

Nothing here reads a clock: *now* is seconds since 1970 and comes from the caller.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from itsdangerous import BadData, URLSafeSerializer

from .errors import TokenExpiredError, TokenInvalidError

TicketKind = Literal["site", "get-id"]


def derive_key(secret: str | bytes, label: str, *, length: int = 32) -> bytes:
    """Derive the key of one purpose from a secret: HKDF with SHA-256, RFC 5869, without salt.

    Args:
        secret: The input keying material, the app's ``SECRET_KEY``.
        label: The purpose; keys of different labels tell nothing about each other.
        length: How many bytes, at most 8160.
    """
    material = secret.encode() if isinstance(secret, str) else secret
    pseudo_random_key = hmac.digest(bytes(hashlib.sha256().digest_size), material, "sha256")
    return _expand(pseudo_random_key, b"flask-chatix-comments " + label.encode(), length)


def _expand(pseudo_random_key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2.3."""
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac.digest(pseudo_random_key, block + info + bytes([counter]), "sha256")
        output += block
        counter += 1
    return output[:length]


def derive_text_key(secret: str | bytes, label: str) -> str:
    """Derive a key that can stand in an HTTP header: 43 URL-safe characters."""
    return base64.urlsafe_b64encode(derive_key(secret, label)).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class PostClaim:
    """What a post token proves: the site has shown this post.

    Attributes:
        post_id: Normalised.
        title: As it was on the page, for the chatroom's title; may be empty.
    """

    post_id: str
    title: str
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class VisitorTicket:
    """Who is reading, for the hub.

    Attributes:
        visitor_id: The public id.
        name: What others see; ``None`` until the visitor gives one.
        is_persistent: Whether the visitor has taken part (or signed in), so that the id will come back.
        kind: ``site``: made by the Flask side. ``get-id``: made by the hub for any SDK client.
        hub_url: Where the site has sent the visitor: the hub's URL up to ``/v1``, or a path on the origin of the
            site's pages; ``None``: the visitor reaches the hub where it listens.
        issued_at: Seconds since 1970.
        expires_at: Seconds since 1970.
    """

    visitor_id: str
    issued_at: float
    expires_at: float
    name: str | None = None
    is_manager: bool = False
    is_persistent: bool = False
    kind: TicketKind = "site"
    hub_url: str | None = None


@dataclass(frozen=True, slots=True)
class GuestClaim:
    """What the guest cookie says: this browser took part as this visitor.

    Attributes:
        issued_at: Seconds since 1970.
        expires_at: Seconds since 1970.
    """

    visitor_id: str
    name: str
    issued_at: float
    expires_at: float


class _Signer:
    """A serializer for one purpose and website, with key rotation.

    Args:
        keys: Newest first; all are accepted, the first one signs.
    """

    def __init__(self, keys: Sequence[bytes], *, purpose: str, website_id: str) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._serializer = URLSafeSerializer(
            list(reversed(keys)),
            salt=f"flask-chatix-comments.{purpose}.{website_id}",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def dumps(self, fields: list[Any]) -> str:
        text = self._serializer.dumps(fields)
        return text if isinstance(text, str) else text.decode()

    def loads(self, text: str, *, shape: tuple[type | tuple[type, ...], ...]) -> list[Any]:
        """Check the signature, then that the content has the expected *shape*."""
        try:
            fields = self._serializer.loads(text)
        except (BadData, ValueError, RecursionError) as exc:
            raise TokenInvalidError("The token is not valid here.") from exc
        if (
            not isinstance(fields, list)
            or len(fields) != len(shape)
            or not all(isinstance(value, kind) for value, kind in zip(fields, shape, strict=True))
        ):
            raise TokenInvalidError("The token is not of this version.")
        return fields


def _refuse_expired(expires_at: float, issued_at: float, now: float) -> None:
    if now >= expires_at:
        raise TokenExpiredError("The token has expired.", issued_at=issued_at)


class PostTokens:
    """Sign and check post tokens: page to view. They never expire, since pages may be cached for ever."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        self._signer = _Signer(keys, purpose="post", website_id=website_id)

    def sign(self, claim: PostClaim) -> str:
        """Return the token: the same claim always gives the same text."""
        return self._signer.dumps([claim.post_id, claim.title, int(claim.is_private)])

    def check(self, token: str) -> PostClaim:
        """Return what *token* proves.

        Raises:
            TokenInvalidError: It was not signed here, for this website and purpose.
        """
        post_id, title, is_private = self._signer.loads(token, shape=(str, str, int))
        return PostClaim(post_id=post_id, title=title, is_private=bool(is_private))


class VisitorTickets:
    """Sign and check visitor tickets: view to hub, or hub to itself."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        self._signer = _Signer(keys, purpose="ticket", website_id=website_id)

    def sign(self, ticket: VisitorTicket) -> str:
        """Return the ticket as URL-safe text."""
        return self._signer.dumps(
            [
                ticket.visitor_id,
                ticket.name,
                int(ticket.is_manager) | int(ticket.is_persistent) << 1,
                ticket.kind,
                round(ticket.issued_at),
                round(ticket.expires_at),
                ticket.hub_url,
            ]
        )

    def check(self, text: str, *, now: float) -> VisitorTicket:
        """Return the ticket.

        Raises:
            TokenInvalidError: It was not signed for this website.
            TokenExpiredError: Its time is over.
        """
        text_or_none = (str, type(None))
        shape = (str, text_or_none, int, str, int, int, text_or_none)
        visitor_id, name, flags, kind, issued_at, expires_at, hub_url = self._signer.loads(text, shape=shape)
        if kind not in ("site", "get-id"):
            raise TokenInvalidError("The token is not of this version.")
        _refuse_expired(expires_at, issued_at, now)
        return VisitorTicket(
            visitor_id=visitor_id,
            name=name,
            is_manager=bool(flags & 1),
            is_persistent=bool(flags & 2),
            kind=kind,
            issued_at=issued_at,
            expires_at=expires_at,
            hub_url=hub_url,
        )


class GuestCookies:
    """Sign and check the guest cookie."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        self._signer = _Signer(keys, purpose="guest", website_id=website_id)

    def sign(self, claim: GuestClaim) -> str:
        """Return the cookie's value."""
        return self._signer.dumps([claim.visitor_id, claim.name, round(claim.issued_at), round(claim.expires_at)])

    def check(self, text: str, *, now: float) -> GuestClaim:
        """Return what the cookie says.

        Raises:
            TokenInvalidError: It was not signed here.
            TokenExpiredError: Its time is over.
        """
        visitor_id, name, issued_at, expires_at = self._signer.loads(text, shape=(str, str, int, int))
        _refuse_expired(expires_at, issued_at, now)
        return GuestClaim(visitor_id=visitor_id, name=name, issued_at=issued_at, expires_at=expires_at)


class BrowserCookies:
    """Sign and check what tells one browser of a signed-in user from another. It names nobody and never expires."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        self._signer = _Signer(keys, purpose="browser", website_id=website_id)

    def sign(self, browser_id: str) -> str:
        """Return the cookie's value."""
        return self._signer.dumps([browser_id])

    def check(self, text: str) -> str:
        """Return the browser's id.

        Raises:
            TokenInvalidError: It was not signed here.
        """
        (browser_id,) = self._signer.loads(text, shape=(str,))
        return str(browser_id)


class ConnectionTokens:
    """Sign and check what addresses a connection of the hub: for whoever has one ticket, and until it is used soon."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        if not keys:
            raise ValueError("at least one key is needed")
        self._keys = keys
        self._website_id = website_id

    def sign(self, secret: str, ticket_text: str, *, until: float) -> str:
        """Return the token, as it stands in a query.

        Args:
            secret: What nobody can guess; another one for each connection.
            until: When its client has to have come, in seconds since 1970.
        """
        return self._signer(ticket_text).dumps([secret, math.ceil(until)])

    def check(self, text: str, ticket_text: str) -> int:
        """Return until when a client may come with it.

        Raises:
            TokenInvalidError: It is not for who has this ticket.
        """
        _, until = self._signer(ticket_text).loads(text, shape=(str, int))
        return int(until)

    def _signer(self, ticket_text: str) -> _Signer:
        digest = hashlib.sha256(ticket_text.encode(errors="surrogatepass")).hexdigest()
        return _Signer(self._keys, purpose=f"connection.{digest}", website_id=self._website_id)


class FilePasses:
    """Sign and check what opens the files of a private chatroom to one reader. A pass does not tell which chatroom."""

    def __init__(self, keys: Sequence[bytes], *, website_id: str) -> None:
        self._keys = keys
        self._website_id = website_id

    def sign(self, chatroom_id: str, visitor_id: str | None, *, expires_at: float) -> str:
        """Return the pass, as it stands in a query.

        Args:
            visitor_id: ``None`` for the site, which has a key.
        """
        return self._signer(chatroom_id).dumps([visitor_id, round(expires_at)])

    def check(self, text: str, chatroom_id: str, *, now: float) -> str | None:
        """Return whose pass it is; ``None``: the site's.

        Raises:
            TokenInvalidError: It is not for this chatroom.
            TokenExpiredError: Its time is over.
        """
        visitor_id, expires_at = self._signer(chatroom_id).loads(text, shape=((str, type(None)), int))
        _refuse_expired(expires_at, expires_at, now)
        return None if visitor_id is None else str(visitor_id)

    def _signer(self, chatroom_id: str) -> _Signer:
        return _Signer(self._keys, purpose=f"file.{chatroom_id}", website_id=self._website_id)
