"""A municipality's own changes to a template: a file that `extends` it is laid over it, node by node.

Every node keeps the file and line that it was written on, so an error names the line that somebody can change: the
override's own, or the base's.
"""

from __future__ import annotations

from dataclasses import replace

from hub.mappings.language.header import HEADER_KEYS
from hub.mappings.language.nodes import FileText, as_map, as_text, nearest, required
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar, read_yaml

_NOT_INHERITED = ("version", "tests", "extends")


def whole_file(text: str, file: str, bases: dict[str, FileText]) -> tuple[YamlMap, tuple[FileText, ...]]:
    """Read a mapping file, laid over what it extends. Returns it with all the files that it is made of, base first."""
    return _whole(FileText(text, file), bases, ())


def _whole(
    source: FileText, bases: dict[str, FileText], above: tuple[str, ...]
) -> tuple[YamlMap, tuple[FileText, ...]]:
    root = as_map(read_yaml(*source), "a mapping", HEADER_KEYS)
    if "extends" not in root.items:
        return root, (source,)
    node = root.items["extends"]
    name = as_text(node, "extends")
    if name not in bases:
        raise FileError(node.mark, f"there is no mapping '{name}' to extend", nearest(name, bases))
    if name in above:
        raise FileError(node.mark, f"'{name}' extends itself in the end", "Extend a shipped mapping")
    required(root, "version", "the mapping")
    base, made_of = _whole(bases[name], bases, (*above, name))
    inherited = _without(base, _NOT_INHERITED)
    return _header(inherited, root), (*made_of, source)


def _header(base: YamlMap, over: YamlMap) -> YamlMap:
    fields = over.items.get("fields")
    merged = _deep(base, _without(over, ("fields",)))
    if fields is None:
        return merged
    return _with(merged, "fields", over.keys["fields"], _fields(required(base, "fields", "the base"), fields))


def _fields(base: YamlNode, over: YamlNode) -> YamlMap:
    """Lay rules over rules, by canonical path."""
    found = as_map(base, "fields")
    for name, node in as_map(over, "fields").items.items():
        mark = as_map(over, "fields").keys[name]
        before = found.items.get(name)
        if _is_removal(node):
            found = _removed(found, name, mark)
        elif before is None:
            found = _with(found, name, mark, node)
        else:
            found = _with(found, name, mark, _lists(before, node) if name.endswith("[]") else _rule(before, node))
    return found


def _rule(base: YamlNode, over: YamlNode) -> YamlNode:
    """Lay one rule over another; a place alone is short for `at`. It stands where the override says it."""
    if isinstance(base, YamlList) or isinstance(over, YamlList):  # fixed places of values are said as a whole
        return over
    before, after = _long(base), _long(over)
    for one, other in (("at", "jmes"), ("jmes", "at")):
        if one in after.items and other not in after.items:
            before = _without(before, (other,))
    return replace(_keys(before, after), mark=over.mark)


def _keys(base: YamlMap, over: YamlMap) -> YamlMap:
    if "fields" in base.items and "fields" in over.items:
        merged = _deep(base, _without(over, ("fields",)))
        return _with(merged, "fields", over.keys["fields"], _fields(base.items["fields"], over.items["fields"]))
    return _deep(base, over)


def _lists(base: YamlNode, over: YamlNode) -> YamlNode:
    """Lay lists over lists, by `each`; one that is new goes first, for it says itself what tells it apart."""
    found = list(base.items if isinstance(base, YamlList) else (base,))
    added: list[YamlNode] = []
    for node in over.items if isinstance(over, YamlList) else (over,):
        entry = as_map(node, "a list")
        place = _match(found, entry)
        if place is None:
            added.append(entry)
        elif "status" in entry.items:
            _check_removal(entry)
            del found[place]
        else:
            found[place] = _keys(as_map(found[place], "a list"), _without(entry, ("was",)))
    entries = added + found
    if not entries:
        raise FileError(over.mark, "nothing is left of this list", "Write '{status: remove}' for all of it")
    return entries[0] if len(entries) == 1 else YamlList(tuple(entries), base.mark)


def _match(found: list[YamlNode], entry: YamlMap) -> int | None:
    """Return which list an override means: by `was`, its earlier `each` or `slot`, else by its own; or the only one."""
    places = [_place(node) for node in found]
    said = entry.items.get("was") or entry.items.get("each") or entry.items.get("slot")
    if said is None:
        if len(found) == 1:
            return 0
        raise FileError(entry.mark, "several lists could be meant", f"Add 'each:' with one of {', '.join(places)}")
    text = as_text(said, "each")
    if text not in places and ("was" in entry.items or "status" in entry.items):
        raise FileError(said.mark, f"the base has no list at '{text}'", nearest(text, places))
    return places.index(text) if text in places else None


def _place(node: YamlNode) -> str:
    entry = as_map(node, "a list")
    said = entry.items.get("each") or entry.items.get("slot")
    return said.text if isinstance(said, YamlScalar) else ""


def _deep(base: YamlMap, over: YamlMap) -> YamlMap:
    """Lay maps over maps; everything else is replaced."""
    found = base
    for name, node in over.items.items():
        before = found.items.get(name)
        if _is_removal(node):
            found = _removed(found, name, over.keys[name])
            continue
        if isinstance(before, YamlMap) and isinstance(node, YamlMap):
            node = _deep(before, node)
        found = _with(found, name, over.keys[name], node)
    return found


def _is_removal(node: YamlNode) -> bool:
    if not isinstance(node, YamlMap) or list(node.items) != ["status"]:
        return False
    _check_removal(node)
    return True


def _check_removal(node: YamlMap) -> None:
    status = node.items["status"]
    if as_text(status, "status") != "remove":
        raise FileError(
            status.mark, "a status says nothing here", "Write '{status: remove}' to remove what the base says"
        )


def _removed(base: YamlMap, name: str, mark: Mark) -> YamlMap:
    if name not in base.items:
        raise FileError(mark, f"the base has no '{name}' to remove", nearest(name, base.items))
    return _without(base, (name,))


def _with(base: YamlMap, name: str, mark: Mark, node: YamlNode) -> YamlMap:
    return YamlMap({**base.items, name: node}, {**base.keys, name: mark}, base.mark)


def _without(base: YamlMap, names: tuple[str, ...]) -> YamlMap:
    items = {name: node for name, node in base.items.items() if name not in names}
    return YamlMap(items, {name: base.keys[name] for name in items}, base.mark)


def _long(node: YamlNode) -> YamlMap:
    return (
        YamlMap({"at": node}, {"at": node.mark}, node.mark) if isinstance(node, YamlScalar) else as_map(node, "a rule")
    )
