"""What the macro costs: the same page with and without it, warm, in turn.

Run by ``make bench``. Figures are microseconds per page; the page is rendered by Flask's test client,
so that it is what a worker does for a request.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable

from flask import Flask, render_template
from jinja2 import DictLoader

from flask_chatix_comments import ChatixComments

ROUNDS = 40
PAGES_PER_ROUND = 250
LAYOUT = (
    "<!doctype html><title>{{ title }}</title><main><h1>{{ title }}</h1>{% for p in text %}<p>{{ p }}</p>{% endfor %}"
)
PLAIN = LAYOUT + "</main>"
WITH_COMMENTS = LAYOUT + "{{ chatix_comments(post_id, title=title) }}</main>"


def make_app(instance_path: str) -> Flask:
    app = Flask(__name__, instance_path=instance_path)
    app.config["SECRET_KEY"] = "f3c1" * 16
    ChatixComments(app)
    app.jinja_loader = DictLoader({"plain.html": PLAIN, "comments.html": WITH_COMMENTS})
    values = {"title": "Tides", "text": ["A paragraph of text."] * 20, "post_id": "tides"}
    app.add_url_rule("/plain", "plain", lambda: render_template("plain.html", **values))
    app.add_url_rule("/comments", "comments", lambda: render_template("comments.html", **values))
    return app


def seconds_per_page(get: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(PAGES_PER_ROUND):
        get()
    return (time.perf_counter() - start) / PAGES_PER_ROUND


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = make_app(folder).test_client()
        plain: list[float] = []
        comments: list[float] = []
        for _ in range(ROUNDS):
            plain.append(seconds_per_page(lambda: client.get("/plain")))
            comments.append(seconds_per_page(lambda: client.get("/comments")))
    difference = statistics.median(with_it - without for with_it, without in zip(comments, plain, strict=True))
    print(f"page without the macro   {statistics.median(plain) * 1e6:8.1f} µs")
    print(f"page with the macro      {statistics.median(comments) * 1e6:8.1f} µs")
    print(f"the macro (paired)       {difference * 1e6:8.1f} µs")


if __name__ == "__main__":
    main()
