"""The clock of an engine: tells when occurrences are due, and finds again a few times a minute what was lost.

APScheduler keeps its jobs in memory and only asks the rows what is due; its own idea of misfires and overlaps is
not used, because an occurrence that it lost is found in the rows at the next tick, sweep or start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from hub.engine.occurrences import Timing, occurrences, plan
from hub.engine.port import Rows, Task

_SWEEP_SECONDS = 20
_FAR = timedelta(days=5 * 366)  # a schedule of 29 February fires within it
_log = structlog.get_logger(__name__)


class Ticker:
    """Books occurrences and sweeps, and hands every row that is due to `enqueue`. Several may tick at once.

    `timings` holds the schedule of each connection, `clock` tells the present (aware).
    """

    def __init__(
        self,
        rows: Rows,
        timings: Mapping[str, Timing],
        clock: Callable[[], datetime],
        enqueue: Callable[[str, str], None],
    ) -> None:
        self._rows = rows
        self._timings = timings
        self._clock = clock
        self._enqueue = enqueue
        self._started_at = clock()
        self._scheduler = BackgroundScheduler(timezone=UTC)

    def start(self) -> None:
        """Start ticking; what fell due while the hub was down is looked at first."""
        settings = {"next_run_time": datetime.now(UTC), "misfire_grace_time": None, "coalesce": True}
        for connection, timing in self._timings.items():
            self._scheduler.add_job(self.tick, _OccurrenceTrigger(connection, timing), [connection], **settings)
        self._scheduler.add_job(self.sweep, IntervalTrigger(seconds=_SWEEP_SECONDS), **settings)
        self._scheduler.start()

    def stop(self) -> None:
        """Stop ticking, when what is being booked is booked."""
        if self._scheduler.running:
            self._scheduler.shutdown()

    def tick(self, connection: str) -> None:
        """Book what has become due on a connection, and put it in line."""
        try:
            since = self._rows.planned_until(connection) or self._started_at
            busy = self._rows.busy(connection)
            found = plan(connection, self._timings[connection], since, self._clock(), busy=busy)
            if found.run or found.missed:
                self._enqueue_all(self._rows.book(connection, found))
        except Exception as error:  # noqa: BLE001 - the clock goes on
            _log.error("engine:tick:failed", connection=connection, exc_info=error)

    def sweep(self) -> None:
        """Put every due row without a living lease in line, and look again for occurrences that the clock lost."""
        for connection in self._timings:
            self.tick(connection)
        try:
            self._enqueue_all(self._rows.sweep(self._clock()))
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("engine:sweep:failed", exc_info=error)

    def _enqueue_all(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self._enqueue(task.kind, task.row_id)


class _OccurrenceTrigger(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Tells APScheduler when a connection's next occurrence starts. Cron's own trigger fires twice in October."""

    def __init__(self, connection: str, timing: Timing) -> None:
        self._connection = connection
        self._timing = timing

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        """Return the next start after now; what lies before it is found in the rows."""
        earlier = now.astimezone(UTC) - self._timing.jitter
        coming = occurrences(self._connection, self._timing, earlier, now + _FAR)
        return next((each.starts_at for each in coming if each.starts_at > now), None)
