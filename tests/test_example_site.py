"""The example site: real posts, the markup that readers and caches get, and what `make demo` relies on."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from bs4 import BeautifulSoup, Tag
from click import ClickException
from flask import Flask
from flask.testing import FlaskClient

import example_site
from example_site import USERS, comments, create_app, demo
from example_site.posts import ENTRIES, MARKDOWN
from flask_chatix_comments import ApiConnectionError, ChatixComments, Visitor
from flask_chatix_comments.extension import get_state
from flask_chatix_comments.testing import HubForTests

ROOT = Path(__file__).parents[1]
SLUGS = list(ENTRIES)
PAGES = ["/", "/about/", "/sign-in/", "/nothing-here", *(f"/posts/{slug}/" for slug in SLUGS)]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with a data folder of its own, and nothing else that the site would read."""
    for name in os.environ:
        if name.startswith("CHATIX_") or name in ("PORT", "HUB_PORT"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DEMO_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def client() -> FlaskClient:
    return create_app().test_client()


def page(client: FlaskClient, path: str) -> BeautifulSoup:
    return BeautifulSoup(client.get(path).text, "html.parser")


def one(soup: BeautifulSoup, selector: str) -> Tag:
    (found,) = soup.select(selector)
    return found


# What is there to read


def test_the_index_links_every_post_newest_first(client: FlaskClient) -> None:
    links = [link["href"] for link in page(client, "/").select("main a")]
    assert links == [f"/posts/{slug}/" for slug in SLUGS]
    assert len(links) >= 9
    dates = [entry.date for entry in ENTRIES.values()]
    assert dates == sorted(set(dates), reverse=True)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_post_is_real_text_with_an_open_section(client: FlaskClient, slug: str) -> None:
    soup = page(client, f"/posts/{slug}/")
    text = one(soup, "main > .post").text
    assert one(soup, "h1").text == ENTRIES[slug].title
    assert one(soup, "main time")["datetime"] == ENTRIES[slug].date.isoformat()
    assert 400 <= len(text.split()) <= 900
    section = one(soup, "main > chatix-comments")
    assert not section.has_attr("data-closed")
    claim = get_state(client.application).post_tokens.check(str(section["data-post"]))
    assert (claim.post_id, claim.title, claim.is_private) == (slug, ENTRIES[slug].title, False)


def test_markup_in_a_post_is_shown_as_text() -> None:
    assert MARKDOWN.render("a <script>b</script>") == "<p>a &lt;script&gt;b&lt;/script&gt;</p>\n"
    assert "<a" not in MARKDOWN.render("[x](javascript:alert(1))")


def test_the_page_without_comments_has_the_script_once(client: FlaskClient) -> None:
    soup = page(client, "/about/")
    assert soup.select("chatix-comments") == []
    assert len(soup.select("head script[data-endpoint]")) == 1


def test_a_post_page_has_the_script_once(client: FlaskClient) -> None:
    soup = page(client, f"/posts/{SLUGS[0]}/")
    assert len(soup.select("script")) == len(soup.select("head script[data-endpoint]")) == 1


@pytest.mark.parametrize("path", ["/nothing-here", "/posts/nothing-here/"])
def test_unknown_addresses_get_a_page_of_the_site(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    soup = BeautifulSoup(answer.text, "html.parser")
    assert one(soup, "h1").text == "There is nothing here"
    assert soup.select("chatix-comments") == []


# Who is signed in


@pytest.mark.parametrize("key", list(USERS))
def test_signing_in_is_what_the_visitor_loader_tells(client: FlaskClient, key: str) -> None:
    user = USERS[key]
    button = one(page(client, "/sign-in/"), f"form[method=post] button[value={key}]")
    assert user.name in button.text
    answer = client.post("/sign-in/", data={button["name"]: button["value"]})
    assert (answer.status_code, answer.location) == (303, "/sign-in/")
    assert f"signed in as {user.name}" in " ".join(one(page(client, "/sign-in/"), "main").text.split())
    with client:
        client.get("/about/")
        assert comments.load_visitor() == user
    client.post("/sign-in/", data={"user": ""})
    with client:
        client.get("/about/")
        assert comments.load_visitor() is None


def test_nobody_signs_in_under_an_unknown_key(client: FlaskClient) -> None:
    client.post("/sign-in/", data={"user": "reader"})
    client.post("/sign-in/", data={"user": "nobody"})
    assert client.get_cookie("session") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Origin": "http://localhost"}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 303),
        ({"Host": "blog.local:5000", "Origin": "http://blog.local:5000"}, 303),
        ({"Host": "[::1]:5000", "Origin": "http://[::1]:5000"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:81"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_form_of_another_site_signs_nobody_in(client: FlaskClient, headers: dict[str, str], status: int) -> None:
    answer = client.post("/sign-in/", data={"user": "author"}, headers=headers)
    assert answer.status_code == status
    assert ("Set-Cookie" in answer.headers) == (status == 303)


def test_only_the_author_is_a_manager() -> None:
    assert {key for key, user in USERS.items() if user.is_manager} == {"author"}


def test_the_posts_loader_yields_every_post() -> None:
    assert [(post.id, post.title, post.is_private) for post in comments.load_posts()] == [
        (slug, entry.title, False) for slug, entry in ENTRIES.items()
    ]


def wait_for_announcer() -> None:
    for thread in threading.enumerate():
        if thread.name == "announce":
            thread.join(30)


def test_the_names_of_its_users_are_theirs_before_they_have_signed_in(
    chatix_hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in chatix_hub.settings.items():
        monkeypatch.setenv(name, value)
    client = create_app().test_client()
    client.get("/about/")
    wait_for_announcer()
    guest = chatix_hub.visit(client, f"/posts/{SLUGS[0]}/")
    for user in USERS.values():
        with pytest.raises(AssertionError, match="belongs to somebody who is known on this site"):
            guest.write("It is me", name=user.name)
    assert guest.write("It is me", name="Robin").sender_name == "Robin"


def test_a_hub_that_comes_later_is_told_with_a_later_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(demo, "HUB_TIMEOUT_S", 0.0)
    told: list[str] = []

    def announce(user: Visitor) -> None:
        if not caplog.records:
            raise ApiConnectionError("No answer.", operation="update_visitor")
        told.append(user.name)

    app = Flask(__name__)
    app.config["TESTING"] = True
    api = SimpleNamespace(wait_until_up=lambda timeout_s: True)
    demo.announce(app, cast(ChatixComments, SimpleNamespace(api=api, announce=announce)), USERS.values())
    for _ in range(3):
        app.test_client().get("/")
        wait_for_announcer()
    assert told == [user.name for user in USERS.values()]
    assert [record.message for record in caplog.records] == ["The hub could not be told who the users are: No answer."]


def test_where_there_will_be_no_hub_nobody_is_told() -> None:
    client = create_app().test_client()
    assert client.get("/about/").status_code == 200
    wait_for_announcer()
    assert client.get("/about/").status_code == 200
    assert "announce" not in {thread.name for thread in threading.enumerate()}


# What caches and browsers are told


@pytest.mark.parametrize("path", ["/", "/about/", "/nothing-here", f"/posts/{SLUGS[0]}/"])
def test_a_page_is_the_same_for_everybody(client: FlaskClient, path: str) -> None:
    before = client.get(path)
    client.post("/sign-in/", data={"user": "author"})
    after = client.get(path)
    assert before.data == after.data
    assert "Set-Cookie" not in after.headers
    assert "Vary" not in after.headers


@pytest.mark.parametrize("path", PAGES)
def test_no_page_needs_what_its_policy_forbids(client: FlaskClient, path: str) -> None:
    soup = page(client, path)
    assert soup.select("style, script:not([src]), iframe, object, embed, base") == []
    names = {name for tag in soup.find_all(True) for name in tag.attrs}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    addresses = [tag.get("src") or tag.get("href") for tag in soup.select("[src], link[href]")]
    assert addresses
    assert all(str(address).startswith("/") and not str(address).startswith("//") for address in addresses)


def policy(client: FlaskClient, path: str = "/", host: str = "localhost") -> dict[str, list[str]]:
    with client.get(path, headers={"Host": host}) as answer:
        text = answer.headers["Content-Security-Policy"]
    return {name: sources for name, *sources in (directive.split() for directive in text.split(";"))}


@pytest.mark.parametrize("path", [*PAGES[:5], "/static/site.css", "/static/nothing.css"])
def test_every_answer_carries_the_policy(client: FlaskClient, path: str) -> None:
    assert policy(client, path) == {
        "default-src": ["'self'"],
        "connect-src": ["'self'", "http://localhost:5001", "ws://localhost:5001"],
        "img-src": ["'self'", "http://localhost:5001"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }


@pytest.mark.parametrize("path", [*PAGES[:5], "/static/site.css", "/static/nothing.css", "/chatix-comments/join"])
def test_no_answer_is_taken_for_another_type_or_tells_others_where_its_reader_was(
    client: FlaskClient, path: str
) -> None:
    with client.get(path) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5001"),
        ("[::1]:5000", "[::1]:5001"),
        ("[::1]", "[::1]:5001"),
        ("blog.local", "blog.local:5001"),
    ],
)
def test_the_hub_is_allowed_on_the_host_that_the_reader_came_by(client: FlaskClient, host: str, origin: str) -> None:
    assert policy(client, host=host)["connect-src"] == ["'self'", f"http://{origin}", f"ws://{origin}"]
    assert policy(client, host=host)["img-src"][-1] == f"http://{origin}"


@pytest.mark.parametrize(
    ("settings", "sources"),
    [
        (
            {"CHATIX_HUB_URL": "https://chat.example/blog/v1"},
            ["https://chat.example", "wss://chat.example"],
        ),
        (
            {"CHATIX_WEBSITE_ID": "w1", "CHATIX_API_KEY": "k" * 20},
            ["https://app1.chatix.io:5022", "wss://app1.chatix.io:5022"],
        ),
        (
            {"CHATIX_WEBSITE_ID": "w1", "CHATIX_API_KEY": "k" * 20, "CHATIX_API_URL": "http://127.0.0.1:9/v1"},
            ["http://127.0.0.1:9", "ws://127.0.0.1:9"],
        ),
    ],
)
def test_another_chat_service_is_allowed_instead(
    settings: dict[str, str], sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(demo, "announce", lambda *_: None)
    allowed = policy(create_app().test_client())
    assert allowed["connect-src"] == ["'self'", *sources]
    assert allowed["img-src"] == ["'self'", sources[0]]


# What it takes from the environment


def test_all_data_is_kept_in_one_folder(data: Path) -> None:
    config = get_state(create_app()).config
    assert config.database_url == f"sqlite:///{data}/chatix_comments.sqlite3"
    assert config.hub_database_url == f"sqlite:///{data}/chatix_hub.sqlite3"
    assert (data / "secret_key").is_file()


def test_the_data_folder_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEMO_DATA", "kept/here")
    app = create_app()
    monkeypatch.chdir("/")
    assert app.instance_path == str(tmp_path / "kept/here")
    assert (tmp_path / "kept/here/secret_key").is_file()


def test_without_a_name_the_data_is_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DATA", "")
    assert demo.data_folder() == ROOT / "instance"


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({}, 5001),
        ({"PORT": "8000"}, 8001),
        ({"PORT": "8000", "HUB_PORT": "9000"}, 9000),
        ({"PORT": "", "HUB_PORT": ""}, 5001),
        ({"HUB_PORT": "9000", "CHATIX_HUB_PORT": "9100"}, 9100),
        ({"HUB_PORT": "9000", "CHATIX_HUB_PORT": ""}, 9000),
    ],
)
def test_the_hub_is_one_port_above_the_site(
    environment: dict[str, str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert get_state(create_app()).config.hub_port == port


def test_a_port_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(ClickException, match="^PORT must be a number"):
        create_app()


def test_one_port_for_both_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8000")
    monkeypatch.setenv("HUB_PORT", "8000")
    with pytest.raises(ClickException, match="^PORT and HUB_PORT are both 8000"):
        create_app()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATIX_PAGE_SIZE", "7")
    monkeypatch.setenv("CHATIX_DATABASE_URL", "sqlite:////tmp/elsewhere.sqlite3")
    config = get_state(create_app()).config
    assert (config.page_size, config.database_url) == (7, "sqlite:////tmp/elsewhere.sqlite3")


# The secret key


def secret_of(app: Flask) -> str:
    return str(app.config["SECRET_KEY"])


def test_the_secret_key_is_made_once_and_for_its_owner_only(data: Path) -> None:
    secrets = {secret_of(create_app()) for _ in range(3)}
    assert len(secrets) == 1
    assert len(secrets.pop()) == 64
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in data.iterdir()] == ["secret_key"]


def test_many_that_start_at_once_share_one_secret_key(data: Path) -> None:
    together = threading.Barrier(8)
    secrets: list[str] = []

    def start() -> None:
        together.wait(10)
        secrets.append(demo.kept_secret(data))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(secrets) == 8
    assert set(secrets) == {(data / "secret_key").read_text().strip()}


def test_two_folders_have_two_secret_keys(tmp_path: Path) -> None:
    assert demo.kept_secret(tmp_path / "a") != demo.kept_secret(tmp_path / "b")


# The command line


def flask(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "example_site", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    answer = flask("run", "--port", "0", DEMO_DATA=str(blocked))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"Error: The data cannot be kept in {blocked}: ")
    assert answer.stderr.endswith(" Set DEMO_DATA to another folder.\n")


def test_commands_run_where_the_site_runs(data: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    answer = flask("chatix", "backfill", "--dry-run", "--json", **plain)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["would_create"] == len(SLUGS)
    assert {path.name for path in data.iterdir()} >= {"secret_key", "chatix_comments.sqlite3"}


def test_its_python_can_be_read_in_a_minute() -> None:
    lines = Path(example_site.__file__).read_text().splitlines()
    assert len(lines) <= 100


def test_a_setting_that_cannot_be_used_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEMO_DATA", str(tmp_path))
    monkeypatch.setenv("CHATIX_WEBSITE_ID", "site-1")
    with pytest.raises(ClickException, match="CHATIX_API_KEY: is missing although CHATIX_WEBSITE_ID is set"):
        create_app()
