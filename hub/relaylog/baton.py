"""The baton: who holds a log, who has been offered it, and what each may do.

While a log is active exactly one has accepted the baton. An offer moves nothing, and neither silence nor a delivery
to the other's system is an answer: the old holder holds until the new one has accepted (the municipalities' routines
for holders say so alike). What is wrong with a history is a value, for a person to mend.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from hub.relaylog.answers import Answer
from hub.relaylog.codes import BatonAnswer, LogStatus
from hub.relaylog.model import Actor, Handover, RelayLog


class Trouble(Answer):
    """What is wrong with the baton of a log."""

    NO_HOLDER = (
        "no_holder", "Ingen har tatt imot stafettpinnen", "Ingen har teke imot stafettpinnen", "Nobody holds the baton"
    )  # fmt: skip
    TWO_HOLDERS = (
        "two_holders", "To har tatt imot stafettpinnen samme dag", "To har teke imot stafettpinnen same dag",
        "Two have accepted the baton on the same day",
    )  # fmt: skip
    HOLDER_DIFFERS = (
        "holder_differs", "Stafettholderen er en annen enn den som sist tok imot",
        "Stafetthaldaren er ein annan enn den som sist tok imot", "The holder is not the one who last accepted",
    )  # fmt: skip
    UNDATED = (
        "acceptance_undated", "En overføring mangler dato for svaret", "Ei overføring manglar dato for svaret",
        "A handover lacks the day of its answer",
    )  # fmt: skip


class Move(StrEnum):
    """What can be done with the baton."""

    OFFER = "offer"
    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class Refusal(Answer):
    """Why a move is refused."""

    NOT_ACTIVE = "not_active", "Loggen er ikke aktiv", "Loggen er ikkje aktiv", "The log is not active"
    NOT_HOLDER = (
        "not_holder", "Bare stafettholderen kan tilby eller trekke tilbudet",
        "Berre stafetthaldaren kan tilby eller trekkje tilbodet", "Only the holder may offer or withdraw an offer",
    )  # fmt: skip
    NOT_OFFERED = (
        "not_offered", "Bare den som er tilbudt pinnen, kan svare", "Berre den som er tilboden pinnen, kan svare",
        "Only who was offered the baton may answer",
    )  # fmt: skip
    ALREADY_ANSWERED = (
        "already_answered", "Tilbudet er besvart eller trukket", "Tilbodet er svara på eller trekt",
        "The offer is answered or withdrawn",
    )  # fmt: skip
    OFFER_STANDS = (
        "offer_stands", "Et tilbud står allerede", "Eit tilbod står alt", "An offer stands already"
    )  # fmt: skip
    TO_ONESELF = (
        "to_oneself", "Stafettholderen har pinnen fra før", "Stafetthaldaren har pinnen frå før",
        "The holder has the baton already",
    )  # fmt: skip


@dataclass(frozen=True)
class Baton:
    """Where the baton of a log is: the accepted holder, the offers that nobody has answered, and what is wrong."""

    holder: Actor | None
    open_offers: tuple[Handover, ...]
    troubles: tuple[Trouble, ...]


def baton(log: RelayLog) -> Baton:
    """Return where the baton is.

    The last who accepted holds it. A log whose handovers say nothing of it has the holder that the log itself names.
    """
    accepted = [each for each in log.handovers if each.answer is BatonAnswer.ACCEPTED and each.to_holder]
    dated = [each for each in accepted if each.answered_on]
    last_day = max((each.answered_on for each in dated if each.answered_on), default=None)
    last = [each.to_holder for each in dated if each.answered_on == last_day and each.to_holder]
    one = next(iter(last), None) if len({_who(actor) for actor in last}) == 1 else None
    offers = tuple(each for each in log.handovers if each.answer is BatonAnswer.OFFERED)
    return Baton(one or log.holder, offers, _troubles(log, last, one, undated=len(accepted) > len(dated)))


def _troubles(log: RelayLog, last: list[Actor], one: Actor | None, *, undated: bool) -> tuple[Trouble, ...]:
    if log.status is not LogStatus.ACTIVE:
        return ()
    found = {
        Trouble.NO_HOLDER: log.holder is None and not last,
        Trouble.TWO_HOLDERS: len({_who(actor) for actor in last}) > 1,
        Trouble.HOLDER_DIFFERS: one is not None and log.holder is not None and _who(one) != _who(log.holder),
        Trouble.UNDATED: undated,
    }
    return tuple(trouble for trouble, is_so in found.items() if is_so)


def may(log: RelayLog, who: Actor, move: Move, handover: Handover | None = None) -> Refusal | None:
    """Return why somebody may not make a move, or None where they may.

    `handover` is the offer that is answered or withdrawn; a new offer has none, and is asked for by its holder.
    """
    now = baton(log)
    if log.status is not LogStatus.ACTIVE:
        return Refusal.NOT_ACTIVE
    holds = now.holder is not None and _who(who) == _who(now.holder)
    if move is Move.OFFER:
        return Refusal.NOT_HOLDER if not holds else Refusal.OFFER_STANDS if now.open_offers else None
    if handover is None or handover not in now.open_offers:
        return Refusal.ALREADY_ANSWERED
    if move is Move.WITHDRAW:
        return None if holds else Refusal.NOT_HOLDER
    asked = handover.to_holder is not None and _who(who) == _who(handover.to_holder)
    return None if asked else Refusal.NOT_OFFERED


def offer(log: RelayLog, who: Actor, to: Actor, on: date, handover_id: str) -> RelayLog | Refusal:
    """Return a log in which its holder offers the baton to another. The holder stays."""
    refused = may(log, who, Move.OFFER)
    if refused is None and _who(who) == _who(to):
        refused = Refusal.TO_ONESELF
    if refused:
        return refused
    made = Handover(
        id=handover_id,
        writer=who.service,
        written_on=on,
        from_holder=who,
        to_holder=to,
        offered_on=on,
        answer=BatonAnswer.OFFERED,
    )
    return log.model_copy(update={"handovers": (*log.handovers, made)})


_ANSWERS = {
    Move.ACCEPT: BatonAnswer.ACCEPTED,
    Move.DECLINE: BatonAnswer.DECLINED,
    Move.WITHDRAW: BatonAnswer.WITHDRAWN,
}


def answer(log: RelayLog, who: Actor, move: Move, handover: Handover, on: date) -> RelayLog | Refusal:
    """Return a log in which an open offer is accepted, declined or withdrawn. Only an acceptance moves the baton."""
    refused = may(log, who, move, handover)
    if refused:
        return refused
    answered = handover.model_copy(update={"answer": _ANSWERS[move], "answered_on": on})
    handovers = tuple(answered if each == handover else each for each in log.handovers)
    moved = {"holder": handover.to_holder} if move is Move.ACCEPT else {}
    return log.model_copy(update={"handovers": handovers, **moved})


def _who(actor: Actor) -> tuple[str, str]:
    """Return what tells holders apart: titles, units and phones change while they hold."""
    return " ".join(actor.name.split()).casefold(), str(actor.service)
