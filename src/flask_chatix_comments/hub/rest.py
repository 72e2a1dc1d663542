"""The REST API: routes onto the service, for the site, which has a key.

Every failure is an HTTP status and ``{"error": "a sentence"}``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from .. import wire
from ..errors import InvalidArgumentError, RequestRefusedError
from ..models import Chatroom, MessageType, Profile
from .addresses import base_url_of
from .limits import MAX_PAGE_ITEMS
from .presenter import present_changes, present_history, present_message
from .rate_config import Action
from .rest_call import NO_STORE, Call, digests_of, is_key, read_body
from .service import ChatService
from .service.drafts import draft_from
from .service.visitors import ProfileUpdate

logger = logging.getLogger(__name__)

API_KEY_HEADER = "x-api-key"
SUCCESS: dict[str, Any] = {"is_success": True}

Json = dict[str, Any]
Answer = Awaitable[Any]
Operation = Callable[[Call], Answer]


class RestApi:
    """The operations, and the routes to them.

    Args:
        api_keys: All are accepted.
        check_website: Raises ``RequestRefusedError`` for another website than ours.
        count: Counts a request without a key, or raises ``RequestRefusedError``.
        public_url: See ``HubConfig``.
    """

    def __init__(
        self,
        service: ChatService,
        *,
        website_id: str,
        api_keys: tuple[str, ...],
        max_body_bytes: int,
        check_website: Callable[[str | None], None],
        count: Callable[[Action, Scope], object],
        public_url: str | None,
    ) -> None:
        self._service = service
        self._website_id = website_id
        self._api_keys = digests_of(api_keys)
        self._max_body_bytes = max_body_bytes
        self._check_website = check_website
        self._count = count
        self._public_url = public_url

    def routes(self) -> list[Route]:
        """Return the routes, relative to the API's base."""
        table: list[tuple[str, str, Operation]] = [
            ("POST", "/chatroom/create", self._create_chatroom),
            ("GET", "/chatroom/get", self._get_chatroom),
            ("GET", "/chatroom/list", self._list_chatrooms),
            ("POST", "/chatroom/update", self._update_chatroom),
            ("POST", "/chatroom/delete", self._delete_chatroom),
            ("POST", "/chatroom/restore", self._restore_chatroom),
            ("POST", "/chatroom/connect-visitor", self._connect_visitor),
            ("POST", "/chatroom/disconnect-visitor", self._disconnect_visitor),
            ("GET", "/chatroom/visitors", self._list_visitors),
            ("GET", "/chatroom/messages", self._list_messages),
            ("GET", "/chatroom/changes", self._list_changes),
            ("GET", "/chatroom/find-message", self._find_message),
            ("POST", "/chatroom/counts", self._count_messages),
            ("POST", "/chatroom/send-message", self._send_message),
            ("POST", "/chatroom/update-message", self._update_message),
            ("POST", "/chatroom/delete-message", self._delete_message),
            ("POST", "/chatroom/send-whisper", self._send_whisper),
            ("GET", "/visitor/get", self._get_visitor),
            ("POST", "/visitor/update", self._update_visitor),
            ("POST", "/visitor/forget", self._forget_visitor),
            ("GET", "/visitor/crowd", self._get_crowd),
        ]
        return [Route(path, self._endpoint(operation), methods=[method]) for method, path, operation in table]

    def _endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._check_key(request)
            self._check_website(request.query_params.get("websiteId"))
            body = await read_body(request, limit_bytes=self._max_body_bytes) if request.method == "POST" else {}
            base_url = base_url_of(request.scope, self._public_url)
            return JSONResponse(await operation(Call(request.query_params, body, base_url)), headers=NO_STORE)

        return endpoint

    def _check_key(self, request: Request) -> None:
        if not is_key(request.headers.get(API_KEY_HEADER, ""), self._api_keys):
            self._count(Action.CONNECTING, request.scope)
            raise RequestRefusedError(401, "The API key is missing or wrong.")

    # Chatrooms

    def _chatroom(self, chatroom: Chatroom) -> Json:
        return wire.chatroom_to_wire(chatroom, web_chat_id=self._website_id, for_api=True)

    async def _create_chatroom(self, call: Call) -> Json:
        chatroom = await self._service.chatrooms.create(
            call.body.get("title"),
            is_private=call.body.get("is_private"),
            external_id=call.body.get("external_id"),
        )
        return self._chatroom(chatroom)

    async def _get_chatroom(self, call: Call) -> Json:
        return self._chatroom(await self._service.chatrooms.get(call.id("chatroomId")))

    async def _list_chatrooms(self, call: Call) -> Json:
        page, include_deleted = call.page(), call.flag("includeDeleted")
        external_id = call.query.get("externalId")
        if external_id is not None:
            chatrooms = await self._service.chatrooms.list_by_external_id(external_id, include_deleted=include_deleted)
            total = len(chatrooms)
            chatrooms = chatrooms if page["page"] == 1 else []
        else:
            chatrooms, total = await self._service.chatrooms.list_all(**page, include_deleted=include_deleted)
        return {"items": [self._chatroom(chatroom) for chatroom in chatrooms], **page, "total": total}

    async def _update_chatroom(self, call: Call) -> Json:
        return self._chatroom(await self._service.chatrooms.update(call.id("chatroomId"), call.body))

    async def _delete_chatroom(self, call: Call) -> Json:
        await self._service.chatrooms.delete(call.id("chatroomId"))
        return SUCCESS

    async def _restore_chatroom(self, call: Call) -> Json:
        return self._chatroom(await self._service.chatrooms.restore(call.id("chatroomId")))

    async def _count_messages(self, call: Call) -> Json:
        return {"counts": await self._service.chatrooms.count_messages(call.body.get("chatroom_ids"))}

    # Members

    def _visitor_id(self, text: object) -> str:
        return self._service.visitors.public_id(text)

    async def _connect_visitor(self, call: Call) -> Json:
        await self._service.attendance.admit(self._visitor_id(call.query.get("visitorId")), call.id("chatroomId"))
        return SUCCESS

    async def _disconnect_visitor(self, call: Call) -> Json:
        visitor_id, chatroom_id = self._visitor_id(call.query.get("visitorId")), call.id("chatroomId")
        connection_id = call.optional_id("connectionId")
        if call.flag("onlyOffline"):
            if connection_id is not None:
                raise InvalidArgumentError("Say connectionId or onlyOffline, not both.")
            return SUCCESS | {"is_member": await self._service.attendance.expel_offline(visitor_id, chatroom_id)}
        if connection_id is None:
            await self._service.attendance.expel(visitor_id, chatroom_id)
        else:
            await self._service.attendance.withdraw(visitor_id, chatroom_id, connection_id)
        return SUCCESS

    async def _list_visitors(self, call: Call) -> Json:
        page = call.page()
        profiles = await self._service.attendance.list_members(call.id("chatroomId"), **page)
        return {"items": [_visitor(profile) for profile in profiles], **page}

    # Messages

    async def _list_messages(self, call: Call) -> Json:
        history = await self._service.messages.history_for_api(
            call.id("chatroomId"),
            before_id=call.optional_id("lastMessageId"),
            limit=call.number("count", default=50, largest=MAX_PAGE_ITEMS),
        )
        return present_history(history, None, call.base_url)

    async def _list_changes(self, call: Call) -> Json:
        changes = await self._service.messages.changes_for_api(
            call.id("chatroomId"),
            cursor=call.query.get("cursor"),
            limit=call.number("count", default=100, largest=MAX_PAGE_ITEMS),
        )
        return present_changes(changes, None, call.base_url)

    async def _find_message(self, call: Call) -> Json:
        message = await self._service.messages.find_for_api(call.id("messageId"))
        return {"chatroom_id": message.chatroom_id, "message": present_message(message, None, call.base_url)}

    async def _send_message(self, call: Call) -> Json:
        message = await self._service.messages.post_by_api(
            call.id("chatroomId"),
            draft_from(call.body, default_type=MessageType.TEXT),
            sender_id=self._visitor_id(call.body.get("sender_id")),
            sender_flag=call.body.get("sender_flag", 0),
            sender_name=call.body.get("sender_name"),
        )
        return present_message(message, None, call.base_url)

    async def _update_message(self, call: Call) -> Json:
        message = await self._service.messages.edit_by_api(
            call.id("chatroomId"), call.id("messageId"), call.body.get("content")
        )
        return present_message(message, None, call.base_url)

    async def _delete_message(self, call: Call) -> Json:
        await self._service.messages.delete_by_api(call.id("chatroomId"), call.id("messageId"))
        return SUCCESS

    async def _send_whisper(self, call: Call) -> Json:
        message = await self._service.messages.whisper_by_api(
            call.id("chatroomId"), call.body.get("content"), sender_id=self._visitor_id(call.body.get("sender_id"))
        )
        return present_message(message, None, call.base_url)

    # Visitors

    async def _get_visitor(self, call: Call) -> Json:
        return _visitor(await self._service.visitors.get(self._visitor_id(call.query.get("visitorId"))))

    async def _update_visitor(self, call: Call) -> Json:
        visitor_id = self._visitor_id(call.query.get("visitorId"))
        return _visitor(await self._service.update_visitor(visitor_id, ProfileUpdate.from_mapping(call.body)))

    async def _forget_visitor(self, call: Call) -> Json:
        visitor_id = self._visitor_id(call.query.get("visitorId"))
        return asdict(await self._service.forgetting.forget_visitor(visitor_id))

    async def _get_crowd(self, _: Call) -> Json:
        return asdict(self._service.crowd())


def _visitor(profile: Profile) -> Json:
    flags = {"is_manager": profile.is_manager, "is_persistent": profile.is_persistent}
    return wire.profile_to_wire(profile) | flags
