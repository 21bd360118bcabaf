"""Rotation of a tenant's key: a new version wraps all data keys, and what is sealed stays as it lies.

Work goes in batches, each a transaction of its own; a rotation that was cut off goes on where it stopped, because
each row names the version that wraps it. The old version stays in the file until `retire`, which asks for an hour
since the newest: until then a process that has not seen the new one may still wrap by the old.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Table, and_, bindparam, func, select, update

from hub.store.database import Database
from hub.store.events import Action, append
from hub.store.sealing import KeyMaterial, KeySource, TenantKeys, fresh_key, tenant_keys
from hub.store.tables import decisions, log_keys, proposals, quarantine

_BATCH = 200
GRACE = timedelta(hours=1)


class RotationRefused(Exception):
    """The keys cannot be changed as things are. Says what is in the way and what to do."""


@dataclass(frozen=True)
class _Wrapped:
    """One table with wrapped data keys: the column that tells the rows apart, and what the owner is called."""

    table: Table[Any]
    id: Column[str]
    kind: str

    def older(self, tenant: str, current: int) -> list[Any]:
        """Return the conditions on a tenant's rows that another version wraps."""
        c = self.table.c
        return [c.tenant == tenant, c.wrapped_key.is_not(None), c.key_version != current]


WRAPPED = (
    _Wrapped(log_keys, log_keys.c.log_id, "log"),
    _Wrapped(quarantine, quarantine.c.quarantine_id, "quarantine"),
    _Wrapped(proposals, proposals.c.proposal_id, "proposal"),
    _Wrapped(decisions, decisions.c.decision_id, "decision"),
)


class Rotated(KeySource, Protocol):
    """A tenant's keys in a file that the hub can change, whether they lie there as they are or wrapped."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def tenant(self) -> str:
        """Whose keys they are, by organisation number."""

    def write(self, material: KeyMaterial) -> None:
        """Put new content in the file's place: all of it, or the old one stays. Raises KeyFileError."""


def add_version(file: Rotated) -> int:
    """Add a fresh key to a key file as the version that wraps, and return it; one that was added before goes on.

    Raises KeyFileError.
    """
    material = file.read()
    if len(material.keys) > 1:
        return material.current
    version = material.current + 1
    file.write(replace(material, current=version, keys={**material.keys, version: fresh_key()}))
    return version


def rewrap(db: Database, keys: TenantKeys, actor: str, now: datetime) -> int:
    """Wrap by the current version every data key that another one wraps; return how many there were.

    Raises SealError and KeyFileError. What was done before an error stays done.
    """
    keys.refresh()
    done = sum(_rewrap_table(db, keys, wrapped) for wrapped in WRAPPED)
    with db.of(keys.tenant).write() as tx:
        append(
            tx, keys.tenant, Action.PERSON_KEYS_ROTATED, "tenant", keys.tenant, actor, now,
            version=keys.current, rewrapped=done,
        )  # fmt: skip
    return done


def _rewrap_table(db: Database, keys: TenantKeys, wrapped: _Wrapped) -> int:
    done = 0
    while True:
        with db.of(keys.tenant).write() as tx:
            count = _rewrap_batch(tx, keys, wrapped)
        done += count
        if count < _BATCH:
            return done


def _rewrap_batch(tx: Connection, keys: TenantKeys, wrapped: _Wrapped) -> int:
    c = wrapped.table.c
    these = select(wrapped.id.label("id"), c.wrapped_key, c.key_version).where(
        *wrapped.older(keys.tenant, keys.current)
    )
    rows = tx.execute(these.order_by(wrapped.id).limit(_BATCH)).all()
    fresh = [(row.id, *keys.rewrapped(f"{wrapped.kind}:{row.id}", row.wrapped_key, row.key_version)) for row in rows]
    if fresh:
        mine = and_(c.tenant == keys.tenant, wrapped.id == bindparam("of_id"))
        anew = update(wrapped.table).where(mine)
        tx.execute(
            anew.values(wrapped_key=bindparam("new_key"), key_version=bindparam("new_version")),
            [{"of_id": row_id, "new_key": key, "new_version": version} for row_id, key, version in fresh],
        )
    return len(rows)


def in_use(tx: Connection, tenant: str) -> dict[int, int]:
    """Return how many data keys each version wraps."""
    counts: dict[int, int] = {}
    for wrapped in WRAPPED:
        c = wrapped.table.c
        each = select(c.key_version, func.count()).where(c.tenant == tenant, c.wrapped_key.is_not(None))
        for version, count in tx.execute(each.group_by(c.key_version)):
            counts[version] = counts.get(version, 0) + count
    return counts


def retire(db: Database, file: Rotated, actor: str, now: datetime) -> list[int]:
    """Take every version out of a key file that is not the current one; return them.

    Raises RotationRefused while a row uses one, or the newest has been there for less than an hour, and KeyFileError.
    """
    material, tenant = file.read(), file.tenant
    old = sorted(material.keys.keys() - {material.current})
    if now - datetime.fromtimestamp(file.path.stat().st_mtime, now.tzinfo) < GRACE:
        raise RotationRefused(
            f"{file.path}: changed less than an hour ago, and a hub process may not have seen it. Try again later"
        )
    with db.of(tenant).write() as tx:
        counts = in_use(tx, tenant)
        if used := [version for version in old if counts.get(version)]:
            raise RotationRefused(
                f"tenant {tenant}: key version {used[0]} still wraps {counts[used[0]]} data keys. "
                f"Run `hub keys rotate {tenant}` to its end"
            )
        append(tx, tenant, Action.PERSON_KEYS_RETIRED, "tenant", tenant, actor, now, versions=len(old))
        file.write(replace(material, keys={material.current: material.keys[material.current]}))
    return old


def rotate(db: Database, file: Rotated, actor: str, now: datetime) -> tuple[int, int]:
    """Add a version to a key file and wrap everything by it; return the version and how many keys were wrapped.

    Doing it again before `retire` goes on with the same version. Raises SealError and KeyFileError.
    """
    version = add_version(file)
    return version, rewrap(db, tenant_keys(file, file.tenant), actor, now)
