"""The state of a connection: whether an attempt may be made now. One row, read by every worker before each attempt.

A person paused it, or the system asked for peace (parked), or it failed so often that the breaker opened, or it is not
this attempt's turn. Everything stands in the row, so that it holds for all processes and can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, select, update

from hub.store.database import upsert
from hub.store.events import Action, append
from hub.store.tables import BreakerState, connection_state

ACTOR = "hub"
LOOK_AGAIN = timedelta(minutes=15)
"""When work on a paused connection looks again by itself; whoever resumes it wakes the work at once."""


class StopCode(StrEnum):
    """Why no attempt is let through."""

    PAUSED = "paused"
    PARKED = "parked"
    BREAKER_OPEN = "breaker_open"
    RATE_LIMITED = "rate_limited"


@dataclass(frozen=True)
class Stop:
    """No attempt before `until`. `by` is who paused the connection."""

    code: StopCode
    until: datetime
    by: str = ""


@dataclass(frozen=True)
class GateRules:
    """When the breaker opens and how often it tries, and how many attempts a second are let through (None: any)."""

    failures: int = 5
    period: timedelta = timedelta(minutes=1)
    per_second: float | None = None


def stop_of(row: Row[Any] | None, now: datetime) -> Stop | None:
    """Return what stops attempts by a row as it stands, the gravest first. Pure.

    None also where the breaker's period has passed: then one worker may try, see `claim_probe`.
    """
    if row is None:
        return None
    if row.paused:
        return Stop(StopCode.PAUSED, now + LOOK_AGAIN, row.paused_by or "")
    if row.parked_until is not None and row.parked_until > now:
        return Stop(StopCode.PARKED, row.parked_until)
    if row.breaker_state is not BreakerState.CLOSED and row.breaker_until > now:
        return Stop(StopCode.BREAKER_OPEN, row.breaker_until)
    return None


class ConnectionState:
    """The row of one connection. Every statement about it stands here; callers hand in the transaction."""

    def __init__(self, tenant: str, connection: str) -> None:
        self._tenant = tenant
        self._connection = connection
        self._mine = {"of_tenant": tenant, "of_connection": connection}

    def read(self, tx: Connection) -> Row[Any] | None:
        """Return the row; None where nothing has happened to the connection yet."""
        return tx.execute(_ROW, self._mine).one_or_none()

    def claim_probe(self, tx: Connection, now: datetime, period: timedelta) -> bool:
        """Take the one attempt of the breaker's new period; False where another worker has it."""
        c = connection_state.c
        free = and_(c.breaker_state != BreakerState.CLOSED, c.breaker_until <= now)
        probe = {"breaker_state": BreakerState.HALF_OPEN, "breaker_until": now + period}
        taken = tx.execute(_UPDATE.where(free), self._mine | probe)
        return taken.rowcount == 1

    def take_turn(self, tx: Connection, now: datetime, per_second: float, latest: datetime) -> datetime:
        """Return when the next free turn is, and take it unless it is after `latest`."""
        row = self._own_row(tx)
        turn: datetime = max(row.next_free_at or now, now)
        if turn <= latest:
            self._write(tx, next_free_at=turn + timedelta(seconds=1 / per_second))
        return turn

    def fail(self, tx: Connection, rules: GateRules, code: str, now: datetime) -> None:
        """Count a failure; the breaker opens at the last that the rules allow, or when one fails after its period."""
        row = self._own_row(tx)
        failures = row.failures + 1
        self._write(tx, failures=failures)
        if row.breaker_state is BreakerState.CLOSED:
            opens = failures >= rules.failures
        else:  # a probe fails, or what prepares one
            opens = row.breaker_state is BreakerState.HALF_OPEN or row.breaker_until <= now
        if opens:
            self._write(tx, breaker_state=BreakerState.OPEN, breaker_until=now + rules.period)
        if row.breaker_state is BreakerState.CLOSED and failures >= rules.failures:
            self._event(tx, Action.CONNECTION_BROKEN, ACTOR, now, failures=failures, reason=code)

    def park(self, tx: Connection, until: datetime, code: str, now: datetime) -> None:
        """Let nothing through before an instant that the system named; an earlier word for longer stands."""
        row = self._own_row(tx)
        if row.parked_until is None or row.parked_until < until:
            self._write(tx, parked_until=until, parked_reason=code)
            seconds = int((until - now).total_seconds())
            self._event(tx, Action.CONNECTION_PARKED, ACTOR, now, seconds=seconds, reason=code)

    def succeed(self, tx: Connection, now: datetime) -> None:
        """Forget failures and close the breaker: the system answers."""
        row = self._own_row(tx)
        self._write(tx, failures=0, breaker_state=BreakerState.CLOSED, breaker_until=None, last_success_at=now)
        if row.breaker_state is not BreakerState.CLOSED:
            self._event(tx, Action.CONNECTION_MENDED, ACTOR, now)

    def pause(self, tx: Connection, who: str, now: datetime) -> None:
        """Let nothing through until somebody resumes. `who` is a user id. Raises NotACode for anything else."""
        if not self._own_row(tx).paused:
            self._write(tx, paused=True, paused_by=who, paused_at=now)
            self._event(tx, Action.PERSON_CONNECTION_PAUSED, who, now)

    def resume(self, tx: Connection, who: str, now: datetime) -> None:
        """End a pause; parking and breaker stand, for they are the system's. Raises NotACode as `pause` does."""
        if self._own_row(tx).paused:
            self._write(tx, paused=False, paused_by=None, paused_at=None)
            self._event(tx, Action.PERSON_CONNECTION_RESUMED, who, now)

    def _own_row(self, tx: Connection) -> Row[Any]:
        """Return the row, made where it is missing, and keep others from it until the transaction ends."""
        key = {"tenant": self._tenant, "connection": self._connection}
        upsert(tx, connection_state, [key], on=["tenant", "connection"])
        return tx.execute(_ROW.with_for_update(), self._mine).one()

    def _write(self, tx: Connection, **values: object) -> None:
        tx.execute(_UPDATE, self._mine | values)

    def _event(self, tx: Connection, action: Action, actor: str, now: datetime, **data: str | int) -> None:
        append(tx, self._tenant, action, "connection", self._connection, actor, now, **data)


_MINE = and_(
    connection_state.c.tenant == bindparam("of_tenant"), connection_state.c.connection == bindparam("of_connection")
)
_ROW = select(connection_state).where(_MINE)
_UPDATE = update(connection_state).where(_MINE)
