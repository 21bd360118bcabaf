"""The time to answer what somebody asks for by right can be extended: who did it last and when; why lies sealed.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones. SQLite keeps none.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BEFORE = "Sealed: what was asked, and the assessment; none of a log that was deleted"
_AFTER = "Sealed: what was asked, why its term was extended, and the assessment; none of a log that was deleted"


def upgrade() -> None:
    """Make room for who extended it and when."""
    who = "User id of who last extended the time to answer"
    op.add_column("rights_cases", sa.Column("extended_by", sa.String(length=120), nullable=True, comment=who))
    at = sa.Column("extended_at", sa.DateTime(timezone=True), nullable=True, comment="When it was last extended")
    op.add_column("rights_cases", at)
    _tell(_BEFORE, _AFTER)


def downgrade() -> None:
    """Go back to terms that nobody extends."""
    _tell(_AFTER, _BEFORE)
    op.drop_column("rights_cases", "extended_at")
    op.drop_column("rights_cases", "extended_by")


def _tell(old: str, new: str) -> None:
    if op.get_bind().dialect.supports_comments:
        op.alter_column(
            "rights_cases",
            "sealed_detail",
            existing_type=sa.LargeBinary(),
            existing_nullable=True,
            comment=new,
            existing_comment=old,
        )
