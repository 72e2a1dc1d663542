"""Whatever somebody calls a thing or writes: it is shown as text, and runs nowhere.

On pages without any Content Security Policy: nothing but our own code stands between the text and the reader.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask, redirect, render_template_string, session
from playwright.sync_api import BrowserContext, Dialog, Page, expect
from werkzeug.serving import ThreadedWSGIServer, make_server
from werkzeug.wrappers import Response

from flask_chatix_comments import ChatixComments, Visitor
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.errors import ApiStatusError
from flask_chatix_comments.models import MessageType
from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests
from tests.e2e.support import (
    HOSTED_WEBSITE_ID,
    Reader,
    articles,
    choose,
    comment,
    picture,
    reach_section,
    section,
    text_file,
    write,
)
from tests.flask_support import SECRET

pytestmark = [pytest.mark.interop, pytest.mark.browser]

CORPUS = (
    "<script>owned('script')</script>",
    "</script><script>owned('closed script')</script>",
    "</textarea></title></style><img src=x onerror=owned('image')>",
    "\"><svg onload=owned('svg')>",
    "' onmouseover='owned(1)' autofocus onfocus='owned(2)' x='",
    "javascript:owned('address')",
    "[a link](javascript:owned('markdown')) ![an image](https://unknown.invalid/markdown.png)",
    "https://unknown.invalid/\"onclick=\"owned('link')\"><script>owned('link')</script>",
    "data:text/html,<script>owned('data')</script>",
    "{{ owned('jinja') }} ${owned('template')} <%= owned('erb') %> #{owned('ruby')}",
    "{{constructor.constructor('owned(1)')()}} {% raw %} {%",
    "&lt;script&gt;owned()&lt;/script&gt; &amp;lt; &#x3c;img src=x onerror=owned('entity')&#x3e; &nbsp;",
    "\u202eevil\u202c \u2066left\u2069 zero\u200bwidth \ufeff\u00ad\u061c",
    "</style><style>* { display: none; background: url(https://unknown.invalid/style.png) }</style>",
    "<iframe srcdoc=\"<script>parent.owned('frame')</script>\"></iframe><base href=https://unknown.invalid/>",
    "<link rel=stylesheet href=https://unknown.invalid/link.css><meta http-equiv=refresh content=0>",
    "<chatix-comments data-endpoint=https://unknown.invalid data-post=x></chatix-comments>",
    "--> ]]> \\u003cscript\\u003eowned('escapes')\\u003c/script\\u003e `\"'",
)
TITLE = "</title></script><script>owned('title')</script>\"'><img src=x onerror=owned('title')>{{7*7}}"
NAME = "\"><img src=x onerror=owned('name')>'"
MANAGER = "</b><script>owned('manager')</script>"
FILE_NAME = "\"><img src=x onerror=owned('file')>.txt"
IMAGE_NAME = "' onerror='owned(1)' \"><svg onload=owned('picture')>.png"
ADDRESSES_REFUSED = (
    "javascript:owned('url')//.png",
    "data:text/html,<script>owned('url')</script>",
    "//unknown.invalid/x",
)

PAGE = """<!doctype html><html lang="en"><head><title>{{ title }}</title><link rel="icon" href="/icon.svg">
{% if widget %}
<script src="/widget.js" data-website="{{ widget.website }}" data-chatroom="{{ widget.chatroom }}"></script>
{% endif %}</head><body><h1>{{ title }}</h1>{{ chatix_comments(post_id, title=title) }}</body></html>"""
ICON = '<svg xmlns="http://www.w3.org/2000/svg"/>'

#: Elements and attributes that the section never has, and addresses that nobody should follow.
SUSPICIOUS = """() => {
  const found = [...document.querySelectorAll("chatix-comments *")];
  const attributes = found.flatMap((element) => [...element.attributes].map(({ name, value }) => [name, value]));
  return [
    ...found.map(({ localName }) => localName).filter((name) =>
      /^(script|style|link|iframe|svg|object|embed|base|meta|chatix-comments|title)$/.test(name)),
    ...attributes.filter(([name]) => /^(on|style$|srcdoc$)/.test(name)).map(String),
    ...attributes.filter(([name, value]) =>
      /^(href|src)$/.test(name) && !/^(https?:|#comment-)/.test(value)).map(String),
    ...(window.ran ?? []),
  ];
}"""


@dataclass
class Scene:
    """A blog of one post, the service behind it, and what went wrong in any page."""

    app: Flask
    api: ChatixApi
    widget: dict[str, str] | None
    url: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_hub(self) -> bool:
        return not get_state(self.app).config.is_hosted

    @property
    def room(self) -> str:
        (entry,) = get_state(self.app).registry.entries()
        assert entry.chatroom_id is not None
        return entry.chatroom_id

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script("window.owned = (what) => { (window.ran ??= []).push(what); }")
        known = {urlsplit(self.url).netloc, urlsplit(self.api.base_url).netloc}

        def note(url: str) -> None:
            parts = urlsplit(url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc not in known:
                self.problems.append(f"asked for {url}")

        context.on("request", lambda request: note(request.url))
        context.on("dialog", self._note_dialog)

    def _note_dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def check(self, page: Page) -> None:
        assert page.evaluate(SUSPICIOUS) == []
        assert self.problems == []


def make_app(settings: dict[str, str], folder: Path, *, widget: dict[str, str] | None, widget_source: str) -> Flask:
    app = Flask("hostile", instance_path=str(folder))
    app.config.update(settings | {"SECRET_KEY": SECRET, "TESTING": True})
    comments = ChatixComments()

    @comments.visitor_loader
    def signed_in_user() -> Visitor | None:
        return Visitor(key="boss", name=MANAGER, is_manager=True) if session.get("is_boss") else None

    comments.init_app(app)
    app.add_url_rule("/icon.svg", "icon", lambda: (ICON, {"Content-Type": "image/svg+xml"}))
    app.add_url_rule("/widget.js", "widget", lambda: (widget_source, {"Content-Type": "text/javascript"}))

    @app.get("/")
    def post() -> str:
        return render_template_string(PAGE, title=TITLE, post_id=TITLE, widget=widget)

    @app.get("/sign-in")
    def sign_in() -> Response:
        session["is_boss"] = True
        return redirect("/")

    return app


@pytest.fixture(params=["hub", "hosted", "widget"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    widget, widget_source = None, ""
    if request.param == "hub":
        hub: HubForTests = request.getfixturevalue("chatix_hub")
        settings, api = hub.settings, hub.api
    else:
        settings, api = request.getfixturevalue("hosted_settings"), request.getfixturevalue("service_api")
    if request.param == "widget":
        widget_source = request.getfixturevalue("widget_source")
        widget = {"website": HOSTED_WEBSITE_ID, "chatroom": api.create_chatroom(TITLE).chatroom_id}
        settings = settings | {"CHATIX_SDK": "widget"}
    app = make_app(settings, tmp_path / "instance", widget=widget, widget_source=widget_source)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    assert isinstance(server, ThreadedWSGIServer)
    # So that its end waits for the requests that are under way.
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Scene(app, api, widget, url=f"http://127.0.0.1:{server.port}/")
    server.shutdown()
    thread.join()
    server.server_close()
    get_state(app).close()


def texts(page: Page) -> str:
    return "\n".join(articles(page).locator(".chatix-text").evaluate_all("all => all.map((one) => one.textContent)"))


def post_by_rest(scene: Scene) -> tuple[int, list[str]]:
    """Post the corpus, each text by somebody of that name; return how many comments there are, and the names."""
    names: list[str] = []
    for number, text in enumerate(CORPUS):
        sender_id = f"sender-{number}"
        try:
            scene.api.update_visitor(sender_id, name=text[:80])
            names.append(text[:80].strip())
        except ApiStatusError:
            pass  # The service refuses such a name.
        scene.api.send_message(scene.room, sender_id=sender_id, content=text)
    for address in ADDRESSES_REFUSED:
        with pytest.raises(ApiStatusError):
            scene.api.send_message(scene.room, sender_id="sender-0", type=MessageType.FILE, file_url=address)
    odd = f"{scene.url}icon.svg?{CORPUS[2]}/{CORPUS[3]}"
    scene.api.send_message(scene.room, sender_id="sender-1", type=MessageType.FILE, file_url=odd)
    scene.api.send_message(
        scene.room,
        sender_id="sender-2",
        type=MessageType.IMAGE,
        original_url=odd,
        thumb_100_url=odd,
        thumb_300_url=odd,
    )
    return len(CORPUS) + 2, names


def test_hostile_text_is_text(scene: Scene, new_reader: Callable[..., Reader]) -> None:
    reader = new_reader()
    scene.watch(reader.context)
    page = reader.open(scene.url)
    reach_section(page)
    assert "Content-Security-Policy" not in scene.app.test_client().get("/").headers
    expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)

    # By hand: the reader's name, text, files.
    choose(page, text_file(FILE_NAME), picture(IMAGE_NAME, 30, 20))
    expect(section(page).get_by_role("listitem")).to_have_count(2)
    scene.check(page)
    by_hand = "\n".join(text for text in CORPUS)
    write(page, by_hand, name=NAME)
    expect(articles(page)).to_have_count(3)
    expect(articles(page).first).to_contain_text(NAME)
    scene.check(page)

    # By the service: names, texts, addresses of files, the chatroom's title.
    count, names = post_by_rest(scene)
    scene.api.update_chatroom(scene.room, title=TITLE)
    for _ in ("live", "from the history"):
        expect(articles(page)).to_have_count(3 + count)
        shown = texts(page)
        assert [text for text in CORPUS if text not in shown] == []
        authors = articles(page).locator(".chatix-author").evaluate_all("all => all.map((one) => one.textContent)")
        assert {name for name in names if not any(name in author for author in authors)} == set()
        scene.check(page)
        images = articles(page).locator("a.chatix-image")
        for number in range(images.count()):
            images.nth(number).click()
            expect(page.get_by_role("dialog")).to_be_visible()
            scene.check(page)
            page.keyboard.press("Escape")
        page.reload()
        reach_section(page)

    if scene.is_hub:
        check_changes(scene, page, new_reader())
    assert reader.problems == []

    # What all of this would look like if it were taken for HTML.
    page.evaluate("text => { document.querySelector('chatix-comments').innerHTML = text; }", CORPUS[2] + CORPUS[3])
    page.wait_for_function("() => window.ran?.length > 0")
    with pytest.raises(AssertionError):
        scene.check(page)


def check_changes(scene: Scene, page: Page, boss: Reader) -> None:
    """Edit, and whisper, as only our hub has it."""
    scene.watch(boss.context)
    boss_page = boss.open(f"{scene.url}sign-in")
    reach_section(boss_page)
    expect(section(boss_page)).to_contain_text(f"Commenting as {MANAGER}")
    whisper = "\n".join(CORPUS[:8])
    section(boss_page).get_by_role("checkbox", name="Whisper").check()
    section(boss_page).get_by_role("textbox", name="Write a whisper").fill(whisper)
    section(boss_page).get_by_role("button", name="Send whisper").click()
    expect(comment(boss_page, "Whisper, for managers only")).to_contain_text(CORPUS[3])
    scene.check(boss_page)

    mine = articles(page).first
    mine.get_by_role("button", name="Edit").click()
    mine.get_by_role("textbox").fill("\n".join(CORPUS[8:]))
    mine.get_by_role("button", name="Save").click()
    for one in (page, boss_page):
        expect(articles(one).first).to_contain_text("edited")
        expect(articles(one).first).to_contain_text(CORPUS[9])
        scene.check(one)
    labels = boss_page.evaluate("[...document.querySelectorAll('article [aria-label]')].map((it) => it.ariaLabel)")
    assert any("<script>owned('script')</script>" in label for label in labels)
    assert boss.problems == []
