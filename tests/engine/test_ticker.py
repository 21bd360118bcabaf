"""The clock of an engine: an occurrence is booked once, what was missed is found again, and nothing stops it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

from sqlalchemy import insert
from structlog.testing import capture_logs

from hub.engine.occurrences import Every, Timing
from hub.engine.port import Task
from hub.engine.ticker import Ticker
from hub.store.database import Database, open_database
from hub.store.tables import RunState, runs
from tests.engine.runrows import EACH_SECOND, VIGILO, RunRows, now, run_row, states


def test_two_clocks_book_one_occurrence(db: Database) -> None:
    """Two engines that notice the same occurrence leave one row."""
    begun = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)

    class Unaware(RunRows):
        def planned_until(self, _connection: str) -> datetime | None:
            return begun

    rows = Unaware(db, lambda _row, _stopping: None)
    for _ in range(2):
        Ticker(rows, EACH_SECOND, lambda: begun + timedelta(seconds=1), _no_line).tick(VIGILO)
    assert states(db) == {RunState.QUEUED: 1}


def test_what_fell_due_while_the_hub_was_down_is_caught_up(db: Database) -> None:
    """After a silence the latest occurrence is queued, and those before it are rows that say they were missed."""
    last = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    with db.write() as tx:
        tx.execute(insert(runs).values(run_row(f"{VIGILO}@before", VIGILO, last, "done")))
    timing = Timing(Every(timedelta(hours=1)), catch_up="latest")
    rows = RunRows(db, lambda _row, _stopping: None)
    Ticker(rows, {VIGILO: timing}, lambda: last + timedelta(hours=3.5), _no_line).tick(VIGILO)
    assert states(db) == {RunState.DONE: 1, RunState.QUEUED: 1, RunState.MISSED: 2}
    assert rows.planned_until(VIGILO) == last + timedelta(hours=3)


def test_while_a_run_waits_no_other_is_put_behind_it(db: Database) -> None:
    """Twenty intervals in which no worker takes anything leave one run in line, and nineteen that say they were missed.

    When it is done, the next is booked again.
    """
    begun = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    at = begun
    line: list[str] = []
    timing = Timing(Every(timedelta(minutes=15)))
    rows = RunRows(db, lambda _row, _stopping: None)
    ticker = Ticker(rows, {VIGILO: timing}, lambda: at, lambda _kind, row_id: line.append(row_id))
    for _ in range(20):
        at += timedelta(minutes=15)
        ticker.tick(VIGILO)
    assert states(db) == {RunState.QUEUED: 1, RunState.MISSED: 19}
    rows.work(Task("run", line[0]), Event())
    at += timedelta(minutes=15)
    ticker.tick(VIGILO)
    assert states(db) == {RunState.DONE: 1, RunState.QUEUED: 1, RunState.MISSED: 19}
    assert len(line) == 2


def test_a_clock_that_cannot_reach_the_rows_goes_on(tmp_path: Path) -> None:
    """Without tables, ticks and sweeps hand the error to the log and raise nothing."""
    db = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    with capture_logs() as lines:
        Ticker(RunRows(db, lambda _row, _stopping: None), EACH_SECOND, now, _no_line).sweep()
    db.close()
    assert [(line["event"], type(line["exc_info"]).__name__) for line in lines] == [
        ("engine:tick:failed", "OperationalError"),
        ("engine:sweep:failed", "OperationalError"),
    ]


def _no_line(_kind: str, _row_id: str) -> None:
    """Carry nothing anywhere."""
