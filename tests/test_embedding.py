"""Under servers that fork, thread and switch, beside pools and replicas of the site: one chatroom for each post."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy.pool import NullPool

from flask_chatix_comments import ChatixComments, Post
from flask_chatix_comments.state import get_state
from flask_chatix_comments.testing import HubForTests
from tests.flask_support import SECRET
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.databases import DatabaseServers
    from tests.flask_support import FakeApi

ROOT = Path(__file__).parents[1]
POSTS = 6
SITE = """
import json, os
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.pool import NullPool
from flask_chatix_comments import ChatixComments, Post
from flask_chatix_comments.state import get_state

app = Flask(__name__)
app.config.update(json.loads(os.environ["SITE_SETTINGS"]))
if os.environ.get("SITE_POOL") == "null":
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"poolclass": NullPool}
if "SQLALCHEMY_DATABASE_URI" in app.config:
    SQLAlchemy(app)
comments = ChatixComments()
comments.init_app(app)
IDENTIFY = {"postgresql": "SELECT pg_backend_pid()"}

def connection_id():
    engine = get_state(app).registry.database.engine
    with engine.connect() as connection:
        sql = IDENTIFY.get(engine.dialect.name, "SELECT connection_id()")
        return connection.exec_driver_sql(sql).scalar_one()

with app.app_context():
    # Before the server forks, if it has loaded us by then: this connection is its own.
    comments.rooms.find("nothing")
    before = (os.getpid(), connection_id())

@app.get("/rooms/<post_id>")
def room(post_id):
    entry = comments.rooms.ensure(Post(post_id), wait_s=30)
    return {"room": entry.chatroom_id, "process": os.getpid(), "connection": connection_id(), "before": before}
"""
CASES = {
    "forked-own-engine": ("postgresql", "own", ["--preload", "--workers=2", "--threads=4"]),
    "forked-site-engine": ("mariadb", "pool", ["--preload", "--workers=2", "--threads=4"]),
    "gevent": ("mariadb", "own", ["--workers=1", "--worker-class=gevent"]),
    "gevent-null-pool": ("postgresql", "null", ["--workers=1", "--worker-class=gevent"]),
}


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def site_url(
    request: pytest.FixtureRequest, database_servers: DatabaseServers, chatix_hub: HubForTests, tmp_path: Path
) -> Iterator[str]:
    """A site under gunicorn."""
    kind, pool, options = request.param
    settings = chatix_hub.settings | {"SECRET_KEY": SECRET}
    url_setting = "CHATIX_DATABASE_URL" if pool == "own" else "SQLALCHEMY_DATABASE_URI"
    del settings["CHATIX_DATABASE_URL"]
    settings[url_setting] = database_servers.fresh_url(kind, tmp_path)
    (tmp_path / "blog_site.py").write_text(SITE)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        f"--bind=127.0.0.1:{port}",
        "--no-control-socket",
        *options,
        "blog_site:app",
    ]
    environment = os.environ | {
        "SITE_SETTINGS": json.dumps(settings),
        "SITE_POOL": pool,
        "PYTHONPATH": str(ROOT / "src"),
    }
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: server.poll() is not None or answers(url))
        assert server.poll() is None, (tmp_path / "log").read_text()
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)
    assert "Traceback" not in (tmp_path / "log").read_text()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 404
    except httpx.TransportError:
        return False


def test_processes_threads_and_greenlets_make_one_chatroom_and_share_no_connection(
    site_url: str, chatix_hub: HubForTests
) -> None:
    def ask(number: int) -> dict[str, Any]:
        answer: dict[str, Any] = httpx.get(f"{site_url}/rooms/{number % POSTS}", timeout=60).raise_for_status().json()
        return answer | {"post": number % POSTS}

    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(ask, range(6 * POSTS)))
    rooms = {room.external_id: room.chatroom_id for room in chatix_hub.api.list_chatrooms().chatrooms}
    assert {(str(answer["post"]), answer["room"]) for answer in found} == set(rooms.items())
    assert len(rooms) == POSTS
    users = {tuple(answer["before"]) for answer in found}
    users |= {(answer["process"], answer["connection"]) for answer in found}
    assert len({connection for _, connection in users}) == len(users), "two processes used one connection"


class TestReplicas:
    """A site reads from replicas; ours must not, and needs to be told only where the default is a replica."""

    @pytest.fixture
    def urls(self, database_servers: DatabaseServers) -> dict[str, str]:
        server = database_servers.get("postgresql")
        url = server.fresh_url()
        return {"primary": url, "replica": server.read_only(url)}

    @pytest.mark.parametrize("default", ["primary", "replica"])
    def test_claims_go_to_the_primary(self, urls: dict[str, str], fake_api: FakeApi, default: str) -> None:
        other = "replica" if default == "primary" else "primary"

        class RoutingSession(Session):
            def get_bind(self, mapper: Any = None, clause: Any = None, bind: Any = None, **kwargs: Any) -> Any:
                is_write = self._flushing or isinstance(clause, (sa.Update, sa.Delete))
                return db.engines[None if ("primary" if is_write else "replica") == default else other]

        db = SQLAlchemy(session_options={"class_": RoutingSession})
        app = Flask("blog")
        app.config.update(
            {
                "TESTING": True,
                "SECRET_KEY": SECRET,
                "SQLALCHEMY_DATABASE_URI": urls[default],
                "SQLALCHEMY_BINDS": {other: urls[other]},
                "SQLALCHEMY_ENGINE_OPTIONS": {"poolclass": NullPool},
                "CHATIX_DATABASE_BIND": None if default == "primary" else "primary",
            }
        )
        db.init_app(app)
        comments = ChatixComments(transport=fake_api.transport)
        comments.init_app(app)
        with app.app_context():
            replica = db.engines[None if default == "replica" else other]
            seen: list[str] = []
            sa.event.listen(
                replica, "before_cursor_execute", lambda c, cursor, statement, *rest: seen.append(statement)
            )
            assert comments.rooms.ensure(Post("7")).chatroom_id == "room-1"
            assert seen == []
            query = sa.text("SELECT chatroom_id FROM chatix_chatrooms")
            assert db.session.execute(query).scalar_one() == "room-1"
            assert len(seen) == 1
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()
        get_state(app).close()


class TestForks:
    def test_a_lock_of_the_parent_holds_up_nobody(self, make_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        state = make_site().state
        state._api_lock.acquire()
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: -1)
            assert state.api() is state.api()
        state._api_lock.release()
