"""Visitors are taken out of the rooms of pages that they have left."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, WebSocket, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import (
    CHROMIUM_ARGS,
    Reader,
    Site,
    articles,
    comment,
    crash,
    expect_live,
    find_chromium,
    reach_section,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

# The hub's own grace time is 60 s: what happens sooner was said by the page.
SOON_S = 20.0


def take_part(page: Page, name: str = "Robin") -> None:
    reach_section(page)
    write(page, f"{name} was here", name=name)
    expect(comment(page, f"{name} was here").first).to_be_visible()


@pytest.fixture
def count(site: Site, api: ChatixApi) -> Callable[[str], int]:
    """Ask the hub how many visitors a post's room has."""
    rooms: dict[str, str] = {}

    def ask(slug: str) -> int:
        if slug not in rooms:
            rooms[slug] = site.chatix("show", slug)["chatroom_id"]
        return api.get_chatroom(rooms[slug]).number_of_visitors

    return ask


def wait_for_count(count: Callable[[str], int], slug: str, wanted: int, *, deadline_s: float = SOON_S) -> None:
    wait_until(lambda: count(slug) == wanted, f"{wanted} visitors in {slug}", deadline_s=deadline_s)


@pytest.fixture
def slug(site: Site) -> str:
    return site.slugs()[0]


def test_leaving_by_a_link(site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader) -> None:
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    wait_for_count(count, slug, 1)
    page.goto(f"{site.url}/about/")
    wait_for_count(count, slug, 0)


def test_leaving_for_another_post(site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader) -> None:
    other = site.slugs()[1]
    page = new_reader().open(site.post_url(slug))
    take_part(page)
    wait_for_count(count, slug, 1)
    page.goto(site.post_url(other))
    reach_section(page)
    wait_for_count(count, other, 1)
    wait_for_count(count, slug, 0)


def test_leaving_by_closing_the_tab(site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader) -> None:
    page = new_reader().open(site.post_url(slug))
    take_part(page)
    wait_for_count(count, slug, 1)
    page.close()
    wait_for_count(count, slug, 0)


MUTE_SOCKETS = """
addEventListener("pagehide", () => {
  for (const name of ["send", "close"]) WebSocket.prototype[name] = () => {};
}, { capture: true });
"""


@pytest.mark.parametrize("has_taken_part", [False, True], ids=["a reader", "a guest"])
def test_leaving_when_only_the_beacon_can_say_so(
    site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader, has_taken_part: bool
) -> None:
    """As on a slow line, where the socket is gone before what was written to it."""
    reader = new_reader()
    reader.context.add_init_script(MUTE_SOCKETS)
    page = reader.open(site.post_url(slug))
    reach_section(page)
    if has_taken_part:
        take_part(page)
    wait_for_count(count, slug, 1)
    # Nothing there sweeps up behind it.
    page.goto("about:blank")
    wait_for_count(count, slug, 0)


def test_leaving_when_the_element_is_removed(
    site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader
) -> None:
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    wait_for_count(count, slug, 1)
    page.evaluate("window.kept = document.querySelector('chatix-comments'); window.kept.remove()")
    wait_for_count(count, slug, 0)
    page.evaluate("document.querySelector('main, body').append(window.kept)")
    reach_section(page)
    wait_for_count(count, slug, 1)


def test_two_tabs_on_one_post(site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader) -> None:
    reader = new_reader()
    first = reader.open(site.post_url(slug))
    take_part(first)
    second = reader.open(site.post_url(slug))
    reach_section(second)
    expect(articles(second)).to_have_count(1)
    wait_for_count(count, slug, 1)
    second.close()
    write(first, "Still here")
    expect(comment(first, "Still here")).to_be_visible()
    other = new_reader().open(site.post_url(slug))
    reach_section(other)
    wait_for_count(count, slug, 2)
    write(other, "Do you hear me?", name="Kim")
    expect(comment(first, "Do you hear me?")).to_be_visible()


def test_the_next_start_leaves_what_a_crash_left(
    site: Site, slug: str, count: Callable[[str], int], new_reader: NewReader
) -> None:
    reader = new_reader()
    page = reader.open(site.post_url(slug))
    take_part(page)
    wait_for_count(count, slug, 1)
    crash(page)
    later = reader.context.new_page()
    later.goto(f"{site.url}/about/")
    wait_for_count(count, slug, 0)


def test_the_hub_drops_a_crashed_reader_by_itself(tmp_path: Path, new_reader: NewReader) -> None:
    site = Site(tmp_path / "data")
    with site.hub_apart(grace_s=2.0), contextlib.closing(site.api()) as api:
        site.start()
        slug = site.slugs()[0]
        page = new_reader().open(site.post_url(slug))
        reach_section(page)
        room = site.chatix("show", slug)["chatroom_id"]
        assert api.get_chatroom(room).number_of_visitors == 1
        crash(page)
        wait_until(lambda: api.get_chatroom(room).number_of_visitors == 0, "the reader to be out")
        site.stop()


@pytest.fixture
def plain_http_reader(playwright: Playwright) -> Iterator[Reader]:
    """A reader for whom the site is on a host of its own: plain http there has no Web Locks."""
    browser = playwright.chromium.launch(
        executable_path=find_chromium(), args=[*CHROMIUM_ARGS, "--host-resolver-rules=MAP blog.test 127.0.0.1"]
    )
    yield Reader(browser.new_context())
    browser.close()


def test_on_plain_http_a_heartbeat_stands_in_for_the_locks(
    site: Site, slug: str, count: Callable[[str], int], plain_http_reader: Reader
) -> None:
    url = site.post_url(slug).replace("127.0.0.1", "blog.test")
    first = plain_http_reader.open(url)
    assert first.evaluate("[isSecureContext, navigator.locks === undefined]") == [False, True]
    take_part(first)
    second = plain_http_reader.open(url)
    reach_section(second)
    second.close()
    write(first, "Still here")
    expect(comment(first, "Still here")).to_be_visible()
    wait_for_count(count, slug, 1)
    assert plain_http_reader.problems == []

    crash(first)
    about = plain_http_reader.context.new_page()
    about.goto(f"{site.url.replace('127.0.0.1', 'blog.test')}/about/")
    entries = "Object.keys(localStorage).filter((key) => key.startsWith('chatix-comments:room:'))"
    (key,) = about.evaluate(entries)  # Its heart may still be beating, for all that anybody knows.
    about.evaluate(
        """(key) => {
          const entry = JSON.parse(localStorage.getItem(key));
          localStorage.setItem(key, JSON.stringify({ ...entry, seenAt: Date.now() - 4 * 60_000 }));
        }""",
        key,
    )
    about.reload()
    wait_for_count(count, slug, 0)
    wait_until(lambda: about.evaluate(entries) == [], "the ledger is empty")


@pytest.fixture
def chromium_with_cache(playwright: Playwright) -> Iterator[Browser]:
    """A browser with the back-forward cache, which Playwright turns off by default."""
    browser = playwright.chromium.launch(
        executable_path=find_chromium(),
        args=CHROMIUM_ARGS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    yield browser
    browser.close()


def test_back_and_forward_with_the_cache(
    site: Site, slug: str, count: Callable[[str], int], chromium_with_cache: Browser
) -> None:
    context = chromium_with_cache.new_context()
    page = context.new_page()
    page.goto(site.post_url(slug))
    take_part(page)
    page.evaluate("window.fromCache = false; addEventListener('pageshow', e => { window.fromCache = e.persisted; })")
    wait_for_count(count, slug, 1)
    page.goto(f"{site.url}/about/")
    wait_for_count(count, slug, 0)
    page.go_back(wait_until="commit")  # There is no load event: the page was never unloaded.
    expect_live(page)
    assert page.evaluate("window.fromCache") is True
    wait_for_count(count, slug, 1)
    expect(articles(page)).to_have_count(1)
    write(page, "Back again")
    expect(comment(page, "Back again")).to_be_visible()
    expect(section(page).get_by_role("textbox", name="Name")).to_have_value("Robin")
    context.close()


HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_tab_that_nobody_looks_at_rests(site: Site, slug: str, new_reader: NewReader) -> None:
    page = new_reader().context.new_page()
    page.clock.install()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    page.goto(site.post_url(slug))
    reach_section(page)
    page.evaluate(HIDE, True)
    # So long without a ping that the page may think the line dead, and begin another; that one is let go, too.
    page.clock.fast_forward(5 * 60 * 1000)
    wait_until(lambda: page.evaluate("true") and all(it.is_closed() for it in sockets), "the connection to be let go")
    other = new_reader().open(site.post_url(slug))
    reach_section(other)
    write(other, "Written while nobody looked", name="Kim")
    expect(comment(other, "Written while nobody looked")).to_be_visible()
    used = len(sockets)
    page.clock.fast_forward(10 * 60 * 1000)
    assert articles(page).count() == 0
    assert len(sockets) == used
    page.evaluate(HIDE, False)
    expect(comment(page, "Written while nobody looked")).to_be_visible()
    expect_live(page)
    assert len(sockets) == used + 1
