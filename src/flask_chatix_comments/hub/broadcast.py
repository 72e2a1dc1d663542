"""Tell connections what happened: events become records, each serialised once for all who get the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..models import Manager, Message
from ..wire import HubEvent
from .addresses import has_paths, with_pass
from .backplane.base import (
    ChatroomChanged,
    ChatroomStep,
    Event,
    MemberMoved,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    Move,
    PresenceChanged,
    ProfileChanged,
    RightsChanged,
    Typing,
)
from .fanout import Fanout, SendRecord
from .membership import Membership
from .presenter import present_chatroom, present_member, present_message, present_person
from .service import Caller
from .signalr.json_protocol import serialize_message
from .signalr.messages import Invocation

#: The arguments of an event, as this connection sees them (``None``: as everybody else does) from a base URL.
Arguments = Callable[[Caller | None, str], list[Any]]

CHATROOM_TARGETS = {
    ChatroomStep.CREATED: HubEvent.CHATROOM_CREATED,
    ChatroomStep.UPDATED: HubEvent.CHATROOM_UPDATED,
    ChatroomStep.DELETED: HubEvent.CHATROOM_DELETED,
    ChatroomStep.RESTORED: HubEvent.CHATROOM_RESTORED,
}
MOVE_TARGETS = {
    (Move.JOINED, False): HubEvent.MEMBER_JOINED,
    (Move.LEFT, False): HubEvent.MEMBER_LEFT,
    (Move.JOINED, True): HubEvent.MANAGER_JOINED,
    (Move.LEFT, True): HubEvent.MANAGER_LEFT,
}


class Broadcast:
    """The connections of this process, and what they hear.

    Args:
        is_manager: Whether a visitor who is here is a manager now.
        private_pass: What a visitor reads the files of a private chatroom with: chatroom, visitor.
    """

    def __init__(
        self,
        membership: Membership,
        *,
        website_id: str,
        is_manager: Callable[[str], bool],
        private_pass: Callable[[str, str], str],
    ) -> None:
        self._membership = membership
        self._website_id = website_id
        self._is_manager = is_manager
        self._private_pass = private_pass
        self._fanout = Fanout(membership)
        self._listeners: dict[str, Caller] = {}

    def add(self, caller: Caller, send_record: SendRecord) -> None:
        """Let a connection hear of events from now on."""
        self._listeners[caller.connection_id] = caller
        self._fanout.add(caller.connection_id, send_record)

    def remove(self, caller: Caller) -> None:
        """Forget a connection."""
        self._listeners.pop(caller.connection_id, None)
        self._fanout.remove(caller.connection_id)

    def catch_up(self, caller: Caller) -> None:
        """Tell a connection what it is to be told, before it gets an answer."""
        self._fanout.catch_up(caller.connection_id)

    def flush(self) -> None:
        """Tell all connections what they are to be told, without waiting for the end of this turn."""
        self._fanout.flush()

    def deliver(self, event: Event) -> None:
        """Send an event to all who should hear of it."""
        match event:
            case MessagePosted():
                self._message_posted(event)
            case MessageEdited(message):
                audience = self._readers_of(message.chatroom_id, is_whisper=message.is_whisper)
                self._send_message(audience, HubEvent.MESSAGE_UPDATED, message)
            case MessageDeleted(message):
                audience = self._readers_of(message.chatroom_id, is_whisper=message.is_whisper)
                arguments = [message.message_id, message.chatroom_id]
                self._send(audience, HubEvent.MESSAGE_DELETED, lambda *_: arguments)
            case MemberMoved():
                self._member_moved(event)
            case PresenceChanged(chatroom_id, count):
                self._send(self._in(chatroom_id), HubEvent.PRESENCE, lambda *_: [chatroom_id, count])
            case ChatroomChanged():
                self._chatroom_changed(event)
            case ProfileChanged():
                self._profile_changed(event)
            case RightsChanged(visitor_id, is_manager):
                self._send(self._of(visitor_id), HubEvent.RIGHTS_CHANGED, lambda *_: [is_manager])
            case Typing(chatroom_id, by_visitor_id):
                audience = (one for one in self._in(chatroom_id) if one.visitor_id != by_visitor_id)
                self._send(audience, HubEvent.TYPING, lambda *_: [chatroom_id])

    def _message_posted(self, event: MessagePosted) -> None:
        message = event.message
        if not message.is_whisper and not has_paths(message):
            self._tell_chatroom(message, event.by_connection_id)
            return
        audience = (
            one
            for one in self._readers_of(message.chatroom_id, is_whisper=message.is_whisper)
            # The sender has it as the result of its call; the vendor's app would show it twice.
            if one.connection_id != event.by_connection_id
        )
        if event.is_private and has_paths(message):
            self._send_each(audience, message)
        else:
            self._send_message(audience, HubEvent.MESSAGE_RECEIVED, message)

    def _tell_chatroom(self, message: Message, by_connection_id: str | None) -> None:
        """Tell of a message that reads the same for all but its sender."""

        def record_for(caller: Caller | None) -> str:
            arguments = [present_message(message, caller, ""), message.chatroom_id]
            return _record(HubEvent.MESSAGE_RECEIVED, arguments)

        own = {
            caller.connection_id: "" if caller.connection_id == by_connection_id else record_for(caller)
            for caller in self._of(message.sender_id)
        }
        self._fanout.tell_chatroom(message.chatroom_id, record_for(None), own)

    def _send_each(self, audience: Iterable[Caller], message: Message) -> None:
        """Tell of a message with files that each reader has to open in its own name."""
        records = {}
        for caller in audience:
            own = with_pass(message, self._private_pass(message.chatroom_id, caller.visitor_id))
            arguments = [present_message(own, caller, caller.base_url), message.chatroom_id]
            records[caller.connection_id] = _record(HubEvent.MESSAGE_RECEIVED, arguments)
        self._fanout.tell(records)

    def _send_message(self, audience: Iterable[Caller], target: HubEvent, message: Message) -> None:
        self._send(
            audience,
            target,
            lambda caller, base_url: [present_message(message, caller, base_url), message.chatroom_id],
            own_id=message.sender_id,
            has_paths=has_paths(message),
        )

    def _member_moved(self, event: MemberMoved) -> None:
        def arguments(caller: Caller | None, _: str) -> list[Any]:
            return [present_person(event.who, caller), event.chatroom_id]

        target = MOVE_TARGETS[event.move, isinstance(event.who, Manager)]
        if event.is_known:
            others = (one for one in self._in(event.chatroom_id) if one.visitor_id != event.visitor_id)
            self._send(others, target, arguments)
        if event.was_taken:
            self._send(self._of(event.visitor_id), target, arguments, own_id=event.visitor_id)

    def _chatroom_changed(self, event: ChatroomChanged) -> None:
        chatroom = event.chatroom
        data: Any = present_chatroom(chatroom, self._website_id)
        if event.step is ChatroomStep.DELETED:
            data = chatroom.chatroom_id
        audience = {one.connection_id: one for one in self._in(chatroom.chatroom_id)}
        audience |= {one.connection_id: one for one in self._watchers(is_private=chatroom.is_private)}
        self._send(audience.values(), CHATROOM_TARGETS[event.step], lambda *_: [data])

    def _watchers(self, *, is_private: bool) -> Iterator[Caller]:
        """Yield those who follow the list of chatrooms.

        Pages with a site ticket show one chatroom each: telling them of all others, a thousand readers of
        each of a thousand new posts, would be of use to nobody.
        """
        for one in self._listeners.values():
            if (one.is_lasting and not is_private) or self._is_manager(one.visitor_id):
                yield one

    def _profile_changed(self, event: ProfileChanged) -> None:
        visitor_id = event.member.visitor_id
        audience = {one.connection_id: one for one in self._of(visitor_id)}
        for chatroom_id in event.chatroom_ids:
            audience |= {one.connection_id: one for one in self._in(chatroom_id)}
        self._send(
            audience.values(),
            HubEvent.VISITOR_CHANGED,
            lambda caller, _: [present_member(event.member, caller)],
            own_id=visitor_id,
        )

    def _readers_of(self, chatroom_id: str, *, is_whisper: bool) -> Iterator[Caller]:
        for one in self._in(chatroom_id):
            if not is_whisper or self._is_manager(one.visitor_id):
                yield one

    def _in(self, chatroom_id: str) -> Iterator[Caller]:
        return self._known(self._membership.connections_in(chatroom_id))

    def _of(self, visitor_id: str) -> Iterator[Caller]:
        return self._known(self._membership.connections_of(visitor_id))

    def _known(self, connection_ids: Iterable[str]) -> Iterator[Caller]:
        for connection_id in connection_ids:
            listener = self._listeners.get(connection_id)
            if listener is not None:
                yield listener

    def _send(
        self,
        audience: Iterable[Caller],
        target: HubEvent,
        arguments: Arguments,
        *,
        own_id: str | None = None,
        has_paths: bool = False,
    ) -> None:
        """Send one event.

        Args:
            own_id: The visitor whose own connections see it in their own way.
            has_paths: Whether it reads differently by each base URL.
        """
        common: dict[str, str] = {}
        records = {}
        for caller in audience:
            base_url = caller.base_url if has_paths else ""
            if caller.visitor_id == own_id:
                record = _record(target, arguments(caller, base_url))
            else:
                if base_url not in common:
                    common[base_url] = _record(target, arguments(None, base_url))
                record = common[base_url]
            records[caller.connection_id] = record
        self._fanout.tell(records)


def _record(target: HubEvent, arguments: list[Any]) -> str:
    return serialize_message(Invocation(target=target, arguments=arguments))
