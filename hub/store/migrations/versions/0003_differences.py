"""What the daily count finds: where source, hub and archive do not agree.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    """Make the table of differences, with one open difference of a kind and subject at most."""
    op.create_table(
        "differences",
        sa.Column("difference_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column(
            "kind",
            sa.String(length=16),
            nullable=False,
            comment="Kind: not_taken_in not_listed other_content not_archived archive_lacks",
        ),
        sa.Column(
            "subject",
            sa.String(length=200),
            nullable=False,
            comment="The system's own id of the record, or the hub's of the log",
        ),
        sa.Column(
            "log_id", sa.String(length=36), nullable=True, comment="The log it is about; none where there is none"
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open closed gone"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When a count first found it"),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When a count last found it"),
        sa.Column(
            "closed_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When a person closed it, or a count no longer found it",
        ),
        sa.Column("closed_by", sa.String(length=120), nullable=True, comment="User id of that person"),
        sa.PrimaryKeyConstraint("difference_id", name=op.f("pk_differences")),
    )
    op.create_index(
        "uq_differences_open",
        "differences",
        ["tenant", "connection", "kind", "subject"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(op.f("ix_differences_tenant_state"), "differences", ["tenant", "state"], unique=False)


def downgrade() -> None:
    """Drop the table of differences."""
    op.drop_table("differences")
