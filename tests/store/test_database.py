"""Transactions that lose nothing, migrations that agree with the tables, and upserts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from hub.store.database import Database, newest_revision, open_database, upsert
from hub.store.tables import connection_state, cursors, metadata, records

TENANT = "100000008"  # made up
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


def test_sqlite_is_set_so_that_nothing_committed_is_lost(db: Database) -> None:
    """WAL, a flush at every commit, foreign keys, patience with other writers, and overwriting of what is deleted."""
    with db.read() as tx:
        read = {
            name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "secure_delete")
        }
    full = 2
    assert read == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "secure_delete": 1,
    }


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
        with pytest.raises(OperationalError):
            reading.execute(insert(cursors).values(_cursor("2")))


def test_errors_do_not_show_values(db: Database) -> None:
    """The text of a database error names the statement and never what was written."""
    with db.write() as tx:
        tx.execute(insert(cursors).values(_cursor("canary-4711")))
        with pytest.raises(IntegrityError) as caught:
            tx.execute(insert(cursors).values(_cursor("canary-4711")))
    assert "cursors" in str(caught.value)
    assert "canary-4711" not in str(caught.value) + repr(caught.value)


def test_migrations_and_tables_agree(db: Database) -> None:
    """Alembic finds no difference between a migrated database and the tables in the code."""
    with db.read() as tx:
        assert compare_metadata(MigrationContext.configure(tx), metadata) == []


def test_migrating_brings_the_newest_revision_once(tmp_path: Path) -> None:
    """An empty file gets the newest revision, and migrating again changes nothing."""
    db = open_database(f"sqlite:///{tmp_path / 'new.db'}")
    assert db.revision() is None
    db.migrate()
    db.migrate()
    assert db.revision() == newest_revision() == "0002"
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


def _cursor(value: str) -> dict[str, object]:
    return {"tenant": TENANT, "connection": VIGILO, "value": value, "updated_at": NOW}


def _record(foreign_id: str, at: datetime) -> dict[str, object]:
    row = {"tenant": TENANT, "connection": VIGILO, "foreign_id": foreign_id}
    return row | {"first_seen_at": at, "last_seen_at": at}
