"""The lines of generated code for single fields: reading one from an object, putting one on an object.

Names in the code: `o` the object in the record, `e` the element or log, `g` a value inside it, `r7` the source value
and `v7` the canonical value of rule 7. All text from a mapping enters the code as a Python literal.
"""

from __future__ import annotations

from hub.mappings.language.codecs import Codes, Joined, Many, Text
from hub.mappings.language.marked import Marked
from hub.mappings.language.pointers import Pointer, counts_rows, pointer_text
from hub.mappings.language.rules import AnyField, Field, PlacedValues, Values
from hub.mappings.language.times import Day, Moment
from hub.relaylog.model import Frozen, nested_model


class Names:
    """The objects that generated code refers to, by the name it uses."""

    def __init__(self, names: dict[str, object]) -> None:
        self.known = names

    def name(self, word: str, value: object) -> str:
        """Give the code a name for an object, and return the name."""
        self.known[word] = value
        return word

    def decode(self, field: Field) -> str:
        """Return the name of a field's decoder."""
        return self.name(f"D{field.rule}", field.codec.decode)

    def encode(self, field: Field) -> str:
        """Return the name of a field's encoder."""
        return self.name(f"E{field.rule}", field.codec.encode)


class Objects:
    """The objects of a record that code has opened: each looked up and checked once, before its first field."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.lines: list[str] = []
        self.opened: dict[Pointer, str] = {(): "o"}

    def line(self, text: str, depth: int = 1) -> None:
        """Add a line of code."""
        self.lines.append("    " * depth + text)

    def lookup(self, place: Pointer, rule: int) -> str:
        """Return the code that looks up a place."""
        if counts_rows(place):
            return f"found_at(o, {place!r})"
        return f"{self.open(place[:-1], rule)}.get({place[-1]!r})"

    def open(self, pointer: Pointer, rule: int) -> str:
        """Return the variable of the object at a pointer; NOTHING where there is none."""
        if pointer not in self.opened:
            holder = self.open(pointer[:-1], rule)
            variable = f"o{len(self.opened)}"
            self.line(f"{variable} = {holder}.get({pointer[-1]!r})")
            self.line(f"if {variable} is None:")
            self.line(f"{variable} = NOTHING", 2)
            self.line(f"elif {variable}.__class__ is not dict:")
            self.line(f"object_at({variable}, {rule}, {pointer_text(pointer)!r})", 2)
            self.opened[pointer] = variable
        return self.opened[pointer]

    def source(self, field: Field) -> str:
        """Return the code for a field's source value: by its expression, at its place, or at each of its places."""
        if field.expression:
            return f"{self.names.name(f'J{field.rule}', field.expression.find)}(o)"
        found = [self.lookup(place, field.rule) for place in field.at]
        return found[0] if len(found) == 1 else f"({', '.join(found)})"

    def load(self, field: Field) -> None:
        """Put a field's source value into its variable, before any branch."""
        self.line(f"r{field.rule} = {self.source(field)}")


class Reading(Objects):
    """Code that reads the fields of one object. `values` are (value, is it there) by canonical name.

    `marked` is the rule of the text whose mark tells the writer, if there is one.
    """

    def __init__(self, names: Names) -> None:
        super().__init__(names)
        self.values: dict[str, tuple[str, str]] = {}
        self.marked: int | None = None

    def add(self, field: AnyField) -> None:
        """Read one field, or several values."""
        number = field.rule
        if isinstance(field, PlacedValues):
            self.line(f"v{number} = read_placed(o, PLACES{number}, un)")
            self.values[field.name] = (f"v{number}", f"v{number}")
            return
        if isinstance(field, Values):
            found = self.lookup(field.each, number)
            self.line(f"v{number} = read_values({found}, values_{number}, {number}, PLACES, un)")
            self.values[field.name] = (f"v{number}", f"v{number}")
            return
        self.load(field)
        self._decode(field, f"r{number}", f"v{number}")
        there = f"v{number}" if isinstance(field.codec, Joined) else f"r{number}"
        self.values[field.name] = (f"v{number}", there)

    def _decode(self, field: Field, raw: str, value: str) -> None:
        """Take the common case without a call; the codec takes everything else."""
        codec = field.codec
        call = f"{self.names.decode(field)}({raw}, un)"
        if isinstance(codec, Text) and not codec.default:
            self.line(f"{value} = {raw} if {raw}.__class__ is str and {raw}.isprintable() else {call}")
        elif isinstance(codec, Codes):
            source = self.names.name(f"S{field.rule}", codec.source)
            self.line(f"{value} = {source}.get({raw}) if {raw}.__class__ is str else None")
            self.line(f"if {value} is None:")
            self.line(f"{value} = {call}", 2)
        elif isinstance(codec, Marked):
            self.marked = field.rule
            self.line(f"{value}, mw{field.rule}, md{field.rule} = {call}")
        elif (isinstance(codec, Day) and codec.default is None) or isinstance(codec, Moment):
            self.line(f"{value} = None if {raw} is None else {call}")
        else:
            self.line(f"{value} = {call}")


class Putting(Objects):
    """Code that puts the fields of an element on an object, touching only what differs.

    `collection` is the list's name for what may be cleared: "" for the log, None for values, which are written whole.
    `model` is the class of `e`. `unmarked` is the code for the writer of what carries neither writer nor mark, `part`
    for the part of an element that says none; without it, the writer's.
    """

    def __init__(
        self, names: Names, model: type[Frozen], collection: str | None, unmarked: str = "None", part: str | None = None
    ) -> None:
        super().__init__(names)
        self.model = model
        self.collection = collection
        self.unmarked = unmarked
        self.part = part
        self.writer = unmarked

    def function(self, name: str, fields: tuple[AnyField, ...]) -> list[str]:
        """Return the lines of a function that puts these fields."""
        for field in fields:  # first: it makes objects, and none must have been looked for before
            if isinstance(field, PlacedValues) and field.writes:
                self._put_placed(field)
        written = sorted(
            (field for field in fields if field.writes and not isinstance(field, PlacedValues)),
            key=lambda field: field.name == "part",
        )
        self.writer = self._writer_now(fields)
        groups = dict.fromkeys(field.name.rpartition(".")[0] for field in written)
        for group in groups:
            self._group(group, [field for field in written if field.name.rpartition(".")[0] == group])
        head = [f"def {name}(o, e, ctx, new):"]
        if self.collection is not None:
            head.append("    clear = ctx.clear")
        if self.collection:
            head.append("    i = e.id")
        return [*head, *self.lines, "    return"]

    def _put_placed(self, field: PlacedValues) -> None:
        self.line(f"v = e.{field.name}")
        cleared = f" or (clear and {self._cleared(field.name)})" if self.collection is not None else ""
        self.line(f"if v{cleared}:")
        self.line(f"write_placed(o, v, PLACES{field.rule}, ctx)", 2)

    def _writer_now(self, fields: tuple[AnyField, ...]) -> str:
        """Return the code for who the row says wrote it, asked after all but the part is put."""
        found = self.unmarked
        for field in fields:
            if isinstance(field, Field) and field.name == "writer":
                found = f"({self.names.decode(field)}({self.source(field)}, []) or {found})"
        for field in fields:
            if isinstance(field, Field) and isinstance(field.codec, Marked):
                found = f"({self.names.decode(field)}({self.source(field)}, [])[1] or {found})"
        return found

    def _group(self, group: str, fields: list[Field | Values]) -> None:
        if not group:
            for field in fields:
                self._field(field, f"e.{field.name}", "")
            return
        nested = nested_model(self.model, group)
        empty = self.names.name(f"EMPTY_{nested.__name__}", nested()) if nested else "None"
        self.line(f"g = e.{group}")
        wipe = ""
        if self.model.model_fields[group].default is None:
            if self.collection is not None:
                wipe = f"w_{group}"
                self.line(f"{wipe} = clear and g is None and {self._cleared(group)}")
            self.line("if g is None:")
            self.line(f"g = {empty}", 2)
        for field in fields:
            self._field(field, f"g.{field.name.rpartition('.')[2]}", wipe)
        if wipe:
            self._collapse(wipe, [place for field in fields if isinstance(field, Field) for place in field.at])

    def _collapse(self, wipe: str, places: list[Pointer]) -> None:
        shared = places[0][:-1]
        if shared and all(place[: len(shared)] == shared for place in places):
            self.line(f"if {wipe}:")
            self.line(f"collapse(o, {shared!r})", 2)

    def _cleared(self, name: str) -> str:
        return f"({self.collection!r}, {'i' if self.collection else repr('')}, {name!r}) in clear"

    def _field(self, field: Field | Values, value: str, wipe: str) -> None:
        number = field.rule
        if isinstance(field, Values):
            self.line(f"r{number} = {self.lookup(field.each, number)}")
        else:
            self.load(field)
        self.line(f"v = {value}")
        if isinstance(field, Field) and field.const is not None:
            self.line(f"v = {self.names.name(f'CONST{number}', field.const)}")
        self.line(f"if {self._says_something(field)}:")
        if isinstance(field, Values):
            self._put_values(field)
        else:
            self._put(field)
        if self.collection is not None:
            self._clear(field, wipe)

    def _says_something(self, field: Field | Values) -> str:
        if isinstance(field, Values) or field.target.many or field.target.kind == "text":
            return "v"
        if field.target.empty is None:
            return "v is not None"
        return f"v is not None and v is not {self.names.name(f'UNKNOWN{field.rule}', field.target.empty)}"

    def _clear(self, field: Field | Values, wipe: str) -> None:
        places = (field.each,) if isinstance(field, Values) else field.at
        many = isinstance(field, Values) or (isinstance(field.codec, Many) and not field.codec.separator)
        wiped = f"{wipe} or " if wipe else ""
        self.line(f"elif clear and ({wiped}{self._cleared(field.name)}):")
        for place in places:
            self.line(f"if {self.lookup(place, field.rule)} is not None:", 2)
            self.line(f"{self.open(place[:-1], field.rule)}[{place[-1]!r}] = {'[]' if many else 'None'}", 3)

    def _store(self, place: Pointer, value: str, depth: int) -> None:
        for length in range(1, len(place)):
            name = self.opened[place[:length]]
            self.line(f"if {name} is NOTHING:", depth)
            self.line(f"{name} = {self.opened[place[: length - 1]]}[{place[length - 1]!r}] = {{}}", depth + 1)
        self.line(f"{self.opened[place[:-1]]}[{place[-1]!r}] = {value}", depth)

    def _put_values(self, field: Values) -> None:
        number = field.rule
        self.line(f"if new or read_values(r{number}, values_{number}, {number}, PLACES, []) != v:", 2)
        self.line(f"s = write_values(r{number}, v, values_{number}, put_{number}, ctx)", 3)
        self._store(field.each, "s", 3)

    def _put(self, field: Field) -> None:
        raw, codec = f"r{field.rule}", field.codec
        decoded = f"{self.names.decode(field)}({raw}, [])"
        if isinstance(codec, Marked):
            self._put_marked(field, codec)
        elif isinstance(codec, Joined):
            self._put_joined(field, decoded)
        elif field.target.reference:
            self.line(f"x = ctx.keyed[{field.target.reference!r}].get(v)", 2)
            self.line(f"if x is not None and {raw} != x.key and {decoded} != v:", 2)
            self._store(field.at[0], "x.key", 3)
        elif field.name == "part":
            self.line(f"x = {decoded}", 2)
            self.line("if x is None:", 2)
            self.line(f"x = {self.part or f'PART_OF[{self.writer}]'}", 3)
            self._store_if_it_can(field, "new or x is not v")
        elif isinstance(codec, Text):
            self.line(f"if {raw} != v and (new or {decoded} != v):", 2)
            self._store(field.at[0], "v", 3)
        elif isinstance(codec, Codes):
            targets = self.names.name(f"T{field.rule}", codec.target)
            self.line(f"s = {targets}.get(v)", 2)
            if field.name == "writer":
                decoded = f"({decoded} or {self.unmarked})"
            self.line(f"if s is not None and s != {raw} and (new or {decoded} != v):", 2)
            self._store(field.at[0], "s", 3)
        else:
            self._store_if_it_can(field, f"new or {decoded} != v")

    def _store_if_it_can(self, field: Field, condition: str) -> None:
        """Store the source's form, where it has one and it isn't what stands there."""
        self.line(f"if {condition}:", 2)
        self.line(f"s = {self.names.encode(field)}(v, r{field.rule})", 3)
        self.line(f"if s is not None and s != r{field.rule}:", 3)
        self._store(field.at[0], "s", 4)

    def _put_marked(self, field: Field, codec: Marked) -> None:
        same = self.names.name(f"M{field.rule}", codec.same)
        self.line(f"if new or not {same}(r{field.rule}, v, e.writer, e.written_on, {self.unmarked}):", 2)
        values = f"(v, e.writer, e.written_on, {self.unmarked}, ctx.language)"
        self._store(field.at[0], f"{self.names.encode(field)}({values}, None)", 3)

    def _put_joined(self, field: Field, decoded: str) -> None:
        self.line(f"s = {self.names.encode(field)}(v, None) if {decoded} != v else None", 2)
        for number, place in enumerate(field.at):
            self.line(f"if s is not None and (s[{number}] is not None or r{field.rule}[{number}] is not None):", 2)
            self._store(place, f"s[{number}]", 3)
