"""From the rule tree to plain Python, written once for each mapping and executed: a reader and a writer.

The code is straight-line: one lookup, one conversion and one keyword for each field, with no rule left to interpret
while records stream through. It comes from a checked rule tree alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from hub.mappings.language import runtime
from hub.mappings.language.codecs import Strange
from hub.mappings.language.emit import Names, Putting, Reading
from hub.mappings.language.pointers import found_at, pointer_text
from hub.mappings.language.rules import AnyField, Field, PlacedValues, Rows, RuleTree, ValuePlace, Values, every_rows
from hub.mappings.language.runtime import CompiledRows, Found
from hub.mappings.language.writing import Writing
from hub.payloads.base import Tree
from hub.relaylog.codes import Service
from hub.relaylog.making import made
from hub.relaylog.model import Element, Frozen, RelayLog, nested_model

_NOTHING: Tree = {}


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled mapping: reader, writer, who wrote what says nothing, the lists, and each rule's pointer.

    `order` is that in which elements are written: by what the lists feed, those that stand inside others last.
    """

    read: Callable[[Tree, Found], RelayLog]
    put: Callable[[Tree, RelayLog, Writing, bool], None]
    writer: Callable[[Tree, Strange], Service | None]
    lists: tuple[CompiledRows, ...]
    order: tuple[tuple[str, tuple[CompiledRows, ...]], ...]
    places: tuple[str, ...]


def compiled(tree: RuleTree) -> Program:
    """Generate and run the code of a mapping."""
    return _Compiler(tree).program()


class _Compiler:
    def __init__(self, tree: RuleTree) -> None:
        self.tree = tree
        self.lines: list[str] = []
        self.places = tuple(pointer_text(rule.pointer) for rule in tree.rules)
        self.names = Names({
            "NOTHING": _NOTHING, "PART_OF": runtime.PART_OF, "PLACES": self.places, "Found": Found,
            "PATHS": tuple(rule.path for rule in tree.rules), "each": runtime.each, "holds": runtime.holds,
            "key_of": runtime.key_of, "made": made, "key_of_several": runtime.key_of_several,
            "slot_key": runtime.slot_key, "found_at": found_at,
            "keep_strange": runtime.keep_strange, "object_at": runtime.object_at, "collapse": runtime.collapse,
            "read_values": runtime.read_values, "write_values": runtime.write_values,
            "read_placed": runtime.read_placed, "write_placed": runtime.write_placed,
        })  # fmt: skip

    def program(self) -> Program:
        for rows in self.tree.rows:
            self._rows(rows)
        self._home_writer()
        self._values(self.tree.fields)
        self._root_reader()
        self.lines += Putting(self.names, RelayLog, "").function("put_root", self.tree.fields)
        code = "\n".join(self.lines) + "\n"
        known = self.names.known
        exec(compile(code, f"<mapping {self.tree.header.id}>", "exec"), known)  # noqa: S102 - made from a checked tree
        lists = tuple(self._compiled_rows(rows) for rows in self.tree.rows)
        known.update({f"ROWS{rows.rows.rule}": rows for rows in _all(lists)})
        return Program(
            cast("Callable[[Tree, Found], RelayLog]", known["read_root"]),
            cast("Callable[[Tree, RelayLog, Writing, bool], None]", known["put_root"]),
            cast("Callable[[Tree, Strange], Service | None]", known["home_writer"]),
            lists, _by_depth(lists), self.places,
        )  # fmt: skip

    def _compiled_rows(self, rows: Rows) -> CompiledRows:
        known = self.names.known
        return CompiledRows(
            rows,
            cast("Callable[[Tree, Found, Service | None, str], None]", known[f"read_{rows.rule}"]),
            cast("Callable[[Tree, Element, Writing, bool], None]", known[f"put_{rows.rule}"]),
            cast("Callable[[Tree], object]", known[f"there_{rows.rule}"]) if rows.slot else None,
            tuple(self._compiled_rows(inner) for inner in rows.nested),
            self.places,
        )

    def _home_writer(self) -> None:
        self.lines.append("def home_writer(o, un):")
        writer = self.tree.writer
        if isinstance(writer, Field):
            reading = Reading(self.names)
            reading.add(writer)
            self.lines += [*reading.lines, f"    return {reading.values['writer'][0]}"]
        else:
            self.lines.append(f"    return {self.names.name('WRITER', writer)}")

    def _root_reader(self) -> None:
        reading = Reading(self.names)
        for field in self.tree.fields:
            reading.add(field)
        values = dict(reading.values)
        system = repr(self.tree.header.id.partition("/")[0])
        values.setdefault("source.system", (system, system))
        fed = {"extensions", *(rows.collection for rows in every_rows(self.tree.rows))}
        lists = {name: f"tuple(found.lists[{name!r}])" for name in fed}
        self.lines += [
            "def read_root(o, found):",
            "    un = []",
            "    hw = home_writer(o, un)",
            *reading.lines,
            "    if un:",
            f"        keep_strange(un, PATHS, found, '', hw, {self._part(None, 'hw')})",
            *(f"    each(o, ROWS{rows.rule}, found, hw, '')" for rows in self.tree.rows),
            f"    return {self._construct(RelayLog, values, lists)}",
        ]

    def _construct(
        self, model: type[Frozen], values: dict[str, tuple[str, str]], given: dict[str, str] | None = None
    ) -> str:
        """Write the call that makes a value; `values` are (value, is it there) as code, by dotted name.

        `given` is code for fields that no rule fills; the rest have the model's default. Every value comes from a codec
        of its field's own type, so that checking it again would find nothing; a test compares both on made-up records.
        """
        given = given or {}
        groups: dict[str, dict[str, tuple[str, str]]] = {}
        for name, value in values.items():
            first, _, rest = name.partition(".")
            groups.setdefault(first, {})[rest] = value
        arguments = []
        for name, info in model.model_fields.items():
            inner = groups.get(name)
            if inner is None:
                default = self.names.name(f"DEFAULT_{model.__name__}_{name}", info.default)
                arguments.append(f"{name!r}: {given.get(name, default)}")
                continue
            nested = nested_model(model, name) if "" not in inner else None
            call = self._construct(nested, inner) if nested else inner[""][0]
            if nested and info.default is None:
                call = f"{call} if {' or '.join(there for _, there in inner.values())} else None"
            arguments.append(f"{name!r}: {call}")
        kind = self.names.name(model.__name__, model)
        fields = self.names.name(f"FIELDS_{model.__name__}", set(model.model_fields))
        return f"made({kind}, {fields}, {{{', '.join(arguments)}}})"

    def _rows(self, rows: Rows) -> None:
        for inner in rows.nested:
            self._rows(inner)
        self._values(rows.fields)
        self._rows_reader(rows)
        putting = Putting(
            self.names, rows.model, rows.collection, self._unmarked(rows, "ctx.writer"), self._fixed_part(rows)
        )
        self.lines += putting.function(f"put_{rows.rule}", rows.fields if rows.writes else ())

    def _rows_reader(self, rows: Rows) -> None:
        if rows.slot is not None:
            self._slot_filled(rows)
        reading = Reading(self.names)
        keys = [reading.lookup(place, rows.key_rule) for place in rows.key]
        for field in rows.fields:
            reading.add(field)
        writer, written_on = self._authorship(rows, reading)
        part = reading.values.get("part")
        values = reading.values | {name: (one, "") for name, one in {
            "id": "k", "writer": "w", "part": "p", "written_on": written_on,
            **{name: self.names.name(f"SET{rows.rule}_{name}", value) for name, value in rows.fixed.items()},
            **({rows.belongs: "home"} if rows.belongs else {}),
        }.items()}  # fmt: skip
        self.lines += [
            f"def read_{rows.rule}(o, found, hw, home):",
            "    un = []",
            *reading.lines,
            *_key_lines(keys, rows),
            f"    w = {writer}",
            f"    p = {part[0] if part else None}",
            "    if p is None:",
            f"        p = {self._part(rows, 'w')}",
            "    if un:",
            "        keep_strange(un, PATHS, found, k, w, p)",
            f"    found.lists[{rows.collection!r}].append({self._construct(rows.model, values)})",
            f"    found.items[{rows.collection!r}].append(o)",
            *(f"    each(o, ROWS{inner.rule}, found, hw, k)" for inner in rows.nested),
        ]

    def _slot_filled(self, rows: Rows) -> None:
        """Write the function that tells whether a fixed place says anything."""
        reading = Reading(self.names)
        for field in rows.fields:
            if isinstance(field, Field):
                reading.load(field)
                reading.values[field.name] = ("", _says_something(field))
            else:
                reading.add(field)
        inside = [f"holds(o, ROWS{inner.rule})" for inner in rows.nested]
        said = " or ".join([*(there for _, there in reading.values.values()), *inside]) or "None"
        self.lines += [f"def there_{rows.rule}(o):", "    un = []", *reading.lines, f"    return {said}"]

    def _authorship(self, rows: Rows, reading: Reading) -> tuple[str, str]:
        """Return the code for who wrote a row and when: by its mark, by its own place, or as the mapping says."""
        writer = self._unmarked(rows, "hw")
        if "writer" in reading.values:  # an empty place says nothing: then the mapping's own default does
            said = reading.values["writer"][0]
            writer = f"({said} if {said} is not None else {writer})"
        written_on = reading.values.get("written_on", ("None", ""))[0]
        if reading.marked is None:
            return writer, written_on
        mark = f"mw{reading.marked}"
        return (
            f"{mark} if {mark} is not None else {writer}",
            f"md{reading.marked} if {mark} is not None else {written_on}",
        )

    def _unmarked(self, rows: Rows, default: str) -> str:
        """Return the code for the writer of a row that says none."""
        return default if rows.writer is None else self.names.name(f"WRITER{rows.rule}", rows.writer)

    def _fixed_part(self, rows: Rows | None) -> str | None:
        """Return the code for the part that the mapping gives rows that say none, if it gives any."""
        part = (rows.part if rows else None) or self.tree.header.part
        return self.names.name(f"PART_{part.name}", part) if part else None

    def _part(self, rows: Rows | None, writer: str) -> str:
        """Return the code for the part of a row that says none."""
        return self._fixed_part(rows) or f"PART_OF[{writer}]"

    def _values(self, fields: Iterable[AnyField]) -> None:
        for field in fields:
            if isinstance(field, Values):
                reading = Reading(self.names)
                for inner in field.fields:
                    reading.add(inner)
                call = self._construct(field.model, reading.values)
                self.lines += [f"def values_{field.rule}(o, un):", *reading.lines, f"    return {call}"]
                putting = Putting(self.names, field.model, None)
                self.lines += putting.function(f"put_{field.rule}", field.fields)
            elif isinstance(field, PlacedValues):
                places = [self._value_place(place, field.model) for place in field.places]
                self.lines.append(f"PLACES{field.rule} = ({', '.join(places)},)")

    def _value_place(self, place: ValuePlace, model: type[Frozen]) -> str:
        """Write the functions of one fixed place, and return the code for all that is known of it."""
        number, reading = place.rule, Reading(self.names)
        for field in place.fields:
            reading.add(field)
        there = " or ".join(there for _, there in reading.values.values()) or "None"
        fixed = {name: (self.names.name(f"SET{number}_{name}", value), "") for name, value in place.fixed.items()}
        call = self._construct(model, reading.values | fixed)
        self.lines += [f"def values_{number}(o, un):", *reading.lines, f"    return {call} if {there} else None"]
        self.lines += Putting(self.names, model, None).function(f"put_{number}", place.fields)
        written = tuple(at for field in place.fields if field.writes for at in field.at)
        return f"(values_{number}, put_{number}, {self.names.name(f'AT{number}', written)})"


def _says_something(field: Field) -> str:
    raw = f"r{field.rule}"
    return f"any({raw})" if len(field.at) > 1 else raw


def _key_lines(keys: list[str], rows: Rows) -> list[str]:
    if rows.slot is not None:
        return [f"    k = slot_key({rows.slot!r}, {'home' if rows.belongs else None})"]
    if not keys:
        return ["    k = ''"]
    call = f"key_of({keys[0]}, {rows.key_rule}, seen)"
    if len(keys) > 1 or rows.within:
        home = "home" if rows.within else "None"
        call = f"key_of_several(({', '.join(keys)},), {rows.key_rule}, seen, {home})"
    return [
        f"    seen = found.keys[{rows.collection!r}]",
        f"    k = {call}",
        "    if k:",
        "        seen.add(k)",
    ]


def _all(lists: Iterable[CompiledRows]) -> Iterable[CompiledRows]:
    for rows in lists:
        yield rows
        yield from _all(rows.nested)


def _by_depth(lists: tuple[CompiledRows, ...]) -> tuple[tuple[str, tuple[CompiledRows, ...]], ...]:
    grouped: dict[str, list[CompiledRows]] = {}
    while lists:
        for one in lists:
            grouped[one.rows.collection] = [*grouped.pop(one.rows.collection, []), one]
        lists = tuple(inner for one in lists for inner in one.nested)
    return tuple((collection, tuple(found)) for collection, found in grouped.items())
