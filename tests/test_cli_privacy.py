"""``flask chatix make-private`` and ``make-public``, and private posts, with the real hub."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from flask import Flask, session

from flask_chatix_comments import ChatixComments, HubError, Post, RoomChange, RoomState, Visitor
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.testing import HubForTests
from flask_chatix_comments.testing_reader import Visit
from tests.cli_commands import run, run_json
from tests.flask_support import Site


@pytest.fixture
def site(make_site: Callable[..., Site], chatix_hub: HubForTests) -> Site:
    """A site with the real hub, whose user Ada may read private posts, and a page for the post "p"."""
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)

    @site.comments.visitor_loader
    def who() -> Visitor | None:
        return Visitor(session["user"], session["user"].title()) if "user" in session else None

    @site.comments.access_loader
    def may_read(visitor: Visitor | None, post_id: str) -> bool:
        return visitor is not None and visitor.key == "ada"

    add_page(site.app)
    return site


def add_page(app: Flask) -> None:
    @app.get("/p/")
    def page() -> str:
        return str(app.jinja_env.globals["chatix_comments"]("p"))  # type: ignore[operator] # a function of ours


@pytest.fixture
def api(site: Site) -> ChatixApi:
    return site.state.api()


@pytest.fixture
def room(site: Site) -> str:
    chatroom_id = site.state.rooms.ensure(Post("p", "Päivä")).chatroom_id
    assert chatroom_id is not None
    return chatroom_id


def visit(site: Site, hub: HubForTests, user: str | None = None) -> Visit:
    client = site.app.test_client()
    if user is not None:
        with client.session_transaction() as state:
            state["user"] = user
    return hub.visit(client, "/p/")


def test_to_private_and_back(site: Site, room: str, api: ChatixApi) -> None:
    result = run(site, "make-private", "p")
    assert result.exit_code == 0
    assert result.stdout == f"The chatroom {room} of the post 'p' is private now.\n"
    assert "There is no access_loader" not in result.stderr
    assert api.get_chatroom(room).is_private
    assert (
        run(site, "make-private", "p").stdout == f"The chatroom {room} of the post 'p' is private, as it was before.\n"
    )
    assert run(site, "make-public", "p").stdout == f"The chatroom {room} of the post 'p' is public now.\n"
    assert not api.get_chatroom(room).is_private
    assert run_json(site, "make-public", "p") == {
        "post_id": "p",
        "chatroom_id": room,
        "title": "Päivä",
        "is_private": False,
        "state": "open",
        "is_changed": False,
        "note": None,
    }


def test_a_post_without_a_chatroom(site: Site, api: ChatixApi) -> None:
    change = run_json(site, "make-private", "q", "--title", "Inner circle")
    assert (change["is_private"], change["is_changed"], change["title"]) == (True, True, "Inner circle")
    assert api.get_chatroom(change["chatroom_id"]).is_private
    result = run(site, "make-public", "r")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("Error: No chatroom is registered for the post 'r'.\n")


def test_in_python(site: Site, room: str) -> None:
    with site.app.app_context():
        assert site.comments.make_private("p") == RoomChange("p", room, "Päivä", True, RoomState.OPEN, is_changed=True)
        assert site.comments.make_public("p").is_private is False
        assert site.comments.make_private(8, title="Eight").title == "Eight"


def test_without_a_loader_a_note_says_so(make_site: Callable[..., Site], chatix_hub: HubForTests) -> None:
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)
    result = run(site, "make-private", "p")
    assert result.exit_code == 0
    assert "There is no access_loader" in result.stderr


def test_a_hub_that_has_lost_the_room(site: Site, room: str, api: ChatixApi) -> None:
    site.state.registry.unlink(site.state.registry.get("p"))
    site.state.registry.link("p", "elsewhere", title="", is_private=False, state=RoomState.OPEN)
    result = run(site, "make-private", "p")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: The hub at http://" in result.stderr


def test_comments_stay_and_only_some_read_them(site: Site, room: str, api: ChatixApi, chatix_hub: HubForTests) -> None:
    visit(site, chatix_hub).write("For everybody", name="Robin")
    run_json(site, "make-private", "p")
    for user in (None, "ben"):
        with pytest.raises(HubError, match="no comments for this reader"):
            visit(site, chatix_hub, user)
    ada = visit(site, chatix_hub, "ada")
    assert (ada.chatroom_id, ada.is_private) == (room, True)
    ada.write("For some")
    ada.write("More for some")
    assert [message.content for message in chatix_hub.messages("p")] == ["For everybody", "For some", "More for some"]
    run_json(site, "make-public", "p")
    visit(site, chatix_hub, "ben").write("For everybody again")
    assert [message.content for message in chatix_hub.messages("p")][-1] == "For everybody again"


def test_a_ticket_opens_nothing_without_the_sites_yes(site: Site, room: str, chatix_hub: HubForTests) -> None:
    """Somebody knows the chatroom's ID and has tickets, from when it was public."""
    before = {user: visit(site, chatix_hub, user) for user in (None, "ben", "ada")}
    run_json(site, "make-private", "p")
    for reader in before.values():
        with pytest.raises(HubError, match="There is no such chatroom."):
            chatix_hub._address.write(reader.ticket, room, "Let me in")
        with pytest.raises(HubError, match="There is no such chatroom."):
            chatix_hub._address.write(reader.ticket, "0" * 32, "Let me in")
    visit(site, chatix_hub, "ada").write("It is me")


def test_what_the_hub_has_is_for_the_site_alone(site: Site, room: str, chatix_hub: HubForTests) -> None:
    """Every REST route answers who has no key alike, whatever there is behind it."""
    run_json(site, "make-private", "p")
    paths = ["get", "visitors", "messages", "changes"]
    with httpx.Client(base_url=chatix_hub.url, params={"websiteId": "local"}) as client:
        for path in paths:
            known, unknown = (
                client.get(f"/chatroom/{path}", params={"websiteId": "local", "chatroomId": one})
                for one in (room, "0" * 32)
            )
            assert known.status_code == unknown.status_code == 401
            assert known.content == unknown.content


def test_sweep_takes_out_whom_the_site_does_not_let_in_any_more(
    site: Site, room: str, api: ChatixApi, chatix_hub: HubForTests
) -> None:
    run_json(site, "make-private", "p")
    readers = [visit(site, chatix_hub, "ada"), visit(site, chatix_hub, "ada")]
    api.connect_visitor(room, "let-in-by-hand")
    result = run_json(site, "sweep", "--grace", "0")
    assert (result["refused"], result["failures"], result["is_complete"]) == (1, [], True)
    assert [visitor.visitor_id for visitor in api.list_visitors(room)] == [readers[0].visitor_id]
    site.comments.access_loader(lambda visitor, post_id: False)
    swept = run(site, "sweep", "--grace", "0")
    assert swept.stdout == "Nobody is offline. 1 taken out who may not read private comments any more.\n"
    assert api.list_visitors(room) == []


def test_sweep_leaves_private_chatrooms_alone_where_nobody_can_be_asked(
    make_site: Callable[..., Site], chatix_hub: HubForTests
) -> None:
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)
    private = run_json(site, "make-private", "p")["chatroom_id"]
    site.state.api().connect_visitor(private, "let-in-by-hand")
    assert run_json(site, "sweep", "--grace", "0")["refused"] == 0
    assert [visitor.visitor_id for visitor in site.state.api().list_visitors(private)] == ["let-in-by-hand"]
