"""Upkeep: runs for a municipality as a whole, such as the nightly wipe, beside those that belong to a connection.

Such a run is a row like any other. In the place of a connection stands the municipality's own number, alone or with a
name that no connection can have. It is booked once an occurrence, taken under a lease, and tells what it did by counts.
A step is whole by itself, so that a run which was cut off goes on with what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Event

import structlog

from hub.connectors.base import Unavailable
from hub.store.database import StoreUnavailable
from hub.store.events import append
from hub.store.leases import LEASE, Lease, LeaseLost, guard, release, renew
from hub.store.tables import RunState
from hub.store.wipe import ShredListError
from hub.store.work import INTERNAL_ERROR
from hub.sync.context import Tenant
from hub.sync.pull import ENDINGS, RUN_PAUSES, STORE_DOWN
from hub.sync.trouble import STORE_TROUBLE

_log = structlog.get_logger(__name__)

UNAVAILABLE: tuple[type[Exception], ...] = (*STORE_TROUBLE, StoreUnavailable, ShredListError, Unavailable)

NOT_WHOLE = "not_whole"
"""How a run ends that came to its end, but could not do every step."""


@dataclass(frozen=True)
class Upkeep:
    """Work for a municipality: `do` takes one step after the other and yields the code of each that is done.

    `codes` are all that it may yield, `failed` the one among them of a step that could not be done.
    """

    codes: tuple[str, ...]
    do: Callable[[Tenant], Iterator[str]]
    failed: str = ""


def upkeep_run(tenant: Tenant, upkeep: Upkeep, lease: Lease, stopping: Event) -> None:
    """Do a run as far as it gets, and write down how it went. Raises LeaseLost.

    When `stopping` is set, it ends after the step that it is at and goes on after the next start. A store or a
    system that does not answer puts it off, a few times.
    """
    with tenant.db.write() as tx:
        guard(tx, lease)
        row = tenant.work.begin_run(tx, lease.row_id, tenant.now())
    counts = dict.fromkeys(upkeep.codes, 0) | row.counts
    try:
        for done in upkeep.do(tenant):
            counts[done] += 1
            with tenant.db.write() as tx:
                lease = renew(tx, lease, tenant.now() + LEASE)
                tenant.work.note_page(tx, lease.row_id, counts, "")
            if stopping.is_set():
                _end(tenant, lease, RunState.QUEUED, counts, due_at=tenant.now())
                return
    except LeaseLost:
        raise
    except UNAVAILABLE as error:
        code = error.code if isinstance(error, Unavailable) else STORE_DOWN.code
        again = row.attempts <= len(RUN_PAUSES)
        due = tenant.now() + RUN_PAUSES[row.attempts - 1] if again else None
        _end(tenant, lease, RunState.QUEUED if again else RunState.FAILED, counts, code, due)
    except Exception as error:  # noqa: BLE001 - a mistake of ours ends this run, not the worker
        _log.error("sync:run:internal_error", run=lease.row_id, exc_info=error)
        _end(tenant, lease, RunState.FAILED, counts, INTERNAL_ERROR)
    else:
        broken = counts.get(upkeep.failed, 0) > 0
        _end(tenant, lease, RunState.FAILED if broken else RunState.DONE, counts, NOT_WHOLE if broken else "")


def _end(
    tenant: Tenant,
    lease: Lease,
    state: RunState,
    counts: dict[str, int],
    code: str = "",
    due_at: datetime | None = None,
) -> None:
    """Give the row back, ended or due again, with its counts on it and in the event."""
    now = tenant.now()
    ended: dict[str, object] = {"due_at": due_at} if due_at else {"ended_at": now, "outcome": code or "done"}
    with tenant.db.write() as tx:
        release(tx, lease, state=state, error_class=code or None, counts=counts, **ended)
        outcome = code or "done"
        append(
            tx, tenant.organisation_number, ENDINGS[state], "run", lease.row_id, "hub", now, outcome=outcome, **counts
        )
    told = {"tenant": tenant.organisation_number, "run": lease.row_id, "status": str(state)}
    if code:
        _log.warning("sync:upkeep:ended", **told, error_class=code)
    else:
        _log.info("sync:upkeep:ended", **told)
