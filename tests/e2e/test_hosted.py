"""The hosted service: the same page, with the documented calls only.

Our hub stands in for the service, as a server of its own on the address that the settings name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.e2e.support import Reader, Site, articles, comment, reach_section, running_hub, section, wait_until, write

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

API_KEY = "the-key-of-the-hosted-account"
WEBSITE_ID = "site-1234"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[HubThread]:
    with running_hub(tmp_path, website_id=WEBSITE_ID, api_key=API_KEY) as service:
        yield service


@pytest.fixture
def hosted_site(tmp_path: Path, service: HubThread) -> Iterator[Site]:
    settings = {"CHATIX_WEBSITE_ID": WEBSITE_ID, "CHATIX_API_KEY": API_KEY, "CHATIX_API_URL": service.url}
    site = Site(tmp_path / "data", settings=settings)
    site.start()
    yield site
    site.stop()


@pytest.fixture
def service_api(service: HubThread) -> Iterator[ChatixApi]:
    api = ChatixApi(service.url, website_id=WEBSITE_ID, api_key=API_KEY)
    yield api
    api.close()


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
    assert API_KEY not in page_one.content()


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
