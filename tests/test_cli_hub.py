"""``flask chatix hub``: in a process of its own, with the settings of the site."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import Result

from flask_chatix_comments import cli_hub
from flask_chatix_comments.errors import HubPortError
from flask_chatix_comments.hub import log_setup, server
from flask_chatix_comments.hub.service import ChatService
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Chatroom, Message, MessageType, Post, SenderFlag
from tests.flask_support import Site

BLOG = """
from flask import Flask
from flask_chatix_comments import ChatixComments

app = Flask(__name__, instance_path={data!r})
app.config.from_prefixed_env()
app.config["SECRET_KEY"] = "a key of the tests, 32 bytes or so"
ChatixComments(app)
"""
DEADLINE_S = 30.0


class HubProcess:
    """The command, started; what it says is in ``stdout`` and ``stderr``."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        (folder / "blog.py").write_text(BLOG.format(data=str(folder / "instance")))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "CHATIX_"))}
        own = {f"FLASK_{name}": value for name, value in settings.items()}
        command = [sys.executable, "-W", "error", "-m", "flask", "--app", "blog", "chatix", "hub", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env=kept | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        """Return the first line on stdout, which comes when it listens."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.end()
        return line

    def note(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def end(self, how: signal.Signals | None = None) -> tuple[int, str]:
        """Return the exit status and the rest of stderr."""
        if how is not None:
            self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors


@pytest.fixture
def run_hub(tmp_path: Path) -> Iterator[Callable[..., HubProcess]]:
    started: list[HubProcess] = []

    def run(*options: str, **settings: str) -> HubProcess:
        started.append(HubProcess(tmp_path, *options, **settings))
        return started[-1]

    yield run
    for hub in started:
        if hub.process.poll() is None:
            hub.end(signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_it_says_where_it_listens_and_ends_within_seconds(
    run_hub: Callable[..., HubProcess], how: signal.Signals, tmp_path: Path
) -> None:
    hub = run_hub("--port", "0", "--json")
    said = json.loads(hub.line())
    assert (said["website_id"], said["pid"]) == ("local", hub.process.pid)
    assert httpx.get(f"{said['url']}/health").json() == {"status": "ok", "website_id": "local"}
    assert (tmp_path / "instance" / "chatix_hub.sqlite3").is_file()
    started = time.monotonic()
    status, errors = hub.end(how)
    assert time.monotonic() - started < 8
    assert (status, errors) == (0, "")


def test_what_it_says_to_people(run_hub: Callable[..., HubProcess]) -> None:
    hub = run_hub("--port", "0", "--host", "::1", CHATIX_HUB_WEBSITE_ID="my-blog")
    first = hub.note()
    if "cannot listen on ::1" in first:
        pytest.skip("this machine has no IPv6")
    assert first.startswith("The hub for the website 'my-blog' listens on http://[::1]:")
    assert hub.note().startswith("CHATIX_HUB_URL is not set: ")


def test_the_settings_say_where_unless_the_options_do(run_hub: Callable[..., HubProcess]) -> None:
    hub = run_hub(CHATIX_HUB_PORT="0", CHATIX_HUB_HOST="127.0.0.2", CHATIX_HUB_URL="https://chat.example")
    assert hub.note().startswith("The hub for the website 'local' listens on http://127.0.0.2:")
    # Nothing else is said: the site will find it.
    assert hub.end(signal.SIGTERM)[1] == ""


def test_its_log_is_json_from_the_first_line_to_the_last(run_hub: Callable[..., HubProcess]) -> None:
    hub = run_hub("--port", "0", "--json", CHATIX_HUB_LOG_FORMAT="json", CHATIX_HUB_METRICS_KEY="a-key-of-metrics")
    url = json.loads(hub.line())["url"]
    answer = httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer a-key-of-metrics"})
    assert "chatix_hub_ready 1.0" in answer.text
    status, errors = hub.end(signal.SIGTERM)
    first, *lines = map(json.loads, errors.splitlines())
    assert status == 0
    assert first["message"].startswith(f"The hub for the website 'local' listens on {url} ")
    assert [line["operation"] for line in lines] == ["/metrics"]


def test_one_database_has_one_hub(run_hub: Callable[..., HubProcess]) -> None:
    first = run_hub("--port", "0", "--json")
    first.line()
    second = run_hub("--port", "0")
    status, errors = second.end()
    assert status == 1
    assert "Another process runs the hub already" in errors
    assert "end it first" in errors
    # However the first one ends, the next one can start.
    first.end(signal.SIGKILL)
    assert json.loads(run_hub("--port", "0", "--json").line())["url"]


def test_a_port_that_is_taken(run_hub: Callable[..., HubProcess]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        status, errors = run_hub("--port", str(port)).end()
    assert status == 1
    assert errors.startswith(f"Error: The built-in hub cannot listen on 127.0.0.1 port {port}: ")
    assert errors.endswith(" The option is --port, the setting CHATIX_HUB_PORT.\n")


def test_a_database_that_cannot_be_used(run_hub: Callable[..., HubProcess], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, " * 100)
    hub = run_hub("--port", "0", CHATIX_HUB_DATABASE_URL=f"sqlite:///{tmp_path / 'text'}")
    status, errors = hub.end()
    assert status == 1
    assert errors.startswith("Error: The built-in hub cannot start.")
    assert errors.endswith(" file is not a database. The setting is CHATIX_HUB_DATABASE_URL.\n")


# What needs no process


def run(site: Site, *arguments: str) -> Result:
    return site.app.test_cli_runner().invoke(args=["chatix", "hub", *arguments])


@pytest.mark.parametrize("named", [(), ("run",)], ids=["unnamed", "named"])
@pytest.mark.parametrize("options", [(), ("--port", "7"), ("--host", "::1", "--json")])
def test_it_is_run_when_no_other_command_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, named: tuple[str, ...], options: tuple[str, ...]
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(server, "run_hub", lambda _, **arguments: given.update(arguments))
    result = run(site, *named, *options)
    assert (result.exit_code, result.output) == (0, "")
    asked = dict(zip(options[::2], (*options[1::2], ""), strict=False))
    assert given["host"] == asked.get("--host", "127.0.0.1")
    assert given["port"] == int(asked.get("--port", 5001))


@pytest.mark.parametrize(
    ("settings", "options", "expected"),
    [
        ({}, (), None),
        ({}, ("--log-level", "error"), None),
        ({"CHATIX_HUB_LOG_FORMAT": "json"}, (), ("json", "info")),
        ({"CHATIX_HUB_LOG_FORMAT": "json", "CHATIX_HUB_LOG_LEVEL": "warning"}, (), ("json", "warning")),
        ({"CHATIX_HUB_LOG_FORMAT": "json"}, ("--log-format", "text", "--log-level", "error"), ("text", "error")),
        ({}, ("--log-format", "json"), ("json", "info")),
    ],
)
def test_options_go_before_the_settings_of_the_log(
    make_site: Callable[..., Site],
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    options: tuple[str, ...],
    expected: tuple[str, str] | None,
) -> None:
    set_up: list[tuple[str, str]] = []
    logged: list[bool] = []
    monkeypatch.setattr(log_setup, "set_up_log", lambda *arguments: set_up.append(arguments))
    monkeypatch.setattr(server, "run_hub", lambda config, **_: logged.append(config.logs_requests))
    assert run(make_site(**settings), *options).exit_code == 0
    assert set_up == ([] if expected is None else [expected])
    assert logged == [expected is not None]


def test_a_start_that_fails_is_said_in_the_log_where_there_is_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise HubPortError("The port is taken.", port=1)

    monkeypatch.setattr(log_setup, "set_up_log", lambda *_: None)
    monkeypatch.setattr(server, "run_hub", fail)
    result = run(site, "--log-format", "json")
    assert (result.exit_code, result.output) == (1, "")
    assert caplog.messages == ["The port is taken. The option is --port, the setting CHATIX_HUB_PORT."]


def test_help_tells_of_all_its_commands(site: Site) -> None:
    assert "run" in run(site, "--help").stdout.partition("Commands:")[2].split()


def test_a_hub_that_cannot_start_is_a_failure(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("no chatroom is as it should be")

    monkeypatch.setattr(ChatService, "start", fail)
    result = run(site, "--port", "0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: The built-in hub has failed. The log has the details.\n"


def test_the_hosted_service_has_no_hub_to_run(make_site: Callable[..., Site]) -> None:
    result = run(make_site(CHATIX_WEBSITE_ID="a", CHATIX_API_KEY="b"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: The site uses the hosted service: there is no hub to run.")


def test_packages_that_are_missing(make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_hub, "missing_hub_packages", lambda: ["uvicorn"])
    result = run(make_site(CHATIX_HUB_URL="https://chat.example"))
    assert result.exit_code == 1
    assert "uvicorn not installed; run pip install 'flask-chatix-comments[hub]'" in result.stderr


@pytest.mark.parametrize(
    "options",
    [("--port", "65536"), ("--port", "http"), ("--porter", "1"), ("--log-format", "xml"), ("stray",), ("run", "it")],
)
def test_wrong_usage(site: Site, options: tuple[str, ...]) -> None:
    assert run(site, *options).exit_code == 2


@pytest.mark.parametrize("host", ["host.invalid", "203.0.113.1"])
def test_an_address_that_is_not_ours(site: Site, host: str) -> None:
    result: Any = run(site, "--host", host)
    assert result.exit_code == 1
    assert f"cannot listen on {host}: " in result.stderr
    assert "Traceback" not in result.output


# Backup and restore


def test_a_running_hub_is_backed_up_and_only_a_stopped_one_restored(
    run_hub: Callable[..., HubProcess], make_site: Callable[..., Site], tmp_path: Path
) -> None:
    hub = run_hub("--port", "0", "--json")
    hub.line()
    site = make_site(CHATIX_HUB_DATABASE_URL=f"sqlite:///{tmp_path / 'instance' / 'chatix_hub.sqlite3'}")
    target = tmp_path / "backup.tar"
    result = run(site, "backup", str(target))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{target} has 0 chatrooms, 0 comments and 0 files, as of 20")
    again = run(site, "backup", str(target))
    assert (again.exit_code, again.stderr) == (
        1,
        f"Error: {target} exists. Give another name, or --force to replace it.\n",
    )
    said = json.loads(run(site, "backup", str(target), "--force", "--json").stdout)
    assert said.keys() == {"format", "website_id", "made_at", "schema_version", "chatrooms", "messages", "files"}

    refused = run(site, "restore", str(target), "--force")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: Another process runs the hub already")
    assert refused.stderr.endswith(" End it first, and start it again afterwards.\n")
    hub.end(signal.SIGTERM)
    assert json.loads(run(site, "restore", str(target), "--json").stdout) == said
    (tmp_path / "text").write_text("hello")
    bad = run(site, "restore", str(tmp_path / "text"))
    assert (bad.exit_code, bad.stderr) == (
        1,
        f"Error: {tmp_path / 'text'} is not whole, or no backup of a hub. Take another one.\n",
    )


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_hosted_service_keeps_its_data_itself(make_site: Callable[..., Site], command: str, tmp_path: Path) -> None:
    site = make_site(CHATIX_WEBSITE_ID="w", CHATIX_API_KEY="k")
    result = run(site, command, str(tmp_path / "backup.tar"))
    assert result.exit_code == 1
    assert "The site uses the hosted service" in result.stderr


# How much there is, and one chatroom


@pytest.fixture
def full_site(make_site: Callable[..., Site], tmp_path: Path) -> Site:
    """A site whose hub does not run, and has a chatroom of the post "swifts" with two comments."""
    url = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    site = make_site(CHATIX_HUB_DATABASE_URL=url)
    site.api.fail("/visitor/crowd", httpx.ConnectError("nobody"))
    room = site.state.rooms.ensure(Post("swifts", "Swifts")).chatroom_id
    assert room is not None

    async def fill() -> None:
        store = SqlStore(url)
        store.open()
        now = datetime(2026, 1, 2, tzinfo=UTC)
        await store.create_chatroom(Chatroom(room, "Swifts"), now=now)
        for number in (1, 2):
            draft = Message(f"m{number}", room, MessageType.TEXT, SenderFlag.VISITOR, "ada", now, f"Comment {number}")
            await store.append_message(draft, now=now)
        await store.close()

    asyncio.run(fill())
    return site


def test_what_there_is_is_counted(full_site: Site) -> None:
    figures = json.loads(run(full_site, "stats", "--json").stdout)
    counted = {name: figures[name] for name in ("chatrooms", "messages", "files", "is_running", "connections")}
    assert counted == {"chatrooms": 1, "messages": 2, "files": 0, "is_running": False, "connections": None}
    assert figures["database_bytes"] > 0 and figures["free_bytes"] > 0
    full_site.api.faults["/visitor/crowd"] = lambda: httpx.Response(200, json={"connections": 3, "visitors": 2})
    lines = dict(line.split(maxsplit=1) for line in run(full_site, "stats").stdout.splitlines())
    assert (lines["messages"], lines["is_running"], lines["connections"], lines["online_visitors"]) == (
        *("2", "yes"),
        *("3", "2"),
    )
    assert lines["database_bytes"].endswith(" MB")
    assert lines["files_free_bytes"] == "?"


def test_a_chatroom_is_printed_in_full(full_site: Site) -> None:
    result = run(full_site, "export-room", "swifts")
    assert (result.exit_code, result.stderr) == (0, "")
    head, *comments, end = map(json.loads, result.stdout.splitlines())
    assert (head["kind"], head["post_id"], head["title"]) == ("chatroom", "swifts", "Swifts")
    assert [(one["kind"], one["content"], one["seq"]) for one in comments] == [
        ("message", "Comment 1", 1),
        ("message", "Comment 2", 2),
    ]
    assert end == {"kind": "end", "messages": 2}
    document = json.loads(run(full_site, "export-room", "swifts", "--json").stdout)
    assert document["chatroom"] | {"kind": "chatroom", "post_id": "swifts"} == head
    assert [one["content"] for one in document["messages"]] == ["Comment 1", "Comment 2"]


def test_a_chatroom_that_is_not_there(full_site: Site) -> None:
    unknown = run(full_site, "export-room", "nothing")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    full_site.state.rooms.ensure(Post("only-registered"))
    missing = run(full_site, "export-room", "only-registered")
    assert missing.exit_code == 1
    assert "Error: The hub has no chatroom " in missing.stderr
