"""Zip files from strangers: opened only after their table of contents is found harmless, and written back in place."""

from __future__ import annotations

import copy
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import PurePosixPath

from hub.payloads.base import Limits, PayloadError, check_size

_EPOCH = (1980, 1, 1, 0, 0, 0)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SMALL = 2**20  # below this a high ratio harms nobody: an empty form shrinks well
_ENCRYPTED = 0x1
_LINK = 0o120000


def unpack(data: bytes, limits: Limits) -> dict[str, bytes]:
    """Return the files of a zip by name. Raises PayloadError for bombs, zips within, odd paths and encrypted files."""
    check_size(data, limits)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_contents(entries, limits)
            files = {entry.filename: archive.read(entry) for entry in entries if not entry.is_dir()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, RuntimeError, OSError):
        raise PayloadError("zip", "", "not readable as a zip file", "Send the whole file, not encrypted") from None
    for number, content in enumerate(files.values(), 1):
        if content.startswith(b"PK\x03\x04"):
            raise PayloadError("zip", f"entry {number}", "a zip file within the zip file", "Take the inner files out")
    return files


def _check_contents(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.entries:
        raise PayloadError("count", "", f"more than {limits.entries} files", "Send fewer files")
    if sum(entry.file_size for entry in entries) > limits.unpacked:
        raise PayloadError("size", "", f"more than {limits.unpacked} bytes when unpacked", "Send less at a time")
    if len({entry.filename for entry in entries}) < len(entries):
        raise PayloadError("duplicate", "", "two files of one name", "Send each file once")
    for number, entry in enumerate(entries, 1):
        _check_entry(entry, f"entry {number}", limits)


def _check_entry(entry: zipfile.ZipInfo, place: str, limits: Limits) -> None:
    path = PurePosixPath(entry.orig_filename)
    if path.is_absolute() or ".." in path.parts or "\\" in str(path) or ":" in str(path) or "\0" in str(path):
        raise PayloadError("zip", place, "a path that leads out of the folder", "Pack plain names only")
    if entry.external_attr >> 16 & 0o170000 == _LINK:
        raise PayloadError("zip", place, "a link instead of a file", "Pack the file itself")
    if entry.flag_bits & _ENCRYPTED:
        raise PayloadError("encrypted", place, "an encrypted file", "Send it unencrypted over a safe channel")
    if entry.compress_type not in _METHODS:
        raise PayloadError("zip", place, "packed in an unusual way", "Pack with ordinary compression")
    if entry.file_size > _SMALL and entry.file_size > limits.ratio * max(entry.compress_size, 1):
        raise PayloadError("size", place, f"grows more than {limits.ratio} times", "Send real content")


def pack(files: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    """Make a zip of files in memory, in the order given; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def repack(original: bytes, changed: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    """Return a zip with some files' contents changed or added; order, dates and attributes stay.

    So does the zip's own comment, unless another is given. The original has been through `unpack`.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(original)) as source, zipfile.ZipFile(packed, "w") as target:
        target.comment = comment or source.comment
        for entry in source.infolist():
            content = changed.get(entry.filename, b"" if entry.is_dir() else source.read(entry))
            target.writestr(copy.copy(entry), content, entry.compress_type)
        for name in [name for name in changed if name not in source.namelist()]:
            target.writestr(zipfile.ZipInfo(name, _EPOCH), changed[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()
