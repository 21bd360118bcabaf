"""Deliver: send what was written down, with proof, and never claim more than the receiver did.

The plan is made again just before bytes leave; if it is another, the delivery is superseded and routed anew. What the
receiver answers is read, and that is what is agreed. After a lost answer the receiver's own way decides: the same key
again, a look first, or a person.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import (
    Accepted,
    BadAnswer,
    ConnectorError,
    KeyUsed,
    Misconfigured,
    OutcomeUnknown,
    Outgoing,
    SourceRecord,
    Stale,
    Unavailable,
    Waiting,
)
from hub.mappings.language import MappingError
from hub.relaylog.merge import Merged, empty, flatten
from hub.relaylog.model import Frozen, RelayLog
from hub.store.connections import ConnectionState, stop_of
from hub.store.leases import DELIVERIES, LEASE, Lease, LeaseLost, at_work, claim, claim_row, guard, put_back
from hub.store.logs import Opened, Side, StoredLog
from hub.store.tables import DeliveryState
from hub.store.work import INTERNAL_ERROR, OUTCOME_UNKNOWN, STALE
from hub.sync.admit import Admission, Admitter, merged_of
from hub.sync.agree import Sending, agree
from hub.sync.context import Connection, Tenant
from hub.sync.gate import waiting
from hub.sync.identity import in_hub_ids, in_own_keys
from hub.sync.route import Router, plan, view_hash
from hub.sync.sent import held_before, in_keys, kept_payload, sent_as
from hub.sync.trouble import STORE_TROUBLE

_log = structlog.get_logger(__name__)

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=12))


IN_QUARANTINE = Stale("record_in_quarantine", "the record there is in quarantine", "`hub inbox list` names it")
BROKEN = OutcomeUnknown(INTERNAL_ERROR, "a mistake in the hub", "Report it with the delivery's id")


class Outcome(StrEnum):
    """What became of one attempt at a delivery."""

    SENT = "sent"
    SUPERSEDED = "superseded"
    LATER = "later"
    UNKNOWN = "unknown"
    HELD = "held"
    FAILED = "failed"
    TAKEN = "taken"


@dataclass(frozen=True)
class _Attempt(Sending):
    """One attempt: what is sent, the row that it was written down in, and the log as it stands."""

    row: Row[Any]
    stored: StoredLog
    opened: Opened
    again: bool = False
    """Whether it may be sent though it may have arrived before."""


class Deliverer:
    """Sends the due deliveries of one tenant."""

    def __init__(self, tenant: Tenant, owner: str) -> None:
        self._tenant = tenant
        self._owner = owner

    def deliver(self, delivery_id: str) -> Outcome:
        """Make one attempt at a delivery, or leave it to whoever has it. A mistake of ours ends this delivery alone."""
        lease: Lease | None = None
        try:
            prepared = self._prepare(delivery_id)
            if isinstance(prepared, Outcome):
                return prepared
            lease, attempt = prepared
            with at_work(lease):
                return self._attempt(lease, attempt)
        except LeaseLost:
            return Outcome.TAKEN
        except STORE_TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 - the others go on
            _log.error("sync:delivery:internal_error", delivery=delivery_id, exc_info=error)
            return self._broken(delivery_id, lease)

    def _attempt(self, lease: Lease, attempt: _Attempt) -> Outcome:
        connection = self._tenant.connections[attempt.row.connection]
        if attempt.row.state is not DeliveryState.UNKNOWN or attempt.again:
            return self._send(lease, connection, attempt)
        if connection.connector.repeat == "never":
            return self._hold(lease, OUTCOME_UNKNOWN)
        return self._look_up(lease, connection, attempt)

    def _prepare(self, delivery_id: str) -> tuple[Lease, _Attempt] | Outcome:
        """Take a delivery and plan again what is sent. Another plan than was written down, or a stop, ends it."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            taken = claim_row(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
            if taken is None:
                return Outcome.TAKEN
            lease, row = taken
            if row.connection not in tenant.connections:
                self._end(tx, lease, DeliveryState.FAILED, error_class="not_configured")
                return Outcome.FAILED
            if stop := stop_of(ConnectionState(tenant.organisation_number, row.connection).read(tx), now):
                return self._wait(tx, lease, row.state, waiting(stop))
            connection = tenant.connections[row.connection]
            attempt = self._planned(tx, row, connection)
            if attempt is None:
                self._end(tx, lease, DeliveryState.SUPERSEDED)
                return Outcome.SUPERSEDED
            as_written = view_hash(tenant, attempt.side, attempt.planned) == row.view_hash
            if row.state is DeliveryState.UNKNOWN:
                return lease, self._again(tx, lease, connection, attempt, as_written=as_written)
            if not attempt.planned.stops and as_written:
                if tenant.inbox.quarantined(tx, connection.id, [attempt.side.foreign_id]):  # and would be written over
                    return self._put_off(tx, lease, row, row.state, IN_QUARANTINE)
                tenant.work.mark_sending(tx, lease.row_id, now)
                return lease, attempt
            self._end(tx, lease, DeliveryState.SUPERSEDED)
            tenant.logs.route_anew(tx, row.log_id)  # also where this process ends here
        Router(tenant).route([row.log_id])
        return Outcome.SUPERSEDED

    def _planned(self, tx: Transaction, row: Row[Any], connection: Connection) -> _Attempt | None:
        """Return the attempt as it would be made now; None where the system has no record any more."""
        tenant, day, opened = self._tenant, self._tenant.today(), Opened()
        stored = tenant.logs.load(tx, row.log_id, opened)
        side = stored.side(connection.id)
        if side is None:
            return None
        merged = merged_of(tenant, stored)
        planned = plan(connection, side, merged, stored.keys_of(connection.id), day, tenant.rules(day))
        held = {other.connection: other.seen for other in stored.sides}
        return _Attempt(side, merged, planned, held, row, stored, opened)

    def _again(
        self, tx: Transaction, lease: Lease, connection: Connection, attempt: _Attempt, *, as_written: bool
    ) -> _Attempt:
        """Return an attempt at what may have arrived, as it was sent, and whether it may be sent once more.

        It passes the gates again: what is stopped now, or withheld in part, is not sent, but looked up.
        """
        sent = attempt if as_written else self._as_sent(attempt)
        if connection.connector.repeat != "key" or attempt.planned.stops or _withholds(attempt, sent.planned.view):
            return sent
        self._tenant.work.mark_sending(tx, lease.row_id, self._tenant.now())
        return replace(sent, again=True)

    def _as_sent(self, attempt: _Attempt) -> _Attempt:
        """Return an attempt with what was sent, where the log has moved on since: that is what is looked for.

        What the other systems held then is not kept; they are agreed with where they hold what was sent. What the
        receiver held is kept: an edit of its own that was only sent back is told from what was news to it.
        """
        row, side = attempt.row, attempt.side
        view, cleared = kept_payload(attempt.stored, row)
        keys = attempt.stored.keys_of(row.connection)
        mapping = self._tenant.connections[row.connection].mapping
        own = in_own_keys(view, keys)
        after = mapping.write(side.record, own, clear=in_keys(cleared, keys))
        planned = replace(attempt.planned, view=view, cleared=cleared, after=after)
        merged = _without_its_echo(attempt.merged, row.connection, view)
        held = {name: _of_what_stands_in(seen, view) for name, seen in attempt.held.items()}
        held[row.connection] = held_before(attempt.stored, row)
        return replace(attempt, merged=merged, planned=planned, held=held)

    def _send(self, lease: Lease, connection: Connection, attempt: _Attempt) -> Outcome:
        before, row = _as_delivered(attempt.side), attempt.row
        unsent = row.state  # what it falls back to where nothing of this attempt has left
        try:
            accepted = connection.connector.update(Outgoing(before, attempt.planned.after, row.idempotency_key))
        except (OutcomeUnknown, BadAnswer) as error:  # from no answer nothing may be concluded, refusal least of all
            if connection.connector.repeat == "never":
                return self._hold(lease, OUTCOME_UNKNOWN)
            return self._later(lease, row, DeliveryState.UNKNOWN, error)
        except Unavailable as error:
            return self._later(lease, row, unsent, error)
        except KeyUsed:
            return self._look_up(lease, connection, attempt, arrived=True)
        except Stale as error:
            if unsent is DeliveryState.UNKNOWN:  # what is newer there may be this very change
                return self._look_up(lease, connection, attempt)
            return self._read_again(lease, connection, attempt, error)
        except Misconfigured as error:
            if unsent is DeliveryState.UNKNOWN:
                return self._later(lease, row, unsent, error)
            return self._hold(lease, error.code)
        except ConnectorError as error:
            if unsent is DeliveryState.UNKNOWN:  # this says nothing of the attempt whose answer was lost
                return self._look_up(lease, connection, attempt)
            return self._failed(lease, error.code)
        return self._received(lease, connection, attempt, accepted)

    def _received(self, lease: Lease, connection: Connection, attempt: _Attempt, accepted: Accepted) -> Outcome:
        """Write down the receipt, and agree on what the receiver now holds."""
        tenant, record = self._tenant, accepted.record
        try:
            read = connection.mapping.read(record.tree)
        except MappingError:
            return self._failed(lease, "answer_unreadable")
        with tenant.db.write() as tx:
            receipt = accepted.reference[:200]
            self._end(tx, lease, DeliveryState.DONE, receipt_ref=receipt, error_class=None)
            stored = tenant.logs.load(tx, attempt.row.log_id, attempt.opened)
            change_hash = tenant.logs.change_hash(connection.mapping.stable(record.tree))
            agree(tenant, tx, connection, stored, attempt, record, read, change_hash)
        return Outcome.SENT

    def _look_up(self, lease: Lease, connection: Connection, attempt: _Attempt, *, arrived: bool = False) -> Outcome:
        """See at the receiver whether a change of unknown outcome was taken in; if not, it may go again.

        What stands there decides, not its version: a pull may have read the change since. One that is known to have
        `arrived` is done also where somebody has written over it. Where nobody can ever look, a person does.
        """
        try:
            found = connection.connector.fetch(attempt.side.foreign_id)
        except ConnectorError as error:
            if error.code == "cannot_look_up":  # nor will it ever be: a record that is not there may come back
                return self._hold(lease, OUTCOME_UNKNOWN)
            return self._later(lease, attempt.row, DeliveryState.UNKNOWN, error)
        receipt = f"looked-up@{found.version}"
        if self._is_in(connection, attempt, found):
            return self._received(lease, connection, attempt, Accepted(found, receipt))
        if arrived:
            return self._take_newer(lease, connection, attempt, found, receipt)
        if found.version == attempt.side.foreign_version:
            return self._later(lease, attempt.row, DeliveryState.READY, None)
        return self._take_newer(lease, connection, attempt, found)

    def _is_in(self, connection: Connection, attempt: _Attempt, found: SourceRecord) -> bool:
        """Tell whether writing the view on a record would change nothing: it is there."""
        tenant, stored = self._tenant, attempt.stored
        try:
            read = connection.mapping.read(found.tree)
        except MappingError:
            return False
        sent = sent_as(connection, stored, attempt.side, attempt.planned.view, attempt.planned.cleared)
        known = stored.keys_of(connection.id)
        keys = {**known, **in_hub_ids(read, known, sent.log, stored.log_id, tenant.new_id, sent.shown).new_keys}
        own = in_own_keys(attempt.planned.view, keys)
        clear = in_keys(attempt.planned.cleared, keys)
        return connection.mapping.write(found.tree, own, clear=clear) == found.tree

    def _read_again(self, lease: Lease, connection: Connection, attempt: _Attempt, stale: Stale) -> Outcome:
        try:
            found = connection.connector.fetch(attempt.side.foreign_id)
        except ConnectorError as error:
            return self._later(lease, attempt.row, DeliveryState.READY, error)
        if found.version == attempt.side.foreign_version:  # nothing newer is there: somebody may have it open
            return self._later(lease, attempt.row, DeliveryState.READY, stale)
        return self._take_newer(lease, connection, attempt, found)

    def _take_newer(
        self, lease: Lease, connection: Connection, attempt: _Attempt, found: SourceRecord, receipt: str = ""
    ) -> Outcome:
        """The record changed under the change, or after it where there is a receipt: take it in and route anew.

        Nothing is agreed on by that, so that what was written over the change is merged as any other edit. A record
        that cannot be taken in lies in quarantine, and keeps the change waiting until it can.
        """
        tenant, now = self._tenant, self._tenant.now()
        admitter = Admitter(tenant, connection, run_id=None)
        with tenant.db.write() as tx:
            guard(tx, lease)
            taken = admitter.page(tx, (found,), now)
            stored = tenant.logs.load(tx, attempt.row.log_id)
            side = stored.side(connection.id)
            if side is not None and taken[Admission.UNCHANGED]:  # only its version is new: the next change names it
                newer = replace(side, foreign_version=found.version, record=found.tree)
                tenant.logs.save_side(tx, stored, newer, None, now)
            if receipt:
                self._end(tx, lease, DeliveryState.DONE, receipt_ref=receipt[:200], error_class=None)
            elif not admitter.refused:
                self._end(tx, lease, DeliveryState.SUPERSEDED, error_class=STALE)
            if receipt or not admitter.refused:
                tenant.logs.route_anew(tx, attempt.row.log_id)  # also where this process ends here
        if admitter.refused and not receipt:
            return self._later(lease, attempt.row, DeliveryState.READY, IN_QUARANTINE)
        Router(tenant).route([attempt.row.log_id])
        return Outcome.SENT if receipt else Outcome.SUPERSEDED

    def _later(self, lease: Lease, row: Row[Any], state: DeliveryState, error: ConnectorError | None) -> Outcome:
        with self._tenant.db.write() as tx:
            return self._put_off(tx, lease, row, state, error)

    def _put_off(
        self, tx: Transaction, lease: Lease, row: Row[Any], state: DeliveryState, error: ConnectorError | None
    ) -> Outcome:
        """Put an attempt off; one that fails after the last pause leaves the delivery held for a person."""
        now, number = self._tenant.now(), row.attempts
        if isinstance(error, Waiting):
            return self._wait(tx, lease, state, error)
        asked = error.retry_after if isinstance(error, Unavailable) else None
        pause = (asked or PAUSES[min(number, len(PAUSES)) - 1]) if error else timedelta()
        if error and number > len(PAUSES) and state is DeliveryState.READY:
            state = DeliveryState.HELD
        self._end(tx, lease, state, due_at=now + pause, error_class=error.code if error else None)
        return {DeliveryState.HELD: Outcome.HELD, DeliveryState.UNKNOWN: Outcome.UNKNOWN}.get(state, Outcome.LATER)

    def _wait(self, tx: Transaction, lease: Lease, state: DeliveryState, error: Waiting) -> Outcome:
        """Give a delivery back untried: that counts as no attempt."""
        put_back(tx, lease, state=state, due_at=error.until, error_class=error.code)
        return Outcome.LATER

    def _broken(self, delivery_id: str, lease: Lease | None) -> Outcome:
        """End an attempt that a mistake of ours broke off; where bytes may have left, its outcome is unknown."""
        now = self._tenant.now()
        try:
            with self._tenant.db.write() as tx:
                if lease is None:  # it broke off before it was anybody's
                    lease = claim(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
                row = self._tenant.work.delivery(tx, delivery_id)
            if lease is None:
                return Outcome.TAKEN
            if row.state is DeliveryState.READY:
                return self._hold(lease, INTERNAL_ERROR)
            return self._later(lease, row, DeliveryState.UNKNOWN, BROKEN)
        except LeaseLost:
            return Outcome.TAKEN

    def _hold(self, lease: Lease, code: str) -> Outcome:
        with self._tenant.db.write() as tx:
            self._end(tx, lease, DeliveryState.HELD, error_class=code)
        return Outcome.HELD

    def _failed(self, lease: Lease, code: str) -> Outcome:
        with self._tenant.db.write() as tx:
            self._end(tx, lease, DeliveryState.FAILED, error_class=code)
        return Outcome.FAILED

    def _end(self, tx: Transaction, lease: Lease, state: DeliveryState, **values: object) -> None:
        self._tenant.work.end_attempt(tx, lease, state, self._tenant.now(), **values)


def _withholds(today: _Attempt, sent: RelayLog) -> bool:
    """Tell whether what was sent says anything that would not be sent now: where nothing is open, or in dispute.

    A text that was corrected where it is still open is no secret, and emptying a place tells nothing.
    """
    before, disputed = flatten(sent), {conflict.place for conflict in today.merged.conflicts}
    now = {
        place: value
        for place, value in flatten(today.planned.view).items()
        if place not in disputed or value == before.get(place)
    }
    return any(_says_more(value, now.get(place)) for place, value in before.items())


def _says_more(before: object, now: object) -> bool:
    """Tell whether a value says something where another says nothing; a person or a closing may do so in part."""
    if isinstance(before, Frozen):
        return any(_says_more(value, getattr(now, name, None)) for name, value in before.__dict__.items())
    return not empty(before) and empty(now)


def _without_its_echo(merged: Merged, connection: str, view: RelayLog) -> Merged:
    """Return what was merged without the disputes in which a system only says what it was sent."""
    sent = flatten(view)
    disputed = (each for each in merged.conflicts if each.values.get(connection) != sent.get(each.place))
    return replace(merged, conflicts=tuple(disputed))


def _of_what_stands_in(seen: RelayLog, view: RelayLog) -> RelayLog:
    """Return a view without the elements that a system does not hold: it can neither know them nor have lost them."""
    theirs = {(collection, element.id) for collection, element in seen.elements()}
    lists = {
        name: tuple(each for each in getattr(view, name) if (name, each.id) in theirs)
        for name in {collection for collection, _ in view.elements()}
    }
    return view.model_copy(update=lists)


def _as_delivered(side: Side) -> SourceRecord:
    return SourceRecord(side.foreign_id, side.foreign_version, side.record, side.original)
