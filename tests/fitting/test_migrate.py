"""Flask-Migrate: our tables come by the site's migrations, and then by nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from flask_chatix_comments import ChatixComments, Post, RegistryError, database
from flask_chatix_comments.registry_schema import VERSION_TABLE
from flask_chatix_comments.state import get_state
from tests.documents import block
from tests.fitting.conftest import NewApp
from tests.flask_forks import FlaskForks

OUR_TABLES = sorted(database.metadata.tables)
MODELS = """
class Note(db.Model):
    id = db.Column(db.Integer, primary_key=True)
"""


@dataclass
class Blog:
    """A site in a folder of its own, whose commands are run as its owner does."""

    folder: Path
    forks: FlaskForks
    settings: dict[str, str] = field(default_factory=dict)

    def write(self, *parts: str) -> None:
        (self.folder / "blog.py").write_text("\n\n".join(parts))

    def flask(self, *arguments: str, fails: bool = False) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "CHATIX_"))}
        settings = {"SECRET_KEY": "a key of the tests, 32 bytes or so"} | self.settings
        environment = kept | {f"FLASK_{name}": value for name, value in settings.items()}
        # What Flask-Migrate itself writes into env.py uses a name of Flask-SQLAlchemy that is deprecated.
        old_name = {"action": "ignore", "message": "'get_engine' is deprecated", "category": "DeprecationWarning"}
        result = self.forks.run(
            ["--app", "blog", *arguments],
            folder=self.folder,
            environment=environment,
            warnings=[{"action": "error"}, old_name],
        )
        assert (result.returncode != 0) is fails, result.stdout
        return result.stdout

    def script(self) -> str:
        (path,) = (self.folder / "migrations/versions").glob("*.py")
        return path.read_text()

    def tables(self, name: str = "blog.sqlite3") -> list[str]:
        engine = sa.create_engine(f"sqlite:///{self.folder / 'instance' / name}", poolclass=sa.NullPool)
        return sorted(sa.inspect(engine).get_table_names())


@pytest.fixture(scope="module")
def forks() -> Iterator[FlaskForks]:
    forks = FlaskForks()
    yield forks
    forks.stop()


@pytest.fixture
def blog(tmp_path: Path, forks: FlaskForks) -> Blog:
    return Blog(tmp_path, forks, {"SQLALCHEMY_DATABASE_URI": "sqlite:///blog.sqlite3"})


WITHOUT_MIGRATE = (block("Flask-SQLAlchemy"), MODELS, "app = create_app()")
WITH_MIGRATE = (*WITHOUT_MIGRATE, block("Flask-Migrate"))
OURS_FIRST = tuple(
    part.replace("    db.init_app(app)\n    comments.init_app(app)", "    comments.init_app(app)\n    db.init_app(app)")
    for part in WITH_MIGRATE
)


def test_migrations_make_our_tables_and_then_find_nothing_to_do(blog: Blog) -> None:
    assert OURS_FIRST != WITH_MIGRATE
    blog.write(*OURS_FIRST)
    lines = block("Flask-Migrate", language="console").splitlines()
    once, *commands = [line.partition("#")[0].strip() for line in lines]
    assert once == "flask db init"
    blog.flask("db", "init")
    missing = blog.flask("chatix", "show", "7", fails=True)
    assert "lacks chatix_chatrooms, chatix_visitors and chatix_hosted_visitors. " in missing
    for command in commands:
        assert command.removeprefix("flask ").removesuffix(' -m "Comments"') in missing
        blog.flask(*re.sub('"', "", command).split()[1:])
    assert blog.tables() == sorted(["alembic_version", "note", *OUR_TABLES])
    assert "flask_chatix_comments" not in blog.script()
    assert "No new upgrade operations detected" in blog.flask("db", "check")
    assert "No chatroom is registered" in blog.flask("chatix", "show", "7", fails=True)
    blog.flask("db", "downgrade")
    assert blog.tables() == ["alembic_version"]


def test_migrations_leave_tables_alone_that_were_there_before(blog: Blog) -> None:
    blog.write(*WITHOUT_MIGRATE)
    assert "No chatroom is registered" in blog.flask("chatix", "show", "7", fails=True)
    assert blog.tables() == OUR_TABLES
    blog.write(*WITH_MIGRATE)
    blog.flask("db", "init")
    blog.flask("db", "migrate")
    assert "chatix_" not in blog.script()
    blog.flask("db", "upgrade")
    assert "No new upgrade operations detected" in blog.flask("db", "check")


def test_migrations_of_several_binds_make_them_in_the_right_one(blog: Blog) -> None:
    blog.settings |= {"SQLALCHEMY_BINDS": '{"talk": "sqlite:///talk.sqlite3"}', "CHATIX_DATABASE_BIND": "talk"}
    blog.write(*WITH_MIGRATE)
    blog.flask("db", "init", "--multidb")
    blog.flask("db", "migrate")
    blog.flask("db", "upgrade")
    assert blog.tables() == ["alembic_version", "note"]
    assert blog.tables("talk.sqlite3") == sorted(["alembic_version", *OUR_TABLES])
    assert "No chatroom is registered" in blog.flask("chatix", "show", "7", fails=True)


def test_a_registry_elsewhere_is_no_part_of_them(blog: Blog) -> None:
    blog.settings |= {"CHATIX_DATABASE_URL": "sqlite:///own.sqlite3"}
    blog.write(*WITH_MIGRATE)
    blog.flask("db", "init")
    blog.flask("db", "migrate")
    blog.flask("db", "upgrade")
    assert blog.tables() == ["alembic_version", "note"]
    assert "No chatroom is registered" in blog.flask("chatix", "show", "7", fails=True)
    assert blog.tables("own.sqlite3") == OUR_TABLES


def test_our_own_upgrades_leave_tables_alone_that_the_site_migrates(blog: Blog) -> None:
    blog.write(*WITH_MIGRATE)
    for command in ("upgrade", "current", "stamp"):
        refused = blog.flask("chatix", "db", command, fails=True)
        assert "Error: The site's migrations have the registry's tables" in refused
        assert "flask db migrate, then flask db upgrade" in refused
    blog.settings |= {"CHATIX_DATABASE_URL": "sqlite:///own.sqlite3"}
    blog.flask("chatix", "db", "upgrade")
    assert blog.tables("own.sqlite3") == sorted([*OUR_TABLES, VERSION_TABLE])


def test_a_site_that_takes_up_migrations_after_our_upgrades(blog: Blog) -> None:
    blog.write(*WITHOUT_MIGRATE)
    blog.flask("chatix", "db", "upgrade")
    assert blog.tables() == sorted([*OUR_TABLES, VERSION_TABLE])
    blog.write(*WITH_MIGRATE)
    blog.flask("db", "init")
    blog.flask("db", "migrate")
    # Nothing of ours but the note of a revision that means nothing any more.
    assert re.findall(r"chatix_\w+", blog.script().partition("def downgrade")[0]) == [VERSION_TABLE]
    blog.flask("db", "upgrade")
    assert blog.tables() == sorted(["alembic_version", "note", *OUR_TABLES])
    assert "No new upgrade operations detected" in blog.flask("db", "check")
    assert "No chatroom is registered" in blog.flask("chatix", "show", "7", fails=True)


@pytest.mark.parametrize(
    ("has_migrate", "create_tables", "are_made"),
    [(False, None, True), (True, None, False), (True, True, True), (False, "false", False)],
)
def test_who_makes_the_tables(
    new_app: NewApp, comments: ChatixComments, has_migrate: bool, create_tables: object, are_made: bool
) -> None:
    db = SQLAlchemy()
    app = new_app(SQLALCHEMY_DATABASE_URI="sqlite:///site.sqlite3", CHATIX_CREATE_TABLES=create_tables)
    comments.init_app(app)
    db.init_app(app)
    if has_migrate:
        Migrate(app, db)
    with app.app_context():
        if are_made:
            assert comments.rooms.ensure(Post("7")).chatroom_id == "room-1"
            return
        with pytest.raises(RegistryError, match="flask db upgrade; .*CHATIX_CREATE_TABLES=true") as raised:
            comments.rooms.ensure(Post("7"))
        assert raised.value.post_id == "7"
        assert sa.inspect(db.engine).get_table_names() == []
        db.create_all()
        assert comments.rooms.ensure(Post("7")).chatroom_id == "room-1"


def test_tables_of_our_own_file_can_be_made_by_others_too(new_app: NewApp, comments: ChatixComments) -> None:
    app = new_app(CHATIX_CREATE_TABLES="no")
    comments.init_app(app)
    names = "chatix_chatrooms, chatix_visitors and chatix_hosted_visitors"
    with app.app_context(), pytest.raises(RegistryError, match=f"lacks {names}[.] Run flask chatix db upgrade"):
        comments.rooms.find("7")
    database.metadata.create_all(get_state(app).registry.database.engine)
    with app.app_context():
        assert comments.rooms.find("7") is None
