"""The pages of those who have no script: axe finds nothing on them, in any look, and nothing sticks out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import CDPSession, Page, expect

from flask_chatix_comments.models import SenderFlag
from flask_chatix_comments.state import get_state
from flask_chatix_comments.tokens import PostClaim
from tests.e2e.support import Reader, articles
from tests.e2e.test_accessibility import AXE, SMALL_TARGETS, STICKING_OUT
from tests.e2e.test_rendered import Blog, blog

__all__ = ["blog"]

pytestmark = [pytest.mark.interop, pytest.mark.browser]
NewReader = Callable[..., Reader]

VIOLATIONS = """async () => {
  const ours = document.querySelector(".chatix-page") ? document : "chatix-comments";
  const { violations } = await axe.run(ours, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target).join(", ")}`);
}"""
#: What is for those without scripts goes away when there are some.
AS_BEFORE = """() => {
  for (const it of document.querySelectorAll("body noscript")) it.replaceWith(...it.childNodes);
  for (const it of document.querySelectorAll(".chatix-place, .chatix-loading")) it.remove();
}"""
LONG = "Long" * 100
SESSIONS: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()


def set_scripts(page: Page, *, are_on: bool) -> None:
    """Let the browser run scripts or not. What has been loaded without them stays as it is: so axe can look at it."""
    session = SESSIONS.setdefault(page, page.context.new_cdp_session(page))
    session.send("Emulation.setScriptExecutionDisabled", {"value": not are_on})


def check(page: Page, state: str) -> None:
    """Let axe look at the whole page, which is 320 px wide: light and dark, and from both sides."""
    set_scripts(page, are_on=True)
    page.evaluate(f"{AXE.read_text()};0")
    page.evaluate(AS_BEFORE)
    looks: list[dict[str, Any]] = [{"color_scheme": "dark"}, {"forced_colors": "active"}, {"forced_colors": "none"}]
    for look in looks:
        page.emulate_media(**{"color_scheme": "light", **look})
        assert page.evaluate(VIOLATIONS) == [], f"{state}, {look}"
    for direction in ("rtl", "ltr"):
        page.evaluate("(dir) => { document.documentElement.dir = dir; }", direction)
        assert page.evaluate(STICKING_OUT.replace("chatix-comments *", ".chatix-comments *")) == [], (
            f"{state}, {direction}"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == 320, f"{state}, {direction}"
        assert page.evaluate(VIOLATIONS) == [], f"{state}, {direction}"
    targets = SMALL_TARGETS.replace("LEAST", "24").replace("chatix-comments :is", ".chatix-comments :is")
    assert page.evaluate(targets.replace(", label", "")) == [], state
    set_scripts(page, are_on=False)


def test_axe_finds_nothing_without_a_script(blog: Blog, new_reader: NewReader) -> None:
    blog.wait_for("No comments yet")
    page = new_reader(viewport={"width": 320, "height": 640}).open("about:blank")
    set_scripts(page, are_on=False)
    page.goto(blog.url)
    form = page.locator("form.chatix-plain-form")
    button = form.get_by_role("button", name="Post comment")
    check(page, "no comments yet")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Write something")
    check(page, "without a text")
    form.get_by_role("textbox", name="Write a comment").fill("x")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Please give a name")
    check(page, "without a name")
    form.get_by_role("textbox", name="Name").fill("Robin")
    form.get_by_role("textbox", name="Write a comment").fill(f"{LONG}\nhttps://example.org/{LONG}")
    button.click()
    expect(articles(page)).to_have_count(1)
    check(page, "the thread after posting")

    room = blog.hub.messages("post")[0].chatroom_id
    for number in range(31):
        blog.write(f"Comment {number}", name=LONG[:80])
    blog.hub.api.send_message(room, sender_id="boss", sender_flag=SenderFlag.MANAGER, content="Tall\n" * 60)
    blog.wait_for("Tall")
    page.goto(blog.url)
    check(page, "a post with comments")
    page.get_by_role("button", name="Show earlier comments").click()
    expect(page.get_by_role("link", name="Show the newest comments")).to_be_visible()
    check(page, "earlier comments")

    token = get_state(blog.app).post_tokens.sign(PostClaim("post", "A post", False))
    foreign = f"""<form method=post action="{blog.url}chatix-comments/post"><input name=post value="{token}">
        <input name=name value=Robin><textarea name=text>Mine?</textarea><button>Send</button></form>"""
    page.context.route("http://other.test/", lambda route: route.fulfill(content_type="text/html", body=foreign))
    page.goto("http://other.test/")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("did not come from a page of this site")
    check(page, "the question")

    with blog.app.app_context():
        blog.comments.close("post")
    button.click()
    expect(page.get_by_role("alert")).to_contain_text("Comments are closed")
    check(page, "an answer that keeps the text")
    page.get_by_role("link", name="Show the comments").click()
    expect(page.get_by_text("Comments are closed.")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    check(page, "closed")
    blog.hub.thread.stop()
    page.reload()
    expect(page.get_by_text("cannot be reached")).to_be_visible()
    check(page, "unavailable")
    page.goto(f"{blog.url}chatix-comments/thread?post=x")
    expect(page.get_by_text("out of date")).to_be_visible()
    check(page, "out of date")
