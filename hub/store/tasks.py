"""What somebody at a unit is asked to do about a log, kept as it stands now: what no longer holds is marked gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from hub.store.events import Action, append
from hub.store.inbox import ACTOR, SPECIAL_RULE
from hub.store.tables import TaskKind, TaskState, tasks

BY_A_PERSON = (TaskKind.WITHDRAWN, TaskKind.PLAN, TaskKind.DELETION)
"""Kinds of tasks that a person ticks off; the others end when the log is mended."""


@dataclass(frozen=True)
class NewTask:
    """Something to be done: what it is about, the code of why, by which role, and where the log came to whom."""

    kind: TaskKind
    reason: str
    addressed_to: str
    connection: str = ""
    reader: str = ""
    unit_id: str = ""
    revealing: bool = False


class Tasks:
    """The tasks of one tenant."""

    def __init__(self, tenant: str, new_id: Callable[[], str]) -> None:
        self._tenant = tenant
        self._new_id = new_id

    def of_logs(self, tx: Connection, log_ids: Collection[str]) -> dict[str, list[Row[Any]]]:
        """Return the tasks of logs that stand, open or done, by log."""
        c, found = tasks.c, dict[str, list[Row[Any]]]()
        kept = (c.tenant == self._tenant, c.log_id.in_(list(log_ids)), c.state != TaskState.GONE)
        for row in tx.execute(select(tasks).where(*kept)):
            found.setdefault(row.log_id, []).append(row)
        return found

    def set(
        self,
        tx: Connection,
        log_id: str,
        wanted: Iterable[NewTask],
        now: datetime,
        found: Mapping[str, Iterable[Row[Any]]] | None = None,
    ) -> None:
        """Make the standing tasks of a log exactly these. One that was done is not asked for again while it stands.

        `found` is what `of_logs` found in this transaction.
        """
        c = tasks.c
        if found is None:
            found = self.of_logs(tx, [log_id])
        standing = {_about(row): row for row in found.get(log_id, ())}
        asked = {_about(task): task for task in wanted}
        for about, row in standing.items():
            if about not in asked:
                tx.execute(update(tasks).where(c.task_id == row.task_id).values(state=TaskState.GONE))
                append(tx, self._tenant, Action.TASK_GONE, "task", row.task_id, ACTOR, now, log=log_id)
        for about, task in asked.items():
            if about not in standing:
                self._add(tx, log_id, task, now)

    def _add(self, tx: Connection, log_id: str, task: NewTask, now: datetime) -> None:
        row = {"task_id": self._new_id(), "tenant": self._tenant, "log_id": log_id, "since": now, **asdict(task)}
        tx.execute(insert(tasks).values(state=TaskState.OPEN, **row))
        reason = SPECIAL_RULE if task.revealing else task.reason
        append(tx, self._tenant, Action.TASK_SET, "task", str(row["task_id"]), ACTOR, now, log=log_id, reason=reason)

    def still_there(self, tx: Connection, log_id: str, connection: str, now: datetime) -> list[str]:
        """Open again the tasks to delete a log in its system that were done while it is there; return them."""
        c = tasks.c
        there = (c.tenant == self._tenant, c.log_id == log_id, c.connection == connection)
        done = (c.kind == TaskKind.DELETION, c.state == TaskState.DONE, c.done_at < now)
        again = update(tasks).where(*there, *done).values(state=TaskState.OPEN, done_by=None, done_at=None, since=now)
        return list(tx.scalars(again.returning(c.task_id)).all())

    def done(self, tx: Connection, task_id: str, who: str, now: datetime) -> bool:
        """Note who did what an open task that people tick off asked for; False where there is none."""
        c = tasks.c
        where = (c.tenant == self._tenant, c.task_id == task_id, c.state == TaskState.OPEN)
        ticked = update(tasks).where(*where, c.kind.in_(BY_A_PERSON)).returning(c.log_id)
        log_id = tx.scalar(ticked.values(state=TaskState.DONE, done_by=who, done_at=now))
        if log_id is None:
            return False
        append(tx, self._tenant, Action.PERSON_TASK_DONE, "task", task_id, who, now, log=log_id)
        return True


def _about(task: NewTask | Row[Any]) -> tuple[str, ...]:
    return (task.kind, task.reason, task.connection, task.reader)
