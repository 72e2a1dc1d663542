"""Refused HTTP requests: at the entrance, of files, of the REST API."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from flask_chatix_comments.errors import StoreError, StoreFullError
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.folder import UploadFolder
from flask_chatix_comments.hub.mounted import MountedHub
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.readiness import Obstacle, Readiness
from flask_chatix_comments.hub.service import uploads
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import GUEST_PREFIX
from tests.hub.pictures import growing_image
from tests.hub.refusals.rows import Rows, of_response
from tests.hub.support import API_KEY, Clock, Hub, Json, sign_ticket

ELSEWHERE = "203.0.113.5"
FORM = "multipart/form-data; boundary=b"


class Site:
    """A hub, and what asks it. It ends with ``close``."""

    def __init__(self, make_config: Callable[..., HubConfig], clock: Clock, tmp_path: Path) -> None:
        self.make_config = make_config
        self.clock = clock
        self.monkeypatch = pytest.MonkeyPatch()
        self.tmp_path = tmp_path
        self.names: dict[str, str] = {}
        self.hub: Hub
        self._numbers = itertools.count()
        self._stack = AsyncExitStack()
        self._kept: tuple[Hub, dict[str, str]] | None = None

    async def close(self) -> None:
        await self._stack.aclose()

    async def begin(self, *, is_fresh: bool = False, **settings: Any) -> Site:
        """Open the hub: the one that is there, unless a row wants another."""
        if is_fresh or settings:
            return await self._begin(**settings)
        if self._kept is None:
            await self._begin()
            self._kept = self.hub, self.names
        self.hub, self.names = self._kept
        return self

    async def _begin(self, **settings: Any) -> Site:
        self.names = {}
        # One hub has its database and its folder for itself.
        place = self.tmp_path / str(next(self._numbers))
        place.mkdir()
        config = self.make_config(database_url=f"sqlite:///{place / 'hub.sqlite3'}", **settings)
        if config.uploads is not None:
            config = dataclasses.replace(config, uploads=dataclasses.replace(config.uploads, folder=place / "files"))
        hub = await self._stack.enter_async_context(Hub.running(config, self.clock))
        transport = httpx.ASGITransport(app=hub.app, raise_app_exceptions=False, client=(ELSEWHERE, 4711))
        client = httpx.AsyncClient(transport=transport, base_url="http://hub.example:5001/v1")
        self.hub = Hub(hub.app, await self._stack.enter_async_context(client), self.clock)
        return self

    async def fill(self) -> None:
        """Make a chatroom with ada and a message in it, and one that is read-only."""
        if self.names:
            return
        for name in ("room", "other", "closed", "private"):
            body = {"title": name, "is_private": name == "private"}
            self.names[name] = (await self.hub.post("/chatroom/create", body)).json()["id"]
            await self.hub.post("/chatroom/connect-visitor", chatroomId=self.names[name], visitorId="ada")
        await self.hub.post("/chatroom/update", {"is_closed": True}, chatroomId=self.names["closed"])
        message = {"content": "Hello", "sender_id": "ada"}
        answer = await self.hub.post("/chatroom/send-message", message, chatroomId=self.names["room"])
        self.names["message"] = answer.json()["uuid"]

    def _filled(self, query: Json) -> Json:
        return {name: self.names.get(value.strip("{}"), value) for name, value in query.items()}

    def ticket(self, **more: Any) -> str:
        return sign_ticket(self.clock, more.pop("visitor_id", "ada"), **more)

    async def ask(self, method: str, path: str, **options: Any) -> str:
        return of_response(await self.hub.client.request(method, path, **options))

    async def negotiate(self, ticket: str, **query: str) -> str:
        return of_response(await self.negotiated(ticket, **query))

    async def negotiated(self, ticket: str, **query: str) -> httpx.Response:
        params = {"websiteId": "local", "visitorId": ticket, **query}
        return await self.hub.client.post("/chat/negotiate", params=params)

    async def rest(self, method: str, path: str, query: Json | None = None, **options: Any) -> str:
        params = {"websiteId": "local", **self._filled(query or {})}
        return await self.ask(method, path, params=params, headers={"X-Api-Key": API_KEY}, **options)

    async def upload(self, data: bytes = b"some text", **options: Any) -> str:
        return of_response(await self.uploaded(data, **options))

    async def uploaded(
        self, data: bytes = b"some text", kind: str = "text/plain", room: str = "{room}", **options: Any
    ) -> httpx.Response:
        query = {"websiteId": "local", "visitorId": self.ticket(), **self._filled({"chatroomId": room})}
        if not options:
            options = {"files": {"formFile": ("a.bin", data, kind)}}
        return await self.hub.client.post("/file/save", params=query, **options)


# The entrance

ENTRANCE = Rows[Site]("Requests of any kind, and connecting")


def at_entrance(what: str, method: str, path: str, **options: Any) -> None:
    async def row(site: Site) -> str:
        await site.begin()
        return await site.ask(method, path, **options)

    ENTRANCE.add(what, row)


at_entrance("an address where nothing is", "GET", "/nowhere")
at_entrance("a method that the address does not take", "GET", "/chat/negotiate")
at_entrance(
    "a page of an origin that may not use the hub", "GET", "/health", headers={"Origin": "https://elsewhere.example"}
)


@ENTRANCE.row("the metrics without their key, or with a wrong one")
async def _(site: Site) -> str:
    await site.begin(metrics_keys=("a-key-of-the-metrics",))
    return await site.ask("GET", "/metrics", headers={"Authorization": "Bearer wrong"})


@ENTRANCE.row("too many requests for the metrics without their key")
async def _(site: Site) -> str:
    rates = RateConfig.of({"connecting": {"address": (1, 60)}})
    await site.begin(metrics_keys=("a-key-of-the-metrics",), rates=rates)
    await site.ask("GET", "/metrics")
    return await site.ask("GET", "/metrics")


at_entrance("another website", "GET", "/visitor/get-id?websiteId=other")
at_entrance("a query that cannot be read", "GET", "/visitor/get-id?" + "&".join(f"p{n}=1" for n in range(60)))


def not_ready(what: str, obstacle: Obstacle) -> None:
    async def row(site: Site) -> str:
        await site.begin()
        site.monkeypatch.setattr(Readiness, "obstacle", obstacle)
        return await site.ask("GET", "/ready")

    ENTRANCE.add(what, row)


not_ready("whether the hub is ready, while it starts", Obstacle.STARTING)
not_ready("the same while it ends", Obstacle.STOPPING)
not_ready("the same while little is left on the disk of its database", Obstacle.DISK_FULL)
not_ready("the same while its database cannot be written", Obstacle.CANNOT_WRITE)


@ENTRANCE.row("a hub whose application's lifespan does not run")
async def _(site: Site) -> str:
    mounted = MountedHub(site.make_config(), lock_path=site.tmp_path / "hub.lock")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=mounted), base_url="http://hub.example") as client:
        return of_response(await client.get("/v1/health"))


@ENTRANCE.row("negotiate without a ticket, or with a public id in its place")
async def _(site: Site) -> str:
    await site.begin()
    return await site.negotiate("ada")


@ENTRANCE.row("negotiate with a ticket whose time is over")
async def _(site: Site) -> str:
    await site.begin()
    ticket = site.ticket(lifetime_s=60)
    site.clock.advance(60)
    return await site.negotiate(ticket)


@ENTRANCE.row("negotiate with a ticket of another key or another website")
async def _(site: Site) -> str:
    await site.begin()
    return await site.negotiate(site.ticket(key=b"x" * 32))


@ENTRANCE.row("a version of negotiate that is no number")
async def _(site: Site) -> str:
    await site.begin()
    return await site.negotiate(site.ticket(), negotiateVersion="x")


def door_too_often(what: str, action: str, ask: Callable[[Site], Any]) -> None:
    async def row(site: Site) -> str:
        await site.begin(rates=RateConfig.of({action: {"address": (1, 60)}}))
        await ask(site)
        return of_response(await ask(site))

    ENTRANCE.add(what, row)


door_too_often(
    "too many requests to connect",
    "connecting",
    lambda site: site.hub.client.get("/visitor/get-id?websiteId=local"),
)


@ENTRANCE.row("more connections than a visitor may have")
async def _(site: Site) -> str:
    await site.begin(max_connections_per_visitor=1)
    await site.negotiated(site.ticket())
    return await site.negotiate(site.ticket())


@ENTRANCE.row("more connections than an address may have")
async def _(site: Site) -> str:
    await site.begin(max_connections_per_address=1)
    await site.negotiated(site.ticket())
    return await site.negotiate(site.ticket(visitor_id="bob"))


# Files

FILES = Rows[Site]("Files")


def form(*, name: str = "formFile", file_name: str = '; filename="a.txt"', more: str = "") -> Json:
    part = f'--b\r\nContent-Disposition: form-data; name="{name}"{file_name}\r\n\r\ntext\r\n'
    return {"content": f"{part}{more}--b--\r\n", "headers": {"Content-Type": FORM}}


def png(size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", size).save(buffer, "PNG")
    return buffer.getvalue()


def upload(what: str, data: bytes = b"some text", *, settings: Json | None = None, **options: Any) -> None:
    async def row(site: Site) -> str:
        await site.begin(uploads=settings or {})
        await site.fill()
        return await site.upload(data, **options)

    FILES.add(what, row)


upload("to a chatroom that is unknown or deleted, or a private one of others", room="nowhere")
upload("to no chatroom", room="")
upload("to a read-only chatroom", room="{closed}")
upload("where files are switched off", settings={"is_open": False})
upload("a body that is no form", content="text", headers={"Content-Type": "text/plain"})
upload("a form that cannot be read", content="nonsense", headers={"Content-Type": FORM})
upload("a form with another field", **form(name="other"))
upload("a form with more than one file", **form(more=form()["content"].partition("--b--")[0]))
upload("a form without an end", content=form()["content"].partition("--b--")[0], headers=form()["headers"])
upload("a form with too much around the file", content=form()["content"] + "x" * 20_000, headers=form()["headers"])
upload("an empty file", b"")
upload("too large a file", b"x" * 2000, settings={"max_file_bytes": 1000, "bytes_per_hour": 5000})
upload("a type that is not taken", settings={"file_types": ("image/png",)})
upload("an image that is none", b"text", kind="image/png")
upload("a damaged image", png((300, 300))[:90], kind="image/png")
upload("an image with too many pixels", png(), kind="image/png", settings={"max_image_pixels": 10})
upload("an image that is too wide or high", png((40_000, 1)), kind="image/png")


upload(
    "an image that is too large when it is unpacked",
    growing_image(),
    kind="image/png",
    settings={"max_file_bytes": 150 * 1024},
)


@FILES.row("more files in an hour than a visitor may upload")
async def _(site: Site) -> str:
    await site.begin(uploads={"files_per_hour": 1})
    await site.fill()
    await site.uploaded()
    return await site.upload()


@FILES.row("more bytes in an hour than a visitor may upload")
async def _(site: Site) -> str:
    await site.begin(uploads={"max_file_bytes": 1000, "bytes_per_hour": 1500})
    await site.fill()
    await site.uploaded(b"x" * 900)
    return await site.upload(b"x" * 900)


@FILES.row("too many uploads in a short time")
async def _(site: Site) -> str:
    await site.begin(rates=RateConfig.of({"uploading": {"visitor": (1, 60)}}))
    await site.fill()
    await site.uploaded()
    return await site.upload()


@FILES.row("too many files on their way")
async def _(site: Site) -> str:
    site.monkeypatch.setattr(uploads, "MAX_UNDER_WAY", 0)
    await site.begin()
    await site.fill()
    return await site.upload()


@FILES.row("a body that comes to a halt")
async def _(site: Site) -> str:
    await site.begin(uploads={"idle_s": 0.05})
    await site.fill()

    async def body() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(30)

    return await site.upload(content=body(), headers={"Content-Type": FORM})


def full(what: str, patch: Callable[[Any], None]) -> None:
    async def row(site: Site) -> str:
        await site.begin()
        await site.fill()
        patch(site.monkeypatch)
        return await site.upload()

    FILES.add(what, row)


def no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


full("a disk that will soon be full", lambda patch: patch.setattr(UploadFolder, "free_bytes", lambda _: 0))
full("a disk that is full", lambda patch: patch.setattr(UploadFolder, "begin", no_space))


@FILES.row("with a ticket that is not good")
async def _(site: Site) -> str:
    await site.begin()
    return await site.ask("POST", "/file/save?websiteId=local&visitorId=ada&chatroomId=x")


@FILES.row("to read a file that there is not, or that is not for this reader")
async def _(site: Site) -> str:
    await site.begin()
    await site.fill()
    path = httpx.URL((await site.uploaded(room="{private}")).json()["fileUrl"]).path
    return await site.ask("GET", path.removeprefix("/v1"))


# REST

REST = Rows[Site]("The REST API")


def rest(what: str, method: str, path: str, query: Json | None = None, **options: Any) -> None:
    async def row(site: Site) -> str:
        await site.begin()
        await site.fill()
        return await site.rest(method, path, query, **options)

    REST.add(what, row)


IN_ROOM = {"chatroomId": "{room}"}
SEND = "/chatroom/send-message"


@REST.row("without the key, or with a wrong one")
async def _(site: Site) -> str:
    await site.begin()
    return await site.ask("GET", "/chatroom/list?websiteId=local", headers={"X-Api-Key": "wrong"})


@REST.row("too many calls without the key")
async def _(site: Site) -> str:
    await site.begin(rates=RateConfig.of({"connecting": {"address": (1, 60)}}))
    await site.ask("GET", "/chatroom/list?websiteId=local")
    return await site.ask("GET", "/chatroom/list?websiteId=local")


rest("too large a body", "POST", "/chatroom/create", content=b"x" * 300_000)
rest("a body that is no JSON", "POST", "/chatroom/create", content=b"{")
rest("a body that is no JSON object", "POST", "/chatroom/create", content=b"[]")
rest("a chatroom that there is not", "GET", "/chatroom/get", {"chatroomId": "nowhere"})
rest("a parameter that is no id", "GET", "/chatroom/get")
rest("a number that is none", "GET", "/chatroom/list", {"page": "0"})
rest("a flag that is none", "GET", "/chatroom/list", {"includeDeleted": "maybe"})
rest("a title that is none", "POST", "/chatroom/create", json={})
rest("a title that is no text", "POST", "/chatroom/update", IN_ROOM, json={"title": 7})
rest("a flag in the body that is none", "POST", "/chatroom/update", IN_ROOM, json={"is_private": 1})
rest("an external id that is none", "POST", "/chatroom/create", json={"title": "x", "external_id": ""})
rest("chatroom ids that are none", "POST", "/chatroom/counts", json={"chatroom_ids": "x"})
rest("too many chatroom ids", "POST", "/chatroom/counts", json={"chatroom_ids": ["x"] * 501})
rest("a visitor's id that is missing", "POST", "/chatroom/connect-visitor", IN_ROOM)
rest("a visitor's id that is none", "GET", "/visitor/get", {"visitorId": "x" * 101})
rest("a visitor that there is not", "GET", "/visitor/get", {"visitorId": "nobody"})
rest("flags of a visitor that are none", "POST", "/visitor/update", {"visitorId": "ada"}, json={"is_manager": 1})
rest(
    "to name a connection and to ask for the offline only",
    "POST",
    "/chatroom/disconnect-visitor",
    IN_ROOM | {"visitorId": "ada", "connectionId": "c", "onlyOffline": "1"},
)
rest("a sender's flag that is none", "POST", SEND, IN_ROOM, json={"sender_id": "a", "content": "x", "sender_flag": 2})
rest(
    "to post to a read-only chatroom", "POST", SEND, {"chatroomId": "{closed}"}, json={"sender_id": "a", "content": "x"}
)
rest(
    "a message that there is not",
    "POST",
    "/chatroom/update-message",
    IN_ROOM | {"messageId": "x"},
    json={"content": "x"},
)
rest("changes since what is no cursor", "GET", "/chatroom/changes", IN_ROOM | {"cursor": "x"})


@REST.row("a guest's name that passes for that of somebody whom the site has named")
async def _(site: Site) -> str:
    await site.begin()
    await site.hub.post("/visitor/update", {"name": "Grace"}, visitorId="ada")
    return await site.rest("POST", "/visitor/update", {"visitorId": f"{GUEST_PREFIX}1"}, json={"name": "GRACE"})


@REST.row("a file that was uploaded to another chatroom")
async def _(site: Site) -> str:
    await site.begin()
    await site.fill()
    url = (await site.uploaded(room="{other}")).json()["fileUrl"]
    return await site.rest("POST", SEND, IN_ROOM, json={"sender_id": "ada", "type": 5, "file_url": url})


def broken(what: str, error: Exception) -> None:
    async def row(site: Site) -> str:
        await site.begin()

        async def fail(*_: Any, **__: Any) -> None:
            raise error

        site.monkeypatch.setattr(SqlStore, "list_chatrooms", fail)
        return await site.rest("GET", "/chatroom/list")

    REST.add(what, row)


broken("a database that cannot be used", StoreError("the disk is full"))
broken("a disk that is full", StoreFullError("database or disk is full"))
broken("a failure of the hub's own", RuntimeError("a bug"))
