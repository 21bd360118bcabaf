"""The engine's own tables vanish in the middle of a sync: the processes make them anew and go on by themselves."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy import select, text

from hub.store.database import libpq_url
from hub.store.tables import RunState, runs
from tests.faults.children import SINKS
from tests.faults.house import PATIENCE, assert_whole, house, scale, show, wait_for

pytestmark = pytest.mark.long
STORES = ["postgresql"]

PAGE = 5
THERE = text("SELECT 1 FROM pg_namespace WHERE nspname = 'procrastinate'")


def test_dropped_in_mid_sync(tmp_path: Path, url: str) -> None:
    """Dropped under two processes at work: neither is restarted, and each change is taken in once."""
    count, times = scale(full=2_000, short=40), scale(full=10, short=1)
    with house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        hub.queue()
        processes = [hub.start("run") for _ in range(2)]
        whole = count * (1 + 2 * len(SINKS))  # a record of each system, and a delivery to each sink
        for number in range(times):
            wait_for(lambda at=whole * (number + 1) // (times + 2): hub.progress() >= at, PATIENCE, hub.log)  # type: ignore[misc]
            wait_for(lambda: bool(hub.rows(THERE)), PATIENCE, hub.log)  # a sweep, within a minute, makes them anew
            _drop_jobs(libpq_url(url))
        left = whole - hub.progress()
        wait_for(lambda: not hub.at_work() and not hub.waiting() and not hub.busy(), PATIENCE, hub.log)
        show("the engine's tables dropped", times=times, left_at_the_last=left, twice=len(other.doubles()))
        assert left > 0
        assert hub.told("hub:engine:started") == len(processes)
        for process in processes:
            hub.stop(process)
        assert {row.state for row in hub.rows(select(runs.c.state))} == {RunState.DONE}
        assert_whole(other, hub, held=0)
        assert {name: len(other.journal(name)) for name in SINKS} == dict.fromkeys(SINKS, count)


def _drop_jobs(address: str) -> None:
    """Drop all that the engine keeps for itself; to break a deadlock the server may choose the drop."""
    for _ in range(20):
        try:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("DROP SCHEMA procrastinate CASCADE")
        except psycopg.errors.DeadlockDetected:
            continue
        return
    raise AssertionError("the engine's tables could not be dropped")
