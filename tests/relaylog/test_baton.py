"""The baton: one accepted holder while a log is active; an offer, silence or a delivery moves nothing."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.relaylog.baton import Baton, Move, Refusal, Trouble, answer, baton, may, offer
from hub.relaylog.codes import BatonAnswer, LogStatus, Service
from hub.relaylog.model import Actor, Handover, RelayLog
from tests.relaylog.strategies import DAY

ONE = Actor(name="Vindstille Testlærer", service=Service.SCHOOL)
TWO = Actor(name="Torden Testsøster", service=Service.HEALTH_STATION)
THREE = Actor(name="Tåke Testrådgiver", service=Service.PPT)
HELD = RelayLog(status=LogStatus.ACTIVE, holder=ONE)
CASTS = (ONE, TWO, THREE)


def _made(log: RelayLog | Refusal) -> RelayLog:
    assert isinstance(log, RelayLog)
    return log


OFFERED = _made(offer(HELD, ONE, TWO, DAY, "h1"))
(OPEN,) = OFFERED.handovers


def test_an_offer_moves_nothing() -> None:
    """Who offered still holds, and the offer stands open."""
    assert baton(OFFERED) == Baton(ONE, (OPEN,), ())
    assert OFFERED.holder == ONE


def test_an_acceptance_moves_the_baton() -> None:
    """From the day it is accepted the other holds, and nothing is open."""
    moved = _made(answer(OFFERED, TWO, Move.ACCEPT, OPEN, DAY))
    assert baton(moved) == Baton(TWO, (), ())
    assert moved.holder == TWO
    assert (moved.handovers[0].answer, moved.handovers[0].answered_on) == (BatonAnswer.ACCEPTED, DAY)


@pytest.mark.parametrize(("who", "move"), [(TWO, Move.DECLINE), (ONE, Move.WITHDRAW)])
def test_a_no_leaves_the_holder(who: Actor, move: Move) -> None:
    """Declined or withdrawn, the old holder holds and may offer anew."""
    after = _made(answer(OFFERED, who, move, OPEN, DAY))
    assert baton(after) == Baton(ONE, (), ())
    assert may(after, ONE, Move.OFFER) is None


@pytest.mark.parametrize(
    ("log", "who", "move", "handover", "refused"),
    [
        (HELD, TWO, Move.OFFER, None, Refusal.NOT_HOLDER),
        (OFFERED, ONE, Move.OFFER, None, Refusal.OFFER_STANDS),
        (OFFERED, ONE, Move.ACCEPT, OPEN, Refusal.NOT_OFFERED),
        (OFFERED, THREE, Move.DECLINE, OPEN, Refusal.NOT_OFFERED),
        (OFFERED, TWO, Move.WITHDRAW, OPEN, Refusal.NOT_HOLDER),
        (HELD, TWO, Move.ACCEPT, OPEN, Refusal.ALREADY_ANSWERED),
        (OFFERED, TWO, Move.ACCEPT, None, Refusal.ALREADY_ANSWERED),
        (OFFERED.model_copy(update={"status": LogStatus.CLOSED}), TWO, Move.ACCEPT, OPEN, Refusal.NOT_ACTIVE),
    ],
)
def test_who_may_do_what(log: RelayLog, who: Actor, move: Move, handover: Handover | None, refused: Refusal) -> None:
    """Only the holder offers and withdraws, only who is asked answers, once, while the log is active."""
    assert may(log, who, move, handover) is refused
    if handover is not None:
        assert answer(log, who, move, handover, DAY) is refused


def test_nobody_offers_the_baton_to_themselves() -> None:
    """The holder has the baton already, however the name is written."""
    assert offer(HELD, ONE, ONE.model_copy(update={"name": "vindstille  testlærer"}), DAY, "h1") is Refusal.TO_ONESELF


def _accepted(to: Actor, on: date | None) -> Handover:
    return Handover(id=f"{to.service}-{on}", to_holder=to, answer=BatonAnswer.ACCEPTED, answered_on=on)


@pytest.mark.parametrize(
    ("handovers", "holder", "held_by", "troubles"),
    [
        ((), None, None, (Trouble.NO_HOLDER,)),
        ((_accepted(TWO, DAY),), TWO, TWO, ()),
        ((_accepted(TWO, DAY), _accepted(ONE, DAY - timedelta(days=1))), TWO, TWO, ()),
        ((_accepted(TWO, DAY), _accepted(TWO, DAY)), TWO, TWO, ()),
        ((_accepted(TWO, DAY), _accepted(THREE, DAY)), ONE, ONE, (Trouble.TWO_HOLDERS,)),
        ((_accepted(TWO, DAY),), ONE, TWO, (Trouble.HOLDER_DIFFERS,)),
        ((_accepted(TWO, None),), ONE, ONE, (Trouble.UNDATED,)),
        ((_accepted(TWO, DAY).model_copy(update={"answer": BatonAnswer.UNKNOWN}),), ONE, ONE, ()),
    ],
)
def test_what_is_wrong_is_a_value(
    handovers: tuple[Handover, ...], holder: Actor | None, held_by: Actor | None, troubles: tuple[Trouble, ...]
) -> None:
    """Nobody, two on one day, another than the log says and a day that is missing are told; an unknown answer is no."""
    log = HELD.model_copy(update={"handovers": handovers, "holder": holder})
    assert baton(log) == Baton(held_by, (), troubles)
    assert baton(log.model_copy(update={"status": LogStatus.CLOSED})).troubles == ()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(CASTS), st.sampled_from(Move), st.sampled_from(CASTS)), max_size=12))
def test_whatever_is_tried_one_holds(tries: list[tuple[Actor, Move, Actor]]) -> None:
    """After any tries by anybody there is one holder, nothing is wrong, and only acceptances have moved the baton."""
    log, holder = HELD, ONE
    for number, (who, move, other) in enumerate(tries):
        standing = baton(log).open_offers
        on = DAY + timedelta(days=number)
        if move is Move.OFFER:
            made = offer(log, who, other, on, f"h{number}")
        elif standing:
            made = answer(log, who, move, standing[0], on)
        else:
            continue
        if isinstance(made, RelayLog):
            log = made
            holder = who if move is Move.ACCEPT else holder
        assert (baton(log).holder, baton(log).troubles, log.holder) == (holder, (), holder)
