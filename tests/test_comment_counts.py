"""Counts in lists of posts: one query and one call for all of them, and never one that may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from flask_chatix_comments import PostError, RoomState
from flask_chatix_comments.plain_words import count_of_comments
from flask_chatix_comments.thread_cache import FRESH_S, LATE_S, MAX_AGE_S, MAX_OUTAGE_S
from tests.flask_support import Clock, Site, queries

POSTS = [str(number) for number in range(50)]
HOSTED = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}


@pytest.fixture
def clock_s() -> Clock:
    return Clock(now=1000.0)


@pytest.fixture
def make_blog(make_site: Callable[..., Site], clock_s: Clock) -> Callable[..., Site]:
    """Make sites with a chatroom for every second post; a page waits for the answer, however long it takes."""

    def make(**settings: Any) -> Site:
        site = make_site(**{"CHATIX_RENDER_WAIT": 5, "CHATIX_LOOKUP_AGE": 0} | settings)
        site.state.monotonic = clock_s
        for number in range(0, 50, 2):
            site.state.registry.link(str(number), f"room-{number}", title="", is_private=False, state=RoomState.OPEN)
        for _ in range(2):
            site.api.write("room-2", "text")
        site.api.write("room-4", "text")
        return site

    return make


@pytest.fixture
def blog(make_blog: Callable[..., Site]) -> Site:
    return make_blog()


def shown(site: Site, *post_ids: Any, prefetches: bool = True) -> list[str]:
    """Return what a list of posts shows of each."""
    names = site.app.jinja_env.globals
    prefetch, count = names["chatix_prefetch"], names["chatix_comment_count"]
    with site.app.app_context():
        if prefetches:
            assert prefetch(post_ids) == ""  # type: ignore[operator]  # Jinja takes anything for a global.
        return [str(count(post_id)) for post_id in post_ids]  # type: ignore[operator]  # Likewise.


@pytest.mark.parametrize("age_s", [0, 5])
def test_a_list_costs_one_query_and_one_call_and_nothing_while_it_is_known(
    make_blog: Callable[..., Site], age_s: float
) -> None:
    blog = make_blog(CHATIX_LOOKUP_AGE=age_s)
    with queries(blog.state.registry) as sent:
        assert shown(blog, *POSTS)[:6] == ["0 comments", "", "2 comments", "", "1 comment", ""]
        assert len(sent) == 1
        sent.clear()
        assert shown(blog, *POSTS)[:6] == ["0 comments", "", "2 comments", "", "1 comment", ""]
        assert len(sent) == (0 if age_s else 1)
    assert blog.api.paths() == ["/chatroom/counts"]
    assert sorted(blog.api.bodies("/chatroom/counts")[0]["chatroom_ids"]) == sorted(
        f"room-{number}" for number in range(0, 50, 2)
    )


def test_a_post_is_the_same_however_its_id_is_given(blog: Site) -> None:
    assert shown(blog, "2", 2) == ["2 comments", "2 comments"]
    for post_id in (True, None, "", 7.5):
        with pytest.raises(PostError):
            shown(blog, post_id, prefetches=False)


def test_without_prefetch_nothing_waits_and_it_is_there_the_next_time(
    make_blog: Callable[..., Site],
) -> None:
    blog = make_blog(CHATIX_LOOKUP_AGE=5)
    blog.comments.lookup  # noqa: B018 - as a site does that looks a post up beside its count
    with blog.app.app_context():
        blog.comments.lookup("2")
    shown(blog, "2", prefetches=False)
    blog.state.background.join()
    assert shown(blog, "2", prefetches=False) == ["2 comments"]


@pytest.mark.parametrize("age_s", [FRESH_S + 1, LATE_S, 1_000_000.0])
def test_what_others_have_written_is_counted_soon(blog: Site, clock_s: Clock, age_s: float) -> None:
    assert shown(blog, "2") == ["2 comments"]
    blog.api.write("room-2", "another one")
    assert shown(blog, "2") == ["2 comments"]
    clock_s.advance(age_s)
    shown(blog, "2")
    blog.state.background.join()
    assert shown(blog, "2") == ["3 comments"]


def test_what_this_process_changes_counts_at_once(blog: Site) -> None:
    shown(blog, "2", "4")
    blog.api.write("room-2", "posted by this process")
    blog.state.forget_post("2")
    assert shown(blog, "2") == ["3 comments"]
    blog.state.registry.update("4", is_private=True)
    assert shown(blog, "4") == [""]


@pytest.mark.parametrize("change", [{"is_private": True}, {"state": RoomState.DELETED}])
def test_private_and_deleted_ones_have_none(blog: Site, clock_s: Clock, change: dict[str, Any]) -> None:
    blog.state.registry.update("2", **change)
    assert shown(blog, "2") == [""]
    assert blog.api.calls == []


class TestAnOutage:
    def test_nothing_is_shown_of_what_was_not_known(self, blog: Site, clock_s: Clock) -> None:
        blog.api.fail("/chatroom/counts", 500)
        assert shown(blog, "2") == [""]
        blog.api.faults.clear()
        clock_s.advance(60)
        assert shown(blog, "2") == ["2 comments"]

    def test_what_was_known_is_shown_for_a_while(self, blog: Site, clock_s: Clock) -> None:
        shown(blog, "2")
        blog.api.fail("/chatroom/counts", httpx.ConnectError("no answer"))
        for _ in range(3):
            clock_s.advance(LATE_S)
            shown(blog, "2")
            blog.state.background.join()
            assert shown(blog, "2") == ["2 comments"]
        clock_s.advance(MAX_OUTAGE_S)
        assert shown(blog, "2") == [""]

    def test_an_answer_that_is_none_is_none(self, blog: Site) -> None:
        blog.api.fail("/chatroom/counts", httpx.Response(200, json={"counts": {"room-2": "many"}}))
        assert shown(blog, "2") == [""]


class TestTheHostedService:
    def test_is_not_asked_and_whole_threads_are_counted(self, make_blog: Callable[..., Site]) -> None:
        blog = make_blog(**HOSTED, CHATIX_PAGE_SIZE=1)
        assert shown(blog, "2", "4") == ["", ""]
        with blog.app.app_context():
            assert blog.state.threads.read("2") is not None
            assert blog.state.threads.read("4") is not None
        for post_id in ("2", "4"):
            blog.state.comment_counts.forget(post_id)
        # Of the first there are more than the one that is known.
        assert shown(blog, "2", "4") == ["", "1 comment"]
        assert "/chatroom/counts" not in blog.api.paths()

    def test_is_asked_if_the_site_knows_how(self, make_blog: Callable[..., Site]) -> None:
        blog = make_blog(**HOSTED, CHATIX_API_OPERATIONS={"counts": {"path": "/chatroom/counts"}})
        assert shown(blog, "2") == ["2 comments"]


def test_memory_is_bounded(blog: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_chatix_comments.comment_counts.MAX_KEPT", 60)
    shown(blog, *POSTS)
    shown(blog, *map(str, range(100, 150)))
    assert len(blog.state.comment_counts._kept) <= 60


def test_old_ones_are_not_shown_without_prefetch(blog: Site, clock_s: Clock) -> None:
    shown(blog, "2")
    clock_s.advance(MAX_AGE_S + 1)
    assert shown(blog, "2", prefetches=False) == [""]


@pytest.mark.parametrize(("count", "words"), [(0, "0 comments"), (1, "1 comment"), (1234, "1,234 comments")])
def test_in_words(count: int, words: str) -> None:
    assert count_of_comments(count) == words
