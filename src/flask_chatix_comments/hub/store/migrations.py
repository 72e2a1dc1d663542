"""Bring a database of an earlier version up to date, one step for each version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import sqlalchemy as sa

from ...errors import StoreError
from ...models import is_guest_id
from ..names import keys_to_protect
from .tables import members, messages, metadata, protected_names, schema_info, to_ms, uploads, visitors


def _protect_names(connection: sa.Connection) -> None:
    """Version 2: guests may not take the names of those whom the site has named."""
    protected_names.create(connection, checkfirst=True)
    known = sa.select(visitors.c.id, visitors.c.name).where(visitors.c.said_ms > 0, visitors.c.name.is_not(None))
    rows = [
        {"name_key": key, "visitor_id": row.id}
        for row in connection.execute(known)
        if not is_guest_id(row.id)
        for key in sorted(keys_to_protect(row.name))
    ]
    if rows:
        connection.execute(protected_names.insert(), rows)


def _take_files(connection: sa.Connection) -> None:
    """Version 3: messages have files, and deleted chatrooms a time from which they are kept."""
    uploads.create(connection, checkfirst=True)
    for column in (
        "chatrooms ADD COLUMN deleted_ms BIGINT",
        "messages ADD COLUMN file_name VARCHAR(255)",
        "messages ADD COLUMN file_bytes BIGINT",
        "messages ADD COLUMN width_px INTEGER",
        "messages ADD COLUMN height_px INTEGER",
    ):
        connection.exec_driver_sql(f"ALTER TABLE {column}")


def _count_what_is_stored(connection: sa.Connection) -> None:
    """Version 4: of an image, the small ones count as well."""
    # The step before has made the table as it is now.
    if not any(column["name"] == "stored_bytes" for column in sa.inspect(connection).get_columns("uploads")):
        connection.exec_driver_sql("ALTER TABLE uploads ADD COLUMN stored_bytes BIGINT DEFAULT '0' NOT NULL")
    connection.execute(uploads.update().values(stored_bytes=uploads.c.file_bytes))


def _note_visits(connection: sa.Connection) -> None:
    """Version 5: who has not been here for long can be forgotten; nobody is known to have been away before now."""
    now_ms = to_ms(datetime.now(UTC))
    for table in (members, visitors):
        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN seen_ms BIGINT DEFAULT '0' NOT NULL")
        connection.execute(table.update().values(seen_ms=now_ms))
    by_sender = next(index for index in messages.indexes if index.name == "ix_messages_sender")
    by_sender.drop(connection)
    by_sender.create(connection)


#: What leads to each version from the one before. Steps stand by themselves: later ones may change the tables again.
STEPS: Mapping[int, Callable[[sa.Connection], None]] = {
    2: _protect_names,
    3: _take_files,
    4: _count_what_is_stored,
    5: _note_visits,
}
SCHEMA_VERSION = max(STEPS)


def prepare(connection: sa.Connection) -> None:
    """Make the tables in an empty database, or bring those of an earlier version up to date.

    Raises:
        StoreError: The database is of a later version; it is left as it is.
    """
    schema_info.create(connection, checkfirst=True)
    version = connection.scalar(sa.select(schema_info.c.version))
    if version is None:
        metadata.create_all(connection)
        connection.execute(schema_info.insert(), {"version": SCHEMA_VERSION})
        return
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"The hub's database is of a newer version ({version}) than this program ({SCHEMA_VERSION}). Update"
            " flask-chatix-comments, or give back the database of the time before (flask chatix hub restore)."
        )
    if version == SCHEMA_VERSION:
        # Nothing is written: a full disk does not keep a hub from being read.
        return
    for number in range(version + 1, SCHEMA_VERSION + 1):
        STEPS[number](connection)
    connection.execute(schema_info.update().values(version=SCHEMA_VERSION))


def touch(connection: sa.Connection) -> None:
    """Write the version that is there: a page of the file, which no one needs and every database can."""
    connection.execute(schema_info.update().values(version=schema_info.c.version))
