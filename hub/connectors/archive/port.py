"""What every archive target takes and how it fails: the package to hand over, and two errors by what to do next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from hub.connectors.base import Refused, Unavailable


class ArchiveFile(Protocol):
    """One file of a package: its name, which says nothing of a person, and its bytes."""

    @property
    def name(self) -> str: ...  # noqa: D102 - the class says it

    @property
    def content(self) -> bytes: ...  # noqa: D102 - the class says it


class ArchivePackage(Protocol):
    """One closing of one log: the key that an archive finds it by, when it was made, and its files."""

    @property
    def external_key(self) -> str: ...  # noqa: D102 - the class says it

    @property
    def created(self) -> datetime: ...  # noqa: D102 - the class says it

    @property
    def files(self) -> Sequence[ArchiveFile]: ...  # noqa: D102 - the class says it


class ArchiveUnavailable(Unavailable):
    """The archive can't take the package now and may take it later: try again. Names the delivery and the remedy."""


class ArchiveRefused(Refused):
    """Trying again won't help: a person must look. Names the delivery and the remedy, never a value of the log."""
