"""Who is who: elements of a record in the hub's ids, and back in a system's own keys.

Identity is the hub's. A system's key leads to it; an element without a key, or with one never seen, is the element
whose content it equals, if the system has no key for that one. Where several have the same content it is the one that
equals it in everything it says, else only one that is left alone. Anything else is new.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import normalize

from hub.relaylog.making import changed
from hub.relaylog.merge import empty
from hub.relaylog.model import COLLECTIONS, Element, RelayLog, references

Key = tuple[str, str]
"""A list of the log, and a system's key or the hub's id of an element in it."""

CONTENT: Mapping[str, tuple[str, ...]] = {
    "guardians": ("name", "relation"),
    "relatives": ("name", "relation"),
    "parties": ("name", "service"),
    "services": ("service", "unit"),
    "consents": ("recipient", "valid_from", "form"),
    "concerns": ("text",),
    "goals": ("text",),
    "measures": ("text",),
    "evaluations": ("measure", "on", "text"),
    "meetings": ("starts_at", "kind"),
    "notes": ("kind", "on", "text"),
    "handovers": ("offered_on", "to_holder"),
    "agreements": ("text", "on"),
    "attachments": ("sha256",),
    "level_changes": ("on", "level"),
    "extensions": ("key", "element"),
}
"""What makes two elements of a list the same when no key tells: all of these fields equal, and the first not empty."""

WHOSE = frozenset({"id", "writer", "written_on", "part"})
"""What a template seldom says of an element, and the hub knows better."""


@dataclass(frozen=True)
class Identified:
    """A record's log in the hub's ids, and the keys of the system that were new."""

    log: RelayLog
    new_keys: Mapping[Key, str]


def in_hub_ids(
    read: RelayLog,
    known: Mapping[Key, str],
    others: RelayLog,
    log_id: str,
    new_id: Callable[[], str],
    shown: RelayLog | Callable[[], RelayLog] | None = None,
) -> Identified:
    """Return what a mapping read, in the hub's ids.

    `known` leads from a system's keys to the hub's ids. An element without a key here is the one that the system showed
    in the same words: in `shown`, which is what it held before or what it was sent, as its template reads; a callable
    is called where it is needed. Else it is looked for by content in `others`, the log as the hub has it. A key may
    also be the hub's own id, sent with a new element.
    """
    ids: dict[Key, str] = {}
    new_keys: dict[Key, str] = {}
    lists: dict[str, tuple[Element, ...]] = {}
    for collection in REFERENCE_ORDER:
        if not (elements := getattr(read, collection)):
            continue
        ours = {element.id for element in getattr(others, collection)}
        found: list[str | None] = []
        for element in elements:
            own = element.id if element.id in ours else None
            by_key = known.get((collection, element.id), own) if element.id else None
            found.append(by_key if by_key not in found else None)
        referring = [_in_ids(element, ids) for element in elements]
        if None in found:
            taken = {to for key, to in known.items() if key[0] == collection}.union(each for each in found if each)
            if shown is not None:
                shown = shown if isinstance(shown, RelayLog) else shown()
                _find_shown(getattr(shown, collection), taken, elements, found)
            if ours:
                joiner = _Joiner(collection, others, taken.union(each for each in found if each))
                referred = zip(elements, referring, strict=True)
                joiner.join([changed(element, new) for element, new in referred], found)
        named = []
        for element, element_id, new in zip(elements, found, referring, strict=True):
            key, own_id = (collection, element.id), element_id or new_id()
            named.append(changed(element, {**new, "id": own_id}))
            if element.id and key not in ids:
                ids[key] = own_id
                if key not in known:
                    new_keys[key] = own_id
        lists[collection] = tuple(named)
    return Identified(changed(read, {**lists, "id": log_id}), new_keys)


def _find_shown(
    shown: Iterable[Element], taken: Collection[str], elements: Sequence[Element], found: list[str | None]
) -> None:
    """Fill in the ids of elements that a system showed in the same words; what they refer to is left aside."""
    waiting: dict[tuple[object, ...], list[str]] = {}
    for element in shown:
        if element.id not in taken:
            waiting.setdefault(_words(element), []).append(element.id)
    for at, element in enumerate(elements):
        same = [each for each in waiting.get(_words(element), ()) if each not in found]
        if found[at] is None and same:
            found[at] = same[0]


def _words(element: Element) -> tuple[object, ...]:
    apart = WHOSE | _references(type(element)).keys()
    return tuple(value for name, value in element.__dict__.items() if name not in apart)


def in_own_keys(log: RelayLog, known: Mapping[Key, str]) -> RelayLog:
    """Return a log of the hub in a system's own keys; elements that it has no key for keep the hub's id.

    Whether a new row gets that id as its key is for the mapping to say.
    """
    keys = {(collection, element.id): element.id for collection, element in log.elements()}
    keys |= {(collection, element_id): foreign for (collection, foreign), element_id in known.items()}
    lists = {
        collection: tuple(
            changed(element, {**_in_ids(element, keys), "id": keys[collection, element.id]}) for element in elements
        )
        for collection in COLLECTIONS
        if (elements := getattr(log, collection))
    }
    return changed(log, lists)


def with_hub_ids(shown: RelayLog, known: Mapping[Key, str]) -> RelayLog:
    """Return a log in a system's keys with the hub's ids of its elements; what they refer to stays in keys."""
    lists = {
        collection: tuple(
            changed(element, {"id": known.get((collection, element.id), element.id)}) for element in elements
        )
        for collection in COLLECTIONS
        if (elements := getattr(shown, collection))
    }
    return changed(shown, lists)


class _Joiner:
    """The hub's elements of one list that a system has no key for, by their content."""

    def __init__(self, collection: str, others: RelayLog, taken: Collection[str]) -> None:
        self._fields = CONTENT[collection]
        self._free: dict[tuple[object, ...], list[Element]] = {}
        for element in getattr(others, collection):
            if element.id not in taken:
                self._free.setdefault(_content(element, self._fields), []).append(element)

    def join(self, elements: Sequence[Element], found: list[str | None]) -> None:
        """Fill in the ids of elements not found yet: first those that equal in full, then those that are left alone."""
        if not self._free:
            return
        for alone in (False, True):
            for at, element in enumerate(elements):
                content = _content(element, self._fields)
                same = self._free.get(content, [])
                equal = next((other for other in same if _says_no_other(element, other)), None)
                if alone and len(same) == 1 and not empty(content[0]):
                    equal = same[0]
                if found[at] is None and equal is not None:
                    found[at] = equal.id
                    same.remove(equal)


def _content(element: Element, fields: Iterable[str]) -> tuple[object, ...]:
    return tuple(_folded(getattr(element, name)) for name in fields)


def _says_no_other(element: Element, other: Element) -> bool:
    """Tell whether an element says something of itself, and nothing that another does not say."""
    said = [name for name in type(element).model_fields if name not in WHOSE and not empty(getattr(element, name))]
    return bool(said) and _content(element, said) == _content(other, said)


def _folded(value: Any) -> object:  # noqa: ANN401 - a field of the model holds a value of any of its types
    if hasattr(value, "name") and hasattr(value, "service"):
        return (_folded(value.name), value.service)
    return " ".join(normalize("NFC", value).split()).casefold() if type(value) is str else value


def _in_ids(element: Element, ids: Mapping[Key, str]) -> dict[str, str]:
    """Return an element's references translated; one that leads nowhere is left out."""
    said = element.__dict__
    return {
        name: ids.get((collection, said[name]), "")
        for name, collection in _references(type(element)).items()
        if said[name]
    }


@cache
def _references(model: type[Element]) -> dict[str, str]:
    return references(model)


def _reference_order() -> tuple[str, ...]:
    """Return the lists so that whatever is referred to comes before what refers to it."""
    ordered: list[str] = []
    waiting = dict(COLLECTIONS)
    while waiting:
        ready = [name for name, model in waiting.items() if set(references(model).values()) <= {*ordered, name}]
        ordered += ready
        waiting = {name: model for name, model in waiting.items() if name not in ready}
    return tuple(ordered)


REFERENCE_ORDER = _reference_order()
