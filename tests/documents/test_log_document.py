"""The document of a log: it holds all of the log, keeps both standards, and stays text whatever people wrote."""

import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Literal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from pypdf.generic import ArrayObject, DictionaryObject, PdfObject, StreamObject

from hub.documents.content import Content, Edition, Group, Heading, paragraphs
from hub.documents.pdf import DocumentFailed, Sheet, render, typeset
from hub.documents.words import written_date, written_time
from hub.relaylog.codes import BtiLevel, Code, Effect, NoteKind, Part
from hub.relaylog.model import (
    Attachment,
    Concern,
    Evaluation,
    Frozen,
    Goal,
    Handover,
    Measure,
    Meeting,
    Note,
    RelayLog,
    Subject,
    references,
)

MakeLog = Callable[[Literal["nb", "nn"]], RelayLog]

_DAY = date(2026, 6, 2)
_EDITION = Edition("Eksempel kommune", _DAY, 1, ())
_HOSTILE = (
    "#panic()",
    "] #sys.inputs $x$ */ // <label> @ref `raw`",
    'C:\\new\\table "quoted" \\u{41}',
    "= Not a heading\n- not a list\n+ 1. nor this",
    '{"kind": "page"}',
    "--- ... -- ~ 'quotes'",
)


def _pdf(log: RelayLog, *left_out: str) -> bytes:
    return render(log, municipality="Eksempel kommune", today=_DAY, revision=7, left_out=left_out)


def _bare(text: str) -> str:
    """Return a text without anything that only breaks lines."""
    return "".join(unicodedata.normalize("NFC", text).replace("\u200b", "").split())


def _text(pdf: bytes) -> str:
    return _bare("".join(page.extract_text() for page in PdfReader(BytesIO(pdf)).pages))


def _root(pdf: bytes) -> DictionaryObject:
    root = PdfReader(BytesIO(pdf)).trailer["/Root"]
    assert isinstance(root, DictionaryObject)
    return root


def _tags(node: PdfObject | None) -> Iterator[str]:
    held = node.get_object() if node is not None else None
    if isinstance(held, ArrayObject):
        for inner in held:
            yield from _tags(inner)
    elif isinstance(held, DictionaryObject) and "/S" in held:
        yield str(held["/S"])
        yield from _tags(held.get("/K"))


def _leaves(value: Frozen) -> Iterator[object]:
    for name in type(value).model_fields:
        held = getattr(value, name)
        if name in references(type(value)):
            continue
        for inner in held if isinstance(held, tuple) else (held,):
            if isinstance(inner, Frozen):
                yield from _leaves(inner)
            else:
                yield inner


def _as_people_write(value: object, language: Literal["nb", "nn"]) -> str:
    if isinstance(value, Code):
        return value.label(language)
    if isinstance(value, datetime):
        return written_time(value, language)
    return written_date(value) if isinstance(value, date) else str(value)


@pytest.mark.parametrize("language", ["nb", "nn"])
def test_every_value_of_a_full_log_stands_in_the_document(make_log: MakeLog, language: Literal["nb", "nn"]) -> None:
    """Each text, code, date and number of a log in which every field is set is found in the PDF's own text."""
    log = make_log(language)
    text = _text(_pdf(log))
    expected = [
        _as_people_write(leaf, language)
        for leaf in _leaves(log)
        if not isinstance(leaf, bool | BtiLevel) and leaf != language
    ]
    assert len(expected) > 150
    assert [value for value in expected if _bare(value) not in text] == []


def test_marks_and_levels_are_said_in_words(make_log: MakeLog) -> None:
    """The violence mark, a barred guardian and the level of a log are words in the document."""
    text = _text(_pdf(make_log("nb")))
    for words in ("Gjelder vold eller overgrep Ja", "Utestengt Ja", "2 – to tjenester samarbeider", "Målform Bokmål"):
        assert _bare(words) in text


def test_the_file_states_both_standards(make_log: MakeLog) -> None:
    """The metadata of the file name PDF/A-2a and PDF/UA-1, and the title and language of the log."""
    root = _root(_pdf(make_log("nn")))
    metadata = root["/Metadata"].get_object()
    assert isinstance(metadata, StreamObject)
    xmp = ET.fromstring(metadata.get_data())  # noqa: S314 - our own file
    found = {(element.tag, element.text) for element in xmp.iter()}
    assert ("{http://www.aiim.org/pdfa/ns/id/}part", "2") in found
    assert ("{http://www.aiim.org/pdfa/ns/id/}conformance", "A") in found
    assert ("{http://www.aiim.org/pdfua/ns/id/}part", "1") in found
    assert str(root["/Lang"]) == "nn-NO"
    assert any(text and text.startswith("Stafettlogg – log.subject.name") for _, text in found)


def test_the_file_is_tagged_with_headings_and_table_headers(make_log: MakeLog) -> None:
    """A screen reader finds a title, headings, lists of facts and tables with header cells."""
    root = _root(_pdf(make_log("nb")))
    assert str(root["/MarkInfo"]) == "{'/Marked': True, '/Suspects': False}"
    structure = root["/StructTreeRoot"]
    assert isinstance(structure, DictionaryObject)
    tags = list(_tags(structure["/K"]))
    assert {"/Title", "/H1", "/H2", "/H3", "/L", "/LI", "/Table", "/THead", "/TH", "/TD"} <= set(tags)
    assert tags.count("/THead") == tags.count("/Table") == 6


def test_the_same_log_gives_the_same_bytes(make_log: MakeLog) -> None:
    """Rendering twice gives one file, and another day gives another."""
    log = make_log("nb")
    assert _pdf(log) == _pdf(log)
    assert _pdf(log) != render(log, municipality="Eksempel kommune", today=date(2026, 6, 3), revision=7)


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_hostile_text_stays_text(hostile: str) -> None:
    """Code, markup and quotes in any place of a log are printed as they were written."""
    log = RelayLog(
        subject=Subject(name=hostile),
        meetings=(Meeting(minutes=hostile, attendees=(hostile,)),),
        attachments=(Attachment(filename=hostile),),
    )
    assert _text(_pdf(log)).count(_bare(hostile)) >= 4


def test_control_characters_are_named() -> None:
    """Signs that no page can show stand with their name, and the last page says so."""
    log = RelayLog(concerns=(Concern(text="a\x00b\x07c\ue000d\u202ee\ufffff 😀 \t g"),))
    text = _text(_pdf(log))
    assert "a[U+0000]b[U+0007]c[U+E000]d[right-to-leftoverrideU+202E]e[U+FFFF]f[grinningfaceU+1F600]g" in text
    assert _bare("står med navn i hakeparentes") in text
    assert _bare("står med navn i hakeparentes") not in _text(_pdf(RelayLog()))


@given(st.text(max_size=40), st.text(max_size=200))
@settings(max_examples=40, deadline=None)
def test_no_text_stops_a_document(name: str, text: str) -> None:
    """Whatever Unicode people or systems put into a log, there is a document."""
    log = RelayLog(subject=Subject(name=name), notes=(Note(text=text),), attachments=(Attachment(filename=name),))
    assert _pdf(log).startswith(b"%PDF-1.7")


def test_composed_and_decomposed_letters_are_the_same_text() -> None:
    """Norwegian and Sámi letters read back alike, written as one sign or as two."""
    words = "blåbærgrøt Áŋŋá čáhci đ ŧ ž Å"
    decomposed = RelayLog(concerns=(Concern(text=unicodedata.normalize("NFD", words)),))
    assert _bare(words) in _text(_pdf(decomposed))
    assert _pdf(decomposed) == _pdf(RelayLog(concerns=(Concern(text=words),)))


def test_long_minutes_and_long_words_stay_whole() -> None:
    """Minutes of 10,000 characters run over several pages, and a word of 900 letters is broken, not cut off."""
    minutes = "\n\n".join(f"Punkt {number}: {'vi snakket om leken ' * 4}" for number in range(120))
    word = "abcdefghij" * 90
    pdf = _pdf(RelayLog(subject=Subject(address=word), meetings=(Meeting(minutes=minutes),)))
    assert len(minutes) > 10_000
    assert len(PdfReader(BytesIO(pdf)).pages) > 5
    text = _text(pdf)
    assert all(_bare(f"Punkt {number}: vi snakket om leken") in text for number in range(120))
    assert word in text


@pytest.mark.parametrize(
    ("language", "words"), [("nb", "Loggen er ikke avsluttet."), ("nn", "Loggen er ikkje avslutta.")]
)
def test_an_empty_log_says_that_nothing_is_registered(language: Literal["nb", "nn"], words: str) -> None:
    """No section disappears: an empty one says so, in the log's language."""
    text = _text(_pdf(RelayLog(language=language)))
    assert text.count("Ingenregistrert") == 17
    assert _bare(words) in text


def test_dates_are_written_as_people_write_them() -> None:
    """3. mars 2026 for a date, and Norwegian wall time for an instant, in summer and winter."""
    assert written_date(date(2026, 3, 3)) == "3. mars 2026"
    assert written_time(datetime(2026, 7, 1, 22, 5, tzinfo=UTC), "nn") == "2. juli 2026 kl. 00.05"
    assert written_time(datetime(2026, 1, 1, 12, 30, tzinfo=UTC), "nb") == "1. januar 2026 kl. 13.30"


def test_evaluations_stand_under_their_measure() -> None:
    """An evaluation follows the measure it is of; one whose measure is missing gets a section of its own."""
    log = RelayLog(
        measures=(Measure(id="a"), Measure(id="b")),
        evaluations=(Evaluation(measure="b"), Evaluation(measure="gone"), Evaluation(measure="a", effect=Effect.GOOD)),
    )
    assert _headings(log, after="Tiltak", before="Møter") == [
        "Tiltak 1", "Evaluering 3", "Tiltak 2", "Evaluering 1", "Evalueringer uten tiltak i loggen", "Evaluering 2",
    ]  # fmt: skip


def test_what_the_child_said_is_gathered() -> None:
    """Talks with the child and its words in evaluations and handovers stand together, each once."""
    log = RelayLog(
        notes=(Note(kind=NoteKind.CHILD_CONVERSATION), Note(), Note(part=Part.CHILD_VOICE)),
        evaluations=(Evaluation(child_view="Jeg liker butikk"),),
        handovers=(Handover(child_wish="Vil besøke skolen"),),
    )
    assert _headings(log, after="Notater", before="Barnets stemme") == ["Notat 2"]
    assert _headings(log, after="Barnets stemme", before="Samtykker") == [
        "Notat 1", "Notat 3", "Barnets syn", "Barnets og familiens ønske",
    ]  # fmt: skip
    text = _text(_pdf(log))
    assert text.count("Jeglikerbutikk") == text.count("Vilbesøkeskolen") == 1


def _headings(log: RelayLog, *, after: str, before: str) -> list[str]:
    """Return the headings between two sections."""
    flat = [
        b for block in Content(log).blocks(_EDITION) for b in (block.blocks if isinstance(block, Group) else [block])
    ]
    found = [block.text for block in flat if isinstance(block, Heading)]
    sections = [block.text for block in flat if isinstance(block, Heading) and block.level == 1]
    assert {after, before} <= set(sections)
    return found[found.index(after) + 1 : found.index(before)]


def test_a_reference_reads_as_the_name_of_what_it_points_to() -> None:
    """A measure says "Mål 2" and not an id; a reference to nothing keeps the id, so that it is not lost."""
    log = RelayLog(goals=(Goal(id="x"), Goal(id="y")), measures=(Measure(goal="y"), Measure(goal="not-here")))
    text = _text(_pdf(log))
    assert "MålMål2" in text
    assert "Målnot-here" in text


def test_the_last_page_says_what_was_left_out() -> None:
    """What a view withheld and the attached files are named; a whole log says that nothing is left out."""
    attached = RelayLog(attachments=(Attachment(filename="tegning.png"),))
    assert _bare("Utelatt Ingenting") in _text(_pdf(RelayLog()))
    assert _bare("Filene som er vedlagt loggen, ligger ikke i dette dokumentet.") in _text(_pdf(attached))
    assert _bare("Utelatt Helse er ikke med.") in _text(_pdf(RelayLog(), "Helse er ikke med."))
    assert _bare("Revisjon 7") in _text(_pdf(RelayLog()))


@given(st.text(alphabet="ab \n\r\t\x0b"))
def test_paragraphs_keep_every_word(text: str) -> None:
    """Splitting a text into paragraphs and lines loses no word and leaves no empty line."""
    split = paragraphs(text)
    assert [word for lines in split for line in lines for word in line.split()] == text.split()
    assert all(line.strip() for lines in split for line in lines)


def test_a_panic_of_the_typesetter_is_a_document_that_failed() -> None:
    """What a library in Rust raises is no Exception, and would end whoever asked for it; its text is kept out."""

    class Panic(BaseException):
        pass

    def sheet(*, signs_named: bool) -> Sheet:
        raise Panic(f"Solskinn Testbarn {signs_named}")

    with pytest.raises(DocumentFailed, match=r"^log 1: typst broke off \(Panic\)") as caught:
        typeset("log 1", _DAY, sheet)
    assert caught.value.__suppress_context__
