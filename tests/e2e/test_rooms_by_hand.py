"""Chatrooms that are closed, deleted and brought back by hand, while readers look at them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import (
    Reader,
    Site,
    comment,
    crash,
    expect_live,
    reach_section,
    running_hub,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

CLOSED = "Comments are closed."
GONE = "These comments are not available."


def text_box(page: Page) -> Locator:
    return section(page).get_by_role("textbox", name="Write a comment")


def post_button(page: Page) -> Locator:
    return section(page).get_by_role("button", name="Post comment")


def reload_until(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Load the page again and again: what a command has changed reaches the site after CHATIX_LOOKUP_AGE."""

    def reloaded() -> bool:
        page.reload()
        reach_section(page)
        return condition()

    wait_until(reloaded, what)


def expect_note(page: Page, text: str) -> None:
    expect(section(page).get_by_text(text, exact=True)).to_be_visible()
    expect(section(page).get_by_role("alert").filter(visible=True)).to_have_count(0)


def test_close_and_reopen_while_people_read_and_write(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    reader, writer = new_reader(), new_reader()
    reading, writing = reader.open(site.post_url(slug)), writer.open(site.post_url(slug))
    for page in (reading, writing):
        reach_section(page)
    write(reading, "Before it was closed", name="Robin")
    expect(comment(writing, "Before it was closed")).to_be_visible()
    text_box(writing).fill("Half a thought")

    assert site.chatix("close", slug)["state"] == "closed"
    for page in (reading, writing):
        expect_note(page, CLOSED)
        expect(comment(page, "Before it was closed")).to_be_visible()
        expect(post_button(page)).to_have_count(0)
        expect_live(page)
    expect(text_box(reading)).to_have_count(0)
    expect(text_box(writing)).to_have_value("Half a thought")
    later = new_reader().open(site.post_url(slug))
    reach_section(later)
    expect_note(later, CLOSED)
    expect(text_box(later)).to_have_count(0)

    assert site.chatix("reopen", slug)["state"] == "open"
    for page in (reading, writing, later):
        expect(post_button(page)).to_be_visible()
        expect(section(page).get_by_text(CLOSED)).to_have_count(1)
        expect(section(page).get_by_text(CLOSED)).to_be_hidden()
    section(writing).get_by_role("textbox", name="Name").fill("Kim")
    expect(text_box(writing)).to_have_value("Half a thought")
    post_button(writing).click()
    for page in (reading, later):
        expect(comment(page, "Half a thought")).to_contain_text("Kim")
    assert reader.problems == writer.problems == []


def test_delete_and_restore_while_people_read_and_write(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    reader = new_reader()
    page = reader.open(site.post_url(slug))
    reach_section(page)
    write(page, "Before it was deleted", name="Robin")
    expect(comment(page, "Before it was deleted")).to_be_visible()
    expect(text_box(page)).to_have_value("")
    text_box(page).fill("Half a thought")
    room = site.chatix("show", slug)["chatroom_id"]

    assert site.chatix("delete", slug)["state"] == "deleted"
    expect_note(page, GONE)
    expect(comment(page, "Before it was deleted")).to_be_hidden()
    expect(section(page).get_by_role("status")).to_have_text("")
    expect(text_box(page)).to_have_value("Half a thought")
    expect(post_button(page)).to_have_count(0)
    # Nor an empty line where the buttons were.
    expect(section(page).locator(".chatix-form .chatix-actions")).to_be_hidden()
    late_reader = new_reader()
    late = late_reader.open(site.post_url(slug))
    asked: list[str] = []
    late.on("request", lambda request: asked.append(request.url))
    section(late).scroll_into_view_if_needed()
    expect_note(late, GONE)
    expect(post_button(late)).to_have_count(0)
    # Nobody is sent to a chatroom that lets nobody in.
    assert [url for url in asked if str(site.hub_port) in url] == []
    assert len([url for url in asked if url.endswith("/join")]) == 1

    assert site.chatix("restore", slug)["state"] == "open"
    expect(comment(page, "Before it was deleted")).to_be_visible()
    expect_live(page)
    expect(text_box(page)).to_have_value("Half a thought")
    expect(post_button(page)).to_be_visible()
    assert api.get_chatroom(room).number_of_visitors == 1
    # The page that came too late looks again when its reader does, and by itself about once a minute.
    late.evaluate("dispatchEvent(new Event('online'))")
    expect(comment(late, "Before it was deleted")).to_be_visible()
    expect_live(late)
    assert reader.problems == late_reader.problems == []


def test_deleted_and_restored_in_a_dashboard(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    """Nobody tells the site: pages and their readers find it out."""
    slug = site.slugs()[0]
    reader, late_reader = new_reader(), new_reader()
    page = reader.open(site.post_url(slug))
    reach_section(page)
    write(page, "Before it was deleted", name="Robin")
    expect(comment(page, "Before it was deleted")).to_be_visible()
    room = site.chatix("show", slug)["chatroom_id"]

    api.delete_chatroom(room)
    expect_note(page, GONE)
    late = late_reader.open(site.post_url(slug))
    section(late).scroll_into_view_if_needed()
    expect_note(late, GONE)
    # The page that the hub has not let in says so when it asks again, and the site looks.
    late.evaluate("dispatchEvent(new Event('online'))")
    wait_until(lambda: site.chatix("show", slug)["state"] == "deleted", "the registry knows")
    expect_note(late, GONE)

    api.restore_chatroom(room)
    # This one has heard it from the hub, where it has been all the time.
    expect(comment(page, "Before it was deleted")).to_be_visible()
    expect_live(page)
    assert reader.problems == late_reader.problems == []


def test_a_comment_that_is_deleted_by_hand_goes_from_all_pages(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    write(page, "Buy my watches", name="Robin")
    expect(comment(page, "Buy my watches")).to_be_visible()
    wait_until(lambda: site.chatix("messages", slug), "the comment is stored")
    (row,) = site.chatix("messages", slug)
    assert (row["content"], row["sender_name"], row["type"]) == ("Buy my watches", "Robin", "text")
    assert site.chatix("delete-message", row["message_id"])["post_id"] == slug
    expect(comment(page, "Buy my watches")).to_have_count(0)
    assert site.chatix("messages", slug) == []


def test_a_chatroom_from_the_dashboard_becomes_the_posts(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug, other = site.slugs()[:2]
    # The hub starts with the first page.
    new_reader().open(site.post_url(other))
    made = wait_until(lambda: api.ping() and api.create_chatroom("Made by hand"), "the hub is there")
    api.send_message(made.chatroom_id, sender_id="somebody", content="Written before the post was")
    assert site.chatix("link", slug, made.chatroom_id)["title"] == "Made by hand"
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    expect(comment(page, "Written before the post was")).to_be_visible()
    site.chatix("unlink", slug)
    site.chatix("link", other, made.chatroom_id)
    moved = new_reader().open(site.post_url(other))
    reach_section(moved)
    expect(comment(moved, "Written before the post was")).to_be_visible()

    def has_a_thread_of_its_own() -> bool:
        page.reload()
        reach_section(page)
        return section(page).get_by_text("No comments yet.").is_visible()

    # The site takes a post for what it was for up to CHATIX_LOOKUP_AGE.
    wait_until(has_a_thread_of_its_own, "the post has another chatroom")


def test_sweep_takes_out_a_reader_whose_browser_crashed_and_nobody_else(
    site: Site, api: ChatixApi, new_reader: NewReader
) -> None:
    slug = site.slugs()[0]
    killed, here = new_reader(), new_reader()
    for reader in (killed, here):
        reach_section(reader.open(site.post_url(slug)))
    room = site.chatix("show", slug)["chatroom_id"]
    assert api.get_chatroom(room).number_of_visitors == 2
    crash(killed.context.pages[0])
    wait_until(
        lambda: [visitor.is_online for visitor in api.list_visitors(room)].count(False) == 1, "one has gone offline"
    )
    result = site.chatix("sweep", "--grace", "0")
    assert (result["offline"], result["taken_out"], result["came_back"]) == (1, 1, 0)
    (left,) = api.list_visitors(room)
    assert left.is_online
    page = here.context.pages[0]
    write(page, "Still here", name="Robin")
    expect(comment(page, "Still here")).to_be_visible()
    assert here.problems == []


def test_on_a_hosted_service(tmp_path: Path, new_reader: NewReader) -> None:
    """Our hub stands in for it; the browser uses what the SDK documents, and no more."""
    key, website_id = "the-key-of-the-hosted-account", "site-1234"
    with running_hub(tmp_path, website_id=website_id, api_key=key) as service:
        settings = {"CHATIX_WEBSITE_ID": website_id, "CHATIX_API_KEY": key, "CHATIX_API_URL": service.url}
        site = Site(tmp_path / "data", settings=settings)
        site.start()
        try:
            slug = site.slugs()[0]
            reader = new_reader()
            page = reader.open(site.post_url(slug))
            reach_section(page)
            write(page, "Before it was deleted", name="Robin")
            expect(comment(page, "Before it was deleted")).to_be_visible()
            site.chatix("delete", slug)
            expect_note(page, GONE)
            site.chatix("restore", slug)
            expect(comment(page, "Before it was deleted")).to_be_visible()
            expect(post_button(page)).to_be_visible()
            site.chatix("close", slug)
            reload_until(page, lambda: section(page).get_by_text(CLOSED, exact=True).is_visible(), "it is closed")
            expect_note(page, CLOSED)
            site.chatix("reopen", slug)
            reload_until(page, post_button(page).is_visible, "there is a form again")
            page.close()
            result = site.chatix("sweep", "--grace", "0")
            assert result["failures"] == []
            assert site.chatix("show", slug)["number_of_visitors"] == 0
            assert reader.problems == []
        finally:
            site.stop()
