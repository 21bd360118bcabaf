"""What the people that a log is about ask for: cases of deletion, access, correction, objection and restriction.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of cases."""
    op.create_table(
        "rights_cases",
        sa.Column("case_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column(
            "kind",
            sa.String(length=16),
            nullable=False,
            comment="Kind: deletion access correction objection restriction",
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open decided done"),
        sa.Column("asked_by", sa.String(length=16), nullable=False, comment="Who asked, by role: child guardian other"),
        sa.Column("asked_on", sa.Date(), nullable=False, comment="When it was asked"),
        sa.Column("due_on", sa.Date(), nullable=False, comment="The last day to answer"),
        sa.Column("opened_by", sa.String(length=120), nullable=False, comment="User id of who wrote the case down"),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False, comment="When it was written down"),
        sa.Column("decision", sa.String(length=16), nullable=True, comment="Decision: granted refused"),
        sa.Column(
            "basis",
            sa.String(length=16),
            nullable=True,
            comment="Basis in law: gdpr_12_5 gdpr_15 gdpr_15_4 gdpr_16 gdpr_17_1"
            " gdpr_17_3_b gdpr_17_3_d gdpr_18_1 gdpr_18_3 gdpr_21_1 popplyl_16 archive_released",
        ),
        sa.Column("decided_by", sa.String(length=120), nullable=True, comment="User id of who decided"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True, comment="When it was decided"),
        sa.Column("done_by", sa.String(length=120), nullable=True, comment="User id of who saw it carried out"),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True, comment="When it was carried out"),
        sa.Column(
            "sealed_detail",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: what was asked, and the assessment; none of a log that was deleted",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_rights_cases_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_rights_cases")),
    )
    op.create_index(op.f("ix_rights_cases_tenant_log_id"), "rights_cases", ["tenant", "log_id"], unique=False)
    op.create_index(op.f("ix_rights_cases_tenant_state"), "rights_cases", ["tenant", "state"], unique=False)


def downgrade() -> None:
    """Drop the table of cases."""
    op.drop_table("rights_cases")
