"""pytest fixtures for the tests of a blog: the real hub, on a free port, with a database of its own.

Name this module in the blog's ``conftest.py``, and give the settings to its application factory::

    pytest_plugins = ["flask_chatix_comments.testing"]

    @pytest.fixture
    def app(chatix_hub):
        return create_app({"TESTING": True, "SECRET_KEY": "x" * 32, **chatix_hub.settings})
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from flask import Flask, appcontext_pushed

from .models import GUEST_PREFIX, Message, PostIdLike, normalize_post_id
from .room_messages import thread
from .state import EXTENSION_KEY, AppState
from .testing_reader import HubAddress, Visit
from .tokens import VisitorTicket, VisitorTickets
from .visitors import TICKET_LIFETIME_S

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from .api import ChatixApi
    from .hub.server import HubThread

__all__ = ["HubForTests", "Visit", "chatix_hub", "running_hub"]

START_TIMEOUT_S = 20.0
_WEBSITE_ID = "tests"


@dataclass(frozen=True, slots=True)
class HubForTests:
    """A hub that runs in a thread for as long as a test does.

    Attributes:
        settings: What an application needs to use this hub, for its ``app.config``.
        thread: To stop the hub in the middle of a test: ``thread.stop()``.
        api: The client of its REST API.
    """

    settings: dict[str, str]
    thread: HubThread
    api: ChatixApi

    @property
    def url(self) -> str:
        """Where the hub answers, up to and with ``/v1``."""
        return self.thread.url

    def visit(self, client: FlaskClient, path: str) -> Visit:
        """Open a page of the site and go to its comments, as the section's script does.

        Args:
            client: Of an application that uses this hub; its cookies say who is signed in.
        """
        return Visit(client, path, self._address)

    def write(self, post_id: PostIdLike, content: str, *, name: str = "A reader") -> Message:
        """Comment on a post as a guest, past the site; return the comment as the hub has stored it.

        A post without a chatroom gets one, which the site then finds. The same name is the same guest.

        Raises:
            InvocationError: The hub refuses; the message says why. It is a ``HubError``.
        """
        post_id = normalize_post_id(post_id)
        room = self.api.find_chatroom_by_external_id(post_id) or self.api.create_chatroom(post_id, external_id=post_id)
        visitor_id = GUEST_PREFIX + hashlib.sha256(name.encode()).hexdigest()[:32]
        return self._address.write(self.sign_ticket(visitor_id, name=name), room.chatroom_id, content)

    def messages(self, post_id: PostIdLike) -> list[Message]:
        """Return all comments on a post, oldest first; none when it has no chatroom."""
        room = self.api.find_chatroom_by_external_id(normalize_post_id(post_id))
        return list(thread(self.api, room.chatroom_id)) if room is not None else []

    def sign_ticket(self, visitor_id: str, *, name: str | None = None, is_manager: bool = False) -> str:
        """Return a ticket that the hub accepts for twelve hours, for a client of your own: the SDK's ``visitorId``."""
        now = time.time()
        ticket = VisitorTicket(
            visitor_id, now, now + TICKET_LIFETIME_S, name=name, is_manager=is_manager, is_persistent=name is not None
        )
        key = self.settings["CHATIX_TICKET_KEY"].encode()
        return VisitorTickets((key,), website_id=_WEBSITE_ID).sign(ticket)

    @property
    def _address(self) -> HubAddress:
        return HubAddress(self.url, _WEBSITE_ID)


@contextlib.contextmanager
def running_hub(folder: Path) -> Iterator[HubForTests]:
    """Run a hub that keeps its data in *folder*, for a fixture of your own with another scope.

    What applications that used it have open is closed in the end, as far as it is ours.
    """
    try:
        from .api import ChatixApi
        from .hub.config import HubConfig, UploadConfig
        from .hub.rate_config import RateConfig
        from .hub.server import HubThread
    except ModuleNotFoundError as exc:
        pytest.fail(f"The hub needs {exc.name}. Run: pip install 'flask-chatix-comments[hub]'", pytrace=False)

    ticket_key, api_key = secrets.token_hex(16), secrets.token_hex(16)
    config = HubConfig(
        website_id=_WEBSITE_ID,
        database_url=f"sqlite:///{folder / 'chatix_hub.sqlite3'}",
        ticket_keys=(ticket_key.encode(),),
        api_keys=(api_key,),
        uploads=UploadConfig(folder=folder / "chatix_hub.files"),
        # A test may do in a moment what readers do in an hour.
        rates=RateConfig.same(1_000_000),
    )
    thread = HubThread(config, host="127.0.0.1", port=0, lock_path=folder / "chatix_hub.lock")
    thread.start()
    try:
        if not thread.wait_ready(START_TIMEOUT_S):
            pytest.fail(f"The hub did not start: {thread.error}")
        settings = {
            "CHATIX_HUB_URL": thread.url,
            "CHATIX_API_URL": thread.url,
            "CHATIX_HUB_WEBSITE_ID": _WEBSITE_ID,
            "CHATIX_TICKET_KEY": ticket_key,
            "CHATIX_HUB_API_KEY": api_key,
            "CHATIX_DATABASE_URL": f"sqlite:///{folder / 'chatix_comments.sqlite3'}",
        }
        api = ChatixApi(thread.url, website_id=_WEBSITE_ID, api_key=api_key)
        with contextlib.closing(api), _closing_applications(thread.url):
            yield HubForTests(settings, thread, api)
    finally:
        thread.stop()


@contextlib.contextmanager
def _closing_applications(hub_url: str) -> Iterator[None]:
    """In the end, close connections of the applications that have used the hub; left open, they warn when collected."""
    states: set[AppState] = set()

    def note(app: Flask, **_: object) -> None:
        state = app.extensions.get(EXTENSION_KEY)
        if state is not None and state.config.hub_url == hub_url:
            states.add(state)

    with appcontext_pushed.connected_to(note):
        yield
    for state in states:
        state.close()


@pytest.fixture
def chatix_hub(tmp_path: Path) -> Iterator[HubForTests]:
    """Run the hub for one test."""
    with running_hub(tmp_path) as hub:
        yield hub
