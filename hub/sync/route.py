"""Route: decide what to send of a log to each system that holds it, or what stops that, and write it down.

A delivery is planned by one pure step, `plan`, which is asked again just before bytes leave. What the system already
holds needs no sending and counts as exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection as Transaction

from hub.relaylog.codes import Service
from hub.relaylog.consent import Opened, opened
from hub.relaylog.gates import Decider, Rules, Stop, special_stops, stops
from hub.relaylog.guardians import with_proposed, without
from hub.relaylog.merge import Exchange, Merged, Place, acknowledge, empty, flatten, silent, unflatten
from hub.relaylog.model import COLLECTIONS, Actor, Element, RelayLog
from hub.relaylog.view import view
from hub.store.events import Action, append
from hub.store.inbox import NewHold
from hub.store.logs import Side, StoredLog, Tree
from hub.store.sealing import Purpose
from hub.store.tables import DeliveryKind, DeliveryState
from hub.store.work import NewDelivery, gives_way
from hub.sync.admit import OPEN_STATUS, merged_of, sides_as_systems, situation
from hub.sync.context import Connection, Tenant
from hub.sync.identity import Key, in_own_keys
from hub.sync.sent import in_keys
from hub.sync.tasks import set_tasks


@dataclass(frozen=True)
class Plan:
    """What would be sent to one system: the view, the record after it, and what stops it."""

    view: RelayLog
    cleared: frozenset[Place]
    after: Tree = field(repr=False)
    stops: tuple[Stop, ...]
    changes: bool
    """Whether the record would be another one, as far as may be seen through the stops."""


def plan(connection: Connection, side: Side, merged: Merged, keys: Mapping[Key, str], day: date, rules: Rules) -> Plan:
    """Plan what one system is sent of a merged log on a day. Pure."""
    readers = connection.readers_of(side.seen)
    asked = with_proposed(merged.log, merged.proposed)
    found = stops(asked, readers, day, rules, connection.other_controller(merged.log, side.seen))
    stopped = tuple(stop for stop in found if stop.reason not in merged.released & RELEASABLE)
    opened_view = without(view(asked, readers, day, rules, connection.services), merged.proposed)
    shown = _with_emptied(_without_open_questions(opened_view, merged, side.seen), merged, side.seen)
    cleared = _cleared(shown, side, merged) | _left_over(shown, side.seen) | _removed(merged, side.seen)
    own = in_own_keys(shown, keys)
    after = connection.mapping.write(side.record, own, clear=in_keys(cleared, keys))
    changes = after != side.record or (bool(stopped) and _news(merged.log, side.seen))
    return Plan(shown, cleared, after, stopped, changes)


def _without_open_questions(shown: RelayLog, merged: Merged, seen: RelayLog) -> RelayLog:
    """Leave what is in conflict as the system has it, and leave out what is proposed as deleted."""
    frozen = {conflict.place for conflict in merged.conflicts}
    gone = {(deletion.collection, deletion.element) for deletion in merged.deletions}
    if not frozen and not gone:
        return shown
    kept = {
        place: value
        for place, value in flatten(shown).items()
        if place not in frozen and (place.collection, place.element) not in gone
    }
    kept |= {place: value for place, value in flatten(seen).items() if place in frozen}
    return unflatten(kept).model_copy(update={"id": shown.id, "source": shown.source, "template": shown.template})


def _with_emptied(shown: RelayLog, merged: Merged, seen: RelayLog) -> RelayLog:
    """Put the elements that a person had removed, and that a system still holds, into a view: without content."""
    lists = {
        name: (*getattr(shown, name), *(_blank(name, each) for each in getattr(seen, name) if each.id in gone))
        for name in {name for name, _ in merged.removed}
        for gone in [{element for collection, element in merged.removed if collection == name}]
    }
    return shown.model_copy(update=lists) if lists else shown


def _blank(collection: str, element: Element) -> Element:
    return COLLECTIONS[collection](id=element.id, writer=element.writer, part=element.part)


def _removed(merged: Merged, seen: RelayLog) -> frozenset[Place]:
    """Return the places of removed elements that still say something in a system."""
    return frozenset(
        place
        for place, value in (flatten(seen) if merged.removed else {}).items()
        if place.field and place[:2] in merged.removed and not silent(place, value)
    )


def _cleared(shown: RelayLog, side: Side, merged: Merged) -> frozenset[Place]:
    """Return the places that were emptied on purpose somewhere and still hold something in this system."""
    now, wanted, all_of_it = flatten(side.seen), flatten(shown), flatten(merged.log)
    base = flatten(side.base) if side.base else {}
    frozen = {conflict.place for conflict in merged.conflicts}
    return frozenset(
        place
        for place, value in wanted.items()
        if empty(value)
        and place not in frozen
        and empty(all_of_it.get(place))
        and not empty(now.get(place))
        and base.get(place) == now.get(place)
    )


def _left_over(shown: RelayLog, seen: RelayLog) -> frozenset[Place]:
    """Return the details of a person who is replaced by another: the new one must not inherit a phone."""
    held = flatten(seen)
    return frozenset(
        place._replace(field=f"{place.field}.{detail}")
        for place, new in flatten(shown).items()
        if isinstance(new, Actor) and isinstance(old := held.get(place), Actor) and new.name != old.name
        for detail in Actor.model_fields
        if empty(getattr(new, detail)) and not empty(getattr(old, detail))
    )


def _news(log: RelayLog, seen: RelayLog) -> bool:
    """Tell whether the log says anything that a system does not hold: then a stop has something to stop."""
    held = flatten(seen)
    return any(
        place not in held or held[place] != value
        for place, value in flatten(log).items()
        if place.field and not empty(value)
    )


class Given(StrEnum):
    """What routing gave a connection. `waits`: the same is written down already, or one of unknown outcome blocks."""

    SENT = "sent"
    HELD = "held"
    NOTHING_NEW = "nothing_new"
    WAITS = "waits"


class Router:
    """Decides for one tenant what to send."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def route(self, log_ids: Iterable[str]) -> int:
        """Route logs, each in its own transaction; return how many deliveries were written down."""
        made = 0
        for log_id in log_ids:
            with self._tenant.db.write() as tx:
                made += self._log(tx, self._tenant.logs.load(tx, log_id))
        return made

    def _log(self, tx: Transaction, stored: StoredLog) -> int:
        now, day = self._tenant.now(), self._tenant.today()
        if not stored.sides:
            self._tenant.logs.routed(tx, stored)
            return 0
        rules = self._tenant.rules(day)
        merged, fresh = merged_of(self._tenant, stored), not self._tenant.logs.is_routed(tx, stored)
        self._hold_special(tx, stored, merged, now)
        set_tasks(self._tenant, tx, stored, with_proposed(merged.log, merged.proposed), rules, day)
        told: dict[str, Given] = {}
        for connection in self._tenant.connections.values():
            side = stored.side(connection.id)
            if side is None:
                self._ask_for_record(tx, stored, connection, rules, day, now)
            elif connection.deliver:
                planned = plan(connection, side, merged, stored.keys_of(connection.id), day, rules)
                settled, told[connection.id] = self._settle(tx, stored, connection, side, merged, planned, now)
                if settled is not stored:
                    stored, merged = settled, merged_of(self._tenant, settled)
        if not self._in_flight(tx, stored):
            self._tenant.logs.routed(tx, stored)
        if fresh or Given.SENT in told.values():
            self._note(tx, stored, told, now)
        return list(told.values()).count(Given.SENT)

    def _hold_special(self, tx: Transaction, stored: StoredLog, merged: Merged, now: datetime) -> None:
        """Hold the whole log where it concerns violence or somebody protected; a release is for what it says now."""
        found = special_stops(with_proposed(merged.log, merged.proposed))
        now_said = situation(self._tenant, merged.log) if found else ""
        wanted = [replace(_hold(stop), situation=now_said if stop.reason in RELEASABLE else "") for stop in found]
        self._tenant.inbox.set_holds(tx, stored.log_id, None, wanted, now)

    def _note(self, tx: Transaction, stored: StoredLog, told: dict[str, Given], now: datetime) -> None:
        """Write down what was decided for each connection, so that it can be told afterwards."""
        given = {f"to_{name.rpartition('/')[2]}": str(what) for name, what in told.items()}
        number, version = self._tenant.organisation_number, stored.version
        append(tx, number, Action.LOG_ROUTED, "log", stored.log_id, "hub", now, version=version, **given)

    def _in_flight(self, tx: Transaction, stored: StoredLog) -> bool:
        """Tell whether a delivery of unknown outcome keeps a newer one from being written down: route again then."""
        return any(
            standing is not None and not gives_way(standing)
            for name in self._tenant.connections
            for standing in [self._tenant.work.open_delivery(tx, name, stored.log_id, DeliveryKind.UPDATE)]
        )

    def _settle(
        self,
        tx: Transaction,
        stored: StoredLog,
        connection: Connection,
        side: Side,
        merged: Merged,
        planned: Plan,
        now: datetime,
    ) -> tuple[StoredLog, Given]:
        """Write down what follows from a plan: holds, a delivery, or that there is nothing to send."""
        wanted = [_hold(stop) for stop in planned.stops if not stop.of_log] if planned.changes else []
        if connection.first_contact == "hold" and planned.changes and not planned.stops:
            wanted += [] if self._tenant.work.delivered(tx, connection.id, stored.log_id) else [FIRST_CONTACT]
        if (
            planned.changes
            and self._tenant.work.sent_since(tx, connection.id, stored.log_id, now - HOUR) >= MOST_AN_HOUR
        ):
            wanted.append(RESTLESS)
        self._tenant.inbox.set_holds(tx, stored.log_id, connection.id, wanted, now)
        if planned.stops or self._tenant.held(tx, stored.log_id, connection.id):
            self._supersede(tx, stored, connection, view_hash="", now=now)
            return stored, Given.HELD
        if not planned.changes:
            self._supersede(tx, stored, connection, view_hash="", now=now)
            return self._exchanged(tx, stored, side, merged, planned, now), Given.NOTHING_NEW
        sent = self._deliver(tx, stored, connection, side, planned, now)
        return stored, Given.SENT if sent else Given.WAITS

    def _exchanged(
        self, tx: Transaction, stored: StoredLog, side: Side, merged: Merged, planned: Plan, now: datetime
    ) -> StoredLog:
        """Note that a system holds what it may see: nothing is sent, and what is equal is agreed."""
        exchange = Exchange(side.connection, planned.view, side.seen, planned.cleared)
        settled = acknowledged(self._tenant, stored, merged, exchange)
        if settled == stored:
            return stored
        changed = [side for side in settled.sides if side != stored.side(side.connection)]
        self._tenant.logs.save_sides(tx, [(settled, side) for side in changed], None, now)
        return self._tenant.logs.save(tx, settled, now)

    def _deliver(
        self, tx: Transaction, stored: StoredLog, connection: Connection, side: Side, planned: Plan, now: datetime
    ) -> bool:
        hashed = view_hash(self._tenant, side, planned)
        if not self._supersede(tx, stored, connection, hashed, now):
            return False
        delivery_id = self._tenant.new_id()
        payload = json.dumps(
            {"view": planned.view.model_dump(mode="json", exclude_defaults=True), "cleared": list(planned.cleared)}
        ).encode()
        delivery = NewDelivery(
            delivery_id=delivery_id,
            connection=connection.id,
            log_id=stored.log_id,
            kind=DeliveryKind.UPDATE,
            sealed_payload=stored.sealer.seal(f"deliveries.sealed_payload/{delivery_id}", payload),
            view_hash=hashed,
            log_version=stored.version,
            mapping=connection.mapping.id,
            mapping_version=connection.mapping.version,
        )
        self._tenant.work.add_delivery(tx, delivery, now)
        return True

    def _supersede(
        self, tx: Transaction, stored: StoredLog, connection: Connection, view_hash: str, now: datetime
    ) -> bool:
        """Make room for a delivery of a view. False when the same one waits, or one of unknown outcome blocks."""
        standing = self._tenant.work.open_delivery(tx, connection.id, stored.log_id, DeliveryKind.UPDATE)
        if standing is None:
            return True
        if not gives_way(standing) or standing.view_hash == view_hash:
            return False
        self._tenant.work.end_delivery(tx, standing.delivery_id, DeliveryState.SUPERSEDED, now)
        return True

    def _ask_for_record(
        self, tx: Transaction, stored: StoredLog, connection: Connection, rules: Rules, day: date, now: datetime
    ) -> None:
        """A consent names a reader whose system has no record of the child: to make one is for a person."""
        wanted = [NO_RECORD] if self._awaits_record(tx, stored, connection, rules, day) else []
        self._tenant.inbox.set_holds(tx, stored.log_id, connection.id, wanted, now)

    def _awaits_record(
        self, tx: Transaction, stored: StoredLog, connection: Connection, rules: Rules, day: date
    ) -> bool:
        if not connection.deliver or stored.log.status not in OPEN_STATUS or special_stops(stored.log):
            return False
        if self._tenant.work.cursor(tx, connection.id) is None:
            return False
        readers: frozenset[Service] = connection.services if connection.readers == "unit" else connection.readers
        asked = [opened(stored.log, reader, day, rules.consent) for reader in readers]
        return any(isinstance(answer, Opened) for answer in asked)


HOUR = timedelta(hours=1)
MOST_AN_HOUR = 12
"""So many changes to one record an hour are no person's work: hub and system answer one another."""

RESTLESS = NewHold("restless", "restless", Decider.OPERATOR, "an hour without sending has passed")
FIRST_CONTACT = NewHold("first_contact", "first_contact", Decider.OPERATOR, "a person has looked at the first sending")
NO_RECORD = NewHold(
    "no_record_at_receiver",
    "no_record_at_receiver",
    Decider.HOLDER,
    "a person has made the log in the receiver's system",
)


RELEASABLE = frozenset({"address_protected", "free_text_unread"})
"""Reasons in a log itself in spite of which a person may let it go as it stands. All others end with their reason."""


def _hold(stop: Stop) -> NewHold:
    return NewHold(stop.reason, stop.reason, stop.decider, stop.releases_when, stop.revealing)


def view_hash(tenant: Tenant, side: Side, planned: Plan) -> str:
    """Return the keyed hash of what is sent on top of which record: another one is another delivery."""
    content = json.dumps([side.change_hash, planned.after], sort_keys=True).encode()
    return tenant.logs.keys.keyed_hash(Purpose.VIEW, content)


def acknowledged(tenant: Tenant, stored: StoredLog, merged: Merged, exchange: Exchange) -> StoredLog:
    """Return a log as agreed after an exchange with one system."""
    agreed, systems = acknowledge(stored.agreed, merged, sides_as_systems(tenant, stored), exchange)
    settled = replace(stored, agreed=agreed)
    for system in systems:
        side = settled.side(system.connection)
        if side is not None:
            settled = settled.with_side(replace(side, seen=system.seen, base=system.base, sent=system.sent))
    return settled
