"""What is handed to an archive when a log is archived: the document and its message, made once and never again.

The package is stored sealed before anything is sent, so that every attempt sends the same bytes.
"""

import hashlib
import io
import json
import lzma
import zipfile
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from hub.documents.arkivmelding import ArchivedFile, ArchiveSettings, arkivmelding, journal_key
from hub.documents.pdf import render
from hub.documents.words import local_day
from hub.relaylog.model import RelayLog

DOCUMENT = "001.pdf"
MESSAGE = "arkivmelding.xml"
_CONTENTS = "package.json"
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, KeyError, ValueError, TypeError,
)  # fmt: skip
"""What zipfile and json raise on bytes that are no package; NotImplementedError is a RuntimeError."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class PackageDamaged(Exception):
    """Stored bytes are no whole package. The message names the file, never what is in it."""


@dataclass(frozen=True)
class PackageFile:
    """One file: a name that says nothing of a person, its media type, its bytes and their SHA-256 in hex."""

    name: str
    media_type: str
    content: bytes = field(repr=False)
    sha256: str

    @classmethod
    def of(cls, name: str, media_type: str, content: bytes) -> "PackageFile":
        """Make a file with the hash of its bytes."""
        return cls(name, media_type, content, hashlib.sha256(content).hexdigest())


class _FileEntry(TypedDict):
    name: str
    media_type: str
    sha256: str


class _Contents(TypedDict):
    log_id: str
    revision: int
    external_key: str
    created: str
    files: list[_FileEntry]


@dataclass(frozen=True)
class Package:
    """A log as it was archived once, for any archive. Nothing but the bytes of the files says whom it is about."""

    log_id: str
    revision: int
    external_key: str
    created: datetime
    files: tuple[PackageFile, ...]

    def to_bytes(self) -> bytes:
        """Return the package as a zip; the same package gives the same bytes."""
        contents: _Contents = {
            "log_id": self.log_id,
            "revision": self.revision,
            "external_key": self.external_key,
            "created": self.created.isoformat(),
            "files": [{"name": f.name, "media_type": f.media_type, "sha256": f.sha256} for f in self.files],
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(_CONTENTS, _EPOCH), json.dumps(contents, sort_keys=True))
            for file in self.files:
                archive.writestr(zipfile.ZipInfo(file.name, _EPOCH), file.content)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Package":
        """Read what `to_bytes` wrote and check every hash. Raises PackageDamaged."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                contents: _Contents = json.loads(archive.read(_CONTENTS))
                files = tuple(_checked(archive, entry) for entry in contents["files"])
                return cls(
                    contents["log_id"],
                    contents["revision"],
                    contents["external_key"],
                    datetime.fromisoformat(contents["created"]),
                    files,
                )
        except _UNREADABLE as error:
            raise PackageDamaged(
                f"the stored package can't be read ({type(error).__name__}); fetch it from the backup"
            ) from None


def make_package(
    log: RelayLog,
    settings: ArchiveSettings,
    municipality: str,
    at: datetime,
    revision: int,
    folder_id: str,
    *,
    periodic: bool = False,
) -> Package:
    """Render a log and write its message, both of the instant `at`. `periodic` tells that the log is not closed.

    Raises DocumentFailed and NotArchivable.
    """
    pdf = render(log, municipality=municipality, today=local_day(at), revision=revision, periodic=periodic)
    document = PackageFile.of(DOCUMENT, "application/pdf", pdf)
    described = ArchivedFile(document.name, document.sha256, len(pdf))
    xml = arkivmelding(
        log, settings, described, at=at, revision=revision, folder_id=folder_id, periodic=periodic
    )  # fmt: skip
    message = PackageFile.of(MESSAGE, "application/xml", xml)
    key = journal_key(log, revision, periodic=periodic)
    return Package(log.id, revision, key, at, (message, document))


def _checked(archive: zipfile.ZipFile, entry: _FileEntry) -> PackageFile:
    file = PackageFile.of(entry["name"], entry["media_type"], archive.read(entry["name"]))
    if file.sha256 != entry["sha256"]:
        raise PackageDamaged(
            f"{file.name}: not the bytes that were stored (SHA-256); fetch the package from the backup"
        )
    return file
