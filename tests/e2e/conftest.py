"""The example site as its users have it: `flask run` in a process of its own, real hub, real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import Reader, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A running example site with empty data."""
    site = Site(tmp_path / "data")
    site.start()
    yield site
    site.stop()


@pytest.fixture
def api(site: Site) -> Iterator[ChatixApi]:
    api = site.api()
    yield api
    api.close()


@pytest.fixture
def new_reader(chromium: Browser) -> Iterator[Callable[..., Reader]]:
    """Make readers: each has a browser profile of its own."""
    readers: list[Reader] = []

    def make(**options: Any) -> Reader:
        reader = Reader(chromium.new_context(**options))
        readers.append(reader)
        return reader

    yield make
    for reader in readers:
        reader.context.close()
