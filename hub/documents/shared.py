"""One plain page for the child or a guardian: what of the log went to whom, when, by which consent, and how to stop it.

The page says what is not known as clearly as what is. It has no text of the log, no unit and no address.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hub.documents.content import Block, Facts, Heading, Paragraphs, Prose, Remark, Table, paragraphs
from hub.documents.pdf import SIGNS_NAMED, Sheet, typeset
from hub.documents.words import day_in
from hub.relaylog.codes import Language, Part, Service, SignerRole
from hub.relaylog.model import Label

Audience = Literal["child", "guardian"]
"""Whom a page is written for."""


@dataclass(frozen=True)
class GivenConsent:
    """A consent that a sending rested on: for whom, by whom in which capacity, from, to, withdrawn."""

    recipient: Service
    signers: tuple[SignerRole, ...]
    since: date | None
    until: date | None
    withdrawn_on: date | None


@dataclass(frozen=True)
class Shared:
    """What went to the same readers, in the same parts: the first and the last day, and how many times.

    No readers are the municipality's archive, or a system that is no longer configured where `parts` is None.
    `at_most`: what was opened is known, not all of it need have been sent. `arrived`: there is a receipt.
    """

    readers: tuple[Service, ...]
    parts: tuple[Part, ...] | None
    at_most: bool
    arrived: bool
    first: date
    last: date
    times: int
    consents: tuple[GivenConsent, ...]


@dataclass(frozen=True)
class SharedPage:
    """All that the page says. `holder` is whom to talk with; the ages are the municipality's for who consents."""

    audience: Audience
    language: Language
    municipality: str
    today: date
    log_id: str
    name: str
    holder: str
    youth_also_from: int
    youth_alone_from: int
    shared: tuple[Shared, ...]


TITLE = Label("Hvem har fått vite hva?", "Kven har fått vite kva?", "Who has been told what?")
_INTRO = {
    "child": Label(
        "Du har en stafettlogg. Her ser du hvem kommunen har sendt noe fra den til.",
        "Du har ein stafettlogg. Her ser du kven kommunen har sendt noko frå han til.",
        "You have a relay log. Here you can see whom the municipality has sent something from it to.",
    ),
    "guardian": Label(
        "Barnet har en stafettlogg. Her ser du hvem kommunen har sendt noe fra den til.",
        "Barnet har ein stafettlogg. Her ser du kven kommunen har sendt noko frå han til.",
        "The child has a relay log. Here you can see whom the municipality has sent something from it to.",
    ),
}
_NOTHING = Label(
    "Stafetthub har ikke sendt noe fra loggen til noen.",
    "Stafetthub har ikkje sendt noko frå loggen til nokon.",
    "Stafetthub has not sent anything from the log to anybody.",
)
_FRAME = Label(
    "Alle som har fått noe, har også fått se hvem loggen gjelder, hvem som har stafettpinnen, og hvor loggen står.",
    "Alle som har fått noko, har også fått sjå kven loggen gjeld, kven som har stafettpinnen, og kvar loggen står.",
    "All who got something could also see whom the log is about, who holds the baton, and where the log stands.",
)
_HEAD = (
    Label("Hvem", "Kven", "Who"),
    Label("Når", "Når", "When"),
    Label("Hva", "Kva", "What"),
    Label("Hvem sa ja", "Kven sa ja", "Who said yes"),
)
_ARCHIVE = Label("Kommunens arkiv", "Arkivet til kommunen", "The municipality's archive")
_GONE = Label(
    "Et system som ikke er i bruk lenger", "Eit system som ikkje er i bruk lenger", "A system no longer in use"
)
_WHOLE = Label("Hele loggen", "Heile loggen", "The whole log")
_UNKNOWN = Label("Vet vi ikke", "Veit vi ikkje", "We do not know")
_FRAME_ALONE = Label("Bare rammen (se over)", "Berre ramma (sjå over)", "The frame alone (see above)")
_AT_MOST = Label("høyst: ", "høgst: ", "at most: ")
_UNCERTAIN = Label("Vi vet ikke om det kom fram.", "Vi veit ikkje om det kom fram.", "We do not know if it arrived.")
_TIMES = Label("{n} ganger", "{n} gonger", "{n} times")
_BY_DUTY = Label("Kommunen må ta vare på loggen", "Kommunen må ta vare på loggen", "The municipality must keep the log")
_NO_CONSENT = Label(
    "Vi finner ikke samtykket. Spør stafettholderen.",
    "Vi finn ikkje samtykket. Spør stafetthaldaren.",
    "We do not find the consent. Ask the holder.",
)
_SINCE, _UNTIL = Label("fra", "frå", "from"), Label("til", "til", "to")
_WITHDRAWN = Label("trukket", "trekt", "withdrawn")
_NOT_KNOWN_TITLE = Label("Det vi ikke vet", "Det vi ikkje veit", "What we do not know")
_NOT_KNOWN = Label(
    "Siden viser det Stafetthub har sendt. Den viser ikke hvem som har lest, skrevet ut eller fortalt videre, "
    "og ikke det folk har sendt på andre måter.\n\nDer det står «høyst», vet vi hva som var lov å sende den dagen, "
    "men ikke nøyaktig hva som ble sendt. Hvem som leser i et system, er slik det er satt opp i dag.\n\n"
    "Noen ganger sier en regel at noe ikke kan stå her. Spør kommunen hvis du lurer.",
    "Sida viser det Stafetthub har sendt. Ho viser ikkje kven som har lese, skrive ut eller fortalt vidare, "
    "og ikkje det folk har sendt på andre måtar.\n\nDer det står «høgst», veit vi kva som var lov å sende den dagen, "
    "men ikkje nøyaktig kva som vart sendt. Kven som les i eit system, er slik det er sett opp i dag.\n\n"
    "Nokre gonger seier ein regel at noko ikkje kan stå her. Spør kommunen om du lurer.",
    "The page shows what Stafetthub has sent. It does not show who has read, printed or passed it on, "
    "and not what people have sent in other ways.\n\nWhere it says “at most”, we know what was allowed to be sent that "
    "day, but not exactly what was sent. Who reads in a system is as it is set up today.\n\n"
    "Sometimes a rule says that something cannot stand here. Ask the municipality if you wonder.",
)
_STOP_TITLE = Label("Slik sier du nei", "Slik seier du nei", "How to say no")
_STOP = {
    "child": Label(
        "Snakk med stafettholderen. Er du {also} år eller mer, er du selv med og sier ja eller nei. Er du {alone} år "
        "eller mer, bestemmer du. Er du yngre, bestemmer de foresatte, men du har rett til å si hva du mener.",
        "Snakk med stafetthaldaren. Er du {also} år eller meir, er du sjølv med og seier ja eller nei. Er du {alone} "
        "år eller meir, bestemmer du. Er du yngre, bestemmer dei føresette, men du har rett til å seie kva du meiner.",
        "Talk with the holder. If you are {also} or more, you take part in saying yes or no. If you are {alone} or "
        "more, you decide. If you are younger, your guardians decide, but you have a right to say what you think.",
    ),
    "guardian": Label(
        "Si fra til stafettholderen eller kommunen. Du kan trekke et samtykke når som helst og trenger ikke si "
        "hvorfor. Fra barnet er {also} år, er barnet med og bestemmer. Fra {alone} år bestemmer barnet.",
        "Sei frå til stafetthaldaren eller kommunen. Du kan trekkje eit samtykke når som helst og treng ikkje seie "
        "kvifor. Frå barnet er {also} år, er barnet med og bestemmer. Frå {alone} år bestemmer barnet.",
        "Tell the holder or the municipality. You can withdraw a consent at any time and need not say why. From the "
        "age of {also} the child takes part in deciding. From {alone} the child decides.",
    ),
}
_AFTER = Label(
    "Da sendes det ikke mer. Det som er sendt, blir ikke hentet tilbake av seg selv. Du kan be om at noe blir slettet. "
    "Kommunen må likevel ta vare på en logg som er avsluttet.",
    "Då blir det ikkje sendt meir. Det som er sendt, blir ikkje henta tilbake av seg sjølv. Du kan be om at noko blir "
    "sletta. Kommunen må likevel ta vare på ein logg som er avslutta.",
    "Then no more is sent. What has been sent is not fetched back by itself. You can ask for something to be deleted. "
    "The municipality must still keep a log that is closed.",
)
_HOLDER = Label("Stafettholder", "Stafetthaldar", "Holder")
_MADE = Label("Laget", "Laga", "Made on")
_LOG = Label("Logg", "Logg", "Log")


def shared_pdf(page: SharedPage) -> bytes:
    """Return the page as a PDF. Raises DocumentFailed."""

    def sheet(*, signs_named: bool) -> Sheet:
        noted = (Remark(SIGNS_NAMED.text(page.language)),) if signs_named else ()
        blocks = (*_blocks(page), *noted)
        return Sheet(TITLE.text(page.language), page.name, page.municipality, page.language, blocks)

    return typeset(f"what was shared of log {page.log_id}", page.today, sheet)


def shared_text(page: SharedPage) -> str:
    """Return the page as plain text, lines of at most 80 signs."""
    head = (page.municipality, TITLE.text(page.language).upper(), page.name)
    return "\n\n".join((*filter(None, head), *(_plain(block) for block in _blocks(page)))) + "\n"


def _blocks(page: SharedPage) -> Iterator[Block]:
    language = page.language
    yield Prose(paragraphs(_INTRO[page.audience].text(language)))
    if page.shared:
        yield Prose(paragraphs(_FRAME.text(language)))
        rows = tuple(tuple(map(paragraphs, _row(each, language))) for each in page.shared)
        yield Table(tuple(word.text(language) for word in _HEAD), (40, 40, 42, 44), rows)
    else:
        yield Prose(paragraphs(_NOTHING.text(language)))
    yield Heading(_STOP_TITLE.text(language), level=1)
    stop = _STOP[page.audience].text(language)
    yield Prose(paragraphs(stop.format(also=page.youth_also_from, alone=page.youth_alone_from)))
    yield Prose(paragraphs(_AFTER.text(language)))
    yield Heading(_NOT_KNOWN_TITLE.text(language), level=1)
    yield Prose(paragraphs(_NOT_KNOWN.text(language)))
    facts = ((_HOLDER, page.holder), (_MADE, day_in(page.today, language)), (_LOG, page.log_id))
    yield Facts(tuple((word.text(language), paragraphs(value)) for word, value in facts if value))


def _row(each: Shared, language: Language) -> tuple[str, str, str, str]:
    return _who(each, language), _when(each, language), _what(each, language), _consents(each, language)


def _who(each: Shared, language: Language) -> str:
    if each.readers:
        return ", ".join(reader.label(language) for reader in each.readers)
    return (_GONE if each.parts is None else _ARCHIVE).text(language)


def _when(each: Shared, language: Language) -> str:
    first, last = day_in(each.first, language), day_in(each.last, language)
    days = first if first == last else f"{first} – {last}"
    return f"{days}\n{_TIMES.text(language).format(n=each.times)}" if each.times > 1 else days


def _what(each: Shared, language: Language) -> str:
    if each.parts is None:
        said = _UNKNOWN.text(language)
    elif not each.readers:
        said = _WHOLE.text(language)
    elif not each.parts:
        said = _FRAME_ALONE.text(language)
    else:
        parts = ", ".join(part.label(language) for part in each.parts)
        said = f"{_AT_MOST.text(language) if each.at_most else ''}{parts}"
    return said if each.arrived else f"{said}\n{_UNCERTAIN.text(language)}"


def _consents(each: Shared, language: Language) -> str:
    if not each.readers:
        return (_UNKNOWN if each.parts is None else _BY_DUTY).text(language)
    return "\n".join(_consent(one, language) for one in each.consents) or _NO_CONSENT.text(language)


def _consent(one: GivenConsent, language: Language) -> str:
    signers = ", ".join(role.label(language) for role in one.signers) or _UNKNOWN.text(language)
    days = ((_SINCE, one.since), (_UNTIL, one.until), (_WITHDRAWN, one.withdrawn_on))
    said = (f"{word.text(language)} {day_in(day, language)}" for word, day in days if day)
    return ", ".join((f"{one.recipient.label(language)}: {signers}", *said))


def _plain(block: Block) -> str:
    """Return a block as lines of text."""
    if isinstance(block, Heading):
        return block.text.upper()
    if isinstance(block, Prose):
        return _wrapped(block.paragraphs)
    if isinstance(block, Facts):
        return "\n".join(f"{name}: {_in_line(value)}" for name, value in block.rows)
    if isinstance(block, Table):
        return "\n\n".join(_entry(block.head, row) for row in block.rows)
    return ""


def _entry(head: Iterable[str], row: Iterable[Paragraphs]) -> str:
    return "\n".join(
        textwrap.fill(f"{name}: {_in_line(value)}", 80, subsequent_indent="  ")
        for name, value in zip(head, row, strict=True)
    )


def _wrapped(text: Paragraphs) -> str:
    return "\n\n".join(textwrap.fill(" ".join(lines), 80) for lines in text)


def _in_line(text: Paragraphs) -> str:
    return "; ".join(line for lines in text for line in lines)
