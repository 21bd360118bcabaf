"""Processes that stand still past their lease and wake again: their late writes are refused."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from socket import create_server

import pytest
from sqlalchemy import make_url, select, text

from hub.store.database import open_database
from hub.store.tables import DeliveryState, deliveries, runs
from tests.faults.children import SINKS, SOURCE
from tests.faults.house import PATIENCE, assert_whole, house, scale, show, wait_for
from tests.stores import postgresql_binaries, private_postgresql

pytestmark = pytest.mark.long
STORES = ["postgresql"]

PAGE = 5
CLEAN_SECONDS = 10


@pytest.mark.parametrize("sink", SINKS)
def test_a_worker_stopped_while_it_sends(tmp_path: Path, url: str, sink: str) -> None:
    """A worker stopped past its lease with an answer on its way finds its delivery ended by another, and is refused."""
    with house(tmp_path, 1, database=url) as (other, hub, _):
        hub.rest()
        other.order(SOURCE, edit=1)
        other.order(sink, hold=True)
        hub.queue(SOURCE)
        sleeper = hub.start("run", "--workers", "1")
        other.told()
        hub.freeze(sleeper)
        other.order(sink, hold=None)
        hub.let_time_pass()
        begun = time.monotonic()
        awake = hub.start("run")
        wait_for(lambda: not hub.at_work(), 60, hub.log)
        ended = hub.rows(select(deliveries).order_by(deliveries.c.delivery_id))
        sleeper.send_signal(signal.SIGCONT)
        time.sleep(1)  # in which it tries to write down the answer
        hub.stop(sleeper)
        hub.stop(awake)
        show("a stopped worker", sink=sink, seconds_to_take_over=round(time.monotonic() - begun, 1))
        assert hub.rows(select(deliveries).order_by(deliveries.c.delivery_id)) == ended
        last = DeliveryState.HELD if sink == "neither" else DeliveryState.DONE
        assert [row.state for row in ended if row.connection.endswith(f"/{sink}")].count(last) >= 1
        assert_whole(other, hub, held=1)


def _takes_a_stop(pid: int) -> bool:
    """Tell whether a process has begun to listen for SIGTERM: before that, it just ends by it."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    caught = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return bool(caught >> (signal.SIGTERM - 1) & 1)


def test_workers_stopped_at_random_points(tmp_path: Path, url: str) -> None:
    """A worker stopped anywhere in a sync and woken when another is done writes nothing more; nothing comes twice."""
    count, stops = scale(full=2_000, short=40), scale(full=20, short=3)
    with house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        whole = count * (1 + 2 * len(SINKS))  # a record of each system, and a delivery to each sink
        hub.queue()
        sleepers = []
        for point in sorted(Random(11).sample(range(whole), stops)):  # noqa: S311 - the same points at each run
            process = hub.start("run")
            wait_for(lambda one=process.pid: _takes_a_stop(one), PATIENCE, hub.log)  # type: ignore[misc]
            wait_for(lambda at=point: hub.progress() >= at or not hub.at_work(), PATIENCE, hub.log)  # type: ignore[misc]
            hub.freeze(process)
            sleepers.append(process)
            hub.let_time_pass()
            if not hub.busy():
                hub.queue(SOURCE)  # what was read and not yet routed is routed in the next run
        hub.rest()
        before = [hub.rows(select(table).order_by(table.c.fence)) for table in (runs, deliveries)]
        for process in sleepers:
            process.send_signal(signal.SIGCONT)
            time.sleep(1)  # in which it tries to go on
            hub.stop(process)
        assert [hub.rows(select(table).order_by(table.c.fence)) for table in (runs, deliveries)] == before
        show("stopped in a sync", stops=stops, twice=len(other.doubles()), held=hub.deliveries("neither")["held"])
        assert_whole(other, hub, held=stops * 2)


IN_AN_ANSWER = """
import os, signal, sys
from hub.store.database import open_database

with open_database(sys.argv[1]).write() as tx:
    print("holds the lock", flush=True)
    session = tx.connection.driver_connection.pgconn
    session.send_query(b"SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    os.kill(os.getpid(), signal.SIGSTOP)
"""
"""Writes, asks for more than fits between server and client, and stands still before it has read the answer."""


def test_a_process_stopped_in_the_middle_of_an_answer() -> None:
    """PostgreSQL lets go of a client that stands still while an answer is on its way to it: others write on."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install it, on Debian and Ubuntu by apt-get install postgresql")
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with ExitStack() as stack:
        server = stack.enter_context(private_postgresql(binaries, port))
        socket = make_url(stack.enter_context(server.database()))
        url = socket.set(host="127.0.0.1", port=port, query={}).render_as_string()
        frozen = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", IN_AN_ANSWER, url], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(frozen.kill)
        assert frozen.stdout is not None
        assert frozen.stdout.readline() == "holds the lock\n"
        begun = time.monotonic()
        database = open_database(url)
        stack.callback(database.close)
        with database.write() as tx:
            assert tx.scalar(text("SELECT 1")) == 1
        show("stopped in an answer", seconds=round(time.monotonic() - begun, 1))


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "at_work"])
def test_woken_and_asked_to_end(tmp_path: Path, url: str, busy: bool) -> None:
    """A process woken past its lease and asked to end at once ends well within ten seconds; nothing is lost."""
    with house(tmp_path, 2, database=url) as (other, hub, _):
        hub.rest()
        started = hub.told("hub:engine:started")
        if busy:
            other.order(SOURCE, edit=1)
            other.order("look_up_only", hold=True)  # its answer is on its way all the while
            hub.queue(SOURCE)
        process = hub.start("run")
        wait_for(lambda: hub.told("hub:engine:started") > started, 30, hub.log)
        if busy:
            other.told()
        hub.freeze(process)
        hub.let_time_pass()
        process.send_signal(signal.SIGCONT)
        took = hub.stop(process, CLEAN_SECONDS)
        other.order("look_up_only", hold=None)
        hub.rest()
        show("woken and asked to end", busy=busy, seconds=round(took, 2), twice=len(other.doubles()))
        assert_whole(other, hub, held=1)
