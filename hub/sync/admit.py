"""Admit: one record becomes part of a log, or goes to quarantine with the reason.

A record is read by its mapping, its person is checked, its log is found or made, its elements get the hub's ids, and
everything that all systems say of the log is merged again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Connection as Transaction

from hub.connectors.base import LONGEST_ID, SourceRecord, Unreadable, is_short_line, may_name
from hub.mappings.language import MappingError
from hub.relaylog.codes import LogStatus, SubjectKind
from hub.relaylog.gates import ANOTHER_PERSON
from hub.relaylog.guardians import new_guardians, with_proposed, without
from hub.relaylog.keeping import may_be_kept
from hub.relaylog.lasting import lost, no_looser, overtaken, unsaid
from hub.relaylog.life import ENDED, FOLLOWS, Senseless, change, reopened
from hub.relaylog.making import changed
from hub.relaylog.merge import STATUS, Conflict, Deletion, Merged, System, flatten, merge, put, remembered
from hub.relaylog.model import COLLECTIONS, Element, RelayLog, Source, references
from hub.relaylog.nationalid import InvalidNationalId, holds_national_id, parse
from hub.relaylog.putout import as_taken_in
from hub.store.decisions import Choice, Effect, Mistaken, NewDecision, Who, keep, lapse
from hub.store.events import Action, append_all
from hub.store.inbox import NewConflict, NewProposal, Refusal
from hub.store.logs import ElementKeys, KnownRecord, Side, StoredLog
from hub.store.sealing import Purpose, SealError
from hub.store.tables import DeliveryKind, ProposalKind
from hub.sync.context import Connection, Tenant
from hub.sync.deleted import keep_out
from hub.sync.identity import in_hub_ids
from hub.sync.kept import to_kept
from hub.sync.sent import Sent, kept_payload, maybe_arrived, sent_as

OPEN_STATUS = frozenset(
    {LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.ACTIVE, LogStatus.PAUSED, LogStatus.UNKNOWN}
)
_VALUE: TypeAdapter[Any] = TypeAdapter(Any)
_HUB = Source(system="stafetthub")


class Admission(StrEnum):
    """What became of a record."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    QUARANTINED = "quarantined"


@dataclass(frozen=True)
class _Taken:
    """A record that was read: what it says, and the log that it is known to belong to."""

    record: SourceRecord
    read: RelayLog
    change_hash: str
    log_id: str | None


class Admitter:
    """Takes the records of one connection in, a page at a time, within the page's transaction.

    A record that fails in a way that nobody thought of goes to quarantine alone; the page goes on.
    """

    def __init__(
        self,
        tenant: Tenant,
        connection: Connection,
        run_id: str | None,
        asked_at: datetime | None = None,
        same_person: Collection[str] = (),
    ) -> None:
        """`asked_at` is when the listing was asked for; what was exchanged since is newer than what it says.

        `same_person` are records that now name their person by another national id: somebody has said so.
        """
        self._tenant = tenant
        self._connection = connection
        self._run_id = run_id
        self._asked_at = asked_at
        self._same_person = same_person
        self.refused: dict[str, str] = {}

    def page(self, tx: Transaction, records: tuple[SourceRecord, ...], now: datetime) -> dict[Admission, int]:
        """Take a page in and return what became of its records; `refused` then says why some were not."""
        self.refused = {}
        counts = dict.fromkeys(Admission, 0)
        for record in records:
            if not may_name(record.id):  # the database cannot even be asked about it
                self._refuse(tx, record, self._misnamed(record.id), now)
                counts[Admission.QUARANTINED] += 1
        records = tuple(record for record in records if may_name(record.id))
        ids = [record.id for record in records]
        known = self._tenant.logs.known_records(tx, self._connection.id, ids)
        suspect = self._tenant.inbox.quarantined(tx, self._connection.id, ids)
        again: list[SourceRecord] = []
        taken: dict[str, _Taken] = {}
        overtaken = {record.id for record in records if self._overtaken(record, known.get(record.id))}
        overtaken |= keep_out(self._tenant, tx, self._connection.id, ids)
        for record in records:
            if record.id in overtaken:
                counts[Admission.UNCHANGED] += 1
                continue
            answer = self._look_at(record, known.get(record.id), suspect=record.id in suspect)
            if isinstance(answer, _Taken):
                counts[Admission.UNCHANGED] += record.id in taken  # listed twice: the later one stands
                taken[record.id] = answer
                continue
            counts[Admission.QUARANTINED if answer else Admission.UNCHANGED] += 1
            again.append(record)  # it is there, whatever became of it
            if answer:
                self._refuse(tx, record, answer, now)
        not_taken, as_put_out = self._take_in(tx, list(taken.values()), now)
        for record_id, why in not_taken.items():
            again.append(taken.pop(record_id).record)
            self._refuse(tx, again[-1], why, now)
            counts[Admission.QUARANTINED] += 1
            if why.reason == ANOTHER_PERSON.reason and (log_id := known[record_id].log_id):
                self._stop(tx, log_id, now)
        for record_id in taken:
            changed = Admission.UNCHANGED if record_id in as_put_out else Admission.CHANGED
            counts[changed if record_id in known else Admission.NEW] += 1
            if record_id in suspect:
                self._tenant.inbox.out_of_quarantine(tx, self._connection.id, record_id, now)
        self._seen_again(tx, again, known, now)
        if overtaken:
            self._tenant.logs.seen_again(tx, self._connection.id, overtaken, self._run_id, now)
        return counts

    def _overtaken(self, record: SourceRecord, before: KnownRecord | None) -> bool:
        """Tell whether a record was exchanged while its page was on the way: the page may say what stood there before.

        The next run reads it anew, where a run lists all; a file is read once.
        """
        if not self._connection.connector.lists_all:
            return False
        asked, known = self._asked_at, before is not None and before.foreign_version != record.version
        return asked is not None and before is not None and known and before.last_seen_at > asked

    def _seen_again(
        self, tx: Transaction, again: list[SourceRecord], known: Mapping[str, KnownRecord], now: datetime
    ) -> None:
        """Note that records are still there; of one that says the same in a newer version, the version is kept."""
        logs = self._tenant.logs
        if again:
            logs.seen_again(tx, self._connection.id, [record.id for record in again], self._run_id, now)
        newer = {
            before.log_id: record
            for record in again
            if (before := known.get(record.id))
            and before.log_id
            and before.foreign_version != record.version
            and record.id not in self.refused
        }
        for log_id, stored in self._opened(tx, newer).items():
            side, record = stored.side(self._connection.id), newer[log_id]
            if side is not None and side.foreign_id == record.id:
                side = replace(side, foreign_version=record.version)
                if side.told is None:
                    side = replace(side, record=record.tree, original=record.original)
                logs.save_side(tx, stored, side, self._run_id, now)

    def _opened(self, tx: Transaction, log_ids: Collection[str]) -> dict[str, StoredLog]:
        """Open logs; none where one of them is sealed for good."""
        try:
            return self._tenant.logs.load_all(tx, log_ids)
        except SealError:
            return {}

    def unreadable(self, tx: Transaction, found: Unreadable, now: datetime) -> None:
        """Keep something that is no record in quarantine. One that the system names by its own id is there."""
        why = Refusal(f"payload_{found.code}", found.place or "/", found.remedy)
        content = self._tenant.logs.keys.keyed_hash(Purpose.CHANGE, found.data)
        self._tenant.inbox.put_in_quarantine(tx, self._connection.id, found.id, content, found.data, why, now)
        if found.own_id:
            self._tenant.logs.seen_again(tx, self._connection.id, [found.id], self._run_id, now)

    # --- what a record says --------------------------------------------------------------------------------------

    def _look_at(self, record: SourceRecord, before: KnownRecord | None, *, suspect: bool) -> _Taken | Refusal | None:
        """Read a record that is new or changed; None for one that is not."""
        if not is_short_line(record.version):
            return Refusal("broken_version", "/", f"a version is one line of at most {LONGEST_ID} signs")
        try:
            change_hash = self._tenant.logs.change_hash(self._connection.mapping.stable(record.tree))
            if before is not None and not suspect and self._is_as_read(before, change_hash):
                return None
            answer = self._read(record)
        except UnicodeEncodeError:
            return Refusal("broken_text", "/", "a text holds half a sign")
        except Exception as error:  # noqa: BLE001 - one record may stop itself, never the page
            return _internal(error)
        if isinstance(answer, Refusal):
            return answer
        return _Taken(record, answer, change_hash, before.log_id if before else None)

    def _is_as_read(self, before: KnownRecord, change_hash: str) -> bool:
        """Tell whether a record says what it said, and would be read as it was. One that was wiped is not read anew."""
        mapping = self._connection.mapping
        read_by = (before.mapping, before.mapping_version)
        return before.change_hash == change_hash and (before.log_id is None or read_by == (mapping.id, mapping.version))

    def _misnamed(self, record_id: str) -> Refusal:
        """Say why no record may have this id."""
        mapping = self._connection.mapping
        if holds_national_id(record_id):
            return Refusal("national_id_as_id", "/", f"{mapping.id}: a record needs an id that is no national id")
        if not record_id:
            return Refusal("no_id", "/", f"{mapping.id}: a record needs an id of its own")
        return Refusal("broken_id", "/", f"{mapping.id}: an id is one line of at most {LONGEST_ID} signs")

    def _read(self, record: SourceRecord) -> RelayLog | Refusal:
        mapping = self._connection.mapping
        if not mapping.claims(record.tree):
            return Refusal("unclaimed", "/", f"{mapping.id}: `when` does not claim this record")
        try:
            read = mapping.read(record.tree)
        except MappingError as error:
            return Refusal("unmapped", error.pointer or "/", f"{mapping.id} line {error.line}: {error.path}")
        return self._identified(read)

    def _identified(self, read: RelayLog) -> RelayLog | Refusal:
        """Refuse a key that no row can have, and a national id that cannot be or does not belong here."""
        for collection, element in read.elements():
            if holds_national_id(element.id):
                return Refusal("national_id_as_key", f"{collection}[]", "a key in this list is a national id")
            if len(element.id) > LONGEST_ID:
                return Refusal("broken_key", f"{collection}[]", f"a key has at most {LONGEST_ID} signs")
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

    def _stop(self, tx: Transaction, log_id: str, now: datetime) -> None:
        """Let nothing of a log leave while its record here is said to be another person's.

        The mark is the log's own: whatever becomes of the row in quarantine, it stands until the record is taken in or
        leaves the log. And the record is read anew whenever it is listed, also as it was before.
        """
        tenant, name, mark = self._tenant, self._connection.id, self._tenant.new_id()
        stored = tenant.logs.load(tx, log_id)
        side = stored.side(name)
        if side is None or name in stored.decided.mistaken:
            return
        effect = Effect(mistaken=Mistaken(connection=name, mark=mark))
        new = NewDecision("record", mark, Choice.STOPPED, log_id, effect)
        keep(tx, tenant.organisation_number, stored.sealer, tenant.new_id(), new, Who("hub", ""), now)
        tenant.logs.save_side(tx, stored, replace(side, change_hash=""), self._run_id, now)
        tenant.logs.route_anew(tx, log_id)

    def _refuse(self, tx: Transaction, record: SourceRecord, why: Refusal, now: datetime) -> None:
        change_hash = self._tenant.logs.keys.keyed_hash(Purpose.CHANGE, json.dumps(record.tree).encode())
        foreign_id = record.id if may_name(record.id) else f"unnamed-{change_hash[:16]}"
        self.refused[record.id] = f"{why.reason}: {why.place} ({why.rule})"
        person = self._person(record)
        self._tenant.inbox.put_in_quarantine(
            tx, self._connection.id, foreign_id, change_hash, to_kept(record), why, now, person
        )

    def _person(self, record: SourceRecord) -> str | None:
        """Return the keyed hash of a refused record's person, where that much of it can be read."""
        try:
            return self._tenant.logs.subject_hash(self._connection.mapping.national_id(record.tree))
        except Exception:  # noqa: BLE001 - as above: what is wrong with the record may be wrong here, too
            return None

    # --- which log it belongs to ---------------------------------------------------------------------------------

    def _take_in(self, tx: Transaction, taken: list[_Taken], now: datetime) -> tuple[dict[str, Refusal], set[str]]:
        """Put records into their logs, merge these and store them.

        Returns why some could not be, and those that only show what was put out for them.
        """
        shelf = _Shelf(self._tenant, self._connection, tx, taken, self._same_person)
        refused: dict[str, Refusal] = {}
        for one in taken:
            try:
                if why := shelf.put(one):
                    refused[one.record.id] = why
            except SealError:
                refused[one.record.id] = Refusal("log_sealed", "/", "its log cannot be opened: see the log's key")
            except Exception as error:  # noqa: BLE001 - as above
                refused[one.record.id] = _internal(error)
        shelf.store(self._run_id, now)
        return refused, shelf.as_put_out


def _internal(error: Exception) -> Refusal:
    """Name a mistake of the hub's own by its class; its text could hold anything."""
    return Refusal("internal_error", "/", type(error).__name__)


_ANOTHER_PERSON = Refusal(
    ANOTHER_PERSON.reason,
    "subject.national_id",
    "the record named another person before: put the number right in its system, or say whose it is (hub inbox show)",
)


class _Shelf:
    """The logs that a page's records belong to: opened together, and stored together."""

    def __init__(
        self,
        tenant: Tenant,
        connection: Connection,
        tx: Transaction,
        taken: list[_Taken],
        same_person: Collection[str] = (),
    ) -> None:
        self._tenant = tenant
        self._connection = connection
        self._tx = tx
        self._same_person = same_person
        self._systems: dict[str, dict[str, set[str | None]]] = {}
        subjects = {self._subject(one.read) for one in taken if one.log_id is None} - {None}
        for row in tenant.logs.of_subjects(tx, [subject for subject in subjects if subject]):
            if row.status in OPEN_STATUS:
                self._systems.setdefault(row.subject_hash, {}).setdefault(row.log_id, set()).add(row.connection)
        joined = {log_id for logs in self._systems.values() for log_id, of in logs.items() if self._joins(of)}
        try:
            self._logs = tenant.logs.load_all(tx, {one.log_id for one in taken if one.log_id} | joined)
        except SealError:  # then each is opened alone, so that the others go on
            self._logs = {}
        self._changed: dict[str, Merged] = {}
        self._new_keys: dict[str, ElementKeys] = {}
        self._proposals: list[tuple[str, NewProposal]] = []
        self._asked: dict[str, str] = {}
        self.as_put_out: set[str] = set()
        self._put_right: list[str] = []

    def put(self, one: _Taken) -> Refusal | None:
        """Find a record's log or make it, and merge what all systems now say there; refuse another person's."""
        stored = self._of(one.log_id) if one.log_id else self._find_or_make(one)
        if one.log_id and self._is_another_person(stored, one):
            return _ANOTHER_PERSON
        if mark := stored.decided.mistaken.get(self._connection.id):
            self._put_right.append(mark)
        before = stored.keys_of(self._connection.id)
        sent = self._maybe_answered(stored) if one.log_id else None
        stood = stored.side(self._connection.id)
        stored = with_record(self._tenant, self._connection, stored, one.record, one.read, one.change_hash, sent)
        stands = stored.side(self._connection.id)
        if stood and stood.told and stands and stands.record is stood.record:
            self.as_put_out.add(one.record.id)
        merged = merged_of(self._tenant, stored)
        new = {key: to for key, to in stored.keys_of(self._connection.id).items() if key not in before}
        self._logs[stored.log_id] = stored
        self._changed[stored.log_id] = merged
        self._new_keys[stored.log_id] = {**self._new_keys.get(stored.log_id, {}), **new}
        subject = self._subject(merged.log)
        if subject and merged.log.status in OPEN_STATUS:
            self._systems.setdefault(subject, {}).setdefault(stored.log_id, set()).add(self._connection.id)
        known_by = self._subject(stored.log)
        if stored.version and subject and (subject != known_by or _went_on(stored.log, merged.log)):
            self._asked[stored.log_id] = one.record.id
        return None

    def _is_another_person(self, stored: StoredLog, one: _Taken) -> bool:
        """Tell whether a known record names another person than before, who is not its log's either.

        Where it named nobody before, the other systems of the log tell who it is about. Once it has named another, no
        number at all is no way back.
        """
        side = stored.side(self._connection.id)
        if side is None or one.record.id in self._same_person:
            return False
        says, said = one.read.subject.national_id, side.seen.subject.national_id
        known = {said} if said else {each.seen.subject.national_id for each in stored.sides} - {""}
        if not says:
            return self._connection.id in stored.decided.mistaken
        return bool(known) and says not in known | {stored.log.subject.national_id}

    def _maybe_answered(self, stored: StoredLog) -> Sent | None:
        """Return what was sent to this system and may have arrived: then its record may be the answer to that."""
        standing = self._tenant.work.open_delivery(self._tx, self._connection.id, stored.log_id, DeliveryKind.UPDATE)
        side = stored.side(self._connection.id)
        if standing is None or side is None or not maybe_arrived(standing):
            return None
        return sent_as(self._connection, stored, side, *kept_payload(stored, standing))

    def store(self, run_id: str | None, now: datetime) -> None:
        """Write down everything that was put here."""
        logs, inbox = self._tenant.logs, self._tenant.inbox
        cause = {"connection": self._connection.id, **({"run": run_id} if run_id else {})}
        changed = [(self._logs[log_id], self._changed[log_id]) for log_id in self._changed]
        saved = remerge_all(self._tenant, self._tx, changed, now, cause)
        sides = [(stored, side) for stored in saved if (side := stored.side(self._connection.id))]
        logs.save_sides(self._tx, sides, run_id, now)
        for stored in saved:
            if stored.version == self._logs[stored.log_id].version:  # nothing new, but this system may know it by now
                logs.route_anew(self._tx, stored.log_id)
        logs.add_keys(self._tx, self._connection.id, self._new_keys)
        for mark in self._put_right:
            lapse(self._tx, self._tenant.organisation_number, mark)
        for log_id, proposal in self._proposals:
            inbox.propose(self._tx, self._connection.id, log_id, proposal, now)
        self._ask_to_join([stored for stored in saved if stored.log_id in self._asked], now)

    def _ask_to_join(self, logs: Sequence[StoredLog], now: datetime) -> None:
        """Ask whether logs whose person is known only now, or that go on, are one with other open logs of the person.

        What has stood apart is never joined without a person.
        """
        inbox = self._tenant.inbox
        persons = {stored.log_id: subject for stored in logs if (subject := self._subject(stored.log))}
        rows = self._tenant.logs.of_subjects(self._tx, set(persons.values()))
        for log_id, subject in persons.items():
            theirs = {row.log_id for row in rows if row.subject_hash == subject and row.status in OPEN_STATUS}
            others = theirs - {log_id}
            for other in sorted(others - inbox.asked_to_join(self._tx, log_id, others)):
                proposal = NewProposal(ProposalKind.MATCH, foreign_id=self._asked[log_id], element_id=other)
                inbox.propose(self._tx, self._connection.id, log_id, proposal, now)

    def _of(self, log_id: str) -> StoredLog:
        return self._logs.get(log_id) or self._tenant.logs.load(self._tx, log_id)

    def _find_or_make(self, one: _Taken) -> StoredLog:
        """Find the open log of the same person, or make one. What is not certain is asked, never joined.

        A record joins by itself where all national ids are verified and its system has none in the log yet.
        """
        candidates = self._systems.get(self._subject(one.read) or "", {})
        if len(candidates) == 1 and one.read.status in OPEN_STATUS:
            log_id, connections = next(iter(candidates.items()))
            if self._joins(connections):
                found = self._of(log_id)
                if same_kind(found.log.subject.kind, one.read.subject.kind):
                    return found
        made = self._tenant.logs.new(self._tenant.new_id())
        if candidates:
            only = next(iter(candidates)) if len(candidates) == 1 else ""
            proposal = NewProposal(ProposalKind.MATCH, foreign_id=one.record.id, element_id=only)
            self._proposals.append((made.log_id, proposal))
        return made

    def _subject(self, log: RelayLog) -> str | None:
        return self._tenant.logs.subject_hash(log.subject.national_id)

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
    sent: Sent | None = None,
) -> StoredLog:
    """Return the log with what a system answered to `sent`, or would hold; new keys are stored."""
    before = stored.keys_of(connection.id)
    stored = _with_side(tenant, connection, stored, record, read, change_hash, sent)
    keys = stored.keys_of(connection.id)
    new = {key: element for key, element in keys.items() if key not in before}
    tenant.logs.add_keys(tx, connection.id, {stored.log_id: new})
    return stored


def with_record(
    tenant: Tenant,
    connection: Connection,
    stored: StoredLog,
    record: SourceRecord,
    read: RelayLog,
    change_hash: str,
    sent: Sent | None = None,
) -> StoredLog:
    """Return the log with what a system now holds of it, in the hub's ids; `sent` is what it answers to.

    What was put out for it as a file, and its own file does not show yet, is still on its way.
    """
    before = stored.side(connection.id)
    stored = _with_side(tenant, connection, stored, record, read, change_hash, sent)
    side = stored.side(connection.id)
    if side is None or before is None or before.told is None:
        return stored
    shown = as_taken_in(before.told, before.seen, side.seen)
    told = None if shown.seen is side.seen else side.seen
    side = replace(side, seen=shown.seen, told=told)
    if shown.unaware:
        side = replace(side, base=put(side.base, shown.unaware), sent=put(side.sent, shown.unaware))
    if shown.nothing_new:  # what was put out already stands
        side = replace(side, record=before.record, original=before.original)
    return stored.with_side(side)


def _with_side(
    tenant: Tenant,
    connection: Connection,
    stored: StoredLog,
    record: SourceRecord,
    read: RelayLog,
    change_hash: str,
    sent: Sent | None,
) -> StoredLog:
    known = stored.keys_of(connection.id)
    before = stored.side(connection.id)
    shown = sent.shown if sent else _said_by(before) if before else None
    identified = in_hub_ids(read, known, sent.log if sent else stored.log, stored.log_id, tenant.new_id, shown)
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
        told=before.told if before else None,
    )
    return stored.with_side(side, identified.new_keys)


def _said_by(side: Side) -> RelayLog:
    """Return what a system may say again in the same words: what was put out for it, and what it said before that."""
    if side.told is None:
        return side.seen
    both = {name: (*getattr(side.seen, name), *getattr(side.told, name)) for name in COLLECTIONS}
    return side.seen.model_copy(update=both)


def sides_as_systems(tenant: Tenant, stored: StoredLog) -> list[System]:
    """Return a log's sides as merge takes them."""
    return [
        System(side.connection, tenant.connections[side.connection].services, side.seen, side.base, side.sent)
        for side in stored.sides
        if side.connection in tenant.connections
    ]


def merged_of(tenant: Tenant, stored: StoredLog) -> Merged:
    """Merge what all systems say of a log, as people have decided; its own id, source and time are set."""
    systems = sides_as_systems(tenant, stored)
    merged = merge(stored.agreed, systems, stored.decided.settlements)
    changes = [side.seen.changed_at for side in stored.sides if side.seen.changed_at]
    first = min(stored.sides, key=lambda side: side.connection)
    own = {
        "id": stored.log_id,
        "changed_at": max(changes, default=None),
        "source": changed(_HUB, {"id": stored.log_id}),
        "template": changed(first.seen.template, {"id": first.seen.template.id or first.mapping}),
    }
    own_log, restricted = changed(merged.log, own), stored.decided.restricted
    merged = _without_removed(replace(merged, log=own_log, restricted=restricted, mixed=stored.decided.mixed), stored)
    merged = _lasting(tenant, merged, stored, systems) if stored.version else merged
    merged = _lived(_confirmed(merged, stored), stored, tenant)
    if not (let_go := stored.decided.released):
        return merged
    now = situation(tenant, merged)
    return replace(merged, released=frozenset(one.rule for one in let_go if one.situation == now))


def situation(tenant: Tenant, merged: Merged) -> str:
    """Return the keyed hash of all that a log says, in whatever order: what a person looked at who lets it go.

    Guardians who are only proposed count: somebody is to look anew where one of them turns out to be protected.
    """
    log = with_proposed(merged.log, merged.proposed)
    said = sorted((*place, _VALUE.dump_json(value).decode()) for place, value in flatten(log).items() if place.field)
    return tenant.logs.keys.keyed_hash(Purpose.CONTENT, json.dumps(said).encode())


def _without_removed(merged: Merged, stored: StoredLog) -> Merged:
    """Leave out the elements that a person had removed, until a system says something new of them."""
    seen = {side.connection: side.seen for side in stored.sides}
    removed = frozenset((one.collection, one.element) for one in stored.decided.removed if one.still(seen))
    if not removed:
        return merged
    lists = {
        name: tuple(_unreferring(each, removed) for each in getattr(merged.log, name) if (name, each.id) not in removed)
        for name in COLLECTIONS
    }
    return replace(
        merged,
        log=merged.log.model_copy(update=lists),
        conflicts=tuple(one for one in merged.conflicts if one.place[:2] not in removed),
        deletions=tuple(one for one in merged.deletions if (one.collection, one.element) not in removed),
        removed=removed,
    )


def _lasting(tenant: Tenant, merged: Merged, stored: StoredLog, systems: Sequence[System]) -> Merged:
    """Let nothing open more than it did, and keep the consents that no system tells of any more as ones nobody knows.

    A person is asked of each of these that a newer one has not overtaken.
    """
    held = no_looser(stored.log, merged.log, systems, stored.decided.settlements)
    asked_of = (*merged.conflicts, *held.conflicts)
    merged = replace(merged, log=held.log, conflicts=asked_of, settled=merged.settled | held.settled)
    said = {consent.id for side in stored.sides for consent in side.seen.consents}
    told = [consent for consent in merged.log.consents if consent.id in said]
    deleted = {one.element for one in merged.deletions if one.collection == "consents"} - said
    gone = lost(stored.log, merged.log, told, partial(id_of, tenant))
    kept = [one for one in gone if ("consents", one.id) not in merged.removed]
    if not deleted and not kept:
        return merged
    log = unsaid(merged.log, deleted, told)
    log = log.model_copy(update={"consents": (*log.consents, *kept)})
    day = tenant.today()
    asked = (
        Deletion(_who_told(stored, one.id), "consents", one.id) for one in kept if not overtaken(one, merged.log, day)
    )
    untold = frozenset(("consents", one.id) for one in kept)
    return replace(merged, log=log, deletions=(*merged.deletions, *asked), untold=untold)


def id_of(tenant: Tenant, what: str) -> str:
    """Return the id of something by what it was: always the same, and a guess at what it was proves nothing."""
    return str(UUID(tenant.logs.keys.keyed_hash(Purpose.CONTENT, what.encode())[:32]))


def _who_told(stored: StoredLog, consent: str) -> str:
    """Return a connection whose system once had a consent, by the key that it had there; any where there was none."""
    names = [side.connection for side in stored.sides]
    known = [
        name
        for name in names
        for (collection, _), element in stored.keys_of(name).items()
        if (collection, element) == ("consents", consent)
    ]
    return min(known or names)


def _confirmed(merged: Merged, stored: StoredLog) -> Merged:
    """Leave out the guardians that nobody has confirmed. Those in the log as stored are; the first record's are too.

    One that a person has refused is known to have no say, and still counts where it protects somebody.
    """
    decided = stored.decided.guardians
    found = new_guardians(stored.log if stored.version else None, merged.log)
    proposed = tuple(
        one if one.id not in decided else one.model_copy(update={"parental_responsibility": False})
        for one in found
        if decided.get(one.id) is not True
    )
    if not proposed:
        return merged
    ids = {one.id for one in proposed}
    asked = tuple(one for one in merged.conflicts if one.place.element not in ids)
    return replace(merged, log=without(merged.log, proposed), conflicts=asked, proposed=proposed)


def _lived(merged: Merged, stored: StoredLog, tenant: Tenant) -> Merged:
    """Refuse a status that cannot follow the agreed one: it stays, as a conflict, until a person or the systems decide.

    One that has ended and goes on is a new version without the closing. What else is changed after the end stays in
    it: the archive is given it as another revision.
    """
    before, after = _life_before(stored), merged.log
    if before is None or not change(before, after, tenant.rules(tenant.today()).life):
        return merged
    if before.status in ENDED and after.status is LogStatus.ACTIVE:
        opened_anew = reopened(before, after)
        return merged if isinstance(opened_anew, Senseless) else replace(merged, log=opened_anew)
    if after.status in FOLLOWS[before.status] | ENDED | {before.status}:
        return merged
    settled = stored.decided.settlements.get(STATUS)
    if settled and settled.covers(after.status):
        return replace(merged, log=after.model_copy(update={"status": settled.value}))
    said = {side.connection: side.seen.status for side in stored.sides}
    disputed = (*merged.conflicts, Conflict(STATUS, said))
    return replace(merged, log=after.model_copy(update={"status": before.status}), conflicts=disputed)


def _life_before(stored: StoredLog) -> RelayLog | None:
    """Return where a log was in its life: as its systems have agreed, or as its only system said before."""
    if stored.agreed is not None and stored.agreed.status is not LogStatus.UNKNOWN:
        return stored.agreed
    return stored.log if stored.version and len(stored.sides) == 1 else None


def _unreferring(element: Element, removed: Collection[tuple[str, str]]) -> Element:
    """Let an element no longer name one that is removed."""
    named = references(type(element)).items()
    gone = {field: "" for field, collection in named if (collection, getattr(element, field)) in removed}
    return element.model_copy(update=gone) if gone else element


def remerge(tenant: Tenant, tx: Transaction, stored: StoredLog, now: datetime) -> StoredLog:
    """Merge a log again, store it, and keep its conflicts and proposals as they now stand."""
    return remerge_all(tenant, tx, [(stored, merged_of(tenant, stored))], now)[0]


def remerge_all(
    tenant: Tenant,
    tx: Transaction,
    merged: Sequence[tuple[StoredLog, Merged]],
    now: datetime,
    cause: Mapping[str, str] | None = None,
) -> list[StoredLog]:
    """Store logs as merged, and keep their conflicts and proposals as they now stand.

    `cause` is what led to it, such as a run and its connection: ids and codes for the log of events.
    """
    written = [replace(stored, log=found.log, agreed=_remembered(stored, found)) for stored, found in merged]
    saved = tenant.logs.save_all(tx, written, now)
    for new, (old, _) in zip(saved, merged, strict=True):
        if new.version == old.version and new.agreed != old.agreed:  # somebody who is only proposed is protected
            tenant.logs.route_anew(tx, new.log_id)
    grown = [new for new, (old, _) in zip(saved, merged, strict=True) if new.version > old.version]
    told: list[tuple[str, dict[str, str | int | bool]]] = [
        (new.log_id, {"version": new.version, **(cause or {})}) for new in grown
    ]
    append_all(tx, tenant.organisation_number, Action.LOG_MERGED, "log", told, "hub", now)
    _ask_for_unkept(tenant, tx, grown)
    anew: list[tuple[str, dict[str, int]]] = [
        (new.log_id, {"version": new.version})
        for new, (old, _) in zip(saved, merged, strict=True)
        if _went_on(old.log, new.log)
    ]
    append_all(tx, tenant.organisation_number, Action.LOG_REOPENED, "log", anew, "hub", now)
    disputed = tenant.inbox.disputed(tx, [stored.log_id for stored in saved if stored.version > 1])
    ids = [stored.log_id for stored, _ in merged]
    lacking = [{(gone.collection, gone.element) for gone in found.deletions} for _, found in merged]
    removed = [found.removed for _, found in merged]
    tenant.inbox.elements_back(tx, dict(zip(ids, lacking, strict=True)), dict(zip(ids, removed, strict=True)), now)
    tenant.inbox.guardians_named(tx, {stored.log_id: _asked(found, stored) for stored, found in merged}, now)
    for stored, (_, found) in zip(saved, merged, strict=True):
        for guardian in _asked(found, stored):
            proposal = NewProposal(ProposalKind.GUARDIAN, collection="guardians", element_id=guardian)
            tenant.inbox.propose(tx, _who_names(stored, guardian), stored.log_id, proposal, now)
        if found.conflicts or stored.log_id in disputed:
            tenant.inbox.set_conflicts(tx, stored.log_id, stored.sealer, conflicts_of(found), now)
        for gone in found.deletions:
            proposal = NewProposal(ProposalKind.DELETION, collection=gone.collection, element_id=gone.element)
            tenant.inbox.propose(tx, gone.connection, stored.log_id, proposal, now)
    return saved


def _ask_for_unkept(tenant: Tenant, tx: Transaction, logs: Sequence[StoredLog]) -> None:
    """Have what other systems hold of these persons, and was not kept, read anew where a log of theirs may be kept."""
    day = tenant.today()
    rules = tenant.rules(day)
    kept = [stored.log.subject.national_id for stored in logs if may_be_kept(stored.log, day, rules)]
    subjects = {subject for national_id in kept if (subject := tenant.logs.subject_hash(national_id))}
    if subjects:
        tenant.logs.read_anew(tx, subjects)


def _went_on(before: RelayLog, now: RelayLog) -> bool:
    return before.status in ENDED and now.status in OPEN_STATUS


def _remembered(stored: StoredLog, found: Merged) -> RelayLog | None:
    """Return what is agreed with the protective facts remembered, also those about guardians not confirmed yet."""
    log = changed(found.log, {"guardians": (*found.log.guardians, *found.proposed)})
    return remembered(stored.agreed, log, {conflict.place for conflict in found.conflicts})


def _asked(found: Merged, stored: StoredLog) -> list[str]:
    """Return the guardians that a person is asked about."""
    return [one.id for one in found.proposed if one.id not in stored.decided.guardians]


def _who_names(stored: StoredLog, guardian: str) -> str:
    """Return a connection whose system names a guardian; any of the log's where none does any more."""
    names = [side.connection for side in stored.sides if any(one.id == guardian for one in side.seen.guardians)]
    return min(names or [side.connection for side in stored.sides])


def conflicts_of(merged: Merged) -> list[NewConflict]:
    """Return the open conflicts of a log with their values as JSON."""
    return [
        NewConflict(
            path=f"{conflict.place.collection}[].{conflict.place.field}"
            if conflict.place.collection
            else conflict.place.field,
            element_id=conflict.place.element,
            values={name: as_json(value) for name, value in conflict.values.items()},
        )
        for conflict in merged.conflicts
    ]


def as_json(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return a value of a place in JSON form; `merge.typed` leads back."""
    return _VALUE.dump_python(value, mode="json")
