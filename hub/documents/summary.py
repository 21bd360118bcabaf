"""The summary that goes with a referral to PPT, a report to child welfare or a move: what has been tried, how it went.

A referral must show the BTI work done on levels 0 and 1, and a report should (the leaders' routines of Sogndal). It is
made from the view of the one who gets it, and a person sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from types import MappingProxyType

from hub.documents.content import LEVELS, Block, Content, Facts, Heading, Paragraphs, Prose, Remark, Table, paragraphs
from hub.documents.pdf import SIGNS_NAMED, Sheet, typeset
from hub.documents.words import Word, local_day, written_date
from hub.relaylog.codes import BtiLevel, Part, Service
from hub.relaylog.model import Consent, Frozen, Meeting, RelayLog, field_label
from hub.relaylog.moving import READER as NEW_MUNICIPALITY

TITLES = MappingProxyType(
    {
        Service.PPT: Word.FOR_PPT,
        Service.CHILD_WELFARE: Word.FOR_CHILD_WELFARE,
        NEW_MUNICIPALITY: Word.FOR_NEW_MUNICIPALITY,
    }
)
"""Who a summary can be for, and what it says of itself below its title. Another municipality is not named there."""

RECIPIENTS = MappingProxyType(
    {"new_municipality" if service is NEW_MUNICIPALITY else str(service): service for service in TITLES}
)
"""The same by their codes."""


@dataclass(frozen=True)
class Order:
    """What is asked for: by whom, to whom, why in the sender's words, when, and which parts are opened to them."""

    municipality: str
    recipient: Service
    purpose: str
    today: date
    parts: frozenset[Part]


@dataclass(frozen=True)
class Period:
    """A time on one level: from its first day to the day before `until`; None is unknown, or not ended."""

    level: BtiLevel | None
    since: date | None
    until: date | None

    def holds(self, day: date | None) -> bool:
        """Tell whether a day is within the time. A day that nobody wrote down is in none."""
        if day is None:
            return False
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


def render_summary(shown: RelayLog, order: Order) -> bytes:
    """Return the summary of a log as a PDF in the log's language. `shown` is the recipient's view of the log.

    Raises DocumentFailed.
    """
    language = shown.language

    def sheet(*, signs_named: bool) -> Sheet:
        noted = (Remark(SIGNS_NAMED.text(language)),) if signs_named else ()
        title = f"{Word.SUMMARY.text(language)} – {shown.subject.name or Word.UNNAMED.text(language)}"
        subtitle = TITLES[order.recipient].text(language)
        return Sheet(title, subtitle, order.municipality, language, (*_Summary(shown, order).blocks(), *noted))

    return typeset(f"the summary of log {shown.id}", order.today, sheet)


def periods(log: RelayLog) -> tuple[Period, ...]:
    """Return the times that a log stood on each level, the first one first, by its dated level changes.

    Without any, one period: the level that the log has now, for as long as the log has been open.
    """
    dated = sorted(((change.on, change) for change in log.level_changes if change.on), key=lambda pair: pair[0])
    ended = log.closure.on if log.closure else None
    if not dated:
        return (Period(log.level, log.opened_on, ended),)
    ends = [*(later for (_, _), (later, _) in pairwise(dated)), ended]
    found = [Period(change.level, on, until) for (on, change), until in zip(dated, ends, strict=True)]
    return tuple(period for period in found if period.since != period.until)


class _Summary:
    """One summary being written, in the log's own language."""

    def __init__(self, shown: RelayLog, order: Order) -> None:
        self._log = shown
        self._order = order

    def blocks(self) -> tuple[Block, ...]:
        parts = (
            self._front(), self._people(), self._levels(), Content(self._log).work(), self._meetings(), self._consents()
        )  # fmt: skip
        return tuple(block for part in parts for block in part)

    def _front(self) -> Iterator[Block]:
        order = self._order
        yield Prose(paragraphs(order.purpose), title=self._word(Word.PURPOSE))
        opened = ", ".join(part.label(self._log.language) for part in Part if part in order.parts)
        log_id = self._label(RelayLog, "id"), self._log.id
        made = self._word(Word.MADE_ON), written_date(order.today)
        yield Facts(_rows(((self._word(Word.OPENED_PARTS), opened), made, log_id)))
        yield Prose(paragraphs(self._word(Word.SUMMARY_LIMITS)))
        yield Remark(self._word(Word.SENT_BY_A_PERSON))

    def _people(self) -> Iterator[Block]:
        log, language = self._log, self._log.language
        subject, unit = log.subject, log.unit
        yield self._heading(Word.SUBJECT)
        born = written_date(subject.birth_date) if subject.birth_date else ""
        holder = log.holder
        holding = ", ".join(filter(None, (holder.name, holder.title, holder.service.label(language)))) if holder else ""
        yield Facts(
            _rows(
                (
                    (self._label(type(subject), "name"), subject.name),
                    (self._label(type(subject), "birth_date"), born),
                    (self._label(type(subject), "national_id"), subject.national_id),
                    (self._label(type(subject), "interpreter"), subject.interpreter),
                    (self._label(RelayLog, "unit"), unit.name),
                    (self._label(RelayLog, "holder"), holding),
                )
            )
        )

    def _levels(self) -> Iterator[Block]:
        yield self._heading(Word.WORK_DONE)
        if not any(change.on for change in self._log.level_changes):
            yield Prose(paragraphs(self._word(Word.NO_LEVELS)))
        heads = (Word.LEVEL_CHANGES, Word.PERIOD, Word.STARTED, Word.EVALUATED, Word.MET)
        rows = tuple(self._level_row(period) for period in periods(self._log))
        yield Table(tuple(map(self._word, heads)), (44, 50, 22, 24, 20), rows)

    def _level_row(self, period: Period) -> tuple[Paragraphs, ...]:
        log = self._log
        level = self._word(LEVELS[period.level]) if period.level is not None else self._word(Word.NOT_REGISTERED)
        since = written_date(period.since) if period.since else self._word(Word.NOT_REGISTERED)
        until = written_date(period.until) if period.until else self._word(Word.UNTIL_NOW)
        days = (
            [measure.starts_on for measure in log.measures],
            [evaluation.on for evaluation in log.evaluations],
            [meeting.starts_at and local_day(meeting.starts_at) for meeting in log.meetings],
        )
        counts = (str(sum(map(period.holds, of_kind))) for of_kind in days)
        return tuple(paragraphs(text) for text in (level, f"{since} – {until}", *counts))

    def _meetings(self) -> Iterator[Block]:
        yield Heading(Meeting.label.text(self._log.language), level=1)
        met = [(meeting.starts_at, meeting) for meeting in self._log.meetings if meeting.starts_at]
        if not met:
            yield Remark(self._word(Word.NONE_REGISTERED))
            return
        heads = tuple(self._label(Meeting, field) for field in ("starts_at", "kind"))
        rows = (
            (written_date(local_day(at)), meeting.kind.label(self._log.language))
            for at, meeting in sorted(met, key=lambda pair: pair[0])
        )
        yield Table(heads, (60, 100), tuple(tuple(map(paragraphs, row)) for row in rows))

    def _consents(self) -> Iterator[Block]:
        language = self._log.language
        for consent in self._log.consents:
            if consent.recipient is not self._order.recipient:
                continue
            yield self._heading(Word.CONSENT_TO_RECIPIENT)
            signed = ", ".join(signer.role.label(language) for signer in consent.signed_by)
            scope = ", ".join(part.label(language) for part in consent.parts)
            days = {name: written_date(day) for name in ("valid_from", "valid_to") if (day := getattr(consent, name))}
            values = {"status": consent.status.label(language), "parts": scope, "signed_by": signed, **days}
            yield Facts(_rows((self._label(Consent, name), value) for name, value in values.items()))

    def _heading(self, word: Word) -> Heading:
        return Heading(self._word(word), level=1)

    def _label(self, model: type[Frozen], field: str) -> str:
        return field_label(model, field).text(self._log.language)

    def _word(self, word: Word) -> str:
        return word.text(self._log.language)


def _rows(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, Paragraphs], ...]:
    return tuple((name, paragraphs(value)) for name, value in pairs if value)
