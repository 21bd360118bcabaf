"""What people ask for by right, as cases that say who, when, how it was decided and on what basis.

What was asked and the assessment lie sealed under the log's key. Every statement about cases stands here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, Row, insert, or_, select, update

from hub.relaylog.rights import (
    STOPPING,
    AskedBy,
    Extension,
    RightsCase,
    RightsDecision,
    RightsKind,
    RightsState,
    Ruling,
    due_on,
)
from hub.store.events import Action, append
from hub.store.sealing import Sealer
from hub.store.tables import (
    DeliveryKind,
    DeliveryState,
    archived,
    deliveries,
    events,
    packages,
    quarantine,
    records,
    rights_cases,
)
from hub.store.wipe import DELETED

FIELD = "rights_cases.sealed_detail"


@dataclass(frozen=True)
class Demand:
    """What somebody asks for: about which log, by whom (a role, never a name), on what day, and in what words."""

    kind: RightsKind
    log_id: str
    asked_by: AskedBy
    asked_on: date
    asks: str = field(repr=False)


class RightsDetail(BaseModel):
    """What is sealed of a case: what was asked, why its term was extended, and the assessments, the last one last."""

    asks: str
    extensions: tuple[str, ...] = ()
    assessments: tuple[str, ...] = ()


class Rights:
    """The cases of one tenant."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def open(self, tx: Connection, case_id: str, demand: Demand, sealer: Sealer, who: str, now: datetime) -> None:
        """Write a demand down as a case."""
        detail = RightsDetail(asks=demand.asks)
        tx.execute(
            insert(rights_cases).values(
                case_id=case_id,
                tenant=self._tenant,
                log_id=demand.log_id,
                kind=demand.kind,
                state=RightsState.OPEN,
                asked_by=demand.asked_by,
                asked_on=demand.asked_on,
                due_on=due_on(demand.asked_on),
                opened_by=who,
                opened_at=now,
                sealed_detail=_sealed(sealer, case_id, detail),
            )
        )
        self._event(tx, Action.PERSON_RIGHTS_OPENED, case_id, demand.log_id, who, now, kind=str(demand.kind))

    def case(self, tx: Connection, case_id: str) -> Row[Any] | None:
        """Return a case."""
        return tx.execute(select(rights_cases).where(*self._is(case_id))).one_or_none()

    def cases(self, tx: Connection, log_id: str = "", *, everything: bool = False) -> list[Row[Any]]:
        """Return the cases that are not carried out, or every one, of a log or of all; the first due comes first."""
        c = rights_cases.c
        where = [c.tenant == self._tenant]
        where += [c.log_id == log_id] if log_id else []
        where += [] if everything else [c.state != RightsState.DONE]
        return list(tx.execute(select(rights_cases).where(*where).order_by(c.due_on, c.case_id)))

    def detail(self, case: Row[Any], sealer: Sealer) -> RightsDetail:
        """Open what was asked and assessed. Raises SealError."""
        return RightsDetail.model_validate_json(sealer.open(f"{FIELD}/{case.case_id}", case.sealed_detail))

    def extend(
        self, tx: Connection, case: Row[Any], due: date, extension: Extension, now: datetime, sealer: Sealer
    ) -> None:
        """Write a new last day to answer down, its reason sealed."""
        detail = self.detail(case, sealer)
        more = detail.model_copy(update={"extensions": (*detail.extensions, extension.why)})
        sealed, row = _sealed(sealer, case.case_id, more), update(rights_cases).where(*self._is(case.case_id))
        tx.execute(row.values(due_on=due, extended_by=extension.who, extended_at=now, sealed_detail=sealed))
        told = {"kind": str(case.kind), "due": due.isoformat()}
        self._event(tx, Action.PERSON_RIGHTS_EXTENDED, case.case_id, case.log_id, extension.who, now, **told)

    def decide(
        self, tx: Connection, case: Row[Any], now_is: RightsCase, ruling: Ruling, now: datetime, sealer: Sealer | None
    ) -> None:
        """Write a decision down. Without a sealer, nothing of the log is left and the assessment is not kept."""
        values: dict[str, object] = {"state": now_is.state, "decision": now_is.decision, "basis": ruling.basis}
        values |= {"decided_by": ruling.decider, "decided_at": now, "done_by": None, "done_at": None}
        if sealer is not None:
            detail = self.detail(case, sealer)
            more = detail.model_copy(update={"assessments": (*detail.assessments, ruling.assessment)})
            values["sealed_detail"] = _sealed(sealer, case.case_id, more)
        tx.execute(update(rights_cases).where(*self._is(case.case_id)).values(**values))
        told = {"kind": str(case.kind), "decision": str(ruling.decision), "basis": str(ruling.basis)}
        action = Action.PERSON_RIGHTS_DECIDED
        self._event(tx, action, case.case_id, case.log_id, ruling.decider, now, **told)

    def done(self, tx: Connection, case: Row[Any], who: str, now: datetime) -> None:
        """Note that a case is carried out."""
        done = update(rights_cases).where(*self._is(case.case_id))
        tx.execute(done.values(state=RightsState.DONE, done_by=who, done_at=now))
        self._event(tx, Action.PERSON_RIGHTS_DONE, case.case_id, case.log_id, who, now, kind=str(case.kind))

    def told_by_hand(
        self, tx: Connection, case: Row[Any], connections: Collection[str], who: str, now: datetime
    ) -> None:
        """Note which receivers a person told of a correction outside the hub."""
        for connection in connections:
            told = {"log": case.log_id, "connection": connection}
            append(tx, self._tenant, Action.PERSON_RIGHTS_TOLD, "rights", case.case_id, who, now, **told)

    def deletion_asked(self, tx: Connection, log_id: str) -> bool:
        """Tell whether somebody has demanded that a log be deleted, and nobody has decided."""
        c = rights_cases.c
        where = (c.tenant == self._tenant, c.log_id == log_id, c.state == RightsState.OPEN)
        return tx.execute(select(c.case_id).where(*where, c.kind == RightsKind.DELETION).limit(1)).first() is not None

    def restricted_since(self, tx: Connection, log_id: str, at: datetime) -> bool:
        """Tell whether somebody has objected, or demanded restriction, after an instant, and it still stands."""
        c = rights_cases.c
        where = (c.tenant == self._tenant, c.log_id == log_id, c.kind.in_(STOPPING), c.opened_at > at)
        stands = or_(c.decision.is_(None), c.decision != RightsDecision.REFUSED)
        return tx.execute(select(c.case_id).where(*where, stands).limit(1)).first() is not None

    def unfinished(self, tx: Connection, log_id: str) -> list[Row[Any]]:
        """Return the deliveries of a log, of any kind, that have not come to their end."""
        c = deliveries.c
        ended = (DeliveryState.DONE, DeliveryState.SUPERSEDED)
        where = (c.tenant == self._tenant, c.log_id == log_id, c.state.not_in(ended))
        return list(tx.execute(select(deliveries).where(*where)))

    def last_receipts(self, tx: Connection, log_id: str, since: datetime) -> dict[str, Row[Any]]:
        """Return the last delivery of each connection that took a change of a log in since an instant."""
        c = deliveries.c
        where = (c.tenant == self._tenant, c.log_id == log_id, c.kind == DeliveryKind.UPDATE)
        done = (c.state == DeliveryState.DONE, c.done_at >= since)
        return {row.connection: row for row in tx.execute(select(deliveries).where(*where, *done).order_by(c.done_at))}

    def left_in(self, tx: Connection, log_id: str) -> dict[str, bool]:
        """Return the connections whose systems had records of a deleted log, and whether one was still listed last."""
        r, q = records.c, quarantine.c
        mine = select(r.connection, r.missing_since).where(r.tenant == self._tenant, r.log_id == log_id)
        refused = select(q.connection).where(q.tenant == self._tenant, q.reason == DELETED, q.rule == log_id)
        found = dict.fromkeys(tx.scalars(refused), True)
        for row in tx.execute(mine):
            found[row.connection] = row.missing_since is None or found.get(row.connection, False)
        return found

    def in_archive(self, tx: Connection, log_id: str) -> list[Row[Any]]:
        """Return what archives have of a log: target, revision, its key there, and the archive's own id of it."""
        a, p = archived.c, packages.c
        same = (p.tenant == a.tenant) & (p.log_id == a.log_id) & (p.revision == a.revision)
        found = select(a.target, a.revision, p.external_key, p.content_hash, a.receipt_ref, a.archived_at)
        where = (a.tenant == self._tenant, a.log_id == log_id)
        joined = archived.join(packages, same)
        return list(tx.execute(found.select_from(joined).where(*where).order_by(a.revision, a.target)))

    def merged_since(self, tx: Connection, log_id: str, since: datetime) -> bool:
        """Tell whether a log has changed since an instant."""
        e = events.c
        where = (e.tenant == self._tenant, e.subject_kind == "log", e.subject_id == log_id)
        changed = (e.action == Action.LOG_MERGED.value, e.at >= since)
        return tx.execute(select(e.event_id).where(*where, *changed).limit(1)).first() is not None

    def was_granted(self, tx: Connection, case_id: str) -> bool:
        """Tell whether a case was ever granted: its row keeps the last decision alone, the events each."""
        e = events.c
        where = (e.tenant == self._tenant, e.subject_kind == "rights", e.subject_id == case_id)
        found = tx.scalars(select(e.data).where(*where, e.action == Action.PERSON_RIGHTS_DECIDED.value))
        return any(data["decision"] == RightsDecision.GRANTED.value for data in found)

    def _is(self, case_id: str) -> tuple[Any, Any]:
        return rights_cases.c.tenant == self._tenant, rights_cases.c.case_id == case_id

    def _event(
        self, tx: Connection, action: Action, case_id: str, log_id: str, who: str, now: datetime, **data: str
    ) -> None:
        append(tx, self._tenant, action, "rights", case_id, who, now, log=log_id, **data)


def as_case(row: Row[Any]) -> RightsCase:
    """Return a row as rules take it."""
    decision: RightsDecision | None = row.decision
    return RightsCase(row.kind, row.state, decision)


def _sealed(sealer: Sealer, case_id: str, detail: RightsDetail) -> bytes:
    return sealer.seal(f"{FIELD}/{case_id}", detail.model_dump_json().encode())
