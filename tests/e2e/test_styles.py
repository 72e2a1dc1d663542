"""The section in the clothes of others: without a style sheet, with one that has no classes, with resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.support import Reader, articles, choose, comment, picture, reach_section, section, text_file, write
from tests.e2e.test_accessibility import AXE, SMALL_TARGETS, STICKING_OUT, VIOLATIONS
from tests.e2e.test_navigation import FittedBlog

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

STYLES = ["none", "water", "pico", "bootstrap", "tailwind"]
#: Style sheets that change colours slowly are not to be looked at meanwhile.
SETTLED = "async () => { await Promise.all(document.getAnimations().map(({ finished }) => finished)); }"
SCHEME = """(scheme) => {
  document.documentElement.style.colorScheme = scheme;
  document.documentElement.dataset.bsTheme = scheme;
}"""
#: What a text is made of must be whole, and links in it seen without colour.
BROKEN_WORDS = """() => [...document.querySelectorAll(".chatix-heading")].filter((heading) => {
  const range = document.createRange();
  range.selectNodeContents(heading.firstChild);
  return range.getClientRects().length > 1;
}).length"""
LINES = """() => [...document.querySelectorAll(".chatix-text a")]
  .filter((it) => !getComputedStyle(it).textDecorationLine.includes("underline")).length"""
#: What is focused, and has no ring around it.
RING = "(it) => { it.focus(); return getComputedStyle(it).outlineStyle; }"


@pytest.fixture(scope="module")
def blog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FittedBlog]:
    blog = FittedBlog(tmp_path_factory.mktemp("styles") / "data")
    blog.start()
    yield blog
    blog.stop()


def check(page: Page, state: str) -> None:
    """See that nothing is unreadable, out of its box or too small, wide and narrow, light and dark."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(f"{AXE.read_text()};0")
    for width in (1200, 320):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(SCHEME, scheme)
            page.evaluate(SETTLED)
            at = f"{state}, {width}, {scheme}"
            assert page.evaluate(VIOLATIONS) == [], at
            assert page.evaluate(STICKING_OUT) == [], at
            assert page.evaluate("document.documentElement.scrollWidth") == width, at
            assert page.evaluate(SMALL_TARGETS.replace("LEAST", "24")) == [], at
            assert page.evaluate(BROKEN_WORDS) == 0, at
            assert page.evaluate(LINES) == 0, at


@pytest.mark.parametrize("style", STYLES)
def test_a_site_s_style_sheet_does_no_harm(blog: FittedBlog, new_reader: NewReader, style: str) -> None:
    url = f"{blog.post_url(style)}?style={style}"
    manager = new_reader().open(f"{blog.url}/be/marit/")
    manager.goto(url)
    reach_section(manager)
    write(manager, "A link: https://example.org/")
    expect(articles(manager)).to_have_count(1)
    section(manager).get_by_role("checkbox", name="Whisper").check()
    section(manager).get_by_role("textbox", name="Write a whisper").fill("For few")
    section(manager).get_by_role("button", name="Send whisper").click()
    expect(articles(manager)).to_have_count(2)
    check(manager, "a manager's")

    reader = new_reader()
    page = reader.open(url)
    found = reach_section(page)
    write(page, "Long\n" * 60, name="Robin")
    write(page, "To be changed")
    comment(page, "To be changed").get_by_role("button", name="Edit").click()
    comment(page, "Long").get_by_role("button", name="Delete").click()
    choose(page, picture("swifts.png"), text_file("notes.txt"))
    box = found.get_by_role("textbox", name="Write a comment")
    box.fill("x " * 5_001)
    expect(found.get_by_role("alert")).to_contain_text("10,000")
    check(page, "editing, deleting, files, a text that is too long")
    page.keyboard.press("Tab")
    for button in found.locator("button:visible").all():
        assert button.evaluate(RING) == "solid", button.text_content()
    box_of_button = found.get_by_role("button", name="Post comment").bounding_box()
    assert box_of_button
    assert box_of_button["width"] < 200
    page.emulate_media(media="print")
    expect(found.locator("button:visible, form:visible")).to_have_count(0)
    expect(comment(page, "To be changed").locator(".chatix-text")).to_be_visible()
    assert comment(page, "Long").evaluate("it => it.clientHeight >= 60 * parseFloat(getComputedStyle(it).fontSize)")
    page.emulate_media(media="screen")
    page.evaluate("document.documentElement.dir = 'rtl'")
    check(page, "from right to left")

    box.fill("")
    found.get_by_role("button", name="Post comment").click()
    found.locator(".chatix-image").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page, "an image in full")
    assert reader.problems == []
