"""JSON payloads: strict about what two readers could read differently, and written back in the file's own style."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from hub.payloads.base import Limits, PayloadError, Tree, check_size, check_tree, merged, same, shown
from hub.payloads.options import Options

_BOM = b"\xef\xbb\xbf"
_INDENT = re.compile(r"[{\[](\r?\n)([ \t]+)\S")


class _Twice(Tree):
    """An object in which a key stands twice; found again by its place."""


class JsonPayload:
    """A JSON object in UTF-8. Duplicate keys, NaN and Infinity are refused; whole numbers keep all their digits."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self.limits = Options(given).limits

    def decode(self, data: bytes) -> Tree:
        """Read a JSON object. Raises PayloadError."""
        tree = read_json(data, self.limits)
        if not isinstance(tree, dict):
            raise PayloadError("shape", "", "not an object", "Send one record, as an object in { }")
        return tree

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Write an object in the original's indentation, key order, escapes and line ends. Raises PayloadError."""
        check_tree(tree, self.limits)
        if original is None:
            return (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()
        before = self.decode(original)
        after = merged(before, tree)
        return original if same(before, after) else _in_style(after, original)


def read_json(data: bytes, limits: Limits) -> object:
    """Read any JSON value in UTF-8, a leading byte order mark allowed. Raises PayloadError."""
    check_size(data, limits)
    if data.count(b",") > 5 * limits.count:  # far more values than allowed: not worth reading
        raise PayloadError("count", "", f"more than {limits.count} values", "Send less at a time, or raise the limit")
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
        tree: object = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise PayloadError("encoding", f"byte {error.start}", "not UTF-8", "Save or send it as UTF-8") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise PayloadError("syntax", place, "not readable as JSON", "Send the whole document, as JSON") from None
    except RecursionError:
        raise PayloadError("depth", "", f"more than {limits.depth} levels", "Send a flatter record") from None
    except ValueError:  # int() refuses digits beyond measure
        raise PayloadError("number", "", "a number of thousands of digits", "Send it as text") from None
    check_tree(tree, limits)
    _check_twice(tree, "")
    return tree


def _object(pairs: list[tuple[str, object]]) -> Tree:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Twice(found)


def _no_number(word: str) -> object:
    raise PayloadError("number", "", f"{word}, which is no number in JSON", "Send a number or null")


def _check_twice(value: object, place: str) -> None:
    if isinstance(value, _Twice):
        raise PayloadError("duplicate", place, "a key stands twice in one object", "Send each key once")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_twice(inner, f"{place}/{shown(name)}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _check_twice(inner, f"{place}/{number}")


def _in_style(tree: object, original: bytes) -> bytes:
    text = original.removeprefix(_BOM).decode("utf-8")
    found = _INDENT.search(text)
    bare = re.match(r'\s*\{"(?:[^"\\]|\\.)*":\S', text)
    separators = (",", ":") if bare and not found else (", ", ": ")
    escaped = original.isascii() and b"\\u" in original
    written = json.dumps(
        tree,
        indent=found[2] if found else None,
        separators=(",", ": ") if found else separators,
        ensure_ascii=escaped,
    )
    if found and found[1] == "\r\n":
        written = written.replace("\n", "\r\n")
    lead = original[: len(original) - len(original.removeprefix(_BOM))]
    return lead + written.encode() + text[len(text.rstrip()) :].encode()
