"""From YAML to the rule tree: every key, path, pointer and code checked, every error with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from hub.mappings.language import expressions
from hub.mappings.language.codecs import Policy
from hub.mappings.language.codelists import CodeList
from hub.mappings.language.conditions import row_conditions
from hub.mappings.language.formplaces import check_places
from hub.mappings.language.header import PARTS, SERVICES, constants, header_of, items, own_services, payload_of
from hub.mappings.language.lint import Claim, check_claims, check_lists, check_references, check_slots
from hub.mappings.language.marked import Marked
from hub.mappings.language.nodes import (
    as_choice,
    as_map,
    as_pointer,
    as_text,
    as_written_pointer,
    nearest,
    required,
)
from hub.mappings.language.options import (
    CODE_KEYS,
    Surroundings,
    codec_of,
    constant,
    is_written,
    option_keys,
    policy_of,
)
from hub.mappings.language.persons import Persons, person_tables
from hub.mappings.language.pointers import Pointer, counts_rows
from hub.mappings.language.rules import AnyField, Field, PlacedValues, Rows, Rule, RuleTree, ValuePlace, Values
from hub.mappings.language.targets import Target, names, target
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar
from hub.relaylog.codes import Service
from hub.relaylog.model import COLLECTIONS, Element, Frozen, RelayLog, nested_model, references

BESIDE_EACH = ("id", "writer", "written_on", "part")
ROWS_KEYS = (
    "each", "slot", "at", "key", "key_within", "alike", "belongs", "orphans", "where", "set", "on_create", "person",
    "part", "writer", "written_on", "one_way", "fields",
)  # fmt: skip

T = TypeVar("T")


def tree_of(root: YamlMap, file: str, shared: dict[str, CodeList]) -> RuleTree:
    """Turn a mapping's nodes into its rule tree. Raises FileError at the first thing that can't be."""
    around = Surroundings(_named(root), shared, own_services(root), payload_of(root), _policy(root))
    builder = _Builder(around, Persons(person_tables(root)))
    writer = builder.default_writer(root)
    fields, rows = builder.fields(required(root, "fields", "the mapping"), RelayLog, "", None)
    rows += tuple(builder.adopting)
    header = header_of(root, {field.name for field in fields})
    check_claims(builder.claims[None] + builder.adopting_claims)
    check_lists(rows, builder.rules)
    check_references(fields, rows, builder.rules)
    check_slots(rows, builder.rules)
    _check_used(root, file, builder)
    used = frozenset(name for name in shared if f"list:{name}" in around.used)
    tree = RuleTree(header, writer, fields, rows, tuple(builder.rules), used)
    check_places(root, tree)
    return tree


def _policy(root: YamlMap) -> Policy:
    return policy_of(root.items["unknown"]) if "unknown" in root.items else "keep"


def _named(root: YamlMap) -> dict[str, YamlMap]:
    lists = as_map(root.items["codes"], "codes").items if "codes" in root.items else {}
    found = {name: as_map(node, f"the code list '{name}'", CODE_KEYS) for name, node in lists.items()}
    for name, node in found.items():
        as_map(required(node, "codes", f"the code list '{name}'"), "codes")
    return found


def _check_used(root: YamlMap, file: str, builder: _Builder) -> None:
    """Refuse lists and tables that no rule reads; what a base has and an override no longer needs may stay."""
    for key, used in (("codes", builder.around.used), ("persons", builder.persons.used)):
        entries = as_map(root.items[key], key) if key in root.items else None
        for name, mark in entries.keys.items() if entries else ():
            if name not in used and mark.file == file:
                raise FileError(mark, f"'{name}' is never read: no rule uses it", "Use it, or remove it")


@dataclass(frozen=True)
class _Within:
    """The list of elements that rules stand in: its collection and the number of its rule."""

    collection: str
    rule: int


class _Builder:
    """Builds fields and rows, numbering each rule as it is met, and notes who claims which place to write.

    `claims` are by the rule of the list around, None for the record. `adopting` are lists at the top that take the
    rows of a nested list while they belong to nothing; while one is made (`copying`), the lists inside it are the
    nested list's again, and their orphans have their list already.
    """

    def __init__(self, around: Surroundings, persons: Persons) -> None:
        self.around = around
        self.persons = persons
        self.rules: list[Rule] = []
        self.claims: dict[int | None, list[Claim]] = {None: []}
        self.adopting: list[Rows] = []
        self.copying = False
        self.adopting_claims: list[Claim] = []

    def default_writer(self, root: YamlMap) -> Field | Service | None:
        """Return who wrote the elements that say nothing of it; read only, for it stands for the whole record."""
        node = root.items.get("writer")
        if node is None or _is_word(node):
            return as_choice(node, "a service", SERVICES) if node else None
        spec = _long_form(node)
        read_only = YamlMap(spec.items | {"one_way": YamlScalar("read", node.mark, quoted=False)}, spec.keys, spec.mark)
        return self._field(read_only, Element, "writer", "writer")

    def fields(
        self, node: YamlNode, model: type[Frozen], prefix: str, within: _Within | None
    ) -> tuple[tuple[AnyField, ...], tuple[Rows, ...]]:
        """Read a `fields` map: values of `model`, and lists of elements (named with `[]`)."""
        found: list[AnyField] = []
        rows: list[Rows] = []
        claims = self.claims[within.rule if within else None]
        entries = self._without_persons(as_map(node, "fields"), model)
        for name, value in entries.items.items():
            mark = entries.keys[name]
            if name.endswith("[]"):
                made = self._lists(value, name, mark, within)
                claims += [claim for one in made if one.writes for claim in self._claims_of_rows(one, mark)]
                rows += made
                continue
            self._check_name(name, model, mark)
            inner = target(model, name)
            field = (
                self._values(value, inner.model, name, prefix + name)
                if inner and inner.model
                else self._field(value, model, name, prefix + name)
            )
            claims += _claims_of(field, mark)
            found.append(field)
        return tuple(found), tuple(rows)

    def _claims_of_rows(self, rows: Rows, mark: Mark) -> list[Claim]:
        if rows.slot is None:
            return [Claim(f"{rows.collection}[]", rows.each, mark, whole=True)]
        return [replace(claim, place=rows.each + claim.place) for claim in self.claims[rows.rule]]

    def _without_persons(self, entries: YamlMap, model: type[Frozen]) -> YamlMap:
        """Write out the persons among the fields; a rule written for one of their values itself wins."""
        found = entries
        for name, value in entries.items.items():
            inner = nested_model(model, name) if name in model.model_fields else None
            if inner is None or not isinstance(value, YamlMap) or "person" not in value.items:
                continue
            rules = self.persons.of_field(name, value, inner)
            items = {**{n: node for n, node in found.items.items() if n != name}}
            added = {n: node for n, node in rules.items.items() if n not in items}
            found = YamlMap({**items, **added}, {**found.keys, **dict.fromkeys(added, entries.keys[name])}, found.mark)
        return found

    def _check_name(self, name: str, model: type[Frozen], mark: Mark) -> None:
        allowed = [one for one in names(model) if not _reserved(model, one)]
        if name in allowed:
            return
        if model in COLLECTIONS.values() and name in BESIDE_EACH:
            raise FileError(
                mark, f"'{name}' is not one of the fields", f"Write '{'key' if name == 'id' else name}:' beside 'each:'"
            )
        known = allowed + ([f"{one}[]" for one in COLLECTIONS] if model is RelayLog else [])
        raise FileError(mark, f"'{name}' is no field of {model.__name__}", nearest(name, known))

    def _number(self, path: str, pointer: Pointer, mark: Mark) -> int:
        self.rules.append(Rule(path, pointer, mark))
        return len(self.rules) - 1

    def _field(self, node: YamlNode, model: type[Frozen], name: str, path: str) -> Field:
        found = target(model, name)
        if found is None:
            raise FileError(node.mark, f"'{name}' is no value of {model.__name__}", nearest(name, names(model)))
        if name == "part":
            found = replace(found, default=None)  # where a record says none, the writer decides
        spec = _long_form(node)
        as_map(spec, f"a rule for {found.type_name}", option_keys(found, part=name == "part"))
        if "jmes" in spec.items:
            return self._found_by_expression(spec, found, name, path)
        at = _places(required(spec, "at", "the rule"))
        rule = self._number(path, at[0], node.mark)
        codec = codec_of(rule, found, spec, len(at), self.around)
        if is_written(spec) and any(counts_rows(place) for place in at):
            remedy = "Add 'one_way: read', for rows move"
            raise FileError(spec.items["at"].mark, "a row picked by its number can't be written", remedy)
        const = constant(found, spec.items["const"], "const") if "const" in spec.items else None
        return Field(rule, name, found, at, codec, is_written(spec), const)

    def _found_by_expression(self, spec: YamlMap, found: Target, name: str, path: str) -> Field:
        node = spec.items["jmes"]
        for key in ("at", "join"):
            if key in spec.items:
                raise FileError(spec.keys[key], f"both an expression and '{key}' say where", "Keep one of the two")
        rule = self._number(path, (), node.mark)
        expression = expressions.compiled(rule, as_text(node, "jmes"), node.mark)
        codec = codec_of(rule, found, spec, 1, self.around)
        return Field(rule, name, found, (), codec, is_written(spec), expression=expression)

    def _values(self, node: YamlNode, model: type[Frozen], name: str, path: str) -> Values | PlacedValues:
        what = f"the list {name}"
        if isinstance(node, YamlList):
            rule = self._number(path, (), node.mark)
            return PlacedValues(rule, name, model, tuple(self._value_place(one, model, path) for one in node.items))
        spec = as_map(node, what, ("each", "fields", "one_way"))
        each = as_written_pointer(required(spec, "each", what), "each")
        rule = self._number(path, each, node.mark)
        found = self._value_fields(required(spec, "fields", what), model, path)
        check_claims([claim for field in found for claim in _claims_of(field, self.rules[field.rule].mark)])
        return Values(rule, name, model, each, found, is_written(spec))

    def _value_place(self, node: YamlNode, model: type[Frozen], path: str) -> ValuePlace:
        spec = as_map(node, "a place of a value", ("set", "fields"))
        rule = self._number(path, (), node.mark)
        found = self._value_fields(required(spec, "fields", "a place of a value"), model, path)
        fixed = _fixed(spec, model)
        _check_once(spec, [field.name for field in found], fixed)
        return ValuePlace(rule, found, fixed)

    def _value_fields(self, node: YamlNode, model: type[Frozen], path: str) -> tuple[Field, ...]:
        entries = as_map(node, "fields")
        found: list[Field] = []
        for inner, value in entries.items.items():
            self._check_name(inner, model, entries.keys[inner])
            found.append(self._field(value, model, inner, f"{path}[].{inner}"))
        return tuple(found)

    def _lists(self, node: YamlNode, name: str, mark: Mark, within: _Within | None) -> list[Rows]:
        collection = name.removesuffix("[]")
        if collection not in COLLECTIONS:
            raise FileError(
                mark, f"'{name}' is no list of the relay log", nearest(name, [f"{one}[]" for one in COLLECTIONS])
            )
        entries = node.items if isinstance(node, YamlList) else (node,)
        found = [self._rows(as_map(entry, f"the list {name}", ROWS_KEYS), collection, within) for entry in entries]
        for entry, rows in zip(entries[:-1], found[:-1], strict=True):
            if rows.slot is None and not rows.where and not rows.fixed:
                raise FileError(
                    entry.mark, f"several lists feed {name}, and nothing tells this one apart", "Add 'where:' or 'set:'"
                )
        for entry, rows in zip(entries, found, strict=True):
            self._adopt(as_map(entry, name), rows, mark)
        return found

    def _adopt(self, spec: YamlMap, rows: Rows, mark: Mark) -> None:
        """Make the list at the top where a nested list's elements stand while they belong to nothing."""
        if "orphans" not in spec.items or self.copying:
            return
        node = spec.items["orphans"]
        if rows.belongs is None:
            raise FileError(spec.keys["orphans"], "nothing is an orphan at the top", "Remove 'orphans'")
        alone = {key: value for key, value in spec.items.items() if key not in ("orphans", "belongs", "key_within")}
        around = YamlMap(alone | {"each": node}, spec.keys, spec.mark)
        self.copying = True
        twin = _copy_of(rows, replace(self._rows(around, rows.collection, None), adopts=rows.rule))
        self.copying = False
        self.adopting.append(twin)
        self.adopting_claims.append(Claim(f"{rows.collection}[]", twin.each, mark, whole=True))

    def _rows(self, spec: YamlMap, collection: str, within: _Within | None) -> Rows:
        name = f"{collection}[]"
        model = COLLECTIONS[collection]
        each, slot = _stands(spec, name)
        rule = self._number(name, each, spec.mark)
        self.claims[rule] = []
        keys = _key_places(spec)
        key_rule = self._number(f"{name}.id", keys[0], spec.keys["key"]) if keys else rule
        fields, nested = self.fields(self._entries(spec, name, model), model, f"{name}.", _Within(collection, rule))
        fixed = _fixed(spec, model)
        belongs = _belongs(spec, model, name, within)
        beside = self._beside_each(spec, model, name, fields)
        _check_once(spec, [field.name for field in fields], [*fixed, *([belongs] if belongs else [])])
        self._check_row_places(spec, rule, keys, beside)
        return Rows(
            rule=rule, collection=collection, model=model, each=each, slot=slot,
            key=keys, within=_within_parent(spec, within), alike=_alike(spec, fields), key_rule=key_rule,
            fields=(*beside, *fields), nested=nested,
            where=row_conditions(spec.items["where"]) if "where" in spec.items else (),
            fixed=fixed, on_create=constants(spec), belongs=belongs,
            home=within.collection if within else None, inside=within.rule if within else None, adopts=None, like=rule,
            writes=is_written(spec),
            writer=_word(spec, "writer", SERVICES), part=_word(spec, "part", PARTS),
        )  # fmt: skip

    def _entries(self, spec: YamlMap, name: str, model: type[Frozen]) -> YamlMap:
        if "person" not in spec.items:
            return as_map(required(spec, "fields", f"the list {name}"), "fields")
        own = as_map(spec.items["fields"], "fields") if "fields" in spec.items else YamlMap({}, {}, spec.mark)
        return self.persons.of_rows(spec.items["person"], own, model)

    def _check_row_places(self, spec: YamlMap, rule: int, keys: tuple[Pointer, ...], beside: list[Field]) -> None:
        if not is_written(spec):
            return
        claims = self.claims[rule]
        claims += [claim for field in beside for claim in _claims_of(field, spec.keys[field.name])]
        check_claims([Claim("the key", key, spec.keys["key"], whole=False) for key in keys] + claims)

    def _beside_each(self, spec: YamlMap, model: type[Frozen], name: str, fields: tuple[AnyField, ...]) -> list[Field]:
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


def _copy_of(rows: Rows, twin: Rows) -> Rows:
    """Note that a list made twice from one entry has rows of one kind, and so have the lists inside it."""
    nested = tuple(_copy_of(one, other) for one, other in zip(rows.nested, twin.nested, strict=True))
    return replace(twin, like=rows.like, nested=nested)


def _claims_of(field: AnyField, mark: Mark) -> list[Claim]:
    if not field.writes:
        return []
    if isinstance(field, PlacedValues):
        return [claim for place in field.places for one in place.fields for claim in _claims_of(one, mark)]
    places = field.at if isinstance(field, Field) else (field.each,)
    return [Claim(field.name, place, mark, whole=False) for place in places]


def _reserved(model: type[Frozen], name: str) -> bool:
    return name in ("id", "canonical") if model is RelayLog else model in COLLECTIONS.values() and name in BESIDE_EACH


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


def _stands(spec: YamlMap, name: str) -> tuple[Pointer, str | None]:
    """Return where rows stand: in a list (`each`), or in one fixed place (`slot`, at an object or the one around)."""
    if "slot" not in spec.items:
        if "at" in spec.items:
            raise FileError(spec.keys["at"], "'at' is for one fixed place", "Write 'each:' for a list, or add 'slot:'")
        return as_written_pointer(required(spec, "each", f"the list {name}"), "each"), None
    for key in ("each", "key", "key_within", "alike", "orphans", "where"):
        if key in spec.items:
            raise FileError(spec.keys[key], f"'{key}' and 'slot' don't go together", "Keep one of the two")
    slot = as_text(spec.items["slot"], "slot")
    return as_written_pointer(spec.items["at"], "at") if "at" in spec.items else (), slot


def _key_places(spec: YamlMap) -> tuple[Pointer, ...]:
    if "key" not in spec.items:
        return ()
    node = spec.items["key"]
    places = node.items if isinstance(node, YamlList) else (node,)
    if not places:
        raise FileError(node.mark, "no place at all", "Write at least one JSON Pointer")
    return tuple(as_written_pointer(place, "key") for place in places)


def _within_parent(spec: YamlMap, within: _Within | None) -> bool:
    if "key_within" not in spec.items:
        return False
    as_choice(spec.items["key_within"], "key_within", {"parent": True})
    for key, there in (("key", "key" in spec.items), ("each", within is not None)):
        if not there:
            remedy = "Add 'key:'" if key == "key" else "Remove it: no list is around this one"
            raise FileError(spec.keys["key_within"], "'key_within' is never read here", remedy)
    return True


def _alike(spec: YamlMap, fields: Iterable[AnyField]) -> tuple[str, ...]:
    known = {field.name: field.name for field in fields if isinstance(field, Field)}
    return tuple(as_choice(node, "a field of the row", known) for node in items(spec, "alike"))


def _fixed(spec: YamlMap, model: type[Frozen]) -> dict[str, object]:
    found: dict[str, object] = {}
    entries = as_map(spec.items["set"], "set") if "set" in spec.items else None
    for name, node in entries.items.items() if entries else ():
        inner = target(model, name)
        if inner is None or inner.many or inner.reference or "." in name or name in BESIDE_EACH:
            known = [one for one in names(model) if "." not in one and one not in BESIDE_EACH]
            raise FileError(node.mark, f"'{name}' can't be set", nearest(name, known))
        found[name] = constant(inner, node, f"a value of '{name}'")
    return found


def _belongs(spec: YamlMap, model: type[Frozen], name: str, within: _Within | None) -> str | None:
    fitting = [field for field, collection in references(model).items() if within and collection == within.collection]
    if "belongs" in spec.items:
        return as_choice(spec.items["belongs"], f"what ties {name} to the list around it", {f: f for f in fitting})
    if within is not None:
        around = within.collection
        raise FileError(spec.mark, f"{name} stands inside {around}[], but nothing ties it there", "Add 'belongs:'")
    return None


def _check_once(spec: YamlMap, filled: Iterable[str], elsewhere: Iterable[str]) -> None:
    for name in elsewhere:
        if name in filled:
            raise FileError(spec.mark, f"'{name}' is filled twice", "Remove it from 'fields', 'set' or 'belongs'")
