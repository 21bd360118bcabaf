"""The laws that every mapping keeps, as functions: a draft is checked with them, and so are the shipped templates.

Each returns the places where its law is broken, never a value: nothing means that it holds.

- get-put: writing back an unchanged log changes nothing.
- put-get: what is written can be read back, as far as the template has a form for it.
- put-put: writing twice is writing once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from hub.mappings.language.codecs import text_of
from hub.mappings.language.mapping import Mapping
from hub.mappings.language.marked import Marked
from hub.mappings.language.rules import Field, Rows, Values, every_rows
from hub.mappings.language.runtime import Clear, dotted
from hub.payloads.base import Tree
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
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
    slots = any(rows.slot is not None for rows in every_rows(mapping.tree.rows))
    left = frozenset(mapping.left_out(record, log, clear=clear)) if slots else frozenset[tuple[str, str]]()
    return tuple(dict.fromkeys(_Comparison(mapping, log, back, clear, left).broken()))


def failures(mapping: Mapping, folder: Path) -> tuple[str, ...]:
    """Run a mapping's own tests: each record is claimed, reads as expected, and keeps the laws.

    `folder` holds the samples. Returns lines of sample, law and place.
    """
    found: list[str] = []
    for sample in mapping.samples:
        record = _decoded(mapping, (folder / sample.record).read_bytes())
        expected = RelayLog.model_validate_json((folder / sample.expect).read_bytes())
        log = mapping.read(record)
        laws = {
            "when": () if mapping.claims(record) else ("/",),
            "expect": tuple(differences(expected.model_dump(mode="json"), log.model_dump(mode="json"))),
            "get-put": get_put(mapping, record),
            "put-get": put_get(mapping, record, log),
            "put-put": put_put(mapping, record, log),
        }
        found += [f"{sample.record}: {law}: {place}" for law, places in laws.items() for place in places]
    return tuple(found)


def _decoded(mapping: Mapping, data: bytes) -> Tree:
    """Return the record of a sample; a set of CSV files holds one."""
    form = payload(mapping.payload, mapping.payload_options)
    if not isinstance(form, CsvPayload):
        return form.decode(data)
    [(_, record)] = form.decode_set(data)
    return record


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
    """A log that was written, beside what is read back of it. `left` are the elements that found no fixed place."""

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
                return rows.slot is None or (collection, element.id) not in self.left
        return False

    def _has_home(self, home: str, collection: str) -> bool:
        around = [one for one in getattr(self.log, collection) if home and one.id == home]
        return home in self.ids[collection] or any(self._has_place(one, collection) for one in around)

    def _sayable(self, field: Field | Values, owner: Frozen) -> bool:
        value = dotted(owner, field.name)
        if not _says(field, value):
            return False
        return isinstance(field, Values) or bool(
            _sayable(field, value) if field.target.many else self._has_form(field, value)
        )

    def _row(self, element: Element, back: Element, rows: Rows) -> Iterator[str]:
        prefix = f"{rows.collection}[]."
        yield from self._fields(prefix, rows.fields, element, back, (rows.collection, element.id))
        home = getattr(element, rows.belongs) if rows.belongs else ""
        if rows.belongs and home in self.ids[rows.home or ""] and getattr(back, rows.belongs) != home:
            yield prefix + rows.belongs

    def _fields(
        self, prefix: str, fields: Iterable[Field | Values], one: Frozen, back: Frozen, place: tuple[str, str]
    ) -> Iterator[str]:
        for field in fields:
            if not field.writes or (isinstance(field, Field) and field.const is not None):
                continue
            value, found = dotted(one, field.name), dotted(back, field.name)
            if not _says(field, value):
                if (*place, field.name) in self.clear and _says(field, found):
                    yield prefix + field.name
            elif isinstance(field, Values):
                yield from self._values(f"{prefix}{field.name}[].", field, value, found, place)
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


def _says(field: Field | Values, value: object) -> bool:
    empty = None if isinstance(field, Values) else field.target.empty
    return value not in (None, "", ()) and (empty is None or value != empty)
