"""Flask-Login tells who is reading, Flask-Caching keeps whole pages: both readers of one page are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask, Response
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user, logout_user
from jinja2 import DictLoader
from werkzeug.test import TestResponse

from flask_chatix_comments import ChatixComments
from tests.documents import FITTING_IN, README, block, run
from tests.fitting.conftest import NewApp

PAGES = {"post.html": "<!doctype html><h1>{{ slug }}</h1>{{ chatix_comments(slug, title=slug) }}"}


@dataclass
class User(UserMixin):  # type: ignore[misc] # it comes without types
    id: int
    name: str
    is_staff: bool


USERS = {7: User(7, "Ann", False), 8: User(8, "Bob", True)}


def add_users(app: Flask) -> None:
    """Give *app* Flask-Login, and views to sign in and out."""
    manager = LoginManager(app)
    manager.user_loader(lambda user_id: USERS.get(int(user_id)))

    @app.get("/sign-in/<int:user_id>")
    def sign_in(user_id: int) -> str:
        login_user(USERS[user_id])
        return "signed in"

    @app.get("/sign-out")
    def sign_out() -> str:
        logout_user()
        return "signed out"


def join(client: FlaskClient, page: TestResponse) -> dict[str, object]:
    """Do what the section's script does with the page."""
    (section,) = BeautifulSoup(page.text, "html.parser").select("chatix-comments")
    answer = client.post(f"{section['data-endpoint']}/join", json={"post": section["data-post"]})
    assert answer.status_code == 200
    visitor: dict[str, object] = answer.get_json()["visitor"]
    return visitor


@pytest.mark.parametrize(("path", "heading"), [(README, "Users"), (FITTING_IN, "Flask-Login")])
def test_the_documented_loader_tells_who_is_signed_in(
    new_app: NewApp, comments: ChatixComments, path: Path, heading: str
) -> None:
    app = new_app()
    add_users(app)
    comments.init_app(app)
    loader = run(block(heading, path), comments=comments)["signed_in_user"]
    assert comments._loaders.visitor is loader
    app.jinja_loader = DictLoader(PAGES)
    app.add_url_rule("/", "post", lambda: app.jinja_env.get_template("post.html").render(slug="hello"))
    client = app.test_client()
    page = client.get("/")
    assert [join(client, page)[key] for key in ("is_signed_in", "name")] == [False, None]
    client.get("/sign-in/7")
    ann = join(client, page)
    assert [ann[key] for key in ("is_signed_in", "name", "is_manager")] == [True, "Ann", False]
    client.get("/sign-in/8")
    bob = join(client, page)
    assert [bob[key] for key in ("is_signed_in", "name", "is_manager")] == [True, "Bob", True]
    assert ann["id"] != bob["id"]
    client.get("/sign-out")
    assert join(client, page)["is_signed_in"] is False
    client.get("/sign-in/7")
    assert join(client, page)["id"] == ann["id"]


class TestCachedPages:
    @pytest.fixture
    def site(self, new_app: NewApp, comments: ChatixComments) -> Flask:
        """The documented block, in a site with users; it counts how often a page is rendered."""
        app = new_app()
        add_users(app)
        comments.init_app(app)
        run(block("Flask-Login"), comments=comments)
        app.jinja_loader = DictLoader(PAGES | {"post.html": "{{ count() }}" + PAGES["post.html"]})
        app.config["RENDERED"] = 0

        def count() -> str:
            app.config["RENDERED"] += 1
            return ""

        app.jinja_env.globals["count"] = count
        run(block("Flask-Caching"), app=app)
        return app

    def test_are_right_for_every_reader(self, site: Flask) -> None:
        ann, guest = site.test_client(), site.test_client()
        ann.get("/sign-in/7")
        pages = [client.get("/posts/swifts/") for client in (ann, guest, ann)]
        assert site.config["RENDERED"] == 1
        assert len({page.data for page in pages}) == 1
        assert join(ann, pages[0])["name"] == "Ann"
        assert join(guest, pages[1])["is_signed_in"] is False
        assert "Ann" not in pages[0].text

    def test_of_two_posts_are_two(self, site: Flask) -> None:
        client = site.test_client()
        assert client.get("/posts/swifts/").data != client.get("/posts/knives/").data
        assert site.config["RENDERED"] == 2

    def test_bring_script_and_style_each_time(self, site: Flask) -> None:
        client = site.test_client()
        for _ in range(2):
            soup = BeautifulSoup(client.get("/posts/swifts/").data, "html.parser")
            assert len(soup.select("script[src]")) == 1
            # The second one is for those without JavaScript.
            styles = soup.select("link[rel=stylesheet]")
            assert [style.find_parent("noscript") is not None for style in styles] == [False, True]

    def test_of_a_guest_who_took_part_stay_the_same(self, site: Flask) -> None:
        client = site.test_client()
        page = client.get("/posts/swifts/")
        (section,) = BeautifulSoup(page.data, "html.parser").select("chatix-comments")
        taken = client.post(
            f"{section['data-endpoint']}/take-part", json={"post": section["data-post"], "name": "Robin"}
        )
        assert taken.status_code == 200
        assert client.get("/posts/swifts/").data == page.data
        assert join(client, page)["name"] == "Robin"

    def test_have_no_cookie_and_no_vary_of_ours(self, new_app: NewApp, comments: ChatixComments) -> None:
        app = new_app()
        comments.init_app(app)
        app.jinja_loader = DictLoader(PAGES)
        run(block("Flask-Caching"), app=app)
        client = app.test_client()
        for _ in range(2):
            headers = client.get("/posts/swifts/").headers
            assert sorted(headers.keys()) == ["Content-Length", "Content-Type"]

    def test_vary_with_users_exactly_as_the_sites_other_pages_do(self, site: Flask) -> None:
        site.add_url_rule("/plain", "plain", lambda: Response("no comments"))
        client = site.test_client()
        assert "chatix-comments" in client.get("/posts/swifts/").text
        expected = sorted(client.get("/plain").headers.keys())
        assert sorted(client.get("/posts/swifts/").headers.keys()) == expected
