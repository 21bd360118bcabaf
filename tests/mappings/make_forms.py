"""Makes the forms that stand beside the shipped form templates: empty, and filled with made-up children.

Run `python -m tests.mappings.make_forms` to write them all again; the same bytes come out each time. No municipality's
own form is copied: Compilo's is not public, and the paper form follows the lists of contents that two municipalities
have published. The names, numbers and addresses are invented, and the national ids belong to the test population.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from random import Random

import docx
from docx.document import Document
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.table import Table, _Row
from docx.text.paragraph import Paragraph
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

import hub.mappings
from hub.payloads.base import Limits, Tree
from hub.payloads.registry import payload
from hub.payloads.zips import pack, unpack
from hub.relaylog.nationalid import generate

SAMPLES = Path(hub.mappings.__file__).parent / "templates" / "samples"
STATES = ("Utkast", "Ventar på samtykke", "Aktiv", "Sett på pause", "Avslutta")
BARS = ("Nei", "Fortruleg", "Strengt fortruleg")
LEVELS = ("0", "1", "2", "3")
GUARDIAN = ("Namn", "Relasjon", "Foreldreansvar", "Telefon", "E-post")
TABLES: dict[str, tuple[str, ...]] = {
    "Tiltak": ("Nr.", "Tiltak", "Ansvarleg", "Frist", "Status", "Vurdering"),
    "Vurdering": ("Nr.", "Dato", "Vurdering", "Effekt", "Vidare"),
    "Møte": ("Tid", "Type", "Stad", "Til stades", "Referat", "Neste møte"),
    "Samtykke": ("Mottakar", "Omfang", "Status", "Gitt", "Gjeld til"),
}


def compilo_form(renamed: Mapping[str, str] | None = None, added: Mapping[str, tuple[str, ...]] | None = None) -> bytes:
    """Build the empty Word form. `renamed` are labels and headings of another form, `added` tables at its end."""
    words, document = renamed or {}, docx.Document()
    document.core_properties.title = "Stafettlogg"
    document.add_paragraph("Stafettlogg", style="Title")
    _labels(document, "Barnet", ("Loggnummer", "Namn", "Fødselsnummer", "Tolkebehov"), words)
    kinds = _choice("gjeld", ("Barn", "Ungdom", "Gravid", "Familie"))
    _controls(document, {"Fødselsdato": _day("fødd"), "Gjeld": kinds, "Sperra adresse": _choice("sperre", BARS)}, words)
    _labels(document, "Føresett 1", GUARDIAN, words)
    _labels(document, "Føresett 2", GUARDIAN, words)
    _labels(document, "Stafetthaldar", ("Namn", "Stilling", "Teneste", "Eining", "Telefon", "E-post"), words)
    _labels(document, "Eining", ("Namn på eininga", "Organisasjonsnummer", "Type eining"), words)
    _head(document, "Om loggen", words)
    _controls(document, {"Oppretta": _day("oppretta"), "Nivå": _choice("nivå", LEVELS),
                         "Status for loggen": _choice("status", STATES)}, words)  # fmt: skip
    _section(document, "Uro", words)
    _labels(document, "Om uroa", ("Utviklingsområde", "Meldt av"), words)
    for heading in ("Mål", "Barnet si røyst"):
        _section(document, heading, words)
    for heading, columns in {**TABLES, **(added or {})}.items():
        _rows(document, heading, columns, words)
    _section(document, "Avslutning", words)
    _head(document, "Om avslutninga", words)
    reasons = ("Mål nådd", "Ikkje lenger behov", "Individuell plan", "Samtykke trekt", "Flytta", "Annan instans",
               "Feilført", "Anna")  # fmt: skip
    _controls(document, {"Avslutta": _day("avslutta"), "Årsak": _choice("årsak", reasons)}, words)
    saved = io.BytesIO()
    document.save(saved)
    return pack(unpack(saved.getvalue(), Limits()))  # the same times in the package, whenever it is made


def _head(document: Document, heading: str, words: Mapping[str, str]) -> None:
    document.add_heading(words.get(heading, heading), 1)


def _labels(document: Document, heading: str, labels: tuple[str, ...], words: Mapping[str, str]) -> None:
    _head(document, heading, words)
    table = document.add_table(0, 2, style="Table Grid")
    for label in labels:
        _sized(_labelled(table, words.get(label, label)).cells[1].paragraphs[0], 11)


def _controls(document: Document, controls: Mapping[str, str], words: Mapping[str, str]) -> None:
    table = document.add_table(0, 2, style="Table Grid")
    for label, control in controls.items():
        paragraph = _labelled(table, words.get(label, label)).cells[1].paragraphs[0]
        paragraph._p.append(parse_xml(control))
    document.add_paragraph()


def _labelled(table: Table, label: str) -> _Row:
    row: _Row = table.add_row()  # type: ignore[no-untyped-call]
    row.cells[0].paragraphs[0].add_run(label).bold = True
    return row


def _section(document: Document, heading: str, words: Mapping[str, str]) -> None:
    _head(document, heading, words)
    _sized(document.add_paragraph(), 11)


def _rows(document: Document, heading: str, columns: tuple[str, ...], words: Mapping[str, str]) -> None:
    _head(document, heading, words)
    table = document.add_table(2, len(columns), style="Table Grid")
    for head, below, column in zip(table.rows[0].cells, table.rows[1].cells, columns, strict=True):
        head.paragraphs[0].add_run(words.get(column, column)).bold = True
        _sized(below.paragraphs[0], 9)
        shade = f'<w:shd {nsdecls("w")} w:val="clear" w:fill="E8EEF7"/>'
        below._tc.get_or_add_tcPr().append(parse_xml(shade))
    table.rows[0]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {nsdecls('w')}/>"))


def _sized(paragraph: Paragraph, points: int) -> None:
    """Say the size of the letters to come on the paragraph's mark, where Word keeps it while nothing stands there."""
    size = f'<w:rPr {nsdecls("w")}><w:sz w:val="{2 * points}"/></w:rPr>'
    paragraph._p.get_or_add_pPr().append(parse_xml(size))


def _day(tag: str) -> str:
    return _control(tag, '<w:date><w:dateFormat w:val="dd.MM.yyyy"/></w:date>', "Vel dato")


def _choice(tag: str, words: Iterable[str]) -> str:
    items = "".join(f'<w:listItem w:displayText="{word}" w:value="{word}"/>' for word in words)
    return _control(tag, f"<w:dropDownList>{items}</w:dropDownList>", "Vel")


def _control(tag: str, kind: str, shown: str) -> str:
    number = sum(ord(letter) * 31**place for place, letter in enumerate(tag)) % 10**8
    return (
        f'<w:sdt {nsdecls("w")}><w:sdtPr><w:tag w:val="{tag}"/><w:id w:val="{number}"/><w:showingPlcHdr/>{kind}'
        f"</w:sdtPr><w:sdtContent><w:r><w:t>{shown}</w:t></w:r></w:sdtContent></w:sdt>"
    )


class _Page:
    """One form being drawn: its fields from the top of the page down, each with a printed label to its left."""

    def __init__(self) -> None:
        self.writer = PdfWriter()
        self.fields: list[PdfObject] = []
        self.high = 0

    def add(self, name: str, kind: str = "/Tx", lines: int = 1, **more: PdfObject) -> None:
        """Add a field; a new page is begun where this one is full."""
        tall = 6 + 12 * lines
        if not self.fields or self.high - tall < 30:
            self.writer.add_blank_page(595, 842)
            self.high = 812
        self.high -= tall + 4
        page = self.writer.pages[-1]
        flags = {"/Ff": NumberObject(1 << 12)} if lines > 1 else {}
        reference = self.writer._add_object(DictionaryObject({
            NameObject("/Type"): NameObject("/Annot"), NameObject("/Subtype"): NameObject("/Widget"),
            NameObject("/Rect"): ArrayObject([FloatObject(one) for one in (180, self.high, 565, self.high + tall)]),
            NameObject("/T"): TextStringObject(name), NameObject("/FT"): NameObject(kind),
            **{NameObject(key): value for key, value in {**flags, **more}.items()},
        }))  # fmt: skip
        self.fields.append(reference)
        page[NameObject("/Annots")] = ArrayObject([*page.get("/Annots", ()), reference])
        self._print(name, page)

    def choice(self, name: str, words: Iterable[str], *, many: bool = False) -> None:
        """Add a drop-down list, or a list of which several may be chosen."""
        options = ArrayObject(TextStringObject(word) for word in words)
        flags = NumberObject(1 << 21 if many else 1 << 17)
        self.add(name, "/Ch", 3 if many else 1, **{"/Opt": options, "/Ff": flags})

    def _print(self, label: str, page: DictionaryObject) -> None:
        letters = label.encode("cp1252").hex()
        drawn = StreamObject()
        drawn.set_data(f"BT /F 9 Tf 30 {self.high + 5} Td <{letters}> Tj ET\n".encode())
        page[NameObject("/Contents")] = ArrayObject([*page.get("/Contents", ()), self.writer._add_object(drawn)])
        font = DictionaryObject({
            NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"), NameObject("/Encoding"): NameObject("/WinAnsiEncoding"),
        })  # fmt: skip
        page[NameObject("/Resources")] = DictionaryObject({
            NameObject("/Font"): DictionaryObject({NameObject("/F"): font})
        })  # fmt: skip

    def saved(self) -> bytes:
        """Return the form as a file."""
        form = {"/Fields": ArrayObject(self.fields), "/DA": TextStringObject("/Helv 10 Tf 0 g")}
        acroform = DictionaryObject({NameObject(name): value for name, value in form.items()})
        self.writer.root_object[NameObject("/AcroForm")] = self.writer._add_object(acroform)
        written = io.BytesIO()
        self.writer.write(written)
        return written.getvalue()


AREAS = ("Språk", "Sosialt samspel", "Leik", "Motorikk", "Læring", "Åtferd", "Psykisk helse", "Fysisk helse", "Nærvær",
         "Heim", "Overgang", "Anna")  # fmt: skip
SERVICES = ("Barnehage", "Skule", "SFO", "Helsestasjon", "Skulehelsetenesta", "Jordmor", "PPT", "Barnevern", "NAV",
            "NAV flyktning", "Koordinerande eining", "Fysio- og ergoterapi", "Lege", "BUP", "Familien",
            "Anna")  # fmt: skip
SCOPE = ("Barnehage og skule", "PPT", "Helse", "Barnevern", "Barnet si røyst", "Kontakt")


def paper_form() -> bytes:
    """Build the empty PDF form: what repeats on paper has numbered fields."""
    page = _Page()
    for name in ("logg.nummer", "logg.dato", "barn.namn", "barn.fødselsnummer", "barn.fødd", "barn.tolk"):
        page.add(name)
    page.choice("barn.sperre", BARS)
    page.choice("logg.nivå", LEVELS)
    page.choice("logg.status", STATES)
    for number in (1, 2):
        page.add(f"føresett{number}.namn")
        page.choice(f"føresett{number}.slekt", ("Mor", "Far", "Medmor", "Verje", "Fosterforelder", "Annan"))
        page.add(f"føresett{number}.telefon")
    for name in ("haldar.namn", "haldar.stilling", "haldar.telefon", "eining.namn"):
        page.add(name)
    page.choice("eining.type", SERVICES)
    page.add("uro.tekst", lines=4)
    page.choice("uro.område", AREAS, many=True)
    for name in ("uro.dato", "uro.meldt av"):
        page.add(name)
    page.add("mål.tekst", lines=3)
    for number in range(1, 7):
        page.add(f"tiltak{number}.tekst", lines=3)
        page.choice(f"tiltak{number}.arena", ("Barnehage", "Skule", "Heim", "Fritid", "Helse", "Anna"))
        page.add(f"tiltak{number}.ansvarleg")
        page.add(f"tiltak{number}.frist")
        page.add(f"tiltak{number}.evaluering", lines=3)
    for number in (1, 2, 3):
        page.choice(f"samtykke{number}.teneste", SERVICES)
        page.choice(f"samtykke{number}.omfang", SCOPE, many=True)
        page.choice(f"samtykke{number}.svar", ("Ventar", "Ja", "Nei", "Trekt", "Utgått"))
        page.add(f"samtykke{number}.gitt av")
        page.add(f"samtykke{number}.dato")
        for guardian in (1, 2):
            page.add(f"samtykke{number}.føresett{guardian}.namn")
            page.choice(f"samtykke{number}.føresett{guardian}.som", ("Mor", "Far", "Medmor", "Verje"))
            page.add(f"samtykke{number}.føresett{guardian}.dato")
        page.add(f"samtykke{number}.ungdom.namn")
        page.add(f"samtykke{number}.ungdom.dato")
    return page.saved()


def _number(seed: int, born: date) -> str:
    return generate(Random(seed), born)  # noqa: S311 - made-up people, and the same ones each time


def compilo_samples() -> dict[str, Tree]:
    """Return what stands in the three filled Word forms."""
    active: Tree = {
        "pairs": {
            "loggnummer": "C-0101", "barnet: namn": "Solskinn Testbarn", "fødselsnummer": _number(1, date(2021, 3, 4)),
            "tolkebehov": "nordsamisk", "føresett 1: namn": "Regn Testforelder", "føresett 1: relasjon": "Mor",
            "føresett 1: foreldreansvar": "Ja", "føresett 1: telefon": "00 00 01 01",
            "føresett 2: namn": "Vind Testforelder", "føresett 2: relasjon": "Bestefar",
            "føresett 2: e-post": "vind@eksempel.test", "stafetthaldar: namn": "Bris Prøvelærar",
            "stilling": "Pedagogisk leiar", "teneste": "Barnehage", "eining": "Prøvelia barnehage",
            "stafetthaldar: telefon": "00 00 02 02", "namn på eininga": "Prøvelia barnehage",
            "organisasjonsnummer": "991590838", "type eining": "Barnehage",
            "utviklingsområde": "Språk og kommunikasjon; Leik og venskap", "meldt av": "Bris Prøvelærar",
        },
        "controls": {"fødd": "2021-03-04", "gjeld": "Barn", "sperre": "Nei", "oppretta": "2026-02-10", "nivå": "2",
                     "status": "Aktiv"},
        "sections": {
            "uro": "Leikar oftast åleine.\nSnakkar lite med dei andre borna.",
            "mål": "Ein fast leikevenn innan sommaren.", "barnet si røyst": "Eg likar best sandkassa.",
        },
        "tables": {
            "tiltak": [
                {"nr.": "1", "tiltak": "Leikegruppe to gonger i veka", "ansvarleg": "Bris Prøvelærar",
                 "frist": "01.06.2026", "status": "Igangsett", "vurdering": "Deltek meir enn før."},
                {"nr.": "2", "tiltak": "[Helsestasjon 20.02.2026] Ny høyrselsprøve", "ansvarleg": "Dis Prøvesøster",
                 "frist": "15.04.2026", "status": "Planlagt"},
                {"tiltak": "Lese saman heime", "status": "Når vi rekk det"},
            ],
            "vurdering": [
                {"nr.": "1", "dato": "20.04.2026", "vurdering": "Har fått ein venn i gruppa.", "effekt": "God",
                 "vidare": "Vidareføre"},
                {"nr.": "2", "dato": "16.04.2026", "vurdering": "[Helsestasjon 16.04.2026] Høyrer godt på begge øyra."},
            ],
            "møte": [
                {"tid": "10.03.2026 kl. 13.00", "type": "Samarbeidsmøte", "stad": "Møterom 1",
                 "til stades": "Bris Prøvelærar; Regn Testforelder", "referat": "Vart samde om leikegruppa.",
                 "neste møte": "12.05.2026"},
            ],
            "samtykke": [
                {"mottakar": "Helsestasjon", "omfang": "Barnehage og skule; Helse", "status": "Gitt",
                 "gitt": "08.02.2026", "gjeld til": "08.02.2027"},
                {"mottakar": "PPT", "status": "Ventar"},
            ],
        },
    }  # fmt: skip
    closed: Tree = {
        "pairs": {
            "loggnummer": "C-0102", "barnet: namn": "Måneskin Prøveelev",
            "fødselsnummer": _number(2, date(2014, 9, 30)),
            "stafetthaldar: namn": "Yr Testlærar", "teneste": "Skule", "type eining": "Skule",
            "namn på eininga": "Testvik skule",
        },
        "controls": {"fødd": "2014-09-30", "gjeld": "Barn", "oppretta": "2025-09-01", "nivå": "1",
                     "status": "Avslutta", "avslutta": "2026-06-12", "årsak": "Mål nådd"},
        "sections": {"uro": "Mykje borte om måndagane.",
                     "avslutning": "Nærværet er stabilt.\n\nVi følgjer med vidare."},
        "tables": {"tiltak": [{"nr.": "1", "tiltak": "Morgonsamtale", "ansvarleg": "Yr Testlærar",
                               "frist": "2025-12-01", "status": "Avslutta, mål nådd", "vurdering": "Verka godt."}]},
    }  # fmt: skip
    sparse: Tree = {
        "pairs": {"barnet: namn": "Regntest Utkastbarn", "type eining": "Barnehage"}, "controls": {"status": "Utkast"},
        "tables": {"tiltak": [{"tiltak": "Kartlegging av språk"}]},
    }  # fmt: skip
    return {"aktiv": active, "avslutta": closed, "sparsam": sparse}


def paper_samples() -> dict[str, Tree]:
    """Return what stands in the three filled PDF forms."""
    active: Tree = {
        "logg.nummer": "P-0201", "logg.dato": "12.01.2026", "barn.namn": "Nordlys Testbarn",
        "barn.fødselsnummer": _number(3, date(2020, 11, 2)), "barn.fødd": "02.11.2020", "barn.tolk": "polsk",
        "barn.sperre": "Nei", "logg.nivå": "2", "logg.status": "Aktiv", "føresett1.namn": "Skodde Testforelder",
        "føresett1.slekt": "Far", "føresett1.telefon": "00 00 03 03", "føresett2.namn": "Dogg Testforelder",
        "føresett2.slekt": "Medmor", "haldar.namn": "Sol Prøvelærar", "haldar.stilling": "Barnehagelærar",
        "eining.namn": "Testøy barnehage", "eining.type": "Barnehage",
        "uro.tekst": "Snublar ofte, og vil ikkje klatre.\nTrøyttnar fort på tur.",
        "uro.område": ["Motorikk", "Fysisk helse"], "uro.dato": "10.01.2026", "uro.meldt av": "Sol Prøvelærar",
        "mål.tekst": "Klatre i leikestativet utan hjelp.", "tiltak1.tekst": "Hinderløype kvar dag",
        "tiltak1.arena": "Barnehage", "tiltak1.ansvarleg": "Sol Prøvelærar", "tiltak1.frist": "01.04.2026",
        "tiltak1.evaluering": "Tør meir enn i januar.", "tiltak2.tekst": "Symje kvar laurdag", "tiltak2.arena": "Heim",
        "tiltak2.ansvarleg": "Skodde Testforelder", "tiltak2.frist": "1.5.2026",
        "samtykke1.teneste": "Fysio- og ergoterapi", "samtykke1.omfang": ["Barnehage og skule", "Helse"],
        "samtykke1.svar": "Ja", "samtykke1.gitt av": "Skodde Testforelder", "samtykke1.dato": "11.01.2026",
        "samtykke1.føresett1.namn": "Skodde Testforelder", "samtykke1.føresett1.som": "Far",
        "samtykke1.føresett1.dato": "11.01.2026", "samtykke1.føresett2.namn": "Dogg Testforelder",
        "samtykke1.føresett2.som": "Medmor", "samtykke1.føresett2.dato": "12.01.2026",
    }  # fmt: skip
    closed: Tree = {
        "logg.nummer": "P-0202", "barn.namn": "Snøfall Prøveelev", "barn.fødselsnummer": _number(4, date(2012, 5, 17)),
        "logg.nivå": "1", "logg.status": "Avslutta", "eining.type": "Skule", "haldar.namn": "Is Testlærar",
        "tiltak1.tekst": "Fast plass i klasserommet", "tiltak1.arena": "Skule", "tiltak1.evaluering": "Hjelpte godt.",
        "tiltak3.tekst": "[Skulehelsetenesta 03.02.2026] Samtale kvar fjortande dag", "tiltak3.arena": "Helse",
        "samtykke1.teneste": "Skulehelsetenesta", "samtykke1.svar": "Ja",
        "samtykke1.ungdom.namn": "Snøfall Prøveelev", "samtykke1.ungdom.dato": "02.02.2026",
        "samtykke2.teneste": "Barnevern", "samtykke2.svar": "Nei",
    }  # fmt: skip
    sparse: Tree = {"barn.namn": "Gråver Utkastbarn", "eining.type": "Skule", "tiltak2.tekst": "Kartlegging"}
    return {"aktiv": {"fields": active}, "avslutta": {"fields": closed}, "sparsam": {"fields": sparse}}


def forms() -> dict[str, bytes]:
    """Return every form by its file name: the empty ones, and what is made of them."""
    word, paper = compilo_form(), paper_form()
    made = {"compilo-tom.docx": word, "papirskjema-tom.pdf": paper}
    made |= {f"compilo-{name}.docx": payload("docx", {}).encode(tree, word) for name, tree in compilo_samples().items()}
    for name, tree in paper_samples().items():
        made[f"papirskjema-{name}.pdf"] = payload("pdf", {}).encode(tree, paper)
    return made


if __name__ == "__main__":
    for file, data in forms().items():
        (SAMPLES / file).write_bytes(data)
