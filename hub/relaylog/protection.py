"""Address protection belongs to a person, but one protected person in a log veils the whole of it.

A child, a guardian or a sibling whose address is protected can be found through whoever else is named. Where the
protection is strict the whole log waits for a person. Where it is not, what tells of a place is left out of the
structure, and the free text waits until somebody has read it. Unknown is not none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TypeVar

from hub.relaylog.codes import AddressProtection, Part, Service
from hub.relaylog.model import (
    COLLECTIONS,
    FRAME_COLLECTIONS,
    Actor,
    Carries,
    Element,
    FreeText,
    Frozen,
    NamesStaff,
    NamesUnit,
    OrgUnit,
    Party,
    RefersTo,
    RelayLog,
    marks,
)

VEILING = frozenset({AddressProtection.CLIENT_ADDRESS, AddressProtection.CONFIDENTIAL})
"""Grades under which the log may go without what tells of a place."""

UNSHARED = frozenset({"extensions", "attachments"})
"""Lists that stay with their source: foreign fields without a meaning in the model, and files nobody has read yet."""

Value = TypeVar("Value", bound=Frozen)


def protections(log: RelayLog) -> frozenset[AddressProtection]:
    """Return the grades of everybody in the log's family: the subject, guardians, siblings and others."""
    family = [guardian.address_protection for guardian in log.guardians]
    family += [relative.address_protection for relative in log.relatives]
    return frozenset((log.subject.address_protection, *family))


def is_strict(log: RelayLog) -> bool:
    """Tell whether somebody in the log is strictly protected: then none of it goes anywhere by itself."""
    return AddressProtection.STRICTLY_CONFIDENTIAL in protections(log)


def is_veiled(log: RelayLog) -> bool:
    """Tell whether somebody in the log is protected at all."""
    return is_strict(log) or not VEILING.isdisjoint(protections(log))


def veiled(log: RelayLog) -> RelayLog:
    """Return a log without what tells where anybody in it is.

    Left out: addresses, phones, e-mails, units and their numbers, places, people at work, what describes files, and
    the free text of the frame, where a closing would name the municipality moved to. Text of its own stays: it is for
    a person to read first, which is a gate's to ask.
    """
    changes: dict[str, object] = {
        name: tuple(_bare(element) for element in getattr(log, name) if not _at_work(element)) for name in COLLECTIONS
    }
    changes |= {
        "subject": _bare(log.subject),
        "unit": OrgUnit(service=log.unit.service),
        "closure": log.closure and _bare(log.closure),
    }
    return _bare(log).model_copy(update=changes)


def _at_work(element: Element) -> bool:
    return isinstance(element, Party) and element.service is not Service.FAMILY


def _bare(value: Value) -> Value:
    changes: dict[str, object] = {name: type(value).model_fields[name].default for name in _telling(type(value))}
    for name in type(value).model_fields:
        held = getattr(value, name)
        if isinstance(held, Actor):
            changes[name] = _bare(held) if held.service is Service.FAMILY else None
    return value.model_copy(update=changes)


@cache
def _telling(model: type[Frozen]) -> tuple[str, ...]:
    """Return the fields of a class that tell where somebody is."""
    return tuple(name for name in model.model_fields if any(_tells(mark) for mark in marks(model, name)))


def _tells(mark: object) -> bool:
    return isinstance(mark, NamesUnit | NamesStaff | FreeText) or mark == Carries(Part.CONTACT)


def unread_text(log: RelayLog) -> bool:
    """Tell whether a log that is veiled still holds text in which only a person would see a place."""
    kept = log.model_copy(update=dict.fromkeys(UNSHARED, ()))
    return next(texts(veiled(kept)), None) is not None


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
