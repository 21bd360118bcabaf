"""A hub that meets every kind of record and every kind of trouble, all full of canaries, and what it said meanwhile.

Ten templates lie in folders, one system is spoken to over HTTP through a proxy that spoils answers, and all commands
run as processes at DEBUG. What they wrote on the screen and in the log is kept, command by command.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import LargeBinary, select, update
from sqlalchemy import text as sql
from sqlalchemy.engine import make_url

from hub.operate.report import Reports
from hub.store.database import Database
from hub.store.sealing import log_sealers
from hub.store.tables import logs, metadata
from tests.faults.children import SINKS, SOURCE
from tests.faults.house import ROOT, TENANT, House, OtherSide, wait_for
from tests.faults.proxy import Proxy, Rule, cut, half_body, lose_answer, shortened, status
from tests.leaks.canaries import MARK, NUMBER, Canary, canaries
from tests.stores import postgresql_binaries

WORD = MARK.capitalize()
JSON_ERROR = json.dumps({"type": WORD, "detail": f"{WORD} Testbarn", "navn": WORD}).encode()
BROKEN = {
    ".json": f'{{"navn": "{WORD}", "navn": "{WORD}", "{WORD} Testbarn": [1, }}'.encode(),
    ".xml": f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY {WORD} "{WORD}">]><a {WORD}="1"><{WORD}>&{WORD};</a>'.encode(),
    ".docx": b"PK\x03\x04" + f"{WORD} Testbarn".encode() * 20,
    ".pdf": f"%PDF-1.7\n1 0 obj <</Title ({WORD})>> endobj\ntrailer <</Root {WORD}>>".encode(),
    ".zip": b"PK\x03\x04" + f"{WORD};{WORD}\n".encode() * 20,
}
"""One file of each kind that no payload can read."""


@dataclass(frozen=True)
class Said:
    """What one command wrote on the screen and in the log, and how it ended."""

    command: str
    out: bytes
    log: bytes
    code: int


@dataclass
class Leaky:
    """The hub with all that it was made to meet. `said` grows with every command."""

    folder: Path
    house: House
    other: OtherSide
    proxy: Proxy
    records: list[Canary]
    said: list[Said] = field(default_factory=list)
    core: str = ""

    @property
    def numbers(self) -> set[str]:
        """Every national id, of children and guardians."""
        found = {number for each in self.records for number in NUMBER.findall(json.dumps(each.tree))}
        return found | set(NUMBER.findall(json.dumps(self.other.order(SOURCE))))

    @property
    def systems(self) -> Path:
        """The folders of the systems that exchange files; what lies there is theirs."""
        return self.folder / "systems"

    @property
    def tenant(self) -> Path:
        """The municipality's configuration."""
        return self.house.folder / "config" / "tenants" / TENANT

    def run(self, *arguments: str, config: Path | None = None, whole: bool = True) -> Said:
        """Run a command to its end."""
        more = ["--config", str(config or self.house.folder / "config")] if whole else []
        command = [sys.executable, "-m", "hub", *arguments, *more]
        done = subprocess.run(command, cwd=ROOT, env=self.environ(), capture_output=True, timeout=300, check=False)
        self.said.append(Said(" ".join(arguments), done.stdout, done.stderr, done.returncode))
        return self.said[-1]

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command, and end it after the block; what it said is kept."""
        out, log = self.folder / "out.txt", self.folder / "log.txt"
        freely = ("bash", "-c", 'ulimit -Sc "$(ulimit -Hc)"; exec "$@"', "-")  # core files, where the machine lets any
        command = [*freely, sys.executable, "-m", "hub", *arguments, "--config", str(self.house.folder / "config")]
        with out.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environ(), stdout=stdout, stderr=stderr)
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(60)
        self.said.append(Said(" ".join(arguments), out.read_bytes(), log.read_bytes(), code))

    def environ(self) -> dict[str, str]:
        """Give what a process is told."""
        return {**os.environ, "STAFETTHUB_DATABASE": self.house.database, "STAFETTHUB_LOG_LEVEL": "debug"}

    def put(self, system: str, name: str, data: bytes) -> None:
        """Let a system put a file where the hub takes it from."""
        (self.systems / system / "in").mkdir(parents=True, exist_ok=True)
        (self.systems / system / "in" / name).write_bytes(data)

    def ids(self) -> dict[str, str]:
        """Give an id of each thing that can be traced or shown, and all that wait in the inbox."""
        with self.house.db.read() as tx:
            found = {}
            for table, column in (("logs", "log_id"), ("runs", "run_id"), ("deliveries", "delivery_id")):
                for number, (each,) in enumerate(tx.execute(sql(f"SELECT {column} FROM {table}")).all()):  # noqa: S608
                    found[f"{table} {number}"] = str(each)
        waiting = Reports(self.house.db).inbox(TENANT)
        return found | {f"{item.kind} {number}": item.id for number, item in enumerate(waiting)}


@contextmanager
def leaky(folder: Path, database: str) -> Iterator[Leaky]:
    """Give a hub whose connections and systems are ready, and nothing read yet."""
    names = (SOURCE, *SINKS)
    with OtherSide(folder / "other", 3) as other, Proxy(other.port) as proxy:
        child = other.order(SOURCE)["records"][f"{SOURCE}-00000"]["body"]["subject"]["national_id"]
        with House(folder / "hub", dict.fromkeys(names, proxy.port), database) as house:
            made = Leaky(folder, house, other, proxy, canaries(child))
            _configure(made)
            _speak(made)
            yield made


def _configure(hub: Leaky) -> None:
    """Add a folder for each template, and the archive."""
    who = json.loads((hub.tenant / "tenant.yaml").read_text("utf-8"))
    archive = {"folder_is_archive": True, "archive": {"folder": str(hub.house.folder / "arkiv")}}
    (hub.tenant / "tenant.yaml").write_text(json.dumps(who | archive), encoding="utf-8")
    (hub.tenant / "rules").mkdir()
    rules = ROOT / "config" / "tenants" / TENANT / "rules" / "archive.yaml"
    (hub.tenant / "rules" / "archive.yaml").write_text(rules.read_text("utf-8"), encoding="utf-8")
    for each in hub.records:
        name, suffix = each.mapping.id.replace("/", "-"), Path(each.name).suffix
        settings = {
            "system": "folder",
            "mapping": each.mapping.id,
            "folder": str(hub.systems / name),
            "suffix": suffix,
            "quiet_seconds": 0,
            "services": [],
            "readers": ["school"],
            "verified_ids": True,
            "first_contact": "send",
            "deliver": True,
            "confirmed": {"by": "Prøve", "on": "2026-11-01"},
        }
        (hub.tenant / "connections" / f"{name}.yaml").write_text(json.dumps(settings), encoding="utf-8")
        (hub.systems / name).mkdir(parents=True, exist_ok=True)


def _speak(hub: Leaky) -> None:
    """Fill the records of the system that is spoken to over HTTP, too."""
    for number, (record_id, each) in enumerate(hub.other.order(SOURCE)["records"].items()):
        _fill(each["body"], number)
        headers = {"Idempotency-Key": f"fill-{number}", "If-Match": '"1"'}
        url = f"http://127.0.0.1:{hub.other.port}/{SOURCE}/relaylogs/{record_id}"
        httpx.put(url, json=each["body"], headers=headers, trust_env=False).raise_for_status()


def _fill(tree: object, number: int) -> None:
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        _fill(inner, number)
    if isinstance(tree, dict):
        words = {name: f"{WORD}H{number} {tree[name]}" for name in ("name", "text", "title") if name in tree}
        tree.update(words)


def live_through_everything(hub: Leaky) -> None:
    """Pull, send, archive and quarantine everything, while systems, files, mappings and the database fail."""
    _bad_answers(hub)
    for each in hub.records:
        hub.put(each.mapping.id.replace("/", "-"), each.name, each.data)
    hub.run("check")
    hub.run("sync")
    _lost_answers(hub)
    for suffix, data in BROKEN.items():
        for name in {each.mapping.id.replace("/", "-") for each in hub.records if each.name.endswith(suffix)}:
            hub.put(name, f"feil{suffix}", data)
    hub.run("sync")
    _database_error(hub)
    _crash(hub)
    _broken_mapping(hub)
    _damaged(hub)


def _bad_answers(hub: Leaky) -> None:
    """Let the listing fail in every way, each with a canary in what came."""
    page = f"<html><title>{WORD}</title><p>{WORD} Testbarn".encode()
    head = {"X-Feil": WORD, "WWW-Authenticate": f'Bearer realm="{WORD}"', "Location": f"/{WORD}", "Retry-After": WORD}
    shape = json.dumps({"records": WORD, "next": 3, "total": WORD}).encode()
    odd = json.dumps({"records": [{"id": 7, "navn": WORD}], "next": None, "complete": True, "total": 1}).encode()
    answers = [status(code, head, JSON_ERROR) for code in (500, 503, 429, 400, 401, 403, 404, 409, 302)]
    answers += [status(200, {}, page, "text/html"), status(200, {}, page), status(200, {}, shape), status(200, {}, odd)]
    for fault in (*answers, half_body, shortened, cut):
        hub.proxy.rules = (Rule(fault, "bad", method="GET"),)
        hub.run("sync", SOURCE)
        hub.house.let_time_pass()
    hub.proxy.rules = ()


def _lost_answers(hub: Leaky) -> None:
    """Let changes be refused, and answers to them be lost."""
    hub.house.let_time_pass()
    hub.other.order(SOURCE, edit=1)
    head = {"X-Feil": WORD}
    for fault in (status(500, head, JSON_ERROR), lose_answer, status(422, head, JSON_ERROR), half_body):
        hub.proxy.rules = (Rule(fault, "bad", method="PUT"),)
        hub.run("sync")
        hub.house.let_time_pass()
    hub.proxy.rules = ()


def _database_error(hub: Leaky) -> None:
    """Let the database refuse a row that is written: an index that allows one record of a kind."""
    with hub.house.db.write() as tx:
        tx.execute(sql("CREATE UNIQUE INDEX one_too_many ON records (tenant) WHERE foreign_id > 'zz'"))
    closed = next(each for each in hub.records if each.name == "open-avslutta.json")
    for number in range(2):
        tree = {**closed.tree, "source": {**closed.tree["source"], "id": f"zz-{number}"}}
        hub.put("relaylog-open", f"zz-{number}.json", json.dumps(tree).encode())
    hub.run("sync", "relaylog-open")
    with hub.house.db.write() as tx:
        tx.execute(sql("DROP INDEX one_too_many"))
    hub.house.let_time_pass()


def _crash(hub: Leaky) -> None:
    """Let a process of the hub break down while a change is on its way, as a fault in a library would."""
    hub.other.order(SOURCE, edit=2)
    hub.other.order("refuses_key", hold=True)
    hub.house.let_time_pass()
    hub.house.queue()
    with hub.started("run") as process:
        hub.other.told()
        limits = Path(f"/proc/{process.pid}/limits").read_text("ascii")
        hub.core = next(line.split()[4] for line in limits.splitlines() if line.startswith("Max core file size"))
        process.send_signal(signal.SIGABRT)
        process.wait(60)
    hub.other.order("refuses_key", hold=None)
    hub.house.let_time_pass()
    with hub.started("run") as process:
        wait_for(lambda: not hub.house.at_work() or process.poll() is not None, 120)


def _broken_mapping(hub: Leaky) -> None:
    """Let the municipality's own mapping read a day where a name stands."""
    hub.house.mend(opened_on={"at": "/subject/name", "date": "iso", "one_way": "read"})
    hub.run("sync")


def _damaged(hub: Leaky) -> None:
    """Put something into a log that no model reads, sealed as it should be, and let commands open it."""
    [log_id, *_] = [value for name, value in hub.ids().items() if name.startswith("logs")]
    body = json.dumps({"log": {"id": WORD, "status": WORD, "subject": {"name": [WORD]}}, "agreed": WORD}).encode()
    with hub.house.opened() as opened, hub.house.db.write() as tx:
        sealer = log_sealers(tx, opened.tenants[TENANT].logs.keys, [log_id])[log_id]
        tx.execute(
            update(logs).where(logs.c.log_id == log_id).values(sealed_body=sealer.seal("logs.sealed_body", body))
        )
    hub.run("report", "shared", log_id, "--for", "guardian", "--who", "it", "--out", str(hub.folder / "side.txt"))
    hub.run("sync")


def ask_everything(hub: Leaky) -> None:
    """Run every command that shows something, on all that there is."""
    hub.run("status")
    hub.run("inbox", "list")
    hub.run("inbox", "list", "--json")
    first = {name.split()[0]: each for name, each in reversed(hub.ids().items())}
    for name, waiting in first.items():
        hub.run("trace", waiting)
        if name in ("hold", "conflict", "quarantine", "proposal"):
            hub.run("inbox", "show", waiting)
    hub.run("trace", f"{SOURCE}/{SOURCE}-00000")
    hub.run("report", "control", "--who", "it", "--unit", "skule")
    hub.run("report", "breach", "--who", "it", "--from", "2020-01-01", "--to", "2099-01-01")
    for each in (one for one in hub.records if one.name.partition(".")[0].endswith("aktiv")):
        file = hub.folder / each.name
        file.write_bytes(each.data)
        hub.run("mapping", "preview", each.mapping.id, str(file), whole=False)
        hub.run("mapping", "coverage", each.mapping.id, str(file), whole=False)
        hub.run("mapping", "shape", str(file), whole=False)
        hub.run("mapping", "new", "prove", "--from", str(file), whole=False)


def read_pages(hub: Leaky) -> bytes:
    """Give the status page in all its languages."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    with hub.started("web", "--port", str(port)), httpx.Client(trust_env=False) as client:
        wait_for(lambda: _answers(port), 60)
        return b"".join(client.get(f"http://127.0.0.1:{port}/{path}").content for path in ("", "?lang=nn", "?lang=en"))


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def open_texts(db: Database) -> Iterator[tuple[str, str, str]]:
    """Yield what stands in every column that is not sealed: table, column, value."""
    for table in metadata.sorted_tables:
        columns = [column for column in table.columns if not isinstance(column.type, LargeBinary)]
        with db.read() as tx:
            for row in tx.execute(select(*columns)):
                yield from ((table.name, column.name, str(value)) for column, value in zip(columns, row, strict=True))


def stored_bytes(database: str) -> bytes:
    """Give a database's files with what is written ahead, or a whole dump with its log."""
    url = make_url(database)
    if database.startswith("sqlite"):
        file = Path(str(url.database))
        return b"\0".join(path.read_bytes() for path in sorted(file.parent.glob(f"{file.name}*")))
    binaries = postgresql_binaries()
    assert binaries
    command = [str(binaries / "pg_dump"), "-h", str(url.query["host"]), "-U", "hub", "-d", str(url.database)]
    dumped = subprocess.run(command, capture_output=True, check=True).stdout
    return dumped + Path(str(url.query["host"]), "out.log").read_bytes()
