"""Wiring: one state for each application, what it derives, when it starts a hub, what it refuses."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from flask import Flask

from flask_chatix_comments import (
    ApiError,
    ChatixComments,
    ConfigError,
    Outcome,
    Post,
    PostError,
    PostNotRegisteredError,
    RoomInfo,
    Visitor,
)
from flask_chatix_comments.dev_hub import DevHub
from flask_chatix_comments.errors import HubLockedError
from flask_chatix_comments.room_info import listed_rooms
from flask_chatix_comments.state import EXTENSION_KEY, AppState, get_state
from flask_chatix_comments.testing import START_TIMEOUT_S
from flask_chatix_comments.tokens import derive_key, derive_text_key
from tests.flask_support import SECRET, FakeApi, Site


class TestRegistration:
    def test_the_constructor_registers_an_app(self, tmp_path: Path) -> None:
        app = Flask("blog", instance_path=str(tmp_path))
        app.config.update(TESTING=True, SECRET_KEY=SECRET)
        ChatixComments(app)
        assert isinstance(app.extensions[EXTENSION_KEY], AppState)
        assert get_state(app) is app.extensions[EXTENSION_KEY]

    def test_what_belongs_to_an_app_is_on_the_app(self, make_site: Callable[..., Site]) -> None:
        comments = ChatixComments()
        before = dict(vars(comments))
        sites = [make_site(extension=comments, CHATIX_PAGE_SIZE=size) for size in (10, 20)]
        assert vars(comments) == before
        assert [site.state.config.page_size for site in sites] == [10, 20]

    def test_a_second_registration_is_refused(self, site: Site) -> None:
        for comments in (ChatixComments(), site.comments):
            with pytest.raises(ConfigError, match="has a comment section already; call init_app once"):
                comments.init_app(site.app)

    def test_an_app_without_the_section(self) -> None:
        with pytest.raises(ConfigError, match="'blog' has no comment section; call ChatixComments.init_app"):
            get_state(Flask("blog"))

    def test_settings_are_read_once(self, site: Site) -> None:
        site.app.config["CHATIX_PAGE_SIZE"] = 7
        site.app.config["SECRET_KEY"] = "another key, 32 bytes or so, too"
        assert site.state.config.page_size == 30
        assert site.state.config.secrets == (SECRET.encode(),)

    @pytest.mark.parametrize(
        ("settings", "key"),
        [
            ({"CHATIX_HUB_PROT": 1}, "CHATIX_HUB_PROT"),
            ({"CHATIX_API_KEY": "x"}, "CHATIX_WEBSITE_ID"),
            ({"SECRET_KEY": None, "TESTING": False}, "SECRET_KEY"),
            ({"CHATIX_API_OPERATIONS": {"get_chatrom": {}}}, "CHATIX_API_OPERATIONS"),
            ({"CHATIX_DATABASE_URL": "nosuch://database"}, "CHATIX_DATABASE_URL"),
            ({"CHATIX_DATABASE_URL": "sqlite:////dev/null/x/chat.sqlite3"}, "CHATIX_DATABASE_URL"),
        ],
    )
    def test_what_cannot_be_used_is_refused_whole(self, tmp_path: Path, settings: dict[str, object], key: str) -> None:
        app = Flask("blog", instance_path=str(tmp_path))
        app.config.update({"TESTING": True, "SECRET_KEY": SECRET} | settings)
        with pytest.raises(ConfigError) as caught:
            ChatixComments(app)
        assert caught.value.key == key
        assert EXTENSION_KEY not in app.extensions
        assert "chatix_comments" not in app.blueprints

    def test_the_stand_in_for_a_secret_is_told_in_debug(
        self, make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
    ) -> None:
        make_site(SECRET_KEY=None)
        assert caplog.records == []
        make_site(SECRET_KEY=None, TESTING=False, debug=True)
        (record,) = caplog.records
        assert (record.levelno, "SECRET_KEY is not set" in record.getMessage()) == (logging.WARNING, True)

    def test_no_http_client_is_loaded_by_import_and_set_up(self) -> None:
        code = (
            "import sys, flask, flask_chatix_comments as c; app = flask.Flask('x', instance_path='/nonexistent');"
            " app.config.update(TESTING=True, CHATIX_DATABASE_URL='sqlite://'); c.ChatixComments(app);"
            " print(*{'httpx', 'starlette', 'uvicorn', 'msgspec'} & set(sys.modules))"
        )
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert answer.stdout.split() == []


class TestKeys:
    def test_each_purpose_has_a_key_of_its_own(self, site: Site) -> None:
        keys = site.state.keys
        assert keys.post == (derive_key(SECRET, "post token"),)
        assert keys.ticket == (derive_key(SECRET, "visitor ticket"),)
        assert keys.guest == (derive_key(SECRET, "guest cookie"),)
        assert keys.hub_api == (derive_text_key(SECRET, "hub api"),)
        assert len({*keys.post, *keys.ticket, *keys.guest, keys.hub_api[0].encode()}) == 4

    def test_fallbacks_are_accepted_after_a_change(self, make_site: Callable[..., Site]) -> None:
        old_secret = "the key of last year, 32 bytes"
        old, new = make_site(SECRET_KEY=old_secret), make_site(SECRET_KEY_FALLBACKS=[old_secret])
        assert new.state.post_tokens.check(old.post_token()).post_id == "hello"
        assert old.state.keys.hub_api[0] in new.state.hub_config().api_keys
        assert new.state.hub_config().ticket_keys == new.state.keys.ticket
        assert len(new.state.keys.guest) == 2

    def test_keys_that_are_set_do_not_depend_on_the_secret(self, make_site: Callable[..., Site]) -> None:
        set_keys = {
            "CHATIX_TICKET_KEY": ["new-ticket-key-1", "old-ticket-key-1"],
            "CHATIX_POST_KEY": "post-key-post-key",
            "CHATIX_HUB_API_KEY": "api-key-api-key-",
        }
        keys = make_site(**set_keys).state.keys
        assert keys.ticket == (b"new-ticket-key-1", b"old-ticket-key-1")
        assert keys.post == (b"post-key-post-key",)
        assert keys.hub_api == ("api-key-api-key-",)
        assert keys.guest == (derive_key(SECRET, "guest cookie"),)


class TestApi:
    @pytest.mark.parametrize(
        ("settings", "url"),
        [
            ({}, "http://127.0.0.1:5001/v1"),
            ({"CHATIX_HUB_PORT": 5900}, "http://127.0.0.1:5900/v1"),
            ({"CHATIX_HUB_HOST": "0.0.0.0"}, "http://127.0.0.1:5001/v1"),
            ({"CHATIX_HUB_HOST": "::1"}, "http://[::1]:5001/v1"),
            ({"CHATIX_HUB_URL": "https://chat.example"}, "https://chat.example/v1"),
            ({"CHATIX_HUB_URL": "https://c.example", "CHATIX_API_URL": "http://10.0.0.5:9/v1"}, "http://10.0.0.5:9/v1"),
            ({"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"}, "https://app1.chatix.io:5022/v1"),
        ],
    )
    def test_where_it_is(self, make_site: Callable[..., Site], settings: dict[str, object], url: str) -> None:
        site = make_site(**settings)
        assert site.state.api_url == url
        assert url in repr(site.state.api())

    def test_one_client_serves_an_app(self, site: Site) -> None:
        assert site.state.api() is site.state.api()
        with site.app.app_context():
            assert site.comments.api is site.state.api()
            assert site.comments.rooms is site.state.rooms

    def test_the_hub_has_the_sites_settings(self, make_site: Callable[..., Site]) -> None:
        origins = ("https://blog.example",)
        site = make_site(
            CHATIX_HUB_WEBSITE_ID="blog", CHATIX_MAX_LENGTH=99, CHATIX_HUB_ALLOWED_ORIGINS="https://blog.example"
        )
        config = site.state.hub_config()
        assert (config.website_id, config.max_message_chars, config.allowed_origins) == ("blog", 99, origins)
        assert config.database_url == site.state.config.hub_database_url


class TestAnnouncing:
    def test_memory_is_bounded(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_chatix_comments.state.MAX_ANNOUNCED", 3)
        for number in range(10):
            user = Visitor(key=number, name="Jo")
            identity = site.state.visitors.identify(user, cookie=None, ticket=None)
            site.state.announce(identity, user)
        assert len(site.state._announced) <= 3
        assert len(site.api.bodies("/visitor/update")) == 10

    def test_text_that_no_wire_can_carry_is_mended(self, site: Site) -> None:
        user = Visitor(key=1, name="Jo\ud800", email="jo\ud800@blog.example", fields={"a\ud800": "b\ud800", "c": 1})
        site.state.announce(site.state.visitors.identify(user, cookie=None, ticket=None), user)
        (body,) = site.api.bodies("/visitor/update")
        assert (body["name"], body["email"], body["fields"]) == ("Jo", "jo?@blog.example", {"a?": "b?", "c": 1})

    def test_the_site_may_say_at_once_what_has_changed(self, site: Site) -> None:
        site.state.api()._caller.sleep = lambda seconds: None
        user = Visitor(key=1, name="Jo", is_manager=True)
        with site.app.app_context():
            site.comments.announce(user)
            site.comments.announce(user)
            site.comments.announce(Visitor(key=1, name="Jo"))
            with pytest.raises(ConfigError, match="visitor_loader"):
                site.comments.announce(Visitor(key="", name="Jo"))
            site.api.fail("/visitor/update", 500)
            with pytest.raises(ApiError):
                site.comments.announce(user)
        bodies = site.api.bodies("/visitor/update")[:3]
        assert [body["is_manager"] for body in bodies] == [True, True, False]
        assert len({query["visitorId"] for query in site.api.queries("/visitor/update")}) == 1

    def test_the_hosted_service_is_told_nothing(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="w1", CHATIX_API_KEY="k" * 20)
        with site.app.app_context():
            site.comments.announce(Visitor(key=1, name="Jo"))
        assert site.api.calls == []


class TestPythonMethods:
    def test_backfill_takes_what_the_loader_yields(self, site: Site) -> None:
        @site.comments.posts_loader
        def posts() -> list[Post]:
            return [Post(1, "One"), Post("two")]

        with site.app.app_context():
            planned = sorted((result.post_id, result.outcome) for result in site.comments.backfill(dry_run=True))
            assert site.api.calls == []
            done = sorted((result.post_id, result.outcome) for result in site.comments.backfill())
            again = sorted((result.post_id, result.outcome) for result in site.comments.backfill([Post(1), Post(3)]))
        assert planned == [("1", Outcome.WOULD_CREATE), ("two", Outcome.WOULD_CREATE)]
        assert done == [("1", Outcome.CREATED), ("two", Outcome.CREATED)]
        assert again == [("1", Outcome.EXISTING), ("3", Outcome.CREATED)]
        assert {body["title"] for body in site.api.bodies("/chatroom/create")} == {"One", "two", "3"}

    def test_backfill_without_posts(self, site: Site) -> None:
        with site.app.app_context(), pytest.raises(ConfigError, match="decorate a function that yields Post objects"):
            site.comments.backfill()

    def test_show_and_list(self, site: Site) -> None:
        site.api.number_of_visitors = 4
        with site.app.app_context():
            list(site.comments.backfill([Post("b", "B", is_private=True), Post("a", "A")], concurrency=1))
            shown = site.comments.show("b")
            listed = list(site.comments.list_rooms())
            silent = list(site.comments.list_rooms(with_visitors=False))
            assert site.comments.show("b", with_visitors=False).number_of_visitors is None
        entry = site.state.registry.get("b")
        assert shown == RoomInfo("b", "room-1", "B", True, entry.state, entry.created_at, 4)
        assert [(room.post_id, room.number_of_visitors) for room in listed] == [("a", 4), ("b", 4)]
        assert [(room.post_id, room.number_of_visitors) for room in silent] == [("a", None), ("b", None)]

    def test_show_what_is_not_there(self, site: Site) -> None:
        with site.app.app_context():
            with pytest.raises(PostNotRegisteredError):
                site.comments.show("nothing")
            with pytest.raises(PostError):
                site.comments.show(True)

    def test_a_room_that_is_being_made_has_no_visitors_yet(self, site: Site) -> None:
        site.state.registry.claim("x", title="X", is_private=False, owner="somebody", lease_s=60)
        with site.app.app_context():
            room = site.comments.show("x")
        assert (room.chatroom_id, str(room.state), room.number_of_visitors) == (None, "creating", None)

    def test_a_post_that_was_moved_has_the_chatroom_of_its_new_id(self, site: Site) -> None:
        with site.app.app_context():
            list(site.comments.backfill([Post("old")]))
            assert site.state.registry.rename(site.state.registry.get("old"), "new")
            room = site.comments.lookup("old")
        assert room is not None and room.post_id == "new"

    def test_an_api_that_is_away_is_told(self, site: Site) -> None:
        site.api.fail("/chatroom/list", 401)
        with site.app.app_context(), pytest.raises(ApiError):
            site.comments.list_rooms()

    def test_a_long_list_is_read_page_by_page(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_chatix_comments.room_list.ROOMS_PER_CALL", 2)
        posts = [Post(f"{number:04}") for number in range(5)]
        with site.app.app_context():
            list(site.comments.backfill(posts))
            listed = list(site.comments.list_rooms())
        assert [room.post_id for room in listed] == [post.id for post in posts]
        assert all(room.number_of_visitors == 0 for room in listed)
        assert [query["page"] for query in site.api.queries("/chatroom/list")] == ["1", "2", "3"]

    def test_a_service_that_ignores_pages_does_not_hold_us(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flask_chatix_comments.room_list.ROOMS_PER_CALL", 2)
        with site.app.app_context():
            list(site.comments.backfill([Post(1), Post(2)]))
        first = {"items": list(site.api.rooms.values()), "total": 5}
        site.api.faults["/chatroom/list"] = lambda: httpx.Response(200, json=first)
        with listed_rooms(site.state.api()) as rooms:
            assert [rooms.find(id) is not None for id in site.api.rooms] == [True, True]
        assert len(site.api.queries("/chatroom/list")) == 2

    def test_loaders_stay_what_they_were(self, site: Site) -> None:
        @site.comments.visitor_loader
        def load() -> None:
            return None

        @site.comments.posts_loader
        def posts() -> list[Post]:
            return []

        assert (load.__name__, posts()) == ("load", [])


def running_hub(site: Site) -> DevHub:
    """Return the hub's keeper, once the hub listens or has failed."""
    assert site.state.own_hub is not None
    site.state.own_hub.wait(START_TIMEOUT_S)
    return site.state.own_hub.dev_hub


def port_of(site: Site) -> int:
    address = running_hub(site).address
    assert address is not None
    return address[1]


class TestBuiltInHub:
    """With the real hub: started by a request as the development server makes it."""

    ENVIRON = {"SERVER_SOFTWARE": "Werkzeug/3.1.9", "SERVER_NAME": "127.0.0.1"}

    @pytest.fixture
    def site(self, make_site: Callable[..., Site]) -> Site:
        comments = ChatixComments()
        site = make_site(extension=comments, CHATIX_HUB_PORT=0)
        site.app.add_url_rule("/page", "page", lambda: "a page")
        return site

    def test_a_first_request_starts_it_and_a_join_uses_it(self, site: Site) -> None:
        client = site.app.test_client()
        assert client.get("/page").text == "a page"
        assert not site.state.api().ping()
        client.get("/page", environ_overrides=self.ENVIRON)
        address = running_hub(site).address
        assert address is not None
        answer = client.post(
            "/chatix-comments/join", json={"post": site.post_token()}, headers={"Host": "127.0.0.1:5000"}
        )
        body = answer.get_json()
        assert body["api_url"] == site.state.api_url == f"http://127.0.0.1:{address[1]}/v1"
        room = site.state.api().get_chatroom(body["chatroom_id"])
        assert (room.title, room.external_id) == ("Hello", "hello")
        assert Path(site.app.instance_path, "chatix_hub.sqlite3").is_file()

    def test_the_request_that_starts_it_may_be_the_join(self, site: Site) -> None:
        answer = site.app.test_client().post(
            "/chatix-comments/join", json={"post": site.post_token()}, environ_overrides=self.ENVIRON
        )
        assert answer.get_json()["state"] == "open"

    def test_users_and_guests_are_announced_before_they_connect(self, site: Site) -> None:
        site.comments.visitor_loader(lambda: Visitor(7, "Marit", email="m@blog.example", is_manager=True))
        client = site.app.test_client()
        join = {"post": site.post_token()}
        body = client.post("/chatix-comments/join", json=join, environ_overrides=self.ENVIRON).get_json()
        known = site.state.api().get_visitor(body["visitor"]["id"])
        assert (known.name, known.email) == ("Marit", "m@blog.example")
        site.comments.visitor_loader(lambda: None)
        ticket = client.post("/chatix-comments/join", json=join).get_json()["ticket"]
        body = client.post("/chatix-comments/take-part", json=join | {"ticket": ticket, "name": "Ida"}).get_json()
        assert site.state.api().get_visitor(body["visitor"]["id"]).name == "Ida"

    def test_leaving_what_one_never_joined_is_no_error(self, site: Site) -> None:
        client = site.app.test_client()
        join = {"post": site.post_token()}
        body = client.post("/chatix-comments/join", json=join, environ_overrides=self.ENVIRON).get_json()
        leaves = [{"chatroom_id": body["chatroom_id"], "connection_id": "unknown"}]
        answer = client.post("/chatix-comments/leave", json={"ticket": body["ticket"], "leaves": leaves})
        assert answer.status_code == 204

    def test_a_taken_port_is_logged_and_the_page_stays_whole(
        self, make_site: Callable[..., Site], site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.app.test_client().get("/page", environ_overrides=self.ENVIRON)
        port = port_of(site)
        other = make_site(extension=ChatixComments(), CHATIX_HUB_PORT=port)
        other.app.add_url_rule("/page", "page", lambda: "a page")
        client = other.app.test_client()
        assert client.get("/page", environ_overrides=self.ENVIRON).text == "a page"
        answer = client.post("/chatix-comments/join", json={"post": other.post_token()})
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert client.get("/page", environ_overrides=self.ENVIRON).text == "a page"
        logged = [record.getMessage() for record in caplog.records if record.name == "flask_chatix_comments.dev_hub"]
        assert len(logged) == 1
        assert logged[0].endswith("The setting is CHATIX_HUB_PORT.")
        assert str(port) in logged[0]

    @pytest.mark.parametrize("content", [None, b"this is no database, " * 100])
    def test_a_database_that_the_hub_cannot_use(
        self, site: Site, content: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = Path(site.app.instance_path, "chatix_hub.sqlite3")
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
        client = site.app.test_client()
        assert client.get("/page", environ_overrides=self.ENVIRON).text == "a page"
        for _ in range(2):
            answer = client.post("/chatix-comments/join", json={"post": site.post_token()})
            assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        logged = [record.getMessage() for record in caplog.records if record.name == "flask_chatix_comments.dev_hub"]
        assert len(logged) == 1
        assert str(path) in logged[0]

    def test_a_registry_that_cannot_be_used(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        path = Path(site.app.instance_path, "chatix_comments.sqlite3")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"this is no database, " * 100)
        client = site.app.test_client()
        assert client.get("/page").text == "a page"
        answer = client.post("/chatix-comments/join", json={"post": site.post_token()})
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert str(path) in caplog.text
        assert "CHATIX_DATABASE_URL" in caplog.text

    def test_a_second_process_uses_the_first_ones_hub_and_takes_over(
        self, make_site: Callable[..., Site], site: Site
    ) -> None:
        client = site.app.test_client()
        client.get("/page", environ_overrides=self.ENVIRON)
        port = port_of(site)
        other = make_site(
            extension=ChatixComments(),
            CHATIX_HUB_PORT=port,
            CHATIX_HUB_DATABASE_URL=site.state.config.hub_database_url,
            CHATIX_DATABASE_URL=site.state.config.database_url,
        )
        client = other.app.test_client()
        join = {"post": other.post_token()}
        body = client.post("/chatix-comments/join", json=join, environ_overrides=self.ENVIRON).get_json()
        assert (body["state"], body["api_url"]) == ("open", f"http://localhost:{port}/v1")
        assert isinstance(running_hub(other).error, HubLockedError)
        running_hub(site).stop()
        running_hub(other)._tried_at = float("-inf")  # As if a second had passed.
        body = client.post("/chatix-comments/join", json=join, environ_overrides=self.ENVIRON).get_json()
        assert body["state"] == "open"
        assert port_of(other) == port

    def test_a_hub_of_another_process_on_another_port_is_said(
        self, make_site: Callable[..., Site], site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.app.test_client().get("/page", environ_overrides=self.ENVIRON)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        other = make_site(
            extension=ChatixComments(),
            CHATIX_HUB_PORT=port,
            CHATIX_HUB_DATABASE_URL=site.state.config.hub_database_url,
        )
        assert port_of(site) != port
        answer = other.app.test_client().post(
            "/chatix-comments/join", json={"post": other.post_token()}, environ_overrides=self.ENVIRON
        )
        assert answer.status_code == 503
        assert f"none answers at http://127.0.0.1:{port}/v1. Set CHATIX_HUB_PORT" in caplog.text


def test_the_fake_api_is_only_for_what_it_knows(fake_api: FakeApi) -> None:
    with httpx.Client(transport=fake_api.transport) as client, pytest.raises(AssertionError, match="no such path"):
        client.get("http://api.test/v1/visitor/forget")
