"""What was put out for a system as a file is not in it before a file of its own shows it.

Who exports before importing says the old words again. That is no edit: taken for one, it would undo in all systems what
another service has written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from hub.relaylog.merge import OWN_OF_SYSTEM, Flat, Place, empty, flatten, unflatten
from hub.relaylog.model import RelayLog


@dataclass(frozen=True)
class Shown:
    """A system's own file, with what is still on its way to it.

    `seen` is what it holds once it has taken that in. `unaware` are the places on which it says something new, and most
    likely without having seen what was put out: what it said there before. `nothing_new`: all is as it was put out.
    """

    seen: RelayLog
    unaware: Flat
    nothing_new: bool


def as_taken_in(told: RelayLog, put_out: RelayLog, read: RelayLog) -> Shown:
    """Read a system's own file, where `told` is what its one before said and `put_out` what it is to hold since.

    All three are in the hub's ids. Where the file says what the one before said, what was put out still stands. Where
    it says something else again, it knew of what was put out if any place shows that.
    """
    before, wanted, says = flatten(told), flatten(put_out), flatten(read)
    there, known = _elements(says), _elements(before)
    on_its_way, unseen, any_shown = Flat(), Flat(), False
    for place, value in wanted.items():
        element, said, says_now = place[:2], before.get(place), says.get(place)
        if place.collection and element not in there:
            if element not in known:  # a new one: its own file knows nothing of it yet
                on_its_way[place] = value
        elif not place.field or _same(said, value):
            continue
        elif _same(says_now, value):
            any_shown = True
        elif _same(says_now, said):
            on_its_way[place] = value
        elif not place.collection or element in known:
            unseen[place] = said
    seen = {**says, **on_its_way}
    own = {name: getattr(read, name) for name in OWN_OF_SYSTEM}
    return Shown(
        seen=unflatten(seen).model_copy(update=own) if on_its_way else read,
        unaware={} if any_shown else unseen,
        nothing_new=_said(seen) == _said(wanted),
    )


def not_yet_emptied(told: RelayLog, seen: RelayLog, wanted: Flat) -> frozenset[Place]:
    """Return the places that a system was asked to empty, and that its own file still fills."""
    held = flatten(seen)
    return frozenset(
        place
        for place, value in flatten(told).items()
        if place.field and not empty(value) and empty(held.get(place)) and place in wanted and empty(wanted[place])
    )


def _said(flat: Flat) -> Flat:
    return {place: value for place, value in flat.items() if place.field}


def _elements(flat: Flat) -> set[tuple[str, str]]:
    return {place[:2] for place in flat if place.collection}


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - a place holds a value of any of the model's types
    """Tell whether two values say the same: a system may keep a text with other spaces than it was given."""
    return _folded(one) == _folded(other) or (empty(one) and empty(other))


def _folded(value: Any) -> object:  # noqa: ANN401 - as above
    return " ".join(normalize("NFC", value).split()) if isinstance(value, str) else value
