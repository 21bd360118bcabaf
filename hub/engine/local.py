"""The engine for one process: APScheduler as the clock, threads as the workers.

APScheduler keeps its jobs in memory and only asks the rows what is due; its own idea of misfires and overlaps is
not used, because an occurrence that it lost is found in the rows at the next tick, sweep or start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger

from hub.engine.occurrences import Timing, occurrences, plan
from hub.engine.port import Rows, Task

_SWEEP_SECONDS = 60
_FAR = timedelta(days=5 * 366)  # a schedule of 29 February fires within it
_log = structlog.get_logger(__name__)


class LocalEngine:
    """Runs the work of one process.

    `timings` holds the schedule of each connection, `clock` tells the present (aware), `workers` is how many rows
    are worked on at once, and `patience` how long `stop` waits for them; what is not done by then is left to its
    lease, and taken again after it.
    """

    def __init__(
        self,
        rows: Rows,
        timings: Mapping[str, Timing],
        *,
        clock: Callable[[], datetime],
        workers: int,
        patience: timedelta = timedelta(seconds=10),
    ) -> None:
        self._rows = rows
        self._timings = timings
        self._clock = clock
        self._patience = patience
        self._started_at = clock()
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._waiting: set[Task] = set()
        self._lock = Lock()
        self._stopping = Event()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._workers = [Thread(target=self._serve, name=f"worker-{n}", daemon=True) for n in range(workers)]

    def enqueue(self, kind: str, row_id: str) -> None:
        """Put a row in line, unless it stands there already."""
        task = Task(kind, row_id)
        with self._lock:
            if task in self._waiting or self._stopping.is_set():
                return
            self._waiting.add(task)
        self._queue.put(task)

    def start(self) -> None:
        """Start clock and workers; what fell due while the hub was down is looked at first."""
        for worker in self._workers:
            worker.start()
        settings = {"next_run_time": datetime.now(UTC), "misfire_grace_time": None, "coalesce": True}
        for connection, timing in self._timings.items():
            self._scheduler.add_job(self.tick, _OccurrenceTrigger(connection, timing), [connection], **settings)
        self._scheduler.add_job(self.sweep, IntervalTrigger(seconds=_SWEEP_SECONDS), **settings)
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the clock, drop what waits in line, and wait for the workers as long as patience lasts."""
        self._stopping.set()
        if self._scheduler.running:
            self._scheduler.shutdown()
        for _ in self._workers:
            self._queue.put(None)
        deadline = monotonic() + self._patience.total_seconds()
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - monotonic()))

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
            self.enqueue(task.kind, task.row_id)

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            with self._lock:
                self._waiting.discard(task)
            if not self._stopping.is_set():
                self._work(task)

    def _work(self, task: Task) -> None:
        try:
            self._rows.work(task, self._stopping)
        except Exception as error:  # noqa: BLE001 - the row keeps its lease until it passes; the worker lives on
            _log.error("engine:work:failed", **{task.kind: task.row_id}, exc_info=error)


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
