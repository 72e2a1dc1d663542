"""What the hub's tests share."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import httpx

from flask_chatix_comments.hub.addresses import file_path
from flask_chatix_comments.hub.app import create_hub
from flask_chatix_comments.hub.backplane.base import Event
from flask_chatix_comments.hub.backplane.local import LocalBackplane
from flask_chatix_comments.hub.broadcast import Broadcast
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.dispatcher import Dispatcher
from flask_chatix_comments.hub.membership import Membership
from flask_chatix_comments.hub.service import Caller, ChatService, Context
from flask_chatix_comments.hub.service.drafts import Draft
from flask_chatix_comments.hub.signalr.framing import RECORD_SEPARATOR
from flask_chatix_comments.hub.signalr.json_protocol import serialize_message
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.hub.store.base import MessageStore, Upload
from flask_chatix_comments.models import Chatroom, Message
from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets

TICKET_KEY = b"k" * 32
API_KEY = "an-api-key-of-some-length"
#: Where the clients of these tests reach the hub.
BASE_URL = "http://hub.example:5001/v1"
START = 1_760_000_000.0
DEADLINE_S = 10.0

T = TypeVar("T")
Json = dict[str, Any]


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


async def until(condition: Callable[[], T], what: str) -> T:
    """Wait until *condition* returns something true, and return that."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not (result := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)
    return result


def sign_ticket(
    clock: Clock, visitor_id: str, *, lifetime_s: float = 43_200, key: bytes = TICKET_KEY, **more: Any
) -> str:
    """Return a site ticket, or another kind."""
    ticket = VisitorTicket(visitor_id=visitor_id, issued_at=clock(), expires_at=clock() + lifetime_s, **more)
    return VisitorTickets((key,), website_id="local").sign(ticket)


def records_of(text: str) -> list[Json]:
    """Return the messages in a text of whole records."""
    *records, rest = text.split(RECORD_SEPARATOR)
    assert rest == "", "a part of a record was sent"
    return [json.loads(record) for record in records]


class Visit:
    """An open connection in a ``World``: it calls hub methods and keeps the events that it hears."""

    def __init__(self, world: World, caller: Caller, records: list[str]) -> None:
        self.world = world
        self.caller = caller
        self._records = records
        self._ids = itertools.count()

    @property
    def visitor_id(self) -> str:
        return self.caller.visitor_id

    async def call(self, target: str, *arguments: Any) -> Any:
        """Return the result; fail when there is an error."""
        completion = await self._complete(target, arguments)
        assert "error" not in completion, completion
        return completion.get("result", ...)

    async def refusal(self, target: str, *arguments: Any) -> str:
        """Return the error; fail when there is none."""
        completion = await self._complete(target, arguments)
        assert "result" not in completion, completion
        return str(completion["error"])

    async def _complete(self, target: str, arguments: tuple[Any, ...]) -> Json:
        invocation = Invocation(target=target, arguments=list(arguments), invocation_id=str(next(self._ids)))
        completion = await self.world.dispatcher.invoke(self.caller, invocation)
        assert completion is not None
        (data,) = records_of(serialize_message(completion))
        assert data["invocationId"] == invocation.invocation_id
        return data

    def heard(self, *targets: str) -> list[list[Any]]:
        """Return target and arguments of the events heard so far, of these kinds or of all."""
        self.world.broadcast.flush()
        events = [record for text in self._records for record in records_of(text)]
        assert all(event["type"] == 1 and "invocationId" not in event for event in events)
        return [[e["target"], *e["arguments"]] for e in events if not targets or e["target"] in targets]

    def forget_events(self) -> None:
        self.world.broadcast.flush()
        self._records.clear()

    async def join(self, chatroom_id: str) -> None:
        assert await self.call("ConnectToChatroom", chatroom_id) == {"is_success": True}

    async def leave(self, chatroom_id: str) -> None:
        assert await self.call("DisconnectFromChatroom", chatroom_id) == {"is_success": True}

    async def post(self, chatroom_id: str, content: str = "Hello", **more: Any) -> Json:
        result: Json = await self.call("SaveChatroomMessage", {"type": 0, "content": content, **more}, chatroom_id)
        return result

    def drop(self) -> None:
        """Lose the connection without a goodbye."""
        self.world.dispatcher.disconnect(self.caller)


class World:
    """A hub's service, dispatcher and broadcast on a real store, without HTTP and sockets."""

    def __init__(self, config: HubConfig, store: MessageStore, clock: Clock) -> None:
        self.config = config
        self.store = store
        self.clock = clock
        self.membership = Membership()
        self.backplane = LocalBackplane()
        ids = itertools.count(1)
        self.removed_files: list[str] = []
        self.removal_errors: dict[str, OSError] = {}
        context = Context(
            config,
            store,
            self.membership,
            self.backplane,
            clock,
            lambda: f"id-{next(ids)}",
            self._remove_files,
        )
        self.service = ChatService(context)
        self.broadcast = Broadcast(
            self.membership,
            website_id=config.website_id,
            is_manager=self.service.visitors.is_manager,
            private_pass=self.service.uploads.private_pass,
        )
        self.events: list[Event] = []
        self.backplane.listen(self.events.append)
        self.backplane.listen(self.broadcast.deliver)
        self.dispatcher = Dispatcher(self.service, self.broadcast, website_id=config.website_id)
        self._upload_numbers = itertools.count(1)
        self._connection_ids = (f"connection-{number}" for number in itertools.count(1))

    def _remove_files(self, upload_id: str) -> None:
        if upload_id in self.removal_errors:
            raise self.removal_errors[upload_id]
        self.removed_files.append(upload_id)

    async def connect(self, visitor_id: str, *, base_url: str = BASE_URL, **ticket: Any) -> Visit:
        """Connect with a site ticket."""
        return await self.connect_with(sign_ticket(self.clock, visitor_id, **ticket), base_url=base_url)

    async def connect_stranger(self) -> Visit:
        """Connect with a fresh get-id ticket."""
        return await self.connect_with(self.service.visitors.new_ticket())

    async def connect_with(self, ticket_text: str, *, base_url: str = BASE_URL) -> Visit:
        ticket = self.service.visitors.check_ticket(ticket_text)
        records: list[str] = []
        caller = await self.dispatcher.connect(
            next(self._connection_ids), ticket, ticket_text, base_url, records.append
        )
        return Visit(self, caller, records)

    async def room(self, title: str = "A post", *, is_private: bool = False, **more: Any) -> str:
        room = await self.service.chatrooms.create(title, is_private=is_private, external_id=more.get("external_id"))
        return room.chatroom_id

    async def get_room(self, chatroom_id: str) -> Chatroom:
        return await self.service.chatrooms.get(chatroom_id)

    async def members(self, chatroom_id: str) -> list[str]:
        profiles = await self.service.attendance.list_members(chatroom_id, page=1, items_per_page=100)
        return [profile.visitor_id for profile in profiles]

    async def whisper(self, chatroom_id: str, content: str = "Psst") -> Message:
        return await self.service.messages.whisper_by_api(chatroom_id, content, sender_id="boss")

    async def post_by_api(self, chatroom_id: str, content: str = "By the API", **more: Any) -> Message:
        sender_id = more.pop("sender_id", "author")
        return await self.service.messages.post_by_api(
            chatroom_id, Draft(content=content), sender_id=sender_id, sender_flag=more.pop("sender_flag", 0), **more
        )

    async def upload(self, visitor_id: str, chatroom_id: str, **more: Any) -> str:
        """Have a visitor upload a file; return its path. What is awaited as *meanwhile* happens before its end."""
        file_bytes = more.pop("file_bytes", 1000)
        upload = Upload(
            upload_id=f"upload-{next(self._upload_numbers)}",
            chatroom_id=chatroom_id,
            visitor_id=visitor_id,
            is_image=more.pop("is_image", False),
            media_type=more.pop("media_type", "application/pdf"),
            file_name=more.pop("file_name", "a.pdf"),
            file_bytes=file_bytes,
            stored_bytes=more.pop("stored_bytes", file_bytes),
            width_px=more.pop("width_px", None),
            height_px=more.pop("height_px", None),
            created_at=datetime.fromtimestamp(self.clock(), UTC),
        )
        meanwhile = more.pop("meanwhile", None)
        async with self.service.uploads.slot(visitor_id, chatroom_id, file_bytes=file_bytes) as slot:
            if meanwhile is not None:
                await meanwhile
            await self.service.uploads.record(slot, upload)
        return file_path(upload.upload_id, upload.file_name)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.service.tick()


class Hub:
    """The whole application behind an HTTP client, without a socket."""

    def __init__(self, app: Any, client: httpx.AsyncClient, clock: Clock) -> None:
        self.app = app
        self.client = client
        self.clock = clock

    @classmethod
    @asynccontextmanager
    async def running(cls, config: HubConfig, clock: Clock, *, store: MessageStore | None = None) -> AsyncIterator[Hub]:
        app = create_hub(config, store=store, clock=clock)
        async with lifespan(app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://hub.example:5001/v1") as client:
                yield cls(app, client, clock)

    async def get(self, path: str, *, key: str | None = API_KEY, **query: Any) -> httpx.Response:
        return await self.client.get(path, params={"websiteId": "local", **query}, headers=_key(key))

    async def post(self, path: str, body: Any = None, *, key: str | None = API_KEY, **query: Any) -> httpx.Response:
        params = {"websiteId": "local", **query}
        return await self.client.post(path, params=params, json=body, headers=_key(key))


def rest_client(url: str) -> httpx.Client:
    """Return a client of the REST API on a real socket."""
    return httpx.Client(base_url=url, params={"websiteId": "local"}, headers={"X-Api-Key": API_KEY})


def _key(key: str | None) -> dict[str, str]:
    return {} if key is None else {"X-Api-Key": key}


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start an ASGI application, and shut it down."""
    to_app: asyncio.Queue[Json] = asyncio.Queue()
    from_app: asyncio.Queue[Json] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.create_task(app(scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started
    yield
    await to_app.put({"type": "lifespan.shutdown"})
    assert (await from_app.get())["type"] == "lifespan.shutdown.complete"
    await task
