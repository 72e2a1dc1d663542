"""A small blog in the clothes of others: style sheets and navigation that a site may have, for the browser tests."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, redirect, render_template_string, request, send_from_directory, session
from werkzeug.wrappers import Response

from flask_chatix_comments import ChatixComments, Visitor

DATA = Path(os.environ["DEMO_DATA"])
PACKAGES = Path(__file__).parents[2] / "node_modules"
STYLES = {
    "none": [],
    "water": ["water.css/out/water.css"],
    "pico": ["@picocss/pico/css/pico.classless.css"],
    "bootstrap": ["bootstrap/dist/css/bootstrap.css"],
    "tailwind": ["tailwindcss/preflight.css"],
}
#: What Turbo is told to do when a page is visited again.
HEADS = {"turbo": '<meta name="turbo-refresh-method" content="morph">'}
SCRIPTS = {
    "htmx": "htmx.org/dist/htmx.js",
    "htmx4": "htmx4/dist/htmx.js",
    "turbo": "@hotwired/turbo/dist/turbo.es2017-umd.js",
}
#: The site's own sheets come last: what counts as much as ours then counts more. A page that paints no background is
#: a white one to axe, also in the dark.
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ slug }}</title><link rel="icon" href="data:,"><style>html { background: Canvas }</style>
{{ chatix_assets() if assets }}
{% for sheet in sheets %}<link rel="stylesheet" href="/packages/{{ sheet }}">{% endfor %}
{% if script %}<script src="/packages/{{ script }}"></script>{% endif %}
{{ head | safe }}
</head>
<body>{{ body | safe }}</body></html>"""
POST_FRAGMENT = "{{ chatix_comments(slug, title=slug) }}"
POST = """<main><h1>{{ slug }}</h1><p>Swifts have gone.</p>
<div id="comments">{{ chatix_comments(slug, title=slug) }}</div></main>"""
LINKS = """<nav{% if "htmx" in script %} hx-boost="true" hx-boost:inherited="true"{% endif %}>
<a href="/{{ script }}/posts/first/">First</a> <a href="/{{ script }}/posts/second/">Second</a>
<a href="/{{ script }}/bare/">Bare</a></nav>"""
BARE = """<main><h1>Bare</h1><div id="comments"></div>
<button hx-get="/fragments/swapped/" hx-target="#comments">Show</button>
<button hx-get="/fragments/nothing/" hx-target="#comments">Hide</button>
<turbo-frame id="frame"><a href="/fragments/swapped/?as=frame">Frame</a></turbo-frame>
<form action="/fragments/swapped/?as=stream" method="post"><button>Stream</button></form>
<a href="/about/">About</a></main>"""
FRAGMENTS = {
    None: POST_FRAGMENT,
    "frame": f'<turbo-frame id="frame">{POST_FRAGMENT}</turbo-frame>',
    "stream": '<turbo-stream action="update" target="comments"><template>'
    + POST_FRAGMENT
    + "</template></turbo-stream>",
}

comments = ChatixComments()


@comments.visitor_loader
def signed_in() -> Visitor | None:
    user = session.get("user")
    return Visitor(key=user, name=user.title(), is_manager=user == "marit") if user else None


def page(body: str, *, slug: str = "", script: str = "", head: str = "", assets: bool = True) -> str:
    """Render *body* in a page, in the style that the request names."""
    return render_template_string(
        PAGE,
        slug=slug,
        body=render_template_string(body, slug=slug, script=script),
        head=head,
        assets=assets,
        script=SCRIPTS[script] if script else None,
        sheets=STYLES[request.args.get("style", "none")],
    )


def create_app() -> Flask:
    app = Flask(__name__, instance_path=str(DATA))
    app.config.update(SECRET_KEY="the secret of the fitted blog of the tests", SESSION_COOKIE_SAMESITE="Lax")
    app.config["CHATIX_HUB_PORT"] = os.environ["HUB_PORT"]
    comments.init_app(app)

    @app.get("/about/")
    def about() -> str:
        return page("<p>About.</p>")

    @app.get("/posts/<slug>/")
    def post(slug: str) -> str:
        return page(POST, slug=slug)

    @app.get("/<script>/posts/<slug>/")
    def post_by(script: str, slug: str) -> str:
        return page(LINKS + POST, slug=slug, script=script, head=HEADS.get(script, ""))

    @app.get("/<script>/bare/")
    def bare(script: str) -> str:
        return page(LINKS + BARE, script=script, assets=False)

    @app.route("/fragments/<slug>/", methods=["GET", "POST"])
    def fragment(slug: str) -> Response:
        kind = request.args.get("as")
        body = "" if slug == "nothing" else render_template_string(FRAGMENTS[kind], slug=slug)
        return Response(body, mimetype="text/vnd.turbo-stream.html" if kind == "stream" else "text/html")

    @app.get("/packages/<path:name>")
    def package(name: str) -> Response:
        return send_from_directory(PACKAGES, name)

    @app.get("/be/<user>/")
    def be(user: str) -> Response:
        session.clear()
        if user != "nobody":
            session["user"] = user
        return redirect("/about/")

    return app
