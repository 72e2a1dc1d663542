"""Some hundreds of posts at once: looked up, claimed and recorded together. A part of the registry."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from .database import DatabaseNow, chatrooms, insert_unless_there
from .registry_connections import RegistryConnections
from .registry_rows import NO_CLAIM, Claim, RegistryEntry, RoomState, entry_from_row


class RegistryBulk(RegistryConnections):
    """A part of ``RoomRegistry``."""

    def find_many(self, post_ids: Sequence[str]) -> dict[str, RegistryEntry]:
        """Return the entries of those of *post_ids* that have one, by one query; some hundreds at once."""
        if not post_ids:
            return {}
        query = sa.select(chatrooms).where(chatrooms.c.post_id.in_(post_ids))
        try:
            # Without a look at whether the tables are there: a page is rendered meanwhile.
            with self.database.engine.connect() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError:
            with self._transaction() as connection:
                rows = connection.execute(query).all()
        return {row.post_id: entry_from_row(row) for row in rows}

    def claim_many(self, posts: Sequence[tuple[str, str, bool]], *, owner: str, lease_s: float) -> list[Claim]:
        """Take the right to create the chatrooms of posts that are not in the registry, in one transaction.

        Args:
            posts: Post ID, title and whether private; no post twice, some hundreds at once.

        Returns:
            The claims, first ones all. Posts that have a row already, whatever is in it, have none here.
        """
        # In one order everywhere: two of these at once then wait for each other, and do not lock each other out.
        claims = [Claim(*post, token=secrets.token_hex(16), number=1) for post in sorted(posts)]
        rows = [
            {
                "post_id": claim.post_id,
                "title": claim.title,
                "is_private": claim.is_private,
                "state": RoomState.CREATING.value,
                "claim_token": claim.token,
                "claim_owner": owner[:255],
                "claim_number": claim.number,
            }
            for claim in claims
        ]
        query = sa.select(chatrooms.c.claim_token).where(chatrooms.c.post_id.in_([claim.post_id for claim in claims]))
        times = {
            "created_at": DatabaseNow(),
            "updated_at": DatabaseNow(),
            "claim_expires_at": DatabaseNow() + round(lease_s * 1_000_000),
        }

        def write(connection: Connection) -> set[str]:
            connection.execute(insert_unless_there(connection.dialect).values(times), rows)
            return set(connection.execute(query).scalars())

        written = self.together(write)
        return [claim for claim in claims if claim.token in written]

    def record_many(self, records: Sequence[tuple[Claim, str, RoomState, bool]]) -> list[RegistryEntry | None]:
        """Register chatrooms that were created under claims, and end these, in one transaction.

        Args:
            records: The claim, the chatroom's ID, state, and whether it is private; some hundreds at once.

        Returns:
            For each what ``record`` returns; ``None``: its row is gone.

        Raises:
            RegistryError: Nothing has been written; ``record`` tells for each what is wrong with it.
        """
        in_order = sorted(records, key=lambda record: record[0].post_id)
        rows = [
            {
                "of_post": claim.post_id,
                "held": claim.token,
                "chatroom": chatroom_id,
                "new_state": state.value,
                "private": is_private,
            }
            for claim, chatroom_id, state, is_private in in_order
        ]
        self.together(lambda connection: connection.execute(_record_one, rows))
        for row in rows:
            self.on_change(str(row["of_post"]))
        entries = self.find_many([claim.post_id for claim, *_ in records])
        return [entries.get(claim.post_id) for claim, *_ in records]


_record_one = (
    sa.update(chatrooms)
    .where(chatrooms.c.post_id == sa.bindparam("of_post"), chatrooms.c.claim_token == sa.bindparam("held"))
    .values(
        chatroom_id=sa.bindparam("chatroom"),
        state=sa.bindparam("new_state"),
        is_private=sa.bindparam("private"),
        updated_at=DatabaseNow(),
        **NO_CLAIM,
    )
)
