"""The closed set of conditions that tell records and rows apart: a word, not, in, has; and for forms and XML roots."""

from __future__ import annotations

from hub.mappings.language.nodes import as_list, as_map, as_text, nearest, pointer_of, written_pointer_of
from hub.mappings.language.pointers import Pointer
from hub.mappings.language.rules import Condition, label_word
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlNode, YamlScalar

_FORM: Pointer = ("form",)
"""Where the form payloads put a form's fingerprint."""


def record_conditions(node: YamlNode, namespaces: dict[str, str]) -> tuple[Condition, ...]:
    """Read `when`: places with what they say, `has`, and `root` or `form`. All must hold.

    `namespaces` are the XML payload's, uri by prefix: the tree names the root by its prefix.
    """
    found: list[Condition] = []
    for key, value, mark in _entries(node, "when"):
        if key == "root":
            found.append(Condition((_root(value, namespaces),), "has"))
        elif key == "form" and isinstance(value, YamlList):
            labels = tuple(label_word(as_text(one, "a label of the form")) for one in value.items)
            found.append(Condition((), "labels", labels))
        elif key == "form":
            found.append(Condition(_FORM, "is", (as_text(value, "form"),)))
        elif key == "has":
            found += _has(value)
        else:
            found.append(_condition(pointer_of(key, mark, "when"), value))
    return tuple(found)


def _root(node: YamlNode, namespaces: dict[str, str]) -> str:
    uri, brace, name = as_text(node, "root").rpartition("}")
    if not brace:
        return name
    prefixes = {known: prefix for prefix, known in namespaces.items()}
    if uri[1:] not in prefixes:
        remedy = f"Add it under 'namespaces' in 'payload'. {nearest(uri[1:], prefixes)}"
        raise FileError(node.mark, f"the payload has no namespace '{uri[1:]}'", remedy)
    return f"{prefixes[uri[1:]]}:{name}".lstrip(":")


def row_conditions(node: YamlNode) -> tuple[Condition, ...]:
    """Read `where`: places in a row with what they say, and `has`. All must hold."""
    found: list[Condition] = []
    for key, value, mark in _entries(node, "where"):
        if key == "has":
            found += _has(value)
        else:
            found.append(_condition(written_pointer_of(key, mark, "where"), value))
    return tuple(found)


def _entries(node: YamlNode, what: str) -> list[tuple[str, YamlNode, Mark]]:
    conditions = as_map(node, what)
    if not conditions.items:
        raise FileError(node.mark, f"{what} says nothing", "Write a place and what stands there, as /type: STAFETT")
    return [(key, value, conditions.keys[key]) for key, value in conditions.items.items()]


def _has(node: YamlNode) -> list[Condition]:
    return [Condition(pointer_of(as_text(one, "has"), one.mark, "has"), "has") for one in as_list(node, "has")]


def _condition(pointer: Pointer, node: YamlNode) -> Condition:
    if isinstance(node, YamlScalar):
        return Condition(pointer, "is", (as_text(node, "a condition"),))
    tests = as_map(node, "a condition", ("not", "in"))
    if len(tests.items) != 1:
        raise FileError(node.mark, "a condition says one thing", "Write a word, {not: word} or {in: [word, word]}")
    test, value = next(iter(tests.items.items()))
    words = as_list(value, "in") if test == "in" or isinstance(value, YamlList) else (value,)
    if not words:
        raise FileError(value.mark, f"'{test}' names no word", "Write at least one")
    return Condition(pointer, "is" if test == "in" else "not", tuple(as_text(word, "a word") for word in words))


def exclusive(one: tuple[Condition, ...], other: tuple[Condition, ...]) -> bool:
    """Tell whether no row can meet both sets of conditions."""
    return any(_apart(a, b) or _apart(b, a) for a in one for b in other if a.pointer == b.pointer)


def _apart(one: Condition, other: Condition) -> bool:
    if one.test != "is":
        return False
    words = set(one.words)
    return words.isdisjoint(other.words) if other.test == "is" else other.test == "not" and words <= set(other.words)
