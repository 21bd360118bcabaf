"""Places that a payload can never give: a form's labels come in small letters, each format has its outermost names.

Only what holds for every record of the format is refused. Whether a form has a label, or a message an element, cannot
be known without one: `hub mapping coverage` shows that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hub.mappings.language.header import items
from hub.mappings.language.nodes import as_written_pointer, nearest, pointer_of
from hub.mappings.language.pointers import Pointer, counts_rows, pointer_text
from hub.mappings.language.rules import RuleTree, fields_around, label_word, rows_around
from hub.payloads.yamlfile import FileError, Mark, YamlMap

_FORM = "form"
_DEPTH = {"pairs": 2, "controls": 2, "fields": 2, "sections": 2, "tables": 3}
_HOLDS = {"docx": ("pairs", "controls", "fields", "sections", "tables", _FORM), "pdf": ("fields", _FORM)}
_LABELS = ("pairs", "sections", "tables")
_WHAT = {"docx": "a Word form", "pdf": "a PDF form"}


def check_places(root: YamlMap, tree: RuleTree) -> None:
    """Refuse the first place that no record of the mapping's format can have. Raises FileError."""
    kind = tree.header.payload
    outermost = _outermost(tree)
    for place, mark in [*_in_head(root), *_in_rules(tree)]:
        wrong = _wrong_in_form(place, kind) if kind in _HOLDS else _wrong_outermost(place, outermost)
        if wrong:
            raise FileError(mark, f"no record has the place {pointer_text(place)}", wrong)


def _in_head(root: YamlMap) -> Iterator[tuple[Pointer, Mark]]:
    for key in ("when", "on_create"):
        node = root.items.get(key)
        for place, mark in node.keys.items() if isinstance(node, YamlMap) else ():
            if place.startswith("/"):
                yield pointer_of(place, mark, key), mark
    for one in items(root, "volatile"):
        yield as_written_pointer(one, "volatile"), one.mark


def _in_rules(tree: RuleTree) -> Iterator[tuple[Pointer, Mark]]:
    marks = [rule.mark for rule in tree.rules]
    fields = list(fields_around(tree.fields))
    for here, rows in rows_around(tree.rows):
        said = [*(one.pointer for one in rows.where), *(pointer for pointer, _ in rows.on_create)]
        yield from (((*here, *pointer), marks[rows.rule]) for pointer in said)
        yield from (((*here, *key), marks[rows.key_rule]) for key in rows.key)
        fields += fields_around(rows.fields, here)
    for here, field in fields:
        yield from (((*here, *place), marks[field.rule]) for place in field.at)


def _wrong_in_form(place: Pointer, kind: str) -> str | None:
    """Return what would be right in place of a place that no form has; None for one that a form may have."""
    held, first = _HOLDS[kind], place[0]
    if first not in held:
        return f"{_WHAT[kind]} has only {', '.join('/' + name for name in held)}. {nearest(first, held)}"
    names = place[1:]
    if first == "tables" and len(names) > 1 and counts_rows(names[1:2]):
        names = (names[0], *names[2:])
    if first in _LABELS and (said := tuple(map(label_word, names))) != names:
        return f"Labels, headings and columns are read in small letters. Write {pointer_text((first, *said))}"
    depth = _DEPTH.get(first, 1)
    if len(names) + 1 != depth:
        return f"Write {_pattern(first)}"
    return None


def _pattern(first: str) -> str:
    return {"tables": "/tables/heading/column", _FORM: "/form"}.get(first, f"/{first}/name")


def _outermost(tree: RuleTree) -> frozenset[str]:
    """Return the outermost names that a record can have, as far as the mapping itself tells; none where it doesn't."""
    header = tree.header
    if header.payload == "csv":
        files = header.options.get("files")
        specs = files.items() if isinstance(files, Mapping) else ()
        return frozenset(stem for stem, spec in specs if not isinstance(spec, Mapping) or "parent" not in spec)
    if header.payload == "xml":
        said = (one for one in header.when if one.test == "has" or (one.test == "is" and len(one.pointer) > 1))
        return frozenset(one.pointer[0] for one in said)
    return frozenset()


def _wrong_outermost(place: Pointer, outermost: Iterable[str]) -> str | None:
    known = set(outermost)
    if len(known) != 1 or place[0] in known:
        return None
    return f"Begin with /{next(iter(known))}, which holds all of a record"
