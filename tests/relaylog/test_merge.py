"""Merging: what is agreed flows, what is disputed is asked, what protects somebody holds, and no edit is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import count, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hub.relaylog.codes import (
    AddressProtection,
    BtiLevel,
    ClosedBy,
    ClosureReason,
    ConsentStatus,
    LogStatus,
    NoteKind,
    Part,
    Residence,
    Service,
    SubjectKind,
)
from hub.relaylog.merge import (
    Conflict,
    Deletion,
    Exchange,
    Flat,
    Merged,
    Place,
    Settlement,
    System,
    acknowledge,
    empty,
    flatten,
    merge,
    remembered,
    strictest,
    typed,
    unflatten,
)
from hub.relaylog.model import (
    COLLECTIONS,
    Actor,
    Closure,
    Consent,
    Guardian,
    Measure,
    Note,
    Relative,
    RelayLog,
    Signer,
    Subject,
)
from tests.relaylog.strategies import DAY, logs

# --- a small world: systems that edit, and a hub that pulls, plans, sends and acknowledges ---------------------------

STEP, HOLDER = Place("", "", "step"), Place("", "", "holder")
NOTE, AUTHOR = Place("notes", "n1", "text"), Place("notes", "n1", "author")
MEASURE, PRIVATE = Place("measures", "m1", "text"), Place("notes", "n2", "text")
EDITED = (STEP, NOTE, AUTHOR, MEASURE, PRIVATE)
SERVICES = {"a": Service.SCHOOL, "b": Service.PPT, "c": Service.HEALTH_STATION}
WITHHELD = {"b": {"n2"}, "c": {"n2"}, "a": set[str]()}
UNCARRIED = {"c": {AUTHOR}, "a": set[Place](), "b": {STEP}}
NO_PHONE = Actor(name="Vindstille Testlærer", service=Service.SCHOOL)
START = RelayLog(
    step="0",
    holder=NO_PHONE.model_copy(update={"phone": "00000000"}),
    notes=(
        Note(id="n1", text="0", author="0", writer=Service.SCHOOL, part=Part.EDUCATION),
        Note(id="n2", text="0", writer=Service.SCHOOL, part=Part.OWN),
    ),
    measures=(Measure(id="m1", text="0", responsible=Actor(name="Torden Testrådgiver", service=Service.PPT)),),
)


@dataclass(frozen=True)
class _InFlight:
    """A delivery on its way: what was planned, from what each side held."""

    before: Flat
    after: Flat
    view: RelayLog
    merged: Merged
    cleared: frozenset[Place]
    held: dict[str, RelayLog]


@dataclass
class _World:
    """Systems with one record each, and the hub's side of it. Each edit has a value of its own, and its history."""

    records: dict[str, Flat] = field(default_factory=dict)
    sides: dict[str, System] = field(default_factory=dict)
    agreed: RelayLog | None = None
    settlements: dict[Place, Settlement] = field(default_factory=dict)
    flights: dict[str, _InFlight] = field(default_factory=dict)
    known: dict[tuple[str, Place], frozenset[str]] = field(default_factory=dict)
    history: dict[tuple[Place, str], frozenset[str]] = field(default_factory=dict)
    numbers: Iterable[int] = field(default_factory=lambda: count(1))

    def merged(self) -> Merged:
        return merge(self.agreed, list(self.sides.values()), self.settlements)

    def settle(self, place: Place, over: Iterable[str]) -> None:
        """A person decides a conflict, having seen what the systems say."""
        value = str(next(iter(self.numbers)))
        self.settlements[place] = Settlement(value, tuple(over))

    def pull(self, name: str) -> None:
        seen = unflatten(self.records[name])
        side = self.sides.get(name) or System(name, frozenset({SERVICES[name]}), seen)
        self.sides[name] = replace(side, seen=seen)

    def edit(self, name: str, place: Place) -> None:
        """Somebody changes a field in a system, having seen what stands there."""
        if place not in self.records[name] or place in UNCARRIED[name]:
            return
        value = str(next(iter(self.numbers)))
        self.history[place, value] = self.known[name, place]
        self._holds(name, place, value)

    def _holds(self, name: str, place: Place, value: str) -> None:
        self.records[name][place] = value
        self.known[name, place] = self.history.get((place, value), frozenset()) | {value}

    def start(self, name: str) -> None:
        """Plan a delivery; where nothing would change, that counts as exchanged."""
        if name in self.flights or name not in self.sides:
            return
        merged, seen = self.merged(), self.sides[name].seen
        before = flatten(seen)
        frozen = {conflict.place for conflict in merged.conflicts}
        gone = {(deletion.collection, deletion.element) for deletion in merged.deletions}
        shown = {
            place: value
            for place, value in flatten(merged.log).items()
            if place not in frozen
            and (place.collection, place.element) not in gone
            and place.element not in WITHHELD[name]
        }
        if name != "a":
            shown[HOLDER] = NO_PHONE
        cleared = self._cleared(name, shown, before, merged)
        news = {p: v for p, v in shown.items() if (not empty(v) or p in cleared) and p not in UNCARRIED[name]}
        after = {**before, **news}
        held = {side.connection: side.seen for side in self.sides.values()}
        flight = _InFlight(before, after, unflatten(shown), merged, cleared, held)
        if _content(after) == _content(before):
            self._acknowledge(name, flight, seen, {})
        else:
            self.flights[name] = flight

    def _cleared(self, name: str, shown: Flat, now: Flat, merged: Merged) -> frozenset[Place]:
        base_log = self.sides[name].base
        base, whole = flatten(base_log) if base_log else {}, flatten(merged.log)
        return frozenset(
            place
            for place, value in shown.items()
            if empty(value) and empty(whole.get(place)) and not empty(now.get(place)) and base.get(place) == now[place]
        )

    def finish(self, name: str, *, patches: bool) -> None:
        """The record takes what was sent. One that changed meanwhile refuses, or is changed in other fields only."""
        flight = self.flights.pop(name, None)
        if flight is None:
            return
        written = {p: v for p, v in flight.after.items() if flight.before.get(p) != v or p not in flight.before}
        record = self.records[name]
        meanwhile = {p for p in record if record[p] != flight.before.get(p)}
        if meanwhile and (not patches or meanwhile & set(written)):
            self.pull(name)
            return
        record.update(written)
        self.pull(name)
        self._acknowledge(name, flight, self.sides[name].seen, written)

    def _acknowledge(self, name: str, flight: _InFlight, now: RelayLog, written: Flat) -> None:
        for place, value in written.items():
            if place in EDITED:
                self._holds(name, place, value)
        exchange = Exchange(name, flight.view, now, flight.cleared, flight.held)
        self.agreed, sides = acknowledge(self.agreed, flight.merged, list(self.sides.values()), exchange)
        self.sides = {side.connection: side for side in sides}

    def settle_down(self) -> Merged:
        """Let everything on its way arrive, then pull and send until nothing is left to send."""
        for _ in range(12):
            for name in self.records:
                self.finish(name, patches=False)
                self.pull(name)
            for name in self.records:
                self.start(name)
            if not self.flights:
                return self.merged()
        raise AssertionError("it never settles down")


def _content(flat: Flat) -> Flat:
    return {place: value for place, value in flat.items() if place.field}


def _world(names: str) -> _World:
    """Make systems that all hold the same log, and let them exchange it."""
    world = _World()
    for name in names:
        world.records[name] = {p: "" if p in UNCARRIED[name] else v for p, v in flatten(START).items()}
        if name != "a":
            world.records[name] = {p: v for p, v in world.records[name].items() if p.element not in WITHHELD[name]}
            world.records[name][HOLDER] = NO_PHONE
        for place in EDITED:
            world.known[name, place] = frozenset({"0"})
    world.settle_down()
    return world


Steps = list[tuple[str, str, int]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["change", "change", "edit", "pull", "start", "start", "finish", "patch"]),
        st.sampled_from("abc"),
        st.integers(0, 1),
    ),
    max_size=12,
)
"""What happens: a change that is pulled at once, an edit that is not, a delivery that leaves, arrives, or patches."""


def _play(world: _World, steps: Steps, places: list[Place]) -> None:
    for what, name, at in steps:
        if what in ("change", "edit") and name in world.records:
            world.edit(name, places[at])
        if what in ("change", "pull") and name in world.records:
            world.pull(name)
        if what == "start":
            world.start(name)
        if what in ("finish", "patch"):
            world.finish(name, patches=what == "patch")


def _heads(world: _World, place: Place) -> set[str]:
    """Return the values that no later edit knew of: what must not be lost."""
    made = {"0", *(value for where, value in world.history if where == place)}
    return made - {old for (where, _), known in world.history.items() if where == place for old in known}


@settings(deadline=None, max_examples=80)
@given(STEPS, st.sampled_from(["ab", "abc", "bc"]), st.lists(st.sampled_from(EDITED), min_size=2, max_size=2))
def test_no_edit_is_lost(steps: Steps, names: str, places: list[Place]) -> None:
    """Whatever is edited and sent in whatever order, each last edit is in the log, in a conflict, or was outranked."""
    world = _world(names)
    _play(world, steps, places)
    merged = world.settle_down()
    disputed = {conflict.place for conflict in merged.conflicts}
    says = flatten(merged.log)
    for place in says.keys() & set(places):
        heads = _heads(world, place)
        if place in disputed:
            assert len(heads) > 1
        else:
            assert says[place] in heads
            assert len(heads) == 1 or place in (STEP, MEASURE)
            assert _held_values(world, place) == {says[place]}
    assert merged.log.holder == (START.holder if "a" in names else NO_PHONE)
    for conflict in merged.conflicts:
        world.settle(conflict.place, conflict.values.values())
    settled = world.settle_down()
    assert settled.conflicts == ()
    for place in says.keys() & set(places):
        assert _held_values(world, place) == {flatten(settled.log)[place]}


def _held_values(world: _World, place: Place) -> set[str]:
    """Return what the systems hold that can carry a place and may see it."""
    able = (name for name in world.records if place not in UNCARRIED[name] and place.element not in WITHHELD[name])
    return {world.records[name][place] for name in able if place in world.records[name]}


# --- one merge at a time ---------------------------------------------------------------------------------------------


def _side(name: str, seen: RelayLog, base: RelayLog | None = START, sent: RelayLog | None = None) -> System:
    """Make a system that exchanged `base` when it was agreed, unless it was `sent` something else."""
    return System(name, frozenset({SERVICES[name]}), seen, base, sent or base)


def _with(log: RelayLog, place: Place, value: object) -> RelayLog:
    return unflatten({**flatten(log), place: value})


def _notes(**changes: object) -> RelayLog:
    """Return the common log with its first note changed."""
    return START.model_copy(update={"notes": (START.notes[0].model_copy(update=changes), START.notes[1])})


def _merge(agreed: RelayLog | None, *systems: System) -> Merged:
    return merge(agreed, systems)


ORDERS = st.permutations(range(3))
THREE = st.tuples(logs(), logs(), logs(), logs())


@settings(deadline=None, max_examples=40)
@given(THREE, ORDERS, st.booleans(), st.booleans())
def test_merging_is_blind_to_order(
    drawn: tuple[RelayLog, ...], order: list[int], agreed: bool, exchanged: bool
) -> None:
    """The same systems with the same records give the same outcome in whatever order they are handed in."""
    common, *seen = drawn
    base = common if exchanged else None
    systems = [System(name, frozenset({service}), log, base, base)
               for (name, service), log in zip(SERVICES.items(), seen, strict=True)]  # fmt: skip
    one = merge(common if agreed else None, systems)
    assert merge(common if agreed else None, [systems[at] for at in order]) == one


@settings(deadline=None, max_examples=100)
@given(logs())
def test_a_log_is_its_places(log: RelayLog) -> None:
    """Taken apart and put together a log says the same; only what is each system's own, and the order, is set anew."""
    again = unflatten(flatten(log))
    same = {name: getattr(log, name) for name in ("id", "source", "template", "changed_at")}
    for name in COLLECTIONS:
        assert sorted(getattr(again, name), key=lambda e: e.id) == sorted(getattr(log, name), key=lambda e: e.id)
        same[name] = getattr(log, name)
    assert again.model_copy(update=same) == log
    assert unflatten(flatten(again)) == again


def test_elements_stand_by_their_date() -> None:
    """Elements with a date stand in its order, those without stand first, and equals keep their place."""
    on = [date(2026, 3, 1), None, date(2026, 2, 1), None]
    log = RelayLog(notes=tuple(Note(id=f"n{at}", on=day) for at, day in enumerate(on)))
    assert [note.id for note in unflatten(flatten(log)).notes] == ["n1", "n3", "n2", "n0"]


@settings(deadline=None, max_examples=60)
@given(logs())
def test_without_changes_nothing_happens(log: RelayLog) -> None:
    """Where every system holds what was agreed, the log is the agreed one, and nothing is open."""
    agreed = unflatten(flatten(log)).model_copy(update={"closure": None})
    merged = _merge(agreed, *(_side(name, agreed, agreed) for name in SERVICES))
    assert merged == Merged(merged.log, (), (), merged.provenance)
    assert merged.log == agreed


@settings(deadline=None, max_examples=80)
@given(logs(), logs(), st.data())
def test_one_changed_field_wins(log: RelayLog, other: RelayLog, data: st.DataObject) -> None:
    """What one system alone changed is taken, at that place and no other, unless the place protects somebody."""
    agreed = unflatten(flatten(log)).model_copy(update={"closure": None})
    before, values = flatten(agreed), flatten(other)
    free = [p for p in values if p in before and p.field not in ("", "part", "writer", "closure", "holder")
            and strictest(p) is None and not isinstance(values[p], Actor)]  # fmt: skip
    place = data.draw(st.sampled_from(sorted(free)))
    changed = _with(agreed, place, values[place])
    merged = _merge(agreed, _side("a", agreed, agreed), _side("b", changed, agreed))
    assert merged.conflicts == ()
    assert _content(flatten(merged.log)) == _content({**before, place: values[place]})


def test_equal_changes_agree() -> None:
    """Two systems that changed a field alike have agreed on it."""
    new = _notes(text="nytt")
    merged = _merge(START, _side("a", new), _side("b", new), _side("c", START))
    assert merged.conflicts == ()
    assert merged.log.notes[0].text == "nytt"
    assert merged.provenance[NOTE] == {"a", "b"}


def test_different_changes_conflict_at_that_place_alone() -> None:
    """A disputed place stays at the agreed value with both values shown; the field beside it flows."""
    mine, yours = _notes(text="mitt", author="ny"), _notes(text="ditt")
    merged = _merge(START, _side("a", mine), _side("b", yours))
    assert merged.conflicts == (Conflict(NOTE, {"a": "mitt", "b": "ditt"}),)
    assert (merged.log.notes[0].text, merged.log.notes[0].author) == ("0", "ny")


def test_the_holders_system_ranks_for_the_logs_own_fields() -> None:
    """Of two steps the one in the holder's system is taken; of two texts of a note it is not."""
    sides = [_side("a", _with(START, STEP, "ny")), _side("b", _with(START, STEP, "annan"))]
    assert merge(START, sides) == _merge(START, *reversed(sides))
    assert (merge(START, sides).log.step, merge(START, sides).conflicts) == ("ny", ())


def test_the_responsible_services_system_ranks_for_its_measures() -> None:
    """Of two texts of a measure the one in the responsible service's system is taken."""
    merged = _merge(START, _side("a", _with(START, MEASURE, "ny")), _side("b", _with(START, MEASURE, "annan")))
    assert (merged.log.measures[0].text, merged.conflicts) == ("annan", ())


def test_the_new_holder_ranks_only_when_agreed() -> None:
    """While a new holder is only said by one system, the old holder's system still ranks."""
    taken = START.model_copy(update={"holder": Actor(name="x", service=Service.PPT), "step": "b"})
    merged = _merge(START, _side("a", _with(START, STEP, "a")), _side("b", taken))
    assert merged.log.step == "a"


def test_a_stale_edit_gives_way_to_what_the_ranking_system_holds() -> None:
    """An edit made without knowing the agreed value is outranked by the system that ranks and holds that value."""
    agreed = _with(START, STEP, "ny")
    stale = _side("b", _with(START, STEP, "gammal"), START, START)
    assert _merge(agreed, _side("a", agreed, agreed), stale).log.step == "ny"
    assert _merge(agreed, _side("a", agreed, agreed), stale).conflicts == ()


def test_a_stale_edit_does_not_bring_back_what_a_later_edit_replaced() -> None:
    """Beside an edit that knew the agreed value, a stale one that is outranked changes nothing."""
    agreed = _with(START, MEASURE, "1")
    later = _side("a", _with(START, MEASURE, "2"), agreed)
    stale = _side("c", _with(START, MEASURE, "3"), START)
    merged = _merge(agreed, later, _side("b", agreed, agreed), stale)
    assert (merged.log.measures[0].text, merged.conflicts) == ("2", ())


def test_a_stale_edit_of_what_was_emptied_is_asked_about() -> None:
    """Where one system emptied a field that another has since changed without knowing, a person decides."""
    agreed = _notes(text="")
    merged = _merge(agreed, _side("a", agreed, agreed), _side("b", _notes(text="nytt"), START))
    assert [conflict.place for conflict in merged.conflicts] == [NOTE]
    assert merged.log.notes[0].text == ""


def test_what_was_sent_in_part_is_known() -> None:
    """A system that was sent the holder without telephone may change the holder, and keeps the agreed telephone."""
    side = partial(_side, "b", base=_with(START, HOLDER, NO_PHONE))
    other = Actor(name="Snøfall Testlærer", service=Service.SCHOOL)
    assert _merge(START, _side("a", START), side(_with(START, HOLDER, other))).log.holder == other
    titled = NO_PHONE.model_copy(update={"title": "rektor"})
    merged = _merge(START, _side("a", START), side(_with(START, HOLDER, titled)))
    assert START.holder is not None
    assert merged.log.holder == START.holder.model_copy(update={"title": "rektor"})


def test_what_was_not_shown_is_not_overwritten_unasked() -> None:
    """A system that fills in what it was not shown of a closing does not replace it: that is a conflict."""
    closed = START.model_copy(update={"closure": Closure(on=DAY, text="skildring")})
    shown = START.model_copy(update={"closure": Closure(on=DAY)})
    filled = START.model_copy(update={"closure": Closure(on=DAY, text="anna")})
    merged = _merge(closed, _side("b", closed, closed), _side("c", filled, shown))
    assert [str(conflict.place) for conflict in merged.conflicts] == ["closure"]
    assert merged.log.closure == closed.closure


# --- first contact ---------------------------------------------------------------------------------------------------


def test_first_contact_joins_what_is_equal_and_asks_about_the_rest() -> None:
    """Before anything was agreed different texts conflict, and what only one system says is taken."""
    mine, yours = _notes(author=""), _notes(text="anna")
    merged = _merge(None, _side("a", mine, None), _side("b", yours, None))
    assert [conflict.place for conflict in merged.conflicts] == [NOTE]
    assert (merged.log.notes[0].text, merged.log.notes[0].author) == ("0", "0")


def test_what_a_template_lacks_says_nothing() -> None:
    """A default that stands for a field the template does not have neither disputes nor outranks what another says."""
    knows = START.model_copy(update={"subject": Subject(kind=SubjectKind.YOUTH)})
    first = _merge(None, _side("a", START, None), _side("b", knows, None))
    later = _merge(knows, _side("a", START, None), _side("b", knows, knows))
    for merged in (first, later):
        assert merged.conflicts == ()
        assert merged.log.subject.kind is SubjectKind.YOUTH


@pytest.mark.parametrize(
    ("place", "mine", "yours"),
    [
        (Place("consents", "c1", "status"), ConsentStatus.GIVEN, ConsentStatus.PENDING),
        (Place("consents", "c1", "signed_by"), (Signer(name="x"),), (Signer(name="y"),)),
        (Place("consents", "c1", "valid_from"), date(2026, 1, 1), date(2026, 2, 1)),
        (Place("guardians", "g1", "residence"), Residence.TOGETHER, Residence.SHARED),
    ],
)
def test_what_a_consent_rests_on_is_unknown_while_disputed(place: Place, mine: object, yours: object) -> None:
    """Before it is agreed, neither system's word on a consent's status, signers, start or on residence is taken."""
    log = RelayLog(consents=(Consent(id="c1"),), guardians=(Guardian(id="g1"),))
    merged = _merge(None, _side("a", _with(log, place, mine), None), _side("b", _with(log, place, yours), None))
    assert [conflict.place for conflict in merged.conflicts] == [place]
    assert flatten(merged.log)[place] == flatten(log)[place]


# --- facts that protect somebody -------------------------------------------------------------------------------------

PEOPLE = RelayLog(
    guardians=(Guardian(id="g1", parental_responsibility=True),),
    relatives=(Relative(id="r1"),),
    consents=(Consent(id="c1", status=ConsentStatus.GIVEN, parts=(Part.EDUCATION, Part.PPT, Part.HEALTH)),),
)
STRICT_FACTS: list[tuple[Place, object, object]] = [
    (Place("", "", "violence"), True, False),
    (Place("", "", "subject.address_protection"), AddressProtection.CONFIDENTIAL, AddressProtection.NONE),
    (Place("", "", "subject.address_protection"), AddressProtection.CONFIDENTIAL, AddressProtection.UNKNOWN),
    (Place("guardians", "g1", "barred"), True, False),
    (Place("guardians", "g1", "parental_responsibility"), False, True),
    (Place("guardians", "g1", "parental_responsibility"), False, None),
    (Place("guardians", "g1", "address_protection"), AddressProtection.STRICTLY_CONFIDENTIAL, AddressProtection.NONE),
    (Place("relatives", "r1", "address_protection"), AddressProtection.CLIENT_ADDRESS, AddressProtection.UNKNOWN),
    (Place("consents", "c1", "status"), ConsentStatus.WITHDRAWN, ConsentStatus.GIVEN),
    (Place("consents", "c1", "status"), ConsentStatus.REFUSED, ConsentStatus.UNKNOWN),
    (Place("consents", "c1", "status"), ConsentStatus.EXPIRED, ConsentStatus.GIVEN),
    (Place("consents", "c1", "withdrawn_on"), date(2026, 5, 1), None),
    (Place("consents", "c1", "withdrawn_on"), date(2026, 5, 1), date(2026, 6, 1)),
    (Place("consents", "c1", "valid_to"), date(2026, 5, 1), date(2026, 6, 1)),
    (Place("consents", "c1", "valid_to"), date(2026, 5, 1), None),
    (Place("consents", "c1", "child_asked"), False, True),
    (Place("consents", "c1", "parts"), (Part.EDUCATION,), (Part.EDUCATION, Part.PPT)),
    (Place("consents", "c1", "parts"), (Part.PPT,), ()),
]


@pytest.mark.parametrize(("place", "strict", "loose"), STRICT_FACTS)
def test_the_strictest_holds_from_any_system(place: Place, strict: object, loose: object) -> None:
    """A fact that protects somebody holds whoever says it, before and after it is agreed, without a conflict."""
    strictly, loosely = _with(PEOPLE, place, strict), _with(PEOPLE, place, loose)
    for name, other in permutations(SERVICES, 2):
        for agreed in (None, PEOPLE, loosely, strictly):
            merged = _merge(agreed, _side(name, strictly, agreed), _side(other, loosely, agreed))
            assert flatten(merged.log)[place] == strict
            assert merged.conflicts == ()


@pytest.mark.parametrize(("place", "strict", "loose"), STRICT_FACTS)
def test_what_was_agreed_strictly_is_not_loosened(place: Place, strict: object, loose: object) -> None:
    """Once agreed, not even all systems together loosen it, and what none of them says any more still holds."""
    agreed, loosely = _with(PEOPLE, place, strict), _with(PEOPLE, place, loose)
    merged = _merge(agreed, *(_side(name, loosely, agreed) for name in SERVICES))
    assert flatten(merged.log)[place] == strict
    gone = _merge(agreed, *(_side(name, RelayLog(), agreed) for name in SERVICES))
    assert flatten(gone.log)[place] == strict


def test_scopes_without_a_common_part_leave_education() -> None:
    """Where two systems name different parts of one consent, what is left is what a consent always names."""
    place = Place("consents", "c1", "parts")
    mine, yours = _with(PEOPLE, place, (Part.PPT,)), _with(PEOPLE, place, (Part.HEALTH,))
    assert _merge(None, _side("a", mine, None), _side("b", yours, None)).log.consents[0].parts == (Part.EDUCATION,)


@pytest.mark.parametrize("who", [ClosedBy.GUARDIAN, ClosedBy.YOUTH])
@pytest.mark.parametrize("name", list(SERVICES))
def test_the_family_is_obeyed_when_it_closes(who: ClosedBy, name: str) -> None:
    """The family's closing holds from any system over any other change, and cannot be taken back by a system."""
    active = START.model_copy(update={"status": LogStatus.ACTIVE})
    closing = Closure(on=DAY, reason=ClosureReason.CONSENT_WITHDRAWN, decided_by=who)
    closed = active.model_copy(update={"closure": closing})
    paused = active.model_copy(update={"status": LogStatus.PAUSED})
    others = [_side(other, paused, active) for other in SERVICES if other != name]
    merged = _merge(active, _side(name, closed, active), *others)
    assert (merged.log.status, merged.log.closure, merged.conflicts) == (LogStatus.CLOSED, closing, ())
    taken_back = _merge(merged.log, *(_side(other, paused, merged.log) for other in SERVICES))
    assert (taken_back.log.status, taken_back.log.closure) == (LogStatus.CLOSED, closing)


def test_a_log_that_the_family_closed_can_be_archived() -> None:
    """Archived is closed too: obeying the family does not open the archive again."""
    closing = Closure(on=DAY, decided_by=ClosedBy.GUARDIAN)
    closed = START.model_copy(update={"status": LogStatus.CLOSED, "closure": closing})
    archived = closed.model_copy(update={"status": LogStatus.ARCHIVED})
    assert _merge(closed, _side("a", archived, closed)).log.status is LogStatus.ARCHIVED


PART = Place("notes", "n1", "part")


@pytest.mark.parametrize(
    ("name", "was", "part", "becomes"),
    [
        ("b", Part.PPT, Part.OWN, Part.OWN),
        ("b", Part.EDUCATION, Part.HEALTH, Part.HEALTH),
        ("b", Part.PPT, Part.EDUCATION, Part.PPT),
        ("c", Part.PPT, Part.HEALTH, Part.PPT),
        ("a", Part.PPT, Part.EDUCATION, Part.EDUCATION),
        ("a", Part.PPT, Part.HEALTH, Part.HEALTH),
    ],
)
def test_any_system_tightens_a_part_and_its_writers_loosens_it(name: str, was: Part, part: Part, becomes: Part) -> None:
    """A part that another system loosens, or makes another of its like, stays; its writer's system may do both."""
    agreed = _with(START, PART, was)
    merged = _merge(agreed, *(_side(n, _with(agreed, PART, part if n == name else was), agreed) for n in SERVICES))
    assert (merged.log.notes[0].part, merged.conflicts) == (becomes, ())


def test_the_tightest_of_several_parts_holds() -> None:
    """Where systems set different parts the tightest counts at once, also before anything was agreed."""
    sides = {"a": Part.EDUCATION, "b": Part.PPT, "c": Part.OWN}
    for agreed in (None, START):
        merged = _merge(agreed, *(_side(name, _with(START, PART, part), agreed) for name, part in sides.items()))
        assert (merged.log.notes[0].part, merged.conflicts) == (Part.OWN, ())


def test_a_part_that_was_tightened_elsewhere_stays_when_its_writers_system_still_says_the_old() -> None:
    """That the writer's template keeps saying its usual part is no loosening, also after an exchange."""
    mine, yours = START, _with(START, PART, Part.OWN)
    sides = [_side("a", mine, None), _side("b", yours, None)]
    merged = merge(None, sides)
    agreed, after = acknowledge(None, merged, sides, Exchange("b", merged.log, yours))
    assert merge(agreed, after).log.notes[0].part is Part.OWN


def test_the_writer_stays_with_an_element() -> None:
    """A system that reads an element back as its own neither becomes its writer nor may loosen its part."""
    agreed = _with(START, PART, Part.OWN)
    writer = PART._replace(field="writer")
    claimed = _with(_with(agreed, writer, Service.PPT), PART, Part.EDUCATION)
    note = _merge(agreed, _side("a", agreed, agreed), _side("b", claimed, agreed)).log.notes[0]
    assert (note.writer, note.part) == (Service.SCHOOL, Part.OWN)


# --- elements that come and go ---------------------------------------------------------------------------------------


def test_a_missing_element_is_a_proposal_and_stays() -> None:
    """An element that is gone from a system that had it stays in the log, and its deletion is asked about."""
    without = START.model_copy(update={"notes": START.notes[1:]})
    merged = _merge(START, _side("a", without), _side("b", START))
    assert merged.deletions == (Deletion("a", "notes", "n1"),)
    everywhere = _merge(START, _side("a", without), _side("b", without))
    for log in (merged.log, everywhere.log):
        assert sorted(log.notes, key=lambda note: note.id) == list(START.notes)


def test_what_was_left_out_is_no_deletion() -> None:
    """An element that a system was never sent is not missing there."""
    shown = START.model_copy(update={"notes": START.notes[:1]})
    sides = [_side("a", START), System("b", frozenset({Service.PPT}), shown)]
    merged = merge(START, sides)
    agreed, after = acknowledge(START, merged, sides, Exchange("b", shown, shown))
    again = merge(agreed, after)
    assert (merged.deletions, again.deletions) == ((), ())
    assert again.log.notes == START.notes


def test_what_a_template_cannot_hold_is_no_deletion() -> None:
    """Elements that were sent but that the receiver's template has no room for are not missing there."""
    room = START.model_copy(update={"measures": ()})
    sides = [_side("a", START), System("b", frozenset({Service.PPT}), room)]
    agreed, after = acknowledge(START, merge(START, sides), sides, Exchange("b", START, room))
    assert merge(agreed, after).deletions == ()


def test_new_elements_of_all_systems_stand_in_the_log() -> None:
    """What each system added is in the log, once."""
    added = {name: (*START.notes, Note(id=f"new-{name}", text=name)) for name in SERVICES}
    merged = _merge(START, *(_side(name, START.model_copy(update={"notes": notes})) for name, notes in added.items()))
    assert {note.id for note in merged.log.notes} == {"n1", "n2", "new-a", "new-b", "new-c"}
    assert (merged.conflicts, merged.deletions) == ((), ())


# --- settlements -----------------------------------------------------------------------------------------------------


def test_a_settlement_holds_until_another_candidate() -> None:
    """What a person decided over two values stands for those two, and is asked again when a third is said."""
    sides = [_side("a", _notes(text="mitt")), _side("b", _notes(text="ditt"))]
    settled = {NOTE: Settlement("vårt", ("mitt", "ditt"))}
    merged = merge(START, sides, settled)
    assert (merged.log.notes[0].text, merged.conflicts) == ("vårt", ())
    third = merge(START, [*sides, _side("c", _notes(text="eit tredje"))], settled)
    assert [conflict.place for conflict in third.conflicts] == [NOTE]


def test_a_settlement_survives_being_sent() -> None:
    """While one system has taken in what was decided and the other has not yet, the question stays answered."""
    sides = [_side("a", _notes(text="mitt")), _side("b", _notes(text="ditt"))]
    settled = {NOTE: Settlement("vårt", ("mitt", "ditt"))}
    merged = merge(START, sides, settled)
    agreed, after = acknowledge(START, merged, sides, Exchange("a", merged.log, merged.log))
    again = merge(agreed, after, settled)
    assert (again.log.notes[0].text, again.conflicts) == ("vårt", ())


def test_a_settlement_typed_in_by_hand_is_no_third_word() -> None:
    """Who writes the decided value into one system beforehand does not open the question again."""
    sides = [_side("a", _notes(text="vårt")), _side("b", _notes(text="ditt"))]
    merged = merge(START, sides, {NOTE: Settlement("vårt", ("mitt", "ditt"))})
    assert (merged.log.notes[0].text, merged.conflicts) == ("vårt", ())


def test_a_settlement_knows_a_person_who_is_told_less_fully() -> None:
    """A template without phone and title says the same person whom the decision was made over."""
    whole, other = Actor(name="Solskinn Prøvelid", phone="+47 00 00 00 01"), Actor(name="Havgull Prøvelid")
    settled = Settlement(other, (whole,))
    assert settled.covers(Actor(name="Solskinn Prøvelid"))
    assert settled.covers(other)
    assert not settled.covers(Actor(name="Solskinn Prøvelid", phone="+47 00 00 00 02"))


@settings(deadline=None, max_examples=20)
@given(logs())
def test_every_value_comes_back_from_its_json(log: RelayLog) -> None:
    """A chosen value is kept as JSON, and read again it is the value, of whatever kind its place holds."""
    as_json: TypeAdapter[Any] = TypeAdapter(Any)
    for place, value in flatten(log).items():
        if place.field:
            assert typed(place, as_json.dump_python(value, mode="json")) == value


def test_the_value_from_before_may_be_chosen_and_holds() -> None:
    """Chosen is what stood before both edits: when one system has taken it in, the other's edit does not come back."""
    settled = {NOTE: Settlement("0", ("0", "1", "00"))}
    sides: Sequence[System] = [_side("a", _notes(text="1")), _side("b", _notes(text="00"))]
    merged = merge(START, sides, settled)
    agreed, sides = acknowledge(START, merged, sides, Exchange("a", merged.log, merged.log))
    assert merge(agreed, sides, settled).log.notes[0].text == "0"
    later = [replace(side, seen=_notes(text="2")) if side.connection == "b" else side for side in sides]
    assert merge(agreed, later, settled).log.notes[0].text == "2"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(min_size=1, max_size=3), min_size=2, max_size=3, unique=True), st.data())
def test_what_is_settled_comes_to_rest_whatever_was_said(texts: list[str], data: st.DataObject) -> None:
    """The chosen text is the log's, nothing is disputed, and when each system has taken it in all is quiet."""
    names = sorted(SERVICES)[: len(texts)]
    sides: Sequence[System] = [
        _side(name, _notes(text=text)) for name, text in zip(names, texts, strict=False) if text != START.notes[0].text
    ]
    chosen = data.draw(st.sampled_from(texts))
    settled = {NOTE: Settlement(chosen, tuple(texts))}
    agreed: RelayLog | None = START
    for name in data.draw(st.permutations([side.connection for side in sides])):
        merged = merge(agreed, sides, settled)
        if len(sides) > 1:
            assert (merged.log.notes[0].text, merged.conflicts) == (chosen, ())
        agreed, sides = acknowledge(agreed, merged, sides, Exchange(name, merged.log, merged.log))
    last = merge(agreed, sides, settled)
    assert last.conflicts == ()
    assert {side.seen.notes[0].text for side in sides} <= {last.log.notes[0].text}


# --- acknowledging ---------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(logs(), logs(), st.sampled_from([None, START]))
def test_after_all_have_taken_it_in_all_is_quiet(one: RelayLog, two: RelayLog, agreed: RelayLog | None) -> None:
    """When every system has taken in the merged log there is no conflict, no deletion and nothing left to send."""
    sides: Sequence[System] = [_side("a", one, agreed), _side("b", two, agreed)]
    whole = merge(agreed, sides).log
    emptied = frozenset(place for place, value in flatten(whole).items() if empty(value))
    sides = [replace(side, seen=whole) for side in sides]
    for side in sides:
        held = {other.connection: other.seen for other in sides}
        agreed, sides = acknowledge(
            agreed, merge(agreed, sides), sides, Exchange(side.connection, whole, whole, emptied, held)
        )
    again = merge(agreed, sides)
    assert (again.conflicts, again.deletions) == ((), ())
    assert _content(flatten(again.log)) == _content(flatten(whole))
    assert [_content(flatten(side.base)) for side in sides if side.base] == [_content(flatten(whole))] * 2


def test_an_edit_of_a_withheld_place_is_not_forgotten() -> None:
    """What a system changed in a field that its view lacks is still its change after the exchange."""
    edited = _notes(author="ny")
    sides = [_side("a", START), _side("b", edited)]
    merged = merge(START, sides)
    view = _with(merged.log, AUTHOR, "")
    agreed, after = acknowledge(START, merged, sides, Exchange("b", view, edited))
    assert flatten(agreed)[AUTHOR] == "0"
    assert merge(agreed, after).log.notes[0].author == "ny"


def test_an_edit_of_a_frozen_place_is_not_forgotten() -> None:
    """A conflict is still open after an exchange that left the place out, whatever stood there in the view."""
    kind = NOTE._replace(field="kind")
    mine, yours = _with(START, kind, NoteKind.SURVEY), _with(START, kind, NoteKind.BRIGHT_SPOT)
    sides = [_side("a", mine), _side("b", yours)]
    merged = merge(START, sides)
    agreed, after = acknowledge(START, merged, sides, Exchange("a", _with(merged.log, kind, NoteKind.NOTE), mine))
    assert merge(agreed, after).conflicts == merged.conflicts != ()


def test_what_a_view_shows_in_part_is_agreed_whole() -> None:
    """A closing delivered without its text, and a holder without telephone, are not shortened in the log by that."""
    closed = START.model_copy(update={"closure": Closure(on=DAY, text="skildring")})
    shown = START.model_copy(update={"closure": Closure(on=DAY), "holder": NO_PHONE})
    sides = [_side("a", closed), _side("b", shown, None)]
    merged = merge(START, sides)
    agreed, after = acknowledge(START, merged, sides, Exchange("b", shown, shown))
    again = merge(agreed, after)
    assert (again.log.closure, again.log.holder, again.conflicts) == (closed.closure, START.holder, ())


def test_a_coarser_answer_is_no_change() -> None:
    """A template that rounds what it was sent does not thereby change it; a later edit there counts."""
    place = Place("", "", "level")
    agreed = START.model_copy(update={"level": BtiLevel.SEVERAL_SERVICES})
    coarse = START.model_copy(update={"level": BtiLevel.TWO_SERVICES})
    sides = [_side("a", agreed, agreed), _side("b", START, START)]
    merged = merge(agreed, sides)
    agreed, after = acknowledge(agreed, merged, sides, Exchange("b", merged.log, coarse))
    assert merge(agreed, after).log.level is BtiLevel.SEVERAL_SERVICES
    edited = [replace(side, seen=_with(coarse, place, BtiLevel.ONE_SERVICE)) if side.connection == "b" else side
              for side in after]  # fmt: skip
    assert merge(agreed, edited).log.level is BtiLevel.ONE_SERVICE


def test_what_was_emptied_on_purpose_is_agreed_empty() -> None:
    """A field that one system emptied and another was told to empty is empty and stays so."""
    sides = [_side("a", _notes(text="")), _side("b", START)]
    merged = merge(START, sides)
    exchange = Exchange("b", merged.log, _notes(text=""), frozenset({NOTE}))
    agreed, after = acknowledge(START, merged, sides, exchange)
    assert (flatten(agreed)[NOTE], merge(agreed, after).log.notes[0].text) == ("", "")


def test_an_edit_made_while_a_delivery_was_on_its_way_is_not_lost() -> None:
    """A system that edits again what is being delivered elsewhere has changed it, and disputes nothing."""
    first, second = _side("a", _notes(text="1")), _notes(text="2")
    sides = [first, _side("b", START)]
    merged = merge(START, sides)
    held = {side.connection: side.seen for side in sides}
    now = [replace(first, seen=second), sides[1]]
    agreed, after = acknowledge(START, merged, now, Exchange("b", merged.log, merged.log, held=held))
    again = merge(agreed, after)
    assert (again.log.notes[0].text, again.conflicts) == ("2", ())


def test_a_late_receipt_does_not_bring_back_what_was_replaced() -> None:
    """When something newer was agreed while a delivery was on its way, its receipt does not undo that."""
    old, new = _notes(text="1"), _notes(text="2")
    sides = [_side("a", old, old), _side("b", START), _side("c", old, old)]
    merged = merge(old, sides)
    held = {side.connection: side.seen for side in sides}
    meanwhile = [sides[0], sides[1], _side("c", new, new)]
    agreed, after = acknowledge(new, merged, meanwhile, Exchange("b", merged.log, old, held=held))
    assert flatten(agreed)[NOTE] == "2"
    assert merge(agreed, after).log.notes[0].text == "2"


def test_an_edit_of_the_receivers_own_is_not_lost_where_it_does_not_become_agreed() -> None:
    """What it was only sent back stays its edit, where others seem to have agreed on something since."""
    mine = _notes(text="1")
    sides = [_side("a", START), _side("b", mine)]
    merged = merge(START, sides)
    agreed, after = acknowledge(START, merged, sides, Exchange("b", merged.log, mine, held={"a": mine, "b": mine}))
    again = merge(agreed, after)
    assert (again.log.notes[0].text, again.conflicts) == ("1", ())


def test_what_the_receiver_changed_meanwhile_is_its_own_edit() -> None:
    """A field that the receiver changed while another was being written there is not taken for what was written."""
    sides = [_side("a", _notes(author="ny")), _side("b", START)]
    merged = merge(START, sides)
    held = {side.connection: side.seen for side in sides}
    agreed, after = acknowledge(
        START, merged, sides, Exchange("b", merged.log, _notes(author="ny", text="nytt"), held=held)
    )
    assert merge(agreed, after).log.notes[0].text == "nytt"


def test_a_receipt_agrees_on_what_was_delivered() -> None:
    """A delivery found out late makes agreed what it carried, not what the log has become since."""
    old, new = _notes(text="1"), _notes(text="2")
    sides = [_side("a", new), _side("b", START)]
    exchange = Exchange("b", old, old, held={"a": old, "b": old})
    agreed, after = acknowledge(START, merge(START, sides), sides, exchange)
    again = merge(agreed, after)
    assert flatten(agreed)[NOTE] == "1"
    assert (again.log.notes[0].text, again.conflicts) == ("2", ())


def test_a_second_edit_by_the_receiver_is_not_lost() -> None:
    """A receiver that changes once more what it had just said has changed it, though its first word is agreed."""
    sides = [_side("a", _notes(author="ny")), _side("b", _notes(text="1"))]
    merged = merge(START, sides)
    held = {side.connection: side.seen for side in sides}
    now = _notes(author="ny", text="2")
    agreed, after = acknowledge(START, merged, sides, Exchange("b", merged.log, now, held=held))
    again = merge(agreed, after)
    assert (again.log.notes[0].text, again.conflicts) == ("2", ())


def test_a_coarse_field_that_the_receiver_changed_meanwhile_is_its_own_edit() -> None:
    """Where nothing was written, another value than the template's rounding is an edit."""
    agreed = START.model_copy(update={"level": BtiLevel.SEVERAL_SERVICES})
    coarse = START.model_copy(update={"level": BtiLevel.TWO_SERVICES})
    sides = [_side("a", _with(agreed, AUTHOR, "ny"), agreed), _side("b", coarse, coarse, agreed)]
    merged = merge(agreed, sides)
    held = {side.connection: side.seen for side in sides}
    now = _notes(author="ny").model_copy(update={"level": BtiLevel.ONE_SERVICE})
    after_agreed, after = acknowledge(agreed, merged, sides, Exchange("b", merged.log, now, held=held))
    assert merge(after_agreed, after).log.level is BtiLevel.ONE_SERVICE


def test_a_late_receipt_does_not_make_others_dispute() -> None:
    """Systems that have exchanged something newer since keep that as what they know."""
    old, new = _notes(text="1"), _notes(text="2")
    sides = [_side("a", old, old), _side("b", START)]
    merged = merge(old, sides)
    held = {side.connection: side.seen for side in sides}
    meanwhile = [_side("a", new, new), sides[1], _side("c", _notes(text="3"), new)]
    agreed, after = acknowledge(new, merged, meanwhile, Exchange("b", merged.log, old, held=held))
    again = merge(agreed, after)
    assert (again.log.notes[0].text, again.conflicts) == ("3", ())


def test_a_source_that_drops_its_protections_loosens_nothing() -> None:
    """What protected somebody once is remembered, also when its only source takes it back before any exchange."""
    guardian = Guardian(id="g", name="Mor", barred=True)
    ended = Consent(id="c", recipient=Service.SCHOOL, status=ConsentStatus.WITHDRAWN)
    subject = Subject(address_protection=AddressProtection.CONFIDENTIAL)
    strict = RelayLog(violence=True, subject=subject, guardians=(guardian,), consents=(ended,))
    first = merge(None, [System("a", frozenset(), strict)])
    kept = remembered(None, first.log)
    loose = RelayLog(
        subject=Subject(address_protection=AddressProtection.NONE),
        guardians=(guardian.model_copy(update={"barred": False}),),
        consents=(ended.model_copy(update={"status": ConsentStatus.GIVEN}),),
    )
    log = merge(kept, [System("a", frozenset(), loose)]).log
    assert log.violence
    assert log.subject.address_protection is AddressProtection.CONFIDENTIAL
    assert log.guardians[0].barred
    assert log.consents[0].status is ConsentStatus.WITHDRAWN
    assert remembered(None, RelayLog()) is None
