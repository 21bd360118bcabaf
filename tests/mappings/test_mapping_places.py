"""Where things stand: conditions, lists within lists, orphans, keys of several places, fixed places, payloads."""

import pytest

from hub.mappings.language import Mapping, MappingError, Tree, Unclaimed, claiming, load_mapping
from hub.payloads.registry import payload
from hub.relaylog.codes import NoteKind, Relation, Service
from hub.relaylog.model import Evaluation, Goal, Guardian, Measure, Meeting, Note, RelayLog
from tests.mappings.small import HEAD, load, rows, written

XML = "{kind: xml, namespaces: {m: 'http://example.no/mal', '': 'http://example.no/logg'}}"


def claimer(when: str, kind: str = "json", place: str = "/s") -> Mapping:
    """A mapping that claims by these conditions."""
    head = HEAD.replace("{/kind: T}", when).replace("payload: json", f"payload: {kind}")
    return load_mapping(head + f"fields: {{step: {place}}}\n", "test.yaml")


@pytest.mark.parametrize(
    ("when", "record", "claimed"),
    [
        ("{/a: X, /b/c: 2}", {"a": "X", "b": {"c": 2}}, True),
        ("{/a: X, /b/c: 2}", {"a": "X"}, False),
        ("{/a: {in: [X, Y]}}", {"a": "Y"}, True),
        ("{/a: {in: [X, Y]}}", {"a": "Z"}, False),
        ("{/a: {not: X}}", {"a": "Y"}, True),
        ("{/a: {not: X}}", {}, True),
        ("{/a: {not: [X, Y]}}", {"a": "Y"}, False),
        ("{has: [/a, /b]}", {"a": 0, "b": [1]}, True),
        ("{has: [/a, /b]}", {"a": "x", "b": []}, False),
        ("{has: [/a/0/b]}", {"a": [{"b": "x"}]}, True),
        ("{form: 1f2e}", {"form": "1f2e"}, True),
        ("{form: 1f2e}", {"form": "other"}, False),
        ("{form: ['Namn på barnet:', Tiltak]}", {"pairs": {"namn på barnet": None}, "tables": {"tiltak": []}}, True),
        ("{form: [Namn på barnet, Tiltak]}", {"pairs": {"namn på barnet": "x"}, "form": "Tiltak"}, False),
    ],
)
def test_conditions_come_from_a_small_set_and_all_must_hold(when: str, record: Tree, claimed: bool) -> None:
    """A word, one of several, not one, something at all, a form's fingerprint or its labels."""
    assert claimer(when).claims(record) is claimed


@pytest.mark.parametrize(
    ("root", "name"),
    [("'{http://example.no/mal}Logg'", "m:Logg"), ("'{http://example.no/logg}Logg'", "Logg"), ("Logg", "Logg")],
)
def test_xml_is_claimed_by_its_root(root: str, name: str) -> None:
    """The root is named by its namespace, whatever prefix the document uses."""
    mapping = claimer(f"{{root: {root}}}", XML, f"/{name}/s")
    assert mapping.claims({name: {"a": "1"}})
    assert not mapping.claims({"x:Logg": {"a": "1"}})


def test_exactly_one_mapping_must_claim_a_record() -> None:
    """None, or two, is an error that names the mappings and nothing of the record."""
    one, two = claimer("{/a: X}"), claimer("{has: [/a]}")
    assert claiming([one, two], {"a": "Y"}) is two
    records: list[Tree] = [{"a": "X"}, {"b": "HEMMELEG"}]
    for record, found in zip(records, (("test/language", "test/language"), ()), strict=True):
        with pytest.raises(Unclaimed, match="exactly one") as caught:
            claiming([one, two], record)
        assert caught.value.claimed_by == found
        assert "HEMMELEG" not in str(caught.value)


def test_rows_are_told_apart_by_conditions_and_new_rows_meet_them() -> None:
    """`in` writes its first word on a new row; a row that can't meet `not` or `has` goes to the next list."""
    mapping = load(
        "  notes[]:\n"
        "    - {each: /h, key: /id, set: {kind: bright_spot}, where: {/type: {in: [LYS, GLIMT]}}, fields: {text: /t}}\n"
        "    - {each: /h, key: /id, where: {/type: {not: [LYS, GLIMT]}, has: [/t]}, fields: {text: /t, author: /a}}\n"
    )
    record: Tree = {"h": [{"id": "1", "type": "GLIMT", "t": "a"}, {"id": "2", "t": "b"}, {"id": "3", "type": "NOTAT"}]}
    log = mapping.read(record)
    assert [(note.id, note.kind) for note in log.notes] == [("1", NoteKind.BRIGHT_SPOT), ("2", NoteKind.NOTE)]
    assert mapping.write(record, log) == record
    new = RelayLog(notes=(Note(text="c", kind=NoteKind.BRIGHT_SPOT), Note(text="d"), Note(id="9", author="e")))
    assert rows(written(mapping, record, new), "h")[3:] == [{"t": "c", "type": "LYS"}, {"t": "d"}]
    assert mapping.left_out(record, new) == (("notes", "9"),)


DEEP = """  goals[]:
    each: /mal
    key: /id
    fields:
      text: /t
      measures[]:
        each: /tiltak
        key: /id
        belongs: goal
        orphans: /laus/tiltak
        fields:
          text: /t
          evaluations[]: {each: /vurdert, key: /id, belongs: measure, fields: {text: /t}}
"""


def test_a_measure_without_a_goal_stands_among_the_orphans() -> None:
    """Lists in lists in lists are read flat; what belongs to nothing has a list of its own, with its evaluations."""
    mapping = load(DEEP)
    record: Tree = {
        "mal": [{"id": "g", "tiltak": [{"id": "m", "vurdert": [{"id": "e", "t": "a"}]}]}],
        "laus": {"tiltak": [{"id": "n", "t": "b", "vurdert": [{"id": "f", "t": "c"}]}]},
    }
    log = mapping.read(record)
    assert {(one.id, one.goal) for one in log.measures} == {("m", "g"), ("n", "")}
    assert {(one.id, one.measure) for one in log.evaluations} == {("e", "m"), ("f", "n")}
    assert mapping.write(record, log) == record
    new = RelayLog(
        goals=(Goal(id="g"),),
        measures=(Measure(text="d", goal="g"), Measure(id="x", text="e"), Measure(id="y", text="f", goal="nowhere")),
        evaluations=(Evaluation(text="g", measure="x"), Evaluation(id="z", text="h", measure="gone")),
    )
    assert written(mapping, None, new) == {
        "laus": {"tiltak": [{"t": "d"}, {"t": "f"}, {"t": "e", "vurdert": [{"t": "g"}]}]},
    }
    assert mapping.left_out(None, new) == (("evaluations", "z"),)
    out = written(mapping, record, new)
    assert [row.get("t") for row in rows(rows(out, "mal")[0], "tiltak")] == [None, "d"]


def test_an_orphan_moves_to_its_goal_and_back() -> None:
    """A measure that is given a goal moves into it; one whose goal is taken away, and only by saying so, moves out."""
    mapping = load(DEEP)
    record: Tree = {
        "mal": [{"id": "g", "tiltak": []}],
        "laus": {"tiltak": [{"id": "n", "own": 1, "vurdert": [{"id": "f"}]}]},
    }
    moved = RelayLog(measures=(Measure(id="n", goal="g", text="b"),))
    there = written(mapping, record, moved)
    assert there == {
        "mal": [{"id": "g", "tiltak": [{"id": "n", "own": 1, "vurdert": [{"id": "f"}], "t": "b"}]}],
        "laus": {"tiltak": []},
    }
    silent = RelayLog(measures=(Measure(id="n", text="b"),))
    assert written(mapping, there, silent) == there
    back = written(mapping, there, silent, ("measures", "n", "goal"))
    assert (back["mal"], rows(dict(back["laus"]), "tiltak")[0]["id"]) == ([{"id": "g", "tiltak": []}], "n")  # type: ignore[call-overload]


def test_without_a_place_for_orphans_they_are_left_out_and_said_so() -> None:
    """What the template has no place for is reported, and nothing else."""
    mapping = load(DEEP.replace("        orphans: /laus/tiltak\n", ""))
    log = RelayLog(
        goals=(Goal(id="g", text="a"),), measures=(Measure(id="1", goal="g", text="b"), Measure(id="2", text="c"))
    )
    assert written(mapping, None, log) == {"mal": [{"t": "a", "tiltak": [{"t": "b"}]}]}
    assert mapping.left_out(None, log) == (("measures", "2"),)


WITHIN = """  measures[]:
    each: /m
    key: /nr
    fields:
      evaluations[]: {each: /e, key: /nr, key_within: parent, belongs: measure, fields: {text: /t}}
"""


def test_keys_may_be_unique_only_within_the_element_around() -> None:
    """The element's key is then that of both; a row in an element without a key has none."""
    mapping = load(WITHIN)
    record: Tree = {
        "m": [
            {"nr": 1, "e": [{"nr": 1, "t": "a"}, {"nr": 2, "t": "b"}]},
            {"nr": "2/1", "e": [{"nr": 1, "t": "c"}]},
            {"e": [{"nr": 1, "t": "d"}]},
        ]
    }
    log = mapping.read(record)
    assert [(one.id, one.measure) for one in log.evaluations] == [
        ("1/1", "1"),
        ("1/2", "1"),
        ("2/1/1", "2/1"),
        ("", ""),
    ]
    assert mapping.write(record, log) == record
    changed = RelayLog(evaluations=(Evaluation(id="2/1/1", measure="2/1", text="x"),))
    assert rows(rows(written(mapping, record, changed), "m")[1], "e") == [{"nr": 1, "t": "x"}]
    with pytest.raises(MappingError, match="no other row has"):
        mapping.read({"m": [{"nr": 1, "e": [{"nr": 2}, {"nr": 2}]}]})


def test_a_key_may_take_several_places() -> None:
    """All of them together are the key; a row that lacks one of them has none."""
    mapping = load("  meetings[]: {each: /m, key: [/dag, /nr], fields: {agenda: /t}}")
    record: Tree = {
        "m": [{"dag": "1/2", "nr": 1, "t": "a"}, {"dag": "1", "nr": "2/1", "t": "b"}, {"dag": "1", "t": "c"}]
    }
    log = mapping.read(record)
    assert [one.id for one in log.meetings] == ["1~12/1", "1/2~11", ""]
    assert mapping.write(record, log) == record
    assert rows(written(mapping, record, RelayLog(meetings=(Meeting(id="1~12/1", agenda="x"),))), "m")[0]["t"] == "x"


SLOTS = """  guardians[]:
    - {slot: foresatt1, fields: {name: /f1_namn, relation: {at: /f1_rel, words: nn}}}
    - {slot: foresatt2, at: /to, fields: {name: /namn, relation: {at: /rel, words: nn}}}
  measures[]:
    each: /tiltak
    key: /nr
    fields:
      text: /t
      evaluations[]: {slot: v, belongs: measure, fields: {text: /vurdering, on: /dato}}
"""


def test_a_form_has_fixed_places_in_place_of_lists() -> None:
    """A fixed place is an element if something stands there; its name is the key."""
    mapping = load(SLOTS)
    record: Tree = {
        "f1_namn": "A", "to": {"namn": "", "rel": None}, "tiltak": [{"nr": 1, "t": "x", "vurdering": "y"}, {"nr": 2}],
    }  # fmt: skip
    log = mapping.read(record)
    assert [(one.id, one.name) for one in log.guardians] == [("foresatt1", "A")]
    assert [(one.id, one.measure, one.text) for one in log.evaluations] == [("1/v", "1", "y")]
    assert mapping.write(record, log) == record


def test_a_new_element_takes_the_first_empty_place() -> None:
    """The third of two places is left out and said so; the same element does not take a second place."""
    mapping = load(SLOTS)
    record: Tree = {"f1_namn": "A", "tiltak": [{"nr": 1, "t": "x", "vurdering": "y"}, {"nr": 2}]}
    log = RelayLog(
        guardians=(
            Guardian(id="foresatt1", name="A2"),
            Guardian(id="b", name="B", relation=Relation.FATHER),
            Guardian(id="c", name="C"),
        ),
        evaluations=(Evaluation(id="z", measure="2", text="ny"), Evaluation(id="q", measure="1", text="til")),
    )
    assert written(mapping, record, log) == {
        "f1_namn": "A2",
        "to": {"namn": "B", "rel": "Far"},
        "tiltak": [{"nr": 1, "t": "x", "vurdering": "y"}, {"nr": 2, "vurdering": "ny"}],
    }
    assert mapping.left_out(record, log) == (("guardians", "c"), ("evaluations", "q"))


def test_an_xml_mapping_says_itself_which_elements_repeat() -> None:
    """Lists, objects and attributes follow from the rules, so that nothing is said twice; bytes go round."""
    mapping = load_mapping(
        HEAD.replace("payload: json", "payload: {kind: xml, lists: [/Logg/Anna]}").replace("{/kind: T}", "{root: Logg}")
        + """fields:
  source.id: {at: /Logg/@id, one_way: read}
  step: /Logg/Steg
  unit.name: /Logg/Eining/#text
  unit.id: /Logg/Eining/@nr
  measures[]:
    each: /Logg/Tiltak/Rad
    key: /@nr
    fields:
      text: /Tekst
      responsible.service: {at: /Av, words: nn}
      evaluations[]: {each: /Vurdering, belongs: measure, fields: {text: "/#text", attended: /Namn}}
  consents[]: {each: /Logg/Samtykke, key: /Nr, fields: {signed_by: {each: /Gitt/Av, fields: {name: /Namn}}}}
""",
        "test.yaml",
    )
    assert mapping.payload_options == {
        "lists": [
            "/Logg/Anna", "/Logg/Samtykke", "/Logg/Samtykke/Gitt/Av", "/Logg/Tiltak/Rad",
            "/Logg/Tiltak/Rad/Vurdering", "/Logg/Tiltak/Rad/Vurdering/Namn",
        ],
        "objects": [
            "/Logg", "/Logg/Eining", "/Logg/Samtykke", "/Logg/Samtykke/Gitt/Av", "/Logg/Tiltak/Rad",
            "/Logg/Tiltak/Rad/Vurdering",
        ],
    }  # fmt: skip
    xml = payload(mapping.payload, mapping.payload_options)
    data = (
        b'<?xml version="1.0"?>\n<Logg id="7"><Eining>Sk</Eining><Tiltak><Rad nr="1"><Tekst>a</Tekst><Av>PPT</Av>'
        b"<Vurdering>god</Vurdering></Rad></Tiltak><Ukjent><x/></Ukjent></Logg>"
    )
    tree = xml.decode(data)
    log = mapping.read(tree)
    assert mapping.claims(tree)
    assert (log.source.id, log.unit.name, log.measures[0].id, log.evaluations[0].text) == ("7", "Sk", "1", "god")
    assert log.measures[0].responsible is not None
    assert log.measures[0].responsible.service is Service.PPT
    assert xml.encode(mapping.write(tree, log), data) == data
    new = RelayLog(step="2", evaluations=(Evaluation(measure="1", text="ny", attended=("A", "B")),))
    again = xml.decode(xml.encode(mapping.write(tree, new), data))
    assert mapping.read(again).evaluations[1].attended == ("A", "B")
    assert mapping.read(again).step == "2"


def test_volatile_places_in_lists_are_left_out_of_every_row() -> None:
    """That somebody opened one measure is no change of the log."""
    mapping = load("  step: /s", "volatile: [/tiltak/sett]\n")
    assert mapping.stable({"tiltak": [{"sett": 1, "t": "x"}, {"t": "y"}, 7]}) == {"tiltak": [{"t": "x"}, {"t": "y"}, 7]}
