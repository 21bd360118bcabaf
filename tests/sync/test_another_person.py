"""Another person: a record whose national id becomes another child's is let into no log, and stops the one it is in."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from sqlalchemy import select

from hub.connectors.archive.port import ArchiveUnavailable
from hub.operate.opened import NotOpen, Opener
from hub.relaylog.codes import LogStatus
from hub.sandbox.stories import shared_level_2
from hub.store.decisions import Who
from hub.store.tables import (
    DeliveryState,
    ProposalKind,
    ProposalState,
    decisions,
    deliveries,
    events,
    holds,
    proposals,
    quarantine,
    records,
)
from hub.sync.decide import CannotDecide, Decisions
from hub.sync.deliver import Deliverer, Outcome
from tests.sync.house import SAMSPILL, VIGILO, House
from tests.sync.test_archive import Target, _close, _waits

Tree = dict[str, Any]
WHO = Who("user-1", "Helsestasjonen er spurd.")
OF_ONE, OF_TWO = "Solskinn bygde tårn i dag.", "Vindstille ler av katten."


def _mistaken(house: House) -> Tree:
    """The second child's plan was entered on the first child's number, and is in its log; give it as it ought to be.

    Each has been sent a text of the other. The first child has no plan of its own.
    """
    house.tell(shared_level_2, shared_level_2)
    one, two = house.samspill(1), house.samspill(2)
    del house.world.samspill["P-10001"]
    house.vigilo(1)["notat"][0]["tekst"] = OF_ONE
    next(each for each in two["notes"] if each["writtenBy"]["service"] == "helsestasjon")["text"] = OF_TWO
    right = deepcopy(two)
    two["mainPerson"] = deepcopy(one["mainPerson"])
    house.sync()
    house.sync()
    assert house.log_of("P-10002").log_id == house.log_of("vl-000001").log_id
    assert OF_TWO in _text(house.vigilo(1))
    assert OF_ONE in _text(house.samspill(2))
    house.time.after(hours=2)
    house.world.received.clear()
    return right


def _corrected(house: House) -> tuple[Tree, str]:
    """Somebody puts the plan right; give who it named before, and the row of the record in quarantine."""
    before = _renamed(house, _mistaken(house)["mainPerson"])
    house.sync()
    (row,) = house.rows(quarantine)
    return before, row.quarantine_id


def _renamed(house: House, person: Tree) -> Tree:
    """Let the plan be saved with another person; give the one before."""
    before, house.samspill(2)["mainPerson"] = house.samspill(2)["mainPerson"], deepcopy(person)
    house.saved(house.samspill(2))
    return dict(before)


def _again(house: House) -> None:
    house.time.after(hours=2)
    house.sync()


def _rewritten(house: House) -> None:
    """Let both systems write something new."""
    house.vigilo(1)["notat"][0]["tekst"] = "Solskinn sov godt."
    house.saved(house.vigilo(1))
    house.samspill(2)["notes"][0]["text"] = "Vindstille har fått briller."
    house.saved(house.samspill(2))


def _text(record: Tree) -> str:
    return json.dumps(record, ensure_ascii=False)


def _crossed(house: House) -> bool:
    return "Solskinn sov godt." in _text(house.samspill(2)) or "briller" in _text(house.vigilo(1))


def _of_log(house: House) -> list[str]:
    return [rule for connection, rule in house.holds() if not connection]


def _decide(house: House) -> Decisions:
    return Decisions(house.tenant)


# --- while it is open --------------------------------------------------------------------------------------------


def test_a_record_that_names_another_child_is_not_taken_in(house: House) -> None:
    """It waits in quarantine with a reason and a place, and its log is the first child's as before."""
    before, row_id = _corrected(house)
    (row,) = house.rows(quarantine)
    assert (row.reason, row.place, row.state, row.foreign_id) == (
        "another_person",
        "subject.national_id",
        "open",
        "P-10002",
    )
    log = house.log_of("vl-000001")
    assert log.log.subject.national_id == before["nationalId"]
    assert [side.seen.subject.national_id for side in log.sides] == [before["nationalId"]] * 2
    assert house.log_of("vl-000002").log_id != log.log_id
    (hold,) = house.rows(holds, rule="another_person")
    assert (hold.log_id, hold.connection, hold.addressed_to, hold.revealing) == (
        log.log_id,
        None,
        "operator",
        False,
    )
    with pytest.raises(CannotDecide, match="can be released by nobody"):
        _decide(house).release(hold.hold_id, WHO)
    assert row_id == row.quarantine_id


def test_nothing_is_sent_while_it_is_open(house: House) -> None:
    """No text crosses between the two children, whichever system writes something new, and however often it is read."""
    _corrected(house)
    for _ in range(2):
        _rewritten(house)
        _again(house)
    assert not _crossed(house)
    assert house.received() == []
    (row,) = house.rows(decisions)
    assert (row.choice, row.in_force) == ("stopped", True)
    opener = Opener(house.db, house.tenant.logs, "user-1")
    with pytest.raises(NotOpen, match="another_person"):
        opener.log_to_share(house.log_of("vl-000001").log_id)


def test_a_change_that_was_written_down_before_does_not_leave(house: House) -> None:
    """It is planned again just before it goes, and that is after the record was read."""
    really = _mistaken(house)["mainPerson"]
    house.samspill(2)["notes"][0]["text"] = "Vindstille har fått briller."
    house.saved(house.samspill(2))
    house.pull(SAMSPILL)
    house.cycle.route()
    (ready,) = house.rows(deliveries, state=DeliveryState.READY, connection=VIGILO)
    _renamed(house, really)
    house.pull(SAMSPILL)
    assert Deliverer(house.tenant, "worker-1").deliver(ready.delivery_id) is Outcome.SUPERSEDED
    assert not _crossed(house)
    assert _of_log(house) == ["another_person"]


def test_no_value_stands_in_what_is_told(house: House) -> None:
    """Neither number nor name is in the row, the hold, the events, or what the run is told."""
    before, _ = _corrected(house)
    after = house.samspill(2)["mainPerson"]
    (row,) = house.rows(quarantine)
    told = [row.reason, row.place, row.rule, *(str(tuple(each)) for each in house.rows(events))]
    told += [str(tuple(each)) for each in house.rows(holds)]
    values = [person[name] for person in (before, after) for name in ("nationalId", "name")]
    assert not [value for value in values for text in told if value in text]


def test_the_log_is_not_archived_while_it_is_open(house: House) -> None:
    """Closed meanwhile, it waits, and nobody can let it go; when the number is put right, it is archived."""
    before, _ = _corrected(house)
    _close(house.vigilo(1))
    house.saved(house.vigilo(1))
    house.time.after(hours=2)
    assert house.sync().archived == []
    assert house.log_of("vl-000001").log.status is LogStatus.CLOSED
    assert "archive_another_person" in _waits(house)
    (hold,) = house.rows(holds, rule="archive_another_person")
    with pytest.raises(CannotDecide, match="can be released by nobody"):
        _decide(house).release(hold.hold_id, WHO)
    _renamed(house, before)
    _again(house)
    assert "archive_another_person" not in _waits(house)


def test_a_package_from_before_is_not_handed_over_while_it_is_open(house: House) -> None:
    """The archive was away when it was made."""
    really = _mistaken(house)["mainPerson"]
    Target(house, ArchiveUnavailable("enoent", "not there", "mount it"))
    _close(house.vigilo(1))
    house.saved(house.vigilo(1))
    house.sync()
    for conflict in house.rows(holds, connection=house.tenant.archive.id if house.tenant.archive else ""):
        _decide(house).release(conflict.hold_id, WHO)
    house.archive()
    (made,) = [row for row in house.rows(deliveries) if row.kind == "archive"]
    before = _renamed(house, really)
    house.time.after(hours=2)
    assert house.sync().archived == []
    (row,) = house.rows(deliveries, delivery_id=made.delivery_id)
    assert (row.state, row.error_class) == (DeliveryState.READY, "archive_another_person")
    _renamed(house, before)
    house.time.after(hours=2)
    house.sync()
    house.time.after(hours=2)
    house.archive()
    (row,) = house.rows(deliveries, delivery_id=made.delivery_id)
    assert row.state is DeliveryState.DONE


def test_two_logs_are_not_joined_while_one_may_be_about_two_children(house: House) -> None:
    """The stop would be left behind with the log that goes."""
    _corrected(house)
    house.settle(VIGILO, verified_ids=False)
    house.world.vigilo["vl-000009"] = {**deepcopy(house.vigilo(1)), "id": "vl-000009"}
    _again(house)
    (row,) = house.rows(proposals, kind=ProposalKind.MATCH, foreign_id="vl-000009")
    with pytest.raises(CannotDecide, match="another_person"):
        _decide(house).accept(row.proposal_id, WHO)
    assert _of_log(house) == ["another_person"]


# --- how it ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True])
def test_it_ends_when_the_system_names_the_former_person_again(house: House, *, closed: bool) -> None:
    """By itself, also where somebody had closed the record; then what is new goes on its way."""
    before, row_id = _corrected(house)
    if closed:
        _decide(house).dismiss(row_id, WHO)
    _renamed(house, before)
    _again(house)
    assert _of_log(house) == []
    assert [row.state for row in house.rows(quarantine)] == ["dismissed" if closed else "replayed"]
    _rewritten(house)
    _again(house)
    assert _crossed(house)


def test_closing_the_record_lets_nothing_flow(house: House) -> None:
    """What was kept is gone, the stop is not; listed again, unchanged or changed, the record waits again."""
    _, row_id = _corrected(house)
    _decide(house).dismiss(row_id, WHO)
    house.vigilo(1)["notat"][0]["tekst"] = "Solskinn sov godt."
    house.saved(house.vigilo(1))
    house.pull(VIGILO)
    house.cycle.route()
    house.deliver()
    assert _of_log(house) == ["another_person"]
    with pytest.raises(CannotDecide, match="comes back when its system lists it again"):
        _decide(house).same_person(row_id, WHO)
    _again(house)
    assert [row.state for row in house.rows(quarantine)] == ["open"]
    assert not _crossed(house)


def test_a_number_that_is_taken_away_is_no_way_back(house: House) -> None:
    """Without any number the record is still not known to be the first child's."""
    _corrected(house)
    _renamed(house, {**house.samspill(2)["mainPerson"], "nationalId": ""})
    _rewritten(house)
    _again(house)
    assert [(row.state, row.reason) for row in house.rows(quarantine)] == [("open", "another_person")]
    assert _of_log(house) == ["another_person"]
    assert not _crossed(house)


def test_a_number_that_was_first_taken_away_is_no_way_round(house: House) -> None:
    """Put right in two steps, the record names nobody for a while: the log's other system tells who it was about."""
    right = _mistaken(house)
    before = _renamed(house, {**house.samspill(2)["mainPerson"], "nationalId": ""})
    _again(house)
    assert _of_log(house) == []
    _renamed(house, right["mainPerson"])
    _rewritten(house)
    _again(house)
    assert [row.reason for row in house.rows(quarantine)] == ["another_person"]
    assert not _crossed(house)
    _renamed(house, before)
    _again(house)
    assert _of_log(house) == []


def test_a_record_that_is_broken_as_well_still_stops_its_log(house: House) -> None:
    """Another reason takes the place of the first in quarantine, and the log waits as before."""
    _corrected(house)
    _renamed(house, {**house.samspill(2)["mainPerson"], "birthDate": "i går"})
    _rewritten(house)
    _again(house)
    assert [row.reason for row in house.rows(quarantine)] == ["unmapped"]
    assert _of_log(house) == ["another_person"]
    assert not _crossed(house)


def test_the_same_child_with_another_number_is_taken_in(house: House) -> None:
    """A person says so, with who and why kept; another system that comes with the same number is not asked about."""
    house.tell(shared_level_2, shared_level_2)
    number = house.samspill(2)["mainPerson"]["nationalId"]
    del house.world.samspill["P-10002"], house.world.vigilo["vl-000002"]
    house.sync()
    house.sync()
    house.time.after(hours=2)
    former, plan = house.samspill(1)["mainPerson"]["nationalId"], house.samspill(1)
    plan["mainPerson"]["nationalId"] = number
    plan["notes"][0]["text"] = OF_ONE
    house.saved(plan)
    house.sync()
    (row,) = house.rows(quarantine)
    _decide(house).same_person(row.quarantine_id, WHO)
    log = house.log_of("P-10001")
    assert log.log.subject.national_id == number
    assert house.holds() == []
    assert [each.state for each in house.rows(quarantine)] == ["replayed"]
    with house.db.read() as tx:
        kept = tx.execute(select(decisions).where(decisions.c.choice == "same_person")).one()
    assert (kept.decided_by, kept.log_id, kept.subject_id) == ("user-1", log.log_id, row.quarantine_id)
    (event,) = house.rows(events, action="person:record:same_person")
    assert (event.actor, event.data) == ("user-1", {"log": log.log_id})
    for person in house.world.persons.values():
        if person["nationalIdresourceNumber"] == former:
            person["nationalIdresourceNumber"] = number
    house.saved(house.vigilo(1))
    _again(house)
    assert house.holds() == []
    assert house.log_of("vl-000001").log_id == log.log_id
    assert OF_ONE in _text(house.vigilo(1))


def test_another_childs_record_leaves_the_log(house: House) -> None:
    """It comes to that child's log, and what its services wrote is emptied where it does not belong."""
    _, row_id = _corrected(house)
    first = house.log_of("vl-000001").log_id
    _decide(house).another_person(row_id, WHO)
    assert [side.connection for side in house.log_of("vl-000001").sides] == [VIGILO]
    second = house.log_of("P-10002").log_id
    assert second == house.log_of("vl-000002").log_id != first
    (event,) = house.rows(events, action="person:record:another_person")
    assert (event.actor, event.data) == ("user-1", {"log": first, "into": second})
    _again(house)
    assert OF_TWO not in _text(house.vigilo(1))
    assert house.log_of("vl-000001").log.subject.national_id != house.log_of("P-10002").log.subject.national_id
    assert [(row.rule, row.log_id) for row in house.rows(holds, state="open") if row.connection is None] == [
        ("moved_record", second)
    ]


def test_the_first_sending_of_a_record_that_moved_is_looked_at(house: House) -> None:
    """It still holds what the hub sent there about the first child: nothing leaves before it is let go."""
    right = _mistaken(house)
    _renamed(house, right["mainPerson"])
    house.sync()
    (row,) = house.rows(quarantine)
    _decide(house).another_person(row.quarantine_id, WHO)
    _again(house)
    assert OF_ONE in _text(house.samspill(2))
    assert OF_ONE not in _text(house.vigilo(2))
    assert "P-10002" not in house.received()
    assert "vl-000002" not in house.received()
    house.world.samspill["P-10002"] = {**right, "version": house.samspill(2)["version"]}
    house.saved(house.samspill(2))
    _again(house)
    for asked in house.rows(proposals, kind=ProposalKind.DELETION, state=ProposalState.OPEN, collection="consents"):
        _decide(house).accept(asked.proposal_id, WHO)  # the first child's, which the hub had sent there
    (hold,) = house.rows(holds, rule="moved_record")
    _decide(house).release(hold.hold_id, WHO)
    for text in (OF_TWO, "Vindstille har fått briller."):
        note = next(each for each in house.samspill(2)["notes"] if each["writtenBy"]["service"] == "helsestasjon")
        note["text"] = text
        house.saved(house.samspill(2))
        _again(house)
        assert text in _text(house.vigilo(2))
    assert OF_ONE not in _text(house.vigilo(2))
    assert _of_log(house) == []


def test_a_record_that_is_alone_in_its_log_takes_another_log(house: House) -> None:
    """The emptied log keeps that it was there, and the other child's own log has nothing of it."""
    really = _mistaken(house)["mainPerson"]
    del house.world.vigilo["vl-000001"], house.world.vigilo["vl-000002"]
    with house.db.write() as tx:
        house.tenant.logs.drop_record(tx, VIGILO, "vl-000001")
        house.tenant.logs.drop_record(tx, VIGILO, "vl-000002")
    first = house.log_of("P-10002").log_id
    _renamed(house, really)
    house.pull(SAMSPILL)
    (row,) = house.rows(quarantine)
    _decide(house).another_person(row.quarantine_id, WHO)
    assert house.log_of("P-10002").log_id != first
    assert [row.log_id for row in house.rows(records)] == [house.log_of("P-10002").log_id]
    (event,) = house.rows(events, action="hub:log:wiped")
    assert (event.subject_id, event.data) == (first, {"reason": "another_person"})


def test_a_record_that_is_deleted_in_its_system_ends_it(house: House) -> None:
    """As with any record that is gone there a person is asked, and the stop goes with the record."""
    _corrected(house)
    del house.world.samspill["P-10002"]
    _again(house)
    assert _of_log(house) == ["another_person"]
    (row,) = house.rows(proposals, kind=ProposalKind.DELETION, foreign_id="P-10002", state=ProposalState.OPEN)
    _decide(house).accept(row.proposal_id, WHO)
    assert _of_log(house) == []
    assert [side.connection for side in house.log_of("vl-000001").sides] == [VIGILO]
