"""The systems that exchange files: how each names its records, writes a case in its own bytes, and stamps a change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Protocol

from hub.sandbox import (
    barnevern_shape,
    compilo_shape,
    familia_shape,
    hkoppvekst_shape,
    infodoc_shape,
    papirskjema_shape,
    profil_shape,
)
from hub.sandbox.case import Case, Json


class Format(Protocol):
    """Bytes of one record and its tree, both ways."""

    def decode(self, data: bytes) -> Json:
        """Read bytes. Raises PayloadError."""
        ...

    def encode(self, tree: Json, original: bytes | None) -> bytes:
        """Write a tree, on the record as it was or on a blank form where there is one."""
        ...


@dataclass(frozen=True, slots=True)
class FileSystem:
    """One system. `prefix` begins its record ids, `suffix` ends its files, `blank` is the form that it fills.

    `stamp` notes on a tree that the system saved it; `edit` lets a user change one, and says whether there was
    anything to change. `bundle` makes one file of several records, where the system exports all in one.
    """

    prefix: str
    suffix: str
    format: Format
    record: Callable[[str, Case], Json]
    record_id: Callable[[Json], str]
    stamp: Callable[[Json, datetime], None]
    blank: Path | None = None
    edit: Callable[[Json, Random, datetime, int], bool] | None = None
    bundle: Callable[[list[bytes]], bytes] | None = None

    def written(self, record_id: str, case: Case) -> bytes:
        """Write a case as the system would hold it under that id."""
        original = self.blank.read_bytes() if self.blank else None
        return self.format.encode(self.record(record_id, case), original)

    def saved(self, data: bytes, tree: Json, now: datetime) -> bytes:
        """Write a changed tree on the record as it was, with the system's own mark of having saved it."""
        self.stamp(tree, now)
        return self.format.encode(tree, data)


FILE_SYSTEMS: Mapping[str, FileSystem] = MappingProxyType(
    {
        "profil": FileSystem(
            "77",
            ".xml",
            profil_shape.PAYLOAD,
            profil_shape.record,
            profil_shape.record_id,
            profil_shape.stamp,
            edit=profil_shape.edit,
        ),
        "familia": FileSystem(
            "BV-2026-",
            ".xml",
            familia_shape.PAYLOAD,
            familia_shape.record,
            familia_shape.record_id,
            familia_shape.stamp,
        ),
        "infodoc": FileSystem(
            "STL-",
            ".xml",
            infodoc_shape.PAYLOAD,
            infodoc_shape.record,
            infodoc_shape.record_id,
            infodoc_shape.stamp,
        ),
        "hkoppvekst": FileSystem(
            "HK-",
            ".zip",
            hkoppvekst_shape.PAYLOAD,
            hkoppvekst_shape.record,
            hkoppvekst_shape.record_id,
            hkoppvekst_shape.stamp,
            bundle=hkoppvekst_shape.bundle,
        ),
        "barnevern": FileSystem(
            "BVP-",
            ".json",
            barnevern_shape.PAYLOAD,
            barnevern_shape.record,
            barnevern_shape.record_id,
            barnevern_shape.stamp,
            edit=barnevern_shape.edit,
        ),
        "compilo": FileSystem(
            "C-",
            ".docx",
            compilo_shape.PAYLOAD,
            compilo_shape.record,
            compilo_shape.record_id,
            compilo_shape.stamp,
            blank=compilo_shape.BLANK,
        ),
        "papirskjema": FileSystem(
            "P-",
            ".pdf",
            papirskjema_shape.PAYLOAD,
            papirskjema_shape.record,
            papirskjema_shape.record_id,
            papirskjema_shape.stamp,
            blank=papirskjema_shape.BLANK,
        ),
    }
)
"""By the name of their connection, which is also the name of their folder."""
