"""Mapping files at hand: opened with what they extend and use, and checked until no mistake is left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hub.mappings import codelists, shipped
from hub.mappings.language import FileText, Mapping, load_mapping, read_codelist
from hub.mappings.language.codelists import lists_on
from hub.mappings.language.overrides import whole_file
from hub.mappings.language.source import tree_of
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode
from hub.store.mappingversions import FrozenFile, FrozenMapping

_MOST = 100  # mistakes shown of one file


class NoMapping(Exception):
    """A word names neither a file nor a shipped mapping."""


def mapping_path(word: str) -> Path:
    """Return the file that a word means: its path, or a shipped mapping by its id. Raises NoMapping."""
    path = shipped().get(word, Path(word))
    if not path.is_file():
        raise NoMapping(f"{word} is no file and no shipped mapping. Shipped are {', '.join(shipped())}")
    return path


def opened(path: Path) -> Mapping:
    """Read a mapping with the shipped ones as bases and the code lists beside it. Raises FileError."""
    lists = codelists(path.parent)
    return load_mapping(file_text(path), path.name, samples=path.parent, bases=_bases(), lists=lists)


def mistakes(path: Path) -> tuple[FileError, ...]:
    """Return all that is wrong with a mapping file, in the order of its rules.

    A rule that is wrong is taken out, and the rest looked at again; what is only missing because of that is no mistake.
    """
    try:
        root, _ = whole_file(file_text(path), path.name, _bases())
        found = tuple(_wrong_rules(root, path))
        if not found:
            opened(path)
    except FileError as error:
        return (error,)
    return found


def _wrong_rules(root: YamlMap, path: Path) -> Iterator[FileError]:
    shared, fewer = lists_on(None, codelists(path.parent)), False
    for _ in range(_MOST):
        try:
            tree_of(root, path.name, shared)
        except FileError as error:
            left = _without(root, error.mark)
            if left is None and fewer:
                return
            if not (fewer and error.problem.endswith("which nothing feeds")):
                yield error
            if left is None:
                return
            root, fewer = left, True
        else:
            return


def _without(owner: YamlMap, mark: Mark) -> YamlMap | None:
    """Return a map without the innermost rule in its `fields` that a mark stands in; None where there is none."""
    fields = owner.items.get("fields")
    if not isinstance(fields, YamlMap):
        return None
    for name, node in fields.items.items():
        if fields.keys[name] != mark and not _holds(node, mark):
            continue
        inner = _without_inside(node, mark)
        items = {one: value for one, value in fields.items.items() if one != name or inner is not None}
        if inner is not None:
            items[name] = inner
        return YamlMap({**owner.items, "fields": YamlMap(items, fields.keys, fields.mark)}, owner.keys, owner.mark)
    return None


def _without_inside(node: YamlNode, mark: Mark) -> YamlNode | None:
    if isinstance(node, YamlMap):
        return _without(node, mark)
    if isinstance(node, YamlList):
        tries = [_without_inside(item, mark) for item in node.items]
        if any(tries):
            return YamlList(tuple(new or old for new, old in zip(tries, node.items, strict=True)), node.mark)
    return None


def _holds(node: YamlNode, mark: Mark) -> bool:
    if node.mark == mark:
        return True
    if isinstance(node, YamlMap):
        return mark in node.keys.values() or any(_holds(inner, mark) for inner in node.items.values())
    return isinstance(node, YamlList) and any(_holds(inner, mark) for inner in node.items)


def rules_of(path: Path) -> YamlMap:
    """Return a mapping's nodes, laid over what it extends. Raises FileError."""
    return whole_file(file_text(path), path.name, _bases())[0]


def frozen_form(path: Path, mapping: Mapping) -> FrozenMapping:
    """Return all that a mapping is made of, so that it can be kept and read again without any other file."""
    ids = {base: name for name, base in _bases().items()}
    lists = {text: one.name for one in codelists(path.parent) for text in one.texts}
    own = FileText(file_text(path), path.name)
    files: list[FrozenFile] = []
    for part in mapping.made_of:
        if part == own:
            files.append(FrozenFile("mapping", mapping.id, part.file, part.text))
        elif part in lists:
            files.append(FrozenFile("codelist", lists[part], part.file, part.text))
        else:
            files.append(FrozenFile("base", ids[part], part.file, part.text))
    return FrozenMapping(mapping.id, mapping.version, tuple(files))


def thawed(frozen: FrozenMapping) -> Mapping:
    """Read a frozen version. Raises FileError where this version of the hub no longer understands it."""
    (own,) = (file for file in frozen.files if file.role == "mapping")
    bases = {file.id: FileText(file.text, file.name) for file in frozen.files if file.role == "base"}
    lists = [read_codelist(file.text, file.name) for file in frozen.files if file.role == "codelist"]
    return load_mapping(own.text, own.name, bases=bases, lists=lists)


def file_text(path: Path) -> str:
    """Return the text of a mapping file. Raises FileError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(Mark(path.name, 1, 1), "not readable as text", "Save the file as UTF-8 text") from None


def _bases() -> dict[str, FileText]:
    return {name: FileText(file_text(path), path.name) for name, path in shipped().items()}
