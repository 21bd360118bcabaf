"""PDF forms: fields are read and filled in on top of the file; whatever could act is refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NumberObject, PdfObject, TextStringObject

from hub.payloads.base import PayloadError, Tree
from hub.payloads.pdf import PdfPayload, fingerprint
from tests.payloads.forms import pdf_form
from tests.payloads.texts import CLEAN

PDF = PdfPayload({})
EMPTY = pdf_form()
NOTHING: Tree = {
    "namn": None, "skildring": None, "samtykke": False, "språk": None, "teneste": None, "barn.fødd": None,
}  # fmt: skip
FILLED: Tree = {
    "namn": "Čáhppe Solskinn Testbarn",
    "skildring": "Fyrste linje\nAndre linje, og ei så lang linje at ho må brytast i eit felt av den breidda",
    "samtykke": True,
    "språk": "se",
    "teneste": "PPT",
    "barn.fødd": "01.02.2015",
}


def _fields(data: bytes) -> object:
    return PDF.decode(data)["fields"]


def test_a_form_is_read() -> None:
    """Texts, boxes, radio buttons, choices and fields within fields are read by their full names."""
    assert _fields(EMPTY) == NOTHING
    assert _fields(pdf_form({"namn": "Æ"})) == {**NOTHING, "namn": "Æ"}


def test_a_form_is_filled_in_and_emptied() -> None:
    """What is filled in reads back, by this reader and by the library's own; nothing written leaves nothing."""
    filled = PDF.encode({"fields": FILLED}, EMPTY)
    assert filled.startswith(EMPTY)
    assert _fields(filled) == FILLED
    others = PdfReader(io.BytesIO(filled)).get_fields() or {}
    assert {name: others[name].value for name in ("namn", "samtykke", "språk", "teneste")} == {
        "namn": FILLED["namn"], "samtykke": "/Ja", "språk": "/se", "teneste": "PPT",
    }  # fmt: skip
    assert _fields(PDF.encode({"fields": dict.fromkeys(FILLED)}, filled)) == NOTHING


def test_an_unchanged_form_changes_no_byte() -> None:
    """Writing what a form says gives the same file."""
    filled = PDF.encode({"fields": FILLED}, EMPTY)
    assert PDF.encode(PDF.decode(filled), filled) == filled
    assert PDF.encode({}, EMPTY) == EMPTY


def test_every_filled_field_has_an_appearance() -> None:
    """Texts are drawn in the field's size and colour, Sámi letters too, and the right boxes and buttons are on."""
    reader = PdfReader(io.BytesIO(PDF.encode({"fields": FILLED}, EMPTY)))
    annotations = [one.get_object() for one in reader.pages[0]["/Annots"]]  # type: ignore[attr-defined]
    looks = {one.get("/T"): one for one in annotations}
    drawing = looks["namn"]["/AP"]["/N"].get_object().get_data()
    assert b"0 0 1 rg" in drawing
    assert b"/S 10.00 Tf <01> Tj /F 10.00 Tf <e168707065" in drawing  # Č is the first of the drawing's own letters
    assert looks["skildring"]["/AP"]["/N"].get_object().get_data().count(b" Tj") > 1
    assert looks["samtykke"]["/AS"] == "/Ja"
    assert sorted(one["/AS"] for one in annotations if "/Parent" in one and "/AS" in one) == ["/Off", "/Off", "/se"]
    assert "/NeedAppearances" not in reader.root_object["/AcroForm"]  # type: ignore[operator]


@pytest.mark.parametrize(("text", "asked"), [("Čáhppe š", False), ("Шторм", True)])
def test_viewers_draw_only_what_the_appearances_lack(text: str, asked: bool) -> None:
    """A form that asks for drawing gets all its fields drawn; viewers are asked only for letters beyond our fonts."""
    form = EMPTY.replace(b"/Fields", b"/NeedAppearances true\n/Fields")
    reader = PdfReader(io.BytesIO(PDF.encode({"fields": {"namn": text}}, form)))
    assert reader.root_object["/AcroForm"]["/NeedAppearances"].value is asked  # type: ignore[index]
    annotations = [one.get_object() for one in reader.pages[0]["/Annots"]]  # type: ignore[attr-defined]
    assert all("/AP" in one for one in annotations)


def test_a_choice_may_be_told_by_what_it_shows() -> None:
    """A choice is written by its export value or by its words, and reads as its export value."""
    assert _fields(PDF.encode({"fields": {"teneste": "Skulen"}}, EMPTY)) == {**NOTHING, "teneste": "SKULE"}


def test_the_fingerprint_is_the_forms_not_the_contents() -> None:
    """A filled form has the empty form's fingerprint."""
    assert fingerprint(PDF.encode({"fields": FILLED}, EMPTY)) == fingerprint(EMPTY)


@settings(max_examples=30, deadline=None)
@given(CLEAN, CLEAN, st.sampled_from([None, "nb", "nn"]))
def test_what_is_written_is_read_back(namn: str, text: str, language: str | None) -> None:
    """Any texts read back as written; writing them again changes no byte."""
    said: Tree = {"fields": {"namn": namn, "skildring": text, "språk": language}}
    filled = PDF.encode(said, EMPTY)
    assert _fields(filled) == {**NOTHING, "namn": namn or None, "skildring": text or None, "språk": language}
    assert PDF.encode(said, filled) == filled


@pytest.mark.parametrize(
    ("fields", "code", "place"),
    [
        ({"alder": "1"}, "name", "/fields/alder"),
        ({"språk": "en"}, "value", "/fields/språk"),
        ({"teneste": "NAV"}, "value", "/fields/teneste"),
        ({"samtykke": "kanskje"}, "value", "/fields/samtykke"),
        ({"barn.fødd": "1. februar 2015"}, "value", "/fields/barn.fødd"),
        ({"namn": ["a", "b"]}, "shape", "/fields/namn"),
    ],
)
def test_what_cannot_be_written(fields: Tree, code: str, place: str) -> None:
    """What the form has no field, choice or room for is refused, never cut."""
    with pytest.raises(PayloadError) as caught:
        PDF.encode({"fields": fields}, EMPTY)
    assert (caught.value.code, caught.value.place) == (code, place)


def _action(kind: str, **more: PdfObject) -> DictionaryObject:
    return DictionaryObject({NameObject("/S"): NameObject(kind), **{NameObject(f"/{key}"): more[key] for key in more}})


def _without_form(pages: int = 1) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    saved = io.BytesIO()
    writer.write(saved)
    return saved.getvalue()


def _encrypted() -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(EMPTY))
    writer.encrypt("løynd", algorithm="RC4-40")
    saved = io.BytesIO()
    writer.write(saved)
    return saved.getvalue()


XFA = DictionaryObject({NameObject("/Fields"): ArrayObject(), NameObject("/XFA"): TextStringObject("x")})
SCRIPTS = DictionaryObject({NameObject("/JavaScript"): DictionaryObject()})
FILES = DictionaryObject({NameObject("/EmbeddedFiles"): DictionaryObject()})


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 and no more", "syntax"),
        (b"PK\x03\x04", "syntax"),
        (_without_form(), "form"),
        (_without_form(101), "count"),
        (_encrypted(), "encrypted"),
        (pdf_form(extra={"/AcroForm": XFA}), "form"),
        (pdf_form(extra={"/OpenAction": _action("/JavaScript", JS=TextStringObject("app.alert(1)"))}), "active"),
        (pdf_form(extra={"/OpenAction": _action("/Launch")}), "active"),
        (pdf_form(extra={"/Names": SCRIPTS}), "active"),
        (pdf_form(extra={"/Names": FILES}), "active"),
    ],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    """Broken, encrypted and XFA files, files without a form, scripts, programs and attachments are refused."""
    with pytest.raises(PayloadError) as caught:
        PDF.decode(data)
    assert caught.value.code == code


def test_a_signed_form_is_not_written_on() -> None:
    """Filling in would break the signature, so it is refused; reading is allowed."""
    signed = bytearray(EMPTY)
    at = signed.index(b"/Fields")
    data = bytes(signed[:at]) + b"/SigFlags 1\n" + bytes(signed[at:])
    assert _fields(data) == NOTHING
    with pytest.raises(PayloadError) as caught:
        PDF.encode({"fields": {"namn": "x"}}, data)
    assert caught.value.code == "signed"


def test_limits_hold() -> None:
    """A file with more objects than allowed is refused."""
    with pytest.raises(PayloadError) as caught:
        PdfPayload({"limits": {"count": 10}}).decode(pdf_form(extra={"/X": NumberObject(1)}))
    assert caught.value.code == "count"
