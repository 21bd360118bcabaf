"""The archive control: closed logs that no archive has proved to have, and since when. From rows alone; nothing opened.

A closing goes to the archive by itself, so that nobody looks for one that did not. Two or three times a year somebody
must, and what has waited too long is told every day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from hub.relaylog.codes import LogStatus
from hub.store.tables import archived, logs, packages
from hub.store.work import CLOSING_PACKAGED, OF_A_CLOSING


@dataclass(frozen=True)
class Unarchived:
    """A closed log without the archive's proof of its closing.

    `since` is when its package was made, or when the log was last written where none is made of what it says now
    (aware).
    """

    log_id: str
    unit_id: str
    packaged: bool
    since: datetime


def unarchived(tx: Connection, tenant: str) -> list[Unarchived]:
    """Return the closed logs of a municipality that wait for an archive's proof, the longest waiting first.

    What is not kept, and so will never be archived, does not wait. A package from a time when the log went on is none
    of its closing, proved or not.
    """
    made = (
        select(packages.c.log_id, func.max(packages.c.revision).label("revision"))
        .where(packages.c.tenant == tenant)
        .group_by(packages.c.log_id)
        .subquery()
    )
    newest = and_(packages.c.tenant == tenant, packages.c.log_id == logs.c.log_id)
    newest = and_(newest, packages.c.revision == made.c.revision, OF_A_CLOSING, CLOSING_PACKAGED)
    proof = select(archived.c.log_id).where(archived.c.tenant == tenant, archived.c.log_id == logs.c.log_id)
    proved = proof.where(archived.c.revision >= made.c.revision).exists()
    waits = or_(packages.c.log_id.is_(None), ~proved)
    found = (
        select(logs.c.log_id, logs.c.owning_unit_id, logs.c.updated_at, packages.c.created_at)
        .outerjoin(made, made.c.log_id == logs.c.log_id)
        .outerjoin(packages, newest)
        .where(logs.c.tenant == tenant, logs.c.status == LogStatus.CLOSED, logs.c.sealed_body.is_not(None), waits)
    )
    waiting = [
        Unarchived(row.log_id, row.owning_unit_id or "", row.created_at is not None, row.created_at or row.updated_at)
        for row in tx.execute(found)
    ]
    return sorted(waiting, key=lambda each: (each.since, each.log_id))
