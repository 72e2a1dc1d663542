"""What a reader's page loads, and that nothing is lost while what it takes to write is on its way."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.support import (
    Reader,
    Site,
    articles,
    choose,
    comment,
    expect_live,
    picture,
    reach_section,
    section,
    wait_until,
    write,
)

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]
WRITING = re.compile(r"/static/writing-")


def loaded_by(page: Page) -> list[str]:
    """Note the files of ours that the page loads, by their names without the hashes."""
    names: list[str] = []

    def note(response: Any) -> None:
        if "/chatix-comments/static/" in response.url:
            names.append(re.sub(r"-[A-Z0-9]{8}(?=\.)", "", response.url.rsplit("/", 1)[-1]))

    page.on("response", note)
    return names


def test_who_reads_along_loads_what_that_takes_and_no_more(site: Site, new_reader: NewReader) -> None:
    url = site.post_url(site.slugs()[0])
    writer = new_reader().open(url)
    reach_section(writer)
    page = new_reader().context.new_page()
    names = loaded_by(page)
    page.goto(url)
    assert sorted(names) == ["comments.css", "comments.js"]
    reach_section(page)
    write(writer, "A comment that comes while others read.", name="Robin")
    expect(comment(page, "A comment that comes")).to_be_visible()
    first = ["comments.css", "comments.js", "section.css", "section.js"]
    assert sorted(names) == first
    section(page).get_by_role("textbox", name="Write a comment").focus()
    expect(section(page).get_by_text("Up to 10 files.")).to_be_visible()
    assert sorted(names) == sorted([*first, "writing.js", "more.css"])
    choose(writer, picture("swifts.png"))
    section(writer).get_by_role("button", name="Post comment").click()
    expect(section(page).get_by_role("img", name="swifts.png")).to_be_visible()
    assert sorted(names) == sorted([*first, "writing.js", "more.css", "aids.js"])


def test_what_is_posted_before_that_can_be_done_goes_when_it_can_once(site: Site, new_reader: NewReader) -> None:
    url = site.post_url(site.slugs()[0])
    reader = new_reader()
    page, other = reader.open(url), new_reader().open(url)
    reach_section(page)
    reach_section(other)
    held: list[Route] = []
    page.route(WRITING, lambda route: held.append(route))
    write(page, "Posted early", name="Robin")
    expect(section(page).get_by_role("button", name="Post comment")).to_be_disabled()
    wait_until(lambda: page.evaluate("true") and held, "the part is asked for")
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("Posted early")
    expect(articles(other)).to_have_count(0)
    for route in held:
        route.continue_()
    for each in (page, other):
        expect(comment(each, "Posted early")).to_have_count(1)
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("")
    assert reader.problems == []


def test_where_it_does_not_come_the_reader_is_told_and_keeps_the_text(site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    page.route(WRITING, lambda route: route.abort())
    write(page, "Posted in vain", name="Robin")
    expect(section(page).get_by_text("What it takes to post could not be loaded.")).to_be_visible()
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("Posted in vain")
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_be_editable()
    expect_live(page)
    page.unroute(WRITING)
    section(page).get_by_role("button", name="Post comment").click()
    expect(comment(page, "Posted in vain")).to_have_count(1)
    expect(section(page).get_by_text("What it takes to post could not be loaded.")).to_have_count(0)
