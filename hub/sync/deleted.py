"""What a person decided to delete stays deleted: a system that still lists its record brings none of it back.

The record is known by its id alone, and not looked into. Where somebody had ticked off that it is deleted there, the
task stands open again: nobody is told that something is gone while it is not.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection as Transaction

from hub.store.events import Action, append
from hub.store.tasks import Tasks
from hub.store.wipe import kept_out
from hub.sync.context import Tenant


def keep_out(tenant: Tenant, tx: Transaction, connection: str, record_ids: Collection[str]) -> frozenset[str]:
    """Return those of the listed records that went with a deleted log; they are not to be taken in."""
    number, now = tenant.organisation_number, tenant.now()
    found = kept_out(tx, number, connection, record_ids)
    for log_id in sorted(set(found.values())):
        for task_id in Tasks(number, tenant.new_id).still_there(tx, log_id, connection, now):
            append(
                tx, number, Action.RECORD_KEPT_OUT, "log", log_id, "hub", now, connection=connection, task=task_id
            )  # fmt: skip
    return frozenset(found)
