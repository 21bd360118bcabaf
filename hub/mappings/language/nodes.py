"""Reading YAML nodes with errors that say where, what, and which known name was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeVar

from hub.mappings.language.pointers import Pointer, counts_rows
from hub.payloads.yamlfile import FileError, Mark, YamlList, YamlMap, YamlNode, YamlScalar

T = TypeVar("T")

_FEW = 12


class FileText(NamedTuple):
    """A file as it was read: what a mapping is made of, and what is kept where it is frozen."""

    text: str
    file: str


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a remedy that names the known word nearest to one that isn't known, and all of them where they are few."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    guess = [f"Did you mean '{close[0]}'?"] if close else []
    if not close or len(names) <= _FEW:
        guess.append(f"Known here: {', '.join(names)}" if names else "Nothing is known here; leave it out")
    return " ".join(guess)


def as_map(node: YamlNode, what: str, known: Iterable[str] | None = None) -> YamlMap:
    """Return a node that must be a map; with `known`, a map of no other keys."""
    if not isinstance(node, YamlMap):
        raise FileError(node.mark, f"{what} is not a map", "Write keys with values, one to a line")
    if known is not None:
        allowed = set(known)
        for key, mark in node.keys.items():
            if key not in allowed:
                raise FileError(mark, f"the key '{key}' is not known in {what}", nearest(key, allowed))
    return node


def as_text(node: YamlNode, what: str) -> str:
    """Return the text of a node that must be a single value."""
    if not isinstance(node, YamlScalar) or node.is_null:
        raise FileError(node.mark, f"{what} is not a single value", "Write one word or text")
    return node.text


def as_list(node: YamlNode, what: str) -> tuple[YamlNode, ...]:
    """Return the items of a node that must be a list."""
    if not isinstance(node, YamlList):
        raise FileError(node.mark, f"{what} is not a list", "Write the items in square brackets or with dashes")
    return node.items


def as_choice(node: YamlNode, what: str, choices: Mapping[str, T]) -> T:
    """Return the value that a word stands for."""
    word = as_text(node, what)
    if word not in choices:
        raise FileError(node.mark, f"'{word}' is not known as {what}", nearest(word, choices))
    return choices[word]


def as_pointer(node: YamlNode, what: str) -> Pointer:
    """Return a JSON Pointer below the root."""
    return pointer_of(as_text(node, what), node.mark, what)


def pointer_of(text: str, mark: Mark, what: str) -> Pointer:
    """Split a JSON Pointer (RFC 6901) into names."""
    if not text.startswith("/") or text == "/":
        raise FileError(mark, f"{what} '{text}' is no place in the record", "Write a JSON Pointer such as /barn/namn")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in text[1:].split("/"))


def as_written_pointer(node: YamlNode, what: str) -> Pointer:
    """Return a JSON Pointer to a place that is written or searched: it may pick no row of a list by its number."""
    return written_pointer_of(as_text(node, what), node.mark, what)


def written_pointer_of(text: str, mark: Mark, what: str) -> Pointer:
    """Split a JSON Pointer that may pick no row of a list by its number."""
    pointer = pointer_of(text, mark, what)
    if counts_rows(pointer):
        raise FileError(mark, f"{what} '{text}' counts rows of a list", "Name a place that stays when rows move")
    return pointer


def plain(node: YamlNode) -> object:
    """Return a node as plain data: text, lists and dicts, None where nothing was written."""
    if isinstance(node, YamlMap):
        return {key: plain(value) for key, value in node.items.items()}
    if isinstance(node, YamlList):
        return [plain(item) for item in node.items]
    return None if node.is_null else node.text


def required(node: YamlMap, key: str, what: str) -> YamlNode:
    """Return the value of a key that must be there."""
    if key not in node.items:
        raise FileError(node.mark, f"{what} has no '{key}'", f"Add '{key}:'")
    return node.items[key]
