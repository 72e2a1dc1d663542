"""Who is who: the site's users and the ids by which the hub, or the hosted service, knows them. Storage only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa

from .database import MAX_KEY_CHARS, DatabaseNow, hosted_visitors, visitors
from .errors import RegistryError
from .registry_connections import RegistryConnections


class RegistryVisitors(RegistryConnections):
    """A part of ``RoomRegistry``."""

    def visitor_id_for(self, visitor_key: str) -> str:
        """Return the public id of the site's user *visitor_key*, made at random on first use.

        Raises:
            RegistryError: The key is empty, longer than 255 characters or cannot be stored.
        """
        _check_visitor_key(visitor_key)
        query = sa.select(visitors.c.visitor_id).where(visitors.c.visitor_key == visitor_key)
        with self._statement() as connection:
            known = connection.execute(query).scalar_one_or_none()
        if known is not None:
            return str(known)
        fresh = {"visitor_key": visitor_key, "visitor_id": secrets.token_hex(16), "created_at": DatabaseNow()}
        self._insert(sa.insert(visitors).values(**fresh))
        with self._statement() as connection:  # Someone else may have inserted theirs first.
            return str(connection.execute(query).scalar_one())

    def visitor_keys(self, visitor_ids: Sequence[str], *, is_hosted: bool) -> dict[str, str]:
        """Return which of the site's users these visitors are, by their ids; who is none is left out.

        Args:
            is_hosted: Whether they are ids of the hosted service, of which a user has one in each browser.
        """
        table, column = (hosted_visitors, "service_id") if is_hosted else (visitors, "visitor_id")
        query = sa.select(table.c[column], table.c.visitor_key).where(table.c[column].in_(visitor_ids))
        with self._transaction() as connection:
            return {str(visitor_id): str(key) for visitor_id, key in connection.execute(query)}

    def find_visitor_id(self, visitor_key: str) -> str | None:
        """Return the public id of the site's user, if there is one already."""
        query = sa.select(visitors.c.visitor_id).where(visitors.c.visitor_key == visitor_key)
        with self._transaction() as connection:
            return connection.scalar(query)

    def forget_visitor(self, visitor_id: str) -> int:
        """Forget which of the site's users has this id, at the hub or at the hosted service; return how many rows."""
        with self._transaction() as connection:
            keys = [
                key
                for table, column in (
                    (visitors, visitors.c.visitor_id),
                    (hosted_visitors, hosted_visitors.c.service_id),
                )
                for key in connection.scalars(sa.select(table.c.visitor_key).where(column == visitor_id))
            ]
            return sum(
                connection.execute(sa.delete(table).where(table.c.visitor_key.in_(keys))).rowcount
                for table in (visitors, hosted_visitors)
            )

    def find_service_id(self, visitor_key: str, browser_id: str) -> str | None:
        """Return the id by which the hosted service knows the user *visitor_key* in one browser, or ``None``.

        Raises:
            RegistryError: The key is empty, longer than 255 characters or cannot be stored.
        """
        _check_visitor_key(visitor_key)
        with self._statement() as connection:
            query = sa.select(hosted_visitors.c.service_id).where(*_browser_of(visitor_key, browser_id))
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else str(found)

    def keep_service_id(self, visitor_key: str, browser_id: str, service_id: str, *, instead_of: str | None) -> str:
        """Keep an id that the hosted service has given, unless another request was faster.

        Args:
            instead_of: What ``find_service_id`` has returned just now.

        Returns:
            The id that counts.
        """
        if instead_of is None:
            row = {"visitor_key": visitor_key, "browser_id": browser_id}
            fresh = {"service_id": service_id, "created_at": DatabaseNow()}
            self._insert(sa.insert(hosted_visitors).values(**row, **fresh))
        else:
            is_the_old_one = hosted_visitors.c.service_id == instead_of
            update = sa.update(hosted_visitors).where(*_browser_of(visitor_key, browser_id), is_the_old_one)
            self._write(update.values(service_id=service_id))
        return self.find_service_id(visitor_key, browser_id) or service_id


def _check_visitor_key(visitor_key: str) -> None:
    if not 0 < len(visitor_key) <= MAX_KEY_CHARS or "\0" in visitor_key:
        raise RegistryError(f"A visitor's key has 1 to {MAX_KEY_CHARS} characters and no NUL.")


def _browser_of(visitor_key: str, browser_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (hosted_visitors.c.visitor_key == visitor_key, hosted_visitors.c.browser_id == browser_id)
