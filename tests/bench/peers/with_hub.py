"""The hub on the same pages, whole: pulled, read by a mapping, checked, merged, sealed and stored, a page at a time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from hub.connectors.http import Clock, Limits
from hub.connectors.relaylog import RelayLogs, Settings
from hub.mappings.language import load_mapping
from hub.operate.process import collect_seldom
from hub.relaylog.codes import Service
from hub.relaylog.consent import ConsentPolicy
from hub.relaylog.gates import Rules
from hub.relaylog.sharing import Sharing
from hub.store.database import Database, open_database
from hub.store.ids import new_id
from hub.store.inbox import Inbox
from hub.store.logs import LogStore
from hub.store.sealing import new_key_file, read_key_file
from hub.store.work import WorkStore
from hub.sync.context import Connection, Tenant
from hub.sync.cycle import Cycle
from tests.bench.bench_mapping import TEXT
from tests.bench.peers.measured import measured

ORGNR = "900001002"
CLOCK = Clock(lambda: datetime.now(UTC), time.monotonic, time.sleep)


def rules(_day: date) -> Rules:
    """Give the rules that hold without any configuration."""
    return Rules(Sharing(), ConsentPolicy())


def house(url: str, folder: Path, db: Database) -> tuple[Tenant, Connection]:
    """Make a municipality with one connection."""
    key_file = folder / "key.json"
    if not key_file.exists():
        new_key_file(key_file)
    keys = read_key_file(key_file, ORGNR)
    connection = Connection(
        id=f"{ORGNR}/{folder.name}",
        services=frozenset({Service.SCHOOL}),
        readers=frozenset({Service.SCHOOL}),
        mapping=load_mapping(TEXT, "bench_mapping.yaml"),
        connector=RelayLogs(Settings(base_url=url, repeat="look_up"), Limits(), CLOCK, {}),
    )
    given = partial(new_id, CLOCK.now)
    tenant = Tenant(
        organisation_number=ORGNR,
        name="Bench",
        synthetic_ids=True,
        connections={connection.id: connection},
        rules=rules,
        archive=None,
        db=db,
        logs=LogStore(keys),
        inbox=Inbox(keys, given),
        work=WorkStore(ORGNR, given),
        now=CLOCK.now,
        new_id=given,
    )
    return tenant, connection


def pulled(tenant: Tenant, connection: Connection, occurrence: str) -> Callable[[], int]:
    """Return the work of one pull; it must take in, or know again, every record."""

    def work() -> int:
        result = Cycle(tenant, "bench").pull_by_hand(connection, occurrence)
        assert not result.error, result.error
        return result.counts["new"] + result.counts["unchanged"]

    return work


def main(url: str, folder: Path, database: str = "") -> None:
    """Pull once, and once more when nothing has changed; into SQLite, or into a database that others write to, too."""
    collect_seldom()
    db = open_database(database or f"sqlite:///{folder}/hub.db")
    db.migrate()
    tenant, connection = house(url, folder, db)
    measured(pulled(tenant, connection, "first"))
    measured(pulled(tenant, connection, "again"))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
