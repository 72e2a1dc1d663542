"""What is said: post, edit, delete, history, changes, whispers.

Whispers are for managers: they are in no visitor's history, changes, events, counts or numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...errors import ChatroomNotFoundError, InvalidArgumentError, NotAllowedError, NotFoundError
from ...models import Message, MessageType, Profile, SenderFlag
from ..backplane.base import MessageDeleted, MessageEdited, MessagePosted, Typing
from ..limits import MAX_PAGE_ITEMS, check_content, check_id, check_name, check_number, check_url
from ..store.base import Changes, Cursor, History
from .attendance import Attendance
from .base import Caller, Context
from .chatrooms import Chatrooms
from .visitors import Visitors

NO_SUCH_MESSAGE = "There is no such message."
IS_CLOSED = "This chatroom is closed: it can be read, but not written."
TYPING_INTERVAL_S = 1.0

_CURSOR = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to post, as it came: nothing is checked yet.

    Attributes:
        client_key: The sender's idempotency key.
    """

    type: Any = MessageType.TEXT
    content: Any = None
    client_key: Any = None
    thumb_100_url: Any = None
    thumb_300_url: Any = None
    original_url: Any = None
    file_url: Any = None


class Messages:
    """Post, edit, delete and read messages."""

    def __init__(self, context: Context, visitors: Visitors, chatrooms: Chatrooms, attendance: Attendance) -> None:
        self._context = context
        self._store = context.store
        self._visitors = visitors
        self._chatrooms = chatrooms
        self._attendance = attendance

    # Visitors

    async def post(self, caller: Caller, chatroom_id: str, draft: Draft) -> Message:
        """Store a visitor's message, then tell everybody else in the chatroom."""
        await self._attendance.require_member(caller, chatroom_id)
        if draft.type != MessageType.TEXT or isinstance(draft.type, bool):
            raise InvalidArgumentError("This hub takes text only.")
        profile = await self._visitors.get(caller.visitor_id)
        return await self._append_by(profile, self._checked(chatroom_id, draft), caller)

    async def whisper(self, caller: Caller, chatroom_id: str, draft: Draft) -> Message:
        """Store a manager's message for managers only, then tell the others of them in the chatroom."""
        await self._attendance.require_member(caller, chatroom_id)
        profile = await self._visitors.get(caller.visitor_id)
        if not profile.is_manager:
            raise NotAllowedError("Only managers can whisper.")
        return await self._append_by(profile, replace(self._checked(chatroom_id, draft), is_whisper=True), caller)

    async def _append_by(self, profile: Profile, message: Message, caller: Caller) -> Message:
        message = replace(
            message,
            sender_id=profile.visitor_id,
            sender_name=profile.name,
            sender_flag=SenderFlag.MANAGER if profile.is_manager else SenderFlag.VISITOR,
        )
        await self._visitors.remember(profile.visitor_id)
        return await self._append(message, by_connection_id=caller.connection_id)

    async def edit(self, caller: Caller, chatroom_id: str, message_id: str, content: object) -> Message:
        """Change the text of one's own message for a while after posting; managers: of any, any time."""
        message = await self._require_editable(caller, chatroom_id, message_id)
        return await self._edit(message, content)

    async def delete(self, caller: Caller, chatroom_id: str, message_id: str) -> None:
        """Delete a message, under the same rule as ``edit``."""
        await self._delete(await self._require_editable(caller, chatroom_id, message_id))

    async def _require_editable(self, caller: Caller, chatroom_id: str, message_id: str) -> Message:
        room = await self._attendance.require_member(caller, chatroom_id)
        message = await self._get_living(chatroom_id, message_id)
        if self._visitors.is_manager(caller.visitor_id):
            return message
        if message.is_whisper:
            raise NotFoundError(NO_SUCH_MESSAGE)
        if message.sender_id != caller.visitor_id:
            raise NotAllowedError("This is somebody else's message.")
        if room.is_closed:
            raise NotAllowedError(IS_CLOSED)
        self._refuse_old(message)
        return message

    def _refuse_old(self, message: Message) -> None:
        window_s = self._context.config.edit_window_s
        if window_s == 0:
            raise NotAllowedError("Messages cannot be changed here.")
        if (self._context.now() - message.sent_at).total_seconds() > window_s:
            raise NotAllowedError("This message is too old to be changed.")

    async def history(self, caller: Caller, chatroom_id: str, *, before_id: str | None, limit: int) -> History:
        """Return the messages just older than *before_id*, or the newest, oldest first."""
        await self._attendance.require_member(caller, chatroom_id)
        return await self._history(chatroom_id, before_id, limit, self._visitors.is_manager(caller.visitor_id))

    async def changes(self, caller: Caller, chatroom_id: str, *, cursor: object, limit: int) -> Changes:
        """Return what is new, edited or deleted since *cursor*; ``None`` begins at the beginning."""
        await self._attendance.require_member(caller, chatroom_id)
        with_whispers = self._visitors.is_manager(caller.visitor_id)
        return await self._changes(chatroom_id, cursor, limit, with_whispers)

    async def typing(self, caller: Caller, chatroom_id: str) -> None:
        """Tell the others that somebody is typing; more often than once a second is not told."""
        await self._attendance.require_member(caller, chatroom_id)
        now = self._context.clock()
        if self._context.config.presence != "off" and now - caller.typed_at >= TYPING_INTERVAL_S:
            caller.typed_at = now
            await self._context.backplane.publish(Typing(chatroom_id, caller.visitor_id))

    # The API

    async def post_by_api(
        self, chatroom_id: str, draft: Draft, *, sender_id: str, sender_flag: object, sender_name: object = None
    ) -> Message:
        """Store a message in somebody's name; the site vouches for it."""
        await self._chatrooms.get_stored(chatroom_id)
        if sender_flag not in (0, 1) or isinstance(sender_flag, bool):
            raise InvalidArgumentError("sender_flag is 0 for a visitor, 1 for a manager.")
        message = await self._signed(self._checked(chatroom_id, draft), sender_id, sender_name)
        return await self._append(replace(message, sender_flag=SenderFlag(sender_flag)), by_connection_id=None)

    async def whisper_by_api(self, chatroom_id: str, content: object, *, sender_id: str) -> Message:
        """Store a message that only managers will see, in somebody's name."""
        await self._chatrooms.get_stored(chatroom_id)
        message = await self._signed(self._checked(chatroom_id, Draft(content=content)), sender_id, None)
        whisper = replace(message, sender_flag=SenderFlag.MANAGER, is_whisper=True)
        return await self._append(whisper, by_connection_id=None)

    async def _signed(self, message: Message, sender_id: str, sender_name: object) -> Message:
        name = check_name(sender_name, max_chars=self._context.config.max_name_chars)
        if name is None:
            profile = await self._visitors.find(sender_id)
            name = profile.name if profile else None
        return replace(message, sender_id=sender_id, sender_name=name)

    async def edit_by_api(self, chatroom_id: str, message_id: str, content: object) -> Message:
        """Change the text of any message."""
        await self._chatrooms.get_stored(chatroom_id)
        return await self._edit(await self._get_living(chatroom_id, message_id), content)

    async def delete_by_api(self, chatroom_id: str, message_id: str) -> None:
        """Delete any message; again does no harm."""
        await self._chatrooms.get_stored(chatroom_id)
        message = await self._store.find_message(chatroom_id, message_id)
        if message is None:
            raise NotFoundError(NO_SUCH_MESSAGE)
        if not message.is_deleted:
            await self._delete(message)

    async def find_for_api(self, message_id: str) -> Message:
        """Return a message that lives, a whisper too, of whatever chatroom it is."""
        message = await self._store.find_message_anywhere(message_id)
        if message is None or message.is_deleted:
            raise NotFoundError(NO_SUCH_MESSAGE)
        return message

    async def history_for_api(self, chatroom_id: str, *, before_id: str | None, limit: int) -> History:
        """Return a visitor's view of the messages, of deleted chatrooms too."""
        await self._chatrooms.get_stored(chatroom_id)
        return await self._history(chatroom_id, before_id, limit, with_whispers=False)

    async def changes_for_api(self, chatroom_id: str, *, cursor: object, limit: int) -> Changes:
        """Return a visitor's view of the changes, of deleted chatrooms too."""
        await self._chatrooms.get_stored(chatroom_id)
        return await self._changes(chatroom_id, cursor, limit, with_whispers=False)

    # Both

    def _checked(self, chatroom_id: str, draft: Draft) -> Message:
        """Return a message by nobody in particular."""
        if draft.type not in tuple(MessageType) or isinstance(draft.type, bool):
            raise InvalidArgumentError("type is 0 for text, 4 for an image, 5 for a file.")
        client_key = draft.client_key
        message = Message(
            message_id=self._context.new_id(),
            chatroom_id=chatroom_id,
            type=MessageType(draft.type),
            sender_flag=SenderFlag.VISITOR,
            sender_id="",
            sent_at=self._context.now(),
            client_key=None if client_key is None else check_id(client_key, name="The message's uuid"),
        )
        match message.type:
            case MessageType.TEXT:
                limit = self._context.config.max_message_chars
                return replace(message, content=check_content(draft.content, max_chars=limit))
            case MessageType.IMAGE:
                message = replace(
                    message,
                    thumb_100_url=check_url(draft.thumb_100_url),
                    thumb_300_url=check_url(draft.thumb_300_url),
                    original_url=check_url(draft.original_url),
                )
            case MessageType.FILE:
                message = replace(message, file_url=check_url(draft.file_url))
        if message.original_url is None and message.file_url is None:
            raise InvalidArgumentError("The URL of the file is missing.")
        return message

    async def _append(self, message: Message, *, by_connection_id: str | None) -> Message:
        appended = await self._store.append_message(message, now=self._context.now())
        if appended is None:
            room = await self._chatrooms.get_stored(message.chatroom_id)
            if room.is_deleted:
                raise ChatroomNotFoundError("There is no such chatroom.")
            raise NotAllowedError(IS_CLOSED)
        stored = appended.message
        if appended.is_new:
            await self._context.backplane.publish(MessagePosted(stored, by_connection_id))
        elif stored.is_deleted or stored.is_whisper != message.is_whisper:
            raise NotAllowedError("This message was stored, and has been removed since.")
        return stored

    async def _get_living(self, chatroom_id: str, message_id: str) -> Message:
        message = await self._store.find_message(chatroom_id, message_id)
        if message is None or message.is_deleted:
            raise NotFoundError(NO_SUCH_MESSAGE)
        return message

    async def _edit(self, message: Message, content: object) -> Message:
        if message.type is not MessageType.TEXT:
            raise InvalidArgumentError("Only text can be edited.")
        text = check_content(content, max_chars=self._context.config.max_message_chars)
        if text == message.content:
            return message
        edited = await self._store.edit_message(message.chatroom_id, message.message_id, text, now=self._context.now())
        if edited is None:
            raise NotFoundError(NO_SUCH_MESSAGE)
        await self._context.backplane.publish(MessageEdited(edited))
        return edited

    async def _delete(self, message: Message) -> None:
        deleted = await self._store.delete_message(message.chatroom_id, message.message_id)
        # Somebody else may just have deleted it.
        if deleted is not None:
            await self._context.backplane.publish(MessageDeleted(deleted))

    async def _history(self, chatroom_id: str, before_id: str | None, limit: int, with_whispers: bool) -> History:
        check_number(limit, name="count", largest=MAX_PAGE_ITEMS)
        before = None
        if before_id is not None:
            before = await self._store.find_message(chatroom_id, before_id)
            if before is None or (before.is_whisper and not with_whispers):
                raise NotFoundError(NO_SUCH_MESSAGE)
        return await self._store.page_before(chatroom_id, before, limit=limit, with_whispers=with_whispers)

    async def _changes(self, chatroom_id: str, cursor: object, limit: int, with_whispers: bool) -> Changes:
        check_number(limit, name="count", largest=MAX_PAGE_ITEMS)
        since = parse_cursor(cursor)
        return await self._store.changes_since(chatroom_id, since, limit=limit, with_whispers=with_whispers)


def parse_cursor(text: object) -> Cursor:
    """Return the cursor that a client hands back; ``None`` is the beginning."""
    if text is None:
        return Cursor()
    match = _CURSOR.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise InvalidArgumentError("This is no cursor of this hub.")
    return Cursor(int(match[1]), int(match[2] or 0))


def format_cursor(cursor: Cursor) -> str:
    """Return the cursor as text; that of a visitor shows nothing of whispers."""
    return f"{cursor.change}.{cursor.whisper_change}" if cursor.whisper_change else str(cursor.change)


def draft_from(data: Mapping[str, Any], *, default_type: MessageType | None = None) -> Draft:
    """Take from a Message object what a sender may decide; its ``uuid`` is an idempotency key."""
    return Draft(
        type=data.get("type", default_type),
        content=data.get("content"),
        client_key=data.get("uuid"),
        thumb_100_url=data.get("thumb_100_url"),
        thumb_300_url=data.get("thumb_300_url"),
        original_url=data.get("original_url"),
        file_url=data.get("file_url"),
    )
