"""The laws that every mapping keeps, as functions: a draft is checked with them, and so are the shipped templates.

Each returns the places where its law is broken, never a value: nothing means that it holds.

- get-put: writing back an unchanged log changes nothing.
- put-get: what is written can be read back, as far as the template has a form for it.
- put-put: writing twice is writing once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hub.mappings.language.codecs import text_of
from hub.mappings.language.mapping import Mapping
from hub.mappings.language.marked import Marked
from hub.mappings.language.rules import AnyField, Field, PlacedValues, Rows, ValuePlace, Values, every_rows
from hub.mappings.language.runtime import Clear, dotted
from hub.payloads.base import Tree
from hub.relaylog.model import COLLECTIONS, Element, Frozen, RelayLog

_NO_CLEAR: Clear = frozenset()


def get_put(mapping: Mapping, record: Tree) -> tuple[str, ...]:
    """Return the pointers that change when a record's own log is written back on it."""
    return tuple(differences(record, mapping.write(record, mapping.read(record))))


def put_put(mapping: Mapping, record: Tree | None, log: RelayLog, clear: Clear = _NO_CLEAR) -> tuple[str, ...]:
    """Return the pointers that change when a log is written a second time."""
    once = mapping.write(record, log, clear=clear)
    return tuple(differences(once, mapping.write(once, log, clear=clear)))


def put_get(mapping: Mapping, record: Tree, log: RelayLog, clear: Clear = _NO_CLEAR) -> tuple[str, ...]:
    """Return the canonical paths where what is read back isn't what was written.

    Only paths that the mapping writes count, and only values that say something and that the template has a form
    for; references count where the record has the element that they name. What `clear` names must read back empty.
    """
    back = mapping.read(mapping.write(record, log, clear=clear))
    choosy = any(rows.slot is not None or rows.where for rows in every_rows(mapping.tree.rows))
    left = frozenset(mapping.left_out(record, log, clear=clear)) if choosy else frozenset[tuple[str, str]]()
    return tuple(dict.fromkeys(_Comparison(mapping, log, back, clear, left).broken()))


def differences(one: object, other: object, pointer: str = "") -> Iterator[str]:
    """Yield the pointers where two decoded trees differ; 1, 1.0 and true are three different values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            if name not in one or name not in other:
                yield f"{pointer}/{name}"
            else:
                yield from differences(one[name], other[name], f"{pointer}/{name}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{pointer}/{place}")
    elif type(one) is not type(other) or one != other:
        yield pointer or "/"


class _Comparison:
    """A log that was written, beside what is read back of it. `left` are the elements that found no place."""

    def __init__(
        self, mapping: Mapping, log: RelayLog, back: RelayLog, clear: Clear, left: frozenset[tuple[str, str]]
    ) -> None:
        self.mapping = mapping
        self.log = log
        self.back = back
        self.clear = clear
        self.left = left
        self.ids = {name: {element.id for element in getattr(back, name)} - {""} for name in COLLECTIONS}
        self.rules: dict[str, list[Rows]] = {name: [] for name in COLLECTIONS}
        for rows in every_rows(mapping.tree.rows):
            if rows.writes:
                self.rules[rows.collection].append(rows)

    def broken(self) -> Iterator[str]:
        yield from self._fields("", self.mapping.tree.fields, self.log, self.back, ("", ""))
        for collection, element in self.log.elements():
            yield from self._element(element, collection)

    def _element(self, element: Element, collection: str) -> tuple[str, ...]:
        known = element.id in self.ids[collection]
        if not self.rules[collection] or not (known or self._has_place(element, collection)):
            return ()
        wanted = {element.id} if known else {"", *self._slots(collection)}
        found = [one for one in getattr(self.back, collection) if one.id in wanted]
        tries = [tuple(self._row(element, one, rows)) for one in found for rows in self.rules[collection]]
        return min(tries, key=len, default=(f"{collection}[]",))

    def _slots(self, collection: str) -> set[str]:
        """Return the fixed places that may have taken a new element: their keys are no element's of the log."""
        names = {rows.slot for rows in self.rules[collection] if rows.slot is not None}
        ours = {element.id for element in getattr(self.log, collection)}
        return {key for key in self.ids[collection] - ours if key.rpartition("/")[2] in names}

    def _has_place(self, element: Element, collection: str) -> bool:
        """Tell whether a new element should have got a row: it says something, and where it belongs is there."""
        for rows in self.rules[collection]:
            if any(getattr(element, name) != value for name, value in rows.fixed.items()):
                continue
            if not any(self._sayable(field, element) for field in rows.fields if field.writes):
                return False
            if rows.home is None or self._has_home(str(dotted(element, rows.belongs or "")), rows.home):
                return (rows.slot is None and not rows.where) or (collection, element.id) not in self.left
        return False

    def _has_home(self, home: str, collection: str) -> bool:
        around = [one for one in getattr(self.log, collection) if home and one.id == home]
        return home in self.ids[collection] or any(self._has_place(one, collection) for one in around)

    def _sayable(self, field: AnyField, owner: Frozen) -> bool:
        value = dotted(owner, field.name)
        if not _says(field, value):
            return False
        if isinstance(field, PlacedValues):
            return self._has_room(field, value)
        return isinstance(field, Values) or bool(
            _sayable(field, value) if field.target.many else self._has_form(field, value)
        )

    def _row(self, element: Element, back: Element, rows: Rows) -> Iterator[str]:
        prefix = f"{rows.collection}[]."
        yield from self._fields(prefix, rows.fields, element, back, (rows.collection, element.id))
        home = getattr(element, rows.belongs) if rows.belongs else ""
        if (
            rows.belongs
            and not rows.within
            and home in self.ids[rows.home or ""]
            and getattr(back, rows.belongs) != home
        ):
            yield prefix + rows.belongs

    def _fields(
        self, prefix: str, fields: Iterable[AnyField], one: Frozen, back: Frozen, place: tuple[str, str]
    ) -> Iterator[str]:
        for field in fields:
            if not field.writes or (isinstance(field, Field) and field.const is not None):
                continue
            value, found = dotted(one, field.name), dotted(back, field.name)
            if not _says(field, value):
                defaulted = field.name == "writer"  # an empty one is the mapping's own
                if (*place, field.name) in self.clear and _says(field, found) and not defaulted:
                    yield prefix + field.name
            elif isinstance(field, Values):
                yield from self._values(f"{prefix}{field.name}[].", field, value, found, place)
            elif isinstance(field, PlacedValues):
                if self._has_room(field, value) and _unordered(value) != _unordered(found):
                    yield f"{prefix}{field.name}[]."
            elif field.target.many:
                if not set(_sayable(field, value)) <= set(_sayable(field, found)):
                    yield prefix + field.name
            elif self._has_form(field, value) and value != found:
                yield prefix + field.name

    def _values(
        self, prefix: str, field: Values, values: object, found: object, place: tuple[str, str]
    ) -> Iterator[str]:
        if not isinstance(values, tuple) or not isinstance(found, tuple) or len(values) != len(found):
            yield prefix
            return
        for value, back in zip(values, found, strict=True):
            yield from self._fields(prefix, field.fields, value, back, place)

    def _has_room(self, field: PlacedValues, values: object) -> bool:
        """Tell whether each value finds a fixed place that can say all of it."""
        free = list(field.places)
        for value in values if isinstance(values, tuple) else ():
            place = next((one for one in free if self._can_say(one, value)), None)
            if place is None:
                return False
            free.remove(place)
        return True

    def _can_say(self, place: ValuePlace, value: Frozen) -> bool:
        said = {field.name: field for field in place.fields if field.writes}
        rest = {name: one for name, one in value if name not in said}
        default = type(value)().model_copy(update=place.fixed)
        written = [(field, dotted(value, name)) for name, field in said.items() if _says(field, dotted(value, name))]
        return (
            bool(written)
            and all(self._has_form(*one) for one in written)
            and all(getattr(default, name) == one for name, one in rest.items())
        )

    def _has_form(self, field: Field, value: object) -> bool:
        codec = field.codec
        if field.target.reference:
            return value in self.ids[field.target.reference]
        if isinstance(codec, Marked):
            return text_of(value, codec.rule) == value
        return codec.decode(codec.encode(value, None), []) == value


def _sayable(field: Field, values: object) -> tuple[object, ...]:
    """Return those of several values that the template has a form for; the record's own foreign codes stay too."""
    written = field.codec.decode(field.codec.encode(values, None), [])
    return written if isinstance(written, tuple) else ()


def _unordered(values: object) -> list[str]:
    return sorted(one.model_dump_json() for one in values) if isinstance(values, tuple) else []


def _says(field: AnyField, value: object) -> bool:
    empty = field.target.empty if isinstance(field, Field) else None
    return value not in (None, "", ()) and (empty is None or value != empty)
