"""JMESPath expressions: finding a value where a pointer can't reach. They only read, for nothing can undo them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import jmespath  # type: ignore[import-untyped]
from jmespath import exceptions, functions

from hub.mappings.language.errors import Refused
from hub.mappings.language.nodes import nearest
from hub.payloads.base import Tree
from hub.payloads.yamlfile import FileError, Mark

_FUNCTIONS = {name: spec["signature"] for name, spec in functions.Functions.FUNCTION_TABLE.items()}


@dataclass(frozen=True)
class Expression:
    """A compiled expression and the rule that it serves."""

    rule: int
    compiled: jmespath.parser.ParsedResult

    def find(self, tree: Tree) -> object:
        """Return what the expression finds. Raises Refused where a function can't work on what the record holds."""
        try:
            return cast("object", self.compiled.search(tree))
        except (exceptions.JMESPathError, TypeError, ValueError):
            raise Refused(self.rule, "what the rule's expression can work on") from None


def compiled(rule: int, text: str, mark: Mark) -> Expression:
    """Compile an expression. Raises FileError for what isn't JMESPath and for functions that it doesn't know."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # text in backticks is read, but deprecated
            parsed = jmespath.compile(text)
    except (exceptions.JMESPathError, PendingDeprecationWarning):
        raise FileError(
            mark, f"'{text}' is no JMESPath expression", "Write it as on jmespath.org: barn.tlf[0], and text as 'tekst'"
        ) from None
    for name, arguments in _calls(parsed.parsed):
        if name not in _FUNCTIONS:
            raise FileError(mark, f"JMESPath has no function '{name}'", nearest(name, _FUNCTIONS))
        wanted = _FUNCTIONS[name]
        if arguments < len(wanted) or (arguments > len(wanted) and not any(one.get("variadic") for one in wanted)):
            raise FileError(mark, f"'{name}' is given {arguments} values", f"Give it {len(wanted)}")
    return Expression(rule, parsed)


def _calls(node: dict[str, object]) -> Iterator[tuple[str, int]]:
    """Yield each function that an expression calls, and how many values it is given."""
    inner = node.get("children")
    below = inner if isinstance(inner, list) else []
    if node["type"] == "function_expression":
        yield str(node["value"]), len(below)
    for child in below:
        yield from _calls(child)
