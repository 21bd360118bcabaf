"""A dry run: a municipality whose sync stores nothing of any log, and sends nothing.

It works on a copy of the municipality's own rows, in an SQLite file that lies in the data folder while it lasts. What
is sealed is sealed there, too. Its connectors read and nothing else. That they call a system is true all the same: the
rate limit, the breaker and the pauses of the connection hold for these calls, and count them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from hub.connectors.base import Accepted, Connector, Outgoing, Page, Refused, Repeat, SourceRecord
from hub.store.database import open_database
from hub.store.move import copy_tenant
from hub.sync.context import Tenant

PREFIX = "dry-run-"
"""Begins the name of the folder that holds the copy, so that one which a killed process left there is known."""

DAY = timedelta(days=1)


@contextmanager
def on_a_copy(tenant: Tenant, data: Path) -> Iterator[Tenant]:
    """Give a municipality as its rows stand now, on a copy in the folder `data` that is gone afterwards in any case."""
    with (
        TemporaryDirectory(prefix=PREFIX, dir=data) as folder,
        closing(open_database(f"sqlite:///{folder}/copy.db")) as db,
    ):
        copy_tenant(tenant.db, db, tenant.organisation_number)
        connections = {
            name: replace(each, connector=_Reading(each.connector), plans=None)
            for name, each in tenant.connections.items()
        }
        yield replace(tenant, db=db, connections=connections)


def forget_left_behind(data: Path, now: datetime) -> None:
    """Remove the copies that killed dry runs left in the folder `data`: one that is a day old is nobody's any more."""
    for folder in data.glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError):  # another process is at the same
            if folder.stat().st_mtime < (now - DAY).timestamp():
                rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Reading:
    """A connector that reads alone: what it has read is still there for the next sync."""

    whole: Connector

    @property
    def repeat(self) -> Repeat:
        """Tell what the system itself would."""
        return self.whole.repeat

    @property
    def lists_all(self) -> bool:
        """Tell what the system itself would."""
        return self.whole.lists_all

    @property
    def answers(self) -> bool:
        """Tell what the system itself would."""
        return self.whole.answers

    def check(self) -> None:
        """Reach the system. Raises ConnectorError."""
        self.whole.check()

    def pages(self, after: str = "") -> Iterator[Page]:
        """Yield the listing. Raises ConnectorError."""
        return self.whole.pages(after)

    def settle(self, page: Page, refused: Mapping[str, str]) -> None:
        """Leave a page as it is: what was stored of it is thrown away."""

    def fetch(self, record_id: str) -> SourceRecord:
        """Read one record. Raises ConnectorError."""
        return self.whole.fetch(record_id)

    def update(self, outgoing: Outgoing) -> Accepted:  # noqa: ARG002 - it goes nowhere
        """Refuse to send."""
        raise Refused("dry_run", "a dry run sends nothing", "Sync without --dry-run")
