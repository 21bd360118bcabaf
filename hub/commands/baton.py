"""`hub baton`: tells where the baton of a log is, and writes down an offer or an answer that no system can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hub.commands.shared import CONFIG, ConfigOption, ask, opened, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from hub.bootstrap import Hub
    from hub.relaylog.model import Actor
    from hub.store.decisions import Who
    from hub.sync.context import Tenant

app = typer.Typer(help="Who holds a relay log, and handing it over.", no_args_is_help=True)

Log = Annotated[str, typer.Argument(metavar="LOG", help="The hub's id of the log.")]
WhoOption = Annotated[str, typer.Option("--who", help="Your user id; it is kept.")]
WhyOption = Annotated[str, typer.Option("--why", help="Your reason, in a few words; it is kept sealed.")]


class Given(StrEnum):
    """What can be written down about an offer."""

    ACCEPT = "accept"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class NoSuchLog(Exception):
    """No municipality here has this log, or it can't be opened."""


@contextmanager
def _tenant_of(config: Path, log_id: str) -> Iterator[tuple[Hub, Tenant]]:
    from hub.operate.report import Reports

    with opened(config) as hub:
        for tenant in hub.tenants.values():
            if Reports(hub.db).trace(tenant.organisation_number, log_id):
                yield hub, tenant
                return
    raise NoSuchLog("No log has this id. `hub inbox list` and `hub trace` show ids")


@app.command()
def show(log: Log, config: ConfigOption = CONFIG) -> None:
    """Tell where the baton is: services, days and ids, and what is wrong. Nobody is named."""
    from hub.sync.baton import standing

    with _tenant_of(config, log) as (_, tenant):
        held, baton = standing(tenant, log)
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
    log: Log,
    to: Annotated[str, typer.Option("--to", metavar="PARTY", help="The party's id, as `hub baton show` lists it.")],
    who: WhoOption,
    why: WhyOption,
    config: ConfigOption = CONFIG,
) -> None:
    """Offer the baton in its holder's name. The holder stays until the other has accepted."""
    from hub.store.decisions import Who
    from hub.sync.baton import offered, standing

    with _tenant_of(config, log) as (hub, tenant):
        _ask(hub, tenant, log, standing(tenant, log)[1].holder, Who(who, why))
        typer.echo(f"Offered: {offered(tenant, log, to, Who(who, why))}. The holder stays until it is accepted.")


@app.command()
def answer(
    log: Log,
    given: Annotated[Given, typer.Argument(metavar="accept|decline|withdraw", help="The answer that was given.")],
    who: WhoOption,
    why: WhyOption,
    handover: Annotated[str, typer.Option("--handover", help="The offer's id, where there are several.")] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Write down the answer to an offer, where the new holder's system can't. Only an acceptance moves the baton."""
    from hub.relaylog.baton import Move
    from hub.store.decisions import Who
    from hub.sync.baton import answered, standing

    with _tenant_of(config, log) as (hub, tenant):
        offers = [each for each in standing(tenant, log)[1].open_offers if handover in ("", each.id)]
        by = [each.from_holder if given is Given.WITHDRAW else each.to_holder for each in offers]
        _ask(hub, tenant, log, by[0] if len(by) == 1 else None, Who(who, why))
        answered(tenant, log, Move(given), Who(who, why), handover)
        typer.echo("Written down. It goes out with the next sending.")


def _ask(hub: Hub, tenant: Tenant, log_id: str, by: Actor | None, who: Who) -> None:
    """Ask for the role to speak for whoever moves the baton: that holder's own, or the leader's of that holder's unit.

    Where it is not known who that is, those of the log are asked for.
    """
    from dataclasses import replace

    from hub.operate.roles import Act, facts_of
    from hub.operate.settings.model import Role
    from hub.relaylog.model import OrgUnit
    from hub.sync.baton import standing

    log, _ = standing(tenant, log_id)
    if by is not None:
        unit = OrgUnit(name=by.unit, service=by.service) if by.unit else log.unit
        log = log.model_copy(update={"holder": by, "unit": unit})
    number = tenant.organisation_number
    facts = replace(facts_of(log, settings_of(hub, number), ()), addressed_to=Role.HOLDER)
    ask(hub, number, who.id, Act.DECIDE, facts, ("log", log_id), who.why)
