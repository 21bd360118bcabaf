"""Replay: records in quarantine are taken in again, and deliveries that ended badly are made anew, when a person asks.

Records are a run like any other, so that asking twice does the work once and a dead worker's part is done by another.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.connectors.base import SourceRecord, Tree, may_name
from hub.connectors.files import Template
from hub.mappings.language import MappingError
from hub.payloads.base import PayloadError
from hub.payloads.registry import payload
from hub.store.decisions import Choice, NewDecision, Who, keep, keep_apart
from hub.store.events import Action, append
from hub.store.inbox import KeptRecord, Refusal
from hub.store.leases import LEASE, Lease, guard, release, renew
from hub.store.sealing import Purpose
from hub.store.tables import DeliveryKind, DeliveryState, RunState
from hub.store.work import OUTCOME_UNKNOWN, NewDelivery
from hub.sync.admit import Admission, Admitter, merged_of
from hub.sync.agree import Sending, agree
from hub.sync.context import Connection, Tenant
from hub.sync.decide import CannotDecide
from hub.sync.kept import from_kept
from hub.sync.plans import end_plan
from hub.sync.pull import PullResult
from hub.sync.route import Router, plan, view_hash

WHY = "replay"
"""What started such a run, as its row says."""

UNREADABLE = "payload_"
"""How the reason of what is no record begins: it is kept as bytes, everything else as the decoded record."""

OVERTAKEN = Refusal(
    "overtaken", "/", "something newer was exchanged of the record since: have it delivered anew, or close this"
)
"""Why what can be decoded at last is not taken in. It stays as bytes."""

UNNAMED = "unnamed-"
"""How the id begins under which a record without an id of its own is kept."""


def ask_replay(tenant: Tenant, who: Who, connection: str, ids: Collection[str] | None = None) -> str | None:
    """Queue a run that takes in again what is in quarantine of a connection; `ids` picks some of it.

    Returns the run; None where nothing waits, or a run that is not done yet was asked for the same already.
    """
    now = tenant.now()
    with tenant.db.write() as tx:
        waiting = tenant.inbox.waiting_records(tx, connection, ids)
        if not waiting:
            return None
        run_id = tenant.work.queue_run(tx, connection, f"{connection} {WHY} {tenant.new_id()}", WHY, now, now)
        assert run_id  # noqa: S101 - no other occurrence has this id
        tenant.inbox.ask_replay(tx, waiting, run_id)
        number = tenant.organisation_number
        new = NewDecision("run", run_id, Choice.REPLAYED)
        keep_apart(tx, number, tenant.logs.keys, tenant.new_id(), new, who, now)
        append(tx, number, Action.PERSON_QUARANTINE_REPLAYED, "run", run_id, who.id, now, records=len(waiting))
    return run_id


def replay_run(tenant: Tenant, connection: Connection, lease: Lease) -> PullResult:
    """Take in again what a run was asked to, each record in a transaction of its own, in the order they last came.

    What fails again stays in quarantine with one attempt more, and so does what something newer has overtaken. Raises
    LeaseLost.
    """
    result = PullResult({"read": 0, **{str(admission): 0 for admission in Admission}})
    admitter = Admitter(tenant, connection, None)
    with tenant.db.read() as tx:
        waiting = tenant.inbox.to_replay(tx, lease.row_id)
    for quarantine_id in waiting:
        with tenant.db.write() as tx:
            guard(tx, lease)
            kept = tenant.inbox.kept_record(tx, quarantine_id)
            if kept is not None:
                _again(tenant, connection, admitter, tx, kept, result)
            tenant.work.note_page(tx, lease.row_id, result.counts, "")
            lease = renew(tx, lease, tenant.now() + LEASE)
    result.state = RunState.DONE
    with tenant.db.write() as tx:
        now = tenant.now()
        release(tx, lease, state=result.state, error_class=None, outcome="done", counts=result.counts, ended_at=now)
        append(tx, tenant.organisation_number, Action.RUN_ENDED, "run", lease.row_id, "hub", now, outcome="done")
    return result


def _again(
    tenant: Tenant, connection: Connection, admitter: Admitter, tx: Transaction, kept: KeptRecord, result: PullResult
) -> None:
    """Take in one record again, exactly as it was delivered, and as old as it is.

    A file that could not be decoded was known by its content alone, so that no newer one of its record has closed it.
    """
    records = _records(connection, kept)
    if records is None:
        result.counts["read"] += 1
        result.counts[Admission.QUARANTINED] += 1
        _stays(tenant, connection, tx, kept, kept.why)
        return
    newer = _newer(tenant, connection, tx, kept, records)
    overtaken = newer if _is_bytes(kept) or _is_unnamed(kept) else set()
    taken = tuple(record for record in records if record.id not in overtaken)
    for admission, count in admitter.page(tx, taken, tenant.now()).items():
        result.counts[admission] += count
    result.counts["read"] += len(records)
    result.counts[Admission.QUARANTINED] += len(records) - len(taken)
    ids = [record.id for record in taken if may_name(record.id) and record.id not in newer]
    tenant.logs.seen_again(tx, connection.id, ids, None, kept.delivered_at)
    if overtaken:
        person = _person(tenant, connection, records[0]) if len(records) == 1 else None
        _stays(tenant, connection, tx, kept, OVERTAKEN, person)
    elif admitter.refused.keys().isdisjoint(record.id for record in records):
        tenant.inbox.out_of_quarantine(tx, connection.id, kept.foreign_id, tenant.now())
    tenant.inbox.came_at(tx, connection.id, [kept.foreign_id, *ids], kept.delivered_at)


def _stays(
    tenant: Tenant, connection: Connection, tx: Transaction, kept: KeptRecord, why: Refusal, person: str | None = None
) -> None:
    """Keep bytes in quarantine as they are; `person` is the keyed hash of whom they are about, where that is known."""
    content, known = tenant.logs.keys.keyed_hash(Purpose.CHANGE, kept.data), kept.foreign_id
    tenant.inbox.put_in_quarantine(tx, connection.id, known, content, kept.data, why, tenant.now(), person)
    tenant.inbox.came_at(tx, connection.id, [known], kept.delivered_at)


def _newer(
    tenant: Tenant, connection: Connection, tx: Transaction, kept: KeptRecord, records: tuple[SourceRecord, ...]
) -> set[str]:
    """Return those of these records of which something newer than this is known, or waits in quarantine."""
    ids = [record.id for record in records if may_name(record.id)]
    known = tenant.logs.known_records(tx, connection.id, ids)
    since = [(record_id, each.last_seen_at) for record_id, each in known.items()]
    since += tenant.inbox.waiting_since(tx, connection.id, ids).items()
    return {record_id for record_id, at in since if at > kept.delivered_at}


def _person(tenant: Tenant, connection: Connection, record: SourceRecord) -> str | None:
    try:
        return tenant.logs.subject_hash(connection.mapping.read(record.tree).subject.national_id)
    except MappingError:
        return None


def _is_bytes(kept: KeptRecord) -> bool:
    reason = kept.why.reason
    return reason.startswith(UNREADABLE) or (reason == OVERTAKEN.reason and not _is_unnamed(kept))


def _is_unnamed(kept: KeptRecord) -> bool:
    """Tell whether a record had no id that it may be known by, when it was read."""
    return kept.foreign_id.startswith(UNNAMED)


def _records(connection: Connection, kept: KeptRecord) -> tuple[SourceRecord, ...] | None:
    """Return what is kept; what could not be decoded is tried with the mapping's payload as it is now, else None."""
    mapping = connection.mapping
    if not _is_bytes(kept):
        record = from_kept(kept.foreign_id, kept.data)
        return (replace(record, id=_named(connection, record.tree)) if _is_unnamed(kept) else record,)
    template = Template(payload(mapping.payload, mapping.payload_options), lambda tree: mapping.read(tree).source.id)
    try:
        return tuple(template.records(kept.data))
    except (PayloadError, MappingError):
        return None


def _named(connection: Connection, tree: Tree) -> str:
    """Return the id by which a record is known now; "" where it still cannot be told."""
    try:
        return connection.mapping.read(tree).source.id
    except MappingError:
        return ""


# --- deliveries --------------------------------------------------------------------------------------------------


def replay_delivery(tenant: Tenant, delivery_id: str, who: Who, *, sent: bool | None = None) -> None:
    """Try a delivery again that is held, or make one that failed anew from what its log says now.

    Where its outcome is unknown, `sent` tells what a person found out at the receiver: sent, it counts as done; not
    sent, it goes again with the key that it had. A plan never goes again: it is asked for anew. A package that failed
    is ended where the archive has its log's last one. Raises CannotDecide.
    """
    now = tenant.now()
    with tenant.db.write() as tx:
        row = _ended_badly(tenant, tx, delivery_id, sent=sent)
        stored = tenant.logs.load(tx, row.log_id)
        choice = Choice.REPLAYED if sent is None else Choice.SENT if sent else Choice.NOT_SENT
        new = NewDecision("delivery", delivery_id, choice, row.log_id)
        keep(tx, tenant.organisation_number, stored.sealer, tenant.new_id(), new, who, now)
        data = {"log": row.log_id, "choice": choice.value}
        action = Action.PERSON_DELIVERY_DECIDED
        append(tx, tenant.organisation_number, action, "delivery", delivery_id, who.id, now, **data)
        if row.kind is DeliveryKind.CREATE:
            end_plan(tenant, tx, row, sent=sent)
        elif sent:
            _arrived(tenant, tx, row)
        elif row.state is DeliveryState.FAILED:  # its payload is gone: what is to be sent now is written down anew
            tenant.work.end_delivery(tx, delivery_id, DeliveryState.SUPERSEDED, now)
            if row.kind is DeliveryKind.ARCHIVE:
                _package_again(tenant, tx, row)
        else:
            again: dict[str, object] = {"due_at": now, "attempts": 0, "error_class": None}
            tenant.work.end_delivery(tx, delivery_id, DeliveryState.READY, now, **again)
        tenant.logs.route_anew(tx, row.log_id)
    Router(tenant).route([row.log_id])


def _ended_badly(tenant: Tenant, tx: Transaction, delivery_id: str, *, sent: bool | None) -> Row[Any]:
    row = tenant.work.delivery(tx, delivery_id)
    unsure = row.state is DeliveryState.UNKNOWN or row.error_class == OUTCOME_UNKNOWN
    unknown = unsure and row.kind is not DeliveryKind.ARCHIVE  # an archive knows a delivery by its id
    if row.state not in (DeliveryState.FAILED, DeliveryState.HELD, DeliveryState.UNKNOWN):
        raise CannotDecide(f"Delivery {delivery_id} is {row.state}. Only failed, held and unknown ones are decided")
    if unknown is (sent is None):
        told = (
            "Find out at the receiver, and say --sent or --not-sent" if unknown else "Leave out --sent and --not-sent"
        )
        raise CannotDecide(f"Delivery {delivery_id}: {told}")
    if row.lease_until is not None and row.lease_until > tenant.now():
        raise CannotDecide(f"Delivery {delivery_id} is being worked on. Try again when that is done")
    return row


def _package_again(tenant: Tenant, tx: Transaction, row: Row[Any]) -> None:
    """Write down once more that a log's last package is to be handed over: it was made once, and stays as it was made.

    Once the archive has that one, its bytes are gone, and of an older one that failed nothing goes any more.
    """
    stored, package = tenant.logs.load(tx, row.log_id), tenant.work.latest_package(tx, row.log_id)
    if package is None or package.sealed_bytes is None:
        return
    if tenant.work.open_delivery(tx, row.connection, row.log_id, DeliveryKind.ARCHIVE) is not None:
        raise CannotDecide(f"Delivery {row.delivery_id}: a newer package of its log waits for the archive or a person")
    body = stored.sealer.open(f"packages.sealed_bytes/{package.revision}", package.sealed_bytes)
    delivery_id = tenant.new_id()
    delivery = NewDelivery(
        delivery_id=delivery_id,
        connection=row.connection,
        log_id=row.log_id,
        kind=DeliveryKind.ARCHIVE,
        sealed_payload=stored.sealer.seal(f"deliveries.sealed_payload/{delivery_id}", body),
        view_hash=package.content_hash,
        log_version=row.log_version,
    )
    tenant.work.add_delivery(tx, delivery, tenant.now())


def _arrived(tenant: Tenant, tx: Transaction, row: Row[Any]) -> None:
    """Agree on what a person says has arrived; where the log has moved on since, the next pull tells what is there."""
    now, day = tenant.now(), tenant.today()
    stored, connection = tenant.logs.load(tx, row.log_id), tenant.connections[row.connection]
    side, merged = stored.side(connection.id), merged_of(tenant, stored)
    tenant.work.end_delivery(tx, row.delivery_id, DeliveryState.DONE, now, receipt_ref="by-hand", error_class=None)
    if side is None:
        return
    planned = plan(connection, side, merged, stored.keys_of(connection.id), day, tenant.rules(day))
    if view_hash(tenant, side, planned) != row.view_hash:
        return
    held = {other.connection: other.seen for other in stored.sides}
    written = SourceRecord(side.foreign_id, side.foreign_version, planned.after, side.original)
    read = connection.mapping.read(planned.after)
    agree(tenant, tx, connection, stored, Sending(side, merged, planned, held), written, read, change_hash="")
