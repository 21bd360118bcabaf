"""The gate that every attempt on a connection passes, on the row that all workers share; and who may shut it.

No transaction is open while the gate waits or while an attempt is made.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import local

from hub.connectors.base import ConnectorError, OutcomeUnknown, Unavailable, Waiting
from hub.connectors.http import LONGEST_WAIT_IN_CALL, Clock
from hub.store.connections import ConnectionState, GateRules, Stop, StopCode, stop_of
from hub.store.database import Database
from hub.store.tables import BreakerState
from hub.sync.context import Tenant

WHY = {
    StopCode.PAUSED: ("a person has paused the connection", "`hub resume` lets it go on"),
    StopCode.PARKED: ("the system has asked for peace", "The hub goes on by itself when the time has passed"),
    StopCode.BREAKER_OPEN: ("the system has failed many times in a row", "The hub tries once a while; see its errors"),
    StopCode.RATE_LIMITED: ("all turns for a while are taken", "The hub goes on by itself; see `rate`"),
}


def waiting(stop: Stop) -> Waiting:
    """Return a stop as the error that connectors raise."""
    return Waiting(stop.code, *WHY[stop.code], stop.until)


class RowGate:
    """The gate of one connection. Reads the row once an attempt; writes where a turn is taken or something changed."""

    def __init__(self, db: Database, state: ConnectionState, rules: GateRules, clock: Clock) -> None:
        self._db = db
        self._state = state
        self._rules = rules
        self._clock = clock
        self._attempt = local()

    def enter(self) -> None:
        """Let an attempt through, or wait as long as a call may wait. Raises Waiting."""
        self._wait_for_peace()
        if self._rules.per_second and self._wait_for_turn(self._rules.per_second):
            self._wait_for_peace()  # a person may have paused it meanwhile

    def look(self) -> None:
        """See that nothing stops attempts, or wait as `enter` does; take no turn, and not the breaker's one attempt."""
        self._wait_for_peace(trying=False)

    def succeeded(self) -> None:
        """Note that the system answered; costs nothing while all is well."""
        if self._attempt.troubled:
            with self._db.write() as tx:
                self._state.succeed(tx, self._clock.now())

    def failed(self, error: ConnectorError) -> None:
        """Park the connection where the system asked for peace; else count what tells that it does not work."""
        if not isinstance(error, Unavailable | OutcomeUnknown):
            return
        now = self._clock.now()
        with self._db.write() as tx:
            if isinstance(error, Unavailable) and error.retry_after:
                self._state.park(tx, now + error.retry_after, error.code, now)
            else:
                self._state.fail(tx, self._rules, error.code, now)

    def _wait_for_peace(self, *, trying: bool = True) -> None:
        latest = self._clock.now() + LONGEST_WAIT_IN_CALL
        while (stop := self._stop(trying=trying)) is not None:
            if stop.code is not StopCode.PARKED or stop.until > latest:
                raise waiting(stop)
            self._sleep_until(stop.until)

    def _stop(self, *, trying: bool) -> Stop | None:
        now = self._clock.now()
        with self._db.read() as tx:
            row = self._state.read(tx)
        closed = row is None or row.breaker_state is BreakerState.CLOSED
        self._attempt.troubled = not closed or (row is not None and row.failures > 0)
        stop = stop_of(row, now)
        return stop if stop or closed or not trying else self._probe(now)

    def _probe(self, now: datetime) -> Stop | None:
        """Try as the one worker of the breaker's period, or wait for the next."""
        with self._db.write() as tx:
            if self._state.claim_probe(tx, now, self._rules.period):
                return None
        return Stop(StopCode.BREAKER_OPEN, now + self._rules.period)

    def _wait_for_turn(self, per_second: float) -> bool:
        """Take the next free turn and wait for it; tell whether that took time. Raises Waiting where it is far off."""
        now = self._clock.now()
        latest = now + LONGEST_WAIT_IN_CALL
        with self._db.write() as tx:
            turn = self._state.take_turn(tx, now, per_second, latest)
        if turn > latest:
            raise waiting(Stop(StopCode.RATE_LIMITED, turn))
        self._sleep_until(turn)
        return turn > now

    def _sleep_until(self, instant: datetime) -> None:
        while (left := instant - self._clock.now()) > timedelta():
            self._clock.sleep(left.total_seconds())


def pause(tenant: Tenant, connection: str, who: str) -> None:
    """Shut the gate: no attempt begins after this, in any process."""
    with tenant.db.write() as tx:
        ConnectionState(tenant.organisation_number, connection).pause(tx, who, tenant.now())


def resume(tenant: Tenant, connection: str, who: str) -> None:
    """Open the gate again and wake the work that waited for it, also what was held for a person."""
    with tenant.db.write() as tx:
        ConnectionState(tenant.organisation_number, connection).resume(tx, who, tenant.now())
        tenant.work.wake(tx, connection, tenant.now())
