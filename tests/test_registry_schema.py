"""The registry's tables are brought up to date, and nothing in them is lost."""

from __future__ import annotations

import builtins
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from click.testing import Result
from sqlalchemy.engine import Dialect

from flask_chatix_comments import database, registry_schema
from flask_chatix_comments.database import Database, create_registry_engine
from flask_chatix_comments.errors import SchemaError
from flask_chatix_comments.registry import RegistryEntry, RoomRegistry, RoomState
from flask_chatix_comments.registry_schema import LANDMARKS, VERSION_TABLE, SchemaState
from tests.databases import KINDS, DatabaseServers, Kind
from tests.flask_support import Site

pytest_plugins = ("tests.rooms_fixtures",)

OLDEST = Path(__file__).parent / "registry_schemas/0001.sql"
OURS = sorted(database.metadata.tables)
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("chatix_chatrooms") as table:
        table.add_column(sa.Column("colour", sa.String(10), nullable=False, server_default="red"))
    {more}
"""


@pytest.fixture
def place(registry: RoomRegistry) -> Database:
    """A database without any table."""
    return registry.database


def fill(place: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Put tables and rows of the oldest version into it; return the rows."""
    raw = sqlite3.connect(place.place)
    raw.executescript(OLDEST.read_text())
    raw.close()
    return rows_of(place)


def rows_of(place: Database) -> dict[str, list[tuple[Any, ...]]]:
    with place.engine.connect() as connection:
        return {
            name: sorted(map(tuple, connection.exec_driver_sql(f"SELECT * FROM {name}")), key=repr)
            for name in sa.inspect(connection).get_table_names()
            if name in OURS
        }


def tables_of(place: Database) -> list[str]:
    return sorted(sa.inspect(place.engine).get_table_names())


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the package have a second revision, which adds a column."""

    def add(more: str = "") -> None:
        folder = tmp_path / "migrations"
        versions = folder / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        for path in (registry_schema.FOLDER / "env.py", registry_schema.FOLDER / "versions/r0001_first.py"):
            (folder / path.relative_to(registry_schema.FOLDER)).write_text(path.read_text())
        (versions / "r0002_second.py").write_text(SECOND.format(more=more))
        monkeypatch.setattr(registry_schema, "FOLDER", folder)
        monkeypatch.setattr(registry_schema, "LANDMARKS", {**LANDMARKS, "0002": (("chatix_chatrooms", "colour"),)})

    return add


def newest() -> str:
    head = ScriptDirectory(str(registry_schema.FOLDER)).get_current_head()
    assert head is not None
    return head


def test_the_newest_revision_is_what_the_registry_makes(place: Database) -> None:
    before, after = registry_schema.upgrade(place)
    assert (before, after) == (SchemaState(None, newest(), False), SchemaState(newest(), newest(), True))
    assert tables_of(place) == sorted([*OURS, VERSION_TABLE])
    with place.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, database.metadata) == []


DIALECTS: list[Dialect] = [sa.make_url(f"{name}://").get_dialect()() for name in ("sqlite", "postgresql", "mysql")]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_tables_are_the_same_in_every_database(place: Database, dialect: Dialect) -> None:
    """Column by column, as that database is told to make them."""

    def ddl(table: sa.Table) -> list[str]:
        text = str(sa.schema.CreateTable(table).compile(dialect=dialect))
        return sorted(line.strip().rstrip(",") for line in text.splitlines() if line.strip())

    made = sa.MetaData()
    for line in _created_tables():
        line.to_metadata(made)
    assert {name: ddl(table) for name, table in made.tables.items()} == {
        name: ddl(table) for name, table in database.metadata.tables.items()
    }


def _created_tables() -> list[sa.Table]:
    """Return what the first revision creates."""
    import importlib.util

    from alembic.operations import ops

    path = registry_schema.FOLDER / "versions/r0001_first.py"
    spec = importlib.util.spec_from_file_location("first_revision", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tables: list[sa.Table] = []

    class Recorder:
        def create_table(self, name: str, *columns: Any, if_not_exists: bool, **options: Any) -> None:
            assert if_not_exists
            tables.append(ops.CreateTableOp(name, columns, **options).to_table())

    module.op = Recorder()  # type: ignore[attr-defined]  # it is Alembic's while Alembic runs
    module.upgrade()
    return tables


def test_of_the_oldest_version_nothing_is_lost(place: Database) -> None:
    before = fill(place)
    assert [len(rows) for rows in before.values()] == [3, 1, 2]
    was, is_now = registry_schema.upgrade(place)
    assert (was.revision, was.is_stamped, is_now.revision) == ("0001", False, newest())
    assert rows_of(place) == before
    registry = RoomRegistry(place.engine)
    entry = registry.get("Path/\u00c4\u00d6 ")
    assert (entry.chatroom_id, entry.title, entry.is_private, entry.state) == (
        "room-8",
        "O'Brien",
        True,
        RoomState.DELETED,
    )
    assert registry.visitor_id_for("ada") != registry.visitor_id_for("Ada")
    assert registry.find_service_id("ada", "b1") == "s1"
    claim = registry.find("claimed")
    assert isinstance(claim, RegistryEntry)
    assert claim.state is RoomState.CREATING


def test_again_it_changes_nothing(place: Database) -> None:
    fill(place)
    registry_schema.upgrade(place)
    before = rows_of(place)
    state = SchemaState(newest(), newest(), True)
    assert registry_schema.upgrade(place) == (state, state)
    assert registry_schema.current(place) == state
    assert rows_of(place) == before


def test_tables_that_the_registry_has_made_are_recognised(place: Database, registry: RoomRegistry) -> None:
    registry.link("7", "room-7", title="Seven", is_private=False, state=RoomState.OPEN)
    assert registry_schema.current(place) == SchemaState(newest(), newest(), False)
    # To look changes nothing.
    assert tables_of(place) == OURS
    registry_schema.upgrade(place)
    assert registry.get("7").chatroom_id == "room-7"


def test_what_is_missing_of_the_first_revision_is_made(place: Database) -> None:
    """The third table came last."""
    fill(place)
    with place.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE chatix_hosted_visitors")
    before = rows_of(place)
    assert registry_schema.current(place).revision is None
    registry_schema.upgrade(place)
    assert tables_of(place) == sorted([*OURS, VERSION_TABLE])
    assert {name: rows for name, rows in rows_of(place).items() if rows} == before


def test_every_revision_has_its_landmarks() -> None:
    revisions = [one.revision for one in ScriptDirectory(str(registry_schema.FOLDER)).walk_revisions()]
    assert list(reversed(revisions)) == list(LANDMARKS)


class TestASecondRevision:
    def test_nothing_is_lost(self, place: Database, second: Callable[..., None]) -> None:
        before = fill(place)
        second()
        was, is_now = registry_schema.upgrade(place)
        assert (was.revision, is_now) == ("0001", SchemaState("0002", "0002", True))
        after = rows_of(place)
        assert after["chatix_visitors"] == before["chatix_visitors"]
        assert [row[:-1] for row in after["chatix_chatrooms"]] == before["chatix_chatrooms"]
        assert {row[-1] for row in after["chatix_chatrooms"]} == {"red"}

    def test_from_a_stamped_one(self, place: Database, second: Callable[..., None]) -> None:
        fill(place)
        registry_schema.upgrade(place)
        second()
        assert not registry_schema.current(place).is_newest
        was, is_now = registry_schema.upgrade(place)
        assert (was, is_now.revision) == (SchemaState("0001", "0002", True), "0002")

    def test_one_that_is_recognised_is_not_done_twice(self, place: Database, second: Callable[..., None]) -> None:
        fill(place)
        with place.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE chatix_chatrooms ADD COLUMN colour VARCHAR(10) DEFAULT 'blue'")
        second()
        before = rows_of(place)
        was, is_now = registry_schema.upgrade(place)
        assert (was, is_now.is_stamped) == (SchemaState("0002", "0002", False), True)
        assert rows_of(place) == before

    def test_one_that_fails_leaves_all_as_it_was(self, place: Database, second: Callable[..., None]) -> None:
        before = fill(place)
        second('op.execute("UPDATE no_table SET a = 1")')
        with pytest.raises(SchemaError, match="no such table: no_table"):
            registry_schema.upgrade(place)
        assert rows_of(place) == before
        assert tables_of(place) == OURS
        # Corrected, it goes on from there.
        second()
        assert registry_schema.upgrade(place)[1].revision == "0002"

    def test_tables_of_a_later_version_are_left_alone(
        self, place: Database, second: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = registry_schema.FOLDER
        second()
        registry_schema.upgrade(place)
        monkeypatch.setattr(registry_schema, "FOLDER", folder)
        for act in (registry_schema.upgrade, registry_schema.current):
            with pytest.raises(SchemaError, match="of revision 0002, which this version of the package does not know"):
                act(place)

    def test_two_at_once(self, place: Database, second: Callable[..., None]) -> None:
        fill(place)
        second()
        # In processes of their own: Alembic has one context for a process.
        code = (
            "import sys; from flask_chatix_comments import registry_schema as s; from pathlib import Path;"
            "from flask_chatix_comments.database import Database, create_registry_engine;"
            "s.FOLDER = Path(sys.argv[2]);"
            "print(s.upgrade(Database(create_registry_engine(sys.argv[1])))[1].revision)"
        )
        command = [sys.executable, "-W", "error", "-c", code, str(place.engine.url), str(registry_schema.FOLDER)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
        outputs = [process.communicate(timeout=60) for process in running]
        assert outputs == [("0002\n", "")] * 2


def test_stamp(place: Database) -> None:
    database.metadata.create_all(place.engine)
    assert registry_schema.stamp(place, "head") == SchemaState(newest(), newest(), True)
    with pytest.raises(SchemaError, match="There is no revision 'ffff'"):
        registry_schema.stamp(place, "ffff")


def test_an_older_schema_says_what_to_do(registry: RoomRegistry) -> None:
    registry.count()
    with registry.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE chatix_chatrooms DROP COLUMN claim_owner")
    with pytest.raises(Exception, match="Its tables are of an earlier version: flask chatix db upgrade."):
        registry.find("7")


def test_a_database_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("this is no database, " * 100)
    with pytest.raises(SchemaError, match="CHATIX_DATABASE_URL"):
        registry_schema.upgrade(Database(create_registry_engine(f"sqlite:///{path}")))


def test_without_alembic(place: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    import_module = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.split(".")[0] == "alembic":
            raise ImportError(name)
        return import_module(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    for act in (registry_schema.upgrade, registry_schema.current, lambda place: registry_schema.stamp(place, "head")):
        with pytest.raises(SchemaError, match=r"pip install 'flask-chatix-comments\[migrations\]'"):
            act(place)


class TestCommands:
    def run(self, site: Site, *arguments: str) -> Result:
        return site.app.test_cli_runner().invoke(args=["chatix", "db", *arguments])

    def test_for_people(self, site: Site) -> None:
        head = newest()
        assert self.run(site, "current").stdout == f"There are no tables; the newest is {head}.\n"
        first, again = self.run(site, "upgrade"), self.run(site, "upgrade")
        assert (first.exit_code, first.stdout, first.stderr) == (
            0,
            f"The registry's tables are of revision {head} now (before: none).\n",
            "",
        )
        assert again.stdout == f"The registry's tables are of the newest revision, {head}.\n"
        assert self.run(site, "current").stdout == f"{head}; the newest is {head}.\n"
        assert self.run(site, "stamp").stdout == f"{head}; the newest is {head}.\n"

    def test_as_json(self, site: Site) -> None:
        site.state.registry.count()
        head = newest()
        assert json.loads(self.run(site, "current", "--json").stdout) == {
            "revision": head,
            "newest": head,
            "is_stamped": False,
        }
        assert json.loads(self.run(site, "upgrade", "--json").stdout) == {
            "before": head,
            "revision": head,
            "newest": head,
            "is_stamped": True,
        }
        assert json.loads(self.run(site, "stamp", "head", "--json").stdout)["is_stamped"] is True
        assert self.run(site, "current").stdout == f"{head}; the newest is {head}.\n"

    def test_recognised(self, site: Site) -> None:
        site.state.registry.count()
        assert self.run(site, "current").stdout == f"{newest()}, recognised by its columns; the newest is {newest()}.\n"

    def test_failures(self, site: Site) -> None:
        result = self.run(site, "stamp", "nothing")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "Error: There is no revision 'nothing' of the registry's tables.\n"

    def test_in_python(self, site: Site) -> None:
        with site.app.app_context():
            assert site.comments.upgrade_registry() == SchemaState(newest(), newest(), True)


@pytest.mark.parametrize("kind", KINDS)
def test_in_every_kind_of_database(kind: Kind, database_servers: DatabaseServers, tmp_path: Path) -> None:
    """Tables that the registry has made are recognised, and those that the revisions make are the same."""
    made, new = (Database(create_registry_engine(database_servers.fresh_url(kind, tmp_path / name))) for name in "ab")
    registry = RoomRegistry(made.engine)
    registry.link("7", "room-7", title="Sev\u00e9n \U0001f30a", is_private=True, state=RoomState.CLOSED)
    registry.visitor_id_for("ada")
    before = rows_of(made)
    was, is_now = registry_schema.upgrade(made)
    assert (was, is_now) == (SchemaState(newest(), newest(), False), SchemaState(newest(), newest(), True))
    assert rows_of(made) == before
    assert registry_schema.upgrade(new)[0].revision is None
    for place in (made, new):
        assert registry_schema.upgrade(place)[0].is_stamped
        with place.engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "version_table": VERSION_TABLE}
            )
            assert compare_metadata(context, database.metadata) == []
        place.engine.dispose()
