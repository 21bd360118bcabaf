"""The head of a mapping file: what the mapping says of itself, and which records are its own."""

from __future__ import annotations

import re

from hub.mappings.language.conditions import record_conditions
from hub.mappings.language.nodes import (
    as_choice,
    as_list,
    as_map,
    as_text,
    as_written_pointer,
    plain,
    required,
    written_pointer_of,
)
from hub.mappings.language.rules import Constants, Header, Sample
from hub.payloads.options import OptionsError
from hub.payloads.registry import KINDS, payload
from hub.payloads.yamlfile import FileError, Mark, YamlMap, YamlNode, YamlScalar
from hub.relaylog.codes import Part, Service
from hub.relaylog.model import SCHEMA

NEW_IDS = {"hub": True, "system": False}
"""Whose id a new row gets as its key: the hub's, or one that the system gives when it takes the row in."""

ORIGINS = ("published", "observed", "assumed", "confirmed")
HEADER_KEYS = (
    "mapping", "extends", "version", "canonical", "origin", "payload", "when", "volatile", "on_create", "new_ids",
    "part", "writer", "own", "required", "unknown", "codes", "persons", "fields", "tests",
)  # fmt: skip
IDENTITY = r"(?=.{3,120}$)(?!.*[0-9]{11})[a-z0-9]+(-[a-z0-9]+)*/[a-z0-9]+(-[a-z0-9]+)*"
"""A mapping's id, system/template: it stands in events, where nothing that could be a person's may stand."""

SERVICES = {str(service): service for service in Service}
PARTS = {str(part): part for part in Part}


def header_of(root: YamlMap, filled: set[str]) -> Header:
    """Read the head of a mapping whose own fields fill the paths `filled`."""
    as_choice(required(root, "canonical", "the mapping"), "canonical", {SCHEMA: SCHEMA})
    options = _options(root)
    return Header(
        id=_identity(required(root, "mapping", "the mapping"), "mapping"),
        version=_version(required(root, "version", "the mapping")),
        extends=_identity(root.items["extends"], "extends") if "extends" in root.items else None,
        origin=as_choice(required(root, "origin", "the mapping"), "origin", {word: word for word in ORIGINS}),
        payload=payload_of(root),
        options=options,
        when=record_conditions(required(root, "when", "the mapping"), _namespaces(options)),
        volatile=tuple(as_written_pointer(node, "volatile") for node in items(root, "volatile")),
        on_create=constants(root),
        own=own_services(root),
        part=as_choice(root.items["part"], "part", PARTS) if "part" in root.items else None,
        required=tuple(as_choice(node, "a path of this mapping", {name: name for name in filled})
                       for node in items(root, "required")),
        tests=tuple(_sample(node) for node in items(root, "tests")),
        names_new="new_ids" in root.items and as_choice(root.items["new_ids"], "new_ids", NEW_IDS),
    )  # fmt: skip


def _identity(node: YamlNode, key: str) -> str:
    name = as_text(node, key)
    if not re.fullmatch(IDENTITY, name):
        remedy = "Write system/template in small letters a-z, digits and hyphens, such as vigilo/stafettlogg"
        raise FileError(node.mark, f"'{name}' is no name of a mapping", remedy)
    return name


def _version(node: YamlNode) -> int:
    number = as_text(node, "version")
    if not (number.isascii() and number.isdigit()) or int(number) < 1:
        raise FileError(node.mark, f"the version '{number}' is no whole number", "Count versions from 1")
    return int(number)


def payload_of(root: YamlMap) -> str:
    """Return the kind of payload that the records are."""
    node = required(root, "payload", "the mapping")
    kind = required(node, "kind", "the payload") if isinstance(node, YamlMap) else node
    return as_choice(kind, "payload", {word: word for word in KINDS})


def _options(root: YamlMap) -> dict[str, object]:
    """Return the payload's options as plain data, after the payload itself has looked at them."""
    node = root.items["payload"]
    if not isinstance(node, YamlMap):
        return {}
    options = {key: plain(value) for key, value in node.items.items() if key != "kind"}
    try:
        payload(payload_of(root), options)
    except OptionsError as error:
        raise FileError(_mark_at(node, error.path), error.problem, error.remedy) from None
    return options


def _mark_at(node: YamlNode, path: tuple[str, ...]) -> Mark:
    for step in path:
        if not isinstance(node, YamlMap) or step not in node.items:
            break
        node = node.items[step]
    return node.mark


def _namespaces(options: dict[str, object]) -> dict[str, str]:
    found = options.get("namespaces")
    return {str(prefix): str(uri) for prefix, uri in found.items()} if isinstance(found, dict) else {}


def items(root: YamlMap, key: str) -> tuple[YamlNode, ...]:
    """Return the items of a list in the head; none where it is left out."""
    return as_list(root.items[key], key) if key in root.items else ()


def own_services(root: YamlMap) -> frozenset[Service]:
    """Return the services whose text stands without a mark."""
    return frozenset(as_choice(node, "a service", SERVICES) for node in items(root, "own"))


def constants(spec: YamlMap) -> Constants:
    """Read `on_create`: the text that every new record, or row, gets at these places."""
    if "on_create" not in spec.items:
        return ()
    entries = as_map(spec.items["on_create"], "on_create")
    return tuple(
        (written_pointer_of(key, entries.keys[key], "on_create"), _constant(node))
        for key, node in entries.items.items()
    )


def _constant(node: YamlNode) -> str:
    return node.text if isinstance(node, YamlScalar) and node.quoted else as_text(node, "a constant")


def _sample(node: YamlNode) -> Sample:
    entry = as_map(node, "a test", ("record", "expect"))
    return Sample(*(as_text(required(entry, key, "a test"), key) for key in ("record", "expect")))
