"""Our models in Chatix's spelling, as one connection sees them: it knows itself by another name."""

from __future__ import annotations

from typing import Any

from .. import wire
from ..models import Chatroom, Manager, Member, Message, Profile
from .addresses import located
from .service import Caller
from .service.messages import format_cursor
from .store.base import Changes, History

Json = dict[str, Any]


def present_message(message: Message, caller: Caller | None, base_url: str) -> Json:
    """Return the Message object; *caller* is ``None`` where nobody in particular looks at it.

    Args:
        base_url: Where the reader finds the hub, up to ``/v1``.
    """
    message = located(message, base_url)
    if caller is None or message.sender_id != caller.visitor_id:
        return wire.message_to_wire(message)
    return wire.message_to_wire(message, for_sender=True) | {"sender_id": caller.own_id}


def present_change(message: Message, caller: Caller | None, base_url: str) -> Json:
    """Return an item of ``GetChatroomChanges``."""
    return wire.change_to_wire(message) if message.is_deleted else present_message(message, caller, base_url)


def present_history(history: History, caller: Caller | None, base_url: str) -> Json:
    """Return a page of history, with the cursor from which changes can be asked for later."""
    items = [present_message(message, caller, base_url) for message in history.messages]
    return {
        "items": items,
        "cursor": format_cursor(history.cursor),
        "has_more": history.has_more,
        "is_closed": history.is_closed,
        "total": history.total,
    }


def present_changes(changes: Changes, caller: Caller | None, base_url: str) -> Json:
    """Return the result of ``GetChatroomChanges``."""
    return {
        "items": [present_change(message, caller, base_url) for message in changes.messages],
        "cursor": format_cursor(changes.cursor),
        "has_more": changes.has_more,
        "is_closed": changes.is_closed,
        "total": changes.total,
    }


def present_member(member: Member, caller: Caller | None) -> Json:
    """Return the Member object."""
    data = wire.member_to_wire(member)
    return data | {"uuid": caller.own_id} if caller and member.visitor_id == caller.visitor_id else data


def present_person(who: Member | Manager, caller: Caller | None) -> Json:
    """Return the Member or Manager object."""
    return wire.manager_to_wire(who) if isinstance(who, Manager) else present_member(who, caller)


def present_chatroom(chatroom: Chatroom, website_id: str) -> Json:
    """Return the Chatroom object, as visitors get it."""
    return wire.chatroom_to_wire(chatroom, web_chat_id=website_id)


def present_self(profile: Profile, caller: Caller) -> Json:
    """Return the Visitor object of the caller itself: its ``uuid`` is the credential to come back with."""
    return wire.profile_to_wire(profile, uuid=caller.ticket_text)
