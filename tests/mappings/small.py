"""Small mappings for tests: a head that fits, and writing that makes sure that what was written stays."""

from __future__ import annotations

from hub.mappings.language import Clear, CodeList, Mapping, Tree, load_mapping
from hub.relaylog.model import RelayLog

HEAD = """mapping: test/language
version: 1
canonical: relaylog/1
origin: assumed
payload: json
when: {/kind: T}
"""


def load(fields: str, more: str = "", payload: str = "json", lists: tuple[CodeList, ...] = ()) -> Mapping:
    """Compile a mapping with these fields; `more` stands above them."""
    head = HEAD.replace("payload: json", f"payload: {payload}")
    return load_mapping(head + more + "fields:\n" + fields, "test.yaml", lists=lists)


def written(mapping: Mapping, record: Tree | None, log: RelayLog, *clear: tuple[str, str, str]) -> Tree:
    """Write a log, and make sure that what was written is what stays."""
    marked: Clear = frozenset(clear)
    out = mapping.write(record, log, clear=marked)
    assert mapping.write(out, log, clear=marked) == out
    return out


def rows(tree: Tree, name: str) -> list[dict[str, object]]:
    """Return the list at a key of a record."""
    found = tree[name]
    assert isinstance(found, list)
    return found
