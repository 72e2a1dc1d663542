"""Two people talk under a post."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.models import MessageType, SenderFlag
from tests.e2e.support import Reader, Site, articles, comment, expect_live, reach_section, section, write

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]


def test_two_visitors_talk_live(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    one, two = new_reader(), new_reader()
    page_one, page_two = one.open(site.post_url(slug)), two.open(site.post_url(slug))
    reach_section(page_one)
    reach_section(page_two)

    write(page_one, "Is the second photo from the same day?", name="Robin")
    expect(comment(page_two, "Is the second photo")).to_be_visible()
    write(page_two, "Yes, an hour later.\nLook at https://example.org/tide?a=1&b=2.", name="Kim")
    answer = comment(page_one, "Yes, an hour later.")
    expect(answer).to_be_visible()
    expect(answer).to_contain_text("Kim")
    link = answer.get_by_role("link", name="https://example.org/tide")
    expect(link).to_have_attribute("href", "https://example.org/tide?a=1&b=2")
    assert "nofollow" in (link.get_attribute("rel") or "")

    moment = answer.locator("time").get_attribute("datetime")
    assert moment is not None
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(moment)
    assert dt.timedelta(seconds=-5) < age < dt.timedelta(minutes=2)
    for page in (page_one, page_two):
        expect(articles(page)).to_have_count(2)
        expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("")
    assert one.problems == []
    assert two.problems == []


def test_a_second_start_finds_the_comments_of_the_first(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[1]
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    write(page, "Written before the power cut", name="Robin")
    expect(comment(page, "Written before")).to_be_visible()
    expect(section(page).get_by_role("textbox", name="Write a comment")).to_have_value("")
    site.kill()
    site.start()
    later = new_reader().open(site.post_url(slug))
    reach_section(later)
    expect(comment(later, "Written before the power cut")).to_be_visible()


def test_earlier_comments_come_in_pages(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    reach_section(new_reader().open(site.post_url(slug)))
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    for number in range(1, 76):
        api.send_message(chatroom_id, content=f"Comment number {number}.", sender_id="somebody-else-entirely")
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    expect(comment(page, "Comment number 75.")).to_be_visible()
    expect(comment(page, "Comment number 1.")).to_have_count(0)
    earlier = section(page).get_by_role("button", name="Show earlier comments")
    while earlier.is_visible():
        before = articles(page).count()
        earlier.click()
        expect(articles(page)).not_to_have_count(before)
    texts = [text for text in articles(page).all_inner_texts() if "Comment number" in text]
    numbers = [int(text.split("Comment number ")[1].split(".")[0]) for text in texts]
    assert numbers == list(range(1, 76))


def test_edits_and_deletions_show_at_once(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    write(page, "The first wording", name="Robin")
    write_second = comment(page, "The first wording")
    expect(write_second).to_be_visible()
    write(page, "To be taken back")
    expect(comment(page, "To be taken back")).to_be_visible()
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    first, second = api.list_messages(chatroom_id)
    api.update_message(chatroom_id, first.message_id, content="The second wording")
    api.delete_message(chatroom_id, second.message_id)
    expect(comment(page, "The second wording")).to_be_visible()
    expect(comment(page, "The first wording")).to_have_count(0)
    expect(comment(page, "To be taken back")).to_have_count(0)
    assert first.type is MessageType.TEXT
    assert first.sender_flag is SenderFlag.VISITOR
    assert first.sender_name == "Robin"


def test_the_guest_is_known_again_after_a_reload(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    reader = new_reader()
    page = reader.open(site.post_url(slug))
    reach_section(page)
    write(page, "I will be back", name="Robin")
    expect(comment(page, "I will be back")).to_be_visible()
    page.reload()
    reach_section(page)
    expect(section(page).get_by_role("textbox", name="Name")).to_have_value("Robin")
    write(page, "And here I am")
    expect(comment(page, "And here I am")).to_contain_text("Robin")
    (cookie,) = reader.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"


def test_two_tabs_that_take_part_are_one_guest(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    reader = new_reader()
    first, second = reader.open(site.post_url(slug)), reader.open(site.post_url(slug))
    reach_section(first)
    reach_section(second)
    write(first, "From the first tab", name="Robin")
    expect(comment(first, "From the first tab")).to_be_visible()
    write(second, "From the second tab", name="Robin")
    expect(comment(second, "From the second tab")).to_have_count(1)
    expect(comment(first, "From the second tab")).to_have_count(1)
    first.reload()
    reach_section(first)
    for text in ("From the first tab", "From the second tab"):
        expect(comment(first, text)).to_contain_text("(you)")
    assert reader.problems == []


def test_a_reader_leaves_nothing_in_the_browser(site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    assert reader.context.cookies() == []
    assert page.evaluate("[Object.keys(localStorage), Object.keys(sessionStorage)]") == [[], []]
    assert reader.problems == []


def test_the_sdk_is_loaded_only_near_the_section(site: Site, new_reader: NewReader) -> None:
    reader = new_reader(viewport={"width": 800, "height": 400})
    page = reader.context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(site.post_url(site.slugs()[0]))
    page.wait_for_load_state("networkidle")
    assert not [url for url in requests if "/join" in url or str(site.hub_port) in url]
    ours = [url.rsplit("/", 1)[1].split("-")[0] + url[url.rindex(".") :] for url in requests if "/static/" in url]
    assert sorted(one for one in ours if one.startswith(("comments.", "section."))) == ["comments.css", "comments.js"]
    scripts = [url for url in requests if url.split("?")[0].endswith(".js")]
    assert len(scripts) == 1
    reach_section(page)
    assert not [url for url in requests if "/signalr-" in url or "/hosted-" in url]
    assert [url for url in requests if "/join" in url]


def test_signed_in_users_write_under_their_own_names(site: Site, new_reader: NewReader) -> None:
    reader = new_reader()
    page = reader.open(f"{site.url}/sign-in/")
    page.get_by_role("button", name="Sign in as Jonas Petri").click()
    page.goto(site.post_url(site.slugs()[0]))
    found = reach_section(page)
    expect(found.get_by_role("textbox", name="Name")).to_have_count(0)
    write(page, "Signed in and glad of it")
    expect(comment(page, "Signed in and glad of it")).to_be_visible()
    other = new_reader().open(site.post_url(site.slugs()[0]))
    reach_section(other)
    author = comment(other, "Signed in and glad of it").locator(".chatix-author")
    expect(author).to_have_text("Jonas Petri")


def test_no_comment_on_the_page_without_comments(site: Site, new_reader: NewReader) -> None:
    page = new_reader().open(f"{site.url}/about/")
    expect(section(page)).to_have_count(0)


def test_the_page_holds_nothing_about_its_visitor(site: Site, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    one, two = new_reader(), new_reader()
    answers = [reader.context.request.get(site.post_url(slug)) for reader in (one, two)]
    assert answers[0].text() == answers[1].text()
    assert all("set-cookie" not in answer.headers for answer in answers)


def test_hostile_text_stays_text(site: Site, new_reader: NewReader) -> None:
    hostile = '<img src=x onerror="document.title=1"> <script>document.title=2</script> javascript:alert(1) &lt;'
    slug = site.slugs()[0]
    reader = new_reader()
    page = reader.open(site.post_url(slug))
    title = page.title()
    reach_section(page)
    write(page, hostile, name='<b>"Robin"</b>')
    expect(comment(page, 'onerror="document.title=1"')).to_contain_text('<b>"Robin"</b>')
    page.reload()
    reach_section(page)
    entry = comment(page, "<script>document.title=2</script>")
    expect(entry).to_contain_text("&lt;")
    expect(entry.locator(".chatix-text").get_by_role("link")).to_have_count(0)
    assert page.title() == title
    assert reader.problems == []


def test_the_form_stays_where_it_is_while_somebody_writes(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    page = new_reader(viewport={"width": 900, "height": 800}).open(site.post_url(slug))
    reach_section(page)
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    for number in range(20):
        api.send_message(chatroom_id, content=f"Of before, {number}\n\nand more", sender_id="somebody")
    expect(articles(page)).to_have_count(20)
    box = section(page).get_by_role("textbox", name="Write a comment")
    box.click()
    box.press_sequentially("Half a")
    for number in range(6):
        before = box.evaluate("box => Math.round(box.getBoundingClientRect().top)")
        api.send_message(chatroom_id, content=f"Of meanwhile, {number}\n\nand more", sender_id="somebody")
        expect(comment(page, f"Of meanwhile, {number}")).to_have_count(1)
        # A frame later whatever the browser does about anchors has been done.
        after = box.evaluate(
            "box => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>"
            " done(Math.round(box.getBoundingClientRect().top)))))"
        )
        assert abs(after - before) <= 1
    box.press_sequentially(" thought")
    expect(box).to_have_value("Half a thought")


def test_stacked_accents_paint_over_nothing_else(site: Site, api: ChatixApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    page = new_reader(viewport={"width": 900, "height": 900}).open(site.post_url(slug))
    found = reach_section(page)

    def picture_of_what_is_above() -> bytes:
        box = found.bounding_box()
        assert box is not None
        return page.screenshot(clip={"x": 0, "y": box["y"] - 300, "width": 900, "height": 300})

    before = picture_of_what_is_above()
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    stack = "Z" + "\u0301\u0302\u0310\u033f\u0346" * 45
    api.send_message(chatroom_id, content="A quiet comment", sender_id="somebody")
    api.send_message(chatroom_id, content=" ".join([stack] * 40), sender_id="somebody-else")
    loud = articles(page).nth(1)
    expect(loud).to_contain_text(stack)
    assert picture_of_what_is_above() == before
    for name in ("chatix-text", "chatix-byline", "chatix-avatar"):
        expect(loud.locator(f".{name}")).to_have_css("overflow", "clip")


def test_a_link_in_text_that_runs_backwards_shows_where_it_leads(
    site: Site, api: ChatixApi, new_reader: NewReader
) -> None:
    slug = site.slugs()[0]
    page = new_reader().open(site.post_url(slug))
    reach_section(page)
    chatroom_id = site.chatix("show", slug)["chatroom_id"]
    text = "\u202e https://evil.example/moc.elpmaxe.knab//:sptth \u2066 https://b\u0430nk.example/"
    api.send_message(chatroom_id, content=text, sender_id="somebody")
    links = articles(page).locator(".chatix-text").get_by_role("link")
    expect(links).to_have_text(["https://evil.example/moc.elpmaxe.knab//:sptth", "https://xn--bnk-6cd.example/"])
    expect(links.first).to_have_css("direction", "ltr")
    expect(links.first).to_have_css("unicode-bidi", "isolate")
    for name in ("chatix-text", "chatix-author"):
        expect(articles(page).locator(f".{name}")).to_have_css("unicode-bidi", "isolate")


def test_the_section_works_at_phone_width(site: Site, new_reader: NewReader) -> None:
    reader = new_reader(viewport={"width": 320, "height": 640}, color_scheme="dark")
    page = reader.open(site.post_url(site.slugs()[0]))
    reach_section(page)
    write(page, "W" * 200 + " and an unbreakable word", name="Robin")
    expect(comment(page, "unbreakable")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    expect_live(page)
