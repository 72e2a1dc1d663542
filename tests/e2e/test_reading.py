"""Nothing moves while somebody reads, and what is new can be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import Reader, Site, articles, comment, expect_live, reach_section, section, write

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]


@pytest.fixture(scope="module")
def busy_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running example site."""
    site = Site(tmp_path_factory.mktemp("busy") / "data")
    site.start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def busy_api(busy_site: Site) -> Iterator[ChatixApi]:
    api = busy_site.api()
    yield api
    api.close()


@dataclass
class Thread:
    """The thread of one post, in which somebody else writes."""

    url: str
    api: ChatixApi
    chatroom_id: str

    def say(self, text: str) -> str:
        return self.api.send_message(self.chatroom_id, content=text, sender_id="somebody-else-entirely").message_id


@pytest.fixture
def new_thread(busy_site: Site, busy_api: ChatixApi, new_reader: NewReader) -> Callable[[int, int], Thread]:
    """Fill the thread of the post of this place in the index with so many comments."""

    def make(index: int, comments: int) -> Thread:
        slug = busy_site.slugs()[index]
        reach_section(new_reader().open(busy_site.post_url(slug)))
        thread = Thread(busy_site.post_url(slug), busy_api, busy_site.chatix("show", slug)["chatroom_id"])
        for number in range(1, comments + 1):
            thread.say(f"Comment number {number}.\nIt has a second line.")
        return thread

    return make


def place_of(found: Locator) -> float:
    box = found.bounding_box()
    assert box is not None
    return box["y"]


def test_new_comments_are_told_and_move_nothing(
    new_thread: Callable[[int, int], Thread], new_reader: NewReader
) -> None:
    thread = new_thread(0, 20)
    first_id = thread.say("Long, and soon to be gone.\n" * 8)
    reader = new_reader()
    page = reader.open(thread.url)
    reach_section(page)
    expect(section(page).get_by_role("heading", name="Comments")).to_have_text("Comments 21")
    reading = comment(page, "Comment number 10.")
    reading.evaluate("it => it.scrollIntoView({block: 'start'})")
    place = place_of(reading)

    for number in range(1, 4):
        thread.say(f"News number {number}.\n" * 6)
    button = section(page).get_by_role("button", name="3 new comments")
    expect(button).to_be_visible()
    assert place_of(reading) == place
    first = articles(page).first
    expect(first).to_contain_text("Comment number 1.")
    oldest_id = thread.api.list_messages(thread.chatroom_id)[0].message_id
    thread.api.update_message(thread.chatroom_id, oldest_id, content="Reworded, and much longer.\n" * 12)
    expect(first).to_contain_text("Reworded")
    thread.api.delete_message(thread.chatroom_id, first_id)
    expect(comment(page, "soon to be gone")).to_have_count(0)
    assert abs(place_of(reading) - place) < 1

    button.focus()
    page.keyboard.press("Enter")
    expect(comment(page, "News number 1.")).to_be_focused()
    expect(comment(page, "News number 1.")).to_be_in_viewport()
    comment(page, "News number 3.").scroll_into_view_if_needed()
    expect(section(page).get_by_role("button", name="new comment")).to_have_count(0)
    assert reader.problems == []


def test_a_link_leads_to_an_older_comment_and_a_visit_to_what_is_new(
    new_thread: Callable[[int, int], Thread], new_reader: NewReader
) -> None:
    thread = new_thread(1, 2)
    linked_id = thread.say("The one that is linked to")
    for number in range(40):
        thread.say(f"Later comment {number}.")
    reader = new_reader()
    page = reader.open(f"{thread.url}#comment-{linked_id}")
    linked = comment(page, "The one that is linked to")
    expect(linked).to_be_in_viewport()
    expect(linked).to_be_focused()
    expect_live(page)

    write(page, "I was here", name="Robin")
    expect(comment(page, "I was here")).to_be_visible()
    page.goto(f"{thread.url}?elsewhere")
    page.goto("about:blank")
    thread.say("Since then")
    page.goto(thread.url)
    reach_section(page)
    expect(comment(page, "Since then")).to_contain_text("New since your last visit")
    expect(section(page).get_by_text("New since your last visit")).to_have_count(1)
    assert reader.problems == []


def test_how_many_read_is_a_number(new_thread: Callable[[int, int], Thread], new_reader: NewReader) -> None:
    thread = new_thread(2, 0)
    pages = [new_reader().open(thread.url) for _ in range(2)]
    for page in pages:
        reach_section(page)
    for page in pages:
        expect(section(page).get_by_text("reading", exact=False)).to_have_text("3 reading")


def test_sections_of_several_posts_are_on_one_page_in_details_and_a_dialog(
    busy_site: Site, new_reader: NewReader
) -> None:
    here, folded, boxed = busy_site.slugs()[3:6]
    reader = new_reader()
    page = reader.open(busy_site.post_url(here))
    reach_section(page)
    page.evaluate(
        """async ([folded, boxed]) => {
          const elementOf = async (url) =>
            new DOMParser().parseFromString(await (await fetch(url)).text(), "text/html")
              .querySelector("chatix-comments");
          const details = document.createElement("details");
          details.append(Object.assign(document.createElement("summary"), { textContent: "More" }));
          details.append(document.adoptNode(await elementOf(folded)));
          const dialog = document.createElement("dialog");
          dialog.append(document.adoptNode(await elementOf(boxed)));
          document.querySelector("main").append(details, dialog);
          globalThis.told = [];
          document.addEventListener("chatix:posted", ({ target }) => told.push(target.parentElement.localName));
        }""",
        [busy_site.post_url(folded), busy_site.post_url(boxed)],
    )
    for opening, name in (("details", "folded"), ("dialog", "boxed")):
        inside = page.locator(opening)
        expect(inside.get_by_role("status")).to_have_count(0)
        inside.evaluate("it => it.showModal ? it.showModal() : (it.open = true)")
        inside.locator("chatix-comments").scroll_into_view_if_needed()
        expect(inside.get_by_role("status")).to_have_text("Live")
        inside.get_by_role("textbox", name="Name").fill("Robin")
        inside.get_by_role("textbox", name="Write a comment").fill(f"In the {name} one")
        inside.get_by_role("button", name="Post comment").click()
        expect(inside.get_by_role("article")).to_have_count(1)
    assert page.evaluate("told") == ["details", "dialog"]
    for slug, text in ((folded, "In the folded one"), (boxed, "In the boxed one")):
        elsewhere = reader.open(busy_site.post_url(slug))
        reach_section(elsewhere)
        expect(comment(elsewhere, text)).to_have_count(1)
        expect(articles(elsewhere)).to_have_count(1)
    assert reader.problems == []
