"""Turns: whoever wants to write to SQLite gets to it in the order of asking, however busy the others are.

SQLite lets those who wait try again now and then, and whoever writes one transaction after another leaves them no
moment: a heartbeat would come too late beside the routing of a few thousand logs. So the threads of a process stand in
line, and a process that has written for some seconds leaves the file alone for longer than another's longest pause
between two tries.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

GAP = 0.12
"""Seconds: those who wait for SQLite's lock try at least every 0.1 (its source, `sqliteDefaultBusyCallback`)."""

STRETCH = 5.0
"""Seconds of writing without a gap after which there is one."""


class NotYet(Exception):
    """The turn did not come in time."""


class Turns:
    """Who may write, one thread at a time. `patience` is how many seconds a thread waits for its turn."""

    def __init__(
        self,
        patience: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._patience = patience
        self._now = now
        self._sleep = sleep
        self._guard = Lock()
        self._line: deque[Lock] = deque()
        self._taken = False
        self._left_alone_at = self._given_back_at = now()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and have it. Raises NotYet."""
        self._take()
        try:
            self._leave_a_gap()
            yield
        finally:
            self._given_back_at = self._now()
            self._hand_on()

    def _take(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = Lock()
            mine.acquire()
            self._line.append(mine)
        came = False
        try:
            came = mine.acquire(timeout=self._patience)
        finally:
            if not came:
                self._step_out(mine)
        if not came:
            raise NotYet

    def _step_out(self, mine: Lock) -> None:
        """Leave the line; where the turn came in that very moment it goes to the next."""
        with self._guard:
            if mine in self._line:
                self._line.remove(mine)
                return
        self._hand_on()

    def _hand_on(self) -> None:
        with self._guard:
            if self._line:
                self._line.popleft().release()
            else:
                self._taken = False

    def _leave_a_gap(self) -> None:
        now = self._now()
        if now - self._given_back_at >= GAP:
            self._left_alone_at = now
        elif now - self._left_alone_at >= STRETCH:
            self._sleep(GAP)
            self._left_alone_at = self._now()
