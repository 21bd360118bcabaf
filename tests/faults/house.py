"""A hub as it runs: real processes on a written configuration, a store that is read from outside, and figures.

Time is let pass by moving the rows' own instants back, as half an hour of waiting for a lease shows nothing more.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx
from sqlalchemy import Executable, Row, Select, and_, func, or_, select, text, update

from hub.bootstrap import Hub, open_hub, read_settings, system_clock
from hub.connectors.relaylog import RelayLogs
from hub.store.database import Database, open_database
from hub.store.sealing import new_key_file
from hub.store.tables import DeliveryState, RunState, connection_state, deliveries, logs, records, runs
from hub.store.work import WorkStore
from tests.faults.children import SINKS, SOURCE, Tree, texts
from tests.faults.proxy import Proxy

ROOT = Path(__file__).parents[2]
TENANT = "900001002"  # made up, with a control digit that fits
ALL = (SOURCE, *SINKS)
REPEAT = {SOURCE: "look_up", "refuses_key": "key", "look_up_only": "look_up", "neither": "never"}
OPEN = (DeliveryState.READY, DeliveryState.SENDING, DeliveryState.UNKNOWN)
BUSY = (RunState.QUEUED, RunState.RUNNING)
FROZEN = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
    "AND state IN ('active', 'idle in transaction') AND wait_event IN ('ClientRead', 'ClientWrite') "
    "AND pid <> pg_backend_pid() AND state_change < clock_timestamp() - interval '1 second'"
)
"""Ends the sessions that have waited for their client in a transaction, or in a statement, for a second."""
OPEN_FOR_LONG = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND xact_start < clock_timestamp() - interval '1 second'"
)
"""Counts the transactions that are older than a second, also those that wait for a lock."""


def scale(*, full: int, short: int) -> int:
    """Give how much a test does: all of it under `make faults`, else enough to see what it shows."""
    return full if os.environ.get("STAFETTHUB_FAULTS") == "full" else short


PATIENCE = scale(full=7_200, short=300)
"""How many seconds a sync may take before it counts as stuck."""


@dataclass
class OtherSide:
    """The process with the source and the sinks. Use as a context manager."""

    folder: Path
    count: int
    port: int = 0
    _lines: SimpleQueue[str] = field(default_factory=SimpleQueue)
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.faults.source", str(self.folder), str(self.count)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        Thread(target=self._listen, daemon=True).start()
        self.port = int(self.told())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line.strip())

    def told(self, seconds: float = 60) -> str:
        """Wait for the next line: the port at first, then each change that is held back."""
        try:
            return self._lines.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"the other side told nothing within {seconds} seconds") from None

    def order(self, system: str, **orders: object) -> Tree:
        """Tell a system what to do; give its pages served and its records as they stand."""
        answer: Tree = httpx.post(
            f"http://127.0.0.1:{self.port}/{system}", json=orders, trust_env=False, timeout=120
        ).json()
        return answer

    def journal(self, system: str) -> list[dict[str, str]]:
        """Give every change that a sink accepted, in order."""
        return self._read(system, "journal")

    def attempts(self, system: str) -> list[dict[str, str]]:
        """Give every change that was sent to a sink, accepted or not."""
        return self._read(system, "attempts")

    def doubles(self) -> list[dict[str, str]]:
        """Give the changes that a sink accepted under a key that it had accepted, or that changed nothing."""
        found = []
        for sink in SINKS:
            last, keys = dict[str, str](), set[str]()
            for line in self.journal(sink):
                if line["key"] in keys or last.get(line["record"]) == line["sha256"]:
                    found.append(line)
                keys.add(line["key"])
                last[line["record"]] = line["sha256"]
        return found

    def lacking(self, *sinks: str) -> list[str]:
        """Give the records of sinks, of all where none is named, that do not hold each text of the source once."""
        wanted = [texts(each["body"]) for each in self.order(SOURCE)["records"].values()]
        found = []
        for sink in sinks or SINKS:
            pairs = zip(self.order(sink)["records"].items(), wanted, strict=True)
            found += [record_id for (record_id, each), said in pairs if texts(each["body"]) != said]
        return found

    def _read(self, system: str, kind: str) -> list[dict[str, str]]:
        path = self.folder / f"{system}.{kind}"
        return [json.loads(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


@dataclass
class House:
    """A configured hub. `ports` says where each connection finds its system: the other side itself, or a proxy."""

    folder: Path
    ports: Mapping[str, int]
    database: str = ""
    page_size: int = 100
    more: Mapping[str, Tree] = field(default_factory=dict)
    _db: Database | None = None
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.database = self.database or f"sqlite:///{self.folder / 'hub.db'}"
        self.write()
        new_key_file(self.folder / "tenant.key")
        self._db = open_database(self.database)
        self._db.migrate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
        self.db.close()

    @property
    def db(self) -> Database:
        """The store, read from outside."""
        assert self._db
        return self._db

    def write(self) -> None:
        """Write the configuration folder."""
        tenant = self.folder / "config" / "tenants" / TENANT
        (tenant / "connections").mkdir(parents=True, exist_ok=True)
        hub = {"environment": "test", "data": str(self.folder), "database": "${env:STAFETTHUB_DATABASE}"}
        _write(self.folder / "config" / "hub.yaml", hub)
        who = {"name": "Fjordvik kommune", "organisation_number": TENANT, "language": "nb", "controller": "Fjordvik"}
        _write(tenant / "tenant.yaml", {**who, "key_file": str(self.folder / "tenant.key")})
        watch = {"user": "it-vakt", "role": "operator", "valid_from": "2026-01-01", "granted_by": "leader-1"}
        _write(tenant / "roles.yaml", [watch])
        for name, port in self.ports.items():
            _write(tenant / "connections" / f"{name}.yaml", self._connection(name, port))

    def mend(self, **fields: object) -> None:
        """Write the municipality's own version of the open template, in which some fields are read otherwise."""
        folder = self.folder / "config" / "tenants" / TENANT / "mappings"
        folder.mkdir()
        _write(folder / "relaylog-open.yaml", {"extends": "relaylog/open", "version": 2, "fields": fields})

    def _connection(self, name: str, port: int) -> Tree:
        service = SINKS.get(name, SOURCE)
        return {
            "system": "relaylog",
            "mapping": "relaylog/open",
            "base_url": f"http://127.0.0.1:{port}/{name}",
            "repeat": REPEAT[name],
            "page_size": self.page_size,
            "services": [service],
            "readers": [service],
            "verified_ids": True,
            "first_contact": "send",
            "deliver": name in SINKS,
            "timeouts": {"connect": 2, "read": 5, "total": 10},
            **self.more.get(name, {}),
        }

    # --- processes -----------------------------------------------------------------------------------------------

    def start(self, *arguments: str, under: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start the command in the background, `under` a program that limits it; its log goes to `hub.log`."""
        return self._launch([*under, sys.executable, "-m", "hub", *arguments, "--config", str(self.folder / "config")])

    def start_clocked(self, role: str, clock: Path) -> subprocess.Popen[bytes]:
        """Start a scheduler or a worker whose time stands in a file, and wait until it is at work."""
        ready, config = self.told("ready\n"), str(self.folder / "config")
        process = self._launch([sys.executable, "-m", "tests.faults.clocked", role, config, str(clock)])
        wait_for(lambda: self.told("ready\n") > ready or process.poll() is not None, 60, self.log)
        assert process.poll() is None, self.log()
        return process

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        environ = {**os.environ, "STAFETTHUB_DATABASE": self.database, "PYTHONFAULTHANDLER": "1"}
        with (self.folder / "hub.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environ)
        self._processes.append(process)
        return process

    def hub(self, *arguments: str) -> int:
        """Run a command to its end and give its exit code."""
        return self.start(*arguments).wait(timeout=600)

    def told(self, line: str) -> int:
        """Give how often the processes have written a line to their log."""
        log = self.folder / "hub.log"
        return log.read_text("utf-8").count(line) if log.exists() else 0

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process as a power cut does."""
        process.send_signal(signal.SIGKILL)
        process.wait()
        self._processes.remove(process)

    def freeze(self, process: subprocess.Popen[bytes]) -> None:
        """Stop a process as a machine that falls asleep; PostgreSQL ends its transactions, as after a while by itself.

        Another of its threads may have waited for the lock that is free then, and so on.
        """
        process.send_signal(signal.SIGSTOP)
        for _ in range(30):
            time.sleep(1.1)
            self.rows(FROZEN)
            [(open_for_long,)] = self.rows(OPEN_FOR_LONG)
            if not open_for_long:
                return
        raise AssertionError("the frozen process still holds the database")

    def stop(self, process: subprocess.Popen[bytes], seconds: float = 30) -> float:
        """End a process as an operator does; it must end well, in time. Give how many seconds it took.

        The log of one that does not end tells where each of its threads is.
        """
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            ended = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            ended = process.wait()
        assert ended == 0, self.log()
        self._processes.remove(process)
        return time.monotonic() - begun

    def log(self) -> str:
        """Give the end of what the processes have logged."""
        return (self.folder / "hub.log").read_text("utf-8")[-8000:]

    @contextmanager
    def opened(self) -> Iterator[Hub]:
        """Open the hub in this process, with a way to the database of its own as another process has it."""
        environ = {"STAFETTHUB_DATABASE": self.database}
        with open_hub(read_settings(self.folder / "config", environ), system_clock()) as hub:
            try:
                yield hub
            finally:
                for name in self.ports:
                    connector = hub.connection(name)[1].connector
                    assert isinstance(connector, RelayLogs)
                    connector._http.close()

    # --- work ----------------------------------------------------------------------------------------------------

    def queue(self, *names: str) -> list[str]:
        """Write a run down for each connection, all where none is named; the next process does them."""
        now = datetime.now(UTC)
        store = WorkStore(TENANT, lambda: str(uuid4()))
        with self.db.write() as tx:
            made = [
                store.queue_run(tx, f"{TENANT}/{name}", f"{name} {uuid4()}", "person", now, now)
                for name in names or self.ports
            ]
        return [run_id for run_id in made if run_id]

    def let_time_pass(self) -> None:
        """Let all leases, pauses and breakers run out."""
        past = datetime.now(UTC) - timedelta(seconds=1)
        with self.db.write() as tx:
            for table in (runs, deliveries):
                tx.execute(update(table).where(table.c.lease_until.is_not(None)).values(lease_until=past))
            tx.execute(update(runs).where(runs.c.state.in_(BUSY)).values(due_at=past))
            tx.execute(update(deliveries).where(deliveries.c.state.in_(OPEN)).values(due_at=past))
            for until in (connection_state.c.breaker_until, connection_state.c.parked_until):
                tx.execute(update(connection_state).where(until.is_not(None)).values({until: past}))

    def busy(self) -> int:
        """Give how many runs wait or run."""
        return self._count(select(runs.c.run_id).where(runs.c.state.in_(BUSY)))

    def waiting(self) -> int:
        """Give how many deliveries are not ended."""
        return self._count(select(deliveries.c.delivery_id).where(deliveries.c.state.in_(OPEN)))

    def at_work(self) -> bool:
        """Tell whether anything can be done now: a run that is due, a log to route, or a delivery that is due."""
        c, now = deliveries.c, datetime.now(UTC)
        at_run = or_(runs.c.state == RunState.RUNNING, and_(runs.c.state == RunState.QUEUED, runs.c.due_at <= now))
        standing = select(c.log_id).where(c.state.in_((*OPEN, DeliveryState.HELD)), c.log_id == logs.c.log_id)
        unrouted = select(logs.c.log_id).where(logs.c.version > logs.c.routed_version, ~standing.exists())
        sending = c.state == DeliveryState.SENDING
        due = select(c.delivery_id).where(c.state.in_(OPEN), or_(sending, c.due_at <= now))
        return any(map(self._count, (select(runs.c.run_id).where(at_run), unrouted, due)))

    def work(self, *names: str) -> None:
        """Let a process do a run of each connection and all that follows, and stop it."""
        self.let_time_pass()
        self.queue(*names)
        process = self.start("run")
        wait_for(lambda: not self.at_work() or process.poll() is not None, PATIENCE, self.log)
        self.stop(process)

    def rest(self, rounds: int = 6) -> None:
        """Let the hub work until nothing waits, as days would pass."""
        for _ in range(rounds):
            self.work()
            if not self.waiting() and not self.busy():
                return
        raise AssertionError(
            f"{self.waiting()} deliveries and {self.busy()} runs still wait after {rounds} rounds. {self.log()}"
        )

    def _count(self, rows: Select[Any]) -> int:
        with self.db.read() as tx:
            return tx.scalar(select(func.count()).select_from(rows.subquery())) or 0

    # --- what is in the store ------------------------------------------------------------------------------------

    def rows(self, statement: Executable) -> list[Row[Any]]:
        """Read rows of the store."""
        with self.db.read() as tx:
            return list(tx.execute(statement))

    def stored(self, name: str) -> list[str]:
        """Give the ids of the records that the store has of a connection."""
        where = records.c.connection == f"{TENANT}/{name}"
        return sorted(row[0] for row in self.rows(select(records.c.foreign_id).where(where)))

    def progress(self) -> int:
        """Give how far a first sync is: records that are stored, and deliveries that are done."""
        done = select(func.count()).where(deliveries.c.state == DeliveryState.DONE).scalar_subquery()
        return int(self.rows(select(func.count(records.c.foreign_id) + done))[0][0])

    def deliveries(self, name: str) -> Counter[str]:
        """Give how many deliveries to a connection stand where."""
        where = deliveries.c.connection == f"{TENANT}/{name}"
        return Counter(str(row[0]) for row in self.rows(select(deliveries.c.state).where(where)))


@contextmanager
def house(
    folder: Path,
    count: int,
    *,
    only: Iterable[str] = (SOURCE, *SINKS),
    behind: Iterable[str] = (),
    page_size: int = 100,
    more: Mapping[str, Tree] | None = None,
    database: str = "",
) -> Iterator[tuple[OtherSide, House, dict[str, Proxy]]]:
    """Give the other side with `count` children, a hub connected to `only` some systems, and proxies before some."""
    with ExitStack() as stack:
        other = stack.enter_context(OtherSide(folder / "other", count))
        proxies = {name: stack.enter_context(Proxy(other.port)) for name in behind}
        ports = {name: proxies[name].port if name in proxies else other.port for name in only}
        hub = House(folder / "hub", ports, database, page_size, more or {})
        yield other, stack.enter_context(hub), proxies


def assert_whole(other: OtherSide, hub: House, held: int) -> None:
    """See that every record is there once, and each change once at its sink; `held` wait for a person at most."""
    assert {name: hub.stored(name) for name in ALL} == {name: sorted(other.order(name)["records"]) for name in ALL}
    assert other.doubles() == []
    lacking = other.lacking()
    assert [name for name in lacking if not name.startswith("neither")] == []
    assert len(lacking) <= hub.deliveries("neither")["held"] <= held


def wait_for(true: Callable[[], bool], seconds: float, told: Callable[[], str] = str) -> None:
    """Wait until something is so; fail with what `told` gives when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds} seconds. {told()}"
        time.sleep(0.05)


def show(name: str, **figures: object) -> None:
    """Print a fault test's figures, for the record that `make faults` makes."""
    print(f"\n{name}: " + ", ".join(f"{what} {value}" for what, value in figures.items()))  # noqa: T201


def _write(path: Path, tree: Mapping[str, object] | list[Mapping[str, object]]) -> None:
    path.write_text(json.dumps(tree, indent=1, ensure_ascii=False), encoding="utf-8")
