"""Reminders by e-mail: the figures of a unit's control round to the unit's own address. Counts and log ids alone.

A reminder is written down before it is sent, and so is the answer. So each unit is reminded once of a day, whoever asks
and however often; where nobody knows whether a message left, that is told, and it is not sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import Connection, select

from hub.connectors.base import ConnectorError, OutcomeUnknown, Unavailable
from hub.connectors.mail import Letter, Mailer
from hub.documents import reminder
from hub.documents.control import ControlPage
from hub.operate.control import UnknownUnit, control_round, logs_of_unit
from hub.operate.settings import MailSettings, TenantSettings, UnitSettings
from hub.relaylog.codes import Language
from hub.store.database import Database
from hub.store.events import Action, append
from hub.store.logs import LogStore
from hub.store.sealing import SealError
from hub.store.tables import events

KIND = "unit"
"""The kind of subject that the events of reminders are about; its id is the unit's."""

CUT_OFF = "cut_off"
"""The answer where whoever was to send a reminder has ended before writing down what came of it."""

DAMAGED = "damaged"
"""The answer where a log of the municipality does not open, so that nothing can be counted."""


DOES_NOT_OPEN = "a log of the municipality does not open. Look at the store, and at the key that it was sealed under"


class Outcome(StrEnum):
    """What came of the reminder of one unit."""

    SENT = "sent"
    NOTHING = "nothing"
    BEFORE = "before"
    PUT_OFF = "put_off"
    FAILED = "failed"
    UNKNOWN = "unknown"


_WRITTEN: Mapping[Outcome, Action] = {
    Outcome.SENT: Action.REMINDER_SENT,
    Outcome.PUT_OFF: Action.REMINDER_PUT_OFF,
    Outcome.FAILED: Action.REMINDER_FAILED,
    Outcome.UNKNOWN: Action.REMINDER_UNKNOWN,
}


_WORDS: Mapping[Outcome, str] = {
    Outcome.SENT: "sent, the mail server answered {answer}",
    Outcome.NOTHING: "nothing to remind of, nothing sent",
    Outcome.BEFORE: "reminded of this day before, nothing sent",
    Outcome.PUT_OFF: "not sent: {error}. Ask again when that has passed",
    Outcome.FAILED: "not sent: {error}",
    Outcome.UNKNOWN: "nobody knows whether it was sent ({answer}). Ask at the address; it is not sent again",
}


@dataclass(frozen=True)
class Reminded:
    """What came of the reminder of one unit: the code of the answer, and what went wrong if anything did."""

    unit: str
    outcome: Outcome
    answer: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    error: ConnectorError | None = None

    def in_words(self) -> str:
        """Tell it in one line: what came of it, and what to do."""
        return _WORDS[self.outcome].format(answer=self.answer, error=self.error or DOES_NOT_OPEN)


@dataclass(frozen=True)
class Reminders:
    """The reminders of one municipality. `now` tells the present (aware), `language` is that of the words."""

    tenant: TenantSettings
    mail: MailSettings
    mailer: Mailer
    db: Database
    logs: LogStore
    now: Callable[[], datetime]
    language: Language

    def letters(self, day: date) -> Iterator[tuple[str, Letter]]:
        """Yield each unit with what it would be sent, seen from a day. Raises SealError for a damaged log."""
        for unit in self.units():
            page = self._page(unit, day)
            if page and reminder.worth_telling(page):
                yield unit.id, self._letter(unit, page)

    def send(self, day: date) -> Iterator[Reminded]:
        """Remind each unit that has not been reminded of a day; yield what came of it.

        One process at a time: a reminder that was begun and not answered counts as cut off.
        """
        for unit in self.units():
            yield self._remind(unit, day)

    def units(self) -> list[UnitSettings]:
        """Return the units that have an address."""
        return [unit for unit in self.tenant.units if unit.id in self.mail.remind]

    def _remind(self, unit: UnitSettings, day: date) -> Reminded:
        try:
            page = self._page(unit, day)
        except SealError:
            self._write(unit, day, Action.REMINDER_FAILED, answer=DAMAGED)
            return Reminded(unit.id, Outcome.FAILED, DAMAGED)
        counts = reminder.counts(page) if page else {}
        with self.db.write() as tx:
            if (before := self._before(tx, unit, day)) is not None:
                return before
            if page is None or not reminder.worth_telling(page):
                return Reminded(unit.id, Outcome.NOTHING, counts=counts)
            self._append(tx, unit, day, Action.REMINDER_READY, **counts)
        outcome, answer, error = self._sent(self._letter(unit, page))
        self._write(unit, day, _WRITTEN[outcome], answer=answer, **counts)
        return Reminded(unit.id, outcome, answer, counts, error)

    def _sent(self, letter: Letter) -> tuple[Outcome, str, ConnectorError | None]:
        try:
            return Outcome.SENT, self.mailer.send(letter), None
        except OutcomeUnknown as error:
            return Outcome.UNKNOWN, error.code, error
        except Unavailable as error:
            return Outcome.PUT_OFF, error.code, error
        except ConnectorError as error:
            return Outcome.FAILED, error.code, error

    def _before(self, tx: Connection, unit: UnitSettings, day: date) -> Reminded | None:
        """Return what is known of an earlier reminder of the day; None where it surely was not sent."""
        c, number = events.c, self.tenant.organisation_number
        mine = (c.tenant == number, c.subject_kind == KIND, c.subject_id == unit.id)
        of_the_day = c.data["day"].as_string() == day.isoformat()
        last = select(c.action).where(*mine, of_the_day).order_by(c.event_id.desc()).limit(1)
        action = tx.scalar(last)
        if action == Action.REMINDER_READY:
            self._append(tx, unit, day, Action.REMINDER_UNKNOWN, answer=CUT_OFF)
            return Reminded(unit.id, Outcome.UNKNOWN, CUT_OFF)
        if action in (Action.REMINDER_SENT, Action.REMINDER_UNKNOWN):
            return Reminded(unit.id, Outcome.BEFORE)
        return None

    def _page(self, unit: UnitSettings, day: date) -> ControlPage | None:
        """Return the control round of a unit; None where it has no open log."""
        try:
            found = logs_of_unit(self.db, self.logs, [unit.name, unit.id, unit.organisation_number])
        except UnknownUnit:
            return None
        return control_round(found.open, unit.name, day) if found.open else None

    def _letter(self, unit: UnitSettings, page: ControlPage) -> Letter:
        """Write the message. Its id is that of unit and day, so that its receiver knows a second one."""
        domain = self.mail.sender.partition("@")[2]
        return Letter(
            id=f"stafetthub.{self.tenant.organisation_number}.{unit.id}.{page.on.isoformat()}@{domain}",
            sender=self.mail.sender,
            recipient=self.mail.remind[unit.id],
            subject=reminder.subject(page, self.language),
            text=reminder.text(page, self.tenant.name, self.language),
            at=self.now(),
        )

    def _write(self, unit: UnitSettings, day: date, action: Action, **data: str | int) -> None:
        with self.db.write() as tx:
            self._append(tx, unit, day, action, **data)

    def _append(self, tx: Connection, unit: UnitSettings, day: date, action: Action, **data: str | int) -> None:
        number = self.tenant.organisation_number
        append(tx, number, action, KIND, unit.id, "hub", self.now(), day=day.isoformat(), **data)
