"""Keys that lie wrapped in a file, and that a key service opens: what lies on the disk opens nothing by itself.

The service is asked when the hub starts, and again when the file has changed. What it opened stays in memory.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hub.store.sealing import KeyFileError, KeyMaterial, file_stamp, key_material, key_text, put_in_place


class KeyService(Protocol):
    """Wraps and opens a tenant's keys with a key that never leaves it."""

    def wrap(self, data: bytes) -> str:
        """Return what only the service opens. Raises KeyFileError."""

    def unwrap(self, wrapped: str) -> bytes:
        """Return what was wrapped. Raises KeyFileError."""


@dataclass(frozen=True)
class WrappedKeyFile:
    """A key file's content as a key service wrapped it. Read and written as a key file is."""

    path: Path
    tenant: str
    service: KeyService

    def stamp(self) -> Hashable:
        """Return when the file was written and which one it is."""
        return file_stamp(self.path)

    def read(self) -> KeyMaterial:
        """Have the service open the file. Raises KeyFileError."""
        try:
            wrapped = self.path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise KeyFileError(
                f"{self.path}: no readable wrapped key for tenant {self.tenant}; put it back, or make it by "
                "`hub keys wrap`"
            ) from None
        try:
            text = self.service.unwrap(wrapped).decode("utf-8")
        except UnicodeDecodeError:
            text = ""  # what was wrapped is no key file, as `key_material` says
        return key_material(text, str(self.path))

    def write(self, material: KeyMaterial) -> None:
        """Have the service wrap new content, and put it in the file's place: all of it, or the old one stays."""
        put_in_place(self.path, self.service.wrap(key_text(material).encode()))
