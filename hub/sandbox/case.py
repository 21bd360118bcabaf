"""What a story tells about one child, before it is written in any system's words.

Codes are Vigilo's (upper case, nynorsk); each system's `*_shape` module writes a case on the wire. An element that
several systems hold is one and the same value here, which is what "copied by hand" means.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

from hub.sandbox.municipality import Unit, Worker

Json: TypeAlias = dict[str, Any]
"""A foreign record as it stands on the wire; its shape is the other system's business."""


def words(text: str) -> tuple[str, ...]:
    """Split a list that is easier to read printed with blanks: names, codes."""
    return tuple(text.split())


def family_first(name: str) -> str:
    """Write a person's name as registers sort it: family name, comma, first name."""
    first, _, last = name.rpartition(" ")
    return f"{last}, {first}"


def number_rows(rows: Iterable[Json], key: str, prefix: str) -> None:
    """Give each row without a key one of its own, as a system does with rows that it imports."""
    rows = list(rows)
    taken, number = {row.get(key) for row in rows}, 0
    for row in rows:
        while not row.get(key):
            number += 1
            row[key] = None if f"{prefix}{number}" in taken else f"{prefix}{number}"


@dataclass(frozen=True, slots=True)
class Person:
    """The one the log is about. `national_id` is synthetic; `due` is set for a pregnant mother."""

    first_name: str
    last_name: str
    national_id: str
    born: date
    gender: str
    kind: str = "BARN"
    protection: str = "INGEN"
    interpreter: str | None = None
    due: date | None = None

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class Guardian:
    """A guardian. None for responsibility or residence means unknown, which is not yes."""

    name: str
    national_id: str
    relation: str
    phone: str
    email: str
    responsibility: bool | None = True
    residence: str | None = "SAMAN"
    barred: bool = False
    protection: str = "INGEN"


@dataclass(frozen=True, slots=True)
class Participant:
    """A member of staff who takes part, with a task."""

    worker: Worker
    task: str
    since: date
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed a consent, as what, when."""

    name: str
    role: str
    on: date


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent to one receiving service, with the parts it names."""

    to: str
    scope: tuple[str, ...]
    signed: tuple[Signature, ...]
    since: date
    until: date | None = None
    form: str = "DIGITAL"
    status: str = "GITT"
    withdrawn: date | None = None
    child_asked: bool = True


@dataclass(frozen=True, slots=True)
class Concern:
    """What somebody wonders about."""

    text: str
    areas: tuple[str, ...]
    on: date
    raised_by: str
    writer: str


@dataclass(frozen=True, slots=True)
class Goal:
    """What is hoped for."""

    text: str
    concern: Concern | None
    on: date
    writer: str
    status: str = "I_ARBEID"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How a measure went."""

    on: date
    effect: str
    text: str
    decision: str
    child_view: str
    writer: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What is done, by whom, until when. `responsible` is a name and a service; the family is a service too."""

    text: str
    arena: str
    responsible: tuple[str, str]
    start: date
    due: date
    evaluate_by: date
    goal: Goal | None
    writer: str
    status: str = "IGANGSETT"
    evaluations: tuple[Evaluation, ...] = ()


@dataclass(frozen=True, slots=True)
class Meeting:
    """A meeting with agenda and minutes."""

    kind: str
    at: datetime
    place: str
    agenda: str
    chair: str
    secretary: str
    attendees: tuple[str, ...]
    minutes: str
    next_on: date | None
    writer: str


@dataclass(frozen=True, slots=True)
class Note:
    """A note. `kind` is NOTAT, LYSGLIMT or SAMTALE (with the child); `part` is Samspill's word for what it carries."""

    kind: str
    on: date
    text: str
    author: str
    part: str
    writer: str


@dataclass(frozen=True, slots=True)
class Baton:
    """An offer of the baton and its answer."""

    giver: Worker
    taker: Worker
    offered: date
    answer: str
    answered: date | None
    reason: str
    child_wish: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """Something agreed between parties."""

    text: str
    on: date
    parties: tuple[str, ...]
    writer: str


@dataclass(frozen=True, slots=True)
class Closing:
    """Why and when the log was closed."""

    on: date
    reason: str
    text: str
    decided_by: str
    continues: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One relay log in one system. `unit` is the child's kindergarten or school, else the service that follows it."""

    subject: Person
    unit: Unit
    holder: Worker
    level: int
    step: str
    opened: date
    changed: datetime
    version: int
    guardians: tuple[Guardian, ...]
    status: str = "AKTIV"
    participants: tuple[Participant, ...] = ()
    consents: tuple[Consent, ...] = ()
    concerns: tuple[Concern, ...] = ()
    goals: tuple[Goal, ...] = ()
    measures: tuple[Measure, ...] = ()
    meetings: tuple[Meeting, ...] = ()
    notes: tuple[Note, ...] = ()
    batons: tuple[Baton, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    closing: Closing | None = None
    violence: bool | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What a story leaves behind in each system. `files` are cases by the name of a system that exchanges files."""

    vigilo: tuple[Case, ...] = ()
    samspill: tuple[Case, ...] = ()
    files: tuple[tuple[str, Case], ...] = ()
