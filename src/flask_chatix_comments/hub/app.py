"""The hub as an ASGI application: everything is wired here, and nothing else is done."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp

from ..errors import InvocationError, RequestRefusedError, StoreError
from ..tokens import ConnectionTokens
from .backplane.local import LocalBackplane
from .broadcast import Broadcast
from .client_address import ClientAddresses
from .config import HubConfig
from .dispatcher import Dispatcher
from .entrance import Entrance
from .farewell import Farewell
from .folder import UploadFolder
from .front import Front, scope_below
from .intake import Intake
from .limiter import Limiter
from .membership import Membership
from .meters import CountedBackplane, count_refusals, read_connections
from .metrics import NO_METRICS
from .metrics_api import MetricsApi, open_metrics
from .origins import CorsMiddleware, OriginPolicy
from .rest import RestApi
from .rest_call import NO_STORE, refusal_to_response
from .safe_answers import SafeAnswers
from .service import ChatService, Context
from .signalr.connection import ConnectionLimits
from .store.base import MessageStore
from .store.sql import SqlStore
from .transports.channels import Channels
from .transports.http import HttpTransport
from .transports.websocket import WebSocketTransport
from .uploads import UploadApi
from .vitals import Vitals
from .watched import WatchedRequests

logger = logging.getLogger(__name__)

BASE_PATH = "/v1"
CHANNEL_TICK_S = 1.0


def new_id() -> str:
    """Return an id that nobody can guess: 128 bits. Hexadecimal, so that it never looks like an option."""
    return secrets.token_hex(16)


def create_hub(
    config: HubConfig, *, store: MessageStore | None = None, clock: Callable[[], float] = time.time
) -> ASGIApp:
    """Return the hub's application. Its lifespan opens the store, which nothing else may use meanwhile.

    Args:
        store: Instead of the one in the configuration's database.
        clock: Seconds since 1970.

    Raises:
        ConfigError: The database URL cannot be used.
    """
    store = store if store is not None else SqlStore(config.database_url)
    exposed = open_metrics(config.metrics_keys)
    metrics = exposed or NO_METRICS
    membership, backplane = Membership(), CountedBackplane(LocalBackplane(), metrics)
    folder = UploadFolder(config.uploads.folder) if config.uploads is not None else None
    remove_files = folder.remove if folder is not None else None
    service = ChatService(Context(config, store, membership, backplane, clock, new_id, remove_files))
    broadcast = Broadcast(
        membership,
        website_id=config.website_id,
        is_manager=service.visitors.is_manager,
        private_pass=service.uploads.private_pass,
    )
    backplane.listen(broadcast.deliver)
    free_file_bytes = folder.free_bytes if folder is not None else None
    vitals = Vitals(store, metrics, website_id=config.website_id, free_file_bytes=free_file_bytes)
    limits = ConnectionLimits(max_record_bytes=config.max_record_bytes, max_values_per_text=config.max_values_per_text)
    channels = Channels(
        limits=limits,
        max_per_visitor=config.max_connections_per_visitor,
        max_per_address=config.max_connections_per_address,
        clock=time.monotonic,
        wall_clock=clock,
        new_secret=lambda: secrets.token_urlsafe(24),
        tokens=ConnectionTokens(config.ticket_keys, website_id=config.website_id),
        metrics=metrics,
    )
    read_connections(metrics, channels, membership)
    policy = OriginPolicy(config.allowed_origins)
    limiter = Limiter(config.rates, clock=time.monotonic, metrics=metrics)
    entrance = Entrance(
        service,
        channels,
        policy,
        limiter,
        ClientAddresses(config.trusted_proxies),
        website_id=config.website_id,
        public_url=config.public_url,
    )
    api = RestApi(
        service,
        website_id=config.website_id,
        api_keys=config.api_keys,
        max_body_bytes=config.max_record_bytes,
        check_website=entrance.check_website,
        count=entrance.count,
        public_url=config.public_url,
    )
    dispatcher = Dispatcher(service, broadcast, website_id=config.website_id, limiter=limiter, metrics=metrics)
    admit = count_refusals(entrance.admit, metrics)
    farewell = Farewell(channels.count_attached)
    requests = HttpTransport(
        dispatcher,
        channels,
        admit=admit,
        recognize=entrance.recognize,
        say_goodbye=farewell.say,
        max_body_bytes=config.max_record_bytes,
    )
    websockets = WebSocketTransport(
        dispatcher, channels, admit=lambda scope: admit(scope_below(scope, BASE_PATH)), say_goodbye=farewell.say
    )
    routes = [
        *vitals.routes(),
        *MetricsApi(exposed, config.metrics_keys, count=entrance.count).routes(),
        Route("/visitor/get-id", entrance.get_id),
        Route("/chat/negotiate", entrance.negotiate, methods=["POST"]),
        Route("/chat", requests),
        *api.routes(),
    ]
    intake = None
    if config.uploads is not None and folder is not None:
        intake = Intake(folder, config.uploads, clock=clock, new_id=new_id, uploads=service.uploads)
        uploads = UploadApi(
            service,
            intake,
            folder,
            public_url=config.public_url,
            check_visitor=entrance.check_visitor,
            count=entrance.count,
            metrics=metrics,
        )
        routes += uploads.routes()
    app = Starlette(
        routes=[Mount(BASE_PATH, app=Router(routes, redirect_slashes=False))],
        lifespan=vitals.around(
            _lifespan(
                store, service, _ticks(channels, limiter), requests, intake, interval_s=config.presence_interval_s
            )
        ),
        exception_handlers={
            HTTPException: _http_error,
            RequestRefusedError: refusal_to_response,
            InvocationError: refusal_to_response,
            StoreError: refusal_to_response,
            Exception: _unexpected,
        },
    )
    # A redirect would carry the query, and with it the ticket, to whatever host the request names.
    app.router.redirect_slashes = False
    served = SafeAnswers(CorsMiddleware(app, policy), files_path=f"{BASE_PATH}/file/")
    paths = {route.path for route in routes if isinstance(route, Route) and "{" not in route.path} | {"/chat", "/file/"}
    front = Front(served, websockets, base_path=BASE_PATH, path="/chat")
    return WatchedRequests(
        front, metrics, base_path=BASE_PATH, paths=paths, lasting={"/chat"}, logs=config.logs_requests
    )


def _lifespan(
    store: MessageStore,
    service: ChatService,
    tick: Callable[[], Awaitable[None]],
    requests: HttpTransport,
    intake: Intake | None,
    *,
    interval_s: float,
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        store.open()
        try:
            if intake is not None:
                await intake.start()
            await service.start()
            tasks = [
                asyncio.create_task(_every(CHANNEL_TICK_S, tick)),
                asyncio.create_task(_every(interval_s, service.tick)),
            ]
            yield
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await requests.close()
        finally:
            if intake is not None:
                intake.stop()
            await store.close()

    return lifespan


def _ticks(*clocked: Channels | Limiter) -> Callable[[], Awaitable[None]]:
    async def tick() -> None:
        for one in clocked:
            one.tick()

    return tick


async def _every(interval_s: float, action: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(interval_s)
        try:
            await action()
        except Exception:
            logger.exception("What the hub does from time to time has failed; it will be tried again.")


async def _http_error(_: Request, exc: Exception) -> Response:
    status_code = exc.status_code if isinstance(exc, HTTPException) else 500
    message = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    headers = dict(exc.headers or {}) if isinstance(exc, HTTPException) else {}
    body = {"error": message.get(status_code, "The request failed.")}
    return JSONResponse(body, status_code=status_code, headers=NO_STORE | headers)


async def _unexpected(_: Request, exc: Exception) -> Response:
    """Tell the client nothing; the server logs the traceback."""
    return JSONResponse({"error": "The hub failed. Please try again."}, status_code=500, headers=NO_STORE)
