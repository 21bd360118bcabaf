"""The audit trail: chains new events, keeps the head of each day outside the store, and tells what does not hold.

A head that lies where the store's owner cannot write proves all that stood before it. The hub puts one a day in the
data folder; copying that folder to somewhere else is what makes it proof against whoever runs the hub.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hub.store.database import Database
from hub.store.events import ChainProblem, Head, chain, verify

HEADS = "heads"
"""The folder, in the data folder, that heads are kept in."""


class HeadBroken(Exception):
    """A head that was kept cannot be read. Names the file."""


@dataclass(frozen=True)
class Heads:
    """The heads of chains, one file a tenant and day: `<folder>/<orgnr>/YYYY-MM-DD.json`."""

    folder: Path

    def keep(self, tenant: str, day: date, head: Head) -> bool:
        """Write the head of a day, whole and on the disk; False where the day has one already."""
        path = self.folder / tenant / f"{day.isoformat()}.json"
        if path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("w", encoding="utf-8") as file:
            json.dump({"tenant": tenant, "position": head.position, "hash": head.hash}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        return True

    def kept(self, tenant: str) -> list[Head]:
        """Return all heads of a tenant in the order of their days. Raises HeadBroken."""
        return [_read(path, tenant) for path in sorted((self.folder / tenant).glob("*.json"))]


def _read(path: Path, tenant: str) -> Head:
    try:
        found = json.loads(path.read_text("utf-8"))
        head = Head(int(found["position"]), str(found["hash"]))
        of = found["tenant"]
    except (OSError, ValueError, KeyError, TypeError):
        of = ""
    if of != tenant:
        raise HeadBroken(f"{path}: not the head of a day of {tenant}. Put back a copy of the file")
    return head


def chain_all(db: Database, tenants: Iterable[str], heads: Heads, day: date) -> None:
    """Chain what has been appended since, tenant by tenant, and keep the first head of the day."""
    for tenant in tenants:
        head = chain(db.of(tenant), tenant)
        if head is not None:
            heads.keep(tenant, day, head)


@dataclass(frozen=True)
class Verdict:
    """What was found of one tenant's trail: the places that do not hold, and how many heads it was held against."""

    tenant: str
    problems: tuple[ChainProblem, ...]
    heads: int


def verdict(db: Database, tenant: str, heads: Heads) -> Verdict:
    """Hold a tenant's chain against itself and all heads kept of it. Raises HeadBroken.

    Without a head, what was cut off at the end cannot be seen.
    """
    kept = heads.kept(tenant)
    return Verdict(tenant, tuple(verify(db, tenant, kept)), len(kept))
