"""The routes of files: how they come in, and how they are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from ..errors import InvocationError, NotFoundError, RequestRefusedError
from ..tokens import VisitorTicket
from .addresses import THUMB_SIDES_PX, base_url_of, file_path, thumb_path
from .file_names import content_disposition
from .folder import ORIGINAL, UploadFolder, thumb_name
from .intake import STALLED, Intake
from .limits import check_id
from .metrics import NO_METRICS, UPLOADED, Metrics
from .rate_config import Action
from .service import ChatService
from .service.uploads import NO_SUCH_FILE
from .store.base import Upload

THUMB_TYPE = "image/webp"
#: Besides what every answer about files says (safe_answers.py).
KEPT_HEADERS = {
    # The reader's own browser may keep it; a cache for all would go on serving what has been deleted.
    "Cache-Control": "private, max-age=31536000, immutable",
    "Vary": "Origin",
}
#: Who has been taken out finds it in no cache: whether it may be read is asked each time.
PRIVATE_CACHING = {"Cache-Control": "private, no-cache"}


class UploadApi:
    """Takes and serves files over HTTP.

    Args:
        public_url: See ``HubConfig``.
        check_visitor: Returns the ticket in a query, or raises ``RequestRefusedError``.
        count: Counts a visitor's upload, and returns its address, or raises ``RequestRefusedError``.
    """

    def __init__(
        self,
        service: ChatService,
        intake: Intake,
        folder: UploadFolder,
        *,
        public_url: str | None,
        check_visitor: Callable[[Mapping[str, str]], tuple[VisitorTicket, str]],
        count: Callable[[Action, Scope, VisitorTicket], str | None],
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._uploads = service.uploads
        self._intake = intake
        self._folder = folder
        self._public_url = public_url
        self._check_visitor = check_visitor
        self._count = count
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """Return the routes, relative to the API's base."""
        return [
            Route("/file/save", self._save, methods=["POST"]),
            Route("/file/{upload_id}/thumb/{side_px:int}", self._serve_thumb),
            Route("/file/{upload_id}/{file_name}", self._serve_file),
        ]

    # In

    async def _save(self, request: Request) -> Response:
        """Take a file; answer where it is."""
        body = request.stream()
        try:
            answer = await self._take(request, body)
        except ClientDisconnect:
            # Nobody reads this.
            raise RequestRefusedError(400, STALLED) from None
        except (RequestRefusedError, InvocationError):
            # Who is still sending when the answer comes may lose it with the connection.
            with suppress(RequestRefusedError, ClientDisconnect):
                await self._intake.drain(body)
            raise
        return JSONResponse(answer)

    async def _take(self, request: Request, body: AsyncIterator[bytes]) -> dict[str, Any]:
        ticket, _ = self._check_visitor(request.query_params)
        address = self._count(Action.UPLOADING, request.scope, ticket)
        chatroom_id = check_id(request.query_params.get("chatroomId"), name="chatroomId")
        file_bytes = self._intake.expected_bytes(request.headers.get("content-length", ""))
        async with self._uploads.slot(ticket.visitor_id, chatroom_id, file_bytes=file_bytes, address=address) as slot:
            upload = await self._intake.take(
                body,
                request.headers.get("content-type", ""),
                slot=slot,
                visitor_id=ticket.visitor_id,
                chatroom_id=chatroom_id,
            )
        self._metrics.count(UPLOADED, by=upload.stored_bytes)
        return _answer(upload, base_url_of(request.scope, self._public_url, ticket.hub_url))

    # Out

    async def _serve_file(self, request: Request) -> Response:
        """Serve a file, under its own name only."""
        upload, headers = await self._find(request)
        if request.path_params["file_name"] != upload.file_name:
            raise NotFoundError(NO_SUCH_FILE)
        return await self._serve(request, upload, headers, ORIGINAL, upload.media_type)

    async def _serve_thumb(self, request: Request) -> Response:
        """Serve an image in small."""
        (upload, headers), side_px = await self._find(request), request.path_params["side_px"]
        if not upload.is_image or side_px not in THUMB_SIDES_PX:
            raise NotFoundError(NO_SUCH_FILE)
        return await self._serve(request, upload, headers, thumb_name(side_px), THUMB_TYPE)

    async def _find(self, request: Request) -> tuple[Upload, dict[str, str]]:
        """Return what is asked for, if this reader may have it, and the headers that it goes with."""
        file_pass = request.query_params.get("pass", "")
        upload, is_private = await self._uploads.get(request.path_params["upload_id"], file_pass)
        return upload, KEPT_HEADERS | (PRIVATE_CACHING if is_private else {})

    async def _serve(
        self, request: Request, upload: Upload, headers: dict[str, str], name: str, media_type: str
    ) -> Response:
        path = self._folder.path(upload.upload_id, name)
        try:
            stat_result = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            raise NotFoundError(NO_SUCH_FILE) from None
        # What has an id never changes.
        headers = {**headers, "ETag": f'"{upload.upload_id}-{name}"'}
        if _has_already(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        headers["Content-Disposition"] = content_disposition(upload.file_name, is_attachment=not upload.is_image)
        return FileResponse(path, headers=headers, media_type=media_type, stat_result=stat_result)


def _answer(upload: Upload, base_url: str) -> dict[str, Any]:
    """Return what chatix-core expects (chat.js:_uploadChatroomFile), and more."""
    answer: dict[str, Any] = {
        "fileUrl": base_url + file_path(upload.upload_id, upload.file_name),
        "fileName": upload.file_name,
        "fileSize": upload.file_bytes,
        "width": upload.width_px,
        "height": upload.height_px,
    }
    if upload.is_image:
        for side_px in THUMB_SIDES_PX:
            answer[f"thumb{side_px}Url"] = base_url + thumb_path(upload.upload_id, side_px)
    return answer


def _has_already(request: Request, etag: str) -> bool:
    """Whether the client has this version (RFC 9110, section 13.1.2)."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return etag in known or known == ["*"]
