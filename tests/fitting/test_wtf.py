"""Flask-WTF: our views are exempt from its token, and nothing else is."""

from __future__ import annotations

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from flask_chatix_comments import ChatixComments, views
from flask_chatix_comments.state import get_state
from flask_chatix_comments.tokens import PostClaim
from tests.documents import block, run
from tests.fitting.conftest import NewApp


@pytest.fixture(params=["theirs first", "ours first"])
def site(request: pytest.FixtureRequest, new_app: NewApp, comments: ChatixComments) -> Flask:
    """A site with the protection, and views of its own: one below our prefix, one in a blueprint."""
    app = new_app()
    if request.param == "ours first":
        comments.init_app(app)
    run(block("Flask-WTF"), app=app)
    if request.param == "theirs first":
        comments.init_app(app)
    blueprint = Blueprint("own", __name__)
    blueprint.add_url_rule("/own", "post", lambda: "done", methods=["POST"])
    app.register_blueprint(blueprint)
    for path in ("/contact", "/chatix-comments/contact"):
        app.add_url_rule(path, path.replace("/", "_"), lambda: "done", methods=["POST"])
    return app


def join(app: Flask, client: FlaskClient, **headers: str) -> TestResponse:
    token = get_state(app).post_tokens.sign(PostClaim("hello", "Hello", False))
    return client.post("/chatix-comments/join", json={"post": token}, headers=headers)


def test_our_views_need_no_token(site: Flask) -> None:
    client = site.test_client()
    answer = join(site, client)
    assert (answer.status_code, answer.get_json()["chatroom_id"]) == (200, "room-1")
    taken = client.post(
        "/chatix-comments/take-part",
        json={
            "post": get_state(site).post_tokens.sign(PostClaim("hello", "Hello", False)),
            "name": "Robin",
            "ticket": answer.get_json()["ticket"],
        },
    )
    assert (taken.status_code, taken.get_json()["visitor"]["name"]) == (200, "Robin")
    assert client.post("/chatix-comments/leave", json={"leaves": []}).status_code == 204


def test_the_form_for_those_without_a_script_needs_none_either(site: Flask) -> None:
    """It is in pages that caches keep for all; the request itself says where it comes from."""
    token = get_state(site).post_tokens.sign(PostClaim("hello", "Hello", False))
    form = {"post": token, "name": "Robin", "text": "A comment"}
    client = site.test_client()
    asked = client.post("/chatix-comments/post", data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert (asked.status_code, "did not come from a page of this site" in asked.text) == (200, True)
    posted = client.post("/chatix-comments/post", data=form, headers={"Sec-Fetch-Site": "same-origin"})
    assert posted.status_code == 303


def test_our_views_still_check_by_themselves(site: Flask) -> None:
    answer = join(site, site.test_client(), **{"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.get_json()["error"]) == (403, "other_origin")


@pytest.mark.parametrize("path", ["/contact", "/own", "/chatix-comments/contact"])
def test_views_of_the_site_stay_protected(site: Flask, path: str) -> None:
    client = site.test_client()
    assert client.post(path).status_code == 400
    join(site, client)
    assert client.post(path).status_code == 400


def test_nothing_else_is_exempted(site: Flask) -> None:
    csrf = site.extensions["csrf"]
    site.test_client().get("/")
    assert csrf._exempt_blueprints == {views.blueprint}
    assert csrf._exempt_views == set()


def test_one_protection_serves_several_apps(new_app: NewApp, comments: ChatixComments) -> None:
    csrf = CSRFProtect()
    one, two = new_app("one"), new_app("two")
    for app in (one, two):
        csrf.init_app(app)
        app.add_url_rule("/contact", "contact", lambda: "done", methods=["POST"])
    comments.init_app(one)
    assert join(one, one.test_client()).status_code == 200
    assert [app.test_client().post("/contact").status_code for app in (one, two)] == [400, 400]


def test_another_package_of_the_same_name_is_left_alone(new_app: NewApp, comments: ChatixComments) -> None:
    app = new_app()
    app.extensions["csrf"] = object()
    comments.init_app(app)
    assert join(app, app.test_client()).status_code == 200


def test_a_site_without_the_package_is_served_as_before(new_app: NewApp, comments: ChatixComments) -> None:
    app = new_app()
    comments.init_app(app)
    assert join(app, app.test_client()).status_code == 200
