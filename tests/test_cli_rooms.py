"""``flask chatix link``, ``close``, ``messages``, ``sweep`` and their like, against the real hub."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from flask_chatix_comments import (
    ChatixComments,
    ChatroomTakenError,
    DeletedMessage,
    Post,
    PostError,
    PostNotRegisteredError,
    RoomChange,
    RoomError,
    RoomMissingError,
    RoomState,
    SweepResult,
    cli_support,
)
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.models import MessageType, SenderFlag
from flask_chatix_comments.testing import HubForTests
from tests.cli_commands import error_of, run, run_json
from tests.flask_support import Site

BY_POST = ["unlink", "close", "reopen", "delete", "restore", "messages"]
ALL = [*([name, "p"] for name in BY_POST), ["link", "p", "room"], ["delete-message", "m"], ["sweep"]]


@pytest.fixture
def site(make_site: Callable[..., Site], chatix_hub: HubForTests) -> Site:
    """A site with the real hub, and the post "p" with a chatroom."""
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)
    site.state.rooms.ensure(Post("p", "Päivä"))
    return site


@pytest.fixture
def api(site: Site) -> ChatixApi:
    return site.state.api()


@pytest.fixture
def room(site: Site) -> str:
    chatroom_id = site.state.registry.get("p").chatroom_id
    assert chatroom_id is not None
    return chatroom_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not answer at once does not come."""
    monkeypatch.setattr(cli_support, "HUB_START_TIMEOUT_S", 0.0)


class TestLink:
    def test_a_room_from_the_dashboard(self, site: Site, api: ChatixApi) -> None:
        room = api.create_chatroom("Made by hand", is_private=True).chatroom_id
        api.update_chatroom(room, is_closed=True)
        result = run(site, "link", "q", room)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"The chatroom {room} of the post 'q' is linked and closed now.\n"
        again = run_json(site, "link", "q", room)
        assert again == {
            "post_id": "q",
            "chatroom_id": room,
            "title": "Made by hand",
            "is_private": True,
            "state": "closed",
            "is_changed": False,
            "note": None,
        }
        shown = run_json(site, "show", "q")
        assert (shown["chatroom_id"], shown["title"], shown["is_private"], shown["state"]) == (
            room,
            "Made by hand",
            True,
            "closed",
        )

    def test_outlives_the_registry(self, site: Site, api: ChatixApi) -> None:
        """The hub keeps the post's ID with the chatroom."""
        room = api.create_chatroom("Made by hand").chatroom_id
        run_json(site, "link", "q", room)
        for entry in site.state.registry.entries():
            site.state.registry.unlink(entry)
        assert site.state.rooms.ensure(Post("q")).chatroom_id == room

    def test_to_a_room_that_does_not_exist(self, site: Site) -> None:
        assert error_of(run(site, "link", "q", "nowhere")).startswith("There is no chatroom nowhere at http://")
        assert site.state.registry.find("q") is None

    def test_to_a_room_of_another_post(self, site: Site, room: str) -> None:
        error = error_of(run(site, "link", "q", room, "--json"))
        assert error.startswith(f"The chatroom {room} belongs to the post 'p'. Unlink it there first")

    def test_of_a_post_that_has_one(self, site: Site, api: ChatixApi, room: str) -> None:
        other = api.create_chatroom("Other").chatroom_id
        assert f"has the chatroom {room} already. Unlink that one first" in error_of(run(site, "link", "p", other))
        assert run(site, "unlink", "p").exit_code == 0
        assert run(site, "link", "p", other).exit_code == 0

    @pytest.mark.parametrize("chatroom_id", ["", "a b", "x" * 256, "\x1b[2J"])
    def test_to_what_is_no_id(self, site: Site, chatroom_id: str) -> None:
        error = error_of(run(site, "link", "q", chatroom_id))
        assert "cannot be the ID of a chatroom" in error
        assert "\x1b" not in error


class TestUnlink:
    def test_says_how_to_get_it_back(self, site: Site, api: ChatixApi, room: str) -> None:
        result = run(site, "unlink", "p")
        assert (result.exit_code, result.stdout) == (0, f"The chatroom {room} of the post 'p' is unlinked now.\n")
        assert result.stderr.splitlines()[-1] == f"To have it back: flask chatix link p {room}"
        assert not api.get_chatroom(room).is_deleted
        assert site.state.rooms.ensure(Post("p")).chatroom_id != room

    def test_as_json(self, site: Site, room: str) -> None:
        row = run_json(site, "unlink", "p")
        assert (row["chatroom_id"], row["state"], row["is_changed"]) == (room, None, True)

    def test_of_a_post_with_a_name_that_a_shell_would_take_apart(self, site: Site, api: ChatixApi) -> None:
        post_id = "it's $HOME; *"
        room = str(site.state.rooms.ensure(Post(post_id)).chatroom_id)
        back = run(site, "unlink", post_id).stderr.splitlines()[-1]
        assert back == f"To have it back: flask chatix link 'it'\"'\"'s $HOME; *' {room}"
        assert run(site, "link", post_id, room).exit_code == 0

    def test_of_a_post_with_a_name_that_a_terminal_would_obey(self, site: Site) -> None:
        post_id = "it's\n\x1b[2J \u202e\\  x"
        room = str(site.state.rooms.ensure(Post(post_id)).chatroom_id)
        back = run(site, "unlink", post_id).stderr.splitlines()[-1]
        word = r"$'it\'s\n\x1b[2J \u202e\\  x'"
        assert back == f"To have it back: flask chatix link {word} {room}"
        bash = subprocess.run(["bash", "-c", f"printf %s {word}"], env={"LC_ALL": "C.UTF-8"}, capture_output=True)
        assert bash.stdout.decode() == post_id


class TestCloseAndReopen:
    def test_in_registry_and_hub(self, site: Site, api: ChatixApi, room: str) -> None:
        first, again = run(site, "close", "p"), run(site, "close", "p")
        assert (first.exit_code, first.stdout, first.stderr) == (
            0,
            f"The chatroom {room} of the post 'p' is closed now.\n",
            "",
        )
        assert (again.exit_code, again.stdout) == (
            0,
            f"The chatroom {room} of the post 'p' is closed, as it was before.\n",
        )
        assert api.get_chatroom(room).is_closed
        assert run_json(site, "reopen", "p")["state"] == "open"
        assert not api.get_chatroom(room).is_closed

    def test_at_a_service_that_does_not_know_it(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        site.state.rooms.ensure(Post("p"))
        site.api.fail("/chatroom/update", 400)
        result = run(site, "close", "p", "--json")
        row = json.loads(result.stdout)
        assert (result.exit_code, row["state"]) == (0, "closed")
        assert row["note"].startswith("The service does not know read-only chatrooms")
        assert result.stderr == f"{row['note']}\n"


class TestDeleteAndRestore:
    def test_there_and_back(self, site: Site, api: ChatixApi, room: str) -> None:
        api.send_message(room, sender_id="ada", content="Still here")
        deleted = run(site, "delete", "p")
        assert (deleted.exit_code, deleted.stdout) == (0, f"The chatroom {room} of the post 'p' is deleted now.\n")
        assert deleted.stderr == (
            "To have it back: flask chatix restore p\n"
            "That goes for 30 days (CHATIX_HUB_RESTORE_DAYS); then it is gone for good.\n"
        )
        assert api.get_chatroom(room).is_deleted
        assert "is deleted. Restore it first" in error_of(run(site, "close", "p"))
        assert run_json(site, "restore", "p")["state"] == "open"
        assert [row["content"] for row in run_json(site, "messages", "p")] == ["Still here"]

    def test_restore_of_one_that_lives(self, site: Site, room: str) -> None:
        result = run(site, "restore", "p")
        assert (result.exit_code, result.stdout, result.stderr) == (
            0,
            f"The chatroom {room} of the post 'p' is open, as it was before.\n",
            "It is not deleted: there is nothing to restore.\n",
        )

    @pytest.mark.parametrize(
        ("settings", "limit"),
        [
            (
                {"CHATIX_HUB_RESTORE_DAYS": 1},
                "That goes for 1 day (CHATIX_HUB_RESTORE_DAYS); then it is gone for good.\n",
            ),
            ({"CHATIX_HUB_RESTORE_DAYS": 0}, ""),
            ({"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"}, ""),
        ],
    )
    def test_until_when_it_can_be_restored(
        self, make_site: Callable[..., Site], settings: dict[str, Any], limit: str
    ) -> None:
        site = make_site(**settings)
        site.state.rooms.ensure(Post("p"))
        site.api.fail("/chatroom/delete", httpx.Response(200, json={"is_success": True}))
        assert run(site, "delete", "p").stderr == f"To have it back: flask chatix restore p\n{limit}"


class TestMessages:
    def test_all_of_them_oldest_first(self, site: Site, api: ChatixApi, room: str) -> None:
        for number in range(90):
            api.send_message(room, sender_id="ada", content=f"number {number}")
        rows = run_json(site, "messages", "p")
        assert [row["content"] for row in rows] == [f"number {number}" for number in range(90)]
        assert [row["content"] for row in run_json(site, "messages", "p", "--limit", "2")] == ["number 88", "number 89"]
        message = api.list_messages(room)[-1]
        assert rows[-1] == {
            "message_id": message.message_id,
            "sent_at": message.sent_at.isoformat(),
            "edited_at": None,
            "sender_id": "ada",
            "sender_name": None,
            "is_by_manager": False,
            "type": "text",
            "content": "number 89",
            "original_url": None,
            "thumb_100_url": None,
            "thumb_300_url": None,
            "file_url": None,
            "file_name": None,
            "file_size": None,
            "width": None,
            "height": None,
        }

    def test_files_by_name_size_and_pixels(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        site.state.rooms.ensure(Post("p"))
        common = {"sender_id": "v", "sent_at": 1, "content": ""}
        image = {"file_name": "a\u202eb.png", "file_size": 1234, "width": 20, "height": 10}
        messages = [
            {**common, "uuid": "i", "type": 4, "original_url": "https://u.example/i", **image},
            {**common, "uuid": "f", "type": 5, "file_url": "https://u.example/f", "file_name": "f.pdf"},
        ]
        site.api.fail("/chatroom/messages", httpx.Response(200, json={"items": messages}))
        rows = run_json(site, "messages", "p", "--limit", "2")
        assert {key: rows[0][key] for key in image} == image
        shown = [line.split("\t")[3] for line in run(site, "messages", "p", "--limit", "2").stdout.splitlines()]
        assert shown == ["a b.png, 1234 bytes, 20 × 10: https://u.example/i", "f.pdf: https://u.example/f"]

    def test_none(self, site: Site) -> None:
        assert run(site, "messages", "p").stdout == ""
        assert run_json(site, "messages", "p") == []

    def test_one_line_each_whatever_somebody_wrote(self, site: Site, api: ChatixApi, room: str) -> None:
        api.update_visitor("ada", name="Ada  Ö.")
        api.send_message(room, sender_id="ada", content="one\ntwo\tthree \u202egnp.exe \u200b 👩\u200d💻")
        api.send_message(room, sender_id="nobody", type=MessageType.FILE, file_url="https://u.example/f.pdf")
        first, second = run(site, "messages", "p").stdout.splitlines()
        assert first.split("\t")[2:] == ["Ada Ö.", "one two three gnp.exe 👩\u200d💻"]
        assert second.split("\t")[2:] == ["-", "https://u.example/f.pdf"]

    def test_control_sequences_of_a_service_reach_no_terminal(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        site.state.rooms.ensure(Post("p"))
        message = {
            "uuid": "m",
            "type": 0,
            "content": "\x1b[2J\x07x",
            "sender_id": "v",
            "sent_at": 1,
            "sender_name": "\x9b1m",
        }
        site.api.fail("/chatroom/messages", httpx.Response(200, json={"items": [message]}))
        assert run(site, "messages", "p", "--limit", "1").stdout == "m\t1970-01-01T00:00:01+00:00\t1m\t[2J x\n"

    def test_managers_are_marked(self, site: Site, api: ChatixApi, room: str) -> None:
        api.send_message(room, sender_id="boss", sender_flag=SenderFlag.MANAGER, content="x")
        assert run_json(site, "messages", "p")[0]["is_by_manager"]

    @pytest.mark.parametrize("limit", ["0", "-1", "x"])
    def test_wrong_usage(self, site: Site, limit: str) -> None:
        assert run(site, "messages", "p", "--limit", limit).exit_code == 2


class TestDeleteMessage:
    @pytest.mark.parametrize("more", [(), ("--post", "p")])
    def test_for_everybody(self, site: Site, api: ChatixApi, room: str, more: tuple[str, ...]) -> None:
        kept = api.send_message(room, sender_id="ada", content="kept")
        gone = api.send_message(room, sender_id="ada", content="gone")
        result = run(site, "delete-message", gone.message_id, *more)
        assert (result.exit_code, result.stdout) == (
            0,
            f"The comment {gone.message_id} of the post 'p' is deleted.\n",
        )
        assert api.list_messages(room) == [kept]
        row = run_json(site, "delete-message", kept.message_id, *more)
        assert row == {"message_id": kept.message_id, "post_id": "p", "chatroom_id": room}

    def test_that_is_not_there(self, site: Site) -> None:
        assert error_of(run(site, "delete-message", "m")) == "There is no comment 'm' at the hub."
        assert (
            error_of(run(site, "delete-message", "m", "--post", "p")) == "There is no comment 'm' under the post 'p'."
        )
        assert "No chatroom is registered" in error_of(run(site, "delete-message", "m", "--post", "q"))
        assert run(site, "delete-message", "m", "--post", "").exit_code == 2

    def test_on_the_hosted_service_the_post_is_wanted(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        assert "say which post it is under" in error_of(run(site, "delete-message", "m"))


async def visit(url: str, room: str, *, until: Callable[[], object]) -> None:
    """Join as any SDK client would, with a get-id ticket, do something, and drop the connection without a goodbye."""
    async with httpx.AsyncClient() as client:
        ticket = (await client.get(f"{url}/visitor/get-id", params={"websiteId": "tests"})).json()
        query = f"visitorId={ticket}&websiteId=tests"
        negotiated = (await client.post(f"{url}/chat/negotiate?{query}")).json()
    address = f"{url.replace('http', 'ws', 1)}/chat?{query}&id={negotiated['connectionId']}"
    async with connect(address, proxy=None) as socket:
        join = {"type": 1, "invocationId": "0", "target": "ConnectToChatroom", "arguments": [room]}
        for record in ({"protocol": "json", "version": 1}, join):
            await socket.send(json.dumps(record) + "\x1e")
            await socket.recv()
        until()


class TestSweep:
    def test_takes_out_who_is_gone_and_nobody_else(
        self, site: Site, api: ChatixApi, room: str, chatix_hub: HubForTests
    ) -> None:
        sweep = ("sweep", "--grace", "0", "--json")
        seen: list[Any] = []

        def sweep_while_it_is_here() -> None:
            seen.append(run_json(site, *sweep[:-1]))
            assert api.get_chatroom(room).number_of_visitors == 1

        asyncio.run(visit(chatix_hub.url, room, until=sweep_while_it_is_here))
        nothing = {"chatrooms": 1, "offline": 0, "taken_out": 0, "came_back": 0, "refused": 0}
        assert seen == [nothing | {"failures": [], "is_complete": True}]
        # The hub keeps a seat of that kind for good.
        assert api.get_chatroom(room).number_of_visitors == 1
        for told in ("1 taken out, 0 left in.\n", "Nobody is offline.\n"):
            result = run(site, *sweep[:-1])
            assert (result.exit_code, result.stderr, result.stdout) == (0, "", told)
        assert api.get_chatroom(room).number_of_visitors == 0

    def test_a_chatroom_that_has_vanished_is_named(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        site.state.rooms.ensure(Post("p"))
        site.api.rooms.clear()
        site.api.fail("/chatroom/visitors", 404)
        result = run(site, "sweep", "--json")
        row = json.loads(result.stdout)
        assert (result.exit_code, row["failures"][0]["post_id"], row["is_complete"]) == (1, "p", True)
        assert result.stderr.startswith("p: The API at ")

    def test_that_is_not_complete_says_so(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        for post_id in "ab":
            site.state.rooms.ensure(Post(post_id))
        site.api.fail("/chatroom/visitors", httpx.ConnectError("refused"))
        site.api.number_of_visitors = 1
        for room in site.api.rooms.values():
            room["number_of_visitors"] = 1
        result = run(site, "sweep")
        assert (result.exit_code, result.stdout) == (
            1,
            "Nobody is offline. Not all was looked at.\n",
        )

    def test_tells_people_that_it_waits_and_nobody_else(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cli_support.tell_people("3 offline")
        assert capsys.readouterr().err == ""
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        cli_support.tell_people("3 offline")
        assert capsys.readouterr().err == "3 offline\n"

    @pytest.mark.parametrize("option", ["--limit=0", "--grace=-1", "--grace=3601", "--time-limit=0", "--limit=x"])
    def test_wrong_usage(self, site: Site, option: str) -> None:
        assert run(site, "sweep", option).exit_code == 2

    @pytest.mark.parametrize("option", ["--grace", "--time-limit"])
    def test_a_time_that_is_no_number(self, site: Site, option: str) -> None:
        result = run(site, "sweep", f"{option}=nan")
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"Invalid value for '{option}': nan is no number of seconds." in result.stderr


class TestAll:
    @pytest.fixture
    def site(self, make_site: Callable[..., Site]) -> Site:
        """A site whose hub only says that it is there."""
        return make_site()

    @pytest.mark.parametrize("command", BY_POST)
    @pytest.mark.parametrize("post_id", ["nothing", "\x1b[2J"])
    def test_posts_that_are_not_there(self, site: Site, command: str, post_id: str) -> None:
        result = run(site, command, post_id, "--json")
        error = error_of(result)
        assert "flushed" not in error
        assert "\x1b" not in error

    @pytest.mark.parametrize("post_id", ["x" * 256, "", "a\0"])
    @pytest.mark.parametrize("command", [*BY_POST, "link"])
    def test_posts_that_there_cannot_be_are_wrong_usage(self, site: Site, command: str, post_id: str) -> None:
        result = run(site, command, post_id, *(["room"] if command == "link" else []), "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Usage: ")
        assert "flushed" not in result.stderr

    @pytest.mark.parametrize("command", BY_POST)
    def test_a_post_whose_room_is_being_made(self, site: Site, command: str) -> None:
        site.state.registry.claim("new", title="", is_private=False, owner="x", lease_s=60)
        assert "has no chatroom yet" in error_of(run(site, command, "new"))

    @pytest.mark.parametrize("arguments", ALL[:6], ids=lambda arguments: arguments[0])
    def test_a_service_that_is_down(self, make_site: Callable[..., Site], arguments: list[str]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="secret-of-the-api")
        site.state.rooms.ensure(Post("p"))
        before = site.state.registry.entries()
        for path in ("get", "update", "delete", "restore", "messages"):
            site.api.fail(f"/chatroom/{path}", httpx.ConnectError("refused"))
        result = run(site, *arguments)
        assert "No answer from the API at" in error_of(result)
        assert "secret-of-the-api" not in result.output
        assert site.state.registry.entries() == before

    @pytest.mark.parametrize("command", [*BY_POST, "link", "delete-message"])
    def test_wrong_usage(self, site: Site, command: str) -> None:
        assert run(site, command).exit_code == 2
        assert run(site, command, "--nonsense", "p").exit_code == 2

    @pytest.mark.parametrize("command", [*BY_POST, "link", "delete-message", "sweep"])
    def test_help(self, site: Site, command: str) -> None:
        result = run(site, command, "--help")
        assert (result.exit_code, "--json" in result.stdout) == (0, True)


BLOG = """
from flask import Flask

from flask_chatix_comments import ChatixComments

app = Flask(__name__)
app.config.from_prefixed_env()
comments = ChatixComments(app)
"""


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (["--app", "my blog", "--debug"], {}),
        (["--app", "my blog"], {"FLASK_SECRET_KEY": "x" * 32}),
        ([], {"FLASK_APP": "my blog", "FLASK_SECRET_KEY": "x" * 32}),
    ],
)
def test_a_hint_can_be_typed_as_it_stands(
    site: Site, room: str, chatix_hub: HubForTests, tmp_path: Path, options: list[str], variables: dict[str, str]
) -> None:
    """With the options that were given, which find the site, and without those that the environment has."""
    (tmp_path / "my blog.py").write_text(BLOG)
    settings = {f"FLASK_{key}": value for key, value in chatix_hub.settings.items()}
    result = subprocess.run(
        [sys.executable, "-m", "flask", *options, "chatix", "delete", "p"],
        env={**os.environ, **settings, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    prefix = shlex.join(["flask", *options])
    assert f"To have it back: {prefix} chatix restore p\n" in result.stderr


class TestTroubleAtTheHub:
    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("arguments", ALL, ids=lambda arguments: arguments[0])
    def test_a_hub_that_is_down_loses_nothing(self, site: Site, chatix_hub: HubForTests, arguments: list[str]) -> None:
        before = site.state.registry.entries()
        chatix_hub.thread.stop()
        result = run(site, *arguments, "--json")
        error = error_of(result)
        # That it waits is for people only.
        assert "Waiting up to" not in result.stderr
        assert "No hub for the website 'tests' answers" in error
        assert "Start that hub" in error
        assert site.state.registry.entries() == before

    @pytest.mark.parametrize("command", ["close", "reopen", "delete", "restore", "messages"])
    def test_a_room_that_vanished_at_the_hub(self, site: Site, command: str) -> None:
        site.state.registry.link("lost", "lost-room", title="", is_private=False, state=RoomState.OPEN)
        error = error_of(run(site, command, "lost", "--json"))
        assert "does not know the chatroom lost-room of the post 'lost'" in error
        assert "check --repair makes a new one" in error
        assert site.state.registry.get("lost").state is RoomState.OPEN
        assert run(site, "unlink", "lost").exit_code == 0

    @pytest.mark.parametrize("command", ["restore", "messages", "show"])
    def test_one_that_was_deleted_longer_ago_than_it_can_be_restored(self, site: Site, command: str) -> None:
        site.state.registry.link("lost", "lost-room", title="", is_private=False, state=RoomState.DELETED)
        told = run(site, command, "lost").stderr
        assert "If it is gone for good, and the post is to have comments again, flask chatix unlink lets" in told
        assert "check --repair" not in told


def test_in_python(site: Site, api: ChatixApi, room: str) -> None:
    comments = site.comments
    with site.app.app_context():
        assert comments.close("p") == RoomChange("p", room, "Päivä", False, RoomState.CLOSED, is_changed=True)
        assert comments.reopen("p").state is RoomState.OPEN
        assert comments.delete("p").state is RoomState.DELETED
        assert comments.restore("p").is_changed
        assert comments.unlink("p").state is None
        assert comments.link("7", room).post_id == "7"
        assert not comments.link(7, room).is_changed
        message = api.send_message(room, sender_id="ada", content="Hello")
        assert list(comments.messages(7)) == [message]
        assert list(comments.messages(7, limit=0)) == []
        assert comments.delete_message(message.message_id) == DeletedMessage(message.message_id, "7", room)
        message = api.send_message(room, sender_id="ada", content="Hello")
        assert comments.delete_message(message.message_id, post_id=7).post_id == "7"
        assert comments.sweep() == SweepResult(0, 0, 0, 0, failures=(), is_complete=True)
        with pytest.raises(ChatroomTakenError):
            comments.link("q", room)
        with pytest.raises(RoomMissingError):
            comments.link("q", "nowhere")
        with pytest.raises(RoomError):
            comments.delete_message("m")
        with pytest.raises(PostNotRegisteredError):
            comments.messages("q")
        with pytest.raises(PostError):
            comments.close("")
