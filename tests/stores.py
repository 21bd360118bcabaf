"""A private PostgreSQL for tests, from the system's own binaries: nothing of it is left, and no other is touched."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

_BINARIES = Path("/usr/lib/postgresql")
_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")
_PORT = 5432
_WAIT_SECONDS = 30


def postgresql_binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL of this machine, where Debian and Ubuntu put it; None without one."""
    found = sorted(_BINARIES.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """A running server that is reached by its socket alone, with databases made for one test each.

    `start` starts the server's process in its folder. The port is also in the name of the socket.
    """

    def __init__(self, folder: Path, start: Callable[[], subprocess.Popen[bytes]], port: int) -> None:
        self._folder = folder
        self._port = port
        self._start = start
        self._numbers = count(1)
        self._running = start()

    def url(self, database: str) -> str:
        """Return a database's address as the hub takes it."""
        return f"postgresql+psycopg://hub@/{database}?host={self._folder}&port={self._port}"

    def execute(self, statement: str) -> None:
        """Carry out one statement about databases."""
        with psycopg.connect(
            host=str(self._folder), port=self._port, user="hub", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """Make a database after another one, give its address, and drop it."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def away(self, ending: signal.Signals) -> Iterator[None]:
        """Stop the server for a while, by SIGINT as an operator does (`fast`) or by SIGQUIT as it crashes."""
        self.stop(ending)
        try:
            yield
        finally:
            self._running = self._start()
            self.wait()

    def stop(self, ending: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and wait until it has ended."""
        self._running.send_signal(ending)
        self._running.wait(_WAIT_SECONDS)

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert self._running.poll() is None, "PostgreSQL ended at once"
                assert time.monotonic() < deadline, "PostgreSQL does not answer"
                time.sleep(0.05)


@contextmanager
def private_postgresql(binaries: Path, port: int | None = None) -> Iterator[PostgresServer]:
    """Start a server on a new folder and stop it; with a port it is also reached on the loopback.

    PostgreSQL refuses to be root, so that root lends it `nobody`.
    """
    folder = Path(tempfile.mkdtemp(prefix="stafetthub-pg-"))
    user, group = ("nobody", "nogroup") if os.geteuid() == 0 else (None, None)
    if user and group:
        shutil.chown(folder, user, group)

    def start(*command: str | Path) -> subprocess.Popen[bytes]:
        with (folder / "out.log").open("ab") as out:
            return subprocess.Popen(
                command, cwd=folder, stdout=out, stderr=out, user=user, group=group, extra_groups=[] if user else None
            )

    try:
        made = start(binaries / "initdb", "-D", folder / "data", "-U", "hub", "-A", "trust", "-E", "UTF8", "--no-sync")
        assert made.wait(_WAIT_SECONDS) == 0, (folder / "out.log").read_text()
        listen = ("listen_addresses=127.0.0.1" if port else "listen_addresses=", f"port={port or _PORT}")
        settings = [part for setting in (*_SETTINGS, *listen) for part in ("-c", setting)]
        command: tuple[str | Path, ...] = (binaries / "postgres", "-D", folder / "data", "-k", folder, *settings)
        server = PostgresServer(folder, lambda: start(*command), port or _PORT)
        try:
            server.wait()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
