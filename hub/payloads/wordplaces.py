"""The places of a Word form that hold a value: content controls, form fields, cells and sections of text.

Each is read as what a person sees, and written so that the form keeps its look: the first run's properties are used,
a place that is as wished isn't touched.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from lxml import etree

from hub.payloads.base import PayloadError, plain
from hub.payloads.wordpackage import W14, W

_XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_INLINE = frozenset(
    W + name for name in ("hyperlink", "smartTag", "sdt", "sdtContent", "fldSimple", "customXml", "bdo")
)
_KEPT_IN_RUN = frozenset(W + name for name in ("drawing", "pict", "commentReference", "footnoteReference"))
_LETTERS = {W + "tab": "\t", W + "cr": "\n", W + "noBreakHyphen": "\u2011", W + "softHyphen": "\u00ad"}
_CONTAINERS = {
    "picture", "docPartObj", "docPartList", "group", "citation", "bibliography", "equation", "repeatingSection",
    "repeatingSectionItem",
}  # fmt: skip
_ON = (None, "1", "true", "on")
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_DATE_WORDS = {"yyyy": "{0:04}", "yy": "{1:02}", "MM": "{2:02}", "M": "{2}", "dd": "{3:02}", "d": "{3}"}


class Place(Protocol):
    """Somewhere in a form that holds one value."""

    def get(self) -> object:
        """Return the value: text, true or false, or None where nothing is filled in."""
        ...

    def put(self, value: object, at: str) -> None:
        """Fill in a value; `at` is its pointer in the tree. Raises PayloadError for one that can't stand here."""
        ...


def text_of(element: etree._Element) -> str:
    """Return the text that a paragraph, or the runs in a control, show."""
    return "".join(_letters(element))


def _letters(element: etree._Element) -> Iterator[str]:
    for child in element.iterchildren(etree.Element):
        if child.tag == W + "r":
            yield from (_letter(one) for one in child.iterchildren(etree.Element))
        elif child.tag in _INLINE:
            yield from _letters(child)


def _letter(element: etree._Element) -> str:
    if element.tag == W + "t":
        return element.text or ""
    if element.tag == W + "br":
        return "\n" if element.get(W + "type") in (None, "textWrapping") else ""
    return _LETTERS.get(str(element.tag), "")


def _filled(text: str) -> str | None:
    return text if text.strip() else None


def _text(value: object, at: str) -> str:
    if isinstance(value, dict | list):
        raise PayloadError("shape", at, "an object or list where text stands", "Write text")
    return plain(value)


def _run(text: str, look: etree._Element | None, at: str) -> etree._Element:
    """Make a run of a text: tabs and line breaks are Word's own."""
    run = etree.Element(W + "r")
    if look is not None:
        run.append(copy.deepcopy(look))
    for piece in re.split(r"([\n\t])", text):
        if piece in ("\n", "\t"):
            etree.SubElement(run, W + ("br" if piece == "\n" else "tab"))
        elif piece:
            try:
                etree.SubElement(run, W + "t", {_XML_SPACE: "preserve"}).text = piece
            except ValueError:
                raise PayloadError("character", at, "a control character, which Word can't hold", "Remove it") from None
    return run


def put_runs(holder: etree._Element, text: str, look: etree._Element | None, at: str) -> None:
    """Replace the text in a paragraph or inline control by one run; pictures, bookmarks and comments stay."""
    present = list(_text_children(holder))
    place = holder.index(present[0]) if present else len(holder)
    run = _run(text, look, at)
    for child in present:
        holder.remove(child)
    if text:
        holder.insert(place, run)


def _text_children(holder: etree._Element) -> Iterator[etree._Element]:
    for child in holder.iterchildren(etree.Element):
        run = child.tag == W + "r" and not any(inner.tag in _KEPT_IN_RUN for inner in child)
        if run or child.tag in _INLINE or child.tag == W + "proofErr":
            yield child


def look_of(holder: etree._Element) -> etree._Element | None:
    """Return the run properties that new text takes: those of the first run of text, else of the paragraph's mark."""
    runs = list(holder.iter(W + "r"))
    run = next((one for one in runs if one.findtext(W + "t")), runs[0] if runs else None)
    if run is not None:
        return run.find(W + "rPr")
    return holder.find(f"{W}pPr/{W}rPr")


def put_paragraphs(paragraphs: list[etree._Element], text: str, look: etree._Element | None, at: str) -> None:
    """Write a text into the first of some paragraphs, and take the others out."""
    put_runs(paragraphs[0], text, look, at)
    for other in paragraphs[1:]:
        if next(other.iter(*_KEPT_IN_RUN), None) is None:
            take_out(other)


@dataclass(frozen=True)
class Control:
    """A content control: text, date (yyyy-mm-dd), choice (its value, else what it shows), checkbox (true, false)."""

    sdt: etree._Element

    @property
    def tag(self) -> str:
        """Its tag; "" where it has none."""
        return _val(self.sdt.find(f"{W}sdtPr/{W}tag")) or ""

    @property
    def holds_one_value(self) -> bool:
        """Tell it from controls around pictures, tables or other controls."""
        names = {etree.QName(one).localname for one in self.sdt.iterfind(f"{W}sdtPr/*") if isinstance(one.tag, str)}
        content = self.sdt.find(W + "sdtContent")
        if content is None or names & _CONTAINERS:
            return False
        return next(content.iter(W + "sdt", W + "tbl"), None) is None

    def get(self) -> object:
        """Return what is filled in; None while the placeholder shows."""
        box = self._property(W14 + "checkbox")
        if box is not None:
            return _val(box.find(W14 + "checked"), W14) in _ON[1:]
        if self._property(W + "showingPlcHdr") is not None:
            return None
        day = self._property(W + "date")
        whole = _DAY.match(day.get(W + "fullDate", "")) if day is not None else None
        shown = "\n".join(text_of(one) for one in self._paragraphs())
        return whole[0] if whole else _filled(self._choices().get(shown, shown))

    def put(self, value: object, at: str) -> None:
        """Fill in a value; a binding to data outside the text is cut, for Word would put the old value back."""
        box = self._property(W14 + "checkbox")
        if box is not None:
            self._show(self._check(box, value, at), at)
            return
        text = _text(value, at)
        choices = self._choices()
        if choices and text:
            text = self._chosen(choices, text, at)
        day = self._property(W + "date")
        if day is not None:
            text = _date_shown(day, text)
        self._show(text, at)

    def _property(self, name: str) -> etree._Element | None:
        return self.sdt.find(f"{W}sdtPr/{name}")

    def _paragraphs(self) -> list[etree._Element]:
        """Return the paragraphs in the control, or the holder of its runs."""
        content = self.sdt.find(W + "sdtContent")
        return [] if content is None else list(content.iter(W + "p")) or [content]

    def _choices(self) -> dict[str, str]:
        """Return what a choice shows -> its value."""
        found: dict[str, str] = {}
        for kind in ("dropDownList", "comboBox"):
            for item in self.sdt.iterfind(f"{W}sdtPr/{W}{kind}/{W}listItem"):
                value = item.get(W + "value", "")
                found[item.get(W + "displayText", value)] = value or item.get(W + "displayText", "")
        return found

    def _chosen(self, choices: dict[str, str], text: str, at: str) -> str:
        shown = next((name for name, value in choices.items() if text in (value, name)), None)
        if shown is None and self._property(W + "comboBox") is None:
            raise PayloadError("value", at, "no choice of this list", "Write one of the form's choices")
        return text if shown is None else shown

    def _check(self, box: etree._Element, value: object, at: str) -> str:
        on = _truth(value, at)
        checked = box.find(W14 + "checked")
        if checked is None:
            checked = etree.SubElement(box, W14 + "checked")
            box.insert(0, checked)
        checked.set(W14 + "val", "1" if on else "0")
        sign = _val(box.find(W14 + ("checkedState" if on else "uncheckedState")), W14) or ""
        plain_sign = "\u2612" if on else "\u2610"
        return chr(int(sign, 16)) if re.fullmatch("[0-9A-Fa-f]{4}", sign) and sign[0] not in "dD" else plain_sign

    def _show(self, text: str, at: str) -> None:
        look = self._own_look()
        properties = self.sdt.find(W + "sdtPr")
        for stale in (
            [] if properties is None else list(properties.iterchildren(W + "showingPlcHdr", W + "dataBinding"))
        ):
            take_out(stale)
        paragraphs = self._paragraphs()
        if paragraphs:
            put_paragraphs(paragraphs, text, look, at)

    def _own_look(self) -> etree._Element | None:
        if self._property(W + "showingPlcHdr") is not None:
            return self._property(W + "rPr")
        return next((look_of(one) for one in self._paragraphs()), None)


def _date_shown(day: etree._Element, text: str) -> str:
    """Keep the control's date in step with its text, and return the text in the control's own format."""
    found = _DAY.fullmatch(text)
    try:
        when = date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        when = None
    if when is None:
        day.attrib.pop(W + "fullDate", "")
        return text
    day.set(W + "fullDate", f"{when.isoformat()}T00:00:00Z")
    wanted = _val(day.find(W + "dateFormat")) or ""
    if not re.fullmatch(r"(?:yyyy|yy|MM|M|dd|d|[ ./-])+", wanted) or "MMM" in wanted or "ddd" in wanted:
        wanted = "dd.MM.yyyy"
    pattern = re.sub("yyyy|yy|MM|M|dd|d", lambda word: _DATE_WORDS[word[0]], wanted)
    return pattern.format(when.year, when.year % 100, when.month, when.day)


def _val(element: etree._Element | None, namespace: str = W) -> str | None:
    return None if element is None else element.get(namespace + "val")


def _truth(value: object, at: str) -> bool:
    if value in (None, "", "false"):
        return False
    if value is False or value is True or value == "true":
        return value is not False
    raise PayloadError("value", at, "neither true nor false", "Write true or false")


@dataclass(frozen=True)
class FormField:
    """A form field of the older kind: text, checkbox (true, false) or choice (the text chosen).

    `begin` is the character that opens it, `results` the runs that show its text, `last` the run that closes it.
    """

    begin: etree._Element
    results: list[etree._Element]
    last: etree._Element

    @property
    def name(self) -> str:
        """Its name, which Word also makes a bookmark of."""
        return _val(self.begin.find(f"{W}ffData/{W}name")) or ""

    def get(self) -> object:
        """Return what is filled in."""
        data = self.begin.find(W + "ffData")
        box = data.find(W + "checkBox") if data is not None else None
        if box is not None:
            state = box.find(W + "checked")
            state = box.find(W + "default") if state is None else state
            return state is not None and _val(state) in _ON
        entries = self._entries()
        if entries:
            chosen = _val(self.begin.find(f"{W}ffData/{W}ddList/{W}result")) or "0"
            number = int(chosen) if chosen.isdecimal() and len(chosen) < 5 else len(entries)
            return _filled(entries[number]) if number < len(entries) else None
        return _filled("".join(_joined(self.results)))

    def put(self, value: object, at: str) -> None:
        """Fill in a value. Raises PayloadError for a choice that the list lacks."""
        data = self.begin.find(W + "ffData")
        box = data.find(W + "checkBox") if data is not None else None
        listed = data.find(W + "ddList") if data is not None else None
        if box is not None:
            state = box.find(W + "checked")
            state = etree.SubElement(box, W + "checked") if state is None else state
            state.set(W + "val", "1" if _truth(value, at) else "0")
        elif listed is not None:
            self._choose(listed, _text(value, at), at)
        else:
            self._show(_text(value, at), at)

    def _entries(self) -> list[str]:
        return [_val(entry) or "" for entry in self.begin.iterfind(f"{W}ffData/{W}ddList/{W}listEntry")]

    def _choose(self, listed: etree._Element, text: str, at: str) -> None:
        entries = self._entries()
        blank = next((number for number, entry in enumerate(entries) if not entry.strip()), None)
        number = entries.index(text) if text in entries else blank if not text.strip() else None
        if number is None:
            raise PayloadError("value", at, "no choice of this list", "Write one of the form's choices")
        result = listed.find(W + "result")
        if result is None:
            result = etree.Element(W + "result")
            listed.insert(0, result)
        result.set(W + "val", str(number))

    def _show(self, text: str, at: str) -> None:
        first = self.results[0] if self.results else None
        look = first.find(W + "rPr") if first is not None else self.last.find(W + "rPr")
        run = _run(text, look, at)
        (self.last if first is None else first).addprevious(run)
        for stale in self.results:
            take_out(stale)


def _joined(runs: list[etree._Element]) -> Iterator[str]:
    holder: etree._Element | None = None
    for run in runs:
        if holder is not None and run.getparent() is not holder:
            yield "\n"
        holder = run.getparent()
        yield from (_letter(one) for one in run.iterchildren(etree.Element))


def form_fields(root: etree._Element) -> Iterator[FormField]:
    """Find the older form fields under an element, in order; those that never end are left out."""
    open_fields: list[tuple[etree._Element, list[etree._Element], list[bool]]] = []
    for run in root.iter(W + "r"):
        character = run.find(W + "fldChar")
        kind = character.get(W + "fldCharType") if character is not None else None
        if kind == "begin" and character is not None:
            open_fields.append((character, [], [False]))
        elif kind == "separate" and open_fields:
            open_fields[-1][2][0] = True
        elif kind == "end" and open_fields:
            begin, results, _ = open_fields.pop()
            if begin.find(W + "ffData") is not None:
                yield FormField(begin, results, run)
        elif open_fields and open_fields[-1][2][0]:
            open_fields[-1][1].append(run)


@dataclass(frozen=True)
class Cell:
    """A table cell; where one control or form field stands in it, that is what is filled in."""

    cell: etree._Element
    around: etree._Element | None = None

    @property
    def inner(self) -> Place | None:
        """The control or field in the cell, where it is the only one."""
        if self.around is not None:
            return Control(self.around)
        found: list[Place] = [Control(one) for one in self.cell.iter(W + "sdt") if Control(one).holds_one_value]
        found += form_fields(self.cell)
        return found[0] if len(found) == 1 else None

    def get(self) -> object:
        """Return the cell's value or text; None where it is blank."""
        inner = self.inner
        return inner.get() if inner else _filled("\n".join(text_of(one) for one in self._paragraphs()))

    def put(self, value: object, at: str) -> None:
        """Fill in the cell."""
        inner = self.inner
        if inner:
            inner.put(value, at)
            return
        paragraphs = self._paragraphs() or [etree.SubElement(self.cell, W + "p")]
        put_paragraphs(paragraphs, _text(value, at), look_of(paragraphs[0]), at)

    def _paragraphs(self) -> list[etree._Element]:
        return list(self.cell.iterchildren(W + "p"))


@dataclass(frozen=True)
class Section:
    """The text under a heading: one line a paragraph. Paragraphs with controls or fields are no part of it."""

    heading: etree._Element
    paragraphs: list[etree._Element]

    def get(self) -> object:
        """Return the text without blank lines around it; None where there is none."""
        return _filled("\n".join(text_of(one) for one in self._filled()))

    def put(self, value: object, at: str) -> None:
        """Write the text; new lines are paragraphs like the last one, lines too many are taken out."""
        present = self._filled() or self.paragraphs[:1]
        if not present:
            paragraph = etree.Element(W + "p")
            self.heading.addnext(paragraph)
            present = [paragraph]
        lines = _text(value, at).split("\n")
        while len(present) < len(lines):
            following = copy.deepcopy(present[-1])
            forget_ids(following)
            present[-1].addnext(following)
            present = [*present, following]
        for paragraph, line in zip(present, lines, strict=False):
            if text_of(paragraph) != line:
                put_runs(paragraph, line, look_of(paragraph), at)
        if len(present) > len(lines):
            put_paragraphs(present[len(lines) - 1 :], lines[-1], look_of(present[len(lines) - 1]), at)

    def _filled(self) -> list[etree._Element]:
        said = [number for number, one in enumerate(self.paragraphs) if text_of(one).strip()]
        return self.paragraphs[said[0] : said[-1] + 1] if said else []


def take_out(element: etree._Element) -> None:
    """Take an element out of its document."""
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def forget_ids(copied: etree._Element) -> None:
    """Take out of a copy what may stand once in a document: paragraph ids, control ids, bookmarks and comments."""
    for element in list(copied.iter(etree.Element)):
        for name in (W14 + "paraId", W14 + "textId"):
            element.attrib.pop(name, "")
        once = element.tag in (W + "bookmarkStart", W + "bookmarkEnd", W + "commentRangeStart", W + "commentRangeEnd")
        parent = element.getparent()
        if once or (element.tag == W + "id" and parent is not None and parent.tag == W + "sdtPr"):
            take_out(element)
