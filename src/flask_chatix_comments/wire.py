"""Chatix's spellings: hub methods, events and JSON keys, to and from our models.

The names and the order of arguments are the vendor's, however uneven; they live here and nowhere
else on the Python side. Seconds since 1970 exist only here: everywhere else times are datetimes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .models import Chatroom, FieldValue, Manager, Member, Message, MessageType, Profile, SenderFlag, is_text

VENDOR_API_URL = "https://app1.chatix.io:5022/v1"

Json = dict[str, Any]


class HubMethod(enum.StrEnum):
    """What a client may invoke; compared without regard to case, as older clients differ."""

    GET_VISITOR_INFO = "GetVisitorInfo"
    GET_MANAGERS = "GetManagers"
    GET_MY_CHATROOMS = "GetMyChatrooms"
    GET_ALL_CHATROOMS = "GetAllChatrooms"
    GET_CHATROOM = "GetChatroom"
    SAVE_PAGE_INFO = "SavePageInfo"
    CONNECT_TO_CHATROOM = "ConnectToChatroom"
    DISCONNECT_FROM_CHATROOM = "DisconnectFromChatroom"
    SAVE_CHATROOM_MESSAGE = "SaveChatroomMessage"
    GET_CHATROOM_HISTORY = "GetChatroomHistory"
    GET_CHATROOM_VISITORS = "GetChatroomVisitors"
    GET_VISITOR_BY_VISITOR = "GetVisitorByVisitor"
    SAVE_VISITOR_INFO = "SaveVisitorInfo"
    GET_WEB_CHAT_MANAGERS = "GetWebChatManagers"
    GET_MANAGER_INFO = "GetManagerInfo"
    GET_WEB_CHAT_INFO = "GetWebChatInfo"
    SAVE_MESSAGE = "SaveMessage"
    GET_HISTORY = "GetHistory"
    VISITOR_TYPE = "VisitorType"
    ALLOW_SCREEN_CAST = "AllowScreenCast"
    INTERRUPT_SCREEN_CAST = "InterruptScreenCast"
    POST_SCREEN_DATA = "PostScreenData"
    POST_SCREEN_EVENT = "PostScreenEvent"
    # Ours: the hosted service does not have them.
    GET_CHATROOM_CHANGES = "GetChatroomChanges"
    UPDATE_CHATROOM_MESSAGE = "UpdateChatroomMessage"
    DELETE_CHATROOM_MESSAGE = "DeleteChatroomMessage"
    SEND_CHATROOM_WHISPER = "SendChatroomWhisper"
    CHATROOM_TYPING = "ChatroomTyping"


class HubEvent(enum.StrEnum):
    """What the hub tells its clients about chatrooms."""

    MESSAGE_RECEIVED = "ApplyChatroomMessage"
    MESSAGE_UPDATED = "OnUpdateChatroomMessage"
    MESSAGE_DELETED = "OnDeleteChatroomMessage"
    MEMBER_JOINED = "OnConnectVisitorToChatroom"
    MEMBER_LEFT = "OnDisconnectVisitorFromChatroom"
    MANAGER_JOINED = "OnConnectManagerToChatroom"
    MANAGER_LEFT = "OnDisconnectManagerFromChatroom"
    CHATROOM_CREATED = "OnCreateChatroom"
    CHATROOM_UPDATED = "OnUpdateChatroom"
    CHATROOM_DELETED = "OnDeleteChatroom"
    CHATROOM_RESTORED = "OnRestoreChatroom"
    VISITOR_CHANGED = "ApplyVisitorInfo"
    # Ours.
    TYPING = "OnChatroomTyping"
    PRESENCE = "OnChatroomPresence"
    RIGHTS_CHANGED = "OnManagerRightsChanged"
    COME_AGAIN = "OnComeAgain"


def to_unix(moment: datetime) -> float:
    """Return seconds since 1970, to the millisecond."""
    return round(moment.timestamp(), 3)


def from_unix(seconds: float) -> datetime:
    """Return the moment as an aware UTC datetime.

    Raises:
        ValueError: No such moment can be represented.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as exc:
        raise ValueError("not a moment in time") from exc


def flat_fields(fields: Mapping[str, Any] | None) -> dict[str, FieldValue]:
    """Return *fields* without null and nested values, at which chatix-core throws (visitor.js:setFields)."""
    return {str(key): value for key, value in (fields or {}).items() if isinstance(value, (str, int, float, bool))}


def manager_to_wire(manager: Manager) -> Json:
    """Return the Manager object of chatix-core."""
    return {
        "uuid": manager.manager_id,
        "name": manager.name,
        "email": manager.email,
        "is_online": manager.is_online,
        "avatar_url": manager.avatar_url,
        "avatar_thumb100_url": manager.avatar_url,
        "avatar_thumb300_url": manager.avatar_url,
    }


def manager_from_wire(data: Mapping[str, Any]) -> Manager:
    """Read a Manager object; raises ``KeyError`` or ``TypeError`` when it is none."""
    return Manager(
        manager_id=str(data["uuid"]),
        name=data.get("name"),
        email=data.get("email"),
        is_online=bool(data.get("is_online")),
        avatar_url=data.get("avatar_url"),
    )


def member_to_wire(member: Member) -> Json:
    """Return the Member object: never email or fields."""
    return {"uuid": member.visitor_id, "name": member.name, "is_online": member.is_online}


def profile_to_wire(profile: Profile, *, uuid: str | None = None) -> Json:
    """Return the Visitor object.

    Args:
        uuid: What to call the visitor: its ticket when told to itself, its public id by default.
    """
    return {
        "uuid": uuid if uuid is not None else profile.visitor_id,
        "name": profile.name,
        "email": profile.email,
        "fields": flat_fields(profile.fields),
        "is_online": profile.is_online,
    }


def profile_from_wire(data: Mapping[str, Any]) -> Profile:
    """Read a Visitor object of the REST API; raises ``KeyError`` or ``TypeError`` when it is none."""
    return Profile(
        visitor_id=str(data["uuid"]),
        name=data.get("name"),
        email=data.get("email"),
        fields=flat_fields(data.get("fields")),
        is_online=bool(data.get("is_online")),
        is_manager=bool(data.get("is_manager")),
        is_persistent=bool(data.get("is_persistent")),
    )


def chatroom_to_wire(chatroom: Chatroom, *, web_chat_id: str, for_api: bool = False) -> Json:
    """Return the Chatroom object; ``managers`` is always there, as chatix-core iterates over it.

    Args:
        web_chat_id: The website's id.
        for_api: Whether the REST API asks: it also gets what only the site may know.
    """
    data: Json = {
        "id": chatroom.chatroom_id,
        "title": chatroom.title,
        "is_private": chatroom.is_private,
        "is_deleted": chatroom.is_deleted,
        "is_closed": chatroom.is_closed,
        "number_of_visitors": chatroom.number_of_visitors,
        "managers": [manager_to_wire(manager) for manager in chatroom.managers],
        "web_chat_id": web_chat_id,
    }
    if for_api:
        data["external_id"] = chatroom.external_id
    return data


def chatroom_from_wire(data: Mapping[str, Any]) -> Chatroom:
    """Read a Chatroom object; raises ``KeyError``, ``TypeError`` or ``ValueError`` when it is none."""
    if not isinstance(data["id"], (str, int)) or not str(data["id"]):
        raise ValueError("a chatroom without an id")
    external_id = data.get("external_id")
    return Chatroom(
        chatroom_id=str(data["id"]),
        title=_encodable(str(data.get("title") or "")),
        is_private=bool(data.get("is_private")),
        is_deleted=bool(data.get("is_deleted")),
        is_closed=bool(data.get("is_closed")),
        number_of_visitors=int(data.get("number_of_visitors") or 0),
        managers=tuple(manager_from_wire(manager) for manager in data.get("managers") or ()),
        # What is neither proper text nor a number is no name of ours.
        external_id=str(external_id) if isinstance(external_id, (str, int)) and is_text(str(external_id)) else None,
    )


def _encodable(text: str) -> str:
    """Return *text* without lone surrogates, which JSON can spell and no database or terminal takes."""
    return text.encode(errors="replace").decode()


def message_to_wire(message: Message, *, for_sender: bool = False) -> Json:
    """Return the Message object, with our more keys.

    Args:
        for_sender: Whether the sender asks: only the sender gets the ``client_key``.

    Managers get whispers too; those alone say what they are (``is_whisper``).
    """
    data: Json = {
        "uuid": message.message_id,
        "type": int(message.type),
        "content": message.content,
        "thumb_100_url": message.thumb_100_url,
        "thumb_300_url": message.thumb_300_url,
        "original_url": message.original_url,
        "file_url": message.file_url,
        "sender_flag": int(message.sender_flag),
        "sender_id": message.sender_id,
        "sent_at": to_unix(message.sent_at),
        "sender_name": message.sender_name,
        "edited_at": to_unix(message.edited_at) if message.edited_at else None,
        "seq": message.seq,
        "file_name": message.file_name,
        "file_size": message.file_bytes,
        "width": message.width_px,
        "height": message.height_px,
    }
    if for_sender and message.client_key:
        data["client_key"] = message.client_key
    if message.is_whisper:
        data["is_whisper"] = True
    return data


def change_to_wire(message: Message, *, for_sender: bool = False) -> Json:
    """Return an item of ``GetChatroomChanges``: the message, or that it is gone."""
    if message.is_deleted:
        return {"uuid": message.message_id, "is_deleted": True}
    return message_to_wire(message, for_sender=for_sender)


def standpoint_to_wire(now: datetime, *, is_manager: bool) -> Json:
    """Return what tells how messages are to be read: the hub's time, and, to managers, that they see whispers too."""
    return {"now": to_unix(now)} | ({"is_manager": True} if is_manager else {})


def message_from_wire(data: Mapping[str, Any], *, chatroom_id: str) -> Message:
    """Read a Message object; raises ``KeyError``, ``TypeError`` or ``ValueError`` when it is none."""
    edited_at = data.get("edited_at")
    return Message(
        message_id=str(data["uuid"]),
        chatroom_id=chatroom_id,
        type=MessageType(data["type"]),
        content=str(data.get("content") or ""),
        thumb_100_url=data.get("thumb_100_url"),
        thumb_300_url=data.get("thumb_300_url"),
        original_url=data.get("original_url"),
        file_url=data.get("file_url"),
        sender_flag=SenderFlag(data.get("sender_flag") or 0),
        sender_id=str(data["sender_id"]),
        sender_name=data.get("sender_name"),
        sent_at=from_unix(data["sent_at"]),
        edited_at=from_unix(edited_at) if edited_at is not None else None,
        seq=int(data.get("seq") or 0),
        client_key=data.get("client_key"),
        is_whisper=data.get("is_whisper") is True,
        file_name=data.get("file_name"),
        file_bytes=_number(data.get("file_size")),
        width_px=_number(data.get("width")),
        height_px=_number(data.get("height")),
    )


def _number(value: Any) -> int | None:
    return None if value is None else int(value)
