"""The event log: who did what to what, appended in the transaction of the deed and chained afterwards.

An event carries ids, counts and codes; what could be free text is refused, so that nothing about a child gets in.
Appending stays cheap because it does not chain: every few seconds `chain` gives the new events their place, each
with a hash over the one before, and the head of the chain is kept outside the database. Then `verify` tells whether
an event was changed, taken out, or cut off at the end.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, Row, insert, select, update

from hub.store.database import Database
from hub.store.tables import events

_CODE = re.compile(r"[a-z0-9][a-z0-9_.:/@#\[\]-]{0,159}")
_ACTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@|-]{0,119}")
_NATIONAL_ID = re.compile(r"(?<![0-9A-Za-z])\d{11}(?![0-9A-Za-z])")
_START = "0" * 64
_BATCH = 500


class Action(StrEnum):
    """Everything that can be written in the log: `source:subject:action`. The list only grows."""

    RUN_QUEUED = "hub:run:queued"
    RUN_STARTED = "hub:run:started"
    RUN_PUT_OFF = "hub:run:put_off"
    RUN_ENDED = "hub:run:ended"
    RUN_FAILED = "hub:run:failed"
    RUN_HELD = "hub:run:held"
    RUN_MISSED = "hub:run:missed"
    RUN_FREED = "hub:run:freed"
    RECORD_ADMITTED = "hub:record:admitted"
    RECORD_UNCHANGED = "hub:record:unchanged"
    RECORD_QUARANTINED = "hub:record:quarantined"
    RECORD_REPLAYED = "hub:record:replayed"
    RECORD_MISSING = "hub:record:missing"
    RECORD_MATCHED = "hub:record:matched"
    LOG_CREATED = "hub:log:created"
    LOG_MERGED = "hub:log:merged"
    LOG_JOINED = "hub:log:joined"
    LOG_ROUTED = "hub:log:routed"
    LOG_CLOSED = "hub:log:closed"
    LOG_REOPENED = "hub:log:reopened"
    LOG_ARCHIVED = "hub:log:archived"
    LOG_WIPED = "hub:log:wiped"
    LOG_SHREDDED = "hub:log:shredded"
    RECORD_SHREDDED = "hub:record:shredded"
    RECORD_KEPT_OUT = "hub:record:kept_out"
    CONFLICT_FOUND = "hub:conflict:found"
    CONFLICT_GONE = "hub:conflict:gone"
    HOLD_SET = "hub:hold:set"
    HOLD_RELEASED = "hub:hold:released"
    HOLD_GONE = "hub:hold:gone"
    PROPOSAL_MADE = "hub:proposal:made"
    PROPOSAL_GONE = "hub:proposal:gone"
    DIFFERENCE_FOUND = "hub:difference:found"
    DIFFERENCE_GONE = "hub:difference:gone"
    TASK_SET = "hub:task:set"
    TASK_GONE = "hub:task:gone"
    DELIVERY_READY = "hub:delivery:ready"
    DELIVERY_SENT = "hub:delivery:sent"
    DELIVERY_DONE = "hub:delivery:done"
    DELIVERY_UNKNOWN = "hub:delivery:unknown"
    DELIVERY_SUPERSEDED = "hub:delivery:superseded"
    DELIVERY_FAILED = "hub:delivery:failed"
    DELIVERY_HELD = "hub:delivery:held"
    DELIVERY_FREED = "hub:delivery:freed"
    REMINDER_READY = "hub:reminder:ready"
    REMINDER_SENT = "hub:reminder:sent"
    REMINDER_PUT_OFF = "hub:reminder:put_off"
    REMINDER_FAILED = "hub:reminder:failed"
    REMINDER_UNKNOWN = "hub:reminder:unknown"
    PACKAGE_MADE = "hub:package:made"
    ARCHIVE_RECEIVED = "hub:archive:received"
    CONNECTION_PARKED = "hub:connection:parked"
    CONNECTION_BROKEN = "hub:connection:broken"
    CONNECTION_MENDED = "hub:connection:mended"
    PERSON_LOG_OPENED = "person:log:opened"
    PERSON_CONFLICT_SETTLED = "person:conflict:settled"
    PERSON_HOLD_RELEASED = "person:hold:released"
    PERSON_PROPOSAL_ACCEPTED = "person:proposal:accepted"
    PERSON_PROPOSAL_REFUSED = "person:proposal:refused"
    PERSON_QUARANTINE_REPLAYED = "person:quarantine:replayed"
    PERSON_QUARANTINE_DISMISSED = "person:quarantine:dismissed"
    PERSON_RECORD_SAME_PERSON = "person:record:same_person"
    PERSON_RECORD_ANOTHER_PERSON = "person:record:another_person"
    PERSON_DIFFERENCE_CLOSED = "person:difference:closed"
    PERSON_BATON_OFFERED = "person:baton:offered"
    PERSON_BATON_ANSWERED = "person:baton:answered"
    PERSON_TASK_DONE = "person:task:done"
    PERSON_PLAN_ASKED = "person:plan:asked"
    PERSON_DELIVERY_DECIDED = "person:delivery:decided"
    PERSON_RUN_ASKED = "person:run:asked"
    PERSON_CONNECTION_PAUSED = "person:connection:paused"
    PERSON_CONNECTION_RESUMED = "person:connection:resumed"
    PERSON_PROFILE_CONFIRMED = "person:profile:confirmed"
    PERSON_ARCHIVE_CONFIRMED = "person:archive:confirmed"
    PERSON_CONFIGURATION_CHANGED = "person:configuration:changed"
    PERSON_KEYS_ROTATED = "person:keys:rotated"
    PERSON_KEYS_RETIRED = "person:keys:retired"
    PERSON_STORE_BACKED_UP = "person:store:backed_up"
    PERSON_REPORT_MADE = "person:report:made"
    PERSON_RIGHTS_OPENED = "person:rights:opened"
    PERSON_RIGHTS_EXTENDED = "person:rights:extended"
    PERSON_RIGHTS_DECIDED = "person:rights:decided"
    PERSON_RIGHTS_TOLD = "person:rights:told"
    PERSON_RIGHTS_DONE = "person:rights:done"
    PERSON_ACCESS_REFUSED = "person:access:refused"


class NotACode(ValueError):
    """An event was handed something that could be free text. Names the field, never the value."""


@dataclass(frozen=True)
class Head:
    """The end of a tenant's chain at some time; kept outside the database, it proves what stood before it."""

    position: int
    hash: str


@dataclass(frozen=True)
class ChainProblem:
    """One place where the chain does not hold. `position` counts from 1; `code`: changed, gap or cut."""

    position: int
    code: str


def append(
    tx: Connection,
    tenant: str,
    action: Action,
    subject_kind: str,
    subject_id: str,
    actor: str,
    at: datetime,
    **data: str | int | bool,
) -> None:
    """Append one event in the caller's transaction.

    `subject_id` and the texts in `data` are ids or codes: lower-case letters a-z, digits and `_.:/@#[]-`, no blanks,
    and no eleven digits on their own; `actor` may have capitals. Anything else raises NotACode.
    """
    append_all(tx, tenant, action, subject_kind, [(subject_id, data)], actor, at)


def append_all(
    tx: Connection,
    tenant: str,
    action: Action,
    subject_kind: str,
    subjects: Sequence[tuple[str, Mapping[str, str | int | bool]]],
    actor: str,
    at: datetime,
) -> None:
    """Append the same event about several subjects, each an id with its data, as `append` does."""
    if not _is_code(actor, _ACTOR):
        raise NotACode(f"{action}: 'actor' is not a user id or the name of a component")
    fixed = {"tenant": tenant, "at": at, "action": action.value, "actor": actor, "subject_kind": subject_kind}
    for subject_id, data in subjects:
        _check(action, {"subject_kind": subject_kind, "subject_id": subject_id, **data})
    if subjects:
        tx.execute(insert(events), [{**fixed, "subject_id": subject, "data": dict(data)} for subject, data in subjects])


def _check(action: Action, values: Mapping[str, str | int | bool]) -> None:
    for name, value in values.items():
        if isinstance(value, str) and not _is_code(value, _CODE):
            raise NotACode(f"{action}: '{name}' is not an id or a code; hand in one, or a count")
        if not isinstance(value, str | int):
            raise NotACode(f"{action}: '{name}' is a {type(value).__name__}; hand in an id, a code or a count")


def chain(db: Database, tenant: str) -> Head | None:
    """Give all unchained events of a tenant their place, and return the head; None while there is no event.

    One writer per tenant at a time: on PostgreSQL a second one fails on the unique position and tries again later.
    """
    while True:
        with db.write() as tx:
            head = _head(tx, tenant)
            waiting = tx.execute(
                select(events)
                .where(events.c.tenant == tenant, events.c.position.is_(None))
                .order_by(events.c.event_id)
                .limit(_BATCH)
            ).all()
            for row in waiting:
                head = _link(tx, row, head)
        if len(waiting) < _BATCH:
            return head


def verify(db: Database, tenant: str, heads: Iterable[Head] = ()) -> list[ChainProblem]:
    """Return where a tenant's chain does not hold, in order; an empty list is a whole chain.

    `heads` are those kept outside the database: without one, events cut off at the end, or a chain made anew from
    some place on, cannot be seen.
    """
    known = {head.position: head.hash for head in heads}
    problems: list[ChainProblem] = []
    expected, previous = 1, _START
    with db.read() as tx:
        chained = select(events).where(events.c.tenant == tenant, events.c.position.is_not(None))
        for row in tx.execute(chained.order_by(events.c.position)).yield_per(_BATCH):
            right = _hash(row, previous)
            if row.position != expected:
                problems.append(ChainProblem(expected, "gap"))
            elif row.previous_hash != previous or {row.hash, known.get(row.position, right)} != {right}:
                problems.append(ChainProblem(row.position, "changed"))
            expected, previous = row.position + 1, row.hash
    problems += [ChainProblem(position, "cut") for position in sorted(known) if position >= expected]
    return problems


def _is_code(value: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(value) is not None and _NATIONAL_ID.search(value) is None


def _head(tx: Connection, tenant: str) -> Head | None:
    row = tx.execute(
        select(events.c.position, events.c.hash)
        .where(events.c.tenant == tenant, events.c.position.is_not(None))
        .order_by(events.c.position.desc())
        .limit(1)
    ).one_or_none()
    return Head(row.position, row.hash) if row else None


def _link(tx: Connection, row: Row[*tuple[object, ...]], head: Head | None) -> Head:
    previous = head.hash if head else _START
    linked = Head(head.position + 1 if head else 1, _hash(row, previous))
    tx.execute(
        update(events)
        .where(events.c.event_id == row.event_id)
        .values(position=linked.position, previous_hash=previous, hash=linked.hash)
    )
    return linked


def _hash(row: Row[*tuple[object, ...]], previous: str) -> str:
    content = [
        previous,
        row.event_id,
        row.tenant,
        row.at.isoformat(),
        row.action,
        row.subject_kind,
        row.subject_id,
        row.actor,
        row.data,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
