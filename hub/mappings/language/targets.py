"""Canonical paths and what stands at them: the model's own declarations, read once for the language.

A path is checked against the model, and the type found there says which codec is the natural one.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cache
from typing import Literal, Union, get_args, get_origin

from pydantic import AwareDatetime
from pydantic.fields import FieldInfo

from hub.relaylog.codes import Part
from hub.relaylog.model import Frozen, RelayLog, nested_model, references

Kind = Literal["text", "bool", "int", "date", "instant", "code", "values"]

_KINDS: dict[object, Kind] = {str: "text", bool: "bool", int: "int", date: "date", AwareDatetime: "instant"}


@dataclass(frozen=True)
class Target:
    """What a canonical path holds.

    `members` are the values of a code list by their canonical code; `unknown` is what a foreign code reads as (None
    in a list: it is left out there, for a foreign part in a consent opens nothing).
    `many` marks a tuple of such values. `reference` names the list that the field points into. `model` is the class
    of the values where `kind` is `values`. `default` is the model's value where a record has none.
    """

    kind: Kind
    default: object
    many: bool = False
    optional: bool = False
    members: dict[str, object] = field(default_factory=dict)
    unknown: object = None
    reference: str | None = None
    model: type[Frozen] | None = None

    @property
    def empty(self) -> object:
        """The code that says nothing, and so never overwrites anything."""
        return self.members.get("unknown")

    @property
    def type_name(self) -> str:
        """What the target holds, in words for an error."""
        return f"a list of {self.kind}" if self.many and self.kind != "values" else self.kind


@cache
def target(model: type[Frozen], name: str) -> Target | None:
    """Return what a field of `model` holds; `name` may reach one value inside, as `holder.service`. None: no such."""
    first, _, rest = name.partition(".")
    if first not in model.model_fields:
        return None
    if rest:
        inner = nested_model(model, first)
        return target(inner, rest) if inner and not _is_many(model, first) else None
    return _describe(model, first)


@cache
def names(model: type[Frozen]) -> tuple[str, ...]:
    """Return every name a rule may fill in a class: its own fields and those of the values inside it."""
    found: list[str] = []
    for name in model.model_fields:
        inner = nested_model(model, name)
        if inner and not _is_many(model, name):
            found += [f"{name}.{deeper}" for deeper in names(inner)]
        elif not (model is RelayLog and inner):
            found.append(name)
    return tuple(found)


def _is_many(model: type[Frozen], name: str) -> bool:
    return get_origin(model.model_fields[name].annotation) is tuple


def _describe(model: type[Frozen], name: str) -> Target | None:
    info: FieldInfo = model.model_fields[name]
    inner, optional, many = _unwrapped(info.annotation)
    if isinstance(inner, type) and issubclass(inner, Frozen):
        return Target("values", info.default, many=True, model=inner) if many else None
    kind = _KINDS.get(inner, "code")
    if kind != "code":
        return Target(kind, info.default, many, optional, reference=references(model).get(name))
    members = _members(inner)
    unknown = members.get("unknown") if many else _unknown(members, info.default)
    return Target("code", info.default, many, optional, members, unknown)


def _unwrapped(annotation: object) -> tuple[object, bool, bool]:
    optional = get_origin(annotation) in (Union, types.UnionType)
    if optional:
        annotation = next(inner for inner in get_args(annotation) if inner is not types.NoneType)
    many = get_origin(annotation) is tuple
    if many:
        annotation = get_args(annotation)[0]
    return (annotation if annotation in _KINDS else _bare(annotation)), optional, many


def _bare(annotation: object) -> object:
    """Strip `Annotated` from a type inside a union, such as an instant."""
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _members(inner: object) -> dict[str, object]:
    if isinstance(inner, type) and issubclass(inner, Enum):
        return {str(member.value): member for member in inner}
    return {str(value): value for value in get_args(inner)}


def _unknown(members: dict[str, object], default: object) -> object:
    """A foreign part is nobody else's business; a foreign level is no level; a closed choice keeps its default."""
    return Part.OWN if Part.OWN in members.values() else members.get("unknown", default)
