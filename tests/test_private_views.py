"""Private posts at the site's own doors: the page, and what the section asks the site."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from flask import render_template_string
from flask.testing import FlaskClient
from itsdangerous.encoding import base64_decode
from werkzeug.test import TestResponse

from flask_chatix_comments import RoomError, Visitor
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_watch import LOOK_EVERY_S
from flask_chatix_comments.state import READER_TIMEOUT_S
from flask_chatix_comments.tokens import GuestClaim, GuestCookies, VisitorTickets
from tests.flask_support import Clock, Site

ADA = Visitor(key="ada", name="Ada")
BEN = Visitor(key="ben", name="Ben")
MANAGER = Visitor(key="m", name="Marit Lund", is_manager=True)
HOSTED = {"CHATIX_WEBSITE_ID": "site-1", "CHATIX_API_KEY": "the key"}
GONE = {"state": "gone", "retry_after_s": 60}


def ask(
    site: Site,
    *,
    ticket: str | None = None,
    is_private: bool = True,
    client: FlaskClient | None = None,
    post_id: str = "inner",
    **more: Any,
) -> TestResponse:
    body = {"post": site.post_token(post_id, "Inner", is_private=is_private), "ticket": ticket, **more}
    client = client or site.app.test_client()
    return client.post("/chatix-comments/join", data=json.dumps(body), content_type="application/json")


def join(site: Site, **options: Any) -> Any:
    answer = ask(site, **options)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def refuse(site: Site, **options: Any) -> TestResponse:
    """Ask to join, be refused, and let the site do what it does after the answer."""
    answer = ask(site, **options)
    assert (answer.status_code, answer.get_json()) == (200, GONE)
    assert "Set-Cookie" not in answer.headers
    answer.close()
    return answer


def sign_in(site: Site, user: Visitor | None) -> None:
    site.comments.visitor_loader(lambda: user)


def let_in(site: Site, *keys: str | None) -> None:
    site.comments.access_loader(lambda visitor, post_id: (visitor and visitor.key) in keys)


@pytest.fixture
def private(site: Site) -> str:
    """The private chatroom of the post inner, which Ada may read."""
    let_in(site, "ada")
    sign_in(site, ADA)
    room = join(site)["chatroom_id"]
    sign_in(site, None)
    site.api.members.clear()
    site.api.calls.clear()
    return str(room)


class TestMoved:
    """The post's ID has changed, and the page is older than that."""

    @pytest.fixture
    def asked(self, site: Site, private: str) -> list[str]:
        registry = site.state.registry
        assert registry.rename(registry.get("inner"), "new")
        asked: list[str] = []

        def may_read(visitor: Visitor | None, post_id: str) -> bool:
            asked.append(post_id)
            return visitor is not None and post_id == "new"

        site.comments.access_loader(may_read)
        return asked

    @pytest.mark.parametrize("is_private", [True, False])
    def test_the_site_is_asked_for_the_new_id(
        self, site: Site, private: str, asked: list[str], is_private: bool
    ) -> None:
        refuse(site, is_private=is_private)
        sign_in(site, ADA)
        assert join(site, is_private=is_private)["chatroom_id"] == private
        assert set(asked) == {"new"}
        assert "/chatroom/create" not in site.api.paths()

    def test_no_command_makes_another_for_the_old_id(self, site: Site, private: str, asked: list[str]) -> None:
        with site.app.app_context(), pytest.raises(RoomError, match="its ID is 'new' now"):
            site.comments.make_private("inner")
        with site.app.app_context(), pytest.raises(RoomError, match="its ID is 'new' now"):
            site.comments.make_public("inner")
        assert site.state.registry.get("new").is_private


class TestWhoMayRead:
    def test_is_let_in_by_the_api_before_the_page_goes_there(self, site: Site, private: str, clock: Clock) -> None:
        sign_in(site, ADA)
        body = join(site)
        assert (body["state"], body["chatroom_id"], body["is_private"]) == ("open", private, True)
        assert site.api.members == {private: [body["visitor"]["id"]]}
        assert site.api.paths()[-1] == "/chatroom/connect-visitor"
        # The site is asked again when the ticket has ended.
        ticket = VisitorTickets(site.state.keys.ticket, website_id="local").check(body["ticket"], now=clock())
        assert (ticket.visitor_id, ticket.expires_at - ticket.issued_at) == (body["visitor"]["id"], 3600)
        assert body["ticket_expires_in_s"] == 3600

    def test_a_room_that_is_public_at_the_service_is_closed_before_anybody_is_let_in(
        self, site: Site, private: str
    ) -> None:
        site.state.monotonic = lambda: time.monotonic() + LOOK_EVERY_S
        site.api.rooms[private]["is_private"] = False
        sign_in(site, ADA)
        join(site)
        assert [path for path in site.api.paths() if path.startswith("/chatroom/")] == [
            "/chatroom/get",
            "/chatroom/update",
            "/chatroom/connect-visitor",
        ]

    def test_a_manager_needs_nobody_to_let_him_in(self, site: Site, private: str) -> None:
        sign_in(site, MANAGER)
        assert join(site)["chatroom_id"] == private
        assert "/chatroom/connect-visitor" not in site.api.paths()

    def test_a_guest_whom_the_site_lets_in(self, site: Site, private: str) -> None:
        let_in(site, None)
        first = join(site)
        assert site.api.members == {private: [first["visitor"]["id"]]}
        assert join(site, ticket=first["ticket"])["visitor"] == first["visitor"]

    def test_an_api_that_fails_lets_nobody_in(self, site: Site, private: str) -> None:
        sign_in(site, ADA)
        site.api.fail("/chatroom/connect-visitor", 500)
        answer = ask(site)
        assert (answer.status_code, answer.get_json()["error"]) == (503, "unavailable")
        assert private not in answer.text and "ticket" not in answer.get_json()

    def test_one_that_does_not_answer_holds_up_no_reader_for_long(self, site: Site, private: str) -> None:
        sign_in(site, ADA)
        site.api.fail("/chatroom/connect-visitor", httpx.ReadTimeout("slow"))
        assert ask(site).status_code == 503
        assert site.api.paths().count("/chatroom/connect-visitor") == 1
        assert (site.api.paths()[-1], site.api.timeouts[-1]) == ("/chatroom/connect-visitor", READER_TIMEOUT_S)


class TestWhoMayNot:
    @pytest.mark.parametrize("user", [None, BEN], ids=["guest", "user"])
    @pytest.mark.parametrize("is_private", [True, False], ids=["this page", "a page from before"])
    def test_hears_what_a_deleted_post_says(
        self, site: Site, private: str, user: Visitor | None, is_private: bool
    ) -> None:
        sign_in(site, user)
        refused = refuse(site, is_private=is_private)
        assert "/chatroom/connect-visitor" not in site.api.paths()
        site.api.rooms["room-1"]["is_deleted"] = True
        site.state.registry.update("inner", state=RoomState.DELETED)
        sign_in(site, ADA)
        deleted = refuse(site)
        assert refused.data == deleted.data
        assert dict(refused.headers) == dict(deleted.headers)

    @pytest.mark.parametrize("state", [RoomState.CLOSED, RoomState.DELETED])
    def test_hears_the_same_whatever_has_become_of_it(self, site: Site, private: str, state: RoomState) -> None:
        site.state.registry.update("inner", state=state)
        refuse(site)
        # Whether it is deleted at the service is looked up for those who may know.
        assert site.api.paths() == []

    def test_makes_no_chatroom(self, site: Site) -> None:
        let_in(site, "ada")
        refuse(site)
        assert site.state.registry.find("inner") is None
        assert site.api.paths() == []

    def test_while_it_is_being_made(self, site: Site) -> None:
        let_in(site, "ada")
        site.state.registry.claim("inner", title="Inner", is_private=True, owner="another process", lease_s=60)
        refuse(site)
        assert site.api.paths() == []

    def test_without_a_loader_or_with_a_broken_one(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        refuse(site)
        assert "there is no access_loader" in caplog.text

        @site.comments.access_loader
        def broken(visitor: Visitor | None, post_id: str) -> bool:
            raise LookupError("no such table")

        refuse(site)
        assert "The access_loader failed for the post 'inner'" in caplog.text
        assert "no such table" in caplog.text

    def test_a_private_room_that_the_service_had_already(self, site: Site) -> None:
        """The registry is lost, the page is from before, and the service answers the chatroom that it has."""
        let_in(site, "ada")
        row = {"id": "room-9", "title": "Inner", "is_private": True, "external_id": "inner", "managers": []}
        site.api.rooms["room-9"] = row
        site.api.faults["/chatroom/create"] = lambda: httpx.Response(200, json=row)
        refuse(site, is_private=False)
        assert site.state.registry.get("inner").is_private

    def test_on_the_widgets_connection_nobody_is_known(
        self, make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
    ) -> None:
        site = make_site(**HOSTED, CHATIX_SDK="widget")
        let_in(site, "ada")
        sign_in(site, ADA)
        refuse(site)
        assert "with CHATIX_SDK=widget" in caplog.text


class TestWhoMayNotAnyMore:
    """A visit at which the site says no ends what an earlier one began."""

    def test_a_user_is_taken_out(self, site: Site, private: str) -> None:
        sign_in(site, ADA)
        join(site)
        let_in(site)
        answer = ask(site)
        # After the answer: how long it takes would tell something.
        assert "/chatroom/disconnect-visitor" not in site.api.paths()
        answer.close()
        assert site.api.members == {private: []}

    def test_who_has_signed_out(self, site: Site, private: str) -> None:
        sign_in(site, ADA)
        ticket = join(site)["ticket"]
        sign_in(site, None)
        refuse(site, ticket=ticket)
        assert site.api.members == {private: []}

    def test_who_has_signed_in_as_another(self, site: Site, private: str) -> None:
        sign_in(site, ADA)
        ticket = join(site)["ticket"]
        sign_in(site, BEN)
        refuse(site, ticket=ticket)
        assert site.api.members == {private: []}
        assert len(site.api.queries("/chatroom/disconnect-visitor")) == 2

    def test_a_guest_by_the_cookie(self, site: Site, private: str, clock: Clock) -> None:
        site.api.members[private] = ["g-1"]
        client = site.app.test_client()
        cookies = GuestCookies(site.state.keys.guest, website_id="local")
        claim = GuestClaim("g-1", "Ida", issued_at=clock(), expires_at=clock() + 1000)
        client.set_cookie("chatix_guest", cookies.sign(claim))
        refuse(site, client=client)
        assert site.api.members == {private: []}

    def test_a_stranger_costs_the_api_nothing(self, site: Site, private: str) -> None:
        refuse(site)
        assert site.api.paths() == []

    def test_an_api_that_fails_changes_no_answer(
        self, site: Site, private: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.api.fail("/chatroom/disconnect-visitor", 500)
        sign_in(site, BEN)
        refuse(site)
        assert "could not be taken out" in caplog.text


class TestTheRegistrySays:
    def test_a_page_that_says_public_opens_no_private_room(self, site: Site, private: str) -> None:
        refuse(site, is_private=False)
        sign_in(site, ADA)
        assert join(site, is_private=False)["chatroom_id"] == private
        assert site.api.members[private] != []
        assert site.state.registry.get("inner").is_private

    def test_a_page_that_says_private_closes_no_public_room(self, site: Site, caplog: pytest.LogCaptureFixture) -> None:
        let_in(site, "ada")
        room = join(site, is_private=False)["chatroom_id"]
        body = join(site, is_private=True)
        assert (body["chatroom_id"], body["is_private"], body["ticket_expires_in_s"]) == (room, False, 43_200)
        assert "is public and stays so" in caplog.text
        assert "flask chatix make-private" in caplog.text

    def test_to_private_and_back(self, site: Site) -> None:
        let_in(site, "ada")
        room = join(site, is_private=False)["chatroom_id"]
        site.api.faults["/chatroom/visitors"] = lambda: httpx.Response(200, json={"items": []})
        with site.app.app_context():
            assert site.comments.make_private("inner").is_private
        refuse(site, is_private=False)
        refuse(site, is_private=True)
        with site.app.app_context():
            assert not site.comments.make_public("inner").is_private
        assert join(site, is_private=True)["chatroom_id"] == room

    def test_a_post_that_is_made_private_before_its_first_page(self, site: Site) -> None:
        let_in(site, "ada")
        with site.app.app_context():
            site.comments.make_private("inner")
        refuse(site, is_private=False)
        assert [body["is_private"] for body in site.api.bodies("/chatroom/create")] == [True]


class TestHosted:
    @pytest.fixture
    def site(self, make_site: Callable[..., Site]) -> Site:
        return make_site(**HOSTED)

    def test_a_user_is_let_in_under_the_services_id(self, site: Site) -> None:
        let_in(site, "ada")
        sign_in(site, ADA)
        body = join(site)
        assert site.api.members == {body["chatroom_id"]: [body["ticket"]]}
        assert body["ticket_expires_in_s"] is None

    def test_a_user_is_taken_out(self, site: Site) -> None:
        let_in(site, "ada")
        sign_in(site, ADA)
        client = site.app.test_client()
        room = join(site, client=client)["chatroom_id"]
        let_in(site)
        refuse(site, client=client)
        assert site.api.members == {room: []}

    def test_a_guest_gets_an_id_that_the_site_knows(self, site: Site) -> None:
        let_in(site, None)
        client = site.app.test_client()
        first = join(site, client=client)
        assert site.api.members == {first["chatroom_id"]: [first["ticket"]]}
        assert (first["visitor"]["name"], first["visitor"]["is_persistent"]) == (None, True)
        # The cookie brings the id back, and taking part keeps it.
        assert join(site, client=client)["ticket"] == first["ticket"]
        body = {"post": site.post_token(), "name": "Ida"}
        answer = client.post("/chatix-comments/take-part", json=body).get_json()
        assert (answer["ticket"], answer["visitor"]["name"]) == (first["ticket"], "Ida")

    def test_a_manager_of_the_site_is_let_in_by_the_api(self, site: Site) -> None:
        sign_in(site, MANAGER)
        body = join(site)
        assert site.api.members == {body["chatroom_id"]: [body["ticket"]]}

    def test_on_a_public_post_a_guest_still_has_none(self, site: Site) -> None:
        assert join(site, is_private=False)["ticket"] is None


class TestThePage:
    def test_holds_nothing_of_the_chatroom(self, site: Site, private: str) -> None:
        site.api.rooms[private]["number_of_visitors"] = 4711
        template = (
            '{% from "chatix_comments/macros.html" import comment_count, assets %}{{ assets() }}'
            '{{ comment_count("inner") }}{{ chatix_comments("inner", title="Inner", private=True) }}'
        )

        def render(user: Visitor | None) -> str:
            sign_in(site, user)
            with site.app.test_request_context():
                return render_template_string(template)

        html = render(ADA)
        # The same for everybody: whoever may not read it sees nothing that others see.
        assert html == render(BEN) == render(None)
        assert private not in html and "4711" not in html
        token = html.split('data-post="')[1].split('"')[0]
        assert json.loads(base64_decode(token.split(".")[0])) == ["inner", "Inner", 1]
        assert site.api.paths() == []

    def test_stays_whole_whatever_the_loader_does(self, site: Site) -> None:
        @site.comments.access_loader
        def broken(visitor: Visitor | None, post_id: str) -> bool:
            raise LookupError

        with site.app.test_request_context():
            html = render_template_string('<p>before</p>{{ chatix_comments("inner", private=True) }}<p>after</p>')
        assert html.startswith("<p>before</p>") and html.endswith("<p>after</p>") and "<chatix-comments" in html
