"""Without JavaScript: a form that loses nothing, takes nothing from elsewhere, and posts once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from jinja2 import StrictUndefined
from werkzeug.test import TestResponse

from flask_chatix_comments import RoomState, Visitor
from flask_chatix_comments.plain_rates import PlainRates
from flask_chatix_comments.signals import comment_posted
from tests.flask_support import Clock, Site

USER = Visitor(key=7, name="Jonas Petri")
MANAGER = Visitor(key="m", name="Marit Lund", is_manager=True)
HOSTED = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}
SAME = {"Sec-Fetch-Site": "same-origin"}
POST = "/chatix-comments/post"


@pytest.fixture
def now(site: Site, clock: Clock) -> Clock:
    """The time, at the start of ten minutes by the clock."""
    assert clock.now % 600 == 0
    site.api.clock = clock
    return clock


@pytest.fixture
def blog(site: Site, now: Clock) -> Site:
    site.state.registry.link("hello", "room", title="Hello", is_private=False, state=RoomState.OPEN)
    return site


def send(
    site: Site, text: str = "A comment", *, name: str = "Robin", client: FlaskClient | None = None, **options: Any
) -> TestResponse:
    headers = {"Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
    form = {"post": options.pop("token", None) or site.post_token(), "name": name, "text": text} | options
    client = client or site.app.test_client()
    return client.post(POST, data=form, headers={key: value for key, value in headers.items() if value is not None})


def sent(site: Site) -> list[str]:
    return [message["content"] for room in site.api.messages.values() for message in room]


def page(answer: TestResponse) -> BeautifulSoup:
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    return BeautifulSoup(answer.text, "html.parser")


def form_of(answer: TestResponse) -> dict[str, str]:
    """Return what a browser would send of the form on a page."""
    (form,) = page(answer).select("form.chatix-plain-form")
    values = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    (text,) = form.select("textarea")
    # As parsers do: the first line break is not part of it.
    return values | {"text": text.text.removeprefix("\n")}


def notice(answer: TestResponse) -> str:
    (found,) = page(answer).select(".chatix-error")
    return found.text


class TestPosting:
    def test_leads_to_the_thread_that_shows_it(self, blog: Site) -> None:
        client = blog.app.test_client()
        answer = send(blog, "Two\r\nlines ", client=client)
        assert answer.status_code == 303
        (message,) = blog.api.messages["room"]
        assert (message["content"], message["sender_flag"]) == ("Two\nlines", 0)
        url = urlsplit(answer.headers["Location"])
        assert (url.path, url.fragment) == ("/chatix-comments/thread", f"comment-{message['uuid']}")
        thread = page(client.get(answer.headers["Location"]))
        assert [tag.text for tag in thread.select("article .chatix-text")] == ["Two\nlines"]
        assert thread.select(f"#{url.fragment}")

    def test_the_site_hears_of_it(self, blog: Site) -> None:
        heard: list[tuple[object, str, str]] = []
        with comment_posted.connected_to(
            lambda app, *, post_id, message: heard.append((app, post_id, message.content)), sender=blog.app
        ):
            assert send(blog, "").status_code == 422
            assert send(blog, "A comment").status_code == 303
        assert heard == [(blog.app, "hello", "A comment")]

    def test_a_guest_has_a_name_that_comes_back(self, blog: Site) -> None:
        client = blog.app.test_client()
        send(blog, name="Robin", client=client)
        cookie = client.get_cookie("chatix_guest", path="/chatix-comments")
        assert cookie is not None
        assert cookie.http_only
        first, second = (send(blog, text, name="Robin", client=client) for text in ("One", "Two"))
        assert (first.status_code, second.status_code) == (303, 303)
        assert len({message["sender_id"] for message in blog.api.messages["room"]}) == 1
        assert [body["name"] for body in blog.api.bodies("/visitor/update")] == ["Robin"] * 3
        assert form_of(client.get(f"/chatix-comments/thread?post={blog.post_token()}"))["name"] == "Robin"

    @pytest.mark.parametrize(("user", "flag"), [(USER, 0), (MANAGER, 1)])
    def test_the_sites_users_are_who_they_are(self, blog: Site, user: Visitor, flag: int) -> None:
        blog.comments.visitor_loader(lambda: user)
        assert send(blog, name="somebody else").status_code == 303
        (message,) = blog.api.messages["room"]
        assert message["sender_flag"] == flag
        (body,) = blog.api.bodies("/visitor/update")
        assert body["name"] == user.name
        soup = page(blog.app.test_client().get(f"/chatix-comments/thread?post={blog.post_token()}"))
        assert [tag.text for tag in soup.select(".chatix-identity")] == [f"Commenting as {user.name}"]
        assert soup.select("[name=name]") == []

    def test_makes_the_chatroom(self, site: Site, now: Clock) -> None:
        assert send(site).status_code == 303
        assert [body["external_id"] for body in site.api.bodies("/chatroom/create")] == ["hello"]
        assert sent(site) == ["A comment"]

    def test_is_in_the_pages_of_this_process_at_once(self, make_site: Callable[..., Site], now: Clock) -> None:
        site = make_site(CHATIX_RENDER_WAIT=5)
        site.state.registry.link("hello", "room", title="", is_private=False, state=RoomState.OPEN)
        with site.app.test_request_context():
            assert "A comment" not in site.state.renderer.comments("hello")
        send(site)
        with site.app.test_request_context():
            assert "A comment" in site.state.renderer.comments("hello")

    def test_leads_back_to_the_page_it_came_from(self, blog: Site) -> None:
        client = blog.app.test_client()
        answer = send(blog, client=client, headers={"Referer": "http://localhost/posts/7?a=b"})
        soup = page(client.get(answer.headers["Location"]))
        assert [link["href"] for link in soup.select(".chatix-note a")] == ["/posts/7?a=b"]

    @pytest.mark.parametrize(
        "address",
        [
            "//evil.example/",
            "https://evil.example/x",
            "javascript:alert(1)",
            "/\\evil.example",
            "/chatix-comments/post",
            "http://[",
        ],
    )
    def test_and_to_no_other_site(self, blog: Site, address: str) -> None:
        for answer in (send(blog, text=address, back=address), send(blog, headers={"Referer": address})):
            assert "back" not in parse_qs(urlsplit(answer.headers["Location"]).query)


class TestTwice:
    def test_the_same_is_one_comment_for_ten_minutes(self, blog: Site, now: Clock) -> None:
        client = blog.app.test_client()
        locations = {send(blog, client=client).headers["Location"] for _ in range(3)}
        assert len(locations) == 1
        now.advance(599)
        send(blog, client=client)
        assert sent(blog) == ["A comment"]
        now.advance(2)
        send(blog, client=client)
        assert sent(blog) == ["A comment"] * 2

    def test_also_across_the_end_of_ten_minutes_by_the_clock(self, blog: Site, now: Clock) -> None:
        client = blog.app.test_client()
        now.advance(599)
        send(blog, client=client)
        now.advance(2)
        send(blog, client=client)
        assert sent(blog) == ["A comment"]

    def test_a_guest_who_has_no_cookie_yet_clicks_twice(self, blog: Site) -> None:
        answers = [send(blog) for _ in range(2)]
        assert sent(blog) == ["A comment"]
        assert len({answer.headers["Location"] for answer in answers}) == 1
        # The browser goes on as who has written it.
        assert ["Set-Cookie" in answer.headers for answer in answers] == [True, False]

    def test_others_are_others(self, blog: Site) -> None:
        client = blog.app.test_client()
        send(blog, client=client)
        send(blog, "Another text", client=client)
        send(blog, client=client, token=blog.post_token("other"))
        send(blog, name="Kim")
        send(blog, headers={"User-Agent": "another browser"})
        assert len(sent(blog)) == 5

    def test_the_key_tells_nothing(self, blog: Site) -> None:
        send(blog)
        key = blog.api.messages["room"][0]["client_key"]
        assert len(key) == 64
        assert set(key) <= set("0123456789abcdef")

    def test_on_the_hosted_service_which_is_looked_through(self, make_site: Callable[..., Site], clock: Clock) -> None:
        site = make_site(**HOSTED)
        site.api.clock = clock
        client = site.app.test_client()
        for _ in range(2):
            assert send(site, client=client).status_code == 303
        (message,) = [message for room in site.api.messages.values() for message in room]
        assert message["client_key"] is None
        assert message["sender_id"].startswith("service-id-")


class TestWhereItComesFrom:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
            {"Sec-Fetch-Site": None, "Origin": "null"},
            {"Sec-Fetch-Site": None, "Origin": "http://["},
            {"Sec-Fetch-Site": None},
        ],
    )
    def test_the_reader_is_asked_and_the_text_kept(self, blog: Site, headers: dict[str, Any]) -> None:
        loaded: list[bool] = []
        blog.comments.visitor_loader(lambda: loaded.append(True))
        client = blog.app.test_client()
        answer = send(blog, "\n<b>text</b>", name="<i>Robin</i>", client=client, headers=headers)
        assert answer.status_code == 200
        assert notice(answer).startswith("This comment did not come from a page of this site.")
        form = form_of(answer)
        assert (form["text"], form["name"]) == ("\n<b>text</b>", "<i>Robin</i>")
        assert (sent(blog), loaded, blog.api.calls) == ([], [], [])
        assert client.post(POST, data=form | {"name": "Robin"}, headers=SAME).status_code == 303
        assert sent(blog) == ["<b>text</b>"]

    @pytest.mark.parametrize("origin", ["http://localhost", "https://localhost"])
    def test_a_matching_origin_is_enough(self, blog: Site, origin: str) -> None:
        assert send(blog, headers={"Sec-Fetch-Site": None, "Origin": origin}).status_code == 303

    def test_an_old_browser_confirms_with_what_only_it_was_given(self, blog: Site) -> None:
        silent = {"Sec-Fetch-Site": None}
        client, other = blog.app.test_client(), blog.app.test_client()
        form = form_of(send(blog, client=client, headers=silent))
        assert form["confirmation"]
        # Not another browser, not for another text, post or without a cookie.
        for attempt, by in ((form, other), (form | {"text": "x"}, client), (form | {"confirmation": ""}, client)):
            assert by.post(POST, data=attempt).status_code == 200
        assert sent(blog) == []
        form = form_of(send(blog, client=client, headers=silent))
        assert client.post(POST, data=form).status_code == 303
        assert sent(blog) == ["A comment"]

    def test_what_the_browser_says_is_worth_more_than_a_confirmation(self, blog: Site) -> None:
        client = blog.app.test_client()
        form = form_of(send(blog, client=client, headers={"Sec-Fetch-Site": None}))
        assert client.post(POST, data=form, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
        assert sent(blog) == []

    def test_the_other_views_take_no_forms(self, blog: Site) -> None:
        answer = blog.app.test_client().post("/chatix-comments/join", data={"post": "x"}, headers=SAME)
        assert answer.status_code == 400


class TestWhatCannotBePosted:
    @pytest.mark.parametrize(
        ("text", "name", "reason"),
        [
            (" \r\n", "Robin", "Write something first."),
            ("x" * 10_001, "Robin", "A comment has at most 10,000 characters; this one has 10,001."),
            ("🧵" * 10_001, "Robin", "A comment has at most 10,000 characters; this one has 10,001."),
            ("a\0b", "Robin", "This comment holds characters that cannot be shown."),
            ("text", "", "Please give a name."),
            ("text", "x" * 81, "A name has at most 80 characters."),
            ("text", "Ro\u202ebin", "This name holds characters that cannot be shown."),
        ],
    )
    def test_comes_back_with_the_reason(self, blog: Site, text: str, name: str, reason: str) -> None:
        answer = send(blog, text, name=name)
        assert answer.status_code == 422
        assert notice(answer) == reason
        assert form_of(answer)["text"] == text
        assert form_of(answer)["name"] == name
        assert len(page(answer).select("[aria-invalid]")) == 1
        assert sent(blog) == []

    def test_ten_thousand_characters_can(self, blog: Site) -> None:
        assert send(blog, "🧵" * 10_000).status_code == 303

    @pytest.mark.parametrize("status", [400, 409, 422])
    def test_a_name_that_belongs_to_somebody(self, blog: Site, status: int) -> None:
        blog.api.fail("/visitor/update", status)
        answer = send(blog)
        assert (answer.status_code, notice(answer)) == (422, "This name cannot be used here. Please choose another.")

    def test_nothing_to_a_page_that_is_none_of_ours(self, blog: Site) -> None:
        answer = send(blog, token="made up")
        assert answer.status_code == 400
        assert "out of date" in page(answer).text
        assert blog.app.test_client().get("/chatix-comments/thread?post=made-up").status_code == 400

    @pytest.mark.parametrize(("state", "status"), [(RoomState.CLOSED, 409), (RoomState.DELETED, 404)])
    def test_nothing_to_a_thread_that_is_closed_or_deleted(self, blog: Site, state: RoomState, status: int) -> None:
        blog.state.registry.update("hello", state=state)
        answer = send(blog)
        assert answer.status_code == status
        assert form_of(answer)["text"] == "A comment"
        thread = page(blog.app.test_client().get(f"/chatix-comments/thread?post={blog.post_token()}"))
        assert thread.select("form.chatix-plain-form") == []

    @pytest.mark.parametrize(("status", "ours"), [(400, 422), (403, 409), (404, 404), (413, 422), (422, 422)])
    def test_what_the_service_refuses(self, blog: Site, status: int, ours: int) -> None:
        blog.api.fail("/chatroom/send-message", httpx.Response(status, json={"error": "<b>internal</b>"}))
        answer = send(blog)
        assert answer.status_code == ours
        assert form_of(answer)["text"] == "A comment"
        assert "internal" not in answer.text

    def test_too_often(self, blog: Site) -> None:
        blog.state.plain_rates = PlainRates({"visitor": (2, 60)})
        client = blog.app.test_client()
        answers = [send(blog, f"Comment {number}", client=client) for number in range(4)]
        # The first is by who has no cookie yet.
        assert [answer.status_code for answer in answers] == [303, 303, 429, 429]
        assert form_of(answers[2])["text"] == "Comment 2"
        assert 0 < int(answers[2].headers["Retry-After"]) <= 30
        blog.comments.visitor_loader(lambda: MANAGER)
        assert {send(blog, f"Answer {number}", client=client).status_code for number in range(4)} == {303}


class TestAnOutage:
    FAILURES: list[Any] = [500, 503, 401, httpx.ConnectError("no answer"), httpx.ReadTimeout("slow")]

    @pytest.mark.parametrize("path", ["/chatroom/messages", "/chatroom/send-message", "/visitor/update"])
    @pytest.mark.parametrize("failure", FAILURES, ids=str)
    def test_the_text_comes_back_with_the_reason(
        self, blog: Site, path: str, failure: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        blog.api.fail(path, failure)
        answer = send(blog, "A <secret>\ntext", name="Robin")
        assert answer.status_code == 503
        assert notice(answer).startswith("Your comment was not posted: the comments cannot be reached.")
        form = form_of(answer)
        assert (form["text"], form["name"]) == ("A <secret>\ntext", "Robin")
        assert int(answer.headers["Retry-After"]) > 0
        assert "secret" not in caplog.text
        assert "Robin" not in caplog.text
        blog.api.faults.clear()
        answer = blog.app.test_client().post(POST, data=form, headers=SAME)
        assert answer.status_code == 303
        assert sent(blog) == ["A <secret>\ntext"]

    def test_a_comment_that_had_arrived_is_there_once(self, blog: Site) -> None:
        client = blog.app.test_client()
        send(blog, "First", client=client)
        blog.api.faults["/chatroom/send-message"] = lambda: self._arrive(blog)
        assert send(blog, "Second", client=client).status_code == 503
        blog.api.faults.clear()
        assert send(blog, "Second", client=client).status_code == 303
        assert sent(blog) == ["First", "Second"]

    @staticmethod
    def _arrive(blog: Site) -> Exception:
        path, query, body = blog.api.calls[-1]
        blog.api._result(path, query, dict(body))
        return httpx.ReadTimeout("the answer is lost")

    def test_a_chatroom_that_cannot_be_made_yet(self, site: Site, now: Clock) -> None:
        site.api.fail("/chatroom/create", 503)
        answer = send(site)
        assert (answer.status_code, form_of(answer)["text"]) == (503, "A comment")

    def test_the_thread_says_that_it_cannot_be_reached(self, blog: Site, caplog: pytest.LogCaptureFixture) -> None:
        blog.api.fail("/chatroom/messages", 500)
        answer = blog.app.test_client().get(f"/chatix-comments/thread?post={blog.post_token()}")
        assert (answer.status_code, notice(answer)) == (
            503,
            "The comments cannot be reached at the moment. Please try again in a moment.",
        )
        assert [record.levelno for record in caplog.records if "unavailable" in record.message] == [logging.ERROR]


class TestThread:
    def test_pages_back(self, make_site: Callable[..., Site], now: Clock) -> None:
        site = make_site(CHATIX_PAGE_SIZE=2)
        site.state.registry.link("hello", "room", title="", is_private=False, state=RoomState.OPEN)
        for number in range(5):
            site.api.write("room", f"text {number}")
        site.api.write("room", "a whisper", is_whisper=True)
        client, url, seen = (
            site.app.test_client(),
            f"/chatix-comments/thread?post={site.post_token()}&back=/posts/7",
            [],
        )
        while url:
            soup = page(client.get(url))
            seen.append([tag.text for tag in soup.select("article .chatix-text")])
            forms = soup.select("form.chatix-earlier-form")
            query = "&".join(f"{field['name']}={field['value']}" for form in forms for field in form.select("input"))
            assert not forms or "back=/posts/7" in query
            url = f"/chatix-comments/thread?{query}" if forms else ""
        assert [text for part in reversed(seen) for text in part] == [f"text {number}" for number in range(5)]
        assert "rel" in soup.select_one(".chatix-body .chatix-note a").attrs  # type: ignore[union-attr]

    def test_of_a_post_without_a_chatroom_is_empty_and_makes_none(self, site: Site) -> None:
        answer = site.app.test_client().get(f"/chatix-comments/thread?post={site.post_token()}")
        assert [tag.text for tag in page(answer).select(".chatix-empty")] == [
            "No comments yet. Yours could be the first."
        ]
        assert site.api.calls == []
        assert site.state.registry.find("hello") is None

    @pytest.mark.parametrize("before", ["unknown", "<b>", "x" * 5000])
    def test_before_what_there_is_not(self, blog: Site, before: str) -> None:
        blog.api.fail("/chatroom/messages", 404)
        answer = blog.app.test_client().get(
            "/chatix-comments/thread", query_string={"post": blog.post_token(), "before": before}
        )
        assert answer.status_code == 404


class TestPrivatePosts:
    @pytest.fixture
    def private(self, blog: Site) -> Site:
        blog.state.registry.update("hello", is_private=True)
        blog.api.write("room", "a secret")
        blog.api.write("room", "", type=5, file_url="http://hub/v1/file/a/plan.pdf?pass=x", file_name="plan.pdf")
        blog.user = None  # type: ignore[attr-defined]  # Who is signed in.
        blog.comments.visitor_loader(lambda: blog.user)  # type: ignore[attr-defined]
        blog.comments.access_loader(lambda visitor, post_id: visitor is not None and str(visitor.key) == "7")
        return blog

    def test_are_read_and_written_by_whom_the_site_lets_in(self, private: Site) -> None:
        private.user = USER  # type: ignore[attr-defined]
        client = private.app.test_client()
        for token in (private.post_token(), private.post_token(is_private=True)):
            answer = client.get(f"/chatix-comments/thread?post={token}")
            assert answer.status_code == 200
            texts = [tag.text for tag in page(answer).select("article .chatix-text")]
            # The address of a file is not for whoever has the page.
            assert texts[:2] == ["a secret", "plan.pdf"]
            assert "pass=" not in answer.text
            assert send(private, f"Mine {len(texts)}", token=token, client=client).status_code == 303

    def test_are_not_there_for_others(self, private: Site) -> None:
        private.user = Visitor(key=8, name="Somebody")  # type: ignore[attr-defined]
        self._is_like_a_deleted_one(private)
        private.user = None  # type: ignore[attr-defined]
        self._is_like_a_deleted_one(private)
        assert private.api.calls == []

    @staticmethod
    def _is_like_a_deleted_one(private: Site) -> None:
        client = private.app.test_client()
        token = private.post_token(title="The plan")
        answers = [client.get(f"/chatix-comments/thread?post={token}"), send(private, token=token, client=client)]
        private.state.registry.update("hello", state=RoomState.DELETED, is_private=False)
        deleted = [client.get(f"/chatix-comments/thread?post={token}"), send(private, token=token, client=client)]
        private.state.registry.update("hello", state=RoomState.OPEN, is_private=True)
        assert [(one.status_code, one.text) for one in answers] == [(one.status_code, one.text) for one in deleted]
        assert [one.status_code for one in answers] == [404, 404]
        assert "The plan" not in answers[0].text
        assert form_of(answers[1])["text"] == "A comment"

    def test_no_chatroom_is_made_for_who_may_not_read_it(self, site: Site, now: Clock) -> None:
        assert send(site, token=site.post_token(is_private=True)).status_code == 404
        assert site.api.calls == []


def test_a_site_with_the_widget_offers_no_form(make_site: Callable[..., Site], now: Clock) -> None:
    site = make_site(**HOSTED, CHATIX_SDK="widget")
    with site.app.test_request_context():
        soup = BeautifulSoup(site.state.renderer.comments("hello"), "html.parser")
    assert soup.select("form") == []
    site.comments.visitor_loader(lambda: USER)
    assert send(site).status_code == 501


def test_a_page_below_a_path_stays_there(blog: Site) -> None:
    client = blog.app.test_client()
    form = {"post": blog.post_token(), "name": "Robin", "text": "x"}
    answer = client.post(POST, data=form, headers=SAME, environ_overrides={"SCRIPT_NAME": "/blog"})
    assert answer.headers["Location"].startswith("/blog/chatix-comments/thread?")


def test_a_site_that_takes_undefined_names_for_errors_has_all_of_this(blog: Site) -> None:
    blog.app.jinja_env.undefined = StrictUndefined
    client = blog.app.test_client()
    with blog.app.test_request_context():
        assert blog.state.renderer.comments("hello")
    for answer in (send(blog, client=client), send(blog, ""), send(blog, headers={"Sec-Fetch-Site": "none"})):
        assert answer.status_code in (200, 303, 422)
    assert client.get(f"/chatix-comments/thread?post={blog.post_token()}&back=/x").status_code == 200
    assert client.get("/chatix-comments/thread").status_code == 400
    with blog.app.test_request_context():
        assert "A comment" in blog.state.renderer.comments("hello")


class TestRates:
    def test_a_bucket_fills_as_time_goes(self) -> None:
        rates = PlainRates({"visitor": (2, 60), "address": (3, 60)})
        one, two = {"visitor": "a", "address": "x"}, {"visitor": "b", "address": "x"}
        assert [rates.take(one, 0), rates.take(one, 0), rates.take(one, 0)] == [0, 0, 30]
        assert [rates.take(two, 0), rates.take(two, 0)] == [0, 20]
        assert rates.take(one, 30) == 0

    def test_memory_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(PlainRates, "MAX_KEYS", 10)
        rates = PlainRates({})
        for number in range(100):
            rates.take({"visitor": str(number), "address": str(number)}, 0)
        assert len(rates._full_at) <= 10
