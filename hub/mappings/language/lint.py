"""What no single rule can see: two rules that write one place, rows read twice, references that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from hub.mappings.language.conditions import exclusive
from hub.mappings.language.pointers import Pointer, pointer_text
from hub.mappings.language.rules import AnyField, Field, Rows, Rule, every_rows
from hub.payloads.yamlfile import FileError, Mark


@dataclass(frozen=True)
class Claim:
    """A place that a rule writes. `whole` marks a list, which several rules may share if its rows are told apart."""

    name: str
    place: Pointer
    mark: Mark
    whole: bool


def check_claims(claims: Sequence[Claim]) -> None:
    """Refuse two rules that would write over each other: the same place, or one inside the other."""
    taken: dict[Pointer, Claim] = {}
    above: dict[Pointer, Claim] = {}
    for claim in claims:
        place = claim.place
        other = next((taken[place[:n]] for n in range(1, len(place) + 1) if place[:n] in taken), above.get(place))
        if other and not (claim.whole and other.whole and claim.place == other.place):
            raise FileError(
                claim.mark, f"'{claim.name}' and '{other.name}' both write {pointer_text(place)}",
                "Mark one of the two 'one_way: read'",
            )  # fmt: skip
        taken[place] = claim
        above |= {place[:n]: claim for n in range(1, len(place)) if place[:n] not in above}


def check_lists(lists: Sequence[Rows], rules: Sequence[Rule]) -> None:
    """Refuse rows that two lists would both read as the same kind of element, or both write."""
    for one, other in combinations([rows for rows in lists if rows.slot is None], 2):
        if one.each != other.each or exclusive(one.where, other.where):
            continue
        if one.collection == other.collection or (one.writes and other.writes):
            raise FileError(
                rules[other.rule].mark, f"{one.collection}[] and {other.collection}[] take the same rows",
                "Tell them apart by 'where:' on both, or mark one of the two 'one_way: read'",
            )  # fmt: skip
    for rows in lists:
        check_lists(rows.nested, rules)


def check_references(fields: Iterable[AnyField], lists: Sequence[Rows], rules: Sequence[Rule]) -> None:
    """Refuse references to elements that no list of the mapping feeds, or whose keys don't tell them apart."""
    every = list(every_rows(lists))
    fed = {rows.collection for rows in every}
    within = {rows.collection for rows in every if rows.within or len(rows.key) > 1}
    for field in [*fields, *(field for rows in every for field in rows.fields)]:
        wanted = field.target.reference if isinstance(field, Field) else None
        if wanted is None:
            continue
        mark = rules[field.rule].mark
        if wanted not in fed:
            raise FileError(mark, f"'{field.name}' refers to {wanted}[], which nothing feeds", f"Add '{wanted}[]:'")
        if wanted in within:
            raise FileError(
                mark, f"'{field.name}' refers to {wanted}[], whose keys say too little alone",
                "Let the list stand inside the other with 'belongs:', or give it a key of one place",
            )  # fmt: skip


def check_slots(lists: Sequence[Rows], rules: Sequence[Rule]) -> None:
    """Refuse two fixed places of one name, and lists inside a fixed place; other fixed places may stand there."""
    for rows in every_rows(lists):
        if rows.slot is not None and any(inner.slot is None for inner in rows.nested):
            raise FileError(rules[rows.rule].mark, "a list stands inside a fixed place", "Let it stand beside it")
    for around in (lists, *(rows.nested for rows in every_rows(lists))):
        slots = [(rows.collection, rows.slot, rows.rule) for rows in around if rows.slot is not None]
        for (one, slot, _), (other, same, rule) in combinations(slots, 2):
            if (one, slot) == (other, same):
                raise FileError(rules[rule].mark, f"the slot '{slot}' stands twice", "Give each a name of its own")
