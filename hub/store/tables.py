"""All tables, each column with its meaning, so that what lies in clear can be read in one place.

Whatever tells about a child lies in a `sealed_` column (see `sealing.py`); the rest is ids, codes, counts, dates and
keyed hashes. Every row carries its tenant. Types are those that SQLite and PostgreSQL share: ids are text, instants
are aware and UTC, JSON holds ids and counts, and the texts of mappings. References are checked when a transaction
ends, so that a page may be written in any order.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TypeVar, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Enum,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Named,
    String,
    Table,
    TypedColumns,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from hub.relaylog.rights import AskedBy, Basis, RightsDecision, RightsKind, RightsState

CodeT = TypeVar("CodeT", bound=StrEnum)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Utc(TypeDecorator[datetime]):
    """An instant: aware on the way in (any zone), UTC on the way out. A naive time is refused with ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Turn any aware time into UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without zone; hand in an aware one, best datetime.now(UTC)")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Give back UTC; SQLite keeps no zone, PostgreSQL answers in the session's."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RunState(StrEnum):
    """Where a run is. `missed` is an occurrence that a rule let pass; `held` waits for a person."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"
    MISSED = "missed"


class DeliveryState(StrEnum):
    """Where a delivery is. `unknown`: bytes may have left and no answer came; looked up before anything else."""

    READY = "ready"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DONE = "done"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    HELD = "held"


class DeliveryKind(StrEnum):
    """What a delivery carries: a change to a system, a package to an archive, or a plan that a person asked for."""

    UPDATE = "update"
    ARCHIVE = "archive"
    CREATE = "create"


class QuarantineState(StrEnum):
    """Where a record that could not be taken in is. `dismissed`: nothing is kept of it any more."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISMISSED = "dismissed"


class ConflictState(StrEnum):
    """Where a disputed field is. `gone`: the systems agree again."""

    OPEN = "open"
    SETTLED = "settled"
    GONE = "gone"


class HoldState(StrEnum):
    """Where a hold is. `gone`: its rule no longer stops anything."""

    OPEN = "open"
    RELEASED = "released"
    GONE = "gone"


class ProposalKind(StrEnum):
    """What a person is asked to accept."""

    MATCH = "match"
    DELETION = "deletion"
    GUARDIAN = "guardian"
    CREATE = "create"


class ProposalState(StrEnum):
    """Where a proposal is. `gone`: what it rested on is no longer so."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    GONE = "gone"


class DifferenceKind(StrEnum):
    """What the daily count found: between a source and the hub, or between the hub and its archive."""

    NOT_TAKEN_IN = "not_taken_in"
    NOT_LISTED = "not_listed"
    OTHER_CONTENT = "other_content"
    NOT_ARCHIVED = "not_archived"
    ARCHIVE_LACKS = "archive_lacks"


class DifferenceState(StrEnum):
    """Where a difference is. `gone`: a later count did not find it; `closed`: a person did."""

    OPEN = "open"
    CLOSED = "closed"
    GONE = "gone"


class TaskKind(StrEnum):
    """What a task is about: a consent that ended, the baton, a log's life, a plan that follows, or a deletion."""

    WITHDRAWN = "withdrawn"
    BATON = "baton"
    LIFE = "life"
    PLAN = "plan"
    DELETION = "deletion"


class TaskState(StrEnum):
    """Where a task is. `gone`: what it rested on is no longer so."""

    OPEN = "open"
    DONE = "done"
    GONE = "gone"


class BreakerState(StrEnum):
    """Whether calls to a connection are let through; `half_open` lets one through to see."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


def _codes(codes: type[CodeT], comment: str, default: CodeT | None = None) -> Column[CodeT]:
    kind = Enum(
        codes,
        native_enum=False,
        create_constraint=False,
        length=16,
        validate_strings=True,
        values_callable=lambda members: [member.value for member in members],
    )
    return cast("Column[CodeT]", Column(kind, default=default, comment=f"{comment}: {' '.join(codes)}"))


def _tenant(*, key: bool = False) -> Column[str]:
    return Column(String(9), primary_key=key, comment="Organisation number of the municipality")


def _log(*, key: bool = False) -> Column[str]:
    return Column(String(36), primary_key=key, comment="The hub's own id of the relay log")


def _connection(*, key: bool = False) -> Column[str]:
    return Column(String(80), primary_key=key, comment="The connection, <orgnr>/<name>")


def _id(comment: str, *, key: bool = False) -> Column[str]:
    return Column(String(36), primary_key=key, comment=comment)


def _word(length: int, comment: str, default: str | None = None, *, key: bool = False) -> Column[str]:
    return Column(String(length), primary_key=key, default=default, comment=comment)


def _hash(comment: str) -> Column[str]:
    return Column(String(64), comment=f"{comment} (HMAC-SHA256, hex)")


def _count(comment: str) -> Column[int]:
    return Column(Integer, default=0, comment=comment)


def _at(comment: str) -> Column[datetime]:
    return Column(Utc, comment=comment)


def _day(comment: str) -> Column[date]:
    return Column(Date, comment=comment)


def _sealed(comment: str) -> Column[bytes]:
    return Column(LargeBinary, comment=f"Sealed: {comment}")


def _of_log() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "log_id"], ["logs.tenant", "logs.log_id"], deferrable=True, initially="DEFERRED"
    )


def _one(name: str, *columns: str, where: str) -> Index:
    """At most one row with these values among the rows that the condition picks."""
    return Index(name, *columns, unique=True, sqlite_where=text(where), postgresql_where=text(where))


class LogKeyColumns(TypedColumns):
    """One data key per log. Deleting the row shreds everything sealed under it."""

    tenant: Named[str] = _tenant(key=True)
    log_id: Named[str] = _log(key=True)
    wrapped_key: Named[bytes] = _sealed("the log's data key, wrapped by the tenant's key")
    key_version: Named[int] = Column(Integer, comment="Version of the tenant's key that wraps it")
    created_at: Named[datetime] = _at("When the key was made")


class LogColumns(TypedColumns):
    """One relay log as merged, with what may be seen of it without opening it."""

    tenant: Named[str] = _tenant(key=True)
    log_id: Named[str] = _log(key=True)
    status: Named[str] = _word(20, "Status code of the log")
    level: Named[int | None] = Column(Integer, comment="BTI level 0-3")
    owning_unit_id: Named[str | None] = _word(80, "Id of the unit in charge")
    opened_on: Named[date | None] = _day("When the log was opened")
    closed_on: Named[date | None] = _day("When the log was closed")
    last_activity_at: Named[datetime | None] = _at("Last change seen from any system")
    next_deadline: Named[date | None] = _day("The nearest open deadline")
    consent_expires_on: Named[date | None] = _day("When the first consent in force ends")
    counts: Named[dict[str, int]] = Column(JSON, default=dict, comment="Elements per list of the log")
    version: Named[int] = _count("Grows by one with each merge that changed the log")
    routed_version: Named[int] = _count("The version that it was last decided what to send of")
    content_hash: Named[str | None] = _hash("Keyed hash of the whole log")
    subject_hash: Named[str | None] = _hash("Keyed hash of the subject's national id; none where it is not known")
    sealed_body: Named[bytes | None] = _sealed("the log; none where it may be neither shared nor archived")
    updated_at: Named[datetime] = _at("When the row was last written")


class RecordColumns(TypedColumns):
    """One record as one system last delivered it. Its sealed columns lie under the key of its log."""

    tenant: Named[str] = _tenant(key=True)
    connection: Named[str] = _connection(key=True)
    foreign_id: Named[str] = Column(
        String(200),
        primary_key=True,
        comment="The system's own id of the record; hashed if a national id",
    )
    log_id: Named[str | None] = _id("The log it belongs to; none until it is matched")
    foreign_version: Named[str | None] = _word(200, "Version or etag that the system gave")
    change_hash: Named[str | None] = _hash("Keyed hash of the record without its volatile places")
    mapping: Named[str | None] = _word(120, "Id of the mapping that read it")
    mapping_version: Named[int | None] = Column(Integer, comment="Version of that mapping")
    sealed_record: Named[bytes | None] = _sealed("the record, last exchanged")
    sealed_original: Named[bytes | None] = _sealed("the file that the record came in, where it came in one")
    sealed_base: Named[bytes | None] = _sealed("what it held at the last exchange, and what the hub meant by it")
    sealed_seen: Named[bytes | None] = _sealed("what it holds now, in the hub's ids")
    first_seen_at: Named[datetime] = _at("When the record was first pulled")
    last_seen_at: Named[datetime] = _at("When the record was last pulled")
    seen_in_run: Named[str | None] = _id("The run that last saw it")
    missing_since: Named[datetime | None] = _at("Since when a complete listing lacks it")


class ElementKeyColumns(TypedColumns):
    """Links the hub's id of an element to the key that one system gives it."""

    tenant: Named[str] = _tenant(key=True)
    connection: Named[str] = _connection(key=True)
    log_id: Named[str] = _log(key=True)
    collection: Named[str] = Column(String(40), primary_key=True, comment="List of the log, such as measures")
    element_id: Named[str] = Column(String(36), primary_key=True, comment="The hub's own id of the element")
    foreign_key: Named[str] = _word(200, "The system's key of the element; hashed if a national id")


class CursorColumns(TypedColumns):
    """How far a connection has been read. Moves only with committed pages."""

    tenant: Named[str] = _tenant(key=True)
    connection: Named[str] = _connection(key=True)
    value: Named[str] = _word(500, "The cursor as the connector wrote it: an instant, a token, a page")
    updated_at: Named[datetime] = _at("When it last moved")


class LeasedColumns(TypedColumns):
    """What every row of work has: when it is due, who works on it, and the number that late writers fail on."""

    tenant: Named[str] = _tenant()
    connection: Named[str] = _connection()
    attempts: Named[int] = _count("How often it has been claimed")
    due_at: Named[datetime] = _at("Not to be taken before")
    lease_owner: Named[str | None] = _word(120, "The worker that has it")
    lease_until: Named[datetime | None] = _at("When that worker counts as dead")
    fence: Named[int] = _count("Grows whenever the row is claimed or freed; a writer must hold the present number")
    error_class: Named[str | None] = _word(80, "Code of what went wrong last")


class RunColumns(LeasedColumns):
    """One occurrence of work on a connection, or one that was missed."""

    run_id: Named[str] = _id("The hub's own id of the run", key=True)
    occurrence: Named[str] = _word(160, "Id of the occurrence: connection and planned time, or who asked and when")
    planned_at: Named[datetime] = _at("When the occurrence was planned, before jitter")
    why: Named[str] = _word(20, "What started it: schedule, person, catch_up, replay, reconcile, wipe or short_listing")
    state: Named[RunState] = _codes(RunState, "State", RunState.QUEUED)
    cursor_before: Named[str | None] = _word(500, "Cursor when it started")
    cursor_after: Named[str | None] = _word(500, "Cursor after its last committed page")
    counts: Named[dict[str, int]] = Column(JSON, default=dict, comment="Records by what became of them")
    outcome: Named[str | None] = _word(40, "Code of how it ended")
    queued_at: Named[datetime] = _at("When the row was made")
    started_at: Named[datetime | None] = _at("When it was first claimed")
    ended_at: Named[datetime | None] = _at("When it ended")


class DeliveryColumns(LeasedColumns):
    """One outgoing change, kept until there is a receipt."""

    delivery_id: Named[str] = _id("The hub's own id of the delivery", key=True)
    log_id: Named[str] = _log()
    kind: Named[DeliveryKind] = _codes(DeliveryKind, "Kind")
    state: Named[DeliveryState] = _codes(DeliveryState, "State", DeliveryState.READY)
    idempotency_key: Named[str] = _word(80, "The same on every attempt")
    sealed_payload: Named[bytes | None] = _sealed("what is sent; wiped on receipt")
    view_hash: Named[str | None] = _hash("Keyed hash of the view it was made from")
    log_version: Named[int] = Column(Integer, comment="Version of the log it was made from")
    mapping: Named[str | None] = _word(120, "Id of the mapping that wrote it")
    mapping_version: Named[int | None] = Column(Integer, comment="Version of that mapping")
    sealed_receipt: Named[bytes | None] = _sealed("the receiver's answer")
    receipt_ref: Named[str | None] = _word(200, "The receiver's own id from the answer")
    created_at: Named[datetime] = _at("When the row was made")
    sent_at: Named[datetime | None] = _at("When bytes last left")
    done_at: Named[datetime | None] = _at("When the receipt came, or when it ended otherwise")


class QuarantineColumns(TypedColumns):
    """A record that could not be taken in, under a key of its own."""

    quarantine_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    connection: Named[str] = _connection()
    foreign_id: Named[str] = _word(200, "The system's own id of the record; hashed if a national id")
    reason: Named[str] = _word(60, "Code of the reason")
    place: Named[str | None] = _word(300, "Pointer, path or line of what is wrong; never its value")
    rule: Named[str | None] = _word(200, "The mapping rule or check that refused it")
    first_seen_at: Named[datetime] = _at("When it was first refused")
    last_seen_at: Named[datetime] = _at("When it was last refused")
    attempts: Named[int] = _count("How often it has been tried")
    change_hash: Named[str | None] = _hash("Keyed hash of the record as refused")
    subject_hash: Named[str | None] = _hash("Keyed hash of the national id, so that shredding reaches it")
    wrapped_key: Named[bytes | None] = _sealed("the row's data key; none when shredded")
    key_version: Named[int | None] = Column(Integer, comment="Version of the tenant's key that wraps it")
    sealed_record: Named[bytes | None] = _sealed("the record as delivered")
    state: Named[QuarantineState] = _codes(QuarantineState, "State", QuarantineState.OPEN)
    replay_run: Named[str | None] = _id("The run that is to take it in again; none where nobody asked")


class ConflictColumns(TypedColumns):
    """One field on which systems disagree, and what a person decided about it."""

    conflict_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str] = _log()
    path: Named[str] = _word(120, "Canonical path of the field")
    element_id: Named[str] = _word(36, "The element; empty for the log's own fields", default="")
    candidates_hash: Named[str] = _hash("Keyed hash of the candidates; others make the conflict open again")
    sealed_values: Named[bytes | None] = _sealed("the candidates, by system")
    state: Named[ConflictState] = _codes(ConflictState, "State", ConflictState.OPEN)
    first_seen_at: Named[datetime] = _at("When the systems first disagreed")
    settled_at: Named[datetime | None] = _at("When a person decided")
    settled_by: Named[str | None] = _word(120, "User id of that person")


class HoldColumns(TypedColumns):
    """Something that a rule stopped until a person decides."""

    hold_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str | None] = _id("The log; none where a whole connection is held")
    connection: Named[str | None] = _word(80, "The connection; none where every one is held")
    rule: Named[str] = _word(120, "Id of the rule that stops")
    reason: Named[str] = _word(120, "Code of the reason")
    revealing: Named[bool] = Column(Boolean, default=False, comment="The reason itself tells about the child")
    addressed_to: Named[str] = _word(40, "Role that may decide")
    releases_when: Named[str | None] = _word(120, "Code of what would release it without a person")
    since: Named[datetime] = _at("When it was set")
    situation_hash: Named[str | None] = _hash("Keyed hash of what it stops; a release is for that alone")
    state: Named[HoldState] = _codes(HoldState, "State", HoldState.OPEN)
    released_by: Named[str | None] = _word(120, "User id of who released it")
    released_at: Named[datetime | None] = _at("When it was released")


class ProposalColumns(TypedColumns):
    """Something that a person must accept, under a key of its own."""

    proposal_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    kind: Named[ProposalKind] = _codes(ProposalKind, "Kind")
    connection: Named[str] = _connection()
    log_id: Named[str | None] = _id("The log it is about; none where there is none yet")
    foreign_id: Named[str] = _word(200, "The system's id of the record, or empty; hashed if a national id", default="")
    collection: Named[str] = _word(40, "List of the log, or empty", default="")
    element_id: Named[str] = _word(36, "The element, or empty", default="")
    subject_hash: Named[str | None] = _hash("Keyed hash of the national id, so that shredding reaches it")
    wrapped_key: Named[bytes | None] = _sealed("the row's data key; none when shredded")
    key_version: Named[int | None] = Column(Integer, comment="Version of the tenant's key that wraps it")
    sealed_detail: Named[bytes | None] = _sealed("what is proposed and on what evidence")
    state: Named[ProposalState] = _codes(ProposalState, "State", ProposalState.OPEN)
    first_seen_at: Named[datetime] = _at("When it was first proposed")
    decided_by: Named[str | None] = _word(120, "User id of who decided")
    decided_at: Named[datetime | None] = _at("When it was decided")


class DecisionColumns(TypedColumns):
    """What a person decided or was shown, and why. Sealed under the key of its log, else under a key of its own."""

    decision_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str | None] = _id("The log it is about; none where it is about none")
    subject_kind: Named[str] = _word(20, "Kind of what was decided: hold, conflict, proposal, quarantine or delivery")
    subject_id: Named[str] = _id("The hub's id of what was decided")
    choice: Named[str] = _word(20, "Code of what was decided")
    in_force: Named[bool] = Column(Boolean, comment="Merging and routing still follow it")
    decided_by: Named[str] = _word(120, "User id of who decided")
    decided_at: Named[datetime] = _at("When it was decided")
    wrapped_key: Named[bytes | None] = _sealed("the row's data key; none where it lies under the log's")
    key_version: Named[int | None] = Column(Integer, comment="Version of the tenant's key that wraps it")
    sealed_detail: Named[bytes] = _sealed("why, and what was chosen over what")


class DifferenceColumns(TypedColumns):
    """Something that source, hub and archive do not agree on when they are counted; listed until it is closed."""

    difference_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    connection: Named[str] = _connection()
    kind: Named[DifferenceKind] = _codes(DifferenceKind, "Kind")
    subject: Named[str] = _word(200, "The system's own id of the record, or the hub's of the log")
    log_id: Named[str | None] = _id("The log it is about; none where there is none")
    state: Named[DifferenceState] = _codes(DifferenceState, "State", DifferenceState.OPEN)
    first_seen_at: Named[datetime] = _at("When a count first found it")
    last_seen_at: Named[datetime] = _at("When a count last found it")
    closed_at: Named[datetime | None] = _at("When a person closed it, or a count no longer found it")
    closed_by: Named[str | None] = _word(120, "User id of that person")


class TaskColumns(TypedColumns):
    """Something that somebody at a unit is asked to do about a log; the hub itself stops nothing because of it."""

    task_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str] = _log()
    kind: Named[TaskKind] = _codes(TaskKind, "Kind")
    reason: Named[str] = _word(60, "Code of why somebody must do something")
    connection: Named[str] = _word(80, "The connection that the log came through, or empty", default="")
    reader: Named[str] = _word(20, "The service that has had it, or empty", default="")
    unit_id: Named[str] = _word(80, "Id of the unit where its record lies; empty under address protection", default="")
    revealing: Named[bool] = Column(Boolean, default=False, comment="The reader or the reason tells about the child")
    addressed_to: Named[str] = _word(40, "Role that is to do it")
    since: Named[datetime] = _at("When it was set")
    state: Named[TaskState] = _codes(TaskState, "State", TaskState.OPEN)
    done_by: Named[str | None] = _word(120, "User id of who did it")
    done_at: Named[datetime | None] = _at("When it was done")


class RightsCaseColumns(TypedColumns):
    """A demand by somebody that a log is about, from the day it came until it is answered and carried out."""

    case_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str] = _log()
    kind: Named[RightsKind] = _codes(RightsKind, "Kind")
    state: Named[RightsState] = _codes(RightsState, "State", RightsState.OPEN)
    asked_by: Named[AskedBy] = _codes(AskedBy, "Who asked, by role")
    asked_on: Named[date] = _day("When it was asked")
    due_on: Named[date] = _day("The last day to answer")
    extended_by: Named[str | None] = _word(120, "User id of who last extended the time to answer")
    extended_at: Named[datetime | None] = _at("When it was last extended")
    opened_by: Named[str] = _word(120, "User id of who wrote the case down")
    opened_at: Named[datetime] = _at("When it was written down")
    decision: Named[RightsDecision | None] = _codes(RightsDecision, "Decision")
    basis: Named[Basis | None] = _codes(Basis, "Basis in law")
    decided_by: Named[str | None] = _word(120, "User id of who decided")
    decided_at: Named[datetime | None] = _at("When it was decided")
    done_by: Named[str | None] = _word(120, "User id of who saw it carried out")
    done_at: Named[datetime | None] = _at("When it was carried out")
    sealed_detail: Named[bytes | None] = _sealed(
        "what was asked, why its term was extended, and the assessment; none of a log that was deleted"
    )


class PackageColumns(TypedColumns):
    """One revision of a closed log, made once for every archive."""

    package_id: Named[str] = _id("The hub's own id", key=True)
    tenant: Named[str] = _tenant()
    log_id: Named[str] = _log()
    revision: Named[int] = Column(Integer, comment="1 for the first closing, then counted")
    external_key: Named[str] = _word(120, "The key that archives know it by")
    sealed_bytes: Named[bytes | None] = _sealed("the package; none where it lies in a file")
    sealed_file: Named[str | None] = _word(120, "Name of the sealed file in the data folder")
    content_hash: Named[str] = _hash("Keyed hash of the package before sealing")
    mapping_versions: Named[dict[str, int]] = Column(JSON, default=dict, comment="Version by mapping id that read it")
    created_at: Named[datetime] = _at("When it was made")


class ArchivedColumns(TypedColumns):
    """Proof that one target has taken one revision."""

    tenant: Named[str] = _tenant(key=True)
    log_id: Named[str] = _log(key=True)
    revision: Named[int] = Column(Integer, primary_key=True, comment="Revision of the package")
    target: Named[str] = Column(String(80), primary_key=True, comment="Connection of the archive")
    delivery_id: Named[str] = _id("The delivery that brought it there")
    receipt_ref: Named[str] = _word(200, "The archive's own id")
    archived_at: Named[datetime] = _at("When the archive's proof came")


class ConnectionStateColumns(TypedColumns):
    """What all workers must know of a connection before each attempt: pause, parking, breaker, and whose turn it is."""

    tenant: Named[str] = _tenant(key=True)
    connection: Named[str] = _connection(key=True)
    paused: Named[bool] = Column(Boolean, default=False, comment="A person stopped it")
    paused_by: Named[str | None] = _word(120, "User id of that person")
    paused_at: Named[datetime | None] = _at("When that person did")
    parked_until: Named[datetime | None] = _at("No call before, on the system's own word")
    parked_reason: Named[str | None] = _word(60, "Code of why it is parked")
    breaker_state: Named[BreakerState] = _codes(BreakerState, "Breaker", BreakerState.CLOSED)
    breaker_until: Named[datetime | None] = _at("While it is not closed: when one worker may try again")
    failures: Named[int] = _count("Failures in a row")
    next_free_at: Named[datetime | None] = _at("When the next attempt's turn is, where attempts per second are limited")
    last_success_at: Named[datetime | None] = _at("Last call that went well")


class MappingVersionColumns(TypedColumns):
    """A mapping as it was frozen: its texts never change, only which version is active. It holds no one's data."""

    tenant: Named[str] = _tenant(key=True)
    mapping: Named[str] = Column(String(120), primary_key=True, comment="Id of the mapping, system/template")
    version: Named[int] = Column(Integer, primary_key=True, autoincrement=False, comment="Version in its file")
    content_hash: Named[str] = _word(64, "Hash of all its files (SHA-256, hex)")
    files: Named[list[dict[str, str]]] = Column(JSON, comment="The YAML files that it is made of: role, id, name, text")
    frozen_at: Named[datetime] = _at("When it was frozen")
    frozen_by: Named[str] = _word(120, "User id of who froze it")
    active: Named[bool] = Column(Boolean, default=False, comment="This version runs")
    activated_at: Named[datetime | None] = _at("When it was last made active")
    activated_by: Named[str | None] = _word(120, "User id of who made it active")


class EventColumns(TypedColumns):
    """Who did what to what. Appended in the transaction of the deed, chained afterwards."""

    event_id: Named[int] = Column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, comment="In order of appending"
    )
    tenant: Named[str] = _tenant()
    at: Named[datetime] = _at("When it happened")
    action: Named[str] = _word(60, "source:subject:action of the closed vocabulary")
    subject_kind: Named[str] = _word(40, "Kind of what it was done to")
    subject_id: Named[str] = _word(160, "The hub's id of what it was done to")
    actor: Named[str] = _word(120, "User id or component that did it")
    data: Named[dict[str, str | int | bool]] = Column(JSON, default=dict, comment="Ids, counts and codes")
    position: Named[int | None] = Column(BigInteger, comment="Place in the tenant's chain; none until chained")
    previous_hash: Named[str | None] = _word(64, "Hash of the event before it in the chain (SHA-256, hex)")
    hash: Named[str | None] = _word(64, "Hash over the one before and this row (SHA-256, hex)")


log_keys = Table("log_keys", metadata, LogKeyColumns)
logs = Table(
    "logs",
    metadata,
    LogColumns,
    Index(None, "tenant", "subject_hash"),
    Index(None, "tenant", "status"),
    Index(None, "tenant", "next_deadline"),
    Index(
        "ix_logs_unrouted",
        *("tenant", "log_id"),
        sqlite_where=text("version > routed_version"),
        postgresql_where=text("version > routed_version"),
    ),
)
records = Table(
    "records",
    metadata,
    RecordColumns,
    _of_log(),
    Index(None, "tenant", "log_id"),
    Index(None, "tenant", "connection", "seen_in_run"),
)
element_keys = Table(
    "element_keys",
    metadata,
    ElementKeyColumns,
    _of_log(),
    UniqueConstraint("tenant", "connection", "log_id", "collection", "foreign_key"),
    Index(None, "tenant", "log_id"),
)
cursors = Table("cursors", metadata, CursorColumns)
runs = Table(
    "runs",
    metadata,
    RunColumns,
    UniqueConstraint("tenant", "connection", "occurrence"),
    _one("uq_runs_running", "tenant", "connection", where="state = 'running'"),
    Index(None, "state", "due_at"),
    Index(None, "tenant", "connection", "planned_at"),
)
deliveries = Table(
    "deliveries",
    metadata,
    DeliveryColumns,
    _of_log(),
    UniqueConstraint("tenant", "idempotency_key"),
    _one(
        "uq_deliveries_open",
        *("tenant", "connection", "log_id", "kind"),
        where="state IN ('ready', 'sending', 'unknown')",
    ),
    Index(None, "state", "due_at"),
    Index(None, "tenant", "log_id"),
)
quarantine = Table(
    "quarantine",
    metadata,
    QuarantineColumns,
    UniqueConstraint("tenant", "connection", "foreign_id"),
    Index(None, "tenant", "state"),
    Index(None, "tenant", "subject_hash"),
)
conflicts = Table(
    "conflicts",
    metadata,
    ConflictColumns,
    _of_log(),
    UniqueConstraint("tenant", "log_id", "path", "element_id"),
    Index(None, "tenant", "state"),
)
# Two unknowns are never equal in SQL, so what may be absent gets an index for each case.
holds = Table(
    "holds",
    metadata,
    HoldColumns,
    _one(
        "uq_holds_one_way",
        *("tenant", "log_id", "connection", "rule"),
        where="state = 'open' AND log_id IS NOT NULL AND connection IS NOT NULL",
    ),
    _one("uq_holds_every_way", "tenant", "log_id", "rule", where="state = 'open' AND connection IS NULL"),
    _one("uq_holds_connection", "tenant", "connection", "rule", where="state = 'open' AND log_id IS NULL"),
    Index(None, "tenant", "state"),
    Index(None, "tenant", "log_id", "state"),
)
_proposed = ("tenant", "kind", "connection", "foreign_id", "collection", "element_id")
proposals = Table(
    "proposals",
    metadata,
    ProposalColumns,
    _one("uq_proposals_of_log", *_proposed, "log_id", where="log_id IS NOT NULL"),
    _one("uq_proposals_without_log", *_proposed, where="log_id IS NULL"),
    Index(None, "tenant", "state"),
    Index(None, "tenant", "log_id", "state"),
    Index(None, "tenant", "subject_hash"),
)
decisions = Table(
    "decisions",
    metadata,
    DecisionColumns,
    Index(None, "tenant", "log_id"),
    Index(None, "tenant", "subject_id"),
)
differences = Table(
    "differences",
    metadata,
    DifferenceColumns,
    _one("uq_differences_open", "tenant", "connection", "kind", "subject", where="state = 'open'"),
    Index(None, "tenant", "state"),
)
tasks = Table(
    "tasks",
    metadata,
    TaskColumns,
    _of_log(),
    _one("uq_tasks_standing", *("tenant", "log_id", "kind", "reason", "connection", "reader"), where="state <> 'gone'"),
    Index(None, "tenant", "state"),
)
rights_cases = Table(
    "rights_cases",
    metadata,
    RightsCaseColumns,
    _of_log(),
    Index(None, "tenant", "log_id"),
    Index(None, "tenant", "state"),
)
packages = Table("packages", metadata, PackageColumns, _of_log(), UniqueConstraint("tenant", "log_id", "revision"))
archived = Table("archived", metadata, ArchivedColumns)
connection_state = Table("connection_state", metadata, ConnectionStateColumns)
mapping_versions = Table(
    "mapping_versions",
    metadata,
    MappingVersionColumns,
    _one("uq_mapping_versions_active", "tenant", "mapping", where="active"),
)
events = Table(
    "events",
    metadata,
    EventColumns,
    UniqueConstraint("tenant", "position"),
    Index(None, "tenant", "subject_kind", "subject_id"),
    sqlite_autoincrement=True,
)
