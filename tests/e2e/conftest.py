"""The example site as its users have it: `flask run` in a process of its own, real hub, real Chromium."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.e2e.documented_service import running_service
from tests.e2e.support import HOSTED_API_KEY, HOSTED_WEBSITE_ID, ROOT, Reader, Site

PLACE_OF_THE_SERVICE = "http://service.invalid/v1"


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
    """Our hub, standing in for the hosted service, as a server of its own; it does what is documented, no more."""
    with running_service(tmp_path) as service:
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


@pytest.fixture(scope="session")
def widget_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("widget")
    build = ["node", str(ROOT / "tests/interop/build.mjs"), str(folder), PLACE_OF_THE_SERVICE]
    subprocess.run(build, check=True, timeout=120)
    return (folder / "widget.js").read_text()


@pytest.fixture
def widget_source(widget_bundle: str, service: HubThread) -> str:
    """The script of a stand-in for the vendor's widget, which leads to the service."""
    return widget_bundle.replace(PLACE_OF_THE_SERVICE, service.url)
