"""The shipped templates: what each never writes, and how a log looks when it comes from the other system."""

import json
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Mapping, MappingError, Tree
from hub.relaylog.codes import Part, Service
from tests.mappings.records import Records

VIGILO, SAMSPILL = load_shipped("vigilo/stafettlogg"), load_shipped("samspill/stafettlogg")
NEVER_WRITTEN = {
    VIGILO.id: ("_person", "_school", "id", "versjon", "malversjon", "modifiedTime", "sistLest", "barn", "foresette"),
    SAMSPILL.id: ("planId", "version", "changedAt", "lastOpenedAt", "mainPerson", "affiliation", "family"),
}


def sample(mapping: Mapping, name: str) -> Tree:
    """Read one of a mapping's own samples."""
    record: Tree = json.loads((shipped()[mapping.id].parent / "samples" / name).read_bytes())
    return record


@pytest.mark.parametrize("mapping", [VIGILO, SAMSPILL], ids=[VIGILO.id, SAMSPILL.id])
@settings(max_examples=60, deadline=None)
@given(chance=st.integers(0, 2**48).map(Random))
def test_ids_versions_and_persons_are_never_written(mapping: Mapping, chance: Random) -> None:
    """Whatever log is put on a record, ids, versions, persons, units and guardians stay; a new record has none."""
    records = Records(mapping, chance)
    record, log = records.record(), mapping.read(records.record())
    written, new = mapping.write(record, log), mapping.write(None, log)
    for name in NEVER_WRITTEN[mapping.id]:
        assert written.get(name) == record.get(name)
        assert name not in new


@pytest.mark.parametrize(
    ("mapping", "name", "volatile", "status"),
    [
        (VIGILO, "vigilo-aktiv.json", ("sistLest", "versjon", "modifiedTime"), "status"),
        (SAMSPILL, "samspill-aktiv.json", ("lastOpenedAt", "version", "changedAt"), "state"),
    ],
)
def test_a_volatile_place_does_not_change_what_is_stable(
    mapping: Mapping, name: str, volatile: tuple[str, ...], status: str
) -> None:
    """That somebody opened the log, or that its version moved, is no change; another status is one."""
    record = sample(mapping, name)
    assert mapping.stable({**record, **dict.fromkeys(volatile, "x")}) == mapping.stable(record)
    assert mapping.stable({**record, status: "pause"}) != mapping.stable(record)


def test_a_note_of_its_own_stays_the_services_own() -> None:
    """`synleg: EIGEN` and the part `egen` read as the service's own; the rest follows its writer."""
    parts = {note.id: note.part for note in VIGILO.read(sample(VIGILO, "vigilo-aktiv.json")).notes}
    assert parts == {"vsa-1": Part.CHILD_VOICE, "vn-1": Part.EDUCATION, "vn-2": Part.OWN}
    samspill = SAMSPILL.read(sample(SAMSPILL, "samspill-aktiv.json"))
    assert {note.id: note.part for note in samspill.notes} == {
        "N1": Part.HEALTH, "N2": Part.CHILD_VOICE, "N3": Part.OWN,
    }  # fmt: skip
    assert [note.part for note in SAMSPILL.read(sample(SAMSPILL, "samspill-avsluttet.json")).notes] == [Part.EDUCATION]


@pytest.mark.parametrize(
    ("kind", "service"),
    [("other", Service.KINDERGARTEN), ("elementarySchool", Service.SCHOOL), ("secondarySchool", Service.SCHOOL)],
)
def test_vigilos_unit_is_the_writer_of_what_carries_no_mark(kind: str, service: Service) -> None:
    """A kindergarten's or a school's log is written by it, and its text belongs to education."""
    record = sample(VIGILO, "vigilo-aktiv.json")
    record["_school"] = {"schoolType": kind}
    log = VIGILO.read(record)
    assert log.unit.service is service
    assert (log.goals[0].writer, log.goals[0].part) == (service, Part.EDUCATION)
    assert (log.concerns[1].writer, log.concerns[1].part) == (Service.HEALTH_STATION, Part.HEALTH)


def test_the_health_stations_texts_stand_marked_in_vigilo() -> None:
    """Each element of the other system becomes a row with its id, its text showing who wrote it and when."""
    log = SAMSPILL.read(sample(SAMSPILL, "samspill-aktiv.json"))
    new = VIGILO.write(None, log.model_copy(update={"language": "nn"}))
    assert list(_texts(new, "uro", "skildring")) == ["[Helsestasjon 20.03.2026] Hørselsprøven bør tas om igjen."]
    assert list(_texts(new, "tiltak", "skildring")) == [
        "[Helsestasjon 20.03.2026] Ny hørselsprøve.", "[Familien 21.03.2026] Snakke mot barnets gode øre.",
    ]  # fmt: skip
    assert list(_texts(new, "samtalar", "tekst")) == ["[Helsestasjon 10.05.2026] Synes prøven var gøy."]
    assert [note["synleg"] for note in _rows(new, "notat")] == ["DELT", "EIGEN"]
    assert _rows(_rows(new, "tiltak")[0], "vurderingar")[0]["avgjerd"] == "VIDAREFORE"
    assert [row["id"] for row in _rows(new, "mal")] == [goal.id for goal in log.goals]
    assert [row["malId"] for row in _rows(new, "tiltak")] == [measure.goal or None for measure in log.measures]
    assert new["malkode"] == "STAFETT"


def test_vigilos_texts_stand_with_their_writer_in_samspill() -> None:
    """Samspill has places of its own for writer and date, so no text is marked."""
    log = VIGILO.read(sample(VIGILO, "vigilo-aktiv.json"))
    new = SAMSPILL.write(None, log)
    assert [concern["writtenBy"] for concern in _rows(new, "concerns")] == [
        {"service": "barnehage", "on": "2026-03-14"}, {"service": "helsestasjon", "on": "2026-03-20"},
    ]  # fmt: skip
    assert list(_texts(new, "concerns", "text"))[1] == "Høyrselsprøva bør takast om att."
    assert {row["part"] for row in _rows(new, "notes")} == {"barnets_stemme", "pedagogisk", "egen"}


def _rows(tree: Tree, name: str) -> list[Tree]:
    rows = tree[name]
    assert isinstance(rows, list)
    return rows


def _texts(tree: Tree, rows: str, name: str) -> Iterator[object]:
    return (row[name] for row in _rows(tree, rows))


@pytest.mark.parametrize(
    ("mapping", "name", "broken"),
    [(VIGILO, "vigilo-aktiv.json", "oppretta"), (SAMSPILL, "samspill-aktiv.json", "state")],
)
def test_the_national_id_is_read_also_where_nothing_else_can_be(mapping: Mapping, name: str, broken: str) -> None:
    """What shredding has to find by it may be broken elsewhere; a record of another shape has none."""
    record = sample(mapping, name)
    known = mapping.read(record).subject.national_id
    spoiled = {**record, broken: {"not": "what is expected"}}
    with pytest.raises(MappingError):
        mapping.read(spoiled)
    assert mapping.national_id(record) == mapping.national_id(spoiled) == known != ""
    assert [mapping.national_id({}), mapping.national_id(dict.fromkeys(record, "x"))] == ["", ""]
