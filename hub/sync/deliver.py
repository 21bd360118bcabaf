"""Deliver: send what was written down, with proof, and never claim more than the receiver did.

The plan is made again just before bytes leave; if it is another, the delivery is superseded and routed anew. What the
receiver answers is read, and that is what is agreed. A lost answer is looked up before anything is sent again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import (
    Accepted,
    BadAnswer,
    ConnectorError,
    OutcomeUnknown,
    Outgoing,
    SourceRecord,
    Stale,
    Unavailable,
)
from hub.mappings.language import MappingError
from hub.relaylog.merge import Exchange, Merged, Place
from hub.relaylog.model import COLLECTIONS, RelayLog
from hub.store.leases import DELIVERIES, Lease, claim, guard, release
from hub.store.logs import Side, StoredLog
from hub.store.tables import DeliveryState
from hub.sync.admit import Admission, Admitter, merged_of, remerge, take_in
from hub.sync.context import Connection, Tenant
from hub.sync.identity import in_hub_ids, in_own_keys
from hub.sync.route import Plan, Router, acknowledged, in_keys, plan, view_hash

LEASE = timedelta(minutes=5)
PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=12))


class Outcome(StrEnum):
    """What became of one attempt at a delivery."""

    SENT = "sent"
    SUPERSEDED = "superseded"
    LATER = "later"
    UNKNOWN = "unknown"
    FAILED = "failed"
    TAKEN = "taken"


@dataclass(frozen=True)
class _Attempt:
    """One attempt: the row, the log as it stands, what is sent, and what the other systems held when it was made."""

    row: Row[Any]
    stored: StoredLog
    side: Side
    merged: Merged
    planned: Plan
    held: Mapping[str, RelayLog]


class Deliverer:
    """Sends the due deliveries of one tenant."""

    def __init__(self, tenant: Tenant, owner: str) -> None:
        self._tenant = tenant
        self._owner = owner

    def deliver(self, delivery_id: str) -> Outcome:
        """Make one attempt at a delivery, or leave it to whoever has it."""
        now = self._tenant.now()
        with self._tenant.db.write() as tx:
            lease = claim(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
        if lease is None:
            return Outcome.TAKEN
        attempt = self._prepare(lease)
        if isinstance(attempt, Outcome):
            return attempt
        connection = self._tenant.connections[attempt.row.connection]
        if attempt.row.state is DeliveryState.UNKNOWN:
            return self._look_up(lease, connection, attempt)
        return self._send(lease, connection, attempt)

    def _prepare(self, lease: Lease) -> _Attempt | Outcome:
        """Plan again what is sent. Another plan than the one written down, or a stop, ends this delivery."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            guard(tx, lease)
            row = tenant.work.delivery(tx, lease.row_id)
            stored = tenant.logs.load(tx, row.log_id)
            connection = tenant.connections[row.connection]
            side = stored.side(connection.id)
            if side is None:
                self._end(tx, lease, DeliveryState.SUPERSEDED)
                return Outcome.SUPERSEDED
            merged = merged_of(tenant, stored)
            keys = tenant.logs.element_keys(tx, connection.id, stored.log_id)
            day = tenant.today()
            planned = plan(connection, side, merged, keys, day, tenant.rules(day))
            held = {other.connection: other.seen for other in stored.sides}
            as_written = view_hash(tenant, side, planned) == row.view_hash
            if row.state is DeliveryState.UNKNOWN:
                attempt = _Attempt(row, stored, side, merged, planned, held)
                return attempt if as_written else _as_sent(attempt)
            if not planned.stops and as_written:
                tenant.work.mark_sending(tx, lease.row_id, now)
                return _Attempt(row, stored, side, merged, planned, held)
            self._end(tx, lease, DeliveryState.SUPERSEDED)
        Router(tenant).route([row.log_id])
        return Outcome.SUPERSEDED

    def _send(self, lease: Lease, connection: Connection, attempt: _Attempt) -> Outcome:
        before = _as_delivered(attempt.side)
        try:
            accepted = connection.connector.update(Outgoing(before, attempt.planned.after, attempt.row.idempotency_key))
        except (OutcomeUnknown, BadAnswer) as error:  # from no answer nothing may be concluded, refusal least of all
            return self._later(lease, attempt.row, DeliveryState.UNKNOWN, Outcome.UNKNOWN, error)
        except Unavailable as error:
            return self._later(lease, attempt.row, DeliveryState.READY, Outcome.LATER, error)
        except Stale as error:
            return self._read_again(lease, connection, attempt, error)
        except ConnectorError as error:
            return self._failed(lease, error.code)
        return self._received(lease, connection, attempt, accepted)

    def _received(self, lease: Lease, connection: Connection, attempt: _Attempt, accepted: Accepted) -> Outcome:
        """Write down the receipt, and agree on what the receiver now holds."""
        tenant, now = self._tenant, self._tenant.now()
        record = accepted.record
        try:
            read = connection.mapping.read(record.tree)
        except MappingError:
            return self._failed(lease, "answer_unreadable")
        with tenant.db.write() as tx:
            guard(tx, lease)
            stored = tenant.logs.load(tx, attempt.stored.log_id)
            change_hash = tenant.logs.change_hash(connection.mapping.stable(record.tree))
            view = attempt.planned.view
            stored = take_in(tenant, connection, tx, stored, record, read, change_hash, _over(stored.log, view))
            side = stored.side(connection.id)
            if side is not None:
                exchange = Exchange(connection.id, view, side.seen, attempt.planned.cleared, attempt.held)
                stored = acknowledged(tenant, stored, attempt.merged, exchange)
            for changed in stored.sides:
                tenant.logs.save_side(tx, stored, changed, None, now)
            remerge(tenant, tx, stored, now)
            tenant.work.end_delivery(
                tx, lease.row_id, DeliveryState.DONE, now, receipt_ref=accepted.reference[:200], error_class=None
            )
            release(tx, lease)
        return Outcome.SENT

    def _look_up(self, lease: Lease, connection: Connection, attempt: _Attempt) -> Outcome:
        """See at the receiver whether a change of unknown outcome was taken in; if not, it may go again."""
        try:
            found = connection.connector.fetch(attempt.side.foreign_id)
        except ConnectorError as error:
            return self._later(lease, attempt.row, DeliveryState.UNKNOWN, Outcome.UNKNOWN, error)
        if found.version == attempt.side.foreign_version:
            return self._later(lease, attempt.row, DeliveryState.READY, Outcome.LATER, None)
        if self._is_in(connection, attempt, found):
            return self._received(lease, connection, attempt, Accepted(found, reference=f"looked-up@{found.version}"))
        return self._take_newer(lease, connection, attempt, found)

    def _is_in(self, connection: Connection, attempt: _Attempt, found: SourceRecord) -> bool:
        """Tell whether writing the view on a record would change nothing: it is there."""
        tenant, stored = self._tenant, attempt.stored
        try:
            read = connection.mapping.read(found.tree)
        except MappingError:
            return False
        with tenant.db.read() as tx:
            keys = tenant.logs.element_keys(tx, connection.id, stored.log_id)
        log = _over(stored.log, attempt.planned.view)
        keys |= in_hub_ids(read, keys, log, stored.log_id, tenant.new_id).new_keys
        own, clear = in_own_keys(attempt.planned.view, keys), in_keys(attempt.planned.cleared, keys)
        return connection.mapping.write(found.tree, own, clear=clear) == found.tree

    def _read_again(self, lease: Lease, connection: Connection, attempt: _Attempt, stale: Stale) -> Outcome:
        try:
            found = connection.connector.fetch(attempt.side.foreign_id)
        except ConnectorError as error:
            return self._later(lease, attempt.row, DeliveryState.READY, Outcome.LATER, error)
        if found.version == attempt.side.foreign_version:  # nothing newer is there: somebody may have it open
            return self._later(lease, attempt.row, DeliveryState.READY, Outcome.LATER, stale)
        return self._take_newer(lease, connection, attempt, found)

    def _take_newer(self, lease: Lease, connection: Connection, attempt: _Attempt, found: SourceRecord) -> Outcome:
        """The record changed under the change: take it in, merge, and route anew."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            guard(tx, lease)
            taken = Admitter(tenant, connection, run_id=None).page(tx, (found,), now)
            stored = tenant.logs.load(tx, attempt.row.log_id)
            side = stored.side(connection.id)
            if side is not None and taken[Admission.UNCHANGED]:  # only its version is new: the next change names it
                newer = replace(side, foreign_version=found.version, record=found.tree)
                tenant.logs.save_side(tx, stored, newer, None, now)
            self._end(tx, lease, DeliveryState.SUPERSEDED, error_class="stale")
        Router(tenant).route([attempt.row.log_id])
        return Outcome.SUPERSEDED

    def _later(
        self, lease: Lease, row: Row[Any], state: DeliveryState, outcome: Outcome, error: ConnectorError | None
    ) -> Outcome:
        """Put an attempt off; after the last pause the delivery is held for a person."""
        now = self._tenant.now()
        asked = error.retry_after if isinstance(error, Unavailable) else None
        out_of_pauses = row.attempts > len(PAUSES)
        pause = (asked or PAUSES[min(row.attempts, len(PAUSES)) - 1]) if error else timedelta()
        with self._tenant.db.write() as tx:
            guard(tx, lease)
            code = error.code if error else None
            held = DeliveryState.HELD if out_of_pauses and state is DeliveryState.READY else state
            self._tenant.work.end_delivery(tx, lease.row_id, held, now, due_at=now + pause, error_class=code)
            release(tx, lease)
        return outcome

    def _failed(self, lease: Lease, code: str) -> Outcome:
        with self._tenant.db.write() as tx:
            guard(tx, lease)
            self._end(tx, lease, DeliveryState.FAILED, error_class=code)
        return Outcome.FAILED

    def _end(self, tx: Transaction, lease: Lease, state: DeliveryState, error_class: str | None = None) -> None:
        self._tenant.work.end_delivery(tx, lease.row_id, state, self._tenant.now(), error_class=error_class)
        release(tx, lease)


def _as_sent(attempt: _Attempt) -> _Attempt:
    """Return an attempt with what was sent, where the log has moved on since: that is what is looked for.

    What the other systems held then is not kept; they are agreed with where they hold what was sent.
    """
    name = f"deliveries.sealed_payload/{attempt.row.delivery_id}"
    sent = json.loads(attempt.stored.sealer.open(name, attempt.row.sealed_payload))
    view = RelayLog.model_validate(sent["view"])
    cleared = frozenset(Place(*place) for place in sent["cleared"])
    planned = replace(attempt.planned, view=view, cleared=cleared)
    return replace(attempt, planned=planned, held=dict.fromkeys(attempt.held, view))


def _over(log: RelayLog, view: RelayLog) -> RelayLog:
    """Return a log with its elements as they were sent: by those the receiver's new ones are recognised."""
    lists = {}
    for name in COLLECTIONS:
        sent = getattr(view, name)
        ids = {element.id for element in sent}
        lists[name] = (*sent, *(element for element in getattr(log, name) if element.id not in ids))
    return log.model_copy(update=lists)


def _as_delivered(side: Side) -> SourceRecord:
    return SourceRecord(side.foreign_id, side.foreign_version, side.record, side.original)
