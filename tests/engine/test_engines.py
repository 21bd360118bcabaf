"""Both engines with real threads, a real clock and real databases: rows come to workers, each once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from threading import Event
from time import monotonic
from typing import Protocol

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from hub.engine.distributed import DistributedEngine
from hub.engine.local import LocalEngine
from hub.engine.occurrences import Timing
from hub.engine.port import PATIENCE, Engine, Rows
from hub.store.database import Database, libpq_url
from hub.store.leases import RUNS, claim
from hub.store.tables import RunState, runs
from tests.engine.runrows import EACH_SECOND, MINUTE, VIGILO, Countdown, RunRows, now, queue, states, until


class Make(Protocol):
    """Makes the engine of a test."""

    def __call__(
        self, rows: Rows, timings: Mapping[str, Timing], *, workers: int, patience: timedelta = PATIENCE
    ) -> Engine:
        """Make an engine with a clock of its own and so many workers."""


@pytest.fixture
def make(store: str, url: str) -> Make:
    """Give the engine that belongs to a database."""

    def local(
        rows: Rows, timings: Mapping[str, Timing], *, workers: int, patience: timedelta = PATIENCE
    ) -> LocalEngine:
        return LocalEngine(rows, timings, clock=now, workers=workers, patience=patience)

    def distributed(
        rows: Rows, timings: Mapping[str, Timing], *, workers: int, patience: timedelta = PATIENCE
    ) -> DistributedEngine:
        address = libpq_url(url)
        return DistributedEngine(rows, timings, url=address, clock=now, workers=workers, ticks=True, patience=patience)

    return local if store == "sqlite" else distributed


def test_the_sweep_at_the_start_brings_every_due_row_to_a_worker_once(db: Database, make: Make) -> None:
    """Forty rows that lie there when the engine starts are each worked on once, by several threads."""
    ids = queue(db, 40)
    done = Countdown(40)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = make(rows, {}, workers=4)
    engine.start()
    assert done.wait()
    engine.stop()
    assert sorted(rows.worked) == sorted(ids)
    assert states(db) == {RunState.DONE: 40}


def test_a_schedule_makes_runs_and_they_are_worked_on(db: Database, make: Make) -> None:
    """A connection with an interval of a second gets its occurrence booked and worked on by the real clock."""
    done = Countdown(1)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = make(rows, EACH_SECOND, workers=1)
    engine.start()
    assert done.wait()
    engine.stop()
    with db.read() as tx:
        row = tx.execute(select(runs).where(runs.c.run_id == rows.worked[0])).one()
    assert row.occurrence == f"{VIGILO}@{row.planned_at:%Y-%m-%dT%H:%M:%SZ}"


def test_a_row_of_a_dead_worker_is_worked_on_again(db: Database, make: Make) -> None:
    """A run whose worker vanished is freed by the sweep and done by another."""
    (run_id,) = queue(db, 1)
    long_ago = now() - 2 * MINUTE
    with db.write() as tx:
        claim(tx, RUNS, run_id, "vanished", long_ago, long_ago + MINUTE)
    done = Countdown(1)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engine = make(rows, {}, workers=1)
    engine.start()
    assert done.wait()
    engine.stop()
    assert states(db) == {RunState.DONE: 1}


def test_a_failing_row_does_not_stop_the_worker(db: Database, make: Make) -> None:
    """After an exception the same worker takes the next row; a log line has the row's id and hands on the error."""
    ids = queue(db, 2)
    done = Countdown(2)

    def job(row_id: str, _stopping: Event) -> None:
        done.down()
        if row_id == ids[0]:
            raise LookupError

    with capture_logs() as lines:
        engine = make(RunRows(db, job), {}, workers=1)
        engine.start()
        assert done.wait()
        engine.stop()
    (line,) = lines
    assert isinstance(line.pop("exc_info"), LookupError)
    assert line == {"event": "engine:work:failed", "run": ids[0], "log_level": "error"}
    assert states(db) == {RunState.DONE: 1, RunState.RUNNING: 1}


def test_a_panic_does_not_stop_the_worker(db: Database, make: Make) -> None:
    """What a library in Rust raises is no Exception: the only worker still does the next rows, and tells of it."""

    class Panic(BaseException):
        pass

    def job(row_id: str, _stopping: Event) -> None:
        done.down()
        if row_id == bad:
            raise Panic

    bad, *others = sorted(queue(db, 4))
    done = Countdown(4)
    rows = RunRows(db, job)
    with capture_logs() as lines:
        engine = make(rows, {}, workers=1)
        engine.start()
        assert done.wait()
        until(lambda: states(db) == {RunState.RUNNING: 1, RunState.DONE: len(others)})
        engine.stop()
    assert [line["run"] for line in lines if line["event"] == "engine:work:failed"] == [bad]


def test_stopping_lets_work_end_and_drops_the_line(db: Database, make: Make) -> None:
    """A handler that looks at `stopping` ends at once and its row is done; rows still in line stay queued."""
    queue(db, 5)
    entered = Event()

    def job(_row: str, stopping: Event) -> None:
        entered.set()
        stopping.wait(5)

    engine = make(RunRows(db, job), {}, workers=1)
    engine.start()
    assert entered.wait(5)
    began = monotonic()
    engine.stop()
    engine.enqueue("run", "too late")
    assert monotonic() - began < 2
    assert states(db) == {RunState.DONE: 1, RunState.QUEUED: 4}


def test_stopping_does_not_wait_for_ever(db: Database, make: Make) -> None:
    """A handler that does not look is left behind when patience ends; its lease will free the row."""
    queue(db, 1)
    entered, let_go, ended = Event(), Event(), Event()

    def job(_row: str, _stopping: Event) -> None:
        entered.set()
        let_go.wait(5)
        ended.set()

    patience = timedelta(seconds=0.1)
    engine = make(RunRows(db, job), {}, workers=1, patience=patience)
    engine.start()
    assert entered.wait(5)
    engine.stop()
    assert states(db) == {RunState.RUNNING: 1}
    let_go.set()
    assert ended.wait(5)
    until(lambda: states(db) == {RunState.DONE: 1})
