"""What may never happen, over random histories of consents, birthdays, protections, imports, edits and sends.

Each child lives a life of its own (`lives.py`) in two or three of five systems; whatever the hub sends them is judged
at their door by rules written anew (`rulebook.py`): no text of a part reaches a reader without a consent that names it
on that day, nothing withheld is removed or emptied, nothing that protects somebody is loosened by a source that drops
it. At the end the families consent anew, people release what is held, and every change is where it may be.

Two hubs run the same lives. The real one has its database, its deliveries, systems that are away and answers that get
lost: many children live in one hub side by side, 200 in `make test-long` and 1,000 in `make faults`. In the bare one a
child is merged, planned, sent and acknowledged by the same functions without rows between, so that there is time for
1,500 histories in `make test-long` and 10,000 in `make faults`. `make test` lives 40 lives, 14 of them in the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from random import Random

import pytest

from hub.connectors.base import Accepted, Connector, OutcomeUnknown, Outgoing, SourceRecord, Unavailable
from hub.mappings import load_shipped
from hub.relaylog.codes import Part, Service
from hub.relaylog.merge import Conflict, Exchange, Merged, Place, merge, remembered
from hub.relaylog.merge import System as ImportedFrom
from hub.relaylog.model import Consent, RelayLog
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import shared_level_2
from hub.store.decisions import Released, Who
from hub.store.logs import Side, StoredLog
from hub.store.tables import HoldState, ProposalKind, ProposalState, holds, proposals, records
from hub.sync.admit import _remembered, merged_of, situation, with_record
from hub.sync.context import Connection, Tenant
from hub.sync.decide import Decisions
from hub.sync.route import RELEASABLE, acknowledged, plan
from hub.sync.sent import Sent, sent_as
from tests.faults.house import scale, show
from tests.sync.house import SAMSPILL, TODAY, House, rules
from tests.sync.lives import READERS, Child, System, words
from tests.sync.rulebook import Tree

NAMES = tuple(READERS)
WHO = Who("user-1", "Lest og vurdert.")
OPEN_FORMAT = load_shipped("relaylog/open")


def _connection(system: System) -> Connection:
    """Return a system as it is configured: the open format carries every fact there is."""
    return Connection(
        id=f"{MUNICIPALITY_ORGNR}/{system.name}",
        services=frozenset(service for service in Service if service == READERS[system.name][0]),
        readers=frozenset(service for service in Service if service in READERS[system.name]),
        mapping=OPEN_FORMAT,
        connector=system,
        first_contact="send",
        deliver=True,
        verified_ids=True,
    )


def _children(numbers: Iterable[int], house: House) -> list[Child]:
    """Let children be born into systems of their own kind, shared by all of them."""
    systems = {name: System(name, house.tenant.today) for name in NAMES}
    connections = {each.id: each for each in map(_connection, systems.values())}
    house.tenant = replace(house.tenant, connections=connections, archive=None)
    made: list[Child] = []
    used_ids: set[str] = set()
    for number in numbers:
        rng = Random(number)  # noqa: S311 - the same number lives the same life
        chosen = rng.sample(NAMES, rng.choice((2, 2, 3)))
        made.append(Child(number, rng, house.tenant.today(), {name: systems[name] for name in chosen}, used_ids))
    return made


# --- a hub without rows ----------------------------------------------------------------------------------------------


@dataclass
class Bare:
    """One child's log, merged, planned, sent and acknowledged as the hub does it, and nothing stored."""

    tenant: Tenant
    child: Child
    stored: StoredLog = field(init=False)
    merged: Merged = field(init=False)
    took: int = 0
    _routed: StoredLog | None = None
    _day: date | None = None

    def __post_init__(self) -> None:
        self.stored = self.tenant.logs.new(self.tenant.new_id())

    def sync(self) -> None:
        """Read what changed, and bring every system up to date."""
        for connection, record_id in self._records():
            record = connection.connector.fetch(record_id)
            side = self.stored.side(connection.id)
            if side is None or side.foreign_version != record.version:
                self._take(connection, record)
                self._remerge()
        if self.tenant.today() != self._day or self.stored is not self._routed:  # as the hub, that asks only then
            for connection, _ in self._records():
                self._send(connection)
            self._day, self._routed = self.tenant.today(), self.stored

    def _records(self) -> Iterator[tuple[Connection, str]]:
        for name in self.child.systems:
            yield self.tenant.connections[f"{MUNICIPALITY_ORGNR}/{name}"], self.child.record_id(name)

    def _take(self, connection: Connection, record: SourceRecord, sent: Sent | None = None) -> Side:
        read = connection.mapping.read(record.tree)
        self.stored = with_record(self.tenant, connection, self.stored, record, read, record.version, sent)
        side = self.stored.side(connection.id)
        assert side is not None
        return side

    def _remerge(self) -> None:
        merged = merged_of(self.tenant, self.stored)
        grown = self.stored.version + (merged.log != self.stored.log)
        agreed = _remembered(self.stored, merged)
        self.stored, self.merged = replace(self.stored, log=merged.log, agreed=agreed, version=grown), merged

    def _send(self, connection: Connection) -> None:
        """Send a system what it may have and lacks; what it has already is agreed."""
        tenant, side, merged, day = self.tenant, self.stored.side(connection.id), self.merged, self.tenant.today()
        assert side is not None
        planned = plan(connection, side, merged, self.stored.keys_of(connection.id), day, tenant.rules(day))
        if planned.stops:
            return
        exchange = Exchange(connection.id, planned.view, side.seen, planned.cleared)
        if planned.changes:
            before = SourceRecord(side.foreign_id, side.foreign_version, side.record, side.original)
            held = {other.connection: other.seen for other in self.stored.sides}
            try:
                record = connection.connector.update(Outgoing(before, planned.after, tenant.new_id())).record
            except Unavailable:
                return
            self.took += 1
            sent = sent_as(connection, self.stored, side, planned.view, planned.cleared)
            exchange = replace(exchange, now=self._take(connection, record, sent).seen, held=held)
        settled = acknowledged(tenant, self.stored, merged, exchange)
        if settled != self.stored or planned.changes:
            self.stored = settled
            self._remerge()

    def release(self) -> None:
        """Let a person refuse guardians nobody knows, and release what may be released of the log as it then stands."""
        unknown = {one.id: False for one in self.merged.proposed}
        self.stored = replace(self.stored, decided=replace(self.stored.decided, guardians=unknown))
        self._remerge()
        now = situation(self.tenant, self.merged)
        let_go = tuple(Released(rule=rule, situation=now) for rule in RELEASABLE)
        self.stored = replace(self.stored, decided=replace(self.stored.decided, released=let_go))
        self._remerge()


# --- the hub as it runs ----------------------------------------------------------------------------------------------


class Town:
    """Many children side by side in one hub with its database."""

    def __init__(self, house: House, children: list[Child]) -> None:
        self.house = house
        self.children = children

    @property
    def took(self) -> int:
        """Return how many changes the systems have taken."""
        return sum(len(system.received) for system in self._systems())

    def sync(self) -> None:
        """Do a whole cycle, in which nothing was sent that a system judged wrong."""
        self.house.sync()
        wrongs = [wrong for system in self._systems() for wrong in system.wrongs]
        assert not wrongs, f"{wrongs[0]} (first of {len(wrongs)})"

    def _systems(self) -> list[System]:
        return list(dict.fromkeys(system for child in self.children for system in child.systems.values()))

    def release(self, child: Child) -> None:
        """Let a person release what may be released of a child's log, and refuse guardians nobody knows."""
        decisions, log_ids = Decisions(self.house.tenant), self._logs(child)
        asked = self.house.rows(proposals, kind=ProposalKind.GUARDIAN, state=ProposalState.OPEN)
        guardians = {row.element_id: row.proposal_id for row in asked if row.log_id in log_ids}
        for proposal_id in guardians.values():  # asked of twice, one answer ends both
            decisions.refuse(proposal_id, WHO)
        for row in self.house.rows(holds, state=HoldState.OPEN):
            if row.log_id in log_ids and row.rule in RELEASABLE:
                decisions.release(row.hold_id, WHO)

    def merged(self, child: Child) -> Merged:
        """Return a child's log as merged."""
        (log_id,) = self._logs(child)
        with self.house.db.read() as tx:
            return merged_of(self.house.tenant, self.house.tenant.logs.load(tx, log_id))

    def _logs(self, child: Child) -> set[str]:
        ids = {child.record_id(name) for name in child.systems}
        return {row.log_id for row in self.house.rows(records) if row.foreign_id in ids}


def _standing(merged: Merged) -> set[str]:
    """Return the texts that a log says, or that systems say in its conflicts."""
    return words(
        [merged.log.model_dump(mode="json"), [str(each) for one in merged.conflicts for each in one.values.values()]]
    )


def _live(child: Child, house: House, *troubles: str) -> None:
    """Let some things happen to a child, and now and then trouble to its systems."""
    child.today = house.tenant.today()
    for _ in range(child.rng.choice((0, 1, 2, 3))):
        child.live()
    for name, system in child.systems.items():
        for trouble in troubles:
            struck: set[str] = getattr(system, trouble)
            struck.discard(child.record_id(name))
            if child.rng.random() < 0.05:
                struck.add(child.record_id(name))
    child.learn()


def _make_whole(child: Child, house: House) -> None:
    """Let the family consent to everything anew, and everybody write something more."""
    child.today = house.tenant.today()
    for name, system in child.systems.items():
        system.away.discard(child.record_id(name))
        system.losing.discard(child.record_id(name))
    for reader in child.readers:
        child.consent(reader, child.today, sound=True)
    for name in child.systems:
        child.add(name, child.today)
    child.learn()


def _history(number: int, house: House) -> tuple[int, int]:
    """Live one child's life in a bare hub; return how many changes its systems took, and texts looked at in the end."""
    (child,) = _children([number], house)
    bare = Bare(house.tenant, child)
    child.learn()
    bare.sync()
    for _ in range(child.rng.randint(2, 4)):
        house.time.after(days=child.rng.choice((0, 1, 1, 3, 7)), minutes=10)
        if child.rng.random() < 0.3:
            child.released()
            bare.release()
        _live(child, house, "away")
        bare.sync()
    house.time.after(days=2)
    _make_whole(child, house)
    bare.sync()
    for _ in range(6):
        before = bare.took
        child.released()
        bare.release()
        bare.sync()
        if bare.took == before:
            return bare.took, child.judge_rest(_standing(bare.merged), house.tenant.today())
    raise AssertionError(f"child {number} does not come to rest")


def _histories(numbers: Iterable[int], house: House) -> tuple[int, int]:
    """Live the lives of many children side by side in one hub; return the same as for one."""
    children, rng = _children(numbers, house), Random(0)  # noqa: S311 - as above
    town = Town(house, children)
    for child in children:
        child.learn()
    town.sync()
    for _ in range(6):
        house.time.after(days=rng.choice((0, 1, 1, 3, 7)), hours=1)
        for child in children:
            if child.rng.random() < 0.3:
                child.released()
                town.release(child)
        for child in children:
            _live(child, house, "away", "losing")
        town.sync()
    house.time.after(days=2)
    for child in children:
        _make_whole(child, house)
    town.sync()
    for _ in range(8):
        before = town.took
        for child in children:
            child.released()
            town.release(child)
        house.time.after(hours=3)
        town.sync()
        if town.took == before:
            break
    return town.took, sum(child.judge_rest(_standing(town.merged(child)), house.tenant.today()) for child in children)


def _bare_histories(numbers: Iterable[int], house: House) -> tuple[int, int]:
    begin, took, looked_at = house.time.at, 0, 0
    for number in numbers:
        house.time.at = begin
        changes, texts = _history(number, house)
        took, looked_at = took + changes, looked_at + texts
    return took, looked_at


def test_a_few_children_live_in_the_hub(house: House, path: Path) -> None:
    """Side by side in one database nothing is sent that may not be, and what may be arrives."""
    assert path.exists()
    took, looked_at = _histories(range(14), house)
    assert took > 50
    assert looked_at > 50


def test_a_few_children_live_in_a_bare_hub(house: House, path: Path) -> None:
    """The same in a hub without rows, one child at a time."""
    assert path.exists()
    took, looked_at = _bare_histories(range(26), house)
    assert took > 100
    assert looked_at > 150


@pytest.mark.long
@pytest.mark.parametrize("town", range(scale(full=25, short=4)))
def test_many_children_live_in_the_hub(house: House, path: Path, town: int) -> None:
    """As above, with towns of forty; with `make faults` there are 25 of them."""
    assert path.exists()
    first = 1_000 + 40 * town
    took, looked_at = _histories(range(first, first + 40), house)
    show("children in one hub", changes=took, texts=looked_at)


@pytest.mark.long
@pytest.mark.parametrize("share", range(10))
def test_thousands_of_children_live_in_a_bare_hub(house: House, path: Path, share: int) -> None:
    """As above, 10,000 in all with `make faults`, else 1,200."""
    assert path.exists()
    first, count = 10_000 + 1_000 * share, scale(full=1_000, short=120)
    took, looked_at = _bare_histories(range(first, first + count), house)
    show("children in bare hubs", histories=count, changes=took, texts=looked_at)


# --- what the histories have found -----------------------------------------------------------------------------------


def test_a_withheld_text_in_conflict_stands_as_it_is() -> None:
    """A system that holds a text which is no longer open to it, and is disputed, is sent nothing of its element."""
    consent = {"id": "c1", "recipient": "ppt", "status": "given", "valid_from": "2026-11-20"}
    mother = {"id": "g1", "name": "Havbris Testmor", "parental_responsibility": True, "residence": "together"}
    note = {"id": "n1", "writer": "health_station", "part": "health", "written_on": "2026-11-01", "text": "Slik."}
    tree: Tree = {
        "canonical": "relaylog/1",
        "status": "active",
        "source": {"system": "ppt", "id": "p1"},
        "subject": {"name": "Solskinn Testbarn", "birth_date": "2020-01-01", "address_protection": "none"},
        "guardians": [mother],
        "consents": [{**consent, "signed_by": [{"name": "Havbris Testmor", "role": "mother"}]}],
        "notes": [note],
    }
    connection = _connection(System("ppt", lambda: TODAY))
    seen = OPEN_FORMAT.read(tree)
    side = Side(connection.id, "p1", "1", "", OPEN_FORMAT.id, OPEN_FORMAT.version, tree, seen)
    disputed = Conflict(Place("notes", "n1", "text"), {connection.id: "Slik.", "other": "Slik, eller slik."})
    planned = plan(connection, side, Merged(seen, (disputed,)), {}, TODAY, rules(TODAY))
    assert planned.stops == ()
    assert planned.after == tree


def test_after_a_lost_answer_nobody_is_said_to_have_deleted_what_was_never_there(house: House, path: Path) -> None:
    """Where the log has moved on before the answer is looked up, other systems held only what they hold."""
    assert path.exists()
    house.tell(shared_level_2)
    house.detours[SAMSPILL].update_by = _taken_in_and_lost
    house.sync()
    house.detours[SAMSPILL].update_by = None
    house.vigilo()["uro"][0]["skildring"] = "Endring."
    house.saved(house.vigilo())
    house.time.after(hours=1)
    house.sync()
    assert house.rows(proposals, kind=ProposalKind.DELETION) == []


def test_a_limit_of_a_consent_is_remembered_before_it_is_exchanged() -> None:
    """An import that drops it loosens nothing, also where the consent had run out and so nothing was exchanged."""
    agreed = RelayLog(consents=(Consent(id="c1", parts=(Part.PPT, Part.HEALTH)),))
    limits = {"valid_to": TODAY, "parts": (Part.PPT,)}
    limited = agreed.consents[0].model_copy(update=limits)
    kept = remembered(agreed, agreed.model_copy(update={"consents": (limited,)}))
    merged = merge(kept, [ImportedFrom("a", frozenset(), agreed)])
    assert merged.log.consents == (limited,)


def test_a_consent_told_in_the_same_words_after_an_import_is_known(house: House, path: Path) -> None:
    """In this life the import gives it another id: the hub reads both as one consent, and so does who judges."""
    assert path.exists()
    took, _ = _histories([2_505], house)
    assert took


def test_what_a_system_judges_wrong_ends_the_history(house: House, path: Path) -> None:
    """To the hub it is an answer like any other that it does not understand; here it is told as what it is."""
    assert path.exists()
    town = Town(house, _children([2_505], house))
    town.children[0].facts.violence = True  # which no system has told
    with pytest.raises(AssertionError, match="child 2505, barnehage, 2026-11-21: violence"):
        town.sync()


def test_no_two_children_share_a_national_id(house: House) -> None:
    """These two would draw the same one."""
    children = _children((2_811, 2_824), house)
    subjects = [child.record(name)["subject"] for child in children for name in child.systems]
    assert len({subject["national_id"] for subject in subjects}) == 2


def _taken_in_and_lost(real: Connector, outgoing: Outgoing) -> Accepted:
    real.update(outgoing)
    raise OutcomeUnknown("lost", "the answer was lost", "Look it up")
