"""What waits for a person: holds, conflicts, quarantine and proposals. Every statement about them stands here.

Each kind is kept as it stands now: setting it again changes nothing, and what no longer holds is marked gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from hub.store.events import Action, append
from hub.store.sealing import Purpose, Sealer, TenantKeys
from hub.store.tables import (
    ConflictState,
    HoldState,
    ProposalKind,
    ProposalState,
    QuarantineState,
    conflicts,
    holds,
    proposals,
    quarantine,
)

ACTOR = "hub"


@dataclass(frozen=True)
class NewHold:
    """Something to stop: the rule, the code of its reason, who may decide, and what would release it."""

    rule: str
    reason: str
    addressed_to: str
    releases_when: str
    revealing: bool = False


@dataclass(frozen=True)
class NewConflict:
    """A place on which systems disagree, with the values as JSON by connection."""

    path: str
    element_id: str
    values: dict[str, Any]


@dataclass(frozen=True)
class NewProposal:
    """Something that a person must accept."""

    kind: ProposalKind
    foreign_id: str = ""
    collection: str = ""
    element_id: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why a record could not be taken in: a code, the place in the record, and the rule; never the value."""

    reason: str
    place: str
    rule: str


class Inbox:
    """Everything of one tenant that waits for a person."""

    def __init__(self, keys: TenantKeys, new_id: Callable[[], str]) -> None:
        self._keys = keys
        self._tenant = keys.tenant
        self._new_id = new_id

    # --- holds ---------------------------------------------------------------------------------------------------

    def set_holds(
        self, tx: Connection, log_id: str, connection: str | None, wanted: Iterable[NewHold], now: datetime
    ) -> int:
        """Make the open holds of a log towards a connection exactly these; return how many are new."""
        where = (
            holds.c.tenant == self._tenant,
            holds.c.log_id == log_id,
            holds.c.connection.is_(None) if connection is None else holds.c.connection == connection,
        )
        standing = {
            row.rule: row
            for row in tx.execute(select(holds.c.hold_id, holds.c.rule).where(*where, holds.c.state == HoldState.OPEN))
        }
        released = set(tx.scalars(select(holds.c.rule).where(*where, holds.c.state == HoldState.RELEASED)))
        wanted_by_rule = {hold.rule: hold for hold in wanted if hold.rule not in released}
        for rule, row in standing.items():
            if rule not in wanted_by_rule:
                tx.execute(update(holds).where(holds.c.hold_id == row.hold_id).values(state=HoldState.GONE))
                append(tx, self._tenant, Action.HOLD_GONE, "hold", row.hold_id, ACTOR, now, log=log_id)
        new = [hold for rule, hold in wanted_by_rule.items() if rule not in standing]
        for hold in new:
            self._set_hold(tx, log_id, connection, hold, now)
        return len(new)

    def _set_hold(self, tx: Connection, log_id: str, connection: str | None, hold: NewHold, now: datetime) -> None:
        hold_id = self._new_id()
        tx.execute(
            insert(holds).values(
                hold_id=hold_id,
                tenant=self._tenant,
                log_id=log_id,
                connection=connection,
                rule=hold.rule,
                reason=hold.reason,
                revealing=hold.revealing,
                addressed_to=hold.addressed_to,
                releases_when=hold.releases_when,
                since=now,
                state=HoldState.OPEN,
            )
        )
        append(tx, self._tenant, Action.HOLD_SET, "hold", hold_id, ACTOR, now, log=log_id)

    def open_holds(self, tx: Connection, log_id: str | None = None) -> list[Row[Any]]:
        """Return open holds, of one log or of all, the oldest first."""
        where = [holds.c.tenant == self._tenant, holds.c.state == HoldState.OPEN]
        if log_id is not None:
            where.append(holds.c.log_id == log_id)
        return list(tx.execute(select(holds).where(*where).order_by(holds.c.since, holds.c.hold_id)))

    # --- conflicts -----------------------------------------------------------------------------------------------

    def set_conflicts(
        self, tx: Connection, log_id: str, sealer: Sealer, wanted: Collection[NewConflict], now: datetime
    ) -> int:
        """Make the open conflicts of a log exactly these; return how many are new or have other candidates."""
        of_log = (conflicts.c.tenant == self._tenant, conflicts.c.log_id == log_id)
        standing = {(row.path, row.element_id): row for row in tx.execute(select(conflicts).where(*of_log))}
        wanted_by_place = {(conflict.path, conflict.element_id): conflict for conflict in wanted}
        for place, row in standing.items():
            if place not in wanted_by_place and row.state is ConflictState.OPEN:
                gone = update(conflicts).where(conflicts.c.conflict_id == row.conflict_id)
                tx.execute(gone.values(state=ConflictState.GONE, sealed_values=None))
                append(tx, self._tenant, Action.CONFLICT_GONE, "conflict", row.conflict_id, ACTOR, now, log=log_id)
        return sum(
            self._set_conflict(tx, log_id, sealer, conflict, standing.get(place), now)
            for place, conflict in wanted_by_place.items()
        )

    def _set_conflict(
        self, tx: Connection, log_id: str, sealer: Sealer, conflict: NewConflict, row: Row[Any] | None, now: datetime
    ) -> bool:
        """Write one conflict; tell whether it is new or has other candidates than before."""
        values = json.dumps(conflict.values, sort_keys=True).encode()
        candidates = self._keys.keyed_hash(Purpose.CONTENT, values)
        if row is not None and row.candidates_hash == candidates and row.state is not ConflictState.GONE:
            return False
        conflict_id = row.conflict_id if row is not None else self._new_id()
        sealed = sealer.seal(f"conflicts.sealed_values/{conflict_id}", values)
        if row is not None:
            changed = update(conflicts).where(conflicts.c.conflict_id == conflict_id)
            tx.execute(changed.values(candidates_hash=candidates, sealed_values=sealed, state=ConflictState.OPEN))
        else:
            tx.execute(
                insert(conflicts).values(
                    conflict_id=conflict_id,
                    tenant=self._tenant,
                    log_id=log_id,
                    path=conflict.path,
                    element_id=conflict.element_id,
                    candidates_hash=candidates,
                    sealed_values=sealed,
                    state=ConflictState.OPEN,
                    first_seen_at=now,
                )
            )
        append(tx, self._tenant, Action.CONFLICT_FOUND, "conflict", conflict_id, ACTOR, now, log=log_id)
        return True

    def open_conflicts(self, tx: Connection, log_id: str | None = None) -> list[Row[Any]]:
        """Return open conflicts, of one log or of all, the oldest first."""
        where = [conflicts.c.tenant == self._tenant, conflicts.c.state == ConflictState.OPEN]
        if log_id is not None:
            where.append(conflicts.c.log_id == log_id)
        return list(tx.execute(select(conflicts).where(*where).order_by(conflicts.c.first_seen_at, conflicts.c.path)))

    # --- quarantine ----------------------------------------------------------------------------------------------

    def quarantined(self, tx: Connection, connection: str, foreign_ids: Iterable[str]) -> dict[str, str]:
        """Return the change hash of each of these records that is in quarantine, by the system's id."""
        rows = tx.execute(
            select(quarantine.c.foreign_id, quarantine.c.change_hash).where(
                quarantine.c.tenant == self._tenant,
                quarantine.c.connection == connection,
                quarantine.c.foreign_id.in_(list(foreign_ids)),
                quarantine.c.state == QuarantineState.OPEN,
            )
        )
        return {row.foreign_id: row.change_hash or "" for row in rows}

    def put_in_quarantine(
        self,
        tx: Connection,
        connection: str,
        foreign_id: str,
        change_hash: str,
        record: bytes,
        why: Refusal,
        now: datetime,
    ) -> None:
        """Keep a record that could not be taken in, under a key of its own, with the reason."""
        c = quarantine.c
        standing = tx.execute(
            select(c.quarantine_id, c.attempts).where(
                c.tenant == self._tenant, c.connection == connection, c.foreign_id == foreign_id
            )
        ).one_or_none()
        quarantine_id = standing.quarantine_id if standing else self._new_id()
        key = self._keys.new_key(f"quarantine:{quarantine_id}")
        values = {
            "reason": why.reason,
            "place": why.place,
            "rule": why.rule,
            "last_seen_at": now,
            "attempts": (standing.attempts if standing else 0) + 1,
            "change_hash": change_hash,
            "wrapped_key": key.wrapped_key,
            "key_version": key.key_version,
            "sealed_record": key.sealer.seal("quarantine.sealed_record", record),
            "state": QuarantineState.OPEN,
        }
        if standing:
            tx.execute(update(quarantine).where(c.quarantine_id == quarantine_id).values(values))
        else:
            fixed = {"quarantine_id": quarantine_id, "tenant": self._tenant, "connection": connection}
            tx.execute(insert(quarantine).values({**fixed, "foreign_id": foreign_id, "first_seen_at": now, **values}))
        append(
            tx, self._tenant, Action.RECORD_QUARANTINED, "quarantine", quarantine_id, ACTOR, now, reason=why.reason
        )  # fmt: skip

    def out_of_quarantine(self, tx: Connection, connection: str, foreign_id: str, now: datetime) -> None:
        """Note that a record could be taken in after all, and drop what was kept of it."""
        c = quarantine.c
        taken = (
            update(quarantine)
            .where(
                c.tenant == self._tenant,
                c.connection == connection,
                c.foreign_id == foreign_id,
                c.state == QuarantineState.OPEN,
            )
            .values(state=QuarantineState.REPLAYED, sealed_record=None, wrapped_key=None)
            .returning(c.quarantine_id)
        )
        for quarantine_id in tx.scalars(taken).all():
            append(tx, self._tenant, Action.RECORD_REPLAYED, "quarantine", quarantine_id, ACTOR, now)

    # --- proposals -----------------------------------------------------------------------------------------------

    def propose(self, tx: Connection, connection: str, log_id: str | None, new: NewProposal, now: datetime) -> None:
        """Ask a person once; asking again changes nothing, also after a refusal."""
        c = proposals.c
        same = (
            c.tenant == self._tenant,
            c.kind == new.kind,
            c.connection == connection,
            c.log_id == log_id if log_id else c.log_id.is_(None),
            c.foreign_id == new.foreign_id,
            c.collection == new.collection,
            c.element_id == new.element_id,
        )
        known = tx.execute(select(c.proposal_id, c.state).where(*same)).first()
        if known is not None:
            if known.state is ProposalState.GONE:
                again = update(proposals).where(c.proposal_id == known.proposal_id)
                tx.execute(again.values(state=ProposalState.OPEN))
            return
        proposal_id = self._new_id()
        tx.execute(
            insert(proposals).values(
                proposal_id=proposal_id,
                tenant=self._tenant,
                kind=new.kind,
                connection=connection,
                log_id=log_id,
                foreign_id=new.foreign_id,
                collection=new.collection,
                element_id=new.element_id,
                state=ProposalState.OPEN,
                first_seen_at=now,
            )
        )
        append(tx, self._tenant, Action.PROPOSAL_MADE, "proposal", proposal_id, ACTOR, now, kind=str(new.kind))
