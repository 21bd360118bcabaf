"""Archive: a closed log becomes a package once, and the package is delivered until the archive has proved it has it.

Where the municipality says so, a log that goes on becomes one too, so many months after the last time. It stays as it
was: such a package is no closing, and no reason to wipe anything.

Archiving is a duty, not a sharing: it needs no consent. What a rule keeps for the archivist waits, and is listed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, time, timedelta
from itertools import takewhile
from threading import Event
from uuid import NAMESPACE_URL, uuid5

import structlog
from sqlalchemy import Connection as Transaction

from hub.connectors.archive.folder import Receipt
from hub.connectors.base import ConnectorError, Unavailable
from hub.documents.arkivmelding import NotArchivable
from hub.documents.package import Package, make_package
from hub.relaylog.archiving import GOING_ON, is_periodic
from hub.relaylog.codes import AddressProtection, LogStatus
from hub.relaylog.gates import Decider
from hub.relaylog.guardians import with_proposed
from hub.relaylog.months import months_on
from hub.store.connections import ConnectionState, stop_of
from hub.store.inbox import NewHold
from hub.store.leases import DELIVERIES, LEASE, Lease, LeaseLost, at_work, claim, guard, put_back
from hub.store.logs import StoredLog
from hub.store.rights import Rights
from hub.store.sealing import Purpose
from hub.store.tables import DeliveryKind, DeliveryState
from hub.store.work import INTERNAL_ERROR, NewDelivery
from hub.sync.admit import merged_of
from hub.sync.context import OSLO, Archive, Tenant
from hub.sync.trouble import PASSED_ON, STORE_TROUBLE

_log = structlog.get_logger(__name__)

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""How long a package waits after each attempt without a proof; the last again and again, and the alarm tells of it."""

WAITS = "the archivist has decided"
MIXED = NewHold("archive_another_person", "archive_another_person", Decider.OPERATOR, "it is clear whose the record is")
BROKEN = NewHold("archive_internal_error", "archive_internal_error", Decider.OPERATOR, "the mistake is mended")
HOLDS = {
    reason: NewHold(f"archive_{reason}", f"archive_{reason}", Decider.ARCHIVIST, WAITS, revealing)
    for reason, revealing in {
        "violence": True,
        "protected": True,
        "conflict": False,
        "deletion_asked": False,
        "restricted": False,
        "not_whole": False,
    }.items()
}


class Archivist:
    """Archives the logs of one tenant: each that is closed, and at the municipality's interval each that goes on."""

    def __init__(self, tenant: Tenant, archive: Archive, owner: str) -> None:
        self._tenant = tenant
        self._archive = archive
        self._owner = owner
        self._rights = Rights(tenant.organisation_number)

    def package_due(self, stopping: Event | None = None) -> list[str]:
        """Make a package and a delivery of each log that is to be archived, may be and is not; return the deliveries.

        What a log that goes on was held back for ends when it is not due any more. When `stopping` is set the rest
        stays due.
        """
        tenant = self._tenant
        with tenant.db.read() as tx:
            periodic = self._periodically_due(tx)
            not_due = sorted(set(tenant.work.kept_back(tx, self._archive.id)) - set(periodic))
            due = [(log_id, False) for log_id in tenant.work.closed_unpackaged(tx)]
            due += [(log_id, True) for log_id in periodic]
        for log_id in not_due:
            with tenant.db.write() as tx:
                tenant.inbox.set_holds(tx, log_id, self._archive.id, [], tenant.now())
        left = takewhile(lambda _: stopping is None or not stopping.is_set(), due)
        made = (self._package_or_hold(log_id, periodic=periodic) for log_id, periodic in left)
        return [delivery_id for delivery_id in made if delivery_id is not None]

    def _periodically_due(self, tx: Transaction) -> list[str]:
        """Return the logs that go on and were last archived, or else opened, the municipality's interval ago."""
        tenant, months = self._tenant, self._archive.every_months
        if months is None:
            return []
        on = months_on(tenant.today(), -months)
        end = datetime.combine(on + timedelta(days=1), time(), OSLO)
        return tenant.work.periodically_due(tx, self._archive.id, on, end)

    def deliver(self, delivery_id: str) -> Receipt | None:
        """Hand a package to the archive, and keep the proof. None when it could not be handed over now."""
        now = self._tenant.now()
        with self._tenant.db.write() as tx:
            lease = claim(tx, DELIVERIES, delivery_id, self._owner, now, now + LEASE)
        if lease is None:
            return None
        try:
            with at_work(lease):
                return self._hand_over(lease)
        except LeaseLost:
            return None

    def _hand_over(self, lease: Lease) -> Receipt | None:
        """Make one attempt. The archive knows a delivery by its id, so that what went wrong may go again."""
        try:
            package = self._open(lease)
            if package is None:
                return None
            receipt = self._archive.target.deliver(package, lease.row_id)
            self._received(lease, package, receipt)
        except Unavailable as error:
            self._end(lease, DeliveryState.READY, error.code)
        except ConnectorError as error:
            self._end(lease, DeliveryState.FAILED, error.code)
        except PASSED_ON:
            raise
        except Exception as error:  # noqa: BLE001 - a mistake of ours stops this package alone
            _log.error("sync:delivery:internal_error", delivery=lease.row_id, exc_info=error)
            self._end(lease, DeliveryState.HELD, INTERNAL_ERROR)
        else:
            return receipt
        return None

    def _open(self, lease: Lease) -> Package | None:
        """Open what is to be handed over; None while it waits, which counts as no attempt.

        It waits while a person has the archive paused, and while the log may be about two persons. That of a log which
        goes on also waits where the use of it was restricted after the package was made: the archivist has not been
        asked about that.
        """
        state = ConnectionState(self._tenant.organisation_number, self._archive.id)
        now = self._tenant.now()
        with self._tenant.db.write() as tx:
            guard(tx, lease)
            if stop := stop_of(state.read(tx), now):
                put_back(tx, lease, due_at=stop.until, error_class=stop.code)
                return None
            row = self._tenant.work.delivery(tx, lease.row_id)
            stored = self._tenant.logs.load(tx, row.log_id)
            payload = stored.sealer.open(f"deliveries.sealed_payload/{lease.row_id}", row.sealed_payload)
            package = Package.from_bytes(payload)
            if is_periodic(package.external_key) and self._rights.restricted_since(tx, row.log_id, package.created):
                put_back(tx, lease, due_at=now + PAUSES[-1], error_class=HOLDS["restricted"].rule)
                return None
            if stored.decided.mixed:
                put_back(tx, lease, due_at=now + PAUSES[-1], error_class=MIXED.rule)
                return None
            self._tenant.work.mark_sending(tx, lease.row_id, now)
        return package

    def _received(self, lease: Lease, package: Package, receipt: Receipt) -> None:
        with self._tenant.db.write() as tx:
            now, proof, delivery_id = self._tenant.now(), receipt.manifest_sha256, lease.row_id
            log_id, revision = package.log_id, package.revision
            self._tenant.work.end_attempt(tx, lease, DeliveryState.DONE, now, receipt_ref=proof)
            self._tenant.work.add_proof(tx, log_id, revision, self._archive.id, delivery_id, proof, now)
            self._tenant.work.drop_package_bytes(tx, log_id)

    def _end(self, lease: Lease, state: DeliveryState, code: str) -> None:
        """Give a delivery back that has no proof: due again after a pause, or for a person."""
        now = self._tenant.now()
        with self._tenant.db.write() as tx:
            made = self._tenant.work.delivery(tx, lease.row_id).attempts
            due_at = now + PAUSES[min(made, len(PAUSES)) - 1]
            self._tenant.work.end_attempt(tx, lease, state, now, due_at=due_at, error_class=code)

    def _package_or_hold(self, log_id: str, *, periodic: bool) -> str | None:
        """Package a log; where a mistake of ours breaks that off, the log is held and the others go on."""
        try:
            return self._package(log_id, periodic=periodic)
        except STORE_TROUBLE:
            raise
        except Exception as error:  # noqa: BLE001 - as it says
            _log.error("sync:package:internal_error", log=log_id, exc_info=error)
        with self._tenant.db.write() as tx:
            self._tenant.inbox.add_hold(tx, log_id, self._archive.id, BROKEN, self._tenant.now())
        return None

    def _package(self, log_id: str, *, periodic: bool) -> str | None:
        tenant, now = self._tenant, self._tenant.now()
        with tenant.db.write() as tx:
            stored = tenant.logs.load(tx, log_id)
            if periodic is not (stored.log.status in GOING_ON):
                return None  # it was closed or opened again since it was found due
            latest = tenant.work.latest_package(tx, log_id)
            content = content_hash(tenant, stored, periodic=periodic)
            if latest is not None and latest.content_hash == content:
                tenant.inbox.set_holds(tx, log_id, self._archive.id, [], now)
                tenant.work.stays_packaged(tx, log_id, content, stored.version)
                return None
            overtaken = tenant.work.overtaken(tx, self._archive.id, log_id)
            before = tenant.work.open_delivery(tx, self._archive.id, log_id, DeliveryKind.ARCHIVE)
            if before is not None and before.delivery_id not in overtaken:
                return None  # the archive has not taken the package before this one yet
            settings = self._archive.settings(tenant.today())
            waits = self._waits(tx, stored, content, periodic=periodic) if settings else [HOLDS["not_whole"]]
            if tenant.inbox.set_holds(tx, log_id, self._archive.id, waits, now) or settings is None:
                return None
            revision = latest.revision + 1 if latest is not None else 1
            folder = folder_id(tenant, stored)
            try:
                package = make_package(stored.log, settings, tenant.name, now, revision, folder, periodic=periodic)
            except NotArchivable:
                tenant.inbox.set_holds(tx, log_id, self._archive.id, [HOLDS["not_whole"]], now)
                return None
            for delivery_id in overtaken:
                tenant.work.end_delivery(tx, delivery_id, DeliveryState.SUPERSEDED, now)
            return self._keep(tx, stored, package, content, now)

    def _keep(self, tx: Transaction, stored: StoredLog, package: Package, content: str, now: datetime) -> str:
        """Store the package sealed and write its delivery down, before anything is handed over."""
        body, delivery_id = package.to_bytes(), self._tenant.new_id()
        row: dict[str, object] = {
            "log_id": stored.log_id,
            "revision": package.revision,
            "external_key": package.external_key,
            "content_hash": content,
            "mapping_versions": {side.mapping: side.mapping_version for side in stored.sides},
            "sealed_bytes": stored.sealer.seal(f"packages.sealed_bytes/{package.revision}", body),
        }
        self._tenant.work.add_package(tx, row, now)
        delivery = NewDelivery(
            delivery_id=delivery_id,
            connection=self._archive.id,
            log_id=stored.log_id,
            kind=DeliveryKind.ARCHIVE,
            sealed_payload=stored.sealer.seal(f"deliveries.sealed_payload/{delivery_id}", body),
            view_hash=content,
            log_version=stored.version,
        )
        self._tenant.work.add_delivery(tx, delivery, now)
        return delivery_id

    def _waits(self, tx: Transaction, stored: StoredLog, content: str, *, periodic: bool) -> list[NewHold]:
        """Return why a log waits for the archivist. A missing or withdrawn consent is no reason.

        Restricted use is one while the log goes on: it can wait until the end, when archiving is a duty.

        Each stands for what the log says now, who is proposed as its guardian, and on what the systems disagree: let go
        for that, it is held anew when another text comes. Somebody protected counts from the proposal on.
        """
        proposed = merged_of(self._tenant, stored).proposed if stored.sides else ()
        log, waits = with_proposed(stored.log, proposed), []
        persons = [log.subject.address_protection, *(guardian.address_protection for guardian in log.guardians)]
        persons += [relative.address_protection for relative in log.relatives]
        if log.violence:
            waits.append(HOLDS["violence"])
        if AddressProtection.STRICTLY_CONFIDENTIAL in persons:
            waits.append(HOLDS["protected"])
        conflicts = self._tenant.inbox.open_conflicts(tx, stored.log_id)
        if conflicts:
            waits.append(HOLDS["conflict"])
        if self._rights.deletion_asked(tx, stored.log_id):
            waits.append(HOLDS["deletion_asked"])
        if periodic and stored.decided.restricted:
            waits.append(HOLDS["restricted"])
        if not periodic and (log.status is not LogStatus.CLOSED or log.closure is None):
            waits.append(HOLDS["not_whole"])
        if stored.decided.mixed:
            waits.append(MIXED)
        named = sorted(f"{guardian.id} {guardian.address_protection}" for guardian in proposed)
        said = json.dumps([content, *sorted(row.candidates_hash for row in conflicts), *named]).encode()
        situation = self._tenant.logs.keys.keyed_hash(Purpose.CONTENT, said)
        return [replace(hold, situation=situation) for hold in waits]


def content_hash(tenant: Tenant, stored: StoredLog, *, periodic: bool = False) -> str:
    """Return the keyed hash of what a package is made from: another one is another revision.

    That of a log which goes on is never that of a closing, so that its proof is not taken for that of an end.
    """
    body = stored.log.model_dump_json(exclude={"changed_at"}).encode()
    return tenant.logs.keys.keyed_hash(Purpose.CONTENT, b"periodic " + body if periodic else body)


def folder_id(tenant: Tenant, stored: StoredLog) -> str:
    """Return the id of the folder in the archive: one per child by the keyed hash of its national id, else per log."""
    subject = tenant.logs.subject_hash(stored.log.subject.national_id)
    return str(uuid5(NAMESPACE_URL, f"stafetthub:{tenant.organisation_number}:{subject or stored.log_id}"))
