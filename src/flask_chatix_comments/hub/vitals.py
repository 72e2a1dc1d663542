"""How the hub is, for those who keep it running: alive, ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import StoreError
from .meters import measure_loop, meter_of_batches
from .metrics import DATABASE_BYTES, DATABASE_FREE, FILES_FREE, NO_METRICS, READY, Metrics, Values
from .readiness import Readiness
from .rest_call import NO_STORE
from .store.base import Disk, MessageStore

logger = logging.getLogger(__name__)

#: So often the disk is looked at, and a database that could not be written is tried.
LOOK_S = 5.0

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


class Vitals:
    """Watches the store, and answers.

    Args:
        free_file_bytes: Returns what is free on the disk of the files, and waits for it; ``None``: there are none.
    """

    def __init__(
        self,
        store: MessageStore,
        metrics: Metrics = NO_METRICS,
        *,
        website_id: str,
        free_file_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._website_id = website_id
        self._free_file_bytes = free_file_bytes
        self._readiness = Readiness()
        self._disk: Disk | None = None
        self._file_disk: Values = {}
        store.watch(self._readiness.note_batch)
        store.watch(meter_of_batches(metrics))
        self._read_into(metrics)

    def _read_into(self, metrics: Metrics) -> None:
        metrics.read(READY, lambda: {(): self._readiness.obstacle is None})
        metrics.read(DATABASE_BYTES, lambda: {(): self._disk.used_bytes} if self._disk else {})
        metrics.read(DATABASE_FREE, lambda: {(): self._disk.free_bytes} if self._disk else {})
        metrics.read(FILES_FREE, lambda: self._file_disk)

    def routes(self) -> list[Route]:
        """Return the routes, relative to the API's base."""
        return [Route("/health", self._health), Route("/ready", self._ready)]

    def around(self, lifespan: Lifespan) -> Lifespan:
        """Return *lifespan*, watched: between its start and its end the hub may be ready."""

        @asynccontextmanager
        async def watched(app: Starlette) -> AsyncIterator[None]:
            async with lifespan(app):
                await self._look()
                tasks = [asyncio.create_task(self._look_again())]
                if self._metrics is not NO_METRICS:
                    tasks.append(asyncio.create_task(measure_loop(self._metrics)))
                self._readiness.started()
                try:
                    yield
                finally:
                    self._readiness.stopping()
                    for task in tasks:
                        task.cancel()
                        with suppress(asyncio.CancelledError):
                            await task

        return watched

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await self._look()

    async def _look(self) -> None:
        """Look at the disk; try to write, if that has failed."""
        try:
            self._disk, self._file_disk = await asyncio.to_thread(self._look_at_disks)
            self._readiness.note_disk(self._disk)
            if self._readiness.is_failing:
                await self._store.try_to_write()
                self._readiness.note_written()
        except StoreError:
            # It has been said when it began.
            pass
        except Exception:
            logger.exception("The hub could not look at its own state; it will do so again.")

    def _look_at_disks(self) -> tuple[Disk | None, Values]:
        return self._store.disk(), {(): self._free_file_bytes()} if self._free_file_bytes is not None else {}

    async def _health(self, _: Request) -> Response:
        """Answer that the hub is there, and for which website: whoever can answer this need not be started again."""
        return JSONResponse({"status": "ok", "website_id": self._website_id}, headers=NO_STORE)

    async def _ready(self, _: Request) -> Response:
        """Answer whether the hub can do its work."""
        obstacle = self._readiness.obstacle
        if obstacle is None:
            return JSONResponse({"status": "ready", "website_id": self._website_id}, headers=NO_STORE)
        headers = NO_STORE | {"Retry-After": str(round(LOOK_S))}
        return JSONResponse({"error": str(obstacle)}, status_code=503, headers=headers)
