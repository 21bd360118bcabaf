"""How long a log is kept: until its archive has proved to have it and the term is over, or not at all.

What may be neither shared nor archived is not kept (there is no purpose to keep it for); its system lists it again,
and it is taken in anew when it has changed, or when another system's log of the same person has come to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from hub.relaylog.codes import LogStatus
from hub.relaylog.gates import Rules
from hub.relaylog.keeping import may_be_kept
from hub.store.database import Database
from hub.store.logs import LogStore, StoredLog
from hub.store.sealing import SealError
from hub.store.wipe import Shredding, ShredList, never_started, proven, shred
from hub.store.work import WorkStore


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
        """Return the logs that may be neither shared nor archived, and damaged ones, which `drop` tells of."""
        with self.db.read() as tx:
            return [each for each in never_started(tx, self.store.tenant) if not self._is_kept(tx, each, rules, now)]

    def _is_kept(self, tx: Connection, log_id: str, rules: Rules, now: datetime) -> bool:
        try:
            return may_be_kept(self.store.load(tx, log_id).log, now.date(), rules)
        except SealError:
            return False

    def drop(self, log_id: str, rules: Rules, now: datetime) -> bool:
        """Keep nothing of a log but keyed id, hash and status; False where it has come to be kept meanwhile.

        Raises SealError for a damaged log.
        """
        with self.db.write() as tx:
            stored = self.store.load(tx, log_id)
            if log_id not in never_started(tx, self.store.tenant) or may_be_kept(stored.log, now.date(), rules):
                return False
            self._shred(tx, log_id, stored.log.status, now, "not_kept")
        return True

    def _shred(self, tx: Connection, log_id: str, status: LogStatus, now: datetime, why: str) -> None:
        one = Shredding(self.store.tenant, log_id, now, status)
        self.shredded.add(one)
        shred(tx, one, self.actor, hash_stays=status is not LogStatus.ARCHIVED, reason=why)
