"""What pages cost: the macro on a post's page, also while the API is dead, a list of 50 posts, one look-up.

All figures are of one run, each variant in turn with the others, since the machine has its moods; and they are the
processor's time of this thread, so that it may have other things to do. Pages are rendered by Flask's test client: a
figure is what a worker does for a request.
"""

from __future__ import annotations

import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import httpx
import sqlalchemy as sa
from flask import Flask, render_template
from jinja2 import DictLoader
from report import Report

from flask_chatix_comments import ChatixComments, Post, RoomState
from flask_chatix_comments.database import chatrooms
from flask_chatix_comments.state import AppState, get_state
from flask_chatix_comments.tokens import PostClaim

ROUNDS = 30
POSTS = 50
LAYOUT = (
    "<!doctype html><title>{{ title }}</title><main><h1>{{ title }}</h1>{% for p in text %}<p>{{ p }}</p>{% endfor %}"
)
ROW = "<article><h2>{{ id }}</h2><p>{{ text[0] }}</p>{% if WHAT %}<span>Comments</span>{% endif %}</article>"
TEMPLATES = {
    "plain": LAYOUT + "</main>",
    "comments": LAYOUT + "{{ chatix_comments(post_id, title=title) }}</main>",
    "list": "{% for id in ids %}" + ROW.replace("WHAT", "id") + "{% endfor %}",
    "list_dict": "{% for id in ids %}" + ROW.replace("WHAT", "from_dict(id)") + "{% endfor %}",
    "list_sql": "{% for id in ids %}" + ROW.replace("WHAT", "by_sql(id)") + "{% endfor %}",
    "list_ours": "{{ chatix_prefetch(ids) }}{% for id in ids %}" + ROW.replace("WHAT", "find(id)") + "{% endfor %}",
}


class NoAnswer(httpx.BaseTransport):
    """An API of which nothing is heard any more."""

    calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        time.sleep(0.2)
        raise httpx.ReadTimeout("no answer", request=request)


def make_app(folder: str, transport: httpx.BaseTransport, **settings: Any) -> Flask:
    """Return a site with a post and a list of posts, of which half have chatrooms."""
    app = Flask(__name__, instance_path=folder)
    app.config.update({"SECRET_KEY": "f3c1" * 16, "CHATIX_HUB_URL": "http://hub.invalid/v1", **settings})
    ChatixComments(app, transport=transport)
    state = get_state(app)
    for number in range(0, POSTS, 2):
        state.registry.link(f"post-{number}", f"room-{number}", title="", is_private=False, state=RoomState.OPEN)
    app.jinja_loader = DictLoader({f"{name}.html": source for name, source in TEMPLATES.items()})
    rooms = {entry.post_id: entry for entry in state.registry.entries()}
    engine = state.registry.database.engine

    def by_sql(post_id: str) -> object:
        with engine.connect() as connection:
            return connection.execute(sa.select(chatrooms).where(chatrooms.c.post_id == post_id)).one_or_none()

    # Functions, all of them: what Jinja itself takes for a call depends on what kind of thing is called.
    def from_dict(post_id: str) -> object:
        return rooms.get(post_id)

    def find(post_id: str) -> object:
        return state.room_lookup.find(post_id)

    app.jinja_env.globals.update(from_dict=from_dict, by_sql=by_sql, find=find)
    ids = [f"post-{number}" for number in range(POSTS)]
    values = {"title": "Tides", "text": ["A paragraph of text."] * 20, "post_id": "post-0", "ids": ids}
    for name in TEMPLATES:
        app.add_url_rule(f"/{name}", name, lambda name=name: render_template(f"{name}.html", **values))
    return app


def in_turn(repeat: int, *deeds: Callable[[], object]) -> list[list[float]]:
    """Return the microseconds of the processor that each of *deeds* takes, round by round."""
    times: list[list[float]] = [[] for _ in deeds]
    for _ in range(ROUNDS):
        for deed, found in zip(deeds, times, strict=True):
            start = time.thread_time()
            for _ in range(repeat):
                deed()
            found.append((time.thread_time() - start) / repeat * 1e6)
    return times


def median_difference(ones: list[float], others: list[float]) -> float:
    return statistics.median(one - other for one, other in zip(ones, others, strict=True))


def ratio_of(ones: list[float], others: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ones, others, strict=True))


def measure_macro(report: Report, well: Flask, dead: Flask) -> None:
    client, dead_client = well.test_client(), dead.test_client()
    plain, comments, while_dead = in_turn(
        150, lambda: client.get("/plain"), lambda: client.get("/comments"), lambda: dead_client.get("/comments")
    )
    report.title("A post's page, warm")
    report.note("without the macro", statistics.median(plain), "µs")
    report.most("the macro", median_difference(comments, plain), "µs", 35)
    report.most("the page while the API is dead, of that while it lives", ratio_of(while_dead, comments), "x", 1.1)


def measure_dead_api(report: Report, dead: Flask, transport: NoAnswer) -> None:
    """The API takes 0.2 s for not answering; readers of 200 new posts come one after the other."""
    client, state = dead.test_client(), get_state(dead)
    tokens = [state.post_tokens.sign(PostClaim(f"new-{number}", "New", False)) for number in range(200)]
    times = []
    for token in tokens:
        start = time.perf_counter()
        client.post("/chatix-comments/join", json={"post": token})
        times.append(time.perf_counter() - start)
    report.title("200 readers of new posts, while the API is dead")
    report.most("the longest that a worker was held", max(times), "s", 1.2)
    report.note("the median", statistics.median(times) * 1e6, "µs")
    report.most("calls of the API", transport.calls, "", 30)


def measure_list(report: Report, app: Flask) -> None:
    client, state = app.test_client(), get_state(app)
    urls = ("/list", "/list_dict", "/list_ours", "/list_sql")
    plain, from_dict, ours, by_sql = in_turn(20, *(lambda url=url: client.get(url) for url in urls))
    report.title(f"A list of {POSTS} posts")
    report.note("without anything of each post", statistics.median(plain), "µs")
    report.note("one query for each post adds", median_difference(by_sql, plain), "µs")
    report.note("a dictionary adds", median_difference(from_dict, plain), "µs")
    report.note("chatix_prefetch and look-ups, warm, add", median_difference(ours, plain), "µs")
    report.most("the page, warm, of that with the dictionary", ratio_of(ours, from_dict), "x", 1.1)
    report.most("queries, cold", queries_of(state, lambda: client.get("/list_ours"), is_cold=True), "", 1)
    report.most("queries, warm", queries_of(state, lambda: client.get("/list_ours"), is_cold=False), "", 0)


def queries_of(state: AppState, deed: Callable[[], object], *, is_cold: bool) -> int:
    count = 0

    def listen(*rest: object) -> None:
        nonlocal count
        count += 1

    if is_cold:
        state.room_lookup._kept.clear()
    engine = state.registry.database.engine
    sa.event.listen(engine, "before_cursor_execute", listen)
    deed()
    sa.event.remove(engine, "before_cursor_execute", listen)
    return count


def measure_lookup(report: Report, app: Flask) -> None:
    state = get_state(app)
    known: dict[str, Any] = {"post-0": state.registry.find("post-0")}
    registry, find = state.registry, state.room_lookup.find
    from_dict, ours, by_registry = in_turn(
        200, lambda: known["post-0"], lambda: find("post-0"), lambda: registry.find("post-0")
    )
    report.title("One look-up")
    report.note("a dictionary", statistics.median(from_dict), "µs")
    report.most("ours, known", statistics.median(ours), "µs", 3)
    report.note("the registry", statistics.median(by_registry), "µs")


def measure(report: Report) -> None:
    logging.getLogger("flask_chatix_comments").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as well_folder, tempfile.TemporaryDirectory() as dead_folder:
        transport = NoAnswer()
        never_stale = {"CHATIX_LOOKUP_AGE": "3600"}
        well = make_app(well_folder, httpx.MockTransport(lambda request: httpx.Response(500)), **never_stale)
        dead = make_app(dead_folder, transport, CHATIX_CREATE="render", **never_stale)
        get_state(dead).room_maker.want(Post("rendered"))
        measure_dead_api(report, dead, transport)
        measure_macro(report, well, dead)
        measure_list(report, well)
        measure_lookup(report, well)
        for app in (well, dead):
            get_state(app).close()
