"""What stands in a page: parsed, and the same for every reader."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask, render_template, render_template_string
from jinja2 import DictLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from flask_chatix_comments import PostError, RegistryError, RoomState, templating
from flask_chatix_comments.bundle import Manifest
from flask_chatix_comments.models import Visitor
from flask_chatix_comments.tokens import PostClaim
from tests.flask_support import Site, queries

MACROS = '{% from "chatix_comments/macros.html" import comments, prefetch, comment_count, assets %}'
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
    "🧵 \u202e evil \u2028 line",
    "a\0b\ud800c",
    "x" * 10_000,
]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    folder.mkdir()
    names = {
        "comments.js": "comments-AAAA1111.js",
        "comments.css": "comments-BBBB2222.css",
        "section.css": "section-CCCC3333.css",
        "more.css": "more-DDDD4444.css",
    }
    (folder / "manifest.json").write_text(json.dumps(names))
    return folder


@pytest.fixture
def page(make_site: Callable[..., Site], bundle: Path) -> Page:
    return Page(make_site(), bundle)


class Page:
    """Renders templates as a page of the site, and reads what came out."""

    def __init__(self, site: Site, bundle: Path) -> None:
        self.site = site
        site.state.renderer.manifest = Manifest(bundle)
        site.app.add_url_rule("/page", "page", self._render)
        self.source = ""
        self.values: dict[str, Any] = {}

    def _render(self) -> str:
        return render_template_string(self.source, **self.values)

    def html(self, source: str, *, root: str = "", **values: Any) -> str:
        self.source, self.values = source, values
        environ = {"SCRIPT_NAME": root}
        answer = self.site.app.test_client().get("/page", environ_overrides=environ)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Vary" not in answer.headers
        return answer.text

    def soup(self, source: str, **values: Any) -> BeautifulSoup:
        return BeautifulSoup(self.html(source, **values), "html.parser")

    def section(self, source: str, **values: Any) -> Tag:
        (element,) = self.soup(source, **values).find_all("chatix-comments")
        return element

    def claim(self, element: Tag) -> PostClaim:
        return self.site.state.post_tokens.check(str(element["data-post"]))


class TestSection:
    @pytest.mark.parametrize(
        "source",
        ["{{ chatix_comments(7, title='A post') }}", MACROS + "{{ comments(7, title='A post') }}"],
        ids=["global", "macro"],
    )
    def test_it_says_which_post_and_where_the_views_are(self, page: Page, source: str) -> None:
        element = page.section(source)
        assert page.claim(element) == PostClaim("7", "A post", is_private=False)
        assert (element["data-endpoint"], element["class"]) == ("/chatix-comments", ["chatix-comments"])
        assert set(element.attrs) == {"class", "data-post", "data-endpoint"}
        region = element.find("section")
        assert isinstance(region, Tag)
        assert region["aria-label"] == "Comments"
        assert [heading.text for heading in region.find_all("h2")] == ["Comments"]
        (link, form) = region.select("noscript a, noscript form")
        token = element["data-post"]
        assert link["href"] == f"/chatix-comments/thread?post={token}"
        assert (form["method"], form["action"]) == ("post", "/chatix-comments/post")
        assert [field["value"] for field in form.select("[name=post]")] == [token]

    @pytest.mark.parametrize(("options", "title"), [("", "hello"), (", title=''", "hello"), (", 'Hello'", "Hello")])
    def test_without_a_title_the_id_is_the_chatrooms(self, page: Page, options: str, title: str) -> None:
        assert page.claim(page.section("{{ chatix_comments('hello'" + options + ") }}")).title == title

    @pytest.mark.parametrize("name", ["chatix_comments", "comments"])
    def test_options(self, page: Page, name: str) -> None:
        source = MACROS + "{{ " + name + "('x', private=True, closed=True, heading=False) }}"
        element = page.section(source)
        assert page.claim(element).is_private
        assert element["data-closed"] == ""
        assert element.find("h2") is None

    def test_a_heading_of_ones_own_is_text(self, page: Page) -> None:
        element = page.section("{{ chatix_comments('x', heading=h) }}", h="<i>Talk</i>")
        assert [heading.text for heading in element.find_all("h2")] == ["<i>Talk</i>"]

    def test_markup_is_not_mistaken_for_text_that_was_shown_before(self, page: Page) -> None:
        source = "{{ chatix_comments('x', heading=h) }}"
        for heading, texts in (("<i>x</i>", ["<i>x</i>"]), (Markup("<i>x</i>"), ["x"]), ("<i>x</i>", ["<i>x</i>"])):
            assert [tag.text for tag in page.section(source, h=heading).find_all("h2")] == texts

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_titles_stay_in_the_token(self, page: Page, text: str) -> None:
        plain = page.section("{{ chatix_comments('x', title='t') }}")
        element = page.section("{{ chatix_comments('x', title=t) }}", t=text)
        claim = page.claim(element)
        assert len(claim.title) <= 255
        assert "\0" not in claim.title
        assert str(element).replace(str(element["data-post"]), str(plain["data-post"])) == str(plain)

    @pytest.mark.parametrize("post_id", [*HOSTILE[:6], 7, UUID(int=7), "x" * 255, "a b/c?d#e"])
    def test_hostile_ids_stay_in_the_token(self, page: Page, post_id: Any) -> None:
        element = page.section("{{ chatix_comments(p) }}", p=post_id)
        assert page.claim(element).post_id == str(post_id)
        assert len(element.find_all()) == len(page.section("{{ chatix_comments(7) }}").find_all())

    @pytest.mark.parametrize("post_id", [True, None, 7.5, [], {}, "", "x" * 256, "a\0", "\ud800"])
    def test_what_is_no_id_is_the_developers_error(self, page: Page, post_id: Any) -> None:
        for _ in range(2):
            with pytest.raises(PostError):
                page.section("{{ chatix_comments(p) }}", p=post_id)

    def test_true_is_not_taken_for_one_after_one_was_cached(self, page: Page) -> None:
        for post_id in (1, 1):
            page.section("{{ chatix_comments(p) }}", p=post_id)
        for impostor in (True, 1.0):
            with pytest.raises(PostError):
                page.section("{{ chatix_comments(p) }}", p=impostor)

    def test_an_id_without_a_hash_is_still_text(self, page: Page) -> None:
        class Slug(str):
            __hash__ = None  # type: ignore[assignment]  # That is the test.

        assert page.claim(page.section("{{ chatix_comments(p) }}", p=Slug("hello"))).post_id == "hello"

    def test_a_misspelt_variable_is_the_developers_error(self, page: Page) -> None:
        with pytest.raises(PostError, match="not Undefined"):
            page.section("{{ chatix_comments(posst) }}")

    def test_a_misspelt_variable_of_a_strict_site_too(self, page: Page) -> None:
        page.site.app.jinja_env.undefined = StrictUndefined
        with pytest.raises(UndefinedError, match="'posst' is undefined"):
            page.section("{{ chatix_comments(posst) }}")

    def test_two_sections_are_two_posts(self, page: Page) -> None:
        elements = page.soup("{{ chatix_comments(1) }}{{ chatix_comments(2) }}").find_all("chatix-comments")
        assert [page.claim(element).post_id for element in elements] == ["1", "2"]


class TestAssets:
    LINKS = [
        ("link", "/chatix-comments/static/comments-BBBB2222.css"),
        ("link", "/chatix-comments/static/section-CCCC3333.css"),
        ("script", "/chatix-comments/static/comments-AAAA1111.js"),
    ]

    @staticmethod
    def links(soup: BeautifulSoup | Tag) -> list[tuple[str, str]]:
        return [(tag.name, str(tag.get("href") or tag.get("src"))) for tag in soup.find_all(["link", "script"])]

    @pytest.mark.parametrize(
        "source",
        [
            "{{ chatix_comments(1) }}",
            "{{ chatix_comments(1) }}{{ chatix_comments(2) }}",
            MACROS + "{{ assets() }}",
            MACROS + "{{ assets() }}{{ comments(1) }}{{ chatix_comments(2) }}",
            MACROS + "{{ comments(1) }}{{ assets() }}{{ chatix_assets() }}",
        ],
    )
    def test_a_page_has_them_once(self, page: Page, source: str) -> None:
        assert self.links(page.soup(source)) == self.LINKS

    def test_the_next_page_has_them_again(self, page: Page) -> None:
        # An application context around both, as tests of a site may have, must not join them.
        with page.site.app.app_context():
            for _ in range(2):
                assert self.links(page.soup("{{ chatix_comments(1) }}")) == self.LINKS

    def test_outside_a_request_each_section_brings_its_own(self, page: Page) -> None:
        with page.site.app.app_context():
            html = render_template_string("{{ chatix_comments(1) }}")
            assert self.links(BeautifulSoup(html, "html.parser")) == self.LINKS

    def test_the_script_is_a_module_that_knows_the_endpoint(self, page: Page) -> None:
        (script,) = page.soup("{{ chatix_assets() }}").find_all("script")
        assert (script["type"], script["data-endpoint"], script.text) == ("module", "/chatix-comments", "")

    def test_a_site_below_a_path_is_addressed_there(self, page: Page) -> None:
        element = page.section("{{ chatix_comments(1) }}", root="/blog")
        assert element["data-endpoint"] == "/blog/chatix-comments"
        links = self.links(page.soup("{{ chatix_assets() }}", root="/blog"))
        assert links == [(name, "/blog" + url) for name, url in self.LINKS]

    @pytest.mark.parametrize(("root", "endpoint"), [("/blog", "/blog/chatix-comments"), ("/", "/chatix-comments")])
    def test_outside_a_request_the_application_root_counts(
        self, make_site: Callable[..., Site], bundle: Path, root: str, endpoint: str
    ) -> None:
        page = Page(make_site(APPLICATION_ROOT=root), bundle)
        with page.site.app.app_context():
            html = render_template_string("{{ chatix_comments(1) }}")
        (element,) = BeautifulSoup(html, "html.parser").find_all("chatix-comments")
        assert element["data-endpoint"] == endpoint
        # In a request, what the server says.
        assert page.section("{{ chatix_comments(1) }}")["data-endpoint"] == "/chatix-comments"

    def test_the_prefix_is_a_setting(self, make_site: Callable[..., Site], bundle: Path) -> None:
        page = Page(make_site(CHATIX_URL_PREFIX="/talk"), bundle)
        assert page.section("{{ chatix_comments(1) }}")["data-endpoint"] == "/talk"

    def test_nothing_inline_needs_a_looser_policy(self, page: Page) -> None:
        soup = page.soup(MACROS + "{{ assets() }}{{ comments(1, title='x') }}")
        assert soup.find_all("style") == []
        assert [script.text for script in soup.find_all("script")] == [""]
        assert not [name for tag in soup.find_all() for name in tag.attrs if name == "style" or name.startswith("on")]

    @pytest.mark.parametrize("content", [None, "", "[]", '{"comments.js": "x.js"}', "\xff"])
    def test_a_bundle_that_was_not_built_is_logged_once(
        self, page: Page, bundle: Path, content: str | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        manifest = bundle / "manifest.json"
        manifest.unlink()
        if content is not None:
            manifest.write_bytes(content.encode("latin-1"))
        for _ in range(2):
            soup = page.soup(MACROS + "{{ assets() }}{{ comments(1) }}")
            assert self.links(soup) == []
            assert len(soup.find_all("chatix-comments")) == 1
        (record,) = [record for record in caplog.records if record.name == "flask_chatix_comments.bundle"]
        assert record.levelno == logging.ERROR
        assert "Run: node browser/build.mjs" in record.getMessage()

    def test_a_bundle_that_is_built_later_is_found(self, page: Page, bundle: Path) -> None:
        manifest = bundle / "manifest.json"
        content = manifest.read_bytes()
        manifest.unlink()
        assert self.links(page.soup("{{ chatix_assets() }}")) == []
        manifest.write_bytes(content)
        assert self.links(page.soup("{{ chatix_assets() }}")) == self.LINKS


class TestCaching:
    def test_every_reader_gets_the_same_bytes(self, page: Page) -> None:
        calls = 0

        @page.site.comments.visitor_loader
        def load() -> Visitor:
            nonlocal calls
            calls += 1
            return Visitor(key=calls, name=f"Reader {calls}")

        source = MACROS + "{{ assets() }}{{ comments(1, title='A') }}{{ comment_count(1) }}"
        assert page.html(source) == page.html(source)
        assert calls == 0

    def test_every_process_makes_the_same_token(self, make_site: Callable[..., Site], bundle: Path) -> None:
        one, other = (Page(make_site(), bundle).html("{{ chatix_comments(1, title='A') }}") for _ in range(2))
        assert one == other

    def test_a_post_without_a_chatroom_is_no_business_of_the_api(self, page: Page) -> None:
        page.site.api.fail("/chatroom/create", 500)
        page.html("{{ chatix_prefetch(['new']) }}{{ chatix_comments('new') }}{{ chatix_comment_count('new') }}")
        page.site.state.background.join()
        assert page.site.api.calls == []

    def test_a_page_is_rendered_though_the_registry_cannot_be_read(
        self, page: Page, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*ignored: object) -> None:
            raise RegistryError("no database", post_id="1")

        monkeypatch.setattr(page.site.state.registry, "find_many", fail)
        source = "{{ chatix_prefetch([1]) }}{{ chatix_comments(1) }}[{{ chatix_comment_count(1) }}]"
        assert page.html(source).endswith("[]")


def test_whose_sdk_is_used_is_said_where_it_is_not_ours(make_site: Callable[..., Site], bundle: Path) -> None:
    hosted = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}
    widget = Page(make_site(**hosted, CHATIX_SDK="widget"), bundle)
    assert widget.section("{{ chatix_comments(7) }}")["data-sdk"] == "widget"
    assert Page(make_site(**hosted), bundle).section("{{ chatix_comments(7) }}")["data-sdk"] == "hosted"
    assert not Page(make_site(), bundle).section("{{ chatix_comments(7) }}").has_attr("data-sdk")


def test_prefetch_looks_a_list_up_and_prints_nothing(page: Page) -> None:
    lookup = page.site.state.room_lookup
    page.site.app.jinja_env.globals["is_known"] = lambda post_id: lookup.find(post_id) is not None
    page.site.state.registry.link("3", "room", title="", is_private=False, state=RoomState.OPEN)
    source = "{{ prefetch(ids) }}{% for id in ids %}{{ 'x' if is_known(id) else '-' }}{% endfor %}"
    with queries(page.site.state.registry) as sent:
        assert page.html(f"{MACROS}[{source}]", ids=range(50)) == f"[---x{'-' * 46}]"
        assert page.html(f"[{{{{ chatix_prefetch(ids) }}}}{source.partition('}}')[2]}]", ids=range(50))
    assert len(sent) == 1
    with pytest.raises(PostError):
        page.html("{{ chatix_prefetch([none]) }}")


def test_the_sites_own_templates_win(page: Page) -> None:
    app: Flask = page.site.app
    own = (
        '<chatix-comments data-post="{{ post_token }}">{{ heading }}, {{ endpoint }}, {{ is_closed }}</chatix-comments>'
    )
    app.jinja_loader = DictLoader({"chatix_comments/comments.html": own})
    element = page.section("{{ chatix_comments(7) }}")
    assert element.text == "Comments, /chatix-comments, False"
    assert page.claim(element).post_id == "7"


def test_the_sites_own_templates_may_differ_each_time(page: Page) -> None:
    nonces = iter(["one", "two"])
    page.site.app.jinja_env.globals["nonce"] = lambda: next(nonces)
    own = '<script type="module" nonce="{{ nonce() }}" src="{{ script_url }}"></script>'
    page.site.app.jinja_loader = DictLoader({"chatix_comments/assets.html": own})
    scripts = [page.soup("{{ chatix_comments(7) }}").find_all("script") for _ in range(2)]
    assert [[script["nonce"] for script in found] for found in scripts] == [["one"], ["two"]]


def test_what_is_kept_is_bounded(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templating, "MAX_KEPT", 3)
    for number in range(10):
        element = page.section("{{ chatix_comments(p) }}", p=number)
        assert page.claim(element).post_id == str(number)
    assert len(page.site.state.renderer._kept) <= 3


def test_the_sites_own_macros_win(page: Page) -> None:
    section = '<div class="talk">{{ chatix_comments(post_id, heading="Talk") }}</div>'
    macros = "{% macro comments(post_id) %}" + section + "{% endmacro %}"
    templates = {
        "chatix_comments/macros.html": macros,
        "page.html": '{% from "chatix_comments/macros.html" import comments %}{{ comments(7) }}',
    }
    page.site.app.jinja_loader = DictLoader(templates)
    with page.site.app.test_request_context():
        soup = BeautifulSoup(render_template("page.html"), "html.parser")
    wrapper = soup.find("div", class_="talk")
    assert isinstance(wrapper, Tag)
    assert [heading.text for heading in wrapper.find_all("h2")] == ["Talk"]


def test_rooms_at_first_render_are_made_behind_the_scenes(make_site: Callable[..., Site], bundle: Path) -> None:
    page = Page(make_site(CHATIX_CREATE="render"), bundle)
    for _ in range(3):
        page.html("{{ chatix_comments(7, title='Seven', private=True) }}")
    page.site.state.room_maker.join()
    (body,) = page.site.api.bodies("/chatroom/create")
    assert body == {"title": "Seven", "is_private": True, "external_id": "7"}
    assert page.site.state.registry.get("7").is_private
