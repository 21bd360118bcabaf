"""The rows behind the engine: what is due, what became of missed occurrences, and the work on one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import takewhile
from threading import Event
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row, select, update

from hub.engine.occurrences import Busy, Occurrence, Plan
from hub.engine.port import Task
from hub.store.database import Database
from hub.store.events import Action, append
from hub.store.leases import (
    DELIVERIES,
    LEASE,
    RUNS,
    LeaseLost,
    Work,
    at_work,
    claim,
    due,
    free_dead,
    keep_alive,
    release,
)
from hub.store.tables import DeliveryKind, DeliveryState, RunState, deliveries, events, runs
from hub.store.work import WORKER_DIED
from hub.sync.archive import Archivist
from hub.sync.context import Tenant
from hub.sync.cycle import Cycle, CycleResult
from hub.sync.deliver import Deliverer
from hub.sync.plans import Planner
from hub.sync.reconcile import WHY
from hub.sync.upkeep import Upkeep, upkeep_run

BATCH = 1000
LATE = timedelta(minutes=2)
"""An occurrence that is booked so long after its start, a sweep and more, is caught up with."""

ENDED = {
    RunState.FAILED: Action.RUN_FAILED,
    DeliveryState.FAILED: Action.DELIVERY_FAILED,
    DeliveryState.HELD: Action.DELIVERY_HELD,
}
ROUTE = "route"
"""The kind of a task that decides what to send of logs; its id is the municipality's."""

UNROUTED = timedelta(minutes=1)
"""How long a log may wait for that decision before a sweep asks for it: its worker may have died in between."""

FREED = {RUNS.kind: Action.RUN_FREED, DELIVERIES.kind: Action.DELIVERY_FREED}


LEFT_PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
"""How long a row waits that a second, third and fourth worker has left; the fifth is the last."""

NO_UPKEEP: Mapping[str, Upkeep] = MappingProxyType({})


class SyncRows:
    """All tenants' work, for an engine. `owner` names this process in leases.

    `upkeep` is what is done for a municipality as a whole, by what starts such a run.
    """

    def __init__(
        self, db: Database, tenants: Mapping[str, Tenant], owner: str, upkeep: Mapping[str, Upkeep] = NO_UPKEEP
    ) -> None:
        self._db = db
        self._tenants = tenants
        self._owner = owner
        self._upkeep = upkeep

    def planned_until(self, name: str) -> datetime | None:
        """Return the planned instant of a schedule's newest occurrence, run or missed."""
        connection, whys = _schedule(name)
        tenant = self._of(connection)
        with self._db.read() as tx:
            return tenant.work.planned_until(tx, connection, whys, tenant.now())

    def busy(self, name: str) -> Busy | None:
        """Return what a schedule is busy with; other runs of its connection do not count."""
        connection, whys = _schedule(name)
        with self._db.read() as tx:
            states = self._of(connection).work.open_runs(tx, connection, whys)
        if RunState.QUEUED in states:
            return "waits"
        return "runs" if states else None

    def book(self, name: str, plan: Plan) -> Iterable[Task]:
        """Write down what became due, and what was missed; return the runs that this call made.

        An occurrence that is missed because a run waits is that one's time to try again.
        """
        connection, whys = _schedule(name)
        tenant = self._of(connection)
        now, work = tenant.now(), tenant.work
        with self._db.write() as tx:
            for missed in plan.missed:
                each = missed.occurrence
                new = work.miss_run(tx, connection, each.id, whys[0], each.planned_at, missed.why, now)
                if new and missed.why == "overlap":
                    work.hasten(tx, connection, whys, now)
            made = [
                work.queue_run(tx, connection, each.id, _why(each, now, whys), each.planned_at, now)
                for each in plan.run
            ]
        return [Task(RUNS.kind, run_id) for run_id in made if run_id]

    def sweep(self, now: datetime) -> Iterable[Task]:
        """Free the rows of dead workers and return every row that is due."""
        with self._db.write() as tx:
            for work in (RUNS, DELIVERIES):  # its own first: the wait for this transaction may have kept the heartbeat
                keep_alive(tx, work, self._owner, now + LEASE)
            free_all(tx, now)
        with self._db.read() as tx:
            found = [Task(work.kind, row_id) for work in (RUNS, DELIVERIES) for row_id in due(tx, work, now, BATCH)]
            idle = {name: tenant for name, tenant in self._tenants.items() if not tenant.work.running(tx)}
            left = [name for name, tenant in idle.items() if tenant.logs.left_unrouted(tx, now - UNROUTED)]
        return found + [Task(ROUTE, name) for name in left]

    def work(self, task: Task, stopping: Event) -> None:
        """Do the work of one row; a row that somebody else has taken is left alone."""
        if task.kind == RUNS.kind:
            self._run(task.row_id, stopping)
        elif task.kind == ROUTE:
            Cycle(self._tenants[task.row_id], self._owner, stopping=stopping).route()
        else:
            self._delivery(task.row_id)

    def _run(self, run_id: str, stopping: Event) -> None:
        row = self._row(RUNS, run_id)
        tenant = self._tenants.get(row.tenant)
        if tenant is not None and row.why in self._upkeep:
            self._keep_up(tenant, self._upkeep[row.why], run_id, stopping)
            return
        if tenant is None or row.connection not in tenant.connections:
            self._not_configured(
                RUNS, run_id, row.tenant, RunState.FAILED, outcome="not_configured", ended_at=row.due_at
            )
            return
        cycle = Cycle(tenant, self._owner, stopping=stopping)
        cycle.pull(tenant.connections[row.connection], run_id)
        for step in (cycle.route, lambda: cycle.deliver(CycleResult()), lambda: cycle.archive(CycleResult())):
            if not stopping.is_set():
                step()

    def _keep_up(self, tenant: Tenant, upkeep: Upkeep, run_id: str, stopping: Event) -> None:
        now = tenant.now()
        with tenant.db.write() as tx:
            lease = claim(tx, RUNS, run_id, self._owner, now, now + LEASE)
        if lease is not None:
            with suppress(LeaseLost), at_work(lease):
                upkeep_run(tenant, upkeep, lease, stopping)

    def _delivery(self, delivery_id: str) -> None:
        row = self._row(DELIVERIES, delivery_id)
        tenant = self._tenants.get(row.tenant)
        if row.kind is DeliveryKind.ARCHIVE and (tenant is None or tenant.archive is None):
            self._not_configured(DELIVERIES, delivery_id, row.tenant, DeliveryState.HELD)
        elif tenant is None:
            self._not_configured(
                DELIVERIES, delivery_id, row.tenant, DeliveryState.FAILED, sealed_payload=None, done_at=row.due_at
            )
        elif row.kind is DeliveryKind.UPDATE:
            Deliverer(tenant, self._owner).deliver(delivery_id)
        elif row.kind is DeliveryKind.CREATE:
            Planner(tenant, self._owner).look_up(delivery_id)
        elif tenant.archive is not None:
            Archivist(tenant, tenant.archive, self._owner).deliver(delivery_id)

    def _row(self, work: Work, row_id: str) -> Row[Any]:
        with self._db.read() as tx:
            return tx.execute(select(work.table).where(work.id == row_id)).one()

    def _not_configured(
        self, work: Work, row_id: str, tenant: str, state: RunState | DeliveryState, **values: object
    ) -> None:
        """End the work of what the configuration no longer has. A package is held: it is nowhere else."""
        now = next(iter(self._tenants.values())).now()
        with self._db.write() as tx:
            lease = claim(tx, work, row_id, self._owner, now, now + LEASE)
            if lease is not None:
                release(tx, lease, state=state, error_class="not_configured", **values)
                append(tx, tenant, ENDED[state], work.kind, row_id, "hub", now, reason="not_configured")

    def _of(self, connection: str) -> Tenant:
        return self._tenants[connection.partition("/")[0]]


def free_all(tx: Transaction, now: datetime) -> None:
    """Free the rows of dead workers, of all municipalities, and tell of it.

    What one worker left is due at once. What worker after worker leaves just where it stood may be what ends them: it
    waits longer and longer, and then for a person; a run fails, and its connection's next one begins anew.
    """
    for work in (RUNS, DELIVERIES):
        for row_id in free_dead(tx, work, now):
            row = tx.execute(select(work.table).where(work.id == row_id)).one()
            told = {"read": int(row.counts.get("read", 0))} if work is RUNS else {}
            before = _left_before(tx, work, row_id, row.tenant, told)
            append(tx, row.tenant, FREED[work.kind], work.kind, row_id, "hub", now, **told)
            if before and row.state is not DeliveryState.UNKNOWN:  # to look up what was sent is always right
                _slow_down(tx, work, row_id, row, before, now)


def _left_before(tx: Transaction, work: Work, row_id: str, tenant: str, told: Mapping[str, int]) -> int:
    """Return how many workers in a row have left a row where it stands now: nothing else happened to it since."""
    c = events.c
    of_row = (c.tenant == tenant, c.subject_kind == work.kind, c.subject_id == row_id, c.action != Action.RUN_STARTED)
    latest = select(c.action, c.data).where(*of_row).order_by(c.event_id.desc()).limit(len(LEFT_PAUSES) + 1)
    alike = takewhile(lambda event: event.action == FREED[work.kind] and event.data == told, tx.execute(latest).all())
    return sum(1 for _ in alike)


def _slow_down(tx: Transaction, work: Work, row_id: str, row: Row[Any], before: int, now: datetime) -> None:
    if before <= len(LEFT_PAUSES):
        tx.execute(update(work.table).where(work.id == row_id).values(due_at=now + LEFT_PAUSES[before - 1]))
    elif work is RUNS:
        ended = {"state": RunState.FAILED, "error_class": WORKER_DIED, "outcome": WORKER_DIED, "ended_at": now}
        tx.execute(update(runs).where(runs.c.run_id == row.run_id).values(ended))
        append(tx, row.tenant, Action.RUN_FAILED, "run", row.run_id, "hub", now, outcome=WORKER_DIED)
    else:
        held = update(deliveries).where(deliveries.c.delivery_id == row.delivery_id)
        tx.execute(held.values(state=DeliveryState.HELD, error_class=WORKER_DIED))
        about = {"log": row.log_id, "error": WORKER_DIED}
        append(tx, row.tenant, Action.DELIVERY_HELD, "delivery", row.delivery_id, "hub", now, **about)


def count_of(connection: str) -> str:
    """Return the name of the schedule by which a connection is counted; its own id is that by which it is read."""
    return f"{connection} {WHY}"


def upkeep_of(tenant: str, why: str) -> str:
    """Return the name of the schedule by which something is done for a municipality as a whole."""
    return f"{tenant} {why}"


def _schedule(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the connection (or municipality) of a schedule, and what its runs are started by: in time, and late."""
    connection, _, other = name.partition(" ")
    return connection, (other, other) if other else ("schedule", "catch_up")


def _why(occurrence: Occurrence, now: datetime, whys: tuple[str, ...]) -> str:
    in_time, late = whys
    return late if now - occurrence.starts_at > LATE else in_time
