"""Agree: what a system has taken in is what it holds from then on, and what was sent is agreed between all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection as Transaction

from hub.connectors.base import SourceRecord
from hub.relaylog.merge import Exchange, Merged
from hub.relaylog.model import RelayLog
from hub.store.logs import Side, StoredLog
from hub.sync.admit import remerge, take_in
from hub.sync.context import Connection, Tenant
from hub.sync.route import Plan, acknowledged
from hub.sync.sent import sent_as


@dataclass(frozen=True)
class Sending:
    """What was sent: on top of which side, out of which merged log, by which plan.

    `held` is what the systems held when it was made.
    """

    side: Side
    merged: Merged
    planned: Plan
    held: Mapping[str, RelayLog]


def agree(
    tenant: Tenant,
    tx: Transaction,
    connection: Connection,
    stored: StoredLog,
    sending: Sending,
    record: SourceRecord,
    read: RelayLog,
    change_hash: str,
) -> None:
    """Take in the record as the system has it now, with what its mapping reads there, and agree on what was sent."""
    now, planned = tenant.now(), sending.planned
    sent = sent_as(connection, stored, sending.side, planned.view, planned.cleared)
    before = stored.sides
    stored = take_in(tenant, connection, tx, stored, record, read, change_hash, sent)
    side = stored.side(connection.id)
    if side is not None:
        exchange = Exchange(connection.id, planned.view, side.seen, planned.cleared, sending.held)
        stored = acknowledged(tenant, stored, sending.merged, exchange)
    if not connection.connector.answers:
        stored = _put_out(stored, sending.side)
    changed = [each for each in stored.sides if each.connection == connection.id or each not in before]
    tenant.logs.save_sides(tx, [(stored, each) for each in changed], None, now)
    remerge(tenant, tx, stored, now)


def _put_out(stored: StoredLog, before: Side) -> StoredLog:
    """Keep what a system's own newest file says: it has not shown yet that it took the new one in."""
    side = stored.side(before.connection)
    if side is None:
        return stored
    told = before.told or before.seen
    side = replace(side, foreign_version=before.foreign_version, change_hash=before.change_hash)
    return stored.with_side(replace(side, told=told if told != side.seen else None))
