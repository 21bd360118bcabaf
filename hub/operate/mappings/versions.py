"""From draft to frozen to active: what runs is a version that lints, passes its tests, and never changes again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hub.mappings.language import Mapping
from hub.operate.mappings.checks import outcomes
from hub.operate.mappings.files import frozen_form, mistakes, opened, thawed
from hub.store import mappingversions
from hub.store.database import Database
from hub.store.mappingversions import FrozenMapping


class NotReady(Exception):
    """A mapping that doesn't lint, has no case beside it, or whose tests fail can't be frozen."""


def freeze(db: Database, tenant: str, path: Path, who: str, at: datetime) -> tuple[FrozenMapping, bool]:
    """Freeze a mapping's file for a tenant; the flag tells whether it is new. Raises NotReady, AlreadyFrozen."""
    if found := mistakes(path):
        raise NotReady(f"{found[0]} ({len(found)} in all). `hub mapping lint` shows them")
    mapping = opened(path)
    if not mapping.samples:
        raise NotReady(
            f"{path.name}: no case beside it, and those of a mapping that it extends say nothing of this one. Put a "
            "made-up record there, print its relay log with `hub mapping expect` and read it through, keep both files, "
            "and name them: 'tests: [{record: ..., expect: ...}]'"
        )
    if broken := [one for one in outcomes(mapping, path.parent) if one.broken]:
        first = broken[0]
        raise NotReady(
            f"{path.name}: {first.sample}: {first.test}: {first.broken[0]} ({len(broken)} fail). "
            "`hub mapping test` shows them"
        )
    form = frozen_form(path, mapping)
    thawed(form)
    with db.write() as tx:
        return form, mappingversions.freeze(tx, tenant, form, who, at)


def activate(db: Database, tenant: str, mapping: str, version: int, who: str, at: datetime) -> None:
    """Let a frozen version run from the next start on. Raises UnknownVersion, VersionDamaged, FileError."""
    with db.write() as tx:
        thawed(mappingversions.frozen(tx, tenant, mapping, version))
        mappingversions.activate(tx, tenant, mapping, version, who, at)


def active_mappings(db: Database, tenant: str) -> dict[str, Mapping]:
    """Return the mappings that run in place of the shipped ones, by id. Raises VersionDamaged, FileError."""
    with db.read() as tx:
        return {name: thawed(frozen) for name, frozen in mappingversions.active(tx, tenant).items()}
