"""Pull: read a connection's listing page by page; each page, its counts and the run's state are one transaction.

Nothing is concluded from a listing that is not whole: the cursor stays, nothing is missing, nothing is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection as Transaction

from hub.connectors.base import BadAnswer, ConnectorError, Misconfigured
from hub.store.events import Action, append
from hub.store.inbox import NewProposal
from hub.store.leases import Lease, guard, release, renew
from hub.store.tables import ProposalKind, RunState
from hub.sync.admit import Admission, Admitter
from hub.sync.context import Connection, Tenant

RUN_LEASE = timedelta(minutes=30)
"""How long a run is its worker's after each page; the sweep gives it to another when it hears no more."""

SMALL_LISTING = 10
LEAST_PERCENT = 90


@dataclass
class PullResult:
    """How a pull ended: counts by what became of records, and the error's code and remedy where it failed."""

    counts: dict[str, int] = field(default_factory=dict)
    state: RunState = RunState.RUNNING
    error: str = ""
    remedy: str = ""


def pull(tenant: Tenant, connection: Connection, lease: Lease) -> PullResult:
    """Run one pull to its end. Every outcome is written to the run; a lost lease stops it by raising LeaseLost."""
    result = PullResult({"read": 0, **{str(admission): 0 for admission in Admission}})
    admitter = Admitter(tenant, connection, lease.row_id)
    try:
        for page in connection.connector.pages():
            with tenant.db.write() as tx:
                lease = renew(tx, lease, tenant.now() + RUN_LEASE)
                for admission, count in admitter.page(tx, page.records, tenant.now()).items():
                    result.counts[admission] += count
                for found in page.unreadable:
                    admitter.unreadable(tx, found, tenant.now())
                result.counts[Admission.QUARANTINED] += len(page.unreadable)
                result.counts["read"] += len(page.records) + len(page.unreadable)
                tenant.work.add_counts(tx, lease.row_id, result.counts)
            connection.connector.settle(page, admitter.refused)
    except ConnectorError as error:
        result.state = RunState.HELD if isinstance(error, BadAnswer | Misconfigured) else RunState.FAILED
        result.error, result.remedy = error.code, str(error)
    _end(tenant, connection, lease, result)
    return result


def _end(tenant: Tenant, connection: Connection, lease: Lease, result: PullResult) -> None:
    now = tenant.now()
    with tenant.db.write() as tx:
        guard(tx, lease)
        values: dict[str, object] = {}
        if not result.error and connection.connector.lists_all:
            _look_for_missing(tenant, tx, connection, lease.row_id, result, now)
        if not result.error:
            result.state = RunState.DONE
            values["cursor_after"] = now.isoformat()
            if tenant.work.cursor(tx, connection.id) is None:
                tenant.logs.route_anew(tx)  # what this system lacks can be told only now
            tenant.work.move_cursor(tx, connection.id, now.isoformat(), now)
            tenant.work.succeeded(tx, connection.id, now)
        release(
            tx,
            lease,
            state=result.state,
            error_class=result.error or None,
            outcome=result.error or "done",
            counts=result.counts,
            ended_at=now,
            **values,
        )
        action = {RunState.DONE: Action.RUN_ENDED, RunState.HELD: Action.RUN_HELD}.get(result.state, Action.RUN_FAILED)
        append(tx, tenant.organisation_number, action, "run", lease.row_id, "hub", now, outcome=result.error or "done")


def _look_for_missing(
    tenant: Tenant, tx: Transaction, connection: Connection, run_id: str, result: PullResult, now: datetime
) -> None:
    """Note what a complete listing lacks. Too much at once is a fault of the source, not the end of its logs."""
    missing = tenant.logs.missing(tx, connection.id, run_id)
    known = tenant.logs.record_count(tx, connection.id) - result.counts[Admission.NEW]
    if known >= SMALL_LISTING and (known - len(missing)) * 100 < known * LEAST_PERCENT:
        result.state, result.error = RunState.HELD, "listing_too_short"
        result.remedy = (
            f"The listing lacks {len(missing)} of {known} logs. Nothing was concluded; "
            "ask the vendor, or look whether the connection's rights have changed"
        )
        return
    if missing:
        tenant.logs.note_missing(tx, connection.id, [foreign_id for foreign_id, _ in missing], now)
        for foreign_id, log_id in missing:
            proposal = NewProposal(ProposalKind.DELETION, foreign_id=foreign_id)
            tenant.inbox.propose(tx, connection.id, log_id, proposal, now)
