"""What the commands share: their common options, a hub opened from the configuration, and asking who may do what."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.operate.roles import Act, LogFacts
    from hub.relaylog.model import RelayLog
    from hub.sync.context import Tenant

Language = Literal["nb", "nn", "en"]
"""The language of a paper or a list."""

ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration folder.", envvar="STAFETTHUB_CONFIG")]
TenantOption = Annotated[str, typer.Option("--tenant", help="Organisation number; not needed where there is one.")]
LogArgument = Annotated[
    str, typer.Argument(metavar="LOG", help="The hub's id of the log; `hub inbox list` shows it where something waits.")
]
WhoOption = Annotated[str, typer.Option("--who", help="Your user id; it stands in the log of events.")]
WhyOption = Annotated[str, typer.Option("--why", help="Your reason, in a few words; it is kept sealed.")]
RevealedToOption = Annotated[str, typer.Option("--who", help="Your user id, with --reveal.")]
PurposeOption = Annotated[str, typer.Option("--purpose", help="What you need to see it for; it is kept sealed.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")]
CONFIG = Path("config")


class NoSuchLog(Exception):
    """No municipality here has this log."""


class UnknownTenant(Exception):
    """A configuration doesn't have the municipality, or has several and none was named."""


class CannotWrite(Exception):
    """A file cannot be written where it was asked for. Says what would do."""


@contextmanager
def opened(config: Path, *, calls: bool = False) -> Iterator[Hub]:
    """Open the hub of a configuration; `calls` tells that systems will be called, so that they may have to prove."""
    from hub.bootstrap import check_assumptions, open_hub, read_settings, system_clock
    from hub.operate.logging import configure_logging
    from hub.operate.process import Process, collect_seldom

    collect_seldom()
    process, clock = Process(), system_clock()
    settings = read_settings(config, os.environ)
    configure_logging(settings.environment, process.log_level or settings.log_level, sys.stderr)
    with open_hub(settings, clock) as hub:
        for tenant in settings.tenants if calls else ():
            check_assumptions(tenant.connections, clock, process.sandbox_proof())
        yield hub


def the_tenant(known: Collection[str], named: str) -> str:
    """Return the municipality that is meant of those known: the named, or the only one. Raises UnknownTenant."""
    if (named or len(known) != 1) and named not in known:
        raise UnknownTenant(f"Name one municipality with --tenant: {', '.join(known)}")
    return named or next(iter(known))


def tenant_of(hub: Hub, log_id: str, remedy: str = "`hub inbox list` and `hub report control` show ids") -> Tenant:
    """Return the municipality that has a log. Raises NoSuchLog; `remedy` says where ids are shown."""
    from hub.operate.opened import municipality_of

    number = municipality_of(hub.db, log_id)
    if number is None or number not in hub.tenants:
        raise NoSuchLog(f"No log has this id. {remedy}")
    return hub.tenants[number]


def log_facts(hub: Hub, tenant: Tenant, log_id: str, *, opens: bool = False) -> LogFacts:
    """Return what a role is held against; `opens` tells that the log's text is opened.

    A log that does not open has no facts of its own: only a role that is granted for all units reaches it.
    """
    from hub.operate.roles import LogFacts, facts_of
    from hub.store.sealing import SealError

    with tenant.db.read() as tx:
        try:
            log = tenant.logs.load(tx, log_id).log
        except SealError:
            return LogFacts()
    return facts_of(log, hub.settings_of(tenant), None if opens else ())


def ask(
    hub: Hub, tenant: Tenant, who: str, act: Act, facts: LogFacts, subject: tuple[str, str], purpose: str = ""
) -> None:
    """Ask whether a user may do something to a subject, given by kind and id, before it is done. Raises NotAllowed."""
    from hub.operate.roles import Door

    sandbox = hub.settings.environment == "sandbox"
    door = Door(hub.db, hub.settings_of(tenant), tenant.now(), lets_all=sandbox)
    door.ask(who, act, facts, subject, purpose)


def ask_as_holder(hub: Hub, tenant: Tenant, log: RelayLog, who: str, purpose: str = "") -> None:
    """Ask whether a user may do what waits for a log's holder, before it is done. Raises NotAllowed."""
    from hub.operate.roles import Act, facts_of
    from hub.operate.settings.model import Role

    facts = replace(facts_of(log, hub.settings_of(tenant), ()), addressed_to=Role.HOLDER)
    ask(hub, tenant, who, Act.DECIDE, facts, ("log", log.id), purpose)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone can read, and tell of it. Raises CannotWrite."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # one that was there may have been open to others
            file.write(content)
    except OSError as error:
        told = f"The file cannot be written ({error.strerror}). Name one in a folder that is there"
        raise CannotWrite(told) from None
    typer.echo(f"Made {path}")
