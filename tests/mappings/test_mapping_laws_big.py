"""The laws of reading and writing, on made-up records of every template and of an odd one that uses all the rest."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Clear, Mapping, MappingError, Tree, load_mapping
from hub.mappings.language.laws import differences, failures, get_put, put_get, put_put
from hub.relaylog.model import RelayLog
from tests.mappings.records import Records

HERE = Path(__file__).parent
ODD = load_mapping((HERE / "odd.yaml").read_text(encoding="utf-8"), "odd.yaml")
MAPPINGS = {**{name: load_shipped(name) for name in shipped()}, ODD.id: ODD}

every_mapping = pytest.mark.parametrize("mapping", MAPPINGS.values(), ids=MAPPINGS.keys())
a_chance = st.integers(0, 2**48).map(Random)
some = settings(max_examples=3000, deadline=None)


def _two(mapping: Mapping, chance: Random) -> tuple[Tree, RelayLog]:
    """A record, and a log read from another record with some of the same elements."""
    records = Records(mapping, chance)
    return records.record(), mapping.read(records.record())


@every_mapping
@some
@given(chance=a_chance)
def test_writing_back_an_unchanged_log_changes_nothing(mapping: Mapping, chance: Random) -> None:
    """Whatever a record holds, its own log put back on it leaves every byte as it was."""
    assert get_put(mapping, Records(mapping, chance).record()) == ()


@every_mapping
@some
@given(chance=a_chance)
def test_what_is_written_can_be_read_back(mapping: Mapping, chance: Random) -> None:
    """A log put on another record is read back with every value that it carries and the template has a form for."""
    record, log = _two(mapping, chance)
    assert put_get(mapping, record, log) == ()


@every_mapping
@some
@given(chance=a_chance)
def test_writing_twice_is_writing_once(mapping: Mapping, chance: Random) -> None:
    """The same log put on its own result changes nothing, new elements without keys included."""
    record, log = _two(mapping, chance)
    assert put_put(mapping, record, log) == ()
    assert put_put(mapping, None, log) == ()


@every_mapping
@some
@given(chance=a_chance)
def test_nothing_is_lost_from_the_target(mapping: Mapping, chance: Random) -> None:
    """Every row and every foreign place of the target is still there, and the target's own tree is not touched."""
    record, log = _two(mapping, chance)
    before = json.dumps(record)
    written = mapping.write(record, log)
    assert json.dumps(record) == before
    assert _foreign(record) <= _foreign(written)
    assert set(record) <= set(written)


@pytest.mark.parametrize(("source", "target"), [("vigilo", "samspill"), ("samspill", "vigilo")])
@some
@given(chance=a_chance)
def test_a_log_of_one_system_can_be_written_in_the_other(source: str, target: str, chance: Random) -> None:
    """The other system's log, marks and all, keeps the laws in this system's template, also after a round trip."""
    there, here = MAPPINGS[f"{source}/stafettlogg"], MAPPINGS[f"{target}/stafettlogg"]
    log = there.read(Records(there, chance).record())
    record = Records(here, chance).record()
    assert put_get(here, record, log) == ()
    assert put_put(here, record, log) == ()
    assert get_put(here, here.write(record, log)) == ()


@every_mapping
@some
@given(chance=a_chance)
def test_clearing_empties_what_is_named(mapping: Mapping, chance: Random) -> None:
    """A field of an element that is named to be cleared, and empty in the log, reads back empty."""
    record, log = _two(mapping, chance)
    clear: Clear = frozenset(
        (name, element.id, field)
        for name, element in log.elements()
        for field in type(element).model_fields
        if field != "id" and element.id and not getattr(element, field)
    )
    assert put_get(mapping, record, log, clear) == ()
    assert put_put(mapping, record, log, clear) == ()


@every_mapping
@some
@given(chance=a_chance, damage=st.sampled_from([[], "Hemmeleg", 7, True, {"a": 1}, ["x"], [[]], [{"id": {}}], 1e300]))
def test_a_damaged_record_is_refused_and_never_crashes(mapping: Mapping, chance: Random, damage: object) -> None:
    """A wrong type anywhere is either harmless or a MappingError that shows nothing of the record."""
    record = Records(mapping, chance).record()
    log = mapping.read(record)
    _damage(record, chance, damage)
    for attempt in (lambda: mapping.read(record), lambda: mapping.write(record, log)):
        refusal = _refusal(attempt)
        assert "Hemmeleg" not in refusal
        assert mapping.id in refusal or not refusal


def test_the_samples_read_as_expected() -> None:
    """Each shipped mapping's own samples are claimed, read as the file beside them says, and keep the laws."""
    for name, path in shipped().items():
        mapping = load_shipped(name)
        assert mapping.id == name
        assert len(mapping.samples) == 3
        assert failures(mapping, path.parent) == ()


def test_differences_tell_types_apart() -> None:
    """1, 1.0 and true are different values, and a place says where."""
    assert list(differences({"a": [1, 1, {"b": 1}], "c": 1}, {"a": [True, 1.0, {}], "d": 1})) == [
        "/a/0", "/a/1", "/a/2/b", "/c", "/d",
    ]  # fmt: skip


def _foreign(tree: object) -> Counter[str]:
    """Count what no rule reads, wherever it stands."""
    found: Counter[str] = Counter()
    if isinstance(tree, dict):
        found.update(json.dumps(value) for name, value in tree.items() if name == "framandFelt")
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        found += _foreign(value)
    return found


def _refusal(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except MappingError as error:
        return str(error)
    return ""


def _damage(tree: Tree, chance: Random, damage: object) -> None:
    """Put something else at one place, anywhere down the tree."""
    name = chance.choice(sorted(tree))
    inner = tree[name]
    rows = [row for row in inner if isinstance(row, dict)] if isinstance(inner, list) else [inner]
    below = [row for row in rows if isinstance(row, dict) and row]
    if below and chance.random() < 0.7:
        _damage(chance.choice(below), chance, damage)
    else:
        tree[name] = damage
