"""Route: decide what to send of a log to each system that holds it, or what stops that, and write it down.

A delivery is planned by one pure step, `plan`, which is asked again just before bytes leave. What the system already
holds needs no sending and counts as exchanged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Row

from hub.relaylog.codes import Service
from hub.relaylog.consent import Opened, opened
from hub.relaylog.gates import ANOTHER_PERSON, MOVED_RECORD, Decider, Rules, Stop, special_stops, stops
from hub.relaylog.guardians import with_proposed, without
from hub.relaylog.merge import Exchange, Flat, Merged, Place, acknowledge, empty, flatten, silent, unflatten
from hub.relaylog.model import COLLECTIONS, Actor, Element, RelayLog
from hub.relaylog.putout import not_yet_emptied
from hub.relaylog.rights import RESTRICTED
from hub.relaylog.view import view
from hub.store.events import Action, append_all
from hub.store.inbox import NewHold
from hub.store.logs import Side, StoredLog, Tree
from hub.store.sealing import Purpose
from hub.store.tables import DeliveryKind, DeliveryState
from hub.store.work import NewDelivery, gives_way
from hub.sync.admit import OPEN_STATUS, merged_of, sides_as_systems, situation
from hub.sync.context import Connection, Tenant
from hub.sync.identity import Key, in_own_keys
from hub.sync.sent import in_keys
from hub.sync.tasks import set_tasks, standing_tasks


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
    stopped = (*stopped, RESTRICTED) if merged.restricted else stopped
    stopped = (*stopped, *merged.mixed)
    opened_view = without(view(asked, readers, day, rules, connection.services), merged.proposed)
    shown = _with_emptied(_without_open_questions(opened_view, merged, side.seen), merged, side.seen)
    wanted, held = flatten(shown), flatten(side.seen)
    cleared = _cleared(wanted, held, side, merged) | _left_over(wanted, held) | _removed(merged, held)
    cleared |= not_yet_emptied(side.told, side.seen, wanted) if side.told else frozenset()
    own = in_own_keys(shown, keys)
    after = connection.mapping.write(side.record, own, clear=in_keys(cleared, keys))
    changes = after != side.record or (bool(stopped) and _news(merged.log, side.seen))
    return Plan(shown, cleared, after, stopped, changes)


def _without_open_questions(shown: RelayLog, merged: Merged, seen: RelayLog) -> RelayLog:
    """Leave what is in conflict as the system has it, and leave out what is proposed as deleted, or told of by nobody.

    Of an element that is withheld nothing is put in: what little it would say would be written over what stands there.
    """
    frozen = {conflict.place for conflict in merged.conflicts}
    gone = {(deletion.collection, deletion.element) for deletion in merged.deletions} | merged.untold
    if not frozen and not gone:
        return shown
    kept = {
        place: value
        for place, value in flatten(shown).items()
        if place not in frozen and (place.collection, place.element) not in gone
    }
    for place, value in flatten(seen).items():
        if place in frozen and (not place.collection or place._replace(field="") in kept):
            kept[place] = value
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


def _removed(merged: Merged, held: Flat) -> frozenset[Place]:
    """Return the places of removed elements that still say something in a system."""
    return frozenset(
        place
        for place, value in (held if merged.removed else {}).items()
        if place.field and place[:2] in merged.removed and not silent(place, value)
    )


def _cleared(wanted: Flat, held: Flat, side: Side, merged: Merged) -> frozenset[Place]:
    """Return the places that were emptied on purpose somewhere and still hold something in this system.

    Before the first exchange there are none: what a system holds then is nobody else's to empty.
    """
    if side.base is None:
        return frozenset()
    base, all_of_it = flatten(side.base), flatten(merged.log)
    frozen = {conflict.place for conflict in merged.conflicts}
    return frozenset(
        place
        for place, value in wanted.items()
        if empty(value)
        and place not in frozen
        and empty(all_of_it.get(place))
        and not empty(held.get(place))
        and base.get(place) == held.get(place)
    )


def _left_over(wanted: Flat, held: Flat) -> frozenset[Place]:
    """Return the details of a person who is replaced by another: the new one must not inherit a phone."""
    return frozenset(
        place._replace(field=f"{place.field}.{detail}")
        for place, new in wanted.items()
        if type(new) is Actor and isinstance(old := held.get(place), Actor) and new.name != old.name
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
        """Route logs in one transaction, so hand in a few; return how many deliveries were written down."""
        with self._tenant.db.write() as tx:
            return _Desk(self._tenant, tx, list(log_ids)).route()


class _Desk:
    """Some logs that are routed together, with what stands about them: read once for all of them."""

    def __init__(self, tenant: Tenant, tx: Transaction, log_ids: list[str]) -> None:
        self._tenant = tenant
        self._tx = tx
        self._now, self._day = tenant.now(), tenant.today()
        self._rules = tenant.rules(self._day)
        self._logs = tenant.logs.load_all(tx, log_ids)
        self._holds = tenant.inbox.holds_of(tx, log_ids)
        self._tasks = standing_tasks(tenant, tx, log_ids)
        self._standing: dict[tuple[str, str], Row[Any]] = {}
        self._failed: dict[tuple[str, str], list[Row[Any]]] = {}
        self._sent: Counter[tuple[str, str]] = Counter()
        for row in tenant.work.of_logs(tx, log_ids, self._now - HOUR):
            of = row.log_id, row.connection
            if row.state in (DeliveryState.DONE, DeliveryState.SUPERSEDED):
                self._sent[of] += 1
            elif row.state is DeliveryState.FAILED:
                self._failed.setdefault(of, []).append(row)
            else:
                self._standing[of] = row
        self._deliveries: list[NewDelivery] = []
        self._routed: list[StoredLog] = []
        self._told: list[tuple[str, dict[str, str | int]]] = []

    def route(self) -> int:
        """Decide about every log and write it down; return how many deliveries there are to be."""
        tenant, tx = self._tenant, self._tx
        for stored in self._logs.values():
            self._log(stored)
        tenant.work.add_deliveries(tx, self._deliveries, self._now)
        tenant.logs.routed(tx, self._routed)
        append_all(tx, tenant.organisation_number, Action.LOG_ROUTED, "log", self._told, "hub", self._now)
        return len(self._deliveries)

    def _log(self, stored: StoredLog) -> None:
        if not stored.sides:
            self._routed.append(stored)
            return
        merged, fresh = merged_of(self._tenant, stored), not stored.was_routed
        self._hold_special(stored, merged)
        asked = with_proposed(merged.log, merged.proposed)
        set_tasks(self._tenant, self._tx, stored, asked, self._rules, self._day, self._tasks)
        told: dict[str, Given] = {}
        for connection in self._tenant.connections.values():
            side = stored.side(connection.id)
            if side is None:
                self._ask_for_record(stored, connection)
            elif connection.deliver:
                planned = plan(connection, side, merged, stored.keys_of(connection.id), self._day, self._rules)
                settled, told[connection.id] = self._settle(stored, connection, side, merged, planned)
                if settled is not stored:
                    stored, merged = settled, merged_of(self._tenant, settled)
        if not self._in_flight(stored):
            self._routed.append(stored)
        if fresh or Given.SENT in told.values():
            self._note(stored, told)

    def _hold_special(self, stored: StoredLog, merged: Merged) -> None:
        """Hold the whole log where it concerns violence or somebody protected; a release is for what it says now.

        And where somebody has objected, or demanded that use be restricted, or where it may be about two persons.
        """
        found = special_stops(with_proposed(merged.log, merged.proposed))
        now_said = situation(self._tenant, merged) if found else ""
        wanted = [replace(_hold(stop), situation=now_said if stop.reason in RELEASABLE else "") for stop in found]
        wanted += [_hold(RESTRICTED)] if merged.restricted else []
        wanted += [_hold(ANOTHER_PERSON)] if stored.decided.mistaken else []
        if moved := stored.decided.moved:  # wanted also once it is let go, so that this stays known
            wanted.append(replace(_hold(MOVED_RECORD), situation=moved))
        self._set_holds(stored, None, wanted)

    def _set_holds(self, stored: StoredLog, connection: str | None, wanted: list[NewHold]) -> bool:
        return self._tenant.inbox.set_holds(self._tx, stored.log_id, connection, wanted, self._now, self._holds)

    def _note(self, stored: StoredLog, told: dict[str, Given]) -> None:
        """Note what was decided for each connection, so that it can be told afterwards."""
        given = {f"to_{name.rpartition('/')[2]}": str(what) for name, what in told.items()}
        self._told.append((stored.log_id, {"version": stored.version, **given}))

    def _in_flight(self, stored: StoredLog) -> bool:
        """Tell whether a delivery of unknown outcome keeps a newer one from being written down: route again then."""
        return any(
            (standing := self._standing.get((stored.log_id, name))) is not None and not gives_way(standing)
            for name in self._tenant.connections
        )

    def _settle(
        self, stored: StoredLog, connection: Connection, side: Side, merged: Merged, planned: Plan
    ) -> tuple[StoredLog, Given]:
        """Write down what follows from a plan: holds, a delivery, or that there is nothing to send."""
        wanted = [_hold(stop) for stop in planned.stops if not stop.of_log] if planned.changes else []
        if connection.first_contact == "hold" and planned.changes and not planned.stops:
            known = self._tenant.work.delivered(self._tx, connection.id, stored.log_id)
            wanted += [] if known else [FIRST_CONTACT]
        if planned.changes and self._sent[stored.log_id, connection.id] >= MOST_AN_HOUR:
            wanted.append(RESTLESS)
        held = self._set_holds(stored, connection.id, wanted)
        if planned.stops or held:
            self._supersede(stored, connection, view_hash="")
            return stored, Given.HELD
        if not planned.changes:
            self._supersede(stored, connection, view_hash="")
            return self._exchanged(stored, side, merged, planned), Given.NOTHING_NEW
        return stored, Given.SENT if self._deliver(stored, connection, side, planned) else Given.WAITS

    def _exchanged(self, stored: StoredLog, side: Side, merged: Merged, planned: Plan) -> StoredLog:
        """Note that a system holds what it may see: nothing is sent, and what is equal is agreed."""
        exchange = Exchange(side.connection, planned.view, side.seen, planned.cleared)
        settled = acknowledged(self._tenant, stored, merged, exchange)
        if settled == stored:
            return stored
        changed = [side for side in settled.sides if side != stored.side(side.connection)]
        self._tenant.logs.save_sides(self._tx, [(settled, side) for side in changed], None, self._now)
        return self._tenant.logs.save(self._tx, settled, self._now)

    def _deliver(self, stored: StoredLog, connection: Connection, side: Side, planned: Plan) -> bool:
        """Write a delivery down. False where the same one waits, or one of unknown outcome blocks."""
        hashed = view_hash(self._tenant, side, planned)
        if not self._supersede(stored, connection, hashed):
            return False
        delivery_id = self._tenant.new_id()
        view, held = (log.model_dump(mode="json", exclude_defaults=True) for log in (planned.view, side.seen))
        payload = json.dumps({"view": view, "cleared": list(planned.cleared), "held": held}).encode()
        self._deliveries.append(
            NewDelivery(
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
        )
        return True

    def _supersede(self, stored: StoredLog, connection: Connection, view_hash: str) -> bool:
        """Make room for a delivery of a view. False where the same one waits or failed, or an unknown outcome blocks.

        What the receiver has refused it is not asked again until there is something else to say, or a person asks.
        """
        of = stored.log_id, connection.id
        standing, failed = self._standing.get(of), self._failed.get(of, [])
        if standing is not None and (not gives_way(standing) or _says(standing, view_hash)):
            return False
        others = [row for row in failed if not _says(row, view_hash)]
        for row in others if standing is None else [*others, standing]:
            self._tenant.work.end_delivery(self._tx, row.delivery_id, DeliveryState.SUPERSEDED, self._now)
        return len(others) == len(failed)

    def _ask_for_record(self, stored: StoredLog, connection: Connection) -> None:
        """A consent names a reader whose system has no record of the child: to make one is for a person."""
        self._set_holds(stored, connection.id, [NO_RECORD] if self._awaits_record(stored, connection) else [])

    def _awaits_record(self, stored: StoredLog, connection: Connection) -> bool:
        if not connection.deliver or stored.log.status not in OPEN_STATUS or special_stops(stored.log):
            return False
        readers: frozenset[Service] = connection.services if connection.readers == "unit" else connection.readers
        asked = (opened(stored.log, reader, self._day, self._rules.consent) for reader in readers)
        if not any(isinstance(answer, Opened) for answer in asked):
            return False
        return self._tenant.work.cursor(self._tx, connection.id) is not None


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


PASSING = frozenset({"not_configured", "record_in_quarantine"})
"""Errors of deliveries that end without anybody telling the hub: what failed by them is tried again the next day."""


def _says(row: Row[Any], view_hash: str) -> bool:
    """Tell whether a delivery stands for a view: it waits, or it ended badly by what would only do so again."""
    waits = row.state is DeliveryState.READY or row.error_class not in PASSING
    return bool(row.view_hash == view_hash and waits)


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
