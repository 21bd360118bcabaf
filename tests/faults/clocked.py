"""A scheduler or a worker in a process of its own whose clock a test sets, so that a night passes in seconds.

It runs what `hub scheduler` and `hub worker` run; only the time that is handed in is another: that which stands in a
file, for all processes the same. It stands still until the test moves it, so that no lease passes by itself. The hub
has no switch for its clock, which nobody can then leave on.

    python -m tests.faults.clocked scheduler|worker CONFIG CLOCK     prints `ready` when it is at work
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Event

from hub.bootstrap import Hub, open_hub, read_settings, system_clock
from hub.engine.distributed import DistributedEngine
from hub.operate.logging import configure_logging
from hub.operate.process import owner
from hub.service.schedule import timings
from hub.store.database import libpq_url
from hub.sync.rows import SyncRows

LOOK_SECONDS = 0.02
SWEEP_SECONDS = 1.0


class FileClock:
    """The time that stands in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> datetime:
        """Tell it."""
        return datetime.fromisoformat(self._path.read_text("ascii"))

    def set(self, at: datetime) -> None:
        """Change it for all who read it, at once."""
        new = self._path.with_suffix(".new")
        new.write_text(at.isoformat(), encoding="ascii")
        new.replace(self._path)


def serve(role: str, config: Path, clock: FileClock) -> None:
    """Do a process's share until SIGTERM. A scheduler sweeps when the clock has moved, and each second."""
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = read_settings(config, os.environ)
    configure_logging(settings.environment, settings.log_level, sys.stderr)
    with open_hub(settings, replace(system_clock(), now=clock.now)) as hub:
        engine = _engine(hub, clock, ticks=role == "scheduler")
        engine.start()
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        seen, swept = clock.now(), time.monotonic()
        while not stop.wait(LOOK_SECONDS):
            if role == "scheduler" and (clock.now() != seen or time.monotonic() - swept > SWEEP_SECONDS):
                seen, swept = clock.now(), time.monotonic()
                engine.sweep()
        engine.stop()


def _engine(hub: Hub, clock: FileClock, *, ticks: bool) -> DistributedEngine:
    ids = {connection.id for tenant in hub.settings.tenants for connection in tenant.connections}
    tenants = {number: replace(tenant, db=hub.db.of(number)) for number, tenant in hub.tenants.items()}
    url = libpq_url(hub.settings.database.get_secret_value())
    rows = SyncRows(hub.db, tenants, owner())
    read = {name: timing for name, timing in timings(hub).items() if name in ids}  # without the nightly counts
    return DistributedEngine(rows, read, url=url, clock=clock.now, workers=0 if ticks else 2, ticks=ticks)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), FileClock(Path(sys.argv[3])))
