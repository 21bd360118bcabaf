"""Admit: one record becomes part of a log, or goes to quarantine with the reason.

A record is read by its mapping, its person is checked, its log is found or made, its elements get the hub's ids, and
everything that all systems say of the log is merged again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection as Transaction

from hub.connectors.base import SourceRecord, Unreadable
from hub.mappings.language import MappingError
from hub.relaylog.codes import LogStatus, SubjectKind
from hub.relaylog.merge import Merged, System, merge, remembered
from hub.relaylog.model import RelayLog, Source, Template
from hub.relaylog.nationalid import InvalidNationalId, parse
from hub.store.inbox import NewConflict, NewProposal, Refusal
from hub.store.logs import KnownRecord, Side, StoredLog
from hub.store.sealing import Purpose
from hub.store.tables import ProposalKind
from hub.sync.context import Connection, Tenant
from hub.sync.identity import in_hub_ids

OPEN_STATUS = frozenset(
    {LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.ACTIVE, LogStatus.PAUSED, LogStatus.UNKNOWN}
)
_VALUE: TypeAdapter[Any] = TypeAdapter(Any)


class Admission(StrEnum):
    """What became of a record."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"


class Admitter:
    """Takes the records of one connection in, within a page's transaction."""

    def __init__(self, tenant: Tenant, connection: Connection, run_id: str | None) -> None:
        self._tenant = tenant
        self._connection = connection
        self._run_id = run_id
        self.refused: dict[str, str] = {}

    def page(self, tx: Transaction, records: tuple[SourceRecord, ...], now: datetime) -> dict[Admission, int]:
        """Take a page in and return what became of its records; `refused` then says why some were not."""
        self.refused = {}
        ids = [record.id for record in records]
        known = self._tenant.logs.known_records(tx, self._connection.id, ids)
        suspect = self._tenant.inbox.quarantined(tx, self._connection.id, ids)
        counts = dict.fromkeys(Admission, 0)
        again: list[str] = []
        for record in records:
            admission = self._record(tx, record, known, suspect.get(record.id), now)
            counts[admission] += 1
            if admission in (Admission.UNCHANGED, Admission.QUARANTINED):  # it is there, whatever became of it
                again.append(record.id)
        if again:
            self._tenant.logs.seen_again(tx, self._connection.id, again, self._run_id, now)
        return counts

    def unreadable(self, tx: Transaction, found: Unreadable, now: datetime) -> None:
        """Keep something that is no record in quarantine."""
        why = Refusal(f"payload_{found.code}", found.place or "/", found.remedy)
        self._tenant.inbox.put_in_quarantine(tx, self._connection.id, found.id, found.id, found.data, why, now)

    def _record(
        self, tx: Transaction, record: SourceRecord, known: dict[str, KnownRecord], suspect: str | None, now: datetime
    ) -> Admission:
        before = known.get(record.id)
        try:
            change_hash = self._tenant.logs.change_hash(self._connection.mapping.stable(record.tree))
        except UnicodeEncodeError:
            broken = self._tenant.logs.keys.keyed_hash(Purpose.CHANGE, json.dumps(record.tree).encode())
            self._refuse(tx, record, broken, Refusal("broken_text", "/", "a text holds half a sign"), now)
            return Admission.QUARANTINED
        if before is not None and before.change_hash == change_hash and suspect is None:
            return Admission.UNCHANGED
        answer = self._read(record)
        if isinstance(answer, Refusal):
            self._refuse(tx, record, change_hash, answer, now)
            return Admission.QUARANTINED
        log_id = self._take_in(tx, record, answer, change_hash, before.log_id if before else None, now)
        known[record.id] = KnownRecord(log_id, change_hash)
        if suspect is not None:
            self._tenant.inbox.out_of_quarantine(tx, self._connection.id, record.id, now)
        return Admission.CHANGED if before else Admission.NEW

    def _read(self, record: SourceRecord) -> RelayLog | Refusal:
        mapping = self._connection.mapping
        if not record.id:
            return Refusal("no_id", "/", f"{mapping.id}: a record needs an id of its own")
        if not mapping.claims(record.tree):
            return Refusal("unclaimed", "/", f"{mapping.id}: `when` does not claim this record")
        try:
            read = mapping.read(record.tree)
        except MappingError as error:
            return Refusal("unmapped", error.pointer or "/", f"{mapping.id} line {error.line}: {error.path}")
        return self._identified(read)

    def _identified(self, read: RelayLog) -> RelayLog | Refusal:
        """Refuse a national id that cannot be, or that does not belong in this environment."""
        numbers = [("subject.national_id", read.subject.national_id)]
        numbers += [("guardians[].national_id", guardian.national_id) for guardian in read.guardians]
        for place, text in numbers:
            try:
                number = parse(text) if text else None
            except InvalidNationalId:
                if place.startswith("guardians"):  # nothing rests on it
                    continue
                return Refusal("national_id_invalid", place, "control digits of the national id")
            if number is not None and number.synthetic != self._tenant.synthetic_ids:
                where = "a sandbox or test takes synthetic ids only; production takes none"
                return Refusal("national_id_wrong_environment", place, where)
        return read

    def _refuse(self, tx: Transaction, record: SourceRecord, change_hash: str, why: Refusal, now: datetime) -> None:
        body = json.dumps(record.tree).encode()
        foreign_id = record.id or f"unnamed-{change_hash[:16]}"
        self.refused[foreign_id] = f"{why.reason}: {why.place} ({why.rule})"
        self._tenant.inbox.put_in_quarantine(tx, self._connection.id, foreign_id, change_hash, body, why, now)

    def _take_in(
        self, tx: Transaction, record: SourceRecord, read: RelayLog, change_hash: str, log_id: str | None, now: datetime
    ) -> str:
        stored = self._tenant.logs.load(tx, log_id) if log_id else self._find_or_make(tx, record, read, now)
        stored = take_in(self._tenant, self._connection, tx, stored, record, read, change_hash)
        remerge(self._tenant, tx, stored, now)
        side = stored.side(self._connection.id)
        if side:
            self._tenant.logs.save_side(tx, stored, side, self._run_id, now)
        return stored.log_id

    def _find_or_make(self, tx: Transaction, record: SourceRecord, read: RelayLog, now: datetime) -> StoredLog:
        """Find the open log of the same person, or make one. What is not certain is asked, never joined."""
        candidates = self._candidates(tx, read)
        if len(candidates) == 1 and read.status in OPEN_STATUS and candidates[0][1]:
            found = self._tenant.logs.load(tx, candidates[0][0])
            if same_kind(found.log.subject.kind, read.subject.kind):
                return found
        made = self._tenant.logs.new(tx, self._tenant.new_id(), now)
        if candidates:
            proposal = NewProposal(ProposalKind.MATCH, foreign_id=record.id)
            self._tenant.inbox.propose(tx, self._connection.id, made.log_id, proposal, now)
        return made

    def _candidates(self, tx: Transaction, read: RelayLog) -> list[tuple[str, bool]]:
        """Return the open logs of the same person, and whether this record may join them by itself.

        It may where all national ids are verified and this system has no record in the log yet.
        """
        subject = self._tenant.logs.subject_hash(read.subject.national_id)
        if subject is None:
            return []
        systems: dict[str, set[str | None]] = {}
        for row in self._tenant.logs.of_subject(tx, subject):
            if row.status in OPEN_STATUS:
                systems.setdefault(row.log_id, set()).add(row.connection)
        return [(log_id, self._joins(connections)) for log_id, connections in systems.items()]

    def _joins(self, connections: set[str | None]) -> bool:
        known = (self._tenant.connections.get(name or "") for name in connections)
        verified = self._connection.verified_ids and all(other is not None and other.verified_ids for other in known)
        return verified and self._connection.id not in connections


def same_kind(one: SubjectKind, other: SubjectKind) -> bool:
    """Tell whether two logs of one person can be the same: a child grows into a youth, but a mother's is her own."""
    growing = {SubjectKind.CHILD, SubjectKind.YOUTH}
    return one is other or {one, other} <= growing


def take_in(
    tenant: Tenant,
    connection: Connection,
    tx: Transaction,
    stored: StoredLog,
    record: SourceRecord,
    read: RelayLog,
    change_hash: str,
    others: RelayLog | None = None,
) -> StoredLog:
    """Return the log with what a system now holds of it, in the hub's ids. New keys are stored.

    `others` is the log in which elements without a key are looked for; as it stands, where none is given.
    """
    known = tenant.logs.element_keys(tx, connection.id, stored.log_id)
    identified = in_hub_ids(read, known, others or stored.log, stored.log_id, tenant.new_id)
    tenant.logs.add_element_keys(tx, connection.id, stored.log_id, identified.new_keys)
    before = stored.side(connection.id)
    side = Side(
        connection=connection.id,
        foreign_id=record.id,
        foreign_version=record.version,
        change_hash=change_hash,
        mapping=connection.mapping.id,
        mapping_version=connection.mapping.version,
        record=record.tree,
        original=record.original,
        seen=identified.log,
        base=before.base if before else None,
        sent=before.sent if before else None,
    )
    return stored.with_side(side)


def sides_as_systems(tenant: Tenant, stored: StoredLog) -> list[System]:
    """Return a log's sides as merge takes them."""
    return [
        System(side.connection, tenant.connections[side.connection].services, side.seen, side.base, side.sent)
        for side in stored.sides
        if side.connection in tenant.connections
    ]


def merged_of(tenant: Tenant, stored: StoredLog) -> Merged:
    """Merge what all systems say of a log; its own id, source and time are set."""
    merged = merge(stored.agreed, sides_as_systems(tenant, stored))
    changes = [side.seen.changed_at for side in stored.sides if side.seen.changed_at]
    first = min(stored.sides, key=lambda side: side.connection)
    own = {
        "id": stored.log_id,
        "changed_at": max(changes, default=None),
        "source": Source(system="stafetthub", id=stored.log_id),
        "template": Template(id=first.seen.template.id or first.mapping, version=first.seen.template.version),
    }
    return replace(merged, log=merged.log.model_copy(update=own))


def remerge(tenant: Tenant, tx: Transaction, stored: StoredLog, now: datetime) -> StoredLog:
    """Merge a log again, store it, and keep its conflicts, proposals and special holds as they now stand."""
    merged = merged_of(tenant, stored)
    agreed = remembered(stored.agreed, merged.log)
    stored = tenant.logs.save(tx, replace(stored, log=merged.log, agreed=agreed), now)
    tenant.inbox.set_conflicts(tx, stored.log_id, stored.sealer, conflicts_of(merged), now)
    for gone in merged.deletions:
        proposal = NewProposal(ProposalKind.DELETION, collection=gone.collection, element_id=gone.element)
        tenant.inbox.propose(tx, gone.connection, stored.log_id, proposal, now)
    return stored


def conflicts_of(merged: Merged) -> list[NewConflict]:
    """Return the open conflicts of a log with their values as JSON."""
    return [
        NewConflict(
            path=f"{conflict.place.collection}[].{conflict.place.field}"
            if conflict.place.collection
            else conflict.place.field,
            element_id=conflict.place.element,
            values={name: _VALUE.dump_python(value, mode="json") for name, value in conflict.values.items()},
        )
        for conflict in merged.conflicts
    ]
