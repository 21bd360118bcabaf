"""Sync by hand: a pull and all that follows from it, the plan of it alone, or a count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from hub.bootstrap import Hub
from hub.operate.process import owner
from hub.service.dryrun import on_a_copy
from hub.store.decisions import Who
from hub.sync.context import Tenant
from hub.sync.cycle import Cycle, CycleResult, Progress, no_progress
from hub.sync.heartbeat import Heartbeat
from hub.sync.pull import PullResult
from hub.sync.reconcile import WHY
from hub.sync.rows import free_all


def sync_now(
    hub: Hub,
    connection: str = "",
    *,
    dry_run: bool = False,
    short: Who | None = None,
    progress: Progress = no_progress,
) -> Iterator[tuple[Tenant, CycleResult]]:
    """Sync one connection or all, tenant by tenant; a dry run reads and plans on a copy that is thrown away.

    `short` is who takes the listing for whole however short it is.
    """
    wanted = hub.connection(connection)[1].id if connection else ""
    for tenant in hub.tenants.values():
        chosen = [name for name in tenant.connections if wanted in ("", name)]
        if chosen:
            with on_a_copy(tenant, hub.settings.data) if dry_run else nullcontext(tenant) as worked_on:
                result = _cycle(worked_on, chosen, dry_run=dry_run, short=short, progress=progress)
            yield tenant, result


def _cycle(
    tenant: Tenant, chosen: Sequence[str], *, dry_run: bool, short: Who | None, progress: Progress
) -> CycleResult:
    name, occurrence = owner(), f"by-hand@{tenant.now().isoformat()}"
    cycle, connections = Cycle(tenant, name, progress), [tenant.connections[each] for each in chosen]
    with tenant.db.write() as tx:  # what a dead process had taken is due again
        free_all(tx, tenant.now())
    with Heartbeat(tenant.db, name, tenant.now):
        if not dry_run:
            return cycle.whole(connections, occurrence, short)
        result = CycleResult({each.id: cycle.pull_by_hand(each, occurrence) for each in connections})
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
