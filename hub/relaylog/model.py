"""The canonical relay log, `relaylog/1`: what every system's template is read into and written from.

Frozen values; the version only grows. Dates are dates and instants are UTC. A field says beside itself what people
call it, which part of the log it belongs to, and whether it points at another element, so that views, mappings,
documents and pages all read the same declaration. Entities and fields: the municipalities' own templates.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from hub.relaylog import codes as c
from hub.relaylog.codes import Language, Part

SCHEMA: Literal["relaylog/1"] = "relaylog/1"
"""The model's name and version. A version only grows: nothing in it is renamed or removed."""


@dataclass(frozen=True)
class Label:
    """What people call a field, in bokmål, nynorsk and English."""

    nb: str
    nn: str
    en: str

    def text(self, language: Language) -> str:
        """Return the words in one language."""
        return {"nb": self.nb, "nn": self.nn, "en": self.en}[language]


@dataclass(frozen=True)
class Carries:
    """A field whose text always belongs to this part, whatever the part of its element."""

    part: Part


@dataclass(frozen=True)
class RefersTo:
    """A field that holds the id of an element in another list of the same log."""

    collection: str


@dataclass(frozen=True)
class NamesUnit:
    """A field that names or locates a unit: withheld from readers whom no consent tells of it, and under protection."""


@dataclass(frozen=True)
class NamesStaff:
    """A field that names somebody at work, or describes a file of theirs: withheld under protection."""


@dataclass(frozen=True)
class FreeText:
    """Free text inside the frame of the log: it carries the part of its element, or of the unit in charge."""


Mark = Label | Carries | RefersTo | NamesUnit | NamesStaff | FreeText
"""What a field may say of itself."""

C = TypeVar("C", bound=c.Code)


def _in_list_order(codes: tuple[C, ...]) -> tuple[C, ...]:
    """Return codes each once in the order of their list: systems that name the same ones say the same."""
    return tuple(code for code in type(codes[0]) if code in codes) if codes else ()


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant outside the calendar") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Contact = Carries(Part.CONTACT)
Unit = NamesUnit()
Staff = NamesStaff()
Free = FreeText()


class Frozen(BaseModel):
    """A value of the model. Its repr and its errors never show what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        if "id" in type(self).model_fields:
            yield "id", self.__dict__.get("id")

    def __str__(self) -> str:
        return repr(self)


class Element(Frozen):
    """Something in a log that has an identity of its own, was written by one service, and carries one part."""

    label: ClassVar[Label]

    id: Annotated[str, Label("Id", "Id", "Id")] = ""
    writer: Annotated[c.Service | None, Label("Skrevet av", "Skrive av", "Written by")] = None
    written_on: Annotated[date | None, Label("Skrevet dato", "Skrive dato", "Written on")] = None
    part: Annotated[Part, Label("Del", "Del", "Part")] = Part.OWN


class Source(Frozen):
    """Where a record came from: the system, its own id of the record, and its version."""

    system: Annotated[str, Label("Kildesystem", "Kjeldesystem", "Source system")] = ""
    id: Annotated[str, Label("Kilde-ID", "Kjelde-ID", "Source id")] = ""
    version: Annotated[str, Label("Kildeversjon", "Kjeldeversjon", "Source version")] = ""


class Template(Frozen):
    """The template that a record was written in."""

    id: Annotated[str, Label("Mal", "Mal", "Template")] = ""
    version: Annotated[str, Label("Malversjon", "Malversjon", "Template version")] = ""


class OrgUnit(Frozen):
    """A unit of a service: one kindergarten, one school, one health station."""

    id: Annotated[str, Label("Enhets-ID", "Einings-ID", "Unit id")] = ""
    name: Annotated[str, Label("Enhet", "Eining", "Unit"), Unit] = ""
    organisation_number: Annotated[
        str, Label("Organisasjonsnummer", "Organisasjonsnummer", "Organisation no."), Unit
    ] = ""
    service: Annotated[c.Service, Label("Tjeneste", "Teneste", "Service")] = c.Service.UNKNOWN


class Actor(Frozen):
    """Somebody who holds, answers for or hands over: a person at work, or a guardian."""

    name: Annotated[str, Label("Navn", "Namn", "Name")] = ""
    title: Annotated[str, Label("Stilling", "Stilling", "Position")] = ""
    service: Annotated[c.Service, Label("Tjeneste", "Teneste", "Service")] = c.Service.UNKNOWN
    unit: Annotated[str, Label("Enhet", "Eining", "Unit"), Unit] = ""
    phone: Annotated[str, Label("Telefon", "Telefon", "Phone"), Contact] = ""
    email: Annotated[str, Label("E-post", "E-post", "E-mail"), Contact] = ""


class Subject(Frozen):
    """Whom the log is about."""

    kind: Annotated[c.SubjectKind, Label("Gjelder", "Gjeld", "Concerns")] = c.SubjectKind.CHILD
    name: Annotated[str, Label("Navn", "Namn", "Name")] = ""
    national_id: Annotated[str, Label("Fødselsnummer", "Fødselsnummer", "National id")] = ""
    local_id: Annotated[str, Label("Lokal ID", "Lokal ID", "Local id")] = ""
    birth_date: Annotated[date | None, Label("Fødselsdato", "Fødselsdato", "Date of birth")] = None
    due_date: Annotated[date | None, Label("Termindato", "Termindato", "Due date")] = None
    grade: Annotated[str, Label("Trinn", "Trinn", "Grade")] = ""
    address: Annotated[str, Label("Adresse", "Adresse", "Address"), Contact] = ""
    address_protection: Annotated[
        c.AddressProtection, Label("Adressebeskyttelse", "Adressevern", "Address protection")
    ] = c.AddressProtection.UNKNOWN
    interpreter: Annotated[str, Label("Tolkebehov", "Tolkebehov", "Needs interpreter")] = ""


class Guardian(Element):
    """A parent or other guardian. Unknown responsibility or residence is not yes."""

    label = Label("Foresatte", "Føresette", "Guardians")

    name: Annotated[str, Label("Navn", "Namn", "Name")] = ""
    national_id: Annotated[str, Label("Fødselsnummer", "Fødselsnummer", "National id"), Contact] = ""
    relation: Annotated[c.Relation, Label("Relasjon", "Relasjon", "Relation")] = c.Relation.UNKNOWN
    parental_responsibility: Annotated[
        bool | None, Label("Foreldreansvar", "Foreldreansvar", "Parental responsibility")
    ] = None
    residence: Annotated[c.Residence, Label("Bosted", "Bustad", "Residence")] = c.Residence.UNKNOWN
    access: Annotated[c.Access, Label("Tilgang", "Tilgang", "Access")] = c.Access.UNKNOWN
    barred: Annotated[bool, Label("Utestengt", "Utestengd", "Barred")] = False
    address: Annotated[str, Label("Adresse", "Adresse", "Address"), Contact] = ""
    address_protection: Annotated[
        c.AddressProtection, Label("Adressebeskyttelse", "Adressevern", "Address protection")
    ] = c.AddressProtection.UNKNOWN
    phone: Annotated[str, Label("Telefon", "Telefon", "Phone"), Contact] = ""
    email: Annotated[str, Label("E-post", "E-post", "E-mail"), Contact] = ""


class Relative(Element):
    """A sibling or another person of the family who is named in the log and may be protected."""

    label = Label("Andre i familien", "Andre i familien", "Others in the family")

    name: Annotated[str, Label("Navn", "Namn", "Name"), Carries(Part.ABOUT_OTHERS)] = ""
    relation: Annotated[str, Label("Relasjon", "Relasjon", "Relation"), Carries(Part.ABOUT_OTHERS)] = ""
    address_protection: Annotated[
        c.AddressProtection, Label("Adressebeskyttelse", "Adressevern", "Address protection")
    ] = c.AddressProtection.UNKNOWN


class Party(Element):
    """A professional who takes part: who, from where, with which task."""

    label = Label("Deltakere", "Deltakarar", "Participants")

    name: Annotated[str, Label("Navn", "Namn", "Name")] = ""
    title: Annotated[str, Label("Stilling", "Stilling", "Position")] = ""
    role: Annotated[c.Role, Label("Rolle", "Rolle", "Role")] = c.Role.PARTICIPANT
    service: Annotated[c.Service, Label("Tjeneste", "Teneste", "Service")] = c.Service.UNKNOWN
    unit: Annotated[str, Label("Enhet", "Eining", "Unit"), Unit] = ""
    task: Annotated[str, Label("Oppgave og ansvar", "Oppgåve og ansvar", "Task"), Free] = ""
    access: Annotated[c.Access, Label("Tilgang", "Tilgang", "Access")] = c.Access.UNKNOWN
    external: Annotated[bool, Label("Ekstern", "Ekstern", "External")] = False
    from_on: Annotated[date | None, Label("Fra", "Frå", "From")] = None
    to_on: Annotated[date | None, Label("Til", "Til", "To")] = None
    phone: Annotated[str, Label("Telefon", "Telefon", "Phone"), Contact] = ""
    email: Annotated[str, Label("E-post", "E-post", "E-mail"), Contact] = ""


class InvolvedService(Element):
    """A service or unit that takes part in the log."""

    label = Label("Involverte tjenester", "Involverte tenester", "Involved services")

    service: Annotated[c.Service, Label("Tjeneste", "Teneste", "Service")] = c.Service.UNKNOWN
    unit: Annotated[str, Label("Enhet", "Eining", "Unit"), Unit] = ""
    organisation_number: Annotated[
        str, Label("Organisasjonsnummer", "Organisasjonsnummer", "Organisation no."), Unit
    ] = ""


class Signer(Frozen):
    """Somebody who signed a consent, and as what."""

    name: Annotated[str, Label("Navn", "Namn", "Name")] = ""
    role: Annotated[c.SignerRole, Label("Rolle", "Rolle", "Role")] = c.SignerRole.UNKNOWN
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None


class Consent(Element):
    """What the family opens, to which service, in which parts, from when to when. Append-only."""

    label = Label("Samtykker", "Samtykke", "Consents")

    recipient: Annotated[c.Service, Label("Mottakende tjeneste", "Mottakande teneste", "Receiving service")] = (
        c.Service.UNKNOWN
    )
    recipient_unit: Annotated[str, Label("Mottakende enhet", "Mottakande eining", "Receiving unit"), Unit] = ""
    parts: Annotated[tuple[Part, ...], AfterValidator(_in_list_order), Label("Omfang", "Omfang", "Scope")] = ()
    signed_by: Annotated[tuple[Signer, ...], Label("Gitt av", "Gitt av", "Given by")] = ()
    form: Annotated[c.ConsentForm, Label("Form", "Form", "Form")] = c.ConsentForm.UNKNOWN
    status: Annotated[c.ConsentStatus, Label("Status", "Status", "Status")] = c.ConsentStatus.UNKNOWN
    valid_from: Annotated[date | None, Label("Gyldig fra", "Gyldig frå", "Valid from")] = None
    valid_to: Annotated[date | None, Label("Gyldig til", "Gyldig til", "Valid to")] = None
    withdrawn_on: Annotated[date | None, Label("Trukket", "Trekt", "Withdrawn on")] = None
    child_asked: Annotated[bool | None, Label("Barnet er spurt", "Barnet er spurt", "The child was asked")] = None
    child_asked_by: Annotated[
        str, Label("Hvem som spurte barnet", "Kven som spurde barnet", "Who asked the child"), Staff
    ] = ""
    child_view: Annotated[str, Label("Barnets syn", "Barnets syn", "The child's view"), Carries(Part.CHILD_VOICE)] = ""
    language: Annotated[str, Label("Språk", "Språk", "Language")] = ""
    registered_by: Annotated[str, Label("Registrert av", "Registrert av", "Registered by"), Staff] = ""
    file_sha256: Annotated[str, Label("Fil (SHA-256)", "Fil (SHA-256)", "File (SHA-256)"), Staff] = ""


class Concern(Element):
    """What somebody noticed and wonders about."""

    label = Label("Bekymring", "Uro", "Concern")

    text: Annotated[str, Label("Beskrivelse", "Skildring", "Description")] = ""
    areas: Annotated[
        tuple[c.DevelopmentArea, ...],
        AfterValidator(_in_list_order),
        Label("Utviklingsområde", "Utviklingsområde", "Area"),
    ] = ()
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    raised_by: Annotated[str, Label("Meldt av", "Meldt av", "Raised by"), Staff] = ""


class Goal(Element):
    """What the help is meant to reach."""

    label = Label("Mål", "Mål", "Goals")

    text: Annotated[str, Label("Beskrivelse", "Skildring", "Description")] = ""
    status: Annotated[c.GoalStatus, Label("Status", "Status", "Status")] = c.GoalStatus.UNKNOWN
    concern: Annotated[str, Label("Bekymring", "Uro", "Concern"), RefersTo("concerns")] = ""


class Measure(Element):
    """Who does what, where, by when."""

    label = Label("Tiltak", "Tiltak", "Measures")

    text: Annotated[str, Label("Beskrivelse", "Skildring", "Description")] = ""
    arena: Annotated[c.Arena, Label("Arena", "Arena", "Arena")] = c.Arena.UNKNOWN
    responsible: Annotated[Actor | None, Label("Ansvarlig", "Ansvarleg", "Responsible")] = None
    starts_on: Annotated[date | None, Label("Start", "Start", "Start")] = None
    deadline: Annotated[date | None, Label("Frist", "Frist", "Deadline")] = None
    evaluate_by: Annotated[date | None, Label("Evalueringsfrist", "Evalueringsfrist", "Evaluate by")] = None
    status: Annotated[c.MeasureStatus, Label("Status", "Status", "Status")] = c.MeasureStatus.UNKNOWN
    goal: Annotated[str, Label("Mål", "Mål", "Goal"), RefersTo("goals")] = ""


class Evaluation(Element):
    """How a measure went, and what was decided."""

    label = Label("Evalueringer", "Vurderingar", "Evaluations")

    measure: Annotated[str, Label("Tiltak", "Tiltak", "Measure"), RefersTo("measures")] = ""
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    effect: Annotated[c.Effect, Label("Effekt", "Effekt", "Effect")] = c.Effect.UNKNOWN
    text: Annotated[str, Label("Vurdering", "Vurdering", "Assessment")] = ""
    decision: Annotated[c.Decision, Label("Beslutning", "Avgjerd", "Decision")] = c.Decision.UNKNOWN
    attended: Annotated[tuple[str, ...], Label("Deltok", "Deltok", "Attended"), Staff] = ()
    child_view: Annotated[str, Label("Barnets syn", "Barnets syn", "The child's view"), Carries(Part.CHILD_VOICE)] = ""


class Meeting(Element):
    """A cooperation, evaluation or transition meeting."""

    label = Label("Møter", "Møte", "Meetings")

    kind: Annotated[c.MeetingKind, Label("Type", "Type", "Kind")] = c.MeetingKind.UNKNOWN
    starts_at: Annotated[Instant | None, Label("Tid", "Tid", "Time")] = None
    place: Annotated[str, Label("Sted", "Stad", "Place"), Unit] = ""
    agenda: Annotated[str, Label("Dagsorden", "Dagsorden", "Agenda")] = ""
    chair: Annotated[str, Label("Møteleder", "Møteleiar", "Chair"), Staff] = ""
    secretary: Annotated[str, Label("Referent", "Referent", "Secretary"), Staff] = ""
    attendees: Annotated[tuple[str, ...], Label("Til stede", "Til stades", "Present"), Staff] = ()
    minutes: Annotated[str, Label("Referat", "Referat", "Minutes")] = ""
    next_on: Annotated[date | None, Label("Neste møte", "Neste møte", "Next meeting")] = None
    copied_to: Annotated[tuple[str, ...], Label("Kopi sendt til", "Kopi sendt til", "Copied to"), Staff] = ()


class Note(Element):
    """A note, a bright spot, or a conversation with the child."""

    label = Label("Notater", "Notat", "Notes")

    kind: Annotated[c.NoteKind, Label("Type", "Type", "Kind")] = c.NoteKind.NOTE
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    text: Annotated[str, Label("Tekst", "Tekst", "Text")] = ""
    author: Annotated[str, Label("Forfatter", "Forfattar", "Author"), Staff] = ""
    concern: Annotated[str, Label("Bekymring", "Uro", "Concern"), RefersTo("concerns")] = ""


class Handover(Element):
    """One offer of the baton and its answer. Only an accepted offer moves the responsibility."""

    label = Label("Overføring av stafettpinnen", "Overføring av stafettpinnen", "Handovers")

    from_holder: Annotated[Actor | None, Label("Fra", "Frå", "From")] = None
    to_holder: Annotated[Actor | None, Label("Til", "Til", "To")] = None
    offered_on: Annotated[date | None, Label("Tilbudt", "Tilbode", "Offered on")] = None
    answer: Annotated[c.BatonAnswer, Label("Svar", "Svar", "Answer")] = c.BatonAnswer.UNKNOWN
    answered_on: Annotated[date | None, Label("Besvart", "Svara", "Answered on")] = None
    reason: Annotated[str, Label("Begrunnelse", "Grunngjeving", "Reason"), Free] = ""
    child_wish: Annotated[
        str, Label("Barnets og familiens ønske", "Barnet og familien sitt ønske", "The child's wish"),
        Carries(Part.CHILD_VOICE),
    ] = ""  # fmt: skip


class Agreement(Element):
    """Something that was agreed, between whom."""

    label = Label("Avtaler", "Avtalar", "Agreements")

    text: Annotated[str, Label("Avtale", "Avtale", "Agreement")] = ""
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    parties: Annotated[tuple[str, ...], Label("Parter", "Partar", "Parties"), Staff] = ()


class Attachment(Element):
    """A file that belongs to the log. Its bytes lie sealed beside it, found by the hash."""

    label = Label("Vedlegg", "Vedlegg", "Attachments")

    filename: Annotated[str, Label("Filnavn", "Filnamn", "File name")] = ""
    media_type: Annotated[str, Label("Filtype", "Filtype", "Media type")] = ""
    sha256: Annotated[str, Label("SHA-256", "SHA-256", "SHA-256")] = ""
    size: Annotated[int, Label("Størrelse (byte)", "Storleik (byte)", "Size (bytes)")] = 0
    kind: Annotated[str, Label("Type", "Type", "Kind")] = ""


class LevelChange(Element):
    """When the log moved to another level or step, and why."""

    label = Label("Nivåhistorikk", "Nivåhistorikk", "Level history")

    level: Annotated[c.BtiLevel | None, Label("BTI-nivå", "BTI-nivå", "BTI level")] = None
    step: Annotated[str, Label("Trinn", "Steg", "Step")] = ""
    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    reason: Annotated[str, Label("Begrunnelse", "Grunngjeving", "Reason"), Free] = ""


class Extension(Element):
    """What a template carries that the model has no field for, or a code that no list knows: kept as it was."""

    label = Label("Tilleggsfelt", "Tilleggsfelt", "Extra fields")

    key: Annotated[str, Label("Nøkkel", "Nøkkel", "Key")] = ""
    title: Annotated[str, Label("Ledetekst", "Leietekst", "Title")] = ""
    value: Annotated[str, Label("Verdi", "Verdi", "Value")] = ""
    element: Annotated[str, Label("Element", "Element", "Element")] = ""


class Closure(Frozen):
    """That the log is closed: when, why, by whom, and what goes on."""

    on: Annotated[date | None, Label("Dato", "Dato", "Date")] = None
    reason: Annotated[c.ClosureReason, Label("Årsak", "Årsak", "Reason")] = c.ClosureReason.UNKNOWN
    text: Annotated[str, Label("Begrunnelse", "Grunngjeving", "Explanation"), Free] = ""
    decided_by: Annotated[c.ClosedBy, Label("Besluttet av", "Avgjort av", "Decided by")] = c.ClosedBy.UNKNOWN
    continues_as: Annotated[str, Label("Videre til", "Vidare til", "Continues as"), Free] = ""


class RelayLog(Frozen):
    """One relay log. From a mapping its ids are the source's own; from the store they are the hub's."""

    label: ClassVar[Label] = Label("Stafettlogg", "Stafettlogg", "Relay log")

    canonical: Annotated[Literal["relaylog/1"], Label("Modell", "Modell", "Model")] = SCHEMA
    id: Annotated[str, Label("Logg-ID", "Logg-ID", "Log id")] = ""
    source: Annotated[Source, Label("Kilde", "Kjelde", "Source")] = Source()
    template: Annotated[Template, Label("Mal", "Mal", "Template")] = Template()
    status: Annotated[c.LogStatus, Label("Status", "Status", "Status")] = c.LogStatus.UNKNOWN
    level: Annotated[c.BtiLevel | None, Label("BTI-nivå", "BTI-nivå", "BTI level")] = None
    step: Annotated[str, Label("Trinn", "Steg", "Step")] = ""
    opened_on: Annotated[date | None, Label("Opprettet", "Oppretta", "Opened on")] = None
    opened_by: Annotated[str, Label("Opprettet av", "Oppretta av", "Opened by"), Staff] = ""
    changed_at: Annotated[Instant | None, Label("Sist endret", "Sist endra", "Last changed")] = None
    language: Annotated[Literal["nb", "nn"], Label("Målform", "Målform", "Language")] = "nb"
    violence: Annotated[
        bool, Label("Gjelder vold eller overgrep", "Gjeld vald eller overgrep", "Concerns violence")
    ] = False
    subject: Annotated[Subject, Label("Hovedperson", "Hovudperson", "Subject")] = Subject()
    unit: Annotated[OrgUnit, Label("Ansvarlig enhet", "Ansvarleg eining", "Unit in charge")] = OrgUnit()
    holder: Annotated[Actor | None, Label("Stafettholder", "Stafetthaldar", "Holder")] = None
    closure: Annotated[Closure | None, Label("Avslutning", "Avslutning", "Closing")] = None

    guardians: tuple[Guardian, ...] = ()
    relatives: tuple[Relative, ...] = ()
    parties: tuple[Party, ...] = ()
    services: tuple[InvolvedService, ...] = ()
    consents: tuple[Consent, ...] = ()
    concerns: tuple[Concern, ...] = ()
    goals: tuple[Goal, ...] = ()
    measures: tuple[Measure, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    meetings: tuple[Meeting, ...] = ()
    notes: tuple[Note, ...] = ()
    handovers: tuple[Handover, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    level_changes: tuple[LevelChange, ...] = ()
    extensions: tuple[Extension, ...] = ()

    def elements(self) -> Iterator[tuple[str, Element]]:
        """Yield every element with the name of its list, in the order of the model."""
        for name in COLLECTIONS:
            for element in getattr(self, name):
                yield name, element


def _collections() -> dict[str, type[Element]]:
    found: dict[str, type[Element]] = {}
    for name, field in RelayLog.model_fields.items():
        inner = get_args(field.annotation)
        if inner and isinstance(inner[0], type) and issubclass(inner[0], Element):
            found[name] = inner[0]
    return found


COLLECTIONS: dict[str, type[Element]] = _collections()
"""The lists of a log, by field name, with the class of their elements."""

FRAME_COLLECTIONS = frozenset(
    {"guardians", "parties", "services", "consents", "handovers", "level_changes", "relatives"}
)
"""Lists that belong to the frame of the log: who is in it and who holds it. The rest carries text of a part."""


@cache
def marks(model: type[Frozen], field: str) -> tuple[Mark, ...]:
    """Return what a field says of itself: its label, its fixed part, what it refers to."""
    info: FieldInfo = model.model_fields[field]
    return tuple(mark for mark in info.metadata if isinstance(mark, Mark))


@cache
def field_label(model: type[Frozen], field: str) -> Label:
    """Return the label of a field; a list's label is that of its elements."""
    for mark in marks(model, field):
        if isinstance(mark, Label):
            return mark
    return COLLECTIONS[field].label


@cache
def nested_model(model: type[Frozen], field: str) -> type[Frozen] | None:
    """Return the class of the value that a field holds, when it is one of the model's own values."""
    annotation = model.model_fields[field].annotation
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, Frozen) else None


def references(model: type[Frozen]) -> dict[str, str]:
    """Return the fields of a class that refer to other elements, with the list that they refer to."""
    return {
        name: mark.collection
        for name in model.model_fields
        for mark in marks(model, name)
        if isinstance(mark, RefersTo)
    }
