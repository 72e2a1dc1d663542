"""Take the pictures of the documentation: a talk on the example site, light, dark and on a phone.

Run by ``make screenshots``. It starts the example site with empty data, lets three readers and the
author talk under a post, and writes PNG files to ``docs/images``.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

from tests.e2e.support import (
    CHROMIUM_ARGS,
    Site,
    articles,
    choose,
    comment,
    expect_loaded,
    find_chromium,
    reach_section,
    section,
    write,
)

IMAGES = Path(__file__).parent / "images"
SLUG = "the-rain-gauge"
IMAGE_NAME = "plain gauge.png"
READINGS = b"day,mm\n" + b"".join(b"%d,%d.%d\n" % (day, day * 7 % 12, day * 3 % 10) for day in range(1, 31))


def gauge() -> FilePayload:
    """Draw a rain gauge: a tube with marks, a funnel, some water, under a grey sky."""
    image = Image.new("RGB", (900, 600), "#c9d3d8")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 470, 900, 600), fill="#7d8f69")
    draw.rectangle((435, 470, 465, 560), fill="#6b5440")
    draw.rectangle((390, 170, 510, 480), fill="#eef3f5", outline="#5a6b73", width=5)
    draw.polygon(((340, 90), (560, 90), (510, 170), (390, 170)), fill="#dfe8eb", outline="#5a6b73", width=5)
    draw.rectangle((395, 330, 505, 475), fill="#6fa3c7")
    for number, y in enumerate(range(200, 470, 27)):
        draw.line((470 if number % 5 else 450, y, 505, y), fill="#33454d", width=4)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"name": IMAGE_NAME, "mimeType": "image/png", "buffer": buffer.getvalue()}


FILES: list[FilePayload] = [gauge(), {"name": "my november.csv", "mimeType": "text/csv", "buffer": READINGS}]
TALK: list[tuple[str, str, list[FilePayload]]] = [
    ("Imke", "41.2 mm so far this month, but we are on the west side of the hill. What do you get in the valley?", []),
    ("Joris", "Is a plastic gauge good enough to begin with? This one, and what it says so far:", FILES),
]
ANSWER = "Quite good enough, if the rim is level and nothing overhangs it. Read it at the same hour, that matters more."


def talk(browser: Browser, site: Site, slug: str) -> None:
    for name, text, files in TALK:
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.post_url(slug))
        reach_section(page)
        before = articles(page).count()
        choose(page, *files)
        write(page, text, name=name)
        expect(articles(page)).to_have_count(before + 1 + len(files))
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
    expect(articles(page)).to_have_count(3 + len(FILES))
    expect_loaded(articles(page).get_by_role("img", name=IMAGE_NAME))
    place(page)
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    context.close()
    # 256 colours are enough, and a third of the size.
    shot.quantize(256, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


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
        picture(browser, site, SLUG, "section-light", width=760, height=1080, dark=False)
        picture(browser, site, SLUG, "section-dark", width=760, height=1080, dark=True)
        picture(browser, site, SLUG, "section-phone", width=360, height=1000, dark=True)
        browser.close()
        site.stop()


if __name__ == "__main__":
    main()
