"""Comments in the page itself: there for those without a script, the same for all, and never more than all may read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import httpx
import pytest
from bs4 import BeautifulSoup, Tag
from flask import render_template_string
from jinja2 import DictLoader

from flask_chatix_comments import RoomState, Visitor
from flask_chatix_comments.templating import MAX_KEPT_OF_THREAD
from flask_chatix_comments.thread_cache import MAX_AGE_S
from tests.flask_support import Clock, Site

HUB = "https://hub.example/v1"
HOSTED = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}


@pytest.fixture
def make_blog(make_site: Callable[..., Site]) -> Callable[..., Site]:
    """Make sites with a chatroom for the post 7, and a page for it that waits however long it takes."""

    def make(source: str = "{{ chatix_comments(7) }}", **settings: Any) -> Site:
        site = make_site(**{"CHATIX_RENDER_WAIT": 5} | settings)
        site.state.registry.link("7", "room-7", title="", is_private=False, state=RoomState.OPEN)
        site.app.add_url_rule("/", "page", lambda: render_template_string(source))
        return site

    return make


@pytest.fixture
def blog(make_blog: Callable[..., Site]) -> Site:
    return make_blog()


def html(site: Site, **headers: str) -> str:
    answer = site.app.test_client().get("/", headers=headers)
    assert answer.status_code == 200
    assert not {"Set-Cookie", "Vary"} & set(answer.headers.keys())
    return answer.text


def section(site: Site, **headers: str) -> Tag:
    (element,) = BeautifulSoup(html(site, **headers), "html.parser").find_all("chatix-comments")
    return element


def texts(element: Tag) -> list[str]:
    return [tag.text for tag in element.select("article .chatix-text")]


def test_the_comments_are_there(blog: Site) -> None:
    blog.api.write("room-7", "One")
    blog.api.write("room-7", "Two", sender_flag=1, edited_at=1_767_225_700)
    element = section(blog)
    assert texts(element) == ["One", "Two"]
    assert element.select(".chatix-loading, .chatix-earlier, .chatix-empty") == []
    assert [article["id"] for article in element.select("article")] == [
        f"comment-{message['uuid']}" for message in blog.api.messages["room-7"]
    ]
    assert [link["href"] for link in element.select("a.chatix-permalink")] == [
        f"#{article['id']}" for article in element.select("article")
    ]
    assert str(element.select("time")[0]["datetime"]).startswith("2026-01-01T00:00:0")


def test_there_are_none_yet(blog: Site) -> None:
    assert [note.text for note in section(blog).select(".chatix-empty")] == [
        "No comments yet. Yours could be the first."
    ]


def test_closed_ones_invite_nobody(blog: Site) -> None:
    blog.state.registry.update("7", state=RoomState.CLOSED)
    assert [note.text for note in section(blog).select(".chatix-empty")] == ["There are no comments."]


def test_a_page_shows_as_many_as_the_script_and_says_that_there_are_more(make_blog: Callable[..., Site]) -> None:
    blog = make_blog(CHATIX_PAGE_SIZE=2)
    for number in range(5):
        blog.api.write("room-7", f"text {number}")
    element = section(blog)
    assert texts(element) == ["text 3", "text 4"]
    (form,) = element.select("form.chatix-earlier-form")
    assert form["method"] == "get"
    assert form["action"] == "/chatix-comments/thread"
    assert {field["name"]: field["value"] for field in form.select("input")} == {
        "post": element["data-post"],
        "before": blog.api.messages["room-7"][3]["uuid"],
    }


def test_all_readers_get_the_same_bytes(blog: Site) -> None:
    blog.api.write("room-7", "One")
    first = html(blog)
    assert html(blog, Cookie="chatix_guest=x; session=y", **{"Accept-Language": "de", "User-Agent": "x"}) == first


def test_what_changes_is_there_soon(blog: Site) -> None:
    clock = Clock(now=1000.0)
    blog.state.monotonic = clock
    first = blog.api.write("room-7", "One")
    assert texts(section(blog)) == ["One"]
    blog.api.write("room-7", "Two")
    blog.api.delete("room-7", first)
    clock.advance(MAX_AGE_S)
    assert texts(section(blog)) == ["Two"]


@pytest.mark.parametrize("source", ["{{ chatix_comments(7, private=True) }}", "{{ chatix_comments(7) }}"])
def test_private_posts_stay_empty(make_blog: Callable[..., Site], source: str) -> None:
    """Whether the page says so or the registry; the page may be older."""
    blog = make_blog(source)
    blog.api.write("room-7", "a secret")
    if "private" not in source:
        blog.state.registry.update("7", is_private=True)
    assert "a secret" not in html(blog)
    blog.state.background.join()
    assert blog.api.calls == []


def test_what_is_made_private_is_gone_at_once_in_this_process(blog: Site) -> None:
    blog.api.write("room-7", "a secret")
    assert "a secret" in html(blog)
    blog.state.registry.update("7", is_private=True)
    assert "a secret" not in html(blog)


def test_what_another_process_makes_private_is_gone_soon_whatever_age_is_set(make_blog: Callable[..., Site]) -> None:
    blog = make_blog(CHATIX_LOOKUP_AGE=3600)
    clock = Clock(now=1000.0)
    blog.state.monotonic = clock
    blog.api.write("room-7", "a secret")
    with blog.app.app_context():
        blog.comments.lookup(7)
    assert "a secret" in html(blog)
    blog.state.registry.on_change = lambda post_id: None
    blog.state.registry.update("7", is_private=True)
    clock.advance(MAX_AGE_S)
    assert "a secret" not in html(blog)


def test_signed_in_or_not_managers_too_all_get_the_same_bytes(blog: Site) -> None:
    blog.api.write("room-7", "One", sender_id="g-of-the-reader")
    readers: list[Visitor | None] = [
        None,
        Visitor(key=7, name="Jonas Petri"),
        Visitor(key="m", name="Marit Lund", is_manager=True),
    ]
    who: list[Visitor | None] = [None]
    blog.comments.visitor_loader(lambda: who[0])
    pages = set()
    for reader in readers:
        who[0] = reader
        pages.add(html(blog))
    blog.state.threads.forget("7")
    assert pages == {html(blog)}


def test_what_is_deleted_by_this_process_is_gone_at_once(blog: Site) -> None:
    message = blog.api.write("room-7", "One")
    blog.api.write("room-7", "Two")
    assert texts(section(blog)) == ["One", "Two"]
    blog.api.faults["/chatroom/find-message"] = lambda: httpx.Response(
        200, json={"chatroom_id": "room-7", "message": message}
    )
    blog.api.faults["/chatroom/delete-message"] = lambda: httpx.Response(200, json={"is_success": True})
    with blog.app.app_context():
        blog.comments.delete_message(message["uuid"])
    blog.api.delete("room-7", message)
    assert texts(section(blog)) == ["Two"]


@pytest.mark.parametrize("answer", [500, 404, httpx.ReadTimeout("slow"), httpx.Response(200, json={"items": [{}]})])
def test_without_an_answer_the_page_is_what_it_was_before(blog: Site, answer: Any) -> None:
    blog.api.fail("/chatroom/messages", answer)
    element = section(blog)
    assert len(element.select(".chatix-loading")) == 1
    assert element.select(".chatix-thread") == []


def test_rendering_twice_makes_it_once_and_what_is_kept_is_bounded(
    make_blog: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    blog = make_blog("{{ chatix_comments(7, title=request.args.t) }}")
    blog.api.write("room-7", "One")
    html(blog)
    renderer = blog.state.renderer
    run = mock.Mock(wraps=renderer._run)
    monkeypatch.setattr(renderer, "_run", run)
    html(blog)
    run.assert_not_called()
    client = blog.app.test_client()
    for number in range(3 * MAX_KEPT_OF_THREAD):
        assert "One" in client.get(f"/?t={number}").text
    thread = blog.state.threads.peek("7")
    assert thread is not None
    assert len(thread.kept) <= MAX_KEPT_OF_THREAD
    # The texts of comments are kept with their thread, and go with it.
    assert not any("One" in kept for kept in renderer._kept.values())


class TestFiles:
    def test_are_where_this_reader_finds_the_hub(self, blog: Site) -> None:
        told = f"{blog.state.api_url}/file/a/notes.txt"
        blog.api.write("room-7", "", type=5, file_url=told, file_name="notes.txt")
        for host in ("blog.example", "127.0.0.1"):
            (link,) = section(blog, Host=host).select(".chatix-file a")
            assert (link["href"], link.text) == (f"http://{host}:5001/v1/file/a/notes.txt", "notes.txt")

    def test_are_at_the_address_that_is_set(self, make_blog: Callable[..., Site]) -> None:
        blog = make_blog(CHATIX_HUB_URL=HUB, CHATIX_API_URL="http://10.0.0.1:5001/v1")
        for base in (HUB, "http://10.0.0.1:5001/v1"):
            blog.api.write("room-7", "", type=5, file_url=f"{base}/file/a/x.txt")
        assert [link["href"] for link in section(blog).select(".chatix-file a")] == [f"{HUB}/file/a/x.txt"] * 2


class TestTemplatesOfTheSite:
    def test_get_the_comments(self, blog: Site) -> None:
        blog.api.write("room-7", "<i>One</i>")
        own = "{% for comment in thread.comments %}<li>{{ comment.author }}: {{ comment.body }}</li>{% endfor %}"
        blog.app.jinja_loader = DictLoader({"chatix_comments/comments.html": own})
        assert html(blog).endswith("<li>Robin: &lt;i&gt;One&lt;/i&gt;</li>")

    def test_of_the_thread_alone_are_run_each_time(self, blog: Site) -> None:
        numbers = iter(range(2))
        blog.app.jinja_env.globals["number"] = lambda: next(numbers)
        blog.app.jinja_loader = DictLoader({"chatix_comments/thread.html": "<b>{{ number() }}</b>"})
        assert [section(blog).select("b")[0].text for _ in range(2)] == ["0", "1"]


class TestTheHostedService:
    """Its messages do not say who wrote them."""

    def test_names_are_asked_for_and_kept(self, make_blog: Callable[..., Site]) -> None:
        blog = make_blog(**HOSTED)
        for sender_id, more in (("one", {}), ("two", {}), ("one", {}), ("boss", {"sender_flag": 1})):
            blog.api.write("room-7", "text", sender_id=sender_id, sender_name=None, **more)
        blog.api.faults["/visitor/get"] = lambda: self._visitor(blog)
        for _ in range(2):
            authors = [tag.text for tag in section(blog).select(".chatix-author")]
            assert authors == ["Reader one", "Guest", "Reader one", "Guest"]
            blog.state.threads.forget("7")
        assert [query["visitorId"] for query in blog.api.queries("/visitor/get")] == ["one", "two"]

    @staticmethod
    def _visitor(blog: Site) -> httpx.Response:
        visitor_id = blog.api.calls[-1][1]["visitorId"]
        known = visitor_id == "one"
        return httpx.Response(200 if known else 404, json={"uuid": visitor_id, "name": f"Reader {visitor_id}"})

    def test_comments_without_names_are_better_than_none(self, make_blog: Callable[..., Site]) -> None:
        blog = make_blog(**HOSTED)
        for number in range(3):
            blog.api.write("room-7", "text", sender_id=f"sender-{number}", sender_name=None)
        blog.api.fail("/visitor/get", httpx.ConnectError("no answer"))
        assert len(section(blog).select("article")) == 3
        # GET is tried again; but nobody else is asked about.
        assert {query["visitorId"] for query in blog.api.queries("/visitor/get")} == {"sender-0"}
