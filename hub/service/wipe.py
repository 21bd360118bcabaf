"""Wiping what is due of a municipality, at night by itself or when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import partial

from hub.bootstrap import Hub
from hub.service.dryrun import forget_left_behind
from hub.store.sealing import SealError
from hub.store.wipe import SHREDDED, ShredList
from hub.sync.context import Tenant
from hub.sync.upkeep import Upkeep
from hub.sync.wipe import Keeper

WIPE = "wipe"
"""What starts a wipe, as the row of its run says."""


class Wiping(StrEnum):
    """Why a log is wiped, or that one which is due could not be: it does not open."""

    ARCHIVED = "archived"
    NOT_KEPT = "not_kept"
    DAMAGED = "damaged"


def nightly(hub: Hub) -> Upkeep:
    """Return the wipe that runs by itself."""
    return Upkeep(tuple(Wiping), partial(_nightly, hub), Wiping.DAMAGED)


def _nightly(hub: Hub, tenant: Tenant) -> Iterator[str]:
    """Wipe, and have the database give up what was deleted, also what a night that was cut off had left there."""
    for _, why in wiped(hub, tenant, "hub"):
        yield why
    tenant.db.forget_deleted()


def wiped(hub: Hub, tenant: Tenant, who: str, *, dry_run: bool = False) -> Iterator[tuple[str, Wiping]]:
    """Wipe what is due of a municipality, log by log: a dry run only says what would be. `who` is a user id or `hub`.

    Archived logs stay while no term (`wipe_after`) is written. Raises ShredListError.
    """
    if not dry_run:
        forget_left_behind(hub.settings.data, tenant.now())  # copies that hold keys of what is wiped here
    settings = hub.settings_of(tenant)
    keeper = Keeper(tenant, ShredList(hub.settings.data / SHREDDED), who)
    archived = [] if settings.wipe_after is None else keeper.due(settings.wipe_after)
    due = [(log_id, Wiping.NOT_KEPT) for log_id in keeper.unkept()]
    for log_id, why in [*due, *((log_id, Wiping.ARCHIVED) for log_id in archived)]:
        try:
            gone = dry_run or (keeper.drop(log_id) if why is Wiping.NOT_KEPT else keeper.wipe(log_id))
        except SealError:
            yield log_id, Wiping.DAMAGED
            continue
        if gone:
            yield log_id, why
