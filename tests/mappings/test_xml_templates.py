"""The templates of systems that exchange XML: Profil, Familia and InfoDoc, on the bytes of their own samples."""

import base64
import re
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from lxml import etree
from pypdf import PdfReader

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, Tree, claiming
from hub.mappings.language.laws import differences, get_put, put_get, put_put
from hub.payloads.registry import payload
from hub.relaylog.codes import Decision, MeasureStatus, Part, Service
from hub.relaylog.model import Concern, Evaluation, Measure, RelayLog

NAMES = ("profil/stafettlogg", "familia/stafettlogg", "infodoc/stafettlogg")
EVERY = {name: load_shipped(name) for name in shipped()}
FIRST = {name: EVERY[name].samples[0].record for name in NAMES}
HEAD = "{http://www.kith.no/xmlstds/msghead/2006-05-24}"
DIALOGUE = "{http://www.kith.no/xmlstds/dialog/2013-01-23}"
BASE64 = "{http://www.kith.no/xmlstds/base64container}"
SAMPLES = [(name, sample.record, sample.expect) for name in NAMES for sample in EVERY[name].samples]

every_template = pytest.mark.parametrize("name", NAMES)
every_sample = pytest.mark.parametrize(("name", "record", "expect"), SAMPLES, ids=[record for _, record, _ in SAMPLES])


def content(mapping: Mapping, name: str) -> bytes:
    """Read one of a mapping's own files."""
    return (shipped()[mapping.id].parent / name).read_bytes()


def decoded(mapping: Mapping, data: bytes) -> Tree:
    """Decode a document as the mapping's payload says."""
    return payload(mapping.payload, mapping.payload_options).decode(data)


def written(mapping: Mapping, data: bytes, log: RelayLog) -> bytes:
    """Put a log on a document."""
    form = payload(mapping.payload, mapping.payload_options)
    return form.encode(mapping.write(form.decode(data), log), data)


def edited(log: RelayLog) -> RelayLog:
    """A log after a meeting: a measure moved on, one of the kindergarten's was added, and another was evaluated."""
    first, *rest = log.measures
    moved = first.model_copy(update={"status": MeasureStatus.GOAL_REACHED})
    new = Measure(
        writer=Service.KINDERGARTEN, written_on=date(2026, 11, 21), part=Part.EDUCATION,
        text="Sang & rim <hver> dag.", status=MeasureStatus.PLANNED, starts_on=date(2026, 11, 23), goal=first.goal,
    )  # fmt: skip
    told = Evaluation(
        writer=log.concerns[0].writer, part=log.concerns[0].part, measure=first.id, on=date(2026, 11, 20),
        text="Nådd før tiden.", decision=Decision.END,
    )  # fmt: skip
    return log.model_copy(update={"measures": (moved, *rest, new), "evaluations": (*log.evaluations, told)})


@every_sample
def test_a_sample_is_claimed_by_its_mapping_alone_and_reads_as_expected(name: str, record: str, expect: str) -> None:
    """The bytes decode by the template's payload, no other template knows them, and the log is the one beside them."""
    mapping = EVERY[name]
    tree = decoded(mapping, content(mapping, record))
    assert claiming(EVERY.values(), tree) is mapping
    expected = RelayLog.model_validate_json(content(mapping, expect))
    assert list(differences(expected.model_dump(mode="json"), mapping.read(tree).model_dump(mode="json"))) == []


@every_sample
def test_a_log_put_back_unchanged_gives_the_same_bytes(name: str, record: str, expect: str) -> None:
    """Get-put on the tree and byte for byte on the file: encoding, line ends, comments and prefixes included."""
    mapping, data = EVERY[name], content(EVERY[name], record)
    tree = decoded(mapping, data)
    assert get_put(mapping, tree) == ()
    assert written(mapping, data, mapping.read(tree)) == data
    log = RelayLog.model_validate_json(content(mapping, expect))
    assert put_get(mapping, tree, log) == ()
    assert put_put(mapping, tree, log) == ()


@every_template
def test_edits_appear_in_the_file_and_nothing_else_moves(name: str) -> None:
    """A new status, measure and evaluation are read back from the bytes, and every old line but one stays."""
    mapping, data = EVERY[name], content(EVERY[name], FIRST[name])
    log = edited(mapping.read(decoded(mapping, data)))
    after = written(mapping, data, log)
    back = mapping.read(decoded(mapping, after))
    assert put_get(mapping, decoded(mapping, data), log) == ()
    assert {one.id: one.status for one in back.measures}[log.measures[0].id] is MeasureStatus.GOAL_REACHED
    new = next(one for one in back.measures if not one.id)
    assert (new.text, new.status, new.goal) == ("Sang & rim <hver> dag.", MeasureStatus.PLANNED, log.measures[0].goal)
    told = next(one for one in back.evaluations if one.text == "Nådd før tiden.")
    assert (told.measure, told.on, told.decision) == (log.measures[0].id, date(2026, 11, 20), Decision.END)
    assert len(set(data.splitlines()) - set(after.splitlines())) == 1
    assert written(mapping, after, log) == after


@every_template
def test_text_of_another_service_is_marked(name: str) -> None:
    """A kindergarten's text shows its service and day in the file, and reads back without them; own text is bare."""
    mapping, data = EVERY[name], content(EVERY[name], FIRST[name])
    log = mapping.read(decoded(mapping, data))
    foreign = Concern(writer=Service.KINDERGARTEN, written_on=date(2026, 11, 21), part=Part.EDUCATION, text="Er trøtt.")
    own = Concern(writer=log.notes[-1].writer, part=log.notes[-1].part, text="Sover dårlig.")
    after = written(mapping, data, log.model_copy(update={"concerns": (*log.concerns, foreign, own)}))
    assert "[Barnehage 21.11.2026] Er trøtt." in after.decode()
    assert ">Sover dårlig.<" in after.decode()
    found = {one.text: one for one in mapping.read(decoded(mapping, after)).concerns}
    assert (found["Er trøtt."].writer, found["Er trøtt."].written_on) == (Service.KINDERGARTEN, date(2026, 11, 21))
    assert found["Sover dårlig."].writer is log.notes[-1].writer


@every_template
def test_ids_and_persons_are_read_and_never_written(name: str) -> None:
    """Another child's log put on a document leaves the child, the guardians, the unit and the log's own id alone."""
    mapping = EVERY[name]
    one, other = (content(mapping, sample.record) for sample in mapping.samples[:2])
    before = mapping.read(decoded(mapping, one))
    back = mapping.read(decoded(mapping, written(mapping, one, mapping.read(decoded(mapping, other)))))
    assert before.subject.national_id
    kept = (before.source, before.subject, before.unit, before.guardians)
    assert (back.source, back.subject, back.unit, back.guardians) == kept


def test_what_child_welfare_writes_is_its_own_part() -> None:
    """Familia's texts belong to child welfare, the conversation with the child to the child, the school's to it."""
    mapping = EVERY["familia/stafettlogg"]
    log = mapping.read(decoded(mapping, content(mapping, FIRST[mapping.id])))
    parts = {element.id: element.part for name, element in log.elements() if name in ("concerns", "measures", "notes")}
    assert parts == {
        "B-1": Part.EDUCATION, "T-1": Part.CHILD_WELFARE, "T-2": Part.EDUCATION,
        "J-1": Part.CHILD_VOICE, "J-2": Part.CHILD_WELFARE,
    }  # fmt: skip


def test_profils_own_memo_stays_its_own() -> None:
    """A note that is not to be shared reads as the service's own; an unknown kind of note is left where it is."""
    mapping = EVERY["profil/stafettlogg"]
    log = mapping.read(decoded(mapping, content(mapping, FIRST[mapping.id])))
    assert {note.id: note.part for note in log.notes} == {
        "N1": Part.HEALTH, "N2": Part.CHILD_VOICE, "N3": Part.OWN,
    }  # fmt: skip


def test_a_profil_measure_without_a_goal_stands_beside_the_goals() -> None:
    """A new measure that belongs to no goal gets its place in the plan, and one with a goal stands inside it."""
    mapping = EVERY["profil/stafettlogg"]
    data = content(mapping, FIRST[mapping.id])
    log = mapping.read(decoded(mapping, data))
    new = (Measure(text="Ring hjem.", writer=Service.HEALTH_STATION, part=Part.HEALTH),
           Measure(text="Ny time.", goal="M1", writer=Service.HEALTH_STATION, part=Part.HEALTH))  # fmt: skip
    after = etree.fromstring(written(mapping, data, log.model_copy(update={"measures": (*log.measures, *new)})))
    names = {text.text: etree.QName(next(text.iterancestors("{*}Mal", "{*}Plan"))).localname
             for text in after.iterfind(".//{*}Tiltak/{*}Tekst")}  # fmt: skip
    assert (names["Ring hjem."], names["Ny time."]) == ("Plan", "Mal")


@pytest.mark.parametrize("first", [False, True], ids=["attachment last", "attachment first"])
def test_infodocs_attached_form_stays_as_it_is(first: bool) -> None:
    """The filled PDF form, in a Document of its own on either side, is not in the tree and stays after an edit."""
    mapping = EVERY["infodoc/stafettlogg"]
    data = content(mapping, "samples/infodoc-vedlegg.xml")
    log = mapping.read(decoded(mapping, data))
    head, dialogue, form, end = re.split(rb"(?m)^(?=  <Document>|</MsgHead>)", data)
    before = head + form + dialogue + end if first else data
    assert mapping.read(decoded(mapping, before)) == log
    after = written(mapping, before, edited(log))
    assert form in after
    assert mapping.read(decoded(mapping, after)) == mapping.read(decoded(mapping, written(mapping, data, edited(log))))
    packed = etree.fromstring(after).findtext(f".//{BASE64}Base64Container")
    assert packed is not None
    fields = PdfReader(BytesIO(base64.b64decode(packed))).get_form_text_fields()
    assert fields["bekymring"] == "Kommer sjelden med matpakke."


@pytest.mark.parametrize("record", [record for name, record, _ in SAMPLES if name.startswith("infodoc")])
def test_infodocs_messages_follow_the_published_schemas(reference_data: Path, record: str) -> None:
    """The samples, before and after edits, are valid MsgHead 1.2 and dialogmelding 1.1."""
    mapping = EVERY["infodoc/stafettlogg"]
    data = content(mapping, record)
    log = mapping.read(decoded(mapping, data))
    schema = _message_schema(reference_data / "edi20")
    for one in (data, written(mapping, data, edited(log) if log.measures else log)):
        schema.assertValid(etree.fromstring(one))


def _message_schema(folder: Path) -> etree.XMLSchema:
    """Read the schemas as one: those of the head and of what stands in its Content."""
    if not folder.is_dir():
        pytest.skip("no schemas of the health messages in the reference data")
    wanted = {HEAD: "MsgHead-v1_2.xsd", DIALOGUE: "dialogmelding-v1.1.xsd", BASE64: "kith-base64.xsd"}
    imports = "".join(
        f'<xs:import namespace="{uri.strip("{}")}" schemaLocation="{(folder / file).as_uri()}"/>'
        for uri, file in wanted.items()
    )
    return etree.XMLSchema(
        etree.fromstring(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>')
    )
