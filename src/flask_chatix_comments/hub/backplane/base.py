"""What happened, for all who should be told: ``Backplane`` and its events.

An event is a fact about a chatroom or a visitor, in our own words. Who hears of it, and how it reads on
the wire, is decided where it is delivered.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ...models import Chatroom, Manager, Member, Message


@dataclass(frozen=True, slots=True)
class MessagePosted:
    """A message was stored.

    Attributes:
        by_connection_id: Whose it is: this connection has it as the result of its call.
        is_private: Whether the chatroom is: then each reader opens its files in its own name.
    """

    message: Message
    by_connection_id: str | None
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """A message has another text."""

    message: Message


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """A message is gone.

    Attributes:
        message: Emptied; its ids remain.
    """

    message: Message


class Move(enum.Enum):
    """Which way a member went."""

    JOINED = "joined"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class MemberMoved:
    """Somebody came or went.

    Attributes:
        is_known: Whether the others in the chatroom may know who.
        was_taken: Whether the visitor did not go by itself: then its own connections are told.
    """

    move: Move
    chatroom_id: str
    visitor_id: str
    who: Member | Manager
    is_known: bool
    was_taken: bool = False


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A chatroom has so many members now."""

    chatroom_id: str
    count: int


class ChatroomStep(enum.Enum):
    """What became of a chatroom."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class ChatroomChanged:
    """A chatroom was made, changed, deleted or restored."""

    step: ChatroomStep
    chatroom: Chatroom


@dataclass(frozen=True, slots=True)
class ProfileChanged:
    """A visitor has another name.

    Attributes:
        chatroom_ids: Where its name is known.
    """

    member: Member
    chatroom_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """A visitor is a manager from now on, or none any more."""

    visitor_id: str
    is_manager: bool


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody is typing; nobody learns who."""

    chatroom_id: str
    by_visitor_id: str


Event = (
    MessagePosted
    | MessageEdited
    | MessageDeleted
    | MemberMoved
    | PresenceChanged
    | ChatroomChanged
    | ProfileChanged
    | RightsChanged
    | Typing
)
Listener = Callable[[Event], None]


class Backplane(Protocol):
    """Carry events to every process of the hub, this one included, in the order of each publisher."""

    def listen(self, listener: Listener) -> None:
        """Call *listener* with every event from now on."""

    async def publish(self, event: Event) -> None:
        """Hand over an event; a failure to reach other processes is not the publisher's."""
