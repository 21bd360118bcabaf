"""What the hub asks of an engine, and what an engine asks of the hub.

An engine carries ids of rows to workers and tells when occurrences are due. It keeps nothing: whatever it loses,
the sweep finds again in the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Protocol

from hub.engine.occurrences import Busy, Plan

PATIENCE = timedelta(seconds=8)
"""How long a stop waits for work in progress, so that a process has ended within ten seconds."""


@dataclass(frozen=True)
class Task:
    """A row that is to be worked on: the kind of row (`run`, `delivery`) and its id."""

    kind: str
    row_id: str


class Engine(Protocol):
    """Carries tasks to workers."""

    def enqueue(self, kind: str, row_id: str) -> None:
        """Have a worker take the row soon. Twice, or for a row that is no longer due, does no harm."""

    def start(self) -> None:
        """Start the clock and the workers."""

    def stop(self) -> None:
        """Take nothing more, let work in progress end within seconds, and return."""


class Rows(Protocol):
    """The rows behind the engine. Called from several threads at once; an exception stops that one call only."""

    def planned_until(self, connection: str) -> datetime | None:
        """Return the planned instant of the connection's newest occurrence, run or missed; None while there is none."""

    def busy(self, connection: str) -> Busy | None:
        """Return what the connection's schedule is busy with: a run that waits, one at work, or nothing."""

    def book(self, connection: str, plan: Plan) -> Iterable[Task]:
        """Store the plan's occurrences and return the rows to work on.

        Two may book the same occurrence at once: the first row stands, and only who made it tells of it.
        """

    def sweep(self, now: datetime) -> Iterable[Task]:
        """Free rows of dead workers and return every row that is due and has no living lease."""

    def work(self, task: Task, stopping: Event) -> None:
        """Claim the row and do its work. To end soon, and between calls at once, when `stopping` is set."""
