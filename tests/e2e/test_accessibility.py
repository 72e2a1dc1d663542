"""Everybody can use the section: axe finds nothing in any state, and neither size nor direction breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.support import (
    ROOT,
    Reader,
    Site,
    articles,
    choose,
    comment,
    expect_live,
    picture,
    reach_section,
    text_file,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

AXE = ROOT / "node_modules/axe-core/axe.min.js"
VIOLATIONS = """async () => {
  const { violations } = await axe.run("chatix-comments", { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}"""
#: How much the colour of an element's border stands out from what is around it: WCAG 2.2, 1.4.11.
BORDER_CONTRAST = """(selector) => {
  const element = document.querySelector(selector);
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const paint = (colour) => { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); };
  const luminance = () => {
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((it) => it / 255)
      .map((it) => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  paint("Canvas");
  paint(getComputedStyle(document.body).backgroundColor);
  const around = luminance();
  paint(getComputedStyle(element).borderBlockStartColor);
  const [light, dark] = [around, luminance()].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}"""
SMALL_TARGETS = """() => [...document.querySelectorAll("chatix-comments :is(button, textarea, label)")]
  .map((it) => [it.textContent || it.name, it.getBoundingClientRect()])
  .filter(([, { width, height }]) => width && Math.min(width, height) < LEAST)
  .map(([name, { width, height }]) => `${name} ${width}x${height}`)"""
STICKING_OUT = """() => [...document.querySelectorAll("chatix-comments *")]
  .filter((it) => { const { left, right, width } = it.getBoundingClientRect();
    return width > 1 && (right > innerWidth + 1 || left < -1); })
  .map((it) => it.className)"""


@pytest.fixture(scope="module")
def plain_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running example site."""
    site = Site(tmp_path_factory.mktemp("plain") / "data")
    site.start()
    yield site
    site.stop()


def check(page: Page, state: str) -> None:
    """Let axe look at this state in light and dark, and with the colours of the system."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(f"{AXE.read_text()};0")
    looks: list[dict[str, Any]] = [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"forced_colors": "none"}]
    for look in looks:
        page.emulate_media(**{"color_scheme": "light", **look})
        assert page.evaluate(VIOLATIONS) == [], f"{state}, {look}"


def say(site: Site, slug: str, *texts: str) -> None:
    api = site.api()
    for text in texts:
        api.send_message(site.chatix("show", slug)["chatroom_id"], content=text, sender_id="somebody-else-entirely")
    api.close()


def test_axe_finds_nothing_in_any_state(plain_site: Site, new_reader: NewReader) -> None:
    site = plain_site
    slug = site.slugs()[0]
    page = new_reader().open(site.post_url(slug))
    found = reach_section(page)
    check(page, "empty")
    say(site, slug, "With a link: https://example.org/", "Tall\n" * 40)
    write(page, "My own", name="Robin")
    mine = comment(page, "My own")
    expect(articles(page)).to_have_count(3)
    check(page, "a thread, the last visit")
    mine.get_by_role("button", name="Delete").click()
    check(page, "the question before deleting")
    mine.get_by_role("button", name="Keep").click()
    mine.get_by_role("button", name="Edit").click()
    check(page, "editing")
    mine.get_by_role("button", name="Cancel").click()
    choose(page, picture("a.png"), text_file("notes.txt"))
    found.get_by_role("textbox", name="Write a comment").fill("x" * 10_001)
    expect(found.get_by_role("alert")).to_contain_text("10,000")
    check(page, "files, and a text that is too long")
    page.reload()
    reach_section(page)
    box = found.get_by_role("textbox", name="Write a comment")
    box.fill("")
    page.set_viewport_size({"width": 800, "height": 300})
    page.evaluate("scrollTo(0, document.querySelector('chatix-comments').offsetTop)")
    say(site, slug, "News")
    expect(found.get_by_role("button", name="1 new comment")).to_be_visible()
    check(page, "new comments elsewhere")
    page.context.set_offline(True)
    expect(found.get_by_role("status")).to_have_text("Offline")
    box.fill("In the tunnel")
    found.get_by_role("button", name="Post comment").click()
    expect(found.get_by_text("Not posted yet.")).to_be_visible()
    check(page, "unsent and offline")
    page.context.set_offline(False)
    expect(comment(page, "In the tunnel")).to_be_visible()
    site.chatix("close", slug)
    expect(found.get_by_text("Comments are closed.")).to_be_visible()
    check(page, "closed")
    site.chatix("delete", slug)
    expect(found.get_by_text("These comments are not available.")).to_be_visible()
    check(page, "not for this reader")


def test_axe_finds_nothing_for_managers_nor_while_it_loads(plain_site: Site, new_reader: NewReader) -> None:
    site = plain_site
    slug = site.slugs()[1]
    page = new_reader().open(f"{site.url}/sign-in/")
    page.get_by_role("button", name="Marit").click()
    page.goto(site.post_url(slug))
    found = reach_section(page)
    say(site, slug, "A question")
    found.get_by_role("checkbox", name="Whisper").check()
    found.get_by_role("textbox", name="Write a whisper").fill("An answer for few")
    found.get_by_role("button", name="Send whisper").click()
    expect(articles(page)).to_have_count(2)
    check(page, "a manager's")
    page.route("**/chatix-comments/join", lambda route: None)
    page.goto(site.post_url(site.slugs()[2]))
    found.scroll_into_view_if_needed()
    expect(found.get_by_role("status")).to_have_text("Connecting")
    check(page, "loading")
    page.unroute_all()
    page.route("**/section-*.js", lambda route: route.abort())
    page.reload()
    found.scroll_into_view_if_needed()
    expect(found.get_by_role("button", name="Try again")).to_be_visible()
    check(page, "not loaded")


def test_small_windows_other_directions_fingers_and_paper(plain_site: Site, new_reader: NewReader) -> None:
    site = plain_site
    slug = site.slugs()[3]
    reach_section(new_reader().open(site.post_url(slug)))
    say(site, slug, "Long" * 100, "Tall\n" * 60)
    # 640 px at 200 % are 320 px.
    finger = new_reader(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    page = finger.open(site.post_url(slug))
    found = reach_section(page)
    write(page, "My own", name="Robin")
    expect(comment(page, "My own").get_by_role("button", name="Edit")).to_be_visible()
    for direction in ("ltr", "rtl"):
        page.evaluate("(dir) => { document.documentElement.dir = dir; }", direction)
        assert page.evaluate(STICKING_OUT) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate(SMALL_TARGETS.replace("LEAST", "44")) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for selector in (".chatix-form", ".chatix-earlier, .chatix-more", ".chatix-attach"):
            assert page.evaluate(BORDER_CONTRAST, selector) >= 3

    tall = comment(page, "Tall")
    folded = tall.bounding_box()
    page.emulate_media(media="print")
    expect(found.get_by_role("button")).to_have_count(0)
    on_paper = tall.bounding_box()
    assert folded
    assert on_paper
    assert on_paper["height"] > 1.5 * folded["height"]
    page.emulate_media(media="screen", reduced_motion="reduce")
    tall.get_by_role("button", name="Show more").click()
    wait_until(lambda: (tall.bounding_box() or folded)["height"] > 1.5 * folded["height"], "it is unfolded")
    assert page.evaluate("document.getAnimations().length") == 0
    mouse = new_reader().open(site.post_url(slug))
    reach_section(mouse)
    assert mouse.evaluate(SMALL_TARGETS.replace("LEAST", "24")) == []
    expect_live(page)
