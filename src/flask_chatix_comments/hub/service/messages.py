"""What is said: post, edit, delete, history, changes, whispers.

Whispers are for managers: they are in no visitor's history, changes, events, counts or numbers.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from ...errors import ChatroomNotFoundError, InvalidArgumentError, NotAllowedError, NotFoundError
from ...models import Chatroom, Message, MessageType, Profile, SenderFlag
from ..addresses import with_pass
from ..backplane.base import MessageDeleted, MessageEdited, MessagePosted, Typing
from ..limits import MAX_PAGE_ITEMS, check_content, check_id, check_name, check_number
from ..store.base import Changes, Cursor, History, Place, Upload
from .attendance import Attendance
from .base import Caller, Context
from .chatrooms import IS_CLOSED, Chatrooms
from .drafts import Draft, facts_of, links_of, type_of, url_of
from .uploads import NOT_YOURS, TAKEN, Uploads
from .visitors import Visitors

NO_SUCH_MESSAGE = "There is no such message."
TYPING_INTERVAL_S = 1.0

PageT = TypeVar("PageT", History, Changes)

_CURSOR = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,15}))?")


class Messages:
    """Post, edit, delete and read messages."""

    def __init__(
        self,
        context: Context,
        visitors: Visitors,
        chatrooms: Chatrooms,
        attendance: Attendance,
        uploads: Uploads,
    ) -> None:
        self._context = context
        self._store = context.store
        self._visitors = visitors
        self._chatrooms = chatrooms
        self._attendance = attendance
        self._uploads = uploads

    # Visitors

    async def post(self, caller: Caller, chatroom_id: str | None, draft: Draft) -> Message:
        """Store a visitor's message, then tell everybody else in the chatroom.

        Args:
            chatroom_id: ``None`` for a file: it is posted where it was uploaded to.
        """
        upload = None
        if type_of(draft) is not MessageType.TEXT:
            upload = await self._uploads.get_own(url_of(draft), caller.visitor_id, chatroom_id)
            chatroom_id = upload.chatroom_id
        chatroom_id = check_id(chatroom_id, name="The chatroom's id")
        room = await self._attendance.require_member(caller, chatroom_id)
        profile = await self._visitors.get(caller.visitor_id)
        return await self._append_by(profile, self._checked(chatroom_id, draft, upload), upload, room, caller)

    async def whisper(self, caller: Caller, chatroom_id: str, draft: Draft) -> Message:
        """Store a manager's message for managers only, then tell the others of them in the chatroom."""
        room = await self._attendance.require_member(caller, chatroom_id)
        profile = await self._visitors.get(caller.visitor_id)
        if not profile.is_manager:
            raise NotAllowedError("Only managers can whisper.")
        whisper = replace(self._checked(chatroom_id, draft, None), is_whisper=True)
        return await self._append_by(profile, whisper, None, room, caller)

    async def _append_by(
        self, profile: Profile, message: Message, upload: Upload | None, room: Chatroom, caller: Caller
    ) -> Message:
        message = replace(
            message,
            sender_id=profile.visitor_id,
            sender_name=profile.name,
            sender_flag=SenderFlag.MANAGER if profile.is_manager else SenderFlag.VISITOR,
        )
        await self._visitors.remember(profile.visitor_id, room.chatroom_id)
        # It may be forgotten, or taken out, just now: then nothing is added.
        self._attendance.require_still(profile.visitor_id, room.chatroom_id)
        stored = await self._append(message, upload, room, by_connection_id=caller.connection_id)
        return with_pass(stored, self._uploads.pass_to(room, caller.visitor_id))

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
        room = await self._attendance.require_member(caller, chatroom_id)
        is_manager = self._visitors.is_manager(caller.visitor_id)
        history = await self._history(chatroom_id, before_id, limit, is_manager)
        return self._opened(history, room, caller.visitor_id)

    async def changes(self, caller: Caller, chatroom_id: str, *, cursor: object, limit: int) -> Changes:
        """Return what is new, edited or deleted since *cursor*; ``None`` begins at the beginning."""
        room = await self._attendance.require_member(caller, chatroom_id)
        with_whispers = self._visitors.is_manager(caller.visitor_id)
        changes = await self._changes(chatroom_id, cursor, limit, with_whispers)
        return self._opened(changes, room, caller.visitor_id)

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
        room = await self._chatrooms.get_stored(chatroom_id)
        if not isinstance(sender_flag, int) or isinstance(sender_flag, bool) or sender_flag not in (0, 1):
            raise InvalidArgumentError("sender_flag is 0 for a visitor, 1 for a manager.")
        upload = None
        if type_of(draft) is not MessageType.TEXT:
            upload = await self._uploads.find_for_api(url_of(draft), chatroom_id)
        message = await self._signed(self._checked(chatroom_id, draft, upload), sender_id, sender_name)
        message = replace(message, sender_flag=SenderFlag(sender_flag))
        stored = await self._append(message, upload, room, by_connection_id=None)
        return with_pass(stored, self._uploads.pass_to(room, None))

    async def whisper_by_api(self, chatroom_id: str, content: object, *, sender_id: str) -> Message:
        """Store a message that only managers will see, in somebody's name."""
        room = await self._chatrooms.get_stored(chatroom_id)
        message = await self._signed(self._checked(chatroom_id, Draft(content=content), None), sender_id, None)
        whisper = replace(message, sender_flag=SenderFlag.MANAGER, is_whisper=True)
        return await self._append(whisper, None, room, by_connection_id=None)

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

    async def remove(self, places: Iterable[Place]) -> list[Message]:
        """Delete messages for good, whoever has written them; return what is left of those that were there.

        Their files are condemned, and go when ``Uploads`` is asked to remove them.
        """
        deletions = (self._store.delete_message(place.chatroom_id, place.message_id) for place in places)
        deleted = [message for message in await asyncio.gather(*deletions) if message is not None]
        for message in deleted:
            await self._context.backplane.publish(MessageDeleted(message))
        return deleted

    async def find_for_api(self, message_id: str) -> Message:
        """Return a message that lives, a whisper too, of whatever chatroom it is."""
        message = await self._store.find_message_anywhere(message_id)
        if message is None or message.is_deleted:
            raise NotFoundError(NO_SUCH_MESSAGE)
        room = await self._chatrooms.get_stored(message.chatroom_id)
        return with_pass(message, self._uploads.pass_to(room, None))

    async def history_for_api(self, chatroom_id: str, *, before_id: str | None, limit: int) -> History:
        """Return a visitor's view of the messages, of deleted chatrooms too."""
        room = await self._chatrooms.get_stored(chatroom_id)
        return self._opened(await self._history(chatroom_id, before_id, limit, with_whispers=False), room, None)

    async def changes_for_api(self, chatroom_id: str, *, cursor: object, limit: int) -> Changes:
        """Return a visitor's view of the changes, of deleted chatrooms too."""
        room = await self._chatrooms.get_stored(chatroom_id)
        return self._opened(await self._changes(chatroom_id, cursor, limit, with_whispers=False), room, None)

    # Both

    def _opened(self, page: PageT, room: Chatroom, visitor_id: str | None) -> PageT:
        """Return a page of messages with URLs of files that their reader can open; ``None`` is the site."""
        if not room.is_private:
            return page
        file_pass = self._uploads.pass_to(room, visitor_id)
        return replace(page, messages=[with_pass(message, file_pass) for message in page.messages])

    def _checked(self, chatroom_id: str, draft: Draft, upload: Upload | None) -> Message:
        """Return a message by nobody in particular, about an upload or about what the draft says."""
        client_key, type = draft.client_key, type_of(draft)
        said: dict[str, Any]
        if type is MessageType.TEXT:
            said = {"content": check_content(draft.content, max_chars=self._context.config.max_message_chars)}
        else:
            said = links_of(draft) if upload is None else facts_of(upload, type)
        return Message(
            message_id=self._context.new_id(),
            chatroom_id=chatroom_id,
            type=type,
            sender_flag=SenderFlag.VISITOR,
            sender_id="",
            sent_at=self._context.now(),
            client_key=None if client_key is None else check_id(client_key, name="The message's uuid"),
            **said,
        )

    async def _append(
        self, message: Message, upload: Upload | None, room: Chatroom, *, by_connection_id: str | None
    ) -> Message:
        upload_id = upload.upload_id if upload is not None else None
        appended = await self._store.append_message(message, now=self._context.now(), upload_id=upload_id)
        if appended is None:
            current = await self._chatrooms.get_stored(message.chatroom_id)
            if current.is_deleted:
                raise ChatroomNotFoundError("There is no such chatroom.")
            raise NotAllowedError(IS_CLOSED if current.is_closed else NOT_YOURS)
        stored = appended.message
        if appended.is_new:
            await self._context.backplane.publish(MessagePosted(stored, by_connection_id, room.is_private))
        elif upload is not None and stored.sender_id != message.sender_id:
            raise NotAllowedError(TAKEN)
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
            if message.type is not MessageType.TEXT:
                await self._uploads.remove_condemned()

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
