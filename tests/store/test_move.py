"""A store that is moved to PostgreSQL, or a part of it copied: the same rows to the byte, or nothing at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, delete, insert, select

from hub.store.database import Database, open_database
from hub.store.events import Action, append, chain, verify
from hub.store.leases import RUNS, claim
from hub.store.move import MoveRefused, copy_tenant, move_store
from hub.store.sealing import Purpose, TenantKeys
from hub.store.tables import cursors, events, log_keys, logs, metadata, records, runs
from tests.stores import PostgresServer

TENANT = "100000008"  # made up
NOW = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def source(path: Path) -> Iterator[Database]:
    db = open_database(f"sqlite:///{path}")
    yield db
    db.close()


@pytest.fixture
def target(postgresql: PostgresServer) -> Iterator[Database]:
    """Give an empty database that nobody has migrated."""
    with postgresql.database() as url:
        db = open_database(url)
        yield db
        db.close()


def test_everything_is_moved_to_the_byte(source: Database, target: Database, keys: TenantKeys) -> None:
    """Every table has the same rows with the same hash, sealed bytes open, and the chain of events holds."""
    body = _fill(source, keys, 1200)
    seen: list[tuple[str, int, int]] = []
    moved = move_store(source, target, NOW, lambda *step: seen.append(step))
    assert moved["logs"] == moved["records"] == 1200
    assert _hashes(target) == _hashes(source)
    assert seen[-1][1] == seen[-1][2] == sum(moved.values())
    assert verify(target, TENANT) == []
    with target.read() as tx:
        row = tx.execute(
            select(logs.c.sealed_body, log_keys).join(log_keys, logs.c.log_id == log_keys.c.log_id)
        ).first()
    assert row
    sealer = keys.sealer(f"log:{row.log_id}", row.wrapped_key, row.key_version)
    assert sealer.open("logs.sealed_body", row.sealed_body) == body


def test_events_are_counted_on_from_the_last(source: Database, target: Database) -> None:
    """The next event there gets the number after the last one ever given, though its row is gone."""
    with source.write() as tx:
        for number in range(3):
            _event(tx, number)
        tx.execute(delete(events).where(events.c.event_id == 3))
    move_store(source, target, NOW, _quietly)
    with target.write() as tx:
        _event(tx, 4)
        assert list(tx.scalars(select(events.c.event_id).order_by(events.c.event_id))) == [1, 2, 4]


def test_a_database_in_use_is_no_target(source: Database, target: Database) -> None:
    """Where the target has a row, nothing is moved and the table is named."""
    target.migrate()
    for db, value in ((source, "1"), (target, "2")):
        with db.write() as tx:
            tx.execute(insert(cursors).values(tenant=TENANT, connection="c", value=value, updated_at=NOW))
    with pytest.raises(MoveRefused, match=r"in cursors\. Give an empty one"):
        move_store(source, target, NOW, _quietly)
    with target.read() as tx:
        assert list(tx.scalars(select(cursors.c.value))) == ["2"]


def test_work_in_progress_is_not_moved(source: Database, target: Database) -> None:
    """While a worker has a run, it is told until when; after its lease the store can be moved, the run with it."""
    with source.write() as tx:
        row = {"run_id": "r1", "tenant": TENANT, "connection": "c", "occurrence": "o", "why": "schedule"}
        tx.execute(insert(runs).values(planned_at=NOW, queued_at=NOW, due_at=NOW, **row))
        assert claim(tx, RUNS, "r1", "worker", NOW, NOW + MINUTE)
    with pytest.raises(MoveRefused, match=r"works on a run until 08:01:00 UTC\. Stop every hub process"):
        move_store(source, target, NOW, _quietly)
    assert move_store(source, target, NOW + MINUTE, _quietly)["runs"] == 1


def test_only_from_sqlite_to_postgresql(source: Database, target: Database) -> None:
    """The other way round is refused."""
    target.migrate()
    with pytest.raises(MoveRefused, match=r"from SQLite, in hub\.yaml, to PostgreSQL"):
        move_store(target, source, NOW, _quietly)


def test_of_one_municipality_every_row_is_copied_and_no_other(db: Database, keys: TenantKeys, tmp_path: Path) -> None:
    """From either database to a file: its rows with the same hash, the next event after the last, its neighbour not."""
    _fill(db, keys, 600)
    before = _hashes(db)
    with db.write() as tx:
        tx.execute(insert(cursors).values(tenant="100000016", connection="c", value="1", updated_at=NOW))
        append(tx, "100000016", Action.RUN_QUEUED, "run", "r1", "hub", NOW, why="schedule")
    with closing(open_database(f"sqlite:///{tmp_path / 'copy.db'}")) as copy:
        copied = copy_tenant(db, copy, TENANT)
        assert _hashes(copy) == before
        assert (copied["logs"], copied["events"], copied["cursors"]) == (600, 600, 0)
        with copy.write() as tx:
            _event(tx, 600)
        assert verify(copy, TENANT) == []


def _quietly(_table: str, _done: int, _total: int) -> None:
    """Show nothing."""


def _event(tx: Connection, number: int) -> None:
    append(tx, TENANT, Action.RUN_QUEUED, "run", f"r{number}", "hub", NOW, why="schedule")


def _fill(db: Database, keys: TenantKeys, number: int) -> bytes:
    """Store so many sealed logs with a record and an event each, with every kind of column; return a body."""
    body = b'{"name": "Solskinn Testbarn"}' * 20
    with db.write() as tx:
        for each in range(number):
            log_id, key = f"l{each}", keys.new_key(f"log:l{each}")
            of_log = {"tenant": TENANT, "log_id": log_id}
            made = {"wrapped_key": key.wrapped_key, "key_version": key.key_version, "created_at": NOW}
            tx.execute(insert(log_keys).values(**of_log, **made))
            tx.execute(
                insert(logs).values(
                    **of_log,
                    status="active",
                    opened_on=date(2026, 8, 17),
                    counts={"measures": each},
                    subject_hash=keys.keyed_hash(Purpose.SUBJECT, b"%d" % each),
                    sealed_body=key.sealer.seal("logs.sealed_body", body),
                    updated_at=NOW + timedelta(microseconds=each),
                )
            )
            seen = {"first_seen_at": NOW, "last_seen_at": NOW}
            tx.execute(insert(records).values(**of_log, connection="c", foreign_id=f"æ{each}", **seen))
            _event(tx, each)
    chain(db, TENANT)
    return body


def _hashes(db: Database) -> dict[str, str]:
    return {table.name: _hash(db, table) for table in metadata.sorted_tables}


def _hash(db: Database, table: Table[Any]) -> str:
    with db.read() as tx:
        rows = sorted(repr(tuple(row)) for row in tx.execute(select(table)))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
