"""The individual plan after a log: a person is asked, the plan is made by one attempt, and nothing makes it twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import pytest
from sqlalchemy import select
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from hub.connectors.base import (
    Affiliation,
    ConnectorError,
    Misconfigured,
    NewPlan,
    OutcomeUnknown,
    PlanMaker,
    PlanPerson,
    Refused,
    Unavailable,
)
from hub.operate.report import Reports
from hub.operate.sendings import Basis, Sendings
from hub.operate.words import choices
from hub.relaylog.codes import Language, Part, Service
from hub.relaylog.model import RelayLog
from hub.sandbox.municipality import MUNICIPALITY_ORGNR
from hub.sandbox.stories import individual_plan, ordinary_health_station
from hub.store.decisions import Who
from hub.store.events import NotACode
from hub.store.leases import LEASE
from hub.store.tables import DeliveryKind, TaskKind, TaskState, decisions, deliveries, events, tasks
from hub.sync.decide import CannotDecide
from hub.sync.plans import Asked, CannotPlan, Outcome, Planner
from hub.sync.replay import replay_delivery
from hub.sync.rows import SyncRows, free_all
from hub.sync.tasks import done
from tests.sync.house import SAMSPILL, House

WHO = Who("koordinator-1", "Avtalt i ansvarsgruppa.")
LOST = OutcomeUnknown("connection_lost", "the answer to a change was lost", "The hub looks it up")
DOWN = Unavailable("connection_refused", "the system cannot be reached", "Check the firewall")


@dataclass
class Maker:
    """Plans made by the real connector: a test says what goes wrong before, after, or when they are looked for."""

    real: PlanMaker
    before: Callable[[], None] = lambda: None
    after: ConnectorError | None = None
    looks: list[ConnectorError | None] = field(default_factory=list)
    looking: Callable[[], None] = lambda: None
    looked: list[str] = field(default_factory=list)
    sent: list[NewPlan] = field(default_factory=list)

    def plans_of(self, national_id: str) -> tuple[str, ...]:
        """Look, or go wrong as the next of `looks` says."""
        self.looked.append(national_id)
        self.looking()
        trouble = self.looks.pop(0) if self.looks else None
        if trouble:
            raise trouble
        return self.real.plans_of(national_id)

    def affiliations(self, language: Language) -> tuple[Affiliation, ...]:
        """List them."""
        return self.real.affiliations(language)

    def check_plan(self, new: NewPlan) -> None:
        """See that the codes are there."""
        self.real.check_plan(new)

    def create_plan(self, new: NewPlan) -> str:
        """Make it, and lose the answer where the test says so."""
        self.sent.append(new)
        self.before()
        made = self.real.create_plan(new)
        if self.after:
            raise self.after
        return made


@pytest.fixture
def maker(house: House) -> Maker:
    """Connect Samspill so that it may make plans, with a log that was closed for one, and another child's."""

    def prepare() -> None:
        house.tell(individual_plan, ordinary_health_station)
        house.sync()

    house.once("individual-plan", prepare)
    made = Maker(cast("PlanMaker", house.detours[SAMSPILL].real))
    house.settle(SAMSPILL, plans=made)
    return made


def _log(house: House) -> RelayLog:
    return house.log_of("P-10001").log


def _asked(house: House, *ticked: str) -> Asked:
    """Ask for a plan whose leader has a number of the other family."""
    return Asked(PlanPerson("Koordinator Testleder", _spare(house, 0)), ticked)


def _spare(house: House, number: int) -> str:
    """Give a synthetic number of nobody in the log, each time the same."""
    return str(house.samspill(2)["family"][number]["nationalId"])


pytestmark = pytest.mark.usefixtures("maker")


def _create(house: House, asked: Asked | None = None) -> Outcome:
    return Planner(house.tenant, "worker-1").create(_log(house).id, asked or _asked(house), WHO)


def _tasks(house: House) -> list[tuple[str, str]]:
    return [(row.addressed_to, str(row.state)) for row in house.rows(tasks, kind=TaskKind.PLAN)]


def _plans(house: House) -> list[str]:
    """Name the individual plans that Samspill holds."""
    held = house.world.samspill.items()
    return [plan_id for plan_id, plan in held if plan["planTypeId"] == "INDIVIDUELL_PLAN"]


def _row(house: House) -> tuple[str, str, str | None]:
    (row,) = house.rows(deliveries, kind=DeliveryKind.CREATE)
    return row.delivery_id, str(row.state), row.receipt_ref


def _events(house: House) -> list[str]:
    with house.db.read() as tx:
        return list(tx.scalars(select(events.c.action).order_by(events.c.event_id)))


def test_a_closing_for_a_plan_asks_the_holder_and_says_before_what_it_does(house: House) -> None:
    """The task tells of accounts and the lasting right, and without a connection for plans that it is done by hand."""
    assert _tasks(house) == [("holder", "open")]
    (item,) = Reports(house.db).inbox(MUNICIPALITY_ORGNR, "task")
    assert (item.reason, item.addressed_to, item.log) == ("plan_wanted", "holder", _log(house).id)
    told = dict(choices(item, by_a_person=False, plans=True))
    create = f"hub plan create {item.log} --people FILE --who … --why …"
    assert all(word in told[create] for word in ("accounts", "lasting right"))
    by_hand = choices(item, by_a_person=False)
    assert by_hand[0][0] == "make the plan in its system by hand"
    assert "accounts" in by_hand[0][1]


def test_a_plan_is_made_once_with_row_receipt_event_and_no_task(house: House, maker: Maker) -> None:
    """The child and the leader alone are in it; the receipt is the system's id, and the question is answered."""
    assert _create(house) is Outcome.MADE
    (plan_id,) = _plans(house)
    held = house.world.samspill[plan_id]
    assert held["mainPerson"]["nationalId"] == _log(house).subject.national_id
    assert held["participants"] == []
    assert _row(house)[1:] == ("done", plan_id)
    assert [row.sealed_payload for row in house.rows(deliveries, kind=DeliveryKind.CREATE)] == [None]
    assert _tasks(house) == [("holder", "gone")]
    said = _events(house)
    order = ["hub:delivery:ready", "person:plan:asked", "hub:delivery:sent", "hub:delivery:done", "hub:task:gone"]
    assert [each for each in said[-len(order) :] if each in order] == order
    assert [row.decided_by for row in house.rows(decisions, subject_kind="plan")] == ["koordinator-1"]
    with pytest.raises(CannotPlan, match="made already"):
        _create(house)
    assert len(maker.sent) == 1


def test_the_row_stands_before_bytes_leave(house: House, maker: Maker) -> None:
    """While the system is asked, the delivery says that it is being sent."""
    seen: list[str] = []
    maker.before = lambda: seen.append(_row(house)[1])
    _create(house)
    assert seen == ["sending"]


def test_the_new_plan_is_no_new_log_and_brings_no_task_back(house: House, maker: Maker) -> None:
    """The next cycles read Samspill without taking the plan for a relay log, or asking again."""
    _create(house)
    house.time.after(hours=1)
    house.sync()
    assert Reports(house.db).inbox(MUNICIPALITY_ORGNR, "quarantine") == []
    assert _tasks(house) == [("holder", "gone")]
    assert len(_plans(house)) == len(maker.sent) == 1


def test_those_ticked_take_part_and_no_others(house: House, maker: Maker) -> None:
    """A guardian's number stands in the log; a professional's is handed in."""
    log = _log(house)
    guardian, party = log.guardians[0], log.parties[-1]
    asked = Asked(_asked(house).lead, (guardian.id, party.id), {party.id: _spare(house, 1)})
    assert _create(house, asked) is Outcome.MADE
    (plan_id,) = _plans(house)
    names = [each["name"] for each in house.world.samspill[plan_id]["participants"]]
    assert names == [guardian.name, party.name]
    assert [each.role for each in maker.sent[0].participants] == ["guardian", "participant"]


def test_a_plan_belongs_where_a_person_chose(house: House, maker: Maker) -> None:
    """The list is the system's own; what was chosen of it is in the plan."""
    chosen = Planner(house.tenant, "worker-1").affiliations(_log(house).id, "nn")[2]
    assert _create(house, replace(_asked(house), affiliation=chosen.id)) is Outcome.MADE
    (plan_id,) = _plans(house)
    belongs = house.world.samspill[plan_id]["affiliation"]
    assert (belongs["id"], belongs["name"]) == (chosen.id, chosen.name)
    assert maker.sent[0].affiliation == chosen.id


def test_an_affiliation_that_the_system_lacks_stops_it_before_anything_is_sent(house: House, maker: Maker) -> None:
    """What was typed may be a name: it is not repeated, nothing is written down, and no plan is looked for."""
    with pytest.raises(CannotPlan, match="`hub plan affiliations` lists them") as caught:
        _create(house, replace(_asked(house), affiliation="Solskinn Testbarn"))
    assert "Solskinn" not in str(caught.value)
    assert (maker.sent, maker.looked) == ([], [])
    assert house.rows(deliveries, kind=DeliveryKind.CREATE) == []


def test_an_unknown_participant_or_number_stops_it_without_a_value(house: House, maker: Maker) -> None:
    """What is wrong is told by id and place; no number and no name stands in the message."""
    log = _log(house)
    spare = _spare(house, 0)
    twice = replace(_asked(house), lead=PlanPerson("Koordinator Testleder", log.subject.national_id))
    wrong = replace(_asked(house), lead=PlanPerson("Koordinator Testleder", "01010112345"))
    real = replace(_asked(house), lead=PlanPerson("Koordinator Testleder", "02013299997"))
    for asked, said in (
        (_asked(house, "no-such-id"), "no such guardian or party"),
        (wrong, "No valid national id is known of the leader"),
        (real, "synthetic ids only"),
        (twice, "same national id"),
    ):
        with pytest.raises(CannotPlan, match=said) as caught:
            _create(house, asked)
        assert not any(value in str(caught.value) for value in (log.subject.name, "Testleder", spare, "02013299997"))
    assert maker.sent == []
    assert house.rows(deliveries, kind=DeliveryKind.CREATE) == []


def test_gates_are_asked_before_and_again_when_the_row_is_written(house: House, maker: Maker) -> None:
    """What comes to stop it while the system is being looked at stops it before its bytes leave."""
    log_id, connections = _log(house).id, dict(house.tenant.connections)
    tenant = replace(house.tenant, connections=connections)
    here = connections[SAMSPILL]
    connections[SAMSPILL] = elsewhere = replace(here, controller="900001150")
    with pytest.raises(CannotPlan, match="no_agreement"):
        Planner(tenant, "worker-1").create(log_id, _asked(house), WHO)
    assert maker.looked == []
    connections[SAMSPILL] = here
    maker.looking = lambda: connections.update({SAMSPILL: elsewhere})
    with pytest.raises(CannotPlan, match="no_agreement"):
        Planner(tenant, "worker-1").create(log_id, _asked(house), WHO)
    assert len(maker.looked) == 1
    assert maker.sent == []
    assert house.rows(deliveries, kind=DeliveryKind.CREATE) == []


def test_a_lost_answer_is_looked_up_and_found(house: House, maker: Maker) -> None:
    """The system made it: the look finds that plan, and it is the receipt."""
    maker.after = LOST
    assert _create(house) is Outcome.MADE
    (plan_id,) = _plans(house)
    assert _row(house)[1:] == ("done", f"looked-up@{plan_id}")
    assert _tasks(house) == [("holder", "gone")]


def test_a_lost_answer_that_is_not_found_waits_for_a_person(house: House, maker: Maker) -> None:
    """Nothing goes again by itself; a person who found none may ask anew, and one who found it is believed."""

    def lose() -> None:
        raise LOST

    maker.before = lose
    assert _create(house) is Outcome.HELD
    delivery_id, state, _ = _row(house)
    assert state == "held"
    house.time.after(days=1)
    house.sync()
    with pytest.raises(CannotPlan, match=f"hub inbox replay {delivery_id} --sent"):
        _create(house)
    with pytest.raises(CannotDecide, match="--sent or --not-sent"):
        replay_delivery(house.tenant, delivery_id, WHO)
    assert len(maker.sent) == 1
    assert _tasks(house) == [("holder", "open")]
    replay_delivery(house.tenant, delivery_id, WHO, sent=False)
    assert _row(house)[1] == "superseded"
    maker.before = lambda: None
    assert _create(house) is Outcome.MADE
    assert len(_plans(house)) == 1


def test_a_person_who_found_the_plan_ends_the_question(house: House, maker: Maker) -> None:
    """Said to be there, it counts as made, and the task is gone."""

    def lose() -> None:
        raise LOST

    maker.before = lose
    _create(house)
    replay_delivery(house.tenant, _row(house)[0], WHO, sent=True)
    assert _row(house)[1:] == ("done", "by-hand")
    assert _tasks(house) == [("holder", "gone")]
    with pytest.raises(CannotPlan, match="made already"):
        _create(house)


def test_a_system_that_cannot_be_looked_at_is_looked_at_later(house: House, maker: Maker) -> None:
    """The engine's sweep takes the row up after a pause; it looks, and never sends."""
    maker.after, maker.looks = LOST, [None, DOWN]
    assert _create(house) is Outcome.LATER
    delivery_id, state, _ = _row(house)
    assert state == "unknown"
    house.time.after(hours=1)
    rows = SyncRows(house.db, {MUNICIPALITY_ORGNR: house.tenant}, "worker-2")
    due = [task for task in rows.sweep(house.time.now()) if task.row_id == delivery_id]
    assert len(due) == 1
    rows._delivery(delivery_id)
    assert _row(house)[1] == "done"
    assert len(maker.sent) == 1


def test_a_mistake_while_looking_asks_a_person(house: House, maker: Maker) -> None:
    """What nobody thought of is not looked at for ever: the plan is held as one whose outcome is unknown."""

    def stumble() -> None:
        if len(maker.looked) > 1:
            raise KeyError("Solskinn Testbarn")

    maker.after, maker.looking = LOST, stumble
    with capture_logs() as lines:
        assert _create(house) is Outcome.HELD
    delivery_id, state, _ = _row(house)
    (row,) = house.rows(deliveries, delivery_id=delivery_id)
    assert (state, row.error_class, row.lease_owner) == ("held", "outcome_unknown", None)
    assert "sync:plan:internal_error" in [line["event"] for line in lines]
    replay_delivery(house.tenant, delivery_id, WHO, sent=True)
    assert _row(house)[1] == "done"


def test_a_store_in_trouble_leaves_a_plan_unknown(house: House, maker: Maker) -> None:
    """Where the database has no way left, nobody is asked: the row is taken up again."""

    def no_way() -> None:
        if len(maker.looked) == 2:
            raise PoolTimeout

    maker.after, maker.looking = LOST, no_way
    with pytest.raises(PoolTimeout):
        _create(house)
    assert _row(house)[1] == "unknown"
    house.time.after(minutes=10)
    with house.db.write() as tx:
        free_all(tx, house.time.now())
    assert Planner(house.tenant, "worker-2").look_up(_row(house)[0]) is Outcome.MADE


def test_a_process_that_died_while_sending_never_sends_again(house: House, maker: Maker) -> None:
    """Its row is unknown after the lease; asking again looks, and finds what was made."""

    class Died(BaseException):
        """The process is gone."""

    def die() -> None:
        maker.real.create_plan(maker.sent[-1])
        raise Died

    maker.before = die
    with pytest.raises(Died):
        _create(house)
    assert _row(house)[1] == "sending"
    with pytest.raises(CannotPlan, match="is at it"):
        _create(house)
    house.time.after(seconds=LEASE.total_seconds() + 1)
    with house.db.write() as tx:
        free_all(tx, house.time.now())
    assert _row(house)[1] == "unknown"
    assert _create(house) is Outcome.MADE
    assert len(maker.sent) == len(_plans(house)) == 1


@pytest.mark.parametrize(
    "error",
    [
        Refused("http_400", "the system answered HTTP 400", "A person looks"),
        DOWN,
        Misconfigured("unauthorized", "the system answered HTTP 403", "Check the client"),
    ],
)
def test_what_the_system_refuses_is_not_made_and_may_be_asked_again(
    house: House, maker: Maker, error: ConnectorError
) -> None:
    """The person is told, the task stays, and a new asking is a new delivery."""

    def refuse() -> None:
        raise error

    maker.before = refuse
    with pytest.raises(type(error)):
        _create(house)
    assert _row(house)[1] == "failed"
    assert _tasks(house) == [("holder", "open")]
    maker.before = lambda: None
    assert _create(house) is Outcome.MADE


def test_a_plan_that_is_there_already_stops_it(house: House, maker: Maker) -> None:
    """Somebody has made it by hand: nothing is written down or sent, and the plan is named by the system's id."""
    plan_id = maker.real.create_plan(_new_by_hand(house))
    with pytest.raises(CannotPlan, match=plan_id):
        _create(house)
    assert house.rows(deliveries, kind=DeliveryKind.CREATE) == []
    assert maker.sent == []


def _new_by_hand(house: House) -> NewPlan:
    subject = _log(house).subject
    return NewPlan(PlanPerson(subject.name, subject.national_id), PlanPerson("En Testleder", _spare(house, 1)))


def test_done_by_hand_ends_the_task_and_the_hub_makes_none(house: House, maker: Maker) -> None:
    """Ticked off, the task is done, is not asked for again, and no plan is made by the hub after that."""
    (row,) = house.rows(tasks, kind=TaskKind.PLAN)
    done(house.tenant, row.task_id, "koordinator-1")
    house.time.after(days=1)
    house.sync()
    assert _tasks(house) == [("holder", str(TaskState.DONE))]
    with pytest.raises(CannotPlan, match="seen to"):
        _create(house)
    assert maker.sent == []


def test_without_a_connection_for_plans_it_is_done_by_hand(house: House) -> None:
    """The error says so, and what to tick off."""
    house.settle(SAMSPILL, plans=None)
    with pytest.raises(CannotPlan, match="made by hand"):
        _create(house)


def test_a_log_that_was_closed_for_another_reason_has_no_plan(house: House, maker: Maker) -> None:
    """The active log of the other child asks for none, and none can be made of it."""
    other = house.log_of("P-10002").log_id
    assert _tasks(house) == [("holder", "open")]
    with pytest.raises(CannotPlan, match="was not closed because"):
        Planner(house.tenant, "worker-1").create(other, _asked(house), WHO)
    assert maker.sent == []


def test_who_asks_must_be_a_user_id(house: House, maker: Maker) -> None:
    """A name in its place breaks off before any byte leaves, and leaves no row."""
    with pytest.raises(NotACode):
        Planner(house.tenant, "worker-1").create(_log(house).id, _asked(house), replace(WHO, id="Å Test"))
    assert maker.sent == []
    assert house.rows(deliveries, kind=DeliveryKind.CREATE) == []


def test_no_event_holds_a_value_of_a_person(house: House) -> None:
    """Neither child, leader nor reason stands in the log of events, or in clear in the delivery's row."""
    _create(house)
    with house.db.read() as tx:
        said = json.dumps([[str(value) for value in row] for row in tx.execute(select(events))])
        said += json.dumps([[str(value) for value in row] for row in tx.execute(select(deliveries))])
    log = _log(house)
    for value in (log.subject.name, log.subject.national_id, "Testleder", _spare(house, 0), "ansvarsgruppa"):
        assert value not in said


def test_a_report_of_what_left_tells_that_a_plan_holds_nothing_of_the_log(house: House) -> None:
    """It counts as a sending to those who read there, without any part."""
    _create(house)
    tenant = house.tenant
    found = Sendings(tenant.db, tenant.logs, tenant.connections, tenant.rules, tenant.today())
    (one,) = (each for each in found.of_log(_log(house).id) if each.kind is DeliveryKind.CREATE)
    assert (one.parts, one.opened, one.basis) == (frozenset[Part](), frozenset[Part](), Basis.WHOLE)
    assert one.readers == {Service.HEALTH_STATION, Service.FAMILY}


def test_a_made_plan_is_no_first_contact(house: House) -> None:
    """That Samspill got a plan does not count as the log having been written there."""
    _create(house)
    with house.db.read() as tx:
        assert not house.tenant.work.delivered(tx, SAMSPILL, _log(house).id)
