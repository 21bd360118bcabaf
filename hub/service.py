"""What the commands do: run on schedules until stopped, sync now, plan without doing, check every connection."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import partial
from itertools import count
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from threading import Event
from typing import Literal
from zoneinfo import ZoneInfo

import structlog

from hub.bootstrap import SYSTEMS, Hub, mailer
from hub.connectors.base import ConnectorError, Unavailable
from hub.engine.local import LocalEngine
from hub.engine.occurrences import Cron, Every, Timing
from hub.engine.port import Engine
from hub.operate.audit import HEADS, Heads, chain_all
from hub.operate.keep import Keeper
from hub.operate.reminders import Outcome, Reminded, Reminders
from hub.operate.settings import ConnectionSettings, MailSettings, Schedule, TenantSettings
from hub.relaylog.codes import Language
from hub.store.database import is_postgresql, libpq_url, open_database
from hub.store.leases import LEASE, RUNS, at_work, claim
from hub.store.sealing import SealError
from hub.store.wipe import SHREDDED, ShredList
from hub.sync.archive import content_hash
from hub.sync.context import OSLO, Connection, Tenant
from hub.sync.cycle import Cycle, CycleResult, Progress, no_progress, reachable
from hub.sync.heartbeat import Heartbeat
from hub.sync.pull import PullResult
from hub.sync.reconcile import WHY
from hub.sync.rows import SyncRows, count_of, free_all, upkeep_of
from hub.sync.trouble import STORE_TROUBLE
from hub.sync.upkeep import Upkeep, upkeep_run

UNCHAINED: tuple[type[Exception], ...] = (*STORE_TROUBLE, OSError)
CHAIN_SECONDS = 5
"""How often new events are chained."""

_log = structlog.get_logger(__name__)


class DryRunNotPossible(Exception):
    """A dry run works on a copy of the store, which is made of an SQLite file."""


class NeedsPostgreSQL(Exception):
    """What was asked for is done by several processes at once, and those can share PostgreSQL only."""


def owner() -> str:
    """Name this start of this process in leases: numbers of processes come again, in containers at once."""
    return f"{socket.gethostname()[:80]}.{os.getpid()}.{token_hex(6)}"


def _now() -> datetime:
    return datetime.now(UTC)


def timings(hub: Hub) -> dict[str, Timing]:
    """Return the schedule of each connection that has one, when it is counted, and of each municipality's upkeep."""
    connections = [connection for tenant in hub.settings.tenants for connection in tenant.connections]
    read = {connection.id: timing for connection in connections if (timing := _timing(connection)) is not None}
    listing = [
        each.id for tenant in hub.tenants.values() for each in tenant.connections.values() if each.connector.lists_all
    ]
    wipes = {upkeep_of(number, WIPE): NIGHTLY_WIPE for number in hub.tenants}
    reminders = {
        upkeep_of(_mail_of(each), REMIND): _timed(each.mail.schedule) for each in hub.settings.tenants if each.mail
    }
    return read | {count_of(name): COUNT for name in listing if name in read} | wipes | reminders


COUNT = Timing(Cron("0 4 * * *", OSLO))
"""When connections are counted: after the night's runs, before people come to work."""

WIPE = "wipe"
"""What starts a wipe, as the row of its run says."""

NIGHTLY_WIPE = Timing(Cron("0 5 * * *", OSLO))
"""When what is due is wiped: after the count, because a log of which something does not agree is kept."""


def _timing(connection: ConnectionSettings) -> Timing | None:
    return None if connection.schedule is None else _timed(connection.schedule, connection.catch_up)


def _timed(schedule: Schedule, catch_up: Literal["none", "latest", "all"] = "latest") -> Timing:
    if schedule.every is not None:
        return Timing(Every(schedule.every), catch_up=catch_up)
    return Timing(Cron(schedule.cron or "", ZoneInfo(schedule.zone)), catch_up=catch_up)


def serve_until_stopped(hub: Hub, workers: int, stop: Event | None = None, *, ticks: bool = True) -> None:
    """Run all schedules until SIGINT or SIGTERM, or until `stop` is set.

    A scheduler has no `workers`, a worker has `ticks` false. Raises NeedsPostgreSQL.
    """
    name = owner()
    engine = _engine(hub, name, workers, ticks=ticks)
    ended = stop or Event()
    if stop is None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
    _log.info("hub:engine:started", due=len(timings(hub)))
    with Heartbeat(hub.db, name, _now):
        try:
            engine.start()
            for second in count(1):
                if ended.wait(1):  # a signal that another thread was handed is seen when this one wakes
                    break
                if ticks and second % CHAIN_SECONDS == 0:
                    _chain(hub)
        finally:
            engine.stop()
            if ticks:
                _chain(hub)
            _log.info("hub:engine:stopped")


def _chain(hub: Hub) -> None:
    """Chain the log of events, and keep the head of the day outside the store. What fails now is done the next time."""
    try:
        chain_all(hub.db, hub.tenants, Heads(hub.settings.data / HEADS), datetime.now(OSLO).date())
    except UNCHAINED as error:
        _log.warning("hub:events:not_chained", error_class=type(error).__name__)


def _engine(hub: Hub, name: str, workers: int, *, ticks: bool) -> Engine:
    """Return threads of this process on SQLite, a share in the work of all processes on PostgreSQL."""
    url = hub.settings.database.get_secret_value()
    if not is_postgresql(url):
        if not (ticks and workers):
            raise NeedsPostgreSQL(
                "Scheduler and workers apart need PostgreSQL. Set `database` in hub.yaml to postgresql+psycopg://…, "
                "move the store by `hub store move`, or use `hub run`, which does both on SQLite"
            )
        rows = SyncRows(hub.db, hub.tenants, name, upkeep(hub))
        return LocalEngine(rows, timings(hub), clock=_now, workers=workers)
    from hub.engine.distributed import DistributedEngine

    tenants = {number: replace(tenant, db=hub.db.of(number)) for number, tenant in hub.tenants.items()}
    rows, address = SyncRows(hub.db, tenants, name, upkeep(hub)), libpq_url(url)
    return DistributedEngine(rows, timings(hub), url=address, clock=_now, workers=workers, ticks=ticks)


def sync_now(
    hub: Hub, connection: str = "", *, dry_run: bool = False, progress: Progress = no_progress
) -> Iterator[tuple[Tenant, CycleResult]]:
    """Sync one connection or all, tenant by tenant; a dry run reads and plans on a copy that is thrown away."""
    wanted = [hub.connection(connection)[1].id] if connection else None
    with _maybe_copied(hub, dry_run=dry_run) as copied:
        for tenant in copied.values():
            chosen = [c for c in tenant.connections.values() if wanted is None or c.id in wanted]
            if chosen:
                yield tenant, _cycle(tenant, chosen, dry_run=dry_run, progress=progress)


def _cycle(tenant: Tenant, chosen: list[Connection], *, dry_run: bool, progress: Progress) -> CycleResult:
    name, occurrence = owner(), f"by-hand@{tenant.now().isoformat()}"
    cycle = Cycle(tenant, name, progress)
    with tenant.db.write() as tx:  # what a dead process had taken is due again
        free_all(tx, tenant.now())
    with Heartbeat(tenant.db, name, tenant.now):
        if not dry_run:
            return cycle.whole(chosen, occurrence)
        result = CycleResult({each.id: cycle.pull_by_hand(each, occurrence) for each in chosen})
        cycle.route()
        result.planned = cycle.planned()
        return result


def reconcile_now(hub: Hub, connection: str = "") -> Iterator[tuple[str, PullResult]]:
    """Count one connection beside the hub and its archive, or every one that lists all it has."""
    wanted = hub.connection(connection)[1].id if connection else ""
    for tenant in hub.tenants.values():
        for each in tenant.connections.values():
            if wanted == each.id or (not wanted and each.connector.lists_all):
                occurrence = f"by-hand@{tenant.now().isoformat()}"
                name = owner()
                with Heartbeat(tenant.db, name, tenant.now):
                    counted = Cycle(tenant, name).pull_by_hand(each, occurrence, why=WHY)
                yield each.id, counted


class Wiping(StrEnum):
    """Why a log is wiped, or that one which is due could not be: it does not open."""

    ARCHIVED = "archived"
    NOT_KEPT = "not_kept"
    DAMAGED = "damaged"


def upkeep(hub: Hub) -> Mapping[str, Upkeep]:
    """Return what is done for each municipality as a whole, by what starts it."""
    return {
        WIPE: Upkeep(tuple(Wiping), partial(_nightly_wipe, hub), Wiping.DAMAGED),
        REMIND: Upkeep(tuple(Outcome), partial(_remind, hub), Outcome.FAILED),
    }


def _nightly_wipe(hub: Hub, tenant: Tenant) -> Iterator[str]:
    """Wipe, and have the database give up what was deleted, also what a night that was cut off had left there."""
    for _, why in wiped(hub, tenant, "hub"):
        yield why
    tenant.db.forget_deleted()


def wiped(hub: Hub, tenant: Tenant, who: str, *, dry_run: bool = False) -> Iterator[tuple[str, Wiping]]:
    """Wipe what is due of a municipality, log by log: a dry run only says what would be. `who` is a user id or `hub`.

    Archived logs stay while no term (`wipe_after`) is written. Raises ShredListError.
    """
    settings = next(each for each in hub.settings.tenants if each.organisation_number == tenant.organisation_number)
    keeper = Keeper(tenant.db, tenant.logs, tenant.work, ShredList(hub.settings.data / SHREDDED), who)
    now, rules = tenant.now(), tenant.rules(tenant.today())
    targets = [tenant.archive.id] if tenant.archive else []
    archived = [] if settings.wipe_after is None else keeper.due(targets, settings.wipe_after, now)
    due = [(log_id, Wiping.NOT_KEPT) for log_id in keeper.unkept(rules, now)]
    for log_id, why in [*due, *((log_id, Wiping.ARCHIVED) for log_id in archived)]:
        try:
            gone = dry_run or (
                keeper.drop(log_id, rules, now)
                if why is Wiping.NOT_KEPT
                else keeper.wipe(log_id, partial(content_hash, tenant), now)
            )
        except SealError:
            yield log_id, Wiping.DAMAGED
            continue
        if gone:
            yield log_id, why


REMIND = "remind"
"""What starts the reminders by e-mail, as the row of their run says."""


class NoMail(Exception):
    """A municipality has no mail server, so that nobody can be reminded."""


class RemindersTaken(Exception):
    """Another process is reminding the same municipality now."""


class RemindersBroken(Exception):
    """Not every unit was come to: the store did not answer, or there is a mistake in the hub."""


def _mail_of(tenant: TenantSettings) -> str:
    """Name what the runs of reminders stand under: no connection can be called so."""
    return f"{tenant.organisation_number}/_mail"


def reminders(hub: Hub, tenant: Tenant, language: Language | None = None) -> Reminders:
    """Return the reminders of a municipality, in its own language where none is asked for. Raises NoMail."""
    number = tenant.organisation_number
    settings = next(each for each in hub.settings.tenants if each.organisation_number == number)
    if settings.mail is None:
        raise NoMail(f"{number} has no `mail` in tenant.yaml. Add the mail server and the addresses of its units")
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

    now, mail = tenant.now(), _mail_of(wanted.tenant)
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


def _remind(hub: Hub, tenant: Tenant) -> Iterator[str]:
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


class _maybe_copied:  # noqa: N801 - used as a context manager only
    """The tenants as they are, or on a copy of the store that vanishes."""

    def __init__(self, hub: Hub, *, dry_run: bool) -> None:
        self._hub = hub
        self._folder = TemporaryDirectory(dir=hub.settings.data) if dry_run else None

    def __enter__(self) -> dict[str, Tenant]:
        if self._folder is None:
            return dict(self._hub.tenants)
        source = self._hub.settings.database.get_secret_value()
        if not source.startswith("sqlite:///"):
            raise DryRunNotPossible("A dry run needs an SQLite store. Use --dry-run on a test environment")
        copy = Path(self._folder.name) / "copy.db"
        with self._hub.db.write() as tx:
            tx.exec_driver_sql("SELECT 1")
            shutil.copy(source.removeprefix("sqlite:///"), copy)
            wal = Path(f"{source.removeprefix('sqlite:///')}-wal")
            if wal.exists():
                shutil.copy(wal, f"{copy}-wal")
        self._db = open_database(f"sqlite:///{copy}")
        return {number: replace(tenant, db=self._db) for number, tenant in self._hub.tenants.items()}

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._db.close()
            self._folder.cleanup()


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
    return Check(tenant.archive.id, well=True, detail="the folder counts as the archive")


def _check_mail(tenant: TenantSettings, mail: MailSettings) -> Check:
    """Reach the mail server and log in; nothing is sent."""
    name = f"{tenant.organisation_number}/mail"
    try:
        mailer(mail).check()
    except ConnectorError as error:
        return Check(name, well=False, detail=str(error))
    return Check(name, well=True, detail=f"reached; {len(mail.remind)} units are reminded")
