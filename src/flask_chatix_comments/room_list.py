"""All chatrooms of the service, and titles of the site's posts, on disk while they are compared with the registry.

The service lists its chatrooms in an order of its own, the registry by post ID and the site as it likes. Where they
meet is a temporary database, which goes with the process: memory stays flat however many there are.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .models import Chatroom
from .room_marks import mark_for, mark_in

if TYPE_CHECKING:
    from .api import ChatixApi

ROOMS_PER_CALL = 100
_READ_AT_ONCE = 500
_COLUMNS = "chatroom_id, title, is_private, is_deleted, is_closed, external_id, number_of_visitors"
_SCHEMA = f"""
CREATE TABLE rooms (
    number INTEGER PRIMARY KEY, {_COLUMNS}, is_known NOT NULL DEFAULT 0, UNIQUE (chatroom_id)
);
CREATE TABLE titles (post_id PRIMARY KEY, title, is_private) WITHOUT ROWID;
CREATE TABLE marks (mark PRIMARY KEY, post_id) WITHOUT ROWID;
"""


def no_progress(count: int, total: int | None) -> None:
    """Tell nobody."""


class RoomList:
    """What the service has, and what the site calls it. Safe for threads; ``close`` gives the disk back."""

    def __init__(self) -> None:
        # An empty name is a file that SQLite has deleted already, and uses only for what its cache cannot hold.
        self._database = sqlite3.connect("", check_same_thread=False)
        self._lock = threading.Lock()
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> RoomList:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self, api: ChatixApi, *, progress: Callable[[int, int | None], None] = no_progress) -> int:
        """Fetch all chatrooms, deleted ones too, and return how many there are.

        Args:
            progress: Is told after each page how many have come, and of how many.

        Raises:
            ApiError: The service does not list them.
        """
        count, page = 0, 1
        while True:
            answer = api.list_chatrooms(page=page, items_per_page=ROOMS_PER_CALL, include_deleted=True)
            known, count = count, self._add(answer.chatrooms)
            progress(count, answer.total)
            # A service that ignores the page number would list the same ones for ever.
            if not answer.chatrooms or count == known or count == answer.total:
                return count
            page += 1

    def _add(self, chatrooms: Iterable[Chatroom]) -> int:
        rows = [
            (
                *(room.chatroom_id, room.title, room.is_private, room.is_deleted, room.is_closed),
                *(room.external_id, room.number_of_visitors),
            )
            for room in chatrooms
        ]
        with self._transaction() as database:
            database.executemany(f"INSERT OR IGNORE INTO rooms ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            return int(database.execute("SELECT count(*) FROM rooms").fetchone()[0])

    def add_titles(self, titles: Sequence[tuple[str, str, bool]]) -> None:
        """Note what the site calls its posts, by normalised ID, and whether they are private; the last word counts.

        An empty title is none.
        """
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO titles VALUES (?, ?, ?)", titles)
        self.add_posts(post_id for post_id, *_ in titles)

    def add_posts(self, post_ids: Iterable[str]) -> None:
        """Note posts, so that they can be told by the mark in a title."""
        with self._transaction() as database:
            rows = ((mark_for(post_id), post_id) for post_id in post_ids)
            database.executemany("INSERT OR REPLACE INTO marks VALUES (?, ?)", rows)

    def marked_post(self, title: str) -> str | None:
        """Return the post whose mark *title* has, if it was noted."""
        with self._lock:
            row = self._database.execute("SELECT post_id FROM marks WHERE mark = ?", (mark_in(title),)).fetchone()
        return None if row is None else str(row[0])

    def title_of(self, post_id: str) -> str | None:
        """Return what the site calls the post, if it has said so."""
        with self._lock:
            row = self._database.execute("SELECT title FROM titles WHERE post_id = ?", (post_id,)).fetchone()
        return str(row[0]) or None if row is not None else None

    def is_private(self, post_id: str) -> bool:
        """Return whether the site has said that the post is private."""
        with self._lock:
            query = "SELECT 1 FROM titles WHERE post_id = ? AND is_private"
            return self._database.execute(query, (post_id,)).fetchone() is not None

    def find(self, chatroom_id: str) -> Chatroom | None:
        """Return a chatroom as it was when it was fetched."""
        with self._lock:
            query = f"SELECT {_COLUMNS} FROM rooms WHERE chatroom_id = ?"  # nosec B608  # only our own names are put in
            row = self._database.execute(query, (chatroom_id,)).fetchone()
        return None if row is None else _from_row(row)

    def count_of(self, chatroom_ids: Collection[str]) -> int:
        """Return how many of these chatrooms there are, and note that the registry knows them."""
        with self._transaction() as database:
            change = "UPDATE rooms SET is_known = 1 WHERE chatroom_id = ?"
            return database.executemany(change, [(chatroom_id,) for chatroom_id in chatroom_ids]).rowcount

    def unknown(self) -> Iterator[Chatroom]:
        """Yield the living chatrooms that ``count_of`` was never asked about, as they were fetched."""
        after = 0
        while True:
            with self._lock:
                rows = self._database.execute(
                    f"SELECT number, {_COLUMNS} FROM rooms WHERE number > ? AND NOT is_known AND NOT is_deleted"  # nosec B608  # only our own names are put in
                    " ORDER BY number LIMIT ?",
                    (after, _READ_AT_ONCE),
                ).fetchall()
            if not rows:
                return
            yield from (_from_row(row[1:]) for row in rows)
            after = rows[-1][0]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database


def _from_row(row: tuple[Any, ...]) -> Chatroom:
    chatroom_id, title, is_private, is_deleted, is_closed, external_id, number_of_visitors = row
    return Chatroom(
        chatroom_id,
        title,
        is_private=bool(is_private),
        is_deleted=bool(is_deleted),
        is_closed=bool(is_closed),
        external_id=external_id,
        number_of_visitors=number_of_visitors,
    )
