"""``flask chatix``: what is printed where, and the exit status."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from flask_chatix_comments import ChatixComments, Post, cli, cli_posts, cli_progress, cli_support
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.testing import HubForTests
from tests.flask_support import SECRET, Site


def run(site: Site, *arguments: str, **options: Any) -> Result:
    return site.app.test_cli_runner().invoke(args=["chatix", *arguments], **options)


def load_posts(site: Site, *posts: Post) -> None:
    site.comments.posts_loader(lambda: list(posts))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that does not answer at once does not come."""
    monkeypatch.setattr(cli_support, "HUB_START_TIMEOUT_S", 0.0)


class TestBackfill:
    def test_posts_of_the_loader(self, site: Site) -> None:
        load_posts(site, Post("a", "A"), Post(2, "Two"))
        first, second = run(site, "backfill"), run(site, "backfill")
        assert (first.exit_code, first.stdout, first.stderr) == (0, "2 created\n", "")
        assert (second.exit_code, second.stdout) == (0, "2 existing\n")
        assert len(site.api.bodies("/chatroom/create")) == 2

    def test_a_dry_run_calls_nothing(self, site: Site) -> None:
        load_posts(site, Post("a"))
        site.api.fail("/health", httpx.ConnectError("refused"))
        result = run(site, "backfill", "--dry-run")
        assert (result.exit_code, result.stdout) == (0, "1 would create\n")
        assert site.api.calls == []

    def test_no_posts(self, site: Site) -> None:
        load_posts(site)
        assert run(site, "backfill").stdout == "There are no posts.\n"

    def test_no_loader(self, site: Site) -> None:
        result = run(site, "backfill")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: posts_loader: is not registered;")

    def test_the_summary_as_json(self, site: Site) -> None:
        load_posts(site, Post("a"), Post("", "Bad"))
        result = run(site, "backfill", "--json")
        failure = {"post_id": "", "error": "A post ID must not be empty. Has the post been saved (flushed) yet?"}
        expected = {"created": 1, "existing": 0, "would_create": 0, "failed": 1, "failures": [failure]}
        assert (result.exit_code, json.loads(result.stdout)) == (1, expected)

    def test_a_failure_does_not_stop_the_others(self, site: Site) -> None:
        load_posts(site, Post("a"), Post(True), Post("b"))
        result = run(site, "backfill")
        assert (result.exit_code, result.stdout) == (1, "2 created, 1 failed\n")
        assert result.stderr == "True: A post ID is an int, a UUID or a str, not bool.\n"

    def test_what_a_terminal_would_obey_is_not_in_notes(self, site: Site) -> None:
        post_id = "a\x1b[2J\n\u202eb"
        load_posts(site, Post(post_id))
        site.api.fail("/chatroom/create", 401)
        (line,) = run(site, "backfill").stderr.splitlines()
        assert line.startswith("a [2J b: ")

    def test_an_api_that_refuses(self, site: Site) -> None:
        load_posts(site, Post("a"))
        site.api.fail("/chatroom/create", 401)
        result = run(site, "backfill")
        assert (result.exit_code, result.stdout) == (1, "1 failed\n")
        assert "401" in result.stderr
        assert site.state.keys.hub_api[0] not in result.output

    def test_an_api_that_does_not_come_back(self, site: Site) -> None:
        load_posts(site, *(Post(number) for number in range(100)))
        site.api.fail("/chatroom/create", httpx.ConnectError("refused"))
        result = run(site, "backfill", "--patience", "0", "--concurrency", "2", "--json")
        told = json.loads(result.stdout)
        assert (result.exit_code, told["created"]) == (1, 0)
        assert 1 <= told["failed"] == len(told["failures"]) <= 4
        assert result.stderr.endswith("Not all posts were tried. Run it again to go on.\n")
        site.api.faults.clear()
        site.state.api()._caller.guard._circuits.clear()
        assert run(site, "backfill").stdout == "100 created\n"

    def test_an_interruption(self, site: Site) -> None:
        @site.comments.posts_loader
        def interrupted() -> Iterator[Post]:
            yield from (Post(number) for number in range(3))
            raise KeyboardInterrupt

        result = run(site, "backfill", "--concurrency", "1")
        assert result.exit_code == 130
        assert result.stderr.endswith("Interrupted. Run it again to go on.\n")
        states = {entry.state for entry in site.state.registry.entries()}
        assert states <= {RoomState.OPEN}

    def test_progress_where_there_is_no_terminal(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cli_progress, "LINE_EVERY", 2)
        load_posts(site, *(Post(number) for number in range(5)))
        lines = run(site, "backfill", "--concurrency", "1").stderr.splitlines()
        assert [line.partition(" of ")[0] for line in lines] == ["Posts: 2", "Posts: 4"]

    def test_of_many_failures_the_document_has_the_first_ones(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cli_posts, "MAX_FAILURES", 2)
        load_posts(site, *[Post("")] * 5)
        result = run(site, "backfill", "--json")
        summary = json.loads(result.stdout)
        assert (result.exit_code, summary["failed"], len(summary["failures"])) == (1, 5, 2)
        assert len(result.stderr.splitlines()) == 5

    @pytest.mark.usefixtures("impatient")
    def test_without_a_hub(self, site: Site) -> None:
        load_posts(site, Post("a"))
        site.api.fail("/health", httpx.ConnectError("refused"))
        result = run(site, "backfill")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Error: No hub for the website 'local' answers at http://127.0.0.1:5001/v1." in result.stderr
        assert "set CHATIX_HUB_PORT" in result.stderr
        assert "set CHATIX_HUB_HOST" in result.stderr
        assert "set CHATIX_API_URL to the URL of that, with /chatix-comments/hub/v1 at its end." in result.stderr
        assert site.api.calls == []

    @pytest.mark.usefixtures("impatient")
    def test_without_a_hub_elsewhere(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_HUB_URL="https://chat.example")
        load_posts(site, Post("a"))
        site.api.fail("/health", httpx.ConnectError("refused"))
        result = run(site, "backfill")
        assert result.exit_code == 1
        assert (
            "answers at https://chat.example/v1. Start that hub (flask chatix hub), or correct CHATIX_HUB_URL"
            in result.stderr
        )

    @pytest.mark.parametrize("is_terminal", [False, True])
    def test_a_hub_that_is_starting_is_waited_for(
        self, site: Site, is_terminal: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load_posts(site, Post("a"))
        answers: Iterator[httpx.Response | Exception] = iter([httpx.ConnectError("refused")] * 3)
        up = httpx.Response(200, json={"status": "ok", "website_id": "local"})
        site.api.faults["/health"] = lambda: next(answers, up)
        site.state.api()._caller.sleep = lambda seconds: None
        told: list[str] = []
        monkeypatch.setattr(cli_support, "is_for_people", lambda: is_terminal)
        monkeypatch.setattr(cli_support, "note", told.append)
        result = run(site, "backfill")
        # cron would send it by mail each time.
        assert (result.exit_code, result.output) == (0, "1 created\n")
        assert told == ["Waiting up to 10 s for the hub at http://127.0.0.1:5001/v1 ..."] * is_terminal

    def test_the_hosted_service_has_no_hub_to_wait_for(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        site.api.fail("/health", 404)
        load_posts(site, Post("a"))
        assert run(site, "backfill").stdout == "1 created\n"

    @pytest.mark.parametrize("concurrency", ["0", "65", "x"])
    def test_wrong_usage(self, site: Site, concurrency: str) -> None:
        assert run(site, "backfill", "--concurrency", concurrency).exit_code == 2
        assert run(site, "backfill", "--format", "xml").exit_code == 2


class TestFiles:
    JSONL = '{"id": "a", "title": "Ä <b>"}\n\n{"id": 2}\n'
    CSV = 'id,title\r\na,"Ä ""x"", y"\r\n2,\r\n'

    @pytest.mark.parametrize(("content", "title"), [(JSONL, "Ä <b>"), (CSV, 'Ä "x", y')], ids=["jsonl", "csv"])
    @pytest.mark.parametrize("from_stdin", [False, True])
    def test_posts_of_a_file(self, site: Site, tmp_path: Path, content: str, title: str, from_stdin: bool) -> None:
        path = tmp_path / "posts"
        path.write_bytes(content.encode())
        if from_stdin:
            result = run(site, "backfill", "--from-file", "-", input=content.encode())
        else:
            result = run(site, "backfill", "--from-file", str(path))
        assert (result.exit_code, result.stdout, result.stderr) == (0, "2 created\n", "")
        assert {body["title"] for body in site.api.bodies("/chatroom/create")} == {title, "2"}

    def test_bad_lines_are_named_and_the_others_done(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "posts.jsonl"
        path.write_text('{"id": "a"}\nnonsense\n{"id": true}\n{"id": "b"}\n')
        result = run(site, "backfill", "--from-file", str(path), "--json")
        summary = json.loads(result.stdout)
        assert (result.exit_code, summary["created"], summary["failed"]) == (1, 2, 2)
        assert [failure["error"].split(":")[0] for failure in summary["failures"]] == ["Line 2", "Line 3"]
        assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["Line 2", "Line 3"]

    @pytest.mark.parametrize(
        ("name", "reason"), [("nothing.csv", "nothing.csv' does not exist."), (".", "is a directory.")]
    )
    def test_a_file_that_cannot_be_read(self, site: Site, tmp_path: Path, name: str, reason: str) -> None:
        result = run(site, "backfill", "--from-file", str(tmp_path / name))
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("Usage: ")
        assert result.stderr.rstrip().endswith(reason)

    def test_a_file_that_cannot_be_opened(self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("posts.csv")
            result = run(site, "backfill", "--from-file", "posts.csv")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: posts.csv: No such device or address\n"

    def test_a_file_that_is_not_utf_8(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_bytes(b"id\n\xff\xfe\n")
        result = run(site, "backfill", "--from-file", str(path))
        assert result.exit_code == 1
        assert "UTF-8" in result.stderr

    def test_the_format_can_be_said(self, site: Site, tmp_path: Path) -> None:
        path = tmp_path / "posts"
        path.write_text('{"id": "a"}\n')
        assert run(site, "backfill", "--from-file", str(path), "--format", "csv").exit_code == 1


class TestShowAndList:
    KEYS = ["post_id", "chatroom_id", "title", "is_private", "state", "created_at", "number_of_visitors"]

    @pytest.fixture
    def site(self, site: Site) -> Site:
        site.api.number_of_visitors = 3
        load_posts(site, Post("b", "Bé"), Post("a", "A", is_private=True))
        assert run(site, "backfill", "--concurrency", "1").exit_code == 0
        return site

    def test_show_as_json(self, site: Site) -> None:
        result = run(site, "show", "a", "--json")
        row = json.loads(result.stdout)
        created_at = site.state.registry.get("a").created_at.isoformat()
        assert (result.exit_code, result.stderr, list(row)) == (0, "", self.KEYS)
        assert row == {
            "post_id": "a",
            "chatroom_id": "room-2",
            "title": "A",
            "is_private": True,
            "state": "open",
            "created_at": created_at,
            "number_of_visitors": 3,
        }

    def test_show_for_people(self, site: Site) -> None:
        lines = run(site, "show", "b").stdout.splitlines()
        assert [line.split(maxsplit=1)[0] for line in lines] == self.KEYS
        assert "title               Bé" in lines
        assert "number_of_visitors  3" in lines

    def test_list_as_json_has_the_rows_of_show(self, site: Site) -> None:
        listed = json.loads(run(site, "list", "--json").stdout)
        shown = [json.loads(run(site, "show", post_id, "--json").stdout) for post_id in ("a", "b")]
        assert listed == shown

    def test_list_for_people(self, site: Site) -> None:
        assert run(site, "list").stdout == "a\troom-2\topen\tprivate\t3\tA\nb\troom-1\topen\tpublic\t3\tBé\n"

    def test_each_post_is_one_line(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        site.state.rooms.ensure(Post("a\tb\nc", "The 🌊"))
        (line,) = run(site, "list").stdout.splitlines()
        assert line.split("\t")[0] == "a b c"
        (row,) = json.loads(run(site, "list", "--json").stdout.encode("ascii"))
        assert (row["post_id"], row["title"]) == ("a\tb\nc", "The 🌊")

    def test_an_empty_registry(self, make_site: Callable[..., Site]) -> None:
        site = make_site()
        assert (run(site, "list").stdout, json.loads(run(site, "list", "--json").stdout)) == ("", [])

    @pytest.mark.parametrize("command", [["list"], ["show", "a"]])
    def test_a_hub_that_is_away_is_asked_for_once(self, site: Site, command: list[str]) -> None:
        asked: list[str] = []

        def refuse() -> Exception:
            asked.append("/health")
            return httpx.ConnectError("refused")

        site.api.faults["/health"] = refuse
        result = run(site, *command)
        assert (result.exit_code, asked) == (0, ["/health"])
        assert result.stderr.startswith("Without numbers of visitors: No hub for the website 'local' answers at ")

    @pytest.mark.parametrize("path", ["/health", "/chatroom/get", "/chatroom/list"])
    def test_without_the_api_there_are_no_numbers(self, site: Site, path: str) -> None:
        site.api.fail(path, 403)
        for arguments, expected in ((["list"], [3, 3]), (["show", "a"], [3])):
            is_away = path == "/health" or path.endswith("list" if arguments == ["list"] else "get")
            result = run(site, *arguments, "--json")
            rows = json.loads(result.stdout)
            numbers = [row["number_of_visitors"] for row in (rows if isinstance(rows, list) else [rows])]
            assert result.exit_code == 0
            assert numbers == ([None] * len(expected) if is_away else expected)
            assert ("Without numbers of visitors: " in result.stderr) == is_away
        if path == "/health":
            assert "\t?\t" in run(site, "list").stdout
            assert "number_of_visitors  ?" in run(site, "show", "a").stdout

    def test_a_hub_that_does_not_know_the_room(self, site: Site) -> None:
        site.api.fail("/chatroom/get", 404)
        result = run(site, "show", "a", "--json")
        assert (result.exit_code, json.loads(result.stdout)["number_of_visitors"]) == (0, None)
        begin = "Without numbers of visitors: The hub at http://127.0.0.1:5001/v1 does not know the chatroom room-2 of"
        assert result.stderr.startswith(begin)
        assert "CHATIX_HUB_DATABASE_URL" in result.stderr
        assert "CHATIX_API_URL" not in result.stderr

    def test_a_service_that_does_not_know_the_room(self, make_site: Callable[..., Site]) -> None:
        site = make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b")
        load_posts(site, Post("a"))
        assert run(site, "backfill").exit_code == 0
        site.api.fail("/chatroom/get", 404)
        assert "check CHATIX_API_URL" in run(site, "show", "a").stderr

    def test_a_room_that_is_being_made(self, site: Site) -> None:
        site.state.registry.claim("c", title="C", is_private=False, owner="somebody", lease_s=60)
        row = json.loads(run(site, "show", "c", "--json").stdout)
        assert (row["chatroom_id"], row["state"], row["number_of_visitors"]) == (None, "creating", None)
        assert "c\t-\tcreating\tpublic\t?\tC\n" in run(site, "list").stdout

    @pytest.mark.parametrize("state", [RoomState.CLOSED, RoomState.DELETED])
    def test_states(self, site: Site, state: RoomState) -> None:
        site.state.registry.update("a", state=state)
        assert json.loads(run(site, "show", "a", "--json").stdout)["state"] == state

    def test_a_post_that_is_not_there(self, site: Site) -> None:
        result = run(site, "show", "nothing", "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: ")
        assert len(result.stderr.splitlines()) == 1

    @pytest.mark.parametrize("post_id", ["x" * 256, "", "a\0"])
    def test_a_post_that_there_cannot_be(self, site: Site, post_id: str) -> None:
        result = run(site, "show", post_id, "--json")
        assert (result.exit_code, result.stdout) == (2, "")
        assert "Error: Invalid value: " in result.stderr
        assert "flushed" not in result.stderr

    def test_what_a_terminal_would_obey_is_not_shown(self, site: Site) -> None:
        post_id = "a\x1b[2J\n\u202eb"
        site.state.registry.claim(post_id, title="t\x9b\nu", is_private=False, owner="somebody", lease_s=60)
        lines = run(site, "show", post_id).stdout.splitlines()
        assert len(lines) == len(self.KEYS)
        assert "post_id             a [2J b" in lines
        assert "title               t u" in lines

    def test_wrong_usage(self, site: Site) -> None:
        assert run(site, "show").exit_code == 2
        assert run(site, "nothing").exit_code == 2


def test_a_database_that_cannot_be_used(site: Site) -> None:
    folder = Path(site.app.instance_path)
    folder.mkdir()
    (folder / "chatix_comments.sqlite3").write_text("this is no database, " * 100)
    result = run(site, "list")
    assert result.exit_code == 1
    assert "CHATIX_DATABASE_URL" in result.stderr


def test_with_the_real_hub(make_site: Callable[..., Site], chatix_hub: HubForTests) -> None:
    site = make_site(extension=ChatixComments(), **chatix_hub.settings)
    load_posts(site, *(Post(number, f"Post {number}") for number in range(20)))
    assert run(site, "backfill").stdout == "20 created\n"
    assert run(site, "backfill").stdout == "20 existing\n"
    rows = json.loads(run(site, "list", "--json").stdout)
    assert len({row["chatroom_id"] for row in rows}) == 20
    assert {row["number_of_visitors"] for row in rows} == {0}
    assert json.loads(run(site, "show", "7", "--json").stdout)["title"] == "Post 7"


@pytest.fixture
def blog(tmp_path: Path) -> Path:
    (tmp_path / "blog.py").write_text(
        "from flask import Flask\n"
        "from flask_chatix_comments import ChatixComments, Post\n"
        f"app = Flask('blog', instance_path={str(tmp_path / 'instance')!r})\n"
        f"app.secret_key = {SECRET!r}\n"
        "app.config.from_prefixed_env()\n"
        "comments = ChatixComments(app)\n"
        "comments.posts_loader(lambda: [Post(number) for number in range(3)])\n"
    )
    return tmp_path


def test_a_bar_on_a_terminal(blog: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "flask", "--app", "blog", "chatix", "backfill", "--dry-run"]
    process = subprocess.run(command, cwd=blog, stdout=subprocess.PIPE, stderr=slave, check=True, env=os.environ)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert process.stdout == b"3 would create\n"
    assert "3/3" in shown


def test_a_list_on_a_terminal_has_a_header(blog: Path) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "flask", "--app", "blog", "chatix", "list"]
    # A hosted site waits for no hub; nobody listens on this port.
    settings = {
        "FLASK_CHATIX_WEBSITE_ID": "a",
        "FLASK_CHATIX_API_KEY": "b",
        "FLASK_CHATIX_API_URL": "http://127.0.0.1:9/v1",
        "FLASK_CHATIX_API_TIMEOUT": "0.1",
    }
    subprocess.run(command, cwd=blog, stdout=slave, stderr=subprocess.PIPE, check=True, env=os.environ | settings)
    os.close(slave)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert shown.split() == list(cli.LIST_HEADER)
