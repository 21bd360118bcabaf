"""Transactions that lose nothing, migrations that agree with the tables, and upserts."""

from __future__ import annotations

import socket
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from hub.store.database import Database, StoreUnavailable, libpq_url, newest_revision, open_database, upsert
from hub.store.tables import connection_state, cursors, metadata, records
from tests.stores import PostgresServer, postgresql_binaries, private_postgresql

TENANT, OTHER = "100000008", "100000016"  # made up
VIGILO = f"{TENANT}/vigilo"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def test_concurrent_increments_are_all_kept(db: Database) -> None:
    """Four threads that read a number and write it back one higher, 300 times each, end at 1,200."""
    with db.write() as tx:
        tx.execute(insert(connection_state).values(tenant=TENANT, connection=VIGILO))

    def increment() -> None:
        for _ in range(300):
            with db.write() as tx:
                failures = tx.scalar(select(connection_state.c.failures)) or 0
                tx.execute(update(connection_state).values(failures=failures + 1))

    threads = [Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as tx:
        assert tx.scalar(select(connection_state.c.failures)) == 1200


def test_a_server_that_left_the_network_is_noticed() -> None:
    """Both the hub's own sessions and those of the jobs give a silent server up after 20 s, or as the address says."""
    binaries = postgresql_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL: install it, on Debian and Ubuntu by apt-get install postgresql")
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"postgresql+psycopg://hub@127.0.0.1:{port}/postgres"
    with private_postgresql(binaries, port):
        for address, patience in ((url, 20_000), (f"{url}?tcp_user_timeout=5000", 5_000)):
            db = open_database(address)
            with db.read() as tx:
                assert _patience(tx.connection.driver_connection) == patience
            db.close()
            with psycopg.connect(libpq_url(address)) as session:
                assert _patience(session) == patience


def _patience(session: Any) -> int:
    """Give how many milliseconds what is sent may stay without an answer from the other machine."""
    with socket.fromfd(session.pgconn.socket, socket.AF_INET, socket.SOCK_STREAM) as ours:
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        return ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def test_sqlite_is_set_so_that_nothing_committed_is_lost(path: Path) -> None:
    """WAL, a flush at every commit, foreign keys, patience with other writers, and overwriting of what is deleted."""
    db = open_database(f"sqlite:///{path}")
    with db.read() as tx:
        read = {
            name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        }
    db.close()
    full = 2
    assert read == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "secure_delete": 1,
    }


def test_postgresql_is_told_to_flush_each_commit(postgresql: PostgresServer) -> None:
    """Also where the server's own setting would let a crash forget what was committed."""
    with postgresql.database() as url:
        db = open_database(url)
        with db.read() as tx:
            assert tx.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        db.close()


def test_a_failed_transaction_leaves_nothing(db: Database) -> None:
    """An error inside a transaction rolls all of it back."""

    def fail_half_way() -> None:
        with db.write() as tx:
            tx.execute(insert(cursors).values(_cursor("1")))
            raise LookupError

    with pytest.raises(LookupError):
        fail_half_way()
    with db.read() as tx:
        assert tx.scalar(select(func.count()).select_from(cursors)) == 0


def test_a_reading_transaction_sees_one_state_and_refuses_to_write(db: Database) -> None:
    """What another thread commits meanwhile is not seen, and a write inside is an error, not a lost update."""
    with db.read() as reading:
        before = reading.scalar(select(func.count()).select_from(cursors))
        with db.write() as tx:
            tx.execute(insert(cursors).values(_cursor("1")))
        assert reading.scalar(select(func.count()).select_from(cursors)) == before == 0
        with pytest.raises(DBAPIError):
            reading.execute(insert(cursors).values(_cursor("2")))


def test_errors_do_not_show_values(db: Database) -> None:
    """The text of a database error and of its cause names the table and never what was written, key or not."""
    for wrong in ({"connection": "canary-4711"}, {"value": "canary-4711", "updated_at": None}):
        rows = [_cursor("1") | wrong] * 2
        with pytest.raises(IntegrityError) as caught, db.write() as tx:
            tx.execute(insert(cursors), rows)
        assert "cursors" in str(caught.value)
        shown = "".join(traceback.format_exception(caught.value))
        assert "canary-4711" not in shown + repr(caught.value) + repr(caught.value.orig)


def test_migrations_and_tables_agree(db: Database) -> None:
    """Alembic finds no difference between a migrated database and the tables in the code."""
    with db.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


@pytest.fixture
def empty_url(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the address of a database without tables."""
    if store == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
        return
    with request.getfixturevalue("postgresql").database() as made:
        yield made


def test_migrating_brings_the_newest_revision_once(empty_url: str) -> None:
    """An empty database gets the newest revision, and migrating again changes nothing."""
    db = open_database(empty_url)
    assert db.revision() is None
    db.migrate()
    db.migrate()
    assert db.revision() == newest_revision() == "0008"
    db.close()


def test_with_nothing_to_migrate_nobody_is_waited_for(db: Database, url: str) -> None:
    """Each command begins by migrating; where nothing is to be done it goes on while somebody writes."""
    other = open_database(url)
    migrated = Thread(target=other.migrate, daemon=True)
    with db.write():
        migrated.start()
        migrated.join(10)
        waits = migrated.is_alive()
    migrated.join()
    other.close()
    assert not waits


def test_a_database_of_a_newer_hub_is_told_with_what_to_do(db: Database) -> None:
    """After a newer version has changed the tables an older one leaves them alone, and says so."""
    with db.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match=r"newer version of the hub.*9999"):
        db.migrate()
    assert db.revision() == "9999"


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    """Three that find an empty database at the same time all end with the newest revision, and none fails."""
    opened = [open_database(empty_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        for started in [threads.submit(db.migrate) for db in opened]:
            started.result()
    assert [db.revision() for db in opened] == [newest_revision()] * 3
    for db in opened:
        db.close()


def test_municipalities_write_side_by_side_on_postgresql(db: Database, store: str) -> None:
    """Two municipalities' transactions are open at once; one for all of them waits until neither is."""
    if store == "sqlite":
        assert db.of(TENANT).revision() == newest_revision()
        return
    order: list[str] = []

    def for_all() -> None:
        with db.write():
            order.append("all")

    waiting = Thread(target=for_all)
    with db.of(TENANT).write() as one, db.of(OTHER).write() as other:
        waiting.start()
        _until_somebody_waits(db)
        one.execute(insert(cursors).values(_cursor("1")))
        other.execute(insert(cursors).values(_cursor("1") | {"tenant": OTHER}))
        order.append("each")
    waiting.join(10)
    assert order == ["each", "all"]


def test_a_database_that_does_not_answer_is_told_with_what_to_check(tmp_path: Path) -> None:
    """A closed address names hub.yaml, and neither user nor password."""
    db = open_database(f"postgresql+psycopg://canary:canary@/hub?host={tmp_path}")
    with pytest.raises(StoreUnavailable, match=r"`database` of hub\.yaml") as caught:
        db.migrate()
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    db.close()


def test_upsert_inserts_overwrites_and_keeps(db: Database) -> None:
    """A known record gets its new values but keeps when it was first seen; a new one is inserted."""
    later = NOW + timedelta(days=1)
    with db.write() as tx:
        for at, ids in ((NOW, "1 2"), (later, "2 3")):
            rows = [_record(foreign_id, at) for foreign_id in ids.split()]
            upsert(tx, records, rows, on=("tenant", "connection", "foreign_id"), keep=("first_seen_at",))
        found = tx.execute(select(records.c.foreign_id, records.c.first_seen_at, records.c.last_seen_at)).all()
    assert sorted(tuple(row) for row in found) == [("1", NOW, NOW), ("2", NOW, later), ("3", later, later)]


def test_upsert_of_nothing_new_changes_nothing(db: Database) -> None:
    """No rows is no statement, and rows with nothing to overwrite are only inserted where they are missing."""
    key = {"tenant": TENANT, "connection": VIGILO}
    with db.write() as tx:
        upsert(tx, connection_state, [], on=("tenant", "connection"))
        for _ in range(2):
            upsert(tx, connection_state, [key], on=("tenant", "connection"))
        assert tx.scalar(select(func.count()).select_from(connection_state)) == 1


def _until_somebody_waits(db: Database) -> None:
    waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    deadline = time.monotonic() + 10
    while True:
        with db.read() as tx:
            if tx.scalar(waits):
                return
        assert time.monotonic() < deadline, "nobody waits"


def _cursor(value: str) -> dict[str, object]:
    return {"tenant": TENANT, "connection": VIGILO, "value": value, "updated_at": NOW}


def _record(foreign_id: str, at: datetime) -> dict[str, object]:
    row = {"tenant": TENANT, "connection": VIGILO, "foreign_id": foreign_id}
    return row | {"first_seen_at": at, "last_seen_at": at}


def test_what_is_no_database_is_told_with_a_remedy(tmp_path: Path) -> None:
    """A file that is none, or a spoilt one, and an address that is none, end in words of ours, not in a library's."""
    spoilt = tmp_path / "spoilt.db"
    spoilt.write_bytes(b"SQLite format 3\0" + bytes(4000))
    other = tmp_path / "other.db"
    other.write_bytes(b"something else altogether " * 200)
    for path in (spoilt, other):
        with pytest.raises(StoreUnavailable, match="restore"):
            open_database(f"sqlite:///{path}").migrate()
    with pytest.raises(StoreUnavailable, match="no address"):
        open_database("hub.db")
