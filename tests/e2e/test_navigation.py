"""Pages that go without the browser: htmx and Turbo take sections in and out, cache them and morph them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect

from tests.e2e.support import Reader, Site, articles, comment, reach_section, section, wait_until, write

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]
TEXT = "Still being written"
#: Have the page, or another one, put in place of this one, piece by piece.
MORPH = {
    "htmx4": "void htmx.ajax('GET', location.href, {target: 'main', select: 'main', swap: 'outerMorph'})",
    "turbo": """fetch(location.href).then((answer) => answer.text()).then((html) => {
      const page = new DOMParser().parseFromString(html, "text/html");
      Turbo.morphChildren(document.querySelector("main"), page.querySelector("main"));
    })""",
}


class FittedBlog(Site):
    """The blog of ``fitted_blog``."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "tests.e2e.fitted_blog", *arguments]


@pytest.fixture(scope="module")
def blog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FittedBlog]:
    blog = FittedBlog(tmp_path_factory.mktemp("fitted") / "data")
    blog.start()
    yield blog
    blog.stop()


def open_lines(page: Page) -> list[str]:
    """Follow the page's WebSockets: what is in the list is open."""
    lines: list[str] = []

    def follow(line: WebSocket) -> None:
        lines.append(line.url)
        line.on("close", lambda *_: lines.remove(line.url))

    page.on("websocket", follow)
    return lines


def draft(page: Page) -> Locator:
    return section(page).get_by_role("textbox", name="Write a comment")


def expect_whole(page: Page, mine: str, count: int) -> None:
    """See that there is one section, alive, with everything in it once, and with what was being written."""
    reach_section(page)
    expect(page.locator("chatix-comments")).to_have_count(1)
    expect(page.locator("chatix-comments form:visible")).to_have_count(1)
    expect(articles(page)).to_have_count(count)
    expect(comment(page, mine)).to_have_count(1)
    expect(comment(page, mine).get_by_role("button", name="Edit")).to_have_count(1)
    expect(draft(page)).to_have_value(TEXT)


def begin(blog: FittedBlog, reader: Reader, script: str, slug: str = "first") -> tuple[Page, list[str], str, int]:
    """Open a post, comment on it, and begin another comment; return the page, its lines, and what is there."""
    page = reader.open("about:blank")
    lines = open_lines(page)
    page.goto(f"{blog.url}/{script}/posts/{slug}/")
    page.evaluate("globalThis.isSamePage = true")
    reach_section(page)
    mine = f"By {script}"
    before = articles(page).count()
    write(page, mine, name="Robin")
    expect(comment(page, mine).get_by_role("button", name="Edit")).to_have_count(1)
    draft(page).fill(TEXT)
    return page, lines, mine, before + 1


def expect_lines(page: Page, lines: list[str], count: int) -> None:
    # The question lets Playwright hear what has happened meanwhile.
    wait_until(lambda: page.evaluate("true") and len(lines) == count, f"{count} lines are open")


@pytest.mark.parametrize("script", ["htmx", "htmx4", "turbo"])
def test_from_post_to_post_and_back(blog: FittedBlog, new_reader: NewReader, script: str) -> None:
    reader = new_reader()
    page, lines, mine, count = begin(blog, reader, script)
    page.get_by_role("link", name="Second").click()
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    reach_section(page)
    expect(articles(page)).to_have_count(0)
    expect(draft(page)).to_have_value("")
    expect_lines(page, lines, 1)
    page.go_back()
    expect(page.get_by_role("heading", name="first")).to_be_visible()
    expect_whole(page, mine, count)
    expect_lines(page, lines, 1)
    # By a link, Turbo shows a copy of the page until the page is there.
    page.get_by_role("link", name="Second").click()
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    reach_section(page)
    page.get_by_role("link", name="First").click()
    expect(page.get_by_role("heading", name="first")).to_be_visible()
    expect_whole(page, mine, count)
    expect_lines(page, lines, 1)
    assert page.evaluate("globalThis.isSamePage")
    assert reader.problems == []


@pytest.mark.parametrize("script", ["htmx4", "turbo"])
def test_a_page_is_morphed_around_a_section(blog: FittedBlog, new_reader: NewReader, script: str) -> None:
    reader = new_reader()
    page, lines, mine, count = begin(blog, reader, script, "morphed")
    page.evaluate("document.querySelector('h1').textContent = 'changed'")
    page.evaluate("globalThis.element = document.querySelector('chatix-comments')")
    page.evaluate(MORPH[script])
    expect(page.get_by_role("heading", name="morphed")).to_be_visible()
    expect_whole(page, mine, count)
    expect_lines(page, lines, 1)
    # Turbo asks before, so that the section stays as it is.
    assert page.evaluate("element.isConnected") is (script == "turbo")
    page.evaluate(MORPH[script].replace("location.href", "'/' + location.pathname.split('/')[1] + '/posts/other/'"))
    expect(page.get_by_role("heading", name="other")).to_be_visible()
    reach_section(page)
    expect(articles(page)).to_have_count(0)
    expect_lines(page, lines, 1)
    assert reader.problems == []


def test_a_page_refresh_of_turbo_leaves_the_section_as_it_is(blog: FittedBlog, new_reader: NewReader) -> None:
    reader = new_reader()
    page, lines, mine, count = begin(blog, reader, "turbo", "refreshed")
    page.evaluate("globalThis.element = document.querySelector('chatix-comments')")
    page.evaluate("document.querySelector('h1').textContent = 'changed'")
    page.evaluate("Turbo.visit(location.href, { action: 'replace' })")
    expect(page.get_by_role("heading", name="refreshed")).to_be_visible()
    expect_whole(page, mine, count)
    expect_lines(page, lines, 1)
    assert page.evaluate("element.isConnected && globalThis.isSamePage")
    assert reader.problems == []


def test_a_section_is_swapped_into_a_page_that_had_none_and_out_again(blog: FittedBlog, new_reader: NewReader) -> None:
    reader = new_reader()
    begin(blog, reader, "htmx", "swapped")[0].close()
    for script in ("htmx", "turbo"):
        page = reader.open("about:blank")
        lines = open_lines(page)
        page.goto(f"{blog.url}/{script}/bare/")
        for name in {"htmx": ["Show", "Show"], "turbo": ["Stream", "Stream"]}[script]:
            page.get_by_role("button", name=name).click()
            expect_whole(page, "By htmx", 1)
            expect_lines(page, lines, 1)
        other = new_reader().open(blog.post_url("swapped"))
        reach_section(other)
        expect(section(other).get_by_text("2 reading")).to_be_visible()
        if script == "htmx":
            page.get_by_role("button", name="Hide").click()
        else:
            page.get_by_role("link", name="About").click()
        expect(page.locator("chatix-comments")).to_have_count(0)
        expect_lines(page, lines, 0)
        expect(section(other).get_by_text("2 reading")).to_be_hidden()
        other.close()
    page.goto(f"{blog.url}/turbo/bare/")
    page.get_by_role("link", name="Frame").click()
    expect_whole(page, "By htmx", 1)
    assert reader.problems == []
