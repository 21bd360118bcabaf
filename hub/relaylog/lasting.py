"""What limits who reads lasts: no system loosens it by telling less later, and a deletion does not make it forgotten.

A consent is append-only: who opens more gives a new one. A text that somebody keeps closer stays so until its writer
says otherwise. A newer consent often opens less than the one before it. If it were forgotten when its only system
deletes it, the older one would open again what the family has closed. So it stays as one of which nobody knows whether
it stands: it opens nothing, and nothing older is open beside it, until a system tells of it again, a person has said
that its deletion is meant, or a newer one is given.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from hub.relaylog.codes import ConsentStatus
from hub.relaylog.consent import DECIDED
from hub.relaylog.merge import STRICT, TIGHTNESS, System, empty
from hub.relaylog.model import COLLECTIONS, Consent, Element, RelayLog


def lost(before: RelayLog, now: RelayLog, told: Collection[Consent], day: date) -> tuple[Consent, ...]:
    """Return, as nobody knows them, the consents that a log lacks and that it told of before.

    `told` are those that a system tells of. One that has ended is remembered elsewhere; one that another consent to the
    same reader has begun after by the day, or that is told in the same words as another's, has no say any more.
    """
    standing = {one.id for one in now.consents}
    return tuple(
        _unknown(one)
        for one in before.consents
        if one.status in (ConsentStatus.GIVEN, ConsentStatus.UNKNOWN)
        and one.id not in standing
        and not any(_takes_its_place(newer, one, day) for newer in now.consents)
        and not any(_says_the_same(other, one) for other in told)
    )


def no_looser(before: RelayLog, now: RelayLog, systems: Collection[System]) -> RelayLog:
    """Return a log that opens no more of what was told before.

    Its consents stay as short, as withdrawn and of as few parts, and its texts of as closely kept a part, as they were.
    Only the system of a text's writer says that it is of a part that is kept less closely.
    """
    lists: dict[str, tuple[Element, ...]] = {}
    for name in COLLECTIONS:
        known = {one.id: one for one in getattr(before, name)}
        found: tuple[Element, ...] = getattr(now, name)
        bound = tuple(_bound(name, known[one.id], one, systems) if one.id in known else one for one in found)
        if any(one is not other for one, other in zip(bound, found, strict=True)):
            lists[name] = bound
    return now.model_copy(update=lists) if lists else now


def _bound(collection: str, before: Element, now: Element, systems: Collection[System]) -> Element:
    tighter: dict[str, Any] = {}
    if TIGHTNESS[before.part] > TIGHTNESS[now.part] and not _its_writer_says(collection, now, systems):
        tighter["part"] = before.part
    for name, strict in _STRICT.items() if isinstance(now, Consent) else ():
        said = [value for one in (before, now) if not empty(value := getattr(one, name))]
        held = strict(said) if said else None
        if held is not None and held != getattr(now, name):
            tighter[name] = held
    return now.model_copy(update=tighter) if tighter else now


def _its_writer_says(collection: str, element: Element, systems: Collection[System]) -> bool:
    """Tell whether a text is of this part where its writer works."""
    said = (each for one in systems if element.writer in one.services for each in getattr(one.seen, collection))
    return any(each.id == element.id and each.part is element.part for each in said)


_STRICT = {field: strict for (collection, field), strict in STRICT.items() if collection == "consents"}


def unsaid(log: RelayLog, deleted: Collection[str], told: Collection[Consent]) -> RelayLog:
    """Return a log in which nobody knows whether the given consents stand that are deleted, by id, in every system.

    One that is `told` of in the same words stands: an import gives everything new ids.
    """
    if not deleted:
        return log
    gone = [one for one in log.consents if one.id in deleted and one.status is ConsentStatus.GIVEN]
    unknown = {one.id: _unknown(one) for one in gone if not any(_says_the_same(other, one) for other in told)}
    return log.model_copy(update={"consents": tuple(unknown.get(one.id, one) for one in log.consents)})


def _unknown(consent: Consent) -> Consent:
    return consent.model_copy(update={"status": ConsentStatus.UNKNOWN})


def _takes_its_place(newer: Consent, older: Consent, day: date) -> bool:
    decided = newer.recipient is older.recipient and newer.status in DECIDED and newer.valid_from is not None
    return decided and (older.valid_from or date.min) < (newer.valid_from or date.max) <= day


def _says_the_same(one: Consent, other: Consent) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in WHAT_IT_OPENS)


WHAT_IT_OPENS = ("recipient", "valid_from", "valid_to", "withdrawn_on", "parts", "signed_by", "child_asked")
"""What decides what a consent opens, besides whether it stands."""
