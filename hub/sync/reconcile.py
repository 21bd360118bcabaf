"""Reconcile: once a day source, hub and archive are counted beside each other, and each difference is listed.

A pull tells what it took in; this asks anew, from the outside, whether that is all there is. Nothing is changed by it:
the next pull takes in what is missing, and what stays different is for a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from hub.connectors.base import ConnectorError, SourceRecord, may_name
from hub.store.differences import Difference, Differences
from hub.store.events import Action, append
from hub.store.leases import LEASE, Lease, release, renew
from hub.store.logs import KnownRecord
from hub.store.tables import DifferenceKind, RunState
from hub.store.wipe import kept_out
from hub.sync.context import Archive, Connection, Tenant
from hub.sync.pull import PullResult

WHY = "reconcile"
"""What started such a run, as its row says."""

A_DAY = timedelta(days=1)


def reconcile_run(tenant: Tenant, connection: Connection, lease: Lease) -> PullResult:
    """Count one connection: its listing against the hub, and the hub's closed logs of it against the archive.

    Raises LeaseLost. From a listing that is not whole nothing is concluded.
    """
    result = PullResult({"read": 0, "differences": 0})
    try:
        found = list(_in_source(tenant, connection, lease, result))
        found += _in_archive(tenant, connection, tenant.archive) if tenant.archive else ()
    except ConnectorError as error:
        result.state, result.error, result.remedy = RunState.FAILED, error.code, str(error)
    now = tenant.now()
    with tenant.db.write() as tx:
        renew(tx, lease, now + LEASE)
        if not result.error:
            result.state, result.counts["differences"] = RunState.DONE, len(found)
            Differences(tenant.organisation_number, tenant.new_id).found(tx, connection.id, now, found)
        outcome = result.error or "done"
        error_class = result.error or None
        release(
            tx, lease, state=result.state, error_class=error_class, outcome=outcome, counts=result.counts, ended_at=now
        )
        action = Action.RUN_FAILED if result.error else Action.RUN_ENDED
        append(tx, tenant.organisation_number, action, "run", lease.row_id, "hub", now, outcome=outcome)
    return result


def _in_source(tenant: Tenant, connection: Connection, lease: Lease, result: PullResult) -> Iterator[Difference]:
    """Yield what a complete listing has that the hub lacks, what it lacks, and what says something else there."""
    with tenant.db.read() as tx:
        here = tenant.logs.record_ids(tx, connection.id)
    for page in connection.connector.pages():
        with tenant.db.write() as tx:
            lease = renew(tx, lease, tenant.now() + LEASE)
            named = [record for record in page.records if may_name(record.id)]  # the others lie in quarantine
            ids = [record.id for record in named]
            known = tenant.logs.known_records(tx, connection.id, ids)
            suspect = {*tenant.inbox.quarantined(tx, connection.id, ids)}
            suspect |= kept_out(tx, tenant.organisation_number, connection.id, ids).keys()
        result.counts["read"] += len(page.records)
        for record in named:
            here.pop(record.id, None)
            if record.id not in suspect and (kind := _compared(tenant, connection, record, known)):
                before = known.get(record.id)
                yield Difference(kind, record.id, before.log_id if before else None)
    gone = {foreign_id: log_id for foreign_id, log_id in here.items() if log_id}  # what was wiped here may go there
    yield from (Difference(DifferenceKind.NOT_LISTED, foreign_id, log_id) for foreign_id, log_id in gone.items())


def _compared(
    tenant: Tenant, connection: Connection, record: SourceRecord, known: Mapping[str, KnownRecord]
) -> DifferenceKind | None:
    """Compare a record with what is known; one in a newer version has changed since, which the next pull reads."""
    before = known.get(record.id)
    if before is None:
        return DifferenceKind.NOT_TAKEN_IN
    if before.change_hash is None:  # it is to be read anew, which the next pull does
        return None
    try:
        same = before.change_hash == tenant.logs.change_hash(connection.mapping.stable(record.tree))
    except UnicodeEncodeError:  # half a sign, for which the next pull puts it into quarantine
        same = False
    return None if same or before.foreign_version != record.version else DifferenceKind.OTHER_CONTENT


def _in_archive(tenant: Tenant, connection: Connection, archive: Archive) -> Iterator[Difference]:
    """Yield the closed logs that nothing brings to the archive, and the proved ones that it no longer holds."""
    with tenant.db.read() as tx:
        unproved = tenant.work.unproved(tx, connection.id, archive.id, tenant.now() - A_DAY)
        proofs = tenant.work.proofs_of(tx, connection.id)
    yield from (Difference(DifferenceKind.NOT_ARCHIVED, log_id, log_id) for log_id in unproved)
    for proof in proofs:
        if not archive.target.holds(proof.delivery_id, proof.receipt_ref):
            yield Difference(DifferenceKind.ARCHIVE_LACKS, proof.delivery_id, proof.log_id)
