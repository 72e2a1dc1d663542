"""Chatix's spellings: each shape as chatix-core 1.3.3 reads it (protocol sheet, section 7), and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_chatix_comments import wire
from flask_chatix_comments.models import Chatroom, Manager, Member, Message, MessageType, Profile, SenderFlag

NOON = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
MANAGER = Manager("m-1", "Marit", "marit@blog.example", is_online=True, avatar_url="https://a.example/m.png")
ROOM = Chatroom("r-1", "A post", is_private=True, is_closed=True, number_of_visitors=3, managers=(MANAGER,))
PROFILE = Profile("v-1", "Jo", "jo@blog.example", {"plan": "free", "visits": 3}, is_online=True, is_manager=True)
MESSAGE = Message(
    message_id="n-1",
    chatroom_id="r-1",
    type=MessageType.IMAGE,
    sender_flag=SenderFlag.MANAGER,
    sender_id="m-1",
    sent_at=NOON,
    content="",
    sender_name="Marit",
    thumb_100_url="https://u.example/1",
    thumb_300_url="https://u.example/3",
    original_url="https://u.example/o",
    file_url="https://u.example/f",
    edited_at=NOON + timedelta(minutes=1),
    seq=7,
    change=9,
    client_key="key-1",
    file_name="Über uns.png",
    file_bytes=20_971_520,
    width_px=4000,
    height_px=3000,
)


def test_a_manager_as_the_sdk_reads_it() -> None:
    assert wire.manager_to_wire(MANAGER) == {
        "uuid": "m-1",
        "name": "Marit",
        "email": "marit@blog.example",
        "is_online": True,
        "avatar_url": "https://a.example/m.png",
        "avatar_thumb100_url": "https://a.example/m.png",
        "avatar_thumb300_url": "https://a.example/m.png",
    }
    assert wire.manager_from_wire(wire.manager_to_wire(MANAGER)) == MANAGER
    assert wire.manager_from_wire({"uuid": 5}) == Manager("5", None)


def test_a_member_never_has_email_or_fields() -> None:
    member = Member("v-1", "Jo", is_online=False)
    assert wire.member_to_wire(member) == {"uuid": "v-1", "name": "Jo", "is_online": False}


def test_a_visitor_is_told_its_ticket_in_place_of_its_id() -> None:
    told = wire.profile_to_wire(PROFILE, uuid="a-ticket")
    assert told == {
        "uuid": "a-ticket",
        "name": "Jo",
        "email": "jo@blog.example",
        "fields": {"plan": "free", "visits": 3},
        "is_online": True,
    }
    assert wire.profile_to_wire(PROFILE)["uuid"] == "v-1"


def test_a_profile_comes_back_without_what_the_wire_does_not_carry() -> None:
    read = wire.profile_from_wire(wire.profile_to_wire(PROFILE))
    assert read == Profile("v-1", "Jo", "jo@blog.example", {"plan": "free", "visits": 3}, is_online=True)
    assert wire.profile_from_wire({"uuid": "v", "fields": None}) == Profile("v")


def test_the_flags_that_our_hub_tells_the_site_are_read() -> None:
    read = wire.profile_from_wire({"uuid": "v", "is_manager": True, "is_persistent": True})
    assert read == Profile("v", is_manager=True, is_persistent=True)


def test_null_and_nested_fields_are_dropped() -> None:
    # visitor.js:setFields throws on both, and start() then fails for ever (Q19).
    fields = {"a": None, "b": {"c": 1}, "d": [1], "e": "x", "f": 1.5, "g": True, 5: 0}
    assert wire.flat_fields(fields) == {"e": "x", "f": 1.5, "g": True, "5": 0}  # type: ignore[arg-type]  # hostile
    assert wire.flat_fields(None) == {}


def test_a_chatroom_as_the_sdk_and_as_the_site_read_it() -> None:
    told = wire.chatroom_to_wire(ROOM, web_chat_id="local")
    assert told == {
        "id": "r-1",
        "title": "A post",
        "is_private": True,
        "is_deleted": False,
        "is_closed": True,
        "number_of_visitors": 3,
        "managers": [wire.manager_to_wire(MANAGER)],
        "web_chat_id": "local",
    }
    assert wire.chatroom_to_wire(Chatroom("r", "t"), web_chat_id="local")["managers"] == []
    assert wire.chatroom_to_wire(ROOM, web_chat_id="local", for_api=True) == told | {"external_id": None}
    assert wire.chatroom_from_wire(told) == ROOM


def test_the_least_that_is_a_chatroom() -> None:
    read = wire.chatroom_from_wire({"id": 17, "title": None, "managers": None, "external_id": "p"})
    assert read == Chatroom("17", "", external_id="p")


@pytest.mark.parametrize(
    ("external_id", "read"), [(7, "7"), (["p"], None), ({"p": 1}, None), ("\ud800", None), ("", ""), (None, None)]
)
def test_whatever_a_service_keeps_of_ours(external_id: object, read: str | None) -> None:
    told = {"id": "r", "title": "a\ud800b", "external_id": external_id}
    assert wire.chatroom_from_wire(told) == Chatroom("r", "a?b", external_id=read)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": ["r"]},
        {"id": "r", "number_of_visitors": "many"},
        {"id": "r", "managers": 5},
    ],
)
def test_what_is_no_chatroom_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        wire.chatroom_from_wire(data)


def test_a_message_as_the_sdk_reads_it_with_our_more_keys() -> None:
    told = wire.message_to_wire(MESSAGE)
    assert told == {
        "uuid": "n-1",
        "type": 4,
        "content": "",
        "thumb_100_url": "https://u.example/1",
        "thumb_300_url": "https://u.example/3",
        "original_url": "https://u.example/o",
        "file_url": "https://u.example/f",
        "sender_flag": 1,
        "sender_id": "m-1",
        "sent_at": 1_795_435_200.25,
        "sender_name": "Marit",
        "edited_at": 1_795_435_260.25,
        "seq": 7,
        "file_name": "Über uns.png",
        "file_size": 20_971_520,
        "width": 4000,
        "height": 3000,
    }
    assert type(told["type"]) is type(told["sender_flag"]) is int


def test_only_the_sender_gets_the_client_key() -> None:
    assert wire.message_to_wire(MESSAGE, for_sender=True)["client_key"] == "key-1"
    keyless = Message("n", "r", MessageType.TEXT, SenderFlag.VISITOR, "v", NOON)
    assert "client_key" not in wire.message_to_wire(keyless, for_sender=True)


def test_a_message_comes_back() -> None:
    told = wire.message_to_wire(MESSAGE, for_sender=True)
    assert wire.message_from_wire(told, chatroom_id="r-1") == dataclasses.replace(MESSAGE, change=0)


def test_only_a_whisper_says_what_it_is() -> None:
    whisper = dataclasses.replace(MESSAGE, is_whisper=True, change=0, client_key=None)
    told = wire.message_to_wire(whisper)
    assert told["is_whisper"] is True
    assert "is_whisper" not in wire.message_to_wire(MESSAGE)
    assert wire.message_from_wire(told, chatroom_id="r-1") == whisper


def test_only_managers_are_told_what_they_are() -> None:
    assert wire.standpoint_to_wire(NOON, is_manager=False) == {"now": wire.to_unix(NOON)}
    assert wire.standpoint_to_wire(NOON, is_manager=True) == {"now": wire.to_unix(NOON), "is_manager": True}


def test_a_hosted_message_lacks_our_keys() -> None:
    data = {"uuid": "n", "type": 0, "content": None, "sender_flag": None, "sender_id": 5, "sent_at": 0}
    read = wire.message_from_wire(data, chatroom_id="r")
    assert read == Message("n", "r", MessageType.TEXT, SenderFlag.VISITOR, "5", datetime(1970, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "changes",
    [{"type": 1}, {"type": None}, {"sender_flag": 2}, {"sent_at": None}, {"sent_at": 1e300}, {"file_size": "much"}],
)
def test_what_is_no_message_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        wire.message_from_wire(wire.message_to_wire(MESSAGE) | changes, chatroom_id="r")


def test_a_change_is_the_message_or_that_it_is_gone() -> None:
    assert wire.change_to_wire(MESSAGE) == wire.message_to_wire(MESSAGE)
    gone = dataclasses.replace(MESSAGE, is_deleted=True)
    assert wire.change_to_wire(gone, for_sender=True) == {"uuid": "n-1", "is_deleted": True}


@given(st.integers(0, 4_000_000_000_000))
def test_times_survive_to_the_millisecond(milliseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert wire.from_unix(wire.to_unix(moment)) == moment
    assert wire.to_unix(moment.astimezone(timezone(timedelta(hours=5)))) == wire.to_unix(moment)


@pytest.mark.parametrize("seconds", [1e18, -1e18, float("inf"), float("nan")])
def test_what_is_no_moment_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="moment|year|NaN"):
        wire.from_unix(seconds)


def test_the_names_of_methods_and_events_are_the_vendors() -> None:
    assert str(wire.HubMethod.SAVE_CHATROOM_MESSAGE) == "SaveChatroomMessage"
    assert str(wire.HubEvent.MESSAGE_RECEIVED) == "ApplyChatroomMessage"
    assert len(set(wire.HubMethod)) == 28
    assert len(set(wire.HubEvent)) == 16
