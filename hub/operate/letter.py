"""What whoever asked for something by right is told of their case: put together from its row and its sealed words."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Row

from hub.documents.letter import Letter, Longer, Ruled
from hub.documents.words import local_day
from hub.relaylog.codes import Language
from hub.relaylog.rights import RightsDecision
from hub.store.rights import RightsDetail


class NoLetter(Exception):
    """A case has nothing to tell yet, or lacks what the letter has to say. Says what would do."""


def check_letter(case: Row[Any], reasons: str) -> None:
    """See that there is something to tell, before its words are opened. Raises NoLetter.

    A refusal is told with its reasons (GDPR article 12(4)), which are written for whoever asked: the assessment is not.
    """
    if case.decision is RightsDecision.REFUSED and not reasons:
        raise NoLetter("A refusal is told with its reasons: --reasons, as whoever asked is to read them")
    if case.decision is not None:
        return
    if case.extended_by is None:
        raise NoLetter("The case is neither decided nor given more time: there is nothing to tell yet")
    if reasons:
        raise NoLetter("Why it takes longer was written with `hub rights extend`: leave --reasons out")


def letter_of(
    case: Row[Any], said: RightsDetail | None, reasons: str, municipality: str, today: date, language: Language
) -> Letter:
    """Return the letter of a case that has one. Nothing was `said` where the words went with the log's key."""
    told: Ruled | Longer
    if case.decision is not None:
        told = Ruled(case.decision, case.basis, local_day(case.decided_at), reasons)
    else:
        told = Longer(case.due_on, said.extensions if said else ())
    asks = said.asks if said else ""
    return Letter(language, municipality, today, case.case_id, case.kind, case.asked_on, asks, told)
