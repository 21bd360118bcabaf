"""What a filled PDF text field looks like: a small drawing of its text in the field's size, colour and alignment.

The drawing's own fonts cover the Norwegian and Sámi alphabets. That matters: a viewer that draws a field itself uses
the form's font, and leaves out the letters which that lacks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import groupby

from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NumberObject, StreamObject

_MULTILINE, _PASSWORD, _COMB = 1 << 12, 1 << 13, 1 << 24
_SAMI = {
    "Č": ("Ccaron", 722), "č": ("ccaron", 500), "Đ": ("Dcroat", 722), "đ": ("dcroat", 556),
    "Ŋ": ("Eng", 722), "ŋ": ("eng", 556), "Ŧ": ("Tbar", 611), "ŧ": ("tbar", 278),
}  # fmt: skip
_CODES = {letter: code for code, letter in enumerate(_SAMI, 1)}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s+Tf")
_COLOUR = re.compile(r"(?:[\d.]+\s+){1,4}(?:g|rg|k)\b")
_MARGIN = 2.0
_LEADING = 1.15
_SMALLEST = 4.0
# The Helvetica widths of most letters, in thousandths; near enough to break lines by.
_WIDTHS = {
    222: "ijl'|",
    278: " ftI.,:;/!()[]",
    333: 'r-"',
    500: "ckvxyzs",
    667: "ABEKPSVXY",
    722: "CDHNRUw",
    778: "GOQ",
    833: "mM",
    944: "W",
}
_WIDTH = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_WIDTH |= {letter: width for letter, (_, width) in _SAMI.items()}
_USUAL = 556


def appearance(text: str, widget: DictionaryObject, inherited: Mapping[str, object], flags: int) -> StreamObject:
    """Draw a field's text for one of its widgets."""
    left, low, right, high = (float(one) for one in _numbers(widget.get("/Rect")))
    width, height = abs(right - left), abs(high - low)
    style = str(widget.get("/DA") or inherited.get("/DA") or "")
    letters = "" if flags & _PASSWORD else unicodedata.normalize("NFC", text)
    size, lines = _fitted(letters, style, width, height, many=bool(flags & _MULTILINE))
    colour = _COLOUR.search(style)
    top = height - _MARGIN - size if flags & _MULTILINE else (height - size) / 2 + size * 0.22
    drawing = [f"/Tx BMC q 0 0 {width:.2f} {height:.2f} re W n BT {colour[0] if colour else '0 g'}"]
    alignment = int(str(widget.get("/Q", inherited.get("/Q", 0))))
    length = inherited.get("/MaxLen")
    if flags & _COMB and isinstance(length, int) and length > 0:
        drawing += [_placed(one, (at + 0.5) * width / length, top, size, 1) for at, one in enumerate(letters)]
    else:
        edge = (_MARGIN, width / 2, width - _MARGIN)[alignment % 3]
        drawing += [_placed(line, edge, top - at * size * _LEADING, size, alignment) for at, line in enumerate(lines)]
    return _stream(" ".join([*drawing, "ET Q EMC"]), width, height)


def _numbers(value: object) -> list[str]:
    found = [str(one) for one in value] if isinstance(value, ArrayObject) else []
    return found if len(found) == 4 else ["0", "0", "100", "20"]


def _fitted(text: str, style: str, width: float, height: float, *, many: bool) -> tuple[float, list[str]]:
    """Return the font size and lines: the field's own size, or for size 0 the largest that fits."""
    found = _SIZE.search(style)
    size = float(found[1]) if found else 0.0
    free = size == 0
    size = size or min(12.0, max(_SMALLEST, height * 0.7))
    while True:
        lines = list(_broken(text, (width - 2 * _MARGIN) / size * 1000)) if many else [text.replace("\n", " ")]
        over = len(lines) * size * _LEADING > height if many else _wide(lines[0]) * size / 1000 > width
        if not (free and over and size > _SMALLEST):
            return size, lines
        size -= 0.5


def _broken(text: str, room: float) -> Iterator[str]:
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and _wide(longer) > room:
                yield line
                line = word
            else:
                line = longer
        yield line


def _wide(text: str) -> int:
    return sum(_WIDTH.get(letter, 690 if letter.isupper() else _USUAL) for letter in text)


def _placed(line: str, edge: float, y: float, size: float, alignment: int) -> str:
    x = edge - _wide(line) * size / 1000 * (0, 0.5, 1)[alignment % 3]
    pieces = [_shown(list(letters), size, sami=sami) for sami, letters in groupby(line, lambda one: one in _CODES)]
    return " ".join([f"1 0 0 1 {x:.2f} {y:.2f} Tm", *pieces])


def _shown(letters: list[str], size: float, *, sami: bool) -> str:
    coded = bytes(_CODES[one] for one in letters) if sami else "".join(letters).encode("cp1252", "replace")
    return f"/{'S' if sami else 'F'} {size:.2f} Tf <{coded.hex()}> Tj"


def drawable(text: str) -> bool:
    """Tell whether the drawing's fonts have all letters of a text."""
    rest = "".join(one for one in unicodedata.normalize("NFC", text) if one not in _CODES)
    return rest.encode("cp1252", "ignore").decode("cp1252") == rest


def _font() -> DictionaryObject:
    return DictionaryObject({
        NameObject("/Type"): NameObject("/Font"),
        NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
        NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
    })  # fmt: skip


def _sami_font() -> DictionaryObject:
    """Return the same font with the letters that its usual encoding lacks, and their widths."""
    font = _font()
    glyphs = [NumberObject(1), *(NameObject("/" + name) for name, _ in _SAMI.values())]
    font[NameObject("/Encoding")] = DictionaryObject({
        NameObject("/Type"): NameObject("/Encoding"),
        NameObject("/Differences"): ArrayObject(glyphs),
    })  # fmt: skip
    font[NameObject("/FirstChar")] = NumberObject(1)
    font[NameObject("/LastChar")] = NumberObject(len(_SAMI))
    font[NameObject("/Widths")] = ArrayObject(NumberObject(width) for _, width in _SAMI.values())
    return font


def _stream(drawing: str, width: float, height: float) -> StreamObject:
    stream = StreamObject()
    stream.set_data(drawing.encode("ascii"))
    stream.update({
        NameObject("/Type"): NameObject("/XObject"),
        NameObject("/Subtype"): NameObject("/Form"),
        NameObject("/BBox"): ArrayObject([FloatObject(0), FloatObject(0), FloatObject(width), FloatObject(height)]),
        NameObject("/Resources"): DictionaryObject({
            NameObject("/Font"): DictionaryObject({NameObject("/F"): _font(), NameObject("/S"): _sami_font()}),
        }),
    })  # fmt: skip
    return stream
