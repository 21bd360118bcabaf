"""One log out of what every system says: a pure function over all systems at once, blind to the order of arrival.

A log is compared place by place. Each system has a base (what it held when the hub last exchanged with it), what the
hub had sent it then, and what it holds now. A place that one system changed takes its value; when several changed it
differently a rule ranks them, or the place stays at the agreed value and is a conflict that freezes it alone. Facts
that protect somebody are never merged away: the strictest from any system holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple

from hub.relaylog.codes import AddressProtection, ClosedBy, ConsentStatus, LogStatus, Part, Service
from hub.relaylog.model import COLLECTIONS, Actor, Closure, Element, Frozen, RelayLog


class Place(NamedTuple):
    """A place in a log: list, element id and field. The log's own fields have neither list nor id."""

    collection: str
    element: str
    field: str

    def __str__(self) -> str:
        return f"{self.collection}/{self.element}/{self.field}" if self.collection else self.field


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
    provenance: Mapping[Place, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Settlement:
    """What a person decided for a place, over which values. It holds until a system says something else."""

    value: Any
    over: tuple[Any, ...]


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
    return _Merge(agreed, sorted(systems, key=lambda system: system.connection), settlements or {}).merged()


class _Merge:
    """The work of one merge: all sides flattened to places."""

    def __init__(self, agreed: RelayLog | None, systems: Sequence[System], settlements: Settlements) -> None:
        self._systems = systems
        self._settlements = settlements
        self._agreed = flatten(agreed) if agreed else {}
        self._seen = {system.connection: flatten(system.seen) for system in systems}
        self._base = {system.connection: flatten(system.base) for system in systems if system.base}
        self._sent = {system.connection: flatten(system.sent) for system in systems if system.sent}
        self._holder = self._service_of(Place("", "", "holder"))
        self._conflicts: list[Conflict] = []
        self._provenance: dict[Place, frozenset[str]] = {}

    def merged(self) -> Merged:
        """Go through every place that any side knows."""
        places = sorted({place for flat in (self._agreed, *self._seen.values()) for place in flat})
        out: Flat = {}
        for place in places:
            out[place] = self._position(place) if not place.field else self._value(place)
        self._obey_family(out)
        return Merged(unflatten(out), tuple(self._conflicts), tuple(self._deletions()), self._provenance)

    def _service_of(self, place: Place) -> Service | None:
        """Return the service of the person whom a place names: as agreed, else as all systems say that name one."""
        agreed = self._agreed.get(place)
        named = [agreed] if agreed else [flat[place] for flat in self._seen.values() if flat.get(place)]
        services = {actor.service for actor in named}
        return services.pop() if len(services) == 1 else None

    def _position(self, place: Place) -> tuple[int, int]:
        """Where an element stands among its like: by the first system, by name, that has it, else as agreed."""
        for rank, flat in enumerate(self._seen.values()):
            if place in flat:
                return rank, flat[place]
        return len(self._seen), self._agreed.get(place, 0)

    def _value(self, place: Place) -> Any:
        said = {name: flat[place] for name, flat in self._seen.items() if place in flat}
        agreed = self._agreed.get(place)
        strict = strictest(place)
        if strict is not None:
            bound = strict([value for value in (agreed, *said.values()) if not empty(value)])
            if bound is not None:
                self._provenance[place] = self._saying(place, bound)
                return bound
        if place.field == "writer" and not empty(agreed):
            chosen = agreed
        else:
            chosen = self._choose(place, agreed, *self._candidates(place, agreed, said))
        self._provenance[place] = self._saying(place, chosen)
        return chosen

    def _saying(self, place: Place, value: Any) -> frozenset[str]:
        """Return the connections that say a value, as fully as their template can."""
        flats = self._seen.items()
        return frozenset(name for name, flat in flats if place in flat and _filled(flat[place], value) == value)

    def _candidates(self, place: Place, agreed: Any, said: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """Return what was changed, by connection, and the connections that changed it unaware of the agreed value."""
        changed: dict[str, Any] = {}
        unaware: set[str] = set()
        for name, value in said.items():
            base, sent = self._base.get(name, {}), self._sent.get(name, {})
            if (base[place] == value) if place in base else silent(place, value):
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
        return place in self._agreed and not (silent(place, self._agreed[place]) and silent(place, sent))

    def _choose(self, place: Place, agreed: Any, changed: dict[str, Any], unaware: set[str]) -> Any:
        """Return the value that all changes lead to; the agreed one stands against those made unaware of it."""
        standing = [agreed] if unaware else []
        values = _distinct([*changed.values(), *standing])
        if not values:
            return agreed
        if len(values) == 1:
            return values[0]
        if place.field == "part":
            return max(values, key=lambda part: (TIGHTNESS[part], part))
        settled = self._settlements.get(place)
        if settled and all(value in (*settled.over, settled.value) for value in changed.values()):
            return settled.value
        return self._rank(place, agreed, changed, unaware)

    def _rank(self, place: Place, agreed: Any, changed: dict[str, Any], unaware: set[str]) -> Any:
        ranking = {name for name, flat in self._seen.items() if place in flat and self._ranks(place, name)}
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

    def _obey_family(self, out: Flat) -> None:
        """The family or the youth closing the log is obeyed from any system."""
        closings = [flat.get(CLOSURE) for flat in (self._agreed, *self._seen.values())]
        obeyed = [
            closure for closure in closings if closure and closure.decided_by in (ClosedBy.GUARDIAN, ClosedBy.YOUTH)
        ]
        if obeyed:
            out[CLOSURE] = min(obeyed, key=lambda closure: (closure.on or date.max, str(closure.reason), closure.text))
            if out.get(STATUS) is not LogStatus.ARCHIVED:
                out[STATUS] = LogStatus.CLOSED
            for place in (CLOSURE, STATUS):
                self._provenance[place] = self._saying(place, out[place])
            self._conflicts = [conflict for conflict in self._conflicts if conflict.place not in (CLOSURE, STATUS)]

    def _deletions(self) -> Iterator[Deletion]:
        for name, base in self._base.items():
            for place in base:
                if not place.field and place not in self._seen[name]:
                    yield Deletion(name, place.collection, place.element)


CLOSURE = Place("", "", "closure")
STATUS = Place("", "", "status")


def acknowledge(
    agreed: RelayLog | None, merged: Merged, systems: Sequence[System], exchange: Exchange
) -> tuple[RelayLog, tuple[System, ...]]:
    """Return the agreed log and the systems' sides after a system took in a view.

    What was delivered is agreed with the systems that said it; the others still have it before them. A place that was
    not delivered, withheld or frozen, keeps its base: an edit of it is not forgotten.
    """
    news, shown = _news(merged, exchange), flatten(exchange.delivered)
    overtaken = _overtaken(news, systems, exchange)
    sides = []
    for system in systems:
        held = flatten(exchange.held.get(system.connection, system.seen))
        said = {place: held[place] for place in news if place in held and _says(system.connection, place, merged)}
        if system.connection == exchange.connection:
            left = _left_by_writing(system, news, shown, flatten(exchange.now), said)
            sides.append(replace(_exchanged(system, left, {**news, **shown}, news), seen=exchange.now))
        else:
            sides.append(_exchanged(system, said, news, said.keys() - overtaken))
    fresh = {place: value for place, value in news.items() if place not in overtaken}
    return unflatten({**(flatten(agreed) if agreed else {}), **fresh}), tuple(sides)


def _news(merged: Merged, exchange: Exchange) -> Flat:
    """Return what a delivery makes agreed: what was delivered, whole where the view shows a value only in part.

    What is in conflict was not delivered, whatever stands at its place in the view.
    """
    frozen = {conflict.place for conflict in merged.conflicts}
    whole = flatten(merged.log)
    return {
        place: _filled(value, whole.get(place))
        for place, value in flatten(exchange.delivered).items()
        if (not empty(value) or place in exchange.cleared) and place not in frozen
    }


def _overtaken(news: Flat, systems: Sequence[System], exchange: Exchange) -> frozenset[Place]:
    """Return the places on which something newer was agreed while the delivery was on its way.

    There another system has changed since the view was made, and has exchanged that change.
    """
    found: set[Place] = set()
    for system in systems:
        if system.connection in exchange.held and system.connection != exchange.connection and system.base:
            held, seen, base = flatten(exchange.held[system.connection]), flatten(system.seen), flatten(system.base)
            found |= {
                place
                for place in news
                if place.field
                and held.get(place) != seen.get(place)
                and place in seen
                and base.get(place) == seen[place]
            }
    return frozenset(found)


def _says(connection: str, place: Place, merged: Merged) -> bool:
    """Tell whether a system said what is now agreed. A part comes of its mapping and is taken as said."""
    return place.field in ("", "part") or connection in merged.provenance.get(place, frozenset())


def _left_by_writing(system: System, news: Flat, shown: Flat, now: Flat, said: Flat) -> Flat:
    """Return what the receiver held of the news just after they were written, before anybody there changed it again.

    A value that is not the news is how the template renders them, unless nothing was written there: then it is an edit.
    """
    sent = flatten(system.sent) if system.sent else {}
    base = flatten(system.base) if system.base else {}
    left: Flat = {}
    for place in news.keys() & now.keys():
        if _filled(now[place], news[place]) == news[place]:
            left[place] = now[place]
        elif place in said:
            left[place] = said[place]
        elif place not in base or sent.get(place) != shown.get(place):
            left[place] = now[place]
    return left


def _exchanged(system: System, held: Flat, meant: Flat, places: Iterable[Place]) -> System:
    """Return a side for which these places are exchanged: what it held there, and what the hub meant by that."""
    if not held:
        return system
    base, sent = (flatten(log) if log else {} for log in (system.base, system.sent))
    base |= {place: held[place] for place in places if place in held}
    sent |= {place: meant[place] for place in places}
    return replace(system, base=unflatten(base), sent=unflatten(sent))


@dataclass(frozen=True)
class Exchange:
    """What passed between the hub and a system: the view delivered and what the system holds since, in hub ids.

    `cleared` are the places that were emptied on purpose. `held` is what the other systems held when the view was
    made: what they have changed since is not agreed by it.
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


def strictest(place: Place) -> Strictest | None:
    """Return the rule of a place that protects somebody."""
    return STRICT.get((place.collection, place.field))


def remembered(agreed: RelayLog | None, log: RelayLog) -> RelayLog | None:
    """Return the agreed log with the protective facts of a merged one: a source that drops them loosens nothing.

    What protects the child is kept by itself; a guardian who is barred or protected, and a consent that has ended,
    are kept whole. None where there is nothing to remember and nothing agreed.
    """
    places = flatten(log)
    held = {place: places[place] for place in (VIOLENCE, PROTECTION) if places[place] in PROTECTIVE}
    for place, value in places.items():
        if place.field in ("barred", "address_protection", "status") and place.collection and value in PROTECTIVE:
            held |= {each: places[each] for each in places if each[:2] == place[:2]}
    if not held:
        return agreed
    before = flatten(agreed) if agreed else {}
    known = {place[:2] for place in before}
    news = {place: value for place, value in held.items() if strictest(place) or place[:2] not in known}
    return unflatten({**before, **news})


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
            flat.update((Place("", "", f"{name}.{inner}"), inside) for inner, inside in value.__dict__.items())
        elif name not in OWN_OF_SYSTEM:
            flat[Place("", "", name)] = value
    return flat


@lru_cache(maxsize=50_000)
def _element_places(collection: str, element: str) -> tuple[Place, ...]:
    """Return an element's own place and those of its fields: logs are compared often, and these are always the same."""
    fields = (name for name in COLLECTIONS[collection].model_fields if name != "id")
    return (Place(collection, element, ""), *(Place(collection, element, name) for name in fields))


def unflatten(flat: Flat) -> RelayLog:
    """Return the log that places make; an element stands by its date and then its position."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    elements: dict[tuple[str, str], dict[str, Any]] = {}
    positions: dict[tuple[str, str], Any] = {}
    for place, value in flat.items():
        if place.collection and place.field:
            elements.setdefault((place.collection, place.element), {})[place.field] = value
        elif place.collection:
            positions[place.collection, place.element] = value if isinstance(value, tuple) else (0, value)
        elif "." in place.field:
            outer, inner = place.field.split(".")
            nested.setdefault(outer, {})[inner] = value
        elif value is not None:
            own[place.field] = value
    lists: dict[str, list[Element]] = {}
    for key in sorted(elements, key=lambda key: (_when(elements[key]), positions.get(key, (0, 0)), key[1])):
        model = COLLECTIONS[key[0]]
        lists.setdefault(key[0], []).append(model(id=key[1], **_present(model, elements[key])))
    values = {name: _built(RelayLog, name, inner) for name, inner in nested.items()}
    return RelayLog(**own, **values, **{name: tuple(items) for name, items in lists.items()})


def _built(model: type[Frozen], name: str, values: Mapping[str, Any]) -> Frozen:
    inner = type(model.model_fields[name].default)
    built: Frozen = inner(**_present(inner, values))
    return built


def _present(model: type[Frozen], values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in values.items() if value is not None or model.model_fields[name].default is None
    }


def _when(values: Mapping[str, Any]) -> date:
    """The date that an element stands by: the first that its kind has. Those without stand first."""
    for name in ("on", "starts_at", "offered_on", "valid_from", "from_on", "starts_on"):
        value = values.get(name)
        if isinstance(value, date):
            return value.date() if isinstance(value, datetime) else value
    return date.min


# --- values ------------------------------------------------------------------------------------------------------


def empty(value: Any) -> bool:
    """Tell whether a value says nothing: absent, blank, no items, or a code nobody knows."""
    return value is None or value == "" or value == () or value == "unknown"


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
    return isinstance(value, Closure) and isinstance(agreed, Closure) and value.on == agreed.on


def _gaps(value: Frozen, agreed: Frozen) -> dict[str, Any]:
    """Return what one value lacks of the other."""
    known = {name: getattr(agreed, name) for name in type(value).model_fields if empty(getattr(value, name))}
    return {name: known[name] for name in known if not empty(known[name])}


def _filled(value: Any, agreed: Any) -> Any:
    """Return a person or a closing with what the system's template cannot carry filled in, if it is the same one."""
    return value.model_copy(update=_gaps(value, agreed)) if _same(value, agreed) else value


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


def _distinct(values: Iterable[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return found
