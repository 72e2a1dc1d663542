"""Comments that are on the page before any script runs, and what the script makes of them: nothing that moves."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask, render_template_string
from playwright.sync_api import Page, Request, Route, expect
from werkzeug.serving import ThreadedWSGIServer, make_server

from flask_chatix_comments import ChatixComments
from flask_chatix_comments.errors import ApiStatusError
from flask_chatix_comments.models import Message, MessageType
from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests
from flask_chatix_comments.tokens import PostClaim
from tests.e2e.support import Reader, articles, comment, reach_section, section, wait_until, write
from tests.e2e.test_hostile_text import CORPUS, ICON, SUSPICIOUS
from tests.flask_support import SECRET

pytestmark = [pytest.mark.interop, pytest.mark.browser]

PAGE = """<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width"><title>A post</title>
<link rel="icon" href="data:,">{{ chatix_assets() }}</head><body><h1>A post</h1>{{ chatix_comments("post") }}
<p id="below">What is below.</p></body></html>"""
JOIN = "**/chatix-comments/join"
#: What moves without having been asked to.
WATCH_SHIFTS = """window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput)
      window.shifts.push([entry.value, ...entry.sources.map(({ node }) => node?.className ?? node?.nodeName)]);
}).observe({ type: "layout-shift", buffered: true });"""


@dataclass
class Blog:
    """A blog of one post beside a hub."""

    app: Flask
    comments: ChatixComments
    hub: HubForTests
    url: str

    def write(self, text: str, name: str = "Robin") -> Message:
        return self.hub.write("post", text, name=name)

    @property
    def html(self) -> str:
        return self.app.test_client().get("/").text

    def wait_for(self, text: str) -> None:
        """Wait until it is in the page, without making what comes from memory look slow."""
        wait_until(lambda: text in self.html, f"{text!r} is in the page")


@pytest.fixture
def blog(chatix_hub: HubForTests, tmp_path: Path) -> Iterator[Blog]:
    app = Flask("rendered", instance_path=str(tmp_path / "instance"))
    app.config.update(chatix_hub.settings | {"SECRET_KEY": SECRET, "TESTING": True, "CHATIX_RENDER_WAIT": 5})
    comments = ChatixComments(app)
    app.add_url_rule("/", "post", lambda: render_template_string(PAGE))
    room = chatix_hub.api.create_chatroom("A post", external_id="post")
    with app.app_context():
        comments.link("post", room.chatroom_id)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    assert isinstance(server, ThreadedWSGIServer)
    # So that its end waits for the requests that are under way.
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Blog(app, comments, chatix_hub, f"http://127.0.0.1:{server.port}/")
    server.shutdown()
    thread.join()
    server.server_close()
    get_state(app).close()


def texts(page: Page) -> list[str]:
    found = articles(page).locator(".chatix-text").evaluate_all("all => all.map((one) => one.textContent)")
    return list(map(str, found))


def test_the_script_takes_over_what_is_there_and_nothing_moves(blog: Blog, new_reader: Callable[..., Reader]) -> None:
    messages = [blog.write(f"Comment {number}, with https://example.org/{number}") for number in range(12)]
    blog.wait_for("Comment 11")
    reader = new_reader(viewport={"width": 800, "height": 4000})
    reader.context.add_init_script(WATCH_SHIFTS)
    held: list[Route] = []
    reader.context.route(JOIN, lambda route: held.append(route))
    page = reader.open("about:blank")
    # The section is there, and does not know anything yet.
    with page.expect_request(JOIN):
        page.goto(blog.url)
    expect(articles(page)).to_have_count(12)
    page.evaluate("for (const it of document.querySelectorAll('article')) it.isFromTheSite = true")
    heights = "[...document.querySelectorAll('article')].map((it) => it.getBoundingClientRect().top)"
    before = page.evaluate(heights)
    for route in held:
        route.continue_()
    reach_section(page)
    expect(articles(page).first).to_contain_text("now")
    assert page.evaluate("[...document.querySelectorAll('article')].every((it) => it.isFromTheSite)")
    assert page.evaluate(heights) == before
    assert page.evaluate("window.shifts") == []
    ids = page.evaluate("[...document.querySelectorAll('article')].map((it) => it.id)")
    assert ids == [f"comment-{message.message_id}" for message in messages]

    # It lives.
    blog.write("A new one")
    expect(comment(page, "A new one")).to_be_visible()
    write(page, "Mine", name="Kim")
    expect(comment(page, "Mine")).to_contain_text("(you)")
    expect(articles(page)).to_have_count(14)
    assert reader.problems == []


@pytest.mark.parametrize(("width", "has_touch"), [(440, False), (800, False), (360, True)])
def test_nothing_moves_whatever_is_written(
    blog: Blog, new_reader: Callable[..., Reader], width: int, has_touch: bool
) -> None:
    """Tall comments, which the script folds; pictures and files; words that are longer than a line."""
    room = blog.write("Short").chatroom_id
    blog.write("Tall, with https://example.org/\n" * 60)
    blog.hub.api.send_message(room, sender_id="x", type=MessageType.FILE, file_url=f"{blog.url}notes.txt")
    picture = f"{blog.url}icon.svg"
    blog.hub.api.send_message(
        room, sender_id="x", type=MessageType.IMAGE, original_url=picture, thumb_100_url=picture, thumb_300_url=picture
    )
    blog.write("Long" * 900)
    blog.write("The last one")
    blog.wait_for("The last one")
    reader = new_reader(viewport={"width": width, "height": 6000}, has_touch=has_touch, is_mobile=has_touch)
    reader.context.add_init_script(WATCH_SHIFTS)
    reader.context.route("**/icon.svg", lambda route: route.fulfill(content_type="image/svg+xml", body=ICON))
    page = reader.open("about:blank")
    held: list[Route] = []
    reader.context.route(JOIN, lambda route: held.append(route))
    with page.expect_request(JOIN):
        page.goto(blog.url)
    expect(page.locator(".chatix-tall")).to_have_count(2)
    heights = "[...document.querySelectorAll('article, #below')].map((it) => it.getBoundingClientRect().top)"
    before = page.evaluate(heights)
    for route in held:
        route.continue_()
    reach_section(page)
    expect(page.get_by_role("button", name="Show more")).to_have_count(2)
    expect(page.get_by_role("textbox", name="Name")).to_be_visible()
    assert page.evaluate(heights) == pytest.approx(before, abs=0.1)
    assert page.evaluate("window.shifts") == []


def test_all_of_a_tall_comment_can_be_read_where_no_script_comes(blog: Blog, new_reader: Callable[..., Reader]) -> None:
    blog.write("Tall\n" * 60)
    blog.wait_for("Tall")
    height = "document.querySelector('.chatix-text').clientHeight"
    whole = new_reader(java_script_enabled=False).open(blog.url).evaluate(height)
    assert whole > 1200
    # Its first part comes, and the next does not; or not even the first.
    for name in ("section-*.js", "comments-*.js"):
        reader = new_reader()
        reader.context.route(f"**/{name}", lambda route: route.abort())
        page = reader.context.new_page()
        page.goto(blog.url)
        section(page).scroll_into_view_if_needed()
        page.wait_for_function(f"whole => {height} === whole", arg=whole)


def test_what_has_changed_since_the_page_was_made(blog: Blog, new_reader: Callable[..., Reader]) -> None:
    gone, edited, kept = (blog.write(text) for text in ("Gone", "As it was", "Kept"))
    blog.wait_for("Kept")
    reader = new_reader()
    held: list[Route] = []
    reader.context.route(JOIN, lambda route: held.append(route))
    page = reader.open("about:blank")
    with page.expect_request(JOIN):
        page.goto(blog.url)
        section(page).scroll_into_view_if_needed()
    blog.hub.api.delete_message(gone.chatroom_id, gone.message_id)
    blog.hub.api.update_message(edited.chatroom_id, edited.message_id, content="As it is")
    blog.write("New")
    assert texts(page) == ["Gone", "As it was", "Kept"]
    for route in held:
        route.continue_()
    reach_section(page)
    expect(articles(page).locator(".chatix-text")).to_have_text(["As it is", "Kept", "New"])
    expect(comment(page, "As it is")).to_contain_text("edited")
    assert reader.problems == []


def test_without_a_script_there_is_all_to_read(blog: Blog, new_reader: Callable[..., Reader]) -> None:
    """The whole corpus of hostile text, as text and as names."""
    room = blog.write("hello").chatroom_id
    for number, text in enumerate(CORPUS):
        with contextlib.suppress(ApiStatusError):  # Not every text can be a name.
            blog.hub.api.update_visitor(f"sender-{number}", name=text[:80])
        blog.hub.api.send_message(room, sender_id=f"sender-{number}", content=text)
    odd = f"{blog.url}icon.svg?{CORPUS[2]}/{CORPUS[3]}"
    blog.hub.api.send_message(room, sender_id="x", type=MessageType.FILE, file_url=odd)
    blog.wait_for(quote("icon.svg"))
    token = get_state(blog.app).post_tokens.sign(PostClaim("post", CORPUS[1], False))
    view = f"{blog.url}chatix-comments/thread?post={token}&back={quote('/?' + CORPUS[3])}"
    asked: list[Request] = []
    for has_script in (False, True):
        reader = new_reader(java_script_enabled=has_script)
        reader.context.on("request", lambda request: asked.append(request))
        if has_script:
            # The scripts of the page do not come: what is there is the site's alone.
            reader.context.add_init_script("window.owned = (what) => { (window.ran ??= []).push(what); }")
            reader.context.route("**/*.js", lambda route: route.abort())
        page = reader.context.new_page()
        for url in (blog.url, view):
            page.goto(url)
            assert texts(page)[1:-1] == list(CORPUS)
            assert page.evaluate(SUSPICIOUS) == []
        assert [request.url for request in asked if "unknown.invalid" in request.url] == []


def test_a_permalink_leads_to_its_comment(blog: Blog, new_reader: Callable[..., Reader]) -> None:
    messages = [blog.write(f"Comment {number}\n" + "text\n" * 20) for number in range(6)]
    blog.wait_for("Comment 5")
    page = new_reader(java_script_enabled=False).open(f"{blog.url}#comment-{messages[4].message_id}")
    expect(comment(page, "Comment 4")).to_be_in_viewport()
    articles(page).nth(1).locator("a.chatix-permalink").click()
    assert page.url.endswith(f"#comment-{messages[1].message_id}")
    expect(comment(page, "Comment 1")).to_be_in_viewport()


class TestPostingWithoutAScript:
    """The real form, in a browser that runs nothing, through the real hub."""

    @staticmethod
    def write(page: Page, text: str, name: str) -> None:
        form = page.locator("form.chatix-plain-form")
        form.get_by_role("textbox", name="Name").fill(name)
        form.get_by_role("textbox", name="Write a comment").fill(text)
        form.get_by_role("button", name="Post comment").click()

    def test_a_comment_is_read_by_all(self, blog: Blog, new_reader: Callable[..., Reader]) -> None:
        live = new_reader().open(blog.url)
        reach_section(live)
        reader = new_reader(java_script_enabled=False)
        page = reader.open(blog.url)
        text = "\n".join(CORPUS)
        self.write(page, text, "Kim & Co")
        expect(page).to_have_url(re.compile(r"/chatix-comments/thread\?post=.*&back=%2F#comment-"))
        assert texts(page) == [text]
        expect(articles(page).locator(".chatix-author")).to_have_text("Kim & Co")
        assert page.evaluate(SUSPICIOUS) == []
        expect(comment(live, CORPUS[0])).to_be_visible()
        # Under the same name, and on: the name is remembered, the page leads back.
        expect(page.get_by_role("textbox", name="Name")).to_have_value("Kim & Co")
        self.write(page, "Another one", "Kim & Co")
        expect(articles(page)).to_have_count(2)
        page.get_by_role("link", name="Back to the post").click()
        expect(page).to_have_url(blog.url)
        assert texts(page) == [text, "Another one"]
        assert len({message.sender_id for message in blog.hub.messages("post")}) == 1

    def test_a_page_of_another_site_makes_the_reader_be_asked(
        self, blog: Blog, new_reader: Callable[..., Reader]
    ) -> None:
        page = new_reader(java_script_enabled=False).open("about:blank")
        token = get_state(blog.app).post_tokens.sign(PostClaim("post", "A post", False))
        form = f"""<form method=post action="{blog.url}chatix-comments/post"><input name=post value="{token}">
            <input name=name value=Robin><textarea name=text>Buy things</textarea><button>Win</button></form>"""
        page.context.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body=form))
        page.goto("http://evil.test/")
        page.get_by_role("button", name="Win").click()
        expect(page.get_by_role("alert")).to_contain_text("did not come from a page of this site")
        assert blog.hub.messages("post") == []
        expect(page.get_by_role("textbox", name="Write a comment")).to_have_value("Buy things")
        page.get_by_role("button", name="Post comment").click()
        expect(articles(page).locator(".chatix-text")).to_have_text("Buy things")

    def test_while_the_hub_is_down_the_text_comes_back(self, blog: Blog, new_reader: Callable[..., Reader]) -> None:
        blog.wait_for("No comments yet")
        page = new_reader(java_script_enabled=False).open(blog.url)
        blog.hub.thread.stop()
        self.write(page, "\nWhat I <i>wrote</i>", "Robin")
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
        expect(page.get_by_role("textbox", name="Write a comment")).to_have_value("\nWhat I <i>wrote</i>")
        expect(page.get_by_role("textbox", name="Name")).to_have_value("Robin")
