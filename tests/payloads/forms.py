"""Synthetic forms for tests: Word documents with every kind of place, and small AcroForm PDFs; all made up."""

from __future__ import annotations

import io
from collections.abc import Mapping

import docx
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from lxml import etree
from pypdf import PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    PdfObject,
    StreamObject,
    TextStringObject,
)

from hub.payloads.base import Limits
from hub.payloads.zips import repack, unpack

LONG: dict[str, PdfObject] = {"/Ff": NumberObject(1 << 12), "/DA": TextStringObject("/Helv 0 Tf 0 g")}
W14 = 'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml"'


def word_form(*, filled: bool = True) -> bytes:
    """Build a form with controls, old form fields, label tables, heading-row tables and sections."""
    document = docx.Document()
    document.add_paragraph("Stafettlogg", style="Title")
    document.add_heading("Barnet", 1)
    labels = document.add_table(3, 2)
    for row, (label, value) in zip(labels.rows, _labels(filled=filled), strict=True):
        row.cells[0].text, row.cells[1].text = label, ""
        run = row.cells[1].paragraphs[0].add_run(value)
        run.bold = True
    document.add_heading("Føresette", 1)
    guardians = document.add_table(2, 2)
    guardians.rows[0].cells[0].text, guardians.rows[0].cells[1].text = "Navn", "Regn Testforelder" if filled else ""
    guardians.rows[1].cells[0].text, guardians.rows[1].cells[1].text = "Relasjon", "Mor" if filled else ""
    document.add_heading("Uro", 2)
    for line in ("Fyrste linje", "Andre linje") if filled else ("",):
        document.add_paragraph().add_run(line).italic = True
    document.add_heading("Tiltak", 2)
    _measures(document, filled=filled)
    document.add_heading("Samtykke", 2)
    for control in _controls(filled=filled) + _fields(filled=filled):
        _before_end(document, control)
    return _saved(document)


def _labels(*, filled: bool) -> list[tuple[str, str]]:
    return [
        ("Navn:", "Solskinn Testbarn" if filled else ""),
        ("Fødselsdato :", "01.02.2015" if filled else ""),
        ("Språk  i heimen", "davvisámegiella" if filled else ""),
    ]


def _measures(document: Document, *, filled: bool) -> None:
    table = document.add_table(3, 3)
    rows = [("Skildring", "Ansvarleg", "Frist")]
    rows += [("Leikegruppe", "Skulen", "01.09.2026"), ("Samtale", "PPT", "")] if filled else [("", "", "")] * 2
    for row, texts in zip(table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    for row in table.rows[1:]:
        for run in row.cells[0].paragraphs[0].runs:
            run.bold = True


def _sdt(tag: str, kind: str, content: str, *, placeholder: bool = False) -> str:
    mark = "<w:showingPlcHdr/>" if placeholder else ""
    return (
        f'<w:p {nsdecls("w")} {W14}><w:r><w:t xml:space="preserve">Felt: </w:t></w:r><w:sdt><w:sdtPr>'
        f'<w:tag w:val="{tag}"/><w:id w:val="{len(tag)}"/>{mark}{kind}</w:sdtPr>'
        f"<w:sdtContent><w:r><w:rPr><w:b/></w:rPr><w:t>{content}</w:t></w:r></w:sdtContent></w:sdt></w:p>"
    )


def _controls(*, filled: bool) -> list[str]:
    choices = (
        '<w:dropDownList><w:listItem w:displayText="Nivå 1" w:value="1"/>'
        '<w:listItem w:displayText="Nivå 2" w:value="2"/></w:dropDownList>'
    )
    full = ' w:fullDate="2026-03-01T00:00:00Z"' if filled else ""
    day = f'<w:date{full}><w:dateFormat w:val="d. M. yyyy"/></w:date>'
    state = '<w14:checkedState w14:val="2612" w14:font="MS Gothic"/><w14:uncheckedState w14:val="2610"/>'
    box = f'<w14:checkbox><w14:checked w14:val="{int(filled)}"/>{state}</w14:checkbox>'
    return [
        _sdt("stad", "<w:text/>", "Rådhuset" if filled else "Klikk her", placeholder=not filled),
        _sdt("niva", choices, "Nivå 2" if filled else "Vel", placeholder=not filled),
        _sdt("dato", day, "1. 3. 2026" if filled else "Vel dato", placeholder=not filled),
        _sdt("samtykke", box, "☒" if filled else "☐"),
    ]


def _fields(*, filled: bool) -> list[str]:
    text = "Regn Testforelder" if filled else "\u2002\u2002\u2002"
    listed = "<w:ddList><w:result w:val='{}'/><w:listEntry w:val=' '/><w:listEntry w:val='Mor'/></w:ddList>"
    box = f"<w:checkBox><w:sizeAuto/><w:default w:val='0'/><w:checked w:val='{int(filled)}'/></w:checkBox>"
    return [
        _field("Namn1", "<w:textInput/>", "FORMTEXT", text),
        _field("Avkryssing1", box, "FORMCHECKBOX", ""),
        _field("Liste1", listed.format(int(filled)), "FORMDROPDOWN", ""),
    ]


def _field(name: str, kind: str, code: str, text: str) -> str:
    def mark(which: str, inner: str = "") -> str:
        return f'<w:r><w:fldChar w:fldCharType="{which}">{inner}</w:fldChar></w:r>'

    data = f'<w:ffData><w:name w:val="{name}"/><w:enabled/>{kind}</w:ffData>'
    result = f"<w:r><w:rPr><w:i/></w:rPr><w:t>{text}</w:t></w:r>" if text else ""
    return (
        f"<w:p {nsdecls('w')}>{mark('begin', data)}<w:r><w:instrText> {code} </w:instrText></w:r>"
        f"{mark('separate')}{result}{mark('end')}</w:p>"
    )


def _before_end(document: Document, markup: str) -> None:
    document.element.body.insert(len(document.element.body) - 1, parse_xml(markup))


def _saved(document: Document) -> bytes:
    saved = io.BytesIO()
    document.save(saved)
    return saved.getvalue()


def with_part(form: bytes, changes: Mapping[str, tuple[str, str]], added: Mapping[str, bytes] | None = None) -> bytes:
    """Return a Word form with a piece of text replaced in some parts, and parts added."""
    parts = unpack(form, Limits())
    changed = {name: parts[name].replace(old.encode(), new.encode(), 1) for name, (old, new) in changes.items()}
    return repack(form, {**changed, **(added or {})})


def part_text(form: bytes, name: str = "word/document.xml") -> str:
    """Return a part of a Word form as text."""
    return unpack(form, Limits())[name].decode()


def parsed(form: bytes) -> etree._Element:
    """Return the root of a Word form's document."""
    return etree.fromstring(part_text(form).encode())


def pdf_form(values: Mapping[str, str] | None = None, extra: Mapping[str, PdfObject] | None = None) -> bytes:
    """Build a one-page AcroForm: texts, a checkbox, a radio group, a choice, and a field within a field.

    `extra` goes into the catalog.
    """
    writer = PdfWriter()
    writer.add_blank_page(400, 400)
    given = values or {}
    fields = [
        _pdf_field(writer, 0, "namn", "/Tx", **{"/V": TextStringObject(given.get("namn", ""))}),
        _pdf_field(writer, 1, "skildring", "/Tx", **LONG),
        _pdf_field(writer, 2, "samtykke", "/Btn", **{"/AP": _states(writer, "/Ja"), "/AS": NameObject("/Off")}),
        _radio(writer),
        _pdf_field(writer, 6, "teneste", "/Ch", **{"/Opt": _options(), "/Ff": NumberObject(1 << 17)}),
        _nested(writer),
    ]
    form = DictionaryObject({
        NameObject("/Fields"): ArrayObject(fields),
        NameObject("/DA"): TextStringObject("/Helv 10 Tf 0 0 1 rg"),
    })  # fmt: skip
    writer.root_object[NameObject("/AcroForm")] = writer._add_object(form)
    for name, value in (extra or {}).items():
        writer.root_object[NameObject(name)] = value
    saved = io.BytesIO()
    writer.write(saved)
    return saved.getvalue()


def _pdf_field(writer: PdfWriter, number: int, name: str, kind: str, **more: PdfObject) -> PdfObject:
    low = 360 - 40 * number
    field = DictionaryObject({
        NameObject("/Type"): NameObject("/Annot"),
        NameObject("/Subtype"): NameObject("/Widget"),
        NameObject("/Rect"): ArrayObject([FloatObject(one) for one in (20, low, 300, low + 30)]),
    })  # fmt: skip
    if name:
        field[NameObject("/T")] = TextStringObject(name)
    if kind:
        field[NameObject("/FT")] = NameObject(kind)
    for key, value in more.items():
        field[NameObject(key)] = value
    reference = writer._add_object(field)
    page = writer.pages[0]
    page[NameObject("/Annots")] = ArrayObject([*page.get("/Annots", ()), reference])
    return reference


def _states(writer: PdfWriter, on: str) -> DictionaryObject:
    looks = DictionaryObject({NameObject(name): writer._add_object(_drawing()) for name in (on, "/Off")})
    return DictionaryObject({NameObject("/N"): looks})


def _drawing() -> StreamObject:
    stream = StreamObject()
    stream.set_data(b"0 0 10 10 re f")
    stream[NameObject("/Subtype")] = NameObject("/Form")
    stream[NameObject("/BBox")] = ArrayObject([NumberObject(one) for one in (0, 0, 10, 10)])
    return stream


def _radio(writer: PdfWriter) -> PdfObject:
    group = DictionaryObject({
        NameObject("/T"): TextStringObject("språk"),
        NameObject("/FT"): NameObject("/Btn"),
        NameObject("/Ff"): NumberObject(1 << 15),
    })  # fmt: skip
    reference = writer._add_object(group)
    kids = [
        _pdf_field(writer, 3 + number, "", "", **{"/AP": _states(writer, on), "/Parent": reference})
        for number, on in enumerate(("/nb", "/nn", "/se"))
    ]
    group[NameObject("/Kids")] = ArrayObject(kids)
    return reference


def _options() -> ArrayObject:
    pairs = (("SKULE", "Skulen"), ("PPT", "PP-tenesta"))
    return ArrayObject(ArrayObject(TextStringObject(one) for one in pair) for pair in pairs)


def _nested(writer: PdfWriter) -> PdfObject:
    parent = DictionaryObject({NameObject("/T"): TextStringObject("barn")})
    reference = writer._add_object(parent)
    kid = _pdf_field(writer, 7, "fødd", "/Tx", **{"/Parent": reference, "/MaxLen": NumberObject(10)})
    parent[NameObject("/Kids")] = ArrayObject([kid])
    return reference
