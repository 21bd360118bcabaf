"""Decide: what waits for a person is settled, released, accepted or refused, with who and why.

Each decision is kept with its reason sealed, leaves an event with ids and codes, and the log is merged and routed anew
at once. Nothing is decided for good: a new value, another situation or a returned element is a new question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import SourceRecord
from hub.relaylog.gates import ANOTHER_PERSON, MOVED_RECORD
from hub.relaylog.lasting import no_looser
from hub.relaylog.merge import Place, flatten, remembered, unflatten
from hub.relaylog.model import COLLECTIONS, RelayLog
from hub.store.decisions import (
    Choice,
    Confirmed,
    Effect,
    NewDecision,
    Released,
    Removed,
    Settled,
    Who,
    keep,
    keep_apart,
    lapse,
)
from hub.store.differences import Differences
from hub.store.events import Action, append
from hub.store.logs import Side, StoredLog
from hub.store.rights import Rights
from hub.store.tables import ConflictState, DeliveryKind, DeliveryState, HoldState, ProposalKind, ProposalState
from hub.store.tasks import Tasks
from hub.sync.admit import OPEN_STATUS, Admitter, as_json, remerge, take_in
from hub.sync.context import Connection, Tenant
from hub.sync.identity import in_hub_ids
from hub.sync.kept import from_kept
from hub.sync.route import FIRST_CONTACT, NO_RECORD, RELEASABLE, Router

LOG = "log"
"""Chosen in place of a connection: what the log says now shall hold."""

ARCHIVIST = frozenset(
    {"archive_violence", "archive_protected", "archive_conflict", "archive_deletion_asked", "archive_restricted"}
)
"""Holds that the archivist may release: archiving is a duty, and only its time is open."""

BY_A_PERSON = frozenset({FIRST_CONTACT.rule, NO_RECORD.rule, MOVED_RECORD.reason}) | RELEASABLE | ARCHIVIST
"""The rules that a person may let go; every other hold ends with its reason alone."""


class CannotDecide(Exception):
    """What was asked for cannot be decided so. Says why and what would do; never what a log holds."""


class Decisions:
    """The decisions of people over one tenant's inbox."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self._number = tenant.organisation_number

    # --- conflicts -----------------------------------------------------------------------------------------------

    def settle(self, conflict_id: str, take: str, who: Who) -> None:
        """Let one system's value hold, over exactly what the systems say now; `take` is a connection, or LOG.

        It holds while the systems say nothing else. Raises CannotDecide.
        """
        tenant, now = self.tenant, self.tenant.now()
        with tenant.db.write() as tx:
            row = self._open_conflict(tx, conflict_id)
            stored = tenant.logs.load(tx, row.log_id)
            said = tenant.inbox.candidates(row, stored.sealer)
            place = place_of(row)
            chosen = self._chosen(stored, place, said, take)
            effect = Effect(settled=Settled(place=place, value=chosen, over=list(said.values())))
            for name in said.keys() - {take}:
                tenant.logs.save_side(tx, stored, _overruled(stored, name, place), None, now)
            tenant.inbox.settle(tx, row, take, who.id, now)
            self._keep(tx, stored, "conflict", conflict_id, Choice.SETTLED, who, effect)
            self._anew(tx, stored.log_id)
        Router(tenant).route([row.log_id])

    def opened(self, conflict_id: str, who: Who) -> dict[str, Any]:
        """Show what each system says on a disputed place, in JSON form by connection, and LOG for the log itself.

        That somebody saw it, and for what purpose, is kept.
        """
        tenant, now = self.tenant, self.tenant.now()
        with tenant.db.write() as tx:
            row = self._open_conflict(tx, conflict_id)
            stored = tenant.logs.load(tx, row.log_id)
            self._keep(tx, stored, "conflict", conflict_id, Choice.OPENED, who)
            append(tx, self._number, Action.PERSON_LOG_OPENED, "log", row.log_id, who.id, now, conflict=conflict_id)
            said = tenant.inbox.candidates(row, stored.sealer)
            return {**said, LOG: as_json(flatten(stored.log).get(place_of(row)))}

    def _open_conflict(self, tx: Transaction, conflict_id: str) -> Row[Any]:
        row = self.tenant.inbox.conflict(tx, conflict_id)
        if row is None or row.state is not ConflictState.OPEN:
            raise CannotDecide(
                f"No open conflict {conflict_id}. `hub inbox list --kind conflict` shows those there are"
            )
        return row

    def _chosen(self, stored: StoredLog, place: Place, said: Mapping[str, Any], take: str) -> Any:  # noqa: ANN401
        if take == LOG:
            return as_json(flatten(stored.log).get(place))
        if take not in said:
            raise CannotDecide(f"No such connection says anything here. Take one of {', '.join([*said, LOG])}")
        return said[take]

    # --- holds ---------------------------------------------------------------------------------------------------

    def release(self, hold_id: str, who: Who) -> None:
        """Let a hold go for the situation that it stands for; another one is held anew. Raises CannotDecide."""
        tenant, now = self.tenant, self.tenant.now()
        with tenant.db.write() as tx:
            row = self._open_hold(tx, hold_id)
            if row.rule not in BY_A_PERSON:
                raise CannotDecide(f"Hold {hold_id} can be released by nobody. {ends_with(row)}")
            stored = tenant.logs.load(tx, row.log_id)
            let_go = Released(rule=row.rule, situation=row.situation_hash or "")
            tenant.inbox.release(tx, row, who.id, now)
            self._keep(tx, stored, "hold", hold_id, Choice.RELEASED, who, Effect(released=let_go))
            tenant.logs.route_anew(tx, row.log_id)
        Router(tenant).route([row.log_id])

    def reason(self, hold_id: str, who: Who) -> str:
        """Tell the true reason of a hold, also one that reveals something. That somebody saw it is kept."""
        tenant = self.tenant
        with tenant.db.write() as tx:
            row = self._open_hold(tx, hold_id)
            stored = tenant.logs.load(tx, row.log_id)
            self._keep(tx, stored, "hold", hold_id, Choice.OPENED, who)
            about = {"hold": hold_id}
            append(tx, self._number, Action.PERSON_LOG_OPENED, "log", row.log_id, who.id, tenant.now(), **about)
            return f"{row.reason}; it ends when {row.releases_when}"

    def _open_hold(self, tx: Transaction, hold_id: str) -> Row[Any]:
        row = self.tenant.inbox.hold(tx, hold_id)
        if row is None or row.state is not HoldState.OPEN:
            raise CannotDecide(f"No open hold {hold_id}. `hub inbox list --kind hold` shows those there are")
        return row

    # --- quarantine --------------------------------------------------------------------------------------------------

    def dismiss(self, quarantine_id: str, who: Who) -> None:
        """Close a record in quarantine: nothing is kept of it. Refused again, it waits again. Raises CannotDecide."""
        with self.tenant.db.write() as tx:
            if not self.tenant.inbox.dismiss(tx, quarantine_id, who.id, self.tenant.now()):
                raise CannotDecide(
                    f"No open record {quarantine_id}. `hub inbox list --kind quarantine` shows those there are"
                )
            self._keep_apart(tx, NewDecision("quarantine", quarantine_id, Choice.CLOSED), who)

    def same_person(self, quarantine_id: str, who: Who) -> None:
        """Let a record that names its person by another national id into its log: it is the same child.

        Raises CannotDecide.
        """
        tenant = self.tenant
        with tenant.db.write() as tx:
            connection, record, stored = self._of_another(tx, quarantine_id)
            decided = NewDecision("quarantine", quarantine_id, Choice.SAME_PERSON, stored.log_id)
            keep(tx, self._number, stored.sealer, tenant.new_id(), decided, who, tenant.now())
            about = {"log": stored.log_id}
            action = Action.PERSON_RECORD_SAME_PERSON
            append(tx, self._number, action, "quarantine", quarantine_id, who.id, tenant.now(), **about)
            self._taken_in(tx, Admitter(tenant, connection, None, same_person={record.id}), record)
            tenant.logs.route_anew(tx, stored.log_id)
        Router(tenant).route([stored.log_id])

    def another_person(self, quarantine_id: str, who: Who) -> None:
        """Take a record that names another person out of its log, and take it in as one seen for the first time.

        What its services wrote goes from the old log as with a record that is deleted. Nothing of the log that it comes
        to is sent before a person has let that go: the record may hold what the hub once sent there. Raises
        CannotDecide.
        """
        tenant = self.tenant
        with tenant.db.write() as tx:
            connection, record, stored = self._of_another(tx, quarantine_id)
            effect = Effect(removed=tuple(self._written_there(stored, connection.id)))
            mark = stored.decided.mistaken[connection.id]  # the removal takes its place
            left = NewDecision("record", mark, Choice.ANOTHER_PERSON, stored.log_id, effect)
            keep(tx, self._number, stored.sealer, tenant.new_id(), left, who, tenant.now())
            self._drop_record(tx, stored, connection.id, record.id, "another_person")
            self._anew(tx, stored.log_id)
            self._taken_in(tx, Admitter(tenant, connection, None), record)
            found = tenant.logs.known_records(tx, connection.id, [record.id])[record.id].log_id
            if found is None:
                raise CannotDecide("The record was not taken in. Have it put right in its system")
            came, moved = tenant.logs.load(tx, found), tenant.new_id()
            arrived = NewDecision("record", moved, Choice.MOVED, found, Effect(moved=moved))
            keep(tx, self._number, came.sealer, tenant.new_id(), arrived, who, tenant.now())
            about, action = {"log": stored.log_id, "into": found}, Action.PERSON_RECORD_ANOTHER_PERSON
            append(tx, self._number, action, "quarantine", quarantine_id, who.id, tenant.now(), **about)
            tenant.logs.route_anew(tx, found)
        Router(tenant).route([stored.log_id, found])

    def _of_another(self, tx: Transaction, quarantine_id: str) -> tuple[Connection, SourceRecord, StoredLog]:
        """Return a record that names another person than its log is about, as it was kept, and that log."""
        inbox, logs = self.tenant.inbox, self.tenant.logs
        name = inbox.refused_by(tx, quarantine_id, ANOTHER_PERSON.reason)
        kept = inbox.kept_record(tx, quarantine_id) if name else None
        known = logs.known_records(tx, name, [kept.foreign_id]).get(kept.foreign_id) if name and kept else None
        stored = logs.load(tx, known.log_id) if known and known.log_id else None
        if name is None or kept is None or stored is None or name not in stored.decided.mistaken:
            raise CannotDecide(
                f"No open record of another person {quarantine_id}. `hub inbox list --kind quarantine` shows those "
                "there are; one that was closed comes back when its system lists it again"
            )
        return self._configured(name), from_kept(kept.foreign_id, kept.data), stored

    def _taken_in(self, tx: Transaction, admitter: Admitter, record: SourceRecord) -> None:
        admitter.page(tx, (record,), self.tenant.now())
        if why := admitter.refused.get(record.id):
            raise CannotDecide(f"The record cannot be taken in: {why}. Have that put right first")

    # --- differences -------------------------------------------------------------------------------------------------

    def close(self, difference_id: str, who: Who) -> None:
        """Close a difference that a person has looked into. Raises CannotDecide."""
        tenant, now = self.tenant, self.tenant.now()
        with tenant.db.write() as tx:
            row = Differences(self._number, tenant.new_id).close(tx, difference_id, who.id, now)
            if row is None:
                raise CannotDecide(
                    f"No open difference {difference_id}. `hub inbox list --kind difference` shows those there are"
                )
            self._keep_apart(tx, NewDecision("difference", difference_id, Choice.CLOSED), who)

    # --- proposals -----------------------------------------------------------------------------------------------

    def accept(self, proposal_id: str, who: Who, into: str = "") -> None:
        """Join two logs, let a deletion be one, or let a guardian into the log.

        `into` names the log to join where there are several. Raises CannotDecide.
        """
        tenant = self.tenant
        with tenant.db.write() as tx:
            row, stored = self._open_proposal(tx, proposal_id)
            tenant.inbox.decide(tx, row, ProposalState.ACCEPTED, who.id, tenant.now())
            if row.kind is ProposalKind.MATCH:
                log_id = self._join(tx, stored, into or row.element_id)
                effect = None
            elif row.kind is ProposalKind.GUARDIAN:
                log_id, effect = row.log_id, Effect(confirmed=Confirmed(guardian=row.element_id, belongs=True))
            else:
                log_id = row.log_id
                effect = Effect(removed=tuple(self._removed(stored, row)))
            self._keep(tx, stored, "proposal", proposal_id, Choice.ACCEPTED, who, effect)
            if row.kind is ProposalKind.DELETION and row.foreign_id:
                self._drop_record(tx, stored, row.connection, row.foreign_id, "deleted_in_source")
                if mark := stored.decided.mistaken.get(row.connection):
                    lapse(tx, self._number, mark)
            self._anew(tx, log_id)
        Router(tenant).route([log_id])

    def refuse(self, proposal_id: str, who: Who) -> None:
        """Leave two logs apart, have an element written back to where it is gone, or leave a guardian out.

        Raises CannotDecide.
        """
        tenant = self.tenant
        with tenant.db.write() as tx:
            row, stored = self._open_proposal(tx, proposal_id)
            side = stored.side(row.connection)
            put_back = row.kind is ProposalKind.DELETION and bool(row.element_id) and side is not None
            if put_back and not _exchanged(side, row):
                raise CannotDecide(
                    "The hub writes nothing that only this system had. If it stands, have it entered there anew"
                )
            tenant.inbox.decide(tx, row, ProposalState.REFUSED, who.id, tenant.now())
            left_out = Confirmed(guardian=row.element_id, belongs=False)
            effect = Effect(confirmed=left_out) if row.kind is ProposalKind.GUARDIAN else None
            self._keep(tx, stored, "proposal", proposal_id, Choice.REFUSED, who, effect)
            if side is not None and put_back:
                forgotten = _without(side, row.collection, row.element_id)
                tenant.logs.drop_keys(tx, stored.log_id, row.connection, row.element_id)
                tenant.logs.save_side(tx, stored, forgotten, None, tenant.now())
            self._anew(tx, stored.log_id)
        Router(tenant).route([row.log_id])

    def _open_proposal(self, tx: Transaction, proposal_id: str) -> tuple[Row[Any], StoredLog]:
        row = self.tenant.inbox.proposal(tx, proposal_id)
        if row is None or row.state is not ProposalState.OPEN:
            raise CannotDecide(
                f"No open proposal {proposal_id}. `hub inbox list --kind proposal` shows those there are"
            )
        if row.kind is ProposalKind.CREATE or row.log_id is None:
            raise CannotDecide(f"Proposal {proposal_id} ({row.kind}) is decided in the systems themselves")
        return row, self.tenant.logs.load(tx, row.log_id)

    # --- two logs that are one -----------------------------------------------------------------------------------

    def _join(self, tx: Transaction, donor: StoredLog, into: str) -> str:
        """Move all records of a log to another log of the same person, and close the emptied one as merged."""
        tenant, now = self.tenant, self.tenant.now()
        if asked := Rights(self._number).cases(tx, donor.log_id, everything=donor.decided.restricted):
            raise CannotDecide(
                f"The log has a case that does not follow it to another: see `hub rights show {asked[0].case_id}`"
            )
        target = tenant.logs.load(tx, self._other_log(tx, donor, into))
        if mixed := (*donor.decided.mixed, *target.decided.mixed):
            raise CannotDecide(f"One of the logs may be about two persons ({mixed[0].reason}). Decide on that first")
        shared = {side.connection for side in donor.sides} & {side.connection for side in target.sides}
        if shared:
            raise CannotDecide(f"Both logs have a record in {min(shared)}. Close one of them there first")
        self._end_deliveries(tx, donor)
        for side in donor.sides:
            target = self._moved(tx, target, side)
            tenant.logs.drop_keys(tx, donor.log_id, side.connection)
        said = self._relabelled(donor, target)
        target = replace(target, log=_as_limited(target.log, said), agreed=remembered(target.agreed, said))
        target = remerge(tenant, tx, target, now)
        for side in target.sides:
            tenant.logs.save_side(tx, target, side, None, now)
        self._leave(tx, donor.log_id, Action.LOG_JOINED, into=target.log_id)
        return target.log_id

    def _other_log(self, tx: Transaction, donor: StoredLog, into: str) -> str:
        logs = self.tenant.logs
        subject = logs.subject_hash(donor.log.subject.national_id)
        rows = logs.of_subjects(tx, [subject] if subject else [])
        found = sorted({row.log_id for row in rows if row.status in OPEN_STATUS} - {donor.log_id})
        if into:
            found = [log_id for log_id in found if log_id == into]
        if not found:
            raise CannotDecide("There is no such open log of the same person. Refuse the proposal")
        if len(found) > 1:
            raise CannotDecide(f"There are several open logs. Name one with --into: {', '.join(found)}")
        return str(found[0])

    def _moved(self, tx: Transaction, target: StoredLog, side: Side) -> StoredLog:
        """Take one system's record into a log as if it came anew: nothing is agreed with it yet."""
        connection = self._configured(side.connection)
        record = SourceRecord(side.foreign_id, side.foreign_version, side.record, side.original)
        read = connection.mapping.read(side.record)
        return take_in(self.tenant, connection, tx, target, record, read, side.change_hash)

    def _configured(self, name: str) -> Connection:
        connection = self.tenant.connections.get(name)
        if connection is None:
            raise CannotDecide(f"{name} is not configured any more, and its record cannot be read. Put it back first")
        return connection

    def _relabelled(self, donor: StoredLog, target: StoredLog) -> RelayLog:
        """Return what a log said, in the ids of the one that it joins: its protective facts are remembered there."""
        known = {
            (key[0], element): target.keys[name][key]
            for name, keys in donor.keys.items()
            for key, element in keys.items()
            if key in target.keys_of(name)
        }
        return in_hub_ids(donor.log, known, target.log, target.log_id, self.tenant.new_id).log

    def _end_deliveries(self, tx: Transaction, stored: StoredLog) -> None:
        """Take back what has not left of a log. Raises CannotDecide where something is on its way."""
        tenant = self.tenant
        for name in tenant.connections:
            waiting = tenant.work.open_delivery(tx, name, stored.log_id, DeliveryKind.UPDATE)
            if waiting is not None and waiting.state is not DeliveryState.READY:
                raise CannotDecide(f"Delivery {waiting.delivery_id} is on its way. Decide when its outcome is known")
            if waiting is not None:
                tenant.work.end_delivery(tx, waiting.delivery_id, DeliveryState.SUPERSEDED, tenant.now())

    def _leave(self, tx: Transaction, log_id: str, action: Action, **data: str) -> None:
        """Let go of a log that has no record any more."""
        self.tenant.inbox.leave(tx, log_id, self.tenant.now())
        Tasks(self._number, self.tenant.new_id).set(tx, log_id, (), self.tenant.now())
        self.tenant.logs.emptied(tx, log_id, self.tenant.now())
        append(tx, self._number, action, "log", log_id, "hub", self.tenant.now(), **data)

    # --- deletions -----------------------------------------------------------------------------------------------

    def _removed(self, stored: StoredLog, row: Row[Any]) -> Iterator[Removed]:
        """Yield the elements that go: the one named, or all that the services behind a lost record wrote there."""
        if row.element_id:
            yield _removal(stored, row.collection, row.element_id)
        else:
            yield from self._written_there(stored, row.connection)

    def _written_there(self, stored: StoredLog, connection: str) -> Iterator[Removed]:
        """Yield the elements that the services behind a connection wrote in its record."""
        services, side = self._configured(connection).services, stored.side(connection)
        for collection, element in side.seen.elements() if side else ():
            if element.writer in services:
                yield _removal(stored, collection, element.id, but=connection)

    def _drop_record(self, tx: Transaction, stored: StoredLog, connection: str, foreign_id: str, why: str) -> None:
        """Let a record leave a log, and the log go with the last one."""
        self._end_deliveries(tx, stored)
        self.tenant.logs.drop_record(tx, connection, foreign_id)
        self.tenant.logs.drop_keys(tx, stored.log_id, connection)
        if len(stored.sides) == 1:
            self._leave(tx, stored.log_id, Action.LOG_WIPED, reason=why)

    # --- what all decisions do -----------------------------------------------------------------------------------

    def _keep(
        self,
        tx: Transaction,
        stored: StoredLog,
        kind: str,
        subject: str,
        choice: Choice,
        who: Who,
        effect: Effect | None = None,
    ) -> None:
        new, tenant = NewDecision(kind, subject, choice, stored.log_id, effect), self.tenant
        keep(tx, self._number, stored.sealer, tenant.new_id(), new, who, tenant.now())

    def _keep_apart(self, tx: Transaction, new: NewDecision, who: Who) -> None:
        """Keep a decision that is about no log, under a key of its own."""
        tenant = self.tenant
        keep_apart(tx, self._number, tenant.logs.keys, tenant.new_id(), new, who, tenant.now())

    def _anew(self, tx: Transaction, log_id: str) -> None:
        """Merge a log as is now decided, and have it routed whatever came of that."""
        stored = self.tenant.logs.load(tx, log_id)
        if stored.sides:
            remerge(self.tenant, tx, stored, self.tenant.now())
        self.tenant.logs.route_anew(tx, log_id)


def place_of(conflict: Row[Any]) -> Place:
    """Return the place that a conflict is about."""
    collection, _, field = conflict.path.rpartition("[].")
    return Place(collection, conflict.element_id, field)


def ends_with(hold: Row[Any]) -> str:
    """Tell what ends a hold that nobody may release; where the reason would reveal something, without telling it."""
    if hold.revealing:
        return "What it rests on must change in the system that says so; the role it is addressed to knows what that is"
    return f"It ends by itself when {hold.releases_when}"


def _overruled(stored: StoredLog, connection: str, place: Place) -> Side:
    """Return a side as if it had not known what is agreed: then its present value is no answer to the decision."""
    side = next(one for one in stored.sides if one.connection == connection)
    if side.sent is None:
        return side
    sent, said = flatten(side.sent), flatten(side.seen)
    return replace(side, sent=unflatten({**sent, place: said[place]})) if place in sent else side


def _removal(stored: StoredLog, collection: str, element_id: str, but: str = "") -> Removed:
    """Return an element's removal over what the systems hold of it now, save the one named."""
    over = {
        side.connection: element.model_dump(mode="json")
        for side in stored.sides
        for element in getattr(side.seen, collection)
        if element.id == element_id and side.connection != but
    }
    return Removed(collection=collection, element=element_id, over=over)


def _as_limited(log: RelayLog, joining: RelayLog) -> RelayLog:
    """Return a log with what limits who reads the one that joins it, so that nothing opens more by their being one."""
    held = no_looser(joining, log, (), {}).log
    there = {element.id for _, element in held.elements()}
    lists = {
        name: (*getattr(held, name), *(each for each in getattr(joining, name) if each.id not in there))
        for name in COLLECTIONS
        if name != "guardians"  # those who are known in one of the two are not confirmed in the other
    }
    return held.model_copy(update=lists)


def _exchanged(side: Side | None, row: Row[Any]) -> bool:
    """Tell whether an element that is proposed as deleted stood in a system when it was last exchanged with."""
    held = getattr(side.base, row.collection, ()) if side else ()
    return any(element.id == row.element_id for element in held)


def _without(side: Side, collection: str, element_id: str) -> Side:
    """Return a side that was never exchanged an element: it will be written there as a new one."""

    def less(log: RelayLog | None) -> RelayLog | None:
        kept = tuple(each for each in getattr(log, collection, ()) if each.id != element_id)
        return log and log.model_copy(update={collection: kept})

    return replace(side, base=less(side.base), sent=less(side.sent))
