"""What limits who reads lasts: what is told later opens no more than what was told before, until a person has decided.

Between systems that have exchanged a place, merging itself keeps the strictest. This is about what one system alone has
told: the log as it stood remembers it. A consent is append-only: who opens more gives a new one. Where a system tells
of the same consent as longer or of more parts, or of a text as kept less closely by another than its writer, the log
stays as it was, as a conflict that a person settles.

A newer consent often opens less than the one before it. If it were forgotten when its only system deletes it, or turns
it into another, the older one would open again what the family has closed. So it stays as one of which nobody knows
whether it stands: it opens nothing, and nothing older is open beside it, until a system tells of it again, a person has
said that its end is meant, or a newer one has begun.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from hub.relaylog.codes import ConsentStatus, Part, Service
from hub.relaylog.consent import DECIDED
from hub.relaylog.merge import LIMITS, STRICT, TIGHTNESS, Conflict, Place, Settlements, System, empty
from hub.relaylog.model import COLLECTIONS, Consent, Element, RelayLog

WHAT_IT_OPENS = ("recipient", "valid_from", "valid_to", "withdrawn_on", "parts", "signed_by", "child_asked")
"""What decides what a consent opens, besides whether it stands."""

STANDING = (ConsentStatus.GIVEN, ConsentStatus.UNKNOWN)


def lost(
    before: RelayLog, now: RelayLog, told: Collection[Consent], id_of: Callable[[str], str]
) -> tuple[Consent, ...]:
    """Return, as nobody knows them, the consents that a log told of before and tells of no more.

    `told` are those that a system tells of. One that has ended is remembered elsewhere; one that was to nobody, or is
    told in the same words as another's, would say nothing. One that became another under the same id gets an id of its
    own: `id_of` what it was, always the same, and of which nobody learns whom it was to. One that is overtaken stays
    too: it tells from when the newer one opens without a break.
    """
    standing = {one.id: one for one in now.consents}
    found = []
    for one in before.consents:
        here = standing.get(one.id)
        if one.status not in STANDING or one.recipient is Service.UNKNOWN:
            continue
        if here is not None and not _is_another(one, here):
            continue
        if not any(_says_the_same(other, one) for other in told):
            own_id = id_of(f"{one.id} {one.recipient} {one.valid_from}") if here else one.id
            found.append(_unknown(one, own_id))
    return tuple(each for each in found if each.id not in standing)


def overtaken(consent: Consent, log: RelayLog, day: date) -> bool:
    """Tell whether a decided consent to the same reader has begun after another by a day: nobody need ask of that."""
    newer = (one for one in log.consents if one.recipient is consent.recipient and one.status in DECIDED)
    return any((consent.valid_from or date.min) < (one.valid_from or date.min) <= day for one in newer)


def unsaid(log: RelayLog, deleted: Collection[str], told: Collection[Consent]) -> RelayLog:
    """Return a log in which nobody knows whether the given consents stand that are deleted, by id, in every system.

    One that is `told` of in the same words stands: an import gives everything new ids.
    """
    if not deleted:
        return log
    gone = [one for one in log.consents if one.id in deleted and one.status is ConsentStatus.GIVEN]
    unknown = {one.id: _unknown(one, one.id) for one in gone if not any(_says_the_same(other, one) for other in told)}
    return log.model_copy(update={"consents": tuple(unknown.get(one.id, one) for one in log.consents)})


@dataclass(frozen=True)
class Kept:
    """A log that opens no more than before, and the places at which a system would have it open more."""

    log: RelayLog
    conflicts: tuple[Conflict, ...] = ()
    settled: frozenset[Place] = frozenset()


def no_looser(before: RelayLog, now: RelayLog, systems: Sequence[System], settlements: Settlements) -> Kept:
    """Keep a log's consents as short and of as few parts, and its texts of as closely kept a part, as they were.

    Only the system of a text's writer says that it is of a part that is kept less closely. What a person has settled
    over what is told now counts.
    """
    lists: dict[str, tuple[Element, ...]] = {}
    conflicts: list[Conflict] = []
    settled: set[Place] = set()
    for name in COLLECTIONS:
        known = {one.id: one for one in getattr(before, name)}
        elements: tuple[Element, ...] = getattr(now, name)
        bound = []
        for one in elements:
            tighter = _tighter(name, known[one.id], one, systems) if one.id in known else {}
            for place in [Place(name, one.id, each) for each in tighter]:
                said, choice = _said(place, systems), settlements.get(place)
                if choice is not None and all(map(choice.covers, said.values())):
                    settled.add(place)
                    tighter[place.field] = choice.value
                elif said:
                    conflicts.append(Conflict(place, said))
            bound.append(one.model_copy(update=tighter) if tighter else one)
        if any(one is not other for one, other in zip(bound, elements, strict=True)):
            lists[name] = tuple(bound)
    return Kept(now.model_copy(update=lists) if lists else now, tuple(conflicts), frozenset(settled))


def _tighter(collection: str, before: Element, now: Element, systems: Sequence[System]) -> dict[str, Any]:
    """Return the values that an element had and that open less than those it has now."""
    tighter: dict[str, Any] = {}
    if TIGHTNESS[before.part] > TIGHTNESS[now.part] and not _its_writer_says(collection, now, systems):
        tighter["part"] = before.part
    same = isinstance(before, Consent) and isinstance(now, Consent) and not _is_another(before, now)
    for name in LIMITS if same else ():
        said = [value for one in (before, now) if not empty(value := _limit(one, name))]
        held = STRICT["consents", name](said) if said else None
        if held is not None and held != _limit(now, name):
            tighter[name] = held
    return tighter


def _limit(consent: Element, name: str) -> Any:  # noqa: ANN401 - days and parts
    """Return what limits a consent; without named parts it names education alone."""
    value = getattr(consent, name)
    return value or (Part.EDUCATION,) if name == "parts" else value


def _its_writer_says(collection: str, element: Element, systems: Sequence[System]) -> bool:
    """Tell whether a text is of this part where its writer works."""
    said = (each for one in systems if element.writer in one.services for each in getattr(one.seen, collection))
    return any(each.id == element.id and each.part is element.part for each in said)


def _said(place: Place, systems: Sequence[System]) -> dict[str, Any]:
    """Return what systems say at a place of an element, by connection."""
    return {
        one.connection: getattr(each, place.field)
        for one in systems
        for each in getattr(one.seen, place.collection)
        if each.id == place.element
    }


def _is_another(before: Consent, now: Consent) -> bool:
    """Tell whether a consent has become another under the same id, or one that nobody has decided."""
    moved = before.recipient is not now.recipient or before.valid_from != now.valid_from
    return moved or now.status is ConsentStatus.PENDING


def _says_the_same(one: Consent, other: Consent) -> bool:
    same = all(getattr(one, name) == getattr(other, name) for name in WHAT_IT_OPENS)
    return same and one.status is not ConsentStatus.PENDING


def _unknown(consent: Consent, own_id: str) -> Consent:
    """Return a consent of which nobody knows whether it stands."""
    return consent.model_copy(update={"id": own_id, "status": ConsentStatus.UNKNOWN})
