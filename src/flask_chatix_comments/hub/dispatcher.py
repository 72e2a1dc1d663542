"""The table of hub methods: arguments in, service call, completion out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .. import wire
from ..errors import (
    InvalidArgumentError,
    InvocationError,
    NotAllowedError,
    StoreError,
    StoreFullError,
    UnknownMethodError,
)
from ..models import Message
from ..tokens import VisitorTicket
from ..wire import HubMethod
from . import arguments as given
from .broadcast import Broadcast
from .fanout import SendRecord
from .limiter import Limiter
from .metrics import CALLS, NO_METRICS, OTHER, Metrics, outcome_of
from .presenter import (
    present_changes,
    present_chatroom,
    present_history,
    present_member,
    present_message,
    present_self,
)
from .rate_config import Action
from .service import Caller, ChatService
from .service.drafts import Draft, draft_from
from .service.visitors import ProfileUpdate
from .signalr.messages import Completion, Invocation

logger = logging.getLogger(__name__)

HUB_FAILED = "The hub could not do this. Please try again."
STORE_FAILED = "The hub could not store or read this. Please try again later."

Parse = Callable[[Any], Any]
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Method:
    """A row of the table.

    Attributes:
        handler: Called with the caller and the arguments; what it returns is the result.
        parameters: Checks each argument, in wire order; what the client leaves out is null.
        is_void: Whether the completion carries no result.
        action: As what a call is counted.
    """

    handler: Handler
    parameters: tuple[Parse, ...]
    is_void: bool
    action: Action


def _answers(handler: Handler, *parameters: Parse, action: Action = Action.READING) -> _Method:
    return _Method(handler, parameters, is_void=False, action=action)


def _is_void(handler: Handler, *parameters: Parse, action: Action = Action.READING) -> _Method:
    return _Method(handler, parameters, is_void=True, action=action)


class Dispatcher:
    """Connect callers, and answer what they invoke."""

    def __init__(
        self,
        service: ChatService,
        broadcast: Broadcast,
        *,
        website_id: str,
        limiter: Limiter | None = None,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._broadcast = broadcast
        self._website_id = website_id
        self._limiter = limiter
        self._methods = {str(name).lower(): method for name, method in self._table().items()}
        self._names = {str(name).lower(): str(name) for name in self._table()}

    async def connect(
        self, connection_id: str, ticket: VisitorTicket, ticket_text: str, base_url: str, send_record: SendRecord
    ) -> Caller:
        """Note that a connection is open; events go to *send_record* from now on."""
        caller = await self._service.attendance.connect(connection_id, ticket, ticket_text, base_url)
        self._broadcast.add(caller, send_record)
        return caller

    def disconnect(self, caller: Caller) -> None:
        """Note that a connection is gone."""
        self._broadcast.remove(caller)
        self._service.attendance.disconnect(caller)

    async def invoke(self, caller: Caller, invocation: Invocation) -> Completion | None:
        """Call a hub method; ``None`` when the client wants no answer."""
        outcome = await self._attempt(caller, invocation)
        self._broadcast.catch_up(caller)
        if invocation.invocation_id is None:
            return None
        if isinstance(outcome, _Failure):
            return Completion(invocation_id=invocation.invocation_id, error=outcome.message)
        if outcome is _VOID:
            return Completion(invocation_id=invocation.invocation_id)
        return Completion(invocation_id=invocation.invocation_id, result=outcome)

    async def _attempt(self, caller: Caller, invocation: Invocation) -> Any:
        try:
            return await self._counted_call(caller, invocation)
        except InvocationError as exc:
            return _Failure(str(exc))
        except StoreFullError as exc:
            return _Failure(exc.FOR_PEOPLE)
        except StoreError:
            return _Failure(STORE_FAILED)
        except Exception:
            logger.exception("A hub method failed.")
            return _Failure(HUB_FAILED)

    async def _counted_call(self, caller: Caller, invocation: Invocation) -> Any:
        outcome = "done"
        try:
            return await self._call(caller, invocation)
        except Exception as exc:
            outcome = outcome_of(exc)
            raise
        finally:
            self._metrics.count(CALLS, self._names.get(invocation.target.lower(), OTHER), outcome)

    async def _call(self, caller: Caller, invocation: Invocation) -> Any:
        method = self._methods.get(invocation.target.lower())
        self._count(caller, method.action if method is not None else Action.READING)
        if method is None:
            raise UnknownMethodError("The hub has no such method.")
        values, count = invocation.arguments, len(method.parameters)
        if len(values) > count:
            raise InvalidArgumentError(f"This method takes {count} arguments, not {len(values)}.")
        values = [*values, *[None] * (count - len(values))]
        arguments = [parse(value) for parse, value in zip(method.parameters, values, strict=True)]
        result = await method.handler(caller, *arguments)
        return _VOID if method.is_void else result

    def _count(self, caller: Caller, action: Action) -> None:
        """Count a call, unless it is one of the site's own people."""
        if self._limiter is not None and not self._service.visitors.is_manager(caller.visitor_id):
            self._limiter.check_call(action, visitor_id=caller.visitor_id, address=caller.address)

    def _table(self) -> dict[HubMethod, _Method]:
        return {
            HubMethod.GET_VISITOR_INFO: _answers(self._get_visitor_info, given.anything),
            HubMethod.SAVE_VISITOR_INFO: _answers(self._save_visitor_info, given.json_object, action=Action.EDITING),
            HubMethod.GET_VISITOR_BY_VISITOR: _answers(self._get_member, given.person_id),
            HubMethod.GET_MANAGERS: _answers(self._nobody),
            HubMethod.GET_WEB_CHAT_MANAGERS: _answers(self._list_managers),
            HubMethod.GET_MANAGER_INFO: _answers(self._get_manager, given.person_id),
            HubMethod.GET_WEB_CHAT_INFO: _answers(self._get_web_chat_info),
            HubMethod.GET_MY_CHATROOMS: _answers(self._list_mine, given.items_per_page, given.page, given.anything),
            HubMethod.GET_ALL_CHATROOMS: _answers(self._list_all, given.items_per_page, given.page, given.anything),
            HubMethod.GET_CHATROOM: _answers(self._get_chatroom, given.chatroom_id),
            HubMethod.CONNECT_TO_CHATROOM: _answers(self._join, given.chatroom_id),
            HubMethod.DISCONNECT_FROM_CHATROOM: _answers(self._leave, given.chatroom_id),
            HubMethod.SAVE_CHATROOM_MESSAGE: _answers(
                self._post, given.json_object, given.chatroom_id_or_none, action=Action.POSTING
            ),
            HubMethod.GET_CHATROOM_HISTORY: _answers(
                self._get_history, given.chatroom_id, given.message_id_or_none, given.count
            ),
            # Items per page come before the page here, too (Q3 in docs/sdk-quirks.md).
            HubMethod.GET_CHATROOM_VISITORS: _answers(
                self._list_members, given.chatroom_id, given.items_per_page, given.page
            ),
            HubMethod.GET_CHATROOM_CHANGES: _answers(self._get_changes, given.chatroom_id, given.anything, given.count),
            HubMethod.UPDATE_CHATROOM_MESSAGE: _answers(
                self._edit, given.message_id, given.anything, given.chatroom_id, action=Action.EDITING
            ),
            HubMethod.DELETE_CHATROOM_MESSAGE: _answers(
                self._delete, given.message_id, given.chatroom_id, action=Action.EDITING
            ),
            HubMethod.SEND_CHATROOM_WHISPER: _answers(
                self._whisper, given.anything, given.chatroom_id, given.anything, action=Action.POSTING
            ),
            HubMethod.CHATROOM_TYPING: _is_void(self._service.messages.typing, given.chatroom_id, action=Action.TYPING),
            # What a comment section has no use for: answered, so that no client waits, and not kept.
            HubMethod.SAVE_PAGE_INFO: _is_void(self._nothing, given.anything, given.anything),
            HubMethod.VISITOR_TYPE: _is_void(self._nothing, given.anything),
            HubMethod.ALLOW_SCREEN_CAST: _is_void(self._nothing, given.anything),
            HubMethod.INTERRUPT_SCREEN_CAST: _is_void(self._nothing),
            HubMethod.POST_SCREEN_DATA: _is_void(self._nothing, given.anything, given.anything),
            HubMethod.POST_SCREEN_EVENT: _is_void(self._nothing, given.anything, given.anything, given.anything),
            HubMethod.SAVE_MESSAGE: _answers(self._refuse_conversation, given.anything, given.anything),
            HubMethod.GET_HISTORY: _answers(self._get_conversation, given.anything, given.anything, given.anything),
        }

    # Visitors and managers

    async def _get_visitor_info(self, caller: Caller, _: Any) -> Any:
        self._service.visitors.renew(caller)
        return present_self(await self._service.visitors.get(caller.visitor_id), caller)

    async def _save_visitor_info(self, caller: Caller, data: Any) -> Any:
        update = ProfileUpdate.from_mapping(data)
        return present_self(await self._service.visitors.save_own(caller, update), caller)

    async def _get_member(self, caller: Caller, visitor_id: str) -> Any:
        public_id = self._service.visitors.public_id(visitor_id)
        return present_member(await self._service.visitors.get_member(public_id), caller)

    async def _list_managers(self, _: Caller) -> Any:
        return [wire.manager_to_wire(manager) for manager in await self._service.visitors.list_managers()]

    async def _get_manager(self, _: Caller, manager_id: str) -> Any:
        return wire.manager_to_wire(await self._service.visitors.get_manager(manager_id))

    async def _get_web_chat_info(self, _: Caller) -> Any:
        return {"id": self._website_id}

    # Chatrooms

    async def _list_mine(self, caller: Caller, items_per_page: int, page: int, _: Any) -> Any:
        return await self._list_visible(caller, items_per_page, page, mine_only=True)

    async def _list_all(self, caller: Caller, items_per_page: int, page: int, _: Any) -> Any:
        return await self._list_visible(caller, items_per_page, page, mine_only=False)

    async def _list_visible(self, caller: Caller, items_per_page: int, page: int, *, mine_only: bool) -> Any:
        rooms = await self._service.chatrooms.list_visible(
            caller, page=page, items_per_page=items_per_page, mine_only=mine_only
        )
        items = [present_chatroom(room, self._website_id) for room in rooms]
        return {"items": items, "page": page, "items_per_page": items_per_page}

    async def _get_chatroom(self, caller: Caller, chatroom_id: str) -> Any:
        room = await self._service.chatrooms.get_visible(caller, chatroom_id)
        (described,) = await self._service.chatrooms.describe([room])
        return present_chatroom(described, self._website_id)

    async def _join(self, caller: Caller, chatroom_id: str) -> Any:
        try:
            await self._service.attendance.join(caller, chatroom_id)
        except InvocationError as exc:
            return {"is_success": False, "description": str(exc)}
        return {"is_success": True}

    async def _leave(self, caller: Caller, chatroom_id: str) -> Any:
        await self._service.attendance.leave(caller, chatroom_id)
        return {"is_success": True}

    async def _list_members(self, caller: Caller, chatroom_id: str, items_per_page: int, page: int) -> Any:
        members = await self._service.attendance.list_members_for(
            caller, chatroom_id, page=page, items_per_page=items_per_page
        )
        items = [present_member(member, caller) for member in members]
        return {"items": items, "page": page, "items_per_page": items_per_page}

    # Messages

    async def _post(self, caller: Caller, data: Any, chatroom_id: str | None) -> Any:
        return _posted(await self._service.messages.post(caller, chatroom_id, draft_from(data)), caller)

    async def _whisper(self, caller: Caller, content: Any, chatroom_id: str, client_key: Any) -> Any:
        draft = Draft(content=content, client_key=client_key)
        return _posted(await self._service.messages.whisper(caller, chatroom_id, draft), caller)

    async def _edit(self, caller: Caller, message_id: str, content: Any, chatroom_id: str) -> Any:
        edited = await self._service.messages.edit(caller, chatroom_id, message_id, content)
        return present_message(edited, caller, caller.base_url)

    async def _delete(self, caller: Caller, message_id: str, chatroom_id: str) -> Any:
        await self._service.messages.delete(caller, chatroom_id, message_id)
        return {"is_success": True}

    async def _get_history(self, caller: Caller, chatroom_id: str, before_id: str | None, count: int) -> Any:
        history = await self._service.messages.history(caller, chatroom_id, before_id=before_id, limit=count)
        return present_history(history, caller, caller.base_url) | self._standpoint(caller)

    async def _get_changes(self, caller: Caller, chatroom_id: str, cursor: Any, count: int) -> Any:
        changes = await self._service.messages.changes(caller, chatroom_id, cursor=cursor, limit=count)
        return present_changes(changes, caller, caller.base_url) | self._standpoint(caller)

    def _standpoint(self, caller: Caller) -> Any:
        is_manager = self._service.visitors.is_manager(caller.visitor_id)
        return wire.standpoint_to_wire(self._service.now(), is_manager=is_manager)

    # What this hub does not do

    async def _nobody(self, _: Caller) -> Any:
        return []

    async def _nothing(self, _: Caller, *arguments: Any) -> None:
        del arguments

    async def _get_conversation(self, _: Caller, *arguments: Any) -> Any:
        del arguments
        return {"items": []}

    async def _refuse_conversation(self, _: Caller, *arguments: Any) -> Any:
        del arguments
        raise NotAllowedError("This hub has chatrooms only, no private conversations.")


def _posted(message: Message, caller: Caller) -> Any:
    """Return a message to the page that sent it: who has the key may see it, even one that came back as another."""
    key = {} if message.client_key is None else {"client_key": message.client_key}
    return present_message(message, caller, caller.base_url) | key


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no result, in words for the caller."""

    message: str


_VOID = object()
