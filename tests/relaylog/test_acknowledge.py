"""Acknowledging looks only at what a delivery changes; here the general way, over whole logs as places, judges it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.codes import Service
from hub.relaylog.merge import (
    Exchange,
    Flat,
    Merged,
    Place,
    System,
    _filled,
    acknowledge,
    empty,
    flatten,
    merge,
    unflatten,
)
from hub.relaylog.model import COLLECTIONS, RelayLog
from tests.relaylog.strategies import make_log

NAMES = ("a", "b", "c")
SERVICES = (Service.SCHOOL, Service.PPT, Service.HEALTH_STATION)


class _Situation:
    """What systems may hold of one log, in all sorts of disorder: of a seed, the same each time."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a test's seed
        self._of, self._other = make_log(seed % 997), make_log(seed % 991 + 1)
        self.agreed = self._perhaps(0.2)
        self.systems = [self._system(name, service) for name, service in zip(NAMES, SERVICES, strict=True)]
        merged = merge(self.agreed, self.systems)
        places = sorted(place for place in flatten(merged.log) if self._random.random() < 0.3)
        self.merged = replace(merged, settled=frozenset(places))
        delivered = self._variant(merged.log) if self._chance(0.7) else merged.log
        now = self._variant(delivered) if self._chance(0.8) else delivered
        cleared = frozenset(place for place in flatten(delivered) if self._chance(0.3))
        held = {one.connection: self._before(one) for one in self.systems if self._chance(0.6)}
        self.exchange = Exchange(self._random.choice(NAMES), delivered, now, cleared, held)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _system(self, name: str, service: Service) -> System:
        seen, base = self._variant(self._of), self._perhaps(0.3)
        return System(name, frozenset({service}), seen, base, self._perhaps(0.3) if base else None)

    def _before(self, system: System) -> RelayLog:
        return system.seen if self._chance(0.5) else self._variant(system.seen)

    def _perhaps(self, share: float) -> RelayLog | None:
        """Return no log at all, or one as it is kept: its lists in order."""
        return None if self._chance(share) else unflatten(flatten(self._variant(self._of)))

    def _variant(self, log: RelayLog) -> RelayLog:
        """Return a log with elements gone, moved, added and changed, and some of its own fields as another says."""
        lists: dict[str, tuple[object, ...]] = {}
        for name in COLLECTIONS:
            others = getattr(self._other, name)
            kept = [each for each in getattr(log, name) if self._chance(0.9)]
            changed = [
                each.model_copy(update={field: getattr(other, field) for field in type(each).model_fields
                                        if field != "id" and self._chance(0.2)})
                for each in kept
                for other in [self._random.choice(others) if others else each]
            ]  # fmt: skip
            new = [each for each in others if self._chance(0.1) and all(each.id != one.id for one in changed)]
            lists[name] = tuple(self._random.sample(changed + new, len(changed + new)))
        own = [name for name in RelayLog.model_fields if name not in COLLECTIONS and self._chance(0.2)]
        return log.model_copy(update={**lists, **{name: getattr(self._other, name) for name in own}})


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_acknowledging_element_by_element_is_the_general_way(seed: int) -> None:
    """What is agreed, and what each system's side is then, is byte for byte what comparing all places gives."""
    made = _Situation(seed)
    agreed, systems = acknowledge(made.agreed, made.merged, made.systems, made.exchange)
    right, sides = _general(made.agreed, made.merged, made.systems, made.exchange)
    assert agreed == right
    assert systems == sides
    for one, other in zip(systems, sides, strict=True):
        assert _kept(one.base) == _kept(other.base)
        assert _kept(one.sent) == _kept(other.sent)
    assert _kept(agreed) == _kept(right)


def test_the_situations_reach_every_turn_of_it() -> None:
    """Among few seeds there are sides agreed on and left alone, choices looked over, and newer agreements."""
    made = [_Situation(seed) for seed in range(20)]
    for each in made:
        _, sides = acknowledge(each.agreed, each.merged, each.systems, each.exchange)
        assert any(side != before for side, before in zip(sides, each.systems, strict=True))
    overtaken = [_overtaken(flatten(each.exchange.delivered), each.systems, each.exchange) for each in made]
    assert any(overtaken)
    assert not all(overtaken)
    assert any(each.merged.conflicts for each in made)
    assert any(side.base is None for each in made for side in each.systems)


def _kept(log: RelayLog | None) -> str:
    return log.model_dump_json(exclude_defaults=True) if log else ""


# --- the general way ---------------------------------------------------------------------------------------------


def _general(
    agreed: RelayLog | None, merged: Merged, systems: list[System], exchange: Exchange
) -> tuple[RelayLog, tuple[System, ...]]:
    shown = flatten(exchange.delivered)
    frozen, whole = {conflict.place for conflict in merged.conflicts}, flatten(merged.log)
    news = {
        place: _filled(value, whole.get(place))
        for place, value in shown.items()
        if (not empty(value) or place in exchange.cleared) and place not in frozen
    }
    overtaken = _overtaken(news, systems, exchange)
    sides = []
    for system in systems:
        held = flatten(exchange.held.get(system.connection, system.seen))
        said = {place: held[place] for place in news if place in held and _says(system.connection, place, merged)}
        if system.connection == exchange.connection:
            left = _left(system, news, shown, flatten(exchange.now), said)
            own = {place for place in overtaken if place in held and _filled(held[place], news[place]) == news[place]}
            sides.append(replace(_exchanged(system, left, {**news, **shown}, news.keys() - own), seen=exchange.now))
            continue
        settled = {place: held[place] for place in (news.keys() & merged.settled) - overtaken if place in held}
        sides.append(_over(_exchanged(system, said, news, {*said} - overtaken), settled))
    fresh = {place: value for place, value in news.items() if place not in overtaken}
    return unflatten({**_flat(agreed), **fresh}), tuple(sides)


def _flat(log: RelayLog | None) -> Flat:
    return flatten(log) if log else {}


def _says(connection: str, place: Place, merged: Merged) -> bool:
    return place.field in ("", "part") or connection in merged.provenance[place]


def _overtaken(news: Flat, systems: list[System], exchange: Exchange) -> set[Place]:
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
    return found


def _left(system: System, news: Flat, shown: Flat, now: Flat, said: Flat) -> Flat:
    sent, base = _flat(system.sent), _flat(system.base)
    left: Flat = {}
    for place in news.keys() & now.keys():
        if _filled(now[place], news[place]) == news[place]:
            left[place] = now[place]
        elif place in said:
            left[place] = said[place]
        elif place not in base or sent.get(place) != shown.get(place):
            left[place] = now[place]
    return left


def _exchanged(system: System, held: Flat, meant: Flat, places: set[Place] | Flat) -> System:
    if not held:
        return system
    base = {**_flat(system.base), **{place: held[place] for place in places if place in held}}
    sent = {**_flat(system.sent), **{place: meant[place] for place in places}}
    return replace(system, base=unflatten(base), sent=unflatten(sent))


def _over(system: System, held: Flat) -> System:
    base = _flat(system.base)
    known = {place: value for place, value in held.items() if place in base and base[place] != value}
    return replace(system, base=unflatten({**base, **known})) if known else system
