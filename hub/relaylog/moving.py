"""A child that moves to another municipality: the log is closed there, and a copy goes on only by a new consent.

Nothing is handed over by the hub. The family says after the move who may read, and a person sends the copy. Under
address protection the hub makes none: a copy would tell where the child went.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from hub.relaylog.answers import Answer
from hub.relaylog.codes import ClosureReason, ConsentStatus, Service
from hub.relaylog.gates import Rules
from hub.relaylog.life import ENDED
from hub.relaylog.model import Consent, RelayLog
from hub.relaylog.protection import is_veiled

READER = Service.EXTERNAL
"""Who a new municipality is in consents and in the sharing ceiling: a party outside, named as the receiving unit."""

_ENDING = frozenset({ConsentStatus.REFUSED, ConsentStatus.WITHDRAWN})


class NoCopy(Answer):
    """Why no copy of a log is made for a new municipality."""

    NOT_MOVED = (
        "not_moved", "Loggen er ikke avsluttet på grunn av flytting", "Loggen er ikkje avslutta på grunn av flytting",
        "The log is not closed because the family moved",
    )  # fmt: skip
    PROTECTED = (
        "special_rule", "Særskilt regel: en person gjør det utenfor huben",
        "Særskild regel: ein person gjer det utanfor huben",
        "A special rule (særskilt regel): a person acts outside the hub",
    )  # fmt: skip
    NOT_NAMED = (
        "municipality_not_named", "Avslutningen sier ikke hvilken kommune familien flyttet til",
        "Avslutninga seier ikkje kva kommune familien flytta til", "The closing does not say to which municipality",
    )  # fmt: skip
    NO_CONSENT = (
        "no_new_consent", "Ingen har samtykket til den nye kommunen etter flyttingen",
        "Ingen har samtykt til den nye kommunen etter flyttinga",
        "No consent from after the closing names the new municipality",
    )  # fmt: skip


def has_moved(log: RelayLog) -> bool:
    """Tell whether a log was closed because the family moved."""
    return log.status in ENDED and log.closure is not None and log.closure.reason is ClosureReason.MOVED


def for_new_municipality(log: RelayLog) -> RelayLog | NoCopy:
    """Return a moved log with only the consents that count towards the new municipality, or why no copy is made.

    What they open to `READER` is then asked as for any reader. A consent counts when it is to a party outside whose
    unit the closing names, and every day that it bears is after that of the closing; one without a day may be older.
    Refusals and withdrawals count whenever they are from.
    """
    closure = log.closure
    if closure is None or not has_moved(log):
        return NoCopy.NOT_MOVED
    if is_veiled(log) or log.violence:
        return NoCopy.PROTECTED
    if closure.on is None or not _words(closure.continues_as):
        return NoCopy.NOT_NAMED
    told = _words(closure.continues_as)
    counting = tuple(each for each in log.consents if _counts(each, told, closure.on))
    if not any(each.status not in _ENDING for each in counting):
        return NoCopy.NO_CONSENT
    return log.model_copy(update={"consents": counting})


def copy_rules(log: RelayLog, rules: Rules) -> Rules:
    """Return the rules that a copy is made by: no part goes further than to the same service here.

    The consent must name each part, and opens all of it: it is about what the log has been, for nothing comes after.
    """
    parts = {
        part: ceiling.model_copy(
            update={
                "readers": frozenset({READER} if log.unit.service in ceiling.readers else ()),
                "must_be_named": True,
                "later": "all",
            }
        )
        for part, ceiling in rules.sharing.parts.items()
    }
    return replace(rules, sharing=rules.sharing.model_copy(update={"parts": parts}))


def _counts(consent: Consent, told: tuple[str, ...], closed: date) -> bool:
    named = _words(consent.recipient_unit)
    if consent.recipient is not READER:
        return False
    if consent.status in _ENDING:
        return not named or _within(named, told)
    days = {consent.valid_from, *(signer.on for signer in consent.signed_by)} - {None}
    return bool(named) and _within(named, told) and bool(days) and all(day and day > closed for day in days)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.casefold()))


def _within(named: tuple[str, ...], told: tuple[str, ...]) -> bool:
    """Tell whether words stand in a row among others."""
    return any(told[at : at + len(named)] == named for at in range(len(told) - len(named) + 1))
