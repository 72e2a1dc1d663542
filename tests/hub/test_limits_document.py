"""docs/hub-limits.md says what the code says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.config import ChatixConfig
from flask_chatix_comments.hub import entrance, limits, rates, rest_call, web_frames, web_protocols
from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.rate_config import Action, RateConfig
from flask_chatix_comments.hub.service import uploads
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.transports import calls, channels, inbox, long_polling, outlet

DOCUMENT = (Path(__file__).parents[2] / "docs/hub-limits.md").read_text()
HUB = HubConfig(
    website_id="local",
    database_url="sqlite:///hub.sqlite3",
    ticket_keys=(b"k",),
    api_keys=("k",),
    uploads=UploadConfig(folder=Path("files")),
)
FILES = UploadConfig(folder=Path("files"))
CONNECTION = ConnectionLimits()

HOW_MUCH: dict[str, int] = {
    "characters in a comment": HUB.max_message_chars,
    "characters in a name": HUB.max_name_chars,
    "characters in an e-mail address": limits.MAX_EMAIL_CHARS,
    "characters in an id": limits.MAX_ID_CHARS,
    "characters in a URL": limits.MAX_URL_CHARS,
    "fields of a visitor": limits.MAX_FIELDS,
    "characters in a field's key": limits.MAX_FIELD_KEY_CHARS,
    "characters in a field's value": limits.MAX_FIELD_VALUE_CHARS,
    "messages, members or chatrooms in an answer": limits.MAX_PAGE_ITEMS,
    "items in an answer of the REST API": rest_call.MAX_ITEMS_PER_PAGE,
    "bytes in a record of a connection, in a text that is posted without a WebSocket, and in a REST body": (
        HUB.max_record_bytes
    ),
    "records in a frame": CONNECTION.max_records_per_text,
    "values in a frame or a record: what its commas and opening brackets come to": CONNECTION.max_values_per_text,
    "bytes in a WebSocket message": web_protocols.MAX_MESSAGE_BYTES,
    "pieces of a WebSocket message": web_frames.MAX_FRAGMENTS,
    "pings, pongs and frames of nothing of a WebSocket, at once": web_frames.IDLE_FRAMES,
    "such frames in a second, later": int(web_frames.IDLE_FRAMES_PER_S),
    "frames or posted texts of one connection that wait for their turn; longer ones count once more for each 32768"
    " bytes": calls.MAX_WAITING_FRAMES,
    "texts of one connection that are being posted at a time": inbox.MAX_WAITING_REQUESTS,
    "bytes that wait for a client which reads too slowly": CONNECTION.max_waiting_bytes,
    "records that wait for it": CONNECTION.max_waiting_records,
    "connections of a visitor": HUB.max_connections_per_visitor,
    "connections of an address": HUB.max_connections_per_address,
    "connections of a visitor that were negotiated and have not come": channels.MAX_WAITING_PER_VISITOR,
    "connections in all that were negotiated and have not come": channels.MAX_WAITING,
    "chatrooms that a visitor is in": HUB.max_chatrooms_per_visitor,
    "bytes in a file": FILES.max_file_bytes,
    "pixels in an image": FILES.max_image_pixels,
    "files of a visitor in an hour": FILES.files_per_hour,
    "bytes of a visitor's files in an hour": FILES.bytes_per_hour,
    "files of a visitor on their way at a time": uploads.MAX_UNDER_WAY_PER_VISITOR,
    "files of an address on their way at a time": uploads.MAX_UNDER_WAY_PER_ADDRESS,
    "files on their way at a time": uploads.MAX_UNDER_WAY,
    "parameters in a query": entrance.MAX_PARAMETERS,
    "visitors, and addresses, that are remembered for each rate": rates.MAX_KEYS,
}
HOW_LONG: dict[str, float] = {
    "from negotiate to the connection": channels.NEGOTIATED_KEPT_S,
    "for the handshake on a connection": CONNECTION.handshake_timeout_s,
    "from the beginning of a message to its end": CONNECTION.record_timeout_s,
    "for the head of a request": web_protocols.REQUEST_S,
    "from one piece of an upload to the next": FILES.idle_s,
    "for an answer to a WebSocket's ping": HUB.ping_timeout_s,
    "for a client to say anything, at least that it is there": CONNECTION.client_timeout_s or 0.0,
    "for a connection to be answered and closed when the hub ends": web_frames.FAREWELL_S,
    "for a text that is posted, once it is its turn": inbox.BODY_S,
    "for its turn": inbox.TURN_S,
    "for a poll that there is nothing to say to": long_polling.POLL_S,
    "from one poll to the next": long_polling.ABSENT_S,
    "for a client to take a frame": outlet.SEND_S,
    "for a client to take a piece of an answer": web_protocols.ANSWER_S,
}


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its own head."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_how_often() -> None:
    def spelled(action: Action, side: str) -> str:
        rate = getattr(getattr(RateConfig(), action), side)
        return f"{rate.count}/{rate.per_s:g}"

    expected = [[f"`{action}`", spelled(action, "visitor"), spelled(action, "address")] for action in Action]
    assert [cells[:3] for cells in table("How often")] == expected


def test_how_much() -> None:
    assert {cells[0]: int(cells[1]) for cells in table("How much")} == HOW_MUCH


def test_how_long() -> None:
    assert {cells[0]: float(cells[1]) for cells in table("How long")} == HOW_LONG


def test_the_settings_have_the_hubs_own_defaults() -> None:
    settings = ChatixConfig.from_mapping({"SECRET_KEY": "s" * 32}).hub_limits
    assert settings.connections_per_visitor == HUB.max_connections_per_visitor
    assert settings.connections_per_address == HUB.max_connections_per_address
    assert settings.chatrooms_per_visitor == HUB.max_chatrooms_per_visitor
    assert RateConfig.of(settings.rates) == HUB.rates
    assert settings.trusted_proxies == HUB.trusted_proxies


@pytest.mark.parametrize(("row", "size"), [(0, "max_record_bytes"), (1, "max_values_per_text")])
def test_the_longest_comment_for_which_a_record_need_not_grow(row: int, size: str) -> None:
    chars = int(re.findall(r"`CHATIX_MAX_LENGTH` above ([0-9]+)", DOCUMENT)[row])

    def size_for(max_chars: int) -> Any:
        return getattr(dataclasses.replace(HUB, max_message_chars=max_chars), size)

    assert size_for(chars) == getattr(HUB, size) < size_for(chars + 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"posting": {"visitor": "10/60"}}, {"posting": {"visitor": (10, 60.0)}}),
        ('{"reading": {"address": "5/0.5"}, "typing": {}}', {"reading": {"address": (5, 0.5)}, "typing": {}}),
    ],
)
def test_rates_as_settings(value: Any, expected: Any) -> None:
    settings = ChatixConfig.from_mapping({"SECRET_KEY": "s" * 32, "CHATIX_HUB_LIMITS": value})
    assert settings.hub_limits.rates == expected
