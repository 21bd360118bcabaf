"""A municipality on which every command of the hub is run, rightly and wrongly, all of it full of canaries.

Two folders hold the same children, Samspill a log that was closed for an individual plan; a mail server and a key
service stand beside. Commands run at DEBUG as processes of their own; what they wrote is kept, command by command.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import update

from hub.operate.report import Reports
from hub.sandbox.children import Cast
from hub.sandbox.server import Sandbox
from hub.sandbox.stories import individual_plan
from hub.sandbox.world import World, _enter, _open_units
from hub.store.database import Database, open_database
from hub.store.sealing import log_sealers, read_key_file
from hub.store.tables import logs
from tests.commands.office import PLAN_YAML, SAMSPILL_YAML
from tests.connectors.smtpsink import Sink, smtp_sink
from tests.connectors.transit_server import TOKEN, TransitServer
from tests.leaks.canaries import MARK, NUMBER, Canary, canaries
from tests.leaks.house import Said
from tests.leaks.runner import Runner

WORD = MARK.capitalize()
TENANT = "900001002"  # made up, as are the units' numbers below
ME, NOBODY = "alle-1", "ingen-1"
CHILD, OTHER = "03822166554", "10915596784"  # synthetic
PERSON = f"{WORD} Testperson {OTHER}"
WHY, WHO = ("--why", f"Avtalt med {PERSON}"), ("--who", ME)
NOW = datetime.now(UTC)
FOLDERS = {"box": "send", "other": "hold"}
"""The connections that exchange files, and what becomes of a first change to each."""

MUNICIPALITY = f"""\
name: Fjordvik kommune
organisation_number: "{TENANT}"
language: nn
controller: Fjordvik kommune
folder_is_archive: true
archive: {{folder: "${{env:DATA}}/arkiv"}}
units:
  - {{id: skule, name: Fjordvik skule, organisation_number: "900001045", service: school}}
mail:
  host: 127.0.0.1
  port: ${{env:SMTP}}
  security: none
  sender: stafetthub@fjordvik.example
  remind: {{skule: rektor@skule.example}}
"""
CONNECTION = """\
system: folder
mapping: relaylog/open
folder: ${env:FOLDERS}/NAME
suffix: .json
quiet_seconds: 0
services: [school]
readers: [therapy]
verified_ids: true
first_contact: FIRST
deliver: true
confirmed: {by: Prøve, on: 2026-11-01}
"""
KEY_SERVICE = """\
key_service:
  address: ${env:KEY_SERVICE}
  key: stafetthub
  token: ${env:KEY_TOKEN}
  wrapped: ${env:DATA}/key.wrapped
"""


class Talkative(TransitServer):
    """A key service that tells much when something is wrong."""

    def answer(self, path: str, token: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Give status and JSON of one request, with canaries in what it refuses."""
        code, tree = super().answer(path, token, body)
        return code, tree if code == 200 else {"errors": [f"{PERSON}: {token} {body}", WORD]}


@dataclass
class Office:
    """The municipality. `data` is the hub's folder, `side` holds what people keep, `said` grows with every command.

    `thorough` tells that each wrong way is gone, and not only those that differ most.
    """

    folder: Path
    database: str
    sink: Sink
    transit: TransitServer
    sandbox: Sandbox
    runner: Runner
    records: dict[str, Canary]
    thorough: bool
    said: list[Said] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The hub's folder."""
        return self.folder / "data"

    @property
    def side(self) -> Path:
        """The folder of what people ask for and hand in."""
        return self.folder / "side"

    @property
    def tenant(self) -> Path:
        """The municipality's configuration."""
        return self.folder / "config" / "tenants" / TENANT

    @property
    def numbers(self) -> set[str]:
        """Every national id that anybody was told."""
        known = [each.tree for each in self.records.values()], self.sandbox.world.samspill
        return {CHILD, OTHER, *NUMBER.findall(json.dumps(known))}

    def run(self, *arguments: str, typed: str = "", whole: bool = True, **more: str) -> Said:
        """Run a command; `typed` is what a person types, `more` what the process is told besides."""
        environ = {
            "DATA": str(self.data),
            "DATABASE": self.database,
            "FOLDERS": str(self.folder),
            "SMTP": str(self.sink.port),
            "SAMSPILL": self.sandbox.urls["samspill"],
            "SECRET": self.sandbox.credentials["samspill"]["client_secret"],
            "KEY_SERVICE": self.transit.url,
            "KEY_TOKEN": TOKEN,
            "STAFETTHUB_LOG_LEVEL": "debug",
            "COLUMNS": "250",
            **more,
        }
        where = ("--config", str(self.folder / "config")) if whole else ()
        code, out, log = self.runner.run((*arguments, *where), environ, typed)
        self.said.append(Said(" ".join(arguments), out, log, code))
        return self.said[-1]

    def well(self, *arguments: str, typed: str = "", whole: bool = True, **more: str) -> str:
        """Run a command that must end well; give what it showed."""
        said = self.run(*arguments, typed=typed, whole=whole, **more)
        assert said.code == 0, (said.command, said.out.decode(), said.log.decode()[-3000:])
        return said.out.decode()

    def badly(self, *arguments: str, typed: str = "", whole: bool = True, **more: str) -> None:
        """Run a command that must fail by a line of ours."""
        said = self.run(*arguments, typed=typed, whole=whole, **more)
        assert said.code == 1, (said.command, said.code, said.out.decode(), said.log.decode()[-3000:])

    def rarely(self, *arguments: str, typed: str = "", whole: bool = True, **more: str) -> None:
        """Run a command that must fail, if each wrong way is gone: another that fails alike is run in any case."""
        if self.thorough:
            self.badly(*arguments, typed=typed, whole=whole, **more)

    @contextmanager
    def store(self) -> Iterator[Database]:
        """Open the store from outside."""
        with closing(open_database(self.database)) as db:
            yield db

    def waiting(self, kind: str, reason: str = "") -> list[str]:
        """Give the ids of what waits of a kind."""
        with self.store() as db:
            found = Reports(db).inbox(TENANT, kind)
        return [item.id for item in found if reason in ("", item.reason)]

    def log(self, record: str, connection: str = "box") -> str:
        """Give the hub's id of a record's log."""
        with self.store() as db:
            return str(Reports(db).log_of_record(TENANT, f"{TENANT}/{connection}", record))

    def configure(self, keys: str = "key_file: ${env:DATA}/key.json") -> None:
        """Write the configuration, with where the keys are."""
        log = self.records["aktiv"].log
        names = [each.name for each in (log.holder, *log.parties) if each]
        roles = "\n".join(_grants(*names, self.sandbox.world.samspill["P-10001"]["planLead"]["name"]))
        files = {
            "tenant.yaml": MUNICIPALITY + keys,
            "roles.yaml": roles,
            "connections/samspill.yaml": SAMSPILL_YAML + PLAN_YAML,
        }
        for name, first in FOLDERS.items():
            files[f"connections/{name}.yaml"] = CONNECTION.replace("NAME", name).replace("FIRST", first)
        for name, text in files.items():
            (self.tenant / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tenant / name).write_text(text, encoding="utf-8")
        hub = "environment: test\ndata: ${env:DATA}\ndatabase: ${env:DATABASE}\n"
        (self.folder / "config" / "hub.yaml").write_text(hub, encoding="utf-8")

    def put(self, folder: str, name: str, data: bytes) -> None:
        """Let a system put a file where the hub takes it from."""
        (self.folder / folder / "in").mkdir(parents=True, exist_ok=True)
        (self.folder / folder / "in" / name).write_bytes(data)

    def damage(self, log_id: str) -> None:
        """Put something into a log that no model reads, sealed as it should be."""
        body = json.dumps({"log": {"id": WORD, "status": WORD, "subject": {"name": [WORD]}}, "agreed": PERSON}).encode()
        keys = read_key_file(self.data / "key.json", TENANT)
        with self.store() as db, db.write() as tx:
            sealed = log_sealers(tx, keys, [log_id])[log_id].seal("logs.sealed_body", body)
            tx.execute(update(logs).where(logs.c.log_id == log_id).values(sealed_body=sealed))


@contextmanager
def office(folder: Path, database: str = "", *, thorough: bool = False) -> Iterator[Office]:
    """Give the municipality, configured, with nothing read yet; in a file of its own where no database is named."""
    found = {each.name.removeprefix("open-").removesuffix(".json"): each for each in canaries(CHILD, "relaylog/open")}
    for name in ("data", "data/arkiv", "side"):
        (folder / name).mkdir(parents=True)
    with ExitStack() as stack:
        made = Office(
            folder,
            database or f"sqlite:///{folder / 'data' / 'hub.db'}",
            stack.enter_context(smtp_sink(Sink())),
            stack.enter_context(Talkative()),
            stack.enter_context(Sandbox(_world(), bytes(32), lambda: datetime.now(UTC))),
            stack.enter_context(Runner(folder)),
            found,
            thorough,
        )
        made.configure()
        for name in FOLDERS:
            (folder / name).mkdir()
        yield made


def _world() -> World:
    """Make a Samspill with one log that was closed for a plan, and canaries in the place of names and texts."""
    world = World(seed=1, today=NOW.date().isoformat())
    _open_units(world, NOW.date())
    _enter(world, "individual_plan", individual_plan(Cast(Random("leaks"), NOW.date(), 0, 0)))  # noqa: S311
    for plan in world.samspill.values():
        _fill(plan)
    return world


def _fill(tree: Any) -> None:
    for name, inner in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        if isinstance(inner, dict | list):
            _fill(inner)
        elif isinstance(inner, str) and " " in inner:
            tree[name] = f"{WORD} {inner}"


def _grants(*holders: str) -> Iterator[str]:
    """Yield every role for one user, with the names by which systems know the holder of each log."""
    roles = ("data_protection_officer", "operator", "rule_owner", "archivist", "auditor", "administrator")
    grants: list[dict[str, object]] = [{"role": role} for role in roles]
    grants += [{"role": "holder", "known_as": name} for name in holders]
    grants.append({"role": "unit_leader", "units": ["skule"], "parts": ["health", "child_welfare"]})
    for grant in grants:
        yield f"- {json.dumps({'user': ME, 'valid_from': '2020-01-01', 'granted_by': 'k-1', **grant})}"
