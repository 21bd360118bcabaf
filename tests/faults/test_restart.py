"""PostgreSQL is restarted, or crashes, in the middle of a sync: the hub goes on by itself, and nothing is lost."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from hub.store.events import Action
from hub.store.tables import RunState, events, runs
from tests.faults.house import PATIENCE, House, assert_whole, house, scale, show, wait_for
from tests.stores import PostgresServer, postgresql_binaries, private_postgresql

pytestmark = pytest.mark.long

PAGE = 5
AWAY_SECONDS = 3
STOP_SECONDS = 15  # as the unit in docs/drift/kjoring.md gives it
WORKERS = 2
INTERRUPTED = (Action.RUN_FREED, Action.DELIVERY_FREED)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server that nobody else uses. Its own setting lets a crash forget commits; the hub asks for another."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install it, on Debian and Ubuntu by apt-get install postgresql")
    with private_postgresql(binaries) as server:
        yield server


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_restart_in_mid_sync(tmp_path: Path, server: PostgresServer, ending: signal.Signals) -> None:
    """While records are read, and again while a change is on its way: the same process ends the sync with no hand."""
    count = scale(full=2_000, short=30)
    with server.database() as url, house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        hub.queue()
        process = hub.start("run", "--workers", str(WORKERS))
        wait_for(lambda: hub.progress() >= count, PATIENCE, hub.log)
        with server.away(ending):
            time.sleep(AWAY_SECONDS)
        back = time.monotonic()
        wait_for(lambda: hub.deliveries("look_up_only")["done"] > 0, PATIENCE, hub.log)
        taken_up = time.monotonic() - back
        other.order("look_up_only", hold=True)
        other.told()
        with server.away(ending):
            other.order("look_up_only", hold=None)  # its answer comes while nothing can be written down
            time.sleep(AWAY_SECONDS)
        back = time.monotonic()
        wait_for(lambda: not hub.at_work() and not hub.waiting() and not hub.busy(), PATIENCE, hub.log)
        ended = time.monotonic() - back
        told = _told(hub)
        show(
            "database restarted" if ending == signal.SIGINT else "database crashed",
            records=count,
            seconds_to_first_delivery=round(taken_up, 1),
            seconds_to_end=round(ended, 1),
            twice=len(other.doubles()),
            lacking=len(other.lacking()),
            held=hub.deliveries("neither")["held"],
            runs_freed=told[Action.RUN_FREED],
            deliveries_freed=told[Action.DELIVERY_FREED],
        )
        assert process.poll() is None, hub.log()
        assert hub.told("hub:engine:started") == 1
        hub.stop(process)
        assert hub.hub("audit", "verify") == 0, hub.log()
        assert {row.state for row in hub.rows(select(runs.c.state))} == {RunState.DONE}
        assert told[Action.RUN_FREED] > 0
        assert told[Action.DELIVERY_FREED] > 0
        assert_whole(other, hub, held=WORKERS * 2)


def test_asked_to_end_while_the_database_is_away(tmp_path: Path, server: PostgresServer) -> None:
    """It ends well, in the time that its unit gives it; what it was at is done when database and hub are back."""
    count = 20
    with server.database() as url, house(tmp_path, count, page_size=PAGE, database=url) as (other, hub, _):
        hub.queue()
        process = hub.start("run", "--workers", str(WORKERS))
        wait_for(lambda: hub.progress() >= count, PATIENCE, hub.log)
        with server.away(signal.SIGQUIT):
            time.sleep(1)
            took = hub.stop(process, STOP_SECONDS)
        show("asked to end without a database", seconds=round(took, 2))
        hub.rest()
        assert_whole(other, hub, held=WORKERS)


def _told(hub: House) -> Counter[str]:
    """Give how often the log of events tells that work was taken from who had it."""
    return Counter(str(row.action) for row in hub.rows(select(events.c.action).where(events.c.action.in_(INTERRUPTED))))
