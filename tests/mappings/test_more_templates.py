"""PPT's CSV set, child welfare, the individual plan and the open format: from the file's bytes to the log and back."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, Tree, claiming
from hub.mappings.language.laws import differences
from hub.mappings.language.rules import Sample
from hub.payloads.csv import CsvPayload
from hub.payloads.registry import payload
from hub.payloads.zips import unpack
from hub.relaylog.codes import Decision, Effect, MeasureStatus, MeetingKind, Part, Service
from hub.relaylog.model import COLLECTIONS, Evaluation, Measure, Meeting, RelayLog
from hub.relaylog.nationalid import parse
from tests.relaylog.strategies import logs

EVERY = {name: load_shipped(name) for name in shipped()}
NAMES = ("hkoppvekst/stafettlogg", "barnevern/stafettlogg", "samspill/individuellplan", "relaylog/open")
PPT, CHILD_WELFARE, PLAN, OPEN = (EVERY[name] for name in NAMES)
FOLDER: Path = shipped()[OPEN.id].parent
CASES = [(EVERY[name], sample) for name in NAMES for sample in EVERY[name].samples]

every_sample = pytest.mark.parametrize(("mapping", "sample"), CASES, ids=[sample.record for _, sample in CASES])
every_first = pytest.mark.parametrize(
    ("mapping", "sample"), [(EVERY[name], EVERY[name].samples[0]) for name in NAMES], ids=NAMES
)


def content(sample: Sample) -> bytes:
    """Return a sample's file."""
    return (FOLDER / sample.record).read_bytes()


def decoded(mapping: Mapping, data: bytes) -> Tree:
    """Read the one record in a file by the payload that the mapping names."""
    form = payload(mapping.payload, mapping.payload_options)
    if isinstance(form, CsvPayload):
        [(_, tree)] = form.decode_set(data)
        return tree
    return form.decode(data)


def encoded(mapping: Mapping, tree: Tree, original: bytes) -> bytes:
    """Write a record back on the file that it came in."""
    form = payload(mapping.payload, mapping.payload_options)
    if isinstance(form, CsvPayload):
        [(key, _)] = form.decode_set(original)
        return form.encode_set([(key, tree)], original)
    return form.encode(tree, original)


def after(mapping: Mapping, sample: Sample, change: Callable[[RelayLog], RelayLog]) -> RelayLog:
    """Read a sample, change its log, write it into the file, and read the file again."""
    data = content(sample)
    record = decoded(mapping, data)
    written = mapping.write(record, change(mapping.read(record)))
    return mapping.read(decoded(mapping, encoded(mapping, written, data)))


@every_sample
def test_a_sample_reads_as_expected_and_only_its_own_mapping_claims_it(mapping: Mapping, sample: Sample) -> None:
    """The file's bytes decode to a record that one shipped mapping claims, and its log is the one expected."""
    record = decoded(mapping, content(sample))
    assert claiming(EVERY.values(), record) is mapping
    expected = RelayLog.model_validate_json((FOLDER / sample.expect).read_bytes())
    assert list(differences(expected.model_dump(mode="json"), mapping.read(record).model_dump(mode="json"))) == []


@every_sample
def test_an_unchanged_log_leaves_every_byte(mapping: Mapping, sample: Sample) -> None:
    """Get-put: a record's own log changes neither its tree nor its file."""
    data = content(sample)
    record = decoded(mapping, data)
    written = mapping.write(record, mapping.read(record))
    assert list(differences(record, written)) == []
    assert encoded(mapping, written, data) == data


@every_sample
def test_the_persons_are_synthetic(mapping: Mapping, sample: Sample) -> None:
    """Every national id in a sample says of itself that it belongs to nobody."""
    log = mapping.read(decoded(mapping, content(sample)))
    found = [log.subject.national_id, *(guardian.national_id for guardian in log.guardians)]
    assert all(parse(one).synthetic for one in found if one)


@every_first
def test_another_status_is_read_back_from_the_file(mapping: Mapping, sample: Sample) -> None:
    """Put-get: the first measure gets another status, and nothing else in the log changes."""

    def stopped(log: RelayLog) -> RelayLog:
        first = log.measures[0].model_copy(update={"status": MeasureStatus.STOPPED})
        return log.model_copy(update={"measures": (first, *log.measures[1:])})

    before = mapping.read(decoded(mapping, content(sample)))
    assert after(mapping, sample, stopped) == stopped(before)


@every_first
def test_a_new_measure_and_evaluation_are_read_back_from_the_file(mapping: Mapping, sample: Sample) -> None:
    """Put-get: a new measure and a new evaluation of an old one come out of the file beside all that was there."""
    service = Service.PPT if mapping is PPT else Service.SCHOOL
    before = mapping.read(decoded(mapping, content(sample)))
    measure = Measure(
        id="ny-1",
        writer=service,
        written_on=date(2026, 11, 1),
        text="Øve på blåbærsanger.",
        status=MeasureStatus.PLANNED,
    )
    evaluation = Evaluation(
        id="ny-2", writer=service, written_on=date(2026, 11, 2), measure=before.measures[0].id, on=date(2026, 11, 2),
        effect=Effect.GOOD, text="Går fint nå.", decision=Decision.END,
    )  # fmt: skip

    def added(log: RelayLog) -> RelayLog:
        return log.model_copy(
            update={"measures": (*log.measures, measure), "evaluations": (*log.evaluations, evaluation)}
        )

    log = after(mapping, sample, added)
    [new] = [one for one in log.measures if one.id not in {old.id for old in before.measures}]
    assert (new.writer, new.text, new.status) == (service, measure.text, measure.status)
    [view] = [one for one in log.evaluations if one.text == evaluation.text]
    assert (view.writer, view.measure, view.on) == (service, evaluation.measure, evaluation.on)
    assert (view.effect, view.decision) == (evaluation.effect, evaluation.decision)
    for name in COLLECTIONS:
        assert set(getattr(before, name)) <= set(getattr(log, name))


def test_the_csv_set_keeps_its_encoding_and_the_files_nothing_changed() -> None:
    """A new measure adds one line to one file, in Windows-1252 with semicolons; the other files keep their bytes."""
    data = content(PPT.samples[0])
    record = decoded(PPT, data)
    log = PPT.read(record)
    new = Measure(writer=Service.SCHOOL, written_on=date(2026, 11, 1), text="Øve på «å».", status=MeasureStatus.STARTED)
    out = encoded(PPT, PPT.write(record, log.model_copy(update={"measures": (*log.measures, new)})), data)
    form = payload(PPT.payload, PPT.payload_options)
    assert isinstance(form, CsvPayload)
    before, now = unpack(data, form.limits), unpack(out, form.limits)
    assert {name for name in before if before[name] != now[name]} == {"tiltak.csv"}
    line = ";HK-3107;[Skule 01.11.2026] Øve på «å».;;;;;;;Igangsett;\r\n"
    assert now["tiltak.csv"] == before["tiltak.csv"] + line.encode("cp1252")


def test_ppts_covering_file_says_who_and_when() -> None:
    """National id, unit and day of closing come from the metadata file; the day it was made is no change."""
    record = decoded(PPT, content(PPT.samples[1]))
    log = PPT.read(record)
    assert (log.unit.organisation_number, log.closure and log.closure.on) == ("937876777", date(2026, 6, 19))
    other = json.loads(json.dumps(record).replace("2026-06-20", "2026-07-01"))
    assert other != record
    assert PPT.stable(other) == PPT.stable(record)


def test_child_welfare_hides_what_is_its_own() -> None:
    """Shielded entries read as the service's own, the child's voice and the rest; what schools wrote is education's."""
    log = CHILD_WELFARE.read(decoded(CHILD_WELFARE, content(CHILD_WELFARE.samples[0])))
    assert [note.part for note in log.notes] == [Part.CHILD_VOICE, Part.OWN, Part.CHILD_WELFARE]
    assert [measure.part for measure in log.measures] == [Part.CHILD_WELFARE, Part.EDUCATION, Part.CHILD_WELFARE]
    assert [evaluation.measure for evaluation in log.evaluations] == ["T1", "T2"]


def test_the_plan_has_a_coordinator_and_a_responsible_group() -> None:
    """The coordinator reads as the holder, the group's meetings as such, and activities belong to the goal around."""
    log = PLAN.read(decoded(PLAN, content(PLAN.samples[0])))
    assert log.holder is not None
    assert (log.holder.title, log.holder.service) == ("Koordinator", Service.COORDINATING_UNIT)
    assert [meeting.kind for meeting in log.meetings] == [MeetingKind.RESPONSIBLE_GROUP, MeetingKind.TRANSITION]
    assert [(measure.id, measure.goal) for measure in log.measures] == [
        ("A1", "M1"), ("A2", "M1"), ("A3", "M2"), ("A4", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "place"),
    [(MeetingKind.RESPONSIBLE_GROUP, "responsibleGroupMeetings"), (MeetingKind.EVALUATION, "otherMeetings")],
)
def test_a_meeting_is_written_where_its_kind_stands(kind: MeetingKind, place: str) -> None:
    """A new meeting of the responsible group goes into the group's list, any other into the list beside it."""
    record = decoded(PLAN, content(PLAN.samples[2]))
    new = Meeting(id="ny", kind=kind, writer=Service.SCHOOL, agenda="Nytt år")
    written = PLAN.write(record, PLAN.read(record).model_copy(update={"meetings": (new,)}))
    assert [name for name in ("responsibleGroupMeetings", "otherMeetings") if name in written] == [place]


@pytest.mark.parametrize("mapping", [PPT, CHILD_WELFARE, PLAN, OPEN], ids=NAMES)
@settings(max_examples=30, deadline=None)
@given(log=logs())
def test_ids_persons_and_national_ids_are_never_written(mapping: Mapping, log: RelayLog) -> None:
    """Whatever log is put on a record, who it is about and which record it is stay as they were."""
    record = decoded(mapping, content(mapping.samples[0]))
    before, now = mapping.read(record), mapping.read(mapping.write(record, log))
    assert now.source == before.source
    assert now.subject.national_id == before.subject.national_id
    known = {guardian.id: guardian.national_id for guardian in before.guardians}
    assert all(guardian.national_id == known.get(guardian.id, "") for guardian in now.guardians)
    if mapping is not OPEN:
        assert (now.subject, now.unit, now.guardians) == (before.subject, before.unit, before.guardians)


@settings(max_examples=100, deadline=None)
@given(log=logs())
def test_the_open_format_is_the_model_itself(log: RelayLog) -> None:
    """Any log's JSON reads as the same log but for the hub's own id, and its log put back changes nothing."""
    record: Tree = log.model_dump(mode="json")
    back = OPEN.read(record)
    assert back == log.model_copy(update={"id": ""})
    assert OPEN.write(record, back) == record
    assert decoded(OPEN, encoded(OPEN, OPEN.write(record, back), json.dumps(record).encode())) == record


@settings(max_examples=60, deadline=None)
@given(log=logs())
def test_a_new_record_in_the_open_format_says_all_that_may_be_written(log: RelayLog) -> None:
    """A new record claims itself, names no source or number, and holds every element with the hub's id of it."""
    new = OPEN.write(None, log)
    assert OPEN.claims(new)
    assert "source" not in new
    for name in COLLECTIONS:
        rows = new.get(name) or []
        assert isinstance(rows, list)
        assert len(rows) == (0 if name == "extensions" else len(getattr(log, name)))
        assert not any("national_id" in row for row in rows)
        if name != "extensions":
            assert {row.get("id") or "" for row in rows} == {element.id for element in getattr(log, name)}


def test_the_open_format_carries_every_field_of_the_model() -> None:
    """No field of the model is left out but the hub's own id; what is not written is who and which, and extensions."""
    fields = {f"{name}[].{field}" for name, model in COLLECTIONS.items() for field in model.model_fields}
    beside = {path for path in fields if path.partition("[].")[2] in {"id", "writer", "written_on", "part"}}
    top = {name for name in RelayLog.model_fields if name not in COLLECTIONS} - {"id", "canonical"}
    carried = {path.partition(".")[0] for path in OPEN.carries if "[]" not in path}
    assert carried == top
    reached = {f"{head}[].{rest.partition('.')[0]}" for head, _, rest in (p.partition("[].") for p in OPEN.carries)}
    assert fields - beside <= {path.replace("[][]", "[]") for path in reached}
    kept = {path for path in OPEN.carries - OPEN.writes if not path.startswith("extensions[]")}
    assert kept == {
        "source.system", "source.id", "source.version", "subject.national_id", "subject.local_id",
        "guardians[].national_id",
    }  # fmt: skip
