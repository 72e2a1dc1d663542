"""The hosted service: the same page, with the documented calls only.

Our hub stands in for the service, as a server of its own on the address that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

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
