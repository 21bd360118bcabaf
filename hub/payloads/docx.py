"""Word forms: a municipality's own .docx read as a tree, and filled in where a person would fill it in.

Only the parts that changed are written; every other part of the file is copied as it is.
"""

from __future__ import annotations

import copy
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lxml import etree

from hub.payloads.base import PayloadError, Tree, check_tree, pairing, same, shown
from hub.payloads.markup import write_markup
from hub.payloads.options import Options
from hub.payloads.wordpackage import W, WordPackage, read_package
from hub.payloads.wordplaces import Cell, Control, FormField, Place, Section, forget_ids, form_fields, take_out, text_of
from hub.payloads.zips import repack

_KINDS = ("controls", "fields", "pairs", "tables", "sections")
_BODY_LEVEL = 9  # outline levels 0-8 are headings, 9 is body text
_PAIR = 2

T = TypeVar("T")


@dataclass
class _Table:
    """A table with a heading row: its columns by grid position, and its rows, each {column: cell}."""

    columns: dict[int, str]
    head: etree._Element
    rows: list[tuple[etree._Element, dict[str, Cell]]] = field(default_factory=list)

    def values(self) -> list[tuple[int, Tree]]:
        """Return the rows that say something, with their number among all rows."""
        read = [{name: cell.get() for name, cell in cells.items()} for _, cells in self.rows]
        return [
            (number, row)
            for number, row in enumerate(read)
            if any(value not in (None, False) for value in row.values())
        ]


@dataclass
class _Form:
    """All places of a form, by kind and name. A name may have several controls or fields that show the same."""

    controls: dict[str, list[Control]] = field(default_factory=dict)
    fields: dict[str, list[FormField]] = field(default_factory=dict)
    pairs: dict[str, Cell] = field(default_factory=dict)
    tables: dict[str, _Table] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Return what stays the same however the form is filled in: a hash of its headings, labels and names."""
        names = [f"{kind}/{name}" for kind in _KINDS for name in getattr(self, kind)]
        names += [f"{name}/{column}" for name, table in self.tables.items() for column in table.columns.values()]
        return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


class DocxPayload:
    """A Word form. Options, all optional, name headings as the form writes them:

    - `tables: [heading]`: two-column tables that have a heading row, without being marked so in Word.
    - `pairs: [heading]`: wider tables that hold label, value, label, value.
    - `guidance: [style]`: names of paragraph styles whose text is instruction, not content.
    """

    def __init__(self, given: Mapping[str, object]) -> None:
        options = Options(given, "tables", "pairs", "guidance")
        self.limits = options.limits
        self.tables = frozenset(normal(name) for name in options.words("tables"))
        self.pairs = frozenset(normal(name) for name in options.words("pairs"))
        self.guidance = frozenset(name.lower() for name in options.words("guidance"))

    def decode(self, data: bytes) -> Tree:
        """Read a form: {controls: {tag: value}, fields: {name: value}, pairs: {label: value},

        tables: {heading: [{column: value}]}, sections: {heading: text}, form: fingerprint}. Raises PayloadError.
        """
        return _tree(self._form(read_package(data, self.limits)))

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Fill in a form. Headings, labels and columns are found whatever their case. Raises PayloadError."""
        check_tree(tree, self.limits)
        if original is None:
            raise PayloadError("form", "", "no form to fill in", "Give the municipality's empty form")
        package = read_package(original, self.limits)
        before = {name: etree.tostring(part.root) for name, part in package.parts.items()}
        form = self._form(package)
        for kind in _KINDS:
            said = tree.get(kind)
            for name, value in said.items() if isinstance(said, dict) else ():
                _put(form, kind, name, value)
        changed = {
            name: write_markup(part)
            for name, part in package.parts.items()
            if etree.tostring(part.root) != before[name]
        }
        return repack(original, changed) if changed else original

    def _form(self, package: WordPackage) -> _Form:
        form = _Form()
        styles = _styles(package.styles)
        bodies = iter(package.parts.values())
        walk = _Walk(self, styles, form)
        walk.blocks(next(bodies).root.find(W + "body"))
        form.pairs |= _by_label(walk.labelled)
        rows = {row for table in form.tables.values() for row, _ in table.rows}
        for part in package.parts.values():
            for sdt in part.root.iter(W + "sdt"):
                control = Control(sdt)
                if not _is_within(sdt, rows) and control.tag and control.holds_one_value:
                    form.controls.setdefault(control.tag, []).append(control)
            for found in form_fields(part.root):
                if not _is_within(found.last, rows) and found.name:
                    form.fields.setdefault(found.name, []).append(found)
        return form


def fingerprint(data: bytes) -> str:
    """Return a form's fingerprint, by which a mapping claims it (`when: {/form: ...}`). Raises PayloadError."""
    return str(DocxPayload({}).decode(data)["form"])


def normal(text: str) -> str:
    """Return a heading or label as trees name it: lower case, composed, single spaces, no colon at the end."""
    return " ".join(unicodedata.normalize("NFC", text).split()).rstrip(" :").lower()


class _Walk:
    """Goes through a document's blocks in order, and notes tables, labels and sections under their headings."""

    def __init__(self, payload: DocxPayload, styles: Mapping[str, tuple[str, bool]], form: _Form) -> None:
        self.payload = payload
        self.styles = styles
        self.form = form
        self.heading = ""
        self.section: Section | None = None
        self.labelled: list[tuple[str, str, Cell]] = []

    def blocks(self, holder: etree._Element | None) -> None:
        """Go through paragraphs and tables; controls around several blocks are gone into."""
        for block in holder.iterchildren(etree.Element) if holder is not None else ():
            if block.tag == W + "p":
                self._paragraph(block)
            elif block.tag == W + "tbl":
                self._table(block)
            elif block.tag == W + "sdt" and not Control(block).holds_one_value:
                self.blocks(block.find(W + "sdtContent"))
            elif block.tag == W + "customXml":
                self.blocks(block)

    def _paragraph(self, paragraph: etree._Element) -> None:
        style = paragraph.find(f"{W}pPr/{W}pStyle")
        name, heading = self.styles.get(_val(style), ("", False))
        level = paragraph.find(f"{W}pPr/{W}outlineLvl")
        if level is not None:
            heading = _is_heading_level(level)
        text = normal(text_of(paragraph)) if heading else ""
        if text:
            self.heading = text
            self.section = Section(paragraph, [])
            self.form.sections[_unused(text, self.form.sections)] = self.section
        elif self.section is not None and name not in self.payload.guidance and _is_plain(paragraph):
            self.section.paragraphs.append(paragraph)

    def _table(self, table: etree._Element) -> None:
        rows = list(_rows(table))
        cells = [list(_cells(row)) for row in rows]
        width = max((len(one) for one in cells), default=0)
        if width == 1:
            for one in cells:
                self.blocks(one[0][1].cell if one else None)
        elif width and self._has_heading_row(rows, width):
            self._heading_row_table(rows)
        else:
            self._label_table(cells)

    def _has_heading_row(self, rows: list[etree._Element], width: int) -> bool:
        if self.heading in self.payload.pairs:
            return False
        marked = rows[0].find(f"{W}trPr/{W}tblHeader") is not None
        return marked or width > _PAIR or self.heading in self.payload.tables

    def _heading_row_table(self, rows: list[etree._Element]) -> None:
        heads = 1
        while heads < len(rows) and rows[heads].find(f"{W}trPr/{W}tblHeader") is not None:
            heads += 1
        head = rows[heads - 1]
        columns: dict[int, str] = {}
        for number, (at, cell) in enumerate(_cells(head), 1):
            columns[at] = _unused(normal(_cell_text(cell)) or f"({number})", columns.values())
        key = _unused(self.heading or " | ".join(columns.values()), self.form.tables)
        table = self.form.tables[key] = _Table(columns, head)
        for number, row in enumerate(rows[heads:], heads + 1):
            table.rows.append((row, _named_cells(row, columns, f"/tables/{shown(key)} row {number}")))

    def _label_table(self, rows: list[list[tuple[int, Cell]]]) -> None:
        group = self.heading
        for row in rows:
            cells = [cell for _, cell in row]
            if len(cells) == 1:
                group = normal(_cell_text(cells[0])) or group
            for label, value in zip(cells[::2], cells[1::2], strict=False):
                for inner in value.cell.iterchildren(W + "tbl"):
                    self._table(inner)
                name = normal(_cell_text(label))
                if name and not _is_named(value):
                    self.labelled.append((group, name, value))


def _styles(root: etree._Element | None) -> dict[str, tuple[str, bool]]:
    """Return each paragraph style's name, and whether it is a heading's, by itself or by what it is based on.

    "" is the style of paragraphs that name none.
    """
    styles = {one.get(W + "styleId", ""): one for one in root.iterchildren(W + "style")} if root is not None else {}
    found: dict[str, tuple[str, bool]] = {}
    for key, style in styles.items():
        heading, seen, above = False, set[str](), key
        while above in styles and above not in seen and not heading:
            seen.add(above)
            level = styles[above].find(f"{W}pPr/{W}outlineLvl")
            named = _val(styles[above].find(W + "name")).lower().startswith("heading ")
            heading = named or (level is not None and _is_heading_level(level))
            above = _val(styles[above].find(W + "basedOn"))
        found[key] = (_val(style.find(W + "name")).lower(), heading)
        if style.get(W + "type") == "paragraph" and style.get(W + "default") in ("1", "true", "on"):
            found[""] = found[key]
    return found


def _val(element: etree._Element | None) -> str:
    return "" if element is None else element.get(W + "val", "")


def _is_heading_level(level: etree._Element) -> bool:
    digits = _val(level)
    return len(digits) == 1 and digits.isdecimal() and int(digits) < _BODY_LEVEL


def _is_plain(paragraph: etree._Element) -> bool:
    """Tell paragraphs of text from those that hold controls, fields or a section's page setup."""
    odd = paragraph.iter(W + "sdt", W + "ffData", W + "sectPr")
    return next(odd, None) is None


def _rows(table: etree._Element) -> Iterator[etree._Element]:
    for child in table.iterchildren(W + "tr", W + "sdt", W + "sdtContent"):
        if child.tag == W + "tr":
            yield child
        else:
            yield from _rows(child)


def _cells(row: etree._Element, around: etree._Element | None = None, at: int = 0) -> Iterator[tuple[int, Cell]]:
    """Yield a row's cells with their position in the table's grid."""
    for child in row.iterchildren(W + "tc", W + "sdt"):
        if child.tag == W + "sdt":
            content = child.find(W + "sdtContent")
            for _, cell in _cells(content, child) if content is not None else ():
                yield at, cell
                at += _span(cell.cell)
        else:
            yield at, Cell(child, around)
            at += _span(child)


def _span(cell: etree._Element) -> int:
    digits = _val(cell.find(f"{W}tcPr/{W}gridSpan"))
    return int(digits) if digits.isdecimal() and len(digits) < 4 else 1


def _cell_text(cell: Cell) -> str:
    return "\n".join(text_of(one) for one in cell.cell.iterchildren(W + "p"))


def _named_cells(row: etree._Element, columns: Mapping[int, str], at: str) -> dict[str, Cell]:
    """Return a row's cells by column. A cell that spans several columns is the first one's."""
    found: dict[str, Cell] = {}
    for position, cell in _cells(row):
        if position in columns:
            found[columns[position]] = cell
        elif cell.get() is not None:
            raise PayloadError("row", at, "a cell that stands under no column heading", "Undo merged cells")
    return found


def _is_within(element: etree._Element, rows: set[etree._Element]) -> bool:
    return any(row in rows for row in element.iterancestors(W + "tr"))


def _is_named(cell: Cell) -> bool:
    """Tell whether what is in a cell is already reached by its tag or name."""
    inner = cell.inner
    return (isinstance(inner, Control) and bool(inner.tag)) or (isinstance(inner, FormField) and bool(inner.name))


def _by_label(labelled: list[tuple[str, str, Cell]]) -> dict[str, Cell]:
    """Name cells by their label; where a label stands several times, by `heading: label`."""
    often = Counter(label for _, label, _ in labelled)
    found: dict[str, Cell] = {}
    for group, label, cell in labelled:
        found[_unused(f"{group}: {label}" if often[label] > 1 and group else label, found)] = cell
    return found


def _unused(name: str, taken: Iterable[str]) -> str:
    known = set(taken)
    number = 2
    found = name
    while found in known:
        found = f"{name} ({number})"
        number += 1
    return found


def _tree(form: _Form) -> Tree:
    return {
        "controls": {name: _agreed(places, f"/controls/{shown(name)}") for name, places in form.controls.items()},
        "fields": {name: _agreed(places, f"/fields/{shown(name)}") for name, places in form.fields.items()},
        "pairs": {name: cell.get() for name, cell in form.pairs.items()},
        "tables": {name: [row for _, row in table.values()] for name, table in form.tables.items()},
        "sections": {name: section.get() for name, section in form.sections.items()},
        "form": form.fingerprint(),
    }


def _agreed(places: Iterable[Place], at: str) -> object:
    """Return what several places of one name say; those left empty say nothing."""
    values = [value for place in places if (value := place.get()) is not None]
    if any(not same(value, values[0]) for value in values):
        raise PayloadError("duplicate", at, "one name, and different values", "Give each place a name of its own")
    return values[0] if values else None


def _put(form: _Form, kind: str, name: str, value: object) -> None:
    at = f"/{kind}/{shown(name)}"
    if kind == "tables":
        _put_table(_found(form.tables, name, at), value, at)
        return
    places: list[Place] = []
    if kind in ("controls", "fields"):
        places += form.controls.get(name, []) if kind == "controls" else form.fields.get(name, [])
    else:
        places.append(_found(form.pairs, name, at) if kind == "pairs" else _found(form.sections, name, at))
    if not places:
        raise PayloadError(
            "name", at, "a place that the form doesn't have", "Use the form that the mapping is made for"
        )
    wish = _wish(value, section=kind == "sections")
    for place in places:
        if not same(place.get(), wish):
            place.put(wish, at)


def _wish(value: object, *, section: bool = False) -> object:
    """Return a value as it will read once written: blank is nothing, and a section has no blank lines around it."""
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    while section and lines and not lines[0].strip():
        del lines[0]
    while section and lines and not lines[-1].strip():
        del lines[-1]
    return "\n".join(lines) if text.strip() else None


def _found(known: Mapping[str, T], name: str, at: str) -> T:
    found = known.get(name) or known.get(normal(name))
    if found is None:
        raise PayloadError(
            "name", at, "a place that the form doesn't have", "Use the form that the mapping is made for"
        )
    return found


def _put_table(table: _Table, value: object, at: str) -> None:
    rows = value if isinstance(value, list) else [] if value is None else [value]
    wished: list[Tree] = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise PayloadError("shape", f"{at}/{number}", "not a row", "Write a list of objects")
        said = {normal(name): _wish(cell) for name, cell in row.items()}
        odd = next((name for name in said if name not in table.columns.values()), None)
        if odd is not None:
            raise PayloadError("name", f"{at}/{number}/{shown(odd)}", "no such column", "Use the form's columns")
        wished.append({name: said.get(name) for name in table.columns.values()})
    present = table.values()
    pairs = pairing([row for _, row in present], wished)
    kept = [present[pair][0] if pair is not None else None for pair in pairs]
    _arrange(table, wished, kept, at)


def _arrange(table: _Table, wished: list[Tree], kept: list[int | None], at: str) -> None:
    """Put each row on the form's row that it continues, on an empty one, or on a copy of the last."""
    filled = {number for number, _ in table.values()}
    blank = iter([number for number in range(len(table.rows)) if number not in filled])
    stale = filled - {number for number in kept if number is not None}
    above: etree._Element | None = None
    for number, (said, present) in enumerate(zip(wished, kept, strict=True)):
        chosen = present if present is not None else next(blank, None)
        row, cells = table.rows[chosen] if chosen is not None else _new_row(table)
        for name, value in said.items():
            if name in cells and not same(cells[name].get(), value):
                cells[name].put(value, f"{at}/{number}/{shown(name)}")
        if above is not None and _is_before(row, above):
            above.addnext(row)
        above = row
    for number in stale:
        _take_out(table, number)


def _is_before(one: etree._Element, other: etree._Element) -> bool:
    parent = one.getparent()
    return parent is not None and parent is other.getparent() and parent.index(one) < parent.index(other)


def _new_row(table: _Table) -> tuple[etree._Element, dict[str, Cell]]:
    """Add a row that looks as the last one does; under a bare heading row, as that one without being a heading."""
    last = table.rows[-1][0] if table.rows else table.head
    row = copy.deepcopy(last)
    forget_ids(row)
    for mark in list(row.iter(W + "tblHeader")) + ([] if table.rows else list(row.iter(W + "rPr"))):
        take_out(mark)
    last.addnext(row)
    table.rows.append((row, _named_cells(row, table.columns, "")))
    return table.rows[-1]


def _take_out(table: _Table, number: int) -> None:
    row, cells = table.rows[number]
    others = [one for one, _ in table.rows if one is not row and one.getparent() is not None]
    if others:
        take_out(row)
    else:
        for cell in cells.values():
            cell.put(None, "")
