"""``flask chatix move``, ``sync`` and their like, against the real hub."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments import (
    ApiConnectionError,
    ChatixComments,
    Post,
    PostError,
    RoomState,
    SyncOutcome,
    SyncResult,
    TroubleKind,
    cli_check,
    cli_progress,
    cli_support,
    cli_transfer,
    cli_upkeep,
)
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.models import SenderFlag
from flask_chatix_comments.room_marks import with_mark
from flask_chatix_comments.testing import HubForTests
from tests.cli_commands import error_of, run, run_json
from tests.flask_support import Site


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
    return str(site.state.registry.get("p").chatroom_id)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not answer at once does not come."""
    monkeypatch.setattr(cli_support, "HUB_START_TIMEOUT_S", 0.0)


def say(api: ChatixApi, chatroom_id: str, text: str = "Hello") -> None:
    api.send_message(chatroom_id, sender_id="ada", sender_flag=SenderFlag.VISITOR, content=text)


class TestMove:
    def test_takes_the_comments_along(self, site: Site, api: ChatixApi, room: str) -> None:
        say(api, room)
        result = run(site, "move", "p", "q")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"The chatroom {room} of the post 'p' is that of 'q' now.\n"
        (message,) = run_json(site, "messages", "q")
        assert message["content"] == "Hello"
        # The hub, too, knows it by the new name.
        assert api.get_chatroom(room).external_id == "q"
        # And who comes with a page that names the old one.
        assert site.state.rooms.ensure(Post("p")).chatroom_id == room
        assert run_json(site, "show", "p")["state"] == "moved"

    def test_can_be_forgotten(self, site: Site, room: str) -> None:
        run(site, "move", "p", "q")
        result = run(site, "unlink", "p")
        assert result.exit_code == 0
        assert result.stderr == "It stays that of the post 'q'. The next reader of 'p' gets a new chatroom.\n"
        assert site.state.rooms.ensure(Post("p")).chatroom_id != room

    def test_as_json(self, site: Site, room: str) -> None:
        assert run_json(site, "move", "p", "q") == {
            "post_id": "q",
            "chatroom_id": room,
            "title": "Päivä",
            "is_private": False,
            "state": "open",
            "is_changed": True,
            "note": None,
        }

    def test_refuses_to_merge(self, site: Site, api: ChatixApi, room: str) -> None:
        other = str(site.state.rooms.ensure(Post("q")).chatroom_id)
        say(api, other)
        assert "Two threads cannot become one" in error_of(run(site, "move", "p", "q"))
        assert (site.state.registry.get("p").chatroom_id, site.state.registry.get("q").chatroom_id) == (room, other)

    def test_a_reader_came_too_early(self, site: Site, api: ChatixApi, room: str) -> None:
        """The site has changed the ID, and somebody read the post before the command was run."""
        other = str(site.state.rooms.ensure(Post("q")).chatroom_id)
        result = run(site, "move", "p", "q")
        assert (result.exit_code, result.stderr) == (
            0,
            f"The chatroom {other} that it had, in which nobody had written, is deleted.\n",
        )
        assert site.state.registry.get("q").chatroom_id == room
        assert api.get_chatroom(other).is_deleted

    def test_in_python(self, site: Site, room: str) -> None:
        with site.app.app_context():
            assert site.comments.move("p", 7).post_id == "7"
            with pytest.raises(PostError):
                site.comments.move("", "q")
        assert site.state.registry.get("7").chatroom_id == room

    def test_wrong_usage(self, site: Site) -> None:
        assert run(site, "move", "p").exit_code == 2
        empty = run(site, "move", "p", "")
        assert (empty.exit_code, "POST_ID must not be empty" in empty.stderr) == (2, True)
        assert "No chatroom is registered for the post 'nothing'" in error_of(run(site, "move", "nothing", "q"))


class TestSync:
    @pytest.fixture
    def site(self, site: Site) -> Site:
        site.comments.posts_loader(lambda: [Post("p", "Uusi päivä"), Post("none")])
        return site

    def test_a_new_title(self, site: Site, api: ChatixApi, room: str) -> None:
        first, again = run(site, "sync"), run(site, "sync")
        assert (first.exit_code, first.stdout, first.stderr) == (0, "1 retitled, 1 no chatroom\n", "")
        assert (again.exit_code, again.stdout) == (0, "1 unchanged, 1 no chatroom\n")
        assert api.get_chatroom(room).title == "Uusi päivä"

    def test_of_a_file(self, site: Site, api: ChatixApi, tmp_path: Path, room: str) -> None:
        path = tmp_path / "posts.jsonl"
        path.write_text('{"id": "p", "title": "Third"}\nnonsense\n')
        summary = run_json(site, "sync", "--from-file", str(path), status=1)
        assert (summary["retitled"], summary["failed"], summary["is_complete"]) == (1, 1, True)
        assert summary["failures"] == [{"post_id": None, "outcome": "failed", "error": "Line 2: It is not JSON."}]
        assert api.get_chatroom(room).title == "Third"

    def test_what_was_deleted_at_the_service(self, site: Site, api: ChatixApi, room: str) -> None:
        api.delete_chatroom(room)
        assert run_json(site, "sync")["retitled"] == 1
        assert site.state.registry.get("p").state is RoomState.DELETED
        api.restore_chatroom(room)
        assert run(site, "sync").exit_code == 0
        assert site.state.registry.get("p").state is RoomState.OPEN
        assert api.get_chatroom(room).title == "Uusi päivä"

    def test_a_vanished_one(self, site: Site) -> None:
        site.state.registry.link("gone", "room-gone", title="Gone", is_private=False, state=RoomState.OPEN)
        site.comments.posts_loader(lambda: [Post("gone")])
        result = run(site, "sync")
        assert (result.exit_code, result.stdout) == (1, "1 vanished\n")
        assert result.stderr.startswith("gone: The hub at http://")
        (failure,) = run_json(site, "sync", status=1)["failures"]
        assert (failure["post_id"], failure["outcome"]) == ("gone", "vanished")

    def test_interrupted_and_taken_up_again(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(20):
            site.state.rooms.ensure(Post(number, "Old"))

        def interrupted() -> Iterator[Post]:
            yield from (Post(number, "New") for number in range(10))
            raise KeyboardInterrupt

        site.comments.posts_loader(interrupted)
        result = run(site, "sync", "--json", "--concurrency", "2")
        assert result.exit_code == cli_support.INTERRUPTED
        assert json.loads(result.stdout)["is_complete"] is False
        assert result.stderr.startswith("Interrupted.")
        done = sum(entry.title == "New" for entry in site.state.registry.entries())
        assert 0 < done <= 10
        site.comments.posts_loader(lambda: [Post(number, "New") for number in range(20)])
        summary = run_json(site, "sync")
        assert (summary["unchanged"], summary["retitled"]) == (done, 20 - done)

    def test_interrupted_before_the_first_post(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupt(*_: object, **__: object) -> Iterator[SyncResult]:
            yield from ()
            raise KeyboardInterrupt

        monkeypatch.setattr(cli_upkeep, "sync_all", interrupt)
        result = run(site, "sync")
        assert (result.exit_code, result.stdout) == (130, "Nothing was looked at.\n")

    def test_progress_where_there_is_no_terminal(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli_progress, "LINE_EVERY", 2)
        site.comments.posts_loader(lambda: [Post(number) for number in range(5)])
        assert run(site, "sync").stderr == "Posts: 2 of 5\nPosts: 4 of 5\n"

    def test_in_python(self, site: Site, api: ChatixApi, room: str) -> None:
        with site.app.app_context():
            (result,) = site.comments.sync([Post("p", "One")])
            assert (result.post_id, result.outcome) == ("p", SyncOutcome.RETITLED)
            assert api.get_chatroom(room).title == "One"
            assert {result.outcome for result in site.comments.sync()} == {
                SyncOutcome.RETITLED,
                SyncOutcome.NO_CHATROOM,
            }

    def test_no_loader(self, make_site: Callable[..., Site]) -> None:
        assert error_of(run(make_site(), "sync")).startswith("posts_loader: is not registered;")


class TestCheck:
    def test_all_fits(self, site: Site) -> None:
        result = run(site, "check")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "1 post and 1 chatroom: all fits.\n", "")

    def test_one_line_for_each_trouble(self, site: Site, api: ChatixApi, room: str) -> None:
        made = api.create_chatroom("Made by\x1b[2J hand").chatroom_id
        api.delete_chatroom(room)
        result = run(site, "check", "--concurrency", "1")
        assert (result.exit_code, result.stderr) == (cli_support.TROUBLES_REMAIN, "")
        first, second = (line.split("\t") for line in result.stdout.splitlines())
        assert first[:3] == ["deleted", "p", room]
        assert first[3].startswith("It was deleted at the service, and is open in the registry. flask chatix sync")
        assert second[:3] == ["orphan", "-", made]
        assert "\x1b" not in result.stdout

    def test_as_json(self, site: Site, api: ChatixApi, room: str) -> None:
        assert run_json(site, "check")["troubles"] == []
        api.update_chatroom(room, title="Another")
        site.comments.posts_loader(lambda: [Post("p", "Title")])
        document = run_json(site, "check", status=cli_support.TROUBLES_REMAIN)
        (trouble,) = document["troubles"]
        assert (trouble["kind"], trouble["post_id"], trouble["chatroom_id"]) == ("retitled", "p", room)
        assert "'Title'" in trouble["detail"]
        assert (document["posts"], document["chatrooms"], document["failed"]) == (1, 1, 0)
        assert document["counts"]["retitled"] == 1
        assert document["is_complete"] is True

    def test_chatrooms_that_are_not_ours_can_be_left_out(self, site: Site, api: ChatixApi) -> None:
        api.create_chatroom("Our book club")
        left = api.create_chatroom(with_mark("Left by the dead", "gone")).chatroom_id
        named = api.create_chatroom("Of a post", external_id="x").chatroom_id
        document = run_json(site, "check", status=cli_support.TROUBLES_REMAIN)
        assert (len(document["troubles"]), document["ignored"]) == (3, 0)
        document = run_json(site, "check", "--ignore-unmarked", status=cli_support.TROUBLES_REMAIN)
        assert {trouble["chatroom_id"] for trouble in document["troubles"]} == {left, named}
        assert (document["chatrooms"], document["ignored"]) == (4, 1)
        api.delete_chatroom(left)
        api.delete_chatroom(named)
        assert run(site, "check", "--ignore-unmarked").exit_code == 0
        with site.app.app_context():
            assert list(site.comments.check(ignore_unmarked=True)) == []

    def test_after_sync_all_fits(self, site: Site, api: ChatixApi, room: str) -> None:
        api.update_chatroom(room, title="Another", is_closed=True)
        site.comments.posts_loader(lambda: [Post("p", "Title")])
        assert run_json(site, "check", status=3)["counts"]["closed"] == 1
        assert run(site, "sync").exit_code == 0
        assert run(site, "check").exit_code == 0

    def test_after_move_all_fits(self, site: Site) -> None:
        site.state.rooms.ensure(Post("q"))
        assert run(site, "move", "p", "q").exit_code == 0
        assert run(site, "check").exit_code == 0

    def test_interrupted(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted() -> Iterator[Post]:
            yield Post("p")
            raise KeyboardInterrupt

        site.comments.posts_loader(interrupted)
        result = run(site, "check", "--json")
        assert result.exit_code == cli_support.INTERRUPTED
        assert json.loads(result.stdout)["is_complete"] is False
        assert result.stderr.startswith("Interrupted: not all was looked at.")

    def test_nothing_is_printed_when_it_fails_at_once(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object, **__: object) -> None:
            raise ApiConnectionError("It is away.", operation="list_chatrooms")

        monkeypatch.setattr(ChatixApi, "list_chatrooms", fail)
        assert error_of(run(site, "check", "--json")) == "It is away."

    def test_what_cannot_be_looked_into(self, site: Site, room: str, monkeypatch: pytest.MonkeyPatch) -> None:
        site.state.registry.link("gone", "g", title="Gone", is_private=False, state=RoomState.OPEN)

        def fail(chatroom_id: str) -> None:
            raise ApiConnectionError("It is away.", operation="get_chatroom")

        monkeypatch.setattr(site.state.api(), "get_chatroom", fail)
        result = run(site, "check")
        assert (result.exit_code, result.stderr) == (1, "")
        assert result.stdout == "unclear\tgone\tg\tIt could not be looked into. It is away. Check again.\n"

    def test_in_python(self, site: Site, api: ChatixApi, room: str) -> None:
        with site.app.app_context():
            assert list(site.comments.check()) == []
            (trouble,) = site.comments.check([Post("p", "New")])
            assert trouble.kind is TroubleKind.RETITLED
            site.comments.posts_loader(lambda: [Post("p", "New")])
            assert [found.kind for found in site.comments.check()] == [TroubleKind.RETITLED]

    @pytest.mark.usefixtures("impatient")
    def test_without_a_hub(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        site.api.fail("/health", 503)
        assert "No hub for the website 'local' answers" in error_of(run(site, "check"))


class TestRepair:
    def test_what_is_repaired_is_said(self, site: Site, api: ChatixApi, room: str) -> None:
        api.update_chatroom(room, is_closed=True)
        result = run(site, "check", "--repair")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == (
            f"closed\tp\t{room}\tIt is read-only at the service, and open in the registry."
            " Repaired: Registry and service agree now.\n"
        )
        assert site.state.registry.get("p").state is RoomState.CLOSED
        assert run(site, "check").exit_code == 0

    def test_what_remains(self, site: Site, api: ChatixApi, room: str) -> None:
        """A second chatroom with comments, for a post that has been linked to another."""
        say(api, room)
        other = api.create_chatroom("Other").chatroom_id
        entry = site.state.registry.get("p")
        site.state.registry.unlink(entry)
        site.state.registry.link("p", other, title="Päivä", is_private=False, state=RoomState.OPEN)
        document = run_json(site, "check", "--repair", status=cli_support.TROUBLES_REMAIN)
        assert document["counts"] | {"retitled": 1, "duplicate": 1, "misnamed": 1} == document["counts"]
        assert document["repaired"] == 1
        assert [message.content for message in api.list_messages(room)] == ["Hello"]
        # By hand, as it says.
        assert run(site, "unlink", "p").exit_code == 0
        assert run(site, "link", "p", room).exit_code == 0
        assert run_json(site, "messages", "p")[0]["content"] == "Hello"

    def test_a_lost_registry_is_found_again(self, site: Site, api: ChatixApi) -> None:
        """The hub has the posts' IDs with its chatrooms."""
        for number in range(30):
            site.state.rooms.ensure(Post(number, f"Title {number}"))
        before = {entry.post_id: entry.chatroom_id for entry in site.state.registry.entries()}
        for entry in site.state.registry.entries():
            site.state.registry.unlink(entry)
        document = run_json(site, "check", "--repair")
        assert (document["counts"]["orphan"], document["repaired"]) == (31, 31)
        assert {entry.post_id: entry.chatroom_id for entry in site.state.registry.entries()} == before
        assert run(site, "check").exit_code == 0

    def test_a_lost_hub_takes_a_word_more(self, site: Site) -> None:
        for number in range(3):
            site.state.registry.link(str(number), f"x{number}", title="x", is_private=False, state=RoomState.OPEN)
        document = run_json(site, "check", "--repair", status=cli_support.TROUBLES_REMAIN)
        assert (document["counts"]["vanished"], document["repaired"]) == (3, 0)
        document = run_json(site, "check", "--repair", "--replace-all")
        assert (document["counts"]["vanished"], document["repaired"]) == (3, 3)
        assert run(site, "check").exit_code == 0

    def test_interrupted_and_taken_up_again(self, site: Site, api: ChatixApi, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(20):
            made = site.state.rooms.ensure(Post(number, f"Title {number}"))
            api.update_chatroom(str(made.chatroom_id), title="Another")
        update, done = ChatixApi.update_chatroom, []

        def interrupted(self: ChatixApi, chatroom_id: str, **changes: Any) -> Any:
            done.append(chatroom_id)
            return update(self, chatroom_id, **changes)

        monkeypatch.setattr(ChatixApi, "update_chatroom", interrupted)
        monkeypatch.setattr(cli_check, "echo", _interrupt_after(5))
        assert run(site, "check", "--repair", "--concurrency", "1").exit_code == cli_support.INTERRUPTED
        assert 5 <= len(done) < 20
        monkeypatch.undo()
        document = run_json(site, "check", "--repair")
        assert (document["repaired"], document["counts"]["retitled"]) == (20 - len(done), 20 - len(done))
        assert run(site, "check").exit_code == 0

    def test_in_python(self, site: Site, api: ChatixApi, room: str) -> None:
        api.delete_chatroom(room)
        with site.app.app_context():
            (trouble,) = site.comments.check(repair=True)
            assert (trouble.kind, trouble.is_repaired) == (TroubleKind.DELETED, True)
            assert list(site.comments.check()) == []

    def test_wrong_usage(self, site: Site) -> None:
        result = run(site, "check", "--replace-all")
        assert (result.exit_code, result.stdout) == (2, "")


def _interrupt_after(count: int) -> Callable[..., None]:
    """Return a function that is called so often before Ctrl-C is pressed."""
    left = iter(range(count))

    def echo(*_: object, **__: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return echo


class TestExportAndImport:
    """Without the hub: only the registry is asked."""

    @pytest.fixture
    def site(self, make_site: Callable[..., Site]) -> Site:
        site = make_site()
        site.state.registry.link("p", "room", title="P\u00e4iv\u00e4", is_private=True, state=RoomState.CLOSED)
        site.state.registry.visitor_id_for("ada")
        return site

    def test_from_one_database_to_another(self, site: Site, make_site: Callable[..., Site], tmp_path: Path) -> None:
        path = tmp_path / "registry.jsonl"
        result = run(site, "export", "--output", str(path))
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
        # It says who of the site's users is who.
        assert path.stat().st_mode & 0o777 == 0o600
        assert list(tmp_path.glob(".registry*")) == []
        printed = run(site, "export")
        assert printed.stdout.splitlines()[1:] == path.read_text().splitlines()[1:]
        new = make_site()
        first, again = run(new, "import", str(path)), run(new, "import", "-", input=printed.stdout)
        assert (first.exit_code, first.stdout, first.stderr) == (0, "2 rows, 2 of them new.\n", "")
        assert (again.exit_code, again.stdout) == (0, "2 rows, 0 of them new.\n")
        assert new.state.registry.get("p") == site.state.registry.get("p")
        assert new.state.registry.visitor_id_for("ada") == site.state.registry.visitor_id_for("ada")
        assert run_json(new, "import", str(path)) == {
            "chatrooms": 1,
            "visitors": 1,
            "hosted_visitors": 0,
            "added": 0,
            "kept": 0,
        }

    def test_conflicts_are_named(self, site: Site, make_site: Callable[..., Site], tmp_path: Path) -> None:
        path = tmp_path / "registry.jsonl"
        run(site, "export", "--output", str(path))
        new = make_site()
        new.state.registry.link("p", "other", title="P", is_private=False, state=RoomState.OPEN)
        new.state.registry.visitor_id_for("ada")
        result = run(new, "import", str(path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            "Line 3: The user 'ada' has another public ID here.\n"
            "Error: Nothing has been imported. Line 2: The post 'p' has the chatroom other here, and not room."
            " And 1 more.\n"
        )
        assert new.state.registry.get("p").chatroom_id == "other"

    def test_what_differs_is_said(self, site: Site) -> None:
        exported = run(site, "export").stdout
        site.state.registry.update("p", title="New")
        result = run(site, "import", "-", input=exported)
        assert (result.exit_code, result.stderr) == (
            0,
            "1 post has another title, state or privacy here: that stays.\n",
        )

    def test_another_failure_is_none_of_the_disk(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli_transfer, "export_lines", lambda *_, **__: iter([object()]))
        assert isinstance(run(site, "export").exception, TypeError)

    @pytest.mark.parametrize(
        "failure", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("disk I/O error")]
    )
    def test_a_disk_that_is_full(self, site: Site, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
        def fail(*_: object, **__: object) -> Iterator[str]:
            raise failure

        monkeypatch.setattr(cli_transfer, "export_lines", fail)
        reason = error_of(run(site, "export"))
        assert reason.startswith(("No space left on device: is the disk full, ", "disk I/O error: is the disk full, "))

    def test_an_export_that_fails_leaves_the_old_one(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "registry.jsonl"
        path.write_text("the old one")
        with site.state.registry.database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE chatix_visitors")
        # The table is known to have been there.
        result = run(site, "export", "--output", str(path))
        assert result.exit_code == 1
        assert path.read_text() == "the old one"
        assert list(tmp_path.glob(".registry*")) == []

    def test_a_folder_that_is_not_there(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "nowhere" / "registry.jsonl"
        assert error_of(run(site, "export", "--output", str(path))) == f"{path}: No such file or directory"

    def test_in_python(self, site: Site, make_site: Callable[..., Site]) -> None:
        with site.app.app_context():
            lines = list(site.comments.export_registry())
        new = make_site()
        with new.app.app_context():
            assert new.comments.import_registry(lines).added == 2
        assert new.state.registry.get("p").chatroom_id == "room"
