"""Runs as the rows behind an engine, with work that a test hands in, and what the tests of engines wait with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic
from uuid import uuid4

from sqlalchemy import func, insert, select

from hub.engine.occurrences import Busy, Every, Plan, Timing
from hub.engine.port import Task
from hub.store.database import Database, upsert
from hub.store.leases import RUNS, claim, due, free_dead, release
from hub.store.tables import RunState, runs

TENANT = "100000008"  # made up
VIGILO = f"{TENANT}/vigilo"
MINUTE = timedelta(minutes=1)
EACH_SECOND = {VIGILO: Timing(Every(timedelta(seconds=1)))}


class RunRows:
    """The rows of runs behind an engine; working on one means counting it and calling what the test handed in."""

    def __init__(self, db: Database, job: Callable[[str, Event], None]) -> None:
        self.db = db
        self.worked: list[str] = []
        self._job = job

    def planned_until(self, connection: str) -> datetime | None:
        """Ask the newest row."""
        with self.db.read() as tx:
            return tx.scalar(select(func.max(runs.c.planned_at)).where(runs.c.connection == connection))

    def busy(self, connection: str) -> Busy | None:
        """Ask for the open rows."""
        open_states = (RunState.QUEUED, RunState.RUNNING)
        with self.db.read() as tx:
            found = select(runs.c.state).where(runs.c.connection == connection, runs.c.state.in_(open_states))
            states = set(tx.scalars(found))
        return "waits" if RunState.QUEUED in states else "runs" if states else None

    def book(self, connection: str, plan: Plan) -> Iterable[Task]:
        """Insert what is not there yet."""
        queued = [run_row(each.id, connection, each.planned_at) for each in plan.run]
        missed = [run_row(m.occurrence.id, connection, m.occurrence.planned_at, "missed") for m in plan.missed]
        with self.db.write() as tx:
            once = ("tenant", "connection", "occurrence")
            upsert(tx, runs, queued + missed, on=once, keep=tuple(runs.c.keys()))
        return [Task("run", str(row["run_id"])) for row in queued]

    def sweep(self, now: datetime) -> Iterable[Task]:
        """Free, then list what is due."""
        with self.db.write() as tx:
            free_dead(tx, RUNS, now)
            return [Task("run", row_id) for row_id in due(tx, RUNS, now, 1000)]

    def work(self, task: Task, stopping: Event) -> None:
        """Claim, do the job, release."""
        present = datetime.now(UTC)
        with self.db.write() as tx:
            lease = claim(tx, RUNS, task.row_id, threading.current_thread().name, present, present + MINUTE)
        if lease is None:
            return
        self.worked.append(task.row_id)
        self._job(task.row_id, stopping)
        with self.db.write() as tx:
            release(tx, lease, state=RunState.DONE)


class Countdown:
    """Waits until so many things have happened."""

    def __init__(self, number: int) -> None:
        self._left = threading.Semaphore(0)
        self._number = number

    def down(self) -> None:
        """Tell that one has."""
        self._left.release()

    def wait(self) -> bool:
        """Wait thirty seconds for each at most, and tell whether all have."""
        return all(self._left.acquire(timeout=30) for _ in range(self._number))


def now() -> datetime:
    """Tell the present."""
    return datetime.now(UTC)


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so, thirty seconds at most."""
    end = monotonic() + 30
    while not true():
        assert monotonic() < end, "waited thirty seconds in vain"
        Event().wait(0.005)


def queue(db: Database, number: int) -> list[str]:
    """Queue runs of a connection each, due since a minute; give their ids."""
    rows = [run_row(f"r{n}", f"{TENANT}/c{n}", now() - MINUTE) for n in range(number)]
    with db.write() as tx:
        tx.execute(insert(runs), rows)
    return [str(row["run_id"]) for row in rows]


def run_row(occurrence: str, connection: str, at: datetime, state: str = "queued") -> dict[str, object]:
    """Give the columns of a run."""
    row: dict[str, object] = {"run_id": uuid4().hex, "tenant": TENANT, "connection": connection, "state": state}
    return row | {"occurrence": occurrence, "planned_at": at, "due_at": at, "queued_at": at, "why": "schedule"}


def states(db: Database) -> dict[RunState, int]:
    """Count the runs by state."""
    with db.read() as tx:
        counted = tx.execute(select(runs.c.state, func.count()).group_by(runs.c.state)).all()
    return {row[0]: row[1] for row in counted}
