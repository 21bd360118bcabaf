"""Rights: what a case of deletion, access, correction, objection or restriction does to its log.

An objection or a demand for restriction holds the log at once. A decided deletion shreds the log's key, keeps its
records out from then on, asks each system to delete its own, and leaves what is archived alone. A correction is done
when no receiver holds anything other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.relaylog.gates import Decider
from hub.relaylog.merge import Merged
from hub.relaylog.protection import is_veiled
from hub.relaylog.rights import (
    STOPPING,
    Extension,
    NoDecision,
    RightsDecision,
    RightsKind,
    Ruling,
    carried_out,
    decided,
    extended,
    must_be_archived,
)
from hub.store.decisions import Choice, Effect, NewDecision, Who, keep, lapse
from hub.store.events import Action, append
from hub.store.logs import Side, StoredLog
from hub.store.rights import Demand, Rights, RightsDetail, as_case
from hub.store.sealing import Shredded
from hub.store.tables import DeliveryState, TaskKind, TaskState
from hub.store.tasks import NewTask, Tasks
from hub.store.wipe import Shredding, ShredList, shred
from hub.sync.admit import merged_of
from hub.sync.archive import content_hash
from hub.sync.context import OSLO, Tenant
from hub.sync.route import Router, plan
from hub.sync.sent import maybe_arrived

DELETE_IN_SOURCE = "delete_in_source"
"""Why a unit is asked to delete a log in its own system."""


class CannotDo(Exception):
    """A case cannot be opened, decided or carried out so. Says why and what would do; never what a log holds."""


@dataclass(frozen=True)
class Receiver:
    """A system that has had a log: its last receipt since the case was opened, what is on its way, and what it holds.

    `holds_other` tells that it holds, or may hold, something other than the log now says to it.
    """

    connection: str
    received_at: datetime | None
    receipt: str
    on_its_way: str
    holds_other: bool


@dataclass(frozen=True)
class Standing:
    """How it stands with a case: its row, who has had the log, what archives have, and what systems were asked to do.

    `listed` tells of each system that had a deleted log whether its record was there when it was last read.
    `was_granted` tells that the case was granted once, also where it is decided against since.
    """

    case: Row[Any]
    receivers: tuple[Receiver, ...]
    archived: tuple[Row[Any], ...]
    tasks: tuple[Row[Any], ...]
    listed: Mapping[str, bool]
    was_granted: bool


class RightsCases:
    """The cases of one tenant and what they do. `shredded` is the list of what was shredded, outside the database."""

    def __init__(self, tenant: Tenant, shredded: ShredList) -> None:
        self._tenant = tenant
        self._number = tenant.organisation_number
        self._shredded = shredded
        self._rights = Rights(self._number)

    def open(self, demand: Demand, who: str) -> str:
        """Write a demand down and return the case's id. What stops a log, stops it now. Raises CannotDo."""
        tenant, now, case_id = self._tenant, self._tenant.now(), self._tenant.new_id()
        if demand.asked_on > tenant.today():
            raise CannotDo("The day that it was asked is still to come. Write the day that the demand reached you")
        with tenant.db.write() as tx:
            stored = self._stored(tx, demand.log_id)
            if stored is None or not stored.sides:
                raise CannotDo("The hub holds nothing of this log any more. `hub trace` tells where it went")
            self._rights.open(tx, case_id, demand, stored.sealer, who, now)
            if demand.kind in STOPPING:
                new = NewDecision("rights", case_id, Choice.ASKED, demand.log_id, Effect(restricted=True))
                keep(tx, self._number, stored.sealer, tenant.new_id(), new, Who(who, demand.asks), now)
                tenant.logs.route_anew(tx, demand.log_id)
        if demand.kind in STOPPING:
            Router(tenant).route([demand.log_id])
        return case_id

    def standing(self, case_id: str) -> Standing:
        """Tell how it stands with a case. Raises CannotDo where there is none."""
        with self._tenant.db.read() as tx:
            case = self._case(tx, case_id)
            stored = self._stored(tx, case.log_id)
            corrects = case.kind is RightsKind.CORRECTION and stored is not None
            return Standing(
                case,
                tuple(self._receivers(tx, case, stored)) if corrects and stored else (),
                tuple(self._rights.in_archive(tx, case.log_id)),
                tuple(self._tasks_of(tx, case)),
                self._rights.left_in(tx, case.log_id) if stored is None else {},
                self._rights.was_granted(tx, case_id),
            )

    def opened(self, case_id: str, who: Who) -> RightsDetail:
        """Show what was asked and how it was assessed. That somebody saw it, and for what, is kept. Raises CannotDo."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            case = self._case(tx, case_id)
            stored = self._stored(tx, case.log_id)
            if stored is None or case.sealed_detail is None:
                raise CannotDo(f"{_WORDS_GONE}. What stands in clear is all there is")
            seen = NewDecision("rights", case_id, Choice.OPENED, case.log_id)
            keep(tx, self._number, stored.sealer, tenant.new_id(), seen, who, now)
            append(tx, self._number, Action.PERSON_LOG_OPENED, "log", case.log_id, who.id, now, rights=case_id)
            return self._rights.detail(case, stored.sealer)

    def extend(self, case_id: str, months: int, who: Who) -> None:
        """Give a case more time to be answered. Whoever asked is to be told the reason. Raises CannotDo."""
        tenant, now = self._tenant, self._tenant.now()
        extension = Extension(months, who.why, who.id, tenant.today())
        with tenant.db.write() as tx:
            case = self._case(tx, case_id)
            due = extended(as_case(case), case.asked_on, case.due_on, extension)
            if isinstance(due, NoDecision):
                raise CannotDo(f"{due.label('en')}. {_REMEDIES.get(due, _SHOWS)}")
            stored = self._stored(tx, case.log_id)
            if stored is None or case.sealed_detail is None:
                raise CannotDo(f"{_WORDS_GONE}. Decide it: nothing of the log takes more time")
            self._rights.extend(tx, case, due, extension, now, stored.sealer)

    # --- deciding --------------------------------------------------------------------------------------------------

    def decide(self, case_id: str, ruling: Ruling) -> None:
        """Decide a case, and do at once what follows in the hub. Raises CannotDo, and ShredListError."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            case = self._case(tx, case_id)
            stored = self._stored(tx, case.log_id)
            changed = decided(as_case(case), ruling, archive_duty=stored is not None and self._duty(tx, stored))
            if isinstance(changed, NoDecision):
                raise CannotDo(f"{changed.label('en')}. {_REMEDIES.get(changed, _SHOWS)}")
            deletes = case.kind is RightsKind.DELETION and ruling.decision is RightsDecision.GRANTED
            sealer = None if deletes or stored is None else stored.sealer
            self._rights.decide(tx, case, changed, ruling, now, sealer)
            if deletes:
                self._delete(tx, case, stored, ruling.decider, now)
            lifted = case.kind in STOPPING and ruling.decision is RightsDecision.REFUSED and stored is not None
            if lifted:
                lapse(tx, self._number, case_id)
                tenant.logs.route_anew(tx, case.log_id)
        if lifted:
            Router(tenant).route([case.log_id])

    def _duty(self, tx: Transaction, stored: StoredLog) -> bool:
        """Tell whether a log must be archived and the archive has not proved to have it as it stands."""
        archive, package = self._tenant.archive, self._tenant.work.latest_package(tx, stored.log_id)
        proved = (
            archive is not None
            and package is not None
            and package.content_hash == content_hash(self._tenant, stored)
            and any(
                one.target == archive.id and one.revision == package.revision
                for one in self._rights.in_archive(tx, stored.log_id)
            )
        )
        return must_be_archived(stored.log.status, archived=proved)

    def _delete(self, tx: Transaction, case: Row[Any], stored: StoredLog | None, decider: str, now: datetime) -> None:
        """Shred a log, unless a restored backup had it shredded again already, and ask its systems to delete theirs."""
        log_id, units = case.log_id, dict[str, str]()
        if stored is not None:
            self._end_deliveries(tx, log_id, now)
            veiled = is_veiled(stored.log)
            units = {side.connection: "" if veiled else side.seen.unit.id[:80] for side in stored.sides}
            one = Shredding(self._number, log_id, now, stored.log.status, deleted=True)
            self._shredded.add(one)
            shred(tx, one, decider, hash_stays=False, reason="deletion", case=case.case_id)
        wanted = [self._delete_there(name, units.get(name, "")) for name in sorted(self._rights.left_in(tx, log_id))]
        Tasks(self._number, self._tenant.new_id).set(tx, log_id, wanted, now)

    def _end_deliveries(self, tx: Transaction, log_id: str, now: datetime) -> None:
        """Take back what has not left. Raises CannotDo where something is on its way."""
        for row in self._rights.unfinished(tx, log_id):
            if maybe_arrived(row) or (row.lease_until is not None and row.lease_until > now):
                raise CannotDo(f"Delivery {row.delivery_id} is on its way. Decide when its outcome is known")
            self._tenant.work.end_delivery(tx, row.delivery_id, DeliveryState.SUPERSEDED, now)

    def _delete_there(self, name: str, unit: str) -> NewTask:
        """Return the task to have one system's unit delete its own; nothing is left that tells who leads the unit."""
        connection = self._tenant.connections.get(name)
        hidden = self._tenant.rules(self._tenant.today()).sharing.hidden_services
        revealing = connection is not None and bool(connection.services & hidden)
        return NewTask(TaskKind.DELETION, DELETE_IN_SOURCE, Decider.RULE_OWNER, name, "", unit, revealing)

    # --- carrying out ----------------------------------------------------------------------------------------------

    def done(self, case_id: str, who: str, by_hand: Collection[str] = ()) -> None:
        """Note that a case is carried out and that whoever asked has been told.

        `by_hand` are the receivers of a correction that a person has told outside the hub. Raises CannotDo.
        """
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            case = self._case(tx, case_id)
            changed = carried_out(as_case(case))
            if isinstance(changed, NoDecision):
                raise CannotDo(f"{changed.label('en')}. {_SHOWS}")
            if case.decision is RightsDecision.GRANTED:
                self._still_to_do(tx, case, by_hand)
            self._rights.told_by_hand(tx, case, sorted(set(by_hand)), who, now)
            self._rights.done(tx, case, who, now)

    def _still_to_do(self, tx: Transaction, case: Row[Any], by_hand: Collection[str]) -> None:
        """Raise CannotDo where a system has still to delete, or a receiver holds something other."""
        if left := [row for row in self._tasks_of(tx, case) if row.state is TaskState.OPEN]:
            raise CannotDo(f"Task {left[0].task_id} is not done yet: `hub inbox done` when it is deleted there")
        stored = self._stored(tx, case.log_id)
        if case.kind is not RightsKind.CORRECTION or stored is None:
            return
        if not self._rights.merged_since(tx, case.log_id, _since(case)):
            raise CannotDo("The log has not changed since it was asked. Have it corrected in the system that says it")
        for one in self._receivers(tx, case, stored):
            if one.holds_other and one.connection not in by_hand:
                raise CannotDo(
                    f"{one.connection} may hold something other yet. `hub inbox list` and `hub status` tell what it "
                    "waits for; where the hub cannot send it, tell them, and name it with --by-hand"
                )

    def _receivers(self, tx: Transaction, case: Row[Any], stored: StoredLog) -> list[Receiver]:
        """Return every system that has had a log from the hub, or would be sent it."""
        if not stored.sides:
            return []
        merged, receipts = merged_of(self._tenant, stored), self._rights.last_receipts(tx, stored.log_id, _since(case))
        waiting = {row.connection: row.delivery_id for row in self._rights.unfinished(tx, stored.log_id)}
        found = []
        for side in sorted(stored.sides, key=lambda each: each.connection):
            connection = self._tenant.connections.get(side.connection)
            told = connection is not None and connection.deliver
            if told or self._tenant.work.delivered(tx, side.connection, stored.log_id):
                last = receipts.get(side.connection)
                found.append(
                    Receiver(
                        side.connection,
                        last.done_at if last is not None else None,
                        (last.receipt_ref or "") if last is not None else "",
                        waiting.get(side.connection, ""),
                        self._holds_other(stored, side, merged),
                    )
                )
        return found

    def _holds_other(self, stored: StoredLog, side: Side, merged: Merged) -> bool:
        """Tell whether a system would be sent something, or stands in a conflict, or cannot be asked any more.

        A restriction hides nothing: it is asked what would be sent without it.
        """
        tenant, day = self._tenant, self._tenant.today()
        connection = tenant.connections.get(side.connection)
        if connection is None or any(side.connection in each.values for each in merged.conflicts):
            return True
        unrestricted, keys = replace(merged, restricted=False), stored.keys_of(connection.id)
        return plan(connection, side, unrestricted, keys, day, tenant.rules(day)).changes

    # --- what all steps read ---------------------------------------------------------------------------------------

    def _case(self, tx: Transaction, case_id: str) -> Row[Any]:
        case = self._rights.case(tx, case_id)
        if case is None:
            raise CannotDo(f"No case {case_id}. {_SHOWS}")
        return case

    def _stored(self, tx: Transaction, log_id: str) -> StoredLog | None:
        """Return a log; None where nothing is left of it. Raises SealError where it is damaged."""
        try:
            return self._tenant.logs.load(tx, log_id)
        except Shredded:
            return None

    def _tasks_of(self, tx: Transaction, case: Row[Any]) -> list[Row[Any]]:
        """Return what systems were asked to do because of a case."""
        if case.kind is not RightsKind.DELETION:
            return []
        rows = Tasks(self._number, self._tenant.new_id).of_logs(tx, [case.log_id]).get(case.log_id, [])
        return sorted((row for row in rows if row.kind is TaskKind.DELETION), key=lambda row: str(row.connection))


_SHOWS = "`hub rights list` shows the cases, and `hub rights show` one"
_WORDS_GONE = "The words of this case went with the log's key"
_REMEDIES = {
    NoDecision.MONTH_OVER: "Answer as soon as you can, and tell whoever asked why it took longer",
    NoDecision.NO_REASON: "Write it with --why, as whoever asked is to read it",
    NoDecision.NO_ASSESSMENT: "Write it in a few words with --assessment",
    NoDecision.WRONG_BASIS: "`hub rights decide --help` lists what each decision can rest on",
    NoDecision.ARCHIVE_DUTY: (
        "Close it and have it archived first, or refuse; where the duty is lifted, name that as the basis "
        "(archive_released)"
    ),
}
"""What would do, by what is in the way."""


def _since(case: Row[Any]) -> datetime:
    """Return since when what changes may be what was asked for: the day that it was asked, or when it was written down.

    Whichever came first; on one and the same day it is not known what came before, so that only what follows counts.
    """
    opened: datetime = case.opened_at
    if case.asked_on >= opened.astimezone(OSLO).date():
        return opened
    return datetime.combine(case.asked_on, time(), OSLO)
