"""The distributed engine's line of jobs: workers elsewhere are woken at once, and it may be lost without loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import psycopg
import pytest
from sqlalchemy import make_url

from hub.engine.distributed import DistributedEngine
from hub.engine.jobs import Jobs, make_schema
from hub.engine.occurrences import Timing
from hub.engine.port import Rows, Task
from hub.store.database import Database, libpq_url
from hub.store.tables import RunState
from tests.engine.runrows import EACH_SECOND, Countdown, RunRows, now, queue, states, until
from tests.stores import PostgresServer

STORES = ["postgresql"]
Start = Callable[[DistributedEngine], DistributedEngine]
JOBS = "SELECT status::text, task_name, args FROM procrastinate.procrastinate_jobs ORDER BY id"
LISTENING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stafetthub-jobs' AND datname = "


@pytest.fixture
def address(url: str) -> str:
    """Give the address of the test's database as libpq reads it."""
    return libpq_url(url)


@pytest.fixture
def start() -> Iterator[Start]:
    """Give what starts an engine; all are stopped at the end."""
    with ExitStack() as stack:

        def start(engine: DistributedEngine) -> DistributedEngine:
            stack.callback(engine.stop)
            engine.start()
            return engine

        yield start


def _scheduler(rows: Rows, address: str, timings: Mapping[str, Timing] | None = None) -> DistributedEngine:
    return DistributedEngine(rows, timings or {}, url=address, clock=now, workers=0, ticks=True)


def _worker(rows: Rows, address: str, workers: int = 1) -> DistributedEngine:
    return DistributedEngine(rows, {}, url=address, clock=now, workers=workers, ticks=False)


def _ask(address: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(address, autocommit=True) as connection:
        found = connection.execute(statement.encode())
        return found.fetchall() if found.description else []


def _drop_jobs(address: str) -> None:
    """Drop the engine's tables while workers are at them; to break a deadlock the server may choose the drop."""
    for _ in range(20):
        try:
            _ask(address, "DROP SCHEMA procrastinate CASCADE")
        except psycopg.errors.DeadlockDetected:
            continue
        return
    raise AssertionError("the engine's tables could not be dropped")


def test_a_worker_elsewhere_is_woken_at_once(db: Database, address: str, start: Start) -> None:
    """A row that a scheduler puts in line reaches a worker of another process sooner than it would look by itself."""
    rows = RunRows(db, lambda _row, _stopping: None)
    scheduler = start(_scheduler(rows, address))
    start(_worker(rows, address))
    until(lambda: bool(_ask(address, LISTENING)))
    (run_id,) = queue(db, 1)
    scheduler.enqueue("run", run_id)
    until(lambda: states(db) == {RunState.DONE: 1})
    assert rows.worked == [run_id]


def test_a_worker_is_woken_at_once_after_its_database_was_away(
    db: Database, address: str, start: Start, postgresql: PostgresServer
) -> None:
    """Cut off from a database that lets nobody in for a while, it listens again when it does."""
    rows, name = RunRows(db, lambda _row, _stopping: None), make_url(address).database
    scheduler = start(_scheduler(rows, address))
    start(_worker(rows, address))
    until(lambda: bool(_ask(address, LISTENING)))
    postgresql.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgresql.execute(f"{CUT} '{name}'")
    Event().wait(1)  # in which it tries to listen again
    postgresql.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    until(lambda: bool(_ask(address, LISTENING)))
    (run_id,) = queue(db, 1)
    scheduler.enqueue("run", run_id)
    until(lambda: states(db) == {RunState.DONE: 1})
    assert rows.worked == [run_id]


def test_two_schedulers_and_two_workers_do_each_occurrence_once(db: Database, address: str, start: Start) -> None:
    """Clocks that tick for the same connection make one run of each occurrence, and one worker does it."""
    done = Countdown(3)
    rows = RunRows(db, lambda _row, _stopping: done.down())
    engines = [_scheduler(rows, address, EACH_SECOND) for _ in range(2)] + [_worker(rows, address) for _ in range(2)]
    for engine in engines:
        start(engine)
    assert done.wait()
    assert len(rows.worked) == len(set(rows.worked))


def test_a_job_tells_the_row_and_nothing_else_and_stands_in_line_once(db: Database, address: str, start: Start) -> None:
    """However often a row is put in line, there is one job, with kind and id; done jobs are gone."""
    (run_id,) = queue(db, 1)
    jobs = Jobs(address)
    jobs.open()
    for _ in range(3):
        jobs.put(Task("run", run_id))
    jobs.close()
    assert _ask(address, JOBS) == [("todo", "row", {"kind": "run", "row_id": run_id})]
    start(_worker(RunRows(db, lambda _row, _stopping: None), address))
    until(lambda: states(db) == {RunState.DONE: 1})
    until(lambda: _ask(address, JOBS) == [])


def test_jobs_that_are_dropped_in_mid_work_lose_nothing(db: Database, address: str, start: Start) -> None:
    """All of Procrastinate's tables vanish while rows are worked on; after a sweep each row is done, and done once."""
    ids = queue(db, 40)
    half, done = Countdown(15), Countdown(40)

    def job(_row: str, _stopping: Event) -> None:
        half.down()
        done.down()

    rows = RunRows(db, job)
    scheduler = start(_scheduler(rows, address))
    start(_worker(rows, address, workers=4))
    assert half.wait()
    _drop_jobs(address)
    scheduler.sweep()
    assert done.wait()
    until(lambda: states(db) == {RunState.DONE: 40})
    assert sorted(rows.worked) == sorted(ids)


def test_a_killed_workers_job_blocks_nothing(db: Database, address: str, start: Start) -> None:
    """A job that was being done by a worker that is no more stands in nobody's way, and is dropped."""
    (run_id,) = queue(db, 1)
    jobs = Jobs(address)
    jobs.open()
    jobs.put(Task("run", run_id))
    _ask(address, "SET search_path = procrastinate; SELECT procrastinate_register_worker_v1()")
    _ask(address, "SET search_path = procrastinate; SELECT procrastinate_fetch_job_v2(NULL, 1)")
    _ask(address, "UPDATE procrastinate.procrastinate_workers SET last_heartbeat = now() - interval '1 hour'")
    assert [status for status, *_ in _ask(address, JOBS)] == ["doing"]
    jobs.put(Task("run", run_id))
    assert [status for status, *_ in _ask(address, JOBS)] == ["doing", "todo"]
    jobs.close()
    start(_worker(RunRows(db, lambda _row, _stopping: None), address))
    until(lambda: states(db) == {RunState.DONE: 1} and _ask(address, JOBS) == [])


def test_a_worker_that_lost_its_database_comes_back(db: Database, address: str, start: Start) -> None:
    """When all connections of the jobs are cut, the worker connects anew and takes the next row."""
    rows = RunRows(db, lambda _row, _stopping: None)
    scheduler = start(_scheduler(rows, address))
    start(_worker(rows, address))
    queue(db, 1)
    scheduler.sweep()
    until(lambda: states(db) == {RunState.DONE: 1})
    _ask(address, f"{CUT} current_database()")
    with db.write() as tx:
        tx.exec_driver_sql("UPDATE runs SET state = 'queued'")
    scheduler.sweep()
    until(lambda: states(db) == {RunState.DONE: 1})
    assert len(rows.worked) == 2


def test_processes_that_start_together_make_the_schema_once(address: str) -> None:
    """Four that find it missing all go on, and what is in line stays there when a fifth comes later."""
    with ThreadPoolExecutor(4) as threads:
        for started in [threads.submit(make_schema, address) for _ in range(4)]:
            started.result()
    jobs = Jobs(address)
    jobs.open()
    jobs.put(Task("run", "r1"))
    make_schema(address)
    jobs.close()
    assert len(_ask(address, JOBS)) == 1


def test_another_versions_schema_is_made_anew(address: str) -> None:
    """A schema that this version did not make, or that lacks a table, is replaced and takes jobs again."""
    for damage in ("COMMENT ON SCHEMA procrastinate IS 'older'", "DROP TABLE procrastinate.procrastinate_jobs CASCADE"):
        make_schema(address)
        _ask(address, damage)
        jobs = Jobs(address)
        jobs.open()
        jobs.put(Task("run", "r1"))
        jobs.close()
        assert len(_ask(address, JOBS)) == 1
