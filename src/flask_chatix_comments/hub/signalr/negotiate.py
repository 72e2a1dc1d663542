"""The answer to negotiate, in versions 0 and 1 (TransportProtocols.md, "POST [endpoint-base]/negotiate").

``@aspnet/signalr`` 1.1.4 asks without a version, which means 0: the connection's one id is then also its
secret. From version 1 on the two are apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidArgumentError

NEWEST_VERSION = 1

# What each transport can carry; the JSON protocol needs text only, but clients look for both.
TRANSFER_FORMATS: Mapping[str, tuple[str, ...]] = {
    "WebSockets": ("Text", "Binary"),
    "ServerSentEvents": ("Text",),
    "LongPolling": ("Text", "Binary"),
}


@dataclass(frozen=True, slots=True)
class Negotiation:
    """What a negotiate request agreed on.

    Attributes:
        connection_id: The public name of the connection.
        connection_token: The secret by which the client addresses it; in version 0 the same.
    """

    version: int
    connection_id: str
    connection_token: str


def parse_version(text: str | None) -> int:
    """Return the version to answer in: what the client asks for, as far as we know it.

    Raises:
        InvalidArgumentError: *text* is not a number.
    """
    if text is None:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidArgumentError("negotiateVersion is not a number.")
    return min(int(text), NEWEST_VERSION)


def agree(version: int, *, connection_id: str, connection_token: str) -> Negotiation:
    """Return what holds for a new connection; in version 0 the token serves as the id, too."""
    return Negotiation(version, connection_token if version == 0 else connection_id, connection_token)


def answer(negotiation: Negotiation, transports: Sequence[str]) -> dict[str, Any]:
    """Return the answer, the preferred transport first."""
    body: dict[str, Any] = {
        "negotiateVersion": negotiation.version,
        "connectionId": negotiation.connection_id,
        "availableTransports": [
            {"transport": transport, "transferFormats": list(TRANSFER_FORMATS[transport])} for transport in transports
        ],
    }
    if negotiation.version > 0:
        body["connectionToken"] = negotiation.connection_token
    return body
