"""Meeting the site's other extensions: whenever they come, once, and without keeping the app alive."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask, appcontext_pushed
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from flask_chatix_comments import ChatixComments, views
from tests.fitting.conftest import NewApp
from tests.flask_support import SECRET


@pytest.mark.parametrize("is_ours_first", [True, False])
def test_once_all_are_met_nothing_is_asked_any_more(
    new_app: NewApp, comments: ChatixComments, is_ours_first: bool
) -> None:
    app = new_app(SQLALCHEMY_DATABASE_URI="sqlite://")
    db, csrf = SQLAlchemy(), CSRFProtect()
    extensions = [db, csrf, comments]
    for extension in reversed(extensions) if is_ours_first else extensions:
        extension.init_app(app)
    assert is_asked(app) is is_ours_first
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: push(app), range(20)))
    assert not is_asked(app)
    assert "chatix_chatrooms" in db.metadata.tables
    assert csrf._exempt_blueprints == {views.blueprint}


def is_asked(app: Flask) -> bool:
    return any(appcontext_pushed.receivers_for(app))


def push(app: Flask) -> None:
    with app.app_context():
        pass


def test_one_that_comes_after_the_first_context_is_met_in_the_next(new_app: NewApp, comments: ChatixComments) -> None:
    app = new_app(SQLALCHEMY_DATABASE_URI="sqlite://")
    comments.init_app(app)
    push(app)
    db = SQLAlchemy(app)
    push(app)
    assert "chatix_chatrooms" in db.metadata.tables
    assert is_asked(app)  # Flask-WTF may still come.


def test_an_app_that_is_dropped_is_gone(tmp_path: Path) -> None:
    app = Flask("blog", instance_path=str(tmp_path))
    app.config.update(TESTING=True, SECRET_KEY=SECRET)
    comments = ChatixComments(app)
    push(app)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None
    assert comments is not None
