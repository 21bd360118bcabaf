"""Persons as one: a small table says once where a person's name, number and contact stand, and many rules use it.

Here the short form is written out, before any rule is built: `holder: {at: /leder, person: kontakt}` becomes one rule
for each entry of the table that the model has a field for.
"""

from __future__ import annotations

from hub.mappings.language.nodes import as_choice, as_map, as_text, nearest
from hub.mappings.language.targets import names
from hub.payloads.yamlfile import FileError, YamlList, YamlMap, YamlNode, YamlScalar
from hub.relaylog.model import Actor, Frozen, Guardian, OrgUnit, Party, Relative, Signer, Subject

_MODELS: tuple[type[Frozen], ...] = (Actor, Guardian, OrgUnit, Party, Relative, Signer, Subject)
_ALL = frozenset(name for model in _MODELS for name in names(model))

Tables = dict[str, YamlMap]


def person_tables(root: YamlMap) -> Tables:
    """Read `persons` at the top. Raises FileError for a name that no person in the model has."""
    entries = as_map(root.items["persons"], "persons").items if "persons" in root.items else {}
    tables = {name: as_map(node, f"the person table '{name}'") for name, node in entries.items()}
    for name, table in tables.items():
        as_map(table, f"the person table '{name}'", _ALL)
    return tables


class Persons:
    """The person tables of a mapping, and which of them rules have used."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.used: set[str] = set()

    def of_field(self, name: str, node: YamlMap, model: type[Frozen]) -> YamlMap:
        """Write out `name: {at: /place, person: table}` as rules for the values inside `name`."""
        spec = as_map(node, "a person", ("at", "person", "one_way"))
        beside = {key: spec.items[key] for key in ("one_way",) if key in spec.items}
        rules = self._rules(spec.items["person"], model, spec.items.get("at"), beside)
        return _map({f"{name}.{key}": rule for key, rule in rules.items()}, node)

    def of_rows(self, node: YamlNode, fields: YamlMap, model: type[Frozen]) -> YamlMap:
        """Add the rules of `person: table`, or of `person: {at: /place, table: table}`, to the fields of a list."""
        spec = as_map(node, "a person", ("at", "table")) if isinstance(node, YamlMap) else None
        table = spec.items.get("table", spec) if spec else node
        rules = self._rules(table, model, spec.items.get("at") if spec else None, {})
        added = {key: rule for key, rule in rules.items() if key not in fields.items}
        return YamlMap(added | fields.items, {**dict.fromkeys(added, node.mark), **fields.keys}, fields.mark)

    def _rules(
        self, table: YamlNode, model: type[Frozen], at: YamlNode | None, beside: dict[str, YamlNode]
    ) -> dict[str, YamlNode]:
        known = names(model)
        if isinstance(table, YamlMap):
            found = as_map(table, "a person", known)
        else:
            found = as_choice(table, "a table under 'persons' at the top", self.tables)
            self.used.add(as_text(table, "person"))
        prefix = as_text(at, "at") if at else ""
        rules = {key: _below(rule, prefix, beside) for key, rule in found.items.items() if key in known}
        if not rules:
            raise FileError(table.mark, f"nothing in this table is known of {model.__name__}", nearest("name", known))
        return rules


def _below(rule: YamlNode, prefix: str, beside: dict[str, YamlNode]) -> YamlNode:
    """Put a rule's places below a place."""
    if isinstance(rule, YamlScalar):
        rule = _map({"at": rule}, rule)
    spec = as_map(rule, "a rule")
    if prefix and "jmes" in spec.items:
        raise FileError(spec.keys["jmes"], "an expression can't be moved below 'at'", "Write the place into it")
    at = spec.items.get("at")
    moved: dict[str, YamlNode] = {"at": _moved(at, prefix)} if at else {}
    return _map(spec.items | moved | beside, spec)


def _moved(at: YamlNode, prefix: str) -> YamlNode:
    if isinstance(at, YamlList):
        return YamlList(tuple(_moved(place, prefix) for place in at.items), at.mark)
    return YamlScalar(prefix + as_text(at, "at"), at.mark, quoted=True)


def _map(items: dict[str, YamlNode], at: YamlNode) -> YamlMap:
    marks = {key: node.mark for key, node in items.items()}
    return YamlMap(items, marks | (at.keys if isinstance(at, YamlMap) else {}), at.mark)
