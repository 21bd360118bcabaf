"""The shipped form templates on real files: a Word form with tables and controls, a PDF form with numbered fields."""

import io
from datetime import date
from pathlib import Path

import docx
import pytest
from docx.oxml.ns import qn
from docx.shared import Pt
from docx.table import Table, _Row

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, Tree
from hub.mappings.language.mapping import claiming
from hub.payloads.base import Payload
from hub.payloads.registry import payload
from hub.relaylog.codes import Arena, Decision, Effect, MeasureStatus, Part, Service, SignerRole
from hub.relaylog.model import Actor, Evaluation, Measure, RelayLog, Signer
from hub.relaylog.nationalid import parse
from tests.mappings.make_forms import SAMPLES, compilo_form, forms, paper_form

COMPILO, PAPER = load_shipped("compilo/stafettlogg"), load_shipped("papirskjema/stafettlogg")
EMPTY = {COMPILO.id: "compilo-tom.docx", PAPER.id: "papirskjema-tom.pdf"}
EACH = [(mapping, sample.record, sample.expect) for mapping in (COMPILO, PAPER) for sample in mapping.samples]

each_sample = pytest.mark.parametrize(("mapping", "record", "expect"), EACH, ids=[one[1] for one in EACH])


def kind(mapping: Mapping) -> Payload:
    """Return the payload of a mapping's forms."""
    return payload(mapping.payload, mapping.payload_options)


def file(name: str) -> bytes:
    """Read a form that stands beside the templates."""
    return (SAMPLES.parent / name if "/" in name else SAMPLES / name).read_bytes()


def filled(mapping: Mapping, data: bytes, log: RelayLog) -> bytes:
    """Put a log on a form."""
    form = kind(mapping)
    return form.encode(mapping.write(form.decode(data), log), data)


def read(mapping: Mapping, data: bytes) -> RelayLog:
    """Read a form."""
    return mapping.read(kind(mapping).decode(data))


def unnumbered(log: RelayLog) -> RelayLog:
    """Take away what a number that only a person can give says: which measure is which, and whose an evaluation is."""
    measures = tuple(one.model_copy(update={"id": ""}) for one in log.measures)
    texts = sorted((one.text, one.writer, one.part) for one in log.evaluations)
    evaluations = tuple(Evaluation(text=text, writer=writer, part=part) for text, writer, part in texts)
    return log.model_copy(update={"measures": measures, "evaluations": evaluations})


def test_the_forms_can_be_made_again() -> None:
    """The committed forms are, byte for byte, what the script makes, and no other files are forms."""
    made = forms()
    assert {name: file(name) for name in made} == made
    assert {path.name for path in SAMPLES.iterdir() if path.name.startswith(("compilo", "papirskjema"))} == {
        *made, *(Path(expect).name for _, _, expect in EACH),
    }  # fmt: skip


@each_sample
def test_a_form_is_claimed_by_its_own_mapping_alone(mapping: Mapping, record: str, expect: str) -> None:
    """However a form is filled in, its fingerprint leads to one mapping of all that ship."""
    del expect
    every = [load_shipped(name) for name in shipped()]
    assert claiming(every, kind(mapping).decode(file(record))).id == mapping.id
    assert mapping.claims(kind(mapping).decode(file(EMPTY[mapping.id])))


@each_sample
def test_a_form_reads_as_expected(mapping: Mapping, record: str, expect: str) -> None:
    """The file's bytes read as the relay log beside it; its national id is of the test population."""
    log = read(mapping, file(record))
    assert log == RelayLog.model_validate_json(file(expect))
    assert not log.subject.national_id or parse(log.subject.national_id).synthetic


@each_sample
def test_an_unchanged_log_leaves_the_file_as_it_is(mapping: Mapping, record: str, expect: str) -> None:
    """Get-put holds on the tree, and on the file byte for byte."""
    del expect
    data = file(record)
    tree = kind(mapping).decode(data)
    assert mapping.write(tree, mapping.read(tree)) == tree
    assert filled(mapping, data, read(mapping, data)) == data


@each_sample
def test_the_empty_form_can_be_filled_in(mapping: Mapping, record: str, expect: str) -> None:
    """A log put on the empty form reads back the same, but for foreign codes and the numbers that people give."""
    del expect
    log = read(mapping, file(record))
    back = read(mapping, filled(mapping, file(EMPTY[mapping.id]), log))
    assert mapping.left_out(kind(mapping).decode(file(EMPTY[mapping.id])), log) == ()
    known = {"source": back.source, "extensions": ()}
    wanted = log.model_copy(update=known)
    one, other = (unnumbered(back), unnumbered(wanted)) if mapping is COMPILO else (back, wanted)
    assert one == other


def test_a_changed_measure_stays_in_its_row_and_a_new_one_looks_like_the_others() -> None:
    """In the Word form a row without a key is known again on its text; a new row has the last one's look."""
    data = file("compilo-aktiv.docx")
    log = read(COMPILO, data)
    first = log.measures[0].model_copy(update={"status": MeasureStatus.CONTINUED, "deadline": date(2026, 9, 1)})
    new = Measure(
        id="m9", text="Samtale kvar fredag", writer=Service.PPT, written_on=date(2026, 4, 2), part=Part.PPT,
        responsible=Actor(name="Tåke Prøvekonsulent"), status=MeasureStatus.PLANNED,
    )  # fmt: skip
    edited = log.model_copy(update={"measures": (first, *log.measures[1:], new)})
    written = filled(COMPILO, data, edited)
    back = read(COMPILO, written)
    assert back.measures == (*edited.measures[:-1], new.model_copy(update={"id": ""}))
    assert back.model_copy(update={"measures": ()}) == read(COMPILO, data).model_copy(update={"measures": ()})
    assert filled(COMPILO, written, edited) == written
    *_, above, last = measures_table(written).rows
    assert look(last) == look(above)
    assert look(last) == [({"E8EEF7"}, {"18"})] * 6
    assert last.cells[4].paragraphs[0].runs[0].font.size == Pt(9)
    assert last.cells[1].text == "[PPT 02.04.2026] Samtale kvar fredag"


def test_an_evaluation_goes_into_the_row_of_its_measure() -> None:
    """A new measure with its evaluation is one row of the Word form."""
    data = file("compilo-sparsam.docx")
    log = RelayLog(
        language="nn",
        measures=(Measure(id="m9", text="Lesegruppe", writer=Service.SCHOOL),),
        evaluations=(Evaluation(measure="m9", text="Går godt.", writer=Service.SCHOOL),),
    )
    rows = kind(COMPILO).decode(filled(COMPILO, data, log))["tables"]
    assert isinstance(rows, dict)
    assert rows["tiltak"][1] == {
        "nr.": None, "tiltak": "[Skule] Lesegruppe", "ansvarleg": None, "frist": None, "status": None,
        "vurdering": "[Skule] Går godt.",
    }  # fmt: skip


def test_an_evaluation_names_its_measure_by_number() -> None:
    """In the Word form a new evaluation of a numbered measure is a row with that number, whoever's row is full."""
    data = file("compilo-aktiv.docx")
    log = read(COMPILO, data)
    assert [(one.measure, one.on is None) for one in log.evaluations] == [("1", True), ("1", False), ("2", False)]
    new = Evaluation(
        measure="2", on=date(2026, 5, 4), text="Ingen fleire prøver.", effect=Effect.GOOD, decision=Decision.END,
        writer=Service.KINDERGARTEN, part=Part.EDUCATION,
    )  # fmt: skip
    written = filled(COMPILO, data, log.model_copy(update={"evaluations": (*log.evaluations, new)}))
    assert read(COMPILO, written).evaluations == (*log.evaluations, new)
    rows = dict(kind(COMPILO).decode(written)["tables"] or {})["vurdering"]  # type: ignore[call-overload]
    assert rows[2] == {
        "nr.": "2", "dato": "04.05.2026", "vurdering": "Ingen fleire prøver.", "effekt": "God", "vidare": "Avslutte",
    }  # fmt: skip


def test_who_signed_a_consent_stands_in_the_paper_form() -> None:
    """Guardians take the free lines, the youth its own; those who have no line leave the form as it was."""
    data = file("papirskjema-aktiv.pdf")
    log = read(PAPER, data)
    (given,) = log.consents
    youth = Signer(name="Nordlys Testbarn", role=SignerRole.YOUTH, on=date(2026, 1, 13))
    both = given.model_copy(update={"signed_by": (youth, *given.signed_by)})
    written = filled(PAPER, data, log.model_copy(update={"consents": (both,)}))
    fields = dict(kind(PAPER).decode(written)["fields"] or {})  # type: ignore[call-overload]
    assert fields["samtykke1.ungdom.namn"] == "Nordlys Testbarn"
    assert read(PAPER, written).consents[0].signed_by == (*given.signed_by, youth)
    crowd = given.model_copy(update={"signed_by": (*given.signed_by, Signer(name="Tredje", role=SignerRole.MOTHER))})
    assert filled(PAPER, data, log.model_copy(update={"consents": (crowd,)})) == data


def test_new_measures_take_the_free_numbers_of_the_paper_form() -> None:
    """Numbered fields that stand empty are filled in order, with the evaluation beside; the seventh is left out."""
    data = file("papirskjema-avslutta.pdf")
    log = read(PAPER, data)
    home = Service.SCHOOL
    changed = log.measures[0].model_copy(update={"deadline": date(2026, 9, 1), "arena": Arena.HOME})
    new = tuple(Measure(id=f"m{n}", text=f"Nytt {n}", writer=home, part=Part.EDUCATION) for n in range(5))
    view = Evaluation(id="e", measure="m1", text="Verkar.", writer=home, part=Part.EDUCATION)
    edited = log.model_copy(
        update={"measures": (changed, *log.measures[1:], *new), "evaluations": (*log.evaluations, view)}
    )
    tree = kind(PAPER).decode(data)
    assert PAPER.left_out(tree, edited) == (("measures", "m4"),)
    back = read(PAPER, filled(PAPER, data, edited))
    assert [(one.id, one.text) for one in back.measures] == [
        ("tiltak1", "Fast plass i klasserommet"), ("tiltak2", "Nytt 0"),
        ("tiltak3", "Samtale kvar fjortande dag"), ("tiltak4", "Nytt 1"), ("tiltak5", "Nytt 2"), ("tiltak6", "Nytt 3"),
    ]  # fmt: skip
    assert back.measures[0] == changed
    assert [(one.id, one.measure, one.text) for one in back.evaluations] == [
        ("tiltak1/evaluering", "tiltak1", "Hjelpte godt."), ("tiltak4/evaluering", "tiltak4", "Verkar."),
    ]  # fmt: skip


def test_an_evaluation_without_its_measure_keeps_the_number_taken() -> None:
    """Where somebody has filled in the evaluation only, no other measure is put beside it."""
    tree = kind(PAPER).decode(file("papirskjema-tom.pdf"))
    fields: Tree = {**dict(tree["fields"] or {}), "barn.namn": "X", "tiltak1.evaluering": "Gjekk bra."}  # type: ignore[call-overload]
    record: Tree = {**tree, "fields": fields}
    assert [(one.id, one.text) for one in PAPER.read(record).measures] == [("tiltak1", "")]
    written = PAPER.write(record, RelayLog(measures=(Measure(id="m", text="Ny", writer=Service.SCHOOL),)))
    assert [(one.id, one.text) for one in PAPER.read(written).measures] == [("tiltak1", ""), ("tiltak2", "Ny")]


def measures_table(data: bytes) -> Table:
    """Return the measures of a Word form as Word has them."""
    tables = docx.Document(io.BytesIO(data)).tables
    return next(table for table in tables if table.rows[0].cells[1].text == "Tiltak")


def look(row: _Row) -> list[tuple[set[str | None], set[str | None]]]:
    """Return what a row's cells look like: their colour, and the size of their letters, filled in or to come."""
    return [
        ({one.get(qn("w:fill")) for one in cell._tc.iter(qn("w:shd"))},
         {one.get(qn("w:val")) for one in cell._tc.iter(qn("w:sz"))})
        for cell in row.cells
    ]  # fmt: skip


def test_the_forms_are_not_each_others() -> None:
    """A renamed label makes another form, which the shipped mapping does not take for its own."""
    assert COMPILO.claims(kind(COMPILO).decode(compilo_form()))
    assert not COMPILO.claims(kind(COMPILO).decode(compilo_form({"Ansvarleg": "Kven"})))
    assert PAPER.claims(kind(PAPER).decode(paper_form()))
