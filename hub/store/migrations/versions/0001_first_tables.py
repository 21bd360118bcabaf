"""The first tables: logs and their keys, records, work, what waits for people, packages, and the event log.

Comments stand here as they stood on that day; `hub/store/tables.py` has the present ones.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables, those first that others refer to."""
    _archived()
    _connection_state()
    _cursors()
    _decisions()
    _events()
    _holds()
    _log_keys()
    _logs()
    _proposals()
    _quarantine()
    _runs()
    _conflicts()
    _deliveries()
    _element_keys()
    _packages()
    _records()


def _archived() -> None:
    op.create_table(
        "archived",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="Revision of the package"),
        sa.Column("target", sa.String(length=80), nullable=False, comment="Connection of the archive"),
        sa.Column("delivery_id", sa.String(length=36), nullable=False, comment="The delivery that brought it there"),
        sa.Column("receipt_ref", sa.String(length=200), nullable=False, comment="The archive's own id"),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False, comment="When the archive's proof came"),
        sa.PrimaryKeyConstraint("tenant", "log_id", "revision", "target", name=op.f("pk_archived")),
    )


def _connection_state() -> None:
    op.create_table(
        "connection_state",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column("paused", sa.Boolean(), nullable=False, comment="A person stopped it"),
        sa.Column("paused_by", sa.String(length=120), nullable=True, comment="User id of that person"),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True, comment="When that person did"),
        sa.Column(
            "parked_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="No call before, on the system's own word",
        ),
        sa.Column("parked_reason", sa.String(length=60), nullable=True, comment="Code of why it is parked"),
        sa.Column("breaker_state", sa.String(length=16), nullable=False, comment="Breaker: closed open half_open"),
        sa.Column(
            "breaker_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="While it is not closed: when one worker may try again",
        ),
        sa.Column("failures", sa.Integer(), nullable=False, comment="Failures in a row"),
        sa.Column(
            "next_free_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the next attempt's turn is, where attempts per second are limited",
        ),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True, comment="Last call that went well"),
        sa.PrimaryKeyConstraint("tenant", "connection", name=op.f("pk_connection_state")),
    )


def _cursors() -> None:
    op.create_table(
        "cursors",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column(
            "value",
            sa.String(length=500),
            nullable=False,
            comment="The cursor as the connector wrote it: an instant, a token, a page",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="When it last moved"),
        sa.PrimaryKeyConstraint("tenant", "connection", name=op.f("pk_cursors")),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column(
            "log_id", sa.String(length=36), nullable=True, comment="The log it is about; none where it is about none"
        ),
        sa.Column(
            "subject_kind",
            sa.String(length=20),
            nullable=False,
            comment="Kind of what was decided: hold, conflict, proposal, quarantine or delivery",
        ),
        sa.Column("subject_id", sa.String(length=36), nullable=False, comment="The hub's id of what was decided"),
        sa.Column("choice", sa.String(length=20), nullable=False, comment="Code of what was decided"),
        sa.Column("in_force", sa.Boolean(), nullable=False, comment="Merging and routing still follow it"),
        sa.Column("decided_by", sa.String(length=120), nullable=False, comment="User id of who decided"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False, comment="When it was decided"),
        sa.Column(
            "wrapped_key",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: the row's data key; none where it lies under the log's",
        ),
        sa.Column("key_version", sa.Integer(), nullable=True, comment="Version of the tenant's key that wraps it"),
        sa.Column(
            "sealed_detail", sa.LargeBinary(), nullable=False, comment="Sealed: why, and what was chosen over what"
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_tenant_log_id"), "decisions", ["tenant", "log_id"], unique=False)
    op.create_index(op.f("ix_decisions_tenant_subject_id"), "decisions", ["tenant", "subject_id"], unique=False)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column(
            "event_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
            comment="In order of appending",
        ),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, comment="When it happened"),
        sa.Column(
            "action", sa.String(length=60), nullable=False, comment="source:subject:action of the closed vocabulary"
        ),
        sa.Column("subject_kind", sa.String(length=40), nullable=False, comment="Kind of what it was done to"),
        sa.Column("subject_id", sa.String(length=160), nullable=False, comment="The hub's id of what it was done to"),
        sa.Column("actor", sa.String(length=120), nullable=False, comment="User id or component that did it"),
        sa.Column("data", sa.JSON(), nullable=False, comment="Ids, counts and codes"),
        sa.Column(
            "position", sa.BigInteger(), nullable=True, comment="Place in the tenant's chain; none until chained"
        ),
        sa.Column(
            "previous_hash",
            sa.String(length=64),
            nullable=True,
            comment="Hash of the event before it in the chain (SHA-256, hex)",
        ),
        sa.Column(
            "hash", sa.String(length=64), nullable=True, comment="Hash over the one before and this row (SHA-256, hex)"
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
        sa.UniqueConstraint("tenant", "position", name=op.f("uq_events_tenant_position")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_events_tenant_subject_kind_subject_id"),
        "events",
        ["tenant", "subject_kind", "subject_id"],
        unique=False,
    )


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column(
            "log_id", sa.String(length=36), nullable=True, comment="The log; none where a whole connection is held"
        ),
        sa.Column(
            "connection", sa.String(length=80), nullable=True, comment="The connection; none where every one is held"
        ),
        sa.Column("rule", sa.String(length=120), nullable=False, comment="Id of the rule that stops"),
        sa.Column("reason", sa.String(length=120), nullable=False, comment="Code of the reason"),
        sa.Column("revealing", sa.Boolean(), nullable=False, comment="The reason itself tells about the child"),
        sa.Column("addressed_to", sa.String(length=40), nullable=False, comment="Role that may decide"),
        sa.Column(
            "releases_when",
            sa.String(length=120),
            nullable=True,
            comment="Code of what would release it without a person",
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False, comment="When it was set"),
        sa.Column(
            "situation_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of what it stops; a release is for that alone (HMAC-SHA256, hex)",
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open released gone"),
        sa.Column("released_by", sa.String(length=120), nullable=True, comment="User id of who released it"),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True, comment="When it was released"),
        sa.PrimaryKeyConstraint("hold_id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_tenant_log_id"), "holds", ["tenant", "log_id"], unique=False)
    op.create_index(op.f("ix_holds_tenant_state"), "holds", ["tenant", "state"], unique=False)
    op.create_index(
        "uq_holds_connection",
        "holds",
        ["tenant", "connection", "rule"],
        unique=True,
        sqlite_where=sa.text("state = 'open' AND log_id IS NULL"),
        postgresql_where=sa.text("state = 'open' AND log_id IS NULL"),
    )
    op.create_index(
        "uq_holds_every_way",
        "holds",
        ["tenant", "log_id", "rule"],
        unique=True,
        sqlite_where=sa.text("state = 'open' AND connection IS NULL"),
        postgresql_where=sa.text("state = 'open' AND connection IS NULL"),
    )
    op.create_index(
        "uq_holds_one_way",
        "holds",
        ["tenant", "log_id", "connection", "rule"],
        unique=True,
        sqlite_where=sa.text("state = 'open' AND log_id IS NOT NULL AND connection IS NOT NULL"),
        postgresql_where=sa.text("state = 'open' AND log_id IS NOT NULL AND connection IS NOT NULL"),
    )


def _log_keys() -> None:
    op.create_table(
        "log_keys",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column(
            "wrapped_key",
            sa.LargeBinary(),
            nullable=False,
            comment="Sealed: the log's data key, wrapped by the tenant's key",
        ),
        sa.Column("key_version", sa.Integer(), nullable=False, comment="Version of the tenant's key that wraps it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the key was made"),
        sa.PrimaryKeyConstraint("tenant", "log_id", name=op.f("pk_log_keys")),
    )


def _logs() -> None:
    op.create_table(
        "logs",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("status", sa.String(length=20), nullable=False, comment="Status code of the log"),
        sa.Column("level", sa.Integer(), nullable=True, comment="BTI level 0-3"),
        sa.Column("owning_unit_id", sa.String(length=80), nullable=True, comment="Id of the unit in charge"),
        sa.Column("opened_on", sa.Date(), nullable=True, comment="When the log was opened"),
        sa.Column("closed_on", sa.Date(), nullable=True, comment="When the log was closed"),
        sa.Column(
            "last_activity_at", sa.DateTime(timezone=True), nullable=True, comment="Last change seen from any system"
        ),
        sa.Column("next_deadline", sa.Date(), nullable=True, comment="The nearest open deadline"),
        sa.Column("consent_expires_on", sa.Date(), nullable=True, comment="When the first consent in force ends"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="Elements per list of the log"),
        sa.Column("version", sa.Integer(), nullable=False, comment="Grows by one with each merge that changed the log"),
        sa.Column(
            "routed_version",
            sa.Integer(),
            nullable=False,
            comment="The version that it was last decided what to send of",
        ),
        sa.Column(
            "content_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the whole log (HMAC-SHA256, hex)",
        ),
        sa.Column(
            "subject_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the subject's national id; none where it is not known (HMAC-SHA256, hex)",
        ),
        sa.Column(
            "sealed_body",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: the log; none where it may be neither shared nor archived",
        ),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, comment="When the row was last written"),
        sa.PrimaryKeyConstraint("tenant", "log_id", name=op.f("pk_logs")),
    )
    op.create_index(op.f("ix_logs_tenant_next_deadline"), "logs", ["tenant", "next_deadline"], unique=False)
    op.create_index(op.f("ix_logs_tenant_status"), "logs", ["tenant", "status"], unique=False)
    op.create_index(op.f("ix_logs_tenant_subject_hash"), "logs", ["tenant", "subject_hash"], unique=False)


def _proposals() -> None:
    op.create_table(
        "proposals",
        sa.Column("proposal_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="Kind: match deletion guardian create"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column(
            "log_id", sa.String(length=36), nullable=True, comment="The log it is about; none where there is none yet"
        ),
        sa.Column(
            "foreign_id",
            sa.String(length=200),
            nullable=False,
            comment="The system's id of the record, or empty; hashed if a national id",
        ),
        sa.Column("collection", sa.String(length=40), nullable=False, comment="List of the log, or empty"),
        sa.Column("element_id", sa.String(length=36), nullable=False, comment="The element, or empty"),
        sa.Column(
            "subject_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the national id, so that shredding reaches it (HMAC-SHA256, hex)",
        ),
        sa.Column(
            "wrapped_key", sa.LargeBinary(), nullable=True, comment="Sealed: the row's data key; none when shredded"
        ),
        sa.Column("key_version", sa.Integer(), nullable=True, comment="Version of the tenant's key that wraps it"),
        sa.Column(
            "sealed_detail", sa.LargeBinary(), nullable=True, comment="Sealed: what is proposed and on what evidence"
        ),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open accepted refused gone"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first proposed"),
        sa.Column("decided_by", sa.String(length=120), nullable=True, comment="User id of who decided"),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True, comment="When it was decided"),
        sa.PrimaryKeyConstraint("proposal_id", name=op.f("pk_proposals")),
    )
    op.create_index(op.f("ix_proposals_tenant_log_id"), "proposals", ["tenant", "log_id"], unique=False)
    op.create_index(op.f("ix_proposals_tenant_state"), "proposals", ["tenant", "state"], unique=False)
    op.create_index(op.f("ix_proposals_tenant_subject_hash"), "proposals", ["tenant", "subject_hash"], unique=False)
    op.create_index(
        "uq_proposals_of_log",
        "proposals",
        ["tenant", "kind", "connection", "foreign_id", "collection", "element_id", "log_id"],
        unique=True,
        sqlite_where=sa.text("log_id IS NOT NULL"),
        postgresql_where=sa.text("log_id IS NOT NULL"),
    )
    op.create_index(
        "uq_proposals_without_log",
        "proposals",
        ["tenant", "kind", "connection", "foreign_id", "collection", "element_id"],
        unique=True,
        sqlite_where=sa.text("log_id IS NULL"),
        postgresql_where=sa.text("log_id IS NULL"),
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("quarantine_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column(
            "foreign_id",
            sa.String(length=200),
            nullable=False,
            comment="The system's own id of the record; hashed if a national id",
        ),
        sa.Column("reason", sa.String(length=60), nullable=False, comment="Code of the reason"),
        sa.Column(
            "place",
            sa.String(length=300),
            nullable=True,
            comment="Pointer, path or line of what is wrong; never its value",
        ),
        sa.Column("rule", sa.String(length=200), nullable=True, comment="The mapping rule or check that refused it"),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was first refused"),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When it was last refused"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it has been tried"),
        sa.Column(
            "change_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the record as refused (HMAC-SHA256, hex)",
        ),
        sa.Column(
            "subject_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the national id, so that shredding reaches it (HMAC-SHA256, hex)",
        ),
        sa.Column(
            "wrapped_key", sa.LargeBinary(), nullable=True, comment="Sealed: the row's data key; none when shredded"
        ),
        sa.Column("key_version", sa.Integer(), nullable=True, comment="Version of the tenant's key that wraps it"),
        sa.Column("sealed_record", sa.LargeBinary(), nullable=True, comment="Sealed: the record as delivered"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open replayed dismissed"),
        sa.Column(
            "replay_run",
            sa.String(length=36),
            nullable=True,
            comment="The run that is to take it in again; none where nobody asked",
        ),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint(
            "tenant", "connection", "foreign_id", name=op.f("uq_quarantine_tenant_connection_foreign_id")
        ),
    )
    op.create_index(op.f("ix_quarantine_tenant_state"), "quarantine", ["tenant", "state"], unique=False)
    op.create_index(op.f("ix_quarantine_tenant_subject_hash"), "quarantine", ["tenant", "subject_hash"], unique=False)


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it has been claimed"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="Not to be taken before"),
        sa.Column("lease_owner", sa.String(length=120), nullable=True, comment="The worker that has it"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True, comment="When that worker counts as dead"),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="Grows whenever the row is claimed or freed; a writer must hold the present number",
        ),
        sa.Column("error_class", sa.String(length=80), nullable=True, comment="Code of what went wrong last"),
        sa.Column("run_id", sa.String(length=36), nullable=False, comment="The hub's own id of the run"),
        sa.Column(
            "occurrence",
            sa.String(length=160),
            nullable=False,
            comment="Id of the occurrence: connection and planned time, or who asked and when",
        ),
        sa.Column(
            "planned_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When the occurrence was planned, before jitter",
        ),
        sa.Column(
            "why",
            sa.String(length=20),
            nullable=False,
            comment="What started it: schedule, person, catch_up, replay, reconcile, wipe or short_listing",
        ),
        sa.Column(
            "state", sa.String(length=16), nullable=False, comment="State: queued running done failed held missed"
        ),
        sa.Column("cursor_before", sa.String(length=500), nullable=True, comment="Cursor when it started"),
        sa.Column("cursor_after", sa.String(length=500), nullable=True, comment="Cursor after its last committed page"),
        sa.Column("counts", sa.JSON(), nullable=False, comment="Records by what became of them"),
        sa.Column("outcome", sa.String(length=40), nullable=True, comment="Code of how it ended"),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False, comment="When the row was made"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="When it was first claimed"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True, comment="When it ended"),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
        sa.UniqueConstraint("tenant", "connection", "occurrence", name=op.f("uq_runs_tenant_connection_occurrence")),
    )
    op.create_index(op.f("ix_runs_state_due_at"), "runs", ["state", "due_at"], unique=False)
    op.create_index(
        op.f("ix_runs_tenant_connection_planned_at"), "runs", ["tenant", "connection", "planned_at"], unique=False
    )
    op.create_index(
        "uq_runs_running",
        "runs",
        ["tenant", "connection"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _conflicts() -> None:
    op.create_table(
        "conflicts",
        sa.Column("conflict_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("path", sa.String(length=120), nullable=False, comment="Canonical path of the field"),
        sa.Column(
            "element_id", sa.String(length=36), nullable=False, comment="The element; empty for the log's own fields"
        ),
        sa.Column(
            "candidates_hash",
            sa.String(length=64),
            nullable=False,
            comment="Keyed hash of the candidates; others make the conflict open again (HMAC-SHA256, hex)",
        ),
        sa.Column("sealed_values", sa.LargeBinary(), nullable=True, comment="Sealed: the candidates, by system"),
        sa.Column("state", sa.String(length=16), nullable=False, comment="State: open settled gone"),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When the systems first disagreed"
        ),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True, comment="When a person decided"),
        sa.Column("settled_by", sa.String(length=120), nullable=True, comment="User id of that person"),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_conflicts_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("conflict_id", name=op.f("pk_conflicts")),
        sa.UniqueConstraint(
            "tenant", "log_id", "path", "element_id", name=op.f("uq_conflicts_tenant_log_id_path_element_id")
        ),
    )
    op.create_index(op.f("ix_conflicts_tenant_state"), "conflicts", ["tenant", "state"], unique=False)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="How often it has been claimed"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False, comment="Not to be taken before"),
        sa.Column("lease_owner", sa.String(length=120), nullable=True, comment="The worker that has it"),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True, comment="When that worker counts as dead"),
        sa.Column(
            "fence",
            sa.Integer(),
            nullable=False,
            comment="Grows whenever the row is claimed or freed; a writer must hold the present number",
        ),
        sa.Column("error_class", sa.String(length=80), nullable=True, comment="Code of what went wrong last"),
        sa.Column("delivery_id", sa.String(length=36), nullable=False, comment="The hub's own id of the delivery"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="Kind: update archive"),
        sa.Column(
            "state",
            sa.String(length=16),
            nullable=False,
            comment="State: ready sending unknown done superseded failed held",
        ),
        sa.Column("idempotency_key", sa.String(length=80), nullable=False, comment="The same on every attempt"),
        sa.Column("sealed_payload", sa.LargeBinary(), nullable=True, comment="Sealed: what is sent; wiped on receipt"),
        sa.Column(
            "view_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the view it was made from (HMAC-SHA256, hex)",
        ),
        sa.Column("log_version", sa.Integer(), nullable=False, comment="Version of the log it was made from"),
        sa.Column("mapping", sa.String(length=120), nullable=True, comment="Id of the mapping that wrote it"),
        sa.Column("mapping_version", sa.Integer(), nullable=True, comment="Version of that mapping"),
        sa.Column("sealed_receipt", sa.LargeBinary(), nullable=True, comment="Sealed: the receiver's answer"),
        sa.Column("receipt_ref", sa.String(length=200), nullable=True, comment="The receiver's own id from the answer"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When the row was made"),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True, comment="When bytes last left"),
        sa.Column(
            "done_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the receipt came, or when it ended otherwise",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_deliveries_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("delivery_id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("tenant", "idempotency_key", name=op.f("uq_deliveries_tenant_idempotency_key")),
    )
    op.create_index(op.f("ix_deliveries_state_due_at"), "deliveries", ["state", "due_at"], unique=False)
    op.create_index(op.f("ix_deliveries_tenant_log_id"), "deliveries", ["tenant", "log_id"], unique=False)
    op.create_index(
        "uq_deliveries_open",
        "deliveries",
        ["tenant", "connection", "log_id", "kind"],
        unique=True,
        sqlite_where=sa.text("state IN ('ready', 'sending', 'unknown')"),
        postgresql_where=sa.text("state IN ('ready', 'sending', 'unknown')"),
    )


def _element_keys() -> None:
    op.create_table(
        "element_keys",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("collection", sa.String(length=40), nullable=False, comment="List of the log, such as measures"),
        sa.Column("element_id", sa.String(length=36), nullable=False, comment="The hub's own id of the element"),
        sa.Column(
            "foreign_key",
            sa.String(length=200),
            nullable=False,
            comment="The system's key of the element; hashed if a national id",
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_element_keys_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint(
            "tenant", "connection", "log_id", "collection", "element_id", name=op.f("pk_element_keys")
        ),
        sa.UniqueConstraint(
            "tenant",
            "connection",
            "log_id",
            "collection",
            "foreign_key",
            name=op.f("uq_element_keys_tenant_connection_log_id_collection_foreign_key"),
        ),
    )


def _packages() -> None:
    op.create_table(
        "packages",
        sa.Column("package_id", sa.String(length=36), nullable=False, comment="The hub's own id"),
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("log_id", sa.String(length=36), nullable=False, comment="The hub's own id of the relay log"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="1 for the first closing, then counted"),
        sa.Column("external_key", sa.String(length=120), nullable=False, comment="The key that archives know it by"),
        sa.Column(
            "sealed_bytes", sa.LargeBinary(), nullable=True, comment="Sealed: the package; none where it lies in a file"
        ),
        sa.Column(
            "sealed_file", sa.String(length=120), nullable=True, comment="Name of the sealed file in the data folder"
        ),
        sa.Column(
            "content_hash",
            sa.String(length=64),
            nullable=False,
            comment="Keyed hash of the package before sealing (HMAC-SHA256, hex)",
        ),
        sa.Column("mapping_versions", sa.JSON(), nullable=False, comment="Version by mapping id that read it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="When it was made"),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_packages_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_packages")),
        sa.UniqueConstraint("tenant", "log_id", "revision", name=op.f("uq_packages_tenant_log_id_revision")),
    )


def _records() -> None:
    op.create_table(
        "records",
        sa.Column("tenant", sa.String(length=9), nullable=False, comment="Organisation number of the municipality"),
        sa.Column("connection", sa.String(length=80), nullable=False, comment="The connection, <orgnr>/<name>"),
        sa.Column(
            "foreign_id",
            sa.String(length=200),
            nullable=False,
            comment="The system's own id of the record; hashed if a national id",
        ),
        sa.Column(
            "log_id", sa.String(length=36), nullable=True, comment="The log it belongs to; none until it is matched"
        ),
        sa.Column(
            "foreign_version", sa.String(length=200), nullable=True, comment="Version or etag that the system gave"
        ),
        sa.Column(
            "change_hash",
            sa.String(length=64),
            nullable=True,
            comment="Keyed hash of the record without its volatile places (HMAC-SHA256, hex)",
        ),
        sa.Column("mapping", sa.String(length=120), nullable=True, comment="Id of the mapping that read it"),
        sa.Column("mapping_version", sa.Integer(), nullable=True, comment="Version of that mapping"),
        sa.Column("sealed_record", sa.LargeBinary(), nullable=True, comment="Sealed: the record, last exchanged"),
        sa.Column(
            "sealed_original",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: the file that the record came in, where it came in one",
        ),
        sa.Column(
            "sealed_base",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: what it held at the last exchange, and what the hub meant by it",
        ),
        sa.Column(
            "sealed_seen",
            sa.LargeBinary(),
            nullable=True,
            comment="Sealed: what it holds now, in the hub's ids",
        ),
        sa.Column(
            "first_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When the record was first pulled"
        ),
        sa.Column(
            "last_seen_at", sa.DateTime(timezone=True), nullable=False, comment="When the record was last pulled"
        ),
        sa.Column("seen_in_run", sa.String(length=36), nullable=True, comment="The run that last saw it"),
        sa.Column(
            "missing_since", sa.DateTime(timezone=True), nullable=True, comment="Since when a complete listing lacks it"
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "log_id"],
            ["logs.tenant", "logs.log_id"],
            name=op.f("fk_records_tenant_log_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("tenant", "connection", "foreign_id", name=op.f("pk_records")),
    )
    op.create_index(
        op.f("ix_records_tenant_connection_seen_in_run"),
        "records",
        ["tenant", "connection", "seen_in_run"],
        unique=False,
    )
    op.create_index(op.f("ix_records_tenant_log_id"), "records", ["tenant", "log_id"], unique=False)
