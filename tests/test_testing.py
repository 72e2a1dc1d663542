"""The fixtures that we offer to the tests of blogs: first used as a blog does, then each helper by itself."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask, render_template_string, session

from flask_chatix_comments import ApiStatusError, ChatixComments, HubError, Visitor
from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests, Visit, running_hub
from tests.documents import TESTING, block, blocks_under
from tests.flask_support import SECRET, Site

PAGE = "{{ chatix_comments('hello', title='Hello') }}"


def add_page(app: Flask) -> None:
    app.add_url_rule("/posts/hello/", "post", lambda: render_template_string(PAGE))
    app.add_url_rule("/about/", "about", lambda: "no comments here")


@pytest.fixture
def site(make_site: Callable[..., Site], chatix_hub: HubForTests) -> Site:
    """A blog on the real hub, whose session says who is signed in."""
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)
    add_page(site.app)

    @site.comments.visitor_loader
    def load_visitor() -> Visitor | None:
        key = session.get("user")
        return Visitor(key=key, name=key.title(), is_manager=key == "ann") if key else None

    return site


class TestVisits:
    def test_of_a_guest(self, site: Site, chatix_hub: HubForTests) -> None:
        guest = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        assert (guest.name, guest.is_signed_in, guest.is_manager, guest.is_closed) == (None, False, False, False)
        written = guest.write("They have gone. \N{BIRD}", name="Robin")
        assert (guest.name, written.sender_name, written.content) == ("Robin", "Robin", "They have gone. \N{BIRD}")
        assert written.sender_id == guest.visitor_id
        assert abs(written.sent_at - datetime.now(UTC)) < timedelta(seconds=30)
        assert guest.write("All of them").sender_id == written.sender_id
        with site.app.app_context():
            room = site.comments.api.get_chatroom(guest.chatroom_id)
        assert (room.title, room.external_id) == ("Hello", "hello")

    def test_of_a_user(self, site: Site, chatix_hub: HubForTests) -> None:
        client = site.app.test_client()
        with client.session_transaction() as session:
            session["user"] = "ann"
        ann = chatix_hub.visit(client, "/posts/hello/")
        assert (ann.name, ann.is_signed_in, ann.is_manager) == ("Ann", True, True)
        assert ann.write("Good evening").sender_name == "Ann"
        assert [message.sender_name for message in chatix_hub.messages("hello")] == ["Ann"]

    def test_again_find_the_same_guest(self, site: Site, chatix_hub: HubForTests) -> None:
        client = site.app.test_client()
        first = chatix_hub.visit(client, "/posts/hello/")
        first.write("I will be back", name="Robin")
        again = chatix_hub.visit(client, "/posts/hello/")
        assert (again.name, again.visitor_id) == ("Robin", first.visitor_id)
        other = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        assert (other.name, other.visitor_id == first.visitor_id) == (None, False)

    def test_below_a_prefix(self, make_site: Callable[..., Site], chatix_hub: HubForTests) -> None:
        site = make_site(extension=ChatixComments(), APPLICATION_ROOT="/blog", **chatix_hub.settings)
        add_page(site.app)
        visit = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        assert visit.write("Hello", name="Robin").content == "Hello"

    def test_of_a_thread_that_is_read_only(self, site: Site, chatix_hub: HubForTests) -> None:
        visit = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        chatix_hub.api.update_chatroom(visit.chatroom_id, is_closed=True)
        with pytest.raises(HubError, match="closed"):
            visit.write("Too late", name="Robin")
        assert chatix_hub.messages("hello") == []

    def test_leave_the_chatroom(self, site: Site, chatix_hub: HubForTests) -> None:
        visit = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        visit.write("Hello", name="Robin")
        assert chatix_hub.api.get_chatroom(visit.chatroom_id).number_of_visitors == 0

    @pytest.mark.parametrize(
        ("path", "message"),
        [
            ("/posts/none/", "GET /posts/none/ answered 404 NOT FOUND, not a page"),
            ("/about/", r"The page /about/ has no comments: {{ chatix_comments\(...\) }} renders them"),
        ],
    )
    def test_of_a_page_without_comments(self, site: Site, chatix_hub: HubForTests, path: str, message: str) -> None:
        with pytest.raises(AssertionError, match=message):
            chatix_hub.visit(site.app.test_client(), path)

    def test_without_a_name(self, site: Site, chatix_hub: HubForTests) -> None:
        visit = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        with pytest.raises(AssertionError, match="POST /chatix-comments/take-part answered 422 .*bad_name"):
            visit.write("Who am I?")

    def test_while_the_hub_is_down(self, site: Site, chatix_hub: HubForTests) -> None:
        chatix_hub.thread.stop()
        with pytest.raises(AssertionError, match="POST /chatix-comments/join answered 503 .*unavailable"):
            chatix_hub.visit(site.app.test_client(), "/posts/hello/")


class TestTheHub:
    def test_takes_comments_past_the_site(self, site: Site, chatix_hub: HubForTests) -> None:
        first = chatix_hub.write("hello", "First")
        second = chatix_hub.write("hello", "Second", name="Robin")
        third = chatix_hub.write("hello", "Third", name="Robin")
        assert chatix_hub.messages("hello") == [first, second, third]
        assert [message.sender_name for message in (first, second)] == ["A reader", "Robin"]
        assert first.sender_id != second.sender_id == third.sender_id
        visit = chatix_hub.visit(site.app.test_client(), "/posts/hello/")
        assert visit.chatroom_id == first.chatroom_id

    def test_reads_long_threads_to_their_beginning(self, chatix_hub: HubForTests) -> None:
        first = chatix_hub.write("hello", "0")
        for number in range(1, 205):
            chatix_hub.api.send_message(first.chatroom_id, sender_id="somebody", content=str(number))
        assert [message.content for message in chatix_hub.messages("hello")] == [str(number) for number in range(205)]

    def test_reads_threads_of_long_comments_to_their_beginning(self, chatix_hub: HubForTests) -> None:
        room = chatix_hub.write("hello", "0").chatroom_id
        texts = [f"{number} {'long ' * 1800}".strip() for number in range(1, 61)]
        for text in texts:
            chatix_hub.api.send_message(room, sender_id="somebody", content=text)
        # The hub ends a page early when it grows large.
        assert len(chatix_hub.api.list_messages(room, limit=100)) < 61
        assert [message.content for message in chatix_hub.messages("hello")] == ["0", *texts]

    def test_has_nothing_on_other_posts(self, chatix_hub: HubForTests) -> None:
        chatix_hub.write(7, "On seven")
        assert [message.content for message in chatix_hub.messages("7")] == ["On seven"]
        assert chatix_hub.messages(8) == []

    def test_accepts_the_tickets_that_are_signed_for_it(self, chatix_hub: HubForTests) -> None:
        room = chatix_hub.write("hello", "First").chatroom_id
        ticket = chatix_hub.sign_ticket("staff-1", name="Marit", is_manager=True)
        written = chatix_hub._address.write(ticket, room, "Welcome")
        assert (written.sender_id, written.sender_name) == ("staff-1", "Marit")
        with pytest.raises(HubError, match="The hub refuses the ticket"):
            chatix_hub._address.write(ticket[:-1], room, "Not signed")

    def test_refuses_what_it_refuses_readers(self, chatix_hub: HubForTests) -> None:
        room = chatix_hub.api.create_chatroom("Secret", is_private=True, external_id="secret").chatroom_id
        with pytest.raises(HubError):
            chatix_hub.write("secret", "Let me in")
        assert chatix_hub.api.list_messages(room) == []
        with pytest.raises(ApiStatusError):
            chatix_hub.api.get_chatroom("none")


class TestTheDocumentedExample:
    """The blocks of docs/testing-your-blog.md, as files of a project of its own."""

    SHARED = (
        "def test_one(shared_hub):\n    shared_hub.write('a', 'One')\n\n\n"
        "def test_two(shared_hub):\n    assert len(shared_hub.messages('a')) == 1\n"
    )

    def test_runs_where_warnings_are_errors(self, tmp_path: Path) -> None:
        blog, conftest, tests = blocks_under("An example", TESTING)
        (tmp_path / "blog.py").write_text(blog)
        (tmp_path / "conftest.py").write_text(conftest)
        (tmp_path / "test_blog.py").write_text(tests)
        output = run_pytest(tmp_path)
        assert f"{tests.count('def test_')} passed" in output
        # Nothing was kept beside the blog.
        assert not (tmp_path / "instance").exists()

    def test_of_another_scope_keeps_its_comments(self, tmp_path: Path) -> None:
        (tmp_path / "conftest.py").write_text(block("One hub for many tests", TESTING))
        (tmp_path / "test_shared.py").write_text(self.SHARED)
        assert "2 passed" in run_pytest(tmp_path)

    def test_describes_all_that_there_is(self) -> None:
        text = TESTING.read_text().partition("## What the fixture has")[2]
        described = set(re.findall(r"`(\w+)(?:\(.*?\))?`(?=[^|\n]*\|)", text))
        for kind in (HubForTests, Visit):
            offered = {name for name in [*vars(kind), *kind.__annotations__] if not name.startswith("_")}
            assert offered <= described

    def test_calls_are_as_documented(self) -> None:
        text = TESTING.read_text().partition("## What the fixture has")[2]
        for kind, name in ((HubForTests, "write"), (HubForTests, "sign_ticket"), (Visit, "write")):
            parameters = list(inspect.signature(getattr(kind, name)).parameters.values())[1:]
            shown = [
                p.name if p.default is p.empty else f"{p.name}={p.default!r}".replace("'", '"') for p in parameters
            ]
            by_name = [index for index, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY]
            if by_name:
                shown.insert(by_name[0], "*")
            assert f"`{name}({', '.join(shown)})`" in text


def run_pytest(folder: Path) -> str:
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    result = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_what_an_application_has_open_is_closed_with_the_hub(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        app = Flask("blog", instance_path=str(tmp_path))
        app.config.update(TESTING=True, SECRET_KEY=SECRET, **hub.settings)
        ChatixComments(app)
        add_page(app)
        hub.visit(app.test_client(), "/posts/hello/")
        pool = get_state(app).registry.database.engine.pool
        assert "Connections in pool: 1" in pool.status()
    assert get_state(app).registry.database.engine.pool is not pool


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_chatix_comments.hub.server", None)
    with pytest.raises(pytest.fail.Exception, match="pip install 'flask-chatix-comments.hub.'"), running_hub(tmp_path):
        pass


def test_an_application_on_another_hub_is_left_alone(make_site: Callable[..., Site], tmp_path: Path) -> None:
    site = make_site()
    with running_hub(tmp_path), site.app.app_context():
        site.comments.rooms.find("7")
        pool = site.state.registry.database.engine.pool
    assert site.state.registry.database.engine.pool is pool
