"""The client of the REST API, hosted or our hub's, for the Flask side.

What is called how is the table in ``operations``. Only what is repeatable is tried again: GET, and
the rows marked idempotent. The API key is in no error, log line or ``repr``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import httpx

from . import api_answers as answers
from . import wire
from .api_answers import Changes, ChatroomPage, HistoryPage
from .api_http import ApiCaller
from .errors import ApiError, ApiStatusError
from .models import Chatroom, Crowd, FieldValue, Forgotten, Message, MessageType, Profile, SenderFlag
from .operations import OPERATIONS, Operation, merge_operations

__all__ = ["OPERATIONS", "Changes", "ChatixApi", "ChatroomPage", "HistoryPage", "Operation", "merge_operations"]


class ChatixApi:
    """Calls the REST API. Safe for threads; after a fork each process connects anew.

    Every method that calls raises ``ApiError``: ``ApiConnectionError`` without an answer,
    ``ApiStatusError`` for a refusal, ``ApiPayloadError`` for an answer that is none.

    Args:
        base_url: Up to and with ``/v1``.
        auth_header: The header's name; behind a colon, what precedes the key in it:
            ``Authorization: Bearer``.
        timeout_s: For each step of a request; all tries of a call together take at most about twice as long,
            and less from a client of ``sharing``.
        transport: Stands in for the network.
        sleep: Waits between two tries, in seconds.
        clock: Seconds that never go back.

    Raises:
        ConfigError: The URL, the key or the header's name cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        website_id: str,
        api_key: str,
        auth_header: str = "X-Api-Key",
        timeout_s: float = 10.0,
        operations: Mapping[str, Operation] = OPERATIONS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = ApiCaller(
            base_url,
            website_id=website_id,
            api_key=api_key,
            auth_header=auth_header,
            timeout_s=timeout_s,
            operations=operations,
            transport=transport,
            sleep=sleep,
            clock=clock,
        )

    def __repr__(self) -> str:
        return f"<ChatixApi {self.base_url} website {self._caller.website_id!r}>"

    @property
    def base_url(self) -> str:
        """Where the API is, up to and with ``/v1``."""
        return self._caller.base_url

    def within(self, timeout_s: float) -> ChatixApi:
        """Return the same client for calls that a reader waits for: one try of *timeout_s* each, few at once."""
        hurried = object.__new__(ChatixApi)
        hurried._caller = self._caller.within(timeout_s)
        return hurried

    def sharing(self, total_s: float) -> ChatixApi:
        """Return the same client for some calls that take *total_s* together at most, tries and pauses included."""
        bounded = object.__new__(ChatixApi)
        bounded._caller = self._caller.sharing(total_s)
        return bounded

    def in_bulk(self) -> ChatixApi:
        """Return the same client for thousands of calls in a row; to be ended with ``end_bulk``."""
        plain = object.__new__(ChatixApi)
        plain._caller = self._caller.in_bulk()
        return plain

    def end_bulk(self) -> None:
        """Close the connections of a client of ``in_bulk``."""
        self._caller.end_bulk()

    def require_open_door(self, operation: str) -> None:
        """Return if a call could be tried now; ``ApiPausedError`` while the API is left alone."""
        self._caller.guard.require_open_door(operation)

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._caller.close()

    # Chatrooms

    def create_chatroom(self, title: str, *, is_private: bool = False, external_id: str | None = None) -> Chatroom:
        """Create a chatroom; our hub answers the one that it has for *external_id*."""
        return self._chatroom("create_chatroom", title=title, is_private=is_private, external_id=external_id)

    def get_chatroom(self, chatroom_id: str) -> Chatroom:
        """Return a chatroom, deleted ones too; ``ApiStatusError`` 404 when there is none."""
        return self._chatroom("get_chatroom", chatroom_id=chatroom_id)

    def find_chatroom_by_external_id(self, external_id: str) -> Chatroom | None:
        """Return the chatroom made for *external_id*, a living one if there is one, or ``None``."""
        page = self._chatroom_page(page=1, items_per_page=100, include_deleted=True, external_id=external_id)
        # A service that does not know the filter lists other rooms: their word counts, not the filter.
        matches = [room for room in page.chatrooms if room.external_id == external_id]
        return min(matches, key=lambda room: room.is_deleted, default=None)

    def list_chatrooms(
        self, *, page: int = 1, items_per_page: int = 100, include_deleted: bool = False
    ) -> ChatroomPage:
        """Return a page of all chatrooms; the first page is 1, one behind the last is empty."""
        return self._chatroom_page(page=page, items_per_page=items_per_page, include_deleted=include_deleted)

    def update_chatroom(
        self,
        chatroom_id: str,
        *,
        title: str | None = None,
        is_private: bool | None = None,
        is_closed: bool | None = None,
        external_id: str | None = None,
    ) -> Chatroom:
        """Change what is given.

        Args:
            is_closed: Whether the thread is read-only (our hub).
            external_id: Taken from the chatroom that has it; empty text is none (our hub).
        """
        return self._chatroom(
            "update_chatroom",
            chatroom_id=chatroom_id,
            title=title,
            is_private=is_private,
            is_closed=is_closed,
            external_id=external_id,
        )

    def delete_chatroom(self, chatroom_id: str) -> None:
        """Delete a chatroom; it can be restored."""
        self._caller.call("delete_chatroom", _nothing, chatroom_id=chatroom_id)

    def restore_chatroom(self, chatroom_id: str) -> Chatroom:
        """Bring a deleted chatroom back."""
        return self._chatroom("restore_chatroom", chatroom_id=chatroom_id)

    def counts(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """Return how many messages each of these chatrooms has; unknown ones are left out."""
        return self._caller.call(
            "counts",
            lambda data: {str(room): int(n) for room, n in data["counts"].items()},
            chatroom_ids=list(chatroom_ids),
        )

    # Visitors

    def connect_visitor(self, chatroom_id: str, visitor_id: str) -> None:
        """Make a visitor a member, of a private chatroom too."""
        self._caller.call("connect_visitor", _nothing, chatroom_id=chatroom_id, visitor_id=visitor_id)

    def disconnect_visitor(self, chatroom_id: str, visitor_id: str, *, connection_id: str | None = None) -> None:
        """Take a visitor out.

        Args:
            connection_id: Withdraw only what this connection and the visitor's closed ones hold (our hub).
        """
        self._caller.call(
            "disconnect_visitor",
            _nothing,
            chatroom_id=chatroom_id,
            visitor_id=visitor_id,
            connection_id=connection_id,
        )

    def disconnect_offline_visitor(self, chatroom_id: str, visitor_id: str) -> bool:
        """Take a visitor out unless it is online, in one step; return whether it is still a member (our hub).

        A permission that the API gave and nobody has used yet stays.
        """
        return self._caller.call(
            "disconnect_visitor",
            lambda data: bool(data["is_member"]),
            chatroom_id=chatroom_id,
            visitor_id=visitor_id,
            only_offline=True,
        )

    def list_visitors(self, chatroom_id: str, *, page: int = 1, items_per_page: int = 100) -> list[Profile]:
        """Return a page of a chatroom's members, with e-mail and fields."""
        return self._caller.call(
            "list_visitors",
            answers.read_profiles,
            chatroom_id=chatroom_id,
            page=page,
            items_per_page=items_per_page,
        )

    def list_presence(self, chatroom_id: str, *, page: int = 1, items_per_page: int = 100) -> dict[str, bool]:
        """Return who is on a page of a chatroom's members, and whether they are online.

        A service that does not say that of each of them is refused: ``ApiPayloadError``.
        """
        return self._caller.call(
            "list_visitors",
            answers.read_presence,
            chatroom_id=chatroom_id,
            page=page,
            items_per_page=items_per_page,
        )

    def is_online(self, visitor_id: str) -> bool:
        """Tell whether a visitor is online; ``ApiPayloadError`` where the service does not say."""
        return self._caller.call("get_visitor", answers.read_is_online, visitor_id=visitor_id)

    def new_visitor_id(self) -> str:
        """Return a fresh visitor id."""
        return self._caller.call("new_visitor_id", answers.read_visitor_id, is_text_allowed=True)

    def get_visitor(self, visitor_id: str) -> Profile:
        """Return what the service knows of a visitor."""
        return self._caller.call("get_visitor", wire.profile_from_wire, visitor_id=visitor_id)

    def update_visitor(
        self,
        visitor_id: str,
        *,
        name: str | None = None,
        email: str | None = None,
        fields: Mapping[str, FieldValue] | None = None,
        is_persistent: bool | None = None,
        is_manager: bool | None = None,
    ) -> Profile:
        """Change what is given; ``None`` leaves a value as it is. The flags are our hub's own."""
        return self._caller.call(
            "update_visitor",
            wire.profile_from_wire,
            visitor_id=visitor_id,
            name=name,
            email=email,
            fields=None if fields is None else wire.flat_fields(fields),
            is_persistent=is_persistent,
            is_manager=is_manager,
        )

    def forget_visitor(self, visitor_id: str) -> Forgotten:
        """Delete all that a visitor has written, with its files, and what is known about it."""
        return self._caller.call("forget_visitor", answers.read_forgotten, visitor_id=visitor_id)

    def get_crowd(self) -> Crowd:
        """Return who is at the hub now, by numbers."""
        return self._caller.call("get_crowd", answers.read_crowd)

    # Messages

    def list_messages(self, chatroom_id: str, *, before_id: str | None = None, limit: int = 50) -> list[Message]:
        """Return the *limit* messages (1 to 100) just before *before_id*, or the newest, oldest first."""
        return self._caller.call(
            "list_messages",
            lambda data: answers.read_messages(data, chatroom_id),
            chatroom_id=chatroom_id,
            before_id=before_id,
            limit=limit,
        )

    def history(self, chatroom_id: str, *, before_id: str | None = None, limit: int = 50) -> HistoryPage:
        """Return the same as ``list_messages``, with what our hub says beside it."""
        return self._caller.call(
            "list_messages",
            lambda data: answers.read_history(data, chatroom_id),
            chatroom_id=chatroom_id,
            before_id=before_id,
            limit=limit,
        )

    def list_changes(self, chatroom_id: str, *, cursor: str | None = None, limit: int = 100) -> Changes:
        """Return what is new, edited or deleted since *cursor* (our hub)."""
        return self._caller.call(
            "list_changes",
            lambda data: answers.read_changes(data, chatroom_id),
            chatroom_id=chatroom_id,
            cursor=cursor,
            limit=limit,
        )

    def find_message(self, message_id: str) -> Message | None:
        """Return a message of whatever chatroom, a whisper too; ``None`` when there is none (our hub)."""
        try:
            return self._caller.call("find_message", answers.read_found_message, message_id=message_id)
        except ApiStatusError as exc:
            if exc.status_code != 404:
                raise
            return None

    def send_message(
        self,
        chatroom_id: str,
        *,
        sender_id: str,
        sender_flag: SenderFlag = SenderFlag.VISITOR,
        type: MessageType = MessageType.TEXT,
        content: str | None = None,
        thumb_100_url: str | None = None,
        thumb_300_url: str | None = None,
        original_url: str | None = None,
        file_url: str | None = None,
        client_key: str | None = None,
    ) -> Message:
        """Post a message in somebody's name; live readers get it at once.

        Args:
            client_key: What was stored under this key before is returned, and not stored again (our hub).
        """
        return self._message(
            "send_message",
            chatroom_id=chatroom_id,
            sender_id=sender_id,
            sender_flag=int(sender_flag),
            type=int(type),
            content=content,
            thumb_100_url=thumb_100_url,
            thumb_300_url=thumb_300_url,
            original_url=original_url,
            file_url=file_url,
            client_key=client_key,
        )

    def update_message(self, chatroom_id: str, message_id: str, *, content: str) -> Message:
        """Replace a message's text."""
        return self._message("update_message", chatroom_id=chatroom_id, message_id=message_id, content=content)

    def delete_message(self, chatroom_id: str, message_id: str) -> None:
        """Delete a message for everybody."""
        self._caller.call("delete_message", _nothing, chatroom_id=chatroom_id, message_id=message_id)

    def send_whisper(self, chatroom_id: str, *, sender_id: str, content: str) -> Message:
        """Post a message that only managers see."""
        return self._message("send_whisper", chatroom_id=chatroom_id, sender_id=sender_id, content=content)

    # Our hub's health

    def ping(self, timeout_s: float = 1.0) -> bool:
        """Tell whether our hub, for this website, answers at the base URL."""
        try:
            answer = self._caller.within(timeout_s).health()
        except ApiError:
            return False
        if not isinstance(answer, dict):
            return False
        return answer.get("status") == "ok" and answer.get("website_id") == self._caller.website_id

    def wait_until_up(self, timeout_s: float) -> bool:
        """Wait for a hub that is starting; tell whether it came in time."""
        clock = self._caller.clock
        deadline = clock() + timeout_s
        while not self.ping(max(0.05, min(1.0, deadline - clock()))):
            if clock() >= deadline:
                return False
            self._caller.sleep(0.05)
        return True

    def _chatroom(self, name: str, **arguments: Any) -> Chatroom:
        def read(data: Any) -> Chatroom:
            return answers.read_chatroom(data, asked_id=arguments.get("chatroom_id"))

        return self._caller.call(name, read, **arguments)

    def _chatroom_page(self, **arguments: Any) -> ChatroomPage:
        return self._caller.call("list_chatrooms", answers.read_chatroom_page, **arguments)

    def _message(self, name: str, *, chatroom_id: str, **arguments: Any) -> Message:
        def read(data: Any) -> Message:
            return wire.message_from_wire(data, chatroom_id=chatroom_id)

        return self._caller.call(name, read, chatroom_id=chatroom_id, **arguments)


def _nothing(answer: Any) -> None:
    """Make nothing of the answer to a deed, which may be anything."""
