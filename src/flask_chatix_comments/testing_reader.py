"""A reader in the tests of a blog: does what the section's script and the SDK do, without a browser."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from . import wire
from .errors import ChatroomNotFoundError, InvocationError
from .models import Message, MessageType
from .wire import HubMethod

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from websockets.sync.client import ClientConnection
    from werkzeug.test import TestResponse

ANSWER_TIMEOUT_S = 10.0
_RECORD_SEPARATOR = "\x1e"


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a hub is, and for which website."""

    url: str
    website_id: str

    def write(self, ticket: str, chatroom_id: str, content: str) -> Message:
        """Join the chatroom, post a text and leave; return it as the hub has stored it.

        Raises:
            InvocationError: The hub refuses; the message says why.
        """
        with self._connected(ticket) as connection:
            _require_success(connection.call(HubMethod.CONNECT_TO_CHATROOM, chatroom_id))
            draft = {"type": int(MessageType.TEXT), "content": content}
            stored = connection.call(HubMethod.SAVE_CHATROOM_MESSAGE, draft, chatroom_id)
            _require_success(connection.call(HubMethod.DISCONNECT_FROM_CHATROOM, chatroom_id))
        return wire.message_from_wire(stored, chatroom_id=chatroom_id)

    @contextlib.contextmanager
    def _connected(self, ticket: str) -> Iterator[_Connection]:
        import httpx
        from websockets.sync.client import connect

        query = httpx.QueryParams(visitorId=ticket, websiteId=self.website_id)
        with httpx.Client(trust_env=False, timeout=ANSWER_TIMEOUT_S) as client:
            answer = client.post(f"{self.url}/chat/negotiate", params=query.add("negotiateVersion", 1))
        if answer.is_error:
            raise InvocationError(f"The hub refuses the ticket: {answer.text}")
        address = f"{self.url.replace('http', 'ws', 1)}/chat?{query.add('id', answer.json()['connectionToken'])}"
        with connect(address, proxy=None, open_timeout=ANSWER_TIMEOUT_S) as socket:
            yield _Connection(socket)


class _Connection:
    """A SignalR connection on which one call is made after the other."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._send({"protocol": "json", "version": 1})
        self._records = self._receive()
        next(self._records)

    def call(self, target: HubMethod, *arguments: object) -> Any:
        number = str(next(self._numbers))
        self._send({"type": 1, "invocationId": number, "target": target, "arguments": arguments})
        completion = next(record for record in self._records if record.get("invocationId") == number)
        if "error" in completion:
            raise InvocationError(completion["error"])
        return completion.get("result")

    def _send(self, record: dict[str, object]) -> None:
        self._socket.send(json.dumps(record) + _RECORD_SEPARATOR)

    def _receive(self) -> Iterator[dict[str, Any]]:
        while True:
            text = str(self._socket.recv(ANSWER_TIMEOUT_S))
            yield from map(json.loads, text.split(_RECORD_SEPARATOR)[:-1])


def _require_success(result: dict[str, Any]) -> None:
    if not result["is_success"]:
        raise InvocationError(result.get("description") or "The hub refuses.")


class Visit:
    """A reader who has come to the section of a post, and whom the site has told who they are.

    Attributes:
        chatroom_id: Of the post.
        ticket: What the reader shows the hub.
        visitor_id: What other readers see of them, beside the name.
        name: ``None`` for a guest who has not given one.
        is_closed: Whether the thread is read-only.
        is_private: Whether it is read by those only whom the site lets in.

    Raises:
        ChatroomNotFoundError: There are no comments for this reader: the thread is deleted, or private. It is a
            ``HubError``.
    """

    chatroom_id: str
    ticket: str
    visitor_id: str
    name: str | None
    is_signed_in: bool
    is_manager: bool
    is_closed: bool
    is_private: bool

    def __init__(self, client: FlaskClient, path: str, hub: HubAddress) -> None:
        self._client = client
        self._hub = hub
        page = client.get(path)
        if page.status_code != 200:
            raise AssertionError(f"GET {path} answered {page.status}, not a page with comments.")
        self._endpoint, self._post = _find_section(page, path)
        self._enter()

    def _enter(self) -> None:
        room = self._ask("join", {})
        self.chatroom_id, self.is_closed = room["chatroom_id"], room["state"] != "open"
        self.is_private = room["is_private"]

    def write(self, content: str, *, name: str | None = None) -> Message:
        """Post a comment; return it as the hub has stored it.

        Args:
            name: Under which a guest takes part; not needed by who is signed in or has taken part before.

        Raises:
            InvocationError: The hub refuses; the message says why. It is a ``HubError``.
        """
        if name is not None or self.name is None:
            self._ask("take-part", {"name": name or ""})
        if self.is_private:
            # Whoever has left such a chatroom has to be let in again.
            self._enter()
        return self._hub.write(self.ticket, self.chatroom_id, content)

    def _ask(self, what: str, body: dict[str, object]) -> dict[str, Any]:
        body = {"post": self._post, "ticket": getattr(self, "ticket", None)} | body
        answer = self._client.post(f"{self._endpoint}/{what}", json=body)
        if answer.status_code != 200:
            raise AssertionError(f"POST {self._endpoint}/{what} answered {answer.status}: {answer.text.strip()}")
        found: dict[str, Any] = answer.get_json()
        if found.get("state") == "gone":
            raise ChatroomNotFoundError("There are no comments for this reader: they are deleted, or private.")
        visitor = found["visitor"]
        self.ticket, self.visitor_id, self.name = found["ticket"], visitor["id"], visitor["name"]
        self.is_signed_in, self.is_manager = visitor["is_signed_in"], visitor["is_manager"]
        return found


class _SectionFinder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sections: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "chatix-comments":
            self.sections.append(dict(attrs))


def _find_section(page: TestResponse, path: str) -> tuple[str, str]:
    """Return the path of our views, as the test client takes it, and the signed post of the first section."""
    finder = _SectionFinder()
    finder.feed(page.text)
    if not finder.sections:
        raise AssertionError(f"The page {path} has no comments: {{{{ chatix_comments(...) }}}} renders them.")
    section = finder.sections[0]
    return str(section["data-endpoint"]).removeprefix(page.request.root_path), str(section["data-post"])
