"""What runs by itself, and when: each connection, its nightly count, and each municipality's wipe and reminders."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from hub.bootstrap import Hub
from hub.engine.occurrences import Cron, Every, Timing
from hub.operate.settings import ConnectionSettings, Schedule
from hub.service import remind, wipe
from hub.sync.context import OSLO
from hub.sync.rows import count_of, upkeep_of
from hub.sync.upkeep import Upkeep

COUNT = Timing(Cron("0 4 * * *", OSLO))
"""When connections are counted: after the night's runs, before people come to work."""

NIGHTLY_WIPE = Timing(Cron("0 5 * * *", OSLO))
"""When what is due is wiped: after the count, because a log of which something does not agree is kept."""


def timings(hub: Hub) -> dict[str, Timing]:
    """Return the schedule of each connection that has one, when it is counted, and of each municipality's upkeep."""
    connections = [connection for tenant in hub.settings.tenants for connection in tenant.connections]
    read = {connection.id: timing for connection in connections if (timing := _timing(connection)) is not None}
    listing = [
        each.id for tenant in hub.tenants.values() for each in tenant.connections.values() if each.connector.lists_all
    ]
    wipes = {upkeep_of(number, wipe.WIPE): NIGHTLY_WIPE for number in hub.tenants}
    reminders = {
        upkeep_of(remind.mail_of(each), remind.REMIND): Timing(_times(each.mail.schedule))
        for each in hub.settings.tenants
        if each.mail
    }
    return read | {count_of(name): COUNT for name in listing if name in read} | wipes | reminders


def upkeep(hub: Hub) -> Mapping[str, Upkeep]:
    """Return what is done for each municipality as a whole, by what starts it."""
    return {wipe.WIPE: wipe.nightly(hub), remind.REMIND: remind.daily(hub)}


def _timing(connection: ConnectionSettings) -> Timing | None:
    if connection.schedule is None:
        return None
    return Timing(
        _times(connection.schedule),
        misfire_grace=connection.misfire_grace,
        catch_up=connection.catch_up,
        overlap=connection.overlap,
    )


def _times(schedule: Schedule) -> Cron | Every:
    if schedule.every is not None:
        return Every(schedule.every)
    return Cron(schedule.cron or "", ZoneInfo(schedule.zone))
