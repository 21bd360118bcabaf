"""Serving: what `hub run`, `hub scheduler` and `hub worker` do until they are stopped."""

from __future__ import annotations

import signal
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from threading import Event

import structlog

from hub.bootstrap import Hub
from hub.engine.local import LocalEngine
from hub.engine.port import Engine
from hub.operate.audit import HEADS, Heads, chain_all
from hub.operate.process import owner
from hub.service.schedule import timings, upkeep
from hub.store.database import is_postgresql, libpq_url
from hub.sync.context import OSLO
from hub.sync.heartbeat import Heartbeat
from hub.sync.rows import SyncRows
from hub.sync.trouble import STORE_TROUBLE

UNCHAINED: tuple[type[Exception], ...] = (*STORE_TROUBLE, OSError)
CHAIN_SECONDS = 5
"""How often new events are chained."""

_log = structlog.get_logger(__name__)


class NeedsPostgreSQL(Exception):
    """What was asked for is done by several processes at once, and those can share PostgreSQL only."""


def serve_until_stopped(hub: Hub, workers: int, stop: Event | None = None, *, ticks: bool = True) -> None:
    """Run all schedules until SIGINT or SIGTERM, or until `stop` is set.

    A scheduler has no `workers`, a worker has `ticks` false. Raises NeedsPostgreSQL.
    """
    name = owner()
    engine = _engine(hub, name, workers, ticks=ticks)
    ended = stop or Event()
    if stop is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
    _log.info("hub:engine:started", due=len(timings(hub)))
    with Heartbeat(hub.db, name, _now):
        try:
            engine.start()
            for second in count(1):
                if ended.wait(1):  # a signal that another thread was handed is seen when this one wakes
                    break
                if ticks and second % CHAIN_SECONDS == 0:
                    _chain(hub)
        finally:
            engine.stop()
            if ticks:
                _chain(hub)
            _log.info("hub:engine:stopped")


def _now() -> datetime:
    return datetime.now(UTC)


def _chain(hub: Hub) -> None:
    """Chain the log of events, and keep the head of the day outside the store. What fails now is done the next time."""
    try:
        chain_all(hub.db, hub.tenants, Heads(hub.settings.data / HEADS), datetime.now(OSLO).date())
    except UNCHAINED as error:
        _log.warning("hub:events:not_chained", error_class=type(error).__name__)


def _engine(hub: Hub, name: str, workers: int, *, ticks: bool) -> Engine:
    """Return threads of this process on SQLite, a share in the work of all processes on PostgreSQL."""
    url = hub.settings.database.get_secret_value()
    if not is_postgresql(url):
        if not (ticks and workers):
            raise NeedsPostgreSQL(
                "Scheduler and workers apart need PostgreSQL. Set `database` in hub.yaml to postgresql+psycopg://…, "
                "move the store by `hub store move`, or use `hub run`, which does both on SQLite"
            )
        rows = SyncRows(hub.db, hub.tenants, name, upkeep(hub))
        return LocalEngine(rows, timings(hub), clock=_now, workers=workers)
    from hub.engine.distributed import DistributedEngine

    tenants = {number: replace(tenant, db=hub.db.of(number)) for number, tenant in hub.tenants.items()}
    rows, address = SyncRows(hub.db, tenants, name, upkeep(hub)), libpq_url(url)
    return DistributedEngine(rows, timings(hub), url=address, clock=_now, workers=workers, ticks=ticks)
