"""The example site as its users have it: `flask run` in a process of its own, real hub, real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.e2e.support import HOSTED_API_KEY, HOSTED_WEBSITE_ID, Reader, Site, running_hub


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
def service(tmp_path: Path) -> Iterator[HubThread]:
    """Our hub, standing in for the hosted service, as a server of its own."""
    with running_hub(tmp_path, website_id=HOSTED_WEBSITE_ID, api_key=HOSTED_API_KEY) as service:
        yield service


@pytest.fixture
def hosted_settings(service: HubThread) -> dict[str, str]:
    return {
        "CHATIX_WEBSITE_ID": HOSTED_WEBSITE_ID,
        "CHATIX_API_KEY": HOSTED_API_KEY,
        "CHATIX_API_URL": service.url,
    }


@pytest.fixture
def hosted_site(tmp_path: Path, hosted_settings: dict[str, str]) -> Iterator[Site]:
    """A running example site that uses the hosted service."""
    site = Site(tmp_path / "data", settings=hosted_settings)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def service_api(service: HubThread) -> Iterator[ChatixApi]:
    api = ChatixApi(service.url, website_id=HOSTED_WEBSITE_ID, api_key=HOSTED_API_KEY)
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
