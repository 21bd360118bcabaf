"""Which list or place an element stands in, when several could take it: the laws hold wherever it moves."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mappings.language import Mapping, Tree
from hub.mappings.language.laws import get_put, put_get, put_put
from hub.relaylog.codes import NoteKind, Part, Service, SignerRole
from hub.relaylog.model import Concern, Consent, Evaluation, Note, RelayLog, Signer
from tests.mappings.records import Records, chance_of
from tests.mappings.small import load, rows, written
from tests.mappings.test_mapping_places import DEEP, WITHIN

LOSSY = """  notes[]:
    - {each: /samtalar, set: {kind: child_conversation}, fields: {text: /t, author: /a}}
    - each: /notat
      fields:
        text: /t
        author: /a
        kind: {at: /kind, codes: {NOTAT: note, LYS: bright_spot}, write_as: {survey: NOTAT, child_conversation: NOTAT}}
"""
SILENT = """  notes[]:
    - {each: /samtalar, set: {kind: child_conversation}, fields: {text: /t, author: /a}}
    - {each: /notat, fields: {text: /t, author: /a}}
"""
CHOOSY = """  notes[]:
    - {each: /notat, key: /id, where: {has: [/laast]}, fields: {text: /t, kind: /kind}}
    - {each: /samtalar, key: /id, set: {kind: child_conversation}, fields: {text: /t}}
"""
WRITERS = """  concerns[]: {each: /uro, key: /id, writer: {at: /av, words: nn}, fields: {text: /t}}
  notes[]:
    each: /notat
    writer: {at: /av, words: nn}
    part: {at: /del, codes: {EIGEN: own}, by_writer: DELT}
    fields: {text: /t}
"""
SIGNED = """  consents[]:
    each: /samtykke
    key: /nr
    fields:
      signed_by:
        - fields:
            name: /a/namn
            role: {at: /a/som, codes: {Mor: mother, Far: father}, keep: [co_mother, legal_guardian, youth, pregnant]}
        - {set: {role: youth}, fields: {name: /ungdom, on: /ungdom_dato}}
"""
FORMS = {
    "lists in orphans": DEEP,
    "orphans in orphans": DEEP.replace("belongs: measure, fields", "belongs: measure, orphans: /laus/vurdert, fields"),
    "keys within": WITHIN.replace("belongs: measure", "belongs: measure, orphans: /laus"),
    "kinds written alike": LOSSY,
    "a kind that the sibling cannot say": SILENT,
    "a list that takes no new rows": CHOOSY,
    "writers": WRITERS,
    "signatures": SIGNED,
}
every_form = pytest.mark.parametrize("form", FORMS)


@cache
def mapping_of(form: str) -> Mapping:
    """Compile a mapping, once for all tests."""
    return load(FORMS[form], "writer: {at: /eining, words: nn}\n")


@every_form
@given(seed=st.integers(0, 2**32))
def test_the_laws_hold_wherever_an_element_may_stand(form: str, seed: int) -> None:
    """Whatever record, and whatever somebody has moved in it: unchanged, readable again, and written only once."""
    mapping = mapping_of(form)
    records = Records(mapping, chance_of(seed))
    record, other = records.record(), records.record()
    log = mapping.read(records.edited(record, other))
    assert get_put(mapping, record) == ()
    assert put_get(mapping, record, log) == ()
    assert put_put(mapping, record, log) == ()
    assert put_put(mapping, None, log) == ()


def test_what_stands_in_an_orphan_moves_to_a_measure_in_a_goal() -> None:
    """An evaluation with a key of its own follows its measure out of the orphans' list, with all that is unmapped."""
    record: Tree = {
        "mal": [{"id": "g", "tiltak": [{"id": "m"}]}],
        "laus": {"tiltak": [{"id": "n", "vurdert": [{"id": "e", "t": "a", "own": 1}]}]},
    }
    log = RelayLog(evaluations=(Evaluation(id="e", measure="m", text="a"),))
    assert written(load(DEEP), record, log) == {
        "mal": [{"id": "g", "tiltak": [{"id": "m", "vurdert": [{"id": "e", "t": "a", "own": 1}]}]}],
        "laus": {"tiltak": [{"id": "n", "vurdert": []}]},
    }


def test_a_row_whose_key_says_where_it_stands_stays() -> None:
    """A key that counts within its measure would be another row's elsewhere."""
    record: Tree = {"m": [{"nr": 1, "e": [{"nr": 1, "t": "a"}]}, {"nr": 2, "e": [{"nr": 1, "t": "b"}]}]}
    moved = RelayLog(evaluations=(Evaluation(id="1/1", measure="2", text="c"),))
    out = written(load(WITHIN), record, moved)
    assert [row["e"] for row in rows(out, "m")] == [[{"nr": 1, "t": "c"}], [{"nr": 1, "t": "b"}]]


@pytest.mark.parametrize("form", [LOSSY, SILENT])
def test_a_conversation_does_not_take_the_row_of_a_note_that_looks_like_it(form: str) -> None:
    """Two new elements say the same but for their kind, and only one list can tell: each has its row every time."""
    record: Tree = {"samtalar": [{"t": "x", "a": "Fjell Testtilsett"}], "notat": []}
    log = RelayLog(notes=(Note(text="x", kind=NoteKind.CHILD_CONVERSATION), Note(text="x", kind=NoteKind.NOTE)))
    out = written(load(form), record, log)
    assert (len(rows(out, "samtalar")), len(rows(out, "notat"))) == (1, 1)


def test_a_new_measure_is_not_the_note_of_another_kind_with_the_same_text() -> None:
    """A row that is known again on its text is known only among its own kind."""
    mapping = load(LOSSY.replace("/notat\n", "/notat\n      alike: [text]\n"))
    record: Tree = {"notat": [{"t": "x", "kind": "LYS"}]}
    new = RelayLog(notes=(Note(text="x", kind=NoteKind.CHILD_CONVERSATION, author="Fjell Testtilsett"),))
    assert written(mapping, record, new) == {
        "notat": [{"t": "x", "kind": "LYS"}], "samtalar": [{"t": "x", "a": "Fjell Testtilsett"}],
    }  # fmt: skip


def test_an_empty_writer_is_the_mappings_own() -> None:
    """A row that names nobody is the record's own service's; a foreign name is nobody's, and opens nothing."""
    mapping = mapping_of("writers")
    record: Tree = {
        "eining": "Skule",
        "uro": [{"id": "1", "t": "x"}, {"id": "2", "av": " "}, {"id": "3", "av": "Rart"}],
    }
    log = mapping.read(record)
    assert [(one.writer, one.part) for one in log.concerns] == [
        (Service.SCHOOL, Part.EDUCATION), (Service.SCHOOL, Part.EDUCATION), (Service.UNKNOWN, Part.OWN),
    ]  # fmt: skip
    assert mapping.write(record, log) == record
    other = RelayLog(concerns=(Concern(id="1", writer=Service.PPT, part=Part.PPT, text="x"),))
    assert rows(written(mapping, record, other), "uro")[0] == {"id": "1", "t": "x", "av": "PPT"}


def test_signatures_have_fixed_places() -> None:
    """Each takes the place that can say all of it; where one has none, all of them are left as they were."""
    mapping = load(SIGNED)
    record: Tree = {"samtykke": [{"nr": "1", "a": {"namn": "Regn Testforelder", "som": "Mor", "stad": "her"}}]}
    (consent,) = mapping.read(record).consents
    (mother,) = consent.signed_by
    assert (mother.name, mother.role) == ("Regn Testforelder", SignerRole.MOTHER)
    youth = Signer(name="Solskinn Testbarn", role=SignerRole.YOUTH)

    def signed(*by: Signer) -> Tree:
        out = written(mapping, record, RelayLog(consents=(Consent(id="1", signed_by=by),)))
        return rows(out, "samtykke")[0]

    assert signed(youth, mother) == {**rows(record, "samtykke")[0], "ungdom": "Solskinn Testbarn"}
    assert signed(youth)["a"] == {"namn": None, "som": None, "stad": "her"}
    for crowd in (
        (mother, Signer(name="Vind", role=SignerRole.FATHER)),
        (Signer(name="Vind", role=SignerRole.PREGNANT),),
    ):
        assert signed(*crowd) == rows(record, "samtykke")[0]
    assert "consents[].signed_by[].role" in mapping.writes


def test_signatures_that_are_taken_back_are_emptied_by_saying_so() -> None:
    """An empty list keeps the record's signatures, unless it is named to be cleared."""
    mapping = load(SIGNED)
    record: Tree = {"samtykke": [{"nr": "1", "ungdom": "Solskinn Testbarn"}]}
    silent = RelayLog(consents=(Consent(id="1"),))
    assert written(mapping, record, silent) == record
    cleared = written(mapping, record, silent, ("consents", "1", "signed_by"))
    assert rows(cleared, "samtykke") == [{"nr": "1", "ungdom": None}]
