"""What IT sees every day: each connection's last run, what was sent, and what waits for a person. No one's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from hub.store.database import Database
from hub.store.tables import (
    ConflictState,
    DeliveryKind,
    DeliveryState,
    HoldState,
    ProposalState,
    QuarantineState,
    archived,
    conflicts,
    deliveries,
    events,
    holds,
    logs,
    proposals,
    quarantine,
    records,
    runs,
)

SPECIAL_RULE = "special_rule"
"""What a reason that would itself reveal something reads as: særskilt regel."""


@dataclass(frozen=True)
class ConnectionStatus:
    """One connection as it stands: its last run, and everything open."""

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


@dataclass(frozen=True)
class TenantStatus:
    """One municipality as it stands.

    `held` counts open holds by reason as all may read it, `archiving` packages on the way.
    """

    tenant: str
    logs: int
    archived: int
    archiving: int
    archive_failed: int
    held: dict[str, int]
    proposals: int
    connections: tuple[ConnectionStatus, ...]


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


class Reports:
    """Reads the store for people."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def status(self, tenant: str, connections: Iterable[str]) -> TenantStatus:
        """Return how a municipality stands."""
        with self._db.read() as tx:
            of_logs = select(func.count()).select_from(logs).where(logs.c.tenant == tenant)
            of_archived = select(func.count()).select_from(archived).where(archived.c.tenant == tenant)
            open_proposals = (proposals.c.tenant == tenant, proposals.c.state == ProposalState.OPEN)
            counts = tx.scalar(of_logs) or 0, tx.scalar(of_archived) or 0
            packages = _deliveries(tx, tenant, DeliveryKind.ARCHIVE)
            proposed = tx.scalar(select(func.count()).select_from(proposals).where(*open_proposals)) or 0
        held = Counter(SPECIAL_RULE if row.revealing else row.reason for row in self._open_holds(tenant))
        states = tuple(self._connection(tenant, connection) for connection in connections)
        on_the_way = _waiting(packages) + packages[DeliveryState.UNKNOWN]
        return TenantStatus(
            tenant, *counts, on_the_way, _failed(packages), dict(sorted(held.items())), proposed, states
        )

    def _connection(self, tenant: str, connection: str) -> ConnectionStatus:
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
            )

    def held(self, tenant: str) -> dict[str, int]:
        """Return open holds by their true reason: for who may decide, and for children that are invented."""
        return dict(sorted(Counter(row.reason for row in self._open_holds(tenant)).items()))

    def inbox(self, tenant: str) -> list[InboxItem]:
        """Return everything that waits for a person, the oldest first. Reasons that reveal are not told."""
        items = [
            InboxItem(
                "hold",
                row.hold_id,
                row.log_id or "",
                row.connection or "",
                SPECIAL_RULE if row.revealing else row.reason,
                "",
                row.addressed_to,
                row.since,
            )
            for row in self._open_holds(tenant)
        ]
        with self._db.read() as tx:
            open_conflicts = (conflicts.c.tenant == tenant, conflicts.c.state == ConflictState.OPEN)
            for row in tx.execute(select(conflicts).where(*open_conflicts)):
                path = row.path
                items.append(
                    InboxItem(
                        "conflict", row.conflict_id, row.log_id, "", "conflict", path, "holder", row.first_seen_at
                    )
                )
            refused = (quarantine.c.tenant == tenant, quarantine.c.state == QuarantineState.OPEN)
            for row in tx.execute(select(quarantine).where(*refused)):
                where = f"{row.place} ({row.rule})"
                items.append(
                    InboxItem(
                        *("quarantine", row.quarantine_id, "", row.connection, row.reason, where, "operator"),
                        row.first_seen_at,
                    )
                )
            proposed = (proposals.c.tenant == tenant, proposals.c.state == ProposalState.OPEN)
            items.extend(
                InboxItem(
                    *(
                        "proposal",
                        row.proposal_id,
                        row.log_id or "",
                        row.connection,
                        row.kind,
                        row.collection,
                        "holder",
                    ),
                    row.first_seen_at,
                )
                for row in tx.execute(select(proposals).where(*proposed))
            )
        return sorted(items, key=lambda item: (item.since, item.id))

    def trace(self, subject: str) -> list[Row[Any]]:
        """Return every event about a log, a run or a delivery, in order."""
        about = or_(events.c.subject_id == subject, events.c.data["log"].as_string() == subject)
        with self._db.read() as tx:
            return list(tx.execute(select(events).where(about).order_by(events.c.event_id)))

    def _open_holds(self, tenant: str) -> list[Row[Any]]:
        where = (holds.c.tenant == tenant, holds.c.state == HoldState.OPEN)
        with self._db.read() as tx:
            return list(tx.execute(select(holds).where(*where).order_by(holds.c.since, holds.c.hold_id)))


def _deliveries(tx: Connection, tenant: str, kind: DeliveryKind, *only: ColumnElement[bool]) -> Counter[DeliveryState]:
    """Count deliveries of a kind by their state."""
    c = deliveries.c
    counted = select(c.state, func.count().label("number")).where(c.tenant == tenant, c.kind == kind, *only)
    return Counter({row.state: row.number for row in tx.execute(counted.group_by(c.state))})


def _waiting(states: Counter[DeliveryState]) -> int:
    return states[DeliveryState.READY] + states[DeliveryState.SENDING]


def _failed(states: Counter[DeliveryState]) -> int:
    """What the receiver refused, or what was tried too often: both wait for a person."""
    return states[DeliveryState.FAILED] + states[DeliveryState.HELD]
