"""Heartbeat: one thread of a process that keeps its leases alive, however long a page or an answer takes.

Where the process is stopped or killed the beat ends with it, and its rows are another's within a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread
from types import TracebackType
from typing import Self

import structlog

from hub.store.database import Database
from hub.store.leases import DELIVERIES, LEASE, RUNS, keep_alive

BEAT_SECONDS = 10.0
"""A third of a lease: one beat may fail, and the next still comes in time."""

BESIDE = "1"
"""Names a writer beside those of the municipalities: no organisation number, so that a beat waits for none of them."""

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Keeps alive what `owner` is at work under in this process. Use as a context manager; `clock` is the hub's."""

    def __init__(self, db: Database, owner: str, clock: Callable[[], datetime]) -> None:
        self._db = db.of(BESIDE)
        self._owner = owner
        self._clock = clock
        self._stopping = Event()
        self._thread = Thread(target=self._beat_on, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(BEAT_SECONDS / 10)  # a beat that waits for the store keeps no process from ending

    def beat(self) -> None:
        """Put off the end of all leases that this process is at work under."""
        with self._db.write() as tx:
            for work in (RUNS, DELIVERIES):
                keep_alive(tx, work, self._owner, self._clock() + LEASE)

    def _beat_on(self) -> None:
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - a store that is away may be back at the next beat
                _log.warning("sync:heartbeat:failed", exc_info=error)
