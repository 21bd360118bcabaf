"""What has left the hub: each sending of a log, who reads where it went, and which parts it held, as far as is known.

The hub keeps a view only until the next one takes its place, so that of older sendings it knows the consents alone:
they tell what was opened at most. Both are told, and which of them it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import Row, func, or_, select

from hub.documents.words import local_day
from hub.relaylog.codes import Part, Service
from hub.relaylog.gates import Rules, parts_open_to
from hub.relaylog.model import RelayLog
from hub.relaylog.view import texts
from hub.store.database import Database
from hub.store.events import Action
from hub.store.logs import LogStore, StoredLog
from hub.store.sealing import SealError
from hub.store.tables import DeliveryKind, DeliveryState, deliveries, events, logs


class Receiver(Protocol):
    """One configured system: whose work lies in it, and who reads what is sent to a record there."""

    @property
    def services(self) -> frozenset[Service]:
        """The services whose own texts come from there."""

    def readers_of(self, seen: RelayLog) -> frozenset[Service]:
        """Return who can see what is sent to a record, given what the system holds of it."""


class Outcome(StrEnum):
    """Whether a sending arrived: there is a receipt, no answer came, or the receiver did not take it in."""

    RECEIVED = "received"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"


class Basis(StrEnum):
    """Where the parts of a sending are known from.

    `kept`: the view that was sent is still there, without what was removed from the log since. `at_most`: only the
    consents and rules of that day tell. `whole`: an archive gets all of a log, a plan nothing of it. `unknown`: the
    log or the connection is no longer there.
    """

    KEPT = "kept"
    AT_MOST = "at_most"
    WHOLE = "whole"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Sending:
    """One sending of a log.

    `parts` are those that it held text of, as far as `basis` tells; `opened` those that the consents and rules of that
    day opened at most. `readers` are those of the configuration as it is now. `subject` is the keyed hash of the child,
    else the log's id. `persons` is how many of the family it names, the child with them; 0 is not known.
    """

    delivery_id: str
    log_id: str
    subject: str
    connection: str
    kind: DeliveryKind
    at: datetime
    outcome: Outcome
    readers: frozenset[Service]
    parts: frozenset[Part]
    opened: frozenset[Part]
    basis: Basis
    persons: int


@dataclass(frozen=True)
class _Content:
    """What is known of the content of a sending: the log as far as it went, and what of it."""

    readers: frozenset[Service] = frozenset()
    log: RelayLog | None = None
    parts: frozenset[Part] = frozenset()
    opened: frozenset[Part] = frozenset()
    basis: Basis = Basis.UNKNOWN


@dataclass(frozen=True)
class Range:
    """A time from `since` to, and not with, `until`."""

    since: datetime
    until: datetime


_OUTCOMES = {
    DeliveryState.DONE: Outcome.RECEIVED,
    DeliveryState.UNKNOWN: Outcome.UNCERTAIN,
    DeliveryState.SENDING: Outcome.UNCERTAIN,
    DeliveryState.HELD: Outcome.UNCERTAIN,
}
"""What follows of a delivery's state once bytes have left; of every other state, that it was not taken in."""


class Sendings:
    """Reads what has left of one tenant's logs, as it is known `today`.

    A view that may have been narrowed since a sending is no longer taken for what was sent then.
    """

    def __init__(
        self,
        db: Database,
        store: LogStore,
        receivers: Mapping[str, Receiver],
        rules: Callable[[date], Rules],
        today: date,
    ) -> None:
        self._db = db
        self._today = today
        self._store = store
        self._receivers = receivers
        self._rules = rules

    def of_log(self, log_id: str) -> list[Sending]:
        """Return every sending of a log, the first one first."""
        return self._told(self._rows(deliveries.c.log_id == log_id))

    def between(self, within: Range, connection: str = "") -> list[Sending]:
        """Return what left or was received in a time, from one connection or all, the first one first."""
        c, e = deliveries.c, events.c
        left = select(e.subject_id).where(
            e.tenant == self._store.tenant,
            e.action == Action.DELIVERY_SENT,
            e.at >= within.since,
            e.at < within.until,
        )
        received = (c.state == DeliveryState.DONE) & (c.done_at >= within.since) & (c.done_at < within.until)
        only = (c.connection == connection,) if connection else ()
        return self._told(self._rows(or_(received, c.delivery_id.in_(left)), *only))

    def _rows(self, *where: Any) -> list[Row[Any]]:  # noqa: ANN401 - the conditions of a select
        c = deliveries.c
        joined = deliveries.join(logs, (logs.c.tenant == c.tenant) & (logs.c.log_id == c.log_id))
        left = or_(c.state == DeliveryState.DONE, c.sent_at.is_not(None))
        wanted = select(deliveries, logs.c.subject_hash).select_from(joined)
        with self._db.read() as tx:
            found = tx.execute(wanted.where(c.tenant == self._store.tenant, left, *where))
            return sorted(found, key=lambda row: (_moment(row), row.delivery_id))

    def _told(self, rows: list[Row[Any]]) -> list[Sending]:
        opened = self._opened({row.log_id for row in rows})
        newest = self._newest()
        return [
            self._sending(row, opened.get(row.log_id), newest=newest.get((row.log_id, row.connection)) == row.done_at)
            for row in rows
        ]

    def _opened(self, log_ids: Iterable[str]) -> dict[str, StoredLog]:
        """Open logs one by one: those that are shredded or damaged are not known any more."""
        found = {}
        with self._db.read() as tx:
            for log_id in log_ids:
                try:
                    found[log_id] = self._store.load(tx, log_id)
                except SealError:
                    continue
        return found

    def _newest(self) -> dict[tuple[str, str], datetime]:
        """Return when each log was last received by each connection: of that sending the view is kept."""
        c = deliveries.c
        last = select(c.log_id, c.connection, func.max(c.done_at).label("at")).where(
            c.tenant == self._store.tenant, c.state == DeliveryState.DONE, c.kind != DeliveryKind.CREATE
        )
        with self._db.read() as tx:
            rows = tx.execute(last.group_by(c.log_id, c.connection))
            return {(row.log_id, row.connection): row.at for row in rows}

    def _sending(self, row: Row[Any], stored: StoredLog | None, *, newest: bool) -> Sending:
        outcome = _OUTCOMES.get(row.state, Outcome.REFUSED)
        content = self._content(row, stored, newest=newest and outcome is Outcome.RECEIVED)
        return Sending(
            delivery_id=row.delivery_id,
            log_id=row.log_id,
            subject=row.subject_hash or row.log_id,
            connection=row.connection,
            kind=row.kind,
            at=_moment(row),
            outcome=outcome,
            readers=content.readers,
            parts=content.parts,
            opened=content.opened,
            basis=content.basis,
            persons=_persons(content.log) if content.log else 0,
        )

    def _content(self, row: Row[Any], stored: StoredLog | None, *, newest: bool) -> _Content:
        if stored is not None and row.kind is DeliveryKind.ARCHIVE:
            parts = frozenset(part for _, part, _ in texts(stored.log))
            return _Content(frozenset(), stored.log, parts, parts, Basis.WHOLE)
        receiver = self._receivers.get(row.connection)
        side = stored.side(row.connection) if stored else None
        if stored is not None and receiver is not None and row.kind is DeliveryKind.CREATE:  # it names people, no more
            return _Content(receiver.readers_of(side.seen if side else stored.log), basis=Basis.WHOLE)
        if stored is None or receiver is None or side is None:
            return _Content()
        readers = receiver.readers_of(side.seen)
        opened = self._open_to(readers, stored.log, local_day(_moment(row)))
        if newest and side.sent is not None and opened <= self._open_to(readers, stored.log, self._today):
            sent = {part for element, part, _ in texts(side.sent) if element.writer not in receiver.services}
            return _Content(readers, side.sent, opened & sent, opened, Basis.KEPT)
        return _Content(readers, stored.log, opened, opened, Basis.AT_MOST)

    def _open_to(self, readers: frozenset[Service], log: RelayLog, day: date) -> frozenset[Part]:
        """Return the parts that all readers could see on a day, by the consents as they are known now."""
        opened = (parts_open_to(log, reader, day, self._rules(day)) for reader in readers)
        return frozenset(Part).intersection(*opened) if readers else frozenset()


def _moment(row: Row[Any]) -> datetime:
    """Return when a delivery was received, or when bytes last left."""
    moment: datetime = row.done_at if row.state is DeliveryState.DONE else row.sent_at
    return moment


def _persons(log: RelayLog) -> int:
    """Count the child and those of the family whom a log names; professionals are not counted."""
    names = [*(guardian.name for guardian in log.guardians), *(relative.name for relative in log.relatives)]
    return 1 + sum(map(bool, names))
