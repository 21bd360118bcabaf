"""JSON Pointers (RFC 6901) over decoded trees: how a place is written, what stands there, and putting it there."""

from __future__ import annotations

from hub.payloads.base import Tree

Pointer = tuple[str, ...]
"""A JSON Pointer as the names of the objects it passes through."""


def pointer_text(pointer: Pointer) -> str:
    """Write a pointer as in RFC 6901; the root is the empty text."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in pointer)


def counts_rows(pointer: Pointer) -> bool:
    """Tell whether a pointer picks a row of a list by its number, such as /tlf/0: good for reading only."""
    return any(name.isascii() and name.isdigit() for name in pointer)


def found_at(tree: object, pointer: Pointer) -> object:
    """Return what stands at a pointer, or None where the way there is barred."""
    value = tree
    for name in pointer:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def object_on_the_way(tree: Tree, pointer: Pointer) -> Tree:
    """Return the object that holds the last name of a pointer; objects that are missing on the way are made."""
    for name in pointer[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    return tree
