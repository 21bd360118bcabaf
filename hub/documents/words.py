"""The words that only a document needs, in bokmål and nynorsk. Fields and codes bring their own from the model."""

from datetime import date, datetime
from enum import Enum
from typing import Literal
from zoneinfo import ZoneInfo

from hub.relaylog.codes import Language

Written = Literal["nb", "nn"]
"""The languages that a log is written in."""

OSLO = ZoneInfo("Europe/Oslo")
_MONTHS = (
    "januar", "februar", "mars", "april", "mai", "juni",
    "juli", "august", "september", "oktober", "november", "desember",
)  # fmt: skip
_ENGLISH = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Word(Enum):
    """A word or a sentence of the document: bokmål, nynorsk."""

    YES = "Ja", "Ja"
    NO = "Nei", "Nei"
    AT_TIME = "kl.", "kl."
    NONE_REGISTERED = "Ingen registrert", "Ingen registrert"
    NOT_REGISTERED = "Ikke registrert", "Ikkje registrert"
    UNNAMED = "uten navn", "utan namn"
    SUBJECT = "Hvem loggen handler om", "Kven loggen handlar om"
    BATON = "Hvem som har stafettpinnen", "Kven som har stafettpinnen"
    STANDING = "Hvor loggen står", "Kvar loggen står"
    CHILD_VOICE = "Barnets stemme", "Barnet si stemme"
    SEE_CHILD_VOICE = "Se «Barnets stemme»", "Sjå «Barnet si stemme»"
    OUTCOME = "Utfall", "Utfall"
    OTHER_EVALUATIONS = "Evalueringer uten tiltak i loggen", "Vurderingar utan tiltak i loggen"
    CLOSED = "Avsluttet stafettlogg", "Avslutta stafettlogg"
    PERIODIC = "Periodisk arkivering av stafettlogg", "Periodisk arkivering av stafettlogg"
    NOT_CLOSED = "Loggen er ikke avsluttet.", "Loggen er ikkje avslutta."
    WRITTEN_BY = "Skrevet av", "Skrive av"
    WRITTEN = "Skrevet", "Skrive"
    BELONGS_TO = "Hører til", "Høyrer til"
    LEVEL_0 = "0 – avklaring", "0 – avklaring"
    LEVEL_1 = "1 – innsats i én tjeneste", "1 – innsats i éi teneste"
    LEVEL_2 = "2 – to tjenester samarbeider", "2 – to tenester samarbeider"
    LEVEL_3 = "3 – flere tjenester samarbeider", "3 – fleire tenester samarbeider"
    ABOUT = "Om dette dokumentet", "Om dette dokumentet"
    ABOUT_TEXT = (
        "Stafetthub har laget dokumentet av stafettloggen, slik tjenestene har skrevet den. Ingen tekst er endret.",
        "Stafetthub har laga dokumentet av stafettloggen, slik tenestene har skrive han. Ingen tekst er endra.",
    )
    MADE_ON = "Laget", "Laga"
    MADE_FOR = "Laget for", "Laga for"
    LANGUAGE = "Bokmål", "Nynorsk"
    REVISION = "Revisjon", "Revisjon"
    FORMAT = "Filformat", "Filformat"
    LEFT_OUT = "Utelatt", "Utelate"
    NOTHING_LEFT_OUT = "Ingenting", "Ingenting"
    FILES_LEFT_OUT = (
        "Filene som er vedlagt loggen, ligger ikke i dette dokumentet. De står oppført under «Vedlegg».",
        "Filene som er lagde ved loggen, ligg ikkje i dette dokumentet. Dei står oppførte under «Vedlegg».",
    )
    REGISTER = "Registreringene i loggen", "Registreringane i loggen"
    REGISTER_TEXT = (
        "Listen viser hvilken del av loggen hver registrering hører til, og id-en den har i Stafetthub.",
        "Lista viser kva del av loggen kvar registrering høyrer til, og id-en ho har i Stafetthub.",
    )
    NUMBER = "Nr.", "Nr."
    ENTRY = "Registrering", "Registrering"
    FIELD = "Felt", "Felt"
    SERVICE_AND_UNIT = "Tjeneste og enhet", "Teneste og eining"
    CONTACT = "Kontakt", "Kontakt"
    FILE = "Fil", "Fil"

    SUMMARY = "BTI-oppsummering", "BTI-oppsummering"
    FOR_PPT = "Vedlegg til henvisning til PPT", "Vedlegg til tilvising til PPT"
    FOR_CHILD_WELFARE = "Vedlegg til melding til barneverntjenesten", "Vedlegg til melding til barnevernstenesta"
    FOR_NEW_MUNICIPALITY = "Kopi til ny kommune, etter nytt samtykke", "Kopi til ny kommune, etter nytt samtykke"
    PURPOSE = "Formål", "Formål"
    SENT_BY_A_PERSON = (
        "Stafetthub har laget dokumentet av stafettloggen. Den som sender det, skal ha lest det først.",
        "Stafetthub har laga dokumentet av stafettloggen. Den som sender det, skal ha lese det først.",
    )
    SUMMARY_LIMITS = (
        "Her står bare det som samtykket åpner for mottakeren. «Ingen registrert» gjelder bare det som er åpnet.",
        "Her står berre det som samtykket opnar for mottakaren. «Ingen registrert» gjeld berre det som er opna.",
    )
    OPENED_PARTS = "Åpnet for mottakeren", "Opna for mottakaren"
    WORK_DONE = "BTI-arbeidet så langt", "BTI-arbeidet så langt"
    PERIOD = "Tidsrom", "Tidsrom"
    STARTED = "Tiltak startet", "Tiltak starta"
    EVALUATED = "Evalueringer", "Vurderingar"
    MET = "Møter", "Møte"
    UNTIL_NOW = "nå", "no"
    NO_LEVELS = (
        "Loggen sier ikke når den har stått på hvilket nivå. Tabellen gjelder hele tiden loggen har vært åpen.",
        "Loggen seier ikkje når han har stått på kva nivå. Tabellen gjeld heile tida loggen har vore open.",
    )
    CONSENT_TO_RECIPIENT = "Samtykket til mottakeren", "Samtykket til mottakaren"

    GUARDIANS = "Foresatt", "Føresett"
    RELATIVES = "Familiemedlem", "Familiemedlem"
    PARTIES = "Deltaker", "Deltakar"
    SERVICES = "Tjeneste", "Teneste"
    CONSENTS = "Samtykke", "Samtykke"
    CONCERNS = "Bekymring", "Uro"
    GOALS = "Mål", "Mål"
    MEASURES = "Tiltak", "Tiltak"
    EVALUATIONS = "Evaluering", "Vurdering"
    MEETINGS = "Møte", "Møte"
    NOTES = "Notat", "Notat"
    HANDOVERS = "Overføring", "Overføring"
    AGREEMENTS = "Avtale", "Avtale"
    ATTACHMENTS = "Vedlegg", "Vedlegg"
    LEVEL_CHANGES = "Nivå", "Nivå"
    EXTENSIONS = "Tilleggsfelt", "Tilleggsfelt"

    def text(self, language: Written) -> str:
        """Return the words in one language."""
        nb, nn = self.value
        return nn if language == "nn" else nb


def written_date(day: date) -> str:
    """Return a date as people write it: 3. mars 2026. The months are the same words in both languages."""
    return f"{day.day}. {_MONTHS[day.month - 1]} {day.year}"


def day_in(day: date, language: Language) -> str:
    """Return a date as people write it in a language: 3. mars 2026, 3 March 2026."""
    return f"{day.day} {_ENGLISH[day.month - 1]} {day.year}" if language == "en" else written_date(day)


def local_day(at: datetime) -> date:
    """Return the Norwegian date of an instant."""
    return at.astimezone(OSLO).date()


def written_time(at: datetime, language: Written) -> str:
    """Return an instant as Norwegian wall time: 3. mars 2026 kl. 13.30."""
    local = at.astimezone(OSLO)
    return f"{written_date(local)} {Word.AT_TIME.text(language)} {local:%H.%M}"
