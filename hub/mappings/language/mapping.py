"""A mapping at work: it claims records, reads them into relay logs, and puts logs back on the target's records."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import cached_property
from pathlib import Path

from hub.mappings.language.codecs import Lines, Many
from hub.mappings.language.codelists import CodeList, lists_on
from hub.mappings.language.compile import Program, compiled
from hub.mappings.language.errors import MappingError, Refused, Unclaimed
from hub.mappings.language.nodes import FileText
from hub.mappings.language.overrides import whole_file
from hub.mappings.language.pointers import Pointer, pointer_text
from hub.mappings.language.rules import AnyField, PlacedValues, Rows, RuleTree, Sample, Values, every_rows
from hub.mappings.language.runtime import Clear, Found, copied, fill, says
from hub.mappings.language.source import tree_of
from hub.mappings.language.writing import Writing
from hub.payloads.base import Tree
from hub.payloads.yamlfile import FileError, Mark
from hub.relaylog.model import Frozen, RelayLog

_NO_CLEAR: Clear = frozenset()


def load_mapping(
    text: str,
    file: str,
    *,
    samples: Path | None = None,
    bases: dict[str, FileText] | None = None,
    lists: Iterable[CodeList] = (),
    on: date | None = None,
) -> Mapping:
    """Read and check a mapping. `file` is the name that errors show.

    `samples` is the folder that the mapping's `tests` are relative to; with it, each test's files must be there.
    `bases` are the mappings that it may extend, by id; `lists` the shared code lists that it may use, every version:
    those that hold on the day `on` are written, without a day the newest.
    Raises FileError with file, line and column, what was found, what would be right and the nearest known name.
    """
    root, made_of = whole_file(text, file, bases or {})
    shared = lists_on(on, lists)
    tree = tree_of(root, file, shared)
    for sample in tree.header.tests if samples else ():
        for name in (sample.record, sample.expect):
            if samples and not (samples / name).is_file():
                raise FileError(Mark(file, 1, 1), f"the sample {name} is missing", "Add the file, or remove the test")
    return Mapping(tree, (*made_of, *(source for name in sorted(tree.lists) for source in shared[name].texts)))


def claiming(mappings: Iterable[Mapping], tree: Tree) -> Mapping:
    """Return the one mapping that claims a record. Raises Unclaimed where none does, or more than one."""
    found = [mapping for mapping in mappings if mapping.claims(tree)]
    if len(found) != 1:
        raise Unclaimed(sorted(mapping.id for mapping in found))
    return found[0]


class Mapping:
    """One template's mapping. Immutable; safe to share between threads. It is compiled when first used.

    `id` is system/template, `version` counts its frozen versions, `origin` is published, observed, assumed or
    confirmed, `payload` the format of its records and `payload_options` that format's options, as plain data. `extends`
    is the mapping that it changes, None for a whole one. `carries` are the canonical paths it reads (`status`,
    `subject.name`, `measures[].text`, `consents[].signed_by`), `writes` those it also writes. `made_of` are the files
    that say all this: its bases, itself, the shared code lists.
    """

    def __init__(self, tree: RuleTree, made_of: tuple[FileText, ...]) -> None:
        self.tree = tree
        self.made_of = made_of
        self.id = tree.header.id
        self.version = tree.header.version
        self.extends = tree.header.extends
        self.origin = tree.header.origin
        self.payload = tree.header.payload
        self.payload_options = _completed(tree)
        self.samples: tuple[Sample, ...] = tree.header.tests
        self.carries = frozenset(path for path, _ in _paths(tree))
        self.writes = frozenset(path for path, written in _paths(tree) if written)

    @cached_property
    def _program(self) -> Program:
        return compiled(self.tree)

    def claims(self, tree: Tree) -> bool:
        """Tell whether a record is of this mapping's template."""
        return says(tree, self.tree.header.when)

    def read(self, tree: Tree) -> RelayLog:
        """Read a record. Ids of elements are the source's keys, "" where it has none; references hold such keys.

        Raises MappingError where the record isn't what the mapping expects, or lacks what it requires.
        """
        try:
            log = self._program.read(_record(tree), Found())
        except Refused as refused:
            raise self._error(refused) from None
        self._check_required(log)
        return log

    def national_id(self, tree: Tree) -> str:
        """Return the national id of a record's subject, also where nothing else of it can be read; "" for none."""
        try:
            return self._national_id.read(_record(tree), Found()).subject.national_id
        except Refused:
            return ""

    @cached_property
    def _national_id(self) -> Program:
        """The one rule that reads it, where there is one."""
        of_subject = tuple(field for field in self.tree.fields if field.name == "subject.national_id")
        return compiled(replace(self.tree, writer=None, fields=of_subject, rows=()))

    def write(self, record: Tree | None, log: RelayLog, *, clear: Clear = _NO_CLEAR) -> Tree:
        """Return the target's last record with a log put on it, or a new record; `record` itself is left as it is.

        Element ids in the log are the target's keys, or "" and unknown ones for new elements. A new row gets no key, or
        where `new_ids: hub` says so the id of its element.
        Elements that the log lacks stay. An empty value keeps the record's, unless (list, element id, field) stands
        in `clear` (list and id are "" for the log's own fields). What reads back equal is not rewritten.
        Raises MappingError where the record isn't what the mapping expects.
        """
        return self._written(record, log, clear).root

    def shown(self, record: Tree | None, log: RelayLog, *, clear: Clear = _NO_CLEAR) -> tuple[Tree, RelayLog]:
        """Return what `write` does, and how it reads: each element under the id that it was written with.

        A template may say less of an element than the log, and give a new row no key: this tells which is which.
        Raises as `write` does.
        """
        writing, found = self._written(record, log, clear), Found()
        try:
            read = self._program.read(writing.root, found)
        except Refused as refused:
            raise self._error(refused) from None
        ids = {
            (collection, id(home.item)): element_id
            for collection, homes in writing.homes.items()
            for element_id, home in homes.items()
        }
        lists = {
            collection: tuple(
                element.model_copy(update={"id": ids.get((collection, id(item)), element.id)})
                for element, item in zip(elements, found.items[collection], strict=True)
            )
            for collection, elements in found.lists.items()
            if collection != "extensions"
        }
        return writing.root, read.model_copy(update=lists)

    def left_out(self, record: Tree | None, log: RelayLog, *, clear: Clear = _NO_CLEAR) -> tuple[tuple[str, str], ...]:
        """Return the elements, as (list, id), that `write` finds no place for: a measure without a goal, where the

        template keeps measures inside goals; a third guardian, where it has two places. Raises as `write` does.
        """
        return tuple(self._written(record, log, clear).left)

    def _written(self, record: Tree | None, log: RelayLog, clear: Clear) -> Writing:
        out: Tree = {}
        program = self._program
        try:
            if record is not None:
                out.update((name, copied(value)) for name, value in _record(record).items())
            writing = Writing(out, clear, log.language, None, names_new=self.tree.header.names_new)
            program.put(out, log, writing, record is None)
            writing.writer = program.writer(out, [])  # as the record says by now, for so it will be read
            if record is None:
                fill(out, self.tree.header.on_create)
            writing.shelve(out, "", program.lists)
            for collection, lists in program.order:
                writing.place(collection, lists, log)
        except Refused as refused:
            raise self._error(refused) from None
        return writing

    def stable(self, tree: Tree) -> Tree:
        """Return a record without its volatile places, for the change hash. What stays is shared with the record.

        A place inside a list is left out of every row.
        """
        for pointer in self.tree.header.volatile:
            tree = _without(tree, pointer)
        return tree

    def _check_required(self, log: RelayLog) -> None:
        for name in self.tree.header.required:
            value: object = log
            for step in name.split("."):
                value = getattr(value, step) if isinstance(value, Frozen) else None
            if value is None or value == "":
                rule = next(field.rule for field in self.tree.fields if field.name == name)
                raise self._error(Refused(rule, "a value: it is required"))

    def _error(self, refused: Refused) -> MappingError:
        rule = self.tree.rules[refused.rule]
        refused.inside("", self._program.places)
        return MappingError(
            mapping=self.id, pointer=refused.pointer or "", path=rule.path, file=rule.mark.file, line=rule.mark.line,
            remedy=refused.remedy,
        )  # fmt: skip


def _record(tree: Tree) -> Tree:
    if not isinstance(tree, dict):
        raise Refused(0, "an object", "")
    return tree


def _completed(tree: RuleTree) -> dict[str, object]:
    """Add to an XML payload's options what the rules say already: which elements repeat, and which are objects."""
    options = dict(tree.header.options)
    if tree.header.payload == "xml":
        lists, objects = set[Pointer](), set[Pointer]()
        _note_shapes((), tree.fields, lists, objects)
        for rows in tree.rows:
            _note_rows((), rows, lists, objects)
        for name, found in (("lists", lists), ("objects", objects)):
            declared = options.get(name)
            said = map(str, declared) if isinstance(declared, list) else ()
            options[name] = sorted({*said, *map(pointer_text, found)})
    return options


def _note_rows(around: Pointer, rows: Rows, lists: set[Pointer], objects: set[Pointer]) -> None:
    here = around + rows.each
    if rows.slot is None:
        lists.add(here)
        objects.add(here)
    _note_places(around, [(*rows.each, *place) for place in rows.key], objects)
    _note_places(here, [one.pointer for one in rows.where], objects)
    _note_shapes(here, rows.fields, lists, objects)
    for inner in rows.nested:
        _note_rows(here, inner, lists, objects)


def _note_shapes(around: Pointer, fields: Iterable[AnyField], lists: set[Pointer], objects: set[Pointer]) -> None:
    for field in fields:
        if isinstance(field, Values):
            lists.add(around + field.each)
            objects.add(around + field.each)
            _note_shapes(around + field.each, field.fields, lists, objects)
            continue
        if isinstance(field, PlacedValues):
            for place in field.places:
                _note_shapes(around, place.fields, lists, objects)
            continue
        _note_places(around, field.at, objects)
        if isinstance(field.codec, Lines) or (isinstance(field.codec, Many) and not field.codec.separator):
            lists.update(around + place for place in field.at)


def _note_places(around: Pointer, places: Iterable[Pointer], objects: set[Pointer]) -> None:
    """Note the elements of which attributes, or the text beside them, are read: they are objects, filled or not."""
    for place in places:
        if place[-1] == "#text" or place[-1].startswith("@"):
            objects.add(around + place[:-1])


def _paths(tree: RuleTree) -> Iterable[tuple[str, bool]]:
    """Yield every canonical path that is read, and whether it is written too."""
    yield from _field_paths("", tree.fields, written=True)
    for rows in every_rows(tree.rows):
        prefix = f"{rows.collection}[]."
        yield from _field_paths(prefix, rows.fields, written=rows.writes)
        for name in [*rows.fixed, *([rows.belongs] if rows.belongs else [])]:
            yield prefix + name, rows.writes


def _field_paths(prefix: str, fields: Iterable[AnyField], *, written: bool) -> Iterable[tuple[str, bool]]:
    for field in fields:
        yield prefix + field.name, written and field.writes
        if isinstance(field, Values):
            yield from _field_paths(f"{prefix}{field.name}[].", field.fields, written=written and field.writes)
        for place in field.places if isinstance(field, PlacedValues) else ():
            yield from _field_paths(f"{prefix}{field.name}[].", place.fields, written=written)
            for name in place.fixed:
                yield f"{prefix}{field.name}[].{name}", written


def _without(tree: Tree, pointer: Pointer) -> Tree:
    if pointer[0] not in tree:
        return tree
    if len(pointer) == 1:
        return {name: value for name, value in tree.items() if name != pointer[0]}
    inner = tree[pointer[0]]
    if isinstance(inner, dict):
        return {**tree, pointer[0]: _without(inner, pointer[1:])}
    if isinstance(inner, list):
        rows = [_without(row, pointer[1:]) if isinstance(row, dict) else row for row in inner]
        return {**tree, pointer[0]: rows}
    return tree
