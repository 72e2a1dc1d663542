"""Refused calls of hub methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import StoreError, StoreFullError
from flask_chatix_comments.hub.limiter import Limiter
from flask_chatix_comments.hub.rate_config import Action, RateConfig
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.refusals.rows import Rows, spelled
from tests.hub.support import Json, Visit, World

TEXT = {"type": 0, "content": "Hello"}
#: What of a talk is not that of the chatroom.
OWN = ("monkeypatch", "_kept")
IMAGE = {"type": 4, "original_url": "{image}", "thumb_100_url": None, "thumb_300_url": None}


class Talk:
    """A chatroom with three people in it, and chatrooms of every kind.

    Attributes:
        make_world: Makes one with these settings, each on a database of its own.
    """

    def __init__(self, make_world: Callable[..., World]) -> None:
        self.make_world = make_world
        self.monkeypatch = pytest.MonkeyPatch()
        self.names: dict[str, Any] = {}
        self._kept: dict[str, Any] | None = None

    async def begin(self, *, is_fresh: bool = False, **settings: Any) -> Talk:
        """Come together; in the chatroom that is there, unless a row wants another or leaves it changed."""
        if is_fresh or settings:
            return await self._begin(**settings)
        if self._kept is None:
            await self._begin()
            self._kept = {name: value for name, value in vars(self).items() if name not in OWN}
        vars(self).update(self._kept)
        return self

    async def _begin(self, **settings: Any) -> Talk:
        self.names = {}
        self.world = world = self.make_world(**settings)
        self.ada, self.bob = await world.connect("ada"), await world.connect("bob")
        self.boss, self.stranger = await world.connect("boss", is_manager=True), await world.connect_stranger()
        for name in ("room", "other", "closed", "deleted", "private"):
            self.names[name] = await world.room(name, is_private=name == "private")
        for visit in (self.ada, self.bob, self.boss):
            await visit.join(self.names["room"])
        await self.ada.join(self.names["closed"])
        self.names["own in closed"] = (await self.ada.post(self.names["closed"]))["uuid"]
        await world.service.chatrooms.update(self.names["closed"], {"is_closed": True})
        await world.service.chatrooms.delete(self.names["deleted"])
        self.names["own"] = (await self.ada.post(self.names["room"]))["uuid"]
        self.names["bob's"] = (await self.bob.post(self.names["room"]))["uuid"]
        self.names["whisper"] = (await world.whisper(self.names["room"])).message_id
        self.names["image"] = await world.upload("ada", self.names["room"], is_image=True, media_type="image/png")
        self.names["bob's file"] = await world.upload("bob", self.names["room"])
        posted = await self.ada.call("SaveChatroomMessage", self.filled(IMAGE), self.names["room"])
        self.names["own image"] = posted["uuid"]
        return self

    def filled(self, value: Any) -> Any:
        """Return *value* with what stands in braces replaced."""
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        if isinstance(value, str) and value.startswith("{"):
            found = self.names[value.strip("{}")]
            return f"http://hub.example{found}" if found.startswith("/file/") else found
        return value

    async def answer(self, visit: Visit, method: str, *arguments: Any) -> str:
        completion: Json = await visit._complete(method, tuple(self.filled(value) for value in arguments))
        if "error" in completion:
            return spelled(f"error: {completion['error']}")
        result = completion.get("result")
        if isinstance(result, dict) and "description" in result:
            assert result["is_success"] is False
            return f"no success: {result['description']}"
        return "nothing"


METHODS = Rows[Talk]("Hub methods")


def call(what: str, method: str, *arguments: Any, by: str = "ada", **settings: Any) -> None:
    """Add a row: who calls what."""

    async def row(talk: Talk) -> str:
        await talk.begin(**settings)
        return await talk.answer(getattr(talk, by), method, *arguments)

    METHODS.add(what, row)


call("a method that there is not", "Nonsense")
call("more arguments than the method takes", "GetChatroom", "{room}", "more")
call("an id of a chatroom that is none", "GetChatroom", 7)
call("an id of a message that is none", "DeleteChatroomMessage", "x" * 101, "{room}")
call("an id of a visitor that is none", "GetVisitorByVisitor", None)
call("a number of items that is none, or too large", "GetAllChatrooms", 101, 1, False)
call("a number of a page that is none", "GetAllChatrooms", 10, 0, False)
call("a count that is none", "GetChatroomHistory", "{room}", None, True)
call("something else where an object is wanted", "SaveChatroomMessage", "Hello", "{room}")
call("an unknown chatroom", "GetChatroom", "nowhere")
call("a deleted chatroom", "GetChatroom", "{deleted}")
call("a private chatroom of others", "GetChatroom", "{private}")
call("to join a chatroom that is unknown, deleted or a private one of others", "ConnectToChatroom", "{private}")
call("to join more chatrooms than allowed", "ConnectToChatroom", "{other}", max_chatrooms_per_visitor=2)
call("to read, post or type without having joined", "GetChatroomHistory", "{other}", None, 10)
call("history before a message that there is not", "GetChatroomHistory", "{room}", "nothing", 10)
call("changes since what is no cursor", "GetChatroomChanges", "{room}", "yesterday", 10)
call("to post to a read-only chatroom", "SaveChatroomMessage", TEXT, "{closed}")
call("to post without a chatroom", "SaveChatroomMessage", TEXT, None)
call("a message of an unknown type", "SaveChatroomMessage", {"type": 3, "content": "x"}, "{room}")
call("a message without a text", "SaveChatroomMessage", {"type": 0}, "{room}")
call("a message of nothing to see", "SaveChatroomMessage", {"type": 0, "content": " \u200b"}, "{room}")
call("a message that is too long", "SaveChatroomMessage", {"type": 0, "content": "x" * 10_001}, "{room}")
call("a client key that is no id", "SaveChatroomMessage", TEXT | {"uuid": ""}, "{room}")
call("a file without a URL", "SaveChatroomMessage", {"type": 5}, "{room}")
call("a file whose URL is none", "SaveChatroomMessage", {"type": 5, "file_url": "http://[x"}, "{room}")
call("a file whose URL is not of the web", "SaveChatroomMessage", {"type": 5, "file_url": "ftp://a/b"}, "{room}")
call("a file whose URL names a user", "SaveChatroomMessage", {"type": 5, "file_url": "http://u@a/b"}, "{room}")
call("a file that somebody else has uploaded", "SaveChatroomMessage", {"type": 5, "file_url": "{bob's file}"}, "{room}")
call("an image as a file", "SaveChatroomMessage", {"type": 5, "file_url": "{image}"}, "{room}")
call("to whisper without being a manager", "SendChatroomWhisper", "Psst", "{room}", None)
call("to change a message that there is not, or that was deleted", "UpdateChatroomMessage", "nothing", "x", "{room}")
call("to change a whisper without being a manager", "UpdateChatroomMessage", "{whisper}", "x", "{room}")
call("to change somebody else's message", "UpdateChatroomMessage", "{bob's}", "x", "{room}")
call("to change a message in a read-only chatroom", "UpdateChatroomMessage", "{own in closed}", "x", "{closed}")
call("to change a message where nobody may", "DeleteChatroomMessage", "{own}", "{room}", edit_window_s=0)
call("to edit what is no text", "UpdateChatroomMessage", "{own image}", "x", "{room}", by="boss")
call("a visitor that there is not", "GetVisitorByVisitor", "nobody")
call("a manager that there is not", "GetManagerInfo", "ada")
call("a name that is no text", "SaveVisitorInfo", {"name": 7}, by="stranger")
call("a name that is too long", "SaveVisitorInfo", {"name": "x" * 81}, by="stranger")
call("a name with characters that show nothing", "SaveVisitorInfo", {"name": "a\u202eb"}, by="stranger")
call("a name that cannot be read", "SaveVisitorInfo", {"name": "\u3164"}, by="stranger")
call("an e-mail address that is none", "SaveVisitorInfo", {"email": "x" * 255}, by="stranger")
call("fields that are no object", "SaveVisitorInfo", {"fields": [1]}, by="stranger")
call("too many fields", "SaveVisitorInfo", {"fields": {str(n): n for n in range(51)}}, by="stranger")
call("a field with too long a key", "SaveVisitorInfo", {"fields": {"x" * 81: 1}}, by="stranger")
call("a field with too long a value", "SaveVisitorInfo", {"fields": {"x": "x" * 1001}}, by="stranger")
call("a private conversation", "SaveMessage", TEXT, None)


@METHODS.row("a message that is too old to be changed")
async def _(talk: Talk) -> str:
    await talk.begin(is_fresh=True)
    await talk.world.pass_time(901)
    return await talk.answer(talk.ada, "UpdateChatroomMessage", "{own}", "x", "{room}")


@METHODS.row("a name that passes for that of somebody whom the site has named")
async def _(talk: Talk) -> str:
    await talk.begin()
    await talk.world.connect("staff", name="Grace", is_persistent=True)
    return await talk.answer(talk.stranger, "SaveVisitorInfo", {"name": "GRACE"})


@METHODS.row("a file that is part of a message already, and that of another visitor")
async def _(talk: Talk) -> str:
    await talk.begin()
    path = talk.names["bob's file"]
    await talk.answer(talk.bob, "SaveChatroomMessage", {"type": 5, "file_url": "{bob's file}"}, "{room}")
    # Only the site can name a file of somebody else.
    draft = {"type": 5, "file_url": f"http://hub.example{path}"}
    return await by_api(talk, draft)


async def by_api(talk: Talk, draft: Json) -> str:
    from flask_chatix_comments.errors import InvocationError
    from flask_chatix_comments.hub.service.drafts import draft_from

    try:
        await talk.world.service.messages.post_by_api(
            talk.names["room"], draft_from(draft), sender_id="ada", sender_flag=0
        )
    except InvocationError as exc:
        return f"error: {exc}"
    return "nothing"


@METHODS.row("a message that was stored, and has been deleted since")
async def _(talk: Talk) -> str:
    await talk.begin()
    draft = TEXT | {"uuid": "key"}
    stored = await talk.ada.call("SaveChatroomMessage", draft, talk.names["room"])
    await talk.ada.call("DeleteChatroomMessage", stored["uuid"], talk.names["room"])
    return await talk.answer(talk.ada, "SaveChatroomMessage", draft, "{room}")


def too_often(what: str, action: Action, method: str, *arguments: Any) -> None:
    async def row(talk: Talk) -> str:
        await talk.begin()
        config = RateConfig.of({str(action): {"visitor": (1, 60)}})
        talk.monkeypatch.setattr(talk.world.dispatcher, "_limiter", Limiter(config, clock=talk.world.clock))
        await talk.answer(talk.ada, method, *arguments)
        return await talk.answer(talk.ada, method, *arguments)

    METHODS.add(what, row)


too_often("too many comments, files and whispers", Action.POSTING, "SaveChatroomMessage", TEXT, "{room}")
too_often("too many edits, deletions and names", Action.EDITING, "UpdateChatroomMessage", "{own}", "x", "{room}")
too_often("too many signs of typing", Action.TYPING, "ChatroomTyping", "{room}")
too_often("too many calls of any other kind", Action.READING, "GetChatroomHistory", "{room}", None, 10)


def failing(error: Exception) -> Callable[[Talk], Awaitable[str]]:
    async def row(talk: Talk) -> str:
        await talk.begin()

        async def fail(*_: Any, **__: Any) -> None:
            raise error

        talk.monkeypatch.setattr(SqlStore, "page_before", fail)
        return await talk.answer(talk.ada, "GetChatroomHistory", "{room}", None, 10)

    return row


METHODS.add("a database that cannot be used", failing(StoreError("the disk is full")))
METHODS.add("a disk that is full", failing(StoreFullError("database or disk is full")))
METHODS.add("a failure of the hub's own", failing(RuntimeError("a bug")))
