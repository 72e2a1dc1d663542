"""Sites that have other extensions beside ours: the real packages, and a REST API that needs no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_chatix_comments import ChatixComments
from flask_chatix_comments.state import EXTENSION_KEY
from tests.flask_support import SECRET, FakeApi

NewApp = Callable[..., Flask]


@pytest.fixture
def comments(fake_api: FakeApi) -> ChatixComments:
    """Our extension, registered with no app yet."""
    return ChatixComments(transport=fake_api.transport)


@pytest.fixture
def new_app(tmp_path: Path) -> Iterator[NewApp]:
    """Make apps without any extension; keyword arguments are settings."""
    apps: list[Flask] = []

    def make(name: str = "blog", **settings: Any) -> Flask:
        app = Flask(name, instance_path=str(tmp_path / name))
        app.config.update({"TESTING": True, "SECRET_KEY": SECRET} | settings)
        apps.append(app)
        return app

    yield make
    for app in apps:
        if EXTENSION_KEY in app.extensions:
            app.extensions[EXTENSION_KEY].close()
        db = app.extensions.get("sqlalchemy")
        if isinstance(db, SQLAlchemy):
            with app.app_context():
                for engine in db.engines.values():
                    engine.dispose()
