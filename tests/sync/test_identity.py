"""Who is who: keys lead to the hub's ids and back, rows without keys find themselves, and nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import BtiLevel, ConsentForm, MeetingKind, NoteKind, Part, Relation, Service
from hub.relaylog.model import (
    COLLECTIONS,
    Actor,
    Agreement,
    Attachment,
    Concern,
    Consent,
    Element,
    Evaluation,
    Extension,
    Goal,
    Guardian,
    Handover,
    InvolvedService,
    LevelChange,
    Measure,
    Meeting,
    Note,
    Party,
    Relative,
    RelayLog,
    references,
)
from hub.sync.identity import CONTENT, REFERENCE_ORDER, Identified, Key, in_hub_ids, in_own_keys
from tests.relaylog.strategies import logs

EMPTY = RelayLog()


def _ids() -> Callable[[], str]:
    """Make new ids hub-1, hub-2 and so on."""
    numbers = count(1)
    return lambda: f"hub-{next(numbers)}"


def _read(read: RelayLog, known: dict[Key, str] | None = None, others: RelayLog = EMPTY) -> Identified:
    return in_hub_ids(read, known or {}, others, "log", _ids())


def _elements(log: RelayLog) -> dict[str, tuple[Element, ...]]:
    return {name: getattr(log, name) for name in COLLECTIONS}


@settings(deadline=None, max_examples=80)
@given(logs())
def test_own_keys_come_back(log: RelayLog) -> None:
    """What a system sent comes back in its own keys, element for element, with its references."""
    identified = _read(log)
    assert _elements(in_own_keys(identified.log, identified.new_keys)) == _elements(log)
    assert identified.log.id == "log"


@settings(deadline=None, max_examples=80)
@given(logs())
def test_every_new_element_gets_an_id_of_its_own(log: RelayLog) -> None:
    """Each element of an unknown record gets a new id, no two the same, and its key is told."""
    identified = _read(log)
    ids = [element.id for _, element in identified.log.elements()]
    assert sorted(ids) == sorted({f"hub-{at}" for at in range(1, len(ids) + 1)})
    assert set(identified.new_keys) == {(name, element.id) for name, element in log.elements()}
    assert set(identified.new_keys.values()) == set(ids)


@settings(deadline=None, max_examples=60)
@given(logs())
def test_known_keys_lead_to_the_same_ids(log: RelayLog) -> None:
    """A record read again has the ids that it got the first time, and tells no new key."""
    first = _read(log)
    again = in_hub_ids(log, first.new_keys, first.log, "log", lambda: "new")
    assert again == Identified(first.log, {})


@settings(deadline=None, max_examples=60)
@given(logs())
def test_references_lead_where_they_led(log: RelayLog) -> None:
    """In the hub's ids each reference leads to the element that it led to in the system's keys."""
    identified = _read(log)
    for name, model in COLLECTIONS.items():
        for field, collection in references(model).items():
            for before, after in zip(getattr(log, name), getattr(identified.log, name), strict=True):
                led = getattr(before, field)
                assert getattr(after, field) == (identified.new_keys[collection, led] if led else "")


@settings(deadline=None, max_examples=60)
@given(logs(), st.booleans())
def test_rows_without_keys_find_themselves(log: RelayLog, keyed: bool) -> None:
    """Another system's copy of a log, with other keys or none, gets the same ids, whatever order its rows have."""
    hub = _read(log).log
    foreign = {name: {e.id: f"x{e.id}" if keyed else "" for e in getattr(hub, name)} for name in COLLECTIONS}
    copies = {}
    for name, model in COLLECTIONS.items():
        rows = []
        for element in reversed(getattr(hub, name)):
            refers = {f: foreign[to].get(getattr(element, f), "") for f, to in references(model).items()}
            rows.append(element.model_copy(update={"id": foreign[name][element.id], **refers}))
        copies[name] = tuple(rows)
    found = in_hub_ids(RelayLog(**copies), {}, hub, "log", lambda: "new").log
    linked = {"evaluations"} if not keyed else set[str]()  # without keys a row cannot say which measure it is about
    for name in COLLECTIONS.keys() - linked:
        assert [e.id for e in getattr(found, name)] == [e.id for e in reversed(getattr(hub, name))]


def test_every_list_has_its_content() -> None:
    """For each list it is said what makes two elements the same, in fields that exist."""
    assert set(CONTENT) == set(COLLECTIONS)
    for name, fields in CONTENT.items():
        assert set(fields) <= set(COLLECTIONS[name].model_fields)


def test_what_is_referred_to_comes_first() -> None:
    """Lists are read so that a reference can be translated when it is met."""
    assert sorted(REFERENCE_ORDER) == sorted(COLLECTIONS)
    for name in REFERENCE_ORDER:
        for collection in references(COLLECTIONS[name]).values():
            assert REFERENCE_ORDER.index(collection) < REFERENCE_ORDER.index(name)


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SAME: list[tuple[str, Element, dict[str, object]]] = [
    ("guardians", Guardian(name="Solskinn  TESTMOR", relation=Relation.MOTHER), {"name": "Solskinn Testmor"}),
    ("relatives", Relative(name="Regn Testbror", relation="bror"), {"name": "regn testbror"}),
    ("parties", Party(name="Sno\u0308 Test", service=Service.PPT), {"name": "Snö Test", "task": "x"}),
    ("services", InvolvedService(service=Service.PPT), {"organisation_number": "x"}),
    ("consents", Consent(recipient=Service.PPT, form=ConsentForm.WRITTEN), {"language": "nb"}),
    ("concerns", Concern(text="Uro"), {"text": "uro ", "raised_by": "x"}),
    ("goals", Goal(text="Mål"), {}),
    ("measures", Measure(text="Lesegruppe"), {"deadline": date(2026, 12, 1)}),
    ("evaluations", Evaluation(measure="m1", text="Bra"), {"attended": ("x",)}),
    ("meetings", Meeting(kind=MeetingKind.EVALUATION, starts_at=NOON), {"minutes": "x"}),
    ("notes", Note(kind=NoteKind.SURVEY, text="Kartlagt"), {"author": "x"}),
    (
        "handovers",
        Handover(offered_on=NOON.date(), to_holder=Actor(name="x")),
        {"to_holder": Actor(name="X", phone="1")},
    ),
    ("agreements", Agreement(text="Avtale"), {"parties": ("x",)}),
    ("attachments", Attachment(sha256="ab"), {"filename": "x"}),
    ("level_changes", LevelChange(on=NOON.date(), level=BtiLevel.TWO_SERVICES), {"reason": "x"}),
    ("extensions", Extension(key="/a", value="1"), {"value": "2"}),
]


@pytest.mark.parametrize(("name", "row", "beside"), SAME, ids=[name for name, _, _ in SAME])
def test_a_row_without_a_key_joins_what_it_equals(name: str, row: Element, beside: dict[str, object]) -> None:
    """A row joins the one element of equal content, whatever case, spaces, composition and fields beside it."""
    measures = (Measure(id="m1", text="Lesegruppe"),)
    element = row.model_copy(update={**beside, "id": "e1", "writer": Service.PPT, "part": Part.PPT})
    others = EMPTY.model_copy(update={"measures": measures, name: (element,)})
    read = EMPTY.model_copy(update={"measures": measures, name: (row,)})
    known = {("measures", "m1"): "m1"} if name != "measures" else {}
    (found,) = getattr(_read(read, known, others).log, name)
    assert found.id == "e1"


def test_a_key_never_seen_is_found_by_content_and_remembered() -> None:
    """The key that a system gives to a row that was sent there is linked to the element that was sent."""
    hub = RelayLog(notes=(Note(id="n1", text="sendt"),))
    identified = _read(RelayLog(notes=(Note(id="k7", text="sendt"),)), others=hub)
    assert identified.log.notes[0].id == "n1"
    assert identified.new_keys == {("notes", "k7"): "n1"}


def test_an_element_that_the_system_has_a_key_for_is_not_joined() -> None:
    """A second row of the same content is a new element, not the one that the system keeps under another key."""
    hub = RelayLog(notes=(Note(id="n1", text="likt"),))
    read = RelayLog(notes=(Note(id="k2", text="likt"), Note(id="k1", text="likt")))
    notes = _read(read, {("notes", "k1"): "n1"}, hub).log.notes
    assert [note.id for note in notes] == ["hub-1", "n1"]


def test_among_several_of_the_same_content_nothing_is_guessed() -> None:
    """A row that could be either of two elements and equals neither in full is new."""
    hub = RelayLog(
        measures=(
            Measure(id="m1", text="Lesegruppe", deadline=date(2026, 1, 1)),
            Measure(id="m2", text="Lesegruppe", deadline=date(2026, 2, 1)),
        )
    )
    read = RelayLog(measures=(Measure(text="Lesegruppe", deadline=date(2026, 3, 1)),))
    assert _read(read, others=hub).log.measures[0].id == "hub-1"


def test_among_several_of_the_same_content_the_equal_one_is_joined() -> None:
    """Rows of the same text find their own by what else they say, and the one left over by being left alone."""
    hub = RelayLog(
        measures=(
            Measure(id="m1", text="Lesegruppe", deadline=date(2026, 1, 1)),
            Measure(id="m2", text="Lesegruppe", deadline=date(2026, 2, 1)),
        )
    )
    rows = (
        Measure(text="Lesegruppe", deadline=date(2026, 3, 1)),
        Measure(text="Lesegruppe", deadline=date(2026, 1, 1)),
    )
    assert [one.id for one in _read(RelayLog(measures=rows), others=hub).log.measures] == ["m2", "m1"]


def test_equal_rows_do_not_multiply() -> None:
    """Two rows that are equal in everything stay two elements however often they are read."""
    read = RelayLog(notes=(Note(text="likt"), Note(text="likt")))
    first = _read(read).log
    again = _read(read, others=first).log
    assert {note.id for note in again.notes} == {note.id for note in first.notes}


def test_a_row_whose_first_field_is_empty_is_found_only_as_a_whole() -> None:
    """An evaluation that says no measure joins the one that equals it in full, and nothing else."""
    hub = RelayLog(evaluations=(Evaluation(id="e1", text="Bra", part=Part.PPT), Evaluation(id="e2", text="Ikkje bra")))
    same = _read(RelayLog(evaluations=(Evaluation(text="Bra"),)), others=hub)
    assert same.log.evaluations[0].id == "e1"
    other = _read(RelayLog(evaluations=(Evaluation(text="Bra", attended=("x",)),)), others=hub)
    assert other.log.evaluations[0].id == "hub-1"


def test_an_empty_row_is_nobody() -> None:
    """Rows that say nothing are not the same."""
    hub = RelayLog(concerns=(Concern(id="c1"),))
    assert _read(RelayLog(concerns=(Concern(),)), others=hub).log.concerns[0].id == "hub-1"


@pytest.mark.parametrize("known", [{("notes", "k1"): "n1"}, {}])
def test_a_key_used_twice_loses_no_row(known: dict[Key, str]) -> None:
    """Two rows under one key are two elements; the key leads to the first."""
    read = RelayLog(notes=(Note(id="k1", text="ein"), Note(id="k1", text="to")))
    identified = _read(read, known)
    first, second = identified.log.notes
    assert first.id != second.id
    assert {**known, **identified.new_keys} == {("notes", "k1"): first.id}


def test_a_reference_that_leads_nowhere_is_left_out() -> None:
    """A row that refers to a key that the record does not have refers to nothing."""
    read = RelayLog(goals=(Goal(id="g1", text="Mål", concern="gone"),))
    identified = _read(read)
    assert identified.log.goals[0].concern == ""


def test_what_a_system_has_no_key_for_keeps_the_hubs_id() -> None:
    """A new element, and what refers to it, go out under the hub's id; a known one under the system's key."""
    log = RelayLog(concerns=(Concern(id="c1", text="Uro"),), goals=(Goal(id="g9", text="Mål", concern="c1"),))
    out = in_own_keys(log, {("goals", "k9"): "g9"})
    assert (out.concerns[0].id, out.goals[0].id, out.goals[0].concern) == ("c1", "k9", "c1")


def test_a_key_may_be_the_hubs_own_id() -> None:
    """A row that comes back under the id that the hub sent it with is that element, whatever its words are now."""
    log = RelayLog(concerns=(Concern(id="c1", text="Uro"),))
    back = RelayLog(concerns=(Concern(id="c1", text="Anna uro"),))
    identified = in_hub_ids(back, {}, log, "log", lambda: "new")
    assert identified.log.concerns[0].id == "c1"
    assert identified.new_keys == {("concerns", "c1"): "c1"}


def test_what_a_system_showed_before_is_known_again_by_its_own_words() -> None:
    """A row without a known key is what the system last showed in the same words, be they coarser than the log's."""
    log = RelayLog(meetings=(Meeting(id="m1", starts_at=datetime(2026, 11, 2, 8, 0, 30, tzinfo=UTC), place="Møterom"),))
    coarse = Meeting(id="m1", starts_at=datetime(2026, 11, 2, 8, 0, tzinfo=UTC))
    back = RelayLog(meetings=(coarse.model_copy(update={"id": "77"}),))
    identified = in_hub_ids(back, {}, log, "log", lambda: "new", RelayLog(meetings=(coarse,)))
    assert identified.log.meetings[0].id == "m1"
    assert identified.new_keys == {("meetings", "77"): "m1"}


def test_a_key_belongs_to_its_list() -> None:
    """The same key in two lists is two elements."""
    read = RelayLog(goals=(Goal(id="1", text="Mål"),), notes=(Note(id="1", text="Notat"),))
    known = {("goals", "1"): "g", ("notes", "1"): "n"}
    log = _read(read, known).log
    assert (log.goals[0].id, log.notes[0].id) == ("g", "n")
