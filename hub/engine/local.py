"""The engine for one process: a clock, and threads as the workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from queue import SimpleQueue
from threading import Event, Lock, Thread
from time import monotonic

import structlog

from hub.engine.occurrences import Timing
from hub.engine.port import PATIENCE, Rows, Task
from hub.engine.ticker import Ticker

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
        patience: timedelta = PATIENCE,
    ) -> None:
        self._rows = rows
        self._patience = patience
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._waiting: set[Task] = set()
        self._lock = Lock()
        self._stopping = Event()
        self._ticker = Ticker(rows, timings, clock, self.enqueue)
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
        self._ticker.start()

    def stop(self) -> None:
        """Stop the clock, drop what waits in line, and wait for the workers as long as patience lasts."""
        self._stopping.set()
        self._ticker.stop()
        for _ in self._workers:
            self._queue.put(None)
        deadline = monotonic() + self._patience.total_seconds()
        for worker in self._workers:
            if worker.is_alive():
                worker.join(max(0.0, deadline - monotonic()))

    def sweep(self) -> None:
        """Do now what the clock does a few times a minute."""
        self._ticker.sweep()

    def _serve(self) -> None:
        while (task := self._queue.get()) is not None:
            with self._lock:
                self._waiting.discard(task)
            if not self._stopping.is_set():
                self._work(task)

    def _work(self, task: Task) -> None:
        try:
            self._rows.work(task, self._stopping)
        except BaseException as error:  # noqa: BLE001 - also a panic of a library in Rust, which is no Exception:
            # the row keeps its lease until it passes; the worker lives on
            _log.error("engine:work:failed", **{task.kind: task.row_id}, exc_info=error)
