"""Takes rows to another database: a whole store from SQLite to PostgreSQL, or one municipality's to a file for a while.

Either is one transaction: all of it is there afterwards, or nothing. What is sealed is carried as it lies, so that no
key is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, exists, func, insert, select, text

from hub.store.database import Database
from hub.store.leases import DELIVERIES, RUNS
from hub.store.tables import metadata

_BATCH = 500

Progress = Callable[[str, int, int], None]
"""Takes the table at hand, the rows moved so far, and how many there are."""


class MoveRefused(Exception):
    """The store cannot be moved as things are. Says what is in the way and what to do; nothing has been written."""


def move_store(source: Database, target: Database, now: datetime, progress: Progress) -> dict[str, int]:
    """Copy every row to an empty PostgreSQL database, count again there, and return the rows by table.

    The target is migrated first. Nobody can write to the source meanwhile, and it stays as it is. Raises MoveRefused
    where the target has rows or is not PostgreSQL, the source is not SQLite, or somebody is at work.
    """
    target.migrate()
    with source.write() as old, target.write() as new:
        _check(old, new, now)
        rows = {table.name: _count(old, table) for table in metadata.sorted_tables}
        done, total = 0, sum(rows.values())
        for table in metadata.sorted_tables:
            for copied in _copied(old, new, table, select(table)):
                done += copied
                progress(table.name, done, total)
            _go_on_counting(old, new, table)
        if wrong := [table.name for table in metadata.sorted_tables if _count(new, table) != rows[table.name]]:
            raise MoveRefused(f"{wrong[0]}: not as many rows as in the old store. Nothing was moved; report this")
    return rows


def copy_tenant(source: Database, target: Database, tenant: str) -> dict[str, int]:
    """Copy one municipality's rows (by its organisation number) to an empty SQLite database; return them by table.

    They are as they stood at one instant, and others may write meanwhile. The target is migrated first.
    """
    target.migrate()
    with source.read() as old, target.write() as new:
        return {
            table.name: sum(_copied(old, new, table, select(table).where(table.c.tenant == tenant)))
            for table in metadata.sorted_tables
        }


def _copied(old: Connection, new: Connection, table: Table[Any], rows: Select[Any]) -> Iterator[int]:
    """Copy rows of a table, a batch at a time so that they need not all be in memory; yield how many each has."""
    found = old.execute(rows.order_by(*table.primary_key), execution_options={"yield_per": _BATCH})
    for batch in found.mappings().partitions():
        new.execute(insert(table), [dict(row) for row in batch])
        yield len(batch)


def _check(old: Connection, new: Connection, now: datetime) -> None:
    if (old.dialect.name, new.dialect.name) != ("sqlite", "postgresql"):
        raise MoveRefused("A store is moved from SQLite, in hub.yaml, to PostgreSQL, as postgresql+psycopg://…")
    if used := [table.name for table in metadata.sorted_tables if new.scalar(select(exists().select_from(table)))]:
        raise MoveRefused(f"The new database has rows already, such as in {used[0]}. Give an empty one")
    for work in (RUNS, DELIVERIES):
        until = old.scalar(
            select(func.max(work.table.c.lease_until)).where(work.state.in_([*work.waiting, work.working]))
        )
        if until and until > now:
            raise MoveRefused(
                f"Somebody works on a {work.kind} until {until:%H:%M:%S} UTC. Stop every hub process and try again then"
            )


def _count(tx: Connection, table: Table[Any]) -> int:
    return tx.scalar(select(func.count()).select_from(table)) or 0


def _go_on_counting(old: Connection, new: Connection, table: Table[Any]) -> None:
    """Let a counted column go on after the last number ever given, also where its row is gone."""
    column = table.autoincrement_column
    if column is None:
        return
    last = old.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    if last:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        new.execute(select(func.setval(sequence, last)))
