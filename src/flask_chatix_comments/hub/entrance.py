"""The way in: get-id, negotiate, and the check at the connection itself.

All refusals happen here: a client that is let in and sent away again comes back at once, and again.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import RequestRefusedError, TokenError
from ..tokens import VisitorTicket
from .addresses import base_url_of
from .client_address import ClientAddresses
from .limiter import Limiter
from .origins import OriginPolicy
from .rate_config import Action
from .rest_call import NO_STORE
from .service import ChatService
from .signalr.negotiate import answer, parse_version
from .transports.channel import Channel
from .transports.channels import Channels

MAX_PARAMETERS = 50


class Entrance:
    """The endpoints that need no API key.

    Args:
        public_url: See ``HubConfig``.
    """

    def __init__(
        self,
        service: ChatService,
        channels: Channels,
        policy: OriginPolicy,
        limiter: Limiter,
        addresses: ClientAddresses,
        *,
        website_id: str,
        public_url: str | None,
    ) -> None:
        self._service = service
        self._channels = channels
        self._policy = policy
        self._limiter = limiter
        self._addresses = addresses
        self._website_id = website_id
        self._public_url = public_url

    async def get_id(self, request: Request) -> Response:
        """Answer a ticket for somebody new."""
        self.check_website(parameters_of(request.scope).get("websiteId"))
        self.count(Action.CONNECTING, request.scope)
        return JSONResponse(self._service.visitors.new_ticket(), headers=NO_STORE)

    async def negotiate(self, request: Request) -> Response:
        """Answer how to connect (TransportProtocols.md, "POST [endpoint-base]/negotiate")."""
        parameters = parameters_of(request.scope)
        ticket, text = self.check_visitor(parameters)
        version = parse_version(parameters.get("negotiateVersion"))
        address = self.count(Action.CONNECTING, request.scope, ticket)
        negotiation = self._channels.negotiate(version, ticket, text, address=address)
        return JSONResponse(answer(negotiation, self._channels.transports_for(ticket.visitor_id)), headers=NO_STORE)

    def admit(
        self,
        scope: MutableMapping[str, Any],
        transport: str = "websocket",
        *,
        keep_alive_s: float | None = None,
        client_timeout_s: float | None = None,
    ) -> Channel:
        """Return the channel that a request connects; the rest is as in ``Channel.attach``.

        Raises:
            RequestRefusedError: It is from a page that may not, or was not negotiated by this visitor, or is in use, or
                comes too early.
        """
        token, ticket_text = self._check_connection(scope)
        self.count(Action.CONNECTING, scope)
        channel = self._channels.attach(
            token, ticket_text, transport, keep_alive_s=keep_alive_s, client_timeout_s=client_timeout_s
        )
        channel.base_url = base_url_of(scope, self._public_url, channel.ticket.hub_url)
        return channel

    def recognize(self, scope: MutableMapping[str, Any]) -> Channel:
        """Return the channel that a request belongs to, connected or not; refuse it as ``admit`` does."""
        return self._channels.find(*self._check_connection(scope))

    def _check_connection(self, scope: MutableMapping[str, Any]) -> tuple[str | None, str | None]:
        """Return a connection's token and the text of its ticket, which are yet to be compared with ours."""
        if not self._policy.is_allowed(scope["headers"]):
            raise RequestRefusedError(403, "Pages of this origin may not use the hub.")
        parameters = parameters_of(scope)
        self.check_website(parameters.get("websiteId"))
        return parameters.get("id"), parameters.get("visitorId")

    def check_website(self, website_id: str | None) -> None:
        """Refuse requests for other websites than ours."""
        if website_id != self._website_id:
            raise RequestRefusedError(404, "The hub does not serve this website.")

    def count(self, action: Action, scope: MutableMapping[str, Any], ticket: VisitorTicket | None = None) -> str | None:
        """Count a request of a visitor, and of an address, which is returned.

        Raises:
            RequestRefusedError: It comes too early.
        """
        address = self._addresses.key_of(scope)
        visitor_id = ticket.visitor_id if ticket is not None else None
        self._limiter.check_request(action, visitor_id=visitor_id, address=address)
        return address

    def check_visitor(self, parameters: Mapping[str, str]) -> tuple[VisitorTicket, str]:
        """Return the ticket that stands in a query, and its text; refuse it unless it is good, and for this website."""
        self.check_website(parameters.get("websiteId"))
        text = parameters.get("visitorId", "")
        try:
            return self._service.visitors.check_ticket(text), text
        except TokenError as exc:
            raise RequestRefusedError(401, "The visitor's id is not accepted. Please get a new one.") from exc


def parameters_of(scope: MutableMapping[str, Any]) -> dict[str, str]:
    """Return the query's parameters; of several of one name, the first."""
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as exc:
        raise RequestRefusedError(400, "The query cannot be read.") from exc
    return dict(reversed(pairs))
