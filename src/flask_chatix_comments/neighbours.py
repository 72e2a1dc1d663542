"""Fit in with the extensions that the site has beside ours: Flask-SQLAlchemy, Flask-Migrate, Flask-WTF.

None of them is imported here: what an application has, it has loaded. Each may be registered after us, so
that they are met when the application first pushes a context, and the database is looked for on first use.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, appcontext_pushed, current_app, has_app_context
from sqlalchemy.engine import Engine
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .config import ChatixConfig
from .database import Database, add_tables, create_registry_engine
from .errors import RegistryError

logger = logging.getLogger(__name__)


class Neighbours:
    """The other extensions of one application."""

    def __init__(self, app: Flask, config: ChatixConfig) -> None:
        self._app = app
        self._config = config

    def introduce(self, views: Blueprint) -> None:
        """Tell those that are there what they need to know of us, and the others once they have come.

        Args:
            views: Ours, which check by themselves where a request comes from.
        """
        self._views = views
        self._unmet: dict[str, Callable[[Any], None]] = {"sqlalchemy": self._share_tables, "csrf": self._exempt_views}
        # Weakly: the application keeps this object, and takes it along when it goes.
        appcontext_pushed.connect(self._meet, self._app)
        self._meet(self._app)

    def _meet(self, app: Flask, **_: object) -> None:
        for name in list(self._unmet):
            if name in app.extensions and (greet := self._unmet.pop(name, None)):
                greet(app.extensions[name])
        if not self._unmet:
            appcontext_pushed.disconnect(self._meet, app)

    def _share_tables(self, db: Any) -> None:
        """Let Flask-Migrate and ``db.create_all()`` see our tables, where the registry will look for them."""
        if not self._config.is_database_set and _is_of("flask_sqlalchemy", db):
            metadata = db.metadatas.get(self._config.database_bind)
            if metadata is not None:  # What else is wrong is said when the database is used.
                add_tables(metadata)

    def _exempt_views(self, csrf: Any) -> None:
        """Spare our own views, and nothing else, Flask-WTF's token: it would make pages differ."""
        if _is_of("flask_wtf", csrf):
            csrf.exempt(self._views)

    def find_database(self) -> Database:
        """Return the site's database, or, when it has none, the one in a file of our own.

        Raises:
            RegistryError: There is none that can be used.
        """
        app, config = self._app, self._config
        db: Any = app.extensions.get("sqlalchemy")
        if config.is_database_set or not _is_of("flask_sqlalchemy", db):
            return self._own_database()
        engine = _site_engine(app, db, config.database_bind)
        if isinstance(engine.pool, (StaticPool, SingletonThreadPool)):
            return self._apart_from(engine)
        schema = db.metadatas[config.database_bind].schema
        creates_tables = "migrate" not in app.extensions if config.creates_tables is None else config.creates_tables
        return Database(_for_us(engine, schema), is_shared=True, creates_tables=creates_tables, schema=schema)

    def _own_database(self) -> Database:
        config = self._config
        if config.database_bind is not None:
            raise RegistryError(
                f"CHATIX_DATABASE_BIND is {config.database_bind!r}, but the app has no Flask-SQLAlchemy. Call"
                " db.init_app, or set CHATIX_DATABASE_URL instead."
            )
        return Database(create_registry_engine(config.database_url), creates_tables=config.creates_tables is not False)

    def _apart_from(self, engine: Engine) -> Database:
        """Never share a connection that is the site's as well: to commit on it would commit the site's work."""
        if engine.dialect.name != "sqlite" or engine.url.database not in (None, "", ":memory:"):
            raise RegistryError(
                f"The site's engine lends one connection to all ({type(engine.pool).__name__}), on which a commit of"
                " ours would be one of the site's. Take another poolclass, or set CHATIX_DATABASE_URL."
            )
        logger.info("The site's database is in memory, with one connection for all; the room registry has its own.")
        return Database(create_registry_engine("sqlite://"))


def _is_of(package: str, extension: object) -> bool:
    """Whether *extension* is of a class of *package*, or derived from one: others use the same names."""
    return any(cls.__module__.split(".")[0] == package for cls in type(extension).__mro__)


def _for_us(engine: Engine, schema: str | None) -> Engine:
    """Return *engine* with the same connections and events, used by us as we need it; the site's use of it stays."""
    options: dict[str, Any] = {} if schema is None else {"schema_translate_map": {None: schema}}
    if engine.dialect.name != "sqlite":
        # Of one statement each, ours need no more. Stricter ones would fail, or lock, where several claim a post.
        options["isolation_level"] = "READ COMMITTED"
    return engine.execution_options(**options) if options else engine


def _site_engine(app: Flask, db: Any, bind: str | None) -> Engine:
    # Equal, not identical: it is a proxy. To push a second context would run what the site does at the end of one.
    with contextlib.nullcontext() if has_app_context() and current_app == app else app.app_context():
        engines = db.engines
    if bind not in engines:
        what = (
            "has no default database" if bind is None else f"has no database {bind!r}, which CHATIX_DATABASE_BIND names"
        )
        known = ", ".join(repr(key) for key in engines if key is not None) or "none"
        raise RegistryError(
            f"Flask-SQLAlchemy {what}. Set CHATIX_DATABASE_BIND to one of its binds ({known}), or CHATIX_DATABASE_URL."
        )
    engine: Engine = engines[bind].engine  # A test may have put a connection in its place.
    return engine
