"""CSV sets: a zip of CSV files in which one file has a row for each record and the others hang on by keys.

Every row that isn't changed is written back as it stood, so that quotes, columns nobody maps, order and line ends stay.
Texts in Windows-1252 that happen to be plain ASCII look like UTF-8; what is written from a set in that encoding says so
in the comment of the zip.
"""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TypeGuard

from hub.payloads.base import Limits, PayloadError, Tree, check_tree, pairing, plain, same, shown
from hub.payloads.options import Options, OptionsError, table
from hub.payloads.zips import pack, repack, unpack

_BOM = b"\xef\xbb\xbf"
_DELIMITERS = {"semicolon": ";", "comma": ",", "tab": "\t"}
_WINDOWS = "cp1252"
_ENDINGS = (".csv", ".txt", ".tsv")


@dataclass(frozen=True)
class _File:
    """One file of the set: its key column, and the column that names its parent's key; "" for none."""

    stem: str
    key: str
    parent: str
    link: str


@dataclass
class _Row:
    """A row: its number as a spreadsheet counts, its cells (empty ones None), and its text in the file.

    `text` is "" for what must be written anew; a blank line has no cells.
    """

    number: int
    cells: dict[str, object]
    text: str


@dataclass
class _Sheet:
    """A file as it was read, with all that is needed to write it in the same way."""

    stem: str
    name: str
    encoding: str
    delimiter: str
    newline: str
    quoted: bool
    header: list[str]
    head: str
    rows: list[_Row] = field(default_factory=list)

    @property
    def data(self) -> Iterator[_Row]:
        """The rows that are not blank lines."""
        return (row for row in self.rows if row.cells)


class CsvPayload:
    """A set of CSV files, delivered as a zip (make one of loose files with `zips.pack`). Options:

    - `files: {stem: {key: column, parent: stem/column}}`, needed. The file without `parent` has one row a record;
      `parent: logg/LoggID` means that this file's column LoggID holds the key of the row in logg that it belongs to.
    - `delimiter: detect | semicolon | comma | tab`, `encoding: detect | utf-8 | utf-8-sig | cp1252`.
    """

    def __init__(self, given: Mapping[str, object]) -> None:
        options = Options(given, "files", "delimiter", "encoding")
        self.limits: Limits = options.limits
        self.files = {stem: _file(stem, table(spec, ["files", stem])) for stem, spec in options.table("files").items()}
        self.delimiter = options.choice("delimiter", ("detect", *_DELIMITERS))
        self.encoding = options.choice("encoding", ("detect", "utf-8", "utf-8-sig", _WINDOWS))
        self.root = self._root()
        self.children: dict[str, list[_File]] = defaultdict(list)
        for file in self.files.values():
            self.children[file.parent].append(file)

    def decode(self, data: bytes) -> Tree:
        """Read all files as {stem: [row]}, each row {column: text, or None where empty}. Raises PayloadError."""
        return {stem: [dict(row.cells) for row in sheet.data] for stem, sheet in self._sheets(data).items()}

    def encode(self, tree: Tree, original: bytes | None) -> bytes:
        """Write {stem: [row]} on a set; a file that the tree doesn't name stays. Raises PayloadError."""
        check_tree(tree, self.limits)
        sheets = self._sheets(original) if original is not None else {}
        changed: dict[str, bytes] = {}
        for stem, value in tree.items():
            rows = _rows(value, f"/{shown(stem)}")
            if stem not in self.files:
                raise PayloadError("name", f"/{shown(stem)}", "no file of this set", "Name it under files")
            sheet = sheets.get(stem) or self._new(stem, rows, sheets.values())
            if stem not in sheets or _replace(sheet, rows):
                changed[sheet.name] = _written(sheet)
        if original is None:
            return pack(changed)
        return repack(original, changed, self._comment(sheets)) if changed else original

    def decode_set(self, data: bytes) -> list[tuple[str, Tree]]:
        """Read a set as one (key, tree) a record: {root's stem: {column: text, child's stem: [row]}}.

        Rows of a child file stand in a list in their parent's row, and so on down. Raises PayloadError.
        """
        sheets = self._sheets(data)
        below: dict[str, dict[object, list[_Row]]] = {}
        for file in self.files.values():
            groups = below[file.stem] = defaultdict(list)
            for row in sheets[file.stem].data if file.stem in sheets else ():
                groups[row.cells.get(file.link)].append(row)
        root = self.root
        return [
            (str(row.cells[root.key]), {root.stem: self._grown(row, root, below)}) for row in below[root.stem][None]
        ]

    def split(self, data: bytes) -> list[bytes]:
        """Return a set for each record, with that record alone and in the manner of the whole: to write it back on.

        Names of files, headers, all columns, encoding, delimiter and line ends are the set's. Files that the options
        don't name are kept where the set has one record; among several they may tell of others. Raises PayloadError.
        """
        sheets = self._sheets(data)
        records = self._owned(sheets)
        if len(records) == 1:
            return [data]
        comment = self._comment(sheets)
        return [
            pack({sheet.name: _written(replace(sheet, rows=rows[stem])) for stem, sheet in sheets.items()}, comment)
            for rows in records.values()
        ]

    def encode_set(self, records: Iterable[tuple[str, Tree]], original: bytes | None) -> bytes:
        """Write records, as `decode_set` gives them, on a set; records that aren't named stay. Raises PayloadError."""
        flat: dict[str, list[object]] = {}
        before = self.decode(original) if original is not None else {}
        for stem in self.files:
            flat[stem] = list(_rows(before.get(stem, []), f"/{stem}"))
        for key, tree in records:
            check_tree(tree, self.limits)
            row = tree.get(self.root.stem)
            if not _is_object(row):
                raise PayloadError("shape", f"/{self.root.stem}", "no object", "Write a record as decode_set gives it")
            kept = next((one for one in flat[self.root.stem] if _is_object(one) and one[self.root.key] == key), {})
            self._lay(flat, self.root, [{**kept, **row, self.root.key: key}], None)
        self._drop_orphans(flat, self.root)
        return self.encode({stem: rows for stem, rows in flat.items() if rows or stem in before}, original)

    def _owned(self, sheets: dict[str, _Sheet]) -> dict[str, dict[str, list[_Row]]]:
        """Return each record's rows, by its key and the file's stem."""
        records: dict[str, dict[str, list[_Row]]] = {}
        owners: dict[tuple[str, object], str] = {}

        def look(file: _File) -> None:
            for row in sheets[file.stem].data if file.stem in sheets else ():
                link = (file.parent, row.cells[file.link]) if file.link else None
                owner = owners[link] if link else str(row.cells[file.key])
                records.setdefault(owner, defaultdict(list))[file.stem].append(row)
                owners[file.stem, row.cells.get(file.key)] = owner
            for child in self.children[file.stem]:
                look(child)

        look(self.root)
        return records

    def _grown(self, row: _Row, file: _File, below: dict[str, dict[object, list[_Row]]]) -> Tree:
        tree: Tree = dict(row.cells)
        for child in self.children[file.stem]:
            if child.stem in tree:
                raise PayloadError(
                    "header", f"{file.stem}:1", "a column named as a file", "Rename the file or the column"
                )
            rows = below[child.stem].get(row.cells[file.key], [])
            tree[child.stem] = [self._grown(inner, child, below) for inner in rows]
        return tree

    def _lay(self, flat: dict[str, list[object]], file: _File, rows: Sequence[Tree], parent: object) -> None:
        """Put the rows of one parent in place of those it had; of the root, in place of the row of the same key."""
        stems = {child.stem for child in self.children[file.stem]}
        made = [{name: value for name, value in row.items() if name not in stems} for row in rows]
        if file.link:
            made = [row | {file.link: parent} for row in made]
        present = flat[file.stem]
        by, value = (file.link, parent) if file.link else (file.key, made[0][file.key])
        places = [at for at, row in enumerate(present) if _is_object(row) and row.get(by) == value]
        held = [present[at] for at in places]
        after = places[-1] + 1 if places else len(present)
        present[after:after] = _spread(made, _continued(held, made, file.key), present, places)
        for at in reversed(places):
            if present[at] is None:
                del present[at]
        for row in rows:
            self._lay_children(flat, file, row)

    def _drop_orphans(self, flat: dict[str, list[object]], file: _File) -> None:
        """Take out the rows below rows that are gone."""
        keys = {plain(row.get(file.key)) for row in flat.get(file.stem, []) if _is_object(row)}
        for child in self.children[file.stem]:
            rows = flat.get(child.stem, [])
            rows[:] = [row for row in rows if _is_object(row) and plain(row.get(child.link)) in keys]
            self._drop_orphans(flat, child)

    def _lay_children(self, flat: dict[str, list[object]], file: _File, row: Tree) -> None:
        for child in self.children[file.stem]:
            if child.stem in row:
                rows = _rows(row[child.stem] or [], f"/{file.stem}/{child.stem}")
                if rows and plain(row.get(file.key)) == "":
                    raise PayloadError("key", f"/{file.stem}", "a row without key has rows below it", "Give it a key")
                self._lay(flat, child, rows, row.get(file.key))

    def _root(self) -> _File:
        roots = [file for file in self.files.values() if not file.parent]
        if len(roots) != 1 or not roots[0].key:
            raise OptionsError(["files"], "not one file with a key and no parent", "Give all other files their parent")
        for file in self.files.values():
            above, seen = file, {file.stem}
            while above.parent:
                if above.parent not in self.files or above.parent in seen or not self.files[above.parent].key:
                    raise OptionsError(["files", file.stem, "parent"], "no file with a key", "Write stem/column")
                above = self.files[above.parent]
                seen.add(above.stem)
        return roots[0]

    def _sheets(self, data: bytes) -> dict[str, _Sheet]:
        known = {stem.lower(): stem for stem in self.files}
        found: dict[str, tuple[str, bytes]] = {}
        for name, content in unpack(data, self.limits).items():
            path = PurePosixPath(name)
            stem = known.get(unicodedata.normalize("NFC", path.stem).lower())
            if stem and path.suffix.lower() in _ENDINGS:
                if stem in found:
                    raise PayloadError("duplicate", stem, "two files of this name", "Send each file once")
                found[stem] = (name, content)
        if self.root.stem not in found:
            raise PayloadError("zip", f"{self.root.stem}.csv", "this file is missing", "Send the whole set")
        encoding = self._encoding(data, [content for _, content in found.values()])
        left = [self.limits.count]
        sheets = {stem: self._sheet(stem, *found[stem], encoding, left) for stem in self.files if stem in found}
        self._check_keys(sheets)
        return sheets

    def _encoding(self, data: bytes, contents: list[bytes]) -> str:
        """Return the set's encoding: what is declared or said in its comment, else UTF-8 if all of it is."""
        if self.encoding != "detect":
            return self.encoding
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            said = archive.comment == _WINDOWS.encode()
        return "utf-8" if not said and all(_is_utf8(content) for content in contents) else _WINDOWS

    def _comment(self, sheets: Mapping[str, _Sheet]) -> bytes:
        """Return what a zip says of its encoding: something only where it was found, and might be missed again."""
        windows = self.encoding == "detect" and any(sheet.encoding == _WINDOWS for sheet in sheets.values())
        return _WINDOWS.encode() if windows else b""

    def _sheet(self, stem: str, name: str, content: bytes, encoding: str, left: list[int]) -> _Sheet:
        mark = content.startswith(_BOM) and encoding != _WINDOWS
        try:
            text = content.removeprefix(_BOM if mark else b"").decode(_WINDOWS if encoding == _WINDOWS else "utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            at = f"{stem}.csv:{line}"
            raise PayloadError("encoding", at, f"not {encoding}", "Declare the real encoding in the mapping") from None
        delimiter = self._delimiter(stem, text)
        lines = _parsed(text, delimiter, stem, self.limits, left)
        header, head = next(lines, ([], ""))
        names = [unicodedata.normalize("NFC", cell).strip() for cell in header]
        _check_header(stem, names, self.files[stem])
        newline = "\r\n" if head.endswith("\r\n") or not head.endswith(("\n", "\r")) else head[-1]
        quoted = head.rstrip("\r\n") == _line(header, delimiter, "", quoted=True)
        sheet = _Sheet(stem, name, "utf-8-sig" if mark else encoding, delimiter, newline, quoted, names, head)
        for number, (cells, raw) in enumerate(lines, 2):
            if cells and len(cells) != len(names):
                what = f"{len(cells)} cells where the header has {len(names)}"
                raise PayloadError("row", f"{stem}.csv:{number}", what, "Quote cells that hold the delimiter")
            sheet.rows.append(
                _Row(number, dict(zip(names, (cell or None for cell in cells), strict=True)) if cells else {}, raw)
            )
        return sheet

    def _delimiter(self, stem: str, text: str) -> str:
        """Return what parts cells: as declared, else what makes the header hold the key column, in most columns."""
        if self.delimiter != "detect":
            return _DELIMITERS[self.delimiter]
        needed = {self.files[stem].key, self.files[stem].link} - {""}
        best, most = ";", (False, 0)
        for delimiter in _DELIMITERS.values():
            try:
                header, _ = next(_parsed(text, delimiter, stem, self.limits, [self.limits.count]), ([], ""))
            except PayloadError:  # quotes that only match around another delimiter
                continue
            score = (needed <= {cell.strip() for cell in header}, len(header))
            if score > most:
                best, most = delimiter, score
        return best

    def _check_keys(self, sheets: dict[str, _Sheet]) -> None:
        keys: dict[str, set[object]] = {}
        for stem, sheet in sheets.items():
            file, seen = self.files[stem], keys.setdefault(stem, set())
            for row in sheet.data if file.key else ():
                key, at = row.cells[file.key], f"{stem}.csv:{row.number}"
                if key in seen:
                    raise PayloadError(
                        "duplicate", at, f"a key ({file.key}) that an earlier row has", "Send each key once"
                    )
                if key is None and not file.link:
                    raise PayloadError("key", at, f"no key ({file.key})", "Give each row its key")
                seen |= {key} - {None}
        for stem, sheet in sheets.items():
            file = self.files[stem]
            for row in sheet.data if file.link else ():
                if row.cells[file.link] not in keys.get(file.parent, set()):
                    at = f"{stem}.csv:{row.number}"
                    raise PayloadError("key", at, f"{file.link} names no row in {file.parent}", "Send the whole set")

    def _new(self, stem: str, rows: Sequence[Tree], others: Iterable[_Sheet]) -> _Sheet:
        """Make a file as the others of the set are, or as Norwegian spreadsheets read it."""
        like = next(iter(others), None)
        file = self.files[stem]
        needed = [name for name in (file.key, file.link) if name]
        header = list(dict.fromkeys([*(name for row in rows for name in row), *needed]))
        delimiter = like.delimiter if like else ";" if self.delimiter == "detect" else _DELIMITERS[self.delimiter]
        encoding = like.encoding if like else "utf-8-sig" if self.encoding == "detect" else self.encoding
        newline = like.newline if like else "\r\n"
        sheet = _Sheet(stem, f"{stem}.csv", encoding, delimiter, newline, bool(like and like.quoted), header, "")
        sheet.head = _line(header, delimiter, newline, quoted=sheet.quoted)
        _replace(sheet, rows)
        return sheet


def _file(stem: str, spec: Mapping[str, object]) -> _File:
    path = ["files", stem]
    values = {name: spec.get(name, "") for name in ("key", "parent")}
    for name, value in spec.items():
        if name not in values or not isinstance(value, str) or not value:
            raise OptionsError([*path, name], "not understood", "Write key: column, and parent: stem/column")
    parent, slash, link = str(values["parent"]).partition("/")
    if parent and not (slash and link):
        raise OptionsError([*path, "parent"], "no column", "Write stem/column, the column of this file")
    return _File(stem, str(values["key"]), parent, link)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_object(value: object) -> TypeGuard[Tree]:
    return isinstance(value, dict)


def _rows(value: object, place: str) -> list[Tree]:
    rows = value if isinstance(value, list) else [None]
    found = [row for row in rows if _is_object(row)]
    if len(found) < len(rows):
        raise PayloadError("shape", place, "not a list of rows", "Write a list of objects")
    return found


def _parsed(text: str, delimiter: str, stem: str, limits: Limits, left: list[int]) -> Iterator[tuple[list[str], str]]:
    """Yield each row's cells and its text; a blank line has no cells. `left` cells may still come."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.StringIO(text, newline=""):
            taken.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            at = f"{stem}.csv:{number}"
            raise PayloadError(
                "row", at, "quotes that don't match, or a cell without end", "Quote whole cells"
            ) from None
        left[0] -= max(len(cells), 1)
        if left[0] < 0:
            raise PayloadError(
                "count", f"{stem}.csv:{number}", f"more than {limits.count} cells", "Send less at a time"
            )
        yield cells, "".join(taken)
        taken.clear()


def _check_header(stem: str, names: list[str], file: _File) -> None:
    at = f"{stem}.csv:1"
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise PayloadError("header", at, f"column {number} has no name", "Name each column")
        if name in seen:
            raise PayloadError("header", at, f"column {number} has a name that stands twice", "Name each column once")
        seen.add(name)
    for needed in (file.key, file.link):
        if needed and needed not in names:
            raise PayloadError("header", at, f"no column {needed}", "Send the column, or correct the mapping")


def _continued(held: Sequence[object], made: Sequence[Tree], key: str) -> list[int | None]:
    """Say for each row which one it continues: by key where the file has one, else by likeness."""
    if not key:
        return pairing(held, made)
    places = {plain(row.get(key)): at for at, row in enumerate(held) if _is_object(row) and plain(row.get(key))}
    return [places.get(plain(row.get(key))) for row in made]


def _spread(made: list[Tree], pairs: list[int | None], present: list[object], places: list[int]) -> list[object]:
    """Write rows on the places they continue, mark the places left over with None, and return the new rows."""
    kept = {pair for pair in pairs if pair is not None}
    for number, at in enumerate(places):
        if number not in kept:
            present[at] = None
    new: list[object] = []
    for row, pair in zip(made, pairs, strict=True):
        if pair is None:
            new.append(row)
        else:
            present[places[pair]] = row
    return new


def _replace(sheet: _Sheet, rows: Sequence[Tree]) -> bool:
    """Put rows in place of a file's rows; tell whether anything changed. What stays equal keeps its text."""
    known = set(sheet.header)
    said = [  # nothing for a column that isn't there says nothing
        {name: text or None for name, value in row.items() if (text := plain(value)) or name in known} for row in rows
    ]
    held = list(sheet.data)
    before = [row.cells for row in held]
    if same(before, said):
        return False
    for number, row in enumerate(said):
        for name in row:
            if name not in sheet.header:
                at = f"/{sheet.stem}/{number}/{shown(name)}"
                raise PayloadError("header", at, "a column that the file doesn't have", "Add it to the file's header")
    new: list[_Row] = []
    for number, (row, pair) in enumerate(zip(said, pairing(before, said), strict=True), 2):
        if pair is not None and same(held[pair].cells, row):
            new.append(held[pair])
        else:
            new.append(_Row(number, {name: row.get(name) for name in sheet.header}, ""))
    sheet.rows = new
    return True


def _written(sheet: _Sheet) -> bytes:
    texts = [sheet.head]
    for row in sheet.rows:
        if not texts[-1].endswith(("\n", "\r")):
            texts[-1] += sheet.newline
        cells = [plain(row.cells[name]) for name in sheet.header]
        texts.append(row.text or _line(cells, sheet.delimiter, sheet.newline, quoted=sheet.quoted))
    try:
        return "".join(texts).encode(sheet.encoding)
    except UnicodeEncodeError as error:
        line = "".join(texts).count("\n", 0, error.start) + 1
        place = f"{sheet.stem}.csv:{line}"
        raise PayloadError(
            "character", place, f"a letter that {sheet.encoding} lacks", "Let the system take UTF-8"
        ) from None


def _line(cells: Sequence[str], delimiter: str, newline: str, *, quoted: bool) -> str:
    if cells == [""]:
        return '""' + newline
    return delimiter.join(_cell(cell, delimiter, quoted=quoted) for cell in cells) + newline


def _cell(text: str, delimiter: str, *, quoted: bool) -> str:
    odd = quoted or any(letter in text for letter in (delimiter, '"', "\r", "\n")) or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if odd else text
