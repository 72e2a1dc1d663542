"""Where a proxy lets no WebSocket through, and perhaps no stream either, the section is live all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import expect

from flask_chatix_comments.hub import app
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from tests.e2e.support import (
    TICKET_KEY,
    Reader,
    Site,
    articles,
    comment,
    expect_live,
    reach_section,
    running_hub,
    section,
    wait_until,
    write,
)
from tests.transport_filter import TransportFilter

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]
API_KEY = "the-key-of-this-hub"
# The hub's own grace time is 60 s: what happens sooner was said by the page.
SOON_S = 20.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that runs no hub; it has not started, since nobody knows the hub's port yet."""
    site = Site(tmp_path / "data", settings={"CHATIX_HUB_API_KEY": API_KEY, "CHATIX_TICKET_KEY": TICKET_KEY})
    yield site
    site.stop()


@pytest.mark.parametrize(
    ("blocked", "left"),
    [
        (["WebSockets"], "ServerSentEvents"),
        (["WebSockets", "ServerSentEvents"], "LongPolling"),
    ],
)
def test_a_talk_through_a_proxy(
    site: Site, tmp_path: Path, new_reader: NewReader, blocked: list[str], left: str
) -> None:
    proxy = TransportFilter(blocked)
    run_hub = partial(running_hub, tmp_path, website_id="local", api_key=API_KEY, wrap=proxy)
    with run_hub() as hub:
        site.settings["CHATIX_HUB_URL"] = hub.url
        site.start()
        url = site.post_url(site.slugs()[0])
        one, two = new_reader().open(url), new_reader().open(url)
        reach_section(one)
        reach_section(two)
        write(one, "Before the outage", name="Robin")
        expect(comment(two, "Before the outage")).to_be_visible()
        own = articles(one).first
        own.get_by_role("button", name="Edit").click()
        own.get_by_role("textbox").fill("Before the outage, reworded")
        own.get_by_role("button", name="Save").click()
        expect(comment(two, "reworded")).to_be_visible()
    for page in (one, two):
        expect(section(page).get_by_role("status")).not_to_have_text("Live")
    write(two, "Written during the outage", name="Kim")

    with run_hub(port=hub.port):
        for page in (one, two):
            expect_live(page)
            expect(comment(page, "Written during the outage")).to_have_count(1)
            expect(articles(page)).to_have_count(2)
        chatroom_id = site.chatix("show", site.slugs()[0])["chatroom_id"]
        with closing(site.api()) as api:
            assert api.get_chatroom(chatroom_id).number_of_visitors == 2
            one.close()
            two.goto(f"{site.url}/about/")
            wait_until(
                lambda: api.get_chatroom(chatroom_id).number_of_visitors == 0, "both to have left", deadline_s=SOON_S
            )
    assert list(proxy.used) == [left]


def test_a_proxy_that_holds_streams_up(
    site: Site, tmp_path: Path, new_reader: NewReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The browser does not notice: to it the answer never begins. The hub does, and offers something else."""
    monkeypatch.setattr(app, "ConnectionLimits", partial(ConnectionLimits, handshake_timeout_s=1.0))
    proxy = TransportFilter(["WebSockets"], held=["ServerSentEvents"])
    with running_hub(tmp_path, website_id="local", api_key=API_KEY, wrap=proxy) as hub:
        site.settings["CHATIX_HUB_URL"] = hub.url
        site.start()
        page = new_reader().open(site.post_url(site.slugs()[0]))
        reach_section(page)
        write(page, "Here at last", name="Robin")
        expect(comment(page, "Here at last")).to_be_visible()
    assert proxy.used["ServerSentEvents"] == 1
    assert proxy.used["LongPolling"] > 1
