"""What people decided: each decision a row that says who, when and, sealed, why and what was chosen over what.

Merging and routing follow those in force; they are read with their log. Every statement about them stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, bindparam, insert, select, update

from hub.relaylog.gates import ANOTHER_PERSON, MOVED_RECORD, Stop
from hub.relaylog.merge import Place, Settlement, Settlements, silent, typed
from hub.relaylog.model import COLLECTIONS, Element, RelayLog
from hub.store.sealing import NewKey, Sealer, TenantKeys
from hub.store.tables import decisions

FIELD = "decisions.sealed_detail"


class Choice(StrEnum):
    """What a person decided, or that somebody was shown the values."""

    SETTLED = "settled"
    RELEASED = "released"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    REPLAYED = "replayed"
    SENT = "sent"
    NOT_SENT = "not_sent"
    OPENED = "opened"
    CLOSED = "closed"
    OFFERED = "offered"
    ANSWERED = "answered"
    ASKED = "asked"
    STOPPED = "stopped"
    SAME_PERSON = "same_person"
    ANOTHER_PERSON = "another_person"
    MOVED = "moved"


@dataclass(frozen=True)
class Who:
    """Who decides, and the reason in that person's own words. The words are kept sealed only."""

    id: str
    why: str = field(repr=False)


class Settled(BaseModel):
    """A value chosen for a place over what the systems said, all in JSON form."""

    place: Place
    value: Any
    over: list[Any]


class Released(BaseModel):
    """A rule that was let go in one situation, known by its hash."""

    rule: str
    situation: str


class Removed(BaseModel):
    """An element taken out of the log, with what each system held of it then, in JSON form by connection."""

    collection: str
    element: str
    over: dict[str, dict[str, Any]]

    def still(self, seen: Mapping[str, RelayLog]) -> bool:
        """Tell whether no system, by connection, has said anything new of the element since."""
        return all(
            self._knew(connection, element)
            for connection, log in seen.items()
            for element in getattr(log, self.collection)
            if element.id == self.element
        )

    def _knew(self, connection: str, held: Element) -> bool:
        if connection not in self.over:
            return False
        known = COLLECTIONS[self.collection].model_validate(self.over[connection])
        return all(
            getattr(held, name) == getattr(known, name)
            or silent(Place(self.collection, self.element, name), getattr(held, name))
            for name in type(held).model_fields
        )


class Confirmed(BaseModel):
    """Whether a guardian that a system named belongs to the log."""

    guardian: str
    belongs: bool


class Mistaken(BaseModel):
    """A connection whose record of the log is said to be another person's. `mark` is what the decision is about."""

    connection: str
    mark: str


class Effect(BaseModel):
    """What merging and routing do because of a decision."""

    confirmed: Confirmed | None = None
    settled: Settled | None = None
    released: Released | None = None
    removed: tuple[Removed, ...] = ()
    restricted: bool = False
    mistaken: Mistaken | None = None
    moved: str = ""
    """What the arrival of a record out of another person's log is known by."""


class _Detail(BaseModel):
    """What is sealed of a decision."""

    why: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Decided:
    """The decisions in force over one log."""

    settlements: Settlements = field(default_factory=dict)
    released: tuple[Released, ...] = ()
    removed: tuple[Removed, ...] = ()
    guardians: Mapping[str, bool] = field(default_factory=dict)
    """Whether each guardian that was decided about belongs to the log, by the hub's id."""
    restricted: bool = False
    """Somebody objects, or demands that use be restricted: nothing is sent."""
    mistaken: Mapping[str, str] = field(default_factory=dict)
    """The connections whose record is said to be another person's, each with what the decision is about."""
    moved: str = ""
    """The last arrival of a record out of another person's log."""

    @property
    def mixed(self) -> tuple[Stop, ...]:
        """Why the log goes nowhere, as far as it may hold texts about two persons."""
        looked_at = any((one.rule, one.situation) == (MOVED_RECORD.reason, self.moved) for one in self.released)
        stops = ((ANOTHER_PERSON, bool(self.mistaken)), (MOVED_RECORD, bool(self.moved) and not looked_at))
        return tuple(stop for stop, stands in stops if stands)


@dataclass(frozen=True)
class NewDecision:
    """A decision to be kept: on what, what was chosen, and the effect that merging and routing follow."""

    subject_kind: str
    subject_id: str
    choice: Choice
    log_id: str | None = None
    effect: Effect | None = None


def keep(
    tx: Connection, tenant: str, under: Sealer | NewKey, decision_id: str, new: NewDecision, who: Who, at: datetime
) -> None:
    """Keep a decision; one with an effect takes the place of the one before on the same subject.

    It is sealed under its log's key, or under one made for it where it is about no log.
    """
    own = under if isinstance(under, NewKey) else None
    sealer = under.sealer if isinstance(under, NewKey) else under
    detail = _Detail(why=who.why, effect=new.effect)
    if new.effect:
        lapse(tx, tenant, new.subject_id)
    tx.execute(
        insert(decisions).values(
            decision_id=decision_id,
            tenant=tenant,
            log_id=new.log_id,
            subject_kind=new.subject_kind,
            subject_id=new.subject_id,
            choice=new.choice,
            in_force=new.effect is not None,
            decided_by=who.id,
            decided_at=at,
            wrapped_key=own.wrapped_key if own else None,
            key_version=own.key_version if own else None,
            sealed_detail=sealer.seal(f"{FIELD}/{decision_id}", detail.model_dump_json().encode()),
        )
    )


def keep_apart(
    tx: Connection, tenant: str, keys: TenantKeys, decision_id: str, new: NewDecision, who: Who, at: datetime
) -> None:
    """Keep a decision that is about no log, under a key made for it."""
    keep(tx, tenant, keys.new_key(f"decision:{decision_id}"), decision_id, new, who, at)


def lapse(tx: Connection, tenant: str, subject_id: str) -> None:
    """Follow the decisions on a hold, conflict or proposal no more; they stay to be read."""
    c = decisions.c
    where = (c.tenant == tenant, c.subject_id == subject_id, c.in_force)
    tx.execute(update(decisions).where(*where).values(in_force=False))


def in_force(tx: Connection, tenant: str, sealers: Mapping[str, Sealer]) -> dict[str, Decided]:
    """Return the decisions in force over logs, by log id; logs without any are left out."""
    found: dict[str, list[Effect]] = {}
    for row in tx.execute(_IN_FORCE, {"tenant": tenant, "log_ids": list(sealers)}):
        opened = sealers[row.log_id].open(f"{FIELD}/{row.decision_id}", row.sealed_detail)
        effect = _Detail.model_validate_json(opened).effect
        if effect is not None:
            found.setdefault(row.log_id, []).append(effect)
    return {log_id: _decided(effects) for log_id, effects in found.items()}


def _decided(effects: list[Effect]) -> Decided:
    return Decided(
        {one.place: _settlement(one) for effect in effects if (one := effect.settled)},
        tuple(effect.released for effect in effects if effect.released),
        tuple(removed for effect in effects for removed in effect.removed),
        {known.guardian: known.belongs for effect in effects if (known := effect.confirmed)},
        restricted=any(effect.restricted for effect in effects),
        mistaken={where.connection: where.mark for effect in effects if (where := effect.mistaken)},
        moved=next((effect.moved for effect in reversed(effects) if effect.moved), ""),
    )


def _settlement(one: Settled) -> Settlement:
    return Settlement(typed(one.place, one.value), tuple(typed(one.place, value) for value in one.over))


_IN_FORCE = (
    select(decisions)
    .where(
        decisions.c.tenant == bindparam("tenant"),
        decisions.c.log_id.in_(bindparam("log_ids", expanding=True)),
        decisions.c.in_force,
    )
    .order_by(decisions.c.decided_at, decisions.c.decision_id)
)
