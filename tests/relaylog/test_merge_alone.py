"""A log that one system alone has told of is merged without comparing, and comes out as comparing would have it."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.relaylog.codes import ClosedBy, LogStatus, Service
from hub.relaylog.merge import STATUS, Place, System, flatten, merge, silent, typed, unflatten
from hub.relaylog.merge import _Merge as Compared
from hub.relaylog.model import Closure, RelayLog
from tests.relaylog.strategies import logs

SCHOOL = frozenset({Service.SCHOOL})


@cache
def _blanks(collection: str, field: str) -> list[Any]:
    """Return the ways in which a field may say nothing: blank, a code that nobody knows, no items."""
    found = []
    blanks: list[Any] = ["", "unknown", []]
    for blank in blanks:
        try:
            found.append(typed(Place(collection, "", field), blank))
        except ValidationError:
            continue
    return found


def _blanked(log: RelayLog, random: Random) -> RelayLog:
    """Return a log in which some places say nothing, each in one of the ways that its field has."""
    flat = flatten(log)
    for place in flat:
        if place.field and random.random() < 0.3 and (blanks := _blanks(place.collection, place.field)):
            flat[place] = random.choice(blanks)
    return unflatten(flat).model_copy(update={"id": "x", "changed_at": log.changed_at, "template": log.template})


def _shuffled(log: RelayLog, random: Random) -> RelayLog:
    lists = {name: random.sample(value, len(value)) for name, value in log.__dict__.items() if type(value) is tuple}
    return log.model_copy(update={name: tuple(value) for name, value in lists.items()})


@settings(deadline=None, max_examples=150)
@given(logs(), st.randoms(use_true_random=False), st.sampled_from([None, *ClosedBy]))
def test_who_tells_alone_is_taken_at_its_word(log: RelayLog, random: Random, closed_by: ClosedBy | None) -> None:
    """The log, and who says what of it, are what comparing every place of it with nothing gives, byte for byte."""
    closure = log.closure if closed_by is None else Closure(decided_by=closed_by)
    seen = _shuffled(_blanked(log.model_copy(update={"closure": closure}), random), random)
    system = System("a", SCHOOL, seen, sent=random.choice([None, log]))
    merged, compared = merge(None, [system]), Compared(None, [system], {}).merged()
    assert merged == compared
    assert merged.log.model_dump_json() == compared.log.model_dump_json()
    for place in flatten(seen):
        if place.field:
            assert merged.provenance[place] == compared.provenance[place]


@settings(deadline=None, max_examples=100)
@given(logs(), st.randoms(use_true_random=False))
def test_what_says_nothing_is_as_if_it_were_not_there(log: RelayLog, random: Random) -> None:
    """Each place holds what the system says there, or what the model has where nothing is said."""
    seen = _blanked(log, random)
    family = seen.closure is not None and seen.closure.decided_by in (ClosedBy.GUARDIAN, ClosedBy.YOUTH)
    closed = {STATUS: LogStatus.CLOSED} if family and seen.status is not LogStatus.ARCHIVED else {}
    said = {place: value for place, value in flatten(seen).items() if not silent(place, value)}
    assert merge(None, [System("a", SCHOOL, seen)]).log == unflatten({**said, **closed})
