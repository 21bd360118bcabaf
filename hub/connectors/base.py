"""What a connector is: the verbs that the hub speaks to any system, and the errors by what the caller does.

ConnectorError
  Unavailable      try again later, not before `retry_after`
    Waiting        the hub's own gate lets no attempt through before `until`: nothing was tried
  BadAnswer        an answer that is no answer (HTML, empty, cut off, repeated): hold the run, move nothing
  Misconfigured    a person mends the configuration: wrong secret, address or path
  Refused          final for this record: the system says no
  Stale            the record changed meanwhile: pull, merge, try again
  KeyUsed          a change with this key was taken in before: look it up, it has arrived
  OutcomeUnknown   sent, and the answer was lost: look it up, never send blindly again
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from hub.relaylog.codes import Language
from hub.relaylog.nationalid import holds_national_id

Tree = dict[str, Any]
"""A decoded payload: objects, lists and plain values."""

LONGEST_ID = 200
"""How many signs an id, a version or a key of an element may have that a system chose: such is the room for it."""

Origin = Literal["published", "observed", "assumed", "confirmed"]


class ConnectorError(Exception):
    """Something went wrong with a system. `code` names the class of error, `remedy` what to do; never a value."""

    def __init__(self, code: str, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.code = code
        self.what = what
        self.remedy = remedy


class Unavailable(ConnectorError):
    """The system does not answer now, or asks for peace until `retry_after` has passed."""

    def __init__(self, code: str, what: str, remedy: str, retry_after: timedelta | None = None) -> None:
        super().__init__(code, what, remedy)
        self.retry_after = retry_after


class Waiting(Unavailable):
    """The hub lets no attempt on the connection through before `until` (UTC). No attempt was made.

    `code` is `paused`, `parked`, `breaker_open` or `rate_limited`.
    """

    def __init__(self, code: str, what: str, remedy: str, until: datetime) -> None:
        super().__init__(code, what, remedy)
        self.until = until


class BadAnswer(ConnectorError):
    """The system answered with something that is not what it promises. Nothing may be concluded from it."""


class Misconfigured(ConnectorError):
    """The configuration is wrong: no attempt can succeed before a person mends it."""


class Refused(ConnectorError):
    """The system refuses this one change for good."""


class Stale(ConnectorError):
    """The record at the system is newer than the one that the change was made on."""


class KeyUsed(ConnectorError):
    """The system has taken in a change with this key: an earlier attempt arrived, and its answer was lost."""


class OutcomeUnknown(ConnectorError):
    """The change was sent and nobody knows whether it was taken in."""


def may_name(record_id: str) -> bool:
    """Tell whether a system's id of a record may stand in a row, in clear: one short line that is no national id."""
    return bool(record_id) and is_short_line(record_id) and not holds_national_id(record_id)


def is_short_line(text: str) -> bool:
    """Tell whether a text has the room that an id has, and no sign that is none."""
    return len(text) <= LONGEST_ID and text.isprintable()


@dataclass(frozen=True)
class SourceRecord:
    """One relay log as a system delivered it: the system's own id and version, and the decoded record.

    `original` is the file it came in, where writing it back must keep the file's looks.
    """

    id: str
    version: str
    tree: Tree = field(repr=False)
    original: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Unreadable:
    """Something that was delivered and is no record: the bytes, a code, the place and what to do, without values.

    Where `own_id`, `id` is the system's own, by which the record is known when it can be read. Else it is made from the
    content, so that the same again is the same.
    """

    id: str
    data: bytes = field(repr=False)
    code: str
    place: str
    remedy: str
    own_id: bool = False


@dataclass(frozen=True)
class Page:
    """Some records of a listing, in the system's order. `token` is the connector's own, for `settle`.

    `cursor` is where a run that stops after this page goes on; "" where a listing can only be read from the start.
    """

    records: tuple[SourceRecord, ...]
    unreadable: tuple[Unreadable, ...] = ()
    token: str = ""
    cursor: str = ""


@dataclass(frozen=True)
class Outgoing:
    """A change to a record: as the system last delivered it, as it shall be, and the key of all attempts."""

    before: SourceRecord
    after: Tree = field(repr=False)
    key: str


@dataclass(frozen=True)
class Accepted:
    """The system took the change in: the record as it stands there now, and the system's reference to the change."""

    record: SourceRecord
    reference: str


class Gate(Protocol):
    """What every attempt on a connection passes, shared by all workers. Called around each attempt by a connector.

    An attempt is one call over the network, or one round of files.
    """

    def enter(self) -> None:
        """Let an attempt through, after a short wait where that is enough. Raises Waiting."""

    def look(self) -> None:
        """See that attempts may be made, for a call that only prepares one: it takes nobody's turn. Raises Waiting."""

    def succeeded(self) -> None:
        """Note that the system answered, whatever it said."""

    def failed(self, error: ConnectorError) -> None:
        """Note that an attempt failed. Only what tells of the system as a whole counts, not what it refuses."""


class _OpenGate:
    def enter(self) -> None:
        """Let it through."""

    def look(self) -> None:
        """Stop nothing."""

    def succeeded(self) -> None:
        """Remember nothing."""

    def failed(self, error: ConnectorError) -> None:
        """Remember nothing."""


OPEN: Gate = _OpenGate()
"""Lets everything through: for calls that belong to no configured connection."""

Repeat = Literal["key", "look_up", "never"]
"""What is safe when nobody knows whether a change was taken in.

`key`: send it again with the same key, which the receiver refuses or recognises when it has seen it. `look_up`: read
the record first. `never`: a person decides.
"""


class Connector(Protocol):
    """One configured system."""

    @property
    def repeat(self) -> Repeat:
        """Tell what is safe after an unknown outcome."""

    @property
    def lists_all(self) -> bool:
        """Tell whether what the pages lack is gone from the system."""

    @property
    def answers(self) -> bool:
        """Tell whether the system itself answers a change. Else it is put out for it, and its next record tells."""

    def check(self) -> None:
        """Reach the system with the configured secrets, reading nothing. Raises ConnectorError."""

    def pages(self, after: str = "") -> Iterator[Page]:
        """Yield the complete listing of relay logs, or what follows the page with the cursor `after`.

        Raises ConnectorError; what was yielded before stands.
        """

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Take note that a page is stored; `refused` gives the reason of each record that was not taken in."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one record. Raises ConnectorError; Refused when it is not there."""

    def update(self, outgoing: Outgoing) -> Accepted:
        """Send one change. Raises ConnectorError."""


@dataclass(frozen=True)
class PlanPerson:
    """Somebody in a plan that is to be made. `role` is what a participant is there; none for child and leader."""

    name: str = field(repr=False)
    national_id: str = field(repr=False)
    role: Literal["guardian", "participant"] | None = None


@dataclass(frozen=True)
class NewPlan:
    """An individual plan to be made: whom it is for, who leads it, and who takes part from the start.

    `affiliation` is the system's id of where the plan belongs; "" where nobody has chosen one.
    """

    main: PlanPerson
    lead: PlanPerson
    participants: tuple[PlanPerson, ...] = ()
    affiliation: str = ""


@dataclass(frozen=True)
class Affiliation:
    """Where a plan can belong in its system: the system's id of it, and its name in the language asked for."""

    id: str
    name: str


class PlanMaker(Protocol):
    """A system in which an individual plan can be made. Making one has effects that stay, and has no key."""

    def plans_of(self, national_id: str) -> tuple[str, ...]:
        """Return the ids of the individual plans that a person has there. Raises ConnectorError."""

    def affiliations(self, language: Language) -> tuple[Affiliation, ...]:
        """Return where a plan can belong there, in the system's own order. Raises ConnectorError."""

    def check_plan(self, new: NewPlan) -> None:
        """See that the system knows the configured codes, making nothing. Raises ConnectorError."""

    def create_plan(self, new: NewPlan) -> str:
        """Make a plan by one attempt and return the system's id of it; "" where it gives none.

        Raises ConnectorError; OutcomeUnknown wherever it may have been made.
        """


@dataclass(frozen=True)
class Setting:
    """One default of a profile, with where it comes from."""

    value: Any
    origin: Origin
    source: str


@dataclass(frozen=True)
class Spec:
    """What a connector says of itself: for documentation, the pages and the validation of its settings."""

    system: str
    title: str
    summary: str
    capabilities: frozenset[Literal["pull", "push", "create", "document", "look_up"]]
    promise: str
    profile: Mapping[str, Setting]

    def origins(self) -> Mapping[Origin, int]:
        """Return how many settings come from where."""
        origins = [setting.origin for setting in self.profile.values()]
        return {origin: origins.count(origin) for origin in dict.fromkeys(origins)}

    def path(self, name: str, overrides: Mapping[str, str]) -> str:
        """Return a path of the profile, as the municipality has it or by default."""
        return overrides.get(name, str(self.profile[name].value))

    @property
    def assumed(self) -> bool:
        """Tell whether anything in the profile is assumed."""
        return any(setting.origin == "assumed" for setting in self.profile.values())
