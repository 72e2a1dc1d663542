"""What pages cost: a post's page, with comments and while the API is dead, a list of 50 posts, one look-up.

All figures are of one run, each variant in turn with the others, since the machine has its moods; and they are the
processor's time of this thread, so that it may have other things to do. Pages are rendered by Flask's test client: a
figure is what a worker does for a request.
"""

from __future__ import annotations

import json
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
COUNT = "<article><h2>{{ id }}</h2><p>{{ text[0] }}</p><span>{{ WHAT }}</span></article>{% endfor %}"
TEMPLATES = {
    "plain": LAYOUT + "</main>",
    "comments": LAYOUT + "{{ chatix_comments(post_id, title=title) }}</main>",
    "list": "{% for id in ids %}" + ROW.replace("WHAT", "id") + "{% endfor %}",
    "list_dict": "{% for id in ids %}" + ROW.replace("WHAT", "from_dict(id)") + "{% endfor %}",
    "list_sql": "{% for id in ids %}" + ROW.replace("WHAT", "by_sql(id)") + "{% endfor %}",
    "with_comments": LAYOUT + "{{ chatix_comments('post-2', title=title) }}</main>",
    "list_counts": "{{ chatix_prefetch(ids) }}{% for id in ids %}" + COUNT.replace("WHAT", "chatix_comment_count(id)"),
    "list_dict_counts": "{% for id in ids %}" + COUNT.replace("WHAT", "count_from_dict(id)"),
    "list_ours": "{{ chatix_prefetch(ids) }}{% for id in ids %}" + ROW.replace("WHAT", "find(id)") + "{% endfor %}",
}


class NoAnswer(httpx.BaseTransport):
    """An API of which nothing is heard any more."""

    calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        time.sleep(0.2)
        raise httpx.ReadTimeout("no answer", request=request)


def answer(request: httpx.Request) -> httpx.Response:
    """Answer as an API with 50 comments for one post, and some for each."""
    path = request.url.path.removeprefix("/v1")
    if path == "/chatroom/counts":
        return httpx.Response(200, json={"counts": dict.fromkeys(json.loads(request.content)["chatroom_ids"], 7)})
    if path == "/chatroom/changes":
        return httpx.Response(200, json={"items": [], "cursor": "1", "has_more": False})
    if path != "/chatroom/messages" or request.url.params["chatroomId"] != "room-2":
        return httpx.Response(404)
    message = {"type": 0, "content": "What I think of it. " * 10, "sender_id": "somebody", "sender_name": "Robin"}
    items = [message | {"uuid": f"m{n}", "sent_at": 1_767_225_600 + n, "seq": n} for n in range(50)]
    return httpx.Response(200, json={"items": items, "cursor": "1", "has_more": False})


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
    counts = {post_id: "7 comments" for post_id in rooms}
    engine = state.registry.database.engine

    def by_sql(post_id: str) -> object:
        with engine.connect() as connection:
            return connection.execute(sa.select(chatrooms).where(chatrooms.c.post_id == post_id)).one_or_none()

    # Functions, all of them: what Jinja itself takes for a call depends on what kind of thing is called.
    def from_dict(post_id: str) -> object:
        return rooms.get(post_id)

    def count_from_dict(post_id: str) -> str:
        return counts.get(post_id, "")

    def find(post_id: str) -> object:
        return state.room_lookup.find(post_id)

    app.jinja_env.globals.update(from_dict=from_dict, count_from_dict=count_from_dict, by_sql=by_sql, find=find)
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


def measure_comments(report: Report, app: Flask) -> None:
    client, state = app.test_client(), get_state(app)
    client.get("/with_comments")
    state.background.join()
    assert client.get("/with_comments").text.count("<article") == 50
    plain, without, with_comments = in_turn(
        100, lambda: client.get("/plain"), lambda: client.get("/comments"), lambda: client.get("/with_comments")
    )
    report.title("A post's page with 50 comments, warm")
    report.note("without the macro", statistics.median(plain), "µs")
    report.note("without comments", statistics.median(without), "µs")
    report.note("the 50 comments add", median_difference(with_comments, without), "µs")
    report.most("the page, of that without the macro", ratio_of(with_comments, plain), "x", 1.5)
    report.note("making their HTML, once for each change", in_turn(1, lambda: made_anew(state, client))[0][0], "µs")


def made_anew(state: AppState, client: Any) -> None:
    thread = state.threads.peek("post-2")
    assert thread is not None
    thread.kept.clear()
    client.get("/with_comments")


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
    urls = ("/list", "/list_dict", "/list_ours", "/list_sql", "/list_counts", "/list_dict_counts")
    client.get("/list_counts")
    state.background.join()
    assert "7 comments" in client.get("/list_counts").text
    deeds = [lambda url=url: client.get(url) for url in urls]
    plain, from_dict, ours, by_sql, counts, dict_counts = in_turn(20, *deeds)
    report.title(f"A list of {POSTS} posts")
    report.note("without anything of each post", statistics.median(plain), "µs")
    report.note("one query for each post adds", median_difference(by_sql, plain), "µs")
    report.note("a dictionary adds", median_difference(from_dict, plain), "µs")
    report.note("chatix_prefetch and look-ups, warm, add", median_difference(ours, plain), "µs")
    report.most("the page, warm, of that with the dictionary", ratio_of(ours, from_dict), "x", 1.1)
    report.note("a dictionary of counts adds", median_difference(dict_counts, plain), "µs")
    report.note("chatix_prefetch and counts, warm, add", median_difference(counts, plain), "µs")
    report.most("the page with counts, warm, of that with such a dictionary", ratio_of(counts, dict_counts), "x", 1.1)
    report.most("queries, cold", queries_of(state, lambda: client.get("/list_ours"), is_cold=True), "", 1)
    report.most("queries, warm", queries_of(state, lambda: client.get("/list_ours"), is_cold=False), "", 0)


def queries_of(state: AppState, deed: Callable[[], object], *, is_cold: bool) -> int:
    count = 0

    def listen(*rest: object) -> None:
        nonlocal count
        count += 1

    if is_cold:
        state.room_lookup.clear()
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
        well = make_app(well_folder, httpx.MockTransport(answer), CHATIX_PAGE_SIZE="50", **never_stale)
        dead = make_app(dead_folder, transport, CHATIX_CREATE="render", **never_stale)
        get_state(dead).room_maker.want(Post("rendered"))
        measure_dead_api(report, dead, transport)
        measure_macro(report, well, dead)
        measure_comments(report, well)
        measure_list(report, well)
        measure_lookup(report, well)
        for app in (well, dead):
            get_state(app).close()
