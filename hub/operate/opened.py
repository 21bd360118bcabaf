"""Opening a log for a person: what is made of it for somebody to read, and the event that says who asked and for what.

The event holds codes alone. The purpose in the asker's own words stands in the document, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from hub.documents.summary import Order, render_summary
from hub.relaylog.codes import Part, Service
from hub.relaylog.gates import Rules, parts_open_to, stops
from hub.relaylog.model import RelayLog
from hub.relaylog.moving import READER as NEW_MUNICIPALITY
from hub.relaylog.moving import NoCopy, copy_rules, for_new_municipality
from hub.relaylog.rights import RESTRICTED
from hub.relaylog.view import view
from hub.store.database import Database
from hub.store.events import Action, append
from hub.store.logs import LogStore
from hub.store.tables import logs


class NotOpen(Exception):
    """Rules keep a log from a recipient. Names them, and what would end each."""


def municipality_of(db: Database, log_id: str) -> str | None:
    """Return the organisation number of the municipality that has a log; None where nobody has."""
    with db.read() as tx:
        return tx.scalar(select(logs.c.tenant).where(logs.c.log_id == log_id))


@dataclass(frozen=True)
class Opener:
    """Opens logs of one tenant for a person. `who` is a user id; each opening is written in the log of events."""

    db: Database
    store: LogStore
    who: str

    def log(self, log_id: str) -> RelayLog:
        """Return a log as it stands. Raises SealError where it was shredded or damaged."""
        with self.db.read() as tx:
            return self.store.load(tx, log_id).log

    def log_to_share(self, log_id: str) -> RelayLog:
        """Return a log that something is to be shared of. Raises NotOpen where somebody objects, and SealError."""
        with self.db.read() as tx:
            stored = self.store.load(tx, log_id)
        if stored.decided.restricted:
            raise NotOpen(f"log {log_id}: {RESTRICTED.reason}: until {RESTRICTED.releases_when}")
        for stop in stored.decided.mixed:
            raise NotOpen(f"log {log_id}: {stop.reason}: until {stop.releases_when}")
        return stored.log

    def noted(self, log_id: str, purpose: str, now: datetime) -> None:
        """Write down that the log was opened. `purpose` is a code. Raises NotACode."""
        with self.db.write() as tx:
            append(tx, self.store.tenant, Action.PERSON_LOG_OPENED, "log", log_id, self.who, now, purpose=purpose)


def parts_for(log: RelayLog, recipient: Service, day: date, rules: Rules) -> frozenset[Part]:
    """Return the parts of a log that its summary for a recipient opens on a day."""
    asked, rules = _as_asked(log, recipient, rules)
    return frozenset() if isinstance(asked, NoCopy) else parts_open_to(asked, recipient, day, rules)


def summary_pdf(log: RelayLog, recipient: Service, purpose: str, municipality: str, day: date, rules: Rules) -> bytes:
    """Return the summary of a log for a recipient, of what consent and rules open to them on a day.

    Raises NotOpen where they open nothing, and DocumentFailed.
    """
    asked, rules = _as_asked(log, recipient, rules)
    if isinstance(asked, NoCopy):
        raise NotOpen(f"log {log.id}: no copy for a new municipality: {asked.label('en')}")
    log = asked
    found = stops(log, [recipient], day, rules)
    if found:
        told = (
            "a special rule (særskilt regel): its owner decides"
            if stop.revealing and stop.of_log
            else f"{stop.reason}: until {stop.releases_when}"
            for stop in found
        )
        raise NotOpen(
            f"log {log.id}: not opened to {recipient}: {'; '.join(dict.fromkeys(told))}. "
            "What must be told without consent, a person writes outside the hub"
        )
    parts = parts_open_to(log, recipient, day, rules)
    order = Order(municipality, recipient, purpose, day, parts)
    return render_summary(view(log, [recipient], day, rules), order)


def _as_asked(log: RelayLog, recipient: Service, rules: Rules) -> tuple[RelayLog | NoCopy, Rules]:
    """Return a log and the rules as they are asked for a recipient: for a new municipality by those of moving."""
    if recipient is not NEW_MUNICIPALITY:
        return log, rules
    return for_new_municipality(log), copy_rules(log, rules)
