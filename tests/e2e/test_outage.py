"""The hub goes away and comes back; nothing that was written is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect

from flask_chatix_comments.hub.server import HubThread
from tests.e2e.support import (
    TICKET_KEY,
    Reader,
    Site,
    articles,
    comment,
    crash,
    expect_live,
    reach_section,
    running_hub,
    section,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]


def test_the_hub_is_killed_and_started_again_in_the_middle_of_a_talk(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    page_one, page_two = new_reader().open(site.post_url(slug)), new_reader().open(site.post_url(slug))
    reach_section(page_one)
    reach_section(page_two)
    write(page_one, "Before the outage", name="Robin")
    expect(comment(page_two, "Before the outage")).to_be_visible()

    site.kill()
    for page in (page_one, page_two):
        expect(section(page).get_by_role("status")).not_to_have_text("Live")
    write(page_two, "Written during the outage", name="Kim")
    site.start()
    expect_live(page_one)
    expect_live(page_two)
    for page in (page_one, page_two):
        expect(comment(page, "Written during the outage")).to_have_count(1)
        expect(comment(page, "Before the outage")).to_have_count(1)
        expect(articles(page)).to_have_count(2)
    expect(section(page_two).get_by_role("textbox", name="Write a comment")).to_have_value("")


@pytest.fixture
def run_hub(tmp_path: Path) -> Callable[..., AbstractContextManager[HubThread]]:
    """Run a hub beside the site, again and again on the same data."""
    return partial(running_hub, tmp_path, website_id="local", api_key="the-key-of-this-hub")


@pytest.fixture
def site_with_a_hub_elsewhere(tmp_path: Path) -> Iterator[Site]:
    """A site that runs no hub; it has not started, since nobody knows the hub's port yet."""
    settings = {"CHATIX_HUB_API_KEY": "the-key-of-this-hub", "CHATIX_TICKET_KEY": TICKET_KEY}
    site = Site(tmp_path / "data", settings=settings)
    yield site
    site.stop()


def test_a_hub_elsewhere_goes_away_while_the_site_stays(
    run_hub: Callable[..., AbstractContextManager[HubThread]], site_with_a_hub_elsewhere: Site, new_reader: NewReader
) -> None:
    site = site_with_a_hub_elsewhere
    with run_hub() as hub:
        site.settings["CHATIX_HUB_URL"] = hub.url
        site.start()
        page = new_reader().open(site.post_url(site.slugs()[0]))
        reach_section(page)
        write(page, "Before the outage", name="Robin")
        expect(comment(page, "Before the outage")).to_be_visible()
    expect(section(page).get_by_role("status")).not_to_have_text("Live")
    write(page, "Written during the outage")
    with run_hub(port=hub.port):
        expect_live(page)
        expect(comment(page, "Written during the outage")).to_have_count(1)
        expect(articles(page)).to_have_count(2)


def test_what_others_did_meanwhile_is_asked_for(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    away, other = new_reader(), new_reader()
    page = away.open(site.post_url(slug))
    reach_section(page)
    other_page = other.open(site.post_url(slug))
    reach_section(other_page)
    write(other_page, "Will be reworded", name="Kim")
    expect(comment(page, "Will be reworded")).to_be_visible()
    write(other_page, "Will be deleted")
    expect(comment(page, "Will be deleted")).to_be_visible()

    site.kill()
    expect(section(page).get_by_role("status")).not_to_have_text("Live")
    away.context.set_offline(True)
    site.start()
    expect_live(other_page)
    api = site.api()
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    first, second = api.list_messages(chatroom_id)
    api.update_message(chatroom_id, first.message_id, content="Reworded meanwhile")
    api.delete_message(chatroom_id, second.message_id)
    write(other_page, "New meanwhile")
    expect(comment(other_page, "New meanwhile")).to_be_visible()
    expect(section(page).get_by_role("status")).to_have_text("Offline")
    away.context.set_offline(False)
    expect_live(page)
    expect(comment(page, "New meanwhile")).to_be_visible()
    expect(comment(page, "Reworded meanwhile")).to_be_visible()
    expect(comment(page, "Will be deleted")).to_have_count(0)
    expect(articles(page)).to_have_count(2)
    api.close()


def test_what_is_typed_stays_on_the_page_until_it_is_acknowledged(site: Site, new_reader: NewReader) -> None:
    page = new_reader().open(site.post_url(site.slugs()[0]))
    reach_section(page)
    box = section(page).get_by_role("textbox", name="Write a comment")
    box.fill("Half a thought")
    site.kill()
    expect(section(page).get_by_role("status")).not_to_have_text("Live")
    expect(box).to_have_value("Half a thought")
    site.start()
    expect_live(page)
    expect(box).to_have_value("Half a thought")


def test_what_was_written_outlives_a_crashed_page(site: Site, new_reader: NewReader) -> None:
    url, reader = site.post_url(site.slugs()[0]), new_reader()
    page = reader.open(url)
    reach_section(page)
    write(page, "Before the crash", name="Robin")
    expect(comment(page, "Before the crash")).to_be_visible()
    section(page).get_by_role("textbox", name="Write a comment").fill("Half a thought")
    crash(page)
    page.close()
    page = reader.open(url)
    reach_section(page)
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("Half a thought")

    site.kill()
    expect(section(page).get_by_role("status")).not_to_have_text("Live")
    write(page, "Half a thought, and no line")
    expect(section(page).get_by_text("Not posted yet.")).to_be_visible()
    crash(page)
    page.close()
    site.start()
    tabs = [reader.open(url) for _ in range(2)]
    for tab in tabs:
        reach_section(tab)
        expect(comment(tab, "Half a thought, and no line")).to_have_count(1)
        expect(section(tab).get_by_role("textbox", name="Write a comment")).to_have_value("")
        expect(articles(tab)).to_have_count(2)


def test_the_first_page_of_a_site_whose_hub_port_is_taken_stays_whole(site: Site, new_reader: NewReader) -> None:
    import socket

    site.stop()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", site.hub_port))
        thief.listen()
        site.start()
        page = new_reader().open(site.post_url(site.slugs()[0]))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found = section(page)
        found.scroll_into_view_if_needed()
        expect(found.get_by_role("status")).to_have_text("Offline")
        assert "CHATIX_HUB_PORT" in site.log
    expect_live(page)


def test_a_script_that_fails_to_load_is_said_and_can_be_tried_again(site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    page = reader.context.new_page()
    page.route("**/section-*.js", lambda route: route.abort())
    page.goto(site.post_url(site.slugs()[0]))
    found = section(page)
    found.scroll_into_view_if_needed()
    expect(found.get_by_role("alert")).to_be_visible()
    page.unroute("**/section-*.js")
    found.get_by_role("button", name="Try again").click()
    expect_live(page)


def test_blocked_storage_does_not_stop_the_talk(site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    reader.context.add_init_script(
        """
        for (const name of ["localStorage", "sessionStorage"]) {
          Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
        }
        """
    )
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    write(page, "No storage, no trouble", name="Robin")
    expect(comment(page, "No storage, no trouble")).to_be_visible()
    assert reader.problems == []


def test_an_empty_and_a_huge_comment_are_refused_and_kept(site: Site, new_reader: NewReader) -> None:
    page = new_reader().open(site.post_url(site.slugs()[0]))
    found = reach_section(page)
    write(page, "   ", name="Robin")
    expect(found.get_by_role("alert")).to_be_visible()
    expect(articles(page)).to_have_count(0)
    huge = "x" * 10_001
    write(page, huge)
    expect(found.get_by_role("alert")).to_contain_text("10,000")
    expect(found.get_by_role("textbox", name="Write a comment")).to_have_value(huge)
    write(page, "Short enough")
    expect(comment(page, "Short enough")).to_be_visible()
    expect(found.get_by_role("alert")).to_have_count(0)
