"""How the registry comes to its tables: connections, tables that are missing, and statements that are sent again."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .database import Database, metadata
from .errors import RegistryError

T = TypeVar("T")

# After deadlocks, locks that were not to be had and lost connections; one more try than pauses.
_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
# So long after the first failure nothing is tried any more: a database may take a minute to say that a row is locked.
_RETRY_S = 20.0


def tells(write: Callable[..., bool]) -> Callable[..., bool]:
    """Have the registry say which post's row *write* may have changed."""

    @functools.wraps(write)
    def told(self: RegistryConnections, statement: sa.UpdateBase, post_id: str | None = None, *rest: str) -> bool:
        try:
            return write(self, statement, post_id, *rest)
        finally:
            if post_id is not None:
                self.on_change(post_id)

    return told


class RegistryConnections:
    """What all parts of ``RoomRegistry`` stand on; its arguments are described there."""

    #: Is told of each post whose row this process has changed, or may have.
    on_change: Callable[[str], object] = staticmethod(lambda post_id: None)

    def __init__(
        self,
        source: Engine | Callable[[], Database],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = functools.partial(Database, source) if isinstance(source, Engine) else source
        self._found: list[Database] = []
        self._has_tables = False
        self._sleep = sleep
        self._clock = clock

    @property
    def database(self) -> Database:
        """Where the tables are."""
        # No lock: a fork might copy it locked. Of all that look at once, the first one's find counts.
        if not self._found:
            self._found.append(self._find())
        return self._found[0]

    def close(self) -> None:
        """Close our own connections that are not in use; the next call opens new ones."""
        for database in self._found[:1]:
            if not database.is_shared:
                database.engine.dispose()

    @tells
    def _write(self, statement: sa.Update | sa.Delete, post_id: str | None = None) -> bool:
        """Run *statement*; tell whether it met its row."""
        return self._run(lambda connection: connection.execute(statement).rowcount > 0, post_id)

    def _insert(self, statement: sa.Insert, post_id: str | None = None) -> bool:
        """Run *statement*; tell whether the row is new."""

        def insert(connection: Connection) -> bool:
            try:
                connection.execute(statement)
            except IntegrityError:
                connection.rollback()
                return False
            return True

        return self._run(insert, post_id)

    def together(self, work: Callable[[Connection], T], post_id: str | None = None) -> T:
        """Do *work* in one transaction, from its beginning as often as the database asks for it.

        Its answer may be lost with the connection: *work* must bear being done again after it has been done.
        """
        return self._again(self._transaction, work, post_id)

    def _run(self, work: Callable[[Connection], bool], post_id: str | None) -> bool:
        """Do *work*, one conditional statement, as often as the database asks for it."""
        return self._again(self._statement, work, post_id)

    def _again(
        self,
        lend: Callable[[str | None], AbstractContextManager[Connection]],
        work: Callable[[Connection], T],
        post_id: str | None,
    ) -> T:
        ends_at: float | None = None
        for pause_s in _PAUSES_S:
            try:
                with lend(post_id) as connection:
                    return work(connection)
            except RegistryError as exc:
                if not self.database.is_passing(exc.__cause__):
                    raise
                ends_at = self._clock() + _RETRY_S if ends_at is None else ends_at
                if self._clock() > ends_at:
                    raise
            # At random, lest two that are in each other's way meet again.
            self._sleep(pause_s * random.uniform(0.5, 1.5))  # nosec B311  # spreads retries
        with lend(post_id) as connection:
            return work(connection)

    def transaction(self) -> AbstractContextManager[Connection]:
        """Open a transaction on the registry's tables; at its end, unless something was raised, it is committed."""
        return self._transaction()

    @contextlib.contextmanager
    def _transaction(self, post_id: str | None = None) -> Iterator[Connection]:
        """Lend a connection for statements that count together, or not at all."""
        with self._connected(lambda database: database.engine, post_id) as connection:
            yield connection

    @contextlib.contextmanager
    def _statement(self, post_id: str | None = None) -> Iterator[Connection]:
        """Lend a connection for one statement, which the database commits by itself."""
        with self._connected(lambda database: database.committing_engine, post_id) as connection:
            yield connection

    @contextlib.contextmanager
    def _connected(self, engine_of: Callable[[Database], Engine], post_id: str | None) -> Iterator[Connection]:
        database = self.database
        try:
            self._prepare_tables(database, post_id)
            with engine_of(database).connect() as connection:
                yield connection
                connection.commit()
        except (SQLAlchemyError, UnicodeEncodeError) as exc:
            self._has_tables = False  # Look again next time: perhaps they are what is missing.
            raise RegistryError(database.explain(exc), post_id=post_id) from exc
        except database.driver_error as exc:
            database.renew_pool()
            raise RegistryError(database.explain(exc), post_id=post_id) from exc

    def _prepare_tables(self, database: Database, post_id: str | None) -> None:
        # No lock: a fork might copy it locked, and the statements bear being run by many at once.
        if self._has_tables:
            return
        if missing := _missing_tables(database):
            if not database.creates_tables:
                raise RegistryError(database.explain_missing(missing), post_id=post_id)
            try:
                with database.engine.begin() as connection:
                    for table in metadata.sorted_tables:
                        connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            except SQLAlchemyError:
                # PostgreSQL lets two IF NOT EXISTS collide; the other one's tables are as good.
                if _missing_tables(database):
                    raise
        self._has_tables = True


def _missing_tables(database: Database) -> list[str]:
    inspector = sa.inspect(database.engine)
    return [name for name in metadata.tables if not inspector.has_table(name, database.schema)]
