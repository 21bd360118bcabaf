"""Leases: one worker at a time on a row of work, and no writing by one that has lost it.

A claim takes a row for a while and raises its fence, a number that only grows. Every later write calls `guard` in
its own transaction; a worker that slept past its lease while another took the row is refused there. What became of
a dead worker's row differs: a run starts over, but a delivery that was being sent may have arrived, so that it is
unknown until somebody has looked. Time is handed in, the same clock for all.

A lease is short, so that a dead worker's row is soon another's. What takes longer is kept by its process: a lease is
`at_work` while a thread of it is, and `keep_alive` puts off the end of those, and of no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Row,
    Table,
    Update,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from hub.store.tables import DeliveryState, LeasedColumns, RunState, deliveries, runs

LEASE = timedelta(seconds=30)
"""How long a row is a worker's that nobody hears of. With a sweep each 20 seconds it is another's within a minute."""


class LeaseLost(Exception):
    """The row has been claimed or freed since. Write nothing more for it; what is due will be taken again."""


@dataclass(frozen=True)
class Work:
    """One kind of rows of work: where they lie, which may be claimed, and what a dead worker leaves behind."""

    kind: str
    table: Table[LeasedColumns]
    id: Column[str]
    state: Column[Any]
    waiting: frozenset[StrEnum]
    working: StrEnum
    """The state in which a worker is busy with the row."""
    left_behind: StrEnum
    """The state that `working` turns into when its worker died."""


RUNS = Work("run", runs, runs.c.run_id, runs.c.state, frozenset({RunState.QUEUED}), RunState.RUNNING, RunState.QUEUED)
DELIVERIES = Work(
    "delivery",
    deliveries,
    deliveries.c.delivery_id,
    deliveries.c.state,
    frozenset({DeliveryState.READY, DeliveryState.UNKNOWN}),
    DeliveryState.SENDING,
    DeliveryState.UNKNOWN,
)


@dataclass(frozen=True)
class Lease:
    """A row that one worker has until an instant. `fence` is what its writes are known by."""

    work: Work
    row_id: str
    owner: str
    until: datetime
    fence: int


def due(tx: Connection, work: Work, now: datetime, limit: int) -> list[str]:
    """Return the ids of rows that may be claimed now, the longest due first."""
    statement = select(work.id).where(_claimable(work, now)).order_by(work.table.c.due_at, work.id).limit(limit)
    return list(tx.scalars(statement))


def claim(tx: Connection, work: Work, row_id: str, owner: str, now: datetime, until: datetime) -> Lease | None:
    """Take a row, or return None where it is not due, not waiting, or somebody else's."""
    taken = claim_row(tx, work, row_id, owner, now, until)
    return taken and taken[0]


def claim_row(
    tx: Connection, work: Work, row_id: str, owner: str, now: datetime, until: datetime
) -> tuple[Lease, Row[Any]] | None:
    """Take a row as `claim` does, and return it with its lease.

    A claimed run is `running` and has one attempt more; a connection has one running run at a time, so that another
    waits for it. A claimed delivery keeps its state: it becomes `sending` only when bytes are about to leave.
    """
    taken = {"of_row": row_id, "at": now, "lease_owner": owner, "lease_until": until}
    row = tx.execute(_CLAIM[work.kind], taken).one_or_none()
    return None if row is None else (Lease(work, row_id, owner, until, row.fence), row)


def guard(tx: Connection, lease: Lease) -> None:
    """Raise LeaseLost unless the row is still this lease's; hold it until the transaction ends.

    To be called first in every transaction that writes on behalf of the row.
    """
    work = lease.work
    held = select(work.table.c.fence).where(work.id == lease.row_id).with_for_update()
    if tx.scalar(held) != lease.fence:
        raise _lost(lease)


def renew(tx: Connection, lease: Lease, until: datetime) -> Lease:
    """Keep a row for longer. Raises LeaseLost."""
    guard(tx, lease)
    tx.execute(
        update(lease.work.table).where(lease.work.id == lease.row_id).values({lease.work.table.c.lease_until: until})
    )
    return replace(lease, until=until)


def release(tx: Connection, lease: Lease, **values: object) -> Row[Any]:
    """Give a row back, write how it went (`state`, `due_at`, `error_class` and the like) and return it as it now is.

    Raises LeaseLost.

    The fence grows, so that nothing more can be written under this lease.
    """
    return _freed(tx, _RELEASE[lease.work.kind], lease, values)


def put_back(tx: Connection, lease: Lease, **values: object) -> None:
    """Give a row back as `release` does, untried: that it was claimed counts as no attempt. Raises LeaseLost."""
    _freed(tx, _PUT_BACK[lease.work.kind], lease, values)


def _freed(tx: Connection, statement: ReturningUpdate[Any], lease: Lease, values: dict[str, object]) -> Row[Any]:
    freed = {"lease_owner": None, "lease_until": None, "fence": lease.fence + 1}
    row = tx.execute(statement, values | freed | {"of_row": lease.row_id, "of_fence": lease.fence}).one_or_none()
    if row is None:
        raise _lost(lease)
    return row


@contextmanager
def at_work(lease: Lease) -> Iterator[None]:
    """Count a lease among those that this process is busy under, so that it is kept alive however long that takes.

    When the work breaks off, the lease passes by itself.
    """
    with _busy_lock:
        _busy.add(_named(lease))
    try:
        yield
    finally:
        with _busy_lock:
            _busy.discard(_named(lease))


def keep_alive(tx: Connection, work: Work, owner: str, until: datetime) -> None:
    """Put off the end of the leases that `owner` is at work under in this process; what was taken from it stays so.

    A row that another transaction writes is left to that one, so that nobody waits here.
    """
    c = work.table.c
    with _busy_lock:
        mine = [(row_id, fence) for kind, row_id, whose, fence in _busy if (kind, whose) == (work.kind, owner)]
    still = select(work.id).where(c.lease_owner == owner, tuple_(work.id, c.fence).in_(mine))
    still = still.with_for_update(skip_locked=True)
    if mine:
        tx.execute(update(work.table).where(work.id.in_(still)).values({c.lease_until: until}))


def free_dead(tx: Connection, work: Work, now: datetime) -> list[str]:
    """Free the rows whose worker let its lease pass, and return their ids."""
    c = work.table.c
    state = case((work.state == work.working, work.left_behind), else_=work.state)
    dead = (
        update(work.table)
        .where(c.lease_until <= now, work.state.in_([*work.waiting, work.working]))
        .values({c.lease_owner: None, c.lease_until: None, c.fence: c.fence + 1, work.state: state})
        .returning(work.id)
    )
    return sorted(tx.scalars(dead))


_busy: set[tuple[str, str, str, int]] = set()
"""Kind, row, owner and fence of every lease under which a thread of this process is at work."""

_busy_lock = Lock()


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.work.kind} {lease.row_id}: another worker has taken it since fence {lease.fence}")


def _named(lease: Lease) -> tuple[str, str, str, int]:
    return lease.work.kind, lease.row_id, lease.owner, lease.fence


def _claimable(work: Work, now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    c = work.table.c
    free = and_(work.state.in_(work.waiting), c.due_at <= now, or_(c.lease_until.is_(None), c.lease_until <= now))
    if work is not RUNS:
        return free
    other = runs.alias()
    running = select(other.c.run_id).where(
        other.c.tenant == runs.c.tenant, other.c.connection == runs.c.connection, other.c.state == RunState.RUNNING
    )
    return and_(free, ~running.exists())


_AT = bindparam("at", type_=runs.c.due_at.type)
_OF_ROW: BindParameter[str] = bindparam("of_row")
_OF_FENCE: BindParameter[int] = bindparam("of_fence")


def _claim(work: Work) -> ReturningUpdate[Any]:
    c = work.table.c
    statement = update(work.table).where(work.id == _OF_ROW, _claimable(work, _AT))
    statement = statement.values({c.fence: c.fence + 1, c.attempts: c.attempts + 1})
    if work is RUNS:
        statement = statement.values(
            {runs.c.state: RunState.RUNNING, runs.c.started_at: func.coalesce(runs.c.started_at, _AT)}
        )
    return statement.returning(*c)


def _mine(work: Work) -> Update:
    return update(work.table).where(work.id == _OF_ROW, work.table.c.fence == _OF_FENCE)


def _put_back(work: Work) -> ReturningUpdate[Any]:
    c = work.table.c
    return _mine(work).values({c.attempts: c.attempts - 1}).returning(*c)


# Made once, by kind of work: to make a statement costs more than to carry it out.
_CLAIM = {work.kind: _claim(work) for work in (RUNS, DELIVERIES)}
_RELEASE = {work.kind: _mine(work).returning(*work.table.c) for work in (RUNS, DELIVERIES)}
_PUT_BACK = {work.kind: _put_back(work) for work in (RUNS, DELIVERIES)}
