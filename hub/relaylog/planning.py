"""An individual plan after a relay log: when one is wanted, what keeps the hub from making it, and who may be in it.

A plan makes accounts and gives its leader a lasting right, so a person asks for each, and ticks each participant. Rules
say only who can't be ticked; nobody is in a plan because a rule lets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from hub.relaylog.answers import Answer
from hub.relaylog.codes import ClosureReason, Service
from hub.relaylog.consent import Missing, Opened, grown_up, may_sign, opened
from hub.relaylog.gates import Decider, Rules, Stop, stops
from hub.relaylog.life import ENDED
from hub.relaylog.model import Guardian, Label, Party, RelayLog
from hub.relaylog.protection import is_strict, is_veiled


class Unfit(Answer):
    """Why somebody can't be a participant of a plan that the hub makes."""

    UNKNOWN = (
        "not_in_log", "Loggen har ingen slik foresatt eller deltaker", "Loggen har ingen slik føresett eller deltakar",
        "The log has no such guardian or party",
    )  # fmt: skip
    GUARDIAN = (
        "guardian_may_not", "Denne foresatte kan ikke lese for barnet", "Denne føresette kan ikkje lese for barnet",
        "This guardian may not read for the child",
    )  # fmt: skip
    NO_CONSENT = (
        "no_consent", "Samtykket nevner ikke tjenesten", "Samtykket nemner ikkje tenesta",
        "No consent names the service",
    )  # fmt: skip
    SPECIAL = (
        "special_rule", "Særskilt regel: gjøres for hånd", "Særskild regel: blir gjort for hand",
        "A special rule (særskilt regel): it is done by hand",
    )  # fmt: skip


BEFORE = Label(
    "Fagsystemet oppretter eller oppdaterer kontoer for barnet, for planens leder og for hver deltaker som er krysset "
    "av, og gir lederen en varig rett til å opprette planer. Huben kan ikke gjøre noe av det om.",
    "Fagsystemet opprettar eller oppdaterer kontoar for barnet, for leiaren av planen og for kvar deltakar som er "
    "kryssa av, og gir leiaren ein varig rett til å opprette planar. Huben kan ikkje gjere noko av det om.",
    "The system makes or updates accounts for the child, for the plan's leader and for each participant ticked, and "
    "gives the leader a lasting right to make plans. The hub can undo none of it.",
)
"""What a person is told before a plan is made."""

WANTED = "plan_wanted"
"""Why somebody is asked to see to an individual plan: the log was closed because one takes over."""

PROTECTED = Stop("address_protected", Decider.RULE_OWNER, "never: a person makes the plan", revealing=True, of_log=True)
"""A plan names people at work around the child, and they tell where it is."""


def plan_wanted(log: RelayLog) -> bool:
    """Tell whether a log was closed because an individual plan or a coordinator takes over."""
    return log.status in ENDED and log.closure is not None and log.closure.reason is ClosureReason.INDIVIDUAL_PLAN


def plan_stops(
    log: RelayLog, readers: Iterable[Service], day: date, rules: Rules, other_controller: str = "", *, there: bool
) -> tuple[Stop, ...]:
    """Return what keeps the hub from making a plan where these services read: all that would stop the log itself.

    And any address protection, also where the log could go without what tells of a place. Where the log is `there`
    already its readers have it of their own, and need no consent; one that was refused or has ended stops still.
    """
    found = stops(log, readers, day, rules, other_controller)
    kept = tuple(stop for stop in found if not (there and stop.consent and stop.reason == Missing.NO_CONSENT))
    return (*kept, PROTECTED) if is_veiled(log) and not is_strict(log) else kept


def fitting(
    log: RelayLog, day: date, rules: Rules, own: frozenset[Service] = frozenset()
) -> Iterator[Guardian | Party]:
    """Yield who can be ticked, in the order of the log."""
    for one in _people(log):
        if not isinstance(participant(log, one.id, day, rules, own), Unfit):
            yield one


def participant(
    log: RelayLog, element_id: str, day: date, rules: Rules, own: frozenset[Service] = frozenset()
) -> Guardian | Party | Unfit:
    """Return a guardian or party of a log who can be a participant of its plan, or why not.

    A party comes from a service that a consent names, from the one that holds or answers for the log, or from `own`:
    services that work in the system where the log is already.
    """
    found = next((one for one in _people(log) if one.id == element_id and one.id), None)
    if found is None:
        return Unfit.UNKNOWN
    if isinstance(found, Guardian):
        return found if may_sign(found) and not grown_up(log, day) else Unfit.GUARDIAN
    if found.service in rules.sharing.hidden_services:
        return Unfit.SPECIAL
    known = {*own, log.unit.service, log.holder.service if log.holder else log.unit.service} - {Service.UNKNOWN}
    consented = isinstance(opened(log, found.service, day, rules.consent), Opened)
    return found if found.service in known or consented else Unfit.NO_CONSENT


def _people(log: RelayLog) -> tuple[Guardian | Party, ...]:
    return (*log.guardians, *log.parties)
