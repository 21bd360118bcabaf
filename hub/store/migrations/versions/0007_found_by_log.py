"""What stands about a log is found by its log: without these, each look at one log went through all of a municipality.

SQLite has no statistics to choose an index by, so that each is made to be the better one on its face.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_UNROUTED = sa.text("version > routed_version")


def upgrade() -> None:
    """Make the indexes."""
    op.create_index(op.f("ix_element_keys_tenant_log_id"), "element_keys", ["tenant", "log_id"])
    for table in ("holds", "proposals"):
        op.create_index(op.f(f"ix_{table}_tenant_log_id_state"), table, ["tenant", "log_id", "state"])
        op.drop_index(op.f(f"ix_{table}_tenant_log_id"), table_name=table)
    op.create_index(
        "ix_logs_unrouted",
        "logs",
        ["tenant", "log_id"],
        sqlite_where=_UNROUTED,
        postgresql_where=_UNROUTED,
    )


def downgrade() -> None:
    """Go back to those that were."""
    op.drop_index("ix_logs_unrouted", table_name="logs")
    for table in ("proposals", "holds"):
        op.create_index(op.f(f"ix_{table}_tenant_log_id"), table, ["tenant", "log_id"])
        op.drop_index(op.f(f"ix_{table}_tenant_log_id_state"), table_name=table)
    op.drop_index(op.f("ix_element_keys_tenant_log_id"), table_name="element_keys")
