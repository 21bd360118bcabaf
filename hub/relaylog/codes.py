"""The closed code lists of the relay log, each value with its words in bokmål, nynorsk and English.

The lists and words come from the municipalities' own documents where they name any; values that no public list
names are ours. Every list that a vendor's template fills has `unknown`, so that a foreign code is kept, never dropped.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Literal, Self

Language = Literal["nb", "nn", "en"]


class Code(StrEnum):
    """One value of a closed list. It equals its code, and carries its word in each language."""

    nb: str
    nn: str
    en: str

    def __new__(cls, code: str, nb: str, nn: str, en: str) -> Self:
        """Make the member a plain string, so that it is written as its code everywhere."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.nb, member.nn, member.en = nb, nn, en
        return member

    def label(self, language: Language) -> str:
        """Return the word for people: `nb`, `nn` or `en`."""
        return {"nb": self.nb, "nn": self.nn, "en": self.en}[language]


class LogStatus(Code):
    """Where a log is in its life. Only active, closed and archived are evidenced in public sources."""

    DRAFT = "draft", "Utkast", "Utkast", "Draft"
    AWAITING_CONSENT = "awaiting_consent", "Venter på samtykke", "Ventar på samtykke", "Awaiting consent"
    ACTIVE = "active", "Aktiv", "Aktiv", "Active"
    PAUSED = "paused", "Satt på pause", "Sett på pause", "Paused"
    CLOSED = "closed", "Avsluttet", "Avslutta", "Closed"
    ARCHIVED = "archived", "Arkivert", "Arkivert", "Archived"
    REJECTED = "rejected", "Avvist", "Avvist", "Rejected"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class BtiLevel(IntEnum):
    """BTI level 0-3: 0 finding out, 1 within one service, 2 two services together, 3 several services together."""

    CLARIFY = 0
    ONE_SERVICE = 1
    TWO_SERVICES = 2
    SEVERAL_SERVICES = 3


class SubjectKind(Code):
    """Whom the log is about."""

    CHILD = "child", "Barn", "Barn", "Child"
    YOUTH = "youth", "Ungdom", "Ungdom", "Youth"
    PREGNANT = "pregnant", "Gravid", "Gravid", "Pregnant woman"
    FAMILY = "family", "Familie", "Familie", "Family"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Service(Code):
    """The services that meet around a child, and the family as a reader of its own log."""

    KINDERGARTEN = "kindergarten", "Barnehage", "Barnehage", "Kindergarten"
    SCHOOL = "school", "Skole", "Skule", "School"
    AFTER_SCHOOL = "after_school", "SFO og fritid", "SFO og fritid", "After-school programme"
    HEALTH_STATION = "health_station", "Helsestasjon", "Helsestasjon", "Health station"
    SCHOOL_HEALTH = "school_health", "Skolehelsetjenesten", "Skulehelsetenesta", "School health service"
    MIDWIFE = "midwife", "Jordmor", "Jordmor", "Midwife"
    PPT = "ppt", "PPT", "PPT", "Educational psychology service"
    CHILD_WELFARE = "child_welfare", "Barneverntjenesten", "Barnevernstenesta", "Child welfare service"
    COORDINATING_UNIT = "coordinating_unit", "Koordinerende enhet", "Koordinerande eining", "Coordinating unit"
    THERAPY = "therapy", "Ergo- og fysioterapi", "Ergo- og fysioterapi", "Occupational and physiotherapy"
    DOCTOR = "doctor", "Legekontor", "Legekontor", "Doctor's office"
    NAV = "nav", "NAV", "NAV", "NAV"
    NAV_REFUGEE = "nav_refugee", "NAV flyktningtjenesten", "NAV flyktningtenesta", "NAV refugee service"
    ADULT_EDUCATION = "adult_education", "Voksenopplæringen", "Vaksenopplæringa", "Adult education"
    MUNICIPAL_OTHER = "municipal_other", "Annen kommunal tjeneste", "Anna kommunal teneste", "Other municipal service"
    SPECIALIST = "specialist", "BUP og spesialisthelsetjenesten", "BUP og spesialisthelsetenesta", "Specialist health"
    EXTERNAL = "external", "Ekstern part", "Ekstern part", "External party"
    FAMILY = "family", "Familien", "Familien", "The family"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Part(Code):
    """What kind of text an element carries: the unit of sharing."""

    EDUCATION = "education", "Barnehage og skole", "Barnehage og skule", "Education"
    PPT = "ppt", "PPT", "PPT", "Educational psychology"
    HEALTH = "health", "Helse", "Helse", "Health"
    CHILD_WELFARE = "child_welfare", "Barnevern", "Barnevern", "Child welfare"
    CHILD_VOICE = "child_voice", "Barnets egen stemme", "Barnet si eiga røyst", "The child's own voice"
    ABOUT_OTHERS = "about_others", "Om andre enn barnet", "Om andre enn barnet", "About others than the child"
    CONTACT = "contact", "Kontaktopplysninger", "Kontaktopplysningar", "Contact details"
    OWN = "own", "Tjenestens eget notat", "Tenesta sitt eige notat", "The service's own note"


EDUCATION_SERVICES = frozenset({Service.KINDERGARTEN, Service.SCHOOL, Service.AFTER_SCHOOL, Service.ADULT_EDUCATION})


def part_of(service: Service | None) -> Part:
    """Return the part that a service's text belongs to unless a rule says otherwise.

    NAV, health and care have stricter confidentiality than the schools (Prop. 100 L (2020-2021) chapter 4), so every
    service that is neither education, PPT nor child welfare counts as health: named in a consent, or not shared.
    The family's own words count as education, what everybody in the log works from. Unknown is not shared.
    """
    if service in EDUCATION_SERVICES or service is Service.FAMILY:
        return Part.EDUCATION
    if service is Service.PPT:
        return Part.PPT
    if service is Service.CHILD_WELFARE:
        return Part.CHILD_WELFARE
    if service is None or service is Service.UNKNOWN or service is Service.EXTERNAL:
        return Part.OWN
    return Part.HEALTH


class AddressProtection(Code):
    """Address protection of a person in the population register. Unknown is not none."""

    NONE = "none", "Ingen", "Ingen", "None"
    CLIENT_ADDRESS = "client_address", "Klientadresse", "Klientadresse", "Client address"
    CONFIDENTIAL = "confidential", "Fortrolig", "Fortruleg", "Confidential"
    STRICTLY_CONFIDENTIAL = (
        "strictly_confidential", "Strengt fortrolig", "Strengt fortruleg", "Strictly confidential"
    )  # fmt: skip
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Relation(Code):
    """What a guardian is to the child."""

    MOTHER = "mother", "Mor", "Mor", "Mother"
    FATHER = "father", "Far", "Far", "Father"
    CO_MOTHER = "co_mother", "Medmor", "Medmor", "Co-mother"
    LEGAL_GUARDIAN = "legal_guardian", "Verge", "Verje", "Legal guardian"
    FOSTER_PARENT = "foster_parent", "Fosterforelder", "Fosterforelder", "Foster parent"
    OTHER = "other", "Annen", "Annan", "Other"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Residence(Code):
    """Where the child lives, seen from one guardian. Unknown counts as neither."""

    TOGETHER = "together", "Foreldrene bor sammen", "Foreldra bur saman", "Parents live together"
    SHARED = "shared", "Delt bosted", "Delt bustad", "Shared residence"
    WITH_THIS = "with_this", "Fast bosted hos denne", "Fast bustad hos denne", "Lives with this one"
    WITH_OTHER = "with_other", "Fast bosted hos den andre", "Fast bustad hos den andre", "Lives with the other"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Role(Code):
    """What a person does in the log."""

    HOLDER = "holder", "Stafettholder", "Stafetthaldar", "Holder"
    PARTICIPANT = "participant", "Deltaker", "Deltakar", "Participant"
    UNIT_LEADER = "unit_leader", "Enhetsleder", "Einingsleiar", "Unit leader"
    MUNICIPAL_ADMIN = "municipal_admin", "Kommuneadministrator", "Kommuneadministrator", "Municipal administrator"
    COORDINATOR = "coordinator", "Koordinator", "Koordinator", "Coordinator"
    SECRETARY = "secretary", "Referent", "Referent", "Secretary"
    CHAIR = "chair", "Møteleder", "Møteleiar", "Chair"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Access(Code):
    """What a person may do in the log."""

    NONE = "none", "Ingen", "Ingen", "None"
    READ = "read", "Lese", "Lese", "Read"
    WRITE = "write", "Skrive", "Skrive", "Write"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class ConsentStatus(Code):
    """Where a consent stands. Only `given` opens anything, and only within its dates."""

    PENDING = "pending", "Venter", "Ventar", "Pending"
    GIVEN = "given", "Gitt", "Gitt", "Given"
    REFUSED = "refused", "Avvist", "Avvist", "Refused"
    WITHDRAWN = "withdrawn", "Trukket", "Trekt", "Withdrawn"
    EXPIRED = "expired", "Utløpt", "Utgått", "Expired"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class ConsentForm(Code):
    """How a consent was given. Spoken counts when it is recorded."""

    WRITTEN = "written", "Skriftlig", "Skriftleg", "Written"
    DIGITAL = "digital", "Digitalt", "Digitalt", "Digital"
    SPOKEN = "spoken", "Muntlig og dokumentert", "Munnleg og dokumentert", "Spoken and recorded"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class SignerRole(Code):
    """In what capacity somebody signed a consent."""

    MOTHER = "mother", "Mor", "Mor", "Mother"
    FATHER = "father", "Far", "Far", "Father"
    CO_MOTHER = "co_mother", "Medmor", "Medmor", "Co-mother"
    LEGAL_GUARDIAN = "legal_guardian", "Verge", "Verje", "Legal guardian"
    YOUTH = "youth", "Ungdommen selv", "Ungdomen sjølv", "The youth"
    PREGNANT = "pregnant", "Den gravide selv", "Den gravide sjølv", "The pregnant woman"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class DevelopmentArea(Code):
    """Area of development. No closed list is public: this is a starting list."""

    LANGUAGE = "language", "Språk og kommunikasjon", "Språk og kommunikasjon", "Language and communication"
    SOCIAL = "social", "Sosial kompetanse og samspill", "Sosial kompetanse og samspel", "Social skills"
    PLAY = "play", "Lek og vennskap", "Leik og venskap", "Play and friendship"
    MOTOR = "motor", "Motorikk og sansing", "Motorikk og sansing", "Motor skills and senses"
    LEARNING = "learning", "Læring og skolefag", "Læring og skulefag", "Learning and subjects"
    BEHAVIOUR = "behaviour", "Atferd og regulering", "Åtferd og regulering", "Behaviour and regulation"
    MENTAL_HEALTH = "mental_health", "Psykisk helse og trivsel", "Psykisk helse og trivsel", "Mental health"
    PHYSICAL_HEALTH = "physical_health", "Fysisk helse", "Fysisk helse", "Physical health"
    ATTENDANCE = "attendance", "Nærvær og skolefravær", "Nærvær og skulefråvær", "Attendance"
    HOME = "home", "Hjem og omsorg", "Heim og omsorg", "Home and care"
    TRANSITION = "transition", "Overgang", "Overgang", "Transition"
    OTHER = "other", "Annet", "Anna", "Other"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class GoalStatus(Code):
    """Where a goal stands."""

    ONGOING = "ongoing", "I arbeid", "I arbeid", "Ongoing"
    REACHED = "reached", "Nådd", "Nådd", "Reached"
    CHANGED = "changed", "Endret", "Endra", "Changed"
    ENDED = "ended", "Avsluttet", "Avslutta", "Ended"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Arena(Code):
    """Where a measure takes place."""

    KINDERGARTEN = "kindergarten", "Barnehage", "Barnehage", "Kindergarten"
    SCHOOL = "school", "Skole", "Skule", "School"
    HOME = "home", "Hjem", "Heim", "Home"
    LEISURE = "leisure", "Fritid", "Fritid", "Leisure"
    HEALTH = "health", "Helse", "Helse", "Health"
    OTHER = "other", "Annet", "Anna", "Other"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class MeasureStatus(Code):
    """Where a measure stands. No public code list exists; the words are those of the municipalities' guides."""

    PLANNED = "planned", "Planlagt", "Planlagt", "Planned"
    STARTED = "started", "Igangsatt", "Igangsett", "Started"
    TO_EVALUATE = "to_evaluate", "Til evaluering", "Til evaluering", "To be evaluated"
    CONTINUED = "continued", "Videreført", "Vidareført", "Continued"
    CHANGED = "changed", "Endret", "Endra", "Changed"
    GOAL_REACHED = "goal_reached", "Avsluttet, mål nådd", "Avslutta, mål nådd", "Ended, goal reached"
    NO_EFFECT = "no_effect", "Avsluttet uten effekt", "Avslutta utan effekt", "Ended without effect"
    STOPPED = "stopped", "Avbrutt", "Avbroten", "Stopped"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Effect(Code):
    """What a measure did."""

    GOOD = "good", "God", "God", "Good"
    SOME = "some", "Noe", "Noko", "Some"
    NONE = "none", "Ingen", "Ingen", "None"
    NEGATIVE = "negative", "Negativ", "Negativ", "Negative"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class Decision(Code):
    """What an evaluation decides."""

    CONTINUE = "continue", "Videreføre", "Vidareføre", "Continue"
    CHANGE = "change", "Endre", "Endre", "Change"
    END = "end", "Avslutte", "Avslutte", "End"
    NEW_MEASURE = "new_measure", "Nytt tiltak", "Nytt tiltak", "New measure"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class MeetingKind(Code):
    """What a meeting is for."""

    COOPERATION = "cooperation", "Samarbeidsmøte", "Samarbeidsmøte", "Cooperation meeting"
    EVALUATION = "evaluation", "Evalueringsmøte", "Evalueringsmøte", "Evaluation meeting"
    TRANSITION = "transition", "Overgangsmøte", "Overgangsmøte", "Transition meeting"
    RESOURCE_TEAM = "resource_team", "Ressursteam", "Ressursteam", "Resource team"
    RESPONSIBLE_GROUP = "responsible_group", "Ansvarsgruppe", "Ansvarsgruppe", "Responsible group"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class NoteKind(Code):
    """What a note is."""

    NOTE = "note", "Notat", "Notat", "Note"
    BRIGHT_SPOT = "bright_spot", "Lysglimt", "Lysglimt", "Bright spot"
    CHILD_CONVERSATION = "child_conversation", "Samtale med barnet", "Samtale med barnet", "Conversation with the child"
    SURVEY = "survey", "Kartlegging", "Kartlegging", "Survey"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class BatonAnswer(Code):
    """The answer to an offered baton. Until it is accepted, the old holder holds."""

    OFFERED = "offered", "Tilbudt", "Tilbode", "Offered"
    ACCEPTED = "accepted", "Akseptert", "Akseptert", "Accepted"
    DECLINED = "declined", "Avslått", "Avslått", "Declined"
    WITHDRAWN = "withdrawn", "Trukket", "Trekt", "Withdrawn"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class ClosureReason(Code):
    """Why a log is closed."""

    GOAL_REACHED = "goal_reached", "Mål nådd", "Mål nådd", "Goal reached"
    NO_NEED = "no_need", "Ikke lenger behov", "Ikkje lenger behov", "No longer needed"
    INDIVIDUAL_PLAN = (
        "individual_plan", "Individuell plan eller koordinator tar over", "Individuell plan eller koordinator tek over",
        "An individual plan or coordinator takes over",
    )  # fmt: skip
    CONSENT_WITHDRAWN = "consent_withdrawn", "Samtykke trukket", "Samtykke trekt", "Consent withdrawn"
    MOVED = "moved", "Flyttet", "Flytta", "Moved away"
    OTHER_BODY = "other_body", "Annen instans tar over", "Annan instans tek over", "Another body takes over"
    CREATED_BY_MISTAKE = "created_by_mistake", "Opprettet ved en feil", "Oppretta ved ein feil", "Created by mistake"
    OTHER = "other", "Annet", "Anna", "Other"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"


class ClosedBy(Code):
    """Who decided that the log is closed."""

    HOLDER = "holder", "Stafettholder", "Stafetthaldar", "Holder"
    GUARDIAN = "guardian", "Foresatte", "Føresette", "Guardians"
    YOUTH = "youth", "Ungdommen", "Ungdomen", "The youth"
    LEADER = "leader", "Enhetsleder", "Einingsleiar", "Unit leader"
    UNKNOWN = "unknown", "Ukjent", "Ukjend", "Unknown"
