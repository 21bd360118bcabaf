"""Admit: a record finds its log by what is certain, and asks a person where it is not."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from hub.relaylog.codes import LogStatus, SubjectKind
from hub.sandbox.case import Told
from hub.sandbox.children import Cast
from hub.sandbox.stories import (
    ordinary_health_station,
    ordinary_kindergarten,
    ordinary_school,
    pregnant_to_child,
    shared_level_2,
)
from hub.store.decisions import Who
from hub.store.tables import ProposalKind, ProposalState, element_keys, logs, proposals, quarantine, records
from hub.sync.admit import same_kind
from hub.sync.decide import Decisions
from tests.sync.house import SAMSPILL, VIGILO, House

Tree = dict[str, Any]


def _pull_both(house: House) -> None:
    house.pull(VIGILO)
    house.pull(SAMSPILL)


def _systems(house: House) -> list[list[str]]:
    """Give, for each log, which of the systems' records belong to it."""
    found: dict[str, list[str]] = {}
    for row in house.rows(records):
        found.setdefault(str(row.log_id), []).append(row.foreign_id)
    return sorted(sorted(ids) for ids in found.values())


def _matches(house: House) -> list[tuple[str, str]]:
    rows = house.rows(proposals, kind=ProposalKind.MATCH, state=ProposalState.OPEN)
    return sorted((row.connection.rpartition("/")[2], row.foreign_id) for row in rows)


def _close_vigilo(house: House) -> None:
    log = house.vigilo()
    log["status"] = "AVSLUTTA"
    log["avslutning"] = {"dato": "01.11.2026", "arsak": "MAL_NADD", "grunngjeving": "Nådd.", "avgjortAv": "FORESETT"}
    house.saved(log)


# --- which log ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(VIGILO, SAMSPILL), (SAMSPILL, VIGILO)])
def test_the_same_verified_national_id_joins(house: House, order: tuple[str, str]) -> None:
    """One child in two systems is one log with two sides, whichever system is read first."""
    house.tell(shared_level_2)
    for connection in order:
        house.pull(connection)
    assert _systems(house) == [["P-10001", "vl-000001"]]
    assert {side.connection for side in house.log_of("P-10001").sides} == {VIGILO, SAMSPILL}
    assert house.rows(proposals) == []


def test_what_was_copied_by_hand_stands_once(house: House) -> None:
    """Elements that both systems hold are one element with two keys; the others come beside them."""
    told = house.tell(shared_level_2)[0]
    _pull_both(house)
    texts = {m.text for case in (*told.vigilo, *told.samspill) for m in case.measures}
    log = house.log_of("vl-000001").log
    assert sorted(m.text for m in log.measures) == sorted(texts)
    keys = [row for row in house.rows(element_keys) if row.collection == "concerns"]
    common = {row.element_id for row in keys if row.connection == VIGILO} & {
        row.element_id for row in keys if row.connection == SAMSPILL
    }
    assert len(common) == 1


@pytest.mark.parametrize("unverified", [VIGILO, SAMSPILL])
def test_an_unverified_national_id_is_asked_about(house: House, unverified: str) -> None:
    """Where one system's ids do not come from the population register, the logs stay apart and a person is asked."""
    house.settle(unverified, verified_ids=False)
    house.tell(shared_level_2)
    _pull_both(house)
    assert _systems(house) == [["P-10001"], ["vl-000001"]]
    assert _matches(house) == [("samspill", "P-10001")]


def test_an_unknown_national_id_never_joins(house: House) -> None:
    """Two children without a number are two logs, and their likeness is no ground to ask."""
    house.tell(ordinary_health_station)
    twin = deepcopy(house.samspill())
    house.world.samspill["P-10002"] = {**twin, "planId": "P-10002"}
    for plan in house.world.samspill.values():
        plan["mainPerson"]["nationalId"] = None
    house.pull(SAMSPILL)
    assert _systems(house) == [["P-10001"], ["P-10002"]]
    assert house.rows(proposals) == []
    assert [row.subject_hash for row in house.rows(logs)] == [None, None]


def test_two_open_logs_of_one_child_in_one_system_are_asked_about(house: House) -> None:
    """They stay apart, each with its own record, and the second is proposed as a match."""
    house.tell(shared_level_2)
    house.world.vigilo["vl-000002"] = {**deepcopy(house.vigilo()), "id": "vl-000002"}
    house.pull(VIGILO)
    assert _systems(house) == [["vl-000001"], ["vl-000002"]]
    assert _matches(house) == [("vigilo", "vl-000002")]
    (asked,) = house.rows(proposals)
    assert asked.log_id == house.log_of("vl-000002").log_id
    assert asked.sealed_detail is None


def test_with_two_logs_to_choose_from_a_third_record_joins_neither(house: House) -> None:
    """Which of a child's two open logs another system's record belongs to is not the hub's to say."""
    house.tell(shared_level_2)
    house.world.vigilo["vl-000002"] = {**deepcopy(house.vigilo()), "id": "vl-000002"}
    _pull_both(house)
    assert len(_systems(house)) == 3
    assert _matches(house) == [("samspill", "P-10001"), ("vigilo", "vl-000002")]


def test_a_question_is_asked_once(house: House) -> None:
    """Reading again, also after the record changed, makes no second proposal."""
    house.settle(VIGILO, verified_ids=False)
    house.tell(shared_level_2)
    _pull_both(house)
    house.samspill()["step"] = "2.2"
    house.saved(house.samspill())
    _pull_both(house)
    assert len(house.rows(proposals)) == 1
    assert len(house.rows(logs)) == 2


def test_a_closed_log_is_not_joined(house: House) -> None:
    """A log that ended is another matter than the one that another system has open now, and nobody need be asked."""
    house.tell(shared_level_2)
    _close_vigilo(house)
    _pull_both(house)
    assert _systems(house) == [["P-10001"], ["vl-000001"]]
    assert _matches(house) == []
    assert sorted(row.status for row in house.rows(logs)) == ["active", "closed"]


def test_a_closed_record_is_not_joined_to_an_open_log(house: House) -> None:
    """The other way round a person is asked: the open log may be the one that was closed there."""
    house.tell(shared_level_2)
    _close_vigilo(house)
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    assert _systems(house) == [["P-10001"], ["vl-000001"]]
    assert _matches(house) == [("vigilo", "vl-000001")]


def test_a_log_that_closes_stays_one_log(house: House) -> None:
    """Once joined, closing in one system closes the log of both; nothing splits."""
    house.tell(shared_level_2)
    _pull_both(house)
    _close_vigilo(house)
    house.pull(VIGILO)
    assert _systems(house) == [["P-10001", "vl-000001"]]
    assert house.log_of("P-10001").log.status is LogStatus.CLOSED


def test_after_a_closed_log_a_new_one_begins(house: House) -> None:
    """A child whose log was closed can get another, in the same system."""
    house.tell(shared_level_2)
    house.world.vigilo["vl-000002"] = {**deepcopy(house.vigilo()), "id": "vl-000002"}
    _close_vigilo(house)
    _pull_both(house)
    assert _systems(house) == [["P-10001", "vl-000002"], ["vl-000001"]]
    assert _matches(house) == []


def _her_own_school_log(cast: Cast) -> Told:
    """The pregnant mother of the story before is herself a pupil."""
    return Told(vigilo=ordinary_school(cast).vigilo)


def test_a_mothers_log_is_not_her_own_as_a_pupil(house: House) -> None:
    """The same national id with another kind of subject is asked about and not joined."""
    told = house.tell(pregnant_to_child, _her_own_school_log)
    mother, pupil = told[0].samspill[0], told[1].vigilo[0]
    house.samspill(1)["state"] = "aktiv"
    house.samspill(1)["closing"] = None
    for person in house.world.persons.values():
        if person["nationalIdresourceNumber"] == pupil.subject.national_id:
            person["nationalIdresourceNumber"] = mother.subject.national_id
    house.pull(SAMSPILL)
    house.pull(VIGILO)
    assert ["vl-000001"] in _systems(house)
    assert _matches(house) == [("vigilo", "vl-000001")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (SubjectKind.CHILD, SubjectKind.CHILD, True),
        (SubjectKind.CHILD, SubjectKind.YOUTH, True),
        (SubjectKind.PREGNANT, SubjectKind.PREGNANT, True),
        (SubjectKind.YOUTH, SubjectKind.PREGNANT, False),
        (SubjectKind.CHILD, SubjectKind.FAMILY, False),
        (SubjectKind.CHILD, SubjectKind.UNKNOWN, False),
    ],
)
def test_a_child_may_have_become_a_youth(one: SubjectKind, other: SubjectKind, *, same: bool) -> None:
    """Systems may differ in when a child is a youth; any other difference is another matter."""
    assert same_kind(one, other) is same
    assert same_kind(other, one) is same


# --- a person who is known later ---------------------------------------------------------------------------------


def _late_number(house: House) -> str:
    """A plan is listed without its child's number, and then saved with it; give the number."""
    house.tell(shared_level_2)
    child = house.samspill()["mainPerson"]
    number, child["nationalId"] = child["nationalId"], ""
    house.sync()
    assert _matches(house) == []
    house.time.after(hours=2)
    child["nationalId"] = number
    house.saved(house.samspill())
    house.sync()
    return str(number)


def test_a_person_who_becomes_known_is_asked_about(house: House) -> None:
    """What has stood apart is not joined by itself; asked once, it is joined when somebody says so."""
    _late_number(house)
    house.time.after(days=1)
    house.sync()
    assert _systems(house) == [["P-10001"], ["vl-000001"]]
    assert _matches(house) == [("samspill", "P-10001")]
    (row,) = house.rows(proposals)
    Decisions(house.tenant).accept(row.proposal_id, Who("user-1", "Samme barn."))
    assert _systems(house) == [["P-10001", "vl-000001"]]
    house.sync()
    assert set(house.received()) == {"P-10001", "vl-000001"}
    assert [rule for _, rule in house.holds() if rule == "no_record_at_receiver"] == []


def test_two_logs_that_get_the_same_number_at_once_are_asked_about_once(house: House) -> None:
    """They are read in one page, and the question is the same from either of them."""
    house.tell(ordinary_health_station)
    child = house.samspill()["mainPerson"]
    number, child["nationalId"] = child["nationalId"], ""
    house.world.samspill["P-10002"] = {**deepcopy(house.samspill()), "planId": "P-10002"}
    house.pull(SAMSPILL)
    house.time.after(hours=2)
    for plan in house.world.samspill.values():
        plan["mainPerson"]["nationalId"] = number
        house.saved(plan)
    house.pull(SAMSPILL)
    (row,) = house.rows(proposals)
    assert {row.log_id, row.element_id} == {house.log_of(each).log_id for each in ("P-10001", "P-10002")}


def test_a_refused_pair_is_not_asked_about_again(house: House) -> None:
    """Neither when the number goes and comes again, nor from the other log of the two."""
    number = _late_number(house)
    (row,) = house.rows(proposals)
    Decisions(house.tenant).refuse(row.proposal_id, Who("user-1", "To ulike barn."))
    for said in ("", number):
        house.time.after(hours=2)
        house.samspill()["mainPerson"]["nationalId"] = said
        house.saved(house.samspill())
        house.sync()
    people = [one for one in house.world.persons.values() if one["nationalIdresourceNumber"] == number]
    for said in ("", number):
        house.time.after(hours=2)
        for person in people:
            person["nationalIdresourceNumber"] = said
        house.saved(house.vigilo())
        house.sync()
    assert [each.state for each in house.rows(proposals)] == [ProposalState.REFUSED]


def test_a_log_that_goes_on_is_asked_about(house: House) -> None:
    """Closed, it was no log to join; open again, it may be one with the log that was made meanwhile."""
    house.tell(shared_level_2)
    log = house.vigilo()
    before = {name: deepcopy(log[name]) for name in ("status", "avslutning")}
    _close_vigilo(house)
    _pull_both(house)
    assert _matches(house) == []
    house.time.after(hours=2)
    log.update(before)
    house.saved(log)
    house.pull(VIGILO)
    assert house.log_of("vl-000001").log.status is LogStatus.ACTIVE
    assert _matches(house) == [("vigilo", "vl-000001")]


def test_of_several_logs_each_is_asked_about(house: House) -> None:
    """An answer is for the log that it names, and when it is given, the other questions about what is gone go too."""
    house.tell(shared_level_2)
    house.world.vigilo["vl-000002"] = {**deepcopy(house.vigilo()), "id": "vl-000002"}
    child = house.samspill()["mainPerson"]
    number, child["nationalId"] = child["nationalId"], ""
    house.sync()
    house.time.after(hours=2)
    child["nationalId"] = number
    house.saved(house.samspill())
    house.sync()
    asked = house.rows(proposals, foreign_id="P-10001")
    assert {row.element_id for row in asked} == {house.log_of(each).log_id for each in ("vl-000001", "vl-000002")}
    chosen = next(row for row in asked if row.element_id == house.log_of("vl-000002").log_id)
    Decisions(house.tenant).accept(chosen.proposal_id, Who("user-1", "Samme barn."))
    assert _systems(house) == [["P-10001", "vl-000002"], ["vl-000001"]]
    assert sorted(row.state for row in house.rows(proposals, foreign_id="P-10001")) == ["accepted", "gone"]


# --- what becomes of the log -------------------------------------------------------------------------------------


def test_a_national_id_is_no_id_of_a_record_or_element(house: House) -> None:
    """Ids lie in clear: a record or element that is known by somebody's national id is not taken in under it."""
    house.tell(ordinary_kindergarten, ordinary_kindergarten)
    number = house.vigilo(1)["foresette"][0]["fodselsnummer"]
    house.vigilo(1)["tiltak"][0]["id"] = number
    other = house.world.vigilo.pop("vl-000002")
    house.world.vigilo[number] = {**other, "id": number}
    house.pull(VIGILO)
    assert sorted((row.reason, row.place) for row in house.rows(quarantine)) == [
        ("national_id_as_id", "/"),
        ("national_id_as_key", "measures[]"),
    ]
    assert house.rows(records) == []
    assert not [row for row in house.rows(quarantine) if number in row.foreign_id]


def test_an_edit_in_either_system_is_in_the_log(house: House) -> None:
    """A change of one system's own text stands in the log after the next pull."""
    house.tell(shared_level_2)
    _pull_both(house)
    house.vigilo()["notat"][0]["tekst"] = "Solskinn song på samlinga."
    house.saved(house.vigilo())
    house.samspill()["notes"][0]["text"] = "Hørselen er bedre."
    house.saved(house.samspill())
    _pull_both(house)
    texts = {note.text for note in house.log_of("vl-000001").log.notes}
    assert {"Solskinn song på samlinga.", "Hørselen er bedre."} <= texts


def test_only_a_change_makes_a_new_version(house: House) -> None:
    """Reading the same again leaves the log's version alone, so that it is not routed again."""
    house.tell(shared_level_2)
    _pull_both(house)
    before = [(row.version, row.content_hash) for row in house.rows(logs)]
    _pull_both(house)
    assert [(row.version, row.content_hash) for row in house.rows(logs)] == before


def test_an_element_that_vanishes_from_one_system_is_asked_about(house: House) -> None:
    """Once exchanged, an element that is gone in one system stays in the log, and its removal is proposed there."""
    house.tell(shared_level_2)
    house.sync()
    removed = house.samspill()["agreements"].pop()
    house.saved(house.samspill())
    house.pull(SAMSPILL)
    assert removed["text"] in {agreement.text for agreement in house.log_of("P-10001").log.agreements}
    (asked,) = house.rows(proposals, kind=ProposalKind.DELETION)
    assert (asked.connection, asked.collection) == (SAMSPILL, "agreements")
