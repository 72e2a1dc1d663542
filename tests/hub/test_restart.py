"""A hub that is told to end and started again: nothing is lost, and its readers come back one by one."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from flask_chatix_comments.hub.farewell import COMERS_PER_S, FIRST_S
from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets
from tests.hub.processes import HubProcess
from tests.hub.support import DEADLINE_S, TICKET_KEY, records_of, rest_client

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")

READERS = 200
WRITERS = 20
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
RESTART = 1012


class Reader:
    """A client that comes again when it was told to, and sends again what was not answered.

    Attributes:
        unanswered: The calls to send, by invocation ID.
        wait_s: When it was told to come again.
    """

    def __init__(self, number: int, http: httpx.AsyncClient, room: str) -> None:
        now = time.time()
        ticket = VisitorTicket(visitor_id=f"reader-{number}", issued_at=now, expires_at=now + 3600)
        self._query = {
            "visitorId": VisitorTickets((TICKET_KEY,), website_id="local").sign(ticket),
            "websiteId": "local",
            "negotiateVersion": "1",
        }
        self._http = http
        self._room = room
        self.unanswered: dict[str, str] = {}
        self.wait_s: float | None = None
        self.came_at = 0.0

    async def connect(self) -> None:
        """Connect and join; how it is done is tried until it works."""
        answer = await self._http.post("/chat/negotiate", params=self._query)
        url = self._http.base_url.copy_with(scheme="ws")
        query = {**self._query, "id": answer.json()["connectionToken"]}
        self._socket = await websockets.connect(
            str(httpx.URL(f"{url}chat", params=query)), compression=None, ping_interval=None
        )
        await self._socket.send(HANDSHAKE)
        await self._call("join", "ConnectToChatroom", self._room)
        while "join" in self.unanswered:
            await self._hear()
        self.came_at = time.monotonic()

    async def post(self, text: str) -> None:
        """Send a comment, and do not wait for the answer."""
        await self._call(f"post {text}", "SaveChatroomMessage", {"type": 0, "content": text, "uuid": text}, self._room)

    async def _call(self, number: str, target: str, *arguments: Any) -> None:
        call = {"type": 1, "invocationId": number, "target": target, "arguments": arguments}
        self.unanswered[number] = json.dumps(call) + "\x1e"
        await self._socket.send(self.unanswered[number])

    async def _hear(self) -> None:
        text = await asyncio.wait_for(self._socket.recv(), 3 * DEADLINE_S)
        assert isinstance(text, str)
        for record in records_of(text):
            if record.get("type") == 3:
                assert "error" not in record, record
                del self.unanswered[record["invocationId"]]
            elif record.get("target") == "OnComeAgain":
                self.wait_s = record["arguments"][0] / 1000
            elif record.get("type") == 7:
                assert record == {"type": 7, "error": "The hub restarts.", "allowReconnect": True}

    async def stay_to_the_end(self) -> None:
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await self._hear()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == RESTART

    async def come_again(self) -> None:
        assert self.wait_s is not None
        await asyncio.sleep(self.wait_s)
        while True:
            try:
                await self.connect()
                break
            except (httpx.TransportError, OSError):
                await asyncio.sleep(0.05)
        for call in list(self.unanswered.values()):
            await self._socket.send(call)
        while self.unanswered:
            await self._hear()

    async def close(self) -> None:
        await self._socket.close()


def test_all_come_back_after_a_restart_one_by_one_and_nothing_is_lost(run_process: Callable[[], HubProcess]) -> None:
    async def live(hub: HubProcess, readers: list[Reader]) -> HubProcess:
        await asyncio.gather(*(reader.connect() for reader in readers))
        for number, reader in enumerate(readers[:WRITERS]):
            await reader.post(f"comment {number}")
        ending = asyncio.create_task(asyncio.to_thread(hub.end, signal.SIGTERM))
        await asyncio.gather(*(reader.stay_to_the_end() for reader in readers))
        status, errors = await ending
        assert status in (0, -signal.SIGTERM)
        assert errors == ""
        again = run_process()
        await asyncio.gather(*(reader.come_again() for reader in readers))
        await again.ready()
        return again

    async def story() -> None:
        hub = await run_process().ready()
        with rest_client(hub.url) as rest:
            room = str(rest.post("/chatroom/create", json={"title": "A post"}).json()["id"])
        async with httpx.AsyncClient(base_url=hub.url, timeout=3 * DEADLINE_S) as http:
            readers = [Reader(number, http, room) for number in range(READERS)]
            hub = await live(hub, readers)
            with rest_client(hub.url) as rest:
                items = rest.get("/chatroom/changes", params={"chatroomId": room}).json()["items"]
            for reader in readers:
                await reader.close()
        assert Counter(item["content"] for item in items) == Counter(f"comment {n}" for n in range(WRITERS))
        waits_s = sorted(reader.wait_s or 0.0 for reader in readers)
        # Each second has its share.
        shares = Counter(min(int((wait_s - FIRST_S) * COMERS_PER_S / READERS * 4), 3) for wait_s in waits_s)
        assert set(shares) <= {0, 1, 2, 3}
        assert max(shares.values()) < READERS / 2
        status, errors = hub.end(signal.SIGTERM)
        assert status in (0, -signal.SIGTERM)
        assert errors == ""

    asyncio.run(story())
