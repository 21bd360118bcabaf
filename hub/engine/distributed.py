"""The engine for several processes and machines on one PostgreSQL: Procrastinate carries ids of rows to workers.

Its locks and retries are not used; order, leases and later attempts are the rows' own. A worker is woken at once by
PostgreSQL's notifications, and looks by itself a few times a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event, Thread

import structlog
from procrastinate import App

from hub.engine.jobs import TASK, Jobs, drop_stalled, make_schema, worker_app
from hub.engine.occurrences import Timing
from hub.engine.port import PATIENCE, Rows, Task
from hub.engine.ticker import Ticker

_STALLED_SECONDS = 30.0
_TIDY_SECONDS = 20
_LOOK_SECONDS = 20.0
_PAUSE_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class DistributedEngine:
    """Runs the work of one process among others on the same database.

    `timings` holds the schedule of each connection, `clock` tells the present (aware) and `url` is a libpq address.
    A scheduler has no `workers`, a worker has `ticks` false, and a process that does both is no other's rival: any
    number of each may run. `patience` is how long `stop` waits for work in progress; what is not done by then is left
    to its lease, and taken again after it.
    """

    def __init__(
        self,
        rows: Rows,
        timings: Mapping[str, Timing],
        *,
        url: str,
        clock: Callable[[], datetime],
        workers: int,
        ticks: bool,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._ticks = ticks
        self._patience = patience
        self._stopping = Event()
        self._jobs = Jobs(url)
        self._ticker = Ticker(rows, timings, clock, self.enqueue)
        loop = _WorkerLoop(rows, url, workers, patience, self._stopping)
        self._worker = Thread(target=loop.run, name="workers", daemon=True) if workers else None

    def enqueue(self, kind: str, row_id: str) -> None:
        """Have a worker of any process take the row soon."""
        if not self._stopping.is_set():
            self._jobs.put(Task(kind, row_id))

    def start(self) -> None:
        """Start clock and workers; what fell due while the hub was down is looked at first."""
        self._jobs.open()
        if self._worker:
            self._worker.start()
        if self._ticks:
            self._ticker.start()

    def stop(self) -> None:
        """Stop the clock, take no more jobs, and wait for the workers as long as patience lasts."""
        self._stopping.set()
        self._ticker.stop()
        if self._worker and self._worker.is_alive():
            self._worker.join(self._patience.total_seconds() + 1)
        self._jobs.close()

    def sweep(self) -> None:
        """Do now what the clock does a few times a minute."""
        self._ticker.sweep()


class _WorkerLoop:
    """One thread's event loop that takes jobs and has each worked on in a thread of its own."""

    def __init__(self, rows: Rows, url: str, workers: int, patience: timedelta, stopping: Event) -> None:
        self._rows = rows
        self._url = url
        self._workers = workers
        self._patience = patience
        self._stopping = stopping

    def run(self) -> None:
        """Take jobs until told to stop. Whatever breaks, the schema and the connections are made again."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        stopped = self._told_to_stop()
        while not stopped.done():
            try:
                make_schema(self._url)
                app = worker_app(self._url)
                app.task(name=TASK)(self._work)
                async with app.open_async():
                    await _until(stopped, self._take(app), self._tidy(app))
            except Exception as error:  # noqa: BLE001 - a database that was away, or jobs that were dropped
                _log.warning("engine:worker:restarted", exc_info=error)
            await asyncio.wait({stopped}, timeout=_PAUSE_SECONDS)

    def _told_to_stop(self) -> asyncio.Future[None]:
        """Return what is done when other threads have set `stopping`."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_future()

        def wait() -> None:
            self._stopping.wait()
            loop.call_soon_threadsafe(stopped.set_result, None)

        Thread(target=wait, name="workers-stop", daemon=True).start()
        return stopped

    async def _take(self, app: App) -> None:
        await app.run_worker_async(
            concurrency=self._workers,
            delete_jobs="always",
            fetch_job_polling_interval=_LOOK_SECONDS,
            install_signal_handlers=False,
            shutdown_graceful_timeout=self._patience.total_seconds(),
            stalled_worker_timeout=_STALLED_SECONDS,
        )

    async def _tidy(self, app: App) -> None:
        while True:
            await drop_stalled(app, _STALLED_SECONDS)
            await asyncio.sleep(_TIDY_SECONDS)

    async def _work(self, kind: str, row_id: str) -> None:
        """Wait for a thread of its own, which a stop leaves behind when patience ends: it keeps no process alive."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def work() -> None:
            try:
                self._rows.work(Task(kind, row_id), self._stopping)
            except BaseException as error:  # noqa: BLE001 - also a panic of a library in Rust, which is no Exception:
                # the row keeps its lease until it passes; the worker lives on
                _log.error("engine:work:failed", **{kind: row_id}, exc_info=error)
            finally:
                with suppress(RuntimeError):  # nobody waits any more
                    loop.call_soon_threadsafe(done.set)

        Thread(target=work, name=f"worker-{kind}", daemon=True).start()
        await done.wait()


async def _until(stopped: asyncio.Future[None], *parts: Coroutine[None, None, None]) -> None:
    """Go on until told to stop or until one part ends; end the others, and raise what broke."""
    tasks = [asyncio.create_task(part) for part in parts]
    await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
