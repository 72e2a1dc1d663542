"""All of these packages in one site, with the documented lines, the real hub and a real browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from flask_sqlalchemy import SQLAlchemy
from flask_talisman import DEFAULT_CSP_POLICY
from jinja2 import DictLoader
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests
from tests.documents import block, run
from tests.e2e.support import Reader, articles, choose, comment, expect_loaded, picture, reach_section, section, write
from tests.flask_support import SECRET

pytestmark = pytest.mark.browser

PAGE = """<!doctype html>
<html lang="en"><head><title>{{ slug }}</title><link rel="icon" href="/icon.svg"></head>
<body><h1>{{ slug }}</h1>{{ count() }}{{ chatix_comments(slug, title=slug) }}</body></html>"""
ICON = '<svg xmlns="http://www.w3.org/2000/svg"/>'


class User(UserMixin):  # type: ignore[misc] # it comes without types
    id = 7
    name = "Ann"
    is_staff = False


@pytest.fixture
def site(chatix_hub: HubForTests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The blocks of docs/fitting-in.md, one after the other."""
    settings = chatix_hub.settings | {
        "SECRET_KEY": SECRET,
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'site.sqlite3'}",
        "DEBUG": "true",  # So that Talisman does not ask for https.
    }
    del settings["CHATIX_DATABASE_URL"]
    for name, value in settings.items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    names = run(block("Flask-SQLAlchemy"))
    create_app: Callable[[], Flask] = names["create_app"]  # type: ignore[assignment] # it is what the block defines
    names["app"] = app = create_app()
    assert app.debug
    origin = urlsplit(chatix_hub.url).netloc
    for heading in ("Flask-Migrate", "Flask-WTF", "Flask-Talisman", "Flask-Login", "Flask-Caching"):
        code = block(heading).replace("https://chat.example.com", f"http://{origin}")
        names = run(code.replace("wss://chat.example.com", f"ws://{origin}"), **names)
    db = names["db"]
    assert isinstance(db, SQLAlchemy)
    add_pages(app)
    with app.app_context():
        db.create_all()
    yield app
    get_state(app).close()
    with app.app_context():
        db.engine.dispose()


def add_pages(app: Flask) -> None:
    manager = LoginManager(app)
    manager.user_loader(lambda user_id: User())
    app.jinja_loader = DictLoader({"post.html": PAGE})
    app.config["RENDERED"] = 0

    def count() -> str:
        app.config["RENDERED"] += 1
        return ""

    app.jinja_env.globals["count"] = count
    app.add_url_rule("/icon.svg", "icon", lambda: (ICON, {"Content-Type": "image/svg+xml"}))
    app.add_url_rule("/contact", "contact", lambda: "done", methods=["POST"])

    @app.get("/sign-in")
    def sign_in() -> str:
        login_user(User())
        return "<link rel=icon href=/icon.svg>signed in"


@pytest.fixture
def url(site: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, site, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_two_readers_of_a_cached_page_talk_under_a_strict_policy(
    site: Flask, url: str, chatix_hub: HubForTests, chromium: Browser, tmp_path: Path
) -> None:
    ann, guest = Reader(chromium.new_context()), Reader(chromium.new_context())
    ann.open(f"{url}/sign-in")
    page_ann, page_guest = (reader.open(f"{url}/posts/swifts/") for reader in (ann, guest))
    for page in (page_ann, page_guest):
        reach_section(page)
    assert site.config["RENDERED"] == 1
    expect(section(page_ann).get_by_role("textbox", name="Name")).to_have_count(0)
    write(page_ann, "They have gone", name=None)
    expect(comment(page_guest, "They have gone")).to_contain_text("Ann")
    choose(page_guest, picture("a swift.png", 600, 400))
    write(page_guest, "So early", name="Robin")
    expect(comment(page_ann, "So early")).to_contain_text("Robin")
    for page in (page_ann, page_guest):
        expect_loaded(articles(page).get_by_role("img", name="a swift.png"))
    page_guest.reload()
    reach_section(page_guest)
    expect(comment(page_guest, "So early")).to_contain_text("(you)")
    expect(section(page_guest).get_by_role("textbox", name="Name")).to_have_value("Robin")
    page_guest.screenshot(path=tmp_path / "guest.png", full_page=True)
    assert site.config["RENDERED"] == 1
    assert ann.problems == []
    assert guest.problems == []
    for reader in (ann, guest):
        reader.context.close()

    answer = site.test_client().get("/posts/swifts/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    origin = urlsplit(chatix_hub.url).netloc
    assert policy == DEFAULT_CSP_POLICY | {
        "connect-src": f"'self' http://{origin} ws://{origin}",
        "img-src": f"'self' http://{origin}",
    }
    assert "Set-Cookie" not in answer.headers
    assert site.test_client().post("/contact").status_code == 400
    with site.app_context():
        db = site.extensions["sqlalchemy"]
        assert [entry.post_id for entry in get_state(site).registry.entries()] == ["swifts"]
        assert db.session.execute(db.text("SELECT count(*) FROM chatix_chatrooms")).scalar_one() == 1
