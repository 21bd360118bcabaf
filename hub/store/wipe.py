"""Wiping: of a log that is archived, deleted or not to be kept, there remains that it was there, and when.

Its data key is deleted, and so is everything sealed: rows whose content is all sealed go, others lose it. The clear
row keeps ids, status and dates; a record keeps the keyed hash by which it is recognised when its system lists it
again. Each shredding is first written to a list outside the database, so that a restored backup is shredded anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, exists, func, or_, select, update

from hub.relaylog.codes import LogStatus
from hub.relaylog.keeping import UNKEPT
from hub.relaylog.rights import RightsState
from hub.store.events import Action, append
from hub.store.sealing import shred_log
from hub.store.tables import (
    ConflictState,
    HoldState,
    ProposalKind,
    ProposalState,
    QuarantineState,
    archived,
    conflicts,
    decisions,
    deliveries,
    differences,
    element_keys,
    holds,
    log_keys,
    logs,
    packages,
    proposals,
    quarantine,
    records,
    rights_cases,
    tasks,
)
from hub.store.work import OF_A_CLOSING, STANDING_DELIVERY

WIPED = -1
"""Version of a wiped log, routed and present alike: it never grows, so that the log is never routed again."""


DELETED = "deleted"
"""The status of a log that a person decided to delete, and why nothing is kept in quarantine of what went with it.

Its records keep its id, and are never taken in again (`kept_out`)."""

SHREDDED = "shredded"
"""The folder, in the data folder, with the list of what was shredded."""

_STATUS = {status.value: status for status in LogStatus}


class ShredListError(Exception):
    """The list of what was shredded cannot be read or written. Names file and line."""


@dataclass(frozen=True)
class Shredding:
    """One log that was shredded, when, and the status that it had or was left with.

    `deleted` tells that a person decided so after a demand.
    """

    tenant: str
    log_id: str
    at: datetime
    status: LogStatus
    deleted: bool = False


@dataclass(frozen=True)
class ShredList:
    """What was shredded, one file a tenant, in a folder outside the database: `<orgnr>.jsonl`. It holds ids and dates.

    A line is on the disk before the shredding is committed; a line that was cut off belongs to none.
    """

    folder: Path

    def add(self, shredding: Shredding) -> None:
        """Write one shredding down. Raises ShredListError."""
        line: dict[str, object] = {"log": shredding.log_id, "at": shredding.at.isoformat()}
        line |= {"status": shredding.status.value, **({"deleted": True} if shredding.deleted else {})}
        path = self.folder / f"{shredding.tenant}.jsonl"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                file.seek(0)
                file.truncate(_whole(file.read()))
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise ShredListError(f"{path}: cannot be written ({error.strerror}). Nothing more was shredded") from None

    def read(self) -> Iterator[Shredding]:
        """Yield every shredding of every tenant, in order. Raises ShredListError."""
        for path in sorted(self.folder.glob("*.jsonl")):
            content = path.read_bytes()
            for number, line in enumerate(content[: _whole(content)].splitlines(), 1):
                try:
                    said = json.loads(line)
                    at, status = datetime.fromisoformat(said["at"]), _STATUS[said["status"]]
                    yield Shredding(path.stem, said["log"], at, status, said.get("deleted", False))
                except (ValueError, KeyError, TypeError):
                    raise ShredListError(
                        f"{path}, line {number}: not a shredding. Put back a copy of the file"
                    ) from None


def _whole(content: bytes) -> int:
    """Return where the last whole line ends."""
    return content.rfind(b"\n") + 1


def proven(tx: Connection, tenant: str, targets: Collection[str], until: datetime) -> list[str]:
    """Return the closed logs whose last package every target proved to have by an instant, where nothing waits.

    Without targets there is no proof, and where the last package is from a time when the log went on there is none of
    its closing. What waits is a delivery, a conflict, a hold, a proposal, a difference or what somebody asks for by
    right.
    """
    last = (
        select(packages.c.log_id, func.max(packages.c.revision).label("revision"))
        .where(packages.c.tenant == tenant)
        .group_by(packages.c.log_id)
        .subquery()
    )
    a, p = archived.c, packages.c
    newest = and_(p.tenant == tenant, p.log_id == last.c.log_id, p.revision == last.c.revision)
    where = (a.tenant == tenant, a.target.in_(list(targets)), a.archived_at <= until, logs.c.tenant == tenant)
    all_have = (
        select(logs.c.log_id)
        .join(last, last.c.log_id == logs.c.log_id)
        .join(packages, and_(newest, OF_A_CLOSING))
        .join(archived, (a.log_id == last.c.log_id) & (a.revision == last.c.revision))
        .where(*where, logs.c.status == LogStatus.CLOSED, *_nothing_waits(tenant))
        .group_by(logs.c.log_id)
        .having(func.count() == len(set(targets)))
    )
    return list(tx.scalars(all_have.order_by(logs.c.log_id)))


def _nothing_waits(tenant: str) -> Iterator[ColumnElement[bool]]:
    waiting = (
        (deliveries, deliveries.c.state.in_(STANDING_DELIVERY)),
        (conflicts, conflicts.c.state == ConflictState.OPEN),
        (holds, holds.c.state == HoldState.OPEN),
        (proposals, proposals.c.state == ProposalState.OPEN),
        (differences, differences.c.state == "open"),
        (rights_cases, rights_cases.c.state != RightsState.DONE),
    )
    for table, open_ in waiting:
        yield ~exists().where(table.c.tenant == tenant, table.c.log_id == logs.c.log_id, open_)


def never_started(tx: Connection, tenant: str) -> list[str]:
    """Return the logs that have not become active and still hold something, and that nothing was ever sent of.

    Not while a person is asked whether it is another log, or whether a consent has really ended, or somebody asks for
    something by right: what they decide over has to be there.
    """
    sent = exists().where(deliveries.c.tenant == tenant, deliveries.c.log_id == logs.c.log_id)
    p = proposals.c
    lost_consent = and_(p.kind == ProposalKind.DELETION, p.collection == "consents")
    waits = p.state == ProposalState.OPEN
    asked = exists().where(
        p.tenant == tenant, p.log_id == logs.c.log_id, or_(p.kind == ProposalKind.MATCH, lost_consent), waits
    )
    r = rights_cases.c
    by_right = exists().where(r.tenant == tenant, r.log_id == logs.c.log_id, r.state != RightsState.DONE)
    where = (logs.c.tenant == tenant, logs.c.status.in_(UNKEPT), logs.c.sealed_body.is_not(None))
    return list(tx.scalars(select(logs.c.log_id).where(*where, ~sent, ~asked, ~by_right).order_by(logs.c.log_id)))


def shred(tx: Connection, shredding: Shredding, actor: str, *, hash_stays: bool, **why: str) -> None:
    """Delete a log's key and all that is sealed of it. Its records keep what they are recognised by.

    `hash_stays` leaves the keyed hash of the person with the log, and the log's id with its records: one that is not
    kept is pulled again when consent comes (`LogStore.read_anew`). Otherwise the records lose their log, and what else
    lies of the person, and of no other log, goes too. The records of a log that was deleted keep its id, so that none
    of them is taken in again.
    """
    tenant, log_id = shredding.tenant, shredding.log_id
    if not hash_stays:
        _shred_quarantined(tx, shredding, actor)
    for table in (element_keys, decisions, tasks):
        tx.execute(delete(table).where(table.c.tenant == tenant, table.c.log_id == log_id))
    gone: dict[Table[Any], dict[str, object]] = {
        records: {
            "sealed_record": None, "sealed_original": None, "sealed_base": None, "sealed_seen": None,
            **({} if hash_stays or shredding.deleted else {"log_id": None}),
        },
        deliveries: {"sealed_payload": None, "sealed_receipt": None, "view_hash": None},
        packages: {"sealed_bytes": None},
        conflicts: {"sealed_values": None},
        rights_cases: {"sealed_detail": None},
        holds: {"situation_hash": None, "state": HoldState.GONE},
        proposals: {"sealed_detail": None, "wrapped_key": None, "key_version": None, "subject_hash": None},
    }  # fmt: skip
    for emptied, values in gone.items():
        tx.execute(update(emptied).where(emptied.c.tenant == tenant, emptied.c.log_id == log_id).values(**values))
    p = proposals.c
    open_ones = (p.tenant == tenant, p.log_id == log_id, p.state == ProposalState.OPEN)
    tx.execute(update(proposals).where(*open_ones).values(state=ProposalState.GONE))
    shred_log(tx, tenant, log_id)
    body: dict[str, object] = {"sealed_body": None, "content_hash": None, "counts": {}, "level": None}
    body |= {"owning_unit_id": None, "next_deadline": None, "consent_expires_on": None}
    body |= {"status": DELETED if shredding.deleted else shredding.status}
    body |= {"version": WIPED, "routed_version": WIPED, "updated_at": shredding.at}
    body |= {} if hash_stays else {"subject_hash": None}
    tx.execute(update(logs).where(logs.c.tenant == tenant, logs.c.log_id == log_id).values(**body))
    append(tx, tenant, Action.LOG_SHREDDED, "log", log_id, actor, shredding.at, **why)


def _shred_quarantined(tx: Connection, shredding: Shredding, actor: str) -> None:
    """Empty what lies in quarantine of a person who has no other log, and of a deleted log's own records.

    A row stays, with how the record is recognised: of what was deleted nothing is taken in again.
    """
    tenant, c = shredding.tenant, quarantine.c
    these = []
    if person := _alone(tx, tenant, shredding.log_id):
        these.append(c.subject_hash == person)
    if shredding.deleted:
        own = exists().where(
            records.c.tenant == tenant, records.c.log_id == shredding.log_id,
            records.c.connection == c.connection, records.c.foreign_id == c.foreign_id,
        )  # fmt: skip
        these.append(own)
    if not these:
        return
    nothing: dict[str, object] = {"wrapped_key": None, "key_version": None, "sealed_record": None}
    nothing |= {"subject_hash": None, "replay_run": None, "state": QuarantineState.DISMISSED}
    nothing |= {"reason": DELETED, "place": "/", "rule": shredding.log_id} if shredding.deleted else {}
    emptied = update(quarantine).where(c.tenant == tenant, or_(*these))
    for quarantine_id in tx.scalars(emptied.values(**nothing).returning(c.quarantine_id)).all():
        append(
            tx, tenant, Action.RECORD_SHREDDED, "quarantine", quarantine_id, actor, shredding.at, log=shredding.log_id
        )  # fmt: skip


def _alone(tx: Connection, tenant: str, log_id: str) -> str | None:
    """Return the keyed hash of a log's person, who has no other log that holds anything."""
    person = tx.scalar(select(logs.c.subject_hash).where(logs.c.tenant == tenant, logs.c.log_id == log_id))
    others = select(logs.c.log_id).where(
        logs.c.tenant == tenant, logs.c.subject_hash == person, logs.c.log_id != log_id, logs.c.sealed_body.is_not(None)
    )
    return None if person is None or tx.execute(others.limit(1)).first() else person


def kept_out(tx: Connection, tenant: str, connection: str, foreign_ids: Collection[str]) -> dict[str, str]:
    """Return those of a connection's records that went with a deleted log, each with that log's id."""
    r, q, these = records.c, quarantine.c, list(foreign_ids)
    of_log = select(r.foreign_id, r.log_id).where(
        r.tenant == tenant, r.connection == connection, r.foreign_id.in_(these),
        exists().where(logs.c.tenant == tenant, logs.c.log_id == r.log_id, logs.c.status == DELETED),
    )  # fmt: skip
    refused = select(q.foreign_id, q.rule).where(
        q.tenant == tenant, q.connection == connection, q.foreign_id.in_(these),
        q.state == QuarantineState.DISMISSED, q.reason == DELETED,
    )  # fmt: skip
    return {row[0]: row[1] for row in (*tx.execute(refused), *tx.execute(of_log))}


def shred_again(tx: Connection, listed: Iterator[Shredding], actor: str) -> int:
    """Shred what the list names and a database still has the key of, as after a restore; return how many there were."""
    done = 0
    for one in listed:
        key = (log_keys.c.tenant == one.tenant, log_keys.c.log_id == one.log_id)
        if tx.execute(select(log_keys.c.log_id).where(*key)).first():
            hash_stays = one.status is not LogStatus.ARCHIVED and not one.deleted
            shred(tx, one, actor, hash_stays=hash_stays, reason="shred_list")
            done += 1
    return done
