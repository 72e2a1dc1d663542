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


def older_page(page: Page, kind: str) -> None:
    """Have pages be as a cache would have kept them from before the site moved to the hub that it has now."""
    change = 'setAttribute("data-sdk", "hosted")' if kind == "site" else 'removeAttribute("data-sdk")'
    page.add_init_script(f"""
        new MutationObserver(() => document.querySelector("chatix-comments")?.{change})
          .observe(document, {{ childList: true, subtree: true }});
    """)


@pytest.mark.parametrize("kind", ["site", "hosted_site"])
def test_a_page_from_before_the_site_moved_between_hubs_works_all_the_same(
    kind: str, request: pytest.FixtureRequest, new_reader: NewReader
) -> None:
    site: Site = request.getfixturevalue(kind)
    url = site.post_url(site.slugs()[0])
    reader, other = new_reader(), new_reader()
    page = reader.context.new_page()
    names = loaded_by(page)
    older_page(page, kind)
    page.goto(url)
    reach_section(page)
    elsewhere = other.open(url)
    reach_section(elsewhere)
    write(page, "From an old page", name="Robin")
    expect(comment(elsewhere, "From an old page")).to_have_count(1)
    write(elsewhere, "From a new one", name="Kim")
    expect(comment(page, "From a new one")).to_have_count(1)
    choose(page, picture("swifts.png"))
    section(page).get_by_role("button", name="Post comment").click()
    expect(section(elsewhere).get_by_role("img", name="swifts.png")).to_be_visible()
    assert ("section-hosted.js" in names, "sdk.js" in names) == (kind == "site", True)
    assert other.problems == []


def test_a_link_is_one_from_the_start_where_the_site_has_rendered_it_and_soon_where_it_comes_live(
    site: Site, new_reader: NewReader
) -> None:
    url = site.post_url(site.slugs()[0])
    writer = new_reader().open(url)
    reach_section(writer)
    write(writer, "The first: https://example.org/one", name="Robin")
    expect(comment(writer, "The first").get_by_role("link", name="https://example.org/one")).to_be_visible()
    page = new_reader().context.new_page()
    names = loaded_by(page)
    wait_until(lambda: "example.org/one" in str(page.request.get(url).text()), "the page has it")
    page.goto(url)
    page.evaluate("window.made = document.querySelector('.chatix-text a')")
    reach_section(page)
    expect_live(page)
    assert page.evaluate("window.made === document.querySelector('.chatix-text a')")
    assert "aids.js" not in names
    write(writer, "The second: https://example.org/two")
    link = comment(page, "The second").get_by_role("link", name="https://example.org/two")
    expect(link).to_have_attribute("rel", re.compile("nofollow ugc"))
    assert "aids.js" in names
    assert page.evaluate("window.made === document.querySelector('.chatix-text a')")
