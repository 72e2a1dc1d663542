"""Take the pictures of the documentation: a talk on the example site, light, dark and on a phone.

Run by ``make screenshots``. It starts the example site with empty data, lets three readers and the
author talk under a post, and writes PNG files to ``docs/images``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.support import CHROMIUM_ARGS, Site, articles, comment, find_chromium, reach_section, section, write

IMAGES = Path(__file__).parent / "images"
SLUG = "the-rain-gauge"
TALK = [
    ("Imke", "41.2 mm so far this month, but we are on the west side of the hill. What do you get in the valley?"),
    ("Joris", "Is a plastic gauge good enough to begin with? I found this one:\nhttps://example.org/gauges/plain-127"),
]
ANSWER = "Quite good enough, if the rim is level and nothing overhangs it. Read it at the same hour, that matters more."


def talk(browser: Browser, site: Site, slug: str) -> None:
    for name, text in TALK:
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.post_url(slug))
        reach_section(page)
        write(page, text, name=name)
        expect(comment(page, text.split("\n")[0])).to_be_visible()
        context.close()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/sign-in/")
    page.get_by_role("button", name="Marit").click()
    page.goto(site.post_url(slug))
    reach_section(page)
    write(page, ANSWER)
    expect(comment(page, ANSWER)).to_be_visible()
    context.close()


def picture(browser: Browser, site: Site, slug: str, name: str, *, width: int, height: int, dark: bool) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=2, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.goto(site.post_url(slug))
    reach_section(page)
    expect(articles(page)).to_have_count(3)
    place(page)
    page.screenshot(path=IMAGES / f"{name}.png")
    context.close()


def place(page: Page) -> None:
    """Scroll so that the section fills the picture."""
    section(page).evaluate("element => window.scrollTo(0, element.getBoundingClientRect().top + scrollY - 24)")


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Site(Path(folder) / "data")
        site.start()
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        talk(browser, site, SLUG)
        picture(browser, site, SLUG, "section-light", width=760, height=820, dark=False)
        picture(browser, site, SLUG, "section-dark", width=760, height=820, dark=True)
        picture(browser, site, SLUG, "section-phone", width=360, height=740, dark=True)
        browser.close()
        site.stop()


if __name__ == "__main__":
    main()
