"""Flask-SQLAlchemy: its engine, its metadata, and nothing of its transactions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from werkzeug.test import TestResponse

from flask_chatix_comments import ChatixComments, Post, RegistryError, Visitor, database
from flask_chatix_comments.registry import RoomRegistry
from flask_chatix_comments.state import get_state
from flask_chatix_comments.tokens import PostClaim
from tests.fitting.conftest import NewApp
from tests.flask_support import Site

OUR_TABLES = sorted(database.metadata.tables)
SITE_FILE = "site.sqlite3"
OWN_FILE = "chatix_comments.sqlite3"


@pytest.fixture
def db() -> SQLAlchemy:
    """Flask-SQLAlchemy with a table of the site's own, registered with no app yet."""
    db = SQLAlchemy()
    db.Table("notes", sa.Column("text", sa.String, primary_key=True))
    return db


@pytest.fixture
def site(new_app: NewApp, comments: ChatixComments, db: SQLAlchemy) -> Flask:
    """A site with a database in a file, in which its own table is; it waits a moment only for locks."""
    app = new_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}", SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 0.1}}
    )
    db.init_app(app)
    comments.init_app(app)
    with app.app_context():
        db.metadata.tables["notes"].create(db.engine)
    return app


def register(app: Flask, db: SQLAlchemy, comments: ChatixComments, *, is_ours_first: bool) -> None:
    for extension in (comments, db) if is_ours_first else (db, comments):
        extension.init_app(app)


def tables_in(path: Path) -> list[str]:
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    return sorted(sa.inspect(engine).get_table_names())


def registry_of(app: Flask) -> RoomRegistry:
    return get_state(app).registry


def join(app: Flask) -> TestResponse:
    token = get_state(app).post_tokens.sign(PostClaim("hello", "Hello", False))
    return app.test_client().post("/chatix-comments/join", json={"post": token})


def note(db: SQLAlchemy, text: str) -> None:
    db.session.execute(sa.insert(db.metadata.tables["notes"]).values(text=text))


def notes(db: SQLAlchemy) -> list[str]:
    return list(db.session.scalars(sa.select(db.metadata.tables["notes"].c.text)))


class TestWhichDatabase:
    @pytest.mark.parametrize("is_ours_first", [True, False])
    def test_is_the_sites_in_either_order(
        self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy, tmp_path: Path, is_ours_first: bool
    ) -> None:
        app = new_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}")
        register(app, db, comments, is_ours_first=is_ours_first)
        with app.app_context():
            assert comments.rooms.ensure(Post("7", "Seven")).chatroom_id == "room-1"
            assert registry_of(app).database.engine is db.engine
        assert tables_in(tmp_path / "blog" / SITE_FILE) == OUR_TABLES
        assert not (tmp_path / "blog" / OWN_FILE).exists()

    def test_is_looked_for_on_first_use(self, site: Flask, db: SQLAlchemy) -> None:
        with site.app_context():
            db.engine.dispose()
            registry = registry_of(site)
            assert db.engine.pool.status().count("Connections in pool: 0")
            registry.find("7")
            assert db.engine.pool.status().count("Connections in pool: 1")

    def test_is_found_by_threads_that_have_no_context(self, site: Flask, db: SQLAlchemy) -> None:
        assert registry_of(site).find("7") is None
        with site.app_context():
            assert registry_of(site).database.engine is db.engine

    def test_that_is_set_wins(self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy, tmp_path: Path) -> None:
        app = new_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}", CHATIX_DATABASE_URL="sqlite:///own.sqlite3")
        db.init_app(app)
        comments.init_app(app)
        with app.app_context():
            db.create_all()
            comments.rooms.find("7")
        assert list(db.metadata.tables) == ["notes"]
        assert tables_in(tmp_path / "blog" / SITE_FILE) == ["notes"]
        assert tables_in(tmp_path / "blog" / "own.sqlite3") == OUR_TABLES

    def test_of_an_app_without_flask_sqlalchemy_is_a_file(
        self, new_app: NewApp, comments: ChatixComments, tmp_path: Path
    ) -> None:
        app = new_app()
        app.extensions["sqlalchemy"] = object()  # Other packages use the same name.
        comments.init_app(app)
        with app.app_context():
            comments.rooms.find("7")
        assert tables_in(tmp_path / "blog" / OWN_FILE) == OUR_TABLES

    def test_belongs_to_the_app(self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy) -> None:
        apps = [new_app(name, SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}") for name in ("one", "two")]
        without = new_app("three")
        for app in apps:
            comments.init_app(app)
            db.init_app(app)
        comments.init_app(without)
        for number, app in enumerate([*apps, without]):
            with app.app_context():
                comments.rooms.ensure(Post(number, f"Post {number}"))
        posts = [[entry.post_id for entry in registry_of(app).entries()] for app in [*apps, without]]
        assert posts == [["0"], ["1"], ["2"]]
        with apps[1].app_context():
            assert registry_of(apps[0]).database.engine is not db.engine
            assert registry_of(apps[1]).database.engine is db.engine

    def test_in_memory_is_not_shared(self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy) -> None:
        """It has one connection, on which a commit of ours would be one of the site's."""
        app = new_app(SQLALCHEMY_DATABASE_URI="sqlite://")
        db.init_app(app)
        comments.init_app(app)
        with app.app_context():
            db.create_all()
            note(db, "not yet")
            assert comments.rooms.ensure(Post("7")).chatroom_id == "room-1"
            db.session.rollback()
            assert notes(db) == []
            found = comments.rooms.find("7")
            assert found and found.chatroom_id == "room-1"

    def test_with_one_connection_for_all_is_refused(
        self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        options = {"poolclass": sa.StaticPool, "connect_args": {"check_same_thread": False}}
        app = new_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}", SQLALCHEMY_ENGINE_OPTIONS=options)
        db.init_app(app)
        comments.init_app(app)
        with app.app_context(), pytest.raises(RegistryError, match="one connection to all .StaticPool.*DATABASE_URL"):
            comments.rooms.find("7")

    def test_is_the_engines_where_a_test_has_put_a_connection(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        with site.app_context():
            engine = db.engine
            engines: Any = db.engines
            with engine.connect() as connection:
                engines[None] = connection
                comments.rooms.find("7")
            engines[None] = engine
            assert registry_of(site).database.engine is engine


class TestBinds:
    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"SQLALCHEMY_BINDS": {"talk": "sqlite:///talk.sqlite3", "users": "sqlite:///users.sqlite3"}}

    @pytest.mark.parametrize("is_ours_first", [True, False])
    def test_name_the_database(
        self,
        new_app: NewApp,
        comments: ChatixComments,
        db: SQLAlchemy,
        tmp_path: Path,
        settings: dict[str, Any],
        is_ours_first: bool,
    ) -> None:
        app = new_app(**settings, SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}", CHATIX_DATABASE_BIND="talk")
        register(app, db, comments, is_ours_first=is_ours_first)
        with app.app_context():
            db.create_all()
            comments.rooms.find("7")
            assert registry_of(app).database.engine is db.engines["talk"]
        assert sorted(db.metadatas["talk"].tables) == OUR_TABLES
        assert list(db.metadata.tables) == ["notes"]
        assert tables_in(tmp_path / "blog" / SITE_FILE) == ["notes"]
        assert tables_in(tmp_path / "blog" / "talk.sqlite3") == OUR_TABLES

    @pytest.mark.parametrize(
        ("bind", "message"),
        [
            (None, "has no default database. Set CHATIX_DATABASE_BIND to one of its binds .'talk', 'users'."),
            ("tlak", "has no database 'tlak', which CHATIX_DATABASE_BIND names. Set .*'talk', 'users'."),
        ],
    )
    def test_that_are_not_there(
        self,
        new_app: NewApp,
        comments: ChatixComments,
        db: SQLAlchemy,
        settings: dict[str, Any],
        bind: str | None,
        message: str,
    ) -> None:
        app = new_app(**settings, CHATIX_DATABASE_BIND=bind)
        db.init_app(app)
        comments.init_app(app)
        with app.app_context(), pytest.raises(RegistryError, match=message):
            comments.rooms.find("7")

    def test_need_flask_sqlalchemy(self, new_app: NewApp, comments: ChatixComments) -> None:
        app = new_app(CHATIX_DATABASE_BIND="talk")
        comments.init_app(app)
        with app.app_context(), pytest.raises(RegistryError, match="'talk', but the app has no Flask-SQLAlchemy"):
            comments.rooms.find("7")

    def test_that_are_wrong_leave_the_page_whole_and_are_told_in_the_log(
        self, make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
    ) -> None:
        site = make_site(CHATIX_DATABASE_BIND="talk")
        page = site.app.jinja_env.from_string("{{ chatix_comments('hello') }}")
        with site.app.test_request_context():
            assert "data-post" in page.render()
        answer = site.app.test_client().post("/chatix-comments/join", json={"post": site.post_token()})
        assert answer.status_code == 503
        assert "CHATIX_DATABASE_BIND is 'talk'" in caplog.text


class TestMetadata:
    def test_of_the_site_makes_the_same_tables_as_we_do(
        self, new_app: NewApp, comments: ChatixComments, tmp_path: Path
    ) -> None:
        """Whatever the site's convention for names is."""
        convention = {"pk": "primary_%(table_name)s", "uq": "unique_%(constraint_name)s", "ck": "%(constraint_name)s"}
        db = SQLAlchemy(metadata=sa.MetaData(naming_convention=convention))
        app = new_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}")
        own = new_app("own")
        db.init_app(app)
        for each in (app, own):
            comments.init_app(each)
        with app.app_context():
            db.create_all()
        with own.app_context():
            comments.rooms.find("7")
        made_by_site, made_by_us = (
            sa.create_engine(f"sqlite:///{tmp_path}/{path}", poolclass=sa.NullPool)
            for path in (f"blog/{SITE_FILE}", f"own/{OWN_FILE}")
        )
        statements = [schema_of(engine) for engine in (made_by_site, made_by_us)]
        assert statements[0] == statements[1]
        assert 'COLLATE "BINARY"' in "".join(statements[0])

    @pytest.mark.parametrize("dialect", ["postgresql", "mysql", "mariadb"])
    def test_of_the_site_makes_them_on_servers_too(self, dialect: str) -> None:
        metadata = sa.MetaData()
        database.add_tables(metadata)
        dialect_of = sa.make_url(f"{dialect}://").get_dialect()()
        for name, table in metadata.tables.items():
            ours = database.metadata.tables[name]
            assert str(sa.schema.CreateTable(table).compile(dialect=dialect_of)) == str(
                sa.schema.CreateTable(ours).compile(dialect=dialect_of)
            )

    def test_has_types_that_a_script_can_repeat(self) -> None:
        metadata = sa.MetaData()
        database.add_tables(metadata)
        types = {type(column.type) for table in metadata.tables.values() for column in table.columns}
        assert types <= {sa.String, sa.BigInteger, sa.Boolean, sa.Integer}

    def test_of_several_apps_gets_them_once(self, new_app: NewApp, comments: ChatixComments, db: SQLAlchemy) -> None:
        for name in ("one", "two"):
            app = new_app(name, SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}")
            comments.init_app(app)
            db.init_app(app)
            with app.app_context():
                db.create_all()
        assert sorted(db.metadata.tables) == sorted([*OUR_TABLES, "notes"])

    def test_that_was_reflected_is_left_alone(self, db: SQLAlchemy) -> None:
        reflected = sa.Table("chatix_visitors", db.metadata, sa.Column("visitor_key", sa.String, primary_key=True))
        database.add_tables(db.metadata)
        assert db.metadata.tables["chatix_visitors"] is reflected
        assert "chatix_chatrooms" in db.metadata.tables

    def test_with_a_schema_has_them_in_it(self, new_app: NewApp, comments: ChatixComments, tmp_path: Path) -> None:
        db = SQLAlchemy(metadata=sa.MetaData(schema="talk"))
        app = new_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{SITE_FILE}")
        db.init_app(app)
        comments.init_app(app)
        with app.app_context():
            attach = f"ATTACH DATABASE '{tmp_path}/talk.sqlite3' AS talk"
            sa.event.listen(db.engine, "connect", lambda connection, record: connection.execute(attach).close())
            comments.rooms.ensure(Post("7"))
            found = comments.rooms.find("7")
            assert found and found.chatroom_id == "room-1"
        assert sorted(table.fullname for table in db.metadata.tables.values()) == [
            f"talk.{name}" for name in OUR_TABLES
        ]
        assert tables_in(tmp_path / "talk.sqlite3") == OUR_TABLES
        assert tables_in(tmp_path / "blog" / SITE_FILE) == []


def schema_of(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [" ".join(str(sql).replace("IF NOT EXISTS ", "").split()) for (sql,) in rows]


class TestTransactions:
    """Of the site and of ours: neither ends the other's."""

    def test_of_ours_commit_no_work_of_the_site(self, site: Flask, comments: ChatixComments, db: SQLAlchemy) -> None:
        with site.app_context():
            notes(db)  # The site's transaction has begun.
            comments.rooms.ensure(Post("7"))
            note(db, "not yet")
            comments.rooms.find("7")
            db.session.rollback()
            assert notes(db) == []
            found = comments.rooms.find("7")
            assert found and found.chatroom_id == "room-1"

    def test_of_ours_that_fail_take_back_no_work_of_the_site(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        with site.app_context():
            registry = registry_of(site)
            registry.find("7")
            note(db, "kept")
            with pytest.raises(RegistryError):
                registry.visitor_id_for("u")
            db.session.commit()
            assert notes(db) == ["kept"]
            assert len(registry.visitor_id_for("u")) == 32

    def test_of_the_site_take_back_no_work_of_ours(self, site: Flask, comments: ChatixComments, db: SQLAlchemy) -> None:
        with site.app_context():
            comments.rooms.ensure(Post("7"))
            note(db, "a note")
            db.session.flush()
            db.session.rollback()
        with site.app_context():
            assert [entry.post_id for entry in registry_of(site).entries()] == ["7"]

    @pytest.mark.parametrize(("commits", "status", "kept"), [(True, 200, ["seen"]), (False, 503, [])])
    def test_of_a_loader_are_the_sites_to_end(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy, commits: bool, status: int, kept: list[str]
    ) -> None:
        """To give a new user an ID we write, which SQLite refuses while the site does; the answer says so at once."""

        @comments.visitor_loader
        def load_visitor() -> Visitor:
            note(db, "seen")
            if commits:
                db.session.commit()
            return Visitor(key=7, name="Seven")

        assert join(site).status_code == status
        with site.app_context():
            assert notes(db) == kept


class TestLocks:
    """SQLite admits one writer to a file."""

    def test_of_the_sites_writing_let_us_read(self, site: Flask, comments: ChatixComments, db: SQLAlchemy) -> None:
        with site.app_context():
            comments.rooms.ensure(Post("7"))
            note(db, "being written")
            found = comments.rooms.find("7")
            assert found and found.chatroom_id == "room-1"

    def test_of_the_same_request_end_in_an_error_that_names_the_remedy(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        with site.app_context():
            registry_of(site).find("7")
            note(db, "being written")
            with pytest.raises(RegistryError, match="database is locked. .*Commit the site's session before") as raised:
                comments.rooms.ensure(Post("7"))
            assert "CHATIX_DATABASE_URL=sqlite:///chatix_comments.sqlite3" in str(raised.value)
            db.session.commit()
            assert comments.rooms.ensure(Post("7")).chatroom_id == "room-1"
            assert notes(db) == ["being written"]

    def test_of_ours_are_gone_when_the_site_goes_on(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        with site.app_context():
            for number in range(20):
                comments.rooms.ensure(Post(number))
                note(db, str(number))
                db.session.commit()
            assert len(notes(db)) == 20

    def test_let_a_request_be_answered(self, site: Flask, comments: ChatixComments, db: SQLAlchemy) -> None:
        site.before_request(lambda: note(db, "of each request"))
        with site.app_context():
            registry_of(site).find("7")
        answer = join(site)
        assert answer.status_code == 503
        assert answer.get_json()["error"] == "unavailable"


class TestEngine:
    """It is the site's: what it was before us, it is after."""

    @pytest.fixture
    def before(self, site: Flask, db: SQLAlchemy) -> dict[str, Any]:
        return what_is_seen_of(site, db)

    def test_is_not_changed(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy, before: dict[str, Any]
    ) -> None:
        with site.app_context():
            comments.rooms.ensure(Post("7"))
            registry_of(site).visitor_id_for("u")
        assert what_is_seen_of(site, db) == before
        assert before["journal_mode"] == "delete"
        assert before["busy_timeout"] == 100

    def test_is_not_closed(self, site: Flask, comments: ChatixComments, db: SQLAlchemy) -> None:
        with site.app_context():
            comments.rooms.find("7")
            pool = db.engine.pool
            get_state(site).close()
            assert db.engine.pool is pool
            assert "Connections in pool: 1" in pool.status()

    def test_of_a_server_is_used_by_us_at_read_committed(
        self, site: Flask, comments: ChatixComments, db: SQLAlchemy
    ) -> None:
        with site.app_context():
            engine = db.engine
            engine.dialect.name = "postgresql"
            ours = registry_of(site).database.engine
        assert ours.get_execution_options() == {"isolation_level": "READ COMMITTED"}
        assert engine.get_execution_options() == {}
        assert ours.pool is engine.pool


def what_is_seen_of(app: Flask, db: SQLAlchemy) -> dict[str, Any]:
    """Return what the site's own connections and its engine are set to."""
    names = ("journal_mode", "busy_timeout", "synchronous", "foreign_keys")
    with app.app_context():
        pragmas = {name: db.session.execute(sa.text(f"PRAGMA {name}")).scalar_one() for name in names}
        listeners = {
            name: len(getattr(db.engine.dispatch, name)) for name in ("begin", "commit", "before_cursor_execute")
        }
        return pragmas | listeners | {"pool": db.engine.pool, "options": db.engine.get_execution_options()}
