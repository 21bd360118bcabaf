"""Frozen versions of mappings, and which of them is active.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of versions, with one active version of a mapping at most."""
    op.create_table(
        "mapping_versions",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("mapping", sa.String(length=120), nullable=False, comment="Id of the mapping, system/template"),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False, comment="Version in its file"),
        sa.Column("content_hash", sa.String(length=64), nullable=False, comment="Hash of all its files (SHA-256, hex)"),
        sa.Column(
            "files", sa.JSON(), nullable=False, comment="The YAML files that it is made of: role, id, name, text"
        ),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was frozen"),
        sa.Column("frozen_by", sa.String(length=120), nullable=False, comment="User id of who froze it"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="This version runs"),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True, comment="When it was last made active"),
        sa.Column("activated_by", sa.String(length=120), nullable=True, comment="User id of who made it active"),
        sa.PrimaryKeyConstraint("tenant", "mapping", "version", name=op.f("pk_mapping_versions")),
    )
    op.create_index(
        "uq_mapping_versions_active",
        "mapping_versions",
        ["tenant", "mapping"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )
