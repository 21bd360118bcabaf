"""The laws of reading and writing, on made-up records of every template and of an odd one that uses all the rest.

Each template gets 500 records from fixed seeds, and beside each the same record after somebody's work in it: rows
gone, come, moved and changed. A failure names its seeds; nothing else is random.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from hub.mappings import load_shipped, shipped
from hub.mappings.language import Clear, Mapping, MappingError, Tree, load_mapping
from hub.mappings.language.laws import differences, get_put, put_get, put_put
from hub.operate.mappings.checks import outcomes
from hub.relaylog.model import RelayLog
from tests.mappings.records import Records, chance_of

HERE = Path(__file__).parent
ODD = "odd/everything"
SEEDS = 500
FEWER = 50

every_mapping = pytest.mark.parametrize("name", [*shipped(), ODD])


@cache
def mapping_of(name: str) -> Mapping:
    """Load a mapping, once for all tests."""
    if name == ODD:
        return load_mapping((HERE / "odd.yaml").read_text(encoding="utf-8"), "odd.yaml")
    return load_shipped(name)


@dataclass(frozen=True)
class Case:
    """A record, and the log of the same record after somebody's work in it."""

    record: Tree
    edited: Tree
    log: RelayLog


@cache
def cases(name: str) -> tuple[Case, ...]:
    """Make the records of a template, once for all tests."""
    mapping = mapping_of(name)
    made = [Records(mapping, chance_of(seed)) for seed in range(SEEDS)]
    plain = [records.record() for records in made]
    pairs = zip(plain, [*plain[1:], plain[0]], strict=True)
    edited = [records.edited(*pair) for records, pair in zip(made, pairs, strict=True)]
    return tuple(Case(one, other, mapping.read(other)) for one, other in zip(plain, edited, strict=True))


def broken(name: str, law: Callable[[Mapping, Case], object], count: int = SEEDS) -> dict[int, object]:
    """Return what a law finds wrong, by seed."""
    found = ((seed, law(mapping_of(name), case)) for seed, case in enumerate(cases(name)[:count]))
    return {seed: places for seed, places in found if places}


@every_mapping
def test_every_made_up_record_is_claimed(name: str) -> None:
    """The records are the template's own, so that the laws are tried on what it will meet."""
    assert broken(name, lambda mapping, case: not mapping.claims(case.record) or not mapping.claims(case.edited)) == {}


@every_mapping
def test_what_is_read_is_what_the_model_takes(name: str) -> None:
    """Values come from codecs without a second look; the model's own validation finds the same log in them."""
    assert broken(name, lambda _, case: RelayLog.model_validate(case.log.model_dump()) != case.log, FEWER) == {}
    assert (
        broken(name, lambda _, case: RelayLog.model_validate_json(case.log.model_dump_json()) != case.log, FEWER) == {}
    )


@every_mapping
def test_writing_back_an_unchanged_log_changes_nothing(name: str) -> None:
    """Get-put: whatever a record holds, its own log put back on it leaves every place as it was."""
    assert broken(name, lambda mapping, case: get_put(mapping, case.record)) == {}


@every_mapping
def test_what_is_written_can_be_read_back(name: str) -> None:
    """Put-get: a log put on another record is read back with every value that the template has a form for."""
    assert broken(name, lambda mapping, case: put_get(mapping, case.record, case.log)) == {}


@every_mapping
def test_writing_twice_is_writing_once(name: str) -> None:
    """Put-put: the same log put on its own result changes nothing."""
    assert broken(name, lambda mapping, case: put_put(mapping, case.record, case.log)) == {}


@every_mapping
def test_a_new_record_is_written_once(name: str) -> None:
    """A log that makes a new record makes the same one again, new elements without keys included."""
    assert broken(name, lambda mapping, case: put_put(mapping, None, case.log)) == {}


@every_mapping
def test_nothing_is_lost_from_the_target(name: str) -> None:
    """Every foreign place of the target is still there, and the target's own tree is not touched."""

    def lost(mapping: Mapping, case: Case) -> object:
        before = json.dumps(case.record)
        written = mapping.write(case.record, case.log)
        kept = set(case.record) <= set(written) and foreign(case.record) <= foreign(written)
        return not kept or json.dumps(case.record) != before

    assert broken(name, lost, FEWER) == {}


@every_mapping
def test_clearing_empties_what_is_named(name: str) -> None:
    """A field of an element that is named to be cleared, and empty in the log, reads back empty."""

    def left(mapping: Mapping, case: Case) -> object:
        clear: Clear = frozenset(
            (collection, element.id, field)
            for collection, element in case.log.elements()
            for field in type(element).model_fields
            if field != "id" and element.id and not getattr(element, field)
        )
        return put_get(mapping, case.record, case.log, clear) + put_put(mapping, case.record, case.log, clear)

    assert broken(name, left, FEWER) == {}


@every_mapping
def test_what_is_left_out_is_said(name: str) -> None:
    """An element is left out only of lists that the template writes, and only where it found no row."""

    def silent(mapping: Mapping, case: Case) -> object:
        left = mapping.left_out(case.record, case.log)
        back = mapping.read(mapping.write(case.record, case.log))
        written = {path.partition("[]")[0] for path in mapping.writes if "[]" in path}
        found = {(collection, element.id) for collection, element in back.elements() if element.id}
        return [one for one in left if one[0] not in written or one in found]

    assert broken(name, silent, FEWER) == {}


@every_mapping
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_do_not_matter(name: str, ends: str) -> None:
    """A record reads alike whichever way its lines end, and keeps its own ends when it is written back."""

    def differs(mapping: Mapping, case: Case) -> object:
        changed = respelt(case.record, lambda text: text.replace("\r\n", "\n").replace("\n", ends))
        return mapping.read(changed) != mapping.read(case.record) or get_put(mapping, changed)

    assert broken(name, differs, FEWER) == {}


@every_mapping
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_the_same_letters(name: str, form: Literal["NFC", "NFD"]) -> None:
    """A record whose letters are stored the other way reads the same to a person, codes and marks included."""

    def differs(mapping: Mapping, case: Case) -> object:
        changed = respelt(case.record, lambda text: unicodedata.normalize(form, text))
        one, other = (composed(mapping.read(record)) for record in (changed, case.record))
        return list(differences(one, other)) + list(get_put(mapping, changed))

    assert broken(name, differs, FEWER) == {}


@every_mapping
def test_a_damaged_record_is_refused_and_never_crashes(name: str) -> None:
    """A wrong type anywhere is either harmless or a MappingError that shows nothing of the record."""

    def wrong(mapping: Mapping, case: Case) -> object:
        chance = chance_of(json.dumps(case.edited))
        record: Tree = json.loads(json.dumps(case.record))
        damage(record, chance, chance.choice([[], "Hemmeleg", 7, True, {"a": 1}, ["x"], [[]], [{"id": {}}], 1e300]))
        refusals = [refusal(lambda: mapping.read(record)), refusal(lambda: mapping.write(record, case.log))]
        return [one for one in refusals if "Hemmeleg" in one or (one and mapping.id not in one)]

    assert broken(name, wrong, FEWER) == {}


@pytest.mark.parametrize(("source", "target"), list(pairwise([*shipped(), *list(shipped())[:1]])))
def test_a_log_of_one_system_can_be_written_in_another(source: str, target: str) -> None:
    """Another system's log, marks and all, keeps the laws in this system's template, also after a round trip."""
    here = mapping_of(target)
    found = {
        seed: places
        for seed, (there, case) in enumerate(zip(cases(source), cases(target)[:FEWER], strict=False))
        if (places := put_get(here, case.record, there.log) + put_put(here, case.record, there.log)
            + get_put(here, here.write(case.record, there.log)))
    }  # fmt: skip
    assert found == {}


def test_the_samples_read_as_expected() -> None:
    """Each shipped mapping's own samples are claimed, read as the file beside them says, and keep the laws."""
    for name, path in shipped().items():
        mapping = mapping_of(name)
        assert mapping.id == name
        assert len(mapping.samples) == 3
        results = outcomes(mapping, path.parent)
        assert len(results) == 15
        assert [one for one in results if one.broken] == []


def test_differences_tell_types_apart() -> None:
    """1, 1.0 and true are different values, and a place says where."""
    assert list(differences({"a": [1, 1, {"b": 1}], "c": 1}, {"a": [True, 1.0, {}], "d": 1})) == [
        "/a/0", "/a/1", "/a/2/b", "/c", "/d",
    ]  # fmt: skip


def foreign(tree: object) -> Counter[str]:
    """Count what no rule reads, wherever it stands."""
    found: Counter[str] = Counter()
    if isinstance(tree, dict):
        found.update(json.dumps(value) for name, value in tree.items() if name == "framandFelt")
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        found += foreign(value)
    return found


def respelt(record: Tree, spell: Callable[[str], str]) -> Tree:
    """Change every text of a record, but not its keys."""
    return {name: _respelt(value, spell) for name, value in record.items()}


def _respelt(value: object, spell: Callable[[str], str]) -> object:
    if isinstance(value, dict):
        return {name: _respelt(inner, spell) for name, inner in value.items()}
    if isinstance(value, list):
        return [_respelt(inner, spell) for inner in value]
    return spell(value) if isinstance(value, str) else value


def composed(log: RelayLog) -> object:
    """Return a log as plain data with all letters composed."""
    return _respelt(log.model_dump(mode="json"), lambda text: unicodedata.normalize("NFC", text))


def refusal(attempt: Callable[[], object]) -> str:
    """Return the text of the error that an attempt ends in, or nothing."""
    try:
        attempt()
    except MappingError as error:
        return str(error)
    return ""


def damage(tree: Tree, chance: Random, other: object) -> None:
    """Put something else at one place, anywhere down the tree."""
    name = chance.choice(sorted(tree))
    inner = tree[name]
    rows = [row for row in inner if isinstance(row, dict)] if isinstance(inner, list) else [inner]
    below = [row for row in rows if isinstance(row, dict) and row]
    if below and chance.random() < 0.7:
        damage(chance.choice(below), chance, other)
    else:
        tree[name] = other
