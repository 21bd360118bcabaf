"""Logs as they are kept: one body per log, one side per system that holds it, all sealed under the log's own key.

Every statement about logs, records and element keys stands here. Callers hand in the transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from operator import attrgetter
from typing import Any, TypeVar, cast

from pydantic import BaseModel
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from hub.relaylog.codes import MeasureStatus
from hub.relaylog.making import changed
from hub.relaylog.model import COLLECTIONS, RelayLog
from hub.store.database import upsert
from hub.store.decisions import Decided, in_force
from hub.store.sealing import NewKey, Purpose, Sealer, TenantKeys, log_sealers, store_log_keys
from hub.store.tables import element_keys, logs, records

ElementKey = tuple[str, str]
"""The list and the foreign key of an element in one system."""

ElementKeys = Mapping[ElementKey, str]
"""The hub's ids of elements by their keys in one system."""

Tree = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """What one system holds of a log. `record` is as last delivered, `seen` the same in the hub's ids.

    `original` is the file that the record came in, where it came in one.

    `base` and `sent` are what it held at the last exchange and what the hub meant by it; None before the first.

    Of a system that exchanges files, `seen` is what it holds once it has taken in what was put out for it, and `told`
    what its own newest file says, where that is not the same.
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
    told: RelayLog | None = None


@dataclass(frozen=True)
class StoredLog:
    """A log with all its sides. `version` 0 is a log not yet stored."""

    log_id: str
    sealer: Sealer
    log: RelayLog
    agreed: RelayLog | None = None
    sides: tuple[Side, ...] = ()
    version: int = 0
    routed_version: int = 0
    """The version for which it was last decided what to send; -1 less that version where it is to be asked anew."""
    content_hash: str = ""
    keys: Mapping[str, ElementKeys] = field(default_factory=dict)
    """The hub's id of each element that a system has a key for, by connection."""
    decided: Decided = field(default_factory=Decided, repr=False)
    """What people have decided over it and is in force."""
    new_key: NewKey | None = field(default=None, repr=False)
    """The data key that `save` stores with a log that is not yet stored."""

    def side(self, connection: str) -> Side | None:
        """Return what a connection holds of the log, if anything."""
        return next((side for side in self.sides if side.connection == connection), None)

    def with_side(self, side: Side, new: ElementKeys | None = None) -> StoredLog:
        """Return the log with one side put in or replaced, and with more keys of its system."""
        others = (other for other in self.sides if other.connection != side.connection)
        keys = {**self.keys, side.connection: {**self.keys_of(side.connection), **new}} if new else self.keys
        return replace(self, sides=(*others, side), keys=keys)

    def keys_of(self, connection: str) -> ElementKeys:
        """Return the hub's id of each element that a system has a key for."""
        return self.keys.get(connection, {})

    @property
    def was_routed(self) -> bool:
        """Tell whether it was decided before what to send of the log as it stands, if only on another day."""
        return self.routed_version in (self.version, -1 - self.version)


@dataclass(frozen=True)
class KnownRecord:
    """What is known in clear of a record: its log, how it was recognised, and the mapping that read it."""

    log_id: str | None
    change_hash: str | None
    foreign_version: str | None
    mapping: str | None
    mapping_version: int | None
    last_seen_at: datetime


T = TypeVar("T")
_NOTHING_YET = RelayLog()


class Opened:
    """What one piece of work has opened, by how it lies sealed: no two sealings are alike, whatever they say."""

    def __init__(self) -> None:
        self._found: dict[bytes, Any] = {}

    def of(self, sealed: bytes, sealer: Sealer, field: str, read: Callable[[bytes], T]) -> T:
        """Return what is sealed as `read` reads it; opened at the first time only. Raises SealError."""
        if sealed not in self._found:
            self._found[sealed] = read(sealer.open(field, sealed))
        return cast("T", self._found[sealed])


class LogStore:
    """The logs of one tenant."""

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        self.tenant = keys.tenant

    def known_records(self, tx: Connection, connection: str, foreign_ids: Iterable[str]) -> dict[str, KnownRecord]:
        """Return those of a connection's records that are known, by the system's id."""
        c = records.c
        rows = tx.execute(
            select(
                c.foreign_id, _LIVING, c.change_hash, c.foreign_version, c.mapping, c.mapping_version, c.last_seen_at
            ).where(c.tenant == self.tenant, c.connection == connection, c.foreign_id.in_(list(foreign_ids)))
        )
        return {row.foreign_id: KnownRecord(*row[1:]) for row in rows}

    def listed_before(self, tx: Connection, connection: str, at: datetime) -> int:
        """Return how many living records of a connection were known before an instant, and not missing."""
        return tx.scalar(select(func.count()).select_from(records).where(*self._listed(connection, at))) or 0

    def newly_missing(self, tx: Connection, connection: str, run_id: str, at: datetime) -> int:
        """Return how many of those, counted in the same way, a run did not see."""
        unseen = _unseen(run_id)
        return tx.scalar(select(func.count()).select_from(records).where(*self._listed(connection, at), unseen)) or 0

    def _listed(self, connection: str, at: datetime) -> tuple[ColumnElement[bool], ...]:
        c = records.c
        mine = (c.tenant == self.tenant, c.connection == connection)
        return (*mine, c.first_seen_at < at, c.missing_since.is_(None), _LIVING.element.is_not(None))

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
            select(records.c.foreign_id, _LIVING).where(
                records.c.tenant == self.tenant,
                records.c.connection == connection,
                _unseen(run_id),
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

    def of_subjects(self, tx: Connection, subject_hashes: Collection[str]) -> list[Row[Any]]:
        """Return subject, id, status and connection of every side of every log about these persons; of none wiped."""
        if not subject_hashes:
            return []
        joined = logs.join(
            records, and_(records.c.tenant == logs.c.tenant, records.c.log_id == logs.c.log_id), isouter=True
        )
        return list(
            tx.execute(
                select(logs.c.subject_hash, logs.c.log_id, logs.c.status, records.c.connection)
                .select_from(joined)
                .where(
                    logs.c.tenant == self.tenant,
                    logs.c.subject_hash.in_(list(subject_hashes)),
                    logs.c.sealed_body.is_not(None),
                )
                .order_by(logs.c.log_id)
            )
        )

    def read_anew(self, tx: Connection, subject_hashes: Collection[str]) -> None:
        """Have what was not kept about these persons read anew when its systems list it again: consent has come."""
        c = records.c
        unkept = select(logs.c.log_id).where(
            logs.c.tenant == self.tenant,
            logs.c.subject_hash.in_(list(subject_hashes)),
            logs.c.sealed_body.is_(None),
        )
        theirs = update(records).where(c.tenant == self.tenant, c.log_id.in_(unkept))
        tx.execute(theirs.values(log_id=None, change_hash=None))

    def new(self, log_id: str) -> StoredLog:
        """Make a log with a key of its own. Nothing is stored before `save`."""
        key = self.keys.new_key(f"log:{log_id}")
        return StoredLog(log_id, key.sealer, changed(_NOTHING_YET, {"id": log_id}), new_key=key)

    def load(self, tx: Connection, log_id: str, opened: Opened | None = None) -> StoredLog:
        """Return a log with its sides. Raises SealError where it was shredded or damaged."""
        return self.load_all(tx, [log_id], opened)[log_id]

    def load_all(self, tx: Connection, log_ids: Iterable[str], opened: Opened | None = None) -> dict[str, StoredLog]:
        """Return logs with their sides and keys. Raises SealError where one was shredded or damaged.

        What `opened` holds from an earlier load, and is sealed as it was, is not opened again.
        """
        wanted = list(log_ids)
        if not wanted:
            return {}
        opened = opened or Opened()
        sealers = log_sealers(tx, self.keys, wanted)
        keys = self._keys_of(tx, wanted)
        decided = in_force(tx, self.tenant, sealers)
        these = {"tenant": self.tenant, "log_ids": wanted}
        sides: dict[str, list[Side]] = {}
        for row in sorted(tx.execute(_SIDES, these), key=attrgetter("connection")):
            sides.setdefault(row.log_id, []).append(_side(row, sealers[row.log_id], opened))
        found = {}
        for row in tx.execute(_BODIES, these):
            sealer = sealers[row.log_id]
            body = _Body(log=RelayLog(id=row.log_id))
            if row.sealed_body:
                body = opened.of(row.sealed_body, sealer, "logs.sealed_body", _Body.model_validate_json)
            found[row.log_id] = StoredLog(
                log_id=row.log_id,
                sealer=sealer,
                log=body.log,
                agreed=body.agreed,
                sides=tuple(sides.get(row.log_id, ())),
                version=row.version,
                routed_version=row.routed_version,
                content_hash=row.content_hash or "",
                keys=keys.get(row.log_id, {}),
                decided=decided.get(row.log_id, Decided()),
            )
        return found

    def _keys_of(self, tx: Connection, log_ids: list[str]) -> dict[str, dict[str, dict[ElementKey, str]]]:
        found: dict[str, dict[str, dict[ElementKey, str]]] = {}
        for log_id, connection, collection, foreign_key, element_id in tx.execute(
            _KEYS, {"tenant": self.tenant, "log_ids": log_ids}
        ):
            found.setdefault(log_id, {}).setdefault(connection, {})[collection, foreign_key] = element_id
        return found

    def save(self, tx: Connection, stored: StoredLog, now: datetime) -> StoredLog:
        """Write a log's body and what stands of it in clear; its version grows when the log itself changed."""
        return self.save_all(tx, [stored], now)[0]

    def save_all(self, tx: Connection, changed: Iterable[StoredLog], now: datetime) -> list[StoredLog]:
        """Write logs, each once."""
        saved, new, known, made = [], [], [], []
        for stored in changed:
            body = _dump(stored.log)
            content = self.keys.keyed_hash(Purpose.CONTENT, body)
            agreed = _dump(stored.agreed) if stored.agreed else b"null"
            version = stored.version + (stored.content_hash != content)
            row = {
                **_in_clear(stored.log),
                "version": version,
                "content_hash": content,
                "subject_hash": self.subject_hash(stored.log.subject.national_id),
                "sealed_body": stored.sealer.seal("logs.sealed_body", b'{"log":%b,"agreed":%b}' % (body, agreed)),
                "updated_at": now,
            }
            if stored.new_key is None:
                known.append({**row, **self._found_by(stored)})
            else:
                new.append({**row, "tenant": self.tenant, "log_id": stored.log_id, "routed_version": 0})
                made.append((stored.log_id, stored.new_key))
            saved.append(replace(stored, version=version, content_hash=content, new_key=None))
        if new:
            store_log_keys(tx, self.tenant, made, now)
            tx.execute(insert(logs), new)
        if known:
            tx.execute(_UPDATE_LOG, known)
        return saved

    def save_side(self, tx: Connection, stored: StoredLog, side: Side, run_id: str | None, now: datetime) -> None:
        """Write one side of a log."""
        self.save_sides(tx, [(stored, side)], run_id, now)

    def save_sides(
        self, tx: Connection, changed: Iterable[tuple[StoredLog, Side]], run_id: str | None, now: datetime
    ) -> None:
        """Write sides of logs."""
        rows = [
            {**self._side_row(stored, side, now), **({"seen_in_run": run_id} if run_id else {})}
            for stored, side in changed
        ]
        upsert(tx, records, rows, on=("tenant", "connection", "foreign_id"), keep=("first_seen_at",))

    def _side_row(self, stored: StoredLog, side: Side, now: datetime) -> dict[str, object]:
        at, seal = f"/{side.connection}", stored.sealer.seal
        exchanged = None
        if side.base or side.sent:
            base, sent, told = (_dump(log) if log else b"null" for log in (side.base, side.sent, side.told))
            exchanged = seal(f"records.sealed_base{at}", b'{"base":%b,"sent":%b,"told":%b}' % (base, sent, told))
        return {
            "tenant": self.tenant,
            "connection": side.connection,
            "foreign_id": side.foreign_id,
            "log_id": stored.log_id,
            "foreign_version": side.foreign_version,
            "change_hash": side.change_hash,
            "mapping": side.mapping,
            "mapping_version": side.mapping_version,
            "sealed_record": seal(f"records.sealed_record{at}", json.dumps(side.record).encode()),
            "sealed_base": exchanged,
            "sealed_seen": seal(f"records.sealed_seen{at}", _dump(side.seen)),
            "sealed_original": side.original and seal(f"records.sealed_original{at}", side.original),
            "first_seen_at": now,
            "last_seen_at": now,
            "missing_since": None,
        }

    def subject_hash(self, national_id: str) -> str | None:
        """Return the keyed hash that a person's logs are found by; None where no national id is known."""
        return self.keys.keyed_hash(Purpose.SUBJECT, national_id.encode()) if national_id else None

    def change_hash(self, tree: Tree) -> str:
        """Return the keyed hash by which an unchanged record is recognised."""
        return self.keys.keyed_hash(Purpose.CHANGE, json.dumps(tree, sort_keys=True, ensure_ascii=False).encode())

    def add_keys(self, tx: Connection, connection: str, new: Mapping[str, ElementKeys]) -> None:
        """Link elements of several logs, by log id, to the keys that a system gave them."""
        rows = [
            {
                "tenant": self.tenant,
                "connection": connection,
                "log_id": log_id,
                "collection": collection,
                "element_id": element_id,
                "foreign_key": foreign_key,
            }
            for log_id, keys in new.items()
            for (collection, foreign_key), element_id in keys.items()
        ]
        upsert(tx, element_keys, rows, on=("tenant", "connection", "log_id", "collection", "element_id"))

    def left_unrouted(self, tx: Connection, before: datetime) -> bool:
        """Tell whether a log was written before an instant and still waits for the decision what to send of it."""
        c = logs.c
        waiting = (
            c.tenant == self.tenant,
            c.version > c.routed_version,
            c.updated_at < before,
            c.sealed_body.is_not(None),
        )
        return tx.execute(select(c.log_id).where(*waiting).limit(1)).first() is not None

    def changed_since_routed(self, tx: Connection) -> list[str]:
        """Return the ids of logs that have changed since it was last decided what to send of them."""
        c = logs.c
        return list(
            tx.scalars(select(c.log_id).where(c.tenant == self.tenant, c.version > c.routed_version).order_by(c.log_id))
        )

    def route_anew(self, tx: Connection, log_id: str | None = None) -> None:
        """Have it decided again what to send of a log: a person has decided something.

        Of every log where none is named: a day has passed, or a system can be asked at last.
        """
        these = (logs.c.tenant == self.tenant, *([logs.c.log_id == log_id] if log_id else []))
        routed = logs.c.routed_version  # below zero, it still tells the version that was routed last
        tx.execute(update(logs).where(*these, routed >= 0).values(routed_version=-1 - routed))

    def drop_keys(self, tx: Connection, log_id: str, connection: str, element_id: str | None = None) -> None:
        """Forget the keys that a system gave a log's elements, or one of them: it no longer has them."""
        c = element_keys.c
        these = (c.tenant == self.tenant, c.log_id == log_id, c.connection == connection)
        one = () if element_id is None else (c.element_id == element_id,)
        tx.execute(delete(element_keys).where(*these, *one))

    def drop_record(self, tx: Connection, connection: str, foreign_id: str) -> None:
        """Forget a record: the system no longer has it, and a person has said that this is meant."""
        c = records.c
        tx.execute(
            delete(records).where(c.tenant == self.tenant, c.connection == connection, c.foreign_id == foreign_id)
        )

    def emptied(self, tx: Connection, log_id: str, now: datetime) -> None:
        """Keep of a log only that it was there: its records belong to another, or are gone."""
        tx.execute(
            update(logs)
            .where(logs.c.tenant == self.tenant, logs.c.log_id == log_id)
            .values(
                **_in_clear(RelayLog(id=log_id)),
                content_hash=None,
                subject_hash=None,
                sealed_body=None,
                updated_at=now,
            )
        )

    def record_ids(self, tx: Connection, connection: str) -> dict[str, str | None]:
        """Return the log of every record that is known of a connection, by the system's id."""
        c = records.c
        where = (c.tenant == self.tenant, c.connection == connection)
        return {row.foreign_id: row.log_id for row in tx.execute(select(c.foreign_id, _LIVING).where(*where))}

    def routed(self, tx: Connection, routed: Collection[StoredLog]) -> None:
        """Note that it is decided what to send of logs as they stand."""
        if routed:
            rows = [{**self._found_by(stored), "routed_version": stored.version} for stored in routed]
            tx.execute(_UPDATE_LOG, rows)

    def _found_by(self, stored: StoredLog) -> dict[str, str]:
        return {"of_tenant": self.tenant, "of_log": stored.log_id}


_LIVING = (
    select(logs.c.log_id)
    .where(logs.c.tenant == records.c.tenant, logs.c.log_id == records.c.log_id, logs.c.sealed_body.is_not(None))
    .scalar_subquery()
    .label("log_id")
)
"""The log of a record; none of one that was wiped, whose id stays with what is not kept."""


def _unseen(run_id: str) -> ColumnElement[bool]:
    """Hold for a record that a run did not see."""
    return or_(records.c.seen_in_run.is_(None), records.c.seen_in_run != run_id)


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
        "owning_unit_id": log.unit.id[:80] or None,
        "opened_on": log.opened_on,
        "closed_on": log.closure.on if log.closure else None,
        "last_activity_at": log.changed_at,
        "next_deadline": _first(deadlines),
        "consent_expires_on": _first(ends),
        "counts": {name: len(elements) for name in COLLECTIONS if (elements := getattr(log, name))},
    }


def _first(days: list[date]) -> date | None:
    return min(days, default=None)


def _side(row: Row[Any], sealer: Sealer, opened: Opened) -> Side:
    at, exchanged = f"/{row.connection}", _Exchanged()
    if row.sealed_base:
        exchanged = opened.of(row.sealed_base, sealer, f"records.sealed_base{at}", _Exchanged.model_validate_json)
    return Side(
        connection=row.connection,
        foreign_id=row.foreign_id,
        foreign_version=row.foreign_version or "",
        change_hash=row.change_hash or "",
        mapping=row.mapping or "",
        mapping_version=row.mapping_version or 0,
        record=opened.of(row.sealed_record, sealer, f"records.sealed_record{at}", json.loads),
        seen=opened.of(row.sealed_seen, sealer, f"records.sealed_seen{at}", RelayLog.model_validate_json),
        base=exchanged.base,
        sent=exchanged.sent,
        told=exchanged.told,
        original=row.sealed_original and sealer.open(f"records.sealed_original{at}", row.sealed_original),
    )


def _dump(log: RelayLog) -> bytes:
    return log.model_dump_json(exclude_defaults=True).encode()


class _Body(BaseModel):
    """What is sealed of a log: as merged, and as last agreed."""

    log: RelayLog
    agreed: RelayLog | None = None


class _Exchanged(BaseModel):
    """What is sealed of a side's last exchange; nothing before the first."""

    base: RelayLog | None = None
    sent: RelayLog | None = None
    told: RelayLog | None = None


_UPDATE_LOG = update(logs).where(logs.c.tenant == bindparam("of_tenant"), logs.c.log_id == bindparam("of_log"))

_OF_TENANT: BindParameter[str] = bindparam("tenant")
_THESE: BindParameter[list[str]] = bindparam("log_ids", expanding=True)
_BODIES = select(logs.c.log_id, logs.c.version, logs.c.routed_version, logs.c.content_hash, logs.c.sealed_body).where(
    logs.c.tenant == _OF_TENANT, logs.c.log_id.in_(_THESE)
)
_SIDES = select(records).where(records.c.tenant == _OF_TENANT, records.c.log_id.in_(_THESE))
_KEYS = select(
    element_keys.c.log_id,
    element_keys.c.connection,
    element_keys.c.collection,
    element_keys.c.foreign_key,
    element_keys.c.element_id,
).where(element_keys.c.tenant == _OF_TENANT, element_keys.c.log_id.in_(_THESE))
