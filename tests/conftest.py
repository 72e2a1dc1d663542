"""Fixtures of the Flask side: an application in ``TESTING``, with a REST API that needs no network."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from flask_chatix_comments import ChatixComments, testing
from tests.databases import DatabaseServers
from tests.flask_support import SECRET, Clock, FakeApi, Site

chatix_hub = testing.chatix_hub


@pytest.fixture(scope="session")
def database_servers() -> Iterator[DatabaseServers]:
    """PostgreSQL and MariaDB, which start when the first test asks for one of them."""
    servers = DatabaseServers()
    yield servers
    servers.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake_api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def make_site(tmp_path: Path, clock: Clock, fake_api: FakeApi) -> Iterator[Callable[..., Site]]:
    """Make sites; keyword arguments are settings, ``None`` takes one out."""
    sites: list[Site] = []

    def make(*, debug: bool = False, extension: ChatixComments | None = None, **settings: Any) -> Site:
        folder = tmp_path / f"site-{len(sites) + 1}"
        app = Flask(f"site_{len(sites) + 1}", instance_path=str(folder))
        app.debug = debug
        app.config.update({"TESTING": True, "SECRET_KEY": SECRET} | settings)
        comments = extension or ChatixComments(clock=clock, transport=fake_api.transport)
        comments.init_app(app)
        sites.append(Site(app, comments, fake_api))
        return sites[-1]

    yield make
    for site in sites:
        site.state.close()


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()


@pytest.fixture
def app(site: Site) -> Flask:
    return site.app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the lengths of the texts that are brought into a normal form of Unicode."""
    lengths: list[int] = []
    normalize = unicodedata.normalize

    def noted(form: Any, text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", noted)
    return lengths
