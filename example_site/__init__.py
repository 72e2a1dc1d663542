"""Small Upkeep: a little blog, and the smallest real use of flask-chatix-comments.

Run it with ``flask --app example_site run``. Anybody may sign in as its author: it is not for the internet.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from flask_chatix_comments import ChatixComments, Post, Visitor

from . import demo
from .posts import ENTRIES

USERS = {
    "reader": Visitor(key="reader", name="Jonas Petri"),
    "author": Visitor(key="author", name="Marit Lund", email="marit@upkeep.example", is_manager=True),
}
blog = Blueprint("blog", __name__)
comments = ChatixComments()


@comments.visitor_loader
def signed_in_user() -> Visitor | None:
    return USERS.get(session.get("user", ""))


@comments.posts_loader
def posts() -> list[Post]:
    return [Post(entry.slug, entry.title) for entry in ENTRIES.values()]


@blog.get("/")
def index() -> str:
    return render_template("index.html", entries=ENTRIES.values())


@blog.get("/posts/<slug>/")
def post(slug: str) -> str:
    return render_template("post.html", entry=ENTRIES.get(slug) or abort(404))


@blog.get("/about/")
def about() -> str:
    return render_template("about.html")


@blog.route("/sign-in/", methods=["GET", "POST"])
def sign_in() -> str | BaseResponse:
    if request.method == "GET":
        return render_template("sign_in.html", users=USERS, user=signed_in_user())
    origin = request.headers.get("Origin", request.host_url).rstrip("/")
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin" or origin.split("//")[-1] != request.host:
        abort(403)  # A form on another site, which would sign its reader in here.
    session.clear()
    if request.form.get("user") in USERS:
        session["user"] = request.form["user"]
    return redirect(url_for("blog.sign_in"), code=303)


@blog.app_errorhandler(404)
def not_found(error: Exception) -> tuple[str, int]:
    return render_template("404.html"), 404


@blog.after_app_request
def forbid_foreign_content(response: Response) -> Response:
    """Everything comes from this site; only the comments also talk to their chat service, and show its images."""
    response.headers.update({"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"})
    chat = chat_origin()
    response.headers["Content-Security-Policy"] = (
        f"default-src 'self'; connect-src 'self' {chat} {chat.replace('http', 'ws', 1)}; img-src 'self' {chat};"
        " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return response


def chat_origin() -> str:
    """Return where the comments connect to: by default the hub's port of the host that the reader came by."""
    settings = current_app.config
    host = re.sub(r":\d+$", "", request.host)
    hub = settings.get("CHATIX_HUB_URL") or f"http://{host}:{settings['CHATIX_HUB_PORT']}"
    hosted = settings.get("CHATIX_API_URL") or "https://app1.chatix.io:5022"
    url = urlsplit(hosted if settings.get("CHATIX_API_KEY") else hub)
    return f"{url.scheme}://{url.netloc}"


def create_app() -> Flask:
    """Make the site; ``demo`` tells what it takes from the environment."""
    app = Flask(__name__, instance_path=str(demo.data_folder()))
    app.config.update(demo.settings(), SESSION_COOKIE_SAMESITE="Lax")
    app.register_blueprint(blog)
    with demo.one_line_errors():
        comments.init_app(app)
    demo.announce(app, comments, USERS.values())
    return app
