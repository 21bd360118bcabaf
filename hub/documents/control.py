"""The paper of a control round: what a leader goes through two or three times a year, unit by unit.

It shows ids and dates, and no name: the leader opens each log in the service's own system.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from io import StringIO

from hub.documents.content import Block, Heading, Prose, Remark, Table, paragraphs
from hub.documents.pdf import SIGNS_NAMED, Sheet, typeset
from hub.relaylog.codes import Language
from hub.relaylog.model import Label


class Check(StrEnum):
    """One thing that a control round looks at."""

    ACTIVE = "active"
    OVERDUE = "overdue"
    NOT_EVALUATED = "not_evaluated"
    NO_HOLDER = "no_holder"
    BATON_WAITING = "baton_waiting"
    IDLE = "idle"
    CONSENT_ENDING = "consent_ending"
    CHILD_NOT_HEARD = "child_not_heard"


@dataclass(frozen=True)
class Finding:
    """A log that a check found: the date that matters, None where none is known, and how many places it concerns."""

    log_id: str
    on: date | None
    number: int = 1


@dataclass(frozen=True)
class ControlPage:
    """A control round of one unit: the day it looks from, its terms in days, and what each check found.

    `not_archived` are the closed logs of the unit that the archive has not confirmed, and since when each waits.
    """

    unit: str
    on: date
    idle_days: int
    consent_days: int
    findings: tuple[tuple[Check, tuple[Finding, ...]], ...]
    not_archived: tuple[Finding, ...] = ()


CHECKS = {
    Check.ACTIVE: Label("Åpne logger", "Opne loggar", "Open logs"),
    Check.OVERDUE: Label("Tiltak over fristen", "Tiltak over fristen", "Measures past their deadline"),
    Check.NOT_EVALUATED: Label(
        "Tiltak som skulle vært evaluert", "Tiltak som skulle vore vurderte", "Measures that should be evaluated"
    ),
    Check.NO_HOLDER: Label(
        "Uten stafettholder, eller holderen er ikke lenger med",
        "Utan stafetthaldar, eller haldaren er ikkje lenger med",
        "Without a holder, or the holder has left",
    ),
    Check.BATON_WAITING: Label(
        "Stafettpinnen er tilbudt og ikke svart på",
        "Stafettpinnen er tilboden og ikkje svara på",
        "The baton is offered and not answered",
    ),
    Check.IDLE: Label("Ingen aktivitet", "Ingen aktivitet", "No activity"),
    Check.CONSENT_ENDING: Label(
        "Samtykke som går ut eller har gått ut",
        "Samtykke som går ut eller har gått ut",
        "Consent that runs out or has run out",
    ),
    Check.CHILD_NOT_HEARD: Label(
        "Ingen samtale med barnet siden siste møte",
        "Ingen samtale med barnet sidan siste møte",
        "No conversation with the child since the last meeting",
    ),
}
"""What people call each check."""

DATES = {
    Check.ACTIVE: Label("Opprettet", "Oppretta", "Opened"),
    Check.OVERDUE: Label("Eldste frist", "Eldste frist", "Oldest deadline"),
    Check.NOT_EVALUATED: Label("Eldste frist", "Eldste frist", "Oldest deadline"),
    Check.NO_HOLDER: Label("Sluttet", "Slutta", "Left"),
    Check.BATON_WAITING: Label("Tilbudt", "Tilbode", "Offered"),
    Check.IDLE: Label("Sist endret", "Sist endra", "Last changed"),
    Check.CONSENT_ENDING: Label("Første som går ut", "Første som går ut", "First to run out"),
    Check.CHILD_NOT_HEARD: Label("Siste møte", "Siste møte", "Last meeting"),
}
"""What the date of a finding is, by check."""

TITLE = Label("Kontroll av stafettlogger", "Kontroll av stafettloggar", "Control of relay logs")
UNKNOWN = Label(
    "Sykmelding og annet fravær hos stafettholderen vet ikke Stafetthub om. Det må lederen se på selv.",
    "Sjukmelding og anna fråvær hos stafetthaldaren veit ikkje Stafetthub om. Det må leiaren sjå på sjølv.",
    "Stafetthub does not know of sick leave or other absence of the holder. The leader must look at that.",
)
"""What a leader is to control (the leaders' routines of Sogndal) and no system tells."""

_TERMS = Label(
    "Ingen aktivitet: ingen endring på {idle} dager eller mer. Samtykke: går ut innen {consent} dager.",
    "Ingen aktivitet: inga endring på {idle} dagar eller meir. Samtykke: går ut innan {consent} dagar.",
    "No activity: no change for {idle} days or more. Consent: runs out within {consent} days.",
)
_UNIT = Label("Enhet", "Eining", "Unit")
_LOG = Label("Logg", "Logg", "Log")
_NUMBER = Label("Antall", "Tal", "Number")
_SINCE = Label("Siden", "Sidan", "Since")
_NOT_ARCHIVED = Label(
    "Avsluttet, og arkivet har ikke kvittert",
    "Avslutta, og arkivet har ikkje kvittert",
    "Closed, and the archive has not confirmed it",
)
_CHECK, _WHAT, _DATE = (
    Label("Kontroll", "Kontroll", "Check"),
    Label("Hva", "Kva", "What"),
    Label("Dato", "Dato", "Date"),
)
NOT_KNOWN = Label("ikke registrert", "ikkje registrert", "not registered")
"""What stands for a date that nobody wrote down."""


def title(page: ControlPage, language: Language) -> str:
    """Return the line above a control round: of which unit, on which day."""
    return f"{_UNIT.text(language)} {page.unit}, {page.on.isoformat()}"


def terms(page: ControlPage, language: Language) -> str:
    """Return the sentence that says what the checks counted as long ago, and as soon."""
    return _TERMS.text(language).format(idle=page.idle_days, consent=page.consent_days)


def heads(language: Language) -> tuple[str, ...]:
    """Return the words above the columns of `lines`."""
    return tuple(word.text(language) for word in (_CHECK, _LOG, _WHAT, _DATE, _NUMBER))


def lines(page: ControlPage, language: Language) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield every finding as words: the check, the log's id, what its date is, the date, how many."""
    for check, findings in page.findings:
        for finding in findings:
            on, number = _day(finding, language), str(finding.number)
            yield CHECKS[check].text(language), finding.log_id, DATES[check].text(language), on, number


def not_archived(page: ControlPage, language: Language) -> Iterator[str]:
    """Yield a line for each closed log that the archive has not confirmed: its id, and since when it waits."""
    for finding in page.not_archived:
        since = f"{_SINCE.text(language).lower()} {_day(finding, language)}"
        yield f"{_NOT_ARCHIVED.text(language)}: {finding.log_id}, {since}"


def _day(finding: Finding, language: Language) -> str:
    return finding.on.isoformat() if finding.on else NOT_KNOWN.text(language)


def control_csv(page: ControlPage) -> bytes:
    """Return a control round as CSV that Norwegian spreadsheets open: semicolons, UTF-8 with its mark, codes."""
    out = StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\r\n")
    writer.writerow(("unit", "controlled_on", "check", "log", "date", "number"))
    for code, findings in (*page.findings, ("not_archived", page.not_archived)):
        for finding in findings:
            on = finding.on.isoformat() if finding.on else ""
            writer.writerow((page.unit, page.on.isoformat(), code, finding.log_id, on, finding.number))
    return out.getvalue().encode("utf-8-sig")


def control_pdf(page: ControlPage, municipality: str, language: Language) -> bytes:
    """Return a control round as a PDF. Raises DocumentFailed."""

    def sheet(*, signs_named: bool) -> Sheet:
        noted = (Remark(SIGNS_NAMED.text(language)),) if signs_named else ()
        blocks = (*_blocks(page, language), *noted)
        return Sheet(TITLE.text(language), title(page, language), municipality, language, blocks)

    return typeset(f"the control of unit {page.unit}", page.on, sheet)


def _blocks(page: ControlPage, language: Language) -> Iterator[Block]:
    yield Prose(paragraphs(terms(page, language)))
    yield Prose(paragraphs(UNKNOWN.text(language)))
    parts = [(CHECKS[check], DATES[check], findings) for check, findings in page.findings]
    parts.append((_NOT_ARCHIVED, _SINCE, page.not_archived))
    counts = ((name.text(language), str(len(findings))) for name, _, findings in parts)
    yield _table((_CHECK.text(language), _NUMBER.text(language)), (130, 30), counts)
    for name, dated, findings in parts:
        if not findings:
            continue
        yield Heading(name.text(language), level=1)
        head = (_LOG.text(language), dated.text(language), _NUMBER.text(language))
        rows = ((finding.log_id, _day(finding, language), str(finding.number)) for finding in findings)
        yield _table(head, (90, 45, 25), rows)


def _table(head: tuple[str, ...], widths: tuple[int, ...], rows: Iterator[tuple[str, ...]]) -> Table:
    return Table(head, widths, tuple(tuple(map(paragraphs, row)) for row in rows))
