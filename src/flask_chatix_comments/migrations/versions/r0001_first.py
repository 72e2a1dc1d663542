"""The registry's tables, as the first version has them.

Tables that are there stay as they are: the registry itself makes them, too, when it is first used.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _exact(length: int) -> sa.types.TypeEngine[Any]:
    """Text that is compared byte for byte; see ``ExactText``."""
    return (
        sa.String(length)
        .with_variant(sa.VARBINARY(4 * length), "mysql", "mariadb")
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(sa.String(length, collation="BINARY"), "sqlite")
    )


_OPTIONS: dict[str, Any] = {
    f"{dialect}_{key}": value
    for dialect in ("mysql", "mariadb")
    for key, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}


def upgrade() -> None:
    """Make the tables that are missing."""
    op.create_table(
        "chatix_chatrooms",
        sa.Column("post_id", _exact(255), nullable=False),
        sa.Column("chatroom_id", _exact(255)),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("is_private", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("claim_token", sa.String(64)),
        sa.Column("claim_owner", sa.String(255)),
        sa.Column("claim_number", sa.Integer, nullable=False),
        sa.Column("claim_expires_at", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("post_id", name="pk_chatix_chatrooms"),
        sa.UniqueConstraint("chatroom_id", name="uq_chatix_chatrooms_chatroom_id"),
        if_not_exists=True,
        **_OPTIONS,
    )
    op.create_table(
        "chatix_visitors",
        sa.Column("visitor_key", _exact(255), nullable=False),
        sa.Column("visitor_id", _exact(255), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("visitor_key", name="pk_chatix_visitors"),
        sa.UniqueConstraint("visitor_id", name="uq_chatix_visitors_visitor_id"),
        if_not_exists=True,
        **_OPTIONS,
    )
    op.create_table(
        "chatix_hosted_visitors",
        sa.Column("visitor_key", _exact(255), nullable=False),
        sa.Column("browser_id", _exact(64), nullable=False),
        sa.Column("service_id", _exact(2000), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("visitor_key", "browser_id", name="pk_chatix_hosted_visitors"),
        if_not_exists=True,
        **_OPTIONS,
    )
