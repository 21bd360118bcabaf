"""The synthetic municipality: the same from the same seed, every story told, nobody real."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from hub.relaylog.nationalid import parse
from hub.sandbox.case import Json
from hub.sandbox.checks import Checks
from hub.sandbox.edits import SAMSPILL_WORDS, VIGILO_WORDS, Editor
from hub.sandbox.filesystems import FILE_SYSTEMS
from hub.sandbox.municipality import MUNICIPALITY_ORGNR, UNITS
from hub.sandbox.samspill_shape import CHECKS as SAMSPILL_CHECKS
from hub.sandbox.stories import ALL_STORIES, FILE_STORIES
from hub.sandbox.texts import CHILD_VOICE_TEXTS, PRIVATE_TEXTS
from hub.sandbox.vigilo_shape import CHECKS as VIGILO_CHECKS
from hub.sandbox.world import World, make_world

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def large() -> World:
    """Two hundred children, only read."""
    return make_world(200, 1, today=TODAY)


def _log(world: World, story: str) -> Json:
    return world.vigilo[world.told(story)[0].vigilo[0]]


def _plan(world: World, story: str, place: int = 0) -> Json:
    return world.samspill[world.told(story)[0].samspill[place]]


def test_same_arguments_give_equal_worlds() -> None:
    """A world is a function of children, seed and day, and another seed gives another world."""
    assert make_world(20, 7, today=TODAY) == make_world(20, 7, today=TODAY)
    assert make_world(20, 7, today=TODAY) != make_world(20, 8, today=TODAY)


def test_every_story_is_told_with_twenty_children() -> None:
    """Twenty children are enough for each story to be told once."""
    world = make_world(20, 3, today=TODAY)
    assert {len(world.told(story.__name__)) for story in ALL_STORIES} == {1}


def test_every_story_is_told_with_thirty_one_children() -> None:
    """Those of the systems that exchange files come after the others, each once."""
    world = make_world(31, 3, today=TODAY)
    assert {len(world.told(story.__name__)) for story in (*ALL_STORIES, *FILE_STORIES)} == {1}


def test_every_story_is_told_several_times_with_two_hundred(large: World) -> None:
    """At two hundred children each story is told several times, a third live in both systems, most are ordinary."""
    assert min(len(large.told(story.__name__)) for story in (*ALL_STORIES, *FILE_STORIES)) >= 3
    children = [tale for tale in large.tales if tale.story != "broken"]
    assert len(children) == 200
    assert 67 <= sum(bool(tale.vigilo and tale.samspill) for tale in children) <= 90
    assert sum(tale.story.startswith(("ordinary", "shared_level")) for tale in children) >= 110


def test_every_system_that_exchanges_files_knows_some_of_the_children(large: World) -> None:
    """Each has at least three records, all but the broken ones of children that a story is told of, one record each."""
    for system in FILE_SYSTEMS:
        held = {key for key, record in large.files.items() if record["system"] == system and record["record"]}
        told = [key for tale in large.tales for key in tale.files if key.startswith(f"{system}/")]
        assert len(told) >= 3
        assert sorted(told) == sorted(held)


def test_all_national_ids_are_synthetic_and_unique_per_child(large: World) -> None:
    """No number in the world could be a living person's, and no two children share one."""
    numbers = [person["nationalIdresourceNumber"] for person in large.persons.values()]
    for log in large.vigilo.values():
        numbers += [guardian["fodselsnummer"] for guardian in log["foresette"]]
    for plan in large.samspill.values():
        people = [*plan["family"], *([plan["mainPerson"]] if "mainPerson" in plan else [])]
        numbers += [person["nationalId"] for person in people]
    assert all(parse(number).synthetic for number in numbers)
    children = [tale.national_id for tale in large.tales if tale.story != "broken"]
    assert len(set(children)) == len(children)


def test_records_keep_their_own_rules_except_the_broken_ones(large: World) -> None:
    """Every record has known codes and real dates, except one broken record in each system; another has no child."""
    odd_logs = {key for key, log in large.vigilo.items() if "barn" not in log or VIGILO_CHECKS.problems(log)}
    odd_plans = {
        key for key, plan in large.samspill.items() if "mainPerson" not in plan or SAMSPILL_CHECKS.problems(plan)
    }
    broken = large.told("broken")
    assert odd_logs == {key for tale in broken for key in tale.vigilo}
    assert odd_plans == {key for tale in broken for key in tale.samspill}
    assert (len(odd_logs), len(odd_plans)) == (2, 2)


def test_a_shared_child_has_the_same_number_on_both_sides(large: World) -> None:
    """The person behind the log and the plan's main person carry one national id, by which the hub can match."""
    for tale in large.tales:
        if tale.vigilo and tale.samspill and tale.story != "broken":
            person = large.persons[large.vigilo[tale.vigilo[0]]["barn"]["personId"]]
            assert person["nationalIdresourceNumber"] == large.samspill[tale.samspill[0]]["mainPerson"]["nationalId"]


def test_shared_records_have_something_equal_and_something_own(large: World) -> None:
    """A shared child's first measure stands in both records, and each side has measures that the other lacks."""
    for tale in large.told("shared_level_2"):
        log, plan = large.vigilo[tale.vigilo[0]], large.samspill[tale.samspill[0]]
        ours = {measure["skildring"] for measure in log["tiltak"]}
        theirs = {activity["text"] for activity in plan["activities"]}
        assert (bool(ours & theirs), bool(ours - theirs), bool(theirs - ours)) == (True, True, True)


def test_ordinary_shared_consents_are_equal_and_open_both_ways(large: World) -> None:
    """Both records hold the same given consents: to the unit's service, the health station and the family."""
    log, plan = _log(large, "shared_level_2"), _plan(large, "shared_level_2")
    assert [consent["mottakar"] for consent in log["samtykke"]] == ["BARNEHAGE", "HELSESTASJON", "FAMILIE"]
    assert [consent["toService"] for consent in plan["consents"]] == ["barnehage", "helsestasjon", "familie"]
    assert {consent["status"] for consent in log["samtykke"]} == {"GITT"}
    assert {"PEDAGOGISK", "HELSE"} <= set(log["samtykke"][0]["omfang"])


def test_texts_that_never_flow_are_in_every_shared_child(large: World) -> None:
    """A shared child has own, others' and child welfare's notes, and most consents leave out the child's voice."""
    for tale in large.told("shared_level_3"):
        notes = large.samspill[tale.samspill[0]]["notes"]
        assert {"om_andre", "egen", "barnevern"} <= {note["part"] for note in notes if note["text"] in PRIVATE_TEXTS}
        talks = large.vigilo[tale.vigilo[0]]["samtalar"]
        assert talks
        assert {talk["tekst"] for talk in talks} <= CHILD_VOICE_TEXTS
    named = [
        "BARNETS_RØYST" in log["samtykke"][0]["omfang"] for log in large.vigilo.values() if len(log["samtykke"]) == 3
    ]
    assert 0 < sum(named) < len(named) / 2


def test_the_conflict_is_a_real_one(large: World) -> None:
    """The same measure of PPT has one deadline in Vigilo and another in Samspill, and neither system is PPT's own."""
    measure, activity = _log(large, "shared_conflict")["tiltak"][-1], _plan(large, "shared_conflict")["activities"][-1]
    assert measure["skildring"] == activity["text"]
    assert (measure["ansvarleg"]["teneste"], activity["responsible"]["service"]) == ("PPT", "ppt")
    assert "-".join(reversed(measure["frist"].split("."))) != activity["dueOn"]


def test_a_baton_moves_when_it_is_accepted_and_not_before(large: World) -> None:
    """After an accepted offer the taker holds the log; while the offer waits the giver does."""
    accepted, offered = _log(large, "baton_accepted"), _log(large, "baton_offered")
    assert accepted["stafetthaldar"]["namn"] == accepted["stafettpinne"][0]["til"]["namn"]
    assert offered["stafetthaldar"]["namn"] == offered["stafettpinne"][0]["fra"]["namn"]
    assert (accepted["stafettpinne"][0]["svar"], offered["stafettpinne"][0]["svar"]) == ("AKSEPTERT", "TILBODE")


def test_handovers_follow_the_child(large: World) -> None:
    """The log passes from health station to kindergarten to school, and from the mother's log to the child's own."""
    chain = _plan(large, "health_station_to_kindergarten_to_school")["handovers"]
    assert [step["to"]["service"] for step in chain] == ["barnehage", "skole"]
    mother, child = _plan(large, "pregnant_to_child"), _plan(large, "pregnant_to_child", 1)
    assert (mother["mainPerson"]["kind"], mother["state"], child["state"]) == ("gravid", "avsluttet", "aktiv")
    assert mother["mainPerson"]["dueDate"] == child["mainPerson"]["birthDate"] == mother["closing"]["on"]
    assert _plan(large, "refugee_service_to_school")["handovers"][0]["from"]["service"] == "nav_flyktning"


def test_closed_logs_say_why(large: World) -> None:
    """Goal reached, moved away, individual plan and withdrawn consent each close with their own reason."""
    assert _log(large, "kindergarten_goal_reached")["avslutning"]["arsak"] == "MAL_NADD"
    assert _log(large, "moved_away")["avslutning"]["arsak"] == "FLYTTA"
    assert _plan(large, "individual_plan")["closing"]["reason"] == "individuell_plan"
    again = [large.vigilo[tale.vigilo[0]] for tale in large.told("consent_withdrawn") if not tale.samspill]
    assert {log["avslutning"]["arsak"] for log in again} == {"SAMTYKKE_TREKT"}


def test_consent_stories_differ_where_it_matters(large: World) -> None:
    """Withdrawn, missing, signed by the youth, signed by both parents, signed by one: each stands in the record."""
    withdrawn = next(tale for tale in large.told("consent_withdrawn") if tale.samspill)
    assert {c["status"] for c in large.vigilo[withdrawn.vigilo[0]]["samtykke"]} == {"TREKT"}
    assert {c["state"] for c in large.samspill[withdrawn.samspill[0]]["consents"]} == {"gitt"}
    assert [c["toService"] for c in _plan(large, "reader_without_consent")["consents"]] == ["barnehage"]
    assert "UNGDOM" in {s["rolle"] for s in _log(large, "youth_of_16")["samtykke"][0]["gittAv"]}
    both, one = _log(large, "shared_residence_both_signed"), _log(large, "shared_residence_one_signed")
    assert {g["bustad"] for g in (*both["foresette"], *one["foresette"])} == {"DELT"}
    assert (len(both["samtykke"][0]["gittAv"]), both["samtykke"][0]["status"]) == (2, "GITT")
    assert (len(one["samtykke"][0]["gittAv"]), one["samtykke"][0]["status"]) == (1, "VENTAR")


def test_restrictive_facts_stand_in_the_records(large: World) -> None:
    """Barred guardian, both grades of protected address, and violence are told where a system would know them."""
    assert [g["utestengd"] for g in _log(large, "barred_guardian")["foresette"]] == [False, True]
    assert _log(large, "protected_confidential")["barn"]["adressevern"] == "FORTROLEG"
    assert _plan(large, "protected_strict")["mainPerson"]["addressProtection"] == "strengt_fortrolig"
    assert _log(large, "violence")["vald"] is True


def test_a_saved_world_is_the_same_world(tmp_path: Path) -> None:
    """What is saved and loaded is equal, numbering included, and saving leaves no draft behind."""
    world = make_world(20, 1, today=TODAY)
    world.accept("vigilo", "vl-000001", {"niva": 2}, "k1", NOW)
    world.next_number()
    world.save(tmp_path / "world.json")
    assert World.load(tmp_path / "world.json") == world
    assert [path.name for path in tmp_path.iterdir()] == ["world.json"]


def test_organisation_numbers_are_made_up_and_well_formed() -> None:
    """Every organisation number stands in the unused 900001 series, passes mod 11, and occurs once."""
    numbers = [MUNICIPALITY_ORGNR, *(unit.orgnr for unit in UNITS)]
    for number in numbers:
        assert number.startswith("900001")
        assert sum(int(d) * w for d, w in zip(number, (3, 2, 7, 6, 5, 4, 3, 2, 1), strict=True)) % 11 == 0
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("seed", range(5))
def test_both_systems_never_edit_the_same_measure(seed: int) -> None:
    """Whatever both systems' users edit, no measure that stands in both records is changed on both sides."""
    world, before = make_world(60, seed, today=TODAY), make_world(60, seed, today=TODAY)
    Editor(VIGILO_WORDS, seed, NOW, world.next_number).edit(world.vigilo, 500)
    Editor(SAMSPILL_WORDS, seed, NOW, world.next_number).edit(world.samspill, 500)
    for tale in world.tales:
        ours = _changed([(before.vigilo[i], world.vigilo[i]) for i in tale.vigilo], "tiltak", "skildring")
        theirs = _changed([(before.samspill[i], world.samspill[i]) for i in tale.samspill], "activities", "text")
        assert not ours & theirs


def _changed(pairs: list[tuple[Json, Json]], name: str, text: str) -> set[str]:
    return {
        new[text] for before, after in pairs for old, new in zip(before[name], after[name], strict=True) if old != new
    }


def _edit(world: World, seed: int) -> list[str]:
    return Editor(VIGILO_WORDS, seed, NOW, world.next_number).edit(world.vigilo, 5)


def test_edits_keep_the_records_lawful() -> None:
    """After many edits every record still has known codes and real dates, a higher version and a later change."""
    world, before = make_world(20, 1, today=TODAY), make_world(20, 1, today=TODAY)
    edited = {record_id for seed in range(20) for record_id in _edit(world, seed)}
    broken = {record_id for tale in world.told("broken") for record_id in tale.vigilo}
    for record_id in edited - broken:
        assert not VIGILO_CHECKS.problems(world.vigilo[record_id])
        assert world.vigilo[record_id]["versjon"] > before.vigilo[record_id]["versjon"]
        assert world.vigilo[record_id]["modifiedTime"] == "2026-11-21T09:00:00Z"


@pytest.mark.parametrize(
    ("checks", "record", "place"),
    [
        (VIGILO_CHECKS, {"oppretta": "31.02.2026"}, "oppretta"),
        (VIGILO_CHECKS, {"tiltak": [{"status": "FERDIG"}]}, "tiltak.status"),
        (SAMSPILL_CHECKS, {"createdOn": "14.03.2026"}, "createdOn"),
        (SAMSPILL_CHECKS, {"consents": [{"scope": ["alt"]}]}, "consents.scope"),
    ],
)
def test_problems_name_the_place_and_never_the_value(checks: Checks, record: Json, place: str) -> None:
    """An impossible date or unknown code is found by its place, and its value is not repeated."""
    problems = checks.problems(record)
    assert [problem.place for problem in problems] == [place]
    assert problems[0].message in {"not a date", "unknown code"}


def test_a_journal_line_is_all_that_an_accepted_change_writes(tmp_path: Path) -> None:
    """Touched entries and new writes are found again after a restart; a line cut off at the end counts for nothing."""
    world = make_world(20, 3, today=TODAY)
    world.keep_at = tmp_path / "world.json"
    world.keep()
    whole = world.keep_at.read_bytes()
    record_id = next(iter(world.vigilo))
    world.vigilo[record_id]["versjon"] = 77
    world.accept("vigilo", record_id, {"niva": 2}, "key", datetime(2026, 11, 21, tzinfo=UTC))
    world.keep(("vigilo", record_id))
    assert world.keep_at.read_bytes() == whole
    with (tmp_path / "world.changes").open("a") as journal:
        journal.write("[1, 2, [")
    assert World.load(world.keep_at) == world
    world.keep()
    assert World.load(world.keep_at) == world
