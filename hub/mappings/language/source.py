"""From YAML to the rule tree: every key, path, pointer and code checked, every error with file, line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from hub.mappings.language.codecs import Marked
from hub.mappings.language.nodes import (
    as_choice,
    as_list,
    as_map,
    as_pointer,
    as_text,
    nearest,
    pointer_of,
    required,
)
from hub.mappings.language.options import (
    CODE_KEYS,
    Surroundings,
    codec_of,
    constant,
    is_written,
    option_keys,
)
from hub.mappings.language.rules import (
    Field,
    Header,
    Pointer,
    Rows,
    Rule,
    RuleTree,
    Sample,
    Values,
    pointer_text,
)
from hub.mappings.language.targets import names, target
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar, read_yaml
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import COLLECTIONS, SCHEMA, Element, Frozen, RelayLog, references

ORIGINS = ("published", "observed", "assumed", "confirmed")
PAYLOADS = ("json",)

_HEADER_KEYS = (
    "mapping", "version", "canonical", "origin", "payload", "when", "volatile", "part", "writer", "own", "required",
    "codes", "fields", "tests",
)  # fmt: skip
_ROWS_KEYS = ("each", "key", "belongs", "where", "set", "part", "writer", "written_on", "one_way", "fields")
_BESIDE_EACH = ("id", "writer", "written_on", "part")
_SERVICES = {str(service): service for service in Service}
_PARTS = {str(part): part for part in Part}

T = TypeVar("T")


def read_tree(text: str, file: str) -> RuleTree:
    """Read a mapping's YAML into its rule tree. Raises FileError at the first thing that can't be."""
    root = as_map(read_yaml(text, file), "a mapping", _HEADER_KEYS)
    own = _own(root)
    builder = _Builder(Surroundings(_named(root), own))
    writer = builder.default_writer(root)
    fields, rows = builder.fields(required(root, "fields", "the mapping"), RelayLog, "", None)
    header = _header(root, own, {field.name for field in fields})
    return RuleTree(file, header, writer, fields, rows, tuple(builder.rules))


def _header(root: YamlMap, own: frozenset[Service], filled: set[str]) -> Header:
    version = required(root, "version", "the mapping")
    number = as_text(version, "version")
    if not (number.isascii() and number.isdigit()) or int(number) < 1:
        raise FileError(version.mark, f"the version '{number}' is no whole number", "Count versions from 1")
    as_choice(required(root, "canonical", "the mapping"), "canonical", {SCHEMA: SCHEMA})
    return Header(
        id=_identity(required(root, "mapping", "the mapping")),
        version=int(number),
        origin=as_choice(required(root, "origin", "the mapping"), "origin", {word: word for word in ORIGINS}),
        payload=as_choice(required(root, "payload", "the mapping"), "payload", {word: word for word in PAYLOADS}),
        when=_conditions(required(root, "when", "the mapping"), "when"),
        volatile=tuple(as_pointer(node, "volatile") for node in _items(root, "volatile")),
        own=own,
        part=as_choice(root.items["part"], "part", _PARTS) if "part" in root.items else None,
        required=tuple(as_choice(node, "a path of this mapping", {name: name for name in filled})
                       for node in _items(root, "required")),
        tests=tuple(_sample(node) for node in _items(root, "tests")),
    )  # fmt: skip


def _identity(node: YamlNode) -> str:
    name = as_text(node, "mapping")
    if not all(part.replace("-", "").isalnum() for part in name.split("/")) or name.count("/") != 1:
        raise FileError(
            node.mark, f"'{name}' is no name of a mapping", "Write system/template, such as vigilo/stafettlogg"
        )
    return name


def _items(root: YamlMap, key: str) -> tuple[YamlNode, ...]:
    return as_list(root.items[key], key) if key in root.items else ()


def _own(root: YamlMap) -> frozenset[Service]:
    return frozenset(as_choice(node, "a service", _SERVICES) for node in _items(root, "own"))


def _named(root: YamlMap) -> dict[str, YamlMap]:
    lists = as_map(root.items["codes"], "codes").items if "codes" in root.items else {}
    found = {name: as_map(node, f"the code list '{name}'", CODE_KEYS) for name, node in lists.items()}
    for name, node in found.items():
        as_map(required(node, "codes", f"the code list '{name}'"), "codes")
    return found


def _conditions(node: YamlNode, what: str) -> tuple[tuple[Pointer, str], ...]:
    conditions = as_map(node, what)
    return tuple(
        (pointer_of(text, conditions.keys[text], what), as_text(value, what))
        for text, value in conditions.items.items()
    )


def _sample(node: YamlNode) -> Sample:
    entry = as_map(node, "a test", ("record", "expect"))
    return Sample(*(as_text(required(entry, key, "a test"), key) for key in ("record", "expect")))


class _Builder:
    """Builds fields and rows, numbering each rule as it is met."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.rules: list[Rule] = []

    def default_writer(self, root: YamlMap) -> Field | Service | None:
        """Return who wrote the elements that say nothing of it; read only, for it stands for the whole record."""
        node = root.items.get("writer")
        if node is None or _is_word(node):
            return as_choice(node, "a service", _SERVICES) if node else None
        spec = _long_form(node)
        read_only = YamlMap(spec.items | {"one_way": YamlScalar("read", node.mark, quoted=False)}, spec.keys, spec.mark)
        return self._field(read_only, Element, "writer", "writer")

    def fields(
        self, node: YamlNode, model: type[Frozen], prefix: str, within: str | None
    ) -> tuple[tuple[Field | Values, ...], tuple[Rows, ...]]:
        """Read a `fields` map: values of `model`, and lists of elements (named with `[]`)."""
        found: list[Field | Values] = []
        rows: list[Rows] = []
        entries = as_map(node, "fields")
        for name, value in entries.items.items():
            if name.endswith("[]"):
                rows += self._lists(value, name, entries.keys[name], within)
                continue
            self._check_name(name, model, entries.keys[name])
            inner = target(model, name)
            if inner and inner.model:
                found.append(self._values(value, inner.model, name, prefix + name))
            else:
                found.append(self._field(value, model, name, prefix + name))
        _check_places(found, entries.keys)
        return tuple(found), tuple(rows)

    def _check_name(self, name: str, model: type[Frozen], mark: Mark) -> None:
        allowed = [one for one in names(model) if not _reserved(model, one)]
        if name in allowed:
            return
        if model in COLLECTIONS.values() and name in _BESIDE_EACH:
            raise FileError(
                mark, f"'{name}' is not one of the fields", f"Write '{'key' if name == 'id' else name}:' beside 'each:'"
            )
        known = allowed + ([f"{one}[]" for one in COLLECTIONS] if model is RelayLog else [])
        raise FileError(mark, f"'{name}' is no field of {model.__name__}", nearest(name, known))

    def _number(self, path: str, pointer: Pointer, mark: Mark) -> int:
        self.rules.append(Rule(path, pointer, mark.line))
        return len(self.rules) - 1

    def _field(self, node: YamlNode, model: type[Frozen], name: str, path: str) -> Field:
        found = target(model, name)
        if found is None:
            raise FileError(node.mark, f"'{name}' is no value of {model.__name__}", nearest(name, names(model)))
        if name == "part":
            found = replace(found, default=None)  # where a record says none, the writer decides
        spec = _long_form(node)
        as_map(spec, f"a rule for {found.type_name}", option_keys(found, part=name == "part"))
        at = _places(required(spec, "at", "the rule"))
        rule = self._number(path, at[0], node.mark)
        codec = codec_of(rule, found, spec, len(at), self.around)
        const = constant(found, spec.items["const"], "const") if "const" in spec.items else None
        return Field(rule, name, found, at, codec, is_written(spec), const)

    def _values(self, node: YamlNode, model: type[Frozen], name: str, path: str) -> Values:
        what = f"the list {name}"
        spec = as_map(node, what, ("each", "fields", "one_way"))
        each = as_pointer(required(spec, "each", what), "each")
        rule = self._number(path, each, node.mark)
        entries = as_map(required(spec, "fields", what), "fields")
        found: list[Field] = []
        for inner, value in entries.items.items():
            self._check_name(inner, model, entries.keys[inner])
            found.append(self._field(value, model, inner, f"{path}[].{inner}"))
        _check_places(found, entries.keys)
        return Values(rule, name, model, each, tuple(found), is_written(spec))

    def _lists(self, node: YamlNode, name: str, mark: Mark, within: str | None) -> list[Rows]:
        collection = name.removesuffix("[]")
        if collection not in COLLECTIONS:
            raise FileError(
                mark, f"'{name}' is no list of the relay log", nearest(name, [f"{one}[]" for one in COLLECTIONS])
            )
        entries = node.items if isinstance(node, YamlList) else (node,)
        found = [self._rows(entry, collection, within) for entry in entries]
        for entry, rows in zip(entries[:-1], found[:-1], strict=True):
            if not rows.where and not rows.fixed:
                raise FileError(
                    entry.mark, f"several lists feed {name}, and nothing tells this one apart", "Add 'where:' or 'set:'"
                )
        return found

    def _rows(self, node: YamlNode, collection: str, within: str | None) -> Rows:
        name = f"{collection}[]"
        model = COLLECTIONS[collection]
        spec = as_map(node, f"the list {name}", _ROWS_KEYS)
        each = as_pointer(required(spec, "each", f"the list {name}"), "each")
        rule = self._number(name, each, node.mark)
        key = as_pointer(spec.items["key"], "key") if "key" in spec.items else None
        key_rule = self._number(f"{name}.id", key, spec.keys["key"]) if key else rule
        fields, nested = self.fields(required(spec, "fields", f"the list {name}"), model, f"{name}.", collection)
        fixed = _fixed(spec, model)
        belongs = _belongs(spec, model, name, within)
        beside = self._beside_each(spec, model, name, fields)
        _check_once(spec, [field.name for field in fields], [*fixed, *([belongs] if belongs else [])])
        return Rows(
            rule=rule, collection=collection, model=model, each=each,
            key=key,
            key_rule=key_rule,
            fields=(*beside, *fields), nested=nested,
            where=_conditions(spec.items["where"], "where") if "where" in spec.items else (),
            fixed=fixed, belongs=belongs, home=within, writes=is_written(spec),
            writer=_word(spec, "writer", _SERVICES), part=_word(spec, "part", _PARTS),
        )  # fmt: skip

    def _beside_each(
        self, spec: YamlMap, model: type[Frozen], name: str, fields: tuple[Field | Values, ...]
    ) -> list[Field]:
        marked = [field for field in fields if isinstance(field, Field) and isinstance(field.codec, Marked)]
        if len(marked) > 1:
            raise FileError(spec.mark, "two texts of one element carry the mark", "Mark the main text only")
        found = [
            self._field(spec.items[key], model, key, f"{name}.{key}")
            for key in ("writer", "written_on", "part")
            if key in spec.items and not (key != "written_on" and _is_word(spec.items[key]))
        ]
        for field in found:
            if marked and field.name != "part" and field.writes:
                raise FileError(
                    spec.items[field.name].mark, f"both a mark and a place say '{field.name}'",
                    "Add 'one_way: read' here, or remove the mark",
                )  # fmt: skip
        return found


def _reserved(model: type[Frozen], name: str) -> bool:
    return name in ("id", "canonical") if model is RelayLog else model in COLLECTIONS.values() and name in _BESIDE_EACH


def _is_word(node: YamlNode) -> bool:
    return isinstance(node, YamlScalar) and not node.text.startswith("/")


def _word(spec: YamlMap, key: str, choices: dict[str, T]) -> T | None:
    return as_choice(spec.items[key], key, choices) if key in spec.items and _is_word(spec.items[key]) else None


def _long_form(node: YamlNode) -> YamlMap:
    """A pointer alone is a rule with nothing but `at`."""
    return (
        YamlMap({"at": node}, {"at": node.mark}, node.mark) if isinstance(node, YamlScalar) else as_map(node, "a rule")
    )


def _places(node: YamlNode) -> tuple[Pointer, ...]:
    places = node.items if isinstance(node, YamlList) else (node,)
    if not places:
        raise FileError(node.mark, "no place at all", "Write at least one JSON Pointer")
    return tuple(as_pointer(place, "at") for place in places)


def _fixed(spec: YamlMap, model: type[Frozen]) -> dict[str, object]:
    found: dict[str, object] = {}
    entries = as_map(spec.items["set"], "set") if "set" in spec.items else None
    for name, node in entries.items.items() if entries else ():
        inner = target(model, name)
        if inner is None or inner.many or inner.reference or "." in name or name in _BESIDE_EACH:
            known = [one for one in names(model) if "." not in one and one not in _BESIDE_EACH]
            raise FileError(node.mark, f"'{name}' can't be set", nearest(name, known))
        found[name] = constant(inner, node, f"a value of '{name}'")
    return found


def _belongs(spec: YamlMap, model: type[Frozen], name: str, within: str | None) -> str | None:
    fitting = [field for field, collection in references(model).items() if collection == within]
    if "belongs" in spec.items:
        return as_choice(spec.items["belongs"], f"what ties {name} to the list around it", {f: f for f in fitting})
    if within is not None:
        raise FileError(spec.mark, f"{name} stands inside {within}[], but nothing ties it there", "Add 'belongs:'")
    return None


def _check_once(spec: YamlMap, filled: list[str], elsewhere: list[str]) -> None:
    for name in elsewhere:
        if name in filled:
            raise FileError(spec.mark, f"'{name}' is filled twice", "Remove it from 'fields', 'set' or 'belongs'")


def _check_places(fields: Sequence[Field | Values], marks: dict[str, Mark]) -> None:
    """Refuse two rules that would write over each other: the same place, or one inside the other."""
    taken: dict[Pointer, str] = {}
    for field in fields:
        for place in (field.at if isinstance(field, Field) else (field.each,)) if field.writes else ():
            for other, name in taken.items():
                if place[: len(other)] == other or other[: len(place)] == place:
                    raise FileError(
                        marks[field.name], f"'{field.name}' and '{name}' both write {pointer_text(place)}",
                        "Mark one of the two 'one_way: read'",
                    )  # fmt: skip
            taken[place] = field.name
