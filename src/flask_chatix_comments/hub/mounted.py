"""The hub as a part of another ASGI application, in whose lifespan it runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import HubLockedError, HubStartError
from .app import create_hub
from .config import HubConfig
from .origins import respond
from .startup import hold_lock, open_store
from .store.sql import SqlStore

logger = logging.getLogger(__name__)

_ONE_PROCESS = (
    " Site and hub in one application are one process: serve it without --workers, once for each database. For more"
    " processes, run flask chatix hub beside them."
)
_NOT_RUNNING = {"error": "The hub does not run: the server has not run the lifespan of the application."}


class MountedHub:
    """A hub that another application hands its scopes to.

    Attributes:
        loop: The event loop that it runs on; ``None`` while it does not run.
    """

    def __init__(self, config: HubConfig, *, lock_path: Path) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._config = config
        self._lock_path = lock_path
        self._app: ASGIApp | None = None

    @property
    def is_running(self) -> bool:
        """Whether it can be called."""
        return self.loop is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif self._app is not None and self.is_running:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await respond(send, 503, _NOT_RUNNING)
        else:
            await receive()
            await send({"type": "websocket.close"})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run from the server's start to its end; a start that fails is told the server, which then ends."""
        try:
            with hold_lock(self._lock_path):
                await self._run(scope, receive, send)
        except HubStartError as exc:
            await receive()
            remedy = _ONE_PROCESS if isinstance(exc, HubLockedError) else ""
            await send({"type": "lifespan.startup.failed", "message": f"{exc}{remedy}"})

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        store = open_store(self._config)
        try:
            self._app = self._make(store)
            await self._app(scope, self._noting_the_end(receive), self._noting_the_start(send))
        finally:
            self.loop = self._app = None
            # The application has done so already, unless it never came to run.
            await store.close()

    def _make(self, store: SqlStore) -> ASGIApp:
        try:
            return create_hub(self._config, store=store)
        except Exception as exc:
            # A server would take it for an application that has no lifespan, and go on.
            logger.exception("The built-in hub has failed.")
            raise HubStartError("The built-in hub has failed. The log has the details.") from exc

    def _noting_the_start(self, send: Send) -> Send:
        async def send_and_note(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.loop = asyncio.get_running_loop()
            await send(message)

        return send_and_note

    def _noting_the_end(self, receive: Receive) -> Receive:
        async def receive_and_note() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                self.loop = None
            return message

        return receive_and_note
