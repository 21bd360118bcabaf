"""Shared code lists: read, dated, one-to-one, with words in place of codes, and a municipality's own."""

from datetime import date
from pathlib import Path

import pytest

from hub.mappings import codelists, mappings_of
from hub.mappings.language import CodeList, Tree, load_mapping, read_codelist
from hub.payloads.yamlfile import FileError
from hub.relaylog.codes import GoalStatus, Service
from hub.relaylog.model import Goal, RelayLog
from tests.mappings.small import HEAD, load

STATES = """list: malstatus
version: 1
valid_from: 2026-01-01
codes:
  A: {is: ongoing, nb: I arbeid, nn: I arbeid no}
  N: {is: reached, nb: Nådd, nn: Nådd no}
  E: {is: changed, nb: Endret, nn: Endra}
write_as: {ended: N}
"""
NEWER = """list: malstatus
version: 2
valid_from: 2026-07-01
codes: {A: ongoing, M: reached, E: changed, S: ended}
"""
GOALS = "  goals[]: {each: /g, key: /id, fields: {status: {at: /s, codes: list:malstatus%s}}}"


def lists(*texts: str) -> tuple[CodeList, ...]:
    """Read lists, each from a file of its own."""
    return tuple(read_codelist(text, f"list{number}.yaml") for number, text in enumerate(texts))


def goal(code: str) -> Tree:
    """A record with one goal of this state."""
    return {"g": [{"id": "1", "s": code}]}


def test_a_shared_list_is_used_like_a_mappings_own() -> None:
    """Its codes, `write_as` and `keep` count, and the rule's own keys are put over them."""
    mapping = load(GOALS % "", lists=lists(STATES))
    assert mapping.read(goal("N")).goals[0].status is GoalStatus.REACHED
    assert mapping.write(goal("A"), RelayLog(goals=(Goal(id="1", status=GoalStatus.ENDED),))) == goal("N")
    kept = load(GOALS % ", write_as: {ended: E}", lists=lists(STATES))
    assert kept.write(goal("A"), RelayLog(goals=(Goal(id="1", status=GoalStatus.ENDED),))) == goal("E")
    assert [source.file for source in mapping.made_of] == ["test.yaml", "list0.yaml"]


@pytest.mark.parametrize(
    ("on", "reached", "ended"),
    [(date(2026, 6, 30), "N", "N"), (date(2026, 7, 1), "M", "S"), (None, "M", "S")],
)
def test_the_list_that_holds_on_the_day_is_written(on: date | None, reached: str, ended: str) -> None:
    """Codes change on their date; earlier codes are still read."""
    text = HEAD + "fields:\n" + GOALS % ""
    mapping = load_mapping(text, "test.yaml", lists=lists(NEWER, STATES), on=on)
    for status, code in ((GoalStatus.REACHED, reached), (GoalStatus.ENDED, ended)):
        assert mapping.write(goal("A"), RelayLog(goals=(Goal(id="1", status=status),))) == goal(code)
    assert mapping.read(goal("N")).goals[0].status is GoalStatus.REACHED


def test_a_list_that_does_not_hold_yet_is_not_known() -> None:
    """Before its first day a list isn't there."""
    with pytest.raises(FileError, match="'list:malstatus' is not known as a shared code list"):
        load_mapping(HEAD + "fields:\n" + GOALS % "", "test.yaml", lists=lists(STATES), on=date(2025, 12, 31))


def test_a_form_may_write_the_lists_words() -> None:
    """`words: nn` writes nynorsk and reads both languages and the codes."""
    mapping = load(GOALS % ", words: nn", lists=lists(STATES))
    for said in ("Nådd no", "nådd", "N"):
        assert mapping.read(goal(said)).goals[0].status is GoalStatus.REACHED
        assert mapping.write(goal(said), mapping.read(goal(said))) == goal(said)
    written = [mapping.write(goal(""), RelayLog(goals=(Goal(id="1", status=one),))) for one in ("changed", "ended")]
    assert written == [goal("Endra"), goal("Nådd no")]


@pytest.mark.parametrize(
    ("change", "place", "problem", "remedy"),
    [
        (("is: reached", "is: ongoing"), "list0.yaml:6:11", "'ongoing' stands for both 'A'", "read_as: {N: ongoing}"),
        (("nb: Nådd", "nb: I arbeid"), "list0.yaml:6:24", "'I arbeid' stands for both", "read_as"),
        (("version: 1", "version: en"), "list0.yaml:2:10", "no whole number", "from 1"),
        (("2026-01-01", "1.1.2026"), "list0.yaml:3:13", "no date", "yyyy-mm-dd"),
        (("list: malstatus\n", ""), "list0.yaml:1:1", "the code list has no 'list'", "Add 'list:'"),
        (("write_as", "wrote_as"), "list0.yaml:8:1", "'wrote_as' is not known", "'write_as'"),
        (("nn: Endra", "en: Endra"), "list0.yaml:7:32", "'en' is not known in a code", "is, nb, nn"),
    ],
)  # fmt: skip
def test_a_slip_in_a_list_is_shown_where_it_stands(
    change: tuple[str, str], place: str, problem: str, remedy: str
) -> None:
    """A list is one-to-one in its codes and in its words, and errors name its file."""
    with pytest.raises(FileError) as caught:
        lists(STATES.replace(*change))
    assert str(caught.value.mark) == place
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("texts", "rule", "place", "problem"),
    [
        ((STATES, STATES), "", "list1.yaml:1:1", "two lists 'malstatus' hold from the same day"),
        ((NEWER,), ", words: nn", "list0.yaml:4:9", "'A' has no word in nn"),
        ((STATES.replace("is: changed", "is: chnged"),), "", "list0.yaml:7:11", "'chnged' is not known"),
        ((STATES.replace("write_as: {ended: N}\n", ""),), "", "list0.yaml:5:3", "nothing says how to write ended"),
        ((), "", "test.yaml:8:66", "'list:malstatus' is not known"),
    ],
)
def test_a_list_that_does_not_fit_its_rule_is_shown(
    texts: tuple[str, ...], rule: str, place: str, problem: str
) -> None:
    """What a rule makes of a list is checked when the mapping is loaded."""
    with pytest.raises(FileError) as caught:
        load(GOALS % rule, lists=lists(*texts))
    assert str(caught.value.mark) == place
    assert problem in caught.value.problem


def test_a_municipalitys_list_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    """A list in the municipality's `codelists/` is used by every mapping that names it, dated or not."""
    (tmp_path / "codelists").mkdir()
    shipped = next(one for one in codelists(None) if one.name == "tjeneste")
    text = shipped.texts[0].text.replace("  barnevern:", "  bv:")
    (tmp_path / "codelists" / "tjeneste.yaml").write_text(text, encoding="utf-8")
    plan: Tree = {
        "planId": "1",
        "mainPerson": {"name": "Solskinn Testbarn"},
        "planLead": {"name": "x", "service": "bv"},
    }
    before, after = mappings_of(None)["samspill/stafettlogg"], mappings_of(tmp_path)["samspill/stafettlogg"]
    found = [mapping.read(plan).holder for mapping in (before, after)]
    assert [holder and holder.service for holder in found] == [Service.UNKNOWN, Service.CHILD_WELFARE]
