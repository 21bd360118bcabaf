"""The life of a log: levels and local steps, when one may start, which changes make sense, and how it ends.

A closed log is read only: a later change opens it anew as the next version, never silently over the old. The family or
the youth may end it at any time, and that is obeyed whatever any system says after.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from hub.relaylog.answers import Answer
from hub.relaylog.codes import BtiLevel, ClosedBy, LogStatus
from hub.relaylog.model import RelayLog


class LifePolicy(BaseModel):
    """From which level a log may be active, and the municipality's own steps per level, in their order.

    Without steps any word is a step. Level 1 is Bindal's and Hustadvika's rule; Øygarden starts at level 2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    starts_at: BtiLevel = BtiLevel.ONE_SERVICE
    steps: Mapping[BtiLevel, tuple[str, ...]] = {}


class Senseless(Answer):
    """Why a log cannot become another one."""

    STATUS = (
        "status_change", "Denne statusen kan ikke følge etter den forrige",
        "Denne statusen kan ikkje følgje etter den førre", "This status cannot follow the one before",
    )  # fmt: skip
    TOO_LOW = (
        "level_too_low", "Loggen kan ikke starte på dette nivået", "Loggen kan ikkje starte på dette nivået",
        "The log may not start at this level",
    )  # fmt: skip
    NO_LEVEL = (
        "level_missing", "En aktiv logg må ha et nivå", "Ein aktiv logg må ha eit nivå",
        "An active log must have a level",
    )  # fmt: skip
    STEP = (
        "step_unknown", "Kommunen har ikke dette steget på nivået", "Kommunen har ikkje dette steget på nivået",
        "The municipality has no such step at this level",
    )  # fmt: skip
    READ_ONLY = (
        "read_only", "Loggen er avsluttet og kan bare leses", "Loggen er avslutta og kan berre lesast",
        "The log is closed and can only be read",
    )  # fmt: skip
    ENDED_BY_FAMILY = (
        "ended_by_family", "Familien eller ungdommen har avsluttet loggen",
        "Familien eller ungdomen har avslutta loggen", "The family or the youth has ended the log",
    )  # fmt: skip
    NOT_CLOSED = (
        "closing_missing", "En avsluttet logg må si når den ble avsluttet",
        "Ein avslutta logg må seie når han vart avslutta", "A closed log must say when it was closed",
    )  # fmt: skip


_S = LogStatus
FOLLOWS: Mapping[LogStatus, frozenset[LogStatus]] = {
    _S.DRAFT: frozenset({_S.AWAITING_CONSENT, _S.ACTIVE, _S.REJECTED, _S.CLOSED}),
    _S.AWAITING_CONSENT: frozenset({_S.DRAFT, _S.ACTIVE, _S.REJECTED, _S.CLOSED}),
    _S.ACTIVE: frozenset({_S.PAUSED, _S.CLOSED}),
    _S.PAUSED: frozenset({_S.ACTIVE, _S.CLOSED}),
    _S.CLOSED: frozenset({_S.ARCHIVED}),
    _S.ARCHIVED: frozenset(),
    _S.REJECTED: frozenset({_S.DRAFT, _S.AWAITING_CONSENT}),
    _S.UNKNOWN: frozenset(_S),
}
"""Which status may follow which. What a code list did not know says nothing; nothing becomes unknown."""

ENDED = frozenset({LogStatus.CLOSED, LogStatus.ARCHIVED})
BY_FAMILY = frozenset({ClosedBy.GUARDIAN, ClosedBy.YOUTH})


def change(before: RelayLog, after: RelayLog, policy: LifePolicy) -> tuple[Senseless, ...]:
    """Return why a log cannot become another one; nothing means it can. That a log is archived changes it not."""
    if before.status in ENDED:
        return _after_the_end(before, after)
    found = [*_status(before, after), *rule_breaks(after, policy)]
    if after.status in ENDED and (after.closure is None or after.closure.on is None):
        found.append(Senseless.NOT_CLOSED)
    return tuple(found)


def _after_the_end(before: RelayLog, after: RelayLog) -> tuple[Senseless, ...]:
    same = after.model_copy(update={"status": before.status, "changed_at": before.changed_at})
    if same == before and after.status in {before.status, LogStatus.ARCHIVED}:
        return ()
    return (Senseless.ENDED_BY_FAMILY,) if ended_by_family(before) else (Senseless.READ_ONLY,)


def _status(before: RelayLog, after: RelayLog) -> list[Senseless]:
    stays = after.status is before.status
    return [] if stays or after.status in FOLLOWS[before.status] else [Senseless.STATUS]


def rule_breaks(log: RelayLog, policy: LifePolicy) -> list[Senseless]:
    """Return what is wrong with the level and step of an active log by the municipality's rules."""
    if log.status is not LogStatus.ACTIVE:
        return []
    if log.level is None:
        return [Senseless.NO_LEVEL]
    steps = policy.steps.get(log.level)
    too_low = [Senseless.TOO_LOW] if log.level < policy.starts_at else []
    return too_low + ([Senseless.STEP] if log.step and steps is not None and log.step not in steps else [])


def ended_by_family(log: RelayLog) -> bool:
    """Tell whether the guardians or the youth closed a log: that is obeyed, and no system opens it again."""
    return log.closure is not None and log.closure.decided_by in BY_FAMILY


def reopened(before: RelayLog, after: RelayLog) -> RelayLog | Senseless:
    """Return what was said after the end as a new version: active, without the closing, or why it may not be.

    The version before stays as it was closed; its number is the store's to count. One that the family ended begins
    anew only as another log, after a new consent.
    """
    if before.status not in ENDED:
        return Senseless.STATUS
    if ended_by_family(before):
        return Senseless.ENDED_BY_FAMILY
    return after.model_copy(update={"status": LogStatus.ACTIVE, "closure": None})
