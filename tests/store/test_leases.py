"""A row of work is one worker's at a time, and who has lost it writes nothing more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Connection, Row, insert, select

from hub.store.database import Database
from hub.store.leases import (
    DELIVERIES,
    RUNS,
    Lease,
    LeaseLost,
    at_work,
    claim,
    due,
    free_dead,
    guard,
    keep_alive,
    release,
    renew,
)
from hub.store.tables import DeliveryState, RunState, deliveries, logs, runs

TENANT = "100000008"  # made up
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_two_workers_claim_each_row_once(db: Database) -> None:
    """Two threads that go for the same sixty rows at the same time take each of them once."""
    with db.write() as tx:
        for number in range(60):
            _run(tx, f"r{number}", connection=f"c{number}")
    start = Barrier(2)
    taken: dict[str, list[str]] = {"one": [], "two": []}

    def work(owner: str) -> None:
        start.wait()
        for number in range(60):
            with db.write() as tx:
                if claim(tx, RUNS, f"r{number}", owner, NOW, NOW + MINUTE):
                    taken[owner].append(f"r{number}")

    threads = [Thread(target=work, args=(owner,)) for owner in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken["one"] + taken["two"]) == sorted(f"r{number}" for number in range(60))


def test_two_runs_of_a_connection_are_not_claimed_at_once(db: Database) -> None:
    """Two workers that go for two runs of one connection at the same time: one has its run, the other is told no."""
    with db.write() as tx:
        for number in range(20):
            for half in "ab":
                _run(tx, f"r{number}{half}", connection=f"c{number}")
    together = Barrier(2)
    taken: dict[str, list[bool]] = {"a": [], "b": []}

    def work(half: str) -> None:
        for number in range(20):
            together.wait()
            with db.of(TENANT).write() as tx:
                taken[half].append(claim(tx, RUNS, f"r{number}{half}", half, NOW, NOW + MINUTE) is not None)

    threads = [Thread(target=work, args=(half,)) for half in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one + other for one, other in zip(taken["a"], taken["b"], strict=True)] == [1] * 20


def test_a_claimed_run_is_running_and_counted(db: Database) -> None:
    """A claim writes owner, end, state, start and attempt, and raises the fence."""
    with db.write() as tx:
        _run(tx, "r1")
        lease = _claim(tx, "r1")
        row = _row(tx)
    assert (row.state, row.lease_owner, row.lease_until) == (RunState.RUNNING, "one", NOW + MINUTE)
    assert (row.attempts, row.started_at, row.fence) == (1, NOW, lease.fence)


def test_only_due_rows_are_claimed(db: Database) -> None:
    """A row of the future, one that waits for a person, and one that is not there are left alone."""
    with db.write() as tx:
        _run(tx, "later", connection="c1", due_at=NOW + MINUTE)
        _run(tx, "held", connection="c2", state=RunState.HELD)
        assert [claim(tx, RUNS, each, "one", NOW, NOW + MINUTE) for each in ("later", "held", "none")] == [None] * 3
        assert due(tx, RUNS, NOW, 10) == []
        assert due(tx, RUNS, NOW + MINUTE, 10) == ["later"]


def test_rows_are_due_in_order_and_in_portions(db: Database) -> None:
    """The longest due comes first, and no more than asked for."""
    with db.write() as tx:
        for number in range(3):
            _run(tx, f"r{number}", connection=f"c{number}", due_at=NOW - number * MINUTE)
        assert due(tx, RUNS, NOW, 2) == ["r2", "r1"]


def test_a_second_run_of_a_connection_waits(db: Database) -> None:
    """While one run of a connection is running, the next is neither due nor claimed; then it is."""
    with db.write() as tx:
        _run(tx, "r1")
        _run(tx, "r2")
        lease = _claim(tx, "r1")
        assert claim(tx, RUNS, "r2", "two", NOW, NOW + MINUTE) is None
        assert due(tx, RUNS, NOW, 10) == []
        release(tx, lease, state=RunState.DONE)
        assert due(tx, RUNS, NOW, 10) == ["r2"]
        assert claim(tx, RUNS, "r2", "two", NOW, NOW + MINUTE) is not None


def test_a_late_write_is_refused(db: Database) -> None:
    """A worker whose lease passed, and whose row another has taken, can neither write, renew nor release."""
    with db.write() as tx:
        _run(tx, "r1")
        late = _claim(tx, "r1")
    after = NOW + 2 * MINUTE
    with db.write() as tx:
        assert free_dead(tx, RUNS, after) == ["r1"]
        taken = claim(tx, RUNS, "r1", "two", after, after + MINUTE)
    assert taken is not None
    with db.write() as tx:
        guard(tx, taken)
        for attempt in (
            lambda: guard(tx, late),
            lambda: renew(tx, late, after + MINUTE),
            lambda: release(tx, late, state=RunState.DONE),
        ):
            with pytest.raises(LeaseLost, match="run r1"):
                attempt()
        row = _row(tx)
    assert (row.lease_owner, row.state, row.attempts, row.started_at) == ("two", RunState.RUNNING, 2, NOW)


def test_a_freed_row_refuses_its_old_worker_at_once(db: Database) -> None:
    """The old worker is refused from the moment the row is freed, not only once somebody has taken it."""
    with db.write() as tx:
        _run(tx, "r1")
        late = _claim(tx, "r1")
        free_dead(tx, RUNS, NOW + MINUTE)
        with pytest.raises(LeaseLost):
            guard(tx, late)


def test_a_living_lease_is_not_freed(db: Database) -> None:
    """A renewed lease lasts to its new end, and then the row is free."""
    with db.write() as tx:
        _run(tx, "r1")
        lease = renew(tx, _claim(tx, "r1"), NOW + 3 * MINUTE)
        assert lease.until == NOW + 3 * MINUTE
        assert free_dead(tx, RUNS, NOW + 2 * MINUTE) == []
        guard(tx, lease)
        assert free_dead(tx, RUNS, NOW + 3 * MINUTE) == ["r1"]


def test_a_released_row_keeps_what_was_said_of_it(db: Database) -> None:
    """Releasing writes state, reason and next try, frees the row, and ends the lease."""
    with db.write() as tx:
        _run(tx, "r1")
        lease = _claim(tx, "r1")
        release(tx, lease, state=RunState.QUEUED, due_at=NOW + MINUTE, error_class="timeout")
        row = _row(tx)
        with pytest.raises(LeaseLost):
            guard(tx, lease)
    assert (row.state, row.due_at, row.error_class) == (RunState.QUEUED, NOW + MINUTE, "timeout")
    assert (row.lease_owner, row.lease_until) == (None, None)


@pytest.mark.parametrize(
    ("state", "left"),
    [(DeliveryState.SENDING, DeliveryState.UNKNOWN), (DeliveryState.READY, DeliveryState.READY)],
)
def test_a_delivery_left_by_a_dead_worker(db: Database, state: DeliveryState, left: DeliveryState) -> None:
    """One that was being sent may have arrived and is unknown; one not yet sent is still ready; both are due."""
    with db.write() as tx:
        _delivery(tx)
        lease = claim(tx, DELIVERIES, "d1", "one", NOW, NOW + MINUTE)
        assert lease is not None
        assert tx.scalar(select(deliveries.c.state)) is DeliveryState.READY
        guard(tx, lease)
        tx.execute(deliveries.update().values(state=state))
        assert free_dead(tx, DELIVERIES, NOW + MINUTE) == ["d1"]
        assert tx.scalar(select(deliveries.c.state)) is left
        assert due(tx, DELIVERIES, NOW + MINUTE, 10) == ["d1"]


def test_only_what_a_process_is_at_work_under_is_kept_alive(db: Database) -> None:
    """The lease of work that broke off, of another process, and one that was lost meanwhile all pass."""
    with db.write() as tx:
        for number in range(4):
            _run(tx, f"r{number}", connection=f"c{number}")
        busy, left, lost = (_claim(tx, f"r{number}") for number in range(3))
        other = claim(tx, RUNS, "r3", "two", NOW, NOW + MINUTE)
    assert other is not None
    with at_work(left):
        pass
    with at_work(busy), at_work(lost), at_work(other), db.write() as tx:
        release(tx, lost, state=RunState.QUEUED)
        assert claim(tx, RUNS, "r2", "one", NOW, NOW + MINUTE)
        keep_alive(tx, RUNS, "one", NOW + 3 * MINUTE)
        keep_alive(tx, DELIVERIES, "one", NOW + 3 * MINUTE)
        until = {row.run_id: row.lease_until for row in tx.execute(select(runs))}
        guard(tx, busy)
    assert until == {"r0": NOW + 3 * MINUTE, "r1": NOW + MINUTE, "r2": NOW + MINUTE, "r3": NOW + MINUTE}


def _run(
    tx: Connection, run_id: str, *, connection: str = "c", due_at: datetime = NOW, state: RunState = RunState.QUEUED
) -> None:
    row = {"run_id": run_id, "tenant": TENANT, "connection": connection, "occurrence": run_id, "why": "schedule"}
    tx.execute(insert(runs).values(planned_at=NOW, queued_at=NOW, due_at=due_at, state=state, **row))


def _delivery(tx: Connection) -> None:
    tx.execute(insert(logs).values(tenant=TENANT, log_id="l1", status="active", updated_at=NOW))
    row = {"delivery_id": "d1", "tenant": TENANT, "connection": "c", "log_id": "l1", "kind": "update"}
    tx.execute(insert(deliveries).values(idempotency_key="k1", log_version=1, due_at=NOW, created_at=NOW, **row))


def _claim(tx: Connection, run_id: str) -> Lease:
    lease = claim(tx, RUNS, run_id, "one", NOW, NOW + MINUTE)
    assert lease is not None
    return lease


def _row(tx: Connection) -> Row[*tuple[object, ...]]:
    return tx.execute(select(runs)).one()
