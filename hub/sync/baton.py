"""The baton by hand: where the new holder's system cannot answer, a person's answer is written into the log itself.

What is written is agreed: every system that holds the log is sent it, and its own earlier word no longer stands
against it. An offer moves nothing, and only who was offered the baton can be answered for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection as Transaction

from hub.relaylog.baton import Baton, Move, Refusal, answer, baton, offer
from hub.relaylog.merge import Place, flatten, unflatten
from hub.relaylog.model import Actor, Handover, RelayLog
from hub.store.decisions import Choice, NewDecision, Who, keep
from hub.store.events import Action, append
from hub.store.logs import Side, StoredLog
from hub.sync.admit import remerge
from hub.sync.context import Tenant
from hub.sync.route import Router


class CannotMove(Exception):
    """The baton cannot be offered or answered so. Says why and what would do; never what a log holds."""


def standing(tenant: Tenant, log_id: str) -> tuple[RelayLog, Baton]:
    """Return a log and where its baton is. Raises SealError where there is no such log."""
    with tenant.db.read() as tx:
        log = tenant.logs.load(tx, log_id).log
    return log, baton(log)


def offered(tenant: Tenant, log_id: str, party_id: str, who: Who) -> str:
    """Offer the baton, in its holder's name, to somebody who takes part; return the handover's id.

    Raises CannotMove, and SealError where there is no such log.
    """
    handover_id = tenant.new_id()
    with tenant.db.write() as tx:
        stored = tenant.logs.load(tx, log_id)
        party = next((each for each in stored.log.parties if each.id == party_id), None)
        holder = baton(stored.log).holder
        if party is None or holder is None:
            raise CannotMove("Only a holder can offer the baton, and only to a party: `hub baton show` lists them")
        to = Actor(name=party.name, title=party.title, service=party.service, unit=party.unit)
        moved = _allowed(offer(stored.log, holder, to, tenant.today(), handover_id))
        _write(tenant, tx, stored, moved)
        _keep(tenant, tx, stored, handover_id, Choice.OFFERED, who)
        append(tx, tenant.organisation_number, Action.PERSON_BATON_OFFERED, "log", log_id, who.id, tenant.now())
    Router(tenant).route([log_id])
    return handover_id


def answered(tenant: Tenant, log_id: str, move: Move, who: Who, handover_id: str = "") -> None:
    """Note that an open offer was accepted, declined or withdrawn; `handover_id` names it where there are several.

    Raises CannotMove, and SealError where there is no such log.
    """
    with tenant.db.write() as tx:
        stored = tenant.logs.load(tx, log_id)
        handover = _the_offer(stored.log, handover_id)
        by = handover.from_holder if move is Move.WITHDRAW else handover.to_holder
        if by is None:
            raise CannotMove("The offer does not say between whom. Mend it in the system that made it")
        moved = _allowed(answer(stored.log, by, move, handover, tenant.today()))
        _write(tenant, tx, stored, moved)
        _keep(tenant, tx, stored, handover.id, Choice.ANSWERED, who)
        about = {"move": str(move)}
        append(
            tx, tenant.organisation_number, Action.PERSON_BATON_ANSWERED, "log", log_id, who.id, tenant.now(), **about
        )
    Router(tenant).route([log_id])


def _the_offer(log: RelayLog, handover_id: str) -> Handover:
    found = [each for each in baton(log).open_offers if handover_id in ("", each.id)]
    if len(found) != 1:
        raise CannotMove("There is not one open offer to answer: `hub baton show` lists them; name one with --handover")
    return found[0]


def _allowed(moved: RelayLog | Refusal) -> RelayLog:
    if isinstance(moved, Refusal):
        raise CannotMove(f"{moved.label('en')}. `hub baton show` tells where the baton is")
    return moved


def _write(tenant: Tenant, tx: Transaction, stored: StoredLog, moved: RelayLog) -> None:
    """Make what was changed in a log agreed, as if each system had been exchanged it at what it says now."""
    before, after = flatten(stored.log), flatten(moved)
    touched = {place[:2] for place in after if place.collection and before.get(place) != after[place]}
    news = {
        place: value
        for place, value in after.items()
        if place[:2] in touched or (not place.collection and before[place] != value)
    }
    sides = tuple(_aware(side, news) for side in stored.sides)
    for side in sides:
        tenant.logs.save_side(tx, stored, side, None, tenant.now())
    agreed = unflatten({**(flatten(stored.agreed) if stored.agreed else {}), **news})
    remerge(tenant, tx, replace(stored, agreed=agreed, sides=sides), tenant.now())
    tenant.logs.route_anew(tx, stored.log_id)


def _aware(side: Side, news: Mapping[Place, Any]) -> Side:
    """Return a side that has said what it says on some places before they changed: it is no answer to the change."""
    said = {place: value for place, value in flatten(side.seen).items() if place in news}
    if not said:
        return side
    base, sent = (unflatten({**(flatten(log) if log else {}), **said}) for log in (side.base, side.sent))
    return replace(side, base=base, sent=sent)


def _keep(tenant: Tenant, tx: Transaction, stored: StoredLog, handover_id: str, choice: Choice, who: Who) -> None:
    new = NewDecision("baton", handover_id, choice, stored.log_id)
    keep(tx, tenant.organisation_number, stored.sealer, tenant.new_id(), new, who, tenant.now())
