"""Checking that everything can be reached as it is configured: connections, archive, mail server. Nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.bootstrap import SYSTEMS, Hub, mailer
from hub.connectors.base import ConnectorError
from hub.operate.settings import MailSettings, TenantSettings
from hub.sync.context import Connection, Tenant
from hub.sync.cycle import reachable


@dataclass(frozen=True)
class Check:
    """One thing that was checked: what, whether it is well, and the remedy where it is not."""

    what: str
    well: bool
    detail: str


def check_all(hub: Hub, name: str = "") -> Iterator[Check]:
    """Check one connection, or every one and what the archive still needs to be told."""
    if name:
        found = hub.settings.connection(name)
        yield _check_connection(hub.connection(name)[1], found.system)
        return
    for settings in hub.settings.tenants:
        tenant = hub.tenants[settings.organisation_number]
        for connection in settings.connections:
            yield _check_connection(tenant.connections[connection.id], connection.system)
        yield _check_archive(tenant, settings.archive.folder if settings.archive else Path())
        if settings.mail:
            yield _check_mail(settings, settings.mail)


def _check_connection(connection: Connection, system: str) -> Check:
    error = reachable(connection)
    if error is not None:
        return Check(connection.id, well=False, detail=str(error))
    origins = SYSTEMS[system].spec.origins()
    told = ", ".join(f"{count} {origin}" for origin, count in sorted(origins.items()))
    return Check(connection.id, well=True, detail=f"reached; settings of its profile: {told}")


def _check_archive(tenant: Tenant, folder: Path) -> Check:
    if tenant.archive is None:
        name, remedy = f"{tenant.organisation_number}/archive", "No archive. Set folder_is_archive and archive.folder"
        return Check(name, well=False, detail=remedy)
    if tenant.archive.settings(tenant.today()) is None:
        remedy = "No archive settings hold today. Write rules/archive.yaml with a valid_from"
        return Check(tenant.archive.id, well=False, detail=remedy)
    if not folder.is_dir():
        return Check(tenant.archive.id, well=False, detail="The archive folder is not there. Mount it, or make it")
    months = tenant.archive.every_months
    told = "1 month" if months == 1 else f"{months} months"
    again = f"; logs that go on are archived too, {told} after the last time" if months else ""
    return Check(tenant.archive.id, well=True, detail=f"the folder counts as the archive{again}")


def _check_mail(tenant: TenantSettings, mail: MailSettings) -> Check:
    """Reach the mail server and log in; nothing is sent."""
    name = f"{tenant.organisation_number}/mail"
    try:
        mailer(mail).check()
    except ConnectorError as error:
        return Check(name, well=False, detail=str(error))
    return Check(name, well=True, detail=f"reached; {len(mail.remind)} units are reminded")
