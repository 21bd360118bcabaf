"""Who is who: elements of a record in the hub's ids, and back in a system's own keys.

Identity is the hub's. A system's key leads to it; an element without a key, or with one never seen, is the element
whose content it equals, if the system has no key for that one. Where several have the same content it is the one that
equals it in everything it says, else only one that is left alone. Anything else is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import normalize

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
    read: RelayLog, known: Mapping[Key, str], others: RelayLog, log_id: str, new_id: Callable[[], str]
) -> Identified:
    """Return what a mapping read, in the hub's ids.

    `known` leads from a system's keys to the hub's ids; `others` is the log as the hub has it, in which elements
    without a key here are looked for by content.
    """
    ids: dict[Key, str] = {}
    new_keys: dict[Key, str] = {}
    lists: dict[str, tuple[Element, ...]] = {}
    for collection in REFERENCE_ORDER:
        elements = [_in_ids(element, ids) for element in getattr(read, collection)]
        keys = [(collection, element.id) for element in elements]
        by_key = [known.get(key) if element.id else None for key, element in zip(keys, elements, strict=True)]
        found = [element_id if element_id not in by_key[:at] else None for at, element_id in enumerate(by_key)]
        joiner = _Joiner(collection, others, (known[key] for key in known if key[0] == collection))
        joiner.join(elements, found)
        named = [element_id or new_id() for element_id in found]
        lists[collection] = tuple(
            element.model_copy(update={"id": element_id}) for element, element_id in zip(elements, named, strict=True)
        )
        for key, element_id in zip(keys, named, strict=True):
            if key[1] and key not in ids:
                ids[key] = element_id
        new_keys |= {key: ids[key] for key in keys if key[1] and key not in known}
    return Identified(read.model_copy(update={**lists, "id": log_id}), new_keys)


def in_own_keys(log: RelayLog, known: Mapping[Key, str]) -> RelayLog:
    """Return a log of the hub in a system's own keys; elements that it has no key for have none."""
    keys = {(collection, element_id): foreign for (collection, foreign), element_id in known.items()}
    lists = {
        collection: tuple(
            _in_ids(element, keys).model_copy(update={"id": keys.get((collection, element.id), "")})
            for element in getattr(log, collection)
        )
        for collection in COLLECTIONS
    }
    return log.model_copy(update=lists)


class _Joiner:
    """The hub's elements of one list that a system has no key for, by their content."""

    def __init__(self, collection: str, others: RelayLog, taken: Iterable[str]) -> None:
        self._fields = CONTENT[collection]
        self._free: dict[tuple[object, ...], list[Element]] = {}
        keyed = set(taken)
        for element in getattr(others, collection):
            if element.id not in keyed:
                self._free.setdefault(_content(element, self._fields), []).append(element)

    def join(self, elements: Sequence[Element], found: list[str | None]) -> None:
        """Fill in the ids of elements not found yet: first those that equal in full, then those that are left alone."""
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


def _in_ids(element: Element, ids: Mapping[Key, str]) -> Element:
    """Return an element whose references are translated; one that leads nowhere is left out."""
    changes = {
        name: ids.get((collection, getattr(element, name)), "")
        for name, collection in _references(type(element)).items()
        if getattr(element, name)
    }
    return element.model_copy(update=changes) if changes else element


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
