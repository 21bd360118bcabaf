"""What the commands share: where the configuration lies, and a hub opened from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hub.bootstrap import Hub
    from hub.operate.roles import Act, LogFacts
    from hub.operate.settings import TenantSettings

ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration folder.", envvar="STAFETTHUB_CONFIG")]
WhoOption = Annotated[str, typer.Option("--who", help="Your user id; it stands in the log of events.")]
CONFIG = Path("config")


@contextmanager
def opened(config: Path, *, calls: bool = False) -> Iterator[Hub]:
    """Open the hub of a configuration; `calls` tells that systems will be called, so that they may have to prove."""
    from hub.bootstrap import check_assumptions, open_hub, read_settings, system_clock
    from hub.operate.logging import configure_logging
    from hub.operate.process import Process

    process, clock = Process(), system_clock()
    settings = read_settings(config, os.environ)
    configure_logging(settings.environment, process.log_level or settings.log_level, sys.stderr)
    with open_hub(settings, clock) as hub:
        for tenant in settings.tenants if calls else ():
            check_assumptions(tenant.connections, clock, process.sandbox_proof())
        yield hub


def settings_of(hub: Hub, tenant: str) -> TenantSettings:
    """Return the settings of a municipality that the hub serves."""
    return next(each for each in hub.settings.tenants if each.organisation_number == tenant)


def ask(
    hub: Hub, tenant: str, who: str, act: Act, facts: LogFacts, subject: tuple[str, str], purpose: str = ""
) -> None:
    """Ask whether a user may do something to a subject, given by kind and id, before it is done. Raises NotAllowed."""
    from hub.operate.roles import Door

    sandbox = hub.settings.environment == "sandbox"
    door = Door(hub.db, settings_of(hub, tenant), hub.tenants[tenant].now(), lets_all=sandbox)
    door.ask(who, act, facts, subject, purpose)
