"""A log restricted to what one system's readers may all see on one day: the only thing that ever leaves.

What is withheld is absent, never blanked at the receiver: writing a view leaves what it lacks as it stands there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TypeVar

from hub.relaylog.codes import Part, Service, part_of
from hub.relaylog.gates import Rules, parts_open_to
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
    Handover,
    NamesUnit,
    OrgUnit,
    RefersTo,
    RelayLog,
    Template,
    marks,
    nested_model,
)

Value = TypeVar("Value", bound=Frozen)

UNSHARED = frozenset({"extensions", "attachments"})
"""Lists that stay with their source: foreign fields without a meaning in the model, and files nobody has read yet."""


def view(
    log: RelayLog, readers: Iterable[Service], day: date, rules: Rules, own: frozenset[Service] = frozenset()
) -> RelayLog:
    """Return the log as all of `readers` may see it on `day`.

    `own` are the services whose work lies in the receiving system: what they wrote goes back to them whatever its
    part. Call `gates.stops` first; without a consent a view holds the frame alone.
    """
    readers = tuple(readers)
    parts = (
        frozenset.intersection(*(parts_open_to(log, reader, day, rules) for reader in readers))
        if readers
        else frozenset()
    )
    hidden = frozenset(service for service in rules.sharing.hidden_services - own if not _all_know(service, readers))
    return _Restriction(log, frozenset(readers), own, parts, hidden).log()


def _all_know(service: Service, readers: Iterable[Service]) -> bool:
    """Tell whether a hidden service is no secret to any reader: only itself and the family read."""
    readers = set(readers)
    return bool(readers) and readers <= {service, Service.FAMILY}


class _Restriction:
    """One log being restricted: what is open, and which services the reader is told of."""

    def __init__(
        self,
        log: RelayLog,
        readers: frozenset[Service],
        own: frozenset[Service],
        parts: frozenset[Part],
        hidden: frozenset[Service],
    ) -> None:
        self._log = log
        self._readers = readers
        self._own = own
        self._parts = parts
        self._hidden = hidden
        self._hidden_parts = _parts_of_none_but(hidden)
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
        changes["subject"] = self._value(self._log.subject, free=True)
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
        return self._opens(element.part, element.writer)

    def _consent_visible(self, consent: Consent) -> bool:
        """A consent to a hidden service is hidden; one that names its part is shown to whom it is given alone."""
        if consent.recipient in self._hidden:
            return False
        reveals = not self._hidden_parts.isdisjoint({consent.part, *consent.parts})
        return not reveals or consent.recipient in self._readers or consent.writer in self._own

    def _opens(self, part: Part, writer: Service | None) -> bool:
        return part in self._parts or (writer is not None and writer in self._own)

    def _element(self, element: Element) -> Element:
        return self._value(element, free=self._opens(element.part, element.writer))

    def _value(self, value: Value, *, free: bool) -> Value:
        """Return a value without the fields whose own part is not open, and with actors that may be named.

        `free` tells whether the free text that belongs to the value itself is open.
        """
        changes: dict[str, object] = {}
        for guarded in _guarded(type(value)):
            current = getattr(value, guarded.field)
            if isinstance(current, Actor):
                changes[guarded.field] = self._actor(current)
            elif (guarded.part and guarded.part not in self._parts) or (guarded.free and not free):
                changes[guarded.field] = guarded.empty
        return value.model_copy(update=changes) if changes else value

    def _actor(self, actor: Actor | None) -> Actor | None:
        return self._value(actor, free=True) if actor is not None and actor.service in self._told else None

    def _holder(self) -> Actor | None:
        """The holder is of the frame, also where a template does not say of which service."""
        holder = self._log.holder
        return None if holder is None or holder.service in self._hidden else self._value(holder, free=True)

    def _closure(self) -> Closure | None:
        unit = self._log.unit.service
        closure = self._log.closure
        return closure and self._value(closure, free=self._opens(part_of(unit), unit))


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


def texts(log: RelayLog) -> Iterator[tuple[Element, Part, str]]:
    """Yield every text of a part with its element and its part: what must not reach a reader without a consent."""
    for _, element in log.elements():
        model = type(element)
        for field in model.model_fields:
            value = getattr(element, field)
            if type(value) is str and value and _is_text(model, field):
                yield (
                    element,
                    next((m.part for m in marks(model, field) if isinstance(m, Carries)), element.part),
                    value,
                )


@cache
def _is_text(model: type[Element], field: str) -> bool:
    if field == "id" or any(isinstance(mark, RefersTo | NamesUnit) for mark in marks(model, field)):
        return False
    in_frame = any(COLLECTIONS[name] is model for name in FRAME_COLLECTIONS)
    return not in_frame or any(isinstance(mark, FreeText | Carries) for mark in marks(model, field))
