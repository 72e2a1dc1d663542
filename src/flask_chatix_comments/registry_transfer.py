"""Take the registry out of one database and into another: all of it, or nothing that would contradict what is there.

An import first reads everything, into a temporary database on disk, and compares it with the registry. Only when
nothing is wrong it writes, some rows at a time, so that a site goes on meanwhile; what is there already is no error,
so that one that was interrupted is taken up by the same import again.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from .database import begin_sqlite
from .errors import RegistryError, TransferError
from .registry import RoomRegistry
from .registry_batches import NAMES, Batch, identity
from .registry_lines import FIRST, LAST, TABLES, VERSION, Row, columns_of, line_of, parse_line, shown

#: So many of the things that are wrong are told.
MAX_PROBLEMS = 100
_ROWS_AT_ONCE = 500
_MAX_BYTES_IN_MEMORY = 1024 * 1024

Progress = Callable[[int, int | None], None]


def _no_progress(count: int, total: int | None) -> None: ...


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What an export has written, or an import has found.

    Attributes:
        chatrooms, visitors, hosted_visitors: How many of each there were.
        added: How many of them are new in the registry.
        kept: How many posts have the same chatroom here, with another title, state or privacy: those stay.
    """

    chatrooms: int
    visitors: int
    hosted_visitors: int
    added: int = 0
    kept: int = 0


def export_lines(registry: RoomRegistry, *, website_id: str, progress: Progress = _no_progress) -> Iterator[str]:
    """Yield the registry, line by line, as it was at one moment.

    Raises:
        RegistryError: It cannot be read; nothing has been yielded then.
    """
    counts = dict.fromkeys(TABLES, 0)
    total = registry.count()
    with tempfile.SpooledTemporaryFile(_MAX_BYTES_IN_MEMORY, "w+", encoding="ascii") as spool:
        with registry.transaction() as connection:
            _hold_still(connection)
            for kind, table in TABLES.items():
                for row in _rows_of(connection, table):
                    spool.write(line_of(kind, row) + "\n")
                    counts[kind] += 1
                    progress(sum(counts.values()), max(total, sum(counts.values())))
        spool.seek(0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        yield line_of(FIRST, {"version": VERSION, "website_id": website_id, "exported_at": now})
        yield from (line.rstrip("\n") for line in spool)
        yield line_of(LAST, {f"{kind}s": count for kind, count in counts.items()})


def _text_lines(lines: Iterable[str]) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as exc:
        raise TransferError("The file is not UTF-8.") from exc


def _hold_still(connection: Connection) -> None:
    """Let the connection see one moment, until its transaction ends."""
    if connection.dialect.name == "sqlite":
        begin_sqlite(connection, "BEGIN")
    else:
        connection.execution_options(isolation_level="REPEATABLE READ")


def _rows_of(connection: Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    keys = list(table.primary_key.columns)
    query = sa.select(*columns_of(table)).order_by(*keys).limit(_ROWS_AT_ONCE)
    rows: Sequence[sa.Row[Any]] = connection.execute(query).all()
    while rows:
        yield from (dict(row._mapping) for row in rows)
        last = [rows[-1]._mapping[key.name] for key in keys]
        rows = connection.execute(query.where(_is_behind(keys, last))).all()


def _is_behind(keys: Sequence[sa.Column[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes after the one whose keys are *last*."""
    (first, *more), (value, *values) = keys, last
    is_greater: sa.ColumnElement[bool] = first > value
    return sa.or_(is_greater, sa.and_(first == value, _is_behind(more, values))) if more else is_greater


class RegistryImport:
    """One import: ``read`` all lines, then ``write``; ``close`` gives the disk back.

    Args:
        website_id: That of the site; what comes from another is refused.
    """

    def __init__(self, registry: RoomRegistry, *, website_id: str) -> None:
        self._registry = registry
        self._website_id = website_id
        self._spool = sqlite3.connect("", isolation_level=None)
        self._spool.execute(
            "CREATE TABLE rows (number INTEGER PRIMARY KEY, kind, first, second, line, data,"
            " UNIQUE (kind, first), UNIQUE (kind, second))"
        )
        self._spool.execute("BEGIN")
        self._counts = dict.fromkeys(TABLES, 0)
        self._problems: list[str] = []
        self._problem_count = 0

    def close(self) -> None:
        """Forget what was read."""
        self._spool.close()

    def __enter__(self) -> RegistryImport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # To read

    def read(self, lines: Iterable[str], *, progress: Progress = _no_progress) -> None:
        """Read everything, and hold it against the registry; nothing is written.

        Raises:
            TransferError: Something is wrong with lines, or contradicts the registry; ``problems`` says what.
            RegistryError: The registry cannot be read.
        """
        is_begun = is_ended = False
        for number, line in enumerate(_text_lines(lines), start=1):
            if not line.strip():
                continue
            try:
                kind, data = parse_line(line)
                if is_ended:
                    raise TransferError("It stands behind the last line.")
                if is_begun is (kind == FIRST):
                    raise TransferError('An export begins with its "registry" line, and has one.')
                is_begun = True
                is_ended = kind == LAST
                self._take(kind, data, number)
            except TransferError as exc:
                self._note(f"Line {number}: {exc}")
                if not is_begun:
                    break
            progress(number, None)
        if is_begun and not is_ended:
            self._note("The last line is missing: the file is not whole.")
        elif not is_begun and not self._problems:
            self._note("There is nothing in it.")
        self._refuse_problems()
        for batch in self._batches():
            self._compare(batch)
        self._refuse_problems()

    def _take(self, kind: str, data: Row, number: int) -> None:
        if kind == FIRST:
            self._check_first(data)
        elif kind == LAST:
            if data != {f"{name}s": count for name, count in self._counts.items()}:
                raise TransferError(f"There are not as many lines as it says: {shown(data)}, but {self._counts}.")
        else:
            self._counts[kind] += 1
            self._keep(kind, data, number)

    def _check_first(self, data: Row) -> None:
        if data.get("version") != VERSION:
            raise TransferError(f"It is of version {shown(data.get('version'))}; this package reads version {VERSION}.")
        if data.get("website_id") != self._website_id:
            raise TransferError(
                f"It is the registry of the website {shown(data.get('website_id'))}, and this one is"
                f" {self._website_id!r}: its chatrooms are not here."
            )

    def _keep(self, kind: str, data: Row, number: int) -> None:
        first, second = identity(kind, data)
        try:
            self._spool.execute(
                "INSERT INTO rows (kind, first, second, line, data) VALUES (?, ?, ?, ?, ?)",
                (kind, first, second, number, json.dumps(data)),
            )
        except sqlite3.IntegrityError as exc:
            query = "SELECT line FROM rows WHERE kind = ? AND (first = ? OR second = ?) LIMIT 1"
            (other,) = self._spool.execute(query, (kind, first, second)).fetchone()
            raise TransferError(f"It contradicts line {other}, which has the same {NAMES[kind]}.") from exc

    def _note(self, problem: str) -> None:
        self._problem_count += 1
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)

    def _refuse_problems(self) -> None:
        if not self._problem_count:
            return
        more = self._problem_count - 1
        raise TransferError(
            f"Nothing has been imported. {self._problems[0]}" + (f" And {more} more." if more else ""),
            problems=tuple(self._problems),
        )

    def _batches(self) -> Iterator[Batch]:
        for kind in TABLES:
            after = 0
            query = "SELECT number, line, data FROM rows WHERE kind = ? AND number > ? ORDER BY number LIMIT ?"
            while rows := self._spool.execute(query, (kind, after, _ROWS_AT_ONCE)).fetchall():
                yield Batch(kind, [(line, json.loads(data)) for _, line, data in rows])
                after = rows[-1][0]

    def _compare(self, batch: Batch) -> None:
        with self._registry.transaction() as connection:
            known = batch.known(connection)
        for line, row in batch.rows:
            if problem := known.problem(row):
                self._note(f"Line {line}: {problem}")

    # To write

    def write(self, *, progress: Progress = _no_progress) -> TransferResult:
        """Write what is not there yet.

        Raises:
            TransferError: Somebody has changed the registry meanwhile, so that something contradicts it.
            RegistryError: The registry cannot be written. The same import again does the rest.
        """
        added = kept = done = 0
        total = sum(self._counts.values())
        for batch in self._batches():
            new, differing = self._write(batch)
            for post_id in batch.post_ids:
                self._registry.on_change(post_id)
            added, kept, done = added + new, kept + differing, done + len(batch.rows)
            progress(done, total)
        counts = {f"{kind}s": count for kind, count in self._counts.items()}
        return TransferResult(**counts, added=added, kept=kept)

    def _write(self, batch: Batch) -> tuple[int, int]:
        try:
            return self._registry.together(batch.write)
        except RegistryError as exc:
            if not isinstance(exc.__cause__, IntegrityError):
                raise
        # Somebody was faster with one of them.
        return self._registry.together(batch.write)
