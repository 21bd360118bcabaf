"""The one way into the database: transactions that read, transactions that write, migrations, and bulk upserts.

On SQLite a transaction that writes takes the write lock when it begins. The driver's own default takes it at the
first write, and then two transactions that both read before they write lose one another's changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

_WAIT_SECONDS = 30
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """A database of the hub. Threads may share it; a transaction belongs to the thread that opened it."""

    def __init__(self, engine: Engine) -> None:
        self._reader = engine.execution_options(hub_writes=False, postgresql_readonly=True)
        self._writer = engine.execution_options(hub_writes=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commits at the end, rolls back on any error.

        On SQLite one transaction at a time, in any process, is open; another waits up to 30 seconds. Do no network
        work inside, and never open a second one inside the first.
        """
        with self._writer.begin() as tx:
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state throughout and refuses to write."""
        with self._reader.begin() as tx:
            yield tx

    def migrate(self) -> None:
        """Bring the tables to the newest revision, all in one transaction. Doing it again changes nothing."""
        with self.write() as tx:
            config = _alembic()
            config.attributes["connection"] = tx
            command.upgrade(config, "head")

    def revision(self) -> str | None:
        """Return the revision that the tables have; none before the first `migrate`."""
        with self.read() as tx:
            return MigrationContext.configure(tx).get_current_revision()

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()


def open_database(url: str) -> Database:
    """Open the database at an SQLAlchemy URL, such as `sqlite:////var/lib/stafetthub/hub.db`.

    SQLite must be a file: its log is written ahead (WAL) and flushed at every commit, so that a power loss loses
    nothing committed. Errors never show the values of a statement.
    """
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return Database(engine)


def newest_revision() -> str | None:
    """Return the revision that this version of the hub needs."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def upsert(
    tx: Connection,
    table: Table[Any],
    rows: Sequence[Mapping[str, object]],
    *,
    on: Sequence[str],
    keep: Sequence[str] = (),
) -> None:
    """Insert rows, or overwrite those that have the same values in the columns `on` (a unique constraint).

    All rows name the same columns. Overwriting leaves the primary key and the columns `keep` (such as first_seen_at)
    as they were. A few hundred rows a call is a good size.
    """
    if not rows:
        return
    dialect = sqlite if tx.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table)
    fixed = {*on, *keep, *(column.name for column in table.primary_key)}
    changed = {name: statement.excluded[name] for name in rows[0] if name not in fixed}
    if changed:
        tx.execute(statement.on_conflict_do_update(index_elements=on, set_=changed), rows)
    else:
        tx.execute(statement.on_conflict_do_nothing(index_elements=on), rows)


def _prepare_sqlite(connection: SqliteConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; _begin_sqlite does
    for pragma in (
        f"busy_timeout={_WAIT_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # a shredded key or a wiped payload is overwritten in the file, too
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options()["hub_writes"]
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
