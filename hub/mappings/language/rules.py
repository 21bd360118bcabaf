"""The rule tree: what a mapping says, checked and typed, before it is compiled.

A `Field` fills one canonical path; `Rows` feeds one list of the relay log from one list of the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hub.mappings.language.codecs import Codec
from hub.mappings.language.targets import Target
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import Frozen

Pointer = tuple[str, ...]
"""A JSON Pointer as the names of the objects it passes through."""


def pointer_text(pointer: Pointer) -> str:
    """Write a pointer as in RFC 6901; the root is the empty text."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in pointer)


@dataclass(frozen=True)
class Rule:
    """Where a rule stands and what it fills, for errors."""

    path: str
    pointer: Pointer
    line: int


@dataclass(frozen=True)
class Field:
    """One value. `name` is dotted within its owner, `at` has several pointers only for joined text.

    `const` is what is always written, whatever the log says.
    """

    rule: int
    name: str
    target: Target
    at: tuple[Pointer, ...]
    codec: Codec
    writes: bool = True
    const: object = None


@dataclass(frozen=True)
class Values:
    """A list of values inside an element, such as the signers of a consent: no keys, written as a whole."""

    rule: int
    name: str
    model: type[Frozen]
    each: Pointer
    fields: tuple[Field, ...]
    writes: bool


@dataclass(frozen=True)
class Rows:
    """One list of the record: each row is an element of `collection`.

    `where` tells rows of several kinds in one list apart; `fixed` are canonical values that every row here has.
    `belongs` is the element's field that holds the enclosing element's id. `writer` and `part` are fixed values;
    without them the fields, the mark in a text, the mapping's own default and the writer decide.
    """

    rule: int
    collection: str
    model: type[Frozen]
    each: Pointer
    key: Pointer | None
    key_rule: int
    fields: tuple[Field | Values, ...]
    nested: tuple[Rows, ...]
    where: tuple[tuple[Pointer, str], ...]
    fixed: dict[str, object]
    writer: Service | None
    part: Part | None
    belongs: str | None
    home: str | None
    writes: bool


def every_rows(lists: Iterable[Rows]) -> Iterator[Rows]:
    """Yield every list, those inside others after the one around them."""
    for rows in lists:
        yield rows
        yield from every_rows(rows.nested)


@dataclass(frozen=True)
class Sample:
    """A record that stands beside the mapping, and the relay log that it must read as; names relative to the file."""

    record: str
    expect: str


@dataclass(frozen=True)
class Header:
    """What a mapping says of itself."""

    id: str
    version: int
    origin: str
    payload: str
    when: tuple[tuple[Pointer, str], ...]
    volatile: tuple[Pointer, ...]
    own: frozenset[Service]
    part: Part | None
    required: tuple[str, ...]
    tests: tuple[Sample, ...]


@dataclass(frozen=True)
class RuleTree:
    """A whole mapping. `writer` is the service that wrote what says nothing else, read from the record or fixed."""

    file: str
    header: Header
    writer: Field | Service | None
    fields: tuple[Field | Values, ...]
    rows: tuple[Rows, ...]
    rules: tuple[Rule, ...]
