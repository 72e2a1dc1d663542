"""TransportProtocols.md, "POST [endpoint-base]/negotiate"."""

from __future__ import annotations

import pytest

from flask_chatix_comments.errors import InvalidArgumentError
from flask_chatix_comments.hub.signalr.negotiate import Negotiation, agree, answer, parse_version


@pytest.mark.parametrize(("text", "version"), [(None, 0), ("0", 0), ("1", 1), ("2", 1), ("999999999", 1)])
def test_the_version_to_answer_in(text: str | None, version: int) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "1e0", " 1", "\u0661", "9999999999"])
def test_versions_that_are_no_number(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="negotiateVersion"):
        parse_version(text)


def test_in_version_0_the_id_is_the_secret() -> None:
    negotiation = agree(0, connection_id="public", connection_token="secret")
    assert negotiation == Negotiation(version=0, connection_id="secret", connection_token="secret")
    assert answer(negotiation, ["WebSockets"]) == {
        "negotiateVersion": 0,
        "connectionId": "secret",
        "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
    }


def test_in_version_1_id_and_secret_are_apart() -> None:
    negotiation = agree(1, connection_id="public", connection_token="secret")
    body = answer(negotiation, ["WebSockets", "ServerSentEvents", "LongPolling"])
    assert body == {
        "negotiateVersion": 1,
        "connectionId": "public",
        "connectionToken": "secret",
        "availableTransports": [
            {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
            {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
            {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
        ],
    }
