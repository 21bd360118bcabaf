"""The letter to somebody who asked for something by right: what was decided and on what basis, or why it takes longer.

It names nobody and has no text of the log: only what was asked, and what a person wrote to be read by whoever asked.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from hub.documents.words import day_in
from hub.relaylog.codes import Language
from hub.relaylog.model import Label
from hub.relaylog.rights import Basis, RightsDecision, RightsKind


@dataclass(frozen=True)
class Ruled:
    """How a case was decided and on what day, and the reasons as whoever asked is to read them."""

    decision: RightsDecision
    basis: Basis
    on: date
    reasons: str = field(default="", repr=False)


@dataclass(frozen=True)
class Longer:
    """Until when the answer may take, and why: one reason for each time that it was extended."""

    until: date
    reasons: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Letter:
    """All that the letter says. `asks` is what was asked as it was written down; "" where that is gone."""

    language: Language
    municipality: str
    today: date
    case_id: str
    kind: RightsKind
    asked_on: date
    asks: str = field(repr=False)
    told: Ruled | Longer


_TITLE = Label("Svar på kravet ditt", "Svar på kravet ditt", "The answer to what you asked for")
_LONGER_TITLE = Label("Svaret tar lengre tid", "Svaret tek lengre tid", "The answer takes longer")
_ASKED = {
    RightsKind.DELETION: Label(
        "Du krevde {day} at en stafettlogg blir slettet.",
        "Du kravde {day} at ein stafettlogg blir sletta.",
        "On {day} you asked for a relay log to be deleted.",
    ),
    RightsKind.ACCESS: Label(
        "Du krevde {day} innsyn i en stafettlogg.",
        "Du kravde {day} innsyn i ein stafettlogg.",
        "On {day} you asked for access to a relay log.",
    ),
    RightsKind.CORRECTION: Label(
        "Du krevde {day} at noe i en stafettlogg blir rettet.",
        "Du kravde {day} at noko i ein stafettlogg blir retta.",
        "On {day} you asked for something in a relay log to be corrected.",
    ),
    RightsKind.OBJECTION: Label(
        "Du protesterte {day} mot bruken av en stafettlogg.",
        "Du protesterte {day} mot bruken av ein stafettlogg.",
        "On {day} you objected to the use of a relay log.",
    ),
    RightsKind.RESTRICTION: Label(
        "Du krevde {day} at bruken av en stafettlogg blir begrenset.",
        "Du kravde {day} at bruken av ein stafettlogg blir avgrensa.",
        "On {day} you asked for the use of a relay log to be restricted.",
    ),
}
_WRITTEN_DOWN = Label("Slik skrev vi det ned:", "Slik skreiv vi det ned:", "This is how we wrote it down:")
_STOPPED = Label(
    "Kommunen har tatt kravet til følge. Stafetthub sender ikke lenger noe fra loggen til andre systemer.",
    "Kommunen har teke kravet til følgje. Stafetthub sender ikkje lenger noko frå loggen til andre system.",
    "The municipality has granted it. Stafetthub no longer sends anything from the log to other systems.",
)
_DECIDED = {
    (RightsKind.DELETION, RightsDecision.GRANTED): Label(
        "Kommunen har tatt kravet til følge. Loggen er slettet i Stafetthub, og vi ber tjenestene som har den, om å "
        "slette den hos seg. Det som ligger i arkivet, blir ikke slettet.",
        "Kommunen har teke kravet til følgje. Loggen er sletta i Stafetthub, og vi ber tenestene som har han, om å "
        "slette han hos seg. Det som ligg i arkivet, blir ikkje sletta.",
        "The municipality has granted it. The log is deleted in Stafetthub, and the services that have it are asked to "
        "delete theirs. What lies in the archive is not deleted.",
    ),
    (RightsKind.DELETION, RightsDecision.REFUSED): Label(
        "Kommunen har avslått kravet. Loggen blir ikke slettet nå.",
        "Kommunen har avslått kravet. Loggen blir ikkje sletta no.",
        "The municipality has refused it. The log is not deleted now.",
    ),
    (RightsKind.ACCESS, RightsDecision.GRANTED): Label(
        "Kommunen har tatt kravet til følge. Opplysningene får du sammen med dette brevet.",
        "Kommunen har teke kravet til følgje. Opplysningane får du saman med dette brevet.",
        "The municipality has granted it. You get the information together with this letter.",
    ),
    (RightsKind.ACCESS, RightsDecision.REFUSED): Label(
        "Kommunen har avslått kravet. Du får ikke innsyn slik du ba om.",
        "Kommunen har avslått kravet. Du får ikkje innsyn slik du bad om.",
        "The municipality has refused it. You do not get access as you asked.",
    ),
    (RightsKind.CORRECTION, RightsDecision.GRANTED): Label(
        "Kommunen har tatt kravet til følge. Feilen blir rettet, og de som har fått loggen, får vite om rettelsen.",
        "Kommunen har teke kravet til følgje. Feilen blir retta, og dei som har fått loggen, får vite om rettinga.",
        "The municipality has granted it. The mistake is corrected, and those who have the log are told of it.",
    ),
    (RightsKind.CORRECTION, RightsDecision.REFUSED): Label(
        "Kommunen har avslått kravet. Loggen blir ikke rettet slik du ba om.",
        "Kommunen har avslått kravet. Loggen blir ikkje retta slik du bad om.",
        "The municipality has refused it. The log is not corrected as you asked.",
    ),
    (RightsKind.OBJECTION, RightsDecision.GRANTED): _STOPPED,
    (RightsKind.OBJECTION, RightsDecision.REFUSED): Label(
        "Kommunen har ikke tatt protesten til følge. Loggen kan deles som før.",
        "Kommunen har ikkje teke protesten til følgje. Loggen kan delast som før.",
        "The municipality has not granted the objection. The log can be shared as before.",
    ),
    (RightsKind.RESTRICTION, RightsDecision.GRANTED): _STOPPED,
    (RightsKind.RESTRICTION, RightsDecision.REFUSED): Label(
        "Kommunen har avslått kravet. Bruken av loggen blir ikke begrenset.",
        "Kommunen har avslått kravet. Bruken av loggen blir ikkje avgrensa.",
        "The municipality has refused it. The use of the log is not restricted.",
    ),
}
_LIFTED = Label(
    "Kommunen opphever begrensningen. Loggen kan deles igjen.",
    "Kommunen opphevar avgrensinga. Loggen kan delast igjen.",
    "The municipality lifts the restriction. The log can be shared again.",
)
_BASIS = Label("Hjemmel: {basis}.", "Heimel: {basis}.", "The basis in law: {basis}.")
_ON = Label("Avgjort {day}.", "Avgjort {day}.", "Decided on {day}.")
_UNTIL = Label(
    "Kommunen trenger mer enn én måned på å svare. Du får svar senest {day} (GDPR art. 12 nr. 3).",
    "Kommunen treng meir enn éin månad på å svare. Du får svar seinast {day} (GDPR art. 12 nr. 3).",
    "The municipality needs more than one month to answer. You get the answer by {day} (GDPR article 12(3)).",
)
_WHY_TITLE = Label("Hvorfor", "Kvifor", "Why")
_COMPLAIN_TITLE = Label("Er du uenig?", "Er du usamd?", "Do you disagree?")
_COMPLAIN = Label(
    "Du kan klage til Datatilsynet (datatilsynet.no), og du kan få saken prøvd for domstolene.",
    "Du kan klage til Datatilsynet (datatilsynet.no), og du kan få saka prøvd for domstolane.",
    "You can complain to Datatilsynet, the Norwegian Data Protection Authority (datatilsynet.no), and you can bring "
    "the matter before the courts.",
)
_OFFICER = Label(
    "Du kan også spørre personvernombudet i kommunen.",
    "Du kan også spørje personvernombodet i kommunen.",
    "You can also ask the municipality's data protection officer.",
)
_CASE = Label("Sak", "Sak", "Case")


def letter_text(letter: Letter) -> str:
    """Return the letter as plain text, lines of at most 80 signs."""
    return "\n\n".join(_paragraphs(letter)) + "\n"


def _paragraphs(letter: Letter) -> Iterator[str]:
    language, told = letter.language, letter.told
    yield letter.municipality
    yield f"{day_in(letter.today, language)}\n{_CASE.text(language)}: {letter.case_id}"
    yield (_TITLE if isinstance(told, Ruled) else _LONGER_TITLE).text(language).upper()
    yield _filled(_ASKED[letter.kind].text(language).format(day=day_in(letter.asked_on, language)))
    if letter.asks:
        yield _WRITTEN_DOWN.text(language)
        yield from _quoted(letter.asks)
    if isinstance(told, Ruled):
        yield from _ruled(told, letter.kind, language)
    else:
        yield _filled(_UNTIL.text(language).format(day=day_in(told.until, language)))
    reasons = told.reasons if isinstance(told, Longer) else tuple(filter(None, (told.reasons,)))
    if reasons:
        yield _WHY_TITLE.text(language).upper()
    for reason in reasons:
        yield from map(_filled, _lines(reason))
    yield _COMPLAIN_TITLE.text(language).upper()
    yield _filled(_COMPLAIN.text(language))
    if isinstance(told, Ruled) and told.decision is RightsDecision.REFUSED:
        yield _filled(_OFFICER.text(language))


def _ruled(told: Ruled, kind: RightsKind, language: Language) -> Iterator[str]:
    yield _filled((_LIFTED if told.basis is Basis.LIFTED else _DECIDED[kind, told.decision]).text(language))
    on, basis = day_in(told.on, language), told.basis.label(language)
    yield _filled(f"{_BASIS.text(language).format(basis=basis)} {_ON.text(language).format(day=on)}")


def _quoted(text: str) -> Iterator[str]:
    for line in _lines(text):
        yield textwrap.fill(line, 80, initial_indent="  ", subsequent_indent="  ")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _filled(text: str) -> str:
    return textwrap.fill(text, 80)
