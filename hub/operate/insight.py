"""Who has seen a child's log: each time a person opened it, and each system that has taken a change of it.

The right of access (GDPR article 15) is the child's and the guardians'; the answer is read from the log of events and
holds user ids, connections, codes and instants.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from hub.store.database import Database
from hub.store.events import Action
from hub.store.logs import LogStore
from hub.store.tables import DeliveryState, deliveries, events, logs

HEAD = ("when", "log", "who", "for")
"""The heads of the columns that `cells` gives."""


@dataclass(frozen=True)
class Seen:
    """One time that a log was opened, by a user id, or taken, by a connection. `purpose` is a code."""

    at: datetime
    log_id: str
    who: str
    purpose: str


def logs_of(db: Database, store: LogStore, national_id: str) -> list[str]:
    """Return the logs of a person, found by the keyed hash; a wiped log has none."""
    c = logs.c
    where = (c.tenant == store.tenant, c.subject_hash == store.subject_hash(national_id))
    with db.read() as tx:
        return list(tx.scalars(select(c.log_id).where(*where).order_by(c.log_id)))


def seen(db: Database, tenant: str, log_ids: Collection[str]) -> list[Seen]:
    """Return every time that these logs were opened by a person or taken by a system, in order."""
    e, d = events.c, deliveries.c
    opened = select(e.at, e.subject_id, e.actor, e.data).where(
        e.tenant == tenant, e.action == Action.PERSON_LOG_OPENED.value, e.subject_id.in_(list(log_ids))
    )
    taken = select(d.done_at, d.log_id, d.connection, d.kind).where(
        d.tenant == tenant, d.log_id.in_(list(log_ids)), d.state == DeliveryState.DONE
    )
    with db.read() as tx:
        found = [Seen(row.at, row.subject_id, row.actor, _purpose(row.data)) for row in tx.execute(opened)]
        found += [Seen(row.done_at, row.log_id, row.connection, row.kind.value) for row in tx.execute(taken)]
    return sorted(found, key=lambda one: (one.at, one.log_id, one.who))


def _purpose(data: dict[str, str | int | bool]) -> str:
    """Return the code that an opening was for: its purpose, else what was to be decided."""
    return str(data.get("purpose") or next(iter(data), ""))


def cells(one: Seen) -> tuple[str, str, str, str]:
    """Return one line as a table shows it."""
    return f"{one.at:%Y-%m-%d %H:%M}", one.log_id, one.who, one.purpose
