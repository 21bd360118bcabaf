"""A log as a Fiks Arkiv `arkivmelding`, version 1, in the form that each published copy of the schema accepts.

KS has changed version 1 many times under one namespace, so archives run different copies of it. What is written here
leaves out what the older copies refuse (`dokumentbeskrivelse/referanseEksternNoekkel`, added 2025-03-20). Element
names are Noark 5's own words and stay Norwegian. Source: ks-no/fiks-arkiv-specification, Schema/V1.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from lxml import etree
from pydantic import BaseModel, ConfigDict, Field

from hub.documents.words import OSLO, Word, local_day
from hub.relaylog.archiving import entry_key
from hub.relaylog.model import RelayLog

_BASE = "https://ks-no.github.io/standarder/fiks-protokoll/fiks-arkiv"
_ARKIVMELDING = f"{_BASE}/arkivmelding/opprett/v1"
_CATALOGUE = f"{_BASE}/metadatakatalog/v1"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_EMPTY = f'<arkivmelding xmlns="{_ARKIVMELDING}" xmlns:n5mdk="{_CATALOGUE}" xmlns:xsi="{_XSI}"/>'
_SHIELDED = "*****"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_CLIENT = ("K", "Klient")
_FINISHED_DOCUMENT = ("F", "Dokumentet er ferdigstilt")
_MAIN_DOCUMENT = ("H", "Hoveddokument")
_ARCHIVE_VARIANT = ("A", "Arkivformat")
_PDF_A = ("RA-PDF", "PDF/A")
_INTERNAL_SENDER = ("IA", "Intern avsender")
"""Values that Noark 5 fixes for every archive. What differs between archives is a setting."""


class NotArchivable(ValueError):
    """A log, a folder or a setting can't be written as arkivmelding. The message names the field, never the value."""


class Setting(BaseModel):
    """A part of the archive settings. Its errors never show what it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_min_length=1)


class ArchiveCode(Setting):
    """A code of the municipality's archive, with its words."""

    code: str
    text: str


class ArchiveClass(Setting):
    """A class in one of the archive's classification systems, such as a K-code."""

    system: str
    code: str
    title: str


class ArchiveUnit(Setting):
    """The administrative unit that owns the record in the archive, with its id there."""

    name: str
    id: str


class ArchiveSettings(Setting):
    """What a municipality's archive wants to be told with each log.

    Codes, legal bases and the archive part have no defaults: no public source says what they are for a relay log, so
    the municipality must state them. `system` is what the archive keys its rules on; `rule` names one of them.
    """

    system: str = "Stafetthub"
    rule: str | None = None
    folder_per: Literal["child", "log"]
    folder_type: ArchiveCode | None = None
    case_status: ArchiveCode | None = None
    archive_part: ArchiveCode
    person_classification: str
    classification: ArchiveClass
    access_restriction: ArchiveCode
    shielding_basis: str
    shielding_years: int = Field(ge=1, le=150)
    record_type: ArchiveCode
    record_status: ArchiveCode
    document_type: ArchiveCode
    unit: ArchiveUnit


@dataclass(frozen=True)
class ArchivedFile:
    """What the message says of the document: its name in the package, its SHA-256 in hex, its size in bytes."""

    name: str
    sha256: str
    size: int


def folder_key(log: RelayLog, settings: ArchiveSettings, folder_id: str) -> str:
    """Return the archive folder's external key: the child's folder or the log's own, by its random id."""
    id_ = folder_id if settings.folder_per == "child" else log.id
    return f"relay:stafettlogg:{_uuid(id_, 'folder_id' if settings.folder_per == 'child' else 'id')}"


def journal_key(log: RelayLog, revision: int, *, periodic: bool = False) -> str:
    """Return the journal entry's external key: one for each time that a log is archived."""
    return entry_key(_uuid(log.id, "id"), revision, periodic=periodic)


def arkivmelding(
    log: RelayLog,
    settings: ArchiveSettings,
    document: ArchivedFile,
    *,
    at: datetime,
    revision: int,
    folder_id: str,
    periodic: bool = False,
) -> bytes:
    """Return `arkivmelding.xml` (UTF-8) for one log with one document, made at the instant `at`.

    `folder_id` is the UUID of the child's folder in the hub, `periodic` tells that the log is not closed. Raises
    NotArchivable when an id that goes into a key is no UUID; so a national id can't become one.
    """
    message = _Message(log, settings, at, periodic=periodic)
    root = etree.fromstring(_EMPTY)
    _add(root, "system", settings.system)
    if settings.rule:
        _add(root, "regel", settings.rule)
    _add(root, "antallFiler", "1")
    key = folder_key(log, settings, folder_id)
    message.folder(root, key)
    message.record(root, document, folder=key, key=journal_key(log, revision, periodic=periodic))
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


class _Message:
    """Writes the two halves of a message, folder and journal entry, in the order that the schema asks for."""

    def __init__(self, log: RelayLog, settings: ArchiveSettings, at: datetime, *, periodic: bool) -> None:
        self._settings = settings
        self._subject = log.subject
        ended_on = log.closure.on if log.closure and not periodic else None
        self._on = ended_on or local_day(at)
        self._at = at.astimezone(OSLO)
        self._title = log.label.text(log.language)
        self._words = (Word.PERIODIC if periodic else Word.CLOSED).text(log.language)

    def folder(self, root: etree._Element, key: str) -> None:
        folder = _add(root, "mappe")
        folder.set(f"{{{_XSI}}}type", "saksmappe")
        self._titles(folder, self._title)
        _add(folder, "opprettetAv", self._settings.system)
        self._code(folder, "arkivdel", self._settings.archive_part)
        self._part(folder)
        self._shielding(folder)
        self._classes(folder)
        self._key(_add(folder, "referanseEksternNoekkel"), key)
        if self._settings.folder_type:
            self._code(folder, "mappetype", self._settings.folder_type)
        _add(folder, "saksdato", self._on.isoformat())
        self._unit(folder)
        if self._settings.case_status:
            self._code(folder, "saksstatus", self._settings.case_status)

    def record(self, root: etree._Element, document: ArchivedFile, *, folder: str, key: str) -> None:
        record = _add(root, "registrering")
        record.set(f"{{{_XSI}}}type", "journalpost")
        _add(record, "opprettetDato", self._at.isoformat(timespec="seconds"))
        _add(record, "opprettetAv", self._settings.system)
        parent = _add(record, "referanseForelderMappe")
        self._key(_add(parent, "referanseEksternNoekkel", namespace=_CATALOGUE), folder)
        self._shielding(record)
        self._document(record, document)
        self._titles(record, self._words)
        self._sender(record)
        self._key(_add(record, "referanseEksternNoekkel"), key)
        self._code(record, "journalposttype", self._settings.record_type)
        self._code(record, "journalstatus", self._settings.record_status)
        _add(record, "dokumentetsDato", self._on.isoformat())
        _add(record, "antallVedlegg", "0")

    def _document(self, record: etree._Element, document: ArchivedFile) -> None:
        description = _add(record, "dokumentbeskrivelse")
        self._code(description, "dokumenttype", self._settings.document_type)
        _code(description, "dokumentstatus", *_FINISHED_DOCUMENT)
        _add(description, "tittel", self._words)
        _code(description, "tilknyttetRegistreringSom", *_MAIN_DOCUMENT)
        _add(description, "dokumentnummer", "1")
        self._shielding(description)
        held = _add(description, "dokumentobjekt")
        _add(held, "versjonsnummer", "1")
        _code(held, "variantformat", *_ARCHIVE_VARIANT)
        _code(held, "format", *_PDF_A)
        _add(held, "formatDetaljer", "PDF/A-2a (ISO 19005-2), PDF/UA-1 (ISO 14289-1)")
        _add(held, "mimeType", "application/pdf")
        _add(held, "filnavn", f"{self._title} {self._on.year}.pdf")
        _add(held, "referanseDokumentfil", document.name)
        _add(held, "sjekksum", document.sha256)
        _add(held, "sjekksumAlgoritme", "SHA-256")
        _add(held, "filstoerrelse", str(document.size))

    def _titles(self, parent: etree._Element, words: str) -> None:
        """Write the title with the name, and the public one with a mask for each word of it."""
        names = _xml_text(self._subject.name).split()
        _add(parent, "tittel", f"{words} - {' '.join(names)}" if names else words)
        _add(parent, "offentligTittel", f"{words} - {' '.join(_SHIELDED for _ in names or [''])}")

    def _part(self, folder: etree._Element) -> None:
        if not self._subject.name.strip():
            return
        part = _add(folder, "part")
        _add(part, "partID", "1")
        _add(part, "partNavn", self._subject.name)
        _code(part, "partRolle", *_CLIENT)
        if self._subject.national_id:
            person = _add(part, "personID")
            _add(person, "landkode", "NO")
            _add(person, "identifikator", self._subject.national_id)
        _add(part, "erSkjermet", "true")
        _add(part, "erPersonnavn", "true")

    def _classes(self, folder: etree._Element) -> None:
        if self._subject.national_id:
            person = _add(folder, "klassifikasjon")
            _add(person, "klassifikasjonssystemID", self._settings.person_classification)
            _add(person, "klasseID", self._subject.national_id)
            _add(person, "tittel", self._subject.name or self._title)
            _add(person, "erSkjermet", "true")
        subject = _add(folder, "klassifikasjon")
        _add(subject, "klassifikasjonssystemID", self._settings.classification.system)
        _add(subject, "klasseID", self._settings.classification.code)
        _add(subject, "tittel", self._settings.classification.title)

    def _shielding(self, parent: etree._Element) -> None:
        """Shield the folder, the entry and the document alike: version 1 has no other way to shield a title."""
        shielding = _add(parent, "skjerming")
        self._code(shielding, "tilgangsrestriksjon", self._settings.access_restriction)
        _add(shielding, "skjermingshjemmel", self._settings.shielding_basis)
        ends = _years_later(self._on, self._settings.shielding_years)
        _add(shielding, "skjermingOpphoererDato", ends.isoformat())

    def _unit(self, parent: etree._Element) -> None:
        unit = _add(parent, "administrativEnhet")
        _add(unit, "navn", self._settings.unit.name, namespace=_CATALOGUE)
        _add(unit, "identifikator", self._settings.unit.id, namespace=_CATALOGUE)

    def _sender(self, record: etree._Element) -> None:
        """Name the administrative unit only: the child's own unit would locate a child whose address is protected."""
        sender = _add(record, "korrespondansepart")
        _code(sender, "korrespondanseparttype", *_INTERNAL_SENDER)
        _add(sender, "erBehandlingsansvarlig", "true")
        _add(sender, "korrespondansepartNavn", self._settings.unit.name)
        self._unit(sender)

    def _key(self, parent: etree._Element, key: str) -> None:
        _add(parent, "fagsystem", self._settings.system, namespace=_CATALOGUE)
        _add(parent, "noekkel", key, namespace=_CATALOGUE)

    def _code(self, parent: etree._Element, name: str, code: ArchiveCode) -> None:
        _code(parent, name, code.code, code.text)


def _add(parent: etree._Element, name: str, text: str = "", *, namespace: str = _ARKIVMELDING) -> etree._Element:
    element = etree.SubElement(parent, f"{{{namespace}}}{name}")
    if text:
        element.text = _xml_text(text)
    return element


def _code(parent: etree._Element, name: str, code: str, words: str) -> None:
    element = _add(parent, name)
    _add(element, "kode", code, namespace=_CATALOGUE)
    _add(element, "beskrivelse", words, namespace=_CATALOGUE)


def _xml_text(text: str) -> str:
    """Return a text without the control characters that XML 1.0 has no place for (section 2.2)."""
    return "".join(sign if _in_xml(sign) else " " for sign in text)


def _in_xml(sign: str) -> bool:
    return sign in "\t\n\r" or " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign >= "\U00010000"


def _years_later(day: date, years: int) -> date:
    """Return the same day so many years later; a leap day becomes 1 March, so that a term is never too short."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


def _uuid(value: str, field: str) -> str:
    if not _UUID.fullmatch(value):
        raise NotArchivable(f"{field}: not a UUID, and only a UUID may stand in an archive key; use the hub's own id")
    return value.lower()
