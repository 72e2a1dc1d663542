"""The views that the section asks: join, take part, leave, and the files."""

from __future__ import annotations

import gzip
import json
import logging
import math
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import session
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from flask_chatix_comments import ChatixComments, ConfigError, Post, RegistryError, Visitor
from flask_chatix_comments.errors import HubStartError
from flask_chatix_comments.leaving import MAX_CONNECTIONS_OF_ROOM
from flask_chatix_comments.registry import RoomRegistry, RoomState, create_registry_engine
from flask_chatix_comments.room_marks import with_mark
from flask_chatix_comments.signals import guest_took_part
from flask_chatix_comments.tokens import GuestClaim, GuestCookies, PostClaim, PostTokens, VisitorTicket, VisitorTickets
from flask_chatix_comments.view_input import MAX_BODY_BYTES, MAX_LEAVES
from flask_chatix_comments.views import blueprint
from tests.flask_support import Clock, Site, queries

USER = Visitor(key=7, name="Jonas Petri", email="jonas@blog.example", fields={"plan": "free"})
MANAGER = Visitor(key="m", name="Marit Lund", is_manager=True)
HOSTED = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}


def post(site: Site, view: str, body: Any, *, client: FlaskClient | None = None, **options: Any) -> TestResponse:
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    options.setdefault("content_type", "application/json")
    return (client or site.app.test_client()).post(f"/chatix-comments/{view}", data=content, **options)


def join(site: Site, *, ticket: str | None = None, post_id: str = "hello", **options: Any) -> Any:
    answer = post(site, "join", {"post": site.post_token(post_id), "ticket": ticket}, **options)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def take_part(site: Site, name: Any, *, ticket: str | None = None, **options: Any) -> TestResponse:
    return post(site, "take-part", {"post": site.post_token(), "ticket": ticket, "name": name}, **options)


def leave(site: Site, leaves: Any, *, ticket: str | None = None, **options: Any) -> TestResponse:
    return post(site, "leave", {"ticket": ticket, "leaves": leaves}, **options)


def left(site: Site) -> list[tuple[str, str | None]]:
    """Return what the API was asked to take out: rooms with their connections."""
    queries = site.api.queries("/chatroom/disconnect-visitor")
    return [(query["chatroomId"], query.get("connectionId")) for query in queries]


def sign_in(site: Site, user: Visitor | None) -> None:
    site.comments.visitor_loader(lambda: user)


def read_ticket(site: Site, clock: Clock, text: str) -> VisitorTicket:
    return VisitorTickets(site.state.keys.ticket, website_id="local").check(text, now=clock())


def guest_cookie(site: Site, clock: Clock, visitor_id: str = "g-1", name: str = "Ida") -> str:
    cookies = GuestCookies(site.state.keys.guest, website_id="local")
    return cookies.sign(GuestClaim(visitor_id, name, issued_at=clock(), expires_at=clock() + 1000))


class TestJoin:
    def test_a_stranger_gets_a_room_and_a_ticket_and_nothing_to_keep(self, site: Site, clock: Clock) -> None:
        answer = post(site, "join", {"post": site.post_token(), "ticket": None})
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        assert "Set-Cookie" not in answer.headers
        body = answer.get_json()
        ticket = read_ticket(site, clock, body.pop("ticket"))
        visitor_id = body["visitor"].pop("id")
        assert body == {
            "state": "open",
            "mode": "hub",
            "sdk": "bundled",
            "website_id": "local",
            "api_url": "http://localhost:5001/v1",
            "chatroom_id": "room-1",
            "is_private": False,
            "ticket_expires_in_s": 43_200,
            "visitor": {"name": None, "is_manager": False, "is_signed_in": False, "is_persistent": False},
            "limits": {
                "message_chars": 10_000,
                "name_chars": 80,
                "page_size": 30,
                "edit_window_s": 900,
                "files": 10,
                "file_bytes": 20_971_520,
                "file_types": None,
                "image_pixels": 40_000_000,
            },
        }
        assert ticket == VisitorTicket(visitor_id, clock(), clock() + 43_200)

    def test_the_room_is_made_once(self, site: Site) -> None:
        assert [join(site)["chatroom_id"] for _ in range(3)] == ["room-1"] * 3
        assert site.api.paths() == ["/chatroom/create"]
        assert site.api.bodies("/chatroom/create") == [{"title": "Hello", "is_private": False, "external_id": "hello"}]
        assert join(site, post_id="other")["chatroom_id"] == "room-2"

    def test_two_at_once_make_one_room(self, site: Site) -> None:
        barrier = threading.Barrier(4)
        rooms: list[str] = []

        def ask() -> None:
            barrier.wait()
            rooms.append(join(site)["chatroom_id"])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rooms == ["room-1"] * 4
        assert len(site.api.bodies("/chatroom/create")) == 1

    def test_a_ticket_keeps_its_visitor(self, site: Site) -> None:
        first = join(site)
        assert join(site, ticket=first["ticket"])["visitor"] == first["visitor"]
        assert join(site)["visitor"] != first["visitor"]

    def test_a_guest_comes_back_by_the_cookie(self, site: Site, clock: Clock) -> None:
        client = site.app.test_client()
        client.set_cookie("chatix_guest", guest_cookie(site, clock))
        body = join(site, client=client)
        expected = {"id": "g-1", "name": "Ida", "is_manager": False, "is_signed_in": False, "is_persistent": True}
        assert body["visitor"] == expected
        assert read_ticket(site, clock, body["ticket"]).name == "Ida"

    def test_a_user_is_known_by_one_lasting_id(self, site: Site, clock: Clock) -> None:
        sign_in(site, USER)
        first, second = join(site), join(site)
        visitor_id = first["visitor"]["id"]
        assert first["visitor"] == second["visitor"]
        assert first["visitor"] == {
            "id": visitor_id,
            "name": "Jonas Petri",
            "is_manager": False,
            "is_signed_in": True,
            "is_persistent": True,
        }
        assert visitor_id == site.state.registry.visitor_id_for("7")
        ticket = read_ticket(site, clock, first["ticket"])
        assert (ticket.visitor_id, ticket.name, ticket.is_persistent) == (visitor_id, "Jonas Petri", True)
        assert "jonas@" not in json.dumps(first)

    def test_the_hub_is_told_about_a_user_once_and_when_something_changed(self, site: Site) -> None:
        sign_in(site, USER)
        visitor_id = [join(site) for _ in range(3)][0]["visitor"]["id"]
        sign_in(site, Visitor(key=7, name="Jonas P.", email="jonas@blog.example", is_manager=True))
        join(site)
        told = {"email": "jonas@blog.example", "is_persistent": True}
        assert site.api.bodies("/visitor/update") == [
            told | {"name": "Jonas Petri", "fields": {"plan": "free"}, "is_manager": False},
            told | {"name": "Jonas P.", "fields": {}, "is_manager": True},
        ]
        assert {query["visitorId"] for query in site.api.queries("/visitor/update")} == {visitor_id}

    def test_a_hub_that_cannot_be_told_is_told_next_time(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        sign_in(site, USER)
        site.api.fail("/visitor/update", 400)
        assert join(site)["visitor"]["name"] == "Jonas Petri"
        del site.api.faults["/visitor/update"]
        join(site)
        assert len(site.api.bodies("/visitor/update")) == 2
        assert "could not be told about a signed-in user" in caplog.text

    def test_a_manager_is_marked_in_ticket_and_answer(self, site: Site, clock: Clock) -> None:
        sign_in(site, MANAGER)
        body = join(site)
        assert body["visitor"]["is_manager"]
        assert read_ticket(site, clock, body["ticket"]).is_manager

    def test_a_loader_sees_the_request(self, site: Site) -> None:
        @site.comments.visitor_loader
        def load() -> Visitor | None:
            return USER if session.get("user") else None

        client = site.app.test_client()
        assert not join(site, client=client)["visitor"]["is_signed_in"]
        with client.session_transaction() as stored:
            stored["user"] = "x"
        assert join(site, client=client)["visitor"]["is_signed_in"]

    def test_a_loader_that_returns_nonsense_is_the_developers_error(self, site: Site) -> None:
        site.comments.visitor_loader(lambda: {"name": "Jo"})  # type: ignore[type-var]  # That is the test.
        with pytest.raises(ConfigError, match="visitor_loader: returned dict"):
            join(site)

    def test_a_closed_room_can_be_read(self, site: Site) -> None:
        room = join(site)["chatroom_id"]
        site.state.registry.update("hello", state=RoomState.CLOSED)
        closed = join(site)
        assert (closed["state"], closed["chatroom_id"]) == ("closed", room)

    def test_a_deleted_room_is_named_to_nobody_and_asked_for_seldom(self, site: Site) -> None:
        room = join(site)["chatroom_id"]
        site.api.rooms[room]["is_deleted"] = True
        site.state.registry.update("hello", state=RoomState.DELETED)
        for _ in range(2):
            post(site, "join", {"post": site.post_token()})
        # Whether it has been restored at the service, but not for each reader.
        assert site.api.paths() == ["/chatroom/create", "/chatroom/get"]
        calls = site.api.paths()
        answer = post(site, "join", {"post": site.post_token()})
        assert (answer.status_code, answer.get_json()) == (200, {"state": "gone", "retry_after_s": 60})
        assert answer.headers["Retry-After"] == "60"
        assert site.api.paths() == calls
        site.state.registry.update("hello", state=RoomState.OPEN)
        assert join(site)["state"] == "open"

    def test_what_another_process_changes_counts_after_the_stated_time(
        self, make_site: Callable[..., Site], clock: Clock
    ) -> None:
        site = make_site(CHATIX_LOOKUP_AGE="20")
        site.state.room_lookup._clock = clock
        other = RoomRegistry(create_registry_engine(site.state.config.database_url))
        join(site)
        join(site)
        other.update("hello", state=RoomState.CLOSED)
        assert join(site)["state"] == "open"
        clock.advance(20.1)
        assert join(site)["state"] == "closed"
        other.update("hello", state=RoomState.DELETED)
        site.api.rooms["room-1"]["is_deleted"] = True
        clock.advance(20.1)
        assert join(site)["state"] == "gone"
        # Whoever hears that stays away for a minute, so that it must be true.
        other.update("hello", state=RoomState.OPEN)
        assert join(site)["state"] == "open"
        other.close()

    def test_a_known_room_is_asked_of_nobody(self, site: Site) -> None:
        join(site)
        join(site)
        with queries(site.state.registry) as sent:
            join(site)
        assert sent == []

    def test_a_private_post_makes_a_private_room(self, site: Site) -> None:
        site.comments.access_loader(lambda visitor, post_id: True)
        token = site.post_token("inner", is_private=True)
        assert post(site, "join", {"post": token}).get_json()["state"] == "open"
        assert site.api.bodies("/chatroom/create")[0]["is_private"] is True

    def test_a_room_that_another_process_makes_is_waited_for(self, site: Site) -> None:
        site.state.registry.claim("hello", title="Hello", is_private=False, owner="another process", lease_s=60)
        answer = post(site, "join", {"post": site.post_token()})
        assert (answer.status_code, answer.get_json()["state"]) == (202, "preparing")
        assert 1 <= answer.get_json()["retry_after_s"] <= 1.6
        assert answer.headers["Retry-After"] in ("1", "2")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_limits_are_settings(self, make_site: Callable[..., Site]) -> None:
        site = make_site(
            CHATIX_MAX_LENGTH=500,
            CHATIX_PAGE_SIZE="10",
            CHATIX_EDIT_WINDOW="0",
            CHATIX_MAX_FILES="0",
            CHATIX_MAX_FILE_BYTES=1000,
            CHATIX_FILE_TYPES="image/png, application/PDF",
            CHATIX_MAX_IMAGE_PIXELS=1_000_000,
        )
        assert join(site)["limits"] == {
            "message_chars": 500,
            "name_chars": 80,
            "page_size": 10,
            "edit_window_s": 0,
            "files": 0,
            "file_bytes": 1000,
            "file_types": ["image/png", "application/pdf"],
            "image_pixels": 1_000_000,
        }

    def test_the_hub_gets_the_same_limits(self, make_site: Callable[..., Site]) -> None:
        hub = make_site(CHATIX_MAX_LENGTH=500, CHATIX_EDIT_WINDOW=60).state.hub_config()
        assert (hub.max_message_chars, hub.edit_window_s) == (500, 60)

    def test_nothing_is_changed_on_the_hosted_service(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="w1", CHATIX_API_KEY="k" * 20, CHATIX_EDIT_WINDOW=60)
        assert join(site)["limits"]["edit_window_s"] == 0


class TestWhereTheHubIs:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1:5000", "http://127.0.0.1:5901/v1"),
            ("blog.local", "http://blog.local:5901/v1"),
            ("[::1]:5000", "http://[::1]:5901/v1"),
            ("[2001:db8::5]", "http://[2001:db8::5]:5901/v1"),
            ("", "http://localhost:5901/v1"),
            ("evil host/<x>", "http://localhost:5901/v1"),
        ],
    )
    def test_by_the_name_by_which_the_reader_came(self, make_site: Callable[..., Site], host: str, url: str) -> None:
        site = make_site(CHATIX_HUB_PORT=5901, CHATIX_API_URL="http://127.0.0.1:1/v1")
        assert join(site, headers={"Host": host})["api_url"] == url

    def test_elsewhere_when_that_is_set(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_HUB_URL="https://chat.example/")
        assert join(site)["api_url"] == "https://chat.example/v1"

    def test_the_api_key_is_sent_to_the_api_and_nowhere_else(self, site: Site) -> None:
        body = join(site)
        (key,) = {headers["X-Api-Key"] for headers in site.api.headers}
        assert key == site.state.keys.hub_api[0]
        assert key not in json.dumps(body)


class TestHosted:
    @pytest.fixture
    def site(self, make_site: Callable[..., Site]) -> Site:
        return make_site(**HOSTED)

    def test_the_service_gives_ids_itself(self, site: Site) -> None:
        body = join(site)
        assert (body["mode"], body["website_id"], body["chatroom_id"]) == ("hosted", "site-1", "room-1")
        assert body["api_url"] == "https://app1.chatix.io:5022/v1"
        assert (body["ticket"], body["ticket_expires_in_s"], body["visitor"]["id"]) == (None, None, None)
        assert site.api.headers[0]["X-Api-Key"] == "the key"
        assert "the key" not in json.dumps(body)

    def test_whose_sdk_is_used_is_told_to_the_page(self, site: Site, make_site: Callable[..., Site]) -> None:
        assert join(site)["sdk"] == "bundled"
        assert join(make_site(**HOSTED, CHATIX_SDK="widget"))["sdk"] == "widget"

    def test_another_base_is_told_to_the_page(self, make_site: Callable[..., Site]) -> None:
        site = make_site(**HOSTED, CHATIX_API_URL="http://127.0.0.1:9/v1")
        assert join(site)["api_url"] == "http://127.0.0.1:9/v1"

    def test_a_user_keeps_one_id_in_each_browser(self, site: Site) -> None:
        sign_in(site, USER)
        laptop, phone = site.app.test_client(), site.app.test_client()
        first = join(site, client=laptop)
        assert (first["visitor"]["name"], first["visitor"]["is_signed_in"]) == ("Jonas Petri", True)
        assert (first["ticket"], first["ticket_expires_in_s"], first["visitor"]["id"]) == ("service-id-2", None, None)
        assert join(site, client=laptop) == first
        assert join(site, client=phone)["ticket"] == "service-id-3"
        assert take_part(site, "x", client=phone).get_json()["ticket"] == "service-id-3"
        sign_in(site, MANAGER)
        assert join(site, client=laptop)["ticket"] == "service-id-4"
        sign_in(site, None)
        assert join(site, client=laptop)["ticket"] is None
        sign_in(site, USER)
        assert join(site, client=laptop)["ticket"] == "service-id-2"
        # Names are the browser's to tell: the service is told nothing by us.
        assert set(site.api.paths()) == {"/chatroom/create", "/chatroom/update", "/visitor/get-id"}

    def test_a_guest_who_signs_in_before_taking_part_is_the_user_from_then_on(self, site: Site) -> None:
        client = site.app.test_client()
        join(site, client=client)
        sign_in(site, USER)
        ticket = take_part(site, "Ida", client=client).get_json()["ticket"]
        assert join(site, client=client)["ticket"] == ticket == "service-id-2"

    def test_the_browser_cookie_is_out_of_reach_and_names_nobody(self, site: Site) -> None:
        sign_in(site, USER)
        client = site.app.test_client()
        answer = post(site, "join", {"post": site.post_token()}, client=client)
        (header,) = answer.headers.getlist("Set-Cookie")
        assert header.startswith("chatix_guest_browser=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/chatix-comments", "Max-Age=31536000"} <= set(header.split("; "))
        assert "service-id" not in header
        again = post(site, "join", {"post": site.post_token()}, client=client)
        assert "Set-Cookie" not in again.headers

    def test_who_only_reads_gets_nothing(self, site: Site) -> None:
        answer = post(site, "join", {"post": site.post_token()})
        assert "Set-Cookie" not in answer.headers
        assert site.api.paths() == ["/chatroom/create", "/chatroom/update"]

    def test_the_site_hears_of_a_guest_who_takes_part(self, site: Site) -> None:
        heard: list[tuple[object, str | None, str]] = []
        with guest_took_part.connected_to(
            lambda app, *, visitor_id, name: heard.append((app, visitor_id, name)), sender=site.app
        ):
            assert take_part(site, " ").status_code == 422
            assert take_part(site, " Ida ").status_code == 200
        # Whose id the service makes.
        assert heard == [(site.app, None, "Ida")]

    def test_a_guest_who_takes_part_has_an_id_from_then_on(self, site: Site) -> None:
        client = site.app.test_client()
        answer = take_part(site, " Ida ", client=client)
        body = answer.get_json()
        assert (body["ticket"], body["visitor"]["name"], body["visitor"]["is_persistent"]) == (
            "service-id-1",
            "Ida",
            True,
        )
        assert [header.split("=")[0] for header in answer.headers.getlist("Set-Cookie")] == ["chatix_guest"]
        joined = join(site, client=client)
        assert (joined["ticket"], joined["visitor"]) == ("service-id-1", body["visitor"])
        renamed = take_part(site, "Ida Lund", client=client).get_json()
        assert (renamed["ticket"], renamed["visitor"]["name"]) == ("service-id-1", "Ida Lund")
        assert site.api.paths().count("/visitor/get-id") == 1
        assert take_part(site, "").status_code == 422

    @pytest.mark.parametrize("view", ["join", "take-part"])
    def test_an_id_that_a_browser_names_is_never_taken_up(self, site: Site, view: str) -> None:
        theirs = {"post": site.post_token(), "name": "Eve", "ticket": "somebody-elses", "is_refused": True}
        answer = post(site, view, theirs)
        assert answer.status_code == 200
        assert "somebody-elses" not in answer.text
        leave(site, [{"chatroom_id": "room-1"}], ticket="somebody-elses")
        assert left(site) == []

    @pytest.mark.parametrize("is_user", [True, False])
    def test_an_id_that_the_service_refused_is_replaced(self, site: Site, is_user: bool) -> None:
        client = site.app.test_client()
        sign_in(site, USER if is_user else None)
        take_part(site, "Ida", client=client)
        old = join(site, client=client)["ticket"]

        def report(ticket: str, is_refused: Any = True) -> str:
            body = {"post": site.post_token(), "ticket": ticket, "is_refused": is_refused}
            return str(post(site, "join", body, client=client).get_json()["ticket"])

        assert report("another") == report(old, False) == report(old, "yes") == old
        new = report(old)
        assert new != old
        # Another tab has heard of the same.
        assert report(old) == new
        joined = join(site, client=client)
        assert (joined["ticket"], joined["visitor"]["name"]) == (new, "Jonas Petri" if is_user else "Ida")

    @pytest.mark.parametrize("is_user", [True, False])
    def test_who_is_known_is_taken_out_for_all_tabs(self, site: Site, is_user: bool) -> None:
        client = site.app.test_client()
        sign_in(site, USER if is_user else None)
        join(site, client=client)
        take_part(site, "Ida", client=client)
        ticket = join(site, client=client)["ticket"]
        leaves = [{"chatroom_id": "room-1", "connection_id": "c"}, {"chatroom_id": "room-1"}, {"chatroom_id": "x"}, {}]
        assert leave(site, leaves, client=client).status_code == 204
        assert left(site) == [("room-1", None)]
        assert site.api.queries("/chatroom/disconnect-visitor")[0]["visitorId"] == ticket
        assert leave(site, leaves).status_code == 204
        assert len(left(site)) == 1

    def test_without_an_id_from_the_service_the_reader_is_told_to_wait(self, site: Site) -> None:
        sign_in(site, USER)
        site.api.fail("/visitor/get-id", 503)
        answer = post(site, "join", {"post": site.post_token()})
        assert answer.status_code == 503
        assert answer.get_json()["error"] == "unavailable"

    @pytest.mark.parametrize("user", [None, USER])
    def test_with_a_widget_the_visitor_is_the_widgets(
        self, make_site: Callable[..., Site], user: Visitor | None
    ) -> None:
        site = make_site(**HOSTED, CHATIX_SDK="widget")
        sign_in(site, user)
        client = site.app.test_client()
        answer = take_part(site, "Ida", client=client)
        assert answer.get_json()["ticket"] is None
        assert join(site, client=client)["ticket"] is None
        assert client.get_cookie("chatix_guest", path="/chatix-comments") is None
        leave(site, [{"chatroom_id": "room-1"}], client=client)
        assert site.api.paths() == ["/chatroom/create", "/chatroom/update"]

    def test_ids_are_in_no_line_of_the_log(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        sign_in(site, USER)
        client = site.app.test_client()
        ticket = join(site, client=client)["ticket"]
        leave(site, [{"chatroom_id": "room-1"}], client=client)
        site.api.fail("/chatroom/disconnect-visitor", 500)
        leave(site, [{"chatroom_id": "room-1"}], client=client)
        assert len(left(site)) == 2
        assert caplog.records
        assert ticket not in caplog.text
        assert ticket not in repr(site.state.visitors.identify(USER, cookie=None, ticket=None))

    def test_rows_and_header_of_the_api_are_settings(self, make_site: Callable[..., Site]) -> None:
        operations = '{"create_chatroom": {"path": "/chatroom/create", "body": {"external_id": null}}}'
        site = make_site(**HOSTED, CHATIX_API_OPERATIONS=operations, CHATIX_API_AUTH_HEADER="X-Key")
        join(site)
        assert site.api.bodies("/chatroom/create") == [{"title": with_mark("Hello", "hello"), "is_private": False}]
        assert site.api.headers[0]["X-Key"] == "the key"

    def test_what_a_crash_left_is_looked_for_by_documented_calls(self, make_site: Callable[..., Site]) -> None:
        site = make_site(**HOSTED)
        site.api.fail("/chatroom/create", 500)
        assert post(site, "join", {"post": site.post_token(), "ticket": None}).status_code == 503
        del site.api.faults["/chatroom/create"]
        join(site)
        (query,) = site.api.queries("/chatroom/list")
        assert set(query) == {"websiteId", "page", "itemsPerPage", "includeDeleted"}


class TestTakePart:
    def test_the_same_id_gets_a_name_and_a_cookie(self, site: Site, clock: Clock) -> None:
        before = join(site)
        answer = take_part(site, "  Ida  Lund ", ticket=before["ticket"])
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
        body = answer.get_json()
        visitor_id = before["visitor"]["id"]
        assert body["visitor"] == {
            "id": visitor_id,
            "name": "Ida Lund",
            "is_manager": False,
            "is_signed_in": False,
            "is_persistent": True,
        }
        assert set(body) == {"ticket", "ticket_expires_in_s", "visitor"}
        ticket = read_ticket(site, clock, body["ticket"])
        assert (ticket.visitor_id, ticket.name, ticket.is_persistent) == (visitor_id, "Ida Lund", True)
        assert site.api.queries("/visitor/update") == [{"websiteId": "local", "visitorId": visitor_id}]
        assert site.api.bodies("/visitor/update") == [{"name": "Ida Lund", "is_persistent": True}]

    def test_the_cookie_brings_the_guest_back(self, site: Site, clock: Clock) -> None:
        client = site.app.test_client()
        taken = take_part(site, "Ida", ticket=join(site)["ticket"], client=client).get_json()
        clock.advance(364 * 24 * 3600)
        assert join(site, client=client)["visitor"] == taken["visitor"]
        clock.advance(24 * 3600)
        assert join(site, client=client)["visitor"]["id"] != taken["visitor"]["id"]

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_the_cookie_is_out_of_reach_for_scripts_and_pages(self, site: Site, scheme: str) -> None:
        client = site.app.test_client()
        answer = take_part(site, "Ida", client=client, base_url=f"{scheme}://localhost")
        (header,) = answer.headers.getlist("Set-Cookie")
        attributes = {part.strip().lower() for part in header.split(";")[1:]}
        assert {"httponly", "samesite=lax", "path=/chatix-comments", "max-age=31536000"} <= attributes
        assert ("secure" in attributes) == (scheme == "https")
        cookie = client.get_cookie("chatix_guest", path="/chatix-comments")
        assert cookie is not None
        assert "Ida" not in cookie.value

    def test_below_a_path_and_under_another_name(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_GUEST_COOKIE="guest", CHATIX_URL_PREFIX="/talk")
        body = json.dumps({"post": site.post_token(), "name": "Ida"})
        answer = site.app.test_client().post("/talk/take-part", data=body, environ_overrides={"SCRIPT_NAME": "/blog"})
        assert answer.headers["Set-Cookie"].startswith("guest=")
        assert "Path=/blog/talk" in answer.headers["Set-Cookie"]

    def test_a_user_stays_who_it_is(self, site: Site) -> None:
        sign_in(site, USER)
        before = join(site)["visitor"]
        answer = take_part(site, "Somebody Else")
        assert answer.get_json()["visitor"] == before
        assert "Set-Cookie" not in answer.headers
        assert len(site.api.bodies("/visitor/update")) == 1

    @pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\u202eb", "a\nb", "\ud800", None])
    def test_a_name_that_cannot_be_shown_is_refused(self, site: Site, name: str | None) -> None:
        answer = take_part(site, name)
        assert (answer.status_code, answer.get_json()["error"]) == (422, "bad_name")
        assert answer.get_json()["message"].endswith(".")
        assert "Set-Cookie" not in answer.headers
        assert site.api.calls == []

    @pytest.mark.parametrize(
        ("status", "reason"), [(400, "cannot be used here"), (409, "belongs to somebody"), (422, "cannot be used here")]
    )
    def test_a_name_that_the_hub_refuses_is_refused(self, site: Site, status: int, reason: str) -> None:
        site.api.fail("/visitor/update", status)
        answer = take_part(site, "Marit Lund")
        assert (answer.status_code, answer.get_json()["error"]) == (422, "bad_name")
        assert reason in answer.get_json()["message"]
        assert "Set-Cookie" not in answer.headers

    def test_a_new_guest_is_told_that_the_disk_is_full(self, site: Site) -> None:
        site.api.fail("/visitor/update", 507)
        answer = take_part(site, "Ida")
        assert answer.status_code == 507
        assert answer.get_json() == {
            "error": "no_room",
            "message": "There is no room left on the server for this. Please tell its owner.",
        }
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("fault", [403, 500, httpx.ConnectError("refused")])
    def test_nobody_takes_part_while_the_hub_is_away(self, site: Site, fault: Any) -> None:
        site.state.api()._caller.sleep = lambda seconds: None
        site.api.fail("/visitor/update", fault)
        answer = take_part(site, "Ida")
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert "Set-Cookie" not in answer.headers

    def test_a_name_must_be_text(self, site: Site) -> None:
        assert take_part(site, 5).status_code == 400

    def test_only_for_a_post_that_the_site_showed(self, site: Site) -> None:
        assert post(site, "take-part", {"post": "x", "name": "Ida"}).get_json()["error"] == "bad_token"


class TestLeave:
    @pytest.fixture
    def room_id(self, site: Site) -> str:
        return str(join(site)["chatroom_id"])

    def test_a_beacon_takes_its_connection_out(self, site: Site, room_id: str) -> None:
        before = join(site)
        answer = leave(
            site,
            [{"chatroom_id": room_id, "connection_id": "c-1"}],
            ticket=before["ticket"],
            content_type="text/plain;charset=UTF-8",
        )
        assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (204, b"", "no-store")
        assert site.api.queries("/chatroom/disconnect-visitor") == [
            {
                "websiteId": "local",
                "chatroomId": room_id,
                "visitorId": before["visitor"]["id"],
                "connectionId": "c-1",
            }
        ]

    def test_who_names_no_connection_takes_no_other_tab_out(self, site: Site, room_id: str) -> None:
        leaves = [{"chatroom_id": room_id}, {"chatroom_id": room_id, "connection_id": None}]
        assert leave(site, leaves, ticket=join(site)["ticket"]).status_code == 204
        assert left(site) == []

    def test_what_is_named_twice_is_asked_once(self, site: Site, room_id: str) -> None:
        other_id = join(site, post_id="other")["chatroom_id"]
        rows = [(room_id, "c-1"), (other_id, "c-1"), (room_id, "c-1"), (room_id, "c-2"), (other_id, "c-1")]
        leaves = [{"chatroom_id": chatroom_id, "connection_id": connection_id} for chatroom_id, connection_id in rows]
        assert leave(site, leaves, ticket=join(site)["ticket"]).status_code == 204
        assert left(site) == [(room_id, "c-1"), (room_id, "c-2"), (other_id, "c-1")]

    def test_of_one_room_only_some_connections_are_asked_for(self, site: Site, room_id: str) -> None:
        leaves = [{"chatroom_id": room_id, "connection_id": f"c-{number}"} for number in range(MAX_LEAVES)]
        assert leave(site, leaves, ticket=join(site)["ticket"]).status_code == 204
        assert left(site) == [(room_id, f"c-{number}") for number in range(MAX_CONNECTIONS_OF_ROOM)]

    def test_a_slow_api_is_asked_no_longer_than_the_page_waits(
        self, site: Site, room_id: str, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.state.monotonic = clock

        def answer_slowly() -> httpx.Response:
            clock.advance(1.5)
            return httpx.Response(200, json={"is_success": True})

        site.api.faults["/chatroom/disconnect-visitor"] = answer_slowly
        leaves = [{"chatroom_id": room_id, "connection_id": f"c-{number}"} for number in range(5)]
        answer = leave(site, leaves, ticket=join(site)["ticket"])
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert left(site) == [(room_id, "c-0"), (room_id, "c-1"), (room_id, "c-2")]
        assert site.api.timeouts[-3:] == [2.0, 2.0, 1.0]
        assert "took more than 4 s" in caplog.text

    def test_a_sweep_is_known_by_user_or_cookie(self, site: Site, room_id: str, clock: Clock) -> None:
        client = site.app.test_client()
        client.set_cookie("chatix_guest", guest_cookie(site, clock))
        leave(site, [{"chatroom_id": room_id, "connection_id": "c-1"}], client=client)
        sign_in(site, USER)
        leave(site, [{"chatroom_id": room_id, "connection_id": "c-1"}], client=client)
        queries = site.api.queries("/chatroom/disconnect-visitor")
        user_id = site.state.registry.visitor_id_for("7")
        assert [query["visitorId"] for query in queries] == ["g-1", user_id]

    def test_nobody_known_leaves_nothing(self, site: Site, room_id: str) -> None:
        assert leave(site, [{"chatroom_id": room_id, "connection_id": "c-1"}]).status_code == 204
        assert site.api.queries("/chatroom/disconnect-visitor") == []

    def test_other_chats_of_the_visitor_are_not_touched(self, site: Site, room_id: str) -> None:
        ticket = join(site)["ticket"]
        rooms = ["support-chat", "", None, room_id]
        leaves = [{"chatroom_id": chatroom_id, "connection_id": "c-1"} for chatroom_id in rooms]
        assert leave(site, leaves, ticket=ticket).status_code == 204
        assert [query["chatroomId"] for query in site.api.queries("/chatroom/disconnect-visitor")] == [room_id]

    def test_a_room_that_is_gone_has_been_left(self, site: Site, room_id: str) -> None:
        site.api.fail("/chatroom/disconnect-visitor", 404)
        leaves = [{"chatroom_id": room_id, "connection_id": f"c-{number}"} for number in range(2)]
        assert leave(site, leaves, ticket=join(site)["ticket"]).status_code == 204
        assert left(site) == [(room_id, "c-0"), (room_id, "c-1")]

    @pytest.mark.parametrize("fault", [401, 500, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
    def test_an_api_that_does_not_answer_is_asked_once(self, site: Site, room_id: str, fault: Any) -> None:
        site.api.fail("/chatroom/disconnect-visitor", fault)
        leaves = [{"chatroom_id": room_id, "connection_id": f"c-{number}"} for number in range(3)]
        answer = leave(site, leaves, ticket=join(site)["ticket"])
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert left(site) == [(room_id, "c-0")]

    def test_the_sweep_sends_no_more_than_is_taken(self) -> None:
        sweep = (Path(__file__).parents[1] / "browser/left-behind.ts").read_text()
        assert re.findall(r"^const MOST_AT_ONCE = (\d+);$", sweep, re.MULTILINE) == [str(MAX_LEAVES)]

    def test_it_needs_no_token_of_a_post(self, site: Site) -> None:
        assert leave(site, []).status_code == 204

    @pytest.mark.parametrize(
        "leaves",
        [
            None,
            {},
            "x",
            [1],
            [["room-1"]],
            [{"chatroom_id": 1}],
            [{"chatroom_id": "x" * 256}],
            [{"chatroom_id": "\ud800"}],
            [{"chatroom_id": "a\nb"}],
            [{"chatroom_id": "a", "connection_id": {}}],
            [{"chatroom_id": "a"}] * (MAX_LEAVES + 1),
        ],
    )
    def test_what_is_malformed_is_refused(self, site: Site, leaves: Any) -> None:
        answer = leave(site, leaves)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_request")


class TestRefusals:
    @pytest.mark.parametrize("view", ["join", "take-part", "leave"])
    @pytest.mark.parametrize(
        "body",
        ["", "x", "[]", "5", "null", '"text"', '{"post": ', b"\xff\xfe\x00", "[" * 60_000, '{"a":' * 12_000],
    )
    def test_a_body_that_is_no_object(self, site: Site, view: str, body: str | bytes) -> None:
        answer = post(site, view, body)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_request")

    @pytest.mark.parametrize("view", ["join", "take-part", "leave"])
    def test_a_body_that_is_too_large(self, site: Site, view: str) -> None:
        answer = post(site, view, " " * (MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.get_json()["error"]) == (413, "request_entity_too_large")

    @pytest.mark.parametrize("view", ["join", "take-part", "leave"])
    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "none"}, 403),
            ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "http://localhost:81"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://[::1"}, 403),
            ({"Origin": "ftp://localhost"}, 403),
            ({"Origin": "//localhost"}, 403),
            ({"Origin": "http://", "Host": ""}, 403),
            ({"Sec-Fetch-Site": "same-origin", "Origin": "https://blog.example"}, 200),
            ({"Origin": "http://LOCALHOST"}, 200),
            ({"Origin": "https://localhost:5000", "Host": "localhost:5000"}, 200),
            ({}, 200),
        ],
    )
    def test_only_pages_of_this_site_may_ask(self, site: Site, view: str, headers: dict[str, str], status: int) -> None:
        body = {"post": site.post_token(), "name": "Ida", "leaves": []}
        answer = post(site, view, body, headers=headers)
        assert answer.status_code == (204 if (view, status) == ("leave", 200) else status)
        if status == 403:
            assert answer.get_json()["error"] == "other_origin"
            assert site.api.calls == []

    @pytest.mark.parametrize(
        ("origin", "status"),
        [("https://localhost", 204), ("http://localhost", 403), ("https://localhost:8443", 403)],
    )
    def test_a_page_without_tls_is_none_of_a_site_with_it(self, site: Site, origin: str, status: int) -> None:
        answer = leave(site, [], base_url="https://localhost", headers={"Origin": origin})
        assert answer.status_code == status

    @pytest.mark.parametrize("view", ["join", "take-part"])
    def test_a_post_that_the_site_never_showed(self, site: Site, make_site: Callable[..., Site], view: str) -> None:
        claim = PostClaim("hello", "Hello")
        foreign = PostTokens((b"another key",), website_id="local").sign(claim)
        other_site = PostTokens(site.state.keys.post, website_id="other").sign(claim)
        other_purpose = guest_cookie(site, Clock())
        ours = site.post_token()
        tampered = ours.replace(".", "x.")
        tokens = ["", None, "x", "é", "\ud800", "A" * 30_000, foreign, other_site, other_purpose, tampered]
        for token in tokens:
            answer = post(site, view, {"post": token, "name": "Ida"})
            assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_token")
            assert answer.get_json()["message"] == "This page is out of date. Please reload it."
        assert site.api.calls == []

    @pytest.mark.parametrize("key", ["post", "ticket"])
    @pytest.mark.parametrize("value", [5, [], {"a": 1}, True])
    def test_a_field_of_another_type(self, site: Site, key: str, value: Any) -> None:
        body = {"post": site.post_token(), "ticket": None} | {key: value}
        assert post(site, "join", body).status_code == 400

    def test_a_forged_or_expired_ticket_is_a_strangers(self, site: Site, clock: Clock) -> None:
        forged = VisitorTickets((b"another key",), website_id="local").sign(
            VisitorTicket("g-1", clock(), clock() + 1000, is_manager=True)
        )
        expired = join(site)
        clock.advance(43_200)
        for ticket in (forged, expired["ticket"], "x"):
            visitor = join(site, ticket=ticket)["visitor"]
            assert visitor["id"] not in ("g-1", expired["visitor"]["id"])
            assert not visitor["is_manager"]

    @pytest.mark.parametrize("view", ["join", "take-part", "leave"])
    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_views_are_asked_by_post_only(self, client: FlaskClient, method: str, view: str) -> None:
        answer = client.open(f"/chatix-comments/{view}", method=method)
        assert (answer.status_code, answer.get_json()["error"]) == (405, "method_not_allowed")
        assert set(answer.allow) == {"POST", "OPTIONS"}
        assert answer.headers["Cache-Control"] == "no-store"


class TestErrorPages:
    """The site has pages for errors, which are for people; our answers are for the script."""

    @pytest.fixture
    def site(self, site: Site) -> Site:
        for error in (404, 405, 413, HTTPException):
            site.app.register_error_handler(error, lambda error: ("<h1>A page of the site</h1>", error.code))
        return site

    @pytest.mark.parametrize(
        ("method", "path", "status", "error"),
        [
            ("GET", "/chatix-comments", 404, "not_found"),
            ("GET", "/chatix-comments/", 404, "not_found"),
            ("POST", "/chatix-comments/nothing", 404, "not_found"),
            ("GET", "/chatix-comments/static/nothing.js", 404, "not_found"),
            ("POST", "/chatix-comments/static/nothing.js", 405, "method_not_allowed"),
            ("GET", "/chatix-comments/join", 405, "method_not_allowed"),
        ],
    )
    def test_a_wrong_address_gets_json(
        self, client: FlaskClient, method: str, path: str, status: int, error: str
    ) -> None:
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.get_json()["error"]) == (status, error)
        assert answer.get_json()["message"].endswith(".")
        assert answer.headers["Cache-Control"] == "no-store"

    def test_a_body_that_is_too_large_gets_json(self, site: Site) -> None:
        answer = post(site, "join", " " * (MAX_BODY_BYTES + 1))
        assert (answer.status_code, answer.get_json()["error"]) == (413, "request_entity_too_large")

    def test_a_site_that_knows_its_names_refuses_others_in_json(self, site: Site) -> None:
        site.app.config["TRUSTED_HOSTS"] = ["localhost"]
        answer = post(site, "join", {}, headers={"Host": "rebound.example"})
        assert (answer.status_code, answer.get_json()["error"]) == (400, "bad_request")

    @pytest.mark.parametrize("path", ["/nothing", "/chatix-comments-more", "/chatix", "/"])
    def test_what_is_not_ours_gets_the_page(self, client: FlaskClient, path: str) -> None:
        answer = client.get(path)
        assert (answer.status_code, answer.text) == (404, "<h1>A page of the site</h1>")


class TestUnavailable:
    MESSAGE = "The comments are on their way: they cannot be reached at the moment, and will come by themselves."

    @pytest.fixture
    def site(self, site: Site) -> Site:
        site.state.api()._caller.sleep = lambda seconds: None
        return site

    @pytest.mark.parametrize(
        "fault",
        [
            401,
            404,
            429,
            500,
            httpx.Response(200, text="<html>Not what you think</html>"),
            httpx.Response(200, json={"is_success": False, "description": "no"}),
            httpx.Response(200, json={}),
            httpx.ConnectError("refused"),
            httpx.ReadTimeout("slow"),
        ],
        ids=str,
    )
    def test_an_api_that_fails_is_tried_again_by_the_page(
        self, site: Site, fault: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.api.fail("/chatroom/create", fault)
        answer = post(site, "join", {"post": site.post_token()})
        assert answer.status_code == 503
        retry_after_s = answer.get_json()["retry_after_s"]
        assert answer.get_json() == {"error": "unavailable", "message": self.MESSAGE, "retry_after_s": retry_after_s}
        assert 5 <= retry_after_s <= 7.5
        assert answer.headers["Retry-After"] == str(math.ceil(retry_after_s))
        assert answer.headers["Cache-Control"] == "no-store"
        logged = [record for record in caplog.records if record.name == "flask_chatix_comments.views"]
        assert [record.levelno for record in logged] == [logging.ERROR]
        assert site.state.keys.hub_api[0] not in caplog.text
        del site.api.faults["/chatroom/create"]
        assert join(site)["chatroom_id"] == "room-1"

    def test_what_a_loader_breaks_is_for_the_log(self, make_site: Callable[..., Site]) -> None:
        site = make_site(PROPAGATE_EXCEPTIONS=False)

        @site.comments.visitor_loader
        def broken() -> None:
            raise LookupError("no such table: user")

        answer = post(site, "join", {"post": site.post_token()})
        assert answer.status_code == 500
        assert answer.get_json() == {"error": "internal_server_error", "message": self.MESSAGE}

    @pytest.mark.parametrize(("asked", "told"), [("7", 7), ("600", 60), ("nonsense", 5)])
    def test_the_api_may_say_when(self, site: Site, asked: str, told: int) -> None:
        site.api.fail("/chatroom/create", httpx.Response(429, headers={"Retry-After": asked}))
        answer = post(site, "join", {"post": site.post_token()}).get_json()
        assert told <= answer["retry_after_s"] <= min(1.5 * told, 60)

    def test_an_api_that_is_left_alone_is_told_to_readers_only(
        self, site: Site, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.api.fail("/chatroom/create", httpx.Response(429, headers={"Retry-After": "9"}))
        post(site, "join", {"post": site.post_token()})
        caplog.clear()
        for number in range(5):
            answer = post(site, "join", {"post": site.post_token(f"post {number}")})
            assert (answer.status_code, answer.get_json()["message"]) == (503, self.MESSAGE)
            assert 8 <= answer.get_json()["retry_after_s"] <= 15
        assert len(site.api.calls) == 1
        assert caplog.records == []
        # Neither did any of these leave a trace in the registry.
        assert [entry.post_id for entry in site.state.registry.entries()] == []

    def test_readers_of_known_posts_do_not_notice_an_api_that_fails(self, site: Site) -> None:
        room = join(site)["chatroom_id"]
        site.api.fail("/chatroom/create", httpx.Response(429, headers={"Retry-After": "9"}))
        assert post(site, "join", {"post": site.post_token("other")}).status_code == 503
        assert join(site)["chatroom_id"] == room

    def test_a_reader_waits_for_an_api_no_longer_than_a_moment(self, site: Site) -> None:
        site.state.room_maker.wait_s = 0
        answers, may_answer = [], threading.Event()

        def answer_late() -> httpx.Response:
            assert may_answer.wait(10)
            return httpx.Response(200, json={"id": "room-late"})

        site.api.faults["/chatroom/create"] = answer_late
        for _ in range(3):
            answers.append(post(site, "join", {"post": site.post_token()}))
        assert [(answer.status_code, answer.get_json()["state"]) for answer in answers] == [(202, "preparing")] * 3
        may_answer.set()
        site.state.room_maker.join()
        assert join(site)["chatroom_id"] == "room-late"
        assert site.api.paths().count("/chatroom/create") == 1

    def test_a_database_that_cannot_be_used(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(wanted: Post, *, wait_s: float) -> None:
            raise RegistryError("the disk is full")

        monkeypatch.setattr(site.state.rooms, "ensure", fail)
        answer = post(site, "join", {"post": site.post_token()})
        assert (answer.status_code, answer.get_json()["message"]) == (503, self.MESSAGE)

    def test_a_hub_that_cannot_start(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise HubStartError("Port 5001 is taken; set CHATIX_HUB_PORT to another.")

        monkeypatch.setattr(site.state, "wait_for_hub", fail)
        answer = post(site, "join", {"post": site.post_token()})
        assert (answer.status_code, answer.get_json()["message"]) == (503, self.MESSAGE)


class TestFiles:
    @pytest.fixture
    def client(self, site: Site, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
        (tmp_path / "files").mkdir()
        for name in ("comments-AbC_1234.js", "comments-ABCD1234.css", "NOTICE.txt", "manifest.json"):
            (tmp_path / "files" / name).write_text("content")
        monkeypatch.setattr(blueprint, "static_folder", str(tmp_path / "files"))
        return site.app.test_client()

    @pytest.mark.parametrize(
        ("name", "kind"), [("comments-AbC_1234.js", "text/javascript"), ("comments-ABCD1234.css", "text/css")]
    )
    def test_hashed_names_are_kept_for_a_year(self, client: FlaskClient, name: str, kind: str) -> None:
        with client.get(f"/chatix-comments/static/{name}") as answer:
            assert (answer.status_code, answer.mimetype, answer.data) == (200, kind, b"content")
        cache = answer.cache_control
        assert (cache.max_age, cache.immutable, cache.public, cache.no_store) == (31_536_000, True, True, False)
        assert "Set-Cookie" not in answer.headers

    @pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "*"])
    def test_they_are_packed_for_browsers_that_take_it(self, client: FlaskClient, accepted: str) -> None:
        url = "/chatix-comments/static/comments-ABCD1234.css"
        with client.get(url, headers={"Accept-Encoding": accepted}) as answer:
            assert (answer.status_code, answer.mimetype, gzip.decompress(answer.data)) == (200, "text/css", b"content")
        assert (answer.content_encoding, answer.vary.to_header()) == ("gzip", "Accept-Encoding")
        assert (answer.cache_control.max_age, answer.cache_control.immutable) == (31_536_000, True)
        assert answer.content_length == len(answer.data)
        with client.head(url, headers={"Accept-Encoding": accepted}) as head:
            assert (head.content_length, head.content_encoding) == (answer.content_length, "gzip")
        # The one is not taken for the other.
        with client.get(url) as plain:
            assert plain.headers["ETag"] != answer.headers["ETag"]
        for known, accepts in ((answer, accepted), (plain, "identity")):
            headers = {"Accept-Encoding": accepts, "If-None-Match": known.headers["ETag"]}
            with client.get(url, headers=headers) as again:
                assert again.status_code == 304

    @pytest.mark.parametrize("accepted", [None, "", "identity", "gzip;q=0", "br"])
    def test_they_are_sent_as_they_are_to_others(self, client: FlaskClient, accepted: str | None) -> None:
        headers = {} if accepted is None else {"Accept-Encoding": accepted}
        with client.get("/chatix-comments/static/comments-ABCD1234.css", headers=headers) as answer:
            assert (answer.data, answer.headers.get("Content-Encoding")) == (b"content", None)
        assert answer.vary.to_header() == "Accept-Encoding"

    @pytest.mark.parametrize("name", ["NOTICE.txt", "manifest.json"])
    def test_other_names_are_asked_for_each_time(self, client: FlaskClient, name: str) -> None:
        with client.get(f"/chatix-comments/static/{name}") as answer:
            cache = answer.cache_control
        assert (cache.max_age, cache.immutable, cache.no_cache) == (None, False, True)

    @pytest.mark.parametrize("name", ["nothing.js", "../views.py", "%2e%2e/views.py", "comments-ABCD1234.js"])
    def test_nothing_else_is_served_or_kept(self, client: FlaskClient, name: str) -> None:
        answer = client.get(f"/chatix-comments/static/{name}", headers={"Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.headers.get("Content-Encoding")) == (404, None)
        assert answer.cache_control.max_age is None


def test_two_sites_in_one_process_share_nothing(make_site: Callable[..., Site]) -> None:
    comments = ChatixComments(transport=make_site().api.transport)
    one = make_site(extension=comments, CHATIX_HUB_WEBSITE_ID="one", CHATIX_HUB_PORT=6001)
    two = make_site(extension=comments, CHATIX_HUB_WEBSITE_ID="two", CHATIX_HUB_PORT=6002)
    answers = [join(site) for site in (one, two)]
    assert [answer["website_id"] for answer in answers] == ["one", "two"]
    assert [answer["api_url"] for answer in answers] == ["http://localhost:6001/v1", "http://localhost:6002/v1"]
    assert [answer["chatroom_id"] for answer in answers] == ["room-1", "room-2"]
    assert post(two, "join", {"post": one.post_token()}).get_json()["error"] == "bad_token"
    visitor = join(two, ticket=answers[0]["ticket"])["visitor"]
    assert visitor["id"] != answers[0]["visitor"]["id"]


class TestDeletedAtTheService:
    """In a dashboard, say: nobody has told the registry."""

    def test_a_page_that_was_not_let_in_makes_the_site_look(self, site: Site) -> None:
        room = join(site)["chatroom_id"]
        site.api.rooms[room]["is_deleted"] = True
        assert join(site)["state"] == "open"
        body = {"post": site.post_token(), "was_refused": True}
        assert post(site, "join", body).get_json() == {"state": "gone", "retry_after_s": 60}
        # From now on no page is sent there.
        assert post(site, "join", {"post": site.post_token()}).get_json()["state"] == "gone"
        assert site.state.registry.get("hello").state is RoomState.DELETED

    def test_restored_there_it_is_back(self, site: Site) -> None:
        room = join(site)["chatroom_id"]
        site.state.registry.update("hello", state=RoomState.DELETED)
        site.api.rooms[room]["is_deleted"] = False
        assert join(site)["chatroom_id"] == room
        assert site.state.registry.get("hello").state is RoomState.OPEN
