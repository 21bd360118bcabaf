"""Reminding a municipality's units by e-mail, each day by itself or when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import partial
from threading import Event

import structlog

from hub.bootstrap import Hub, mailer
from hub.connectors.base import Unavailable
from hub.operate.process import owner
from hub.operate.reminders import Outcome, Reminded, Reminders
from hub.operate.settings import TenantSettings
from hub.relaylog.codes import Language
from hub.store.leases import LEASE, RUNS, at_work, claim
from hub.sync.context import Tenant
from hub.sync.heartbeat import Heartbeat
from hub.sync.rows import free_all
from hub.sync.upkeep import Upkeep, upkeep_run

REMIND = "remind"
"""What starts the reminders by e-mail, as the row of their run says."""

_log = structlog.get_logger(__name__)


class NoMail(Exception):
    """A municipality has no mail server, so that nobody can be reminded."""


class RemindersTaken(Exception):
    """Another process is reminding the same municipality now."""


class RemindersBroken(Exception):
    """Not every unit was come to: the store did not answer, or there is a mistake in the hub."""


def mail_of(tenant: TenantSettings) -> str:
    """Name what the runs of reminders stand under: no connection can be called so."""
    return f"{tenant.organisation_number}/_mail"


def reminders(hub: Hub, tenant: Tenant, language: Language | None = None) -> Reminders:
    """Return the reminders of a municipality, in its own language where none is asked for. Raises NoMail."""
    settings = hub.settings_of(tenant)
    if settings.mail is None:
        who = tenant.organisation_number
        raise NoMail(f"{who} has no `mail` in tenant.yaml. Add the mail server and the addresses of its units")
    mail = settings.mail
    return Reminders(settings, mail, mailer(mail), tenant.db, tenant.logs, tenant.now, language or settings.language)


def remind_now(hub: Hub, tenant: Tenant, day: date, language: Language | None = None) -> list[Reminded]:
    """Remind the units of a municipality that have not been reminded of a day.

    Raises NoMail, RemindersTaken and RemindersBroken.
    """
    wanted, told, name = reminders(hub, tenant, language), list[Reminded](), owner()

    def do(_tenant: Tenant) -> Iterator[str]:
        for each in wanted.send(day):
            told.append(each)
            yield Outcome.FAILED if each.outcome is Outcome.PUT_OFF else each.outcome  # nobody waits here to try again

    now, mail = tenant.now(), mail_of(wanted.tenant)
    with tenant.db.write() as tx:
        free_all(tx, now)
        run_id = tenant.work.queue_run(tx, mail, f"{mail} by-hand {tenant.new_id()}", REMIND, now, now)
        lease = claim(tx, RUNS, run_id, name, now, now + LEASE) if run_id else None
        if lease is None:
            raise RemindersTaken("Another process is reminding. Nothing was done; ask again when it is done")
    with Heartbeat(tenant.db, name, tenant.now), at_work(lease):
        upkeep_run(tenant, Upkeep(tuple(Outcome), do, Outcome.FAILED), lease, Event())
    if len(told) < len(wanted.units()):
        raise RemindersBroken(f"Not every unit was reminded. `hub trace {run_id}` tells why; then ask again")
    return told


def daily(hub: Hub) -> Upkeep:
    """Return the reminders that run by themselves."""
    return Upkeep(tuple(Outcome), partial(_daily, hub), Outcome.FAILED)


def _daily(hub: Hub, tenant: Tenant) -> Iterator[str]:
    """Remind on schedule. Raises Unavailable at the end where a message was put off, so that the run is, too."""
    put_off: Unavailable | None = None
    try:
        wanted = reminders(hub, tenant)
    except NoMail:  # it was taken out of the configuration after this was booked
        return
    for each in wanted.send(tenant.today()):
        if each.outcome in (Outcome.PUT_OFF, Outcome.FAILED, Outcome.UNKNOWN):
            told = {"tenant": tenant.organisation_number, "place": each.unit, "error_class": each.answer}
            _log.warning(f"hub:reminder:{each.outcome}", **told)
        put_off = each.error if isinstance(each.error, Unavailable) else put_off
        yield each.outcome
    if put_off:
        raise put_off
