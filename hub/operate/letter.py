"""What whoever asked for something by right is told of their case: put together from its row and its sealed words."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Row

from hub.documents.letter import Letter, Lifting, Longer, Ruled, Told
from hub.documents.words import local_day
from hub.relaylog.codes import Language
from hub.relaylog.rights import STOPPING, Basis, RightsDecision
from hub.store.rights import RightsDetail


class NoLetter(Exception):
    """A case has nothing to tell yet, or lacks what the letter has to say. Says what would do."""


def check_letter(case: Row[Any], reasons: str, *, lifting: bool) -> None:
    """See that there is something to tell, before its words are opened. Raises NoLetter.

    A refusal is told with its reasons (GDPR article 12(4)), which are written for whoever asked: the assessment is not.
    `lifting` asks for the notice before what was granted, and still stops the log, is lifted.
    """
    if lifting and (case.kind not in STOPPING or case.decision is not RightsDecision.GRANTED):
        raise NoLetter("Only a granted objection or restriction that still stands can be lifted: leave --lifting out")
    if (lifting or case.decision is RightsDecision.REFUSED) and not reasons:
        raise NoLetter("A refusal or a lifting is told with its reasons: --reasons, as whoever asked is to read them")
    if case.basis is Basis.ARCHIVE_RELEASED and not reasons:
        raise NoLetter("Tell by what the duty to archive was lifted: --reasons, as whoever asked is to read them")
    if case.decision is not None:
        return
    if case.extended_by is None:
        raise NoLetter("The case is neither decided nor given more time: there is nothing to tell yet")
    if reasons:
        raise NoLetter("Why it takes longer was written with `hub rights extend`: leave --reasons out")


def told_of(case: Row[Any], said: RightsDetail | None, reasons: str, *, lifting: bool, was_granted: bool) -> Told:
    """Return what a case that has a letter has to tell. `was_granted` tells that it was granted at some time."""
    if lifting:
        return Lifting(reasons)
    if case.decision is None:
        return Longer(case.due_on, said.extensions if said else ())
    lifts = was_granted and case.decision is RightsDecision.REFUSED
    return Ruled(case.decision, case.basis, local_day(case.decided_at), reasons, lifts)


def letter_of(
    case: Row[Any], said: RightsDetail | None, told: Told, municipality: str, today: date, language: Language
) -> Letter:
    """Return the letter that tells it. Nothing was `said` where the words went with the log's key."""
    asks = said.asks if said else ""
    return Letter(language, municipality, today, case.case_id, case.kind, case.asked_on, asks, told)
