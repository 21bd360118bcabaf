"""What all payloads share: trees, their limits and errors, and how a changed tree is laid over an earlier one.

A tree says nothing by leaving a key out: what it doesn't say, the original keeps. None empties a place. A list that
the tree holds is written as it stands, and its rows are whole: what a row leaves out is gone.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Tree = dict[str, object]
"""A decoded record: objects with text keys, lists, text, numbers, true, false and None."""

Code = Literal[
    "size", "depth", "count", "encoding", "syntax", "duplicate", "number", "character", "shape", "name", "dtd", "zip",
    "header", "row", "key", "active", "tracked", "encrypted", "signed", "form", "value",
]  # fmt: skip
"""What kind of thing is wrong, for counting and for texts in the reader's language."""

_NAME = re.compile(r"[^\W\d][\w.:@ -]{0,39}")
_PAIRS = 250_000  # comparisons of rows in one list before the likeness of rows is no longer looked at


class PayloadError(Exception):
    """Bytes that can't be taken in, or a tree that can't be written: quarantine it, and do what `remedy` says.

    `code` is the kind, `place` where it is (a JSON Pointer, file:row, the name of a part, a line; "" for all of it),
    `what` was found and `remedy` would be right. No text shows what the record holds.
    """

    def __init__(self, code: Code, place: str, what: str, remedy: str) -> None:
        super().__init__(f"{place + ': ' if place else ''}{what}. {remedy}")
        self.code: Code = code
        self.place = place
        self.what = what
        self.remedy = remedy


class Payload(Protocol):
    """One format with one template's options. Immutable; safe to share between threads."""

    def decode(self, data: bytes) -> Tree:
        """Read bytes into a tree. Raises PayloadError for everything that isn't a tree, and nothing else."""
        ...

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Write a tree on the last record exchanged or the empty form, keeping everything the tree doesn't say.

        A tree that changes nothing gives the original back, byte for byte. Without an original a new document is
        made, where the format can. Raises PayloadError for a tree that can't be written.
        """
        ...


@dataclass(frozen=True)
class Limits:
    """How much one payload may hold before it is refused, whatever it says.

    `size` bytes as delivered, `depth` levels within levels, `count` values, elements, cells or PDF objects,
    `unpacked` bytes, `entries` and `ratio` (unpacked to packed) of a zip or Word form, `pages` of a PDF.
    """

    size: int = 16 * 2**20
    depth: int = 64
    count: int = 200_000
    unpacked: int = 64 * 2**20
    entries: int = 1_000
    ratio: int = 200
    pages: int = 100


def check_size(data: bytes, limits: Limits) -> None:
    """Refuse what is empty or too large, before anything looks into it."""
    if not data.strip(b" \t\r\n\x00"):
        raise PayloadError("size", "", "there is nothing in it", "Send the whole file")
    if len(data) > limits.size:
        raise PayloadError("size", "", f"larger than {limits.size} bytes", "Send less at a time, or raise the limit")


def check_tree(value: object, limits: Limits, place: str = "") -> None:
    """Refuse anything that no payload carries: other types, too deep or too much, half a character, no number."""
    _check(value, limits, place, limits.depth, [limits.count])


def _check(value: object, limits: Limits, place: str, depth: int, left: list[int]) -> None:
    left[0] -= 1
    if depth < 0:
        raise PayloadError("depth", place, f"more than {limits.depth} levels", "Send a flatter record")
    if left[0] < 0:
        raise PayloadError("count", "", f"more than {limits.count} values", "Send less at a time, or raise the limit")
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise PayloadError("shape", place, "a key that is not text", "Use text as key")
            at = f"{place}/{shown(name)}"
            _check_text(name, at)
            _check(inner, limits, at, depth - 1, left)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check(inner, limits, f"{place}/{number}", depth - 1, left)
    elif isinstance(value, str):
        _check_text(value, place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise PayloadError("number", place, "a number that is none, or too large", "Send a number")
    elif value is not None and not isinstance(value, int | float):
        raise PayloadError(
            "shape", place, "something no record holds", "Use text, numbers, true, false, lists, objects"
        )


def _check_text(text: str, place: str) -> None:
    if not text.isascii() and not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise PayloadError("character", place, "half a character (a lone surrogate)", "Send whole characters")


def shown(name: str) -> str:
    """Return a key as errors may show it: a plain word, or `*` for what could be a person's."""
    plain = _NAME.fullmatch(name) and sum(letter.isdigit() for letter in name) < 5
    return name if plain else "*"


def plain(value: object) -> str:
    """Return a value as the text that formats without types carry."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def same(one: object, other: object) -> bool:
    """Tell whether two trees say the same, whatever the order of their keys. 1, 1.0 and true are not the same."""
    return one is other or _written(one) == _written(other)


def _written(value: object) -> str:
    return value if isinstance(value, str) else "\0" + json.dumps(value, sort_keys=True)


def merged(old: object, new: object, *, whole: bool = False) -> object:
    """Lay a tree over an earlier one: its keys keep their order, and what isn't said stays unless `whole`."""
    if isinstance(old, dict) and isinstance(new, dict):
        kept = {
            name: merged(value, new[name], whole=whole) if name in new else value
            for name, value in old.items()
            if name in new or not whole
        }
        return kept | {name: value for name, value in new.items() if name not in kept}
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip(pairing(old, new), new, strict=True)
        return [row if at is None else merged(old[at], row, whole=True) for at, row in pairs]
    return new


def pairing(old: Sequence[object], new: Sequence[object]) -> list[int | None]:
    """Say for each new row which earlier one it continues: the equal one, else the one half or more like it.

    None is a new row. When in doubt a row is new: what stood unseen in an earlier row must not pass to another.
    """
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for at, row in enumerate(old):
        waiting[_written(row)].append(at)
    found: list[int | None] = [queue.popleft() if (queue := waiting.get(_written(row))) else None for row in new]
    free = sorted(at for queue in waiting.values() for at in queue)
    left = [number for number, at in enumerate(found) if at is None]
    if len(free) * len(left) <= _PAIRS:
        for number in left:
            best = max(free, key=lambda at: _likeness(old[at], new[number]), default=None)
            if best is not None and _likeness(old[best], new[number]) >= 0.5:
                found[number] = best
                free.remove(best)
    return found


def _likeness(old: object, new: object) -> float:
    """Return the share of an earlier row's plain values that a new row has too."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return 0.0
    values = {name: value for name, value in old.items() if value is not None and not isinstance(value, dict | list)}
    return sum(new.get(name) == value for name, value in values.items()) / len(values) if values else 0.0
