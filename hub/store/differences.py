"""What source, hub and archive do not agree on, as rows that stay listed until they are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from hub.store.events import Action, append
from hub.store.tables import DifferenceKind, DifferenceState, differences


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree: the kind, and the record by its system's id or the log by the hub's."""

    kind: DifferenceKind
    subject: str
    log_id: str | None = None


class Differences:
    """The differences of one tenant."""

    def __init__(self, tenant: str, new_id: Callable[[], str]) -> None:
        self._tenant = tenant
        self._new_id = new_id

    def found(self, tx: Connection, connection: str, now: datetime, wanted: Iterable[Difference]) -> int:
        """Make the open differences of a connection exactly these; return how many are new.

        One that a person closed is listed anew when a later count finds it again.
        """
        c = differences.c
        open_ones = (c.tenant == self._tenant, c.connection == connection, c.state == DifferenceState.OPEN)
        standing = {(row.kind, row.subject): row for row in tx.execute(select(differences).where(*open_ones))}
        by_place = {(each.kind, each.subject): each for each in wanted}
        for place, row in standing.items():
            here = update(differences).where(c.difference_id == row.difference_id)
            if place in by_place:
                tx.execute(here.values(last_seen_at=now))
            else:
                tx.execute(here.values(state=DifferenceState.GONE, closed_at=now))
                self._event(tx, Action.DIFFERENCE_GONE, row.difference_id, row.log_id, "hub", now)
        new = [each for place, each in by_place.items() if place not in standing]
        for each in new:
            difference_id = self._new_id()
            tx.execute(
                insert(differences).values(
                    difference_id=difference_id,
                    tenant=self._tenant,
                    connection=connection,
                    kind=each.kind,
                    subject=each.subject,
                    log_id=each.log_id,
                    state=DifferenceState.OPEN,
                    first_seen_at=now,
                    last_seen_at=now,
                )
            )
            self._event(tx, Action.DIFFERENCE_FOUND, difference_id, each.log_id, "hub", now)
        return len(new)

    def close(self, tx: Connection, difference_id: str, who: str, now: datetime) -> Row[Any] | None:
        """Close one that is open, and return it; None where there is none."""
        c = differences.c
        where = (c.tenant == self._tenant, c.difference_id == difference_id, c.state == DifferenceState.OPEN)
        row = tx.execute(select(differences).where(*where)).first()
        if row is not None:
            closed = update(differences).where(c.difference_id == difference_id)
            tx.execute(closed.values(state=DifferenceState.CLOSED, closed_at=now, closed_by=who))
            self._event(tx, Action.PERSON_DIFFERENCE_CLOSED, difference_id, row.log_id, who, now)
        return row

    def _event(
        self, tx: Connection, action: Action, difference_id: str, log_id: str | None, actor: str, now: datetime
    ) -> None:
        about = {"log": log_id} if log_id else {}
        append(tx, self._tenant, action, "difference", difference_id, actor, now, **about)
