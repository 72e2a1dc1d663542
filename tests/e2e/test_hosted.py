"""The hosted service: the same page, with the documented calls only.

Our hub stands in for the service, as a server of its own on the address that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from flask_chatix_comments.api import ChatixApi
from tests.e2e.support import (
    HOSTED_API_KEY,
    Reader,
    Site,
    articles,
    comment,
    reach_section,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]


def test_two_visitors_talk_and_leave(hosted_site: Site, service_api: ChatixApi, new_reader: NewReader) -> None:
    slug = hosted_site.slugs()[0]
    one, two = new_reader(), new_reader()
    page_one, page_two = one.open(hosted_site.post_url(slug)), two.open(hosted_site.post_url(slug))
    reach_section(page_one)
    reach_section(page_two)
    write(page_one, "Is anybody there?", name="Robin")
    expect(comment(page_two, "Is anybody there?")).to_contain_text("Robin")
    write(page_two, "Over here", name="Kim")
    expect(comment(page_one, "Over here")).to_contain_text("Kim")
    expect(section(page_one).get_by_role("textbox", name="Write a comment")).to_have_value("")
    expect(articles(page_one)).to_have_count(2)

    room = hosted_site.chatix("show", slug)["chatroom_id"]
    assert service_api.get_chatroom(room).number_of_visitors == 2
    page_two.goto(f"{hosted_site.url}/about/")
    wait_until(lambda: service_api.get_chatroom(room).number_of_visitors == 1, "the second reader has left")
    assert one.problems == []
    assert two.problems == []
    # The account's key is on no page.
    assert HOSTED_API_KEY not in page_one.content()


def test_a_support_chat_of_the_same_visitor_is_left_alone(
    hosted_site: Site, service_api: ChatixApi, new_reader: NewReader
) -> None:
    slug = hosted_site.slugs()[0]
    page = new_reader().open(hosted_site.post_url(slug))
    reach_section(page)
    room = hosted_site.chatix("show", slug)["chatroom_id"]
    write(page, "Somebody help me", name="Robin")
    wait_until(lambda: service_api.list_messages(room), "the comment is stored")
    visitor_id = service_api.list_messages(room)[0].sender_id
    support = service_api.create_chatroom("Support").chatroom_id
    service_api.connect_visitor(support, visitor_id)
    page.goto(f"{hosted_site.url}/about/")
    wait_until(lambda: service_api.get_chatroom(room).number_of_visitors == 0, "the post's room is left")
    assert service_api.get_chatroom(support).number_of_visitors == 1


def service_ids(page: Page, requests: list[str]) -> list[str]:
    """Return the ids by which the page has connected, in order."""
    ids = [parse_qs(urlsplit(url).query)["visitorId"][0] for url in requests if "/chat/negotiate" in url]
    return list(dict.fromkeys(ids))


def test_who_has_taken_part_has_an_id_from_the_site(
    hosted_site: Site, service_api: ChatixApi, new_reader: NewReader
) -> None:
    slug = hosted_site.slugs()[0]
    reader = new_reader()
    requests: list[str] = []
    reader.context.on("request", lambda request: requests.append(request.url))
    page = reader.open(hosted_site.post_url(slug))
    reach_section(page)
    assert reader.context.cookies() == []
    write(page, "My first one", name="Robin")
    expect(comment(page, "My first one")).to_contain_text("Robin (you)")
    own, given = service_ids(page, requests)
    # The cookie is for the site's views only; the page's scripts cannot read it.
    (cookie,) = reader.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["path"]) == ("chatix_guest", True, "/chatix-comments")
    assert given not in page.content()
    assert given not in page.evaluate("JSON.stringify(localStorage)")
    assert page.evaluate("localStorage.getItem('chatix__visitorId_v1')") == own

    requests.clear()
    other = reader.open(hosted_site.post_url(slug))
    reach_section(other)
    assert service_ids(other, requests) == [given]
    expect(section(other).get_by_role("textbox", name="Name")).to_have_value("Robin")
    write(other, "The same visitor")
    expect(comment(page, "The same visitor")).to_contain_text("Robin (you)")
    room = hosted_site.chatix("show", slug)["chatroom_id"]
    assert service_api.get_chatroom(room).number_of_visitors == 1
    assert len({message.sender_id for message in service_api.list_messages(room)}) == 1
    assert given not in hosted_site.log
    assert [url for url in requests if given in url and url.startswith(hosted_site.url)] == []
    assert reader.problems == []


def test_the_beacon_of_the_last_tab_takes_the_visitor_out(
    hosted_site: Site, service_api: ChatixApi, new_reader: NewReader
) -> None:
    slug = hosted_site.slugs()[0]
    reader = new_reader()
    page, other = reader.open(hosted_site.post_url(slug)), reader.open(hosted_site.post_url(slug))
    reach_section(page)
    write(page, "Here", name="Robin")
    expect(comment(page, "Here")).to_contain_text("(you)")
    reach_section(other)
    room = hosted_site.chatix("show", slug)["chatroom_id"]
    # What the socket says is lost: only the site can take this visitor out.
    silence = "WebSocket.prototype.send = () => {}"
    page.evaluate(silence)
    other.evaluate(silence)
    page.goto(f"{hosted_site.url}/about/")
    assert service_api.get_chatroom(room).number_of_visitors == 1
    other.goto(f"{hosted_site.url}/about/")
    wait_until(lambda: service_api.get_chatroom(room).number_of_visitors == 0, "the site has taken the visitor out")


def test_a_signed_in_user_is_one_visitor_in_each_browser(
    hosted_site: Site, service_api: ChatixApi, new_reader: NewReader
) -> None:
    slug = hosted_site.slugs()[0]
    senders = []
    for text in ("From the laptop", "From the phone"):
        reader = new_reader()
        page = reader.open(f"{hosted_site.url}/sign-in/")
        page.get_by_role("button", name="Jonas Petri").click()
        expect(page.get_by_text("You are signed in as Jonas Petri")).to_be_visible()
        for visit in (1, 2):
            page.goto(hosted_site.post_url(slug))
            reach_section(page)
            write(page, f"{text}, visit {visit}")
            expect(comment(page, f"{text}, visit {visit}")).to_contain_text("Jonas Petri (you)")
        assert page.evaluate("localStorage.getItem('chatix__visitorId_v1')") is None
        assert reader.problems == []
        room = hosted_site.chatix("show", slug)["chatroom_id"]
        senders.append(
            {message.sender_id for message in service_api.list_messages(room) if text in (message.content or "")}
        )
    laptop, phone = senders
    assert len(laptop) == len(phone) == 1
    assert laptop != phone
