"""Pull: read a connection's listing page by page; each page, its counts and the run's state are one transaction.

Nothing is concluded from a listing that is not whole: the cursor stays, nothing is missing, nothing is closed. A run
that meets a system which does not answer is put off, and goes on from its last page where the system can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import BadAnswer, ConnectorError, Misconfigured, Page, Unavailable, Waiting
from hub.connectors.files import NOT_GIVEN
from hub.store.decisions import Choice, NewDecision, Who, keep_apart
from hub.store.events import Action, append
from hub.store.inbox import NewProposal
from hub.store.leases import LEASE, Lease, guard, release, renew
from hub.store.tables import ProposalKind, RunState
from hub.store.work import INTERNAL_ERROR
from hub.sync.admit import Admission, Admitter
from hub.sync.context import Connection, Tenant
from hub.sync.trouble import STORE_TROUBLE

_log = structlog.get_logger(__name__)

RUN_PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""How long a run waits after each attempt that met a system which did not answer; after the last it fails."""

STORE_DOWN = Unavailable(
    "store_unavailable", "the hub's own database took no writing", "Look at its disk; the hub goes on by itself"
)
SMALL_LISTING = 10
LEAST_PERCENT = 90
LONGEST_CURSOR = 500
SHORT_LISTING = "short_listing"
"""What started a run whose listing a person takes for whole, as its row says."""

ENDINGS = {
    RunState.DONE: Action.RUN_ENDED,
    RunState.HELD: Action.RUN_HELD,
    RunState.FAILED: Action.RUN_FAILED,
    RunState.QUEUED: Action.RUN_PUT_OFF,
}


@dataclass
class PullResult:
    """How a pull ended: counts by what became of records, and the error's code and remedy where it did not end well.

    One that is put off is `queued` again, and due `until`; `attempts` is how many it has used up.
    """

    counts: dict[str, int] = field(default_factory=dict)
    state: RunState = RunState.RUNNING
    error: str = ""
    remedy: str = ""
    until: datetime | None = None
    attempts: int = 0


def pull(tenant: Tenant, connection: Connection, lease: Lease) -> PullResult:
    """Do one run as far as it gets. Every outcome is written to the run; a lost lease stops it by raising LeaseLost."""
    with tenant.db.write() as tx:
        guard(tx, lease)
        row = tenant.work.begin_run(tx, lease.row_id, tenant.now())
    result, asked_at = _begin(row), tenant.now()
    try:
        for page in connection.connector.pages(row.cursor_after or ""):
            lease = _take_page(tenant, connection, lease, page, result, asked_at)
        _end(tenant, connection, lease, row, result)
    except ConnectorError as error:
        _note(result, error, tenant.now())
        _stop(tenant, lease, result)
    except STORE_TROUBLE:  # where it takes no writing yet either, the lease passes
        _note(result, STORE_DOWN, tenant.now())
        _stop(tenant, lease, result)
    return result


def broken(tenant: Tenant, lease: Lease, error: Exception) -> PullResult:
    """End a run of any kind that a mistake of ours broke off, so that it is seen. What it has counted stays.

    Raises LeaseLost.
    """
    _log.error("sync:run:internal_error", run=lease.row_id, exc_info=error)
    remedy = f"A mistake in the hub ({type(error).__name__}): report it with the run's id"
    result = PullResult(state=RunState.FAILED, error=INTERNAL_ERROR, remedy=remedy)
    with tenant.db.write() as tx:
        guard(tx, lease)
        result.counts = tenant.work.counts(tx, lease.row_id)
        _give_back(tenant, tx, lease, result)
    return result


def _begin(row: Row[object]) -> PullResult:
    """Go on with the counts of the pages that are taken in, where the listing goes on after them."""
    counts = {"read": 0, **{str(admission): 0 for admission in Admission}}
    return PullResult(counts | row.counts if row.cursor_after else counts, attempts=row.attempts)


def _take_page(
    tenant: Tenant, connection: Connection, lease: Lease, page: Page, result: PullResult, asked_at: datetime
) -> Lease:
    """Store a page with its counts and the place to go on from, then tell the system."""
    admitter, now = Admitter(tenant, connection, lease.row_id, asked_at), tenant.now()
    counts = dict(result.counts)
    with tenant.db.write() as tx:
        guard(tx, lease)
        for admission, count in admitter.page(tx, page.records, now).items():
            counts[admission] += count
        for found in page.unreadable:
            admitter.unreadable(tx, found, now)
        counts[Admission.QUARANTINED] += len(page.unreadable)
        counts["read"] += len(page.records) + len(page.unreadable)
        tenant.work.note_page(tx, lease.row_id, counts, page.cursor if len(page.cursor) <= LONGEST_CURSOR else "")
        lease = renew(tx, lease, tenant.now() + LEASE)  # at the end: a large page may have taken most of its time
    result.counts = counts
    connection.connector.settle(page, admitter.refused)
    return lease


def _note(result: PullResult, error: ConnectorError, now: datetime) -> None:
    """Decide what an error means for the run: put off, held for a person, or failed."""
    result.error, result.remedy = error.code, str(error)
    result.state = RunState.HELD if isinstance(error, BadAnswer | Misconfigured) else RunState.FAILED
    if isinstance(error, Waiting):  # nothing was tried: it counts as no attempt
        result.state, result.until, result.attempts = RunState.QUEUED, error.until, result.attempts - 1
    elif isinstance(error, Unavailable) and result.attempts <= len(RUN_PAUSES):
        pause = max(RUN_PAUSES[result.attempts - 1], error.retry_after or timedelta())
        result.state, result.until = RunState.QUEUED, now + pause


def _stop(tenant: Tenant, lease: Lease, result: PullResult) -> None:
    """Give back a run that is not whole. Cursor, deletions and closings stay as they are."""
    with tenant.db.write() as tx:
        guard(tx, lease)
        _give_back(tenant, tx, lease, result)


def _end(tenant: Tenant, connection: Connection, lease: Lease, run: Row[Any], result: PullResult) -> None:
    """End a run whose listing was read to its end: only now is it told what is missing, and the cursor moves."""
    now = tenant.now()
    with tenant.db.write() as tx:
        guard(tx, lease)
        if connection.connector.lists_all:
            _look_for_missing(tenant, tx, connection, run, result, now)
        if result.error:
            _give_back(tenant, tx, lease, result)
            return
        result.state = RunState.DONE
        tenant.inbox.not_met_since(tx, connection.id, f"payload_{NOT_GIVEN}", run.started_at, now)
        if tenant.work.cursor(tx, connection.id) is None:
            tenant.logs.route_anew(tx)  # what this system lacks can be told only now
        tenant.work.move_cursor(tx, connection.id, now.isoformat(), now)
        tenant.work.succeeded(tx, connection.id, now)
        _give_back(tenant, tx, lease, result, cursor_after=now.isoformat())


def _give_back(tenant: Tenant, tx: Transaction, lease: Lease, result: PullResult, **values: object) -> None:
    now, code, put_off = tenant.now(), result.error or None, result.state is RunState.QUEUED
    ended: dict[str, object] = {"ended_at": now, "outcome": code or "done"}
    later: dict[str, object] = {"due_at": result.until, "attempts": result.attempts}
    values |= later if put_off else ended
    release(tx, lease, state=result.state, error_class=code, counts=result.counts, **values)
    action, organisation = ENDINGS[result.state], tenant.organisation_number
    append(tx, organisation, action, "run", lease.row_id, "hub", now, outcome=code or "done")


def _look_for_missing(
    tenant: Tenant, tx: Transaction, connection: Connection, run: Row[Any], result: PullResult, now: datetime
) -> None:
    """Note what a complete listing lacks. Too much at once is a fault of the source, until a person says otherwise."""
    if run.why != SHORT_LISTING and _is_too_short(tenant, tx, connection, run, result):
        return
    missing = tenant.logs.missing(tx, connection.id, run.run_id)
    tenant.inbox.records_listed(tx, connection.id, {foreign_id for foreign_id, _ in missing}, now)
    if missing:
        tenant.logs.note_missing(tx, connection.id, [foreign_id for foreign_id, _ in missing], now)
        for foreign_id, log_id in missing:
            if log_id is not None:  # what was wiped here may go there
                proposal = NewProposal(ProposalKind.DELETION, foreign_id=foreign_id)
                tenant.inbox.propose(tx, connection.id, log_id, proposal, now)


def _is_too_short(tenant: Tenant, tx: Transaction, connection: Connection, run: Row[Any], result: PullResult) -> bool:
    """Hold a run whose listing lacks too many of the logs that were there when it began.

    What was missing before, or was wiped here, is not asked for.
    """
    known = tenant.logs.listed_before(tx, connection.id, run.started_at)
    lacking = tenant.logs.newly_missing(tx, connection.id, run.run_id, run.started_at)
    if known < SMALL_LISTING or (known - lacking) * 100 >= known * LEAST_PERCENT:
        return False
    result.state, result.error = RunState.HELD, "listing_too_short"
    result.remedy = (
        f"The listing lacks {lacking} of {known} logs. Nothing was concluded; ask the vendor, or look whether the "
        "connection's rights have changed. If they are gone: `hub sync CONNECTION --accept-short-listing`"
    )
    return True


def accept_short_listing(tenant: Tenant, connection: Connection, who: Who) -> str:
    """Write down a run that takes a listing for whole however short it is; return its id.

    A person has found out that the logs are gone there. Each is still asked about before anything is closed.
    """
    now = tenant.now()
    with tenant.db.write() as tx:
        occurrence, number = f"{connection.id} {SHORT_LISTING} {tenant.new_id()}", tenant.organisation_number
        run_id = tenant.work.queue_run(tx, connection.id, occurrence, SHORT_LISTING, now, now)
        assert run_id  # noqa: S101 - no other occurrence has this id
        new = NewDecision("run", run_id, Choice.ACCEPTED)
        keep_apart(tx, number, tenant.logs.keys, tenant.new_id(), new, who, now)
        append(tx, number, Action.PERSON_RUN_ASKED, "run", run_id, who.id, now, why=SHORT_LISTING)
    return run_id
