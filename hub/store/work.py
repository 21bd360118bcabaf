"""Runs, cursors, deliveries and packages as rows: work that is written down before it begins, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, exists, func, insert, or_, select, update

from hub.relaylog.archiving import GOING_ON, PERIODIC_KEY, is_periodic
from hub.relaylog.codes import LogStatus
from hub.store.connections import StopCode
from hub.store.database import upsert
from hub.store.events import Action, append, append_all
from hub.store.leases import Lease, release
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    HoldState,
    RunState,
    archived,
    connection_state,
    cursors,
    deliveries,
    holds,
    log_keys,
    logs,
    packages,
    records,
    runs,
)

ACTOR = "hub"
OUTCOME_UNKNOWN = "outcome_unknown"
"""Error class of a delivery that is held because nobody knows whether it was taken in, and nobody but a person can."""

STALE = "stale"
"""Error class of a change whose record was newer at the receiver."""

INTERNAL_ERROR = "internal_error"
"""Error class of what failed in a way that nobody thought of: a mistake in the hub."""

WORKER_DIED = "worker_died"
"""Error class of a row whose worker stopped in the middle of it again and again: it may be the row that ends it."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By how much the clocks of two machines may differ; what was written later than that is of one that is wrong."""

STANDING_DELIVERY = (DeliveryState.READY, DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.HELD)
"""States of a delivery that is not ended. One that is held waits for a person, or for its system to work again."""

OF_A_CLOSING = ~packages.c.external_key.startswith(PERIODIC_KEY)
"""Holds for a package of a closed log; one of a log that went on says nothing of its end."""

PROVED_CLOSINGS = archived.join(
    packages,
    and_(
        packages.c.tenant == archived.c.tenant,
        packages.c.log_id == archived.c.log_id,
        packages.c.revision == archived.c.revision,
        OF_A_CLOSING,
    ),
)
"""The proofs that an archive has a closing, each with its package."""

DELIVERY_EVENTS = {
    DeliveryState.DONE: Action.DELIVERY_DONE,
    DeliveryState.UNKNOWN: Action.DELIVERY_UNKNOWN,
    DeliveryState.SUPERSEDED: Action.DELIVERY_SUPERSEDED,
    DeliveryState.FAILED: Action.DELIVERY_FAILED,
    DeliveryState.HELD: Action.DELIVERY_HELD,
    DeliveryState.READY: Action.DELIVERY_READY,
}


@dataclass(frozen=True)
class NewDelivery:
    """A change to send or a package to archive: to whom, what, made from which version by which mapping."""

    delivery_id: str
    connection: str
    log_id: str
    kind: DeliveryKind
    sealed_payload: bytes
    view_hash: str
    log_version: int
    mapping: str | None = None
    mapping_version: int | None = None


def gives_way(standing: Row[Any]) -> bool:
    """Tell whether a delivery that is not ended may be superseded: surely nothing of it has left."""
    if standing.state is DeliveryState.HELD:
        return bool(standing.error_class != OUTCOME_UNKNOWN)
    return standing.state is DeliveryState.READY


class WorkStore:
    """The work of one tenant."""

    def __init__(self, tenant: str, new_id: Callable[[], str]) -> None:
        self._tenant = tenant
        self._new_id = new_id

    # --- runs and cursors ----------------------------------------------------------------------------------------

    def queue_run(
        self, tx: Connection, connection: str, occurrence: str, why: str, planned_at: datetime, now: datetime
    ) -> str | None:
        """Write down a run before it begins; None when this occurrence is written down already."""
        run_id = self._new_id()
        row = {
            "run_id": run_id,
            "tenant": self._tenant,
            "connection": connection,
            "occurrence": occurrence,
            "planned_at": planned_at,
            "why": why,
            "state": RunState.QUEUED,
            "counts": {},
            "queued_at": now,
            "due_at": now,
            "attempts": 0,
            "fence": 0,
        }
        known = (runs.c.tenant == self._tenant, runs.c.connection == connection, runs.c.occurrence == occurrence)
        foreseen = and_(runs.c.state == RunState.MISSED, runs.c.queued_at > now + CLOCKS_DIFFER)
        found = tx.execute(select(runs.c.run_id, foreseen.label("foreseen")).where(*known)).first()
        if found is None:
            tx.execute(insert(runs).values(row))
        elif found.foreseen:  # a clock that was ahead took it for missed before it was due
            run_id = found.run_id
            anew = {**row, "run_id": run_id, "outcome": None, "ended_at": None}
            tx.execute(update(runs).where(runs.c.run_id == run_id).values(anew))
        else:
            return None
        append(tx, self._tenant, Action.RUN_QUEUED, "run", run_id, ACTOR, now, why=why)
        return run_id

    def miss_run(
        self,
        tx: Connection,
        connection: str,
        occurrence: str,
        why: str,
        planned_at: datetime,
        outcome: str,
        now: datetime,
    ) -> bool:
        """Write down an occurrence that will not run, and the reason (`outcome`), unless it is written down already.

        `why` is what would have started it, so that each schedule finds its own. Tells whether this call wrote it.
        """
        run_id = self.queue_run(tx, connection, occurrence, why, planned_at, now)
        if run_id is None:
            return False
        missed = update(runs).where(runs.c.run_id == run_id)
        tx.execute(missed.values(state=RunState.MISSED, outcome=outcome, ended_at=now))
        append(tx, self._tenant, Action.RUN_MISSED, "run", run_id, ACTOR, now, why=outcome)
        return True

    def why(self, tx: Connection, run_id: str) -> str:
        """Return what started a run: schedule, person, catch_up, replay, reconcile or short_listing."""
        return tx.scalar(select(runs.c.why).where(runs.c.run_id == run_id)) or ""

    def planned_until(self, tx: Connection, connection: str, whys: Collection[str], now: datetime) -> datetime | None:
        """Return the planned instant of a connection's newest occurrence that was started by these.

        What a clock that was ahead has booked of the time to come does not count: it would keep the schedule silent.
        """
        planned = and_(runs.c.why.in_(whys), runs.c.queued_at <= now + CLOCKS_DIFFER)
        where = (runs.c.tenant == self._tenant, runs.c.connection == connection, planned)
        return tx.scalar(select(func.max(runs.c.planned_at)).where(*where))

    def running(self, tx: Connection) -> bool:
        """Tell whether any run is at work: when it ends, its worker routes what it read."""
        at_work = (runs.c.tenant == self._tenant, runs.c.state == RunState.RUNNING)
        return tx.execute(select(runs.c.run_id).where(*at_work).limit(1)).first() is not None

    def open_runs(self, tx: Connection, connection: str, whys: Collection[str]) -> set[RunState]:
        """Return in which states a connection has runs that were started by these and have not ended."""
        stands = runs.c.state.in_((RunState.QUEUED, RunState.RUNNING))
        where = (runs.c.tenant == self._tenant, runs.c.connection == connection, runs.c.why.in_(whys), stands)
        return set(tx.scalars(select(runs.c.state).where(*where).distinct()))

    def hasten(self, tx: Connection, connection: str, whys: Collection[str], now: datetime) -> None:
        """Make due a run that was put off because its system did not answer, or that a clock ahead has booked.

        One that may not try yet stays so.
        """
        mine = (runs.c.tenant == self._tenant, runs.c.connection == connection, runs.c.why.in_(whys))
        may_try = func.coalesce(runs.c.error_class, "").not_in(list(StopCode))
        put_off = (runs.c.state == RunState.QUEUED, runs.c.due_at > now, may_try)
        tx.execute(update(runs).where(*mine, *put_off).values(due_at=now))

    def begin_run(self, tx: Connection, run_id: str, now: datetime) -> Row[Any]:
        """Note where a run begins, the first time, and return it as it stands."""
        row = tx.execute(select(runs).where(runs.c.run_id == run_id)).one()
        if row.attempts == 1:
            before = self.cursor(tx, row.connection)
            tx.execute(update(runs).where(runs.c.run_id == run_id).values(cursor_before=before))
        append(tx, self._tenant, Action.RUN_STARTED, "run", run_id, ACTOR, now, attempt=row.attempts)
        return row

    def note_page(self, tx: Connection, run_id: str, counts: dict[str, int], cursor: str) -> None:
        """Write what a run has done so far, and where it goes on if it stops now."""
        tx.execute(update(runs).where(runs.c.run_id == run_id).values(counts=counts, cursor_after=cursor or None))

    def counts(self, tx: Connection, run_id: str) -> dict[str, int]:
        """Return what a run has counted so far."""
        return tx.scalars(select(runs.c.counts).where(runs.c.run_id == run_id)).one()

    def cursor(self, tx: Connection, connection: str) -> str | None:
        """Return how far a connection has been read; None before its first whole run."""
        where = (cursors.c.tenant == self._tenant, cursors.c.connection == connection)
        return tx.scalar(select(cursors.c.value).where(*where))

    def move_cursor(self, tx: Connection, connection: str, value: str, now: datetime) -> None:
        """Note that everything up to a cursor is stored."""
        row = {"tenant": self._tenant, "connection": connection, "value": value, "updated_at": now}
        upsert(tx, cursors, [row], on=["tenant", "connection"])

    def succeeded(self, tx: Connection, connection: str, now: datetime) -> None:
        """Note that a whole run went well, and let what was held go on: the system takes calls again."""
        row = {"tenant": self._tenant, "connection": connection, "last_success_at": now}
        upsert(tx, connection_state, [row], on=["tenant", "connection"])
        self.let_go(tx, connection, now)

    def wake(self, tx: Connection, connection: str, now: datetime) -> None:
        """Make due at once what waited for a pause to end, and let what was held go on."""
        for table, states in ((runs, (RunState.QUEUED,)), (deliveries, (DeliveryState.READY, DeliveryState.UNKNOWN))):
            c = table.c
            where = (c.tenant == self._tenant, c.connection == connection, c.error_class == StopCode.PAUSED)
            tx.execute(update(table).where(*where, c.state.in_(states)).values(due_at=now))
        self.let_go(tx, connection, now)

    def let_go(self, tx: Connection, connection: str, now: datetime) -> None:
        """Make held deliveries ready again, with the keys that they had. Those that only a person can judge stay."""
        c = deliveries.c
        for_a_person = c.error_class.in_((OUTCOME_UNKNOWN, INTERNAL_ERROR, WORKER_DIED))
        held = (c.tenant == self._tenant, c.connection == connection, c.state == DeliveryState.HELD, ~for_a_person)
        for row in tx.execute(select(c.delivery_id).where(*held)).all():
            self.end_delivery(tx, row.delivery_id, DeliveryState.READY, now, due_at=now, attempts=0)

    # --- deliveries ----------------------------------------------------------------------------------------------

    def open_delivery(self, tx: Connection, connection: str, log_id: str, kind: DeliveryKind) -> Row[Any] | None:
        """Return the one delivery of a log to a connection that is not ended."""
        c = deliveries.c
        return tx.execute(
            select(deliveries).where(
                c.tenant == self._tenant,
                c.connection == connection,
                c.log_id == log_id,
                c.kind == kind,
                c.state.in_(STANDING_DELIVERY),
            )
        ).first()

    def of_logs(self, tx: Connection, log_ids: Collection[str], since: datetime) -> list[Row[Any]]:
        """Return the changes of logs that are not ended or failed, and those that were sent since an instant.

        Sent is what was taken in, and what met a newer record.
        """
        c = deliveries.c
        mine = (c.tenant == self._tenant, c.log_id.in_(list(log_ids)), c.kind == DeliveryKind.UPDATE)
        stale = and_(c.state == DeliveryState.SUPERSEDED, c.error_class == STALE)
        recent = and_(or_(c.state == DeliveryState.DONE, stale), c.done_at > since)
        stands = c.state.in_((*STANDING_DELIVERY, DeliveryState.FAILED))
        return list(tx.execute(select(deliveries).where(*mine, or_(stands, recent))))

    def known_deliveries(self, tx: Connection, ids: Iterable[str]) -> list[str]:
        """Return those of these ids that are a delivery's."""
        c = deliveries.c
        return list(tx.scalars(select(c.delivery_id).where(c.tenant == self._tenant, c.delivery_id.in_(list(ids)))))

    def delivered(self, tx: Connection, connection: str, log_id: str) -> bool:
        """Tell whether a log was ever written to a connection."""
        c = deliveries.c
        where = (c.tenant == self._tenant, c.connection == connection, c.log_id == log_id)
        done = (c.state == DeliveryState.DONE, c.kind != DeliveryKind.CREATE)
        return tx.execute(select(c.delivery_id).where(*where, *done).limit(1)).first() is not None

    def plans(self, tx: Connection, log_ids: Collection[str]) -> list[Row[Any]]:
        """Return the plans that people asked for after logs: those that are made, and those that may have been."""
        c = deliveries.c
        mine = (c.tenant == self._tenant, c.log_id.in_(list(log_ids)), c.kind == DeliveryKind.CREATE)
        return list(tx.execute(select(deliveries).where(*mine, c.state.in_((*STANDING_DELIVERY, DeliveryState.DONE)))))

    def add_delivery(self, tx: Connection, new: NewDelivery, now: datetime) -> None:
        """Write down a delivery before anything is sent. Its id is the key of all its attempts."""
        self.add_deliveries(tx, [new], now)

    def add_deliveries(self, tx: Connection, new: Collection[NewDelivery], now: datetime) -> None:
        """Write deliveries down, as `add_delivery` does."""
        if not new:
            return
        fixed = {"tenant": self._tenant, "state": DeliveryState.READY, "attempts": 0, "fence": 0}
        times = {"due_at": now, "created_at": now}
        rows = [{**fixed, **times, "idempotency_key": one.delivery_id, **vars(one)} for one in new]
        tx.execute(insert(deliveries), rows)
        told = [(one.delivery_id, {"log": one.log_id}) for one in new]
        append_all(tx, self._tenant, DELIVERY_EVENTS[DeliveryState.READY], "delivery", told, ACTOR, now)

    def due_deliveries(self, tx: Connection, kind: DeliveryKind, now: datetime) -> dict[str, str]:
        """Return the connection of each delivery of a kind that may be attempted now, the longest due first."""
        c = deliveries.c
        free = or_(c.lease_until.is_(None), c.lease_until <= now)
        waiting = c.state.in_((DeliveryState.READY, DeliveryState.UNKNOWN))
        where = (c.tenant == self._tenant, c.kind == kind, waiting, c.due_at <= now, free)
        due = select(c.delivery_id, c.connection).where(*where).order_by(c.due_at, c.delivery_id)
        return {row.delivery_id: row.connection for row in tx.execute(due)}

    def delivery(self, tx: Connection, delivery_id: str) -> Row[Any]:
        """Return one delivery."""
        c = deliveries.c
        return tx.execute(select(deliveries).where(c.tenant == self._tenant, c.delivery_id == delivery_id)).one()

    def end_delivery(
        self, tx: Connection, delivery_id: str, state: DeliveryState, now: datetime, **values: object
    ) -> None:
        """Write how a delivery stands that nobody is at work on; one that has ended keeps no payload."""
        mine = update(deliveries).where(deliveries.c.delivery_id == delivery_id)
        log_id = tx.scalar(mine.values(_ended(state, now) | values).returning(deliveries.c.log_id))
        if log_id:
            self._event(tx, state, delivery_id, log_id, now, values.get("error_class"))

    def end_attempt(self, tx: Connection, lease: Lease, state: DeliveryState, now: datetime, **values: object) -> None:
        """Give a delivery back and write how it stands, as `end_delivery` does. Raises LeaseLost."""
        row = release(tx, lease, **(_ended(state, now) | values))
        self._event(tx, state, lease.row_id, row.log_id, now, values.get("error_class"))

    def mark_sending(self, tx: Connection, delivery_id: str, now: datetime) -> None:
        """Note that bytes are about to leave."""
        tx.execute(_UPDATE_DELIVERY, {"of_delivery": delivery_id, "state": DeliveryState.SENDING, "sent_at": now})
        append(tx, self._tenant, Action.DELIVERY_SENT, "delivery", delivery_id, ACTOR, now)

    def _event(
        self,
        tx: Connection,
        state: DeliveryState,
        delivery_id: str,
        log_id: str,
        now: datetime,
        error_class: object = None,
    ) -> None:
        why = {"error": str(error_class)} if error_class else {}
        append(tx, self._tenant, DELIVERY_EVENTS[state], "delivery", delivery_id, ACTOR, now, log=log_id, **why)

    # --- packages and proofs -------------------------------------------------------------------------------------

    def latest_package(self, tx: Connection, log_id: str) -> Row[Any] | None:
        """Return the newest package of a log."""
        where = (packages.c.tenant == self._tenant, packages.c.log_id == log_id)
        return tx.execute(select(packages).where(*where).order_by(packages.c.revision.desc()).limit(1)).first()

    def add_package(self, tx: Connection, row: dict[str, object], now: datetime) -> str:
        """Keep a package, made once for every archive."""
        package_id = self._new_id()
        tx.execute(insert(packages).values(package_id=package_id, tenant=self._tenant, created_at=now, **row))
        why = {"why": "periodic"} if is_periodic(str(row["external_key"])) else {}
        append(tx, self._tenant, Action.PACKAGE_MADE, "log", str(row["log_id"]), ACTOR, now, package=package_id, **why)
        return package_id

    def drop_package_bytes(self, tx: Connection, log_id: str) -> None:
        """Forget the bytes of a log's packages: every archive has them."""
        where = (packages.c.tenant == self._tenant, packages.c.log_id == log_id)
        tx.execute(update(packages).where(*where).values(sealed_bytes=None))

    def add_proof(
        self, tx: Connection, log_id: str, revision: int, target: str, delivery_id: str, reference: str, now: datetime
    ) -> None:
        """Keep the proof that a target has a revision of a log."""
        tx.execute(
            insert(archived).values(
                tenant=self._tenant,
                log_id=log_id,
                revision=revision,
                target=target,
                delivery_id=delivery_id,
                receipt_ref=reference,
                archived_at=now,
            )
        )
        append(tx, self._tenant, Action.ARCHIVE_RECEIVED, "log", log_id, ACTOR, now, delivery=delivery_id)

    def periodically_due(self, tx: Connection, target: str, on: date, before: datetime) -> list[str]:
        """Return the logs that go on, are in no package for a target as they stand, and of which it is time for one.

        It is where the last package was made, and the target's last proof came, `before` an instant. That one was
        refused or is stuck makes it time no sooner. Without any, it is where the log was opened by a day (`on`), or
        first kept before that instant where nobody wrote down when it was opened.
        """
        c, a, p = logs.c, archived.c, packages.c
        proofs = (a.tenant == self._tenant, a.log_id == c.log_id, a.target == target)
        proved_at = select(func.max(a.archived_at)).where(*proofs).scalar_subquery()
        made = (p.tenant == self._tenant, p.log_id == c.log_id)
        made_at = select(func.max(p.created_at)).where(*made).scalar_subquery()
        begun = or_(c.opened_on <= on, and_(c.opened_on.is_(None), log_keys.c.created_at < before))
        found = select(c.log_id).join(
            log_keys, and_(log_keys.c.tenant == self._tenant, log_keys.c.log_id == c.log_id)
        )  # fmt: skip
        found = found.where(c.tenant == self._tenant, c.status.in_(GOING_ON), c.sealed_body.is_not(None))
        long_ago = and_(made_at < before, or_(proved_at.is_(None), proved_at < before))
        time = or_(long_ago, and_(made_at.is_(None), begun))
        return sorted(tx.scalars(found.where(time, ~exists().where(*_PACKAGED, deliveries.c.connection == target))))

    def closed_unpackaged(self, tx: Connection) -> list[str]:
        """Return the closed logs that are in no package of their closing as they stand."""
        c = logs.c
        closed = (c.tenant == self._tenant, c.status == LogStatus.CLOSED, c.sealed_body.is_not(None))
        return list(tx.scalars(select(c.log_id).where(*closed, ~CLOSING_PACKAGED).order_by(c.log_id)))

    def stays_packaged(self, tx: Connection, log_id: str, content_hash: str, version: int) -> None:
        """Note that what a package holds is what its log says in a later version too."""
        c = deliveries.c
        of_log = (c.tenant == self._tenant, c.log_id == log_id, c.kind == DeliveryKind.ARCHIVE)
        tx.execute(update(deliveries).where(*of_log, c.view_hash == content_hash).values(log_version=version))

    def kept_back(self, tx: Connection, target: str) -> list[str]:
        """Return the logs that go on and are held back from a target."""
        of_log = and_(logs.c.tenant == self._tenant, logs.c.log_id == holds.c.log_id, logs.c.status.in_(GOING_ON))
        held = (holds.c.tenant == self._tenant, holds.c.connection == target, holds.c.state == HoldState.OPEN)
        return sorted(set(tx.scalars(select(holds.c.log_id).join(logs, of_log).where(*held))))

    def overtaken(self, tx: Connection, target: str, log_id: str) -> list[str]:
        """Return the deliveries that give way to a log's next package: of a time when the log went on, and stuck.

        They failed, are held, or wait with no worker on them; of a closing none gives way.
        """
        c = deliveries.c
        stuck = c.state.in_((DeliveryState.READY, DeliveryState.HELD, DeliveryState.FAILED))
        mine = (c.tenant == self._tenant, c.connection == target, c.log_id == log_id, c.kind == DeliveryKind.ARCHIVE)
        found = select(c.delivery_id).where(*mine, stuck, c.lease_until.is_(None), _of_a_log_that_went_on())
        return list(tx.scalars(found.order_by(c.created_at, c.delivery_id)))

    def proofs_of(self, tx: Connection, connection: str) -> list[Row[Any]]:
        """Return log, delivery and reference of each proof about the logs that a connection has records of."""
        c = archived.c
        here = select(records.c.log_id).where(records.c.tenant == self._tenant, records.c.connection == connection)
        where = (c.tenant == self._tenant, c.log_id.in_(here))
        return list(tx.execute(select(c.log_id, c.delivery_id, c.receipt_ref).where(*where)))

    def unproved(self, tx: Connection, connection: str, target: str, before: datetime) -> list[str]:
        """Return the closed logs of a connection, not written since, of which a target has no proof and nothing waits.

        What waits is a delivery on its way or for a person, and a hold of the archivist's. What was made when the log
        went on is none of its closing: neither the proof nor the delivery.
        """
        c = logs.c
        here = select(records.c.log_id).where(records.c.tenant == self._tenant, records.c.connection == connection)
        a, d = archived.c, deliveries.c
        proved = select(a.log_id).select_from(PROVED_CLOSINGS).where(a.tenant == self._tenant, a.target == target)
        waiting = (*STANDING_DELIVERY, DeliveryState.FAILED)
        there = (d.tenant == self._tenant, d.connection == target, d.state.in_(waiting))
        on_the_way = select(d.log_id).where(*there, ~_of_a_log_that_went_on())
        held = select(holds.c.log_id).where(
            holds.c.tenant == self._tenant,
            holds.c.state == HoldState.OPEN,
            or_(holds.c.connection == target, holds.c.connection.is_(None)),
            holds.c.log_id.is_not(None),
        )
        closed = (c.tenant == self._tenant, c.status == LogStatus.CLOSED, c.updated_at < before, c.log_id.in_(here))
        apart = (c.log_id.not_in(proved), c.log_id.not_in(on_the_way), c.log_id.not_in(held))
        return list(tx.scalars(select(c.log_id).where(*closed, *apart).order_by(c.log_id)))

    def archived(self, tx: Connection) -> list[Row[Any]]:
        """Return every proof, in the order it came."""
        where = archived.c.tenant == self._tenant
        return list(tx.execute(select(archived).where(where).order_by(archived.c.archived_at, archived.c.log_id)))


def _of_a_log_that_went_on() -> ColumnElement[bool]:
    """Hold for a delivery of a package that is no closing: both have the hash of its content."""
    p, d = packages.alias().c, deliveries.c  # one of its own: what asks may read packages itself
    same = (p.tenant == d.tenant, p.log_id == d.log_id, p.content_hash == d.view_hash)
    return exists().where(*same, p.external_key.startswith(PERIODIC_KEY))


_PACKAGED = (
    deliveries.c.tenant == logs.c.tenant,
    deliveries.c.log_id == logs.c.log_id,
    deliveries.c.kind == DeliveryKind.ARCHIVE,
    deliveries.c.log_version >= logs.c.version,
)
"""Hold for a delivery of a package that has what its log says as it stands."""

CLOSING_PACKAGED = exists().where(*_PACKAGED, ~_of_a_log_that_went_on())
"""Holds for a log whose closing is in a package as it stands, delivered or not."""


def _ended(state: DeliveryState, now: datetime) -> dict[str, object]:
    ended = {} if state in STANDING_DELIVERY else {"done_at": now, "sealed_payload": None}
    return {"state": state, **ended}


_UPDATE_DELIVERY = update(deliveries).where(deliveries.c.delivery_id == bindparam("of_delivery"))
