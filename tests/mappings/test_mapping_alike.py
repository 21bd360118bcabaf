"""Rows without keys that are known again on what they say, and fixed places that stand inside fixed places."""

import pytest

from hub.mappings.language import Mapping, Tree, load_mapping
from hub.payloads.yamlfile import FileError
from hub.relaylog.codes import MeasureStatus
from hub.relaylog.model import Evaluation, Measure, RelayLog

HEAD = """mapping: test/alike
version: 1
canonical: relaylog/1
origin: assumed
payload: json
when: {/kind: T}
fields:
"""
ROWS = "  measures[]: {each: /m, alike: [text], fields: {text: /t, status: {at: /s, words: nn}}}"
PLACES = """  measures[]:
    - slot: ein
      fields: {text: /t1, 'evaluations[]': {slot: v, belongs: measure, fields: {text: /v1}}}
    - slot: to
      fields: {text: /t2, 'evaluations[]': {slot: v, belongs: measure, fields: {text: /v2}}}
"""


def load(fields: str) -> Mapping:
    """Compile a mapping with these fields."""
    return load_mapping(HEAD + fields, "test.yaml")


def measure(text: str, status: MeasureStatus, key: str = "") -> Measure:
    """Make a measure."""
    return Measure(id=key, text=text, status=status)


def test_a_row_without_a_key_is_known_again_on_what_it_says() -> None:
    """A measure that has got another status changes its row; another text is another row."""
    mapping = load(ROWS)
    record: Tree = {"m": [{"t": "a", "s": "Planlagt", "x": 1}, {"t": "b"}]}
    log = RelayLog(measures=(measure("a", MeasureStatus.STARTED, "hub-1"), measure("c", MeasureStatus.PLANNED)))
    assert mapping.write(record, log) == {
        "m": [{"t": "a", "s": "Igangsett", "x": 1}, {"t": "b"}, {"t": "c", "s": "Planlagt"}],
    }  # fmt: skip


def test_a_row_that_says_all_of_it_goes_before_one_that_is_alike() -> None:
    """Two rows of one text: each element takes the one that it would leave as it is; silent rows are no one's."""
    mapping = load(ROWS)
    record: Tree = {"m": [{"t": "a", "s": "Planlagt"}, {"t": "a", "s": "Igangsett"}, {"s": "Endra"}]}
    assert mapping.write(record, mapping.read(record)) == record
    log = RelayLog(measures=(measure("a", MeasureStatus.STARTED), measure("a", MeasureStatus.CHANGED)))
    assert mapping.write(record, log) == {
        "m": [{"t": "a", "s": "Endra"}, {"t": "a", "s": "Igangsett"}, {"s": "Endra"}],
    }  # fmt: skip
    other = mapping.write(record, RelayLog(measures=(measure("", MeasureStatus.STOPPED),)))
    assert other == {"m": [*record["m"], {"s": "Avbroten"}]}  # type: ignore[misc]


def test_a_fixed_place_may_stand_inside_another() -> None:
    """It belongs to that one, makes it taken, and is filled where a new element took the place around it."""
    mapping = load(PLACES)
    record: Tree = {"v1": "Gjekk bra."}
    log = mapping.read(record)
    assert [(one.id, one.text) for one in log.measures] == [("ein", "")]
    assert [(one.id, one.measure) for one in log.evaluations] == [("ein/v", "ein")]
    new = RelayLog(measures=(Measure(id="m", text="a"),), evaluations=(Evaluation(measure="m", text="b"),))
    assert mapping.write(record, new) == {"v1": "Gjekk bra.", "t2": "a", "v2": "b"}


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ("  notes[]: {each: /n, alike: [tekst], fields: {text: /t}}", "'tekst' is not known as a field of the row"),
        ("  notes[]: {slot: n, alike: [text], fields: {text: /t}}", "'alike' and 'slot' don't go together"),
        (
            "  measures[]: {slot: a, fields: {'evaluations[]': {each: /e, belongs: measure, fields: {text: /t}}}}",
            "a list stands inside a fixed place",
        ),
    ],
)
def test_what_can_not_be_is_refused(fields: str, problem: str) -> None:
    """Only fields of the row tell rows apart, fixed places have names, and lists stand in no fixed place."""
    with pytest.raises(FileError) as caught:
        load(fields)
    assert problem in caught.value.problem
