"""Plans: an individual plan that a person asks for after a log is made by one attempt, and never twice.

Its row stands before bytes leave. Where the answer is lost the system is looked at: what stands there has been made.
Where nothing does a person looks, because a listing may lag behind; the hub never sends it again by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import Affiliation, ConnectorError, NewPlan, OutcomeUnknown, PlanMaker, PlanPerson
from hub.relaylog.codes import Language, Service
from hub.relaylog.gates import Stop
from hub.relaylog.guardians import with_proposed
from hub.relaylog.model import Guardian, Party, RelayLog
from hub.relaylog.nationalid import InvalidNationalId, holds_national_id, parse
from hub.relaylog.planning import Unfit, fitting, participant, plan_stops, plan_wanted
from hub.relaylog.rights import RESTRICTED
from hub.store.decisions import Choice, NewDecision, Who, keep
from hub.store.events import Action, append
from hub.store.leases import DELIVERIES, LEASE, Lease, LeaseLost, at_work, claim
from hub.store.logs import StoredLog
from hub.store.tables import DeliveryKind, DeliveryState, TaskKind, TaskState
from hub.store.tasks import Tasks
from hub.store.work import OUTCOME_UNKNOWN, NewDelivery
from hub.sync.admit import merged_of
from hub.sync.context import Connection, Tenant
from hub.sync.heartbeat import Heartbeat
from hub.sync.route import Router
from hub.sync.trouble import STORE_TROUBLE

_log = structlog.get_logger(__name__)

PAUSE = timedelta(minutes=15)
"""How long a look waits for a system that does not answer."""


class CannotPlan(Exception):
    """The plan can't be made by the hub so. Says why and what would do; never what a log holds."""


class Outcome(StrEnum):
    """What became of a plan that was asked for."""

    MADE = "made"
    LATER = "later"
    HELD = "held"
    TAKEN = "taken"


@dataclass(frozen=True)
class Asked:
    """What a person asks for: who leads the plan, and which guardians and parties of the log take part, by id.

    `numbers` are national ids that the log lacks, by the same ids. `affiliation` is the system's id of where the plan
    belongs; "" where none is chosen.
    """

    lead: PlanPerson
    ticked: tuple[str, ...] = ()
    numbers: Mapping[str, str] = field(default_factory=dict, repr=False)
    affiliation: str = field(default="", repr=False)


@dataclass(frozen=True)
class Standing:
    """How it stands with the plan of a log: where it would be made, and what was asked for already.

    `stops` is what keeps the hub from it, `fitting` who can be ticked.
    """

    connection: str
    stops: tuple[Stop, ...]
    fitting: tuple[Guardian | Party, ...]
    asked: tuple[Row[Any], ...]


@dataclass(frozen=True)
class _Case:
    """A log that wants a plan, as the gates are asked of it, and the connection that makes plans."""

    stored: StoredLog
    log: RelayLog
    connection: Connection
    maker: PlanMaker

    @property
    def own(self) -> frozenset[Service]:
        """The services that work in the system already, where the log is there."""
        return self.connection.services if self.stored.side(self.connection.id) else frozenset()


def end_plan(tenant: Tenant, tx: Transaction, row: Row[Any], *, sent: bool | None) -> None:
    """End a plan by what a person found in the system: it was made, or it may be asked for anew."""
    now = tenant.now()
    if sent:
        tenant.work.end_delivery(tx, row.delivery_id, DeliveryState.DONE, now, receipt_ref="by-hand", error_class=None)
    else:
        tenant.work.end_delivery(tx, row.delivery_id, DeliveryState.SUPERSEDED, now)


class Planner:
    """Makes individual plans for one tenant, by one named worker."""

    def __init__(self, tenant: Tenant, owner: str) -> None:
        self._tenant = tenant
        self._owner = owner

    def standing(self, log_id: str) -> Standing:
        """Tell how it stands with the plan of a log. Raises CannotPlan where the hub makes none."""
        tenant = self._tenant
        with tenant.db.read() as tx:
            case = self._case(tx, log_id)
            rows = tenant.work.plans(tx, self._logs_of_child(tx, case.stored))
        found, rules = self._stops(case), tenant.rules(tenant.today())
        who = () if any(stop.of_log for stop in found) else tuple(fitting(case.log, tenant.today(), rules, case.own))
        return Standing(case.connection.id, found, who, tuple(rows))

    def affiliations(self, log_id: str, language: Language) -> tuple[Affiliation, ...]:
        """Return where the plan of a log can belong, as the system names it. Raises CannotPlan and ConnectorError."""
        with self._tenant.db.read() as tx:
            case = self._case(tx, log_id)
        return case.maker.affiliations(language)

    def create(self, log_id: str, asked: Asked, who: Who) -> Outcome:
        """Make the plan of a log as a person asks for it.

        Raises CannotPlan, and ConnectorError where the system refused it or was not reached: then nothing was made.
        """
        with self._tenant.db.read() as tx:
            case, new = self._allowed(tx, log_id, asked)
            unsure = [row.delivery_id for row in self._asked_before(tx, case) if row.state is DeliveryState.UNKNOWN]
        if unsure:
            return self.look_up(unsure[0])
        case.maker.check_plan(new)
        if new.affiliation and new.affiliation not in (each.id for each in case.maker.affiliations("nb")):
            raise CannotPlan(  # what is no id of the list may be a name
                f"--affiliation: {case.connection.id} has none with this id. `hub plan affiliations` lists them. "
                "Nothing was made"
            )
        if there := case.maker.plans_of(new.main.national_id):
            ids = ", ".join(map(_reference, there))
            raise CannotPlan(
                f"{case.connection.id} has an individual plan of this child already ({ids}). Nothing was made. Look at "
                "it there, and note that the task is done: `hub inbox done`"
            )
        lease = self._write_down(log_id, asked, who)
        with suppress(LeaseLost), Heartbeat(self._tenant.db, self._owner, self._tenant.now), at_work(lease):
            return self._send(lease, log_id, case.maker, new)
        return Outcome.TAKEN

    def look_up(self, delivery_id: str) -> Outcome:
        """See in the system whether a plan whose answer was lost has been made; where it has not, a person decides.

        So it is where a mistake of ours keeps the hub from looking.
        """
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            lease = claim(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
        if lease is None:
            return Outcome.TAKEN
        try:
            with tenant.db.read() as tx:
                row = tenant.work.delivery(tx, delivery_id)
                number = self._main_number(tx, row)
            with at_work(lease):
                return self._look_up(lease, row, number)
        except LeaseLost:
            return Outcome.TAKEN
        except STORE_TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 - what stays unknown is looked up for ever, and nobody is asked
            _log.error("sync:plan:internal_error", delivery=delivery_id, exc_info=error)
            return self._broken(lease)

    def _look_up(self, lease: Lease, row: Row[Any], number: str) -> Outcome:
        connection = self._tenant.connections.get(row.connection)
        if connection is None or connection.plans is None:
            return self._end(lease, row.log_id, DeliveryState.HELD, error_class=OUTCOME_UNKNOWN)
        try:
            found = connection.plans.plans_of(number)
        except ConnectorError as error:
            later = self._tenant.now() + PAUSE
            return self._end(lease, row.log_id, DeliveryState.UNKNOWN, error_class=error.code, due_at=later)
        if not found:
            return self._end(lease, row.log_id, DeliveryState.HELD, error_class=OUTCOME_UNKNOWN)
        return self._made(lease, row.log_id, f"looked-up@{_reference(found[0])}")

    # --- what is asked before anything is sent -----------------------------------------------------------------------

    def _case(self, tx: Transaction, log_id: str) -> _Case:
        """Open a log that wants a plan. Raises CannotPlan where it wants none, or the hub makes none."""
        tenant = self._tenant
        stored = tenant.logs.load(tx, log_id)
        if not stored.sides or not plan_wanted(stored.log):
            raise CannotPlan("The log was not closed because an individual plan or a coordinator takes over")
        makers = [(each, each.plans) for each in tenant.connections.values() if each.plans is not None]
        if not makers:
            raise CannotPlan(
                "No connection here may make plans, so it is made by hand. Then note it: `hub inbox done` with the "
                "task's id. Where Samspill is connected, `plan` in the connection's file says which codes it has"
            )
        merged = merged_of(tenant, stored)
        return _Case(stored, with_proposed(merged.log, merged.proposed), *makers[0])

    def _stops(self, case: _Case) -> tuple[Stop, ...]:
        tenant, connection, day = self._tenant, case.connection, self._tenant.today()
        side = case.stored.side(connection.id)
        seen = side.seen if side else case.log
        readers = connection.readers_of(seen)
        other = connection.other_controller(case.log, seen)
        found = plan_stops(case.log, readers, day, tenant.rules(day), other, there=side is not None)
        found = (*found, *case.stored.decided.mixed)
        return (*found, RESTRICTED) if case.stored.decided.restricted else found

    def _allowed(self, tx: Transaction, log_id: str, asked: Asked) -> tuple[_Case, NewPlan]:
        """Return the plan as it would be sent now. Raises CannotPlan where something stops it."""
        case = self._case(tx, log_id)
        if stopped := self._stops(case):
            raise CannotPlan(f"The hub makes no plan of this log: {_told(stopped)}. A person makes it outside the hub")
        tasks = Tasks(self._tenant.organisation_number, self._tenant.new_id).of_logs(tx, [log_id]).get(log_id, ())
        if any(row.kind is TaskKind.PLAN and row.state is TaskState.DONE for row in tasks):
            raise CannotPlan("Somebody has noted that this plan is seen to. Nothing was made")
        for row in self._asked_before(tx, case):
            if row.state is not DeliveryState.UNKNOWN:
                raise CannotPlan(_asked_already(row))
        return case, self._people(case, asked)

    def _asked_before(self, tx: Transaction, case: _Case) -> list[Row[Any]]:
        return self._tenant.work.plans(tx, self._logs_of_child(tx, case.stored))

    def _logs_of_child(self, tx: Transaction, stored: StoredLog) -> set[str]:
        """Return the logs of the same child: one plan is enough for all of them."""
        logs = self._tenant.logs
        subject = logs.subject_hash(stored.log.subject.national_id)
        return {stored.log_id, *(row.log_id for row in logs.of_subjects(tx, [subject] if subject else []))}

    def _people(self, case: _Case, asked: Asked) -> NewPlan:
        main = PlanPerson(case.log.subject.name, self._number("the child", case.log.subject.national_id))
        lead = PlanPerson(asked.lead.name, self._number("the leader", asked.lead.national_id))
        ticked = tuple(self._participant(case, each, asked.numbers) for each in dict.fromkeys(asked.ticked))
        numbers = [main.national_id, lead.national_id, *(each.national_id for each in ticked)]
        if not main.name or not lead.name or not all(each.name for each in ticked):
            raise CannotPlan("Somebody in the plan has no name. Write it in the system that the log comes from")
        if len(set(numbers)) != len(numbers):
            raise CannotPlan("Two people in the plan have the same national id. Name each once; the leader is in it")
        return NewPlan(main, lead, ticked, asked.affiliation)

    def _participant(self, case: _Case, element_id: str, numbers: Mapping[str, str]) -> PlanPerson:
        tenant, day = self._tenant, self._tenant.today()
        found = participant(case.log, element_id, day, tenant.rules(day), case.own)
        if isinstance(found, Unfit):
            whose = "" if found is Unfit.UNKNOWN else f" {element_id}"  # what is no id of the log may be a name
            raise CannotPlan(f"--participant{whose}: {found.label('en')}. `hub plan show` lists who can be ticked")
        is_guardian = isinstance(found, Guardian)
        known = found.national_id if isinstance(found, Guardian) else ""
        number = self._number(f"--participant {element_id}", numbers.get(element_id) or known)
        return PlanPerson(found.name, number, "guardian" if is_guardian else "participant")

    def _number(self, whose: str, text: str) -> str:
        """Return a national id of somebody in the plan. Raises CannotPlan, without the number."""
        try:
            number = parse(text)
        except InvalidNationalId:
            raise CannotPlan(f"No valid national id is known of {whose}. Write it in the file of --people") from None
        if number.synthetic != self._tenant.synthetic_ids:
            where = "a sandbox or test takes synthetic ids only; production takes none"
            raise CannotPlan(f"The national id of {whose} does not belong here: {where}")
        return number.value

    # --- sending it once ---------------------------------------------------------------------------------------------

    def _write_down(self, log_id: str, asked: Asked, who: Who) -> Lease:
        """Ask the gates again and write the row in one transaction; after that bytes may leave."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            case, new = self._allowed(tx, log_id, asked)
            if self._asked_before(tx, case):
                raise CannotPlan("This plan is being asked for at this moment. `hub plan show` tells how it goes")
            stored, delivery_id = case.stored, tenant.new_id()
            payload = json.dumps({"main": new.main.national_id, "participants": list(asked.ticked)}).encode()
            delivery = NewDelivery(
                delivery_id=delivery_id,
                connection=case.connection.id,
                log_id=log_id,
                kind=DeliveryKind.CREATE,
                sealed_payload=stored.sealer.seal(f"deliveries.sealed_payload/{delivery_id}", payload),
                view_hash="",
                log_version=stored.version,
            )
            tenant.work.add_delivery(tx, delivery, now)
            lease = claim(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
            if lease is None:
                raise AssertionError("unreachable: nobody has seen the row yet")  # pragma: no cover
            number = tenant.organisation_number
            decision = NewDecision("plan", delivery_id, Choice.ASKED, log_id)
            keep(tx, number, stored.sealer, tenant.new_id(), decision, who, now)
            told: dict[str, str | int] = {"delivery": delivery_id, "participants": len(new.participants)}
            append(tx, number, Action.PERSON_PLAN_ASKED, "log", log_id, who.id, now, **told)
            tenant.work.mark_sending(tx, delivery_id, now)
        return lease

    def _send(self, lease: Lease, log_id: str, maker: PlanMaker, new: NewPlan) -> Outcome:
        try:
            plan_id = maker.create_plan(new)
        except OutcomeUnknown as error:
            self._end(lease, log_id, DeliveryState.UNKNOWN, error_class=error.code, due_at=self._tenant.now())
            return self.look_up(lease.row_id)
        except ConnectorError as error:
            self._end(lease, log_id, DeliveryState.FAILED, error_class=error.code)
            raise
        return self._made(lease, log_id, _reference(plan_id))

    def _made(self, lease: Lease, log_id: str, reference: str) -> Outcome:
        """Keep the receipt; the task goes with it."""
        self._end(lease, log_id, DeliveryState.DONE, receipt_ref=reference[:200], error_class=None)
        return Outcome.MADE

    def _end(self, lease: Lease, log_id: str, state: DeliveryState, **values: object) -> Outcome:
        tenant = self._tenant
        with tenant.db.write() as tx:
            tenant.work.end_attempt(tx, lease, state, tenant.now(), **values)
            tenant.logs.route_anew(tx, log_id)
        Router(tenant).route([log_id])
        return Outcome.HELD if state is DeliveryState.HELD else Outcome.LATER

    def _broken(self, lease: Lease) -> Outcome:
        """Let a person look, where a mistake of ours keeps the hub from it; what else follows is the next sweep's."""
        tenant = self._tenant
        with suppress(LeaseLost), tenant.db.write() as tx:
            log_id = tenant.work.delivery(tx, lease.row_id).log_id
            tenant.work.end_attempt(tx, lease, DeliveryState.HELD, tenant.now(), error_class=OUTCOME_UNKNOWN)
            tenant.logs.route_anew(tx, log_id)
            return Outcome.HELD
        return Outcome.TAKEN

    def _main_number(self, tx: Transaction, row: Row[Any]) -> str:
        """Return the national id that a plan was asked for with."""
        stored = self._tenant.logs.load(tx, row.log_id)
        sealed = stored.sealer.open(f"deliveries.sealed_payload/{row.delivery_id}", row.sealed_payload)
        number: str = json.loads(sealed)["main"]
        return number


def _reference(plan_id: str) -> str:
    """Return the system's id of a plan as the receipt, unless it is none or tells of a person."""
    return plan_id if plan_id and not holds_national_id(plan_id) else "confirmed"


def _told(stopped: Iterable[Stop]) -> str:
    told = (
        "a special rule (særskilt regel): its owner decides"
        if stop.revealing
        else f"{stop.reason}: until {stop.releases_when}"
        for stop in stopped
    )
    return "; ".join(dict.fromkeys(told))


def _asked_already(row: Row[Any]) -> str:
    """Tell what became of a plan that was asked for before."""
    if row.state is DeliveryState.DONE:
        return f"The plan is made already, by delivery {row.delivery_id}. Nothing was made again"
    if row.state is DeliveryState.HELD:
        return (
            f"Nobody knows whether delivery {row.delivery_id} made the plan. Look in the system, and answer with "
            f"`hub inbox replay {row.delivery_id} --sent` or `--not-sent`"
        )
    return f"Delivery {row.delivery_id} is at it. Wait a minute, and look at `hub plan show`"
