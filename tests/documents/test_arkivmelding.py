"""The archive message: valid where it is read, shielded where it names a child, and silent about ids in its keys."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydantic import ValidationError

from hub.documents.arkivmelding import (
    ArchivedFile,
    ArchiveSettings,
    NotArchivable,
    arkivmelding,
    folder_key,
    journal_key,
)
from hub.relaylog.model import Closure, RelayLog, Subject

MakeLog = Callable[[Literal["nb", "nn"]], RelayLog]

_AT = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
_LOG_ID = "c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa"
_FOLDER_ID = "7b3f0d4e-9f0a-4f8e-9a57-0f4d6f0f2b11"
_SYNTHETIC = "13861290039"
_FILE = ArchivedFile("001.pdf", "ab" * 32, 4711)
_NS = {
    "a": "https://ks-no.github.io/standarder/fiks-protokoll/fiks-arkiv/arkivmelding/opprett/v1",
    "n": "https://ks-no.github.io/standarder/fiks-protokoll/fiks-arkiv/metadatakatalog/v1",
}


def _log(name: str = "Solskinn Testbarn", national_id: str = _SYNTHETIC, closed: date | None = None) -> RelayLog:
    return RelayLog(
        id=_LOG_ID, subject=Subject(name=name, national_id=national_id), closure=Closure(on=closed) if closed else None
    )


def _xml(log: RelayLog, settings: ArchiveSettings) -> bytes:
    return arkivmelding(log, settings, _FILE, at=_AT, revision=2, folder_id=_FOLDER_ID)


def _all(xml: bytes, path: str) -> list[str]:
    found = etree.fromstring(xml).findall(path, namespaces=_NS)
    return [element.text or "" for element in found]


@pytest.mark.parametrize("language", ["nb", "nn"])
def test_the_message_of_a_full_log_is_valid(
    make_log: MakeLog, settings: ArchiveSettings, schema: etree.XMLSchema, language: Literal["nb", "nn"]
) -> None:
    """With every setting stated, the official schema accepts the message."""
    schema.assertValid(etree.fromstring(_xml(make_log(language), settings)))


def test_the_smallest_message_is_valid(settings: ArchiveSettings, schema: etree.XMLSchema) -> None:
    """Without name, national id, closing and the optional settings the message is valid too."""
    smallest = settings.model_copy(update={"rule": None, "folder_type": None, "case_status": None})
    schema.assertValid(etree.fromstring(_xml(RelayLog(id=_LOG_ID), smallest)))


@given(name=st.text(max_size=30))
def test_any_name_makes_a_valid_message(settings: ArchiveSettings, schema: etree.XMLSchema, name: str) -> None:
    """Control characters and other signs in a name never break the message."""
    schema.assertValid(etree.fromstring(_xml(_log(name), settings)))


def test_the_keys_are_random_ids_only(settings: ArchiveSettings) -> None:
    """Folder and journal entry are found by the folder's and the log's UUID and the revision: no person's number."""
    keys = _all(_xml(_log(), settings), ".//n:noekkel")
    folder = f"relay:stafettlogg:{_FOLDER_ID}"
    assert keys == [folder, folder, f"relay:avslutning:{_LOG_ID}:2"]


@pytest.mark.parametrize("language", ["nb", "nn"])
def test_a_log_that_goes_on_is_an_entry_of_its_own(
    make_log: MakeLog, settings: ArchiveSettings, schema: etree.XMLSchema, language: Literal["nb", "nn"]
) -> None:
    """The schema accepts it; its key and titles say periodic, and its date is that of the making, not of an end."""
    log = make_log(language)
    xml = arkivmelding(log, settings, _FILE, at=_AT, revision=2, folder_id=_FOLDER_ID, periodic=True)
    schema.assertValid(etree.fromstring(xml))
    assert _all(xml, ".//n:noekkel")[-1] == f"relay:periodisk:{_LOG_ID}:2"
    assert _all(xml, ".//a:dokumentbeskrivelse/a:tittel") == ["Periodisk arkivering av stafettlogg"]
    assert all(title.startswith("Periodisk") for title in _all(xml, "./a:registrering/a:tittel"))
    assert log.closure is not None
    assert _all(xml, ".//a:dokumentetsDato") == ["2026-06-02"] != [str(log.closure.on)]


def test_a_folder_per_log_has_the_log_s_own_key(settings: ArchiveSettings) -> None:
    """Where the municipality wants one folder per log, the folder's key is the log's id."""
    per_log = settings.model_copy(update={"folder_per": "log"})
    assert folder_key(_log(), per_log, _FOLDER_ID) == f"relay:stafettlogg:{_LOG_ID}"


@pytest.mark.parametrize("id_", [_SYNTHETIC, "", "L-17"])
def test_only_a_uuid_becomes_a_key(settings: ArchiveSettings, id_: str) -> None:
    """A national id or a source's own id is refused, and the refusal does not repeat it."""
    with pytest.raises(NotArchivable, match=r"^folder_id: not a UUID") as folder:
        folder_key(_log(), settings, id_)
    with pytest.raises(NotArchivable, match=r"^id: not a UUID") as closing:
        journal_key(RelayLog(id=id_), 1)
    assert not id_ or id_ not in f"{folder.value} {closing.value}"


def test_public_titles_mask_each_word_of_the_name(settings: ArchiveSettings) -> None:
    """The title names the child, the public one has a mask for each word, and the document's title names nobody."""
    xml = _xml(_log("Solskinn Regnbue Testbarn"), settings)
    assert _all(xml, ".//a:offentligTittel") == [
        "Stafettlogg - ***** ***** *****", "Avsluttet stafettlogg - ***** ***** *****",
    ]  # fmt: skip
    assert _all(xml, "./*/a:tittel") == [
        "Stafettlogg - Solskinn Regnbue Testbarn", "Avsluttet stafettlogg - Solskinn Regnbue Testbarn",
    ]  # fmt: skip
    assert _all(xml, ".//a:dokumentbeskrivelse/a:tittel") == ["Avsluttet stafettlogg"]


def test_the_national_id_stands_shielded_in_two_places(settings: ArchiveSettings) -> None:
    """The id is the party's and the shielded class's; nowhere else, and never without its shield."""
    xml = _xml(_log(), settings)
    assert xml.count(_SYNTHETIC.encode()) == 2
    assert _all(xml, ".//a:part/a:personID/a:identifikator") == [_SYNTHETIC]
    assert _all(xml, ".//a:part/a:erSkjermet") == ["true"]
    assert _all(xml, ".//a:klassifikasjon/a:klassifikasjonssystemID") == ["PNR", "KK"]
    assert _all(xml, ".//a:klassifikasjon/a:erSkjermet") == ["true"]


def test_without_a_national_id_there_is_no_person_class(settings: ArchiveSettings) -> None:
    """A child without a national id is named as party, without personID and without the class by number."""
    xml = _xml(_log(national_id=""), settings)
    assert _all(xml, ".//a:part/a:partNavn") == ["Solskinn Testbarn"]
    assert _all(xml, ".//a:personID") == []
    assert _all(xml, ".//a:klassifikasjon/a:klassifikasjonssystemID") == ["KK"]


def test_folder_entry_and_document_are_shielded_for_the_stated_years(settings: ArchiveSettings) -> None:
    """All three carry the shield; a term that begins on a leap day ends on 1 March, not a day early."""
    xml = _xml(_log(closed=date(2024, 2, 29)), settings.model_copy(update={"shielding_years": 61}))
    assert _all(xml, ".//a:skjermingOpphoererDato") == ["2085-03-01"] * 3
    assert _all(xml, ".//a:skjermingshjemmel") == ["Oppdiktet hjemmel § 1"] * 3


def test_the_document_is_named_by_place_size_and_hash(settings: ArchiveSettings) -> None:
    """The message says which file it means, how large it is and what its SHA-256 is."""
    xml = _xml(_log(), settings)
    for name, value in (("referanseDokumentfil", "001.pdf"), ("sjekksum", "ab" * 32), ("filstoerrelse", "4711")):
        assert _all(xml, f".//a:{name}") == [value]


def test_dates_are_norwegian_and_handed_in(settings: ArchiveSettings) -> None:
    """A log closed without a date has the instant's date in Norway, and the same call gives the same bytes."""
    xml = _xml(_log(), settings)
    assert _all(xml, ".//a:dokumentetsDato") == ["2026-06-02"]
    assert _all(xml, ".//a:opprettetDato") == ["2026-06-02T00:30:00+02:00"]
    assert xml == _xml(_log(), settings)


def test_compat_profile_leaves_out_what_older_archives_refuse(settings: ArchiveSettings) -> None:
    """The document's own external key, which came in 2025, is not sent."""
    assert _all(_xml(_log(), settings), ".//a:dokumentbeskrivelse/a:referanseEksternNoekkel") == []


def test_settings_must_be_stated_and_errors_keep_their_values() -> None:
    """Only the product's own name and what may be absent have defaults; an error names fields and shows no value."""
    defaults = {name for name, field in ArchiveSettings.model_fields.items() if not field.is_required()}
    assert defaults == {"system", "rule", "folder_type", "case_status"}
    with pytest.raises(ValidationError) as caught:
        ArchiveSettings.model_validate({"archive_part": "HEMMELIG"})
    assert "archive_part" in str(caught.value)
    assert "HEMMELIG" not in str(caught.value)
