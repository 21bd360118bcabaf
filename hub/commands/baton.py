"""`hub baton`: tells where the baton of a log is, and writes down an offer or an answer that no system can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import (
    CONFIG,
    ConfigOption,
    LogArgument,
    WhoOption,
    WhyOption,
    ask_as_holder,
    opened,
    tenant_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from hub.bootstrap import Hub
    from hub.relaylog.baton import Baton
    from hub.relaylog.model import Actor, RelayLog
    from hub.store.decisions import Who
    from hub.sync.context import Tenant

app = typer.Typer(help="Who holds a relay log, and handing it over.", no_args_is_help=True)


class Given(StrEnum):
    """What can be written down about an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


@contextmanager
def _standing(config: Path, log_id: str) -> Iterator[tuple[Hub, Tenant, RelayLog, Baton]]:
    """Find a log in whichever municipality, and where its baton is. Raises NoSuchLog, and SealError."""
    from hub.sync.baton import standing

    with opened(config) as hub:
        tenant = tenant_of(hub, log_id, "`hub inbox list` and `hub trace` show ids")
        yield hub, tenant, *standing(tenant, log_id)


@app.command()
def show(log: LogArgument, config: ConfigOption = CONFIG) -> None:
    """Tell where the baton is: services, days and ids, and what is wrong. Nobody is named."""
    with _standing(config, log) as (_, tenant, held, baton):
        hidden = tenant.rules(tenant.today()).sharing.hidden_services

        def service(actor: Actor | None) -> str:
            return "nobody" if actor is None else "special_rule" if actor.service in hidden else actor.service

        typer.echo(f"status {held.status}, holder {service(baton.holder)}")
        for each in baton.open_offers:
            day = f"{each.offered_on:%Y-%m-%d}" if each.offered_on else "an unknown day"
            typer.echo(f"offer {each.id}: {service(each.from_holder)} to {service(each.to_holder)}, on {day}")
        for trouble in baton.troubles:
            typer.echo(f"trouble {trouble}: {trouble.label('en')}")
        for party in held.parties:
            if party.service not in hidden:
                typer.echo(f"party {party.id}: {party.role}, {party.service}")


@app.command()
def offer(
    log: LogArgument,
    to: Annotated[str, typer.Option("--to", metavar="PARTY", help="The party's id, as `hub baton show` lists it.")],
    who: WhoOption,
    why: WhyOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Offer the baton in its holder's name. The holder stays until the other has accepted."""
    from hub.store.decisions import Who
    from hub.sync.baton import offered

    by = Who(who, why)
    with _standing(config, log) as (hub, tenant, held, baton):
        _ask(hub, tenant, held, baton.holder, by)
        typer.echo(f"Offered: {offered(tenant, log, to, by)}. The holder stays until it is accepted.")


@app.command()
def answer(
    log: LogArgument,
    given: Annotated[Given, typer.Argument(metavar="accept|decline|withdraw", help="The answer that was given.")],
    who: WhoOption,
    why: WhyOption,
    handover: Annotated[str, typer.Option("--handover", help="The offer's id, where there are several.")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Write down the answer to an offer, where the new holder's system can't. Only an acceptance moves the baton."""
    from hub.relaylog.baton import Move
    from hub.store.decisions import Who
    from hub.sync.baton import answered

    by = Who(who, why)
    with _standing(config, log) as (hub, tenant, held, baton):
        offers = [each for each in baton.open_offers if handover in ("", each.id)]
        movers = [each.from_holder if given is Given.WITHDRAW else each.to_holder for each in offers]
        _ask(hub, tenant, held, movers[0] if len(movers) == 1 else None, by)
        answered(tenant, log, Move(given), by, handover)
        typer.echo("Written down. It goes out with the next sending.")


def _ask(hub: Hub, tenant: Tenant, log: RelayLog, mover: Actor | None, by: Who) -> None:
    """Ask for the role to speak for whoever moves the baton: that holder's own, or the leader's of that holder's unit.

    Where it is not known who that is, those of the log are asked for.
    """
    from hub.relaylog.model import OrgUnit

    if mover is not None:
        unit = OrgUnit(name=mover.unit, service=mover.service) if mover.unit else log.unit
        log = log.model_copy(update={"holder": mover, "unit": unit})
    ask_as_holder(hub, tenant, log, by.id, by.why)
