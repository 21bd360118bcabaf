"""What stops a log from being sent at all. Each answer is a value that names its rule and who may decide.

The same gates are asked when a delivery is made and again just before its bytes leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hub.relaylog.codes import AddressProtection, LogStatus, Part, Service
from hub.relaylog.consent import ConsentPolicy, Missing, opened
from hub.relaylog.model import RelayLog
from hub.relaylog.sharing import Sharing


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

    `of_log` tells that the reason lies in the log itself, whoever would read it.
    """

    reason: str
    decider: Decider
    releases_when: str
    revealing: bool = False
    of_log: bool = False


@dataclass(frozen=True)
class Rules:
    """The rules in force on a day: the sharing ceiling and who must sign."""

    sharing: Sharing
    consent: ConsentPolicy


PROTECTED = frozenset(
    {
        AddressProtection.CLIENT_ADDRESS,
        AddressProtection.CONFIDENTIAL,
        AddressProtection.STRICTLY_CONFIDENTIAL,
    }
)
UNSENT_STATUS = frozenset({LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED, LogStatus.UNKNOWN})


def stops(log: RelayLog, readers: Iterable[Service], day: date, rules: Rules) -> tuple[Stop, ...]:
    """Return everything that stops a log from going to these readers on this day; nothing means it may go.

    Without readers it may not: nobody has said who would see it.
    """
    found = [*special_stops(log), *_life(log)]
    asked = sorted(readers)
    if not asked:
        found.append(Stop(str(Missing.NO_CONSENT), Decider.OPERATOR, "the connection names who reads there"))
    for reader in asked:
        if reader is Service.FAMILY and any(guardian.barred for guardian in log.guardians):
            found.append(
                Stop("guardian_barred", Decider.RULE_OWNER, "a person decides how the family reads", revealing=True)
            )
        answer = opened(log, reader, day, rules.consent)
        if isinstance(answer, Missing):
            found.append(_unconsented(answer, reader, rules.sharing))
    return tuple(dict.fromkeys(found))


def _unconsented(answer: Missing, reader: Service, sharing: Sharing) -> Stop:
    """Say that a reader lacks a consent. That a hidden service reads at all is for the rule's owner alone."""
    hidden = reader in sharing.hidden_services
    decider = Decider.RULE_OWNER if hidden else Decider.HOLDER
    return Stop(str(answer), decider, f"a valid consent names {reader}", revealing=hidden)


def special_stops(log: RelayLog) -> tuple[Stop, ...]:
    """Return what keeps a log from everybody: it concerns violence, or somebody in it is protected."""
    found = []
    if log.violence:
        found.append(_special("violence", "never by the hub: a person acts outside it", revealing=True))
    persons = [log.subject.address_protection, *(guardian.address_protection for guardian in log.guardians)]
    persons += [relative.address_protection for relative in log.relatives]
    if any(protection in PROTECTED for protection in persons):
        found.append(_special("address_protected", "a person releases each sending", revealing=True))
    elif log.subject.address_protection is AddressProtection.UNKNOWN:
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


def parts_open_to(log: RelayLog, reader: Service, day: date, rules: Rules) -> frozenset[Part]:
    """Return the parts that consent and ceiling together open to a reader on a day; empty without a consent."""
    answer = opened(log, reader, day, rules.consent)
    if isinstance(answer, Missing):
        return frozenset()
    parts = {
        part
        for part in Part
        if rules.sharing.allows(part, reader, named=part in answer.parts, child_asked=answer.child_asked)
    }
    if log.holder is not None and log.holder.service is reader and reader is not Service.FAMILY:
        parts.add(Part.CONTACT)
    return frozenset(parts)
