"""What cases of rights do in a house at work: what they stop, what stays deleted, what a correction reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Row, select

from hub.connectors.base import Connector, Page, PlanMaker
from hub.operate.opened import NotOpen, Opener
from hub.relaylog.rights import AskedBy, Basis, RightsDecision, RightsKind, RightsState, Ruling
from hub.sandbox.stories import (
    individual_plan,
    kindergarten_goal_reached,
    ordinary_health_station,
    ordinary_kindergarten,
    shared_level_2,
)
from hub.store.backup import back_up, new_key_pair, private_key, public_key, restore
from hub.store.database import open_database
from hub.store.decisions import Who
from hub.store.rights import Demand
from hub.store.sealing import Shredded
from hub.store.tables import (
    QuarantineState,
    TaskKind,
    TaskState,
    conflicts,
    deliveries,
    differences,
    events,
    logs,
    proposals,
    quarantine,
    records,
    rights_cases,
    tasks,
)
from hub.store.wipe import ShredList, ShredListError, proven
from hub.sync.decide import CannotDecide, Decisions
from hub.sync.plans import Planner
from hub.sync.reconcile import WHY as COUNT
from hub.sync.rights import CannotDo, RightsCases
from hub.sync.tasks import done as tick_off
from tests.proof import bytes_on_disk, left_in, sealed_values
from tests.sync.house import ARCHIVE, SAMSPILL, TODAY, VIGILO, House
from tests.sync.test_plans import Maker

OURS = "Solskinn ler meir."
ASKS, WHY = "Dei vil ikkje ha dette liggjande.", "Vurdert i møte."
WHO = Who("user-1", "Etter avtale.")
GRANTED, REFUSED = RightsDecision.GRANTED, RightsDecision.REFUSED


@pytest.fixture
def cases(house: House, tmp_path: Path) -> RightsCases:
    """Give the cases of the house, whose list of what was shredded lies beside it."""
    return RightsCases(house.tenant, ShredList(tmp_path / "shredded"))


def _at_rest(house: House) -> str:
    """Bring a shared log to where nothing is left to send; give its id."""
    house.at_rest()
    return house.log_of("vl-000001").log_id


def _open(cases: RightsCases, log_id: str, kind: RightsKind, asked_on: date = TODAY) -> str:
    return cases.open(Demand(kind, log_id, AskedBy.GUARDIAN, asked_on, ASKS), "haldar-1")


def _decide(cases: RightsCases, case_id: str, decision: RightsDecision, basis: Basis) -> None:
    cases.decide(case_id, Ruling(decision, basis, WHY, "leiar-1"))


def _case(house: House) -> Row[object]:
    (row,) = house.rows(rights_cases)
    return row


def _write(house: House, text: str = OURS) -> None:
    """Let the kindergarten rewrite the concern that both systems hold."""
    house.vigilo()["uro"][0]["skildring"] = text
    house.saved(house.vigilo())


def _queued(house: House) -> None:
    """Let a change wait in the queue, so that only its sending is left."""
    _write(house)
    house.pull(VIGILO)
    house.cycle.route()
    assert house.states(SAMSPILL)[-1] == "ready"


# --- what stops ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RightsKind.OBJECTION, RightsKind.RESTRICTION])
def test_what_is_queued_stops_with_the_demand_and_flows_when_it_is_decided_against(
    house: House, cases: RightsCases, kind: RightsKind
) -> None:
    """The change waiting in the queue is not sent while the case stands; refused, it goes once, as it stands then."""
    log_id = _at_rest(house)
    _queued(house)
    case_id = _open(cases, log_id, kind)
    house.sync()
    house.sync()
    assert house.received() == []
    assert house.states(SAMSPILL)[-1] == "superseded"
    assert ("", "restricted") in house.holds()
    _decide(cases, case_id, REFUSED, Basis.OBJECTION if kind is RightsKind.OBJECTION else Basis.RESTRICTION)
    assert house.holds() == []
    house.sync()
    house.sync()
    assert house.received() == ["P-10001"]
    assert house.samspill()["concerns"][0]["text"] == OURS


def test_a_restriction_that_comes_while_a_change_is_claimed_is_asked_again_before_bytes_leave(
    house: House, cases: RightsCases
) -> None:
    """A delivery is planned anew when it is taken: one that was written down before the demand does not leave."""
    log_id = _at_rest(house)
    _queued(house)
    (queued,) = house.rows(deliveries, state="ready")
    case_id = cases.open(Demand(RightsKind.RESTRICTION, log_id, AskedBy.CHILD, TODAY, ASKS), "haldar-1")
    with house.db.write() as tx:  # as if the worker had read the queue before the demand came
        house.tenant.work.end_delivery(
            tx, queued.delivery_id, queued.state, house.time.now(), sealed_payload=queued.sealed_payload, done_at=None
        )
    house.deliver()
    assert house.received() == []
    assert cases.standing(case_id).case.state is RightsState.OPEN


def test_a_granted_restriction_stands_when_it_is_carried_out_and_ends_when_decided_against(
    house: House, cases: RightsCases
) -> None:
    """Being told changes nothing; only a decision against it, with its own basis and reason, lets the log go on."""
    case_id = _open(cases, _at_rest(house), RightsKind.RESTRICTION)
    _decide(cases, case_id, GRANTED, Basis.RESTRICTION)
    cases.done(case_id, "pvo-1")
    _write(house)
    house.sync()
    assert house.received() == []
    _decide(cases, case_id, REFUSED, Basis.LIFTED)
    house.sync()
    assert house.received() == ["P-10001"]
    assert (_case(house).state, _case(house).done_by) == (RightsState.DECIDED, None)
    assert len(cases.opened(case_id, WHO).assessments) == 2


def test_one_of_two_demands_is_enough_to_hold_a_log(house: House, cases: RightsCases) -> None:
    """Where one is decided against, the other still stops everything."""
    log_id = _at_rest(house)
    first, second = (_open(cases, log_id, kind) for kind in (RightsKind.OBJECTION, RightsKind.RESTRICTION))
    _write(house)
    _decide(cases, first, REFUSED, Basis.OBJECTION)
    house.sync()
    assert house.received() == []
    _decide(cases, second, REFUSED, Basis.RESTRICTION)
    house.sync()
    assert house.received() == ["P-10001"]


def test_no_paper_is_made_of_a_log_that_somebody_objects_to(house: House, cases: RightsCases) -> None:
    """A summary for another service is sharing, too; the log itself can still be read by who may."""
    log_id = _at_rest(house)
    opener = Opener(house.db, house.tenant.logs, "leiar-1")
    assert opener.log_to_share(log_id).id == log_id
    _open(cases, log_id, RightsKind.OBJECTION)
    with pytest.raises(NotOpen, match="restricted"):
        opener.log_to_share(log_id)
    assert opener.log(log_id).id == log_id


def test_no_individual_plan_is_made_of_a_log_that_somebody_objects_to(house: House, cases: RightsCases) -> None:
    """The plan would be sent to Samspill: the case stands among what stops it, and nobody can be ticked."""
    house.tell(individual_plan)
    house.sync()
    house.settle(SAMSPILL, plans=Maker(cast("PlanMaker", house.detours[SAMSPILL].real)))
    log_id, planner = house.log_of("P-10001").log_id, Planner(house.tenant, "worker-1")
    assert planner.standing(log_id).stops == ()
    _open(cases, log_id, RightsKind.OBJECTION)
    assert [stop.reason for stop in planner.standing(log_id).stops] == ["restricted"]
    assert planner.standing(log_id).fitting == ()


def test_a_restricted_log_is_archived_and_not_wiped(house: House, cases: RightsCases) -> None:
    """Archiving is a duty and no sharing; but what somebody wants kept is kept after the term, too."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.cycle.route()
    log_id = house.log_of("vl-000001").log_id
    with house.db.read() as tx:
        assert proven(tx, house.tenant.organisation_number, [ARCHIVE], house.time.now()) == []
    case_id = _open(cases, log_id, RightsKind.RESTRICTION)
    assert len(house.archive()) == 1
    _decide(cases, case_id, GRANTED, Basis.RESTRICTION)
    cases.done(case_id, "pvo-1")
    with house.db.read() as tx:
        assert proven(tx, house.tenant.organisation_number, [ARCHIVE], house.time.now()) == []
    _decide(cases, case_id, REFUSED, Basis.LIFTED)
    cases.done(case_id, "pvo-1")
    with house.db.read() as tx:
        assert proven(tx, house.tenant.organisation_number, [ARCHIVE], house.time.now()) == [log_id]


def test_a_log_with_a_case_is_joined_to_no_other(house: House, cases: RightsCases) -> None:
    """What somebody demanded of one log would be lost in the other: the case is decided first."""
    house.settle(SAMSPILL, verified_ids=False)
    house.tell(shared_level_2)
    house.sync()
    (asked,) = house.rows(proposals, kind="match", state="open")
    case_id = _open(cases, asked.log_id, RightsKind.OBJECTION)
    with pytest.raises(CannotDecide, match=case_id):
        Decisions(house.tenant).accept(asked.proposal_id, WHO)
    assert house.rows(proposals, proposal_id=asked.proposal_id)[0].state == "open"


# --- deletion --------------------------------------------------------------------------------------------------------


def _archived_log(house: House) -> str:
    """Bring a closed log into the archive; give its id."""
    house.tell(kindergarten_goal_reached)
    house.sync()
    return house.log_of("vl-000001").log_id


def _shredded(house: House, log_id: str) -> bool:
    with house.db.read() as tx:
        try:
            house.tenant.logs.load(tx, log_id)
        except Shredded:
            return True
    return False


def test_a_log_that_must_be_archived_and_is_not_is_not_deleted(
    house: House, cases: RightsCases, tmp_path: Path
) -> None:
    """The right alone is refused and nothing has happened; where the decider names what lifts the duty, it is done."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    with pytest.raises(CannotDo, match="must be archived"):
        _decide(cases, case_id, GRANTED, Basis.DELETION)
    assert (_case(house).state, _shredded(house, log_id)) == (RightsState.OPEN, False)
    assert list(ShredList(tmp_path / "shredded").read()) == []
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    row = _case(house)
    assert (row.state, row.decision, row.decided_by) == (RightsState.DECIDED, GRANTED, "leiar-1")
    assert (row.basis, row.sealed_detail, _shredded(house, log_id)) == (Basis.ARCHIVE_RELEASED, None, True)


def test_what_is_archived_is_listed_and_left_alone(house: House, cases: RightsCases) -> None:
    """An archived log may be deleted here; the case names what the archive has, and no byte there is changed."""
    log_id = _archived_log(house)
    before = {file: file.read_bytes() for file in house.archive_folder.rglob("*") if file.is_file()}
    case_id = _open(cases, log_id, RightsKind.DELETION)
    _decide(cases, case_id, GRANTED, Basis.DELETION)
    house.sync()
    (kept,) = cases.standing(case_id).archived
    assert (kept.target, kept.revision) == (ARCHIVE, 1)
    assert kept.receipt_ref
    assert before == {file: file.read_bytes() for file in house.archive_folder.rglob("*") if file.is_file()}
    assert before


def test_a_changed_log_counts_as_not_archived(house: House, cases: RightsCases) -> None:
    """What was written after the closing is in no package yet: the proof is for another content."""
    log_id = _archived_log(house)
    house.time.after(hours=1)
    house.vigilo()["uro"][0]["skildring"] = OURS
    house.saved(house.vigilo())
    house.pull(VIGILO)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    with pytest.raises(CannotDo, match="must be archived"):
        _decide(cases, case_id, GRANTED, Basis.DELETION)


def test_a_closed_log_with_an_open_demand_waits_for_the_archivist(house: House, cases: RightsCases) -> None:
    """It is packaged when the archivist lets it, or when the demand is decided."""
    house.tell(kindergarten_goal_reached)
    house.pull(VIGILO)
    house.cycle.route()
    case_id = _open(cases, house.log_of("vl-000001").log_id, RightsKind.DELETION)
    assert house.archive() == []
    assert ("folder", "archive_deletion_asked") in house.holds()
    _decide(cases, case_id, REFUSED, Basis.ARCHIVING)
    assert len(house.archive()) == 1
    assert house.holds() == []


def test_after_a_deletion_neither_query_nor_file_has_anything_of_the_log(
    house: House, cases: RightsCases, path: Path
) -> None:
    """No sealed value of it, its case or its decisions is left, nor a byte of one in the database's files."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    cases.opened(case_id, WHO)
    before = sealed_values(house.db)
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    house.db.forget_deleted()
    assert len(before) > 5
    assert sealed_values(house.db) == []
    on_disk = bytes_on_disk(path)
    assert not any(left_in(on_disk, value) for value in before)
    assert house.rows(logs, log_id=log_id)[0].subject_hash is None
    with pytest.raises(CannotDo, match="went with the log's key"):
        cases.opened(case_id, WHO)


def test_a_restored_backup_does_not_bring_the_log_back(house: House, cases: RightsCases, tmp_path: Path) -> None:
    """Taken before the decision, it is shredded anew; its records stay out, and the decision can be written there."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    new_key_pair(tmp_path / "private.pem", tmp_path / "public.pem")
    back_up(house.db, tmp_path / "b", public_key(tmp_path / "public.pem"), house.time.now())
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    back = open_database(f"sqlite:///{tmp_path / 'back.db'}")
    shredded = ShredList(tmp_path / "shredded")
    assert restore(tmp_path / "b", private_key(tmp_path / "private.pem"), back, shredded).shredded == 1
    house.tenant = replace(house.tenant, db=back)
    house.db = back
    assert _shredded(house, log_id)
    house.time.after(days=1)
    _write(house)
    house.sync()
    assert [row.log_id for row in house.rows(logs)] == [log_id]
    assert _case(house).state is RightsState.OPEN
    again = RightsCases(house.tenant, shredded)
    with pytest.raises(CannotDo, match="went with the log's key"):
        again.extend(case_id, 1, WHO)
    _decide(again, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    assert [row.connection for row in again.standing(case_id).tasks] == [SAMSPILL, VIGILO]
    assert len(list(shredded.read())) == 1
    back.close()


def test_where_the_list_cannot_be_written_nothing_is_deleted(house: House, cases: RightsCases, tmp_path: Path) -> None:
    """A deletion that a restored backup would undo does not happen, and the case is as it was."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    (tmp_path / "shredded").touch()
    with pytest.raises(ShredListError):
        _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    assert (_case(house).state, _shredded(house, log_id)) == (RightsState.OPEN, False)


def test_what_is_on_its_way_is_waited_for(house: House, cases: RightsCases) -> None:
    """While nobody knows whether a change arrived the log stays, so that it can be looked up; then it is deleted."""
    log_id = _at_rest(house)
    _queued(house)
    (queued,) = house.rows(deliveries, state="ready")
    case_id = _open(cases, log_id, RightsKind.DELETION)
    with house.db.write() as tx:
        house.tenant.work.mark_sending(tx, queued.delivery_id, house.time.now())
    with pytest.raises(CannotDo, match="on its way"):
        _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    with house.db.write() as tx:
        house.tenant.work.end_delivery(tx, queued.delivery_id, queued.state, house.time.now())
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    house.deliver()
    assert house.received() == []
    assert house.states()[-1] == "superseded"


def test_a_pull_after_a_deletion_returns_nothing_of_it(house: House, cases: RightsCases, path: Path) -> None:
    """As it was, or changed: no record of it is taken in, quarantined or missed; another child's is, as always."""
    log_id = _at_rest(house)
    _decide(cases, _open(cases, log_id, RightsKind.DELETION), GRANTED, Basis.ARCHIVE_RELEASED)
    house.time.after(days=1)
    house.sync()
    _write(house)
    result = house.sync()
    assert not any(pulled.error for pulled in result.pulls.values())
    assert [row.log_id for row in house.rows(logs)] == [log_id]
    assert (house.rows(quarantine), house.rows(proposals), sealed_values(house.db)) == ([], [], [])
    assert OURS.encode() not in bytes_on_disk(path)
    house.tell(ordinary_kindergarten)
    house.sync()
    assert house.rows(proposals) == []
    assert len(house.rows(logs)) == 2


def test_each_system_is_asked_to_delete_and_asked_again_while_it_lists_the_record(
    house: House, cases: RightsCases
) -> None:
    """A task for each; ticked off too early it opens again, and the case is done only when every one is."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.DELETION)
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    asked = cases.standing(case_id).tasks
    assert [(row.connection, row.addressed_to) for row in asked] == [(SAMSPILL, "rule_owner"), (VIGILO, "rule_owner")]
    with pytest.raises(CannotDo, match="is not done yet"):
        cases.done(case_id, "pvo-1")
    for row in asked:
        tick_off(house.tenant, row.task_id, "leiar-1")
    del house.world.samspill["P-10001"]
    house.time.after(hours=1)
    house.sync()
    standing = cases.standing(case_id)
    assert [row.state for row in standing.tasks] == [TaskState.DONE, TaskState.OPEN]
    assert standing.listed == {SAMSPILL: False, VIGILO: True}
    assert [event.data["connection"] for event in house.rows(events, action="hub:record:kept_out")] == [VIGILO]
    del house.world.vigilo["vl-000001"]
    tick_off(house.tenant, asked[1].task_id, "leiar-1")
    house.time.after(hours=1)
    house.sync()
    cases.done(case_id, "pvo-1")
    assert _case(house).state is RightsState.DONE


def test_what_lies_in_quarantine_of_the_child_goes_too(house: House, cases: RightsCases) -> None:
    """A record that never got in is found by the keyed number; it is emptied, its system is asked, and it stays out."""
    house.tell(shared_level_2)
    house.samspill()["mainPerson"]["birthDate"] = "31.31.2020"
    house.sync()
    (held,) = house.rows(quarantine)
    log_id = house.log_of("vl-000001").log_id
    assert held.subject_hash == house.rows(logs, log_id=log_id)[0].subject_hash
    case_id = _open(cases, log_id, RightsKind.DELETION)
    _decide(cases, case_id, GRANTED, Basis.ARCHIVE_RELEASED)
    assert sealed_values(house.db) == []
    assert [row.connection for row in cases.standing(case_id).tasks] == [SAMSPILL, VIGILO]
    house.time.after(days=1)
    house.samspill()["mainPerson"]["birthDate"] = "2020-12-31"
    house.saved(house.samspill())
    house.sync()
    house.cycle.pull_by_hand(house.tenant.connections[SAMSPILL], "count", why=COUNT)
    assert house.rows(differences) == []
    (gone,) = house.rows(quarantine)
    assert (gone.state, gone.sealed_record, gone.subject_hash) == (QuarantineState.DISMISSED, None, None)
    assert [row.log_id for row in house.rows(logs)] == [log_id]


def test_a_number_that_is_no_text_stops_no_page(house: House) -> None:
    """Half a sign in the number itself: the record is set aside without a person, and the others are taken in."""
    house.tell(ordinary_kindergarten, ordinary_kindergarten)

    def spoiled(real: Connector) -> Iterator[Page]:
        for page in real.pages():
            first, *others = page.records
            person = {**first.tree["_person"], "nationalIdresourceNumber": "\ud800"}
            yield replace(page, records=(replace(first, tree={**first.tree, "_person": person}), *others))

    house.detours[VIGILO].pages_by = spoiled
    assert house.pull(VIGILO).error == ""
    (held,) = house.rows(quarantine)
    assert (held.state, held.subject_hash) == (QuarantineState.OPEN, None)
    assert len(house.rows(logs)) == 1


def test_quarantine_of_a_child_with_another_log_stays(house: House, cases: RightsCases) -> None:
    """It may be the other log's: only what was refused of the deleted log's own record goes."""
    house.settle(SAMSPILL, verified_ids=False)
    house.tell(shared_level_2, ordinary_health_station)
    house.sync()
    house.time.after(hours=1)
    house.vigilo()["oppretta"], house.samspill()["mainPerson"]["birthDate"] = "31.02.2026", "?"
    house.saved(house.vigilo())
    house.saved(house.samspill())
    house.sync()
    assert [row.state for row in house.rows(quarantine)] == [QuarantineState.OPEN] * 2
    _decide(cases, _open(cases, house.log_of("vl-000001").log_id, RightsKind.DELETION), GRANTED, Basis.ARCHIVE_RELEASED)
    assert {row.connection: row.sealed_record is None for row in house.rows(quarantine)} == {
        VIGILO: True,
        SAMSPILL: False,
    }
    assert len(house.rows(records, connection=SAMSPILL)) == 2


# --- correction ------------------------------------------------------------------------------------------------------


def test_a_correction_is_done_when_it_has_reached_every_receiver(house: House, cases: RightsCases) -> None:
    """Not before it is made, not while it waits in the queue; then each receiver stands there with its receipt."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.CORRECTION)
    with pytest.raises(CannotDo, match="not decided yet"):
        cases.done(case_id, "pvo-1")
    _decide(cases, case_id, GRANTED, Basis.CORRECTION)
    with pytest.raises(CannotDo, match="has not changed"):
        cases.done(case_id, "pvo-1")
    house.time.after(minutes=1)
    _queued(house)
    with pytest.raises(CannotDo, match=SAMSPILL):
        cases.done(case_id, "pvo-1")
    waiting = {one.connection: (one.on_its_way != "", one.holds_other) for one in cases.standing(case_id).receivers}
    assert waiting == {SAMSPILL: (True, True), VIGILO: (False, False)}
    house.sync()
    told = {one.connection: one for one in cases.standing(case_id).receivers}
    assert told[SAMSPILL].received_at == house.rows(deliveries, connection=SAMSPILL)[-1].done_at
    assert told[SAMSPILL].receipt
    assert not any(one.holds_other for one in told.values())
    cases.done(case_id, "pvo-1")
    assert (_case(house).state, _case(house).done_by) == (RightsState.DONE, "pvo-1")


def test_a_receiver_in_dispute_holds_something_other(house: House, cases: RightsCases) -> None:
    """Where both rewrote the same, the correction has not reached the other; settled and sent, it has."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.CORRECTION)
    _decide(cases, case_id, GRANTED, Basis.CORRECTION)
    house.time.after(minutes=1)
    _write(house)
    house.samspill()["concerns"][0]["text"] = "Solskinn ler mer enn før."
    house.saved(house.samspill())
    house.sync()
    with pytest.raises(CannotDo, match="something other"):
        cases.done(case_id, "pvo-1")
    (row,) = house.rows(conflicts, state="open")
    Decisions(house.tenant).settle(row.conflict_id, VIGILO, WHO)
    house.sync()
    house.sync()
    cases.done(case_id, "pvo-1")
    assert _case(house).state is RightsState.DONE


def test_whom_the_hub_cannot_reach_is_told_by_hand(house: House, cases: RightsCases) -> None:
    """A receiver that may no longer be sent the log is named by whoever told it, and that is an event."""
    log_id = _at_rest(house)
    case_id = _open(cases, log_id, RightsKind.CORRECTION)
    _open(cases, log_id, RightsKind.RESTRICTION)
    _decide(cases, case_id, GRANTED, Basis.CORRECTION)
    house.time.after(minutes=1)
    _write(house)
    house.sync()
    with pytest.raises(CannotDo, match=f"{SAMSPILL} may hold"):
        cases.done(case_id, "pvo-1")
    cases.done(case_id, "pvo-1", [SAMSPILL])
    (told,) = house.rows(events, action="person:rights:told")
    assert (told.actor, told.data["connection"]) == ("pvo-1", SAMSPILL)


def test_what_was_corrected_before_the_case_was_written_down_counts(house: House, cases: RightsCases) -> None:
    """The demand came on Friday and was followed at once; the case is from the week after."""
    log_id = _at_rest(house)
    house.time.after(hours=1)
    _write(house)
    house.sync()
    house.sync()
    house.time.after(days=3)
    case_id = _open(cases, log_id, RightsKind.CORRECTION, TODAY)
    _decide(cases, case_id, GRANTED, Basis.CORRECTION)
    cases.done(case_id, "pvo-1")
    assert _case(house).state is RightsState.DONE


# --- every case ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("decision", "basis"), [(GRANTED, Basis.ACCESS), (REFUSED, Basis.OTHERS_RIGHTS)])
def test_access_is_answered_and_done(house: House, cases: RightsCases, decision: RightsDecision, basis: Basis) -> None:
    """The row says who asked when and who decided how; the words lie sealed, and each reading of them is an event."""
    case_id = _open(cases, _at_rest(house), RightsKind.ACCESS)
    row = _case(house)
    assert (row.asked_by, row.asked_on, row.due_on) == (AskedBy.GUARDIAN, TODAY, date(2026, 12, 21))
    assert (row.opened_by, row.opened_at) == ("haldar-1", house.time.now())
    _decide(cases, case_id, decision, basis)
    cases.done(case_id, "pvo-1")
    assert (_case(house).decision, _case(house).decided_by) == (decision, "leiar-1")
    said = cases.opened(case_id, WHO)
    assert (said.asks, said.assessments) == (ASKS, (WHY,))
    told = [
        (event.action, event.actor)
        for event in house.rows(events)
        if case_id in (event.subject_id, *event.data.values())
    ]
    assert told[0] == ("person:rights:opened", "haldar-1")
    assert told[-1] == ("person:log:opened", "user-1")
    with pytest.raises(CannotDo, match="carried out already"):
        cases.done(case_id, "pvo-1")


def test_more_time_is_a_new_last_day_whose_reason_lies_sealed(house: House, cases: RightsCases) -> None:
    """The row says who and when, an event until when; the reasons are opened with the case, the last one last."""
    case_id = _open(cases, _at_rest(house), RightsKind.ACCESS)
    cases.extend(case_id, 1, Who("leiar-1", WHY))
    cases.extend(case_id, 1, Who("leiar-2", ASKS))
    row = _case(house)
    assert (row.due_on, row.extended_by, row.extended_at) == (date(2027, 2, 21), "leiar-2", house.time.now())
    extensions = house.rows(events, action="person:rights:extended")
    assert [(one.subject_id, one.data["due"]) for one in extensions] == [
        (case_id, "2027-01-21"),
        (case_id, "2027-02-21"),
    ]
    assert WHY not in str([*row, *(one.data for one in extensions)])
    assert cases.opened(case_id, WHO).extensions == (WHY, ASKS)
    with pytest.raises(CannotDo, match="no more than two"):
        cases.extend(case_id, 1, Who("leiar-1", WHY))
    _decide(cases, case_id, GRANTED, Basis.ACCESS)
    assert cases.opened(case_id, WHO).extensions == (WHY, ASKS)
    with pytest.raises(CannotDo, match="decided already"):
        cases.extend(case_id, 1, Who("leiar-1", WHY))


def test_a_case_is_given_no_more_time_when_its_first_month_is_over(house: House, cases: RightsCases) -> None:
    """By then whoever asked must have been told; the remedy is an answer, and nothing is written."""
    case_id = _open(cases, _at_rest(house), RightsKind.ACCESS, TODAY - timedelta(days=32))
    assert _case(house).due_on == TODAY - timedelta(days=1)
    with pytest.raises(CannotDo, match=r"within the first month\. Answer as soon as you can"):
        cases.extend(case_id, 2, Who("leiar-1", WHY))
    assert _case(house).extended_by is None
    assert house.rows(events, action="person:rights:extended") == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda cases, log_id: _open(cases, log_id, RightsKind.ACCESS, TODAY + timedelta(days=1)),
        lambda cases, _: _open(cases, "no-such-log", RightsKind.ACCESS),
        lambda cases, _: cases.standing("no-such-case"),
        lambda cases, log_id: _decide(cases, _open(cases, log_id, RightsKind.ACCESS), GRANTED, Basis.CORRECTION),
    ],
    ids=["tomorrow", "no log", "no case", "wrong basis"],
)
def test_what_makes_no_sense_is_refused(
    house: House, cases: RightsCases, wrong: Callable[[RightsCases, str], object]
) -> None:
    """The remedy is told, and nothing of what was said."""
    with pytest.raises(CannotDo) as refused:
        wrong(cases, _at_rest(house))
    assert ASKS not in str(refused.value)
    assert "." in str(refused.value)


def test_a_tasks_kind_tells_a_deletion_from_others(house: House, cases: RightsCases) -> None:
    """The task names no reader and no text, and stands in the inbox until somebody at the unit ticks it off."""
    _decide(cases, _open(cases, _at_rest(house), RightsKind.DELETION), GRANTED, Basis.ARCHIVE_RELEASED)
    with house.db.read() as tx:
        rows = tx.execute(select(tasks).where(tasks.c.state == TaskState.OPEN)).all()
    assert {(row.kind, row.reason, row.reader) for row in rows} == {(TaskKind.DELETION, "delete_in_source", "")}
