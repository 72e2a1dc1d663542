"""A small blog with a private post, for the browser tests: who may read it stands in a file."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, redirect, render_template_string, session
from werkzeug.wrappers import Response

from flask_chatix_comments import ChatixComments, Visitor

DATA = Path(os.environ["DEMO_DATA"])
MEMBERS = DATA / "members.txt"
HEAD = '<!doctype html><html lang="en"><title>A blog</title><link rel="icon" href="data:,">'
PAGE = """{{ head | safe }}
<main><h1>A post</h1><p>{{ user or "nobody" }}</p>
{{ chatix_comments(slug, title="A post", private=slug == "inner") }}</main>"""

comments = ChatixComments()


@comments.visitor_loader
def signed_in() -> Visitor | None:
    user = session.get("user")
    return Visitor(key=user, name=user.title()) if user else None


@comments.access_loader
def may_read(visitor: Visitor | None, post_id: str) -> bool:
    members = MEMBERS.read_text().split() if MEMBERS.exists() else []
    return visitor is not None and visitor.key in members


def create_app() -> Flask:
    app = Flask(__name__, instance_path=str(DATA))
    app.config.update(SECRET_KEY="the secret of the private blog of the tests", SESSION_COOKIE_SAMESITE="Lax")
    app.config.update({name: value for name, value in os.environ.items() if name.startswith("CHATIX_")})
    if "CHATIX_API_KEY" not in app.config:
        app.config["CHATIX_HUB_PORT"] = os.environ["HUB_PORT"]
    comments.init_app(app)

    @app.get("/about/")
    def about() -> str:
        return HEAD

    @app.get("/posts/<slug>/")
    def post(slug: str) -> str:
        return render_template_string(PAGE, head=HEAD, slug=slug, user=session.get("user"))

    @app.get("/be/<user>/")
    def be(user: str) -> Response:
        session.clear()
        if user != "nobody":
            session["user"] = user
        return redirect("/about/")

    return app
