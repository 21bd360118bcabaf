"""The letter to somebody who asked for something by right: what was decided and on what basis, or why it takes longer.

Before a restriction is lifted, it tells that too (GDPR article 18(3)). It names nobody and has no text of the log: only
what was asked, and what a person wrote to be read by whoever asked.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from hub.documents.words import day_in
from hub.relaylog.codes import Language
from hub.relaylog.model import Label
from hub.relaylog.rights import Basis, RightsDecision, RightsKind


@dataclass(frozen=True)
class Ruled:
    """How a case was decided and on what day, and the reasons as whoever asked is to read them.

    `lifts` tells that it was granted before, and is decided against now.
    """

    decision: RightsDecision
    basis: Basis
    on: date
    reasons: str = field(default="", repr=False)
    lifts: bool = False


@dataclass(frozen=True)
class Longer:
    """Until when the answer may take, and why: one reason for each time that it was extended."""

    until: date
    reasons: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Lifting:
    """What was granted and still stops the log is to be lifted, and why. It is told before it is decided."""

    reasons: str = field(repr=False)


Told = Ruled | Longer | Lifting
"""What whoever asked is told."""


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
    told: Told


_TITLE = Label("Svar på kravet ditt", "Svar på kravet ditt", "The answer to what you asked for")
_LONGER_TITLE = Label("Svaret tar lengre tid", "Svaret tek lengre tid", "The answer takes longer")
_LIFTING_TITLE = Label("Begrensningen blir opphevet", "Avgrensinga blir oppheva", "The restriction will be lifted")
_ASKED = {
    RightsKind.DELETION: Label(
        "Du ba {day} om at en stafettlogg blir slettet.",
        "Du bad {day} om at ein stafettlogg blir sletta.",
        "On {day} you asked for a relay log to be deleted.",
    ),
    RightsKind.ACCESS: Label(
        "Du ba {day} om innsyn i en stafettlogg.",
        "Du bad {day} om innsyn i ein stafettlogg.",
        "On {day} you asked for access to a relay log.",
    ),
    RightsKind.CORRECTION: Label(
        "Du ba {day} om at noe i en stafettlogg blir rettet.",
        "Du bad {day} om at noko i ein stafettlogg blir retta.",
        "On {day} you asked for something in a relay log to be corrected.",
    ),
    RightsKind.OBJECTION: Label(
        "Du protesterte {day} mot bruken av en stafettlogg.",
        "Du protesterte {day} mot bruken av ein stafettlogg.",
        "On {day} you objected to the use of a relay log.",
    ),
    RightsKind.RESTRICTION: Label(
        "Du ba {day} om at bruken av en stafettlogg blir begrenset.",
        "Du bad {day} om at bruken av ein stafettlogg blir avgrensa.",
        "On {day} you asked for the use of a relay log to be restricted.",
    ),
}
_WRITTEN_DOWN = Label("Slik skrev vi det ned:", "Slik skreiv vi det ned:", "This is how we wrote it down:")
_STOPPED = Label(
    "Kommunen har tatt kravet til følge. Stafetthub sender ikke lenger noe fra loggen til andre systemer. Når loggen "
    "blir avsluttet, blir den likevel arkivert: det har kommunen plikt til.",
    "Kommunen har teke kravet til følgje. Stafetthub sender ikkje lenger noko frå loggen til andre system. Når loggen "
    "blir avslutta, blir han likevel arkivert: det har kommunen plikt til.",
    "The municipality has granted it. Stafetthub no longer sends anything from the log to other systems. When the log "
    "ends, it is still archived: that is the municipality's duty.",
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
        "Kommunen har ikke tatt protesten til følge. Denne saken stanser ikke lenger deling.",
        "Kommunen har ikkje teke protesten til følgje. Denne saka stansar ikkje lenger deling.",
        "The municipality has not granted the objection. This case no longer stops sharing.",
    ),
    (RightsKind.RESTRICTION, RightsDecision.GRANTED): _STOPPED,
    (RightsKind.RESTRICTION, RightsDecision.REFUSED): Label(
        "Kommunen har avslått kravet. Denne saken stanser ikke lenger deling.",
        "Kommunen har avslått kravet. Denne saka stansar ikkje lenger deling.",
        "The municipality has refused it. This case no longer stops sharing.",
    ),
}
_LIFTED = Label(
    "Kommunen opphever begrensningen. Denne saken stanser ikke lenger deling.",
    "Kommunen opphevar avgrensinga. Denne saka stansar ikkje lenger deling.",
    "The municipality lifts the restriction. This case no longer stops sharing.",
)  # another case may restrict the same log, so none says that the log can be shared
_LIFTING = Label(
    "Kommunen tok det til følge, og bruken av loggen er begrenset. Nå vil kommunen oppheve begrensningen. Du får vite "
    "det før det skjer: Stafetthub sender fortsatt ikke noe fra loggen til andre systemer.",
    "Kommunen tok det til følgje, og bruken av loggen er avgrensa. No vil kommunen oppheve avgrensinga. Du får vite "
    "det før det skjer: Stafetthub sender framleis ikkje noko frå loggen til andre system.",
    "The municipality granted it, and the use of the log is restricted. Now the municipality will lift the "
    "restriction. You are told before that: Stafetthub still sends nothing from the log to other systems.",
)
_RELEASED = Label(
    "et vedtak om at arkivplikten er opphevet for denne loggen",
    "eit vedtak om at arkivplikta er oppheva for denne loggen",
    "a decision that the duty to archive is lifted for this log",
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
_TITLES: Mapping[type[Told], Label] = MappingProxyType({Ruled: _TITLE, Longer: _LONGER_TITLE, Lifting: _LIFTING_TITLE})


def letter_text(letter: Letter) -> str:
    """Return the letter as plain text, lines of at most 80 signs."""
    return "\n\n".join(_paragraphs(letter)) + "\n"


def _paragraphs(letter: Letter) -> Iterator[str]:
    language, told = letter.language, letter.told
    yield letter.municipality
    yield f"{day_in(letter.today, language)}\n{_CASE.text(language)}: {letter.case_id}"
    yield _TITLES[type(told)].text(language).upper()
    yield _filled(_ASKED[letter.kind].text(language).format(day=day_in(letter.asked_on, language)))
    if letter.asks:
        yield _WRITTEN_DOWN.text(language)
        yield from _quoted(letter.asks)
    if isinstance(told, Ruled):
        yield from _ruled(told, letter.kind, language)
    elif isinstance(told, Lifting):
        yield _filled(_LIFTING.text(language))
    else:
        yield _filled(_UNTIL.text(language).format(day=day_in(told.until, language)))
    reasons = told.reasons if isinstance(told, Longer) else tuple(filter(None, (told.reasons,)))
    if reasons:
        yield _WHY_TITLE.text(language).upper()
    for reason in reasons:
        yield from map(_filled, _lines(reason))
    yield _COMPLAIN_TITLE.text(language).upper()
    yield _filled(_COMPLAIN.text(language))
    if isinstance(told, Lifting) or (isinstance(told, Ruled) and told.decision is RightsDecision.REFUSED):
        yield _filled(_OFFICER.text(language))


def _ruled(told: Ruled, kind: RightsKind, language: Language) -> Iterator[str]:
    lifts = told.lifts or told.basis is Basis.LIFTED
    yield _filled((_LIFTED if lifts else _DECIDED[kind, told.decision]).text(language))
    released = (
        told.basis is Basis.ARCHIVE_RELEASED
    )  # its label points to the assessment, which is not for whoever asked
    basis = _RELEASED.text(language) if released else told.basis.label(language)
    on = day_in(told.on, language)
    yield _filled(f"{_BASIS.text(language).format(basis=basis)} {_ON.text(language).format(day=on)}")


def _quoted(text: str) -> Iterator[str]:
    for line in _lines(text):
        yield textwrap.fill(line, 80, initial_indent="  ", subsequent_indent="  ")


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _filled(text: str) -> str:
    return textwrap.fill(text, 80)
