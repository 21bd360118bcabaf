"""A database that is busy, read-only or on a full disk: no half state, nothing sent twice, no hand needed after it.

All this is SQLite, whose file and lock are the hub's own; how it fares without its PostgreSQL is in `test_restart.py`.
"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from hub.store.database import open_database
from hub.store.tables import logs, records, runs
from hub.store.work import WorkStore
from tests.faults.children import SINKS, SOURCE
from tests.faults.house import TENANT, House, OtherSide, house, scale, show, wait_for

pytestmark = pytest.mark.long


def _assert_whole(other: OtherSide, hub: House) -> None:
    """See that every record is there, each with its log, and that each sink has each change once."""
    assert {name: len(hub.stored(name)) for name in (SOURCE, *SINKS)} == dict.fromkeys((SOURCE, *SINKS), other.count)
    assert hub.rows(select(func.count()).select_from(logs))[0][0] == other.count
    assert hub.rows(select(records.c.foreign_id).where(records.c.log_id.not_in(select(logs.c.log_id)))) == []
    assert other.doubles() == []
    assert other.lacking() == []


def test_a_busy_database(tmp_path: Path) -> None:
    """Somebody else holds the write lock for five seconds in the middle of a sync: it waits, and nothing is missing."""
    with house(tmp_path, 20) as (other, hub, _):
        hub.queue()
        process = hub.start("run")
        wait_for(lambda: bool(hub.stored(SOURCE)), 60, hub.log)
        with hub.db.write():
            time.sleep(5)
        wait_for(lambda: not hub.at_work(), 120, hub.log)
        hub.stop(process)
        hub.rest()
        _assert_whole(other, hub)


def test_a_database_that_may_only_be_read(tmp_path: Path) -> None:
    """A hub whose database may only be read does nothing at all; the next one goes on as if nothing had been."""
    with house(tmp_path, 10) as (other, hub, _):
        hub.rest()
        other.order(SOURCE, edit=1)
        sent = {name: len(other.journal(name)) for name in SINKS}
        before = hub.rows(select(runs.c.run_id))
        files = sorted(hub.folder.glob("hub.db*"))
        for path in (*files, hub.folder):
            path.chmod(path.stat().st_mode & ~0o222)
        process = hub.start("sync", under=_without_power())
        assert process.wait(timeout=60) != 0
        for path in (hub.folder, *files):
            path.chmod(path.stat().st_mode | 0o200)
        assert {name: len(other.journal(name)) for name in SINKS} == sent
        assert hub.rows(select(runs.c.run_id)) == before
        hub.rest()
        _assert_whole(other, hub)


def _without_power() -> tuple[str, ...]:
    """Give what takes from root the right to write what may only be read; anybody else has it not."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv is missing; it is part of util-linux"
    return (setpriv, "--inh-caps=-dac_override", "--bounding-set=-dac_override")


@pytest.mark.parametrize("kilobytes", [300, 2000, 4000])
def test_a_full_disk(tmp_path: Path, kilobytes: int) -> None:
    """A disk that is full in the middle of a sync stops it; with room again, all is there and nothing came twice."""
    prlimit = shutil.which("prlimit")
    assert prlimit, "prlimit is missing; it is part of util-linux"
    with house(tmp_path, 20) as (other, hub, _):
        size = (hub.folder / "hub.db").stat().st_size
        hub.queue()
        process = hub.start("run", under=(prlimit, f"--fsize={size + kilobytes * 1024}"))
        deadline = time.monotonic() + 8
        wait_for(lambda: process.poll() is not None or time.monotonic() > deadline, 20, hub.log)
        show("full disk", kilobytes=kilobytes, records_before=len(hub.stored(SOURCE)))
        process.kill()
        process.wait()
        hub.rest()
        _assert_whole(other, hub)


def test_many_writers(tmp_path: Path) -> None:
    """Twelve writers with a hundred transactions each on one SQLite file: each is there, and none overwrote another."""
    writers, each = 12, scale(full=100, short=100)
    url, connection, now = f"sqlite:///{tmp_path / 'hub.db'}", f"{TENANT}/{SOURCE}", datetime.now(UTC)
    first = open_database(url)
    first.migrate()

    def write(writer: int) -> None:
        db = open_database(url)
        for number in range(each):
            store = WorkStore(TENANT, lambda number=number: f"run-{writer}-{number}")  # type: ignore[misc]
            with db.write() as tx:
                counted = int(store.cursor(tx, connection) or 0)
                store.queue_run(tx, connection, f"{writer}/{number}", "person", now, now)
                store.move_cursor(tx, connection, str(counted + 1), now)
        db.close()

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    with first.read() as tx:
        assert tx.scalar(select(func.count()).select_from(runs)) == writers * each
        assert WorkStore(TENANT, str).cursor(tx, connection) == str(writers * each)
    first.close()
