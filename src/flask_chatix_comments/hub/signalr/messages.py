"""The messages of the hub protocol, one frozen struct per type (HubProtocol.md, "JSON Encoding").

Ack and Sequence (types 8 and 9) belong to stateful reconnects, which negotiate does not offer; they are
skipped like any type that is not known.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType


class HandshakeRequest(Struct, frozen=True, kw_only=True):
    """The first record of a client."""

    protocol: str
    version: int


class HandshakeResponse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first record of the hub: empty when all is well."""

    error: str | None = None


class Invocation(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=1):
    """A call of a hub method, or an event for the client.

    Attributes:
        invocation_id: Names the call in its completion; ``None`` asks for no completion. The hub never
            sets it: ``@aspnet/signalr`` 1.1.4 drops the connection if it does.
    """

    target: str
    arguments: list[Any]
    invocation_id: str | None = msgspec.field(default=None, name="invocationId")


class StreamItem(Struct, frozen=True, kw_only=True, tag_field="type", tag=2):
    """One item of a stream."""

    invocation_id: str = msgspec.field(name="invocationId")
    item: Any


class Completion(Struct, frozen=True, kw_only=True, tag_field="type", tag=3):
    """The answer to an invocation: a result, an error, or neither when the method returns nothing."""

    invocation_id: str = msgspec.field(name="invocationId")
    result: Any | UnsetType = UNSET
    error: str | UnsetType = UNSET


class StreamInvocation(Struct, frozen=True, kw_only=True, tag_field="type", tag=4):
    """A call of a method that returns a stream."""

    invocation_id: str = msgspec.field(name="invocationId")
    target: str
    arguments: list[Any]


class CancelInvocation(Struct, frozen=True, kw_only=True, tag_field="type", tag=5):
    """The caller no longer wants a stream."""

    invocation_id: str = msgspec.field(name="invocationId")


class Ping(Struct, frozen=True, tag_field="type", tag=6):
    """Nothing but a sign of life."""


class Close(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=7):
    """The sender's last message.

    Attributes:
        allow_reconnect: Whether a client that reconnects by itself should do so.
    """

    error: str | None = None
    allow_reconnect: bool = msgspec.field(default=False, name="allowReconnect")


Message = Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close
