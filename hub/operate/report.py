"""What IT sees every day: each connection's last run, what was sent, and what waits for a person. No one's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, func, or_, select

from hub.operate.unarchived import unarchived
from hub.operate.words import in_words
from hub.store.connections import ConnectionState, Stop, stop_of
from hub.store.database import Database
from hub.store.inbox import SPECIAL_RULE
from hub.store.tables import (
    ConflictState,
    DeliveryKind,
    DeliveryState,
    DifferenceState,
    HoldState,
    ProposalState,
    QuarantineState,
    RunState,
    TaskState,
    archived,
    conflicts,
    deliveries,
    differences,
    events,
    holds,
    logs,
    proposals,
    quarantine,
    records,
    runs,
    tasks,
)
from hub.store.work import PROVED_CLOSINGS


@dataclass(frozen=True)
class StuckDelivery:
    """A change that was not sent: its delivery failed or is held. `code` says what went wrong."""

    id: str
    code: str


@dataclass(frozen=True)
class ConnectionStatus:
    """One connection as it stands: its last run, what stops it now, and everything open.

    `next_try_at` is when a run that was put off goes on, `stuck` counts failed and held deliveries by their error.
    `stuck_first` names the oldest of them, at most `NAMED`; `failed` counts them all.
    """

    connection: str
    last_run: str
    last_ended_at: datetime | None
    last_error: str
    records: int
    sent: int
    waiting: int
    unknown: int
    failed: int
    held: int
    quarantined: int
    conflicts: int
    stop: Stop | None = None
    next_try_at: datetime | None = None
    stuck: Mapping[str, int] = field(default_factory=dict)
    stuck_first: tuple[StuckDelivery, ...] = ()


@dataclass(frozen=True)
class TenantStatus:
    """One municipality as it stands.

    `archived` counts logs of which an archive has proved to have a closing, `archiving` packages on the way, `held`
    open holds by reason as all may read it.
    """

    tenant: str
    logs: int
    archived: int
    archiving: int
    archive_failed: int
    held: dict[str, int]
    proposals: int
    connections: tuple[ConnectionStatus, ...]
    unarchived: int = 0
    """Closed logs that have waited for the archive's proof longer than they may."""
    archive_stuck: Mapping[str, str] = field(default_factory=dict)
    """The error of each package that failed or is held, by the id of its delivery."""
    archive: str = ""
    """The id of its archive, which `hub pause` and `hub resume` take; empty where there is none."""
    archive_stop: Stop | None = None
    """What stops the archive now."""


@dataclass(frozen=True)
class InboxItem:
    """One thing that waits for a person. `place` says where, never what."""

    kind: str
    id: str
    log: str
    connection: str
    reason: str
    place: str
    addressed_to: str
    since: datetime
    rule: str = field(default="", repr=False)
    """The rule of a hold, also where it reveals something, or the kind of a task: for deciding, never for showing."""
    ends: str = ""
    """What ends a hold without a person, where that may be told."""


@dataclass(frozen=True)
class TraceLine:
    """One thing that happened: when, who did it, what in words, and the kind and id of what it was done to."""

    at: datetime
    actor: str
    what: str
    kind: str
    id: str


ALARM_AFTER = timedelta(days=7)
"""How long a closed log may wait for the archive's proof where the municipality says nothing."""

ENDED_BADLY = (DeliveryState.FAILED, DeliveryState.HELD)
"""What the receiver refused, or what was tried too often: both wait for a person."""

NAMED = 10
"""How many deliveries that were not sent a connection is told with."""

NO_ALARMS: Mapping[str, timedelta] = MappingProxyType({})


class Reports:
    """Reads the store for people."""

    def __init__(self, db: Database, archive_alarms: Mapping[str, timedelta] = NO_ALARMS) -> None:
        """Take how long a closed log may wait for the archive, by municipality; `ALARM_AFTER` where none is given."""
        self._db = db
        self._archive_alarms = archive_alarms

    def status(self, tenant: str, connections: Iterable[str], now: datetime, archive: str = "") -> TenantStatus:
        """Return how a municipality stands; `archive` is the id of its archive, where it has one."""
        with self._db.read() as tx:
            of_logs = select(func.count()).select_from(logs).where(logs.c.tenant == tenant)
            closings = select(func.count(archived.c.log_id.distinct())).select_from(PROVED_CLOSINGS)
            of_archived = closings.where(archived.c.tenant == tenant)
            open_proposals = (proposals.c.tenant == tenant, proposals.c.state == ProposalState.OPEN)
            counts = tx.scalar(of_logs) or 0, tx.scalar(of_archived) or 0
            packages = _deliveries(tx, tenant, DeliveryKind.ARCHIVE)
            stuck = _stuck_packages(tx, tenant)
            since = now - self._archive_alarms.get(tenant, ALARM_AFTER)
            overdue = sum(each.since < since for each in unarchived(tx, tenant))
            proposed = tx.scalar(select(func.count()).select_from(proposals).where(*open_proposals)) or 0
            stop = stop_of(ConnectionState(tenant, archive).read(tx), now) if archive else None
        held = Counter(SPECIAL_RULE if row.revealing else row.reason for row in self._open_holds(tenant))
        states = tuple(self._connection(tenant, connection, now) for connection in connections)
        on_the_way = _waiting(packages) + packages[DeliveryState.UNKNOWN]
        by_reason = dict(sorted(held.items()))
        failed = _failed(packages)
        return TenantStatus(
            tenant, *counts, on_the_way, failed, by_reason, proposed, states, overdue, stuck, archive, stop
        )

    def _connection(self, tenant: str, connection: str, now: datetime) -> ConnectionStatus:
        mine = and_(records.c.tenant == tenant, records.c.connection == connection)
        logs_here = select(records.c.log_id).where(mine)
        with self._db.read() as tx:
            last = tx.execute(
                select(runs)
                .where(runs.c.tenant == tenant, runs.c.connection == connection, runs.c.started_at.is_not(None))
                .order_by(runs.c.started_at.desc(), runs.c.queued_at.desc())
                .limit(1)
            ).first()
            states = _deliveries(tx, tenant, DeliveryKind.UPDATE, deliveries.c.connection == connection)
            held = (
                select(func.count())
                .select_from(holds)
                .where(
                    holds.c.tenant == tenant,
                    holds.c.state == HoldState.OPEN,
                    or_(
                        holds.c.connection == connection,
                        and_(holds.c.connection.is_(None), holds.c.log_id.in_(logs_here)),
                    ),
                )
            )
            refused = (
                select(func.count())
                .select_from(quarantine)
                .where(
                    quarantine.c.tenant == tenant,
                    quarantine.c.connection == connection,
                    quarantine.c.state == QuarantineState.OPEN,
                )
            )
            disputed = (
                select(func.count())
                .select_from(conflicts)
                .where(
                    conflicts.c.tenant == tenant,
                    conflicts.c.state == ConflictState.OPEN,
                    conflicts.c.log_id.in_(logs_here),
                )
            )
            return ConnectionStatus(
                connection=connection,
                last_run=last.state if last else "",
                last_ended_at=last.ended_at if last else None,
                last_error=(last.error_class or "") if last else "",
                records=tx.scalar(select(func.count()).select_from(records).where(mine)) or 0,
                sent=states[DeliveryState.DONE],
                waiting=_waiting(states),
                unknown=states[DeliveryState.UNKNOWN],
                failed=_failed(states),
                held=tx.scalar(held) or 0,
                quarantined=tx.scalar(refused) or 0,
                conflicts=tx.scalar(disputed) or 0,
                stop=stop_of(ConnectionState(tenant, connection).read(tx), now),
                next_try_at=last.due_at if last and last.state is RunState.QUEUED else None,
                stuck=_stuck(tx, tenant, connection),
                stuck_first=_stuck_first(tx, tenant, connection),
            )

    def held(self, tenant: str) -> dict[str, int]:
        """Return open holds by their true reason: for who may decide, and for children that are invented."""
        return dict(sorted(Counter(row.reason for row in self._open_holds(tenant)).items()))

    def of_logs(self, tenant: str) -> dict[str, Counter[str]]:
        """Count for every log what was sent and archived, and what waits, by true reason: for invented children."""
        with self._db.read() as tx:
            found = {
                log_id: Counter[str]() for log_id in tx.scalars(select(logs.c.log_id).where(logs.c.tenant == tenant))
            }
            d = deliveries.c
            sent = _log_ids(deliveries, tenant).where(d.kind == DeliveryKind.UPDATE, d.state == DeliveryState.DONE)
            told = [(log_id, "sent") for log_id in tx.scalars(sent)]
            told += [(log_id, "archived") for log_id in tx.scalars(_log_ids(archived, tenant))]
            held = _standing(tx, holds, tenant, HoldState.OPEN, "log_id reason")
            asked = _standing(tx, proposals, tenant, ProposalState.OPEN, "log_id kind")
            to_do = _standing(tx, tasks, tenant, TaskState.OPEN, "log_id reason")
            told += [(row.log_id, f"held: {row.reason}") for row in held]
            told += [(row.log_id, "conflict") for row in _standing(tx, conflicts, tenant, ConflictState.OPEN, "log_id")]
            told += [(row.log_id, f"asked: {row.kind}") for row in asked]
            told += [(row.log_id, f"task: {row.reason}") for row in to_do]
        for log_id, what in told:
            if log_id in found:
                found[log_id][what] += 1
        return found

    def records_of(self, tenant: str) -> dict[tuple[str, str], str]:
        """Return the log of every record by connection and the system's own id."""
        c = records.c
        with self._db.read() as tx:
            rows = tx.execute(
                select(c.connection, c.foreign_id, c.log_id).where(c.tenant == tenant, c.log_id.is_not(None))
            )
            return {(row.connection, row.foreign_id): row.log_id for row in rows}

    def inbox(self, tenant: str, kind: str = "", connection: str = "") -> list[InboxItem]:
        """Return what waits for a person, the oldest first; of one kind or about one connection where asked.

        Reasons that reveal are not told.
        """
        with self._db.read() as tx:
            asked = (each for each in _KINDS if kind in ("", each.name))
            items = [item for each in asked for item in each.waiting(tx, tenant)]
            here = (records.c.tenant == tenant, records.c.connection == connection)
            logs_here = set(tx.scalars(select(records.c.log_id).where(*here))) if connection else set()
        return sorted(
            (
                item
                for item in items
                if connection in ("", item.connection) or (not item.connection and item.log in logs_here)
            ),
            key=lambda item: (item.since, item.id),
        )

    def item(self, tenant: str, item_id: str) -> InboxItem | None:
        """Return one thing that waits for a person; None where there is none with this id."""
        with self._db.read() as tx:
            return next((item for each in _KINDS if (item := each.one(tx, tenant, item_id))), None)

    def log_of_record(self, tenant: str, connection: str, foreign_id: str) -> str | None:
        """Return the log that a system's record belongs to."""
        c = records.c
        where = (c.tenant == tenant, c.connection == connection, c.foreign_id == foreign_id)
        with self._db.read() as tx:
            return tx.scalar(select(c.log_id).where(*where))

    def trace(self, tenant: str, subject: str) -> list[TraceLine]:
        """Return in order what happened to a log, run, delivery or anything in the inbox, and to what led to it.

        A log is told with its deliveries and whatever waited about it, a run with the logs that it changed, a delivery
        with its log. An unknown id gives nothing.
        """
        with self._db.read() as tx:
            log_id = tx.scalar(select(deliveries.c.log_id).where(_is(deliveries, tenant, "delivery_id", subject)))
            others = _deliveries_of(tx, tenant, log_id) - {subject} if log_id else set()
            about = {subject, *([log_id] if log_id else _deliveries_of(tx, tenant, subject))}
            c = events.c
            named = [c.data[name].as_string().in_(about) for name in ("log", "run", "into")]
            found = select(events).where(c.tenant == tenant, or_(c.subject_id.in_(about), *named)).order_by(c.event_id)
            rows = [row for row in tx.execute(found) if row.subject_id not in others]
            to = dict(_to(tx, tenant, {row.subject_id for row in rows}))
        return [
            TraceLine(
                row.at,
                row.actor,
                in_words(row.action, {**row.data, **to.get(row.subject_id, {})}),
                row.subject_kind,
                row.subject_id,
            )
            for row in rows
        ]

    def _open_holds(self, tenant: str) -> list[Row[Any]]:
        where = (holds.c.tenant == tenant, holds.c.state == HoldState.OPEN)
        with self._db.read() as tx:
            return list(tx.execute(select(holds).where(*where).order_by(holds.c.since, holds.c.hold_id)))


def _log_ids(table: Table[Any], tenant: str) -> Select[str]:
    return select(table.c.log_id).where(table.c.tenant == tenant)


def _is(table: Table[Any], tenant: str, column: str, value: str) -> ColumnElement[bool]:
    return and_(table.c.tenant == tenant, table.c[column] == value)


def _deliveries_of(tx: Connection, tenant: str, log_id: str) -> set[str]:
    return set(tx.scalars(select(deliveries.c.delivery_id).where(_is(deliveries, tenant, "log_id", log_id))))


def _to(tx: Connection, tenant: str, ids: Collection[str]) -> Iterable[tuple[str, dict[str, str]]]:
    """Yield the connection of each run and delivery among these ids, and the receiver's reference if there is one."""
    r, d = runs.c, deliveries.c
    for run in tx.execute(select(r.run_id, r.connection).where(r.tenant == tenant, r.run_id.in_(list(ids)))):
        yield run.run_id, {"connection": run.connection, "receipt": ""}
    sent = select(d.delivery_id, d.connection, d.receipt_ref).where(d.tenant == tenant, d.delivery_id.in_(list(ids)))
    for row in tx.execute(sent):
        yield row.delivery_id, {"connection": row.connection, "receipt": row.receipt_ref or ""}


def _standing(
    tx: Connection, table: Table[Any], tenant: str, state: StrEnum, names: str, *only: ColumnElement[bool]
) -> list[Row[Any]]:
    """Return what waits in a table, by the named columns alone: sealed beside them may lie any number of files."""
    columns = [table.c[name] for name in names.split()]
    return list(tx.execute(select(*columns).where(table.c.tenant == tenant, table.c.state == state, *only)))


@dataclass(frozen=True)
class _Kind:
    """A kind of what waits: its table, the state in which it does, and the columns that tell of it, the id's first."""

    name: str
    table: Table[Any]
    state: StrEnum
    columns: str
    item: Callable[[Row[Any]], InboxItem]

    def waiting(self, tx: Connection, tenant: str) -> list[InboxItem]:
        """Return all of it."""
        return [self.item(row) for row in _standing(tx, self.table, tenant, self.state, self.columns)]

    def one(self, tx: Connection, tenant: str, item_id: str) -> InboxItem | None:
        """Return what waits under an id."""
        this = self.table.c[self.columns.partition(" ")[0]] == item_id
        found = _standing(tx, self.table, tenant, self.state, self.columns, this)
        return self.item(found[0]) if found else None


def _hold_item(row: Row[Any]) -> InboxItem:
    reason = SPECIAL_RULE if row.revealing else row.reason
    ends = "" if row.revealing else row.releases_when or ""
    where = (row.log_id or "", row.connection or "")
    return InboxItem("hold", row.hold_id, *where, reason, "", row.addressed_to, row.since, row.rule, ends)


def _conflict_item(row: Row[Any]) -> InboxItem:
    return InboxItem("conflict", row.conflict_id, row.log_id, "", "conflict", row.path, "holder", row.first_seen_at)


def _quarantine_item(row: Row[Any]) -> InboxItem:
    place = f"{row.place} ({row.rule})"
    where = ("", row.connection)
    return InboxItem("quarantine", row.quarantine_id, *where, row.reason, place, "operator", row.first_seen_at)


def _proposal_item(row: Row[Any]) -> InboxItem:
    about = (row.log_id or "", row.connection, row.kind, row.collection)
    return InboxItem("proposal", row.proposal_id, *about, "holder", row.first_seen_at)


def _difference_item(row: Row[Any]) -> InboxItem:
    where = (row.log_id or "", row.connection)
    return InboxItem("difference", row.difference_id, *where, row.kind, row.subject, "operator", row.first_seen_at)


def _task_item(row: Row[Any]) -> InboxItem:
    told = ("", SPECIAL_RULE, "") if row.revealing else (row.connection, row.reason, row.reader)
    connection, reason, reader = told
    return InboxItem("task", row.task_id, row.log_id, connection, reason, reader, row.addressed_to, row.since, row.kind)


_HOLD = "hold_id log_id connection rule reason revealing addressed_to releases_when since"
_REFUSED = "connection reason place rule first_seen_at"
_ASKED = "log_id connection kind first_seen_at"
_TASK = "task_id log_id connection kind reason reader revealing addressed_to since"
_KINDS = (
    _Kind("hold", holds, HoldState.OPEN, _HOLD, _hold_item),
    _Kind("conflict", conflicts, ConflictState.OPEN, "conflict_id log_id path first_seen_at", _conflict_item),
    _Kind("quarantine", quarantine, QuarantineState.OPEN, f"quarantine_id {_REFUSED}", _quarantine_item),
    _Kind("proposal", proposals, ProposalState.OPEN, f"proposal_id {_ASKED} collection", _proposal_item),
    _Kind("difference", differences, DifferenceState.OPEN, f"difference_id {_ASKED} subject", _difference_item),
    _Kind("task", tasks, TaskState.OPEN, _TASK, _task_item),
)
"""What the inbox is made of."""


def _deliveries(tx: Connection, tenant: str, kind: DeliveryKind, *only: ColumnElement[bool]) -> Counter[DeliveryState]:
    """Count deliveries of a kind by their state."""
    c = deliveries.c
    counted = select(c.state, func.count().label("number")).where(c.tenant == tenant, c.kind == kind, *only)
    return Counter({row.state: row.number for row in tx.execute(counted.group_by(c.state))})


def _stuck(tx: Connection, tenant: str, connection: str) -> dict[str, int]:
    """Count the deliveries of changes that failed or are held, by what went wrong."""
    c = deliveries.c
    counted = select(c.error_class, func.count().label("number")).where(*_not_sent(tenant, connection))
    counted = counted.group_by(c.error_class)
    return {row.error_class or "": row.number for row in tx.execute(counted.order_by(c.error_class))}


def _stuck_first(tx: Connection, tenant: str, connection: str) -> tuple[StuckDelivery, ...]:
    """Return the oldest deliveries of changes that failed or are held, at most `NAMED`."""
    found = _by_age(*_not_sent(tenant, connection)).limit(NAMED)
    return tuple(StuckDelivery(row.delivery_id, row.error_class or "") for row in tx.execute(found))


def _stuck_packages(tx: Connection, tenant: str) -> dict[str, str]:
    """Return the error of each package that failed or is held by the id of its delivery, the oldest first."""
    c = deliveries.c
    found = _by_age(c.tenant == tenant, c.kind == DeliveryKind.ARCHIVE, c.state.in_(ENDED_BADLY))
    return {row.delivery_id: row.error_class or "" for row in tx.execute(found)}


def _not_sent(tenant: str, connection: str) -> tuple[ColumnElement[bool], ...]:
    c = deliveries.c
    mine = (c.tenant == tenant, c.connection == connection, c.kind == DeliveryKind.UPDATE)
    return (*mine, c.state.in_(ENDED_BADLY))


def _by_age(*where: ColumnElement[bool]) -> Select[str, str | None]:
    """Select id and error of deliveries, the oldest first."""
    c = deliveries.c
    return select(c.delivery_id, c.error_class).where(*where).order_by(c.created_at, c.delivery_id)


def _waiting(states: Counter[DeliveryState]) -> int:
    return states[DeliveryState.READY] + states[DeliveryState.SENDING]


def _failed(states: Counter[DeliveryState]) -> int:
    return sum(states[state] for state in ENDED_BADLY)
