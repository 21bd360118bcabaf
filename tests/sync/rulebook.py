"""The rules of sharing written anew, in the words of the open format, to judge by what the hub sends.

They follow what municipalities have published and the sharing ceiling as it is decided, not the hub's code: facts are
gathered from what the systems have said, the strictest said at any time counts, and each question is one about a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

Tree = dict[str, Any]

GRADES = ("none", "client_address", "confidential", "strictly_confidential")
STRICT = GRADES[-1]
COMMON = frozenset({"kindergarten", "ppt", "health_station", "child_welfare", "family"})
NAMED_ALONE = frozenset({"ppt", "health", "child_voice"})
HIDDEN = "child_welfare"
OWN_PART = {
    "kindergarten": "education",
    "family": "education",
    "ppt": "ppt",
    "health_station": "health",
    "child_welfare": "child_welfare",
}
"""The part of what a service writes, where nothing else is said."""

TIGHTER = ("about_others", "own")
"""Parts that no consent opens; a text that is moved to one of them stays there."""


@dataclass
class Given:
    """One consent, as strictly as any system has ever told it."""

    reader: str
    begins: date
    parts: frozenset[str]
    by: frozenset[str]
    asked: bool
    ends: date | None = None
    withdrawn: date | None = None
    refused: bool = False
    decided: bool = False
    lost: bool = False
    """No system tells of it any more: nobody knows whether it stands."""

    def opens_as(self, other: Given) -> bool:
        """Tell whether another consent says the same in other words."""
        return vars(self) | {"lost": False} == vars(other)

    def hear(self, told: Tree) -> None:
        """Take in how a system tells of it."""
        self.decided |= told["status"] != "pending"
        self.refused |= told["status"] == "refused"
        self.parts &= frozenset(told.get("parts", ()))
        self.asked &= told.get("child_asked") is True
        for name, said in (("ends", "valid_to"), ("withdrawn", "withdrawn_on")):
            day, before = told.get(said), getattr(self, name)
            if day:
                setattr(self, name, min(before or date.max, date.fromisoformat(day)))


@dataclass
class Facts:
    """What is known of a child: told once by any system, it holds."""

    born: date
    opened_on: date
    shared_residence: bool
    holder: str
    violence: bool = False
    grade: str = "none"
    barred: set[str] = field(default_factory=set)
    consents: dict[str, Given] = field(default_factory=dict)
    surely: bool = False
    """What nobody can tell counts as closed; else as open: both what is sent and what is not can then be judged."""

    def hear(self, record: Tree) -> None:
        """Take in what a system's record says, its loosest word adding nothing."""
        self.violence |= record.get("violence") is True
        people = [record["subject"], *record.get("guardians", ())]
        said = [self.grade, *(each.get("address_protection") for each in people)]
        self.grade = max((each for each in said if each in GRADES), key=GRADES.index)
        self.barred |= {each["relation"] for each in record.get("guardians", ()) if each.get("barred") is True}
        for told in record.get("consents", ()):
            self._consent(told).hear(told)

    def miss(self, told: Iterable[str]) -> None:
        """Take note of which consents, by their words, all systems together tell of now."""
        still = set(told)
        for name, one in self.consents.items():
            one.lost = name not in still

    def _consent(self, told: Tree) -> Given:
        return self.consents.setdefault(
            told["language"],
            Given(
                reader=told["recipient"],
                begins=date.fromisoformat(told["valid_from"]),
                parts=frozenset(told.get("parts", ())),
                by=frozenset(signer["role"] for signer in told.get("signed_by", ())),
                asked=told.get("child_asked") is True,
            ),
        )

    # --- consent -----------------------------------------------------------------------------------------------------

    def age(self, on: date) -> int:
        """Return the child's whole years on a day."""
        return on.year - self.born.year - ((on.month, on.day) < (self.born.month, self.born.day))

    def _signed(self, one: Given) -> bool:
        """Tell whether all have signed who must on the day a consent begins; who is barred signs nothing."""
        parents = {"mother", "father"} & one.by - self.barred
        by_parents = parents == {"mother", "father"} if self.shared_residence else bool(parents)
        age = self.age(one.begins)
        return ("youth" in one.by or age < 15) and (by_parents or age >= 16)

    def _good(self, one: Given, on: date) -> bool:
        if one.refused or (one.withdrawn and one.withdrawn <= on) or (one.ends and one.ends < on):
            return False
        if self.age(on) >= 18 and not ("youth" in one.by and (one.reader != "family" or self.age(one.begins) >= 18)):
            return False
        return self._signed(one)

    def standing(self, reader: str, on: date) -> tuple[Given, ...]:
        """Return the consents that open to a reader on a day; all of them must, so none where one does not.

        The latest counts, and a withdrawal until a consent that began after it.
        """
        mine = [one for one in self.consents.values() if one.reader == reader and one.decided]
        latest = max((one.begins for one in mine if one.begins <= on), default=None)
        if latest is None:
            return ()
        now = [one for one in mine if one.begins == latest or (one.withdrawn and latest <= one.withdrawn <= on)]
        told = [one for one in mine if not one.lost]
        known = all(one in told or any(self._is(one, other) for other in told) for one in now)
        return tuple(now) if known and all(self._good(one, on) for one in now) else ()

    def _is(self, lost: Given, told: Given) -> bool:
        """Tell whether a lost consent is told of again: surely in the same words, perhaps from the same day."""
        return lost.opens_as(told) or (not self.surely and lost.begins == told.begins)

    def names(self, part: str, reader: str, on: date) -> bool:
        """Tell whether consent and ceiling open a part to a reader on a day."""
        given = self.standing(reader, on)
        if not given or reader not in COMMON:
            return False
        if part == "contact":
            return reader == self.holder and reader != "family"
        if part == "child_welfare" and reader != "family":
            return False
        named = all(part in one.parts for one in given)
        if part == "child_voice":
            return named and all(one.asked for one in given)
        return part == "education" or (named and part in {*NAMED_ALONE, "child_welfare"})

    def reaches(self, part: str, written: date, reader: str, on: date) -> bool:
        """Tell whether a text of a part and day is open to a reader: all of it to who was there from the beginning."""
        if not self.names(part, reader, on):
            return False
        since = on
        for turn in sorted(self._turns(reader, on), reverse=True):
            if not self.names(part, reader, turn):
                break
            since = turn
        return part == "contact" or since <= self.opened_on or written >= since

    def _turns(self, reader: str, on: date) -> Iterator[date]:
        """Yield the days up to one on which something begins or ends; between two of them nothing does."""
        days = [self.born.replace(year=self.born.year + 18)]
        for one in self.consents.values():
            if one.reader == reader:
                days += [one.begins, *([one.withdrawn] if one.withdrawn else ())]
                days += [one.ends + timedelta(days=1)] if one.ends else []
        return (day for day in days if day <= on)

    # --- what stops --------------------------------------------------------------------------------------------------

    def stop(self, readers: Iterable[str], on: date) -> str:
        """Return what keeps everything from readers on a day and nobody may release; "" where nothing does."""
        if self.violence:
            return "violence"
        if self.barred and "family" in readers:
            return "barred"
        return next((f"no consent to {reader}" for reader in readers if not self.standing(reader, on)), "")
