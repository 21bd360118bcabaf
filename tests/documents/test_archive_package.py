"""The package for an archive: made once, the same each time, whole or refused."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from lxml import etree

from hub.documents.arkivmelding import ArchiveSettings
from hub.documents.package import Package, PackageDamaged, PackageFile, make_package
from hub.relaylog.model import RelayLog

_AT = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
_FOLDER_ID = "7b3f0d4e-9f0a-4f8e-9a57-0f4d6f0f2b11"
_LOG_ID = "c0a2f4a0-51d0-4f1a-8a26-53a9f6c6b3aa"


@pytest.fixture(scope="module")
def package(make_log: Callable[[Literal["nb", "nn"]], RelayLog], settings: ArchiveSettings) -> Package:
    """Return the package of a full log."""
    return make_package(make_log("nb"), settings, "Eksempel kommune", _AT, 1, _FOLDER_ID)


def test_a_package_holds_the_document_and_a_message_about_it(package: Package) -> None:
    """The message names the document's hash and size as they are in the package."""
    message, document = package.files
    assert (message.name, document.name) == ("arkivmelding.xml", "001.pdf")
    assert package.external_key == f"relay:avslutning:{_LOG_ID}:1"
    said = [element.text for element in etree.fromstring(message.content).iter("{*}sjekksum", "{*}filstoerrelse")]
    assert said == [hashlib.sha256(document.content).hexdigest(), str(len(document.content))]


def test_making_it_again_gives_the_same_bytes(
    package: Package, make_log: Callable[[Literal["nb", "nn"]], RelayLog], settings: ArchiveSettings
) -> None:
    """The same log, settings and instant give the same package, and a package the same stored bytes."""
    again = make_package(make_log("nb"), settings, "Eksempel kommune", _AT, 1, _FOLDER_ID)
    assert again == package
    assert again.to_bytes() == package.to_bytes()


def test_a_package_comes_back_whole(package: Package) -> None:
    """What is read back equals what was stored."""
    assert Package.from_bytes(package.to_bytes()) == package


def test_changed_or_cut_bytes_are_refused(package: Package) -> None:
    """A changed file, a missing one, cut bytes and other bytes are no package; the error names no content."""
    stored = package.to_bytes()
    swapped = stored.replace(package.files[0].sha256.encode(), b"0" * 64)
    for damaged in (
        stored[: len(stored) // 2],
        b"",
        b"not a zip",
        _rewritten(stored),
        _without(stored, "001.pdf"),
        swapped,
    ):
        with pytest.raises(PackageDamaged, match="fetch"):
            Package.from_bytes(damaged)


@settings_of_hypothesis(max_examples=400)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unseen(place: int, bit: int) -> None:
    """With one bit changed anywhere, the stored package is refused or read as it was."""
    file = PackageFile.of("001.pdf", "application/pdf", b"%PDF")
    package = Package(_LOG_ID, 1, "relay:avslutning:x:1", _AT, (file,))
    stored = bytearray(package.to_bytes())
    stored[place % len(stored)] ^= 1 << bit
    with suppress(PackageDamaged):
        assert Package.from_bytes(bytes(stored)) == package


def _rewritten(stored: bytes) -> bytes:
    """Return the stored package with another document in it and all checksums of the zip in order."""
    return _copied(stored, lambda name, content: content + b" " if name == "001.pdf" else content)


def _without(stored: bytes, missing: str) -> bytes:
    return _copied(stored, lambda name, content: None if name == missing else content)


def _copied(stored: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(stored)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            content = change(name, source.read(name))
            if content is not None:
                target.writestr(name, content)
    return buffer.getvalue()


def test_nothing_of_a_person_shows_in_a_package_s_text() -> None:
    """The text of a package and its files shows names and hashes, never bytes of a document."""
    file = PackageFile.of("001.pdf", "application/pdf", b"Solskinn Testbarn")
    assert "Solskinn" not in repr(Package(_LOG_ID, 1, "relay:avslutning:x:1", _AT, (file,)))
