"""YAML as people wrote it: every scalar as its text, every place with file, line and column.

Configuration and mappings are read at node level, so that `NO` stays NO, `0155` stays 0155, a key given twice is an
error, and whatever is wrong later can be shown where it stands. Libyaml's parser does the reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml


@dataclass(frozen=True)
class Mark:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class FileError(Exception):
    """A file that a person wrote says something that cannot be: where, what, and what would be right."""

    def __init__(self, mark: Mark, problem: str, remedy: str) -> None:
        super().__init__(f"{mark}: {problem}. {remedy}")
        self.mark = mark
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True)
class YamlScalar:
    """A single value. `quoted` tells `"null"` from null; an empty or `null`/`~` plain scalar has `is_null`."""

    text: str
    mark: Mark
    quoted: bool

    @property
    def is_null(self) -> bool:
        """Tell whether nothing was written here."""
        return not self.quoted and self.text in ("", "~", "null")


@dataclass(frozen=True)
class YamlList:
    """A sequence of nodes."""

    items: tuple[YamlNode, ...]
    mark: Mark


@dataclass(frozen=True)
class YamlMap:
    """A mapping of distinct keys to nodes, in the order written."""

    items: dict[str, YamlNode]
    keys: dict[str, Mark]
    mark: Mark


YamlNode = YamlScalar | YamlList | YamlMap


def read_yaml(text: str, file: str) -> YamlNode:
    """Read one YAML document. `file` is the name that errors show.

    Raises FileError for text that is not YAML, a key given twice, a key that is not a scalar, an alias or an anchor
    cycle, and an empty file.
    """
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        mark = Mark(file, at.line + 1, at.column + 1) if at else Mark(file, 1, 1)
        raise FileError(
            mark, f"not readable as YAML: {error.problem}", "Check indentation, quotes and colons"
        ) from None
    except yaml.YAMLError:
        raise FileError(Mark(file, 1, 1), "not readable as YAML", "Save the file as UTF-8 text") from None
    if node is None:
        raise FileError(Mark(file, 1, 1), "the file is empty", "Write at least one key")
    return _node(node, file, set())


def _node(node: yaml.Node, file: str, above: set[int]) -> YamlNode:
    mark = Mark(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if id(node) in above:
        raise FileError(mark, "an anchor that contains itself", "Write the values out")
    if isinstance(node, yaml.ScalarNode):
        return YamlScalar(node.value, mark, quoted=node.style in ("'", '"', "|", ">"))
    above = above | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return YamlList(tuple(_node(item, file, above) for item in node.value), mark)
    items: dict[str, YamlNode] = {}
    keys: dict[str, Mark] = {}
    for key, value in node.value:
        at = Mark(file, key.start_mark.line + 1, key.start_mark.column + 1)
        if not isinstance(key, yaml.ScalarNode):
            raise FileError(at, "a key that is not a word", "Use a plain word as key")
        if key.value in items:
            raise FileError(
                at, f"the key '{key.value}' stands twice", f"Keep one; the first is on line {keys[key.value].line}"
            )
        items[key.value] = _node(value, file, above)
        keys[key.value] = at
    return YamlMap(items, keys, mark)
