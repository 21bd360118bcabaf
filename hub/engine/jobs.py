"""Procrastinate's jobs in a schema of their own: ids of rows on their way to a worker, and nothing else.

Whatever lies there may be thrown away at any time, for the sweep brings every due row again. So the schema is never
migrated: where it is missing, damaged or another version's, it is made anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import LiteralString

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.connector import Notify
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Status
from procrastinate.schema import SchemaManager
from psycopg.sql import SQL, Literal

from hub.engine.port import Task

TASK = "row"
_LOCK = 0x5375
_PAUSE_SECONDS = 1.0
_SCHEMA: LiteralString = SchemaManager.get_schema()
_MADE_FROM = sha256(_SCHEMA.encode()).hexdigest()[:16]
_TABLES = _SCHEMA.count("CREATE TABLE ")
_IS_MADE = SQL(
    "SELECT obj_description(to_regnamespace('procrastinate'), 'pg_namespace') = {} "
    "AND (SELECT count(*) FROM pg_tables WHERE schemaname = 'procrastinate') = {}"
).format(Literal(_MADE_FROM), Literal(_TABLES))
_CONNECTION = {
    "options": "-c search_path=procrastinate -c lock_timeout=30s",
    "application_name": "stafetthub-jobs",
    "connect_timeout": 5,
    # A statement that the server remembers names types by number, and those are others when the schema is made anew.
    "prepare_threshold": None,
}


def make_schema(url: str) -> None:
    """Make Procrastinate's schema unless it is there as this version wants it; one process at a time.

    Jobs that lay there are gone afterwards. `url` is a libpq address.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        found = connection.execute(_IS_MADE).fetchone()
        if found and found[0]:
            return
        connection.execute("SET LOCAL client_min_messages = warning")
        connection.execute("DROP SCHEMA IF EXISTS procrastinate CASCADE")
        connection.execute("CREATE SCHEMA procrastinate")
        connection.execute("SET LOCAL search_path = procrastinate")
        connection.execute(_SCHEMA)
        connection.execute(SQL("COMMENT ON SCHEMA procrastinate IS {}").format(Literal(_MADE_FROM)))


class Jobs:
    """The line of jobs as those see it who put rows in. Threads may share it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._app = App(
            connector=SyncPsycopgConnector(conninfo=url, kwargs=_CONNECTION, min_size=1, max_size=4, timeout=5)
        )

    def open(self) -> None:
        """Connect, and make the schema where it is missing."""
        make_schema(self._url)
        self._app.open()

    def close(self) -> None:
        """Close all connections."""
        self._app.close()

    def put(self, task: Task) -> None:
        """Put a row in line, unless it stands there already; where the line itself is gone, make it anew first."""
        try:
            self._put(task)
        except ConnectorException:
            make_schema(self._url)
            self._put(task)

    def _put(self, task: Task) -> None:
        # Asked first, because a refusal by the lock alone would be an error line in PostgreSQL's log each minute.
        lock = f"{task.kind}:{task.row_id}"
        if self._app.job_manager.list_jobs(queueing_lock=lock, status=Status.TODO.value):
            return
        with suppress(AlreadyEnqueued):
            self._app.configure_task(TASK, queueing_lock=lock).defer(kind=task.kind, row_id=task.row_id)


class _Connector(PsycopgConnector):
    """Listens again when the database is back.

    Procrastinate's own gives up where it cannot connect anew at once, and a worker without periodic tasks does not
    notice: it would be woken no more until it is started again.
    """

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Hand on what PostgreSQL notifies of, until cancelled."""
        while True:
            with suppress(ConnectorException):
                await super().listen_notify(on_notification, channels)
            await asyncio.sleep(_PAUSE_SECONDS)


def worker_app(url: str) -> App:
    """Return the app for the event loop of a worker."""
    return App(connector=_Connector(conninfo=url, kwargs=_CONNECTION, min_size=1, max_size=4))


async def drop_stalled(app: App, seconds: float) -> None:
    """Drop the jobs of workers that have not been heard of for so long. Their rows come again after their leases."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        await app.job_manager.finish_job(job, status=Status.ABORTED, delete_job=True)
