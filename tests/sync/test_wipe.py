"""What is wiped, when, and that nothing of it is left; and what is never wiped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from hub.connectors.archive.folder import FolderArchive
from hub.relaylog.codes import LogStatus, Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules, parts_open_to
from hub.relaylog.keeping import may_be_kept
from hub.relaylog.model import Closure, Goal, RelayLog, Subject
from hub.relaylog.rights import AskedBy, RightsKind
from hub.relaylog.sharing import Sharing
from hub.store.database import Database
from hub.store.decisions import Choice, NewDecision, Who, keep
from hub.store.inbox import Inbox, NewConflict, Refusal
from hub.store.logs import LogStore, Side, StoredLog
from hub.store.rights import Demand, Rights
from hub.store.sealing import SealError, Shredded, new_key_file, read_key_file
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    decisions,
    deliveries,
    element_keys,
    log_keys,
    logs,
    metadata,
    packages,
    quarantine,
    records,
)
from hub.store.wipe import Shredding, ShredList, ShredListError, proven, shred_again
from hub.store.work import NewDelivery, WorkStore
from hub.sync.archive import content_hash
from hub.sync.context import Archive, Tenant
from hub.sync.wipe import Keeper
from tests.documents.worked import worked_log
from tests.proof import bytes_on_disk, left_in, sealed_values

TENANT = "100000008"  # made up
ARCHIVE, VIGILO = f"{TENANT}/folder", f"{TENANT}/vigilo"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
TERM = timedelta(days=90)
RULES = Rules(Sharing(), ConsentPolicy())
CHILD = "10915596784"  # synthetic


@dataclass(frozen=True)
class Room:
    """A tenant's store with one log of everything that a log can have, archived or not."""

    db: Database
    store: LogStore
    work: WorkStore
    inbox: Inbox
    new_id: Callable[[], str]
    folder: Path

    def tenant(self, at: datetime = NOW) -> Tenant:
        """Give the municipality at an instant, without systems and with an archive."""
        target = FolderArchive(self.folder / "archive", TENANT, encrypt=None, clock=lambda: at)
        return Tenant(
            organisation_number=TENANT,
            name="Oppdikta kommune",
            synthetic_ids=True,
            connections={},
            rules=lambda _: RULES,
            archive=Archive(ARCHIVE, target, lambda _: None),
            db=self.db,
            logs=self.store,
            inbox=self.inbox,
            work=self.work,
            now=lambda: at,
            new_id=self.new_id,
        )

    def keeper(self, at: datetime = NOW) -> Keeper:
        """Give what wipes in it at an instant."""
        return Keeper(self.tenant(at), ShredList(self.folder / "shredded"), "hub")

    def put(self, log: RelayLog) -> StoredLog:
        """Store a log with a side, keys, a decision, a quarantined record of the same child, and an ended conflict."""
        with self.db.write() as tx:
            stored = self.store.save(tx, replace(self.store.new(log.id), log=log), NOW)
            side = Side(VIGILO, f"r-{log.id}", "1", "c" * 64, "m", 1, {"t": "x"}, log, log, log, b"the file")
            self.store.save_side(tx, stored, side, None, NOW)
            self.store.add_keys(tx, VIGILO, {log.id: {("goals", "7"): "g1"}})
            decided = NewDecision("hold", "h1", Choice.RELEASED, log.id)
            keep(tx, TENANT, stored.sealer, f"d-{log.id}", decided, Who("user-1", "because"), NOW)
            person = self.store.subject_hash(log.subject.national_id)
            why = Refusal("r", "/", "rule")
            self.inbox.put_in_quarantine(tx, VIGILO, f"q-{log.id}", "c" * 64, b"held", why, NOW)
            tx.execute(update(quarantine).values(subject_hash=person).where(quarantine.c.foreign_id == f"q-{log.id}"))
            self.inbox.set_conflicts(tx, log.id, stored.sealer, [NewConflict("status", "", {"a": 1})], NOW)
            self.inbox.set_conflicts(tx, log.id, stored.sealer, [], NOW)
        return stored

    def archived(self, stored: StoredLog, at: datetime) -> None:
        """Package a log and let the archive prove that it has it."""
        seal, log_id = stored.sealer.seal, stored.log_id
        delivery = NewDelivery(f"a-{log_id}", ARCHIVE, log_id, DeliveryKind.ARCHIVE, seal("p", b"paper"), "v", 1)
        row: dict[str, object] = {"log_id": log_id, "revision": 1, "external_key": "k", "sealed_bytes": seal("p", b"x")}
        row |= {"content_hash": content_hash(self.tenant(), stored), "mapping_versions": {}}
        with self.db.write() as tx:
            self.work.add_package(tx, row, at)
            self.work.add_delivery(tx, delivery, at)
            self.work.end_delivery(tx, delivery.delivery_id, DeliveryState.DONE, at, sealed_receipt=seal("r", b"got"))
            self.work.add_proof(tx, log_id, 1, ARCHIVE, delivery.delivery_id, "ref", at)

    def sealed(self) -> list[bytes]:
        """Return every sealed value that the store holds, wrapped keys too."""
        return sealed_values(self.db)

    def on_disk(self) -> bytes:
        """Return all bytes of the database, its log included."""
        return bytes_on_disk(self.folder / "hub.db")


@pytest.fixture
def room(db: Database, path: Path) -> Iterator[Room]:
    new_key_file(path.parent / "key.json")
    keys, ids = read_key_file(path.parent / "key.json", TENANT), count(1)

    def new_id() -> str:
        return f"id-{next(ids)}"

    return Room(db, LogStore(keys), WorkStore(TENANT, new_id), Inbox(keys, new_id), new_id, path.parent)  # type: ignore[return-value]


def _closed(log_id: str = "l1", child: str = CHILD) -> RelayLog:
    goal = Goal(id="g1", text="Ho skal få ein ven")
    subject = Subject(name="Solskinn Testbarn", national_id=child)
    ended = Closure(on=date(2026, 6, 1))
    return RelayLog(id=log_id, status=LogStatus.CLOSED, closure=ended, goals=(goal,), subject=subject)


def test_a_wiped_log_leaves_ids_status_and_dates(room: Room) -> None:
    """Key, bodies, records, keys of elements, decisions, payloads, packages and quarantine of the child are gone."""
    stored = room.put(_closed())
    room.archived(stored, NOW)
    assert room.keeper(NOW + TERM).wipe("l1")
    assert room.sealed() == []
    with room.db.read() as tx:
        assert [len(tx.execute(select(t)).all()) for t in (log_keys, element_keys, decisions)] == [0, 0, 0]
        row = tx.execute(select(logs)).one()
        assert (row.status, row.closed_on, row.subject_hash, row.counts) == ("archived", date(2026, 6, 1), None, {})
        record = tx.execute(select(records)).one()
        assert (record.foreign_id, record.change_hash, record.log_id) == ("r-l1", "c" * 64, None)
        assert tx.execute(select(quarantine)).one().subject_hash is None
        assert tx.execute(select(packages)).one().sealed_bytes is None
        assert tx.execute(select(deliveries)).one().receipt_ref is None
        with pytest.raises(Shredded):
            room.store.load(tx, "l1")


def test_nothing_of_it_is_left_in_the_files(room: Room) -> None:
    """No sealed value and no wrapped key of a wiped log is in the database file or its log; its neighbour's are."""
    room.put(_closed("l2", "21915596710"))
    kept = room.sealed()
    stored = room.put(_closed())
    room.archived(stored, NOW)
    gone = set(room.sealed()) - set(kept)
    assert len(gone) >= 10
    assert all(left_in(room.on_disk(), value) for value in gone)
    room.keeper(NOW + TERM).wipe("l1")
    room.db.forget_deleted()
    left = room.on_disk()
    assert not any(left_in(left, value) for value in gone)
    assert all(left_in(left, value) for value in kept)


def test_nothing_is_due_before_the_proof_and_the_term(room: Room) -> None:
    """Not without a proof, not a day early, not while a second target has no proof, and never without targets."""
    stored = room.put(_closed())
    assert room.keeper(NOW + 2 * TERM).due(TERM) == []
    room.archived(stored, NOW)
    assert room.keeper(NOW + TERM - timedelta(seconds=1)).due(TERM) == []
    assert room.keeper(NOW + TERM).due(TERM) == ["l1"]
    with room.db.read() as tx:
        assert proven(tx, TENANT, [ARCHIVE], NOW) == ["l1"]
        assert proven(tx, TENANT, [ARCHIVE, f"{TENANT}/second"], NOW) == []
        assert proven(tx, TENANT, [], NOW) == []


@pytest.mark.parametrize("waits", ["delivery", "conflict", "revision"])
def test_a_log_over_which_something_waits_is_not_due(room: Room, waits: str) -> None:
    """A delivery under way, an open conflict, or a newer package without proof keeps a log."""
    stored = room.put(_closed())
    room.archived(stored, NOW)
    with room.db.write() as tx:
        if waits == "delivery":
            room.work.add_delivery(tx, NewDelivery("d1", VIGILO, "l1", DeliveryKind.UPDATE, b"", "v", 1), NOW)
        elif waits == "conflict":
            room.inbox.set_conflicts(tx, "l1", stored.sealer, [NewConflict("status", "", {"a": 1})], NOW)
        else:
            package = {"external_key": "k", "content_hash": "", "mapping_versions": {}, "created_at": NOW}
            tx.execute(insert(packages).values(package_id="p2", tenant=TENANT, log_id="l1", revision=2, **package))
    assert room.keeper(NOW + 2 * TERM).due(TERM) == []


def test_a_log_that_changed_after_its_package_is_not_wiped(room: Room) -> None:
    """What the archive does not have yet stays."""
    room.archived(room.put(_closed()), NOW)
    with room.db.write() as tx:
        stored = room.store.load(tx, "l1")
        room.store.save(tx, replace(stored, log=stored.log.model_copy(update={"goals": ()})), NOW)
    assert not room.keeper(NOW + TERM).wipe("l1")
    with room.db.read() as tx:
        assert room.store.load(tx, "l1").log.subject.name


def test_quarantine_stays_while_the_child_has_another_log(room: Room) -> None:
    """What waits of a child goes with the last log of that child alone."""
    room.put(_closed("l2"))
    room.archived(room.put(_closed()), NOW)
    room.keeper(NOW + TERM).wipe("l1")
    with room.db.read() as tx:
        assert all(row.sealed_record for row in tx.execute(select(quarantine)))


def test_a_wiped_log_is_never_routed_or_packaged_again(room: Room) -> None:
    """Neither now nor when all is decided anew does it come up, so that nothing tries to open it."""
    room.archived(room.put(_closed()), NOW)
    room.keeper(NOW + TERM).wipe("l1")
    with room.db.write() as tx:
        room.store.route_anew(tx)
        assert room.store.changed_since_routed(tx) == room.work.closed_unpackaged(tx) == []


# --- what may not be kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(LogStatus))
def test_only_what_has_not_begun_and_is_open_to_nobody_is_not_kept(status: LogStatus) -> None:
    """Draft, awaiting consent and rejected are not kept; everything that is archived when it ends is."""
    unkept = {LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED}
    assert may_be_kept(RelayLog(id="l1", status=status), NOW.date(), RULES) == (status not in unkept)


def test_what_a_consent_opens_is_kept_before_it_begins() -> None:
    """A log that awaits its start, and that a consent opens to PPT, may be shared, and is kept for that."""
    log = worked_log().model_copy(update={"status": LogStatus.AWAITING_CONSENT})
    assert may_be_kept(log, NOW.date(), RULES)
    assert not may_be_kept(log.model_copy(update={"consents": ()}), NOW.date(), RULES)


def test_a_consent_that_begins_later_keeps_a_log_until_then() -> None:
    """Its system lists nothing new on the day that the consent begins, so that what waits for it is kept."""
    log = worked_log().model_copy(update={"status": LogStatus.AWAITING_CONSENT})
    begun = min(consent.valid_from for consent in log.consents if consent.valid_from)
    before = begun - timedelta(days=1)
    assert not any(parts_open_to(log, reader, before, RULES) for reader in Service)
    assert may_be_kept(log, before, RULES)


def test_what_may_not_be_kept_leaves_keyed_id_hash_and_status(room: Room) -> None:
    """The person's keyed hash and the record's stay, so that it is found again; the text and the key are gone."""
    room.put(_closed().model_copy(update={"status": LogStatus.AWAITING_CONSENT, "closure": None}))
    assert room.keeper().unkept() == ["l1"]
    assert room.keeper().drop("l1")
    with room.db.read() as tx:
        row = tx.execute(select(logs)).one()
        assert (row.status, row.sealed_body) == ("awaiting_consent", None)
        assert row.subject_hash == room.store.subject_hash(CHILD)
        assert tx.execute(select(records)).one().change_hash == "c" * 64
        assert tx.execute(select(log_keys)).all() == []
    assert room.keeper().unkept() == []


def test_what_somebody_asks_for_by_right_is_kept_until_that_is_done(room: Room) -> None:
    """A log that may not be kept is there while a demand about it waits: there would be nothing to give access to."""
    stored = room.put(_closed().model_copy(update={"status": LogStatus.AWAITING_CONSENT, "closure": None}))
    rights, demand = Rights(TENANT), Demand(RightsKind.ACCESS, "l1", AskedBy.GUARDIAN, NOW.date(), "Alt.")
    with room.db.write() as tx:
        rights.open(tx, "c1", demand, stored.sealer, "user-1", NOW)
    assert room.keeper().unkept() == []
    assert not room.keeper().drop("l1")
    with room.db.write() as tx:
        (case,) = rights.cases(tx)
        rights.done(tx, case, "user-1", NOW)
    assert room.keeper().drop("l1")
    with room.db.read() as tx:
        assert [row.sealed_detail for row in rights.cases(tx, "l1", everything=True)] == [None]


def test_an_archived_log_that_somebody_asks_about_is_not_due(room: Room) -> None:
    """After its term it stays until the demand is carried out, and is wiped then."""
    stored = room.put(_closed())
    room.archived(stored, NOW)
    rights, demand = Rights(TENANT), Demand(RightsKind.ACCESS, "l1", AskedBy.CHILD, NOW.date(), "Alt.")
    with room.db.write() as tx:
        rights.open(tx, "c1", demand, stored.sealer, "user-1", NOW)
    assert room.keeper(NOW + TERM).due(TERM) == []
    with room.db.write() as tx:
        (case,) = rights.cases(tx)
        rights.done(tx, case, "user-1", NOW)
    assert room.keeper(NOW + TERM).due(TERM) == ["l1"]


def test_what_was_sent_once_is_kept(room: Room) -> None:
    """A log that somebody was sent something of is not dropped, whatever its status says now."""
    room.put(_closed().model_copy(update={"status": LogStatus.DRAFT}))
    with room.db.write() as tx:
        room.work.add_delivery(tx, NewDelivery("d1", VIGILO, "l1", DeliveryKind.UPDATE, b"", "v", 1), NOW)
    assert room.keeper().unkept() == []
    assert not room.keeper().drop("l1")


# --- the list outside the database ------------------------------------------------------------------------------------


def test_each_shredding_is_listed_outside_the_database(room: Room) -> None:
    """The list names tenant, log, instant and status, and nothing else."""
    room.archived(room.put(_closed()), NOW)
    room.keeper(NOW + TERM).wipe("l1")
    assert list(room.keeper().shredded.read()) == [Shredding(TENANT, "l1", NOW + TERM, LogStatus.ARCHIVED)]


def test_where_the_list_cannot_be_written_nothing_is_wiped(room: Room) -> None:
    """A shredding that would be undone by a restore does not happen."""
    room.archived(room.put(_closed()), NOW)
    (room.folder / "shredded").touch()
    with pytest.raises(ShredListError, match="cannot be written"):
        room.keeper(NOW + TERM).wipe("l1")
    with room.db.read() as tx:
        assert room.store.load(tx, "l1").log.id == "l1"


def test_a_line_that_was_cut_off_is_none(tmp_path: Path) -> None:
    """Half a line at the end is dropped and written over; a broken line before it is told with its number."""
    listed, one = ShredList(tmp_path), Shredding(TENANT, "l1", NOW, LogStatus.ARCHIVED)
    listed.add(one)
    path = tmp_path / f"{TENANT}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"log": "l2"')
    assert list(listed.read()) == [one]
    listed.add(replace(one, log_id="l3"))
    assert [each.log_id for each in listed.read()] == ["l1", "l3"]
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(ShredListError, match="line 1: not a shredding"):
        list(listed.read())


def test_the_list_shreds_again_what_came_back(room: Room) -> None:
    """A log that the list names and the store has the key of is shredded; doing it again finds nothing."""
    room.put(_closed())
    listed = [Shredding(TENANT, "l1", NOW, LogStatus.ARCHIVED), Shredding(TENANT, "l9", NOW, LogStatus.ARCHIVED)]
    with room.db.write() as tx:
        assert shred_again(tx, iter(listed), "hub") == 1
        assert shred_again(tx, iter(listed), "hub") == 0
        with pytest.raises(SealError):
            room.store.load(tx, "l1")


def test_every_table_with_something_sealed_is_known_to_wiping() -> None:
    """Whoever seals something in another table has to add it to the wipe, and to this list."""
    sealed = {t.name for t in metadata.sorted_tables if any(c.name.startswith(("sealed_", "wrapped_")) for c in t.c)}
    emptied = {"records", "deliveries", "packages", "conflicts", "proposals", "quarantine", "logs", "rights_cases"}
    assert sealed == emptied | {"log_keys", "decisions"}
