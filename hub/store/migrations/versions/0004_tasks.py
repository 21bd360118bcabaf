"""What somebody is asked to do: tasks at the units that a log has been shared with.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STANDING = sa.text("state <> 'gone'")


def upgrade() -> None:
    """Make the table of tasks, with one standing task of a kind for each log, connection and reader at most."""
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="Kind: withdrawn baton life"),
        sa.Column("reason", sa.String(length=60), nullable=False, comment="Code of why somebody must do something"),
        sa.Column(
            "connection",
            sa.String(length=80),
            nullable=False,
            comment="The connection that the log came through, or empty",
        ),
        sa.Column("reader", sa.String(length=20), nullable=False, comment="The service that has had it, or empty"),
        sa.Column(
            "unit_id",
            sa.String(length=80),
            nullable=False,
            comment="Id of the unit where its record lies; empty under address protection",
        ),
        sa.Column("revealing", sa.Boolean(), nullable=False, comment="The reader or the reason tells about the child"),
        sa.Column("addressed_to", sa.String(length=40), nullable=False, comment="Role that is to do it"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="When it was set"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open done gone"),
        sa.Column("done_by", sa.String(length=120), nullable=True, comment="User id of who did it"),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True, comment="When it was done"),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_tasks_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_tasks")),
    )
    op.create_index(
        "uq_tasks_standing",
        "tasks",
        ["tenant", "log_id", "kind", "reason", "connection", "reader"],
        unique=True,
        sqlite_where=_STANDING,
        postgresql_where=_STANDING,
    )
    op.create_index(op.f("ix_tasks_tenant_state"), "tasks", ["tenant", "state"], unique=False)


def downgrade() -> None:
    """Drop the table of tasks."""
    op.drop_table("tasks")
