"""Frozen versions of mappings: written once, never changed; one of them may be active.

The caller's transaction also gets the event, so that who froze or activated what, and when, stands in the chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, insert, select, update

from hub.store.events import Action, append
from hub.store.tables import mapping_versions

Role = Literal["base", "mapping", "codelist"]
_t = mapping_versions.c


@dataclass(frozen=True)
class FrozenFile:
    """One of the files that a mapping is made of. `id` is the mapping's or the list's, `name` what errors show."""

    role: Role
    id: str
    name: str
    text: str


@dataclass(frozen=True)
class FrozenMapping:
    """A version of a mapping with all that it is made of."""

    id: str
    version: int
    files: tuple[FrozenFile, ...]


@dataclass(frozen=True)
class KeptVersion:
    """A frozen version as it is listed: who froze it and when, whether it runs, and who last let it run and when."""

    mapping: str
    version: int
    frozen_by: str
    frozen_at: datetime
    active: bool
    activated_by: str | None
    activated_at: datetime | None


class AlreadyFrozen(Exception):
    """A version is frozen with another content: raise `version:` in the file."""


class UnknownVersion(Exception):
    """No such version is frozen."""


class VersionDamaged(Exception):
    """What is stored of a version isn't what was frozen: restore the database, or freeze the file as a new version."""


def freeze(tx: Connection, tenant: str, mapping: FrozenMapping, who: str, at: datetime) -> bool:
    """Keep a version for good. Returns False where it is kept already, word by word. Raises AlreadyFrozen, NotACode."""
    content_hash = _hash(mapping.files)
    known = tx.scalar(select(_t.content_hash).where(_key(tenant, mapping.id), _t.version == mapping.version))
    if known == content_hash:
        return False
    if known is not None:
        raise AlreadyFrozen(
            f"{mapping.id} version {mapping.version} is frozen with another content. Raise 'version:' in the file"
        )
    tx.execute(
        insert(mapping_versions).values(
            tenant=tenant, mapping=mapping.id, version=mapping.version, content_hash=content_hash,
            files=[asdict(file) for file in mapping.files], frozen_at=at, frozen_by=who, active=False,
        )
    )  # fmt: skip
    _tell(tx, tenant, mapping.id, who, at, "frozen", mapping.version)
    return True


def activate(tx: Connection, tenant: str, mapping: str, version: int, who: str, at: datetime) -> None:
    """Let a frozen version run in place of the one that did. Raises UnknownVersion, VersionDamaged, NotACode."""
    frozen(tx, tenant, mapping, version)
    of_mapping = update(mapping_versions).where(_key(tenant, mapping))
    tx.execute(of_mapping.where(_t.active).values(active=False))
    tx.execute(of_mapping.where(_t.version == version).values(active=True, activated_at=at, activated_by=who))
    _tell(tx, tenant, mapping, who, at, "activated", version)


def frozen(tx: Connection, tenant: str, mapping: str, version: int) -> FrozenMapping:
    """Return one frozen version. Raises UnknownVersion, VersionDamaged."""
    versions = tx.scalars(select(_t.version).where(_key(tenant, mapping)).order_by(_t.version)).all()
    if version not in versions:
        known = f"Frozen are {', '.join(map(str, versions))}" if versions else "None is frozen: `hub mapping freeze`"
        raise UnknownVersion(f"{mapping} has no frozen version {version}. {known}")
    query = select(_t.content_hash, _t.files).where(_key(tenant, mapping), _t.version == version)
    row = tx.execute(query).one()
    return _checked(mapping, version, row.content_hash, row.files)


def versions(tx: Connection, tenant: str, mapping: str = "") -> tuple[KeptVersion, ...]:
    """Return a tenant's frozen versions, oldest first, of one mapping or of all. Raises UnknownVersion if it has none.

    Only a mapping that is named can be without; a tenant that has frozen nothing has no versions.
    """
    columns = (_t.mapping, _t.version, _t.frozen_by, _t.frozen_at, _t.active, _t.activated_by, _t.activated_at)
    rows = tx.execute(select(*columns).where(_t.tenant == tenant).order_by(_t.mapping, _t.version)).all()
    found = tuple(KeptVersion(*row) for row in rows)
    if not mapping:
        return found
    of_mapping = tuple(one for one in found if one.mapping == mapping)
    if not of_mapping:
        names = ", ".join(dict.fromkeys(one.mapping for one in found))
        known = f"Frozen are {names}" if names else "Nothing is frozen: `hub mapping freeze`"
        raise UnknownVersion(f"{mapping} has no frozen version. {known}")
    return of_mapping


def active(tx: Connection, tenant: str) -> dict[str, FrozenMapping]:
    """Return a tenant's active versions by the mapping's id. Raises VersionDamaged."""
    rows = tx.execute(select(mapping_versions).where(_t.tenant == tenant, _t.active)).all()
    return {row.mapping: _checked(row.mapping, row.version, row.content_hash, row.files) for row in rows}


def _checked(mapping: str, version: int, content_hash: str, files: list[dict[str, str]]) -> FrozenMapping:
    found = tuple(FrozenFile(**file) for file in files)  # type: ignore[arg-type]  # the role is as it was written
    if _hash(found) != content_hash:
        raise VersionDamaged(
            f"{mapping} version {version} is not what was frozen. Restore the database, or freeze a new version"
        )
    return FrozenMapping(mapping, version, found)


def _key(tenant: str, mapping: str) -> ColumnElement[bool]:
    return and_(_t.tenant == tenant, _t.mapping == mapping)


def _hash(files: Sequence[FrozenFile]) -> str:
    return hashlib.sha256(json.dumps([asdict(file) for file in files], sort_keys=True).encode()).hexdigest()


def _tell(tx: Connection, tenant: str, mapping: str, who: str, at: datetime, change: str, version: int) -> None:
    action = Action.PERSON_CONFIGURATION_CHANGED
    append(tx, tenant, action, "mapping", mapping, who, at, change=change, version=version)
