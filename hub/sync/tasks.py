"""Tasks: what people at the units must do that no system can be told, found anew each time a log is routed.

A consent that has ended stops what would be sent; what was sent before lies in the reader's system, and there a person
must see to it that it is used no more. Baton and life of a log are for the leader of its unit to mend. A log that was
closed for an individual plan asks its holder to see to one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.relaylog.baton import baton
from hub.relaylog.codes import Part
from hub.relaylog.gates import Decider, Rules, Withdrawn, withdrawn_readers
from hub.relaylog.life import rule_breaks
from hub.relaylog.model import FRAME_COLLECTIONS, RelayLog
from hub.relaylog.planning import WANTED, plan_wanted
from hub.relaylog.protection import is_veiled
from hub.store.logs import StoredLog
from hub.store.tables import DeliveryState, TaskKind
from hub.store.tasks import NewTask, Tasks
from hub.sync.context import Connection, Tenant

OPENS_LESS = "consent_opens_less"
"""Why a reader must stop using some of what it has had, though a consent still stands."""


class NoSuchTask(Exception):
    """No open task that a person can tick off has this id. Says what shows those there are."""


def done(tenant: Tenant, task_id: str, who: str) -> None:
    """Note that somebody has done what a task asked for. Raises NoSuchTask."""
    with tenant.db.write() as tx:
        ticked = Tasks(tenant.organisation_number, tenant.new_id).done(tx, task_id, who, tenant.now())
    if not ticked:
        raise NoSuchTask(f"No task {task_id} to tick off. `hub inbox list --kind task` shows those there are")


def standing_tasks(tenant: Tenant, tx: Transaction, log_ids: Collection[str]) -> dict[str, list[Row[Any]]]:
    """Return the tasks of logs that stand, by log."""
    return Tasks(tenant.organisation_number, tenant.new_id).of_logs(tx, log_ids)


def set_tasks(
    tenant: Tenant,
    tx: Transaction,
    stored: StoredLog,
    log: RelayLog,
    rules: Rules,
    day: date,
    found: Mapping[str, list[Row[Any]]],
) -> None:
    """Make the tasks of a log what they are on a day; `found` is what `standing_tasks` found in this transaction."""
    wanted = [
        *_to_stop_using(tenant, tx, stored, log, rules, day),
        *_for_leader(log, rules),
        *_plan(tenant, tx, stored, log),
    ]
    Tasks(tenant.organisation_number, tenant.new_id).set(tx, stored.log_id, wanted, tenant.now(), found)


def _to_stop_using(
    tenant: Tenant, tx: Transaction, stored: StoredLog, log: RelayLog, rules: Rules, day: date
) -> Iterator[NewTask]:
    """Yield a task for each reader that was sent the log, and that it is closed to by now."""
    for side in stored.sides:
        connection = tenant.connections.get(side.connection)
        if connection is None or side.sent is None:
            continue
        had = dict.fromkeys(connection.readers_of(side.seen), _had(side.sent, connection))
        lost = withdrawn_readers(log, had, day, rules)
        if lost and tenant.work.delivered(tx, connection.id, stored.log_id):
            unit = "" if is_veiled(log) else side.seen.unit.id
            yield from (_stop_using(each, connection, unit, rules) for each in lost)


def _had(sent: RelayLog, connection: Connection) -> frozenset[Part]:
    """Return the parts of what others wrote that a system has been sent."""
    return frozenset(
        element.part
        for collection, element in sent.elements()
        if collection not in FRAME_COLLECTIONS and element.writer not in connection.services
    )


def _stop_using(lost: Withdrawn, connection: Connection, unit: str, rules: Rules) -> NewTask:
    return NewTask(
        kind=TaskKind.WITHDRAWN,
        reason=str(lost.why.reason) if lost.why else OPENS_LESS,
        addressed_to=Decider.UNIT_LEADER,
        connection=connection.id,
        reader=lost.reader,
        unit_id=unit[:80],
        revealing=lost.reader in rules.sharing.hidden_services,
    )


def _for_leader(log: RelayLog, rules: Rules) -> Iterator[NewTask]:
    for trouble in baton(log).troubles:
        yield NewTask(TaskKind.BATON, trouble, Decider.UNIT_LEADER)
    for broken in rule_breaks(log, rules.life):
        yield NewTask(TaskKind.LIFE, broken, Decider.UNIT_LEADER)


def _plan(tenant: Tenant, tx: Transaction, stored: StoredLog, log: RelayLog) -> Iterator[NewTask]:
    """Yield the task to see to an individual plan, from the closing that names one until the hub has made it."""
    asked = tenant.work.plans(tx, [stored.log_id]) if plan_wanted(log) else []
    if plan_wanted(log) and not any(row.state is DeliveryState.DONE for row in asked):
        yield NewTask(TaskKind.PLAN, WANTED, Decider.HOLDER)
