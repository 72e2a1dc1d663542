"""Files: chosen, pasted and dropped, posted, refused, interrupted, seen by others, opened in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import CDPSession, FilePayload, Locator, Page, Route, expect

from tests.e2e.support import (
    Reader,
    Site,
    articles,
    choose,
    comment,
    expect_loaded,
    picture,
    reach_section,
    section,
    text_file,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

SLOW_BYTES_PER_S = 40_000
NO_LIMIT = -1


@pytest.fixture
def page(site: Site, new_reader: NewReader) -> Iterator[Page]:
    """A reader at the section, who must not have caused a complaint in the end."""
    reader = new_reader()
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    yield page
    assert reader.problems == []


def chosen(page: Page) -> Locator:
    return section(page).get_by_role("listitem")


def post(page: Page, text: str = "", *, name: str = "Robin") -> None:
    write(page, text, name=name)


def top_of(entry: Locator) -> float:
    return float(entry.evaluate("entry => entry.getBoundingClientRect().top + scrollY"))


def throttle(page: Page) -> CDPSession:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    set_speed(session, SLOW_BYTES_PER_S)
    return session


def set_speed(session: CDPSession, upload_bytes_per_s: int) -> None:
    conditions = {"offline": False, "latency": 0, "downloadThroughput": NO_LIMIT}
    session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": upload_bytes_per_s})


def wait_until_under_way(page: Page, name: str) -> None:
    bar = section(page).get_by_role("progressbar", name=f"Uploading {name}")
    wait_until(lambda: 0 < bar.evaluate("bar => bar.value") < 1, f"{name} is under way")


def paste_picture(page: Page, file: FilePayload) -> None:
    """Paste a picture as from a program that shows pictures."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """bytes => navigator.clipboard.write([new ClipboardItem({
          "image/png": new Blob([new Uint8Array(bytes)], { type: "image/png" }),
        })])""",
        list(file["buffer"]),
    )
    section(page).get_by_role("textbox", name="Write a comment").focus()
    page.keyboard.press("Control+V")


def drop(page: Page, *paths: Path) -> None:
    """Drop what is on the disk, as from a file manager."""
    session = page.context.new_cdp_session(page)
    box = section(page).get_by_role("textbox", name="Write a comment").bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for event in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": event, "x": box["x"] + 10, "y": box["y"] + 10, "data": data})


# Posting


def test_text_and_files_are_seen_live_by_others_and_after_a_reload(
    site: Site, page: Page, new_reader: NewReader
) -> None:
    other = new_reader()
    other_page = other.open(page.url)
    reach_section(other_page)
    choose(page, picture("low tide.png"), picture("high tide.jpg", 300, 900, "image/jpeg"), text_file("table.txt"))
    expect(chosen(page)).to_have_count(3)
    expect(chosen(page).nth(2)).to_contain_text("2 kB")
    expect(section(page).locator("canvas")).to_have_count(2)
    post(page, "Two pictures and a table")
    for reader_page in (page, other_page):
        expect(articles(reader_page)).to_have_count(4)
        texts = articles(reader_page).locator(".chatix-text").all_inner_texts()
        assert texts[0] == "Two pictures and a table"
        assert texts[3].replace("\xa0", " ").endswith("2 kB")
    other_page.reload()
    reach_section(other_page)
    for reader_page in (page, other_page):
        wide, high = (articles(reader_page).get_by_role("img", name=name) for name in ("low tide.png", "high tide.jpg"))
        for image, size in ((wide, [300, 200]), (high, [100, 300])):
            expect_loaded(image)
            assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == size
            assert image.get_attribute("loading") == "lazy"
    link = articles(other_page).get_by_role("link", name="table.txt")
    with other_page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "table.txt"
    assert Path(download.value.path()).read_bytes() == b"x" * 2048
    expect(chosen(page)).to_have_count(0)
    assert other.problems == []


def test_files_go_without_text_but_not_without_a_name(page: Page) -> None:
    choose(page, picture("a.png"))
    post(page, name="")
    expect(section(page).get_by_role("alert")).to_have_text("Please give a name: it is shown beside your comment.")
    expect(chosen(page)).to_have_count(1)
    post(page)
    expect(articles(page)).to_have_count(1)
    expect(articles(page)).to_contain_text("Robin")
    expect(section(page).get_by_role("alert")).to_have_count(0)


def test_files_are_pasted_and_dropped(page: Page, tmp_path: Path) -> None:
    paste_picture(page, picture("is called image.png", 30, 20))
    expect(chosen(page)).to_have_count(1)
    (tmp_path / "notes.txt").write_text("dropped")
    (tmp_path / "folder").mkdir()
    drop(page, tmp_path / "notes.txt", tmp_path / "folder")
    expect(section(page).get_by_role("alert")).to_have_text("folder cannot be read.")
    expect(chosen(page)).to_have_count(2)
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("")
    post(page)
    expect(articles(page)).to_have_count(2)
    expect(articles(page).get_by_role("img", name="image.png")).to_be_visible()
    expect(comment(page, "notes.txt")).to_be_visible()


def test_the_list_is_worked_by_keyboard(page: Page) -> None:
    # From now on: to begin with it only when the key is pressed may be too late.
    page.on("filechooser", lambda chooser: None)
    choose(page, text_file("a.txt"), text_file("b.txt"), text_file("c.txt"))
    expect(chosen(page)).to_have_count(3)
    section(page).get_by_role("textbox", name="Write a comment").focus()
    page.keyboard.press("Tab")
    expect(section(page).get_by_role("button", name="Remove a.txt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(section(page).get_by_role("button", name="Remove b.txt")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(section(page).get_by_role("button", name="Remove b.txt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(chosen(page)).to_have_count(0)
    expect(section(page).get_by_label("Attach files")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    assert chooser.value.is_multiple()


# Limits and refusals


@pytest.fixture
def strict_page(tmp_path: Path, new_reader: NewReader) -> Iterator[Page]:
    settings = {
        "CHATIX_MAX_FILES": "2",
        "CHATIX_MAX_FILE_BYTES": "50000",
        "CHATIX_MAX_IMAGE_PIXELS": "1000000",
        "CHATIX_FILE_TYPES": "image/png,text/plain",
    }
    site = Site(tmp_path / "data", settings=settings)
    site.start()
    page = new_reader().open(site.post_url(site.slugs()[0]))
    reach_section(page)
    yield page
    site.stop()


def test_limits_are_said_before_anything_is_chosen_and_named_when_a_file_breaks_one(strict_page: Page) -> None:
    page = strict_page
    found, alert = section(page), section(page).get_by_role("alert")
    said = "Up to 2 files. Each up to 48.8 kB. Images up to 1 megapixels. Types: PNG, text."
    found.get_by_label("Attach files").focus()
    expect(found.get_by_label("Attach files")).to_have_accessible_description(said)
    expect(found.get_by_text(said)).to_be_visible()
    page_file = text_file("page.html", mime_type="text/html")
    choose(page, text_file("fine.txt"), text_file("big.txt", 50_001), page_file)
    expect(chosen(page)).to_have_count(1)
    expect(alert).to_contain_text("big.txt is too large")
    expect(alert).to_contain_text("page.html is of another type")
    choose(page, picture("wide.png", 2000, 501))
    expect(alert).to_contain_text("wide.png is too large: it has 2,000 × 501 pixels")
    expect(chosen(page)).to_have_count(1)
    choose(page, text_file("second.txt"), text_file("third.txt"))
    expect(alert).to_contain_text("third.txt")
    expect(chosen(page)).to_have_count(2)
    post(page)
    expect(articles(page)).to_have_count(2)
    expect(found.get_by_role("alert")).to_have_count(0)


def test_a_refusal_of_the_hub_names_the_file_which_stays_chosen(site: Site, new_reader: NewReader) -> None:
    # The browser notes the status on its console, so this reader is not asked about that.
    page = new_reader().open(site.post_url(site.slugs()[0]))
    reach_section(page)
    choose(page, text_file("not-really.png", mime_type="image/png"), text_file("fine.txt"))
    post(page, "Look at these")
    alert = section(page).get_by_role("alert")
    expect(alert).to_contain_text("not-really.png: ")
    expect(articles(page)).to_have_count(2)
    expect(comment(page, "fine.txt")).to_be_visible()
    expect(chosen(page)).to_have_count(1)
    section(page).get_by_role("button", name="Remove not-really.png").click()
    expect(alert).to_have_count(0)


# Interruptions


def test_progress_is_shown_and_an_upload_can_be_cancelled(page: Page) -> None:
    session = throttle(page)
    choose(page, text_file("slow.bin", 400_000), text_file("next.txt"))
    post(page)
    wait_until_under_way(page, "slow.bin")
    expect(section(page).get_by_role("progressbar", name="Uploading next.txt")).to_have_js_property("value", 0)
    section(page).get_by_role("button", name="Cancel slow.bin").click()
    set_speed(session, NO_LIMIT)
    expect(comment(page, "next.txt")).to_be_visible()
    expect(chosen(page)).to_have_count(0)
    expect(articles(page)).to_have_count(1)
    expect(section(page).get_by_role("button", name="Post comment")).to_be_visible()


def test_a_file_is_cancelled_while_the_site_takes_its_time(page: Page) -> None:
    held: list[Route] = []
    uploads: list[str] = []
    page.route("**/take-part", lambda route: held.append(route))
    page.on("request", lambda request: uploads.append(request.url) if "/file/save" in request.url else None)
    choose(page, text_file("first.txt"), text_file("second.txt"))
    post(page)
    # Asking the page lets Playwright hear of the request.
    wait_until(lambda: page.title() and held, "the site is asked")
    section(page).get_by_role("button", name="Cancel first.txt").click()
    expect(chosen(page)).to_have_count(1)
    held[0].continue_()
    expect(comment(page, "second.txt")).to_be_visible()
    expect(section(page).get_by_role("button", name="Post comment")).to_be_visible()
    expect(articles(page)).to_have_count(1)
    assert (len(held), len(uploads)) == (1, 1)


def test_the_hub_is_killed_half_way_through_an_upload(site: Site, new_reader: NewReader) -> None:
    page, other_page = (new_reader().open(site.post_url(site.slugs()[0])) for _ in range(2))
    reach_section(page)
    reach_section(other_page)
    session = throttle(page)
    choose(page, text_file("first.txt"), text_file("slow.bin", 400_000), text_file("last.txt"))
    post(page, "Three files")
    expect(comment(page, "first.txt")).to_be_visible()
    wait_until_under_way(page, "slow.bin")
    site.kill()
    expect(section(page).get_by_role("status")).not_to_have_text("Live")
    expect(section(page).get_by_text("Not posted yet.")).to_be_visible()
    expect(chosen(page)).to_have_count(2)
    set_speed(session, NO_LIMIT)
    site.start()
    for reader_page in (page, other_page):
        for text in ("Three files", "first.txt", "slow.bin", "last.txt"):
            expect(comment(reader_page, text)).to_have_count(1)
        expect(articles(reader_page)).to_have_count(4)
    expect(chosen(page)).to_have_count(0)
    expect(section(page).get_by_role("alert")).to_have_count(0)


def test_what_is_uploaded_is_only_posted_after_an_outage(site: Site, new_reader: NewReader) -> None:
    page = new_reader().open(site.post_url(site.slugs()[0]))
    reach_section(page)
    uploads: list[str] = []

    def save_and_kill(route: Route) -> None:
        uploads.append(route.request.url)
        answer = route.fetch()
        site.kill()
        route.fulfill(response=answer)

    page.route("**/file/save?**", save_and_kill)
    choose(page, text_file("once.txt"))
    post(page)
    expect(section(page).get_by_text("Not posted yet.")).to_be_visible()
    site.start()
    expect(comment(page, "once.txt")).to_have_count(1)
    expect(chosen(page)).to_have_count(0)
    assert len(uploads) == 1


# Images


def test_an_image_opens_in_place_by_keyboard(site: Site, new_reader: NewReader) -> None:
    reader = new_reader(reduced_motion="reduce", color_scheme="dark")
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    choose(page, picture("low tide.png"))
    post(page)
    thumb = articles(page).get_by_role("link", name="low tide.png")
    thumb.focus()
    address = page.url
    ways: list[Callable[[], None]] = [
        lambda: page.keyboard.press("Escape"),
        lambda: page.keyboard.press("Enter"),
        lambda: page.get_by_role("dialog").click(position={"x": 5, "y": 200}),
    ]
    for close in ways:
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="low tide.png")
        image = dialog.get_by_role("img", name="low tide.png")
        expect_loaded(image)
        assert image.evaluate("image => image.naturalWidth") == 1200
        expect(dialog.get_by_role("button", name="Close")).to_be_focused()
        close()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(thumb).to_be_focused()
    assert page.url == address
    assert reader.problems == []


def assert_nothing_moves(page: Page, other_page: Page) -> None:
    """Have the thumbnail of a high picture come late to *other_page*."""
    choose(page, picture("late.png", 500, 1000))
    post(page)
    expect(articles(page)).to_have_count(1)
    write(page, "Below")
    expect(articles(page)).to_have_count(2)
    held: list[Route] = []
    other_page.route("**/thumb/300", lambda route: held.append(route))
    other_page.goto(page.url)
    reach_section(other_page)
    articles(other_page).first.scroll_into_view_if_needed()
    # Asking the page lets Playwright hear of the request.
    wait_until(lambda: other_page.title() and held, "the thumbnail is asked for")
    before = top_of(comment(other_page, "Below"))
    held[0].continue_()
    expect_loaded(articles(other_page).get_by_role("img", name="late.png"))
    assert top_of(comment(other_page, "Below")) == before


def test_nothing_moves_when_a_thumbnail_comes(page: Page, new_reader: NewReader) -> None:
    assert_nothing_moves(page, new_reader().context.new_page())


def test_the_form_and_the_thread_fit_a_narrow_page(site: Site, new_reader: NewReader) -> None:
    reader = new_reader(viewport={"width": 320, "height": 640}, color_scheme="dark")
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    choose(page, picture("a-name-without-any-place-to-break-it-" * 3 + ".png"), text_file("notes of may.txt"))
    expect(chosen(page)).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    post(page)
    expect(articles(page)).to_have_count(2)
    expect_loaded(articles(page).get_by_role("img"))
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert reader.problems == []


# The hosted service


def test_files_on_the_hosted_service(hosted_site: Site, new_reader: NewReader) -> None:
    one, two = new_reader(), new_reader()
    page, other_page = (reader.open(hosted_site.post_url(hosted_site.slugs()[0])) for reader in (one, two))
    reach_section(page)
    reach_section(other_page)
    choose(page, picture("low tide.png"), text_file("table.txt"))
    post(page, "Look")
    for reader_page in (page, other_page):
        expect(articles(reader_page)).to_have_count(3)
        image = articles(reader_page).get_by_role("img", name="low tide.png")
        expect_loaded(image)
        expect(articles(reader_page).get_by_role("link", name="table.txt")).to_be_visible()
        expect(articles(reader_page).nth(2)).to_contain_text("Robin")
    expect(chosen(page)).to_have_count(0)
    assert one.problems == []
    assert two.problems == []


def test_nothing_moves_where_nobody_knows_how_large_an_image_is(hosted_site: Site, new_reader: NewReader) -> None:
    page = new_reader().open(hosted_site.post_url(hosted_site.slugs()[0]))
    reach_section(page)
    assert_nothing_moves(page, new_reader().context.new_page())
