"""pytest fixtures for the tests of a blog: the real hub, on a free port, with a database of its own.

Name this module in the blog's ``conftest.py``, and give the settings to its application factory::

    pytest_plugins = ["flask_chatix_comments.testing"]

    @pytest.fixture
    def app(chatix_hub):
        return create_app({"TESTING": True, "SECRET_KEY": "x" * 32, **chatix_hub.settings})
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .hub.server import HubThread

START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class HubForTests:
    """A hub that runs in a thread for as long as a test does.

    Attributes:
        settings: What an application needs to use this hub, for its ``app.config``.
        thread: To stop the hub in the middle of a test: ``thread.stop()``.
    """

    settings: dict[str, str]
    thread: HubThread

    @property
    def url(self) -> str:
        """Where the hub answers, up to and with ``/v1``."""
        return self.thread.url


@pytest.fixture
def chatix_hub(tmp_path: Path) -> Iterator[HubForTests]:
    """Run the hub for one test."""
    from .hub.config import HubConfig
    from .hub.server import HubThread

    ticket_key, api_key = secrets.token_hex(16), secrets.token_hex(16)
    config = HubConfig(
        website_id="tests",
        database_url=f"sqlite:///{tmp_path / 'chatix_hub.sqlite3'}",
        ticket_keys=(ticket_key.encode(),),
        api_keys=(api_key,),
    )
    thread = HubThread(config, host="127.0.0.1", port=0, lock_path=tmp_path / "chatix_hub.lock")
    thread.start()
    try:
        if not thread.wait_ready(START_TIMEOUT_S):
            pytest.fail(f"The hub did not start: {thread.error}")
        settings = {
            "CHATIX_HUB_URL": thread.url,
            "CHATIX_API_URL": thread.url,
            "CHATIX_HUB_WEBSITE_ID": config.website_id,
            "CHATIX_TICKET_KEY": ticket_key,
            "CHATIX_HUB_API_KEY": api_key,
            "CHATIX_DATABASE_URL": f"sqlite:///{tmp_path / 'chatix_comments.sqlite3'}",
        }
        yield HubForTests(settings=settings, thread=thread)
    finally:
        thread.stop()
