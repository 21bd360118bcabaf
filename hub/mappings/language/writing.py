"""Putting a relay log on the target's own record: which row is which element, and where a new one stands.

Rows are found by their key, or (keyless ones) by being what the element would make of them; only what differs is
touched, and nothing is ever removed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import chain

from hub.mappings.language.errors import Refused
from hub.mappings.language.pointers import Pointer, found_at, object_on_the_way
from hub.mappings.language.rules import Rows
from hub.mappings.language.runtime import (
    Clear,
    CompiledRows,
    Found,
    copied,
    dotted,
    fill,
    key_of,
    key_of_several,
    object_at,
    rows_at,
    says,
    slot_key,
)
from hub.payloads.base import Tree
from hub.relaylog.codes import Service
from hub.relaylog.model import Element, RelayLog


@dataclass(slots=True, eq=False)
class Row:
    """A row of the target's record: its kind, its raw key, the object and the list it stands in, where it stands.

    `lost` says that the element around it has no key, so that nothing can say that it belongs there.
    """

    compiled: CompiledRows
    key: object
    home: Tree
    rows: list[object]
    item: Tree
    pointer: str
    lost: bool = False

    def put(self, element: Element, writing: Writing, *, new: bool = False) -> None:
        """Put an element on the row."""
        try:
            self.compiled.put(self.item, element, writing, new)
        except Refused as refused:
            refused.inside(self.pointer, self.compiled.places)
            raise


@dataclass(slots=True, eq=False)
class Home:
    """An element's object in the record, with the list it stands in: what belongs to it stands there."""

    item: Tree
    rows: Rows


@dataclass(slots=True, eq=False)
class Choice:
    """Where an element without a row may stand: lists with the object around and the row it would be.

    That row is None where the list has no such rows to make, though it may have one already. `nowhere` are the lists
    inside something, for an element that belongs to nothing.
    """

    places: list[tuple[CompiledRows, Tree, Tree | None]]
    nowhere: list[CompiledRows]

    @property
    def fixed(self) -> dict[str, object]:
        """The values that all rows have in the list where a new row would stand."""
        return next((compiled.rows.fixed for compiled, _, made in self.places if made is not None), {})


@dataclass(slots=True, eq=False)
class Writing:
    """One write: what may be cleared, the rows of the record by list and key, and who writes what isn't marked.

    `left` are the elements that got no place: (list, element id). `ids` are those of the list being placed: a fixed
    place is kept for the element that has its key. `names_new` tells that a new row takes its element's id as its key.
    """

    root: Tree
    clear: Clear
    language: str
    writer: Service | None
    keyed: defaultdict[str, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    loose: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    homes: defaultdict[str, dict[str, Home]] = field(default_factory=lambda: defaultdict(dict))
    left: list[tuple[str, str]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    names_new: bool = False

    def shelve(self, parent: Tree, prefix: str, lists: tuple[CompiledRows, ...], home: str = "") -> None:
        """Find every row that the record has now; `home` is the key of the element that is `parent`."""
        for compiled in lists:
            rows = compiled.rows
            lost = rows.home is not None and not home
            items = rows_at(parent, rows, prefix)
            for place, item in enumerate(items):
                pointer = prefix + compiled.pointer(place)
                tree = item if item.__class__ is dict else object_at(item, rows.rule, pointer)
                if (rows.where and not says(tree, rows.where)) or (compiled.there and not compiled.there(tree)):
                    continue
                row = Row(compiled, None, parent, items, tree, pointer, lost)
                key = self._shelve_row(row, rows, home)
                if compiled.nested:
                    self.shelve(tree, pointer, compiled.nested, key)

    def _shelve_row(self, row: Row, rows: Rows, home: str) -> str:
        try:
            key = self._key(row, rows, home) if rows.key or rows.slot is not None else ""
        except Refused as refused:
            refused.inside(row.pointer, row.compiled.places)
            raise
        if key:
            self.keyed[rows.collection][key] = row
            self.homes[rows.collection][key] = Home(row.item, rows)
        else:
            self.loose[rows.collection].append(row)
        return key

    def _key(self, row: Row, rows: Rows, home: str) -> str:
        if rows.slot is not None:
            return slot_key(rows.slot, home if rows.belongs else None)
        seen = self.keyed[rows.collection]
        if len(rows.key) > 1 or rows.within:
            raws = tuple(found_at(row.item, place) for place in rows.key)
            return key_of_several(raws, rows.key_rule, seen, home if rows.within else None)
        row.key = found_at(row.item, rows.key[0])
        return key_of(row.key, rows.key_rule, seen)

    def place(self, collection: str, lists: tuple[CompiledRows, ...], log: RelayLog) -> None:
        """Put every element of one list of the log: on its row, on a row that already says it, or on a new one."""
        elements: tuple[Element, ...] = getattr(log, collection)
        self.ids = {element.id for element in elements}
        keyed = self.keyed[collection]
        new = []
        for element in elements:
            row = keyed.get(element.id)
            if row is None:
                new.append(element)
            elif row.compiled.rows.writes:
                if row.compiled.moves:
                    self._move(row, element, lists)
                row.put(element, self)
        if new:
            self._free_slots(collection)
            self._settle_all(new, collection, lists)

    def _settle_all(self, elements: list[Element], collection: str, lists: tuple[CompiledRows, ...]) -> None:
        """Give elements without a row their places; what belongs to nothing chooses last."""
        for belongs in {one.rows.belongs for one in lists if one.rows.belongs}:
            elements = sorted(elements, key=lambda element: not getattr(element, belongs))
        waiting: list[tuple[Element, Choice]] = []
        for element in elements:  # a row that says all of an element, and nothing more, is nobody else's
            choice = self._choice(element, lists)
            if choice is not None and not self._taken(element, self._match(element, choice, exact=True)):
                waiting.append((element, choice))
        for element, choice in waiting:
            alike = (self._alike(element, compiled, around, choice.fixed) for compiled, around, _ in choice.places)
            new = (self._new(element, compiled, around, made) for compiled, around, made in choice.places if made)
            homes = chain([self._match(element, choice, exact=False)], alike, new)
            if not self._taken(element, next((home for home in homes if home is not None), None)):
                self.left.append((collection, element.id))

    def _taken(self, element: Element, home: Home | None) -> bool:
        """Note where an element stands, if it has got a place."""
        if home is not None and element.id:
            self.homes[home.rows.collection][element.id] = home
        return home is not None

    def _free_slots(self, collection: str) -> None:
        """Let a fixed place that no element of the log has the key of be found by what stands there."""
        for key, row in self.keyed[collection].items():
            if row.compiled.there and key not in self.ids:
                self.loose[collection].append(row)

    def _move(self, row: Row, element: Element, lists: tuple[CompiledRows, ...]) -> None:
        """Move a row to the element it belongs to now: in the same list, or between that and its orphans' list.

        What stands inside an orphan moves with it, and to and from it. A row whose key says where it stands stays.
        """
        rows = row.compiled.rows
        now = self.homes[rows.home].get(_belongs_to(element, rows)) if rows.home else None
        if now is not None and now.item is row.home:
            return
        for compiled in lists:
            other = compiled.rows
            if other.like != rows.like or other.within:
                continue
            home = self._around(element, other)
            if other.adopts is not None and not self._orphaned(element, rows):
                continue
            if home is None or (home is row.home and other is rows):
                continue
            row.rows[:] = [item for item in row.rows if item is not row.item]
            _append(home, other.each, row.item)
            row.compiled = compiled
            self.homes[rows.collection][element.id] = Home(row.item, other)
            return

    def _orphaned(self, element: Element, rows: Rows) -> bool:
        """Tell whether an element was made to belong to nothing: only when it is said so."""
        return (rows.collection, element.id, rows.belongs or "") in self.clear and not _belongs_to(element, rows)

    def _around(self, element: Element, rows: Rows) -> Tree | None:
        """Return the object in which an element's row stands in such a list; None where there is none."""
        if rows.home is None:
            return self.root
        home = self.homes[rows.home].get(_belongs_to(element, rows))
        return home.item if home and home.rows.rule == rows.inside else None

    def _choice(self, element: Element, lists: tuple[CompiledRows, ...]) -> Choice | None:
        """Return the lists that an element which the record has no row for may stand in; None if it says nothing."""
        written = [one for one in lists if one.rows.writes]
        fits = [one for one in written if _has_fixed(element, one.rows)]
        places: list[tuple[CompiledRows, Tree, Tree | None]] = []
        silent = bool(fits) or not written
        for compiled in fits:
            made = self._made(element, compiled)
            if made == {}:
                break
            silent = False
            around = self._around(element, compiled.rows)
            if around is not None and not self._has_parent(element, compiled, fits):
                places.append((compiled, around, made))
        places.sort(key=lambda place: (place[0].rows.slot != element.id, self._names_nobody(element, place[0])))
        nowhere = [one for one in fits if one.rows.home and not _belongs_to(element, one.rows)]
        return None if silent else Choice(places, nowhere)

    def _names_nobody(self, element: Element, compiled: CompiledRows) -> bool:
        """Tell whether a row in this list could not name what the element refers to, which has no key."""
        refers = ((str(getattr(element, name)), collection) for name, collection in compiled.refers)
        return any(key and key not in self.keyed[collection] for key, collection in refers)

    def _match(self, element: Element, choice: Choice, *, exact: bool) -> Home | None:
        """Return a row that already says an element: where it belongs, or in something that has no key itself."""
        places = chain(((one, around) for one, around, _ in choice.places), ((one, None) for one in choice.nowhere))
        homes = (self._same(element, compiled, around, choice.fixed, exact=exact) for compiled, around in places)
        return next((home for home in homes if home is not None), None)

    def _has_parent(self, element: Element, compiled: CompiledRows, lists: list[CompiledRows]) -> bool:
        """Tell whether an orphans' list is not for an element, because there is something that it belongs to."""
        if compiled.rows.adopts is None:
            return False
        nested = [one.rows for one in lists if one.rows.like == compiled.rows.like and one is not compiled]
        return any(self._around(element, rows) is not None for rows in nested)

    def _same(
        self, element: Element, compiled: CompiledRows, around: Tree | None, fixed: dict[str, object], *, exact: bool
    ) -> Home | None:
        """Return a row without a key, or a fixed place of nobody else, that the element would leave as it is.

        It stands in `around`; without that, in anything that has no key itself, so that nothing could name it. An
        exact one says no more than the element does.
        """
        loose = self.loose[compiled.rows.collection]
        for place, row in enumerate(loose):
            there = row.lost if around is None else row.home is around
            if row.compiled is compiled and there and self._leaves(element, row) and self._is_of(row, fixed):
                if exact and not self._says_no_more(row, element):
                    continue
                del loose[place]
                return Home(row.item, compiled.rows)
        return None

    def _is_of(self, row: Row, fixed: dict[str, object]) -> bool:
        """Tell whether a row says these values.

        An element that has a list of its own by them takes no row that says others, in a list that can't tell: that
        row is another element's, and stays so however often the log is written.
        """
        missing = fixed.keys() - row.compiled.rows.fixed.keys()
        before = self._read(row) if missing else None
        return all(getattr(before, name) == fixed[name] for name in missing)

    def _alike(self, element: Element, compiled: CompiledRows, around: Tree, fixed: dict[str, object]) -> Home | None:
        """Put the element on a row without a key that it is known again on, though it says something else by now."""
        rows = compiled.rows
        loose = self.loose[rows.collection]
        for place, row in enumerate(loose):
            here = rows.alike and row.compiled is compiled and row.home is around
            if here and self._known(element, row) and self._is_of(row, fixed):
                del loose[place]
                row.put(element, self)
                return Home(row.item, rows)
        return None

    def _known(self, element: Element, row: Row) -> bool:
        before, names = self._read(row), row.compiled.rows.alike
        values = [dotted(element, name) for name in names]
        return values == [dotted(before, name) for name in names] and any(values)

    def _says_no_more(self, row: Row, element: Element) -> bool:
        """Tell whether what a row says would add nothing to a new row of the element."""
        made = self._made(element, row.compiled)
        return made is not None and self._leaves(self._read(row), replace(row, item=made))

    def _read(self, row: Row) -> Element:
        found = Found()
        try:
            row.compiled.read(row.item, found, self.writer, "")
        except Refused as refused:
            refused.inside(row.pointer, row.compiled.places)
            raise
        return found.lists[row.compiled.rows.collection][0]

    def _leaves(self, element: Element, row: Row) -> bool:
        trial = object_at(copied(row.item), row.compiled.rows.rule, "")
        Row(row.compiled, None, trial, [], trial, row.pointer).put(element, self)
        return trial == row.item

    def _new(self, element: Element, compiled: CompiledRows, around: Tree, made: Tree) -> Home | None:
        """Append a new row, or fill an empty fixed place; None where the place is taken."""
        rows = compiled.rows
        if compiled.there is None:
            if self.names_new and element.id and len(rows.key) == 1 and not rows.within:
                fill(made, [(rows.key[0], element.id)])
                row = Row(compiled, element.id, around, [], made, compiled.pointer("-"))
                self.keyed[rows.collection][element.id] = row
            _append(around, rows.each, made)
            return Home(made, rows)
        key = slot_key(rows.slot or "", _belongs_to(element, rows) if rows.belongs else None)
        if key != element.id and key in self.ids:
            return None
        item = object_on_the_way(around, (*rows.each, ""))
        if compiled.there(item):
            return None
        Row(compiled, None, around, [], item, compiled.prefix).put(element, self, new=True)
        fill(item, rows.on_create)
        return Home(item, rows)

    def _made(self, element: Element, compiled: CompiledRows) -> Tree | None:
        """Make a new row, empty where the element says nothing; None if its values belong to rows of another kind."""
        rows = compiled.rows
        item: Tree = {}
        Row(compiled, None, item, [], item, compiled.pointer("-")).put(element, self, new=True)
        if not item:
            return item
        fill(item, [(one.pointer, one.words[0]) for one in rows.where if one.test == "is"])
        fill(item, rows.on_create)
        return item if says(item, rows.where) else None


def _belongs_to(element: Element, rows: Rows) -> str:
    return str(getattr(element, rows.belongs)) if rows.belongs else ""


def _has_fixed(element: Element, rows: Rows) -> bool:
    return all(getattr(element, name) == value for name, value in rows.fixed.items())


def _append(home: Tree, each: Pointer, item: Tree) -> None:
    holder = object_on_the_way(home, each)
    rows = holder.get(each[-1])
    if isinstance(rows, list):
        rows.append(item)
    else:
        holder[each[-1]] = [item]
