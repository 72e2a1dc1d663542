"""The JSON encoding of the hub protocol: text to message and back (HubProtocol.md, "JSON Encoding")."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from ...errors import HandshakeError, ProtocolError
from .framing import frame
from .messages import (
    CancelInvocation,
    Close,
    Completion,
    HandshakeRequest,
    HandshakeResponse,
    Invocation,
    Message,
    Ping,
    StreamInvocation,
    StreamItem,
)

PROTOCOL_NAME = "json"
PROTOCOL_VERSION = 1
KNOWN_TYPES = frozenset(range(1, 8))


class _Envelope(msgspec.Struct):
    type: int


# Strict mode refuses "1" for a number and the like; an object's unknown keys are ignored.
_decode_message: Callable[[str], Message] = msgspec.json.Decoder(
    Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close
).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_handshake = msgspec.json.Decoder(HandshakeRequest).decode
_encode = msgspec.json.Encoder().encode

_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LONE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def parse_message(text: str) -> Message | None:
    """Return the message in a record; ``None`` when its type is not known, as clients skip it, too.

    Raises:
        ProtocolError: It is not JSON, or not a message of the type that it names.
    """
    try:
        return _parse_known(text)
    except msgspec.DecodeError:
        # A browser writes half an emoji as a lone surrogate escape: legal JSON, but not text.
        mended = _ESCAPE.sub(_mend_escape, text)
        if mended == text:
            raise ProtocolError("The message is not valid JSON.") from None
    try:
        return _parse_known(mended)
    except msgspec.DecodeError:
        raise ProtocolError("The message is not valid JSON.") from None


def _parse_known(text: str) -> Message | None:
    try:
        return _decode_message(text)
    except msgspec.ValidationError as exc:
        if _names_unknown_type(text):
            return None
        raise ProtocolError(f"The message is malformed: {exc}.") from None
    except (RecursionError, UnicodeEncodeError):
        raise ProtocolError("The message is nested too deeply or is not text.") from None


def _names_unknown_type(text: str) -> bool:
    try:
        return _decode_envelope(text).type not in KNOWN_TYPES
    except (msgspec.ValidationError, RecursionError):
        return False


def _mend_escape(match: re.Match[str]) -> str:
    escape = match.group()
    return r"\ufffd" if _LONE_SURROGATE.fullmatch(escape) else escape


def serialize_message(message: Message) -> str:
    """Return *message* as a record."""
    return frame(_encode(message).decode())


def parse_handshake(text: str) -> HandshakeRequest:
    """Return a client's first record (HubProtocol.md, "Handshake").

    Raises:
        HandshakeError: It is malformed, or asks for a protocol or version that we do not speak.
    """
    try:
        request = _decode_handshake(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        raise HandshakeError("The handshake is malformed.") from None
    if request.protocol != PROTOCOL_NAME or request.version != PROTOCOL_VERSION:
        raise HandshakeError("The hub speaks the protocol 'json' in version 1 only.")
    return request


def serialize_handshake(response: HandshakeResponse) -> str:
    """Return the hub's first record."""
    return frame(_encode(response).decode())
