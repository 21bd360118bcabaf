"""Wipe: how long a log is kept, until its archive has proved to have it and the term is over, or not at all.

What may be neither shared nor archived is not kept (there is no purpose to keep it for); its system lists it again,
and it is taken in anew when it has changed, or when another system's log of the same person has come to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection as Transaction

from hub.relaylog.codes import LogStatus
from hub.relaylog.keeping import may_be_kept
from hub.store.logs import StoredLog
from hub.store.sealing import SealError
from hub.store.wipe import Shredding, ShredList, never_started, proven, shred
from hub.sync.archive import content_hash
from hub.sync.context import Tenant


@dataclass(frozen=True)
class Keeper:
    """Wipes the logs of one tenant. `actor` is a user id or `hub`; each log is a transaction of its own."""

    tenant: Tenant
    shredded: ShredList
    actor: str

    def due(self, term: timedelta) -> list[str]:
        """Return the archived logs whose term is over since the archive last proved to have them."""
        tenant = self.tenant
        targets = [tenant.archive.id] if tenant.archive else []
        with tenant.db.read() as tx:
            return proven(tx, tenant.organisation_number, targets, tenant.now() - term)

    def wipe(self, log_id: str) -> bool:
        """Wipe an archived log; False where it has changed since its package was made, or is gone already.

        Raises SealError for a damaged log.
        """
        tenant = self.tenant
        with tenant.db.write() as tx:
            package = tenant.work.latest_package(tx, log_id)
            stored = tenant.logs.load_all(tx, [log_id]).get(log_id)
            if package is None or stored is None or content_hash(tenant, stored) != package.content_hash:
                return False
            self._shred(tx, log_id, LogStatus.ARCHIVED, "archived")
        return True

    def unkept(self) -> list[str]:
        """Return the logs that may be neither shared nor archived, and damaged ones, which `drop` tells of."""
        with self.tenant.db.read() as tx:
            found = never_started(tx, self.tenant.organisation_number)
            return [each for each in found if not self._is_kept(tx, each)]

    def _is_kept(self, tx: Transaction, log_id: str) -> bool:
        try:
            return self._may_be_kept(self.tenant.logs.load(tx, log_id))
        except SealError:
            return False

    def _may_be_kept(self, stored: StoredLog) -> bool:
        day = self.tenant.today()
        return may_be_kept(stored.log, day, self.tenant.rules(day))

    def drop(self, log_id: str) -> bool:
        """Keep nothing of a log but keyed id, hash and status; False where it has come to be kept meanwhile.

        Raises SealError for a damaged log.
        """
        with self.tenant.db.write() as tx:
            stored = self.tenant.logs.load(tx, log_id)
            if log_id not in never_started(tx, self.tenant.organisation_number) or self._may_be_kept(stored):
                return False
            self._shred(tx, log_id, stored.log.status, "not_kept")
        return True

    def _shred(self, tx: Transaction, log_id: str, status: LogStatus, why: str) -> None:
        one = Shredding(self.tenant.organisation_number, log_id, self.tenant.now(), status)
        self.shredded.add(one)
        shred(tx, one, self.actor, hash_stays=status is not LogStatus.ARCHIVED, reason=why)
