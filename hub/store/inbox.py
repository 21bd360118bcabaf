"""What waits for a person: holds, conflicts, quarantine and proposals. Every statement about them stands here.

Each kind is kept as it stands now: setting it again changes nothing, and what no longer holds is marked gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, insert, or_, select, update

from hub.store.decisions import lapse
from hub.store.events import Action, append
from hub.store.sealing import Purpose, Sealer, TenantKeys
from hub.store.tables import (
    ConflictState,
    HoldState,
    ProposalKind,
    ProposalState,
    QuarantineState,
    RunState,
    conflicts,
    holds,
    proposals,
    quarantine,
    runs,
)

ACTOR = "hub"
SPECIAL_RULE = "special_rule"
"""What a reason that would itself reveal something reads as: særskilt regel."""


@dataclass(frozen=True)
class NewHold:
    """Something to stop: the rule, the code of its reason, who may decide, and what would release it."""

    rule: str
    reason: str
    addressed_to: str
    releases_when: str
    revealing: bool = False
    situation: str = ""
    """Keyed hash of what is stopped: a release is for this alone. Empty where the rule's standing is all there is."""


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
    """The element; of a match the other log, where there is one alone to choose."""


@dataclass(frozen=True)
class Refusal:
    """Why a record could not be taken in: a code, the place in the record, and the rule; never the value."""

    reason: str
    place: str
    rule: str


@dataclass(frozen=True)
class KeptRecord:
    """A record in quarantine as it was delivered, and why it was refused."""

    foreign_id: str
    data: bytes = field(repr=False)
    why: Refusal
    delivered_at: datetime
    """When it last came from its system."""


class Inbox:
    """Everything of one tenant that waits for a person."""

    def __init__(self, keys: TenantKeys, new_id: Callable[[], str]) -> None:
        self._keys = keys
        self._tenant = keys.tenant
        self._new_id = new_id

    # --- holds ---------------------------------------------------------------------------------------------------

    def holds_of(self, tx: Connection, log_ids: Collection[str]) -> dict[tuple[str, str | None], list[Row[Any]]]:
        """Return the holds of logs that stand, open or let go, by log and connection."""
        c, found = holds.c, dict[tuple[str, str | None], list[Row[Any]]]()
        kept = c.state.in_((HoldState.OPEN, HoldState.RELEASED))
        for row in tx.execute(select(holds).where(c.tenant == self._tenant, c.log_id.in_(list(log_ids)), kept)):
            found.setdefault((row.log_id, row.connection), []).append(row)
        return found

    def set_holds(
        self,
        tx: Connection,
        log_id: str,
        connection: str | None,
        wanted: Iterable[NewHold],
        now: datetime,
        found: Mapping[tuple[str, str | None], Iterable[Row[Any]]] | None = None,
    ) -> bool:
        """Make the open holds of a log towards a connection exactly these; tell whether any of them is open.

        What a person has let go stands, and stops nothing. `found` is what `holds_of` found in this transaction.
        """
        standing: dict[str, Row[Any]] = {}
        known = {hold.rule: hold for hold in wanted}
        if found is None:
            found = self.holds_of(tx, [log_id])
        for row in found.get((log_id, connection), ()):
            hold = known.get(row.rule)
            if hold is None or (row.state is HoldState.RELEASED and (row.situation_hash or "") != hold.situation):
                self._hold_gone(tx, row, now)
            else:
                standing[row.rule] = row
                self._same_hold(tx, row, hold)
        new = [hold for rule, hold in known.items() if rule not in standing]
        for hold in new:
            self._set_hold(tx, log_id, connection, hold, now)
        return bool(new) or any(row.state is HoldState.OPEN for row in standing.values())

    def add_hold(self, tx: Connection, log_id: str, connection: str | None, hold: NewHold, now: datetime) -> None:
        """Set a hold beside those that stand, until `set_holds` says otherwise. Setting it again changes nothing."""
        same = (row.connection == connection and row.rule == hold.rule for row in self.open_holds(tx, log_id))
        if not any(same):
            self._set_hold(tx, log_id, connection, hold, now)

    def _hold_gone(self, tx: Connection, row: Row[Any], now: datetime) -> None:
        """End a hold whose rule stops nothing any more, or whose release was for another situation."""
        tx.execute(update(holds).where(holds.c.hold_id == row.hold_id).values(state=HoldState.GONE))
        lapse(tx, self._tenant, row.hold_id)
        rule = SPECIAL_RULE if row.revealing else row.rule
        append(tx, self._tenant, Action.HOLD_GONE, "hold", row.hold_id, ACTOR, now, log=row.log_id, rule=rule)

    def _same_hold(self, tx: Connection, row: Row[Any], hold: NewHold) -> None:
        """What waits is always the present situation."""
        if (row.situation_hash or "") != hold.situation:
            tx.execute(
                update(holds).where(holds.c.hold_id == row.hold_id).values(situation_hash=hold.situation or None)
            )

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
                situation_hash=hold.situation or None,
                state=HoldState.OPEN,
            )
        )
        rule = SPECIAL_RULE if hold.revealing else hold.rule
        to = {"connection": connection} if connection else {}
        append(tx, self._tenant, Action.HOLD_SET, "hold", hold_id, ACTOR, now, log=log_id, rule=rule, **to)

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
        if row is not None and row.candidates_hash == candidates and row.state is ConflictState.OPEN:
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

    def disputed(self, tx: Connection, log_ids: Collection[str]) -> set[str]:
        """Return those of these logs that have, or had, a conflict."""
        if not log_ids:
            return set()
        return set(tx.scalars(_DISPUTED, {"tenant": self._tenant, "log_ids": list(log_ids)}))

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
        subject_hash: str | None = None,
    ) -> None:
        """Keep a record that could not be taken in, under a key of its own, with the reason.

        By `subject_hash`, where the person could be read, shredding reaches it.
        """
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
            "place": _line(why.place, 300),
            "rule": _line(why.rule, 200),
            "last_seen_at": now,
            "attempts": (standing.attempts if standing else 0) + 1,
            "change_hash": change_hash,
            "subject_hash": subject_hash,
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
            .values(
                state=QuarantineState.REPLAYED, sealed_record=None, wrapped_key=None, subject_hash=None, replay_run=None
            )
            .returning(c.quarantine_id)
        )
        for quarantine_id in tx.scalars(taken).all():
            append(tx, self._tenant, Action.RECORD_REPLAYED, "quarantine", quarantine_id, ACTOR, now)

    def dismiss(self, tx: Connection, quarantine_id: str, by: str, now: datetime) -> bool:
        """Note that a person closed a record in quarantine, and drop what was kept of it; False where none is open."""
        c = quarantine.c
        nothing = dict.fromkeys(("sealed_record", "wrapped_key", "key_version", "subject_hash", "replay_run"))
        closed = (
            update(quarantine)
            .where(c.tenant == self._tenant, c.quarantine_id == quarantine_id, c.state == QuarantineState.OPEN)
            .values(state=QuarantineState.DISMISSED, **nothing)
        )
        if tx.execute(closed).rowcount != 1:
            return False
        append(tx, self._tenant, Action.PERSON_QUARANTINE_DISMISSED, "quarantine", quarantine_id, by, now)
        return True

    # --- proposals -----------------------------------------------------------------------------------------------

    def propose(self, tx: Connection, connection: str, log_id: str | None, new: NewProposal, now: datetime) -> None:
        """Ask a person once; asking again changes nothing.

        After a refusal a record or guardian is not asked about again. A deleted element is: it was written back, and is
        gone anew.
        """
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
            deletion = new.kind is ProposalKind.DELETION and bool(new.element_id)
            written_back = known.state is ProposalState.REFUSED and deletion
            if known.state is ProposalState.GONE or written_back:  # it went, or was put back, and now it is gone anew
                again = update(proposals).where(c.proposal_id == known.proposal_id)
                tx.execute(again.values(state=ProposalState.OPEN, decided_by=None, decided_at=None))
                append(tx, self._tenant, Action.PROPOSAL_MADE, "proposal", known.proposal_id, ACTOR, now, kind=new.kind)
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

    def asked_to_join(self, tx: Connection, log_id: str, others: Collection[str]) -> set[str]:
        """Return those of some logs of which is asked whether they are one with a log, or was answered that not."""
        c = proposals.c
        asked = select(c.log_id, c.element_id).where(
            c.tenant == self._tenant,
            c.kind == ProposalKind.MATCH,
            c.log_id.in_([log_id, *others]),
            c.state.in_((ProposalState.OPEN, ProposalState.REFUSED)),
        )
        pairs = {(row.log_id or "", row.element_id) for row in tx.execute(asked)}
        if (log_id, "") in pairs:  # there were several to choose from
            return set(others)
        return {other for other in others if (log_id, other) in pairs or (other, log_id) in pairs}

    def elements_back(
        self,
        tx: Connection,
        asked: Mapping[str, Collection[tuple[str, str]]],
        removed: Mapping[str, Collection[tuple[str, str]]],
        now: datetime,
    ) -> None:
        """End the proposals about elements that are in their system, or in their log, again.

        By log: `asked` are the elements, by list and id, that some system lacks, `removed` those that a person let go.
        """
        for row in tx.execute(_ELEMENTS_ASKED, {"tenant": self._tenant, "log_ids": list(asked)}).all():
            gone = asked if row.state is ProposalState.OPEN else removed
            if (row.collection, row.element_id) not in gone[row.log_id]:
                self._proposal_gone(tx, row.proposal_id, now)

    def guardians_named(self, tx: Connection, named: Mapping[str, Collection[str]], now: datetime) -> None:
        """End the proposals about guardians that no system names any more; `named` are those asked about, by log."""
        for row in tx.execute(_GUARDIANS_ASKED, {"tenant": self._tenant, "log_ids": list(named)}).all():
            if row.element_id not in named[row.log_id]:
                self._proposal_gone(tx, row.proposal_id, now)

    def records_listed(self, tx: Connection, connection: str, missing: Collection[str], now: datetime) -> None:
        """End the proposals about records that a complete listing has again; `missing` are those it lacks."""
        c = proposals.c
        asked = select(c.proposal_id, c.foreign_id).where(
            c.tenant == self._tenant,
            c.kind == ProposalKind.DELETION,
            c.connection == connection,
            c.foreign_id != "",
            c.state.in_((ProposalState.OPEN, ProposalState.REFUSED)),
        )
        for row in tx.execute(asked).all():
            if row.foreign_id not in missing:
                self._proposal_gone(tx, row.proposal_id, now)

    def _proposal_gone(self, tx: Connection, proposal_id: str, now: datetime) -> None:
        gone = update(proposals).where(proposals.c.proposal_id == proposal_id)
        tx.execute(gone.values(state=ProposalState.GONE))
        lapse(tx, self._tenant, proposal_id)
        append(tx, self._tenant, Action.PROPOSAL_GONE, "proposal", proposal_id, ACTOR, now)

    # --- what people decide --------------------------------------------------------------------------------------

    def refused_by(self, tx: Connection, quarantine_id: str, reason: str) -> str | None:
        """Return the connection of a record that is in quarantine for a reason; None where there is none."""
        c = quarantine.c
        where = (c.tenant == self._tenant, c.quarantine_id == quarantine_id, c.reason == reason)
        return tx.scalar(select(c.connection).where(*where, c.state == QuarantineState.OPEN))

    def hold(self, tx: Connection, hold_id: str) -> Row[Any] | None:
        """Return a hold."""
        return tx.execute(select(holds).where(holds.c.tenant == self._tenant, holds.c.hold_id == hold_id)).one_or_none()

    def conflict(self, tx: Connection, conflict_id: str) -> Row[Any] | None:
        """Return a conflict."""
        where = (conflicts.c.tenant == self._tenant, conflicts.c.conflict_id == conflict_id)
        return tx.execute(select(conflicts).where(*where)).one_or_none()

    def proposal(self, tx: Connection, proposal_id: str) -> Row[Any] | None:
        """Return a proposal."""
        where = (proposals.c.tenant == self._tenant, proposals.c.proposal_id == proposal_id)
        return tx.execute(select(proposals).where(*where)).one_or_none()

    def candidates(self, conflict: Row[Any], sealer: Sealer) -> dict[str, Any]:
        """Open what the systems say on a disputed place, in JSON form by connection."""
        opened = sealer.open(f"conflicts.sealed_values/{conflict.conflict_id}", conflict.sealed_values)
        values: dict[str, Any] = json.loads(opened)
        return values

    def release(self, tx: Connection, hold: Row[Any], by: str, now: datetime) -> None:
        """Note that a person let a hold go, for the situation that it stands for."""
        released = update(holds).where(holds.c.hold_id == hold.hold_id)
        tx.execute(released.values(state=HoldState.RELEASED, released_by=by, released_at=now))
        rule = SPECIAL_RULE if hold.revealing else hold.rule
        append(tx, self._tenant, Action.PERSON_HOLD_RELEASED, "hold", hold.hold_id, by, now, log=hold.log_id, rule=rule)

    def settle(self, tx: Connection, conflict: Row[Any], take: str, by: str, now: datetime) -> None:
        """Note that a person has chosen; `take` says whose value. What was chosen over what is kept as a decision."""
        settled = update(conflicts).where(conflicts.c.conflict_id == conflict.conflict_id)
        tx.execute(settled.values(state=ConflictState.SETTLED, sealed_values=None, settled_at=now, settled_by=by))
        data = {"log": conflict.log_id, "take": take}
        append(tx, self._tenant, Action.PERSON_CONFLICT_SETTLED, "conflict", conflict.conflict_id, by, now, **data)

    def decide(self, tx: Connection, proposal: Row[Any], state: ProposalState, by: str, now: datetime) -> None:
        """Note that a person has accepted or refused a proposal."""
        decided = update(proposals).where(proposals.c.proposal_id == proposal.proposal_id)
        tx.execute(decided.values(state=state, decided_by=by, decided_at=now))
        accepted = state is ProposalState.ACCEPTED
        action = Action.PERSON_PROPOSAL_ACCEPTED if accepted else Action.PERSON_PROPOSAL_REFUSED
        about = {"log": proposal.log_id} if proposal.log_id else {}
        append(tx, self._tenant, action, "proposal", proposal.proposal_id, by, now, **about)

    def leave(self, tx: Connection, log_id: str, now: datetime) -> None:
        """Let nothing wait for anybody about a log that is no more."""
        kept = (HoldState.OPEN, HoldState.RELEASED)
        waiting = select(holds).where(holds.c.tenant == self._tenant, holds.c.log_id == log_id, holds.c.state.in_(kept))
        for row in tx.execute(waiting).all():
            self._hold_gone(tx, row, now)
        for conflict in self.open_conflicts(tx, log_id):
            gone = update(conflicts).where(conflicts.c.conflict_id == conflict.conflict_id)
            tx.execute(gone.values(state=ConflictState.GONE, sealed_values=None))
            append(tx, self._tenant, Action.CONFLICT_GONE, "conflict", conflict.conflict_id, ACTOR, now, log=log_id)
        c = proposals.c
        about = or_(c.log_id == log_id, and_(c.kind == ProposalKind.MATCH, c.element_id == log_id))
        asked = select(c.proposal_id).where(c.tenant == self._tenant, about, c.state == ProposalState.OPEN)
        for proposal_id in tx.scalars(asked).all():
            self._proposal_gone(tx, proposal_id, now)

    # --- replaying -----------------------------------------------------------------------------------------------

    def waiting_records(self, tx: Connection, connection: str, ids: Collection[str] | None) -> list[str]:
        """Return what is in quarantine of a connection and no run is about to take in again; `ids` picks some."""
        c = quarantine.c
        asked = select(runs.c.run_id).where(
            runs.c.tenant == self._tenant, runs.c.state.in_((RunState.QUEUED, RunState.RUNNING))
        )
        these = () if ids is None else (c.quarantine_id.in_(list(ids)),)
        where = (c.tenant == self._tenant, c.connection == connection, c.state == QuarantineState.OPEN, *these)
        return list(
            tx.scalars(select(c.quarantine_id).where(*where, or_(c.replay_run.is_(None), c.replay_run.not_in(asked))))
        )

    def ask_replay(self, tx: Connection, ids: Collection[str], run_id: str) -> None:
        """Note which run is to take records in again."""
        c = quarantine.c
        asked = update(quarantine).where(c.tenant == self._tenant, c.quarantine_id.in_(list(ids)))
        tx.execute(asked.values(replay_run=run_id))

    def to_replay(self, tx: Connection, run_id: str) -> list[str]:
        """Return what a run is still to take in again, in the order it last came."""
        c = quarantine.c
        where = (c.tenant == self._tenant, c.replay_run == run_id, c.state == QuarantineState.OPEN)
        return list(
            tx.scalars(select(c.quarantine_id).where(*where).order_by(c.last_seen_at, c.first_seen_at, c.quarantine_id))
        )

    def kept_record(self, tx: Connection, quarantine_id: str) -> KeptRecord | None:
        """Open a record in quarantine, and note that it is being tried; None where it left meanwhile."""
        c = quarantine.c
        where = (c.tenant == self._tenant, c.quarantine_id == quarantine_id, c.state == QuarantineState.OPEN)
        row = tx.execute(update(quarantine).where(*where).values(replay_run=None).returning(quarantine)).one_or_none()
        if row is None:
            return None
        sealer = self._keys.sealer(f"quarantine:{quarantine_id}", row.wrapped_key, row.key_version)
        data = sealer.open("quarantine.sealed_record", row.sealed_record)
        return KeptRecord(row.foreign_id, data, Refusal(row.reason, row.place or "/", row.rule or ""), row.last_seen_at)

    def waiting_since(self, tx: Connection, connection: str, foreign_ids: Collection[str]) -> dict[str, datetime]:
        """Return when each of these records that is in quarantine last came from its system, by the system's id."""
        c = quarantine.c
        these = (c.tenant == self._tenant, c.connection == connection, c.foreign_id.in_(list(foreign_ids)))
        rows = tx.execute(select(c.foreign_id, c.last_seen_at).where(*these, c.state == QuarantineState.OPEN))
        return {row.foreign_id: row.last_seen_at for row in rows}

    def came_at(self, tx: Connection, connection: str, foreign_ids: Collection[str], at: datetime) -> None:
        """Note when records last came from their system: to try them again is no delivery."""
        c = quarantine.c
        these = (c.tenant == self._tenant, c.connection == connection, c.foreign_id.in_(list(foreign_ids)))
        tx.execute(update(quarantine).where(*these, c.state == QuarantineState.OPEN).values(last_seen_at=at))

    def not_met_since(self, tx: Connection, connection: str, reason: str, at: datetime, now: datetime) -> None:
        """Let go what was refused for a reason that a whole reading since an instant has not met again."""
        c = quarantine.c
        these = (c.tenant == self._tenant, c.connection == connection, c.reason == reason, c.last_seen_at < at)
        for foreign_id in tx.scalars(select(c.foreign_id).where(*these, c.state == QuarantineState.OPEN)).all():
            self.out_of_quarantine(tx, connection, foreign_id, now)


def _line(text: str, length: int) -> str:
    """Return what there is room for of a text that may hold names which a source chose."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text[:length])


# Made once, because every log that is merged is asked for these.
_OF_TENANT = bindparam("tenant", type_=proposals.c.tenant.type)
_THESE = bindparam("log_ids", expanding=True, type_=proposals.c.log_id.type)
_ELEMENTS_ASKED = select(proposals).where(
    proposals.c.tenant == _OF_TENANT,
    proposals.c.kind == ProposalKind.DELETION,
    proposals.c.log_id.in_(_THESE),
    proposals.c.element_id != "",
    proposals.c.state.in_((ProposalState.OPEN, ProposalState.ACCEPTED)),
)
_GUARDIANS_ASKED = select(proposals).where(
    proposals.c.tenant == _OF_TENANT,
    proposals.c.kind == ProposalKind.GUARDIAN,
    proposals.c.log_id.in_(_THESE),
    proposals.c.state == ProposalState.OPEN,
)
_DISPUTED = select(conflicts.c.log_id).where(conflicts.c.tenant == _OF_TENANT, conflicts.c.log_id.in_(_THESE))
