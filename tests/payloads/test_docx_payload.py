"""Word forms: what people fill in is read, and written in the form's own look; what could act is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.payloads.base import Limits, PayloadError, Tree
from hub.payloads.docx import DocxPayload, fingerprint
from hub.payloads.zips import pack, unpack
from tests.payloads.forms import part_text, with_part, word_form
from tests.payloads.texts import CLEAN

WORD = DocxPayload({})
FILLED, EMPTY = word_form(), word_form(filled=False)
DOCUMENT = "word/document.xml"
TREE: Tree = {
    "controls": {"stad": "Rådhuset", "niva": "2", "dato": "2026-03-01", "samtykke": True},
    "fields": {"Namn1": "Regn Testforelder", "Avkryssing1": True, "Liste1": "Mor"},
    "pairs": {
        "barnet: navn": "Solskinn Testbarn",
        "fødselsdato": "01.02.2015",
        "språk i heimen": "davvisámegiella",
        "føresette: navn": "Regn Testforelder",
        "relasjon": "Mor",
    },
    "tables": {
        "tiltak": [
            {"skildring": "Leikegruppe", "ansvarleg": "Skulen", "frist": "01.09.2026"},
            {"skildring": "Samtale", "ansvarleg": "PPT", "frist": None},
        ]
    },
    "sections": {
        "barnet": None, "føresette": None, "uro": "Fyrste linje\nAndre linje", "tiltak": None, "samtykke": None,
    },
}  # fmt: skip


def _without_form(tree: Tree) -> Tree:
    return {name: value for name, value in tree.items() if name != "form"}


def test_a_form_is_read() -> None:
    """Controls, old form fields, labels, tables and sections are read by the names the form gives them."""
    assert _without_form(WORD.decode(FILLED)) == TREE


def test_an_empty_form_says_nothing() -> None:
    """Placeholders, blanks and unticked boxes are nothing, and no rows are read."""
    empty = WORD.decode(EMPTY)
    assert {value for kind in ("controls", "fields", "pairs", "sections") for value in empty[kind].values()} == {  # type: ignore[attr-defined]
        None, False
    }  # fmt: skip
    assert empty["tables"] == {"tiltak": []}


def test_the_fingerprint_is_the_forms_not_the_contents() -> None:
    """A filled form has the empty form's fingerprint; another label makes another form."""
    other = with_part(EMPTY, {DOCUMENT: ("Relasjon", "Slektskap")})
    assert WORD.decode(FILLED)["form"] == fingerprint(EMPTY) != fingerprint(other)


def test_an_unchanged_form_changes_no_byte() -> None:
    """Writing what a form says gives the same file."""
    assert WORD.encode(WORD.decode(FILLED), FILLED) == FILLED
    assert WORD.encode({}, FILLED) == FILLED


def test_an_empty_form_is_filled_in() -> None:
    """Everything written in the empty form reads back, also under names in another case."""
    filled = WORD.encode(TREE, EMPTY)
    assert _without_form(WORD.decode(filled)) == TREE
    assert WORD.decode(filled)["form"] == fingerprint(EMPTY)
    loud = WORD.encode({"pairs": {"FØDSELSDATO:": "x"}, "tables": {"Tiltak": [{"Frist": "y"}]}}, EMPTY)
    assert "x" in part_text(loud)
    assert WORD.decode(loud)["tables"] == {"tiltak": [{"skildring": None, "ansvarleg": None, "frist": "y"}]}


def test_a_form_can_be_emptied() -> None:
    """Nothing written over everything leaves the form empty."""
    kinds = ("controls", "fields", "pairs", "sections")
    nothing: Tree = {kind: dict.fromkeys(TREE[kind]) for kind in kinds}  # type: ignore[call-overload]
    emptied = WORD.encode({**nothing, "tables": {"tiltak": []}}, FILLED)
    assert _without_form(WORD.decode(emptied)) == _without_form(WORD.decode(EMPTY))


def test_the_look_stays() -> None:
    """New text looks as the text it replaces, a new row as the last one, and all other parts keep their bytes."""
    rows = [*TREE["tables"]["tiltak"], {"skildring": "Turgruppe", "ansvarleg": None, "frist": None}]  # type: ignore[index]
    said: Tree = {
        "controls": {"stad": "Biblioteket"},
        "pairs": {"barnet: navn": "Vind Testbarn"},
        "sections": {"uro": "Éi\nTo\nTre"},
        "tables": {"tiltak": rows},
        "fields": {"Namn1": "Regn\nTestforelder"},
    }
    written = WORD.encode(said, FILLED)
    text = part_text(written)
    for shown, look in (("Biblioteket", "b"), ("Vind Testbarn", "b"), ("Tre", "i"), ("Turgruppe", "b")):
        assert re.search(rf"<w:rPr><w:{look}/></w:rPr><w:t xml:space=\"preserve\">{shown}<", text), shown
    assert '<w:rPr><w:i/></w:rPr><w:t xml:space="preserve">Regn</w:t><w:br/>' in text
    before, after = unpack(FILLED, Limits()), unpack(written, Limits())
    assert {name for name in before if before[name] != after[name]} == {DOCUMENT}
    assert list(before) == list(after)


def test_rows_are_removed_and_take_the_order_given() -> None:
    """A table ends up with the rows asked for, in that order."""
    first, second = TREE["tables"]["tiltak"]  # type: ignore[index]
    new: Tree = {"skildring": "Turgruppe", "ansvarleg": "SFO", "frist": None}
    for rows in ([second], [second, first], [new, second, first], [new], [new] * 5):
        written = WORD.encode({"tables": {"tiltak": rows}}, FILLED)
        assert WORD.decode(written)["tables"] == {"tiltak": rows}


def test_choices_and_dates_are_shown_as_the_form_shows_them() -> None:
    """A choice is written by its value and shown by its words, a date in the control's format, a box by its sign."""
    text = part_text(WORD.encode({"controls": {"niva": "1", "dato": "2026-12-24", "samtykke": False}}, FILLED))
    assert ">Nivå 1<" in text
    assert ">24. 12. 2026<" in text
    assert 'w:fullDate="2026-12-24T00:00:00Z"' in text
    assert ">☐<" in text


def test_a_binding_to_other_data_is_cut_when_a_control_is_filled_in() -> None:
    """Word would show the bound data again; only the filled control loses its binding."""
    bound = with_part(
        FILLED, {DOCUMENT: ('<w:tag w:val="stad"/>', '<w:tag w:val="stad"/><w:dataBinding w:xpath="a"/>')}
    )
    assert "dataBinding" not in part_text(WORD.encode({"controls": {"stad": "x"}}, bound))
    assert "dataBinding" in part_text(WORD.encode({"controls": {"niva": "1"}}, bound))


def test_options_say_which_tables_are_which() -> None:
    """Two-column tables with a heading row, wider label tables and instructions are read as the options say."""
    tree = DocxPayload({"tables": ["Føresette"], "pairs": ["TILTAK:"], "guidance": ["normal"]}).decode(FILLED)
    assert tree["tables"] == {"føresette": [{"navn": "Relasjon", "regn testforelder": "Mor"}]}
    assert tree["pairs"]["skildring"] == "Ansvarleg"  # type: ignore[index]
    assert tree["sections"]["uro"] is None  # type: ignore[index]


FILLING = st.fixed_dictionaries({
    "controls": st.fixed_dictionaries({"stad": CLEAN, "samtykke": st.booleans()}),
    "fields": st.fixed_dictionaries({"Namn1": CLEAN, "Avkryssing1": st.booleans()}),
    "pairs": st.fixed_dictionaries({"relasjon": CLEAN}),
    "tables": st.fixed_dictionaries({"tiltak": st.lists(
        st.fixed_dictionaries({"skildring": CLEAN, "ansvarleg": CLEAN, "frist": CLEAN}), max_size=5)}),
    "sections": st.fixed_dictionaries({"uro": CLEAN}),
})  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(FILLING, st.booleans())
def test_what_is_written_is_read_back(said: dict[str, dict[str, object]], empty: bool) -> None:
    """Any texts read back as written, blank ones as nothing; writing them again changes no byte."""
    written = WORD.encode(dict(said), EMPTY if empty else FILLED)
    held = WORD.decode(written)
    for kind, values in said.items():
        for name, value in values.items():
            assert held[kind][name] == _read(kind, value)  # type: ignore[index]
    assert WORD.encode(dict(said), written) == written


def _read(kind: str, value: object) -> object:
    """Return how a written value reads: blank is nothing, a section has no blank lines around it."""
    if isinstance(value, list):
        rows = [{name: _read("", cell) for name, cell in row.items()} for row in value]
        return [row for row in rows if any(cell is not None for cell in row.values())]
    if not isinstance(value, str):
        return value
    lines = value.split("\n")
    while kind == "sections" and lines and not lines[0].strip():
        del lines[0]
    while kind == "sections" and lines and not lines[-1].strip():
        del lines[-1]
    return "\n".join(lines) if value.strip() else None


CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
LINK = (
    '<Relationship Id="rX" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" '
    'Target="{}" TargetMode="External"/></Relationships>'
)
RELS, TYPES = "word/_rels/document.xml.rels", "[Content_Types].xml"


@pytest.mark.parametrize(
    ("part", "old", "new", "code"),
    [
        (TYPES, CONTENT_TYPE, "application/vnd.ms-word.document.macroEnabled.main+xml", "active"),
        (
            TYPES,
            CONTENT_TYPE,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
            "form",
        ),
        (RELS, "</Relationships>", LINK.format("attachedTemplate", "file:///c:/mal.dotm"), "active"),
        (RELS, "</Relationships>", LINK.format("image", "http://127.0.0.1:9/a.png"), "active"),
        (RELS, "</Relationships>", LINK.format("hyperlink", "file://server/a"), "active"),
        (
            RELS,
            "</Relationships>",
            LINK.format("oleObject", "embeddings/a.bin").replace(' TargetMode="External"', ""),
            "active",
        ),
        (DOCUMENT, "<w:sectPr", "<w:altChunk/><w:sectPr", "active"),
        (DOCUMENT, "<w:sectPr", "<w:p><w:r><w:object/></w:r></w:p><w:sectPr", "active"),
        (DOCUMENT, " FORMTEXT ", ' DDEAUTO c:\\\\a "b" ', "active"),
        (DOCUMENT, "<w:sectPr", "<w:p><w:ins><w:r><w:t>ny</w:t></w:r></w:ins></w:p><w:sectPr", "tracked"),
        (DOCUMENT, "<w:sectPr", "<w:p><w:del/></w:p><w:sectPr", "tracked"),
        (DOCUMENT, "<w:document", "<!DOCTYPE a><w:document", "dtd"),
        (DOCUMENT, "</w:document>", "", "syntax"),
    ],
)
def test_what_is_refused(part: str, old: str, new: str, code: str) -> None:
    """Macros, templates and pictures from outside, objects, fields that fetch, and undecided changes are refused."""
    with pytest.raises(PayloadError) as caught:
        WORD.decode(with_part(FILLED, {part: (old, new)}))
    assert caught.value.code == code


def test_a_macro_project_and_other_files_are_refused() -> None:
    """A macro project is found by its name too, and a zip without a document is no form."""
    for data, code in (
        (with_part(FILLED, {}, {"word/vbaProject.bin": b"x"}), "active"),
        (pack({"a.txt": b"x"}), "form"),
    ):
        with pytest.raises(PayloadError) as caught:
            WORD.decode(data)
        assert caught.value.code == code


def test_a_link_to_a_page_is_harmless() -> None:
    """Ordinary hyperlinks stay in a form."""
    link = LINK.format("hyperlink", "https://example.org/samtykke")
    assert WORD.decode(with_part(FILLED, {RELS: ("</Relationships>", link)}))["form"] == fingerprint(FILLED)


def test_one_name_with_two_values_is_refused() -> None:
    """Two controls of one tag must agree; writing fills both."""
    twice = with_part(FILLED, {DOCUMENT: ('<w:tag w:val="niva"/>', '<w:tag w:val="stad"/>')})
    with pytest.raises(PayloadError) as caught:
        WORD.decode(twice)
    assert (caught.value.code, caught.value.place) == ("duplicate", "/controls/stad")


@pytest.mark.parametrize(
    ("tree", "code", "place"),
    [
        ({"pairs": {"alder": "x"}}, "name", "/pairs/alder"),
        ({"controls": {"Stad": "x"}}, "name", "/controls/Stad"),
        ({"controls": {"niva": "9"}}, "value", "/controls/niva"),
        ({"controls": {"samtykke": "kanskje"}}, "value", "/controls/samtykke"),
        ({"fields": {"Liste1": "Onkel"}}, "value", "/fields/Liste1"),
        ({"pairs": {"relasjon": "a\x07"}}, "character", "/pairs/relasjon"),
        ({"pairs": {"relasjon": ["a"]}}, "shape", "/pairs/relasjon"),
        ({"tables": {"tiltak": ["a"]}}, "shape", "/tables/tiltak/0"),
        ({"tables": {"tiltak": [{"pris": "1"}]}}, "name", "/tables/tiltak/0/pris"),
    ],
)
def test_what_cannot_be_written(tree: Tree, code: str, place: str) -> None:
    """What the form has no place or choice for is refused, never dropped."""
    with pytest.raises(PayloadError) as caught:
        WORD.encode(tree, FILLED)
    assert (caught.value.code, caught.value.place) == (code, place)


def test_no_form_no_document() -> None:
    """A Word form is never made up: the municipality's own must be given."""
    with pytest.raises(PayloadError, match="Give the municipality's empty form"):
        WORD.encode(TREE, None)
