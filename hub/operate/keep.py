"""How long a log is kept: until its archive has proved to have it and the term is over, or not at all.

What may be neither shared nor archived is not kept (there is no purpose to keep it for); its system lists it again,
and it is taken in anew when it has changed, as it does when consent comes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hub.relaylog.codes import LogStatus, Service
from hub.relaylog.gates import Rules, parts_open_to
from hub.relaylog.model import RelayLog
from hub.store.database import Database
from hub.store.logs import LogStore, StoredLog
from hub.store.wipe import Shredding, ShredList, never_started, proven, shred
from hub.store.work import WorkStore

UNKEPT = frozenset({LogStatus.DRAFT, LogStatus.AWAITING_CONSENT, LogStatus.REJECTED})
"""A log in one of these has not begun: it is no case to archive, and is shared with nobody but by consent."""


def may_be_kept(log: RelayLog, now: datetime, rules: Rules) -> bool:
    """Tell whether there is anything that a log may be kept for: to archive it when it ends, or to share it; pure."""
    if log.status not in UNKEPT:
        return True
    return any(parts_open_to(log, reader, now.date(), rules) for reader in Service)


@dataclass(frozen=True)
class Keeper:
    """Wipes the logs of one tenant. `actor` is a user id or `hub`; each log is a transaction of its own."""

    db: Database
    store: LogStore
    work: WorkStore
    shredded: ShredList
    actor: str

    def due(self, targets: Collection[str], term: timedelta, now: datetime) -> list[str]:
        """Return the archived logs whose term is over since the last proof that every one of `targets` gave."""
        with self.db.read() as tx:
            return proven(tx, self.store.tenant, targets, now - term)

    def wipe(self, log_id: str, packaged: Callable[[StoredLog], str], now: datetime) -> bool:
        """Wipe an archived log; False where it has changed since its package was made, or is gone already.

        `packaged` makes the keyed hash that a package is known by. Raises SealError for a damaged log.
        """
        with self.db.write() as tx:
            package = self.work.latest_package(tx, log_id)
            stored = self.store.load_all(tx, [log_id]).get(log_id)
            if package is None or stored is None or packaged(stored) != package.content_hash:
                return False
            self._shred(tx, log_id, LogStatus.ARCHIVED, now, "archived")
        return True

    def unkept(self, rules: Rules, now: datetime) -> list[str]:
        """Return the logs that may be neither shared nor archived. Raises SealError for a damaged log."""
        with self.db.read() as tx:
            found = self.store.load_all(tx, never_started(tx, self.store.tenant))
        return [log_id for log_id, stored in found.items() if not may_be_kept(stored.log, now, rules)]

    def drop(self, log_id: str, rules: Rules, now: datetime) -> bool:
        """Keep nothing of a log but keyed id, hash and status; False where it has come to be kept meanwhile."""
        with self.db.write() as tx:
            stored = self.store.load(tx, log_id)
            if log_id not in never_started(tx, self.store.tenant) or may_be_kept(stored.log, now, rules):
                return False
            self._shred(tx, log_id, stored.log.status, now, "not_kept")
        return True

    def _shred(self, tx: Connection, log_id: str, status: LogStatus, now: datetime, why: str) -> None:
        one = Shredding(self.store.tenant, log_id, now, status)
        self.shredded.add(one)
        shred(tx, one, self.actor, hash_stays=status is not LogStatus.ARCHIVED, reason=why)
