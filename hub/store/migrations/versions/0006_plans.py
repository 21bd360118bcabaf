"""Plans that people ask for after a log: a kind of delivery more and further kinds of tasks, which the comments tell.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones. SQLite keeps none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_BEFORE = {"deliveries": "Kind: update archive", "tasks": "Kind: withdrawn baton life"}
_AFTER = {"deliveries": "Kind: update archive create", "tasks": "Kind: withdrawn baton life plan deletion"}


def upgrade() -> None:
    """Tell of the new kinds."""
    _tell(_BEFORE, _AFTER)


def downgrade() -> None:
    """Tell of the old kinds alone."""
    _tell(_AFTER, _BEFORE)


def _tell(old: dict[str, str], new: dict[str, str]) -> None:
    if not op.get_bind().dialect.supports_comments:
        return
    for table, comment in new.items():
        op.alter_column(
            table,
            "kind",
            existing_type=sa.String(length=16),
            existing_nullable=False,
            comment=comment,
            existing_comment=old[table],
        )
