"""One cycle of sync for a tenant: pull, then route what changed, deliver what is due, archive what is closed.

The same steps serve a person at the command line and the engine's workers; each can be taken alone and again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Event

import structlog
from sqlalchemy import Connection as Transaction

from hub.connectors.base import ConnectorError
from hub.relaylog.gates import Decider
from hub.store.decisions import Who
from hub.store.inbox import NewHold
from hub.store.leases import LEASE, RUNS, Lease, LeaseLost, at_work, claim
from hub.store.tables import DeliveryKind
from hub.sync import reconcile, replay
from hub.sync.archive import Archivist
from hub.sync.context import Connection, Tenant
from hub.sync.deliver import Deliverer, Outcome
from hub.sync.pull import PullResult, accept_short_listing, broken, pull
from hub.sync.reconcile import reconcile_run
from hub.sync.replay import replay_run
from hub.sync.route import Router
from hub.sync.trouble import PASSED_ON, STORE_TROUBLE

_log = structlog.get_logger(__name__)

BROKEN = NewHold("internal_error", "internal_error", Decider.OPERATOR, "the mistake is mended")
"""Stands on a log that a mistake of ours keeps from being routed; it is tried again in every cycle."""

TOGETHER = 50
"""So many logs are routed in one transaction."""

TAKEN = "Another run of this connection is at work; wait for it"
ROUTED_DAY = "_routed"
"""Names the cursor that holds the day on which all logs were last routed."""

KINDS_OF_RUN: Mapping[str, Callable[[Tenant, Connection, Lease], PullResult]] = {
    replay.WHY: replay_run,
    reconcile.WHY: reconcile_run,
}
"""What a run does by what started it; every other one pulls."""

Progress = Callable[[str, int, int], None]
"""Called with a step's name, how much of it is done, and how much there is."""


def no_progress(_step: str, _done: int, _total: int) -> None:
    """Show nothing."""


@dataclass
class CycleResult:
    """What one cycle did: pulls and sent by connection, and the deliveries to the archive that have proof.

    `planned` is what would be sent, by connection, where nothing was.
    """

    pulls: dict[str, PullResult] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    archived: list[str] = field(default_factory=list)
    planned: dict[str, int] = field(default_factory=dict)


class Cycle:
    """The steps of sync of one tenant, by one named worker.

    When `stopping` is set, a step ends after the log or delivery that it is at; the rest stays due.
    """

    def __init__(
        self, tenant: Tenant, owner: str, progress: Progress = no_progress, stopping: Event | None = None
    ) -> None:
        self._tenant = tenant
        self._owner = owner
        self._progress = progress
        self._stopping = stopping or Event()

    def whole(self, connections: Iterable[Connection], occurrence: str, short: Who | None = None) -> CycleResult:
        """Pull the given connections, then route, deliver and archive until nothing is due.

        `short` is who takes the listings for whole however short they are.
        """
        result = CycleResult()
        for connection in connections:
            if short is None:
                result.pulls[connection.id] = self.pull_by_hand(connection, occurrence)
            else:
                result.pulls[connection.id] = self.pull(
                    connection, accept_short_listing(self._tenant, connection, short)
                )
        self.route()
        self.deliver(result)
        self.archive(result)
        return result

    def pull_by_hand(self, connection: Connection, occurrence: str, why: str = "person") -> PullResult:
        """Write a run down and do it. One that is written down already is not done twice."""
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            run_id = tenant.work.queue_run(tx, connection.id, f"{connection.id} {why} {occurrence}", why, now, now)
        return (
            self.pull(connection, run_id) if run_id else PullResult(error="run_taken", remedy="This run exists already")
        )

    def pull(self, connection: Connection, run_id: str) -> PullResult:
        """Do a run that is written down, if nobody else has it."""
        tenant, now = self._tenant, self._tenant.now()
        self._progress(f"pull {connection.id}", 0, 0)
        with tenant.db.write() as tx:
            lease = claim(tx, RUNS, run_id, self._owner, now, now + LEASE)
            why = tenant.work.why(tx, run_id)
        if lease is None:
            return PullResult(error="run_taken", remedy=TAKEN)
        try:
            with at_work(lease):
                return self._run(why, connection, lease)
        except LeaseLost:
            return PullResult(error="run_taken", remedy=TAKEN)

    def _run(self, why: str, connection: Connection, lease: Lease) -> PullResult:
        try:
            return KINDS_OF_RUN.get(why, pull)(self._tenant, connection, lease)
        except PASSED_ON:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours ends this run, not the worker
            return broken(self._tenant, lease, error)

    def route(self) -> int:
        """Route every log that changed since it was last routed, and on a new day all of them.

        A consent may begin or end by the day alone. Returns how many deliveries were written down. A log that a
        mistake of ours breaks off is held; the others go on.
        """
        with self._tenant.db.write() as tx:
            self._begin_day(tx)
            changed = self._tenant.logs.changed_since_routed(tx)
        made = 0
        for number in range(0, len(changed), TOGETHER):
            if self._stopping.is_set():
                break
            made += self._route(changed[number : number + TOGETHER])
            self._progress("route", min(number + TOGETHER, len(changed)), len(changed))
        return made

    def _route(self, log_ids: list[str]) -> int:
        try:
            return Router(self._tenant).route(log_ids)
        except STORE_TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 - as `route` says
            if len(log_ids) > 1:  # then each is tried alone, so that the others go on
                return sum(self._route([log_id]) for log_id in log_ids)
            _log.error("sync:route:internal_error", log=log_ids[0], exc_info=error)
        with self._tenant.db.write() as tx:
            self._tenant.inbox.add_hold(tx, log_ids[0], None, BROKEN, self._tenant.now())
        return 0

    def _begin_day(self, tx: Transaction) -> None:
        tenant, today = self._tenant, self._tenant.today().isoformat()
        mark = f"{tenant.organisation_number}/{ROUTED_DAY}"
        if tenant.work.cursor(tx, mark) != today:
            tenant.logs.route_anew(tx)
            tenant.work.move_cursor(tx, mark, today, tenant.now())

    def deliver(self, result: CycleResult) -> None:
        """Attempt every due delivery of a change once, and what these lead to."""
        deliverer = Deliverer(self._tenant, self._owner)
        tried: set[str] = set()
        while waiting := {key: to for key, to in self._due(DeliveryKind.UPDATE).items() if key not in tried}:
            for number, (delivery_id, connection) in enumerate(waiting.items(), 1):
                if self._stopping.is_set():
                    return
                tried.add(delivery_id)
                outcome = deliverer.deliver(delivery_id)
                counted = result.sent if outcome is Outcome.SENT else result.failed
                if outcome not in (Outcome.SUPERSEDED, Outcome.TAKEN):
                    counted[connection] = counted.get(connection, 0) + 1
                self._progress("deliver", number, len(waiting))
            self.route()

    def planned(self) -> dict[str, int]:
        """Return how many deliveries wait, by connection."""
        return Counter(self._due(DeliveryKind.UPDATE).values())

    def archive(self, result: CycleResult) -> None:
        """Package closed logs, and at their interval those that go on, and hand every due package over."""
        if self._tenant.archive is None:
            return
        archivist = Archivist(self._tenant, self._tenant.archive, self._owner)
        archivist.package_due(self._stopping)
        waiting = self._due(DeliveryKind.ARCHIVE)
        for number, delivery_id in enumerate(waiting, 1):
            if self._stopping.is_set():
                return
            if archivist.deliver(delivery_id) is not None:
                result.archived.append(delivery_id)
            self._progress("archive", number, len(waiting))

    def _due(self, kind: DeliveryKind) -> dict[str, str]:
        with self._tenant.db.read() as tx:
            return self._tenant.work.due_deliveries(tx, kind, self._tenant.now())


def reachable(connection: Connection) -> ConnectorError | None:
    """Reach a system with its secrets, reading nothing; return what is wrong."""
    try:
        connection.connector.check()
    except ConnectorError as error:
        return error
    return None
