"""Records at hand: a file of any payload format as a tree, its places and values, and what may be shown of them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from hub.mappings.language import Mapping as Rules
from hub.mappings.language import Tree
from hub.mappings.language.pointers import Pointer, pointer_text
from hub.payloads.base import Limits, PayloadError, shown
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
from hub.payloads.zips import pack, unpack

_KINDS = {
    ".json": "json", ".xml": "xml", ".csv": "csv", ".txt": "csv", ".zip": "csv", ".docx": "docx", ".pdf": "pdf",
}  # fmt: skip
_NAMESPACE = re.compile(rb"""\sxmlns(?::([\w.-]+))?\s*=\s*["']([^"']+)["']""")
_SHAPES = (
    ("date dd.mm.yyyy", re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}")),
    ("date yyyy-mm-dd", re.compile(r"\d{4}-\d\d-\d\d")),
    ("time yyyy-mm-ddThh:mm", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")),
    ("date yyyymmdd", re.compile(r"(19|20)\d{6}")),
    ("digits", re.compile(r"\d+")),
    ("word", re.compile(r"\S+")),
)
_LENGTHS = (5, 10, 20, 50, 200, 1000)


class UnknownFormat(Exception):
    """A record's file ends in nothing that a payload is known by."""


def kind_of(path: Path) -> str:
    """Return the payload that a file's ending tells; a folder is a CSV set. Raises UnknownFormat."""
    kind = "csv" if path.is_dir() else _KINDS.get(path.suffix.lower())
    if kind is None:
        raise UnknownFormat(f"a file ending in '{path.suffix}' is no known record. Known: {', '.join(_KINDS)}")
    return kind


def record_of(path: Path, mapping: Rules) -> Tree:
    """Read a record as a mapping's payload tells; of a CSV set, the first. Raises PayloadError."""
    return decoded(_bytes(path), mapping.payload, mapping.payload_options)


def guessed_record(path: Path) -> tuple[Tree, dict[str, object]]:
    """Read a record without a mapping. Returns it, and the payload options that were guessed. Raises PayloadError."""
    kind, data = kind_of(path), _bytes(path)
    options: dict[str, object] = {}
    if kind == "xml":
        options = _xml_options(data)
    elif kind == "csv":
        options = {"files": _files(data)}
    return decoded(data, kind, options), options


def decoded(data: bytes, kind: str, options: Mapping[str, object]) -> Tree:
    """Read bytes into one tree; of a CSV set, the first record. Raises PayloadError."""
    found = payload(kind, options)
    if isinstance(found, CsvPayload):
        return next((tree for _, tree in found.decode_set(data)), {})
    return found.decode(data)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        return pack({one.name: one.read_bytes() for one in sorted(path.iterdir()) if one.suffix.lower() == ".csv"})
    data = path.read_bytes()
    return pack({path.name: data}) if kind_of(path) == "csv" and path.suffix.lower() != ".zip" else data


def _namespaces(data: bytes) -> dict[str, str]:
    """Return the namespaces that a document declares, each once, under the prefix it has there."""
    found: dict[str, str] = {}
    for prefix, uri in _NAMESPACE.findall(data):
        if uri.decode("utf-8", "replace") not in found.values():
            found.setdefault(prefix.decode(), uri.decode("utf-8", "replace"))
    return found


def _xml_options(data: bytes) -> dict[str, object]:
    """Return the namespaces of a document, and which of its elements repeat."""
    namespaces, repeated = _namespaces(data), list[str]()
    while True:
        options: dict[str, object] = {"namespaces": namespaces} if namespaces else {}
        options |= {"lists": repeated} if repeated else {}
        try:
            payload("xml", options).decode(data)
        except PayloadError as error:
            place = "/".join(step for step in error.place.split("/") if not step.isdigit())
            if error.code != "duplicate" or place in repeated:
                raise
            repeated = [*repeated, place]
        else:
            return options


def _files(data: bytes) -> dict[str, dict[str, str]]:
    """Guess how the files of a set hang together: the first column is the key, and a key elsewhere refers to it."""
    heads = {Path(name).stem: _header(content) for name, content in unpack(data, Limits()).items()}
    keys = {columns[0]: stem for stem, columns in heads.items() if columns}
    found: dict[str, dict[str, str]] = {}
    for stem, columns in heads.items():
        above = next((f"{keys[one]}/{one}" for one in columns[1:] if keys.get(one, stem) != stem), "")
        found[stem] = {"key": columns[0]} | ({"parent": above} if above else {})
    roots = [stem for stem, spec in found.items() if "parent" not in spec]
    others = {spec["parent"].partition("/")[0] for spec in found.values() if "parent" in spec}
    root = next((stem for stem in roots if stem in others), roots[0] if roots else "")
    return {stem: spec for stem, spec in found.items() if stem == root or "parent" in spec}


def _header(content: bytes) -> list[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    line = next(iter(text.splitlines()), "")
    delimiter = max(";\t,", key=line.count)
    return [cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=delimiter), [""])]


Place = tuple[str | int, ...]
"""Names of what a value stands in, and the numbers of rows."""


def leaves(value: object, place: Place = ()) -> Iterator[tuple[Place, object]]:
    """Yield every single value of a tree with its place; what is empty is one too."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*place, str(name)))
    elif isinstance(value, list | tuple) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, (*place, number))
    else:
        yield place, value


def without_rows(place: Place) -> Pointer:
    """Return a place without the numbers of rows: one source field."""
    return tuple(name for name in place if isinstance(name, str))


def shown_place(place: Place) -> str:
    """Return a place as it may be shown: a key that could be a person's is `*`."""
    return pointer_text(tuple(shown_name(name) if isinstance(name, str) else str(name) for name in place)) or "/"


def shown_name(name: str) -> str:
    """Return a key as it may be shown; XML's attributes and texts keep their sign."""
    sign = name[:1] if name[:1] in ("@", "#") else ""
    return sign + shown(name[len(sign) :])


def masked(value: object) -> str:
    """Return a value's kind and length class, which tell nothing of it."""
    if value is None or value in ("", [], {}, ()):
        return "empty"
    if isinstance(value, bool):
        return "yes/no"
    if isinstance(value, int | float):
        return f"number, {_length(len(str(value)))}"
    text = str(value)
    kind = next((name for name, pattern in _SHAPES if pattern.fullmatch(text)), "text")
    return kind if kind.startswith(("date", "time")) else f"{kind}, {_length(len(text))}"


def _length(letters: int) -> str:
    return next((f"up to {most}" for most in _LENGTHS if letters <= most), f"over {_LENGTHS[-1]}")


def shape(value: object) -> object:
    """Return a record's structure with each value replaced by its kind and length class."""
    if isinstance(value, Mapping) and value:
        found: dict[str, object] = {}
        for name, inner in value.items():
            key = shown_name(str(name))
            found[f"{key}~{len(found)}" if key in found else key] = shape(inner)
        return found
    if isinstance(value, list) and value:
        return [shape(inner) for inner in value]
    return masked(value)
