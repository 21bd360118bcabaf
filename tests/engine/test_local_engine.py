"""The local engine with real threads, a real clock and a real database: rows come to workers, each once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import monotonic
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select
from structlog.testing import capture_logs

from hub.engine.local import LocalEngine
from hub.engine.occurrences import Every, Plan, Timing
from hub.engine.port import Engine, Task
from hub.store.database import Database, open_database, upsert
from hub.store.leases import RUNS, claim, due, free_dead, release
from hub.store.tables import RunState, runs

TENANT = "100000008"  # made up
VIGILO = f"{TENANT}/vigilo"
MINUTE = timedelta(minutes=1)
_EACH_SECOND = {VIGILO: Timing(Every(timedelta(seconds=1)))}


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

    def busy(self, connection: str) -> bool:
        """Ask for an open row."""
        open_states = (RunState.QUEUED, RunState.RUNNING)
        with self.db.read() as tx:
            found = select(runs.c.run_id).where(runs.c.connection == connection, runs.c.state.in_(open_states))
            return tx.scalar(found.limit(1)) is not None

    def book(self, connection: str, plan: Plan) -> Iterable[Task]:
        """Insert what is not there yet."""
        queued = [_run(each.id, connection, each.planned_at) for each in plan.run]
        missed = [_run(m.occurrence.id, connection, m.occurrence.planned_at, "missed") for m in plan.missed]
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
        now = datetime.now(UTC)
        with self.db.write() as tx:
            lease = claim(tx, RUNS, task.row_id, threading.current_thread().name, now, now + MINUTE)
        if lease is None:
            return
        self.worked.append(task.row_id)
        self._job(task.row_id, stopping)
        with self.db.write() as tx:
            release(tx, lease, state=RunState.DONE)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = open_database(f"sqlite:///{tmp_path / 'hub.db'}")
    db.migrate()
    yield db
    db.close()


def test_the_sweep_at_the_start_brings_every_due_row_to_a_worker_once(db: Database) -> None:
    """Forty rows that lie there when the engine starts are each worked on once, by several threads."""
    ids = _queue(db, 40)
    done = _Countdown(40)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = LocalEngine(rows, {}, clock=_now, workers=4)
    engine.start()
    assert done.wait()
    engine.stop()
    assert sorted(rows.worked) == sorted(ids)
    assert _states(db) == {RunState.DONE: 40}


def test_a_schedule_makes_runs_and_they_are_worked_on(db: Database) -> None:
    """A connection with an interval of a second gets its occurrence booked and worked on by the real clock."""
    done = _Countdown(1)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = LocalEngine(rows, _EACH_SECOND, clock=_now, workers=1)
    engine.start()
    assert done.wait()
    engine.stop()
    with db.read() as tx:
        row = tx.execute(select(runs).where(runs.c.run_id == rows.worked[0])).one()
    assert row.occurrence == f"{VIGILO}@{row.planned_at:%Y-%m-%dT%H:%M:%SZ}"


def test_two_clocks_book_one_occurrence(db: Database) -> None:
    """Two engines that notice the same occurrence leave one row."""
    begun = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    class Unaware(RunRows):
        def planned_until(self, _connection: str) -> datetime | None:
            return begun

    rows = Unaware(db, lambda _row, _stopping: None)
    for _ in range(2):
        LocalEngine(rows, _EACH_SECOND, clock=lambda: begun + timedelta(seconds=1), workers=0).tick(VIGILO)
    assert _states(db) == {RunState.QUEUED: 1}


def test_what_fell_due_while_the_hub_was_down_is_caught_up(db: Database) -> None:
    """After a silence the latest occurrence is queued, and those before it are rows that say they were missed."""
    last = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    with db.write() as tx:
        tx.execute(insert(runs).values(_run(f"{VIGILO}@before", VIGILO, last, "done")))
    timing = Timing(Every(timedelta(hours=1)), catch_up="latest")
    rows = RunRows(db, lambda _row, _stopping: None)
    LocalEngine(rows, {VIGILO: timing}, clock=lambda: last + timedelta(hours=3.5), workers=0).tick(VIGILO)
    assert _states(db) == {RunState.DONE: 1, RunState.QUEUED: 1, RunState.MISSED: 2}
    assert rows.planned_until(VIGILO) == last + timedelta(hours=3)


def test_a_row_of_a_dead_worker_is_worked_on_again(db: Database) -> None:
    """A run whose worker vanished is freed by the sweep and done by another."""
    (run_id,) = _queue(db, 1)
    long_ago = _now() - 2 * MINUTE
    with db.write() as tx:
        claim(tx, RUNS, run_id, "vanished", long_ago, long_ago + MINUTE)
    done = _Countdown(1)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = LocalEngine(rows, {}, clock=_now, workers=1)
    engine.start()
    assert done.wait()
    engine.stop()
    assert _states(db) == {RunState.DONE: 1}


def test_a_row_waits_in_line_once(db: Database) -> None:
    """Asking for a row again while it waits does not make it wait twice, and afterwards it may be asked for again."""
    entered, go_on = Event(), Event()
    calls: list[str] = []

    class Slow(RunRows):
        def work(self, task: Task, stopping: Event) -> None:  # noqa: ARG002 - the port's signature
            calls.append(task.row_id)
            entered.set()
            go_on.wait(5)

    engine: Engine = LocalEngine(Slow(db, lambda _row, _stopping: None), {}, clock=_now, workers=1)
    engine.start()
    engine.enqueue("run", "first")
    assert entered.wait(5)
    for _ in range(3):
        engine.enqueue("run", "second")
    engine.enqueue("run", "last")
    go_on.set()
    _until(lambda: calls[-1] == "last")
    engine.stop()
    assert calls == ["first", "second", "last"]


def test_a_failing_row_does_not_stop_the_worker(db: Database) -> None:
    """After an exception the same worker takes the next row; a log line has the row's id and hands on the error."""
    ids = _queue(db, 2)
    done = _Countdown(2)

    def job(row_id: str, _stopping: Event) -> None:
        done.down()
        if row_id == ids[0]:
            raise LookupError

    with capture_logs() as lines:
        engine = LocalEngine(RunRows(db, job), {}, clock=_now, workers=1)
        engine.start()
        assert done.wait()
        engine.stop()
    (line,) = lines
    assert isinstance(line.pop("exc_info"), LookupError)
    assert line == {"event": "engine:work:failed", "run": ids[0], "log_level": "error"}
    assert _states(db) == {RunState.DONE: 1, RunState.RUNNING: 1}


def test_a_clock_that_cannot_reach_the_rows_goes_on(tmp_path: Path) -> None:
    """Without tables, ticks and sweeps hand the error to the log and raise nothing."""
    db = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    engine = LocalEngine(RunRows(db, lambda _row, _stopping: None), _EACH_SECOND, clock=_now, workers=0)
    with capture_logs() as lines:
        engine.sweep()
    db.close()
    assert [(line["event"], type(line["exc_info"]).__name__) for line in lines] == [
        ("engine:tick:failed", "OperationalError"),
        ("engine:sweep:failed", "OperationalError"),
    ]


def test_stopping_lets_work_end_and_drops_the_line(db: Database) -> None:
    """A handler that looks at `stopping` ends at once and its row is done; rows still in line stay queued."""
    _queue(db, 5)
    entered = Event()

    def job(_row: str, stopping: Event) -> None:
        entered.set()
        stopping.wait(5)

    engine = LocalEngine(RunRows(db, job), {}, clock=_now, workers=1)
    engine.start()
    assert entered.wait(5)
    began = monotonic()
    engine.stop()
    engine.enqueue("run", "too late")
    assert monotonic() - began < 2
    assert _states(db) == {RunState.DONE: 1, RunState.QUEUED: 4}


def test_stopping_does_not_wait_for_ever(db: Database) -> None:
    """A handler that does not look is left behind when patience ends; its lease will free the row."""
    _queue(db, 1)
    entered, let_go, ended = Event(), Event(), Event()

    def job(_row: str, _stopping: Event) -> None:
        entered.set()
        let_go.wait(5)
        ended.set()

    patience = timedelta(seconds=0.1)
    engine = LocalEngine(RunRows(db, job), {}, clock=_now, workers=1, patience=patience)
    engine.start()
    assert entered.wait(5)
    engine.stop()
    assert _states(db) == {RunState.RUNNING: 1}
    let_go.set()
    assert ended.wait(5)
    _until(lambda: _states(db) == {RunState.DONE: 1})


class _Countdown:
    """Waits until so many things have happened."""

    def __init__(self, number: int) -> None:
        self._left = threading.Semaphore(0)
        self._number = number

    def down(self) -> None:
        self._left.release()

    def wait(self) -> bool:
        return all(self._left.acquire(timeout=5) for _ in range(self._number))


def _now() -> datetime:
    return datetime.now(UTC)


def _until(true: Callable[[], bool]) -> None:
    end = monotonic() + 5
    while not true():
        assert monotonic() < end, "waited five seconds in vain"
        Event().wait(0.005)


def _queue(db: Database, number: int) -> list[str]:
    rows = [_run(f"r{n}", f"{TENANT}/c{n}", _now() - MINUTE) for n in range(number)]
    with db.write() as tx:
        tx.execute(insert(runs), rows)
    return [str(row["run_id"]) for row in rows]


def _run(occurrence: str, connection: str, at: datetime, state: str = "queued") -> dict[str, object]:
    row: dict[str, object] = {"run_id": uuid4().hex, "tenant": TENANT, "connection": connection, "state": state}
    return row | {"occurrence": occurrence, "planned_at": at, "due_at": at, "queued_at": at, "why": "schedule"}


def _states(db: Database) -> dict[RunState, int]:
    with db.read() as tx:
        counted = tx.execute(select(runs.c.state, func.count()).group_by(runs.c.state)).all()
    return {row[0]: row[1] for row in counted}
