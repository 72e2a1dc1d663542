"""The documents say what the code does: settings, operations, commands, links, and code that runs."""

from __future__ import annotations

import argparse
import ast
import configparser
import contextlib
import json
import logging
import operator
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template
from types import SimpleNamespace
from typing import Any

import click
import gunicorn.config  # type: ignore[import-untyped]  # it carries no types
import httpx
import pytest
from bs4 import BeautifulSoup
from flask import Flask, render_template_string
from uvicorn.main import main as uvicorn_command

from flask_chatix_comments import ChatixComments
from flask_chatix_comments.cli import chatix
from flask_chatix_comments.cli_hub import hub
from flask_chatix_comments.config import SETTINGS, ChatixConfig
from flask_chatix_comments.extension import get_state
from flask_chatix_comments.hub.log_setup import JsonFormatter
from flask_chatix_comments.hub.multipart import MAX_OVERHEAD_BYTES
from flask_chatix_comments.hub.server import HubThread
from flask_chatix_comments.hub.watched import request_id
from flask_chatix_comments.hub.web_protocols import HttpProtocol, WebSocketProtocol
from flask_chatix_comments.hub.web_server import SHUTDOWN_S
from flask_chatix_comments.operations import OPERATIONS, merge_operations
from flask_chatix_comments.room_findings import TroubleKind
from flask_chatix_comments.sweep import GRACE_S, TIME_LIMIT_S
from flask_chatix_comments.testing import HubForTests
from flask_chatix_comments.wire import HubEvent, HubMethod
from tests.documents import blocks, run
from tests.flask_support import Site
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
HOSTED = (ROOT / "docs/hosted-service.md").read_text()
EXTENSIONS = (ROOT / "docs/hub-extensions.md").read_text()
HUB_REST = (ROOT / "docs/hub-rest.md").read_text()
OPENAPI = json.loads((ROOT / "docs/hub-openapi.json").read_text())
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

BLOG_WITH_FACTORY = """
from flask import Flask
from flask_chatix_comments import ChatixComments


def create_app(settings):
    app = Flask(__name__)
    app.config.update(settings)
    ChatixComments(app)
    return app
"""


def rows(text: str, first_cell: str) -> Iterator[list[str]]:
    """Yield the cells of the table rows whose first cell matches *first_cell*."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(first_cell, cells[0]):
            yield cells


# Settings


def test_every_setting_is_in_the_readme_in_the_order_of_the_code() -> None:
    assert [cells[0].strip("`") for cells in rows(README, "`CHATIX_[A-Z_]+`")] == list(SETTINGS)


def test_every_custom_property_is_in_the_readme_and_in_the_style_and_no_other() -> None:
    names = re.compile(r"--chatix-[a-z-]+")
    rows = re.findall(r"^\| (`--chatix-.*?) \|", README, re.MULTILINE)
    documented = sorted(names.findall(" ".join(rows)))
    styles = [path.read_text() for path in (ROOT / "browser").glob("*.css")]
    used = {name for text in styles for name in re.findall(r"var\((--chatix-[a-z-]+)", text)}
    assert documented == sorted(used)
    assert {name for path in DOCUMENTS for name in names.findall(path.read_text())} == used


def test_the_page_for_those_without_javascript_is_extended_as_the_document_says(tmp_path: Path) -> None:
    (template,) = blocks((ROOT / "docs/at-home.md").read_text(), "jinja")
    place = tmp_path / "templates/chatix_comments/page.html"
    place.parent.mkdir(parents=True)
    place.write_text(template)
    app = Flask("blog", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    app.config.update(TESTING=True, SECRET_KEY="secret", CHATIX_API_URL="http://127.0.0.1:1/v1")
    ChatixComments(app)
    html = app.test_client().get("/chatix-comments/thread?post=out-of-date").text
    page = BeautifulSoup(html, "html.parser")
    assert page.select_one("nav > a")
    assert [str(link["href"]) for link in page.select("link")][-1] == "/static/site.css"
    assert page.select_one("main.chatix-page")


def test_no_document_names_a_setting_that_there_is_not() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"\bCHATIX_[A-Z_]*[A-Z]\b", path.read_text())}
    assert named == set(SETTINGS)


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("CHATIX_API_AUTH_HEADER", "api_auth_header"),
        ("CHATIX_API_TIMEOUT", "api_timeout_s"),
        ("CHATIX_CREATE", "create"),
        ("CHATIX_SDK", "sdk"),
        ("CHATIX_URL_PREFIX", "url_prefix"),
        ("CHATIX_HUB_PORT", "hub_port"),
        ("CHATIX_HUB_WEBSITE_ID", "website_id"),
        ("CHATIX_HUB_LOG_LEVEL", "hub_log_level"),
        ("CHATIX_MAX_LENGTH", "max_message_chars"),
        ("CHATIX_PAGE_SIZE", "page_size"),
        ("CHATIX_EDIT_WINDOW", "edit_window_s"),
        ("CHATIX_HUB_RESTORE_DAYS", "hub_restore_days"),
        ("CHATIX_HUB_COMMENT_DAYS", "retention.comment_days"),
        ("CHATIX_HUB_FILE_DAYS", "retention.file_days"),
        ("CHATIX_HUB_ROOM_DAYS", "retention.room_days"),
        ("CHATIX_HUB_VISITOR_DAYS", "retention.visitor_days"),
        ("CHATIX_MAX_FILES", "files.max_files"),
        ("CHATIX_MAX_FILE_BYTES", "files.max_bytes"),
        ("CHATIX_MAX_IMAGE_PIXELS", "files.max_image_pixels"),
        ("CHATIX_FILES_PER_HOUR", "files.per_hour"),
        ("CHATIX_BYTES_PER_HOUR", "files.bytes_per_hour"),
        ("CHATIX_GUEST_COOKIE", "guest_cookie"),
    ],
)
def test_defaults_are_those_of_the_code(key: str, attribute: str) -> None:
    config = ChatixConfig.from_mapping({"SECRET_KEY": "b7" * 20 + "documents"})
    ((_, default, _),) = rows(README, f"`{key}`")
    value = operator.attrgetter(attribute)(config)
    assert default == f"`{value:g}`" if isinstance(value, float) else default == f"`{value}`"


# Operations


def test_the_table_of_operations_is_that_of_the_code() -> None:
    expected = [
        [
            f"`{row.name}`",
            f"`{row.method} {row.path}`",
            ", ".join(f"`{theirs}`" for ours, theirs in row.query.items() if ours != "website_id"),
            ", ".join(f"`{theirs}`" for theirs in row.body.values()),
            "yes" if row.is_repeatable else "no",
        ]
        for row in OPERATIONS.values()
    ]
    assert [cells for cells in rows(HOSTED, "`[a-z_]+`") if len(cells) == 5] == expected


def test_the_example_of_corrected_rows_is_accepted() -> None:
    (code,) = blocks(HOSTED, "python")
    (assignment,) = ast.parse(code).body
    assert isinstance(assignment, ast.Assign)
    overrides = ast.literal_eval(assignment.value)
    table = merge_operations(overrides)
    assert "chatroom_id" not in table["get_chatroom"].query
    assert (table["create_chatroom"].method, table["create_chatroom"].body["title"]) == ("PUT", "name")
    in_environment = {"SECRET_KEY": "b7" * 20 + "documents", "CHATIX_API_OPERATIONS": json.dumps(overrides)}
    assert ChatixConfig.from_mapping(in_environment).api_operations == overrides


def test_the_parts_of_a_row_are_those_of_the_code() -> None:
    parts = [cells[0].strip("`") for cells in rows(HOSTED, "`[a-z_]+`") if len(cells) == 2]
    assert parts == [name for name in OPERATIONS["get_chatroom"].__slots__ if name != "name"]


# The hub's REST API


def test_the_operations_of_the_hub_are_those_of_its_description() -> None:
    described = [
        [f"`{method.upper()} {path}`", operation["summary"]]
        for path, methods in OPENAPI["paths"].items()
        for method, operation in methods.items()
    ]
    assert list(rows(HUB_REST, "`(GET|POST) .*`")) == described


def test_the_refusals_of_the_hub_are_those_of_its_description() -> None:
    statuses = {
        status
        for methods in OPENAPI["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    # Starlette answers 405 for all of them.
    assert [cells[0] for cells in rows(HUB_REST, "[0-9]{3}")] == sorted(statuses - {"200"} | {"405"})


def test_the_example_requests_are_in_the_description() -> None:
    commands, upload = blocks(HUB_REST, "console")
    url = r"http://127\.0\.0\.1:5001/v1(/[a-z/-]+)"
    paths = re.findall(url, commands)
    assert paths
    assert set(paths) <= set(OPENAPI["paths"])
    # The SDK's own, and no part of the API.
    assert re.findall(url, upload) == ["/file/save"]
    assert OPENAPI["servers"][0]["url"] == "http://127.0.0.1:5001/v1"


def test_the_example_requests_do_what_is_said(chatix_hub: HubForTests, tmp_path: Path) -> None:
    key, website_id = (chatix_hub.settings[name] for name in ("CHATIX_HUB_API_KEY", "CHATIX_HUB_WEBSITE_ID"))
    list_rooms, make_room, upload = (
        line.replace("http://127.0.0.1:5001/v1", chatix_hub.url).replace("websiteId=local", f"websiteId={website_id}")
        for block in blocks(HUB_REST, "console")
        for line in block.replace("\\\n", "").splitlines()
    )
    made = curl(make_room, KEY=key)
    assert made["title"] == "Made by hand"
    assert [room["id"] for room in curl(list_rooms, KEY=key)["items"]] == [made["id"]]
    chatix_hub.api.connect_visitor(made["id"], "g-1")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF-1.7 notes")
    ticket = chatix_hub.sign_ticket("g-1")
    answer = curl(upload, folder=tmp_path, TICKET=ticket, ROOM=made["id"])
    assert (answer["fileName"], answer["fileSize"]) == ("notes.pdf", 14)
    assert httpx.get(answer["fileUrl"]).content == b"%PDF-1.7 notes"


def curl(line: str, *, folder: Path | None = None, **variables: str) -> Any:
    """Do what a curl command does that needs no more than -H, -d and -F; return the JSON that comes."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("url")
    for name in ("-H", "-d", "-F"):
        parser.add_argument(name)
    program, *words = shlex.split(Template(line).substitute(variables))
    assert program == "curl"
    options = parser.parse_args(words)
    headers = dict([options.H.split(": ")]) if options.H else {}
    if options.F and folder:
        field, path, media_type = re.fullmatch("(.*)=@(.*);type=(.*)", options.F).groups()  # type: ignore[union-attr]
        files = {field: (path, (folder / path).read_bytes(), media_type)}
        answer = httpx.post(options.url, files=files, headers=headers)
    elif options.d:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = httpx.post(options.url, content=options.d, headers=headers)
    else:
        answer = httpx.get(options.url, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


# The hub's extensions


def test_the_extensions_that_are_described_are_the_hubs() -> None:
    named = [name for cells in rows(EXTENSIONS, "`[A-Z].*") for name in re.findall(r"`([A-Z]\w+)`", cells[0])]
    known = {str(name) for name in [*HubMethod, *HubEvent]}
    assert len(named) == len(set(named)) >= 9
    assert [name for name in named if name not in known] == []


# Command line


def options_of(command: str) -> set[str]:
    return {spelling for parameter in chatix.commands[command].params for spelling in parameter.opts}


def test_every_command_is_in_the_readme_and_has_the_options_named_there() -> None:
    (_, commands, _) = blocks(README, "console")
    named = re.findall(r"^flask chatix (\S+)(.*?)(?:  +#.*)?$", commands, re.MULTILINE)
    assert {name for name, _ in named} == set(chatix.commands)
    for name, rest in named:
        assert set(re.findall(r"--[a-z-]+", rest)) <= options_of(name)
    assert {"--dry-run", "--concurrency", "--from-file"} <= options_of("backfill")
    single = {name for name, command in chatix.commands.items() if not isinstance(command, click.Group)}
    assert all("--json" in options_of(name) for name in single)
    groups = [command for command in chatix.commands.values() if isinstance(command, click.Group)]
    within = [command for group in groups for command in group.commands.values()]
    assert all(any("--json" in parameter.opts for parameter in command.params) for command in within)
    assert re.findall(r"^flask chatix db (\S+)", commands, re.MULTILINE) == ["upgrade"]


def test_the_troubles_that_are_described_are_those_that_check_finds() -> None:
    text = (ROOT / "docs/command-line.md").read_text()
    kinds = [kind for cells in rows(text, "`[a-z`, ]+`") for kind in re.findall(r"`([a-z]+)`", cells[0])]
    assert sorted(kinds) == sorted(TroubleKind)


def test_the_commands_for_the_demo_and_the_smallest_app_work_as_they_stand(tmp_path: Path) -> None:
    (*_, commands) = blocks(README, "console")
    smallest, demo = commands.splitlines()
    (tmp_path / "blog.py").write_text(blocks(README, "python")[0])
    assert flask_answers(smallest, tmp_path, tmp_path)
    assert not flask_answers(smallest.replace(" --debug", ""), tmp_path, tmp_path)
    assert flask_answers(demo, ROOT, tmp_path)


def flask_answers(line: str, folder: Path, data: Path) -> bool:
    """Whether the command on *line* is found in the site, which is loaded for that."""
    before, command = re.split(r"(?:\.venv/bin/)?flask ", line, maxsplit=1)
    own = dict(variable.split("=", 1) for variable in before.split())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "CHATIX_"))}
    arguments = [sys.executable, "-m", "flask", *command.split(), "--help"]
    environment = kept | own | {"DEMO_DATA": str(data / "instance")}
    result = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    return result.returncode == 0 and "--json" in result.stdout


@pytest.mark.parametrize(
    ("variables", "environment"),
    [
        ([], "PORT=5000"),
        (["PORT=5600", "HUB_PORT=5601"], "PORT=5600"),
        (["PORT=5600", "HUB_PORT=5700"], "PORT=5600 HUB_PORT=5700"),
        (["DEMO_DATA=other data"], "PORT=5000 DEMO_DATA='other data'"),
    ],
)
def test_the_demo_prints_the_command_that_finds_it(variables: list[str], environment: str) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    set_by_make = ("PORT", "HUB_PORT", "DEMO_DATA", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL")
    clean = {name: value for name, value in os.environ.items() if name not in set_by_make}
    command = [make, "--dry-run", "--no-print-directory", "demo", *variables]
    result = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True)
    (line,) = re.findall(r"Its commands: +(.*)\"", result.stdout)
    assert line == f"{environment} .venv/bin/flask --app example_site chatix list"


# Ways to run it


UNITS = [
    unit
    for name in ("running-hub-process.md", "running-mounted.md")
    for unit in blocks((ROOT / "docs" / name).read_text(), "ini")
    if "[Unit]" in unit
]
SWEEP, TIMER = blocks((ROOT / "docs/command-line.md").read_text(), "ini")
#: The programs of the unit files, and the options that each of them knows.
PROGRAMS = {
    "flask": {spelling for parameter in hub.commands["run"].params for spelling in parameter.opts},
    "uvicorn": {spelling for parameter in uvicorn_command.params for spelling in parameter.opts},
    "gunicorn": {spelling for setting in gunicorn.config.KNOWN_SETTINGS for spelling in setting.cli or ()},
}


def parse_unit(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the library documents it
    unit.read_string(text.replace("\\\n", ""))
    return unit


@pytest.mark.parametrize("text", UNITS)
def test_unit_files_start_what_there_is(text: str) -> None:
    unit = parse_unit(text)
    assert unit.sections() == ["Unit", "Service", "Install"]
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program.startswith("/srv/blog/.venv/bin/")
    known = PROGRAMS[Path(program).name] | {"--app"}
    assert {argument for argument in arguments if argument.startswith("--")} <= known
    assert int(unit["Service"]["TimeoutStopSec"]) > SHUTDOWN_S


def test_the_timer_starts_a_sweep_with_the_settings_of_the_site(tmp_path: Path) -> None:
    unit, timer = parse_unit(SWEEP), parse_unit(TIMER)
    assert (unit.sections(), timer.sections()) == (["Unit", "Service"], ["Unit", "Timer", "Install"])
    service = unit["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert (program, arguments) == ("/srv/blog/.venv/bin/flask", ["--app", "blog", "chatix", "sweep"])
    assert int(service["TimeoutStartSec"]) > GRACE_S + TIME_LIMIT_S
    # The line for cron says the same.
    (line,) = re.findall(r"^(?:\S+ ){5} cd /srv/blog && (.*)$", README, re.MULTILINE)
    assert re.sub("/etc/[a-z.]+", service["EnvironmentFile"], line) == line
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/flask").symlink_to(Path(sys.executable).with_name("flask"))
    code, environment = (
        blocks((ROOT / "docs/running-hub-process.md").read_text(), language)[0] for language in ("python", "ini")
    )
    (tmp_path / "blog.py").write_text(code)
    port = free_port()
    settings = {"FLASK_SECRET_KEY": secrets.token_hex(32), "FLASK_CHATIX_API_URL": f"http://127.0.0.1:{port}/v1"}
    names = re.findall(r"^(\w+)=", environment, re.MULTILINE)
    (tmp_path / "blog.env").write_text(
        "".join(f"{name}={settings.get(name, 'http://127.0.0.1:1')}\n" for name in names)
    )
    line = line.replace("/etc/blog.env", "./blog.env")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "CHATIX_"))}
    with running_hub_of(tmp_path, settings, port):
        result = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@contextlib.contextmanager
def running_hub_of(folder: Path, settings: dict[str, str], port: int) -> Iterator[None]:
    """Run the hub of a site with these settings."""
    app = Flask("blog", instance_path=str(folder / "instance"))
    app.config.update({name.removeprefix("FLASK_"): value for name, value in settings.items()})
    ChatixComments(app)
    state = get_state(app)
    thread = HubThread(state.hub_config(), host="127.0.0.1", port=port, lock_path=folder / "hub.lock")
    thread.start()
    try:
        assert thread.wait_ready(20), thread.error
        yield
    finally:
        thread.stop()
        state.close()


def test_unit_files_are_hardened_alike() -> None:
    services = [dict(parse_unit(text)["Service"]) for text in [*UNITS, SWEEP]]
    assert len(services) == 4
    own = {"ExecStart", "TimeoutStopSec", "KillMode", "LimitNOFILE"} | {
        *("Type", "Restart", "RestartSec", "TimeoutStartSec"),
    }
    common = [{name: value for name, value in service.items() if name not in own} for service in services]
    assert common[0] == common[1] == common[2] == common[3]
    assert {"ProtectSystem", "NoNewPrivileges", "CapabilityBoundingSet", "ReadWritePaths"} <= common[0].keys()


def test_the_page_on_operating_asks_the_hub_that_is_run_there(chatix_hub: HubForTests) -> None:
    page = (ROOT / "docs/operating-the-hub.md").read_text()
    check, timer = map(parse_unit, blocks(page, "ini"))
    assert (check.sections(), timer.sections()) == (["Unit", "Service"], ["Unit", "Timer", "Install"])
    assert f"'{check['Unit']['ConditionFileIsExecutable']} -sf" in check["Service"]["ExecStart"]
    (restarted,) = re.findall(r"systemctl try-restart ([a-z.-]+)", check["Service"]["ExecStart"])
    assert f"`/etc/systemd/system/{restarted}`" in (ROOT / "docs/running-hub-process.md").read_text()
    paths = set(re.findall(r"/v1(/[a-z]+)", page))
    assert paths == {"/health", "/ready", "/metrics"}
    base = chatix_hub.url.removesuffix("/v1")
    for url in re.findall(r"http://127\.0\.0\.1:5001(/v1/health|/v1/ready)", page):
        assert httpx.get(base + url).status_code == 200
    (arguments,) = re.findall(r"args: \[flask, --app, blog, chatix, hub, (.*)\]", page)
    assert set(re.findall(r"--\S+\b", arguments)) <= PROGRAMS["flask"]


def test_the_form_of_the_log_that_is_shown_is_the_real_one() -> None:
    (line,) = blocks((ROOT / "docs/operating-the-hub.md").read_text(), "json")
    shown = json.loads(line)
    fields = {name: shown[name] for name in ("method", "operation", "status", "duration_s")}
    record = logging.LogRecord(shown["logger"], logging.INFO, __file__, 1, shown["message"], (), None)
    record.chatix_fields = fields
    token = request_id.set(shown["request_id"])
    try:
        made = json.loads(JsonFormatter().format(record))
    finally:
        request_id.reset(token)
    assert made | {"time": shown["time"]} == shown
    assert list(made) == list(shown)


def test_nginx_lets_through_what_the_default_limit_allows() -> None:
    limits = re.findall(r"client_max_body_size (\d+)m;", (ROOT / "docs/running-behind-nginx.md").read_text())
    assert len(limits) == 2
    largest = ChatixConfig.from_mapping({"SECRET_KEY": "b7" * 20 + "documents"}).files.max_bytes
    assert all(int(limit) * 1024 * 1024 > largest + MAX_OVERHEAD_BYTES for limit in limits)


#: Other values than the defaults.
CHANGED = {
    "CHATIX_MAX_LENGTH": 100,
    "CHATIX_EDIT_WINDOW": 100,
    "CHATIX_MAX_FILES": 0,
    "CHATIX_MAX_FILE_BYTES": 1000,
    "CHATIX_MAX_IMAGE_PIXELS": 1000,
    "CHATIX_FILE_TYPES": ["image/png"],
    "CHATIX_FILES_PER_HOUR": 7,
    "CHATIX_BYTES_PER_HOUR": 100_000_000,
    "CHATIX_HUB_METRICS_KEY": "a-key-of-the-metrics",
    "CHATIX_HUB_WEBSITE_ID": "other",
    "CHATIX_HUB_RESTORE_DAYS": 3,
    "CHATIX_HUB_COMMENT_DAYS": 3,
    "CHATIX_HUB_FILE_DAYS": 3,
    "CHATIX_HUB_ROOM_DAYS": 3,
    "CHATIX_HUB_VISITOR_DAYS": 3,
    "CHATIX_HUB_DATABASE_URL": "sqlite:////nowhere/hub.sqlite3",
    "CHATIX_HUB_FILES": "/nowhere/files",
    "CHATIX_PAGE_SIZE": 7,
}


def test_what_a_hub_elsewhere_has_to_share_is_named(make_site: Callable[..., Site]) -> None:
    text = (ROOT / "docs/running-hub-process.md").read_text().partition("## The hub on another host")[2]
    both, alone, _ = re.split(r"The hub alone reads|The site's processes call", text)
    both = both.partition("the same values")[2]
    fixed = {"CHATIX_HUB_DATABASE_URL": "sqlite:////tmp/hub.sqlite3"}
    site = make_site(**fixed)
    at_site, at_hub = join_answer(site), site.state.hub_config()
    shared: set[str] = set()
    read_by_hub: set[str] = set()
    for key, value in CHANGED.items():
        changed = make_site(**fixed | {key: value})
        if changed.state.hub_config() != at_hub:
            (shared if join_answer(changed) != at_site else read_by_hub).add(key)
    assert set(re.findall("CHATIX_[A-Z_]+", both)) == shared
    assert set(re.findall("CHATIX_[A-Z_]+", alone)) == read_by_hub


def join_answer(site: Site) -> dict[str, Any]:
    """Return what the section is told but for who reads, and where."""
    answer = site.app.test_client().post("/chatix-comments/join", json={"post": site.post_token()}).get_json()
    return {name: answer[name] for name in ("limits", "website_id")}


def test_the_options_of_uvicorn_that_are_explained_exist() -> None:
    text = (ROOT / "docs/running-mounted.md").read_text()
    explained = {cells[0].strip("`").split()[0] for cells in rows(text, "`--.*`")}
    assert explained
    assert explained <= PROGRAMS["uvicorn"]


def test_the_protocols_that_the_documents_name_exist() -> None:
    named = {name for path in DOCUMENTS for name in re.findall(r"--(?:ws|http) ([\w.]+:\w+)", path.read_text())}
    assert named == {f"{one.__module__}:{one.__name__}" for one in (HttpProtocol, WebSocketProtocol)}


# Appearance


def test_the_custom_properties_are_those_of_the_style_sheets() -> None:
    style = "".join(path.read_text() for path in sorted((ROOT / "browser").glob("*.css")))
    used = set(re.findall(r"var\((--chatix-[a-z-]+)", style))
    described = [name for cells in rows(README, "`--chatix-.*") for name in re.findall(r"--chatix-[a-z-]+", cells[0])]
    assert sorted(described) == sorted(used)


# Code and links


def test_the_smallest_app_within_forty_lines_shows_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = README.index("```python\n")
    code = blocks(README, "python")[0]
    assert (README[:start] + code).count("\n") <= 40
    assert "make demo" in README[:start]
    assert "make test" in README[:start]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLASK_DEBUG", "1")
    names: dict[str, object] = {"__name__": "blog"}
    (tmp_path / "blog.py").write_text(code)
    exec(compile(code, tmp_path / "blog.py", "exec"), names)
    app = names["app"]
    assert isinstance(app, Flask)
    soup = BeautifulSoup(app.test_client().get("/posts/swifts/").text, "html.parser")
    (section,) = soup.select("chatix-comments")
    assert get_state(app).post_tokens.check(str(section["data-post"])).post_id == "swifts"


def test_the_example_for_tests_runs_where_warnings_are_errors(tmp_path: Path) -> None:
    (fixtures,) = [code for code in blocks(README, "python") if "pytest_plugins" in code]
    (tmp_path / "conftest.py").write_text(fixtures)
    (tmp_path / "blog.py").write_text(BLOG_WITH_FACTORY)
    (tmp_path / "test_blog.py").write_text("def test_blog(app):\n    assert app.testing\n")
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_the_loader_of_posts_feeds_the_backfill(make_site: Callable[..., Site]) -> None:
    (code,) = [code for code in blocks(README, "python") if "posts_loader" in code]
    site = make_site()
    posts = [SimpleNamespace(id=number, title=f"Post {number}") for number in range(3)]
    run(code, comments=site.comments, load_posts=lambda: posts)
    result = site.app.test_cli_runner().invoke(args=["chatix", "backfill"])
    assert result.output == "3 created\n"
    assert sorted(body["title"] for body in site.api.bodies("/chatroom/create")) == ["Post 0", "Post 1", "Post 2"]


def test_the_example_of_a_template_renders_the_section(make_site: Callable[..., Site]) -> None:
    template, prefetch = blocks(README, "jinja")
    site = make_site()
    with site.app.test_request_context():
        post = SimpleNamespace(id=7, title="Swifts & more")
        assert render_template_string(prefetch, posts=[post]).strip() == "Swifts &amp; more:"
        page = render_template_string(template, post=post)
    (section,) = BeautifulSoup(page, "html.parser").select("chatix-comments")
    claim = site.state.post_tokens.check(str(section["data-post"]))
    assert (claim.post_id, claim.title) == ("7", "Swifts & more")


@pytest.mark.parametrize("code", [code for path in DOCUMENTS for code in blocks(path.read_text(), "python")])
def test_code_is_python(code: str) -> None:
    compile(textwrap.dedent(code), "document", "exec")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", path.read_text())
    local = [target for target in targets if "://" not in target]
    # The picture is taken by `make screenshots`; it need not be there to run the tests.
    missing = [target for target in local if not (path.parent / target).exists() and "/images/" not in target]
    assert missing == []


def test_every_section_of_the_readme_is_in_the_documentation() -> None:
    own_pages = {"Fitting in", "Testing your blog", "More"}
    included = "".join(part for path in (ROOT / "docs").glob("*.md") for part in included_in(path.read_text()))
    sections = dict(re.findall(r"^## (.*)\n\n(.*)$", README, re.MULTILINE))
    assert own_pages <= sections.keys()
    assert {name for name, begin in sections.items() if begin not in included} == own_pages


def included_in(text: str) -> Iterator[str]:
    """Yield what a page takes out of the README."""
    for options in re.findall(r"^```{include} \.\./README\.md\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        start, end = (re.search(rf':{name}: "(.*)"', options) for name in ("start-after", "end-before"))
        rest = README.partition(start[1])[2] if start else README
        assert rest
        if end:
            assert end[1] in rest
            rest = rest.partition(end[1])[0]
        yield rest


def prose_of(text: str) -> Iterator[str]:
    """Yield the lines outside of code and tables."""
    is_code = False
    for line in text.splitlines():
        is_fence = line.lstrip().startswith("```")
        is_code ^= is_fence
        if not is_code and not is_fence and not line.startswith("|"):
            yield line


def test_the_readmes_prose_is_set_in_lines_of_the_length_of_code() -> None:
    assert [line for line in prose_of(README) if len(line) > 120] == []


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = {
        name for path in DOCUMENTS for name in re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert named
    assert {name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)} == set()


def test_paths_that_contributors_are_told_of_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:src|browser|tests|docs|benchmarks|requirements|example_site|\.ci)/[^`]*)`", text)
    built = {"src/flask_chatix_comments/static/"}
    assert [path for path in paths if path not in built and not os.path.exists(ROOT / path)] == []


def test_every_quirk_that_the_code_cites_is_explained() -> None:
    explained = set(re.findall(r"^\| (Q\d+) \|", (ROOT / "docs/sdk-quirks.md").read_text(), re.MULTILINE))
    sources = [*(ROOT / "browser").rglob("*.ts"), *(ROOT / "src").rglob("*.py")]
    cited = {number for path in sources for number in re.findall(r"\bQ\d+\b", path.read_text())}
    assert cited
    assert cited <= explained
