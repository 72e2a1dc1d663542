"""``CHATIX_SDK = "widget"``: the comments by the SDK object of a chat widget on the page.

The widget is a stand-in on the untouched npm SDK (tests/interop/widget.js); it has a group chat of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.e2e.documented_service import count_closed_sockets, running_service
from tests.e2e.support import (
    HOSTED_WEBSITE_ID,
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

pytestmark = [pytest.mark.interop, pytest.mark.browser]
NewReader = Callable[..., Reader]

ADD_WIDGET = """
data => {
  const script = document.createElement("script");
  Object.assign(script.dataset, data);
  script.src = "/widget.js";
  document.documentElement.append(script);
}
"""


@dataclass
class Blog:
    """A site whose pages have, or get, a chat widget."""

    site: Site
    source: str
    group_chat: str
    slug: str
    room: str

    def page_url(self) -> str:
        return self.site.post_url(self.slug)

    def serve_widget(self, reader: Reader) -> None:
        reader.context.route(
            "**/widget.js", lambda route: route.fulfill(body=self.source, content_type="text/javascript")
        )

    def put_widget_into_pages(self, reader: Reader, *, times: int = 1) -> None:
        """Have the widget in every page from its beginning, before anything of ours.

        Not by changing the page on its way: Chromium lets no made-up page reach this machine.
        """
        self.serve_widget(reader)
        tags = f"for (let n = 0; n < {times}; n += 1) ({ADD_WIDGET})({json.dumps(self.widget_data())});"
        reader.context.add_init_script(
            f"new MutationObserver((_, self) => {{ self.disconnect(); {tags} }}).observe(document, {{childList: true}})"
        )

    def add_widget(self, page: Page, *, starts: bool = True) -> None:
        """Have the widget now, in a page that has been there for a while."""
        page.evaluate(ADD_WIDGET, self.widget_data() | {"start": "yes" if starts else "no"})

    def widget_data(self) -> dict[str, str]:
        return {"website": HOSTED_WEBSITE_ID, "chatroom": self.group_chat}


@pytest.fixture
def blog(
    tmp_path: Path,
    hosted_settings: dict[str, str],
    service: HubThread,
    service_api: ChatixApi,
    widget_source: str,
) -> Iterator[Blog]:
    site = Site(tmp_path / "data", settings=hosted_settings | {"CHATIX_SDK": "widget"})
    site.start()
    site.chatix("backfill")
    slug = site.slugs()[0]
    yield Blog(
        site=site,
        source=widget_source,
        group_chat=service_api.create_chatroom("The widget's own group chat").chatroom_id,
        slug=slug,
        room=site.chatix("show", slug)["chatroom_id"],
    )
    site.stop()


def told(page: Page, name: str) -> list[Any]:
    """Return what the widget's own handler has been told."""
    answer: list[Any] = page.evaluate(
        "name => chatixWidget.told.filter(([one]) => one === name).map(([, p]) => p)", name
    )
    return answer


def expect_group_chat_works(page: Page, api: ChatixApi, blog: Blog, text: str, *, times: int = 1) -> None:
    """The widget's own handler hears what is written in its own room, once for each of its connections."""
    is_in = "room => chatixWidget.core.getMyChatrooms().then((rooms) => rooms.some(({id}) => id === room))"
    page.wait_for_function(is_in, arg=blog.group_chat)
    sender_id = api.list_visitors(blog.group_chat)[0].visitor_id
    api.send_message(blog.group_chat, sender_id=sender_id, content=text)
    wait_until(lambda: texts_told(page, blog.group_chat).count(text) == times, f"the widget hears {text!r}")


def texts_told(page: Page, room: str) -> list[str]:
    return [message["content"] for where, message in told(page, "onChatroomMessageReceived") if where == room]


@pytest.mark.parametrize("order", ["widget first", "section first"])
def test_the_widgets_sdk_is_used_in_either_order(
    order: str, blog: Blog, service_api: ChatixApi, new_reader: NewReader
) -> None:
    one, two = new_reader(), new_reader()
    requests: list[str] = []
    one.context.on("request", lambda request: requests.append(request.url))
    blog.put_widget_into_pages(two)
    if order == "widget first":
        blog.put_widget_into_pages(one)
        page = one.open(blog.page_url())
    else:
        blog.serve_widget(one)
        page = one.open(blog.page_url())
        section(page).scroll_into_view_if_needed()
        expect(section(page).get_by_role("status")).to_have_text("Connecting")
        blog.add_widget(page)
    reach_section(page)
    other = two.open(blog.page_url())
    reach_section(other)

    write(page, "By the widget", name="Robin")
    expect(comment(other, "By the widget")).to_contain_text("Robin")
    write(other, "So am I", name="Kim")
    expect(comment(page, "So am I")).to_contain_text("Kim")
    expect(articles(page)).to_have_count(2)
    # One visitor and one connection for both: the one of the support chat.
    assert page.evaluate("chatixWidget.core.getVisitor().name") == "Robin"
    assert len([url for url in requests if "/negotiate" in url]) == 1
    assert not [url for url in requests if "/static/sdk-" in url]
    expect_group_chat_works(page, service_api, blog, "Hello from support")
    assert one.problems == []
    assert two.problems == []


def test_what_the_widget_sets_after_us_is_kept(blog: Blog, service_api: ChatixApi, new_reader: NewReader) -> None:
    reader = new_reader()
    blog.serve_widget(reader)
    page = reader.open(blog.page_url())
    section(page).scroll_into_view_if_needed()
    blog.add_widget(page, starts=False)
    # The object is there and not connected: that is not for us to do.
    page.wait_for_function("() => window.chatixWidget !== undefined")
    expect(section(page).get_by_role("status")).to_have_text("Connecting")
    page.evaluate("chatixWidget.start()")
    expect_live(page)
    page.evaluate("chatixWidget.setHandlers()")
    expect_group_chat_works(page, service_api, blog, "After all")
    sender_id = service_api.list_visitors(blog.group_chat)[0].visitor_id
    service_api.send_message(blog.room, sender_id=sender_id, content="In the thread")
    expect(comment(page, "In the thread")).to_have_count(1)
    page.evaluate("chatixWidget.restart()")
    wait_until(lambda: told(page, "onConnected"), "the widget has started again")
    expect_live(page)
    # The SDK's stop() stops nothing (Q6), so that its next start() makes a second connection.
    expect_group_chat_works(page, service_api, blog, "And after a restart", times=2)
    service_api.send_message(blog.room, sender_id=sender_id, content="Again in the thread")
    expect(comment(page, "Again in the thread")).to_have_count(1)
    assert reader.problems == []


def test_history_edits_and_deletions(blog: Blog, service_api: ChatixApi, new_reader: NewReader) -> None:
    reader = new_reader()
    blog.put_widget_into_pages(reader)
    page = reader.open(blog.page_url())
    reach_section(page)
    sender_id = service_api.list_visitors(blog.room)[0].visitor_id
    for number in range(1, 36):
        service_api.send_message(blog.room, sender_id=sender_id, content=f"Number {number}.")
    page.reload()
    reach_section(page)
    expect(articles(page)).to_have_count(30)
    section(page).get_by_role("button", name="Show earlier comments").click()
    expect(articles(page)).to_have_count(35)
    expect(articles(page).first).to_contain_text("Number 1.")
    newest = service_api.list_messages(blog.room)[-1].message_id
    service_api.update_message(blog.room, newest, content="Number 35, corrected")
    expect(comment(page, "Number 35, corrected")).to_be_visible()
    service_api.delete_message(blog.room, newest)
    expect(articles(page)).to_have_count(34)
    page.goto(f"{blog.site.url}/about/")
    wait_until(lambda: service_api.get_chatroom(blog.room).number_of_visitors == 0, "the post's room is left")
    assert service_api.get_chatroom(blog.group_chat).number_of_visitors == 1
    assert reader.problems == []


def test_leaving_leaves_our_room_only(
    blog: Blog, service: HubThread, service_api: ChatixApi, new_reader: NewReader
) -> None:
    reader = new_reader()
    blog.put_widget_into_pages(reader)
    page = reader.open(blog.page_url())
    # Two tabs that come for the first time at once would be two visitors (Q26), whose widgets are not ours.
    reach_section(page)
    other = reader.open(blog.page_url())
    reach_section(other)
    visitor_id = page.evaluate("localStorage.getItem('chatix__visitorId_v1')")
    write(other, "Before I go", name="Robin")
    expect(articles(page)).to_have_count(1)
    other.goto(f"{blog.site.url}/about/")
    # This tab still shows the room: whoever leaves it on the service leaves it for all tabs.
    service_api.send_message(
        blog.room, sender_id=service_api.list_messages(blog.room)[0].sender_id, content="Are you still there?"
    )
    expect(articles(page)).to_have_count(2)
    # One tab hears late of what another has stored, and would leave the room to it. The tab that has gone knows that
    # its own entry is erased: what it still sees is this one's.
    keys = "Object.keys(localStorage).filter((key) => key.startsWith('chatix-comments:room:'))"
    other.wait_for_function(f"() => {keys}.length === 1")
    page.wait_for_function(f"(entry) => {keys}.join() === entry", arg=other.evaluate(keys)[0])
    # A leave is that of one connection and of closed ones, where our hub stands in for the service.
    wait_until(lambda: count_closed_sockets(service.url) == 1, "the other tab's connection is closed")
    # The element goes, the page and its widget stay.
    page.evaluate("document.querySelector('chatix-comments').remove()")
    wait_until(lambda: service_api.get_chatroom(blog.room).number_of_visitors == 0, "the post's room is left")
    page.wait_for_function("() => !Object.getOwnPropertyDescriptor(chatixWidget.core, 'onChatroomMessageReceived').get")
    assert service_api.get_chatroom(blog.group_chat).number_of_visitors == 1
    expect_group_chat_works(page, service_api, blog, "Still with you")
    assert page.evaluate("localStorage.getItem('chatix__visitorId_v1')") == visitor_id
    assert reader.problems == []


def test_an_outage_is_survived_with_the_widget(
    blog: Blog, service: HubThread, service_api: ChatixApi, new_reader: NewReader, tmp_path: Path
) -> None:
    reader = new_reader()
    blog.put_widget_into_pages(reader)
    page = reader.open(blog.page_url())
    reach_section(page)
    expect_group_chat_works(page, service_api, blog, "Before")
    service.stop()
    expect(section(page).get_by_role("status")).to_have_text("Offline")
    write(page, "Written in the dark", name="Robin")
    port = urlsplit(service.url).port or 0
    with running_service(tmp_path, port=port):
        expect_live(page)
        expect(comment(page, "Written in the dark")).to_have_count(1)
        expect_group_chat_works(page, service_api, blog, "After")


def test_a_widget_that_does_not_come_is_said_and_still_welcome(blog: Blog, new_reader: NewReader) -> None:
    reader = new_reader()
    blog.serve_widget(reader)
    page = reader.open(blog.page_url())
    section(page).scroll_into_view_if_needed()
    notice = section(page).get_by_role("alert")
    expect(notice).to_contain_text("The comments are part of this site’s chat, which has not loaded.")
    expect(section(page).get_by_role("status")).to_have_text("Offline")
    (hint,) = reader.problems
    assert 'CHATIX_SDK is "widget", but this page has no chatixWidget.core' in hint
    blog.add_widget(page)
    expect_live(page)
    expect(notice).to_be_hidden()
    assert reader.problems == [hint]


def test_a_widget_of_another_version_is_said(blog: Blog, new_reader: NewReader) -> None:
    reader = new_reader()
    old = "window.chatixWidget = {core: {getVisitor() {}, setName() {}, connectToChatroom() {}}}"
    reader.context.add_init_script(old)
    page = reader.open(blog.page_url())
    section(page).scroll_into_view_if_needed()
    expect(section(page).get_by_role("alert")).to_be_visible()
    (hint,) = reader.problems
    assert "of a version without getMember, disconnectFromChatroom" in hint


def test_two_widgets_are_as_good_as_one(blog: Blog, service_api: ChatixApi, new_reader: NewReader) -> None:
    reader = new_reader()
    blog.put_widget_into_pages(reader, times=2)
    page = reader.open(blog.page_url())
    reach_section(page)
    write(page, "Twice?", name="Robin")
    expect(articles(page)).to_have_count(1)
    sender_id = service_api.list_messages(blog.room)[0].sender_id
    service_api.send_message(blog.room, sender_id=sender_id, content="Once.")
    expect(comment(page, "Once.")).to_have_count(1)
    assert reader.problems == []
