"""What a system answers to: what was sent it, as the log has it and as the system's template shows it.

An answer, an echo that a pull finds first, and a look-up are all read against this, so that new rows are known again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from hub.mappings.language import Clear
from hub.relaylog.merge import Place
from hub.relaylog.model import COLLECTIONS, RelayLog
from hub.store.logs import Side, StoredLog
from hub.store.tables import DeliveryState
from hub.store.work import OUTCOME_UNKNOWN
from hub.sync.context import Connection
from hub.sync.identity import Key, in_own_keys, with_hub_ids


@dataclass(frozen=True)
class Sent:
    """The log with its elements as they were sent, and how the template shows them. Both are in the hub's ids.

    How it shows them is made out when it is asked for: mostly keys tell all that is asked.
    """

    log: RelayLog
    shown: Callable[[], RelayLog]


def sent_as(connection: Connection, stored: StoredLog, side: Side, view: RelayLog, cleared: Iterable[Place]) -> Sent:
    """Return what a record's next version is read against after a view was sent."""
    keys = stored.keys_of(connection.id)

    def shown() -> RelayLog:
        _, found = connection.mapping.shown(side.record, in_own_keys(view, keys), clear=in_keys(cleared, keys))
        return with_hub_ids(found, keys)

    return Sent(_over(stored.log, view), shown)


def kept_payload(stored: StoredLog, row: Row[Any]) -> tuple[RelayLog, frozenset[Place]]:
    """Return the view that a delivery carries, and the places that it empties."""
    sent = _opened(stored, row)
    return RelayLog.model_validate(sent["view"]), frozenset(Place(*place) for place in sent["cleared"])


def held_before(stored: StoredLog, row: Row[Any]) -> RelayLog:
    """Return what the receiver of a delivery held when it was written down."""
    return RelayLog.model_validate(_opened(stored, row)["held"])


def _opened(stored: StoredLog, row: Row[Any]) -> dict[str, Any]:
    opened: dict[str, Any] = json.loads(
        stored.sealer.open(f"deliveries.sealed_payload/{row.delivery_id}", row.sealed_payload)
    )
    return opened


def maybe_arrived(row: Row[Any]) -> bool:
    """Tell whether a delivery's bytes may have reached the receiver without anybody knowing yet."""
    unknown = row.state is DeliveryState.HELD and row.error_class == OUTCOME_UNKNOWN
    return unknown or row.state in (DeliveryState.SENDING, DeliveryState.UNKNOWN)


def in_keys(cleared: Iterable[Place], keys: Mapping[Key, str]) -> Clear:
    """Return places that are to be emptied, in a system's own keys."""
    ids = {(collection, element): foreign for (collection, foreign), element in keys.items()}
    return frozenset(
        (place.collection, ids.get((place.collection, place.element), ""), place.field) for place in cleared
    )


def _over(log: RelayLog, view: RelayLog) -> RelayLog:
    """Return a log with its elements as they were sent: by those the receiver's new ones are recognised."""
    lists = {}
    for name in COLLECTIONS:
        sent = getattr(view, name)
        ids = {element.id for element in sent}
        lists[name] = (*sent, *(element for element in getattr(log, name) if element.id not in ids))
    return log.model_copy(update=lists)
