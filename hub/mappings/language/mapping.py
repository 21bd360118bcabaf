"""A mapping at work: it claims records, reads them into relay logs, and puts logs back on the target's records."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hub.mappings.language.compile import compiled
from hub.mappings.language.errors import MappingError, Refused
from hub.mappings.language.rules import Field, Pointer, RuleTree, Sample, Values, every_rows
from hub.mappings.language.runtime import Clear, CompiledRows, Tree, Writing, copied, found_at, says
from hub.mappings.language.source import read_tree
from hub.payloads.yamlfile import FileError, Mark
from hub.relaylog.model import Frozen, RelayLog

_NO_CLEAR: Clear = frozenset()


def load_mapping(text: str, file: str, *, samples: Path | None = None) -> Mapping:
    """Read and compile a mapping. `file` is the name that errors show.

    `samples` is the folder that the mapping's `tests` are relative to; with it, each test's files must be there.
    Raises FileError with file, line and column, what was found, what would be right and the nearest known name.
    """
    tree = read_tree(text, file)
    for sample in tree.header.tests if samples else ():
        for name in (sample.record, sample.expect):
            if samples and not (samples / name).is_file():
                raise FileError(Mark(file, 1, 1), f"the sample {name} is missing", "Add the file, or remove the test")
    return Mapping(tree)


class Mapping:
    """One template's mapping, compiled. Immutable; safe to share between threads.

    `id` is system/template, `version` counts its frozen versions, `origin` is published, observed, assumed or
    confirmed, `payload` the format of its records. `carries` are the canonical paths it reads (`status`,
    `subject.name`, `measures[].text`, `consents[].signed_by`), `writes` those it also writes.
    """

    def __init__(self, tree: RuleTree) -> None:
        self.tree = tree
        self.id = tree.header.id
        self.version = tree.header.version
        self.origin = tree.header.origin
        self.payload = tree.header.payload
        self.samples: tuple[Sample, ...] = tree.header.tests
        self.carries = frozenset(path for path, _ in _paths(tree))
        self.writes = frozenset(path for path, written in _paths(tree) if written)
        self._program = compiled(tree)
        self._order = _by_depth(self._program.lists)

    def claims(self, tree: Tree) -> bool:
        """Tell whether a record is of this mapping's template."""
        return says(tree, self.tree.header.when)

    def read(self, tree: Tree) -> RelayLog:
        """Read a record. Ids of elements are the source's keys, "" where it has none; references hold such keys.

        Raises MappingError where the record isn't what the mapping expects, or lacks what it requires.
        """
        try:
            log = self._program.read(_record(tree))
        except Refused as refused:
            raise self._error(refused) from None
        self._check_required(log)
        return log

    def write(self, record: Tree | None, log: RelayLog, *, clear: Clear = _NO_CLEAR) -> Tree:
        """Return the target's last record with a log put on it, or a new record; `record` itself is left as it is.

        Element ids in the log are the target's keys, or "" and unknown ones for new elements, which get no key here.
        Elements that the log lacks stay. An empty value keeps the record's, unless (list, element id, field) stands
        in `clear` (list and id are "" for the log's own fields). What reads back equal is not rewritten.
        Raises MappingError where the record isn't what the mapping expects.
        """
        out: Tree = {}
        try:
            if record is not None:
                out.update((name, copied(value)) for name, value in _record(record).items())
            writing = Writing(out, clear, log.language, self._program.writer(out, []))
            self._program.put(out, log, writing, record is None)
            writing.shelve(out, "", self._program.lists)
            for collection, lists in self._order:
                writing.place(collection, lists, log)
        except Refused as refused:
            raise self._error(refused) from None
        return out

    def stable(self, tree: Tree) -> Tree:
        """Return a record without its volatile places, for the change hash. What stays is shared with the record."""
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
            mapping=self.id, pointer=refused.pointer or "", path=rule.path, file=self.tree.file, line=rule.line,
            remedy=refused.remedy,
        )  # fmt: skip


def _record(tree: Tree) -> Tree:
    if not isinstance(tree, dict):
        raise Refused(0, "an object", "")
    return tree


def _paths(tree: RuleTree) -> Iterable[tuple[str, bool]]:
    """Yield every canonical path that is read, and whether it is written too."""
    yield from _field_paths("", tree.fields, written=True)
    for rows in every_rows(tree.rows):
        prefix = f"{rows.collection}[]."
        yield from _field_paths(prefix, rows.fields, written=rows.writes)
        for name in [*rows.fixed, *([rows.belongs] if rows.belongs else [])]:
            yield prefix + name, rows.writes


def _field_paths(prefix: str, fields: Iterable[Field | Values], *, written: bool) -> Iterable[tuple[str, bool]]:
    for field in fields:
        yield prefix + field.name, written and field.writes
        if isinstance(field, Values):
            yield from _field_paths(f"{prefix}{field.name}[].", field.fields, written=written and field.writes)


def _by_depth(lists: tuple[CompiledRows, ...]) -> tuple[tuple[str, tuple[CompiledRows, ...]], ...]:
    """Group the compiled lists by what they feed, those that stand inside others last."""
    grouped: dict[str, list[CompiledRows]] = {}
    while lists:
        for one in lists:
            grouped[one.rows.collection] = [*grouped.pop(one.rows.collection, []), one]
        lists = tuple(inner for one in lists for inner in one.nested)
    return tuple((collection, tuple(found)) for collection, found in grouped.items())


def _without(tree: Tree, pointer: Pointer) -> Tree:
    if found_at(tree, pointer[:-1]) is None or pointer[0] not in tree:
        return tree
    kept = {name: value for name, value in tree.items() if name != pointer[0]}
    inner = tree[pointer[0]]
    return (
        kept
        if len(pointer) == 1
        else {**kept, pointer[0]: _without(inner, pointer[1:])}
        if isinstance(inner, dict)
        else tree
    )
