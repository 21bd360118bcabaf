"""One log out of what every system says: a pure function over all systems at once, blind to the order of arrival.

A log is compared place by place. Each system has a base (what it held when the hub last exchanged with it), what the
hub had sent it then, and what it holds now. A place that one system changed takes its value; when several changed it
differently a rule ranks them, or the place stays at the agreed value and is a conflict that freezes it alone. Facts
that protect somebody are never merged away: the strictest from any system holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple, TypeVar, cast

from pydantic import TypeAdapter

from hub.relaylog.codes import AddressProtection, ClosedBy, ConsentStatus, LogStatus, Part, Service
from hub.relaylog.gates import Stop
from hub.relaylog.making import changed, made
from hub.relaylog.model import COLLECTIONS, Actor, Closure, Element, Frozen, Guardian, OrgUnit, RelayLog


class Place(NamedTuple):
    """A place in a log: list, element id and field. The log's own fields have neither list nor id."""

    collection: str
    element: str
    field: str

    def __str__(self) -> str:
        return f"{self.collection}/{self.element}/{self.field}" if self.collection else self.field


Key = tuple[str, str]
"""A list of the log and the id of an element in it."""

V = TypeVar("V", bound=Frozen)

Flat = dict[Place, Any]
"""A log as its places. An element's own place, with an empty field, holds its position in its list."""


@dataclass(frozen=True)
class System:
    """One connection's side of a log. `seen` is what it holds now, in the hub's ids.

    `base` is what it held when last exchanged and `sent` what the hub meant by that, in the hub's precision; both are
    None before the first exchange. `services` are those whose work lies in the system.
    """

    connection: str
    services: frozenset[Service]
    seen: RelayLog
    base: RelayLog | None = None
    sent: RelayLog | None = None


@dataclass(frozen=True)
class Conflict:
    """Systems disagree on a place and no rule ranks them. `values` are by connection."""

    place: Place
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Deletion:
    """An element that was in a system when last exchanged and is gone there: a proposal, never a deletion."""

    connection: str
    collection: str
    element: str


@dataclass(frozen=True)
class Merged:
    """The outcome: the log, what stays open, and which connections say each place's value."""

    log: RelayLog
    conflicts: tuple[Conflict, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(RelayLog(), dict), compare=False, repr=False)
    removed: frozenset[Key] = frozenset()
    """Elements that a person had removed: they are emptied where they still stand."""
    untold: frozenset[Key] = frozenset()
    """Elements that stay though no system tells of them: they are written nowhere."""
    released: frozenset[str] = frozenset()
    """Reasons that a person has looked at for the log as it stands, and let it go in spite of."""
    proposed: tuple[Guardian, ...] = ()
    """Guardians that systems name and nobody has confirmed: not in the log, but counted where they protect somebody."""
    settled: frozenset[Place] = frozenset()
    """Places at which a person's choice holds over what systems say."""
    restricted: bool = False
    """Somebody objects, or demands that use be restricted: the log goes nowhere."""
    mixed: tuple[Stop, ...] = ()
    """Why the log goes nowhere because it may hold texts about two persons."""


@dataclass(frozen=True)
class Settlement:
    """What a person decided for a place, over which values. It holds until a system says something else."""

    value: Any
    over: tuple[Any, ...]

    def covers(self, said: Any) -> bool:
        """Tell whether a value is one that was decided over, though perhaps told less fully."""
        return any(_filled(said, known) == known for known in (self.value, *self.over))


Settlements = Mapping[Place, Settlement]

NESTED_PLACES = frozenset({"subject"})
"""Values of the log whose fields are places of their own. Other nested values are one place: a name without its unit
is nobody."""

OWN_OF_SYSTEM = frozenset({"id", "canonical", "changed_at", "source", "template"})
"""Fields that are each system's own and never merged; the hub sets them."""

UNKNOWN_WHILE_DISPUTED = frozenset(
    {("consents", "status"), ("consents", "signed_by"), ("consents", "valid_from"), ("guardians", "residence")}
)
"""What a consent rests on: while systems dispute it and nothing was agreed, nobody's word opens anything."""

UNDISPUTED = frozenset({"writer", "written_on", "language", "opened_by", "unit"})
"""Fields in which systems may differ without anybody having to decide: the agreed or first value stays."""


def merge(agreed: RelayLog | None, systems: Sequence[System], settlements: Settlements | None = None) -> Merged:
    """Merge what all systems say into one log.

    `agreed` is what was last agreed between the systems, or None at first contact. The same systems with the same
    records give the same outcome in whatever order they are handed in. The log's id, source and `changed_at` are the
    caller's to set.
    """
    if agreed is None and len(systems) == 1 and systems[0].base is None:
        return _told_by_one(systems[0])
    return _Merge(agreed, sorted(systems, key=lambda system: system.connection), settlements or {}).merged()


def _told_by_one(system: System) -> Merged:
    """Return what `_Merge` would of a log that one system alone has ever told of: as it tells it.

    There is nothing to compare: what is empty in a way of its own is empty, and a family is obeyed. Most logs are new
    once, and this is then most of what merging costs.
    """
    values = dict(_blank(RelayLog))
    for name, value in system.seen.__dict__.items():
        if name in OWN_OF_SYSTEM or empty(value):
            continue
        if name in COLLECTIONS:
            value = tuple(sorted(map(_plain, value), key=_when))
        values[name] = _plain(value) if name in NESTED_PLACES else value
    if _is_familys(values["closure"]) and values["status"] is not LogStatus.ARCHIVED:
        values["status"] = LogStatus.CLOSED
    log = made(RelayLog, _fields(RelayLog), values)
    return Merged(log, provenance=Provenance(log, lambda: {system.connection: _Opened(system.seen)}))


def _is_familys(closure: Closure | None) -> bool:
    """Tell whether the family or the youth closed a log."""
    return closure is not None and closure.decided_by in (ClosedBy.GUARDIAN, ClosedBy.YOUTH)


class _Opened:
    """A log opened up for comparing: its own fields as places, and its elements by list and id."""

    def __init__(self, log: RelayLog | None) -> None:
        self.own: Flat = {}
        self.elements: dict[Key, Element] = {}
        self.positions: dict[Key, int] = {}
        for name, value in log.__dict__.items() if log else ():
            if name in COLLECTIONS:
                for position, element in enumerate(value):
                    self.elements[name, element.id] = element
                    self.positions[name, element.id] = position
            elif name in NESTED_PLACES:
                self.own.update((_own_place(f"{name}.{inner}"), inside) for inner, inside in value.__dict__.items())
            elif name not in OWN_OF_SYSTEM:
                self.own[_own_place(name)] = value

    def __contains__(self, place: Place) -> bool:
        """Tell whether the log has a place, be it empty."""
        collection, element, _ = place
        return (collection, element) in self.elements if collection else place in self.own

    def get(self, place: Place) -> Any:
        """Return the value at a place; None where there is no such place."""
        collection, element_id, name = place
        if not collection:
            return self.own.get(place)
        element = self.elements.get((collection, element_id))
        if element is None:
            return None
        return element.__dict__[name] if name else self.positions[collection, element_id]


class _Merge:
    """The work of one merge: all sides opened up, and compared element by element, then place by place."""

    def __init__(self, agreed: RelayLog | None, systems: Sequence[System], settlements: Settlements) -> None:
        self._systems = systems
        self._settlements = settlements
        self._agreed = _Opened(agreed)
        self._seen = {system.connection: _Opened(system.seen) for system in systems}
        self._base = {system.connection: _Opened(system.base) for system in systems}
        self._sent = {system.connection: _Opened(system.sent) for system in systems}
        self._holder = self._service_of(Place("", "", "holder"))
        self._conflicts: list[Conflict] = []
        self._settled: set[Place] = set()

    def merged(self) -> Merged:
        """Go through every place that any side knows."""
        opened = (self._agreed, *self._seen.values())
        own = self._own(opened)
        self._obey_family(own)
        keys = sorted({key for log in opened for key in log.elements})
        elements = [(key, self._position(key), self._element(key)) for key in keys]
        log = _assembled(own, elements)
        provenance, settled = Provenance(log, lambda: self._seen), frozenset(self._settled)
        return Merged(log, tuple(self._conflicts), tuple(self._deletions()), provenance, settled=settled)

    def _own(self, opened: Sequence[_Opened]) -> Flat:
        """Merge the log's own fields; those that only one system has ever told of are as it tells them."""
        if len(self._seen) == 1 and not self._agreed.own and not any(base.own for base in self._base.values()):
            (alone,) = self._seen.values()
            if all(not empty(value) or value == _default("", place.field) for place, value in alone.own.items()):
                return dict(alone.own)
        return {place: self._value(place) for place in sorted({place for log in opened for place in log.own})}

    def _service_of(self, place: Place) -> Service | None:
        """Return the service of the person whom a place names: as agreed, else as all systems say that name one."""
        agreed = self._agreed.get(place)
        named = [agreed] if agreed else [value for log in self._seen.values() if (value := log.get(place))]
        services = {actor.service for actor in named}
        return services.pop() if len(services) == 1 else None

    def _position(self, key: Key) -> tuple[int, int]:
        """Where an element stands among its like: by the first system, by name, that has it, else as agreed."""
        for rank, log in enumerate(self._seen.values()):
            if key in log.positions:
                return rank, log.positions[key]
        return len(self._seen), self._agreed.positions.get(key, 0)

    def _element(self, key: Key) -> Element:
        """Merge one element; most are as agreed, or known to one system alone, which is told without a closer look."""
        agreed = self._agreed.elements.get(key)
        said = {name: log.elements[key] for name, log in self._seen.items() if key in log.elements}
        base = {name: self._base[name].elements.get(key) for name in said}
        if agreed is not None and all(base[name] == one and _bound_by(key, agreed, one) for name, one in said.items()):
            return agreed
        if agreed is None and len(said) == 1:
            (name, alone), *_ = said.items()
            if base[name] is None:
                return _plain(alone)
        places = _element_places(*key)[1:]
        values = {place.field: self._value(place) for place in sorted(places)}
        return _made(COLLECTIONS[key[0]], key[1], values)

    def _value(self, place: Place) -> Any:
        said = {name: log.get(place) for name, log in self._seen.items() if place in log}
        agreed = self._agreed.get(place)
        strict = strictest(place)
        if strict is not None:
            bound = strict([value for value in (agreed, *said.values()) if not empty(value)])
            if bound is not None:
                return bound
        if place.field == "writer" and not empty(agreed):
            return agreed
        return self._choose(place, agreed, *self._candidates(place, agreed, said))

    def _saying(self, place: Place, value: Any) -> frozenset[str]:
        return _saying(self._seen, place, value)

    def _candidates(self, place: Place, agreed: Any, said: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return what was changed, by connection, and the connections that changed it unaware of the agreed value."""
        changed: dict[str, Any] = {}
        unaware: set[str] = set()
        for name, value in said.items():
            base, sent = self._base[name], self._sent[name]
            if (base.get(place) == value) if place in base else silent(place, value):
                continue
            if place.field == "part" and not self._may_set_part(place, name, agreed, value):
                continue
            changed[name] = _filled(value, agreed)
            aware = place in base and _knew(sent.get(place), agreed, changed[name])
            if not aware and changed[name] != agreed and self._said(place, sent.get(place)):
                unaware.add(name)
        return changed, unaware

    def _said(self, place: Place, sent: Any) -> bool:
        """Tell whether something was agreed on a place: a value, or that what a system was once sent is emptied."""
        return place in self._agreed and not (silent(place, self._agreed.get(place)) and silent(place, sent))

    def _choose(self, place: Place, agreed: Any, changed: dict[str, Any], unaware: set[str]) -> Any:
        """Return the value that all changes lead to; the agreed one stands against those made unaware of it."""
        standing = [agreed] if unaware else []
        values = _fullest([*changed.values(), *standing])
        if not values:
            return agreed
        if len(values) == 1:
            return values[0]
        if place.field == "part":
            return max(values, key=lambda part: (TIGHTNESS[part], part))
        settled = self._settlements.get(place)
        if settled and all(settled.covers(value) for value in changed.values()):
            self._settled.add(place)
            return settled.value
        return self._rank(place, agreed, changed, unaware)

    def _rank(self, place: Place, agreed: Any, changed: dict[str, Any], unaware: set[str]) -> Any:
        ranking = {name for name, log in self._seen.items() if place in log and self._ranks(place, name)}
        upheld = bool(unaware and ranking & self._saying(place, agreed))
        heard = {name: value for name, value in changed.items() if not upheld or name not in unaware - ranking}
        standing = [agreed] if unaware & heard.keys() else []
        ranked = _distinct(
            [*(value for name, value in heard.items() if name in ranking), *(standing if upheld else [])]
        )
        left = ranked if len(ranked) == 1 else _distinct([*heard.values(), *standing])
        if len(left) < 2:
            return left[0] if left else agreed
        if place.field not in UNDISPUTED:
            self._conflicts.append(Conflict(place, changed))
        if unaware or not silent(place, agreed) or (place.collection, place.field) in UNKNOWN_WHILE_DISPUTED:
            return agreed
        return changed[min(changed)]

    def _ranks(self, place: Place, connection: str) -> bool:
        """The holder's system ranks for the log's own fields, the responsible service's for its measures."""
        services = next(system.services for system in self._systems if system.connection == connection)
        if not place.collection or place.collection == "handovers":
            return self._holder in services
        if place.collection == "measures":
            return self._service_of(place._replace(field="responsible")) in services
        return False

    def _may_set_part(self, place: Place, connection: str, agreed: Any, part: Part) -> bool:
        """Any system may tighten a part, only its writer's may loosen it or make it another of its like."""
        if agreed is None or TIGHTNESS[part] > TIGHTNESS[agreed]:
            return True
        writer = self._agreed.get(place._replace(field="writer"))
        return writer in next(system.services for system in self._systems if system.connection == connection)

    def _obey_family(self, own: Flat) -> None:
        """The family or the youth closing the log is obeyed from any system."""
        closings = [log.get(CLOSURE) for log in (self._agreed, *self._seen.values())]
        obeyed = [closure for closure in closings if _is_familys(closure)]
        if obeyed:
            own[CLOSURE] = min(obeyed, key=lambda closure: (closure.on or date.max, str(closure.reason), closure.text))
            if own.get(STATUS) is not LogStatus.ARCHIVED:
                own[STATUS] = LogStatus.CLOSED
            self._conflicts = [each for each in self._conflicts if each.place not in (CLOSURE, STATUS)]

    def _deletions(self) -> Iterator[Deletion]:
        for name, base in self._base.items():
            for collection, element in base.elements:
                if (collection, element) not in self._seen[name].elements:
                    yield Deletion(name, collection, element)


def _saying(seen: Mapping[str, _Opened], place: Place, value: Any) -> frozenset[str]:
    """Return the connections that say a value, as fully as their template can."""
    return frozenset(name for name, log in seen.items() if place in log and _tells(log, place, value))


def _tells(log: _Opened, place: Place, value: Any) -> bool:
    """Tell whether a log says a value, as fully as its template can."""
    said = log.get(place)
    return bool(said == value or _filled(said, value) == value)


def _bound_by(key: Key, agreed: Element, said: Element) -> bool:
    """Tell whether what a system says of an element cannot tighten what is agreed of it."""
    return key[0] not in PROTECTING or said == agreed


def _plain(value: V) -> V:
    """Return what merging a value alone makes of it: what is empty in a way of its own is as if nothing were said."""
    blank = _blank(type(value))
    own = [name for name, said in value.__dict__.items() if said in _EMPTY and said != blank[name] and name != "id"]
    return changed(value, {name: blank[name] for name in own}) if own else value


class Provenance:
    """Which connections say the value that a place got; told when asked."""

    def __init__(self, log: RelayLog, seen: Callable[[], Mapping[str, _Opened]]) -> None:
        self._log = log
        self._open = seen

    def __getitem__(self, place: Place) -> frozenset[str]:
        """Return the connections that say the value of a place."""
        return _saying(self._seen, place, self._opened.get(place))

    def says(self, connection: str, place: Place) -> bool:
        """Tell whether one connection says the value of a place."""
        seen = self._seen.get(connection)
        return seen is not None and place in seen and _tells(seen, place, self._opened.get(place))

    @cached_property
    def _seen(self) -> Mapping[str, _Opened]:
        return self._open()

    @cached_property
    def _opened(self) -> _Opened:
        return _Opened(self._log)


CLOSURE = Place("", "", "closure")
STATUS = Place("", "", "status")


def acknowledge(
    agreed: RelayLog | None, merged: Merged, systems: Sequence[System], exchange: Exchange
) -> tuple[RelayLog, tuple[System, ...]]:
    """Return the agreed log and the systems' sides after a system took in a view.

    What was delivered is agreed with the systems that said it; the others still have it before them. A place that was
    not delivered, withheld or frozen, keeps its base: an edit of it is not forgotten. Nor is one that the receiver had
    made itself before the delivery, where that does not become agreed.
    """
    shown = flatten(exchange.delivered)
    news = _news(merged, exchange, shown)
    overtaken = _overtaken(news, systems, exchange)
    sides = []
    for system in systems:
        held = _Opened(exchange.held.get(system.connection, system.seen))
        if system.connection == exchange.connection:
            left = _left_by_writing(system, news, shown, held, merged, _Opened(exchange.now))
            own = {place for place in overtaken if place in held and _tells(held, place, news[place])}
            sides.append(replace(_exchanged(system, left, shown, news.keys() - own), seen=exchange.now))
        else:
            said = {place: held.get(place) for place in news if _says(system.connection, held, place, merged)}
            decided = {place: held.get(place) for place in (news.keys() & merged.settled) - overtaken if place in held}
            sides.append(_decided_over(_exchanged(system, said, news, said.keys() - overtaken), decided))
    fresh = {place: value for place, value in news.items() if place not in overtaken}
    return put(agreed, fresh), tuple(sides)


def _decided_over(system: System, held: Flat) -> System:
    """Return a side for which what it held was looked at, so that it is no edit where the choice is what was before."""
    if not held:
        return system
    base = _Opened(system.base)
    known = {place: value for place, value in held.items() if place in base and base.get(place) != value}
    return replace(system, base=put(system.base, known)) if known else system


def _news(merged: Merged, exchange: Exchange, shown: Flat) -> Flat:
    """Return what a delivery makes agreed: what was delivered, whole where the view shows a value only in part.

    What is in conflict was not delivered, whatever stands at its place in the view.
    """
    frozen = {conflict.place for conflict in merged.conflicts}
    whole = _Opened(merged.log)
    return {
        place: _filled(value, whole.get(place))
        for place, value in shown.items()
        if (not empty(value) or place in exchange.cleared) and place not in frozen
    }


def _overtaken(news: Flat, systems: Sequence[System], exchange: Exchange) -> frozenset[Place]:
    """Return the places on which something newer was agreed while the delivery was on its way.

    There another system has changed since the view was made, and has exchanged that change.
    """
    found: set[Place] = set()
    for system in systems:
        before = exchange.held.get(system.connection, system.seen)
        if before is not system.seen and system.connection != exchange.connection and system.base:
            held, seen, base = _Opened(before), _Opened(system.seen), _Opened(system.base)
            found |= {
                place
                for place in news
                if place.field
                and held.get(place) != seen.get(place)
                and place in seen
                and base.get(place) == seen.get(place)
            }
    return frozenset(found)


def _says(connection: str, held: _Opened, place: Place, merged: Merged) -> bool:
    """Tell whether a system said what is now agreed. A part comes of its mapping and is taken as said."""
    return place in held and (place.field in ("", "part") or merged.provenance.says(connection, place))


def _left_by_writing(system: System, news: Flat, shown: Flat, held: _Opened, merged: Merged, now: _Opened) -> Flat:
    """Return what the receiver held of the news just after they were written, before anybody there changed it again.

    A value that is not the news is how the template renders them, unless nothing was written there: then it is an edit.
    """
    sent, base = _Opened(system.sent), _Opened(system.base)
    left: Flat = {}
    for place, value in news.items():
        if place not in now:
            continue
        if _tells(now, place, value):
            left[place] = now.get(place)
        elif _says(system.connection, held, place, merged):
            left[place] = held.get(place)
        elif place not in base or sent.get(place) != shown.get(place):
            left[place] = now.get(place)
    return left


def _exchanged(system: System, held: Flat, meant: Flat, places: Iterable[Place]) -> System:
    """Return a side for which these places are exchanged: what it held there, and what the hub meant by that."""
    if not held:
        return system
    base = {place: held[place] for place in places if place in held}
    sent = {place: meant[place] for place in places}
    return replace(system, base=put(system.base, base), sent=put(system.sent, sent))


@dataclass(frozen=True)
class Exchange:
    """What passed between the hub and a system: the view delivered and what the system holds since, in hub ids.

    `cleared` are the places that were emptied on purpose. `held` is what the systems held when the view was made:
    what the others have changed since is not agreed by it.
    """

    connection: str
    delivered: RelayLog
    now: RelayLog
    cleared: frozenset[Place] = frozenset()
    held: Mapping[str, RelayLog] = field(default_factory=dict)


# --- facts that protect somebody ---------------------------------------------------------------------------------

TIGHTNESS = {
    Part.EDUCATION: 0,
    Part.PPT: 1,
    Part.HEALTH: 1,
    Part.CONTACT: 2,
    Part.CHILD_VOICE: 2,
    Part.CHILD_WELFARE: 3,
    Part.ABOUT_OTHERS: 4,
    Part.OWN: 5,
}
"""How tightly a part is kept: a higher number reaches fewer."""

ENDED_CONSENT = (ConsentStatus.WITHDRAWN, ConsentStatus.REFUSED, ConsentStatus.EXPIRED)
PROTECTION_ORDER = (
    AddressProtection.NONE,
    AddressProtection.CLIENT_ADDRESS,
    AddressProtection.CONFIDENTIAL,
    AddressProtection.STRICTLY_CONFIDENTIAL,
)

Strictest = Callable[[list[Any]], Any]


def _any_true(values: list[Any]) -> bool | None:
    return True if any(values) else None


def _earliest(values: list[Any]) -> date | None:
    return min(values, default=None)


def _ended(values: list[Any]) -> ConsentStatus | None:
    return next((status for status in ENDED_CONSENT if status in values), None)


def _common_parts(values: list[Any]) -> tuple[Part, ...] | None:
    common = [part for part in values[0] if all(part in value for value in values)] if values else []
    return tuple(common) or ((Part.EDUCATION,) if values else None)


def _most_protected(values: list[Any]) -> AddressProtection | None:
    known = [value for value in values if value in PROTECTION_ORDER]
    return max(known, key=PROTECTION_ORDER.index) if known else None


def _any_false(values: list[Any]) -> bool | None:
    return False if False in values else None


STRICT: Mapping[tuple[str, str], Strictest] = {
    ("", "violence"): _any_true,
    ("", "subject.address_protection"): _most_protected,
    ("guardians", "barred"): _any_true,
    ("guardians", "address_protection"): _most_protected,
    ("relatives", "address_protection"): _most_protected,
    ("consents", "status"): _ended,
    ("consents", "withdrawn_on"): _earliest,
    ("consents", "valid_to"): _earliest,
    ("consents", "parts"): _common_parts,
    ("consents", "child_asked"): _any_false,
    ("guardians", "parental_responsibility"): _any_false,
    ("", "opened_on"): _earliest,
}
"""Places where the strictest value from any system holds at once; None means that nothing strict was said."""

PROTECTING = tuple(dict.fromkeys(collection for collection, _ in STRICT if collection))
"""Lists with such places."""


def strictest(place: Place) -> Strictest | None:
    """Return the rule of a place that protects somebody."""
    return STRICT.get((place.collection, place.field))


def remembered(agreed: RelayLog | None, log: RelayLog, disputed: Collection[Place] = ()) -> RelayLog | None:
    """Return the agreed log with the protective facts of a merged one: a source that drops them loosens nothing.

    What protects the child is kept by itself, and so are the limits of a consent that is known; a guardian who is
    barred or protected, and a consent that has ended, are kept whole. A limit that is `disputed` is a person's to
    decide over. None where there is nothing to remember and nothing agreed.
    """
    own = {VIOLENCE: log.violence, PROTECTION: log.subject.address_protection}
    held: Flat = {place: value for place, value in own.items() if value in PROTECTIVE}
    for collection in PROTECTING:
        for position, element in enumerate(getattr(log, collection)):
            said = [element.__dict__.get(name) for name in ("barred", "address_protection", "status")]
            if any(value in PROTECTIVE for value in said):
                places = _element_places(collection, element.id)
                held |= {place: element.__dict__[place.field] for place in places[1:]} | {places[0]: position}
    known_consents = {one.id: one for one in agreed.consents} if agreed else {}
    for consent in log.consents:
        limits = ((name, getattr(consent, name), known_consents.get(consent.id)) for name in LIMITS)
        held |= {
            Place("consents", consent.id, name): value
            for name, value, known in limits
            if known is not None and not empty(value) and value != getattr(known, name)
            if Place("consents", consent.id, name) not in disputed
        }
    if not held:
        return agreed
    before = flatten(agreed) if agreed else {}
    known = {place[:2] for place in before}
    news = {place: value for place, value in held.items() if strictest(place) or place[:2] not in known}
    return unflatten({**before, **news})


LIMITS = ("withdrawn_on", "valid_to", "parts")
"""What a family limits a consent by, also one that still stands."""

VIOLENCE = Place("", "", "violence")
PROTECTION = Place("", "", "subject.address_protection")
PROTECTIVE = frozenset({True, *PROTECTION_ORDER[1:], *ENDED_CONSENT})
"""Values that protect somebody, or end an opening."""


# --- logs as places ----------------------------------------------------------------------------------------------


def flatten(log: RelayLog) -> Flat:
    """Return a log as its places and their values."""
    flat: Flat = {}
    for name, value in log.__dict__.items():
        if name in COLLECTIONS:
            for position, element in enumerate(value):
                held = element.__dict__
                places = _element_places(name, held["id"])
                flat.update(zip(places, (position, *(held[place.field] for place in places[1:])), strict=True))
        elif name in NESTED_PLACES:
            flat.update((_own_place(f"{name}.{inner}"), inside) for inner, inside in value.__dict__.items())
        elif name not in OWN_OF_SYSTEM:
            flat[_own_place(name)] = value
    return flat


@cache
def _own_place(field: str) -> Place:
    """Return the place of one of the log's own fields: as `_element_places`, always the same."""
    return Place("", "", field)


@lru_cache(maxsize=50_000)
def _element_places(collection: str, element: str) -> tuple[Place, ...]:
    """Return an element's own place and those of its fields: logs are compared often, and these are always the same."""
    fields = (name for name in COLLECTIONS[collection].model_fields if name != "id")
    return (Place(collection, element, ""), *(Place(collection, element, name) for name in fields))


def unflatten(flat: Flat) -> RelayLog:
    """Return the log that places make; an element stands by its date and then its position."""
    own: Flat = {}
    elements: dict[Key, dict[str, Any]] = {}
    positions: dict[Key, Any] = {}
    for place, value in flat.items():
        if place.collection and place.field:
            elements.setdefault(place[:2], {})[place.field] = value
        elif place.collection:
            positions[place[:2]] = value
        else:
            own[place] = value
    built = (
        (key, (0, positions.get(key, 0)), _made(COLLECTIONS[key[0]], key[1], values))
        for key, values in elements.items()
    )
    return _assembled(own, built)


def put(log: RelayLog | None, news: Flat) -> RelayLog:
    """Return a log with values put at places, as `unflatten` makes it; what is not another stays as it is."""
    opened = _Opened(log)
    said: dict[Key, dict[str, Any]] = {}
    for place, value in news.items():
        collection, element_id, name = place
        key = (collection, element_id)
        if not collection:
            opened.own[place] = value
        elif not name:
            opened.positions[key] = value
        elif (element := opened.elements.get(key)) is None or element.__dict__[name] != value:
            said.setdefault(key, {})[name] = value
    for key, values in said.items():
        known = opened.elements.get(key)
        opened.elements[key] = _made(COLLECTIONS[key[0]], key[1], {**known.__dict__, **values} if known else values)
    where = opened.positions
    return _assembled(opened.own, ((key, (0, where.get(key, 0)), each) for key, each in opened.elements.items()))


def _assembled(own: Flat, elements: Iterable[tuple[Key, tuple[int, int], Element]]) -> RelayLog:
    """Return the log of its own fields and its elements, each with where it stands among those of its day."""
    values = dict(_blank(RelayLog))
    nested: dict[str, dict[str, Any]] = {}
    for place, value in own.items():
        outer, _, inner = place.field.partition(".")
        if inner:
            nested.setdefault(outer, {})[inner] = value
        elif value is not None:
            values[outer] = value
    for name, inside in nested.items():
        model: type[Frozen] = type(values[name])
        values[name] = made(model, _fields(model), _present(model, inside))
    lists: dict[str, list[Element]] = {}
    for key, _, element in sorted(elements, key=lambda each: (_when(each[2]), each[1], each[0][1])):
        lists.setdefault(key[0], []).append(element)
    values.update((name, tuple(found)) for name, found in lists.items())
    return made(RelayLog, _fields(RelayLog), values)  # every value comes of a log: there is nothing to check again


def _made(model: type[Element], element_id: str, values: Mapping[str, Any]) -> Element:
    return made(model, _fields(model), _present(model, {**values, "id": element_id}))


@cache
def _fields(model: type[Frozen]) -> set[str]:
    return set(model.model_fields)


@cache
def _blank(model: type[Frozen]) -> dict[str, Any]:
    """Return a value's fields as they are when nothing is said."""
    return {name: info.get_default() for name, info in model.model_fields.items()}


def _present(model: type[Frozen], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all fields of a value; those of which nothing is said as they are by default."""
    return {**_blank(model), **{name: value for name, value in values.items() if value is not None}}


def _when(element: Element) -> date:
    """The date that an element stands by: the first that its kind has. Those without stand first."""
    for name in STANDS_BY:
        value = element.__dict__.get(name)
        if isinstance(value, date):
            return value.date() if isinstance(value, datetime) else value
    return date.min


STANDS_BY = ("on", "starts_at", "offered_on", "valid_from", "from_on", "starts_on")


# --- values ------------------------------------------------------------------------------------------------------


def typed(place: Place, value: Any) -> Any:
    """Return a value of a place from its JSON form, as the model has it. Raises pydantic's ValidationError."""
    model: type[Frozen] = COLLECTIONS[place.collection] if place.collection else RelayLog
    outer, _, inner = place.field.partition(".")
    if inner:
        model, outer = type(model.model_fields[outer].default), inner
    return _adapter(model, outer).validate_python(value)


@cache
def _adapter(model: type[Frozen], name: str) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", model.model_fields[name].annotation))
    return adapter


def empty(value: Any) -> bool:
    """Tell whether a value says nothing: absent, blank, no items, or a code nobody knows."""
    return value in _EMPTY


_EMPTY = (None, "", (), "unknown")


@cache
def _default(collection: str, field: str) -> Any:
    model: type[Frozen] = COLLECTIONS[collection] if collection else RelayLog
    outer, _, inner = field.partition(".")
    return getattr(model.model_fields[outer].default, inner) if inner else model.model_fields[outer].default


def silent(place: Place, value: Any) -> bool:
    """Tell whether a value says nothing when it was never exchanged: empty, or what a template without it reads as."""
    return empty(value) or (place.field not in ("", "part") and value == _default(place.collection, place.field))


def _same(value: Any, agreed: Any) -> bool:
    """Tell whether two values are the same person or closing, told more or less fully."""
    if isinstance(value, Actor) and isinstance(agreed, Actor):
        return value.name == agreed.name and value.service in (agreed.service, Service.UNKNOWN)
    if isinstance(value, OrgUnit) and isinstance(agreed, OrgUnit):  # a view may tell the service and not the place
        return value.service is agreed.service and not (value.id or value.name or value.organisation_number)
    return isinstance(value, Closure) and isinstance(agreed, Closure) and value.on == agreed.on


def _gaps(value: Frozen, agreed: Frozen) -> dict[str, Any]:
    """Return what one value lacks of the other."""
    known = {name: getattr(agreed, name) for name in type(value).model_fields if empty(getattr(value, name))}
    return {name: known[name] for name in known if not empty(known[name])}


def _filled(value: Any, agreed: Any) -> Any:
    """Return a person or a closing with what the system's template cannot carry filled in, if it is the same one."""
    return changed(value, _gaps(value, agreed)) if type(value) in TOLD_IN_PART and _same(value, agreed) else value


TOLD_IN_PART = (Actor, Closure, OrgUnit)
"""Kinds of values of which a template may carry less than there is."""


def _knew(sent: Any, agreed: Any, value: Any) -> bool:
    """Tell whether a system that was sent one value knew the agreed one when it said another.

    One that was sent the same person or closing in part knew it, unless it fills in what it was not shown.
    """
    if sent == agreed:
        return True
    if not _same(sent, agreed) or _filled(sent, agreed) != agreed:
        return False
    return not _same(value, agreed) or all(
        getattr(value, name) == hidden for name, hidden in _gaps(sent, agreed).items()
    )


def _fullest(values: Iterable[Any]) -> list[Any]:
    """Return the different values, without those that another tells more fully: a name alone, a name and a service."""
    distinct = _distinct(values)
    return [
        value
        for value in distinct
        if not any(other is not value and _filled(value, other) == other for other in distinct)
    ]


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
