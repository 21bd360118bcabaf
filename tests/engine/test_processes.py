"""Schedulers and workers as municipal IT starts them: real processes, one PostgreSQL, one sandbox."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from hub.sandbox.world import World
from hub.store.database import Database
from hub.store.tables import RunState, runs

pytestmark = pytest.mark.long
STORES = ["postgresql"]
ROOT = Path(__file__).parents[2]
STEP = timedelta(seconds=3)


@dataclass(frozen=True)
class Site:
    """A running sandbox, a configuration with two connections that run every few seconds, and its environment."""

    folder: Path
    config: Path
    environ: dict[str, str]
    stack: ExitStack

    def hub(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; what still runs at the end of the test is killed."""
        command = [sys.executable, "-m", "hub", *arguments, "--config", str(self.config)]
        environ = os.environ | self.environ
        process = self.stack.enter_context(
            subprocess.Popen(command, cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
        self.stack.callback(process.kill)
        return process


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Start a sandbox with twenty children, and configure Vigilo and Samspill alone."""
    command = [sys.executable, "-m", "hub", "sandbox", "--dir", str(tmp_path), "--children", "20"]
    with ExitStack() as stack:
        sandbox = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        stack.callback(sandbox.terminate)
        assert sandbox.stdout
        for _ in range(3):
            sandbox.stdout.readline()
        lines = (tmp_path / "sandbox.env").read_text().splitlines()
        yield Site(tmp_path, _config(tmp_path), dict(line.split("=", 1) for line in lines), stack)


@pytest.fixture
def shared(site: Site, url: str) -> Site:
    """Give that site on a PostgreSQL of its own."""
    path = site.config / "hub.yaml"
    path.write_text(path.read_text().replace("# database:", "database:"))
    site.environ["STAFETTHUB_DATABASE"] = url
    return site


def _config(folder: Path) -> Path:
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    for path in (config / "tenants" / "900001002" / "connections").glob("*.yaml"):
        if path.stem in ("vigilo", "samspill"):
            every = f"{{every: {STEP.seconds}s}}"
            path.write_text(path.read_text().replace("{every: 15m}", every))
        else:
            path.unlink()
    return config


def test_two_schedulers_and_two_workers_run_each_occurrence_once(shared: Site, db: Database) -> None:
    """No occurrence is left out, none is run twice, and each change reaches the systems under one key."""
    processes = [shared.hub(name) for name in ("scheduler", "scheduler", "worker", "worker")]
    _until(lambda: _done(db) >= 6)
    assert [_stopped(process) for process in processes] == [0] * 4
    with db.read() as tx:
        rows = tx.execute(select(runs).order_by(runs.c.connection, runs.c.planned_at)).all()
    assert len({row.occurrence for row in rows}) == len(rows)
    planned: dict[str, list[datetime]] = {}
    for row in rows:
        planned.setdefault(row.connection, []).append(row.planned_at)
        assert row.attempts == (0 if row.state in (RunState.MISSED, RunState.QUEUED) else 1)
    assert len(planned) == 2
    for times in planned.values():
        assert {later - earlier for earlier, later in pairwise(times)} == {STEP}
    received = World.load(shared.folder / "sandbox" / "world.json").received
    keys = [each.idempotency_key for each in received]
    assert keys
    assert len(keys) == len(set(keys))


def test_what_a_killed_worker_left_is_done_by_another(shared: Site, db: Database) -> None:
    """A worker that is killed in the middle leaves no row and no job that the next one does not take up."""
    scheduler, killed = shared.hub("scheduler"), shared.hub("worker")
    _until(lambda: _done(db) >= 1)
    killed.kill()
    killed.wait()
    before = _done(db)
    other = shared.hub("worker")
    _until(lambda: _done(db) >= before + 2)
    assert [_stopped(process) for process in (scheduler, other)] == [0, 0]


def test_one_process_does_it_all_on_postgresql(shared: Site, db: Database) -> None:
    """`hub run` is scheduler and worker in one, on this database, too."""
    process = shared.hub("run")
    _until(lambda: _done(db) >= 2)
    assert _stopped(process) == 0


@pytest.mark.parametrize("name", ["scheduler", "worker"])
def test_on_sqlite_they_refuse_and_tell_what_to_do(site: Site, name: str) -> None:
    """One line names the setting, the command that moves the store, and the one that needs no PostgreSQL."""
    process = site.hub(name)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "`hub store move`" in told
    assert "`hub run`" in told
    assert "Traceback" not in told


def test_a_store_is_moved_and_goes_on_there(site: Site, url: str, db: Database) -> None:
    """After a sync on SQLite and the move, the hub on PostgreSQL has nothing new to read or to send."""
    synced = site.hub("sync")
    synced.communicate(timeout=120)
    moved = site.hub("store", "move", "--to", url)
    told, _ = moved.communicate(timeout=60)
    assert moved.returncode == 0
    assert "Name the new database in hub.yaml" in told
    path = site.config / "hub.yaml"
    path.write_text(path.read_text().replace("# database:", "database:"))
    site.environ["STAFETTHUB_DATABASE"] = url
    sent = len(World.load(site.folder / "sandbox" / "world.json").received)
    again = site.hub("sync")
    again.communicate(timeout=120)
    assert again.returncode == synced.returncode == 0
    with db.read() as tx:
        last = tx.execute(select(runs.c.counts).order_by(runs.c.queued_at.desc()).limit(2)).all()
    assert [(row.counts.get("new", 0), row.counts.get("changed", 0)) for row in last] == [(0, 0)] * 2
    assert len(World.load(site.folder / "sandbox" / "world.json").received) == sent > 0
    shown = site.hub("status")
    told, _ = shown.communicate(timeout=60)
    assert shown.returncode == 0
    assert "900001002" in told


def test_the_status_page_is_a_process_of_its_own(shared: Site) -> None:
    """`hub web` answers on the port that it tells, and stops on SIGTERM."""
    process = shared.hub("web", "--port", "0")
    assert process.stdout
    address = process.stdout.readline().split()[2]
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as browser:
        assert browser.get(address).status_code == 200
    assert _stopped(process) == 0


def _stopped(process: subprocess.Popen[str]) -> int:
    """Ask a process to stop, give it ten seconds, and return how it ended; it must have failed nowhere."""
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=10)
    assert "Traceback" not in told
    assert "failed" not in told
    return process.returncode


def _done(db: Database) -> int:
    """Count the runs that are done, where both connections have one."""
    with db.read() as tx:
        done = select(runs.c.connection, func.count()).where(runs.c.state == RunState.DONE).group_by(runs.c.connection)
        counted = [number for _, number in tx.execute(done)]
    return sum(counted) if len(counted) == 2 else 0


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not true():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.2)
