"""Databases that an earlier version has made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub.names import name_keys
from flask_chatix_comments.hub.store import migrations
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Profile

pytestmark = pytest.mark.anyio

VERSIONS = sorted(Path(__file__).parent.glob("version_*.sql"))
SAID_AT = datetime.fromtimestamp(1_760_000_000, UTC)


def make(path: Path, script: Path) -> SqlStore:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script.read_text())
    return SqlStore(f"sqlite:///{path}")


def shape(path: Path) -> dict[str, object]:
    """Return what there is in a database: its tables with their columns, and its indexes."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT type, name FROM sqlite_master ORDER BY name").fetchall()
        # A column that was added later stands behind the others.
        tables = {name: {row[1:6] for row in connection.execute(f"PRAGMA table_info({name})")} for kind, name in names}
    return {"names": names, "tables": tables}


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        ((version,),) = connection.execute("SELECT version FROM schema_info")
    return int(version)


@pytest.mark.parametrize("script", VERSIONS, ids=lambda path: path.stem)
async def test_what_was_kept_is_there_afterwards(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    for store in (make(path, script), SqlStore(f"sqlite:///{path}")):
        store.open()
        room = await store.find_chatroom("room")
        assert room is not None and (room.title, room.external_id) == ("A post", "post-1")
        history = await store.page_before("room", None, limit=10, with_whispers=True)
        assert [message.content for message in history.messages] == ["Hello", "Psst"]
        marit = Profile("marit", "Marit Lund", "marit@x.example", is_manager=True, is_persistent=True)
        assert await store.find_visitor("marit") == (marit, SAID_AT)
        file = await store.find_upload("upload")
        assert (file and file.stored_bytes) == {"version_3": 1000, "version_4": 1500}.get(script.stem)
        # Nobody is known to have been away: nobody is forgotten at once.
        yesterday = datetime.now(UTC) - timedelta(days=1)
        assert await store.forget_visitors(before=yesterday, with_names=True, limit=10) == 0
        assert await store.stale_memberships(before=yesterday, limit=10) == []
        await store.close()
    assert version_of(path) == migrations.SCHEMA_VERSION


@pytest.mark.parametrize("script", VERSIONS, ids=lambda path: path.stem)
async def test_it_is_then_like_a_new_one(script: Path, tmp_path: Path) -> None:
    old, new = make(tmp_path / "old.sqlite3", script), SqlStore(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    for store in (old, new):
        store.open()
        await store.close()
    assert shape(tmp_path / "old.sqlite3") == shape(tmp_path / "new.sqlite3")


async def test_the_names_of_the_sites_users_are_protected_from_then_on(tmp_path: Path) -> None:
    store = make(tmp_path / "old.sqlite3", VERSIONS[0])
    store.open()
    bearers = {name: await store.bearers_of(name_keys(name)) for name in ("MARIT LUND", "jonas petri", "Robin", "Kim")}
    assert bearers == {"MARIT LUND": {"marit"}, "jonas petri": {"jonas"}, "Robin": set(), "Kim": set()}
    await store.close()


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise StoreError("no room left")

    path = tmp_path / "old.sqlite3"
    last = migrations.SCHEMA_VERSION
    monkeypatch.setattr(migrations, "STEPS", {**migrations.STEPS, last: fail})
    store = make(path, VERSIONS[0])
    before = shape(path)
    with pytest.raises(StoreError, match="no room left"):
        store.open()
    assert (shape(path), version_of(path)) == (before, 1)


async def test_a_database_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite3"
    store = make(path, VERSIONS[0])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE schema_info SET version = 99")
    before = shape(path)
    with pytest.raises(StoreError, match="newer version"):
        store.open()
    assert shape(path) == before


def test_every_version_has_a_step_and_an_example() -> None:
    assert [path.stem for path in VERSIONS] == [f"version_{number}" for number in range(1, migrations.SCHEMA_VERSION)]
    assert list(migrations.STEPS) == list(range(2, migrations.SCHEMA_VERSION + 1))
