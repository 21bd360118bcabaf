"""The one way into the database: transactions that read, transactions that write, migrations, and bulk upserts.

A transaction that writes takes a lock when it begins, so that two which both read before they write never lose one
another's changes. On SQLite that is the file's write lock (the driver's own default takes it at the first write, too
late), and threads stand in line for it. On PostgreSQL, which has lines of its own, it is an advisory lock: one writer
for each municipality, or one for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from sqlite3 import OperationalError as SqliteError
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, ExceptionContext, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from hub.store.turns import NotYet, Turns

_WAIT_SECONDS = 30
_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5374  # the hub's advisory locks: this number and 0 for all municipalities, or one's organisation number
_SESSION = {
    "synchronous_commit": "on",  # a server that crashes must not forget that a change was about to be sent
    "lock_timeout": f"{_WAIT_SECONDS}s",
    "idle_in_transaction_session_timeout": "20s",  # a machine that hangs keeps the others from writing no longer
    "tcp_user_timeout": "20s",  # also in the middle of an answer, of which no other setting here knows
    "tcp_keepalives_idle": "30",  # and one that lost its power is noticed in a minute
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
}
WHILE_IT_ANSWERS = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",  # milliseconds
}
"""What libpq is told, so that a server which left the network is noticed in a minute instead of after hours.

However long a server that is still there works on a statement or waits for a lock, it is waited for.
"""

IN_THE_WAY = "Somebody uses the database, and what was deleted still lies in its files. Try again"


class StoreUnavailable(Exception):
    """The database does not answer, or does not let the hub in. Says what to check, never the address."""


class Database:
    """A database of the hub. Threads may share it; a transaction belongs to the thread that opened it."""

    def __init__(self, engine: Engine, tenant: str = "", turns: Turns | None = None) -> None:
        one_state = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        self._engine = engine
        self._turns = turns
        self._reader = engine.execution_options(hub_writes=False, postgresql_readonly=True, **one_state)
        self._writer = engine.execution_options(hub_writes=True, hub_tenant=tenant)

    def of(self, tenant: str) -> Database:
        """Return the same database for the writing of one municipality (its organisation number).

        On PostgreSQL that goes on beside the writing of others; on SQLite there is one writer. Whoever writes for
        several, or changes what all share, writes by the database as it was opened.
        """
        return Database(self._engine, tenant, self._turns)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commits at the end, rolls back on any error.

        One at a time is open, in any process (see `of`); another waits up to 30 seconds, and on SQLite as long for
        those of its own process and for another's. Do no network work inside, and never open a second one inside the
        first.
        """
        with self._turn(), self._writer.begin() as tx:
            yield tx

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait in line where the database has none of its own; too long a wait is told as the database tells it."""
        waits: AbstractContextManager[None] = self._turns.turn() if self._turns else nullcontext()
        try:
            with waits:
                yield
        except NotYet:
            raise OperationalError("BEGIN IMMEDIATE", None, SqliteError("database is locked")) from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state throughout and refuses to write."""
        with self._reader.begin() as tx:
            yield tx

    def migrate(self) -> None:
        """Bring the tables to the newest revision, all in one transaction. Doing it again only reads.

        Raises StoreUnavailable, also where a newer version of the hub has made the tables.
        """
        self._reach()
        revision, newest = self.revision(), newest_revision()
        if revision == newest:
            return
        if revision is not None and revision not in _revisions():
            raise StoreUnavailable(
                f"This database belongs to a newer version of the hub: its tables are of revision {revision}, and this "
                f"version knows {newest}. Nothing was changed. Install the newer version again, or put back a backup "
                "that this version made by `hub restore`"
            )
        with self.write() as tx:
            config = _alembic()
            config.attributes["connection"] = tx
            command.upgrade(config, "head")

    def _reach(self) -> None:
        try:
            self._engine.connect().close()
        except OperationalError:
            raise StoreUnavailable(
                "The database does not let the hub in. Check that it runs, and its address, user and password in "
                "`database` of hub.yaml"
            ) from None
        except DatabaseError:
            raise StoreUnavailable(
                "What `database` of hub.yaml names is no whole database. Look at the disk, keep the file, and put "
                "back a backup by `hub restore`"
            ) from None

    def forget_deleted(self) -> None:
        """Have the database give up what was deleted: nothing of it is left in its file, nor in SQLite's log.

        On PostgreSQL rows that nobody can see are taken away; its own log (WAL) keeps them until it is recycled. Do it
        while little else goes on. Raises StoreUnavailable where somebody's transaction is in the way for 30 seconds.
        """
        try:
            with self._turn():
                self._forget_deleted()
        except (OperationalError, self._engine.dialect.loaded_dbapi.OperationalError):
            raise StoreUnavailable(IN_THE_WAY) from None

    def _forget_deleted(self) -> None:
        raw = self._engine.raw_connection()
        driver: Any = raw.driver_connection
        try:
            if self._engine.dialect.name == "sqlite":
                raw.info.pop("hub_writes", None)
                _empty_sqlite(driver)
            else:
                driver.autocommit = True
                try:
                    driver.execute("VACUUM")
                finally:
                    driver.autocommit = False
        finally:
            raw.close()

    def revision(self) -> str | None:
        """Return the revision that the tables have; none before the first `migrate`."""
        with self.read() as tx:
            return MigrationContext.configure(tx).get_current_revision()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open the database at an SQLAlchemy URL: `sqlite:////var/lib/stafetthub/hub.db` or `postgresql+psycopg://…`.

    SQLite must be a file: its log is written ahead (WAL) and flushed at every commit, so that a power loss loses
    nothing committed. PostgreSQL is told to flush as well, whatever its own setting. Errors never show the values of a
    statement. Raises StoreUnavailable for what is no such URL.
    """
    try:
        make_url(url)
    except ArgumentError:
        raise StoreUnavailable(
            "This is no address of a database. Write sqlite:////path/to/hub.db, or postgresql+psycopg://user@host/name"
        ) from None
    if is_postgresql(url):
        return Database(_postgresql_engine(url))
    return Database(_sqlite_engine(url), turns=Turns(_WAIT_SECONDS))


def is_postgresql(url: str) -> bool:
    """Tell whether a database URL names PostgreSQL, which several processes and machines may share."""
    return url.startswith("postgresql")


def libpq_url(url: str) -> str:
    """Return the address of a PostgreSQL database as others than SQLAlchemy read it. It holds the password."""
    return _with_patience(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _with_patience(url: str) -> URL:
    """Add how long libpq waits for a server that is gone, unless the address says so itself."""
    address = make_url(url)
    return address.set(query={**WHILE_IT_ANSWERS, **address.query})


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: str) -> Engine:
    """A worker thread uses one connection at a time; what is beyond five is closed again when it is given back."""
    settings = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    engine = create_engine(
        _with_patience(url),
        hide_parameters=True,
        pool_size=5,
        max_overflow=40,
        pool_pre_ping=True,
        connect_args={"options": settings, "application_name": "stafetthub", "connect_timeout": 10},
    )
    event.listen(engine, "begin", _begin_postgresql)
    event.listen(engine, "handle_error", _hide_values)
    return engine


def newest_revision() -> str | None:
    """Return the revision that this version of the hub needs."""
    return ScriptDirectory.from_config(_alembic()).get_current_head()


def _revisions() -> set[str]:
    return {each.revision for each in ScriptDirectory.from_config(_alembic()).walk_revisions()}


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
    tx.execute(_upsert(tx.dialect.name, table, tuple(rows[0]), tuple(on), tuple(keep)), rows)


@lru_cache(maxsize=100)
def _upsert(
    dialect: str, table: Table[Any], names: tuple[str, ...], on: tuple[str, ...], keep: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    """Return the statement; to make it costs more than to carry it out."""
    statement = sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
    fixed = {*on, *keep, *(column.name for column in table.primary_key)}
    changed = {name: statement.excluded[name] for name in names if name not in fixed}
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=on)
    return statement.on_conflict_do_update(index_elements=on, set_=changed)


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


def _empty_sqlite(connection: SqliteConnection) -> None:
    """Write all pages anew and cut the log off, where the deleted ones still lie."""
    connection.execute("PRAGMA query_only=OFF")  # the last user of the pooled connection may have been a reader
    connection.execute("VACUUM")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable(IN_THE_WAY)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options()["hub_writes"]
    if connection.info.get("hub_writes") is not writes:  # a pooled connection may be as the one before left it
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.info["hub_writes"] = writes
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options["hub_writes"]:
        return
    if tenant := options["hub_tenant"]:
        # Shared with other municipalities, so that only who writes for all of them has to wait.
        both = f"SELECT pg_advisory_xact_lock_shared({_LOCK}, 0), pg_advisory_xact_lock({_LOCK}, {int(tenant)})"
        connection.exec_driver_sql(both)
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK}, 0)")


def _hide_values(context: ExceptionContext) -> None:
    """Put code, table and constraint in the place of PostgreSQL's own text, which quotes the row that it refuses."""
    error, shown = context.original_exception, context.sqlalchemy_exception
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None or not diagnosis.sqlstate:
        return
    places = (diagnosis.sqlstate, diagnosis.table_name, diagnosis.column_name, diagnosis.constraint_name)
    error.args = (" ".join(place for place in places if place),)
    if isinstance(shown, DBAPIError):
        shown.args = (f"({type(error).__name__}) {error.args[0]}",)


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
