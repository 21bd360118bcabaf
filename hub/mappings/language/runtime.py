"""What compiled mappings call while they run: rows of lists and their keys, lists of values, foreign codes kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hub.mappings.language.codecs import Strange, text_of
from hub.mappings.language.errors import Refused
from hub.mappings.language.pointers import Pointer, found_at, object_on_the_way, pointer_text
from hub.mappings.language.rules import Condition, Field, Rows
from hub.payloads.base import Tree
from hub.relaylog.codes import Part, Service, part_of
from hub.relaylog.model import Element, Extension, Frozen

if TYPE_CHECKING:
    from hub.mappings.language.writing import Writing

Clear = frozenset[tuple[str, str, str]]
"""What may be emptied: (list, element id, field); list and id are "" for the log's own fields."""

PART_OF: dict[Service | None, Part] = {service: part_of(service) for service in [*Service, None]}


class Found:
    """Elements read so far from one record, by list, the rows that they stood in, and the keys seen in each list."""

    __slots__ = ("items", "keys", "lists")

    def __init__(self) -> None:
        self.lists: defaultdict[str, list[Element]] = defaultdict(list)
        self.items: defaultdict[str, list[Tree]] = defaultdict(list)
        self.keys: defaultdict[str, set[str]] = defaultdict(set)


@dataclass(frozen=True, eq=False)
class CompiledRows:
    """One list of the record with its compiled reader and writer. `places` are the pointers of all rules.

    `there` tells whether a fixed place says anything; None for lists.
    """

    rows: Rows
    read: Callable[[Tree, Found, Service | None, str], None]
    put: Callable[[Tree, Element, Writing, bool], None]
    there: Callable[[Tree], object] | None
    nested: tuple[CompiledRows, ...]
    places: tuple[str, ...]

    @cached_property
    def prefix(self) -> str:
        """The list's pointer, relative to the object that holds it."""
        return self.places[self.rows.rule]

    @cached_property
    def moves(self) -> bool:
        """Tell whether a row may stand elsewhere after its element has come to belong to another."""
        nested = self.rows.home is not None or self.rows.adopts is not None
        return nested and self.rows.slot is None and not self.rows.within

    @cached_property
    def refers(self) -> tuple[tuple[str, str], ...]:
        """The fields in which a row names other elements, each with their list."""
        fields = [field for field in self.rows.fields if isinstance(field, Field)]
        return tuple((field.name, field.target.reference) for field in fields if field.target.reference)

    def pointer(self, place: int | str) -> str:
        """Return a row's pointer, relative to the object that holds the list; a fixed place has no number."""
        return self.prefix if self.there else f"{self.prefix}/{place}"


def key_of(raw: object, rule: int, seen: Container[str]) -> str:
    """Return an element's key as text. A key that an earlier row of the list has is refused: whose is it?"""
    if raw.__class__ is str and raw not in seen and raw.isprintable():
        return raw
    if raw is not None and (isinstance(raw, bool) or not isinstance(raw, str | int)):
        raise Refused(rule, "a key that is text or a whole number")
    key = text_of(raw, rule)
    if key in seen:
        raise Refused(rule, "a key that no other row has")
    return key


def key_of_several(raws: tuple[object, ...], rule: int, seen: Container[str], home: str | None) -> str:
    """Return a key made of several places, all of which must be filled; with `home`, of the element around too.

    A row that stands in an element without a key has none either.
    """
    parts = [key_of(raw, rule, ()) for raw in raws]
    if home == "" or not all(parts):
        return ""
    key = "/".join([*([home] if home else []), *(part.replace("~", "~0").replace("/", "~1") for part in parts)])
    if key in seen:
        raise Refused(rule, "a key that no other row has")
    return key


def slot_key(slot: str, home: str | None) -> str:
    """Return the key of a fixed place: its name, after the key of the element around where it stands in one."""
    return slot if home is None else home and f"{home}/{slot}"


def object_at(raw: object, rule: int, pointer: str) -> Tree:
    """Refuse anything but an object."""
    if isinstance(raw, dict):
        return raw
    raise Refused(rule, "an object", pointer)


def rows_at(parent: Tree, rows: Rows, prefix: str = "") -> list[object]:
    """Return the list that rows stand in, the record's own; an empty one where there is none.

    A fixed place is a list of one object, if it is there. `prefix` is where `parent` stands, for errors.
    """
    value = parent.get(rows.each[0]) if len(rows.each) == 1 else parent
    if value.__class__ is list:
        return value
    value = parent
    for depth, name in enumerate(rows.each):
        if value is None:
            break
        value = object_at(value, rows.rule, prefix + pointer_text(rows.each[:depth])).get(name)
    if value is None:
        return []
    if rows.slot is not None:
        return [value]
    if not isinstance(value, list):
        raise Refused(rows.rule, "a list", prefix + pointer_text(rows.each))
    return value


def holds(parent: Tree, compiled: CompiledRows) -> bool:
    """Tell whether a fixed place, inside another one, says anything."""
    rows = rows_at(parent, compiled.rows)
    return any(compiled.there(object_at(item, compiled.rows.rule, "")) for item in rows if compiled.there)


def says(tree: Tree, conditions: Iterable[Condition]) -> bool:
    """Tell whether a record or a row meets all these conditions."""
    return all(condition.holds(tree) for condition in conditions)


def fill(tree: Tree, constants: Iterable[tuple[Pointer, str]]) -> None:
    """Write text where a new record or row says nothing."""
    for pointer, text in constants:
        if found_at(tree, pointer) is None:
            object_on_the_way(tree, pointer)[pointer[-1]] = text


def each(parent: Tree, compiled: CompiledRows, found: Found, writer: Service | None, home: str) -> None:
    """Read every row of a list that is of this kind."""
    rows = compiled.rows
    for place, item in enumerate(rows_at(parent, rows)):
        pointer = compiled.pointer(place)
        row = object_at(item, rows.rule, pointer)
        if rows.where and not says(row, rows.where):
            continue
        try:
            if compiled.there is None or compiled.there(row):
                compiled.read(row, found, writer, home)
        except Refused as refused:
            refused.inside(pointer, compiled.places)
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


CompiledPlace = tuple[
    Callable[[Tree, Strange], Frozen | None], Callable[[Tree, Frozen, "Writing", bool], None], tuple[Pointer, ...]
]
"""A fixed place of a value: how it is read and put, and where it is written."""


def read_placed(tree: Tree, places: tuple[CompiledPlace, ...], strange: Strange) -> tuple[Frozen, ...]:
    """Read the values that stand in fixed places; an empty place is none."""
    found = (read(tree, strange) for read, _, _ in places)
    return tuple(value for value in found if value is not None)


def write_placed(tree: Tree, values: tuple[Frozen, ...], places: tuple[CompiledPlace, ...], writing: Writing) -> None:
    """Write values in fixed places: one that stands somewhere stays there, others take a place that can say them.

    Where there is not room for all of them, nothing is written: half of a list would say something else.
    """
    present = [read(tree, []) for read, _, _ in places]
    left, chosen = list(values), list[Frozen | None]()
    for before in present:
        chosen.append(before if before in left else None)
        if before is not None and before in left:
            left.remove(before)
    for value in left:
        free = sorted((n for n, one in enumerate(chosen) if one is None), key=lambda n: present[n] is not None)
        place = next((n for n in free if _can_say(places[n], value, writing)), None)
        if place is None:
            return
        chosen[place] = value
    for (_, put, at), before, after in zip(places, present, chosen, strict=True):
        if before != after:
            for pointer in at:
                if found_at(tree, pointer) is not None:
                    object_on_the_way(tree, pointer)[pointer[-1]] = None
        if after is not None and before != after:
            put(tree, after, writing, True)  # noqa: FBT003 - new, by place as in compiled code


def _can_say(place: CompiledPlace, value: Frozen, writing: Writing) -> bool:
    read, put, _ = place
    trial: Tree = {}
    put(trial, value, writing, True)  # noqa: FBT003 - new, by place as in compiled code
    return read(trial, []) == value


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
        copy = value.copy()
        for name, inner in value.items():
            if inner.__class__ is dict or inner.__class__ is list:
                copy[name] = copied(inner)
        return copy
    return [copied(inner) for inner in value] if isinstance(value, list) else value


def dotted(owner: object, name: str) -> object:
    """Return what stands at a dotted name, or None where there is nothing on the way."""
    for step in name.split("."):
        owner = getattr(owner, step, None)
    return owner
