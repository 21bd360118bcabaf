"""The rows behind the engine: what is due, what became of missed occurrences, and the work on one row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from threading import Event

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from hub.engine.occurrences import Plan
from hub.engine.port import Task
from hub.store.database import Database
from hub.store.events import Action, append
from hub.store.leases import DELIVERIES, RUNS, LeaseLost, Work, due, free_dead
from hub.store.tables import DeliveryKind, deliveries, runs
from hub.sync.archive import Archivist
from hub.sync.context import Tenant
from hub.sync.cycle import Cycle, CycleResult
from hub.sync.deliver import Deliverer

BATCH = 1000
FREED = {RUNS.kind: Action.RUN_FREED, DELIVERIES.kind: Action.DELIVERY_FREED}


class SyncRows:
    """All tenants' work, for an engine. `owner` names this process in leases."""

    def __init__(self, db: Database, tenants: Mapping[str, Tenant], owner: str) -> None:
        self._db = db
        self._tenants = tenants
        self._owner = owner

    def planned_until(self, connection: str) -> datetime | None:
        """Return the planned instant of the connection's newest occurrence, run or missed."""
        with self._db.read() as tx:
            return self._of(connection).work.planned_until(tx, connection)

    def busy(self, connection: str) -> bool:
        """Tell whether a run of the connection waits or runs."""
        with self._db.read() as tx:
            return self._of(connection).work.busy(tx, connection)

    def book(self, connection: str, plan: Plan) -> Iterable[Task]:
        """Write down what became due, and what was missed; return the runs that this call made."""
        tenant = self._of(connection)
        now, queue = tenant.now(), tenant.work.queue_run
        with self._db.write() as tx:
            for missed in plan.missed:
                occurrence = missed.occurrence
                tenant.work.miss_run(tx, connection, occurrence.id, occurrence.planned_at, missed.why, now)
            made = [queue(tx, connection, each.id, "schedule", each.planned_at, now) for each in plan.run]
        return [Task(RUNS.kind, run_id) for run_id in made if run_id]

    def sweep(self, now: datetime) -> Iterable[Task]:
        """Free the rows of dead workers and return every row that is due."""
        with self._db.write() as tx:
            for work in (RUNS, DELIVERIES):
                for row_id in free_dead(tx, work, now):
                    append(tx, self._tenant_of(tx, work, row_id), FREED[work.kind], work.kind, row_id, "hub", now)
        with self._db.read() as tx:
            return [Task(work.kind, row_id) for work in (RUNS, DELIVERIES) for row_id in due(tx, work, now, BATCH)]

    def work(self, task: Task, stopping: Event) -> None:
        """Do the work of one row; a row that somebody else has taken is left alone."""
        try:
            if task.kind == RUNS.kind:
                self._run(task.row_id, stopping)
            else:
                self._delivery(task.row_id)
        except LeaseLost:
            return

    def _run(self, run_id: str, stopping: Event) -> None:
        with self._db.read() as tx:
            row = tx.execute(select(runs.c.tenant, runs.c.connection).where(runs.c.run_id == run_id)).one()
        tenant = self._tenants[row.tenant]
        cycle = Cycle(tenant, self._owner, stopping=stopping)
        cycle.pull(tenant.connections[row.connection], run_id)
        for step in (cycle.route, lambda: cycle.deliver(CycleResult()), lambda: cycle.archive(CycleResult())):
            if not stopping.is_set():
                step()

    def _delivery(self, delivery_id: str) -> None:
        with self._db.read() as tx:
            where = deliveries.c.delivery_id == delivery_id
            row = tx.execute(select(deliveries.c.tenant, deliveries.c.kind).where(where)).one()
        tenant = self._tenants[row.tenant]
        if row.kind is DeliveryKind.UPDATE:
            Deliverer(tenant, self._owner).deliver(delivery_id)
        elif tenant.archive is not None:
            Archivist(tenant, tenant.archive, self._owner).deliver(delivery_id)

    def _of(self, connection: str) -> Tenant:
        return self._tenants[connection.partition("/")[0]]

    def _tenant_of(self, tx: Transaction, work: Work, row_id: str) -> str:
        return str(tx.scalar(select(work.table.c.tenant).where(work.id == row_id)))
