"""The words of a reminder: how many logs of a unit a control round found, and their ids. No name, no text of a log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hub.documents.control import CHECKS, UNKNOWN, Check, ControlPage, terms
from hub.documents.words import written_date
from hub.relaylog.codes import Language
from hub.relaylog.model import Label

REMINDED = frozenset(Check) - {Check.ACTIVE}
"""What somebody is to do something about. How many logs are open is told with it, and is no reason to write."""

_SUBJECT = Label(
    "Stafettlogger å følge opp: {unit}, {day}",
    "Stafettloggar å følgje opp: {unit}, {day}",
    "Relay logs to follow up: {unit}, {day}",
)
_ABOUT = Label(
    "Dette er det Stafetthub i {municipality} finner å følge opp i de åpne stafettloggene til {unit}, sett fra {day}.",
    "Dette er det Stafetthub i {municipality} finn å følgje opp i dei opne stafettloggane til {unit}, sett frå {day}.",
    "This is what Stafetthub in {municipality} finds to follow up in the open relay logs of {unit}, as of {day}.",
)
_IDS = Label("Loggene det gjelder, med id:", "Loggane det gjeld, med id:", "The logs, by id:")
_NO_NAMES = Label(
    "Meldingen har bare tall og logg-id-er: ingen navn, og ingen tekst fra loggene. Åpne loggene i tjenestens eget "
    "fagsystem, og svar ikke på denne meldingen med noe om et barn.",
    "Meldinga har berre tal og logg-id-ar: ingen namn, og ingen tekst frå loggane. Opne loggane i tenesta sitt eige "
    "fagsystem, og svar ikkje på denne meldinga med noko om eit barn.",
    "This message has counts and log ids only: no names, and no text of the logs. Open the logs in the service's own "
    "system, and do not answer this message with anything about a child.",
)


def counts(page: ControlPage) -> Mapping[str, int]:
    """Return how many logs each check found, by its code; those that found none are left out."""
    return {check.value: len(found) for check, found in page.findings if found}


def worth_telling(page: ControlPage) -> bool:
    """Tell whether a control round found anything to remind of."""
    return any(found for check, found in page.findings if check in REMINDED)


def subject(page: ControlPage, language: Language) -> str:
    """Return the subject line, one line whatever the unit is called."""
    return _SUBJECT.text(language).format(unit=" ".join(page.unit.split()), day=page.on.isoformat())


def text(page: ControlPage, municipality: str, language: Language) -> str:
    """Return the message: counts as in the control round, then the ids of the logs that each is about."""
    return "\n".join(_lines(page, municipality, language))


def _lines(page: ControlPage, municipality: str, language: Language) -> Iterator[str]:
    day = page.on.isoformat() if language == "en" else written_date(page.on)
    yield _ABOUT.text(language).format(municipality=municipality, unit=page.unit, day=day)
    yield ""
    for check, found in page.findings:
        yield f"{CHECKS[check].text(language)}: {len(found)}"
    yield from ("", _IDS.text(language))
    for check, found in page.findings:
        if check in REMINDED and found:
            yield from ("", CHECKS[check].text(language))
            yield from (f"  {finding.log_id}" for finding in found)
    yield from ("", terms(page, language), UNKNOWN.text(language), "", _NO_NAMES.text(language), "")
