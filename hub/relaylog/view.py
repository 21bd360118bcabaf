"""A log restricted to what one system's readers may all see on one day: the only thing that ever leaves.

What is withheld is absent, never blanked at the receiver: writing a view leaves what it lacks as it stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import cache
from typing import TypeVar

from hub.relaylog.codes import Access, AddressProtection, Part, Service, part_of
from hub.relaylog.consent import grown_up, may_sign
from hub.relaylog.gates import Reach, Rules, reaches
from hub.relaylog.model import (
    COLLECTIONS,
    FRAME_COLLECTIONS,
    Actor,
    Carries,
    Closure,
    Consent,
    Element,
    FreeText,
    Frozen,
    Guardian,
    Handover,
    OrgUnit,
    RefersTo,
    RelayLog,
    Template,
    marks,
    nested_model,
)
from hub.relaylog.protection import UNSHARED, is_veiled, veiled
from hub.relaylog.protection import texts as texts

Value = TypeVar("Value", bound=Frozen)


class _Depth(IntEnum):
    """How much of a text is open."""

    NOTHING = 0
    SUMMARY = 1
    ALL = 2


def view(
    log: RelayLog, readers: Iterable[Service], day: date, rules: Rules, own: frozenset[Service] = frozenset()
) -> RelayLog:
    """Return the log as all of `readers` may see it on `day`.

    `own` are the services whose work lies in the receiving system: what they wrote goes back to them whatever its
    part. Where somebody in the log is protected, what tells of a place is left out for everybody. Call `gates.stops`
    first; without a consent a view holds the frame alone.
    """
    readers = tuple(readers)
    per_reader = [reaches(log, reader, day, rules) for reader in readers]
    common = frozenset.intersection(*(frozenset(each) for each in per_reader)) if per_reader else frozenset()
    parts = {part: tuple(each[part] for each in per_reader) for part in common}
    hidden = frozenset(service for service in rules.sharing.hidden_services - own if not _all_know(service, readers))
    shown = _Restriction(log, frozenset(readers), own, parts, hidden, day).log()
    return veiled(shown) if is_veiled(log) else shown


def _all_know(service: Service, readers: Iterable[Service]) -> bool:
    """Tell whether a hidden service is no secret to any reader: only itself and the family read."""
    readers = set(readers)
    return bool(readers) and readers <= {service, Service.FAMILY}


class _Restriction:
    """One log being restricted: what is open from when, and which services the reader is told of."""

    def __init__(
        self,
        log: RelayLog,
        readers: frozenset[Service],
        own: frozenset[Service],
        parts: Mapping[Part, tuple[Reach, ...]],
        hidden: frozenset[Service],
        day: date,
    ) -> None:
        self._log = log
        self._readers = readers
        self._own = own
        self._parts = parts
        self._hidden = hidden
        self._hidden_parts = _parts_of_none_but(hidden)
        self._grown_up = grown_up(log, day)
        self._told = self._named() - hidden - {Service.UNKNOWN}

    def _named(self) -> set[Service]:
        """Return the reader's own services, the owner, the holder's, and those that a consent it may see names."""
        consents = (consent for consent in self._log.consents if self._visible("consents", consent))
        named = {consent.recipient for consent in consents} | self._readers | self._own
        named |= {self._log.unit.service, Service.FAMILY}
        return named | ({self._log.holder.service} if self._log.holder else set())

    def log(self) -> RelayLog:
        """Return the restricted log."""
        changes: dict[str, object] = {
            name: tuple(self._element(element) for element in getattr(self._log, name) if self._visible(name, element))
            for name in COLLECTIONS
        }
        changes["holder"] = self._holder()
        changes["subject"] = self._value(self._log.subject, None, free=True)
        changes["closure"] = self._closure()
        changes["template"] = Template()
        if self._log.unit.service in self._hidden:
            changes |= {"unit": OrgUnit(), "opened_by": ""}
        return self._log.model_copy(update=changes)

    def _visible(self, collection: str, element: Element) -> bool:
        if collection in UNSHARED or element.writer in self._hidden:
            return False
        if isinstance(element, Consent):
            return self._consent_visible(element)
        if isinstance(element, Handover) and not self._hidden.isdisjoint(_holders(element)):
            return False
        if collection in FRAME_COLLECTIONS:
            if element.part in self._hidden_parts and element.writer not in self._own:
                return False
            service = getattr(element, "service", None)
            return service is None or service in self._told
        return self._depth(element.part, element.writer, _written(element)) is not _Depth.NOTHING

    def _consent_visible(self, consent: Consent) -> bool:
        """A consent to a hidden service is hidden; one that names its part is shown to whom it is given alone."""
        if consent.recipient in self._hidden:
            return False
        reveals = not self._hidden_parts.isdisjoint({consent.part, *consent.parts})
        return not reveals or consent.recipient in self._readers or consent.writer in self._own

    def _depth(self, part: Part, writer: Service | None, written: date | None) -> _Depth:
        """Return how much is open of a text of a part, written by a service on a day."""
        if writer is not None and writer in self._own:
            return _Depth.ALL
        return min((_depth(reach, written) for reach in self._parts.get(part, ())), default=_Depth.NOTHING)

    def _element(self, element: Element) -> Element:
        written = _written(element)
        depth = self._depth(element.part, element.writer, written)
        if isinstance(element, Guardian):
            element = self._guardian(element)
        shown = self._value(element, written, free=depth is _Depth.ALL)
        return _summary(shown) if depth is _Depth.SUMMARY and type(element) in _WITH_TEXT else shown

    def _guardian(self, guardian: Guardian) -> Guardian:
        """No access is carried to one who may not read; who is not known to be unprotected is reached by nobody."""
        changes: dict[str, object] = {}
        if self._grown_up or not may_sign(guardian):
            changes["access"] = Access.UNKNOWN
        if guardian.address_protection is AddressProtection.UNKNOWN:
            changes |= {"address": "", "phone": "", "email": ""}
        return guardian.model_copy(update=changes)

    def _value(self, value: Value, written: date | None, *, free: bool) -> Value:
        """Return a value without the fields whose own part is not open, and with actors that may be named.

        `free` tells whether the free text that belongs to the value itself is open.
        """
        changes: dict[str, object] = {}
        for guarded in _guarded(type(value)):
            current = getattr(value, guarded.field)
            if isinstance(current, Actor):
                changes[guarded.field] = self._actor(current)
            elif (guarded.part and self._depth(guarded.part, None, written) is not _Depth.ALL) or (
                guarded.free and not free
            ):
                changes[guarded.field] = guarded.empty
        return value.model_copy(update=changes) if changes else value

    def _actor(self, actor: Actor | None) -> Actor | None:
        return self._value(actor, None, free=True) if actor is not None and actor.service in self._told else None

    def _holder(self) -> Actor | None:
        """The holder is of the frame, also where a template does not say of which service."""
        holder = self._log.holder
        return None if holder is None or holder.service in self._hidden else self._value(holder, None, free=True)

    def _closure(self) -> Closure | None:
        unit, closure = self._log.unit.service, self._log.closure
        if closure is None:
            return None
        return self._value(closure, closure.on, free=self._depth(part_of(unit), unit, closure.on) is _Depth.ALL)


def _depth(reach: Reach, written: date | None) -> _Depth:
    """Return how much a reader gets of a text of a day; of what is not known to be new only what history gives."""
    if reach.everything or (written is not None and reach.since is not None and written >= reach.since):
        return _Depth.ALL
    return _Depth.SUMMARY if reach.later == "summary" else _Depth.NOTHING


def _written(element: Element) -> date | None:
    """Return the day an element was written, or else the day of what it tells of."""
    days = (getattr(element, name, None) for name in _DAYS)
    day = next((day for day in days if isinstance(day, date)), None)
    return day.date() if isinstance(day, datetime) else day


_DAYS = ("written_on", "on", "starts_at", "starts_on", "offered_on", "from_on")


def _summary(element: Element) -> Element:
    """Return what a text is and when it was, without a word of it: codes, dates and what it refers to."""
    blank = {name: type(element).model_fields[name].default for name in _wording(type(element))}
    return element.model_copy(update=blank)


@cache
def _wording(model: type[Element]) -> tuple[str, ...]:
    """Return the fields that hold words or name people."""
    return tuple(
        name
        for name, info in model.model_fields.items()
        if name != "id"
        and not any(isinstance(mark, RefersTo) for mark in marks(model, name))
        and (info.annotation in (str, tuple[str, ...]) or nested_model(model, name) is Actor)
    )


_WITH_TEXT = frozenset(COLLECTIONS[name] for name in COLLECTIONS if name not in FRAME_COLLECTIONS)


def _holders(handover: Handover) -> frozenset[Service]:
    return frozenset(actor.service for actor in (handover.from_holder, handover.to_holder) if actor)


@cache
def _parts_of_none_but(services: frozenset[Service]) -> frozenset[Part]:
    """Return the parts whose very name tells that one of these services takes part."""
    return frozenset(part for part in map(part_of, services) if services.issuperset(_writers(part)))


def _writers(part: Part) -> frozenset[Service]:
    return frozenset(service for service in Service if part_of(service) is part)


@dataclass(frozen=True)
class _Guarded:
    """A field that is not simply open with its element."""

    field: str
    part: Part | None
    free: bool
    empty: object


@cache
def _guarded(model: type[Frozen]) -> tuple[_Guarded, ...]:
    found = []
    for field, info in model.model_fields.items():
        part = next((mark.part for mark in marks(model, field) if isinstance(mark, Carries)), None)
        free = any(isinstance(mark, FreeText) for mark in marks(model, field))
        if part or free or nested_model(model, field) is Actor:
            found.append(_Guarded(field, part, free, info.default))
    return tuple(found)
