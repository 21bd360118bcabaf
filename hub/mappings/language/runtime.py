"""What compiled mappings call while they run: rows of lists, keys, foreign codes kept, and the putting back.

Everything is put on the target's own record: rows are found by their key, or (keyless ones) by being what the element
would make of them; only what differs is touched, and nothing is ever removed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field

from hub.mappings.language.codecs import Strange, text_of
from hub.mappings.language.errors import Refused
from hub.mappings.language.rules import Pointer, Rows, pointer_text
from hub.relaylog.codes import Part, Service, part_of
from hub.relaylog.model import COLLECTIONS, Element, Extension, Frozen, RelayLog

Tree = dict[str, object]
"""A decoded record: objects with text keys, lists, text, numbers, true, false and None."""

Clear = frozenset[tuple[str, str, str]]
"""What may be emptied: (list, element id, field); list and id are "" for the log's own fields."""

PART_OF: dict[Service | None, Part] = {service: part_of(service) for service in [*Service, None]}


class Found:
    """Elements read so far from one record, by list, and the keys seen in each list."""

    __slots__ = ("keys", "lists")

    def __init__(self) -> None:
        self.lists: dict[str, list[Element]] = {name: [] for name in COLLECTIONS}
        self.keys: dict[str, set[str]] = {name: set() for name in COLLECTIONS}


@dataclass(frozen=True, eq=False)
class CompiledRows:
    """One list of the record with its compiled reader and writer. `places` are the pointers of all rules."""

    rows: Rows
    read: Callable[[Tree, Found, Service | None, str], None]
    put: Callable[[Tree, Element, Writing, bool], None]
    nested: tuple[CompiledRows, ...]
    places: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """The list's pointer, relative to the object that holds it."""
        return self.places[self.rows.rule]


def key_of(raw: object, rule: int, seen: Container[str]) -> str:
    """Return an element's key as text. A key that an earlier row of the list has is refused: whose is it?"""
    if raw is not None and (isinstance(raw, bool) or not isinstance(raw, str | int)):
        raise Refused(rule, "a key that is text or a whole number")
    key = text_of(raw, rule)
    if key in seen:
        raise Refused(rule, "a key that no other row has")
    return key


def object_at(raw: object, rule: int, pointer: str) -> Tree:
    """Refuse anything but an object."""
    if isinstance(raw, dict):
        return raw
    raise Refused(rule, "an object", pointer)


def rows_at(parent: Tree, rows: Rows, prefix: str = "") -> list[object]:
    """Return the list that rows stand in, the record's own; an empty one where there is none.

    `prefix` is where `parent` stands, for errors.
    """
    value: object = parent
    for depth, name in enumerate(rows.each):
        if value is None:
            break
        value = object_at(value, rows.rule, prefix + pointer_text(rows.each[:depth])).get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(rows.rule, "a list", prefix + pointer_text(rows.each))
    return value


def found_at(tree: Tree, pointer: Pointer) -> object:
    """Return what stands at a pointer, or None where the way there is barred."""
    value: object = tree
    for name in pointer:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def says(tree: Tree, conditions: Iterable[tuple[Pointer, str]]) -> bool:
    """Tell whether a record says the same words at all these places."""
    for pointer, word in conditions:
        value = found_at(tree, pointer)
        if isinstance(value, bool) or not isinstance(value, str | int) or str(value) != word:
            return False
    return True


def each(parent: Tree, compiled: CompiledRows, found: Found, writer: Service | None, home: str) -> None:
    """Read every row of a list that is of this kind."""
    rows = compiled.rows
    for place, item in enumerate(rows_at(parent, rows)):
        row = object_at(item, rows.rule, f"{compiled.prefix}/{place}")
        if rows.where and not says(row, rows.where):
            continue
        try:
            compiled.read(row, found, writer, home)
        except Refused as refused:
            refused.inside(f"{compiled.prefix}/{place}", compiled.places)
            raise


def keep_strange(
    strange: Strange, paths: tuple[str, ...], found: Found, key: str, writer: Service | None, part: Part
) -> None:
    """Keep foreign codes as extensions of the element they stood in: same writer, same part, a steady id."""
    taken: dict[str, int] = {}
    for rule, code in strange:
        path = paths[rule]
        taken[path] = taken.get(path, 0) + 1
        again = f"#{taken[path]}" if taken[path] > 1 else ""
        steady = "" if "[]" in path and not key else f"{path}#{key}{again}" if key else f"{path}{again}"
        found.lists["extensions"].append(
            Extension(id=steady, writer=writer, part=part, key=path, value=code, element=key)
        )


def read_values(
    raw: object, read: Callable[[Tree, Strange], Frozen], rule: int, places: tuple[str, ...], strange: Strange
) -> tuple[Frozen, ...]:
    """Read a list of values that have no keys."""
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise Refused(rule, "a list")
    values: list[Frozen] = []
    for place, item in enumerate(raw):
        prefix = f"{places[rule]}/{place}"
        try:
            values.append(read(object_at(item, rule, ""), strange))
        except Refused as refused:
            refused.inside(prefix, places)
            raise
    return tuple(values)


def write_values(
    raw: object,
    values: tuple[Frozen, ...],
    read: Callable[[Tree, Strange], Frozen],
    put: Callable[[Tree, Frozen, Writing, bool], None],
    writing: Writing,
) -> list[object]:
    """Write a list of values as a whole; a value that stood there keeps its row with all that isn't mapped."""
    present = [(item, read(item, [])) for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []
    written: list[object] = []
    for value in values:
        place = next((i for i, (_, before) in enumerate(present) if before == value), None)
        item: Tree = present.pop(place)[0] if place is not None else {}
        if place is None:
            put(item, value, writing, True)  # noqa: FBT003 - new, by place as in compiled code
        written.append(item)
    return written


def collapse(tree: Tree, pointer: Pointer) -> None:
    """Write nothing in place of an object in which nothing is left."""
    holder = found_at(tree, pointer[:-1])
    if isinstance(holder, dict):
        left = holder.get(pointer[-1])
        if isinstance(left, dict) and all(value is None for value in left.values()):
            holder[pointer[-1]] = None


def copied(value: object) -> object:
    """Copy a decoded record all the way down."""
    if isinstance(value, dict):
        return {name: copied(inner) if isinstance(inner, dict | list) else inner for name, inner in value.items()}
    if isinstance(value, list):
        return [copied(inner) if isinstance(inner, dict | list) else inner for inner in value]
    return value


@dataclass(slots=True, eq=False)
class Row:
    """A row of the target's record: its kind, its raw key, the object and the list it stands in, where it stands."""

    compiled: CompiledRows
    key: object
    home: Tree
    rows: list[object]
    item: Tree
    pointer: str

    def put(self, element: Element, writing: Writing, *, new: bool = False) -> None:
        """Put an element on the row."""
        try:
            self.compiled.put(self.item, element, writing, new)
        except Refused as refused:
            refused.inside(self.pointer, self.compiled.places)
            raise


@dataclass(slots=True, eq=False)
class Writing:
    """One write: what may be cleared, the rows of the record by list and key, and who writes what isn't marked."""

    root: Tree
    clear: Clear
    language: str
    writer: Service | None
    keyed: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in COLLECTIONS})
    loose: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLLECTIONS})
    parents: dict[str, dict[str, Tree]] = field(default_factory=lambda: {name: {} for name in COLLECTIONS})

    def shelve(self, parent: Tree, prefix: str, lists: tuple[CompiledRows, ...]) -> None:
        """Find every row that the record has now."""
        for compiled in lists:
            rows = compiled.rows
            items = rows_at(parent, rows, prefix)
            for place, item in enumerate(items):
                pointer = f"{prefix}{compiled.prefix}/{place}"
                tree = object_at(item, rows.rule, pointer)
                if rows.where and not says(tree, rows.where):
                    continue
                self._shelve_row(Row(compiled, None, parent, items, tree, pointer))
                if compiled.nested:
                    self.shelve(tree, pointer, compiled.nested)

    def _shelve_row(self, row: Row) -> None:
        rows = row.compiled.rows
        row.key = found_at(row.item, rows.key) if rows.key else None
        try:
            key = key_of(row.key, rows.key_rule, self.keyed[rows.collection])
        except Refused as refused:
            refused.inside(row.pointer, row.compiled.places)
            raise
        if key:
            self.keyed[rows.collection][key] = row
            self.parents[rows.collection][key] = row.item
        else:
            self.loose[rows.collection].append(row)

    def place(self, collection: str, lists: tuple[CompiledRows, ...], log: RelayLog) -> None:
        """Put every element of one list of the log: on its row, on a row that already says it, or on a new one."""
        elements: tuple[Element, ...] = getattr(log, collection)
        for element in elements:
            row = self.keyed[collection].get(element.id)
            if row is not None:
                if row.compiled.rows.writes:
                    self._move(row, element)
                    row.put(element, self)
                continue
            item = self._settle(element, lists)
            if item is not None and element.id:
                self.parents[collection][element.id] = item

    def _move(self, row: Row, element: Element) -> None:
        """Move a row that stands inside another element to the element it belongs to now."""
        rows = row.compiled.rows
        home = self._home(element, rows)
        if rows.home is None or home is None or home is row.home:
            return
        row.rows[:] = [item for item in row.rows if item is not row.item]
        _append(home, rows.each, row.item)

    def _home(self, element: Element, rows: Rows) -> Tree | None:
        return self.parents[rows.home].get(getattr(element, rows.belongs)) if rows.home and rows.belongs else None

    def _settle(self, element: Element, lists: tuple[CompiledRows, ...]) -> Tree | None:
        for compiled in lists:
            rows = compiled.rows
            if not rows.writes or any(getattr(element, name) != value for name, value in rows.fixed.items()):
                continue
            home = self._home(element, rows)
            if rows.home and home is None:
                continue
            made = self._made(element, compiled)
            if made is None:
                continue
            if not made:
                return None
            row = self._same(element, compiled, home)
            if row is not None:
                return row
            _append(self.root if home is None else home, rows.each, made)
            return made
        return None

    def _same(self, element: Element, compiled: CompiledRows, home: Tree | None) -> Tree | None:
        """Return a keyless row that the element would leave as it is."""
        loose = self.loose[compiled.rows.collection]
        for place, row in enumerate(loose):
            if row.compiled is compiled and (home is None or row.home is home):
                trial = Row(
                    compiled, None, row.home, [], object_at(copied(row.item), compiled.rows.rule, ""), row.pointer
                )
                trial.put(element, self)
                if trial.item == row.item:
                    del loose[place]
                    return row.item
        return None

    def _made(self, element: Element, compiled: CompiledRows) -> Tree | None:
        """Make a new row, empty where the element says nothing; None if its values belong to rows of another kind."""
        rows = compiled.rows
        item: Tree = {}
        Row(compiled, None, item, [], item, f"{compiled.prefix}/-").put(element, self, new=True)
        missing = [(pointer, word) for pointer, word in rows.where if found_at(item, pointer) is None]
        if not says(item, set(rows.where).difference(missing)):
            return None
        for pointer, word in missing if item else ():
            _holder(item, pointer)[pointer[-1]] = word
        return item


def _append(home: Tree, each: Pointer, item: Tree) -> None:
    holder = _holder(home, each)
    rows = holder.get(each[-1])
    if isinstance(rows, list):
        rows.append(item)
    else:
        holder[each[-1]] = [item]


def _holder(tree: Tree, pointer: Pointer) -> Tree:
    for name in pointer[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    return tree
