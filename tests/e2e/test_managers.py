"""The author moderates and whispers; readers change their own comments, and see nothing of what is not theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import Reader, Site, articles, comment, expect_live, reach_section, section, write

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

SECRET = "Between us: is this the neighbour?"
# A clock that is wrong by a day; what passes is measured otherwise.
WRONG_CLOCK = """
const RightDate = Date, wrongBy = -86_400_000;
globalThis.Date = class extends RightDate {
  constructor(...given) { super(...(given.length ? given : [RightDate.now() + wrongBy])); }
  static now() { return RightDate.now() + wrongBy; }
};
"""


class Frames:
    """What goes over the sockets of a page, both ways."""

    def __init__(self, page: Page) -> None:
        self.texts: list[str] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        for event in ("framereceived", "framesent"):
            socket.on(event, lambda payload: self.texts.append(str(payload)))

    def hold(self, text: str) -> bool:
        return any(text in frame for frame in self.texts)


def sign_in(reader: Reader, site: Site, name: str) -> None:
    page = reader.open(f"{site.url}/sign-in/")
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("main")).to_contain_text(f"You are signed in as {name}")


@pytest.fixture
def author(site: Site, new_reader: NewReader) -> Reader:
    """A browser in which the author of the blog is signed in."""
    reader = new_reader()
    sign_in(reader, site, "Marit")
    return reader


@pytest.fixture
def post_url(site: Site) -> str:
    return site.post_url(site.slugs()[0])


def open_section(reader: Reader, url: str) -> Page:
    page = reader.open(url)
    reach_section(page)
    return page


def whisper_box(page: Page) -> Locator:
    return section(page).get_by_role("checkbox", name="Whisper: only managers will see this")


def whisper(page: Page, text: str) -> None:
    whisper_box(page).check()
    section(page).get_by_role("textbox", name="Write a whisper").fill(text)
    section(page).get_by_role("button", name="Send whisper").click()
    expect(comment(page, text)).to_contain_text("Whisper, for managers only")


def action(page: Page, text: str, name: str) -> Locator:
    return comment(page, text).get_by_role("button", name=name)


def edit(page: Page, text: str, new_text: str) -> None:
    action(page, text, "Edit").click()
    article = articles(page).filter(has=page.locator("textarea"))
    article.get_by_role("textbox").fill(new_text)
    article.get_by_role("button", name="Save").click()
    expect(comment(page, new_text)).to_contain_text("edited")


def test_a_whisper_reaches_managers_and_nobody_else(
    site: Site, api: ChatixApi, author: Reader, new_reader: NewReader, post_url: str
) -> None:
    guest, second = new_reader(), new_reader()
    sign_in(second, site, "Marit")
    guest_page = guest.context.new_page()
    frames = Frames(guest_page)
    guest_page.goto(post_url)
    reach_section(guest_page)
    write(guest_page, "Good evening", name="Robin")
    author_page, second_page = open_section(author, post_url), open_section(second, post_url)

    whisper(author_page, SECRET)
    expect(comment(second_page, SECRET)).to_contain_text("Whisper, for managers only")
    edit(author_page, SECRET, f"{SECRET} Or not?")
    expect(comment(second_page, "Or not?")).to_be_visible()
    # The switch stays on until somebody switches it off.
    expect(whisper_box(author_page)).to_be_checked()
    whisper_box(author_page).uncheck()
    write(author_page, "Good evening, Robin")
    # What comes after the whispers has come: so would they have.
    expect(comment(guest_page, "Good evening, Robin")).to_be_visible()

    # Nor by catching up after an outage, nor by a new page.
    guest.context.set_offline(True)
    expect(section(guest_page).get_by_role("status")).not_to_have_text("Live")
    whisper(author_page, f"{SECRET} Once more")
    guest.context.set_offline(False)
    expect_live(guest_page)
    guest_page.reload()
    reach_section(guest_page)
    expect(articles(guest_page)).to_have_count(2)

    assert frames.hold("Good evening, Robin")
    for trace in ("Between us", "is_whisper", "is_manager"):
        assert not frames.hold(trace), trace
        assert trace not in guest_page.content()
    expect(whisper_box(guest_page)).to_be_hidden()
    chatroom_id = site.chatix("show", site.slugs()[0])["chatroom_id"]
    assert [message.content for message in api.list_messages(chatroom_id)] == ["Good evening", "Good evening, Robin"]
    assert author.problems == []


def test_only_managers_have_the_badge_and_nobody_has_their_names(
    author: Reader, new_reader: NewReader, post_url: str
) -> None:
    author_page, guest_page = open_section(author, post_url), open_section(new_reader(), post_url)
    write(author_page, "I am the author")
    by_author = comment(guest_page, "I am the author")
    expect(by_author.get_by_role("img", name="Team")).to_be_visible()
    for name in ("Marit Lund", "MARIT  LUND ✓", "M\u0430rit Lund"):
        write(guest_page, "I am the author, too", name=name)
        expect(section(guest_page).get_by_role("alert")).to_have_text(
            "This name belongs to somebody who is known on this site. Please choose another."
        )
        expect(section(guest_page).get_by_role("textbox", name="Name")).to_be_focused()
    write(guest_page, "I am not the author", name="Marit Lund Team")
    by_guest = comment(guest_page, "I am not the author")
    expect(by_guest).to_be_visible()
    expect(by_guest.get_by_role("img")).to_have_count(0)
    expect(by_guest.locator(".chatix-badge")).to_have_count(0)
    expect(comment(author_page, "I am not the author")).to_be_visible()
    expect(comment(author_page, "too")).to_have_count(0)


def test_a_manager_edits_and_deletes_what_others_wrote(author: Reader, new_reader: NewReader, post_url: str) -> None:
    guest_page = open_section(new_reader(), post_url)
    write(guest_page, "A rude word", name="Robin")
    write(guest_page, "Something else")
    author_page = open_section(author, post_url)
    edit(author_page, "A rude word", "A kind word")
    expect(comment(guest_page, "A kind word")).to_contain_text("edited")
    expect(comment(guest_page, "A kind word")).to_contain_text("Robin")
    action(author_page, "Something else", "Delete").click()
    expect(comment(author_page, "Something else").get_by_role("button", name="Keep")).to_be_focused()
    action(author_page, "Something else", "Delete").click()
    for page in (author_page, guest_page):
        expect(comment(page, "Something else")).to_have_count(0)
    # The keyboard is at the comment beside it, not at the top of the page.
    expect(comment(author_page, "A kind word")).to_be_focused()
    assert author.problems == []


def test_a_reader_changes_own_comments_by_keyboard(new_reader: NewReader, post_url: str) -> None:
    one, two = new_reader(), new_reader()
    page, other_page = open_section(one, post_url), open_section(two, post_url)
    write(page, "Frist!", name="Robin")
    expect(comment(page, "Frist!")).to_be_visible()
    box = section(page).get_by_role("textbox", name="Write a comment")
    expect(box).to_have_value("")
    expect(section(other_page).get_by_role("article").get_by_role("button")).to_have_count(0)

    section(page).get_by_role("textbox", name="Name").focus()
    page.keyboard.press("Shift+Tab")
    expect(section(page).get_by_role("button", name="Delete your comment: “Frist!”")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(section(page).get_by_role("button", name="Edit your comment: “Frist!”")).to_be_focused()
    page.keyboard.press("Enter")
    expect(section(page).get_by_role("textbox", name="Edit your comment: “Frist!”")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("First!")
    page.keyboard.press("Control+Enter")
    expect(comment(other_page, "First!")).to_contain_text("edited")
    expect(section(page).get_by_role("button", name="Edit your comment: “First!”")).to_be_focused()

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(section(page).get_by_role("button", name="Delete your comment: “First!”")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    for each in (page, other_page):
        expect(articles(each)).to_have_count(0)
    assert one.problems == []


def test_what_is_typed_outlives_an_outage_and_somebody_elses_deletion(
    author: Reader, new_reader: NewReader, post_url: str
) -> None:
    guest = new_reader()
    guest_page, author_page = open_section(guest, post_url), open_section(author, post_url)
    write(guest_page, "The first wording", name="Robin")
    expect(comment(author_page, "The first wording")).to_be_visible()
    guest.context.set_offline(True)
    expect(section(guest_page).get_by_role("status").first).not_to_have_text("Live")
    action(guest_page, "The first wording", "Edit").click()
    editor = articles(guest_page).get_by_role("textbox")
    editor.fill("The second wording")
    articles(guest_page).get_by_role("button", name="Save").click()
    expect(articles(guest_page)).to_contain_text("Not saved yet.")
    guest.context.set_offline(False)
    expect(comment(author_page, "The second wording")).to_be_visible()
    expect(editor).to_have_count(0)

    action(guest_page, "The second wording", "Edit").click()
    editor.fill("Half a thought")
    edit(author_page, "The second wording", "The author's wording")
    expect(articles(guest_page).get_by_role("alert")).to_contain_text("changed meanwhile")
    expect(comment(guest_page, "The author's wording")).to_be_visible()
    action(author_page, "The author's wording", "Delete").click()
    action(author_page, "The author's wording", "Delete").click()
    expect(articles(guest_page).get_by_role("alert")).to_contain_text("deleted meanwhile")
    expect(editor).to_have_value("Half a thought")
    articles(guest_page).get_by_role("button", name="Close").click()
    expect(articles(guest_page)).to_have_count(0)


@pytest.fixture
def hasty_site(tmp_path: Path) -> Iterator[Site]:
    """A site that lets readers change their comments for a few seconds only."""
    site = Site(tmp_path / "hasty", settings={"CHATIX_EDIT_WINDOW": "8"})
    site.start()
    yield site
    site.stop()


def test_the_window_closes_by_the_hubs_clock(hasty_site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    reader.context.add_init_script(WRONG_CLOCK)
    page = open_section(reader, hasty_site.post_url(hasty_site.slugs()[0]))
    write(page, "Quickly", name="Robin")
    expect(action(page, "Quickly", "Edit")).to_be_visible()
    expect(action(page, "Quickly", "Edit")).to_have_count(0)
    expect(comment(page, "Quickly")).to_be_visible()
    write(page, "Slowly")
    action(page, "Slowly", "Edit").click()
    editor = articles(page).get_by_role("textbox")
    editor.fill("Too slowly")
    write(page, "Later than that")
    expect(action(page, "Later than that", "Edit")).to_be_visible()
    expect(action(page, "Later than that", "Edit")).to_have_count(0)
    articles(page).get_by_role("button", name="Save").click()
    expect(articles(page).get_by_role("alert")).to_have_text("This message is too old to be changed.")
    expect(editor).to_have_value("Too slowly")
    articles(page).get_by_role("button", name="Cancel").click()
    expect(action(page, "Slowly", "Edit")).to_have_count(0)
    assert reader.problems == []


def test_who_is_no_manager_any_more_loses_whispers_and_controls_at_once(
    site: Site, api: ChatixApi, author: Reader, new_reader: NewReader, post_url: str
) -> None:
    guest_page = open_section(new_reader(), post_url)
    write(guest_page, "Good evening", name="Robin")
    page = open_section(author, post_url)
    whisper(page, SECRET)
    expect(action(page, "Good evening", "Delete")).to_be_visible()
    section(page).get_by_role("textbox", name="Write a whisper").fill("And another thing")

    chatroom_id = site.chatix("show", site.slugs()[0])["chatroom_id"]
    (author_id,) = [one.visitor_id for one in api.list_visitors(chatroom_id) if one.name == "Marit Lund"]
    api.update_visitor(author_id, is_manager=False)
    expect(comment(page, SECRET)).to_have_count(0)
    expect(action(page, "Good evening", "Delete")).to_have_count(0)
    expect(whisper_box(page)).to_be_hidden()
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("")
    expect(section(page).get_by_role("alert")).to_contain_text("You are no manager here any more.")
    assert "Between us" not in page.content()
    assert "another thing" not in page.content()

    api.update_visitor(author_id, is_manager=True)
    expect(comment(page, SECRET)).to_be_visible()

    # Somebody signs out in another tab; the next ticket of this page is a guest's.
    other_tab = author.open(f"{site.url}/sign-in/")
    other_tab.get_by_role("button", name="Sign out").click()
    expect(other_tab.get_by_role("main")).to_contain_text("You are not signed in.")
    author.context.set_offline(True)
    expect(section(page).get_by_role("status").first).not_to_have_text("Live")
    author.context.set_offline(False)
    expect(comment(page, SECRET)).to_have_count(0)
    expect(whisper_box(page)).to_be_hidden()
    expect_live(page)
    assert "Between us" not in page.content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_on_a_phone(site: Site, new_reader: NewReader, post_url: str, scheme: str) -> None:
    reader = new_reader(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    sign_in(reader, site, "Marit")
    page = open_section(reader, post_url)
    whisper(page, SECRET)
    action(page, SECRET, "Edit").click()
    for name in ("Save", "Cancel"):
        button = articles(page).get_by_role("button", name=name)
        button.scroll_into_view_if_needed()
        size = button.bounding_box()
        assert size is not None and min(size["width"], size["height"]) >= 24
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
