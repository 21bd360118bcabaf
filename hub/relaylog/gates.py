"""What stops a log from being sent at all. Each answer is a value that names its rule and who may decide.

The same gates are asked when a delivery is made and again just before its bytes leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import partial

from hub.relaylog.codes import Access, AddressProtection, LogStatus, Part, Service
from hub.relaylog.consent import ConsentPolicy, Missing, Opened, Refused, grown_up, may_sign, opened
from hub.relaylog.life import ENDED, LifePolicy
from hub.relaylog.model import RelayLog
from hub.relaylog.protection import is_strict, is_veiled, texts, unread_text
from hub.relaylog.sharing import Later, Sharing


class Decider(StrEnum):
    """The role that may decide over a hold."""

    HOLDER = "holder"
    UNIT_LEADER = "unit_leader"
    RULE_OWNER = "rule_owner"
    ARCHIVIST = "archivist"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Stop:
    """One reason not to send. A `revealing` reason is shown as "særskilt regel" to all but its decider.

    `of_log` tells that the reason lies in the log itself, whoever would read it. `consent` says what is missing where
    a consent is.
    """

    reason: str
    decider: Decider
    releases_when: str
    revealing: bool = False
    of_log: bool = False
    consent: Refused | None = None


@dataclass(frozen=True)
class Rules:
    """The rules in force on a day: the sharing ceiling, who must sign, and when a log may be active."""

    sharing: Sharing
    consent: ConsentPolicy
    life: LifePolicy = field(default_factory=LifePolicy)


ANOTHER_PERSON = Stop(
    "another_person",
    Decider.OPERATOR,
    "its system names the former person again, or a person decides on the record in quarantine",
    of_log=True,
)
"""A system's record of a log is now said to be another person's: whose texts the log holds nobody knows."""

MOVED_RECORD = Stop("moved_record", Decider.OPERATOR, "a person has looked at what would be sent", of_log=True)
"""A record came here out of another person's log, and may still hold what was once sent there about that person."""

UNSENT_STATUS = frozenset({LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED, LogStatus.UNKNOWN})


def stops(
    log: RelayLog, readers: Iterable[Service], day: date, rules: Rules, other_controller: str = ""
) -> tuple[Stop, ...]:
    """Return everything that stops a log from going to these readers on this day; nothing means it may go.

    Without readers it may not: nobody has said who would see it. `other_controller` is the organisation number of a
    controller other than the municipality that the log would go to or come from.
    """
    found = [*special_stops(log), *_life(log)]
    asked = sorted(readers)
    if not asked:
        found.append(Stop(str(Missing.NO_CONSENT), Decider.OPERATOR, "the connection names who reads there"))
    if other_controller and not rules.sharing.agreed(other_controller, asked, day):
        found.append(
            Stop("no_agreement", Decider.RULE_OWNER, "an agreement with the other controller names these services")
        )
    for reader in asked:
        if reader is Service.FAMILY:
            found += _family_stops(log, day)
        answer = opened(log, reader, day, rules.consent)
        if isinstance(answer, Refused):
            found.append(_unconsented(answer, reader, rules.sharing))
    return tuple(dict.fromkeys(found))


def _family_stops(log: RelayLog, day: date) -> list[Stop]:
    """Stop a log from where the family reads: somebody there is barred, or reads without the right to."""
    found = []
    if any(guardian.barred for guardian in log.guardians):
        found.append(
            Stop("guardian_barred", Decider.RULE_OWNER, "a person decides how the family reads", revealing=True)
        )
    reading = [guardian for guardian in log.guardians if guardian.access in (Access.READ, Access.WRITE)]
    if not grown_up(log, day) and any(not may_sign(guardian) for guardian in reading if not guardian.barred):
        found.append(
            Stop(
                "guardian_may_not_read",
                Decider.RULE_OWNER,
                "access is taken from whoever lacks parental responsibility, or the responsibility is made known",
                revealing=True,
            )
        )
    return found


def _unconsented(answer: Refused, reader: Service, sharing: Sharing) -> Stop:
    """Say that a reader lacks a consent. That a hidden service reads at all is for the rule's owner alone."""
    hidden = reader in sharing.hidden_services
    decider = Decider.RULE_OWNER if hidden else Decider.HOLDER
    return Stop(str(answer.reason), decider, f"a valid consent names {reader}", revealing=hidden, consent=answer)


def special_stops(log: RelayLog) -> tuple[Stop, ...]:
    """Return what keeps a log from everybody: it concerns violence, or somebody in it is protected.

    Strict protection of anyone holds the whole log. Under other protection only its unread text does; what tells of
    a place is in no view anyway.
    """
    found = []
    if log.violence:
        found.append(_special("violence", "never by the hub: a person acts outside it", revealing=True))
    if is_strict(log):
        found.append(_special("address_protected", "a person releases each sending", revealing=True))
    elif is_veiled(log) and unread_text(log):
        found.append(_special("free_text_unread", "a person has read the text and releases it", revealing=True))
    if log.subject.address_protection is AddressProtection.UNKNOWN and not is_strict(log):
        found.append(
            _special("protection_unknown", "the system says whether the address is protected", revealing=False)
        )
    return tuple(found)


def _special(reason: str, releases_when: str, *, revealing: bool) -> Stop:
    return Stop(reason, Decider.RULE_OWNER, releases_when, revealing, of_log=True)


def _life(log: RelayLog) -> list[Stop]:
    if log.status in UNSENT_STATUS:
        return [Stop("not_started", Decider.HOLDER, "the log is active")]
    return []


@dataclass(frozen=True)
class Reach:
    """How far back a part is open to a reader.

    `everything`: there from the start of the log, or told all of it. Otherwise what was written from `since` on, and
    of the rest what `later` gives. None for `since`: nobody knows when the consent began.
    """

    everything: bool
    since: date | None = None
    later: Later = "from_consent"


def reaches(log: RelayLog, reader: Service, day: date, rules: Rules) -> dict[Part, Reach]:
    """Return the parts that consent and ceiling together open to a reader on a day, and how far back each goes.

    Empty without a consent. Who is told of a service's contact details is the holder's service by a rule of its own.
    """
    answer = opened(log, reader, day, rules.consent)
    if isinstance(answer, Refused):
        return {}
    found = {
        part: _reach(log, part, rules.sharing, answer.since(partial(_opens, part, reader, rules.sharing)))
        for part in Part
        if _opens(part, reader, rules.sharing, answer)
    }
    if log.holder is not None and log.holder.service is reader and reader is not Service.FAMILY:
        found[Part.CONTACT] = Reach(everything=True)
    return found


def _opens(part: Part, reader: Service, sharing: Sharing, answer: Opened) -> bool:
    """Tell whether a consent opens a part to a reader as far as the ceiling lets it."""
    named = part in answer.parts
    allowed = sharing.allows(part, reader, named=named, child_asked=answer.child_asked)
    return allowed and (named or not answer.only_named)


def _reach(log: RelayLog, part: Part, sharing: Sharing, since: date | None) -> Reach:
    """Return how far back a part goes. Contact details are of today: they have no history."""
    later = sharing.parts[part].later
    from_start = log.opened_on is not None and since is not None and since <= log.opened_on
    return Reach(later == "all" or from_start or part is Part.CONTACT, since, later)


def parts_open_to(log: RelayLog, reader: Service, day: date, rules: Rules) -> frozenset[Part]:
    """Return the parts that consent and ceiling together open to a reader on a day; empty without a consent."""
    return frozenset(reaches(log, reader, day, rules))


@dataclass(frozen=True)
class Withdrawn:
    """A reader who has had the log and is no longer open to: somebody must ask that it is used no more there."""

    reader: Service
    lost: frozenset[Part]
    why: Refused | None
    """None where a consent still stands and only opens less."""


def withdrawn_readers(
    log: RelayLog, had: Mapping[Service, frozenset[Part]], day: date, rules: Rules
) -> tuple[Withdrawn, ...]:
    """Return those of the readers who have had a log that it is closed to on a day, in whole or in part.

    `had` are the parts that each has had; those that no consent could have opened are its own. A consent may end by the
    day alone: it runs out, or the child comes of age. After the log has ended only a withdrawal or a refusal asks for
    anything.
    """
    found = []
    for reader, parts in sorted(had.items()):
        answer = opened(log, reader, day, rules.consent)
        why = answer if isinstance(answer, Refused) else None
        lost = _most(reader, parts, rules) - parts_open_to(log, reader, day, rules)
        by_choice = why is not None and why.reason in (Missing.WITHDRAWN, Missing.REFUSED)
        if by_choice or (log.status not in ENDED and (why or lost)):
            found.append(Withdrawn(reader, lost, why))
    return tuple(found)


def unnamed_parts(log: RelayLog, reader: Service, day: date, rules: Rules) -> frozenset[Part]:
    """Return the parts that the log has text in, that sharing would let a reader have, and that no consent names."""
    present = {part for _, part, _ in texts(log)}
    return _most(reader, present, rules) - parts_open_to(log, reader, day, rules)


def _most(reader: Service, parts: Iterable[Part], rules: Rules) -> frozenset[Part]:
    """Return those of some parts that the fullest consent could open to a reader."""
    return frozenset(part for part in parts if rules.sharing.allows(part, reader, named=True, child_asked=True))
