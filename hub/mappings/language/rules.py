"""The rule tree: what a mapping says, checked and typed, before it is compiled.

A `Field` fills one canonical path; `Rows` feeds one list of the relay log from one list of the record, or from one
fixed place in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from hub.mappings.language.codecs import Codec
from hub.mappings.language.expressions import Expression
from hub.mappings.language.pointers import Pointer, found_at
from hub.mappings.language.targets import Target
from hub.payloads.base import Tree
from hub.payloads.yamlfile import Mark
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import Frozen


@dataclass(frozen=True)
class Rule:
    """Where a rule stands and what it fills, for errors."""

    path: str
    pointer: Pointer
    mark: Mark


@dataclass(frozen=True)
class Condition:
    """What a record or a row must say at one place.

    `is`: one of the words, of which the first is written on new rows; `not`: none of them, or nothing at all; `has`:
    something. `labels` looks at a form's labels, headings and field names in place of one place: all of these.
    """

    pointer: Pointer
    test: Literal["is", "not", "has", "labels"]
    words: tuple[str, ...] = ()

    def holds(self, tree: Tree) -> bool:
        """Tell whether a record or a row says so. True and false are no words."""
        if self.test == "labels":
            labels = {label_word(label) for kind in tree.values() if isinstance(kind, dict) for label in kind}
            return labels.issuperset(self.words)
        value = found_at(tree, self.pointer)
        if self.test == "has":
            return value is not None and value not in ("", [], {})
        word = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        return (word in self.words) is (self.test == "is")


def label_word(label: str) -> str:
    """Return a form's label as labels are compared: letters composed and small, single blanks, no colon at the end."""
    return " ".join(unicodedata.normalize("NFC", label).split()).rstrip(" :").lower()


@dataclass(frozen=True)
class Field:
    """One value. `name` is dotted within its owner, `at` has several pointers only for what is joined.

    `expression` finds the value in place of `at`, and then nothing is written. `const` is what is always written,
    whatever the log says.
    """

    rule: int
    name: str
    target: Target
    at: tuple[Pointer, ...]
    codec: Codec
    writes: bool = True
    const: object = None
    expression: Expression | None = None


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
class ValuePlace:
    """A fixed place for one value; `fixed` are canonical values that whatever stands here has."""

    rule: int
    fields: tuple[Field, ...]
    fixed: dict[str, object]


@dataclass(frozen=True)
class PlacedValues:
    """Values inside an element of which each has a fixed place, such as the signatures that a form has room for.

    They are written as a whole: all of them where there is room, else none.
    """

    rule: int
    name: str
    model: type[Frozen]
    places: tuple[ValuePlace, ...]

    @property
    def writes(self) -> bool:
        """Tell whether anything is written."""
        return any(field.writes for place in self.places for field in place.fields)


AnyField = Field | Values | PlacedValues

Constants = tuple[tuple[Pointer, str], ...]
"""Text that every new record or row gets at these places."""


@dataclass(frozen=True)
class Rows:
    """One list of the record: each row is an element of `collection`.

    `slot` makes it one fixed place in place of a list: `each` is then the object there (the one around, where it is
    empty), and the slot's word the element's key. `where` tells rows of several kinds in one list apart; `fixed` are
    canonical values that every row here has. `key` has several pointers where it takes all of them to tell rows
    apart; with `within`, they do so only inside the element around. `alike` are the fields by which a row without a key
    is known again. `belongs` is the element's field that holds the
    enclosing element's id, `home` that element's collection and `inside` the rule of its list. `adopts` is the rule
    of the nested list whose elements stand here while they belong to nothing. `like` is the rule of the list whose
    rows may come to stand here, and the other way: its own, or that of the list which it, or the orphans' list around
    it, is a copy of. `writer` and `part` are fixed values; without them the fields, the mark in a text, the mapping's
    own default and the writer decide.
    """

    rule: int
    collection: str
    model: type[Frozen]
    each: Pointer
    slot: str | None
    key: tuple[Pointer, ...]
    within: bool
    alike: tuple[str, ...]
    key_rule: int
    fields: tuple[AnyField, ...]
    nested: tuple[Rows, ...]
    where: tuple[Condition, ...]
    fixed: dict[str, object]
    on_create: Constants
    writer: Service | None
    part: Part | None
    belongs: str | None
    home: str | None
    inside: int | None
    adopts: int | None
    like: int
    writes: bool


def every_rows(lists: Iterable[Rows]) -> Iterator[Rows]:
    """Yield every list, those inside others after the one around them."""
    for rows in lists:
        yield rows
        yield from every_rows(rows.nested)


def rows_around(lists: Iterable[Rows], around: Pointer = ()) -> Iterator[tuple[Pointer, Rows]]:
    """Yield every list with where its rows stand, their numbers left out."""
    for rows in lists:
        here = (*around, *rows.each)
        yield here, rows
        yield from rows_around(rows.nested, here)


def fields_around(fields: Iterable[AnyField], around: Pointer = ()) -> Iterator[tuple[Pointer, Field]]:
    """Yield every single field, also of values, with where the object stands that it is read from."""
    for field in fields:
        if isinstance(field, Field):
            yield around, field
        elif isinstance(field, Values):
            yield from fields_around(field.fields, (*around, *field.each))
        else:
            for place in field.places:
                yield from fields_around(place.fields, around)


@dataclass(frozen=True)
class Sample:
    """A record that stands beside the mapping, and the relay log that it must read as; names relative to the file."""

    record: str
    expect: str


@dataclass(frozen=True)
class Header:
    """What a mapping says of itself. `options` are the payload's, as plain data; `extends` is the base's id.

    `names_new` tells that a new row takes the hub's id of its element as its key; else the system gives it one.
    """

    id: str
    version: int
    extends: str | None
    origin: str
    payload: str
    options: dict[str, object]
    when: tuple[Condition, ...]
    volatile: tuple[Pointer, ...]
    on_create: Constants
    own: frozenset[Service]
    part: Part | None
    required: tuple[str, ...]
    tests: tuple[Sample, ...]
    names_new: bool = False


@dataclass(frozen=True)
class RuleTree:
    """A whole mapping. `writer` is the service that wrote what says nothing else, read from the record or fixed.

    `lists` are the names of the shared code lists that its rules use.
    """

    header: Header
    writer: Field | Service | None
    fields: tuple[AnyField, ...]
    rows: tuple[Rows, ...]
    rules: tuple[Rule, ...]
    lists: frozenset[str]
