"""A private post, with readers who may read it, who may not, and who may not any more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Request, WebSocket, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import (
    Reader,
    Site,
    articles,
    comment,
    expect_live,
    reach_section,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

GONE = "These comments are not available."
API_KEY = "the-key-of-the-private-blog"


class PrivateBlog(Site):
    """The blog of ``private_blog``."""

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flask", "--app", "tests.e2e.private_blog", *arguments]

    def let_in(self, *users: str) -> None:
        (self.data / "members.txt").write_text("\n".join(users))


@pytest.fixture
def blog(tmp_path: Path) -> Iterator[PrivateBlog]:
    blog = PrivateBlog(tmp_path / "data", settings={"CHATIX_HUB_API_KEY": API_KEY})
    blog.start()
    blog.let_in("ada", "ben")
    yield blog
    blog.stop()


@pytest.fixture
def hub_api(blog: PrivateBlog) -> Iterator[ChatixApi]:
    api = ChatixApi(f"http://127.0.0.1:{blog.hub_port}/v1", website_id="local", api_key=API_KEY)
    yield api
    api.close()


@pytest.fixture
def be(blog: PrivateBlog, new_reader: NewReader) -> Callable[[str], Reader]:
    """Make a browser in which a user is signed in."""
    return lambda user: signed_in(blog, new_reader(), user)


def signed_in(blog: Site, reader: Reader, user: str) -> Reader:
    reader.open(f"{blog.url}/be/{user}/").close()
    return reader


class Traffic:
    """All that a page asks and hears."""

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        self.frames: list[str] = []
        page.on("request", self._note)
        page.on("websocket", self._listen)

    def _note(self, request: Request) -> None:
        self.urls.append(request.url)

    def _listen(self, socket: WebSocket) -> None:
        self.urls.append(socket.url)
        socket.on("framereceived", lambda payload: self.frames.append(str(payload)))

    def hears(self, text: str) -> bool:
        return any(text in frame for frame in self.frames)


def expect_closed(page: Page) -> None:
    section(page).scroll_into_view_if_needed()
    expect(section(page).get_by_text(GONE, exact=True)).to_be_visible()
    expect(articles(page)).to_have_count(0)
    expect(section(page).get_by_role("status")).to_have_text("")
    expect(section(page).get_by_role("button", name="Post comment")).to_have_count(0)
    expect(section(page).get_by_role("alert").filter(visible=True)).to_have_count(0)


def look_again(page: Page) -> None:
    page.evaluate("dispatchEvent(new Event('online'))")


def test_who_may_read_and_who_may_not_any_more(
    blog: PrivateBlog, hub_api: ChatixApi, be: Callable[[str], Reader], new_reader: NewReader
) -> None:
    url = blog.post_url("inner")
    ada, ben, eve, guest = be("ada"), be("ben"), be("eve"), new_reader()
    reading = ada.open(url)
    traffic = Traffic(reading)
    reach_section(reading)
    others = ben.open(url)
    reach_section(others)
    write(others, "Among us")
    expect(comment(reading, "Among us")).to_be_visible()
    room = blog.chatix("show", "inner")
    assert room["is_private"] is True

    # Neither of them learns that there is anything.
    for reader in (eve, guest):
        page = reader.context.new_page()
        outside = Traffic(page)
        page.goto(url)
        expect_closed(page)
        assert [one for one in outside.urls if str(blog.hub_port) in one] == []
        assert room["chatroom_id"] not in page.content()

    # Ada may not read it any more: her open page hears no more, and keeps nothing.
    blog.let_in("ben")
    assert blog.chatix("sweep", "--grace", "0")["refused"] == 1
    expect_closed(reading)
    assert "Among us" not in reading.content()
    write(others, "Without Ada")
    wait_until(lambda: len(blog.chatix("messages", "inner")) == 2, "the comment is stored")
    assert not traffic.hears("Without Ada")
    assert [member.name for member in hub_api.list_visitors(room["chatroom_id"])] == ["Ben"]

    blog.let_in("ada", "ben")
    look_again(reading)
    expect_live(reading)
    for text in ("Among us", "Without Ada"):
        expect(comment(reading, text)).to_be_visible()

    # Signing out: the next page is that of a guest.
    signed_in(blog, ada, "nobody")
    expect_closed(ada.open(url))
    # Signing in again.
    signed_in(blog, ada, "ada")
    again = ada.open(url)
    reach_section(again)
    expect(comment(again, "Without Ada")).to_be_visible()
    assert ada.problems == ben.problems == eve.problems == guest.problems == []


def test_from_public_to_private_and_back(blog: PrivateBlog, be: Callable[[str], Reader], new_reader: NewReader) -> None:
    """The pages are open all the time, and say that the post is public."""
    url = blog.post_url("open")
    ada, guest = be("ada"), new_reader()
    inside, outside = ada.open(url), guest.open(url)
    for page in (inside, outside):
        reach_section(page)
    write(outside, "For everybody", name="Robin")
    expect(comment(inside, "For everybody")).to_be_visible()
    expect(section(outside).get_by_role("textbox", name="Write a comment")).to_have_value("")

    assert blog.chatix("make-private", "open")["is_private"] is True
    expect_closed(outside)
    # Ada was taken out as well, and let in again: nobody had asked about her before.
    expect(comment(inside, "For everybody")).to_be_visible()
    expect_live(inside)
    write(inside, "For some")
    expect(comment(inside, "For some")).to_be_visible()
    late = guest.open(url)
    expect_closed(late)

    assert blog.chatix("make-public", "open")["is_private"] is False
    for page in (outside, late):
        look_again(page)
        expect_live(page)
        expect(comment(page, "For some")).to_be_visible()
    write(outside, "For everybody again")
    expect(comment(inside, "For everybody again")).to_be_visible()
    assert ada.problems == guest.problems == []


def test_images_open_to_who_is_in_there(blog: PrivateBlog, be: Callable[[str], Reader], tmp_path: Path) -> None:
    Image.new("RGB", (320, 200), (10, 90, 200)).save(tmp_path / "sky.png")
    url = blog.post_url("inner")
    pages = [be(user).open(url) for user in ("ada", "ben")]
    for page in pages:
        reach_section(page)
    section(pages[0]).get_by_label("Attach files").set_input_files(tmp_path / "sky.png")
    section(pages[0]).get_by_role("button", name="Post comment").click()
    addresses: list[str] = []
    for page in pages:
        picture = articles(page).get_by_role("img").first
        expect(picture).to_be_visible()
        expect(picture).to_have_js_property("naturalWidth", 300)
        addresses.append(str(picture.get_attribute("src")))
    # Each has an address of its own, and what is the same in both opens nothing.
    plain = {address.partition("?pass=")[0] for address in addresses}
    assert len(plain) == 1 and len(set(addresses)) == 2
    assert httpx.get(plain.pop()).status_code == 404
    blog.let_in("ada")
    blog.chatix("sweep", "--grace", "0")
    expect_closed(pages[1])
    assert [httpx.get(address).status_code for address in addresses] == [200, 404]


def test_on_a_hosted_service(
    tmp_path: Path, hosted_settings: dict[str, str], service_api: ChatixApi, new_reader: NewReader
) -> None:
    """Our hub stands in for it; the browser uses what the SDK documents, and no more."""
    blog = PrivateBlog(tmp_path / "data", settings=hosted_settings)
    blog.start()
    try:
        blog.let_in("ada")
        url = blog.post_url("inner")
        ada, eve = (signed_in(blog, new_reader(), user) for user in ("ada", "eve"))
        page = ada.open(url)
        reach_section(page)
        write(page, "Among us")
        expect(comment(page, "Among us")).to_be_visible()
        room = blog.chatix("show", "inner")
        assert service_api.get_chatroom(room["chatroom_id"]).is_private
        outside = Traffic(eve.context.new_page())
        closed = eve.context.pages[-1]
        closed.goto(url)
        expect_closed(closed)
        assert [one for one in outside.urls if service_api.base_url in one] == []
        # At the next visit the site says no; the page that is open still hears no more.
        blog.let_in()
        expect_closed(ada.open(url))
        expect_closed(page)
        assert [member.name for member in service_api.list_visitors(room["chatroom_id"])] == []
        blog.let_in("ada")
        page.reload()
        reach_section(page)
        expect(comment(page, "Among us")).to_be_visible()
        assert ada.problems == eve.problems == []
    finally:
        blog.stop()
