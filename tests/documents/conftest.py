"""A log with something in every field of the model, built from the model itself, so that a new field is tested too."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from types import UnionType
from typing import Literal, Union, get_args, get_origin

import pytest
from lxml import etree

from hub.documents.arkivmelding import ArchiveClass, ArchiveCode, ArchiveSettings, ArchiveUnit
from hub.relaylog.codes import BtiLevel, Code
from hub.relaylog.model import Frozen, RelayLog, references

LOG_ID = "c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa"
_FIXED: dict[str, object] = {"canonical": "relaylog/1", "id": LOG_ID}
_SCHEMA = "no.ks.fiks.arkiv.v1.arkivering.arkivmelding.opprett.xsd"

MakeLog = Callable[[Literal["nb", "nn"]], RelayLog]


def _filled(model: type[Frozen], path: str) -> dict[str, object]:
    return {name: _value(model, name, f"{path}.{name}") for name in model.model_fields}


def _value(model: type[Frozen], name: str, path: str) -> object:
    if name in references(model):
        return f"log.{references(model)[name]}.id"
    return _of(model.model_fields[name].annotation, path)


def _of(annotation: object, path: str) -> object:
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not type(None))
    if get_origin(annotation) is tuple:
        return (_of(get_args(annotation)[0], path),)
    if isinstance(annotation, type):
        return _of_class(annotation, path)
    return _of(get_args(annotation)[0], path)  # Annotated


def _of_class(kind: type, path: str) -> object:
    if issubclass(kind, Frozen):
        return _filled(kind, path)
    if issubclass(kind, Code):
        return next(iter(kind))
    text = path if path.endswith(".id") else f"{path} čŧŋåø"
    values = {str: text, bool: True, int: 1234567, BtiLevel: BtiLevel.TWO_SERVICES, date: date(2026, 3, 3)}
    return values.get(kind, datetime(2026, 3, 3, 12, 30, tzinfo=UTC))


@pytest.fixture(scope="session")
def make_log() -> MakeLog:
    """Return a maker of full logs by language; the text of a field is its own path, and some Sámi letters."""

    def make(language: Literal["nb", "nn"]) -> RelayLog:
        fields: dict[str, object] = {
            name: _value(RelayLog, name, f"log.{name}")
            for name in RelayLog.model_fields
            if name not in {*_FIXED, "language"}
        }
        return RelayLog.model_validate({**fields, **_FIXED, "language": language})

    return make


@pytest.fixture(scope="session")
def settings() -> ArchiveSettings:
    """Return made-up archive settings, every field stated."""
    return ArchiveSettings(
        rule="Stafettlogg",
        folder_per="child",
        folder_type=ArchiveCode(code="Elevmappe", text="Elevmappe"),
        case_status=ArchiveCode(code="B", text="Under behandling"),
        archive_part=ArchiveCode(code="BARN", text="Barn og oppvekst"),
        person_classification="PNR",
        classification=ArchiveClass(system="KK", code="X99", title="Stafettlogg"),
        access_restriction=ArchiveCode(code="13", text="Unntatt etter offentleglova § 13"),
        shielding_basis="Oppdiktet hjemmel § 1",
        shielding_years=60,
        record_type=ArchiveCode(code="X", text="Organinternt dokument uten oppfølging"),
        record_status=ArchiveCode(code="F", text="Ferdigstilt"),
        document_type=ArchiveCode(code="RAPPORT", text="Rapport"),
        unit=ArchiveUnit(name="Barn og oppvekst", id="oppvekst"),
    )


@pytest.fixture(scope="session")
def schema(reference_data: Path) -> etree.XMLSchema:
    """Return the official schema of the message."""
    return etree.XMLSchema(etree.parse(reference_data / "fiks-arkiv-v1" / _SCHEMA))
