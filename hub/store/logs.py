"""Logs as they are kept: one body per log, one side per system that holds it, all sealed under the log's own key.

Every statement about logs, records and element keys stands here. Callers hand in the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update

from hub.relaylog.codes import LogStatus, MeasureStatus
from hub.relaylog.model import RelayLog
from hub.store.database import upsert
from hub.store.sealing import Purpose, Sealer, TenantKeys, create_log_keys, log_sealer
from hub.store.tables import element_keys, logs, records

ElementKey = tuple[str, str]
"""The list and the foreign key of an element in one system."""

Tree = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """What one system holds of a log. `record` is as last delivered, `seen` the same in the hub's ids.

    `original` is the file that the record came in, where it came in one.

    `base` and `sent` are what it held at the last exchange and what the hub meant by it; None before the first.
    """

    connection: str
    foreign_id: str
    foreign_version: str
    change_hash: str
    mapping: str
    mapping_version: int
    record: Tree = field(repr=False)
    seen: RelayLog
    base: RelayLog | None = None
    sent: RelayLog | None = None
    original: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class StoredLog:
    """A log with all its sides. `version` 0 is a log not yet stored."""

    log_id: str
    sealer: Sealer
    log: RelayLog
    agreed: RelayLog | None = None
    sides: tuple[Side, ...] = ()
    version: int = 0

    def side(self, connection: str) -> Side | None:
        """Return what a connection holds of the log, if anything."""
        return next((side for side in self.sides if side.connection == connection), None)

    def with_side(self, side: Side) -> StoredLog:
        """Return the log with one side put in or replaced."""
        others = (other for other in self.sides if other.connection != side.connection)
        return replace(self, sides=(*others, side))


@dataclass(frozen=True)
class KnownRecord:
    """What is known in clear of a record: its log and its change hash."""

    log_id: str | None
    change_hash: str | None


class LogStore:
    """The logs of one tenant."""

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        self.tenant = keys.tenant

    def known_records(self, tx: Connection, connection: str, foreign_ids: Iterable[str]) -> dict[str, KnownRecord]:
        """Return those of a connection's records that are known, by the system's id."""
        rows = tx.execute(
            select(records.c.foreign_id, records.c.log_id, records.c.change_hash).where(
                records.c.tenant == self.tenant,
                records.c.connection == connection,
                records.c.foreign_id.in_(list(foreign_ids)),
            )
        )
        return {row.foreign_id: KnownRecord(row.log_id, row.change_hash) for row in rows}

    def record_count(self, tx: Connection, connection: str) -> int:
        """Return how many records of a connection are known."""
        mine = (records.c.tenant == self.tenant, records.c.connection == connection)
        return tx.scalar(select(func.count()).select_from(records).where(*mine)) or 0

    def seen_again(
        self, tx: Connection, connection: str, foreign_ids: Iterable[str], run_id: str | None, now: datetime
    ) -> None:
        """Note that unchanged records were in the listing."""
        tx.execute(
            update(records)
            .where(
                records.c.tenant == self.tenant,
                records.c.connection == connection,
                records.c.foreign_id.in_(list(foreign_ids)),
            )
            .values(last_seen_at=now, missing_since=None, **({"seen_in_run": run_id} if run_id else {}))
        )

    def missing(self, tx: Connection, connection: str, run_id: str) -> list[tuple[str, str | None]]:
        """Return the system's ids, and the logs, of records that a run did not see."""
        rows = tx.execute(
            select(records.c.foreign_id, records.c.log_id).where(
                records.c.tenant == self.tenant,
                records.c.connection == connection,
                or_(records.c.seen_in_run.is_(None), records.c.seen_in_run != run_id),
            )
        )
        return [(row.foreign_id, row.log_id) for row in rows]

    def note_missing(self, tx: Connection, connection: str, foreign_ids: Iterable[str], now: datetime) -> None:
        """Note since when a complete listing lacks records."""
        tx.execute(
            update(records)
            .where(
                records.c.tenant == self.tenant,
                records.c.connection == connection,
                records.c.foreign_id.in_(list(foreign_ids)),
                records.c.missing_since.is_(None),
            )
            .values(missing_since=now)
        )

    def of_subject(self, tx: Connection, subject_hash: str) -> list[Row[Any]]:
        """Return id, status and connection of every side of every log about a person, found by keyed national id."""
        joined = logs.join(
            records, and_(records.c.tenant == logs.c.tenant, records.c.log_id == logs.c.log_id), isouter=True
        )
        return list(
            tx.execute(
                select(logs.c.log_id, logs.c.status, records.c.connection)
                .select_from(joined)
                .where(logs.c.tenant == self.tenant, logs.c.subject_hash == subject_hash)
                .order_by(logs.c.log_id)
            )
        )

    def new(self, tx: Connection, log_id: str, now: datetime) -> StoredLog:
        """Make a log and its key; it is stored by `save`."""
        tx.execute(
            insert(logs).values(
                tenant=self.tenant, log_id=log_id, status=LogStatus.UNKNOWN, counts={}, version=0, updated_at=now
            )
        )
        return StoredLog(log_id, create_log_keys(tx, self.keys, [log_id], now)[log_id], RelayLog(id=log_id))

    def load(self, tx: Connection, log_id: str) -> StoredLog:
        """Return a log with its sides. Raises SealError where it was shredded or damaged."""
        sealer = log_sealer(tx, self.keys, log_id)
        row = tx.execute(
            select(logs.c.version, logs.c.sealed_body).where(logs.c.tenant == self.tenant, logs.c.log_id == log_id)
        ).one()
        sides = tx.execute(
            select(records)
            .where(records.c.tenant == self.tenant, records.c.log_id == log_id)
            .order_by(records.c.connection)
        )
        body = (
            json.loads(sealer.open("logs.sealed_body", row.sealed_body)) if row.sealed_body else {"log": {"id": log_id}}
        )
        return StoredLog(
            log_id=log_id,
            sealer=sealer,
            log=RelayLog.model_validate(body["log"]),
            agreed=_log(body.get("agreed")),
            sides=tuple(_side(side, sealer) for side in sides),
            version=row.version,
        )

    def save(self, tx: Connection, stored: StoredLog, now: datetime) -> StoredLog:
        """Write a log's body and what stands of it in clear; its version grows when the log itself changed."""
        body = {"log": _dump(stored.log), "agreed": stored.agreed and _dump(stored.agreed)}
        content = self.keys.keyed_hash(Purpose.CONTENT, json.dumps(body["log"], sort_keys=True).encode())
        before = tx.scalar(
            select(logs.c.content_hash).where(logs.c.tenant == self.tenant, logs.c.log_id == stored.log_id)
        )
        stored = replace(stored, version=stored.version + (before != content))
        tx.execute(
            update(logs)
            .where(logs.c.tenant == self.tenant, logs.c.log_id == stored.log_id)
            .values(
                **_in_clear(stored.log),
                version=stored.version,
                content_hash=content,
                subject_hash=self.subject_hash(stored.log.subject.national_id),
                sealed_body=stored.sealer.seal("logs.sealed_body", json.dumps(body).encode()),
                updated_at=now,
            )
        )
        return stored

    def save_side(self, tx: Connection, stored: StoredLog, side: Side, run_id: str | None, now: datetime) -> None:
        """Write one side of a log."""
        at = f"/{side.connection}"
        exchanged = {"base": side.base and _dump(side.base), "sent": side.sent and _dump(side.sent)}
        row = {
            "tenant": self.tenant,
            "connection": side.connection,
            "foreign_id": side.foreign_id,
            "log_id": stored.log_id,
            "foreign_version": side.foreign_version,
            "change_hash": side.change_hash,
            "mapping": side.mapping,
            "mapping_version": side.mapping_version,
            "sealed_record": stored.sealer.seal(f"records.sealed_record{at}", json.dumps(side.record).encode()),
            "sealed_base": stored.sealer.seal(f"records.sealed_base{at}", json.dumps(exchanged).encode()),
            "sealed_seen": stored.sealer.seal(f"records.sealed_seen{at}", json.dumps(_dump(side.seen)).encode()),
            "sealed_original": side.original and stored.sealer.seal(f"records.sealed_original{at}", side.original),
            "first_seen_at": now,
            "last_seen_at": now,
            "missing_since": None,
        }
        if run_id:
            row["seen_in_run"] = run_id
        upsert(tx, records, [row], on=["tenant", "connection", "foreign_id"], keep=["first_seen_at"])

    def subject_hash(self, national_id: str) -> str | None:
        """Return the keyed hash that a person's logs are found by; None where no national id is known."""
        return self.keys.keyed_hash(Purpose.SUBJECT, national_id.encode()) if national_id else None

    def change_hash(self, tree: Tree) -> str:
        """Return the keyed hash by which an unchanged record is recognised."""
        return self.keys.keyed_hash(Purpose.CHANGE, json.dumps(tree, sort_keys=True, ensure_ascii=False).encode())

    def element_keys(self, tx: Connection, connection: str, log_id: str) -> dict[ElementKey, str]:
        """Return the hub's id of each element that a system has a key for."""
        c = element_keys.c
        rows = tx.execute(
            select(c.collection, c.foreign_key, c.element_id).where(
                c.tenant == self.tenant, c.connection == connection, c.log_id == log_id
            )
        )
        return {(row.collection, row.foreign_key): row.element_id for row in rows}

    def add_element_keys(self, tx: Connection, connection: str, log_id: str, keys: Mapping[ElementKey, str]) -> None:
        """Link elements to the keys that a system gave them."""
        rows = [
            {
                "tenant": self.tenant,
                "connection": connection,
                "log_id": log_id,
                "collection": collection,
                "element_id": element_id,
                "foreign_key": foreign_key,
            }
            for (collection, foreign_key), element_id in keys.items()
        ]
        upsert(tx, element_keys, rows, on=["tenant", "connection", "log_id", "collection", "element_id"])

    def changed_since_routed(self, tx: Connection) -> list[str]:
        """Return the ids of logs that have changed since it was last decided what to send of them."""
        c = logs.c
        return list(
            tx.scalars(select(c.log_id).where(c.tenant == self.tenant, c.version > c.routed_version).order_by(c.log_id))
        )

    def route_anew(self, tx: Connection) -> None:
        """Have it decided again what to send of every log: a day has passed, or a system can be asked at last."""
        tx.execute(update(logs).where(logs.c.tenant == self.tenant).values(routed_version=-1))

    def closed_ids(self, tx: Connection) -> list[str]:
        """Return the ids of closed logs."""
        where = and_(logs.c.tenant == self.tenant, logs.c.status == LogStatus.CLOSED)
        return list(tx.scalars(select(logs.c.log_id).where(where).order_by(logs.c.log_id)))

    def routed(self, tx: Connection, stored: StoredLog) -> None:
        """Note that it is decided what to send of a log as it stands."""
        tx.execute(
            update(logs)
            .where(logs.c.tenant == self.tenant, logs.c.log_id == stored.log_id)
            .values(routed_version=stored.version)
        )


DONE_MEASURES = frozenset({MeasureStatus.GOAL_REACHED, MeasureStatus.NO_EFFECT, MeasureStatus.STOPPED})


def _in_clear(log: RelayLog) -> dict[str, object]:
    """Return what stands in clear of a log: codes, dates and counts."""
    deadlines = [
        measure.deadline for measure in log.measures if measure.deadline and measure.status not in DONE_MEASURES
    ]
    ends = [consent.valid_to for consent in log.consents if consent.valid_to]
    return {
        "status": log.status,
        "level": log.level,
        "owning_unit_id": log.unit.id or None,
        "opened_on": log.opened_on,
        "closed_on": log.closure.on if log.closure else None,
        "last_activity_at": log.changed_at,
        "next_deadline": _first(deadlines),
        "consent_expires_on": _first(ends),
        "counts": dict(_counts(log)),
    }


def _counts(log: RelayLog) -> dict[str, int]:
    counts: dict[str, int] = {}
    for collection, _ in log.elements():
        counts[collection] = counts.get(collection, 0) + 1
    return counts


def _first(days: list[date]) -> date | None:
    return min(days, default=None)


def _side(row: Row[Any], sealer: Sealer) -> Side:
    at = f"/{row.connection}"
    exchanged = json.loads(sealer.open(f"records.sealed_base{at}", row.sealed_base))
    return Side(
        connection=row.connection,
        foreign_id=row.foreign_id,
        foreign_version=row.foreign_version or "",
        change_hash=row.change_hash or "",
        mapping=row.mapping or "",
        mapping_version=row.mapping_version or 0,
        record=json.loads(sealer.open(f"records.sealed_record{at}", row.sealed_record)),
        seen=RelayLog.model_validate_json(sealer.open(f"records.sealed_seen{at}", row.sealed_seen)),
        base=_log(exchanged["base"]),
        sent=_log(exchanged["sent"]),
        original=row.sealed_original and sealer.open(f"records.sealed_original{at}", row.sealed_original),
    )


def _dump(log: RelayLog) -> dict[str, Any]:
    return log.model_dump(mode="json", exclude_defaults=True)


def _log(tree: dict[str, Any] | None) -> RelayLog | None:
    return None if tree is None else RelayLog.model_validate(tree)
