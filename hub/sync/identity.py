"""Who is who: elements of a record in the hub's ids, and back in a system's own keys.

Identity is the hub's. A system's key leads to it; an element without a key, or with one never seen, is the element
whose content it equals, if there is exactly one and the system has none for it yet. Anything else is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from unicodedata import normalize

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
        keyless = _Joiner(collection, others, (known[key] for key in known if key[0] == collection))
        found = []
        for element in elements:
            key = (collection, element.id)
            element_id = (known.get(key) if element.id else None) or keyless.join(element) or new_id()
            if element.id:
                ids[key] = element_id
                if key not in known:
                    new_keys[key] = element_id
            found.append(element.model_copy(update={"id": element_id}))
        lists[collection] = tuple(found)
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
        self._free: dict[tuple[object, ...], list[str]] = {}
        keyed = set(taken)
        for element in getattr(others, collection):
            content = _content(element, self._fields)
            if content is not None and element.id not in keyed:
                self._free.setdefault(content, []).append(element.id)

    def join(self, element: Element) -> str | None:
        """Return the one element that this one equals, and take it; None when there is none or more than one."""
        content = _content(element, self._fields)
        same = self._free.get(content, []) if content is not None else []
        if len(same) != 1:
            return None
        return same.pop()


def _content(element: Element, fields: tuple[str, ...]) -> tuple[object, ...] | None:
    values = [_folded(getattr(element, name)) for name in fields]
    return None if values[0] in (None, "", "unknown") else tuple(values)


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
