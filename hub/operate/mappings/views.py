"""What a mapping does with records at hand, as rows to show: what it reads, what it leaves, what it changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, product

from hub.mappings.language import Mapping, Tree
from hub.mappings.language.pointers import Pointer
from hub.mappings.language.rules import Field, fields_around, rows_around
from hub.operate.mappings.records import Place, leaves, masked, shown_place, without_rows
from hub.payloads.yamlfile import YamlList, YamlMap, YamlNode, YamlScalar


@dataclass(frozen=True)
class Line:
    """One place and its value, as it may be shown. `mark` is "", "unmapped" or "changed"."""

    place: str
    value: str
    mark: str


@dataclass(frozen=True)
class Preview:
    """A record, the relay log read from it, and the record with that log written back."""

    record: tuple[Line, ...]
    log: tuple[Line, ...]
    back: tuple[Line, ...]


@dataclass(frozen=True)
class Filled:
    """One source field: in how many of the `of` records it is filled, and whether a rule reads it."""

    place: str
    records: int
    of: int
    read: bool


@dataclass(frozen=True)
class Difference:
    """One rule that differs between two mappings. What is "" isn't there."""

    path: str
    before: str
    after: str


def preview(mapping: Mapping, record: Tree, *, reveal: bool) -> Preview:
    """Read a record, write its log back on it, and return all three. Raises MappingError."""
    log = mapping.read(record)
    before = dict(leaves(record))
    after = dict(leaves(mapping.write(record, log)))
    read = read_places(mapping)

    def line(place: Place, value: object, mark: str) -> Line:
        return Line(shown_place(place), _revealed(value) if reveal else masked(value), mark)

    said = ((place, value) for place, value in leaves(log.model_dump(mode="json")) if value not in (None, "", [], {}))
    return Preview(
        tuple(line(one, value, "" if is_read(one, read) else "unmapped") for one, value in before.items()),
        tuple(line(one, value, "") for one, value in said),
        tuple(line(one, value, "" if _same(before, one, value) else "changed") for one, value in after.items()),
    )


def _same(before: dict[Place, object], place: Place, value: object) -> bool:
    return place in before and type(before[place]) is type(value) and before[place] == value


def _revealed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def coverage(mapping: Mapping, records: Iterable[Tree]) -> tuple[Filled, ...]:
    """Return every source field of the records in the order met, with how often it is filled.

    In a form, a box that nobody has ticked is not filled, and a kind of place that the form doesn't have is no field.
    """
    read, of_form = read_places(mapping), mapping.payload in ("docx", "pdf")
    filled: Counter[Pointer] = Counter()
    known: dict[Pointer, bool] = {}
    count = 0
    for record in records:
        count += 1
        places = [(place, value) for place, value in leaves(record) if value != {} or not of_form]
        for place, _ in places:
            field = without_rows(place)
            known[field] = known.get(field, False) or is_read(place, read)
        said = (one for one in places if one[1] not in (None, "", [], {}) and not (of_form and one[1] is False))
        filled.update({without_rows(place) for place, _ in said})
    around = {field[:length] for field in known for length in range(len(field))}  # empty here, filled in there
    fields = (field for field in known if field not in around)
    return tuple(Filled(shown_place(field), filled[field], count, known[field]) for field in fields)


def is_read(place: Place, read: frozenset[Pointer]) -> bool:
    """Tell whether a rule reads a place, what stands around it, or what would stand in it if it were not empty.

    A rule that picks a row says its number; one that reads all rows doesn't.
    """
    named = product(*(((str(name),), ()) if isinstance(name, int) else ((name,),) for name in place))
    said = {tuple(chain.from_iterable(names)) for names in named}
    around = any(one[:length] in read for one in said for length in range(1, len(one) + 1))
    return around or any(one[: len(field)] == field for field in said for one in read)


def read_places(mapping: Mapping) -> frozenset[Pointer]:
    """Return every place that a rule of a mapping reads, rows of lists left out. Conditions and keys are read, too."""
    tree = mapping.tree
    found: list[Pointer] = [one.pointer for one in tree.header.when]
    fields = [*fields_around([tree.writer] if isinstance(tree.writer, Field) else []), *fields_around(tree.fields)]
    for here, rows in rows_around(tree.rows):
        found += [(*here, *place) for place in (*rows.key, *(one.pointer for one in rows.where))]
        fields += fields_around(rows.fields, here)
    for here, field in fields:
        looked_at = _paths(field.expression.compiled.parsed, ()) if field.expression else ()
        found += [(*here, *place) for place in (*field.at, *looked_at)]
    return frozenset(place for place in found if place)


def _paths(node: dict[str, object], around: Pointer) -> Iterator[Pointer]:
    """Yield the places that an expression looks at, as far as its chains of names tell."""
    children = node.get("children")
    below = [child for child in children if isinstance(child, dict)] if isinstance(children, list) else []
    if node["type"] == "field":
        yield (*around, str(node["value"]))
    elif node["type"] in ("subexpression", "index_expression", "projection", "filter_projection", "value_projection"):
        places: list[Pointer] = [around]
        for child in below:
            inner = [place for one in places for place in _paths(child, one)]
            places = inner or places
        yield from places
    else:
        for child in below:
            yield from _paths(child, around)


def differing_rules(before: YamlMap, after: YamlMap) -> tuple[Difference, ...]:
    """Return the rules that two mappings don't share, by canonical path; keys of the head stand as `(when)`."""
    one, other = _by_path(before), _by_path(after)
    paths = dict.fromkeys([*one, *other])
    return tuple(
        Difference(path, one.get(path, ""), other.get(path, "")) for path in paths if one.get(path) != other.get(path)
    )


def _by_path(root: YamlMap) -> dict[str, str]:
    head = {f"({name})": _written(node) for name, node in root.items.items() if name not in ("fields", "tests")}
    return head | dict(_rules("", root.items.get("fields")))


def _rules(prefix: str, fields: YamlNode | None) -> Iterator[tuple[str, str]]:
    for name, node in fields.items.items() if isinstance(fields, YamlMap) else ():
        if not name.endswith("[]"):
            yield prefix + name, _written(node)
            continue
        lists = node.items if isinstance(node, YamlList) else (node,)
        for entry in lists:
            if isinstance(entry, YamlMap):
                path = f"{prefix}{name}" + (f"({_place(entry)})" if len(lists) > 1 else "")
                own = {key: value for key, value in entry.items.items() if key != "fields"}
                yield path, _written(YamlMap(own, entry.keys, entry.mark))
                yield from _rules(f"{path}.", entry.items.get("fields"))


def _place(entry: YamlMap) -> str:
    node = entry.items.get("each") or entry.items.get("slot")
    return node.text if isinstance(node, YamlScalar) else ""


def _written(node: YamlNode) -> str:
    if isinstance(node, YamlMap):
        return "{" + ", ".join(f"{key}: {_written(value)}" for key, value in node.items.items()) + "}"
    if isinstance(node, YamlList):
        return "[" + ", ".join(_written(item) for item in node.items) + "]"
    return json.dumps(node.text, ensure_ascii=False) if node.quoted else node.text
